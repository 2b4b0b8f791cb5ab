"""Counterfactuals and decompositions of effects, against closed forms and enumeration by hand."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS, assert_mean
from scipy.special import expit
from scipy.stats import norm
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from interventional import BayesianInterventionRegressor, NotIdentifiedError

GRAPH = "c -> x -> m -> k -> y; m -> y; x -> y; c -> m; c -> y; x -> k"


def estimator(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 100, "chains": 2, "random_state": 6} | parameters
    )


def flat(draws):
    """Draws as an array of shape (chain * draw, ...)."""
    values = np.asarray(draws)
    return values.reshape(-1, *values.shape[2:])


def coefficient(model, node, term):
    """Draws of a coefficient, (chain * draw, 1)."""
    draws = model.idata_["posterior"][f"{node}_beta"].sel({f"{node}_term": term})
    return flat(draws)[:, None]


def intercept(model, node):
    return flat(model.idata_["posterior"][f"{node}_intercept"])[:, None]


def rows(n, seed):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=n)
    x = 0.8 * c + rng.normal(size=n)
    m = 1 + 0.7 * x - c + 0.6 * rng.normal(size=n)
    k = 0.5 * m - 0.3 * x + 0.5 * rng.normal(size=n)
    y = 2 - 0.4 * x + 1.2 * m + 0.8 * k + c + 0.7 * rng.normal(size=n)
    return pd.DataFrame({"k": k, "c": c, "x": x, "m": m}), y


@pytest.fixture(scope="module")
def linear():
    X, y = rows(300, seed=1)
    return estimator(graph=GRAPH).fit(X, y), X, y


@pytest.fixture(scope="module")
def curved():
    """Splines and products in every equation."""
    X, y = rows(300, seed=2)
    design = {
        "m": SplineTransformer(5, include_bias=False, extrapolation="linear"),
        "k": PolynomialFeatures(2, include_bias=False),
        "y": PolynomialFeatures(2, include_bias=False),
    }
    return estimator(graph=GRAPH, design=design).fit(X, y + 0.3 * X["m"] ** 2), X, y


@pytest.fixture(scope="module")
def alone():
    """No graph."""
    X, y = rows(100, seed=3)
    return estimator(design=SplineTransformer(4, extrapolation="linear")).fit(X, y), X, y


# --- Counterfactuals ----------------------------------------------------------------------------

UNCHANGED = [["x"], ["c"], ["m"], ["k"], ["x", "m"], ["c", "x", "m", "k"]]


@pytest.mark.parametrize("which", ["linear", "curved", "alone"])
@pytest.mark.parametrize("columns", UNCHANGED)
def test_nothing_changed_is_what_happened(which, columns, request):
    """Columns forced to what they were: y itself, in every draw, for old rows and new."""
    model, X, y = request.getfixturevalue(which)
    for table, outcome in ((X, y), rows(7, seed=9)):
        as_it_was = {name: table[name] for name in columns}
        ours = flat(model.counterfactual(table, outcome, as_it_was).draws)
        np.testing.assert_allclose(ours, np.tile(outcome, (200, 1)), rtol=1e-8, atol=1e-8)


def through(model, *path):
    """Draws of the product of coefficients along a path."""
    product = 1.0
    for cause, effect in pairwise(path):
        product = product * coefficient(model, effect, cause)
    return product


@pytest.mark.parametrize("n", [1, 300, 1000])
def test_linear_closed_form(linear, n):
    """y + the effect of the change, row by row and draw by draw; nothing of it is noise."""
    model, X, y = linear
    if n != len(X):
        X, y = rows(n, seed=n)
    of_x = through(model, "x", "y") + through(model, "x", "m", "y")
    of_x = of_x + through(model, "x", "k", "y") + through(model, "x", "m", "k", "y")
    moved = 1.5 - X["x"].to_numpy()
    ours = model.counterfactual(X, y, do={"x": 1.5})
    np.testing.assert_allclose(flat(ours.draws), y + of_x * moved, rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(ours.draws.indexes["obs"], X.index)

    # with k held where it was, its paths are blocked; x + 1 reads the rows
    without_k = through(model, "x", "y") + through(model, "x", "m", "y")
    held = model.counterfactual(X, y, do={"x": lambda X: X["x"] + 1, "k": X["k"]})
    np.testing.assert_allclose(flat(held.draws), y + without_k + np.zeros(n), rtol=1e-8)

    # m forced: x is its cause, and stays; k follows
    of_m = through(model, "m", "y") + through(model, "m", "k", "y")
    forced = model.counterfactual(X, y, do={"m": 0.0})
    expected = y - of_m * X["m"].to_numpy()
    np.testing.assert_allclose(flat(forced.draws), expected, rtol=1e-8, atol=1e-8)


def test_residuals_are_the_rows_own(linear):
    """Another factual m or y moves the answer by as much as its residual says, unlike intervene.

    With x forced, m keeps its residual: one more m is one more m in the other world as well.
    """
    model, X, y = linear
    before = flat(model.counterfactual(X, y, {"x": 0.0}).draws)
    more_y = flat(model.counterfactual(X, y + 3.0, {"x": 0.0}).draws)
    np.testing.assert_allclose(more_y, before + 3.0, rtol=1e-8, atol=1e-8)
    more_m = flat(model.counterfactual(X.assign(m=X["m"] + 1), y, {"x": 0.0}).draws)
    # y's residual falls by what m's residual brings: in a linear model nothing is left of it
    np.testing.assert_allclose(more_m, before, rtol=1e-8, atol=1e-8)
    intervened = flat(model.intervene(X, {"x": 0.0}).draws)
    assert np.abs(before - intervened).mean() > 0.3


def test_three_rungs_differ(linear):
    """Seeing x = 1, doing it, and imagining it for these rows: three numbers, each by hand."""
    model, X, y = linear
    seen = model.predict(X.assign(x=1.0))
    assert np.abs(seen - model.intervene(X, {"x": 1.0}).mean()).mean() > 0.3
    moved = 1.0 - X["x"].to_numpy()
    total = through(model, "x", "y") + through(model, "x", "m", "y")
    total = total + through(model, "x", "k", "y") + through(model, "x", "m", "k", "y")
    imagined = model.counterfactual(X, y, {"x": 1.0}).mean()
    np.testing.assert_allclose(imagined, (y + total * moved).mean(axis=0), rtol=1e-8)
    direct = through(model, "x", "y").mean() * moved
    np.testing.assert_allclose(seen, model.predict(X) + direct, rtol=1e-8)


def test_curved_equations_by_hand(curved):
    """Abduction, action and prediction by NumPy, with transformers fitted by hand."""
    model, X, _ = curved
    new, y = rows(9, seed=4)
    spline = SplineTransformer(5, include_bias=False, extrapolation="linear").fit(X[["c", "x"]])
    quadratic = PolynomialFeatures(2, include_bias=False)
    posterior = model.idata_["posterior"]

    def mean(node, transformer, **columns):
        table = np.stack(np.broadcast_arrays(*columns.values()), axis=-1)
        frame = pd.DataFrame(table.reshape(-1, table.shape[-1]), columns=list(columns))
        matrix = transformer.fit_transform(frame) if transformer is quadratic else None
        matrix = transformer.transform(frame) if matrix is None else matrix
        matrix = matrix.reshape(*table.shape[:-1], -1)
        return intercept(model, node) + np.einsum(
            "...nt,...t->...n", matrix, flat(posterior[f"{node}_beta"])
        )

    def outcome(x, m_residual, k_residual, y_residual):
        """What follows from x: in y as observed if all residuals are zero and noise is added."""
        c, x = (np.broadcast_to(v, (200, 9)) for v in (new["c"].to_numpy(), x))
        m = mean("m", spline, c=c, x=x) + m_residual
        k = mean("k", quadratic, x=x, m=m) + k_residual
        return mean("y", quadratic, k=k, c=c, x=x, m=m) + y_residual

    observed = {name: np.broadcast_to(new[name].to_numpy(), (200, 9)) for name in new}
    c, x, m, k = (observed[name] for name in "cxmk")
    residuals = (
        m - mean("m", spline, c=c, x=x),
        k - mean("k", quadratic, x=x, m=m),
        y - mean("y", quadratic, k=k, c=c, x=x, m=m),
    )
    np.testing.assert_allclose(outcome(x, *residuals), np.tile(y, (200, 1)), rtol=1e-8, atol=1e-8)
    ours = flat(model.counterfactual(new, y, {"x": 0.7}).draws)
    np.testing.assert_allclose(ours, outcome(0.7, *residuals), rtol=1e-8, atol=1e-8)


def test_without_a_graph(alone):
    """y + f(columns as forced) - f(columns as they were), f the spline fitted by hand."""
    model, X, _ = alone
    new, y = rows(8, seed=5)
    spline = SplineTransformer(4, extrapolation="linear").fit(X)
    moved = spline.transform(new.assign(x=0.3)) - spline.transform(new)
    ours = flat(model.counterfactual(new, y, {"x": 0.3}).draws)
    expected = y + flat(model.idata_["posterior"]["y_beta"]) @ moved.T
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-8)


def test_counterfactual_of_the_true_model():
    """Against what the true equations say of the same rows with the same noise."""
    rng = np.random.default_rng(7)
    n = 4000
    x, e, f = rng.normal(size=(3, n))

    def world(x):
        m = 0.8 * x + e
        return m, 1 + m + 0.5 * x + f

    m, y = world(x)
    model = estimator(graph="x -> m -> y; x -> y").fit(pd.DataFrame({"x": x, "m": m}), y)
    rows = pd.DataFrame({"x": x, "m": m}).head(200)
    ours = model.counterfactual(rows, y[:200], {"x": 2.0})
    z = (ours.mean() - world(np.full(n, 2.0))[1][:200]) / ours.std()
    assert np.abs(z).max() < 4  # all rows share the few parameters that are not known
    assert ours.std().max() < 0.2  # their noise is known, and it alone is 1.4
    assert ours.std().min() > 0


def test_front_door_counterfactual():
    """x at its factual value in y's equation says what the hidden cause was."""
    rng = np.random.default_rng(8)
    n = 3000
    u = rng.normal(size=n)
    x = u + rng.normal(size=n)
    m = 0.8 * x + rng.normal(size=n)
    y = 1.5 * m - 2.0 * u + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "m": m})
    model = estimator(graph="x -> m -> y; x <-> y").fit(X, y)
    ours = model.counterfactual(X, y, {"x": 0.0})
    by_hand = y - through(model, "x", "m", "y") * x
    np.testing.assert_allclose(flat(ours.draws), by_hand, rtol=1e-8, atol=1e-8)
    z = (ours.mean() - (y - 1.2 * x)) / ours.std()
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("dtype", ["bool", "string"])
def test_noise_that_is_not_additive_is_refused(arbitrary_levels, dtype):
    """The message names the node; where the intervention does not reach it, all is well."""
    X, y = rows(60, seed=6)
    X["m"] = X["m"] > 0 if dtype == "bool" else np.where(X["m"] > 0, "high", "low")
    model = estimator(graph=GRAPH).fit(X, y)
    for do in ({"x": 0.0}, {"c": 0.0}):
        with pytest.raises(ValueError, match=r"'m'.*not\s+additive"):
            model.counterfactual(X, y, do)
    reached = model.counterfactual(X, y, {"k": 0.0})
    expected = y - through(model, "k", "y") * X["k"].to_numpy()
    np.testing.assert_allclose(flat(reached.draws), expected, rtol=1e-8, atol=1e-8)
    held = flat(model.counterfactual(X, y, {"x": X["x"] + 1, "m": X["m"]}).draws)
    by = through(model, "x", "y") + through(model, "x", "k", "y")
    np.testing.assert_allclose(held, y + by + np.zeros(60), rtol=1e-8)


