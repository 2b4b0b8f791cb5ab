from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS, mixed_surface
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom, multivariate_normal, poisson
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from interventional.data.schema import Schema
from interventional.data.seen_surface import SeenSurface
from interventional.data.smooth import SmoothDesign
from interventional.inference.evidence import Rows
from interventional.inference.landmarks import Told
from interventional.inference.latent import Latent, Likelihood, mode
from interventional.inference.surfaces import Form, Problem
from interventional.scm.canonical import canonical
from interventional.scm.defaults import resolve
from interventional.scm.equations import Equation
from interventional.scm.families import FAMILIES as RECORDS
from interventional.scm.surface_priors import SurfacePriors

FAMILIES = ("bernoulli", "poisson")
FORMS = [(True, True, True, True), (True, False, False, True), (False, False, False, True)]


def problem(family, n=40, seed=0):
    """Rows with a line, weights and an offset."""
    rng = np.random.default_rng(seed)
    X, values, surface = mixed_surface(rng, n)
    weights = rng.integers(1, 4, n).astype(float)
    eta = np.sin(2 * X["a"].to_numpy())
    if family == "bernoulli":
        y = rng.binomial(weights.astype(int), expit(eta))
    else:
        y = rng.poisson(weights * np.exp(eta))
    line, offset = rng.normal(size=(n, 3)), 0.3 * rng.normal(size=n)
    of = surface.inputs(values), line, y / weights, weights, np.zeros(n), offset
    return surface, Rows(*of)


def latent(family, surface, rows, on=FORMS[0], dtype=np.float64):
    of = surface, rows, SurfacePriors.of(surface, 1.0), on, np.zeros_like, 1.0, dtype
    return Latent(*of, family=canonical(RECORDS[family]))


def some_theta(of, seed=1):
    theta = of.mean + 0.5 * np.random.default_rng(seed).normal(size=len(of.mean))
    theta[-1] = 0.0
    return theta


def covariance(of, theta):
    surface, rows = of.surface, of.rows
    scale, length, _ = of.split(theta)
    bending = [c for c, _ in surface.bending]
    lines = surface.lines(rows.inputs, scale)
    total = surface.kernel(bending, rows.inputs, rows.inputs, scale, length)
    return total + lines @ lines.T + rows.line @ rows.line.T


def log_p(family, eta, rows):
    """Return log probabilities, (n,), by SciPy's own."""
    m = rows.weights
    y = np.rint(rows.target * m)
    eta = eta + rows.offset
    if family == "bernoulli":
        return binom.logpmf(y, m, expit(eta))
    return poisson.logpmf(y, m * np.exp(eta))


def curvature(family, eta, rows):
    eta = eta + rows.offset
    each = expit(eta) * expit(-eta) if family == "bernoulli" else np.exp(eta)
    return rows.weights * each


def dense_mode(family, K, rows):
    """Return the mode of eta by a general minimiser, in coordinates where the prior is N(0, I)."""
    root = np.linalg.cholesky(K + 1e-9 * np.eye(len(K)))
    m = rows.weights

    def f(v):
        eta = root @ v
        at = eta + rows.offset
        mean = expit(at) if family == "bernoulli" else np.exp(at)
        slope = m * (rows.target - mean)
        return 0.5 * v @ v - log_p(family, eta, rows).sum(), v - root.T @ slope

    options = {"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(f, np.zeros(len(K)), jac=True, method="L-BFGS-B", options=options)
    return root @ found.x, found.x


def dense_evidence(family, K, rows):
    eta, v = dense_mode(family, K, rows)
    half = np.sqrt(curvature(family, eta, rows))
    _, log_det = np.linalg.slogdet(np.eye(len(K)) + half[:, None] * K * half)
    return log_p(family, eta, rows).sum() - 0.5 * v @ v - 0.5 * log_det


def log_prior(of, theta):
    free = of.free
    if not len(free):
        return 0.0
    cov = (of.root @ of.root.T)[np.ix_(free, free)]
    return multivariate_normal(of.mean[free], cov).logpdf(theta[free])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("on", FORMS)
@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-4), (np.float32, 1e-2)])
def test_the_density_is_laplaces(family, on, dtype, error):
    """Differences of it; the mode by another minimiser, and determinants as they are."""
    surface, rows = problem(family)
    of = latent(family, surface, rows, on, dtype)

    def expected(theta):
        return dense_evidence(family, covariance(of, theta), rows) + log_prior(of, theta)

    first, second = some_theta(of, 1), some_theta(of, 2)
    if on == FORMS[2]:  # nothing depends on theta
        line = replace(rows, line=2 * rows.line)
        other = latent(family, surface, line, on, dtype)
        found = of(first)[0] - other(first)[0]
        expected_first = dense_evidence(family, covariance(of, first), rows)
        expected_second = dense_evidence(family, covariance(other, first), line)
        assert abs(found + expected_first - expected_second) < error
        return
    found = of(first)[0] - of(second)[0]
    assert abs(found + expected(first) - expected(second)) < error


