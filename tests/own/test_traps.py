"""What goes wrong between PyMC and a regressor, and does not here."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from conftest import N_STANDARD_ERRORS
from own.models import CASES, given
from scipy import stats

from interventional import BayesianInterventionRegressor, NotIdentifiedError, numbers
from interventional.own import answers, batches, expectations
from interventional.own.answers import over_gaussian
from interventional.own.skeleton import read

LAPLACE = {"inference": "laplace", "draws": 100, "chains": 2, "random_state": 0}


def values(outcomes):
    return outcomes.draws.values.reshape(-1, outcomes.draws.shape[-1])


# --- Rows: other ones, of another number, of other types ----------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_compiled_serves_other_rows():
    """`y_mu` is of the rows; codes are whole numbers of another size than NumPy's own."""
    case = CASES["michaelis"]
    (X, y), (other, z) = case.data(30, seed=0), case.data(50, seed=1)
    model = BayesianInterventionRegressor(model=case.make, **LAPLACE)
    model.fit(X, y)
    found = model.fit(other, z).idata_["posterior"]
    from interventional.inference import laplace

    laplace._densities._kept.clear()
    fresh = model.fit(other, z).idata_["posterior"]
    np.testing.assert_allclose(found["half"], fresh["half"], rtol=1e-9)
    assert "y_mu" not in found


def named(name):
    def make():
        with pm.Model(coords={"obs": [0]}) as model:
            x = pm.Data(name, np.zeros(1), dims="obs")
            b = pm.Normal("b", initval=0.3)
            pm.Normal("y", b * x, pm.HalfNormal("s"), dims="obs")
        return model

    return make


@pytest.mark.parametrize("name", ["half", "float", "long", "x y"])
def test_columns_may_be_called_what_types_are(name):
    X = pd.DataFrame({name: [1.0, 2.0, 3.0]})
    draws = {"b": np.array([1.0, 2.0]), "s": np.ones(2)}
    model = given(named(name), X, pd.Series([1.0, 2.0, 4.0], name="y"), draws)
    found = values(model.intervene(X, {name: 2.0}))
    np.testing.assert_allclose(found, [[2.0] * 3, [4.0] * 3])


def test_starting_points_stay():
    skeleton = read(named("x")(), "y", None, ("x",))
    from interventional.own.conditioning import Rows, observed_model

    rows = Rows({"x": np.arange(3.0)}, np.ones(3))
    found = observed_model(skeleton, rows)
    assert found.rvs_to_initial_values[found["b"]] == 0.3
    assert skeleton.model.rvs_to_initial_values[skeleton.model["b"]] == 0.3


def test_rows_with_something_latent_are_compiled_by_their_number():
    from interventional.own.conditioning import Rows, _compilable

    def key(name, n):
        case = CASES[name]
        skeleton = read(case.make(), "y", None, ("x",))
        return _compilable(skeleton, Rows({"x": np.ones(n)}, np.ones(n, dtype=int)))[2]

    assert key("shaken", 3) != key("shaken", 4)
    assert key("widening", 3) == key("widening", 4)


# --- Draws: each its own ------------------------------------------------------------------------


