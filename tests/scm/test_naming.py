"""What the outcome is called: by `outcome`, else by y's own name, where the model can be."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_validate

from interventional import BayesianInterventionRegressor
from interventional.datasets import make_sales

X, SALES = make_sales(60, random_state=0)
GRAPH = "season -> price -> sales; season -> sales"


def regressor(**parameters):
    return BayesianInterventionRegressor(draws=50, random_state=0, **parameters)


def called(model, rows=X, **forced):
    return model.intervene(rows, forced or {"price": 9}).estimand


def test_a_graph_that_has_the_name_of_y_just_works():
    model = regressor(graph=GRAPH).fit(X, SALES)
    assert called(model) == "E[sales | do(price = 9)]"
    expected = regressor(graph=GRAPH, outcome="sales").fit(X, SALES.to_numpy())
    ask = {"price": 9}, {"price": 10}
    np.testing.assert_array_equal(model.effect(X, *ask).mean(), expected.effect(X, *ask).mean())
    assert "sales_beta" in model.idata_["posterior"]
    assert [v.name for v in model.build_model(X, SALES).observed_RVs] == ["price", "sales"]
    assert model.simulate(X, {}, random_state=0).columns[-1] == "sales"
    checked = regressor(graph=GRAPH).prior_predictive_check(X, SALES, 5)
    assert list(checked["observed_data"]) == ["sales"]


NAMES = {
    "of pandas": (SALES, {}, "sales"),
    "of polars": (pl.from_pandas(SALES), {}, "sales"),
    "none, of pandas": (SALES.rename(None), {}, "y"),
    "none, of polars": (pl.Series(SALES.to_numpy()), {}, "y"),
    "an array": (SALES.to_numpy(), {}, "y"),
    "a number": (SALES.rename(0), {}, "y"),
    "a tuple": (SALES.rename(("sales", 1)), {}, "y"),
    "empty": (SALES.rename(""), {}, "y"),
    "with a slash": (SALES.rename("euro/day"), {}, "y"),
    "of what PyMC has itself": (SALES.rename("draw"), {}, "y"),
    "of a column": (SALES.rename("season"), {}, "y"),
    "outcome= goes first": (SALES, {"outcome": "sold"}, "sold"),
    "a graph of it": (SALES, {"graph": "price -> sales"}, "sales"),
    "a graph of y": (SALES, {"graph": "price -> y"}, "y"),
    "a graph of y, named as a column": (SALES.rename("season"), {"graph": "price -> y"}, "y"),
    "a family of y": (SALES, {"family": {"y": "student_t"}, "inference": "laplace"}, "y"),
    "a family of it": (SALES, {"family": {"sales": "gaussian"}}, "sales"),
    "priors of coefficients": (SALES, {"priors": "ridge"}, "sales"),
}


@pytest.mark.filterwarnings("ignore:inference='laplace' is a poor")
@pytest.mark.parametrize(("y", "parameters", "name"), NAMES.values(), ids=NAMES)
def test_names(y, parameters, name):
    model = regressor(**parameters)
    before = model.get_params()
    assert called(model.fit(X, y)) == f"E[{name} | do(price = 9)]"
    assert model.get_params() == before  # what was found is no parameter
    assert clone(model).outcome == parameters.get("outcome")


def test_columns_whose_names_are_made_from_that_of_y():
    odd = X.rename(columns={"season": "sales_beta"})
    assert called(regressor().fit(odd, SALES), odd) == "E[y | do(price = 9)]"
    with pytest.raises(ValueError, match="name of column 'sales_beta' for itself"):
        regressor(graph="price -> sales; sales_beta -> sales").fit(odd, SALES)


def test_a_graph_without_the_name():
    with pytest.raises(ValueError, match="lacks the outcome: unknown node 'sales'"):
        regressor(graph="price -> revenue").fit(X, SALES)
    with pytest.raises(ValueError, match="lacks the outcome: unknown node 'y'"):
        regressor(graph=GRAPH).fit(X, SALES.to_numpy())


def test_the_first_batch_names_the_outcome():
    y = SALES.to_numpy()
    model = regressor(graph="price -> sales")
    model.partial_fit(X[:1], SALES[:1])  # determines nothing yet
    model.partial_fit(X[1:30], y[1:30]).partial_fit(X[30:], SALES[30:])
    assert called(model) == "E[sales | do(price = 9)]"
    whole = regressor(graph="price -> sales").fit(X, SALES)
    np.testing.assert_allclose(model.coef_, whole.coef_)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=r"y is called 'profit'.*was 'sales'"):
        model.partial_fit(X, SALES.rename("profit"))
    assert vars(model) == before
    unnamed = regressor().partial_fit(X[:30], y[:30]).partial_fit(X[30:], SALES[30:])
    assert called(unnamed) == "E[y | do(price = 9)]"


def test_dask():
    rows, y = dd.from_pandas(X, npartitions=2), dd.from_pandas(SALES, npartitions=2)
    model = regressor(graph=GRAPH).fit(rows, y)
    assert model.intervene(rows, {"price": 9}).estimand == "E[sales | do(price = 9)]"
    arrays = (
        da.from_array(X.to_numpy(), chunks=(30, 2)),
        da.from_array(SALES.to_numpy(), chunks=30),
    )
    assert regressor().fit(*arrays).fitted_.model.outcome == "y"
    with pytest.raises(ValueError, match=r"partition [01]: column 'sales' of X is y itself"):
        regressor().fit(rows.assign(sales=y), y)


def test_refits_know_the_name():
    """Cross-validation slices y, which keeps its name; refutation gives arrays."""
    model = regressor(graph=GRAPH)
    found = cross_validate(model, X, SALES, cv=3, return_estimator=True)
    assert {each.fitted_.model.outcome for each in found["estimator"]} == {"sales"}
    table = model.refute(X, SALES, {"price": 9}, {"price": 10}, n_repeats=2)
    named = regressor(graph=GRAPH, outcome="sales")
    expected = named.refute(X, SALES.to_numpy(), {"price": 9}, {"price": 10}, n_repeats=2)
    pd.testing.assert_frame_equal(table, expected)


def test_tags_and_batches_of_families_by_name():
    """Before anything is fitted the default name stands for the outcome."""
    model = regressor(family={"y": "poisson"})
    assert model.__sklearn_tags__().target_tags.positive_only
    assert not hasattr(model, "partial_fit")
    assert hasattr(regressor(family={"y": "lognormal"}), "partial_fit")


def test_the_name_of_y_beside_a_column_that_takes_no_part():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"price": rng.normal(size=50), "note": np.nan})
    y = (X["price"] + rng.normal(size=50)).rename("sales")
    model = BayesianInterventionRegressor(graph="price -> sales", random_state=0)
    assert model.fit(X, y).fitted_.model.outcome == "sales"
    built = model.build_model(X, y)
    assert "note" not in built.named_vars
    with pytest.raises(ValueError, match="NaN: column 'price', row 3"):
        model.fit(X.assign(price=X["price"].where(X.index != 3)), y)
