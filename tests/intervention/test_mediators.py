"""Interventions through mediators, against path tracing, simulation and models by hand."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import networkx as nx
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import statsmodels.api as sm
from arviz_stats.base import array_stats
from conftest import N_STANDARD_ERRORS, assert_mean, family_wise
from scipy import stats
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

from interventional import (
    BayesianInterventionRegressor,
    CausalGraph,
    NotIdentifiedError,
    intervene,
)
from interventional.intervention import compiled
from interventional.scm.compiling import python_mode


def estimator(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 100, "chains": 2, "random_state": 5} | parameters
    )


def flat(draws):
    """Draws as an array of shape (chain * draw, ...)."""
    values = np.asarray(draws)
    return values.reshape(-1, *values.shape[2:])


def drawn(model, name):
    """Draws of a parameter, (chain * draw, ...)."""
    return flat(model.idata_["posterior"][name])


def coefficient(model, node, term):
    """Draws of a coefficient, (chain * draw,)."""
    return flat(model.idata_["posterior"][f"{node}_beta"].sel({f"{node}_term": term}))


def assert_standardised(z):
    """Independent z have mean 0 and variance 1."""
    z = np.ravel(z)
    assert_mean(z, 0.0)
    assert_mean(z**2, 1.0)


# --- Linear models ------------------------------------------------------------------------------


def linear_scm(seed, n, p=4, hidden=0):
    """A random linear model: rows of all variables, and the coefficients on a graph's edges.

    The outcome stands anywhere but first; causes of it follow each other in a chain as well, so
    that there are long paths.
    """
    rng = np.random.default_rng(seed)
    order = [f"v{j}" for j in rng.permutation(p)]
    order.insert(int(rng.integers(2, p + 1)), "y")
    graph = nx.DiGraph()
    graph.add_nodes_from(order)
    values = {}
    for k, node in enumerate(order):
        values[node] = rng.normal() + rng.uniform(0.5, 1.5) * rng.normal(size=n)
        for before in order[:k]:
            if rng.random() < 0.5 or (before == order[k - 1] and node == "y"):
                weight = rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
                graph.add_edge(before, node, weight=weight)
                values[node] = values[node] + weight * values[before]
    columns = sorted(set(order) - {"y"})
    unseen = list(rng.permutation(columns)[:hidden])
    seen = [name for name in columns if name not in unseen]
    return pd.DataFrame(values)[seen], values["y"], graph


def path_tracing(graph, treatment, weight, blocked=()):
    """The sum over directed paths to y of the products of their coefficients."""
    total = 0.0
    if treatment in graph:
        for path in nx.all_simple_paths(graph, treatment, "y"):
            if not set(path) & set(blocked):
                total = total + np.prod([weight(*edge) for edge in pairwise(path)], axis=0)
    return total


def causes_of_y(graph, columns):
    """Columns that y does not cause, in a fixed order."""
    return [name for name in columns if name not in nx.descendants(graph, "y")]


def assert_calibrated(effects, truths):
    """Posterior means are posterior deviations off, intervals cover as often as they say."""
    effects, truths = np.asarray(effects), np.asarray(truths)
    n = len(truths)
    z = (effects.mean(axis=1) - truths) / effects.std(axis=1, ddof=1)
    assert np.abs(z).max() < family_wise(n), z
    low, high = stats.chi2.interval(1 - 1e-4, n)
    assert low < np.sum(z**2) < high, np.mean(z**2)
    bounds = np.quantile(effects, [0.03, 0.97], axis=1)
    covered = np.sum((bounds[0] < truths) & (truths < bounds[1]))
    low, high = stats.binom.interval(1 - 1e-4, n, 0.94)
    assert low <= covered <= high, covered / n


@pytest.mark.slow
def test_total_effects_equal_path_tracing():
    """The effect of one unit more of any column, in 200 random linear models.

    To rounding it is the sum over paths at each draw's coefficients; and it is that of the true
    coefficients, within posterior error. Where no path leads to y it is exactly nothing.
    """
    effects, truths, without = [], [], 0
    for seed in range(200):
        X, y, graph = linear_scm(seed, n=300)
        model = estimator(graph=graph, random_state=seed).fit(X, y)
        column = str(np.random.default_rng(seed).choice(causes_of_y(graph, X.columns)))
        more = {column: lambda X, column=column: X[column] + 1}
        effect = flat(model.effect(X.head(2), do=more).draws)
        by_draw = path_tracing(graph, column, lambda a, b, m=model: coefficient(m, b, a))
        if np.ndim(by_draw) == 0:
            assert not effect.any()
            without += 1
            continue
        for row in effect.T:
            np.testing.assert_allclose(row, by_draw, rtol=1e-8, atol=1e-8)
        effects.append(by_draw)
        truths.append(path_tracing(graph, column, lambda a, b, g=graph: g[a][b]["weight"]))
    assert without > 5
    assert_calibrated(effects, truths)


def test_controlled_direct_effects_equal_path_tracing():
    """With mediators held, the effect is the sum over the paths that avoid them."""
    effects, truths, unblocked = [], [], []
    for seed in range(1000, 1060):
        X, y, graph = linear_scm(seed, n=300, p=5)
        rng = np.random.default_rng(seed)
        paths = [
            path for name in X for path in nx.all_simple_paths(graph, name, "y") if len(path) > 2
        ]
        if not paths:
            continue
        path = paths[rng.integers(len(paths))]
        column, held = path[0], list(rng.choice(path[1:-1], size=1))
        fixed = {name: rng.normal() for name in held}
        model = estimator(graph=graph, random_state=seed).fit(X, y)
        effect = model.effect(
            X.head(2), do={column: 2.0, **fixed}, baseline={column: 1.0, **fixed}
        )
        effect = flat(effect.draws)
        by_draw = path_tracing(
            graph, column, lambda a, b, m=model: coefficient(m, b, a), blocked=held
        )
        for row in effect.T:
            np.testing.assert_allclose(row, by_draw, rtol=1e-8, atol=1e-8)
        if np.ndim(by_draw):
            effects.append(by_draw)
            truths.append(
                path_tracing(graph, column, lambda a, b, g=graph: g[a][b]["weight"], held)
            )
            unblocked.append(path_tracing(graph, column, lambda a, b, g=graph: g[a][b]["weight"]))
    assert len(truths) > 20
    assert_calibrated(effects, truths)
    means, deviations = np.mean(effects, axis=1), np.std(effects, axis=1)
    assert np.mean(np.abs(means - unblocked) / deviations > 5) > 0.5  # blocking matters


@pytest.mark.slow
def test_effects_with_hidden_variables_equal_path_tracing():
    """Random linear models of which two variables are hidden: what is answered is true.

    Of the answers, those count for which regression on the column and its observed causes is off:
    the answer is right for a reason.
    """
    effects, truths, hard, refused = [], [], 0, 0
    for seed in range(2000, 2140):
        X, y, graph = linear_scm(seed, n=400, p=5, hidden=2)
        choice = causes_of_y(graph, X.columns)
        if not choice:
            continue
        column = str(np.random.default_rng(seed).choice(choice))
        truth = path_tracing(graph, column, lambda a, b, g=graph: g[a][b]["weight"])
        if not np.any(truth) or not nx.ancestors(graph, "y") & set(X):
            continue
        model = estimator(graph=graph, random_state=seed).fit(X, y)
        try:
            effect = model.effect(X.head(2), do={column: lambda X, column=column: X[column] + 1})
        except NotIdentifiedError:
            refused += 1
            continue
        effect = flat(effect.draws)
        np.testing.assert_allclose(effect[:, 0], effect[:, 1], rtol=1e-8, atol=1e-8)
        effects.append(effect[:, 0])
        truths.append(truth)
        naive = sm.OLS(y, sm.add_constant(X)).fit()
        hard += abs(naive.params[column] - truth) > 4 * naive.bse[column]
    assert refused > 10
    assert hard > 15
    assert_calibrated(effects, truths)


def test_forced_mediator_blocks():
    """On x -> m -> y nothing of x arrives once m is forced, in no draw, noise or not."""
    X, y, _ = linear_scm(0, n=100, p=2)
    X.columns = ["x", "m"]
    model = estimator(graph="x -> m -> y").fit(X, y)
    for kind in ("mean", "predictive"):
        alone = model.intervene(X, do={"m": 1.0}, kind=kind).draws
        both = model.intervene(X, do={"m": 1.0, "x": 50.0}, kind=kind).draws
        np.testing.assert_array_equal(alone, both)
        assert not model.effect(X, {"m": 1.0, "x": 9.0}, {"m": 1.0, "x": 0}, kind=kind).std().any()
        assert model.effect(X, {"x": 9.0}, {"x": 0.0}, kind=kind).mean().all()


# --- Confounding --------------------------------------------------------------------------------


def naive_z(y, X, column, truth):
    """How many standard errors least squares is off."""
    fit = sm.OLS(np.asarray(y), sm.add_constant(X)).fit()
    return abs(fit.params[column] - truth) / fit.bse[column]


def assert_recovered(effect, truth):
    draws = flat(effect.draws)
    z = (draws.mean(axis=0) - truth) / draws.std(axis=0, ddof=1)
    assert np.abs(z).max() < 4, z


@pytest.mark.parametrize("graph", ["x -> m -> y; x <-> y", "u -> x -> m -> y; u -> y"])
def test_front_door(graph):
    """A hidden confounder of x and y, all of x's effect through m: 0.8 * 1.5."""
    rng = np.random.default_rng(11)
    n = 3000
    u = rng.normal(size=n)
    x = u + 0.7 * rng.normal(size=n)
    m = 0.3 + 0.8 * x + rng.normal(size=n)
    y = 1.0 + 1.5 * m - 2.0 * u + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "m": m})
    assert naive_z(y, X[["x"]], "x", 1.2) > 10
    assert naive_z(y, X, "x", 1.2) > 10
    model = estimator(graph=graph, draws=500).fit(X, y)
    new = X.head(3)
    assert_recovered(model.effect(new, do={"x": lambda X: X["x"] + 1}), 1.2)
    assert_recovered(model.effect(new, do={"x": 2.0}, baseline={"x": -1.0}), 3 * 1.2)
    assert_recovered(model.effect(new, do={"m": 2.0}, baseline={"m": 1.0}), 1.5)
    assert model.graph_ == CausalGraph("x -> m -> y; x <-> y")
    # The level too: over all rows E[y | do(x)] is 1 + 1.5 (0.3 + 0.8 x), whatever u.
    level = flat(model.intervene(X, do={"x": 2.0}).average().draws).ravel()
    of_rows = np.std(model.predict(X.assign(m=0.0))) / np.sqrt(n)  # u stands in as x
    assert abs(level.mean() - (1 + 1.5 * (0.3 + 1.6))) < 4 * np.hypot(level.std(), of_rows)


