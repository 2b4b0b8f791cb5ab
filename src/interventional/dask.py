"""Dask: each partition gives its statistics or its answers, which are added up in a tree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from interventional.answers.arithmetic import Arithmetic
from interventional.answers.averages import averaged, summed
from interventional.answers.contents import Averages, refuse_unpaired
from interventional.answers.outcomes import Outcomes, calculated, contents_of, outcomes_of
from interventional.answers.reductions import CiKind, columns_of_intervals, several_defaults
from interventional.answers.support import Support
from interventional.answers.words import in_words, number_in_words
from interventional.data.accumulation import Accumulated
from interventional.data.table import is_distributed, read_rows
from interventional.errors import listed
from interventional.fitted import Fitted
from interventional.graph.choice import Regression
from interventional.intervention.do import (
    describe,
    forced_columns,
    is_distribution,
    refuse_empty_baseline,
)
from interventional.intervention.route import refuse_two_regressions
from interventional.intervention.words import Do, Kind, difference, estimand
from interventional.numbers import is_number
from interventional.trust import extrapolation, misfit


def accumulate(
    reduce: Callable[[Any, Any, Any], Accumulated], X: Any, y: Any, sample_weight: Any = None
) -> Accumulated:
    """Return what Gaussian equations see of the rows of Dask collections.

    Parameters
    ----------
    reduce : callable
        From the rows, outcomes and weights of a partition to what is seen of them.
    X : Dask DataFrame or Array of shape (n, columns)
        The rows.
    y, sample_weight : Dask Series or Array of shape (n,)
        Outcomes and weights, in partitions like those of X.
    """
    import dask

    labels = list(X.columns) if hasattr(X, "columns") else None
    shipped, reduced = _shipped(reduce), dask.delayed(_reduced, pure=False)
    parts = partitions(X, y=y, sample_weight=sample_weight)
    return _sum_of([reduced(shipped, k, labels, *part) for k, part in enumerate(parts)])


def predict(predict: Callable[[Any], Any], X: Any) -> Any:
    """Return what a function predicts for Dask rows as a Dask Series or Array."""
    if _is_frame(X):
        meta = pd.Series(dtype=np.float64, index=_rowless(X).index)
        return X.map_partitions(_predicted, predict, meta=meta)
    if len(X.chunks[1]) > 1:
        X = X.rechunk({1: -1})
    return X.map_blocks(predict, drop_axis=1, dtype=np.float64, meta=np.empty(0))


def ask(
    fitted: Fitted,
    question: Literal["intervene", "effect"],
    X: Any,
    do: Do,
    baseline: Do | None,
    kind: Kind,
    population: bool,
) -> "DaskOutcomes":
    """Return what a question answers of the rows of a Dask collection.

    What no partition could answer is refused at once, and what no row of fit was near to is warned
    of.

    Parameters
    ----------
    fitted : Fitted
        Who is asked.
    question : {"intervene", "effect"}
        What is asked of each partition.
    X : Dask DataFrame or Array of shape (n, columns)
        The rows.
    do : mapping
        As in `intervene`; what has one value a row is a Dask collection in partitions like X's.
    baseline : mapping or None
        What an effect is compared with; it may hold what `do` may.
    kind : {"mean", "predictive"}
        As in `intervene`.
    population : bool
        Whether levels that fit has not seen are drawn from their population.
    """
    import dask

    refuse_empty_baseline(baseline)
    model, forced = fitted.model, []
    sides: dict[str, Do] = {"do": do} if baseline is None else {"do": do, "baseline": baseline}
    by_row, answers = {}, []
    for side, each in sides.items():
        columns = forced_columns(each, model.schema, model.outcome)
        named = [(model.schema.names[j], what) for j, what in columns.items()]
        names = [name for name, _ in named]
        answers.append((names, fitted.answered(frozenset(names))[1]))
        forced += named
        for key, what in each.items():
            _refuse_in_memory(what, f"{side}[{key!r}]")
            if is_distributed(what):
                by_row[side, key] = what
    fitted = _one_for_all(fitted, answers)
    words = (
        estimand(fitted.model.outcome, describe(do), kind)
        if question == "intervene"
        else difference(fitted.model.outcome, do, baseline, kind)
    )
    extrapolation.warn_of_numbers(fitted.training, forced, words)
    misfit.warn(misfit.told(fitted.straightness, *_moved(fitted, answers)), words)
    shipped, asked = _shipped(fitted), dask.delayed(_asked, pure=False)
    parts = []
    for k, (rows, *values) in enumerate(
        partitions(X, **{f"{side}[{key!r}]": what for (side, key), what in by_row.items()})
    ):
        own = [
            {key: what for key, what in each.items() if (side, key) not in by_row}
            for side, each in sides.items()
        ]
        shares = list(zip([(list(sides).index(s), key) for s, key in by_row], values, strict=True))
        parts.append(asked(shipped, k, question, rows, own, shares, kind, population))
    index = _rowless(X).index
    return DaskOutcomes(parts, words, fitted.shape, fitted.fingerprint, index)


def _moved(
    fitted: Fitted, answers: list[tuple[list[str], Regression | None]]
) -> tuple[set[str], set[str]]:
    """Return the columns that are forced on any side, and those that follow."""
    sides = [frozenset(names) for names, _ in answers]
    follow = (fitted.answered(names)[0] for names in sides)
    return {*frozenset().union(*sides)}, {*frozenset().union(*follow)}


def _one_for_all(fitted: Fitted, answers: list[tuple[list[str], Regression | None]]) -> Fitted:
    """Return who answers, the same in all partitions: the equations, or one regression.

    `answers` holds what each side forces, and its own regression if it has one.
    """
    (names, own), (others, other) = answers[0], answers[-1]
    if own != other:
        refuse_two_regressions(names, own, others, other)
    return replace(fitted, own=None) if own is None else fitted.regressed(own)


@dataclass(frozen=True, eq=False)
class DaskOutcomes(Arithmetic):
    """Outcomes of the rows of a Dask collection, each partition's where its rows are.

    Averages are computed at once, in a tree, and are `Outcomes`; what has a value a row is a Dask
    Series or DataFrame, computed when Dask is asked to. They are calculated with as `Outcomes`
    are, draw by draw; what has a number a row is a Dask collection in partitions like theirs.

    See Also
    --------
    Outcomes : The same in memory.
    BayesianInterventionRegressor.intervene : Returns them for Dask rows.

    Examples
    --------
    >>> from interventional import BayesianInterventionRegressor
    >>> from interventional.datasets import make_sales
    >>> X, y = make_sales(random_state=0)
    >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    >>> import dask.dataframe as dd
    >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
    >>> outcomes
    <DaskOutcomes: E[sales | do(price = 10)], 2 partitions, 4000 draws>
    """

    parts: Sequence[Any]
    estimand: str
    shape: tuple[int, int]
    posterior: str
    index: pd.Index

    def average(self, weights: Any = None, by: Any = None, *, population: Any = None) -> Outcomes:
        """Average over all rows, inside each draw.

        Parameters
        ----------
        weights : Dask Series or Array of shape (n,), optional
            Weights of the rows, in partitions like theirs.
        by : column name, list of them, or Dask Series, DataFrame or Array of n rows, optional
            Groups to average within.
        population : column name, tuple of column names, or list of these, optional
            As in `Outcomes.average`.

        See Also
        --------
        Outcomes.average : The same in memory.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.average().mean().round(1)
        array([20.1])
        """
        total = self._averages(weights, by, population)
        return outcomes_of(*averaged(total, self, self.estimand, by is not None))

    def sum(self, weights: Any = None, by: Any = None, *, population: Any = None) -> Outcomes:
        """Add up over all rows, inside each draw.

        Parameters
        ----------
        weights, by, population
            As in `average`.

        See Also
        --------
        Outcomes.sum : The same in memory.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> (10 * outcomes).sum().mean().round(-1)
        array([40260.])
        """
        total = self._averages(weights, by, population)
        return outcomes_of(*summed(total, self, self.estimand, by is not None))

    def map(self, function: Callable[[Any], Any]) -> "DaskOutcomes":
        """Return a function of each number, of each row in each draw.

        Parameters
        ----------
        function : callable
            As in `Outcomes.map`.

        See Also
        --------
        Outcomes.map : The same in memory.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.map(np.sign).average().mean().round(1)
        array([1.])
        """
        return self._apply(function, self)

    def mean(self) -> Any:
        """Return the posterior mean of each row, a Dask Series.

        See Also
        --------
        average : Over all rows, at once.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.mean().compute().head(2).round(1).tolist()
        [21.0, 19.0]
        """
        return self._rows("mean")

    def std(self) -> Any:
        """Return the posterior standard deviation of each row, a Dask Series.

        See Also
        --------
        Outcomes.std : The same in memory.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.std().compute().head(2).round(1).tolist()
        [0.1, 0.1]
        """
        return self._rows("std")

    def quantile(self, q: float) -> Any:
        """Return a posterior quantile of each row, a Dask Series.

        See Also
        --------
        Outcomes.quantile : The same in memory.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.quantile(0.5).compute().head(2).round(1).tolist()
        [21.0, 19.0]
        """
        if np.ndim(q):
            raise ValueError(f"q must be one probability where rows are Dask's, got {q!r}")
        return self._rows("quantile", q)

    def probability(self, above: float | None = None, below: float | None = None) -> Any:
        """Return the posterior probability of a range for each row, a Dask Series.

        See Also
        --------
        Outcomes.probability : The same in memory.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.probability(above=20).compute().head(2).tolist()
        [1.0, 0.0]
        """
        return self._rows("probability", above, below)

    def summary(
        self, prob: float | Sequence[float] | None = None, kind: CiKind | None = None
    ) -> Any:
        """Return mean, sd and interval of each row, a Dask DataFrame.

        Parameters
        ----------
        prob, kind
            As in `Outcomes.summary`.

        See Also
        --------
        Outcomes.summary : The same in memory.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.summary(prob=0.95).compute().head(2).round(1)
           mean   sd  eti95_lb  eti95_ub
        0  21.0  0.1      20.9      21.2
        1  19.0  0.1      18.8      19.1
        """
        prob, kind = several_defaults(prob, kind)
        columns = ["mean", "sd", *columns_of_intervals(prob, kind)]
        meta = pd.DataFrame(columns=columns, dtype=np.float64, index=self.index[:0].rename(None))
        return self._frame("summary", meta, prob, kind)

    def interval(self, prob: float | None = None, kind: CiKind | None = None) -> Any:
        """Return a posterior credible interval of each row, a Dask DataFrame of its ends.

        See Also
        --------
        Outcomes.interval : The same in memory.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.interval(0.95).compute().head(2).round(1)
           eti95_lb  eti95_ub
        0      20.9      21.2
        1      18.8      19.1
        """
        return self.summary(prob, kind).iloc[:, 2:]

    @property
    def support(self) -> Any:
        """How well the data support each row, a Dask DataFrame; `Outcomes.support` says more.

        See Also
        --------
        Outcomes.support : The same in memory, and what its columns mean.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import dask.dataframe as dd
        >>> outcomes = model.intervene(dd.from_pandas(X, npartitions=2), do={"price": 10})
        >>> outcomes.support.compute()["supported"].all()
        np.True_
        """
        like = Support.of_observed(0).table(self.index[:0].rename(None))
        return self._frame("support", like)

    def __repr__(self) -> str:
        chains, draws = self.shape
        size = f"{len(self.parts)} partitions, {chains * draws} draws"
        return f"<DaskOutcomes: {self.estimand}, {size}>"

    def _apply(self, function: Callable[..., Any], *operands: Any) -> "DaskOutcomes":
        import dask

        parts, words = [], []
        for each in operands:
            parts.append(self._parts_of(each))
            if isinstance(each, Outcomes | DaskOutcomes):
                words.append(each.estimand)
            else:
                words.append(number_in_words(each) if is_number(each) else "values")
        apply = dask.delayed(_applied, pure=False)
        found = [apply(function, *each) for each in zip(*parts, strict=True)]
        said = in_words(function, words)
        return DaskOutcomes(found, said, self.shape, self.posterior, self.index)

    def _parts_of(self, operand: Any) -> Sequence[Any]:
        """Return what each partition is calculated with."""
        n = len(self.parts)
        if isinstance(operand, Outcomes):
            contents = contents_of(operand)
            if len(operand) > 1:
                raise TypeError(
                    "outcomes of Dask rows combine with such, with numbers, and with outcomes of "
                    f"one row, such as averages; got Outcomes of {len(operand)} rows"
                )
            refuse_unpaired((self.shape, self.posterior), (contents.shape, contents.posterior))
            return [_shipped(operand)] * n
        if not isinstance(operand, DaskOutcomes):
            if not is_number(operand) and not is_distributed(operand):
                raise TypeError(
                    "outcomes of Dask rows combine with such, with numbers, and with Dask Series "
                    f"and Arrays of a number a row; got {type(operand).__name__}. A Dask Series "
                    "goes after the sign, as in outcomes * series"
                )
            return _per_part(operand, n)
        if len(operand.parts) != n:
            raise ValueError(
                f"{n} partitions here, {len(operand.parts)} there; combine outcomes of the same "
                "rows"
            )
        refuse_unpaired((self.shape, self.posterior), (operand.shape, operand.posterior))
        return operand.parts

    def _averages(self, weights: Any, by: Any, population: Any) -> Averages:
        """Return the averages over all rows, computed."""
        import dask

        averages, n = dask.delayed(_averaged, pure=False), len(self.parts)
        group = [by] * n if isinstance(by, list) else _per_part(by, n)
        given = zip(self.parts, _per_part(weights, n), group, strict=True)
        total: Averages = _sum_of([averages(*each, population) for each in given])
        return total

    def _rows(self, method: str, *arguments: Any) -> Any:
        meta = pd.Series(dtype=np.float64, index=self.index[:0].rename(None))
        return self._frame(method, meta, *arguments)

    def _frame(self, method: str, meta: Any, *arguments: Any) -> Any:
        import dask
        import dask.dataframe as dd

        called = dask.delayed(_called, pure=False)
        parts = [called(part, method, meta, arguments) for part in self.parts]
        return dd.from_delayed(parts, meta=meta, verify_meta=False)


def partitions(X: Any, **others: Any) -> list[tuple[Any, ...]]:
    """Return the partitions of X and what belongs to their rows, as delayed objects."""
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, rows and columns, got {X.ndim}")
    if not _is_frame(X):
        X = X.rechunk({1: -1})
    delayed = [_delayed(X)]
    for name, other in others.items():
        if other is None:
            delayed.append([None] * len(delayed[0]))
            continue
        if not is_distributed(other):
            raise TypeError(
                f"X is a Dask collection, so that {name} must be one too, in partitions like "
                f"those of X; got {type(other).__name__}"
            )
        parts = _delayed(other)
        if len(parts) != len(delayed[0]):
            raise ValueError(
                f"X has {len(delayed[0])} partitions, {name} {len(parts)}; they must be the same"
            )
        delayed.append(parts)
    return list(zip(*delayed, strict=True))


def _is_frame(X: Any) -> bool:
    """Whether X is a Dask DataFrame or Series."""
    return is_distributed(X) and not hasattr(X, "chunks")


def _rowless(X: Any) -> pd.DataFrame:
    """Return a DataFrame without rows that is like a Dask collection: its columns, and its index.

    That of a Dask array has as many columns, without names.
    """
    return X._meta if _is_frame(X) else pd.DataFrame(np.empty((0, X.shape[1])))


def read_columns(X: Any, estimator: BaseEstimator, *, reset: bool) -> None:
    """Note, or compare, names and number of the columns of a Dask collection."""
    like = _rowless(X) if _is_frame(X) else np.empty((1, X.shape[1]))
    validate_data(estimator, like, skip_check_array=True, reset=reset)


def _reduced(
    reduce: Callable[[Any, Any, Any], Accumulated],
    k: int,
    labels: list[Any] | None,
    X: Any,
    y: Any,
    sample_weight: Any,
) -> Accumulated | None:
    """Return what is seen of a partition; nothing of an empty one."""
    if labels is not None and list(X.columns) != labels:
        strays = [label for label in X.columns if label not in labels]
        missing = [label for label in labels if label not in X.columns]
        what = f"lacks {listed(missing)}" if missing else f"has {listed(strays)} besides"
        if not missing and not strays:
            what = "has them in another order"
        raise ValueError(f"partition {k}: its columns are not those of X: it {what}")
    if len(X) == 0:
        return None
    try:
        return reduce(X, y, sample_weight)
    except (TypeError, ValueError) as error:
        raise type(error)(f"partition {k}: {error}") from error


def _asked(
    fitted: Fitted,
    k: int,
    question: str,
    X: Any,
    sides: list[dict[Any, Any]],
    shares: list[tuple[tuple[int, Any], Any]],
    kind: Kind,
    population: bool,
) -> Outcomes | None:
    """Return the answer for a partition, whose noise is its own; nothing for an empty one."""
    if len(X) == 0:
        return None
    sides = [dict(side) for side in sides]
    for (side, key), values in shares:
        sides[side][key] = values
    do, baseline = sides[0], sides[1] if len(sides) > 1 else None
    seed = np.random.SeedSequence([fitted.seed, k]).generate_state(1)[0] >> 1
    try:
        table = read_rows(X)
        known = fitted.knowing(table, do, baseline) if population else fitted
        units = known.units(table, int(seed))
        if question == "intervene":
            return known.intervene(units, do, kind)
        return known.effect(units, do, baseline, kind)
    except (TypeError, ValueError) as error:
        raise type(error)(f"partition {k}: {error}") from error


def _refuse_in_memory(what: Any, where: str) -> None:
    """Refuse what has a value a row, but not in partitions."""
    parameters = (*what.args, *what.kwds.values()) if is_distribution(what) else (what,)
    for each in parameters:
        if np.ndim(each) > 0 and not (each is what and is_distributed(what)):
            raise TypeError(
                f"{where}: X is a Dask collection, so that a value for each row must be a "
                f"callable of X or a Dask collection too; got {type(what).__name__}"
            )


def _applied(function: Callable[..., Any], *operands: Any) -> Outcomes | None:
    """Return a function of a partition's outcomes; nothing of an empty one."""
    return None if any(each is None for each in operands) else calculated(function, operands)


