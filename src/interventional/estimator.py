"""`Estimator`: parameters, fitting, prediction and checks, as scikit-learn wants them."""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from interventional import dask
from interventional.data.accumulation import Accumulated
from interventional.data.frames import name_of
from interventional.data.groups import labelled
from interventional.data.reading import (
    generator,
    read_outcome,
    read_weights,
    restored,
    restored_on_failure,
    warn_of_weights,
)
from interventional.data.schema import Schema, refuse
from interventional.data.smooth import SMOOTH
from interventional.data.table import Table, is_distributed, read_table
from interventional.errors import UndeterminedError
from interventional.fitted import Fitted
from interventional.fitting import accumulated, conditioned, takes_batches, takes_positive
from interventional.inference.engines import INFERENCES
from interventional.inference.posterior import Sampling
from interventional.intervention.simulation import simulate, with_drawn
from interventional.numbers import Floats
from interventional.own import estimating as own
from interventional.scm.draft import OF_MODEL, Draft, draft
from interventional.scm.generative import generative_model, observed_rows
from interventional.scm.predictive import Predictive
from interventional.scm.specification import specify
from interventional.trust import checks
from interventional.trust.overlap import Training

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr
    from pymc_extras.prior import Prior


# What is gone where rows that came in batches do not determine a model yet.
_POSTERIOR = ("fitted_", "coef_", "intercept_", "graph_")
READ_LATER = ("graph", "model", "exposure", "noise", "treatments", "groups")


