"""From the user's own model and rows to a fitted model; and what is to be had before any fit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interventional.data.accumulation import Accumulated
from interventional.data.schema import Schema, as_label, refuse
from interventional.data.table import Table
from interventional.errors import listed, unknown
from interventional.inference.posterior import Sampling
from interventional.numbers import Floats
from interventional.own.compiled import OF_DRAWS, origin_of_mean
from interventional.own.conditioning import (
    Rows,
    conditioned,
    observed_model,
    resize,
    set_column,
    typed_columns,
    with_rows,
)
from interventional.own.fitted import OwnFitted
from interventional.own.mechanisms import OwnModel
from interventional.own.skeleton import Skeleton, forced, made, read
from interventional.scm.compiling import building, python_mode

if TYPE_CHECKING:
    import pymc as pm


def own_model(
    given: Any, table: Table, outcome: str | None, named: str | None
) -> tuple[OwnModel, Floats]:
    """Return the model that `model=` is or makes of rows, and these encoded.

    Parameters
    ----------
    given : pm.Model or callable
        The parameter.
    table : Table
        The rows.
    outcome, named : str or None
        What the estimator says that the outcome is called, and what the user's Series is called.
    """
    schema, unreadable = Schema.of_readable(table)
    frame = table.as_frame()
    frame.columns = pd.Index(schema.names)  # as the model has to name them
    with building:
        try:
            found = made(given, frame)
        except Exception as error:  # of a callable that cannot do with such rows
            refuse({**schema.encoded(table)[1], **unreadable})
            raise error
        skeleton = read(found, outcome, named, schema.names)
        schema = _coded(skeleton, schema, table)
        _empty(skeleton)
        skeleton = replace(skeleton, indexed=_lengths(skeleton))
    values, wrong = schema.encoded(table)
    model = OwnModel.of(skeleton, schema)
    refuse({**wrong, **unreadable}, model.read_by_any)
    return model, values


def _coded(skeleton: Skeleton, schema: Schema, table: Table) -> Schema:
    """Return what columns are, those of codes with the labels of what they are positions in.

    Where the model does not know the levels of a column, its dimension takes them from it.
    """
    names = schema.names
    for name in skeleton.columns:
        j = names.index(name)
        levels = schema.levels[j]
        labelled = name in skeleton.indexed  # codes of levels may be floats, as ours are
        if levels is not None and not labelled and skeleton.dtype(name).kind not in "iu":
            raise TypeError(
                f"column {name!r} holds levels, and the model has it as {skeleton.dtype(name)}, a "
                "variable of numbers; to index by it make it one of whole numbers: "
                f"pm.Data({name!r}, np.zeros(1, dtype=int), dims={skeleton.rows!r})"
            )
        if name not in skeleton.indexed or table.frame is None:
            continue
        dim, length = skeleton.indexed[name]
        known = skeleton.labels(dim)
        if levels is None:
            held = pd.unique(table.frame.iloc[:, j].dropna())
            found = {as_label(getattr(value, "item", lambda v=value: v)()) for value in held}
            numbers = all(isinstance(value, int) for value in found)
            if known is None or not numbers:
                continue
            if found <= set(known):
                levels = known
            elif len(known) == 1:  # a placeholder: these are labels, too
                levels = tuple(sorted(found))
        if levels is None:
            continue
        if known is not None and set(levels) <= set(known):
            levels = known
        elif dim is not None:
            resize(skeleton.model, dim, len(levels), labels=levels)
        elif length is not None and len(levels) > length:
            raise ValueError(
                f"column {name!r} has {len(levels)} levels, and the model has room for {length}"
            )
        schema = replace(
            schema,
            levels=tuple(levels if k == j else own for k, own in enumerate(schema.levels)),
            dtypes=tuple(
                own if k != j or own is not None else "object"
                for k, own in enumerate(schema.dtypes)
            ),
        )
    return schema


def _lengths(skeleton: Skeleton) -> dict[str, tuple[str | None, int | None]]:
    """Return how long the dimensions are that columns are positions in."""
    found = {}
    for name, (dim, length) in skeleton.indexed.items():
        labels = skeleton.labels(dim)
        found[name] = dim, length if labels is None else len(labels)
    return found


def _empty(skeleton: Skeleton) -> None:
    """Leave one row of zeros in a model: rows of fit are nobody's business."""
    resize(skeleton.model, skeleton.rows, 1)
    for name in skeleton.fixed:
        set_column(skeleton.model, name, np.zeros(1, dtype=skeleton.dtype(name)))


def fitted_to(
    model: OwnModel,
    values: Floats,
    target: Floats,
    named: str | None,
    inference: str,
    sampling: Sampling,
) -> OwnFitted:
    """Return a model with draws from its posterior.

    Parameters
    ----------
    model : OwnModel
        The model.
    values, target : ndarray
        Encoded rows, and their outcomes.
    named : str or None
        What the user's Series is called.
    inference : str
        Who draws.
    sampling : Sampling
        How to draw.
    """
    columns = tuple(sorted(model.read_by_any))
    seen = Accumulated.of(model.schema, columns, values, target, None, named)
    model.of_outcome.record.check(target, "y")
    OwnFitted(model, (), sampling.seed, seen).refuse_positions(values, "X")
    _refuse_unanswerable(model)
    rows = Rows.of(model.skeleton, model.schema.names, values, target)
    posterior = conditioned(model.skeleton, rows, inference, sampling)
    return OwnFitted(model, (posterior,), sampling.seed, seen)