def test_the_density_is_scikit_learns():
    surface, rows = problem("bernoulli")
    n = len(rows.target)
    y = (rows.target > 0.5).astype(float)
    bare = Rows(rows.inputs, np.empty((n, 0)), y, np.ones(n), np.zeros(n), np.zeros(n))
    of = latent("bernoulli", surface, bare, (True, False, False, False))
    theta = some_theta(of)
    scale, length, _ = of.split(theta)
    part = surface.components[0]
    kernel = ConstantKernel(scale[0] ** 2) * Matern(length[part.lengths], nu=2.5)
    theirs = GaussianProcessClassifier(kernel, optimizer=None)
    theirs.fit(rows.inputs.features[:, part.features], y)
    off = theta[of.free] - of.mean[of.free]
    cov = (of.root @ of.root.T)[np.ix_(of.free, of.free)]
    expected = theirs.log_marginal_likelihood_value_ - 0.5 * off @ np.linalg.solve(cov, off)
    np.testing.assert_allclose(-of(theta)[0], expected, atol=1e-4)


def test_the_density_is_that_of_a_grid():
    """Two rows with large counts, where Laplace's method is next to exact."""
    surface, rows = problem("poisson")
    two = replace(rows.take(np.array([0, 1])), target=np.array([150.0, 400.0]))
    of = latent("poisson", surface, two)
    eta, width = np.log(two.target) - two.offset, 0.4
    grid = np.linspace(-width, width, 121)
    at = np.stack(np.meshgrid(*(grid + eta[:, None])), axis=-1).reshape(-1, 2)
    own = sum(
        poisson.logpmf(np.rint(m * y), m * np.exp(at[:, i] + o))
        for i, (m, y, o) in enumerate(zip(two.weights, two.target, two.offset, strict=True))
    )

    def expected(theta):
        prior = multivariate_normal(np.zeros(2), covariance(of, theta)).logpdf(at)
        return np.logaddexp.reduce(own + prior) + log_prior(of, theta)

    first, second = some_theta(of, 1), some_theta(of, 2)
    found = of(second)[0] - of(first)[0]
    np.testing.assert_allclose(found, expected(first) - expected(second), atol=5e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("on", FORMS[:2])
def test_the_gradient_is_one(family, on):
    of = latent(family, *problem(family), on)
    theta, step = some_theta(of), 1e-4
    _, found = of(theta)
    for k in of.free:
        ahead, behind = theta.copy(), theta.copy()
        ahead[k], behind[k] = theta[k] + step, theta[k] - step
        expected = (of(ahead)[0] - of(behind)[0]) / (2 * step)
        assert abs(found[k] - expected) < 1e-6 * max(1, abs(expected))
    assert found[-1] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_single_precision_is_enough(family):
    surface, rows = problem(family, 120)
    precise = latent(family, surface, rows)
    fast = latent(family, surface, rows, dtype=np.float32)
    theta = some_theta(precise)
    (value, slope), (near, close) = precise(theta), fast(theta)
    assert abs(value - near) < 2e-3
    np.testing.assert_allclose(close, slope, atol=5e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_are_the_same_count_as_often(family):
    surface, rows = problem(family)
    m = rows.weights.astype(int)
    own = np.repeat(np.arange(len(m)), m)
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, len(own)).astype(float)
    each = replace(rows.take(own), target=y, weights=np.ones(len(own)))
    together = replace(rows, target=np.bincount(own, y) / m)
    one, other = latent(family, surface, each), latent(family, surface, together)
    first, second = some_theta(one, 1), some_theta(one, 2)
    found = one(first)[0] - one(second)[0]
    # rows that are the same share all but a jitter
    np.testing.assert_allclose(found, other(first)[0] - other(second)[0], atol=1e-4)
    np.testing.assert_allclose(one(first)[1], other(first)[1], atol=1e-3)


def test_counts_over_exposures_are_their_sums():
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"x": rng.integers(0, 5, size=40).astype(float)})
    schema = Schema.of(X)
    values = schema.encode(X)
    design = SmoothDesign.of(schema, [], values, None)
    exposure = rng.uniform(0.5, 3, size=40)
    y, weights = rng.poisson(2 * exposure).astype(float), rng.integers(1, 4, 40).astype(float)
    seen = SeenSurface.of(design, values, y, weights, on_link=(0.3, 1.0, 0.7), exposures=exposure)
    eta = rng.normal(size=5)
    own = X["x"].to_numpy().astype(int)
    expected = weights @ poisson.logpmf(y, exposure * np.exp(eta[own]))
    expected -= weights @ poisson.logpmf(y, exposure)  # all that does not depend on eta
    rows = Rows(
        design.surface.inputs(seen.rows),
        np.empty((5, 0)),
        seen.target,
        seen.weights,
        seen.within,
        np.zeros(5),
    )
    likelihood = Likelihood(canonical(RECORDS["poisson"]), rows)
    found = likelihood.log_p(eta) - likelihood.log_p(np.zeros(5))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert (seen.moments.y_mean, seen.moments.y_scale) == (0.3, 1.0)


