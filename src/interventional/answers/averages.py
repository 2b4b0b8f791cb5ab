"""Averages over rows, by group and inside each draw; those of parts of the rows add up."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interventional.answers.samples import Held, Samples, Shares
from interventional.numbers import SMALLEST, Floats

Scale = Literal["outcome", "ratio", "mixed"]  # outcomes, ratios of two such, all other contrasts


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows in groups, with weights.

    Attributes
    ----------
    codes : ndarray of shape (n,)
        The group of each row: 0, 1, ….
    labels : array-like of shape (groups,)
        The groups: categories in their order, others sorted.
    weights : ndarray of shape (n,)
        The rows' weights, divided by the largest one: sums of large ones overflow.
    totals : ndarray of shape (groups,)
        Their sums.
    unit : float
        What the weights have been divided by.
    """

    codes: NDArray[np.intp]
    labels: Any
    weights: Floats
    totals: Floats
    unit: float

    @classmethod
    def of(cls, weights: Floats, by: Any = None) -> "Groups":
        """Return the groups that rows are in, (n,), or one of them all."""
        codes, labels = np.zeros(len(weights), dtype=np.intp), np.array(["average"], dtype=object)
        if by is not None:
            codes, labels = pd.factorize(by, sort=True)
            if (codes < 0).any():
                raise ValueError(f"by has a missing value in row {int(np.argmax(codes < 0))}")
        unit = max(float(weights.max()), SMALLEST)
        weights = weights / unit
        totals = np.bincount(codes, weights, minlength=len(labels))
        return cls(codes, labels, weights, totals, unit)

    def averages(self, samples: Samples, scale: Scale, n: int) -> "Averages":
        """Return the averages of n rows, or of what stands for so many."""
        shares = self.weights / np.where(self.totals > 0, self.totals, 1.0)[self.codes]
        values = samples.average(Shares(self.codes, shares, len(self.labels)))
        return Averages(values, self.labels, self.totals, self.unit, scale, n)


@dataclass(frozen=True, eq=False)
class Averages:
    """The averages of some rows, to which those of other rows can be added.

    Attributes
    ----------
    values : ndarray of shape (n_draws, groups)
        The average of each group in each draw; anything where the weights are zero.
    labels, totals, unit
        As in `Groups`.
    scale : {"outcome", "ratio", "mixed"}
        What has been averaged.
    n : int
        How many rows there are.
    """

    values: Floats
    labels: Any
    totals: Floats
    unit: float
    scale: Scale
    n: int

    def __add__(self, other: "Averages") -> "Averages":
        """Return the averages of both one's rows and the other's: those of the averages."""
        both, unit = (self, other), max(self.unit, other.unit)
        weights = np.concatenate([each.totals * (each.unit / unit) for each in both])
        groups = Groups.of(weights, pd.concat([pd.Series(each.labels) for each in both]).values)
        samples = Held(np.hstack([each.values for each in both]))
        total = groups.averages(samples, self.scale, self.n + other.n)
        return replace(total, unit=total.unit * unit)

    @property
    def scale_of_average(self) -> Scale:
        """What an average is: that of several ratios is no ratio of averages."""
        return "mixed" if self.n > 1 and self.scale == "ratio" else self.scale


def refuse_weightless(found: Groups | Averages) -> None:
    """Refuse groups in which no row has a weight."""
    if not found.totals.any():
        raise ValueError("weights must be finite, not negative, and not all zero")
    if not np.all(found.totals > 0):
        label = pd.Index(np.asarray(found.labels))[int(np.argmin(found.totals))]
        raise ValueError(f"the weights of group {label!r} are all zero")
