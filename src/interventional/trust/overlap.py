"""How a column went with the others in training: what its value tends to be, which rows had it.

All of it comes from means and second moments, which are all that is kept of the rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from interventional.data.accumulation import Accumulated
from interventional.data.schema import Schema
from interventional.numbers import Floats

_CHANCE = 1e-3  # of taking for dependence what is none
_SAME = 1e-8  # of a column's spread: what is less is rounding, or a sum of other columns

Columns = Mapping[int, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Training:
    """Means and spread of the training rows' columns: numbers, and indicators of levels.

    Attributes
    ----------
    schema : Schema
        What the columns are.
    n : float
        Sum of the rows' weights.
    at : dict of int to slice
        Where a column stands among numbers and indicators.
    mean : ndarray of shape (coded,)
        Means.
    above : ndarray of shape (coded,)
        Mean less least value, to the last digit.
    spread : ndarray of shape (k, coded)
        Columns whose inner products are the centred sums of squares and products.
    ranges : dict of int to tuple of float
        The least and the greatest value of each column of numbers.
    few : frozenset of int
        The columns of numbers, and those that have few levels.
    comparisons : dict
        What forced columns have been compared with so far.
    """

    schema: Schema
    n: float
    at: Mapping[int, slice]
    mean: Floats
    above: Floats
    spread: Floats
    ranges: Mapping[int, tuple[float, float]]
    few: frozenset[int]
    comparisons: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, accumulated: Accumulated) -> "Training":
        """Read them from the triangular factor of the rows: once for a fitted model."""
        schema, at, factor = accumulated.schema, accumulated.positions, accumulated.factor
        moved = factor.r[0, 1:] / factor.r[0, 0]
        return cls(
            schema,
            factor.weight,
            at,
            factor.shift + moved,
            factor.shift - factor.low + moved,
            factor.r[1:, 1:],
            {
                j: (float(factor.low[where.start]), float(factor.high[where.start]))
                for j, where in at.items()
                if schema.levels[j] is None
            },
            frozenset(schema.of_few_levels(at)),
        )

    def variance(self, j: int) -> float:
        """Return the variance of a column of numbers, with Bessel's correction."""
        return float(np.square(self.spread[:, self.at[j].start]).sum() / (self.n - 1))

    def is_discrete(self, j: int) -> bool:
        """Whether a column holds levels, or two values and no other.

        The variance of numbers in an interval is largest, for their mean, where all of them are at
        its ends (Bhatia and Davis 2000).
        """
        if self.schema.levels[j] is not None:
            return True
        k, (low, high) = self.at[j].start, self.ranges[j]
        width, above = high - low, self.above[k]
        if width == 0:
            return False
        largest = above * (width - above)
        variance = np.square(self.spread[:, k]).sum() / self.n
        return bool(largest - variance <= 1e-9 * width**2)

    @property
    def zero_one(self) -> frozenset[int]:
        """The columns of numbers that held both 0 and 1, and nothing else."""
        of_numbers = [j for j, limits in self.ranges.items() if limits == (0.0, 1.0)]
        return frozenset(j for j in of_numbers if self.is_discrete(j))

    def codes(self, j: int, values: Floats) -> NDArray[np.intp]:
        """Return which level or value of a discrete column each value is; -1 for none of them."""
        levels = self.schema.levels[j]
        if levels is not None:
            return np.where(values < len(levels), values, -1).astype(np.intp)
        low, high = self.ranges[j]
        return np.where(values == low, 0, np.where(values == high, 1, -1))

    def indicators(self, j: int) -> tuple[Floats, Floats]:
        """Return the spread of the indicators of a discrete column, and the levels' shares."""
        columns, shares = self.spread[:, self.at[j]], self.mean[self.at[j]]
        if self.schema.levels[j] is not None:
            return columns, shares
        low, high = self.ranges[j]
        column, share = columns[:, 0] / (high - low), self.above[self.at[j].start] / (high - low)
        return np.column_stack([-column, column]), np.array([1 - share, share])


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear functions of columns: numbers times weights, and for each level a number.

    Attributes
    ----------
    constant : ndarray of shape (q,)
        What is added.
    weights : ndarray of shape (columns, q)
        Of numbers; zero for other columns.
    tables : dict of int to ndarray of shape (levels + 1, q)
        Of levels; the last entry is for a level that training never saw.
    """

    constant: Floats
    weights: Floats
    tables: Mapping[int, Floats]

    def __call__(self, values: Floats, forced: Columns) -> Floats:
        """Return the functions of some rows, (rows, q).

        Parameters
        ----------
        values : ndarray of shape (rows, columns)
            Encoded rows.
        forced : mapping of int to ndarray of shape (rows,)
            Columns that hold other values.
        """
        total = values @ self.weights + self.constant
        for j, moved in forced.items():
            if self.weights[j].any():
                total += np.outer(moved - values[:, j], self.weights[j])
        for j, table in self.tables.items():
            codes = forced.get(j, values[:, j]).astype(np.intp)
            total += table[np.minimum(codes, len(table) - 1)]
        return total


class Covariates:
    """Some columns, in coordinates that are uncorrelated and of variance one in training.

    Columns that are constant or sums of others are left out. Where there are as many columns as
    rows, all are.

    Parameters
    ----------
    training : Training
        What the columns were.
    columns : iterable of int
        Which of them.
    """

    def __init__(self, training: Training, columns: Iterable[int]):
        from scipy.linalg import qr

        self.training = training
        self.columns = tuple(columns)
        at: list[int] = []
        for j in self.columns:
            where = training.at[j]  # the first level is what the others leave over
            at += range(where.start + (training.schema.levels[j] is not None), where.stop)
        matrix = training.spread[:, at]
        scale = np.sqrt(np.square(matrix).sum(axis=0))
        size = np.abs(training.mean[at]) * np.sqrt(training.n)
        varies = scale > 1e-12 * size
        self._at, self._scale = np.asarray(at, dtype=np.intp)[varies], scale[varies]
        if len(self._at) > training.n - 3:
            self._at, self._scale, varies = self._at[:0], self._scale[:0], varies & False
        self._basis, self._triangle, self._order = np.zeros((len(matrix), 0)), np.eye(0), []
        if len(self._at):
            basis, triangle, order = qr(
                matrix[:, varies] / self._scale, mode="economic", pivoting=True, check_finite=False
            )
            diagonal = np.abs(np.diagonal(triangle))
            rank = int((diagonal > _SAME * diagonal[0]).sum())
            self._basis, self._triangle = basis[:, :rank], triangle[:rank, :rank]
            self._order = order[:rank]

    @property
    def rank(self) -> int:
        """How many coordinates there are."""
        return self._basis.shape[1]

    def products(self, spread: Floats) -> Floats:
        """Return the sums of products of the coordinates with other columns, over sqrt(n)."""
        return self._basis.T @ spread

    def linear(self, weights: Floats) -> Linear:
        """Return linear functions of the coordinates, (rank, q), as functions of the columns."""
        from scipy.linalg import solve_triangular

        training, q = self.training, weights.shape[1]
        coded = np.zeros((len(training.mean), q))
        if self.rank:
            solved = solve_triangular(self._triangle, weights, check_finite=False)
            kept = self._at[self._order]
            coded[kept] = np.sqrt(training.n) * solved / self._scale[self._order, None]
        constant, by_column = np.zeros(q), np.zeros((len(training.schema.names), q))
        tables = {}
        for j in self.columns:
            where = training.at[j]
            average = training.mean[where] @ coded[where]
            if training.schema.levels[j] is None:
                by_column[j] = coded[where.start]
                constant -= average
            else:
                tables[j] = np.vstack([coded[where] - average, np.zeros(q)])
        return Linear(constant, by_column, tables)

    def beyond_chance(self, f: Floats | float, dof: float) -> Floats:
        """Return what part of a dependence is more than chance would show: 1 - F_chance / F.

        Parameters
        ----------
        f : float or ndarray
            F statistics of the dependence on these columns.
        dof : float
            Degrees of freedom of the residuals.
        """
        f = np.asarray(f, dtype=np.float64)
        if not self.rank or dof < 1:
            return np.zeros_like(f)
        least = fdtri(self.rank, dof, 1 - _CHANCE)
        return np.where(f > least, 1 - least / np.maximum(f, least), 0.0)


@dataclass(frozen=True, eq=False)
class Usual:
    """What a column of numbers tends to be in rows with such covariates.

    Attributes
    ----------
    expected : Linear
        Its linear regression on the covariates.
    sd : float
        Standard deviation of the residuals.
    """

    expected: Linear
    sd: float

    @classmethod
    def of(cls, j: int, given: Covariates, *, shrunk: bool = True) -> "Usual | None":
        """Return it for column j; None where the column was constant.

        Parameters
        ----------
        j : int
            The column.
        given : Covariates
            What it may depend on.
        shrunk : bool, default True
            Whether to leave out of the regression what chance would show.
        """
        training = given.training
        k, variance = training.at[j].start, training.variance(j)
        if not np.sqrt(variance) > 1e-12 * abs(training.mean[k]):
            return None
        products = given.products(training.spread[:, [k]])
        total = variance * (training.n - 1)
        explained, dof = float(np.square(products).sum()), training.n - given.rank - 1
        residual = max(total - explained, _SAME**2 * total)
        part = 1.0
        if shrunk:
            part = float(given.beyond_chance(explained * dof / max(given.rank, 1) / residual, dof))
        # Of a regression whose slopes are shrunk: between the residuals' variance and all of it.
        left = residual / dof if given.rank else variance
        left = variance - part * (2 - part) * (variance - left)
        expected = given.linear(part * products / np.sqrt(training.n))
        constant = expected.constant + training.mean[k]
        return cls(Linear(constant, expected.weights, expected.tables), float(np.sqrt(left)))

    def residual(self, moved: Floats, values: Floats, forced: Columns) -> Floats:
        """Return how far values of the column are from what is usual, in standard deviations."""
        return np.asarray((moved - self.expected(values, forced)[:, 0]) / self.sd)


@dataclass(frozen=True, eq=False)
class Rarity:
    """How much rarer rows with such covariates are at a level of a column than in general.

    Attributes
    ----------
    shares : ndarray of shape (levels,)
        Shares of the levels.
    scores : Linear or None
        Log densities of the covariates at each level, but for what all have in common, plus the
        log of its share; None where the levels do not differ by more than chance.
    cells : dict of int to ndarray of shape (levels of the covariate + 1, levels)
        For each discrete covariate how much rarer it is at each level.
    """

    shares: Floats
    scores: Linear | None
    cells: Mapping[int, Floats]
    training: Training

    @classmethod
    def of(cls, j: int, given: Covariates, *, shrunk: bool = True) -> "Rarity":
        """Return it for column j.

        Parameters
        ----------
        j : int
            The column.
        given : Covariates
            What its level may depend on.
        shrunk : bool, default True
            Whether to leave out of the differences between levels what chance would show.
        """
        training, n = given.training, given.training.n
        spread, shares = training.indicators(j)
        seen = np.flatnonzero(shares * n > 1e-6)
        cells = {
            i: _cells(training, i, spread, shares)
            for i in given.columns
            if training.is_discrete(i)
        }
        scores = None
        if given.rank and len(seen) > 1 and n > len(seen) + given.rank:
            products, present = given.products(spread[:, seen]), shares[seen]
            scores = _discriminant(given, products, present, shrunk=shrunk)
        if scores is not None and len(seen) < len(shares):
            scores = _spread_out(scores, seen, len(shares))
        return cls(shares, scores, cells, training)

    def overlap(self, codes: NDArray[np.intp], values: Floats, forced: Columns) -> Floats:
        """Return p(covariates | level) / p(covariates), at most one, for the level of each row."""
        found = np.ones(len(values))
        rows = np.arange(len(values))
        known = (codes >= 0) & (self.shares[codes] > 0)
        if self.scores is not None:
            scores = self.scores(values, forced)
            scores -= scores.max(axis=1, keepdims=True)
            density = np.exp(scores)
            posterior = density[rows, codes] / density.sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.minimum(found, posterior / self.shares[codes])
        for i, table in self.cells.items():
            held = self.training.codes(i, forced.get(i, values[:, i]))
            found = np.minimum(found, table[held, codes])  # -1 is the last entry
        return np.where(known, found, 1.0)


def _discriminant(
    given: Covariates, products: Floats, shares: Floats, *, shrunk: bool
) -> Linear | None:
    """Return the scores of linear discriminant analysis, in canonical coordinates.

    The covariates' coordinates have variance one. In the directions in which the means of levels
    differ, what is left of it within levels is one less the squared canonical correlation.
    """
    n, k = given.training.n, len(shares)
    means = products / (np.sqrt(n) * shares)  # of the coordinates at each level
    directions, correlations, _ = np.linalg.svd(means * np.sqrt(shares), full_matrices=False)
    kept = correlations > _SAME
    directions, correlations = directions[:, kept], correlations[kept]
    within = np.maximum(1 - correlations**2, _SAME) * n / (n - k)
    centres = directions.T @ means
    distance = (centres**2 / within[:, None]).sum(axis=0)
    rank, dof = given.rank, n - k - given.rank + 1
    if shrunk:  # T² of Hotelling, of each level against all rows
        t2 = distance / (1 / (n * shares) - 1 / n)
        centres = centres * given.beyond_chance(t2 * dof / (rank * (n - k)), dof)
    if not centres.any():
        return None
    slopes = centres / within[:, None]
    scores = given.linear(directions @ slopes)
    constant = scores.constant - 0.5 * (centres * slopes).sum(axis=0) + np.log(shares)
    return Linear(constant, scores.weights, scores.tables)


def _spread_out(scores: Linear, seen: NDArray[np.intp], k: int) -> Linear:
    """Return scores for all levels, those without a row included, which are never the case."""

    def wide(part: Floats, fill: float = 0.0) -> Floats:
        full = np.full((*part.shape[:-1], k), fill)
        full[..., seen] = part
        return full

    tables = {j: wide(table) for j, table in scores.tables.items()}
    return Linear(wide(scores.constant, -1e300), wide(scores.weights), tables)


def _cells(training: Training, i: int, spread: Floats, shares: Floats) -> Floats:
    """Return how many rows had a level of i and one of another column, over chance.

    One row more in each, as far as chance has it: an empty cell says little where few rows were to
    be expected.
    """
    own, own_shares = training.indicators(i)
    expected = training.n * np.outer(own_shares, shares)
    observed = np.maximum(own.T @ spread + expected, 0.0)
    return np.vstack([(observed + 1) / (expected + 1), np.ones(len(shares))])
