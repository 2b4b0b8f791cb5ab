"""All that linear Gaussian equations see of the rows so far, whatever batches they came in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from interventional.data.cells import Cells
from interventional.data.design import TreatmentCoding
from interventional.data.kept import Kept
from interventional.data.schema import Schema
from interventional.data.seen import Factor, SufficientStatistics
from interventional.numbers import Floats

_ROWS = 1 << 16  # rows that are coded at a time

# A column of the factor: a column and its level, None where it is one of numbers.
Coded = tuple[int, Any]


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
    cells : Cells or None
        How many rows had which combination of few-valued columns; None if that is not known.
    named : str or None
        What the user's Series of outcomes was called, of the first rows that came.
    kept : Kept or None
        Some of the rows themselves.
    """

    schema: Schema
    columns: tuple[int, ...]
    factor: Factor
    cells: Cells | None = None
    named: str | None = None
    kept: Kept | None = None

    @classmethod
    def of(
        cls,
        schema: Schema,
        columns: tuple[int, ...],
        values: Floats,
        target: Floats,
        weights: Floats | None,
        named: str | None = None,
        kept: Kept | None = None,
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
        named : str, optional
            What the user's Series of outcomes is called.
        kept : Kept, optional
            Some of the rows themselves.
        """
        coding = _coding(schema, columns)

        def blocks() -> Iterator[tuple[Floats, Floats, Floats | None]]:
            for start in range(0, len(values), _ROWS):
                rows = slice(start, start + _ROWS)
                block = coding.matrix(values[rows][:, columns])
                yield block, target[rows], None if weights is None else weights[rows]

        factor = Factor.of(blocks(), len(coding.picks) + 1)
        cells = Cells.of(schema, columns, values, weights)
        return cls(schema, columns, factor, cells, named, kept)

    def __add__(self, other: "Accumulated") -> "Accumulated":
        """Return what both one's rows and the other's are."""
        if self.columns != other.columns:
            raise ValueError(
                "the graph has come to use other columns than in the batches before; call fit"
            )
        if self.named and other.named and self.named != other.named:
            raise ValueError(
                f"y is called {other.named!r}; in the batches before it was {self.named!r}. If it "
                "is the same outcome, rename it"
            )
        schema = self.schema.merge(other.schema)
        cells = None
        if self.cells is not None and other.cells is not None:
            cells = self.cells.merged(other.cells, self.schema, other.schema, schema)
        kept = None
        if self.kept is not None and other.kept is not None:
            kept = self.kept.merged(other.kept, self.schema, other.schema, schema)
        factor = self._coded_as(schema) + other._coded_as(schema)
        return Accumulated(schema, self.columns, factor, cells, self.named, kept)

    @property
    def positions(self) -> dict[int, slice]:
        """Where each column stands in the factor: its numbers, or an indicator a level."""
        at = [j for j, _ in self._own()]
        return {j: slice(at.index(j), at.index(j) + at.count(j)) for j in self.columns}

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
        own = self._own()
        regressors = [own[key] for key in _coded(design, columns)]
        of_node = len(own) if node is None else own[node, None]
        return self.factor.select([*regressors, of_node]).statistics(intercept=intercept)

    def _own(self) -> dict[Coded, int]:
        """Return where each column of the factor stands, but the outcome."""
        coded = _coded(_coding(self.schema, self.columns), self.columns)
        return {key: k for k, key in enumerate(coded)}

    def _coded_as(self, schema: Schema) -> Factor:
        """Return the factor with the columns that another schema has."""
        own = self._own()
        coded = _coded(_coding(schema, self.columns), self.columns)
        return self.factor.select([*map(own.get, coded), len(own)])


def _coding(schema: Schema, columns: tuple[int, ...]) -> TreatmentCoding:
    """Return numbers as they are, and an indicator for every level."""
    return TreatmentCoding(schema.subset(columns), pooled=tuple(range(len(columns))))


def _coded(coding: TreatmentCoding, columns: tuple[int, ...]) -> list[Coded]:
    """Return what each term of a coding of some columns is of."""
    levels = coding.schema.categories
    return [(columns[j], None if code is None else levels(j)[code]) for j, code in coding.picks]
