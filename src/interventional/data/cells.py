"""How many rows held which combination of values, of the columns that have few."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.data.schema import MANY_LEVELS, Schema
from interventional.numbers import Floats

_CELLS = 2048  # combinations that are counted; where there are more, fewer columns take part
_SOME = 1000  # rows that tell most columns of many values


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts of the combinations of values that occur.

    Columns take part in a fixed order, levels and bools before numbers, as long as there are no
    more than so many combinations: what takes part does not depend on the batches rows came in.

    Attributes
    ----------
    columns : tuple of int
        The columns that take part.
    values : tuple of ndarray
        The values that occur in each, ascending; codes of a column of levels.
    codes : ndarray of uint8, shape (cells, columns)
        Which of its values each column has.
    weights : ndarray of shape (cells,)
        Sums of the rows' weights.
    """

    columns: tuple[int, ...]
    values: tuple[Floats, ...]
    codes: NDArray[np.uint8]
    weights: Floats

    @classmethod
    def of(
        cls, schema: Schema, columns: tuple[int, ...], values: Floats, weights: Floats | None
    ) -> "Cells":
        """Count encoded rows.

        Parameters
        ----------
        schema : Schema
            What the columns are.
        columns : tuple of int
            The columns that equations use.
        values : ndarray of shape (n, all columns)
            Encoded rows.
        weights : ndarray of shape (n,), optional
            Frequencies of the rows.
        """
        if weights is None:
            weights = np.ones(len(values))
        ordered = _ordered(schema, columns)
        some = np.sort(values[:_SOME][:, ordered], axis=0)
        distinct = 1 + np.count_nonzero(np.diff(some, axis=0), axis=0)
        few = np.asarray(ordered, dtype=np.intp)[distinct <= MANY_LEVELS].tolist()
        return _counted({j: values[:, j] for j in few}, weights)

    def merged(self, other: "Cells", ours: Schema, theirs: Schema, both: Schema) -> "Cells":
        """Return the counts of both one's rows and the other's.

        Parameters
        ----------
        other : Cells
            The other rows' counts.
        ours, theirs, both : Schema
            What the columns are here, there, and in both.
        """
        shared = set(self.columns) & set(other.columns)
        columns = {}
        for j in _ordered(both, tuple(shared)):
            parts = [cells._column(j, s, both) for cells, s in ((self, ours), (other, theirs))]
            columns[j] = np.concatenate(parts)
        return _counted(columns, np.concatenate([self.weights, other.weights]))

    def _column(self, j: int, schema: Schema, both: Schema) -> Floats:
        """Return the value of a column in each cell, levels as another schema codes them."""
        k = self.columns.index(j)
        held = self.values[k][self.codes[:, k]]
        before, now = schema.levels[j], both.levels[j]
        if before is None or now is None or before == now:
            return held
        return np.array([now.index(level) for level in before], dtype=np.float64)[
            held.astype(np.intp)
        ]


def _ordered(schema: Schema, columns: tuple[int, ...]) -> list[int]:
    """Return columns that may have few values, in an order that is theirs wherever they stand."""

    def key(j: int) -> Any:
        numbers = schema.levels[j] is None and schema.dtypes[j] != "bool"
        return numbers, str(schema.names[j])

    return sorted(schema.of_few_levels(columns), key=key)


def _few(column: Floats) -> tuple[Floats, NDArray[np.intp]] | None:
    """Return the distinct values of a column, ascending, and which each is; None if many."""
    import pandas as pd

    codes, found = pd.factorize(np.ascontiguousarray(column))
    if len(found) > MANY_LEVELS:
        return None
    order = np.argsort(found)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return found[order], rank[codes]


def _counted(columns: dict[int, Floats], weights: Floats) -> Cells:
    """Count combinations of values, of as many columns as there may be."""
    kept, values = [], []
    key = np.zeros(len(weights), dtype=np.intp)
    codes = np.zeros((1, 0), dtype=np.uint8)
    for j, column in columns.items():
        few = _few(column)
        if few is None:
            continue
        distinct, which = few
        k = len(distinct)
        fresh = key * k + which
        occurs = np.flatnonzero(np.bincount(fresh, minlength=len(codes) * k))
        if len(occurs) > _CELLS:
            break
        place = np.zeros(len(codes) * k, dtype=np.intp)
        place[occurs] = np.arange(len(occurs))
        key = place[fresh]
        codes = np.column_stack([codes[occurs // k], (occurs % k).astype(np.uint8)])
        kept.append(j)
        values.append(distinct)
    summed = np.bincount(key, weights, minlength=len(codes)).astype(np.float64)
    return Cells(tuple(kept), tuple(values), codes, summed)
