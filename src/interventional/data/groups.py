"""What differs between which groups of rows, as a user says it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interventional.data.schema import Schema
from interventional.data.table import Table
from interventional.errors import listed, unknown


@dataclass(frozen=True)
class Grouping:
    """Columns whose levels are groups of rows, and what differs between these.

    Attributes
    ----------
    columns : tuple of str
        The columns; a group is a combination of their levels.
    slopes : tuple of str
        Columns, or terms of a design, whose slopes differ by group, beside the intercept.
    """

    columns: tuple[str, ...]
    slopes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the groups are called."""
        return ":".join(self.columns)


def labelled(schema: Schema, table: Table, groups: Any) -> Schema:
    """Return what the columns of a table are; numbers that are labels of groups are levels."""
    columns = []
    for label in group_columns(groups):
        try:
            columns.append(schema.position(label))
        except (ValueError, TypeError):  # which is refused where it is known what there is
            continue
    return schema.labelled(columns, {j: table.values(j) for j in columns}) if columns else schema


def group_columns(groups: Any) -> list[Any]:
    """Return the columns that a user's ``groups`` names as labels of groups, not checked yet."""
    found: list[Any] = []
    for key in groups if isinstance(groups, Mapping | list) else ():
        slopes = groups[key] if isinstance(groups, Mapping) else ()
        if isinstance(slopes, Mapping):  # of a node
            found += group_columns(slopes)
        else:
            found += key if isinstance(key, tuple) else [key]
    return found


def parse_groups(
    groups: Any, nodes: Sequence[str], outcome: str, schema: Schema
) -> dict[str, tuple[Grouping, ...]]:
    """Return what differs between groups in each equation.

    Parameters
    ----------
    groups : list, mapping or None
        Columns of groups, or a mapping from these to the columns whose slopes differ; or mappings
        of that kind by node. All that is no mapping by node is for the outcome.
    nodes : sequence of str
        The nodes that have an equation.
    outcome : str
        The outcome.
    schema : Schema
        What the columns are.
    """
    if groups is None:
        return {}
    if not isinstance(groups, Mapping | list):
        hint = f"; write groups=[{groups!r}]" if isinstance(groups, str | tuple) else ""
        raise TypeError(
            "groups must be a list of columns, or a mapping from columns to the columns whose "
            f"slopes differ between their levels, got {groups!r}{hint}"
        )
    nested: dict[str, Any] = {}
    own: list[tuple[Any, Any]] = []
    for key in groups:
        slopes = groups[key] if isinstance(groups, Mapping) else []
        if isinstance(slopes, Mapping):
            if key not in nodes:
                raise ValueError(unknown("equation in groups:", key, nodes))
            nested[key] = slopes
        else:
            own.append((key, slopes))
    if outcome in nested and own:
        raise ValueError(
            f"groups: {listed(key for key, _ in own)} and {outcome!r} both are for the outcome's "
            "equation"
        )
    by_node = {**({outcome: own} if own else {}), **{n: [*g.items()] for n, g in nested.items()}}
    return {
        node: _distinct(_grouping(key, slopes, schema, outcome) for key, slopes in given)
        for node, given in by_node.items()
        if given
    }


def _distinct(groupings: Iterable[Grouping]) -> tuple[Grouping, ...]:
    """Return the entries of one equation; refuse two of the same groups."""
    found: dict[frozenset[str], Grouping] = {}
    for grouping in groupings:
        first = found.setdefault(frozenset(grouping.columns), grouping)
        if first is not grouping:
            raise ValueError(
                f"groups: {first.name!r} and {grouping.name!r} are the same groups, which may be "
                "named once, with all the columns whose slopes differ between them"
            )
    return tuple(found.values())


def _grouping(key: Any, slopes: Any, schema: Schema, outcome: str) -> Grouping:
    """Return one entry of ``groups``, checked against the columns."""
    columns = key if isinstance(key, tuple) and key not in (schema.labels or ()) else (key,)
    names = [_column(label, schema, outcome, slopes) for label in columns]
    if not names:
        raise ValueError("groups: () names no column; give one, or several for combinations")
    if len(set(names)) < len(names):
        raise ValueError(f"groups[{key!r}] has a column more than once")
    if not isinstance(slopes, list | tuple):
        raise TypeError(
            f"groups[{key!r}] must be a list of the columns whose slopes differ by group, got "
            f"{slopes!r}; an empty one for intercepts alone"
        )
    found = []
    for label in slopes:
        try:
            found.append(schema.names[schema.position(label)])
        except (ValueError, TypeError) as error:
            if not isinstance(label, str):
                raise ValueError(f"groups[{key!r}]: {error}") from None
            found.append(label)  # a term of a design, perhaps
    repeated = set(found) & set(names)
    if repeated:
        raise ValueError(
            f"groups[{key!r}]: {listed(sorted(repeated))} is the group itself; slopes are of "
            "other columns"
        )
    return Grouping(tuple(names), tuple(found))


def _column(label: Any, schema: Schema, outcome: str, slopes: Any) -> str:
    """Return the name of a column of groups."""
    try:
        return schema.names[schema.position(label)]
    except (ValueError, TypeError) as error:
        hint = ""
        if isinstance(label, list | set | dict):
            hint = "; combinations of columns are a tuple, and slopes the values of a mapping"
        elif label == outcome and slopes:
            hint = f"; of an equation it is a mapping, groups={{{label!r}: {{column: [slopes]}}}}"
        raise ValueError(f"groups: {error}{hint}") from None
