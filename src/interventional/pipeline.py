"""`intervene` on whole scikit-learn estimators: force raw columns, before any preprocessing."""

import warnings
from collections.abc import Collection, Hashable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from interventional.answers.outcomes import Outcomes, contents_of, mapped
from interventional.answers.support import Support
from interventional.data.table import Table, Units, is_distributed, position_of, read_rows
from interventional.errors import listed
from interventional.fitted import Fitted
from interventional.intervention.do import Drawn, Forced, columns_read, describe, parse_do
from interventional.intervention.reach import following, refuse_dropped
from interventional.intervention.steps import (
    Column,
    Raw,
    Steps,
    differ,
    forced_raw,
    found_to_move,
    moved_rows,
    through,
    with_missing_forced,
)
from interventional.intervention.words import Kind
from interventional.numbers import Floats, is_large, rows_of_chunk, slices
from interventional.regressor import BayesianInterventionRegressor
from interventional.trust import extrapolation, misfit

_NODES = 20  # of the Gauss-Hermite rule behind an inverse transform: exp(2 z) to the last digit
_TRIED = 1000  # rows that tell what the steps derive from what


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

    Notes
    -----
    The difference from what was observed is a difference of two calls, which are paired draw by
    draw: ``intervene(e, X, {"b": 0}) - intervene(e, X, {"b": lambda X: X["b"]})``.

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
    outcomes = answered(estimator, X, do, kind=kind)
    support = contents_of(outcomes).support
    extrapolation.warn(support, outcomes.estimand)
    misfit.warn(support, outcomes.estimand)
    return outcomes


def answered(estimator: Any, X: Any, do: Mapping[Any, Any], *, kind: Kind = "mean") -> Outcomes:
    """Return what `intervene` does, without a warning where the data do not support it."""
    path = _unwrap(estimator)
    if is_distributed(X):
        raise TypeError(
            "the function intervene takes rows in memory; X is a Dask collection: ask the "
            "regressor itself"
        )
    table = _completed(path, Table.of(X), do)
    if is_large(path.fitted.n_draws, len(table)):  # what is computed later is of X as it is now
        table = table.copy()
    meant = parse_do(do, table, table, path.fitted.n_draws, path.fitted.seed)
    forced = forced_raw(meant, table)
    present, lacking = with_missing_forced(table, forced)
    rows = through(path.steps, present.held) if path.steps else present.frame
    rows = present.held if rows is None else rows
    validate_data(path.regressor, rows, skip_check_array=True, reset=False)  # names of columns
    seen = read_rows(rows)
    path = path.knowing(seen, do)
    fitted = path.fitted
    seen = seen if path.steps else replace(seen, absent=table.absent)
    units = replace(fitted.units(seen), table=present)
    changed, moved, alone = _changed(path, units, forced)
    _refuse_mixed_graph(path, changed)
    if lacking.any():  # where nobody knows what they were
        at = np.isin(fitted.model.schema.names, list(changed))
        units = replace(units, values=np.where(np.outer(lacking, at), np.nan, units.values))
    query = fitted.query(units, changed, _reads(do, table, fitted))
    for each in alone:
        refuse_dropped(fitted.model, query, each)
    tried = replace(query, forced={name: query.forced[name] for name in moved})
    supported = fitted.supported(tried, apart=_derived(path, units, forced, moved))
    if path.steps:
        supported = _in_raw_units(supported, forced, table)
    _warn_of_missing(forced, table)
    after = _following(path, units, following(fitted.model, query), forced)
    inner = fitted.outcomes(table, query, kind, describe(do), supported, after)
    if not path.inverses:
        return inner
    back = _ToRaw(path.inverses)
    if kind == "predictive":
        return mapped(inner, back)
    if not fitted.model.of_outcome.record.is_gaussian:
        raise ValueError(
            f"family={fitted.model.of_outcome.family!r} behind a transformed target: the "
            "expectation of the raw outcome is known for a Gaussian one; ask for "
            "kind='predictive', or say by family= what the raw outcome is, and transform nothing"
        )
    if fitted.model.of_outcome.noise is not None:
        raise ValueError(
            "noise= behind a transformed target: the expectation of the raw outcome depends on "
            "the known standard deviation of each row; ask for kind='predictive'"
        )
    sigma = fitted.serving(query)[0].draws[f"{fitted.model.outcome}_sigma"]
    return mapped(inner, _RawExpectation(back, sigma))


