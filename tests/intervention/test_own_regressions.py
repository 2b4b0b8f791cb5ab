"""Queries that the equations do not answer, by a regression of their own."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm
from conftest import slow
from scipy.special import expit
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler

from interventional import (
    BayesianInterventionRegressor,
    CausalGraph,
    ExtrapolationWarning,
    NotIdentifiedError,
    intervene,
)

CHAIN = "z -> x -> a -> b -> y; z -> y; kind -> x; kind -> y; a <-> y"
TOTAL = 0.8 * 0.6 * 1.5  # of x on y


def chain(n=1500, seed=0):
    """Return rows and outcomes of CHAIN: a shares a cause with y, and z and kind confound x."""
    rng = np.random.default_rng(seed)
    z, u = rng.normal(size=(2, n))
    kind = rng.choice(["one", "two", "three"], n)
    x = z + (kind == "two") + rng.normal(size=n)
    a = 0.8 * x + u + rng.normal(size=n)
    b = 0.6 * a + rng.normal(size=n)
    y = 1.5 * b + 2 * u + 0.7 * z - (kind == "two") + rng.normal(size=n)
    return pd.DataFrame({"z": z, "x": x, "a": a, "b": b, "kind": kind}), y


def fitted(X, y, **parameters):
    parameters = {"graph": CHAIN, "random_state": 0} | parameters
    return BayesianInterventionRegressor(**parameters).fit(X, y)


@pytest.fixture(scope="module")
def model():
    return fitted(*chain())


def least_squares(y, *columns):
    """Return coefficients and their standard errors, that of the intercept first."""
    A = np.column_stack([np.ones(len(y)), *columns])
    beta, rss, _, _ = np.linalg.lstsq(A, y, rcond=None)
    cov = np.linalg.inv(A.T @ A) * rss / (len(y) - A.shape[1])
    return beta, np.sqrt(np.diag(cov))


def step(model, X, **options):
    return model.effect(X.head(3), do={"x": 1}, baseline={"x": 0}, **options).average()


# --- Truth ---------------------------------------------------------------------------------------


def test_a_randomised_column_whose_mediator_shares_a_cause_with_the_outcome():
    rng = np.random.default_rng(0)
    n = 2000
    x, u = rng.integers(0, 2, n).astype(float), rng.normal(size=n)
    a = 0.8 * x + u + rng.normal(size=n)
    b = 0.6 * a + rng.normal(size=n)
    y = 0.5 * b + 2 * u + rng.normal(size=n)
    X, graph = pd.DataFrame({"x": x, "a": a, "b": b}), CausalGraph("x -> a -> b -> y; a <-> y")
    assert graph.adjustment_set("x", "y") == ()
    effect = step(fitted(X, y, graph=graph), X)
    mean, sd = effect.mean()[0], effect.std()[0]
    slope, error = (each[1] for each in least_squares(y, x))
    assert abs(mean - slope) < 4 * error / np.sqrt(4000)
    assert sd == pytest.approx(error, rel=4 / np.sqrt(2 * 4000))
    assert abs(mean - 0.24) < 4 * sd


def test_it_is_the_posterior_of_that_regression(model):
    X, y = chain()
    alone = fitted(X[["x", "z", "kind"]], y, graph=None)
    for do, baseline in (({"x": 1}, {"x": 0}), ({"x": lambda X: X["x"] + 1}, None)):
        ours = model.effect(X, do=do, baseline=baseline).average()
        theirs = alone.effect(X[["x", "z", "kind"]], do=do, baseline=baseline).average()
        assert abs(ours.mean() - theirs.mean()) < 4 * theirs.std() * np.sqrt(2 / 4000)
        assert ours.std() == pytest.approx(theirs.std(), rel=4 / np.sqrt(4000))
    rows = X.head(40)
    ours, theirs = (
        each.intervene(rows[cs], do={"x": 1})
        for each, cs in ((model, [*X]), (alone, ["x", "z", "kind"]))
    )
    assert np.abs(ours.mean() - theirs.mean()).max() < 6 * theirs.std().max() * np.sqrt(2 / 4000)
    new = model.intervene(rows, do={"x": 1}, kind="predictive").std()
    noise = alone.intervene(rows[["x", "z", "kind"]], do={"x": 1}, kind="predictive").std()
    assert np.abs(new / noise - 1).max() < 5 / np.sqrt(2 * 4000)


@pytest.mark.parametrize("seed", range(6))
def test_total_effects_in_random_linear_models_with_hidden_nodes(seed):
    """The truth is a sum over paths; what the equations answer is held to it as well."""
    rng = np.random.default_rng(seed)
    n, own = 1500, 0
    while not own:
        names = [f"v{i}" for i in range(8)]
        B = np.tril(rng.normal(size=(8, 8)) * (rng.random((8, 8)) < 0.45), -1)
        hidden = [str(name) for name in rng.choice(names[:-1], 3, replace=False)]
        edges = [(names[j], names[i]) for i, j in np.argwhere(B)]
        if not any(effect == "v7" for _, effect in edges):
            continue
        graph = CausalGraph(edges, unobserved=set(hidden) & {v for edge in edges for v in edge})
        kept = [v for v in names[:-1] if v not in hidden and v in graph.nodes]
        verdicts = {v: graph.is_identified(v, "v7") for v in kept}
        own = sum(verdict.reason.startswith("by a") for verdict in verdicts.values())
    values = np.linalg.solve(np.eye(8) - B, rng.normal(size=(8, n)))
    X = pd.DataFrame({v: values[names.index(v)] for v in kept})
    fit = fitted(X, values[7], graph=graph, outcome="v7", draws=500)
    for v, verdict in verdicts.items():
        ask = {"X": X.head(2), "do": {v: 1}, "baseline": {v: 0}}
        if not verdict:
            with pytest.raises(NotIdentifiedError):
                fit.effect(**ask)
            continue
        cut = B.copy()
        cut[names.index(v)] = 0
        truth = np.linalg.inv(np.eye(8) - cut)[7, names.index(v)]
        effect = fit.effect(**ask).average()
        assert abs(effect.mean()[0] - truth) <= 4 * effect.std()[0] + 1e-12, (graph, v)


@pytest.mark.parametrize("family", ["bernoulli", slow("poisson")])
def test_other_outcomes_by_the_rows_that_fit_kept(family):
    """The randomised x, in a generalised linear model of its own; flat against the priors' 2.5."""
    rng = np.random.default_rng(3)
    n, ask = 1500, {"do": {"x": 1}, "baseline": {"x": 0}}
    x, z, u = rng.integers(0, 2, n), rng.integers(0, 3, n), rng.normal(size=n)
    a = x + u + rng.normal(size=n)
    eta = 0.5 * a + 0.5 * u + 0.3 * z - 1
    y = rng.poisson(np.exp(0.5 * eta)) if family == "poisson" else rng.random(n) < expit(eta)
    X = pd.DataFrame({"x": x, "z": z, "a": a, "b": a + rng.normal(size=n)}).astype(float)
    graph = "x -> a -> b -> y; z -> y; z -> x; a <-> y"
    options = {"family": family, "inference": "laplace", "draws": 500}
    fit = fitted(X, y.astype(float), graph=graph, **options)
    rows = X.head(100)
    before = fit.predict(rows)
    effect = fit.effect(rows, **ask).average()
    kind = sm.families.Poisson() if family == "poisson" else sm.families.Binomial()
    glm = sm.GLM(y.astype(float), sm.add_constant(np.column_stack([x, z])), family=kind).fit()
    ones = np.ones(len(rows))
    one, zero = (glm.predict(np.column_stack([ones, k * ones, rows["z"]])).mean() for k in (1, 0))
    # A tenth of the posterior's width for what the weak priors make of it.
    assert abs(effect.mean() - (one - zero)) < (0.1 + 4 / np.sqrt(2000)) * effect.std()
    np.testing.assert_array_equal(fit.predict(rows), before)
    kept = fit.fitted_.own.rows
    assert kept.weights.sum() == n
    assert len(kept.values) <= 2 * 3 * len(np.unique(y))  # distinct ones, of x and z and y alone
    other = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(other.effect(rows, **ask).average().draws, effect.draws)


