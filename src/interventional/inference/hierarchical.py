r"""Independent draws from the exact posterior where coefficients share a scale that is learnt.

The coefficients of one group are Normal(mu, tau * scale) with tau random; the others are as in
`exact`. All coefficients integrate out, and what remains is the two-dimensional posterior of the
scales, here in the coordinates

.. math:: t = \log\sigma, \quad l = \log(\tau / \sigma),

because given the ratio of the scales sigma is a factor of everything, so that the data enter by a
few numbers (Gelman et al. 2013, *Bayesian Data Analysis*, 3rd ed., sections 5.4 and 14.8; for the
eigenbasis, Lippert et al. 2011, *Nature Methods* 8:833).

Flat columns are projected out. So are those of Normal priors with known numbers, ``A_N D_N`` with
the orthonormal basis W, since p(data) = p(data orthogonal to W) p(data along W | the rest), and
neither factor subtracts anything from anything. With the group's columns B, its scales in them,
outside of both, ``B - WW'B = U diag(d) V'``, in the basis of V

.. math::

    c = U'r, \quad c_i | \sigma, \tau \sim N(0, \sigma^2 + \tau^2 d_i^2), \quad
    a_i = \frac{1}{1 + e^{2l} d_i^2}, \quad
    \phi_i | c, \sigma, \tau \sim N\Big(e^l d_i a_i c_i / \sigma,\ a_i\Big),

for phi the group's coefficients in units of tau * scale. Along W there are no more directions than
Normal coefficients: given the rest, the outcome there is Gaussian with covariance

.. math::

    S = C C' + \sigma^2 H(l), \quad
    H(l) = I + e^{2l} \big(K K' + J \operatorname{diag}(a) J'\big), \quad
    C = W' A_N D_N, \quad J = W' B V, \quad K = W' B - J V'.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from interventional.data.seen import SufficientStatistics
from interventional.inference.exact import Conjugate, Hierarchy, LogDensity, svd
from interventional.inference.scales import Scale, Scales
from interventional.numbers import Floats
from interventional.scm.equations import Equation

_BLOCK = 1 << 15  # numbers a block of draws holds: it stays in the cache


def draw(
    equation: Equation,
    statistics: SufficientStatistics,
    hierarchy: Hierarchy,
    log_prior_sigma: LogDensity,
    likely_sigma: float,
    n_draws: int,
    rng: Generator,
) -> dict[str, Floats]:
    """Draw from the exact posterior.

    Parameters
    ----------
    equation : Equation
        The equation; its other priors are conjugate (`EquationPriors.conjugacy_obstacle`).
    statistics : SufficientStatistics
        What the likelihood sees.
    hierarchy : Hierarchy
        The prior of the group whose scale is learnt.
    log_prior_sigma : callable
        Log density of the prior of sigma at an array of sigmas.
    likely_sigma : float
        A sigma that its prior allows.
    n_draws : int
        Number of draws.
    rng : Generator
        Source of randomness.

    Returns
    -------
    dict
        ``beta`` (n_draws, p), ``sigma`` and ``tau`` (n_draws,) and, where the equation has one,
        ``intercept`` at the means of the predictors (n_draws,).

    Raises
    ------
    ValueError
        If the posterior is improper.
    """
    model = Conjugate.of(equation, statistics, hierarchy)
    problem = _Problem.of(model)
    names = [equation.design.terms[term] for term in hierarchy.terms]
    scales = Scales(
        problem.log_marginal,
        problem.log_scale,
        float(problem.d.max(initial=0.0)),
        Scale.of(log_prior_sigma, likely_sigma),
        Scale.of(hierarchy.log_prior, hierarchy.likely),
    )
    sigma, tau = scales.draw(rng.uniform(size=(2, n_draws)), statistics, names)
    theta = problem.coefficients(sigma, tau, rng)
    return {**model.by_name(theta), "sigma": sigma, "tau": tau}


@dataclass(frozen=True)
class _Problem:
    """A linear Gaussian model in the bases of the module's formulas.

    Attributes
    ----------
    model : Conjugate
        The model before.
    d, c : ndarray of shape (k,)
        Singular values of the group's columns and the outcome in their basis.
    v : ndarray of shape (h, k)
        Right singular vectors.
    w : ndarray of shape (r,)
        The outcome along the columns of Normal coefficients.
    beside : ndarray of shape (r, q)
        These columns there, the prior's scales in them: C of the module.
    turn : ndarray of shape (q, r)
        Their orthogonal polar factor, transposed: it makes noise the same in any basis W.
    j, apart : ndarray of shape (r, k) and (r, h)
        The group's columns there: J and K of the module.
    rss : float
        Squares of the outcome outside of all bases.
    power : float
        How many more observations than flat and Normal directions there are.
    """

    model: Conjugate
    d: Floats
    c: Floats
    v: Floats
    w: Floats
    beside: Floats
    turn: Floats
    j: Floats
    apart: Floats
    rss: float
    power: float

    @classmethod
    def of(cls, model: Conjugate) -> "_Problem":
        """Bring a model to the bases of the module's formulas."""
        outcome = model.outcome
        basis, size, turn = svd(model.columns(model.normal))
        group = model.columns(model.pooled)
        w, across = basis.T @ outcome, basis.T @ group
        left, d, v = svd(group - basis @ across)
        c = left.T @ outcome
        j = across @ v
        beside, apart = size[:, None] * turn.T, across - j @ v.T
        rss = model.rss(outcome - basis @ w - left @ c, len(size) + len(d))
        power = model.statistics.weight - model.n_flat - len(size)
        return cls(model, d, c, v, w, beside, turn, j, apart, rss, power)

    @property
    def log_scale(self) -> float:
        """Log of the size of the outcome, 0 if it has none."""
        squares = float(np.square(self.c).sum() + np.square(self.w).sum() + self.rss)
        return float(0.5 * np.log(squares / max(len(self.model.u), 1))) if squares > 0 else 0.0

    def log_marginal(self, ratio: Floats) -> Callable[[Floats], Floats]:
        """Return the log density of the data given log ratios, (n,), and log sigmas, (n, m)."""
        x = np.exp(2 * ratio)[:, None] * np.square(self.d)
        a = 1 / (1 + x)
        squares = self.rss + a @ np.square(self.c)
        level = -0.5 * np.log1p(x).sum(axis=1)
        left = self.w - (x * a * (self.c / self.d)) @ self.j.T
        # H = R'R without a sum of squares; then (R')^-1 C = X diag(root) Y' makes S diagonal.
        n, r = left.shape
        root_h = np.linalg.qr(self.apart.T, mode="r")
        rows = [
            np.broadcast_to(np.eye(r), (n, r, r)),
            np.exp(ratio)[:, None, None] * root_h,
            np.sqrt(x * a)[:, :, None] * (self.j.T / self.d[:, None]),
        ]
        triangle = np.linalg.qr(np.concatenate(rows, axis=1), mode="r")
        level -= np.log(np.abs(np.diagonal(triangle, axis1=1, axis2=2))).sum(axis=1)
        both = np.concatenate(
            [np.broadcast_to(self.beside, (n, *self.beside.shape)), left[:, :, None]], axis=2
        )
        both = np.linalg.solve(np.swapaxes(triangle, 1, 2), both)
        basis, root, _ = np.linalg.svd(both[:, :, :-1], full_matrices=False)
        known = np.square(root)
        off = np.square(np.swapaxes(basis, 1, 2) @ both[:, :, -1:])[:, :, 0]

        def evaluate(t: Floats) -> Floats:
            variance = np.exp(2 * t)
            total = level[:, None] - self.power * t - 0.5 * squares[:, None] / variance
            for i in range(r):
                whole = known[:, i : i + 1] + variance
                total -= 0.5 * (np.log(whole) + off[:, i : i + 1] / whole)
            return total

        return evaluate

    def coefficients(self, sigma: Floats, tau: Floats, rng: Generator) -> Floats:
        """Draw coefficients given the scales, (draws, p).

        The group's are drawn given the data outside of W, the Normal ones from their prior; then
        both move by what the data along W say of their sum (Matheron's rule, Journel and
        Huijbregts 1978). Noise enters by the coefficients and symmetric roots only, so the same
        data in another order, or as weights, give the same draws.
        """
        n_terms = len(self.model.normal)
        theta = rng.standard_normal((len(sigma), n_terms))
        along = rng.standard_normal((len(sigma), self.model.normal.sum()))
        graded = self._graded(float(np.median(tau)))
        step = max(_BLOCK // n_terms, 1)
        for start in range(0, len(sigma), step):
            rows = slice(start, start + step)
            theta[rows] = graded._given(sigma[rows], tau[rows], theta[rows], along[rows])
        return theta

    def _graded(self, tau: float) -> "_Problem":
        """Return the same with the basis W in which S is nearly diagonal.

        Columns of very different sizes then cost no digits.
        """
        parts = np.concatenate([self.beside, tau * self.j, tau * self.apart], axis=1)
        basis = np.linalg.svd(parts, full_matrices=False)[0]
        return replace(
            self,
            w=basis.T @ self.w,
            beside=basis.T @ self.beside,
            turn=self.turn @ basis,
            j=basis.T @ self.j,
            apart=basis.T @ self.apart,
        )

    def _given(self, sigma: Floats, tau: Floats, noise: Floats, along: Floats) -> Floats:
        """Return draws of the coefficients given scales and noise, all (draws, ...)."""
        x = np.square((tau / sigma)[:, None] * self.d)
        a = 1 / (1 + x)
        normal, pooled = self.model.normal, self.model.pooled
        eps, start = noise[:, pooled], noise[:, normal]
        inside = eps @ self.v
        drawn = np.sqrt(a) * inside + x * a / tau[:, None] * (self.c / self.d)

        moved = tau[:, None] * (eps @ self.apart.T + drawn @ self.j.T)
        gap = self.w - moved - start @ self.beside.T - sigma[:, None] * (along @ self.turn)
        r = len(self.w)
        pairs = (self.j[:, None] * self.j).reshape(r * r, len(self.d))
        own = a @ pairs.T + (self.apart @ self.apart.T).ravel()
        cov = np.square(tau)[:, None, None] * own.reshape(len(tau), r, r)
        cov += self.beside @ self.beside.T
        cov += np.square(sigma)[:, None, None] * np.eye(r)
        size = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        cov /= size[:, :, None] * size[:, None]
        move = np.linalg.solve(cov, (gap / size)[:, :, None])[:, :, 0] / size
        pull = tau[:, None] * move
        drawn += a * (pull @ self.j)

        theta = np.empty_like(noise)
        phi = eps + pull @ self.apart + (drawn - inside) @ self.v.T
        start += move @ self.beside
        theta[:, pooled] = self.model.from_units(pooled, tau[:, None] * phi)
        theta[:, normal] = self.model.from_units(normal, start)
        self.model.draw_flat(theta, sigma, noise)
        return theta
