"""From the estimator's parameters and data to a structural model and what it sees of the data."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.data.design import make_design
from interventional.data.grouped import GroupedDesign
from interventional.data.groups import Grouping, parse_groups
from interventional.data.leakage import refuse_outcome_among
from interventional.data.schema import Schema
from interventional.data.seen import Seen, distinct_rows, sufficient_statistics
from interventional.data.smooth import SMOOTH, Design, SmoothDesign
from interventional.errors import listed, unknown
from interventional.graph.causal_graph import over_columns
from interventional.graph.identification import own_columns
from interventional.numbers import Floats
from interventional.scm.by_node import designs_by_node, priors_by_node, treated
from interventional.scm.equations import check_names
from interventional.scm.families import (
    DEFAULT,
    FAMILIES,
    ZERO_ONE,
    adds_up,
    check_name,
    no_batches,
    of_node,
)
from interventional.scm.links import IDENTITY
from interventional.scm.naming import OF_SURFACE, SUFFIXES, outcome_name
from interventional.scm.priors import is_pooling
from interventional.scm.roles import confounds, exposure_column, noise_column, positive

if TYPE_CHECKING:
    from interventional.graph.causal_graph import CausalGraph

# The estimator's parameters that say what the model is.
OF_MODEL = (
    "outcome",
    "graph",
    "design",
    "treatments",
    "priors",
    "groups",
    "within",
    "fit_intercept",
    "center_predictors",
    "inference",
    "family",
    "exposure",
    "noise",
)
# Node, and positions and variables of its regressors.
Regression = tuple[str, tuple[int, ...], tuple[str, ...]]
# What the model appends to the name of a node that has three levels or more.
_OF_LEVELS = ("_level", "_block", "_score")


@dataclass(frozen=True, eq=False)
class Draft:
    """What the parameters say of some columns, before any row is looked at.

    Attributes
    ----------
    schema : Schema
        What the columns are.
    outcome : str
        The name of the outcome.
    graph : CausalGraph or None
        Over columns and outcome.
    regressions : sequence of (node, columns, variables)
        The equations.
    designs, priors : mapping
        What the user gave for each node.
    treatments : tuple of str
        The columns that are meant to be forced.
    groups : mapping
        What differs between which groups of rows, for each node where anything does.
    within : bool
        Whether group means are regressors there.
    families : mapping
        How each node is distributed.
    zero_one : tuple of str
        The nodes that are Bernoulli since their columns hold nothing but 0 and 1.
    exposure : int or None
        Position of the column that the outcome is proportional to.
    noise : int or None
        Position of the column of known standard deviations of the outcome.
    fit_intercept, center_predictors, inference
        As in the estimator.
    """

    schema: Schema
    outcome: str
    graph: "CausalGraph | None"
    regressions: Sequence[Regression]
    designs: Mapping[str, Any]
    treatments: tuple[str, ...]
    priors: Mapping[str, Any]
    groups: Mapping[str, tuple[Grouping, ...]]
    within: bool
    families: Mapping[str, str]
    zero_one: tuple[str, ...]
    exposure: int | None
    noise: int | None
    fit_intercept: bool
    center_predictors: bool
    inference: str

    @property
    def nodes(self) -> list[str]:
        """The nodes that have an equation, in order."""
        return [node for node, _, _ in self.regressions]

    def position(self, node: str) -> int | None:
        """Return the position of a node's column; None for the outcome."""
        return None if node == self.outcome else self.schema.names.index(node)

    def levels(self, node: str) -> tuple[Any, ...]:
        """Return the levels of a node; nothing for one of numbers."""
        j = self.position(node)
        return () if j is None else self.schema.categories(j)

    @property
    def fixes_sigma(self) -> bool:
        """Whether the outcome's sigma is a number."""
        given = self.priors.get(self.outcome)
        sigma = given.get("sigma") if isinstance(given, Mapping) else None
        return getattr(sigma, "distribution", None) == "DiracDelta"

    def adds_up(self, node: str) -> bool:
        """Whether what an equation sees of the rows is a sum over rows, of columns as they are."""
        sums = adds_up(self.families[node], is_outcome=node == self.outcome)
        plain = self.designs.get(node) is None and node not in self.groups
        return sums and plain and self.errors_of(node) is None

    def keeps_levels(self, node: str) -> bool:
        """Whether an equation with groups sees sums over the rows of each."""
        gaussian = FAMILIES[self.families[node]].inner is not None
        return gaussian and self.errors_of(node) is None and self.inference in ("auto", "exact")

    def as_seen(self, node: str, values: Floats) -> Floats:
        """Return a node as inference sees it; refuse what its family does not take."""
        record = FAMILIES[self.families[node]]
        record.check(values, "y" if node == self.outcome else f"column {node!r}")
        return values if record.inner is None else record.inner(values)

    def response(self, node: str, values: Floats | None, target: Floats | None) -> Floats | None:
        """Return a node as inference sees it; None if nobody has seen it."""
        j = self.position(node)
        found = target if j is None else None if values is None else values[:, j]
        return None if found is None else self.as_seen(node, found)

    def rows(self, columns: tuple[int, ...], values: Floats | None) -> Floats | None:
        """Return some columns of encoded rows."""
        if values is None or len(columns) == len(self.schema.names):
            return values
        return values[:, columns]

    def exposures(self, node: str, values: Floats | None) -> Floats | None:
        """Return the exposures of a node, which must be positive; None where it has none."""
        if self.exposure is None or node != self.outcome or values is None:
            return None
        return positive(values[:, self.exposure])

    def errors_of(self, node: str) -> int | None:
        """Return the position of the column of a node's known errors; None where it has none."""
        return self.noise if node == self.outcome else None

    def design(
        self,
        node: str,
        columns: tuple[int, ...],
        rows: Floats | None,
        weights: Floats | None = None,
    ) -> Design:
        """Return the design of an equation, fitted to the rows of its columns."""
        schema = self.schema
        part = schema if len(columns) == len(schema.names) else schema.subset(columns)
        groups = self.groups.get(node, ())
        smooth, grouped = self.designs.get(node) == SMOOTH, None
        if groups:
            assert rows is not None
            lacking = {name for g in groups for name in g.columns} - {*part.names}
            if lacking:
                raise ValueError(
                    f"groups: column {listed(sorted(lacking))} does not enter the equation of "
                    f"{node!r}; let it be a cause of it in the graph"
                )
            pooled = self._pooled(node, part)
            transformer = None if smooth else self.designs.get(node)
            of_node = part, transformer, groups, rows, weights, pooled
            given = self.priors.get(node)
            known = isinstance(given, Mapping) and "sigma" in given
            alone = known or self.errors_of(node) is not None
            grouped = GroupedDesign.of(*of_node, within=self.within, alone=alone)
        if smooth:
            assert rows is not None
            return SmoothDesign.of(part, self.treatments, rows, weights, grouped)
        if grouped is not None:
            return grouped
        return make_design(part, self.designs.get(node), rows, self._pooled(node, part))

    def on_link(
        self, node: str, response: Floats, weights: Floats | None, values: Floats
    ) -> tuple[float, float, float]:
        """Return mean and spread of a node on the scale of its link, and that of its noise."""
        family = FAMILIES[self.families[node]]
        typical = family.typical(response, weights, self.exposures(node, values))
        if family.inner is not None and not self.fit_intercept:  # as of other Gaussian equations
            typical = 0.0
        if family.link is not IDENTITY:
            return typical, 1.0, family.pseudo_sigma(typical)
        scale = float(np.sqrt(np.average(np.square(response - typical), weights=weights)))
        return typical, scale, scale

    def seen(
        self, node: str, matrix: Floats, response: Floats, weights: Floats | None, values: Floats
    ) -> Seen:
        """Return what the likelihood of an equation sees of its rows."""
        family, intercept = FAMILIES[self.families[node]], self.fit_intercept
        known = self.errors_of(node)
        if family.inner is not None and known is None:
            return sufficient_statistics(matrix, response, weights, intercept=intercept)
        exposures = self.exposures(node, values)
        typical, scale, noise = self.on_link(node, response, weights, values)
        return distinct_rows(
            matrix,
            response,
            weights,
            y_mean=typical,
            y_scale=scale,
            noise=noise,
            offset=None if exposures is None else np.log(exposures),
            errors=None if known is None else values[:, known],
            intercept=intercept,
        )

    def _pooled(self, node: str, part: Schema) -> tuple[int, ...]:
        """Return which columns of an equation have levels that share a prior learnt from them."""
        given = self.priors.get(node)
        if not isinstance(given, Mapping):
            return ()
        pooled = {name for name, prior in given.items() if is_pooling(prior)}
        return tuple(j for j, name in enumerate(part.names) if name in pooled)

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns whose sums over the rows are kept.

        Equations that add up need theirs. Of the others they say what was seen (`overlap`); levels
        are left out there if they are many, as each takes a column of the factor.
        """
        used = set()
        for node, columns, _ in self.regressions:
            j = self.position(node)
            own = {*columns} if j is None else {*columns, j}
            used |= own if self.adds_up(node) else {*self.schema.of_few_levels(own)}
        return tuple(sorted(used | self._of_queries(used)))

    def _of_queries(self, used: set[int]) -> set[int]:
        """Return the columns that regressions of queries' own need besides, of sums over rows."""
        if self.graph is None or not self.graph.confounded or not self.adds_up(self.outcome):
            return set()
        names = self.schema.names
        causes = {names.index(name) for name in self.graph.ancestors(self.outcome)}
        if causes <= used:  # as a rule
            return set()
        return {names.index(name) for name in own_columns(self.graph, self.outcome)}

    @property
    def read(self) -> frozenset[int]:
        """The columns that enter some equation, by position; of others nothing need be known."""
        found = {self.exposure, self.noise, *map(self.position, self.nodes)}
        found.update(j for _, columns, _ in self.regressions for j in columns)
        return frozenset(j for j in found if j is not None)

    def refuse_outcome_among(
        self, values: Floats | None, target: Floats | None, named: str | None
    ) -> None:
        """Refuse rows in which a regressor is the outcome, which the user calls so."""
        if values is not None and target is not None:
            columns = next(c for node, c, _ in self.regressions if node == self.outcome)
            refuse_outcome_among(self.schema, columns, values, target, named)

    def refuse_batches(self) -> None:
        """Refuse a model that some equation keeps from being fitted batch by batch."""
        for node in self.nodes:
            if node in self.groups:
                raise ValueError(
                    f"the equation of {node!r} has groups, whose rows are kept together while it "
                    "is fitted, so that batches do not add up; call fit with all rows in memory"
                )
            if self.designs.get(node) is not None:
                raise ValueError(
                    f"the design of {node!r} is fitted to all rows at once, so that batches do "
                    "not add up; transform X beforehand, or call fit with all rows in memory"
                )
            known = self.errors_of(node)
            if known is not None:
                raise ValueError(
                    f"noise={self.schema.names[known]!r} makes the likelihood of {node!r} no sum "
                    "over rows, so that batches do not add up; call fit with all rows in memory"
                )
            if not self.adds_up(node):
                why = no_batches(node, self.families[node])
                if node in self.zero_one:
                    why = (
                        f"column {node!r} holds nothing but 0 and 1: {why}. For a line "
                        f"instead, as where numbers other than 0 and 1 are to come, say "
                        f"family={{{node!r}: {DEFAULT!r}}}"
                    )
                raise ValueError(why)


