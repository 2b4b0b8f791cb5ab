"""Which columns of a model are positions in which dimension."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from interventional.scm.compiling import python_mode
from interventional.scm.naming import LABELS

if TYPE_CHECKING:
    import pymc as pm


def indexed(model: "pm.Model", columns: list[str]) -> dict[str, tuple[str | None, int | None]]:
    """Return which columns are positions in what: a dimension, if it has a name, and a length."""
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.subtensor import AdvancedSubtensor

    outputs = [*model.basic_RVs, *model.deterministics, *model.potentials]
    whose = {model[name]: name for name in columns}
    of = {model[name]: dims for name, dims in model.named_vars_to_dims.items() if dims}
    found: dict[str, tuple[str | None, int | None]] = {}
    unsettled = {*whose, *(model.dim_lengths[dim] for dim in _placeholders(model))}
    for variable in ancestors(outputs):
        node = variable.owner
        if node is None or not isinstance(node.op, AdvancedSubtensor):
            continue
        base, *indices = node.inputs
        for axis, entry in enumerate(node.op.idx_list):
            if not isinstance(entry, int) or entry >= len(indices):
                continue
            index = _through_views(indices[entry], whose)
            if index not in whose:
                continue
            name, dim = whose[index], _dim(base, axis, of)
            length = base.type.shape[axis]
            if dim is not None and model.coords.get(dim) is not None:
                length = len(model.coords[dim])
            elif dim is None and length is None and not unsettled.intersection(ancestors([base])):
                length = int(base.shape[axis].eval(mode=python_mode()))
            if found.get(name, (None, None))[0] is None:
                found[name] = dim, length
    for name in columns:
        labels = model.coords.get(f"{name}{LABELS}")
        if labels is not None:
            found[name] = f"{name}{LABELS}", len(labels)
    return found


def _placeholders(model: "pm.Model") -> list[str]:
    """Return the dimensions that rows may give another length."""
    return [dim for dim, labels in model.coords.items() if labels is None or len(labels) == 1]


def _dim(base: Any, axis: int, of: Mapping[Any, tuple[str, ...]]) -> str | None:
    """Return the dimension of an axis, also of what is elementwise or transposed."""
    from pytensor.tensor.elemwise import DimShuffle

    at: Any = axis
    while base not in of and base.owner is not None and len(base.owner.inputs) == 1:
        if isinstance(base.owner.op, DimShuffle):
            at = base.owner.op.new_order[at]
        elif base.owner.inputs[0].type.ndim != base.type.ndim:
            return None
        base = base.owner.inputs[0]
        if at == "x":
            return None
    dims = of.get(base, ())
    return dims[at] if at < len(dims) else None


def _through_views(variable: Any, wanted: Mapping[Any, Any]) -> Any:
    """Return the variable of a model that another is, but for its type and names."""
    while variable not in wanted and variable.owner is not None and _is_view(variable.owner.op):
        variable = variable.owner.inputs[0]
    return variable


def _is_view(op: Any) -> bool:
    """Whether an operation leaves values as they are."""
    from pytensor.compile.ops import ViewOp
    from pytensor.scalar.basic import Cast, Identity
    from pytensor.tensor.elemwise import Elemwise

    if isinstance(op, Elemwise):
        return isinstance(op.scalar_op, Cast | Identity)
    return isinstance(op, ViewOp)
