"""Observed models of a size that does not grow with the rows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.data.seen import DistinctRows, SufficientStatistics
from interventional.numbers import Floats
from interventional.scm.equations import Equation
from interventional.scm.generative import (
    add_coords,
    add_parameters,
    linear_predictor,
    prior_numbers,
)

if TYPE_CHECKING:
    import pymc as pm

# The names of the shared vectors that hold a compact model's single numbers. They are two because
# `pm.observe` copies the variables of a model, but not those of what is observed.
OBSERVED, DATA = "observed_numbers", "known_numbers"
# Likewise those of distinct rows.
SEEN, TARGET = "observed_nodes", "node_of_row"
MATRIX, WEIGHTS, OFFSET = "distinct_rows", "weight_of_row", "offset_of_row"


def compact_model(equation: Equation, statistics: SufficientStatistics) -> "pm.Model":
    r"""Return the observed model of one equation over its sufficient statistics.

    With the QR decomposition of the centred, weighted design, a Gaussian likelihood of n rows is,
    up to a constant, that of

    .. math::

        \bar y \sim N(a, \sigma^2/W), \quad z \sim N(R\beta, \sigma^2 I_k), \quad
        \mathrm{rss} \sim \mathrm{Gamma}((W - 1 - k)/2,\ 1/(2\sigma^2)),

    with W the sum of the weights and a the intercept at the means of the predictors. All numbers,
    those in the priors and the number of coefficients included, are shared variables
    (`compact_data`), so that they can be swapped without compiling again. Single numbers are
    elements of two vectors, which compile faster than a dozen variables.

    Parameters
    ----------
    equation : Equation
        The equation.
    statistics : SufficientStatistics
        What the likelihood sees.

    Returns
    -------
    pm.Model
        Its intercept is the one at the means of the predictors.
    """
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    name = equation.node
    data = _tensors(_compact_numbers(equation, statistics))
    observations = pytensor.shared(_compact_seen(statistics), name=OBSERVED)
    observed = {}
    with pm.Model() as model:
        add_coords(model, equation)
        beta, intercept, dispersion = add_parameters(
            equation, lambda beta: pt.dot(data["shift"], beta), lambda path: data[path]
        )
        sigma = dispersion["sigma"]
        if intercept is not None:
            pm.Normal(f"{name}_mean", intercept, sigma / pt.sqrt(data["weight"]))
            observed[f"{name}_mean"] = observations[0]
        pm.Normal(f"{name}_z", pt.dot(data["r"], beta), sigma)
        observed[f"{name}_z"] = observations[2:]
        dof, rss = data["dof"], data["rss"]
        if statistics.has_residual:
            pm.Gamma(f"{name}_rss", dof / 2, 1 / (2 * sigma**2))
            observed[f"{name}_rss"] = observations[1]
        else:
            # No degrees of freedom are left, or weights that sum to less than there are rows.
            pm.Potential(f"{name}_rss", -dof * pt.log(sigma) - rss / (2 * sigma**2))
    return pm.observe(model, observed)


def compact_data(equation: Equation, statistics: SufficientStatistics) -> dict[str, Any]:
    """Return the data of the compact model by name."""
    return {
        OBSERVED: _compact_seen(statistics),
        **_arrays(_compact_numbers(equation, statistics)),
        **_lengths(equation),
    }


def _arrays(numbers: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the single ones of some numbers in one vector, and what is an array by its name."""
    single = [value for value in numbers.values() if not value.ndim]
    return {DATA: np.array(single), **{k: v for k, v in numbers.items() if v.ndim}}


def _tensors(numbers: Mapping[str, Floats]) -> dict[str, Any]:
    """Return shared tensors that hold numbers, by their names."""
    import pytensor

    shared = {key: pytensor.shared(v, name=key) for key, v in _arrays(numbers).items()}
    single = [key for key, value in numbers.items() if not value.ndim]
    return {**shared, **{key: shared[DATA][i] for i, key in enumerate(single)}}


def _lengths(equation: Equation) -> dict[str, int]:
    """Return the length of the coefficients, shared by PyMC under the name of their dimension."""
    return {f"{equation.node}_term": len(equation.coefficients)}


def _compact_seen(statistics: SufficientStatistics) -> Floats:
    return np.array([statistics.y_mean, statistics.rss, *statistics.z])


def _compact_numbers(equation: Equation, statistics: SufficientStatistics) -> dict[str, Floats]:
    """Return what is known besides what is observed, by name."""
    known = {
        "weight": statistics.weight,
        "shift": statistics.x_mean - equation.center,
        "r": statistics.r,
        "rss": statistics.rss,
        "dof": statistics.dof,
        **prior_numbers(equation),
    }
    return {key: np.asarray(value, dtype=np.float64) for key, value in known.items()}


def rows_model(equation: Equation, rows: DistinctRows) -> "pm.Model":
    """Return the observed model of an equation over its distinct rows and their weights.

    Parameters
    ----------
    equation : Equation
        The equation, of any family.
    rows : DistinctRows
        What the likelihood sees.

    Returns
    -------
    pm.Model
        Its intercept is the one at the means of the predictors.
    """
    import pymc as pm
    import pytensor

    name = equation.node
    arrays = _row_arrays(equation, rows)
    shared = {key: pytensor.shared(value, name=key) for key, value in arrays.items()}
    data = _tensors(_known_numbers(equation, rows))
    with pm.Model() as model:
        add_coords(model, equation)
        beta, intercept, dispersion = add_parameters(
            equation,
            lambda beta: linear_predictor(equation, data["shift"][None], beta)[0],
            lambda path: data[path],
        )
        eta = linear_predictor(equation, shared[MATRIX], beta)
        if intercept is not None:
            eta += intercept
        if rows.offset is not None:
            eta += shared[OFFSET]
        record = equation.record
        record.variable(name, eta, dispersion)
        if rows.are_weighted:
            # A row of weight w has w times the log density; once it is counted by being observed.
            once = record.log_density_tensor(shared[TARGET], eta, dispersion)
            pm.Potential(f"{name}_weights", (shared[WEIGHTS] - 1) * once)
    return pm.observe(model, {name: shared[SEEN]})


def rows_data(equation: Equation, rows: DistinctRows) -> dict[str, Any]:
    """Return the data of the model over distinct rows by name."""
    return {
        **_row_arrays(equation, rows),
        **_arrays(_known_numbers(equation, rows)),
        **_lengths(equation),
    }


def _row_arrays(equation: Equation, rows: DistinctRows) -> dict[str, Any]:
    target = rows.target.astype(np.int64) if equation.is_discrete else rows.target
    data = {
        MATRIX: rows.matrix - rows.x_mean,
        WEIGHTS: rows.weights,
        SEEN: target,
        TARGET: target,
    }
    return data if rows.offset is None else {**data, OFFSET: rows.offset}


def _known_numbers(equation: Equation, rows: DistinctRows) -> dict[str, Floats]:
    return {"shift": rows.x_mean - equation.center, **prior_numbers(equation)}