def _completed(path: "_Path", table: Table, do: Mapping[Any, Any]) -> Table:
    """Return raw rows with the columns that they lack and nothing reads: forced, or following."""
    model = path.fitted.model
    if not path.steps:
        return table.completed(model.schema.labels)
    full = table.completed(getattr(path.steps[0], "feature_names_in_", None))
    follow = set(do) if isinstance(do, Mapping) else set()
    if model.graph is not None:
        follow = follow.union(
            *map(model.graph.descendants, follow.intersection(model.graph.nodes))
        )
    return full if {full.names[j] for j in full.absent} <= follow else table


def _warn_of_missing(forced: Raw, table: Table) -> None:
    """Warn of values that stay missing in some rows of a column that is moved in others."""
    for j, values in forced.items():
        if isinstance(values, Drawn) or not values.ndim or not pd.isna(values).any():
            continue
        missing = pd.isna(values)
        if (values != table.values(j))[~missing].any():
            warnings.warn(
                f"do[{table.names[j]!r}] is missing in {missing.sum()} of {len(table)} rows, in "
                "which X has no value either: what the steps put there stays as it is, and these "
                "rows are answered as observed",
                skip_file_prefixes=(str(Path(__file__).parent),),
            )


def _changed(
    path: "_Path", units: Units, forced: Raw
) -> tuple[dict[str, Forced], list[str], list[list[str]]]:
    """Return the columns of the model that may depend on a forced raw one, and which were seen to.

    They are those that move when the forced raw columns do, by the intervention or by permuting
    their values, and those that have a forced column's name. Where many values are drawn later,
    and there is no graph, it is all: any may move, in some row or draw. The last are those that
    move with each forced column.
    """
    table, before, schema = units.table, units.values, path.fitted.model.schema
    n_draws, names = path.fitted.n_draws, schema.names
    elsewhere = path.encoded(table.with_columns(moved_rows(table, forced)))
    touched = differ(elsewhere, before).any(axis=0)
    fixed = {j: values for j, values in forced.items() if not isinstance(values, Drawn)}
    if len(fixed) == len(forced):
        after = path.encoded(table.with_columns(fixed))
        touched |= differ(after, before).any(axis=0)
        alone = _alone(path, units, forced, touched)
        touched = np.any([touched, *alone], axis=0)
        path.encoded(table.with_columns(fixed), np.flatnonzero(touched).tolist())
        changed: dict[str, Forced] = {
            names[j]: after[:, j].copy() for j in np.flatnonzero(touched)
        }
        return changed, list(changed), [schema.named(each) for each in alone]
    large = is_large(n_draws, len(table))
    kept = deepcopy(path.steps) if large else path.steps  # a later fit changes them in place
    steps = Steps(kept, schema, table, forced, n_draws)
    for k, chunk in enumerate(slices(len(table), rows_of_chunk(steps.n_draws))):
        touched |= differ(steps.chunk(k, chunk), before[chunk]).any(axis=(0, 1))
        if large:  # the rest is computed when it is asked for
            break
    alone = _alone(path, units, forced, touched)
    touched = np.any([touched, *alone], axis=0)
    may_move = touched | (large and path.fitted.model.graph is None)
    if large:
        steps = replace(steps, untouched=np.flatnonzero(~may_move), before=before)
    drawn: dict[str, Forced] = {n: Column(steps, names.index(n)) for n in schema.named(may_move)}
    return drawn, schema.named(touched), [schema.named(each) for each in alone]


