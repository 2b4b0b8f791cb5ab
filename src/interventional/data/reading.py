"""Outcomes and weights as numbers, and an estimator that is left as it was."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn import base as _sklearn_base
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, _check_y

from interventional.data.frames import as_array
from interventional.data.table import refuse_masked
from interventional.errors import listed
from interventional.numbers import LARGEST, SMALLEST, Floats, converting, refuse_times

# The sum of all weights, which is how often everything was observed.
_FEWEST, _MOST = 1e-20, 1e20
_FRACTION = 1e-6  # how far rounding may have moved a weight from a whole number, or from none
_SHARE = 0.1  # of rows whose weights may be fractions
_ONE_ROW = 1.5
_said: set[str] = set()  # what was warned of in this process


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
    y = as_array(y)
    if not hasattr(y, "toarray"):  # what is sparse scikit-learn refuses
        found = np.asarray(y)
        refuse_times(found, "y")
        if found.dtype.kind == "O" and found.ndim == 1 and pd.isna(found).any():
            raise ValueError(f"Input y contains NaN in row {int(np.argmax(pd.isna(found)))}")
    with converting("y"), _labels_named(y):
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


def generator(random_state: int | np.random.RandomState | None) -> np.random.Generator:
    """Return a source of random numbers, as scikit-learn's `random_state` has it."""
    return np.random.default_rng(check_random_state(random_state).randint(1 << 32, size=4))


def warn_of_weights(weights: Floats | None, *, are_precisions: bool = False) -> None:
    """Warn of weights that are no frequencies, as most of them are no whole numbers.

    Whole numbers never warn, nor do weights of which one in ten or fewer is a fraction. The words
    hold no number of the data's, so that Python says them once where folds differ.

    Parameters
    ----------
    weights : ndarray of shape (n,) or None
        The weights of rows to learn from.
    are_precisions : bool, default False
        Whether sigma is fixed, so that 1/s**2 are what they say.

    Warns
    -----
    UserWarning
        That names what the weights may be meant to be.
    """
    if weights is None or are_precisions:
        return
    counted = weights[weights > 0]
    size = np.maximum(counted, min(counted.max(initial=0.0), 1.0))
    off = np.abs(counted - np.round(counted)) > _FRACTION * size
    if off.sum() <= _SHARE * len(counted):
        return
    few = "add up to no more than one row" if counted.sum() < _ONE_ROW else "are no whole numbers"
    _warn_once(
        f"sample_weight are frequencies, a row of weight 3 being three rows, and these {few}. If "
        "they are 1/s**2 of rows whose standard deviations s are known, make s a column of X and "
        "name it, noise='s'; if s is known up to a factor only, a mean of 1 is right. Weights of "
        "a survey belong into average(weights=...); here intervals are those of as many rows as "
        "the weights add up to, and where they vary much, too narrow even if their mean is 1. See "
        "the page 'Weight rows' of the docs"
    )


def _warn_once(message: str) -> None:
    """Warn as Python does by default, once of the same words; always where that is asked for.

    scikit-learn sets filters anew for each fit of a search, and Python then forgets what it said.
    """
    actions = [
        action
        for action, pattern, category, *_ in warnings.filters
        if issubclass(UserWarning, category) and (pattern is None or pattern.match(message))
    ]
    if not actions or actions[0] in ("default", "module", "once"):
        if message in _said:
            return
        _said.add(message)
    ours, sklearn = Path(__file__).parents[1], Path(_sklearn_base.__file__).parent
    warnings.warn(message, UserWarning, skip_file_prefixes=(str(ours), str(sklearn)))


@contextmanager
def _labels_named(y: Any) -> Iterator[None]:
    """Say of an outcome of labels, which is no number, what would be one."""
    try:
        yield
    except (TypeError, ValueError) as error:
        found = np.asarray(y)
        labels = [] if found.ndim != 1 else sorted({str(v) for v in found if _is_label(v)})
        if not labels:
            raise
        row = int(np.argmax([_is_label(value) for value in found]))
        one = repr(labels[-1] if len(labels) == 2 else labels[0])
        raise ValueError(
            f"y holds labels: {listed(labels)}, the first in row {row}. An outcome is numbers; "
            "family='bernoulli' takes 0 and 1, or bools, such as y == "
            f"{one}, and no family takes classes"
        ) from error


def _is_label(value: object) -> bool:
    """Whether something is text that is no number."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


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
    sample_weight = as_array(sample_weight)
    refuse_times(np.asarray(sample_weight), "sample_weight")
    with converting("sample_weight"):
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
