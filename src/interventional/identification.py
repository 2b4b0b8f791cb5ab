"""Which effects a causal graph identifies, and what each equation must be regressed on.

The graphs here hold observed nodes only, joined by directed and by ``<->`` edges. To force the
columns D, every mediator (a node that D changes and that changes the outcome) and the outcome are
drawn anew, in topological order, each from its own regression: on its forced and redrawn parents
C at their new values, and on its other regressors F at the row's factual values. The outcome's
distribution is then

    E over rows of  sum over m of  prod_V  P(V = v | C_V = new, F_V = factual).                (1)

It equals that of Y(d) if, for every V that is redrawn,

(a) the intervention changes nothing in F_V;
(b) V is d-separated from C_V by F_V once the edges out of C_V are removed;
(c) once the redrawn nodes have lost their edges from D and from each other, V is d-separated by
    F_V from the nodes redrawn before it, from all other F, and from D.

Why: V(d) = V(c) on the event that its new parents take the values c (recursive substitution), and
by (a) all F are factual, so P(V_1(d) = v_1, ..., F = f) = P(V_1(c_1) = v_1, ..., F = f). The graph
in (c) is the single-world intervention graph (Richardson & Robins 2013) of D and the mediators;
there (c) makes each factor P(V(c) = v | F_V = f). The graph in (b) is that of C_V; there V(c) is
independent of C_V given F_V, and by consistency the factor is P(V = v | C_V = c, F_V = f). Having
D in (c) makes the answer hold among rows of the same D too, and hence where the forced values
are read off the factual ones ("one more than it was").
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, islice
from typing import TYPE_CHECKING

from interventional.exceptions import NotIdentifiedError, listed, unknown

if TYPE_CHECKING:
    from interventional.graph import CausalGraph

# Adjustment sets are enumerated up to this size; beyond it, minimal sets of single queries only.
_MAX_SET = 3
_MAX_SETS = 400


@dataclass(frozen=True)
class Regression:
    """What the equation of one node regresses it on.

    Attributes
    ----------
    node : str
        The node.
    parents : tuple of str
        Its observed parents, which enter at the values that they have under the intervention.
    adjustment : tuple of str
        Further columns, which enter at the row's factual values.

    Examples
    --------
    >>> Regression("y", parents=("m",), adjustment=("x",)).regressors
    ('m', 'x')
    """

    node: str
    parents: tuple[str, ...]
    adjustment: tuple[str, ...] = ()

    @property
    def regressors(self) -> tuple[str, ...]:
        """All columns of the equation: parents, then adjustment."""
        return self.parents + self.adjustment


# --- Graphs as bit masks ------------------------------------------------------------------------
# Sets of nodes are integers: bit i is the i-th node in topological order. Choosing adjustment sets
# asks for thousands of d-separations; this way one takes microseconds.

Masks = Sequence[int]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _closure(start: int, step: Masks) -> int:
    """Return start and all that is reached from it: ancestors, descendants or districts."""
    reached = todo = start
    while todo:
        i = todo.bit_length() - 1
        new = step[i] & ~reached
        reached |= new
        todo = (todo ^ (1 << i)) | new
    return reached


def _without(step: Masks, removed: int) -> list[int]:
    return [mask & ~removed for mask in step]


def _separated(parents: Masks, siblings: Masks, a: int, b: int, given: int) -> bool:
    """Whether given d-separates a from b, each <-> being an unobserved common cause.

    Two nodes are adjacent in the moral graph of the ancestors if a path of colliders joins them,
    which is if both lie in one district or among the parents of it (Richardson 2003).
    """
    b &= ~given
    if not a or not b:
        return True
    todo = relevant = _closure(a | b | given, parents)
    among = _without(siblings, ~relevant)
    cliques = []
    while todo:
        district = _closure(todo & -todo, among)
        todo &= ~district
        clique = district
        for i in _bits(district):
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
class _Admg:
    names: tuple[str, ...]
    parents: tuple[int, ...]
    children: tuple[int, ...]
    siblings: tuple[int, ...]

    def mask(self, names: Iterable[str]) -> int:
        mask = 0
        for name in names:
            mask |= 1 << self.names.index(name)
        return mask

    def named(self, mask: int) -> tuple[str, ...]:
        return tuple(self.names[i] for i in _bits(mask))


@lru_cache(maxsize=256)
def _admg(graph: "CausalGraph") -> _Admg:
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
    return _Admg(graph.nodes, *masks)


# --- Queries ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Query:
    do: int  # the forced nodes through which the outcome changes
    mediators: int
    changed: int  # every node that forcing them changes: their descendants
    redrawn: tuple[int, ...]  # positions of the mediators, then of the outcome


@dataclass(frozen=True)
class _Failure:
    """A d-connection that must not be: which one, and in which graph."""

    node: int
    condition: str
    parents: tuple[int, ...]
    others: int
    given: int


def _query(g: _Admg, do: int, outcome: int) -> _Query | None:
    """Return what forcing do means for the outcome, or None if it means nothing."""
    uncaused = [0 if do >> i & 1 else mask for i, mask in enumerate(g.parents)]
    causes = _closure(1 << outcome, uncaused)
    do &= causes
    if not do:
        return None
    changed = 0
    for i in _bits(do):
        changed |= _closure(g.children[i], g.children)
    mediators = changed & causes & ~do & ~(1 << outcome)
    return _Query(do, mediators, changed, (*_bits(mediators), outcome))


def _split(g: _Admg, query: _Query, node: int, adjustment: int) -> tuple[int, int]:
    """Return the node's regressors at new values and those at factual values."""
    new = g.parents[node] & (query.do | query.mediators)
    return new, (g.parents[node] | adjustment) & ~new


