"""What a likelihood sees of its rows: for a Gaussian a triangular factor and five numbers."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from interventional.numbers import Floats, slices

_BLOCK = 1 << 16  # numbers a block of rows holds: it stays in the cache
_MANY_ROWS = 1 << 16
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd, and its bits are as good as random


@dataclass(frozen=True)
class Moments:
    """What default priors are scaled by.

    Attributes
    ----------
    n : int
        Number of rows.
    x_mean, x_scale : ndarray of shape (terms,)
        Mean and standard deviation of each term of the design.
    y_mean, y_scale : float
        Mean and standard deviation of the outcome, on the scale of its link.
    noise : float
        The standard deviation of an outcome on that scale, where the family has no sigma.
    """

    n: int
    x_mean: Floats
    x_scale: Floats
    y_mean: float
    y_scale: float
    noise: float = 1.0


class Seen(Protocol):
    """What an equation saw of the rows: sufficient statistics, or distinct rows."""

    @property
    def x_mean(self) -> Floats:
        """Means of the terms, (terms,); zeros for a model without an intercept."""

    @property
    def moments(self) -> Moments:
        """What default priors are scaled by."""

    @property
    def factor(self) -> Floats:
        """A triangular factor of the centred, weighted terms, (k, terms)."""

    @property
    def structure(self) -> Hashable:
        """What it shares with others if one compiled likelihood serves both."""


@dataclass(frozen=True)
class SufficientStatistics:
    """Sufficient statistics of a weighted linear Gaussian model.

    Attributes
    ----------
    n : int
        Number of rows.
    weight : float
        Sum of the weights.
    x_mean : ndarray of shape (p,)
        Means of the columns; zeros for a model without an intercept.
    y_mean : float
        Mean of the outcome; zero for a model without an intercept.
    r : ndarray of shape (k, p)
        Triangular factor of the centred, weighted design, k <= min(n, p).
    z : ndarray of shape (k,)
        The centred outcome in the basis that belongs to `r`.
    rss : float
        Residual sum of squares of least squares.
    has_intercept : bool
        Whether the columns and the outcome were centred.
    constant : bool
        Whether the centred outcome is zero throughout.
    """

    n: int
    weight: float
    x_mean: Floats
    y_mean: float
    r: Floats
    z: Floats
    rss: float
    has_intercept: bool
    constant: bool

    @property
    def dof(self) -> float:
        """The sum of the weights less what the mean and z have used."""
        return self.weight - len(self.z) - self.has_intercept

    @property
    def has_residual(self) -> bool:
        """Whether least squares leaves something over that tells of sigma."""
        return self.dof > 0 and self.rss > 0

    @property
    def factor(self) -> Floats:
        """A triangular factor of the centred, weighted terms, (k, terms)."""
        return self.r

    @property
    def structure(self) -> Hashable:
        """Whether there is a likelihood of the residual; the rest is numbers."""
        return self.has_residual

    @property
    def moments(self) -> Moments:
        """What default priors are scaled by; a constant column counts with its size."""
        # hypot, as the squares of small numbers are none
        scale = np.hypot.reduce(self.r, axis=0) / np.sqrt(self.weight)
        size = np.where(self.x_mean != 0, np.abs(self.x_mean), 1.0)
        scale = np.where(scale > 1e-13 * size, scale, size)
        variance = (np.square(self.z).sum() + self.rss) / self.weight
        y_scale = 0.0 if self.constant else float(np.sqrt(variance))
        return Moments(self.n, self.x_mean, scale, self.y_mean, y_scale)


@dataclass(frozen=True)
class Factor:
    """The triangular factor of some rows: all that linear Gaussian equations see of them.

    A column of ones takes part in the QR decomposition of ``[1, columns]``: what stands in its row
    of the factor are the means, what stands below is centred. Gram matrices would lose half of the
    digits. Factors of different rows add up, by a QR of the two stacked.

    Attributes
    ----------
    n : int
        Number of rows.
    weight : float
        Sum of their weights.
    shift : ndarray of shape (columns,)
        What was subtracted from the columns: a first guess of their means, which keeps the digits
        of their spread.
    low, high : ndarray of shape (columns,)
        The least and the greatest value of each column.
    r : ndarray of shape (k, 1 + columns)
        Triangular factor of the weighted ``[1, columns - shift]``, k <= min(n, 1 + columns).
    """

    n: int
    weight: float
    shift: Floats
    low: Floats
    high: Floats
    r: Floats

    @classmethod
    def of(cls, blocks: Iterable[tuple[Floats, Floats, Floats | None]], width: int) -> "Factor":
        """Return the factor of rows that come in blocks.

        Parameters
        ----------
        blocks : iterable of (matrix, last, weights)
            Rows of all columns but the last, the last column, and weights or None.
        width : int
            Number of columns.
        """
        n, weight = 0, 0.0
        shift, r = np.zeros(width), np.empty((0, 1 + width))
        low, high = np.full(width, np.inf), np.full(width, -np.inf)
        step = max(4 * (1 + width), _BLOCK // (1 + width))
        for matrix, last, weights in blocks:
            for start in range(0, len(last), step):
                rows = slice(start, min(start + step, len(last)))
                k = len(r)
                stacked = np.empty((k + rows.stop - rows.start, 1 + width), order="F")
                stacked[:k] = r
                fresh = stacked[k:]
                fresh[:, 0] = 1.0
                fresh[:, 1:-1] = matrix[rows]
                fresh[:, -1] = last[rows]
                np.minimum(low, fresh[:, 1:].min(axis=0), out=low)
                np.maximum(high, fresh[:, 1:].max(axis=0), out=high)
                if n == 0:
                    shift = fresh[:, 1:].mean(axis=0)
                fresh[:, 1:] -= shift
                if weights is None:
                    weight += len(fresh)
                else:
                    weight += float(weights[rows].sum())
                    fresh *= np.sqrt(weights[rows, None])
                n += len(fresh)
                r = _triangular(stacked)
        return cls(n, weight, shift, low, high, r)

    def __add__(self, other: "Factor") -> "Factor":
        """Return the factor of both one's rows and the other's."""
        moved = other.r.copy()
        moved[:, 1:] += np.outer(moved[:, 0], other.shift - self.shift)
        return Factor(
            self.n + other.n,
            self.weight + other.weight,
            self.shift,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            _triangular(np.asfortranarray(np.concatenate([self.r, moved]))),
        )

    def select(self, columns: Sequence[int | None]) -> "Factor":
        """Return the factor of some of the columns, in this order; None stands for one of zeros.

        It need not be triangular, which `statistics` does not ask for.
        """
        at = np.array([-1 if j is None else j for j in columns], dtype=np.intp)
        known = at >= 0
        r = np.concatenate([self.r[:, :1], np.where(known, self.r[:, 1:][:, at], 0.0)], axis=1)
        shift, low, high = (np.where(known, v[at], 0.0) for v in (self.shift, self.low, self.high))
        return Factor(self.n, self.weight, shift, low, high, r)

    def statistics(self, *, intercept: bool = True) -> SufficientStatistics:
        """Return the sufficient statistics of the regression of the last column on the others.

        Parameters
        ----------
        intercept : bool, default True
            Whether the model has an intercept.
        """
        ones = int(intercept)
        p = len(self.shift) - 1
        factor = self.r
        x_mean, y_mean = np.zeros(p), 0.0
        if not intercept:  # what was subtracted comes back, and the column of ones goes
            factor = factor[:, 1:] + np.outer(factor[:, 0], self.shift)
        if np.tril(factor, -1).any():
            factor = _triangular(np.asfortranarray(factor))
        if intercept:
            means = self.shift + factor[0, 1:] / factor[0, 0]
            x_mean, y_mean = means[:-1], float(means[-1])
        body = factor[ones:, ones:].copy()
        low, high = float(self.low[-1]), float(self.high[-1])
        constant = low == high and (intercept or low == 0.0)
        if constant:  # rounding must not look like noise
            y_mean, body[:, p] = low if intercept else 0.0, 0.0
        r, z, rss = body[:p, :p].copy(), body[:p, p].copy(), float(np.square(body[p:, p]).sum())
        if not constant and self.weight > ones + len(z):
            # A perfect fit is one to rounding: what is left cannot be less than y's last digits.
            size = y_mean**2 * self.weight + float(z @ z) + rss
            rss = max(rss, size * np.finfo(np.float64).eps ** 2)
        return SufficientStatistics(
            self.n, self.weight, x_mean, y_mean, r, z, rss, intercept, constant
        )


def one_thread() -> Any:
    """Hold BLAS to one thread, as a context.

    The blocks are small: several threads gain nothing, and where another process has a core they
    wait for each other most of the time.
    """
    return _threads().limit(limits=1, user_api="blas")


@cache
def _threads() -> Any:
    """Return what is known of the libraries with threads: to look for them takes milliseconds."""
    import scipy.linalg  # noqa: F401 (its BLAS is not NumPy's, and must be there to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _triangular(rows: Floats) -> Floats:
    """Return the triangular factor, its diagonal not negative; `rows` may be overwritten."""
    from scipy.linalg import qr

    with one_thread():
        r = qr(rows, mode="r", overwrite_a=True, check_finite=False)[0][: rows.shape[1]]
    r *= np.where(np.diagonal(r) < 0, -1.0, 1.0)[:, None]
    return r


def sufficient_statistics(
    matrix: Floats, y: Floats, weights: Floats | None = None, *, intercept: bool = True
) -> SufficientStatistics:
    """Reduce rows to sufficient statistics.

    Parameters
    ----------
    matrix : ndarray of shape (n, p)
        Design matrix.
    y : ndarray of shape (n,)
        Outcome.
    weights : ndarray of shape (n,), optional
        Frequencies of the rows.
    intercept : bool, default True
        Whether the model has an intercept.
    """
    factor = Factor.of([(matrix, y, weights)], matrix.shape[1] + 1)
    return factor.statistics(intercept=intercept)


@dataclass(frozen=True)
class DistinctRows:
    """What a likelihood sees that is no Gaussian's: its distinct rows, and how often each is.

    Attributes
    ----------
    matrix : ndarray of shape (k, p)
        Rows of the design matrix.
    target : ndarray of shape (k,)
        The node: numbers, or codes of levels.
    weights : ndarray of shape (k,)
        Frequencies.
    moments : Moments
        What default priors are scaled by.
    offset : ndarray of shape (k,) or None
        What is added to the linear predictor.
    errors : ndarray of shape (k,) or None
        Known standard deviations of the noise that the node has beside its own.
    """

    matrix: Floats
    target: Floats
    weights: Floats
    moments: Moments
    offset: Floats | None = None
    errors: Floats | None = None

    @property
    def x_mean(self) -> Floats:
        """Means of the columns, (p,); zeros for a model without an intercept."""
        return self.moments.x_mean

    @property
    def factor(self) -> Floats:
        """A triangular factor of the centred, weighted terms, (k, terms)."""
        rows = np.sqrt(self.weights)[:, None] * (self.matrix - self.x_mean)
        return _triangular(np.asfortranarray(rows))

    @property
    def structure(self) -> Hashable:
        """Whether there are weights, an offset, and errors; the rest is numbers."""
        return self.are_weighted, self.offset is None, self.errors is None

    @property
    def are_weighted(self) -> bool:
        """Whether any row counts for other than one."""
        return bool((self.weights != 1).any())


def distinct_rows(
    matrix: Floats,
    target: Floats,
    weights: Floats | None,
    *,
    y_mean: float = 0.0,
    y_scale: float = 1.0,
    noise: float = 2.0,
    offset: Floats | None = None,
    errors: Floats | None = None,
    intercept: bool = True,
) -> DistinctRows:
    """Reduce the rows of a node to the distinct ones, with weights.

    Parameters
    ----------
    matrix : ndarray of shape (n, p)
        Design matrix.
    target : ndarray of shape (n,)
        The node: numbers, or codes of levels.
    weights : ndarray of shape (n,), optional
        Frequencies of the rows.
    y_mean, y_scale : float
        What default priors take for mean and standard deviation of the linear predictor.
    noise : float
        The standard deviation that an outcome of a row has on that scale; 2 is that of a level
        with a probability of one half.
    offset : ndarray of shape (n,), optional
        What is added to the linear predictor.
    errors : ndarray of shape (n,), optional
        Known standard deviations of the noise beside the node's own.
    intercept : bool, default True
        Whether the model has an intercept.
    """
    n = len(target)
    beside = [column for column in (offset, errors) if column is not None]
    known = np.column_stack([matrix, *beside]) if beside else matrix
    known, target, summed = merge_equal_rows(known, target, weights)
    if errors is not None:
        known, errors = known[:, :-1], known[:, -1]
    if offset is not None:
        known, offset = known[:, :-1], known[:, -1]
    x_mean = np.zeros(known.shape[1])
    if intercept:
        x_mean = np.average(known, axis=0, weights=summed)
    scale = np.sqrt(np.average(np.square(known - x_mean), axis=0, weights=summed))
    size = np.abs(x_mean)
    scale = np.where(scale > 1e-13 * size, scale, np.where(size > 0, size, 1.0))
    moments = Moments(n, x_mean, scale, y_mean, y_scale, noise)
    return DistinctRows(known, target, summed, moments, offset, errors)


def merge_equal_rows(
    matrix: Floats, target: Floats, weights: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """Return the distinct rows, and how often each occurs.

    Their order hangs on the rows alone, not on how they were ordered.
    """
    rows = np.column_stack([matrix, target])
    found = None if len(rows) < _MANY_ROWS else _by_hash(rows)
    if found is None:
        found = np.unique(rows, axis=0, return_inverse=True)
    distinct, which = found
    summed = np.bincount(which.ravel(), weights)
    return distinct[:, :-1], distinct[:, -1], summed.astype(np.float64)


def _by_hash(rows: Floats) -> tuple[Floats, NDArray[np.intp]] | None:
    """Return the distinct rows by a hash of each, and which one each row is.

    To sort millions of rows by value takes ten times as long. None if two rows that differ have
    the same hash.
    """
    bits = np.ascontiguousarray(rows + 0.0).view(np.uint64)  # there is one zero
    keys = np.zeros(len(rows), dtype=np.uint64)
    for column in bits.T:
        keys = (keys ^ column) * _PRIME
        keys ^= keys >> np.uint64(29)
    order = np.argsort(keys, kind="stable")
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = np.diff(keys[order]) != 0
    which = np.empty(len(rows), dtype=np.intp)
    which[order] = np.cumsum(starts) - 1
    distinct = rows[order[starts]]
    if len(distinct) < len(rows) and any(
        (distinct[which[some]] != rows[some]).any() for some in slices(len(rows), _BLOCK)
    ):
        return None
    return distinct, which
