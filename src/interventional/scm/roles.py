"""Columns that are no regressors of the outcome: exposures, and known errors of the rows."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.data.schema import Schema
from interventional.errors import listed
from interventional.numbers import Floats

if TYPE_CHECKING:
    from interventional.graph.causal_graph import CausalGraph


def exposure_column(
    key: Any, schema: Schema, graph: "CausalGraph | None", outcome: str
) -> int | None:
    """Return the position of the column of exposures."""
    if key is None:
        return None
    position = _column_of_numbers(key, schema, "exposure", "exposures")
    name = schema.names[position]
    if graph is not None and name not in graph.parents(outcome):
        raise ValueError(
            f"exposure: the graph does not have {name!r} as a cause of {outcome!r}, to which it "
            f"is in proportion; add '{name} -> {outcome}'"
        )
    return position


def noise_column(
    key: Any, schema: Schema, graph: "CausalGraph | None", outcome: str
) -> int | None:
    """Return the position of the column of known errors, which the graph need not have."""
    if key is None:
        return None
    position = _column_of_numbers(key, schema, "noise", "standard deviations")
    name = schema.names[position]
    if graph is not None and name in graph.nodes and graph.parents(name):
        raise ValueError(
            f"noise: the graph has {listed(graph.parents(name))} as causes of {name!r}; known "
            f"errors of {outcome!r} are given for each row, and no intervention changes them but "
            "one on themselves: leave the column out of the graph"
        )
    others = set() if graph is None or name not in graph.nodes else {*graph.children(name)}
    if outcome in others and others - {outcome}:
        raise confounds(name, outcome)
    return position


def confounds(name: str, outcome: str) -> ValueError:
    """Return what is raised where known errors would have to be adjusted for."""
    return ValueError(
        f"noise: the graph has {name!r} as a cause of {outcome!r} and of others on the way to "
        f"it, so that it confounds, and known errors enter the equation of {outcome!r} as its "
        "noise alone; make a copy of the column under another name, which the graph has as a "
        "cause, and leave this one out of the graph"
    )


def _column_of_numbers(key: Any, schema: Schema, parameter: str, what: str) -> int:
    """Return the position of a column of numbers that a parameter names."""
    if not isinstance(key, Hashable):
        raise TypeError(
            f"{parameter} must be the name of a column of X, got {type(key).__name__}; make the "
            f"{what} a column"
        )
    try:
        position = schema.position(key)
    except ValueError as error:
        raise ValueError(f"{parameter}: {error}") from None
    name = schema.names[position]
    if schema.categories(position):
        raise ValueError(
            f"{parameter}: column {name!r} holds levels or bools; it must hold numbers"
        )
    return position


def positive(exposures: Floats) -> Floats:
    """Return exposures, all of which must be above zero."""
    if not (exposures > 0).all():
        row = int(np.argmax(~(exposures > 0)))
        raise ValueError(f"the exposure must be positive; it is {exposures[row]:g} in row {row}")
    return exposures
