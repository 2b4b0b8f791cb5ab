r"""Independent draws from the exact posterior of a Gaussian equation.

For coefficients with Normal or Flat priors and any proper prior of sigma, the coefficients
integrate out and the posterior of sigma is one-dimensional; given sigma the coefficients are
Gaussian (Gelman et al. 2013, *Bayesian Data Analysis*, 3rd ed., section 14.8; Lindley and Smith
1972). With prior theta = m + D phi, phi ~ N(0, I), and the singular value decomposition
``A D = U diag(d) V'`` of the whitened design, in the basis of V every direction is on its own:

.. math::

    c = U'(u - A m), \quad c_i | \sigma \sim N(0, d_i^2 + \sigma^2), \quad
    \phi_i | \sigma, u \sim N\Big(\frac{d_i c_i}{d_i^2 + \sigma^2},
    \frac{\sigma^2}{d_i^2 + \sigma^2}\Big).

The same in closed form, on nodes of sigma, is the coefficients' `Law`. Draws are moved to have its
mean, so that what is linear in coefficients has its exact mean, whichever way it is had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from interventional.answers.law import Law
from interventional.data.seen import SufficientStatistics
from interventional.errors import UndeterminedError, listed
from interventional.inference.nodes import nodes
from interventional.numbers import Floats
from interventional.scm.curve import CURVE
from interventional.scm.equations import Equation
from interventional.scm.priors import normal_parameters

LogDensity = Callable[[Floats], Floats]

REACH = 80.0  # log sigma is looked for within e^±80 of the data's own scale
_DROP = 45.0  # what has e^-45 of the peak's density holds no draw
_POINTS = 1025
_SIMPSON = np.r_[1.0, np.tile([4.0, 2.0], _POINTS // 2)[:-1], 1.0]
_NOTHING = 1e-300
_MOST = 500  # coefficients: of more, what is known in closed form takes longer than draws


def draw(
    equation: Equation,
    statistics: SufficientStatistics,
    log_prior_sigma: LogDensity,
    likely_sigma: float,
    n_draws: int,
    rng: Generator,
) -> tuple[dict[str, Floats], Law | None]:
    """Draw from the exact posterior.

    Parameters
    ----------
    equation : Equation
        The equation; its priors are conjugate (`EquationPriors.conjugacy_obstacle`).
    statistics : SufficientStatistics
        What the likelihood sees.
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
        ``beta`` (n_draws, p), ``sigma`` (n_draws,) and, where the equation has one, ``intercept``
        at the means of the predictors (n_draws,).
    Law or None
        What they are draws of, the intercept at x = 0. None of a single draw, which is not the
        posterior's mean, and of very many coefficients.

    Raises
    ------
    ValueError
        If the posterior is improper.
    """
    model = Conjugate.of(equation, statistics)
    problem = _Whitened.of(model)
    fixed = equation.priors.fixed_sigma
    if fixed is not None:
        sigma, of_sigma = np.full(n_draws, fixed), (np.array([fixed]), np.ones(1))
    else:

        def log_density(t: Floats) -> Floats:
            return log_prior_sigma(np.exp(t)) + problem.log_marginal(t) + t

        inside, uniform = float(np.log(likely_sigma)), rng.uniform(size=n_draws)
        t, density = _tabulated(log_density, problem.log_scale, inside, statistics)
        sigma = np.exp(_inverted(t, density, uniform))
        at, weights = nodes(t, density * _SIMPSON)
        of_sigma = np.exp(at), weights
    theta = problem.coefficients(sigma, rng)
    law = None
    if n_draws > 1 and theta.shape[1] <= _MOST:
        means, basis, variances = problem.given(of_sigma[0])
        theta += of_sigma[1] @ means - theta.mean(axis=0)
        if equation.has_intercept:  # from `center` to zero
            means, basis = at_zero(means.T, equation.center).T, at_zero(basis, equation.center)
        law = Law(of_sigma[1], of_sigma[0], means, basis, variances, equation.has_intercept)
    return {**model.by_name(theta), "sigma": sigma}, law


def refuse_improper(
    equation: Equation, statistics: SufficientStatistics, log_prior_sigma: LogDensity | None
) -> None:
    """Refuse a posterior that does not exist, before a sampler wanders about in it.

    Parameters
    ----------
    equation : Equation
        The equation, with any priors.
    statistics : SufficientStatistics
        What the likelihood sees.
    log_prior_sigma : callable or None
        Log density of the prior of sigma, where it is known in closed form.

    Raises
    ------
    ValueError
        If data and priors leave a coefficient or sigma without bounds.
    """
    a, _, _ = design_rows(equation, statistics)
    priors, ones = equation.priors, equation.has_intercept
    flat = [term + ones for group in priors.groups if group.name == "flat" for term in group.terms]
    if priors.intercept is not None and priors.intercept.distribution == "Flat":
        flat = [0, *flat]
    FlatColumns.of(equation, a, flat)
    if log_prior_sigma is None:
        return
    t = np.array([-REACH, -0.8 * REACH, 0.8 * REACH, REACH])
    # As sigma grows, all that remains of the coefficients is how many are flat; as it goes to 0,
    # a constant y costs nothing in any of the directions that they reach.
    reached = np.linalg.matrix_rank(a)
    power = statistics.weight - np.array([reached, reached, len(flat), len(flat)])
    outermost, low, high, last = log_prior_sigma(np.exp(t)) + t - power * t
    to_zero = statistics.constant and np.isfinite(outermost) and outermost >= low
    refuse_ends(statistics.constant, to_zero, np.isfinite(last) and last >= high)


@dataclass(frozen=True)
class FlatColumns:
    """What it takes to draw coefficients with Flat priors given all others.

    Attributes
    ----------
    inverse, root : ndarray of shape (n_flat, k) and (n_flat, n_flat)
        Pseudo-inverse of their columns, and a root of (A'A)^-1. It is symmetric for columns of
        length one, so that the units of columns do not matter.
    basis : ndarray of shape (k, n_flat)
        Orthonormal basis of the columns.
    """

    inverse: Floats
    root: Floats
    basis: Floats

    @classmethod
    def of(cls, equation: Equation, a: Floats, flat: Sequence[int]) -> "FlatColumns":
        """Factor the columns of flat coefficients; refuse those that do not determine them."""
        columns = a[:, flat]
        size = np.linalg.norm(columns, axis=0)
        scaled = columns / np.where(size > 0, size, 1.0)
        left, d, vt = np.linalg.svd(scaled, full_matrices=False)
        tolerance = 1e3 * np.finfo(np.float64).eps * max(columns.shape)
        if len(d) < len(flat) or (len(d) and d.min() <= tolerance * d.max()):
            every = ["intercept"] * equation.has_intercept + list(equation.design.terms)
            names = listed([every[k] for k in flat])
            raise UndeterminedError(
                f"the data do not determine the coefficients of {names}, whose priors are "
                "Flat: fewer rows than such coefficients, a constant column, or columns that "
                "repeat each other. Give Normal priors"
            )
        inverse = (vt.T / d) @ left.T / size[:, None]
        root = (vt.T / d) @ vt / size[:, None]
        return cls(inverse, root, left)

    def project_out(self, array: Floats) -> Floats:
        """Return what of rows is orthogonal to the columns."""
        return array - self.basis @ (self.basis.T @ array)

    def draw(self, left: Floats, sigma: Floats, noise: Floats) -> Floats:
        """Draw the coefficients, given what the others leave of the outcome, (draws, k)."""
        spread = sigma[:, None] * (noise @ self.root.T)
        return left @ self.inverse.T + spread


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """The prior of a group of coefficients: Normal(mu, tau * scale), with tau random.

    Attributes
    ----------
    terms : tuple of int
        Positions of the group's terms.
    mu, scale : ndarray of shape (len(terms),)
        Mean, and standard deviation in units of tau.
    log_prior : callable
        Log density of the prior of tau at an array of taus.
    likely : float
        A tau that its prior allows.
    """

    terms: tuple[int, ...]
    mu: Floats
    scale: Floats
    log_prior: LogDensity
    likely: float


@dataclass(frozen=True)
class Conjugate:
    """A Gaussian equation under conjugate priors, and its data, its flat columns projected out.

    The coefficient of the intercept comes first where there is one.

    Attributes
    ----------
    statistics : SufficientStatistics
        What the likelihood sees.
    a, u : ndarray
        The design with the intercept's column, and the outcome.
    shift : ndarray of shape (p,) or None
        What to add to an intercept at x = 0, by coefficients, to have it at the means; None where
        there is no intercept.
    normal, pooled : ndarray of bool
        Which coefficients have a Normal prior with known numbers, and which one whose scale is
        learnt.
    m : ndarray of shape (p,)
        Mean of these priors; 0 for other coefficients.
    s : ndarray of shape (p,) or (p, p)
        Standard deviation of these priors, or a root of their covariance; where a scale is learnt
        in units of it; 1 for other coefficients.
    flat : FlatColumns
        The others.
    """

    statistics: SufficientStatistics
    a: Floats
    u: Floats
    shift: Floats | None
    normal: NDArray[np.bool_]
    pooled: NDArray[np.bool_]
    m: Floats
    s: Floats
    flat: FlatColumns

    @classmethod
    def of(
        cls, equation: Equation, statistics: SufficientStatistics, learnt: Hierarchy | None = None
    ) -> "Conjugate":
        """Read the priors of an equation, and what it saw."""
        a, u, shift = design_rows(equation, statistics)
        normal, m, s = normal_priors(equation)
        pooled = np.zeros_like(normal)
        if learnt is not None:
            terms = np.asarray(learnt.terms, dtype=np.intp) + equation.has_intercept
            pooled[terms] = True
            m[terms] = learnt.mu
            if s.ndim == 1:
                s[terms] = learnt.scale
            else:
                s[terms, terms] = learnt.scale
        flat = FlatColumns.of(equation, a, np.flatnonzero(~(normal | pooled)).tolist())
        return cls(statistics, a, u, shift, normal, pooled, m, s, flat)

    @property
    def given(self) -> NDArray[np.bool_]:
        """Which coefficients are not flat."""
        return self.normal | self.pooled

    def columns(self, which: NDArray[np.bool_]) -> Floats:
        """Return columns of coefficients in units of their priors, flat columns projected out."""
        a, s = self.a[:, which], self.s
        scaled = a * s[which] if s.ndim == 1 else a @ s[np.ix_(which, which)]
        return self.flat.project_out(scaled)

    def from_units(self, which: NDArray[np.bool_], phi: Floats) -> Floats:
        """Return draws of coefficients, (draws, coefficients), from those in units of priors."""
        s = self.s
        spread = phi * s[which] if s.ndim == 1 else phi @ s[np.ix_(which, which)].T
        return self.m[which] + spread

    @property
    def outcome(self) -> Floats:
        """What of the outcome is orthogonal to the flat columns, at the means of the priors."""
        given = self.given
        return self.flat.project_out(self.u - self.a[:, given] @ self.m[given])

    @property
    def n_flat(self) -> int:
        """How many coefficients are flat."""
        return len(self.flat.inverse)

    def rss(self, outside: Floats, n_directions: int) -> float:
        """Return the squares of the outcome outside of all directions that coefficients reach."""
        if self.n_flat + n_directions == len(self.u):
            return self.statistics.rss  # what is left of nothing is rounding, and not noise
        return self.statistics.rss + float(outside @ outside)

    def draw_flat(self, theta: Floats, sigma: Floats, noise: Floats) -> None:
        """Draw the flat coefficients into draws of all, (draws, p), given the others."""
        given = self.given
        if not given.all():
            left = self.u - theta[:, given] @ self.a[:, given].T
            theta[:, ~given] = self.flat.draw(left, sigma, noise[:, ~given])

    def by_name(self, theta: Floats) -> dict[str, Floats]:
        """Return draws of all coefficients by name, the intercept at the predictors' means."""
        return by_name(theta, self.shift)


def at_zero(columns: Floats, center: Floats) -> Floats:
    """Return columns of coefficients, (p, ...), with the intercept at x = 0, not at a center."""
    return np.vstack([columns[:1] - center @ columns[1:], columns[1:]])


def by_name(theta: Floats, shift: Floats | None) -> dict[str, Floats]:
    """Return draws of all coefficients by name, the intercept moved to the predictors' means.

    Without an intercept there is no `shift`, which is `Conjugate.shift`.
    """
    if shift is None:
        return {"beta": theta}
    return {"intercept": theta[:, 0] + theta[:, 1:] @ shift, "beta": theta[:, 1:]}


def normal_priors(equation: Equation) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Return which coefficients have a Normal prior with known numbers, and these.

    The intercept comes first where there is one. The mean of the others is 0. What is known of
    their spread is a standard deviation each, (p,), or a root of their covariance, (p, p); it is 1
    for the others.
    """
    priors, ones = equation.priors, equation.has_intercept
    normal = np.zeros(len(equation.design.terms) + ones, dtype=bool)
    m: Floats = np.zeros(len(normal))
    s: Floats = np.ones(len(normal))
    if priors.intercept is not None:
        normal[0] = priors.intercept.is_normal
        m[:1], s[:1] = normal_parameters(priors.intercept, 1, "intercept")
    together: tuple[NDArray[np.intp], Floats] | None = None
    for group in priors.groups:
        terms = np.asarray(group.terms, dtype=np.intp) + ones
        if group.name == "normal":
            normal[terms] = True
            m[terms], s[terms] = normal_parameters(group.prior, len(terms), "beta")
        elif group.name == CURVE:
            normal[terms] = True
            together = terms, np.asarray(group.prior.parameters["root"])
    if together is not None:
        terms, root = together
        s = np.diag(s)
        s[np.ix_(terms, terms)] = root
    return normal, m, s


def svd(columns: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the singular value decomposition, u diag(d) v', of numerical rank."""
    u, d, vt = np.linalg.svd(columns, full_matrices=False)
    kept = d > np.finfo(np.float64).eps * max(columns.shape, default=0) * d.max(initial=0.0)
    return u[:, kept], d[kept], vt[kept].T


@dataclass(frozen=True)
class _Whitened:
    """A linear Gaussian model in the basis in which its directions are independent.

    Attributes
    ----------
    model : Conjugate
        The model before.
    d, c : ndarray of shape (r,)
        Singular values of the whitened design and the outcome in their basis.
    v : ndarray of shape (n_normal, r)
        Right singular vectors.
    rss : float
        Squares of the outcome outside of that basis.
    power : float
        How many more observations than directions there are.
    """

    model: Conjugate
    d: Floats
    c: Floats
    v: Floats
    rss: float
    power: float

    @classmethod
    def of(cls, model: Conjugate) -> "_Whitened":
        """Bring a model to the form in which all directions are independent."""
        outcome, normal = model.outcome, model.normal
        left, d, v = svd(model.columns(normal))
        c = left.T @ outcome
        rss = model.rss(outcome - left @ c, len(d))
        return cls(model, d, c, v, rss, model.statistics.weight - model.n_flat - len(d))

    @property
    def log_scale(self) -> float:
        """Log of the size of the outcome, 0 if it has none."""
        n = max(len(self.model.u), 1)
        size = float(np.sqrt((np.square(self.c).sum() + self.rss) / n))
        return float(np.log(size)) if size > 0 else 0.0

    def log_marginal(self, t: Floats) -> Floats:
        """Log density of the data given log sigma, coefficients integrated out."""
        variance = np.exp(2 * t)
        total = np.square(self.d)[:, None] + variance
        fit = np.log(total) + np.square(self.c)[:, None] / total
        return -0.5 * fit.sum(axis=0) - self.power * t - 0.5 * self.rss / variance

    def coefficients(self, sigma: Floats, rng: Generator) -> Floats:
        """Draw coefficients given sigma, (draws, p), through symmetric roots.

        A symmetric root does not depend on which singular vectors were chosen, so the same data
        in another order, or as weights, give the same draws.
        """
        normal = self.model.normal
        total = np.square(self.d) + np.square(sigma)[:, None]
        noise = rng.standard_normal((len(sigma), len(normal)))
        eps = noise[:, normal]
        shrunk = sigma[:, None] / np.sqrt(total) - 1
        phi = eps + (shrunk * (eps @ self.v) + self.d * self.c / total) @ self.v.T
        theta = np.empty_like(noise)
        theta[:, normal] = self.model.from_units(normal, phi)
        self.model.draw_flat(theta, sigma, noise)
        return theta

    def given(self, sigma: Floats) -> tuple[Floats, Floats, Floats]:
        """Return means of all coefficients given sigmas, directions, and variances in these.

        Their shapes are (sigmas, p), (p, r) and (sigmas, r).
        """
        model, normal = self.model, self.model.normal
        p, ones = len(normal), np.ones((len(sigma), 1))
        variance = np.square(sigma)[:, None]
        total = np.square(self.d) + variance
        means = np.empty((len(sigma), p))
        means[:, normal] = model.from_units(normal, (self.d * self.c / total) @ self.v.T)
        beyond = len(self.v) - len(self.d)  # directions of which the data say nothing
        if beyond:
            complete = np.linalg.svd(self.v, full_matrices=True)[0]
            v = np.hstack([self.v, complete[:, len(self.d) :]])
        else:
            v = self.v
        basis = np.zeros((p, v.shape[1] + model.n_flat))
        s = model.s
        own = s[normal][:, None] * v if s.ndim == 1 else s[np.ix_(normal, normal)] @ v
        basis[normal, : v.shape[1]] = own
        if model.n_flat:
            flat = ~normal
            passed = model.flat.inverse @ model.a[:, normal]
            means[:, flat] = model.flat.inverse @ model.u - means[:, normal] @ passed.T
            basis[flat, : v.shape[1]] = -passed @ own
            basis[flat, v.shape[1] :] = model.flat.root
        variances = [
            variance / total,
            np.repeat(ones, beyond, 1),
            variance * np.ones(model.n_flat),
        ]
        return means, basis, np.hstack(variances)


def design_rows(
    equation: Equation, statistics: SufficientStatistics
) -> tuple[Floats, Floats, Floats | None]:
    """Return the design with the intercept's column, the outcome, and `Conjugate.shift`."""
    a, u = statistics.r, statistics.z
    if not equation.has_intercept:
        return a, u, None
    # The coefficient is the intercept at `center`; the rows see the one at the means.
    shift = statistics.x_mean - equation.center
    root = np.sqrt(statistics.weight)
    a = np.block([[np.full((1, 1), root), root * shift[None]], [np.zeros((len(a), 1)), a]])
    return a, np.concatenate([[root * statistics.y_mean], u]), shift


def _tabulated(
    log_density: LogDensity, center: float, inside: float, statistics: SufficientStatistics
) -> tuple[Floats, Floats]:
    """Return points, evenly spaced, and a one-dimensional density there, up to a constant.

    The grid zooms in until it covers what holds mass, and no more. The features of the density
    have width of order 1 in log sigma, or are the peak that the zoom ends on. A prior with narrow
    support may fall between the points of the grid, so one of its own values stands there too.
    """
    low, high = center - REACH, center + REACH
    for _ in range(60):
        t = np.linspace(low, high, _POINTS)
        if low < inside < high:
            t = np.union1d(t, inside)
        values = log_density(t)
        peak = values.max()
        if not np.isfinite(peak):
            raise ValueError("the prior of sigma excludes every value that the data allow")
        held = np.flatnonzero(values > peak - _DROP)
        first, last = max(held[0] - 1, 0), min(held[-1] + 1, len(t) - 1)
        if last - first > _POINTS // 2:
            break
        low, high = t[first], t[last]
    to_zero = values[0] > peak - _DROP and low == center - REACH
    refuse_ends(statistics.constant, to_zero, values[-1] > peak - _DROP and high == center + REACH)
    low, high = edges(log_density, t, values)
    t = np.linspace(low, high, _POINTS)
    values = log_density(t) - peak
    return t, np.where(values > -_DROP, np.exp(values), 0.0)  # steps of 1e-300 have no slope


def _inverted(t: Floats, density: Floats, uniform: Floats) -> Floats:
    """Return quantiles of a density on a grid by inverting its distribution function.

    The mass between two points is that of the cubic through four; there the density is a line.
    """
    around = density[:-3] + density[3:]
    mass = 0.5 * (density[:-1] + density[1:])
    mass[1:-1] = np.maximum(13 * (density[1:-2] + density[2:-1]) - around, 0.0) / 24
    below = np.concatenate([[0.0], np.cumsum(mass)])
    wanted = uniform * below[-1]
    k = np.clip(np.searchsorted(below, wanted, side="right") - 1, 0, len(mass) - 1)
    share = np.clip((wanted - below[k]) / np.maximum(mass[k], _NOTHING), 0.0, 1.0)
    left, right = density[k], density[k + 1]
    root = np.sqrt(np.square(left) * (1 - share) + np.square(right) * share)
    inside = share * (left + right) / np.maximum(left + root, _NOTHING)
    return np.asarray(t[k] + (t[1] - t[0]) * inside)


def refuse_ends(constant: bool, to_zero: Any, without_bounds: Any) -> None:
    """Refuse a posterior with mass where sigma goes to 0, or where it grows without bounds."""
    if to_zero:
        why = "y is constant, and its" if constant else "the"
        raise UndeterminedError(
            f"{why} prior lets sigma go to 0, so that the posterior is improper; give a prior of "
            "sigma that vanishes at 0, such as Prior('InverseGamma', alpha=3, beta=1)"
        )
    if without_bounds:
        raise UndeterminedError(
            "the prior of sigma is too flat for so few rows: its posterior is improper; give a "
            "proper prior, such as Prior('HalfNormal', sigma=1)"
        )


def edges(log_density: LogDensity, t: Floats, values: Floats) -> tuple[float, float]:
    """Return the ends of the support within a grid, exact where a prior has an edge."""
    inside = np.flatnonzero(np.isfinite(values))
    ends = []
    for k, step in ((inside[0], -1), (inside[-1], 1)):
        edge = t[k]
        if 0 <= k + step < len(t):
            outer = t[k + step]
            for _ in range(60):
                middle = 0.5 * (edge + outer)
                if np.isfinite(log_density(np.array([middle]))[0]):
                    edge = middle
                else:
                    outer = middle
        ends.append(float(edge))
    return ends[0], ends[1]
