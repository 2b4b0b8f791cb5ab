"""How well the data support an answer, row by row."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interventional.numbers import Floats

MADE_BY_HAND = "support is known of what a fitted model answers, not of outcomes made by hand"
AVERAGED = "support is known of rows, and these are averages over rows; ask before you average"


@dataclass(frozen=True)
class Gap:
    """How the slopes of a column differ within groups of rows and between them.

    Attributes
    ----------
    node : str
        Whose equation it is.
    column : str
        The variable on its right.
    groups : str
        What the groups are called.
    term : str
        The term of the column whose slopes differ most, by their standard error.
    within, between : float
        Its slopes, on the scale of the link.
    learnt : float
        What the model has for both.
    shift : float
        How far that is from the slopes within groups, in the posterior standard deviation of the
        contrast of terms that is farthest off.
    p_value : float
        Of all terms of the column together.
    """

    node: str
    column: str
    groups: str
    term: str
    within: float
    between: float
    learnt: float
    shift: float
    p_value: float

    def __str__(self) -> str:
        """Say it."""
        term = "" if self.term == self.column else f" (term {self.term!r})"
        return (
            f"in the equation of {self.node!r} the slope of {self.column!r}{term} is "
            f"{self.within:.3g} within groups of {self.groups!r} and {self.between:.3g} between "
            f"them, and {self.learnt:.3g} is what was learnt"
        )


@dataclass(frozen=True)
class Bend:
    """What an equation that is linear in its terms lacks.

    Attributes
    ----------
    node : str
        Whose equation it is.
    parts : tuple of tuple of str
        What bends, the clearest first: a column whose square is lacking, or two whose product is.
    share : float
        How much of the variance of the equation's residuals squares and products explain.
    p_value : float
        Of all of them together.
    remedy : str
        What mends it, in words.
    """

    node: str
    parts: tuple[tuple[str, ...], ...]
    share: float
    p_value: float
    remedy: str

    def __str__(self) -> str:
        """Say it."""
        said = [
            f"the square of {part[0]!r}" if len(part) == 1 else f"{part[0]!r} times {part[1]!r}"
            for part in self.parts
        ]
        return (
            f"the equation of {self.node!r} is linear in its terms, and the data are not "
            f"(p = {self.p_value:.1g}): squares and products of columns, {', '.join(said)} above "
            f"all, explain {self.share:.0%} of what it leaves"
        )


@dataclass(frozen=True, eq=False)
class Support:
    """How well the data support what each row is forced to.

    Attributes
    ----------
    supported : ndarray of bool, shape (n,)
        Whether all of the following is as it should be.
    in_range : ndarray of bool, shape (n,)
        Whether all forced values lie in the range that their columns were observed in, or hardly
        outside.
    distance : ndarray of shape (n,)
        How far forced numbers are from what is usual in rows with such covariates; from 1 on they
        are farther than any training row is expected to be.
    overlap : ndarray of shape (n,)
        How frequent rows with such covariates are at the forced levels, compared with all rows.
    is_far : bool
        Whether any forced value is farther outside the range than the range is wide.
    reasons : tuple of str
        What is not supported, in words.
    misfits : tuple of Gap or Bend
        What the answer rests on and the data speak against: slopes that differ within groups and
        between them, and equations that bend.
    """

    supported: NDArray[np.bool_]
    in_range: NDArray[np.bool_]
    distance: Floats
    overlap: Floats
    is_far: bool = False
    reasons: tuple[str, ...] = ()
    misfits: tuple[Gap | Bend, ...] = ()

    @classmethod
    def of_observed(cls, n: int) -> "Support":
        """Return the support of rows that are as they were observed."""
        yes = np.ones(n, dtype=bool)
        return cls(yes, yes, np.zeros(n), np.ones(n))

    def picked(self, positions: NDArray[np.intp]) -> "Support":
        """Return that of some rows, by their positions."""
        return replace(
            self,
            supported=self.supported[positions],
            in_range=self.in_range[positions],
            distance=self.distance[positions],
            overlap=self.overlap[positions],
        )

    def table(self, index: pd.Index) -> pd.DataFrame:
        """Return it as a DataFrame, a row for each."""
        columns = {
            "supported": self.supported,
            "in_range": self.in_range,
            "distance": self.distance,
            "overlap": self.overlap,
        }
        return pd.DataFrame(columns, index=index)


def joined(left: Support | str, right: Support | str) -> Support | str:
    """Return the support of a contrast: of each row that of the side that has less.

    It is unknown where that of a side is.
    """
    if isinstance(left, str) or isinstance(right, str):
        return left if isinstance(left, str) else right
    return Support(
        left.supported & right.supported,
        left.in_range & right.in_range,
        np.maximum(left.distance, right.distance),
        np.minimum(left.overlap, right.overlap),
        left.is_far or right.is_far,
        tuple(dict.fromkeys(left.reasons + right.reasons)),
        tuple(dict.fromkeys(left.misfits + right.misfits)),
    )
