"""Student's t about what bends, held against grids, optimisers and the Gaussian limit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import mixed_surface
from scipy.optimize import minimize
from scipy.stats import gamma, halfnorm, multivariate_normal
from scipy.stats import t as student

from interventional.data.schema import Schema
from interventional.data.smooth import SmoothDesign
from interventional.inference.evidence import Evidence, Rows
from interventional.inference.heavy import Heavy, OfHeavy
from interventional.inference.landmarks import Told
from interventional.inference.scales import Scale
from interventional.inference.spreads import Spread
from interventional.scm.surface_priors import SurfacePriors

LOG_NU = gamma(2, scale=10).logpdf


def problem(n=40, seed=0):
    rng = np.random.default_rng(seed)
    _, values, surface = mixed_surface(rng, n)
    y, line = rng.standard_t(2, size=n), rng.normal(size=(n, 2))
    scales = (Scale.of(halfnorm.logpdf, 0.5),)
    spread = Spread(rng.integers(5, size=n), np.ones((n, 1)), 5, scales)
    weights = rng.integers(1, 3, n).astype(float)
    return surface, Rows(surface.inputs(values), line, y, weights, np.zeros(n), 0.0, (spread,))


def heavy(surface, rows, *, sigma=None, nu=None, dtype=np.float64):
    priors, on = SurfacePriors.of(surface, 1.0), (True,) * len(surface.components)
    of = surface, rows, priors, on, halfnorm(scale=2).logpdf, sigma, dtype
    return OfHeavy(*of, log_nu=LOG_NU, fixed_nu=nu)


def some_theta(of, seed=1):
    theta = of.mean.copy()
    theta[of.free] += 0.4 * np.random.default_rng(seed).normal(size=len(of.free))
    return theta


def covariance(of, theta):
    scale, length, _ = of.split(theta)
    bending = [c for c, _ in of.surface.bending]
    inputs = of.rows.inputs
    total = of.surface.kernel(bending, inputs, inputs, scale, length)
    lines = of.surface.lines(inputs, scale)
    total += lines @ lines.T + of.rows.line @ of.rows.line.T + 1e-6 * np.eye(len(total))
    for at, spread in of.spreads:
        terms = spread.terms(spread.root(theta[at]))
        total += terms @ terms.T
    return total


@pytest.mark.parametrize(("sigma", "nu"), [(None, None), (0.7, None), (None, 3.0)])
def test_the_gradient_is_one(sigma, nu):
    of = heavy(*problem(), sigma=sigma, nu=nu)
    theta, step = some_theta(of), 1e-5
    found = of(theta)[1]
    assert (len(of.mean) - 2 in of.free) == (nu is None)
    for k in of.free:
        ahead, behind = theta.copy(), theta.copy()
        ahead[k], behind[k] = theta[k] + step, theta[k] - step
        expected = (of(ahead)[0] - of(behind)[0]) / (2 * step)
        assert abs(found[k] - expected) < 1e-5 * max(1, abs(expected))


def test_many_degrees_of_freedom_are_the_gaussian():
    surface, rows = problem()
    of = heavy(surface, rows, nu=1e9)
    priors, on = of.priors, of.on
    normal = Evidence(surface, rows, priors, on, halfnorm(scale=2).logpdf, None, np.float64)
    thetas = [some_theta(normal, seed) for seed in (1, 2)]
    found = [of(np.insert(theta, -1, np.log(1e9))) for theta in thetas]
    expected = [normal(theta) for theta in thetas]
    difference = expected[0][0] - expected[1][0]
    np.testing.assert_allclose(found[0][0] - found[1][0], difference, atol=1e-3)
    for (_, one), (_, other) in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.delete(one, -2), other, atol=1e-3)


def test_the_mode_is_that_of_an_optimiser():
    of = heavy(*problem())
    theta = some_theta(of)
    K, (_, _, sigma), nu = covariance(of, theta), of.split(theta), of.nu(theta)
    root, y, m = np.linalg.cholesky(K), of.rows.target, of.rows.weights

    def minus(z):
        return 0.5 * z @ z - m @ student.logpdf(y, nu, root @ z, sigma)

    found = minimize(minus, np.zeros(len(y)), method="L-BFGS-B", options={"maxiter": 2000})
    of._covariance(theta, np.zeros(len(y)))
    mode = of._mode(of._held.terms(of.split(theta)[0]), y, of.likelihood(theta))
    np.testing.assert_allclose(mode.eta, root @ found.x, atol=2e-3)


def test_the_density_is_that_of_a_grid():
    """Two places with four hundred outcomes each, where Laplace's method is next to exact."""
    surface, rows = problem()
    rng = np.random.default_rng(2)
    own = np.repeat([0, 1], 400)
    y = np.array([0.3, -0.5])[own] + 0.5 * rng.standard_t(3, 800)
    many = rows.take(own)
    many = replace(many, target=y, weights=np.ones(800), within=np.zeros(800))
    of = heavy(surface, many)
    grid = np.linspace(-1.5, 1.5, 301)
    at = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)

    def expected(theta):
        sigma, nu = of.split(theta)[2], of.nu(theta)
        said = [student.logpdf(y[own == k], nu, grid[:, None], sigma).sum(axis=1) for k in (0, 1)]
        whole = (said[0][:, None] + said[1]).ravel()
        K = covariance(of, theta)[np.ix_([0, 400], [0, 400])]
        whole = whole + multivariate_normal(np.zeros(2), K).logpdf(at)
        top = whole.max()
        n = of._n_processes
        known = of.free[of.free < n]
        root = of.root[np.ix_(known, known)]
        prior = multivariate_normal(of.mean[known], root @ root.T).logpdf(theta[known])
        spread = theta[n]
        prior += halfnorm.logpdf(np.exp(spread)) + spread + LOG_NU(nu) + np.log(nu)
        prior += halfnorm(scale=2).logpdf(sigma) + np.log(sigma)
        return prior + top + np.log(np.exp(whole - top).sum())

    # near the nu and sigma that made the outcomes Fisher's information is their curvature
    thetas = [some_theta(of, seed) for seed in (1, 2, 3)]
    for theta, (nu, sigma) in zip(thetas, [(3, 0.5), (3.1, 0.51), (2.9, 0.49)], strict=True):
        theta[-2:] = np.log([nu, sigma])
    found = np.array([-of(theta)[0] for theta in thetas])
    np.testing.assert_allclose(
        np.diff(found), np.diff([expected(theta) for theta in thetas]), atol=0.05
    )


