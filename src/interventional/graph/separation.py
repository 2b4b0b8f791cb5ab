"""d-separation in graphs with ``<->`` edges, fast enough to be asked for thousands of times.

Sets of nodes are integers: bit i is the i-th node in topological order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from interventional.errors import listed
from interventional.graph.mixed_graph import MixedGraph

Masks = Sequence[int]


def bits(mask: int) -> Iterator[int]:
    """Yield the members of a set, in topological order."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def closure(start: int, step: Masks) -> int:
    """Return start and all that is reached from it: ancestors, descendants or districts."""
    reached = todo = start
    while todo:
        i = todo.bit_length() - 1
        new = step[i] & ~reached
        reached |= new
        todo = (todo ^ (1 << i)) | new
    return reached


def without(step: Masks, removed: int) -> list[int]:
    """Remove nodes from each of several sets."""
    return [mask & ~removed for mask in step]


def separated(parents: Masks, siblings: Masks, a: int, b: int, given: int) -> bool:
    """Whether given d-separates a from b, each <-> being an unobserved common cause.

    Two nodes are adjacent in the moral graph of the ancestors if a path of colliders joins them,
    which is if both lie in one district or among the parents of it (Richardson 2003).
    """
    b &= ~given
    if not a or not b:
        return True
    todo = relevant = closure(a | b | given, parents)
    among = without(siblings, ~relevant)
    cliques = []
    while todo:
        district = closure(todo & -todo, among)
        todo &= ~district
        clique = district
        for i in bits(district):
            clique |= parents[i]
        cliques.append(clique & ~given)
    reached = a
    while True:
        rest = []
        for clique in cliques:
            if clique & reached:
                reached |= clique
            else:
                rest.append(clique)
        if reached & b:
            return False
        if len(rest) == len(cliques):
            return True
        cliques = rest


@dataclass(frozen=True)
class Admg:
    """A graph as bit masks: for each node its parents, children and ``<->`` partners."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    children: tuple[int, ...]
    siblings: tuple[int, ...]

    def mask(self, names: Iterable[str]) -> int:
        """Return the set of the nodes so named."""
        mask = 0
        for name in names:
            mask |= 1 << self.names.index(name)
        return mask

    def named(self, mask: int) -> tuple[str, ...]:
        """Return the names of a set's nodes, in topological order."""
        return tuple(self.names[i] for i in bits(mask))


@lru_cache(maxsize=256)
def admg(graph: MixedGraph) -> Admg:
    """Return a graph without unobserved nodes as bit masks."""
    if graph.unobserved:
        raise ValueError(f"project out {listed(sorted(graph.unobserved))} first: observing(...)")
    bit = {name: 1 << i for i, name in enumerate(graph.nodes)}
    parents, children, siblings = (dict.fromkeys(graph.nodes, 0) for _ in range(3))
    for cause, effect in graph.edges:
        parents[effect] |= bit[cause]
        children[cause] |= bit[effect]
    for a, b in graph.confounded:
        siblings[a] |= bit[b]
        siblings[b] |= bit[a]
    masks = (tuple(step.values()) for step in (parents, children, siblings))
    return Admg(graph.nodes, *masks)


@dataclass(frozen=True)
class Separations:
    """The separations of a graph that have been asked for: in a search most come again.

    Attributes
    ----------
    graph : Admg
        The graph.
    known : dict
        Those that were looked into, and whether they hold.
    """

    graph: Admg
    known: dict[tuple[int, int, int, int, int], bool] = field(default_factory=dict)

    def hold(self, a: int, b: int, given: int, *, without: int = 0, of: int = -1) -> bool:
        """Whether given separates a from b once the nodes of `of` have lost some parents."""
        key = a, b & ~given, given, without, of
        found = self.known.get(key)
        if found is None:
            parents = self.parents(without, of)
            found = separated(parents, self.graph.siblings, a, b, given)
            self.known[key] = found
        return found

    def parents(self, without: int, of: int = -1) -> tuple[int, ...]:
        """Return each node's parents once the nodes of `of` have lost some."""
        masks = self.graph.parents
        return tuple(m & ~without if of >> i & 1 else m for i, m in enumerate(masks))


def open_path(
    parents: Masks, siblings: Masks, a: int, target: int, given: int
) -> list[tuple[str, int]] | None:
    """Return a shortest open path from a to the node target, as (arrow, node) steps, or None."""
    opened = closure(given, parents)
    children = [0] * len(parents)
    for i, mask in enumerate(parents):
        for j in bits(mask):
            children[j] |= 1 << i
    # States are (node, whether the last edge points at it); a start counts as unconditioned.
    queue: list[tuple[int, bool]] = [(i, False) for i in bits(a)]
    came: dict[tuple[int, bool], tuple[tuple[int, bool], str] | None] = dict.fromkeys(queue)
    for state in queue:
        node, pointed = state
        if node == target:
            steps = []
            at: tuple[int, bool] = state
            while (link := came[at]) is not None:
                steps.append((link[1], at[0]))
                at = link[0]
            return [("", at[0]), *reversed(steps)]
        blocked = given >> node & 1
        for arrow, mask in (
            ("->", children[node]),
            ("<->", siblings[node]),
            ("<-", parents[node]),
        ):
            collider = pointed and arrow.startswith("<")
            if came[state] is not None and (not opened >> node & 1 if collider else bool(blocked)):
                continue
            for i in bits(mask):
                step = (i, arrow.endswith(">"))
                if step not in came:
                    came[step] = (state, arrow)
                    queue.append(step)
    return None


def minimal_separator(
    graph: MixedGraph, a: set[str], b: set[str], allowed: set[str], cut: Iterable[str] = ()
) -> tuple[str, ...] | None:
    """Return nodes that separate a from b, none of them needless, or None if there are none.

    Parameters
    ----------
    graph : MixedGraph
        Of any nodes.
    a, b : set of str
        What is to be separated.
    allowed : set of str
        What it may be separated by.
    cut : iterable of str
        Nodes whose edges to their effects are removed first.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> minimal_separator(CausalGraph("a -> b -> c; a -> d -> e"), {"a"}, {"c"}, {"b", "d"})
    ('b',)
    """
    import networkx as nx  # half a second, and a fit without a graph needs none of it

    removed = set(cut)
    canonical: nx.DiGraph = nx.DiGraph()
    canonical.add_nodes_from(graph.nodes)
    canonical.add_edges_from(edge for edge in graph.edges if edge[0] not in removed)
    for pair in graph.confounded:
        canonical.add_edges_from((pair, node) for node in pair)
    given = nx.find_minimal_d_separator(canonical, a, b, restricted=allowed)
    return None if given is None else tuple(node for node in graph.nodes if node in given)
