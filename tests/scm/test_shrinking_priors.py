"""Priors that learn their scale, through the estimator: names, terms, engines, what they find.

The priors themselves are held against their definitions in `test_shrinkage.py`, and exact
inference against NUTS and quadrature in `test_hierarchical.py`.
"""

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior
from sklearn.datasets import load_diabetes
from sklearn.linear_model import BayesianRidge, RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from interventional import BayesianInterventionRegressor


def new(**parameters):
    return BayesianInterventionRegressor(random_state=0, **parameters)


def scores(regressor, X, y, *steps):
    pipeline = make_pipeline(*steps, StandardScaler(), regressor)
    return cross_val_score(pipeline, X, y, cv=KFold(10, shuffle=True, random_state=0)).mean()


def test_ridge_predicts_as_well_as_ridge_on_a_polynomial():
    X, y = load_diabetes(return_X_y=True)
    ours = scores(new(priors="ridge"), X, y, PolynomialFeatures(2, include_bias=False))
    for other in (RidgeCV(np.logspace(-2, 4, 30)), BayesianRidge()):
        assert ours > scores(other, X, y, PolynomialFeatures(2, include_bias=False)) - 0.01


@pytest.mark.slow
def test_ridge_predicts_as_well_as_ridge_where_terms_outnumber_rows():
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(80, 160))
        y = X @ rng.normal(scale=0.1, size=160) + rng.normal(size=80)
        regressors = new(priors="ridge"), RidgeCV(np.logspace(-2, 4, 30)), BayesianRidge()
        found.append([scores(regressor, X, y) for regressor in regressors])
    ours, *others = np.mean(found, axis=0)
    assert ours > max(others) - 0.01


def test_ridge_is_exact_and_says_what_it_learnt():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 30)) * 10.0 ** rng.integers(-3, 4, size=30)
    X[:, 0] = rng.normal(size=200)
    y = 5 + rng.normal(size=200)
    model = new(priors="ridge").fit(X, y)
    posterior = model.idata_["posterior"]
    assert posterior.attrs["inference"] == "exact"
    assert set(posterior.data_vars) == {"y_intercept", "y_beta", "y_beta_tau", "y_sigma"}
    assert posterior["y_beta_tau"].median() < 0.1  # there is nothing to learn


def test_a_column_of_its_own_is_not_shrunk_with_the_rest():
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.normal(size=(60, 21)), columns=["dose", *(f"z{k}" for k in range(20))])
    y = 3 * X["dose"] + rng.normal(size=60)
    wide = Prior("Normal", mu=0, sigma=100)
    model = new(priors={"beta": "ridge", "dose": wide}).fit(X, y)
    names = set(model.idata_["posterior"].data_vars)
    assert {"y_beta_normal", "y_beta_ridge", "y_beta_ridge_tau"} < names
    flat = new(priors={"beta": wide}).fit(X, y)
    assert model.coef_[0] == pytest.approx(3, abs=0.5)
    assert np.abs(model.coef_[1:]).mean() < 0.5 * np.abs(flat.coef_[1:]).mean()


def test_units_do_not_matter():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(80, 10))
    y = X[:, 0] + rng.normal(size=80)
    scale = 10.0 ** np.arange(-5, 5)
    here, there = new(priors="ridge").fit(X, y), new(priors="ridge").fit(X * scale, 1e4 * y)
    np.testing.assert_allclose(there.coef_ * scale, 1e4 * here.coef_, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["horseshoe", "r2d2"])
