"""Raw columns that are forced, and what steps before the model make of them."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interventional.answers.samples import Chunked
from interventional.data.schema import Schema
from interventional.data.table import Table
from interventional.intervention.do import Drawn
from interventional.numbers import Floats, all_numbers, slices

_BLOCK = 1 << 18  # rows that are transformed at a time where a distribution is drawn
_PROBED = 50  # rows, and levels, that are tried where nothing is seen to follow a column
Raw = Mapping[int, "NDArray[Any] | Drawn"]  # what raw columns are forced to, by position


def forced_raw(meant: Mapping[int, Any], table: Table) -> dict[int, "NDArray[Any] | Drawn"]:
    """Return what each raw column is forced to as something that it can hold."""
    return {
        j: what if isinstance(what, Drawn) else _raw(what, table, j, f"do[{table.names[j]!r}]")
        for j, what in meant.items()
    }


def _raw(values: ArrayLike, table: Table, j: int, where: str) -> NDArray[Any]:
    """Return forced values as an array of its own that the raw column can hold."""
    array = np.array(values.to_numpy() if isinstance(values, pd.Series) else values)
    holds_numbers = table.holds_numbers(j) and j not in table.absent
    if holds_numbers and array.dtype.kind == "O" and all_numbers(array):
        array = array.astype(np.float64)
    missing = pd.isna(array)
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise ValueError(f"{where} holds infinity; a column can only be forced to values")
    if missing.any():
        if array.ndim == 1:
            missing &= ~pd.isna(table.values(j))
        if missing.any():
            at = f" in row {int(np.argmax(missing))}" if array.ndim == 1 else ""
            raise ValueError(
                f"{where} holds NaN{at}; a column can only be forced to values, or be left "
                "missing in rows where it is missing in X"
            )
    if holds_numbers and array.dtype.kind not in "biuf":
        raise TypeError(f"{where}: the column holds numbers, got {array.ravel()[0]!r}")
    return array


def with_missing_forced(table: Table, forced: Raw) -> tuple[Table, NDArray[np.bool_]]:
    """Return rows with forced values where they have none, which no step may take; and which."""
    columns, lacking = {}, np.zeros(len(table), dtype=bool)
    for j, values in forced.items():
        missing = np.asarray(pd.isna(table.values(j)))
        if not missing.any():
            continue
        held = values.first_chunk()[0, 0] if isinstance(values, Drawn) else values
        missing &= np.logical_not(pd.isna(held))
        if missing.any():
            columns[j] = np.where(missing, held, table.values(j))
            lacking |= missing
    return (table.with_columns(columns) if columns else table), lacking


def differ(left: Floats, right: Floats) -> NDArray[np.bool_]:
    """Return where encoded rows are not the same; NaN is the same as NaN."""
    return (left != right) & ~(np.isnan(left) & np.isnan(right))


def through(steps: tuple[Any, ...], rows: Any) -> Any:
    """Return what steps make of rows, one after the other."""
    for step in steps:
        rows = step.transform(rows)
    return rows


def moved_rows(table: Table, columns: Iterable[int]) -> dict[int, NDArray[Any]]:
    """Return the values of some columns, each row's those of the row before."""
    return {j: np.roll(table.values(j), 1) for j in columns}


def found_to_move(
    encode: Callable[[Table], Floats], table: Table, j: int
) -> NDArray[np.bool_] | None:
    """Return which columns of the model move with a raw one, whatever it may have held.

    Values of all sizes are tried, in some rows, beside other columns as they are and elsewhere: a
    spline is the same far out on one side, and not on the other; a product with zero is zero. None
    if nobody knows: nothing moves, and a step takes no such values, or there are none.
    """
    some = table.take(slice(0, _PROBED))
    others = [k for k in range(len(some.names)) if k != j and some.values(k).dtype.kind in "iuf"]
    failed, found = False, np.zeros(1, dtype=bool)
    tried = _values_to_try(table, some, j)
    if not tried:
        return None
    for elsewhere in ({}, {k: some.values(k) + 1.0 for k in others}):
        at = [elsewhere, *({**elsewhere, j: values} for values in tried)]
        before = None
        for columns in at:
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    after = encode(some.with_columns(columns))
            except Exception:  # whatever a step of the user's raises
                failed |= not elsewhere
                continue
            before = after if before is None else before
            found = differ(after, before).any(axis=0) | found
        if found.any():
            break
    return None if failed and not found.any() else found