# --- Forms of queries ----------------------------------------------------------------------------


def test_forms_of_do(model):
    X, y = chain()
    ours = step(model, X)
    two = X["kind"] == "two"
    slope, error = least_squares(y, X["x"], X["z"], two, X["kind"] == "three")
    close = 4 * error[1] / np.sqrt(4000)
    assert abs(ours.mean()[0] - slope[1]) < close
    up = model.effect(X, do={"x": lambda X: X["x"] + X["z"]}).average().mean()
    assert abs(up[0] - slope[1] * X["z"].mean()) < close
    by_row = model.effect(X, do={"x": X["z"]}, baseline={"x": np.zeros(len(X))}).average()
    assert abs(by_row.mean()[0] - slope[1] * X["z"].mean()) < close
    drawn = model.effect(X, do={"x": scipy.stats.uniform(0, 2)}, baseline={"x": 0}).average()
    assert abs(drawn.mean()[0] - slope[1]) < 3 * close
    both = model.effect(X, do={"x": 1, "z": 1}, baseline={"x": 0, "z": 0}).average().mean()
    assert abs(both[0] - slope[1] - slope[2]) < 2 * close
    mixed = model.effect(X, do={"x": 1, "kind": "two"}, baseline={"x": 1, "kind": "one"})
    assert abs(mixed.average().mean()[0] - slope[3]) < 4 * error[3] / np.sqrt(4000)
    np.testing.assert_array_equal(
        intervene(model, X.head(9), do={"x": 1}).draws,
        model.intervene(X.head(9), do={"x": 1}).draws,
    )


