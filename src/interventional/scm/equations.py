"""Structural equations as values."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from interventional.answers.law import Rows
from interventional.answers.samples import Closed, Linear, Parts
from interventional.data.schema import Schema
from interventional.data.smooth import Design, SmoothDesign
from interventional.data.surface import Surface, alike
from interventional.errors import listed
from interventional.graph.choice import Regression
from interventional.graph.identification import (
    own_regression,
    refuse_reads,
    refuse_strays,
    regenerated,
)
from interventional.numbers import Floats
from interventional.scm.bounds import BOUNDED
from interventional.scm.canonical import Canonical, canonical
from interventional.scm.families import DEFAULT, FAMILIES, STUDENT_T, ZERO_ONE, Family
from interventional.scm.priors import EquationPriors, Group

if TYPE_CHECKING:
    from interventional.graph.causal_graph import CausalGraph


# How a node that an intervention reaches is regenerated: drawn anew from its equation, replaced by
# its expectation, or its expectation and the row's own residual.
Regeneration = Literal["draw", "mean", "residual"]


@dataclass(frozen=True, eq=False)
class Equation:
    """One structural equation, linear in its coefficients on the scale of its link.

    A Gaussian one is ``node ~ Normal(intercept + design @ beta, sigma)``; the other families of
    `FAMILIES` likewise. A categorical one, of a column of levels or bools, has a block of
    coefficients for each level but the first, and ``node ~ Categorical(softmax(0, eta_1, eta_2,
    ...))``: for two levels the logistic regression.

    Attributes
    ----------
    node : str
        The name of the variable on the left.
    columns : tuple of int
        Positions, among the model's columns, of what the node is regressed on.
    variables : tuple of str
        The variable of the model that each of them stands for: the column itself, which an
        intervention may change, or ``<column>_observed``, which keeps the row's factual value.
    design : Design
        The map from these columns to the design matrix.
    priors : EquationPriors
        Priors of the coefficients, the intercept and what else the family has.
    center : ndarray of shape (terms,)
        Where the prior of the intercept holds: the means of the terms, or zeros.
    family : str
        The distribution of the node.
    levels : tuple
        The levels of a categorical node.
    exposure : int or None
        Position of the column that a count is proportional to: it enters as its log.
    noise : int or None
        Position of the column of known standard deviations of the rows: Gaussian noise beside that
        of sigma.
    learnt : tuple of str
        Of an equation that new levels were added to, for each kind of groups the name of the
        variable that held its coefficients.
    """

    node: str
    columns: tuple[int, ...]
    variables: tuple[str, ...]
    design: Design
    priors: EquationPriors
    center: Floats = field(repr=False)
    family: str = DEFAULT
    levels: tuple[Any, ...] = ()
    exposure: int | None = None
    noise: int | None = None
    learnt: tuple[str, ...] = ()

    @cached_property
    def record(self) -> Family:
        """The family of the node."""
        return FAMILIES[self.family]

    @cached_property
    def is_linear(self) -> bool:
        """Whether the expected node is the linear predictor."""
        return not self.record.link.tensor

    @cached_property
    def is_discrete(self) -> bool:
        """Whether the node is a level or a whole number."""
        return self.record.discrete

    @property
    def codes(self) -> range:
        """The few values that the node may take, where it is one of levels; else nothing."""
        return self.record.codes(self.levels)

    @cached_property
    def has_intercept(self) -> bool:
        """Whether the equation has an intercept."""
        return self.priors.intercept is not None

    @cached_property
    def n_blocks(self) -> int:
        """How many blocks of coefficients there are: levels but the first; else one."""
        return max(len(self.levels) - 1, 1)

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The names of all coefficients: terms, for three levels or more of each level."""
        if self.n_blocks == 1:
            return self.design.terms
        blocks = self.levels[1:]
        return tuple(f"{level}: {term}" for level in blocks for term in self.design.terms)

    def members(self, group: Group) -> NDArray[np.intp]:
        """Return the positions of a group's coefficients, block by block."""
        blocks = np.arange(self.n_blocks)[:, None] * len(self.design.terms)
        return (blocks + np.asarray(group.terms)).ravel()

    def dim(self, group: Group) -> str:
        """Return the name of the dimension of a group's coefficients."""
        several = len(self.priors.groups) > 1
        return f"{self.node}_{group.name}_term" if several else f"{self.node}_term"

    @property
    def coords(self) -> dict[str, list[str]]:
        """The dimensions of its parameters, and what their elements are called."""
        labels = list(self.coefficients)
        coords = {f"{self.node}_term": labels}
        if self.n_blocks > 1:
            coords[f"{self.node}_block"] = [str(level) for level in self.levels[1:]]
        for group in self.priors.groups:
            coords[self.dim(group)] = [labels[member] for member in self.members(group)]
        for group, part in zip(self.priors.varying, self.design.varying, strict=False):
            coords[self.effect_dim(group)] = coords[f"{self.effect_dim(group)}_"] = list(
                part.effects
            )
        if self.surface is not None:
            coords[f"{self.node}_component"] = [part.name for part in self.surface.components]
            coords[f"{self.node}_range"] = list(self.surface.lengths)
            coords[f"{self.node}_weight"] = [str(k) for k in range(sum(self.surface.width))]
        return coords

    def effect_dim(self, group: Group) -> str:
        """Return the name of the dimension of what differs between groups of rows."""
        return f"{self.dim(group).removesuffix('_term')}_effect"

    @cached_property
    def dispersion(self) -> tuple[str, ...]:
        """The names of the parameters that the family has besides the coefficients."""
        return tuple(self.record.dispersion)

    @property
    def surface(self) -> Surface | None:
        """What bends in the equation, beside its line; None where nothing does."""
        return self.design.surface if isinstance(self.design, SmoothDesign) else None

    @property
    def latent(self) -> Canonical | None:
        """What Laplace's method takes of the family; None of one that it does not serve."""
        return canonical(self.record) if self.n_blocks == 1 else None

    @property
    def is_heavy(self) -> bool:
        """Whether outcomes have Student's t."""
        return self.family == STUDENT_T

    @property
    def of_surface(self) -> tuple[str, ...]:
        """The names of the parameters of what bends: scales, lengths and weights."""
        endings = ("scale", "length", "weights") if self.surface is not None else ()
        return tuple(f"{self.node}_{ending}" for ending in endings)

    @cached_property
    def mean_parameters(self) -> tuple[str, ...]:
        """The names of the parameters of the expected node."""
        names: tuple[str, ...] = ("intercept", "beta") if self.has_intercept else ("beta",)
        found = tuple(f"{self.node}_{name}" for name in names + self.record.mean_needs)
        return found + self.of_surface

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters."""
        others = tuple(f"{self.node}_{name}" for name in self.dispersion)
        return tuple(dict.fromkeys(self.mean_parameters + others))

    @cached_property
    def structure(self) -> tuple[Any, ...]:
        """What two equations share if one compiled graph serves both."""
        return (
            self.node,
            self.variables,
            self.design.structure,
            self.has_intercept,
            self.family,
            self.levels,
            self.exposure,
            self.noise,
        )

    @property
    def exact_obstacle(self) -> str | None:
        """Say what keeps the exact engine from this equation; None if nothing does."""
        if self.record.of_levels:
            return f"{self.node!r} is a column of levels"
        if self.record.inner is None:
            of_zero_one = ", as that of a column of 0 and 1 is unless family= says otherwise"
            why = of_zero_one if self.family == ZERO_ONE else ""
            return f"the family of {self.node!r} is {self.family!r}{why}"
        learning = self.priors.learnt
        if learning and self.noise is not None:
            return f"the prior of {learning[0]!r} learns a scale, beside known errors of rows"
        if learning and self.priors.fixed_sigma is not None:
            return f"the prior of {learning[0]!r} learns a scale, beside a fixed sigma"
        bounding = self.priors.bounding
        if bounding and self.noise is not None:
            return f"the prior of {bounding[0]!r} bounds, beside known errors of rows"
        return self.priors.conjugacy_obstacle

    @property
    def _surface_obstacle(self) -> str | None:
        """Say what a surface cannot be beside."""
        if self.record.of_levels and self.latent is None:
            return f"{self.node!r} is a column of {len(self.levels)} levels"
        if self.record.inner is None and self.latent is None and not self.is_heavy:
            return f"the family of {self.node!r} is {self.family!r}"
        if self.noise is not None:
            return "there are known errors of rows"
        for group in self.priors.groups:
            if group.name != "normal" and not group.prior.n_groups:
                return f"the prior of {group.name!r} is not Normal"
        intercept = self.priors.intercept
        if intercept is not None and not intercept.is_normal:
            return f"the prior of the intercept is {intercept}"
        return self.priors.conjugacy_obstacle

    def _surface_engine(self, inference: str) -> str:
        """Return the engine of an equation that bends."""
        exactly = self.latent is None and not self.is_heavy
        own, obstacle = "exact" if exactly else "laplace", self._surface_obstacle
        if obstacle is None and inference not in ("auto", own):
            of_family = f"the family of {self.node!r} is {self.family!r}"
            obstacle = f"inference={inference!r}, and {of_family}"
        if obstacle is not None:
            raise ValueError(
                f"design='smooth' of {self.node!r} is for Gaussian and lognormal equations, by "
                "inference='exact', and for those of Student's t, 0 and 1 and Poisson counts, by "
                "inference='laplace'; 'auto' is either. Priors of coefficients and intercept are "
                f"Normal. But {obstacle}"
            )
        return own

    def engine(self, inference: str) -> str:
        """Return the engine that ``inference=`` asks for; for ``"auto"`` the best that serves.

        Raises
        ------
        ValueError
            If the exact engine is asked for, and something keeps it from this equation; or any
            that does not serve one that bends.
        """
        if self.surface is not None:
            return self._surface_engine(inference)
        obstacle = self.exact_obstacle
        if inference == "exact" and obstacle is not None:
            raise ValueError(
                "inference='exact' draws Gaussian and lognormal equations under Normal, Flat or "
                f"bounding priors of coefficients ({listed(BOUNDED)}), any number of hierarchical "
                f"ones and groups, and any positive prior of sigma, but {obstacle}; use "
                "inference='auto', 'nuts' or 'laplace'"
            )
        if inference == "auto":
            return "exact" if obstacle is None else "nuts"
        return inference

    def group_name(self, group: Group) -> str:
        """Return the name of the variable of some coefficients: one vector if they are all."""
        several = len(self.priors.groups) > 1
        return f"{self.node}_beta_{group.name}" if several else f"{self.node}_beta"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the variables of what differs between groups, one a kind of groups."""
        return self.learnt or tuple(map(self.group_name, self.priors.varying))

    def scale_name(self, group: Group) -> str:
        """Return the name of the scale that a prior learns."""
        ending = "sigma" if group.prior.distribution == "Normal" else "tau"
        return f"{self.group_name(group)}_{ending}"

    def matrix(self, values: Floats) -> Floats:
        """Return the design matrix, (n, terms), of the model's encoded columns."""
        return self.design.matrix(self.regressors(values))

    def regressors(self, values: Floats) -> Floats:
        """Return the columns of the equation among the model's encoded columns."""
        takes_all = self.columns == tuple(range(values.shape[1]))
        return values if takes_all else values[:, self.columns]

    def closed(
        self,
        columns: Callable[[Rows], Floats],
        n: int,
        draws: Mapping[str, Floats],
    ) -> Closed:
        """Return the linear predictor of rows as samples in closed form.

        Parameters
        ----------
        columns : callable
            Returns the equation's own columns, encoded, of some rows.
        n : int
            How many rows there are.
        draws : mapping
            Posterior draws of the equation's parameters.
        """
        beta, design = draws[f"{self.node}_beta"], self.design
        intercept = draws.get(f"{self.node}_intercept", np.zeros(len(beta)))
        if not isinstance(design, SmoothDesign):
            return Linear(lambda rows: design.matrix(columns(rows)), n, beta, intercept)
        scale, length, weights = (draws[name] for name in self.of_surface)
        sets, parts = alike(scale, length), []
        for own in sets:
            at = partial(design.at, scale=scale[own[0]], length=length[own[0]])
            matrix = partial(_composed, at, columns)
            coefficients = np.hstack([beta[own], weights[own]])
            parts.append(Linear(matrix, n, coefficients, intercept[own]))
        return Parts(tuple(sets), tuple(parts))

    @cached_property
    def read(self) -> frozenset[int]:
        """The columns that the node depends on in expectation: regressors, and exposures."""
        own = frozenset(self.columns)
        return own if self.exposure is None else own | {self.exposure}

    def offset(self, values: Floats) -> Floats | None:
        """Return what is added to the linear predictor of encoded rows: log exposures."""
        return None if self.exposure is None else np.log(values[:, self.exposure])

    def errors(self, values: Floats) -> Floats | None:
        """Return the known standard deviations of encoded rows."""
        return None if self.noise is None else self.checked_errors(values[:, self.noise])

    def checked_errors(self, known: Floats) -> Floats:
        """Return known standard deviations, none of which is negative.

        Where sigma is fixed at 0, they are all the noise that there is, and must be above it.
        """
        alone = self.priors.fixed_sigma == 0
        if np.isnan(known).any():
            raise ValueError(
                "the noise, the column of known standard deviations of the rows, is missing in "
                f"row {int(np.argmax(np.isnan(known)))}; a new outcome of a row needs it"
            )
        if not (known > 0 if alone else known >= 0).all():
            row = int(np.argmax(~(known > 0 if alone else known >= 0)))
            must = "be positive, as sigma is fixed at 0" if alone else "not be negative"
            raise ValueError(
                f"the noise, the known standard deviations of the rows, must {must}; it is "
                f"{known[row]:g} in row {row}"
            )
        return known

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled."""
        return _as_made(self)


@dataclass(frozen=True, eq=False)
class StructuralModel:
    """The columns of X, their causal graph, and an equation for each node that matters for y.

    Attributes
    ----------
    outcome : str
        The name of the outcome.
    schema : Schema
        What the columns are.
    equations : tuple of Equation
        In topological order, that of the outcome last.
    graph : CausalGraph or None
        The graph over columns and outcome; None where every column is a cause of the outcome and
        of nothing else.
    own : Regression or None
        Of a model that is the regression of some query's own: which one it is. It has the
        outcome's equation alone, and answers nothing else.
    """

    outcome: str
    schema: Schema
    equations: tuple[Equation, ...]
    graph: "CausalGraph | None" = None
    own: Regression | None = None

    @cached_property
    def of_outcome(self) -> Equation:
        """The outcome's equation."""
        return self.equations[-1]

    @cached_property
    def structure(self) -> tuple[Any, ...]:
        """What two models share if one compiled graph serves both."""
        return self.schema.names, tuple(equation.structure for equation in self.equations)

    def reached(
        self, forced: frozenset[str], reads: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Return the columns that an intervention changes on its way to the outcome, in order.

        Parameters
        ----------
        forced : frozenset of str
            The columns that are forced.
        reads : frozenset of str
            The columns whose factual values the forced values are computed from.

        Raises
        ------
        NotIdentifiedError
            If the graph does not license an answer.
        ValueError
            If the outcome causes what is forced.
        """
        if self.graph is None:
            return ()
        return regenerated(self.graph, self.outcome, forced, reads)

    def answered(
        self, forced: frozenset[str], reads: frozenset[str] = frozenset()
    ) -> tuple[tuple[str, ...], Regression | None]:
        """Return what `reached` does, or else the regression that answers in its stead.

        Parameters
        ----------
        forced, reads
            As in `reached`.

        Raises
        ------
        NotIdentifiedError
            If the graph licenses neither.
        ValueError
            If the outcome causes what is forced.
        """
        if self.graph is None:
            return (), None
        refuse_strays(self.graph, self.outcome, forced)
        if self.own is not None:
            refuse_reads(self.graph, self.own, reads.intersection(self.graph.nodes))
            return (), None
        read = reads.intersection(self.graph.nodes)
        own = own_regression(self.graph, forced, self.outcome, read)
        return ((), own) if own else (self.reached(forced, reads), None)

    @property
    def read_by_any(self) -> frozenset[int]:
        """The columns that some equation depends on, by position."""
        return frozenset[int]().union(*(equation.read for equation in self.equations))

    def read(self, forced: Collection[str], regenerated: Collection[str]) -> frozenset[int]:
        """Return the columns whose values in a row enter its answer, by position.

        Neither do those of what is forced, nor of what is regenerated, except where an equation
        takes them as they were.
        """
        nodes, names = (*regenerated, self.outcome), self.schema.names
        found = set()
        for equation in map(self.equation, nodes):
            pairs = zip(equation.columns, equation.variables, strict=True)
            found |= {j for j, variable in pairs if variable != names[j]}
            found |= {j for j in equation.read if names[j] not in (*forced, *regenerated)}
        return frozenset(found)

    def equation(self, node: str) -> Equation:
        """Return the equation of a node."""
        return self._by_node[node]

    @cached_property
    def _by_node(self) -> dict[str, Equation]:
        return {equation.node: equation for equation in self.equations}

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled."""
        return _as_made(self)


def _composed(
    at: Callable[[Floats], Floats], columns: Callable[[Rows], Floats], rows: Rows
) -> Floats:
    return at(columns(rows))


def _as_made(value: Equation | StructuralModel) -> dict[str, Any]:
    """Return the fields alone: what was computed of them once is computed anew elsewhere."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def with_errors(dispersion: Mapping[str, Any], errors: Any) -> dict[str, Any]:
    """Return what a family has besides eta, known errors of rows added to sigma; tensors too."""
    return {**dispersion, "sigma": (dispersion["sigma"] ** 2 + errors**2) ** 0.5}


def check_names(outcome: str, schema: Schema, taken: Iterable[str]) -> None:
    """Refuse columns whose names the model needs for something else."""
    if not isinstance(outcome, str) or not outcome:
        raise TypeError(f"outcome must be the outcome's name, a non-empty str, got {outcome!r}")
    if outcome in schema.names:
        raise ValueError(
            f"X has a column {outcome!r}, the name of the outcome; drop the column, or name the "
            "outcome with outcome=..."
        )
    reserved = {"obs", "chain", "draw", *taken}
    clashes = [name for name in schema.names if name in reserved]
    if clashes:
        raise ValueError(
            f"the model needs the name of column {listed(clashes)} for itself; rename the column"
        )
