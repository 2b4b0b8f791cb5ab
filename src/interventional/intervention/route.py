"""Who answers a query: the equations, or a regression of its own; and what that cannot answer."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from interventional.errors import NotIdentifiedError, listed
from interventional.graph.choice import Regression
from interventional.graph.identification import in_words
from interventional.intervention.query import Query
from interventional.scm.equations import StructuralModel


def refuse_apart(treated: Query, rested: Query) -> None:
    """Refuse to compare two interventions that are not answered by the same equations."""
    if treated.own != rested.own:
        refuse_two_regressions(treated.forced, treated.own, rested.forced, rested.own)


def refuse_two_regressions(
    forced: Iterable[str], own: Regression | None, rest: Iterable[str], other: Regression | None
) -> None:
    """Refuse two interventions that are answered by different regressions."""
    each = [
        f"forcing {listed(names)} by {'the equations' if by is None else in_words(by)}".rstrip(",")
        for names, by in ((forced, own), (rest, other))
    ]
    raise ValueError(
        f"the two sides are answered apart, {' and '.join(each)}: their draws do not pair, and "
        "their difference would have no interval; force the same columns on both sides"
    )


def narrowed(query: Query, own: Regression, biases: Collection[str]) -> Query:
    """Return a query as its own regression takes it: forcing what that holds at new values."""
    left = [name for name in query.forced if name not in own.parents and name in biases]
    if left:
        raise ValueError(
            f"do: {listed(left)} acts through {listed(own.parents)} alone, which is forced too; "
            "the prior of confounding is on the bias of its whole effect: force one at a time"
        )
    forced = {name: held for name, held in query.forced.items() if name in own.parents}
    return replace(query, forced=forced, own=None)


def refuse_mediators(method: str, model: StructuralModel, query: Query) -> None:
    """Refuse what needs the mediators where a regression without them answers."""
    if query.own is None:
        return
    graph, outcome = model.graph, model.outcome
    assert graph is not None
    between = {name for forced in query.forced for name in graph.descendants(forced)}
    between &= graph.ancestors(outcome) - {*query.forced}
    if between or method == "decompose":
        raise NotIdentifiedError(
            f"{method}: what forcing {listed(query.forced)} does to {outcome!r} is told by "
            f"{in_words(query.own)} without what lies between, as the equations of "
            f"{listed([*sorted(between), outcome])} do not tell it: some of these nodes share "
            "causes that nobody observed"
        )
