"""What a fitted model of the user's answers, held against formulas and against PyMC by hand."""

import copy
import pickle
import subprocess
import sys
import threading
from functools import partial

import arviz as az
import cloudpickle
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import skeletons
from conftest import N_STANDARD_ERRORS
from joblib import Parallel, delayed
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import interventional
from interventional import BayesianInterventionRegressor, NotIdentifiedError
from interventional.scm.compiling import python_mode

# A scale's mean is a quarter of its sd off Laplace's: nothing here depends on that.
pytestmark = pytest.mark.filterwarnings(
    "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
)
TRUTH = {"beta_ay": 1.5, "beta_by": 0.7, "beta_cy": 0.3, "sigma_y": 0.2, "beta_y0": 0.0}


def regressor(model, **parameters):
    return BayesianInterventionRegressor(
        **{"model": model, "inference": "laplace", "random_state": 0, **parameters}
    )


# --- The reference workflow ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow():
    """Its five steps, in lines that a user would write."""
    model = regressor(skeletons.gallery)
    data = model.simulate(pd.DataFrame(index=range(100)), TRUTH, random_state=42)
    X, y = data[["a", "b", "c"]], data["y"]
    model.fit(X, y)
    none = model.intervene(X, do={"b": 0})
    many = model.intervene(X, do={"b": lambda X: 5 * X["b"]})
    return model, X, y, none, many


def by_hand(model, X, b):
    """Step 5 of the notebook, under the same draws."""
    skeleton = skeletons.gallery()
    skeleton.set_dim("obs", 100, coord_values=np.arange(100))
    forced = pm.do(skeleton, {"a": X["a"].to_numpy(), "c": X["c"].to_numpy(), "b": b})
    trace = model.idata_
    with forced:
        found = pm.sample_posterior_predictive(
            trace,
            predictions=True,
            var_names=["y_mu"],
            progressbar=False,
            random_seed=0,
            compile_kwargs={"mode": python_mode()},
        )
    return found["predictions"]["y_mu"].values


def test_the_reference_workflow_is_the_notebooks(workflow):
    model, X, _, none, many = workflow
    for answer, b in ((none, np.zeros(100)), (many, 5 * X["b"].to_numpy())):
        np.testing.assert_allclose(answer.draws.values, by_hand(model, X, b), rtol=1e-12)
    post = model.idata_["posterior"]
    assert post.attrs["expected_outcome"] == "closed form"
    for name, true in TRUTH.items():
        assert abs(post[name].mean() - true) < 4 * post[name].std(), name


def test_simulated_rows_follow_the_forced_parameters(workflow):
    _, X, y, *_ = workflow
    residual = y - X @ [1.5, 0.7, 0.3]
    assert stats.kstest(residual / 0.2, "norm").pvalue > 1e-4
    assert stats.kstest(X["a"], "norm").pvalue > 1e-4
    again = regressor(skeletons.gallery).simulate(X, TRUTH, random_state=1)
    pd.testing.assert_frame_equal(again[["a", "b", "c"]], X)  # what is given stays


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"beta": 1}, "unknown parameter 'beta'"),
        ({"sigma_y": [1.0, 2.0]}, r"shape \(\)"),
        ({"sigma_y": np.nan}, "finite"),
        ({"sigma_y": {"a": 1}}, "no labels"),
        (3, "must be a mapping"),
    ],
)
def test_parameters_that_cannot_be_forced_are_refused(parameters, words):
    with pytest.raises((TypeError, ValueError), match=words):
        regressor(skeletons.gallery).simulate(pd.DataFrame(index=range(3)), parameters)


# --- Answers ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_chain():
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"x": rng.normal(size=200)})
    X["m"] = 0.8 * X["x"] + 0.5 * rng.normal(size=200)
    y = pd.Series(1.0 * X["x"] - 2.0 * X["m"] + 0.3 * rng.normal(size=200), name="y")
    X["z"] = y + rng.normal(size=200)
    return regressor(skeletons.chain).fit(X, y), X, y


def flat(model, name):
    return model.idata_["posterior"][name].values.ravel()[:, None]


