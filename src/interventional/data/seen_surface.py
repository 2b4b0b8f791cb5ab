"""What an equation that bends sees of its rows: the distinct ones."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

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
        Of the terms that are linear, and the same for all groups of rows.
    design : SmoothDesign
        The terms, and what bends.
    rows : ndarray of shape (k, columns)
        Distinct encoded rows, in order.
    target : ndarray of shape (k,)
        The mean outcome of each, or, where rows of other outcomes are others, the outcome; of
        counts over exposures their rate.
    weights : ndarray of shape (k,)
        How often each occurs; of counts over exposures the sum of these.
    within : ndarray of shape (k,)
        The sum of squares of outcomes about their mean.
    on_link : tuple of three numbers or None
        Mean and standard deviation of the outcome on the scale of its link, and that of its noise;
        None where they are those of the outcome as it is.
    """

    line: SufficientStatistics
    design: SmoothDesign
    rows: Floats
    target: Floats
    weights: Floats
    within: Floats
    on_link: tuple[float, float, float] | None = None

    @classmethod
    def of(
        cls,
        design: SmoothDesign,
        rows: Floats,
        target: Floats,
        weights: Floats | None,
        *,
        intercept: bool = True,
        on_link: tuple[float, float, float] | None = None,
        exposures: Floats | None = None,
        one_by_one: bool = False,
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
        on_link : tuple of three numbers, optional
            As in the attribute.
        exposures : ndarray of shape (n,), optional
            What counts are in proportion to.
        one_by_one : bool, default False
            Whether rows of other outcomes are others, as the likelihood needs each.
        """
        beside = np.column_stack([rows, target]) if one_by_one else rows
        distinct, codes, counts = merged(beside, weights)
        distinct = distinct[:, : rows.shape[1]]
        each = np.ones(len(rows)) if weights is None else weights
        # sorted: sums must not depend on the order of the rows
        of_counts = () if exposures is None else (exposures,)
        order = np.lexsort((*of_counts, target, codes))
        codes, y, each = codes[order], target[order], each[order]
        size = counts
        if exposures is not None:  # the likelihood sees sums of counts and of exposures alone
            size = np.bincount(codes, each * exposures[order], len(distinct))
        mean = np.bincount(codes, each * y, len(distinct)) / size
        off = np.square(y - mean[codes])
        within = np.asarray(np.bincount(codes, each * off, len(distinct)))
        matrix = design.of_population(distinct[codes])
        line = sufficient_statistics(matrix, y, each, intercept=intercept)
        return cls(line, design, distinct, mean, size, within, on_link)

    @property
    def x_mean(self) -> Floats:
        """Means of the terms, (terms,); zeros for those of groups, and without an intercept."""
        extra = len(self.design.terms) - len(self.design.population)
        return np.concatenate([self.line.x_mean, np.zeros(extra)])

    @property
    def moments(self) -> Moments:
        """What default priors are scaled by."""
        if self.on_link is None:
            return self.line.moments
        y_mean, y_scale, noise = self.on_link
        return replace(self.line.moments, y_mean=y_mean, y_scale=y_scale, noise=noise)

    @property
    def factor(self) -> Floats:
        """A triangular factor of the centred, weighted terms."""
        return self.line.factor

    @property
    def structure(self) -> Hashable:
        """What it shares with others if one compiled likelihood serves both; none is compiled."""
        return ()
