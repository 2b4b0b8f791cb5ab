"""Factors by level against cross products, means and least squares straight from the rows."""

from dataclasses import dataclass

import numpy as np
import pytest

from interventional.data import by_level
from interventional.data.by_level import FactorByLevel
from interventional.data.seen import Factor


@dataclass
class Rows:
    matrix: np.ndarray
    y: np.ndarray
    codes: np.ndarray
    n_levels: int
    weights: np.ndarray | None = None

    @property
    def columns(self):
        return np.column_stack([self.matrix, self.y])

    @property
    def w(self):
        return np.ones(len(self.y)) if self.weights is None else self.weights

    @property
    def factor(self):
        return FactorByLevel.of(self.matrix, self.y, self.codes, self.n_levels, self.weights)

    def take(self, which):
        weights = None if self.weights is None else self.weights[which]
        return Rows(self.matrix[which], self.y[which], self.codes[which], self.n_levels, weights)


def made(seed=0, n=400, p=3, n_levels=12, *, weighted=False):
    """Rows of levels of very unequal sizes: half in one, a few of one or two rows, one of none."""
    rng = np.random.default_rng(seed)
    codes = np.where(rng.random(n) < 0.5, 0, rng.integers(n_levels, size=n))
    if n_levels > 5:
        codes[np.isin(codes, [1, 2, 3])] = 0
        codes[[3, n // 2, n - 1]] = [2, 3, 3]  # level 1 stays without
    matrix = rng.normal(size=(n, p)) + rng.normal(size=(n_levels, p))[codes] + 5.0
    y = matrix.sum(axis=1) + rng.normal(size=n) + 3.0
    weights = rng.uniform(0.5, 3.0, size=n) if weighted else None
    return Rows(matrix, y, codes, n_levels, weights)


def cross_products(rows, columns):
    """The weighted cross products of columns, in each level."""
    found = np.zeros((rows.n_levels, columns.shape[1], columns.shape[1]))
    for j in range(rows.n_levels):
        own = columns[rows.codes == j]
        found[j] = (own * rows.w[rows.codes == j, None]).T @ own
    return found


def of_ones_and_columns(factor):
    """The same of the column of ones and all columns, as a factor has them."""
    r = factor.r.copy()
    r[..., 1:] += r[..., :1] * factor.shift
    return np.swapaxes(r, -1, -2) @ r


def assert_is_of(factor, rows):
    """Compare all that a factor holds with the rows."""
    columns = np.column_stack([np.ones(len(rows.y)), rows.columns])
    truth = cross_products(rows, columns)
    scale = np.sqrt(np.diagonal(truth, axis1=1, axis2=2))
    error = np.abs(of_ones_and_columns(factor) - truth)
    assert (error <= 1e-12 * scale[:, :, None] * scale[:, None, :]).all()
    assert factor.n == len(rows.y)
    np.testing.assert_allclose(factor.weight, rows.w.sum(), rtol=1e-13)
    counts = np.array([(rows.codes == j).sum() for j in range(rows.n_levels)])
    np.testing.assert_array_equal(factor.rows, counts)
    np.testing.assert_array_equal(factor.low, rows.columns.min(axis=0))
    np.testing.assert_array_equal(factor.high, rows.columns.max(axis=0))
    width = columns.shape[1]
    assert factor.r.shape == (rows.n_levels, min(width, counts.max()), width)
    assert not np.tril(factor.r, -1).any()
    assert (np.diagonal(factor.r, axis1=1, axis2=2) >= 0).all()
    for j in range(rows.n_levels):
        assert not factor.r[j, counts[j] :].any()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_levels", [1, 4, 12, 90])
@pytest.mark.parametrize("p", [0, 1, 3, 9])
def test_cross_products_of_each_level_are_those_of_its_rows(p, n_levels, weighted):
    """Levels with half of the rows, with fewer rows than columns, and without rows."""
    rows = made(n=400, p=p, n_levels=n_levels, weighted=weighted)
    assert_is_of(rows.factor, rows)


@pytest.mark.parametrize("block", [1, 300, 1 << 22])
@pytest.mark.parametrize("piece", [1, 200, 1 << 16])
@pytest.mark.parametrize("order", ["as they come", "by level"])
def test_any_size_of_block_and_piece_gives_the_definition(monkeypatch, block, piece, order):
    monkeypatch.setattr(by_level, "_BLOCK", block)
    monkeypatch.setattr(by_level, "_PIECE", piece)
    rows = made(1, n=3_000, weighted=True)
    if order == "by level":
        rows = rows.take(np.argsort(rows.codes))
    assert_is_of(rows.factor, rows)


def test_all_levels_have_fewer_rows_than_columns():
    """The factors are no larger than the rows."""
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(30), 2)
    rows = Rows(rng.normal(size=(60, 6)), rng.normal(size=60), codes, 30)
    assert rows.factor.r.shape == (30, 2, 8)
    assert_is_of(rows.factor, rows)
    assert_is_of(rows.take(slice(0, 25)).factor + rows.take(slice(25, 60)).factor, rows)


def test_columns_may_be_made_in_blocks(monkeypatch):
    """A callable is asked for each row once, in order, after it was asked for none."""
    monkeypatch.setattr(by_level, "_BLOCK", 500)
    rows, asked = made(3, n=1_000), []

    def make(some):
        asked.extend(range(some.start, some.stop))
        return rows.matrix[some]

    assert_is_of(FactorByLevel.of(make, rows.y, rows.codes, rows.n_levels), rows)
    assert asked == list(range(1_000))


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_add_up(weighted):
    rows = made(4, n=500, weighted=weighted)
    batches = [rows.take(slice(a, b)).factor for a, b in [(0, 2), (2, 7), (7, 300), (300, 500)]]
    added = batches[0] + batches[1] + batches[2] + batches[3]
    assert_is_of(added, rows)
    assert_is_of(batches[3] + (batches[2] + (batches[1] + batches[0])), rows)
    nothing = rows.take(slice(0, 0)).factor
    assert_is_of(nothing + added, rows)
    assert_is_of(added + nothing, rows)


def test_other_order_of_rows_gives_the_same():
    """What is left of a level's own columns, the total, and the means."""
    rows = made(5, n=500, weighted=True)
    other = rows.take(np.random.default_rng(0).permutation(500)).factor
    assert_is_of(other, rows)
    np.testing.assert_allclose(other.means(), rows.factor.means(), rtol=1e-12)
    # the leading shift differs, and no number of the centred part may
    np.testing.assert_allclose(other.r[:, 1:, 1:], rows.factor.r[:, 1:, 1:], atol=1e-10)


def test_weights_are_copies_of_rows():
    rows = made(6, n=300)
    copies = np.random.default_rng(1).integers(1, 5, size=300)
    rows.weights = copies.astype(float)
    repeated = rows.take(np.repeat(np.arange(300), copies))
    repeated.weights = None
    np.testing.assert_allclose(
        of_ones_and_columns(rows.factor), of_ones_and_columns(repeated.factor), rtol=1e-10
    )
    np.testing.assert_allclose(rows.factor.means(), repeated.factor.means(), rtol=1e-12)
    assert rows.factor.weight == repeated.factor.weight == copies.sum()


def test_batches_with_other_levels_add_up():
    """Each batch has levels of its own, and only one has the first."""
    rows = made(7, n=400)
    parts, factors = [slice(0, 200), slice(200, 400)], []
    for part in parts:
        some = rows.take(part)
        known, codes = np.unique(some.codes, return_inverse=True)
        small = FactorByLevel.of(some.matrix, some.y, codes, len(known))
        order = np.random.default_rng(0).permutation(len(known))
        moved = small.with_levels(order, len(known)).with_levels(known[np.argsort(order)], 12)
        factors.append(moved)
        assert_is_of(moved, some)
    assert_is_of(factors[0] + factors[1], rows)


def test_digits_of_columns_far_from_zero_are_kept():
    """Centred cross products in extended precision; in doubles, Gram matrices keep four digits."""
    rng = np.random.default_rng(8)
    codes = rng.integers(6, size=600)
    matrix = rng.normal(size=(600, 2)) * [1.0, 1e4] + [1e6, -1e10]
    y = rng.normal(size=600) + matrix[:, 0]
    rows = Rows(matrix, y, codes, 6)
    added = rows.take(slice(0, 300)).factor + rows.take(slice(300, 600)).factor
    for j in range(6):
        own = rows.columns[codes == j].astype(np.longdouble)
        own = own - own.mean(axis=0)
        truth = (own.T @ own).astype(float)
        scale = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))
        for factor in (rows.factor, added):
            centred = factor.r[j, 1:, 1:]
            assert (np.abs(centred.T @ centred - truth) <= 1e-9 * scale).all()
        x, y_own = own[:, 0], own[:, 2]
        residual = y_own - x * (x @ y_own) / (x @ x)
        cut = rows.take(codes == j).factor.cut([-1], [0.0], [0], [1e6], y_centre=1e6)
        np.testing.assert_allclose(cut.rss, float(residual @ residual), rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("n_levels", [1, 12])
def test_the_total_is_the_factor_of_all_rows(weighted, intercept, n_levels):
    rows = made(9, n=500, n_levels=n_levels, weighted=weighted)
    truth = Factor.of([(rows.matrix, rows.y, rows.weights)], 4)
    total = rows.factor.total()
    assert total.r.shape == truth.r.shape
    found = total.statistics(intercept=intercept)
    expected = truth.statistics(intercept=intercept)
    for name in ("n", "weight", "x_mean", "y_mean", "r", "z", "rss"):
        a, b = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=name)


