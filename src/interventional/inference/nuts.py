"""NUTS on the observed model: compiled once per structure, fed new data from then on."""

import logging
import warnings
from collections.abc import Callable, Hashable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from interventional.cache import StructureCache
from interventional.design import Floats

if TYPE_CHECKING:
    import xarray as xr

    from interventional.inference import Sampling

_compiled = StructureCache(32)
_SAMPLE_STATS = ("diverging", "energy", "depth", "tree_depth", "n_steps", "step_size")


def sample(
    build: Callable[[], pm.Model], data: Mapping[str, Any], key: Hashable, sampling: "Sampling"
) -> tuple[dict[str, Floats], dict[str, NDArray[Any]], str]:
    """Sample an observed model, through nutpie, or PyMC's own sampler where nutpie is absent.

    Parameters
    ----------
    build : callable
        Returns the observed model.
    data : mapping
        The data of the model, by the names of its shared variables.
    key : hashable
        The structure of the model; equal keys share one compiled model.
    sampling : Sampling
        How to sample.

    Returns
    -------
    variables, sample_stats : dict
        Draws of every variable, and the sampler's statistics, both by name, with leading shape
        (chains, draws).
    library : str
        Who sampled.
    """
    library = "pymc" if find_spec("nutpie") is None else "nutpie"
    if library == "nutpie":
        trace = _sample_nutpie(build, data, key, sampling)
    else:
        trace = _sample_pymc(build(), sampling)
    _warn_of_poor_convergence(trace)
    variables = {str(name): v.values for name, v in trace["posterior"].data_vars.items()}
    stats = trace["sample_stats"].dataset
    return variables, {n: stats[n].values for n in _SAMPLE_STATS if n in stats}, library


def _sample_nutpie(
    build: Callable[[], pm.Model], data: Mapping[str, Any], key: Hashable, sampling: "Sampling"
) -> "xr.DataTree":
    import nutpie

    compiled = _compiled.get(key, lambda: nutpie.compile_pymc_model(build()))
    used = {variable.name for variable in compiled.shared_var_keys}
    compiled = compiled.with_data(**{name: data[name] for name in used})
    return nutpie.sample(
        compiled,
        draws=sampling.draws,
        tune=max(sampling.tune, 1),  # nutpie panics without any
        chains=sampling.chains,
        cores=min(sampling.n_jobs, sampling.chains),
        seed=sampling.seed,
        adaptation="low_rank",  # predictors are correlated: 4 steps a draw where "diag" needs 65
        save_warmup=False,
        progress_bar=sampling.verbose,
    )


def _sample_pymc(model: pm.Model, sampling: "Sampling") -> "xr.DataTree":
    log = logging.getLogger("pymc")
    level = log.level
    try:
        if not sampling.verbose:
            log.setLevel(logging.ERROR)
        with model:
            return pm.sample(
                draws=sampling.draws,
                tune=sampling.tune,
                chains=sampling.chains,
                cores=min(sampling.n_jobs, sampling.chains),
                random_seed=sampling.seed,
                progressbar=sampling.verbose,
                compute_convergence_checks=False,
                nuts_sampler="pymc",
            )
    finally:
        log.setLevel(level)


def _warn_of_poor_convergence(trace: "xr.DataTree") -> None:
    """Warn once, with numbers and remedy, if the chains cannot be trusted."""
    import arviz as az

    posterior = trace["posterior"].dataset
    if posterior.sizes["draw"] < 4:
        return
    divergent = int(trace["sample_stats"]["diverging"].sum())
    troubles = []
    with np.errstate(all="ignore"):  # chains that do not move have no variance to divide by
        effective = _extreme(az.ess(posterior), min)
        worst = _extreme(az.rhat(posterior), max) if posterior.sizes["chain"] > 1 else 1.0
    if not worst <= 1.01:
        troubles.append(f"R-hat up to {worst:.3f} (should be below 1.01)")
    wanted = 100 * posterior.sizes["chain"]
    if not effective >= wanted:
        troubles.append(f"effective sample size down to {effective:.0f} (should be {wanted})")
    if divergent:
        troubles.append(f"{divergent} divergent transitions")
    if troubles:
        warnings.warn(
            f"NUTS has not converged: {'; '.join(troubles)}. Raise tune and draws; if divergences "
            "remain, give more informative priors",
            ConvergenceWarning,
            stacklevel=2,
        )


def _extreme(values: "xr.Dataset", which: Any) -> float:
    found = [float(which(v.values.ravel())) for v in values.data_vars.values() if v.size]
    return float(which(found)) if found else float("nan")