def test_bad_input(linear):
    model, X, y = linear
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.counterfactual(X, y[:-1], {"x": 0.0})
    with pytest.raises(ValueError, match="NaN"):
        model.counterfactual(X, np.where(np.arange(300) == 4, np.nan, y), {"x": 0.0})
    with pytest.raises(ValueError, match="infinity"):
        model.counterfactual(X, np.where(np.arange(300) == 4, np.inf, y), {"x": 0.0})
    with pytest.raises(ValueError, match="empty"):
        model.counterfactual(X, y, {})
    with pytest.raises(ValueError, match="the outcome"):
        model.counterfactual(X, y, {"y": 0.0})
    with pytest.raises(ValueError, match="feature names should match"):
        model.counterfactual(X.drop(columns="k"), y, {"x": 0.0})
    with pytest.raises(NotFittedError):
        estimator().counterfactual(X, y, {"x": 0.0})
    with pytest.raises(NotFittedError):
        estimator().decompose(X, {"x": 0.0})


def test_answers_carry_labels_and_words(linear):
    model, X, y = linear
    X = X.set_index(np.arange(300) + 50)
    ours = model.counterfactual(X, pd.Series(y, index=X.index), {"x": 0.0})
    assert "y had it been that x = 0.0" in repr(ours)
    assert list(ours.summary().index[:2]) == [50, 51]
    again = model.counterfactual(X, y, {"x": 0.0})
    np.testing.assert_array_equal(ours.draws, again.draws)
    # a y of other labels is not reordered behind the user's back: rows are rows
    average = ours.average()
    assert average.mean() == pytest.approx(ours.mean().mean())


