r"""The density of scales and lengths where outcomes are no Gaussian: by Laplace's method.

The linear predictor of the rows, a Gaussian with covariance K that scales and lengths make, is not
seen: outcomes y are, of a family with a log density that is concave in it. At its mode, with
:math:`W = -\partial^2 \log p / \partial\eta^2` and :math:`a = \partial \log p / \partial\eta`,

.. math:: \log p(y | \theta) \approx
    \log p(y | \eta) - \tfrac12 a'\eta - \tfrac12 \log |K + W^{-1}| - \tfrac12 \log |W|,

which is the density of the response :math:`\eta + W^{-1} a` under Gaussian noise of variances
:math:`W^{-1}` but for what does not depend on K. So what is known of Gaussian outcomes serves,
but for the slopes: the mode moves with scales and lengths, and W with it. With
:math:`s_i = \tfrac12 (K^{-1} + W)^{-1}_{ii}\, \partial^3 \log p / \partial \eta_i^3` and
:math:`u = (I + W K)^{-1} s`, half of

.. math:: (K + W^{-1})^{-1} - a a' - u a' - a u' = (K + W^{-1})^{-1} - (a + u)(a + u)' + u u'

is the slope of minus the log density in K. The mode is found by Newton's method from a start that
depends on the rows alone, so that it is the same whatever came before.

References
----------
Rasmussen and Williams (2006). Gaussian Processes for Machine Learning. MIT Press. Sections 3.4 and
5.5.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import blas

from interventional.data.lapack import factor, invert, solve
from interventional.inference.evidence import Evidence, Rows
from interventional.numbers import Floats
from interventional.scm.canonical import Canonical

_FLATTEST = 1e-8  # curvature of a row, which then says nothing
_STEPS, _HALVINGS = 50, 30
_NEAR, _NEAR_SINGLE = 1e-9, 1e-4  # how far from the mode is at it
_CLOSE, _CONTRACTS = 1e-2, 0.3  # where a step is a small part of that before, but for rounding
_ROUNDING, _ROUNDING_SINGLE = 1e-12, 1e-6  # of a log density, relative


@dataclass(frozen=True, eq=False)
class Local:
    """What outcomes say of the linear predictor of rows, near some value of it.

    Attributes
    ----------
    log_p : float
        Their log density, up to a constant.
    response, noise : ndarray of shape (n,)
        The Gaussian outcomes that would say the same, to second order, and their variances.
    curvature, third : ndarray of shape (n,)
        Minus the second derivative of the log density, and its third.
    """

    log_p: float
    response: Floats
    noise: Floats
    curvature: Floats
    third: Floats


class Said:
    """What outcomes say of a linear predictor; a child says of which family they are.

    Attributes
    ----------
    rows : Rows
        The outcomes, and how often each was seen.
    contracts : float
        How much of a step the next one is at most, near the mode; else there is nothing but
        rounding.
    """

    rows: Rows
    contracts: float

    @property
    def start(self) -> Floats:
        """A linear predictor that is next to the outcomes."""
        raise NotImplementedError

    def log_p(self, eta: Floats) -> float:
        """Return the log density of the outcomes, up to a constant."""
        raise NotImplementedError

    def near(self, eta: Floats) -> Local:
        """Return what makes a step towards the mode."""
        raise NotImplementedError

    def expected(self, eta: Floats) -> Local:
        """Return what the outcomes say at the mode."""
        return self.near(eta)


@dataclass(frozen=True, eq=False)
class Likelihood(Said):
    """Outcomes of rows, of a family.

    Attributes
    ----------
    family : Canonical
        The family.
    rows : Rows
        Means and frequencies of outcomes, and what is added to what is not known of eta.
    """

    family: Canonical
    rows: Rows
    contracts: float = _CONTRACTS

    @property
    def start(self) -> Floats:
        """A linear predictor that is next to the outcomes."""
        eta = self.family.start(self.rows.target, self.rows.weights)
        return np.asarray(eta - self.rows.offset)

    def log_p(self, eta: Floats) -> float:
        """Return the log density of the outcomes, up to a constant."""
        return self._log_p(eta, self.family.cumulant(eta + self.rows.offset)[0])

    def near(self, eta: Floats) -> Local:
        """Return what the outcomes say near a linear predictor."""
        y, m = self.rows.target, self.rows.weights
        b, mean, variance, third = self.family.cumulant(eta + self.rows.offset)
        curvature = np.maximum(m * variance, _FLATTEST)
        response = eta + m * (y - mean) / curvature
        return Local(self._log_p(eta, b), response, 1 / curvature, curvature, -m * third)

    def _log_p(self, eta: Floats, b: Floats) -> float:
        y, m = self.rows.target, self.rows.weights
        return float(m @ (y * (eta + self.rows.offset) - b))


@dataclass(frozen=True, eq=False)
class Mode:
    """Where the posterior of the linear predictor of rows is largest.

    Attributes
    ----------
    slope : ndarray of shape (n,)
        The slope of the log density there: the inverse of the prior covariance times eta.
    eta : ndarray of shape (n,)
        The linear predictor.
    local : Local
        What outcomes say near it.
    step : Any
        What made the last step, from there.
    """

    slope: Floats
    eta: Floats
    local: Local
    step: Any


# From Gaussian outcomes to the slope and eta at the mode, and what else is of use.
Step = Callable[[Local], tuple[Floats, Floats, Any] | None]


def mode(likelihood: Said, start: Floats, step: Step, *, single: bool = False) -> Mode | None:
    """Return the mode of a linear predictor by Newton's method, with halved steps.

    Parameters
    ----------
    likelihood : Said
        The outcomes.
    start : ndarray of shape (n,)
        What to begin near.
    step : callable
        From Gaussian outcomes to the slope and eta at the mode, and what else is of use; None if
        there is none.
    single : bool, default False
        Whether steps are made in single precision.

    Returns
    -------
    Mode or None
        None if a step cannot be made.
    """
    enough, rounding = (_NEAR_SINGLE, _ROUNDING_SINGLE) if single else (_NEAR, _ROUNDING)

    def height(slope: Floats, eta: Floats) -> float:
        return likelihood.log_p(eta) - 0.5 * float(slope @ eta)

    found = step(likelihood.near(start))
    if found is None:
        return None
    slope, eta, _ = found
    value, nowhere = height(slope, eta), np.zeros(len(eta))
    if not value >= height(nowhere, nowhere):
        slope, eta, value = nowhere, nowhere, height(nowhere, nowhere)
    far = np.inf
    for _ in range(_STEPS):
        local = likelihood.near(eta)
        found = step(local)
        if found is None:
            return None
        here = Mode(slope, eta, local, found[2])
        of_slope, of_eta = found[0] - slope, found[1] - eta
        # a row that says next to nothing may be anywhere
        far, before = (np.abs(of_eta) * np.minimum(local.curvature, 1.0)).max(), far
        if far < enough or (before < _CLOSE and far > likelihood.contracts * before):
            break
        least, part = value - rounding * (1 + abs(value)), 1.0
        for _ in range(_HALVINGS):
            reached = height(slope + part * of_slope, eta + part * of_eta)
            if reached >= least:
                break
            part *= 0.5
        else:
            break
        slope, eta, value = slope + part * of_slope, eta + part * of_eta, reached
    return here


class NearMode(Evidence):
    """Minus the log density of scales and lengths, by Laplace's method; a child says of what."""

    def likelihood(self, theta: Floats) -> Said:
        """Return the outcomes given theta."""
        raise NotImplementedError

    @cached_property
    def _near(self) -> "_Start":
        """The mode at the prior's medians, which others are near."""
        likelihood = self.likelihood(self.mean)
        self._covariance(self.mean, np.zeros(len(self.rows.target)))
        B = self._held.terms(self.split(self.mean)[0])
        found = self._mode(B, likelihood.start, likelihood)
        eta = likelihood.start if found is None else found.eta
        return _Start(eta, likelihood.near(eta).noise)

    @cached_property
    def _kept(self) -> Any:
        return np.empty_like(self._arrays.total)

    def _mode(self, B: Any, start: Floats, likelihood: Said) -> Mode | None:
        """Return the mode, given what is in place of the covariance; a root in its stead.

        Its `step` is half the log determinant of the covariance with noise.
        """
        np.copyto(self._kept, self._arrays.total)
        held = B.astype(float)

        def step(local: Local) -> tuple[Floats, Floats, float] | None:
            solved = self._step(B, local)
            if solved is None:
                return None
            slope, half = solved
            by_surface = self._times(self._kept, slope.astype(self.dtype))
            return slope, by_surface + held @ (held.T @ slope), half

        return mode(likelihood, start, step, single=self.dtype is np.float32)

    def _step(self, B: Any, local: Local) -> tuple[Floats, float] | None:
        """Return the inverse of covariance and noise times the response, and the determinant."""
        root = self._arrays.total
        np.copyto(root, self._kept)
        root.flat[:: len(root) + 1] += local.noise.astype(self.dtype)
        if not factor(root):
            return None
        columns = np.ascontiguousarray(np.vstack([local.response.astype(self.dtype), B.T]))
        solve(root, columns)
        z, V = columns[0].astype(float), columns[1:].T.astype(float)
        inner = V.T @ V
        inner.flat[:: len(inner) + 1] += 1.0
        own = np.linalg.cholesky(inner)
        rest = (z - V @ np.linalg.solve(own.T, np.linalg.solve(own, V.T @ z)))[None]
        rest = np.ascontiguousarray(rest.astype(self.dtype))
        solve(root, rest, transposed=True)
        half = float(np.log(root.diagonal().astype(float)).sum() + np.log(own.diagonal()).sum())
        return rest[0].astype(float), half

    def _times(self, symmetric: Any, vector: Any) -> Any:
        multiply = blas.ssymv if self.dtype is np.float32 else blas.dsymv
        return multiply(1.0, symmetric.T, vector, lower=0)


