r"""Log likelihoods of many parameters at once, and their derivatives by the linear predictor.

They stand beside the distributions of `families` in PyMC, and let inference go without compiling
anything. Parameters besides the linear predictor eta are positive, and come by their logs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import digamma, expit, gammaln, zeta

from interventional.numbers import Floats

Several = Sequence[Floats]
Slopes = tuple[Floats, list[Floats]]
_LARGEST = 700.0  # exponent of a finite number
_TINY = 1e-300
_FACTORS, _LARGEST_FACTOR = 16, 1e19  # whose product is a number


@dataclass(frozen=True)
class Likelihood:
    """What is known of the log density of outcomes in closed form.

    Attributes
    ----------
    total : callable
        From outcomes y (n,), their weights (n,), linear predictors (s, n) and logs of the other
        parameters, each (s, 1), to sums of the weighted log densities, (s,), up to a constant.
    slope : callable
        From the same to first derivatives by eta, (s, n), unweighted; and to sums of the weighted
        ones by each of the logs, (s,).
    curvature : callable
        From y, linear predictors (s, n) and the logs to the second derivatives by eta.
    """

    total: Callable[[Floats, Floats, Floats, Several], Floats] = field(repr=False)
    slope: Callable[[Floats, Floats, Floats, Several], Slopes] = field(repr=False)
    curvature: Callable[[Floats, Floats, Several], Floats] = field(repr=False)


def _exp(x: Floats) -> Floats:
    """Return the exponential, of what is too large that of the largest there is."""
    return np.exp(np.minimum(x, _LARGEST))


def _trigamma(x: Floats) -> Floats:
    return np.asarray(zeta(2.0, x))


def _softplus(eta: Floats, w: Floats) -> Floats:
    """Return weighted sums of log(1 + exp(eta)), each to the last digit of 1."""
    if eta.size and eta.max() > _LARGEST:
        return np.asarray(np.logaddexp(0.0, eta) @ w)
    out = np.exp(eta)
    out += 1.0
    return _logs(out, w)


def _logs(values: Floats, w: Floats) -> Floats:
    """Return weighted sums of logs of numbers from 1 on, (s, n), which are overwritten.

    Where all weigh one, it is the log of their products, a few at a time.
    """
    m = values.shape[1] // _FACTORS * _FACTORS
    if m and (w == 1).all() and values.max() < _LARGEST_FACTOR:
        products = values[:, :m].reshape(len(values), _FACTORS, -1).prod(axis=1)
        return np.asarray(np.log(products).sum(axis=1) + np.log(values[:, m:]).sum(axis=1))
    return np.asarray(np.log(values, out=values) @ w)


def _of_unique(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the distinct values, and their weights."""
    found, at = np.unique(values, return_inverse=True)
    return found, np.bincount(at.ravel(), weights)


# --- 0 and 1 -------------------------------------------------------------------------------------


def _bernoulli_total(y: Floats, w: Floats, eta: Floats, logs: Several) -> Floats:
    return np.asarray(eta @ (w * y) - _softplus(eta, w))


def _bernoulli_slope(y: Floats, w: Floats, eta: Floats, logs: Several) -> Slopes:
    return y - expit(eta), []


def _bernoulli_curvature(y: Floats, eta: Floats, logs: Several) -> Floats:
    return np.asarray(-expit(eta) * expit(-eta))


# --- Counts --------------------------------------------------------------------------------------


def _poisson_total(y: Floats, w: Floats, eta: Floats, logs: Several) -> Floats:
    return np.asarray(eta @ (w * y) - _exp(eta) @ w)


def _poisson_slope(y: Floats, w: Floats, eta: Floats, logs: Several) -> Slopes:
    return y - _exp(eta), []


def _poisson_curvature(y: Floats, eta: Floats, logs: Several) -> Floats:
    return -_exp(eta)


def _negative_binomial_total(y: Floats, w: Floats, eta: Floats, logs: Several) -> Floats:
    (log_alpha,) = logs
    alpha = np.exp(log_alpha)
    counts, of_counts = _of_unique(y, w)
    known = gammaln(counts + alpha) @ of_counts
    known += w.sum() * (alpha * log_alpha - gammaln(alpha))[:, 0]
    log_sum = np.logaddexp(eta, log_alpha) if eta.max() > _LARGEST else np.log(_exp(eta) + alpha)
    return np.asarray(known + eta @ (w * y) - log_sum @ (w * y) - alpha[:, 0] * (log_sum @ w))


def _negative_binomial_slope(y: Floats, w: Floats, eta: Floats, logs: Several) -> Slopes:
    alpha, mean = np.exp(logs[0]), _exp(eta)
    whole = mean + alpha
    first = alpha * (y - mean) / whole
    counts, of_counts = _of_unique(y, w)
    known = digamma(counts + alpha) @ of_counts
    known += w.sum() * (logs[0] - digamma(alpha))[:, 0]
    return first, [alpha[:, 0] * (known - np.log(whole) @ w) - first @ w]