def of_latent():
    """Something latent that no parameter causes."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        own = pm.Normal("own", dims="obs")
        pm.Normal("y", pm.Normal("b") * x + own, pm.HalfNormal("s"), dims="obs")
    return model


def frame(n):
    return pd.DataFrame({"x": np.linspace(-1, 1, n)}), pd.Series(np.zeros(n), name="y")


def test_draws_do_not_share_what_depends_on_none():
    X, y = frame(5)
    size = 4000
    draws = {"b": np.zeros(size), "s": np.full(size, 1e-3)}
    model = given(of_latent, X, y, draws)
    found = values(model.intervene(X, {"x": 0.0}, kind="predictive"))
    assert np.abs(found.std(axis=0) - 1).max() < 0.06
    assert np.abs(np.corrcoef(found, rowvar=False) - np.eye(5)).max() < 0.08
    np.testing.assert_allclose(values(model.intervene(X, {"x": 0.0})), 0, atol=1e-12)


def test_blocks_of_draws_have_noise_of_their_own(monkeypatch):
    case = CASES["widening"]
    model, X, _ = case.asked(n=10, size=200)
    mean = values(model.intervene(X, case.do))
    monkeypatch.setattr(answers, "_ELEMENTS", 500)  # 50 draws at a time
    np.testing.assert_array_equal(values(model.intervene(X, case.do)), mean)
    noise = values(model.intervene(X, case.do, kind="predictive")) - mean
    assert np.abs(np.corrcoef(noise[:50].ravel(), noise[50:100].ravel())[0, 1]) < 0.2
    assert len(np.unique(noise)) == noise.size


@pytest.mark.parametrize("name", ["shifted_adstock", "scanned_adstock"])
def test_rows_that_hang_together_are_not_cut(monkeypatch, name):
    case = CASES[name]
    model, X, _ = case.asked(n=40, size=50)
    do = {"spend": X["spend"].to_numpy() * 1.1}
    whole = values(model.intervene(X, do))
    mean = model.intervene(X, do).mean()
    for constant, size in (("CHUNK", 500), ("BLOCK", 200), ("AT_ONCE", 100)):
        monkeypatch.setattr(numbers, constant, size)
    outcomes = model.intervene(X, do)
    np.testing.assert_allclose(outcomes.mean(), mean)
    np.testing.assert_allclose(values(outcomes), whole)


def carried_mediator():
    """A mediator with a carry-over; the outcome has none of its own."""
    with pm.Model(coords={"obs": [0]}) as model:
        spend = pm.Data("spend", np.zeros(1), dims="obs")
        before = pt.concatenate([pt.zeros(1), spend])[: spend.shape[0]]
        seen = pm.Normal("seen", spend + pm.Beta("keep", 2, 2) * before, 0.1, dims="obs")
        pm.Normal("y", pm.Normal("b") * seen, pm.HalfNormal("s"), dims="obs")
    return model


def test_rows_whose_mediators_hang_together_are_not_cut(monkeypatch):
    X = pd.DataFrame({"spend": np.arange(12.0), "seen": np.arange(12.0)})
    draws = {"keep": np.full(20, 0.5), "b": np.full(20, 2.0), "s": np.ones(20)}
    model = given(carried_mediator, X, pd.Series(np.zeros(12), name="y"), draws)
    do = {"spend": X["spend"] + 1}
    wanted = 2 * (do["spend"] + 0.5 * do["spend"].shift(fill_value=0.0))
    np.testing.assert_allclose(model.intervene(X, do).mean(), wanted)
    for constant, size in (("CHUNK", 60), ("BLOCK", 60), ("AT_ONCE", 10)):
        monkeypatch.setattr(numbers, constant, size)
    np.testing.assert_allclose(model.intervene(X, do).mean(), wanted)


def test_rows_apart_are_cut(monkeypatch):
    case = CASES["funnel"]
    model, X, _ = case.asked(n=40, size=50)
    whole = model.intervene(X, case.do).mean()
    for constant, size in (("CHUNK", 500), ("BLOCK", 200), ("AT_ONCE", 100)):
        monkeypatch.setattr(numbers, constant, size)
    monkeypatch.delattr(answers.Answer, "_whole")
    np.testing.assert_allclose(model.intervene(X, case.do).mean(), whole)


def test_threads_have_functions_of_their_own():
    case = CASES["chained"]
    model, X, _ = case.asked(n=20, size=50)
    wanted = {k: model.intervene(X, {"x": k}).mean() for k in (0.0, 1.0)}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: model.intervene(X, {"x": k}).mean(), [0.0, 1.0] * 6))
    for k, each in enumerate(found):
        np.testing.assert_array_equal(each, wanted[float(k % 2)])


# --- Expectations -------------------------------------------------------------------------------


def quantile_rule(law, low, high):
    nodes, weights = expectations.rule()
    return (weights * law.ppf(law.cdf(low) + (law.cdf(high) - law.cdf(low)) * nodes)).sum()


@pytest.mark.parametrize(
    "bounds", [(-1.0, 0.5), (0.5, np.inf), (-np.inf, 1.0), (3.0, np.inf), (-np.inf, -2.0)]
)
def test_expectations_of_truncated_and_censored_normals(bounds):
    low, high = bounds
    normal = pm.Normal.dist(0.3, 1.2, size=1)
    given_bounds = {"lower": low if np.isfinite(low) else None}
    given_bounds["upper"] = high if np.isfinite(high) else None
    law = stats.norm(0.3, 1.2)
    wanted = stats.truncnorm(*((np.array(bounds) - 0.3) / 1.2), 0.3, 1.2).mean()
    inside = law.cdf(high) - law.cdf(low)
    ends = sum(
        bound * share
        for bound, share in ((low, law.cdf(low)), (high, law.sf(high)))
        if np.isfinite(bound)
    )
    for dist, mean in (
        (pm.TruncatedNormal.dist(0.3, 1.2, **given_bounds, size=1), wanted),
        (pm.Truncated.dist(normal, **given_bounds), wanted),
        (pm.Censored.dist(normal, **given_bounds), ends + inside * wanted),
    ):
        found = expectations.expectation(dist).eval(mode="FAST_COMPILE")
        np.testing.assert_allclose(np.ravel(found)[0], mean, rtol=1e-7)


@pytest.mark.parametrize("least", [1, 3])
@pytest.mark.parametrize(
    ("dist", "law"),
    [
        (lambda: pm.Poisson.dist(1.5, size=2), stats.poisson(1.5)),
        (lambda: pm.NegativeBinomial.dist(mu=2.0, alpha=1.5), stats.nbinom(1.5, 1.5 / 3.5)),
        (lambda: pm.Poisson.dist(1e-6), stats.poisson(1e-6)),
    ],
)
def test_expectations_of_counts_without_the_least(least, dist, law):
    found = expectations.expectation(pm.Truncated.dist(dist(), lower=least))
    k = np.arange(least, 200)
    with np.errstate(all="ignore"):
        wanted = (k * law.pmf(k)).sum() / law.sf(least - 1)
    rtol = 1e-6  # what PyMC makes of a plain 1.5 has 32 bits
    np.testing.assert_allclose(np.ravel(found.eval(mode="FAST_COMPILE"))[0], wanted, rtol=rtol)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda z: z, 0.0),
        (lambda z: np.exp(2 * z), np.exp(2.0)),
        (lambda z: np.maximum(z, 0), 1 / np.sqrt(2 * np.pi)),
        (lambda z: stats.norm.cdf(20 * z - 10), stats.norm.cdf(-10 / np.sqrt(401))),
        (lambda z: np.sqrt(9 + z) if z >= -9 else np.nan, 2.9957799),
    ],
)
def test_expectations_over_a_gaussian(function, wanted):
    found = over_gaussian(lambda z: np.array([function(z), 1.0]))
    np.testing.assert_allclose(found, [wanted, 1.0], rtol=2e-4, atol=1e-9)


def unknown(with_mu):
    """Whole numbers whose mean PyMC does not know; nor of what share they are Weibull's."""

    def make():
        with pm.Model(coords={"obs": [0]}) as model:
            x = pm.Data("x", np.zeros(1), dims="obs")
            q = pm.math.sigmoid(pm.Normal("b") * x)
            if with_mu:
                pm.Deterministic("y_mu", q / (1 - q), dims="obs")  # it is geometric
            pm.DiscreteWeibull("y", q, 1.0, dims="obs")
        return model

    return make


