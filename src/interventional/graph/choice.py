"""What each node is regressed on: one regression a node, for all queries.

A node without ``<->`` is regressed on its parents. For the others further columns are searched
for, such that as many effects of single columns on the outcome are answered as can be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, islice

from interventional.errors import unknown
from interventional.graph.adjustment import is_adjustable
from interventional.graph.mixed_graph import MixedGraph
from interventional.graph.rule import (
    Forcing,
    Further,
    chains,
    fails,
    fails_alone,
    forcing,
    is_determined,
    split,
)
from interventional.graph.separation import Admg, Separations, admg, bits, closure, without

# Adjustment sets are enumerated up to this size; beyond it, minimal sets of single queries only.
_MAX_SET = 3
_MAX_SETS = 100
_MAX_SEPARATIONS = 1500  # that are looked into before equations stay as they are


@dataclass(frozen=True)
class Regression:
    """What the equation of one node regresses it on.

    Attributes
    ----------
    node : str
        The node.
    parents : tuple of str
        What enters at the values that it has under the intervention: the observed parents, and
        earlier nodes that account for what an unobserved cause does to them and to this node.
    adjustment : tuple of str
        Further columns, which enter at the row's factual values.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> regressions(CausalGraph("x -> m -> y; x <-> y"), "y")[-1]
    Regression(node='y', parents=('m',), adjustment=('x',))
    """

    node: str
    parents: tuple[str, ...]
    adjustment: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def regressions(graph: MixedGraph, outcome: str) -> tuple[Regression, ...]:
    """Return what the outcome, and each cause of it that has causes, is regressed on.

    A node without ``<->`` is regressed on its parents. Else the further columns are those that
    leave the most single-column effects on the outcome identified; of those the fewest.

    Parameters
    ----------
    graph : MixedGraph
        With observed nodes only: see `projection`.
    outcome : str
        The outcome.

    Returns
    -------
    tuple of Regression
        In topological order, the outcome last.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> front_door = CausalGraph("x -> m -> y; x <-> y")
    >>> for regression in regressions(front_door, "y"):
    ...     print(regression.node, regression.parents, regression.adjustment)
    m ('x',) ()
    y ('m',) ('x',)
    """
    if outcome not in graph.nodes:
        raise ValueError(unknown("outcome", outcome, graph.nodes))
    g = admg(graph)
    y = g.names.index(outcome)
    causes = closure(1 << y, g.parents) & ~(1 << y)
    queries = [query for i in bits(causes) if (query := forcing(g, 1 << i, y))]
    queries = [query for query in queries if is_determined(g, query)]
    known = Separations(g)
    equations = [Further()] * len(g.names)
    for node in (*bits(causes), y):
        if g.siblings[node] and g.parents[node]:
            factual = _adjustment(known, node, [q for q in queries if node in q.redrawn])
            equations[node] = Further(factual=factual)
    equations = _reconcile(known, queries, equations, causes)
    return tuple(
        Regression(
            g.names[i],
            g.named(g.parents[i] | equations[i].new),
            g.named(equations[i].factual & ~equations[i].new),
        )
        for i in (*bits(causes), y)
        if g.parents[i] or i == y
    )


def _pool(g: Admg, node: int) -> int:
    """Return what the node's equation may adjust for."""
    descendants = closure(1 << node, g.children)
    near = closure(1 << node | g.siblings[node], g.parents)
    return near & ~descendants & ~g.parents[node]