def draft(
    schema: Schema,
    zero_one: Collection[int] = (),
    *,
    outcome: str | None = None,
    named: str | None = None,
    graph: Any = None,
    design: Any = None,
    treatments: Any = None,
    priors: Any = None,
    groups: Any = None,
    within: bool = False,
    fit_intercept: bool = True,
    center_predictors: bool = True,
    inference: str = "auto",
    family: Any = DEFAULT,
    exposure: Any = None,
    noise: Any = None,
) -> Draft:
    """Parse the parameters of the estimator in the light of what the columns are.

    Of `zero_one`, columns of numbers that hold nothing but 0 and 1, those that have an equation
    are Bernoulli by default. An `outcome` that is not given is what y is `named`, where that can
    be.
    """
    if outcome is None:
        outcome = outcome_name(named, schema.names, graph, (family, design, priors, groups))
    if "/" in outcome:
        raise ValueError(f"outcome={outcome!r}: no name in the model may hold a '/'")
    graph = over_columns(graph, schema.names, outcome)
    position = exposure_column(exposure, schema, graph, outcome)
    errors = noise_column(noise, schema, graph, outcome)
    regressions = _regressions(graph, schema, outcome, position, errors)
    nodes = [node for node, _, _ in regressions]
    families = _families(family, nodes, schema, outcome)
    given = family if isinstance(family, Mapping) else {}
    binary = [n for n in nodes if n != outcome and schema.names.index(n) in zero_one]
    binary = [node for node in binary if node not in given and families[node] == DEFAULT]
    families |= dict.fromkeys(binary, ZERO_ONE)
    if position is not None and not FAMILIES[families[outcome]].may_count_exposure:
        raise ValueError(
            f"exposure={exposure!r} is for counts, family='poisson' or 'negative_binomial'; the "
            f"family of {outcome!r} is {families[outcome]!r}"
        )
    if errors is not None and not FAMILIES[families[outcome]].is_gaussian:
        raise ValueError(
            f"noise={noise!r} is for Gaussian outcomes, to whose variance it adds; the family of "
            f"{outcome!r} is {families[outcome]!r}"
        )
    designs = designs_by_node(design, nodes, outcome)
    taken = _taken(regressions, schema, families)
    bends = [node for node, own in designs.items() if isinstance(own, str)]
    check_names(outcome, schema, taken | {node + own for node in bends for own in OF_SURFACE})
    return Draft(
        schema,
        outcome,
        graph,
        regressions,
        designs,
        treated(treatments, schema, outcome),
        priors_by_node(priors, nodes, outcome),
        parse_groups(groups, nodes, outcome, schema),
        within,
        families,
        tuple(binary),
        position,
        errors,
        fit_intercept,
        center_predictors,
        inference,
    )


