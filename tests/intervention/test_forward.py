"""The posterior predictive under `do`, against PyMC by hand, algebra and SciPy."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from conftest import N_STANDARD_ERRORS, assert_mean, assert_same_mean, family_wise
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

from interventional import BayesianInterventionRegressor, numbers
from interventional.data.table import read_table
from interventional.intervention import compiled
from interventional.intervention.forward import Expected, Predictive, Retrospective
from interventional.scm.compiling import python_mode

LEVELS = ["high", "low", "mid"]  # as they are sorted, the order of their codes


def rows(n, seed):
    """Two numeric columns, a bool and a categorical one."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.normal(2.0, 3.0, size=n),
            "flag": rng.random(n) < 0.4,
            "dose": np.array(LEVELS)[rng.integers(3, size=n)],
        }
    )


def outcome(X, seed=0):
    rng = np.random.default_rng(seed)
    shift = X["dose"].map({"high": 1.0, "low": -0.5, "mid": 0.2})
    mean = 1.0 + 1.5 * X["a"] - 0.7 * X["b"] + 0.4 * X["flag"] + shift
    return mean + 0.1 * X["a"] * X["b"] + 0.3 * rng.normal(size=len(X))


def fit(columns, **parameters):
    X = rows(80, seed=1)
    model = BayesianInterventionRegressor(draws=100, chains=2, random_state=3, **parameters)
    return model.fit(X[columns], outcome(X))


def flat(draws):
    """Draws as an array of shape (chain * draw, ...)."""
    values = draws.values
    return values.reshape(-1, *values.shape[2:])


def parameters_of(model):
    posterior = model.idata_["posterior"].dataset
    beta, sigma = flat(posterior["y_beta"]), flat(posterior["y_sigma"])
    intercept = np.zeros(len(sigma))
    if "y_intercept" in posterior:
        intercept = flat(posterior["y_intercept"])
    return intercept, beta, sigma


def by_hand(model, X, forced, seed=0):
    """`pm.do` and `pm.sample_posterior_predictive` on the textbook model."""
    manipulated = pm.do(model.build_model(X), forced)
    drawn = pm.sample_posterior_predictive(
        model.idata_,
        model=manipulated,
        var_names=["y_mu", "y"],
        predictions=True,
        random_seed=seed,
        progressbar=False,
        compile_kwargs={"mode": python_mode()},
    )
    predictions = drawn["predictions"]
    return flat(predictions["y_mu"]), flat(predictions["y"])


def one_hot():
    return ColumnTransformer(
        [("dose", OneHotEncoder(), ["dose"]), ("spline", SplineTransformer(4), ["b"])],
        remainder="passthrough",
    )


NUMBERS, ALL = ["a", "b"], ["a", "b", "flag", "dose"]
N = 15
VALUES = np.linspace(-1.0, 4.0, N)
DOSES = np.array(LEVELS)[np.arange(N) % 3]

