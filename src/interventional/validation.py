"""What the estimator does around its input, in scikit-learn's manner."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight

from interventional.design import Floats


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


def refuse_empty(X: pd.DataFrame) -> None:
    """Refuse a DataFrame without rows or columns, in scikit-learn's words."""
    for size, what in zip(X.shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={X.shape}) while a minimum of 1 is required"
            )


def read_weights(sample_weight: ArrayLike | None, values: Floats) -> Floats | None:
    """Return weights as floats, finite, not negative, one a row."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(
        sample_weight, values, dtype=np.float64, ensure_non_negative=True
    )
    return np.asarray(weights, dtype=np.float64)
