r"""The posterior of an equation that is no Gaussian's, in closed form, without compiling anything.

Its unknowns are one vector x: coefficients b, the intercept's first, in units of their priors and
where the prior of the intercept holds; then logs of what else the family has. A row's linear
predictor is linear in b, so that a row of the design times derivatives by it is all there is to
gradient and curvature; between b and the logs these are differences of gradients.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from interventional.numbers import Floats, slices
from interventional.scm.likelihoods import Likelihood
from interventional.scm.prior_densities import Location, OfLog

_ROWS = 8192  # at once, and
_ELEMENTS = 2**18  # rows times points: what a processor's cache holds
_OF_ETA, _OF_LOG = 7, 3  # nodes of Gauss and Hermite
_OF_NARROW, _NARROW = 3, 0.3  # where linear predictors are known as well as that


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

    @cached_property
    def _longest(self) -> float:
        """The greatest square of a row of the design."""
        blocks = slices(len(self.matrix), _ROWS)
        return max(float(np.square(self.matrix[rows]).sum(axis=1).max()) for rows in blocks)

    def thinned(self, rows: int) -> "Target":
        """Return the density of at most so many rows that stand for all."""
        step = slice(None, None, -(-len(self.matrix) // rows))
        share = self.weights.sum() / self.weights[step].sum()
        return replace(
            self,
            matrix=np.ascontiguousarray(self.matrix[step]),
            outcome=self.outcome[step],
            weights=share * self.weights[step],
            offset=None if self.offset is None else self.offset[step],
        )

    def heights(self, points: Floats) -> Floats:
        """Return the log density at points, (s, d), up to a constant; -inf for what is none."""
        p, _ = self.size
        b, logs = points[:, :p], self.logs(points)
        with np.errstate(all="ignore"):
            out = self.prior.log_density(b) + self.log_likelihood(b, logs)
            for k, prior in enumerate(self.positive):
                if not isinstance(prior, float):
                    out += prior(logs[k][:, 0])[0]
        return np.where(np.isfinite(out), out, -np.inf)

    def slopes(self, points: Floats) -> Floats:
        """Return gradients of the log density at points, (s, d)."""
        p, _ = self.size
        b, logs = points[:, :p], self.logs(points)
        with np.errstate(all="ignore"):
            by_b, by_log = self.likelihood_slopes(b, logs)
            return np.hstack([by_b + self.prior.slope(b), by_log + self.prior_slopes(logs)])

    def log_likelihood(self, b: Floats, logs: Sequence[Floats]) -> Floats:
        """Return the log density of the outcomes given coefficients and logs, (s,)."""
        out = np.zeros(len(b))
        for some, rows in self._blocks(len(b)):
            eta, of_some = self._eta(b[some], rows), [t[some] for t in logs]
            out[some] += self.likelihood.total(
                self.outcome[rows], self.weights[rows], eta, of_some
            )
        return out

    def likelihood_slopes(self, b: Floats, logs: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Return its derivatives by coefficients, (s, p), and by logs, (s, k)."""
        by_b, by_log = np.zeros(b.shape), np.zeros((len(b), self.size[1]))
        for some, rows in self._blocks(len(b)):
            eta, of_some, w = self._eta(b[some], rows), [t[some] for t in logs], self.weights[rows]
            first, others = self.likelihood.slope(self.outcome[rows], w, eta, of_some)
            by_b[some] += (first * w) @ self.matrix[rows]
            for k, own in enumerate(self._free(others)):
                by_log[some, k] += own
        return by_b, by_log

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
        spread = np.sqrt(np.trace(left) * self._longest)
        z, share_of = _nodes(_OF_ETA if spread > _NARROW else _OF_NARROW)
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
                first, others = self.likelihood.slope(y, w, eta, logs)
                slope[:p] += share * ((share_of @ first * w) @ part)
                slope[p:] += share * np.array([share_of @ o for o in self._free(others)])
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

    def prior_slopes(self, logs: Sequence[Floats]) -> Floats:
        """Return slopes of the priors of the logs that are not fixed, (s, k)."""
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
        return height, self.prior_slopes(logs)[0]

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

    def _blocks(self, points: int) -> Iterator[tuple[slice, slice]]:
        """Iterate over points and rows, as many at once as there is room for."""
        at_once = max(_ELEMENTS // min(len(self.matrix), _ROWS), 1)
        for some in slices(points, at_once):
            for rows in slices(len(self.matrix), _ROWS):
                yield some, rows


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
