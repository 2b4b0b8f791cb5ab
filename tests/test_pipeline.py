"""`intervene` through pipelines: raw columns are forced before any step runs."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import assert_mean
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_transformer,
)
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

from interventional import BayesianInterventionRegressor, intervene, numbers

# Sales bend, and what is tested is what steps before a line come to.
pytestmark = pytest.mark.filterwarnings("ignore:.* linear in its terms")
FLAT = {
    "beta": Prior("Flat"),
    "intercept": Prior("Flat"),
    "sigma": Prior("HalfFlat"),
}


@pytest.fixture(scope="module")
def shop():
    """Sales by price, with a price effect that differs by city and bends."""
    rng = np.random.default_rng(2)
    X = pd.DataFrame(
        {
            "price": rng.uniform(1, 9, 300),
            "city": rng.choice(["bern", "oslo", "rome"], 300),
            "ads": rng.integers(0, 2, 300).astype(bool),
        },
        index=pd.RangeIndex(1000, 1300),
    )
    y = 20 - 0.2 * X["price"] ** 2 + (X["city"] == "oslo") * X["price"] + X["ads"]
    return X, (y + rng.normal(size=300)).rename("sales")


def preprocessing():
    return make_pipeline(
        ColumnTransformer(
            [
                ("n", StandardScaler(), ["price"]),
                ("c", OneHotEncoder(drop="first", sparse_output=False), ["city"]),
            ],
            remainder="passthrough",
        ),
        PolynomialFeatures(2, include_bias=False),
    )


def ours(**parameters):
    return BayesianInterventionRegressor(random_state=0, draws=500, **parameters)


@pytest.mark.parametrize("output", ["default", "pandas"])
@pytest.mark.parametrize(
    "do",
    [
        {"price": 4.0},
        {"price": lambda X: X["price"] * 1.1},
        {"city": "oslo", "ads": True},
        {"price": pd.Series(5.0, index=range(1000, 1300)), "city": ["rome"] * 300},
    ],
    ids=["number", "callable", "levels", "series"],
)
def test_pipeline_equals_design_and_direct_substitution(shop, do, output):
    """Steps outside, the same steps inside as design=, and arithmetic by hand are one answer."""
    X, y = shop
    steps = preprocessing().set_output(transform=output)
    priors = {"beta": Prior("Normal", mu=0, sigma=10)}  # by default a design has one of its own
    pipeline = make_pipeline(steps, ours(priors=priors)).fit(X, y)
    outcomes = intervene(pipeline, X, do)
    inside = ours(design=steps, priors=priors).fit(X, y)
    np.testing.assert_allclose(outcomes.draws, inside.intervene(X, do).draws, atol=1e-7)

    forced = X.assign(**{k: v(X) if callable(v) else v for k, v in do.items()})
    matrix = np.asarray(pipeline[0].transform(forced), dtype=float)
    model = pipeline[-1]
    by_hand = matrix @ model.coef_ + model.intercept_
    np.testing.assert_allclose(outcomes.mean(), by_hand, rtol=1e-9)
    assert list(outcomes.draws.indexes["obs"]) == list(X.index)
    assert set(outcomes.average(by="city").draws.indexes["obs"]) == set(X["city"])


def test_sequence_of_steps_search_and_target_in_any_order(shop):
    """Search around target around pipeline, and pipeline around target around search."""
    X, y = shop
    y = np.exp(0.1 * y)
    steps = preprocessing()
    inner = make_pipeline(steps, ours())
    log = {"func": np.log, "inverse_func": np.exp}
    first = GridSearchCV(
        TransformedTargetRegressor(inner, **log),
        {"regressor__bayesianinterventionregressor__fit_intercept": [True]},
        cv=2,
    ).fit(X, y)
    last = make_pipeline(
        preprocessing(),
        TransformedTargetRegressor(GridSearchCV(ours(), {"draws": [500]}, cv=2), **log),
    ).fit(X, y)
    do = {"price": 3.0}
    expected = intervene(TransformedTargetRegressor(inner, **log).fit(X, y), X, do)
    for estimator in (first, last):
        np.testing.assert_allclose(intervene(estimator, X, do).draws, expected.draws, rtol=1e-9)


@pytest.mark.parametrize(
    "search",
    [
        lambda e: RandomizedSearchCV(e, {"fit_intercept": [True]}, n_iter=1, cv=2, random_state=0),
        lambda e: HalvingGridSearchCV(e, {"fit_intercept": [True]}, cv=2, random_state=0),
    ],
    ids=["randomized", "halving"],
)
def test_searches(shop, search):
    X, y = shop
    found = search(ours()).fit(X, y)
    expected = found.best_estimator_.intervene(X, {"price": 3.0})
    np.testing.assert_array_equal(intervene(found, X, {"price": 3.0}).draws, expected.draws)


def test_estimator_itself_and_arrays(shop):
    X, y = shop
    values = X[["price", "ads"]].to_numpy(dtype=float)
    model = ours().fit(values, y)
    expected = model.intervene(values, {0: 3.0})
    np.testing.assert_array_equal(intervene(model, values, {"x0": 3.0}).draws, expected.draws)
    scaled = make_pipeline(StandardScaler(), ours(priors=FLAT)).fit(values, y)
    plain = ours(priors=FLAT).fit(values, y).intervene(values, {0: 3.0})
    np.testing.assert_allclose(intervene(scaled, values, {0: 3}).draws, plain.draws, rtol=1e-7)


def test_stochastic_policy_through_steps(shop):
    """A drawn price has the mean and the variance of the integral over its distribution."""
    X, y = shop
    pipeline = make_pipeline(preprocessing(), ours()).fit(X, y)
    policy = {"price": stats.uniform(2, 4)}
    drawn = intervene(pipeline, X[:40], policy)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    grid = [intervene(pipeline, X[:40], {"price": 4 + 2 * x}).draws.values for x in nodes]
    expected = np.tensordot(weights / 2, grid, axes=1)
    difference = (drawn.draws.values - expected).reshape(-1, 40).mean(axis=1)
    assert_mean(difference, 0.0)
    spread = np.tensordot(weights / 2, np.square(np.asarray(grid) - expected), axes=1).mean()
    assert np.var(drawn.draws.values - expected) == pytest.approx(spread, rel=0.02)


def test_transformed_target_mean_is_that_of_the_raw_outcome(shop):
    """E[y | do] behind a logarithm equals brute-force simulation, and the lognormal's formula."""
    X, y = shop
    y = np.exp(0.2 * y)
    model = TransformedTargetRegressor(ours(), func=np.log, inverse_func=np.exp).fit(X, y)
    do = {"price": 3.0}
    mean = intervene(model, X[:20], do)
    inner = model.regressor_.intervene(X[:20], do).draws.values
    sigma = model.regressor_.idata_["posterior"]["y_sigma"].values[..., None]
    np.testing.assert_allclose(mean.draws, np.exp(inner + sigma**2 / 2), rtol=1e-10)
    rng = np.random.default_rng(0)
    simulated = np.exp(inner + sigma * rng.standard_normal((200, *inner.shape)))
    assert_mean(simulated.mean(axis=(1, 2, 3)), mean.draws.values.mean())
    drawn = intervene(model, X[:20], do, kind="predictive").draws.values
    difference = (drawn - mean.draws.values).reshape(-1, 20).mean(axis=1)
    assert_mean(difference, 0.0)
    assert np.median(drawn) < mean.draws.values.mean()  # the median of a lognormal lies below


