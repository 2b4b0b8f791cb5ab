"""Nodes of the user's model under `pm.do` as functions, vectorised over the posterior.

What cannot be vectorised is called once for each draw; a loop among it, such as one that ends when
it has converged, is compiled by Numba, and all else interpreted.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from interventional.own.batches import batched, filled, inlined
from interventional.own.expectations import NODES, expectation, rule
from interventional.own.skeleton import Skeleton, forced
from interventional.scm.compiling import building, python_mode

if TYPE_CHECKING:
    import pymc as pm

# Of a node: its expectation, a new value, or the log density of a given one.
What = Literal["mean", "spread", "draw", "log_density"]
How = Literal["draw", "residual"]


@dataclass(frozen=True)
class Plan:
    """What is compiled.

    Attributes
    ----------
    target : str
        The node that is wanted.
    what : {"mean", "spread", "draw", "log_density"}
        What of it.
    how : tuple of (str, str)
        The nodes that are regenerated, and how: drawn, or as an expectation and a residual.
    by_draw : tuple of str
        The columns, or what is latent, that have other values in each draw.
    """

    target: str
    what: What
    how: tuple[tuple[str, How], ...] = ()
    by_draw: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Compiled:
    """A plan as a function, and what it takes.

    Attributes
    ----------
    function : callable
        Of columns, residuals, the number of rows, and of draws, parameters, and generators.
    columns, residuals, parameters : tuple of str
        Those on which the target depends.
    streams : tuple of (int, int)
        For each generator: which node's it is, and the how many-th of these.
    whole : bool
        Whether all draws are had at once; else it is called once for each.
    width : int
        How many numbers it takes to compute one.
    """

    function: Callable[..., Any]
    columns: tuple[str, ...]
    residuals: tuple[str, ...]
    parameters: tuple[str, ...]
    streams: tuple[tuple[int, int], ...]
    whole: bool
    width: int


@dataclass(frozen=True)
class Request:
    """A plan for skeletons of a structure; each thread has functions of its own."""

    structure: Hashable
    plan: Plan
    thread: int
    skeleton: Skeleton = field(compare=False)


@lru_cache(maxsize=128)
def compiled(request: Request) -> Compiled:
    """Return what a plan is compiled to, once a structure and thread."""
    with building:
        return _compile(request.skeleton, request.plan)


OF_DRAWS = "averages over draws"


class NoMeanError(ValueError):
    """PyMC knows no mean of a distribution in closed form."""


def under_do(skeleton: Skeleton, plan: Plan) -> "pm.Model":
    """Return the model in which all columns that are not regenerated are forced."""
    import pytensor

    how = dict(plan.how)
    given = [name for name in skeleton.random if name not in how and name != plan.target]
    one = {name: np.zeros(1, dtype=skeleton.dtype(name)) for name in given}
    model = forced(skeleton.model, one)
    kept = [name for name, what in plan.how if what == "residual"]
    for name in kept:  # one after the other: each reads those before it
        own = mean_of(model, name)
        residual = pytensor.shared(np.zeros(1), name=_residual_name(name), shape=(None,))
        model = forced(model, {name: own + residual})
    return model


def _residual_name(name: str) -> str:
    return f"{name}__residual"


def mean_of(model: "pm.Model", name: str) -> Any:
    """Return the expectation of a variable given what it depends on.

    Raises
    ------
    NoMeanError
        If PyMC does not know it, and the model has no variable of that name and ``_mu``.
    """
    return _mean(model, name)[0]


def origin_of_mean(model: "pm.Model", name: str) -> str:
    """Return where the expectation of a variable is from, in words."""
    try:
        return _mean(model, name)[1]
    except NoMeanError:
        return OF_DRAWS


def _mean(model: "pm.Model", name: str) -> tuple[Any, str]:
    from pymc.exceptions import UndefinedMomentException

    try:
        return expectation(model[name]), "closed form"
    except (NotImplementedError, UndefinedMomentException) as error:
        dims = model.named_vars_to_dims
        own = f"{name}_mu"
        if own in model.named_vars and dims.get(own) == dims.get(name):
            return model[own], own
        raise NoMeanError(f"PyMC knows no mean of {name!r} in closed form: {error}") from None


def log_density(model: "pm.Model", name: str, value: Any) -> Any:
    """Return the log density of a variable at a value, given all that is random above it.

    PyMC copies what is random while it derives a density; so inputs stand for it meanwhile.
    """
    import pymc as pm
    from pytensor.graph.replace import graph_replace
    from pytensor.graph.traversal import ancestors

    above = set(ancestors([model[name]])).intersection(model.basic_RVs) - {model[name]}
    inputs = {rv: rv.type() for rv in above}
    (alone,) = graph_replace([model[name]], inputs, strict=False)
    found = pm.logp(alone, value)
    back = {variable: rv for rv, variable in inputs.items()}
    return graph_replace([found], back, strict=False)[0]


def _compile(skeleton: Skeleton, plan: Plan) -> Compiled:
    import pytensor
    import pytensor.tensor as pt
    from pymc.pytensorf import find_rng_nodes
    from pytensor.graph.replace import graph_replace
    from pytensor.graph.traversal import ancestors

    model = under_do(skeleton, plan)
    how = dict(plan.how)
    value = None
    if plan.what == "log_density":
        value = pt.TensorType(model[plan.target].dtype, (None,))("value")
        wanted = log_density(model, plan.target, value)
    elif plan.what == "mean":
        wanted = mean_of(model, plan.target)
    elif plan.what == "spread":
        wanted = model[plan.target].owner.op.dist_params(model[plan.target].owner)[1]
    else:
        wanted = model[plan.target]
    kept = [name for name, what in how.items() if what == "residual"]
    streams = _streams(skeleton, model)
    ends = set(ancestors([wanted]))
    inputs: dict[str, Any] = {}
    swapped: dict[Any, Any] = {}
    known = (*skeleton.columns, *(name for name in skeleton.latent if name in plan.by_draw))
    made = (*how, plan.target)
    columns = [name for name in known if name not in made and model[name] in ends]
    for name in columns:
        inputs[name] = _like(model[name], (None,))
    parameters = [name for name in skeleton.parameters if model[name] in ends]
    for name in parameters:
        inputs[name] = _like(model[name], model[name].type.shape)
    swapped |= {model[name]: variable for name, variable in inputs.items()}
    residuals = []
    for variable in ends:
        if variable.name in {_residual_name(name) for name in kept} and variable.owner is None:
            residuals.append(variable)
    residuals.sort(key=lambda variable: str(variable.name))
    of_residuals = [pt.TensorType("float64", (None,))(variable.name) for variable in residuals]
    swapped |= dict(zip(residuals, of_residuals, strict=True))
    n, draws = pt.lscalar("n"), pt.lscalar("draws")
    if model.dim_lengths[skeleton.rows] in ends:
        swapped[model.dim_lengths[skeleton.rows]] = n
    (wanted,) = graph_replace([wanted], swapped, strict=False)
    if plan.what in ("mean", "spread"):  # which may be one for all rows
        wanted = pt.broadcast_to(wanted, n[None])
    of_draws = [inputs[name] for name in (*parameters, *plan.by_draw) if name in inputs]
    of_draws += of_residuals
    of_value = [] if value is None else [value]
    whole, loops = True, _loops(wanted)
    many: dict[Any, Any] = {}
    try:
        many = {
            variable: pt.TensorType(variable.dtype, (None, *variable.type.shape))(variable.name)
            for variable in of_draws
        }
        own = inlined(wanted)
        found = filled(own, batched([own], many, draws)[0], draws)
    except Exception:  # what has no vectorised form says so in many ways
        whole, many, found = False, {}, wanted
    generators = {}
    for rng in find_rng_nodes([found]):
        generators[rng] = rng.type()
    if generators:
        (found,) = graph_replace([found], generators, strict=False)
    arguments = [
        *(many.get(inputs[name], inputs[name]) for name in columns),
        *(many.get(variable, variable) for variable in of_residuals),
        *of_value,
        n,
        *([draws] if whole else []),
        *(many.get(inputs[name], inputs[name]) for name in parameters),
        *generators.values(),
    ]
    mode = None if loops and not whole else python_mode()
    function = pytensor.function(arguments, found, mode=mode, on_unused_input="ignore")
    return Compiled(
        function,
        tuple(columns),
        tuple(str(v.name).removesuffix("__residual") for v in residuals),
        tuple(parameters),
        tuple(streams[rng] for rng in generators),
        whole,
        len(rule()[0]) if any(v.name == NODES for v in ancestors([wanted])) else 1,
    )


def _like(variable: Any, shape: Any) -> Any:
    """Return an input of a variable's type; not `pt.tensor`, to which some names are dtypes."""
    import pytensor.tensor as pt

    return pt.TensorType(variable.dtype, tuple(shape))(variable.name)


def _loops(wanted: Any) -> bool:
    """Whether there is a loop in a graph."""
    from pytensor.graph.traversal import ancestors
    from pytensor.scan.op import Scan

    return any(v.owner is not None and isinstance(v.owner.op, Scan) for v in ancestors([wanted]))


def _streams(skeleton: Skeleton, model: "pm.Model") -> dict[Any, tuple[int, int]]:
    """Return which node each generator is of: so that contrasts are paired, whatever is drawn."""
    from pymc.pytensorf import find_rng_nodes

    found: dict[Any, tuple[int, int]] = {}
    nodes = [*skeleton.latent, *skeleton.random, skeleton.outcome]
    for number, name in enumerate(nodes):
        own = [rng for rng in find_rng_nodes([model[name]]) if rng not in found]
        found |= {rng: (number + 1, k) for k, rng in enumerate(own)}
    return found
