"""Levels that no row of the training data had: a draw from the population that the others are of.

Where the prior says that the levels of a column are draws from one Normal distribution with a
learnt scale, a level never seen is one more of them. The model is extended by such levels: their
coefficients are drawn anew for each posterior draw. Everything else then works as for any level.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.errors import listed
from interventional.numbers import OF_LEVELS, Floats
from interventional.scm.equations import Equation, StructuralModel
from interventional.scm.priors import Group, PriorSpec


def unseen_levels(
    model: StructuralModel, X: pd.DataFrame, dos: Iterable[Mapping[Any, Any]]
) -> dict[int, list[Any]]:
    """Return the levels by column that rows hold, or an intervention forces, and the model lacks.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    X : DataFrame
        The rows.
    dos : iterable of mapping
        What columns are forced to.
    """
    found = {}
    for j, levels in enumerate(model.schema.levels):
        if levels is None:
            continue
        label = model.schema.names[j] if model.schema.labels is None else model.schema.labels[j]
        values = [X.iloc[:, j].dropna()]
        for do in dos:
            forced = do.get(label) if isinstance(do, Mapping) else None
            if forced is not None and not callable(forced) and not hasattr(forced, "rvs"):
                values.append(pd.Series(np.ravel(np.asarray(forced, dtype=object))).dropna())
        fresh = [v for part in values for v in part.unique().tolist() if v not in levels]
        if fresh:
            found[j] = list(dict.fromkeys(fresh))
    return found


def more_levels(schema: Schema, seen: Schema) -> dict[int, list[Any]]:
    """Return the levels by column that one schema has and another of the same columns lacks."""
    pairs = enumerate(zip(schema.levels, seen.levels, strict=True))
    return {
        j: [level for level in known if level not in (before or ())]
        for j, (known, before) in pairs
        if known is not None and known != before
    }


def extended(
    model: StructuralModel,
    draws: Mapping[str, Floats],
    unseen: Mapping[int, Iterable[Any]],
    seed: int,
) -> tuple[StructuralModel, dict[str, Floats]]:
    """Return the model with levels more, and its draws with their coefficients.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    draws : mapping
        Posterior draws of all parameters, and of the learnt scales, (draws, ...) each.
    unseen : mapping
        The new levels by the position of their column.
    seed : int
        Source of randomness; a level's draws depend on it and on the level alone.

    Raises
    ------
    ValueError
        If an equation does not pool the levels of such a column.
    """
    schema, levels, orders = model.schema, list(model.schema.levels), list(model.schema.orders)
    for j, fresh in unseen.items():
        levels[j] = (*(levels[j] or ()), *fresh)
        if orders[j] is not None:
            orders[j] = (*(orders[j] or ()), *(v for v in fresh if v not in (orders[j] or ())))
    schema = replace(schema, levels=tuple(levels), orders=tuple(orders))
    grown = dict(draws)
    equations = []
    for equation in model.equations:
        columns = [j for j in unseen if j in equation.columns]
        if columns:
            part = schema.subset(equation.columns)
            equation, beta = _extended(equation, part, columns, draws, unseen, seed)
            grown[f"{equation.node}_beta"] = beta
        equations.append(equation)
    return replace(model, schema=schema, equations=tuple(equations)), grown


def _extended(
    equation: Equation,
    part: Schema,
    columns: list[int],
    draws: Mapping[str, Floats],
    unseen: Mapping[int, Iterable[Any]],
    seed: int,
) -> tuple[Equation, Floats]:
    """Return an equation whose columns have levels more, and draws of its coefficients."""
    design = equation.design
    for j in columns:
        position = equation.columns.index(j)
        pooled = isinstance(design, TreatmentCoding) and position in design.pooled
        if not pooled or equation.n_blocks > 1:
            raise ValueError(
                f"unknown level {listed(unseen[j])} in column {part.names[position]!r}: "
                f"the equation of {equation.node!r} does not pool its levels, so that it knows no "
                f"population to draw them from; give priors={{{part.names[position]!r}: "
                "'partial_pooling'}"
            )
    assert isinstance(design, TreatmentCoding)
    wider = TreatmentCoding(part, design.pooled)
    old = draws[f"{equation.node}_beta"]
    known = dict(zip(design.terms, old.T, strict=True))
    # The first group that holds a level of a column is that of its levels.
    groups = {design.picks[t][0]: g for g in reversed(equation.priors.groups) for t in g.terms}
    beta = np.empty((len(old), len(wider.terms)))
    for k, (term, (position, _)) in enumerate(zip(wider.terms, wider.picks, strict=True)):
        if term in known:
            beta[:, k] = known[term]
            continue
        group = groups[position]
        mu, unit = group.prior.location_and_unit(len(group.terms))
        key = [seed, OF_LEVELS, equation.columns[position], crc32(term.encode())]
        noise = np.random.default_rng(key).standard_normal(len(old))
        beta[:, k] = mu[0] + unit[0] * draws[equation.scale_name(group)] * noise
    # A prior of parameters whose draws are at hand is never asked for.
    flat = Group("flat", PriorSpec.of("Flat"), tuple(range(len(wider.terms))))
    priors = replace(equation.priors, groups=(flat,))
    return replace(equation, design=wider, priors=priors, center=np.zeros(beta.shape[1])), beta
