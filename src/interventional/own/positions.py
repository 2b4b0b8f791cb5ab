"""Positions that a model computes of its columns, such as ``store - 1``: whether they exist.

Compiled code checks no bounds; it would read, or fail, where memory ends.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.own.skeleton import Skeleton
from interventional.scm.compiling import building, python_mode


@dataclass(frozen=True, eq=False)
class Computed:
    """What a model takes elements at, computed of columns.

    Attributes
    ----------
    columns : tuple of str
        Of which ones.
    function : callable
        From these to positions, and to how many there are.
    calling : Lock
        The inputs of a compiled function are its state.
    """

    columns: tuple[str, ...]
    function: Callable[..., Any]
    calling: threading.Lock

    def refuse(self, values: Mapping[str, NDArray[Any]], where: str) -> None:
        """Refuse rows that are at positions of nothing.

        Parameters
        ----------
        values : mapping
            The columns, (n,) each, as the model has them.
        where : str
            What the rows are, for messages.
        """
        with self.calling:
            positions, length = self.function(*(values[name] for name in self.columns))
        strays = (positions < 0) | (positions >= length)
        if strays.any():
            row = int(np.argmax(strays))
            own = ", ".join(f"{name!r} = {values[name][row]:g}" for name in self.columns)
            raise ValueError(
                f"{where}: of {own} in row {row} the model makes the position {positions[row]}, "
                f"and there are positions from 0 to {int(length) - 1}"
            )


def computed(skeleton: Skeleton) -> tuple[Computed, ...]:
    """Return all positions that a model computes of columns; columns themselves are none."""
    import pytensor
    import pytensor.tensor as pt
    from pytensor.graph.replace import graph_replace
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.subtensor import AdvancedSubtensor

    model = skeleton.model
    held = {model[name]: name for name in skeleton.columns}
    random = set(model.basic_RVs) - set(held)
    found: dict[Any, Computed] = {}
    with building:
        for variable in ancestors([*model.basic_RVs, *model.deterministics, *model.potentials]):
            node = variable.owner
            if node is None or not isinstance(node.op, AdvancedSubtensor):
                continue
            base, *indices = node.inputs
            for axis, entry in enumerate(node.op.idx_list):
                if not isinstance(entry, int) or entry >= len(indices):
                    continue
                index = indices[entry]
                above = set(ancestors([index], blockers=held))
                names = tuple(name for each, name in held.items() if each in above)
                plain = index in held or index in found or index.type.ndim != 1
                if plain or not names or random.intersection(above) or index.type.dtype == "bool":
                    continue
                inputs = [pt.TensorType(model[name].dtype, (None,))(name) for name in names]
                swapped = {model[name]: each for name, each in zip(names, inputs, strict=True)}
                outputs = [index, base.shape[axis]]
                outputs = graph_replace(outputs, swapped, strict=False)
                if random.intersection(ancestors(outputs)):
                    continue
                function = pytensor.function(
                    inputs, outputs, mode=python_mode(), on_unused_input="ignore"
                )
                found[index] = Computed(names, function, threading.Lock())
    return tuple(found.values())
