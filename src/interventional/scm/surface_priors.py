"""What is taken for likely of scales and lengths of a surface, before data.

In standard deviations of the outcome and of columns, so that no unit matters; chosen on other data
sets than those that are reported. Which components there are is not known either: none, so that
all is a straight line; a surface, beside which effects are the same for all rows; effects that
differ. The line of expected treatments is there in any case, and its scale is known, a wide one:
learnt, it would shrink what keeps confounding out. What matters for the outcome is likely to
matter for effects: the length that a column has in a surface, and that in effects, have a
correlation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from interventional.data.surface import EXPECTED, Surface
from interventional.numbers import Floats

SCALE_SPREAD, LENGTH_SPREAD = 1.5, 1.0  # of logarithms, where they are learnt
_SURFACE, _DOSE, _EFFECT, _LINE = 0.7, 0.5, 0.3, 0.15  # medians of scales
_EXPECTED = 1.0  # that of the line of expected treatments
_LENGTH = np.exp(1.0)  # median of lengths, times the root of the number of columns
_IN_COMMON = 0.8  # correlation of the log lengths of a column
_DIFFER = 4.0  # odds that effects differ, against a line, and against a surface where not


@dataclass(frozen=True, eq=False)
class SurfacePriors:
    """Medians of log-normal priors, and odds.

    Attributes
    ----------
    scale : ndarray of shape (components,)
        Medians of the scales, in units of the outcome.
    spread : ndarray of shape (components,)
        Standard deviations of their logarithms; zero where a scale is known.
    length : ndarray of shape (lengths,)
        Medians of the lengths.
    root : ndarray of shape (lengths, lengths)
        A lower triangular root of the covariance of log lengths.
    odds : mapping
        Of which components there are.
    """

    scale: Floats
    spread: Floats
    length: Floats
    root: Floats
    odds: Mapping[tuple[bool, ...], float]

    @classmethod
    def of(cls, surface: Surface, unit: float) -> "SurfacePriors":
        """Return those of a surface, for outcomes with a standard deviation."""
        scale, length = np.full(len(surface.components), _LINE), np.ones(len(surface.lengths))
        for c, part in surface.bending:
            of_x = _SURFACE if c == 0 else _DOSE
            scale[c] = _EFFECT if part.treatment is not None else of_x
            own = np.unique(part.lengths)
            length[own] = _LENGTH * np.sqrt(len(own))
        root = LENGTH_SPREAD * np.eye(len(length))
        lengths: dict[int, int] = {}  # of features in what x does by itself, which comes first
        for part in surface.components[:1]:
            lengths |= zip(part.features.tolist(), part.lengths.tolist(), strict=True)
        for _, part in surface.bending:
            for feature, own in zip(part.features, part.lengths, strict=True):
                of_x = lengths.get(int(feature), own)
                if of_x != own:
                    root[own, of_x] = LENGTH_SPREAD * _IN_COMMON
                    root[own, own] = LENGTH_SPREAD * np.sqrt(1 - _IN_COMMON**2)
        is_known = np.array([part.name == EXPECTED for part in surface.components], dtype=bool)
        scale[is_known] = _EXPECTED
        spread = np.where(is_known, 0.0, SCALE_SPREAD)
        alike = tuple(part.treatment is None for part in surface.components)
        whole = (True,) * len(scale)
        odds = {tuple(is_known.tolist()): 1.0, alike: 1.0, whole: _DIFFER}
        return cls(scale * unit, spread, length, root, odds)