def test_mediators_are_regenerated_and_averaged_out(of_chain):
    model, X, _ = of_chain
    new = X.head(7)[["x", "z"]]  # mediators that are regenerated need not be given
    found = model.intervene(new, do={"x": 1.5}).draws.values.reshape(-1, 7)
    total = flat(model, "xy") + flat(model, "my") * flat(model, "xm")
    np.testing.assert_allclose(found, np.broadcast_to(1.5 * total, found.shape), rtol=1e-10)


def test_forced_mediators_stay_forced(of_chain):
    model, X, _ = of_chain
    found = model.intervene(X, do={"x": 1.0, "m": 2.0}).draws.values.reshape(-1, 200)
    expected = flat(model, "xy") + 2 * flat(model, "my")
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-10)


def test_new_outcomes_have_all_noise(of_chain):
    model, X, _ = of_chain
    found = model.intervene(X, do={"x": 1.0}, kind="predictive").draws.values.reshape(-1, 200)
    total = flat(model, "xy") + flat(model, "my") * flat(model, "xm")
    spread = np.hypot(flat(model, "of_y"), flat(model, "my") * flat(model, "of_m"))
    z = (found - total) / spread
    n = z.size
    assert abs(z.mean()) < N_STANDARD_ERRORS / np.sqrt(n)
    assert abs(z.var() - 1) < N_STANDARD_ERRORS * np.sqrt(2 / n)


def test_counterfactuals_keep_residuals(of_chain):
    model, X, y = of_chain
    found = model.counterfactual(X, y, do={"x": 0.0}).draws.values.reshape(-1, 200)
    total = flat(model, "xy") + flat(model, "my") * flat(model, "xm")
    expected = y.to_numpy() - total * X["x"].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_decompose_adds_up(of_chain):
    model, X, _ = of_chain
    parts = model.decompose(X, do={"x": 1.0}, baseline={"x": 0.0})
    direct = parts["direct"].average().draws.values.ravel()
    np.testing.assert_allclose(direct, flat(model, "xy").ravel(), rtol=1e-8)
    indirect = parts["indirect"].average().draws.values.ravel()
    through = flat(model, "my") * flat(model, "xm")
    np.testing.assert_allclose(indirect, through.ravel(), rtol=1e-8)
    both = parts["direct"] + parts["indirect"] - parts["total"]
    np.testing.assert_allclose(both.average().draws.values, 0, atol=1e-10)