def _averaged(
    outcomes: Outcomes | None, weights: Any, by: Any, population: Any
) -> Averages | None:
    """Return the averages of a partition, which add up; nothing of an empty one."""
    if outcomes is None:
        return None
    contents = contents_of(outcomes)
    by = contents.columns(by) if isinstance(by, list) else by
    return contents.averages(weights, by, population)


def _called(outcomes: Outcomes | None, method: str, meta: Any, arguments: tuple[Any, ...]) -> Any:
    """Return what a method has for each row of a partition, with the rows' labels."""
    if outcomes is None:
        return meta
    found = getattr(outcomes, method)
    if callable(found):
        found = found(*arguments)
    if isinstance(found, pd.DataFrame):
        return found
    return pd.Series(found, index=contents_of(outcomes).labels.rename(None))


def _predicted(X: pd.DataFrame, predict: Callable[[Any], Any]) -> pd.Series:
    return pd.Series(predict(X) if len(X) else np.empty(0), index=X.index)


def _shipped(thing: Any) -> Any:
    """Return something as one node of Dask's graph, which each worker gets once."""
    import uuid

    import dask

    return dask.delayed(thing, name=f"interventional-{uuid.uuid4().hex}", traverse=False)


def _delayed(collection: Any) -> list[Any]:
    parts = collection.to_delayed()
    return list(parts.ravel() if isinstance(parts, np.ndarray) else parts)


def _per_part(what: Any, n: int) -> list[Any]:
    """Return what each partition gets of something that may have a value a row."""
    if not is_distributed(what):
        if np.ndim(what) > 0:
            raise TypeError(
                "the rows are Dask's, so that what has a value a row must be a Dask collection "
                f"too; got {type(what).__name__}"
            )
        return [what] * n
    parts = _delayed(what)
    if len(parts) != n:
        raise ValueError(f"the rows have {n} partitions, what is given for them {len(parts)}")
    return parts


def _sum_of(parts: list[Any]) -> Any:
    """Add up delayed parts in a tree, and compute."""
    import dask

    add: Callable[..., Any] = dask.delayed(_sum, pure=False)
    while len(parts) > 1:
        parts = [add(parts[k : k + 8]) for k in range(0, len(parts), 8)]
    (total,) = dask.compute(parts[0])
    if total is None:
        raise ValueError("X has no rows in any of its partitions")
    return total


def _sum(parts: list[Any]) -> Any:
    total = None
    for part in parts:
        total = part if total is None else total if part is None else total + part
    return total
