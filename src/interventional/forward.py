"""The posterior predictive under an intervention, drawn from PyMC's graph.

`pm.do` acts on the generative model by name: on the columns that are forced, and on all that the
intervention does not reach, which keep the row's values. The nodes that it does reach are
regenerated. The graph that results is vectorised over the posterior and compiled for the plain
Python linker, once per structure; columns, forced values and parameters are its inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from interventional.cache import StructureCache
from interventional.design import Floats, TreatmentCoding
from interventional.model import Equation, Regeneration, StructuralModel, generative_model
from interventional.priors import python_mode

_functions = StructureCache(64, per_thread=True)
_BLOCK = 1 << 24  # draws times rows that are in the making at a time
_LARGEST = 1 << 30  # draws times rows that an answer holds: 8 GB
_INNER = 50  # draws of mediators that an expectation averages over, where it has no closed form


@dataclass(frozen=True)
class Query:
    """An intervention on rows, and what it reaches.

    Attributes
    ----------
    values : ndarray of shape (n, columns)
        Encoded rows as they were observed.
    forced : mapping
        What each column is forced to, of shape (n,), or (draws, n) if it differs by draw.
    regenerated : tuple of str
        The columns that the intervention reaches, in topological order, without the outcome.
    """

    values: Floats
    forced: Mapping[str, Floats]
    regenerated: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Plan:
    """What is compiled: which node is wanted, and how each other comes by its values."""

    target: str
    noise: bool
    level: int | None
    forced: tuple[str, ...]
    by_draw: tuple[str, ...]
    how: tuple[tuple[str, Regeneration], ...]

    drawn: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        drawn = {node: None for node, how in self.how if how == "draw"}
        if self.noise:
            drawn[self.target] = None
        object.__setattr__(self, "drawn", tuple(drawn))


def predictive(
    model: StructuralModel, query: Query, parameters: Mapping[str, Floats], seed: int
) -> Floats:
    """Draw new outcomes, noise included.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    query : Query
        The rows and what is forced.
    parameters : mapping
        Posterior draws of each parameter, of shape (draws, ...).
    seed : int
        Equal seeds give equal noise, node by node: contrasts are paired.

    Returns
    -------
    ndarray of shape (draws, n)
    """
    how: dict[str, Regeneration] = dict.fromkeys(query.regenerated, "draw")
    return _draw(model, query, parameters, model.outcome, how, [seed], noise=True)


def expected(
    model: StructuralModel, query: Query, parameters: Mapping[str, Floats], seed: int
) -> Floats:
    """Return the expected outcome for each posterior draw, the noise of mediators averaged out.

    Exact where each mediator enters linear Gaussian equations only, or is categorical and reached
    by no other; else the average over independent draws of the mediators, the same in every call
    with the same seed.

    Parameters and returned shape are those of `predictive`.
    """
    how = _linear_or_drawn(model, query.regenerated)
    if "draw" not in how.values():
        return _draw(model, query, parameters, model.outcome, how, [seed], noise=False)
    drawn = [node for node, what in how.items() if what == "draw"]
    levels = [range(len(model.equation(node).levels)) for node in drawn]
    if all(levels) and np.prod([len(codes) for codes in levels]) <= _INNER:
        return _over_levels(model, query, parameters, how, dict(zip(drawn, levels, strict=True)))
    total: Floats | float = 0.0
    for k in range(_INNER):
        total += _draw(model, query, parameters, model.outcome, how, [seed, k], noise=False)
    return np.asarray(total / _INNER)


def _over_levels(
    model: StructuralModel,
    query: Query,
    parameters: Mapping[str, Floats],
    how: Mapping[str, Regeneration],
    levels: Mapping[str, range],
) -> Floats:
    """Return the expected outcome, a sum over the levels of categorical mediators."""
    rest = {node: what for node, what in how.items() if node not in levels}
    n = len(query.values)
    total: Floats | float = 0.0
    for codes in product(*levels.values()):
        at = dict(zip(levels, codes, strict=True))
        fixed = {node: np.full(n, float(code)) for node, code in at.items()}
        here = Query(query.values, {**query.forced, **fixed})
        weight: Floats | float = 1.0
        for node, code in at.items():
            several = model.equation(node).n_blocks > 1
            level = code if several else None
            p = _draw(model, here, parameters, node, rest, [0], noise=False, level=level)
            weight = weight * (p if several or code == 1 else 1 - p)
        total += weight * _draw(model, here, parameters, model.outcome, rest, [0], noise=False)
    return np.asarray(total)


def draw_node(
    model: StructuralModel,
    query: Query,
    parameters: Mapping[str, Floats],
    node: str,
    seed: int,
) -> Floats:
    """Draw one regenerated node, with the noise that `predictive` gives it, (draws, n)."""
    before = query.regenerated[: query.regenerated.index(node)]
    how: dict[str, Regeneration] = dict.fromkeys((*before, node), "draw")
    return _draw(model, query, parameters, node, how, [seed], noise=True)


def retrospective(
    model: StructuralModel,
    query: Query,
    parameters: Mapping[str, Floats],
    observed: Mapping[str, Floats],
) -> Floats:
    """Return the outcome that each row would have had, its residuals kept.

    Parameters
    ----------
    model, query, parameters
        As in `predictive`.
    observed : mapping
        What each regenerated node and the outcome were observed at, (n,).

    Returns
    -------
    ndarray of shape (draws, n)
    """
    at_rest = Query(query.values, {})
    residuals = {
        node: observed[node] - _draw(model, at_rest, parameters, node, {}, [0], noise=False)
        for node in (*query.regenerated, model.outcome)
    }
    how: dict[str, Regeneration] = dict.fromkeys(query.regenerated, "residual")
    mean = _draw(
        model, query, parameters, model.outcome, how, [0], noise=False, residuals=residuals
    )
    return mean + residuals[model.outcome]


def _linear_or_drawn(
    model: StructuralModel, regenerated: tuple[str, ...]
) -> dict[str, Regeneration]:
    """Say for which mediators their expectation may stand: those that enter linearly."""
    how: dict[str, Regeneration] = {}
    consumers = [model.of_outcome]
    for node in reversed(regenerated):
        users = [equation for equation in consumers if node in equation.variables]
        linear = all(
            _is_linear_in(equation, node) and how.get(equation.node, "mean") == "mean"
            for equation in users
        )
        own = model.equation(node)
        how[node] = "mean" if linear and own.n_blocks == 1 else "draw"
        consumers.append(own)
    return how


def _is_linear_in(equation: Equation, node: str) -> bool:
    design = equation.design
    return (
        equation.family == "gaussian"
        and isinstance(design, TreatmentCoding)
        and design.schema.levels[equation.variables.index(node)] is None
    )


def _draw(
    model: StructuralModel,
    query: Query,
    parameters: Mapping[str, Floats],
    target: str,
    how: Mapping[str, Regeneration],
    seed: list[int],
    *,
    noise: bool,
    residuals: Mapping[str, Floats] | None = None,
    level: int | None = None,
) -> Floats:
    """Evaluate a node of the graph, or a level's probability, under `pm.do`, in blocks of rows."""
    forced = query.forced
    plan = _Plan(
        target,
        noise,
        level,
        tuple(sorted(forced)),
        tuple(sorted(name for name, value in forced.items() if value.ndim == 2)),
        tuple(sorted(how.items())),
    )
    key = (model.schema.names, tuple(equation.structure for equation in model.equations), plan)
    function = _functions.get(key, lambda: _compile(model, plan))
    names = model.schema.names
    held = _held(model, plan)
    coded = {equation.node for equation in model.equations if equation.family == "categorical"}
    inputs = [forced.get(name, query.values[:, names.index(name)]) for name in held]
    inputs = [
        array.astype(np.int64) if name in coded else array
        for name, array in zip(held, inputs, strict=True)
    ]
    inputs += [query.values[:, names.index(name)] for name in _factual(model)]
    inputs += [(residuals or {})[node] for node, what in plan.how if what == "residual"]
    draws = [parameters[name] for name in _needed(model, plan)]
    # Each node has a source of noise of its own, whatever else is drawn: contrasts are paired.
    nodes = [*names, model.outcome]
    generators = [np.random.default_rng([*seed, nodes.index(node)]) for node in plan.drawn]

    n_draws, n = len(draws[0]), len(query.values)
    if n_draws * n > _LARGEST:
        raise ValueError(
            f"{n_draws:,} draws of {n:,} rows are {8e-9 * n_draws * n:,.0f} GB; ask for fewer "
            "rows at a time, or fit with fewer draws"
        )
    out = np.empty((n_draws, n))
    step = max(1, _BLOCK // n_draws)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        block = [array[..., rows] for array in inputs]
        fresh = [generator.spawn(1)[0] for generator in generators]
        out[:, rows] = function(*block, *draws, *fresh)
    return out


def _held(model: StructuralModel, plan: _Plan) -> list[str]:
    """Return the columns that are given: all but those regenerated, and the one that is drawn."""
    made = {node for node, _ in plan.how} | set(plan.drawn)
    return [name for name in model.schema.names if name not in made]


def _factual(model: StructuralModel) -> list[str]:
    """Return the columns that stand in some equation at their factual values."""
    factual = {
        model.schema.names[j]
        for equation in model.equations
        for j, variable in zip(equation.columns, equation.variables, strict=True)
        if variable != model.schema.names[j]
    }
    return sorted(factual)


def _needed(model: StructuralModel, plan: _Plan) -> list[str]:
    """Return the parameters on which the target depends."""
    needed: list[str] = []
    for equation in model.equations:
        if equation.node == plan.target:
            needed += equation.parameters if plan.noise else equation.mean_parameters
        elif equation.node in dict(plan.how):
            drawn = equation.node in plan.drawn
            needed += equation.parameters if drawn else equation.mean_parameters
    return needed


def _compile(model: StructuralModel, plan: _Plan) -> Any:
    """Compile a node under `pm.do` as a function of columns, residuals, parameters, generators."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pytensor.graph.replace import graph_replace, vectorize_graph
    from pytensor.tensor.random.type import random_generator_type

    names, how = model.schema.names, dict(plan.how)
    built = generative_model(model, np.zeros((1, len(names))), how=how)
    held = _held(model, plan)
    fixed = [name for name in held if name in plan.forced or built[name].owner is not None]
    if fixed:
        built = pm.do(built, {name: np.zeros(1, dtype=built[name].dtype) for name in fixed})
    outcome = built[plan.target if plan.noise else f"{plan.target}_mu"]
    if plan.level is not None:
        outcome = outcome[:, plan.level]

    def like(name: str, extra: int) -> Any:
        variable = built[name]
        return pt.tensor(name, dtype=variable.dtype, shape=(None,) * (variable.ndim + extra))

    data = [like(name, name in plan.by_draw) for name in held]
    data += [like(f"{name}_observed", 0) for name in _factual(model)]
    data += [like(f"{node}_residual", 1) for node, what in plan.how if what == "residual"]
    parameters = [like(name, 1) for name in _needed(model, plan)]
    generators = [random_generator_type(node) for node in plan.drawn]
    # The number of rows and the generators are inputs too, which do not add dimensions.
    several = {equation.node for equation in model.equations if equation.n_blocks > 1}
    random = [built[f"{node}_score" if node in several else node] for node in plan.drawn]
    sources = [variable.owner.inputs[0] for variable in random]
    inner: dict[Any, Any] = dict(zip(sources, generators, strict=True))
    inner[built.dim_lengths["obs"]] = data[0].shape[-1]
    replace = {built[variable.name]: variable for variable in (*data, *parameters)}
    outcome = graph_replace(vectorize_graph(outcome, replace), inner, strict=False)
    return pytensor.function(
        [*data, *parameters, *generators],
        outcome,
        mode=python_mode(),
        on_unused_input="ignore",
    )
