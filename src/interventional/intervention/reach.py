"""What an intervention changes beside the outcome, and whether it reaches that at all."""

from collections.abc import Collection, Hashable

import numpy as np

from interventional.answers.samples import Chunked
from interventional.data.schema import refuse
from interventional.data.smooth import Design
from interventional.data.table import Units
from interventional.errors import listed
from interventional.graph.choice import Regression
from interventional.intervention.do import Forced
from interventional.intervention.query import Query
from interventional.numbers import Floats
from interventional.scm.equations import StructuralModel
from interventional.scm.roles import positive


def columns_of(
    model: StructuralModel,
    forced: Collection[str],
    reached: Collection[str],
    own: Regression | None,
    biases: Collection[str],
) -> frozenset[int]:
    """Return the columns whose values in a row enter its answer, by position.

    Those of `biases` do where they are forced: by how far.
    """
    names = model.schema.names
    moved = {names.index(name) for name in forced if name in biases}
    if own is None:
        return model.read(forced, reached) | moved
    exposure = model.of_outcome.exposure
    held = {names.index(n) for n in (*own.parents, *own.adjustment) if n not in forced}
    if exposure is not None and names[exposure] not in forced:
        held.add(exposure)
    return frozenset(held | moved)


def refuse_values(model: StructuralModel, query: Query) -> None:
    """Refuse values that an equation cannot take: exposures, known errors, fractions of counts."""
    of_y, names = model.of_outcome, model.schema.names
    for column, check in ((of_y.exposure, positive), (of_y.noise, of_y.checked_errors)):
        held = None if column is None else query.forced.get(names[column])
        if held is not None:
            check(held.first_chunk().ravel() if isinstance(held, Chunked) else held)
        elif column is not None and column == of_y.exposure:
            positive(query.values[:, column])
    read = frozenset[int]()
    if query.own is None and len(model.equations) > 1:
        read = model.read(query.forced, query.regenerated)
    for equation in model.equations[:-1]:  # what is no count would be rounded
        node, j = equation.node, names.index(equation.node)
        held, where = query.forced.get(node), f"do[{node!r}]"
        if not equation.is_discrete or (held is None and j not in read):
            continue
        if held is None:
            held, where = query.values[:, j], f"column {node!r}"
        elif isinstance(held, Chunked):
            drawn = held.first_chunk()
            held = drawn[np.argmax(~equation.record.takes(drawn).all(axis=1))]
        equation.record.check(held, where)


def refuse_confounded_mediators(model: StructuralModel, query: Query) -> None:
    """Refuse what mixes worlds if mediators and outcome share causes nobody observed."""
    if query.regenerated:
        model.reached(frozenset((*query.forced, *query.regenerated)))


def observed_nodes(
    model: StructuralModel, query: Query, units: Units, target: Floats
) -> dict[str, Floats]:
    """Return what the outcome, and what an intervention changes, were observed at in each row.

    Raises
    ------
    ValueError
        If no noise of the rows' own can be found of that.
    """
    observed = {model.outcome: target}
    for node in (*query.regenerated, model.outcome):
        equation = model.equation(node)
        refuse(units.wrong, equation.read)  # to find the noise that the row itself had
        if equation.record.noise is None:
            raise ValueError(
                f"counterfactual: the intervention changes {node!r}, whose noise is not "
                "additive, so that no residual of the row's own can be kept; use intervene"
            )
        if node != model.outcome:
            j = model.schema.names.index(node)
            refuse(units.wrong, (j,))
            observed[node] = units.values[:, j]
            equation.record.check(observed[node], f"column {node!r}")
    return observed


def refuse_ignored(model: StructuralModel, query: Query) -> None:
    """Refuse to force a column that does not reach the outcome through the designs."""
    if query.own is None:
        for name in query.forced:
            refuse_dropped(model, query, (name,))


def refuse_dropped(model: StructuralModel, query: Query, names: Collection[str]) -> None:
    """Refuse to force causes of the outcome none of which reaches it through the designs."""
    reaching, dropped = set(names), dict[str, list[str]]()
    for node in (*query.regenerated, model.outcome):
        equation = model.equation(node)
        for k, name in enumerate(equation.variables):
            if name in reaching and _ignores(equation.design, k, query.forced.get(name)):
                dropped.setdefault(node, []).append(name)
            elif name in reaching:
                reaching.add(node)
    if dropped and model.outcome not in reaching:
        where = (f"the design of {node!r} drops {listed(own)}" for node, own in dropped.items())
        raise ValueError(
            f"do: {' and '.join(where)}, so that forcing {listed(names)} changes nothing; "
            "let the design keep it (a ColumnTransformer drops what it does not name, but "
            "with remainder='passthrough')"
        )


def _ignores(design: Design, k: int, forced: Forced | None) -> bool:
    """Whether a design makes nothing of a column, forced values included."""
    if not design.ignores(k) or forced is None:
        return design.ignores(k)
    return design.ignores(k, forced.first_chunk() if isinstance(forced, Chunked) else forced)


def following(model: StructuralModel, query: Query) -> frozenset[Hashable]:
    """Return the labels of the columns that what is forced, or the outcome, changes."""
    graph, schema = model.graph, model.schema
    if graph is None:
        return frozenset()
    causes = [*query.forced, model.outcome]
    after = frozenset().union(*map(graph.descendants, causes)).difference(causes)
    labels = schema.names if schema.labels is None else schema.labels
    return frozenset(labels[j] for j, name in enumerate(schema.names) if name in after)
