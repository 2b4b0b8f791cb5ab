"""`BayesianInterventionRegressor`: the scikit-learn face of a Bayesian structural causal model."""

import copy
from collections.abc import Collection, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import joblib
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from interventional import checks, distributed, extrapolation, forward, intervention
from interventional import confounding as unmeasured
from interventional.accumulation import Accumulated
from interventional.design import Floats, Schema
from interventional.distributed import accumulate, is_distributed, is_distributed_frame
from interventional.exceptions import UndeterminedError, listed, unknown
from interventional.families import FAMILIES, LOG, adds_up, no_batches
from interventional.inference import ENGINES, Sampling, infer_all, to_datatree
from interventional.intervention import describe
from interventional.model import generative_model
from interventional.outcomes import Outcomes, from_samples
from interventional.predictive import Predictive
from interventional.samples import Chunked, Contrast, Held, Samples, at_once, is_large
from interventional.simulation import simulate
from interventional.structural import Draft, Specification, draft, positive, specify
from interventional.support import AVERAGED, Support, joined
from interventional.unseen import extended, unseen_levels
from interventional.validation import (
    read_array,
    read_outcome,
    read_weights,
    refuse_empty,
    restored,
    restored_on_failure,
)

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr
    from pymc_extras.prior import Prior

    from interventional.sensitivity import Sensitivity

Kind = Literal["mean", "predictive"]
Table = pd.DataFrame | NDArray[Any]
_SAMPLE = ("chain", "draw")
# What is gone where rows that came in batches do not determine a model yet.
_POSTERIOR = ("_idata", "coef_", "intercept_", "graph_", "_model", "_fingerprint")


def _generator(random_state: int | np.random.RandomState | None) -> np.random.Generator:
    return np.random.default_rng(check_random_state(random_state).randint(1 << 32, size=4))


def _rest(do: Mapping[Any, Any], baseline: Mapping[Any, Any] | None) -> str:
    """Return in words what an intervention is compared with."""
    return f"{', '.join(map(str, do))} as observed" if baseline is None else describe(baseline)


def _takes_batches(estimator: "BayesianInterventionRegressor") -> bool:
    """Whether the families leave sums over rows, so that there is a `partial_fit`."""
    given, outcome = estimator.family, estimator.outcome
    for node, name in (given if isinstance(given, Mapping) else {outcome: given}).items():
        known = isinstance(name, str) and name in FAMILIES
        if known and not adds_up(name, is_outcome=node == outcome):
            raise AttributeError(no_batches(node, name))
    return True