def _adjustment(known: Separations, node: int, queries: Sequence[Forcing]) -> int:
    """Return the factual columns that meet (a) and (b) of one node for the most queries."""
    g = known.graph

    def met(query: Forcing, factual: int) -> bool:
        new = g.parents[node] & (query.do | query.mediators)
        return not fails_alone(known, query, node, new, (g.parents[node] | factual) & ~new)

    pool = _pool(g, node)
    # If any set separates, so do all ancestors that may be used (van der Zander et al. 2014).
    ancestors = pool & closure(1 << node, g.parents)
    largest = [(q, ancestors & ~q.changed) for q in queries if met(q, ancestors & ~q.changed)]
    sizes = range(_MAX_SET + 1)
    small = chain.from_iterable(combinations(bits(pool), size) for size in sizes)
    candidates = [sum(1 << i for i in chosen) for chosen in islice(small, _MAX_SETS)]
    for query, candidate in largest:
        for i in bits(candidate):
            if met(query, candidate & ~(1 << i)):
                candidate &= ~(1 << i)
        candidates.append(candidate)
    best, most = 0, -1
    for candidate in candidates:
        count, left = 0, len(largest)
        for query, _ in largest:
            if count + left <= most:
                break
            count, left = count + met(query, candidate), left - 1
        if count > most:
            best, most = candidate, count
        if most == len(largest):
            break
    return best


def _reconcile(
    known: Separations, queries: Sequence[Forcing], equations: list[Further], causes: int
) -> list[Further]:
    """Change one equation at a time while that answers more of the queries.

    What has an adjustment set of its own is answered anyway: such queries count less.
    """
    g = known.graph
    identified = [not fails(known, query, equations) for query in queries]
    worth = [1 if is_adjustable(known, query) else 1 + len(queries) for query in queries]
    for least in sorted({*worth}, reverse=True):
        improved = True
        while improved:
            improved, stuck = False, None
            for node in range(len(g.names)):
                if not (g.siblings[node] and g.parents[node]):
                    continue
                stuck = stuck or [_stuck(known, query, equations) for query in queries]
                wanted = [
                    k
                    for k, query in enumerate(queries)
                    if not identified[k] and worth[k] >= least and node in query.redrawn
                    if not stuck[k] - {node}
                ]
                for equation in _variants(g, node, equations[node], causes) if wanted else ():
                    if len(known.known) > _MAX_SEPARATIONS:
                        return equations
                    changed = equations.copy()
                    changed[node] = equation
                    won = [k for k in wanted if _serves(known, queries[k], node, changed)]
                    if not won:
                        continue
                    lost = [
                        k
                        for k, query in enumerate(queries)
                        if identified[k] and node in query.redrawn and fails(known, query, changed)
                    ]
                    if sum(worth[k] for k in won) > sum(worth[k] for k in lost):
                        equations, improved, stuck = changed, True, None
                        identified = [not fails(known, query, equations) for query in queries]
                        wanted = [k for k in wanted if not identified[k]]
    return equations


def _serves(known: Separations, query: Forcing, node: int, equations: Sequence[Further]) -> bool:
    """Whether equations answer a query, of which that of one node is new."""
    return not (_is_stuck(known, query, node, equations[node]) or fails(known, query, equations))


def _stuck(known: Separations, query: Forcing, equations: Sequence[Further]) -> set[int]:
    """Return the nodes whose equations fail a query whatever the others hold."""
    return {node for node in query.redrawn if _is_stuck(known, query, node, equations[node])}


def _is_stuck(known: Separations, query: Forcing, node: int, equation: Further) -> bool:
    """Whether the equation of a node fails a query whatever the others hold."""
    new, factual = split(known.graph, query, node, equation)
    return all(
        fails_alone(known, query, node, new, factual, chained)
        for chained in chains(known.graph, query, node, new)
    )


def _variants(g: Admg, node: int, equation: Further, causes: int) -> Iterator[Further]:
    """Yield equations near the one given, and those that hold the node's district so far."""
    pool = _pool(g, node)
    for i in bits(pool):
        yield Further(equation.new & ~(1 << i), equation.factual ^ 1 << i)
    early = causes & ~closure(1 << node, g.children) & ((1 << node) - 1)
    for among in (without(g.siblings, ~early), g.siblings):
        district = closure(g.siblings[node] & early, among) & early
        blanket = district
        for i in bits(district):
            blanket |= g.parents[i]
        blanket &= early & ~g.parents[node]
        yield Further(blanket)
        yield Further(blanket, equation.factual & ~blanket)
        for i in bits(blanket):
            yield Further(blanket & ~(1 << i))
    for i in bits(early & ~g.parents[node]):
        yield Further(equation.new ^ 1 << i, equation.factual & ~(1 << i))
