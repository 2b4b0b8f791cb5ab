"""The posterior of two scales on grids, and draws from it: sigma, and tau over sigma.

One is the noise, the other the spread of coefficients that share a prior. The density is smooth in
their logs, with features of width of order 1, except for edges of priors: grids zoom in on its
mass, and distribution functions are integrated and inverted on them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_simpson, cumulative_trapezoid

from interventional.data.seen import SufficientStatistics
from interventional.errors import UndeterminedError, listed
from interventional.inference.exact import REACH, LogDensity, edges, refuse_ends
from interventional.numbers import Floats

DROP = 32.0  # what has e^-32 of the peak's density holds no draw
_COARSE = 33  # points of a grid that only looks for the mass
_RATIOS, _SIGMAS = 257, 129  # those of the last grids


@dataclass(frozen=True)
class Scale:
    """The prior of a scale as a function of its log.

    Attributes
    ----------
    log_prior : callable
        Log density of the scale, at logs of it.
    likely : float
        Log of a value that the prior allows.
    low, high : float
        The ends of the log's support, infinite where the prior has no edge.
    """

    log_prior: LogDensity
    likely: float
    low: float
    high: float

    @classmethod
    def of(cls, log_prior: LogDensity, likely: float) -> "Scale":
        """Find the edges of a prior."""

        def at_log(t: Floats) -> Floats:
            with np.errstate(over="ignore", invalid="ignore"):  # far out in the tails
                values = np.asarray(log_prior(np.exp(t)))
            return np.where(np.isnan(values), -np.inf, values)

        inside = float(np.log(likely))
        t = inside + np.linspace(-2 * REACH, 2 * REACH, 1025)  # `inside` is among them
        values = at_log(t)
        if not np.isfinite(values).any():
            return cls(at_log, inside, np.inf, -np.inf)
        low, high = edges(at_log, t, values)
        low, high = -np.inf if low == t[0] else low, np.inf if high == t[-1] else high
        return cls(at_log, inside, low, high)

    def log_density(self, t: Floats) -> Floats:
        """Return the density of the log; what is beyond an edge is there by rounding."""
        t = np.clip(t, self.low, self.high)
        return self.log_prior(t.ravel()).reshape(t.shape) + t


@dataclass(frozen=True)
class Tables:
    """Densities on grids, one a row, each as a distribution function.

    Attributes
    ----------
    points, density, below : ndarray of shape (n, m)
        Grid, density, and distribution function.
    log_mass : ndarray of shape (n,)
        Log of the integral of what was not normalised.
    """

    points: Floats
    density: Floats
    below: Floats
    log_mass: Floats

    @classmethod
    def of(cls, points: Floats, values: Floats) -> "Tables":
        """Integrate log densities."""
        peak = values.max(axis=1, keepdims=True)
        steps = np.diff(points)
        void = np.isneginf(peak) | (steps.min(axis=1, keepdims=True) <= 0)
        density = np.where(void, 1.0, np.exp(values - np.where(void, 0.0, peak)))
        x = np.where(void, np.arange(points.shape[1]), points)
        below = np.maximum.accumulate(
            cumulative_simpson(density, x=x, axis=1, initial=0.0), axis=1
        )
        mass = below[:, -1:]
        log_mass = np.where(void, -np.inf, peak + np.log(mass))
        return cls(points, density / mass, below / mass, log_mass[:, 0])

    def quantiles(self, row: NDArray[np.intp], uniform: Floats) -> Floats:
        """Invert the distribution function of a row at each of some numbers.

        Between points it is the cubic with the right values and slopes.
        """
        n, m = self.points.shape
        ordered = (self.below + np.arange(n)[:, None]).ravel()
        at = np.searchsorted(ordered, uniform + row, side="right") - 1
        at = np.clip(at, row * m, row * m + m - 2)
        points, density, below = (
            array.ravel() for array in (self.points, self.density, self.below)
        )
        width, mass = points[at + 1] - points[at], below[at + 1] - below[at]
        mass = np.maximum(mass, 1e-100)
        y = np.clip((uniform - below[at]) / mass, 0.0, 1.0)
        # A slope of more than 3 would let the cubic fall; there are none where there is mass.
        first, last = (np.minimum(density[at + k] * width / mass, 3.0) for k in (0, 1))
        root = np.sqrt(np.square(first) * (1 - y) + np.square(last) * y)
        x = np.minimum(y * (first + last) / np.maximum(first + root, 1e-100), 1.0)  # linear
        for _ in range(3):  # Newton's steps to the cubic
            bend, twist = 3 - 2 * first - last, first + last - 2
            over = x * (first + x * (bend + x * twist)) - y
            slope = first + x * (2 * bend + 3 * x * twist)
            x = np.clip(x - over / np.maximum(slope, 1e-3), 0.0, 1.0)
        return points[at] + x * width


@dataclass(frozen=True)
class Scales:
    """The posterior of sigma and tau.

    Attributes
    ----------
    log_marginal : callable
        Log density of the data: log ratios of tau to sigma, (n,), to a function of log sigmas,
        (n, m).
    log_scale : float
        Log of the size of the outcome.
    size : float
        Size of the group's columns; 0 if they are nothing.
    of_sigma, of_tau : Scale
        Their priors.
    """

    log_marginal: Callable[[Floats], Callable[[Floats], Floats]]
    log_scale: float
    size: float
    of_sigma: Scale
    of_tau: Scale

    def draw(self, uniform: Floats, statistics: SufficientStatistics, names: list[str]) -> Floats:
        """Return sigma and tau, (2, draws), as quantiles at numbers of that shape.

        The ratio of the two is drawn from its marginal; then sigma given the ratio, between the
        quantiles at the two nearest of the grid.
        """
        sigma, tau = self.of_sigma, self.of_tau
        likely = tau.likely - sigma.likely
        middle = -float(np.log(self.size)) if self.size > 0 else likely
        first, last = min(middle, likely) - REACH, max(middle, likely) + REACH
        low, high = max(first, tau.low - sigma.high), min(last, tau.high - sigma.low)
        looked, log_mass = zoom(
            lambda ratio: self._given(ratio[0], _COARSE)[0].log_mass[None],
            np.array([[low]]),
            np.array([[max(low, high)]]),
            np.array([[likely]]),
            _SIGMAS,
        )
        if not np.isfinite(log_mass).any():
            raise ValueError("the priors of sigma and tau exclude every value that the data allow")
        ratios = _even_out(looked[0], log_mass[0])
        tables, reaches = self._given(ratios, _SIGMAS)
        held = tables.log_mass > tables.log_mass.max() - DROP
        ends = held[[0, -1]] & (ratios[[0, -1]] == [first, last])
        # Where log sigma is at these two ratios, beside the outcome's scale.
        away = tables.points[[0, -1]].mean(axis=1) - self.log_scale
        to_zero, without_bounds = reaches[:, held].any(axis=1)
        to_zero |= any(ends & (away < -REACH / 2))
        without_bounds |= any(ends & (away > REACH / 2))
        refuse_ends(statistics.constant, to_zero, without_bounds)
        _refuse_ratios(ends, names)
        marginal = Tables.of(ratios[None], tables.log_mass[None])
        ratio = marginal.quantiles(np.zeros(uniform.shape[1], dtype=np.intp), uniform[0])
        row = np.clip(np.searchsorted(ratios, ratio) - 1, 0, len(ratios) - 2)
        share = (ratio - ratios[row]) / (ratios[row + 1] - ratios[row])
        before, after = (tables.quantiles(row + k, uniform[1]) for k in (0, 1))
        t = np.clip((1 - share) * before + share * after, sigma.low, sigma.high)
        return np.exp([t, np.clip(t + ratio, tau.low, tau.high)])

    def _given(self, ratio: Floats, points: int) -> tuple[Tables, NDArray[np.bool_]]:
        """Return the posterior of log sigma given log ratios, and whether it reaches too far.

        The log of tau is that of sigma and the ratio's, so that an edge of its prior is one of
        sigma's too.
        """
        sigma, tau, center = self.of_sigma, self.of_tau, self.log_scale
        log_marginal = self.log_marginal(ratio)
        ratio = ratio[:, None]

        def log_density(t: Floats) -> Floats:
            return sigma.log_density(t) + tau.log_density(t + ratio) + log_marginal(t)

        first, last = center - REACH, center + REACH
        low = np.maximum(max(first, sigma.low), tau.low - ratio)
        high = np.minimum(min(last, sigma.high), tau.high - ratio)
        likely = np.concatenate([np.full_like(ratio, sigma.likely), tau.likely - ratio], axis=1)
        t, values = zoom(log_density, low, np.maximum(low, high), likely, points)
        held = values > values.max(axis=1, keepdims=True) - DROP
        reaches = held[:, [0, -1]] & (t[:, [0, -1]] == [first, last])
        values[high[:, 0] <= low[:, 0]] = -np.inf
        return Tables.of(t, values), reaches.T


def zoom(
    log_density: LogDensity, low: Floats, high: Floats, inside: Floats, points: int
) -> tuple[Floats, Floats]:
    """Return grids, one a row, over what of a density holds mass, and the log density there.

    The features of a density have width of order 1, or are the peak that the zoom ends on. What
    is narrower than the steps of the first grid is found by the points `inside`, (n, s).
    """
    grid = np.linspace(0, 1, _COARSE)
    for _ in range(60):
        t = np.concatenate([low * (1 - grid) + high * grid, np.clip(inside, low, high)], axis=1)
        t.sort(axis=1)
        values = log_density(t)
        held = values > values.max(axis=1, keepdims=True) - DROP
        last_point = t.shape[1] - 1
        first = np.maximum(held.argmax(axis=1) - 1, 0)[:, None]
        last = np.minimum(last_point + 1 - held[:, ::-1].argmax(axis=1), last_point)[:, None]
        low, high = (np.take_along_axis(t, end, axis=1) for end in (first, last))
        if np.all(last - first >= last_point // 2):
            break
    grid = np.linspace(0, 1, points)
    t = low * (1 - grid) + high * grid
    return t, log_density(t)


def _even_out(points: Floats, log_density: Floats) -> Floats:
    """Return points that are dense where there is mass, and nowhere sparse."""
    weight = np.exp(0.5 * (log_density - log_density.max()))
    total = cumulative_trapezoid(weight, points)[-1]
    weight += 0.25 * total / (points[-1] - points[0])
    below = cumulative_trapezoid(weight, points, initial=0.0)
    return np.interp(np.linspace(0, below[-1], _RATIOS), below, points)


def _refuse_ratios(ends: NDArray[np.bool_], names: list[str]) -> None:
    """Refuse a posterior with mass at the least or at the greatest ratio of tau to sigma.

    `names` are the terms of the group.
    """
    if not ends.any():
        return
    why = "lets it go to 0, so that the posterior is improper"
    if not ends[0]:
        why = "is too flat for what the data tell of them: its posterior is improper"
    raise UndeterminedError(
        f"the prior of the scale of the coefficients of {listed(names)} {why}; give a proper "
        "prior, such as Prior('HalfNormal', sigma=1)"
    )
