"""A PyMC model with nothing observed, read: which of its variables are columns, and of whom."""

import inspect
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interventional.errors import listed, unknown
from interventional.own.indexing import indexed
from interventional.own.structure import structure
from interventional.scm.compiling import building
from interventional.scm.naming import DEFAULT_OUTCOME

if TYPE_CHECKING:
    import pymc as pm

_PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A model that the user wrote, and what its variables are.

    Attributes
    ----------
    model : pm.Model
        A copy of it, with one row.
    outcome, rows : str
        The names of the outcome, and of the dimension of the rows.
    fixed, random : tuple of str
        The columns that are data, and those that are random, causes before what they cause.
    latent : tuple of str
        What is random for each row, and no column.
    idle : tuple of str
        What is so as well, and reaches neither a column nor the outcome, such as another outcome.
    parameters : tuple of str
        What else is random.
    derived : tuple of str
        What is computed of parameters alone.
    parents : mapping
        Of random columns and of the outcome: which of these, and of data, they depend on.
    children : mapping
        Of what is latent: which random columns, and whether the outcome, depend on it.
    indexed : mapping
        Of columns of codes: the dimension that they are positions in, and how long it is.
    """

    model: "pm.Model" = field(repr=False)
    outcome: str
    rows: str
    fixed: tuple[str, ...]
    random: tuple[str, ...]
    latent: tuple[str, ...]
    idle: tuple[str, ...]
    parameters: tuple[str, ...]
    derived: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]
    children: Mapping[str, tuple[str, ...]]
    indexed: Mapping[str, tuple[str | None, int | None]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the model has."""
        return (*self.fixed, *self.random)

    @cached_property
    def key(self) -> Hashable:
        """What two skeletons share if one compiled function serves both."""
        with building:
            own = structure(self.model, self.rows, frozenset(self.fixed))
        return own, self.outcome, self.rows, self.fixed, self.random

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the type of a variable's values."""
        return np.dtype(self.model[name].dtype)

    def labels(self, dim: str | None) -> tuple[Any, ...] | None:
        """Return the labels of a dimension, plain ones of Python; None where it has none."""
        found = None if dim is None else self.model.coords.get(dim)
        return None if found is None else tuple(getattr(v, "item", lambda v=v: v)() for v in found)

    def descendants(self, forced: frozenset[str]) -> tuple[str, ...]:
        """Return, in order, the random columns that follow what is forced before the outcome."""
        moved, found = set(forced), []
        for name in self.random:
            if name not in forced and moved.intersection(self.parents[name]):
                moved.add(name)
                found.append(name)
        return tuple(found)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the model without what PyMC hangs on for notebooks."""
        state = {name: getattr(self, name) for name in self.__dataclass_fields__}
        with building:
            state["model"] = plain(copied(self.model))
        return state


def plain(model: "pm.Model") -> "pm.Model":
    """Return a model that pickles: without the bound functions that print its variables."""
    for variable in model.named_vars.values():
        for name in ("str_repr", "_repr_latex_"):
            vars(variable).pop(name, None)
    for name in ("str_repr", "_repr_latex_"):
        vars(model).pop(name, None)
    return model


@contextmanager
def without_starts(model: "pm.Model") -> Iterator[dict[str, Any]]:
    """Set starting points aside for a while, which functions that copy models do not take."""
    starts = {rv.name: start for rv, start in model.rvs_to_initial_values.items()}
    try:
        for name in starts:
            model.rvs_to_initial_values[model[name]] = None
        yield starts
    finally:
        for name, start in starts.items():
            model.rvs_to_initial_values[model[name]] = start


def copied(model: "pm.Model") -> "pm.Model":
    """Return a copy of a model, starting points included."""
    from pymc.model.fgraph import clone_model

    with without_starts(model) as starts:
        copy = clone_model(model)
    for name, start in starts.items():
        copy.rvs_to_initial_values[copy[name]] = start
    return copy


def forced(model: "pm.Model", values: Mapping[str, Any]) -> "pm.Model":
    """Return a model under `pm.do`, which takes no starting points: whoever draws needs none."""
    import pymc as pm

    if not values:
        return model
    with without_starts(model):
        return pm.do(model, values)


def without(model: "pm.Model", names: tuple[str, ...]) -> "pm.Model":
    """Return a copy of a model without some variables, and without what depends on them."""
    from pymc.model.fgraph import ModelVar, fgraph_from_model, model_from_fgraph
    from pytensor.graph.traversal import ancestors

    with without_starts(model) as starts:
        graph, memo = fgraph_from_model(model, inlined_views=True)
    gone = {memo[model[name]] for name in names}
    for node in list(graph.apply_nodes):
        if isinstance(node.op, ModelVar) and gone.intersection(ancestors(node.outputs)):
            graph.remove_node(node)
    found = model_from_fgraph(graph, mutate_fgraph=True)
    for name, start in starts.items():
        if name in found.named_vars:
            found.rvs_to_initial_values[found[name]] = start
    return found


def made(given: Any, frame: pd.DataFrame) -> "pm.Model":
    """Return the model that `model=` is or returns.

    Parameters
    ----------
    given : pm.Model or callable
        A callable that has a positional parameter without a default gets the rows.
    frame : DataFrame
        The rows of fit, as the user has them.
    """
    import pymc as pm

    found, what = given, "model"
    if callable(given) and not isinstance(given, pm.Model):
        what = f"the callable of model={_called(given)}"
        try:
            found = given(frame) if takes_rows(given) else given()
        except Exception as error:
            error.add_note(f"This is what {what} raised.")
            raise
        if not isinstance(found, pm.Model):
            raise TypeError(
                f"{what} returned {type(found).__name__}; it must return a pm.Model, such as the "
                "one that 'with pm.Model() as model:' made"
            )
    if not isinstance(found, pm.Model):
        raise TypeError(
            f"model must be a pm.Model, or a callable that returns one, got {type(found).__name__}"
        )
    return found


def takes_rows(given: Callable[..., Any]) -> bool:
    """Whether a callable has a positional parameter that has no default."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(given).parameters.values()
    except ValueError:
        return False
    return any(p.kind in positional and p.default is p.empty for p in parameters)


