"""Steps before the model: what they fill in, what they drop, and what they need not be given."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from interventional import BayesianInterventionRegressor, intervene

N = 300


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b", "noise"])
    return X, X["a"] + X["b"] + 0.1 * rng.normal(size=N)


def piped(rows, *steps, **parameters):
    model = BayesianInterventionRegressor(random_state=0, **parameters)
    return make_pipeline(*steps, model).fit(*rows)


class TestMissing:
    @pytest.fixture
    def imputing(self, rows):
        X, y = rows[0].copy(), rows[1]
        X.loc[::7, "b"] = np.nan
        imputer = SimpleImputer().set_output(transform="pandas")
        return piped((X, y), imputer), X

    def test_as_observed(self, imputing):
        pipe, X = imputing
        for column in ("a", "b"):
            found = intervene(pipe, X, {column: lambda X, c=column: X[c]}).mean()
            assert found == pytest.approx(pipe.predict(X))

    def test_others_move_and_a_warning_says_which_do_not(self, imputing):
        pipe, X = imputing
        with pytest.warns(UserWarning, match=r"do\['b'\] is missing in 43 of 300 rows"):
            found = intervene(pipe, X, {"b": lambda X: X["b"] + 0.1}).mean()
        assert found == pytest.approx(pipe.predict(X.assign(b=X["b"] + 0.1)))

    def test_forced_where_it_is_missing(self, imputing):
        pipe, X = imputing
        truth = pipe.predict(X.assign(b=0.5))
        assert intervene(pipe, X, {"b": 0.5}).mean() == pytest.approx(truth)
        drawn = intervene(pipe, X, {"b": stats.norm(0.5, 1e-9)}).mean()
        assert drawn == pytest.approx(truth, abs=1e-6)

    def test_missing_where_it_was_not(self, imputing):
        pipe, X = imputing
        with pytest.raises(ValueError, match=r"do\['b'\] holds NaN in row 1"):
            intervene(pipe, X, {"b": X["b"].where(X.index != 1)})
        with pytest.raises(ValueError, match=r"do\['b'\] holds NaN"):
            intervene(pipe, X, {"b": np.nan})

    def test_a_level(self, rows):
        arm = pd.Series(pd.Categorical(np.resize(["low", "high", None], N), ["low", "high"]))
        X, y = rows[0].assign(arm=arm), rows[1] + (arm == "high")
        most = SimpleImputer(strategy="most_frequent")
        coded = make_pipeline(most, OneHotEncoder(drop="first", sparse_output=False))
        pipe = piped((X, y), make_column_transformer((coded, ["arm"]), remainder="passthrough"))
        assert intervene(pipe, X, {"arm": lambda X: X["arm"]}).mean() == pytest.approx(
            pipe.predict(X)
        )
        high = intervene(pipe, X, {"arm": "high"}).mean()
        assert high == pytest.approx(pipe.predict(X.assign(arm="high")))

    def test_nobody_fills_it_in(self, rows):
        X, _ = rows
        pipe = piped(rows, StandardScaler())
        holes = X.assign(b=X["b"].where(X.index > 3))
        with pytest.raises(ValueError, match="NaN"):
            intervene(pipe, holes, {"b": lambda X: X["b"]})


class TestNotThere:
    @pytest.mark.parametrize("lacking", ["absent", "NaN"])
    def test_the_forced_column(self, rows, lacking):
        X, _ = rows
        for pipe in (piped(rows, StandardScaler()), BayesianInterventionRegressor().fit(*rows)):
            new = X.drop(columns="b") if lacking == "absent" else X.assign(b=np.nan)
            found = intervene(pipe, new.head(5), {"b": 0.5})
            assert found.mean() == pytest.approx(pipe.predict(X.assign(b=0.5).head(5)))

    def test_what_follows(self):
        rng = np.random.default_rng(1)
        X = pd.DataFrame({"price": rng.normal(10, 1, N)})
        X["visitors"] = 30 - 2 * X["price"] + rng.normal(size=N)
        y = 5 * X["visitors"] + rng.normal(size=N)
        scaler = StandardScaler().set_output(transform="pandas")
        pipe = piped((X, y), scaler, graph="price -> visitors -> y")
        whole = intervene(pipe, X, {"price": 9.0})
        assert abs(whole.average().mean() - 60) < 5 * whole.average().std()
        for new in (X[["price"]], X.assign(visitors=np.nan), X[[]].assign(price=np.nan)):
            found = intervene(pipe, new, {"price": 9.0})
            assert found.mean() == pytest.approx(whole.mean())
        with pytest.raises(ValueError, match="follows what is forced"):
            whole.average(by="visitors")
        with pytest.raises(ValueError, match="missing"):
            intervene(pipe, X[["visitors"]], {"visitors": 9.0})

    def test_what_the_steps_read(self, rows):
        with pytest.raises(ValueError, match=r"(?s)yet now missing:.*- a"):
            intervene(piped(rows, StandardScaler()), rows[0].drop(columns="a"), {"b": 0.5})


class TestDropped:
    @pytest.mark.parametrize("kind", ["frame", "array"])
    @pytest.mark.parametrize("n", [1, N])
    def test_by_a_selection(self, rows, kind, n):
        X, y = rows
        keys = ["a", "noise"] if kind == "frame" else [0, 2]
        X = X if kind == "frame" else X.to_numpy()
        pipe = piped((X, y), SelectKBest(f_regression, k=2))
        for do in ({keys[1]: 1.0}, {keys[0]: 1.0, keys[1]: 1.0}, {keys[1]: stats.norm()}):
            with pytest.raises(ValueError, match=r"steps before the model drop '(noise|x2)'"):
                intervene(pipe, X[:n], do)
        kept = intervene(pipe, X[:n], {keys[0]: 0.5}).mean()
        assert kept - 0.5 == pytest.approx(rows[0]["b"][:n], abs=0.1)

    def test_by_columns_that_are_not_named(self, rows):
        X, y = rows[0].assign(town=np.resize(["p", "q", "r"], N)), rows[1]
        spline = SplineTransformer(n_knots=4, extrapolation="constant", include_bias=False)
        pipe = piped((X, y), make_column_transformer((spline, ["a"]), ("passthrough", ["noise"])))
        for do in ({"b": 1.0}, {"town": "p"}, {"a": 1.0, "town": "p"}):
            with pytest.raises(ValueError, match="steps before the model drop"):
                intervene(pipe, X, do)
        far = X.head(2).assign(a=50.0)  # the spline is constant there
        edge = pipe.predict(far)
        assert intervene(pipe, far, {"a": 50.0}).mean() == pytest.approx(edge)

    def test_by_the_design_behind_them(self, rows):
        design = make_column_transformer(("passthrough", ["a"]))
        scaler = StandardScaler().set_output(transform="pandas")
        with pytest.raises(ValueError, match="design of 'y' drops 'b'"):
            intervene(piped(rows, scaler, design=design), rows[0], {"b": 1.0})

    def test_a_level_as_it_is_in_a_single_row(self, rows):
        X, y = rows[0].assign(town=np.resize(["p", "q"], N)), rows[1]
        one_hot = OneHotEncoder(drop="first", sparse_output=False)
        coded = make_column_transformer((one_hot, ["town"]), remainder="passthrough")
        pipe = piped((X, y), coded)
        for unseen in ("error", "ignore"):
            pipe.set_params(columntransformer__onehotencoder__handle_unknown=unseen).fit(X, y)
            found = intervene(pipe, X.head(1), {"town": "p"}).mean()
            assert found == pytest.approx(pipe.predict(X.head(1)))