def _fails_alone(g: _Admg, query: _Query, node: int, adjustment: int) -> _Failure | None:
    """Check (a) and (b) for one node."""
    new, factual = _split(g, query, node, adjustment)
    cut = _without(g.parents, new)
    if factual & query.changed:
        return _Failure(node, "a", tuple(cut), new, factual & ~query.changed)
    if not _separated(cut, g.siblings, 1 << node, new, factual):
        return _Failure(node, "b", tuple(cut), new, factual)
    return None


def _fails(g: _Admg, query: _Query, adjustment: Sequence[int], read: int = 0) -> _Failure | None:
    """Check (a), (b) and (c) for every node that is redrawn, given each node's adjustment."""
    for node in query.redrawn:
        failure = _fails_alone(g, query, node, adjustment[node])
        if failure:
            return failure
    redrawn = query.mediators | 1 << query.redrawn[-1]
    forced = query.do | query.mediators
    cut = [mask & ~forced if redrawn >> i & 1 else mask for i, mask in enumerate(g.parents)]
    others = read
    for i in _bits(query.do):
        # A forced node downstream of a mediator has no factual value in this world.
        if not _closure(1 << i, g.parents) & redrawn:
            others |= 1 << i
    for node in query.redrawn:
        others |= _split(g, query, node, adjustment[node])[1]
    for node in query.redrawn:
        factual = _split(g, query, node, adjustment[node])[1]
        if not _separated(cut, g.siblings, 1 << node, others, factual):
            return _Failure(node, "c", tuple(cut), others & ~factual, factual)
        others |= 1 << node
    return None


# --- Choosing the regressions -------------------------------------------------------------------


@lru_cache(maxsize=256)
def regressions(graph: "CausalGraph", outcome: str) -> tuple[Regression, ...]:
    """Return what the outcome, and each cause of it that has causes, is regressed on.

    A node without ``<->`` is regressed on its parents. Else the adjustment columns are those that
    leave the most single-column effects on the outcome identified; of those the fewest.

    Parameters
    ----------
    graph : CausalGraph
        With observed nodes only: see `CausalGraph.observing`.
    outcome : str
        The outcome.

    Returns
    -------
    tuple of Regression
        In topological order, the outcome last.

    Examples
    --------
    >>> from interventional.graph import CausalGraph
    >>> front_door = CausalGraph("x -> m -> y; x <-> y")
    >>> for regression in regressions(front_door, "y"):
    ...     print(regression.node, regression.parents, regression.adjustment)
    m ('x',) ()
    y ('m',) ('x',)
    """
    if outcome not in graph.nodes:
        raise ValueError(unknown("outcome", outcome, graph.nodes))
    g = _admg(graph)
    y = g.names.index(outcome)
    causes = _closure(1 << y, g.parents) & ~(1 << y)
    queries = [query for i in _bits(causes) if (query := _query(g, 1 << i, y))]
    adjustment = [0] * len(g.names)
    for node in (*_bits(causes), y):
        if g.siblings[node] and g.parents[node]:
            adjustment[node] = _adjustment(g, node, [q for q in queries if node in q.redrawn])
    adjustment = _reconcile(g, queries, adjustment)
    return tuple(
        Regression(g.names[i], g.named(g.parents[i]), g.named(adjustment[i]))
        for i in (*_bits(causes), y)
        if g.parents[i] or i == y
    )


