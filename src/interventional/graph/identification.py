"""Which effects a causal graph identifies, and what each equation must be regressed on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, islice

from interventional.errors import NotIdentifiedError, listed, unknown
from interventional.graph.adjustment import adjustment_set, holds, is_adjustable
from interventional.graph.mixed_graph import MixedGraph, check_nodes, measuring, projection
from interventional.graph.rule import (
    Failure,
    Forcing,
    Further,
    chains,
    changed_by,
    fails,
    fails_alone,
    forcing,
    is_determined,
    split,
)
from interventional.graph.separation import (
    Admg,
    Separations,
    admg,
    bits,
    closure,
    open_path,
    without,
)

# Adjustment sets are enumerated up to this size; beyond it, minimal sets of single queries only.
_MAX_SET = 3
_MAX_SETS = 100
_MAX_SEPARATIONS = 1500  # that are looked into before equations stay as they are
_MAX_QUERIES = 256  # for which what they need is kept
_FEW = 12  # nodes of graphs in which all is tried that may help


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
    refuse_strays(graph, outcome, forced)
    return affected(graph, forced, outcome, reads.intersection(graph.nodes))[:-1]


def refuse_strays(graph: MixedGraph, outcome: str, forced: frozenset[str]) -> None:
    """Refuse to force what is not in the graph, or what the outcome causes."""
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
    redrawn = _by_equations(graph, do, outcome, reads)
    if redrawn is None:
        raise NotIdentifiedError(_refusal(graph, do, outcome, reads))
    return redrawn


@lru_cache(maxsize=1024)
def own_regression(
    graph: MixedGraph, do: frozenset[str], outcome: str, reads: frozenset[str] = frozenset()
) -> Regression | None:
    """Return the regression that answers what the equations cannot, or None if they can.

    It is one of the outcome on what is forced and what adjusts for that: no mediators.

    Parameters
    ----------
    graph, do, outcome, reads
        As in `affected`.

    Raises
    ------
    NotIdentifiedError
        If the equations cannot answer, and nothing adjusts for what is forced.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> graph = CausalGraph("z -> x -> a -> b -> y; z -> y; a <-> y")
    >>> own_regression(graph, frozenset(["x"]), "y")
    Regression(node='y', parents=('x',), adjustment=('z',))
    >>> own_regression(graph, frozenset(["b"]), "y") is None
    True
    """
    if _by_equations(graph, do, outcome, reads) is not None:
        return None
    own = _adjusting(graph, do, outcome, reads)
    if own is None:
        raise NotIdentifiedError(_refusal(graph, do, outcome, reads))
    return own


def _adjusting(
    graph: MixedGraph, do: frozenset[str], outcome: str, reads: frozenset[str] = frozenset()
) -> Regression | None:
    """Return a regression of the outcome on what is forced, and on what adjusts for that."""
    g = admg(graph)
    query = forcing(g, g.mask(do), g.names.index(outcome))
    acting = do if query is None else frozenset(g.named(query.do))
    for forced in dict.fromkeys((acting, do)):
        adjustment = adjustment_set(graph, forced, outcome, reads)
        if adjustment is not None:
            return Regression(outcome, g.named(g.mask(forced)), adjustment)
    return None


@lru_cache(maxsize=256)
def own_columns(graph: MixedGraph, outcome: str) -> frozenset[str]:
    """Return the columns that regressions of queries' own hold, whatever is forced.

    Columns are forced alone and together, few before many, as long as that makes no more than a
    few hundred queries.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> sorted(own_columns(CausalGraph("z -> x -> a -> b -> y; z -> y; a <-> y"), "y"))
    ['x', 'z']
    """
    g = admg(graph)
    causes = closure(1 << g.names.index(outcome), g.parents) & ~g.mask([outcome])
    if not any(g.siblings[i] for i in bits(causes)):  # the equations answer everything
        return frozenset()
    names = g.named(causes)
    sizes = range(1, len(names) + 1)
    sets = chain.from_iterable(combinations(names, size) for size in sizes)
    found: set[str] = set()
    for do in map(frozenset, islice(sets, _MAX_QUERIES)):
        own = None if is_licensed(graph, do, outcome) else _adjusting(graph, do, outcome)
        found.update(() if own is None else own.parents + own.adjustment)
    return frozenset(found)


def refuse_reads(graph: MixedGraph, own: Regression, reads: frozenset[str]) -> None:
    """Refuse forced values that are computed from columns for which a regression does not adjust.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> graph = CausalGraph("z -> x -> y; z -> y; w <-> y")
    >>> refuse_reads(graph, Regression("y", ("x",), ("z",)), frozenset(["z"]))
    """
    g = admg(graph)
    y, given, forced = g.names.index(own.node), g.mask(own.adjustment), g.mask(own.parents)
    read = g.mask(reads) & ~given
    if holds(Separations(g), forced, y, given, read):
        return
    late = read & changed_by(g, forced)
    if late:
        raise NotIdentifiedError(_late(own.parents, own.node, g.named(late)))
    path = _open_path(g, Failure(y, read, given, forced))
    raise NotIdentifiedError(_dependent(own.parents, own.node, reads, path))


def is_licensed(graph: MixedGraph, do: frozenset[str], outcome: str) -> bool:
    """Whether `affected` answers, given the graph's own `regressions`.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> is_licensed(CausalGraph("x -> y; x <-> y"), frozenset(["x"]), "y")
    False
    """
    known, equations, query = _posed(graph, do, outcome)
    return query is None or not fails(known, query, equations)


def is_answered(graph: MixedGraph, do: frozenset[str], outcome: str) -> bool:
    """Whether the equations answer, or `own_regression` does.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> graph = CausalGraph("x -> a -> b -> y; a <-> y")
    >>> is_licensed(graph, frozenset(["x"]), "y"), is_answered(graph, frozenset(["x"]), "y")
    (False, True)
    """
    g = admg(graph)
    query = forcing(g, g.mask(do), g.names.index(outcome))
    if query is None or not is_determined(g, query):
        return query is None
    return bool(_adjusting(graph, do, outcome)) or is_licensed(graph, do, outcome)


def _by_equations(
    graph: MixedGraph, do: frozenset[str], outcome: str, reads: frozenset[str]
) -> tuple[str, ...] | None:
    """Return the nodes that are drawn anew, or None if their equations do not answer."""
    check_nodes(graph, *do, outcome, *reads)
    if outcome in do:
        raise ValueError(f"{outcome!r} is the outcome; it cannot be forced")
    known, equations, query = _posed(graph, do, outcome)
    g = known.graph
    if query is None:
        return ()
    late = any(closure(g.mask([name]), g.parents) & _redrawn(query) for name in reads)
    if late or fails(known, query, equations, g.mask(reads)):
        return None
    return (*g.named(query.mediators), outcome)


def _redrawn(query: Forcing) -> int:
    return query.mediators | 1 << query.redrawn[-1]


def _posed(
    graph: MixedGraph, do: frozenset[str], outcome: str
) -> tuple[Separations, list[Further], Forcing | None]:
    """Return the graph, what the equations of its `regressions` hold, and what is asked."""
    g = admg(graph)
    equations = [Further()] * len(g.names)
    for reg in regressions(graph, outcome):
        equations[g.names.index(reg.node)] = Further(g.mask(reg.parents), g.mask(reg.adjustment))
    query = forcing(g, g.mask(do), g.names.index(outcome), equations)
    return Separations(g), equations, query


# --- Saying why not -----------------------------------------------------------------------------


def _refusal(graph: MixedGraph, do: frozenset[str], outcome: str, reads: frozenset[str]) -> str:
    """Say why the equations do not answer."""
    known, equations, query = _posed(graph, do, outcome)
    g = known.graph
    assert query is not None
    late = [name for name in sorted(reads) if closure(g.mask([name]), g.parents) & _redrawn(query)]
    if late:
        return _late(do, outcome, late)
    bare = fails(known, query, equations)
    failure = bare or fails(known, query, equations, g.mask(reads))
    assert failure is not None
    if own := _adjusting(graph, do, outcome, reads):
        return (
            f"the equations do not tell {_effect(do, outcome)}: {_open_path(g, failure)}. "
            f"{in_words(own)} does, which has no mediators"
        )
    if bare:
        if loose := _adjusting(graph, do, outcome):
            refuse_reads(graph, loose, reads)
        return _explain(graph, query, bare, do, outcome)
    return _dependent(do, outcome, reads, _open_path(g, failure))


def _effect(do: Iterable[str], outcome: str) -> str:
    return f"the effect of forcing {listed(sorted(do))} on {outcome!r}"


def _late(do: Iterable[str], outcome: str, late: Iterable[str]) -> str:
    return (
        f"{_effect(do, outcome)} is not identified: the forced values are computed from "
        f"{listed(late)}, which changes with them"
    )


def _dependent(do: Iterable[str], outcome: str, reads: Iterable[str], path: str) -> str:
    return (
        f"{_effect(do, outcome)} is identified for values that depend on nothing, but these are "
        f"computed from {listed(sorted(reads))}: {path}"
    )


def in_words(regression: Regression) -> str:
    """Return what a regression of a query's own is.

    Examples
    --------
    >>> in_words(Regression("y", ("x",), ("z",)))
    "a regression of 'y' on 'x', adjusting for 'z',"
    """
    words = f"a regression of {regression.node!r} on {listed(regression.parents)}"
    if not regression.adjustment:
        return f"{words} alone"
    return f"{words}, adjusting for {listed(regression.adjustment)},"


def _explain(
    graph: MixedGraph, query: Forcing, failure: Failure, do: frozenset[str], outcome: str
) -> str:
    """Say which path is open, and what would close it."""
    g = admg(graph)
    parts = [f"{_effect(do, outcome)} is not identified: {_open_path(g, failure)}"]
    helpful = _helpful(graph, do, outcome)
    if not is_determined(g, query):
        return ". ".join([*parts, *helpful]) + "."
    parts += ["There are formulas for it, but not with one regression a column", *helpful]
    if len(graph.nodes) > _FEW:
        return ". ".join(parts) + "."
    mediators = g.named(query.mediators)
    for left_out in (*((name,) for name in mediators), mediators):
        kept = [name for name in graph.nodes if name not in left_out]
        if left_out and is_answered(projection(graph, kept), do, outcome):
            parts.append(
                f"Without {listed(left_out)} it is identified: declare that unobserved,"
                f" CausalGraph(..., unobserved={list(left_out)!r})"
            )
            break
    return ". ".join(parts) + "."


def _helpful(graph: MixedGraph, do: frozenset[str], outcome: str) -> list[str]:
    """Say what would identify an effect if it were measured: one column, or else two."""
    source = graph.source or graph
    hidden = [name for name in source.nodes if name not in graph.nodes]
    answered = is_answered if len(graph.nodes) <= _FEW else _adjusting
    found: list[str] = []
    for size in (1, 2):
        found = found or [
            " with ".join(map(repr, names))
            for names in combinations(hidden, size)
            if answered(projection(source, {*graph.nodes, *names}), do, outcome)
        ]
    found = found or [
        f"the common cause of {a!r} and {b!r}"
        for a, b in graph.confounded
        if answered(measuring(graph, a, b), do, outcome)
    ]
    return [f"Measuring {' or '.join(found)} would identify it"] if found else []


def _open_path(g: Admg, failure: Failure) -> str:
    """Describe a shortest open path from the failing node to what it must be separated from."""
    parents = Separations(g).parents(failure.without, failure.of)
    steps = open_path(parents, g.siblings, failure.others, failure.node, failure.given)
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
