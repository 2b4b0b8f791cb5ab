"""Parameters of the estimator that may be mappings by node: designs, priors, treatments."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interventional.data.schema import Schema
from interventional.data.smooth import SMOOTH
from interventional.errors import listed, unknown


def by_node(given: Any, nodes: list[str], outcome: str, what: str) -> Mapping[str, Any]:
    """Return what is given for each node; what is no mapping is for the outcome."""
    if not isinstance(given, Mapping):
        return {} if given is None else {outcome: given}
    for node in given:
        if node not in nodes:
            raise ValueError(unknown(f"node in {what}:", node, nodes))
    return given


def designs_by_node(given: Any, nodes: list[str], outcome: str) -> Mapping[str, Any]:
    """Return the design of each node: a transformer, or the word for one that bends."""
    designs = by_node(given, nodes, outcome, "design")
    for design in designs.values():
        if isinstance(design, str) and design != SMOOTH:
            raise ValueError(unknown("design", design, [SMOOTH]))
    return designs


def treated(given: Any, schema: Schema, outcome: str) -> tuple[str, ...]:
    """Return the columns that are meant to be forced, in the order of the table."""
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        given = [given]
    found = set()
    for key in given:
        if key == outcome:
            raise ValueError(f"treatments: {key!r} is the outcome, which is not forced")
        try:
            found.add(schema.position(key))
        except (KeyError, ValueError):
            raise ValueError(unknown("column in treatments:", key, schema.names)) from None
    return tuple(schema.names[j] for j in sorted(found))


def priors_by_node(given: Any, nodes: list[str], outcome: str) -> dict[str, Any]:
    """Return the priors of each equation: mappings by node, all other entries for the outcome."""
    if given is None or not isinstance(given, Mapping):
        return {outcome: {"beta": given} if isinstance(given, str) else given}
    nested = {node: inner for node, inner in given.items() if isinstance(inner, Mapping)}
    for node in nested:
        if node not in nodes:
            raise ValueError(unknown("equation in priors:", node, nodes))
    own = {key: prior for key, prior in given.items() if key not in nested}
    if outcome in nested and own:
        raise ValueError(
            f"priors: {listed(own)} and {outcome!r} both are for the outcome's equation"
        )
    return {outcome: own, **nested} if own else dict(nested)
