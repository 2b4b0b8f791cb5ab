"""Log densities of priors in closed form, up to a constant, and their derivatives.

What is positive comes by its log, whose density is meant: that of the number itself times it.
Parameters are those of PyMC; where a distribution is not here, PyMC has to be asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from interventional.numbers import Floats
from interventional.scm.priors import PriorSpec

# From logs of a positive number to the log density of that log, and the slope of this.
OfLog = Callable[[Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, eq=False)
class Location:
    """Priors of numbers of any sign: Student t, with infinite freedom Normal.

    Attributes
    ----------
    mean, precision, freedom : ndarray of shape (p,)
        Where the density is high; the inverse of the squared scale, which is 0 where it is flat;
        and degrees of freedom.
    """

    mean: Floats
    precision: Floats
    freedom: Floats

    @property
    def is_normal(self) -> bool:
        """Whether all are Normal or flat."""
        return bool(np.isinf(self.freedom).all())

    def log_density(self, x: Floats) -> Floats:
        """Return logs of the joint density at points, (..., p), up to a constant."""
        squares = np.square(x - self.mean) * self.precision
        if self.is_normal:
            return np.asarray(-0.5 * squares.sum(axis=-1))
        nu = np.where(np.isinf(self.freedom), 1.0, self.freedom)
        heavy = (nu + 1) / 2 * np.log1p(squares / nu)
        return -np.where(np.isinf(self.freedom), 0.5 * squares, heavy).sum(axis=-1)

    def slope(self, x: Floats) -> Floats:
        """Return the derivatives at points, (..., p)."""
        left = x - self.mean
        return -left * self._pull(left)

    def curvature(self, x: Floats) -> Floats:
        """Return the second derivatives at points, (..., p)."""
        left = x - self.mean
        pull = self._pull(left)
        if self.is_normal:
            return -pull + np.zeros_like(left)
        nu = self.freedom + 1
        return np.where(np.isinf(nu), -pull, 2 * np.square(pull * left) / nu - pull)

    def _pull(self, left: Floats) -> Floats:
        """Return how strongly numbers are drawn to their means: (nu + 1) / (nu s² + x²)."""
        if self.is_normal:
            return self.precision
        nu = np.where(np.isinf(self.freedom), 1.0, self.freedom)
        heavy = (nu + 1) * self.precision / (nu + np.square(left) * self.precision)
        return np.where(np.isinf(self.freedom), self.precision, heavy)


def location(prior: PriorSpec, size: int) -> tuple[Floats, Floats, Floats] | None:
    """Return mean, precision and freedom of a prior, (size,) each; None if it is not of these."""
    given = _numbers(prior)
    if given is None:
        return None
    known = {"Flat", "Normal", "StudentT", "Cauchy"}
    if prior.distribution not in known:
        return None
    ones = np.ones(size)
    mean, freedom = given.get("mu", np.zeros(1)) * ones, np.inf * ones
    precision = given.get("sigma", np.ones(1)) ** -2.0 * ones
    for name in {"tau", "lam"} & set(given):
        precision = given[name] * ones
    if prior.distribution == "Flat":
        precision = np.zeros(size)
    elif prior.distribution == "StudentT":
        freedom = given.get("nu", np.ones(1)) * ones
    elif prior.distribution == "Cauchy":
        mean, precision, freedom = given["alpha"] * ones, given["beta"] ** -2.0 * ones, ones
    return mean, precision, freedom


def _half_student(nu: Any, scale: Any) -> OfLog:
    def evaluate(t: Floats) -> tuple[Floats, Floats]:
        ratio = np.exp(2 * t) / (nu * scale**2)
        return t - (nu + 1) / 2 * np.log1p(ratio), 1 - (nu + 1) * ratio / (1 + ratio)

    return evaluate


def _half_normal(scale: Any) -> OfLog:
    def evaluate(t: Floats) -> tuple[Floats, Floats]:
        ratio = np.exp(2 * t) / scale**2
        return t - 0.5 * ratio, 1 - ratio

    return evaluate


def _log_normal(mu: Any, scale: Any) -> OfLog:
    def evaluate(t: Floats) -> tuple[Floats, Floats]:
        z = (t - mu) / scale
        return -0.5 * z**2, -z / scale

    return evaluate


def _gamma(alpha: Any, beta: Any) -> OfLog:
    def evaluate(t: Floats) -> tuple[Floats, Floats]:
        rate = beta * np.exp(t)
        return alpha * t - rate, alpha - rate

    return evaluate


def _inverse_gamma(alpha: Any, beta: Any) -> OfLog:
    def evaluate(t: Floats) -> tuple[Floats, Floats]:
        rate = beta * np.exp(-t)
        return -alpha * t - rate, rate - alpha

    return evaluate


def _weibull(alpha: Any, beta: Any) -> OfLog:
    def evaluate(t: Floats) -> tuple[Floats, Floats]:
        power = (np.exp(t) / beta) ** alpha
        return alpha * t - power, alpha * (1 - power)

    return evaluate


_POSITIVE: Mapping[tuple[str, frozenset[str]], Callable[..., OfLog]] = {
    ("HalfNormal", frozenset()): lambda: _half_normal(1.0),
    ("HalfNormal", frozenset({"sigma"})): lambda sigma: _half_normal(sigma),
    ("HalfStudentT", frozenset({"nu", "sigma"})): lambda nu, sigma: _half_student(nu, sigma),
    ("HalfStudentT", frozenset({"nu"})): lambda nu: _half_student(nu, 1.0),
    ("HalfCauchy", frozenset({"beta"})): lambda beta: _half_student(1.0, beta),
    ("LogNormal", frozenset()): lambda: _log_normal(0.0, 1.0),
    ("LogNormal", frozenset({"mu", "sigma"})): lambda mu, sigma: _log_normal(mu, sigma),
    ("LogNormal", frozenset({"sigma"})): lambda sigma: _log_normal(0.0, sigma),
    ("LogNormal", frozenset({"mu"})): lambda mu: _log_normal(mu, 1.0),
    ("Gamma", frozenset({"alpha", "beta"})): lambda alpha, beta: _gamma(alpha, beta),
    ("Gamma", frozenset({"mu", "sigma"})): lambda mu, sigma: _gamma(
        (mu / sigma) ** 2, mu / sigma**2
    ),
    ("Exponential", frozenset({"lam"})): lambda lam: _gamma(1.0, lam),
    ("Exponential", frozenset({"scale"})): lambda scale: _gamma(1.0, 1 / scale),
    ("InverseGamma", frozenset({"alpha", "beta"})): lambda alpha, beta: _inverse_gamma(
        alpha, beta
    ),
    ("Weibull", frozenset({"alpha", "beta"})): lambda alpha, beta: _weibull(alpha, beta),
}


def of_log(prior: PriorSpec) -> OfLog | None:
    """Return the density of the log of a positive number; None of a prior that is not here."""
    given = _numbers(prior)
    if given is None or any(np.size(value) != 1 for value in given.values()):
        return None
    make = _POSITIVE.get((prior.distribution, frozenset(given)))
    return None if make is None else make(**{name: float(v) for name, v in given.items()})


def _numbers(prior: PriorSpec) -> dict[str, Floats] | None:
    """Return the parameters of a prior that has nothing but numbers in it."""
    if not prior.is_plain:
        return None
    return {name: np.asarray(value) for name, value in prior.parameters.items()}
