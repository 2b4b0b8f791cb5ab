"""Numbers of a model, such as scales that a callable reads off its rows, as data of it.

What is compiled for one of two models that differ in such numbers serves the other as well.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interventional.own.skeleton import without_starts

if TYPE_CHECKING:
    import pymc as pm


def lifted(model: "pm.Model") -> "tuple[pm.Model, Mapping[str, NDArray[Any]]]":
    """Return a copy of a model whose fractions are shared variables, and these by name.

    Whole numbers stay: exponents, bounds and lengths are among them, and what is compiled may rest
    on what they are.
    """
    import pytensor
    from pymc.model.fgraph import fgraph_from_model, model_from_fgraph
    from pymc.pytensorf import toposort_replace
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import graph_inputs

    outputs = [model[name] for name in sorted(model.named_vars)] + list(model.potentials)
    found = [
        variable
        for variable in dict.fromkeys(graph_inputs(outputs))
        if isinstance(variable, Constant) and _is_fraction(variable.data)
    ]
    values = {f"constant_{k}__": np.asarray(each.data) for k, each in enumerate(found)}
    with without_starts(model) as starts:
        graph, memo = fgraph_from_model(model)
        replacements = tuple(
            (
                memo[constant],
                pytensor.shared(value, name=name, shape=constant.type.shape),
            )
            for constant, (name, value) in zip(found, values.items(), strict=True)
        )
        toposort_replace(graph, replacements)
        copy = model_from_fgraph(graph, mutate_fgraph=True)
    for name, start in starts.items():
        copy.rvs_to_initial_values[copy[name]] = start
    return copy, values


def _is_fraction(value: Any) -> bool:
    """Whether something is numbers, finite, and not all of them whole."""
    if not isinstance(value, np.ndarray | np.floating) or value.dtype != np.float64:
        return False
    return bool(np.isfinite(value).all() and (np.floor(value) != value).any())
