"""Weights that are no frequencies: who is warned, and how often."""

import warnings

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.class_weight import compute_sample_weight

from interventional import BayesianInterventionRegressor
from interventional.data import reading

RNG = np.random.default_rng(0)
N = 60
X = pd.DataFrame({"x": RNG.normal(size=N)})
Y = X["x"] + RNG.normal(size=N)
S = RNG.uniform(0.2, 3.0, N)
SURVEY = RNG.lognormal(0.0, 0.8, N)
ERRING = {
    "1/s^2": 1 / S**2,
    "1/s^2, few": 1 / (20 * S) ** 2,
    "1/s^2 in large units": 1e-10 / S**2,
    "shares of one": np.full(N, 1 / N),
    "a survey's, of mean 1": SURVEY / SURVEY.mean(),
    "a survey's, of people": 1234.5 * SURVEY,
    "propensities": 1 / RNG.uniform(0.1, 0.9, N),
    "balanced": compute_sample_weight("balanced", (X["x"] > 0.7).astype(int)),
    "forgetting": 0.97 ** np.arange(N),
}
FREQUENCIES = {
    "none": None,
    "a number": 2.0,
    "ones": np.ones(N),
    "counts": RNG.integers(0, 5, N),
    "many": RNG.integers(1, 10**9, N).astype(float),
    "bools": RNG.random(N) < 0.5,
    "of float sums": np.array([sum([0.1] * 10 * k) for k in RNG.integers(1, 30, N)]),
    "a few halves": np.where(np.arange(N) % 12 == 0, 0.5, 1.0),
    "next to none": np.where(np.arange(N) % 2, 1e-9, 1.0),
    "zeros": np.where(np.arange(N) < 50, 0.0, 1.0),
}


def make(**parameters):
    return BayesianInterventionRegressor(**{"draws": 20, "random_state": 0} | parameters)


@pytest.mark.parametrize("kind", ERRING)
def test_no_frequencies(kind):
    with pytest.warns(UserWarning, match=r"sample_weight are frequencies.*noise='s'") as caught:
        make().fit(X, Y, sample_weight=ERRING[kind])
    assert len(caught) == 1
    few = ERRING[kind].sum() < 1.5
    assert ("no more than one row" in str(caught[0].message)) == few
    assert caught[0].filename == __file__  # where the user stands


@pytest.mark.parametrize("kind", FREQUENCIES)
def test_frequencies(kind):
    make().fit(X, Y, sample_weight=FREQUENCIES[kind])  # a warning would be an error


def test_whole_numbers_never_warn():
    rng = np.random.default_rng(1)
    for _ in range(300):
        n = rng.integers(1, 200)
        w = np.floor(10 ** rng.uniform(0, 12, n)) * rng.integers(0, 2, n)
        reading.warn_of_weights(w * (1 + 1e-9 * rng.uniform(-1, 1, n)))


def test_batches_warn_too():
    with pytest.warns(UserWarning, match="sample_weight are frequencies"):
        make().partial_fit(X, Y, sample_weight=1 / S**2)


def test_weights_that_are_precisions_beside_a_sigma_that_is_known():
    for priors in (
        {"sigma": Prior("DiracDelta", c=1.0)},
        {"y": {"sigma": Prior("DiracDelta", c=1.0)}},
    ):
        make(priors=priors).fit(X, Y, sample_weight=1 / S**2)


def test_weights_of_scores_have_no_scale():
    model = make().fit(X, Y)
    assert model.score(X, Y, sample_weight=1 / S**2) <= 1.0


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_search_says_it_once(monkeypatch, n_jobs):
    """Python's own memory of what it said is lost at each fit of a search, which sets filters."""
    monkeypatch.setattr(reading, "_said", set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()  # as a user's Python is
        from joblib import parallel_backend

        with parallel_backend("threading"):
            grid = {"center_predictors": [True, False]}
            GridSearchCV(make(), grid, cv=3, n_jobs=n_jobs).fit(X, Y, sample_weight=1 / S**2)
            cross_val_score(make(), X, Y, cv=3, params={"sample_weight": SURVEY}, n_jobs=n_jobs)
    assert len([w for w in caught if "frequencies" in str(w.message)]) == 1
    with pytest.warns(UserWarning, match="frequencies"):  # who asks for all gets all
        make().fit(X, Y, sample_weight=SURVEY)