def _called(given: Any) -> str:
    return str(getattr(given, "__name__", None) or getattr(given, "func", given))


def read(
    model: "pm.Model", outcome: str | None, named: str | None, columns: tuple[str, ...]
) -> Skeleton:
    """Return what the variables of a model are.

    Parameters
    ----------
    model : pm.Model
        The model; it stays as it is.
    outcome : str or None
        What the estimator says that the outcome is called.
    named : str or None
        What the user's Series of outcomes is called.
    columns : tuple of str
        The columns of X.

    Raises
    ------
    ValueError
        If the model is no skeleton of an outcome given columns; it says what would be one.
    """
    from pytensor.graph.traversal import ancestors

    if model.observed_RVs:
        known = listed([rv.name for rv in model.observed_RVs])
        raise ValueError(
            f"model: {known} is observed already; fit observes columns and outcome, so give the "
            "model without observed="
        )
    order = [rv.name for rv in model.free_RVs]  # of a copy it is another one
    model = copied(model)
    name = _outcome(model, outcome, named, columns)
    rows = _rows(model, name)
    of = {key: tuple(dims or ()) for key, dims in model.named_vars_to_dims.items()}
    free, data = {rv.name for rv in model.free_RVs}, {v.name for v in model.data_vars}
    for column in columns:
        if column == name:
            continue
        if column in free | data and of.get(column, ()) != (rows,):
            found = f"dims {of[column]}" if of.get(column) else "no dims"
            raise ValueError(
                f"model: column {column!r} is a variable with {found}; a column has "
                f"dims={rows!r}, those of the outcome {name!r}"
            )
    on_rows = [key for key, dims in of.items() if rows in dims]
    missing = [key for key in on_rows if key in data and key not in columns]
    if missing:
        raise ValueError(f"model: data are columns; {unknown('column', missing[0], columns)}")
    fixed = tuple(column for column in columns if column in data)
    random = [column for column in columns if column in order and column != name]
    others = tuple(key for key in order if key in on_rows and key not in (*random, name))
    nodes = [*random, name]
    blocking = {model[key]: key for key in (*fixed, *nodes)}
    lengths = _lengths(model)

    def heard(key: str, of_these: Mapping[Any, str]) -> tuple[str, ...]:
        blockers = [variable for variable, other in blocking.items() if other != key]
        found = set(ancestors([model[key]], blockers=[*blockers, *lengths]))
        return tuple(other for variable, other in of_these.items() if variable in found)

    parents = {
        key: tuple(other for other in heard(key, blocking) if other != key) for key in nodes
    }
    hidden = {model[key]: key for key in others}
    of_latent = {key: heard(key, hidden) for key in nodes}
    children = {each: tuple(k for k in nodes if each in of_latent[k]) for each in others}
    told = set(ancestors(model.potentials))
    idle = tuple(each for each in others if not children[each] and model[each] not in told)
    latent = tuple(each for each in others if each not in idle)
    children = {each: children[each] for each in latent}
    rowwise = {*blocking, *hidden, model.dim_lengths[rows]}
    _refuse_fixed_rows(model, (*nodes, *latent), rows)
    _warn_of_idle(fixed, parents)
    _warn_of_sums(model, (*fixed, *random), [*nodes, *latent])
    parameters = tuple(key for key in order if key not in (*random, *others, name))
    derived = tuple(
        variable.name
        for variable in model.deterministics
        if not rowwise.intersection(ancestors([variable]))
    )
    return Skeleton(
        model,
        name,
        rows,
        fixed,
        tuple(key for key in _ordered(nodes, parents) if key != name),
        latent,
        idle,
        parameters,
        derived,
        parents,
        children,
        indexed(model, [*fixed, *random]),
    )


