"""Levels that no row of the training data had: a draw from the population that the others are of.

Where the prior says that the levels of a column are draws from one Normal distribution with a
learnt scale, a level never seen is one more of them. The model is extended by such levels: their
coefficients are drawn anew for each posterior draw. Everything else then works as for any level.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interventional.data.design import TreatmentCoding
from interventional.data.grouped import GroupedDesign, Varying, levels_of
from interventional.data.schema import Schema, as_label
from interventional.data.smooth import Design, SmoothDesign
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
        values = [X.iloc[:, j].dropna()]
        for do in dos:
            forced = _forced(model.schema, do).get(j)
            if forced is not None:
                values.append(pd.Series(np.ravel(np.asarray(forced, dtype=object))).dropna())
        fresh = [as_label(v) for part in values for v in part.unique().tolist() if v not in levels]
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
    tables: Sequence[pd.DataFrame] = (),
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
    tables : sequence of DataFrame
        Rows in which combinations of levels may be new.

    Raises
    ------
    ValueError
        If the levels of such a column are no groups of an equation's.
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
        if columns or not all(part.is_complete for part in equation.design.varying):
            part = schema.subset(equation.columns)
            values = [_encoded(schema, equation.columns, table) for table in tables]
            equation, beta = _extended(equation, part, columns, draws, unseen, seed, values)
            grown[f"{equation.node}_beta"] = beta
        equations.append(equation)
    return replace(model, schema=schema, equations=tuple(equations)), grown


def combining(
    model: StructuralModel, X: pd.DataFrame, dos: Iterable[Mapping[Any, Any]]
) -> list[pd.DataFrame]:
    """Return rows as they are and as they are forced, if no row of `fit` was of some group.

    Levels that are all known may be of such: a combination, or a category that did not occur.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    X : DataFrame
        The rows.
    dos : iterable of mapping
        What columns are forced to.
    """
    if all(part.is_complete for e in model.equations for part in e.design.varying):
        return []
    tables = [X]
    for do in dos:
        tables.append(X.copy(deep=False))
        for j, value in _forced(model.schema, do).items():
            if np.shape(value) in ((), (len(X),)):
                tables[-1].isetitem(j, np.asarray(value) if np.ndim(value) else value)
    return tables


def _forced(schema: Schema, do: Any) -> dict[int, Any]:
    """Return the values that columns are forced to, where they are given as such."""
    found = {}
    for label, value in do.items() if isinstance(do, Mapping) else ():
        try:
            j = schema.position(label)
        except ValueError:  # which is refused where the question is answered
            continue
        if not callable(value) and not hasattr(value, "rvs"):
            found[j] = value
    return found


def _encoded(schema: Schema, columns: tuple[int, ...], table: pd.DataFrame) -> Floats:
    """Return levels of rows as codes, (n, columns); 0 in columns of numbers."""
    values = np.zeros((len(table), len(columns)))
    for k, j in enumerate(columns):
        if schema.levels[j] is not None and not table.iloc[:, j].isna().any():
            values[:, k] = schema.encode_column(j, table.iloc[:, j])
    return values


def _extended(
    equation: Equation,
    part: Schema,
    columns: list[int],
    draws: Mapping[str, Floats],
    unseen: Mapping[int, Iterable[Any]],
    seed: int,
    values: list[Floats],
) -> tuple[Equation, Floats]:
    """Return an equation whose columns have levels more, and draws of its coefficients."""
    design = equation.design
    of_groups = {j for varying in design.varying for j in varying.columns}
    for j in columns:
        position = equation.columns.index(j)
        pooled = isinstance(design, TreatmentCoding) and position in design.pooled
        if not (pooled or position in of_groups) or equation.n_blocks > 1:
            raise ValueError(
                f"unknown level {listed(unseen[j])} in column {part.names[position]!r}: they are "
                f"no groups of the equation of {equation.node!r}, so that it knows no population "
                f"to draw them from; give groups=[{part.names[position]!r}]"
            )
    old = draws[f"{equation.node}_beta"]
    known = dict(zip(design.terms, old.T, strict=True))
    if isinstance(design, GroupedDesign | SmoothDesign):
        grown = design.grown(part, [_fresh(v, part, values) for v in design.varying])
        wider: Design = grown
        fresh = _of_groups(equation, grown, known, draws, seed)
    else:
        assert isinstance(design, TreatmentCoding)
        coded = TreatmentCoding(part, design.pooled)
        wider, fresh = coded, _of_levels(equation, design, coded, known, draws, seed)
    own = known | fresh
    beta = np.column_stack([own[term] for term in wider.terms])
    # A prior of parameters whose draws are at hand is never asked for.
    flat = Group("flat", PriorSpec.of("Flat"), tuple(range(len(wider.terms))))
    priors = replace(equation.priors, groups=(flat,))
    center, learnt = np.zeros(beta.shape[1]), equation.kinds
    return replace(equation, design=wider, priors=priors, center=center, learnt=learnt), beta


def _of_levels(
    equation: Equation,
    design: TreatmentCoding,
    wider: TreatmentCoding,
    known: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    seed: int,
) -> dict[str, Floats]:
    """Return draws of the coefficients of levels whose prior learns a scale, by term."""
    # The first group that holds a level of a column is that of its levels.
    groups = {design.picks[t][0]: g for g in reversed(equation.priors.groups) for t in g.terms}
    found = {}
    for term, (position, _) in zip(wider.terms, wider.picks, strict=True):
        if term not in known:
            group = groups[position]
            mu, unit = group.prior.location_and_unit(len(group.terms))
            noise = _noise(seed, (equation.columns[position],), term, len(known[design.terms[0]]))
            found[term] = mu[0] + unit[0] * draws[equation.scale_name(group)] * noise
    return found


def _of_groups(
    equation: Equation,
    wider: GroupedDesign | SmoothDesign,
    known: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    seed: int,
) -> dict[str, Floats]:
    """Return draws of what is a new group's own, by term: intercepts and slopes together."""
    found: dict[str, Floats] = {}
    for part, name in zip(wider.varying, equation.kinds, strict=True):
        factor = population_factor(name, draws)
        terms = np.reshape(part.terms, part.shape)
        columns = tuple(equation.columns[j] for j in part.columns)
        for own in terms.T:
            if own[0] not in known:
                noise = _noise(seed, columns, own[0], len(factor), len(own))
                found |= dict(zip(own, np.einsum("sij,sj->is", factor, noise), strict=True))
    return found