def _families(given: Any, nodes: list[str], schema: Schema, outcome: str) -> dict[str, str]:
    """Return how each node is distributed: as the user says, else by what its column holds."""
    chosen = dict(given) if isinstance(given, Mapping) else {outcome: given}
    for node, name in chosen.items():
        if node not in nodes:
            if node in schema.names:
                raise ValueError(
                    f"family: column {node!r} has no equation, as nothing in the graph causes it "
                    "on a way to the outcome; equations are those of " + listed(nodes)
                )
            raise ValueError(unknown("node in family:", node, nodes))
        check_name(name, node)
    families = {}
    for node in nodes:
        levels = () if node == outcome else schema.categories(schema.names.index(node))
        families[node] = of_node(chosen.get(node), node, levels, is_outcome=node == outcome)
    return families


def _regressions(
    graph: "CausalGraph | None",
    schema: Schema,
    outcome: str,
    exposure: int | None,
    noise: int | None,
) -> list[Regression]:
    """Return for each equation its node, and positions and variables of its regressors.

    Exposures and known errors are something else to the outcome.
    """
    others = exposure, noise
    if graph is None:
        columns = tuple(j for j in range(len(schema.names)) if j not in others)
        return [(outcome, columns, tuple(schema.names[j] for j in columns))]
    from interventional.graph.choice import regressions

    found = []
    for regression in regressions(graph, outcome):
        variable = {name: name for name in regression.parents}
        variable |= {name: f"{name}_observed" for name in regression.adjustment}
        if regression.node == outcome:
            if noise is not None and schema.names[noise] in regression.adjustment:
                raise confounds(schema.names[noise], outcome)
            for j in others:
                variable.pop("" if j is None else schema.names[j], None)
        columns = tuple(j for j, name in enumerate(schema.names) if name in variable)
        variables = tuple(variable[schema.names[j]] for j in columns)
        found.append((regression.node, columns, variables))
    return found


def _taken(regressions: list[Regression], schema: Schema, families: Mapping[str, str]) -> set[str]:
    """Return the names that the model has for other things than columns."""
    taken = set()
    for node, columns, variables in regressions:
        levels = schema.categories(schema.names.index(node)) if node in schema.names else ()
        suffixes: tuple[str, ...] = SUFFIXES + _OF_LEVELS if len(levels) > 2 else SUFFIXES
        suffixes += tuple(f"_{name}" for name in FAMILIES[families[node]].dispersion)
        taken |= {node + suffix for suffix in suffixes}
        taken |= {v for j, v in zip(columns, variables, strict=True) if v != schema.names[j]}
    return taken
