"""The rule by which regressions answer what forcing columns does to an outcome, and why it holds.

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

from interventional.graph.separation import Admg, Separations, bits, closure, without


@dataclass(frozen=True)
class Forcing:
    """What forcing columns means for an outcome."""

    do: int  # the forced nodes through which the outcome changes
    mediators: int
    changed: int  # every node that forcing them changes: their descendants
    redrawn: tuple[int, ...]  # positions of the mediators, then of the outcome


@dataclass(frozen=True)
class Further:
    """Columns that a node's equation holds besides its parents."""

    new: int = 0  # at their values under the intervention
    factual: int = 0


@dataclass(frozen=True)
class Failure:
    """A d-connection that must not be: which one, and in which graph."""

    node: int
    others: int
    given: int
    without: int = 0  # parents that are removed
    of: int = -1  # of which nodes
    spoiled: int = 0  # columns that should be factual, but the intervention changes them


def forcing(
    g: Admg, forced: int, outcome: int, equations: Sequence[Further] = ()
) -> Forcing | None:
    """Return what forcing columns means for the outcome, or None if it means nothing."""
    uncaused = [0 if forced >> i & 1 else mask for i, mask in enumerate(g.parents)]
    causes = closure(1 << outcome, uncaused)
    do = forced & causes
    if not do:
        return None
    mediators = changed_by(g, do) & causes & ~do & ~(1 << outcome)
    redrawn = (*bits(mediators), outcome)
    if equations:
        # A column that acts through other forced ones only may yet be in a redrawn equation.
        for node in redrawn:
            do |= forced & equations[node].new
    return Forcing(do, mediators, changed_by(g, do), redrawn)


def changed_by(g: Admg, do: int) -> int:
    """Return all that forcing nodes changes, those of them that others change included."""
    changed = 0
    for i in bits(do):
        changed |= closure(g.children[i], g.children)
    return changed


def is_determined(g: Admg, query: Forcing) -> bool:
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


def fails(
    known: Separations, query: Forcing, equations: Sequence[Further], read: int = 0
) -> Failure | None:
    """Check the conditions of the rule for every node that is redrawn."""
    g = known.graph
    forced = query.do | query.mediators
    redrawn = query.mediators | 1 << query.redrawn[-1]
    others = read
    for i in bits(query.do):
        # A forced node downstream of a mediator has no factual value in this world.
        if not closure(1 << i, g.parents) & redrawn:
            others |= 1 << i
    parts = {}
    for node in query.redrawn:
        new, factual = parts[node] = split(g, query, node, equations[node])
        if factual & query.changed:
            return fails_alone(known, query, node, new, factual)
        others |= factual
    for node, (new, factual) in parts.items():
        failure = None
        for chained in chains(g, query, node, new):
            found = fails_alone(known, query, node, new, factual, chained)
            given = factual | chained
            rest = others & ~given
            if not found and not known.hold(1 << node, rest, given, without=forced, of=redrawn):
                found = Failure(node, rest, given, forced, redrawn)
            failure = failure or found
            if not found:
                break
        else:
            return failure
        others |= 1 << node
    return None


def split(g: Admg, query: Forcing, node: int, equation: Further) -> tuple[int, int]:
    """Return the regressors of a node that enter at new values, and those at factual ones."""
    regressors = g.parents[node] | equation.new
    new = regressors & (query.do | query.mediators)
    return new, (regressors | equation.factual) & ~new


def chains(g: Admg, query: Forcing, node: int, new: int) -> Iterator[int]:
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


def fails_alone(
    known: Separations, query: Forcing, node: int, new: int, factual: int, chained: int = 0
) -> Failure | None:
    """Check (a) and (b) for one node."""
    g = known.graph
    causes = g.parents[node]
    for i in bits(chained):
        causes |= g.parents[i]
    treated = (new | causes & (query.do | query.mediators)) & ~chained
    given = factual | chained
    if spoiled := factual & (query.changed | treated):
        return Failure(node, treated, given & ~spoiled, treated, spoiled=spoiled)
    if not known.hold(1 << node, treated, given, without=treated):
        return Failure(node, treated, given, treated)
    needless = treated & ~new
    if not known.hold(1 << node, needless, given | new):
        return Failure(node, needless, given | new)
    return None