# columns, parameters of the estimator, `do` as a user writes it, the same as numbers and codes
CASES = {
    "scalar": (NUMBERS, {}, {"b": 0}, {"b": np.zeros(N)}),
    "array": (NUMBERS, {}, {"b": VALUES}, {"b": VALUES}),
    "two columns": (
        NUMBERS,
        {},
        {"b": VALUES, "a": 2.5},
        {"b": VALUES, "a": np.full(N, 2.5)},
    ),
    "bool": (ALL, {}, {"flag": True}, {"flag": np.ones(N)}),
    "level": (ALL, {}, {"dose": "mid"}, {"dose": np.full(N, 2.0)}),
    "levels and number": (
        ALL,
        {},
        {"dose": DOSES, "a": -1.0},
        {"dose": np.arange(N) % 3.0, "a": np.full(N, -1.0)},
    ),
    "no intercept": (ALL, {"fit_intercept": False}, {"b": 0}, {"b": np.zeros(N)}),
    "prior at zero": (NUMBERS, {"center_predictors": False}, {"b": 0}, {"b": np.zeros(N)}),
    "two priors": (NUMBERS, {"priors": {"b": Prior("Flat")}}, {"b": 0}, {"b": np.zeros(N)}),
    "polynomial": (
        NUMBERS,
        {"design": PolynomialFeatures(2, include_bias=False)},
        {"b": VALUES},
        {"b": VALUES},
    ),
    "spline": (
        NUMBERS,
        {"design": SplineTransformer(4, include_bias=False)},
        {"b": 1.0},
        {"b": np.ones(N)},
    ),
    "one-hot and spline": (
        ALL,
        {"design": one_hot()},
        {"dose": "low", "b": VALUES.clip(-3, 3)},
        {"dose": np.ones(N), "b": VALUES.clip(-3, 3)},
    ),
    "pipeline": (
        ALL,
        {
            "design": make_pipeline(
                make_column_transformer(
                    (OneHotEncoder(drop="first"), ["dose"]),
                    (StandardScaler(), ["a", "b"]),
                    remainder="passthrough",
                ),
                PolynomialFeatures(2, interaction_only=True, include_bias=False),
            )
        },
        {"dose": "high", "flag": False},
        {"dose": np.zeros(N), "flag": np.zeros(N)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_intervene_equals_do_and_posterior_predictive_by_hand(case):
    """y_mu to rounding; y by its standardised noise, which both sides draw on their own."""
    columns, parameters, do, forced = CASES[case]
    model = fit(columns, **parameters)
    X = rows(N, seed=2)[columns]
    mu, y = by_hand(model, X, forced)
    ours = flat(model.intervene(X, do).draws)
    np.testing.assert_allclose(ours, mu, rtol=1e-10, atol=1e-10)

    ours_y = flat(model.intervene(X, do, kind="predictive").draws)
    sigma = parameters_of(model)[2][:, None]
    hand, own = ((y - mu) / sigma).ravel(), ((ours_y - mu) / sigma).ravel()
    assert stats.ks_2samp(hand, own).pvalue > 1e-4
    assert_same_mean(hand, own)
    assert_same_mean(hand**2, own**2)
    assert_same_mean(y, ours_y)


@pytest.mark.parametrize("case", CASES)
def test_intervene_equals_substitution_into_the_design(case):
    """y_mu is intercept + design(X with the columns replaced) @ beta, draw by draw."""
    columns, parameters, do, _ = CASES[case]
    model = fit(columns, **parameters)
    X = rows(N, seed=2)[columns]
    replaced = X.assign(**do)
    design = parameters.get("design")
    if design is None:
        made = {name: replaced[name] for name in columns if name != "dose"}
        if "dose" in columns:
            made |= {f"dose[{level}]": replaced["dose"] == level for level in LEVELS[1:]}
        matrix = pd.DataFrame(made).to_numpy(dtype=float)
    else:
        fitted = design.fit(rows(80, seed=1)[columns])
        matrix = np.asarray(fitted.transform(replaced), dtype=float)
    intercept, beta, _ = parameters_of(model)
    expected = intercept[:, None] + beta @ matrix.T
    ours = flat(model.intervene(X, do).draws)
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.predict(replaced), expected.mean(axis=0), rtol=1e-10)


def test_noise_is_standard_normal_times_sigma():
    """(y - y_mu) / sigma is N(0, 1), and independent over draws and rows."""
    model = fit(NUMBERS)
    X = rows(200, seed=4)[NUMBERS]
    mu = flat(model.intervene(X, {"b": 1}).draws)
    y = flat(model.intervene(X, {"b": 1}, kind="predictive").draws)
    z = (y - mu) / parameters_of(model)[2][:, None]
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    for axis in (0, 1):
        shifted = (z * np.roll(z, 1, axis=axis)).ravel()
        assert abs(shifted.mean()) * np.sqrt(shifted.size) < N_STANDARD_ERRORS


class TestStochasticPolicy:
    """A frozen distribution is drawn from for each row and posterior draw."""

    def test_moments_are_the_closed_form(self):
        """E and Var of intercept + beta_a a + beta_b B over the posterior and B ~ N(m, s)."""
        model = fit(NUMBERS)
        X = rows(40, seed=5)[NUMBERS]
        m, s = 1.3, 0.8
        draws = flat(model.intervene(X, {"b": stats.norm(m, s)}).draws)
        intercept, beta, _ = parameters_of(model)
        at_mean = intercept[:, None] + beta[:, :1] * X["a"].to_numpy() + beta[:, 1:] * m
        assert_mean(draws - at_mean, np.zeros(40))
        # given the draws' parameters, a row's squared deviation from at_mean is s² beta_b²
        squares = np.square(draws - at_mean) - s**2 * np.square(beta[:, 1:])
        assert_mean(squares.ravel(), 0.0)
        total = at_mean.var(axis=0) + s**2 * np.square(beta[:, 1]).mean()
        z = (draws.var(axis=0) / total - 1) / np.sqrt(2 / len(draws))
        assert np.abs(z).max() < family_wise(40)

    def test_it_is_the_distribution(self):
        """What was forced, recovered by division by the coefficient, has the policy's law."""
        model = fit(NUMBERS)
        X = rows(40, seed=5)[NUMBERS]
        policy = stats.gamma(2.0, scale=1.5)
        draws = flat(model.intervene(X, {"b": policy}).draws)
        intercept, beta, _ = parameters_of(model)
        base = intercept[:, None] + beta[:, :1] * X["a"].to_numpy()
        forced = (draws - base) / beta[:, 1:]
        assert stats.kstest(forced.ravel(), policy.cdf).pvalue > 1e-4
        for axis in (0, 1):
            z = stats.norm.ppf(policy.cdf(forced))
            shifted = (z * np.roll(z, 1, axis=axis)).ravel()
            assert abs(shifted.mean()) * np.sqrt(shifted.size) < N_STANDARD_ERRORS

    def test_two_policies_are_independent(self):
        """Var(beta_a A + beta_b B) = beta_a² + beta_b² for independent standard normals."""
        model = fit(NUMBERS, fit_intercept=False)
        X = rows(200, seed=5)[NUMBERS]
        policy = {"a": stats.norm(0, 1), "b": stats.norm(0, 1)}
        draws = flat(model.intervene(X, policy).draws)
        _, beta, _ = parameters_of(model)
        z = draws / np.linalg.norm(beta, axis=1)[:, None]
        assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4

    def test_through_a_transformer(self):
        """E[B²] = 1 + m² for B ~ N(m, 1), through the square that the design makes."""
        square = PolynomialFeatures(2, include_bias=False)
        model = fit(["b"], design=square)
        X = rows(500, seed=6)[["b"]]
        m = 0.5
        draws = flat(model.intervene(X, {"b": stats.norm(m, 1)}).draws)
        intercept, beta, _ = parameters_of(model)
        expected = intercept + beta @ [m, 1 + m**2]
        assert_mean((draws - expected[:, None]).ravel(), 0.0)

    def test_of_levels(self):
        """A Bernoulli policy on levels 0 and 1 has the mean of the mixture."""
        rng = np.random.default_rng(7)
        X = pd.DataFrame({"t": pd.Categorical(rng.integers(2, size=100))})
        y = 3.0 * X["t"].astype(float) + rng.normal(size=100)
        model = BayesianInterventionRegressor(draws=200, chains=2, random_state=0).fit(X, y)
        draws = flat(model.intervene(X, {"t": stats.bernoulli(0.3)}).draws)
        intercept, beta, _ = parameters_of(model)
        treated = (draws - intercept[:, None]) / beta
        np.testing.assert_allclose(treated, treated.round(), atol=1e-9)
        assert stats.binomtest(int(treated.sum().round()), treated.size, 0.3).pvalue > 1e-4

    def test_noise_comes_on_top(self):
        """Both the policy's and the outcome's noise are in a new outcome."""
        model = fit(NUMBERS)
        X = rows(40, seed=5)[NUMBERS]
        do = {"b": stats.uniform(-1, 2)}
        mu = flat(model.intervene(X, do).draws)
        y = flat(model.intervene(X, do, kind="predictive").draws)
        z = (y - mu) / parameters_of(model)[2][:, None]
        assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4


class TestBlocks:
    """Rows are drawn in chunks, each from noise of its own."""

    @pytest.mark.parametrize("case", ["two columns", "levels and number", "pipeline"])
    @pytest.mark.parametrize("rows_a_block", [1, 4, 14])
    def test_mean_is_the_same(self, monkeypatch, case, rows_a_block):
        """The expected outcome of a row does not depend on its neighbours, rounding aside."""
        columns, parameters, do, _ = CASES[case]
        model = fit(columns, **parameters)
        X = rows(N, seed=2)[columns]
        whole = model.intervene(X, do).draws.values
        monkeypatch.setattr(numbers, "CHUNK", 200 * rows_a_block)
        blocks = model.intervene(X, do).draws.values
        np.testing.assert_allclose(blocks, whole, rtol=1e-13, atol=1e-13)

    @pytest.mark.parametrize("rows_a_block", [1, 10])
    def test_noise_is_fresh_in_every_block(self, monkeypatch, rows_a_block):
        """Rows with the same covariates have independent N(0, 1) noise, block after block."""
        model = fit(NUMBERS)
        monkeypatch.setattr(numbers, "CHUNK", 200 * rows_a_block)
        X = pd.DataFrame({"a": np.zeros(100), "b": np.zeros(100)})
        mu = flat(model.intervene(X, {"b": 1}).draws)
        y = flat(model.intervene(X, {"b": 1}, kind="predictive").draws)
        z = (y - mu) / parameters_of(model)[2][:, None]
        assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
        products = np.corrcoef(z, rowvar=False)[np.triu_indices(100, 1)]
        assert np.abs(products).max() * np.sqrt(200) < family_wise(len(products))

    def test_effect_pairs_the_noise(self, monkeypatch):
        """A shift by 2 has the effect 2 beta in every draw, noise or not."""
        model = fit(NUMBERS)
        monkeypatch.setattr(numbers, "CHUNK", 200 * 4)
        X = rows(N, seed=2)[NUMBERS]
        lift = model.effect(X, {"b": lambda X: X["b"] + 2}, kind="predictive")
        expected = np.broadcast_to(2 * parameters_of(model)[1][:, 1:], (200, N))
        np.testing.assert_allclose(flat(lift.draws), expected, rtol=1e-9)


def test_models_of_one_structure_do_not_share_numbers():
    """Two fits that compile to one graph answer each with its own posterior."""
    X = rows(80, seed=1)[NUMBERS]
    y = outcome(rows(80, seed=1))
    small = BayesianInterventionRegressor(draws=50, chains=1, random_state=0).fit(X, y)
    large = BayesianInterventionRegressor(draws=70, chains=2, random_state=0).fit(X, 100 * y + 7)
    first = small.intervene(X, {"b": 0}).mean()
    assert large.intervene(X.head(3), {"b": 0}).draws.shape == (2, 70, 3)
    for model in (large, small):
        intercept, beta, _ = parameters_of(model)
        expected = (intercept[:, None] + beta[:, :1] * X["a"].to_numpy()).mean(axis=0)
        np.testing.assert_allclose(model.intervene(X, {"b": 0}).mean(), expected, rtol=1e-10)
    np.testing.assert_array_equal(small.intervene(X, {"b": 0}).mean(), first)


def test_answers_are_deterministic():
    """A fitted model gives the same answer to the same question, in any order of asking."""
    model = fit(NUMBERS)
    X = rows(N, seed=2)[NUMBERS]
    do = {"b": stats.norm(0, 1)}
    first = model.intervene(X, do, kind="predictive").draws.values
    model.intervene(X, {"a": 1}, kind="predictive")
    np.testing.assert_array_equal(model.intervene(X, do, kind="predictive").draws.values, first)


def test_answers_are_the_same_in_threads():
    """Compiled functions hold their inputs as state; threads do not mix them up."""
    from concurrent.futures import ThreadPoolExecutor

    model = fit(NUMBERS)
    X = rows(N, seed=2)[NUMBERS]

    def ask(value):
        return model.intervene(X, {"b": value}).mean()

    values = list(range(8)) * 4
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, values))
    for value, answer in zip(values, answers, strict=True):
        np.testing.assert_allclose(answer, model.predict(X.assign(b=float(value))), rtol=1e-10)


