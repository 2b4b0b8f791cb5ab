"""Graphs of PyTensor for all posterior draws at once: random variables and loops included.

`pytensor.graph.vectorize_graph` takes neither: what is random and depends on no draw it would draw
once for all of them, and it knows nothing of `scan`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.scm.compiling import python_mode


def batched(outputs: Iterable[Any], many: Mapping[Any, Any], draws: Any) -> list[Any]:
    """Return variables as they are for all draws, (draws, ...), those without draws as they were.

    Parameters
    ----------
    outputs : iterable of Variable
        The variables.
    many : mapping
        Variables, and what stands in their stead: mostly with one dimension more, on the left.
    draws : Variable
        How many draws there are.

    Raises
    ------
    NotImplementedError
        If something has no form for all draws at once. Others raise other errors.
    """
    from pytensor.graph.basic import Apply
    from pytensor.graph.replace import _vectorize_node
    from pytensor.graph.traversal import toposort
    from pytensor.scan.op import Scan
    from pytensor.tensor.random.op import RandomVariable
    from pytensor.tensor.shape import Shape, Shape_i

    outputs = list(outputs)
    found: dict[Any, Any] = dict(many)
    made: Any
    node: Any
    for node in toposort(outputs, blockers=many.keys()):
        own: list[Any] = [found.get(variable, variable) for variable in node.inputs]
        if isinstance(node.op, RandomVariable):
            made = _random(node, own, draws)
        elif isinstance(node.op, Scan):
            made = _loop(node, own, draws)
        elif isinstance(node.op, Shape):  # the same for all draws, and else not known to be
            made = [own[0].shape[own[0].ndim - node.inputs[0].ndim :]]
        elif isinstance(node.op, Shape_i):
            made = [own[0].shape[own[0].ndim - node.inputs[0].ndim + node.op.i]]
        else:
            made = _vectorize_node(node.op, node, *own)
            made = made.outputs if isinstance(made, Apply) else made
        for before, after in zip(node.outputs, made, strict=True):
            found.setdefault(before, after)
    return [found.get(variable, variable) for variable in outputs]


def _is_batched(before: Any, after: Any) -> bool:
    return getattr(after, "ndim", 0) == getattr(before, "ndim", 0) + 1


def filled(before: Any, after: Any, draws: Any) -> Any:
    """Return a variable with a dimension of draws, which all share what it is if it has none."""
    import pytensor.tensor as pt

    return after if _is_batched(before, after) else pt.broadcast_to(after, (draws, *after.shape))


def _random(node: Any, own: list[Any], draws: Any) -> list[Any]:
    """Return what is random, drawn for each draw, whatever its parameters are."""
    import pytensor.tensor as pt
    from pytensor.tensor.random.basic import CategoricalRV
    from pytensor.tensor.random.utils import compute_batch_shape
    from pytensor.tensor.type_other import NoneTypeT

    rng, size, *parameters = own
    before, has_size = node.op.dist_params(node), not isinstance(size.type, NoneTypeT)
    if has_size and _is_batched(node.op.size_param(node), size):
        raise NotImplementedError("a size that may differ by draw")
    if not any(map(_is_batched, before, parameters)) and not has_size:
        size = compute_batch_shape(parameters, ndims_params=node.op.ndims_params)
        has_size = True
    if has_size:
        size = pt.concatenate([pt.stack([draws]), pt.as_tensor(size, ndim=1).astype("int64")])
    op = _levels() if isinstance(node.op, CategoricalRV) else node.op
    return list(op.make_node(rng, size, *parameters).outputs)


def _loop(node: Any, own: list[Any], draws: Any) -> list[Any]:
    """Return a loop all draws of which take each step together."""
    from pymc.pytensorf import rvs_in_graph
    from pytensor.scan.op import Scan
    from pytensor.tensor.type import TensorType

    op, info = node.op, node.op.info
    if info.as_while or info.mit_mot_in_slices or own[0].ndim:
        raise NotImplementedError("a loop whose end differs by draw")
    if not any(map(_is_batched, node.inputs, own)) and not rvs_in_graph(op.inner_outputs):
        return list(op.make_node(*own).outputs)
    groups = {
        name: list(zip(of(list(node.inputs)), of(list(own)), strict=True))
        for name, of in (
            ("sequence", op.outer_seqs),
            ("mitsot", op.outer_mitsot),
            ("sitsot", op.outer_sitsot),
            ("untraced", op.outer_untraced_sit_sot),
            ("rest", op.outer_non_seqs),
        )
    }

    def turned(variable: Any) -> Any:  # a loop goes over what is first
        return variable.swapaxes(0, 1)

    graph = op.fgraph.unfreeze()
    inner: list[Any] = list(graph.inputs)
    lifted: dict[Any, Any] = {}

    def lift(variable: Any, many: bool) -> None:
        if many:
            lifted[variable] = TensorType(variable.dtype, (None, *variable.type.shape))()
        else:
            lifted[variable] = variable.type()

    taps = [len(each) for each in info.mit_sot_in_slices]
    outer: list[Any] = [own[0]]
    for (before, after), inside in zip(groups["sequence"], op.inner_seqs(inner), strict=True):
        many = _is_batched(before, after)
        lift(inside, many)
        outer.append(turned(after) if many else after)
    places = iter(op.inner_mitsot(inner))
    for (before, after), size in zip(groups["mitsot"], taps, strict=True):
        for _ in range(size):
            lift(next(places), True)
        outer.append(turned(filled(before, after, draws)))
    for (before, after), inside in zip(groups["sitsot"], op.inner_sitsot(inner), strict=True):
        lift(inside, True)
        outer.append(turned(filled(before, after, draws)))
    untraced = op.inner_untraced_sit_sot(inner)
    for (before, after), inside in zip(groups["untraced"], untraced, strict=True):
        many = hasattr(inside.type, "shape")
        lift(inside, many)
        outer.append(filled(before, after, draws) if many else after)
    outer += op.outer_nitsot(list(own))
    for (before, after), inside in zip(groups["rest"], op.inner_non_seqs(inner), strict=True):
        lift(inside, _is_batched(before, after))
        outer.append(after)
    size = draws.type()
    steps = batched(graph.outputs, lifted, size)
    outputs = []
    for before, after in zip(graph.outputs, steps, strict=True):
        is_array = hasattr(before.type, "shape")
        outputs.append(filled(before, after, size) if is_array else after)
    made = Scan(
        [*(lifted[variable] for variable in inner), size],
        outputs,
        replace(info, n_non_seqs=info.n_non_seqs + 1),
        mode=python_mode(),
        strict=op.strict,
    ).make_node(*outer, draws)
    traced = len(made.outputs) - info.n_untraced_sit_sot
    return [turned(each) if k < traced else each for k, each in enumerate(made.outputs)]


def inlined(wanted: Any) -> Any:
    """Return a graph without random variables that are graphs themselves, as `pm.Censored` is.

    Their columns and parameters have been swapped before: inside they are inputs.
    """
    from pymc.distributions.distribution import SymbolicRandomVariable
    from pytensor.graph.replace import graph_replace
    from pytensor.graph.traversal import ancestors

    while True:
        nodes = [
            variable.owner
            for variable in ancestors([wanted])
            if variable.owner is not None and isinstance(variable.owner.op, SymbolicRandomVariable)
        ]
        if not nodes:
            return wanted
        node = nodes[0]
        inner = _rejecting(node) or node.op.fgraph.bind(
            dict(zip(node.op.fgraph.inputs, node.inputs, strict=True))
        )
        if wanted.owner is node:
            wanted = inner[node.outputs.index(wanted)]
        else:
            pairs = dict(zip(node.outputs, inner, strict=True))
            (wanted,) = graph_replace([wanted], pairs, strict=False)


def _rejecting(node: Any) -> list[Any] | None:
    """Return a truncated variable, and its generator, without PyMC's loop until all fit.

    None if it needs none, or is not one of single numbers.
    """
    from pymc.distributions.truncated import TruncatedRV
    from pytensor.scan.op import Scan
    from pytensor.tensor.random.op import RandomVariable

    if not isinstance(node.op, TruncatedRV):
        return None
    base = node.op.base_rv_op
    loops = any(isinstance(each.op, Scan) for each in node.op.fgraph.toposort())
    if not loops or not isinstance(base, RandomVariable):
        return None
    if base.ndim_supp or any(base.ndims_params):
        return None
    rng, size, *parameters, lower, upper = node.inputs
    drawn = _fitting(base, node.op.max_n_steps).make_node(rng, size, lower, upper, *parameters)
    return [drawn.outputs[1], drawn.outputs[0]]


@cache
def _levels() -> Any:
    """Return the operation that draws levels by their shares, all at once."""
    from pytensor.tensor.random.op import RandomVariable

    class Levels(RandomVariable):
        name = "levels"
        signature = "(p)->()"
        dtype = "int64"
        _print_name = ("Levels", "Levels")

        def rng_fn(self, rng: np.random.Generator, shares: Any, size: Any) -> NDArray[Any]:
            drawn = rng.random(shares.shape[:-1] if size is None else size)
            below = np.cumsum(shares, axis=-1)[..., :-1]
            return np.asarray((drawn[..., None] >= below).sum(axis=-1))

    return Levels()


@cache
def _fitting(base: Any, most: int) -> Any:
    """Return the operation that draws between bounds, again where something is not."""
    from pytensor.tensor.random.op import RandomVariable

    class Fitting(RandomVariable):
        name = "fitting"
        signature = ",".join(["()"] * (2 + len(base.ndims_params))) + "->()"
        dtype = base.dtype
        _print_name = ("Fitting", "Fitting")

        def rng_fn(self, rng: np.random.Generator, *arguments: Any) -> NDArray[Any]:
            *given, size = arguments
            if size is None:
                size = np.broadcast_shapes(*(np.shape(each) for each in given))
            lower, upper, *parameters = (np.broadcast_to(e, size).ravel() for e in given)
            found = np.empty(lower.shape, dtype=self.dtype)
            left = np.arange(len(found))
            for _ in range(most):
                if not len(left):
                    break
                drawn = base.rng_fn(rng, *(each[left] for each in parameters), len(left))
                found[left] = drawn
                left = left[(drawn < lower[left]) | (drawn > upper[left])]
            if len(left):
                raise ValueError(f"nothing between its bounds was drawn in {most} attempts")
            return found.reshape(size)

    return Fitting()