@pytest.mark.parametrize("with_mu", [True, False])
def test_where_pymc_knows_no_mean_the_users_own_is_taken_and_else_draws(with_mu):
    X, y = frame(6)
    b = np.linspace(0.5, 1.0, 400)
    model = given(unknown(with_mu), X, y, {"b": b})
    found = values(model.intervene(X, {"x": 0.5}))
    wanted = np.exp(0.5 * b)[:, None] + np.zeros(6)
    origin = model.idata_["posterior"].attrs["expected_outcome"]
    assert origin == ("y_mu" if with_mu else "averages over draws")
    if with_mu:
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    else:
        off = found - wanted
        assert (np.abs(off.mean(axis=0)) < N_STANDARD_ERRORS * off.std(axis=0) / 20).all()


def without_coords():
    """The length of the rows is that of x."""
    with pm.Model() as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        t = pm.Normal("t", 0, 1, dims="obs")
        pm.Normal("y", pm.Normal("b") * x + t, pm.HalfNormal("s"), dims="obs")
    return model


def test_how_many_rows_there_are_causes_nothing():
    X, y = frame(4)
    X["t"] = np.arange(4.0)
    model = given(without_coords, X, y, {"b": np.array([1.0, 2.0]), "s": np.ones(2)})
    assert str(model.graph_) == "CausalGraph('t -> y; x -> y')"
    found = values(model.intervene(X.head(3), {"x": 1.0}))
    np.testing.assert_allclose(found, np.add.outer([1.0, 2.0], [0.0, 1.0, 2.0]))


