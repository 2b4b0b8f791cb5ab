"""Equations as PyMC models.

`generative_model` is the textbook model of some rows, one named variable a column; `pm.observe`
makes it the model of data, `pm.do` the model of an intervention. `compact_model` is the same
posterior at a size that does not grow with the rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.design import Design, Floats, Schema, TreatmentCoding
from interventional.exceptions import listed
from interventional.priors import EquationPriors
from interventional.suffstats import SufficientStatistics

if TYPE_CHECKING:
    import pymc as pm

# The names of the shared vectors that hold a compact model's numbers. They are two because
# `pm.observe` copies the variables of a model, but not those of what is observed.
OBSERVED, DATA = "observed_numbers", "known_numbers"


@dataclass(frozen=True, eq=False)
class Equation:
    """One Gaussian equation: ``outcome ~ Normal(intercept + design @ beta, sigma)``.

    Attributes
    ----------
    outcome : str
        The name of the variable on the left.
    design : Design
        The map from columns to the design matrix.
    priors : EquationPriors
        Priors of the coefficients, the intercept and sigma.
    center : ndarray of shape (terms,)
        Where the prior of the intercept holds: the means of the terms, or zeros.
    """

    outcome: str
    design: Design
    priors: EquationPriors
    center: Floats = field(repr=False)

    @property
    def schema(self) -> Schema:
        """What the columns are."""
        return self.design.schema

    @property
    def has_intercept(self) -> bool:
        """Whether the equation has an intercept."""
        return self.priors.intercept is not None

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters of the mean and of sigma."""
        names = ["beta", "sigma"] if not self.has_intercept else ["intercept", "beta", "sigma"]
        return tuple(f"{self.outcome}_{name}" for name in names)


def check_names(outcome: str, schema: Schema) -> None:
    """Refuse columns whose names the model needs for something else."""
    if not isinstance(outcome, str) or not outcome:
        raise TypeError(f"outcome must be the outcome's name, a non-empty str, got {outcome!r}")
    suffixes = ("_mu", "_beta", "_intercept", "_sigma", "_term")
    reserved = {outcome, "obs", "chain", "draw", *(outcome + suffix for suffix in suffixes)}
    clashes = [name for name in schema.names if name in reserved]
    if outcome in clashes:
        raise ValueError(
            f"X has a column {outcome!r}, the name of the outcome; drop the column, or name the "
            "outcome with outcome=..."
        )
    if clashes:
        raise ValueError(
            f"the model needs the name of column {listed(clashes)} for itself; rename the column"
        )


def generative_model(
    equation: Equation, values: Floats, index: Sequence[Any] | None = None
) -> "pm.Model":
    """Return the textbook model of some rows, with the outcome not observed.

    Parameters
    ----------
    equation : Equation
        The outcome's equation.
    values : ndarray of shape (n, columns)
        Encoded rows; each column becomes a named variable.
    index : sequence, optional
        Labels of the rows. Without them the number of rows stays a variable of the model.
    """
    import pymc as pm
    import pytensor

    with pm.Model(coords={f"{equation.outcome}_term": list(equation.design.terms)}) as model:
        rows = None if index is not None else pytensor.shared(len(values), name="n_obs")
        model.add_coord("obs", index, length=rows)
        columns = [
            pm.Data(name, values[:, j], dims="obs") for j, name in enumerate(equation.schema.names)
        ]
        _add_equation(equation, columns)
    return model


def _add_equation(equation: Equation, columns: list[Any]) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    name = equation.outcome
    numbers = _numbers(equation.priors)
    beta = _coefficients(equation, lambda path: numbers[f"beta_{path}"])
    predictor = pt.dot(design_tensor(equation.design, columns), beta)
    prior = equation.priors.intercept
    if prior is not None:
        at_center = pt.dot(equation.center, beta)
        intercept = prior.create_shifted(
            f"{name}_intercept", -at_center, lambda path: numbers[f"intercept{path}"]
        )
        predictor = intercept + predictor
    mu = pm.Deterministic(f"{name}_mu", predictor, dims="obs")
    sigma = equation.priors.sigma.create(f"{name}_sigma", lambda path: numbers[f"sigma{path}"])
    pm.Normal(name, mu, sigma, dims="obs")


