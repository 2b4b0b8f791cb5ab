"""What is linear in the coefficients of one equation, in closed form: no draws, no chance.

An equation that was drawn from its exact posterior has coefficients which are Gaussian given
sigma, and a posterior of sigma that is known. `Law` is both; `RowLaws` are sums of terms times
coefficients, a row each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interventional.answers.mixtures import Mixture
from interventional.numbers import AT_ONCE, Floats, slices

Rows = slice | NDArray[np.intp]
_BLOCK = 1 << 17  # numbers in the making at a time: what is made of them stays in the cache


@dataclass(frozen=True, eq=False)
class Law:
    """The posterior of an equation's coefficients: Gaussian given sigma, on nodes of sigma.

    Attributes
    ----------
    weights, sigma : ndarray of shape (nodes,)
        Nodes of sigma, and what part of its posterior each stands for.
    means : ndarray of shape (nodes, p)
        What is expected of the coefficients given each; the intercept, at x = 0, comes first where
        there is one.
    basis : ndarray of shape (p, r)
        Directions in which they vary independently of each other, whatever sigma is.
    variances : ndarray of shape (nodes, r)
        How much they do in each.
    has_intercept : bool
        Whether there is one.
    """

    weights: Floats
    sigma: Floats
    means: Floats
    basis: Floats
    variances: Floats
    has_intercept: bool

    @property
    def mean(self) -> Floats:
        """The posterior mean of the coefficients, (p,)."""
        return np.asarray(self.weights @ self.means)

    def equals(self, other: "Law") -> bool:
        """Whether both are one: that of the same posterior, be it from a pickle."""
        return self is other or all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("sigma", "means", "basis")
        )

    def mixture(self, terms: "Terms") -> Mixture:
        """Return the distribution of each row of some terms."""
        mean = self.mean
        loads = np.square(terms.of_law @ self.basis)
        variance = self.variances @ loads.T
        if np.any(terms.noise):
            variance += np.square(self.sigma)[:, None] * np.square(terms.noise)
        shift = (self.means - mean) @ terms.of_law.T
        return Mixture(self.weights, terms.offset + terms.of_law @ mean, shift, np.sqrt(variance))


class Terms(NamedTuple):
    """What some rows are: ``offset + of_law @ coefficients + noise * sigma * z``, z ~ N(0, 1).

    Attributes
    ----------
    offset : ndarray of shape (rows,)
        What is known.
    of_law : ndarray of shape (rows, p)
        What the coefficients are multiplied by.
    noise : ndarray of shape (rows,)
        How much noise there is, independent of other rows'.
    """

    offset: Floats
    of_law: Floats
    noise: Floats

    def at(self, rows: Rows) -> "Terms":
        """Return those of some rows."""
        return Terms(*(each[rows] for each in self))


@dataclass(frozen=True, eq=False)
class RowLaws:
    """The distribution of each row of what is linear in an equation's coefficients.

    Attributes
    ----------
    law : Law or None
        That of the coefficients; None of numbers which have none.
    terms : callable
        From a slice of rows, or positions, to their `Terms`.
    n : int
        How many rows there are.
    has_noise : bool
        Whether there is noise in any.
    """

    law: Law | None
    terms: Callable[[Rows], Terms]
    n: int
    has_noise: bool = False

    @classmethod
    def of(
        cls, law: Law, matrix: Callable[[Rows], Any], n: int, *, has_noise: bool = False
    ) -> "RowLaws":
        """Return those of the terms of an equation, with its intercept, and its noise or none."""

        def terms(rows: Rows) -> Terms:
            found = matrix(rows)
            found = found if isinstance(found, np.ndarray) else found.toarray()
            size = len(found)
            if law.has_intercept:
                found = np.column_stack([np.ones(size), found])
            return Terms(np.zeros(size), found, np.full(size, float(has_noise)))

        return cls(law, terms, n, has_noise)

    @classmethod
    def known(cls, values: Floats, n: int) -> "RowLaws":
        """Return those of numbers, shape () or (n,)."""

        def terms(rows: Rows) -> Terms:
            size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
            offset = values[rows] if values.ndim else np.full(size, float(values))
            return Terms(offset, np.zeros((size, 1)), np.zeros(size))

        return cls(None, terms, n)

    def reduce(self, *reductions: Callable[[Mixture], Floats]) -> tuple[Floats, ...]:
        """Return what functions make of every row, in one pass over blocks of rows."""
        law, parts = self.law, []
        assert law is not None
        for rows in slices(self.n, _BLOCK // max(len(law.weights), law.means.shape[1])):
            mixture = law.mixture(self.terms(rows))
            parts.append([reduction(mixture) for reduction in reductions])
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def held(self) -> "RowLaws | None":
        """Return them as numbers, which nobody else can change; None if these are too many."""
        if self.law is None or self.n * self.law.means.shape[1] > AT_ONCE:
            return None
        return replace(self, terms=Terms(*map(np.array, self.terms(slice(0, self.n)))).at)

    def plus(self, other: "RowLaws", sign: float) -> "RowLaws | None":
        """Return the sum, or the difference if the sign is -1; None of two with noise."""
        if self.has_noise and other.has_noise:
            return None
        if self.law is not None and other.law is not None and not self.law.equals(other.law):
            return None

        def terms(rows: Rows) -> Terms:
            pairs = zip(self.terms(rows), other.terms(rows), strict=True)
            return Terms(*(here + sign * there for here, there in pairs))

        law, has_noise = self.law or other.law, self.has_noise or other.has_noise
        return RowLaws(law, terms, self.n, has_noise)

    def scaled(self, by: Floats) -> "RowLaws | None":
        """Return the product with a number, shape (); None of one a draw, which has no law."""
        return None if by.ndim else self._times(lambda rows: by)

    def weighted(self, by: Floats) -> "RowLaws":
        """Return the product with a number a row, (n,)."""
        return self._times(lambda rows: by[rows])

    def _times(self, by: Callable[[Rows], Floats]) -> "RowLaws":
        def terms(rows: Rows) -> Terms:
            own, found = by(rows), self.terms(rows)
            return Terms(found.offset * own, found.of_law * own[..., None], found.noise * own)

        return replace(self, terms=terms)

    def picked(self, positions: NDArray[np.intp]) -> "RowLaws":
        """Return those of some rows, in the order of their positions."""
        return replace(self, terms=lambda rows: self.terms(positions[rows]), n=len(positions))

    def repeated(self, n: int) -> "RowLaws | None":
        """Return those of one row as often as there are others; None if it has noise."""
        return None if self.has_noise else self.picked(np.zeros(n, dtype=np.intp))


def one_below_the_other(parts: Sequence["RowLaws | None"]) -> "RowLaws | None":
    """Return those of few rows and of others, as numbers; None if one of them has none."""
    known = [part.held() for part in parts if part is not None]
    first = known[0] if known else None
    if first is None or first.law is None or len(known) < len(parts):
        return None
    for part in known:
        if part is None or part.law is None or not part.law.equals(first.law):
            return None
    found = [part.terms(slice(0, part.n)) for part in known if part is not None]
    terms = Terms(*map(np.concatenate, zip(*found, strict=True)))
    has_noise = any(part.has_noise for part in known if part is not None)
    return RowLaws(first.law, terms.at, len(terms.offset), has_noise)