def test_front_door_with_a_binary_treatment():
    """The adjustment formula by hand, on the model's own draws: x at its factual value in y."""
    rng = np.random.default_rng(12)
    n = 2000
    u = rng.normal(size=n)
    x = (u + rng.normal(size=n) > 0).astype(float)
    m = 0.5 * x + rng.normal(size=n)
    y = 2.0 * m + 3.0 * u + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "m": m})
    model = estimator(graph="x -> m -> y; x <-> y").fit(X, y)
    assert naive_z(y, X[["x"]], "x", 1.0) > 10
    assert_recovered(model.effect(X.head(2), do={"x": 1}, baseline={"x": 0}), 1.0)
    mediator = drawn(model, "m_intercept") + coefficient(model, "m", "x")
    by_hand = (
        drawn(model, "y_intercept")[:, None]
        + coefficient(model, "y", "m")[:, None] * mediator[:, None]
        + coefficient(model, "y", "x")[:, None] * x
    )
    ours = flat(model.intervene(X, do={"x": 1}).draws)
    np.testing.assert_allclose(ours, by_hand, rtol=1e-9, atol=1e-9)


def test_back_door_through_a_column_that_is_no_cause_of_y():
    """u -> z -> x and u -> y: z must be adjusted for though y does not hear from it."""
    rng = np.random.default_rng(13)
    n = 3000
    u = rng.normal(size=n)
    z = u + 0.3 * rng.normal(size=n)
    x = z + rng.normal(size=n)
    y = 0.5 * x - 2.0 * u + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "z": z})
    assert naive_z(y, X[["x"]], "x", 0.5) > 10
    model = estimator(graph="u -> z -> x -> y; u -> y", draws=500).fit(X, y)
    assert_recovered(model.effect(X.head(3), do={"x": lambda X: X["x"] + 1}), 0.5)
    # z's own effect is all through x, whose effect is known: the front door.
    assert naive_z(y, X[["z"]], "z", 0.5) > 10
    assert_recovered(model.effect(X.head(3), do={"z": 1.0}, baseline={"z": 0.0}), 0.5)


def test_collider_of_hidden_causes_is_not_adjusted_for():
    """M-bias: y on x alone is right, y on x and the collider c is off."""
    rng = np.random.default_rng(14)
    n = 5000
    a, b = rng.normal(size=(2, n))
    c = 2 * a + 2 * b + 0.3 * rng.normal(size=n)
    x = 2 * a + rng.normal(size=n)
    y = 0.5 * x + 2 * b + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "c": c})
    assert naive_z(y, X, "x", 0.5) > 10
    model = estimator(graph="a -> c; b -> c; a -> x; b -> y; x -> y", draws=500).fit(X, y)
    assert_recovered(model.effect(X.head(3), do={"x": 1.0}, baseline={"x": 0.0}), 0.5)


