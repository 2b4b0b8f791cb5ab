"""How a mediator is distributed where its noise, and that of what it hears from, is Gaussian."""

from collections.abc import Collection, Mapping

import numpy as np

from interventional.intervention.mediated import Marginal
from interventional.numbers import Floats
from interventional.scm.equations import Equation, StructuralModel


class Marginals:
    """The distributions of mediators in some rows, given each posterior draw and nothing else.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    values : ndarray of shape (n, columns)
        Encoded rows.
    forced : mapping
        What columns are forced to, (n,) each.
    regenerated : tuple of str
        The mediators, in topological order.
    parameters : mapping
        Posterior draws.
    """

    def __init__(
        self,
        model: StructuralModel,
        values: Floats,
        forced: Mapping[str, Floats],
        regenerated: Collection[str],
        parameters: Mapping[str, Floats],
    ):
        self.model, self.values, self.forced = model, values, forced
        self.regenerated, self.parameters = regenerated, parameters
        self._means: dict[str, Floats] = {}
        self._noises: dict[str, dict[str, Floats]] = {}

    def of(self, node: str) -> Marginal | None:
        """Return the distribution of a mediator; None where it, or its log, is not Gaussian."""
        if self.model.equation(node).record.inner is None or not self._is_known(node):
            return None
        variance: Floats | float = 0.0
        for source, loading in self.noises(node).items():
            equation = self.model.equation(source)
            own = np.square(self.parameters[f"{source}_sigma"])[:, None]
            errors = equation.errors(self.values)
            own = own if errors is None else own + np.square(errors)
            variance = variance + np.square(loading)[:, None] * own
        sd = np.sqrt(np.asarray(variance))
        is_log = not self.model.equation(node).record.is_gaussian
        return Marginal(self._mean(node), sd, is_log) if (sd > 0).all() else None

    def noises(self, node: str) -> dict[str, Floats]:
        """Return whose noise reaches a mediator, and times what, (draws,) each."""
        if node not in self._noises:
            found = {node: np.ones(len(next(iter(self.parameters.values()))))}
            for parent, slope in self._slopes(node).items():
                for source, loading in self.noises(parent).items():
                    found[source] = found.get(source, 0.0) + slope * loading
            self._noises[node] = found
        return self._noises[node]

    def _parents(self, equation: Equation) -> dict[str, int]:
        """Return the mediators that an equation hears from, and where they stand in it."""
        pairs = enumerate(equation.variables)
        return {name: position for position, name in pairs if name in self.regenerated}

    def _is_known(self, node: str) -> bool:
        """Whether a node is linear in mediators that are Gaussian, and in none else."""
        equation = self.model.equation(node)
        return all(
            self.model.equation(parent).record.is_gaussian
            and equation.design.linear_term(position) is not None
            and self._is_known(parent)
            for parent, position in self._parents(equation).items()
        )

    def _slopes(self, node: str) -> dict[str, Floats]:
        equation, beta = self.model.equation(node), self.parameters[f"{node}_beta"]
        places = self._parents(equation).items()
        terms = {parent: equation.design.linear_term(position) for parent, position in places}
        return {parent: beta[:, term] for parent, term in terms.items() if term is not None}

    def _mean(self, node: str) -> Floats:
        """Return the linear predictor of a node, (draws, n), noise integrated out."""
        if node not in self._means:
            equation = self.model.equation(node)
            columns = under(equation, self.values, self.forced)
            for position in self._parents(equation).values():
                columns[:, position] = 0.0  # their parts are added below
            closed = equation.closed(lambda rows: columns[rows], len(columns), self.parameters)
            found = closed.samples(slice(0, len(columns)))
            for parent, slope in self._slopes(node).items():
                found = found + slope[:, None] * self._mean(parent)
            self._means[node] = found
        return self._means[node]


def under(equation: Equation, values: Floats, forced: Mapping[str, Floats]) -> Floats:
    """Return the columns of an equation under an intervention, (n, columns), to be changed."""
    columns = values[:, equation.columns]
    for position, variable in enumerate(equation.variables):
        if variable in forced:
            columns[:, position] = forced[variable]
    return columns