def test_levels_that_are_forced():
    X, y = chain()
    X["arm"] = np.random.default_rng(5).choice(["none", "half", "full"], len(X))
    X["a"] += 2.0 * (X["arm"] == "half") + 3.0 * (X["arm"] == "full")
    y = y + 1.5 * 0.6 * (2.0 * (X["arm"] == "half") + 3.0 * (X["arm"] == "full"))
    X["b"] += 0.6 * (2.0 * (X["arm"] == "half") + 3.0 * (X["arm"] == "full"))
    fit = fitted(X, y, graph=f"{CHAIN}; arm -> a")
    for level, truth in (("half", 1.8), ("full", 2.7)):
        effect = fit.effect(X, do={"arm": level}, baseline={"arm": "none"}).average()
        assert abs(effect.mean()[0] - truth) < 4 * effect.std()[0]


def test_both_sides_are_of_one_regression(model):
    X, _ = chain(60)
    # What reads w needs w in the regression, on both sides.
    effect = model.effect(X, do={"x": lambda X: X["x"] + 1})
    assert effect.std().max() < 1  # of two regressions apart it would be that of two intercepts
    with pytest.raises(ValueError, match="two sides are answered apart, forcing 'x' by a regr"):
        model.effect(X, do={"x": 1}, baseline={"b": 1})
    with pytest.raises(ValueError, match="forcing the same columns"):
        model.intervene(X, do={"x": 1}) - model.intervene(X, do={"b": 1})


def test_what_needs_mediators_is_refused(model):
    X, y = chain(50)
    for ask in (
        lambda: model.counterfactual(X, y, {"x": 1}),
        lambda: model.decompose(X, {"x": 1}),
    ):
        with pytest.raises(NotIdentifiedError, match="equations of 'a', 'b', 'y' do not tell it"):
            ask()
    with pytest.raises(NotIdentifiedError, match="computed from 'a', which changes with them"):
        model.effect(X, do={"x": lambda X: X["a"]})


def test_counterfactuals_where_nothing_lies_between():
    """The equation of y holds c, for the sake of b; c and d forced need one of their own."""
    text = "a -> b; a -> c; a -> y; b -> c; c -> d; d -> y; a <-> d; c <-> y"
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 4)), columns=list("abcd"))
    y = X["d"] + rng.normal(size=400)
    fit = fitted(X, y, graph=text)
    do = {"c": 0.0, "d": lambda X: X["d"] + 1}
    assert fit.fitted_.model.graph.is_identified(["c", "d"], "y").reason.startswith(
        "by a regression"
    )
    moved = fit.counterfactual(X, y, do)
    effect = fit.effect(X, do=do)
    np.testing.assert_allclose(moved.draws - y.to_numpy(), effect.draws, atol=1e-9)


