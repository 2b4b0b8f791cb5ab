"""Learnt scales of any number of groups: against dense Gaussians, grids, PyMC and quadrature."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS
from scipy.linalg import block_diag, null_space

from interventional.errors import UndeterminedError
from interventional.inference import correlations
from interventional.inference.components import Components, Learnt, Levels, Marginal
from interventional.inference.importance import sample
from interventional.inference.modes import gradient, mode
from interventional.inference.scales import Scale

HALF_NORMAL = Scale.of(st.halfnorm.logpdf, 0.7)


def scale(prior):
    return Scale.of(prior.logpdf, float(prior.median()))


class Raw:
    """Rows of a model: a factor with effects kept by level, and a border.

    `Z`, (n, q), and `codes`, (n,), are of the factor; `X`, (n, p), are Normal or flat columns;
    `crossed` are further factors (Z, codes), whose columns stand in the border after X.
    """

    def __init__(self, y, X=None, flat=(), by_level=None, crossed=(), weights=None):
        n = len(y)
        self.y = np.asarray(y, dtype=float)
        self.X = np.zeros((n, 0)) if X is None else np.asarray(X, dtype=float)
        self.flat, self.by_level, self.crossed = list(flat), by_level, list(crossed)
        self.weights = np.ones(n) if weights is None else np.asarray(weights, dtype=float)

    @property
    def factors(self):
        return ([] if self.by_level is None else [self.by_level]) + self.crossed

    @property
    def border(self):
        return np.concatenate([self.X, *(dummies(*c) for c in self.crossed)], axis=1)

    def components(self, scales=None, sigma=HALF_NORMAL, correlation=2.0):
        border, root = self.border, np.sqrt(self.weights)[:, None]
        priors = iter(scales or [])
        groups, at = [], self.X.shape[1]
        for k, (Z, codes) in enumerate(self.factors):
            q, J = levels_of(Z, codes)
            each = tuple(next(priors) for _ in range(q)) if scales else (HALF_NORMAL,) * q
            columns = None
            if not (k == 0 and self.by_level is not None):
                columns = at + np.arange(q * J).reshape(q, J)
                at += q * J
            groups.append(Learnt(q, J, each, columns))
        rows = root * np.column_stack([border, self.y])
        of_levels = levels = None
        if self.by_level is not None:
            of_levels, groups = groups[0], groups[1:]
            levels, rows = per_level(self.by_level[0] * root, self.by_level[1], rows)
        r = np.linalg.qr(rows, mode="r")
        pb = border.shape[1]
        rss = float(r[pb, pb] ** 2) if len(r) > pb else 0.0
        flat = np.zeros(pb, dtype=bool)
        flat[self.flat] = True
        r = r[:pb]
        parts = (self.weights.sum(), r[:, :pb], r[:, pb], rss, flat, tuple(groups), sigma)
        return Components(*parts, levels, of_levels, correlation)

    def covariances(self, theta):
        """Sigma, and the covariance of the effects of each factor."""
        out, at = [], 0
        for Z, codes in self.factors:
            q = levels_of(Z, codes)[0]
            sd, at = np.exp(theta[at : at + q]), at + q
            z, at = theta[at : at + q * (q - 1) // 2], at + q * (q - 1) // 2
            out.append(sd[:, None] * correlation(z, q) * sd)
        return np.exp(theta[-1]), out

    def dense(self, theta):
        """Sigma, all columns, those by level first, the covariance of coefficients, and flat ones.

        The variance of a flat coefficient is 0 here.
        """
        sigma, spreads = self.covariances(theta)
        sizes = [levels_of(*factor)[1] for factor in self.factors]
        blocks = [np.kron(spread, np.eye(J)) for spread, J in zip(spreads, sizes, strict=True)]
        own = np.ones(self.X.shape[1])
        own[self.flat] = 0.0
        first = 0 if self.by_level is None else 1
        columns = [dummies(*self.by_level)] if first else []
        design = np.concatenate([*columns, self.border], axis=1)
        start = len(blocks[0]) if first else 0
        flat = np.zeros(design.shape[1], dtype=bool)
        flat[start + np.array(self.flat, dtype=int)] = True
        return sigma, design, block_diag(*blocks[:first], np.diag(own), *blocks[first:]), flat

    def log_marginal(self, theta):
        """A dense Normal of rows, each as often as its weight says, beside the flat columns."""
        often = np.repeat(np.arange(len(self.y)), self.weights.astype(int))
        sigma, design, covariance, flat = self.dense(theta)
        design, y = design[often], self.y[often]
        whole = design @ covariance @ design.T + sigma**2 * np.eye(len(y))
        apart = null_space(design[:, flat].T) if flat.any() else np.eye(len(y))
        y, whole = apart.T @ y, apart.T @ whole @ apart
        return st.multivariate_normal.logpdf(y, np.zeros(len(y)), whole)


def levels_of(Z, codes):
    """How many effects and levels; without codes each column is a level of its own."""
    return (1, Z.shape[1]) if codes is None else (Z.shape[1], codes.max() + 1)


def dummies(Z, codes):
    """One column a level and effect, effect by effect: (n, q J)."""
    if codes is None:
        return Z
    hot = np.eye(codes.max() + 1)[codes]
    return np.concatenate([hot * Z[:, [i]] for i in range(Z.shape[1])], axis=1)


def per_level(Z, codes, rows):
    """The rows of each level, by a QR of its own, and what is left of all."""
    q, J, width = Z.shape[1], codes.max() + 1, rows.shape[1]
    own, top, left = np.zeros((J, q, q)), np.zeros((J, q, width)), []
    for j in range(J):
        r = np.linalg.qr(np.concatenate([Z[codes == j], rows[codes == j]], axis=1), mode="r")
        k = min(q, len(r))
        own[j, :k], top[j, :k] = r[:k, :q], r[:k, q:]
        left.append(r[k:, q:])
    return Levels(own, top[:, :, :-1], top[:, :, -1]), np.concatenate(left)


def correlation(z, q):
    """A correlation matrix by the definition of canonical partial correlations."""
    factor, used = np.zeros((q, q)), 0
    for i in range(q):
        for j in range(i):
            factor[i, j] = np.tanh(z[used]) * np.sqrt(1 - np.square(factor[i, :j]).sum())
            used += 1
        factor[i, i] = np.sqrt(1 - np.square(factor[i, :i]).sum())
    return factor @ factor.T


def log_prior(raw, theta, eta):
    """HalfNormal(1) of all scales, |Omega|^(eta - 1) of correlations, and all Jacobians."""
    total, at = st.halfnorm.logpdf(np.exp(theta[-1])) + theta[-1], 0
    for Z, codes in raw.factors:
        q = levels_of(Z, codes)[0]
        log_sd, z = theta[at : at + q], theta[at + q : at + q + q * (q - 1) // 2]
        at += q + len(z)
        total += (st.halfnorm.logpdf(np.exp(log_sd)) + log_sd).sum()
        if q > 1:
            omega, below = correlation(z, q), np.tril_indices(q, -1)
            jacobian = [
                (correlation(z + e, q) - correlation(z - e, q))[below] / 2e-4
                for e in 1e-4 * np.eye(len(z))
            ]
            total += (eta - 1) * np.linalg.slogdet(omega)[1]
            total += np.linalg.slogdet(np.array(jacobian))[1]
    return total


def factor(rng, n, J, q):
    """Unbalanced levels, the last with one row only."""
    codes = np.concatenate([np.arange(J), rng.integers(0, J - 1, n - J)])
    Z = np.column_stack([np.ones(n), rng.normal(size=(n, q - 1))])
    return Z, codes


def problem(name):
    rng = np.random.default_rng(sum(map(ord, name)))
    n = 30
    y, X = 3 + rng.normal(size=n), np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    if name == "intercepts":
        return Raw(y, X, by_level=factor(rng, n, 6, 1))
    if name == "slopes":
        return Raw(y, X, by_level=factor(rng, n, 6, 2))
    if name == "three effects":
        return Raw(y, X, by_level=factor(rng, n, 7, 3))
    if name == "crossed":
        return Raw(y, X, by_level=factor(rng, n, 6, 2), crossed=[factor(rng, n, 4, 1)])
    if name == "crossed slopes":
        two = [factor(rng, n, 4, 2), factor(rng, n, 3, 3)]
        return Raw(y, X, by_level=factor(rng, n, 6, 2), crossed=two)
    if name == "border alone":
        return Raw(y, X, crossed=[factor(rng, n, 5, 1), factor(rng, n, 4, 2)])
    if name == "ridge":  # more columns than rows, and two scales
        two = [(rng.normal(size=(n, k)), None) for k in (40, 5)]
        return Raw(y, X, crossed=two)
    if name == "flat":
        two = [factor(rng, n, 6, 2), factor(rng, n, 4, 1)]
        return Raw(y, X * [1, 1e3, 1], flat=[0, 1], by_level=two[0], crossed=two[1:])
    if name == "flat border":
        return Raw(y, X, flat=[0, 2], crossed=[factor(rng, n, 5, 2)])
    if name == "no border":
        return Raw(y, by_level=factor(rng, n, 6, 2))
    weights = rng.integers(1, 4, n)
    return Raw(
        y, X, by_level=factor(rng, n, 6, 2), crossed=[factor(rng, n, 4, 1)], weights=weights
    )


NAMES = [
    "intercepts",
    "slopes",
    "three effects",
    "crossed",
    "crossed slopes",
    "border alone",
    "ridge",
    "flat",
    "flat border",
    "no border",
    "weights",
]


def thetas(model, n=6, seed=0):
    return np.random.default_rng(seed).normal(-0.5, 0.8, size=(n, model.n_parameters))


@pytest.mark.parametrize("name", NAMES)
def test_density_is_that_of_a_dense_normal(name):
    raw = problem(name)
    model = raw.components(correlation=1.7)
    theta = thetas(model)
    found = Marginal.of(model).log_density(theta)
    truth = np.array([raw.log_marginal(t) + log_prior(raw, t, 1.7) for t in theta])
    np.testing.assert_allclose(found - found[0], truth - truth[0], rtol=1e-9, atol=2e-8)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_the_density(name):
    marginal = Marginal.of(problem(name).components())
    theta, h = thetas(marginal.model), 1e-5
    value, slope = gradient(marginal, theta)
    steps = h * np.eye(theta.shape[1])
    rises = [marginal.log_density(theta + e) - marginal.log_density(theta - e) for e in steps]
    np.testing.assert_allclose(slope, np.array(rises).T / (2 * h), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(value, marginal.log_density(theta), rtol=1e-14)


@pytest.mark.parametrize("eta", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("q", [2, 3, 4])
def test_a_correlation_has_the_marginal_of_lkj(q, eta):
    """The first one: (1 + r) / 2 is Beta, with both parameters eta - 1 + q / 2."""
    grid = np.linspace(-3, 3, 7)
    z = np.zeros((len(grid), correlations.n_correlations(q)))
    z[:, 0] = grid
    found = correlations.log_prior(z, q, eta)  # of independent z, of which z_10 = atanh(r)
    r, a = np.tanh(grid), eta - 1 + q / 2
    truth = st.beta.logpdf((1 + r) / 2, a, a) + np.log1p(-np.square(r))
    np.testing.assert_allclose(found - found[3], truth - truth[3], atol=1e-10)


def test_prior_of_a_covariance_is_that_of_pymc():
    """Of three effects: as a density of its packed Cholesky factor, the diagonal in logs."""
    import pymc as pm

    with pm.Model() as model:
        sds = pm.HalfNormal.dist(1.0, size=3)
        pm.LKJCholeskyCov("c", eta=2.0, n=3, sd_dist=sds, compute_corr=False)
    density = model.compile_logp(mode="FAST_COMPILE")
    theta = np.random.default_rng(0).normal(-0.3, 0.6, size=(5, 6))

    def values(theta):
        factor = np.exp(theta[:, :3, None]) * correlations.cholesky(theta[:, 3:], 3)
        at = np.arange(3)
        factor[:, at, at] = np.log(factor[:, at, at])
        return factor[:, *np.tril_indices(3)]

    (name,) = (v.name for v in model.value_vars)
    ours = correlations.log_prior(theta[:, 3:], 3, 2.0)
    ours += (st.halfnorm.logpdf(np.exp(theta[:, :3])) + theta[:, :3]).sum(axis=1)
    theirs = []
    for t in theta:
        steps = 1e-4 * np.eye(6)
        jacobian = (values(t + steps) - values(t - steps)) / 2e-4
        theirs.append(density({name: values(t[None])[0]}) + np.linalg.slogdet(jacobian)[1])
    np.testing.assert_allclose(ours - ours[0], np.array(theirs) - theirs[0], atol=1e-6)


def exact_log_normal(y, X, covariance, sigma):
    """The log density of y by Gauss's elimination with 60 digits, up to a constant."""
    with localcontext() as context:
        context.prec = 60
        exact = np.vectorize(Decimal, otypes=[object])
        X, n = exact(X), len(y)
        left = np.column_stack([X.dot(exact(covariance)).dot(X.T), exact(y)])
        left[np.arange(n), np.arange(n)] += Decimal(sigma) ** 2
        log_det = square = Decimal(0)
        for k in range(n):
            log_det += left[k, k].ln()
            square += left[k, -1] ** 2 / left[k, k]
            for i in range(k + 1, n):
                left[i, k:] = left[i, k:] - left[k, k:] * (left[i, k] / left[k, k])
        return float(-(log_det + square) / 2)