# --- Decomposition ------------------------------------------------------------------------------


@pytest.fixture
def arbitrary_levels(monkeypatch):
    """Have categorical equations take any parameters for draws: what follows is given these."""

    def sample(build, data, key, sampling, label):
        rng = np.random.default_rng(0)
        (node, _, _, n_blocks, *_), size, _ = key
        assert n_blocks == 1
        shape = (sampling.chains, sampling.draws)
        found = {f"{node}_beta": rng.normal(size=(*shape, size))}
        return {**found, f"{node}_intercept": rng.normal(size=shape)}, {}, "none", []

    monkeypatch.setattr("interventional.inference.nuts.sample", sample)


@pytest.mark.parametrize("n", [5, 300])
def test_linear_decomposition(linear, n):
    """Products of coefficients, draw by draw and row by row; the parts add up."""
    model, X, _ = linear
    X = X.head(n)
    parts = model.decompose(X, {"x": 2.0}, {"x": -1.0})
    assert sorted(parts) == ["direct", "indirect", "total"]
    indirect = through(model, "x", "m", "y") + through(model, "x", "k", "y")
    indirect = indirect + through(model, "x", "m", "k", "y")
    ones = np.ones(n)
    direct = 3 * through(model, "x", "y") * ones
    np.testing.assert_allclose(flat(parts["direct"].draws), direct, rtol=1e-8)
    np.testing.assert_allclose(flat(parts["indirect"].draws), 3 * indirect * ones, rtol=1e-8)
    summed = parts["direct"].draws + parts["indirect"].draws
    np.testing.assert_allclose(parts["total"].draws, summed, rtol=1e-12, atol=1e-12)
    effect = model.effect(X, {"x": 2.0}, {"x": -1.0})
    np.testing.assert_allclose(parts["total"].draws, effect.draws, rtol=1e-8)