def population_factor(name: str, draws: Mapping[str, Floats]) -> Floats:
    """Return what makes coefficients of a new group of standard normal noise, by draw.

    Parameters
    ----------
    name : str
        The variable of the coefficients of a kind of groups, one of `Equation.kinds`.
    draws : mapping
        Posterior draws of the population's standard deviations, and of their correlations where
        there are several effects, (draws, ...) each.

    Returns
    -------
    ndarray of shape (draws, effects, effects)
        A root of the covariance: standard deviations times that of the correlations.
    """
    sd = draws[f"{name}_sd"]
    if sd.shape[1] == 1:
        return sd[:, :, None]
    # Not Cholesky's, as a correlation may be 1 to rounding.
    size, axes = np.linalg.eigh(draws[f"{name}_corr"])
    return sd[:, :, None] * (axes * np.sqrt(np.maximum(size, 0.0))[:, None, :])


def _fresh(part: Varying, schema: Schema, values: list[Floats]) -> NDArray[np.intp]:
    """Return the groups that the design lacks, each as one number among all levels that are."""
    wider = replace(part, levels=levels_of(schema, part.columns))
    old = np.ravel_multi_index(np.unravel_index(part.keys, part.sizes), wider.sizes)
    met = [wider.keyed(v) for v in values]
    if len(part.columns) == 1:
        met.append(np.arange(part.sizes[0], wider.sizes[0]))
    return np.setdiff1d(np.concatenate([old[:0], *met]), old)


def _noise(seed: int, columns: tuple[int, ...], term: str, *shape: int) -> Floats:
    """Return standard normal numbers that hang on the level alone."""
    key = [seed, OF_LEVELS, *columns, crc32(term.encode())]
    return np.random.default_rng(key).standard_normal(shape)
