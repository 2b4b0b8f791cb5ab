"""Data from a model whose parameters are forced."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interventional.data.schema import Schema
from interventional.data.table import Table
from interventional.errors import listed, unknown
from interventional.numbers import Floats
from interventional.scm.compiling import python_mode
from interventional.scm.families import DISPERSIONS

if TYPE_CHECKING:
    import pymc as pm

_POSITIVE = tuple(f"_{name}" for name in DISPERSIONS)


def simulate(
    model: "pm.Model",
    outcome: str,
    schema: Schema,
    parameters: Mapping[str, Any],
    seed: int,
) -> dict[Any, Any]:
    """Draw every node that has an equation, once, with parameters forced by `pm.do`.

    Parameters
    ----------
    model : pm.Model
        The generative model of some rows.
    outcome : str
        Name of the outcome.
    schema : Schema
        What the columns are.
    parameters : mapping
        What parameters are forced to; those that are not named are drawn from their priors.
    seed : int
        Source of randomness.

    Returns
    -------
    dict
        Drawn columns by label, the outcome last.
    """
    import pymc as pm

    nodes = [rv.name for rv in model.free_RVs if rv.name in schema.names]
    known = [rv.name for rv in (*model.free_RVs, *model.deterministics)]
    known = [
        name
        for name in known
        if name not in (*nodes, outcome) and name not in (f"{n}_mu" for n in (*nodes, outcome))
    ]
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a mapping from names to values, got {parameters!r}")
    forced = {}
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(unknown("parameter", name, known))
        dims = model.named_vars_to_dims.get(name) or ()
        labels = list(model.coords[dims[0]]) if dims else []
        forced[name] = _parameter(name, value, bool(dims), labels)
        if name.endswith(_POSITIVE) and not forced[name] >= 0:
            raise ValueError(f"parameters[{name!r}] must not be negative, got {value!r}")
    if forced:
        model = pm.do(model, forced)
    drawn = pm.draw(
        [model[name] for name in (*nodes, outcome)], random_seed=seed, mode=python_mode()
    )
    columns = dict(zip((*nodes, outcome), drawn, strict=True))
    found = {}
    for node in nodes:
        j = schema.names.index(node)
        label = node if schema.labels is None else schema.labels[j]
        decoded = schema.decode_column(j, columns[node])
        is_bool = schema.dtypes[j] == "bool"
        found[label] = (decoded.astype(bool) if is_bool else decoded).array  # rows have labels
    return {**found, outcome: columns[outcome]}


def with_drawn(table: Table, drawn: Mapping[Any, Any]) -> pd.DataFrame:
    """Return rows with drawn columns, by label, in the place of theirs or beside them."""
    frame = table.as_frame()
    depth = frame.columns.nlevels
    for label, column in drawn.items():
        # of a MultiIndex, whose labels are tuples, a name alone is the first part
        whole = isinstance(label, tuple) or depth == 1
        frame[label if whole else (label, *[""] * (depth - 1))] = column
    return frame


def _parameter(name: str, value: Any, is_vector: bool, labels: list[Any]) -> Floats:
    """Return what a parameter is forced to, checked."""
    if isinstance(value, pd.Series):
        value = value.to_dict()
    if isinstance(value, Mapping):
        strays = [key for key in value if key not in labels]
        if strays:
            raise ValueError(unknown(f"term in {name!r}:", strays[0], labels))
        missing = [label for label in labels if label not in value]
        if missing:
            raise ValueError(f"parameters[{name!r}] lacks terms {listed(missing)}")
        value = [value[label] for label in labels]
    array = np.asarray(value, dtype=np.float64)
    shape = (len(labels),) if is_vector else ()
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"parameters[{name!r}] must be finite, of shape {shape}; got {value!r}")
    return array
