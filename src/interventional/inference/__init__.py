"""From an equation and its data to draws: `infer` picks the engine and runs it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interventional.cache import StructureCache
from interventional.design import Floats
from interventional.exceptions import unknown
from interventional.inference import exact
from interventional.model import DATA, Equation, compact_data, compact_model
from interventional.priors import python_mode
from interventional.suffstats import SufficientStatistics

if TYPE_CHECKING:
    import xarray as xr

ENGINES = ("auto", "exact", "nuts")
_models = StructureCache(64)
_sigma_priors = StructureCache(64, per_thread=True)


@dataclass(frozen=True)
class Sampling:
    """How to draw: sizes, seed, and what to show."""

    draws: int
    tune: int
    chains: int
    seed: int
    n_jobs: int
    verbose: bool


@dataclass(frozen=True)
class Posterior:
    """Draws of one equation's parameters.

    Attributes
    ----------
    engine : str
        How it was drawn.
    library : str
        Who drew.
    variables : dict
        Draws by name, each of shape (chains, draws, ...).
    dims : dict
        The dimension of each variable that is a vector.
    sample_stats : dict
        What the sampler reports, each of shape (chains, draws); empty for independent draws.
    """

    engine: str
    library: str
    variables: Mapping[str, Floats]
    dims: Mapping[str, str]
    sample_stats: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def choose_engine(inference: str, equation: Equation) -> str:
    """Return the engine that was asked for, or for ``"auto"`` the best that serves."""
    if inference not in ENGINES:
        raise ValueError(unknown("inference", inference, ENGINES))
    obstacle = equation.priors.conjugacy_obstacle
    if inference == "exact" and obstacle is not None:
        raise ValueError(
            "inference='exact' draws under Normal or Flat priors of coefficients and any positive "
            f"prior of sigma, but {obstacle}; use inference='auto' or 'nuts'"
        )
    if inference == "auto":
        return "exact" if obstacle is None else "nuts"
    return inference


def infer(
    equation: Equation, statistics: SufficientStatistics, inference: str, sampling: Sampling
) -> Posterior:
    """Draw from the posterior of an equation's parameters.

    The observed model, `compact_model`, is built once per structure. NUTS samples it; the exact
    engine takes from it the density of sigma's prior and knows the rest in closed form.
    """
    engine = choose_engine(inference, equation)
    key = (
        equation.outcome,
        equation.priors.skeleton,
        statistics.r.shape,
        statistics.has_residual,
    )
    if engine == "nuts":
        from interventional.inference import nuts

        plain = equation.priors.sigma.is_plain
        log_prior = _prior_sigma(key, equation, statistics)[0] if plain else None
        exact.refuse_improper(equation, statistics, log_prior)
        variables, sample_stats, library = nuts.sample(equation, statistics, key, sampling)
    else:
        n_draws = sampling.chains * sampling.draws
        draws = exact.draw(
            equation,
            statistics,
            *_prior_sigma(key, equation, statistics),
            n_draws,
            np.random.default_rng(sampling.seed),
        )
        shape = (sampling.chains, sampling.draws)
        variables = {
            f"{equation.outcome}_{name}": values.reshape(*shape, *values.shape[1:])
            for name, values in draws.items()
        }
        variables |= _group_parts(equation, variables[f"{equation.outcome}_beta"])
        sample_stats, library = {}, "interventional"
    name = equation.outcome
    if equation.has_intercept:  # from the means of the predictors to zero
        at_zero = variables[f"{name}_intercept"] - variables[f"{name}_beta"] @ statistics.x_mean
        variables[f"{name}_intercept"] = at_zero
    return Posterior(engine, library, variables, _dims(equation, variables), sample_stats)


def to_datatree(posterior: Posterior, equation: Equation) -> "xr.DataTree":
    """Return draws as ArviZ takes them, with named dimensions and coordinates."""
    from importlib.metadata import version

    import xarray as xr

    chains, draws = posterior.variables[f"{equation.outcome}_sigma"].shape
    sample = {"chain": np.arange(chains), "draw": np.arange(draws)}
    terms = np.asarray(equation.design.terms, dtype=str)
    coords = {**sample, f"{equation.outcome}_term": terms}
    for group in equation.priors.groups if len(equation.priors.groups) > 1 else ():
        coords[f"{equation.outcome}_{group.name}_term"] = terms[list(group.terms)]
    attributes = {
        "inference_library": posterior.library,
        "creation_library": "interventional",
        "creation_library_version": version("interventional"),
        "inference": posterior.engine,
        "sample_dims": ["chain", "draw"],
    }
    groups = {
        "/posterior": xr.Dataset(
            {
                name: (
                    ("chain", "draw", posterior.dims[name])
                    if name in posterior.dims
                    else ("chain", "draw"),
                    values,
                )
                for name, values in posterior.variables.items()
            },
            coords,
            attributes,
        )
    }
    if posterior.sample_stats:
        stats = {name: (("chain", "draw"), v) for name, v in posterior.sample_stats.items()}
        groups["/sample_stats"] = xr.Dataset(stats, sample, attributes)
    return xr.DataTree.from_dict(groups)


def _group_parts(equation: Equation, beta: Floats) -> dict[str, Floats]:
    """Return the coefficients of each group, where the model has a variable for each."""
    groups = equation.priors.groups
    if len(groups) < 2:
        return {}
    return {
        f"{equation.outcome}_beta_{group.name}": beta[..., list(group.terms)] for group in groups
    }


def _dims(equation: Equation, variables: Mapping[str, Floats]) -> dict[str, str]:
    name = equation.outcome
    dims = {f"{name}_beta": f"{name}_term"}
    for group in equation.priors.groups:
        variable = f"{name}_beta_{group.name}"
        if len(equation.priors.groups) > 1 and variable in variables:
            dims[variable] = f"{name}_{group.name}_term"
    return dims


def _prior_sigma(
    key: Hashable, equation: Equation, statistics: SufficientStatistics
) -> tuple[exact.LogDensity, float]:
    """Return the log density of sigma's prior in the observed PyMC model, and a likely value."""

    def compile_prior() -> Any:
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt
        from pymc.distributions.distribution import support_point
        from pytensor.graph.replace import graph_replace
        from pytensor.graph.traversal import graph_inputs

        model = _models.get(key, lambda: compact_model(equation, statistics))
        prior = model[f"{equation.outcome}_sigma"]
        sigma, numbers = pt.vector("sigma"), pt.vector("numbers")
        outputs = [pm.logp(prior, sigma), support_point(prior)]
        shared: dict[Any, Any] = {v: numbers for v in graph_inputs(outputs) if v.name == DATA}
        outputs = graph_replace(outputs, shared) if shared else outputs
        return pytensor.function(
            [sigma, numbers], outputs, mode=python_mode(), on_unused_input="ignore"
        )

    function = _sigma_priors.get(key, compile_prior)
    numbers = compact_data(equation, statistics)[DATA]
    return (lambda sigma: function(sigma, numbers)[0]), float(function(np.ones(1), numbers)[1])