def test_default_baseline_is_as_observed(linear):
    model, X, _ = linear
    moved = 2.0 - X["x"].to_numpy()
    direct = model.decompose(X, {"x": 2.0})["direct"]
    expected = through(model, "x", "y") * moved
    np.testing.assert_allclose(flat(direct.draws), expected, rtol=1e-8, atol=1e-8)
    # nothing is mediated where nothing is between
    parts = model.decompose(X, {"k": 2.0})
    assert not parts["indirect"].std().any()
    assert not parts["indirect"].mean().any()
    np.testing.assert_allclose(parts["total"].draws, model.effect(X, {"k": 2.0}).draws, rtol=1e-8)


def test_decomposition_recovers_the_truth():
    """0.5 directly, 0.8 * 1.5 through m: within 4 posterior deviations, x confounded by c."""
    rng = np.random.default_rng(12)
    c = rng.normal(size=3000)
    x = c + rng.normal(size=3000)
    m = 0.8 * x - c + rng.normal(size=3000)
    y = 0.5 * x + 1.5 * m + c + rng.normal(size=3000)
    X = pd.DataFrame({"x": x, "m": m, "c": c})
    model = estimator(graph="c -> x; c -> m; c -> y; x -> m -> y; x -> y").fit(X, y)
    parts = model.decompose(X.head(2), {"x": 1.0}, {"x": 0.0})
    for name, truth in (("direct", 0.5), ("indirect", 1.2), ("total", 1.7)):
        draws = flat(parts[name].average().draws).ravel()
        assert abs(draws.mean() - truth) < 4 * draws.std()
        assert draws.std() < 0.1


