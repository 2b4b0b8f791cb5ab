"""From the estimator's parameters and data to a structural model and what it sees of the data."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.data.accumulation import Accumulated
from interventional.data.design import Design, TreatmentCoding, make_design
from interventional.data.schema import Schema
from interventional.data.seen import Seen, distinct_rows, merge_equal_rows, sufficient_statistics
from interventional.errors import listed, unknown
from interventional.graph.causal_graph import over_columns
from interventional.graph.identification import own_columns
from interventional.numbers import Floats
from interventional.scm.defaults import resolve
from interventional.scm.equations import Equation, StructuralModel, check_names
from interventional.scm.families import (
    DEFAULT,
    FAMILIES,
    IDENTITY,
    adds_up,
    check_name,
    no_batches,
    of_node,
)
from interventional.scm.priors import is_pooling

if TYPE_CHECKING:
    from interventional.graph.causal_graph import CausalGraph

_CANONICAL = 100_000  # rows that are sorted before NUTS, which is slow for more
# Node, and positions and variables of its regressors.
Regression = tuple[str, tuple[int, ...], tuple[str, ...]]
# What the model appends to the name of a node; and to that of one of three levels or more.
_SUFFIXES = ("_mu", "_beta", "_intercept", "_term", "_residual", "_weights")
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
    families : mapping
        How each node is distributed.
    exposure : int or None
        Position of the column that the outcome is proportional to.
    fit_intercept, center_predictors, inference
        As in the estimator.
    """

    schema: Schema
    outcome: str
    graph: "CausalGraph | None"
    regressions: Sequence[Regression]
    designs: Mapping[str, Any]
    priors: Mapping[str, Any]
    families: Mapping[str, str]
    exposure: int | None
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

    def adds_up(self, node: str) -> bool:
        """Whether what an equation sees of the rows is a sum over rows, of columns as they are."""
        sums = adds_up(self.families[node], is_outcome=node == self.outcome)
        return sums and self.designs.get(node) is None

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

    def design(self, node: str, columns: tuple[int, ...], rows: Floats | None) -> Design:
        """Return the design of an equation, fitted to the rows of its columns."""
        schema = self.schema
        part = schema if len(columns) == len(schema.names) else schema.subset(columns)
        return make_design(part, self.designs.get(node), rows, self._pooled(node, part))

    def seen(
        self, node: str, matrix: Floats, response: Floats, weights: Floats | None, values: Floats
    ) -> Seen:
        """Return what the likelihood of an equation sees of its rows."""
        family, intercept = FAMILIES[self.families[node]], self.fit_intercept
        if family.inner is not None:
            return sufficient_statistics(matrix, response, weights, intercept=intercept)
        exposures = self.exposures(node, values)
        typical = family.typical(response, weights, exposures)
        if family.link is IDENTITY:
            squares = np.square(response - typical)
            scale = noise = float(np.sqrt(np.average(squares, weights=weights)))
        else:
            scale, noise = 1.0, family.pseudo_sigma(typical)
        return distinct_rows(
            matrix,
            response,
            weights,
            y_mean=typical,
            y_scale=scale,
            noise=noise,
            offset=None if exposures is None else np.log(exposures),
            intercept=intercept,
        )

    def _pooled(self, node: str, part: Schema) -> tuple[int, ...]:
        """Return which columns of an equation have levels that share a prior learnt from them."""
        given = self.priors.get(node)
        if not isinstance(given, Mapping):
            return ()
        pooled = {name for name, prior in given.items() if is_pooling(prior)}
        for name in pooled & set(part.names):
            if part.levels[part.names.index(name)] is None and given[name] == "partial_pooling":
                raise ValueError(
                    f"priors[{name!r}]: 'partial_pooling' is for columns of levels, and {name!r} "
                    "holds numbers or bools; make it a category if its numbers are labels"
                )
            if self.designs.get(node) is not None and given[name] == "partial_pooling":
                raise ValueError(
                    f"priors[{name!r}]: 'partial_pooling' needs a term for every level, which a "
                    "design of your own need not have; leave design out"
                )
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

    def refuse_batches(self) -> None:
        """Refuse a model that some equation keeps from being fitted batch by batch."""
        for node in self.nodes:
            if self.designs.get(node) is not None:
                raise ValueError(
                    f"the design of {node!r} is fitted to all rows at once, so that batches do "
                    "not add up; transform X beforehand, or call fit with all rows in memory"
                )
            if not self.adds_up(node):
                raise ValueError(no_batches(node, self.families[node]))


