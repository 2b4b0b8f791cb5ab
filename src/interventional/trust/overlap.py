"""How a column of numbers went with the others in training: what its value tends to be.

All of it comes from means and second moments and from counts of combinations of few values, which
are all that is kept of the rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from interventional.data.accumulation import Accumulated
from interventional.data.cells import Cells
from interventional.data.schema import Schema
from interventional.numbers import Floats
from interventional.trust.propensity import Propensity

_CHANCE = 1e-3  # of taking for dependence what is none
_ROWS_A_VALUE = 5  # a column of numbers that has fewer rows for each of its values is not counted
_SLACK = 0.01, 0.05  # of a range: from how far on beyond its ends a value is outside
SAME = 1e-8  # of a column's spread: what is less is rounding, or a sum of other columns

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
    cells : Cells or None
        How many rows had which combination of few-valued columns.
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
    cells: Cells | None = None
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
            accumulated.cells,
        )

    def slack(self, j: int) -> tuple[float, float]:
        """Return how far below and above the range of a column of numbers counts as inside.

        Of n values drawn evenly the least lies 1 / n of the range above its end, and in one sample
        in twenty more than 3 / n; at least a hundredth and at most a twentieth is allowed for. The
        range is twice the distance from the mean to that end, or what was seen if that is less: so
        a long tail on one side allows nothing on the other.
        """
        (low, high), above = self.ranges[j], self.above[self.at[j].start]
        share, width = float(np.clip(3 / self.n, *_SLACK)), high - low
        return share * min(2 * above, width), share * min(2 * (width - above), width)

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
        (low, high), (down, up) = self.ranges[j], self.slack(j)
        return np.where(
            np.abs(values - low) <= down, 0, np.where(np.abs(values - high) <= up, 1, -1)
        )

    def counted_with(self, j: int, columns: Iterable[int]) -> tuple[int, ...]:
        """Return which of some columns are counted together with a discrete one."""
        cells = self.cells
        if cells is None or j not in cells.columns:
            return ()
        n_values = dict(zip(cells.columns, map(len, cells.values), strict=True))

        def told(i: int) -> bool:
            k = n_values.get(i, 1)
            numbers = self.schema.levels[i] is None and k > 2
            return k > 1 and not (numbers and k * _ROWS_A_VALUE > self.n)

        return tuple(i for i in columns if told(i))

    def propensity(self, j: int, columns: tuple[int, ...]) -> Propensity | None:
        """Return the shares of a discrete column's levels given some that are counted with it."""
        cells = self.cells
        if cells is None or j not in cells.columns:
            return None
        k = cells.columns.index(j)
        codes = self.codes(j, cells.values[k])[cells.codes[:, k]]
        levels = np.zeros((len(codes), len(self.indicators(j)[1])))
        levels[np.arange(len(codes)), codes] = cells.weights
        return Propensity.of(cells, levels, columns)

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
        used = [j for j, weights in enumerate(self.weights) if weights.any()]  # no others
        held = values[:, used]
        for k, j in enumerate(used):
            if j in forced:
                held[:, k] = forced[j]
        total = held @ self.weights[used] + self.constant
        for j, table in self.tables.items():
            codes = forced.get(j, values[:, j]).astype(np.intp)
            total += table[np.minimum(codes, len(table) - 1)]
        return total


class Covariates:
    """Some columns, in coordinates that are uncorrelated and of variance one in training.

    Columns that are constant or sums of others are left out. Where there are as many columns as
    rows, all are. Coordinates of the first columns are of these alone; of further ones, of what is
    left of them in the linear regression on the first.

    Parameters
    ----------
    training : Training
        What the columns were.
    columns : iterable of int
        Which of them.
    further : iterable of int, optional
        Those that come after them.
    """

    def __init__(self, training: Training, columns: Iterable[int], further: Iterable[int] = ()):
        first = tuple(columns)
        self.training = training
        self.columns = (*first, *further)
        at: list[int] = []
        n_first = 0
        for k, j in enumerate(self.columns):
            where = training.at[j]  # the first level is what the others leave over
            at += range(where.start + (training.schema.levels[j] is not None), where.stop)
            n_first = len(at) if k < len(first) else n_first
        matrix = training.spread[:, at]
        scale = np.sqrt(np.square(matrix).sum(axis=0))
        size = np.abs(training.mean[at]) * np.sqrt(training.n)
        varies = scale > 1e-12 * size
        self._at, self._scale = np.asarray(at, dtype=np.intp)[varies], scale[varies]
        if len(self._at) > training.n - 3:
            self._at, self._scale, varies = self._at[:0], self._scale[:0], varies & False
        scaled = matrix[:, varies] / self._scale
        n_first = int(varies[:n_first].sum())
        one = _rank_revealed(scaled[:, :n_first])
        shared = one.basis.T @ scaled[:, n_first:]
        two = _rank_revealed(scaled[:, n_first:] - one.basis @ shared, scaled[:, n_first:])
        self.first = one.basis.shape[1]
        self._basis = np.hstack([one.basis, two.basis])
        self._order = np.r_[one.order, n_first + two.order]
        self._triangle = np.block(
            [
                [one.triangle, shared[:, two.order]],
                [np.zeros((two.triangle.shape[0], self.first)), two.triangle],
            ]
        )

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

    def beyond_chance(self, f: Floats | float, dof: float, rank: int | None = None) -> Floats:
        """Return what part of a dependence is more than chance would show: 1 - F_chance / F.

        Parameters
        ----------
        f : float or ndarray
            F statistics of the dependence on these columns.
        dof : float
            Degrees of freedom of the residuals.
        rank : int, optional
            Of how many of the coordinates; by default of all.
        """
        f, rank = np.asarray(f, dtype=np.float64), self.rank if rank is None else rank
        if not rank or dof < 1:
            return np.zeros_like(f)
        least = fdtri(rank, dof, 1 - _CHANCE)
        return np.where(f > least, 1 - least / np.maximum(f, least), 0.0)


@dataclass(frozen=True, eq=False)
class _Factored:
    """A matrix as an orthogonal basis and a triangle, its independent columns in some order."""

    basis: Floats
    triangle: Floats
    order: NDArray[np.intp]


def _rank_revealed(matrix: Floats, whole: Floats | None = None) -> _Factored:
    """Return the factors of the columns that are no sums of others.

    Parameters
    ----------
    matrix : ndarray of shape (k, columns)
        The columns.
    whole : ndarray of shape (k, columns), optional
        What they were before something was taken off: what is left may be rounding.
    """
    from scipy.linalg import qr

    if not matrix.size:
        return _Factored(np.zeros((len(matrix), 0)), np.eye(0), np.zeros(0, dtype=np.intp))
    basis, triangle, order = qr(matrix, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diagonal(triangle))
    largest = diagonal[0]
    if whole is not None:
        largest = max(largest, float(np.sqrt(np.square(whole).sum(axis=0).max())))
    rank = int((diagonal > SAME * largest).sum())
    return _Factored(basis[:, :rank], triangle[:rank, :rank], order[:rank])


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
        residual = max(total - explained, SAME**2 * total)
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
