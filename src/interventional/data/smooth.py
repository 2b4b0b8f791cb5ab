"""A design that bends: a straight line, and a surface beside it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.data.surface import Surface
from interventional.numbers import Floats

SMOOTH = "smooth"  # the word for it


@dataclass(frozen=True, eq=False)
class SmoothDesign:
    """Columns as they are, and what bends over them.

    Attributes
    ----------
    line : TreatmentCoding
        The columns as they are.
    surface : Surface
        What bends.
    """

    line: TreatmentCoding
    surface: Surface

    @classmethod
    def of(
        cls,
        schema: Schema,
        treated: Sequence[str],
        rows: Floats,
        weights: Floats | None,
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
        """
        distinct, _, counts = merged(rows, weights)
        own = [schema.names.index(name) for name in treated if name in schema.names]
        return cls(TreatmentCoding(schema), Surface.of(schema, own, distinct, counts))

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
        """The terms whose coefficients are the same in all groups of rows: all."""
        return self.line.terms

    @property
    def varying(self) -> tuple[Any, ...]:
        """What differs between groups of rows: nothing."""
        return ()

    def matrix(self, values: Floats) -> Floats:
        """Return the terms of the line at encoded rows."""
        return self.line.matrix(values)

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
        return np.hstack(
            [self.matrix(values), self.surface.matrix(self.surface.inputs(values), scale, length)]
        )


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
