"""Averages by several columns, against pandas' groups of the draws."""

import arviz as az
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from interventional import BayesianInterventionRegressor, Outcomes

N = 120


@pytest.fixture(scope="module")
def asked():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"t": rng.normal(size=N), "g": rng.choice(list("pq"), N)})
    X["g"] = pd.Categorical(X["g"], ["q", "p"])  # not in the order of the alphabet
    X["h"] = rng.choice(["u", "v", "w"], N)
    X = X[(X["g"] == "p") | (X["h"] != "w")]  # a pair that does not occur
    y = X["t"] + (X["g"] == "p") + rng.normal(size=len(X))
    model = BayesianInterventionRegressor(draws=100, random_state=0).fit(X, y)
    return model, X, model.intervene(X, {"t": lambda X: X["t"] + 0.1})


def by_pandas(outcomes, X, by, weights=None):
    draws = pd.DataFrame(outcomes.draws.values.reshape(-1, len(X)).T, index=X.index)
    weights = pd.Series(1.0, X.index) if weights is None else weights
    keys = [X[name] for name in by]
    sums = draws.mul(weights, axis=0).groupby(keys, observed=True).sum()
    return sums.div(weights.groupby(keys, observed=True).sum(), axis=0)


@pytest.mark.parametrize("by", [["g", "h"], ["h", "g"]])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_row_for_each_combination_that_occurs(asked, by, weighted):
    _, X, outcomes = asked
    weights = X["t"].abs() if weighted else None
    truth = by_pandas(outcomes, X, by, weights)
    for groups in (by, X[by], X[by].sample(frac=1, random_state=0)):
        averages = outcomes.average(weights, by=groups)
        table = averages.summary(0.9)
        assert table.index.tolist() == truth.index.tolist()
        assert len(table) == 5
        assert list(table.index.names) == by
        np.testing.assert_allclose(averages.draws.values.reshape(400, -1).T, truth, rtol=1e-9)


def test_one_name_in_a_list(asked):
    _, X, outcomes = asked
    alone = outcomes.average(by="g").summary(0.9)
    for groups in (["g"], X[["g"]]):
        pd.testing.assert_frame_equal(outcomes.average(by=groups).summary(0.9), alone)


def test_a_list_of_labels_is_still_one_of_labels(asked):
    _, X, outcomes = asked
    labels = X["h"].tolist()
    pd.testing.assert_frame_equal(
        outcomes.average(by=labels).summary(0.9), outcomes.average(by="h").summary(0.9)
    )


def test_of_dask(asked):
    model, X, outcomes = asked
    rows = dd.from_pandas(X, npartitions=4)
    distributed = model.intervene(rows, {"t": lambda X: X["t"] + 0.1})
    whole = outcomes.average(by=["g", "h"]).summary(0.9)
    for groups in (["g", "h"], rows[["g", "h"]]):
        found = distributed.average(by=groups).summary(0.9)
        pd.testing.assert_frame_equal(found, whole, rtol=1e-9)
    with pytest.raises(ValueError, match="unknown column in by: 'hh'"):
        distributed.average(by=["g", "hh"])


def test_what_else_is_made_of_them(asked):
    model, X, outcomes = asked
    other, by = model.intervene(X, {"t": 0.0}), ["g", "h"]
    table = Outcomes.compare({"a": outcomes, "b": other}, by=by)
    assert table.index.nlevels == 3
    difference = outcomes.average(by=by) - other.average(by=by)
    assert (
        difference.summary(0.9).index.tolist() == outcomes.average(by=by).summary().index.tolist()
    )
    np.testing.assert_allclose(table["effect"].xs("b"), -difference.mean())
    tree = difference.to_datatree()
    assert len(az.summary(tree, group="predictions")) == 5
    assert difference.plot() is not None


def test_missing_values(asked):
    _, X, outcomes = asked
    with pytest.raises(ValueError, match="by has a missing value in row 2"):
        outcomes.average(by=X[["g", "h"]].assign(h=X["h"].where(np.arange(len(X)) != 2)))
