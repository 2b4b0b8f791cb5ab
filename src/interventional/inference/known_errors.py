r"""Independent draws from the exact posterior where the rows have known standard deviations.

The outcome of a row is Normal(x' theta, sigma^2 + s_i^2) with s_i known: random-effects
meta-analysis, calibration; with sigma fixed at 0 weighted least squares. With weights
``w_i = 1 / (sigma^2 + s_i^2)``, and theta ~ N(m, P^-1) (P has zeros for flat coefficients), all
coefficients integrate out, and what remains is the posterior of sigma alone (Gelman et al. 2013,
*Bayesian Data Analysis*, 3rd ed., section 5.4),

.. math::

    \log p(y | \sigma) = -\tfrac12\Big[\sum_i \log(\sigma^2 + s_i^2) + \log\det(X'WX + P)
    + \min_\theta \big\{(y - X\theta)' W (y - X\theta) + (\theta - m)' P (\theta - m)\big\}\Big].

No sufficient statistics serve every sigma, so the distinct rows are kept. They are brought to the
basis in which ``X'WX + P`` is the identity at a sigma that the data allow, and the outcome to what
theta leaves of it there. In that basis sums of products lose no digits, and those of many sigmas
are one product of matrices. As functions of ``t = log sigma`` they, the log determinant and the
squares that are left have no singularity within pi / 2 of the real line (they could have one only
where sigma^2 is a negative number), so that polynomials of degree 23 on intervals of length 2 are
right to 12 digits: from a few dozen sigmas on any number of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.random import Generator
from scipy.linalg import solve_triangular

from interventional.data.seen import DistinctRows
from interventional.inference.exact import (
    REACH,
    FlatColumns,
    LogDensity,
    by_name,
    normal_priors,
    refuse_ends,
)
from interventional.inference.scales import DROP, Scale, Tables, zoom
from interventional.numbers import Floats
from interventional.scm.equations import Equation

_BLOCK = 1 << 20  # numbers in the making at a time
_POINTS = 1025  # of the grid on which the distribution of sigma is inverted
_NODES, _WIDTH = 24, 2.0  # of an interval of log sigma


def draw(
    equation: Equation,
    seen: DistinctRows,
    log_prior_sigma: LogDensity,
    likely_sigma: float,
    n_draws: int,
    rng: Generator,
) -> dict[str, Floats]:
    """Draw from the exact posterior.

    Parameters
    ----------
    equation : Equation
        The equation; its priors are conjugate (`EquationPriors.conjugacy_obstacle`).
    seen : DistinctRows
        The rows, with errors.
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

    Raises
    ------
    ValueError
        If the posterior is improper.
    """
    rows, fixed = _Rows.of(equation, seen), equation.priors.fixed_sigma
    uniform = rng.uniform(size=n_draws)
    noise = rng.standard_normal((n_draws, rows.a.shape[1]))
    if fixed is not None:
        problem = _Problem.at(rows, fixed)
        theta = problem.theta + noise @ problem.back.T
        return {**rows.by_name(theta), "sigma": np.full(n_draws, fixed)}
    prior = Scale.of(log_prior_sigma, likely_sigma)
    # The basis of a sigma near the posterior's: what is found in the first may be off by digits.
    near = rows.scale
    for _ in range(2):
        problem = _Problem.at(rows, near)
        t, values = _over_mass(problem, prior, np.log(rows.scale))
        near = float(np.exp(t[np.argmax(values)]))
    problem = _Problem.at(rows, near)
    t, values = _over_mass(problem, prior, np.log(rows.scale))
    held = values > values.max() - DROP
    to_zero = held[0] and t[0] == np.log(rows.scale) - REACH
    without_bounds = held[-1] and t[-1] == np.log(rows.scale) + REACH
    refuse_ends(seen.moments.y_scale == 0, to_zero, without_bounds)
    sums = _Interpolated.of(problem, t[0], t[-1])
    t = np.linspace(t[0], t[-1], _POINTS)
    density = prior.log_density(t) + problem.log_marginal(sums.at(t))
    table = Tables.of(t[None], density[None])
    drawn = table.quantiles(np.zeros(n_draws, dtype=np.intp), uniform)
    drawn = np.clip(drawn, prior.low, prior.high)
    theta = problem.coefficients(sums.at(drawn), noise)
    return {**rows.by_name(theta), "sigma": np.exp(drawn)}


def refuse_undetermined(equation: Equation, seen: DistinctRows) -> None:
    """Refuse rows that leave a coefficient with a Flat prior without bounds."""
    _Rows.of(equation, seen)


@dataclass(frozen=True)
class _Rows:
    """The rows, and the priors of their coefficients, that of the intercept first.

    Attributes
    ----------
    a, y : ndarray of shape (n, p) and (n,)
        The design with the intercept's column, and the outcome.
    weights, variances : ndarray of shape (n,)
        Frequencies, and squares of the known errors.
    m, precision : ndarray of shape (p,)
        Prior mean, and one over the prior's standard deviation: 0 for flat ones.
    root : ndarray of shape (p, p) or None
        From coefficients in units of their priors, which those here then are, to themselves.
    shift : ndarray of shape (terms,) or None
        What to add to an intercept at x = 0, by coefficients, to have it at the means.
    scale : float
        A sigma of the size of the outcome.
    """

    a: Floats
    y: Floats
    weights: Floats
    variances: Floats
    m: Floats
    precision: Floats
    root: Floats | None
    shift: Floats | None
    scale: float

    @classmethod
    def of(cls, equation: Equation, seen: DistinctRows) -> "_Rows":
        """Read an equation and its rows; refuse flat priors of what rows do not determine."""
        assert seen.errors is not None
        a, shift = seen.matrix, None
        if equation.has_intercept:  # the coefficient is the intercept at `center`
            shift = seen.x_mean - equation.center
            a = np.column_stack([np.ones(len(a)), a - equation.center])
        normal, m, s = normal_priors(equation)
        flat = np.flatnonzero(~normal).tolist()
        if flat:
            FlatColumns.of(equation, np.linalg.qr(a, mode="r"), flat)
        variances = np.square(seen.errors)
        size = float(np.average(np.square(seen.target - seen.moments.y_mean) + variances))
        root = None
        if s.ndim == 2:
            root, a, m, s = s, a @ s, np.linalg.solve(s, m), np.ones(len(m))
        precision = np.where(normal, 1 / s, 0.0)
        scale = float(np.sqrt(size)) if size > 0 else 1.0
        return cls(a, seen.target, seen.weights, variances, m, precision, root, shift, scale)

    def by_name(self, theta: Floats) -> dict[str, Floats]:
        """Return draws of all coefficients by name, the intercept at the predictors' means."""
        if self.root is not None:
            theta = theta @ self.root.T
        return by_name(theta, self.shift)


