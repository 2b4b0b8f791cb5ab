"""Questions to whole scikit-learn estimators: raw columns are forced, raw outcomes answered."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from interventional import questions
from interventional.answers.outcomes import Outcomes, mapped
from interventional.data.reading import read_outcome
from interventional.data.table import Table, is_distributed, position_of
from interventional.errors import listed
from interventional.intervention.do import describe, refuse_empty_baseline
from interventional.intervention.route import refuse_apart, refuse_mediators
from interventional.intervention.words import Do, Kind, at_rest_in_words, difference
from interventional.numbers import is_large
from interventional.pipeline.forcing import Moved, columns_moved, units_of
from interventional.pipeline.path import Path
from interventional.questions import Side
from interventional.trust.sensitivity import no_benchmarks

if TYPE_CHECKING:
    from interventional.trust.sensitivity import Sensitivity

_FAR = 6.0  # standard deviations of noise beyond the expected outcomes: no outcome is farther


def predict_outcomes(estimator: Any, X: Any, *, kind: Kind = "mean") -> Outcomes:
    """Answer what y is, or will be, for rows as they are, through pipelines and their like.

    Nothing is forced: it is what `predict` is about, with its posterior, in units of the raw
    outcome.

    Parameters
    ----------
    estimator : estimator
        As in `intervene`.
    X : array-like or DataFrame of shape (n, columns)
        The rows, as the estimator's `predict` takes them.
    kind : {"mean", "predictive"}, default "mean"
        E[y | X], or a new outcome, noise included. Behind a transformed target the expectation is
        that of the raw outcome, as in `intervene`; `predict` of scikit-learn's
        `TransformedTargetRegressor` transforms the expectation of the transformed one back, which
        for a logarithm is the median of the raw one.

    Returns
    -------
    Outcomes
        Paired, draw by draw, with what `intervene` answers for the same rows.

    Raises
    ------
    TypeError
        If the estimator does not end in a `BayesianInterventionRegressor`.

    See Also
    --------
    BayesianInterventionRegressor.predict_outcomes : The same without steps around.
    intervene : The same if raw columns are forced.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from interventional import BayesianInterventionRegressor, predict_outcomes
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"size": rng.uniform(1, 9, size=200)})
    >>> rent = np.exp(5 + 0.2 * X["size"] + 0.1 * rng.normal(size=200))
    >>> model = TransformedTargetRegressor(
    ...     BayesianInterventionRegressor(random_state=0), func=np.log, inverse_func=np.exp
    ... ).fit(X, rent)
    >>> new = predict_outcomes(model, pd.DataFrame({"size": [5.0]}), kind="predictive")
    >>> new.interval(0.9).round(-1)
    array([[340., 480.]])
    """
    path, table = _unwrapped("predict_outcomes", estimator, X)
    path, units = units_of(path, table)
    found = questions.predict(path.fitted, units, kind)
    raw = path.raw(kind, path.fitted)
    return found if raw is None else mapped(found, raw)


def intervene(estimator: Any, X: Any, do: Mapping[Any, Any], *, kind: Kind = "mean") -> Outcomes:
    """Answer what y will be if raw columns are forced, through pipelines and their like.

    The columns are forced in X as it is, before any step; then the steps run, so that whatever
    they derive from a forced column follows; what has changed is forced in the model by `pm.do`.
    Answers come in the units of the raw outcome.

    Parameters
    ----------
    estimator : estimator
        A fitted `BayesianInterventionRegressor`, or a fitted `Pipeline`,
        `TransformedTargetRegressor`, `GridSearchCV` or other search that ends in one; nested in
        any order.
    X : array-like or DataFrame of shape (n, columns)
        The rows, as the estimator's `predict` takes them.
    do : mapping
        As in `BayesianInterventionRegressor.intervene`; callables and steps see the raw X, the
        frame that you gave.
    kind : {"mean", "predictive"}, default "mean"
        The expected outcome, or a new outcome, noise included. Behind a transformed target the
        expectation is that of the raw outcome, given each posterior draw: noise is averaged out
        after the inverse transform (Gauss-Hermite quadrature), not before.

    Returns
    -------
    Outcomes

    Raises
    ------
    TypeError
        If the estimator does not end in a `BayesianInterventionRegressor`.

    See Also
    --------
    BayesianInterventionRegressor.intervene : The same without steps around.
    effect : The difference from what was observed.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import PolynomialFeatures, StandardScaler
    >>> from interventional import BayesianInterventionRegressor, intervene
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"price": rng.uniform(1, 9, size=200)})
    >>> y = 100 - X["price"] ** 2 + rng.normal(size=200)
    >>> steps = StandardScaler(), PolynomialFeatures(2, include_bias=False)
    >>> model = make_pipeline(*steps, BayesianInterventionRegressor(random_state=0)).fit(X, y)
    >>> intervene(model, X, do={"price": 5.0}).average().mean().round()
    array([75.])
    """
    return questions.warned(answered(estimator, X, do, kind=kind))


def answered(estimator: Any, X: Any, do: Mapping[Any, Any], *, kind: Kind = "mean") -> Outcomes:
    """Return what `intervene` does, without a warning where the data do not support it."""
    path, table = _unwrapped("intervene", estimator, X, do)
    moved = Moved.by(path, table, do)
    return _answer(moved, moved.side(describe(do)), kind)


def effect(
    estimator: Any,
    X: Any,
    do: Mapping[Any, Any],
    baseline: Mapping[Any, Any] | None = None,
    *,
    kind: Kind = "mean",
) -> Outcomes:
    """Answer what difference forcing raw columns makes, through pipelines and their like.

    Both sides use the same posterior draw and the same noise, and are in units of the raw outcome
    before they are subtracted.

    Parameters
    ----------
    estimator, X, do, kind
        As in `intervene`.
    baseline : mapping, optional
        What to compare with, as `do`; by default the same columns, forced to the values at which
        they were observed.

    Returns
    -------
    Outcomes

    See Also
    --------
    BayesianInterventionRegressor.effect : The same without steps around.
    decompose : The parts of it that go through mediators, and not.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import PolynomialFeatures, StandardScaler
    >>> from interventional import BayesianInterventionRegressor, effect
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"price": rng.uniform(1, 9, size=200)})
    >>> y = 100 - X["price"] ** 2 + rng.normal(size=200)
    >>> steps = StandardScaler(), PolynomialFeatures(2, include_bias=False)
    >>> model = make_pipeline(*steps, BayesianInterventionRegressor(random_state=0)).fit(X, y)
    >>> effect(model, X, do={"price": 6.0}, baseline={"price": 5.0}).average().mean().round()
    array([-11.])
    """
    path, table = _unwrapped("effect", estimator, X, do, baseline)
    (moved, treated), (at_rest, rested) = _sides(path, table, do, baseline)
    return questions.warned(_answer(moved, treated, kind) - _answer(at_rest, rested, kind))


def counterfactual(estimator: Any, X: Any, y: ArrayLike, do: Mapping[Any, Any]) -> Outcomes:
    """Answer what the raw y would have been for these very rows, had raw columns been forced.

    Parameters
    ----------
    estimator, X, do
        As in `intervene`.
    y : array-like of shape (n,)
        What happened to the rows, as the estimator's `fit` takes it. Behind a transformed target
        the residual that each row keeps is that of the transformed outcome.

    Returns
    -------
    Outcomes

    See Also
    --------
    BayesianInterventionRegressor.counterfactual : The same without steps around.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from interventional import BayesianInterventionRegressor, counterfactual
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"size": rng.uniform(1, 9, size=200)})
    >>> rent = np.exp(5 + 0.2 * X["size"] + 0.1 * rng.normal(size=200))
    >>> model = TransformedTargetRegressor(
    ...     BayesianInterventionRegressor(random_state=0), func=np.log, inverse_func=np.exp
    ... ).fit(X, rent)
    >>> as_large = counterfactual(model, X, rent, do={"size": 5.0})
    >>> slopes = np.log(as_large.mean() / rent) / (5 - X["size"])
    >>> slopes.round(1).unique()  # each flat keeps its own luck
    array([0.2])
    """
    path, table = _unwrapped("counterfactual", estimator, X, do)
    raw = read_outcome(y, X, path.regressor)
    check_consistent_length(table.index, raw)
    moved = Moved.by(path, table, do)
    fitted, side = moved.path.fitted, moved.side(describe(do))
    target = path.target(raw)
    fitted.model.of_outcome.record.check(target, "y")
    refuse_mediators("counterfactual", fitted.model, side.query)
    found = questions.imagined(fitted, table, moved.units, target, side)
    back = path.raw("predictive", fitted)
    return questions.warned(found if back is None else mapped(found, back))


def decompose(
    estimator: Any, X: Any, do: Mapping[Any, Any], baseline: Mapping[Any, Any] | None = None
) -> dict[str, Outcomes]:
    """Split an effect on the raw outcome into what goes through mediators and what does not.

    Parameters
    ----------
    estimator, X, do
        As in `intervene`. The graph is over the columns that the steps leave, so that these must
        keep their names, as ``set_output(transform="pandas")`` has it.
    baseline : mapping, optional
        As in `effect`.

    Returns
    -------
    dict of Outcomes
        ``"direct"``, ``"indirect"`` and ``"total"``, which add up in units of the raw outcome,
        whatever the transform of the target: each is a difference of expected raw outcomes.

    See Also
    --------
    BayesianInterventionRegressor.decompose : The same without steps around.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from interventional import BayesianInterventionRegressor, decompose
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"price": rng.normal(10, 1, size=500)})
    >>> X["traffic"] = 30 - 2 * X["price"] + rng.normal(size=500)
    >>> sales = 5 * X["traffic"] - X["price"] + rng.normal(size=500)
    >>> model = make_pipeline(
    ...     StandardScaler().set_output(transform="pandas"),
    ...     BayesianInterventionRegressor(
    ...         graph="price -> traffic -> y; price -> y", random_state=0
    ...     ),
    ... ).fit(X, sales)
    >>> parts = decompose(model, X, do={"price": lambda X: X["price"] + 1})
    >>> {name: part.average().mean().round(0).item() for name, part in parts.items()}
    {'direct': -1.0, 'indirect': -10.0, 'total': -11.0}
    """
    path, table = _unwrapped("decompose", estimator, X, do, baseline)
    (moved, treated), (_, rested) = _sides(path, table, do, baseline)
    fitted = moved.path.fitted
    questions.refuse_other_columns(treated.query, rested.query)
    parts = questions.split(fitted, table, treated, rested, path.raw("mean", fitted))
    total = parts["total"]
    questions.warn(total, total.estimand.removeprefix("total "))
    return parts


def sensitivity(
    estimator: Any,
    X: Any,
    do: Mapping[Any, Any],
    baseline: Mapping[Any, Any] | None = None,
    *,
    benchmarks: Any = None,
    multiples: ArrayLike = (1, 2, 3),
    threshold: float = 0.0,
    prob: float | None = None,
) -> "Sensitivity":
    """Answer how strong unmeasured confounding must be to change an effect of a raw column.

    Partial R² do not depend on units, so that steps which move and scale columns leave them as
    they are. The effect, and what is left of it, are in units of the raw outcome.

    Parameters
    ----------
    estimator, X, do, baseline
        As in `effect`, of one column, of which the steps make one column of the model.
    benchmarks : column or list, optional
        Raw covariates, or lists of them as one group each. All columns that the steps make of a
        covariate are a group.
    multiples, threshold, prob
        As in `BayesianInterventionRegressor.sensitivity`; the threshold is in units of the raw
        outcome.

    Returns
    -------
    Sensitivity

    Raises
    ------
    ValueError
        If the steps make several columns of the forced one, or mix it with a benchmark; or if the
        target is transformed by more than a shift and a factor, so that the effect is not one
        coefficient.

    See Also
    --------
    BayesianInterventionRegressor.sensitivity : The same without steps around.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from interventional import BayesianInterventionRegressor, sensitivity
    >>> rng = np.random.default_rng(0)
    >>> age = rng.normal(50, 10, size=500)
    >>> dose = 0.03 * age + rng.normal(size=500)
    >>> y = 0.5 * dose + 0.03 * age + rng.normal(size=500)
    >>> X = pd.DataFrame({"dose": dose, "age": age})
    >>> model = make_pipeline(StandardScaler(), BayesianInterventionRegressor(random_state=0))
    >>> model = model.fit(X, y)
    >>> found = sensitivity(model, X, {"dose": 1}, {"dose": 0}, benchmarks="age", multiples=1)
    >>> found.bounds()[["mean", "prob_beyond"]].round(1)
                        mean  prob_beyond
    benchmark multiple
    age       1          0.3          1.0
    """
    path, table = _unwrapped("sensitivity", estimator, X, do, baseline)
    (moved, treated), (_, rested) = _sides(path, table, do, baseline)
    forced = [table.names[j] for j in moved.raw]
    if path.steps and len(forced) == 1 and len(treated.query.forced) > 1:
        raise ValueError(
            f"sensitivity: the steps before the model make {listed(treated.query.forced)} of "
            f"{forced[0]!r}, so that its effect is not one coefficient; it is known where they "
            "only move and scale it"
        )
    fitted, unit, names = moved.path.fitted, _raw_units(moved), dict[str, Any]()
    if path.steps:
        groups = _as_the_model_has(benchmarks, moved)
        benchmarks, names = list(groups.values()), {"named": forced[0], "called": list(groups)}
    return questions.confounded(
        path.fitted,
        (treated.query, rested.query),
        difference(fitted.model.outcome, do, baseline, "mean"),
        benchmarks=benchmarks,
        multiples=multiples,
        threshold=threshold,
        prob=prob,
        unit=unit,
        **names,
    )


def column_of(X: Any, key: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a raw column of X, and its distinct values: categories in their order, or sorted."""
    table = Table.of(X)
    try:
        j = position_of(key, table.labels, table.names)
    except ValueError as error:
        raise ValueError(f"do: {error}") from None
    column, values = table.column(j), table.values(j)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return values, column.cat.remove_unused_categories().cat.categories.to_numpy()
    return values, np.unique(values[~pd.isna(values)])


