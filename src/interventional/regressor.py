"""`BayesianInterventionRegressor`: the scikit-learn face of a Bayesian structural causal model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import xarray as xr
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from interventional import forward, intervention
from interventional.design import Design, Floats, Schema, make_design
from interventional.exceptions import listed, unknown
from interventional.inference import ENGINES, Sampling, choose_engine, infer, to_datatree
from interventional.intervention import describe
from interventional.model import Equation, check_names, generative_model
from interventional.outcomes import Outcomes, from_samples
from interventional.priors import EquationPriors, Moments, python_mode, resolve
from interventional.suffstats import SufficientStatistics, sufficient_statistics

if TYPE_CHECKING:
    import pymc as pm
    from pymc_extras.prior import Prior

Kind = Literal["mean", "predictive"]
Table = pd.DataFrame | NDArray[Any]


class BayesianInterventionRegressor(RegressorMixin, BaseEstimator):
    """Bayesian regression that also answers what happens to y if a column is forced.

    A linear Gaussian model in the terms of a design, ``y ~ Normal(intercept + design(X) @ beta,
    sigma)``, written in PyMC. `fit` conditions it on data by `pm.observe`; `predict` is E[y | X];
    `intervene` forces columns by `pm.do` and draws from the posterior predictive. All other
    columns stay as they are: the effect is causal if the columns hold every common cause of the
    forced column and y, and nothing that the forced column causes.

    Parameters
    ----------
    outcome : str, default "y"
        Name of the outcome in the model.
    design : transformer, optional
        A scikit-learn transformer from the columns to the design matrix, such as
        `SplineTransformer` or `PolynomialFeatures`. By default numbers enter as they are, and
        categories, strings and objects by treatment coding.
    priors : dict of str to Prior, optional
        `pymc_extras.prior.Prior` of ``"beta"`` (every coefficient), of the terms of one column by
        its name, of one term by its name, of ``"intercept"`` and of ``"sigma"``; the narrower name
        goes first. By default weakly informative and scaled by the data: coefficients
        Normal(0, 2.5 sd(y) / sd(x)), intercept Normal(mean(y), 2.5 sd(y)), sigma
        HalfStudentT(4, sd(y)).
    fit_intercept : bool, default True
        Whether the model has an intercept.
    center_predictors : bool, default True
        Whether the prior of the intercept holds where the predictors are at their means; else it
        holds at zero.
    inference : {"auto", "exact", "nuts"}, default "auto"
        ``"exact"``: independent draws from the exact posterior, for Normal and Flat priors of the
        coefficients. ``"nuts"``: NUTS. ``"auto"``: exact wherever it applies.
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
        Posterior draws, as ArviZ takes them.
    coef_ : ndarray of shape (n_terms,)
        Posterior means of the coefficients, a term of the design each.
    intercept_ : float
        Posterior mean of the intercept at zero; 0.0 without an intercept.
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
    >>> effect = model.effect(X, do={"b": lambda X: X["b"] + 1}).average()
    >>> effect.mean().round(1), effect.probability(above=0)
    (array([0.7]), array([1.]))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "outcome": [str],
        "design": [HasMethods(["fit", "transform"]), None],
        "priors": [Mapping, None],
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
        outcome: str = "y",
        design: Any = None,
        priors: "Mapping[str, Prior] | None" = None,
        fit_intercept: bool = True,
        center_predictors: bool = True,
        inference: Literal["auto", "exact", "nuts"] = "auto",
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ):
        self.outcome = outcome
        self.design = design
        self.priors = priors
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
        with _restored_on_failure(self):
            sampling = self._sampling()
            target = np.asarray(validate_data(self, y=y, y_numeric=True), dtype=np.float64)
            schema, values = self._read_new(X)
            check_consistent_length(values, target)
            weights = _read_weights(sample_weight, values)
            if weights is not None and not weights.all():
                kept = weights > 0
                values, target, weights = values[kept], target[kept], weights[kept]
            check_names(self.outcome, schema)
            design = make_design(schema, self.design, values)
            matrix = design.matrix(values)
            equation, statistics = self._condition(design, values, matrix, target, weights)
            if choose_engine(self.inference, equation) == "nuts":
                # NUTS is chaotic in the last bit: equal data in another order, or as weights, must
                # come to it equal to the last bit.
                rows = _merge_equal_rows(matrix, target, weights)
                equation, statistics = self._condition(design, values, *rows)
            posterior = infer(equation, statistics, self.inference, sampling)
            self.idata_ = to_datatree(posterior, equation)
            self._equation = equation
            self._term_means = statistics.x_mean
            self._seed = sampling.seed
            draws = self._draws()
            self.coef_ = draws[f"{self.outcome}_beta"].mean(axis=0)
            self.intercept_ = 0.0
            if equation.has_intercept:
                self.intercept_ = float(draws[f"{self.outcome}_intercept"].mean())
        return self

    def predict(
        self, X: Any, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the posterior mean of E[y | X].

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        return_std : bool, default False
            Whether to return the standard deviation of the posterior predictive distribution too,
            noise included.

        Returns
        -------
        ndarray of shape (n,), or a pair of them
        """
        values = self._read(X)
        matrix = self._equation.design.matrix(values)
        mean = matrix @ self.coef_ + self.intercept_
        if not return_std:
            return mean
        draws = self._draws()
        parameters = draws[f"{self.outcome}_beta"]
        sigma = draws[f"{self.outcome}_sigma"]
        distance = matrix
        if self._equation.has_intercept:  # at the means, where it is not correlated with the rest
            at_means = draws[f"{self.outcome}_intercept"] + parameters @ self._term_means
            parameters = np.column_stack([at_means, parameters])
            distance = np.column_stack([np.ones(len(matrix)), matrix - self._term_means])
        covariance = np.cov(parameters, rowvar=False, ddof=1).reshape(2 * (distance.shape[1],))
        variance = np.einsum("ij,jk,ik->i", distance, covariance, distance)
        return mean, np.sqrt(np.maximum(variance, 0.0) + np.mean(np.square(sigma)))

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
        matrix = self._equation.design.matrix(self._read(X))
        rng = check_random_state(random_state)
        draws = self._draws()
        sigma = draws[f"{self.outcome}_sigma"]
        picked = rng.choice(len(sigma), size=n_samples, replace=n_samples > len(sigma))
        mean = matrix @ draws[f"{self.outcome}_beta"][picked].T
        if self._equation.has_intercept:
            mean += draws[f"{self.outcome}_intercept"][picked]
        return mean + sigma[picked] * rng.standard_normal(mean.shape)

    def intervene(self, X: Any, do: Mapping[Any, Any], *, kind: Kind = "mean") -> Outcomes:
        """Answer what y will be for such rows if some columns are forced.

        Columns in `do` take the forced value, the others keep the row's; `pm.do` acts on the
        model, and the posterior predictive is drawn from the graph that results.

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
            The expected outcome, or a new outcome, noise included.

        Returns
        -------
        Outcomes

        Raises
        ------
        ValueError, TypeError
            If `do` names an unknown column or the outcome, is empty, or forces a value that its
            column cannot take.

        See Also
        --------
        effect : The difference from what was observed, or from another intervention.
        """
        values = self._read(X)
        rows = values if not isinstance(X, pd.DataFrame) else X
        forced = self._parse(do, rows, values)
        return self._outcomes(rows, values, forced, kind, describe(do))

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
        """
        values = self._read(X)
        rows = values if not isinstance(X, pd.DataFrame) else X
        forced = self._parse(do, rows, values)
        if baseline is None:
            at_rest = intervention.as_observed(forced, self._equation.schema, values)
            rest = f"{', '.join(map(str, do))} as observed"
        else:
            at_rest = self._parse(baseline, rows, values)
            rest = describe(baseline)
        treated = self._outcomes(rows, values, forced, kind, describe(do))
        return treated - self._outcomes(rows, values, at_rest, kind, rest)

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

        index = X.index if isinstance(X, pd.DataFrame) else None
        with _restored(self):
            if y is None and self.__sklearn_is_fitted__():
                values = self._read(X)
                equation = self._equation
            else:
                schema, values = self._read_new(X)
                check_names(self.outcome, schema)
                design = make_design(schema, self.design, values)
                matrix = design.matrix(values)
                if y is None:
                    equation = self._unconditioned(design, values, matrix)
                else:
                    target = np.array(validate_data(self, y=y, y_numeric=True), dtype=np.float64)
                    check_consistent_length(values, target)
                    equation, _ = self._condition(design, values, matrix, target, None)
        labels = list(range(len(values)) if index is None else index)
        model = generative_model(equation, values, labels)
        return model if y is None else pm.observe(model, {self.outcome: target})

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
        import pymc as pm

        model = self.build_model(X)
        terms = list(model.coords[f"{self.outcome}_term"])
        known = [rv.name for rv in (*model.free_RVs, *model.deterministics)]
        known = [name for name in known if name not in (self.outcome, f"{self.outcome}_mu")]
        forced = {}
        if not isinstance(parameters, Mapping):
            raise TypeError(
                f"parameters must be a mapping from names to values, got {parameters!r}"
            )
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(unknown("parameter", name, known))
            forced[name] = _parameter(name, value, model[name].type.ndim, terms)
        if forced:
            model = pm.do(model, forced)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        drawn = pm.draw(model[self.outcome], random_seed=seed, mode=python_mode())
        table = X if isinstance(X, pd.DataFrame) else self._as_frame(X)
        return table.assign(**{self.outcome: drawn})

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has run."""
        return hasattr(self, "idata_")

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, draws as plain arrays: any reader of pickles takes these."""
        state = dict(super().__getstate__())
        if "idata_" in state:
            groups = state["idata_"].children.items()
            state["idata_"] = {key: group.to_dataset().to_dict("array") for key, group in groups}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state that `__getstate__` gave."""
        if "idata_" in state:
            groups = {key: xr.Dataset.from_dict(d) for key, d in state["idata_"].items()}
            state = {**state, "idata_": xr.DataTree.from_dict(groups)}
        super().__setstate__(state)

    def _sampling(self) -> Sampling:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        n_jobs = effective_n_jobs(self.n_jobs)
        return Sampling(self.draws, self.tune, self.chains, int(seed), n_jobs, bool(self.verbose))

    def _read_new(self, X: Any) -> tuple[Schema, Floats]:
        """Return what the columns of new data are, and their encoded rows."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True)
            _refuse_empty(X)
            schema = Schema.of(X)
            return schema, schema.encode(X)
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite=False)
        schema = Schema.of(values)
        return schema, schema.encode(values)

    def _read(self, X: Any) -> Floats:
        """Return the encoded rows of data like those that were fitted."""
        check_is_fitted(self)
        schema = self._equation.schema
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=False)
            _refuse_empty(X)
            return schema.encode(X)
        return schema.encode(
            validate_data(self, X, dtype=np.float64, ensure_all_finite=False, reset=False)
        )

    def _condition(
        self,
        design: Design,
        values: Floats,
        matrix: Floats,
        target: Floats,
        weights: Floats | None,
    ) -> tuple[Equation, SufficientStatistics]:
        """Return the equation whose priors are scaled by these data, and what it sees of them."""
        statistics = sufficient_statistics(matrix, target, weights, intercept=self.fit_intercept)
        priors = self._priors(design, values, statistics.moments)
        center = statistics.x_mean if self.center_predictors else np.zeros(len(design.terms))
        return Equation(self.outcome, design, priors, center), statistics

    def _unconditioned(self, design: Design, values: Floats, matrix: Floats) -> Equation:
        """Return the equation before any outcome has been seen."""
        centred = self.center_predictors and self.fit_intercept
        center = matrix.mean(axis=0) if centred else np.zeros(len(design.terms))
        return Equation(self.outcome, design, self._priors(design, values, None), center)

    def _priors(self, design: Design, values: Floats, moments: Moments | None) -> EquationPriors:
        return resolve(
            self.priors,
            design,
            values,
            moments,
            fit_intercept=self.fit_intercept,
            center=self.center_predictors,
        )

    def _draws(self) -> dict[str, Floats]:
        """Return the posterior draws of the parameters of the equation, (draws, ...) each."""
        posterior = self.idata_["posterior"].dataset
        found = {}
        for name in self._equation.parameters:
            values = posterior[name].values
            found[name] = values.reshape(-1, *values.shape[2:])
        return found

    @property
    def _n_draws(self) -> int:
        sizes = self.idata_["posterior"].dataset.sizes
        return int(sizes["chain"] * sizes["draw"])

    def _parse(self, do: Mapping[Any, Any], rows: Table, values: Floats) -> dict[str, Floats]:
        rng = np.random.default_rng([self._seed, 1])
        return intervention.parse_do(
            do, rows, self._equation.schema, values, self.outcome, self._n_draws, rng
        )

    def _outcomes(
        self, rows: Table, values: Floats, forced: Mapping[str, Floats], kind: Kind, words: str
    ) -> Outcomes:
        if kind not in ("mean", "predictive"):
            raise ValueError(unknown("kind", kind, ("mean", "predictive")))
        noise = kind == "predictive"
        samples = forward.predictive(
            self._equation,
            values,
            forced,
            self._draws(),
            noise=noise,
            rng=np.random.default_rng([self._seed, 2]),
        )
        posterior = self.idata_["posterior"].dataset
        estimand = f"{self.outcome} | do({words})"
        table = rows if isinstance(rows, pd.DataFrame) else self._as_frame(rows)
        return from_samples(
            samples,
            posterior.sizes["chain"],
            posterior.sizes["draw"],
            table.index,
            estimand if noise else f"E[{estimand}]",
            table,
        )

    def _as_frame(self, X: Any) -> pd.DataFrame:
        array = np.asarray(X)
        return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])], copy=False)


