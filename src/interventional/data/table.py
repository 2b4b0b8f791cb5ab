"""Rows as the user has them: the one place that tells a frame from an array."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from interventional.data import frames
from interventional.errors import listed, unknown
from interventional.numbers import Floats, converting, dense, refuse_times


def is_distributed(X: Any) -> bool:
    """Whether X is a Dask collection; Dask is not imported to find out."""
    return type(X).__module__.partition(".")[0] == "dask"


def refuse_masked(values: Any, what: str) -> None:
    """Refuse a masked array in which something is masked: NumPy would take what is behind."""
    if np.ma.is_masked(values):
        raise ValueError(f"{what} is a masked array in which values are masked; fill or drop them")


def position_of(key: object, labels: Sequence[Hashable] | None, names: Sequence[str]) -> int:
    """Return the position of the column that a user calls `key`.

    Parameters
    ----------
    key : object
        A label; where there are none, a name ``x0``, ``x1``, … or a position.
    labels : sequence or None
        Those of the columns of a DataFrame.
    names : sequence of str
        The names of the columns.

    Raises
    ------
    ValueError
        If there is no such column; it names the nearest.
    """
    known: Sequence[Hashable] = names if labels is None else labels
    if isinstance(key, Hashable) and key in known:
        return known.index(key)
    is_position = isinstance(key, int | np.integer) and not isinstance(key, bool)
    if labels is None and is_position and 0 <= int(key) < len(known):  # type: ignore[call-overload]
        return int(key)  # type: ignore[call-overload]
    raise ValueError(unknown("column", key, known))


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of named columns: a frame as it is, or an array of two dimensions.

    Attributes
    ----------
    frame : DataFrame or None
        The rows as a DataFrame of pandas; None where they are an array.
    held : DataFrame, frame of another package or ndarray of shape (n, columns)
        The rows as the user has them; never changed.
    absent : tuple of int
        Positions of the columns that the user's frame lacks, of NaN here.
    """

    frame: pd.DataFrame | None
    held: Any
    absent: tuple[int, ...] = ()

    @classmethod
    def of(cls, X: Any) -> "Table":
        """Return rows as a table; what is no frame becomes an array of two dimensions."""
        if isinstance(X, Table):
            return X
        frame = frames.as_pandas(X)
        if frame is not None:
            return cls(frame, X)
        refuse_masked(X, "X")
        rows = np.asarray(dense(X, "X"))
        if rows.ndim != 2:
            raise ValueError(
                f"X must have two dimensions, rows and columns, got shape {rows.shape}"
            )
        return cls(None, rows)

    @property
    def is_foreign(self) -> bool:
        """Whether the rows are a frame of another package than pandas."""
        return self.frame is not None and self.held is not self.frame

    @property
    def array(self) -> NDArray[Any]:
        """The array of rows that are no frame."""
        assert isinstance(self.held, np.ndarray)
        return self.held

    @cached_property
    def labels(self) -> tuple[Hashable, ...] | None:
        """The labels of the columns; None where these have none."""
        return None if self.frame is None else tuple(self.frame.columns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names: their labels as text, or x0, x1, …."""
        if self.frame is None:
            return tuple(f"x{j}" for j in range(self.held.shape[1]))
        return tuple(map(str, self.frame.columns))

    @property
    def index(self) -> pd.Index:
        """The labels of the rows."""
        return pd.RangeIndex(len(self)) if self.frame is None else self.frame.index

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.held)

    def column(self, j: int) -> Any:
        """Return the values of a column: a Series, or an array."""
        return self.array[:, j] if self.frame is None else self.frame.iloc[:, j]

    def values(self, j: int) -> NDArray[Any]:
        """Return the values of a column as an array."""
        return np.asarray(self.array[:, j] if self.frame is None else self.column(j).to_numpy())

    def take(self, rows: slice | NDArray[np.intp]) -> "Table":
        """Return some of the rows, with their labels."""
        if self.frame is None:
            return Table(None, self.array[rows])
        if self.is_foreign:
            return Table.of(frames.taken(self.held, rows)).completed(self.labels)
        return replace(Table.of(self.frame.iloc[rows]), absent=self.absent)

    def renumbered(self) -> "Table":
        """Return the rows labelled 0, 1, …."""
        if self.frame is None or self.is_foreign:
            return self
        return Table.of(self.frame.reset_index(drop=True))

    def copy(self) -> "Table":
        """Return rows that do not change when the user's do."""
        return Table.of(frames.copied(self.held) if self.is_foreign else self.held.copy())

    def shown(self) -> Any:
        """Return the rows, of the user's kind, for a function to read; it cannot change them."""
        if self.is_foreign:
            return frames.copied(self.held)
        if self.frame is not None:
            return self._given().copy(deep=False)
        rows = self.array.view()
        rows.flags.writeable = False
        return rows

    def as_frame(self) -> pd.DataFrame:
        """Return a DataFrame of its own, the columns of an array named x0, x1, …."""
        if self.frame is not None:
            return self._given().copy()
        return pd.DataFrame(self.array.copy(), columns=list(self.names), copy=False)

    def completed(self, labels: Sequence[Hashable] | None) -> "Table":
        """Return a table that has the columns of these labels, those that it lacks of NaN.

        Columns besides, or in another order, stay as they are.
        """
        frame = self.frame
        if frame is None or labels is None or self.labels == tuple(labels):
            return self
        absent = [j for j, label in enumerate(labels) if label not in frame.columns]
        in_order = self.labels == tuple(label for label in labels if label in frame.columns)
        frame = frame.copy(deep=False)
        for j in absent:
            frame.insert(j if in_order else frame.shape[1], labels[j], np.nan)
        return Table(frame, self.held if self.is_foreign else frame, tuple(absent))

    def _given(self) -> pd.DataFrame:
        """Return the frame without the columns that the user's lacks."""
        assert self.frame is not None
        return self.frame.drop(columns=self.frame.columns[list(self.absent)])

    def reordered(self, columns: Sequence[int], order: NDArray[np.intp]) -> "Table":
        """Return the rows with some columns in another order, jointly."""
        if self.frame is None:
            array = self.array.copy()
            array[:, columns] = self.array[np.ix_(order, columns)]
            return Table(None, array)
        frame = self.frame.copy(deep=False)
        for j in columns:
            frame.isetitem(j, self.frame.iloc[order, j].array)
        made = self._of_its_kind(frame, columns)
        return made if made.is_foreign else replace(made, absent=self.absent)

    def with_columns(self, columns: Mapping[int, NDArray[Any]]) -> "Table":
        """Return the rows with some columns replaced, of the same kinds as they were."""
        if self.frame is None:
            kinds = (values.dtype for values in columns.values())
            array = self.array.astype(np.result_type(self.array.dtype, *kinds))
            for j, values in columns.items():
                array[:, j] = values
            return Table(None, array)
        frame = self.frame.copy(deep=False)
        for j, values in columns.items():
            held = frame.dtypes.iloc[j]
            column = pd.Series(np.broadcast_to(values, len(frame)), index=frame.index)
            if isinstance(held, pd.CategoricalDtype):
                found = column.dropna().unique()
                new = [level for level in found if level not in held.categories]
                column = column.astype(pd.CategoricalDtype([*held.categories, *new], held.ordered))
            elif pd.api.types.is_bool_dtype(held) and column.isin([0, 1]).all():
                column = column.astype(held)
            frame.isetitem(j, column.array)
        return self._of_its_kind(frame, list(columns))

    def with_new_column(self, label: Any, values: Floats) -> "Table":
        """Return the rows with one more column, which an array has as its last."""
        if self.frame is None:
            return Table(None, np.column_stack([self.array, values]))
        frame, depth = self.frame.copy(deep=False), self.frame.columns.nlevels
        frame[label if depth == 1 else (label, *[""] * (depth - 1))] = values
        return self._of_its_kind(frame, [frame.shape[1] - 1])

    def _of_its_kind(self, frame: pd.DataFrame, columns: Sequence[int]) -> "Table":
        """Return rows in which some columns are other ones, of the kind that these rows are."""
        if not self.is_foreign:
            return Table(frame, frame)
        new = {str(frame.columns[j]): frame.iloc[:, j] for j in (*columns, *self.absent)}
        return Table(frame, frames.replaced(self.held, new))

    def holds_numbers(self, j: int) -> bool:
        """Whether the dtype of a column is one of numbers."""
        dtype = self.array.dtype if self.frame is None else self.frame.dtypes.iloc[j]
        return bool(pd.api.types.is_numeric_dtype(dtype))

    def aligned(self, series: pd.Series, where: str) -> pd.Series:
        """Return a Series in the order of the rows."""
        if self.frame is None or series.index.equals(self.index):
            return series
        if not (series.index.is_unique and self.index.is_unique):
            raise ValueError(
                f"{where}: its index is not that of X, and repeats labels; cannot align"
            )
        missing = self.index.difference(series.index)
        if len(missing):
            raise ValueError(
                f"{where}: its index lacks rows of X: {listed(missing)}; give a Series indexed "
                "like X, or an array"
            )
        return series.reindex(self.index)


@dataclass(frozen=True, eq=False)
class Units:
    """Rows that something is asked of.

    Attributes
    ----------
    table : Table
        As the user has them, which is what policies read.
    values : ndarray of shape (n, columns)
        Encoded.
    seed : int
        Source of their noise: other partitions of a table have other noise.
    wrong : mapping of int to Exception
        Of each column with something that is no number or level, what is raised if it is read.
    """

    table: Table
    values: Floats
    seed: int
    wrong: Mapping[int, Exception] = field(default_factory=dict)


def read_table(
    X: Any,
    estimator: BaseEstimator,
    *,
    reset: bool,
    labels: Sequence[Hashable] | None = None,
) -> Table:
    """Return rows as a table: a frame as it is, all else as floats, some maybe not finite.

    Parameters
    ----------
    X : array-like or frame of shape (n, columns)
        The rows.
    estimator : estimator
        Who takes them.
    reset : bool
        Whether the estimator is to note number and names of the columns, or to compare.
    labels : sequence, optional
        Those of all columns, some of which a DataFrame may lack: see `Table.absent`.
    """
    frame = frames.as_pandas(X)
    if frame is None:
        return Table(None, _read_array(X, partial(validate_data, estimator, reset=reset)))
    table = Table(frame, X).completed(labels)
    validate_data(estimator, table.frame, skip_check_array=True, reset=reset)
    return _not_empty(table)


def read_rows(X: Any) -> Table:
    """Return rows as a table, whoever takes them."""
    frame = frames.as_pandas(X)
    if frame is None:
        return Table(None, _read_array(X, check_array))
    return _not_empty(Table(frame, X))


def _not_empty(table: Table) -> Table:
    """Return a frame, which has rows and columns."""
    assert table.frame is not None
    shape = table.frame.shape
    for size, what in zip(shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={shape}) while a minimum of 1 is required"
            )
    return table


def _read_array(X: Any, check: Callable[..., Any]) -> Floats:
    """Return rows that are no frame as floats, by a function of scikit-learn's."""
    refuse_masked(X, "X")
    found = np.asarray(X) if isinstance(X, list | tuple) else X
    refuse_times(found, "X")
    with converting("X"):
        checked = check(X, dtype=np.float64, ensure_all_finite=False, accept_sparse=True)
        return np.asarray(dense(checked, "X"))
