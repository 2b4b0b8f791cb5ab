"""Answers for the population that the groups of the rows are a sample of.

What is a group's own is a draw from the population, N(0, Sigma), in each equation that has the
groups, and independent of what it is in other equations. Where the expected outcome is linear in
an equation's predictor, it is linear in what is the group's own there, whatever that is in other
equations: no equation stands twice on a way. The average over the population is then that of a
group which has nothing of its own. Elsewhere it is the average over fresh draws.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from interventional.answers.population import Populations
from interventional.answers.samples import Linear, Samples, at_once
from interventional.data.grouped import GroupedDesign
from interventional.data.smooth import SmoothDesign
from interventional.errors import listed
from interventional.intervention.forward import Answer, Expected, averaged
from interventional.numbers import OF_GROUPS, Floats
from interventional.scm.equations import Equation, StructuralModel
from interventional.scm.unseen import population_factor

PREDICTIVE = (
    "population: it is known of expected outcomes, and these are new outcomes, noise included; "
    "ask for kind='mean'. A new outcome of a new group is that of a row of a level that fit did "
    "not see, with unseen_levels='population'"
)
RETROSPECTIVE = (
    "population: counterfactual answers for these very rows, whose groups are what they are; ask "
    "intervene or effect"
)
SPLIT = (
    "population: decompose splits the effect in these very groups; ask effect for the whole in "
    "the population of groups"
)


@dataclass(frozen=True)
class Kind:
    """What differs between groups of one kind in one equation.

    Attributes
    ----------
    equation : Equation
        The equation.
    k : int
        Which of its kinds of groups.
    """

    equation: Equation
    k: int

    @property
    def name(self) -> str:
        """What the groups are called."""
        return self.equation.design.varying[self.k].name

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns of the groups, as the model counts them."""
        return tuple(
            self.equation.columns[j] for j in self.equation.design.varying[self.k].columns
        )

    @property
    def beta(self) -> str:
        """The name of the equation's coefficients."""
        return f"{self.equation.node}_beta"

    def replaced(self, beta: Floats, own: Floats) -> None:
        """Set what is the groups' own, in place.

        Parameters
        ----------
        beta : ndarray of shape (draws, coefficients)
            The coefficients of the equation.
        own : ndarray of shape (draws, blocks, effects, groups)
            What they are set to, or what has that shape once it is broadcast.
        """
        design, blocks = self.equation.design, self.equation.n_blocks
        assert isinstance(design, GroupedDesign | SmoothDesign)
        at = beta.reshape(len(beta), blocks, -1)  # a view
        shape = (len(beta), blocks, *design.varying[self.k].shape)
        at[:, :, design.span(self.k)] = np.broadcast_to(own, shape).reshape(*shape[:2], -1)


@dataclass(frozen=True, eq=False)
class OfAnswer(Populations):
    """Those of the expected outcome under an intervention.

    Attributes
    ----------
    answer : Expected
        The answer for these very groups.
    kinds : tuple of Kind
        What differs between groups on the way to the outcome.
    scales : mapping
        Posterior draws of the populations' standard deviations and correlations, by name.
    adjusted : callable
        What makes samples of an answer.
    """

    answer: Expected
    kinds: tuple[Kind, ...]
    scales: Mapping[str, Floats]
    adjusted: Callable[[Answer], Samples]

    @property
    def names(self) -> Mapping[Hashable, str]:  # type: ignore[override]
        """The names of the kinds, and the labels of their columns: a tuple of several."""
        schema, found = self.answer.model.schema, dict[Hashable, str]()
        for kind in self.kinds:
            of_columns: tuple[Hashable, ...] = tuple(schema.names[j] for j in kind.columns)
            labels = of_columns
            if schema.labels is not None:
                labels = tuple(schema.labels[j] for j in kind.columns)
            for each in (of_columns, labels):
                found[each if len(each) > 1 else each[0]] = kind.name
            found[kind.name] = kind.name
        return found

    def over(self, names: frozenset[str]) -> Samples:
        """Return the samples over the population of some kinds of groups."""
        answer = self.answer
        kinds = [kind for kind in self.kinds if kind.name in names]
        self._refuse_forced(kinds)
        nothing, parameters = np.zeros((1, 1, 1, 1)), dict(answer.parameters)
        linear = [kind for kind in kinds if _is_linear_in(answer, kind.equation)]
        for name in {kind.beta for kind in kinds}:
            parameters[name] = parameters[name].copy()
        for kind in linear:
            kind.replaced(parameters[kind.beta], nothing)
        anew = tuple(kind for kind in kinds if kind not in linear)
        if not anew:
            return at_once(self.adjusted(Expected(answer.model, answer.query, parameters)))
        factors = tuple(population_factor(k.equation.kinds[k.k], self.scales) for k in anew)
        drawn = OverGroups(answer.model, answer.query, parameters, kinds=anew, factors=factors)
        return at_once(self.adjusted(drawn))

    def _refuse_forced(self, kinds: list[Kind]) -> None:
        """Refuse rows that are made to be of a group."""
        query, names = self.answer.query, self.answer.model.schema.names
        for kind in kinds:
            columns = [names[j] for j in kind.columns]
            moved = [name for name in columns if name in (*query.forced, *query.regenerated)]
            if moved:
                raise ValueError(
                    f"population={kind.name!r}: the intervention changes {listed(moved)}, which "
                    "says of which group a row is; what a group does is asked of these groups, "
                    "without population="
                )