def _negative_binomial_curvature(y: Floats, eta: Floats, logs: Several) -> Floats:
    alpha, share = np.exp(logs[0]), expit(eta - logs[0])
    return -(y + alpha) * share * (1 - share)


# --- Positive numbers ----------------------------------------------------------------------------


def _gamma_total(y: Floats, w: Floats, eta: Floats, logs: Several) -> Floats:
    (log_alpha,) = logs
    alpha = np.exp(log_alpha)[:, 0]
    known = w.sum() * (alpha * log_alpha[:, 0] - gammaln(alpha)) + alpha * (w @ np.log(y))
    return np.asarray(known - alpha * (eta @ w + _exp(-eta) @ (w * y)))


def _gamma_slope(y: Floats, w: Floats, eta: Floats, logs: Several) -> Slopes:
    alpha, left = np.exp(logs[0]), y * _exp(-eta) - 1
    known = w.sum() * (logs[0] - digamma(alpha))[:, 0] + np.log(y) @ w
    return alpha * left, [alpha[:, 0] * (known - eta @ w - left @ w)]


def _gamma_curvature(y: Floats, eta: Floats, logs: Several) -> Floats:
    return -np.exp(logs[0]) * y * _exp(-eta)


# --- Shares --------------------------------------------------------------------------------------


def _beta_total(y: Floats, w: Floats, eta: Floats, logs: Several) -> Floats:
    phi, mean, rest = np.exp(logs[0]), expit(eta), expit(-eta)
    known = gammaln(phi)[:, 0] * w.sum()
    of_rows = mean * np.log(y) + rest * np.log1p(-y)
    of_rows *= phi
    of_rows -= gammaln(mean * phi + _TINY) + gammaln(rest * phi + _TINY)
    return np.asarray(known + of_rows @ w)


def _beta_slope(y: Floats, w: Floats, eta: Floats, logs: Several) -> Slopes:
    phi, mean, rest = np.exp(logs[0]), expit(eta), expit(-eta)
    one = np.log(y) - digamma(mean * phi + _TINY)
    other = np.log1p(-y) - digamma(rest * phi + _TINY)
    by_log = (mean * one + rest * other) @ w + w.sum() * digamma(phi)[:, 0]
    return phi * mean * rest * (one - other), [phi[:, 0] * by_log]


def _beta_curvature(y: Floats, eta: Floats, logs: Several) -> Floats:
    phi, mean, rest = np.exp(logs[0]), expit(eta), expit(-eta)
    variance = mean * rest
    one = np.log(y) - digamma(mean * phi + _TINY)
    other = np.log1p(-y) - digamma(rest * phi + _TINY)
    tails = _trigamma(mean * phi + _TINY) + _trigamma(rest * phi + _TINY)
    bent = phi * variance * (rest - mean) * (one - other)
    return np.asarray(bent - np.square(phi * variance) * tails)


# --- Heavy tails ---------------------------------------------------------------------------------


def _student_total(y: Floats, w: Floats, eta: Floats, logs: Several) -> Floats:
    log_sigma, log_nu = logs
    nu = np.exp(log_nu)
    left = y - eta
    left *= left
    left /= nu * np.exp(2 * log_sigma)
    left += 1.0
    known = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * log_nu - log_sigma
    return np.asarray(w.sum() * known[:, 0] - (nu[:, 0] + 1) / 2 * _logs(left, w))


def _student_slope(y: Floats, w: Floats, eta: Floats, logs: Several) -> Slopes:
    variance, nu = np.exp(2 * logs[0]), np.exp(logs[1])
    left = y - eta
    ratio = np.square(left) / (nu * variance)
    inside = 1 / (1 + ratio)
    first = (nu + 1) / (nu * variance) * left * inside
    outside = w.sum() - inside @ w  # sums of ratio / (1 + ratio)
    ratio += 1.0
    nu = nu[:, 0]
    known = digamma((nu + 1) / 2) - digamma(nu / 2) - 1 / nu
    by_nu = 0.5 * (w.sum() * known - _logs(ratio, w)) + (nu + 1) / (2 * nu) * outside
    return first, [(nu + 1) * outside - w.sum(), nu * by_nu]


def _student_curvature(y: Floats, eta: Floats, logs: Several) -> Floats:
    variance, nu = np.exp(2 * logs[0]), np.exp(logs[1])
    ratio = np.square(y - eta) / (nu * variance)
    return (nu + 1) / (nu * variance) * (ratio - 1) / np.square(1 + ratio)


OF_ZERO_ONE = Likelihood(_bernoulli_total, _bernoulli_slope, _bernoulli_curvature)
OF_COUNTS = Likelihood(_poisson_total, _poisson_slope, _poisson_curvature)
OF_SPREAD_COUNTS = Likelihood(
    _negative_binomial_total, _negative_binomial_slope, _negative_binomial_curvature
)
OF_POSITIVE = Likelihood(_gamma_total, _gamma_slope, _gamma_curvature)
OF_SHARES = Likelihood(_beta_total, _beta_slope, _beta_curvature)
OF_HEAVY_TAILS = Likelihood(_student_total, _student_slope, _student_curvature)
