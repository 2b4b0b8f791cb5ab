"""What averages over rows become: contents of a row a group."""

from dataclasses import replace

import numpy as np

from interventional.answers import population, support
from interventional.answers.contents import Averages, Contents, Drawn, Term
from interventional.answers.samples import Held


def averaged(averages: Averages, of: Drawn, estimand: str, is_by_group: bool) -> Term:
    """Return averages of an estimand; refuse groups without weights."""
    has_weight = averages.totals > 0
    if not has_weight.any():
        raise ValueError("weights must be finite, not negative, and not all zero")
    if not has_weight.all():
        group = averages.named[0][~has_weight].tolist()[0]
        raise ValueError(f"the weights of group {group!r} are all zero")
    # An average of ratios is no ratio of averages.
    scale = "mixed" if averages.n > 1 and averages.scale == "ratio" else averages.scale
    words = "average by group" if is_by_group else "average"
    return _of_groups(replace(averages, scale=scale), of, f"{words} of {estimand}")


def summed(averages: Averages, of: Drawn, estimand: str, is_by_group: bool) -> Term:
    """Return the sums over rows that belong to averages of an estimand."""
    weights = averages.totals * averages.unit
    sums = np.where(weights > 0, averages.values, 0.0) * weights
    labels = averages.labels if is_by_group else np.array(["sum"], dtype=object)
    # Sums over other rows, or with other weights, make no ratio of outcomes.
    known = None if averages.known is None else averages.known.weighted(weights).held()
    found = replace(averages, values=sums, labels=labels, scale="mixed", known=known)
    words = "sum by group" if is_by_group else "sum"
    return _of_groups(found, of, f"{words} of {estimand}")


def _of_groups(averages: Averages, of: Drawn, words: str) -> Term:
    labels, levels = averages.named
    contents = Contents(
        Held(averages.values, averages.known),
        of.shape,
        labels,
        posterior=of.posterior,
        support=support.AVERAGED,
        scale=averages.scale,
        is_averaged=True,
        levels=levels,
        population=population.AVERAGED,
    )
    return Term(contents, f"{words}{averages.population}")