@pytest.mark.parametrize(
    ("family", "y"),
    [
        ("poisson", np.r_[np.zeros(20), np.full(20, 1e5)]),
        ("bernoulli", np.r_[np.zeros(20), np.ones(20)]),
        ("poisson", np.zeros(40)),
    ],
)
def test_modes_of_what_is_far_out(family, y):
    """A slope of the density that is that of the prior, where steps of Newton's overshoot."""
    x = np.linspace(0, 1, 40)
    K = 25.0 * Matern(0.3, nu=2.5)(x[:, None]) + 1e-6 * np.eye(40)
    rows = Rows(None, np.empty((40, 0)), y, np.ones(40), np.zeros(40), np.zeros(40))
    likelihood = Likelihood(canonical(RECORDS[family]), rows)

    def step(local):
        slope = np.linalg.solve(K + np.diag(local.noise), local.response)
        return slope, K @ slope, None

    for start in (likelihood.start, np.zeros(40), np.full(40, -5.0)):
        found = mode(likelihood, start, step)
        b = expit(found.eta) if family == "bernoulli" else np.exp(found.eta)
        np.testing.assert_allclose(y - b, found.slope, atol=1e-5 * max(1.0, y.max()))
        np.testing.assert_allclose(K @ found.slope, found.eta, atol=1e-6)


def test_there_is_no_density_far_out():
    of = latent("poisson", *problem("poisson"))
    theta = some_theta(of)
    theta[0] = 50
    assert of(theta)[0] == np.inf


