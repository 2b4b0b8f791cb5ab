r"""The posterior of an equation that is no Gaussian's, in closed form, without compiling anything.

Its unknowns are one vector x: coefficients b, the intercept's first, in units of their priors and
where the prior of the intercept holds; then logs of what else the family has. A row's linear
predictor is linear in b, so that a row of the design times derivatives by it is all there is to
gradient and curvature; between b and the logs these are differences of gradients.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from interventional.data.seen import DistinctRows
from interventional.numbers import Floats, slices
from interventional.scm.curve import CURVE
from interventional.scm.equations import Equation
from interventional.scm.likelihoods import Likelihood
from interventional.scm.prior_densities import Location, OfLog, location, of_log
from interventional.scm.priors import PriorSpec

_ROWS = 8192  # at once, and
_ELEMENTS = 2**18  # rows times points: what a processor's cache holds
_OF_ETA, _OF_LOG = 7, 3  # nodes of Gauss and Hermite


@dataclass(frozen=True, eq=False)
class Target:
    """The density of the unknowns of an equation with one linear predictor a row.

    Attributes
    ----------
    likelihood : Likelihood
        That of the family.
    matrix : ndarray of shape (n, p)
        Rows of the design, a column of ones first where there is an intercept.
    outcome, weights : ndarray of shape (n,)
        Outcomes, and how often each was seen.
    offset : ndarray of shape (n,) or None
        What is added to the linear predictor.
    prior : Location
        That of the coefficients.
    positive : tuple of callable
        Priors of the other parameters, by their logs; of one that is fixed its log.
    start : ndarray of shape (d,)
        Where to begin.
    """

    likelihood: Likelihood
    matrix: Floats
    outcome: Floats
    weights: Floats
    offset: Floats | None
    prior: Location
    positive: tuple[OfLog | float, ...]
    start: Floats

    @cached_property
    def size(self) -> tuple[int, int]:
        """How many coefficients there are, and other parameters."""
        free = sum(not isinstance(each, float) for each in self.positive)
        return self.matrix.shape[1], free

    @cached_property
    def _transposed(self) -> Floats:
        return np.ascontiguousarray(self.matrix.T)

    def heights(self, points: Floats) -> Floats:
        """Return the log density at points, (s, d), up to a constant; -inf for what is none."""
        p, _ = self.size
        out = np.empty(len(points))
        with np.errstate(all="ignore"):
            for some in self._some(len(points)):
                b, logs = points[some, :p], self.logs(points[some])
                total = self.prior.log_density(b)
                for k, prior in enumerate(self.positive):
                    if not isinstance(prior, float):
                        total = total + prior(logs[k][:, 0])[0]
                for rows in slices(len(self.matrix), _ROWS):
                    eta = self._eta(b, rows)
                    y, w = self.outcome[rows], self.weights[rows]
                    total = total + self.likelihood.total(y, w, eta, logs)
                out[some] = total
        return np.where(np.isfinite(out), out, -np.inf)

    def slopes(self, points: Floats) -> Floats:
        """Return gradients of the log density at points, (s, d)."""
        p, k = self.size
        out = np.empty(points.shape)
        with np.errstate(all="ignore"):
            for some in self._some(len(points)):
                b, logs = points[some, :p], self.logs(points[some])
                by_b, by_log = self.prior.slope(b), self._prior_slopes(logs)
                for rows in slices(len(self.matrix), _ROWS):
                    w = self.weights[rows]
                    first, others = self.likelihood.slope(
                        self.outcome[rows], self._eta(b, rows), logs
                    )
                    by_b = by_b + (first * w) @ self.matrix[rows]
                    by_log = by_log + np.array([o @ w for o in self._free(others)]).reshape(k, len(b)).T
                out[some, :p], out[some, p:] = by_b, by_log
        return out

    def curvature(self, x: Floats) -> Floats:
        """Return the negative curvature by the coefficients at a point, (p, p)."""
        p, _ = self.size
        found = np.diag(-self.prior.curvature(x[:p]))
        logs = self.logs(x[None])
        for rows in slices(len(self.matrix), _ROWS):
            bent = self.likelihood.curvature(
                self.outcome[rows], self._eta(x[None, :p], rows), logs
            )[0]
            found += self._transposed[:, rows] * (-bent * self.weights[rows]) @ self.matrix[rows]
        return found

    def expected(self, mean: Floats, covariance: Floats) -> tuple[float, Floats, Floats]:
        """Return expectations of the log density under a Gaussian, by quadrature.

        Given the logs a row's linear predictor is Gaussian: its mean moves with them.

        Returns
        -------
        height : float
            Of the log density, up to a constant.
        slope : ndarray of shape (d,)
            Of the gradient.
        curvature : ndarray of shape (p, p)
            Of the negative curvature by the coefficients.
        """
        p, k = self.size
        of_b = covariance[:p, :p]
        nodes, shares = _grid(k)
        root = np.linalg.cholesky(covariance[p:, p:])
        by_node = np.linalg.solve(root, covariance[p:, :p])  # of b, by what the logs are made of
        left = of_b - by_node.T @ by_node
        height, slope, found = self._expected_prior(mean, of_b)
        z, share_of = _nodes(_OF_ETA)
        for node, share in zip(nodes, shares, strict=True):
            moved = np.concatenate([mean[:p] + node @ by_node, mean[p:] + root @ node])
            logs = self.logs(moved[None])
            own, by_log = self._of_logs(logs)
            height += share * own
            slope[p:] += share * by_log
            for rows in slices(len(self.matrix), _ROWS):
                part, y, w = self.matrix[rows], self.outcome[rows], self.weights[rows]
                spread = np.sqrt(np.maximum(np.einsum("ij,ij->i", part @ left, part), 0.0))
                eta = self._eta(moved[None, :p], rows) + z[:, None] * spread
                height += share * float(share_of @ self.likelihood.total(y, w, eta, logs))
                first, others = self.likelihood.slope(y, eta, logs)
                slope[:p] += share * ((share_of @ first * w) @ part)
                slope[p:] += share * np.array([share_of @ o @ w for o in self._free(others)])
                bent = share_of @ self.likelihood.curvature(y, eta, logs)
                found += share * (self._transposed[:, rows] * (-bent * w)) @ part
        return height, slope, found

    def logs(self, points: Floats) -> list[Floats]:
        """Return the logs of the other parameters at points, each (s, 1)."""
        at, found = self.size[0], []
        for prior in self.positive:
            if isinstance(prior, float):
                found.append(np.full((len(points), 1), prior))
            else:
                found.append(points[:, at : at + 1])
                at += 1
        return found

    def _free(self, each: list[Floats]) -> list[Floats]:
        """Return what belongs to parameters that are not fixed."""
        pairs = zip(each, self.positive, strict=True)
        return [value for value, prior in pairs if not isinstance(prior, float)]

    def _prior_slopes(self, logs: list[Floats]) -> Floats:
        slopes = [
            prior(t[:, 0])[1]
            for prior, t in zip(self.positive, logs, strict=True)
            if not isinstance(prior, float)
        ]
        return np.stack(slopes, axis=1) if slopes else np.zeros((len(logs[0]) if logs else 1, 0))

    def _of_logs(self, logs: list[Floats]) -> tuple[float, Floats]:
        """Return log density and slope of the priors of the logs at one point."""
        height = 0.0
        for prior, t in zip(self.positive, logs, strict=True):
            if not isinstance(prior, float):
                height += float(prior(t[:, 0])[0][0])
        return height, self._prior_slopes(logs)[0]

    def _expected_prior(self, mean: Floats, of_b: Floats) -> tuple[float, Floats, Floats]:
        """Return `expected` of the prior of the coefficients."""
        p, k = self.size
        z, shares = _nodes(1 if self.prior.is_normal else 2 * _OF_ETA + 1)
        b = mean[:p] + z[:, None] * np.sqrt(np.diag(of_b))
        height = float(shares @ self.prior.log_density(b))
        if self.prior.is_normal:
            height -= 0.5 * float(self.prior.precision @ np.diag(of_b))
        slope = np.concatenate([shares @ self.prior.slope(b), np.zeros(k)])
        return height, slope, np.diag(-shares @ self.prior.curvature(b))

    def _eta(self, b: Floats, rows: slice) -> Floats:
        eta = b @ self._transposed[:, rows]
        if self.offset is not None:
            eta += self.offset[rows]
        return eta

    def _some(self, points: int) -> Iterator[slice]:
        """Iterate over points, as many at once as there is room for."""
        return iter(slices(points, max(_ELEMENTS // min(len(self.matrix), _ROWS), 1)))


def _nodes(count: int) -> tuple[Floats, Floats]:
    """Return nodes and shares of a standard Gaussian."""
    z, shares = hermegauss(count)
    return z, shares / shares.sum()


def _grid(dimensions: int) -> tuple[Floats, Floats]:
    """Return nodes, (m, dimensions), and shares of independent standard Gaussians."""
    z, shares = _nodes(_OF_LOG)
    nodes, share_of = np.zeros((1, 0)), np.ones(1)
    for _ in range(dimensions):
        nodes = np.column_stack([np.repeat(nodes, len(z), axis=0), np.tile(z, len(nodes))])
        share_of = np.outer(share_of, shares).ravel()
    return nodes, share_of


_GRID = np.linspace(-25.0, 25.0, 501)  # of logs


@dataclass(frozen=True, eq=False)
class Unknowns:
    """How the unknowns of a target are those of an equation.

    Attributes
    ----------
    equation : Equation
        The equation.
    shift : ndarray of shape (terms,)
        How much more the intercept is than where its prior holds, by coefficients.
    mean : ndarray of shape (p,)
        Means of the coefficients' priors.
    unit : ndarray of shape (p,) or (p, p)
        Their scales, or a root of their covariance.
    """

    equation: Equation
    shift: Floats
    mean: Floats
    unit: Floats

    def by_name(self, target: Target, points: Floats) -> dict[str, Floats]:
        """Return parameters of points, (s, d), the intercept at the means of the predictors."""
        name, ones, unit = self.equation.node, int(self.equation.has_intercept), self.unit
        p, _ = target.size
        moved = points[:, :p] * unit if unit.ndim == 1 else points[:, :p] @ unit.T
        b = self.mean + moved
        beta = b[:, ones:]
        found = {f"{name}_beta": beta}
        if ones:
            found[f"{name}_intercept"] = b[:, 0] + beta @ self.shift
        logs = target.logs(points)
        for what, t in zip(self.equation.dispersion, logs, strict=True):
            found[f"{name}_{what}"] = np.exp(t[:, 0])
        return found


def target_of(equation: Equation, seen: DistinctRows) -> tuple[Target, Unknowns] | None:
    """Return the posterior of an equation in closed form; None of one that has none here."""
    likelihood, priors = equation.record.likelihood, equation.priors
    if likelihood is None or equation.n_blocks > 1 or seen.errors is not None:
        return None
    known = _of_coefficients(equation)
    positive = [_of_dispersion(prior) for prior in priors.dispersion.values()]
    if known is None or None in positive:
        return None
    prior, mean, unit = known
    rows = seen.matrix - equation.center
    if equation.has_intercept:
        rows = np.column_stack([np.ones(len(rows)), rows])
    offset = seen.offset
    if mean.any():
        offset = rows @ mean if offset is None else offset + rows @ mean
    matrix = np.ascontiguousarray(rows * unit if unit.ndim == 1 else rows @ unit)
    found = tuple(each for each in positive if each is not None)
    logs = [_GRID[np.argmax(each(_GRID)[0])] for each in found if not isinstance(each, float)]
    start = np.concatenate([np.zeros(matrix.shape[1]), logs])
    target = Target(
        likelihood, matrix, seen.target, seen.weights, offset, prior, found, start
    )
    return target, Unknowns(equation, seen.x_mean - equation.center, mean, unit)


def _of_dispersion(prior: PriorSpec) -> OfLog | float | None:
    """Return the prior of a positive parameter by its log; of one that is fixed its log."""
    return of_log(prior) if prior.fixed is None else float(np.log(prior.fixed))


def _of_coefficients(equation: Equation) -> tuple[Location, Floats, Floats] | None:
    """Return priors of coefficients in units of these; means and units; None of any other."""
    priors, ones = equation.priors, int(equation.has_intercept)
    p = len(equation.design.terms) + ones
    mean, precision, freedom = np.zeros(p), np.ones(p), np.full(p, np.inf)
    root: tuple[Any, Floats] | None = None
    parts = [] if priors.intercept is None else [(priors.intercept, np.zeros(1, dtype=int))]
    parts += [(group.prior, np.asarray(group.terms) + ones) for group in priors.groups]
    for prior, at in parts:
        if prior.distribution == CURVE:
            root = at, np.asarray(prior.parameters["root"])
            continue
        found = location(prior, len(at))
        if found is None:
            return None
        mean[at], precision[at], freedom[at] = found
    unit = np.where(precision > 0, 1 / np.sqrt(np.where(precision > 0, precision, 1.0)), 1.0)
    if root is not None:
        at, of_curve = root
        unit = np.diag(unit)
        unit[np.ix_(at, at)] = of_curve
    own = Location(np.zeros(p), (precision > 0).astype(float), freedom)
    return own, mean, unit
