"""Which effects a causal graph identifies, and what each equation must be regressed on.

The graphs here hold observed nodes only, joined by directed and by ``<->`` edges. To force the
columns D, every mediator (a node that D changes and that changes the outcome) and the outcome are
drawn anew, in topological order, each from its own regression: on those of its regressors that
are forced or drawn anew at their new values, and on all others, F, at the row's factual values.
A regression holds the node's observed parents; where ``<->`` edges call for it, further columns.
The outcome's distribution is then

    E over rows of  sum over m of  prod_V  P(V = v | new regressors = new, F_V = factual).     (1)

It equals that of Y(d) if the new regressors of each V that is drawn anew divide into C (whose
effect on V is unconfounded) and A (mediators that only the chain rule is needed for) such that,
with T all forced or redrawn parents of V and of A, and all C, but without A,

(a) the intervention changes nothing in F, and F and T have nothing in common;
(b) V is d-separated from T by A and F once the edges out of T are removed; and by A, F and C from
    the rest of T in the graph itself;
(c) once the redrawn nodes have lost their edges from D and from each other, V is d-separated by
    A and F from the nodes redrawn before it, from all F, and from D.

Why. By recursive substitution, V(d) = v for all V is the same event as V(d, m) = v for all V with
m the values among v; by (a) all F are factual. So P(all V(d) = v, F = f) = P(all V(d, m) = v,
F = f), where the graph in (c) is the single-world intervention graph of D and the mediators
(Richardson & Robins 2013): there the chain rule and (c) give the factors P(V(d, m) = v | A(d, m)
= a, F = f). The nodes of such a factor respond to T and A alone, so it is P(V(t) = v | A(t) = a,
F = f). The first graph in (b) is that of T, whence it is P(V(t) = v | A(t) = a, F = f, T = t), by
consistency P(V = v | A = a, F = f, T = t), and by the second part T may be thinned to C.

With A empty these are the back-door criterion for every equation; with A they cover mediators
that share an unobserved cause. Having D in (c) makes the answer hold among rows of the same D
too, and hence where forced values are read off factual ones ("one more than it was").
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, islice
from typing import TYPE_CHECKING

from interventional.errors import NotIdentifiedError, listed, unknown
from interventional.graph.separation import (
    Admg,
    admg,
    bits,
    closure,
    open_path,
    separated,
    without,
)

if TYPE_CHECKING:
    from interventional.graph.causal_graph import CausalGraph

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


# --- Queries ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Query:
    do: int  # the forced nodes through which the outcome changes
    mediators: int
    changed: int  # every node that forcing them changes: their descendants
    redrawn: tuple[int, ...]  # positions of the mediators, then of the outcome


@dataclass(frozen=True)
class _Equation:
    """Columns that a node's equation holds besides its parents."""

    new: int = 0  # at their values under the intervention
    factual: int = 0


@dataclass(frozen=True)
class _Failure:
    """A d-connection that must not be: which one, and in which graph."""

    node: int
    parents: tuple[int, ...]
    others: int
    given: int
    spoiled: int = 0  # columns that should be factual, but the intervention changes them


def _query(
    g: Admg, forced: int, outcome: int, equations: Sequence[_Equation] = ()
) -> _Query | None:
    """Return what forcing columns means for the outcome, or None if it means nothing."""
    uncaused = [0 if forced >> i & 1 else mask for i, mask in enumerate(g.parents)]
    causes = closure(1 << outcome, uncaused)
    do = forced & causes
    if not do:
        return None
    mediators = _changed(g, do) & causes & ~do & ~(1 << outcome)
    redrawn = (*bits(mediators), outcome)
    if equations:
        # A column that acts through other forced ones only may yet be in a redrawn equation.
        for node in redrawn:
            do |= forced & equations[node].new
    return _Query(do, mediators, _changed(g, do), redrawn)


def _changed(g: Admg, do: int) -> int:
    changed = 0
    for i in bits(do):
        changed |= closure(g.children[i], g.children)
    return changed


def _determined(g: Admg, query: _Query) -> bool:
    """Whether the graph identifies the effect by any formula (Tian & Pearl 2002, section 4.4)."""
    outcome = query.redrawn[-1]
    uncaused = [0 if query.do >> i & 1 else mask for i, mask in enumerate(g.parents)]
    todo = kept = closure(1 << outcome, uncaused) & ~query.do
    while todo:
        district = closure(todo & -todo, without(g.siblings, ~kept))
        todo &= ~district
        within = closure(district, g.siblings)
        while True:
            causes = closure(district, without(g.parents, ~within))
            if causes == district:
                break
            if causes == within:
                return False
            within = closure(district, without(g.siblings, ~causes))
    return True


