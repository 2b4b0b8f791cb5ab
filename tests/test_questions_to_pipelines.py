"""`effect`, `counterfactual`, `decompose`, `sensitivity` of pipelines: those of the estimator."""

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)

import interventional as iv
from interventional import BayesianInterventionRegressor, NotIdentifiedError

FLAT = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}


def ours(**parameters):
    return BayesianInterventionRegressor(random_state=0, draws=300, priors=FLAT, **parameters)


def scaler():
    return StandardScaler().set_output(transform="pandas")


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(1)
    X = pd.DataFrame({"season": rng.normal(size=150)}, index=pd.RangeIndex(500, 650))
    X["price"] = 10 + X["season"] + rng.normal(size=150)
    y = 50 + 8 * X["season"] - 3 * X["price"] + rng.normal(size=150)
    return X, y.rename("sales")


WAYS = {
    "itself": lambda inner: inner,
    "scaled": lambda inner: make_pipeline(StandardScaler(), inner),
    "scaled target": lambda inner: TransformedTargetRegressor(inner, transformer=StandardScaler()),
    "both, searched": lambda inner: GridSearchCV(
        TransformedTargetRegressor(
            make_pipeline(scaler(), inner), transformer=StandardScaler(with_mean=False)
        ),
        {"regressor__standardscaler__with_mean": [True]},
        cv=2,
    ),
    "turned round": lambda inner: TransformedTargetRegressor(
        inner, func=lambda y: 5 - 2 * y, inverse_func=lambda z: (5 - z) / 2
    ),
}


@pytest.mark.filterwarnings("ignore:.*does not have valid feature names")
@pytest.mark.parametrize("way", WAYS)
class TestTheSameAsTheEstimatorItself:
    """Under flat priors units do not matter: every draw of every answer is that without steps.

    A target that is turned round mirrors the draws, which then are compared by their moments.
    """

    def test_effects(self, shop, way):
        X, y = shop
        alone, whole = ours().fit(X, y), WAYS[way](ours()).fit(X, y)
        minus, nine = {"price": lambda X: X["price"] - 1}, {"price": 9.0}
        for do, baseline in ((minus, None), ({"price": 10.0}, nine), (minus, nine)):
            for kind in ("mean", "predictive"):
                expected = alone.effect(X, do, baseline, kind=kind)
                found = iv.effect(whole, X, do, baseline, kind=kind)
                self.compare(found, expected, way)
                said = [each.estimand.replace("sales", "y") for each in (found, expected)]
                assert said[0] == said[1]  # a transformed target forgets the name of y

    def test_counterfactuals(self, shop, way):
        X, y = shop
        alone, whole = ours().fit(X, y), WAYS[way](ours()).fit(X, y)
        do = {"price": lambda X: X["price"] - 1}
        found = iv.counterfactual(whole, X, y, do)
        self.compare(found, alone.counterfactual(X, y, do), way)
        shuffled = y.sample(frac=1, random_state=0)
        with pytest.raises(ValueError, match="y"):
            iv.counterfactual(whole, X, shuffled, do)

    def test_seeing(self, shop, way):
        X, y = shop
        alone, whole = ours().fit(X, y), WAYS[way](ours()).fit(X, y)
        for kind in ("mean", "predictive"):
            expected = alone.predict_outcomes(X, kind=kind)
            self.compare(iv.predict_outcomes(whole, X, kind=kind), expected, way)
        mean = iv.predict_outcomes(whole, X).mean()
        np.testing.assert_allclose(mean, whole.predict(X), rtol=1e-8)  # all of it is linear

    def test_sensitivity(self, shop, way):
        X, y = shop
        alone, whole = ours().fit(X, y), WAYS[way](ours()).fit(X, y)
        ask = {"do": {"price": 10.0}, "baseline": {"price": 11.0}, "threshold": 1.0}
        ask |= {"benchmarks": ["season"], "multiples": [0.05, 0.1]}
        expected, found = alone.sensitivity(X, **ask), iv.sensitivity(whole, X, **ask)
        rtol = 0.05 if way == "turned round" else 1e-7
        pd.testing.assert_frame_equal(found.summary(), expected.summary(), rtol=rtol)
        pd.testing.assert_frame_equal(found.bounds(), expected.bounds(), rtol=rtol)
        assert (found.treatment, found.threshold) == ("price", 1.0)

    @staticmethod
    def compare(found, expected, way):
        if way != "turned round":
            np.testing.assert_allclose(found.draws, expected.draws, rtol=1e-7, atol=1e-7)
            return
        error = expected.std() / np.sqrt(1200)
        allowed = 4 * np.sqrt(2) * error + 1e-9
        assert np.all(np.abs(found.mean() - expected.mean()) < 1.5 * allowed)
        np.testing.assert_allclose(found.std(), expected.std(), rtol=0.15)


@pytest.fixture(scope="module")
def mediated():
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"x": rng.normal(2, 3, size=300)})
    X["m"] = 2 * X["x"] + rng.normal(size=300)
    return X, 3 * X["m"] + X["x"] + rng.normal(size=300)


