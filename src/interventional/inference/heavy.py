r"""Student's t about what bends: Laplace's method with Fisher's information.

The log density of :math:`r = y - \eta`, with nu degrees of freedom and the scale sigma, is not
concave in eta: of an outlier the curvature is less than zero, and the Gaussian that has it is
none. In its place stands what is expected of it,

.. math:: W = \frac{\nu + 1}{(\nu + 3) \sigma^2},

the same for all rows (Hartmann and Vanhatalo 2019). It says as much as the curvatures do together,
and it does not move with eta, so that slopes in scales and lengths are those of Gaussian outcomes
with variances 1 / W, at the mode. Outliers pull the mode next to nothing, as ever.

The mode is found by steps that take the curvature where it is large, and a part of the weight that
iteratively weighted least squares would give a row elsewhere; each is halved until it ascends.

References
----------
Hartmann and Vanhatalo (2019). Laplace approximation and natural gradient for Gaussian process
regression with heteroscedastic Student-t model. Statistics and Computing 29:753.

Vanhatalo, Jylänki and Vehtari (2009). Gaussian process regression with Student-t likelihood.
Advances in Neural Information Processing Systems 22.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from interventional.data.lapack import invert
from interventional.inference.evidence import Evidence, Rows
from interventional.inference.exact import LogDensity
from interventional.inference.latent import Local, NearMode, Said
from interventional.numbers import Floats

_PART = 0.25  # of the weight of least squares, that a row has at least
_FEWEST, _MOST = float(np.log(0.5)), float(np.log(500.0))  # log degrees of freedom
_TYPICAL = float(np.log(8.0))  # to begin at
_GRID = 2048  # values that their prior is known at


@dataclass(frozen=True, eq=False)
class Heavy(Said):
    """Outcomes of rows that have Student's t.

    Attributes
    ----------
    rows : Rows
        Outcomes, and how often each was seen.
    sigma, nu : float
        The scale and the degrees of freedom.
    """

    rows: Rows
    sigma: float
    nu: float
    contracts: float = 0.95

    @property
    def start(self) -> Floats:
        """A linear predictor that is next to the outcomes: these."""
        return self.rows.target

    def _squares(self, eta: Floats) -> tuple[Floats, Floats]:
        r = self.rows.target - eta
        return r, np.square(r / self.sigma) / self.nu

    def log_p(self, eta: Floats) -> float:
        """Return the log density of the outcomes, up to a constant."""
        m, nu = self.rows.weights, self.nu
        of_row = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu) - np.log(self.sigma)
        off = (nu + 1) / 2 * np.log1p(self._squares(eta)[1])
        return float(m.sum() * of_row - m @ off)

    def near(self, eta: Floats) -> Local:
        """Return what makes a step from a linear predictor."""
        r, q = self._squares(eta)
        weight = (self.nu + 1) / (self.nu * self.sigma**2 * (1 + q))
        return self._local(eta, r * weight, np.maximum((1 - q) / (1 + q), _PART) * weight)

    def expected(self, eta: Floats) -> Local:
        """Return what the outcomes say at the mode, with Fisher's information."""
        r, q = self._squares(eta)
        slope = r * (self.nu + 1) / (self.nu * self.sigma**2 * (1 + q))
        curvature = (self.nu + 1) / ((self.nu + 3) * self.sigma**2)
        return self._local(eta, slope, np.full(len(eta), curvature))

    def _local(self, eta: Floats, slope: Floats, curvature: Floats) -> Local:
        m = self.rows.weights * curvature
        return Local(self.log_p(eta), eta + slope / curvature, 1 / m, m, np.zeros(len(eta)))

    def slopes(self, eta: Floats) -> tuple[float, float]:
        """Return the slopes of the log density in log sigma and log nu."""
        m, nu, q = self.rows.weights, self.nu, self._squares(eta)[1]
        share = (nu + 1) * q / (1 + q)
        of_nu = digamma((nu + 1) / 2) - digamma(nu / 2) - 1 / nu - np.log1p(q) + share / nu
        return float(m @ (share - 1)), float(m @ of_nu) * nu / 2


