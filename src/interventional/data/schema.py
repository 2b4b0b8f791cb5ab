"""From the user's columns to numbers, and from numbers to the design matrix.

A `Schema` remembers what the columns of X are and turns tables into float arrays and back: numbers
stay as they are, levels become codes. A design turns such an array into the matrix that an
equation is linear in.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interventional.data.table import Table, position_of
from interventional.errors import listed, unknown
from interventional.numbers import LARGEST, Floats, all_numbers, are_moderate, is_number

# Of a column: its levels, the name of its dtype, and all its categories, as in `Schema`.
Kind = tuple[tuple[Any, ...] | None, str | None, tuple[Any, ...] | None]
# What is wrong with columns, by position: an error where somebody reads one of them.
Wrong = Mapping[int, Exception]

_FEW_ROWS = 100
MANY_LEVELS = 30  # a column with more tells little of others: its levels have few rows each


@dataclass(frozen=True)
class Schema:
    """What the columns of X are.

    Attributes
    ----------
    names : tuple of str
        The name of each column in the model: its label, or ``"x0"``, ``"x1"``, … where some label
        is no string or holds a ``"/"``.
    labels : tuple or None
        The labels of the DataFrame that was fitted; None for an array.
    levels : tuple of (tuple or None)
        The levels of each column of levels; None for a column of numbers.
    dtypes : tuple of (str or None)
        The name of the pandas dtype of each column of levels; ``"bool"`` for one of bools, which
        enter as numbers; None for a column of numbers.
    orders : tuple of (tuple or None)
        All categories of the dtype of each column of categories, those that do not occur included.
    """

    names: tuple[str, ...]
    labels: tuple[Hashable, ...] | None
    levels: tuple[tuple[Any, ...] | None, ...]
    dtypes: tuple[str | None, ...]
    orders: tuple[tuple[Any, ...] | None, ...]

    @classmethod
    def of(cls, X: Any) -> "Schema":
        """Read what the columns of X, a table, are from its labels and dtypes."""
        schema, wrong = cls.of_readable(X)
        refuse(wrong)
        return schema

    @classmethod
    def of_readable(cls, X: Any) -> "tuple[Schema, Wrong]":
        """Read the same; what is no column for a model counts as numbers, and is wrong."""
        table = Table.of(X)
        if table.frame is None:
            nothing = (None,) * len(table.names)
            return cls(table.names, None, nothing, nothing, nothing), {}
        labels = tuple(table.frame.columns)
        repeated = [label for label, count in Counter(labels).items() if count > 1]
        if repeated:
            raise ValueError(f"X has more than one column named {listed(repeated)}")
        if any(label != label for label in labels):  # and would not be found again
            raise ValueError(f"X has a column named NaN: {listed(labels)}; give it a name")
        # PyMC takes a slash for a path
        if all(isinstance(label, str) and "/" not in label for label in labels):
            names = labels
        else:
            names = tuple(f"x{j}" for j in range(len(labels)))
        kinds: list[Kind] = []
        wrong: dict[int, Exception] = {}
        for j, (_, column) in enumerate(table.frame.items()):
            try:
                kinds.append(_kind_of(column))
            except (TypeError, ValueError) as error:
                kinds.append((None, None, None))
                wrong[j] = error.with_traceback(None)
        return cls(names, labels, *_transposed(kinds)), wrong

    def labelled(self, columns: Collection[int], values: Mapping[int, NDArray[Any]]) -> "Schema":
        """Return the same with some columns of numbers as levels: their numbers are labels.

        Parameters
        ----------
        columns : collection of int
            Which columns.
        values : mapping
            What each holds.
        """
        levels, dtypes = list(self.levels), list(self.dtypes)
        for j in columns:
            if levels[j] is None:
                held = pd.Series(values[j]).dropna().unique()
                levels[j] = tuple(sorted(map(as_label, held.tolist())))
                dtypes[j] = dtypes[j] or "object"
        return replace(self, levels=tuple(levels), dtypes=tuple(dtypes))

    @property
    def with_levels(self) -> tuple[str, ...]:
        """The names of the columns that hold levels."""
        pairs = zip(self.names, self.levels, strict=True)
        return tuple(name for name, levels in pairs if levels is not None)

    def named(self, columns: NDArray[np.bool_]) -> list[str]:
        """Return the names of the columns that a mask picks."""
        return [self.names[j] for j in np.flatnonzero(columns)]

    def categories(self, j: int) -> tuple[Any, ...]:
        """Return what a column of levels or bools may be; nothing for a column of numbers."""
        levels = self.levels[j]
        if levels is None:
            return (False, True) if self.dtypes[j] == "bool" else ()
        return levels

    def may_have_term(self, name: str) -> bool:
        """Whether a term of this name would be that of a level which has not occurred yet."""
        column, bracket, _ = name.partition("[")
        return bool(bracket) and column in self.with_levels

    def of_few_levels(self, columns: Iterable[int]) -> list[int]:
        """Return the columns of numbers, and those that have few levels."""
        return [j for j in columns if len(self.levels[j] or ()) <= MANY_LEVELS]

    def subset(self, columns: Sequence[int]) -> "Schema":
        """Return what some of the columns are."""

        def picked(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[j] for j in columns)

        labels = None if self.labels is None else picked(self.labels)
        kinds = map(picked, (self.levels, self.dtypes, self.orders))
        return Schema(picked(self.names), labels, *kinds)

    def merge(self, other: "Schema") -> "Schema":
        """Return what the columns of both one's rows and the other's are: levels are united.

        Raises
        ------
        ValueError, TypeError
            If the columns are not the same, or hold numbers here and levels there.
        """
        if self == other:
            return self
        if self.labels != other.labels or len(self.names) != len(other.names):
            ours, theirs = (s.names if s.labels is None else s.labels for s in (self, other))
            raise ValueError(
                f"the columns are {listed(theirs)}; they must be those of before, in the same "
                f"order: {listed(ours)}"
            )
        merged = [self._merge_column(other, j) for j in range(len(self.names))]
        return Schema(self.names, self.labels, *_transposed(merged))

    def _merge_column(self, other: "Schema", j: int) -> Kind:
        """Return levels, dtype and order of a column in both."""
        ours, theirs = self.levels[j], other.levels[j]
        if ours is None and theirs is None:  # bools beside numbers are numbers
            same = self.dtypes[j] == other.dtypes[j]
            return None, self.dtypes[j] if same else None, None
        categories = [s.dtypes[j] == "category" for s in (self, other)]
        if ours is None or theirs is None or categories[0] != categories[1]:
            before, now = (s.dtypes[j] or "number" for s in (self, other))
            raise TypeError(
                f"column {self.names[j]!r} holds values of dtype {now}; before it was {before}"
            )
        found = {*ours, *theirs}
        order = self.orders[j], other.orders[j]
        if order[0] is None or order[1] is None:
            return tuple(sorted(found)), self.dtypes[j], None
        united = (*order[0], *(level for level in order[1] if level not in order[0]))
        return tuple(level for level in united if level in found), self.dtypes[j], united

    def position(self, key: object) -> int:
        """Return the position of the column that a user calls `key`.

        Parameters
        ----------
        key : str, int or a label
            A label of the DataFrame; for an array the position, or the name ``"x0"``, ``"x1"``, ….
        """
        return position_of(key, self.labels, self.names)

    def zero_one(self, values: Floats) -> frozenset[int]:
        """Return the columns of numbers that hold nothing but 0 and 1 in encoded rows."""
        rows = [values[:_FEW_ROWS], values]  # most columns are told by a few
        left = [j for j, levels in enumerate(self.levels) if levels is None]
        for some in rows:
            own = some[:, left]
            is_so = ((own == 0) | (own == 1)).all(axis=0)
            left = [j for j, so in zip(left, is_so, strict=True) if so]
        return frozenset(left)

    def encode(self, X: Any) -> Floats:
        """Return X, a table, as float64 of shape (n, columns), levels as codes 0, 1, …."""
        values, wrong = self.encoded(X)
        refuse(wrong)
        return values

    def encoded(self, X: Any) -> tuple[Floats, Wrong]:
        """Return the same with NaN for all that is no number or level, and what is wrong there."""
        table = Table.of(X)
        frame, wrong = table.frame, dict[int, Exception]()
        if frame is None:
            if self.with_levels and self.labels is not None:
                raise TypeError(
                    "X must be a DataFrame: it was fitted with levels in column "
                    f"{listed(self.with_levels)}"
                )
            values = np.asarray(table.array, dtype=np.float64)
            if self.with_levels:
                values = values.copy()
                for j, levels in enumerate(self.levels):
                    if levels is not None:
                        values[:, j] = self.encode_column(j, values[:, j])
        else:
            with np.errstate(over="ignore"):  # infinity is refused below
                if not self.with_levels and all(map(_is_real_dtype, frame.dtypes)):
                    values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
                else:
                    values = np.full(frame.shape, np.nan)
                    for j in range(frame.shape[1]):
                        try:
                            values[:, j] = self.encode_column(j, frame.iloc[:, j])
                        except (TypeError, ValueError) as error:
                            wrong[j] = error.with_traceback(None)
        if not are_moderate(values):
            strays = ~(np.abs(values) <= LARGEST)
            for j in np.flatnonzero(strays.any(axis=0)).tolist():
                wrong.setdefault(j, self._extreme(values, j))
            values = np.where(strays, np.nan, values)
        absent = [self.names[j] for j in table.absent]
        return values, wrong | dict.fromkeys(table.absent, _lacking(absent))

    def refuse_other_columns(self, table: Table) -> None:
        """Refuse a table of other columns, or of these in another order."""
        if self.labels is not None and table.frame is not None:
            if table.labels != self.labels:
                raise ValueError(
                    f"the columns of X are {listed(table.labels or ())}; they must be those of "
                    f"fit, in the same order: {listed(self.labels)}"
                )
        elif table.held.shape[1] != len(self.names):
            raise ValueError(
                f"X has {table.held.shape[1]} features, but the model expects {len(self.names)} "
                "features as input"
            )

    def encode_column(self, j: int, values: ArrayLike, what: str = "X") -> Floats:
        """Return the values of column j as float64 numbers or codes, in their own shape.

        Parameters
        ----------
        j : int
            The column's position.
        values : array-like
            Numbers, or for a column of levels its levels.
        what : str
            What the values are, for messages.
        """
        levels, name = self.levels[j], self.names[j]
        array = values.to_numpy() if isinstance(values, pd.Series) else np.asarray(values)
        if levels is None:
            if isinstance(values, pd.Series) and _is_real_dtype(values.dtype):
                return values.to_numpy(dtype=np.float64, na_value=np.nan)
            if np.iscomplexobj(array) or array.dtype.kind in "mM":
                raise TypeError(f"column {name!r} of {what} takes numbers, got {array.dtype}")
            if array.dtype.kind == "O":  # None and NA are missing numbers, which are refused later
                array = np.where(pd.isna(array), np.nan, array)
            if not all_numbers(array):
                culprit = next(v for v in array.ravel().tolist() if not is_number(v))
                raise TypeError(f"column {name!r} of {what} takes numbers, got {culprit!r}")
            try:
                with np.errstate(over="ignore"):  # infinity is refused later on
                    numbers = array.astype(np.float64)
            except OverflowError as error:
                raise ValueError(f"column {name!r} of {what}: {error}") from error
            strays = ~np.isin(numbers, (0.0, 1.0)) & np.isfinite(numbers)
            if self.dtypes[j] == "bool" and strays.any():
                culprit = np.ravel(numbers)[int(np.argmax(strays))]
                raise ValueError(f"column {name!r} of {what} takes bools, got {culprit}")
            return numbers
        flat = np.ravel(array)
        missing = np.asarray(pd.isna(flat))
        if missing.any():
            row = int(np.argmax(missing))
            raise ValueError(f"{what} contains NaN in column {name!r}, row {row}")
        for value in flat if flat.dtype.kind == "O" else ():
            if not isinstance(value, Hashable):
                raise TypeError(f"column {name!r} of {what} takes levels, got {value!r}")
        index = pd.Index(levels, dtype=object, tupleize_cols=False)
        found = pd.Index(flat, dtype=object, tupleize_cols=False)
        codes = index.get_indexer(found)
        if (codes < 0).any():
            culprit = found[int(np.argmax(codes < 0))]
            raise ValueError(unknown(f"level in column {name!r} of {what}:", culprit, levels))
        return codes.astype(np.float64).reshape(array.shape)

    def decode(self, values: Floats) -> pd.DataFrame | Floats:
        """Return the table that `values` stand for: a DataFrame if one was fitted."""
        if self.labels is None:
            return values
        if not self.with_levels:
            return pd.DataFrame(values, columns=list(self.labels))
        columns = [self.decode_column(j, values[:, j]) for j in range(len(self.names))]
        frame = pd.concat(columns, axis=1)
        frame.columns = pd.Index(self.labels)
        return frame

    def decode_column(self, j: int, values: Floats) -> pd.Series:
        """Return the numbers or levels that the values of column j stand for."""
        levels = self.levels[j]
        if levels is None:
            return pd.Series(values)
        codes = values.astype(np.intp)
        if self.dtypes[j] == "category":
            return pd.Series(pd.Categorical.from_codes(codes, pd.Index(levels)))
        return pd.Series(np.array(levels, dtype=object)[codes], dtype=self.dtypes[j])

    def _extreme(self, values: Floats, j: int) -> ValueError:
        """Say what is no number in a column, or one whose square is near to none."""
        row = int(np.argmax(~(np.abs(values[:, j]) <= LARGEST)))
        found = values[row, j]
        if np.isfinite(found):
            return ValueError(
                f"X holds {found:g} in column {self.names[j]!r}, row {row}; numbers may be "
                f"{LARGEST:g} in size: give the column in other units"
            )
        found, advice = "infinity", ""
        if np.isnan(values[row, j]):
            found = "NaN"
            advice = (
                ", if X and not y tells which values are missing; a common cause that is filled "
                "in by its mean goes on confounding"
            )
        return ValueError(
            f"Input X contains {found}: column {self.names[j]!r}, row {row}. "
            f"Drop such rows{advice}"
        )


def refuse(wrong: Wrong, read: Collection[int] | None = None) -> None:
    """Raise what is wrong with the first of the columns that are read; by default all are."""
    for j in sorted(wrong):
        if read is None or j in read:
            raise wrong[j].with_traceback(None)


def as_label(value: Any) -> Any:
    """Return a number as a label: a whole one is one of integers, whatever its dtype."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _lacking(names: Sequence[str]) -> ValueError:
    """Say, in scikit-learn's words, which columns are not there."""
    return ValueError(
        "The feature names should match those that were passed during fit.\n"
        "Feature names seen at fit time, yet now missing:\n"
        + "".join(f"- {name}\n" for name in names)
    )