# --- Codes --------------------------------------------------------------------------------------


def coded():
    with pm.Model(coords={"obs": [0], "places": [0, 1, 2]}) as model:
        place = pm.Data("place", np.zeros(1, dtype=int), dims="obs")
        of = pm.Normal("of", dims="places")
        pm.Normal("y", of[place], pm.HalfNormal("s"), dims="obs")
    return model


@pytest.mark.parametrize("code", [-1, 3, 1.5])
def test_codes_are_positions(code):
    X = pd.DataFrame({"place": [0, 1, 2, 1]})
    y = pd.Series(np.arange(4.0), name="y")
    draws = {"of": np.arange(6.0).reshape(2, 3), "s": np.ones(2)}
    model = given(coded, X, y, draws)
    with pytest.raises(ValueError, match="place"):
        model.intervene(X, {"place": code})
    with pytest.raises(ValueError, match="place"):
        model.predict(X.assign(place=[0, 1, 2, code]))
    np.testing.assert_allclose(model.intervene(X, {"place": 2}).mean(), 3.5)


# --- Placeholders, shapes, pickles, structures ---------------------------------------------------


def frozen():
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.ones(1), dims="obs")
        pm.Normal("y", pm.Normal("b") * x.get_value()[0], pm.HalfNormal("s"), dims="obs")
    return model


def test_a_placeholder_that_stands_in_the_model_as_a_number_is_told():
    X, y = frame(4)
    with pytest.warns(UserWarning, match="nothing depends on 'x'"):
        given(frozen, X, y, {"b": np.ones(2), "s": np.ones(2)})


def test_the_center_of_a_hilbert_space_is_that_of_its_placeholder():
    """What PyMC does; a callable that takes the rows may put them there."""
    case = CASES["hilbert"]
    model, X, _ = case.asked(n=20, size=20)
    moved = X + 1.0  # the rows' own center is not zero: it moves nothing but x
    found = values(model.intervene(moved, {"x": moved["x"]}))
    np.testing.assert_allclose(found, case.expected(moved, case.draws(20)), rtol=1e-9)


def shaped():
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        pm.Normal("y", pm.Normal("b") * x, 1.0, shape=x.shape)
    return model


def test_an_outcome_by_its_shape_is_refused():
    with pytest.raises(ValueError, match="'y' has no dims"):
        given(shaped, *frame(3), {"b": np.ones(2)})


@pytest.mark.parametrize("name", ["michaelis", "hurdle", "slopes", "scanned_adstock"])
def test_what_is_fitted_pickles(name):
    case = CASES[name]
    model, X, _ = case.asked(n=12, size=20)
    again = pickle.loads(pickle.dumps(model))
    for kind in ("mean", "predictive"):
        found = (values(each.intervene(X, case.do, kind=kind)) for each in (model, again))
        np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", list(CASES))
def test_the_same_code_makes_the_same_structure(name):
    case = CASES[name]
    X, _ = case.data(8, seed=0)

    def key():
        takes = case.make.__code__.co_argcount
        model = case.make(X) if takes else case.make()
        return read(model, "y", None, tuple(X)).key

    one, two = key(), key()
    assert one == two
    assert hash(one) == hash(two)


def scaled(by):
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        pm.Normal("y", by * pm.Normal("b") * x, pm.HalfNormal("s"), dims="obs")
    return model


def test_other_numbers_make_another_structure():
    keys = [read(scaled(by), "y", None, ("x",)).key for by in (1.5, 2.5, 1.5)]
    assert keys[0] == keys[2] != keys[1]


