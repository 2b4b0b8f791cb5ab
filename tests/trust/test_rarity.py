"""How frequent rows are at a level: against counts, closed forms, scikit-learn and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from interventional.data.accumulation import Accumulated
from interventional.data.schema import Schema
from interventional.trust.overlap import Training
from interventional.trust.rarity import Rarity


def asked(X, level, shrunk=True):
    """Return the overlap of all rows if the last column is forced to a level."""
    schema = Schema.of(X)
    values = schema.encode(X)
    columns = tuple(range(X.shape[1]))
    seen = Training.of(Accumulated.of(schema, columns, values, values[:, 0], None))
    j = columns[-1]
    code = float(level) if schema.levels[j] is None else schema.levels[j].index(level)
    forced = np.full(len(X), float(code))
    rarity = Rarity.of(j, seen, columns[:-1], shrunk=shrunk)
    return rarity.overlap(seen.codes(j, forced), values, {j: forced})


def counted(X, level):
    """Return p(covariates | level) / p(covariates) of each row, and how many had been expected."""
    *covariates, last = X.columns
    at_level = (X[last] == level).astype(float)
    share = at_level.groupby([X[c] for c in covariates]).transform("mean")
    n = at_level.groupby([X[c] for c in covariates]).transform("size")
    return (share / at_level.mean()).to_numpy(), (n * at_level.mean()).to_numpy()


def drawn(rng, n, n_columns):
    """Return covariates of levels, bools and few numbers."""
    makers = (
        lambda: rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2]),
        lambda: rng.random(n) < 0.4,
        lambda: rng.integers(1, 5, n).astype(float),
        lambda: rng.integers(0, 2, n),
    )
    return pd.DataFrame({f"c{k}": makers[k % 4]() for k in range(n_columns)})


class TestCounted:
    @pytest.mark.parametrize("kind", ["bool", "number", "level"])
    def test_one_binary_covariate(self, kind):
        rng = np.random.default_rng(1)
        b = rng.random(5000) < 0.5
        a = rng.random(5000) < np.where(b, 0.9, 0.1)
        X = pd.DataFrame({"b": b, "a": a})
        level = True
        if kind == "number":
            X, level = X.astype(float) * 3 + 2, 5.0
        if kind == "level":
            X, level = X.map({True: "yes", False: "no"}.get), "yes"
        found, (truth, expected) = asked(X, level), counted(X, level)
        assert (np.abs(found - np.minimum(truth, 1)) < 2 / expected).all()
        assert found.min() == pytest.approx(0.196, abs=0.002)

    @pytest.mark.parametrize("n_columns", [1, 2, 3, 4])
    def test_several_covariates_that_act_jointly(self, n_columns):
        """Where 50 rows or more are expected, what was counted stands, to a row or so."""
        rng = np.random.default_rng([2, n_columns])
        X = drawn(rng, 20_000, n_columns)
        propensity = rng.uniform(0.05, 0.95, (3, 2, 5, 2))
        codes = [pd.factorize(X[c], sort=True)[0] for c in X] + [0] * (4 - n_columns)
        X["t"] = rng.random(len(X)) < propensity[tuple(codes)]
        found, (truth, expected) = asked(X, True), counted(X, True)
        many = expected > 50
        assert many.mean() > 0.7
        off = np.abs(found - np.minimum(truth, 1)) * expected
        assert off[many].max() < 2.5

    def test_what_no_main_effect_shows(self):
        """Treated if exactly one of two is true, and never otherwise."""
        rng = np.random.default_rng(3)
        X = pd.DataFrame(rng.integers(0, 2, (600, 2))).add_prefix("x")
        X["t"] = (X["x0"] != X["x1"]) & (rng.random(600) < 0.6)
        found = asked(X, True)
        never = X["x0"] == X["x1"]
        assert (found[never] < 0.03).all()
        assert (found[~never] == 1).all()

    def test_combinations_of_few_rows_say_nothing_where_levels_depend_on_nothing(self):
        for k in range(10):
            rng = np.random.default_rng([4, k])
            X = pd.DataFrame(rng.choice(list("abcd"), (200, 4))).add_prefix("x")
            X["t"] = rng.permutation(np.arange(200) < 20)
            assert (asked(X, True) > 0.3).mean() > 0.97

    def test_combinations_of_few_rows_follow_the_main_effects(self):
        """Against a logistic regression of statsmodels; 256 combinations, 600 rows."""
        rng = np.random.default_rng(5)
        X = pd.DataFrame(rng.choice(list("abcd"), (600, 4))).add_prefix("x")
        score = 2.5 * (X["x0"] == "a") - 3.0 * (X["x1"] == "b")
        X["t"] = rng.random(600) < 1 / (1 + np.exp(-score))
        design = sm.add_constant(pd.get_dummies(X.drop(columns="t"), drop_first=True, dtype=float))
        model = sm.GLM(X["t"].astype(float), design, family=sm.families.Binomial()).fit()
        ratio = np.minimum(model.fittedvalues / X["t"].mean(), 1)
        found = asked(X, True)
        assert np.corrcoef(found, ratio)[0, 1] > 0.9
        assert np.median(found[ratio < 0.08]) < 0.15
        assert np.median(found[ratio > 0.8]) > 0.8

    def test_a_combination_that_never_occurred(self):
        """There is no row of it; the main effects say what is to be expected of it."""
        rng = np.random.default_rng(6)
        X = pd.DataFrame({"s": rng.choice(["f", "m"], 2000), "k": rng.choice(["u", "v"], 2000)})
        X = X[(X["s"] == "f") | (X["k"] == "u")].reset_index(drop=True)
        odds = np.where(X["s"] == "f", 1.0, 0.2) * np.where(X["k"] == "u", 1.0, 0.2)
        X["t"] = rng.random(len(X)) < odds / (1 + odds)
        schema = Schema.of(X)
        values = schema.encode(X)
        seen = Training.of(Accumulated.of(schema, (0, 1, 2), values, values[:, 0], None))
        rarity = Rarity.of(2, seen, (0, 1))
        new = np.array([[1.0, 1.0, 0.0]])  # a man, v
        found = rarity.overlap(np.ones(1, dtype=np.intp), new, {2: np.ones(1)})[0]
        assert found == pytest.approx(0.04 / 1.04 / X["t"].mean(), rel=0.4)

    def test_a_sum_that_only_one_level_has_separates_it(self):
        """Indicators that a user made: exactly one of three is 1, in every row."""
        which = np.random.default_rng(4).integers(0, 3, 300)
        X = pd.DataFrame(np.eye(3)[which], columns=list("bca"))
        overlap = asked(X, 1)
        assert (overlap[which == 2] == 1).all()
        assert (overlap[which != 2] < 0.05).all()

    def test_columns_beyond_those_that_are_counted_are_looked_at_by_pairs(self):
        """Combinations of four columns of 20 levels are too many to count."""
        rng = np.random.default_rng(7)
        X = pd.DataFrame(rng.integers(0, 20, (6000, 4)).astype(str)).add_prefix("x")
        X["t"] = (rng.random(6000) < 0.5) & (X["x3"] != "7")
        found = asked(X, True)
        assert (found[X["x3"] == "7"] < 0.1).all()
        assert (found[X["x3"] != "7"] > 0.1).mean() > 0.99


class TestNumbers:
    @pytest.fixture
    def table(self):
        """Three numbers, and levels that depend on them."""
        rng = np.random.default_rng(0)
        n = 300
        a, b = rng.normal(1e3, 2.0, n), rng.exponential(3.0, n)
        v = 0.5 * a - b + rng.normal(size=n)
        score = np.column_stack([np.zeros(n), 0.4 * (a - 1e3), 0.3 * b])
        level = np.array(["p", "q", "r"])[(score + rng.gumbel(size=(n, 3))).argmax(axis=1)]
        return pd.DataFrame({"a": a, "b": b, "v": v, "level": level})

    def test_they_are_compared_by_linear_discriminants(self, table):
        x = table.drop(columns="level")
        lda = LinearDiscriminantAnalysis(solver="lsqr").fit(x, table["level"])
        # 'lsqr' divides the pooled covariance by n, not by n less the number of levels
        lda.covariance_ = lda.covariance_ * len(x) / (len(x) - 3)
        lda.coef_ = np.linalg.lstsq(lda.covariance_, lda.means_.T, rcond=None)[0].T
        lda.intercept_ = -0.5 * np.diag(lda.means_ @ lda.coef_.T) + np.log(lda.priors_)
        for k, level in enumerate("pqr"):
            expected = np.minimum(lda.predict_proba(x)[:, k] / lda.priors_[k], 1)
            found = asked(table, level, shrunk=False)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)

    def test_what_chance_would_show_is_left_out(self):
        """Of two levels Hotelling's test is the F test of the regression of the indicator."""
        rng = np.random.default_rng(2)
        treated = rng.permutation(np.arange(90) < 30).astype(float)
        noise = rng.normal(size=(90, 3))
        found = []
        for shift in np.linspace(0, 2, 41):
            x = noise + shift * treated[:, None] * [1, 0, 0]
            X = pd.DataFrame(np.column_stack([x, treated])).add_prefix("x")
            p = sm.OLS(treated, sm.add_constant(x)).fit().f_pvalue
            differs = np.ptp(asked(X, 1)) > 1e-6
            assert differs == (p < 1e-3)
            found.append(differs)
        assert not found[0]
        assert found[-1]

    def test_what_a_number_tells_beside_counted_levels(self):
        """Closed form: normal given group and arm, the arm's part the same in each group."""
        rng = np.random.default_rng(8)
        n = 40_000
        group, share = rng.integers(0, 3, n), np.array([0.1, 0.5, 0.8])
        t = rng.random(n) < share[group]
        mean = np.array([0.0, 3.0, -4.0])
        v = mean[group] + 1.2 * t + rng.normal(size=n)
        X = pd.DataFrame({"group": np.array(list("xyz"))[group], "v": v, "t": t})
        odds = share[group] / (1 - share[group]) * np.exp(1.2 * (v - mean[group]) - 0.72)
        truth = np.minimum(odds / (1 + odds) / t.mean(), 1)
        found = asked(X, True, shrunk=False)
        np.testing.assert_allclose(found, truth, rtol=0.15, atol=0.002)

    def test_a_number_that_only_goes_with_a_counted_level_tells_nothing_more(self):
        rng = np.random.default_rng(9)
        n = 3000
        male = rng.random(n) < 0.5
        t = rng.random(n) < np.where(male, 0.15, 0.7)
        X = pd.DataFrame(
            {"male": male, "height": 160 + 15 * male + 6 * rng.normal(size=n), "t": t}
        )
        np.testing.assert_allclose(asked(X, True), asked(X[["male", "t"]], True), rtol=1e-9)

    def test_columns_that_are_no_covariates_are_not_read(self):
        rng = np.random.default_rng(10)
        v, t = rng.normal(size=500), rng.random(500)
        X = pd.DataFrame({"v": v, "w": rng.normal(size=500), "t": t < 1 / (1 + np.exp(-2 * v))})
        schema = Schema.of(X)
        values = schema.encode(X)
        seen = Training.of(Accumulated.of(schema, (0, 1, 2), values, values[:, 0], None))
        rarity, forced = Rarity.of(2, seen, (0,)), np.ones(500)
        codes = seen.codes(2, forced)
        expected = rarity.overlap(codes, values, {2: forced})
        values[:, 1:] = np.nan
        np.testing.assert_array_equal(rarity.overlap(codes, values, {2: forced}), expected)
        assert np.ptp(expected) > 0.5


def test_false_alarms_on_tables_of_levels():
    """No row is said to be rare where each combination was counted at a tenth or more."""
    n_asked = 0
    for k in range(120):
        rng = np.random.default_rng([11, k])
        X = drawn(rng, int(rng.choice([200, 1000])), int(rng.integers(1, 3)))
        propensity = rng.uniform(0.03, 0.97, (3, 2))
        codes = [pd.factorize(X[c], sort=True)[0] for c in X] + [0] * (2 - X.shape[1])
        X["t"] = rng.random(len(X)) < propensity[tuple(codes)]
        if counted(X, True)[0].min() >= 0.1:
            n_asked += 1
            assert (asked(X, True)[~X["t"]] < 0.1).sum() < 0.05 * len(X)
    assert n_asked > 60