def _fails(
    g: Admg, query: _Query, equations: Sequence[_Equation], read: int = 0
) -> _Failure | None:
    """Check the conditions of the rule for every node that is redrawn."""
    forced = query.do | query.mediators
    redrawn = query.mediators | 1 << query.redrawn[-1]
    cut = [mask & ~forced if redrawn >> i & 1 else mask for i, mask in enumerate(g.parents)]
    others = read
    for i in bits(query.do):
        # A forced node downstream of a mediator has no factual value in this world.
        if not closure(1 << i, g.parents) & redrawn:
            others |= 1 << i
    parts = {}
    for node in query.redrawn:
        regressors = g.parents[node] | equations[node].new
        new = regressors & forced
        factual = (regressors | equations[node].factual) & ~new
        if factual & query.changed:
            return _fails_alone(g, query, node, new, factual)
        others |= factual
        parts[node] = new, factual
    for node, (new, factual) in parts.items():
        failure = None
        for chained in _chains(g, query, node, new):
            fails = _fails_alone(g, query, node, new, factual, chained)
            given = factual | chained
            if not fails and not separated(cut, g.siblings, 1 << node, others & ~given, given):
                fails = _Failure(node, tuple(cut), others & ~given, given)
            failure = failure or fails
            if not fails:
                break
        else:
            return failure
        others |= 1 << node
    return None


def _chains(g: Admg, query: _Query, node: int, new: int) -> Iterator[int]:
    """Yield choices of the redrawn regressors that the chain rule, not (b), accounts for."""
    seen = set()
    for within in (0, query.mediators | 1 << node, ~query.do):
        among = without(g.siblings, ~within)
        chained = closure(1 << node, among) & new & query.mediators
        if chained not in seen:
            seen.add(chained)
            yield chained
    if (chained := new & query.mediators) not in seen:
        yield chained


def _fails_alone(
    g: Admg, query: _Query, node: int, new: int, factual: int, chained: int = 0
) -> _Failure | None:
    """Check (a) and (b) for one node."""
    forced = query.do | query.mediators
    causes = g.parents[node]
    for i in bits(chained):
        causes |= g.parents[i]
    treated = (new | causes & forced) & ~chained
    given = factual | chained
    cut = tuple(without(g.parents, treated))
    if factual & (query.changed | treated):
        spoiled = factual & (query.changed | treated)
        return _Failure(node, cut, treated, given & ~spoiled, spoiled)
    if not separated(cut, g.siblings, 1 << node, treated, given):
        return _Failure(node, cut, treated, given)
    needless = treated & ~new
    if not separated(g.parents, g.siblings, 1 << node, needless, given | new):
        return _Failure(node, tuple(g.parents), needless, given | new)
    return None


# --- Choosing the regressions -------------------------------------------------------------------