# --- What is latent ------------------------------------------------------------------------------


def shared():
    with pm.Model(coords={"obs": [0]}) as model:
        u = pm.Normal("u", dims="obs")
        t = pm.Normal("t", u, 0.5, dims="obs")
        pm.Normal("y", pm.Normal("b") * t + u, pm.HalfNormal("s"), dims="obs")
    return model


def test_what_several_share_is_an_edge_with_two_heads():
    X, y = frame(4)
    X = X.rename(columns={"x": "t"})
    model = given(shared, X, y, {"b": np.full(50, 0.7), "s": np.ones(50)})
    assert "t <-> y" in str(model.graph_)
    with pytest.raises(NotIdentifiedError, match="'u'"):
        model.predict(X)
    np.testing.assert_allclose(model.intervene(X, {"t": 1.0}).mean(), 0.7, atol=1e-9)


# --- Loops --------------------------------------------------------------------------------------


def test_a_loop_for_all_draws_at_once_is_a_loop_for_each():
    """Sequences, states of two steps before, what is not traced, and what no draw changes."""
    import pytensor
    from pytensor.graph.replace import graph_replace

    x, a, k = pt.vector("x"), pt.scalar("a"), pt.scalar("k")

    def step(x, one, two, total, a, k):
        new = a * one - 0.1 * two + x
        return new, total + k * new, new**2

    traced = pytensor.scan(
        step,
        sequences=[x],
        outputs_info=[
            {"initial": pt.stack([k, k + 1]), "taps": [-1, -2]},
            pt.zeros(()),
            None,
        ],
        non_sequences=[a, k],
        return_updates=False,
    )
    out = traced[0] + traced[1] + traced[2][-1]
    many = {a: pt.vector("many_a"), x: pt.matrix("many_x")}
    size = pt.lscalar("size")
    (found,) = batches.batched([out], many, size)
    at = {"a": np.array([0.1, 0.5, 0.9]), "x": np.arange(12.0).reshape(3, 4)}
    of_all = pytensor.function([many[a], many[x], k, size], found, mode="FAST_COMPILE")
    of_one = pytensor.function([a, x, k], graph_replace(out, {}), mode="FAST_COMPILE")
    wanted = [of_one(p, row, 2.0) for p, row in zip(at["a"], at["x"], strict=True)]
    np.testing.assert_allclose(of_all(at["a"], at["x"], 2.0, 3), wanted)


def converging():
    """A root by Newton's steps until they are small: no two draws need stop together."""
    import pytensor
    from pytensor.scan.utils import until

    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.ones(1), dims="obs")
        b = pm.HalfNormal("b")

        def step(root, goal):
            new = (root + goal / root) / 2
            return new, until(pt.all(pt.abs(new - root) < 1e-12))

        roots = pytensor.scan(
            step,
            outputs_info=[pt.ones_like(x)],
            non_sequences=[b * x],
            n_steps=60,
            return_updates=False,
        )
        pm.Normal("y", roots[-1], pm.HalfNormal("s"), dims="obs")
    return model


@pytest.mark.slow
def test_a_loop_that_ends_when_it_is_done_is_called_draw_by_draw():
    X, y = frame(6)
    X = X.abs() + 0.5
    draws = {"b": np.array([1.0, 4.0, 100.0]), "s": np.ones(3)}
    model = given(converging, X, y, draws)
    found = values(model.intervene(X, {"x": X["x"]}))
    np.testing.assert_allclose(found, np.sqrt(draws["b"][:, None] * X["x"].to_numpy()))


# --- Notebooks -----------------------------------------------------------------------------------