def _lengths(model: "pm.Model") -> list[Any]:
    """Return all that is the shape of something: how many rows there are is no cause of anything.

    A dimension that `pm.Data` made has the length of these data.
    """
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.shape import Shape, Shape_i

    outputs = [*model.basic_RVs, *model.deterministics, *model.potentials]
    return [
        variable
        for variable in ancestors(outputs)
        if variable.owner is not None and isinstance(variable.owner.op, Shape | Shape_i)
    ]


def _warn_of_idle(fixed: tuple[str, ...], parents: Mapping[str, tuple[str, ...]]) -> None:
    """Warn of data that nothing depends on: perhaps their placeholder stands as a number."""
    read = {name for of in parents.values() for name in of}
    idle = [name for name in fixed if name not in read]
    if idle:
        warnings.warn(
            f"model: nothing depends on {listed(idle)}, so that it says nothing of the outcome. "
            "Is its placeholder's value in the model where the variable should be, as "
            ".get_value() and .eval() put it?",
            UserWarning,
            skip_file_prefixes=(_PACKAGE,),
        )


def _refuse_fixed_rows(model: "pm.Model", nodes: tuple[str, ...], rows: str) -> None:
    """Refuse arrays of many rows that stand in a model as numbers: other rows have others."""
    for name in nodes:
        node = model[name].owner
        ndims = getattr(node.op, "ndims_params", None)
        if ndims is None or node.op.ndim_supp:
            continue
        for each, ndim in zip(node.op.dist_params(node), ndims, strict=False):
            length = each.type.shape[-1 - ndim] if each.type.ndim > ndim else None
            if length is not None and length > 1:
                raise ValueError(
                    f"model: {name!r} depends on an array of {length} rows that is no variable; "
                    f"make it a column of X: pm.Data(..., np.zeros(1), dims={rows!r})"
                )


def _warn_of_sums(model: "pm.Model", columns: tuple[str, ...], nodes: list[str]) -> None:
    """Warn of columns that are summed up over the rows: perhaps a scale of fit is meant."""
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.elemwise import CAReduce

    held = {model[name]: name for name in columns}
    inputs = [each for name in nodes for each in model[name].owner.inputs]
    summed: set[str] = set()
    for variable in ancestors(inputs, blockers=[*held, *_lengths(model)]):
        node = variable.owner
        if variable in held or node is None or not isinstance(node.op, CAReduce):
            continue
        (terms,) = node.inputs
        along = range(terms.type.ndim) if node.op.axis is None else node.op.axis
        if 0 in along and terms.type.shape[0] is None:
            summed |= {held[each] for each in ancestors([terms], blockers=held) if each in held}
    if summed:
        warnings.warn(
            f"model: {listed(sorted(summed))} is summed up over the rows, as .mean(), .std() and "
            ".max() do: then forcing it moves that sum, and answers hang on which rows are asked "
            "of. Read scales off the DataFrame that a callable gets; if rows do act on each "
            "other, ask of all of them",
            UserWarning,
            skip_file_prefixes=(_PACKAGE,),
        )


def _ordered(nodes: list[str], parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return nodes, causes before what they cause."""
    found: list[str] = []
    left = list(nodes)
    while left:
        free = [node for node in left if not set(parents[node]).intersection(left)]
        found += free
        left = [node for node in left if node not in free]
    return found


def _outcome(
    model: "pm.Model", outcome: str | None, named: str | None, columns: tuple[str, ...]
) -> str:
    """Return the name of the outcome's variable."""
    free = [rv.name for rv in model.free_RVs]
    name = DEFAULT_OUTCOME if outcome is None else outcome
    if outcome is None and named is not None and named in free and named not in columns:
        name = named
    if name in free:
        if name in columns:
            raise ValueError(
                f"X has a column {name!r}, the name of the outcome; drop the column, or name the "
                "outcome with outcome=..."
            )
        return name
    if name in model.named_vars:
        what = "data" if model[name] in model.data_vars else "deterministic"
        raise ValueError(
            f"model: the outcome {name!r} is {what}; it must be random, a distribution of its "
            "own, such as pm.Normal"
        )
    on_dims = [key for key in free if model.named_vars_to_dims.get(key)]
    say = "" if outcome is not None else "; say by outcome=... which it is"
    raise ValueError(f"model: {unknown('outcome', name, on_dims or free)}{say}")


def _rows(model: "pm.Model", outcome: str) -> str:
    """Return the dimension of the rows: that of the outcome."""
    dims = model.named_vars_to_dims.get(outcome)
    if not dims:
        raise ValueError(
            f"model: the outcome {outcome!r} has no dims; give it those of the rows, as in "
            f"pm.Model(coords={{'obs': [0]}}) and dims='obs'"
        )
    if len(dims) > 1 or model[outcome].ndim != 1:
        raise ValueError(
            f"model: the outcome {outcome!r} has dims {tuple(dims)}; it must have one, that of "
            "the rows"
        )
    if model[outcome].owner.op.ndim_supp:
        raise ValueError(
            f"model: the outcome {outcome!r} is one draw for all rows, so that what those of fit "
            "tell of others would be lost; give each row a distribution of its own, with what "
            "rows share in parameters, as pm.gp.HSGP has it"
        )
    return str(dims[0])
