"""The posterior predictive under an intervention, drawn from PyMC's graph.

`pm.do` acts on the generative model by column name; the graph that results is vectorised over the
posterior and compiled for the plain Python linker, once per structure. Columns, forced values and
parameters are its inputs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from interventional.cache import StructureCache
from interventional.design import Floats
from interventional.model import Equation, generative_model
from interventional.priors import python_mode

_functions = StructureCache(64, per_thread=True)
_BLOCK = 1 << 24  # draws times rows that are in the making at a time


def predictive(
    equation: Equation,
    values: Floats,
    forced: Mapping[str, Floats],
    parameters: Mapping[str, Floats],
    *,
    noise: bool,
    rng: Generator,
) -> Floats:
    """Draw the outcome of rows for which some columns are forced.

    Parameters
    ----------
    equation : Equation
        The outcome's equation.
    values : ndarray of shape (n, columns)
        Encoded rows as they were observed.
    forced : mapping
        What each column is forced to, of shape (n,), or (draws, n) if it differs by draw.
    parameters : mapping
        Posterior draws of each parameter of the equation, of shape (draws, ...).
    noise : bool
        Whether to draw new outcomes; else their expectation.
    rng : Generator
        Source of the noise.

    Returns
    -------
    ndarray of shape (draws, n)
    """
    by_draw = tuple(sorted(name for name, value in forced.items() if value.ndim == 2))
    key = (
        equation.outcome,
        equation.design.structure,
        equation.has_intercept,
        tuple(sorted(forced)),
        by_draw,
        noise,
    )
    function = _functions.get(key, lambda: _compile(equation, sorted(forced), by_draw, noise))
    names = equation.schema.names
    columns = [forced.get(name, values[:, j]) for j, name in enumerate(names)]
    draws = [parameters[name] for name in _needed(equation, noise)]
    n_draws, n = len(draws[0]), len(values)
    out = np.empty((n_draws, n))
    step = max(1, _BLOCK // n_draws)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        block = [column[..., rows] for column in columns]
        generator = (
            rng.spawn(1) if noise else []
        )  # the graph copies a generator, it does not advance
        out[:, rows] = function(*block, *draws, *generator)
    return out


def _needed(equation: Equation, noise: bool) -> tuple[str, ...]:
    return equation.parameters if noise else equation.parameters[:-1]


def _compile(equation: Equation, forced: list[str], by_draw: tuple[str, ...], noise: bool) -> Any:
    """Compile the outcome under `pm.do` as a function of columns, parameters and a generator."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pytensor.graph.replace import graph_replace, vectorize_graph
    from pytensor.graph.traversal import graph_inputs
    from pytensor.tensor.random.type import RandomGeneratorType, random_generator_type

    names = equation.schema.names
    model = generative_model(equation, np.zeros((1, len(names))))
    model = pm.do(model, {name: np.zeros(1) for name in forced})
    outcome = model[equation.outcome if noise else f"{equation.outcome}_mu"]

    columns = [pt.matrix(name) if name in by_draw else pt.vector(name) for name in names]
    parameters = [
        pt.tensor(name, dtype="float64", shape=(None,) * (model[name].ndim + 1))
        for name in _needed(equation, noise)
    ]
    replace = {model[variable.name]: variable for variable in (*columns, *parameters)}
    outcome = vectorize_graph(outcome, replace)
    # The number of rows and the generators are inputs too, which do not add dimensions.
    inner: dict[Any, Any] = {model.dim_lengths["obs"]: columns[0].shape[-1]}
    generators = []
    for variable in graph_inputs([outcome]):
        if isinstance(variable.type, RandomGeneratorType):
            generators.append(random_generator_type("rng"))
            inner[variable] = generators[-1]
    outcome = graph_replace(outcome, inner, strict=False)
    return pytensor.function(
        [*columns, *parameters, *generators],
        outcome,
        mode=python_mode(),
        on_unused_input="ignore",
    )