def _alone(
    path: "_Path", units: Units, forced: Raw, touched: NDArray[np.bool_]
) -> list[NDArray[np.bool_]]:
    """Return which columns of the model move with each forced one; refuse one that moves none."""
    some, before = units.table.take(slice(0, _TRIED)), units.values[:_TRIED]
    schema, found = path.fitted.model.schema, []
    for j, values in forced.items():
        name, own = some.names[j], touched if len(forced) == 1 else touched & False
        if not path.steps or schema.labels is not None:
            own = own | np.isin(schema.names, name)
        if len(forced) > 1:
            tried = [moved_rows(some, [j])]
            if not isinstance(values, Drawn):
                tried.append({j: np.broadcast_to(values, len(units.table))[:_TRIED]})
            moved = [differ(path.encoded(some.with_columns(each)), before) for each in tried]
            own = own | np.any(moved, axis=(0, 1))
        if not own.any():
            follow = found_to_move(path.encoded, units.table, j)
            if follow is not None and not follow.any():
                raise ValueError(
                    f"do: the steps before the model drop {name!r}, so that forcing it changes "
                    "nothing; let them keep it (a ColumnTransformer drops what it does not name, "
                    "but with remainder='passthrough')"
                )
            own = own if follow is None else follow
        found.append(own)
    return found


def _following(
    path: "_Path", units: Units, columns: Collection[Hashable], forced: Raw
) -> frozenset[Hashable]:
    """Return the raw columns of which the steps make columns that follow what is forced."""
    if not path.steps or not columns:
        return frozenset(columns)
    some, schema = units.table.take(slice(0, _TRIED)), path.fitted.model.schema
    at = [schema.position(column) for column in columns]
    before = units.values[: len(some), at]
    return frozenset(columns).union(
        (some.names if some.labels is None else some.labels)[j]
        for j in range(len(some.names))
        if j not in forced
        and differ(path.encoded(some.with_columns(moved_rows(some, [j])))[:, at], before).any()
    )


def _derived(path: "_Path", units: Units, forced: Raw, changed: Collection[str]) -> list[str]:
    """Return the columns of the model that steps derive from forced ones, if any, alone.

    Others, such as products with a covariate, go where it goes as well, and say nothing of their
    own.
    """
    if not path.steps:
        return []
    some = units.table.take(slice(0, _TRIED))
    others = [j for j in range(len(some.names)) if j not in forced]
    elsewhere = path.encoded(some.with_columns(moved_rows(some, others)))
    mixed = differ(elsewhere, units.values[:_TRIED]).any(axis=0)
    names = path.fitted.model.schema.names
    return [name for name in changed if not mixed[names.index(name)]] or list(changed)


def _in_raw_units(support: Support, forced: Raw, table: Table) -> Support:
    """Return the same with a reason in terms of the raw columns that the user forces."""
    if not support.reasons:
        return support
    said = []
    for values in forced.values():
        if isinstance(values, Drawn):
            said.append("draws")
        elif values.dtype.kind in "iuf":
            least, most = np.nanmin(values), np.nanmax(values)
            said.append(extrapolation.spread(f"{least:g}", f"{most:g}"))
        else:
            said.append(listed(pd.Series(values.ravel()).dropna().unique()))
    labels = range(len(table.names)) if table.labels is None else table.labels
    forcing = (f"{labels[j]!r} is forced to {to}" for j, to in zip(forced, said, strict=True))
    why = f"{' and '.join(forcing)}; what the steps make of that was not seen in such rows"
    return replace(support, reasons=(why,))


def _refuse_mixed_graph(path: "_Path", changed: Mapping[str, Forced]) -> None:
    """Refuse steps that derive one node of a graph from another, which the graph cannot know."""
    graph = path.fitted.model.graph
    if graph is None or not path.steps:
        return
    outside = [name for name in changed if name not in graph.nodes]
    inside = [name for name in changed if name in graph.nodes]
    related = [name for name in inside if set(inside) & graph.descendants(name)]
    if outside or related:
        raise ValueError(
            f"the steps before the model derive {listed(changed)} from what is forced, so that "
            "the graph over these columns does not say what the intervention does; put the steps "
            "into the model with design="
        )


