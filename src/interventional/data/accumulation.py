"""All that linear Gaussian equations see of the rows so far, whatever batches they came in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.data.seen import Factor, SufficientStatistics
from interventional.numbers import Floats

_ROWS = 1 << 16  # rows that are coded at a time

# A column of the factor: a column of numbers, or a level of one.
Coded = tuple[int, Any]
_NUMBERS = object()


@dataclass(frozen=True)
class Accumulated:
    """What the columns of some rows are, and their triangular factor.

    A column of levels has an indicator for each level, the first included: a batch may lack levels
    that others have, and which level is the first is known at the end.

    Attributes
    ----------
    schema : Schema
        What the columns are.
    columns : tuple of int
        The columns that equations use.
    factor : Factor
        Of numbers and indicators, and the outcome as the last column.
    """

    schema: Schema
    columns: tuple[int, ...]
    factor: Factor

    @classmethod
    def of(
        cls,
        schema: Schema,
        columns: tuple[int, ...],
        values: Floats,
        target: Floats,
        weights: Floats | None,
    ) -> "Accumulated":
        """Reduce encoded rows.

        Parameters
        ----------
        schema : Schema
            What the columns are.
        columns : tuple of int
            The columns that equations use.
        values : ndarray of shape (n, all columns)
            Encoded rows.
        target : ndarray of shape (n,)
            The outcome.
        weights : ndarray of shape (n,), optional
            Frequencies of the rows.
        """
        coded = list(_coded(schema, columns))
        as_they_are = not schema.has_levels and columns == tuple(range(values.shape[1]))

        def blocks() -> Iterator[tuple[Floats, Floats, Floats | None]]:
            for start in range(0, len(values), _ROWS):
                rows = slice(start, start + _ROWS)
                block = values[rows]
                if not as_they_are:
                    block = _indicators(schema, coded, block)
                yield block, target[rows], None if weights is None else weights[rows]

        return cls(schema, columns, Factor.of(blocks(), len(coded) + 1))

    def __add__(self, other: "Accumulated") -> "Accumulated":
        """Return what both one's rows and the other's are."""
        if self.columns != other.columns:
            raise ValueError(
                "the graph has come to use other columns than in the batches before; call fit"
            )
        schema = self.schema.merge(other.schema)
        return Accumulated(schema, self.columns, self._coded_as(schema) + other._coded_as(schema))

    @property
    def positions(self) -> dict[int, slice]:
        """Where each column stands in the factor: its numbers, or an indicator a level."""
        found, start = {}, 0
        for j in self.columns:
            levels = self.schema.levels[j]
            stop = start + (1 if levels is None else len(levels))
            found[j] = slice(start, stop)
            start = stop
        return found

    def statistics(
        self, design: TreatmentCoding, columns: tuple[int, ...], node: int | None, intercept: bool
    ) -> SufficientStatistics:
        """Return the sufficient statistics of one equation.

        Parameters
        ----------
        design : TreatmentCoding
            The equation's design, of `columns`.
        columns : tuple of int
            Its regressors.
        node : int or None
            The column that it is of; None for the outcome.
        intercept : bool
            Whether it has an intercept.
        """
        coded = {key: k for k, key in enumerate(_coded(self.schema, self.columns))}
        wanted: list[int | None] = []
        for j, code in design.picks:
            levels = design.schema.levels[j]
            what = _NUMBERS if levels is None or code is None else levels[code]
            wanted.append(coded[columns[j], what])
        wanted.append(len(coded) if node is None else coded[node, _NUMBERS])
        return self.factor.select(wanted).statistics(intercept=intercept)

    def _coded_as(self, schema: Schema) -> Factor:
        """Return the factor with the columns that another schema has."""
        own = {key: k for k, key in enumerate(_coded(self.schema, self.columns))}
        wanted = [own.get(key) for key in _coded(schema, self.columns)]
        return self.factor.select([*wanted, len(own)])


def _coded(schema: Schema, columns: tuple[int, ...]) -> Iterator[Coded]:
    """Iterate over the columns of the factor but the outcome."""
    for j in columns:
        levels = schema.levels[j]
        if levels is None:
            yield j, _NUMBERS
        else:
            for level in levels:
                yield j, level


def _indicators(schema: Schema, coded: list[Coded], block: Floats) -> Floats:
    made = np.empty((len(block), len(coded)), order="F")
    for k, (j, level) in enumerate(coded):
        levels = schema.levels[j]
        if levels is None:
            made[:, k] = block[:, j]
        else:
            made[:, k] = block[:, j] == levels.index(level)
    return made