def _unwrapped(function: str, estimator: Any, X: Any, *dos: Do | None) -> tuple[Path, Table]:
    """Return the way to the regressor, and the raw rows, which stay as they are now."""
    path = Path.through(estimator)
    if is_distributed(X):
        raise TypeError(
            f"the function {function} takes rows in memory; X is a Dask collection: ask the "
            "regressor itself"
        )
    table = path.completed(Table.of(X), *dos)
    if is_large(path.fitted.n_draws, len(table)):  # what is computed later is of X as it is now
        table = table.copy()
    return path, table


def _sides(
    path: Path, table: Table, do: Do, baseline: Do | None
) -> tuple[tuple[Moved, Side], tuple[Moved, Side]]:
    """Return what is asked, and what it is compared with, answered by the same equations."""
    moved = Moved.by(path, table, do, baseline)
    refuse_empty_baseline(baseline)
    at_rest = moved.at_rest() if baseline is None else Moved.by(path, table, baseline, do)
    moved, at_rest = moved.beside(at_rest), at_rest.beside(moved)
    treated, rested = moved.side(describe(do)), at_rest.side(at_rest_in_words(do, baseline))
    refuse_apart(treated.query, rested.query)
    return (moved, treated), (at_rest, rested)


def _answer(moved: Moved, side: Side, kind: Kind) -> Outcomes:
    """Return the outcome under one intervention, in raw units."""
    fitted, known = moved.path.fitted, (side.supported, side.follow)
    found = fitted.outcomes(moved.table, side.query, kind, side.words, *known)
    raw = moved.path.raw(kind, fitted.serving(side.query)[0])
    return found if raw is None else mapped(found, raw)


