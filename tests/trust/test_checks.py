"""Predictive checks: against `sample_y`, PyMC models by hand, and ArviZ's pictures."""

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from conftest import assert_same_mean
from pymc_extras.prior import Prior
from sklearn.exceptions import NotFittedError

from interventional import BayesianInterventionRegressor
from interventional.scm.compiling import python_mode

MANY = 2000


def rows(n=30, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal([0.0, 3.0], size=(n, 2)), columns=["a", "b"])
    X.index = [f"row {i}" for i in range(n)]
    return X, 5 + 2 * X["a"] - X["b"] + rng.normal(size=n)


def drawn(check, group):
    return check[group]["y"].values[0]


@pytest.fixture(scope="module")
def fitted():
    X, y = rows()
    return BayesianInterventionRegressor(random_state=0).fit(X, y), X, y


def test_shapes_and_coordinates(fitted):
    model, X, y = fitted
    posterior = model.posterior_predictive_check(X, y, n_samples=7)
    prior = model.prior_predictive_check(X, y, n_samples=7)
    assert set(posterior.children) == {"posterior_predictive", "observed_data"}
    assert set(prior.children) == {"prior", "prior_predictive", "observed_data"}
    for check, group in ((posterior, "posterior_predictive"), (prior, "prior_predictive")):
        assert check[group]["y"].dims == ("chain", "draw", "obs")
        assert check[group]["y"].shape == (1, 7, 30)
        assert list(check[group]["obs"].values) == list(X.index)
        np.testing.assert_array_equal(check["observed_data"]["y"].values, y)
    assert prior["prior"]["y_beta"].dims == ("chain", "draw", "y_term")
    assert list(prior["prior"]["y_term"].values) == ["a", "b"]
    assert set(prior["prior"].data_vars) == {"y_intercept", "y_beta", "y_sigma"}


def test_arviz_draws_both(fitted):
    model, X, y = fitted
    az.plot_ppc_dist(model.posterior_predictive_check(X, y, n_samples=60))
    az.plot_ppc_dist(model.prior_predictive_check(X, y, n_samples=60), group="prior_predictive")
    plt.close("all")


def test_numbers_depend_on_the_seed_alone(fitted):
    model, X, y = fitted
    for ask, group in (
        (model.posterior_predictive_check, "posterior_predictive"),
        (model.prior_predictive_check, "prior_predictive"),
    ):
        first = drawn(ask(X, y, n_samples=3), group)
        np.testing.assert_array_equal(drawn(ask(X, y, n_samples=3), group), first)
        assert not np.isin(drawn(ask(X, y, n_samples=3, random_state=1), group), first).any()
        assert drawn(ask(X, y, n_samples=1), group).shape == (1, 30)


def test_posterior_draws_are_those_of_sample_y(fitted):
    """Moments of each row, of the mean over rows, of their spread."""
    model, X, y = fitted
    ours = drawn(model.posterior_predictive_check(X, y, n_samples=MANY), "posterior_predictive")
    theirs = model.sample_y(X, MANY, random_state=1).T
    for f in (lambda d: d, np.square, lambda d: d.mean(axis=1), lambda d: d.std(axis=1)):
        assert_same_mean(f(ours), f(theirs))


def by_hand(write):
    """Draws of y and of parameters from a PyMC model, one data set each."""
    with pm.Model() as model:
        write()
    names = [variable.name for variable in (*model.free_RVs, *model.deterministics)]
    found = pm.draw([model[name] for name in names], MANY, random_seed=1, mode=python_mode())
    return dict(zip(names, found, strict=True))


def assert_same_distribution(ours, theirs):
    """Means, and shares beyond the other's quantiles, which exist whatever the tails."""
    for q in (0.05, 0.25, 0.5, 0.75, 0.95):
        cut = np.quantile(np.concatenate([ours, theirs]), q, axis=0)
        assert_same_mean((ours <= cut).astype(float), (theirs <= cut).astype(float))


