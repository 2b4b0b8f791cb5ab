"""What a Gaussian equation whose coefficients differ between groups sees of its rows."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from interventional.data.by_level import Cut, FactorByLevel
from interventional.data.grouped import GroupedDesign
from interventional.data.seen import Factor, Moments, SufficientStatistics
from interventional.numbers import Floats


@dataclass(frozen=True, eq=False)
class SeenByLevel:
    """Sums over the rows of each group, of those groups that there are most of.

    Attributes
    ----------
    factors : FactorByLevel
        Of the population's terms, of the terms of all other groups, and of the outcome.
    design : GroupedDesign
        The terms.
    main : int
        Which groups these are.
    has_intercept : bool
        Whether the equation has one.
    """

    factors: FactorByLevel
    design: GroupedDesign
    main: int
    has_intercept: bool

    @classmethod
    def of(
        cls,
        design: GroupedDesign,
        rows: Floats,
        target: Floats,
        weights: Floats | None,
        *,
        intercept: bool = True,
    ) -> "SeenByLevel":
        """Reduce rows.

        Parameters
        ----------
        design : GroupedDesign
            The terms.
        rows : ndarray of shape (n, columns)
            Encoded rows of its columns.
        target : ndarray of shape (n,)
            The outcome.
        weights : ndarray of shape (n,), optional
            Frequencies of the rows.
        intercept : bool, default True
            Whether the equation has an intercept.
        """
        sizes = [len(part.terms) for part in design.varying]
        main = int(np.argmax(sizes))
        others = [k for k in range(len(sizes)) if k != main]

        width = len(design.terms) - sizes[main]

        def matrix(at: slice) -> Floats:
            if at.stop == 0:  # which transformers refuse
                return np.empty((0, width))
            population = design.of_population(rows[at])
            parts = [design.of_groups(k, rows[at], population).toarray() for k in others]
            return np.hstack([population, *parts])

        part = design.varying[main]
        codes, n_levels = part.codes(rows), len(part.keys)
        factors = FactorByLevel.of(matrix, target, codes, n_levels, weights)
        return cls(factors, design, main, intercept)

    @cached_property
    def total(self) -> Factor:
        """The factor of all rows."""
        return self.factors.total()

    @cached_property
    def population(self) -> SufficientStatistics:
        """What is seen of the rows without groups."""
        width = len(self.design.population)
        whole = self.total
        return whole.select([*range(width), len(whole.shift) - 1]).statistics(
            intercept=self.has_intercept
        )

    @property
    def border(self) -> list[int]:
        """The positions among the design's terms of those that are not by level."""
        own = self.design.span(self.main)
        return [term for term in range(len(self.design.terms)) if not own.start <= term < own.stop]

    def cut(self, center: Floats) -> Cut:
        """Return the levels' own part, and the rest.

        Parameters
        ----------
        center : ndarray of shape (terms,)
            What is subtracted from each term.
        """
        part, border = self.design.varying[self.main], self.border
        return self.factors.cut(
            [-1, *part.slopes],
            np.concatenate([[0.0], part.centers]),
            range(len(border)),
            center[border],
            intercept=self.has_intercept,
            y_centre=self.population.y_mean,
        )

    @property
    def x_mean(self) -> Floats:
        """Means of the terms, (terms,); zeros for those of groups, which differ around zero."""
        extra = len(self.design.terms) - len(self.design.population)
        return np.concatenate([self.population.x_mean, np.zeros(extra)])

    @property
    def moments(self) -> Moments:
        """What default priors are scaled by."""
        found = self.population.moments
        extra = np.ones(len(self.design.terms) - len(self.design.population))
        return replace(found, x_mean=self.x_mean, x_scale=np.concatenate([found.x_scale, extra]))

    @property
    def factor(self) -> Floats:
        """A triangular factor of the centred, weighted terms of the population."""
        return self.population.factor

    @property
    def structure(self) -> Hashable:
        """What it shares with others if one compiled likelihood serves both; none is compiled."""
        return ()
