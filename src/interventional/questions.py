"""What may be asked of a fitted model: seeing, doing, imagining, and how far to believe it.

A question is put in two steps. What the user forces is parsed into queries, by the model itself
or, behind the steps of a pipeline, by those who know the steps; what follows is the same for both.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interventional.answers.composed import Applied
from interventional.answers.contents import Contents
from interventional.answers.outcomes import Outcomes, contents_of, outcomes_of
from interventional.answers.reductions import Reduction
from interventional.answers.samples import Held, Samples, at_once
from interventional.answers.support import AVERAGED, Support, joined
from interventional.data.schema import refuse
from interventional.data.table import Table, Units
from interventional.errors import listed
from interventional.fitted import Fitted
from interventional.intervention.do import describe
from interventional.intervention.population import RETROSPECTIVE, SPLIT
from interventional.intervention.query import Query
from interventional.intervention.reach import (
    following,
    observed_nodes,
    refuse_confounded_mediators,
)
from interventional.intervention.route import refuse_mediators
from interventional.intervention.words import Do, Kind, at_rest_in_words, difference, given
from interventional.numbers import Floats
from interventional.scm.roles import positive
from interventional.trust import extrapolation, misfit

if TYPE_CHECKING:
    from interventional.trust.sensitivity import Sensitivity

OBSERVED = "support is known of what is forced, and these rows are as they are: nothing is forced"


@dataclass(frozen=True, eq=False)
class Side:
    """What is forced on one side of a question.

    Attributes
    ----------
    query : Query
        The intervention, and what it reaches.
    words : str
        The same in words.
    supported : Support
        How well the training rows support it.
    follow : frozenset
        The columns that it changes, or the outcome.
    """

    query: Query
    words: str
    supported: Support
    follow: frozenset[Hashable]

    @classmethod
    def of(cls, fitted: Fitted, query: Query, words: str) -> "Side":
        """Return what is forced in the columns of the model itself."""
        return cls(query, words, fitted.supported(query), following(fitted.model, query))


def predict(fitted: Fitted, units: Units, kind: Kind = "mean") -> Outcomes:
    """Answer what the outcome of rows as they are is, or will be: nothing is forced.

    It is the outcome's equation given all that the rows have, as in `Fitted.mean`; a new outcome
    has the noise that it has under an intervention, row by row.
    """
    model, equation = fitted.model, fitted.model.of_outcome
    words = given(model.outcome, kind)
    refuse(units.wrong, equation.read)
    if equation.exposure is not None:
        positive(units.values[:, equation.exposure])
    if kind == "predictive":
        equation.errors(units.values)  # must be there
    query = Query(units.values, {}, (), units.seed)
    samples, answer = fitted.seen_as(query, kind)
    population = fitted.populations(answer)
    return fitted.as_outcomes(units.table, samples, words, OBSERVED, (), population)


def intervene(fitted: Fitted, units: Units, do: Do, kind: Kind = "mean") -> Outcomes:
    """Answer what the outcome will be of such rows if some columns are forced."""
    return fitted.outcomes(units.table, fitted.asked(do, units), kind, describe(do))


def effect(
    fitted: Fitted, units: Units, do: Do, baseline: Do | None = None, kind: Kind = "mean"
) -> Outcomes:
    """Answer what difference forcing some columns makes."""
    treated, rested = fitted.sides(do, baseline, units)
    at_rest = fitted.outcomes(units.table, rested, kind, at_rest_in_words(do, baseline))
    return fitted.outcomes(units.table, treated, kind, describe(do)) - at_rest


def counterfactual(fitted: Fitted, units: Units, target: Floats, do: Do) -> Outcomes:
    """Answer what the outcome of these very rows would have been."""
    query = fitted.asked(do, units)
    refuse_mediators("counterfactual", fitted.model, query)
    return imagined(fitted, units.table, units, target, Side.of(fitted, query, describe(do)))


def imagined(fitted: Fitted, table: Table, units: Units, target: Floats, side: Side) -> Outcomes:
    """Return what the outcome of these very rows would have been under an intervention.

    `table` holds the rows as the user has them.
    """
    asked, query = fitted.serving(side.query)
    model, observed = asked.model, observed_nodes(asked.model, query, units, target)
    refuse_confounded_mediators(model, query)
    samples = asked.unbiased(asked.retrospective(query, observed))
    words = f"{model.outcome} had it been that {side.words}"
    known = side.supported, frozenset[str](), RETROSPECTIVE
    return asked.as_outcomes(table, samples, words, *known)


def decompose(fitted: Fitted, units: Units, do: Do, baseline: Do | None) -> dict[str, Outcomes]:
    """Split an effect into what goes through mediators and what does not."""
    treated, rested = fitted.sides(do, baseline, units)
    refuse_other_columns(treated, rested)
    sides = (
        Side.of(fitted, treated, describe(do)),
        Side.of(fitted, rested, at_rest_in_words(do, baseline)),
    )
    return split(fitted, units.table, *sides)


def refuse_other_columns(treated: Query, rested: Query) -> None:
    """Refuse to split the difference of two interventions that force different columns."""
    if set(rested.forced) != set(treated.forced):
        raise ValueError(
            f"decompose: do forces {listed(treated.forced)}, baseline "
            f"{listed(rested.forced)}; they must force the same columns"
        )


def split(
    fitted: Fitted, table: Table, treated: Side, rested: Side, raw: Reduction | None = None
) -> dict[str, Outcomes]:
    """Return the parts of an effect, direct and indirect, and the total.

    `raw` makes outcomes in other units of expected ones, (draws, rows) to (draws, rows).
    """
    model = fitted.model
    why = "which does not say how the parts are biased"
    fitted.refuse_biased("decompose", treated.query, why)
    refuse_mediators("decompose", model, treated.query)
    refuse_confounded_mediators(model, treated.query)

    def outcome(side: Side, mediators: Side) -> Samples:
        through = fitted.through(side.query, mediators.query)
        return at_once(through if raw is None else Applied(raw, through))

    neither = outcome(rested, rested)
    direct = outcome(treated, rested)
    both = outcome(treated, treated)
    words = f"effect on {model.outcome} of {treated.words}"
    known = joined(treated.supported, rested.supported), treated.follow, SPLIT
    parts = {"direct": (direct, neither), "indirect": (both, direct), "total": (both, neither)}
    return {
        name: fitted.as_outcomes(table, Applied(np.subtract, *pair), f"{name} {words}", *known)
        for name, pair in parts.items()
    }


def sensitivity(
    fitted: Fitted, within: Fitted, units: Units, do: Do, baseline: Do | None, **options: Any
) -> "Sensitivity":
    """Answer how strong unmeasured confounding must be to change an average effect.

    `within` is the model that knows all levels of the rows; what `fitted` has seen has no others.
    """
    words = difference(fitted.model.outcome, do, baseline, "mean")
    return confounded(fitted, within.sides(do, baseline, units), words, **options)


def confounded(
    fitted: Fitted, sides: tuple[Query, Query], words: str, **options: Any
) -> "Sensitivity":
    """Return how strong confounding must be to change the average effect that words name."""
    from interventional.trust.sensitivity import analyse

    def average(draws: Floats) -> Outcomes:
        averaged = Contents(
            Held(draws[:, None]),
            fitted.shape,
            pd.Index(["average"]),
            posterior=fitted.fingerprint,
            support=AVERAGED,
            scale="mixed",
            is_averaged=True,
        )
        return outcomes_of(averaged, f"average of {words}")

    for side in sides:
        fitted.refuse_biased("sensitivity", side, "so that effects allow for it already")
    (asked, treated), (_, rested) = map(fitted.serving, sides)
    return analyse(asked.model, fitted.seen, asked.draws, (treated, rested), average, **options)


def warned(outcomes: Outcomes) -> Outcomes:
    """Return an answer, with a warning where the data do not support it."""
    warn(outcomes, outcomes.estimand)
    return outcomes


def warn(outcomes: Outcomes, estimand: str) -> None:
    """Warn where the data do not support an answer, or speak against the model of it."""
    support = contents_of(outcomes).support
    extrapolation.warn(support, estimand)
    misfit.warn(support, estimand)
