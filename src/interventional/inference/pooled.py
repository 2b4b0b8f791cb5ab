r"""The posterior where coefficients share scales that are learnt, in closed form.

A group has J vectors of q coefficients, independent N(0, Sigma), Sigma = L L', L = diag(s) K with
K a root of correlations. Sampled as they are, coefficients of which the data say little make a
funnel with their scale; as multiples of it, those of which they say much make a ridge. Each is
here between the two (Papaspiliopoulos, Roberts and Sköld 2007, Statistical Science 22:59): where
the data alone know a coefficient with precision w,

.. math:: B = L U, \quad U = a u, \quad a = 1 / \sqrt{1 + s^2 w},

so that the posterior of u has a variance of about 1 whatever s is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from interventional.inference import correlations
from interventional.inference.laplace import Gaussian
from interventional.inference.target import Target
from interventional.inference.variational import climbed, curved
from interventional.numbers import Floats
from interventional.scm.prior_densities import Location, OfLog
from interventional.scm.shrinkage import CORRELATION

_ROUNDS = 8  # of scales by what coefficients are, and these by scales
_LOWEST = 4.0  # how far below the prior's mode these rounds may take the log of a scale
_UNSURE = 0.3  # standard deviation to begin with of logs of scales, and of correlations


@dataclass(frozen=True, eq=False)
class Pool:
    """A group of coefficients whose scales are learnt.

    Attributes
    ----------
    columns : ndarray of int, shape (q, J)
        Their positions.
    scales : tuple of callable
        Priors of the q scales, by their logs.
    known : ndarray of shape (q, J)
        The precision with which the data alone know each.
    """

    columns: NDArray[np.intp]
    scales: tuple[OfLog, ...]
    known: Floats

    @property
    def n_parameters(self) -> int:
        """How many numbers describe the covariance."""
        return len(self.scales) + correlations.n_correlations(len(self.scales))


@dataclass(frozen=True, eq=False)
class _Given:
    """What points make of one group: all with leading shape (s,)."""

    pool: Pool
    log_sd: Floats
    z: Floats
    correlation: Floats
    root: Floats
    share: Floats
    u: Floats
    own: Floats  # U of the module

    @property
    def coefficients(self) -> Floats:
        return np.asarray(self.root @ self.own)


@dataclass(frozen=True, eq=False)
class Pooled:
    """The density of the unknowns of an equation, some coefficients' scales among them.

    A point has u, one for each coefficient (those of no group are as they are); logs of what else
    the family has; and for each group logs of scales, and inverse hyperbolic tangents of partial
    correlations.

    Attributes
    ----------
    target : Target
        The same with a flat prior of the coefficients of groups.
    pools : sequence of Pool
        The groups.
    """

    target: Target
    pools: Sequence[Pool]

    def heights(self, points: Floats) -> Floats:
        """Return the log density at points, (s, d), up to a constant; -inf for what is none."""
        target = self.target
        with np.errstate(all="ignore"):
            b, logs, given = self._parts(points)
            out = target.prior.log_density(b) + target.log_likelihood(b, logs)
            for prior, t in zip(target.positive, logs, strict=True):
                if not isinstance(prior, float):
                    out += prior(t[:, 0])[0]
            for each in given:
                out += (np.log(each.share) - 0.5 * np.square(each.own)).sum(axis=(1, 2))
                for i, scale in enumerate(each.pool.scales):
                    out += scale(each.log_sd[:, i])[0]
                if each.z.shape[1]:
                    q = len(each.pool.scales)
                    out += correlations.log_prior(each.z, q, CORRELATION)
        return np.where(np.isfinite(out), out, -np.inf)

    def slopes(self, points: Floats) -> Floats:
        """Return gradients of the log density at points, (s, d)."""
        target = self.target
        with np.errstate(all="ignore"):
            b, logs, given = self._parts(points)
            by_b, by_log = target.likelihood_slopes(b, logs)
            by_b += target.prior.slope(b)
            parts = [by_b, by_log + target.prior_slopes(logs)]
            for each in given:
                pool, q = each.pool, len(each.pool.scales)
                slope = by_b[:, pool.columns]
                by_own = np.swapaxes(each.root, 1, 2) @ slope - each.own
                variance = np.exp(2 * each.log_sd)[:, :, None]
                by_share = each.u * by_own + 1 / each.share
                by_sd = slope * each.coefficients
                by_sd -= by_share * variance * pool.known * each.share**3
                of_prior = [scale(each.log_sd[:, i])[1] for i, scale in enumerate(pool.scales)]
                parts.append(by_sd.sum(axis=2) + np.stack(of_prior, axis=1))
                if q > 1:
                    turned = correlations.derivatives(each.z, each.correlation)
                    pull = np.exp(each.log_sd)[:, :, None] * slope
                    by_root = pull @ np.swapaxes(each.own, 1, 2)
                    by_z = np.einsum("smij,sij->sm", turned, by_root)
                    by_z += correlations.log_prior_slope(each.z, q, CORRELATION)
                    parts.append(by_z)
                by_b[:, pool.columns] = each.share * by_own
        return np.hstack(parts)

    def coefficients(self, points: Floats) -> Floats:
        """Return the coefficients at points, (s, p)."""
        return self._parts(points)[0]

    def covariances(self, points: Floats) -> list[tuple[Floats, Floats]]:
        """Return for each group scales, (s, q), and correlation matrices, (s, q, q), at points."""
        roots = [(np.exp(g.log_sd), g.correlation) for g in self._parts(points)[2]]
        return [(sd, root @ np.swapaxes(root, 1, 2)) for sd, root in roots]

    def _parts(self, points: Floats) -> tuple[Floats, list[Floats], list[_Given]]:
        """Return coefficients, logs, and what belongs to each group."""
        p, k = self.target.size
        b, at, given = points[:, :p].copy(), p + k, []
        for pool in self.pools:
            q = len(pool.scales)
            log_sd, z = points[:, at : at + q], points[:, at + q : at + pool.n_parameters]
            at += pool.n_parameters
            root = correlations.cholesky(z, q)
            u = points[:, :p][:, pool.columns]
            share = 1 / np.sqrt(1 + np.exp(2 * log_sd)[:, :, None] * pool.known)
            scaled = np.exp(log_sd)[:, :, None] * root
            each = _Given(pool, log_sd, z, root, scaled, share, u, share * u)
            b[:, pool.columns] = each.coefficients
            given.append(each)
        return b, self.target.logs(points), given


def near(target: Target, pools: Sequence[Pool]) -> tuple[Pooled, Gaussian] | None:
    """Return the density, and a Gaussian to begin with; None where none was found.

    Scales and coefficients are found in turns (Dempster, Laird and Rubin 1977, with Laplace's
    approximation for the coefficients).

    Parameters
    ----------
    target : Target
        The equation with a flat prior of the coefficients of groups.
    pools : sequence of Pool
        The groups; what the data know of each coefficient is filled in.
    """
    p, k = target.size
    grid = np.linspace(-25.0, 25.0, 501)
    first = [np.array([grid[np.argmax(s(grid)[0])] for s in pool.scales]) for pool in pools]
    log_sd = [t.copy() for t in first]
    current, curvature = target, np.eye(p)
    for _ in range(_ROUNDS):
        precision = target.prior.precision.copy()
        for pool, t in zip(pools, log_sd, strict=True):
            precision[pool.columns] = np.exp(-2 * t)[:, None]
        prior = Location(target.prior.mean, precision, target.prior.freedom)
        current = replace(current, prior=prior)
        x = climbed(current)
        if x is None:
            return None
        current = replace(current, start=x)
        curvature = current.curvature(x)
        try:
            spread = np.diag(np.linalg.inv(curvature))
        except np.linalg.LinAlgError:
            return None
        for i, pool in enumerate(pools):
            own = np.square(x[pool.columns]) + np.maximum(spread[pool.columns], 0.0)
            log_sd[i] = np.maximum(0.5 * np.log(own.mean(axis=1)), first[i] - _LOWEST)
    known = np.maximum(np.diag(curvature) - current.prior.precision, 1e-12)
    pools = [replace(pool, known=known[pool.columns]) for pool in pools]
    unit, mean = np.ones(p), current.start[:p].copy()
    for pool, t in zip(pools, log_sd, strict=True):
        sd = np.exp(t)[:, None]
        unit[pool.columns] = sd / np.sqrt(1 + sd**2 * pool.known)
    size = p + k + sum(pool.n_parameters for pool in pools)
    precision = np.eye(size) / _UNSURE**2
    precision[: p + k, : p + k] = curved(current, current.start)
    precision[:p, :p] *= unit[:, None] * unit
    middle = np.zeros(size)
    middle[:p], middle[p : p + k] = mean / unit, current.start[p:]
    at = p + k
    for pool, t in zip(pools, log_sd, strict=True):
        middle[at : at + len(t)] = t
        at += pool.n_parameters
    begun = Gaussian.of_precision(middle, precision)
    return None if begun is None else (Pooled(target, pools), begun)
