"""Gaussian equations with several learned scales: those of groups of rows, and of terms.

Scales and sigma are drawn by importance sampling from their marginal posterior, which needs sums
over the rows alone (`components`); then coefficients given them, independently.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from interventional.data.by_level import Cut
from interventional.data.seen import SufficientStatistics
from interventional.data.seen_by_level import SeenByLevel
from interventional.inference import importance, scale_priors
from interventional.inference.components import Components, Learnt, Levels, Marginal
from interventional.inference.correlations import cholesky, n_correlations
from interventional.inference.exact import design_rows, normal_priors
from interventional.inference.importance import Sampled
from interventional.inference.modes import mode
from interventional.inference.scales import Scale
from interventional.numbers import Floats
from interventional.scm.equations import Equation
from interventional.scm.priors import Group

Seen = SufficientStatistics | SeenByLevel
Drawn = tuple[dict[str, Floats], dict[str, Floats], Sampled]


def draw(equation: Equation, seen: Seen, n_draws: int, rng: Generator) -> Drawn:
    """Draw from the posterior of an equation.

    Parameters
    ----------
    equation : Equation
        The equation; its priors are conjugate but for scales.
    seen : SufficientStatistics or SeenByLevel
        What the likelihood sees.
    n_draws : int
        Number of draws.
    rng : Generator
        Source of randomness.

    Returns
    -------
    parameters : dict
        ``beta`` (n_draws, p), ``sigma`` (n_draws,) and, where the equation has one, ``intercept``
        at the means of the predictors (n_draws,).
    scales : dict
        Draws of learned scales and correlations by the names of their variables.
    sampled : Sampled
        How good the draws of scales are.

    Raises
    ------
    ValueError
        If the posterior is improper.
    """
    problem = Problem.of(equation, seen)
    marginal = Marginal.of(problem.components)
    found = importance.sample(marginal.log_density, *mode(marginal, problem.names), n_draws, rng)
    border, levels = marginal.coefficients(found.draws, rng)
    parameters = problem.by_name(border, levels)
    parameters["sigma"] = np.exp(found.draws[:, -1])
    return parameters, problem.scales(found.draws), found


@dataclass(frozen=True, eq=False)
class Problem:
    """An equation in units of its priors, and the way back.

    Attributes
    ----------
    components : Components
        The model in these units.
    equation : Equation
        The equation.
    seen : SufficientStatistics or SeenByLevel
        What the likelihood sees.
    at : ndarray of int, shape (pb,)
        Which coefficients, the intercept first where there is one, are in the border.
    m, s : ndarray
        Means and standard deviations of the border's priors; of scales that are learnt, units.
    groups : list of (Group, ndarray of shape (q,))
        What has learned scales, in the order of `components`, and the units of these.
    cut : Cut or None
        What was seen by level, in units of the columns.
    """

    components: Components
    equation: Equation
    seen: Seen
    at: NDArray[np.intp]
    m: Floats
    s: Floats
    groups: list[tuple[Group, Floats]]
    cut: Cut | None

    @classmethod
    def of(cls, equation: Equation, seen: Seen) -> "Problem":
        """Bring an equation, and what it saw, to units of its priors."""
        ones, levels, main = int(equation.has_intercept), None, None
        cut: Cut | None = None
        terms = np.arange(len(equation.design.terms))
        if isinstance(seen, SeenByLevel):
            cut = seen.cut(equation.center)
            rows, target, rss, weight = cut.rows, cut.rest, cut.rss, seen.factors.weight
            levels, terms = (cut.own, cut.border, cut.target), np.array(seen.border, dtype=np.intp)
            main = equation.priors.varying[seen.main]
        else:
            rows, target, _ = design_rows(equation, seen)
            rss, weight = seen.rss, seen.weight
        at = np.concatenate([np.arange(ones), terms + ones])
        place = {int(k): i for i, k in enumerate(at)}
        normal, m, s = normal_priors(equation)
        flat = ~normal
        groups, learnt = [], []
        if main is not None:
            groups.append((main, scale_priors.units_of(main)))
        for group in equation.priors.groups:
            if group is main or not (group.prior.learns_scale or group.prior.n_groups):
                continue
            own = np.asarray(group.terms) + ones
            columns = np.array([place[int(k)] for k in own])
            if group.prior.n_groups:
                unit = scale_priors.units_of(group)
                of_term = np.repeat(unit, group.prior.n_groups)
                scales = scale_priors.of_effects(group, unit)
                columns = columns.reshape(len(unit), -1)
            else:
                m[own], of_term = group.prior.location_and_unit(len(own))
                unit = np.ones(1)
                scales = (Scale.of(*scale_priors.of_group(group)),)
                columns = columns[None]
            flat[own] = False
            if s.ndim == 1:
                s[own] = of_term
            else:
                s[own, own] = of_term
            groups.append((group, unit))
            learnt.append(Learnt(columns.shape[0], columns.shape[1], scales, columns))
        m, flat = m[at], flat[at]
        s = s[at] if s.ndim == 1 else s[np.ix_(at, at)]
        if isinstance(seen, SeenByLevel) and ones:
            m[0] -= seen.population.y_mean
        held, of_levels = None, None
        if levels is not None and main is not None:
            own, across, of_level = levels
            unit = groups[0][1]
            held = Levels(own * unit, _scaled(across, s), of_level - across @ m)
            scales = scale_priors.of_effects(main, unit)
            of_levels = Learnt(len(unit), len(own), scales)
        components = Components(
            weight,
            _scaled(rows, s),
            target - rows @ m,
            rss,
            flat,
            tuple(learnt),
            Scale.of(*scale_priors.of_sigma(equation)),
            held,
            of_levels,
        )
        return cls(components, equation, seen, at, m, s, groups, cut)

    @property
    def names(self) -> list[list[str]]:
        """The names of the coefficients of each group."""
        terms = self.equation.design.terms
        return [[terms[term] for term in group.terms] for group, _ in self.groups]

    def by_name(self, border: Floats, levels: Floats | None) -> dict[str, Floats]:
        """Return draws of all coefficients by name, the intercept at the predictors' means."""
        s, ones = self.s, int(self.equation.has_intercept)
        back = self.m + (border * s if s.ndim == 1 else border @ s.T)
        beta = np.empty((len(border), len(self.equation.design.terms)))
        beta[:, self.at[ones:] - ones] = back[:, ones:]
        if isinstance(self.seen, SeenByLevel):
            assert levels is not None
            own, unit = self.seen.design.span(self.seen.main), self.groups[0][1]
            beta[:, own] = (levels * unit[:, None]).reshape(len(beta), -1)
        if not ones:
            return {"beta": beta}
        intercept = back[:, 0]
        if isinstance(self.seen, SeenByLevel):
            intercept = intercept + self.seen.population.y_mean
        shift = self.seen.x_mean - self.equation.center
        return {"intercept": intercept + beta @ shift, "beta": beta}

    def scales(self, theta: Floats) -> dict[str, Floats]:
        """Return draws of the learned scales, and of correlations, by variable."""
        found, start, equation = {}, 0, self.equation
        for group, unit in self.groups:
            q = len(unit)
            sd = np.exp(theta[:, start : start + q]) * unit
            z = theta[:, start + q : start + q + n_correlations(q)]
            start += q + n_correlations(q)
            if not group.prior.n_groups:
                found[equation.scale_name(group)] = sd[:, 0]
                continue
            found[f"{equation.group_name(group)}_sd"] = sd
            if q > 1:
                root = cholesky(z, q)
                found[f"{equation.group_name(group)}_corr"] = root @ np.swapaxes(root, 1, 2)
        return found


def _scaled(rows: Floats, s: Floats) -> Floats:
    """Return columns in units of their priors."""
    return rows * s if s.ndim == 1 else rows @ s