GRAPH = "x -> m -> y; x -> y"


class TestMediators:
    def test_decompose_is_that_of_the_estimator(self, mediated):
        X, y = mediated
        alone = ours(graph=GRAPH).fit(X, y)
        scaled = make_pipeline(scaler(), ours(graph=GRAPH)).fit(X, y)
        for do, baseline in (({"x": lambda X: X["x"] + 1}, None), ({"x": 1.0}, {"x": 0.0})):
            expected = alone.decompose(X, do, baseline)
            for whole in (alone, scaled):
                found = iv.decompose(whole, X, do, baseline)
                assert list(found) == ["direct", "indirect", "total"]
                for name, part in found.items():
                    np.testing.assert_allclose(part.draws, expected[name].draws, atol=1e-7)
            total = iv.effect(scaled, X, do, baseline)
            np.testing.assert_allclose(total.draws, alone.effect(X, do, baseline).draws, atol=1e-7)

    def test_effects_of_a_column_forced_to_itself_regenerate_the_mediator(self, mediated):
        """As by the estimator: at rest means forced to what it was, and m follows."""
        X, y = mediated
        scaled = make_pipeline(scaler(), ours(graph=GRAPH)).fit(X, y)
        itself = iv.effect(scaled, X, {"x": lambda X: X["x"]}, kind="predictive")
        assert np.abs(itself.draws.values).max() < 1e-9
        counterfactual = iv.counterfactual(scaled, X, y, {"x": lambda X: X["x"]})
        np.testing.assert_allclose(counterfactual.mean(), y, atol=1e-7)

    def test_decompose_behind_a_logarithm(self, mediated):
        """E[exp] of a line is exp(line + sigma^2 / 2): each part against that, by hand."""
        X, y = mediated
        y = np.exp(y / 40)
        target = TransformedTargetRegressor(ours(graph=GRAPH), func=np.log, inverse_func=np.exp)
        target.fit(X, y)
        do, baseline = {"x": 2.5}, {"x": 2.0}
        parts = iv.decompose(target, X, do, baseline)
        inner = target.regressor_
        draws = inner.idata_["posterior"]
        a, b = (draws["y_beta"].values[..., k].ravel()[:, None] for k in (0, 1))
        if list(draws["y_term"].values) == ["m", "x"]:
            a, b = b, a
        c, sigma = (draws[f"y_{name}"].values.ravel()[:, None] for name in ("intercept", "sigma"))
        d, e, s = (
            draws[f"m_{k}"].values.reshape(1200, -1) for k in ("intercept", "beta", "sigma")
        )

        def expected(x, as_if):
            """Of exp(c + a x + b m + sigma z), m ~ Normal(d + e x', s)."""
            variance = sigma**2 + (b * s) ** 2
            return np.exp(c + a * x + b * (d + e * as_if) + variance / 2)

        direct = expected(2.5, 2.0) - expected(2.0, 2.0)
        indirect = expected(2.5, 2.5) - expected(2.5, 2.0)
        for name, truth in (("direct", direct), ("indirect", indirect)):
            # each draw averages 300 independent draws of mediators
            difference = (parts[name].average().draws.values.ravel() - truth[:, 0]).ravel()
            assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(1200)
            assert difference.std() < 0.1 * abs(truth.mean())
        both = parts["direct"].draws + parts["indirect"].draws
        np.testing.assert_allclose(both, parts["total"].draws, rtol=1e-9)
        total = iv.effect(target, X, do, baseline)
        np.testing.assert_allclose(total.average().mean(), (direct + indirect).mean(), rtol=0.02)

    def test_graph_that_identifies_nothing(self, mediated):
        X, y = mediated
        hidden = make_pipeline(scaler(), ours(graph="x -> y; m -> y; u -> x; u -> y")).fit(X, y)
        with pytest.raises(NotIdentifiedError):
            iv.effect(hidden, X, {"x": 1.0})
        mean = iv.predict_outcomes(hidden, X).mean()
        np.testing.assert_allclose(mean, hidden.predict(X), rtol=1e-9)


