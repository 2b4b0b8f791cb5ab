"""Mixtures of Gaussians, one a row: mean, spread, quantiles, intervals, probabilities.

What is linear in coefficients is Gaussian given sigma. Mixed over the posterior of sigma, on a few
nodes, it is a mixture of Gaussians in each row, of which all of that is known to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from interventional.numbers import Floats

_ROOT = np.sqrt(2 * np.pi)
_CLOSE = 1e-6  # in sd: a Newton step so short leaves an error of its square
_STEPS = 60  # of Newton's, or halvings
_WEIGHTY = 0.01  # of the heaviest node
_TAILS = 801  # lower tails that an interval of highest density is looked for among


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians in each of some rows.

    Attributes
    ----------
    weights : ndarray of shape (nodes,)
        What part each node is; they add up to one.
    center : ndarray of shape (n,)
        The mean of each row.
    shift, sd : ndarray of shape (nodes, n)
        How far each node's mean is from it, and each node's standard deviation.
    """

    weights: Floats
    center: Floats
    shift: Floats
    sd: Floats

    def at(self, rows: NDArray[Any] | slice) -> "Mixture":
        """Return those of some rows."""
        return Mixture(self.weights, self.center[rows], self.shift[:, rows], self.sd[:, rows])

    @cached_property
    def spread(self) -> Floats:
        """The standard deviation of each row, (n,)."""
        variance = self.weights @ (np.square(self.sd) + np.square(self.shift))
        return np.sqrt(np.asarray(variance))

    def mean(self) -> Floats:
        """Return the mean of each row, (n,)."""
        return self.center

    def std(self) -> Floats:
        """Return the standard deviation of each row, (n,)."""
        return self.spread

    def quantiles(self, q: Sequence[float] | Floats) -> Floats:
        """Return quantiles of each row, (n, len(q)); those at 0 and 1 are infinite.

        Examples
        --------
        >>> rows = Mixture(np.ones(1), np.array([0.0, 3.0]), np.zeros((1, 2)), np.ones((1, 2)))
        >>> rows.quantiles([0.5, 0.975]).round(2)
        array([[0.  , 1.96],
               [3.  , 4.96]])
        """
        out = np.empty((len(self.center), len(q)))
        for k, p in enumerate(q):
            out[:, k] = self.center + self._beyond(float(p))
        return out

    def inside(self, above: float | None, below: float | None) -> Floats:
        """Return the probability of an open range in each row, (n,)."""
        low = -np.inf if above is None else above
        high = np.inf if below is None else below
        known = (low < self.center) & (self.center < high)
        found = self._below(high - self.center) - self._below(low - self.center)
        return np.where(self.spread > 0, np.maximum(found, 0.0), known)

    def highest_density(self, prob: float) -> Floats:
        """Return the shortest interval of some probability of each row, (n, 2)."""
        tail = (1 - prob) / 2
        low, high = self._beyond(tail), self._beyond(1 - tail)
        done = self.spread == 0
        # Nodes make two modes only if they are further apart than twice the smaller spread; what
        # hardly weighs makes none that an interval would be drawn to.
        held = self.weights > _WEIGHTY * self.weights.max()
        apart = np.ptp(self.shift[held], axis=0) > 2 * self.sd[held].min(axis=0)
        doubtful = ~done & apart
        for _ in range(_STEPS):
            rows = np.flatnonzero(~(done | doubtful))
            if not len(rows):
                break
            here = self.at(rows)
            left, right = here._newton(low[rows], high[rows], prob)
            size = np.maximum(np.abs(left), np.abs(right))
            right_way = np.isfinite(size) & (size < 3 * here.spread)
            doubtful[rows[~right_way]] = True
            low[rows] -= np.where(right_way, left, 0.0)
            high[rows] -= np.where(right_way, right, 0.0)
            done[rows] = size <= _CLOSE * here.spread
        found = np.column_stack([low, high]) + self.center[:, None]
        for row in np.flatnonzero(~done):
            found[row] = self.at(np.array([row]))._shortest(prob)
        return found

    def _newton(self, low: Floats, high: Floats, prob: float) -> tuple[Floats, Floats]:
        """Return what to take from ends so that they hold `prob`, and are equally dense."""
        (p_low, bend_low), (p_high, bend_high) = map(self._density, (low, high))
        lacking = self._below(high) - self._below(low) - prob
        uneven = p_high - p_low
        with np.errstate(all="ignore"):
            determinant = p_high * bend_low - p_low * bend_high
            left = (p_high * uneven - lacking * bend_high) / -determinant
            right = (p_low * uneven - lacking * bend_low) / -determinant
        wrong = ~(determinant > 0)
        left[wrong] = right[wrong] = np.nan
        return left, right

    def _shortest(self, prob: float) -> Floats:
        """Return the shortest of the intervals with some lower tails, of one row."""
        tails = np.linspace(0, 1 - prob, _TAILS)[1:-1]
        p = np.concatenate([tails, tails + prob])
        every = self.at(np.zeros(len(p), dtype=np.intp))
        ends = every._quantile(p, ndtri(p), ndtri(p) * every.spread).reshape(2, -1)
        return np.asarray(self.center + ends[:, np.argmin(ends[1] - ends[0])])

    def _below(self, x: Floats) -> Floats:
        """Return the distribution function at distances from the mean, (n,)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.weights @ ndtr((x - self.shift) / self.sd))

    def _density(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the density at distances from the mean, and its slope, (n,) each."""
        z = (x - self.shift) / self.sd
        each = np.exp(-0.5 * np.square(z)) / (self.sd * _ROOT)
        return self.weights @ each, self.weights @ (-z / self.sd * each)

    def _beyond(self, p: float) -> Floats:
        """Return how far a quantile is from the mean of each row, (n,)."""
        spread, z = self.spread, float(ndtri(p))
        if not 0 < p < 1:
            return np.where(spread > 0, z, 0.0)
        if len(self.weights) == 1:
            return z * self.sd[0]
        out = np.zeros(len(spread))
        rows = np.flatnonzero(spread > 0)
        if not len(rows):
            return out
        # What differs between rows is little more than their spread.
        widest = rows[[int(np.argmax(spread[rows]))]]
        like = z * spread[widest]
        if len(rows) > 1:
            like = self.at(widest)._quantile(np.array([p]), np.array([z]), like)
        start = spread[rows] * (like / spread[widest])
        alike = np.ones(len(rows))
        out[rows] = self.at(rows)._quantile(p * alike, z * alike, start)
        return out

    def _quantile(self, p: Floats, z: Floats, start: Floats) -> Floats:
        """Return quantiles as distances from the mean, by Newton's steps within bounds.

        Of each row there is one, at p, where a standard Gaussian has z.
        """
        ends = self.shift + z * self.sd
        low, high = ends.min(axis=0), ends.max(axis=0)  # as it is with each component
        x = np.clip(start, low, high)
        rows, here = np.arange(len(x)), self
        for _ in range(_STEPS):
            at = x[rows]
            z_of = (at - here.shift) / here.sd
            over = here.weights @ ndtr(z_of) - p[rows]
            density = here.weights @ (np.exp(-0.5 * np.square(z_of)) / here.sd) / _ROOT
            low[rows] = np.where(over < 0, at, low[rows])
            high[rows] = np.where(over > 0, at, high[rows])
            with np.errstate(all="ignore"):
                found = at - over / density
            wild = ~((found >= low[rows]) & (found <= high[rows]))
            found[wild] = 0.5 * (low[rows] + high[rows])[wild]
            x[rows] = found
            far = np.abs(found - at) > _CLOSE * here.spread
            if not far.any():
                break
            if not far.all():
                rows, here = rows[far], here.at(far)
        return x
