"""Which variables of a user's model are columns, parameters and latent, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import skeletons
from scipy import stats
from sklearn.base import clone

from interventional import BayesianInterventionRegressor, CausalGraph
from interventional.own.skeleton import copied, read

pytestmark = pytest.mark.filterwarnings(  # of four rows
    "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
)
ROWS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 4.0], "store": list("abab")})
Y = pd.Series([0.1, 1.2, 1.9, 4.2])


def fit(model, X=ROWS, y=Y, **parameters):
    parameters = {"inference": "laplace", "random_state": 0, "draws": 100, **parameters}
    return BayesianInterventionRegressor(model=model, **parameters).fit(X, y)


def test_columns_are_variables_of_their_names():
    found = read(skeletons.chain(), None, None, ("x", "m", "z", "junk"))
    assert (found.outcome, found.rows) == ("y", "obs")
    assert (found.fixed, found.random) == ((), ("x", "m", "z"))
    assert set(found.parameters) == {"xm", "xy", "my", "yz", "of_m", "of_y"}
    assert found.parents == {"x": (), "m": ("x",), "z": ("y",), "y": ("x", "m")}
    assert found.descendants(frozenset(["x"])) == ("m",)


def test_what_is_random_in_rows_and_no_column_is_latent():
    found = read(skeletons.confounded(), None, None, ("x",))
    assert set(found.latent) == {"u", "own"}
    assert found.children == {"u": ("x", "y"), "own": ("y",)}
    found = read(skeletons.chain(), None, None, ("x",))
    assert (found.latent, found.idle) == (("m",), ("z",))


def test_the_outcome_goes_by_the_name_of_the_series():
    with pm.Model(coords={"obs": [0]}) as model:
        pm.Normal("sales", pm.Normal("level"), dims="obs")
    assert read(model, None, "sales", ("x",)).outcome == "sales"
    assert read(model, "sales", "y", ("x",)).outcome == "sales"
    with pytest.raises(ValueError, match=r"unknown outcome 'y'.*'sales'.*outcome="):
        read(model, None, "profit", ("x",))


@pytest.mark.parametrize(
    "copy",
    [skeletons.chain, lambda: copied(skeletons.chain()), lambda: clone_of(skeletons.chain())],
)
def test_equal_models_have_one_structure(copy):
    known = read(skeletons.chain(), None, None, ("x", "m", "z"))
    assert read(copy(), None, None, ("x", "m", "z")).key == known.key
    assert read(copy(), None, None, ("x", "m")).key != known.key
    assert pickle.loads(pickle.dumps(known)).key == known.key


def clone_of(model):
    return clone(BayesianInterventionRegressor(model=model)).model


def test_other_numbers_in_a_model_are_another_structure():
    one = read(skeletons.line(1.0), None, None, ("x",))
    assert read(skeletons.line(2.0), None, None, ("x",)).key != one.key


@pytest.mark.parametrize("start", [0.3, None, "prior"])
def test_starting_points_stay(start):
    with pm.Model(coords={"obs": [0]}) as model:
        sigma = pm.HalfNormal("sigma", initval=start)
        pm.Normal("y", pm.Data("x", np.zeros(1), dims="obs"), sigma, dims="obs")
    found = read(model, None, None, ("x",)).model
    assert found.rvs_to_initial_values[found["sigma"]] == start
    assert model.rvs_to_initial_values[sigma] == start  # the user's own is as it was
    assert fit(model).predict(ROWS).shape == (4,)


def test_the_users_model_stays_as_it_is():
    model = skeletons.line()
    before = dict(model.coords), model["x"].get_value().tolist(), set(model.named_vars)
    fit(model).intervene(ROWS, do={"x": 1})
    assert (dict(model.coords), model["x"].get_value().tolist(), set(model.named_vars)) == before


# --- What is refused -----------------------------------------------------------------------------


def _made(*add, coords=None):
    with pm.Model(coords={"obs": [0], "other": [0, 1]} if coords is None else coords) as model:
        for each in add:
            each()
    return model


def outcome(**given):
    return lambda: pm.Normal("y", **{"dims": "obs", **given})


BAD = {
    "observed": (lambda: _made(lambda: pm.Normal("y", observed=[0.0])), "'y' is observed already"),
    "no outcome": (lambda: _made(lambda: pm.Normal("z", dims="obs")), "unknown outcome 'y'"),
    "deterministic": (
        lambda: _made(lambda: pm.Deterministic("y", pm.Normal("z", dims="obs"), dims="obs")),
        "'y' is deterministic",
    ),
    "no dims": (lambda: _made(lambda: pm.Normal("y", shape=4)), "'y' has no dims"),
    "two dims": (lambda: _made(outcome(dims=("obs", "other"))), "has dims .'obs', 'other'."),
    "another dim": (
        lambda: _made(lambda: pm.Normal("x", dims="other"), outcome()),
        "column 'x' is a variable with dims .'other'.*dims='obs'",
    ),
    "no rows": (
        lambda: _made(lambda: outcome(mu=pm.Data("x", 0.0))()),
        "column 'x' is a variable with no dims",
    ),
    "data that X lacks": (
        lambda: _made(lambda: outcome(mu=pm.Data("xx", np.zeros(1), dims="obs"))()),
        "unknown column 'xx'; did you mean 'x'",
    ),
    "discrete": (
        lambda: _made(lambda: outcome(mu=pm.Bernoulli("k", 0.5))()),
        "'k' is discrete and observed by nobody",
    ),
}


@pytest.mark.parametrize(("model", "words"), BAD.values(), ids=BAD)
def test_models_that_are_no_skeletons_say_why(model, words):
    with pytest.raises(ValueError, match=words):
        fit(model)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (7, "must be a pm.Model, or a callable that returns one, got int"),
        (lambda: 7, "returned int"),
        (lambda frame: frame, "returned DataFrame"),
    ],
)
def test_what_is_no_model_is_refused(model, words):
    with pytest.raises(TypeError, match=words):
        fit(model)


def test_what_a_callable_raises_says_whose_it_was():
    def broken():
        raise RuntimeError("nothing here")

    with pytest.raises(RuntimeError, match="nothing here") as caught:
        fit(broken)
    assert "callable of model=broken" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("family", "poisson"),
        ("design", "smooth"),
        ("priors", "ridge"),
        ("groups", ["store"]),
        ("graph", "x -> y"),
        ("exposure", "x"),
        ("noise", "x"),
        ("treatments", ["x"]),
        ("within", True),
        ("confounding", {}),
        ("unseen_levels", "population"),
        ("fit_intercept", False),
        ("center_predictors", False),
    ],
)
def test_parameters_of_our_own_equations_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name}=.*model= says all"):
        fit(skeletons.line, **{name: value})


def test_engines_that_are_for_others_are_refused():
    with pytest.raises(ValueError, match="unknown inference 'exact'"):
        fit(skeletons.line, inference="exact")
    with pytest.raises(ValueError, match="unknown inference 'advi'"):
        BayesianInterventionRegressor(inference="advi").fit(ROWS[["x"]], Y)


def test_columns_that_the_model_reads_must_be_whole():
    missing = ROWS.assign(x=[0.0, np.nan, 2.0, 4.0])
    for model in (skeletons.line, lambda: skeletons.chain()):
        with pytest.raises(ValueError, match=r"NaN.*'x', row 1"):
            fit(model, missing)
    fit(skeletons.line, ROWS.assign(junk=np.nan))  # nobody reads it


def test_levels_are_positions_with_labels_of_the_rows():
    X = ROWS.rename(columns={"x": "price"})
    model = fit(skeletons.of_stores, X)
    level = model.idata_["posterior"]["level"]
    assert level["stores"].values.tolist() == ["a", "b"]
    table = model.effect(X, do={"store": "b"}, baseline={"store": "a"})
    direct = (level.sel(stores="b") - level.sel(stores="a")).values.ravel()
    np.testing.assert_allclose(table.draws.values.reshape(-1, 4)[:, 0], direct, rtol=1e-12)
    with pytest.raises(ValueError, match=r"level in column 'store' of X: 'c'"):
        model.predict(X.assign(store="c"))
    with pytest.raises(ValueError, match=r"level in column 'store' of do.*'c'"):
        model.intervene(X, do={"store": "c"})


@pytest.mark.parametrize("labels", [("b", "a", "never"), ("x", "y")])
def test_labels_of_the_model_stay_where_they_hold_all_levels(labels):
    X = ROWS.rename(columns={"x": "price"})

    def model():
        skeleton = skeletons.of_stores()
        skeleton.set_dim("stores", len(labels), coord_values=labels)
        return skeleton

    found = fit(model, X).idata_["posterior"]["level"]["stores"].values.tolist()
    assert found == (list(labels) if {"a", "b"} <= set(labels) else ["a", "b"])


@pytest.mark.parametrize(
    ("held", "labels"), [([0, 1, 0, 1], [0]), ([101, 7, 7, 101], [7, 101]), ([0, 1, 0, 1], [0, 1])]
)
def test_numbers_may_be_positions_or_labels(held, labels):
    X = ROWS.rename(columns={"x": "price"}).assign(store=held)
    found = fit(skeletons.of_stores, X).idata_["posterior"]["level"]["stores"].values.tolist()
    assert found == sorted(set(held))
    assert len(labels) <= len(found)


def test_positions_of_nothing_are_refused():
    X = ROWS.rename(columns={"x": "price"}).assign(store=[0, 1, 0, 1])

    def model():
        skeleton = skeletons.of_stores()
        skeleton.set_dim("stores", 2, coord_values=["first", "second"])
        return skeleton

    fitted = fit(model, X)
    for stray in (-1, 2, 0.5):
        with pytest.raises(ValueError, match=rf"{stray}.*'stores'.*from 0 to 1"):
            fitted.intervene(X, do={"store": stray})
        with pytest.raises(ValueError, match=rf"{stray}.*column 'store'"):
            fitted.predict(X.assign(store=stray))
    with pytest.raises(ValueError, match="-1"):
        fit(model, X.assign(store=[-1, 1, 0, 1]))


def test_levels_of_a_variable_of_numbers_are_refused():
    with pytest.raises(TypeError, match=r"'x' holds levels.*float64.*pm.Data"):
        fit(skeletons.line, ROWS.assign(x=ROWS["store"]))


def test_the_graph_is_the_models_own():
    X = pd.DataFrame({"x": [0.0, 1.0, 2.0, 4.0], "m": [0.2, 1.0, 2.5, 3.5]})
    X["z"] = Y + 0.1
    model = fit(skeletons.chain, X)
    assert model.graph_ == CausalGraph("x -> m -> y; x -> y; y -> z")
    with pytest.raises(ValueError, match=r"'y' as a cause of 'z'"):
        model.intervene(X, do={"z": 1})
    known = read(skeletons.confounded(), None, None, ("x",))
    assert known.children["u"] == ("x", "y")


@pytest.mark.parametrize(
    ("do", "words"),
    [
        ({"slope": 1}, "'slope' is a parameter.*simulate"),
        ({"store": "a"}, "'store' changes nothing"),
        ({"xx": 1}, "unknown column 'xx'"),
        ({"y": 1}, "'y' is the outcome"),
        ({"x": np.inf}, "inf"),
    ],
)
def test_what_cannot_be_forced_is_refused(do, words):
    model = fit(skeletons.line)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=words):
        model.intervene(ROWS, do=do)
    assert vars(model) == before


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    model = fit(skeletons.line)
    before = dict(vars(model))
    model.set_params(model=lambda: 7)
    with pytest.raises(TypeError):
        model.fit(ROWS, Y)
    assert {k: v for k, v in vars(model).items() if k != "model"} == {
        k: v for k, v in before.items() if k != "model"
    }


def offset():
    """Stores are counted from one, and looked up twice."""
    with pm.Model(coords={"obs": [0], "stores": ["a", "b", "c"]}) as model:
        store = pm.Data("store", np.ones(1, dtype=int), dims="obs")
        level = pm.Normal("level", 0, 5, dims="stores")
        region = pm.Normal("region", 0, 1, shape=2)
        mu = level[store - 1] + region[pm.math.stack([0, 1, 1])[store - 1]]
        pm.Normal("y", mu, pm.HalfNormal("sigma", 1), dims="obs")
    return model


def test_positions_that_are_computed_are_looked_at():
    """Compiled code would read what is beyond, or end the process."""
    X = ROWS.assign(store=[1, 2, 3, 1])
    with pytest.raises(ValueError, match=r"X: of 'store' = 403 in row 2 .* position 402.* 0 to 2"):
        fit(offset, X.assign(store=[1, 2, 403, 1]), inference="nuts")
    model = fit(offset, X)
    with pytest.raises(ValueError, match=r"X: of 'store' = 0 in row 0 .* position -1"):
        model.predict(X.assign(store=0))
    for what in (4, stats.randint(1, 9)):
        with pytest.raises(ValueError, match=r"do: of 'store' = \d in row \d+"):
            model.intervene(X, do={"store": what})
    level = model.idata_["posterior"]["level"].values.reshape(-1, 3)
    region = model.idata_["posterior"]["region"].values.reshape(-1, 2)
    found = model.intervene(X, do={"store": 2}).draws.values.reshape(-1, 4)
    np.testing.assert_allclose(found[:, 0], level[:, 1] + region[:, 1], rtol=1e-12)
    assert np.isfinite(model.intervene(X, do={"store": stats.randint(1, 4)}).mean()).all()


def test_an_outcome_of_all_rows_together_is_refused():
    def process():
        with pm.Model(coords={"obs": [0]}) as model:
            x = pm.Data("x", np.zeros(1), dims="obs")
            same = pm.math.eq(x[:, None], x[None])
            pm.MvNormal("y", mu=0, cov=pm.HalfNormal("s") * same, dims="obs")
        return model

    with pytest.raises(ValueError, match=r"'y' is one draw for all rows.*HSGP"):
        fit(process)


def test_an_outcome_without_mean_and_draws_is_refused_before_sampling():
    def custom():
        with pm.Model(coords={"obs": [0]}) as model:
            x = pm.Data("x", np.zeros(1), dims="obs")
            mu = pm.Normal("slope") * x
            pm.CustomDist("y", mu, logp=lambda v, mu: -0.5 * (v - mu) ** 2, dims="obs")
        return model

    with pytest.raises(ValueError, match=r"'y' has no mean.*random= or dist=.*'y_mu'"):
        fit(custom)
