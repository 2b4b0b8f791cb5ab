"""Which effects a causal graph identifies, and what each equation must be regressed on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, islice

from interventional.errors import NotIdentifiedError, listed, unknown
from interventional.graph.mixed_graph import MixedGraph, check_nodes, measuring, projection
from interventional.graph.rule import (
    Failure,
    Forcing,
    Further,
    fails,
    fails_alone,
    forcing,
    is_determined,
)
from interventional.graph.separation import Admg, admg, bits, closure, open_path, without

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


# --- Choosing the regressions -------------------------------------------------------------------


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
    equations = [Further()] * len(g.names)
    for node in (*bits(causes), y):
        if g.siblings[node] and g.parents[node]:
            factual = _adjustment(g, node, [q for q in queries if node in q.redrawn])
            equations[node] = Further(factual=factual)
    equations = _reconcile(g, queries, equations, causes)
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


def _adjustment(g: Admg, node: int, queries: Sequence[Forcing]) -> int:
    """Return the factual columns that meet (a) and (b) of one node for the most queries."""

    def met(query: Forcing, factual: int) -> bool:
        new = g.parents[node] & (query.do | query.mediators)
        return not fails_alone(g, query, node, new, (g.parents[node] | factual) & ~new)

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
        count = sum(met(query, candidate) for query, _ in largest)
        if count > most:
            best, most = candidate, count
        if most == len(largest):
            break
    return best


def _reconcile(
    g: Admg, queries: Sequence[Forcing], equations: list[Further], causes: int
) -> list[Further]:
    """Change one equation at a time while that identifies more of the queries."""
    identified = [not fails(g, query, equations) for query in queries]
    improved = True
    while improved and not all(identified):
        improved = False
        for node in range(len(g.names)):
            missing = any(
                not done and node in query.redrawn
                for query, done in zip(queries, identified, strict=True)
            )
            if not (missing and g.siblings[node] and g.parents[node]):
                continue
            for equation in _variants(g, node, equations[node], causes):
                changed = equations.copy()
                changed[node] = equation
                now = [
                    not fails(g, query, changed) if node in query.redrawn else done
                    for query, done in zip(queries, identified, strict=True)
                ]
                if sum(now) > sum(identified):
                    equations, identified, improved = changed, now, True
    return equations


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


# --- Answering a query --------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def regenerated(
    graph: MixedGraph, outcome: str, forced: frozenset[str], reads: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Return the columns that an intervention changes on its way to the outcome, in order.

    Parameters
    ----------
    graph : MixedGraph
        With observed nodes only.
    outcome : str
        The outcome.
    forced : frozenset of str
        The columns that are forced.
    reads : frozenset of str
        The columns whose factual values the forced values are computed from; those that are not
        in the graph are as good as constants.

    Raises
    ------
    NotIdentifiedError
        If the graph does not license an answer.
    ValueError
        If a forced column is not in the graph, or the outcome causes it.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> regenerated(CausalGraph("x -> m -> y; x <-> y"), "y", frozenset(["x"]))
    ('m',)
    """
    strays = sorted(forced.difference(graph.nodes))
    if strays:
        raise ValueError(
            f"do: column {listed(strays)} is not in the graph, which does not say what it "
            f"causes; the graph holds {listed(graph.nodes)}"
        )
    effects = sorted(forced & graph.descendants(outcome))
    if effects:
        raise ValueError(
            f"do: the graph has {outcome!r} as a cause of {listed(effects)}; forcing an "
            "effect says nothing of its cause"
        )
    return affected(graph, forced, outcome, reads.intersection(graph.nodes))[:-1]


