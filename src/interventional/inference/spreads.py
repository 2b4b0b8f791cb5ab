r"""What groups of rows differ by, as part of the covariance of an equation that bends.

The vectors of q coefficients of groups are independent N(0, Sigma) each, so that two rows of one
group have the covariance :math:`f' \Sigma f'` of what their coefficients are multiplied by, f, and
rows of two groups none. No group costs a column. Sigma is told by logs of standard deviations and
by inverse hyperbolic tangents of canonical partial correlations (`correlations`), with the priors
that groups of rows have in all equations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.inference.correlations import (
    cholesky,
    derivatives,
    log_prior,
    log_prior_slope,
    n_correlations,
)
from interventional.inference.scales import Scale
from interventional.numbers import Floats
from interventional.scm.shrinkage import CORRELATION

LEAST, MOST = -7.0, 4.0  # of log standard deviations
_CLOSEST = 4.0  # of the hyperbolic tangents: correlations up to 0.9993
_TYPICAL = float(np.log(0.5))  # a log standard deviation to begin at
_GRID = 2048  # values of a log standard deviation that its prior is known at
_TOGETHER = 4  # rows of a group that are taken before others have their turn


@dataclass(frozen=True, eq=False)
class Spread:
    """Groups of one kind, and the prior of what differs between them.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Which group each row belongs to.
    factors : ndarray of shape (n, q)
        What the coefficients of its group are multiplied by, in standard units.
    n_groups : int
        How many groups there are.
    scales : tuple of Scale
        Priors of the standard deviations, in standard units.
    """

    codes: NDArray[np.intp]
    factors: Floats
    n_groups: int
    scales: tuple[Scale, ...]

    @property
    def effects(self) -> int:
        """How many coefficients a group has."""
        return len(self.scales)

    @property
    def size(self) -> int:
        """How many numbers tell of Sigma."""
        return self.effects + n_correlations(self.effects)

    @property
    def start(self) -> Floats:
        """Numbers to begin at, (size,)."""
        return np.concatenate(
            [np.full(self.effects, _TYPICAL), np.zeros(self.size - self.effects)]
        )

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Between which numbers there is a density, (size,) each."""
        low, high = np.full(self.size, -_CLOSEST), np.full(self.size, _CLOSEST)
        low[: self.effects] = [max(LEAST, scale.low) for scale in self.scales]
        high[: self.effects] = [min(MOST, scale.high) for scale in self.scales]
        return low, high

    def take(self, rows: NDArray[np.intp]) -> "Spread":
        """Return some rows."""
        return replace(self, codes=self.codes[rows], factors=self.factors[rows])

    def root(self, own: Floats) -> Floats:
        """Return a lower triangular root of Sigma, (q, q)."""
        q = self.effects
        return np.asarray(np.exp(own[:q])[:, None] * cholesky(own[None, q:], q)[0])

    def together(self, a: int, b: int) -> NDArray[np.bool_]:
        """Return which rows of a strip are of one group with which rows before its end."""
        return np.asarray(self.codes[a:b, None] == self.codes[:b])

    def add(self, root: Floats, strip: Any, a: int, b: int) -> None:
        """Add the covariance of rows from a to b with those before b, (b - a, b), in place."""
        by = (self.factors[:b] @ root).astype(strip.dtype)
        strip += (by[a:b] @ by.T) * self.together(a, b)

    def moment(self, W: Any, a: int, b: int) -> Floats:
        """Return what slopes in the covariance of a strip come to in Sigma, (q, q)."""
        left, right = (self.factors[s].astype(W.dtype) for s in (slice(a, b), slice(b)))
        return np.asarray(left.T @ ((W * self.together(a, b)) @ right), dtype=np.float64)

    def slope(self, own: Floats, moment: Floats) -> Floats:
        """Return slopes in the numbers that tell of Sigma, given those in Sigma, (size,)."""
        q, root = self.effects, self.root(own)
        by = 2 * ((moment + moment.T) / 2) @ root
        found = [(by * root).sum(axis=1)]
        if q > 1:
            of_z = np.exp(own[:q])[:, None] * derivatives(own[None, q:], self._factor(own))[0]
            found.append((of_z * by).sum(axis=(1, 2)))
        return np.concatenate(found)

    def _factor(self, own: Floats) -> Floats:
        return cholesky(own[None, self.effects :], self.effects)

    @cached_property
    def _densities(self) -> list[Any]:
        """The log densities of log standard deviations as splines: PyMC's own take longer."""
        from scipy.interpolate import CubicSpline

        found = []
        for scale, low, high in zip(self.scales, *self.bounds, strict=False):
            at = np.linspace(low, high, _GRID)
            density = scale.log_density(at)
            known = np.isfinite(density)
            found.append(CubicSpline(at[known], density[known], extrapolate=False))
        return found

    def log_prior(self, own: Floats) -> tuple[float, Floats]:
        """Return the log density of the prior of the numbers, and its slopes; NaN beyond it."""
        q = self.effects
        pairs = list(zip(self._densities, own, strict=False))
        value = sum(float(density(t)) for density, t in pairs)
        slopes = np.array([float(density(t, 1)) for density, t in pairs])
        if q == 1:
            return value, slopes
        z = own[None, q:]
        of_z = log_prior(z, q, CORRELATION)[0], log_prior_slope(z, q, CORRELATION)[0]
        return value + float(of_z[0]), np.concatenate([slopes, of_z[1]])

    def terms(self, root: Floats) -> Floats:
        """Return what standard normal numbers of groups are multiplied by, (n, q groups)."""
        n, q = self.factors.shape
        found = np.zeros((n, q, self.n_groups))
        found[np.arange(n), :, self.codes] = self.factors @ root
        return found.reshape(n, -1)

    def coefficients(self, root: Floats, noise: Floats) -> Floats:
        """Return coefficients of groups, in standard units, (draws, q, groups).

        `noise` are the numbers that `terms` are multiplied by, (draws, q groups).
        """
        return np.asarray(root @ noise.reshape(len(noise), self.effects, -1))

    def named(self, own: Floats) -> dict[str, Floats]:
        """Return draws, (draws, size), as standard deviations and, of several, correlations."""
        q = self.effects
        found = {"sd": np.exp(own[:, :q])}
        if q > 1:
            factor = cholesky(own[:, q:], q)
            found["corr"] = factor @ np.swapaxes(factor, 1, 2)
        return found


def some_rows(spreads: Sequence[Spread], n: int, most: int) -> NDArray[np.intp]:
    """Return some of n rows in order: of groups a few rows together, which tell of both."""
    rng = np.random.default_rng(1)
    order = rng.permutation(n)
    if not spreads:
        return np.sort(order[:most])
    largest = max(spreads, key=lambda spread: spread.n_groups)
    codes = rng.permutation(largest.n_groups)[largest.codes[order]]
    by_group = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[by_group], codes[by_group])
    turn = (np.arange(n) - first) // _TOGETHER
    return np.sort(order[by_group[np.argsort(turn, kind="stable")[:most]]])
