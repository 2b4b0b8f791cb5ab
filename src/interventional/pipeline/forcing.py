"""What is forced in raw columns, before any step: what that changes in the model behind them."""

import warnings
from collections.abc import Collection, Hashable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from interventional.answers.support import Support
from interventional.data.table import Table, Units, read_rows
from interventional.errors import listed
from interventional.fitted import Fitted
from interventional.intervention.do import Drawn, Forced, columns_read, parse_do
from interventional.intervention.reach import following, refuse_dropped
from interventional.intervention.steps import (
    Column,
    Raw,
    Steps,
    differ,
    forced_raw,
    found_to_move,
    moved_rows,
    with_missing_forced,
)
from interventional.intervention.words import Do
from interventional.numbers import is_large, rows_of_chunk, slices
from interventional.pipeline.path import Path
from interventional.questions import Side
from interventional.trust import extrapolation

_PACKAGE = str(File(__file__).parents[1])
_TRIED = 1000  # rows that tell what the steps derive from what


def units_of(path: Path, table: Table, *dos: Do | None) -> tuple[Path, Units]:
    """Return rows as the model sees them, and the way to one that knows all their levels.

    `table` is raw, as policies read it; `dos` may force levels that no row has.
    """
    rows = path.made_of(table)
    validate_data(path.regressor, rows, skip_check_array=True, reset=False)  # names of columns
    seen = read_rows(rows)
    path = path.knowing(seen, *dos)
    seen = seen if path.steps else replace(seen, absent=table.absent)
    return path, replace(path.fitted.units(seen), table=table)


@dataclass(frozen=True, eq=False)
class Moved:
    """What an intervention on raw columns moves in the model behind the steps.

    Attributes
    ----------
    path : Path
        The way to the model.
    table : Table
        The raw rows as the user has them.
    units : Units
        The rows as the model sees them.
    raw : mapping
        What raw columns are forced to, by position.
    forced : mapping
        What columns of the model follow from that, and are forced to, by name.
    seen : list of str
        Those of them that were seen to move.
    alone : list of list of str
        Those that move with each forced raw column.
    reads : frozenset of str
        The columns of the model from whose factual values forced ones are computed.
    """

    path: Path
    table: Table
    units: Units
    raw: Raw
    forced: Mapping[str, Forced]
    seen: list[str]
    alone: list[list[str]]
    reads: frozenset[str]

    @classmethod
    def by(cls, path: Path, table: Table, do: Do, *others: Do | None) -> "Moved":
        """Return what `do` moves; the model is to know the levels that `others` force, too."""
        meant = parse_do(do, table, table, path.fitted.n_draws, path.fitted.seed)
        found = cls._of(path, table, forced_raw(meant, table), do, *others)
        return replace(found, reads=_reads(do, table, found.path.fitted))

    def at_rest(self) -> "Moved":
        """Return the same columns forced to what they were observed at."""
        table, path = self.table, self.path
        raw = forced_raw({j: table.column(j) for j in self.raw}, table)
        found = self._of(path, table, raw)
        return replace(found, reads=frozenset(found.forced), alone=[])

    @classmethod
    def _of(cls, path: Path, table: Table, raw: Raw, *dos: Do | None) -> "Moved":
        present, lacking = with_missing_forced(table, raw)
        path, units = units_of(path, present, *dos)
        forced, seen, alone = _changed(path, units, raw)
        _refuse_mixed_graph(path, forced)
        if lacking.any():  # where nobody knows what they were
            at = np.isin(path.fitted.model.schema.names, list(forced))
            values = np.where(np.outer(lacking, at), np.nan, units.values)
            units = replace(units, values=values)
        _warn_of_missing(raw, table)
        return cls(path, table, units, raw, forced, seen, alone, frozenset())

    def beside(self, other: "Moved") -> "Moved":
        """Return the same, forcing and reading what another intervention on these columns does."""
        if set(self.raw) != set(other.raw):
            return self
        values, names = self.units.values, self.path.fitted.model.schema.names
        more = {
            name: values[:, names.index(name)] for name in other.forced if name not in self.forced
        }
        forced, reads = {**self.forced, **more}, self.reads | other.reads
        seen = [name for name in forced if name in {*self.seen, *other.seen}]
        return replace(self, forced=forced, seen=seen, reads=reads)

    def side(self, words: str) -> Side:
        """Return it as a question to the model; words say what is forced."""
        fitted = self.path.fitted
        query = fitted.query(self.units, self.forced, self.reads)
        for each in self.alone:
            refuse_dropped(fitted.model, query, each)
        tried = replace(query, forced={name: query.forced[name] for name in self.seen})
        apart = _derived(self.path, self.units, self.raw, self.seen)
        supported = fitted.supported(tried, apart=apart)
        if self.path.steps:
            supported = _in_raw_units(supported, self.raw, self.table)
        after = _following(self.path, self.units, following(fitted.model, query), self.raw)
        return Side(query, words, supported, after)


