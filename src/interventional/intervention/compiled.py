"""Nodes under `pm.do` as functions: PyMC's graph, vectorised over the posterior and compiled."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from interventional.scm.compiling import building, python_mode
from interventional.scm.equations import Regeneration, StructuralModel
from interventional.scm.generative import generative_model


@dataclass(frozen=True)
class Plan:
    """What is compiled: which node is wanted, and how each other comes by its values."""

    target: str
    noise: bool
    level: int | None
    forced: tuple[str, ...]
    by_draw: tuple[str, ...]
    how: tuple[tuple[str, Regeneration], ...]


@dataclass(frozen=True)
class Request:
    """A plan for models of a structure; each thread has functions of its own: inputs are state."""

    structure: tuple[Any, ...]
    plan: Plan
    thread: int
    model: StructuralModel = field(compare=False)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A plan as a function, and what it takes: columns, residuals, parameters, generators.

    Attributes
    ----------
    function : callable
        Returns the target.
    held : tuple of (str, bool)
        The columns that are given, and whether as whole numbers.
    factual : tuple of int
        Positions of the columns that stand in some equation at their factual values.
    residual : tuple of str
        The nodes whose residuals are given.
    needed : tuple of str
        The parameters on which the target depends.
    streams : tuple of int
        Of each node that is drawn, the number of its source of noise.
    """

    function: Callable[..., Any]
    held: tuple[tuple[str, bool], ...]
    factual: tuple[int, ...]
    residual: tuple[str, ...]
    needed: tuple[str, ...]
    streams: tuple[int, ...]


def _needed(model: StructuralModel, plan: Plan, drawn: Collection[str]) -> tuple[str, ...]:
    """Return the parameters on which the target depends."""
    needed: tuple[str, ...] = ()
    for equation in model.equations:
        if equation.node == plan.target:
            needed += equation.parameters if plan.noise else equation.mean_parameters
        elif equation.node in dict(plan.how):
            anew = equation.node in drawn
            needed += equation.parameters if anew else equation.mean_parameters
    return needed


@lru_cache(maxsize=64)
def compiled(request: Request) -> Compiled:
    """Return what a plan is compiled to, once a structure and thread."""
    with building:
        return _compile(request.model, request.plan)


def _compile(model: StructuralModel, plan: Plan) -> Compiled:
    """Compile a node under `pm.do`."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pytensor.graph.replace import graph_replace, vectorize_graph
    from pytensor.tensor.random.type import random_generator_type

    names, how = model.schema.names, dict(plan.how)
    drawn = {node: None for node, what in plan.how if what == "draw"}
    if plan.noise:
        drawn[plan.target] = None
    held = [name for name in names if name not in how and name not in drawn]
    factual = _factual(model)
    residual = tuple(node for node, what in plan.how if what == "residual")
    needed = _needed(model, plan, drawn)

    built = generative_model(model, np.zeros((1, len(names))), how=how)
    fixed = [name for name in held if name in plan.forced or built[name].owner is not None]
    if fixed:
        built = pm.do(built, {name: np.zeros(1, dtype=built[name].dtype) for name in fixed})
    outcome = built[plan.target if plan.noise else f"{plan.target}_mu"]
    if plan.level is not None:
        outcome = outcome[:, plan.level]

    def like(name: str, extra: int) -> Any:
        variable = built[name]
        # not pt.tensor(name, ...), which refuses names such as "half" and "int" for dtypes
        kind = pt.TensorType(variable.dtype, shape=(None,) * (variable.ndim + extra))
        return kind(name)

    data = [like(name, name in plan.by_draw) for name in held]
    data += [like(f"{names[j]}_observed", 0) for j in factual]
    data += [like(f"{node}_residual", 1) for node in residual]
    parameters = [like(name, 1) for name in needed]
    generators = [random_generator_type(node) for node in drawn]
    # The number of rows and the generators are inputs too, which do not add dimensions.
    several = {equation.node for equation in model.equations if equation.n_blocks > 1}
    random = [built[f"{node}_score" if node in several else node] for node in drawn]
    sources = [variable.owner.inputs[0] for variable in random]
    inner: dict[Any, Any] = dict(zip(sources, generators, strict=True))
    inner[built.dim_lengths["obs"]] = data[0].shape[-1]
    replace = {built[variable.name]: variable for variable in (*data, *parameters)}
    outcome = graph_replace(vectorize_graph(outcome, replace), inner, strict=False)
    function = pytensor.function(
        [*data, *parameters, *generators],
        outcome,
        mode=python_mode(),
        on_unused_input="ignore",
    )
    coded = {equation.node for equation in model.equations if equation.is_discrete}
    return Compiled(
        function,
        tuple((name, name in coded) for name in held),
        factual,
        residual,
        needed,
        tuple(stream_of(model, node) for node in drawn),
    )


def stream_of(model: StructuralModel, node: str) -> int:
    """Return the number of a node's source of noise."""
    # NumPy fills keys up with zeros, and the key of the seed alone is that of posterior draws: a
    # node's number is never zero.
    nodes = [*model.schema.names, model.outcome]
    return nodes.index(node) or len(nodes)


def _factual(model: StructuralModel) -> tuple[int, ...]:
    """Return the columns that stand in some equation at their factual values, by name."""
    names = model.schema.names
    factual = {
        j
        for equation in model.equations
        for j, variable in zip(equation.columns, equation.variables, strict=True)
        if variable != names[j]
    }
    return tuple(sorted(factual, key=lambda j: names[j]))
