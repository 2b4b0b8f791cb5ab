import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from interventional.data.accumulation import Accumulated
from interventional.data.schema import Schema
from interventional.trust.overlap import Covariates, Training, Usual


def training(X, weights=None):
    """Return the statistics of rows, and the rows encoded."""
    schema = Schema.of(X)
    values = schema.encode(X)
    columns = tuple(range(X.shape[1]))
    accumulated = Accumulated.of(schema, columns, values, values[:, 0], weights)
    return Training.of(accumulated), values


@pytest.fixture(scope="module")
def table():
    """Three covariates, a column of numbers and one of levels that depend on them."""
    rng = np.random.default_rng(0)
    n = 300
    a, b = rng.normal(1e3, 2.0, n), rng.exponential(3.0, n)
    c = rng.choice(["x", "y", "z"], n)
    v = 0.5 * a - b + 2.0 * (c == "y") + rng.normal(size=n)
    score = np.column_stack([np.zeros(n), 0.4 * (a - 1e3), 0.3 * b])
    level = np.array(["p", "q", "r"])[(score + rng.gumbel(size=(n, 3))).argmax(axis=1)]
    return pd.DataFrame({"a": a, "b": b, "c": c, "v": v, "level": level})


def with_dummies(X):
    return pd.get_dummies(X, drop_first=True, dtype=float)


class TestUsual:
    @pytest.mark.parametrize("weighted", [False, True])
    def test_squared_distance_is_the_leverage_that_forcing_adds(self, table, weighted):
        weights = np.arange(len(table)) % 3 + 1.0 if weighted else np.ones(len(table))
        seen, values = training(table, weights if weighted else None)
        forced = np.linspace(400, 600, len(table))
        usual = Usual.of(3, Covariates(seen, (0, 1, 2)), shrunk=False)
        z = usual.residual(forced, values, {})

        Z = sm.add_constant(with_dummies(table[["a", "b", "c"]]) - [1e3, 0, 0, 0]).to_numpy()
        V = np.column_stack([Z, table["v"] - 500])
        new = np.column_stack([Z, forced - 500])

        def leverage(design, rows):
            gram = design.T @ (weights[:, None] * design)
            return np.einsum("ij,ij->i", rows @ np.linalg.inv(gram), rows)

        added = leverage(V, new) - leverage(Z, Z)
        dof = weights.sum() - Z.shape[1]
        np.testing.assert_allclose(z**2 / dof, added, rtol=1e-7)

    def test_of_several_columns_the_leverages_add_up(self, table):
        seen, values = training(table)
        first, second = np.full(len(table), 999.0), np.linspace(480, 520, len(table))
        one = Usual.of(0, Covariates(seen, (1, 2)), shrunk=False)
        two = Usual.of(3, Covariates(seen, (1, 2, 0)), shrunk=False)
        moved = {0: first, 3: second}
        n = len(table)
        total = one.residual(first, values, moved) ** 2 / (n - 4)
        total += two.residual(second, values, moved) ** 2 / (n - 5)

        x = with_dummies(table[["b", "c"]]).to_numpy()
        v = table[["a", "v"]].to_numpy()
        slopes = np.linalg.lstsq(sm.add_constant(x), v)[0]
        e = v - sm.add_constant(x) @ slopes
        new = np.column_stack([first, second]) - sm.add_constant(x) @ slopes
        mahalanobis = np.einsum("ij,ij->i", new @ np.linalg.inv(e.T @ e), new)
        np.testing.assert_allclose(total, mahalanobis, rtol=1e-6)

    def test_residuals_and_their_spread_are_those_of_least_squares(self, table):
        seen, values = training(table)
        usual = Usual.of(3, Covariates(seen, (0, 1, 2)), shrunk=False)
        design = sm.add_constant(with_dummies(table[["a", "b", "c"]]) - [1e3, 0, 0, 0])
        fitted = sm.OLS(table["v"], design).fit()
        np.testing.assert_allclose(usual.sd**2, fitted.scale, rtol=1e-8)
        found = usual.residual(values[:, 3], values, {})
        np.testing.assert_allclose(found, fitted.resid / np.sqrt(fitted.scale), atol=1e-6)

    def test_what_chance_would_show_is_left_out(self):
        """The regression counts from where its F test has p < 0.001, by statsmodels."""
        rng = np.random.default_rng(1)
        x, noise = rng.normal(size=(80, 4)), rng.normal(size=80)
        counted = []
        for slope in np.linspace(0, 1, 41):
            v = slope * x[:, 0] + noise
            seen, values = training(pd.DataFrame(np.column_stack([x, v])).add_prefix("x"))
            usual = Usual.of(4, Covariates(seen, range(4)))
            p = sm.OLS(v, sm.add_constant(x)).fit().f_pvalue
            depends = bool(np.ptp(usual.expected(values, {})) > 0)
            assert depends == (p < 1e-3)
            if not depends:
                np.testing.assert_allclose(usual.sd, v.std(ddof=1))
            counted.append(depends)
        assert not counted[0]
        assert counted[-1]

    def test_nothing_is_usual_of_a_constant(self):
        seen, _ = training(pd.DataFrame({"a": [1.0, 2, 3, 4, 5], "b": 3.3}))
        assert Usual.of(1, Covariates(seen, (0,))) is None