class TestSteps:
    def test_levels_and_baselines_of_other_columns(self):
        rng = np.random.default_rng(4)
        X = pd.DataFrame({"town": rng.choice(list("abc"), 200), "z": rng.normal(size=200)})
        y = X["town"].map({"a": 0.0, "b": 1.0, "c": 3.0}) + X["z"] + rng.normal(size=200)
        steps = ColumnTransformer(
            [("c", OneHotEncoder(drop="first", sparse_output=False), ["town"])],
            remainder="passthrough",
        )
        whole, alone = make_pipeline(steps, ours()).fit(X, y), ours().fit(X, y)
        for do, baseline in (({"town": "c"}, {"town": "a"}), ({"town": "c"}, {"z": 0.0})):
            found = iv.effect(whole, X, do, baseline)
            np.testing.assert_allclose(found.draws, alone.effect(X, do, baseline).draws, atol=1e-7)

    def test_products_that_steps_make(self, shop):
        """d/dprice of a square, by hand from coefficients."""
        X, y = shop
        steps = PolynomialFeatures(2, include_bias=False).set_output(transform="pandas")
        whole = make_pipeline(steps, ours()).fit(X, y)
        found = iv.effect(whole, X, {"price": lambda X: X["price"] + 1})
        before, after = (steps.transform(X.assign(price=X["price"] + k)) for k in (0, 1))
        by_hand = (after - before).to_numpy() @ whole[-1].coef_
        np.testing.assert_allclose(found.mean(), by_hand, rtol=1e-7)
        with pytest.raises(ValueError, match=r"make .* of 'price', so that its effect is not one"):
            iv.sensitivity(whole, X, {"price": 1.0}, {"price": 0.0})

    def test_what_is_missing_at_rest_is_filled_in(self, shop):
        X, y = shop
        X = X.copy()
        X.iloc[:5, 1] = np.nan
        whole = make_pipeline(SimpleImputer(), ours()).fit(X, y)
        found = iv.effect(whole, X, {"price": 9.0}).mean()
        filled = X.fillna(X.mean())
        model = whole[-1]
        by_hand = model.coef_[1] * (9.0 - filled["price"])
        np.testing.assert_allclose(found, by_hand, rtol=1e-9)

    def test_distributions_pair_on_both_sides(self, shop):
        X, y = shop
        whole = make_pipeline(StandardScaler(), ours()).fit(X, y)
        policy = {"price": stats.norm(10, 1)}
        same = iv.effect(whole, X, policy, policy)
        assert not same.draws.values.any()
        alone = ours().fit(X, y)
        found, expected = (
            iv.effect(whole, X, policy).draws,
            alone.effect(X, policy).draws,
        )
        np.testing.assert_allclose(found, expected, atol=1e-7)


class TestRefusals:
    def test_sensitivity_behind_a_logarithm(self, shop):
        X, y = shop
        target = TransformedTargetRegressor(
            ours(), transformer=QuantileTransformer(n_quantiles=20)
        ).fit(X, y)
        logs = TransformedTargetRegressor(ours(), func=np.log, inverse_func=np.exp)
        logs.fit(X, np.exp(y / 50))
        for each in (target, logs):
            with pytest.raises(ValueError, match="more than a shift and a factor"):
                iv.sensitivity(each, X, {"price": 10.0}, {"price": 11.0})

    def test_benchmarks(self, shop):
        X, y = shop
        whole = make_pipeline(StandardScaler(), ours()).fit(X, y)
        ask = {"price": 10.0}, {"price": 11.0}
        for benchmarks, error, message in (
            ("saeson", ValueError, "benchmarks: .* did you mean 'season'"),
            ("price", ValueError, "'price' is what is forced"),
            (3, TypeError, "benchmarks must be a column"),
            ([[]], ValueError, "an empty group"),
        ):
            with pytest.raises(error, match=message):
                iv.sensitivity(whole, X, *ask, benchmarks=benchmarks)

    def test_two_columns(self, shop):
        X, y = shop
        whole = make_pipeline(StandardScaler(), ours()).fit(X, y)
        with pytest.raises(ValueError, match="that of the effect of one column"):
            iv.sensitivity(whole, X, {"price": 10.0, "season": 0.0})

    def test_outcomes_that_the_transform_does_not_take(self, shop):
        X, y = shop
        y = np.exp(y / 50)
        logs = TransformedTargetRegressor(ours(), func=np.log, inverse_func=np.exp).fit(X, y)
        y.iloc[7] = 0.0
        with np.errstate(divide="ignore"), pytest.raises(ValueError, match=r"y = 0 in row 7"):
            iv.counterfactual(logs, X, y, {"price": 9.0})
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            iv.counterfactual(logs, X, y.to_numpy()[:-1], {"price": 9.0})

    @pytest.mark.parametrize("name", ["predict_outcomes", "effect", "decompose", "sensitivity"])
    def test_dask_rows_and_strangers(self, shop, name):
        dd = pytest.importorskip("dask.dataframe")
        X, y = shop
        whole = make_pipeline(StandardScaler(), ours()).fit(X, y)
        ask = () if name == "predict_outcomes" else ({"price": 1.0},)
        with pytest.raises(TypeError, match=f"the function {name} takes rows in memory"):
            getattr(iv, name)(whole, dd.from_pandas(X, npartitions=2), *ask)
        with pytest.raises(TypeError, match="knows no interventions"):
            getattr(iv, name)(StandardScaler().fit(X), X, *ask)

    def test_empty(self, shop):
        X, y = shop
        whole = make_pipeline(StandardScaler(), ours()).fit(X, y)
        with pytest.raises(ValueError, match="baseline is empty"):
            iv.effect(whole, X, {"price": 1.0}, {})
        with pytest.raises(ValueError, match=r"do is empty.*predict_outcomes"):
            iv.effect(whole, X, {})
