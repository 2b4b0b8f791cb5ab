"""What Gaussian equations see of their rows where coefficients differ by level of a column."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from interventional.data.seen import Factor, one_thread
from interventional.numbers import Floats, slices

_BLOCK = 1 << 22  # numbers a block of rows holds, unless the levels' factors hold more
_PIECE = 1 << 16  # numbers of one level's rows that are decomposed at once: they stay in the cache

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cut:
    """What equations with a few coefficients of each level's own see of the rows.

    An orthogonal change of basis takes the weighted rows ``[own | border | y]`` of level j to ::

        [own_j  border_j  target_j]      q rows of each level
        [  0      rows      rest  ]      k rows for all levels together
        [  0       0         rss  ]      what is left, as a sum of squares

    so that the weighted sum of squares of ``y - own b_j - border a`` over all rows is
    ``sum_j |target_j - own_j b_j - border_j a|^2 + |rest - rows a|^2 + rss`` (Pinheiro and Bates,
    2000, Mixed-Effects Models in S and S-PLUS, section 2.2.3).

    Attributes
    ----------
    own : ndarray of shape (J, q, q)
        Upper triangular, the diagonal not negative; zero rows where a level has fewer.
    border : ndarray of shape (J, q, pb)
        The columns whose coefficients the levels share, in the basis that belongs to `own`.
    target : ndarray of shape (J, q)
        The outcome in that basis.
    rows : ndarray of shape (k, pb)
        Upper triangular factor of what `own` leaves of the border, k <= pb. A column of which
        nothing is left is zero and takes no row.
    rest : ndarray of shape (k,)
        The outcome in the basis that belongs to `rows`.
    rss : float
        Sum of squares of what neither can reach.
    constant : bool
        Whether the outcome is one number throughout, which an intercept takes up, or zero.
    """

    own: Floats
    border: Floats
    target: Floats
    rows: Floats
    rest: Floats
    rss: float
    constant: bool


@dataclass(frozen=True, eq=False)
class FactorByLevel:
    """The triangular factors of the rows of each level of a column.

    They are all that linear Gaussian equations see whose coefficients differ by level. Factors of
    different rows add up. See `Factor`, which is that of all rows.

    Attributes
    ----------
    n : int
        Number of rows.
    weight : float
        Sum of their weights.
    rows : ndarray of int, shape (J,)
        Number of rows of each level.
    shift : ndarray of shape (w,)
        What was subtracted from the columns, the last of which is the outcome: a first guess of
        their means, the same for all levels.
    low, high : ndarray of shape (w,)
        The least and the greatest value of each column.
    r : ndarray of shape (J, k, 1 + w)
        Triangular factor of each level's weighted ``[1, columns - shift]``, the diagonal not
        negative, k = min(1 + w, rows of the largest level); zero rows where a level has fewer.
    """

    n: int
    weight: float
    rows: Indices
    shift: Floats
    low: Floats
    high: Floats
    r: Floats

    @classmethod
    def of(
        cls,
        matrix: Floats | Callable[[slice], Floats],
        last: Floats,
        codes: NDArray[np.integer],
        n_levels: int,
        weights: Floats | None = None,
    ) -> "FactorByLevel":
        """Return the factors of rows.

        Parameters
        ----------
        matrix : ndarray of shape (n, w - 1), or callable
            All columns but the last. A callable makes those of the rows of a slice, so that they
            need not all exist at a time; it is asked for no rows first, which tells the number of
            columns, then for each row once, in order.
        last : ndarray of shape (n,)
            The last column.
        codes : ndarray of int, shape (n,)
            The level of each row, from 0.
        n_levels : int
            Number of levels, J.
        weights : ndarray of shape (n,), optional
            Frequencies of the rows.
        """
        n = len(last)
        make = matrix if callable(matrix) else matrix.__getitem__
        width = np.shape(make(slice(0, 0)))[1] + 2
        counts = np.bincount(codes, minlength=n_levels)
        codes = codes.astype(np.min_scalar_type(n_levels), copy=False)  # few bits sort fast
        k = min(width, int(counts.max(initial=0)))
        r = np.zeros((n_levels, k, width))
        shift = np.zeros(width - 1)
        low, high = np.full(width - 1, np.inf), np.full(width - 1, -np.inf)
        # What earlier blocks left is decomposed again with each: it should not be most of the work
        for rows in slices(n, max(_BLOCK // width, n_levels * k)):
            fresh = rows.stop - rows.start
            here = np.flatnonzero(np.bincount(codes[rows], minlength=n_levels))
            before = here[r[here].any(axis=(1, 2))]
            table = np.empty((fresh + len(before) * k, width))
            table[:fresh, 0] = 1.0
            table[:fresh, 1:-1] = make(rows)
            table[:fresh, -1] = last[rows]
            columns = table[:fresh, 1:]
            np.minimum(low, columns.min(axis=0), out=low)
            np.maximum(high, columns.max(axis=0), out=high)
            if rows.start == 0:
                shift = columns.mean(axis=0)
            columns -= shift
            if weights is not None:
                table[:fresh] *= np.sqrt(weights[rows, None])
            table[fresh:] = r[before].reshape(-1, width)
            level = np.concatenate([codes[rows], np.repeat(before.astype(codes.dtype), k)])
            order = np.argsort(level, kind="stable")
            r[here] = _triangles(table, order, np.bincount(level)[here], k)
        weight = float(n if weights is None else weights.sum())
        return cls(n, weight, counts, shift, low, high, _only_rows(r, counts))

    def __add__(self, other: "FactorByLevel") -> "FactorByLevel":
        """Return the factors of both one's rows and the other's, of the same levels."""
        if not self.n:  # whose shift is no guess of any mean
            return other
        moved = other.r.copy()
        moved[:, :, 1:] += moved[:, :, :1] * (other.shift - self.shift)
        rows = self.rows + other.rows
        stacked = _triangular(np.concatenate([self.r, moved], axis=1))
        return FactorByLevel(
            self.n + other.n,
            self.weight + other.weight,
            rows,
            self.shift,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            _only_rows(stacked[:, : rows.max(initial=0)], rows),
        )

    def with_levels(self, positions: Indices, n_levels: int) -> "FactorByLevel":
        """Return the same rows where there are more levels, or where they have another order.

        Parameters
        ----------
        positions : ndarray of int, shape (J,)
            Where each level stands among all, each in a place of its own.
        n_levels : int
            Number of all levels.
        """
        rows = np.zeros(n_levels, dtype=self.rows.dtype)
        r = np.zeros((n_levels, *self.r.shape[1:]))
        rows[positions], r[positions] = self.rows, self.r
        return replace(self, rows=rows, r=r)

    def with_column(self, values: Floats) -> "FactorByLevel":
        """Return the factors with one more column, before the outcome, of one value a level.

        It is a multiple of the column of ones in each level, so that no row is asked.

        Parameters
        ----------
        values : ndarray of shape (J,)
            The value of each level; that of a level without rows does not matter.
        """
        ones = self._ones
        known = ones > 0
        values = np.where(known, values, 0.0)
        # A difference is exact to its own last digit: about their mean they keep all of them.
        shift = np.average(values, weights=ones**2) if known.any() else 0.0
        rows = min(self.r.shape[2] + 1, int(self.rows.max(initial=0)))
        r = np.zeros((len(self.rows), rows, self.r.shape[2] + 1))
        held = self.r.shape[1]
        r[:, :held, :-2], r[:, :held, -1] = self.r[:, :, :-1], self.r[:, :, -1]
        if held:
            r[:, 0, -2] = (values - shift) * ones
        return replace(
            self,
            shift=np.insert(self.shift, -1, shift),
            low=np.insert(self.low, -1, values[known].min(initial=np.inf)),
            high=np.insert(self.high, -1, values[known].max(initial=-np.inf)),
            r=r,
        )

    @property
    def _ones(self) -> Floats:
        """The sizes of the levels' weighted columns of ones, (J,)."""
        return self.r[:, 0, 0] if self.r.shape[1] else np.zeros(len(self.rows))

    @property
    def constant(self) -> bool:
        """Whether the outcome is one number throughout."""
        return bool(self.low[-1] == self.high[-1])

    def total(self) -> Factor:
        """Return the factor of all rows."""
        r = _triangle(self.r.reshape(-1, self.r.shape[2]), self.n)
        return Factor(self.n, self.weight, self.shift, self.low, self.high, r)

    def means(self) -> Floats:
        """Return the weighted means of the columns in each level, (J, w); NaN without rows."""
        means = np.full((len(self.rows), len(self.shift)), np.nan)
        ones = self._ones
        known = ones > 0
        if known.any():
            means[known] = self.shift + self.r[known, 0, 1:] / ones[known, None]
        return means

    def cut(
        self,
        own: Sequence[int],
        at: Sequence[float] | Floats,
        border: Sequence[int],
        centre: Sequence[float] | Floats,
        *,
        intercept: bool = True,
        y_centre: float = 0.0,
    ) -> Cut:
        """Return what equations see whose coefficients of the columns `own` differ by level.

        What is constant in each level, as the intercept and columns of `with_column` are, is zero
        in the rest without any rounding if -1 is the first of `own`.

        Parameters
        ----------
        own : sequence of int
            Positions of the q columns whose coefficients differ; -1 stands for the column of ones.
        at : sequence of float
            What is subtracted from each of them; that of the column of ones is not looked at.
        border : sequence of int
            Positions of the columns whose coefficients the levels share; they may be among `own`.
        centre : sequence of float
            What is subtracted from each of these.
        intercept : bool, default True
            Whether a column of ones comes first in the border.
        y_centre : float, default 0
            What is subtracted from the outcome.
        """
        q, width = len(own), self.r.shape[2]
        every = [*own, *([-1] if intercept else []), *border, len(self.shift) - 1]
        less = [*at, *([0.0] if intercept else []), *centre, y_centre]
        change = np.zeros((width, len(every)))
        for i, (column, subtracted) in enumerate(zip(every, less, strict=True)):
            if column < 0:
                change[0, i] = 1.0
            elif self.low[column] == self.high[column]:  # rounding must not look like spread
                change[0, i] = self.low[column] - subtracted
            else:
                change[0, i] = self.shift[column] - subtracted
                change[1 + column, i] = 1.0
        changed = (self.r.reshape(-1, width) @ change).reshape(*self.r.shape[:2], len(every))
        constant = self.constant and (intercept or self.low[-1] == 0.0)
        size = float(np.square(self.r[:, :, -1] + self.shift[-1] * self.r[:, :, 0]).sum())
        levels = _triangular(changed)
        levels = np.pad(levels, [(0, 0), (0, max(0, q - levels.shape[1])), (0, 0)])
        levels = _only_rows(levels, self.rows)
        used = int(np.minimum(self.rows, q).sum())
        table = levels[:, q:, q:].reshape(-1, len(every) - q)
        told = table.any(axis=0)  # a column of zeros would take a direction of the residual
        told[-1] = True
        found = _triangle(table[:, told], self.n - used)
        left = np.zeros((len(found), len(told)))
        left[:, told] = found
        shared = min(len(left), int(told.sum()) - 1)
        rss = 0.0 if constant else float(np.square(left[shared:, -1]).sum())
        if not constant and self.weight > used + shared:
            # A perfect fit is one to rounding: what is left cannot be less than y's last digits.
            rss = max(rss, size * np.finfo(np.float64).eps ** 2)
        top = levels[:, :q]
        return Cut(
            top[:, :, :q],
            top[:, :, q:-1],
            top[:, :, -1],
            left[:shared, :-1],
            left[:shared, -1],
            rss,
            constant,
        )


