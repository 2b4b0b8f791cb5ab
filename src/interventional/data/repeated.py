"""Columns that are the same in all rows of a group: they were measured once, not once a row."""

import numpy as np
from numpy.typing import NDArray

from interventional.numbers import Floats

_BY_CHANCE = np.log(1e-6)  # that a column is the same within groups which is not one of groups


def same_in_groups(column: Floats, codes: NDArray[np.intp]) -> bool:
    """Whether a column has one value a group, and not by chance.

    Parameters
    ----------
    column : ndarray of shape (n,)
        The column.
    codes : ndarray of int, shape (n,)
        The group of each row, from 0.
    """
    if not (column == column[first_rows(codes)][codes]).all():
        return False
    repeated = len(codes) - codes.max() - 1
    _, counts = np.unique(column, return_counts=True)
    # Were rows alike only by chance, each after the first of its group would be one of these.
    return bool(repeated * np.log(counts.max() / len(column)) < _BY_CHANCE)


def first_rows(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the position of the first row of each group, (groups,)."""
    first = np.empty(codes.max() + 1, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def group_codes(values: Floats) -> NDArray[np.intp]:
    """Return the group of each row of some columns of levels, (n,), from 0."""
    return np.unique(values, axis=0, return_inverse=True)[1].ravel().astype(np.intp)
