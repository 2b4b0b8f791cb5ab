"""Pathfinder: Gaussians on the way to the mode, resampled by importance."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from interventional.inference.density import LogPosterior, vectorised_mode
from interventional.inference.laplace import Gaussian, at_the_start
from interventional.numbers import Floats
from interventional.scm.compiling import StructureCache

_path_gaussians = StructureCache(32)
_PATHS = 4
_ATTEMPTS = 10  # of a path to leave its start


def pathfinder(
    posterior: LogPosterior, size: int, rng: np.random.Generator, verbose: bool
) -> tuple[Floats, Floats, list[str]]:
    """Return resampled draws of x, log importance ratios before, and what went wrong.

    These are the parts of `pymc_extras.fit_pathfinder`, which would compile them at each call.
    Their coordinates are those in which the curvature where PyMC starts is one, so that jitter and
    L-BFGS suit all predictors.
    """
    from pymc_extras.inference.pathfinder.importance_sampling import importance_sampling

    begin = at_the_start(posterior)
    seeds = rng.spawn(_PATHS)
    each = -(-2 * size // _PATHS)
    paths = [
        _path(posterior, begin, each, seeds[i]) for i in _progress(_PATHS, "Pathfinder", verbose)
    ]
    found = [path for path in paths if path is not None]
    if not found:
        raise ValueError(
            "inference='pathfinder': no path led from the start to a maximum of the density; give "
            "informative priors, or use inference='nuts'"
        )
    z, log_p, log_q = (np.stack(parts) for parts in zip(*found, strict=True))
    chosen = importance_sampling(
        z, log_p, log_q, size, "psir", random_seed=int(rng.integers(2**31))
    ).samples
    troubles = []
    if len(found) < _PATHS:
        troubles.append(f"{_PATHS - len(found)} of {_PATHS} paths led nowhere")
    return begin.mean + begin.shift(rng.permutation(chosen)), (log_p - log_q).ravel(), troubles


def _path(
    posterior: LogPosterior, begin: Gaussian, size: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats] | None:
    """Return draws from the best Gaussian along a path, their log p and log q; None if none."""
    from pymc_extras.inference.pathfinder.lbfgs import (
        LBFGS,
        LBFGSConfig,
        LBFGSStatus,
        LBFGSStreamingCallback,
    )

    p = len(begin.mean)
    config = LBFGSConfig(ftol=1e-9).set_default_maxcor(p)
    gaussian, calling = _path_gaussians.get(
        (p, config.maxcor), lambda: _compile_path_gaussian(p, config.maxcor)
    )

    def objective(z: Floats) -> tuple[float, Floats]:
        value, gradient = posterior.slope(begin.mean + begin.shift(z))
        return -value, -begin.pull(gradient)

    def draw(*state: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        with calling, np.errstate(all="ignore"):
            z, log_q, _, variance = gaussian(*state)
        return z, log_q, posterior.heights(begin.mean + begin.shift(z)), variance

    for _ in range(_ATTEMPTS):
        first = rng.uniform(-2.0, 2.0, p)
        callback = LBFGSStreamingCallback(
            objective, first, draw, 10, rng, config.maxcor, config.epsilon
        )
        optimiser = LBFGS(
            objective,
            config.maxcor,
            config.maxiter,
            config.ftol,
            config.gtol,
            config.maxls,
            config.epsilon,
        )
        steps, status = optimiser.minimize_streaming(callback, first)
        if status != LBFGSStatus.LBFGS_FAILED and steps >= 2 and callback.any_valid:
            best = callback.best_state
            noise = rng.standard_normal((size, p))
            z, log_q, log_p, _ = draw(
                *(best[name] for name in ("x", "g", "alpha", "s_win", "z_win")), noise
            )
            return z, log_p, log_q
    return None


def _compile_path_gaussian(size: int, memory: int) -> tuple[Callable[..., Any], threading.Lock]:
    """Compile pymc_extras' Gaussian of an L-BFGS state; its model here is only a size."""
    import pymc as pm
    from pymc_extras.inference.pathfinder.bfgs_sample import make_pathfinder_sample_fn

    with pm.Model(model=None) as model:
        pm.Flat("x", shape=size)
    function = make_pathfinder_sample_fn(
        model,
        size,
        memory,
        jacobian=True,
        compile_kwargs={"mode": vectorised_mode()},
        vectorize=True,
    )
    return function, threading.Lock()


def _progress(size: int, what: str, verbose: bool) -> Iterable[int]:
    """Count, with a bar that shows it if verbose."""
    if not verbose:
        return range(size)
    from rich.progress import track

    return track(range(size), description=what)