@dataclass(frozen=True, eq=False, kw_only=True)
class OverGroups(Expected):
    """The expected outcome, averaged over fresh draws of what is the groups' own.

    Each comes with its mirror image, and with draws of mediators of its own. They are the same
    whenever the seed is, so that contrasts are paired.

    Attributes
    ----------
    kinds : tuple of Kind
        What is drawn anew.
    factors : tuple of ndarray
        Of each kind the factor of the population's covariance, (draws, effects, effects).
    """

    kinds: tuple[Kind, ...]
    factors: tuple[Floats, ...]

    def chunk(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows."""
        query, parameters = self.query.at(k, rows), dict(self.parameters)
        for kind in self.kinds:
            parameters[kind.beta] = parameters[kind.beta].copy()
        answer = Expected(self.model, self.query, parameters)

        def given(i: int) -> Floats:
            for kind, factor in zip(self.kinds, self.factors, strict=True):
                kind.replaced(parameters[kind.beta], self._fresh(kind, factor, k, i))
            return answer.given(query, i)

        return averaged(given)

    def linear(self) -> Linear | None:
        """Return that there is no closed form."""
        return None

    def _fresh(self, kind: Kind, factor: Floats, chunk: int, i: int) -> Floats:
        """Return what is groups' own, drawn from their population.

        The result has shape (draws, blocks, effects, groups).
        """
        effects, groups = kind.equation.design.varying[kind.k].shape
        nodes = [*self.model.schema.names, self.model.outcome]
        key = [self.query.seed, OF_GROUPS, nodes.index(kind.equation.node), kind.k, chunk, i // 2]
        blocks = kind.equation.n_blocks
        noise = np.random.default_rng(key).standard_normal((self.n_draws, blocks, effects, groups))
        return factor[:, None] @ (noise if i % 2 else -noise)


def populations(
    answer: Answer,
    learnt: Mapping[str, Floats],
    adjusted: Callable[[Answer], Samples],
) -> Populations | str:
    """Return the populations of groups that an answer can be given for; a str says why of none.

    Parameters
    ----------
    answer : Answer
        The answer for these very groups.
    learnt : mapping
        Posterior draws of all variables, (draws, ...) each, by name.
    adjusted : callable
        What makes samples of an answer.
    """
    model, query = answer.model, answer.query
    found = {node: _kinds(model.equation(node)) for node in (*query.regenerated, model.outcome)}
    kinds = tuple(kind for of_node in found.values() for kind in of_node)
    if not kinds:
        return _without(model, tuple(found))
    if not isinstance(answer, Expected):
        return PREDICTIVE
    scales = {
        name: learnt[name]
        for kind in kinds
        for name in (f"{kind.equation.kinds[kind.k]}{end}" for end in ("_sd", "_corr"))
        if name in learnt
    }
    return OfAnswer(answer, kinds, scales, adjusted)


def _kinds(equation: Equation) -> tuple[Kind, ...]:
    return tuple(Kind(equation, k) for k in range(len(equation.design.varying)))


def _without(model: StructuralModel, nodes: tuple[str, ...]) -> str:
    """Say that no equation on the way to the outcome has groups."""
    others = {e.node: [kind.name for kind in _kinds(e)] for e in model.equations}
    elsewhere = [f"that of {node!r} has {listed(own)}" for node, own in others.items() if own]
    where = f"the equation of {listed(nodes)}" if len(nodes) == 1 else "no equation on the way"
    if elsewhere:
        has = "has no groups" if len(nodes) == 1 else f"to {model.outcome!r} has groups"
        return f"population: {where} {has}; {', '.join(elsewhere)}"
    return (
        "population: the model has no groups; say by groups= what differs between which groups of "
        "rows, as in groups=['store']"
    )


def _is_linear_in(answer: Expected, equation: Equation) -> bool:
    """Whether the expected outcome is linear in the linear predictor of an equation."""
    is_last = equation is answer.model.of_outcome
    return equation.is_linear and (is_last or answer.how[equation.node] == "mean")
