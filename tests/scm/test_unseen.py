"""Levels that training never saw are draws from the population that the others are of."""

import pickle

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interventional import BayesianInterventionRegressor, intervene

POOLED = ["site"]


def rows(rng, family="gaussian", sites=12, each=15):
    effect = rng.normal(scale=0.8, size=sites)
    site = np.repeat(np.arange(sites), each)
    x = rng.normal(size=len(site))
    X = pd.DataFrame({"site": np.array([f"s{k:02}" for k in range(sites)])[site], "x": x})
    eta = 1 + effect[site] + 0.3 * x
    y = rng.poisson(np.exp(eta)) if family == "poisson" else eta + rng.normal(size=len(site))
    return X, y


@pytest.fixture(scope="module")
def fitted():
    X, y = rows(np.random.default_rng(0))
    model = BayesianInterventionRegressor(
        groups=POOLED, unseen_levels="population", random_state=0
    ).fit(X, y)
    return model, X


def parameters(model):
    posterior = model.idata_["posterior"]
    names = ("y_intercept", "y_beta_site_sd", "y_beta", "y_sigma")
    return {name: posterior[name].values.reshape(4000, -1) for name in names}


def test_predicts_the_mean_of_the_population(fitted):
    model, _ = fitted
    new = pd.DataFrame({"site": ["nowhere", "elsewhere"], "x": [0.0, 2.0]})
    found = parameters(model)
    slope = found["y_beta"][:, 0].mean()
    # beside the mean of the intercept, the average of 4,000 draws from the population
    error = np.sqrt(np.mean(found["y_beta_site_sd"] ** 2)) / np.sqrt(4000)
    expected = found["y_intercept"].mean() + slope * new["x"]
    assert np.all(np.abs(model.predict(new) - expected) < 4 * error)


def test_spread_is_that_of_the_population(fitted):
    model, _ = fitted
    new = pd.DataFrame({"site": ["nowhere"], "x": [0.0]})
    found = parameters(model)
    intercept, sd = found["y_intercept"][:, 0], found["y_beta_site_sd"][:, 0]
    variance = np.var(intercept) + np.mean(sd**2)
    draws = model.intervene(new, do={"x": 0.0}).draws.values.ravel()
    # of the variance of draws with these tails: by their own fourth moment
    error = np.sqrt(np.var((draws - draws.mean()) ** 2) / len(draws))
    assert abs(draws.var() - variance) < 4 * error
    _, std = model.predict(new, return_std=True)
    assert std[0] == pytest.approx(np.sqrt(draws.var() + np.mean(found["y_sigma"] ** 2)), rel=1e-3)


def test_intercept_and_slope_of_a_new_group_are_one_draw():
    """Rows of one new group have the covariance z' D R D z beside what they share with all."""
    X, y = rows(np.random.default_rng(6), sites=20)
    X["x"] += 2.0
    y = y + np.random.default_rng(7).normal(scale=0.6, size=20)[np.repeat(np.arange(20), 15)] * X.x
    model = BayesianInterventionRegressor(
        groups={"site": ["x"]}, unseen_levels="population", random_state=0
    ).fit(X, y)
    posterior = model.idata_["posterior"]
    x = np.array([-1.0, 2.0, 6.0])
    new = pd.DataFrame({"site": "nowhere", "x": x})
    sd = posterior["y_beta_site_sd"].values.reshape(-1, 2)
    corr = posterior["y_beta_site_corr"].values.reshape(-1, 2, 2)
    z = np.column_stack([np.ones(3), x - X["x"].mean()])  # groups differ around the mean of x
    own = z @ (sd[:, :, None] * corr * sd[:, None, :]).mean(axis=0) @ z.T
    slope = posterior["y_beta"].sel(y_term="x").values.reshape(-1, 1)
    population = posterior["y_intercept"].values.reshape(-1, 1) + slope * x
    draws = model.intervene(new, do={"x": x}).draws.values.reshape(-1, 3)
    moved = draws - population - (draws - population).mean(axis=0)
    products = moved[:, :, None] * moved[:, None, :]
    error = products.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(products.mean(axis=0) - own) < 4 * error)


def test_a_new_combination_of_levels_is_a_new_group():
    """Both of its levels are known; it is drawn from the population of combinations."""
    X, y = rows(np.random.default_rng(8), sites=8)
    X["day"] = np.resize(["mon", "tue", "wed"], len(X))
    lacking = (X["site"] == "s03") & (X["day"] == "wed")
    model = BayesianInterventionRegressor(
        groups={("site", "day"): []}, unseen_levels="population", random_state=0
    ).fit(X[~lacking], y[~lacking])
    new = pd.DataFrame({"site": ["s03"], "x": [0.0], "day": ["wed"]})
    posterior = model.idata_["posterior"]
    intercept = posterior["y_intercept"].values.ravel()
    sd = posterior["y_beta_site:day_sd"].values.ravel()
    draws = model.intervene(new, do={"x": 0.0}).draws.values.ravel()
    squares = np.square(draws - intercept)
    error = squares.std() / np.sqrt(len(draws))
    assert abs(squares.mean() - np.mean(sd**2)) < 4 * error
    model.set_params(unseen_levels="error")
    with pytest.raises(
        ValueError, match=r"row 0 is of the group 's03:wed' of 'site:day', that no row"
    ):
        model.predict(new)


