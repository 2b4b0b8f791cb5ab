"""What an intervention changes beside the outcome, and whether it reaches that at all."""

from collections.abc import Collection, Hashable

from interventional.answers.samples import Chunked
from interventional.data.design import Design
from interventional.errors import listed
from interventional.intervention.do import Forced
from interventional.intervention.forward import Query
from interventional.scm.equations import StructuralModel


def refuse_ignored(model: StructuralModel, query: Query, names: Collection[str]) -> None:
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