def test_sides_of_an_effect_share_their_noise(of_chain):
    model, X, _ = of_chain
    effect = model.effect(X, do={"m": 1.0}, baseline={"m": 0.0}, kind="predictive")
    found = effect.draws.values.reshape(-1, 200)
    expected = np.broadcast_to(flat(model, "my"), found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_policies_and_distributions_are_forced(of_chain):
    model, X, _ = of_chain
    more = model.intervene(X, do={"x": lambda X: X["x"] + 1}).average().draws.values.ravel()
    drawn = model.intervene(X, do={"x": stats.norm(X["x"] + 1, 0.1)}).average()
    off = drawn.draws.values.ravel() - more
    slope = flat(model, "xy") + flat(model, "my") * flat(model, "xm")
    assert abs(off.mean()) < N_STANDARD_ERRORS * 0.1 * abs(slope).max() / np.sqrt(200 * len(off))


def test_predictions_are_means_of_the_outcomes_own_equation(of_chain):
    model, X, y = of_chain
    expected = flat(model, "xy") * X["x"].to_numpy() + flat(model, "my") * X["m"].to_numpy()
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, expected.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(model.predict_outcomes(X).mean(), mean, rtol=1e-10)
    exact = np.sqrt(expected.var(axis=0) + np.mean(flat(model, "of_y") ** 2))
    assert abs(std / exact - 1).max() < 0.08  # of 4,000 draws, in 200 rows
    density = stats.norm.logpdf(y.to_numpy(), expected, flat(model, "of_y"))
    likelihood = model.log_likelihood(X, y)["log_likelihood"]["y"].values.reshape(-1, 200)
    np.testing.assert_allclose(likelihood, density, rtol=1e-8)
    averaged = np.log(np.exp(density).mean(axis=0))
    np.testing.assert_allclose(model.log_density(X, y), averaged, rtol=1e-8)
    assert az.loo(model.log_likelihood(X, y)).elpd < 0


def test_checks_have_outcomes_of_the_model(of_chain):
    model, X, y = of_chain
    new = model.posterior_predictive_check(X, y, n_samples=300)["posterior_predictive"]["y"]
    assert new.shape == (1, 300, 200)
    assert abs(float(new.std()) / y.std() - 1) < 0.2
    prior = regressor(skeletons.chain).prior_predictive_check(X, y, n_samples=2000)
    assert abs(float(prior["prior"]["xy"].std()) - 2) < N_STANDARD_ERRORS * 2 / np.sqrt(4000)
    assert prior["prior_predictive"]["y"].shape == (1, 2000, 200)


def test_sample_y_is_new_each_time(of_chain):
    model, X, _ = of_chain
    first = model.sample_y(X, 50, random_state=1)
    assert first.shape == (200, 50)
    np.testing.assert_array_equal(first, model.sample_y(X, 50, random_state=1))
    assert not np.array_equal(first, model.sample_y(X, 50, random_state=2))


def test_build_model_is_what_was_fitted(of_chain):
    model, X, y = of_chain
    built = model.build_model(X, y)
    assert {v.name for v in built.observed_RVs} == {"x", "m", "z", "y"}
    assert {v.name for v in model.build_model(X).free_RVs} >= {"x", "m", "z", "y", "xy"}
    point = built.initial_point()
    by_hand = skeletons.chain()
    by_hand.set_dim("obs", 200, coord_values=np.arange(200))
    held = {name: X[name].to_numpy() for name in "xmz"} | {"y": y.to_numpy()}
    by_hand = pm.observe(by_hand, held)
    densities = [
        each.compile_fn(each.logp(), mode=python_mode())(point) for each in (built, by_hand)
    ]
    np.testing.assert_allclose(*densities, rtol=1e-12)


# --- What is latent -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_individuals():
    rng = np.random.default_rng(4)
    X = pd.DataFrame({"x": rng.normal(size=60)})
    y = rng.poisson(np.exp(1 + 0.5 * X["x"] + 0.7 * rng.normal(size=60)))
    return regressor(skeletons.individual).fit(X, y), X, y


def test_what_is_latent_is_drawn_anew(of_individuals):
    model, X, _ = of_individuals
    found = model.intervene(X.head(3), do={"x": 0.0}).average().draws.values.ravel()
    exact = np.exp(1 + 0.7**2 / 2)  # the mean of a lognormal
    inner = np.sqrt(np.exp(0.7**2) - 1) * exact / np.sqrt(3 * 50)
    assert abs((found - exact).mean()) < N_STANDARD_ERRORS * inner / np.sqrt(len(found))
    predictive = model.intervene(X.head(3), do={"x": 0.0}, kind="predictive")
    drawn = predictive.draws.values.reshape(-1, 3)
    error = drawn.std() / np.sqrt(drawn.size)
    assert abs(drawn.mean() - exact) < N_STANDARD_ERRORS * error


def test_what_needs_the_rows_own_latents_is_refused(of_individuals):
    model, X, y = of_individuals
    with pytest.raises(ValueError, match="own"):
        model.counterfactual(X, y, do={"x": 0})
    with pytest.raises(ValueError, match="'own'"):
        model.log_likelihood(X, y)
    assert np.isfinite(model.log_density(X, y)).all()


def test_a_hidden_cause_is_no_matter_of_forcing_but_of_predicting():
    rng = np.random.default_rng(5)
    u = rng.normal(size=40)
    X = pd.DataFrame({"x": u + 0.5 * rng.normal(size=40)})
    y = 0.7 * X["x"] + u + rng.normal(size=40)
    model = regressor(skeletons.confounded).fit(X, y)
    assert model.graph_.confounded == (("x", "y"),)
    average = model.intervene(X, do={"x": 2.0}).average().draws.values.ravel()
    off = average - 2 * flat(model, "slope").ravel()
    assert abs(off.mean()) < N_STANDARD_ERRORS * np.sqrt(2 / (40 * 50)) / np.sqrt(len(off))
    for ask in (model.predict, model.predict_outcomes):
        with pytest.raises(NotIdentifiedError, match="'u', which no column holds"):
            ask(X)
    with pytest.raises(NotIdentifiedError, match="'u'"):
        model.intervene(X, do={"x": lambda X: X["x"] + 1})  # it tells of u


# --- scikit-learn -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_line():
    rng = np.random.default_rng(6)
    X = pd.DataFrame({"x": rng.normal(size=80)})
    return X, 1 + 2 * X["x"] + 0.5 * rng.normal(size=80)


def test_skeletons_are_searched(of_line):
    models = [
        skeletons.line,
        skeletons.line(0.01),
        partial(skeletons.line, 1),
    ]
    search = GridSearchCV(regressor(skeletons.line, draws=100), {"model": models}, cv=3)
    scores = search.fit(*of_line).cv_results_["mean_test_score"]
    assert scores[0] > 0.9 > scores[1]
    assert scores[2] > 0.9


def test_cross_validation_is_near_our_own_line(of_line):
    own = cross_val_score(regressor(skeletons.line, draws=500), *of_line, cv=4)
    ours = cross_val_score(BayesianInterventionRegressor(random_state=0), *of_line, cv=4)
    np.testing.assert_allclose(own, ours, atol=0.003)


def test_a_pipeline_asks(of_line):
    X, y = of_line
    pipe = make_pipeline(
        StandardScaler().set_output(transform="pandas"), regressor(skeletons.line)
    )
    pipe.fit(X, y)
    raw = regressor(skeletons.line).fit(X, y)
    effect = interventional.effect(pipe, X, do={"x": 1.0}, baseline={"x": 0.0}).average()
    alone = raw.effect(X, do={"x": 1.0}, baseline={"x": 0.0}).average()
    assert abs(effect.mean() - alone.mean()) < 0.3 * alone.std()


def test_fitted_models_pickle_and_answer_elsewhere(of_line, tmp_path):
    X, y = of_line
    model = regressor(skeletons.line, draws=100).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    do = {"do": {"x": 1.0}, "kind": "predictive"}
    expected = model.intervene(X, **do).draws.values
    np.testing.assert_array_equal(again.intervene(X, **do).draws.values, expected)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))
    by_value = regressor(lambda: skeletons.line()).set_params(draws=100).fit(X, y)
    with pytest.raises(pickle.PicklingError, match="cloudpickle"):
        pickle.dumps(by_value)
    again = cloudpickle.loads(cloudpickle.dumps(by_value))
    np.testing.assert_array_equal(again.predict(X), by_value.predict(X))
    held = regressor(skeletons.line(), draws=100).fit(X, y)
    assert [v.name for v in pickle.loads(pickle.dumps(held)).model.free_RVs]
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(held))
    code = f"""
import pickle, pandas as pd
model = pickle.loads(open({str(path)!r}, "rb").read())
print(model.intervene(pd.DataFrame({{"x": [0.0, 1.0]}}), do={{"x": 1.0}}).mean()[0].hex())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float.fromhex(done.stdout.strip()) == pytest.approx(held.predict(X.assign(x=1.0))[0])


def test_no_row_of_fit_is_in_a_pickle(of_line):
    X, y = of_line
    secret = X.assign(x=X["x"] + 123456.5)
    model = regressor(skeletons.linear, draws=20)
    held = pickle.dumps(model.fit(secret, y).fitted_.model)
    assert secret["x"].to_numpy()[1:4].tobytes() not in held


def test_threads_give_the_serial_numbers(of_line):
    X, y = of_line
    model = regressor(skeletons.line, draws=100).fit(X, y)
    dos = [{"x": float(k)} for k in range(12)]

    def ask(do):
        return model.intervene(X, do=do, kind="predictive").average().mean()[0]

    serial = [ask(do) for do in dos]
    assert Parallel(n_jobs=4, backend="threading")(delayed(ask)(do) for do in dos) == serial
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(clone(model).fit(X, y).predict(X)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        np.testing.assert_array_equal(each, model.predict(X))


@pytest.mark.slow
def test_processes_give_the_serial_numbers(of_line):
    X, y = of_line
    own = regressor(skeletons.line, draws=100)
    serial, there = (cross_val_score(own, X, y, cv=3, n_jobs=jobs) for jobs in (None, 2))
    np.testing.assert_array_equal(serial, there)


def test_weights_are_rows_repeated(of_line):
    X, y = of_line
    weights = np.tile([1, 0, 3, 2], 20)
    weighed = regressor(skeletons.line).fit(X, y, sample_weight=weights)
    rows = np.repeat(np.arange(80), weights)
    repeated = regressor(skeletons.line).fit(X.iloc[rows], y.iloc[rows])
    np.testing.assert_allclose(weighed.predict(X), repeated.predict(X), rtol=1e-10)
    with pytest.raises(ValueError, match=r"sample_weight is 0.5 in row 2"):
        regressor(skeletons.line).fit(X, y, sample_weight=np.tile([1, 1, 0.5, 1], 20))


def test_what_is_about_our_own_equations_is_refused(of_line):
    X, y = of_line
    model = regressor(skeletons.line, draws=100).fit(X, y)
    with pytest.raises(ValueError, match="refute is about the package's own equations"):
        model.refute(X, y, do={"x": 1})
    with pytest.raises(ValueError, match="sensitivity is about"):
        model.sensitivity(X, do={"x": 1})
    assert not hasattr(model, "partial_fit")
    assert not hasattr(model, "coef_")


# --- Our own equations given back ---------------------------------------------------------------


def test_a_generated_model_given_back_answers_alike():
    rng = np.random.default_rng(7)
    X = pd.DataFrame({"a": rng.normal(size=150), "k": rng.choice(list("pqr"), 150)})
    X["m"] = 0.8 * X["a"] + rng.normal(size=150)
    y = (
        1
        + 2 * X["a"]
        - X["m"]
        + X["k"].map({"p": 0, "q": 1, "r": -1})
        + 0.3 * rng.normal(size=150)
    )
    ours = BayesianInterventionRegressor(
        graph="a -> m; a -> y; m -> y; k -> y", random_state=0, inference="laplace"
    ).fit(X, y)
    own = regressor(ours.build_model(X)).fit(X, y)
    assert set(own.graph_.edges) == set(ours.graph_.edges)
    for do in ({"a": 1.0}, {"k": "q"}, {"m": 0.0, "a": 1.0}):
        one, other = (each.intervene(X, do=do).average() for each in (ours, own))
        # Two sets of 4,000 independent draws of one posterior.
        error = np.sqrt(2 / 4000) * one.std()
        assert abs(one.mean() - other.mean()) < N_STANDARD_ERRORS * error
        assert abs(one.std() / other.std() - 1) < N_STANDARD_ERRORS * np.sqrt(1 / 4000)
    some = X[X["k"] != "p"].index  # codes are what they were though a level is missing
    part = regressor(ours.build_model(X)).fit(X.loc[some], y.loc[some])
    gap = part.effect(X.loc[some], do={"k": "q"}, baseline={"k": "r"}).average()
    assert abs(gap.mean() - 2) < 4 * gap.std()


# --- Engines ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inference", "off", "wider"),
    [("nuts", 0.15, 0.1), ("laplace", 0.35, 0.1), ("advi", 0.8, 0.3), ("pathfinder", 0.5, 0.4)],
)
def test_engines_are_near_the_exact_posterior(workflow, inference, off, wider, capfd):
    """Means in posterior sds, and relative sds: NUTS to Monte Carlo error, others nearly."""
    _, X, y, *_ = workflow
    exact = BayesianInterventionRegressor(
        priors={
            "beta": Prior("Normal", mu=0, sigma=1),
            "intercept": Prior("Normal", mu=0, sigma=1),
            "sigma": Prior("HalfNormal", sigma=1),
        },
        center_predictors=False,
        random_state=0,
    ).fit(X, y)
    own = regressor(skeletons.gallery, inference=inference).fit(X, y)
    assert own.idata_["posterior"].attrs["inference"] == inference
    wanted = exact.idata_["posterior"]["y_beta"].values.reshape(-1, 3).T
    for values, name in zip(wanted, ("beta_ay", "beta_by", "beta_cy"), strict=True):
        found = own.idata_["posterior"][name].values.ravel()
        assert abs(found.mean() - values.mean()) < off * values.std(), name
        assert abs(found.std() / values.std() - 1) < wider, name
    assert capfd.readouterr() == ("", "")
