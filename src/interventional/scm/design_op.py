"""A fitted scikit-learn transformer inside a PyTensor graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node

from interventional.data.smooth import Design
from interventional.numbers import dense


class DesignOp(Op):
    """Columns, (..., n) each, to the design matrix, (..., n, terms).

    `pm.do` on a raw column thus flows through splines, interactions and one-hot encodings. There
    is no gradient: the columns are never sampled by a method that needs one.

    Parameters
    ----------
    design : Design
        The fitted design. Two ops are equal if they hold the same design.
    """

    __props__ = ("design",)

    def __init__(self, design: Design):
        self.design = design

    def make_node(self, *columns: Any) -> Apply:
        """Return the node of some columns, which have any common number of dimensions."""
        tensors = [pt.as_tensor(column).astype("float64") for column in columns]
        ndim = max(tensor.ndim for tensor in tensors)
        shape = (None,) * ndim + (len(self.design.terms),)
        return Apply(self, tensors, [pt.tensor(dtype="float64", shape=shape)])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        """Fold leading dimensions into rows, transform, unfold."""
        columns = np.broadcast_arrays(*inputs)
        values = np.stack([column.ravel() for column in columns], axis=1)
        matrix = dense(self.design.matrix(values), "the design")
        output_storage[0][0] = matrix.reshape(*columns[0].shape, matrix.shape[1])

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the broadcast shape of the columns and the number of terms."""
        ndim = node.outputs[0].type.ndim - 1
        batch = pt.broadcast_shape(*node.inputs) if ndim else ()
        return [(*batch, len(self.design.terms))]


@_vectorize_node.register(DesignOp)
def _(op: DesignOp, node: Apply, *batched: Any) -> Apply:
    """Let batch dimensions of any column through: the op folds them into rows."""
    ndim = max(tensor.ndim for tensor in batched)
    aligned = [
        pt.expand_dims(tensor, tuple(range(ndim - tensor.ndim))) if tensor.ndim < ndim else tensor
        for tensor in batched
    ]
    return op.make_node(*aligned)