def test_combinations_forced_row_by_row():
    X, y = rows(np.random.default_rng(9), sites=6)
    X["day"] = np.resize(["mon", "tue"], len(X))
    lacking = (X["site"] == "s03") & (X["day"] == "tue")
    model = BayesianInterventionRegressor(
        groups=[("site", "day")], unseen_levels="population", random_state=0
    ).fit(X[~lacking], y[~lacking])
    new = pd.DataFrame({"site": ["s03", "s03", "s01"], "x": 0.0, "day": "mon"})
    days = np.array(["tue", "mon", "tue"])
    forced = model.intervene(new, do={"day": days})
    np.testing.assert_allclose(forced.mean(), model.predict(new.assign(day=days)))


def test_a_category_that_no_row_had():
    """It is known as a level, and is a group as new as one that is not."""
    X, y = rows(np.random.default_rng(1))
    kinds = [*X["site"].unique(), "nowhere"]
    declared = X.assign(site=pd.Categorical(X["site"], kinds))
    parameters = {"groups": POOLED, "unseen_levels": "population", "random_state": 0}
    knows = BayesianInterventionRegressor(**parameters).fit(declared, y)
    lacks = BayesianInterventionRegressor(**parameters).fit(X, y)
    new = pd.DataFrame({"site": ["nowhere", "s03"], "x": [0.0, 1.0]})
    asked = new.assign(site=pd.Categorical(new["site"], kinds))
    np.testing.assert_allclose(knows.predict(asked), lacks.predict(new))
    moved = knows.intervene(declared.iloc[:2], do={"site": "nowhere"})
    np.testing.assert_allclose(
        moved.mean(), knows.predict(declared.iloc[:2].assign(site=kinds[-1:] * 2))
    )
    apart = knows.set_params(unseen_levels="error")
    with pytest.raises(ValueError, match="unknown level in column 'site' of X: 'nowhere'"):
        apart.predict(asked)


def test_numbers_that_are_labels():
    """In an array as in a frame, and the same group whatever the dtype."""
    X, y = rows(np.random.default_rng(10))
    X = pd.DataFrame({"x0": X["x"], "x1": X["site"].str[1:].astype(int) + 100})
    parameters = {"unseen_levels": "population", "random_state": 0}
    frame = BayesianInterventionRegressor(groups=["x1"], **parameters).fit(X, y)
    array = BayesianInterventionRegressor(groups=[1], **parameters).fit(X.to_numpy(), y)
    new = pd.DataFrame({"x0": [0.0, 1.0, 0.0], "x1": [777, 103, 777]})
    expected = frame.predict(new)
    assert expected[0] == expected[2]
    np.testing.assert_array_equal(frame.predict(new.astype(float)), expected)
    np.testing.assert_allclose(array.predict(new.to_numpy()), expected)
    moved = array.intervene(new.to_numpy(), do={1: 777}).mean()
    np.testing.assert_allclose(moved, frame.intervene(new, do={"x1": 777}).mean())
    np.testing.assert_allclose(moved[[0, 2]], expected[[0, 2]])


def test_a_level_is_one_draw_and_two_levels_are_two(fitted):
    model, _ = fitted
    new = pd.DataFrame({"site": ["nowhere", "nowhere", "elsewhere"], "x": 0.0})
    draws = model.intervene(new, do={"x": 0.0}).draws.values.reshape(-1, 3)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    own = draws - parameters(model)["y_intercept"]  # what sites do not share
    correlation = np.corrcoef(own[:, 0], own[:, 2])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(draws))
    alone = model.intervene(new.iloc[[2]], do={"x": 0.0}).draws.values.reshape(-1)
    np.testing.assert_allclose(draws[:, 2], alone)  # whoever stands beside it


def test_known_levels_beside_it_are_as_they_were(fitted):
    model, X = fitted
    mixed = pd.concat([X.iloc[:3], pd.DataFrame({"site": ["nowhere"], "x": [0.0]})])
    np.testing.assert_allclose(model.predict(mixed)[:3], model.predict(X.iloc[:3]))
    np.testing.assert_allclose(
        model.intervene(mixed, do={"x": 1.0}).mean()[:3],
        model.intervene(X.iloc[:3], do={"x": 1.0}).mean(),
    )


