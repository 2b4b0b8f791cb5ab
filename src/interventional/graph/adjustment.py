"""Sets of columns that a single regression of the outcome adjusts for.

Z adjusts for the effect of the columns D on y if forcing D changes nothing in Z, and Z d-separates
D from y once the edges out of D are removed: the back-door criterion (Pearl 2009, definition
3.3.1), for several columns by rules 2 and 3 of the do-calculus. Then

    E[y | do(D = d)] = E over rows of E[y | D = d, Z = the row's].

If the forced values are computed from what rows had in the columns R, D among them where it is
read, the same holds with R beside D: Y(d) must not depend on R given Z. If any set does of the
ancestors of D and y, so do all of them that may be used (van der Zander et al. 2014); others are
not looked at, as `fit` keeps nothing of them.
"""

from functools import lru_cache

from interventional.graph.mixed_graph import MixedGraph
from interventional.graph.rule import Forcing, changed_by
from interventional.graph.separation import Separations, admg, bits, closure


def is_adjustable(known: Separations, query: Forcing) -> bool:
    """Whether some set adjusts for the effect that a query asks for."""
    return _largest(known, query.do, query.redrawn[-1]) is not None


@lru_cache(maxsize=1024)
def adjustment_set(
    graph: MixedGraph,
    do: frozenset[str],
    outcome: str,
    reads: frozenset[str] = frozenset(),
) -> tuple[str, ...] | None:
    """Return columns to adjust for when some are forced, none of them needless.

    Parameters
    ----------
    graph : MixedGraph
        With observed nodes only.
    do : frozenset of str
        The forced columns.
    outcome : str
        The outcome.
    reads : frozenset of str
        Columns from whose factual values the forced values are computed.

    Returns
    -------
    tuple of str or None
        In topological order; None if there is no such set.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> adjustment_set(CausalGraph("z -> x -> m -> y; z -> y; m <-> y"), frozenset(["x"]), "y")
    ('z',)
    """
    g = admg(graph)
    known, forced, read, y = Separations(g), g.mask(do), g.mask(reads), g.names.index(outcome)
    found = _largest(known, forced, y)
    if found is not None:
        found = _thinned(known, forced, y, found)
        if read and not holds(known, forced, y, found, read):
            found = _largest(known, forced, y, read)
            found = None if found is None else _thinned(known, forced, y, found, read)
    return None if found is None else g.named(found)


def _largest(known: Separations, do: int, y: int, read: int = 0) -> int | None:
    """Return all that may be adjusted for, if that does; else nothing does."""
    g = known.graph
    changed = changed_by(g, do)
    if closure(1 << y, g.children) & do:
        return None
    given = closure(do | 1 << y, g.parents) & ~(changed | do | 1 << y)
    return given if holds(known, do, y, given, read) else None


def _thinned(known: Separations, do: int, y: int, given: int, read: int = 0) -> int:
    """Return what is left of a set without what it does not need, the earliest causes first.

    What stands near the outcome tells most of it (Henckel et al. 2022).
    """
    for i in bits(given):
        if holds(known, do, y, given & ~(1 << i), read):
            given &= ~(1 << i)
    return given


def holds(known: Separations, do: int, y: int, given: int, read: int) -> bool:
    """Whether a set separates what is forced and read from what forcing leaves of the outcome."""
    return known.hold(1 << y, do | read, given, without=do)