def test_the_total_of_three_rows_has_three():
    rows = made(10, n=3, n_levels=3)
    total = rows.factor.total()
    assert total.r.shape == (3, 5)
    full = np.column_stack([np.ones(3), rows.columns])
    np.testing.assert_allclose(of_ones_and_columns(total), full.T @ full, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_means_are_those_of_the_rows(weighted):
    rows = made(11, weighted=weighted)
    means = rows.factor.means()
    assert means.shape == (12, 4)
    for j in range(12):
        own = rows.codes == j
        if own.any():
            truth = np.average(rows.columns[own], axis=0, weights=rows.w[own])
            np.testing.assert_allclose(means[j], truth, rtol=1e-13)
        else:
            assert np.isnan(means[j]).all()
    assert np.isnan(means).any()


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_column_of_one_value_a_level_needs_no_rows(weighted, offset):
    """As if it had stood among the columns; here it is the mean of the first."""
    rows = made(12, weighted=weighted)
    values = rows.factor.means()[:, 0] + offset
    found = rows.factor.with_column(values)
    wider = Rows(
        np.column_stack([rows.matrix, values[rows.codes]]),
        rows.y,
        rows.codes,
        rows.n_levels,
        rows.weights,
    )
    assert_is_of(found, wider)
    np.testing.assert_allclose(found.means(), wider.factor.means(), rtol=1e-15)
    expected = wider.factor.total().statistics()
    statistics = found.total().statistics()
    for name in ("r", "z"):
        a, b = getattr(statistics, name), getattr(expected, name)
        np.testing.assert_allclose(a, b, rtol=1e-7 if offset else 1e-10, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(statistics.rss, expected.rss, rtol=1e-9)


def test_a_column_of_one_value_a_level_keeps_its_digits_far_from_zero():
    """Its spread over the rows, against extended precision."""
    rows = made(22, weighted=True)
    values = 1e8 + np.random.default_rng(0).normal(size=12)
    each = values[rows.codes].astype(np.longdouble)
    truth = float(rows.w @ np.square(each - (rows.w @ each) / rows.w.sum()))
    r = rows.factor.with_column(values).total().statistics().r
    np.testing.assert_allclose(np.square(r[:, -1]).sum(), truth, rtol=1e-12)


def test_a_column_more_than_there_are_rows():
    rows = made(13, n=7, p=1, n_levels=3)
    values = np.array([1.0, -2.0, 4.0])
    found = rows.factor.with_column(values).with_column(values**2)
    matrix = np.column_stack([rows.matrix, values[rows.codes], values[rows.codes] ** 2])
    assert_is_of(found, Rows(matrix, rows.y, rows.codes, 3))


CUTS = [
    ([-1], [0.0], [0, 1, 2], True),
    ([-1, 0], [0.0, 4.0], [0, 1, 2], True),
    ([1, 2, -1], [5.0, 0.0, 0.0], [2, 0], True),
    ([0], [1.0], [1], False),
    ([-1], [0.0], [], True),
    ([-1], [0.0], [], False),
    ([0, 1, 2, -1], [0.0, 1.0, 2.0, 9.0], [0, 1, 2], True),
]


def cut_of(rows, own, at, border, intercept):
    """A cut about numbers that are no means, and its three matrices straight from the rows."""
    centre, y_centre = np.linspace(1.0, 2.0, len(border)), 2.5
    cut = rows.factor.cut(own, at, border, centre, intercept=intercept, y_centre=y_centre)
    ones = np.ones(len(rows.y))
    Z = [ones if j < 0 else rows.matrix[:, j] - a for j, a in zip(own, at, strict=True)]
    X = [rows.matrix[:, j] - a for j, a in zip(border, centre, strict=True)]
    X = np.column_stack([*([ones] if intercept else []), *X, np.empty((len(ones), 0))])
    return cut, np.column_stack(Z), X, rows.y - y_centre


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p_levels", [(3, 12), (3, 1), (3, 90)])
@pytest.mark.parametrize("case", CUTS)
def test_a_cut_has_the_sum_of_squares_of_the_rows(case, p_levels, weighted):
    """At any coefficients; and each level's block, and the rest, have their cross products."""
    rows = made(14, p=p_levels[0], n_levels=p_levels[1], weighted=weighted)
    cut, Z, X, y = cut_of(rows, *case)
    J, q, pb = rows.n_levels, Z.shape[1], X.shape[1]
    assert cut.own.shape == (J, q, q)
    assert cut.border.shape == (J, q, pb)
    assert cut.target.shape == (J, q)
    assert cut.rows.shape == (len(cut.rest), pb)
    assert not np.tril(cut.own, -1).any()
    assert (np.diagonal(cut.own, axis1=1, axis2=2) >= 0).all()
    told = cut.rows[:, cut.rows.any(axis=0)]
    assert not np.tril(told, -1).any()
    assert (np.diagonal(told) >= 0).all()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        b, a = rng.normal(size=(J, q)), rng.normal(size=pb)
        truth = rows.w @ (y - (Z * b[rows.codes]).sum(axis=1) - X @ a) ** 2
        of_levels = cut.target - np.einsum("jkl,jl->jk", cut.own, b) - cut.border @ a
        found = np.square(of_levels).sum() + np.square(cut.rest - cut.rows @ a).sum() + cut.rss
        np.testing.assert_allclose(found, truth, rtol=1e-10)
    every = np.column_stack([Z, X, y])
    products = cross_products(rows, every)
    tops = np.concatenate([cut.own, cut.border, cut.target[:, :, None]], axis=2)
    found = np.swapaxes(cut.own, 1, 2) @ tops
    np.testing.assert_allclose(found, products[:, :q], rtol=1e-9, atol=1e-9)
    left = np.column_stack([cut.rows, cut.rest])
    found = np.einsum("jkl,jkm->lm", tops[:, :, q:], tops[:, :, q:]) + left.T @ left
    found[-1, -1] += cut.rss
    np.testing.assert_allclose(found, products[:, q:, q:].sum(axis=0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CUTS[:5])
def test_rss_of_a_cut_is_that_of_least_squares_with_indicators(case, weighted):
    """What own coefficients of every level and shared ones leave, by numpy.linalg.lstsq."""
    rows = made(15, n_levels=12, weighted=weighted)
    cut, Z, X, y = cut_of(rows, *case)
    indicators = rows.codes[:, None] == np.arange(12)
    own = (indicators[:, :, None] * Z[:, None, :]).reshape(len(y), -1)
    root = np.sqrt(rows.w)
    design = np.column_stack([own, X]) * root[:, None]
    left = y * root - design @ np.linalg.lstsq(design, y * root, rcond=1e-10)[0]
    # a direction that neither reaches, as the coefficients are not told apart, is of the rest
    shared = np.linalg.lstsq(cut.rows, cut.rest, rcond=1e-10)[0]
    unreached = np.square(cut.rest - cut.rows @ shared).sum()
    if case[0][0] == -1:
        assert unreached < 1e-20
    known = np.array([np.linalg.matrix_rank(own, tol=1e-9) for own in cut.own])
    assert (known == np.minimum(np.bincount(rows.codes, minlength=12), Z.shape[1])).all()
    np.testing.assert_allclose(cut.rss + unreached, left @ left, rtol=1e-9)


def test_what_is_constant_in_each_level_is_zero_in_the_rest():
    """Without any rounding, if the level's own intercept comes first."""
    factor = made(16, weighted=True).factor
    factor = factor.with_column(factor.means()[:, 0])
    cut = factor.cut([-1], [0.0], [3, 1, 3], [0.1, 0.2, 0.3])
    assert not cut.rows[:, [0, 1, 3]].any()
    assert cut.rows.shape == (1, 4)
    assert cut.rows[:, 2].any()


def test_a_constant_column_has_no_spread():
    """0.1 less its mean is rounding, which must not look like a column that tells something."""
    rows = made(20)
    rows.matrix[:, 1] = 0.1
    cut = rows.factor.cut([-1], [0.0], [0, 1, 2], [5.0, 0.0, 5.0])
    assert not cut.rows[:, 2].any()
    np.testing.assert_allclose(
        cut.border[:, 0, 2], 0.1 * np.sqrt(np.bincount(rows.codes, minlength=12)), rtol=1e-13
    )


def test_a_level_whose_rows_count_for_nothing_has_no_mean():
    rows = made(21, weighted=True)
    rows.weights[rows.codes == 5] = 0.0
    found = rows.factor
    assert_is_of(found, rows)
    assert np.isnan(found.means()[5]).all()
    assert np.isfinite(found.means()[6:]).all()


def test_constant_outcome_has_no_rest():
    """0.1 has no exact mean, and no spread all the same; without an intercept it has its size."""
    rows = made(17)
    rows.y = np.full(len(rows.y), 0.1)
    assert rows.factor.constant
    cut = rows.factor.cut([0], [0.0], [0, 1], [0.0, 0.0], y_centre=0.1)
    assert cut.constant
    assert cut.rss == 0
    assert not cut.target.any()
    assert not cut.rest.any()
    cut, _, _, y = cut_of(rows, [1], [2.0], [0], False)
    assert not cut.constant
    found = np.square(cut.target).sum() + np.square(cut.rest).sum() + cut.rss
    np.testing.assert_allclose(found, y @ y, rtol=1e-12)
    assert not made(17).factor.constant
    assert not made(17).factor.cut([-1], [0.0], [], []).constant


def test_perfect_fit_leaves_what_rounding_leaves():
    rows = made(18)
    rows.y = rows.matrix @ [1.0, 2.0, -1.0] + np.arange(12.0)[rows.codes]
    cut = rows.factor.cut([-1], [0.0], [0, 1, 2], [0.0] * 3)
    assert 0 < cut.rss < 1e-12 * 1e-12 * (rows.y @ rows.y)
    assert cut.rss >= np.finfo(float).eps ** 2 * (rows.y @ rows.y) * (1 - 1e-9)


def test_no_more_rows_than_coefficients_leave_nothing():
    """Each level of two rows has two coefficients of its own."""
    rng = np.random.default_rng(19)
    codes = np.repeat(np.arange(10), 2)
    rows = Rows(rng.normal(size=(20, 2)), rng.normal(size=20), codes, 10)
    cut = rows.factor.cut([-1, 0], [0.0, 0.0], [0, 1], [0.0, 0.0])
    assert cut.rss == 0
    assert cut.rows.shape == (0, 3)
    assert len(cut.rest) == 0


def test_one_row_more_than_coefficients_leaves_one():
    """One level of three rows; what is left of it has one direction, which the border takes."""
    rng = np.random.default_rng(23)
    codes = np.append(np.repeat(np.arange(10), 2), 4)
    rows = Rows(rng.normal(size=(21, 3)), rng.normal(size=21), codes, 10)
    cut = rows.factor.cut([-1, 0], [0.0, 0.0], [1, 2], [0.0, 0.0])
    own = codes == 4
    every = np.column_stack([np.ones(3), rows.columns[own]])
    across = np.linalg.svd(every[:, :2])[0][:, 2]
    assert cut.rows.shape == (1, 3)
    left = np.append(cut.rows, cut.rest)
    truth = across @ every[:, 2:] * np.sign(across @ every[:, 2])
    np.testing.assert_allclose(left, [0.0, *truth], rtol=1e-11, atol=1e-13)
    assert cut.rss == 0


@pytest.mark.parametrize("p", [0, 2])
def test_no_rows_at_all(p):
    """Zeros, means that are not known, and the rows that come after them."""
    factor = FactorByLevel.of(np.empty((0, p)), np.empty(0), np.empty(0, dtype=int), 3)
    assert factor.r.shape == (3, 0, p + 2)
    assert factor.total().r.shape == (0, p + 2)
    assert np.isnan(factor.means()).all()
    assert factor.with_column(np.full(3, np.nan)).r.shape == (3, 0, p + 3)
    cut = factor.cut([-1], [0.0], [], [])
    assert not cut.own.any()
    assert cut.own.shape == (3, 1, 1)
    assert cut.rss == 0