def _pool(g: _Admg, node: int) -> int:
    """Return what the node's equation may adjust for."""
    descendants = _closure(1 << node, g.children)
    near = _closure(1 << node | g.siblings[node], g.parents)
    return near & ~descendants & ~g.parents[node]


def _adjustment(g: _Admg, node: int, queries: Sequence[_Query]) -> int:
    """Return the set that meets (a) and (b) of one node for the most queries."""
    pool = _pool(g, node)
    ancestors = _closure(1 << node, g.parents)
    # If any set separates, then so do all ancestors that may be used (van der Zander et al. 2014).
    largest = {}
    for query in queries:
        candidate = pool & ancestors & ~query.changed
        if not _fails_alone(g, query, node, candidate):
            largest[query] = candidate
    best, most = 0, -1
    for candidate in _candidates(g, node, pool, largest):
        met = sum(not _fails_alone(g, query, node, candidate) for query in largest)
        if met > most:
            best, most = candidate, met
        if most == len(largest):
            break
    return best


def _candidates(g: _Admg, node: int, pool: int, largest: dict[_Query, int]) -> Iterator[int]:
    """Yield adjustment sets, small ones first."""
    sizes = range(_MAX_SET + 1)
    small = chain.from_iterable(combinations(_bits(pool), size) for size in sizes)
    for chosen in islice(small, _MAX_SETS):
        yield sum(1 << i for i in chosen)
    for query, candidate in largest.items():
        for i in _bits(candidate):
            if not _fails_alone(g, query, node, candidate & ~(1 << i)):
                candidate &= ~(1 << i)
        yield candidate


def _reconcile(g: _Admg, queries: Sequence[_Query], adjustment: list[int]) -> list[int]:
    """Change adjustment sets, a column at a time, while that meets (c) for more queries."""

    def count(sets: Sequence[int]) -> int:
        return sum(not _fails(g, query, sets) for query in queries)

    attainable = sum(
        all(not _fails_alone(g, query, node, adjustment[node]) for node in query.redrawn)
        for query in queries
    )
    most = count(adjustment)
    improved = True
    while improved and most < attainable:
        improved = False
        for node in range(len(g.names)):
            if not (g.siblings[node] and g.parents[node]):
                continue
            for i in _bits(_pool(g, node)):
                changed = adjustment.copy()
                changed[node] ^= 1 << i
                met = count(changed)
                if met > most:
                    adjustment, most, improved = changed, met, True
    return adjustment


# --- Answering a query --------------------------------------------------------------------------