def draft(
    schema: Schema,
    *,
    outcome: str,
    graph: Any = None,
    design: Any = None,
    priors: Any = None,
    fit_intercept: bool = True,
    center_predictors: bool = True,
    inference: str = "auto",
    family: Any = DEFAULT,
    exposure: Any = None,
) -> Draft:
    """Parse the parameters of the estimator in the light of what the columns are."""
    if "/" in outcome:
        raise ValueError(f"outcome={outcome!r}: no name in the model may hold a '/'")
    graph = over_columns(graph, schema.names, outcome)
    position = _exposure(exposure, schema, graph, outcome)
    regressions = _regressions(graph, schema, outcome, position)
    nodes = [node for node, _, _ in regressions]
    families = _families(family, nodes, schema, outcome)
    if position is not None and not FAMILIES[families[outcome]].may_count_exposure:
        raise ValueError(
            f"exposure={exposure!r} is for counts, family='poisson' or 'negative_binomial'; the "
            f"family of {outcome!r} is {families[outcome]!r}"
        )
    check_names(outcome, schema, _taken(regressions, schema, families))
    return Draft(
        schema,
        outcome,
        graph,
        regressions,
        _by_node(design, nodes, outcome, "design"),
        _priors_by_node(priors, nodes, outcome),
        families,
        position,
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


def _exposure(key: Any, schema: Schema, graph: "CausalGraph | None", outcome: str) -> int | None:
    """Return the position of the column of exposures."""
    if key is None:
        return None
    if not isinstance(key, Hashable):
        raise TypeError(
            f"exposure must be the name of a column of X, got {type(key).__name__}; make the "
            "exposures a column"
        )
    try:
        position = schema.position(key)
    except ValueError as error:
        raise ValueError(f"exposure: {error}") from None
    name = schema.names[position]
    if schema.categories(position):
        raise ValueError(f"exposure: column {name!r} holds levels or bools; it must hold numbers")
    if graph is not None and name not in graph.parents(outcome):
        raise ValueError(
            f"exposure: the graph does not have {name!r} as a cause of {outcome!r}, to which it "
            f"is in proportion; add '{name} -> {outcome}'"
        )
    return position


def specify(
    parsed: Draft,
    values: Floats | None,
    target: Floats | None = None,
    weights: Floats | None = None,
    accumulated: Accumulated | None = None,
) -> tuple[StructuralModel, list[Seen | None]]:
    """Return the structural model of some data, and what each equation sees of them.

    Parameters
    ----------
    parsed : Draft
        What the model is.
    values : ndarray of shape (n, columns) or None
        Encoded rows; None if all that is left of them is `accumulated`.
    target : ndarray of shape (n,), optional
        The outcome; None if nobody has seen it yet. Default priors are then those of standardised
        data.
    weights : ndarray of shape (n,), optional
        Frequencies of the rows.
    accumulated : Accumulated, optional
        What equations without a design see of the rows.
    """
    found = [
        _equation(parsed, regression, values, target, weights, accumulated)
        for regression in parsed.regressions
    ]
    equations = tuple(equation for equation, _ in found)
    model = StructuralModel(parsed.outcome, parsed.schema, equations, parsed.graph)
    return model, [seen for _, seen in found]


def _equation(
    parsed: Draft,
    regression: Regression,
    values: Floats | None,
    target: Floats | None,
    weights: Floats | None,
    accumulated: Accumulated | None,
) -> tuple[Equation, Seen | None]:
    """Return an equation whose priors are scaled by its data, and what it sees of them."""
    node, columns, _ = regression
    family, intercept = FAMILIES[parsed.families[node]], parsed.fit_intercept
    rows, response = parsed.rows(columns, values), parsed.response(node, values, target)
    design = parsed.design(node, columns, rows)
    parsed.exposures(node, values)  # are refused where nobody has seen the outcome, too
    seen: Seen | None = None
    if accumulated is not None and parsed.adds_up(node):
        assert isinstance(design, TreatmentCoding)
        seen = accumulated.statistics(design, columns, parsed.position(node), intercept)
    elif values is not None and rows is not None and response is not None:
        seen = parsed.seen(node, design.matrix(rows), response, weights, values)
    equation = _scaled(parsed, regression, design, rows, seen)
    if rows is None or response is None or len(rows) > _CANONICAL:
        return equation, seen
    if family.inner is not None and equation.engine(parsed.inference) == "nuts":
        # NUTS is chaotic in the last bit: equal data in another order, or as weights, must come
        # to it equal to the last bit.
        merged = merge_equal_rows(design.matrix(rows), response, weights)
        seen = sufficient_statistics(*merged, intercept=intercept)
        equation = _scaled(parsed, regression, design, rows, seen)
    return equation, seen


def _scaled(
    parsed: Draft, regression: Regression, design: Design, rows: Floats | None, seen: Seen | None
) -> Equation:
    """Return an equation with its priors scaled by what it saw."""
    node, columns, variables = regression
    intercept, centered = parsed.fit_intercept, parsed.center_predictors
    family, levels = parsed.families[node], parsed.levels(node)
    exposure = parsed.exposure if node == parsed.outcome else None
    given, moments = parsed.priors.get(node), None if seen is None else seen.moments
    priors = resolve(
        given, design, rows, moments, fit_intercept=intercept, center=centered, family=family
    )
    center = np.zeros(len(design.terms))
    if intercept and centered and seen is not None:
        center = seen.x_mean
    elif intercept and centered and rows is not None:
        center = design.matrix(rows).mean(axis=0)
    return Equation(node, columns, variables, design, priors, center, family, levels, exposure)


def positive(exposures: Floats) -> Floats:
    """Return exposures, all of which must be above zero."""
    if not (exposures > 0).all():
        row = int(np.argmax(~(exposures > 0)))
        raise ValueError(f"the exposure must be positive; it is {exposures[row]:g} in row {row}")
    return exposures


def _regressions(
    graph: "CausalGraph | None", schema: Schema, outcome: str, exposure: int | None
) -> list[Regression]:
    """Return for each equation its node, and positions and variables of its regressors."""
    if graph is None:
        columns = tuple(j for j in range(len(schema.names)) if j != exposure)
        return [(outcome, columns, tuple(schema.names[j] for j in columns))]
    from interventional.graph.choice import regressions

    found = []
    for regression in regressions(graph, outcome):
        variable = {name: name for name in regression.parents}
        variable |= {name: f"{name}_observed" for name in regression.adjustment}
        if exposure is not None and regression.node == outcome:
            variable.pop(schema.names[exposure])
        columns = tuple(j for j, name in enumerate(schema.names) if name in variable)
        variables = tuple(variable[schema.names[j]] for j in columns)
        found.append((regression.node, columns, variables))
    return found


def _taken(regressions: list[Regression], schema: Schema, families: Mapping[str, str]) -> set[str]:
    """Return the names that the model has for other things than columns."""
    taken = set()
    for node, columns, variables in regressions:
        levels = schema.categories(schema.names.index(node)) if node in schema.names else ()
        suffixes: tuple[str, ...] = _SUFFIXES + _OF_LEVELS if len(levels) > 2 else _SUFFIXES
        suffixes += tuple(f"_{name}" for name in FAMILIES[families[node]].dispersion)
        taken |= {node + suffix for suffix in suffixes}
        taken |= {v for j, v in zip(columns, variables, strict=True) if v != schema.names[j]}
    return taken


def _by_node(given: Any, nodes: list[str], outcome: str, what: str) -> Mapping[str, Any]:
    """Return what is given for each node; what is no mapping is for the outcome."""
    if not isinstance(given, Mapping):
        return {} if given is None else {outcome: given}
    for node in given:
        if node not in nodes:
            raise ValueError(unknown(f"node in {what}:", node, nodes))
    return given


def _priors_by_node(given: Any, nodes: list[str], outcome: str) -> dict[str, Any]:
    """Return the priors of each equation: mappings by node, all other entries for the outcome."""
    if given is None or not isinstance(given, Mapping):
        return {outcome: {"beta": given} if isinstance(given, str) else given}
    nested = {node: inner for node, inner in given.items() if isinstance(inner, Mapping)}
    for node in nested:
        if node not in nodes:
            raise ValueError(unknown("equation in priors:", node, nodes))
    own = {key: prior for key, prior in given.items() if key not in nested}
    if outcome in nested and own:
        raise ValueError(
            f"priors: {listed(own)} and {outcome!r} both are for the outcome's equation"
        )
    return {outcome: own, **nested} if own else dict(nested)