@lru_cache(maxsize=1024)
def affected(
    graph: MixedGraph, do: frozenset[str], outcome: str, reads: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Return the nodes to draw anew when columns are forced, each from its regression.

    Parameters
    ----------
    graph : MixedGraph
        With observed nodes only.
    do : frozenset of str
        The forced columns.
    outcome : str
        The outcome.
    reads : frozenset of str
        Columns whose factual values the forced values are computed from. Constants read none. A
        single forced column may always read its own.

    Returns
    -------
    tuple of str
        The mediators in topological order, then the outcome; empty if forcing these columns
        leaves the outcome as it is.

    Raises
    ------
    NotIdentifiedError
        If the graph does not license the answer that the `regressions` would give.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> affected(CausalGraph("x -> m -> y; x <-> y"), frozenset(["x"]), "y")
    ('m', 'y')
    """
    check_nodes(graph, *do, outcome, *reads)
    if outcome in do:
        raise ValueError(f"{outcome!r} is the outcome; it cannot be forced")
    g, equations, query = _posed(graph, do, outcome)
    if query is None:
        return ()
    effect = f"the effect of forcing {listed(sorted(do))} on {outcome!r}"
    redrawn = query.mediators | g.mask([outcome])
    late = [name for name in sorted(reads) if closure(g.mask([name]), g.parents) & redrawn]
    if late:
        raise NotIdentifiedError(
            f"{effect} is not identified: the forced values are computed from {listed(late)}, "
            "which changes with them"
        )
    failure = fails(g, query, equations, g.mask(reads))
    if failure and not fails(g, query, equations):
        raise NotIdentifiedError(
            f"{effect} is identified for values that depend on nothing, but these are computed "
            f"from {listed(sorted(reads))}: {_open_path(g, failure)}"
        )
    if failure:
        raise NotIdentifiedError(_explain(graph, query, failure, do, outcome))
    return (*g.named(query.mediators), outcome)


def is_licensed(graph: MixedGraph, do: frozenset[str], outcome: str) -> bool:
    """Whether `affected` answers, given the graph's own `regressions`.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> is_licensed(CausalGraph("x -> y; x <-> y"), frozenset(["x"]), "y")
    False
    """
    g, equations, query = _posed(graph, do, outcome)
    return query is None or not fails(g, query, equations)


def _posed(
    graph: MixedGraph, do: frozenset[str], outcome: str
) -> tuple[Admg, list[Further], Forcing | None]:
    """Return the graph, what the equations of its `regressions` hold, and what is asked."""
    g = admg(graph)
    equations = [Further()] * len(g.names)
    for reg in regressions(graph, outcome):
        equations[g.names.index(reg.node)] = Further(g.mask(reg.parents), g.mask(reg.adjustment))
    return g, equations, forcing(g, g.mask(do), g.names.index(outcome), equations)


def _explain(
    graph: MixedGraph, query: Forcing, failure: Failure, do: frozenset[str], outcome: str
) -> str:
    """Say which path is open, and what would close it."""
    g = admg(graph)
    parts = [
        f"the effect of forcing {listed(sorted(do))} on {outcome!r} is not identified: "
        f"{_open_path(g, failure)}"
    ]
    if is_determined(g, query):
        parts.append("There are formulas for it, but not with one regression a column")
    helpful = _helpful(graph, do, outcome)
    if helpful:
        parts.append(f"Measuring {' or '.join(helpful)} would identify it")
    mediators = g.named(query.mediators)
    for left_out in (*((name,) for name in mediators), mediators):
        kept = [name for name in graph.nodes if name not in left_out]
        if left_out and is_licensed(projection(graph, kept), do, outcome):
            parts.append(
                f"Without {listed(left_out)} it is identified: declare that unobserved,"
                f" CausalGraph(..., unobserved={list(left_out)!r})"
            )
            break
    return ". ".join(parts) + "."


def _helpful(graph: MixedGraph, do: frozenset[str], outcome: str) -> list[str]:
    """Name what would identify an effect if it were measured: one column, or else two."""
    source = graph.source or graph
    hidden = [name for name in source.nodes if name not in graph.nodes]
    for size in (1, 2):
        found = [
            " with ".join(map(repr, names))
            for names in combinations(hidden, size)
            if is_licensed(projection(source, {*graph.nodes, *names}), do, outcome)
        ]
        if found:
            return found
    return [
        f"the common cause of {a!r} and {b!r}"
        for a, b in graph.confounded
        if is_licensed(measuring(graph, a, b), do, outcome)
    ]


def _open_path(g: Admg, failure: Failure) -> str:
    """Describe a shortest open path from the failing node to what it must be separated from."""
    steps = open_path(failure.parents, g.siblings, failure.others, failure.node, failure.given)
    if steps is None:  # nothing but condition (a) is amiss
        return (
            f"the equation of {g.names[failure.node]!r} adjusts for"
            f" {listed(g.named(failure.spoiled))}, which would not keep its factual value"
        )
    text = g.names[steps[0][1]]
    reasons = []
    for k, (arrow, node) in enumerate(steps[1:], start=1):
        before, here = g.names[steps[k - 1][1]], g.names[node]
        text += f" {arrow} {here}"
        if arrow == "<->":
            reasons.append(f"an unobserved common cause of {before} and {here}")
        following = steps[k + 1][0] if k + 1 < len(steps) else ""
        if arrow.endswith(">") and following.startswith("<"):
            reasons.append(f"{here}, a common effect, is held fixed or a cause of what is")
    return f"{text}: {', '.join(reasons)}" if reasons else f"the path {text} is open"