def test_single_precision_is_enough():
    surface, rows = problem(120)
    precise, fast = heavy(surface, rows), heavy(surface, rows, dtype=np.float32)
    theta = some_theta(precise)
    (value, slope), (near, close) = precise(theta), fast(theta)
    assert abs(value - near) < 5e-3
    np.testing.assert_allclose(close, slope, atol=2e-2)


def test_what_is_told_at_the_mode():
    """Precisions are Fisher's, about the mode; an outlier pulls next to nothing."""
    rng = np.random.default_rng(3)
    _, values, surface = mixed_surface(rng, 30)
    places = np.unique(values, axis=0, return_inverse=True)[1]
    y = rng.normal(size=30)
    ones = np.ones(30)
    rows = Rows(surface.inputs(values), np.empty((30, 0)), y, ones, 0 * ones, 0.0, (), places)
    scale, length = np.full(len(surface.components), 0.6), np.full(len(surface.lengths), 1.4)
    roots, sigma, nu = surface.roots(scale, length), 0.5, 3.0
    told = Told.at_mode(surface, Heavy(rows, sigma, nu), scale, length, roots)
    noise = sigma * np.sqrt((nu + 3) / (nu + 1))
    gaussian = Told.of(surface, rows, scale, length, noise, roots)
    np.testing.assert_allclose(np.tril(told.root), np.tril(gaussian.root), atol=1e-10)
    far = replace(rows, target=np.where(np.arange(30) == 0, 1e4, y))
    moved = Told.at_mode(surface, Heavy(far, sigma, nu), scale, length, roots)
    without = Heavy(rows.take(np.arange(1, 30)), sigma, nu)
    expected = Told.at_mode(surface, without, scale, length, roots)
    np.testing.assert_allclose(moved.mean, expected.mean, atol=1e-3)


def test_what_is_told_is_what_gibbs_draws():
    """Rows of few outcomes each, by data augmentation: t is Normal with Gamma precisions.

    Laplace's method is off by a tenth of a standard deviation; weights of least squares in place
    of Fisher's information would make these a fifth too small.
    """
    rng = np.random.default_rng(0)
    n, sigma, nu = 60, 0.3, 3.0
    x = np.sort(rng.uniform(-2, 2, n))
    schema = Schema.of(pd.DataFrame({"x": x}))
    surface = SmoothDesign.of(schema, [], x[:, None], None).surface
    y = 1.5 * np.sin(2 * x) + sigma * rng.standard_t(nu, n)
    inputs, ones = surface.inputs(x[:, None]), np.ones(n)
    rows = Rows(inputs, np.empty((n, 0)), y, ones, 0 * ones)
    scale, length = np.array([1.5]), np.array([0.5])
    roots = surface.roots(scale, length)
    told = Told.at_mode(surface, Heavy(rows, sigma, nu), scale, length, roots)
    mean = roots[0] @ told.mean
    at = told.drawn(np.vstack([np.zeros(n), np.eye(n)]))[0] @ roots[0].T
    sd = np.sqrt(np.square(at[1:] - at[0]).sum(axis=0))

    K, means, draws = roots[0] @ roots[0].T, [], []
    precision = np.ones(n)
    for k in range(2100):
        of_y = np.linalg.cholesky(K + np.diag(sigma**2 / precision))
        A = np.linalg.solve(of_y, K)
        center, rest = A.T @ np.linalg.solve(of_y, y), K - A.T @ A
        root = np.linalg.cholesky(rest + 1e-9 * np.eye(n))
        f = center + root @ rng.normal(size=n)
        precision = rng.gamma((nu + 1) / 2, 2 / (nu + np.square((y - f) / sigma)))
        if k >= 100:
            means.append(center)
            draws.append(f)
    truth = np.std(draws, axis=0)
    off = (mean - np.mean(means, axis=0)) / truth
    assert np.sqrt(np.mean(off**2)) < 0.15
    assert abs(np.mean(sd / truth) - 1) < 0.06
    assert (sd / truth).min() > 0.7
    assert (sd / truth).max() < 1.3
