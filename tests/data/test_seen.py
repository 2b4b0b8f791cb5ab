"""Sufficient statistics against least squares in higher precision and by other programs."""

from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest

from interventional.data import seen as suffstats
from interventional.data.seen import sufficient_statistics

getcontext().prec = 60


def exact_least_squares(matrix, y, weights=None, intercept=True):
    """Solve the weighted normal equations in rational numbers, without any rounding.

    Returns means, coefficients and the residual sum of squares, rounded once at the end.
    """
    n, p = matrix.shape
    w = [Fraction(1)] * n if weights is None else [Fraction(float(v)) for v in weights]
    X = [[Fraction(float(v)) for v in row] for row in matrix]
    target = [Fraction(float(v)) for v in y]
    total = sum(w)
    x_mean, y_mean = [Fraction(0)] * p, Fraction(0)
    if intercept:
        x_mean = [sum(w[i] * X[i][j] for i in range(n)) / total for j in range(p)]
        y_mean = sum(w[i] * target[i] for i in range(n)) / total
    centred = [[X[i][j] - x_mean[j] for j in range(p)] for i in range(n)]
    left = [target[i] - y_mean for i in range(n)]
    gram = [
        [sum(w[i] * centred[i][j] * centred[i][k] for i in range(n)) for k in range(p)]
        + [sum(w[i] * centred[i][j] * left[i] for i in range(n))]
        for j in range(p)
    ]
    for j in range(p):  # Gauss-Jordan elimination
        pivot = next(k for k in range(j, p) if gram[k][j] != 0)
        gram[j], gram[pivot] = gram[pivot], gram[j]
        gram[j] = [value / gram[j][j] for value in gram[j]]
        for k in range(p):
            if k != j:
                gram[k] = [a - gram[k][j] * b for a, b in zip(gram[k], gram[j], strict=True)]
    beta = [gram[j][p] for j in range(p)]
    rest = [left[i] - sum(centred[i][j] * beta[j] for j in range(p)) for i in range(n)]
    rss = sum(w[i] * rest[i] ** 2 for i in range(n))
    floats = [float(Decimal(v.numerator) / Decimal(v.denominator)) for v in [*beta, rss]]
    return np.array([float(v) for v in x_mean]), float(y_mean), np.array(floats[:p]), floats[p]


def gram(statistics):
    """Cross products of the centred, weighted columns and the outcome."""
    both = np.column_stack([statistics.r, statistics.z])
    return both.T @ both


def dense_gram(matrix, y, weights=None, intercept=True):
    """The same cross products, straight from their definition."""
    both = np.column_stack([matrix, y])
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    if intercept:
        both = both - np.average(both, axis=0, weights=w)
    return (both * w[:, None]).T @ both


def rows(seed, n, p):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)), rng.normal(size=n), rng


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
def test_equals_least_squares_in_rational_numbers(intercept, weighted):
    """Means, coefficients and rss of ordinary rows, to the last digits of a double."""
    matrix, y, rng = rows(0, 25, 3)
    weights = rng.integers(1, 5, size=25).astype(float) if weighted else None
    found = sufficient_statistics(matrix + 1.0, y + 2.0, weights, intercept=intercept)
    x_mean, y_mean, beta, rss = exact_least_squares(matrix + 1.0, y + 2.0, weights, intercept)
    np.testing.assert_allclose(found.x_mean, x_mean, rtol=1e-13)
    np.testing.assert_allclose(found.y_mean, y_mean, rtol=1e-13)
    np.testing.assert_allclose(np.linalg.solve(found.r, found.z), beta, rtol=1e-12)
    np.testing.assert_allclose(found.rss, rss, rtol=1e-12)
    assert found.weight == (25 if weights is None else weights.sum())
    assert found.dof == found.weight - 3 - intercept


def test_keeps_the_digits_of_columns_whose_mean_is_a_million_times_their_sd():
    """Against rational numbers; a Gram matrix in doubles would keep no more than four digits."""
    matrix, y, _ = rows(1, 40, 3)
    matrix = matrix * [1.0, 1e-3, 1e4] + [1e6, 1e3, -1e10]
    y = 1e5 * (y + matrix[:, 0] - 1e6)
    found = sufficient_statistics(matrix, y)
    x_mean, y_mean, beta, rss = exact_least_squares(matrix, y)
    np.testing.assert_allclose(found.x_mean, x_mean, rtol=1e-15)
    np.testing.assert_allclose(found.y_mean, y_mean, rtol=1e-13)
    np.testing.assert_allclose(np.linalg.solve(found.r, found.z), beta, rtol=1e-11)
    np.testing.assert_allclose(found.rss, rss, rtol=1e-11)