def test_mediators_with_a_hidden_common_cause():
    """Effect 1.0 * 0.5 + 0.7 * 1.2, though m and k are noisy together; forcing m is refused."""
    rng = np.random.default_rng(15)
    n = 3000
    x, u = rng.normal(size=(2, n))
    m = x + u + rng.normal(size=n)
    k = 0.7 * x + u + rng.normal(size=n)
    y = 0.5 * m + 1.2 * k + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "m": m, "k": k})
    model = estimator(graph="x -> m -> y; x -> k -> y; m <-> k", draws=500).fit(X, y)
    assert_recovered(model.effect(X.head(3), do={"x": 1.0}, baseline={"x": 0.0}), 0.5 + 0.84)
    # New outcomes vary as those of the true model with x forced do.
    draws = flat(model.intervene(X, do={"x": 1.0}, kind="predictive").draws)
    variance = draws.var(axis=1)
    truth = 1 + 0.25 + 1.44 + (0.5 + 1.2) ** 2
    assert abs(variance.mean() / truth - 1) < 4 * np.sqrt(2 / n)


def test_mediator_and_outcome_with_a_hidden_common_cause():
    """The total of x is identified (0.4 + 0.8 * 1.5), the effect of m is not."""
    rng = np.random.default_rng(16)
    n = 3000
    x, u = rng.normal(size=(2, n))
    m = 0.8 * x + u + rng.normal(size=n)
    y = 0.4 * x + 1.5 * m - 2.0 * u + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "m": m})
    assert naive_z(y, X, "x", 0.4) > 10
    model = estimator(graph="x -> m -> y; x -> y; m <-> y", draws=500).fit(X, y)
    assert_recovered(model.effect(X.head(3), do={"x": 1.0}, baseline={"x": 0.0}), 0.4 + 1.2)
    for do in ({"m": 1.0}, {"m": 1.0, "x": 0.0}):
        with pytest.raises(NotIdentifiedError, match="m <-> y"):
            model.intervene(X, do=do)


@pytest.mark.parametrize(
    ("graph", "path"),
    [
        ("x -> y; x <-> y", "x <-> y"),
        ("z -> x -> y; x <-> y", "x <-> y"),
        ("u -> x -> y; u -> y", "x <-> y"),
    ],
)
def test_what_the_graph_does_not_license_is_refused(graph, path):
    """Bow, instrument, hidden confounder: predict answers, intervene and its like do not."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["x", "z"])
    y = X["x"] + X["z"]
    y += np.random.default_rng(1).normal(size=50)
    model = estimator(graph=graph).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    for ask in (model.intervene, model.effect, model.decompose):
        with pytest.raises(NotIdentifiedError, match=path):
            ask(X, {"x": 1.0})
    with pytest.raises(NotIdentifiedError, match=path):
        model.counterfactual(X, y, {"x": 1.0})
    with pytest.raises(NotIdentifiedError, match=path):
        intervene(model, X, {"x": 1.0})


# --- Nonlinear models ---------------------------------------------------------------------------


def nonlinear_rows(n, seed):
    """x confounded by c; m = 0.5 x**2 - x + c + noise; y has m squared and m times x."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=n)
    x = 0.7 * c + rng.normal(size=n)
    m = nonlinear_mediator(x, c, rng)
    return pd.DataFrame({"x": x, "c": c, "m": m}), nonlinear_outcome(x, c, m, rng)


def nonlinear_mediator(x, c, rng):
    return 0.5 * x**2 - x + c + rng.normal(size=np.shape(x))


def nonlinear_outcome(x, c, m, rng):
    return 1 + x - c + 0.3 * m**2 + 0.5 * m * x + 0.8 * rng.normal(size=np.shape(x))


def quadratic():
    return PolynomialFeatures(2, include_bias=False)


@pytest.fixture(scope="module")
def nonlinear():
    X, y = nonlinear_rows(4000, seed=21)
    graph = "c -> x -> m -> y; c -> m; c -> y; x -> y"
    model = estimator(graph=graph, design={"m": quadratic(), "y": quadratic()}, draws=150)
    return model.fit(X, y), X


@pytest.mark.slow
def test_nonlinear_average_equals_simulation_of_the_truth(nonlinear):
    """E[y | do(x)] over the rows' own c, from a million draws of the true equations."""
    model, X = nonlinear
    rng = np.random.default_rng(22)
    X = X.head(300)
    c = np.tile(X["c"].to_numpy(), 4000)
    for value in (-1.5, 0.0, 2.0):
        x = np.full(len(c), value)
        truth = nonlinear_outcome(x, c, nonlinear_mediator(x, c, rng), rng)
        average = flat(model.intervene(X, do={"x": value}).average().draws)
        error = np.hypot(average.std(), truth.std() / np.sqrt(len(truth)))
        assert abs(average.mean() - truth.mean()) < 4 * error
        # the plug-in of the mean of m, without its variance, would be seen
        assert 4 * error < 0.3


def quadratic_by_hand(model, node, columns):
    """Draws of a node's expectation: its polynomial terms written out."""
    posterior = model.idata_["posterior"]
    total = drawn(model, f"{node}_intercept")[:, None]
    for term in posterior[f"{node}_term"].values:
        product = 1.0
        for factor in str(term).split(" "):
            name, _, power = factor.partition("^")
            product = product * columns[name] ** int(power or 1)
        total = total + coefficient(model, node, term)[:, None] * product
    return total


def test_nonlinear_given_the_draws(nonlinear):
    """Mean and variance of new outcomes are those of the fitted equations, draw by draw.

    For m ~ N(mu, s**2) a quadratic in m has them in closed form.
    """
    model, X = nonlinear
    rows = X.head(40)
    x, c = np.full(40, 1.2), rows["c"].to_numpy()
    mu = quadratic_by_hand(model, "m", {"x": x, "c": c})
    s, sigma = drawn(model, "m_sigma")[:, None], drawn(model, "y_sigma")[:, None]
    at = [quadratic_by_hand(model, "y", {"x": x, "c": c, "m": mu + h}) for h in (-1.0, 0.0, 1.0)]
    slope, curve = (at[2] - at[0]) / 2, (at[2] - 2 * at[1] + at[0]) / 2
    mean = at[1] + curve * s**2
    of_mediator = slope**2 * s**2 + 2 * curve**2 * s**4
    inner = flat(model.intervene(rows, do={"x": 1.2}).draws)
    assert np.abs(inner - mean).max() < 1e-2 * mean.std(axis=0).min()
    new = flat(model.intervene(rows, do={"x": 1.2}, kind="predictive").draws)
    assert_standardised((new - mean) / np.sqrt(of_mediator + sigma**2))


