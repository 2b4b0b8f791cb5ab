"""Columns of nothing but 0 and 1 that have an equation: logistic, as those of bools."""

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from interventional import BayesianInterventionRegressor

N = 1500
GRAPH = "dose -> relapse -> cost"


@pytest.fixture(scope="module")
def rows():
    """Costs are 100, and 50 more after a relapse, of probability 1 / (1 + exp(2 + 1.5 dose))."""
    rng = np.random.default_rng(0)
    dose = rng.normal(size=N)
    relapse = rng.random(N) < 1 / (1 + np.exp(2 + 1.5 * dose))
    cost = 100 + 50 * relapse + 5 * rng.normal(size=N)
    return pd.DataFrame({"dose": dose, "relapse": relapse.astype(int)}), pd.Series(cost)


def model(**parameters):
    return BayesianInterventionRegressor(
        **{"graph": GRAPH, "outcome": "cost", "inference": "laplace", "random_state": 0}
        | parameters
    )


KINDS = ["int64", "float64", "uint8", "Int8", "object", "bool"]


@pytest.mark.parametrize("kind", KINDS)
def test_expected_outcome(rows, kind):
    X, y = rows
    X = X.astype({"relapse": kind})
    found = model().fit(X, y)
    for dose in (2, 0):
        average = found.intervene(X, {"dose": dose}).average()
        truth = 100 + 50 / (1 + np.exp(2 + 1.5 * dose))
        assert abs(average.mean() - truth) < 4 * average.std()
        assert (found.intervene(X, {"dose": dose}).draws > 98).all()


def test_arrays(rows):
    X, y = rows
    found = model(graph="x0 -> x1 -> y", outcome="y").fit(X.to_numpy(), y)
    named = model().fit(X, y).intervene(X, {"dose": 2})
    assert found.intervene(X.to_numpy(), {0: 2}).mean() == pytest.approx(named.mean(), abs=0.1)


def test_the_users_family_goes_first(rows):
    X, y = rows
    line = model(family={"relapse": "gaussian"}, inference="auto").fit(X, y)
    assert "relapse_sigma" in line.idata_["posterior"]
    assert line.intervene(X, {"dose": 2}).average().mean() < 95


def test_the_outcome_is_not_guessed(rows):
    X, _ = rows
    found = model(graph=None, outcome="y", inference="auto").fit(X[["dose"]], X["relapse"])
    assert "y_sigma" in found.idata_["posterior"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("value", [0, 1])
def test_a_single_value_is_as_that_of_bools(rows, value):
    X, y = rows[0].assign(relapse=value), rows[1]
    found, bools = (model().fit(X.astype({"relapse": kind}), y) for kind in (float, bool))
    numbers = found.intervene(X, {"dose": 2}).average()
    other = bools.intervene(X.astype({"relapse": bool}), {"dose": 2}).average()
    assert abs(numbers.mean() - other.mean()) < 4 * numbers.std() + 4 * other.std()


def test_forced_to_0_and_1_alone(rows):
    X, y = rows
    found = model().fit(X, y)
    assert found.effect(X, {"relapse": 1}, {"relapse": 0}).average().mean() == pytest.approx(
        50, 0.05
    )
    with pytest.raises(ValueError, match=r"takes 0 and 1; do\['relapse'\] holds 0.5"):
        found.intervene(X, {"relapse": 0.5})


def test_a_column_without_an_equation_is_numbers(rows):
    X, y = rows
    found = model(graph="relapse -> cost; dose -> cost", inference="auto").fit(X, y)
    effect = found.effect(X, {"relapse": 0.5}, {"relapse": 0}).average()
    assert effect.mean() == pytest.approx(25, rel=0.05)


def test_the_exact_engine_says_why_not(rows):
    with pytest.raises(
        ValueError, match="'relapse' is 'bernoulli', as that of a column of 0 and 1"
    ):
        model(inference="exact").fit(*rows)


class TestBatches:
    def test_refused_once_both_have_come(self, rows):
        X, y = rows
        waiting = model(inference="auto").partial_fit(X.assign(relapse=0)[:100], y[:100])
        assert not hasattr(waiting, "fitted_")
        with pytest.raises(ValueError, match=r"'relapse' holds nothing but 0 and 1.*'gaussian'\}"):
            waiting.partial_fit(X, y)

    def test_a_two_is_a_number_whenever_it_comes(self, rows):
        X, y = rows
        counts = X.assign(relapse=X["relapse"].where(X.index != 3, 2))
        found = model(inference="auto").partial_fit(counts[:100], y[:100])
        found.partial_fit(X[100:], y[100:])
        assert found.coef_ == pytest.approx(model(inference="auto").fit(counts, y).coef_)

    def test_the_family_that_the_user_gives(self, rows):
        X, y = rows
        line = {"family": {"relapse": "gaussian"}, "inference": "auto"}
        found = model(**line).partial_fit(X[:700], y[:700]).partial_fit(X[700:], y[700:])
        assert found.coef_ == pytest.approx(model(**line).fit(X, y).coef_)

    def test_dask(self, rows):
        X, y = rows
        parts = [dd.from_pandas(each, npartitions=3) for each in rows]
        with pytest.raises(ValueError, match="'relapse' holds nothing but 0 and 1"):
            model(inference="auto").fit(*parts)
        counts = X.assign(relapse=X["relapse"].where(X.index != N - 3, 2))
        whole = model(inference="auto").fit(counts, y)
        found = model(inference="auto").fit(dd.from_pandas(counts, npartitions=3), parts[1])
        assert found.coef_ == pytest.approx(whole.coef_)
