"""A column that is y is refused; what only looks like one is fitted."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from interventional import BayesianInterventionRegressor
from interventional.errors import UndeterminedError

N = 120
RNG = np.random.default_rng(0)
X = pd.DataFrame({"price": RNG.normal(10, 1, N), "season": RNG.choice([0.0, 1.0], N)})
SALES = np.exp(3 - 0.1 * X["price"] + 0.2 * X["season"] + 0.1 * RNG.normal(size=N)).to_numpy()
COUNTS = np.round(SALES)
BOUGHT = (np.median(SALES) < SALES).astype(float)
Y = pd.Series(SALES, name="sales")


def regressor(**parameters):
    return BayesianInterventionRegressor(draws=50, random_state=0, **parameters)


@pytest.mark.parametrize("n", [2, 5, N])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_column_with_the_name_of_y_that_is_y(n, method):
    df = X.assign(sales=SALES)
    for rows, y in ((df[:n], df["sales"][:n]), (pl.from_pandas(df[:n]), pl.Series(Y[:n]))):
        model = regressor()
        with pytest.raises(ValueError, match=rf"'sales' of X is y itself, in each of {n} rows.*"
                           r"drop the column: X.drop\(columns='sales'\)"):  # fmt: skip
            getattr(model, method)(rows, y)
        assert not [name for name in vars(model) if name.endswith("_")]


COPIES = {
    "y": (SALES, "gaussian", "y itself"),
    "in thousands": (SALES / 1000, "gaussian", "y times 0.001,"),
    "negated": (-SALES, "student_t", "y times -1,"),
    "tripled, of a lognormal": (SALES * 3, "lognormal", "y times 3,"),
    "of a gamma": (SALES, "gamma", "y itself"),
    "moved and scaled, as degrees are": (32 + 1.8 * SALES, "gaussian", "y times 1.8, plus 32,"),
    "far from zero": (1e6 + SALES, "gaussian", "y itself, plus 1e"),
    "counts": (COUNTS, "poisson", "y itself"),
    "counts of pairs": (COUNTS / 2, "negative_binomial", "y times 0.5,"),
    "zeros and ones": (BOUGHT, "bernoulli", "y itself"),
    "ones for zeros": (1 - BOUGHT, "bernoulli", "y times -1, plus 1,"),
    "levels": (np.where(BOUGHT == 1, "yes", "no"), "bernoulli", "y itself"),
    "bools": (BOUGHT == 1, "bernoulli", "y itself"),
}
OUTCOMES = {"poisson": COUNTS, "negative_binomial": COUNTS, "bernoulli": BOUGHT}


@pytest.mark.parametrize(("copy", "family", "what"), COPIES.values(), ids=COPIES)
def test_a_copy_under_any_name(copy, family, what):
    y = OUTCOMES.get(family, SALES)
    with pytest.raises(ValueError, match=f"column 'left' of X is {what}.*120 rows"):
        regressor(family=family).fit(X.assign(left=copy), y)


def test_a_column_of_an_array():
    rows = np.column_stack([X["price"], 2 * SALES])
    with pytest.raises(ValueError, match=r"'x1' of X is y times 2.*drop the column$"):
        regressor().fit(rows, SALES)
    with pytest.raises(ValueError, match="'x1' of X is y times 2"):
        regressor().partial_fit(rows, SALES)


def test_rows_of_weight_zero_do_not_count():
    left = np.where(np.arange(N) < 5, 0.0, SALES)
    weights = (np.arange(N) >= 5).astype(float)
    with pytest.raises(ValueError, match="'left' of X is y itself, in each of 115 rows"):
        regressor().fit(X.assign(left=left), SALES, weights)
    assert regressor().fit(X.assign(left=left), SALES).coef_.shape == (3,)


def test_a_fitted_model_stays_as_it_was():
    model = regressor().fit(X, Y)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="'sales' of X is y itself"):
        model.fit(X.assign(sales=SALES), Y)
    assert vars(model) == before


def test_a_graph_says_which_columns_count():
    df = X.assign(sales=SALES, stock=5 - SALES)
    # the column enters nothing, or is caused by y
    for graph in ("price -> y", "price -> y -> stock"):
        found = regressor(graph=graph).fit(df, SALES)
        np.testing.assert_array_equal(
            found.coef_, regressor(graph="price -> y").fit(X, SALES).coef_
        )
    with pytest.raises(ValueError, match="'stock' of X is y times -1, plus 5"):
        regressor(graph="price -> y; stock -> y").fit(df, SALES)
    with pytest.raises(ValueError, match=r"'sales', a node of the graph.*drop the column"):
        regressor(graph="price -> sales").fit(df, Y)


def test_an_example_without_noise():
    """A line through a few points is an example, not an outcome that was left in."""
    few = pd.DataFrame({"a": np.arange(20.0)})
    model = regressor().fit(few, 1 + 2 * few["a"])
    np.testing.assert_allclose([model.intercept_, *model.coef_], [1, 2], atol=1e-6)


@pytest.mark.filterwarnings("ignore:inference=:sklearn.exceptions.ConvergenceWarning")
def test_a_treatment_that_decides_the_outcome_in_every_row():
    treated = np.arange(60) % 2
    rows = pd.DataFrame({"treated": treated, "age": RNG.normal(size=60)})
    model = regressor(family="bernoulli", inference="laplace").fit(rows, treated)
    assert model.effect(rows, {"treated": 1}, {"treated": 0}).average().mean()[0] > 0.8


ALMOST = {
    "one row differs": np.where(np.arange(N) == 77, SALES + 1, SALES),
    "a millionth of noise": SALES + 1e-6 * RNG.normal(size=N),
    "rounded": np.round(SALES, 2),
    "a curve": SALES**1.0001,
    "constant": np.ones(N),
}


@pytest.mark.parametrize("column", ALMOST.values(), ids=ALMOST)
def test_what_is_almost_y_is_no_business_of_ours(column):
    rows = X.assign(like=column) if column.std() else X.assign(like=column).drop(columns="price")
    assert np.isfinite(regressor().fit(rows, SALES).coef_).all()


def test_a_constant_outcome_is_called_constant():
    with pytest.raises(UndeterminedError, match="y is constant"):
        regressor().fit(X.assign(one=1.0), np.ones(N))


def test_another_column_of_the_name_of_y():
    """The outcome of the day after keeps its name, and today's sales are no copy of it."""
    tomorrow = pd.Series(np.roll(SALES, -1), name="sales")
    model = regressor().fit(X.assign(sales=SALES), tomorrow)
    assert (
        model.intervene(X.assign(sales=SALES), {"sales": 1.0}).estimand == "E[y | do(sales = 1.0)]"
    )