def test_sensitivity_and_support_are_those_of_the_regression(model):
    X, y = chain()
    alone = fitted(X[["x", "z", "kind"]], y, graph=None)
    ask = {"do": {"x": 1}, "baseline": {"x": 0}, "benchmarks": "z", "multiples": 0.2}
    ours, theirs = model.sensitivity(X, **ask), alone.sensitivity(X[["x", "z", "kind"]], **ask)
    assert ours.robustness_value().mean() == pytest.approx(
        theirs.robustness_value().mean(), abs=4 * theirs.robustness_value().std()[0] / 40
    )
    forced = {"x": X["z"] + 6.0}
    with pytest.warns(match="'x' is forced to values"):
        ours = model.intervene(X, do=forced)
    with pytest.warns(match="'x' is forced to values"):
        theirs = alone.intervene(X[["x", "z", "kind"]], do=forced)
    pd.testing.assert_frame_equal(ours.support, theirs.support)


# --- Whatever way the rows come, and the queries -------------------------------------------------


def test_answers_do_not_depend_on_what_was_asked_before(model):
    X, y = chain()
    first = fitted(X, y)
    asked = [{"x": 1}, {"x": 1, "z": 0}, {"b": 1}]
    there = [first.intervene(X.head(5), do=do).draws for do in asked]
    stored = pickle.dumps(first)
    here = [model.intervene(X.head(5), do=do).draws for do in reversed(asked)]
    loaded = pickle.loads(stored)
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(lambda do: loaded.intervene(X.head(5), do=do).draws, asked * 3))
    for k in range(3):
        np.testing.assert_array_equal(there[k], here[2 - k])
        for each in threads[k::3]:
            np.testing.assert_array_equal(there[k], each)
    assert len(stored) == len(pickle.dumps(fitted(*chain())))  # what was asked is not stored
    assert len(pickle.dumps(first.fitted_.own)) < 2000  # no rows


def test_batches_and_dask(model):
    dd = pytest.importorskip("dask.dataframe")
    X, y = chain()
    expected = model.effect(X, do={"x": 1}, baseline={"x": 0}).average().draws
    parts = BayesianInterventionRegressor(graph=CHAIN, random_state=0)
    for rows in (slice(0, 400), slice(400, 1500)):
        parts.partial_fit(X[rows], y[rows])
    found = parts.effect(X, do={"x": 1}, baseline={"x": 0}).average().draws
    np.testing.assert_allclose(found, expected, atol=1e-9)
    rows = dd.from_pandas(X, npartitions=3)
    outcomes = dd.from_pandas(pd.Series(y), npartitions=3)
    big = fitted(rows, outcomes)
    effect = big.effect(rows, do={"x": 1}, baseline={"x": 0})
    np.testing.assert_allclose(effect.average().draws, expected, atol=1e-9)
    moved = model.effect(X, do={"x": lambda X: X["x"] + 1}).average().mean()
    there = big.effect(rows, do={"x": lambda X: X["x"] + 1})
    np.testing.assert_allclose(there.average().mean(), moved, atol=1e-9)
    with pytest.raises(ValueError, match="two sides are answered apart"):
        big.effect(rows, do={"x": 1}, baseline={"b": 1})
    with pytest.raises(NotIdentifiedError, match="computed from 'a'"):
        big.effect(rows, do={"x": lambda X: X["a"]}).average()


def test_weights_are_rows():
    X, y = chain(300)
    weights = np.random.default_rng(0).integers(1, 4, 300)
    model = BayesianInterventionRegressor(graph=CHAIN, random_state=0)
    weighted = step(model.fit(X, y, sample_weight=weights), X).draws
    repeated = X.loc[X.index.repeat(weights)].reset_index(drop=True)
    np.testing.assert_allclose(
        weighted, step(model.fit(repeated, np.repeat(y, weights)), X).draws, atol=1e-8
    )


# --- What the user gave for the outcome's equation -----------------------------------------------