class Estimator(RegressorMixin, BaseEstimator):
    """A Bayesian structural causal model that is fitted and predicts.

    `BayesianInterventionRegressor`, which says what the parameters are, adds causal questions.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **dict.fromkeys(READ_LATER, "no_validation"),
        "outcome": [str, None],
        "family": [str, Mapping],
        "design": [HasMethods(["fit", "transform"]), Mapping, StrOptions({SMOOTH}), None],
        "priors": [Mapping, str, None],
        "within": ["boolean"],
        "confounding": [Mapping, None],
        "unseen_levels": [StrOptions({"error", "population"})],
        "fit_intercept": ["boolean"],
        "center_predictors": ["boolean"],
        "inference": [StrOptions({*INFERENCES, *own.INFERENCES})],
        "draws": [Interval(Integral, 1, None, closed="left")],
        "tune": [Interval(Integral, 0, None, closed="left")],
        "chains": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        graph: Any = None,
        outcome: str | None = None,
        model: "pm.Model | Callable[..., pm.Model] | None" = None,
        family: str | Mapping[str, str] = "gaussian",
        exposure: Any = None,
        noise: Any = None,
        design: Any = None,
        treatments: Any = None,
        priors: "Mapping[str, Prior | str] | str | None" = None,
        groups: Any = None,
        within: bool = False,
        confounding: "Mapping[str, Prior] | None" = None,
        unseen_levels: Literal["error", "population"] = "error",
        fit_intercept: bool = True,
        center_predictors: bool = True,
        inference: own.Inference = "auto",
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.graph = graph
        self.outcome = outcome
        self.model = model
        self.family = family
        self.exposure = exposure
        self.noise = noise
        self.design = design
        self.treatments = treatments
        self.priors = priors
        self.groups = groups
        self.within = within
        self.confounding = confounding
        self.unseen_levels = unseen_levels
        self.fit_intercept = fit_intercept
        self.center_predictors = center_predictors
        self.inference = inference
        self.draws = draws
        self.tune = tune
        self.chains = chains
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Condition the model on data.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, columns)
            Columns of numbers, bools, categories or strings. A frame is one of pandas, polars or
            pyarrow, here and wherever X is given; a DataFrame or Array of Dask, too. What is
            sparse is made dense.
        y : array-like of shape (n,)
            The outcome; numbers or bools. A Series with a name gives the outcome its name, unless
            `outcome` does.
        sample_weight : array-like of shape (n,), optional
            Frequencies: a row of weight 3 is three rows. Known standard deviations of the outcomes
            are a column, which `noise` names. With a `model` whole numbers.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If something is wrong with the data or a parameter, or a column is y itself, in
            whatever units. The estimator is then as before.

        Warns
        -----
        UserWarning
            If more than a tenth of the weights are no whole numbers, once: they are taken for
            frequencies. Not beside a sigma that a prior fixes.

        See Also
        --------
        partial_fit : Rows in batches.
        refute : Refits whose answer is known.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> model.coef_.round(1)
        array([ 8. , -2.9])
        >>> model.fit(X, y, sample_weight=np.full(200, 3)).coef_.round(1)
        array([ 8. , -2.9])
        """
        with restored_on_failure(self):
            if self.model is not None:
                return own.fit(self, X, y, sample_weight, self._sampling())
            if is_distributed(X):
                dask.read_columns(X, self, reset=True)
                total = dask.accumulate(clone(self)._batch, X, y, sample_weight)
                self._condition(self._draft_of(total), total)
                return self
            schema, values, target, weights = self._read_training(X, y, sample_weight)
            parsed = self._draft(schema, values, name_of(y))
            warn_of_weights(weights, are_precisions=parsed.fixes_sigma)
            seen = parsed.as_seen(parsed.outcome, target)
            total = accumulated(parsed, values, seen, weights, name_of(y))
            self._condition(parsed, total, values, target, weights)
        return self

    @available_if(takes_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Condition the model on more data, beside what it has seen.

        What Gaussian equations see of their rows is a sum over rows. So whatever the batches, the
        posterior is the one that `fit` has on all rows at once, to rounding, default priors
        included. A batch may lack levels that others have.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`: rows that were not given before. The first batch names the outcome.

        Returns
        -------
        self
            Not fitted yet, but waiting for more, as long as the rows do not determine the model,
            as when y is constant so far.

        Raises
        ------
        ValueError, TypeError
            If something is wrong with the data or a parameter, there is a `design`, or a column of
            levels or bools has an equation. The estimator is then as before.
        AttributeError
            If some family is neither Gaussian nor, for the outcome, lognormal, or with `noise`:
            the estimator then has no such method, as `hasattr` tells.

        See Also
        --------
        fit : All rows at once.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> model = BayesianInterventionRegressor(random_state=0)
        >>> for _ in range(10):
        ...     X = rng.normal(size=(1000, 2))
        ...     model = model.partial_fit(X, X @ [1.0, -2.0] + rng.normal(size=1000))
        >>> model.coef_.round(1)
        array([ 1., -2.])
        """
        with restored_on_failure(self):
            before = vars(self).get("_accumulated")
            if is_distributed(X):
                dask.read_columns(X, self, reset=before is None)
                batch = dask.accumulate(clone(self)._batch, X, y, sample_weight)
            else:
                batch = self._batch(X, y, sample_weight, before)
            total = batch if before is None else before + batch
            try:
                self._condition(self._draft_of(total), total)
            except UndeterminedError as error:
                for name in set(_POSTERIOR) & set(vars(self)):
                    delattr(self, name)
                self._accumulated, self._undetermined = total, str(error)
        return self

    def _draft_of(self, total: Accumulated) -> Draft:
        """Return what the parameters say of rows that came in batches."""
        zero_one = Training.of(total).zero_one
        parsed = draft(total.schema, zero_one, **self._parameters(total.named))
        parsed.refuse_batches()
        return parsed

    def _batch(
        self, X: Any, y: ArrayLike, sample_weight: Any, before: Accumulated | None = None
    ) -> Accumulated:
        """Return what Gaussian equations see of a batch, of which the first names the outcome."""
        schema, values, target, weights = self._read_training(X, y, sample_weight, before is None)
        named = name_of(y) if before is None else before.named
        parsed = draft(schema, **self._parameters(named))
        parsed.refuse_batches()
        warn_of_weights(weights, are_precisions=parsed.fixes_sigma)
        parsed.refuse_outcome_among(values, target, name_of(y))
        target = parsed.as_seen(parsed.outcome, target)
        return accumulated(parsed, values, target, weights, name_of(y))

    def _read_rows(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, first: bool = True
    ) -> tuple[Table, Schema, Floats, Floats, Floats | None]:
        """Return rows as a table, what its columns are, encoded, the outcomes and the weights."""
        target = read_outcome(y, X, self)
        table, schema, values = self._read_new(X, name_of(y), first)
        check_consistent_length(values, target)
        return table, schema, values, target, read_weights(sample_weight, X, len(values))

    def _read_training(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, first: bool = True
    ) -> tuple[Schema, Floats, Floats, Floats | None]:
        """Return what the columns are, encoded rows, outcomes, weights: of rows that count."""
        _, schema, values, target, weights = self._read_rows(X, y, sample_weight, first)
        if weights is not None and not weights.all():
            kept = weights > 0
            values, target, weights = values[kept], target[kept], weights[kept]
        return schema, values, target, weights

    def _condition(
        self,
        parsed: Draft,
        total: Accumulated,
        values: Floats | None = None,
        target: Floats | None = None,
        weights: Floats | None = None,
    ) -> None:
        """Draw from the posterior, given rows, or what is left of rows that came in batches."""
        self.fitted_ = conditioned(
            parsed, total, self._sampling(), self.confounding, values, target, weights
        )
        self._accumulated = total
        self._undetermined = ""
        self.coef_, self.intercept_ = self.fitted_.coefficients
        self.graph_ = self.fitted_.model.graph

    def predict(
        self, X: Any, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the posterior mean of E[y | X], in units of y whatever the link.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        return_std : bool, default False
            Whether to return the standard deviation of the posterior predictive distribution too,
            noise included, with `noise` that of the row; for ``family="student_t"`` infinite if
            nu <= 2 in any draw.

        Returns
        -------
        ndarray of shape (n,), or a pair of them; for Dask rows a Dask Series or Array

        See Also
        --------
        intervene : y for such rows if a column is forced.
        sample_y : New outcomes, noise included.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> model.predict(X.head(3)).round(1)
        array([22.6, 21.1, 28. ])
        >>> mean, std = model.predict(X.head(3), return_std=True)
        >>> std.round(1)
        array([1., 1., 1.])
        """
        if is_distributed(X):
            self._check_fitted()
            if return_std:
                raise ValueError("return_std=True takes rows in memory; X is a Dask collection")
            return dask.predict(self.predict, X)
        fitted, table = self._facing(X)
        values = fitted.encoded(table)
        if not return_std:
            return fitted.mean(values)
        found = fitted.predictive(values)
        return found.mean(), found.std()

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination of the predictions.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        y : array-like of shape (n,)
            Their outcomes.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        float

        See Also
        --------
        log_density : How well the whole predictive distribution does.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> round(model.score(X, y), 2)
        0.97
        """
        if not is_distributed(X):
            self._check_fitted()
            y = read_outcome(y, X, self)
            sample_weight = read_weights(sample_weight, X, len(y))
        return float(super().score(X, y, sample_weight))

    def sample_y(
        self,
        X: Any,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = 0,
    ) -> NDArray[np.float64]:
        """Draw outcomes from the posterior predictive distribution.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        n_samples : int, default 1
            Draws a row. Each takes its parameters from one posterior draw, for all rows.
        random_state : int, RandomState or None, default 0
            Source of randomness.

        Returns
        -------
        ndarray of shape (n, n_samples)

        See Also
        --------
        predict : The mean of these.
        intervene : With ``kind="predictive"``, new outcomes if a column is forced.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> new = model.sample_y(X, n_samples=1000)
        >>> new.shape
        (200, 1000)
        >>> bool(abs(new.mean() - y.mean()) < 0.1)
        True
        """
        checks.refuse_size(n_samples)
        found, rng = self._predictive(X), generator(random_state)
        return found.sample(checks.picked(found.n_draws, n_samples, rng), rng)

    def posterior_predictive_check(
        self,
        X: Any,
        y: ArrayLike,
        n_samples: int = 500,
        random_state: int | np.random.RandomState | None = 0,
    ) -> "xr.DataTree":
        """Return new outcomes of these rows beside those observed, as ArviZ compares them.

        With a graph it is the outcome's equation that is checked: y given X as observed.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        y : array-like of shape (n,)
            Their outcomes.
        n_samples : int, default 500
            How many new data sets to draw, each from one posterior draw. What is returned holds
            ``n * n_samples`` numbers.
        random_state : int, RandomState or None, default 0
            Source of randomness.

        Returns
        -------
        DataTree
            Group ``posterior_predictive``, of dimensions (chain, draw, obs), and
            ``observed_data``: what `arviz.plot_ppc_dist`, `arviz.plot_ppc_pit` and others take.

        See Also
        --------
        prior_predictive_check : The same before anything was learnt.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(100, 2))
        >>> y = rng.poisson(np.exp(X @ [0.5, -0.5])).astype(float)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> check = model.posterior_predictive_check(X, y)  # arviz.plot_ppc_dist(check) draws it
        >>> new = check["posterior_predictive"]["y"]
        >>> bool((new < 0).mean() > 0.1), bool((y < 0).any())  # Gaussian noise is wrong for counts
        (True, False)
        """
        size, found = checks.positive_size(n_samples), self._predictive(X)
        target = self._read_outcome(found.columns, X, y)
        labels = checks.labels_of(X, len(target))
        return checks.posterior_predictive(found, target, labels, size, generator(random_state))

    def prior_predictive_check(
        self,
        X: Any,
        y: ArrayLike,
        n_samples: int = 500,
        random_state: int | np.random.RandomState | None = 0,
    ) -> "xr.DataTree":
        """Return outcomes that the priors expect of these rows beside those observed.

        The estimator need not be fitted, and stays as it is. Default priors are scaled by X and y,
        as in `fit`. With a graph it is the outcome's equation that is checked: y given X as
        observed.

        Parameters
        ----------
        X, y, n_samples, random_state
            As in `posterior_predictive_check`; each new data set has its parameters from the
            prior.

        Returns
        -------
        DataTree
            Groups ``prior``, the parameters; ``prior_predictive``, of dimensions
            (chain, draw, obs); and ``observed_data``: what
            ``arviz.plot_ppc_dist(..., group="prior_predictive")`` takes.

        Raises
        ------
        ValueError
            If a prior is flat, so that nothing can be drawn from it.

        See Also
        --------
        posterior_predictive_check : The same with what was learnt.
        simulate : Data from parameters of your choice.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(100, 2))
        >>> y = 50 + X @ [1.0, -2.0] + rng.normal(size=100)
        >>> check = BayesianInterventionRegressor().prior_predictive_check(X, y)
        >>> new = check["prior_predictive"]["y"]
        >>> bool(abs(new.mean() - 50) < 3), new.sizes["draw"]  # around the data, and wide
        (True, 500)
        """
        size = checks.positive_size(n_samples)
        if self.model is not None:
            return own.prior_predictive(self, X, y, size, generator(random_state))
        with restored(self):
            schema, values, target, _ = self._read_training(X, y, None)
            model, _ = specify(self._draft(schema, values, name_of(y)), values, target)
        labels, rng = checks.labels_of(X, len(target)), generator(random_state)
        return checks.prior_predictive(model, values, target, labels, size, rng)

    def log_likelihood(self, X: Any, y: ArrayLike) -> "xr.DataTree":
        """Return the log density of outcomes for each posterior draw, as ArviZ takes it.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        y : array-like of shape (n,)
            Their outcomes.

        Returns
        -------
        DataTree
            `idata_` with two groups more, ``log_likelihood`` and ``observed_data``. With the rows
            of `fit` it is what `arviz.loo` takes for leave-one-out cross-validation without refit
            (Vehtari, Gelman and Gabry 2017).

        See Also
        --------
        log_density : Averaged over the posterior.

        Examples
        --------
        >>> import arviz as az, numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(100, 2))
        >>> y = X @ [1.0, -2.0] + rng.normal(size=100)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> bool(az.loo(model.log_likelihood(X, y)).elpd < 0)
        True
        """
        found = self._predictive(X)
        target = self._read_outcome(found.columns, X, y)
        densities = found.log_likelihood(target).held().reshape(*self.fitted_.shape, len(target))
        whose = self.idata_, self.fitted_.model.outcome
        return checks.log_likelihood(*whose, densities, target, checks.labels_of(X, len(target)))

    def log_density(self, X: Any, y: ArrayLike) -> NDArray[np.float64]:
        """Return the log of the posterior predictive density of outcomes, row by row.

        For counts and zeros and ones it is the log of a probability. The density is averaged over
        the posterior draws, and then the logarithm taken.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        y : array-like of shape (n,)
            Their outcomes.

        Returns
        -------
        ndarray of shape (n,)

        See Also
        --------
        interventional.metrics.log_density : Its mean, as a score for cross-validation.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> model.log_density(X, y).shape
        (200,)
        >>> bool(model.log_density(X, y).mean() > model.log_density(X, y + 5).mean())
        True
        """
        found = self._predictive(X)
        return found.log_density(self._read_outcome(found.columns, X, y))

    def build_model(self, X: Any, y: ArrayLike | None = None) -> "pm.Model":
        """Return the textbook PyMC model of these rows.

        A variable for each column by its name; ``y_intercept``, ``y_beta`` (dimension ``y_term``),
        ``y_sigma``, ``y_mu`` and ``y``; of an outcome with another name, as of a Series that has
        one, named after it. What comes without y may be edited, and given back as ``model=``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        y : array-like of shape (n,), optional
            With it the model is that of `fit` on these rows, its outcome observed by `pm.observe`.
            Without it the model is generative: that of the last fit, or, before any, one whose
            default priors are for an outcome of mean 0 and standard deviation 1.

        Returns
        -------
        pm.Model

        See Also
        --------
        simulate : Data from the model.

        Examples
        --------
        >>> import pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
        >>> built = BayesianInterventionRegressor().build_model(X, [0.0, 1.0, 3.0])
        >>> [variable.name for variable in built.free_RVs]
        ['y_beta', 'y_intercept', 'y_sigma']
        >>> [variable.name for variable in built.observed_RVs]
        ['y']
        """
        target = None
        if self.model is not None:
            return own.build_model(self, X, y)
        with restored(self):
            if y is None and self.__sklearn_is_fitted__():
                values, model = self._read(X), self.fitted_.model
            else:
                _, schema, values = self._read_new(X, name_of(y))
                if y is not None:
                    target = read_outcome(y, X, self)
                    check_consistent_length(values, target)
                model, _ = specify(self._draft(schema, values, name_of(y)), values, target)
        model.of_outcome.errors(values)  # must be there
        built = generative_model(model, values, list(Table.of(X).index))
        if target is None:
            return built
        return observed_rows(built, model, values, target)

    def simulate(
        self,
        X: Any,
        parameters: Mapping[str, Any],
        random_state: int | np.random.RandomState | None = None,
    ) -> pd.DataFrame:
        """Generate data: X with outcomes drawn from the model.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows. Of a `model` that is not fitted yet they may lack columns which are random
            there: these are drawn, all of them for ``pd.DataFrame(index=range(n))``.
        parameters : mapping
            What to force parameters to, by `pm.do`: ``"y_intercept"``, ``"y_sigma"``, and
            ``"y_beta"``, an array in the order of the terms or a mapping from terms to numbers.
            Of a `model` they have the names and shapes that they have there. Parameters that are
            not named are drawn from their priors.
        random_state : int, RandomState or None, default None
            Source of randomness.

        Returns
        -------
        DataFrame
            X, and the outcome as the last column.

        See Also
        --------
        build_model : The PyMC model that it draws from.

        Examples
        --------
        >>> import pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> X = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
        >>> truth = {"y_intercept": 0.0, "y_beta": {"a": 1.5, "b": 0.7}, "y_sigma": 1e-9}
        >>> BayesianInterventionRegressor().simulate(X, truth, random_state=0).round(3)
             a    b    y
        0  0.0  1.0  0.7
        1  1.0  0.0  1.5
        """
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        if self.model is not None:
            return own.simulate(self, X, parameters, int(seed))
        with restored(self):
            if self.__sklearn_is_fitted__():
                self._read(X)
                outcome, schema = self.fitted_.model.outcome, self.fitted_.model.schema
            else:
                _, schema, values = self._read_new(X, None)
                outcome = self._draft(schema, values).outcome
        built = self.build_model(X)
        drawn = simulate(built, outcome, schema, parameters, int(seed))
        return with_drawn(Table.of(X), drawn)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled."""
        return own.picklable(super().__getstate__())

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: what outcomes the family takes is among them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True  # dense inside
        tags.target_tags.positive_only = takes_positive(self.family, self.outcome)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has run."""
        return hasattr(self, "fitted_")

    def _check_fitted(self) -> None:
        if why := vars(self).get("_undetermined"):
            raise NotFittedError(f"the batches so far do not determine the model: {why}")
        check_is_fitted(self)

    @property
    def idata_(self) -> "xr.DataTree":
        """Posterior draws, as ArviZ takes them.

        See Also
        --------
        log_likelihood : The same, and what `arviz.loo` needs besides.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> model.idata_["posterior"]["sales_beta"].sizes
        Frozen({'chain': 4, 'draw': 1000, 'sales_term': 2})
        >>> model.idata_["posterior"].attrs["inference"]
        'exact'
        """
        return self.fitted_.idata

    def _sampling(self) -> Sampling:
        how = self.draws, self.tune, self.chains, self.random_state, self.n_jobs
        return Sampling.of(*how, verbose=bool(self.verbose))

    def _read_new(self, X: Any, named: Any, reset: bool = True) -> tuple[Table, Schema, Floats]:
        """Return new data, what its columns are, and its encoded rows."""
        table = read_table(X, self, reset=reset)
        schema, unreadable = Schema.of_readable(table)
        schema = labelled(schema, table, self.groups)
        values, wrong = schema.encoded(table)
        if wrong:
            named = named if reset else self._accumulated.named
            read = None if self.graph is None else draft(schema, **self._parameters(named)).read
            refuse({**wrong, **unreadable}, read)
        return table, schema, values

    def _read(self, X: Any) -> Floats:
        """Return the encoded rows of data like those that were fitted."""
        self._check_fitted()
        model = self.fitted_.model
        table = read_table(X, self, reset=False, labels=model.schema.labels)
        return self.fitted_.encoded(table, model.read_by_any)

    def _read_outcome(self, rows: Floats, X: Any, y: ArrayLike) -> Floats:
        """Return the outcomes of rows, each of which the family takes."""
        target = read_outcome(y, X, self)
        check_consistent_length(rows, target)
        self.fitted_.model.of_outcome.record.check(target, "y")
        return target

    def _facing(self, X: Any, *dos: Mapping[Any, Any] | None) -> tuple[Fitted, Table]:
        """Return the model that knows all levels in X and of those forced, and X as a table."""
        if "fitted_" not in vars(self):
            self._check_fitted()
        fitted = self.fitted_
        table = read_table(X, self, reset=False, labels=fitted.model.schema.labels)
        return fitted if self.unseen_levels == "error" else fitted.knowing(table, *dos), table

    def _predictive(self, X: Any) -> Predictive:
        """Return the predictive distribution of the outcome at rows."""
        fitted, table = self._facing(X)
        return fitted.predictive(fitted.encoded(table))

    def _draft(self, schema: Schema, values: Floats, named: str | None = None) -> Draft:
        """Return what the parameters say of rows, and of a y that the user gave a name."""
        return draft(schema, schema.zero_one(values), **self._parameters(named))

    def _parameters(self, named: str | None = None) -> dict[str, Any]:
        """Return the parameters that say what the model is, and what the user calls y."""
        return {"named": named, **{name: getattr(self, name) for name in OF_MODEL}}