@dataclass(frozen=True, eq=False)
class Latent(NearMode):
    """Minus the log density of log scales and log lengths, by Laplace's method.

    Attributes
    ----------
    family : Canonical
        What outcomes are; sigma is fixed at 1, and enters nothing.
    """

    family: Canonical = field(kw_only=True)

    def likelihood(self, theta: Floats) -> Likelihood:
        """Return the outcomes, of which theta tells nothing."""
        return Likelihood(self.family, self.rows)

    def least_noise(self, theta: Floats) -> float:
        """Return how small the noise of a row is."""
        return float(self._near.noise.min())

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return value and gradient; an infinite value where there is none."""
        gradient = np.zeros(len(theta))
        nothing = np.inf, gradient
        if not self._is_within(theta):
            return nothing
        near = self._near.eta  # which is found with the arrays that are needed from here on
        divided = self._covariance(theta, np.zeros(len(near)))
        B = self._held.terms(self.split(theta)[0])
        found = self._mode(B, near, self.likelihood(theta))
        if found is None:
            return nothing
        local, value = found.local, found.step - found.local.log_p
        value += 0.5 * float(np.log(local.curvature).sum() + found.slope @ found.eta)
        solved = None
        if invert(self._arrays.total):
            solved = self._solved(B, local.response.astype(self.dtype))
        if solved is None:
            return nothing
        lines, moved = solved[2].astype(float), self._moved(solved[2], local)
        both = found.slope + moved
        left, right = np.vstack([lines, both, moved]), np.vstack([lines, both, -moved])
        outer = left.astype(self.dtype), right.astype(self.dtype)
        self._slopes(*outer, theta, divided, gradient)
        return self._with_prior(theta, value, gradient)

    def _moved(self, lines: Any, local: Local) -> Floats:
        """Return u, given the inverse of the covariance and what lines take off it."""
        inverse = self._arrays.total
        own = inverse.diagonal().astype(float) - np.square(lines.astype(float)).sum(axis=0)
        spread = local.noise - local.noise**2 * own
        of = (0.5 * spread * local.third * local.noise).astype(self.dtype)
        found = self._times(inverse, of) - lines.T @ (lines @ of)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Start:
    """Where to begin, and the noise of the Gaussian outcomes that say the same there."""

    eta: Floats
    noise: Floats
