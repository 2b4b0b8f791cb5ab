"""Where a mediator of numbers is put, for sums over what it may be in the place of draws of it.

One of numbers is put at equal distances on a scale on which its density falls off on both sides:
there the sum of density times outcome converges faster than any power of their distance
(Trefethen and Weideman 2014); a count at each value that is likely. All draws share the points of
a row, so that a design is asked about these, and about no draw.

References
----------
Trefethen and Weideman (2014). The exponentially convergent trapezoidal rule. SIAM Review 56.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from interventional.numbers import Floats
from interventional.scm.families import Family

_COUNTS = 300  # values of a count that are all summed over

Ends = Mapping[str, Floats]  # the least of each parameter over draws, or the greatest, (n,)


@dataclass(frozen=True)
class Fineness:
    """How points lie.

    Attributes
    ----------
    spacing : float
        Their distance, in about standard deviations of the noise.
    tail : float
        How much of the probability is left out on either side.
    """

    spacing: float
    tail: float

    def finer(self) -> "Fineness":
        """Return points that lie closer, and further out."""
        return Fineness(self.spacing / 1.6, self.tail / 10)


@dataclass(frozen=True, eq=False)
class Points:
    """Where a mediator is put in each row.

    Attributes
    ----------
    values : ndarray of shape (points, n)
        Its values.
    log_width : ndarray of shape (points, n)
        The log of how much of its scale each stands for.
    are_all : bool
        Whether these are all values that are likely.
    """

    values: Floats
    log_width: Floats
    are_all: bool = False


@dataclass(frozen=True, eq=False)
class _Scale:
    """A scale on which points are put at equal distances: from where, to where, (n,) each."""

    low: Floats
    high: Floats
    step: Floats
    valued: Callable[[Floats], Floats]
    log_slope: Callable[[Floats], Floats]


def points(
    family: Family, eta: Floats, dispersion: Mapping[str, Floats], how: Fineness, most: int
) -> Points | None:
    """Return points for a mediator, the same for all draws; None if they are too many.

    Parameters
    ----------
    family : Family
        Its family.
    eta : ndarray of shape (draws, n)
        Its linear predictor.
    dispersion : mapping
        What its family has besides, (draws, 1) or (draws, n) each.
    how : Fineness
        How they lie.
    most : int
        How many points are too many.
    """
    if family.distribution not in _SCALES:
        return None
    n = eta.shape[1]
    low, high = (
        {"eta": f(eta, axis=0)}
        | {name: np.broadcast_to(f(each, axis=0), n) for name, each in dispersion.items()}
        for f in (np.min, np.max)
    )
    if any(np.any(low[name] <= 0) for name in dispersion):
        return None
    with np.errstate(all="ignore"):
        scale = _SCALES[family.distribution](low, high, how)
        size = (scale.high - scale.low) / scale.step
    if not np.all(size < most):
        return None
    u = scale.low + scale.step * np.arange(int(np.ceil(size.max())) + 1)[:, None]
    beyond = u >= scale.high + scale.step
    u = np.where(beyond, scale.high, u)  # other rows have more
    log_width = np.where(beyond, -np.inf, np.log(scale.step) + scale.log_slope(u))
    return Points(scale.valued(u), log_width, family.discrete and bool((scale.step == 1).all()))


def _on_line(low: Ends, high: Ends, how: Fineness) -> _Scale:
    reach, step = float(stats.norm.isf(how.tail)) * high["sigma"], how.spacing * low["sigma"]
    return _Scale(low["eta"] - reach, high["eta"] + reach, step, _same, np.zeros_like)


def _on_log(low: Ends, high: Ends, how: Fineness) -> _Scale:
    line = _on_line(low, high, how)
    return _Scale(line.low, line.high, line.step, np.exp, _same)


def _student_t(low: Ends, high: Ends, how: Fineness) -> _Scale:
    """Return that of the inverse hyperbolic sine, on which tails fall off exponentially."""
    center, sigma = (low["eta"] + high["eta"]) / 2, low["sigma"]
    tail = stats.t.isf(how.tail, low["nu"]) * high["sigma"] + (high["eta"] - low["eta"]) / 2
    reach = np.arcsinh(tail / sigma)
    return _Scale(
        -reach,
        reach,
        np.full_like(reach, how.spacing * 0.8),
        lambda u: center + sigma * np.sinh(u),
        lambda u: np.log(sigma) + np.log(np.cosh(u)),
    )


def _gamma(low: Ends, high: Ends, how: Fineness) -> _Scale:
    alpha = low["alpha"]
    left = low["eta"] + np.log(special.gammaincinv(alpha, how.tail) / alpha)
    right = high["eta"] + np.log(special.gammainccinv(alpha, how.tail) / alpha)
    return _Scale(left, right, how.spacing / np.sqrt(high["alpha"] + 1), np.exp, _same)


def _beta(low: Ends, high: Ends, how: Fineness) -> _Scale:
    mu, phi = (special.expit(low["eta"]), special.expit(high["eta"])), low["phi"]
    left = special.logit(special.betaincinv(mu[0] * phi, (1 - mu[0]) * phi, how.tail))
    right = -special.logit(special.betaincinv((1 - mu[1]) * phi, mu[1] * phi, how.tail))
    narrow = [
        special.polygamma(1, each * high["phi"]) + special.polygamma(1, (1 - each) * high["phi"])
        for each in mu
    ]
    step = how.spacing * np.minimum(np.sqrt(np.minimum(*narrow)), 1.0)

    def log_slope(u: Floats) -> Floats:
        return special.log_expit(u) + special.log_expit(-u)

    return _Scale(left, right, step, special.expit, log_slope)


def _poisson(low: Ends, high: Ends, how: Fineness) -> _Scale:
    rates = np.exp(low["eta"]), np.exp(high["eta"])
    of = stats.poisson.ppf(how.tail, rates[0]), stats.poisson.isf(how.tail, rates[1])
    return _counts(*of, np.sqrt(rates[0]), how)


def _negative_binomial(low: Ends, high: Ends, how: Fineness) -> _Scale:
    rates, alpha = (np.exp(low["eta"]), np.exp(high["eta"])), low["alpha"]
    left = stats.nbinom.ppf(how.tail, alpha, alpha / (alpha + rates[0]))
    right = stats.nbinom.isf(how.tail, alpha, alpha / (alpha + rates[1]))
    return _counts(left, right, np.sqrt(rates[0] + rates[0] ** 2 / high["alpha"]), how)


def _counts(left: Floats, right: Floats, sd: Floats, how: Fineness) -> _Scale:
    """Return whole numbers, all of them or every so many."""
    several = np.maximum(np.floor(how.spacing * sd), 1.0)
    step = np.where(right - left < _COUNTS, 1.0, several)
    return _Scale(left, right, step, _same, np.zeros_like)


def _same(u: Floats) -> Floats:
    return u


_SCALES: Mapping[str, Callable[[Ends, Ends, Fineness], _Scale]] = {
    "Normal": _on_line,
    "LogNormal": _on_log,
    "StudentT": _student_t,
    "Gamma": _gamma,
    "Beta": _beta,
    "Poisson": _poisson,
    "NegativeBinomial": _negative_binomial,
}


def kernel(
    family: Family, eta: Floats, dispersion: Mapping[str, Floats]
) -> Callable[[Floats], Floats]:
    """Return what gives a mediator's log density at values, up to what no value changes.

    It is near 0 where the density is largest, so that its exponential is a number.

    Parameters
    ----------
    family : Family
        Its family.
    eta : ndarray of shape (draws, n)
        Its linear predictor.
    dispersion : mapping
        What its family has besides, (draws, 1) or (draws, n) each.

    Returns
    -------
    callable
        From values, (n,), to an array of its own, (draws, n).
    """
    return _KERNELS[family.distribution](eta, dispersion)


Kernel = Callable[[Floats], Floats]


def _gaussian_kernel(eta: Floats, dispersion: Mapping[str, Floats]) -> Kernel:
    by = np.sqrt(0.5) / dispersion["sigma"]
    scaled = eta * by

    def log_density(y: Floats) -> Floats:
        z = by * y
        z = np.subtract(z, scaled, out=z if z.shape == scaled.shape else None)
        np.square(z, out=z)
        return np.negative(z, out=z)

    return log_density


def _lognormal_kernel(eta: Floats, dispersion: Mapping[str, Floats]) -> Kernel:
    gaussian = _gaussian_kernel(eta, dispersion)

    def log_density(y: Floats) -> Floats:
        u = np.log(y)
        found = gaussian(u)
        found -= u
        return found

    return log_density


def _student_t_kernel(eta: Floats, dispersion: Mapping[str, Floats]) -> Kernel:
    nu = dispersion["nu"]
    by = 1 / (dispersion["sigma"] * np.sqrt(nu))
    scaled, power = eta * by, -(nu + 1) / 2

    def log_density(y: Floats) -> Floats:
        z = by * y - scaled
        np.square(z, out=z)
        np.log1p(z, out=z)
        z *= power
        return z

    return log_density


def _gamma_kernel(eta: Floats, dispersion: Mapping[str, Floats]) -> Kernel:
    alpha = dispersion["alpha"]
    rate, at_mean = alpha * np.exp(-eta), (alpha - 1) * eta - alpha
    return lambda y: (alpha - 1) * np.log(y) - rate * y - at_mean


def _beta_kernel(eta: Floats, dispersion: Mapping[str, Floats]) -> Kernel:
    phi = dispersion["phi"]
    left, right = special.expit(eta) * phi - 1, special.expit(-eta) * phi - 1
    at_mean = left * special.log_expit(eta) + right * special.log_expit(-eta)
    return lambda y: left * np.log(y) + right * np.log1p(-y) - at_mean


def _poisson_kernel(eta: Floats, dispersion: Mapping[str, Floats]) -> Kernel:
    rate = np.exp(eta)
    return lambda y: eta * y - rate - special.gammaln(y + 1)


def _negative_binomial_kernel(eta: Floats, dispersion: Mapping[str, Floats]) -> Kernel:
    alpha = dispersion["alpha"]
    slope, rate = eta - np.logaddexp(eta, np.log(alpha)), np.exp(eta)
    at_mean = slope * rate + special.gammaln(rate + alpha) - special.gammaln(rate + 1)

    def log_density(y: Floats) -> Floats:
        values, back = np.unique(y, return_inverse=True)  # few: all draws have them in common
        of_value = special.gammaln(values + alpha) - special.gammaln(values + 1)
        return slope * y + of_value[:, back] - at_mean

    return log_density


_KERNELS: Mapping[str, Callable[[Floats, Mapping[str, Floats]], Kernel]] = {
    "Normal": _gaussian_kernel,
    "LogNormal": _lognormal_kernel,
    "StudentT": _student_t_kernel,
    "Gamma": _gamma_kernel,
    "Beta": _beta_kernel,
    "Poisson": _poisson_kernel,
    "NegativeBinomial": _negative_binomial_kernel,
}