def _raw_units(moved: Moved) -> float:
    """Return how many raw units one unit of the model's outcome is, where outcomes are."""
    fitted = moved.path.fitted
    if not moved.path.inverses:
        return 1.0
    expected = questions.predict(fitted, moved.units).mean()
    sigma = fitted.draws.get(f"{fitted.model.outcome}_sigma", np.ones(1)).mean()
    return moved.path.unit(expected.min() - _FAR * sigma, expected.max() + _FAR * sigma)


def _as_the_model_has(benchmarks: Any, moved: Moved) -> dict[str, list[str]]:
    """Return raw benchmarks as groups of the model's columns, by the names the user gave."""
    table = moved.table
    labels = table.names if table.labels is None else table.labels
    if benchmarks is None:
        return {}
    if isinstance(benchmarks, Hashable) and (isinstance(benchmarks, str) or benchmarks in labels):
        benchmarks = [benchmarks]
    if not isinstance(benchmarks, list | tuple):
        raise TypeError(no_benchmarks(benchmarks))
    found: dict[str, list[str]] = {}
    for entry in benchmarks:
        group = entry if isinstance(entry, list) else [entry]
        columns: list[str] = []
        for label in group:
            try:
                j = position_of(label, table.labels, table.names)
            except ValueError as error:
                raise ValueError(f"benchmarks: {error}") from None
            if j in moved.raw:
                raise ValueError(f"benchmarks: {label!r} is what is forced, and no covariate")
            made = columns_moved(moved.path, moved.units, j)
            if set(made) & set(moved.forced):
                raise ValueError(
                    f"benchmarks: the steps before the model mix {label!r} with what is forced, "
                    f"in {listed(sorted(set(made) & set(moved.forced)))}"
                )
            columns += made
        found[" + ".join(map(str, group))] = columns
    return found
