"""Laplace's approximation: a Gaussian with the mode and the curvature of the posterior."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from interventional.inference.density import LogPosterior
from interventional.numbers import Floats

_WEIGHED = 2**18  # draws times rows to spend on k-hat
_FEWEST_WEIGHED = 250
_NEWTON_STEPS = 100


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian x, and coordinates in which it is standard normal.

    Attributes
    ----------
    mean, scale : ndarray of shape (parameters,)
        Mean of x, and what gives its precision a unit diagonal.
    factor : ndarray of shape (parameters, parameters)
        Lower Cholesky factor of the precision of ``x / scale``.
    """

    mean: Floats
    scale: Floats
    factor: Floats

    def shift(self, z: Floats) -> Floats:
        """Return ``x - mean`` for z (..., parameters) in the coordinates."""
        return (
            self.scale
            * solve_triangular(self.factor, z.T, lower=True, trans="T", check_finite=False).T
        )

    def pull(self, gradient: Floats) -> Floats:
        """Return a gradient by z, given that by x."""
        return solve_triangular(self.factor, self.scale * gradient, lower=True, check_finite=False)

    def draw(self, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return draws, and their log density."""
        z = rng.standard_normal((size, len(self.mean)))
        log_volume = np.log(self.scale).sum() - np.log(np.diag(self.factor)).sum()
        return self.mean + self.shift(z), log_normal(z) - log_volume


def log_normal(z: Floats) -> Floats:
    """Return the standard normal log density of each row."""
    return -0.5 * (z**2).sum(axis=1) - z.shape[1] / 2 * np.log(2 * np.pi)


def laplace(
    posterior: LogPosterior, size: int, rng: np.random.Generator
) -> tuple[Floats, Floats, list[str]]:
    """Return draws of x, log importance ratios of some of them, and what went wrong."""
    approximation, troubles = at_the_mode(posterior)
    x, log_q = approximation.draw(size, rng)
    return x, log_ratios(posterior, x, log_q), troubles


def log_ratios(posterior: LogPosterior, x: Floats, log_q: Floats) -> Floats:
    """Return log p/q at the first draws, as many as are quickly weighed."""
    weighed = max(_WEIGHED // posterior.rows, _FEWEST_WEIGHED)
    return posterior.heights(x[:weighed]) - log_q[:weighed]


def at_the_mode(posterior: LogPosterior) -> tuple[Gaussian, list[str]]:
    """Return the Gaussian with the posterior's mode and curvature there, and what went wrong.

    Newton's method with halved steps. Where the density is not curved downwards, curvatures are
    taken by their absolute value (Nocedal & Wright 2006, "Numerical Optimization", section 3.4).
    The distance left is measured in standard deviations of the posterior, which does not depend
    on the units of the predictors.
    """
    x = posterior.start()
    value, gradient = posterior.slope(x)
    if not np.isfinite(value):
        raise ValueError(
            "the log density of the posterior is not finite where PyMC starts; give priors "
            "whose location is possible"
        )
    troubles = ["the maximum of the density was not found"]
    gain = np.inf
    for _ in range(_NEWTON_STEPS):
        curvature = posterior.curvature(x)
        scale, factor = _unit_diagonal(curvature)
        if factor is None:
            step = _uphill(curvature, scale, gradient)
        else:
            step = scale * cho_solve((factor, True), scale * gradient)
        before, gain = gain, float(step @ gradient)  # the squared distance, for a Gaussian
        if gain < 1e-10 and factor is not None:
            if gain < 0.1 * before:  # else it creeps to where there is no curvature
                troubles = []
            break
        moved = _climb(posterior, x, value, step, gain)
        if moved is None:
            break
        x, value, gradient = moved
    if factor is None:
        raise ValueError(
            "inference='laplace' needs a posterior that is curved downwards in all directions at "
            "its mode, and this one is not: some parameters are not determined, or the density "
            "has no maximum. Give informative priors, or use inference='nuts'"
        )
    return Gaussian(x, scale, factor), troubles


def at_the_start(posterior: LogPosterior) -> Gaussian:
    """Return a Gaussian where PyMC starts, with the curvature there as far as it is one."""
    start = posterior.start()
    scale, factor = _unit_diagonal(posterior.curvature(start))
    return Gaussian(start, scale, np.eye(len(start)) if factor is None else factor)


def _unit_diagonal(curvature: Floats) -> tuple[Floats, Floats | None]:
    """Return the scale that gives a curvature a unit diagonal, and its Cholesky factor then.

    There is none if the curvature has directions of none, up to rounding.
    """
    diagonal = np.abs(np.diag(curvature))
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    try:
        factor = np.linalg.cholesky(scale[:, None] * curvature * scale)
    except np.linalg.LinAlgError:
        return scale, None
    return scale, (factor if np.diag(factor).min() > 1e-6 else None)


def _uphill(curvature: Floats, scale: Floats, gradient: Floats) -> Floats:
    """Return Newton's step with absolute curvatures."""
    scaled = scale[:, None] * curvature * scale
    if not np.isfinite(scaled).all():
        return scale * gradient
    values, vectors = np.linalg.eigh(scaled)
    size = np.abs(values)
    size = np.maximum(size, 1e-6 * size.max() + np.finfo(float).tiny)
    return scale * (vectors @ ((vectors.T @ (scale * gradient)) / size))


def _climb(
    posterior: LogPosterior, x: Floats, value: float, step: Floats, gain: float
) -> tuple[Floats, float, Floats] | None:
    """Return point, value and gradient a sufficient part of the step on; None if there is none."""
    rounding = 1e-13 * abs(value)
    for halvings in range(50):
        part = 0.5**halvings
        reached, gradient = posterior.slope(x + part * step)
        enough = value + 1e-4 * part * gain - rounding
        if np.isfinite([reached, *gradient]).all() and reached >= enough:
            return x + part * step, reached, gradient
    return None
