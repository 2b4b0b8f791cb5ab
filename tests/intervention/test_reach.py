"""Columns that are forced and dropped on the way, and columns that follow what is forced."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer
from statsmodels.api import OLS, add_constant

from interventional import BayesianInterventionRegressor

N = 400
SPLINE = SplineTransformer(n_knots=4, extrapolation="constant", include_bias=False)
ONE_HOT = OneHotEncoder(drop="first", sparse_output=False)


@pytest.fixture(scope="module")
def trial():
    """An arm whose effect is 2, age and town."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"arm": rng.integers(0, 2, N), "age": rng.uniform(20, 80, N)})
    X["town"] = rng.choice(["a", "b"], N)
    X["dose"] = X["arm"] + rng.normal(size=N)
    return X, 2 * X["arm"] + 0.05 * X["age"] + rng.normal(size=N)


def fitted(trial, design, graph=None):
    return BayesianInterventionRegressor(design=design, graph=graph, random_state=0).fit(*trial)


FORGETS = make_column_transformer((SPLINE, ["age"]), (ONE_HOT, ["town"]))
QUESTIONS = {
    "intervene": lambda m, X, y: m.intervene(X, {"arm": 1}),
    "effect": lambda m, X, y: m.effect(X, {"arm": 1}, {"arm": 0}),
    "effect as observed": lambda m, X, y: m.effect(X, {"arm": lambda X: X["arm"]}),
    "beside another": lambda m, X, y: m.effect(X, {"age": 30, "arm": 1}, {"age": 40, "arm": 1}),
    "decompose": lambda m, X, y: m.decompose(X, {"arm": 1}, {"arm": 0}),
    "counterfactual": lambda m, X, y: m.counterfactual(X, y, {"arm": 1}),
    "sensitivity": lambda m, X, y: m.sensitivity(X, {"arm": 1}, {"arm": 0}),
    "one row": lambda m, X, y: m.intervene(X.head(1), {"arm": 1}),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("graph", [None, "arm -> y; age -> y; town -> y"])
def test_a_design_that_drops_what_is_forced(trial, ask, graph):
    model = fitted(trial, FORGETS, graph)
    with pytest.raises(ValueError, match="design of 'y' drops 'arm', so that forcing 'arm'"):
        ask(model, *trial)


def test_a_design_that_keeps_it(trial):
    X, y = trial
    keeps = make_column_transformer((ONE_HOT, ["town"]), remainder="passthrough")
    effect = fitted(trial, keeps).effect(X, {"arm": 1}, {"arm": 0}).average()
    columns = X[["arm", "age", "dose"]].assign(town=X["town"] == "b").astype(float)
    found = OLS(y, add_constant(columns)).fit()
    assert effect.mean()[0] == pytest.approx(found.params["arm"], abs=0.2 * found.bse["arm"])


def test_a_design_by_node_that_drops_what_comes_on_the_way(trial):
    graph = "arm -> dose -> y; age -> y"
    age = make_column_transformer((SPLINE, ["age"]))
    model = fitted(trial, {"y": age}, graph)
    with pytest.raises(ValueError, match="design of 'y' drops 'dose', so that forcing 'arm'"):
        model.intervene(trial[0], {"arm": 1})
    nothing = make_column_transformer(("passthrough", ["age"]))
    model = fitted(trial, {"dose": nothing}, "arm -> dose -> y; age -> dose; age -> y")
    with pytest.raises(ValueError, match="design of 'dose' drops 'arm'"):
        model.intervene(trial[0], {"arm": 1})
    assert np.isfinite(model.intervene(trial[0], {"dose": 1}).mean()).all()


def test_one_of_two_ways_is_enough(trial):
    X, y = trial
    dose = make_column_transformer(("passthrough", ["dose", "age"]))
    model = fitted(trial, dose, "arm -> dose -> y; arm -> y; age -> y")
    effect = model.effect(X, {"arm": 1}, {"arm": 0}).average()
    first = OLS(X["dose"], add_constant(X[["arm"]].astype(float))).fit().params["arm"]
    second = OLS(y, add_constant(X[["dose", "age"]])).fit().params["dose"]
    assert abs(effect.mean() - first * second) < 4 * effect.std()
    with pytest.raises(ValueError, match="drops 'arm'"):
        model.effect(X, {"arm": 1, "dose": 0}, {"arm": 0, "dose": 0})


def test_no_path_in_the_graph_is_an_answer(trial):
    X, _ = trial
    model = fitted(
        trial, make_column_transformer(("passthrough", ["age"])), "age -> y; age -> arm"
    )
    assert not model.effect(X, {"arm": 1}, {"arm": 0}).mean().any()


SHAPES = {
    "a spline that is constant beyond its last knot": (SPLINE, 100.0, 200.0, 0.0),
    "a step that no row of fit was beyond": (
        FunctionTransformer(lambda X: np.column_stack([X["town"] == "b", X["age"] > 90])),
        100.0,
        95.0,
        0.0,
    ),
}


@pytest.mark.parametrize(("design", "high", "low", "truth"), SHAPES.values(), ids=SHAPES)
def test_no_false_alarm(trial, design, high, low, truth):
    X, y = trial
    if isinstance(design, SplineTransformer):
        X = X[["age"]]
    effect = fitted((X, y), design).effect(X, {"age": high}, {"age": low}).mean()
    assert effect == pytest.approx(np.full(N, truth), abs=1e-9)


def test_a_product_with_what_is_nearly_always_zero():
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"arm": rng.integers(0, 2, N).astype(float), "rare": np.zeros(N)})
    X.loc[[5, 50, 100], "rare"] = 1.0
    product = FunctionTransformer(lambda X: np.column_stack([X["rare"], X["arm"] * X["rare"]]))
    model = fitted((X, X["arm"] * X["rare"] + rng.normal(size=N)), make_pipeline(product))
    assert not model.effect(X.assign(rare=0.0), {"arm": 1.0}, {"arm": 0.0}).mean().any()


