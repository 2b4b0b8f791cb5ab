"""What the estimator does around its input, in scikit-learn's manner."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, _check_y, validate_data

from interventional.data.table import Table, is_distributed_frame, refuse_masked, rowless
from interventional.numbers import LARGEST, SMALLEST, Floats

# The sum of all weights, which is how often everything was observed.
_FEWEST, _MOST = 1e-20, 1e20


@contextmanager
def restored(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was."""
    before = vars(estimator).copy()
    try:
        yield
    finally:
        vars(estimator).clear()
        vars(estimator).update(before)


@contextmanager
def restored_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was if something fails, an interrupt included."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _refuse_empty(X: pd.DataFrame) -> None:
    """Refuse a DataFrame without rows or columns, in scikit-learn's words."""
    for size, what in zip(X.shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={X.shape}) while a minimum of 1 is required"
            )


def refuse_misaligned(values: Any, X: Any, what: str) -> None:
    """Refuse what has the labels of X in another order: rows go by position, not by label."""
    if not isinstance(values, pd.Series | pd.DataFrame) or not isinstance(X, pd.DataFrame):
        return
    ours, theirs = X.index, values.index
    if ours.equals(theirs) or len(ours) != len(theirs):
        return
    if ours.is_unique and theirs.is_unique and ours.isin(theirs).all():
        raise ValueError(
            f"{what} has the index of X in another order, and rows go by position; give "
            f"{what}.loc[X.index], or {what}.to_numpy() if the positions are right"
        )


def read_table(X: Any, estimator: BaseEstimator, *, reset: bool) -> Table:
    """Return rows as a table: a DataFrame as it is, all else as floats, some maybe not finite.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, columns)
        The rows.
    estimator : estimator
        Who takes them.
    reset : bool
        Whether the estimator is to note number and names of the columns, or to compare.
    """
    if isinstance(X, pd.DataFrame):
        validate_data(estimator, X, skip_check_array=True, reset=reset)
        return read_rows(X)
    check = partial(validate_data, estimator, reset=reset)
    return Table(_read_array(X, check))


def read_rows(X: Any) -> Table:
    """Return rows as a table, whoever takes them."""
    if isinstance(X, pd.DataFrame):
        _refuse_empty(X)
        return Table(X)
    return Table(_read_array(X, check_array))


def _read_array(X: Any, check: Callable[..., Any]) -> Floats:
    """Return rows that are no DataFrame as floats, by a function of scikit-learn's."""
    refuse_masked(X, "X")
    found = np.asarray(X) if isinstance(X, list | tuple) else X
    _refuse_times(found, "X")
    with _conversion("X"):
        return np.asarray(check(X, dtype=np.float64, ensure_all_finite=False))


def read_columns(X: Any, estimator: BaseEstimator, *, reset: bool) -> None:
    """Note, or compare, names and number of the columns of a Dask collection."""
    like = rowless(X) if is_distributed_frame(X) else np.empty((1, X.shape[1]))
    validate_data(estimator, like, skip_check_array=True, reset=reset)


def read_outcome(y: Any, X: Any, estimator: BaseEstimator) -> Floats:
    """Return outcomes as floats of their own, finite, of a size that can be computed with.

    Parameters
    ----------
    y : array-like of shape (n,)
        The outcomes.
    X : array-like or DataFrame of shape (n, columns)
        The rows that they are of.
    estimator : estimator
        Who takes them.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None"
        )
    refuse_masked(y, "y")
    refuse_misaligned(y, X, "y")
    if not hasattr(y, "toarray"):  # what is sparse scikit-learn refuses
        found = np.asarray(y)
        _refuse_times(found, "y")
        if found.dtype.kind == "O" and found.ndim == 1 and pd.isna(found).any():
            raise ValueError(f"Input y contains NaN in row {int(np.argmax(pd.isna(found)))}")
    with _conversion("y"):
        target = np.array(_check_y(y, y_numeric=True, estimator=estimator), dtype=np.float64)
    if not np.isfinite(target).all():  # of a longdouble, say
        raise ValueError("Input y contains infinity or a value too large for float64")
    size = np.abs(target).max(initial=0.0)
    if size > LARGEST or 0 < size < SMALLEST:
        raise ValueError(
            f"y holds nothing but numbers up to {size:g} in size; the largest must lie between "
            f"{SMALLEST:g} and {LARGEST:g}: give it in other units"
        )
    return target


def read_weights(sample_weight: ArrayLike | None, X: Any, n: int) -> Floats | None:
    """Return weights as floats, finite, not negative, one a row, and of a sum that is a number.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), float or None
        The weights.
    X : array-like or DataFrame of shape (n, columns)
        The rows that they are of.
    n : int
        How many rows these are.
    """
    if sample_weight is None:
        return None
    refuse_masked(sample_weight, "sample_weight")
    refuse_misaligned(sample_weight, X, "sample_weight")
    _refuse_times(np.asarray(sample_weight), "sample_weight")
    with _conversion("sample_weight"):
        weights = _check_sample_weight(
            sample_weight, np.empty((n, 0)), dtype=np.float64, ensure_non_negative=True
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not _FEWEST <= total <= _MOST:
        raise ValueError(
            f"the sum of sample_weight is {total:g}; weights are how often a row was observed, "
            f"and add up to a number between {_FEWEST:g} and {_MOST:g}"
        )
    return np.asarray(weights, dtype=np.float64)


def _refuse_times(values: Any, what: str) -> None:
    """Refuse dates and durations, which NumPy would count in nanoseconds."""
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "kind", "") in ("m", "M"):
        raise TypeError(f"{what} takes numbers, got {dtype}; say in what units they count")


@contextmanager
def _conversion(what: str) -> Iterator[None]:
    """Make an error of a number that is too large for a float, and no warning."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(f"{what}: {error}") from error
