"""From an equation and its rows to a posterior in closed form, and from its points back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.data.seen import DistinctRows
from interventional.inference.pooled import Pool, Pooled
from interventional.inference.target import Target
from interventional.numbers import Floats
from interventional.scm.curve import CURVE
from interventional.scm.equations import Equation
from interventional.scm.prior_densities import Location, OfLog, location, of_log
from interventional.scm.priors import Group, PriorSpec

_GRID = np.linspace(-25.0, 25.0, 501)  # of logs


@dataclass(frozen=True, eq=False)
class Problem:
    """The posterior of an equation in closed form.

    Attributes
    ----------
    equation : Equation
        The equation.
    target : Target
        Its density; flat along coefficients whose scales are learnt.
    pools : list of (Group, Pool)
        The groups of these.
    shift : ndarray of shape (terms,)
        How much more the intercept is than where its prior holds, by coefficients.
    mean : ndarray of shape (p,)
        Means of the coefficients' priors.
    unit : ndarray of shape (p,) or (p, p)
        Their scales, or a root of their covariance.
    """

    equation: Equation
    target: Target
    pools: list[tuple[Group, Pool]]
    shift: Floats
    mean: Floats
    unit: Floats

    @classmethod
    def of(cls, equation: Equation, seen: DistinctRows) -> "Problem | None":
        """Return that of an equation; None where a part of it has no closed form here."""
        likelihood, priors = equation.record.likelihood, equation.priors
        if likelihood is None or seen.errors is not None:
            return None
        positive = [_of_dispersion(prior) for prior in priors.dispersion.values()]
        coefficients = _Coefficients.of(equation)
        if coefficients is None or None in positive:
            return None
        mean, unit = coefficients.mean, coefficients.unit
        rows = seen.matrix - equation.center
        if equation.has_intercept:
            rows = np.column_stack([np.ones(len(rows)), rows])
        offset = seen.offset
        if mean.any():
            offset = rows @ mean if offset is None else offset + rows @ mean
        matrix = np.ascontiguousarray(rows * unit if unit.ndim == 1 else rows @ unit)
        found = tuple(each for each in positive if each is not None)
        logs = [_GRID[np.argmax(t(_GRID)[0])] for t in found if not isinstance(t, float)]
        start = np.concatenate([np.zeros(matrix.shape[1]), logs])
        data = likelihood, matrix, seen.target, seen.weights, offset
        target = Target(*data, coefficients.prior, found, start)
        shift = seen.x_mean - equation.center
        return cls(equation, target, coefficients.pools, shift, mean, unit)

    def parameters(self, points: Floats, pooled: Pooled | None = None) -> dict[str, Floats]:
        """Return parameters by name, the intercept at the means of the predictors.

        Parameters
        ----------
        points : ndarray of shape (s, d)
            Of the target, or of what is given:
        pooled : Pooled, optional
            The density in which scales are learnt.
        """
        name, ones, unit = self.equation.node, int(self.equation.has_intercept), self.unit
        b = points[:, : self.target.size[0]] if pooled is None else pooled.coefficients(points)
        b = self.mean + (b * unit if unit.ndim == 1 else b @ unit.T)
        beta = b[:, ones:]
        found = {f"{name}_beta": beta}
        if ones:
            found[f"{name}_intercept"] = b[:, 0] + beta @ self.shift
        for what, t in zip(self.equation.dispersion, self.target.logs(points), strict=True):
            found[f"{name}_{what}"] = np.exp(t[:, 0])
        known = [] if pooled is None else pooled.covariances(points)
        for (group, _), (sd, correlation) in zip(self.pools, known, strict=True):
            if not group.prior.n_groups:
                found[self.equation.scale_name(group)] = sd[:, 0]
                continue
            found[f"{self.equation.group_name(group)}_sd"] = sd
            if sd.shape[1] > 1:
                found[f"{self.equation.group_name(group)}_corr"] = correlation
        return found


@dataclass(frozen=True, eq=False)
class _Coefficients:
    """Priors of coefficients in their units, and these."""

    prior: Location
    mean: Floats
    unit: Floats
    pools: list[tuple[Group, Pool]]

    @classmethod
    def of(cls, equation: Equation) -> "_Coefficients | None":
        """Return those of an equation; None where one is not known here."""
        priors, ones = equation.priors, int(equation.has_intercept)
        p = len(equation.design.terms) + ones
        mean, precision, freedom = np.zeros(p), np.ones(p), np.full(p, np.inf)
        unit: Floats = np.ones(p)
        root: tuple[NDArray[np.intp], Floats] | None = None
        pools: list[tuple[Group, Pool]] = []
        parts: list[tuple[PriorSpec, Any, Group | None]] = []
        if priors.intercept is not None:
            parts.append((priors.intercept, np.zeros(1, dtype=np.intp), None))
        parts += [(g.prior, np.asarray(g.terms, dtype=np.intp) + ones, g) for g in priors.groups]
        for prior, at, group in parts:
            if prior.distribution == CURVE:
                root = at, np.asarray(prior.parameters["root"])
            elif group is not None and (prior.learns_scale or prior.n_groups):
                pool = _pool(prior, at)
                if pool is None:
                    return None
                pools.append((group, pool))
                precision[at] = 0.0
                if not prior.n_groups:
                    mean[at], unit[at] = prior.location_and_unit(len(at))
            else:
                found = location(prior, len(at))
                if found is None:
                    return None
                mean[at], precision[at], freedom[at] = found
        held = precision > 0
        unit[held] = 1 / np.sqrt(precision[held])
        if root is not None:
            at, of_curve = root
            unit = np.diag(unit)
            unit[np.ix_(at, at)] = of_curve
        return cls(Location(np.zeros(p), held.astype(float), freedom), mean, unit, pools)


def _pool(prior: PriorSpec, at: NDArray[np.intp]) -> Pool | None:
    """Return a group of coefficients whose scales are learnt; None where a prior is not known."""
    columns, priors = at[None], [_of_scale(prior)]
    if prior.n_groups:
        columns = at.reshape(-1, prior.n_groups)
        priors = [of_log(each) for each in prior.of_effects]
    scales = tuple(each for each in priors if each is not None)
    if len(scales) < len(priors):
        return None
    return Pool(columns, scales, np.ones(columns.shape))


def _of_scale(prior: PriorSpec) -> OfLog | None:
    """Return the prior of the one scale that some coefficients share."""
    sigma = prior.parameters.get("sigma")
    if isinstance(sigma, PriorSpec):
        return of_log(sigma)
    return of_log(PriorSpec.of("HalfCauchy", beta=1.0))  # ridge


def _of_dispersion(prior: PriorSpec) -> OfLog | float | None:
    """Return the prior of a positive parameter by its log; of one that is fixed its log."""
    return of_log(prior) if prior.fixed is None else float(np.log(prior.fixed))