def _warn_of_missing(forced: Raw, table: Table) -> None:
    """Warn of values that stay missing in some rows of a column that is moved in others."""
    for j, values in forced.items():
        if isinstance(values, Drawn) or not values.ndim or not pd.isna(values).any():
            continue
        missing = pd.isna(values)
        if (values != table.values(j))[~missing].any():
            warnings.warn(
                f"do[{table.names[j]!r}] is missing in {missing.sum()} of {len(table)} rows, in "
                "which X has no value either: what the steps put there stays as it is, and these "
                "rows are answered as observed",
                skip_file_prefixes=(_PACKAGE,),
            )


def _changed(
    path: Path, units: Units, forced: Raw
) -> tuple[dict[str, Forced], list[str], list[list[str]]]:
    """Return the columns of the model that may depend on a forced raw one, and which were seen to.

    They are those that move when the forced raw columns do, by the intervention or by permuting
    their values, and those that have a forced column's name. Where many values are drawn later,
    and there is no graph, it is all: any may move, in some row or draw. The last are those that
    move with each forced column.
    """
    table, before, schema = units.table, units.values, path.fitted.model.schema
    n_draws, names = path.fitted.n_draws, schema.names
    elsewhere = path.encoded(table.with_columns(moved_rows(table, forced)))
    touched = differ(elsewhere, before).any(axis=0)
    fixed = {j: values for j, values in forced.items() if not isinstance(values, Drawn)}
    if len(fixed) == len(forced):
        after = path.encoded(table.with_columns(fixed))
        touched |= differ(after, before).any(axis=0)
        alone = _alone(path, units, forced, touched)
        touched = np.any([touched, *alone], axis=0)
        path.encoded(table.with_columns(fixed), np.flatnonzero(touched).tolist())
        changed: dict[str, Forced] = {
            names[j]: after[:, j].copy() for j in np.flatnonzero(touched)
        }
        return changed, list(changed), [schema.named(each) for each in alone]
    large = is_large(n_draws, len(table))
    kept = deepcopy(path.steps) if large else path.steps  # a later fit changes them in place
    steps = Steps(kept, schema, table, forced, n_draws)
    for k, chunk in enumerate(slices(len(table), rows_of_chunk(steps.n_draws))):
        touched |= differ(steps.chunk(k, chunk), before[chunk]).any(axis=(0, 1))
        if large:  # the rest is computed when it is asked for
            break
    alone = _alone(path, units, forced, touched)
    touched = np.any([touched, *alone], axis=0)
    may_move = touched | (large and path.fitted.model.graph is None)
    if large:
        steps = replace(steps, untouched=np.flatnonzero(~may_move), before=before)
    drawn: dict[str, Forced] = {n: Column(steps, names.index(n)) for n in schema.named(may_move)}
    return drawn, schema.named(touched), [schema.named(each) for each in alone]


def _alone(
    path: Path, units: Units, forced: Raw, touched: NDArray[np.bool_]
) -> list[NDArray[np.bool_]]:
    """Return which columns of the model move with each forced one; refuse one that moves none."""
    some, before = units.table.take(slice(0, _TRIED)), units.values[:_TRIED]
    schema, found = path.fitted.model.schema, []
    for j, values in forced.items():
        name, own = some.names[j], touched if len(forced) == 1 else touched & False
        if not path.steps or schema.labels is not None:
            own = own | np.isin(schema.names, name)
        if len(forced) > 1:
            tried = [moved_rows(some, [j])]
            if not isinstance(values, Drawn):
                tried.append({j: np.broadcast_to(values, len(units.table))[:_TRIED]})
            moved = [differ(path.encoded(some.with_columns(each)), before) for each in tried]
            own = own | np.any(moved, axis=(0, 1))
        if not own.any():
            follow = found_to_move(path.encoded, units.table, j)
            if follow is not None and not follow.any():
                raise ValueError(
                    f"do: the steps before the model drop {name!r}, so that forcing it changes "
                    "nothing; let them keep it (a ColumnTransformer drops what it does not name, "
                    "but with remainder='passthrough')"
                )
            own = own if follow is None else follow
        found.append(own)
    return found


