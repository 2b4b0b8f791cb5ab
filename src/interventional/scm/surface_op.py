"""A surface that bends inside a PyTensor graph."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node

from interventional.data.surface import Surface


class SurfaceOp(Op):
    """Columns, scales, lengths and weights to a surface, (..., n).

    `pm.do` on a raw column thus flows through it. There is no gradient.

    Parameters
    ----------
    surface : Surface
        What bends. Two ops are equal if they hold the same.
    """

    __props__ = ("surface",)

    def __init__(self, surface: Surface):
        self.surface = surface

    def make_node(self, *inputs: Any) -> Apply:
        """Return the node of columns, (..., n), and scales, lengths and weights, (..., k)."""
        tensors = [pt.as_tensor(each).astype("float64") for each in inputs]
        ndim = max(tensor.ndim for tensor in tensors)
        return Apply(self, tensors, [pt.tensor(dtype="float64", shape=(None,) * ndim)])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        """Evaluate all draws that have scales and lengths in common at once."""
        *columns, scale, length, weights = inputs
        values = np.stack(np.broadcast_arrays(*columns), axis=-1)
        draws = max(len(each) if each.ndim > 1 else 1 for each in (scale, length, weights))
        if values.ndim > 2:
            draws = max(draws, len(values))
            values = np.broadcast_to(values, (draws, *values.shape[1:]))
        of = (np.broadcast_to(each, (draws, each.shape[-1])) for each in (scale, length, weights))
        found = self.surface.at(values, *of)
        is_one = max(np.ndim(each) for each in inputs) == 1
        output_storage[0][0] = found[0] if is_one else found

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the number of draws, where there are several, and of rows."""
        n = shapes[0][-1]
        several = [shape[0] for shape in shapes if len(shape) > 1]
        return [(reduce(pt.maximum, several), n) if several else (n,)]


class WeightsOp(Op):
    """Standard normal numbers, scales and lengths to the weights of a surface, (weights,).

    Parameters
    ----------
    surface : Surface
        What bends.
    """

    __props__ = ("surface",)

    def __init__(self, surface: Surface):
        self.surface = surface

    def make_node(self, *inputs: Any) -> Apply:
        """Return the node of numbers, scales and lengths, vectors each."""
        tensors = [pt.as_tensor(each).astype("float64") for each in inputs]
        return Apply(self, tensors, [pt.vector(dtype="float64")])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        """Return the weights."""
        noise, scale, length = inputs
        output_storage[0][0] = self.surface.weights(noise[None], scale, length)[0]

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the number of weights."""
        return [shapes[0]]


@_vectorize_node.register(SurfaceOp)
def _(op: SurfaceOp, node: Apply, *batched: Any) -> Apply:
    """Let draws through: the op knows them by their dimension."""
    return op.make_node(*batched)