@pytest.mark.parametrize("sigma", [1e-5, 1e-8, 1e-10])
@pytest.mark.parametrize("name", ["by level", "border"])
def test_hardly_any_noise_costs_few_digits(name, sigma):
    rng = np.random.default_rng(3)
    n, codes, others = 24, np.arange(24) % 5, np.arange(24) // 6
    Z = np.column_stack([np.ones(n), rng.normal(size=n)])
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = X @ [0.7, -1.1] + (Z * rng.normal(size=(5, 2))[codes]).sum(axis=1)
    y += rng.normal(size=4)[others] + sigma * rng.normal(size=n)
    two = [(Z, codes), (np.ones((n, 1)), others)]
    raw = Raw(y, X, by_level=two[0], crossed=two[1:]) if name == "by level" else Raw(y, X)
    raw.crossed = raw.crossed or two
    theta = np.array([[-0.1, 0.2, 0.4, -0.5, 0.0], [0.3, -0.4, -0.6, 0.2, 0.3]])
    theta[:, -1] += np.log(sigma)
    marginal = Marginal.of(raw.components())
    found = marginal.log_density(theta)
    truth = np.array(
        [
            exact_log_normal(y, design, covariance, float(np.exp(t[-1]))) + log_prior(raw, t, 2.0)
            for t in theta
            for _, design, covariance, _ in [raw.dense(t)]
        ]
    )
    # The rows themselves hold the noise to about 1e-16 / sigma.
    tolerance = 1e-7 + 1e-13 / sigma
    assert found[1] - found[0] == pytest.approx(truth[1] - truth[0], abs=tolerance)
    _, slope = gradient(marginal, theta)
    h = 1e-2 * np.eye(5)
    one, two = (
        np.array(
            [marginal.log_density(theta + e) - marginal.log_density(theta - e) for e in k * h]
        )
        for k in (1, 2)
    )
    differences = (8 * one - two).T / 12e-2  # to the fourth power of the step
    np.testing.assert_allclose(slope, differences, rtol=1e-4, atol=1e-4 + 10 * tolerance)