class BayesianInterventionRegressor(RegressorMixin, BaseEstimator):
    """Bayesian regression that also answers what happens to y if a column is forced.

    A generalised linear model in the terms of a design, by default ``y ~ Normal(intercept +
    design(X) @ beta, sigma)``, written in PyMC. `fit` conditions it on data by `pm.observe`;
    `predict` is E[y | X]; `intervene` forces columns by `pm.do` and draws from the posterior
    predictive. Without a graph all other columns stay as they are: the effect is causal if the
    columns hold every common cause of the forced column and y, and nothing that the forced column
    causes. With a graph each column on the way from the forced column to y has an equation of its
    own and is regenerated, and what the graph does not identify is refused.

    Parameters
    ----------
    graph : CausalGraph, str, edges, mapping or DiGraph, optional
        The causal graph over columns and outcome, in any form that `CausalGraph` takes. Nodes that
        are no columns are unobserved. Columns that are not in it enter nothing.
    outcome : str, default "y"
        Name of the outcome in the model.
    family : str or dict of str to str, default "gaussian"
        How the outcome is distributed, or how each column is that has an equation, by name:
        ``"gaussian"``, ``"student_t"`` (outliers), ``"lognormal"``, ``"gamma"`` (both positive),
        ``"poisson"``, ``"negative_binomial"`` (both counts), ``"bernoulli"`` (0 and 1) or
        ``"beta"`` (shares between 0 and 1). Columns of bools and levels are ``"categorical"``.
    exposure : column, optional
        The column that a count is in proportion to: days, visits, inhabitants. It enters as its
        logarithm, with the coefficient 1.
    design : transformer or dict of str to transformer, optional
        A scikit-learn transformer from the columns to the design matrix, such as
        `SplineTransformer` or `PolynomialFeatures`; with a graph from the regressors of y's
        equation, or by node. By default numbers enter as they are, and categories, strings and
        objects by treatment coding.
    priors : str or dict of str to Prior or str, optional
        `pymc_extras.prior.Prior` of ``"beta"`` (every coefficient), of the terms of one column by
        its name, of one term by its name, of ``"intercept"``, and of ``"sigma"``, ``"nu"``,
        ``"alpha"`` or ``"phi"`` where the family has one; the narrower name goes first. By default
        weakly informative and scaled by the data: coefficients Normal(0, 2.5 sd(y) / sd(x)),
        intercept Normal(mean(y), 2.5 sd(y)), sigma HalfStudentT(4, sd(y)); on the scale of a log
        or logit, coefficients Normal(0, 1 / sd(x)) or Normal(0, 1.5 / sd(x)), intercept
        Normal(that of the mean, 2.5). Of coefficients also ``"ridge"``, ``"horseshoe"`` or
        ``"r2d2"``, which learn how much to shrink, and of a column of levels
        ``"partial_pooling"``; a single name is for ``"beta"``. With a graph, a dict under the name
        of a column is for that column's own equation.
    confounding : dict of str to Prior, optional
        A prior of the bias that unmeasured common causes put on the effect of a column of numbers
        or bools on y, all of its effect, per unit of the column and in units of y. The data say
        nothing of it: its posterior is its prior. ``y | do(column = v)`` of a row is less by the
        bias times ``v`` minus what the row has; what is seen, as in `predict`, is as it was. For
        Gaussian and Student's t outcomes.
    unseen_levels : {"error", "population"}, default "error"
        What to make of a level that no row of `fit` had: an error, or, where the prior of its
        column pools the levels, a draw from the population of levels.
    fit_intercept : bool, default True
        Whether the model has an intercept.
    center_predictors : bool, default True
        Whether the prior of the intercept holds where the predictors are at their means; else it
        holds at zero.
    inference : {"auto", "exact", "nuts", "laplace", "advi", "pathfinder"}, default "auto"
        ``"exact"``: independent draws from the exact posterior, for Gaussian and lognormal
        equations under Normal and Flat priors of the coefficients, one group of which may learn
        its scale. ``"nuts"``: NUTS. ``"laplace"``, ``"advi"``, ``"pathfinder"``: Gaussian
        approximations, which warn where they are poor ones. ``"auto"``: exact wherever it applies,
        else NUTS.
    draws, tune, chains : int, default 1000, 1000, 4
        Draws a chain, warm-up iterations a chain (NUTS), and chains.
    random_state : int, RandomState or None, default None
        Source of randomness of `fit`; what a fitted model answers is then deterministic.
    n_jobs : int, optional
        How many chains NUTS runs side by side.
    verbose : bool, default False
        Whether to show progress.

    Attributes
    ----------
    idata_ : DataTree
        Posterior draws, as ArviZ takes them; with `confounding`, a group of that name has those of
        the biases.
    coef_ : ndarray of shape (n_terms,)
        Posterior means of the coefficients, a term of the design each, on the scale of the link.
    intercept_ : float
        Posterior mean of the intercept at zero; 0.0 without an intercept.
    graph_ : CausalGraph or None
        The graph over columns and outcome, unobserved nodes projected out.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, where X has names.

    See Also
    --------
    interventional.intervene : The same for a whole pipeline.
    interventional.Outcomes : What `intervene` returns.

    Notes
    -----
    The default priors are those of rstanarm and Bambi. The exact posterior is that of Gelman et
    al. (2013), *Bayesian Data Analysis*, section 14.8, with the posterior of sigma inverted
    numerically.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from interventional import BayesianInterventionRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    >>> y = 1.5 * X["a"] + 0.7 * X["b"] + 0.3 * X["c"] + 0.2 * rng.normal(size=100)
    >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    >>> model.coef_.round(1)
    array([1.5, 0.7, 0.3])
    >>> effect = model.effect(X, do={"b": 1}, baseline={"b": 0}).average()
    >>> effect.mean().round(1), effect.probability(above=0)
    (array([0.7]), array([1.]))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "graph": "no_validation",
        "outcome": [str],
        "family": [str, Mapping],
        "exposure": "no_validation",
        "design": [HasMethods(["fit", "transform"]), Mapping, None],
        "priors": [Mapping, str, None],
        "confounding": [Mapping, None],
        "unseen_levels": [StrOptions({"error", "population"})],
        "fit_intercept": ["boolean"],
        "center_predictors": ["boolean"],
        "inference": [StrOptions(set(ENGINES))],
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
        outcome: str = "y",
        family: str | Mapping[str, str] = "gaussian",
        exposure: Any = None,
        design: Any = None,
        priors: "Mapping[str, Prior | str] | str | None" = None,
        confounding: "Mapping[str, Prior] | None" = None,
        unseen_levels: Literal["error", "population"] = "error",
        fit_intercept: bool = True,
        center_predictors: bool = True,
        inference: Literal["auto", "exact", "nuts", "laplace", "advi", "pathfinder"] = "auto",
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.graph = graph
        self.outcome = outcome
        self.family = family
        self.exposure = exposure
        self.design = design
        self.priors = priors
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
        X : array-like or DataFrame of shape (n, columns)
            Columns of numbers, bools, categories or strings.
        y : array-like of shape (n,)
            The outcome.
        sample_weight : array-like of shape (n,), optional
            Frequencies: a row of weight 3 is three rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If something is wrong with the data or a parameter. The estimator is then as before.
        """
        with restored_on_failure(self):
            if is_distributed(X):
                self._read_meta(X)
                total = accumulate(self, X, y, sample_weight)
                self._condition(draft(self._specification(), total.schema), total)
                return self
            schema, values, target, weights = self._read_training(X, y, sample_weight)
            parsed = draft(self._specification(), schema)
            seen = parsed.as_seen(self.outcome, target)
            accumulated = Accumulated.of(schema, parsed.columns, values, seen, weights)
            self._condition(parsed, accumulated, values, target, weights)
        return self

    @available_if(_takes_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Condition the model on more data, beside what it has seen.

        What Gaussian equations see of their rows is a sum over rows. So whatever the batches, the
        posterior is the one that `fit` has on all rows at once, to rounding, default priors
        included. A batch may lack levels that others have.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`: rows that were not given before.

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
            If some family is neither Gaussian nor, for the outcome, lognormal: the estimator then
            has no such method, as `hasattr` tells.

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
                self._read_meta(X, reset=before is None)
                batch = accumulate(self, X, y, sample_weight)
            else:
                batch = self._batch(X, y, sample_weight, first=before is None)
            total = batch if before is None else before + batch
            try:
                self._condition(draft(self._specification(), total.schema), total)
            except UndeterminedError as error:
                for name in set(_POSTERIOR) & set(vars(self)):
                    delattr(self, name)
                self._accumulated, self._undetermined = total, str(error)
        return self

    def _batch(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, first: bool = True
    ) -> Accumulated:
        """Return what Gaussian equations see of a batch."""
        schema, values, target, weights = self._read_training(X, y, sample_weight, first)
        parsed = draft(self._specification(), schema)
        parsed.refuse_batches()
        target = parsed.as_seen(self.outcome, target)
        return Accumulated.of(schema, parsed.columns, values, target, weights)

    def _read_training(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, first: bool = True
    ) -> tuple[Schema, Floats, Floats, Floats | None]:
        """Return what the columns are, encoded rows, the outcome, and weights above zero."""
        target = read_outcome(y, X, self)
        schema, values = self._read_new(X, reset=first)
        check_consistent_length(values, target)
        weights = read_weights(sample_weight, X, len(values))
        if weights is not None and not weights.all():
            kept = weights > 0
            values, target, weights = values[kept], target[kept], weights[kept]
        return schema, values, target, weights

    def _condition(
        self,
        parsed: Draft,
        accumulated: Accumulated,
        values: Floats | None = None,
        target: Floats | None = None,
        weights: Floats | None = None,
    ) -> None:
        """Draw from the posterior, given rows, or what is left of rows that came in batches."""
        sampling = self._sampling()
        model, seen = specify(parsed, values, target, weights, accumulated)
        biases = unmeasured.parse(self.confounding or {}, model)
        posteriors = infer_all(model, seen, self.inference, sampling)
        self._idata = to_datatree(model, posteriors)
        self._model = model
        if biases:
            drawn = unmeasured.draw(biases, model, self._shape, sampling.seed)
            self._idata["confounding"] = unmeasured.group(drawn)
        self._seed = sampling.seed
        self._accumulated = accumulated
        self._undetermined = ""
        draws = self._draws()
        self._fingerprint = joblib.hash((draws, self._biases()) if biases else draws)
        self.coef_ = draws[f"{self.outcome}_beta"].mean(axis=0)
        self.intercept_ = 0.0
        if model.of_outcome.has_intercept:
            self.intercept_ = float(draws[f"{self.outcome}_intercept"].mean())
        self.graph_ = model.graph

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
            noise included; for ``family="student_t"`` infinite if nu <= 2 in any draw.

        Returns
        -------
        ndarray of shape (n,), or a pair of them; for Dask rows a Dask Series or Array
        """
        if is_distributed(X):
            self._check_fitted()
            if return_std:
                raise ValueError("return_std=True takes rows in memory; X is a Dask collection")
            return distributed.predict(self, X)
        self, values = self._facing(X)
        equation = self._model.of_outcome
        if equation.is_linear and not return_std:
            return equation.matrix(values) @ self.coef_ + self.intercept_
        found = Predictive.of(equation, values, self._draws())
        return (found.mean(), found.std()) if return_std else found.mean()

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
        """
        if not isinstance(n_samples, Integral) or n_samples < 0:
            raise ValueError(f"n_samples must be a whole number, not negative, got {n_samples!r}")
        found, rng = self._predictive(X), _generator(random_state)
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
        size = checks.positive_size(n_samples)
        found = self._predictive(X)
        target = self._read_outcome(found.matrix, X, y)
        labels = checks.labels_of(X, len(target))
        return checks.posterior_predictive(found, target, labels, size, _generator(random_state))

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
        with restored(self):
            schema, values, target, _ = self._read_training(X, y, None)
            model, _ = specify(draft(self._specification(), schema), values, target)
        labels = checks.labels_of(X, len(target))
        rng = _generator(random_state)
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
        import xarray as xr

        found = self._predictive(X)
        target = self._read_outcome(found.matrix, X, y)
        densities = found.log_likelihood(target).held().reshape(*self._shape, len(target))
        seen = checks.observed(self.outcome, target, checks.labels_of(X, len(target)))
        sample = {name: np.arange(size) for name, size in zip(_SAMPLE, self._shape, strict=True)}
        both = {
            "/log_likelihood": xr.Dataset(
                {self.outcome: ((*_SAMPLE, "obs"), densities)}, {**sample, **seen.coords}
            ),
            "/observed_data": seen,
        }
        groups = {f"/{name}": group.to_dataset() for name, group in self.idata_.children.items()}
        return xr.DataTree.from_dict({**groups, **both})

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
        interventional.metrics : Scorers that take it through cross-validation.
        """
        found = self._predictive(X)
        return found.log_density(self._read_outcome(found.matrix, X, y))

    def intervene(self, X: Any, do: Mapping[Any, Any], *, kind: Kind = "mean") -> Outcomes:
        """Answer what y will be for such rows if some columns are forced.

        Columns in `do` take the forced value, and `pm.do` cuts what causes them. Columns that the
        graph has between them and y are regenerated from their equations, for each posterior draw:
        what X holds for these is not used. All other columns keep the row's value; without a graph
        those are all. The posterior predictive is drawn from the PyMC graph that results.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do : mapping
            A column to what it is forced to: a number, a level, an array or Series of n values (a
            Series is aligned on X's index), a callable ``f(X) -> column``, or a frozen
            `scipy.stats` distribution, drawn for each row and posterior draw. All entries act at
            once and read X as it was before.
        kind : {"mean", "predictive"}, default "mean"
            The expected outcome, or a new outcome, noise included. In an expected outcome the
            noise of regenerated columns is averaged out: in closed form where they enter linear
            equations of numbers only, as a sum over levels where only columns of levels remain,
            else over 50 draws of theirs for each posterior draw.

        Returns
        -------
        Outcomes

        Raises
        ------
        NotIdentifiedError
            If the graph does not license an answer; it names the open path.
        ValueError, TypeError
            If `do` names an unknown column or the outcome, is empty, or forces a value that its
            column cannot take.

        Warns
        -----
        ExtrapolationWarning
            If 5% of the rows or more are forced beyond what was seen when the model was fitted:
            out of a column's range, or to what rows with such covariates did not have; or any row
            farther out of the range than the range is wide. `Outcomes.support` says it row by row.

        See Also
        --------
        effect : The difference from what was observed, or from another intervention.
        """
        if is_distributed(X):
            self._refuse_before_dask(do, kind)
            estimand = self._estimand(describe(do), kind)
            self._warn_before_dask(estimand, do)
            return distributed.answer(self, "_intervene", X, estimand, do, kind=kind)
        outcomes = self._intervene(X, do, kind=kind)
        extrapolation.warn(outcomes._support, outcomes.estimand)
        return outcomes

    def _intervene(self, X: Any, do: Mapping[Any, Any], *, kind: Kind = "mean") -> Outcomes:
        """Return what `intervene` does, without a warning."""
        self, rows, values = self._facing_table(X, do)
        query = self._asked(do, rows, values)
        return self._outcomes(rows, query, kind, describe(do), self._supported(query))

    def effect(
        self,
        X: Any,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None = None,
        *,
        kind: Kind = "mean",
    ) -> Outcomes:
        """Answer what difference forcing some columns makes, row by row.

        Both sides use the same posterior draw and the same noise.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do : mapping
            As in `intervene`.
        baseline : mapping, optional
            What to compare with, as `do`; by default the same columns, forced to the values at
            which they were observed.
        kind : {"mean", "predictive"}, default "mean"
            As in `intervene`.

        Returns
        -------
        Outcomes
            Draws of the outcome under `do` minus those under `baseline`.

        Warns
        -----
        ExtrapolationWarning
            As in `intervene`, if either side is forced beyond what was seen.
        """
        if is_distributed(X):
            self._refuse_before_dask(do, kind)
            if baseline is not None:
                self._refuse_before_dask(baseline, kind)
            estimand = self._difference(do, baseline, kind)
            self._warn_before_dask(estimand, do, baseline or {})
            return distributed.answer(self, "_effect", X, estimand, do, baseline, kind=kind)
        outcomes = self._effect(X, do, baseline, kind=kind)
        extrapolation.warn(outcomes._support, outcomes.estimand)
        return outcomes

    def _effect(
        self,
        X: Any,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None = None,
        *,
        kind: Kind = "mean",
    ) -> Outcomes:
        """Return what `effect` does, without a warning."""
        self, rows, values = self._facing_table(X, do, baseline)
        query, at_rest = self._sides(do, baseline, rows, values)
        rest = _rest(do, baseline)
        treated = self._outcomes(rows, query, kind, describe(do), self._supported(query))
        return treated - self._outcomes(rows, at_rest, kind, rest, self._supported(at_rest))

    def sensitivity(
        self,
        X: Any,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None = None,
        *,
        benchmarks: Any = None,
        multiples: ArrayLike = (1, 2, 3),
        threshold: float = 0.0,
        prob: float | None = None,
    ) -> "Sensitivity":
        """Answer how strong unmeasured confounding must be to change an average effect.

        For an effect that is one coefficient of a Gaussian outcome's equation: the bias of leaving
        out a confounder, in terms of what it would explain of the forced column and of the outcome
        (Cinelli and Hazlett 2020), for each posterior draw. What it needs of the rows of `fit` is
        kept; X, as in `effect`, says over which rows the effect is averaged.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do, baseline : mapping
            As in `effect`, of one column.
        benchmarks : column or list, optional
            Covariates to compare a confounder with: columns, or lists of columns as one group
            each. A column of levels is a group by itself.
        multiples : float or list of float, default (1, 2, 3)
            How many times as strong as a benchmark.
        threshold : float, default 0.0
            The effect at which the conclusion would be another one.
        prob : float, optional
            The probability that intervals, which are equal-tailed, hold; by default ArviZ's
            ``rcParams["stats.ci_prob"]``.

        Returns
        -------
        Sensitivity
            Its `summary` and `bounds` are tables, `plot` is a picture, and it prints as words.

        Raises
        ------
        ValueError, TypeError
            If the effect is not one coefficient: several columns are forced, mediators are on the
            way, or there is a `design`; if the outcome is not Gaussian; or if a benchmark is no
            regressor of its equation, or too strong for its multiples.

        See Also
        --------
        Outcomes.e_value : The like for ratios of binary outcomes.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> age = rng.normal(size=500)
        >>> dose = 0.3 * age + rng.normal(size=500)
        >>> y = 0.5 * dose + 0.3 * age + rng.normal(size=500)
        >>> X = pd.DataFrame({"dose": dose, "age": age})
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, do={"dose": 1}, baseline={"dose": 0}, benchmarks="age", multiples=[1, 2]
        ... )
        >>> found.robustness_value().mean().round(1)
        array([0.4])
        >>> found.bounds()["mean"].round(1).tolist()
        [0.3, 0.2]
        """
        from interventional.sensitivity import analyse

        if is_distributed(X):
            self._check_fitted()
            raise ValueError(
                "sensitivity takes rows in memory; X is a Dask collection. If do and baseline are "
                "the same for all rows, any of them do, such as X.head()"
            )
        facing, rows, values = self._facing_table(X, do, baseline)

        def average(draws: Floats) -> Outcomes:
            return from_samples(
                Held(draws[:, None]),
                self._shape,
                pd.Index(["average"]),
                f"average of {self._difference(do, baseline, 'mean')}",
                posterior=self._fingerprint,
                support=AVERAGED,
                scale="mixed",
            )

        sides = facing._sides(do, baseline, rows, values)
        for side in sides:
            self._refuse_biased("sensitivity", side, "so that effects allow for it already")
        return analyse(  # the model of fit: what it has seen has no other levels
            self._model,
            self._accumulated,
            self._draws(),
            sides,
            average,
            benchmarks=benchmarks,
            multiples=multiples,
            threshold=threshold,
            prob=prob,
        )

    def counterfactual(self, X: Any, y: ArrayLike, do: Mapping[Any, Any]) -> Outcomes:
        """Answer what y would have been for these very rows, had some columns been forced.

        Abduction: each equation that the intervention reaches leaves a residual for each row and
        posterior draw, given the row's own X and y. Action and prediction: the columns are forced,
        and what follows is computed again with these residuals in place of new noise (Pearl 2009,
        *Causality*, theorem 7.1.7).

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        y : array-like of shape (n,)
            What happened to them.
        do : mapping
            As in `intervene`.

        Returns
        -------
        Outcomes

        Raises
        ------
        NotIdentifiedError
            If the graph does not license an answer, or a node that the intervention reaches shares
            an unobserved cause with another.
        ValueError
            If a node that the intervention reaches is categorical: its noise is not additive, and
            the data cannot tell what it was.

        See Also
        --------
        intervene : The outcome of such rows, whatever their own noise was.
        """
        self, rows, values = self._facing_table(X, do)
        target = self._read_outcome(values, X, y)
        query = self._asked(do, rows, values)
        observed = {self.outcome: target}
        for node in (*query.regenerated, self.outcome):
            equation = self._model.equation(node)
            if equation.is_categorical or equation.record.noise is None:
                raise ValueError(
                    f"counterfactual: the intervention changes {node!r}, whose noise is not "
                    "additive, so that no residual of the row's own can be kept; use intervene"
                )
            if node != self.outcome:
                observed[node] = values[:, self._model.schema.names.index(node)]
                equation.record.check(observed[node], f"column {node!r}")
        self._refuse_confounded_mediators(query)
        samples = unmeasured.unbiased(
            forward.Retrospective(self._model, query, self._draws(), self._seed, observed),
            self._biases(),
        )
        estimand = f"{self.outcome} had it been that {describe(do)}"
        supported = self._supported(query)
        extrapolation.warn(supported, estimand)
        return self._as_outcomes(rows, samples, estimand, supported)

    def decompose(
        self, X: Any, do: Mapping[Any, Any], baseline: Mapping[Any, Any] | None = None
    ) -> dict[str, Outcomes]:
        """Split an effect into what goes through mediators and what does not.

        The natural direct effect changes the forced columns while mediators are as under the
        baseline; the natural indirect effect changes mediators alone, with the forced columns as
        under `do` (Pearl 2001). They add up to the total, draw by draw: both sides use the same
        posterior draw and the same noise of mediators.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do, baseline : mapping
            As in `effect`.

        Returns
        -------
        dict of Outcomes
            ``"direct"``, ``"indirect"`` and ``"total"``. Each draw holds one draw of the
            mediators: averages over rows are those of the effect, intervals of single rows hold
            the mediators' noise.
        """
        self, rows, values = self._facing_table(X, do, baseline)
        treated, rested = self._sides(do, baseline, rows, values)
        if set(rested.forced) != set(treated.forced):
            raise ValueError(
                f"decompose: do forces {listed(treated.forced)}, baseline "
                f"{listed(rested.forced)}; they must force the same columns"
            )
        self._refuse_biased("decompose", treated, "which does not say how the parts are biased")
        self._refuse_confounded_mediators(treated)
        draws = self._draws()

        def outcome(query: forward.Query, mediators: forward.Query) -> Samples:
            return at_once(forward.Through(self._model, query, draws, self._seed, mediators))

        neither = outcome(rested, rested)
        direct = outcome(treated, rested)
        both = outcome(treated, treated)
        words = describe(do)
        known = joined(self._supported(treated), self._supported(rested))
        extrapolation.warn(known, f"effect on {self.outcome} of {words}")
        parts = {"direct": (direct, neither), "indirect": (both, direct), "total": (both, neither)}
        return {
            name: self._as_outcomes(
                rows,
                Contrast(*pair, "-"),
                f"{name} effect on {self.outcome} of {words}",
                known,
            )
            for name, pair in parts.items()
        }

    def refute(
        self,
        X: Any,
        y: ArrayLike,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        n_repeats: int = 20,
        alpha: float = 0.01,
        random_state: int | np.random.RandomState | None = 0,
    ) -> pd.DataFrame:
        """Check what is known beforehand of an average effect, by refits.

        None of the checks can prove an effect, and none sees a confounder that X lacks: each is a
        way to find that something is wrong. Clones with the same parameters are fitted; the
        estimator stays as it is, and need not be fitted.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows, as in `fit`. Rows of one person, place or time next to each other.
        y : array-like of shape (n,)
            Their outcomes.
        do, baseline : mapping
            As in `effect`.
        sample_weight : array-like of shape (n,), optional
            As in `fit`. A row of weight 3 becomes three rows.
        n_repeats : int, default 20
            Refits a check; five checks there are, and one fit to all rows.
        alpha : float, default 0.01
            How often a check may fail though the model is right.
        random_state : int, RandomState or None, default 0
            Source of randomness; the one of the estimator is not used.

        Returns
        -------
        DataFrame
            A row a check. ``expected``: the average effect there should be, in units of y;
            ``estimate``: the mean of the refits; ``spread``: how far they are off, as a root mean
            square; ``allowed``: how far a right model is; ``p_value``: how often a right model is
            off so far or farther; ``passed``: whether that is at least alpha; ``verdict``: a
            sentence. A check that says nothing here has NaN, NA and the reason. The checks:

            placebo column
                The forced columns permuted, jointly: no effect.
            dummy outcome
                The outcomes permuted, with their exposures: no effect.
            random common cause
                Noise as one more column, and in the graph as one more cause of y: the same effect.
            data subset
                A random 80% of the rows: the same effect.
            consecutive rows
                One of `n_repeats` runs of consecutive rows left out in turn: the same effect.

        Raises
        ------
        NotIdentifiedError
            If the graph does not license the effect; before any fit.
        ValueError, TypeError
            If something is wrong with the data or a parameter.

        See Also
        --------
        CausalGraph.check : Whether the data bear out the graph.

        Notes
        -----
        The squares of what refits are off, divided by the variances that their posteriors grant,
        are held against a chi-square distribution. On rows left out these variances are the
        posterior's times the share left out (Hausman 1978). Where an equation is Poisson, the
        first two checks hold the mean of the refits against their own spread instead: counts
        without the column that drives them are overdispersed even if the model is right. Means
        and averages over rows are taken inside each draw.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
        >>> y = X["a"] + 2 * X["b"] + rng.normal(size=200)
        >>> model = BayesianInterventionRegressor()
        >>> found = model.refute(X, y, do={"b": 1}, baseline={"b": 0}, n_repeats=5)
        >>> found[["expected", "estimate", "passed"]].round(1)
                             expected  estimate  passed
        check
        placebo column            0.0      -0.1    True
        dummy outcome             0.0      -0.0    True
        random common cause       2.1       2.1    True
        data subset               2.1       2.1    True
        consecutive rows          2.1       2.1    True
        """
        from interventional import refutation

        return refutation.refute(
            self,
            X,
            y,
            do,
            baseline,
            sample_weight=sample_weight,
            n_repeats=n_repeats,
            alpha=alpha,
            random_state=random_state,
        )

    def build_model(self, X: Any, y: ArrayLike | None = None) -> "pm.Model":
        """Return the textbook PyMC model of these rows.

        A variable for each column by its name; ``y_intercept``, ``y_beta`` (dimension ``y_term``),
        ``y_sigma``, ``y_mu`` and ``y`` (for another `outcome`, named after it).

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
        """
        import pymc as pm

        target = None
        with restored(self):
            if y is None and self.__sklearn_is_fitted__():
                values, model = self._read(X), self._model
            else:
                schema, values = self._read_new(X)
                if y is not None:
                    target = read_outcome(y, X, self)
                    check_consistent_length(values, target)
                model, _ = specify(draft(self._specification(), schema), values, target)
        index = X.index if isinstance(X, pd.DataFrame) else range(len(values))
        built = generative_model(model, values, list(index))
        if target is None:
            return built
        observed = {
            equation.node: values[:, model.schema.names.index(equation.node)]
            for equation in model.equations[:-1]
        }
        observed[self.outcome] = target
        return pm.observe(
            built, {node: column.astype(built[node].dtype) for node, column in observed.items()}
        )

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
            The rows.
        parameters : mapping
            What to force parameters to, by `pm.do`: ``"y_intercept"``, ``"y_sigma"``, and
            ``"y_beta"``, an array in the order of the terms or a mapping from terms to numbers.
            Parameters that are not named are drawn from their priors.
        random_state : int, RandomState or None, default None
            Source of randomness.

        Returns
        -------
        DataFrame
            X, and the outcome as the last column.

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
        with restored(self):
            fitted = self.__sklearn_is_fitted__()
            schema, _ = (self._model.schema, self._read(X)) if fitted else self._read_new(X)
        built = self.build_model(X)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        drawn = simulate(built, self.outcome, schema, parameters, int(seed))
        table = (X if isinstance(X, pd.DataFrame) else self._as_frame(X)).copy()
        depth = table.columns.nlevels
        for label, column in drawn.items():
            # of a MultiIndex, whose labels are tuples, a name alone is the first part
            whole = isinstance(label, tuple) or depth == 1
            table[label if whole else (label, *[""] * (depth - 1))] = column
        return table

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: what outcomes the family takes is among them."""
        tags = super().__sklearn_tags__()
        family = self.family
        if isinstance(family, Mapping):
            family = family.get(self.outcome, "gaussian")
        record = FAMILIES.get(family) if isinstance(family, str) else None
        tags.target_tags.positive_only = record is not None and record.link is LOG
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has run."""
        return hasattr(self, "_idata")

    def _check_fitted(self) -> None:
        why = vars(self).get("_undetermined")
        if why:
            raise NotFittedError(f"the batches so far do not determine the model: {why}")
        check_is_fitted(self)

    @property
    def idata_(self) -> "xr.DataTree":
        """Posterior draws, as ArviZ takes them."""
        if isinstance(self._idata, dict):  # from a pickle, and not asked for until now
            import xarray as xr

            groups = {key: xr.Dataset.from_dict(group) for key, group in self._idata.items()}
            self._idata = xr.DataTree.from_dict(groups)
        return self._idata

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, draws as plain arrays: any reader of pickles takes these."""
        state = dict(super().__getstate__())
        if "_idata" in state:
            state["idata_"] = state.pop("_idata")
        if "idata_" in state and not isinstance(state["idata_"], dict):
            groups = state["idata_"].children.items()
            state["idata_"] = {key: group.to_dataset().to_dict("array") for key, group in groups}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state that `__getstate__` gave."""
        if "idata_" in state:
            state = {**state, "_idata": state["idata_"]}
            del state["idata_"]
        super().__setstate__(state)

    def _sampling(self) -> Sampling:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        draws, tune, chains = int(self.draws), int(self.tune), int(self.chains)  # bools are ints
        return Sampling(draws, tune, chains, int(seed), n_jobs, bool(self.verbose))

    def _read_new(self, X: Any, reset: bool = True) -> tuple[Schema, Floats]:
        """Return what the columns of new data are, and their encoded rows."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=reset)
            refuse_empty(X)
            schema = Schema.of(X)
            return schema, schema.encode(X)
        values = read_array(X, self, reset=reset)
        schema = Schema.of(values)
        return schema, schema.encode(values)

    def _read_meta(self, X: Any, reset: bool = True) -> None:
        """Note names and number of the columns of a Dask collection."""
        if is_distributed_frame(X):
            validate_data(self, X._meta, skip_check_array=True, reset=reset)
        else:
            validate_data(self, np.empty((1, X.shape[1])), skip_check_array=True, reset=reset)

    def _read(self, X: Any) -> Floats:
        """Return the encoded rows of data like those that were fitted."""
        self._check_fitted()
        schema = self._model.schema
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=False)
            refuse_empty(X)
            # scikit-learn compares names that are strings; other labels are names here too.
            if schema.labels is not None and tuple(X.columns) != schema.labels:
                raise ValueError(
                    f"the columns of X are {listed(X.columns)}; they must be those of fit, in the "
                    f"same order: {listed(schema.labels)}"
                )
            return self._with_exposure(schema.encode(X))
        return self._with_exposure(schema.encode(read_array(X, self, reset=False)))

    def _with_exposure(self, values: Floats) -> Floats:
        """Return encoded rows, whose exposures must be positive."""
        exposure = self._model.of_outcome.exposure
        if exposure is not None:
            positive(values[:, exposure])
        return values

    def _read_outcome(self, rows: Floats, X: Any, y: ArrayLike) -> Floats:
        """Return the outcomes of rows, each of which the family takes."""
        target = read_outcome(y, X, self)
        check_consistent_length(rows, target)
        self._model.of_outcome.record.check(target, "y")
        return target

    def _facing(self, X: Any, *dos: Mapping[Any, Any] | None) -> "tuple[Self, Floats]":
        """Return the estimator that knows all levels in X, and encoded rows.

        It is another one where levels never seen in training are asked for, and allowed.
        """
        self._check_fitted()
        if self.unseen_levels == "error" or not isinstance(X, pd.DataFrame):
            return self, self._read(X)
        validate_data(self, X, skip_check_array=True, reset=False)
        found = unseen_levels(self._model, X, [do for do in dos if do is not None])
        if not found:
            return self, self._read(X)
        wider = copy.copy(self)
        wider._model, wider._extended = extended(
            self._model, self._draws(with_scales=True), found, self._seed
        )
        wider.coef_ = wider._extended[f"{self.outcome}_beta"].mean(axis=0)
        return wider, wider._read(X)

    def _predictive(self, X: Any) -> Predictive:
        """Return the predictive distribution of the outcome at rows."""
        wider, values = self._facing(X)
        return Predictive.of(wider._model.of_outcome, values, wider._draws())

    def _facing_table(
        self, X: Any, *dos: Mapping[Any, Any] | None
    ) -> "tuple[Self, Table, Floats]":
        """Return the estimator that knows all levels, rows as a policy sees them, and encoded."""
        wider, values = self._facing(X, *dos)
        if is_large(self._n_draws, len(values)):  # what is computed later is of X as it is now
            values = np.array(values, order="C")
        return wider, X if isinstance(X, pd.DataFrame) else values, values

    def _specification(self) -> Specification:
        return Specification(
            self.outcome,
            self.graph,
            self.design,
            self.priors,
            self.fit_intercept,
            self.center_predictors,
            self.inference,
            self.family,
            self.exposure,
        )

    def _draws(self, *, with_scales: bool = False) -> dict[str, Floats]:
        """Return the posterior draws of all equations' parameters, (draws, ...) each.

        With `with_scales` those of the scales too that priors have learnt.
        """
        if "_extended" in vars(self):
            return self._extended
        found = {}
        for equation in self._model.equations:
            names = equation.parameters
            if with_scales:
                names += tuple(
                    equation.scale_name(group)
                    for group in equation.priors.groups
                    if group.prior.learns_scale
                )
            for name in names:
                values = self._posterior(name)
                # not -1, which a model without terms would leave undetermined
                found[name] = values.reshape(self._n_draws, *values.shape[2:])
        return found

    def _biases(self) -> dict[str, Floats]:
        """Return draws of the biases that have a prior, (draws,) each, by column."""
        if "confounding" not in self._idata:
            return {}
        group = self._idata["confounding"]
        names = group["data_vars"] if isinstance(self._idata, dict) else group.dataset.data_vars
        return {str(name): self._posterior(str(name), "confounding").ravel() for name in names}

    def _posterior(self, name: str, group: str = "posterior") -> Floats:
        """Return the posterior draws of a variable, (chains, draws, ...); xarray is not needed."""
        if isinstance(self._idata, dict):
            return np.asarray(self._idata[group]["data_vars"][name]["data"])
        return np.asarray(self._idata[group].variables[name].values)

    @property
    def _shape(self) -> tuple[int, int]:
        """How many chains there are, and draws of each."""
        chains, draws = self._posterior(self._model.of_outcome.parameters[0]).shape[:2]
        return chains, draws

    @property
    def _n_draws(self) -> int:
        return int(np.prod(self._shape))

    def _asked(self, do: Mapping[Any, Any], rows: Table, values: Floats) -> forward.Query:
        """Return what the user asks, parsed."""
        schema = self._model.schema
        forced = intervention.parse_do(
            do, rows, schema, values, self.outcome, self._n_draws, self._seed
        )
        reads: frozenset[str] = frozenset()
        if self._model.graph is not None:
            reads = intervention.columns_read(do, rows, schema.names)
        return self._query(values, forced, reads)

    def _sides(
        self,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None,
        rows: Table,
        values: Floats,
    ) -> tuple[forward.Query, forward.Query]:
        """Return what is asked, and what it is compared with."""
        query = self._asked(do, rows, values)
        if baseline is None:
            return query, self._as_observed(query)
        if isinstance(baseline, Mapping) and not baseline:
            raise ValueError(
                "baseline is empty; leave it out to compare with the same columns as observed"
            )
        return query, self._asked(baseline, rows, values)

    def _as_observed(self, query: forward.Query) -> forward.Query:
        """Return the query that forces the same columns to the values they were observed at."""
        names = self._model.schema.names
        forced: dict[str, intervention.Forced] = {
            name: query.values[:, names.index(name)] for name in query.forced
        }
        return self._query(query.values, forced, frozenset(forced))

    def _query(
        self, values: Floats, forced: Mapping[str, intervention.Forced], reads: frozenset[str]
    ) -> forward.Query:
        """Return an intervention and what it reaches; refuse what the graph does not license.

        `reads` names the columns from whose factual values the forced values are computed.
        """
        exposure = self._model.of_outcome.exposure
        exposures = None if exposure is None else forced.get(self._model.schema.names[exposure])
        if exposures is not None:
            if isinstance(exposures, Chunked):
                exposures = exposures.first_chunk().ravel()
            positive(exposures)
        reached = self._model.reached(frozenset(forced), reads)
        self._refuse_fractions(values, forced, reached)
        return forward.Query(values, forced, reached)

    def _refuse_fractions(
        self,
        values: Floats,
        forced: Mapping[str, intervention.Forced],
        reached: tuple[str, ...],
    ) -> None:
        """Refuse what is no count where a column of counts is given: it would be rounded."""
        for equation in self._model.equations[:-1]:
            node = equation.node
            if equation.is_categorical or not equation.is_discrete or node in reached:
                continue
            held, where = forced.get(node), f"do[{node!r}]"
            if held is None:
                held, where = values[:, self._model.schema.names.index(node)], f"column {node!r}"
            elif isinstance(held, Chunked):
                drawn = held.first_chunk()
                held = drawn[np.argmax(~equation.record.takes(drawn).all(axis=1))]
            equation.record.check(held, where)

    def _refuse_biased(self, method: str, query: forward.Query, why: str) -> None:
        """Refuse effects whose bias has a prior."""
        biased = [name for name in (*query.forced, *query.regenerated) if name in self._biases()]
        if biased:
            raise ValueError(
                f"{method}: confounding has a prior of the bias of {listed(biased)}, {why}; fit "
                "without it"
            )

    def _refuse_confounded_mediators(self, query: forward.Query) -> None:
        """Refuse what mixes worlds if mediators and outcome share causes nobody observed."""
        if query.regenerated:
            self._model.reached(frozenset((*query.forced, *query.regenerated)))

    @property
    def _seen_in_fit(self) -> Accumulated | None:
        """What the rows of fit were; None from a pickle that did not keep it."""
        return vars(self).get("_accumulated")

    def _supported(self, query: forward.Query, *, apart: Collection[str] = ()) -> Support | str:
        """Return how well the training rows support a query."""
        return extrapolation.judge(self._model, self._seen_in_fit, query, apart=apart)

    def _outcomes(
        self,
        rows: Table,
        query: forward.Query,
        kind: Kind,
        words: str,
        supported: Support | str,
    ) -> Outcomes:
        if kind not in ("mean", "predictive"):
            raise ValueError(unknown("kind", kind, ("mean", "predictive")))
        answer = forward.Predictive if kind == "predictive" else forward.Expected
        samples = unmeasured.unbiased(
            answer(self._model, query, self._draws(), self._seed), self._biases()
        )
        return self._as_outcomes(rows, samples, self._estimand(words, kind), supported)

    def _estimand(self, words: str, kind: Kind) -> str:
        estimand = f"{self.outcome} | do({words})"
        return estimand if kind == "predictive" else f"E[{estimand}]"

    def _difference(
        self, do: Mapping[Any, Any], baseline: Mapping[Any, Any] | None, kind: Kind
    ) -> str:
        sides = describe(do), _rest(do, baseline)
        return " - ".join(self._estimand(side, kind) for side in sides)

    def _refuse_before_dask(self, do: Mapping[Any, Any], kind: Kind) -> None:
        """Refuse at the call what no partition could answer."""
        self._check_fitted()
        if kind not in ("mean", "predictive"):
            raise ValueError(unknown("kind", kind, ("mean", "predictive")))
        names = intervention.forced_names(do, self._model.schema, self.outcome)
        self._model.reached(frozenset(names))

    def _warn_before_dask(self, estimand: str, *dos: Mapping[Any, Any]) -> None:
        """Warn at the call of forced numbers that no training row is near to."""
        forced: list[tuple[str, Any]] = []
        for do in filter(None, dos):
            names = intervention.forced_names(do, self._model.schema, self.outcome)
            forced += zip(names, do.values(), strict=True)
        extrapolation.warn_of_numbers(self._seen_in_fit, forced, estimand)

    def _as_outcomes(
        self, rows: Table, samples: Samples, estimand: str, supported: Support | str
    ) -> Outcomes:
        # A copy: what the user does to X afterwards is not what the rows were.
        table = (rows if isinstance(rows, pd.DataFrame) else self._as_frame(rows)).copy()
        return from_samples(
            at_once(samples),
            self._shape,
            table.index,
            estimand,
            table,
            self._fingerprint,
            supported,
        )

    def _as_frame(self, X: Any) -> pd.DataFrame:
        array = np.asarray(X)
        return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])], copy=False)
