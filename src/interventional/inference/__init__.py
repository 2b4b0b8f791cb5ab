"""From a structural model and its data to draws: `infer_all` picks the engines and runs them."""

import threading
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interventional.cache import StructureCache
from interventional.compact import (
    DATA,
    categorical_data,
    categorical_model,
    compact_data,
    compact_model,
)
from interventional.design import Floats
from interventional.exceptions import unknown
from interventional.inference import exact
from interventional.model import Equation, StructuralModel
from interventional.priors import python_mode
from interventional.suffstats import DistinctRows, SufficientStatistics

if TYPE_CHECKING:
    import xarray as xr

ENGINES = ("auto", "exact", "nuts")
_models = StructureCache(64)
_sigma_priors = StructureCache(64)
_calling = threading.Lock()  # the inputs of a compiled function are its state


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
    engine, library : str
        Who drew: the engine, and the library whose it is.
    variables : dict
        Draws by name, each of shape (chains, draws, ...).
    sample_stats : dict
        What the sampler reports, each of shape (chains, draws); empty for independent draws.
    """

    engine: str
    library: str
    variables: Mapping[str, Floats]
    sample_stats: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def choose_engine(inference: str, equation: Equation) -> str:
    """Return the engine that was asked for, or for ``"auto"`` the best that serves."""
    if inference not in ENGINES:
        raise ValueError(unknown("inference", inference, ENGINES))
    obstacle = equation.priors.conjugacy_obstacle
    if equation.family != "gaussian":
        obstacle = f"{equation.node!r} is a column of levels"
    if inference == "exact" and obstacle is not None:
        raise ValueError(
            "inference='exact' draws Gaussian equations under Normal or Flat priors of "
            f"coefficients and any positive prior of sigma, but {obstacle}; use inference='auto' "
            "or 'nuts'"
        )
    if inference == "auto":
        return "exact" if obstacle is None else "nuts"
    return inference


def infer_all(
    model: StructuralModel,
    data: Sequence[SufficientStatistics | DistinctRows | None],
    inference: str,
    sampling: Sampling,
) -> list[Posterior]:
    """Draw from the posterior of every equation; all nodes are observed, so it factorises.

    The outcome's draws are the same whichever equations stand beside it. Where more chains may
    run side by side than an equation has, so do equations that take NUTS.
    """
    last = len(model.equations) - 1

    def draw(k: int) -> Posterior:
        seed = sampling.seed
        if k < last:
            seed = int(np.random.SeedSequence([seed, k]).generate_state(1)[0] >> 1)
        return infer(model.equations[k], data[k], inference, replace(sampling, seed=seed))

    by_nuts = [choose_engine(inference, e) for e in model.equations].count("nuts")
    side_by_side = min(sampling.n_jobs // sampling.chains, by_nuts)
    if side_by_side < 2:
        return [draw(k) for k in range(last + 1)]
    with ThreadPoolExecutor(side_by_side) as pool:
        return list(pool.map(draw, range(last + 1)))


def infer(
    equation: Equation,
    data: SufficientStatistics | DistinctRows | None,
    inference: str,
    sampling: Sampling,
) -> Posterior:
    """Draw from the posterior of an equation's parameters.

    The observed model is built once per structure. NUTS samples it; the exact engine takes from it
    the density of sigma's prior and knows the rest in closed form.
    """
    engine = choose_engine(inference, equation)
    name = equation.node
    stats: Mapping[str, NDArray[Any]] = {}
    library = "interventional"
    if isinstance(data, DistinctRows):
        from interventional.inference import nuts

        key = (name, equation.priors.skeleton, data.matrix.shape[1], equation.n_blocks)
        variables, stats, library = nuts.sample(
            lambda: categorical_model(equation, data),
            categorical_data(equation, data),
            key,
            sampling,
        )
    else:
        assert data is not None
        shape = (data.r.shape, data.has_residual)
        key = (name, equation.priors.skeleton, *shape)
        if engine == "nuts":
            variables, stats, library = _nuts(equation, data, key, sampling)
        else:
            variables = _exact(equation, data, key, sampling)
    variables = dict(variables)
    if equation.has_intercept:  # from the means of the predictors to zero
        beta = variables[f"{name}_beta"]
        if equation.n_blocks > 1:
            beta = beta.reshape(*beta.shape[:2], equation.n_blocks, -1)
        variables[f"{name}_intercept"] = variables[f"{name}_intercept"] - beta @ data.x_mean
    return Posterior(engine, library, variables, stats)


def _nuts(
    equation: Equation, statistics: SufficientStatistics, key: Hashable, sampling: Sampling
) -> tuple[dict[str, Floats], dict[str, NDArray[Any]], str]:
    from interventional.inference import nuts

    plain = equation.priors.sigma is not None and equation.priors.sigma.is_plain
    log_prior = _prior_sigma(key, equation, statistics)[0] if plain else None
    exact.refuse_improper(equation, statistics, log_prior)
    return nuts.sample(
        lambda: compact_model(equation, statistics),
        compact_data(equation, statistics),
        key,
        sampling,
    )


def _exact(
    equation: Equation, statistics: SufficientStatistics, key: Hashable, sampling: Sampling
) -> dict[str, Floats]:
    name = equation.node
    draws = exact.draw(
        equation,
        statistics,
        *_prior_sigma(key, equation, statistics),
        sampling.chains * sampling.draws,
        np.random.default_rng(sampling.seed),
    )
    variables = {
        f"{name}_{parameter}": values.reshape(sampling.chains, sampling.draws, *values.shape[1:])
        for parameter, values in draws.items()
    }
    if len(equation.priors.groups) > 1:  # the model has a variable for each group
        beta = variables[f"{name}_beta"]
        for group in equation.priors.groups:
            variables[f"{name}_beta_{group.name}"] = beta[..., list(group.terms)]
    return variables


def to_datatree(model: StructuralModel, posteriors: Sequence[Posterior]) -> "xr.DataTree":
    """Return all draws as ArviZ takes them, with named dimensions and coordinates."""
    import xarray as xr

    sample = ("chain", "draw")
    chains, draws = posteriors[-1].variables[f"{model.outcome}_beta"].shape[:2]
    coords: dict[str, Any] = {"chain": np.arange(chains), "draw": np.arange(draws)}
    variables: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    for equation, posterior in zip(model.equations, posteriors, strict=True):
        dims, own = _dims(equation)
        coords |= own
        for name, values in posterior.variables.items():
            variables[name] = ((*sample, *dims.get(name, ())), values)
        prefix = "" if equation is model.of_outcome else f"{equation.node}_"
        stats |= {prefix + name: (sample, v) for name, v in posterior.sample_stats.items()}
    attributes = {
        "inference_library": posteriors[-1].library,
        "creation_library": "interventional",
        "creation_library_version": _version(),
        "inference": posteriors[-1].engine,
        "sample_dims": list(sample),
    }
    if model.graph is not None:
        pairs = zip(model.equations, posteriors, strict=True)
        attributes["inference_by_node"] = [f"{e.node}: {p.engine}" for e, p in pairs]
    groups = {"/posterior": xr.Dataset(variables, coords, attributes)}
    if stats:
        own = {name: coords[name] for name in sample}
        groups["/sample_stats"] = xr.Dataset(stats, own, attributes)
    return xr.DataTree.from_dict(groups)


@cache
def _version() -> str:
    from importlib.metadata import version

    return version("interventional")


def _dims(equation: Equation) -> tuple[dict[str, tuple[str, ...]], dict[str, NDArray[Any]]]:
    """Return dimensions of the variables of an equation, and coordinates of these."""
    name, groups = equation.node, equation.priors.groups
    labels = np.asarray(equation.coefficients, dtype=str)
    dims: dict[str, tuple[str, ...]] = {f"{name}_beta": (f"{name}_term",)}
    coords = {f"{name}_term": labels}
    if equation.n_blocks > 1:
        dims[f"{name}_intercept"] = (f"{name}_block",)
        coords[f"{name}_block"] = np.asarray([str(level) for level in equation.levels[1:]])
    blocks = np.arange(equation.n_blocks)[:, None] * len(equation.design.terms)
    for group in groups if len(groups) > 1 else ():
        dims[f"{name}_beta_{group.name}"] = (f"{name}_{group.name}_term",)
        coords[f"{name}_{group.name}_term"] = labels[(blocks + np.asarray(group.terms)).ravel()]
    return dims, coords


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
        prior = model[f"{equation.node}_sigma"]
        sigma, numbers = pt.vector("sigma"), pt.vector("numbers")
        outputs = [pm.logp(prior, sigma), support_point(prior)]
        shared: dict[Any, Any] = {v: numbers for v in graph_inputs(outputs) if v.name == DATA}
        outputs = graph_replace(outputs, shared) if shared else outputs
        return pytensor.function(
            [sigma, numbers], outputs, mode=python_mode(), on_unused_input="ignore"
        )

    function = _sigma_priors.get(key, compile_prior)
    numbers = compact_data(equation, statistics)[DATA]

    def evaluate(sigma: Floats) -> Any:
        with _calling:
            return function(sigma, numbers)

    return (lambda sigma: evaluate(sigma)[0]), float(evaluate(np.ones(1))[1])