@pytest.mark.parametrize("name", ["three effects", "crossed slopes", "flat", "ridge", "weights"])
def test_coefficients_are_draws_from_the_dense_gaussian(name):
    raw = problem(name)
    marginal = Marginal.of(raw.components())
    theta, n_draws = thetas(marginal.model, 1, seed=2), 20_000
    rng = np.random.default_rng(4)
    border, by_level = marginal.coefficients(np.repeat(theta, n_draws, axis=0), rng)
    drawn = np.concatenate([by_level.reshape(n_draws, -1), border], axis=1)
    sigma, design, covariance, flat = raw.dense(theta[0])
    precision = (design.T * raw.weights) @ design / sigma**2
    precision[np.ix_(~flat, ~flat)] += np.linalg.inv(covariance[np.ix_(~flat, ~flat)])
    spread = np.linalg.inv(precision)
    mean = spread @ design.T @ (raw.weights * raw.y) / sigma**2
    variance = np.diag(spread)
    off = (drawn.mean(axis=0) - mean) / np.sqrt(variance / n_draws)
    assert np.abs(off).max() < N_STANDARD_ERRORS
    error = np.sqrt((np.outer(variance, variance) + np.square(spread)) / n_draws)
    off = ((drawn - mean).T @ (drawn - mean) / n_draws - spread) / error
    assert np.abs(off).max() < N_STANDARD_ERRORS + 1  # of a thousand numbers


