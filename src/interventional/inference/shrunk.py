r"""The posterior of a Gaussian equation under the horseshoe or R2D2, in closed form.

In units of its standard error, :math:`e_j = \sigma / (x_{\mathrm{scale},j} \sqrt n)`, a
coefficient is :math:`\mathrm{raw}_j \sqrt{k_j}` with :math:`k_j = e^{2 r_j} / (1 + e^{2 r_j})`,
where r is the log of its prior's scale in these units (`shrinkage`). So the rows see

.. math::

    \log p = -W \log\sigma - \frac{\mathrm{rss}}{2 \sigma^2} -
    \tfrac{1}{2} \Big| \frac{u - A_o \theta_o}{\sigma} - B (\sqrt k\, \mathrm{raw}) \Big|^2 +
    \tfrac{1}{2} \sum_j \big( \log(1 - k_j) - (1 - k_j)\, \mathrm{raw}_j^2 \big),

with the columns of these terms B = A / (x_scale √n), those of all others :math:`A_o`, and the
prior of r. That of the horseshoe has :math:`r = \log(\tau\lambda) - \log(1 + m) / 2,
m = \tau^2 \lambda^2 e^2 / c^2`, and that of R2D2 :math:`2 r = \operatorname{logit} R^2 + \log\phi
+ \log n`; there the numbers 2 r are the unknowns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from interventional.data.seen import SufficientStatistics, one_thread
from interventional.inference import many_chains
from interventional.inference.exact import by_name, design_rows
from interventional.inference.laplace import Gaussian
from interventional.inference.local_scales import R2D2, Horseshoe, Local
from interventional.inference.short_chains import WORTH
from interventional.inference.unbuilt import Found
from interventional.numbers import Floats
from interventional.scm.equations import Equation
from interventional.scm.prior_densities import Location, OfLog, location, of_log
from interventional.scm.shrinkage import SIZED

_THIN = 3  # of the chains' draws one is kept
_DRIFT = 5.0  # standard errors between halves of chains, beyond which they are on the way
_PILOT, _WARM = (
    64,
    40,
)  # trajectories that warm up chains from which coordinates are learnt; others
_ROUNDS = 12  # of scales by what coefficients are, and these by scales
_GRID = np.linspace(-12.0, 12.0, 121)  # of logs of scales


def draw(
    equation: Equation, seen: SufficientStatistics, n_draws: int, rng: Generator
) -> Found | None:
    """Draw from the posterior of an equation; None of another, or where chains move too slowly.

    Parameters
    ----------
    equation : Equation
        The equation: one group of coefficients has such a prior, others are Normal or Flat.
    seen : SufficientStatistics
        What the likelihood sees.
    n_draws : int
        Number of draws.
    rng : Generator
        Source of randomness.
    """
    problem = Problem.of(equation, seen)
    if problem is None:
        return None
    with one_thread():  # the blocks are small
        per_chain = _THIN * -(-n_draws // many_chains.CHAINS)
        chains = problem.draw(per_chain * many_chains.CHAINS, rng)
    if chains is None or chains.drift > _DRIFT:
        return None
    if chains.effective_size < WORTH * n_draws:
        return None
    kept = chains.draws[:, _THIN - 1 :: _THIN]
    points = kept.reshape(-1, kept.shape[2])[:n_draws]
    size = min(chains.effective_size, float(n_draws))
    figures = {"effective_size": size, "acceptance_rate": chains.accepted}
    return Found("hmc", problem.parameters(points), figures)


@dataclass(frozen=True, eq=False)
class Shrunk:
    """The density of the module, of points: others, raw, what r is made of, and log sigma.

    Attributes
    ----------
    u : ndarray of shape (k,)
        The outcome.
    columns : ndarray of shape (k, p)
        B of the module.
    others : ndarray of shape (k, q)
        The columns of all other coefficients.
    prior : Location
        The prior of these.
    local : Local
        That of r.
    sigma : callable
        That of log sigma.
    weight, rss : float
        Number of observations, and squares of the outcome outside of the design.
    """

    u: Floats
    columns: Floats
    others: Floats
    prior: Location
    local: Local
    sigma: OfLog
    weight: float
    rss: float

    def parts(self, points: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return others, raw, z and log sigma of points."""
        q, p = self.others.shape[1], self.columns.shape[1]
        return points[:, :q], points[:, q : q + p], points[:, q + p : -1], points[:, -1]

    def shares(self, points: Floats) -> tuple[Floats, Floats]:
        """Return k and 1 - k of the module."""
        _, _, z, t = self.parts(points)
        rest = 1 / (1 + self.local.odds(z, t))
        return 1 - rest, rest

    def heights(self, points: Floats) -> Floats:
        """Return the log density at points, (s, d), up to a constant; -inf for what is none."""
        with np.errstate(all="ignore"):
            theta, raw, z, t = self.parts(points)
            k, rest = self.shares(points)
            scale = np.exp(-t)[:, None]
            left = (self.u - theta @ self.others.T) * scale - (np.sqrt(k) * raw) @ self.columns.T
            out = -self.weight * t - 0.5 * self.rss * np.exp(-2 * t)
            out += -0.5 * np.square(left).sum(axis=1) + self.prior.log_density(theta)
            out += 0.5 * (np.log(rest) - rest * np.square(raw)).sum(axis=1)
            out += self.local.log_prior(z) + self.sigma(t)[0]
        return np.where(np.isfinite(out), out, -np.inf)

    def slopes(self, points: Floats) -> Floats:
        """Return gradients of the log density at points, (s, d)."""
        with np.errstate(all="ignore"):
            theta, raw, z, t = self.parts(points)
            k, rest = self.shares(points)
            root, scale = np.sqrt(k), np.exp(-t)[:, None]
            outcome = (self.u - theta @ self.others.T) * scale
            left = outcome - (root * raw) @ self.columns.T
            by_own = left @ self.columns
            by_theta = (left * scale) @ self.others + self.prior.slope(theta)
            by_raw = root * by_own - rest * raw
            by_r = (raw * root * by_own + np.square(raw) * k) * rest - k
            by_z, by_t = self.local.slopes(z, t, by_r)
            by_t += (left * outcome).sum(axis=1) + self.rss * np.exp(-2 * t) - self.weight
            by_t += self.sigma(t)[1]
        return np.hstack([by_theta, by_raw, by_z, by_t[:, None]])

    def near(self, sigma: float) -> Gaussian | None:
        """Return a Gaussian to begin with, by turns of coefficients and of scales."""
        q, p = self.others.shape[1], self.columns.shape[1]
        r, raw = np.zeros(p), np.zeros(p)
        design = np.hstack([self.others, self.columns])
        precision, mean = np.eye(q + p), np.zeros(q + p)
        for _ in range(_ROUNDS):
            scale = np.concatenate([np.full(q, 1 / sigma), np.sqrt(expit(2 * r))])
            rows = design * scale
            precision = rows.T @ rows
            held = np.concatenate([self.prior.precision, expit(-2 * r)])
            precision[np.diag_indices(q + p)] += held
            pull = rows.T @ self.u / sigma
            pull[:q] += self.prior.precision * self.prior.mean
            size = 1 / np.sqrt(np.diag(precision))
            try:
                inverse = np.linalg.inv(size[:, None] * precision * size)
            except np.linalg.LinAlgError:
                return None
            mean = size * (inverse @ (size * pull))
            raw, spread = mean[q:], (size**2 * np.diag(inverse))[q:]
            squares = np.square(self.u - sigma * rows @ mean).sum() + self.rss
            sigma = float(np.sqrt(squares / max(self.weight - (q + p) / 2, self.weight / 3)))
            own = (np.square(raw) + np.maximum(spread, 0.0)) * expit(2 * r)
            # A scale given its coefficient in standard errors, under a half-Cauchy of its size.
            middle = float(np.mean(r))
            height = -0.5 * own[:, None] * np.exp(-2 * _GRID) - np.logaddexp(
                0.0, 2 * (_GRID - middle)
            )
            r = np.clip(_GRID[np.argmax(height, axis=1)], middle - 3.0, None)
        z, unsure = self.local.start(r, np.log(sigma))
        middle_point = np.concatenate([mean, z, [np.log(sigma)]])
        every = np.diag(np.concatenate([np.ones(q + p), unsure**-2.0, [2 * self.weight]]))
        every[: q + p, : q + p] = precision
        return Gaussian.of_precision(middle_point, every)


