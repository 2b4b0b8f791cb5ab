"""Batches: whatever the split, the posterior is that of one fit on all rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymc_extras.prior import Prior
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import SplineTransformer

from interventional import BayesianInterventionRegressor

N = 90


def table(seed=0, n=N):
    """Numbers on three scales, categories, strings and bools, and an outcome of all of them."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "far": 1e6 + rng.normal(size=n),
            "size": pd.Categorical(rng.choice(["S", "M", "L"], n), ["S", "M", "L", "XL"]),
            "city": rng.choice(["york", "bath", "hull"], n),
            "new": rng.random(n) < 0.5,
        }
    )
    y = X["a"] - 2 * (X["far"] - 1e6) + (X["size"] == "L") + (X["city"] == "bath") + X["new"]
    return X, y + rng.normal(size=n)


def new(**parameters):
    return BayesianInterventionRegressor(draws=40, chains=2, random_state=0, **parameters)


def in_batches(model, X, y, edges, weights=None):
    for start, stop in zip([0, *edges], [*edges, len(X)], strict=True):
        rows = slice(start, stop)
        w = None if weights is None else weights[rows]
        model.partial_fit(X[rows], y[rows], sample_weight=w)
    return model


def assert_same_posterior(batches, whole, rtol=1e-8):
    for name, draws in whole.idata_["posterior"].data_vars.items():
        found = batches.idata_["posterior"][name]
        assert found.dims == draws.dims
        for dim in draws.dims:
            assert list(found[dim].values) == list(draws[dim].values)
        scale = draws.values.std(axis=(0, 1))
        gap = np.abs(found.values - draws.values) / scale
        assert gap.max() < rtol, name


@settings(max_examples=12, deadline=None)
@given(st.sets(st.integers(1, N - 1), max_size=6).map(sorted))
def test_any_split_gives_the_posterior_of_one_fit(edges):
    """Batches of one row, batches that lack levels, and orders of levels that come out late."""
    X, y = table()
    batches = in_batches(new(), X, y, edges)
    whole = new().fit(X, y)
    assert_same_posterior(batches, whole)
    np.testing.assert_allclose(batches.predict(X), whole.predict(X), atol=1e-8)
    np.testing.assert_array_equal(batches.feature_names_in_, whole.feature_names_in_)


@pytest.mark.parametrize(
    "parameters",
    [
        {"fit_intercept": False},
        {"center_predictors": False},
        {"priors": {"beta": Prior("Normal", mu=0, sigma=3), "city": Prior("Flat")}},
        {"priors": {"size[M]": Prior("Normal", mu=0, sigma=2)}},
        {"graph": "city -> a; a -> far; far -> y; a -> y; city -> y"},
        {"graph": "far -> y"},
    ],
)
def test_parameters_and_several_equations(parameters):
    X, y = table(1)
    weights = np.random.default_rng(2).integers(0, 4, size=N)
    weights[[0, 30]] = 2
    batches = in_batches(new(**parameters), X, y, [1, 30, 31, 70], weights)
    assert_same_posterior(batches, new(**parameters).fit(X, y, weights))


def test_one_row_at_a_time_of_an_array_narrower_than_wide():
    """Fewer rows than columns at first, and at last."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(12, 20)), rng.normal(size=12)
    batches = in_batches(new(), X, y, range(1, 12))
    assert_same_posterior(batches, new().fit(X, y))


def test_fit_begins_anew_and_partial_fit_goes_on():
    X, y = table(4)
    model = in_batches(new(), X, y, [20]).fit(X[:40], y[:40])
    assert_same_posterior(model, new().fit(X[:40], y[:40]))
    model = pickle.loads(pickle.dumps(model)).partial_fit(X[40:], y[40:])
    assert_same_posterior(model, new().fit(X, y))
    assert not hasattr(clone(model), "coef_")


def test_default_priors_are_scaled_by_all_rows():
    """Default priors, which NUTS would sample under, are scaled by all rows."""
    X, y = table(5)
    parts = in_batches(new(), X, y, [50])
    whole = new().fit(X, y)
    ours, theirs = (model.fitted_.model.of_outcome.priors for model in (parts, whole))
    for a, b in zip(ours.groups, theirs.groups, strict=True):
        for name, value in b.prior.leaves().items():
            np.testing.assert_allclose(a.prior.leaves()[name], value, rtol=1e-9)


def test_rows_that_do_not_determine_the_model_yet_wait_for_more():
    X, y = table(6)
    model = new().partial_fit(X[:1], y[:1])
    with pytest.raises(NotFittedError, match="do not determine the model: y is constant"):
        model.predict(X)
    assert_same_posterior(model.partial_fit(X[1:], y[1:]), new().fit(X, y))


def with_column(X, **columns):
    return X.assign(**columns)


X0, Y0 = table(7)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (X0.drop(columns="a"), "feature names should match"),
        (X0[X0.columns[::-1]], "feature names must be in the same order|should match"),
        (with_column(X0, a="few"), "column 'a' holds values of dtype str; before it was number"),
        (with_column(X0, city=1.0), "column 'city' holds values of dtype number; before it was"),
        (with_column(X0, city=pd.Categorical(X0["city"])), "dtype category; before it was str"),
        (with_column(X0, a=np.where(X0.index == 3, np.nan, X0["a"])), "NaN: column 'a', row 3"),
    ],
)
def test_a_bad_batch_changes_nothing(X, message):
    model = new().partial_fit(X0, Y0)
    before = pickle.dumps(model)
    with pytest.raises((TypeError, ValueError), match=message):
        model.partial_fit(X, Y0)
    assert pickle.dumps(model) == before
    model.partial_fit(X0, Y0)


def test_what_does_not_add_up_is_refused():
    X, y = table(8)
    with pytest.raises(ValueError, match="the design of 'y' is fitted to all rows at once"):
        new(design=SplineTransformer()).partial_fit(X[["a", "far"]], y)
    with pytest.raises(ValueError, match="'new' is a column of levels that has an equation"):
        new(graph="a -> new; new -> y; a -> y").partial_fit(X, y)
    model = new(graph="a -> y").partial_fit(X, y).set_params(graph="far -> y")
    with pytest.raises(ValueError, match="other columns than in the batches before"):
        model.partial_fit(X, y)


def test_bools_that_come_back_as_numbers_are_numbers():
    X, y = table(9)
    model = new().partial_fit(X[:50], y[:50])
    model.partial_fit(X[50:].astype({"new": float}), y[50:])
    assert_same_posterior(model, new().fit(X.astype({"new": float}), y))