def test_a_column_may_be_forced_to_such_a_level(fitted):
    model, X = fitted
    moved = model.intervene(X.iloc[:2], do={"site": "nowhere"})
    new = X.iloc[:2].assign(site="nowhere")
    np.testing.assert_allclose(moved.mean(), model.predict(new))
    contrast = model.effect(X.iloc[:2], do={"site": "nowhere"}, baseline={"site": "s00"})
    np.testing.assert_allclose(
        contrast.mean(), moved.mean() - model.intervene(X.iloc[:2], do={"site": "s00"}).mean()
    )


def test_nothing_is_kept_of_it(fitted):
    model, X = fitted
    before = pickle.dumps(model)
    model.predict(X.assign(site="nowhere"))
    model.intervene(X.iloc[:2], do={"site": "nowhere"})
    assert pickle.dumps(model) == before
    again = pickle.loads(before)
    new = X.assign(site="nowhere")
    np.testing.assert_array_equal(again.predict(new), model.predict(new))


def test_categories_too():
    X, y = rows(np.random.default_rng(1))
    X["site"] = X["site"].astype("category")
    model = BayesianInterventionRegressor(
        groups=POOLED, unseen_levels="population", random_state=0
    ).fit(X, y)
    new = pd.DataFrame({"site": pd.Categorical(["nowhere"]), "x": [0.0]})
    assert np.isfinite(model.predict(new)).all()


@pytest.mark.slow
def test_of_a_count_the_mean_holds_the_spread():
    X, y = rows(np.random.default_rng(2), "poisson")
    model = BayesianInterventionRegressor(
        family="poisson",
        groups=POOLED,
        unseen_levels="population",
        inference="laplace",
        random_state=0,
    )
    # Of few sites its spread is off, and it says so; what follows is of whatever draws there are.
    with pytest.warns(ConvergenceWarning, match="the mean of y_beta_site_sd is off"):
        model.fit(X, y)
    posterior = model.idata_["posterior"]
    intercept = posterior["y_intercept"].values.ravel()
    sd = posterior["y_beta_site_sd"].values.ravel()  # on the log scale
    new = pd.DataFrame({"site": ["nowhere"], "x": [0.0]})
    draws = model.intervene(new, do={"x": 0.0}).draws.values.ravel()
    exact = np.exp(intercept + sd**2 / 2)  # the mean of a lognormal, for each draw
    error = (draws - exact).std() / np.sqrt(len(draws))
    assert abs(draws.mean() - exact.mean()) < 4 * error
    assert draws.mean() > np.exp(intercept).mean() + 4 * error


def test_a_hierarchical_prior_of_your_own():
    X, y = rows(np.random.default_rng(3))
    model = BayesianInterventionRegressor(
        priors={"site": Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=1))},
        unseen_levels="population",
        random_state=0,
    ).fit(X, y)
    posterior = model.idata_["posterior"]
    assert posterior.attrs["inference"] == "exact"
    new = pd.DataFrame({"site": ["nowhere"], "x": [0.0]})
    draws = model.intervene(new, do={"x": 0.0}).draws.values.ravel()
    sigma = posterior["y_beta_site_sigma"].values
    variance = posterior["y_intercept"].values.var() + np.mean(sigma**2)
    error = np.sqrt(np.var((draws - draws.mean()) ** 2) / len(draws))
    assert abs(draws.var() - variance) < 4 * error


def test_refused_unless_asked_for():
    X, y = rows(np.random.default_rng(4))
    model = BayesianInterventionRegressor(groups=POOLED, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="unknown level in column 'site' of X: 'nowhere'"):
        model.predict(X.assign(site="nowhere"))
    apart = BayesianInterventionRegressor(unseen_levels="population", random_state=0).fit(X, y)
    with pytest.raises(
        ValueError, match=r"'nowhere' in column 'site'.*no groups of.*'y'.*groups=\['site'\]"
    ):
        apart.predict(X.assign(site="nowhere"))


def test_missing_values_are_no_level(fitted):
    model, X = fitted
    with pytest.raises(ValueError, match="NaN in column 'site'"):
        model.predict(X.iloc[:2].assign(site=[None, "s01"]))


def test_through_a_pipeline():
    X, y = rows(np.random.default_rng(5))
    steps = ColumnTransformer(
        [("scale", StandardScaler(), ["x"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = BayesianInterventionRegressor(
        groups=POOLED, unseen_levels="population", random_state=0
    )
    pipeline = make_pipeline(steps, model).fit(X, y)
    new = X.iloc[:3].assign(site="nowhere")
    moved = intervene(pipeline, new, do={"x": 1.0})
    np.testing.assert_allclose(moved.mean(), pipeline.predict(new.assign(x=1.0)))
    forced = intervene(pipeline, X.iloc[:3], do={"site": "nowhere"})
    np.testing.assert_allclose(forced.mean(), pipeline.predict(new))