def test_contrasts_are_paired(shop):
    """Two calls share draws and noise: without interaction a price step is beta alone."""
    X, y = shop
    pipeline = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["price"])], remainder="drop"), ours()
    ).fit(X, y)
    up = intervene(pipeline, X, {"price": lambda X: X["price"] + 1}, kind="predictive")
    stay = intervene(pipeline, X, {"price": lambda X: X["price"]}, kind="predictive")
    beta = pipeline[-1].idata_["posterior"][f"{y.name}_beta"].values[..., 0]
    step = beta / pipeline[0].named_transformers_["n"].scale_[0]
    expected = np.broadcast_to(step[..., None], up.draws.shape)
    np.testing.assert_allclose((up - stay).draws, expected, atol=1e-9)


def test_graph_with_and_without_steps():
    """Forced to what it was, a column still is forced: its mediator is regenerated."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=200)
    X = pd.DataFrame({"x": x, "m": 2 * x + rng.normal(size=200)})
    y = 3 * X["m"] + X["x"] + rng.normal(size=200)
    alone = ours(graph="x -> m -> y; x -> y").fit(X, y)
    scaler = StandardScaler().set_output(transform="pandas")
    scaled = make_pipeline(scaler, ours(graph="x -> m -> y; x -> y")).fit(X, y)
    for do in ({"x": lambda X: X["x"]}, {"x": lambda X: X["x"] + 1}, {"x": 0.0}):
        for kind in ("mean", "predictive"):
            expected = alone.intervene(X, do, kind=kind).draws
            np.testing.assert_array_equal(intervene(alone, X, do, kind=kind).draws, expected)
            through = intervene(scaled, X, do, kind=kind).draws
            np.testing.assert_allclose(through, expected, atol=1e-8)
    assert np.ptp(alone.intervene(X, {"x": 0.0}).mean()) < 1e-12
    both = X.assign(z=1.0)
    stray = ours(graph="x -> m -> y; x -> y").fit(both, y)
    with pytest.raises(ValueError, match=r"do: column 'z' is not in the graph"):
        stray.intervene(both, {"z": 0.0})


class TestNonlinearEffects:
    """design=: raw columns stay the variables, effects bend and differ by row."""

    def test_dose_response_of_a_sine(self):
        """E[y | do(b = v)] follows the sine that made the data, and statsmodels' coefficients."""
        rng = np.random.default_rng(3)
        X = pd.DataFrame({"a": rng.normal(size=2000), "b": rng.uniform(0, 6, 2000)})
        y = np.sin(X["b"]) + 0.5 * X["a"] + 0.3 * rng.normal(size=2000)
        design = ColumnTransformer(
            [("b", SplineTransformer(n_knots=12, include_bias=False), ["b"])],
            remainder="passthrough",
        )
        model = ours(design=design, priors=FLAT).fit(X, y)
        values = np.linspace(0.5, 5.5, 11)
        curve = [model.intervene(X, {"b": v}).average() for v in values]
        mean = np.array([float(c.mean()[0]) for c in curve])
        error = np.array([float(c.std()[0]) for c in curve])
        truth = np.sin(values) + 0.5 * X["a"].mean()
        assert np.all(np.abs(mean - truth) < 4 * error)

        matrix = sm.add_constant(design.fit_transform(X))
        fitted = sm.OLS(y, matrix).fit()
        draws = model.idata_["posterior"]
        beta = np.concatenate([draws["y_intercept"].values[..., None], draws["y_beta"]], axis=-1)
        assert_mean(beta.reshape(-1, beta.shape[-1]), fitted.params.to_numpy())
        for v in (1.0, 4.0):
            forced = sm.add_constant(design.transform(X.assign(b=v)), has_constant="add")
            by_hand = fitted.predict(forced).mean()
            average = model.intervene(X, {"b": v}).average()
            assert_mean(average.draws.values.ravel(), by_hand)

    def test_effects_that_differ_by_row(self):
        """An interaction gives each row its own effect, the known one within 4 standard errors."""
        rng = np.random.default_rng(4)
        X = pd.DataFrame({"a": rng.normal(size=1500), "b": rng.normal(size=1500)})
        y = X["a"] + X["b"] * (1 + 0.5 * X["a"]) + rng.normal(size=1500)
        design = PolynomialFeatures(interaction_only=True, include_bias=False)
        model = ours(design=design, priors=FLAT).fit(X, y)
        effect = model.effect(X, {"b": lambda X: X["b"] + 1})
        z = (effect.mean() - (1 + 0.5 * X["a"])) / effect.std()
        assert np.all(np.abs(z) < 4)
        fitted = sm.OLS(y, sm.add_constant(design.fit_transform(X))).fit().params.to_numpy()
        by_row = fitted[2] + fitted[3] * X["a"].to_numpy()
        samples = effect.draws.values.reshape(-1, 1500)
        assert np.all(np.abs(samples.mean(axis=0) - by_row) < 4.5 * effect.std() / np.sqrt(2000))

    def test_bins_and_stateless_functions(self, shop):
        X, y = shop
        design = ColumnTransformer(
            [
                (
                    "b",
                    KBinsDiscretizer(4, encode="onehot", quantile_method="averaged_inverted_cdf"),
                    ["price"],
                ),
                ("f", FunctionTransformer(np.square), ["price"]),
            ]
        )
        model = ours(design=design).fit(X, y)
        forced = design.fit(X).transform(X.assign(price=2.0))
        forced = forced.toarray() if hasattr(forced, "toarray") else forced
        by_hand = forced @ model.coef_ + model.intercept_
        np.testing.assert_allclose(model.intervene(X, {"price": 2.0}).mean(), by_hand)

    def test_kernel_features(self, shop):
        """An approximate kernel bends too: by hand on the features that it makes."""
        X, y = shop
        design = make_column_transformer((Nystroem(n_components=8, random_state=0), ["price"]))
        model = ours(design=design).fit(X, y)
        by_hand = design.fit(X).transform(X.assign(price=2.0)) @ model.coef_ + model.intercept_
        np.testing.assert_allclose(model.intervene(X, {"price": 2.0}).mean(), by_hand)

    def test_prior_of_a_raw_column_covers_the_terms_that_come_from_it_alone(self, shop):
        """Forbidding price leaves its interactions with other columns free."""
        X, y = shop
        X = X[["price", "ads"]].astype(float)
        design = PolynomialFeatures(2, include_bias=False)
        tight = Prior("Normal", mu=0, sigma=1e-9)
        model = ours(design=design, priors={"price": tight}).fit(X, y)
        coefficients = dict(zip(design.fit(X).get_feature_names_out(), model.coef_, strict=True))
        assert abs(coefficients["price"]) < 1e-7
        assert abs(coefficients["price^2"]) < 1e-7
        assert abs(coefficients["price ads"]) > 1e-3