def affected(
    graph: "CausalGraph",
    regs: Sequence[Regression],
    do: frozenset[str],
    outcome: str,
    reads: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Return the nodes to draw anew when columns are forced.

    Parameters
    ----------
    graph : CausalGraph
        With observed nodes only.
    regs : sequence of Regression
        Those of `regressions`.
    do : frozenset of str
        The forced columns.
    outcome : str
        The outcome.
    reads : frozenset of str
        Columns that the forced values are computed from, beyond the forced columns themselves.
        Not needed for constants.

    Returns
    -------
    tuple of str
        The mediators in topological order, then the outcome; empty if forcing these columns
        leaves the outcome as it is.

    Raises
    ------
    NotIdentifiedError
        If the graph does not license the answer that the regressions would give.

    Examples
    --------
    >>> from interventional.graph import CausalGraph
    >>> graph = CausalGraph("x -> m -> y; x <-> y")
    >>> affected(graph, regressions(graph, "y"), frozenset(["x"]), "y")
    ('m', 'y')
    """
    g = _admg(graph)
    for name in (*do, outcome, *reads):
        if name not in g.names:
            raise ValueError(unknown("node", name, g.names))
    if outcome in do:
        raise ValueError(f"{outcome!r} is the outcome; it cannot be forced")
    y = g.names.index(outcome)
    query = _query(g, g.mask(do), y)
    if query is None:
        return ()
    adjustment = [0] * len(g.names)
    for regression in regs:
        adjustment[g.names.index(regression.node)] = g.mask(regression.adjustment)
    read = g.mask(reads)
    redrawn = query.mediators | 1 << y
    late = [name for name in sorted(reads) if _closure(g.mask([name]), g.parents) & redrawn]
    if late:
        raise NotIdentifiedError(
            f"the effect of forcing {listed(sorted(do))} on {outcome!r} is not identified: the "
            f"forced values are computed from {listed(late)}, which changes with them"
        )
    failure = _fails(g, query, adjustment, read)
    if failure:
        raise NotIdentifiedError(_explain(graph, g, query, failure, do, outcome))
    return (*g.named(query.mediators), outcome)


def _identified(graph: "CausalGraph", do: frozenset[str], outcome: str) -> bool:
    g = _admg(graph)
    y = g.names.index(outcome)
    query = _query(g, g.mask(do), y)
    if query is None:
        return True
    adjustment = [0] * len(g.names)
    for regression in regressions(graph, outcome):
        adjustment[g.names.index(regression.node)] = g.mask(regression.adjustment)
    return _fails(g, query, adjustment) is None


def _explain(
    graph: "CausalGraph",
    g: _Admg,
    query: _Query,
    failure: _Failure,
    do: frozenset[str],
    outcome: str,
) -> str:
    """Say which path is open, and what would close it."""
    message = (
        f"the effect of forcing {listed(sorted(do))} on {outcome!r} is not identified: "
        f"{_open_path(g, failure)}."
    )
    source = graph._source or graph
    hidden = [name for name in source.nodes if name not in graph.nodes]
    for size in range(1, 3):
        helpful = [
            names
            for names in combinations(hidden, size)
            if _identified(source._project({*graph.nodes, *names}), do, outcome)
        ]
        if helpful:
            either = " or ".join(" with ".join(map(repr, names)) for names in helpful)
            message += f" Measuring {either} would identify it."
            break
    else:
        for a, b in graph.confounded:
            if _identified(graph._measuring(a, b), do, outcome):
                message += f" Measuring the common cause of {a!r} and {b!r} would identify it."
    mediators = g.named(query.mediators)
    for without in (*((name,) for name in mediators), mediators):
        kept = [name for name in graph.nodes if name not in without]
        if without and _identified(graph.observing(kept), do, outcome):
            message += (
                f" It is identified if {listed(without)} is left out: declare it unobserved,"
                f" CausalGraph(..., unobserved={list(without)!r})."
            )
            break
    return message


def _open_path(g: _Admg, failure: _Failure) -> str:
    """Describe a shortest open path from the failing node to what it must be separated from."""
    steps = _path(g, failure)
    if steps is None:  # condition (a), and nothing else is amiss
        return (
            f"the equation of {g.names[failure.node]!r} adjusts for columns that it would change"
        )
    text = g.names[steps[0][1]]
    reasons = []
    for k, (arrow, node) in enumerate(steps[1:], start=1):
        before = g.names[steps[k - 1][1]]
        text += f" {arrow} {g.names[node]}"
        if arrow == "<->":
            reasons.append(f"an unobserved common cause of {before} and {g.names[node]}")
        following = steps[k + 1][0] if k + 1 < len(steps) else ""
        if arrow.endswith(">") and following.startswith("<"):
            reasons.append(f"{g.names[node]} is a common effect on this path and is adjusted for")
    return f"{text}: {', '.join(reasons)}" if reasons else f"the path {text} is open"


def _path(g: _Admg, failure: _Failure) -> list[tuple[str, int]] | None:
    """Return (arrow, node) steps from the others to the node, by breadth-first search."""
    parents, target, given = failure.parents, failure.node, failure.given
    opened = _closure(given, parents)
    children = [0] * len(parents)
    for i, mask in enumerate(parents):
        for j in _bits(mask):
            children[j] |= 1 << i
    # States are (node, whether the last edge points at it); a start counts as unconditioned.
    queue: list[tuple[int, bool]] = [(i, False) for i in _bits(failure.others)]
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
            ("<->", g.siblings[node]),
            ("<-", parents[node]),
        ):
            collider = pointed and arrow.startswith("<")
            if came[state] is not None and (not opened >> node & 1 if collider else bool(blocked)):
                continue
            for i in _bits(mask):
                step = (i, arrow.endswith(">"))
                if step not in came:
                    came[step] = (state, arrow)
                    queue.append(step)
    return None
