"""Posterior samples of many rows, had block by block: what `Outcomes` are made of.

Draws times rows may be more numbers than memory holds. `Samples` are therefore asked for blocks of
rows, or for what comes of all rows: a number or two a row, averages over rows in each draw. What
is linear in known terms answers some of that in closed form, and more where the posterior of its
coefficients is known in closed form, too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interventional.answers.law import RowLaws, Rows, Terms
from interventional.answers.mixtures import Mixture
from interventional.answers.reductions import Reduction, Std, Summary, mean
from interventional.numbers import (
    SMALLEST,
    Floats,
    beside,
    blocks,
    is_large,
    refuse_too_many,
    rows_of_chunk,
    side_by_side,
)

_FACTORED = 500  # terms of which a factor is cheaper than samples
_AVERAGED = 64  # numbers that a row of sparse terms takes while it is averaged
_FEW = 0.1  # of a matrix that is better a sparse one


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows in groups to be averaged over, with weights.

    Attributes
    ----------
    codes : ndarray of shape (n,)
        The group of each row: 0, 1, ….
    labels : array-like of shape (groups,), or DataFrame
        The groups: categories in their order, others sorted; a DataFrame if they are by several
        columns.
    shares : ndarray of shape (n,)
        What part of its group's average a row is; those of a group add up to one.
    totals : ndarray of shape (groups,)
        Sums of weights, divided by the largest weight: sums of large ones overflow.
    unit : float
        That weight. A group of no weight has a total of zero, and shares of zero.
    """

    codes: NDArray[np.intp]
    labels: Any
    shares: Floats
    totals: Floats
    unit: float

    @classmethod
    def of(cls, weights: Floats, by: Any = None) -> "Groups":
        """Return the groups that rows are in, (n,) or a DataFrame of them, or one of all."""
        codes: NDArray[np.intp] = np.zeros(len(weights), dtype=np.intp)
        labels: Any = np.array(["average"], dtype=object)
        if isinstance(by, pd.DataFrame):
            columns = [_codes(column) for _, column in by.items()]
            sizes = [len(found) for _, found in columns]
            together = np.ravel_multi_index([codes for codes, _ in columns], sizes)
            _, first, codes = np.unique(together, return_index=True, return_inverse=True)
            labels = by.iloc[first].reset_index(drop=True)
        elif by is not None:
            codes, labels = _codes(by)
        unit = max(float(weights.max()), SMALLEST)
        weights = weights / unit
        totals = np.bincount(codes, weights, minlength=len(labels))
        shares = weights / np.where(totals > 0, totals, 1.0)[codes]
        return cls(codes, labels, shares, totals, unit)

    def add(self, values: Floats, rows: slice, total: Floats) -> None:
        """Add some rows' part to the averages.

        Parameters
        ----------
        values : ndarray or sparse array of shape (m, rows)
            What is averaged over rows.
        rows : slice
            Which rows these are.
        total : ndarray of shape (m, groups)
            What they are added to, in place.
        """
        shares = self.shares[rows]
        if len(self.labels) == 1:
            total[:, 0] += values @ shares
            return
        # Only groups that occur here: a matrix of rows by groups would be larger than the data.
        codes = self.codes[rows]
        if not isinstance(values, np.ndarray):
            from scipy import sparse

            of_row = (shares, codes, np.arange(len(codes) + 1))
            own = sparse.csr_array(of_row, shape=(len(codes), len(self.labels)))
            found = (values @ own).tocoo()
            total[found.row, found.col] += found.data
            return
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        weighted = values[:, order] * shares[order]
        total[:, present] += np.add.reduceat(weighted, starts, axis=1)


def _codes(by: Any) -> tuple[NDArray[np.intp], Any]:
    """Return the group of each row as a number, and what the groups are, in order."""
    codes, labels = pd.factorize(by, sort=True)
    if (codes < 0).any():
        raise ValueError(f"by has a missing value in row {int(np.argmax(codes < 0))}")
    return codes, labels