def _refuse_unanswerable(model: OwnModel) -> None:
    """Refuse an outcome that has neither a mean nor draws, before anything is sampled."""
    import pymc as pm

    skeleton = model.skeleton
    with building:
        if origin_of_mean(skeleton.model, skeleton.outcome) != OF_DRAWS:
            return
        try:
            pm.draw(skeleton.model[skeleton.outcome], random_seed=0, mode=python_mode())
        except NotImplementedError as error:
            name, why = skeleton.outcome, str(error).strip()
            raise ValueError(
                f"model: {name!r} has no mean that PyMC knows, and cannot be drawn: {why} Give "
                "its distribution random= or dist=, or the model its expectation, "
                f"pm.Deterministic('{name}_mu', ..., dims={skeleton.rows!r})"
            ) from error
        except Exception:  # one row of zeros may be none that the model takes
            return


def built(model: OwnModel, values: Floats, target: Floats | None, index: list[Any]) -> "pm.Model":
    """Return the PyMC model of rows, all that they hold observed where there are outcomes."""
    skeleton = model.skeleton
    with building:
        if target is not None:
            rows = Rows.of(skeleton, model.schema.names, values, target)
            found = observed_model(skeleton, rows)
        else:
            columns = _typed_columns(model, values, skeleton.fixed)
            found = with_rows(skeleton, columns, len(values))
        resize(found, skeleton.rows, len(values), labels=index)
    return found


def _typed_columns(model: OwnModel, values: Floats, names: Any) -> dict[str, Any]:
    return typed_columns(model.skeleton, model.schema.names, values, names)


def _given(model: OwnModel, values: Floats) -> "pm.Model":
    """Return the model of rows in which columns without causes are what they are in these."""
    skeleton = model.skeleton
    found = with_rows(skeleton, _typed_columns(model, values, skeleton.fixed), len(values))
    roots = [name for name in skeleton.random if not skeleton.parents[name]]
    return forced(found, _typed_columns(model, values, roots))


def simulated(
    model: OwnModel,
    values: Floats,
    parameters: Mapping[str, Any],
    seed: int,
    latent: Sequence[str] = (),
) -> dict[Any, Any]:
    """Draw every random column that has causes, and the outcome, once.

    Parameters
    ----------
    model : OwnModel
        The model.
    values : ndarray of shape (n, columns)
        Encoded rows.
    parameters : mapping
        What parameters are forced to; those that are not named are drawn from their priors.
    seed : int
        Source of randomness.
    latent : sequence of str
        What is latent, and drawn as well.

    Returns
    -------
    dict
        Drawn columns by label, the outcome last.
    """
    import pymc as pm

    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a mapping from names to values, got {parameters!r}")
    skeleton, schema = model.skeleton, model.schema
    with building:
        found = _given(model, values)
        known = (*skeleton.parameters, *skeleton.derived)
        given = {}
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(unknown("parameter", name, known))
            given[name] = _parameter(skeleton, name, value)
        found = forced(found, given)
        nodes = [*latent, *(name for name in skeleton.random if skeleton.parents[name])]
        drawn = pm.draw(
            [found[name] for name in (*nodes, skeleton.outcome)],
            random_seed=seed,
            mode=python_mode(),
        )
    columns: dict[Any, Any] = {}
    for node, each in zip(nodes, drawn, strict=False):
        if node in latent:
            columns[node] = each
            continue
        j = schema.names.index(node)
        label = node if schema.labels is None else schema.labels[j]
        columns[label] = schema.decode_column(j, np.asarray(each, dtype=np.float64)).array
    return {**columns, skeleton.outcome: drawn[-1]}


def _parameter(skeleton: Skeleton, name: str, value: Any) -> Floats:
    """Return what a parameter is forced to, checked; a mapping goes by the labels of its dim."""
    dims = skeleton.model.named_vars_to_dims.get(name) or ()
    if isinstance(value, Mapping | pd.Series):
        labels = skeleton.labels(*dims) if len(dims) == 1 else None
        if labels is None:
            raise TypeError(f"parameters[{name!r}] has no labels; give an array")
        given = dict(value)
        strays = [key for key in given if key not in labels]
        missing = [label for label in labels if label not in given]
        if strays or missing:
            raise ValueError(
                f"parameters[{name!r}] takes {listed(labels)}, got {listed(list(given))}"
            )
        value = [given[label] for label in labels]
    array = np.asarray(value, dtype=skeleton.dtype(name))
    shape = tuple(skeleton.model[name].shape.eval(mode=python_mode()).tolist())
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"parameters[{name!r}] must be finite, of shape {shape}; got {value!r}")
    return array


def from_prior(model: OwnModel, values: Floats, size: int, seed: int) -> "dict[str, Any]":
    """Return draws of all parameters, and of outcomes of rows given these, from the prior.

    Parameters
    ----------
    model : OwnModel
        The model.
    values : ndarray of shape (n, columns)
        Encoded rows.
    size : int
        How many draws.
    seed : int
        Source of randomness.
    """
    import pymc as pm

    skeleton = model.skeleton
    names = (*skeleton.parameters, skeleton.outcome)
    with building:
        found = with_rows(skeleton, _typed_columns(model, values, skeleton.fixed), len(values))
        found = forced(found, _typed_columns(model, values, skeleton.random))
        drawn = pm.draw(
            [found[name] for name in names], draws=size, random_seed=seed, mode=python_mode()
        )
    return dict(zip(names, map(np.asarray, drawn), strict=True))
