"""What groups differ by, in the covariance of an equation that bends."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import mixed_surface
from scipy.stats import halfcauchy, halfnorm, multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

from interventional.inference.evidence import Evidence, Rows
from interventional.inference.landmarks import Own, Told
from interventional.inference.latent import Latent, Likelihood
from interventional.inference.scales import Scale
from interventional.inference.spreads import Spread, some_rows
from interventional.scm.canonical import canonical
from interventional.scm.families import FAMILIES
from interventional.scm.surface_priors import SurfacePriors


def a_spread(rng, n, q=1, n_groups=6):
    codes = rng.integers(n_groups, size=n)
    factors = np.column_stack([np.ones(n), rng.normal(size=(n, q - 1))])
    scales = (Scale.of(halfcauchy(scale=0.7).logpdf, 0.5), Scale.of(halfnorm.logpdf, 0.5))
    return Spread(codes, factors, n_groups, (scales * q)[:q])


def a_problem(n=40, q=(2, 1), seed=0):
    """Two kinds of groups, crossed; the first with slopes of its own."""
    rng = np.random.default_rng(seed)
    _, values, surface = mixed_surface(rng, n)
    groups = tuple(a_spread(rng, n, size) for size in q)
    own = rng.normal(size=n), rng.integers(1, 4, n).astype(float), np.zeros(n), 0.0
    return surface, Rows(surface.inputs(values), rng.normal(size=(n, 2)), *own, groups)


def gaussian(surface, rows, dtype=np.float64):
    priors, on = SurfacePriors.of(surface, 1.0), (True,) * len(surface.components)
    return Evidence(surface, rows, priors, on, halfnorm(scale=2).logpdf, None, dtype)


def some_theta(of, seed=1):
    return of.mean + 0.5 * np.random.default_rng(seed).normal(size=len(of.mean))


def covariance_of_groups(spread, own):
    """Row by row, as the model is written."""
    q = spread.effects
    sd, corr = np.exp(own[:q]), np.eye(q)
    if q == 2:
        corr[0, 1] = corr[1, 0] = np.tanh(own[2])
    sigma, n = np.outer(sd, sd) * corr, len(spread.codes)
    total = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if spread.codes[i] == spread.codes[j]:
                total[i, j] = spread.factors[i] @ sigma @ spread.factors[j]
    return total


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 2e-3), (np.float32, 2e-2)])
def test_the_density_is_a_normal_one(dtype, error):
    surface, rows = a_problem()
    of = gaussian(surface, rows, dtype)

    def expected(theta):
        scale, length, sigma = of.split(theta)
        bending = [c for c, _ in surface.bending]
        lines = surface.lines(rows.inputs, scale)
        dense = surface.kernel(bending, rows.inputs, rows.inputs, scale, length)
        dense += lines @ lines.T + rows.line @ rows.line.T + np.diag(sigma**2 / rows.weights)
        n = len(surface.components) + len(surface.lengths)
        own = of.free[of.free < n]
        root = of.root[np.ix_(own, own)]
        prior = multivariate_normal(of.mean[own], root @ root.T).logpdf(theta[own])
        prior += halfnorm(scale=2).logpdf(sigma) + theta[-1]
        first, second = theta[n : n + 3], theta[n + 3 : n + 4]
        for spread, own in zip(rows.groups, (first, second), strict=True):
            dense += covariance_of_groups(spread, own)
            prior += halfcauchy(scale=0.7).logpdf(np.exp(own[0])) + own[0]
        prior += halfnorm.logpdf(np.exp(first[1])) + first[1]
        prior += 2 * np.log1p(-(np.tanh(first[2]) ** 2))  # LKJ(2), and the slope of tanh
        # what is left of rows within their means
        prior -= (rows.weights.sum() - len(rows.weights)) * theta[-1]
        return prior + multivariate_normal(np.zeros(len(dense)), dense).logpdf(rows.target)

    first, second = some_theta(of, 1), some_theta(of, 2)
    found = of(first)[0] - of(second)[0]
    assert abs(found + expected(first) - expected(second)) < error


def counts():
    surface, rows = a_problem(q=(3, 1))
    y = np.random.default_rng(5).poisson(2.0, len(rows.target)) / rows.weights
    priors, on = SurfacePriors.of(surface, 1.0), (True,) * len(surface.components)
    of = surface, replace(rows, target=y), priors, on, np.zeros_like, 1.0, np.float64
    return Latent(*of, family=canonical(FAMILIES["poisson"]))


@pytest.mark.parametrize("make", [lambda: gaussian(*a_problem(q=(3, 1))), counts])
def test_the_gradient_is_one(make):
    of = make()
    theta, step = some_theta(of), 1e-5
    found = of(theta)[1]
    for k in of.free:
        ahead, behind = theta.copy(), theta.copy()
        ahead[k], behind[k] = theta[k] + step, theta[k] - step
        expected = (of(ahead)[0] - of(behind)[0]) / (2 * step)
        assert abs(found[k] - expected) < 1e-4 * max(1, abs(expected))


def test_what_is_told_is_what_scikit_learn_finds():
    """A Matérn process of one column and intercepts of groups, scales and lengths known."""
    rng = np.random.default_rng(2)
    n, sd, sigma = 60, 0.8, 0.3
    _, values, surface = mixed_surface(rng, n)
    spread = a_spread(rng, n)
    y = rng.normal(size=n)
    ones, rest = np.ones(n), np.zeros(n)
    places = np.unique(values, axis=0, return_inverse=True)[1]
    own = y, ones, rest, 0.0, (spread,), places
    rows = Rows(surface.inputs(values), np.empty((n, 0)), *own)
    scale, length = np.zeros(len(surface.components)), np.full(len(surface.lengths), 1.4)
    scale[0] = 0.9
    roots = surface.roots(scale, length)
    root = spread.root(np.log([sd]))
    of_groups = Own(spread.codes, spread.factors @ root, spread.n_groups)
    told = Told.of(surface, rows, scale, length, sigma, roots, of_groups)
    _, drawn = told.drawn(rng.standard_normal((20_000, told.size)))
    found = spread.coefficients(root, np.swapaxes(drawn, 1, 2))[:, 0]

    features = rows.inputs.features[:, surface.components[0].features]
    wide = np.full(features.shape[1], 1e6)
    X = np.column_stack([features, spread.codes])
    of_x = Matern(np.append(np.full(features.shape[1], 1.4), 1e6), nu=2.5)
    of_group = RBF(np.append(wide, 1e-2))
    kernel = ConstantKernel(0.9**2) * of_x + ConstantKernel(sd**2) * of_group
    model = GaussianProcessRegressor(kernel, alpha=sigma**2, optimizer=None).fit(X, y)
    # a group's own is what two groups differ by at a place
    at = np.column_stack([np.tile(features[0], (spread.n_groups, 1)), range(spread.n_groups)])
    mean, cov = model.predict(at, return_cov=True)
    contrast = np.eye(spread.n_groups)[1:] - np.eye(spread.n_groups)[:1]
    differences = found @ contrast.T
    expected = np.sqrt((contrast @ cov @ contrast.T).diagonal())
    error = expected / np.sqrt(len(drawn))
    assert np.all(np.abs(differences.mean(axis=0) - contrast @ mean) < 4.5 * error)
    np.testing.assert_allclose(differences.std(axis=0), expected, rtol=4.5 / np.sqrt(2 * 20_000))


@pytest.mark.parametrize("family", [None, "poisson"])
def test_groups_are_taken_out_as_if_they_were_terms(family):
    """Two coefficients a group: eliminated, and as columns of the line beside others."""
    rng = np.random.default_rng(6)
    n, noise = 50, 0.4
    _, values, surface = mixed_surface(rng, n)
    spread = a_spread(rng, n, 2)
    y = rng.poisson(2.0, n).astype(float) if family else rng.normal(size=n)
    places = np.unique(values, axis=0, return_inverse=True)[1]
    own = y, np.ones(n), np.zeros(n), 0.0, (spread,), places
    rows = Rows(surface.inputs(values), rng.normal(size=(n, 2)), *own)
    scale, length = np.full(len(surface.components), 0.6), np.full(len(surface.lengths), 1.4)
    roots, root = surface.roots(scale, length), spread.root(np.array([-0.3, 0.1, 0.4]))
    with_terms = replace(rows, line=np.hstack([rows.line, spread.terms(root)]))
    of_groups = Own(spread.codes, spread.factors @ root, spread.n_groups)
    if family is None:
        of = scale, length, noise, roots
        one, other = Told.of(surface, rows, *of, of_groups), Told.of(surface, with_terms, *of)
    else:
        known, of = canonical(FAMILIES[family]), (scale, length, roots)
        one = Told.at_mode(surface, Likelihood(known, rows), *of, of_groups)
        other = Told.at_mode(surface, Likelihood(known, with_terms), *of)
    assert one.size == other.size
    # a basis of noise shows means and, as their products, covariances
    basis = np.vstack([np.zeros(one.size), np.eye(one.size)])
    shared, groups = one.drawn(basis)
    both = np.hstack([shared, np.swapaxes(groups, 1, 2).reshape(len(basis), -1)])
    dense, size = other.drawn(basis)[0], spread.effects * spread.n_groups
    dense = np.hstack([dense[:, :2], dense[:, 2 + size :], dense[:, 2 : 2 + size]])
    np.testing.assert_allclose(both[0], dense[0], atol=1e-7)
    of_both, of_dense = both[1:] - both[0], dense[1:] - dense[0]
    np.testing.assert_allclose(of_both.T @ of_both, of_dense.T @ of_dense, atol=1e-6)


def test_terms_make_the_covariance():
    rng = np.random.default_rng(3)
    spread = a_spread(rng, 30, 2)
    own = np.array([-0.3, 0.2, 0.6])
    terms = spread.terms(spread.root(own))
    np.testing.assert_allclose(terms @ terms.T, covariance_of_groups(spread, own), atol=1e-12)
    noise = rng.normal(size=(4, terms.shape[1]))
    each = spread.coefficients(spread.root(own), noise)
    by_row = (spread.factors * each[:, :, spread.codes].transpose(0, 2, 1)).sum(axis=2)
    np.testing.assert_allclose(by_row, noise @ terms.T, atol=1e-12)
    named = spread.named(own[None])
    np.testing.assert_allclose(named["sd"], np.exp(own[None, :2]))
    np.testing.assert_allclose(named["corr"][0], [[1, np.tanh(0.6)], [np.tanh(0.6), 1]])


def test_some_rows_tell_of_groups():
    """Of many small groups some are whole; of few large ones all are there, all alike."""
    rng = np.random.default_rng(4)
    small = replace(a_spread(rng, 1000), codes=rng.permutation(1000) // 4, n_groups=250)
    some = some_rows([small], 1000, 200)
    assert len(np.unique(some)) == 200
    assert (np.diff(some) > 0).all()
    assert set(np.bincount(small.codes[some], minlength=250)) == {0, 4}
    large = replace(small, codes=rng.permutation(1000) // 100, n_groups=10)
    sizes = np.bincount(large.codes[some_rows([large], 1000, 200)])
    assert sizes.min() == sizes.max() == 20
    assert len(some_rows([], 1000, 200)) == 200