def test_keeps_digits_where_the_first_rows_are_far_from_the_mean():
    """The first guess of the means is a bad one: most of the spread comes later."""
    matrix, y, _ = rows(2, 40, 2)
    matrix[20:] += 1e3
    found = sufficient_statistics(matrix, y)
    _, _, beta, rss = exact_least_squares(matrix, y)
    np.testing.assert_allclose(np.linalg.solve(found.r, found.z), beta, rtol=1e-11)
    np.testing.assert_allclose(found.rss, rss, rtol=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_equals_numpy_least_squares(intercept):
    """Coefficients and rss against np.linalg.lstsq."""
    matrix, y, _ = rows(3, 300, 5)
    found = sufficient_statistics(matrix, y, intercept=intercept)
    full = np.column_stack([np.ones(300), matrix]) if intercept else matrix
    beta, rss, *_ = np.linalg.lstsq(full, y)
    np.testing.assert_allclose(np.linalg.solve(found.r, found.z), beta[-5:], rtol=1e-11)
    np.testing.assert_allclose(found.rss, rss[0], rtol=1e-12)
    if intercept:
        at_zero = found.y_mean - found.x_mean @ beta[1:]
        np.testing.assert_allclose(at_zero, beta[0], atol=1e-13)


@pytest.mark.parametrize("block", [1, 50, 137, 1 << 10, 1 << 20])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("shape", [(1_003, 4), (5, 9), (30, 29), (1, 3)])
def test_any_size_of_block_gives_the_definition(monkeypatch, block, intercept, shape):
    """Cross products against their definition, whether the rows come in one block or in many."""
    monkeypatch.setattr(suffstats, "_BLOCK", block)
    matrix, y, rng = rows(4, *shape)
    weights = rng.uniform(0.5, 3.0, size=shape[0])
    found = sufficient_statistics(matrix + 7.0, y, weights, intercept=intercept)
    truth = dense_gram(matrix + 7.0, y, weights, intercept)
    truth[-1, -1] -= found.rss
    np.testing.assert_allclose(gram(found), truth, atol=1e-10 * shape[0])
    assert found.r.shape[0] <= min(shape)


def test_fewer_rows_than_columns_leave_no_residual():
    """n - 1 centred rows are fitted without rest, and no degree of freedom is left."""
    matrix, y, _ = rows(5, 6, 10)
    found = sufficient_statistics(matrix, y)
    np.testing.assert_allclose(gram(found), dense_gram(matrix, y), atol=1e-13)
    assert found.r.shape == (5, 10)
    assert found.dof == 0
    assert found.rss == 0
    assert not found.has_residual


@pytest.mark.parametrize("intercept", [True, False])
def test_integer_weights_are_copies(intercept):
    """A row of weight k is k rows."""
    matrix, y, rng = rows(6, 30, 3)
    weights = rng.integers(1, 6, size=30)
    weighted = sufficient_statistics(matrix, y, weights.astype(float), intercept=intercept)
    copied = sufficient_statistics(
        np.repeat(matrix, weights, axis=0), np.repeat(y, weights), intercept=intercept
    )
    for name in ("weight", "x_mean", "y_mean", "r", "z", "rss", "dof"):
        a, b = getattr(weighted, name), getattr(copied, name)
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13, err_msg=name)


def test_duplicate_and_constant_columns():
    """Cross products by definition and least squares by NumPy where columns lack full rank.

    A direction of z that no column reaches holds residual too.
    """
    matrix, y, _ = rows(7, 50, 2)
    matrix = np.column_stack([matrix, matrix[:, 0], np.full(50, 3.0)])
    found = sufficient_statistics(matrix, y)
    truth = dense_gram(matrix, y)
    truth[-1, -1] -= found.rss
    np.testing.assert_allclose(gram(found), truth, atol=1e-11)
    assert np.abs(found.r[:, 3]).max() < 1e-13
    full = np.column_stack([np.ones(50), matrix[:, :2]])
    unreached = found.z - found.r @ np.linalg.lstsq(found.r, found.z, rcond=1e-12)[0]
    rss = found.rss + unreached @ unreached
    np.testing.assert_allclose(rss, np.linalg.lstsq(full, y)[1][0], rtol=1e-12)


