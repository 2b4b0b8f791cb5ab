"""The user's own model as questions see it: who causes whom, and what values columns take."""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from interventional.data.schema import Schema
from interventional.errors import NotIdentifiedError, listed
from interventional.graph.causal_graph import CausalGraph
from interventional.graph.choice import Regression
from interventional.graph.identification import refuse_strays
from interventional.numbers import Floats
from interventional.own.positions import Computed, computed
from interventional.own.skeleton import Skeleton
from interventional.scm.equations import StructuralModel


@dataclass(frozen=True)
class Values:
    """What values a random column, or the outcome, may take; and whether its noise adds up.

    Attributes
    ----------
    name : str
        The distribution, as PyMC calls it.
    discrete : bool
        Whether values are whole numbers.
    noise : {"additive", None}
        As of `Family`.
    """

    name: str
    discrete: bool
    noise: Literal["additive"] | None

    is_gaussian = False  # nothing is known in closed form behind a transformed target

    def takes(self, values: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which values are possible, as far as their type tells."""
        whole = np.isfinite(values)
        return whole & (np.floor(values) == values) if self.discrete else whole

    def check(self, values: Floats, where: str) -> None:
        """Refuse values that are not possible."""
        strays = ~self.takes(values)
        if strays.any():
            row = int(np.argmax(strays))
            raise ValueError(
                f"the model has {where} as {self.name}, of whole numbers; it holds "
                f"{np.ravel(values)[row]:g} in row {row}"
            )

    def residual(self, observed: Floats, mean: Floats) -> Floats:
        """Return the noise of a value: what it is beside what was expected."""
        return observed - mean

    def with_residual(self, mean: Floats, residual: Floats) -> Floats:
        """Return the value that has a noise beside an expectation."""
        return mean + residual


@dataclass(frozen=True)
class _Whole:
    """A design that drops none of its columns."""

    def ignores(self, position: int, values: Any = None) -> bool:
        """Whether a column changes nothing: nobody knows of a model of its own."""
        return False


@dataclass(frozen=True)
class Mechanism:
    """How a random column, or the outcome, comes about: of which columns, as `Equation` says it.

    Attributes
    ----------
    node : str
        The name of the variable.
    columns : tuple of int
        Positions of the columns that it depends on.
    variables : tuple of str
        Their names.
    record : Values
        What it may be.
    parameters : tuple of str
        The names of the parameters of the whole model.
    """

    node: str
    columns: tuple[int, ...]
    variables: tuple[str, ...]
    record: Values
    parameters: tuple[str, ...]
    design: _Whole = _Whole()
    exposure: None = None
    noise: None = None

    @property
    def family(self) -> str:
        """What its distribution is called."""
        return self.record.name

    @property
    def read(self) -> frozenset[int]:
        """The columns on which it depends, by position."""
        return frozenset(self.columns)

    @property
    def is_discrete(self) -> bool:
        """Whether the node is a level or a whole number."""
        return self.record.discrete

    def errors(self, values: Floats) -> None:
        """Return no known standard deviations: there are none."""

    checked_errors = errors


@dataclass(frozen=True, eq=False)
class OwnModel(StructuralModel):
    """The user's own model: its columns, graph and mechanisms.

    Attributes
    ----------
    skeleton : Skeleton
        The model, read.
    """

    skeleton: Skeleton = None  # type: ignore[assignment]

    @classmethod
    def of(cls, skeleton: Skeleton, schema: Schema) -> "OwnModel":
        """Return a skeleton for columns as they are."""
        nodes = (*skeleton.random, skeleton.outcome)
        equations: Any = tuple(_mechanism(skeleton, schema, node) for node in nodes)
        return cls(skeleton.outcome, schema, equations, _graph(skeleton), None, skeleton)

    @cached_property
    def structure(self) -> tuple[Any, ...]:
        """What two models share if one compiled graph serves both."""
        return self.schema.names, self.skeleton.key

    @cached_property
    def computed(self) -> tuple[Computed, ...]:
        """The positions that the model computes of columns."""
        return computed(self.skeleton)

    def refuse_computed(self, columns: Mapping[str, Floats], where: str) -> None:
        """Refuse rows of which the model makes positions of nothing; what is not known is none."""
        for each in self.computed:
            own = [columns[name] for name in each.columns]
            known = ~np.isnan(own).any(axis=0)
            if known.any():
                types = {name: self.skeleton.dtype(name) for name in each.columns}
                pairs = zip(each.columns, own, strict=True)
                typed = {name: values[known].astype(types[name]) for name, values in pairs}
                each.refuse(typed, where)

    @property
    def read_by_any(self) -> frozenset[int]:
        """The columns that the model has, by position."""
        return frozenset(self.schema.names.index(name) for name in self.skeleton.columns)

    def reached(
        self, forced: frozenset[str], reads: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Return the columns that an intervention changes on its way to the outcome, in order.

        Raises
        ------
        NotIdentifiedError
            If what is latent would have to be known of rows from columns that it causes.
        ValueError
            If the model lacks a forced column, or the outcome causes it.
        """
        assert self.graph is not None
        refuse_strays(self.graph, self.outcome, forced)
        on_the_way = self.graph.ancestors(self.outcome)
        found = tuple(n for n in self.skeleton.descendants(forced) if n in on_the_way)
        self.refuse_conditioned(forced, found, reads)
        return found

    def answered(
        self, forced: frozenset[str], reads: frozenset[str] = frozenset()
    ) -> tuple[tuple[str, ...], Regression | None]:
        """Return what `reached` does: no regression answers in the stead of a model of its own."""
        return self.reached(forced, reads), None

    def refuse_conditioned(
        self, forced: Collection[str], regenerated: Collection[str], reads: Collection[str] = ()
    ) -> None:
        """Refuse rows whose columns tell of something latent that reaches the outcome as well.

        What is latent is drawn from its distribution given its causes. Given what it causes it has
        another one, which nobody has drawn from.
        """
        moved = {*regenerated, self.outcome}
        for latent, children in self.skeleton.children.items():
            seen = set(children) - set(forced) - moved | set(children).intersection(reads)
            if seen and moved.intersection(children):
                after = listed(sorted(moved.intersection(children)))
                raise NotIdentifiedError(
                    f"{latent!r}, which no column holds, causes {listed(sorted(seen))} and {after}"
                    f": what it is in a row is told by {listed(sorted(seen))}, which is as it was "
                    f"observed. Force {listed(sorted(seen))}, or make {latent!r} a column"
                )


def _mechanism(skeleton: Skeleton, schema: Schema, node: str) -> Mechanism:
    causes = tuple(name for name in schema.names if name in skeleton.parents[node])
    columns = tuple(schema.names.index(name) for name in causes)
    operation = skeleton.model[node].owner.op
    name = str(getattr(operation, "name", None) or type(operation).__name__.removesuffix("RV"))
    discrete = skeleton.dtype(node).kind in "iub"
    noise = None if discrete or not adds_up(skeleton, node) else "additive"
    record = Values(name, discrete, noise)  # type: ignore[arg-type]
    return Mechanism(node, columns, causes, record, skeleton.parameters)


# Distributions whose noise is added to their mean: where that is among their parameters.
_LOCATION: Mapping[str, int] = {"NormalRV": 0, "StudentTRV": 1, "LaplaceRV": 0, "LogisticRV": 0}


def adds_up(skeleton: Skeleton, node: str) -> bool:
    """Whether a node is a mean and a noise that depends on no column and on nothing latent."""
    from pytensor.graph.traversal import ancestors

    own = skeleton.model[node].owner
    at = _LOCATION.get(type(own.op).__name__)
    if at is None:
        return False
    hidden = {skeleton.model[name] for name in skeleton.latent}
    if hidden.intersection(ancestors([skeleton.model[node]])):
        return False
    rest = [each for k, each in enumerate(own.op.dist_params(own)) if k != at]
    rows = {skeleton.model[name] for name in (*skeleton.columns, skeleton.outcome)}
    return not rows.difference({skeleton.model[node]}).intersection(ancestors(rest))


def _graph(skeleton: Skeleton) -> CausalGraph:
    """Return the causal graph over columns and outcome."""
    nodes = [*skeleton.columns, skeleton.outcome]
    parents: dict[str, list[str]] = {name: list(skeleton.parents.get(name, ())) for name in nodes}
    for latent, children in skeleton.children.items():
        hidden = f"{latent} (latent)" if latent in nodes else latent
        parents.setdefault(hidden, [])
        for child in children:
            parents[child].append(hidden)
    return CausalGraph(parents).observing(nodes)


def refuse_parameters(do: Any, skeleton: Skeleton, known: Collection[Hashable]) -> None:
    """Refuse to force parameters of the model where columns are forced."""
    if not isinstance(do, Mapping):
        return
    for name in do:
        others = {*skeleton.parameters, *skeleton.derived, *skeleton.latent, *skeleton.idle}
        if isinstance(name, str) and name in others and name not in known:
            what = "latent" if name in (*skeleton.latent, *skeleton.idle) else "a parameter"
            raise ValueError(
                f"do: {name!r} is {what}, and no column; simulate(X, {{{name!r}: ...}}) forces "
                "parameters"
                if what == "a parameter"
                else f"do: {name!r} is latent: no column of X holds it"
            )
