"""What an equation that bends sees of its rows: the distinct ones."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from interventional.data.seen import Moments, SufficientStatistics, sufficient_statistics
from interventional.data.smooth import SmoothDesign, merged
from interventional.numbers import Floats


@dataclass(frozen=True, eq=False)
class SeenSurface:
    """Distinct rows, and what they are as a straight line.

    Attributes
    ----------
    line : SufficientStatistics
        Of the terms that are linear.
    design : SmoothDesign
        The terms, and what bends.
    rows : ndarray of shape (k, columns)
        Distinct encoded rows, in order.
    target : ndarray of shape (k,)
        The mean outcome of each.
    weights : ndarray of shape (k,)
        How often each occurs.
    within : ndarray of shape (k,)
        The sum of squares of outcomes about their mean.
    """

    line: SufficientStatistics
    design: SmoothDesign
    rows: Floats
    target: Floats
    weights: Floats
    within: Floats

    @classmethod
    def of(
        cls,
        design: SmoothDesign,
        rows: Floats,
        target: Floats,
        weights: Floats | None,
        *,
        intercept: bool = True,
    ) -> "SeenSurface":
        """Reduce rows.

        Parameters
        ----------
        design : SmoothDesign
            The design.
        rows : ndarray of shape (n, columns)
            Encoded rows of its columns.
        target : ndarray of shape (n,)
            The outcome.
        weights : ndarray of shape (n,), optional
            Frequencies of the rows.
        intercept : bool, default True
            Whether the equation has an intercept.
        """
        distinct, codes, counts = merged(rows, weights)
        each = np.ones(len(rows)) if weights is None else weights
        # sorted: sums must not depend on the order of the rows
        order = np.lexsort((target, codes))
        codes, y, each = codes[order], target[order], each[order]
        mean = np.bincount(codes, each * y, len(distinct)) / counts
        off = np.square(y - mean[codes])
        within = np.asarray(np.bincount(codes, each * off, len(distinct)))
        matrix = design.matrix(distinct[codes])
        line = sufficient_statistics(matrix, y, each, intercept=intercept)
        return cls(line, design, distinct, mean, counts, within)

    @property
    def x_mean(self) -> Floats:
        """Means of the terms, (terms,); zeros for a model without an intercept."""
        return self.line.x_mean

    @property
    def moments(self) -> Moments:
        """What default priors are scaled by."""
        return self.line.moments

    @property
    def factor(self) -> Floats:
        """A triangular factor of the centred, weighted terms."""
        return self.line.factor

    @property
    def structure(self) -> Hashable:
        """What it shares with others if one compiled likelihood serves both; none is compiled."""
        return ()
