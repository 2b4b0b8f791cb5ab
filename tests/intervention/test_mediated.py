"""Mediators that are integrated out, against brute force and Gauss and Hermite's nodes."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    PolynomialFeatures,
    SplineTransformer,
)

from interventional import BayesianInterventionRegressor
from interventional.intervention import forward
from interventional.intervention.mediated import Marginal
from interventional.intervention.nodes import Fineness, kernel, points
from interventional.scm.families import FAMILIES


def flat(draws):
    """Draws as an array of shape (chain * draw, ...)."""
    values = np.asarray(draws)
    return values.reshape(-1, *values.shape[2:])


def drawn(model, name):
    return flat(model.idata_["posterior"][name])


def world(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(size=n), "c": rng.normal(size=n)})
    X["m"] = 0.8 * X["a"] + rng.normal(size=n)
    X["k"] = 0.6 * X["m"] - 0.5 * X["a"] + rng.normal(size=n)
    y = np.sin(X["m"]) + np.cos(X["k"]) + 0.5 * X["a"] + X["c"] + 0.3 * rng.normal(size=n)
    return X, y


def bins():
    return KBinsDiscretizer(5, encode="onehot-dense", quantile_method="averaged_inverted_cdf")


DESIGNS = {
    "spline": SplineTransformer(extrapolation="linear"),
    "straight pieces": SplineTransformer(degree=1),
    "products": PolynomialFeatures(3, include_bias=False),
    "bins": bins(),
    "bins of sums": make_pipeline(
        FunctionTransformer(lambda Z: np.asarray(Z) @ [[1, 0], [0.5, 1], [1, 1]]), bins()
    ),
}
ONE, CHAIN, TWO = (
    "a -> m -> y; a -> y; c -> y",
    "a -> m -> k -> y; a -> y; c -> y",
    ("a -> m -> k -> y; m -> y; a -> y; c -> y"),
)


def errors(model, X, do, streams=300):
    """How many standard errors of an average over draws an answer is off, (draws, n)."""
    inside = []
    original = forward.Expected.chunk

    def beside(self, k, rows):
        found, query = original(self, k, rows), self.query.at(k, rows)
        others = [
            self.evaluate(query, self.model.outcome, self.how, stream=1 + i)
            for i in range(streams)
        ]
        error = np.std(others, axis=0, ddof=1) / np.sqrt(streams)
        off = found - np.mean(others, axis=0)
        inside.append(off / error)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward.Expected, "chunk", beside)
        model.intervene(X, do).mean()
    (found,) = inside
    return found


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("graph", [ONE, CHAIN])
def test_of_one_mediator_it_is_the_average_over_draws(name, graph):
    X, y = world()
    X = X.drop(columns="k") if graph == ONE else X
    model = BayesianInterventionRegressor(
        graph=graph, design={"y": DESIGNS[name]}, draws=15, random_state=0
    ).fit(X, y)
    z = errors(model, X.head(12), {"a": 1.0})
    assert np.abs(z).max() < 5.5  # of 720 that hang together
    assert np.square(z).mean() < 1.6


@pytest.mark.parametrize(
    ("design", "node"),
    [
        (SplineTransformer(), None),
        (PolynomialFeatures(2, include_bias=False), None),
        (SplineTransformer(), "k"),
    ],
)
def test_of_two_mediators_it_is_the_average_over_draws(design, node):
    """Of which terms are added, or multiplied; or one of which bends with the other."""
    X, y = world(seed=1)
    designs = {"y": design} if node is None else {"y": design, node: SplineTransformer()}
    model = BayesianInterventionRegressor(graph=TWO, design=designs, draws=15, random_state=0)
    z = errors(model.fit(X, y), X.head(8), {"a": 1.0})
    assert np.square(z).mean() < 1.6
    assert np.abs(z).max() < 5.5


@pytest.mark.parametrize("name", ["spline", "products", "bins"])
def test_far_within_the_posterior_sd(name):
    """A thousand nodes by hand, from the fitted draws and the design itself."""
    X, y = world(seed=2)
    X = X.drop(columns="k")
    model = BayesianInterventionRegressor(
        graph=ONE, design={"y": DESIGNS[name]}, draws=25, random_state=0
    ).fit(X, y)
    rows = X.head(5)
    design = model.fitted_.model.of_outcome.design.transformer
    u = np.linspace(-6, 6, 4001)
    weights = stats.norm.pdf(u) / stats.norm.pdf(u).sum()
    found = flat(model.intervene(rows, {"a": 1.0}).draws)
    mu = drawn(model, "m_intercept") + drawn(model, "m_beta")[:, 0]
    truth = np.empty_like(found)
    for d, (center, s) in enumerate(zip(mu, drawn(model, "m_sigma"), strict=True)):
        for i, c in enumerate(rows["c"]):
            table = pd.DataFrame({"a": 1.0, "c": c, "m": center + s * u})
            terms = weights @ design.transform(table)
            truth[d, i] = drawn(model, "y_intercept")[d] + terms @ drawn(model, "y_beta")[d]
    off = np.abs(found - truth).max(axis=0) / truth.std(axis=0)
    assert off.max() < 0.02, off


def test_contrasts_averages_and_groups_are_those_of_the_rows():
    X, y = world(seed=3)
    model = BayesianInterventionRegressor(
        graph=CHAIN, design={"y": SplineTransformer()}, draws=50, random_state=0
    ).fit(X, y)
    effect = model.effect(X, do={"a": 1.0}, baseline={"a": 0.0})
    rows = flat(effect.draws)
    sides = [flat(model.intervene(X, {"a": value}).draws) for value in (1.0, 0.0)]
    np.testing.assert_allclose(rows, sides[0] - sides[1], atol=1e-12)
    np.testing.assert_allclose(flat(effect.average().draws).ravel(), rows.mean(axis=1), rtol=1e-9)
    by = np.asarray(X["c"] > 0)
    of_groups = flat(effect.average(by=by).draws)
    np.testing.assert_allclose(of_groups[:, 1], rows[:, by].mean(axis=1), rtol=1e-9)
    # No noise is left in it: other seeds give the same, and so do these rows alone, turned round.
    again = model.effect(X.iloc[7:2:-1], do={"a": 1.0}, baseline={"a": 0.0})
    np.testing.assert_allclose(flat(again.draws), rows[:, 7:2:-1], rtol=1e-9, atol=1e-9)


def test_what_a_design_refuses_far_out_is_drawn_as_ever():
    """A logarithm of a mediator that is positive wherever it is drawn, and not five sds out."""
    rng = np.random.default_rng(4)
    X = pd.DataFrame({"a": rng.uniform(size=200)})
    X["m"] = 4.4 + 0.1 * X["a"] + rng.normal(size=200) * 1.0
    X = X[X["m"] > 0.5].reset_index(drop=True)
    y = np.log(X["m"]) + 0.1 * rng.normal(size=len(X))
    log = FunctionTransformer(np.log, feature_names_out="one-to-one")
    model = BayesianInterventionRegressor(
        graph="a -> m -> y", design={"y": log}, draws=2, chains=2, random_state=0
    ).fit(X, y)
    found = flat(model.intervene(X.head(1), {"a": 0.5}).draws)
    s = drawn(model, "m_sigma")
    mu = drawn(model, "m_intercept") + 0.5 * drawn(model, "m_beta")[:, 0]
    nodes = np.linspace(-3.5, 3.5, 701)
    weights = stats.norm.pdf(nodes) / stats.norm.pdf(nodes).sum()
    truth = np.log(mu[:, None] + s[:, None] * nodes) @ weights
    truth = drawn(model, "y_intercept") + drawn(model, "y_beta")[:, 0] * truth
    assert np.abs(found[:, 0] - truth).max() < 4 * 0.35 / np.sqrt(50)


@pytest.mark.parametrize(
    ("name", "eta", "dispersion"),
    [
        ("gaussian", 0.4, {"sigma": 1.3}),
        ("lognormal", 0.4, {"sigma": 0.8}),
        ("student_t", 0.4, {"sigma": 1.3, "nu": 4.5}),
        ("gamma", 0.4, {"alpha": 2.3}),
        ("gamma", 0.4, {"alpha": 0.4}),
        ("beta", 0.4, {"phi": 6.0}),
        ("poisson", 1.4, {}),
        ("poisson", 8.0, {}),
        ("negative_binomial", 1.4, {"alpha": 1.7}),
    ],
)
def test_points_have_the_family_s_moments(name, eta, dispersion):
    """Weighted points have the mean and variance that the family says, draw by draw."""
    rng, family = np.random.default_rng(5), FAMILIES[name]
    etas = eta + 0.1 * rng.normal(size=(6, 2))
    held = {k: v * np.exp(0.05 * rng.normal(size=(6, 1))) for k, v in dispersion.items()}
    at = points(family, etas, held, Fineness(0.5, 1e-9), 2000)
    log_density = kernel(family, etas, held)
    weights = np.stack(
        [np.exp(log_density(v) + w) for v, w in zip(at.values, at.log_width, strict=True)]
    )
    weights /= weights.sum(axis=0)
    mean = np.einsum("gdn,gn->dn", weights, at.values)
    expected = family.mean(etas, held)
    sd = np.sqrt(np.broadcast_to(family.variance(expected, held), mean.shape))
    assert (np.abs(mean - expected) < 1e-4 * sd).all()
    variance = np.einsum("gdn,gdn->dn", weights, (at.values[:, None] - mean) ** 2)
    np.testing.assert_allclose(variance, sd**2, rtol=1e-2 if name == "student_t" else 1e-3)
    # The kernel is the density, up to what no value changes.
    values = at.values[len(at.values) // 2 :][:3]
    whole = [family.log_density(v, etas, family.link.inverse(etas), held) for v in values]
    ours = [log_density(v) for v in values]
    np.testing.assert_allclose(whole[1] - whole[0], ours[1] - ours[0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(whole[2] - whole[0], ours[2] - ours[0], rtol=1e-7, atol=1e-9)


def test_too_many_points_are_none():
    family = FAMILIES["gaussian"]
    eta, sigma = np.array([[0.0], [1e6]]), np.array([[1.0], [1.0]])
    assert points(family, eta, {"sigma": sigma}, Fineness(0.5, 1e-7), 1000) is None
    assert points(family, eta, {"sigma": 0 * sigma}, Fineness(0.5, 1e-7), 1000) is None


def test_draws_that_are_far_apart_take_more_polynomials():
    sd = np.ones((100, 1))
    near = Marginal(np.linspace(0, 0.1, 100)[:, None], sd)
    far = Marginal(np.linspace(0, 2.0, 100)[:, None], sd)
    apart = Marginal(np.linspace(0, 200.0, 100)[:, None], sd)
    sizes = [int(each.sizes[0, 0]) for each in (near, far, apart)]
    assert 1 < sizes[0] < sizes[1]
    assert sizes[2] == 0
    assert near.sizes[0, 1] == 1