@contextmanager
def _restored(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was."""
    before = vars(estimator).copy()
    try:
        yield
    finally:
        vars(estimator).clear()
        vars(estimator).update(before)


@contextmanager
def _restored_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was if something fails, an interrupt included."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _refuse_empty(X: pd.DataFrame) -> None:
    for size, what in zip(X.shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={X.shape}) while a minimum of 1 is required"
            )


def _read_weights(sample_weight: ArrayLike | None, values: Floats) -> Floats | None:
    if sample_weight is None:
        return None
    weights = _check_sample_weight(
        sample_weight, values, dtype=np.float64, ensure_non_negative=True
    )
    return np.asarray(weights, dtype=np.float64)


def _merge_equal_rows(
    matrix: Floats, target: Floats, weights: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """Return the distinct rows in order, and how often each occurs."""
    rows = np.column_stack([matrix, target])
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    summed = np.bincount(which.ravel(), weights)
    return distinct[:, :-1], distinct[:, -1], summed.astype(np.float64)


def _parameter(name: str, value: Any, ndim: int, terms: list[str]) -> Floats:
    """Return what a parameter is forced to in `simulate`."""
    if isinstance(value, pd.Series):
        value = value.to_dict()
    if isinstance(value, Mapping):
        strays = [key for key in value if key not in terms]
        if strays:
            raise ValueError(unknown(f"term in {name!r}:", strays[0], terms))
        missing = [term for term in terms if term not in value]
        if missing:
            raise ValueError(f"parameters[{name!r}] lacks terms {listed(missing)}")
        value = [value[term] for term in terms]
    array = np.asarray(value, dtype=np.float64)
    shape = (len(terms),) if ndim else ()
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"parameters[{name!r}] must be finite, of shape {shape}; got {value!r}")
    return array
