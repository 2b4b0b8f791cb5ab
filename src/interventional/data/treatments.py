"""Columns that are meant to be forced, about their middle."""

from dataclasses import dataclass

import numpy as np

from interventional.data.schema import Schema
from interventional.numbers import Floats


@dataclass(frozen=True)
class Treatment:
    """A column that is meant to be forced.

    Attributes
    ----------
    j : int
        Its position.
    center, scale : float
        Its middle, and what it is divided by, where it has numbers.
    codes : ndarray
        Its levels, where it has some.
    is_dose : bool
        Whether it has three numbers or more.
    """

    j: int
    center: float
    scale: float
    codes: Floats
    is_dose: bool

    @classmethod
    def of(cls, schema: Schema, j: int, values: Floats, weights: Floats) -> "Treatment":
        """Return what a column is in encoded rows with frequencies."""
        column, codes = values[:, j], np.unique(values[:, j])
        if schema.levels[j] is not None:
            return cls(j, 0.0, 1.0, codes, False)
        if len(codes) == 2:
            return cls(j, float(codes.mean()), float(codes[1] - codes[0]), codes[:0], False)
        return cls(j, *moments(column, weights), codes[:0], True)

    def about_middle(self, values: Floats) -> Floats:
        """Return what effects are multiplied by, (n, 1), or (n, levels)."""
        column = values[:, self.j]
        if not len(self.codes):
            return np.asarray(((column - self.center) / self.scale)[:, None])
        own = (column[:, None] == self.codes) - 1 / len(self.codes)
        return np.asarray(own / np.sqrt(2.0))


def moments(column: Floats, weights: Floats) -> tuple[float, float]:
    """Return mean and standard deviation of a column; 1 in place of that of a constant."""
    center = float(np.average(column, weights=weights))
    scale = float(np.sqrt(np.average(np.square(column - center), weights=weights)))
    return center, scale if scale > 1e-13 * max(abs(center), 1e-300) else 1.0