def test_spline_equations_given_the_draws():
    """A spline in each equation: simulation by NumPy from the fitted draws."""
    rng = np.random.default_rng(23)
    x = rng.uniform(-2, 2, size=400)
    m = np.sin(x) + 0.3 * rng.normal(size=400)
    y = np.exp(m) + x + 0.3 * rng.normal(size=400)
    X = pd.DataFrame({"x": x, "m": m})

    def spline():
        return SplineTransformer(5, include_bias=False, extrapolation="linear")

    design = {"m": spline(), "y": spline()}
    model = estimator(graph="x -> m -> y; x -> y", design=design, draws=60).fit(X, y)
    of_m, of_y = spline().fit(X[["x"]]), spline().fit(X)
    rows = X.head(6)
    forced = np.linspace(-1.5, 1.5, 6)
    mu = drawn(model, "m_intercept")[:, None] + drawn(model, "m_beta") @ (
        of_m.transform(pd.DataFrame({"x": forced})).T
    )
    many = 2000
    noise = drawn(model, "m_sigma")[:, None, None] * rng.normal(size=(*mu.shape, many))
    simulated = (mu[..., None] + noise).ravel()
    table = pd.DataFrame({"x": np.tile(np.repeat(forced, many), len(mu)), "m": simulated})
    matrix = of_y.transform(table).reshape(*mu.shape, many, -1)
    of_rows = drawn(model, "y_intercept")[:, None, None] + np.einsum(
        "dnkt,dt->dnk", matrix, drawn(model, "y_beta")
    )
    mean, variance = of_rows.mean(axis=2), of_rows.var(axis=2)
    inner = flat(model.intervene(rows, do={"x": forced}).draws)
    error = np.sqrt(variance / many)  # of the simulation: the answer has none
    assert_standardised((inner - mean) / error)
    new = flat(model.intervene(rows, do={"x": forced}, kind="predictive").draws)
    spread = np.sqrt(variance * (1 + 1 / many) + drawn(model, "y_sigma")[:, None] ** 2)
    assert_standardised((new - mean) / spread)


# --- Mediators of bools and levels --------------------------------------------------------------

LEVELS = np.array(["bus", "car", "walk"])
GRAPH = "c -> x -> m -> y; c -> m; c -> y; x -> y"
LOGITS = {"x": (1.0, -0.8), "c": (0.6, 1.2), "intercept": (-0.3, 0.2)}


def parents_of_levels(n, seed):
    """c is 0 or 1, x comes in halves: few distinct rows, so that NUTS is fast."""
    rng = np.random.default_rng(seed)
    c = (rng.random(n) < 0.4).astype(float)
    return np.round(2 * rng.normal(0.5 * c)) / 2, c, rng


def truly_binary(x, c, rng):
    return rng.random(np.shape(x)) < expit(-0.3 + 1.2 * x - 0.8 * c)


def truly_three(x, c, rng):
    eta = [LOGITS["intercept"][k] + LOGITS["x"][k] * x + LOGITS["c"][k] * c for k in (0, 1)]
    against_first = np.stack([np.zeros_like(x), *eta], axis=-1)
    return np.argmax(against_first + rng.gumbel(size=against_first.shape), axis=-1)


def outcome_of_binary(x, c, m, rng):
    return 0.5 + 0.7 * x + c + 2.0 * m + 0.9 * x * m + rng.normal(size=np.shape(x))


def outcome_of_three(x, c, m, rng):
    return 0.5 + 0.7 * x + c + np.array([0.0, 2.0, -1.5])[m] + rng.normal(size=np.shape(x))


def interactions():
    return PolynomialFeatures(2, interaction_only=True, include_bias=False)


@pytest.fixture(scope="module")
def binary():
    x, c, rng = parents_of_levels(6000, seed=31)
    m = truly_binary(x, c, rng)
    X = pd.DataFrame({"x": x, "c": c, "m": m})
    model = estimator(graph=GRAPH, design={"y": interactions()}, draws=400, tune=500)
    return model.fit(X, outcome_of_binary(x, c, m, rng)), X


@pytest.fixture(scope="module")
def three():
    x, c, rng = parents_of_levels(6000, seed=32)
    m = truly_three(x, c, rng)
    X = pd.DataFrame({"x": x, "c": c, "m": LEVELS[m]})
    y = outcome_of_three(x, c, m, rng)
    return estimator(graph=GRAPH, draws=800, tune=500).fit(X, y), X, y


def assert_equals_simulation(model, X, mediator, outcome, seed):
    """E[y | do(x)] over the rows' own c, from 400,000 draws of the true equations."""
    rng = np.random.default_rng(seed)
    X = X.head(200)
    c = np.tile(X["c"].to_numpy(), 2000)
    levels = []
    for value in (-1.5, 0.0, 2.0):
        x = np.full(len(c), value)
        truth = outcome(x, c, mediator(x, c, rng), rng)
        average = flat(model.intervene(X, do={"x": value}).average().draws)
        error = np.hypot(average.std(), truth.std() / np.sqrt(len(truth)))
        assert abs(average.mean() - truth.mean()) < 4 * error, value
        levels.append((truth.mean(), error))
    through_x_alone = 0.7 * 3.5
    assert abs(levels[2][0] - levels[0][0] - through_x_alone) > 10 * levels[0][1]


def assert_given_draws(model, rows, do, probabilities, at_level):
    """The mean is the sum over the mediator's levels; new outcomes vary as that mixture does.

    `at_level` holds draws of y's expectation at each level, (levels, draws, n).
    """
    mean = np.einsum("ldn,ldn->dn", probabilities, at_level)
    of_mediator = np.einsum("ldn,ldn->dn", probabilities, (at_level - mean) ** 2)
    inner = flat(model.intervene(rows, do=do).draws)
    np.testing.assert_allclose(inner, mean, rtol=1e-9, atol=1e-9)
    new = flat(model.intervene(rows, do=do, kind="predictive").draws)
    sigma = drawn(model, "y_sigma")[:, None]
    assert_standardised((new - mean) / np.sqrt(of_mediator + sigma**2))


@pytest.mark.slow
def test_binary_mediator_equals_simulation_of_the_truth(binary):
    assert_equals_simulation(*binary, truly_binary, outcome_of_binary, seed=33)


