r"""Laplace's approximation: a Gaussian with the mode and the curvature of the posterior.

It is one of the unconstrained parameters x of the observed PyMC model (a positive parameter is
there by its logarithm), the Jacobian of the transforms included; its draws are mapped back. It is
exact where the posterior is Gaussian. Elsewhere the mode is off the mean, for an intercept of
counts by about parameters/(2 sum(y)).

Draws are independent. How far they can be trusted is told by the tail of the importance ratios
p(x)/q(x): its shape, Pareto k-hat, should be below min(1 - 1/log10(S), 0.7) for S draws (Vehtari,
Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed importance sampling", JMLR 25(72)).
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from interventional.inference.density import LogPosterior, compile_density
from interventional.inference.posterior import Sampling
from interventional.numbers import Floats
from interventional.scm.compiling import StructureCache

if TYPE_CHECKING:
    import pymc as pm

_densities = StructureCache(32)
_WEIGHED = 2**26  # draws times rows to spend on ratios
_FEWEST_WEIGHED = 250
_FAR_OFF = 1 / 4  # of a posterior standard deviation, for sure
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

    @classmethod
    def of_precision(cls, mean: Floats, precision: Floats) -> "Gaussian | None":
        """Return the Gaussian of a precision; None where that is not positive definite."""
        if not np.isfinite(precision).all():
            return None
        scale = 1 / np.sqrt(np.maximum(np.diag(precision), 1e-300))
        try:
            return cls(mean, scale, np.linalg.cholesky(scale[:, None] * precision * scale))
        except np.linalg.LinAlgError:
            return None

    def shift(self, z: Floats) -> Floats:
        """Return ``x - mean`` for z (..., parameters) in the coordinates."""
        return (
            self.scale
            * solve_triangular(self.factor, z.T, lower=True, trans="T", check_finite=False).T
        )

    def draw(self, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return draws, and their log density."""
        z = rng.standard_normal((size, len(self.mean)))
        log_normal = -0.5 * (z**2).sum(axis=1) - z.shape[1] / 2 * np.log(2 * np.pi)
        return self.mean + self.shift(z), log_normal - self.log_volume

    @property
    def log_volume(self) -> float:
        """Log of how much larger a volume is than in the coordinates."""
        return float(np.log(self.scale).sum() - np.log(np.diag(self.factor)).sum())


class Posterior(Protocol):
    """A log density of unconstrained parameters, up to a constant."""

    @property
    def rows(self) -> int:
        """How many rows it looks at."""

    def start(self) -> Floats:
        """Return where to begin."""

    def slope(self, x: Floats) -> tuple[float, Floats]:
        """Return value and gradient at x."""

    def curvature(self, x: Floats) -> Floats:
        """Return the negative Hessian at x."""

    def heights(self, points: Floats) -> Floats:
        """Return the values at many points."""

    def variables(self, points: Floats) -> dict[str, Floats]:
        """Return the model's variables at many points, constrained as they are in the model."""


def compiled(
    build: "Callable[[], pm.Model]",
    data: Mapping[str, Any],
    key: Hashable,
    wanted: Collection[str] | None = None,
) -> LogPosterior:
    """Return the posterior of an observed model.

    Parameters
    ----------
    build : callable
        Returns the observed model.
    data : mapping
        The data of the model, by the names of its shared variables.
    key : hashable
        The structure of the model; equal keys share what is compiled.
    wanted : collection of str, optional
        The deterministic variables that are computed for draws; by default all.
    """
    density = _densities.get(key, lambda: compile_density(build(), data, wanted))
    return LogPosterior(density, density.arrays(data))


def sample(
    posterior: Posterior, sampling: Sampling
) -> tuple[dict[str, Floats], dict[str, NDArray[Any]], str, list[str]]:
    """Draw from Laplace's approximation of a posterior.

    Parameters
    ----------
    posterior : Posterior
        The posterior.
    sampling : Sampling
        How many draws, from which seed. There is nothing to tune, and no process is started.

    Returns
    -------
    variables, sample_stats : dict
        Draws of every variable; and ``pareto_k``, the same number for every draw (NaN for fewer
        than 25 draws). Both by name, with leading shape (chains, draws).
    library : str
        Whose the engine is.
    troubles : list of str
        What is wrong with the approximation: that k-hat is too high, that a mean is off, or that
        Newton's method stopped early.

    Raises
    ------
    ValueError
        If the log density is not finite at its start, or not curved at its maximum.
    """
    shape = (sampling.chains, sampling.draws)
    sampling.tell("looking for the mode")
    approximation, troubles = at_the_mode(posterior)
    x, log_q = approximation.draw(shape[0] * shape[1], np.random.default_rng(sampling.seed))
    weighed = slice(max(_WEIGHED // posterior.rows, _FEWEST_WEIGHED))
    log_ratios = posterior.heights(x[weighed]) - log_q[weighed]
    k_hat, threshold = pareto_k(log_ratios)
    variables = posterior.variables(x)
    if k_hat > threshold:
        found = f"Pareto k-hat is {k_hat:.2f} (should be below {threshold:.2f})"
        troubles = [*troubles, found]
    elif not np.isnan(k_hat):
        held = {name: values[weighed] for name, values in variables.items()}
        troubles = [*troubles, *_off(held, log_ratios)]
    variables = {
        name: values.reshape(*shape, *values.shape[1:]) for name, values in variables.items()
    }
    return variables, {"pareto_k": np.full(shape, k_hat)}, "interventional", troubles


def _off(variables: Mapping[str, Floats], log_ratios: Floats) -> list[str]:
    """Return the mean that is furthest off, where that is too far: its ratios tell how far.

    That ratios are tame only says that weights could mend the draws, which nobody does.
    """
    weights = np.exp(log_ratios - log_ratios.max())
    weights /= weights.sum()
    worst, where = 0.0, ""
    for name, values in variables.items():
        flat = values.reshape(len(weights), -1)
        mean = weights @ flat
        spread = np.sqrt(weights @ np.square(flat - mean))
        varies = spread > 1e-9 * np.abs(mean)  # else it is known, but for rounding
        off = np.abs(flat.mean(axis=0) - mean)[varies] / spread[varies]
        if off.size and off.max() > worst:
            worst, where = float(off.max()), name
    # What ratios say has an error of its own: of as many draws as they are worth.
    if worst - 4 * np.sqrt(np.square(weights).sum()) < _FAR_OFF:
        return []
    return [f"the mean of {where} is off by {worst:.1f} posterior standard deviations"]


def pareto_k(log_ratios: Floats) -> tuple[float, float]:
    """Return Pareto k-hat of importance ratios, and the threshold that it should not exceed.

    Parameters
    ----------
    log_ratios : ndarray of shape (draws,)
        Log of target over proposal density at draws from the proposal.
    """
    from arviz_stats.base import array_stats

    size = len(log_ratios)
    if size < 25:  # a tail of less than five
        return np.nan, np.nan
    threshold = min(1 - 1 / np.log10(size), 0.7)
    log_ratios = log_ratios[np.isfinite(log_ratios)]  # what is left out has no weight
    if len(log_ratios) < 25:
        return np.inf, threshold
    if np.ptp(log_ratios) < 1e-6:  # equal weights, up to rounding, have no tail
        return 0.0, threshold
    k_hat = float(array_stats.psislw(-log_ratios)[1])
    return (k_hat if np.isfinite(k_hat) else np.inf), threshold


def at_the_mode(posterior: Posterior) -> tuple[Gaussian, list[str]]:
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
    posterior: Posterior, x: Floats, value: float, step: Floats, gain: float
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