def _reads(do: Mapping[Any, Any], table: Table, fitted: Fitted) -> frozenset[str]:
    """Return the columns of the model that policies read; none matter without a graph."""
    names = fitted.model.schema.names
    if fitted.model.graph is None:
        return frozenset()
    raw = names if table.labels is None else table.names
    read = frozenset(raw[j] for j in columns_read(do, table))
    if not read <= set(names):
        raise ValueError(
            f"do reads column {listed(sorted(read - set(names)))}, which the steps before the "
            "model turn into others, so that the graph does not say whether it may; put the steps "
            "into the model with design="
        )
    return read


@dataclass(frozen=True)
class _Path:
    """The way from raw rows to the regressor, and back from its outcome to the raw one.

    Attributes
    ----------
    steps : tuple of transformer
        What is done to rows, outermost first.
    regressor : BayesianInterventionRegressor
        Who takes them.
    fitted : Fitted
        What it has learnt.
    inverses : tuple of transformer
        What is done to the target, outermost first.
    """

    steps: tuple[Any, ...]
    regressor: BayesianInterventionRegressor
    fitted: Fitted
    inverses: tuple[Any, ...]

    def knowing(self, rows: Table, do: Mapping[Any, Any]) -> "_Path":
        """Return the same with a model that knows all levels of these rows and of those forced."""
        if self.regressor.unseen_levels == "error":
            return self
        return replace(self, fitted=self.fitted.knowing(rows, do))

    def encoded(self, table: Table, read: Collection[int] = ()) -> Floats:
        """Return what the model sees of raw rows, all of it numbers in columns that are read."""
        return self.fitted.encoded(read_rows(through(self.steps, table.held)), read)


@dataclass(frozen=True, eq=False)
class _ToRaw:
    """The inverses of what was done to the target, outermost first."""

    inverses: tuple[Any, ...]

    def __call__(self, outcome: Floats) -> Floats:
        """Return outcomes in raw units, in their own shape."""
        column = outcome.reshape(-1, 1)
        for transformer in reversed(self.inverses):
            column = np.asarray(transformer.inverse_transform(column), dtype=np.float64)
            column = column.reshape(-1, 1)
        if not np.isfinite(column).all():
            raise ValueError(
                f"the inverse transform of the target, {self.inverses[0]!r}, returned NaN or "
                "infinity for outcomes that the model holds possible"
            )
        return column.reshape(outcome.shape)


def _unwrap(estimator: Any) -> _Path:
    """Return the way through an estimator to the regressor in which it ends."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import Pipeline

    steps: list[Any] = []
    inverses: list[Any] = []
    inner = estimator
    while not isinstance(inner, BayesianInterventionRegressor):
        if isinstance(inner, Pipeline):
            check_is_fitted(inner)
            steps.append(inner[:-1])
            inner = inner.steps[-1][1]
        elif isinstance(inner, TransformedTargetRegressor):
            check_is_fitted(inner)
            inverses.append(inner.transformer_)
            inner = inner.regressor_
        elif hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        elif hasattr(inner, "cv") and hasattr(inner, "refit"):
            check_is_fitted(inner)
            raise TypeError(f"{inner!r} has no best_estimator_; search with refit=True")
        else:
            raise TypeError(
                f"{estimator!r} ends in {inner!r}, which knows no interventions; allowed are "
                "Pipeline, TransformedTargetRegressor and searches that end in a "
                "BayesianInterventionRegressor"
            )
    check_is_fitted(inner)
    kept = tuple(step for step in steps if len(step))
    return _Path(kept, inner, inner.fitted_, tuple(inverses))


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


@dataclass(frozen=True, eq=False)
class _RawExpectation:
    """E[back(mean + sigma * noise)] for each draw and row, by Gauss-Hermite quadrature."""

    back: _ToRaw
    sigma: Floats

    def __call__(self, mean: Floats) -> Floats:
        """Return the expectation of the raw outcome, given that of the model's."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        total = np.zeros_like(mean)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            total += weight * self.back(mean + node * self.sigma[:, None])
        return total
