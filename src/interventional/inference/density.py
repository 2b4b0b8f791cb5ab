"""The log density of an observed PyMC model over one vector of unconstrained parameters.

It is compiled once per model structure, by the Python linker, with the data as inputs. Where these
hold the lengths of parameters, too, one density serves any number of them.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import zeta

from interventional.numbers import Floats
from interventional.scm.compiling import python_mode

if TYPE_CHECKING:
    import pymc as pm

_ELEMENTS = 2**18  # draws times rows that are evaluated at once: what a processor's cache holds


@dataclass(frozen=True)
class Density:
    """The compiled log density of a model structure; every function takes the data last.

    Attributes
    ----------
    inputs : tuple
        PyTensor variables of the data.
    names : tuple of (str, bool)
        Variables of the model, and whether they depend on the parameters. Those that are random
        come first; parameter vectors are put together of them in this order.
    start, slope, products, heights, outputs : callable
        Of nothing: where to start. Of x: log density and gradient. Of x and rows t: the products
        of the Hessian with them. Of many x: log densities; and values of the variables.
    calling : Lock
        The inputs of a compiled function are its state.
    """

    inputs: tuple[Any, ...]
    names: tuple[tuple[str, bool], ...]
    start: Callable[..., Any]
    slope: Callable[..., Any]
    products: Callable[..., Any]
    heights: Callable[..., Any]
    outputs: Callable[..., Any]
    calling: threading.Lock

    def arrays(self, data: Mapping[str, Any]) -> list[NDArray[Any]]:
        """Return the data in the order and of the types of the inputs."""
        return [np.asarray(data[v.name], dtype=v.type.dtype) for v in self.inputs]


@dataclass(frozen=True)
class LogPosterior:
    """The log density of the unconstrained parameters given data, up to a constant."""

    density: Density
    arrays: list[NDArray[Any]]

    def start(self) -> Floats:
        """Return PyMC's initial point."""
        return np.concatenate([part.ravel() for part in self._call(self.density.start)])

    def slope(self, x: Floats) -> tuple[float, Floats]:
        """Return value and gradient at x."""
        value, gradient = self._call(self.density.slope, x)
        return float(value), gradient

    def curvature(self, x: Floats) -> Floats:
        """Return the negative Hessian at x."""
        rows = self._blocks(np.eye(len(x)))
        hessian = np.concatenate([self._call(self.density.products, x, t)[0] for t in rows])
        return -(hessian + hessian.T) / 2

    def heights(self, points: Floats) -> Floats:
        """Return the values at many points."""
        return np.concatenate(
            [self._call(self.density.heights, x)[0] for x in self._blocks(points)]
        )

    def variables(self, points: Floats) -> dict[str, Floats]:
        """Return the model's variables at many points, constrained as they are in the model."""
        values = self._call(self.density.outputs, points)
        return {
            name: value if varies else np.repeat(value[None], len(points), axis=0)
            for (name, varies), value in zip(self.density.names, values, strict=True)
        }

    @property
    def rows(self) -> int:
        """The length of the longest data."""
        return max([1, *(len(array) for array in self.arrays if array.ndim)])

    def _blocks(self, points: Floats) -> list[Floats]:
        block = max(1, _ELEMENTS // self.rows)
        return [points[i : i + block] for i in range(0, len(points), block)]

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self.density.calling, np.errstate(all="ignore"):
            return function(*arguments, *self.arrays)


def compile_density(
    model: "pm.Model", data: Mapping[str, Any], wanted: Collection[str] | None = None
) -> Density:
    """Compile the log density of a model over its parameters in one vector.

    Of its variables those that are random are computed, and those deterministic ones that are
    `wanted`, by default all.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.initial_point import make_initial_point_expression
    from pymc.pytensorf import rewrite_pregrad
    from pytensor.graph.replace import graph_replace, vectorize_graph
    from pytensor.graph.rewriting.utils import rewrite_graph
    from pytensor.graph.traversal import ancestors

    for rv in model.free_RVs:
        if not rv.type.dtype.startswith("float"):
            raise ValueError(f"{rv.name!r} is discrete, and has no Gaussian approximation")
    computed = [v for v in model.deterministics if wanted is None or v.name in wanted]
    names = [variable.name for variable in (*model.free_RVs, *computed)]
    start = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms=model.rvs_to_transforms,
        initval_strategies=model.rvs_to_initial_values,
        return_transformed=True,
    )
    outputs = model.replace_rvs_by_values([*model.free_RVs, *computed])
    graph = [model.logp(), *outputs, *start]
    inputs: dict[str, Any] = {}
    replace = {v: inputs.setdefault(v.name, v.type(v.name)) for v in _data_of(graph, data)}
    if replace:
        graph = graph_replace(graph, replace)
    # Else log(1 - sigmoid(800)) is -inf. To make graphs canonical hides some of what makes them
    # stable (-s becomes -1 * s), so that comes second.
    log_density = rewrite_pregrad(rewrite_graph(graph[0], include=("stabilize",)))
    outputs, start = graph[1 : 1 + len(names)], graph[1 + len(names) :]

    def compiled(arguments: list[Any], results: Any) -> Any:
        return pm.compile(
            [*arguments, *inputs.values()],
            results,
            mode=vectorised_mode(),
            on_unused_input="ignore",
        )

    # Lengths may be among the data, so that shapes are expressions: those of where x starts.
    shapes: Any = rewrite_graph([p.shape for p in start], include=("ShapeOpt", "canonicalize"))
    x, parts, end = pt.vector("x"), {}, 0
    for rv, shape in zip(model.free_RVs, shapes, strict=True):
        value = model.rvs_to_values[rv]
        begin, end = end, end + pt.prod(shape)
        parts[value] = x[begin:end].reshape(shape, ndim=value.ndim)
    joined = graph_replace([log_density, *outputs], parts, strict=False)
    gradient: Any = pt.grad(joined[0], x)
    tangent, tangents, points = pt.vector("t"), pt.matrix("tangents"), pt.matrix("points")
    product: Any = pt.grad(pt.dot(gradient, tangent), x)
    products = vectorize_graph(product, {tangent: tangents})
    heights, *many = vectorize_graph(joined, {x: points})
    return Density(
        tuple(inputs.values()),
        tuple((name, x in set(ancestors([o]))) for name, o in zip(names, joined[1:], strict=True)),
        compiled([], start),
        compiled([x], [joined[0], gradient]),
        compiled([x, tangents], [products]),
        compiled([points], [heights]),
        compiled([points], many),
        threading.Lock(),
    )


def _data_of(graph: list[Any], data: Mapping[str, Any]) -> list[Any]:
    """Return the shared variables of a graph that hold data."""
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.traversal import graph_inputs

    inputs = dict.fromkeys(graph_inputs(graph))
    return [v for v in inputs if isinstance(v, SharedVariable) and v.name in data]


def trigamma(x: Floats) -> Floats:
    """Return the second derivative of log gamma, as SciPy's ufunc has it."""
    return np.asarray(zeta(2.0, x))


@cache
def vectorised_mode() -> Any:
    """Return the Python mode, with what it takes element by element taken from SciPy."""
    from pytensor.graph.rewriting.basic import in2out, node_rewriter
    from pytensor.scalar.math import softplus, tri_gamma
    from pytensor.tensor.elemwise import Elemwise

    vectorised = {
        op: Elemwise(op, nfunc_spec=(name, 1, 1))
        for op, name in ((softplus, "scipy.special.softplus"), (tri_gamma, f"{__name__}.trigamma"))
    }

    @node_rewriter([Elemwise])
    def use_scipy(fgraph: Any, node: Any) -> Any:
        op = node.op
        if op.scalar_op in vectorised and op.nfunc_spec is None:
            return [vectorised[op.scalar_op](*node.inputs)]
        return None

    return python_mode().register((in2out(use_scipy), 100.0))
