import numpy as np
import pytest
from conftest import mixed_surface
from scipy.stats import halfnorm, multivariate_normal

from interventional.data.surface import EXPECTED
from interventional.inference.evidence import Evidence, Rows
from interventional.scm.surface_priors import LENGTH_SPREAD, SCALE_SPREAD, SurfacePriors


def problem(n=40, weights=None, seed=0):
    rng = np.random.default_rng(seed)
    _, values, surface = mixed_surface(rng, n)
    y, line = rng.normal(size=n), rng.normal(size=(n, 3))
    weights = np.ones(n) if weights is None else weights
    return surface, Rows(surface.inputs(values), line, y, weights, np.zeros(n))


def evidence(surface, rows, on=None, dtype=np.float64, fixed=None):
    on = (True,) * len(surface.components) if on is None else on
    priors = SurfacePriors.of(surface, 1.0)
    return Evidence(surface, rows, priors, on, halfnorm(scale=2).logpdf, fixed, dtype)


def some_theta(of, seed=1):
    return of.mean + 0.5 * np.random.default_rng(seed).normal(size=len(of.mean))


def covariance(surface, rows, scale, length, sigma):
    bending = [c for c, _ in surface.bending]
    lines = surface.lines(rows.inputs, scale)
    total = surface.kernel(bending, rows.inputs, rows.inputs, scale, length)
    # the last number lets rows be next to each other
    total += lines @ lines.T + rows.line @ rows.line.T + np.diag(sigma**2 / rows.weights + 1e-6)
    return total


@pytest.mark.parametrize(
    "on", [(True, True, True, True), (True, False, False, True), (False, False, False, True)]
)
@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-4), (np.float32, 1e-2)])
def test_the_density_is_a_normal_one(on, dtype, error):
    """Differences of it: constants do not count."""
    surface, rows = problem()
    of = evidence(surface, rows, on, dtype)

    def expected(theta):
        scale, length, sigma = of.split(theta)
        free = of.free[of.free < len(theta) - 1]
        covariance_of_prior = (of.root @ of.root.T)[np.ix_(free, free)]
        of_theta = multivariate_normal(of.mean[free], covariance_of_prior) if len(free) else None
        prior = 0.0 if of_theta is None else of_theta.logpdf(theta[free])
        prior += halfnorm(scale=2).logpdf(sigma) + theta[-1]
        dense = covariance(surface, rows, scale, length, sigma)
        return prior + multivariate_normal(np.zeros(len(dense)), dense).logpdf(rows.target)

    first, second = some_theta(of, 1), some_theta(of, 2)
    found = of(first)[0] - of(second)[0]
    assert abs(found + expected(first) - expected(second)) < error


def test_priors_are_those_that_are_written():
    """Scales are independent; a column's length in effects goes with that in the surface."""
    surface, rows = problem()
    of = evidence(surface, rows)
    covariance_of_prior = of.root @ of.root.T
    scales, names = len(surface.components), list(surface.lengths)
    assert len(of.mean) == scales + len(names) + 1
    sd = np.sqrt(covariance_of_prior.diagonal())
    learnt = sd > 0
    assert surface.components[-1].name == EXPECTED  # whose scale is known
    np.testing.assert_allclose(sd[:scales], [SCALE_SPREAD] * (scales - 1) + [0])
    np.testing.assert_allclose(sd[scales:-1], LENGTH_SPREAD)
    expected = np.eye(len(of.mean))
    for name in ("a", "k"):
        pair = [scales + names.index(name), scales + names.index(f"t:{name}")]
        expected[np.ix_(pair, pair)] = [[1, 0.8], [0.8, 1]]
    found = covariance_of_prior[np.ix_(learnt, learnt)] / np.outer(sd[learnt], sd[learnt])
    np.testing.assert_allclose(found, expected[np.ix_(learnt, learnt)], atol=1e-12)


@pytest.mark.parametrize(
    "on", [(True, True, True, True), (True, False, False, True), (False, False, False, True)]
)
@pytest.mark.parametrize("fixed", [None, 0.7])
def test_the_gradient_is_one(on, fixed):
    surface, rows = problem(weights=np.random.default_rng(3).integers(1, 4, 40).astype(float))
    of = evidence(surface, rows, on, fixed=fixed)
    theta, step = some_theta(of), 1e-5
    found = of(theta)[1]
    for k in of.free:
        ahead, behind = theta.copy(), theta.copy()
        ahead[k], behind[k] = theta[k] + step, theta[k] - step
        expected = (of(ahead)[0] - of(behind)[0]) / (2 * step)
        assert abs(found[k] - expected) < 1e-5 * max(1, abs(expected))


def test_rows_that_are_the_same_count_as_often():
    """Means, weights and squares within say what all rows do."""
    surface, rows = problem(30)
    times = np.random.default_rng(4).integers(1, 4, 30)
    rng = np.random.default_rng(5)
    own = np.repeat(np.arange(30), times)
    y = rng.normal(size=len(own))
    ones = np.ones(len(own))
    each = Rows(rows.inputs.take(own), rows.line[own], y, ones, np.zeros(len(own)))
    mean = np.bincount(own, y) / times
    within = np.bincount(own, (y - mean[own]) ** 2)
    together = Rows(rows.inputs, rows.line, mean, times.astype(float), within)
    one, other = evidence(surface, each), evidence(surface, together)
    first, second = some_theta(one, 1), some_theta(one, 2)
    found = one(first)[0] - one(second)[0]
    np.testing.assert_allclose(found, other(first)[0] - other(second)[0], atol=1e-4)
    np.testing.assert_allclose(one(first)[1], other(first)[1], atol=1e-3)


def test_few_rows_need_little_memory():
    surface, rows = problem(5)
    of = evidence(surface, rows)
    assert np.isfinite(of(of.mean)[0])
    assert of._arrays.below.size <= 25


def test_there_is_no_density_far_out():
    surface, rows = problem()
    of = evidence(surface, rows)
    theta = of.mean.copy()
    theta[0] = 50
    assert of(theta)[0] == np.inf