@pytest.mark.slow
def test_binary_mediator_given_the_draws(binary):
    model, X = binary
    rows = X.iloc[:30]
    x, c = np.linspace(-1, 1.5, 30), rows["c"].to_numpy()
    b = {term: coefficient(model, "m", term)[:, None] for term in ("x", "c")}
    p = expit(drawn(model, "m_intercept")[:, None] + b["x"] * x + b["c"] * c)
    at_level = [quadratic_by_hand(model, "y", {"x": x, "c": c, "m": m}) for m in (0.0, 1.0)]
    assert_given_draws(model, rows, {"x": x}, np.stack([1 - p, p]), np.stack(at_level))
    # A forced mediator stays forced, and takes bools.
    forced = flat(model.intervene(rows, do={"x": x, "m": True}).draws)
    np.testing.assert_allclose(forced, at_level[1], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_binary_equation_is_the_logistic_regression(binary):
    """Under priors this weak, posterior mean and deviation are estimate and standard error."""
    model, X = binary
    fit = sm.Logit(X["m"].astype(float), sm.add_constant(X[["x", "c"]])).fit(disp=0)
    names = {"const": drawn(model, "m_intercept")}
    names |= {term: coefficient(model, "m", term) for term in ("x", "c")}
    for term, draws in names.items():
        assert abs(draws.mean() - fit.params[term]) < 0.2 * fit.bse[term]
        assert abs(draws.std() / fit.bse[term] - 1) < 0.15


@pytest.mark.slow
def test_bool_is_refused_another_value(binary):
    model, X = binary
    with pytest.raises(ValueError, match=r"do\['m'\].*bools.*0\.5"):
        model.intervene(X, do={"m": 0.5})


@pytest.mark.slow
def test_three_levels_equal_simulation_of_the_truth(three):
    model, X, _ = three
    assert_equals_simulation(model, X, truly_three, outcome_of_three, seed=34)


def logits_by_hand(model, x, c):
    """Draws of the probabilities of the three levels, (levels, draws, n)."""
    eta = [
        drawn(model, "m_intercept")[:, k, None]
        + coefficient(model, "m", f"{level}: x")[:, None] * x
        + coefficient(model, "m", f"{level}: c")[:, None] * c
        for k, level in enumerate(LEVELS[1:])
    ]
    return softmax(np.stack([np.zeros_like(eta[0]), *eta]), axis=0)


@pytest.mark.slow
def test_three_levels_given_the_draws(three):
    model, X, _ = three
    rows = X.iloc[:30]
    x, c = np.linspace(-1, 1.5, 30), rows["c"].to_numpy()
    base = (
        drawn(model, "y_intercept")[:, None]
        + coefficient(model, "y", "x")[:, None] * x
        + coefficient(model, "y", "c")[:, None] * c
    )
    at_level = [base] + [base + coefficient(model, "y", f"m[{k}]")[:, None] for k in LEVELS[1:]]
    assert_given_draws(model, rows, {"x": x}, logits_by_hand(model, x, c), np.stack(at_level))
    forced = flat(model.intervene(rows, do={"x": x, "m": "walk"}).draws)
    np.testing.assert_allclose(forced, at_level[2], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_three_levels_are_the_multinomial_regression(three):
    """Under priors this weak, posterior mean and deviation are estimate and standard error."""
    model, X, _ = three
    codes = np.searchsorted(LEVELS, X["m"])
    fit = sm.MNLogit(codes, sm.add_constant(X[["x", "c"]])).fit(disp=0)
    for k, level in enumerate(LEVELS[1:]):
        found = {"const": drawn(model, "m_intercept")[:, k]}
        found |= {term: coefficient(model, "m", f"{level}: {term}") for term in ("x", "c")}
        for term, draws in found.items():
            estimate, error = fit.params.loc[term].iloc[k], fit.bse.loc[term].iloc[k]
            assert abs(draws.mean() - estimate) < 0.2 * error
            assert abs(draws.std() / error - 1) < 0.15


def arbitrary_draws(monkeypatch, seed):
    """Have categorical equations take any parameters for draws: what follows is given these."""

    def sample(build, data, key, sampling, label):
        rng = np.random.default_rng(seed)
        (node, _, _, n_blocks, *_), size, _ = key
        shape = (sampling.chains, sampling.draws)
        found = {
            f"{node}_beta": rng.normal(size=(*shape, size)),
            f"{node}_intercept": rng.normal(size=(*shape, n_blocks)),
        }
        if n_blocks == 1:
            found[f"{node}_intercept"] = found[f"{node}_intercept"][..., 0]
        return found, {}, "none", []

    monkeypatch.setattr("interventional.inference.nuts.sample", sample)


@pytest.mark.parametrize("kind", ["mean", "predictive"])
def test_categorical_mediators_in_a_row_given_the_draws(monkeypatch, kind):
    """x -> b (bool) -> m (three levels) -> k (a number) -> y, and each of them -> y.

    All six combinations of levels are summed by hand.
    """
    arbitrary_draws(monkeypatch, seed=0)
    rng = np.random.default_rng(37)
    n = 200
    X = pd.DataFrame(
        {
            "k": rng.normal(size=n),
            "b": rng.random(n) < 0.5,
            "x": rng.normal(size=n),
            "m": LEVELS[rng.integers(3, size=n)],
        }
    )
    graph = "x -> b -> m -> k -> y; x -> m; m -> y; b -> y; x -> y; b -> k"
    model = estimator(graph=graph).fit(X, X["k"] + rng.normal(size=n))
    rows = X.head(25)
    x = np.linspace(-2, 2, 25)
    p_b = expit(drawn(model, "b_intercept")[:, None] + coefficient(model, "b", "x")[:, None] * x)

    def linear(node, m, **columns):
        total = drawn(model, f"{node}_intercept")[:, None]
        for name, values in columns.items():
            total = total + coefficient(model, node, name)[:, None] * values
        return total + (coefficient(model, node, f"m[{LEVELS[m]}]")[:, None] if m else 0.0)

    mean, square = 0.0, 0.0
    for b in (0, 1):
        eta = [
            drawn(model, "m_intercept")[:, j, None]
            + coefficient(model, "m", f"{level}: x")[:, None] * x
            + coefficient(model, "m", f"{level}: b")[:, None] * b
            for j, level in enumerate(LEVELS[1:])
        ]
        p_m = softmax(np.stack([np.zeros_like(p_b), *eta]), axis=0)
        for m in range(3):
            weight = p_m[m] * (p_b if b else 1 - p_b)
            at = linear("y", m, x=x, b=b, k=linear("k", m, b=b))
            mean = mean + weight * at
            square = square + weight * at**2
    ours = flat(model.intervene(rows, {"x": x}, kind=kind).draws)
    if kind == "mean":
        np.testing.assert_allclose(ours, mean, rtol=1e-9, atol=1e-9)
        return
    of_k = (coefficient(model, "y", "k") * drawn(model, "k_sigma"))[:, None] ** 2
    variance = square - mean**2 + of_k + drawn(model, "y_sigma")[:, None] ** 2
    assert_standardised((ours - mean) / np.sqrt(variance))


def test_number_that_reaches_a_level_given_the_draws(monkeypatch):
    """x -> k (a number) -> m (three levels) -> y: the sum over levels, averaged over k's noise."""
    arbitrary_draws(monkeypatch, seed=1)
    rng = np.random.default_rng(38)
    X = pd.DataFrame({"x": rng.normal(size=200), "k": rng.normal(size=200)})
    X["m"] = LEVELS[rng.integers(3, size=200)]
    y = rng.normal(size=200) + (X["m"] == "car") * 2.0
    model = estimator(graph="x -> k -> m -> y").fit(X, y)
    rows = X.head(20)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    k = drawn(model, "k_intercept") + coefficient(model, "k", "x") * 1.5
    k = k[:, None] + drawn(model, "k_sigma")[:, None] * nodes
    eta = [
        drawn(model, "m_intercept")[:, j, None]
        + coefficient(model, "m", f"{level}: k")[:, None] * k
        for j, level in enumerate(LEVELS[1:])
    ]
    p = softmax(np.stack([np.zeros_like(k), *eta]), axis=0) @ weights / weights.sum()
    at = np.stack([np.zeros(200), *(coefficient(model, "y", f"m[{j}]") for j in LEVELS[1:])])
    at = at + drawn(model, "y_intercept")
    mean = np.sum(p * at, axis=0)
    variance = np.sum(p * at**2, axis=0) - mean**2
    new = flat(model.intervene(rows, {"x": 1.5}, kind="predictive").draws)
    spread = np.sqrt(variance + drawn(model, "y_sigma") ** 2)
    assert_standardised((new - mean[:, None]) / spread[:, None])
    inner = flat(model.intervene(rows, {"x": 1.5}).draws)
    assert np.abs(inner - mean[:, None]).max() < 0.1 * mean.std()


@pytest.mark.slow
def test_weights_are_copies(three):
    """The same posterior: NUTS's to the last bit, the exact one to rounding."""
    _, X, y = three
    X, y = X.head(300), y[:300]
    weights = np.random.default_rng(35).integers(0, 4, size=300)
    model = estimator(graph=GRAPH, draws=400, tune=500)
    weighted = clone(model).fit(X, y, sample_weight=weights).idata_["posterior"]
    copied = clone(model).fit(X.loc[X.index.repeat(weights)], np.repeat(y, weights))
    copied = copied.idata_["posterior"]
    assert set(weighted.data_vars) >= {"x_beta", "m_beta", "y_beta"}
    for name in weighted.data_vars:
        exact = name[0] in "xy"
        np.testing.assert_allclose(
            weighted[name], copied[name], rtol=1e-7 if exact else 0, atol=1e-9 if exact else 0
        )


@pytest.mark.slow
def test_equality_with_a_pymc_model_written_out_by_hand():
    """pm.observe, pm.sample, pm.do, sample_posterior_predictive: three mediators in a row.

    c -> x; x, c -> m (bool); x, m -> k; x, c, m, k -> y. The mean over rows of new outcomes is
    compared, in Monte Carlo standard errors of its mean and its deviation.
    """
    x, c, rng = parents_of_levels(300, seed=36)
    m = truly_binary(x, c, rng)
    k = x + m + rng.normal(size=300)
    y = outcome_of_binary(x, c, m, rng) - 0.5 * k
    X = pd.DataFrame({"x": x, "c": c, "m": m, "k": k})
    graph = GRAPH + "; x -> k -> y; m -> k"
    model = estimator(graph=graph, draws=2000, tune=500).fit(X, y)

    def centred(column):
        return column - column.mean()

    with pm.Model() as generative:
        of_x, of_c = pm.Data("x", x), pm.Data("c", c)

        def normal_equation(name, columns, means, response, sds):
            shift = [pm.Normal(f"{name}_{j}", 0, 2.5 * response.std() / sd) for j, sd in sds]
            level = pm.Normal(f"{name}_level", response.mean(), 2.5 * response.std())
            scale = pm.HalfStudentT(f"{name}_scale", nu=4, sigma=response.std())
            mu = level + sum(
                b * (v - mean) for b, v, mean in zip(shift, columns, means, strict=True)
            )
            return pm.Normal(name, mu, scale, shape=300)

        a = [pm.Normal(f"m_{j}", 0, 2.5 / s) for j, s in enumerate((x.std(), c.std()))]
        logit = pm.Normal("m_level", 0, 2.5)
        logit = logit + a[0] * (of_x - x.mean()) + a[1] * (of_c - c.mean())
        of_m = pm.Bernoulli("m", logit_p=logit, shape=300)
        sds = [x.std(), c.std(), m.std(), k.std()]
        of_k = normal_equation(
            "k", [of_x, of_m], [x.mean(), m.mean()], k, [(0, sds[0]), (1, sds[2])]
        )
        means = [x.mean(), c.mean(), m.mean(), k.mean()]
        normal_equation("y", [of_x, of_c, of_m, of_k], means, y, list(enumerate(sds)))
    observed = pm.observe(generative, {"m": m.astype(int), "k": k, "y": y})
    trace = pm.sample(
        model=observed, draws=2000, tune=700, chains=2, cores=1, random_seed=1, progressbar=False
    )

    by_hand, ours = {}, {}
    for value in (-1.0, 1.5):
        with pm.do(generative, {"x": np.full(300, value)}):
            predicted = pm.sample_posterior_predictive(
                trace,
                var_names=["y"],
                predictions=True,
                random_seed=2,
                progressbar=False,
                compile_kwargs={"mode": python_mode()},
            )
        by_hand[value] = predicted["predictions"]["y"].values.mean(axis=-1)
        arm = model.intervene(X, do={"x": value}, kind="predictive").average()
        ours[value] = arm.draws.values.squeeze(-1)
        for method, statistic in (("mean", np.mean), ("sd", np.std)):
            pair = (ours[value], by_hand[value])
            errors = [array_stats.mcse(chains, method=method) for chains in pair]
            difference = statistic(pair[0]) - statistic(pair[1])
            assert abs(difference) < 4 * np.hypot(*errors), (value, method)
            assert max(errors) < 0.1 * np.std(by_hand[value])
    effects = [arms[1.5] - arms[-1.0] for arms in (ours, by_hand)]
    errors = [array_stats.mcse(chains, method="mean") for chains in effects]
    assert abs(effects[0].mean() - effects[1].mean()) < 4 * np.hypot(*errors)


# --- What the semantics say ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain():
    """x -> m -> y beside x -> y, a confounder c, and k, which only y hears from."""
    rng = np.random.default_rng(41)
    n = 400
    c, k = rng.normal(size=(2, n))
    x = c + rng.normal(size=n)
    m = 0.5 * x + c + 0.8 * rng.normal(size=n)
    y = 1 + 0.3 * x + 1.4 * m - c + 2 * k + 0.5 * rng.normal(size=n)
    X = pd.DataFrame({"m": m, "x": x, "k": k, "c": c})
    model = estimator(graph="c -> x -> m -> y; x -> y; c -> m; c -> y; k -> y", draws=300)
    return model.fit(X, y), X, y


def by_hand(model, X, x, m=None):
    """Draws of y's expectation with x forced, and m forced or at its expectation."""
    b = {term: coefficient(model, "y", term)[:, None] for term in "xmkc"}
    if m is None:
        a = {term: coefficient(model, "m", term)[:, None] for term in "xc"}
        m = drawn(model, "m_intercept")[:, None] + a["x"] * x + a["c"] * X["c"].to_numpy()
    rest = b["k"] * X["k"].to_numpy() + b["c"] * X["c"].to_numpy()
    return drawn(model, "y_intercept")[:, None] + b["x"] * x + b["m"] * m + rest


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_new_rows_of_any_number(chain, n):
    """The mediator is regenerated, c and k keep the rows' values: equations written out."""
    model, _, _ = chain
    X = pd.DataFrame(np.random.default_rng(n).normal(size=(n, 4)), columns=list("mxkc"))
    ours = model.intervene(X, do={"x": 2.0})
    np.testing.assert_allclose(flat(ours.draws), by_hand(model, X, 2.0), rtol=1e-9, atol=1e-9)
    assert ours.draws.sizes["obs"] == n
    held = model.intervene(X, do={"x": 2.0, "m": -1.0})
    np.testing.assert_allclose(flat(held.draws), by_hand(model, X, 2.0, -1.0), rtol=1e-9)
    policy = {"x": lambda X: X["x"] * 2 + X["c"], "m": lambda X: X["m"] + 1}
    both = by_hand(model, X, *(np.asarray(policy[name](X)) for name in "xm"))
    np.testing.assert_allclose(flat(model.intervene(X, do=policy).draws), both, rtol=1e-9)


def test_supplied_mediator_is_used_where_the_semantics_say_so(chain):
    """Not by an intervention that reaches it; by predict, and by one that does not, it is."""
    model, X, _ = chain
    other = X.assign(m=np.random.default_rng(1).normal(size=len(X)))
    for kind in ("mean", "predictive"):
        for do in ({"x": 1.0}, {"c": 1.0}, {"m": 0.0}, {"x": 1.0, "k": 0.0}):
            one, two = (model.intervene(rows, do=do, kind=kind).draws for rows in (X, other))
            np.testing.assert_array_equal(one, two)
    moved = coefficient(model, "y", "m").mean() * (other["m"] - X["m"])
    np.testing.assert_allclose(model.predict(other) - model.predict(X), moved, rtol=1e-9)
    one, two = (model.intervene(rows, do={"k": 1.0}).mean() for rows in (X, other))
    np.testing.assert_allclose(two - one, moved, rtol=1e-8)


def test_predict_is_the_equation_of_y_at_the_observed_columns(chain):
    """Seeing, not doing: sample_y and the deviation hold sigma of y's equation alone."""
    model, X, y = chain
    expected = by_hand(model, X, X["x"].to_numpy(), X["m"].to_numpy())
    np.testing.assert_allclose(model.predict(X), expected.mean(axis=0), rtol=1e-9)
    sigma = drawn(model, "y_sigma")
    std = model.predict(X, return_std=True)[1]
    # In closed form, which the draws of squares agree with to chance.
    assert_mean((expected - expected.mean(axis=0)) ** 2 + sigma[:, None] ** 2, std**2)
    alone = estimator(draws=300).fit(X, y)  # the same columns, and no graph
    np.testing.assert_allclose(std, alone.predict(X, return_std=True)[1], rtol=1e-8)
    np.testing.assert_allclose(model.predict(X), alone.predict(X), rtol=1e-8)
    assert model.score(X, y) == pytest.approx(alone.score(X, y), rel=1e-8)
    many = model.sample_y(X.head(3), n_samples=600)
    assert_mean(many.T, expected.mean(axis=0)[:3])


def test_predictive_variance(chain):
    """sigma_y² + b² sigma_m², draw by draw, and over draws that of the parameters besides."""
    model, X, _ = chain
    rows = X.head(100)
    new = flat(model.intervene(rows, do={"x": 1.0}, kind="predictive").draws)
    mean = by_hand(model, rows, 1.0)
    b = coefficient(model, "y", "m")[:, None]
    sigma, s = drawn(model, "y_sigma")[:, None], drawn(model, "m_sigma")[:, None]
    variance = sigma**2 + b**2 * s**2
    assert_standardised((new - mean) / np.sqrt(variance))
    total = variance.mean() + mean.var(axis=0)
    assert abs(np.mean(new.var(axis=0) / total) - 1) < 5 * np.sqrt(2 / new.size)
    assert stats.kstest(((new - mean) / np.sqrt(variance)).ravel(), "norm").pvalue > 1e-4


def test_contrasts_are_paired(chain):
    """Both sides have the same noise, the mediators' too: of a linear effect none is left."""
    model, X, _ = chain
    rows = X.head(20)
    total = coefficient(model, "y", "x") + (
        coefficient(model, "y", "m") * coefficient(model, "m", "x")
    )
    for kind in ("mean", "predictive"):
        effect = model.effect(rows, do={"x": 3.0}, baseline={"x": 1.0}, kind=kind)
        two = np.repeat(2 * total[:, None], 20, axis=1)
        np.testing.assert_allclose(flat(effect.draws), two, rtol=1e-8, atol=1e-8)
        by_default = model.effect(rows, do={"x": 3.0}, kind=kind)
        distance = 3.0 - rows["x"].to_numpy()
        expected = total[:, None] * distance
        np.testing.assert_allclose(flat(by_default.draws), expected, rtol=1e-8, atol=1e-8)
        pair = [model.intervene(rows, {"x": v}, kind=kind) for v in (3.0, 1.0)]
        np.testing.assert_array_equal((pair[0] - pair[1]).draws, effect.draws)
    # against another column forced, m's noise cancels where m is drawn on one side only, not
    mixed = model.effect(rows, {"x": 3.0}, {"m": 1.0}, kind="predictive")
    left = flat(mixed.draws) - (
        by_hand(model, rows, 3.0) - by_hand(model, rows, rows["x"].to_numpy(), 1.0)
    )
    b, s = coefficient(model, "y", "m")[:, None], drawn(model, "m_sigma")[:, None]
    assert_standardised(left / (np.abs(b) * s))


def test_stochastic_policy_through_a_mediator(chain):
    """x ~ N(1, 0.5): mean and variance over rows of each draw, and the noise of m and y on top."""
    model, X, _ = chain
    rows = pd.concat([X.head(1)] * 200, ignore_index=True)
    policy = {"x": stats.norm(1.0, 0.5)}
    total = (
        coefficient(model, "y", "x") + coefficient(model, "y", "m") * coefficient(model, "m", "x")
    )[:, None]
    at_one = by_hand(model, rows, 1.0)
    mean = flat(model.intervene(rows, policy).draws)
    assert_standardised((mean - at_one) / (0.5 * np.abs(total)))
    new = flat(model.intervene(rows, policy, kind="predictive").draws)
    b, s = coefficient(model, "y", "m")[:, None], drawn(model, "m_sigma")[:, None]
    variance = (0.5 * total) ** 2 + (b * s) ** 2 + drawn(model, "y_sigma")[:, None] ** 2
    assert_standardised((new - at_one) / np.sqrt(variance))


def test_blocks_of_rows_do_not_matter(chain, monkeypatch):
    """Where an answer is made in many blocks: the mean to rounding, the noise in law.

    At the edges of a block BLAS adds in another order, so that last bits differ.
    """
    model, X, _ = chain
    whole = model.intervene(X, {"x": 1.0}).draws
    monkeypatch.setattr("interventional.numbers.CHUNK", 600 * 37)
    rounding = 8 * np.finfo(float).eps * float(np.abs(whole).max())
    np.testing.assert_allclose(model.intervene(X, {"x": 1.0}).draws, whole, rtol=0, atol=rounding)
    again = flat(model.intervene(X, {"x": 1.0}, kind="predictive").draws)
    b, s = coefficient(model, "y", "m")[:, None], drawn(model, "m_sigma")[:, None]
    spread = np.sqrt((b * s) ** 2 + drawn(model, "y_sigma")[:, None] ** 2)
    z = (again - flat(whole)) / spread
    assert_standardised(z)
    assert stats.pearsonr(z[:, :37].ravel(), z[:, 37:74].ravel()).pvalue > 1e-4  # fresh noise


def test_threads(chain):
    """Four interventions at once give what they give one after another."""
    model, X, _ = chain
    asks = [({"x": v}, kind) for v in (-1.0, 2.0) for kind in ("mean", "predictive")] * 3

    def answer(ask):
        return model.intervene(X, ask[0], kind=ask[1]).draws.values

    serial = [answer(ask) for ask in asks]
    compiled.compiled.cache_clear()  # so that threads compile at once, too
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(serial, pool.map(answer, asks), strict=True):
            np.testing.assert_array_equal(one, other)


def test_columns_outside_the_graph_cannot_be_forced(chain):
    model, X, y = chain
    model = estimator(graph="x -> m -> y").fit(X, y)
    with pytest.raises(ValueError, match="'k'"):
        model.intervene(X, do={"k": 1.0})
    with pytest.raises(ValueError, match=r"'zz'"):
        model.intervene(X, do={"zz": 1.0})
    with pytest.raises(ValueError, match="the outcome"):
        model.intervene(X, do={"y": 1.0})


def test_effects_of_the_outcome_cannot_be_forced(chain):
    _, X, y = chain
    X = X.assign(w=y + np.random.default_rng(0).normal(size=len(y)))
    model = estimator(graph="x -> m -> y -> w").fit(X, y)
    with pytest.raises(ValueError, match="'w'"):
        model.intervene(X, do={"w": 1.0})


# --- Pipelines ----------------------------------------------------------------------------------


def scaled(model):
    return make_pipeline(StandardScaler().set_output(transform="pandas"), model)


def test_pipeline_with_scaled_columns(chain):
    """The answers of the model in scaled units, asked in raw ones; and those without scaling."""
    model, X, y = chain
    pipeline = scaled(clone(model)).fit(X, y)
    inside, scaler = pipeline[-1], pipeline[0]
    x = (2.0 - X["x"].mean()) / X["x"].std(ddof=0)
    for kind in ("mean", "predictive"):
        outside = intervene(pipeline, X, {"x": 2.0}, kind=kind)
        direct = inside.intervene(scaler.transform(X), {"x": x}, kind=kind)
        np.testing.assert_allclose(outside.draws, direct.draws, rtol=1e-9, atol=1e-9)
    # default priors are scaled by the data, so the posterior is the same
    ours = flat(intervene(pipeline, X, {"x": 2.0}).average().draws)
    raw = flat(model.intervene(X, {"x": 2.0}).average().draws)
    error = np.hypot(ours.std(), raw.std()) / np.sqrt(len(raw))
    assert abs(ours.mean() - raw.mean()) < N_STANDARD_ERRORS * error
    assert abs(ours.std() / raw.std() - 1) < N_STANDARD_ERRORS / np.sqrt(len(raw))


def test_pipeline_forces_what_stays_the_same(chain):
    """Columns forced to what they are observed at have their effects regenerated nonetheless."""
    model, X, y = chain
    pipeline = scaled(clone(model)).fit(X, y)
    inside, rows = pipeline[-1], pipeline[0].transform(X)
    at_zero = -X["k"].mean() / X["k"].std(ddof=0)
    same = {"x": lambda X: X["x"]}
    for do, direct in (
        (same, inside.intervene(rows, same)),
        (same | {"k": 0.0}, inside.intervene(rows, same | {"k": at_zero})),
    ):
        ours = intervene(pipeline, X, do)
        np.testing.assert_allclose(ours.draws, direct.draws, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(intervene(model, X, same).draws, model.intervene(X, same).draws)


def test_pipeline_refuses_what_the_graph_does_not_license():
    """Also where x is forced to what it is."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=60)})
    pipeline = scaled(estimator(graph="x -> y; x <-> y")).fit(X, X["x"] + rng.normal(size=60))
    for do in ({"x": 1.0}, {"x": lambda X: X["x"]}):
        with pytest.raises(NotIdentifiedError, match="x <-> y"):
            intervene(pipeline, X, do)


def test_steps_that_derive_one_node_from_another_are_refused():
    """The graph would have x act on m by m's equation, the step acts by its own."""
    rng = np.random.default_rng(0)
    raw = pd.DataFrame({"x": rng.normal(size=80), "k": rng.normal(size=80)})
    y = raw["x"] + rng.normal(size=80)

    def derive(X):
        return X.assign(m=X["x"] ** 2 + 0.1 * X["k"])

    related = make_pipeline(FunctionTransformer(derive), estimator(graph="x -> m -> y; k -> y"))
    outside = make_pipeline(FunctionTransformer(derive), estimator(graph="x -> y; k -> y"))
    for pipeline in (related, outside):
        pipeline.fit(raw, y)
        with pytest.raises(ValueError, match="design="):
            intervene(pipeline, raw, {"x": 1.0})
    # k alone, which is no cause of m in either graph, moves m as well
    with pytest.raises(ValueError, match="design="):
        intervene(outside, raw, {"k": 1.0})