class TestErrors:
    def test_estimator_that_does_not_end_in_ours(self, shop):
        X, y = shop
        values = X[["price", "ads"]].astype(float)
        for estimator in (
            Ridge().fit(values, y),
            make_pipeline(StandardScaler(), Ridge()).fit(values, y),
            BaggingRegressor(ours(), n_estimators=2).fit(values, y),
        ):
            with pytest.raises(TypeError, match="knows no interventions"):
                intervene(estimator, values, {"price": 1.0})

    def test_search_without_refit(self, shop):
        X, y = shop
        search = GridSearchCV(ours(), {"draws": [50]}, cv=2, refit=False).fit(X, y)
        with pytest.raises(TypeError, match="refit=True"):
            intervene(search, X, {"price": 1.0})

    @pytest.mark.parametrize(
        "estimator",
        [
            ours(),
            make_pipeline(StandardScaler(), ours()),
            TransformedTargetRegressor(ours()),
            GridSearchCV(ours(), {"draws": [50]}),
        ],
        ids=["estimator", "pipeline", "target", "search"],
    )
    def test_not_fitted(self, shop, estimator):
        with pytest.raises(NotFittedError):
            intervene(estimator, shop[0], {"price": 1.0})

    @pytest.mark.parametrize(
        ("do", "error", "message"),
        [
            ({"prise": 1.0}, ValueError, "did you mean 'price'"),
            ({}, ValueError, "empty"),
            ([("price", 1.0)], TypeError, "must be a mapping"),
            ({"price": np.nan}, ValueError, "NaN"),
            ({"price": np.inf}, ValueError, "infinity"),
            ({"price": "cheap"}, TypeError, "'cheap'"),
            ({"price": [1.0, 2.0]}, ValueError, "shape"),
            ({"city": "paris"}, ValueError, "paris"),
            ({"price": lambda X: None}, TypeError, "callable"),
            ({"price": pd.Series([1.0], index=[7])}, ValueError, "index"),
        ],
    )
    def test_bad_do(self, shop, do, error, message):
        X, y = shop
        pipeline = make_pipeline(preprocessing(), ours()).fit(X, y)
        with pytest.raises(error, match=message):
            intervene(pipeline, X, do)

    def test_unknown_kind(self, shop):
        X, y = shop
        pipeline = make_pipeline(preprocessing(), ours()).fit(X, y)
        with pytest.raises(ValueError, match="did you mean 'mean'"):
            intervene(pipeline, X, {"price": 1.0}, kind="means")

    def test_inverse_transform_that_fails(self, shop):
        X, y = shop
        model = TransformedTargetRegressor(
            ours(), func=np.exp, inverse_func=np.log, check_inverse=False
        ).fit(X, y / 10)
        with (
            np.errstate(invalid="ignore", divide="ignore"),
            pytest.raises(ValueError, match="inverse transform"),
        ):
            intervene(model, X, {"price": 1e6}, kind="predictive")


