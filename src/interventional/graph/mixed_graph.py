"""A mixed graph as a value: directed edges, and ``<->`` for unobserved common causes."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, product
from typing import Any

from interventional.errors import listed, unknown
from interventional.graph.text import Statements, quote

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MixedGraph:
    """Nodes, causes before effects, and what joins them.

    `arranged` makes one of statements in any order, and refuses what is no such graph.

    Attributes
    ----------
    nodes : tuple of str
        In topological order; by name where that leaves a choice.
    edges : tuple of (str, str)
        Cause and effect, in the order of nodes.
    confounded : tuple of (str, str)
        The pairs joined by ``<->``, in the order of nodes.
    unobserved : frozenset of str
        The nodes declared unobserved.
    source : MixedGraph or None
        Of a projection: the graph that it came from, which names what is unobserved.

    Examples
    --------
    >>> graph = arranged(Statements(edges=[("m", "y"), ("b", "m")]))
    >>> graph.nodes, graph.parents("y")
    (('b', 'm', 'y'), ('m',))
    """

    nodes: tuple[str, ...]
    edges: Pairs
    confounded: Pairs
    unobserved: frozenset[str]
    source: "MixedGraph | None" = field(compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, in types that any reader of pickles takes."""
        return {**vars(self), "unobserved": sorted(self.unobserved)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state that `__getstate__` gave."""
        vars(self).update(state, unobserved=frozenset(state["unobserved"]))

    def parents(self, node: str) -> tuple[str, ...]:
        """Return the direct causes of a node, in topological order.

        See Also
        --------
        ancestors : The indirect causes too.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> graph = CausalGraph("price -> traffic -> sales; season -> price; season -> sales")
        >>> graph.parents("sales")
        ('season', 'traffic')
        """
        check_nodes(self, node)
        return tuple(a for a, b in self.edges if b == node)

    def children(self, node: str) -> tuple[str, ...]:
        """Return the direct effects of a node, in topological order.

        See Also
        --------
        descendants : The indirect effects too.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> graph = CausalGraph("price -> traffic -> sales; season -> price; season -> sales")
        >>> graph.children("season")
        ('price', 'sales')
        """
        check_nodes(self, node)
        return tuple(b for a, b in self.edges if a == node)

    def ancestors(self, node: str) -> frozenset[str]:
        """Return all causes of a node, itself not among them.

        See Also
        --------
        parents : The direct causes.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> graph = CausalGraph("price -> traffic -> sales; season -> price; season -> sales")
        >>> sorted(graph.ancestors("traffic"))
        ['price', 'season']
        """
        check_nodes(self, node)
        found = {node}
        for cause, effect in reversed(self.edges):  # in the order of causes
            if effect in found:
                found.add(cause)
        return frozenset(found - {node})

    def descendants(self, node: str) -> frozenset[str]:
        """Return all effects of a node, itself not among them.

        See Also
        --------
        children : The direct effects.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> graph = CausalGraph("price -> traffic -> sales; season -> price; season -> sales")
        >>> sorted(graph.descendants("price"))
        ['sales', 'traffic']
        """
        check_nodes(self, node)
        found = {node}
        for cause, effect in self.edges:
            if cause in found:
                found.add(effect)
        return frozenset(found - {node})


def check_nodes(graph: MixedGraph, *names: str) -> None:
    """Refuse names that no node has."""
    for name in names:
        if name not in graph.nodes:
            raise ValueError(unknown("node", name, graph.nodes))


# --- Graphs from graphs -------------------------------------------------------------------------


def projection(graph: MixedGraph, names: Iterable[str]) -> MixedGraph:
    """Return the graph of the nodes among names, all others projected out (Verma 1993).

    Examples
    --------
    >>> graph = arranged(Statements(edges=[("u", "x"), ("u", "m"), ("m", "y"), ("x", "y")]))
    >>> projected = projection(graph, ["x", "y"])
    >>> projected.edges, projected.confounded
    ((('x', 'y'),), (('x', 'y'),))
    """
    keep = set(names).intersection(graph.nodes)
    if not keep:
        raise ValueError(f"none of the graph's nodes is observed: {listed(graph.nodes)}")
    # reach[u]: the observed nodes at which arrows out of u arrive through unobserved ones.
    reach: dict[str, set[str]] = {}
    for node in reversed(graph.nodes):
        reach[node] = set()
        for child in graph.children(node):
            reach[node] |= {child} if child in keep else reach[child]
    out = Statements(nodes=[node for node in graph.nodes if node in keep])
    for node, reached in reach.items():
        if node in keep:
            out.edges += [(node, other) for other in reached]
        else:
            out.confounded += combinations(sorted(reached), 2)
    for a, b in graph.confounded:
        ends = ({node} if node in keep else reach[node] for node in (a, b))
        out.confounded += [(p, q) for p, q in product(*ends) if p != q]
    return arranged(out, source=graph.source or graph)


def with_cause(graph: MixedGraph, name: str, effect: str) -> MixedGraph:
    """Return the graph with one more edge, from a node that may be new.

    Examples
    --------
    >>> with_cause(arranged(Statements(edges=[("x", "y")])), "noise", "y").parents("y")
    ('noise', 'x')
    """
    stated = as_stated(graph)
    stated.edges.append((name, effect))
    return arranged(stated)


def measuring(graph: MixedGraph, a: str, b: str) -> MixedGraph:
    """Return the graph with the unobserved common cause of a and b observed.

    Examples
    --------
    >>> measuring(arranged(Statements(confounded=[("x", "y")])), "x", "y").parents("x")
    ('common cause of x and y',)
    """
    name = f"common cause of {a} and {b}"
    stated = as_stated(graph)
    stated.confounded.remove((a, b))
    stated.edges += [(name, a), (name, b)]
    return arranged(stated)


# --- Graphs from statements ---------------------------------------------------------------------


def as_stated(graph: MixedGraph) -> Statements:
    """Return what `arranged` makes the graph of."""
    return Statements([*graph.nodes], [*graph.edges], [*graph.confounded], [*graph.unobserved])


def arranged(
    stated: Statements, unobserved: Iterable[str] = (), source: MixedGraph | None = None
) -> MixedGraph:
    """Return the graph that is stated, in its one order.

    Parameters
    ----------
    stated : Statements
        Nodes, edges and pairs, in any order and more than once.
    unobserved : iterable of str
        Nodes without data, besides those that are stated as such.
    source : MixedGraph, optional
        Where it was projected from.

    Raises
    ------
    ValueError
        If there is no node, an empty name, a cycle, or a node that causes itself.
    TypeError
        If a node is not a string.

    Examples
    --------
    >>> arranged(Statements(edges=[("b", "a")], confounded=[("a", "b")])).confounded
    (('b', 'a'),)
    """
    hidden = frozenset(unobserved) | frozenset(stated.unobserved)
    joined = stated.edges + stated.confounded
    everyone = (*stated.nodes, *(node for pair in joined for node in pair))
    _check_names(everyone, hidden)
    for a, b in joined:
        if a == b:
            raise ValueError(f"{a!r} cannot cause or confound itself")
    nodes = _topological(set(everyone), set(stated.edges))
    place = {node: i for i, node in enumerate(nodes)}

    def in_order(pairs: Iterable[tuple[str, str]]) -> Pairs:
        return tuple(sorted(set(pairs), key=lambda pair: (place[pair[0]], place[pair[1]])))

    pairs = [(a, b) if place[a] < place[b] else (b, a) for a, b in stated.confounded]
    return MixedGraph(nodes, in_order(stated.edges), in_order(pairs), hidden, source)


def _check_names(everyone: tuple[str, ...], hidden: frozenset[str]) -> None:
    """Refuse nodes that are no names, no nodes at all, and unobserved ones that are none."""
    for node in (*everyone, *hidden):
        if not isinstance(node, str):
            raise TypeError(f"nodes must be strings; got {node!r} ({type(node).__name__})")
        if not node:
            raise ValueError("a node has an empty name")
    if not everyone:
        raise ValueError("the graph has no nodes")
    for node in hidden.difference(everyone):
        raise ValueError(unknown("unobserved node", node, sorted(set(everyone))))


def _topological(nodes: set[str], edges: set[tuple[str, str]]) -> tuple[str, ...]:
    """Return the nodes in topological order, by name where there is a choice."""
    sorter = TopologicalSorter({node: () for node in sorted(nodes)})
    for cause, effect in sorted(edges):
        sorter.add(effect, cause)
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"the graph has a cycle: {_from_first(error.args[1])}") from None
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        for node in sorter.get_ready():
            heapq.heappush(ready, node)
        order.append(heapq.heappop(ready))
        sorter.done(order[-1])
    return tuple(order)


def _from_first(cycle: list[str]) -> str:
    """Name a cycle, whose last node is its first, from the node that is first by name."""
    start = cycle.index(min(cycle))
    return " -> ".join(map(quote, [*cycle[start:], *cycle[1 : start + 1]]))
