r"""Gaussian equations some of whose coefficients have priors that bound.

Given sigma the coefficients are Gaussian within a box. So two kinds of moves alternate, in many
chains at once: an exact Hamiltonian one of all coefficients given sigma (`truncated`), and one of
sigma given the residual sum of squares (`slices`). Neither has an error, nor anything to tune, but
draws of one chain depend on each other. How many independent ones they are worth is measured, and
chains are thinned until it is most of them.

With the design A, the outcome u and rows K, h of all Gaussian factors of priors, the precision of
the coefficients is :math:`A'A/\sigma^2 + K'K`. By a QR decomposition of both at a typical sigma,
:math:`(A/\sigma_0; K) = Q S`, and a singular value decomposition of :math:`A S^{-1}/\sigma_0`
there are coordinates :math:`\theta = W y` in which it is diagonal for every sigma.

The power of a Gamma prior is no Gaussian. But :math:`a \log x` less its expansion of second order
around any :math:`x_0` increases. So, given a number below its height, drawn for each move, it is
a bound like others (Damien, Wakefield and Walker 1999, "Gibbs sampling for Bayesian non-conjugate
and hierarchical models by using auxiliary variables", Journal of the Royal Statistical Society B
61:331). So is what is left of a flat prior within bounds, where the data say little of a
coefficient and it was lent a precision.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from interventional.data.seen import SufficientStatistics
from interventional.inference import slices, truncated
from interventional.inference.exact import REACH, LogDensity, by_name, design_rows, normal_priors
from interventional.inference.short_chains import Layout, effective_share
from interventional.numbers import Floats
from interventional.scm.bounds import Bounds
from interventional.scm.equations import Equation

_WARM_UP = 16
_ENOUGH = 0.5  # of the draws, that chains need be worth, else they are thinned
_ROUNDS, _WIDEST = 3, 64  # of thinning, and how many moves there are at most between two draws
_LENT = 0.1  # of the precision that a prior's bounds are worth, where the data say little
_WEAK = 0.5  # of the information on any direction, that a precision not lent may hold


def draw(
    equation: Equation,
    statistics: SufficientStatistics,
    log_prior_sigma: LogDensity,
    likely_sigma: float,
    layout: Layout,
    rng: Generator,
) -> tuple[dict[str, Floats], float]:
    """Draw from the posterior.

    Parameters
    ----------
    equation : Equation
        The equation; its priors are conjugate, or bound (`EquationPriors.conjugacy_obstacle`).
    statistics : SufficientStatistics
        What the likelihood sees.
    log_prior_sigma : callable
        Log density of the prior of sigma at an array of sigmas.
    likely_sigma : float
        A sigma that its prior allows.
    layout : Layout
        How many chains of how many draws.
    rng : Generator
        Source of randomness.

    Returns
    -------
    parameters : dict
        ``beta`` (n_draws, p), ``sigma`` (n_draws,) and, where the equation has one, ``intercept``
        at the means of the predictors (n_draws,).
    share : float
        What share of the draws the least known of them is worth.
    """
    model = _Model.of(equation, statistics, log_prior_sigma, likely_sigma)
    y, t = model.start(layout.chains, rng)
    for _ in range(_WARM_UP):
        y, t = model.step(y, t, rng)
    gap = 1
    for _ in range(_ROUNDS):
        kept = []
        for _ in range(layout.length):
            for _ in range(gap):
                y, t = model.step(y, t, rng)
            kept.append(np.column_stack([model.coefficients(y), t]))
        draws = np.stack(kept, axis=1)
        share = effective_share(draws if model.fixed is None else draws[..., :-1])
        if share > _ENOUGH or gap == _WIDEST:
            break
        gap = int(np.clip(np.ceil(1.2 * _ENOUGH * gap / max(share, 0.01)), gap + 1, _WIDEST))
    drawn = layout.flat(draws)
    _, _, shift = design_rows(equation, statistics)
    return {**by_name(drawn[:, :-1], shift), "sigma": np.exp(drawn[:, -1])}, share


@dataclass(frozen=True)
class _Tilts:
    """Factors of priors that are taken as bounds: see the module.

    Attributes
    ----------
    bounds : Bounds
        The priors.
    anchor : ndarray of shape (p,)
        Where powers are expanded.
    weak : ndarray of shape (p,)
        Precisions around lower bounds that the Gaussian has, and the prior has not.
    """

    bounds: Bounds
    anchor: Floats
    weak: Floats

    def box(self, theta: Floats, rng: Generator) -> tuple[Floats, Floats]:
        """Return lower and upper bounds of coefficients, (chains, p), given where they are."""
        lower, upper = (
            np.tile(b, (len(theta), 1)) for b in (self.bounds.lower, self.bounds.upper)
        )
        power, weak = self.bounds.power, self.weak
        if (at := np.flatnonzero(weak)).size:
            squares = np.square(theta[:, at] - lower[:, at])
            squares -= 2 / weak[at] * rng.exponential(size=squares.shape)
            lower[:, at] += np.sqrt(np.maximum(squares, 0.0))
        if (at := np.flatnonzero(power > 0)).size:
            ratio = theta[:, at] / self.anchor[at]
            with np.errstate(divide="ignore"):
                height = _rise(ratio) - rng.exponential(size=ratio.shape) / power[at]
            floor = self.anchor[at] * _inverse_rise(height, ratio)
            lower[:, at] = np.maximum(lower[:, at], floor)
        return lower, upper


def _rise(ratio: Floats) -> Floats:
    """Return the log less its expansion of second order around 1, which increases."""
    away = ratio - 1
    return np.log(ratio) - away + 0.5 * np.square(away)


def _inverse_rise(height: Floats, above: Floats) -> Floats:
    """Return ratios of some heights, which are below other ratios, by bisection of logs."""
    high = np.log(np.maximum(above, 1e-300))
    low = np.maximum(np.minimum(height - 1.5, high), -690.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        lies_above = _rise(np.exp(middle)) > height
        low, high = np.where(lies_above, low, middle), np.where(lies_above, middle, high)
    return np.exp(low)


@dataclass(frozen=True)
class _Model:
    """An equation in the coordinates of the module's text.

    Attributes
    ----------
    tilts : _Tilts
        The priors that bound.
    weight, rss : float
        Number of observations, and squares of the outcome outside of the design.
    u : ndarray of shape (k,)
        The outcome.
    w : ndarray of shape (p, p)
        From coordinates to coefficients.
    back : ndarray of shape (p, p)
        From coefficients to coordinates.
    turn : ndarray of shape (p, p)
        An orthogonal matrix that makes noise the same whatever the signs of coordinates.
    fitted : ndarray of shape (k, p)
        From coordinates to what is expected of the outcome.
    of_rows, of_priors : ndarray of shape (p,)
        Precisions of coordinates: of the rows where sigma is 1, and of the priors.
    pull_rows, pull_priors : ndarray of shape (p,)
        Precision times mean, likewise.
    mode : ndarray of shape (p,)
        Where coefficients start.
    sigma : float
        The typical sigma.
    fixed : float or None
        The number that sigma is fixed at.
    log_prior : callable
        Log density of the prior of log sigma, at log sigma.
    """

    tilts: _Tilts
    weight: float
    rss: float
    u: Floats
    w: Floats
    back: Floats
    turn: Floats
    fitted: Floats
    of_rows: Floats
    of_priors: Floats
    pull_rows: Floats
    pull_priors: Floats
    mode: Floats
    sigma: float
    fixed: float | None
    log_prior: Callable[[Floats], Floats]

    @classmethod
    def of(
        cls,
        equation: Equation,
        statistics: SufficientStatistics,
        log_prior_sigma: LogDensity,
        likely_sigma: float,
    ) -> "_Model":
        """Read the priors of an equation, and what it saw."""
        a, u, _ = design_rows(equation, statistics)
        rows, target, bounds = _prior_rows(equation)
        fixed = equation.priors.fixed_sigma
        weight, rss = statistics.weight, statistics.rss

        def log_prior(t: Floats) -> Floats:
            return log_prior_sigma(np.exp(t)) + t

        def typical(squares: float) -> float:
            if fixed is not None:
                return fixed
            t = np.append(np.linspace(-REACH, REACH, 1025), np.log(likely_sigma))
            t = np.append(t, 0.5 * np.log(max(squares, 1e-300) / weight))
            with np.errstate(over="ignore", divide="ignore"):
                height = log_prior(t) - weight * t - 0.5 * squares * np.exp(-2 * t)
            return float(np.exp(t[np.argmax(height)]))

        # The mode, by turns of the coefficients, of sigma and of where powers are expanded.
        center = statistics.moments.y_scale
        sigma = typical(max(weight, 1.0) * center**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            anchor = np.where(bounds.power > 0, (bounds.power + 1) / bounds.rate, 1.0)
        candidates = np.where(np.isfinite(bounds.size), _LENT * bounds.size**-2.0, 0.0)
        spare = max(weight - len(a.T), weight / 3)
        for _ in range(6):
            tilts = _Tilts(bounds, anchor, candidates)
            mode = _mode(a / sigma, u / sigma, rows, target, tilts)
            step = np.clip(mode / anchor, 1 / 3, 3.0)
            anchor = np.where(bounds.power > 0, anchor * step, 1.0)
            squares = rss + float(np.square(u - a @ mode).sum())
            sigma = typical(squares * weight / spare)
        # At the mode the tangent of a power is steeper than where most of the coefficient is.
        for _ in range(2):
            spread = np.linalg.norm(np.linalg.inv(_root(a / sigma, rows, tilts)), axis=1)
            anchor = np.where(bounds.power > 0, mode + spread, 1.0)
            tilts = _Tilts(bounds, anchor, candidates)
        tilts = _Tilts(bounds, anchor, _weak(a / sigma, rows, tilts))
        every, goal = _with_tilts(rows, target, tilts)
        s = _root(a / sigma, rows, tilts)
        back = np.linalg.inv(s)
        _, _, vt = np.linalg.svd(a @ back, full_matrices=True)
        w = back @ vt.T
        fitted, of_priors = a @ w, every @ w
        return cls(
            tilts,
            weight,
            rss,
            u,
            w,
            vt @ s,
            vt,
            fitted,
            np.square(fitted).sum(axis=0),
            np.square(of_priors).sum(axis=0),
            fitted.T @ u,
            of_priors.T @ goal - w.T @ bounds.rate,
            mode,
            sigma,
            fixed,
            log_prior,
        )

    def coefficients(self, y: Floats) -> Floats:
        """Return coefficients, (chains, p), inside of their bounds to the last digit."""
        bounds = self.tilts.bounds
        return np.clip(y @ self.w.T, bounds.lower, bounds.upper)

    def start(self, chains: int, rng: Generator) -> tuple[Floats, Floats]:
        """Return where chains start: around the mode, coordinates and log sigma."""
        bounds = self.tilts.bounds
        noise = 0.5 * rng.standard_normal((chains, len(self.mode))) @ self.turn.T @ self.w.T
        spread = np.linalg.norm(self.w, axis=1)
        room = np.minimum(1e-3 * spread, 0.01 * (bounds.upper - bounds.lower))
        low, high = bounds.lower + room, bounds.upper - room
        theta = self.mode + noise
        theta = np.where(theta < low, 2 * low - theta, theta)
        theta = np.where(theta > high, 2 * high - theta, theta)
        theta = np.clip(theta, low, high)
        return theta @ self.back.T, np.full(chains, np.log(self.sigma))

    def step(self, y: Floats, t: Floats, rng: Generator) -> tuple[Floats, Floats]:
        """Return where chains are after one move of each kind."""
        if self.fixed is None:
            t = self._sigma(y, t, rng)
        return self._coefficients(y, t, rng), t

    def _sigma(self, y: Floats, t: Floats, rng: Generator) -> Floats:
        squares = self.rss + np.square(self.u - y @ self.fitted.T).sum(axis=1)

        def log_density(t: Floats, chains: NDArray[np.intp]) -> Floats:
            with np.errstate(over="ignore", invalid="ignore"):
                fit = -self.weight * t - 0.5 * squares[chains] * np.exp(-2 * t)
                return np.where(np.abs(t) < 2 * REACH, fit + self.log_prior(t), -np.inf)

        return slices.step(log_density, t, 3 / np.sqrt(2 * max(self.weight, 0.5)), rng)

    def _coefficients(self, y: Floats, t: Floats, rng: Generator) -> Floats:
        of_rows = np.exp(-2 * t)[:, None]
        precision = of_rows * self.of_rows + self.of_priors
        mean = (of_rows * self.pull_rows + self.pull_priors) / precision
        scale = 1 / np.sqrt(precision)
        lower, upper = self.tilts.box(self.coefficients(y), rng)
        center = mean @ self.w.T
        bounds = self.tilts.bounds
        at_low, at_high = (np.flatnonzero(np.isfinite(b)) for b in (bounds.lower, bounds.upper))
        normals = np.concatenate([self.w[at_low], -self.w[at_high]])
        offset = np.hstack([(center - lower)[:, at_low], (upper - center)[:, at_high]])
        walls = truncated.Walls(normals, scale, offset)
        velocity = rng.standard_normal(y.shape) @ self.turn.T
        z, _ = truncated.move((y - mean) / scale, velocity, walls)
        return mean + scale * z


def _prior_rows(equation: Equation) -> tuple[Floats, Floats, Bounds]:
    """Return rows K and h of the Gaussian factors of priors, and what else these are."""
    normal, m, s = normal_priors(equation)
    size, at = len(normal), np.flatnonzero(normal)
    root = np.diag(s) if s.ndim == 1 else s
    rows = np.zeros((len(at), size))
    rows[:, at] = np.linalg.inv(root[np.ix_(at, at)])
    target = rows @ m
    found = Bounds.none(size)
    ones = equation.has_intercept
    parts = [(np.asarray(g.terms, dtype=np.intp) + ones, g.prior) for g in equation.priors.groups]
    if equation.priors.intercept is not None:
        parts.append((np.zeros(1, dtype=np.intp), equation.priors.intercept))
    for terms, prior in parts:
        if prior.bounds:
            own = Bounds.of(prior.distribution, prior.parameters, len(terms))
            for name in vars(found):
                getattr(found, name)[terms] = getattr(own, name)
    held = np.flatnonzero(found.precision)
    beside = np.sqrt(found.precision[held])[:, None] * np.eye(size)[held]
    return np.concatenate([rows, beside]), np.concatenate([target, beside @ found.mean]), found


def _with_tilts(rows: Floats, target: Floats, tilts: _Tilts) -> tuple[Floats, Floats]:
    """Return rows and target with those of tangents of powers, and of weak precisions."""
    power, low = np.maximum(tilts.bounds.power, 0.0), tilts.bounds.lower
    tangent, weak = np.sqrt(power) / tilts.anchor, np.sqrt(tilts.weak)
    by, to = (np.flatnonzero(v) for v in (tangent, weak))
    one = np.eye(len(power))
    return (
        np.concatenate([rows, tangent[by, None] * one[by], weak[to, None] * one[to]]),
        np.concatenate([target, 2 * np.sqrt(power[by]), weak[to] * low[to]]),
    )


def _mode(a: Floats, u: Floats, rows: Floats, target: Floats, tilts: _Tilts) -> Floats:
    """Return the mode within the box, the tilts left out."""
    from scipy.optimize import lsq_linear

    every, goal = _with_tilts(rows, target, tilts)
    s = np.linalg.qr(np.concatenate([a, every]), mode="r")
    pull = a.T @ u + every.T @ goal - tilts.bounds.rate
    size = np.linalg.norm(s, axis=0)
    scaled = s / size
    found = lsq_linear(
        scaled,
        np.linalg.solve(scaled.T, pull / size),
        (tilts.bounds.lower * size, tilts.bounds.upper * size),
    )
    return found.x / size


def _root(a: Floats, rows: Floats, tilts: _Tilts) -> Floats:
    """Return a triangular root of the precision of coefficients, the box left out."""
    every, _ = _with_tilts(rows, np.zeros(len(rows)), tilts)
    return np.linalg.qr(np.concatenate([a, every]), mode="r")


def _weak(a: Floats, rows: Floats, tilts: _Tilts) -> Floats:
    """Return the candidates of weak precisions without those that the data need not.

    What is left out holds in sum less than half of the information on any direction.
    """
    s = _root(a, rows, tilts)
    size = np.linalg.norm(s, axis=0)
    inverse = np.linalg.inv(s / size) / size[:, None]
    share = np.square(inverse).sum(axis=1) * tilts.weak
    order = np.argsort(share)
    spare = order[np.cumsum(share[order]) < _WEAK]
    weak = tilts.weak.copy()
    weak[spare] = 0.0
    return weak
