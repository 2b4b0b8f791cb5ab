"""The outcome left among the columns: found, and refused."""

from collections.abc import Sequence

import numpy as np

from interventional.data.schema import Schema
from interventional.numbers import Floats

# Fewer rows may agree by chance, or by the design of an example: of an outcome that takes many
# values, and of one that takes two, which a strong treatment may decide in every row.
_FEW, _FEW_OF_TWO = 30, 100
_TRIED = 64  # rows that tell of nearly every column that it is another one
_ROUNDING = 1e-12


def refuse_outcome_among(
    schema: Schema, regressors: Sequence[int], values: Floats, target: Floats, named: str | None
) -> None:
    """Refuse a column that is y: it would explain y, and all else would come out as nothing.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    regressors : sequence of int
        The columns that y is regressed on. One of which y is ``a + b column`` in every row is y
        in other units.
    values : ndarray of shape (n, columns)
        Encoded rows.
    target : ndarray of shape (n,)
        The outcomes.
    named : str or None
        What the user calls y. A column of that name is y if it is equal, however few the rows.

    Raises
    ------
    ValueError
        It names the column, and says what it is.
    """
    n = len(target)
    for j in regressors:
        if schema.names[j] == named and np.array_equal(values[:, j], target):
            raise _left_in(schema.names[j], "y itself", n, schema)
    if n < _FEW or (n < _FEW_OF_TWO and np.isin(target, (target.min(), target.max())).all()):
        return
    for j in regressors:
        line = _line(values[:, j], target)
        if line is not None:
            raise _left_in(schema.names[j], _in_words(*line), n, schema)


def _line(column: Floats, target: Floats) -> tuple[float, float] | None:
    """Return intercept and slope of y against a column; None where it is not on a line."""
    low, high = int(target.argmin()), int(target.argmax())
    rise, run = target[high] - target[low], column[high] - column[low]
    size = np.abs(target).max()
    if run == 0 or rise <= 1e6 * _ROUNDING * size:  # all but constant
        return None
    slope = rise / run
    intercept = target[low] - slope * column[low]
    allowed = _ROUNDING * max(size, np.abs(slope * column).max())
    for rows in (slice(_TRIED), slice(None)):
        if np.abs(target[rows] - intercept - slope * column[rows]).max() > allowed:
            return None
    return (0.0 if abs(intercept) <= allowed else float(intercept)), float(slope)


def _in_words(intercept: float, slope: float) -> str:
    """Return what the column is, of which y is ``intercept + slope column``."""
    times = "y itself" if abs(slope - 1) <= 1e-9 else f"y times {1 / slope:.6g}"
    return times if intercept == 0 else f"{times}, plus {-intercept / slope:.6g}"


def _left_in(name: str, what: str, n: int, schema: Schema) -> ValueError:
    drop = f": X.drop(columns={name!r})" if schema.labels is not None else ""
    return ValueError(
        f"column {name!r} of X is {what}, in each of {n} rows. An outcome that is left among the "
        f"columns explains itself, and nothing else would have an effect; drop the column{drop}"
    )
