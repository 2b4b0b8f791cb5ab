"""NUTS on the observed model: compiled once per structure, fed new data from then on."""

import logging
import warnings
from collections.abc import Hashable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.logprob.transforms import Transform
from pymc.model.transform.conditioning import change_value_transforms
from sklearn.exceptions import ConvergenceWarning

from interventional.cache import StructureCache
from interventional.design import Floats
from interventional.model import Equation, compact_data, compact_model
from interventional.suffstats import SufficientStatistics

if TYPE_CHECKING:
    import xarray as xr

    from interventional.inference import Sampling

_compiled = StructureCache(32)
_SAMPLE_STATS = ("diverging", "energy", "depth", "tree_depth", "n_steps", "step_size")


def sample(
    equation: Equation, statistics: SufficientStatistics, key: Hashable, sampling: "Sampling"
) -> tuple[dict[str, Floats], dict[str, NDArray[Any]]]:
    """Sample the observed model, through nutpie, or PyMC's own sampler where nutpie is absent.

    Parameters
    ----------
    equation : Equation
        The equation.
    statistics : SufficientStatistics
        What the likelihood sees.
    key : hashable
        The structure of the model; equal keys share one compiled model.
    sampling : Sampling
        How to sample.

    Returns
    -------
    tuple of dict
        Draws of every variable, and the sampler's statistics, both by name, with leading shape
        (chains, draws).
    """
    if find_spec("nutpie") is None:
        trace = _sample_pymc(equation, statistics, sampling)
    else:
        trace = _sample_nutpie(equation, statistics, key, sampling)
    _warn_of_poor_convergence(trace)
    variables = {str(name): v.values for name, v in trace["posterior"].data_vars.items()}
    stats = trace["sample_stats"].dataset
    return variables, {name: stats[name].values for name in _SAMPLE_STATS if name in stats}


class Scaled(Transform):
    """Sample a variable in units of the data's scale: which units they came in is no matter."""

    name = "scaled"

    def __init__(self, scale: Any):
        self.scale = scale

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the variable in units of the scale."""
        return value / self.scale

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the variable in its own units."""
        return value * self.scale

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the logarithm of the scale, for each element."""
        return pt.log(self.scale) + pt.zeros_like(value)


def _scales(equation: Equation, statistics: SufficientStatistics) -> dict[str, Floats]:
    """Return by variable the scale that the data suggest."""
    moments = statistics.moments
    y_scale = moments.y_scale if moments.y_scale > 0 else 1.0
    name = equation.outcome
    scales = {f"{name}_intercept": np.asarray(y_scale)}
    groups = equation.priors.groups
    for group in groups:
        variable = f"{name}_beta" if len(groups) == 1 else f"{name}_beta_{group.name}"
        scales[variable] = y_scale / moments.x_scale[list(group.terms)]
    return scales


def _scaled_model(equation: Equation, statistics: SufficientStatistics) -> pm.Model:
    import pytensor

    model = compact_model(equation, statistics)
    free = {rv.name for rv in model.free_RVs if model.rvs_to_transforms[rv] is None}
    transforms = {
        name: Scaled(pytensor.shared(scale, name=f"{name}__scale"))
        for name, scale in _scales(equation, statistics).items()
        if name in free
    }
    return change_value_transforms(model, transforms)


def _sample_nutpie(
    equation: Equation, statistics: SufficientStatistics, key: Hashable, sampling: "Sampling"
) -> "xr.DataTree":
    import nutpie

    compiled = _compiled.get(
        key, lambda: nutpie.compile_pymc_model(_scaled_model(equation, statistics))
    )
    data = compact_data(equation, statistics)
    data |= {
        f"{name}__scale": scale for name, scale in _scales(equation, statistics).items()
    }
    used = {variable.name for variable in compiled.shared_var_keys}
    compiled = compiled.with_data(**{name: v for name, v in data.items() if name in used})
    return nutpie.sample(
        compiled,
        draws=sampling.draws,
        tune=sampling.tune,
        chains=sampling.chains,
        cores=min(sampling.n_jobs, sampling.chains),
        seed=sampling.seed,
        save_warmup=False,
        progress_bar=sampling.verbose,
    )


def _sample_pymc(
    equation: Equation, statistics: SufficientStatistics, sampling: "Sampling"
) -> "xr.DataTree":
    log = logging.getLogger("pymc")
    level = log.level
    try:
        if not sampling.verbose:
            log.setLevel(logging.ERROR)
        with _scaled_model(equation, statistics):
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
    if posterior.sizes["chain"] > 1:
        worst = _extreme(az.rhat(posterior), max)
        if not worst <= 1.01:
            troubles.append(f"R-hat up to {worst:.3f} (should be below 1.01)")
    effective = _extreme(az.ess(posterior), min)
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
