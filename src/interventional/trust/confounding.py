r"""Priors on the bias that unmeasured confounding puts on the effect of a column.

Let y be regressed on D and X, with the expectation mu(x, d), and let b be the bias of the slope of
D per unit: what unmeasured common causes of D and y add to what D does. Had D been v in a row in
which it was d, then

.. math::

    E[Y(v) | x, d] = \mu(x, v) - b\,(v - d).

At v = d that is what was seen; between two values of v it differs by the slope less b. The data
say nothing of b, so that its posterior is its prior (Greenland 2005, *JRSS A* 168: 267-306;
Gustafson 2015, *Bayesian Inference for Partially Identified Models*): it is drawn once, beside
the posterior, and independent of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.answers.law import Rows
from interventional.answers.samples import Chunked, Linear
from interventional.errors import listed
from interventional.intervention.forward import Answer
from interventional.numbers import OF_BIASES, Floats
from interventional.scm.compiling import python_mode
from interventional.scm.equations import StructuralModel
from interventional.scm.priors import PriorSpec

if TYPE_CHECKING:
    import xarray as xr
    from pymc_extras.prior import Prior


def parse(confounding: Mapping[Any, Any], model: StructuralModel) -> dict[str, PriorSpec]:
    """Return the priors of the biases by column.

    Parameters
    ----------
    confounding : mapping
        From columns to a `pymc_extras.prior.Prior`, as the user gave it.
    model : StructuralModel
        What the columns are, and how the outcome is distributed.

    Raises
    ------
    ValueError, TypeError
        If a column or its prior is not one that can have a bias, or the outcome's family is
        neither Gaussian nor Student's t.
    """
    schema, equation = model.schema, model.of_outcome
    if confounding and not equation.is_linear:
        raise ValueError(
            "confounding: a bias in units of the outcome is for family='gaussian' or "
            f"'student_t'; that of {equation.node!r} is {equation.family!r}. Ratios of averages "
            "have an E-value: (a.average() / b.average()).e_value()"
        )
    priors: dict[str, PriorSpec] = {}
    for key, prior in confounding.items():
        try:
            j = schema.position(key)
        except ValueError as error:
            raise ValueError(f"confounding: {error}") from None
        name, where = schema.names[j], f"confounding[{key!r}]"
        if schema.levels[j] is not None:
            raise ValueError(
                f"{where}: column {name!r} holds levels, and a bias is one per unit of a number; "
                "make it a column of bools or numbers"
            )
        if model.graph is not None and (
            name not in model.graph.nodes or name not in model.graph.ancestors(model.outcome)
        ):
            raise ValueError(f"{where}: in the graph {name!r} is no cause of {model.outcome!r}")
        if not hasattr(prior, "parameters"):
            raise TypeError(f"{where} must be a pymc_extras.prior.Prior, got {prior!r}")
        priors[name] = spec = PriorSpec.parse(prior, where)
        if any(leaf.ndim for leaf in spec.leaves().values()):
            raise ValueError(f"{where}: {spec} has an array for a single number")
        if spec.is_improper:
            raise ValueError(
                f"{where}: the data say nothing of a bias, so that its prior must be proper; "
                f"{spec} is not"
            )
    return priors


def draw(
    priors: Mapping[str, PriorSpec], model: StructuralModel, shape: tuple[int, int], seed: int
) -> dict[str, Floats]:
    """Return draws of the biases, (chains, draws) each.

    Those of a column are the same whichever others have a prior.
    """
    import pymc as pm

    drawn = {}
    for name, spec in priors.items():
        key = [seed, OF_BIASES, model.schema.names.index(name)]
        number = int(np.random.SeedSequence(key).generate_state(1)[0])
        with pm.Model(coords={"sample": range(int(np.prod(shape)))}):
            variable = _independent(spec).create_variable("bias")
        try:
            values = pm.draw(variable, random_seed=number, mode=python_mode())
        except ValueError as error:  # parameters that the distribution does not allow
            raise ValueError(
                f"confounding[{name!r}]: {spec} is no distribution: {error}"
            ) from error
        drawn[name] = np.asarray(values, dtype=np.float64).reshape(shape)
    return drawn


def _independent(spec: PriorSpec) -> "Prior":
    """Return the prior of a value for each sample, parameters that are random themselves too."""
    from pymc_extras.prior import Prior

    parameters = {
        name: _independent(value) if isinstance(value, PriorSpec) else float(value)
        for name, value in spec.parameters.items()
    }
    return Prior(
        spec.distribution,
        dims="sample",
        centered=spec.centered,
        transform=spec.transform,
        **parameters,
    )


def group(drawn: Mapping[str, Floats]) -> "xr.Dataset":
    """Return draws of biases as ArviZ takes them: a variable a column."""
    import xarray as xr

    sample = ("chain", "draw")
    chains, draws = next(iter(drawn.values())).shape
    coords = {"chain": np.arange(chains), "draw": np.arange(draws)}
    return xr.Dataset({name: (sample, values) for name, values in drawn.items()}, coords)


def unbiased(answer: Answer, biases: Mapping[str, Floats]) -> "Answer | Unbiased":
    """Return an answer less what confounding adds to it, for each posterior draw.

    Parameters
    ----------
    answer : Answer
        What the model says to a query, as if nothing unmeasured confounded it.
    biases : mapping
        Draws of the bias per unit of each column that has a prior of it, (draws,).
    """
    query, graph = answer.query, answer.model.graph
    forced = {name: biases[name] for name in query.forced if name in biases}
    if not biases:
        return answer
    on_the_way = [name for name in query.regenerated if name in biases]
    if on_the_way:
        raise ValueError(
            f"do: {listed(query.forced)} acts through {listed(on_the_way)}, whose effect has a "
            "prior of confounding; how it biases effects further up that does not say. Force "
            f"{listed(on_the_way)}, or fit without the prior"
        )
    for name in forced:
        after = frozenset() if graph is None else graph.descendants(name) - {name}
        held = sorted(set(query.forced) & after)
        if held:
            raise ValueError(
                f"do: the prior of confounding of {name!r} is on the bias of its whole effect, of "
                f"which forcing {listed(held)} too leaves a part only; force one at a time"
            )
    return Unbiased(answer, forced) if forced else answer


@dataclass(frozen=True, eq=False)
class Unbiased(Chunked):
    """An answer less the bias of each forced column times how far it is moved.

    Attributes
    ----------
    answer : Answer
        What the model says.
    biases : mapping
        Draws of the bias per unit of forced columns, (draws,).
    """

    answer: Answer
    biases: Mapping[str, Floats]
    n_draws: int = field(init=False)
    n: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_draws", self.answer.n_draws)
        object.__setattr__(self, "n", self.answer.n)

    def chunk(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows."""
        query = self.answer.query.at(k, rows)
        samples = self.answer.chunk(k, rows)
        for name, bias in self.biases.items():
            moved = np.asarray(query.forced[name]) - self._observed(name, rows)
            samples = samples - bias[:, None] * moved
        return samples

    def linear(self) -> Linear | None:
        """Return the closed form, where the answer has one: distances moved are further terms."""
        inner, query = self.answer.linear(), self.answer.query
        if not isinstance(inner, Linear):  # what comes in parts is had row by row
            return None
        forced = {name: np.asarray(query.forced[name]) for name in self.biases}

        def matrix(rows: Rows) -> Floats:
            moved = [self._observed(name, rows) - values[rows] for name, values in forced.items()]
            return np.column_stack([inner.matrix(rows), *moved])

        coefficients = np.column_stack([inner.coefficients, *self.biases.values()])
        return Linear(matrix, inner.n, coefficients, inner.intercept)

    def _observed(self, name: str, rows: Rows) -> Floats:
        query, names = self.answer.query, self.answer.model.schema.names
        return query.values[rows, names.index(name)]