@lru_cache(maxsize=256)
def regressions(graph: "CausalGraph", outcome: str) -> tuple[Regression, ...]:
    """Return what the outcome, and each cause of it that has causes, is regressed on.

    A node without ``<->`` is regressed on its parents. Else the further columns are those that
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
    queries = [query for i in bits(causes) if (query := _query(g, 1 << i, y))]
    queries = [query for query in queries if _determined(g, query)]
    equations = [_Equation()] * len(g.names)
    for node in (*bits(causes), y):
        if g.siblings[node] and g.parents[node]:
            factual = _adjustment(g, node, [q for q in queries if node in q.redrawn])
            equations[node] = _Equation(factual=factual)
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


def _adjustment(g: Admg, node: int, queries: Sequence[_Query]) -> int:
    """Return the factual columns that meet (a) and (b) of one node for the most queries."""

    def met(query: _Query, factual: int) -> bool:
        new = g.parents[node] & (query.do | query.mediators)
        return not _fails_alone(g, query, node, new, (g.parents[node] | factual) & ~new)

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
    g: Admg, queries: Sequence[_Query], equations: list[_Equation], causes: int
) -> list[_Equation]:
    """Change one equation at a time while that identifies more of the queries."""
    identified = [not _fails(g, query, equations) for query in queries]
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
                    not _fails(g, query, changed) if node in query.redrawn else done
                    for query, done in zip(queries, identified, strict=True)
                ]
                if sum(now) > sum(identified):
                    equations, identified, improved = changed, now, True
    return equations


def _variants(g: Admg, node: int, equation: _Equation, causes: int) -> Iterator[_Equation]:
    """Yield equations near the one given, and those that hold the node's district so far."""
    pool = _pool(g, node)
    for i in bits(pool):
        yield _Equation(equation.new & ~(1 << i), equation.factual ^ 1 << i)
    early = causes & ~closure(1 << node, g.children) & ((1 << node) - 1)
    for among in (without(g.siblings, ~early), g.siblings):
        district = closure(g.siblings[node] & early, among) & early
        blanket = district
        for i in bits(district):
            blanket |= g.parents[i]
        blanket &= early & ~g.parents[node]
        yield _Equation(blanket)
        yield _Equation(blanket, equation.factual & ~blanket)
        for i in bits(blanket):
            yield _Equation(blanket & ~(1 << i))
    for i in bits(early & ~g.parents[node]):
        yield _Equation(equation.new ^ 1 << i, equation.factual & ~(1 << i))


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
        If the graph does not license the answer that the regressions would give.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> graph = CausalGraph("x -> m -> y; x <-> y")
    >>> affected(graph, regressions(graph, "y"), frozenset(["x"]), "y")
    ('m', 'y')
    """
    g = admg(graph)
    for name in (*do, outcome, *reads):
        if name not in g.names:
            raise ValueError(unknown("node", name, g.names))
    if outcome in do:
        raise ValueError(f"{outcome!r} is the outcome; it cannot be forced")
    y = g.names.index(outcome)
    equations = _equations(g, regs)
    query = _query(g, g.mask(do), y, equations)
    if query is None:
        return ()
    read = g.mask(reads)
    redrawn = query.mediators | 1 << y
    late = [name for name in sorted(reads) if closure(g.mask([name]), g.parents) & redrawn]
    if late:
        raise NotIdentifiedError(
            f"the effect of forcing {listed(sorted(do))} on {outcome!r} is not identified: the "
            f"forced values are computed from {listed(late)}, which changes with them"
        )
    failure = _fails(g, query, equations, read)
    if failure and not _fails(g, query, equations):
        raise NotIdentifiedError(
            f"the effect of forcing {listed(sorted(do))} on {outcome!r} is identified for values "
            f"that depend on nothing, but these are computed from {listed(sorted(reads))}: "
            f"{_open_path(g, failure)}"
        )
    if failure:
        raise NotIdentifiedError(_explain(graph, g, query, failure, do, outcome))
    return (*g.named(query.mediators), outcome)


def is_licensed(graph: "CausalGraph", do: frozenset[str], outcome: str) -> bool:
    """Whether `affected` answers, given the graph's own `regressions`.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> is_licensed(CausalGraph("x -> y; x <-> y"), frozenset(["x"]), "y")
    False
    """
    g = admg(graph)
    equations = _equations(g, regressions(graph, outcome))
    query = _query(g, g.mask(do), g.names.index(outcome), equations)
    return query is None or not _fails(g, query, equations)


def is_determined(graph: "CausalGraph", do: frozenset[str], outcome: str) -> bool:
    """Whether the graph identifies an effect by any formula, ours or not.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> is_determined(CausalGraph("x -> y; x <-> y"), frozenset(["x"]), "y")
    False
    """
    g = admg(graph)
    query = _query(g, g.mask(do), g.names.index(outcome))
    return query is None or _determined(g, query)


def _equations(g: Admg, regs: Sequence[Regression]) -> list[_Equation]:
    equations = [_Equation()] * len(g.names)
    for reg in regs:
        equations[g.names.index(reg.node)] = _Equation(g.mask(reg.parents), g.mask(reg.adjustment))
    return equations


def _explain(
    graph: "CausalGraph",
    g: Admg,
    query: _Query,
    failure: _Failure,
    do: frozenset[str],
    outcome: str,
) -> str:
    """Say which path is open, and what would close it."""
    parts = [
        f"the effect of forcing {listed(sorted(do))} on {outcome!r} is not identified: "
        f"{_open_path(g, failure)}"
    ]
    if _determined(g, query):
        parts.append("There are formulas for it, but not with one regression a column")
    source = graph._source or graph
    hidden = [name for name in source.nodes if name not in graph.nodes]
    helpful: list[str] = []
    for names in (*combinations(hidden, 1), *combinations(hidden, 2)):
        if helpful and len(names) == 2:
            break
        if is_licensed(source._project({*graph.nodes, *names}), do, outcome):
            helpful.append(" with ".join(map(repr, names)))
    if not helpful:
        helpful = [
            f"the common cause of {a!r} and {b!r}"
            for a, b in graph.confounded
            if is_licensed(graph._measuring(a, b), do, outcome)
        ]
    if helpful:
        parts.append(f"Measuring {' or '.join(helpful)} would identify it")
    mediators = g.named(query.mediators)
    for left_out in (*((name,) for name in mediators), mediators):
        kept = [name for name in graph.nodes if name not in left_out]
        if left_out and is_licensed(graph.observing(kept), do, outcome):
            parts.append(
                f"Without {listed(left_out)} it is identified: declare that unobserved,"
                f" CausalGraph(..., unobserved={list(left_out)!r})"
            )
            break
    return ". ".join(parts) + "."


def _open_path(g: Admg, failure: _Failure) -> str:
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
