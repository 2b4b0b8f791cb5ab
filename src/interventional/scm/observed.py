r"""The observed model of one equation: of a size that does not grow with the rows.

Of a Gaussian equation it is one over sufficient statistics. With the QR decomposition of the
centred, weighted design, a Gaussian likelihood of n rows is, up to a constant, that of

.. math::

    \bar y \sim N(a, \sigma^2/W), \quad z \sim N(R\beta, \sigma^2 I_k), \quad
    \mathrm{rss} \sim \mathrm{Gamma}((W - 1 - k)/2,\ 1/(2\sigma^2)),

with W the sum of the weights and a the intercept at the means of the predictors. Of any other
family it is one over distinct rows and their weights.

All numbers, those in the priors and the number of coefficients included, are shared variables, so
that they can be swapped without compiling again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.data.seen import DistinctRows, Seen, SufficientStatistics
from interventional.numbers import Floats
from interventional.scm.equations import Equation, with_errors
from interventional.scm.generative import (
    add_coords,
    add_parameters,
    linear_predictor,
    prior_numbers,
)

if TYPE_CHECKING:
    import pymc as pm

# The names of the shared vectors that hold single numbers: one compiles faster than a dozen
# variables. They are two because `pm.observe` copies the variables of a model, but not those of
# what is observed.
OBSERVED, DATA = "observed_numbers", "known_numbers"
# Likewise those of distinct rows.
_SEEN, _TARGET = "observed_nodes", "node_of_row"
_MATRIX, _WEIGHTS, _OFFSET = "distinct_rows", "weight_of_row", "offset_of_row"
_ERRORS = "error_of_row"


def observed_model(equation: Equation, seen: Seen) -> "pm.Model":
    """Return the observed model of an equation; its intercept is that at the predictors' means.

    Parameters
    ----------
    equation : Equation
        The equation.
    seen : Seen
        What the likelihood sees.
    """
    import pymc as pm
    import pytensor

    likelihood, numbers = _likelihood(equation, seen), _numbers(equation, seen)
    arrays = {**likelihood.arrays(), **_vectors(numbers)}
    data: dict[str, Any] = {
        name: pytensor.shared(value, name=name) for name, value in arrays.items()
    }
    single = [name for name, value in numbers.items() if not value.ndim]
    data |= {name: data[DATA][i] for i, name in enumerate(single)}
    with pm.Model() as model:
        add_coords(model, equation)
        parameters = add_parameters(equation, data["shift"], data.__getitem__, whitened=True)
        observed = likelihood.add(data, *parameters)
    return pm.observe(model, observed)


def observed_data(equation: Equation, seen: Seen) -> dict[str, Any]:
    """Return the data of the observed model by name.

    The length of the coefficients is among them, which PyMC shares under the name of their
    dimension.
    """
    arrays, numbers = _likelihood(equation, seen).arrays(), _numbers(equation, seen)
    return {**arrays, **_vectors(numbers), f"{equation.node}_term": len(equation.coefficients)}


@dataclass(frozen=True)
class _OfSums:
    """The likelihood of a Gaussian equation, over sufficient statistics."""

    equation: Equation
    seen: SufficientStatistics

    def arrays(self) -> dict[str, Any]:
        """Return what is observed, and what the likelihood is over, by name."""
        return {OBSERVED: np.array([self.seen.y_mean, self.seen.rss, *self.seen.z])}

    def add(
        self, data: Mapping[str, Any], beta: Any, intercept: Any, dispersion: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Add it to the model in context; return what each variable is observed at."""
        import pymc as pm
        import pytensor.tensor as pt

        name, sigma, observed = self.equation.node, dispersion["sigma"], {}
        if intercept is not None:
            pm.Normal(f"{name}_mean", intercept, sigma / pt.sqrt(data["weight"]))
            observed[f"{name}_mean"] = data[OBSERVED][0]
        pm.Normal(f"{name}_z", pt.dot(data["r"], beta), sigma)
        observed[f"{name}_z"] = data[OBSERVED][2:]
        dof, rss = data["dof"], data["rss"]
        if self.seen.has_residual:
            pm.Gamma(f"{name}_rss", dof / 2, 1 / (2 * sigma**2))
            observed[f"{name}_rss"] = data[OBSERVED][1]
        else:
            # No degrees of freedom are left, or weights that sum to less than there are rows.
            pm.Potential(f"{name}_rss", -dof * pt.log(sigma) - rss / (2 * sigma**2))
        return observed


@dataclass(frozen=True)
class _OfRows:
    """The likelihood of an equation of any family, over distinct rows and their weights."""

    equation: Equation
    seen: DistinctRows

    def arrays(self) -> dict[str, Any]:
        """Return what is observed, and what the likelihood is over, by name."""
        seen = self.seen
        target = seen.target.astype(np.int64) if self.equation.is_discrete else seen.target
        matrix = seen.matrix - seen.x_mean
        data = {_MATRIX: matrix, _WEIGHTS: seen.weights, _SEEN: target, _TARGET: target}
        beside = {_OFFSET: seen.offset, _ERRORS: seen.errors}
        return data | {name: values for name, values in beside.items() if values is not None}

    def add(
        self, data: Mapping[str, Any], beta: Any, intercept: Any, dispersion: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Add it to the model in context; return what each variable is observed at."""
        import pymc as pm

        name, record = self.equation.node, self.equation.record
        eta = linear_predictor(self.equation, data[_MATRIX], beta)
        if intercept is not None:
            eta += intercept
        if self.seen.offset is not None:
            eta += data[_OFFSET]
        if self.seen.errors is not None:
            dispersion = with_errors(dispersion, data[_ERRORS])
        record.variable(name, eta, dispersion)
        if self.seen.are_weighted:
            # A row of weight w has w times the log density; once it is counted by being observed.
            once = record.log_density_tensor(data[_TARGET], eta, dispersion)
            pm.Potential(f"{name}_weights", (data[_WEIGHTS] - 1) * once)
        return {name: data[_SEEN]}


def _likelihood(equation: Equation, seen: Seen) -> _OfSums | _OfRows:
    """Return the likelihood of what an equation saw."""
    if isinstance(seen, SufficientStatistics):
        return _OfSums(equation, seen)
    assert isinstance(seen, DistinctRows)
    return _OfRows(equation, seen)


def _numbers(equation: Equation, seen: Seen) -> dict[str, Floats]:
    """Return what is known besides the arrays, by name."""
    known: dict[str, Any] = {}
    if isinstance(seen, SufficientStatistics):
        known = {"weight": seen.weight, "r": seen.r, "rss": seen.rss, "dof": seen.dof}
    known |= {"shift": seen.x_mean - equation.center, **prior_numbers(equation)}
    return {name: np.asarray(value, dtype=np.float64) for name, value in known.items()}


def _vectors(numbers: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the single ones of some numbers in one vector, and what is an array by its name."""
    single = [value for value in numbers.values() if not value.ndim]
    return {DATA: np.array(single), **{name: v for name, v in numbers.items() if v.ndim}}
