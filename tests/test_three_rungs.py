"""Seeing, doing and imagining in the world of seeing_doing_imagining.md, by closed form."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from conftest import N_STANDARD_ERRORS, assert_mean
from pymc_extras.prior import Prior

from interventional import BayesianInterventionRegressor

SEEING, DOING, SUCH_DAYS, IMAGINING = 106.0, 102.0, 98.0, 101.0  # worked out on that page
GRAPH = "season -> discount -> visitors -> sales; season -> sales; discount -> sales"
MONDAY = pd.DataFrame({"season": [-1.0], "discount": [0.0], "visitors": [2.0]})
ITS_SALES = np.array([99.0])
TWO = {"discount": 2}


def world(rng, n, discount=None):
    """Return n days of the page's world, with the discount forced or not."""
    X = pd.DataFrame({"season": rng.normal(size=n)})
    X["discount"] = X["season"] + rng.normal(size=n) if discount is None else discount
    X["visitors"] = X["discount"] + rng.normal(size=n)
    sales = 100 + 4 * X["season"] - X["discount"] + 2 * X["visitors"] + rng.normal(size=n)
    return X, sales


@pytest.fixture(scope="module")
def data():
    return world(np.random.default_rng(1), 4000)


@pytest.fixture(scope="module")
def model(data):
    return estimator(graph=GRAPH).fit(*data)


@pytest.fixture(scope="module")
def on_discount(data):
    """The regression on the discount alone."""
    X, sales = data
    return estimator().fit(X[["discount"]], sales)


def estimator(**parameters):
    return BayesianInterventionRegressor(outcome="sales", random_state=0, **parameters)


def assert_covers(outcomes, truth):
    """The truth of the simulation lies near the posterior mean, in posterior sds."""
    assert len(outcomes) == 1
    assert abs(outcomes.mean()[0] - truth) < N_STANDARD_ERRORS * outcomes.std()[0]


def test_numbers_of_the_page_by_brute_force():
    """Seeing and doing by simulating the true world, without any regression."""
    rng = np.random.default_rng(2)
    X, sales = world(rng, 2_000_000)
    assert_mean(sales[(X["discount"] - 2).abs() < 0.05], SEEING)
    X, sales = world(rng, 200_000, discount=2.0)
    assert_mean(sales, DOING)
    near = (X["season"] + 1).abs() < 0.05
    assert_mean(sales[near], SUCH_DAYS)
    (season, _, visitors), (y,) = MONDAY.to_numpy()[0], ITS_SALES
    e_visitors, e_sales = visitors - 0, y - (100 + 4 * season - 0 + 2 * visitors)
    assert 100 + 4 * season - 2 + 2 * (2 + e_visitors) + e_sales == IMAGINING


def test_each_rung_is_near_the_truth(data, model, on_discount):
    X, _ = data
    two = pd.DataFrame({"discount": [2.0]})
    assert_covers(on_discount.intervene(two, do=TWO), SEEING)
    # The average is over these very seasons, whose mean is not quite 0.
    assert_covers(model.intervene(X, do=TWO).average(), DOING + 4 * X["season"].mean())
    assert abs(4 * X["season"].mean()) < N_STANDARD_ERRORS * 4 / np.sqrt(len(X))
    assert_covers(model.intervene(MONDAY, do=TWO), SUCH_DAYS)
    assert_covers(model.counterfactual(MONDAY, ITS_SALES, do=TWO), IMAGINING)


def test_the_rungs_differ(data, model, on_discount):
    X, _ = data
    answers = [
        on_discount.intervene(pd.DataFrame({"discount": [2.0]}), do=TWO),
        model.intervene(X, do=TWO).average(),
        model.intervene(MONDAY, do=TWO),
        model.counterfactual(MONDAY, ITS_SALES, do=TWO),
    ]
    means = np.sort([each.mean()[0] for each in answers])
    assert np.diff(means).min() > N_STANDARD_ERRORS * max(each.std()[0] for each in answers)


def test_each_rung_equals_least_squares(data):
    """Under Flat priors all answers are sums and products of least squares coefficients."""
    X, sales = data
    flat = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}
    nodes = ("discount", "visitors", "sales")
    model = estimator(graph=GRAPH, priors=dict.fromkeys(nodes, flat)).fit(X, sales)
    rows = X.assign(sales=sales)
    b = smf.ols("sales ~ season + discount + visitors", rows).fit().params
    c = smf.ols("visitors ~ discount", rows).fit().params

    def by_hand(season):
        visitors = c["Intercept"] + 2 * c["discount"]
        known = b["Intercept"] + b["season"] * season + 2 * b["discount"]
        return known + b["visitors"] * visitors

    def draws(outcomes):
        return outcomes.draws.values.ravel()

    done = model.intervene(X, do=TWO).average()
    assert_mean(draws(done), by_hand(X["season"].mean()))
    assert_mean(draws(model.intervene(MONDAY, do=TWO)), by_hand(-1.0))
    predictive = model.intervene(MONDAY, do=TWO, kind="predictive")
    assert_mean(draws(predictive), by_hand(-1.0))
    effect = 2 * (b["discount"] + b["visitors"] * c["discount"])  # residuals cancel
    imagined = model.counterfactual(MONDAY, ITS_SALES, do=TWO)
    assert_mean(draws(imagined), ITS_SALES[0] + effect)

    alone = estimator(priors=flat).fit(X[["discount"]], sales)
    a = smf.ols("sales ~ discount", rows).fit().params
    seen = alone.predict(pd.DataFrame({"discount": [2.0]}))
    error = alone.intervene(pd.DataFrame({"discount": [2.0]}), do=TWO).std() / np.sqrt(4000)
    assert abs(seen - a["Intercept"] - 2 * a["discount"]) < N_STANDARD_ERRORS * error


def test_nothing_changed_nothing_happens(data, model):
    X, sales = data
    same = model.counterfactual(X, sales, do={"discount": X["discount"]})
    np.testing.assert_allclose(same.draws - sales.to_numpy(), 0, atol=1e-9)
