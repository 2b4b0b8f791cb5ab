"""Draws from a density in a few dimensions by adaptive importance sampling.

The proposal is learnt in rounds, each from the weighted draws of the one before: a mixture of two
Student t's in coordinates that a warp of two slopes makes nearly symmetric. Weights are smoothed
by a Pareto distribution, whose shape k says whether they can be trusted (Vehtari, Simpson,
Gelman, Yao and Gabry 2024, Journal of Machine Learning Research 25(72)); draws are then taken in
proportion to them, so that all that leave here weigh the same.

Nothing here knows what the density is of. Who calls `sample` hands `Sampled.trouble` on as one of
`Posterior.troubles`, of which `diagnostics.warn` warns once a fit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import gammaln

from interventional.numbers import Floats

LogDensity = Callable[[Floats], Floats]

K_HAT = 0.7  # above which Pareto's shape casts doubt on weights
LARGEST_WEIGHT = 0.01  # but not alone: it cries wolf where no weight is large
EFFECTIVE_SIZE = 400.0  # and there is as much as four chains of 100 draws each
_MOST = 40_000  # proposals of the last round, unless more draws are asked for than half of them
_LEAST = 4_000  # proposals of the last round
_ROUNDS = (1_000, 1_000, 2_000, 4_000, 4_000, 4_000)  # proposals to learn from
_FEWEST_ROUNDS = 3
_GOOD = (
    0.4  # share of proposals that the effective size is, from which on there is little to learn
)
_CHANCE = 4.0  # over the root of the effective size: what the log of the slopes' ratio may err by
_SKEWS = (-np.log(4), np.log(4))  # of that log
_BEND = 1.5  # of the warp: how fast one slope becomes the other


@dataclass(frozen=True, eq=False)
class Sampled:
    """Equally weighted draws, and how good the weights were that they were taken by.

    Attributes
    ----------
    draws : ndarray of shape (n_draws, d)
        Some of them may be the same.
    effective_size : float
        How many independent draws tell as much as the weighted ones did.
    k_hat : float
        Shape of the Pareto distribution of the largest weights; infinite where these are too few
        for one.
    largest_weight : float
        Of weights that sum to one.
    """

    draws: Floats
    effective_size: float
    k_hat: float
    largest_weight: float

    @property
    def trouble(self) -> str | None:
        """Why the draws cannot be trusted, in words and numbers; None if they can."""
        return _trouble(self.effective_size, self.k_hat, self.largest_weight)


def sample(
    log_density: LogDensity,
    mode: Floats,
    covariance: Floats,
    n_draws: int,
    rng: Generator,
) -> Sampled:
    """Draw from a density.

    Parameters
    ----------
    log_density : callable
        From points, (S, d), to logs of the density there up to a constant, (S,); -inf where there
        is none. What is not a number counts as -inf.
    mode : ndarray of shape (d,)
        Where the density is high.
    covariance : ndarray of shape (d, d)
        A guess of the covariance; rather too wide than too narrow.
    n_draws : int
        Number of draws.
    rng : Generator
        Source of randomness.

    Returns
    -------
    Sampled

    Examples
    --------
    >>> import numpy as np
    >>> normal = lambda x: -0.5 * np.square(x[:, 0] - 3)
    >>> rng = np.random.default_rng(0)
    >>> sampled = sample(normal, np.array([3.0]), np.eye(1), 1000, rng)
    >>> sampled.draws.shape, bool(abs(sampled.draws.mean() - 3) < 0.2), sampled.trouble
    ((1000, 1), True, None)
    """
    freedom = 10.0 if len(mode) > 11 else 6.0
    proposal = _Proposal.pilot(mode, covariance)
    for k, n in enumerate(_ROUNDS):
        x, log_weights = proposal.weighed(log_density, n, rng)
        log_weights, _ = smoothed(log_weights)
        proposal = _Proposal.learnt(x, log_weights, freedom)
        if k >= _FEWEST_ROUNDS - 1 and effective_size(log_weights) > _GOOD * n:
            break
    n = max(_LEAST, 3 * n_draws // 2)
    for last in (False, True):
        x, raw = proposal.weighed(log_density, n, rng)
        log_weights, k_hat = smoothed(raw)
        while effective_size(log_weights) < n_draws / 2 and len(x) + n <= max(_MOST, 2 * n):
            more, raw_more = proposal.weighed(log_density, n, rng)
            x, raw = np.concatenate([x, more]), np.concatenate([raw, raw_more])
            log_weights, k_hat = smoothed(raw)
        weights = _normalised(log_weights)
        size, largest = effective_size(log_weights), float(weights.max())
        if last or _trouble(size, k_hat, largest) is None:
            break
        proposal = _Proposal.learnt(x, log_weights, freedom)
    return Sampled(resampled(x, log_weights, n_draws, rng), size, k_hat, largest)


def resampled(x: Floats, log_weights: Floats, n_draws: int, rng: Generator) -> Floats:
    """Return points in proportion to their weights, by systematic resampling, in no order."""
    at = (rng.uniform() + np.arange(n_draws)) / n_draws
    below = np.cumsum(_normalised(log_weights))
    taken = np.minimum(np.searchsorted(below, at, side="right"), len(x) - 1)
    return np.asarray(x[rng.permutation(taken)])


def effective_size(log_weights: Floats) -> float:
    """Return how many equally weighted draws are worth as much (Kish)."""
    return 1 / float(np.square(_normalised(log_weights)).sum())


def smoothed(log_weights: Floats) -> tuple[Floats, float]:
    """Smooth the largest weights by a Pareto distribution.

    Parameters
    ----------
    log_weights : ndarray of shape (n,)
        Logs of weights, -inf among them.

    Returns
    -------
    log_weights : ndarray of shape (n,)
        The largest are in their places quantiles of a generalised Pareto distribution, and none
        is larger than the largest was, which is 0.
    k_hat : float
        The distribution's shape.
    """
    log_weights = log_weights - log_weights.max()
    n = len(log_weights)
    n_tail = int(np.ceil(min(0.2 * n, 3 * np.sqrt(n))))
    order = np.argsort(log_weights, kind="stable")
    cut, tail = log_weights[order[-n_tail - 1]], order[-n_tail:]
    over = np.exp(log_weights[tail]) - np.exp(cut)
    if not np.isfinite(cut):
        return log_weights, np.inf
    if over[0] <= 0 or over[-1] <= over[0] * (1 + 1e-9):  # many are the same: there is no tail
        return log_weights, -np.inf if over[-1] <= np.exp(cut) * 1e-9 else np.inf
    shape, scale = _pareto(over)
    below = (np.arange(n_tail) + 0.5) / n_tail
    quantiles = -np.log1p(-below)
    if abs(shape) > 1e-12:
        quantiles = np.expm1(shape * quantiles) / shape
    log_weights[tail] = np.minimum(np.log(scale * quantiles + np.exp(cut)), 0.0)
    return log_weights, shape


def _pareto(x: Floats) -> tuple[float, float]:
    """Fit a generalised Pareto distribution to sorted positive numbers; its shape and scale.

    The estimate is that of Zhang and Stephens (2009), Technometrics 51(3), the shape drawn to
    one half as if by ten more numbers.
    """
    n = len(x)
    m = 30 + int(np.sqrt(n))
    b = 1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))
    b = b / (3 * x[int(n / 4 + 0.5) - 1]) + 1 / x[-1]
    shapes = np.log1p(-b[:, None] * x).mean(axis=1)
    fits = n * (np.log(-b / shapes) - shapes - 1)
    best = float(_normalised(fits) @ b)
    shape = float(np.log1p(-best * x).mean())
    scale = -shape / best
    return (n * shape + 5) / (n + 10), scale


def _normalised(log_weights: Floats) -> Floats:
    """Return weights that sum to one."""
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def _trouble(size: float, k_hat: float, largest: float) -> str | None:
    """Say what is wrong with weights."""
    poor = largest > LARGEST_WEIGHT or size < EFFECTIVE_SIZE
    if not (k_hat > K_HAT and poor):
        return None
    return (
        f"Pareto k of the importance weights {k_hat:.2f} (should be below {K_HAT}), the largest "
        f"of them {largest:.1%} of their sum, effective sample size {size:.0f} (should be "
        f"{EFFECTIVE_SIZE:.0f})"
    )


@dataclass(frozen=True, eq=False)
class _Student:
    """A Student t distribution by its mean, the Cholesky factor of its scale, and freedom."""

    mean: Floats
    root: Floats
    freedom: float

    def draw(self, n: int, rng: Generator) -> Floats:
        """Draw points, (n, d)."""
        noise = rng.standard_normal((n, len(self.mean))) @ self.root.T
        return self.mean + noise / np.sqrt(rng.chisquare(self.freedom, n) / self.freedom)[:, None]

    def log_density(self, x: Floats) -> Floats:
        """Return logs of the density at points."""
        d, nu = len(self.mean), self.freedom
        z = np.linalg.solve(self.root, (x - self.mean).T)
        level = gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * np.log(nu * np.pi)
        level -= np.log(np.diag(self.root)).sum()
        return level - 0.5 * (nu + d) * np.log1p(np.square(z).sum(axis=0) / nu)


@dataclass(frozen=True, eq=False)
class _Warp:
    """A smooth increasing map of each coordinate: one slope on the left, one on the right.

    The long left tail of the log of a scale that may be zero is what it is for.
    """

    middle: Floats
    left: Floats
    right: Floats

    @classmethod
    def of(cls, x: Floats, weights: Floats) -> "_Warp":
        """Match the weighted quantiles at 5, 50 and 95 % of each coordinate."""
        order = np.argsort(x, axis=0)
        below = np.cumsum(weights[order], axis=0) - 0.5 * weights[order]
        found = np.array(
            [
                np.interp([0.05, 0.5, 0.95], below[:, k], x[order[:, k], k])
                for k in range(x.shape[1])
            ]
        ).T
        left, right = np.maximum(np.diff(found, axis=0) / 1.645, 1e-9)
        # What may be chance is no skew: it would bend a narrow ridge across coordinates.
        skew, chance = np.log(left / right), _CHANCE * np.sqrt(np.square(weights).sum())
        skew = np.clip(np.sign(skew) * np.maximum(np.abs(skew) - chance, 0.0), *_SKEWS)
        right = (left + right) / (1 + np.exp(skew))
        return cls(found[1], right * np.exp(skew), right)

    def forward(self, u: Floats) -> tuple[Floats, Floats]:
        """Return points, and logs of the map's Jacobian."""
        # log(1 + exp(-a u)) has the slope -a on the left and 0 on the right.
        bend = (np.logaddexp(0, -_BEND * u) - np.log(2)) / _BEND
        share = 0.5 - 0.5 * np.tanh(0.5 * _BEND * u)
        slope = self.right + (self.left - self.right) * share
        return self.middle + self.right * u - (self.left - self.right) * bend, np.log(slope).sum(1)

    def back(self, x: Floats) -> Floats:
        """Return where points come from, well enough to take moments there."""
        grid = np.sinh(np.linspace(-6, 6, 4001))
        images, _ = self.forward(np.repeat(grid[:, None], x.shape[1], axis=1))
        columns = [np.interp(x[:, k], images[:, k], grid) for k in range(x.shape[1])]
        return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class _Proposal:
    """A mixture of Student t's in warped coordinates, by shares."""

    parts: tuple[tuple[float, _Student], ...]
    warp: _Warp | None = None

    @classmethod
    def pilot(cls, mode: Floats, covariance: Floats) -> "_Proposal":
        """Return the first one."""
        return cls(((1.0, _Student(mode, np.linalg.cholesky(covariance), 5.0)),))

    @classmethod
    def learnt(cls, x: Floats, log_weights: Floats, freedom: float) -> "_Proposal":
        """Match weighted draws."""
        d = x.shape[1]
        held = np.isfinite(log_weights)
        x, log_weights = x[held], log_weights[held]
        for _ in range(6):  # a few that hold all weight would make it far too narrow
            if effective_size(log_weights) >= 10 * d:
                break
            log_weights = 0.5 * log_weights
        weights = _normalised(log_weights)
        warp = _Warp.of(x, weights)
        u = warp.back(x)
        mean = weights @ u
        covariance = (u - mean).T * weights @ (u - mean) + 1e-9 * np.eye(d)
        root = np.linalg.cholesky(covariance)
        near = _Student(mean, np.sqrt(1.1) * root, freedom)
        return cls(((0.9, near), (0.1, _Student(mean, 2 * root, 3.0))), warp)

    def weighed(self, log_density: LogDensity, n: int, rng: Generator) -> tuple[Floats, Floats]:
        """Return draws from the proposal, and logs of what they weigh."""
        counts = [round(share * n) for share, _ in self.parts]
        u = np.concatenate(
            [part.draw(k, rng) for k, (_, part) in zip(counts, self.parts, strict=True)]
        )
        logs = [np.log(share) + part.log_density(u) for share, part in self.parts]
        log_proposal = np.logaddexp.reduce(logs, axis=0)
        x = u
        if self.warp is not None:
            x, log_slope = self.warp.forward(u)
            log_proposal -= log_slope
        with np.errstate(invalid="ignore"):
            log_weights = log_density(x) - log_proposal
        log_weights[np.isnan(log_weights)] = -np.inf
        if not (log_weights < np.inf).all() or np.isneginf(log_weights).all():
            raise ValueError("the density is infinite, or zero at every point that was tried")
        return x, log_weights
