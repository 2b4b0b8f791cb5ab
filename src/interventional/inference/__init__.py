"""From a structural model and its data to draws: `infer_all` picks the engines and runs them."""

import threading
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interventional.cache import StructureCache
from interventional.compact import (
    DATA,
    OBSERVED,
    compact_data,
    compact_model,
    rows_data,
    rows_model,
)
from interventional.design import Floats
from interventional.exceptions import unknown
from interventional.inference import diagnostics, exact
from interventional.model import Equation, StructuralModel
from interventional.priors import python_mode
from interventional.shrinkage import KINDS, TARGET_ACCEPT, auxiliary
from interventional.suffstats import DistinctRows, SufficientStatistics

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

APPROXIMATE = ("laplace", "advi", "pathfinder")
ENGINES = ("auto", "exact", "nuts", *APPROXIMATE)
_models = StructureCache(64)
_scale_priors = StructureCache(64)
_calling = threading.Lock()  # the inputs of a compiled function are its state


@dataclass(frozen=True)
class Sampling:
    """How to draw: sizes, seed, what to show, and how often NUTS should accept a step."""

    draws: int
    tune: int
    chains: int
    seed: int
    n_jobs: int
    verbose: bool
    target_accept: float = 0.8


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
    troubles : sequence of str
        What is wrong with the draws; empty if all is well.
    """

    engine: str
    library: str
    variables: Mapping[str, Floats]
    sample_stats: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    troubles: Sequence[str] = ()


def choose_engine(inference: str, equation: Equation) -> str:
    """Return the engine that was asked for, or for ``"auto"`` the best that serves."""
    if inference not in ENGINES:
        raise ValueError(unknown("inference", inference, ENGINES))
    obstacle = equation.priors.conjugacy_obstacle
    if equation.is_categorical:
        obstacle = f"{equation.node!r} is a column of levels"
    elif equation.record.inner is None:
        obstacle = f"the family of {equation.node!r} is {equation.family!r}"
    if inference == "exact" and obstacle is not None:
        raise ValueError(
            "inference='exact' draws Gaussian and lognormal equations under Normal or Flat "
            "priors of coefficients, one hierarchical one among them, and any positive prior of "
            f"sigma, but {obstacle}; use inference='auto', 'nuts' or 'laplace'"
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

    Warns
    -----
    ConvergenceWarning
        Once, of all equations whose draws cannot be trusted.
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
        posteriors = [draw(k) for k in range(last + 1)]
    else:
        with ThreadPoolExecutor(side_by_side) as pool:
            posteriors = list(pool.map(draw, range(last + 1)))
    pairs = list(zip(model.equations, posteriors, strict=True))
    troubles = {equation.node: posterior.troubles for equation, posterior in pairs}
    engine = next((posterior.engine for _, posterior in pairs if posterior.troubles), "")
    diagnostics.warn(engine, troubles, several=last > 0)
    return posteriors


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
    troubles: Sequence[str] = ()
    library = "interventional"
    assert data is not None
    key = _key(equation, data)
    if engine == "exact":
        assert isinstance(data, SufficientStatistics)
        variables = _exact(equation, data, key, sampling)
    else:
        if isinstance(data, SufficientStatistics):
            sigma = equation.priors.sigma
            plain = sigma is not None and sigma.is_plain
            log_prior = None
            if plain:
                log_prior, _ = _prior_density(key, equation, data, f"{name}_sigma")
            exact.refuse_improper(equation, data, log_prior)
        variables, stats, library, troubles = _sampled(engine, equation, data, key, sampling)
    # What the sampler moves in stead of coefficients is nobody's parameter.
    variables = {key: value for key, value in variables.items() if not key.endswith("_raw")}
    if equation.has_intercept:  # from the means of the predictors to zero
        beta = variables[f"{name}_beta"]
        if equation.n_blocks > 1:
            beta = beta.reshape(*beta.shape[:2], equation.n_blocks, -1)
        variables[f"{name}_intercept"] = variables[f"{name}_intercept"] - beta @ data.x_mean
    return Posterior(engine, library, variables, stats, troubles)


def _key(equation: Equation, data: SufficientStatistics | DistinctRows) -> Hashable:
    """Return what two observed models share if one compiled graph serves both."""
    key = (equation.node, equation.priors.skeleton)
    if isinstance(data, SufficientStatistics):
        return (*key, data.has_residual)
    return (*key, equation.family, equation.n_blocks, data.are_weighted, data.offset is None)


def _sampled(
    engine: str,
    equation: Equation,
    data: SufficientStatistics | DistinctRows,
    key: Hashable,
    sampling: Sampling,
) -> tuple[dict[str, Floats], dict[str, NDArray[Any]], str, list[str]]:
    """Draw by NUTS, or from an approximation, from the observed PyMC model."""

    def build() -> "pm.Model":
        if isinstance(data, SufficientStatistics):
            return compact_model(equation, data)
        return rows_model(equation, data)

    if isinstance(data, SufficientStatistics):
        numbers = compact_data(equation, data)
    else:
        numbers = rows_data(equation, data)
    if engine == "nuts":
        from interventional.inference import nuts

        if equation.priors.shrinks:
            sampling = replace(sampling, target_accept=TARGET_ACCEPT)
        # nutpie compiles for a number of parameters, and of what a Gaussian equation observes.
        key = (key, len(equation.coefficients), len(numbers.get(OBSERVED, ())))
        return nuts.sample(build, numbers, key, sampling, partial(_label, equation))
    from interventional.inference import approximate

    return approximate.sample(engine, build, numbers, key, sampling)


def _exact(
    equation: Equation, statistics: SufficientStatistics, key: Hashable, sampling: Sampling
) -> dict[str, Floats]:
    name, n_draws = equation.node, sampling.chains * sampling.draws
    rng = np.random.default_rng(sampling.seed)
    sigma = _prior_density(key, equation, statistics, f"{name}_sigma")
    learning = equation.priors.learning
    if learning is None:
        draws = exact.draw(equation, statistics, *sigma, n_draws, rng)
    else:
        from interventional.inference import hierarchical

        scale_name = equation.scale_name(learning)
        mu, unit = learning.prior.location_and_unit(len(learning.terms))
        hierarchy = hierarchical.Hierarchy(
            learning.terms, mu, unit, *_prior_density(key, equation, statistics, scale_name)
        )
        draws = hierarchical.draw(equation, statistics, hierarchy, *sigma, n_draws, rng)
    variables = {
        f"{name}_{parameter}": values.reshape(sampling.chains, sampling.draws, *values.shape[1:])
        for parameter, values in draws.items()
    }
    if learning is not None:
        variables[scale_name] = variables.pop(f"{name}_tau")
    if len(equation.priors.groups) > 1:  # the model has a variable for each group
        beta = variables[f"{name}_beta"]
        for group in equation.priors.groups:
            variables[equation.group_name(group)] = beta[..., list(group.terms)]
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


def _label(equation: Equation, variable: str, position: tuple[int, ...]) -> str:
    """Return what an element of a variable is called: ``y_beta['price']``."""
    dims, coords = _dims(equation)
    own = dims.get(variable, ())
    if len(own) != len(position):
        return diagnostics.by_position(variable, position)
    labels = [repr(str(coords[dim][at])) for dim, at in zip(own, position, strict=True)]
    return f"{variable}[{', '.join(labels)}]" if labels else variable


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
    for group in groups:
        variable, members = equation.group_name(group), (blocks + np.asarray(group.terms)).ravel()
        if len(groups) > 1:
            coords[f"{name}_{group.name}_term"] = labels[members]
        own = f"{name}_term" if len(groups) == 1 else f"{name}_{group.name}_term"
        dims[variable] = (own,)
        dims[f"{variable}_offset"] = (own,)  # of a user's prior that is not centred
        kind = group.prior.distribution
        for ending, per_term in auxiliary(kind).items() if kind in KINDS else ():
            if per_term:
                dims[f"{variable}{ending}"] = (own,)
    return dims, coords


def _prior_density(
    key: Hashable, equation: Equation, statistics: SufficientStatistics, variable: str
) -> tuple[exact.LogDensity, float]:
    """Return the log density of a scale's prior in the observed PyMC model, and a likely value."""

    def compile_prior() -> Any:
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt
        from pymc.distributions.distribution import support_point
        from pytensor.graph.replace import graph_replace
        from pytensor.graph.traversal import graph_inputs

        model = _models.get(key, lambda: compact_model(equation, statistics))
        prior = model[variable]
        scale, numbers = pt.vector("scale"), pt.vector("numbers")
        outputs = [pm.logp(prior, scale), support_point(prior)]
        shared: dict[Any, Any] = {v: numbers for v in graph_inputs(outputs) if v.name == DATA}
        outputs = graph_replace(outputs, shared) if shared else outputs
        return pytensor.function(
            [scale, numbers], outputs, mode=python_mode(), on_unused_input="ignore"
        )

    function = _scale_priors.get((key, variable), compile_prior)
    numbers = compact_data(equation, statistics)[DATA]

    def evaluate(scale: Floats) -> Any:
        with _calling:
            return function(scale, numbers)

    return (lambda scale: evaluate(scale)[0]), float(evaluate(np.ones(1))[1])