def test_threads_have_compiled_functions_of_their_own():
    """Their inputs are their state: a function shared by threads would mix questions up."""
    rng = np.random.default_rng(5)
    X = pd.DataFrame(rng.normal(size=(40, 2)), columns=["first", "second"])
    model = BayesianInterventionRegressor(family="lognormal", random_state=0, draws=50)
    model.fit(X, np.exp(X.sum(axis=1) + 1 + 0.1 * np.cos(X["first"])))
    expected = [
        model.intervene(X, {"first": float(k)}, kind="predictive").draws.values for k in range(4)
    ]
    compiled.compiled.cache_clear()
    barrier = threading.Barrier(4)

    def ask(k):
        barrier.wait()
        return [
            model.intervene(X, {"first": float(k)}, kind="predictive").draws.values
            for _ in range(5)
        ]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert compiled.compiled.cache_info().misses == 4
    for found, right in zip(answers, expected, strict=True):
        for each in found:
            np.testing.assert_array_equal(each, right)


@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_numbers_that_start_anywhere_in_memory(family):
    """What came over a wire is a slice of a buffer; compiled code refuses those."""

    def moved(array):
        buffer = np.frombuffer(bytearray(array.nbytes + 1), np.uint8)
        array_moved = buffer[1:].view(array.dtype)
        array_moved = array_moved.reshape(array.shape)
        array_moved[...] = array
        assert not array_moved.flags.aligned
        return array_moved

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = X[:, 0] + rng.normal(size=60)
    y = y if family == "gaussian" else (y > 0).astype(float)
    settings = {"family": family, "draws": 50, "random_state": 0}
    settings |= {} if family == "gaussian" else {"inference": "laplace"}
    ours, theirs = [], []
    for where, found in ((np.asarray, ours), (moved, theirs)):
        rows, b = where(X), where(X[:, 1].copy())
        with warnings.catch_warnings():  # of Laplace's approximation, which is not the matter here
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = BayesianInterventionRegressor(**settings).fit(rows, where(y))
        found.append(model.effect(rows, {"x0": b}, {"x0": where(X[:, 0].copy())}).draws)
        found.append(model.intervene(rows, {"x0": b}, kind="predictive").draws)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["half", "int", "float", "bool", "str", "object", "floatX", "f8"])
