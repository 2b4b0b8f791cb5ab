r"""The Gaussian that is nearest to a posterior by Kullback and Leibler, as a proposal.

A Gaussian of mean m and covariance S minimises KL(q‖p) where the expected gradient is zero and
the inverse of S is the expected negative curvature (Opper and Archambeau 2009, "The variational
Gaussian approximation revisited", Neural Computation 21(3)). Then what is left of log p - log q is
uncorrelated with all linear and quadratic functions under q, so that its mean and its covariance
are those of the posterior but for what is of second order in the differences of logs.

The steps are Newton's: S⁻¹ = -E[∇²log p], m += rho S E[∇log p], rho halved until the evidence's
lower bound does not fall.
"""

from dataclasses import dataclass, replace

import numpy as np

from interventional.inference.laplace import Gaussian
from interventional.inference.target import Target
from interventional.numbers import Floats

_STEPS = 60
_MANY_ROWS = 20_000  # more than it takes to come near
_CLOSE = 1e-3  # what the bound may still gain
_DIFFERENCE = 1e-3  # of a log, in standard deviations, to take differences of gradients


def nearest(target: Target) -> Gaussian | None:
    """Return the Gaussian nearest to a target; None where none was found."""
    start = climbed(target)
    if start is None:
        return None
    state = _Fit.at(target, start, curved(target, start))
    for _ in range(10):  # the curvature at a mode may be far too flat
        narrower = _Fit.at(target, start, 4 * state.precision)
        if not narrower.bound > state.bound:
            break
        state = narrower
    rho = 1.0
    for _ in range(_STEPS):
        if not np.isfinite(state.bound):
            return None
        wanted = state.expected_curvature()
        moved = None
        while rho > 1e-3 and moved is None:
            precision = (1 - rho) * state.precision + rho * wanted
            root = _root(precision)
            if root is not None:
                step = np.linalg.solve(precision, state.slope)
                tried = _Fit.at(target, state.mean + rho * step, precision)
                if tried.bound >= state.bound - 1e-7:
                    moved = tried
            if moved is None:
                rho /= 2
        if moved is None:
            break
        gain, state = moved.bound - state.bound, moved
        if gain < _CLOSE * rho:
            break
        rho = min(1.0, 1.5 * rho)
    return state.gaussian()


@dataclass(frozen=True, eq=False)
class _Fit:
    """A Gaussian, and what a target is on average under it."""

    target: Target
    mean: Floats
    precision: Floats
    covariance: Floats
    bound: float
    slope: Floats
    of_b: Floats

    @classmethod
    def at(cls, target: Target, mean: Floats, precision: Floats) -> "_Fit":
        root = _root(precision)
        if root is None:
            nothing = np.full_like(mean, np.nan)
            return cls(target, mean, precision, precision, -np.inf, nothing, precision)
        inverse = np.linalg.inv(precision)
        covariance = (inverse + inverse.T) / 2
        with np.errstate(all="ignore"):
            height, slope, of_b = _expected(target, mean, covariance)
        bound = height - float(np.log(np.diag(root)).sum())
        finite = np.isfinite(bound) and np.isfinite(slope).all() and np.isfinite(of_b).all()
        return cls(target, mean, precision, covariance, bound if finite else -np.inf, slope, of_b)

    def expected_curvature(self) -> Floats:
        """Return the expected negative curvature, (d, d)."""
        p, k = self.target.size
        found = np.zeros_like(self.precision)
        found[:p, :p] = self.of_b
        for j in range(p, p + k):
            step = np.zeros(p + k)
            step[j] = _DIFFERENCE * np.sqrt(self.covariance[j, j])
            with np.errstate(all="ignore"):
                up = _expected(self.target, self.mean + step, self.covariance)[1]
                down = _expected(self.target, self.mean - step, self.covariance)[1]
            found[:, j] = found[j, :] = (down - up) / (2 * step[j])
        return (found + found.T) / 2

    def gaussian(self) -> Gaussian | None:
        """Return it in coordinates in which it is standard."""
        return Gaussian.of_precision(self.mean, self.precision)


def _expected(target: Target, mean: Floats, covariance: Floats) -> tuple[float, Floats, Floats]:
    try:
        return target.expected(mean, covariance)
    except np.linalg.LinAlgError:
        return -np.inf, np.full_like(mean, np.nan), covariance


def _root(matrix: Floats) -> Floats | None:
    """Return the Cholesky factor of a matrix; None where it is not positive definite."""
    if not np.isfinite(matrix).all():
        return None
    try:
        root: Floats = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    return root


def climbed(target: Target) -> Floats | None:
    """Return a point where the density is high.

    Coefficients and the other parameters climb in turns: together they may climb to where the
    density is infinite, as that of Student's t is for a scale of zero.
    """
    p, k = target.size
    if len(target.matrix) > _MANY_ROWS:
        near = climbed(target.thinned(_MANY_ROWS))
        if near is not None:
            target = replace(target, start=near)
    x = target.start.copy()
    for _ in range(3 if k else 1):
        x = _newton(target, x, slice(0, p))
        if k:
            x = _newton(target, x, slice(p, p + k))
    return x if np.isfinite(target.heights(x[None])[0]) else None


def _newton(target: Target, x: Floats, part: slice) -> Floats:
    """Climb along some of the unknowns; curvatures by their absolute value."""
    p, _ = target.size
    for _ in range(50):
        height, slope = target.heights(x[None])[0], target.slopes(x[None])[0, part]
        curvature = target.curvature(x) if part.start < p else _bent(target, x)
        if not (np.isfinite(curvature).all() and np.isfinite(slope).all()):
            break
        step = np.zeros_like(x)
        step[part] = uphill(curvature, slope)
        if part.start >= p:  # of logs, a few times their size
            step /= max(1.0, float(np.abs(step).max()) / 1.5)
        gain = float(step[part] @ slope)
        if gain < 1e-9:
            break
        for share in 0.5 ** np.arange(12):
            reached = target.heights((x + share * step)[None])[0]
            if reached >= height + 1e-4 * share * gain - 1e-12 * abs(height):
                x = x + share * step
                break
        else:
            break
    return x


def uphill(curvature: Floats, slope: Floats) -> Floats:
    """Return Newton's step, with curvatures by their absolute value."""
    values, vectors = np.linalg.eigh(curvature)
    size = np.maximum(np.abs(values), 1e-10 * np.abs(values).max() + np.finfo(float).tiny)
    return np.asarray(vectors @ ((vectors.T @ slope) / size))


def _bent(target: Target, x: Floats) -> Floats:
    """Return the negative curvature by the logs at a point, by differences."""
    p, k = target.size
    step = np.zeros((k, p + k))
    step[:, p:] = 1e-4 * np.eye(k)
    up, down = target.slopes(x + step)[:, p:], target.slopes(x - step)[:, p:]
    found = (down - up) / 2e-4
    return (found + found.T) / 2


def curved(target: Target, x: Floats) -> Floats:
    """Return a precision at a point, which along no direction is flat."""
    p, k = target.size
    found = np.zeros((p + k, p + k))
    found[:p, :p] = _bounded(target.curvature(x), 1e-9)
    if k:
        found[p:, p:] = _bounded(_bent(target, x), 0.5)
    return found


def _bounded(matrix: Floats, least: float) -> Floats:
    """Return a matrix whose eigenvalues are above a bound, or else their absolute values."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(np.abs(values), least)) @ vectors.T)
