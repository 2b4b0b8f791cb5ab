"""An intervention on rows as a value: what is forced, and what that reaches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from interventional.answers.samples import Chunked
from interventional.graph.choice import Regression
from interventional.numbers import Floats


@dataclass(frozen=True)
class Query:
    """An intervention on rows, and what it reaches.

    Attributes
    ----------
    values : ndarray of shape (n, columns)
        Encoded rows as they were observed.
    forced : mapping
        What each column is forced to, of shape (n,), or samples if it differs by draw; for a
        chunk of rows (rows,) or (draws, rows).
    regenerated : tuple of str
        The columns that the intervention reaches, in topological order, without the outcome.
    seed : int
        Source of noise: equal seeds give equal noise, node by node and row by row, so that
        contrasts are paired.
    chunk : int
        Which chunk of rows this is: part of the key of its noise.
    own : Regression or None
        The regression that answers, where the equations do not.
    """

    values: Floats
    forced: Mapping[str, Floats | Chunked]
    regenerated: tuple[str, ...] = ()
    seed: int = 0
    chunk: int = 0
    own: Regression | None = None

    @property
    def differs_by_draw(self) -> bool:
        """Whether any column is forced to other values in each draw."""
        return any(isinstance(value, Chunked) for value in self.forced.values())

    @property
    def has_draws(self) -> bool:
        """Whether, in a chunk of rows, any column is forced to other values in each draw."""
        return any(np.asarray(value).ndim == 2 for value in self.forced.values())

    def at(self, k: int, rows: slice) -> "Query":
        """Return the same question of the k-th chunk of rows."""
        forced = {
            name: value.chunk(k, rows) if isinstance(value, Chunked) else value[rows]
            for name, value in self.forced.items()
        }
        return Query(self.values[rows], forced, self.regenerated, self.seed, k)

    def of_rows(self, rows: NDArray[np.intp], draws: slice = slice(None)) -> "Query":
        """Return the same question of some rows of a chunk, in some draws."""
        forced = {
            name: value[rows] if value.ndim == 1 else value[draws][:, rows]
            for name, value in ((name, np.asarray(v)) for name, v in self.forced.items())
        }
        return replace(self, values=self.values[rows], forced=forced)

    def forcing(self, put: Mapping[str, Floats]) -> "Query":
        """Return the same with mediators put at some values: none of them is regenerated."""
        return replace(self, forced={**self.forced, **put}, regenerated=())