def test_names_of_number_types_are_names(name):
    """A column, a mediator and an outcome that are called so answer as under any other name."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"t": rng.normal(size=60)})
    X["plain"] = X["t"] + rng.normal(size=60)
    y = 2 * X["plain"] + X["t"] + rng.normal(size=60)

    def answers(called, outcome):
        rows = X.rename(columns={"plain": called})
        options = {"draws": 20, "random_state": 0, "outcome": outcome}
        column = BayesianInterventionRegressor(**options).fit(rows, y)
        graph = f"t -> {called} -> {outcome}; t -> {outcome}"
        mediator = BayesianInterventionRegressor(graph=graph, **options).fit(rows, y)
        return [
            column.intervene(rows, {called: 1}, kind="predictive").mean(),
            mediator.intervene(rows, {"t": 1}, kind="predictive").mean(),
            mediator.counterfactual(rows, y, {"t": 1}).mean(),
        ]

    plain = answers("plain", "y")
    np.testing.assert_array_equal(answers(name, "y"), plain)
    np.testing.assert_array_equal(answers("plain", name), plain)


GRAPHS = (None, "a -> m -> y; b -> y; k -> y; a -> b")


@pytest.mark.parametrize("graph", GRAPHS)
def test_closed_forms_are_the_graphs(graph):
    """What is had without PyMC is what its graph says under `pm.do`, draw by draw, noise too."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"])
    X["m"], X["k"] = X["a"] + rng.normal(size=40), rng.choice(list("xyz"), 40)
    y = X["m"] - 2 * X["b"] + rng.normal(size=40)
    model = BayesianInterventionRegressor(graph=graph, draws=50, random_state=0).fit(X, y)
    fitted, rows = model.fitted_, slice(0, 40)
    units = fitted.units(read_table(X, model, reset=False))
    of_m, of_k = (fitted.asked(do, units) for do in ({"m": 0.5}, {"k": "y", "b": X["a"] / 2}))
    answers = [kind(fitted.model, of_m, fitted.draws) for kind in (Expected, Predictive)]
    answers += [kind(fitted.model, of_k, fitted.draws) for kind in (Expected, Predictive)]
    observed = {"y": y.to_numpy()}
    answers.append(Retrospective(fitted.model, of_m, fitted.draws, observed=observed))
    answers.append(Expected(fitted.model, fitted.asked({"a": 1.0}, units), fitted.draws))
    for answer in answers:
        closed, of_graph = answer.chunk(0, rows), answer.of_graph(0, rows)
        np.testing.assert_allclose(closed, of_graph, rtol=1e-9, atol=1e-9)