def test_the_expectation_behind_a_transformed_target_needs_a_gaussian():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    inner = BayesianInterventionRegressor(family="gamma", inference="laplace", random_state=0)
    model = TransformedTargetRegressor(inner, func=np.sqrt, inverse_func=np.square)
    model.fit(X, rng.gamma(2.0, size=300))
    with pytest.raises(ValueError, match=r"family='gamma' behind a transformed target"):
        intervene(model, X, do={"x0": 1.0})
    draws = intervene(model, X, do={"x0": 1.0}, kind="predictive").draws
    assert (draws.values > 0).all()


def test_rows_without_the_names_of_fit_are_warned_of():
    """As by the regressor's own method: an array's columns may be in another order."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["a", "b"])
    model = BayesianInterventionRegressor(random_state=0, draws=20).fit(X, X.sum(axis=1))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        intervene(model, X.to_numpy(), {0: 1.0})
    model.fit(X.to_numpy(), X.sum(axis=1))
    with pytest.warns(UserWarning, match="X has feature names, but"):
        intervene(model, X, {"a": 1.0})


def test_support_is_the_same_of_many_rows_and_of_few(monkeypatch):
    """What is drawn later may move any column; support is judged by those that were seen to."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["t", "m", "z"])
    y = X.sum(axis=1) + rng.normal(size=60)
    product = FunctionTransformer(lambda X: X.assign(tm=X["t"] * X["m"]))
    pipeline = make_pipeline(product, BayesianInterventionRegressor(random_state=0, draws=50))
    pipeline.fit(X, y)
    few = intervene(pipeline, X, {"t": stats.norm(0, 1)})
    monkeypatch.setattr(numbers, "AT_ONCE", 1000)
    many = intervene(pipeline, X, {"t": stats.norm(0, 1)})
    np.testing.assert_allclose(many.mean(), few.mean(), rtol=1e-9)
    pd.testing.assert_frame_equal(many.support, few.support)