def test_five_effects_among_fifty_are_found(prior):
    """With default settings, whether terms stand alone or not; poor convergence is an error."""
    truth = np.zeros(50)
    truth[:5] = [2.0, -2.0, 1.5, -1.5, 1.0]
    for correlation in (0.0, 0.5):
        rng = np.random.default_rng(0)
        X = np.sqrt(1 - correlation) * rng.normal(size=(100, 50))
        X += np.sqrt(correlation) * rng.normal(size=(100, 1))
        y = X @ truth + rng.normal(size=100)
        model = new(priors=prior).fit(X, y)
        assert model.idata_["posterior"].attrs["inference"] == "hmc"
        low, high = np.quantile(model.idata_["posterior"]["y_beta"], [0.03, 0.97], axis=(0, 1))
        away = (low > 0) | (high < 0)
        assert away[:5].all()
        assert away[5:].sum() <= 3
        np.testing.assert_allclose(model.coef_, truth, atol=0.8)


SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def schools_by_quadrature(log_prior):
    """Return mean and sd of each school's effect and the mean of tau (BDA3, section 5.4)."""
    tau = np.linspace(1e-4, 200, 400_001)
    total = ERRORS[:, None] ** 2 + tau**2
    precision = (1 / total).sum(axis=0)
    mu = (SCHOOLS[:, None] / total).sum(axis=0) / precision
    log = log_prior(tau) - 0.5 * np.log(precision)
    log -= 0.5 * (np.log(total) + (SCHOOLS[:, None] - mu) ** 2 / total).sum(axis=0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    shrunk = ERRORS[:, None] ** 2 / total  # towards mu
    mean = SCHOOLS[:, None] + shrunk * (mu - SCHOOLS[:, None])
    variance = ERRORS[:, None] ** 2 * (1 - shrunk) + shrunk**2 / precision
    means = mean @ weight
    sds = np.sqrt(variance @ weight + (mean - means[:, None]) ** 2 @ weight)
    return means, sds, tau @ weight


@pytest.mark.filterwarnings("ignore:sample_weight are frequencies")  # precisions, sigma known
@pytest.mark.parametrize("kind", ["groups", "own"])
def test_eight_schools(kind):
    """Rubin (1981): with sigma known, and weights, every school has the error of its study."""
    X = pd.DataFrame({"school": list("ABCDEFGH")})
    weights = (10 / ERRORS) ** 2
    own = Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=15))
    width = 1e-4 if kind == "own" else 0.1
    priors = {
        **({"school": own} if kind == "own" else {}),
        "intercept": Prior("Flat"),
        "sigma": Prior("Uniform", lower=10 - width, upper=10 + width),
    }
    groups = None if kind == "own" else ["school"]
    model = new(priors=priors, groups=groups, draws=25_000)
    model.fit(X, SCHOOLS, sample_weight=weights)
    posterior = model.idata_["posterior"]
    assert posterior.attrs["inference"] == "exact"
    if kind == "own":
        tau = posterior["y_beta_sigma"].values
        means, sds, spread = schools_by_quadrature(lambda t: -0.5 * (t / 15) ** 2)
    else:
        scale = np.sqrt(np.cov(SCHOOLS, aweights=weights, ddof=0))
        tau = posterior["y_beta_sd"].values[..., 0]
        means, sds, spread = schools_by_quadrature(
            lambda t: (
                -2.5 * np.log1p((t / scale) ** 2 / 4)
            )  # a half-t with four degrees of freedom
        )
    effects = (posterior["y_intercept"] + posterior["y_beta"]).values.reshape(-1, 8)
    error = 4 / np.sqrt(len(effects))
    assert np.all(np.abs(effects.mean(axis=0) - means) < error * sds)
    np.testing.assert_allclose(effects.std(axis=0), sds, rtol=0.02)
    assert abs(tau.mean() - spread) < error * tau.std()


def test_groups_have_a_term_for_every_level():
    X = pd.DataFrame({"g": list("abc") * 20, "x": np.arange(60.0)})
    y = np.tile([0.0, 1, 5], 20) + 0.1 * X["x"] + np.random.default_rng(4).normal(size=60)
    model = new(groups=["g"]).fit(X, y)
    terms = model.idata_["posterior"]["y_term"].values.tolist()
    assert terms == ["x", "g[a]", "g[b]", "g[c]"]
    assert model.idata_["posterior"]["y_beta_g"].shape[2] == 3


