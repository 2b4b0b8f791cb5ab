"""Which effects a causal graph identifies, by which regressions, and why not."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, combinations, islice

from interventional.errors import NotIdentifiedError, listed
from interventional.graph.adjustment import adjustment_set, holds
from interventional.graph.choice import Regression, regressions
from interventional.graph.mixed_graph import MixedGraph, check_nodes, measuring, projection
from interventional.graph.rule import (
    Failure,
    Forcing,
    Further,
    changed_by,
    fails,
    forcing,
    is_determined,
)
from interventional.graph.separation import Admg, Separations, admg, bits, closure, open_path

_MAX_QUERIES = 256  # for which what they need is kept
_FEW = 12  # nodes of graphs in which all is tried that may help


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