@dataclass(frozen=True, eq=False)
class OfHeavy(NearMode):
    """Minus the log density of log scales, log lengths, log nu and log sigma.

    Attributes
    ----------
    log_nu : callable
        The log density of the prior of nu.
    fixed_nu : float or None
        What nu is fixed at.
    """

    log_nu: LogDensity = field(kw_only=True)
    fixed_nu: float | None = field(kw_only=True, default=None)

    @cached_property
    def mean(self) -> Floats:
        """Prior means of theta, and where to begin; log nu stands before log sigma."""
        own = _TYPICAL if self.fixed_nu is None else np.log(self.fixed_nu)
        return np.insert(Evidence.mean.func(self), -1, own)  # type: ignore[attr-defined]

    @cached_property
    def free(self) -> NDArray[np.intp]:
        """Positions in theta of what there is."""
        found = Evidence.free.func(self)  # type: ignore[attr-defined]
        if self.fixed_nu is not None:
            return np.asarray(found)
        return np.union1d(found, [len(self.mean) - 2])

    @cached_property
    def _bounds(self) -> tuple[Floats, Floats]:
        least, most = Evidence._bounds.func(self)  # type: ignore[attr-defined]
        ends = (_FEWEST, _MOST) if self.fixed_nu is None else (-np.inf, np.inf)
        return np.insert(least, -1, ends[0]), np.insert(most, -1, ends[1])

    @cached_property
    def _of_nu(self) -> Any:
        """The log density of log nu as a spline."""
        from scipy.interpolate import CubicSpline

        at = np.linspace(_FEWEST, _MOST, _GRID)
        density = np.asarray(self.log_nu(np.exp(at)) + at)
        known = np.isfinite(density)
        return CubicSpline(at[known], density[known], extrapolate=False)

    def nu(self, theta: Floats) -> float:
        """Return the degrees of freedom."""
        return float(np.exp(theta[-2]))

    def likelihood(self, theta: Floats) -> Heavy:
        """Return the outcomes given theta."""
        return Heavy(self.rows, self.split(theta)[2], self.nu(theta))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return value and gradient; an infinite value where there is none."""
        gradient = np.zeros(len(theta))
        nothing = np.inf, gradient
        if not self._is_within(theta):
            return nothing
        near, likelihood = self._near.eta, self.likelihood(theta)
        divided = self._covariance(theta, np.zeros(len(near)))
        B = self._held.terms(self.split(theta)[0])
        found = self._mode(B, near, likelihood)
        if found is None:
            return nothing
        local = likelihood.expected(found.eta)
        made = self._step(B, local)
        if made is None or not invert(self._arrays.total):
            return nothing
        solved = self._solved(B, local.response.astype(self.dtype))
        if solved is None:
            return nothing
        value = made[1] - local.log_p
        value += 0.5 * float(np.log(local.curvature).sum() + found.slope @ found.eta)
        slope = found.slope
        outer = np.vstack([solved[2], slope.astype(self.dtype)])
        own = self._slopes(outer, outer, theta, divided, gradient) + 0.5 * np.square(slope)
        of_noise, n, nu = float(own @ local.noise), len(slope), self.nu(theta)
        of_sigma, of_nu = likelihood.slopes(found.eta)
        gradient[-1] = 2 * of_noise - n - of_sigma
        gradient[-2] = (of_noise - 0.5 * n) * (nu / (nu + 3) - nu / (nu + 1)) - of_nu
        return self._with_prior(theta, value, gradient)

    def _with_prior(self, theta: Floats, value: float, gradient: Floats) -> tuple[float, Floats]:
        if self.fixed_nu is None:
            prior = float(self._of_nu(theta[-2]))
            if np.isnan(prior):
                return np.inf, np.zeros(len(theta))
            value -= prior
            gradient[-2] -= float(self._of_nu(theta[-2], 1))
        return super()._with_prior(theta, value, gradient)