def compact_model(equation: Equation, statistics: SufficientStatistics) -> "pm.Model":
    r"""Return the observed model of one equation over its sufficient statistics.

    With the QR decomposition of the centred, weighted design, a Gaussian likelihood of n rows is,
    up to a constant, that of

    .. math::

        \bar y \sim N(a, \sigma^2/W), \quad z \sim N(R\beta, \sigma^2 I_k), \quad
        \mathrm{rss} \sim \mathrm{Gamma}((W - 1 - k)/2,\ 1/(2\sigma^2)),

    with W the sum of the weights and a the intercept at the means of the predictors. All numbers,
    those in the priors included, are slices of two shared vectors (`compact_data`), so that they
    can be swapped without compiling again; two vectors compile faster than a dozen variables.

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
    import pytensor.tensor as pt

    name, priors = equation.outcome, equation.priors
    seen, known = _compact_numbers(equation, statistics)
    observations, data = _slices(seen, OBSERVED), _slices(known, DATA)
    observed = {}
    with pm.Model(coords={f"{name}_term": list(range(len(equation.design.terms)))}) as model:
        beta = _coefficients(equation, lambda path: data[f"beta_{path}"])
        sigma = priors.sigma.create(f"{name}_sigma", lambda path: data[f"sigma{path}"])
        if priors.intercept is not None:
            intercept = priors.intercept.create_shifted(
                f"{name}_intercept",
                pt.dot(data["shift"], beta),
                lambda path: data[f"intercept{path}"],
            )
            pm.Normal(f"{name}_mean", intercept, sigma / pt.sqrt(data["weight"]))
            observed[f"{name}_mean"] = observations["mean"]
        pm.Normal(f"{name}_z", pt.dot(data["r"], beta), sigma)
        observed[f"{name}_z"] = observations["z"]
        dof, rss = data["dof"], data["rss"]
        if statistics.has_residual:
            pm.Gamma(f"{name}_rss", dof / 2, 1 / (2 * sigma**2))
            observed[f"{name}_rss"] = observations["rss"]
        else:
            # No degrees of freedom are left, or weights that sum to less than there are rows.
            pm.Potential(f"{name}_rss", -dof * pt.log(sigma) - rss / (2 * sigma**2))
    return pm.observe(model, observed)


def compact_data(equation: Equation, statistics: SufficientStatistics) -> dict[str, Floats]:
    """Return the numbers of the compact model as its two vectors, by name."""
    vectors = zip((OBSERVED, DATA), _compact_numbers(equation, statistics), strict=True)
    return {
        name: np.concatenate([value.ravel() for value in numbers.values()])
        for name, numbers in vectors
    }


def _slices(numbers: Mapping[str, Floats], name: str) -> dict[str, Any]:
    """Return tensors by name that are slices of one shared vector."""
    import pytensor

    flat = np.concatenate([value.ravel() for value in numbers.values()])
    vector = pytensor.shared(flat, name=name)
    slices, start = {}, 0
    for key, value in numbers.items():
        slices[key] = vector[start : start + value.size].reshape(value.shape)
        start += value.size
    return slices


def _compact_numbers(
    equation: Equation, statistics: SufficientStatistics
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return what is observed, and what is known besides, by name, in the vectors' order."""
    observed = {"mean": statistics.y_mean, "z": statistics.z, "rss": statistics.rss}
    known = {
        "weight": statistics.weight,
        "shift": statistics.x_mean - equation.center,
        "r": statistics.r,
        "rss": statistics.rss,
        "dof": statistics.dof,
        **_numbers(equation.priors),
    }
    seen, rest = (
        {key: np.asarray(value, dtype=np.float64) for key, value in numbers.items()}
        for numbers in (observed, known)
    )
    return seen, rest


def _numbers(priors: EquationPriors) -> dict[str, Floats]:
    """Return every number in the priors of an equation by a name."""
    found = {}
    for group in priors.groups:
        for path, value in group.prior.leaves().items():
            found[f"beta_{group.name}{path}"] = value
    if priors.intercept is not None:
        for path, value in priors.intercept.leaves().items():
            found[f"intercept{path}"] = value
    for path, value in priors.sigma.leaves().items():
        found[f"sigma{path}"] = value
    return found


def _coefficients(equation: Equation, number: Callable[[str], Any]) -> Any:
    """Add the coefficients to the model in context: one vector, or one a group, joined."""
    import pymc as pm
    import pytensor.tensor as pt

    name, groups = equation.outcome, equation.priors.groups
    terms = f"{name}_term"
    if not groups:  # a lone column with a single level makes no terms
        return pm.Deterministic(f"{name}_beta", pt.zeros(0), dims=terms)
    parts = []
    for group in groups:
        dims, variable = terms, f"{name}_beta"
        if len(groups) > 1:
            dims, variable = f"{name}_{group.name}_term", f"{name}_beta_{group.name}"
            labels = pm.modelcontext(None).coords[terms]
            pm.modelcontext(None).add_coord(dims, [labels[term] for term in group.terms])
        leaf = partial(_numbered, number, group.name)
        parts.append(group.prior.create(variable, leaf, dims))
    if len(groups) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([group.terms for group in groups]))
    return pm.Deterministic(f"{name}_beta", pt.concatenate(parts)[order], dims=terms)


def _numbered(number: Callable[[str], Any], prefix: str, path: str) -> Any:
    return number(prefix + path)


def design_tensor(design: Design, columns: list[Any]) -> Any:
    """Return the design matrix of columns that are PyTensor vectors."""
    import pytensor.tensor as pt

    if not isinstance(design, TreatmentCoding):
        from interventional.designop import DesignOp

        return DesignOp(design)(*columns)
    terms = [
        columns[j] if code is None else pt.eq(columns[j], code).astype("float64")
        for j, code in design.picks
    ]
    return pt.stack(terms, axis=1) if terms else pt.zeros((columns[0].shape[0], 0))