def test_a_design_of_the_outcome_is_applied_or_refused():
    X, y = chain(800)
    X = X.drop(columns="kind")
    graph = "z -> x -> a -> b -> y; z -> y; a <-> y"
    curved = y + 0.5 * X["z"] ** 2
    squares = PolynomialFeatures(2, include_bias=False)
    fit = fitted(X, curved, graph=graph, design={"y": squares})
    alone = fitted(X[["z", "x"]], curved, graph=None, design=squares)
    ask = {"do": {"x": 1}, "baseline": {"x": 0}}
    ours = fit.effect(X, **ask).average()
    theirs = alone.effect(X[["z", "x"]], **ask).average()
    assert abs(ours.mean() - theirs.mean()) < 4 * theirs.std() * np.sqrt(2 / 4000)
    named = make_column_transformer((SplineTransformer(), ["b"]), remainder="passthrough")
    fit = fitted(X, y, graph=graph, design={"y": named})
    with pytest.raises(ValueError, match="not columns of the dataframe") as caught:
        fit.effect(X, **ask)
    notes = " ".join(caught.value.__notes__)
    assert "regression of its own, on 'x', 'z' alone" in notes
    # a design that would leave the confounder out
    chosen = make_column_transformer((StandardScaler(), make_column_selector("x|b")))
    fit = fitted(X, y, graph=graph, design={"y": chosen})
    with pytest.raises(ValueError, match=r"the design of 'y' drops 'z', which the query needs"):
        fit.effect(X, **ask)


def test_priors_of_the_outcomes_equation_are_its_own():
    from pymc_extras.prior import Prior

    X, y = chain()
    tight = fitted(X, y, priors={"beta": Prior("Normal", mu=0, sigma=1e-3)})
    assert abs(step(tight, X).mean() - step(fitted(X, y), X).mean()) < 1e-9
    randomised = CHAIN.replace("kind -> x; ", "")
    pooled = fitted(
        X,
        y,
        graph=f"{randomised}; kind -> a; kind <-> x",
        groups={"y": {"kind": []}, "a": {"kind": []}},
        unseen_levels="population",
    )
    effect = step(pooled, X)
    assert abs(effect.mean()[0] - TOTAL) < 4 * effect.std()[0]
    new = X.head(3).assign(kind="four")
    levels = pooled.intervene(pd.concat([X.head(3), new], ignore_index=True), do={"x": 1}).std()
    assert (levels[3:] > 3 * levels[:3]).all()  # a draw from the population of levels


def test_a_prior_of_confounding_is_of_the_whole_effect():
    from pymc_extras.prior import Prior

    X, y = chain()
    plain = step(fitted(X, y), X)
    biased = step(fitted(X, y, confounding={"x": Prior("Normal", mu=0.3, sigma=0.1)}), X)
    assert biased.mean() == pytest.approx(plain.mean() - 0.3, abs=4 * 0.1 / np.sqrt(4000))
    assert biased.std() == pytest.approx(np.hypot(plain.std(), 0.1), rel=0.05)


def test_nothing_is_kept_where_no_query_needs_it():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["x", "m"])
    y = rng.poisson(np.exp(0.3 * X["m"])).astype(float)
    for graph in (None, "x -> m -> y", "x -> m -> y; x <-> y"):
        fit = fitted(X, y, graph=graph, family="poisson", inference="laplace")
        assert fit.fitted_.own is None


def test_forced_exposures_are_no_regressors():
    """Twenty times the days are twenty times the counts."""
    rng = np.random.default_rng(0)
    n = 800
    x, days, u = rng.integers(0, 2, n), rng.uniform(1, 3, n), 0.3 * rng.normal(size=n)
    a = x + u + rng.normal(size=n)
    counts = rng.poisson(days * np.exp(0.2 * a + u))
    X = pd.DataFrame({"x": x, "days": days, "a": a})
    model = BayesianInterventionRegressor(
        graph="x -> a -> n; a <-> n; days -> n",
        outcome="n",
        family="poisson",
        exposure="days",
        inference="laplace",
        random_state=0,
    ).fit(X, counts)
    with warnings.catch_warnings():  # twenty days are beyond what was seen
        warnings.simplefilter("ignore", ExtrapolationWarning)
        one, twenty = (
            model.intervene(X, {"x": 1, "days": d}).average().mean()[0] for d in (1.0, 20.0)
        )
    assert twenty == pytest.approx(20 * one)