def columns_moved(path: Path, units: Units, j: int) -> list[str]:
    """Return the columns of the model that the steps make of a raw column."""
    some, before = units.table.take(slice(0, _TRIED)), units.values[:_TRIED]
    moved = differ(path.encoded(some.with_columns(moved_rows(some, [j]))), before).any(axis=0)
    if not moved.any():
        found = found_to_move(path.encoded, units.table, j)
        moved = moved if found is None else found
    return path.fitted.model.schema.named(moved)


def _following(
    path: Path, units: Units, columns: Collection[Hashable], forced: Raw
) -> frozenset[Hashable]:
    """Return the raw columns of which the steps make columns that follow what is forced."""
    if not path.steps or not columns:
        return frozenset(columns)
    some, schema = units.table.take(slice(0, _TRIED)), path.fitted.model.schema
    at = [schema.position(column) for column in columns]
    before = units.values[: len(some), at]
    return frozenset(columns).union(
        (some.names if some.labels is None else some.labels)[j]
        for j in range(len(some.names))
        if j not in forced
        and differ(path.encoded(some.with_columns(moved_rows(some, [j])))[:, at], before).any()
    )


def _derived(path: Path, units: Units, forced: Raw, changed: Collection[str]) -> list[str]:
    """Return the columns of the model that steps derive from forced ones, if any, alone.

    Others, such as products with a covariate, go where it goes as well, and say nothing of their
    own.
    """
    if not path.steps:
        return []
    some = units.table.take(slice(0, _TRIED))
    others = [j for j in range(len(some.names)) if j not in forced]
    elsewhere = path.encoded(some.with_columns(moved_rows(some, others)))
    mixed = differ(elsewhere, units.values[:_TRIED]).any(axis=0)
    names = path.fitted.model.schema.names
    return [name for name in changed if not mixed[names.index(name)]] or list(changed)


def _in_raw_units(support: Support, forced: Raw, table: Table) -> Support:
    """Return the same with a reason in terms of the raw columns that the user forces."""
    if not support.reasons:
        return support
    said = []
    for values in forced.values():
        if isinstance(values, Drawn):
            said.append("draws")
        elif values.dtype.kind in "iuf":
            least, most = np.nanmin(values), np.nanmax(values)
            said.append(extrapolation.spread(f"{least:g}", f"{most:g}"))
        else:
            said.append(listed(pd.Series(values.ravel()).dropna().unique()))
    labels = range(len(table.names)) if table.labels is None else table.labels
    forcing = (f"{labels[j]!r} is forced to {to}" for j, to in zip(forced, said, strict=True))
    why = f"{' and '.join(forcing)}; what the steps make of that was not seen in such rows"
    return replace(support, reasons=(why,))


def _refuse_mixed_graph(path: Path, changed: Mapping[str, Forced]) -> None:
    """Refuse steps that derive one node of a graph from another, which the graph cannot know."""
    graph = path.fitted.model.graph
    if graph is None or not path.steps:
        return
    outside = [name for name in changed if name not in graph.nodes]
    inside = [name for name in changed if name in graph.nodes]
    related = [name for name in inside if set(inside) & graph.descendants(name)]
    if outside or related:
        raise ValueError(
            f"the steps before the model derive {listed(changed)} from what is forced, so that "
            "the graph over these columns does not say what the intervention does; put the steps "
            "into the model with design="
        )


def _reads(do: Mapping[Any, Any], table: Table, fitted: Fitted) -> frozenset[str]:
    """Return the columns of the model that policies read; none matter without a graph."""
    names = fitted.model.schema.names
    if fitted.model.graph is None:
        return frozenset()
    raw = names if table.labels is None else table.names
    read = frozenset(raw[j] for j in columns_read(do, table))
    if not read <= set(names):
        raise ValueError(
            f"do reads column {listed(sorted(read - set(names)))}, which the steps before the "
            "model turn into others, so that the graph does not say whether it may; put the steps "
            "into the model with design="
        )
    return read
