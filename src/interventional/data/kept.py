"""Some rows that are kept as they are, to hold a model against: the same ones in whatever order.

Which rows are kept is decided by what is in them. Each has a number between 0 and infinity, made
of its values by a hash, and those with the least are kept; so the rows of several batches are, of
all that each batch kept, the least again. Rows of higher weight have lower numbers (Efraimidis and
Spirakis 2006).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from interventional.data.schema import Schema
from interventional.numbers import Floats, slices

MOST = 2000  # rows that are kept
_MOST_NUMBERS = 200_000  # that are kept, as long as these are LEAST rows
_LEAST = 500
_OF_A_GROUP = 10  # rows that each group is to have among them, if it has as many
_BLOCK = 1 << 14  # rows that are hashed at a time: what is made of them stays in the cache

Keys = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Kept:
    """Rows, of the columns that equations use.

    Attributes
    ----------
    columns : tuple of int
        Which columns.
    values : ndarray of shape (k, columns)
        Encoded rows.
    target, weights : ndarray of shape (k,)
        Their outcomes, as inference sees them, and weights.
    numbers : ndarray of shape (k,)
        What they were chosen by.
    """

    columns: tuple[int, ...]
    values: Floats
    target: Floats
    weights: Floats
    numbers: Floats

    @classmethod
    def of(
        cls,
        schema: Schema,
        columns: tuple[int, ...],
        values: Floats,
        target: Floats,
        weights: Floats | None,
        groups: Sequence[int] = (),
    ) -> "Kept":
        """Choose among encoded rows.

        Parameters
        ----------
        schema : Schema
            What the columns are.
        columns : tuple of int
            The columns that equations use.
        values : ndarray of shape (n, all columns)
            Encoded rows.
        target : ndarray of shape (n,)
            The outcome.
        weights : ndarray of shape (n,), optional
            Frequencies of the rows.
        groups : sequence of int, optional
            Columns of groups of rows, of which few are kept with several rows each.
        """
        most = _most(len(columns))
        numbers = np.empty(len(values))
        for rows in slices(len(values), _BLOCK):
            own = None if weights is None else weights[rows]
            numbers[rows] = _numbers(schema, columns, values[rows], target[rows], own)
        among = np.arange(len(values))
        if groups and len(values) > most:
            of_group = _numbers(schema, groups, values, np.zeros(len(values)), None)
            among = _of_some(of_group, most)
        picked = among[_least(numbers[among], most)]
        counts = np.ones(len(picked)) if weights is None else weights[picked]
        held = values[np.ix_(picked, columns)], target[picked], counts
        return cls(columns, *held, numbers[picked])

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.target)

    def merged(self, other: "Kept", ours: Schema, theirs: Schema, both: Schema) -> "Kept | None":
        """Return what is kept of the rows of both; None if it is not of the same columns.

        Parameters
        ----------
        other : Kept
            The others.
        ours, theirs, both : Schema
            What the columns are here, there, and in both.
        """
        if self.columns != other.columns:
            return None
        parts = self.coded(ours, both), other.coded(theirs, both)
        held = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("values", "target", "weights", "numbers")
        ]
        picked = _least(held[-1], _most(len(self.columns)))
        return Kept(self.columns, *(each[picked] for each in held))

    def coded(self, before: Schema, after: Schema) -> "Kept":
        """Return the rows with levels as another schema of the same columns codes them."""
        values = self.values.copy()
        for k, j in enumerate(self.columns):
            levels, known = before.levels[j], after.levels[j]
            if levels is not None and known is not None and levels != known:
                to = np.array([known.index(level) for level in levels], dtype=np.float64)
                values[:, k] = to[values[:, k].astype(np.intp)]
        return replace(self, values=values)

    def among(self, width: int) -> Floats:
        """Return the rows of all columns, (k, width): NaN in those that are not kept."""
        values = np.full((len(self), width), np.nan)
        values[:, self.columns] = self.values
        return values


def _most(width: int) -> int:
    """Return how many rows of so many columns are kept at most."""
    return min(MOST, max(_LEAST, _MOST_NUMBERS // (width + 1)))


def _least(numbers: Floats, most: int) -> NDArray[np.intp]:
    """Return the positions of the least numbers, in order of rows."""
    if len(numbers) <= most:
        return np.arange(len(numbers))
    return np.sort(np.argpartition(numbers, most)[:most])


def _of_some(of_group: Floats, most: int) -> NDArray[np.intp]:
    """Return the rows of as many groups as give so many rows, several a group."""
    _, codes, sizes = np.unique(of_group, return_inverse=True, return_counts=True)
    enough = np.searchsorted(np.cumsum(np.minimum(sizes, _OF_A_GROUP)), most) + 1
    return np.flatnonzero(codes < enough)


def _numbers(
    schema: Schema,
    columns: Sequence[int],
    values: Floats,
    target: Floats,
    weights: Floats | None,
) -> Floats:
    """Return what rows are chosen by: exponential variables, of their weights as rates."""
    total = _mixed(_bits(target)) * _odd("")
    for j in columns:
        levels = schema.levels[j]
        if levels is None:
            own = _mixed(_bits(values[:, j]))
        else:  # by what they are called: codes may differ between batches
            named = np.array([crc32(repr(level).encode()) for level in levels], dtype=np.uint64)
            own = named[values[:, j].astype(np.intp)]
        total += own * _odd(schema.names[j])
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # SplitMix64
        total ^= total >> np.uint64(shift)
        total *= np.uint64(factor)
    total ^= total >> np.uint64(31)
    uniform = (total >> np.uint64(11)).astype(np.float64) * 2.0**-53
    found = -np.log1p(-uniform)
    return found if weights is None else found / weights


def _bits(values: Floats) -> Keys:
    """Return the bits of numbers, 0 and -0 the same."""
    return (np.ascontiguousarray(values) + 0.0).view(np.uint64)


def _mixed(bits: Keys) -> Keys:
    """Return bits with the high ones among the low: those of whole numbers are zero."""
    return bits ^ (bits >> np.uint64(32))


def _odd(name: str) -> Any:
    """Return an odd number for a column."""
    code = crc32(name.encode())
    return np.uint64((code * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**64 | 1)