def whole(family, n, seed=4):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"x": rng.uniform(-2, 2, size=n), "z": rng.normal(size=n)})
    X["t"] = (rng.random(n) < 0.5).astype(float)
    eta = np.sin(2 * X["x"]) + 0.5 * X["t"] * X["x"]
    y = (rng.random(n) < expit(eta)) if family == "bernoulli" else rng.poisson(np.exp(eta))
    schema = Schema.of(X)
    values = schema.encode(X)
    design = SmoothDesign.of(schema, ["t"], values, None)
    seen = SeenSurface.of(design, values, y.astype(float), None, on_link=(0.1, 1.0, 1.5))
    priors = resolve(
        None, design, values, seen.moments, fit_intercept=True, center=True, family=family
    )
    equation = Equation("y", (0, 1, 2), schema.names, design, priors, seen.x_mean, family)
    found = Problem.of(equation, seen)
    return equation, seen, found, latent(family, found.surface, found.rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_given_a_node_are_those_of_a_gaussian_at_the_mode(family):
    """Mean and covariance at rows that were seen, by the textbook's formulae."""
    equation, seen, found, evidence = whole(family, 30)
    theta, n_draws = some_theta(evidence), 20_000
    form = Form(evidence, theta, np.zeros((len(theta), 0)), 0.0)
    drawn = found.given(theta, n_draws, form, np.random.default_rng(5))
    some = slice(0, 10)
    terms = equation.design.matrix(seen.rows)[some] - equation.center
    of = (np.broadcast_to(v, (n_draws, len(v))) for v in (drawn.scale, drawn.length))
    draws = drawn.line @ np.column_stack([np.ones(10), terms]).T
    draws += found.surface.at(seen.rows[some], *of, drawn.weights)

    K = covariance(evidence, theta)
    eta, _ = dense_mode(family, K, found.rows)
    noise = np.diag(1 / curvature(family, eta, found.rows))
    mean = (eta + found.rows.offset)[some]
    cov = (K - K @ np.linalg.solve(K + noise, K))[some, some]
    error = np.sqrt(np.diag(cov) / n_draws)
    assert (np.abs(draws.mean(axis=0) - mean) / error).max() < N_STANDARD_ERRORS
    error = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / n_draws)
    assert (np.abs(np.cov(draws.T) - cov) / error).max() < N_STANDARD_ERRORS


@pytest.mark.parametrize("family", FAMILIES)
def test_what_landmarks_leave_open_has_a_mode_too(family, monkeypatch):
    """Mean and covariance of what they tell, where each process is told by some rows of many."""
    monkeypatch.setattr("interventional.data.surface.LANDMARKS", 20)
    monkeypatch.setattr("interventional.data.surface._SOME", 15)
    _, _, found, evidence = whole(family, 60)
    surface, rows = found.surface, found.rows
    assert not surface.are_all
    scale, length, _ = evidence.split(some_theta(evidence))
    roots = surface.roots(scale, length)
    told = Told.at_mode(surface, Likelihood(found.family, rows), scale, length, roots)

    parts, left = [rows.line, surface.lines(rows.inputs, scale)], np.zeros(60)
    for block, root in zip(surface.blocks, roots, strict=True):
        between = surface.kernel(block, rows.inputs, surface.landmarks, scale, length)
        parts.append(np.linalg.solve(root, between.T).T)
        left += surface.variance(block, rows.inputs, scale) - np.square(parts[-1]).sum(axis=1)
    A = np.hstack(parts)
    K = A @ A.T + np.diag(left)
    eta, _ = dense_mode(family, K, rows)
    precision = np.linalg.inv(K + np.diag(1 / curvature(family, eta, rows)))
    np.testing.assert_allclose(A @ told.mean, A @ A.T @ np.linalg.solve(K, eta), atol=1e-3)
    root = np.tril(told.root)
    inverse = np.linalg.inv(root @ root.T)
    expected = A @ (np.eye(A.shape[1]) - A.T @ precision @ A) @ A.T
    np.testing.assert_allclose(A @ inverse @ A.T, expected, atol=1e-4)
