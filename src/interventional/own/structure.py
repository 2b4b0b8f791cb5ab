"""What two PyMC models share if one compiled function serves both."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pymc as pm


def structure(model: "pm.Model", rows: str, columns: frozenset[str]) -> Hashable:
    """Return what tells a model from others, whatever its rows are.

    Models that were built anew by the same code have the same, as have copies of one: names, the
    graph of operations with its constants, dimensions, transforms, starting points, and all data
    that are none of rows.

    Parameters
    ----------
    model : pm.Model
        A model that `clone_model` has made: that leaves out what differs between copies.
    rows : str
        The dimension of the rows.
    columns : frozenset of str
        The variables that hold the rows' data.
    """
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import graph_inputs, io_toposort

    names = sorted(model.named_vars)
    outputs = [model[name] for name in names] + list(model.potentials)
    inputs = list(dict.fromkeys(graph_inputs(outputs)))
    number: dict[Any, int] = {}
    lines: list[Hashable] = []
    for variable in inputs:
        number[variable] = len(number)
        if isinstance(variable, Constant):
            value = np.asarray(variable.data) if _is_array(variable.data) else variable.data
            lines.append((variable.type, _frozen(value)))
            continue
        known: Hashable = None
        if isinstance(variable, SharedVariable) and variable.name not in (*columns, rows):
            held = variable.get_value(borrow=True)
            known = _frozen(np.asarray(held)) if _is_array(held) else None  # not generators
        lines.append((variable.name, _kind(variable), known))
    for node in io_toposort(inputs, outputs):
        lines.append((node.op, tuple(number[variable] for variable in node.inputs)))
        for variable in node.outputs:
            number[variable] = len(number)
    dims = tuple(sorted((name, tuple(of)) for name, of in model.named_vars_to_dims.items() if of))
    free = sorted(model.free_RVs, key=lambda rv: rv.name)
    own = tuple((rv.name, _transform(model, rv), _start(model, rv)) for rv in free)
    return tuple(lines), tuple(number[variable] for variable in outputs), tuple(names), dims, own


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.number | np.bool_ | int | float)


def _frozen(value: Any) -> Hashable:
    """Return something that is equal where values are."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return repr(value)
        return str(value.dtype), value.shape, value.tobytes()
    return value if isinstance(value, Hashable) else repr(value)


def _kind(variable: Any) -> Hashable:
    """Return what an input is, but for how many rows it has."""
    return (
        type(variable).__name__,
        getattr(variable.type, "dtype", ""),
        getattr(variable.type, "ndim", 0),
    )


def _transform(model: "pm.Model", rv: Any) -> Hashable:
    """Return what tells a transform: its type if it is the distribution's own, else itself."""
    from pymc.distributions.transforms import _default_transform

    found = model.rvs_to_transforms[rv]
    if found is None:
        return None
    try:
        usual = _default_transform(rv.owner.op, rv)
    except (NotImplementedError, AttributeError):
        usual = None
    return (type(found),) if type(found) is type(usual) else found


def _start(model: "pm.Model", rv: Any) -> Hashable:
    start = model.rvs_to_initial_values.get(rv)
    return _frozen(np.asarray(start)) if _is_array(start) else start
