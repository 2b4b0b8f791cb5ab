"""Learnt scales of any number of groups: against dense Gaussians, grids, PyMC and quadrature."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS

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

    def dummies(self, Z, codes):
        """One column a level and effect, effect by effect: (n, q J)."""
        hot = np.eye(codes.max() + 1)[codes]
        return np.concatenate([hot * Z[:, [i]] for i in range(Z.shape[1])], axis=1)

    @property
    def border(self):
        return np.concatenate([self.X, *(self.dummies(*c) for c in self.crossed)], axis=1)

    def components(self, scales=None, sigma=HALF_NORMAL, correlation=2.0):
        border, root = self.border, np.sqrt(self.weights)[:, None]
        factors = ([] if self.by_level is None else [self.by_level]) + self.crossed
        priors = iter(scales or [])
        groups, at = [], self.X.shape[1]
        for k, (Z, codes) in enumerate(factors):
            q, J = Z.shape[1], codes.max() + 1
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
        """sigma, and Sigma of each factor, by the textbook's definition of partial correlations."""
        out, at = [], 0
        for Z, _ in ([] if self.by_level is None else [self.by_level]) + self.crossed:
            q = Z.shape[1]
            sd = np.exp(theta[at : at + q])
            z = theta[at + q : at + q + q * (q - 1) // 2]
            at += q + len(z)
            factor, used = np.zeros((q, q)), 0
            for i in range(q):
                for j in range(i):
                    left = 1 - np.square(factor[i, :j]).sum()
                    factor[i, j] = np.tanh(z[used]) * np.sqrt(left)
                    used += 1
                factor[i, i] = np.sqrt(1 - np.square(factor[i, :i]).sum())
            out.append(sd[:, None] * (factor @ factor.T) * sd)
        return np.exp(theta[-1]), out

    def dense(self, theta, wide=1e4):
        """All columns, the level group's first, and the covariance of their coefficients."""
        sigma, spreads = self.covariances(theta)
        factors = ([] if self.by_level is None else [self.by_level]) + self.crossed
        blocks = [np.kron(S, np.eye(c.max() + 1)) for S, (_, c) in zip(spreads, factors)]
        own = np.ones(self.X.shape[1])
        own[self.flat] = wide**2
        columns, parts = [], []
        if self.by_level is not None:
            columns, parts = [self.dummies(*self.by_level)], [blocks.pop(0)]
        parts += [np.diag(own), *blocks]
        design = np.concatenate([*columns, self.border], axis=1)
        covariance = np.zeros((design.shape[1],) * 2)
        at = 0
        for part in parts:
            covariance[at : at + len(part), at : at + len(part)] = part
            at += len(part)
        return sigma, design, covariance

    def log_marginal(self, theta, wide=1e4):
        """A dense Normal of rows, each as often as its weight says."""
        often = np.repeat(np.arange(len(self.y)), self.weights.astype(int))
        sigma, design, covariance = self.dense(theta, wide)
        design, y = design[often], self.y[often]
        whole = design @ covariance @ design.T + sigma**2 * np.eye(len(y))
        return st.multivariate_normal.logpdf(y, np.zeros(len(y)), whole)


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


def log_prior(raw, theta, eta):
    """HalfNormal(1) of all scales, LKJ(eta) by its definition |Omega|^(eta - 1), and Jacobians."""
    sigma, spreads = raw.covariances(theta)
    total, at = st.halfnorm.logpdf(sigma) + theta[-1], 0
    for spread in spreads:
        q = len(spread)
        sd = np.sqrt(np.diag(spread))
        total += (st.halfnorm.logpdf(sd) + np.log(sd)).sum()
        z = theta[at + q : at + q + q * (q - 1) // 2]
        total += (eta - 1) * np.linalg.slogdet(spread / np.outer(sd, sd))[1]

        def correlations_of(z, raw=raw, theta=theta, at=at, q=q, k=len(total_shape(q))):
            moved = np.concatenate([np.zeros(q), z, [0.0]])
            alone = Raw(raw.y, by_level=(np.zeros((len(raw.y), q)), np.zeros(len(raw.y), int)))
            return alone.covariances(moved)[1][0][np.tril_indices(q, -1)]

        if q > 1:
            h = 1e-5 * np.eye(len(z))
            jacobian = [(correlations_of(z + e) - correlations_of(z - e)) / 2e-5 for e in h]
            total += np.linalg.slogdet(np.array(jacobian))[1]
        at += q + len(z)
    return total


def total_shape(q):
    return range(q * (q - 1) // 2)


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
    if name == "ridge":  # a group of columns that are no dummies: each is a level
        many = rng.normal(size=(n, 40))
        raw = Raw(y, X, crossed=[(many, np.zeros(n, int))])
        raw.ridge = True
        return raw
    if name == "no border":
        return Raw(y, by_level=factor(rng, n, 6, 2))
    weights = rng.integers(1, 4, n)
    return Raw(y, X, by_level=factor(rng, n, 6, 2), crossed=[factor(rng, n, 4, 1)], weights=weights)


NAMES = [
    "intercepts",
    "slopes",
    "three effects",
    "crossed",
    "crossed slopes",
    "border alone",
    "no border",
    "weights",
]


def thetas(model, n=6, seed=0):
    return np.random.default_rng(seed).normal(-0.5, 0.8, size=(n, model.n_parameters))


@pytest.mark.parametrize("name", NAMES)
def test_density_is_that_of_a_dense_normal(name):
    raw = problem(name)
    model = raw.components()
    theta = thetas(model)
    found = Marginal.of(model).log_density(theta)
    truth = [raw.log_marginal(t) + log_prior(raw, t, 2.0) for t in theta]
    np.testing.assert_allclose(found - found[0], np.array(truth) - truth[0], atol=1e-8)
