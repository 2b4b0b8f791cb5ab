"""What the outcome is called where the user does not say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interventional.graph.causal_graph import CausalGraph
from interventional.scm.families import FAMILIES

DEFAULT_OUTCOME = "y"
LABELS = "_levels"  # appended to a column's name: the dimension that has the labels of its codes
_RESERVED = ("obs", "chain", "draw")
# What the model appends to the name of a node.
SUFFIXES = ("_mu", "_beta", "_intercept", "_term", "_residual", "_weights")
OF_SURFACE = (
    "_form",
    "_swell",
    "_scale",
    "_length",
    "_stretch",
    "_noise",
    "_weight",
    "_component",
    "_range",
)


def outcome_name(
    named: str | None, columns: Sequence[str], graph: Any, by_node: Iterable[Any]
) -> str:
    """Return the name of y: that of the user's Series, where the model can be told by it.

    Parameters
    ----------
    named : str or None
        What the user's Series is called.
    columns : sequence of str
        The columns of X. A Series that was made from one keeps its name, and is another thing.
    graph : any form of a graph, or None
        A graph that lacks the name, and has ``"y"``, means that one.
    by_node : iterable
        Parameters that may be mappings by node, which tell by their keys what y is called.

    Raises
    ------
    ValueError
        If the graph has the name, and so has a column.
    """
    mentioned = {key for given in by_node if isinstance(given, Mapping) for key in given}
    if graph is not None:
        parsed = graph if isinstance(graph, CausalGraph) else CausalGraph(graph)
        mentioned |= set(parsed.nodes)
    of_y = DEFAULT_OUTCOME in mentioned and DEFAULT_OUTCOME not in columns
    if graph is not None and named in columns and named in mentioned and not of_y:
        raise ValueError(
            f"{named!r}, a node of the graph, is the name of y and of a column of X; drop the "
            f"column if it is the outcome, X.drop(columns={named!r}), or say by outcome=... what "
            "y is called"
        )
    if named is None or "/" in named or named in columns:
        return DEFAULT_OUTCOME
    if named in mentioned:
        return named
    if of_y:
        return DEFAULT_OUTCOME
    suffixes = {*SUFFIXES, *(f"_{name}" for f in FAMILIES.values() for name in f.dispersion)}
    taken = {*_RESERVED, *columns} & {named, *(named + suffix for suffix in suffixes)}
    return named if graph is not None or not taken else DEFAULT_OUTCOME