@pytest.fixture(scope="module")
def asked():
    """a is randomised, and m = [e < -1 + 2 a] with the person's own logistic e; y = 3 m."""
    rng = np.random.default_rng(0)
    n = 4000
    a, e = rng.integers(0, 2, n), rng.logistic(size=n)
    X = pd.DataFrame({"a": a, "m": e < -1 + 2 * a, "town": rng.choice(["p", "q"], n)})
    X["after"] = 3 * X["m"] + rng.normal(size=n)
    y = 3 * X["m"] + rng.normal(size=n)
    model = BayesianInterventionRegressor(
        graph="a -> m -> y; y -> z; m -> after", inference="laplace", random_state=0
    ).fit(X, y)
    rows = X[X["a"] == 0]
    return rows, model.effect(rows, {"a": 1}, {"a": 0})


class TestGroups:
    @pytest.mark.parametrize("by", ["m", "after", ["town", "m"]])
    def test_by_what_follows(self, asked, by):
        X, effect = asked
        for groups in (by, X[by]):
            with pytest.raises(ValueError, match=r"follows what is forced.*counterfactual"):
                effect.average(by=groups)
        with pytest.raises(ValueError, match="follows what is forced"):
            type(effect).compare({"a": effect}, by=by)

    def test_a_series_of_that_name_alone_is_no_such_column(self, asked):
        X, effect = asked
        assert len(effect.average(by=X["town"].rename("m"))) == 2

    def test_by_what_does_not(self, asked):
        _, effect = asked
        truth = 3 * (1 / (1 + np.exp(-1)) - 1 / (1 + np.exp(1)))
        for by in ("town", "a"):
            average = effect.average(by=by)
            assert (abs(average.mean() - truth) < 4 * average.std() + 0.02).all()

    def test_by_a_mediator_that_stays(self, asked):
        X, _ = asked
        rng = np.random.default_rng(1)
        model = BayesianInterventionRegressor(
            graph="a -> after -> y; town -> y", random_state=0
        ).fit(X.assign(a=rng.normal(size=len(X))), X["after"] + rng.normal(size=len(X)))
        assert len(model.intervene(X, {"town": "p"}).average(by="m")) == 2
        with pytest.raises(ValueError, match="follows"):
            (model.intervene(X, {"town": "p"}) - model.intervene(X, {"a": 1})).average(by="after")

    def test_counterfactual_may_be_grouped_by_it(self):
        rng = np.random.default_rng(2)
        X = pd.DataFrame({"a": rng.normal(size=N)})
        X["m"] = np.round(X["a"] + rng.normal(size=N))
        y = 2 * X["m"] + rng.normal(size=N)
        model = BayesianInterventionRegressor(graph="a -> m -> y", random_state=0).fit(X, y)
        what_if = model.counterfactual(X, y, {"a": lambda X: X["a"] + 1})
        average = what_if.average(by="m")
        truth = (
            (y + 2 * OLS(X["m"], add_constant(X["a"])).fit().params["a"]).groupby(X["m"]).mean()
        )
        assert (abs(average.mean() - truth.to_numpy()) < 5 * average.std()).all()
        for part in model.decompose(X, {"a": 1}, {"a": 0}).values():
            with pytest.raises(ValueError, match="follows"):
                part.average(by="m")
