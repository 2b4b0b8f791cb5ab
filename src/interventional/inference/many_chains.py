"""Hamiltonian Monte Carlo of many short chains at once, for a target whose gradient is cheap.

All chains take the same number of steps of the same size, so that a step is one call for all.
They start at draws of a Gaussian near the target, and move in its coordinates, which are learnt
anew from where the chains are, twice, while they warm up. Trajectories are a quarter of a period
long, give or take; the step is what gives the acceptance that is wanted.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator

from interventional.inference.laplace import Gaussian
from interventional.numbers import Floats

CHAINS = 128
_WARM = 24
_THIN = 2
_ACCEPTED = 0.9
_LARGEST_STEP = 1.6
_LEAST_SIZE = 400.0  # effective draws, and a quarter of those that are asked for
_DRIFT = 6.0  # standard errors between the halves of the chains, beyond which they are on the way


class Density(Protocol):
    """A log density of points, (s, d)."""

    def heights(self, points: Floats) -> Floats:
        """Return it, (s,), up to a constant."""

    def slopes(self, points: Floats) -> Floats:
        """Return its gradients, (s, d)."""


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of many chains.

    Attributes
    ----------
    draws : ndarray of shape (chains, draws, d)
        In the units of the target.
    accepted : float
        The share of trajectories that were accepted.
    effective_size : float
        The least over the coordinates and their squares.
    drift : float
        The greatest difference of a coordinate between the halves of the chains, in its standard
        errors.
    """

    draws: Floats
    accepted: float
    effective_size: float
    drift: float

    @property
    def figures(self) -> dict[str, float]:
        """What is told of them."""
        return {"effective_size": self.effective_size, "acceptance_rate": self.accepted}

    def moved(self, n_draws: int) -> bool:
        """Whether chains moved well enough to stand for so many draws."""
        return self.effective_size > max(n_draws / 4, _LEAST_SIZE) and self.drift < _DRIFT


def run(
    target: Density, near: Gaussian, n_draws: int, rng: Generator, warm: int = _WARM
) -> Chains:
    """Draw from a target.

    Parameters
    ----------
    target : Target
        The posterior.
    near : Gaussian
        What is near to it.
    n_draws : int
        Number of draws of all chains together, at least.
    rng : Generator
        Source of randomness.
    warm : int
        How many trajectories warm up.
    """
    from arviz_stats.base import array_stats

    d = len(near.mean)
    middle, root = near.mean, near.shift(np.eye(d)).T
    z = rng.standard_normal((CHAINS, d))
    keep = -(-n_draws // CHAINS)
    here = _Place.of(target, middle, root, z)
    step, accepted = min(1.0 / d**0.25, _LARGEST_STEP), []
    draws = np.empty((CHAINS, keep, d))
    for turn in range(warm + _THIN * keep):
        if turn in (warm // 3, 2 * warm // 3):
            middle, root = _learnt(middle, root, here.z)
            z = np.linalg.solve(root, (here.x - middle).T).T
            here = _Place.of(target, middle, root, z)
        length = np.pi / 2 * rng.uniform(0.7, 1.3)
        size = step * rng.uniform(0.9, 1.1)
        here, share = _moved(here, size, max(1, int(np.ceil(length / step))), rng)
        if turn < warm:
            by = np.exp(0.6 * (share - _ACCEPTED) * 10 / (10 + turn))
            step = float(np.clip(step * by, 1e-4, _LARGEST_STEP))
        else:
            accepted.append(share)
            kept, beside = divmod(turn - warm, _THIN)
            if beside == _THIN - 1:
                draws[:, kept] = here.x
    both = np.concatenate([draws, np.square(draws - draws.mean(axis=(0, 1)))], axis=2)
    with np.errstate(all="ignore"):
        sizes = array_stats.ess(both, method="mean", chain_axis=0, draw_axis=1)
        drift = _drift(both, sizes)
    least = float(sizes.min()) if np.isfinite(sizes).all() else 0.0
    return Chains(draws, float(np.mean(accepted)), least, drift)


def _drift(values: Floats, sizes: Floats) -> float:
    """Return the greatest difference between halves, in standard errors."""
    middle = values.shape[1] // 2
    if not middle:
        return 0.0
    gap = values[:, :middle].mean(axis=(0, 1)) - values[:, middle:].mean(axis=(0, 1))
    worst = np.abs(gap) / (values.std(axis=(0, 1)) * np.sqrt(4 / sizes))
    return float(np.max(worst)) if np.isfinite(worst).all() else np.inf


@dataclass(frozen=True, eq=False)
class _Place:
    """Where the chains are, x = middle + root z, with height there, and slope by z."""

    target: Density
    middle: Floats
    root: Floats
    z: Floats
    height: Floats
    slope: Floats

    @property
    def x(self) -> Floats:
        return self.middle + self.z @ self.root.T

    @classmethod
    def of(cls, target: Density, middle: Floats, root: Floats, z: Floats) -> "_Place":
        x = middle + z @ root.T
        return cls(target, middle, root, z, target.heights(x), _slope(target, x, root))


def _slope(target: Density, x: Floats, root: Floats) -> Floats:
    slope = target.slopes(x)
    return np.where(np.isfinite(slope), slope, 0.0) @ root


def _moved(here: _Place, size: float, steps: int, rng: Generator) -> tuple[_Place, float]:
    """Return where a trajectory of each chain leads, and the share of those that were accepted."""
    momentum = rng.standard_normal(here.z.shape)
    before = here.height - 0.5 * np.square(momentum).sum(axis=1)
    z, slope = here.z, here.slope
    momentum = momentum + 0.5 * size * slope
    for k in range(steps):
        z = z + size * momentum
        x = here.middle + z @ here.root.T
        slope = _slope(here.target, x, here.root)
        momentum = momentum + (size if k < steps - 1 else 0.5 * size) * slope
    height = here.target.heights(x)
    with np.errstate(over="ignore", invalid="ignore"):
        gain = height - 0.5 * np.square(momentum).sum(axis=1) - before
    chance = np.exp(np.minimum(np.where(np.isnan(gain), -np.inf, gain), 0.0))
    taken = rng.uniform(size=len(z)) < chance
    column = taken[:, None]
    place = _Place(
        here.target,
        here.middle,
        here.root,
        np.where(column, z, here.z),
        np.where(taken, height, here.height),
        np.where(column, slope, here.slope),
    )
    return place, float(chance.mean())


def _learnt(middle: Floats, root: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Return coordinates in which the chains are standard, drawn towards those that they have."""
    chains, d = z.shape
    mean = z.mean(axis=0)
    share = chains / (chains + 2 * d)
    covariance = share * np.cov(z.T).reshape(d, d) + (1 - share) * np.eye(d)
    return middle + root @ mean, root @ np.linalg.cholesky(covariance)