def test_decomposition_through_a_bool_by_enumeration(arbitrary_levels):
    """Pearl's mediation formula, summed by hand from the fitted draws, x times m in y.

    direct: sum over m of (y(x1, m) - y(x0, m)) p(m | x0); indirect: y(x1, .) under p(m | x1)
    less under p(m | x0). Each row's draw holds one m, so averages are compared.
    """
    rng = np.random.default_rng(13)
    n = 400
    x = rng.normal(size=n)
    m = rng.random(n) < expit(x)
    y = x + m + x * m + rng.normal(size=n)
    X = pd.DataFrame({"x": x, "m": m})
    design = {"y": PolynomialFeatures(2, interaction_only=True, include_bias=False)}
    model = estimator(graph="x -> m -> y; x -> y", design=design).fit(X, y)
    old, new = -0.5, 1.0

    def at(x, m):
        b = {term: coefficient(model, "y", term) for term in ("x", "m", "x m")}
        return intercept(model, "y") + b["x"] * x + b["m"] * m + b["x m"] * x * m

    p = [
        expit(intercept(model, "m") + coefficient(model, "m", "x") * value) for value in (old, new)
    ]
    mixed = {
        (i, j): at(value, 1.0) * p[j] + at(value, 0.0) * (1 - p[j])
        for i, value in enumerate((old, new))
        for j in (0, 1)
    }
    truth = {
        "direct": mixed[1, 0] - mixed[0, 0],
        "indirect": mixed[1, 1] - mixed[1, 0],
        "total": mixed[1, 1] - mixed[0, 0],
    }
    parts = model.decompose(X, {"x": new}, {"x": old})
    jump = {"direct": at(new, 1.0) - at(new, 0.0) - (at(old, 1.0) - at(old, 0.0))}
    for name, outcomes in parts.items():
        draws = flat(outcomes.draws)
        assert np.abs(truth[name]).mean() > 0.2
        error = draws.std(axis=1, ddof=1, keepdims=True) / np.sqrt(n)
        z = (draws.mean(axis=1, keepdims=True) - truth[name]) / np.where(error > 0, error, 1)
        assert np.abs(z).max() < 6  # of 200 draws; their means are skewed
        assert_mean(z.ravel(), 0.0)
        np.testing.assert_allclose(
            flat(outcomes.average().draws).ravel(), draws.mean(axis=1), rtol=1e-8, atol=1e-12
        )
    spread = np.abs(jump["direct"]) * np.sqrt(p[0] * (1 - p[0]))
    np.testing.assert_allclose(flat(parts["direct"].draws).std(axis=1), spread[:, 0], rtol=0.2)
    total = model.effect(X, {"x": new}, {"x": old})
    np.testing.assert_allclose(flat(total.draws), truth["total"] * np.ones(n), rtol=1e-8)


