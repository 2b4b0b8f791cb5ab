r"""Priors of coefficients that bound: a Gaussian, a rate and a power within a box.

The log density of each of them is, up to a constant,

.. math::

    -\tfrac{1}{2} p (x - m)^2 - r x + a \log x, \quad l < x < u,

with the precision p, the rate r and the power a, each of which may be 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from interventional.numbers import Floats

BOUNDED = ("HalfNormal", "TruncatedNormal", "Exponential", "Gamma", "Uniform")


@dataclass(frozen=True)
class Bounds:
    """Priors of some coefficients, one each, in the form of the module; all arrays are (size,).

    Attributes
    ----------
    mean, precision : ndarray
        Of the Gaussian factor.
    rate, power : ndarray
        Of the others.
    lower, upper : ndarray
        The box.
    """

    mean: Floats
    precision: Floats
    rate: Floats
    power: Floats
    lower: Floats
    upper: Floats

    @classmethod
    def none(cls, size: int) -> "Bounds":
        """Return those of Flat priors.

        Examples
        --------
        >>> Bounds.none(2).lower
        array([-inf, -inf])
        """
        mean, precision, rate, power = (np.zeros(size) for _ in range(4))
        return cls(mean, precision, rate, power, np.full(size, -np.inf), np.full(size, np.inf))

    @classmethod
    def of(cls, distribution: str, parameters: Mapping[str, Any], size: int) -> "Bounds":
        """Read a distribution of PyMC, with its numbers, one for all coefficients or one each.

        Raises
        ------
        ValueError
            If numbers are none of this distribution.

        Examples
        --------
        >>> found = Bounds.of("Exponential", {"lam": 2.0}, 1)
        >>> found.rate, found.lower, found.upper
        (array([2.]), array([0.]), array([inf]))
        """
        arrays = {name: np.asarray(v, dtype=np.float64) for name, v in parameters.items()}
        given = {name: np.broadcast_to(value, size) for name, value in arrays.items()}
        zeros, without = np.zeros(size), np.full(size, np.inf)

        def positive(name: str, value: Floats) -> Floats:
            if not np.all(value > 0):
                raise ValueError(
                    f"a prior of coefficients is {distribution!r} with {name}={parameters[name]}, "
                    "which must be positive"
                )
            return value

        def precision() -> Floats:
            if "tau" in given:
                return positive("tau", given["tau"])
            return positive("sigma", given["sigma"]) ** -2.0 if "sigma" in given else zeros + 1

        match distribution:
            case "HalfNormal":
                return cls(zeros, precision(), zeros, zeros, zeros, without)
            case "Exponential":
                rate = 1 / positive("scale", given["scale"]) if "scale" in given else zeros + 1
                rate = positive("lam", given["lam"]) if "lam" in given else rate
                return cls(zeros, zeros, rate, zeros, zeros, without)
            case "Gamma":
                if "alpha" in given:
                    alpha, beta = (positive(name, given[name]) for name in ("alpha", "beta"))
                else:
                    mu, sigma = (positive(name, given[name]) for name in ("mu", "sigma"))
                    alpha, beta = np.square(mu / sigma), mu / np.square(sigma)
                return cls(zeros, zeros, beta, alpha - 1, zeros, without)
        truncated = distribution == "TruncatedNormal"
        lower = given.get("lower", -without if truncated else zeros)
        upper = given.get("upper", without if truncated else zeros + 1)
        if not np.all(lower < upper):
            raise ValueError(
                f"a prior of coefficients is {distribution!r} with lower={lower.tolist()} and "
                f"upper={upper.tolist()}; lower must be less than upper"
            )
        if truncated:
            return cls(given.get("mu", zeros), precision(), zeros, zeros, lower, upper)
        return cls(zeros, zeros, zeros, zeros, lower, upper)

    def log_density(self, x: Floats) -> Floats:
        """Return the log densities of coefficients x, (..., size), up to a constant each."""
        with np.errstate(divide="ignore", invalid="ignore"):
            powers = np.where(self.power == 0, 0.0, self.power * np.log(x))
        found = -0.5 * self.precision * np.square(x - self.mean) - self.rate * x + powers
        return np.where((x >= self.lower) & (x <= self.upper), found, -np.inf)

    @property
    def size(self) -> Floats:
        """How far each prior lets a coefficient go that the data do not hold; may be infinite."""
        with np.errstate(divide="ignore"):
            of_rate = np.sqrt(np.maximum(self.power + 1, 1.0)) / self.rate
            return np.minimum(self.upper - self.lower, of_rate)