def _values_to_try(table: Table, some: Table, j: int) -> list[NDArray[Any]]:
    """Return columns of other values than a raw one has; none where but one level is known."""
    held = some.values(j)
    if held.dtype.kind == "b":
        return [~held]
    if held.dtype.kind in "iuf":
        held = held.astype(np.float64)
        size, zero = float(np.nanmax(np.abs(held), initial=1.0)), np.zeros(len(held))
        sizes = (0.0, 1.0, -1.0, 0.1 * size, 10 * size, -10 * size)
        return [held + size, held - size, *(zero + each for each in sizes)]
    levels = pd.Series(table.values(j)).dropna().unique().tolist()[:_PROBED]
    if table.frame is not None and isinstance(table.frame.dtypes.iloc[j], pd.CategoricalDtype):
        levels += table.frame.dtypes.iloc[j].categories.tolist()[:_PROBED]
    if len(set(levels)) < 2:  # to an encoder one that it does not know may be as the first
        return []
    tried = np.empty((len(levels) + 1, len(held)), dtype=object)
    tried[:] = np.array([*levels, "a level that nobody has"], dtype=object)[:, None]
    return list(tried)


@dataclass(frozen=True, eq=False)
class Steps:
    """What the regressor sees of rows of which some raw columns are drawn from a distribution.

    Attributes
    ----------
    steps : tuple
        The steps before the regressor.
    schema : Schema
        What the columns of the regressor are.
    rows : DataFrame or ndarray
        The raw rows.
    forced : mapping
        What raw columns are forced to.
    n_draws : int
        How many posterior draws there are.
    untouched : ndarray
        Positions of columns that were found not to follow from what is forced.
    before : ndarray of shape (n, columns), optional
        Encoded rows as they were observed: what those columns must stay at.
    """

    steps: tuple[Any, ...]
    schema: Schema
    rows: Table
    forced: Raw
    n_draws: int
    untouched: NDArray[np.intp] = field(default_factory=lambda: np.arange(0))
    before: Floats | None = None

    def chunk(self, k: int, chunk: slice) -> Floats:
        """Return the k-th chunk of rows, encoded, of shape (draws, rows, columns)."""
        found: Floats | None
        last, found = self._last.get("chunk", (-1, None))  # asked for column by column
        if found is None or last != k:
            found = self._transformed(k, chunk)
            self._refuse_moved(found, chunk)
            self._last["chunk"] = (k, found)
        return found

    def thinned(self, n_draws: int) -> "Steps":
        """Return the same with fewer draws."""
        found = self._thinned.get(n_draws)  # asked for by each of its columns
        if found is None:
            forced = {
                column: values.thinned(n_draws) if isinstance(values, Drawn) else values
                for column, values in self.forced.items()
            }
            found = self._thinned[n_draws] = replace(self, forced=forced, n_draws=n_draws)
        return found

    @cached_property
    def _thinned(self) -> "dict[int, Steps]":
        return {}

    @cached_property
    def _last(self) -> dict[str, tuple[int, Floats]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        # A chunk is made again in a moment, and is larger than all the rest.
        made = ("_last", "_thinned")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def _refuse_moved(self, found: Floats, chunk: slice) -> None:
        """Refuse rows in which a column moves that moves in no row that was tried."""
        if self.before is None or not len(self.untouched):
            return
        moved = differ(found[..., self.untouched], self.before[chunk][:, self.untouched])
        if moved.any():
            j = self.untouched[int(np.argmax(moved.any(axis=(0, 1))))]
            raise ValueError(
                f"rows {chunk.start} to {chunk.stop - 1}: the steps before the model derive "
                f"{self.schema.names[j]!r} from what is forced, which they do in none of the rows "
                "that were tried first, so that it was not taken for forced; ask for fewer rows "
                "at a time"
            )

    def _transformed(self, k: int, chunk: slice) -> Floats:
        rows = self.rows.take(chunk)
        n = len(rows)
        forced: dict[int, NDArray[Any]] = {}
        for column, values in self.forced.items():
            if isinstance(values, Drawn):
                forced[column] = _raw(values.chunk(k, chunk), self.rows, column, values.where)
            else:
                forced[column] = np.broadcast_to(values, len(self.rows))[chunk]
        parts = []
        for draws in slices(self.n_draws, _BLOCK // n):  # draws become rows: the steps run once
            size = draws.stop - draws.start
            repeated = rows.take(np.tile(np.arange(n), size))
            columns = {
                column: values[draws].ravel() if values.ndim == 2 else np.tile(values, size)
                for column, values in forced.items()
            }
            seen, _ = self.schema.encoded(through(self.steps, repeated.with_columns(columns).held))
            parts.append(seen.reshape(size, n, -1))
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Column(Chunked):
    """A column of the model that differs by draw."""

    steps: Steps
    j: int

    @property
    def n_draws(self) -> int:  # type: ignore[override]
        """How many draws there are."""
        return self.steps.n_draws

    @property
    def n(self) -> int:  # type: ignore[override]
        """How many rows there are."""
        return len(self.steps.rows)

    def chunk(self, k: int, rows: slice) -> Floats:
        """Return the column for the k-th chunk of rows."""
        found = self.steps.chunk(k, rows)[..., self.j]
        if np.isnan(found).any():
            name = self.steps.schema.names[self.j]
            raise ValueError(f"the steps before the model make NaN of what is forced, in {name!r}")
        return found

    def thinned(self, n_draws: int) -> "Column":
        """Return fewer draws from the same distribution."""
        return replace(self, steps=self.steps.thinned(n_draws))
