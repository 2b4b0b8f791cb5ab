"""A design that bends: a straight line, and a surface beside it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.data.design import PlainDesign, TreatmentCoding
from interventional.data.grouped import GroupedDesign, Varying
from interventional.data.schema import Schema
from interventional.data.surface import Surface
from interventional.numbers import Floats, dense

SMOOTH = "smooth"  # the word for it


@dataclass(frozen=True, eq=False)
class SmoothDesign:
    """Columns as they are, and what bends over them.

    Attributes
    ----------
    line : TreatmentCoding or GroupedDesign
        The columns as they are, and what is groups' own.
    surface : Surface
        What bends.
    """

    line: TreatmentCoding | GroupedDesign
    surface: Surface

    @classmethod
    def of(
        cls,
        schema: Schema,
        treated: Sequence[str],
        rows: Floats,
        weights: Floats | None,
        grouped: GroupedDesign | None = None,
    ) -> "SmoothDesign":
        """Return the design of rows.

        Parameters
        ----------
        schema : Schema
            What the columns are.
        treated : sequence of str
            The columns that are meant to be forced; those of them that are here.
        rows : ndarray of shape (n, columns)
            Encoded rows.
        weights : ndarray of shape (n,) or None
            Their frequencies.
        grouped : GroupedDesign, optional
            The line, where something differs between groups of rows; nothing bends over these.
        """
        line = TreatmentCoding(schema) if grouped is None else grouped
        own = [schema.names.index(name) for name in treated if name in schema.names]
        for j in own:
            if j in _of_groups(line):
                raise ValueError(
                    f"treatments: {schema.names[j]!r} is a column of groups, whose effects are "
                    "learnt as those of groups; leave it out of one of the two"
                )
        distinct, _, counts = merged(_without(line, rows), weights)
        surface = Surface.of(schema, own, distinct, counts, _of_groups(line))
        return cls(line, surface)

    @property
    def schema(self) -> Schema:
        """What the columns are."""
        return self.line.schema

    @property
    def terms(self) -> tuple[str, ...]:
        """What the terms of the line are called."""
        return self.line.terms

    @property
    def population(self) -> tuple[str, ...]:
        """The terms whose coefficients are the same in all groups of rows."""
        return self.line.population

    @property
    def varying(self) -> tuple[Varying, ...]:
        """What differs between groups of rows."""
        return self.line.varying

    def matrix(self, values: Floats) -> Any:
        """Return the terms of the line at encoded rows; a sparse one where groups are many."""
        return self.line.matrix(values)

    def of_population(self, values: Floats) -> Floats:
        """Return those terms whose coefficients are the same in all groups, (n, terms)."""
        line = self.line
        return (
            line.of_population(values) if isinstance(line, GroupedDesign) else line.matrix(values)
        )

    def span(self, k: int) -> slice:
        """Return where the terms of one kind of groups stand."""
        assert isinstance(self.line, GroupedDesign)
        return self.line.span(k)

    def grown(self, schema: Schema, fresh: Sequence[NDArray[np.intp]]) -> "SmoothDesign":
        """Return the design with groups more, as `GroupedDesign.grown` does."""
        assert isinstance(self.line, GroupedDesign)
        return replace(self, line=self.line.grown(schema, fresh))

    def places(self, values: Floats) -> NDArray[np.intp] | None:
        """Return which landmark each of the distinct rows is; None if these are not all."""
        if not self.surface.are_all:
            return None
        return merged(_without(self.line, values), None)[1]

    def sources(self, values: Floats | None) -> list[set[int]]:
        """Return for each term of the line the one column that it comes from."""
        return self.line.sources(values)

    def ignores(self, j: int, values: Floats | None = None) -> bool:
        """Whether nothing moves with a column."""
        return False

    @property
    def structure(self) -> Hashable:
        """What two designs share if one compiled model serves both: nothing."""
        return self

    def is_linear_in(self, j: int) -> bool:
        """Whether what is expected is linear in a column, given the others: it bends."""
        return False

    def linear_term(self, j: int) -> int | None:
        """Return the one term that a column is: it is in the surface too."""
        return None

    def at(self, values: Floats, scale: Floats, length: Floats) -> Floats:
        """Return the terms of rows, and what weights of the surface are multiplied by."""
        bent = self.surface.matrix(self.surface.inputs(values), scale, length)
        return np.hstack([dense(self.matrix(values), "the terms of groups"), bent])


# The map from encoded columns to the matrix that an equation is linear in, whatever differs.
Design = PlainDesign | GroupedDesign | SmoothDesign


def _of_groups(line: TreatmentCoding | GroupedDesign) -> tuple[int, ...]:
    """Return the positions of the columns of groups."""
    return tuple(sorted({j for part in line.varying for j in part.columns}))


def _without(line: TreatmentCoding | GroupedDesign, rows: Floats) -> Floats:
    """Return rows that differ in no column of groups."""
    if not line.varying:
        return rows
    rows = rows.copy()
    rows[:, _of_groups(line)] = 0.0
    return rows


def merged(rows: Floats, weights: Floats | None) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return the distinct rows in order, which of them each row is, and how often each occurs."""
    distinct, codes = np.unique(rows, axis=0, return_inverse=True)
    codes = codes.ravel().astype(np.intp)
    # sorted: sums must not depend on the order of the rows
    order = slice(None) if weights is None else np.lexsort((weights, codes))
    counts = np.bincount(codes[order], None if weights is None else weights[order], len(distinct))
    known = counts > 0
    if known.all():
        return distinct, codes, np.asarray(counts, dtype=np.float64)
    codes = (np.cumsum(known) - 1)[codes].astype(np.intp)
    return distinct[known], codes, np.asarray(counts[known], dtype=np.float64)