class Samples:
    """Samples of shape (n_draws, n); a child says what a block of rows of them is."""

    n_draws: int
    n: int

    def block(self, rows: slice) -> Floats:
        """Return the samples of consecutive rows, (n_draws, rows); not to be changed."""
        raise NotImplementedError

    def linear(self) -> "Closed | None":
        """Return the samples in closed form, where they are linear in known terms."""
        return None

    def marginals(self) -> RowLaws | None:
        """Return the distribution of each row, where it is known without draws."""
        return None

    def mean(self) -> Floats:
        """Return the mean of each row, (n,)."""
        linear = self.linear()
        if linear is not None:
            return linear.mean()
        marginals = self.marginals()
        return self.reduce(mean)[0] if marginals is None else marginals.reduce(Mixture.mean)[0]

    def std(self) -> Floats:
        """Return the standard deviation of each row, (n,): of draws with Bessel's correction."""
        _refuse_one_draw(self.n_draws)
        linear = self.linear()
        if linear is None or self.marginals() is not None:
            return self.asked(Std())
        return linear.std()

    def asked(self, summary: Summary) -> Floats:
        """Return a summary of each row, (n, ...), in closed form where there is one."""
        marginals = self.marginals()
        if marginals is not None:
            return marginals.reduce(summary.of_law)[0]
        return self.reduce(summary)[0]

    def summary(self, interval: Summary) -> tuple[Floats, Floats, Floats]:
        """Return mean, standard deviation and interval of each row, in one pass."""
        _refuse_one_draw(self.n_draws)
        marginals = self.marginals()
        if marginals is not None:
            of = Mixture.mean, Mixture.std, interval.of_law
            return marginals.reduce(*of)  # type: ignore[return-value]
        if self.linear() is not None:
            return self.mean(), self.std(), self.asked(interval)
        return self.reduce(mean, Std(), interval)  # type: ignore[return-value]

    def average(self, groups: Groups) -> Floats:
        """Return averages over rows inside each draw, (n_draws, groups)."""
        refuse_too_many(self.n_draws, len(groups.labels), "groups", "average by fewer groups")
        linear = self.linear()
        if linear is not None:
            return linear.average(groups)
        total = np.zeros((self.n_draws, len(groups.labels)))
        for rows in blocks(self.n, self.n_draws):
            groups.add(self.block(rows), rows, total)
        return total

    def reduce(self, *reductions: Reduction) -> tuple[Floats, ...]:
        """Return what each function makes of every row, in one pass over blocks of rows.

        Parameters
        ----------
        *reductions : callable
            From (n_draws, rows) to (rows, ...).
        """
        parts = []
        for rows in blocks(self.n, self.n_draws):
            block = self.block(rows)
            parts.append([reduction(block) for reduction in reductions])
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def at(self, positions: NDArray[np.intp]) -> "Samples":
        """Return the samples of some rows, given by their positions in ascending order, held."""
        linear = self.linear()
        if linear is not None:
            return Held(linear.samples(positions))
        out = np.empty((self.n_draws, len(positions)))
        size = rows_of_chunk(self.n_draws)
        start = int(positions[0]) // size * size
        for each in blocks(int(positions[-1]) + 1 - start, self.n_draws):
            rows = slice(start + each.start, start + each.stop)
            first, last = np.searchsorted(positions, [rows.start, rows.stop])
            if last > first:
                out[:, first:last] = self.block(rows)[:, positions[first:last] - rows.start]
        return Held(out)

    def held(self) -> Floats:
        """Return all samples, unless they are too many to be held.

        They are put together block by block: no side of a contrast is held whole.
        """
        refuse_too_many(
            self.n_draws,
            self.n,
            "rows",
            "mean, std, quantile, interval, probability, average and summary work without; for "
            "draws ask for fewer rows at a time, or fit with fewer draws",
        )
        out = np.empty((self.n_draws, self.n))
        for rows in blocks(self.n, self.n_draws):
            out[:, rows] = self.block(rows)
        return out