def of_two_outcomes():
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        y = pm.Normal("y", pm.Normal("b", initval=1.0) * x, pm.HalfNormal("s"), dims="obs")
        visits = pm.Poisson("visits", pm.math.exp(pm.Normal("g") * x), dims="obs")
        pm.Deterministic("twice", 2 * visits, dims="obs")
        pm.Normal("later", y + visits, dims="obs")
    return model


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_other_outcomes_that_nobody_measured_are_left_out():
    X, y = frame(40)
    y = y + np.sin(20 * X["x"])
    model = BayesianInterventionRegressor(model=of_two_outcomes, **LAPLACE).fit(X, y)
    assert set(model.idata_["posterior"]) == {"b", "g", "s"}
    model.counterfactual(X, y, {"x": 1.0})
    drawn = BayesianInterventionRegressor(model=of_two_outcomes).simulate(X, {"b": 1.0, "g": 0.0})
    assert list(drawn) == ["x", "visits", "later", "y"]
    with pytest.raises(ValueError, match="'visits' is latent"):
        model.intervene(X, {"visits": 1})


def started():
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Normal("x", dims="obs")
        pm.Normal("y", pm.Normal("b", initval=1.0) * x, pm.HalfNormal("s"), dims="obs")
    return model


def test_models_with_starting_points_are_asked():
    X, y = frame(4)
    model = given(started, X, y, {"b": np.full(2, 3.0), "s": np.ones(2)})
    np.testing.assert_allclose(model.intervene(X, {"x": 2.0}).mean(), 6.0)
    drawn = model.simulate(X, {"b": 3.0, "s": 1e-9})
    np.testing.assert_allclose(drawn["y"], 3 * X["x"], atol=1e-6)
    model.prior_predictive_check(X, y)


def without_parameters():
    with pm.Model(coords={"obs": [0]}) as model:
        pm.Normal("y", pm.Data("x", np.zeros(1), dims="obs"), dims="obs")
    return model


def of_its_own_rows(rows):
    with pm.Model(coords={"obs": [0]}) as model:
        pm.Normal("y", pm.Normal("b") * rows["x"].to_numpy(), pm.HalfNormal("s"), dims="obs")
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [(without_parameters, "nothing is left to learn"), (of_its_own_rows, "an array of 4 rows")],
)
def test_what_no_fit_can_use_is_refused(model, words):
    X, y = frame(4)
    with pytest.raises(ValueError, match=words):
        BayesianInterventionRegressor(model=model, inference="laplace").fit(X, y)


def centred():
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        pm.Normal("y", pm.Normal("b") * (x - x.mean()), pm.HalfNormal("s"), dims="obs")
    return model


def test_scales_that_move_with_what_is_forced_are_told():
    X, y = frame(4)
    with pytest.warns(UserWarning, match="'x' is summed up over the rows"):
        given(centred, X, y, {"b": np.ones(2), "s": np.ones(2)})


def transposed():
    with pm.Model(coords={"obs": [0], "terms": ["level", "slope"], "places": ["?"]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        place = pm.Data("place", np.zeros(1, dtype=int), dims="obs")
        of = pm.Normal("of", dims=("terms", "places")).T[place]
        pm.Normal("y", of[:, 0] + of[:, 1] * x, pm.HalfNormal("s"), dims="obs")
    return model


def test_levels_index_what_is_transposed():
    X, y = frame(3)
    X["place"] = ["a", "b", "c"]
    of = np.arange(6.0).reshape(1, 2, 3)
    model = given(transposed, X, y, {"of": of, "s": np.ones(1)})
    np.testing.assert_allclose(model.predict(X), of[0, 0] + of[0, 1] * X["x"])
    assert model.idata_["posterior"]["of"].coords["places"].values.tolist() == ["a", "b", "c"]


def beside_a_reference():
    with pm.Model(coords={"obs": [0], "others": ["b", "c"]}) as model:
        place = pm.Data("place", np.zeros(1, dtype=int), dims="obs")
        of = pm.math.concatenate([[0.0], pm.Normal("of", dims="others")])
        pm.Normal("y", of[place], pm.HalfNormal("s"), dims="obs")
    return model


def test_codes_are_positions_in_what_is_concatenated():
    X, y = pd.DataFrame({"place": [0, 1, 2]}), pd.Series(np.arange(3.0))
    model = given(beside_a_reference, X, y, {"of": np.array([[1.0, 2.0]]), "s": np.ones(1)})
    np.testing.assert_allclose(model.predict(X), [0, 1, 2])
    with pytest.raises(ValueError, match=r"holds 3 in column 'place'.* from 0 to 2"):
        model.predict(X + 1)