def test_constant_outcome_has_no_spread_at_all():
    """Rounding does not pass for noise: 0.1 has no exact mean, and its spread is still zero."""
    matrix, _, _ = rows(8, 33, 2)
    found = sufficient_statistics(matrix, np.full(33, 0.1))
    assert found.constant
    assert found.y_mean == 0.1
    assert found.rss == 0
    assert not found.z.any()
    assert found.moments.y_scale == 0


def test_constant_outcome_without_intercept_is_no_zero():
    """Without an intercept y = 2 has size 2 about zero: the spread that is left to explain."""
    matrix, _, _ = rows(9, 30, 2)
    found = sufficient_statistics(matrix, np.full(30, 2.0), intercept=False)
    assert not found.constant
    np.testing.assert_allclose(found.moments.y_scale, 2.0, rtol=1e-12)
    assert sufficient_statistics(matrix, np.zeros(30), intercept=False).constant


def test_perfect_fit_leaves_what_rounding_leaves():
    """The rss of y = X beta is positive, and no more than y's own last digits."""
    matrix, _, _ = rows(10, 30, 2)
    found = sufficient_statistics(matrix, matrix @ [1.0, 2.0] + 1.0)
    assert 0 < found.rss < 1e-28


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_the_rows(weighted):
    """Means and (population) standard deviations by NumPy; a constant column has its size."""
    matrix, y, rng = rows(11, 60, 2)
    matrix = np.column_stack([matrix * [2.0, 1e-4] + [5.0, 1e2], np.full(60, -7.0), np.zeros(60)])
    weights = rng.uniform(0.5, 2.0, size=60) if weighted else None
    moments = sufficient_statistics(matrix, 3 * y + 4, weights).moments

    def sd(values):
        mean = np.average(values, axis=0, weights=weights)
        return np.sqrt(np.average(np.square(values - mean), axis=0, weights=weights))

    np.testing.assert_allclose(moments.x_mean, np.average(matrix, axis=0, weights=weights))
    np.testing.assert_allclose(moments.x_scale, [*sd(matrix[:, :2]), 7.0, 1.0], rtol=1e-9)
    np.testing.assert_allclose(moments.y_mean, np.average(3 * y + 4, weights=weights))
    np.testing.assert_allclose(moments.y_scale, sd(3 * y + 4))
    assert moments.n == 60


def test_many_rows_are_merged_as_few_are(monkeypatch):
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 4, (3000, 3)) * np.array([1.0, -0.0, 1e300])
    y, w = rng.integers(0, 2, 3000).astype(float), rng.uniform(size=3000)
    few = suffstats.merge_equal_rows(matrix, y, w)
    monkeypatch.setattr(suffstats, "_MANY_ROWS", 100)
    order = rng.permutation(3000)
    many = suffstats.merge_equal_rows(matrix, y, w)
    moved = suffstats.merge_equal_rows(matrix[order], y[order], w[order])
    for one, other in zip(many[:2], moved[:2], strict=True):
        np.testing.assert_array_equal(one, other)  # in an order that hangs on the rows alone

    def sorted_rows(found):
        rows = np.column_stack(found)
        return rows[np.lexsort(rows[:, :-1].T)]

    np.testing.assert_allclose(sorted_rows(many), sorted_rows(few), rtol=1e-12)


def test_rows_of_one_hash_are_told_apart(monkeypatch):
    rng = np.random.default_rng(0)
    matrix, y = rng.integers(0, 3, (500, 2)).astype(float), np.zeros(500)
    few = suffstats.merge_equal_rows(matrix, y, None)
    monkeypatch.setattr(suffstats, "_MANY_ROWS", 100)
    monkeypatch.setattr(suffstats, "_PRIME", np.uint64(0))  # all rows have the hash 0
    many = suffstats.merge_equal_rows(matrix, y, None)
    for one, other in zip(many, few, strict=True):
        np.testing.assert_array_equal(one, other)