class Held(Samples):
    """Samples in memory, of shape (n_draws, n), and what is known of each row without them."""

    def __init__(self, values: Floats, known: RowLaws | None = None):
        self.values, self._known = values, known
        self.n_draws, self.n = values.shape

    def marginals(self) -> RowLaws | None:
        """Return what is known of each row."""
        return self._known

    def block(self, rows: slice) -> Floats:
        """Return the samples of consecutive rows."""
        return self.values[:, rows]

    def held(self) -> Floats:
        """Return the samples."""
        return self.values


class Chunked(Samples):
    """Samples that are computed chunk by chunk.

    Chunks are the same whatever rows are asked for, so that each can have noise of its own.
    """

    def chunk(self, k: int, rows: slice) -> Floats:
        """Return the samples of the k-th chunk of rows, (n_draws, rows)."""
        raise NotImplementedError

    def block(self, rows: slice) -> Floats:
        """Return the samples of consecutive rows."""
        size = rows_of_chunk(self.n_draws)
        out = np.empty((self.n_draws, rows.stop - rows.start))
        for k in range(rows.start // size, -(-rows.stop // size)):
            chunk = slice(k * size, min((k + 1) * size, self.n))
            values = self.chunk(k, chunk)  # one at a time: to hold them all takes twice as long
            if chunk == rows:
                return values
            start, stop = max(chunk.start, rows.start), min(chunk.stop, rows.stop)
            here = slice(start - chunk.start, stop - chunk.start)
            out[:, start - rows.start : stop - rows.start] = values[:, here]
        return out

    def thinned(self, n_draws: int) -> "Chunked":
        """Return fewer draws from the same distribution: forced values can be had so."""
        raise NotImplementedError

    def first_chunk(self) -> Floats:
        """Return the samples of the first chunk of rows: what is wrong tends to show there."""
        return self.chunk(0, slice(0, min(rows_of_chunk(self.n_draws), self.n)))


@dataclass(frozen=True, eq=False)
class Linear:
    """Samples ``matrix @ coefficients[draw] + intercept[draw]``, and what of them is closed form.

    Attributes
    ----------
    matrix : callable
        From a slice of rows, or positions, to their terms, (rows, terms); they may be sparse.
    n : int
        How many rows there are.
    coefficients : ndarray of shape (n_draws, terms)
        Samples of the coefficients.
    intercept : ndarray of shape (n_draws,)
        Samples of the intercept.
    """

    matrix: Callable[[Rows], Floats]
    n: int
    coefficients: Floats
    intercept: Floats

    def mean(self) -> Floats:
        """Return the mean of each row: its terms times the means of the coefficients."""
        coefficients, intercept = self.coefficients.mean(axis=0), self.intercept.mean()
        of_rows = (self.matrix(r) @ coefficients for r in self._blocks(_AVERAGED))
        return np.concatenate(list(of_rows)) + intercept

    def std(self) -> Floats:
        """Return the standard deviation of each row, from the covariance of the coefficients.

        The covariance is that of a triangular factor of the samples and is never formed: far from
        zero, intercept and coefficients nearly cancel, and their squares would lose all digits.
        """
        if self.coefficients.shape[1] > _FACTORED:
            parts = [self.samples(rows).std(axis=0, ddof=1) for rows in self._blocks()]
            return np.concatenate(parts)
        samples = np.column_stack([self.coefficients, self.intercept])
        samples = samples - samples.mean(axis=0)
        factor = np.linalg.qr(samples, mode="r").T
        parts = [
            np.sqrt(np.square(self.matrix(r) @ factor[:-1] + factor[-1]).sum(axis=1))
            for r in self._blocks()
        ]
        return np.concatenate(parts) / np.sqrt(np.float64(len(samples) - 1))

    def average(self, groups: Groups) -> Floats:
        """Return averages over rows inside each draw: of the averages of the terms."""
        total = np.zeros((self.coefficients.shape[1], len(groups.labels)))
        for rows in self._blocks(_AVERAGED):
            groups.add(self.matrix(rows).T, rows, total)
        held: Any = total
        if np.count_nonzero(total) < _FEW * total.size:
            from scipy import sparse

            held = sparse.csc_array(total)
        return self.coefficients @ held + self.intercept[:, None]

    def samples(self, rows: Rows) -> Floats:
        """Return the samples of some rows, (n_draws, rows)."""
        return self.coefficients @ self.matrix(rows).T + self.intercept[:, None]

    def plus(self, other: "Linear", sign: float) -> "Linear":
        """Return the sum, or the difference if the sign is -1, draw by draw."""
        intercept = self.intercept + sign * other.intercept
        if not other.coefficients.shape[1]:
            return replace(self, intercept=intercept)
        is_same = np.array_equal(self.coefficients, other.coefficients)  # which cancel exactly

        def matrix(rows: Rows) -> Floats:
            here, there = self.matrix(rows), other.matrix(rows)
            if is_same:
                return here + there if sign > 0 else here - there
            return beside([here, there if sign > 0 else -there])

        both = np.hstack([self.coefficients, other.coefficients])
        return Linear(matrix, self.n, self.coefficients if is_same else both, intercept)

    def scaled(self, by: Floats) -> "Linear":
        """Return the product with a number, shape (), or with one a draw, (n_draws,)."""
        coefficients = self.coefficients * (by[:, None] if by.ndim else by)
        return replace(self, coefficients=coefficients, intercept=self.intercept * by)

    def weighted(self, by: Floats) -> "Linear":
        """Return the product with a number a row, (n,): the intercept becomes a term."""

        def matrix(rows: Rows) -> Floats:
            own, terms = by[rows], self.matrix(rows)
            return beside([_row_by_row(own, terms), own[:, None]])

        coefficients = np.column_stack([self.coefficients, self.intercept])
        return Linear(matrix, self.n, coefficients, np.zeros_like(self.intercept))

    def picked(self, positions: NDArray[np.intp]) -> "Linear":
        """Return the samples of some rows, in the order of their positions."""
        return replace(self, matrix=lambda rows: self.matrix(positions[rows]), n=len(positions))

    def of_draws(self, draws: NDArray[np.intp]) -> "Linear":
        """Return some of the draws."""
        own = self.coefficients[draws], self.intercept[draws]
        return Linear(self.matrix, self.n, *own)

    def _blocks(self, sparse_width: int | None = None) -> Iterator[slice]:
        """Iterate over rows: of sparse terms, so many that samples fit, or so wide ones do."""
        width = self.coefficients.shape[1] + 1
        if width > _FACTORED and not isinstance(self.matrix(slice(0, 1)), np.ndarray):
            width = sparse_width or len(self.coefficients)
        return blocks(self.n, width)


@dataclass(frozen=True, eq=False)
class Parts:
    """Samples some draws of which are linear in other terms than others, in closed form.

    Attributes
    ----------
    draws : tuple of ndarray
        Which draws each part is; each draw is of one.
    parts : tuple of Linear
        Those draws.
    """

    draws: tuple[NDArray[np.intp], ...]
    parts: tuple[Linear, ...]

    @property
    def n_draws(self) -> int:
        """How many draws there are."""
        return sum(map(len, self.draws))

    def mean(self) -> Floats:
        """Return the mean of each row."""
        share = [len(draws) / self.n_draws for draws in self.draws]
        return np.asarray(sum(s * p.mean() for s, p in zip(share, self.parts, strict=True)))

    def std(self) -> Floats:
        """Return the standard deviation of each row: within parts, and between them."""
        mean: Floats | float = 0.0
        squares: Floats | float = 0.0  # about the mean of the draws so far (Chan et al. 1983)
        n = 0
        for draws, part in zip(self.draws, self.parts, strict=True):
            own, size = part.mean(), len(draws)
            if size > 1:
                squares = squares + (size - 1) * np.square(part.std())
            squares = squares + n * size / (n + size) * np.square(own - mean)
            mean, n = mean + size / (n + size) * (own - mean), n + size
        return np.sqrt(np.asarray(squares) / (n - 1))

    def average(self, groups: Groups) -> Floats:
        """Return averages over rows inside each draw."""
        return self._put(self._each(lambda part: part.average(groups)))

    def samples(self, rows: Rows) -> Floats:
        """Return the samples of some rows, (n_draws, rows)."""
        return self._put(self._each(lambda part: part.samples(rows)))

    def scaled(self, by: Floats) -> "Parts":
        """Return the product with a number, shape (), or with one a draw, (n_draws,)."""
        own = (by[draws] if by.ndim else by for draws in self.draws)
        return self._of(part.scaled(each) for part, each in zip(self.parts, own, strict=True))

    def weighted(self, by: Floats) -> "Parts":
        """Return the product with a number a row, (n,)."""
        return self._of(part.weighted(by) for part in self.parts)

    def picked(self, positions: NDArray[np.intp]) -> "Parts":
        """Return the samples of some rows, in the order of their positions."""
        return self._of(part.picked(positions) for part in self.parts)

    def _of(self, parts: Iterable[Linear]) -> "Parts":
        return Parts(self.draws, tuple(parts))

    def _each(self, function: Callable[[Linear], Floats]) -> list[Floats]:
        """Return what a function makes of each part; few rows are not worth threads."""
        first = self.parts[0]
        return side_by_side(function, self.parts, first.n * first.coefficients.shape[1])

    def _put(self, found: list[Floats]) -> Floats:
        out = np.empty((self.n_draws, found[0].shape[1]))
        for draws, values in zip(self.draws, found, strict=True):
            out[draws] = values
        return out


Closed = Linear | Parts  # samples whose sums over rows need no samples


def added(left: Closed, right: Closed, sign: float) -> Closed | None:
    """Return the sum, or the difference if the sign is -1, draw by draw.

    None if both come in parts, and not in the same.
    """
    if isinstance(left, Linear) and isinstance(right, Linear):
        return left.plus(right, sign)
    draws = left.draws if isinstance(left, Parts) else right.draws  # type: ignore[union-attr]
    sides = [_in_parts(each, draws) for each in (left, right)]
    if sides[0] is None or sides[1] is None:
        return None
    pairs = zip(*sides, strict=True)
    return Parts(draws, tuple(part.plus(rest, sign) for part, rest in pairs))


def _in_parts(closed: Closed, draws: tuple[NDArray[np.intp], ...]) -> Sequence[Linear] | None:
    """Return the parts of some draws each; None if it comes in others."""
    if isinstance(closed, Linear):
        return [closed.of_draws(own) for own in draws]
    is_same = len(draws) == len(closed.draws) and all(map(np.array_equal, draws, closed.draws))
    return closed.parts if is_same else None


def _row_by_row(by: Floats, terms: Any) -> Any:
    """Return terms, which may be sparse, times a number a row."""
    if isinstance(terms, np.ndarray):
        return by[:, None] * terms
    from scipy import sparse

    return sparse.diags_array(by) @ terms


def at_once(samples: Samples) -> Samples:
    """Return samples held in memory if they are few; many stay to be computed."""
    if isinstance(samples, Held) or is_large(samples.n_draws, samples.n):
        return samples
    known = samples.marginals()
    held = None if known is None else known.held()
    return Held(samples.block(slice(0, samples.n)), held)


def averages(known: RowLaws, groups: Groups) -> RowLaws:
    """Return the distributions of averages over rows."""
    law = known.law
    assert law is not None
    total = np.zeros((1 + law.means.shape[1], len(groups.labels)))
    noise = np.zeros(len(groups.labels))
    for rows in blocks(known.n, len(total)):
        terms = known.terms(rows)
        groups.add(np.vstack([terms.offset, terms.of_law.T]), rows, total)
        own = np.square(terms.noise * groups.shares[rows])
        noise += np.bincount(groups.codes[rows], own, minlength=len(noise))
    found = Terms(total[0].copy(), total[1:].T.copy(), np.sqrt(noise))
    return RowLaws(law, found.at, len(noise), known.has_noise)


def _refuse_one_draw(n_draws: int) -> None:
    if n_draws < 2:
        raise ValueError("one draw has no standard deviation; fit with more draws or chains")