def test_rare_levels_borrow_strength():
    rng = np.random.default_rng(5)
    effects = rng.normal(scale=1.0, size=40)
    sizes = rng.integers(1, 12, size=40)
    level = np.repeat(np.arange(40), sizes)
    X = pd.DataFrame({"g": [f"{k:02}" for k in level]})
    y = effects[level] + 2 * rng.normal(size=len(level))
    every = pd.DataFrame({"g": [f"{k:02}" for k in range(40)]})
    errors = {}
    for name, groups in {"apart": None, "pooled": ["g"]}.items():
        found = new(groups=groups).fit(X, y).predict(every)
        errors[name] = np.mean((found - effects) ** 2)
    assert errors["pooled"] < 0.7 * errors["apart"]


def test_batches_add_up_to_the_same():
    rng = np.random.default_rng(6)
    X = pd.DataFrame({"g": rng.choice(list("abcdef"), size=90), "x": rng.normal(size=90)})
    y = rng.normal(size=90) + (X["g"] == "b")
    priors = {"g": Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=1))}
    whole = new(priors=priors).fit(X, y)
    parts = new(priors=priors)
    for rows in np.array_split(np.arange(90), 3):
        parts.partial_fit(X.iloc[rows], y.iloc[rows])
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-8)


def test_laplace_takes_them_for_other_families():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(300, 8))
    y = rng.poisson(np.exp(0.5 * X[:, 0]))
    model = new(family="poisson", priors="ridge", inference="laplace").fit(X, y)
    assert model.coef_[0] == pytest.approx(0.5, abs=0.15)
    assert "y_beta_tau" in model.idata_["posterior"]
    assert "y_beta_raw" not in model.idata_["posterior"]


def test_several_scales_are_learnt_exactly_side_by_side():
    """A prior of levels and one of groups beside it: what each spreads by is found."""
    rng = np.random.default_rng(8)
    g, h = rng.integers(30, size=1500), rng.integers(40, size=1500)
    X = pd.DataFrame({"g": [f"g{k:02}" for k in g], "h": [f"h{k:02}" for k in h]})
    of_g, of_h = 3.0 * rng.normal(size=30), 0.5 * rng.normal(size=40)
    priors = {"g": Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=5))}
    model = new(priors=priors, groups=["h"], inference="exact")
    model.fit(X, of_g[g] + of_h[h] + rng.normal(size=1500))
    posterior = model.idata_["posterior"]
    for found, effects in (("y_beta_g_sigma", of_g), ("y_beta_h_sd", of_h)):
        # were the effects known, the log of their spread would have the sd 1 / sqrt(2 n)
        log = np.log(posterior[found].values.ravel())
        error = np.hypot(log.std(), 1 / np.sqrt(2 * len(effects)))
        assert abs(log.mean() - np.log(np.sqrt(np.mean(effects**2)))) < 4 * error


def test_groups_before_any_data():
    """Intercepts and slopes of a group have the correlation that they are drawn with."""
    rng = np.random.default_rng(9)
    X = pd.DataFrame(
        {"g": np.resize([f"g{k:02}" for k in range(20)], 60), "x": rng.normal(size=60)}
    )
    check = new(groups={"g": ["x"]}).prior_predictive_check(X, rng.normal(size=60))
    prior = check["prior"]
    sd = prior["y_beta_g_sd"].values.reshape(-1, 2, 1)
    own = prior["y_beta_g"].values.reshape(-1, 2, 20) / sd
    moved = own[:, 0] * own[:, 1] - prior["y_beta_g_corr"].values.reshape(-1, 2, 2)[:, 0, 1, None]
    of_draw = moved.mean(axis=1)
    assert abs(of_draw.mean()) < 4 * of_draw.std() / np.sqrt(len(of_draw))
    np.testing.assert_allclose(np.square(own).mean(), 1, atol=4 * np.sqrt(2 / own.size))