def test_decomposition_through_curved_equations(curved):
    """The parts add up, and their total is the effect, within the noise of mediators."""
    model, X, _ = curved
    X = X.head(100)
    parts = model.decompose(X, {"x": 1.0}, {"x": 0.0})
    summed = parts["direct"].draws + parts["indirect"].draws
    np.testing.assert_allclose(parts["total"].draws, summed, rtol=1e-9, atol=1e-12)
    effect = flat(model.effect(X, {"x": 1.0}, {"x": 0.0}).draws)
    difference = flat(parts["total"].draws) - effect
    by_draw = difference.mean(axis=1) / (difference.std(axis=1) / np.sqrt(len(X)))
    assert np.abs(by_draw).max() < 6
    assert 0.5 < by_draw.std() < 1.5
    assert np.abs(parts["indirect"].average().mean()) > 0.3


def test_policies_are_decomposed(linear):
    """A drawn policy: each draw's direct part is the coefficient times what was drawn."""
    model, X, _ = linear
    parts = model.decompose(X.head(50), {"x": norm(1.0, 0.5)}, {"x": 0.0})
    direct = flat(parts["direct"].draws) / through(model, "x", "y")
    indirect = through(model, "x", "m", "y") + through(model, "x", "k", "y")
    indirect = indirect + through(model, "x", "m", "k", "y")
    np.testing.assert_allclose(flat(parts["indirect"].draws), indirect * direct, rtol=1e-7)
    z = (direct - 1.0) / 0.5
    assert_mean(z.ravel(), 0.0)
    assert_mean(z.ravel() ** 2, 1.0)


def test_do_and_baseline_must_force_the_same(linear):
    model, X, _ = linear
    with pytest.raises(ValueError, match="same columns"):
        model.decompose(X, {"x": 1.0}, {"m": 1.0})
    with pytest.raises(ValueError, match="same columns"):
        model.decompose(X, {"x": 1.0}, {"x": 1.0, "c": 0.0})
    with pytest.raises(ValueError, match="empty"):
        model.decompose(X, {})


# --- What a hidden cause of a mediator forbids --------------------------------------------------


@pytest.fixture(scope="module")
def confounded_mediator():
    """m and y share a cause: the total effect of x is identified, what is of m is not."""
    rng = np.random.default_rng(14)
    x, u = rng.normal(size=(2, 3000))
    m = 0.8 * x + u + rng.normal(size=3000)
    y = 0.4 * x + 1.5 * m - 2.0 * u + rng.normal(size=3000)
    X = pd.DataFrame({"x": x, "m": m})
    return X, y


@pytest.mark.parametrize("graph", ["x -> m -> y; x -> y; m <-> y", "x -> m -> y; m <-> y"])
def test_confounded_mediator_is_refused(confounded_mediator, graph):
    """By both; were they to answer, m's coefficient would be off by more than 10 deviations."""
    X, y = confounded_mediator
    model = estimator(graph=graph).fit(X, y)
    off = coefficient(model, "y", "m") - 1.5
    assert abs(off.mean()) > 10 * off.std()
    with pytest.raises(NotIdentifiedError, match="m <-> y"):
        model.decompose(X, {"x": 1.0}, {"x": 0.0})
    with pytest.raises(NotIdentifiedError, match="m <-> y"):
        model.counterfactual(X, y, {"x": 1.0})
    if "x -> y" in graph:
        effect = flat(model.effect(X.head(1), {"x": 1.0}, {"x": 0.0}).draws)
        assert abs(effect.mean() - 1.6) < N_STANDARD_ERRORS * effect.std()
