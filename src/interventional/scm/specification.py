"""From a draft and rows to a structural model, and to what each equation sees of the rows."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interventional.data.accumulation import Accumulated
from interventional.data.design import TransformedDesign, TreatmentCoding
from interventional.data.grouped import GroupedDesign
from interventional.data.repeated import first_rows, group_codes, same_in_groups
from interventional.data.seen import Seen, merge_equal_rows, sufficient_statistics
from interventional.data.seen_by_level import SeenByLevel
from interventional.data.seen_surface import SeenSurface
from interventional.data.smooth import Design, SmoothDesign
from interventional.errors import MisfitWarning, listed
from interventional.numbers import Floats, dense
from interventional.scm.curve import Curves
from interventional.scm.defaults import resolve
from interventional.scm.draft import Draft, Regression
from interventional.scm.equations import Equation, StructuralModel
from interventional.scm.families import FAMILIES, STUDENT_T

_PACKAGE = str(Path(__file__).parents[1])
_CANONICAL = 100_000  # rows that are sorted before NUTS, which is slow for more


def specify(
    parsed: Draft,
    values: Floats | None,
    target: Floats | None = None,
    weights: Floats | None = None,
    accumulated: Accumulated | None = None,
) -> tuple[StructuralModel, list[Seen | None]]:
    """Return the structural model of some data, and what each equation sees of them.

    Parameters
    ----------
    parsed : Draft
        What the model is.
    values : ndarray of shape (n, columns) or None
        Encoded rows; None if all that is left of them is `accumulated`.
    target : ndarray of shape (n,), optional
        The outcome; None if nobody has seen it yet. Default priors are then those of standardised
        data.
    weights : ndarray of shape (n,), optional
        Frequencies of the rows.
    accumulated : Accumulated, optional
        What equations without a design see of the rows.
    """
    found = []
    for regression in parsed.regressions:
        once = None if values is None else _measured_once(parsed, regression, values)
        if once is None:
            seen = values, target, weights, accumulated
        else:  # it counts groups, whatever their rows weigh
            assert values is not None
            seen = values[once], None if target is None else target[once], None, None
        found.append(_equation(parsed, regression, *seen))
    equations = tuple(equation for equation, _ in found)
    model = StructuralModel(parsed.outcome, parsed.schema, equations, parsed.graph)
    return model, [seen for _, seen in found]


def _measured_once(
    parsed: Draft, regression: Regression, values: Floats
) -> NDArray[np.intp] | None:
    """Return a row of each group, if a column and its regressors are the same in all others.

    The groups are those that coefficients of some equation differ between.
    """
    node, columns, _ = regression
    j = parsed.position(node)
    if j is None:
        return None
    for keys in {g.columns for groupings in parsed.groups.values() for g in groupings}:
        own = [parsed.schema.names.index(name) for name in keys]
        codes = group_codes(values[:, own])
        if same_in_groups(values[:, j], codes):
            if any(g.columns == keys for g in parsed.groups.get(node, ())):
                raise ValueError(
                    f"groups: column {node!r} is the same in all rows of each {':'.join(keys)!r}, "
                    f"so that nothing is left of it that rows tell; let {listed(keys)} be no "
                    "cause of it, and give it no groups: its equation then counts groups, not rows"
                )
            first = first_rows(codes)
            rows = values[:, columns]
            if (rows == rows[first][codes]).all():
                return first
            warnings.warn(
                f"column {node!r} is the same in all rows of each {':'.join(keys)!r}, and what it "
                "is regressed on is not: its equation counts rows, so that intervals of what goes "
                "through it are too narrow. Give it causes that are the same too, such as their "
                "means in each group",
                MisfitWarning,
                skip_file_prefixes=(_PACKAGE,),
            )
    return None


def _equation(
    parsed: Draft,
    regression: Regression,
    values: Floats | None,
    target: Floats | None,
    weights: Floats | None,
    accumulated: Accumulated | None,
) -> tuple[Equation, Seen | None]:
    """Return an equation whose priors are scaled by its data, and what it sees of them."""
    node, columns, _ = regression
    family, intercept = FAMILIES[parsed.families[node]], parsed.fit_intercept
    rows, response = parsed.rows(columns, values), parsed.response(node, values, target)
    design = parsed.design(node, columns, rows, weights)
    parsed.exposures(node, values)  # are refused where nobody has seen the outcome, too
    seen: Seen | None = None
    matrix: Floats | None = None
    if accumulated is not None and parsed.adds_up(node):
        assert isinstance(design, TreatmentCoding)
        seen = accumulated.statistics(design, columns, parsed.position(node), intercept)
    elif values is not None and rows is not None and response is not None:
        if isinstance(design, SmoothDesign):
            of_rows, on_link = (design, rows, response, weights), None
            if family.inner is None:
                on_link = parsed.on_link(node, response, weights, values)
            seen = SeenSurface.of(
                *of_rows,
                intercept=intercept,
                on_link=on_link,
                exposures=parsed.exposures(node, values),
                one_by_one=parsed.families[node] == STUDENT_T,
            )
            equation = _scaled(parsed, regression, design, rows, None, weights, seen)
            equation.engine(parsed.inference)  # which refuses what it cannot draw
            return equation, seen
        if isinstance(design, GroupedDesign) and parsed.keeps_levels(node):
            seen = SeenByLevel.of(design, rows, response, weights, intercept=intercept)
            equation = _scaled(parsed, regression, design, rows, None, weights, seen)
            if equation.engine(parsed.inference) == "exact":
                return equation, seen
        matrix = dense(design.matrix(rows), f"the design of {node!r}")
        seen = parsed.seen(node, matrix, response, weights, values)
    equation = _scaled(parsed, regression, design, rows, matrix, weights, seen)
    if values is not None:
        equation.errors(values)  # likewise
    if rows is None or response is None or len(rows) > _CANONICAL:
        return equation, seen
    sums = family.inner is not None and equation.noise is None
    if sums and equation.engine(parsed.inference) == "nuts":
        # NUTS is chaotic in the last bit: equal data in another order, or as weights, must come
        # to it equal to the last bit.
        if matrix is None:
            matrix = dense(design.matrix(rows), f"the design of {node!r}")
        merged = merge_equal_rows(matrix, response, weights)
        seen = sufficient_statistics(*merged, intercept=intercept)
        equation = _scaled(parsed, regression, design, rows, matrix, weights, seen)
    return equation, seen


def _scaled(
    parsed: Draft,
    regression: Regression,
    design: Design,
    rows: Floats | None,
    matrix: Floats | None,
    weights: Floats | None,
    seen: Seen | None,
) -> Equation:
    """Return an equation with its priors scaled by what it saw."""
    node, columns, variables = regression
    intercept, centered = parsed.fit_intercept, parsed.center_predictors
    family, levels = parsed.families[node], parsed.levels(node)
    exposure = parsed.exposure if node == parsed.outcome else None
    noise = parsed.errors_of(node)
    given, moments = parsed.priors.get(node), None if seen is None else seen.moments
    curves, base = None, design.base if isinstance(design, GroupedDesign) else design
    if isinstance(base, TransformedDesign) and rows is not None and seen is not None:
        own, of_own = rows, seen
        if isinstance(design, GroupedDesign):
            own = rows[:, design.others]
            matrix = base.matrix(own)
            of_own = sufficient_statistics(
                matrix, np.zeros(len(own)), weights, intercept=intercept
            )
        assert matrix is not None
        known = own, matrix, weights
        sampled = FAMILIES[family].inner is None or parsed.inference == "nuts"
        if sampled and len(own) <= _CANONICAL:  # equal to the last bit for NUTS, as above
            distinct, _, counts = merge_equal_rows(own, np.zeros(len(own)), weights)
            known = distinct, base.matrix(distinct), counts
        curves = partial(Curves.of, base, *known, of_own)
    priors = resolve(
        given,
        design,
        rows,
        moments,
        fit_intercept=intercept,
        center=centered,
        family=family,
        curves=curves,
    )
    center = np.zeros(len(design.terms))
    shared = slice(len(design.population))  # what differs between groups does so around 0
    if intercept and centered and seen is not None:
        center[shared] = seen.x_mean[shared]
    elif intercept and centered and rows is not None:
        center[shared] = dense(design.matrix(rows), "").mean(axis=0)[shared]
    if priors.fixed_sigma == 0 and noise is None:
        raise ValueError(
            f"the prior of sigma fixes it at 0, so that no {node!r} could differ from what is "
            "expected of it; give it a number above 0, or name by noise= the column of known "
            "standard deviations of the rows"
        )
    return Equation(
        node, columns, variables, design, priors, center, family, levels, exposure, noise
    )