def _only_rows(r: Floats, rows: Indices) -> Floats:
    """Set to zero what rounding put where a level has no rows left."""
    r[np.arange(r.shape[1]) >= rows[:, None]] = 0.0
    return r


def _signed(stack: Floats) -> Floats:
    """Return the triangular factors of a stack of matrices, their diagonals not negative."""
    r: Floats = np.linalg.qr(stack, mode="r")
    r *= np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, :, None]
    return r


def _triangular(stack: Floats) -> Floats:
    """Return the same of a large stack, some matrices at a time."""
    n, height, width = stack.shape
    r = np.empty((n, min(height, width), width))
    with one_thread():
        for some in slices(n, _PIECE // max(1, height * width)):
            r[some] = _signed(stack[some])
    return r


def _triangle(table: Floats, most: int) -> Floats:
    """Return the triangular factor of rows, at most so many of which are not zero."""
    k = min(most, *table.shape)
    return _triangles(table, np.arange(len(table)), np.array([len(table)]), k)[0]


def _triangles(table: Floats, order: Indices, counts: Indices, k: int) -> Floats:
    """Return the triangular factors of consecutive rows, (levels, k, width).

    Parameters
    ----------
    table : ndarray of shape (rows, width)
        The rows.
    order : ndarray of int, shape (rows,)
        Their order, in which those of a level follow each other.
    counts : ndarray of int, shape (levels,)
        How many each level has.
    k : int
        How many rows of a factor are wanted; what is beyond is nothing but rounding.
    """
    width = table.shape[1]
    starts = np.cumsum(counts) - counts
    pieces = np.maximum(1, -(-counts // max(4 * width, _PIECE // width)))
    level = np.repeat(np.arange(len(counts)), pieces)
    within = np.arange(len(level)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = starts[level] + within * counts[level] // pieces[level]
    sizes = starts[level] + (within + 1) * counts[level] // pieces[level] - first
    r = np.zeros((len(level), k, width))
    with one_thread():
        for some, size in _alike(sizes, width):
            at = np.arange(size)
            beyond = at >= sizes[some, None]
            stack = table[order[np.where(beyond, 0, first[some, None] + at)]]
            stack[beyond] = 0.0  # rows of zeros change no factor
            found = _signed(stack)[:, :k]
            r[some, : found.shape[1]] = found
    if len(level) == len(counts):
        return r
    return _triangles(r.reshape(-1, width), np.arange(len(level) * k), pieces * k, k)


def _alike(sizes: Indices, width: int) -> Iterator[tuple[Indices, int]]:
    """Iterate over positions of similar size that is not zero, and the greatest of their sizes."""
    by_size = np.argsort(sizes, kind="stable")
    ascending = sizes[by_size]
    start = int(np.searchsorted(ascending, 0, side="right"))
    while start < len(sizes):
        most = int(ascending[start]) * 5 // 4
        stop = int(np.searchsorted(ascending, most, side="right"))
        stop = min(stop, start + max(1, _PIECE // (most * width)))
        yield by_size[start:stop], int(ascending[stop - 1])
        start = stop