@dataclass(frozen=True)
class _Problem:
    """The rows in the basis of the module.

    Attributes
    ----------
    rows : _Rows
        The rows before.
    theta : ndarray of shape (p,)
        Posterior mean of the coefficients at the sigma of the basis.
    back : ndarray of shape (p, p)
        From that basis to the coefficients.
    z : ndarray of shape (n, p + 1)
        The design in that basis, and what theta leaves of the outcome.
    given : ndarray of shape (p + 1, p + 1)
        Sums of products of what the prior adds as rows.
    """

    rows: _Rows
    theta: Floats
    back: Floats
    z: Floats
    given: Floats

    @classmethod
    def at(cls, rows: _Rows, sigma: float) -> "_Problem":
        """Bring rows to the basis of a sigma."""
        root = np.sqrt(rows.weights / (sigma**2 + rows.variances))
        p = rows.a.shape[1]
        known = np.diag(rows.precision)
        stacked = np.concatenate([rows.a * root[:, None], known])
        target = np.concatenate([rows.y * root, rows.precision * rows.m])
        r = np.linalg.qr(np.column_stack([stacked, target]), mode="r")[:p]
        back = solve_triangular(r[:, :p], np.eye(p)) if p else np.empty((0, 0))
        theta = back @ r[:, p]
        z = np.column_stack([rows.a @ back, rows.y - rows.a @ theta])
        prior = np.column_stack([known @ back, rows.precision * (rows.m - theta)])
        return cls(rows, theta, back, z, prior.T @ prior)

    def sums(self, t: Floats) -> Floats:
        """Return sums at log sigmas, (m, pairs + 1): of products of z, and of log variances."""
        first, second = np.triu_indices(self.z.shape[1])
        found = np.zeros((len(t), len(first) + 1))
        variance = np.exp(2 * t)[:, None]
        step = max(_BLOCK // (len(t) + len(first)), 1)
        for start in range(0, len(self.z), step):
            block = slice(start, start + step)
            z, weights = self.z[block], self.rows.weights[block]
            total = variance + self.rows.variances[block]
            found[:, :-1] += (weights / total) @ (z[:, first] * z[:, second])
            found[:, -1] += np.log(total) @ weights
        return found

    def log_marginal(self, sums: Floats) -> Floats:
        """Log density of the data given sums, (m,), coefficients integrated out."""
        root, pull, squares = self._solved(sums)
        log_root = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        left = squares - np.square(pull).sum(axis=1)
        return -0.5 * (sums[:, -1] + left) - log_root

    def coefficients(self, sums: Floats, noise: Floats) -> Floats:
        """Draw coefficients given the sums of each draw, (draws, p)."""
        root, pull, _ = self._solved(sums)
        moved = np.linalg.solve(np.swapaxes(root, 1, 2), (pull + noise)[:, :, None])[:, :, 0]
        return self.theta + moved @ self.back.T

    def _solved(self, sums: Floats) -> tuple[Floats, Floats, Floats]:
        """Return roots L of the precisions, L^-1 of what pulls at theta, and squares left."""
        width = self.z.shape[1]
        whole = np.empty((len(sums), width, width))
        first, second = np.triu_indices(width)
        whole[:, first, second] = whole[:, second, first] = sums[:, :-1]
        whole += self.given
        root = _cholesky(whole[:, :-1, :-1])
        pull = np.linalg.solve(root, whole[:, :-1, -1:])[:, :, 0]
        return root, pull, whole[:, -1, -1]


@dataclass(frozen=True)
class _Interpolated:
    """Sums as polynomials of log sigma, one each on intervals of equal length.

    Attributes
    ----------
    low, width : float
        Where the first interval begins, and how long each is.
    coefficients : ndarray of shape (intervals, nodes, sums)
        Those of Chebyshev polynomials.
    """

    low: float
    width: float
    coefficients: Floats

    @classmethod
    def of(cls, problem: _Problem, low: float, high: float) -> "_Interpolated":
        """Interpolate the sums of a problem."""
        count = max(int(np.ceil((high - low) / _WIDTH)), 1)
        width = max(high - low, 1e-9) / count
        nodes = chebyshev.chebpts1(_NODES)
        begins = low + width * np.arange(count)
        t = begins[:, None] + width * (nodes + 1) / 2
        sums = problem.sums(t.ravel()).reshape(count, _NODES, -1)
        return cls(low, width, np.linalg.inv(chebyshev.chebvander(nodes, _NODES - 1)) @ sums)

    def at(self, t: Floats) -> Floats:
        """Return the sums at log sigmas, (m, sums)."""
        share = (t - self.low) / self.width
        which = np.clip(share.astype(np.intp), 0, len(self.coefficients) - 1)
        basis = chebyshev.chebvander(2 * (share - which) - 1, _NODES - 1)
        found = np.empty((len(t), self.coefficients.shape[2]))
        for k in np.unique(which):
            found[which == k] = basis[which == k] @ self.coefficients[k]
        return found


def _over_mass(problem: _Problem, prior: Scale, center: float) -> tuple[Floats, Floats]:
    """Return a grid of log sigma over what holds mass, and the log density there."""

    def log_density(t: Floats) -> Floats:
        return prior.log_density(t) + problem.log_marginal(problem.sums(t.ravel()))

    low = max(center - REACH, prior.low)
    high = max(min(center + REACH, prior.high), low)
    ends = np.array([[low]]), np.array([[high]])
    t, values = zoom(log_density, *ends, np.array([[prior.likely]]), _NODES)
    if not np.isfinite(values).any():
        raise ValueError("the prior of sigma excludes every value that the data allow")
    return t[0], values[0]


def _cholesky(precisions: Floats) -> Floats:
    """Return lower triangular roots; what rounding took below zero counts as little."""
    try:
        return np.linalg.cholesky(precisions)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(precisions)
        least = 1e-14 * np.abs(values).max(axis=1, initial=0.0)[:, None]
        squares = np.sqrt(np.maximum(values, least))[:, :, None] * np.swapaxes(vectors, 1, 2)
        root = np.swapaxes(np.linalg.qr(squares, mode="r"), 1, 2)
        return root * np.where(np.diagonal(root, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None]