def _is_real_dtype(dtype: Any) -> bool:
    numeric = pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)
    return numeric and not pd.api.types.is_complex_dtype(dtype)


def _holds_numbers(column: pd.Series) -> bool:
    """Whether a column is one of numbers; a clear error for what is neither numbers nor levels."""
    dtype = column.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"Complex data not supported: column {column.name!r} of X")
    if _is_real_dtype(dtype):
        return True
    if isinstance(dtype, pd.StringDtype) or pd.api.types.is_string_dtype(dtype):
        kind = pd.api.types.infer_dtype(column, skipna=True)
        if kind in {"integer", "floating", "mixed-integer-float", "boolean"}:
            return True
        if kind in {"string", "empty"}:
            return False
    found = f"has dtype {dtype}"
    if pd.api.types.is_object_dtype(dtype):
        present = column.dropna()
        if all(map(is_number, present)):
            return True
        one_kind = str if isinstance(present.iloc[0], str) else Real | Decimal | np.bool_
        strays = [value for value in present if not isinstance(value, one_kind)]
        beside = f" beside {present.iloc[0]!r}" if one_kind is str else ""
        found = f"holds {strays[0]!r}{beside}"
    raise TypeError(
        f"column {column.name!r} of X {found}; numbers, bools, strings and categories are what a "
        "column may hold, one kind of them"
    )


def _kind_of(column: pd.Series) -> Kind:
    """Return the levels that occur, categories in their order, others sorted; dtype and order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.cat.remove_unused_categories().cat.categories.tolist()
        return tuple(levels), str(column.dtype), tuple(column.cat.categories.tolist())
    if _holds_numbers(column):
        return None, "bool" if pd.api.types.is_bool_dtype(column.dtype) else None, None
    return tuple(sorted(column.dropna().unique().tolist())), str(column.dtype), None


def _transposed(kinds: Sequence[Kind]) -> tuple[Any, Any, Any]:
    """Return the levels of all columns, their dtypes and their orders."""
    levels, dtypes, orders = (tuple(kind[part] for kind in kinds) for part in range(3))
    return levels, dtypes, orders
