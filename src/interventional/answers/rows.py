"""What users say of rows: which of them, and a number for each."""

from reprlib import repr as shortened
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interventional.answers.contents import Contents
from interventional.answers.words import number_in_words
from interventional.data.frames import is_foreign_column, name_of
from interventional.errors import listed
from interventional.numbers import Floats, all_numbers, is_number, refuse_times

_BY_LABEL = "by their labels they are outcomes.loc[...]"


def positions_of(key: Any, contents: Contents) -> NDArray[np.intp]:
    """Return the positions of the rows that a key picks: one, a slice, a list, or a mask.

    Raises
    ------
    IndexError
        If there is no such row.
    TypeError
        If the key holds anything but positions, or a bool for each row.
    """
    n = len(contents.labels)
    if isinstance(key, slice):
        return np.arange(n)[key]
    if isinstance(key, pd.Series | list | np.ndarray | pd.Index | range) or is_foreign_column(key):
        array = np.asarray(key)
        if array.dtype == bool or (array.dtype == object and _are_bools(array)):
            return np.flatnonzero(contents.by_row(key, "the mask of rows", bool))
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise TypeError(f"rows are picked by position, or by a mask of bools; {_BY_LABEL}")
        return _within(array.astype(np.intp), n)
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return _within(np.array([key], dtype=np.intp), n)
    raise TypeError(
        f"rows are picked by position, or by a mask of bools, got {key!r}; {_BY_LABEL}"
    )


def positions_of_labels(key: Any, contents: Contents) -> NDArray[np.intp]:
    """Return the positions of the rows that a label, or what pandas' `loc` takes, stands for."""
    index = contents.index
    if isinstance(key, tuple) and not isinstance(index, pd.MultiIndex):
        key = [key] if key in index else key  # a label that is a tuple
    try:
        found = pd.Series(np.arange(len(index)), index=index).loc[key]
    except (KeyError, IndexError, TypeError) as error:
        raise KeyError(
            f"no row has the label {shortened(key)}; there are {listed(index.tolist())}"
        ) from error
    return np.atleast_1d(np.asarray(found, dtype=np.intp))


def numbers_in_words(operand: Any, numbers: Floats, contents: Contents) -> str:
    """Return what numbers are called: a Series by its name, if they are not others than X's."""
    if not numbers.ndim:
        return number_in_words(numbers)
    name, rows = name_of(operand), contents.covariates
    if name is None or str(getattr(operand, "dtype", "")).lower().startswith("bool"):
        return "values"
    if rows is not None and name in rows:  # which `0.9 * X["price"]` is called, too
        observed = rows[name].to_numpy()
        return name if np.array_equal(observed, numbers) else "values"
    return name


def _are_bools(array: NDArray[Any]) -> bool:
    return bool(array.size) and all(isinstance(each, bool | np.bool_) for each in array.ravel())


def _within(positions: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Return positions counted from the first row, of which negative ones count from the last."""
    strays = (positions < -n) | (positions >= n)
    if strays.any():
        raise IndexError(
            f"row {positions[strays][0]} of {n} rows, which count from 0; {_BY_LABEL}"
        )
    return np.where(positions < 0, positions + n, positions)


def numbers_of(operand: Any, contents: Contents) -> Floats:
    """Return what outcomes are calculated with: a number, (), or one for each row, (n,)."""
    if isinstance(operand, np.ndarray) and not operand.ndim:
        operand = operand.item()
    if is_number(operand):
        try:
            array = np.asarray(float(operand))
        except OverflowError:
            raise ValueError("Outcomes combine with numbers up to 1.8e308") from None
    else:
        values = np.asarray(operand)
        if isinstance(operand, str) or hasattr(operand, "dims") or not values.ndim:
            raise TypeError(
                "Outcomes combine with Outcomes, numbers, and arrays and Series of a number a "
                f"row, got {type(operand).__name__}"
            )
        refuse_times(values, "arithmetic of Outcomes")
        what = name_of(operand) or "what Outcomes are calculated with"
        numbers = contents.by_row(operand, what)
        if numbers.dtype.kind == "c" or not all_numbers(np.asarray(numbers)):
            raise TypeError(f"Outcomes combine with numbers, got an array of {numbers.dtype}")
        array = numbers.astype(np.float64)
    if not np.isfinite(array).all():
        row = f" in row {int(np.argmin(np.isfinite(array)))}" if array.ndim else ""
        raise ValueError(
            f"Outcomes combine with finite numbers, got {array[~np.isfinite(array)][0]}{row}"
        )
    return array
