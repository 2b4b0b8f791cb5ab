r"""Gaussian approximations of the posterior: Laplace, ADVI, Pathfinder.

All three put a Gaussian on the unconstrained parameters x of the observed PyMC model (a positive
parameter is there by its logarithm) and map its draws back. They approximate the density of x, the
Jacobian of the transforms included; Laplace's mode, too, is that of this density.

The density is compiled once per model structure, by the Python linker, with the data as inputs.
Draws are independent. How far they can be trusted is told by the tail of the importance ratios
p(x)/q(x): its shape, Pareto k-hat, should be below min(1 - 1/log10(S), 0.7) for S draws (Vehtari,
Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed importance sampling", JMLR 25(72)).
"""

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from interventional.errors import unknown
from interventional.inference.density import LogPosterior, compile_density
from interventional.inference.laplace import (
    at_the_mode,
    at_the_start,
    laplace,
    log_normal,
    log_ratios,
)
from interventional.inference.pathfinder import pathfinder
from interventional.numbers import Floats
from interventional.scm.compiling import StructureCache

if TYPE_CHECKING:
    import pymc as pm

    from interventional.inference.posterior import Sampling

ENGINES = ("laplace", "advi", "pathfinder")
Draws = dict[str, Floats]
Stats = dict[str, NDArray[Any]]
Build = Callable[[], "pm.Model"]


_densities = StructureCache(32)
_slopes = StructureCache(32)
_FIXED_DRAWS = 64  # at least, that ADVI's ELBO is a mean over


def sample(
    engine: str, build: Build, data: Mapping[str, Any], key: Hashable, sampling: "Sampling"
) -> tuple[Draws, Stats, str, list[str]]:
    """Draw from a Gaussian approximation of the posterior of an observed model.

    Parameters
    ----------
    engine : {"laplace", "advi", "pathfinder"}
        ``"laplace"`` takes mode and curvature: exact where the posterior is Gaussian. Elsewhere
        the mode is off the mean, for an intercept of counts by about parameters/(2 sum(y)).
        ``"advi"`` is mean-field: means are right where the posterior is Gaussian, but variances
        are those of a parameter given all others, too small if parameters are correlated.
        ``"pathfinder"`` picks Gaussians along four optimisation paths and resamples their draws by
        importance (Zhang, Carpenter, Gelman & Vehtari 2022, JMLR 23(306)).
    build : callable
        Returns the observed model.
    data : mapping
        The data of the model, by the names of its shared variables.
    key : hashable
        The structure of the model; equal keys share what is compiled.
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
        What is wrong with the approximation: that k-hat is too high, or an optimiser stopped
        early.

    Raises
    ------
    ValueError
        If the log density is not finite at its start, or not curved at its maximum.
    """
    if engine not in ENGINES:
        raise ValueError(unknown("inference", engine, ENGINES))
    density = _densities.get(key, lambda: compile_density(build(), data))
    posterior = LogPosterior(density, density.arrays(data))
    rng = np.random.default_rng(sampling.seed)
    size = sampling.chains * sampling.draws
    if engine == "laplace":
        x, ratios, troubles = laplace(posterior, size, rng)
    elif engine == "advi":
        x, ratios, troubles = _advi(posterior, key, size, rng)
    else:
        x, ratios, troubles = pathfinder(posterior, size, rng, sampling.verbose)
    k_hat, threshold = pareto_k(ratios)
    if k_hat > threshold:
        troubles = [*troubles, f"Pareto k-hat is {k_hat:.2f} (should be below {threshold:.2f})"]
    shape = (sampling.chains, sampling.draws)
    variables = {
        name: values.reshape(*shape, *values.shape[1:])
        for name, values in posterior.variables(x).items()
    }
    library = "pymc_extras" if engine == "pathfinder" else "interventional"
    return variables, {"pareto_k": np.full(shape, k_hat)}, library, troubles


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


def _advi(
    posterior: LogPosterior, key: Hashable, size: int, rng: np.random.Generator
) -> tuple[Floats, Floats, list[str]]:
    """Return draws of x, log importance ratios of some of them, and what went wrong.

    The ELBO of a mean-field Gaussian (Kucukelbir, Tran, Ranganath, Gelman & Blei 2017, JMLR
    18(14)) as a mean over fixed draws, which a quasi-Newton method can climb (Giordano, Ingram &
    Broderick 2024, JMLR 25(18)), as `pymc_extras.fit_dadvi` has it. First and second moments of
    the fixed draws are those of the standard normal distribution, so that nothing of their noise
    is left where the posterior is Gaussian. Laplace's mode and curvature are start and units.
    """
    p = len(posterior.start())
    try:
        center, _ = at_the_mode(posterior)
    except ValueError:
        center = at_the_start(posterior)
    slopes = _slopes.get(key, posterior.density.compile_slopes)
    half = max(p, _FIXED_DRAWS // 2)
    z = np.sqrt(half) * np.linalg.qr(rng.standard_normal((half, p)))[0]
    z = np.concatenate([z, -z])
    level = posterior.slope(center.mean)[0]

    def negative_elbo(parameters: Floats) -> tuple[float, Floats]:
        v, log_scale = parameters[:p], parameters[p:]
        noise = np.exp(log_scale) * z
        values, gradients = posterior.slopes(
            slopes, center.mean + center.shift(v) + center.scale * noise
        )
        elbo = values.mean() - level + log_scale.sum()
        if not (np.isfinite(elbo) and np.isfinite(gradients).all()):
            return np.inf, np.zeros(2 * p)
        by_loc = center.pull(gradients.mean(axis=0))
        by_log_scale = (gradients * center.scale * noise).mean(axis=0) + 1
        return -elbo, -np.concatenate([by_loc, by_log_scale])

    with np.errstate(all="ignore"):
        found = minimize(
            negative_elbo,
            np.zeros(2 * p),
            jac=True,
            method="L-BFGS-B",
            options={"ftol": 1e-8, "gtol": 1e-4, "maxiter": 500, "maxfun": 1000},
        )
    v, log_scale = found.x[:p], found.x[p:]
    standard = rng.standard_normal((size, p))
    x = center.mean + center.shift(v) + center.scale * np.exp(log_scale) * standard
    log_q = log_normal(standard) - np.log(center.scale).sum() - log_scale.sum()
    troubles = [] if found.success else ["the maximum of the ELBO was not found"]
    return x, log_ratios(posterior, x, log_q), troubles