def test_default_priors_are_those_written_by_hand():
    """Scaled by the data; the intercept at the means of the columns."""
    X, y = rows()
    check = BayesianInterventionRegressor().prior_predictive_check(X, y, n_samples=MANY)

    def write():
        centred = (X - X.mean()).to_numpy()
        scale = y.std(ddof=0)
        beta = pm.Normal("beta", 0, 2.5 * scale / X.std(ddof=0).to_numpy(), shape=2)
        intercept = pm.Normal("intercept", y.mean(), 2.5 * scale)
        sigma = pm.HalfStudentT("sigma", nu=4, sigma=scale)
        pm.Normal("y", intercept + centred @ beta, sigma)

    theirs = by_hand(write)
    assert_same_distribution(drawn(check, "prior_predictive"), theirs["y"])
    prior = check["prior"].dataset
    assert_same_distribution(prior["y_sigma"].values[0], theirs["sigma"])
    assert_same_distribution(prior["y_beta"].values[0], theirs["beta"])
    at_zero = theirs["intercept"] - theirs["beta"] @ X.mean().to_numpy()
    assert_same_distribution(prior["y_intercept"].values[0], at_zero)


def test_own_priors_and_family():
    """Counts, a learnt scale, an exposure."""
    X, _ = rows()
    X["days"] = np.arange(1.0, 31.0)
    counts = np.arange(30.0) % 4
    priors = {
        "beta": Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=0.5)),
        "intercept": Prior("Normal", mu=-1, sigma=0.3),
        "alpha": Prior("Gamma", alpha=3, beta=1),
    }
    model = BayesianInterventionRegressor(
        family="negative_binomial", exposure="days", priors=priors, center_predictors=False
    )
    check = model.prior_predictive_check(X, counts, n_samples=MANY)

    def write():
        tau = pm.HalfNormal("tau", 0.5)
        beta = pm.Normal("beta", 0, tau, shape=2)
        eta = pm.Normal("intercept", -1, 0.3) + X[["a", "b"]].to_numpy() @ beta
        alpha = pm.Gamma("alpha", 3, 1)
        pm.NegativeBinomial("y", mu=X["days"].to_numpy() * pm.math.exp(eta), alpha=alpha)

    assert_same_distribution(drawn(check, "prior_predictive"), by_hand(write)["y"])


def test_with_a_graph_y_is_given_the_columns_as_observed():
    """a -> m -> y: the observed m enters, not one drawn anew; and y's parameters are its own."""
    X, y = rows()
    X = X.rename(columns={"b": "m"})
    known = {
        "beta": Prior("Normal", mu=2, sigma=1e-6),
        "intercept": Prior("Normal", mu=1, sigma=1e-6),
        "sigma": Prior("HalfNormal", sigma=1e-6),
    }
    settings = {"graph": "a -> m -> y", "priors": known, "center_predictors": False}
    model = BayesianInterventionRegressor(**settings)
    check = model.prior_predictive_check(X, y, n_samples=5)
    expected = np.tile(1 + 2 * X["m"], (5, 1))
    np.testing.assert_allclose(drawn(check, "prior_predictive"), expected, atol=1e-3)
    assert set(check["prior"].data_vars) == {"y_intercept", "y_beta", "y_sigma"}


def test_the_estimator_stays_as_it_is(fitted):
    X, y = rows(20, seed=1)
    model = BayesianInterventionRegressor()
    model.prior_predictive_check(X, y, n_samples=2)
    assert not hasattr(model, "n_features_in_")
    with pytest.raises(NotFittedError):
        model.posterior_predictive_check(X, y)
    model, *_ = fitted
    before = vars(model).copy()
    model.prior_predictive_check(X.assign(c=1.0), y, n_samples=2)  # other columns
    assert vars(model) == before


@pytest.mark.parametrize(
    ("priors", "culprit"),
    [
        ({"a": Prior("Flat")}, "'flat'.*'Flat'"),
        ({"sigma": Prior("HalfFlat")}, "'sigma'.*'HalfFlat'"),
        ({"beta": Prior("Normal", mu=Prior("Flat"), sigma=1)}, "'beta'.*'Flat'"),
    ],
)
def test_flat_priors_are_refused(priors, culprit):
    with pytest.raises(ValueError, match=f"(?s)the prior of {culprit}.*proper"):
        BayesianInterventionRegressor(priors=priors).prior_predictive_check(*rows())


@pytest.mark.parametrize(
    ("size", "error"), [(0, ValueError), (-3, ValueError), (2.5, TypeError), (True, TypeError)]
)
def test_bad_sizes_are_refused(fitted, size, error):
    model, X, y = fitted
    for ask in (model.posterior_predictive_check, model.prior_predictive_check):
        with pytest.raises(error, match=f"n_samples must be .*{size}"):
            ask(X, y, n_samples=size)


def test_outcomes_outside_the_support_are_refused():
    X, y = rows()
    model = BayesianInterventionRegressor(family="poisson")
    with pytest.raises(ValueError, match="family='poisson' takes counts"):
        model.prior_predictive_check(X, y)