def test_nothing_depends_on_how_many_thetas_are_taken_at_a_time(monkeypatch):
    marginal = Marginal.of(problem("crossed slopes").components())
    theta = thetas(marginal.model, 20)

    def everything():
        rng = np.random.default_rng(1)
        parts = [marginal.log_density(theta), *gradient(marginal, theta)]
        return [*parts, *marginal.coefficients(theta, rng)]

    at_once = everything()
    monkeypatch.setattr("interventional.inference.components._BLOCK", 1)
    for mine, theirs in zip(at_once, everything(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_order_of_rows_and_weights_do_not_matter():
    raw = problem("weights")
    at = np.random.default_rng(0).permutation(np.repeat(np.arange(30), raw.weights.astype(int)))
    moved = Raw(
        raw.y[at],
        raw.X[at],
        by_level=tuple(part[at] for part in raw.by_level),
        crossed=[tuple(part[at] for part in factor) for factor in raw.crossed],
    )
    one, other = Marginal.of(raw.components()), Marginal.of(moved.components())
    theta = thetas(one.model)
    np.testing.assert_allclose(one.log_density(theta), other.log_density(theta), rtol=1e-11)
    drawn = [m.coefficients(theta, np.random.default_rng(7)) for m in (one, other)]
    for mine, theirs in zip(*drawn, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_mode_is_a_top(name):
    marginal = Marginal.of(problem(name).components())
    theta, covariance = mode(marginal, ["b"] * len(marginal.model.all_groups))
    h = 0.05 * np.eye(len(theta))
    around = marginal.log_density(np.concatenate([theta + h, theta - h]))
    assert (around < marginal.log_density(theta[None])).all()
    _, slope = gradient(marginal, theta[None])
    assert np.abs(slope).max() < 1e-3
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_covariance_at_the_mode_is_that_of_the_curvature():
    """Where there are many levels and rows, so that nothing is flat."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(40), 10)
    y = rng.normal(size=40)[codes] + 0.5 * rng.normal(size=400)
    raw = Raw(y, np.ones((400, 1)), by_level=(np.ones((400, 1)), codes))
    marginal = Marginal.of(raw.components())
    theta, covariance = mode(marginal, ["b"])

    def at(i, j):
        moved = theta + np.array([i, j])
        return raw.log_marginal(moved) + log_prior(raw, moved, 2.0)

    h = 1e-2
    mixed = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / 4
    own = [at(*(h * e)) - 2 * at(0, 0) + at(*(-h * e)) for e in np.eye(2)]
    hessian = np.array([[own[0], mixed], [mixed, own[1]]]) / h**2
    np.testing.assert_allclose(covariance, np.linalg.inv(-hessian), rtol=1e-3, atol=1e-6)


def on_a_grid(raw, lows, highs, scales=(HALF_NORMAL,), points=500):
    """Means and standard deviations of log tau and log sigma where all levels have three rows.

    By the closed form of the balanced one-way layout, its mean flat.
    """
    steps = (np.arange(points) + 0.5) / points
    tau, sigma = (
        grid.ravel()
        for grid in np.meshgrid(
            *(low + (high - low) * steps for low, high in zip(lows, highs, strict=True))
        )
    )
    y = raw.y.reshape(-1, 3)
    J, means = len(y), y.mean(axis=1)
    within, between = np.square(y - means[:, None]).sum(), 3 * np.square(means - y.mean()).sum()
    whole = np.exp(2 * sigma) + 3 * np.exp(2 * tau)
    logs = -(J - 1) / 2 * np.log(whole) - between / (2 * whole)
    logs += -2 * J * sigma - within / (2 * np.exp(2 * sigma))
    logs += scales[0].log_density(tau) + HALF_NORMAL.log_density(sigma)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    grid = np.stack([tau, sigma], axis=1)
    mean = weights @ grid
    return mean, np.sqrt(weights @ np.square(grid - mean))


def schools(spread, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(8), 3)  # in order, three rows each
    y = 2 + spread * rng.normal(size=8)[codes] + rng.normal(size=24)
    return Raw(y, np.ones((24, 1)), flat=[0], by_level=(np.ones((24, 1)), codes))


def drawn(raw, n_draws=4000, seed=0, **keywords):
    marginal = Marginal.of(raw.components(**keywords))
    theta, covariance = mode(marginal, ["b"] * len(marginal.model.all_groups))
    rng = np.random.default_rng(seed)
    return sample(marginal.log_density, theta, covariance, n_draws, rng)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_eight_schools_are_those_of_a_grid(spread):
    raw = schools(spread)
    sampled = drawn(raw)
    assert sampled.trouble is None
    mean, sd = on_a_grid(raw, (-14.0, -1.0), (2.0, 1.0))
    n = 1 / (1 / sampled.effective_size + 1 / len(sampled.draws))
    error = sd / np.sqrt(n)
    assert (np.abs(sampled.draws.mean(axis=0) - mean) < N_STANDARD_ERRORS * error).all()
    squares = np.square(sampled.draws - mean)
    error = squares.std(axis=0) / np.sqrt(n)
    assert (np.abs(squares.mean(axis=0) - np.square(sd)) < N_STANDARD_ERRORS * error).all()


def test_an_edge_of_a_prior_holds():
    """The data ask for a tau of about 1; the prior allows none above 0.4."""
    raw = schools(1.0)
    prior = Scale.of(st.uniform(0, 0.4).logpdf, 0.2)
    sampled = drawn(raw, scales=(prior,))
    assert sampled.trouble is None
    assert np.exp(sampled.draws[:, 0]).max() <= 0.4
    mean, sd = on_a_grid(raw, (-14.0, -1.0), (np.log(0.4), 1.0), scales=(prior,))
    n = 1 / (1 / sampled.effective_size + 1 / len(sampled.draws))
    error = sd / np.sqrt(n)
    assert (np.abs(sampled.draws.mean(axis=0) - mean) < N_STANDARD_ERRORS * error).all()


FLAT = Scale.of(np.zeros_like, 1.0)
TO_ZERO = Scale.of(lambda x: -np.log(x), 1.0)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_scale_without_bounds_is_refused(levels):
    raw = schools(1.0)
    Z, codes = raw.by_level
    raw.by_level = Z, codes % levels
    marginal = Marginal.of(raw.components(scales=(FLAT,)))
    with pytest.raises(UndeterminedError, match="coefficients of 'shop' is too flat"):
        mode(marginal, [["shop"]])


def test_a_scale_that_goes_to_zero_is_refused():
    marginal = Marginal.of(schools(0.0).components(scales=(TO_ZERO,)))
    with pytest.raises(UndeterminedError, match="coefficients of 'shop' lets it go to 0"):
        mode(marginal, [["shop"]])


def test_a_constant_outcome_is_refused():
    raw = schools(1.0)
    raw.y = np.full(24, 3.1)
    marginal = Marginal.of(raw.components())
    with pytest.raises(UndeterminedError, match="y is constant, and its prior lets sigma go to 0"):
        mode(marginal, [["shop"]])
    kept = raw.components(sigma=scale(st.invgamma(3)))
    assert np.isfinite(mode(Marginal.of(kept), [["shop"]])[0]).all()


def test_sigma_without_bounds_is_refused():
    raw = schools(1.0)
    few = Raw(raw.y[:2], raw.X[:2], flat=[0], by_level=(np.ones((2, 1)), np.arange(2)))
    marginal = Marginal.of(few.components(sigma=FLAT))
    with pytest.raises(UndeterminedError, match="prior of sigma is too flat"):
        mode(marginal, [["shop"]])


def test_flat_columns_that_repeat_each_other_are_refused():
    raw = schools(1.0)
    raw.X, raw.flat = np.column_stack([raw.X, 2 * raw.X]), [0, 1]
    with pytest.raises(UndeterminedError, match="do not determine"):
        Marginal.of(raw.components())
