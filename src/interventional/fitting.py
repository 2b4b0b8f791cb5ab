"""From what the parameters say, and rows, to a fitted model; and whether rows may be batches."""

from collections.abc import Mapping
from typing import Any

from interventional.data.accumulation import Accumulated
from interventional.data.kept import Kept
from interventional.fitted import Fitted
from interventional.graph.identification import own_columns
from interventional.inference.engines import infer_all
from interventional.inference.own import OwnRegressions
from interventional.inference.posterior import Sampling
from interventional.numbers import Floats
from interventional.scm.draft import Draft
from interventional.scm.families import DEFAULT, FAMILIES, adds_up, no_batches
from interventional.scm.links import LOG
from interventional.scm.naming import DEFAULT_OUTCOME
from interventional.scm.specification import specify
from interventional.trust import between, confounding

OWN = "model= is fitted to all rows at once; call fit with all rows in memory"


def conditioned(
    parsed: Draft,
    total: Accumulated,
    sampling: Sampling,
    biases: Mapping[Any, Any] | None,
    values: Floats | None = None,
    target: Floats | None = None,
    weights: Floats | None = None,
) -> Fitted:
    """Return a model with draws from its posterior, given rows, or sums over those of batches.

    Parameters
    ----------
    parsed : Draft
        What the model is.
    total : Accumulated
        What the rows were, as sums.
    sampling : Sampling
        How to draw.
    biases : mapping or None
        The estimator's ``confounding``.
    values, target, weights
        Encoded rows, outcomes and weights; None of rows that came in batches.
    """
    model, seen = specify(parsed, values, target, weights, total)
    parsed.refuse_outcome_among(values, target, total.named)
    priors = confounding.parse(biases or {}, model)
    posteriors = infer_all(model, seen, parsed.inference, sampling)
    posteriors = between.compared(model, seen, posteriors, values)
    shape = sampling.chains, sampling.draws
    drawn = confounding.draw(priors, model, shape, sampling.seed) if priors else {}
    own = OwnRegressions.of(parsed, sampling, values, target, weights)
    return Fitted(model, tuple(posteriors), sampling.seed, total, drawn, own)


def accumulated(
    parsed: Draft, values: Floats, seen: Floats, weights: Floats | None, named: str | None
) -> Accumulated:
    """Return what is left of rows: sums over them, and some of them as they are.

    Parameters
    ----------
    parsed : Draft
        What the model is.
    values : ndarray of shape (n, columns)
        Encoded rows.
    seen : ndarray of shape (n,)
        Their outcomes, as inference sees them.
    weights : ndarray of shape (n,) or None
        Their weights.
    named : str or None
        What the user calls the outcome.
    """
    rows = values, seen, weights
    return Accumulated.of(parsed.schema, parsed.columns, *rows, named, kept(parsed, *rows))


def kept(parsed: Draft, values: Floats, seen: Floats, weights: Floats | None) -> Kept:
    """Return some of the rows, of all columns that an equation or a query's regression has."""
    names, graph = parsed.schema.names, parsed.graph
    columns = {*parsed.read, *parsed.columns}
    if graph is not None and graph.confounded:
        columns |= {names.index(name) for name in own_columns(graph, parsed.outcome)}
    first = next((groupings[0].columns for groupings in parsed.groups.values()), ())
    groups = tuple(map(names.index, first))
    return Kept.of(parsed.schema, tuple(sorted(columns)), values, seen, weights, groups)


def no_partial_fit(family: Any, outcome: str | None, noise: Any, design: Any) -> str | None:
    """Say why batches do not add up, whatever the columns; None where they may."""
    bends = design.values() if isinstance(design, Mapping) else [design]
    if any(isinstance(each, str) for each in bends):
        return (
            "design='smooth' is fitted to all rows at once, so that batches do not add up; call "
            "fit with all rows in memory"
        )
    if noise is not None:
        return "with noise= batches do not add up; call fit with all rows in memory"
    outcome = outcome or DEFAULT_OUTCOME
    for node, name in (family if isinstance(family, Mapping) else {outcome: family}).items():
        known = isinstance(name, str) and name in FAMILIES
        if known and not adds_up(name, is_outcome=node == outcome):
            return no_batches(node, name)
    return None


def takes_batches(estimator: Any) -> bool:
    """Whether an estimator has a `partial_fit`; an AttributeError says why not."""
    what = estimator.family, estimator.outcome, estimator.noise, estimator.design
    why = no_partial_fit(*what) if estimator.model is None else OWN
    if why is not None:
        raise AttributeError(why)
    return True


def takes_positive(family: Any, outcome: str | None) -> bool:
    """Whether outcomes of the family are positive numbers."""
    if isinstance(family, Mapping):
        family = family.get(outcome or DEFAULT_OUTCOME, DEFAULT)
    record = FAMILIES.get(family) if isinstance(family, str) else None
    return record is not None and record.link is LOG
