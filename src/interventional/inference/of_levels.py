"""The posterior of an equation of three levels or more, in closed form.

Each level but the first has a linear predictor against the first, and coefficients of its own: a
softmax regression. A point has these block by block, the intercept of each first, in units of
their priors.
"""

from dataclasses import dataclass

import numpy as np

from interventional.data.seen import DistinctRows
from interventional.inference.laplace import Gaussian
from interventional.inference.variational import uphill
from interventional.numbers import Floats, slices
from interventional.scm.equations import Equation
from interventional.scm.prior_densities import Location, location

_ELEMENTS = 2**18  # rows times points times levels at once
_STEPS = 50


@dataclass(frozen=True, eq=False)
class OfLevels:
    """The density of the coefficients of all levels.

    Attributes
    ----------
    equation : Equation
        The equation.
    matrix : ndarray of shape (n, p)
        Rows of the design, a column of ones first where there is an intercept.
    own : ndarray of shape (blocks, n)
        Whether a row is of a block's level, times its weight.
    weights : ndarray of shape (n,)
        How often each row was seen.
    prior : Location
        That of all coefficients, block by block.
    mean, unit : ndarray of shape (p,)
        Means and scales of the priors, the same in each block.
    shift : ndarray of shape (terms,)
        How much more the intercept is than where its prior holds, by coefficients.
    """

    equation: Equation
    matrix: Floats
    own: Floats
    weights: Floats
    prior: Location
    mean: Floats
    unit: Floats
    shift: Floats

    @classmethod
    def of(cls, equation: Equation, seen: DistinctRows) -> "OfLevels | None":
        """Return that of an equation; None where a prior has no closed form here."""
        priors, ones = equation.priors, int(equation.has_intercept)
        p = len(equation.design.terms) + ones
        mean, precision, freedom = np.zeros(p), np.ones(p), np.full(p, np.inf)
        parts = [(group.prior, np.asarray(group.terms) + ones) for group in priors.groups]
        if priors.intercept is not None:
            parts.append((priors.intercept, np.zeros(1, dtype=np.intp)))
        for prior, at in parts:
            found = location(prior, len(at))
            if found is None:
                return None
            mean[at], precision[at], freedom[at] = found
        held = precision > 0
        unit = np.where(held, 1 / np.sqrt(np.where(held, precision, 1.0)), 1.0)
        rows = seen.matrix - equation.center
        if ones:
            rows = np.column_stack([np.ones(len(rows)), rows])
        blocks = equation.n_blocks
        codes = seen.target.astype(np.intp)
        own = (codes == np.arange(1, blocks + 1)[:, None]) * seen.weights
        every = (np.tile(v, blocks) for v in (np.zeros(p), held.astype(float), freedom))
        shift = seen.x_mean - equation.center
        of_rows = np.ascontiguousarray(rows), own, seen.weights
        return cls(equation, *of_rows, Location(*every), mean, unit, shift)

    def heights(self, points: Floats) -> Floats:
        """Return the log density at points, (s, d), up to a constant; -inf for what is none."""
        out = self.prior.log_density(points)
        with np.errstate(all="ignore"):
            for some in self._some(len(points)):
                eta = self._eta(points[some])
                level = np.logaddexp(0.0, _logsumexp(eta)) @ self.weights
                out[some] += np.einsum("skn,kn->s", eta, self.own) - level
        return np.where(np.isfinite(out), out, -np.inf)

    def slopes(self, points: Floats) -> Floats:
        """Return gradients of the log density at points, (s, d)."""
        out = self.prior.slope(points)
        with np.errstate(all="ignore"):
            for some in self._some(len(points)):
                left = self.own - self.weights * _shares(self._eta(points[some]))
                out[some] += ((left @ self.matrix) * self.unit).reshape(len(left), -1)
        return out

    def curvature(self, x: Floats) -> Floats:
        """Return the negative curvature at a point, (d, d)."""
        shares = _shares(self._eta(x[None]))[0]
        p, blocks = self.matrix.shape[1], len(shares)
        found = np.zeros((blocks, p, blocks, p))
        for i in range(blocks):
            for j in range(i + 1):
                weights = self.weights * shares[i] * ((i == j) - shares[j])
                part = (self.matrix.T * weights) @ self.matrix * self.unit[:, None] * self.unit
                found[i, :, j], found[j, :, i] = part, part.T
        return found.reshape(blocks * p, -1) - np.diag(self.prior.curvature(x))

    def near(self) -> Gaussian | None:
        """Return Laplace's Gaussian; None where there is none."""
        x = np.zeros(len(self.own) * self.matrix.shape[1])
        height = self.heights(x[None])[0]
        for _ in range(_STEPS):
            slope, curvature = self.slopes(x[None])[0], self.curvature(x)
            if not (np.isfinite(slope).all() and np.isfinite(curvature).all()):
                return None
            step = uphill(curvature, slope)
            if step @ slope < 1e-9:
                break
            for share in 0.5 ** np.arange(20):
                reached = self.heights((x + share * step)[None])[0]
                if reached > height:
                    x, height = x + share * step, reached
                    break
            else:
                break
        return Gaussian.of_precision(x, self.curvature(x))

    def parameters(self, points: Floats) -> dict[str, Floats]:
        """Return parameters by name, intercepts at the means of the predictors."""
        name, ones = self.equation.node, int(self.equation.has_intercept)
        b = self.mean + points.reshape(len(points), len(self.own), -1) * self.unit
        beta = b[:, :, ones:]
        found = {f"{name}_beta": beta.reshape(len(points), -1)}
        if ones:
            found[f"{name}_intercept"] = b[:, :, 0] + beta @ self.shift
        return found

    def _eta(self, points: Floats) -> Floats:
        """Return linear predictors, (s, blocks, n)."""
        b = self.mean + points.reshape(len(points), len(self.own), -1) * self.unit
        return np.asarray(b @ self.matrix.T)

    def _some(self, points: int) -> "list[slice]":
        return list(slices(points, max(_ELEMENTS // self.own.size, 1)))


def _logsumexp(eta: Floats) -> Floats:
    """Return logs of sums of exponentials over blocks, (s, n)."""
    top = eta.max(axis=1)
    return np.asarray(top + np.log(np.exp(eta - top[:, None]).sum(axis=1)))


def _shares(eta: Floats) -> Floats:
    """Return the probability of each level but the first, (s, blocks, n)."""
    return np.exp(eta - np.logaddexp(0.0, _logsumexp(eta))[:, None])