class TestTraining:
    @pytest.mark.parametrize(
        ("column", "discrete"),
        [
            (np.arange(1000) % 2, True),
            (np.where(np.arange(1000) < 3, 7.5, 3.25), True),
            (1e8 + np.arange(1000) % 2, True),
            (1e-8 * (np.arange(1000) % 2), True),
            (np.r_[np.arange(999) % 2, 0.5], False),
            (np.arange(1000) % 3, False),
            (np.linspace(0, 1, 1000), False),
            (np.full(1000, 2.0), False),
        ],
        ids=["0/1", "rare", "far", "tiny", "one other", "three", "many", "constant"],
    )
    def test_two_values_are_told_from_mean_and_variance(self, column, discrete):
        seen, _ = training(pd.DataFrame({"v": column, "w": np.arange(1000.0)}))
        assert seen.is_discrete(0) == discrete

    def test_copies_know_the_same(self, table):
        seen, values = training(table)
        expected = Usual.of(3, Covariates(seen, (0, 1, 2))).residual(values[:, 3], values, {})
        for again in (pickle.loads(pickle.dumps(seen)), copy.deepcopy(seen)):
            found = Usual.of(3, Covariates(again, (0, 1, 2))).residual(values[:, 3], values, {})
            np.testing.assert_array_equal(found, expected)
            assert again.ranges == seen.ranges

    def test_levels_are_discrete_and_few_or_many(self):
        X = pd.DataFrame({"few": ["a", "b"] * 40, "many": [f"l{k % 40}" for k in range(80)]})
        assert Schema.of(X).of_few_levels([0, 1]) == [0]
        seen, _ = training(X)
        assert seen.is_discrete(0)


@pytest.mark.parametrize("n", [2, 4, 12])
def test_more_columns_than_rows_say_nothing(n):
    rng = np.random.default_rng(5)
    seen, values = training(pd.DataFrame(rng.normal(size=(n, 12))).add_prefix("x"))
    given = Covariates(seen, range(1, 12))
    assert given.rank == 0
    usual = Usual.of(0, given)
    np.testing.assert_allclose(usual.sd, values[:, 0].std(ddof=1))
    np.testing.assert_allclose(usual.expected(values, {})[:, 0], values[:, 0].mean())


def test_copies_and_constants_add_nothing(table):
    more = table.assign(copy=2 * table["a"] - table["b"], constant=7.0)
    seen, values = training(more)
    with_them = Usual.of(3, Covariates(seen, (0, 1, 2, 5, 6)))
    without = Usual.of(3, Covariates(seen, (0, 1, 2)))
    found, expected = (u.residual(values[:, 3], values, {}) for u in (with_them, without))
    np.testing.assert_allclose(found, expected, atol=1e-5)
