"""Rows that are sparse: what comes out is what dense rows give, or is refused by its size."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from interventional import BayesianInterventionRegressor, intervene


def regressor(**parameters):
    return BayesianInterventionRegressor(draws=50, random_state=0, **parameters)


@pytest.fixture
def visits():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"city": rng.choice(list("ABCDEFGHIJKL"), 400), "t": rng.integers(0, 2, 400)})
    return X, 2.0 * X["t"] + rng.normal(size=400)


def steps(**how):
    return make_column_transformer((OneHotEncoder(**how), ["city"]), remainder="passthrough")


def test_a_step_that_leaves_sparse_rows(visits):
    """The default encoder as a step, as it has always been as a design."""
    X, y = visits
    found = make_pipeline(steps(), regressor()).fit(X, y)
    assert sp.issparse(found[0].transform(X))
    plain = make_pipeline(steps(sparse_output=False), regressor()).fit(X, y)
    np.testing.assert_array_equal(found.predict(X), plain.predict(X))
    priors = {"beta": Prior("Normal", mu=0, sigma=10)}  # by default a design has one of its own
    outside = make_pipeline(steps(), regressor(priors=priors)).fit(X, y)
    inside = regressor(design=steps(), priors=priors).fit(X, y)
    np.testing.assert_array_equal(outside[-1].coef_, inside.coef_)
    for do in ({"t": 1, "city": "A"}, {"t": stats.bernoulli(0.5)}):
        answers = [intervene(model, X, do) for model in (found, plain)]
        np.testing.assert_array_equal(*[answer.mean() for answer in answers])
    treated, untreated = (intervene(found, X, {"t": t}).average() for t in (1, 0))
    ones = X["t"] == 1
    error = np.sqrt(y[ones].var() / ones.sum() + y[~ones].var() / (~ones).sum())
    assert abs((treated - untreated).mean()[0] - 2.0) < 4 * error


def test_counts_of_words():
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(["good", "bad", "dear", "cheap"], 5)) for _ in range(100)]
    counts = CountVectorizer().fit_transform(words)
    y = counts @ [1.0, 2.0, 3.0, 4.0] + rng.normal(size=100)
    found = make_pipeline(CountVectorizer(), regressor()).fit(words, y)
    plain = regressor().fit(counts.toarray().astype(float), y)
    np.testing.assert_array_equal(found.predict(words), plain.predict(counts))


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_array, sp.coo_array, sp.bsr_array])
def test_every_question_takes_sparse_rows(make):
    rng = np.random.default_rng(0)
    dense = rng.poisson(0.5, size=(60, 3)).astype(float)
    y = dense @ [1.0, 2.0, 3.0] + rng.normal(size=60)
    rows, model = make(dense), regressor().fit(dense, y)
    found = regressor().fit(rows, y, np.ones(60))
    np.testing.assert_array_equal(found.coef_, model.coef_)
    batches = regressor().partial_fit(rows, y)
    np.testing.assert_array_equal(batches.coef_, model.coef_)
    for ask in (
        lambda m, X: m.effect(X, {1: 2.0}).mean(),
        lambda m, X: m.intervene(X, {"x0": lambda X: X[:, 0] + 1}, kind="predictive").mean(),
        lambda m, X: m.counterfactual(X, y, {0: 1.0}).mean(),
        lambda m, X: m.posterior_predictive_check(X, y)["posterior_predictive"]["y"],
        lambda m, X: intervene(m, X, {0: 1.0}).mean(),
    ):
        np.testing.assert_array_equal(ask(found, rows), ask(model, dense))
    assert len(found.build_model(rows, y).coords["obs"]) == 60
    assert found.__sklearn_tags__().input_tags.sparse


def test_rows_that_do_not_fit_densely_are_refused():
    rows, y = sp.csr_array((20_000, 100_000)), np.zeros(20_000)
    model = regressor().fit([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0])
    before = vars(model).copy()
    with pytest.raises(ValueError, match=r"X is sparse, of shape \(20000, 100000\).*16.0 GB"):
        model.fit(rows, y)
    assert vars(model) == before
    with pytest.raises(ValueError, match=r"X is sparse.*16.0 GB"):
        intervene(model, rows, {0: 1.0})


def test_a_design_that_does_not_fit_densely_is_refused():
    labels = np.arange(40_000.0)[:, None]
    with pytest.raises(ValueError, match=r"what design=OneHotEncoder\(\) makes is sparse.*GB"):
        regressor(design=OneHotEncoder()).fit(labels, labels[:, 0] % 7)