def _of_draws(draws: Floats) -> Gaussian | None:
    """Return the Gaussian of draws, (n, d)."""
    spread = draws.std(axis=0)
    if not (np.isfinite(spread).all() and (spread > 0).all()):
        return None
    share = len(draws) / (len(draws) + 4 * draws.shape[1])
    covariance = share * np.corrcoef(draws.T) + (1 - share) * np.eye(draws.shape[1])
    inverse = np.linalg.inv(covariance) / spread[:, None] / spread
    return Gaussian.of_precision(draws.mean(axis=0), inverse)


@dataclass(frozen=True, eq=False)
class Problem:
    """An equation as a density, and the way back.

    Attributes
    ----------
    density : Shrunk
        The density.
    equation : Equation
        The equation.
    shift : ndarray or None
        As in `exact.Conjugate`.
    at, beside : ndarray of int
        Positions of the terms that shrink, and of all other coefficients.
    error : ndarray of shape (p,)
        Standard errors of the former in units of sigma.
    y_scale : float
        Standard deviation of the outcome.
    """

    density: Shrunk
    equation: Equation
    shift: Floats | None
    at: NDArray[np.intp]
    beside: NDArray[np.intp]
    error: Floats
    y_scale: float

    @classmethod
    def of(cls, equation: Equation, seen: SufficientStatistics) -> "Problem | None":
        """Return it for an equation with one such prior beside Normal and Flat ones."""
        priors, ones = equation.priors, int(equation.has_intercept)
        own = [group for group in priors.groups if group.prior.distribution in SIZED]
        sigma = None if priors.sigma is None else of_log(priors.sigma)
        if len(own) != 1 or sigma is None or not seen.has_residual:
            return None
        a, u, shift = design_rows(equation, seen)
        parts = [np.zeros(a.shape[1]), np.zeros(a.shape[1]), np.full(a.shape[1], np.inf)]
        given = [(np.asarray(g.terms) + ones, g.prior) for g in priors.groups if g not in own]
        if priors.intercept is not None:
            given.append((np.zeros(1, dtype=np.intp), priors.intercept))
        for terms, own_prior in given:
            found = location(own_prior, len(terms))
            if found is None or not np.isinf(found[2]).all():
                return None
            for part, value in zip(parts, found, strict=True):
                part[terms] = value
        at = np.asarray(own[0].terms, dtype=np.intp) + ones
        beside = np.setdiff1d(np.arange(a.shape[1]), at)
        numbers = {name: np.asarray(v) for name, v in own[0].prior.parameters.items()}
        n, y_scale = float(numbers["n"]), float(numbers["y_scale"])
        error = 1 / (numbers["x_scale"] * np.ones(len(at)) * np.sqrt(n))
        local: Local = R2D2(len(at), n)
        if own[0].prior.distribution == "horseshoe":
            local = Horseshoe(len(at), n, y_scale)
        prior = Location(*(part[beside] for part in parts))
        density = Shrunk(
            u, a[:, at] * error, a[:, beside], prior, local, sigma, seen.weight, seen.rss
        )
        return cls(density, equation, shift, at, beside, error, y_scale)

    def draw(self, n_draws: int, rng: Generator) -> many_chains.Chains | None:
        """Return many short chains; None where they did not start."""
        near = self.density.near(self.y_scale)
        if near is None:
            return None
        pilot = many_chains.run(self.density, near, 16 * many_chains.CHAINS, rng, warm=_PILOT)
        near = _of_draws(pilot.draws.reshape(-1, pilot.draws.shape[2]))
        if near is None:
            return None
        return many_chains.run(self.density, near, n_draws, rng, warm=_WARM)

    def parameters(self, points: Floats) -> dict[str, Floats]:
        """Return the model's variables at points by name."""
        theta, raw, z, t = self.density.parts(points)
        k, _ = self.density.shares(points)
        every = np.empty((len(points), len(self.at) + len(self.beside)))
        every[:, self.beside] = theta
        every[:, self.at] = raw * np.sqrt(k) * np.exp(t)[:, None] * self.error
        name = self.equation.node
        found = {f"{name}_{key}": v for key, v in by_name(every, self.shift).items()}
        found[f"{name}_sigma"] = np.exp(t)
        group = next(g for g in self.equation.priors.groups if g.prior.distribution in SIZED)
        called = self.equation.group_name(group)
        return found | {
            f"{called}{ending}": v for ending, v in self.density.local.variables(z, t).items()
        }
