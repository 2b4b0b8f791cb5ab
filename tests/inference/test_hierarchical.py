"""Coefficients with a learnt scale: against dense quadrature, closed forms, calibration, NUTS."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS, assert_mean, assert_same_mean
from scipy.special import ndtr

from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.data.seen import sufficient_statistics
from interventional.inference import exact
from interventional.inference.hierarchical import Hierarchy, draw
from interventional.scm.equations import Equation
from interventional.scm.priors import EquationPriors, Group, PriorSpec

MANY = 200_000
FLAT = (0.0, np.inf)  # mean and standard deviation of a Normal prior that is none


class Model:
    """A Gaussian linear model: one prior of each coefficient, by mean and standard deviation.

    For the terms of the group the deviation is in units of tau. `intercept` is such a pair too, at
    `center`; None for a model without.
    """

    def __init__(self, m, s, group, sigma, tau, intercept=(0.0, 2.0), center=None):
        self.m, self.s = np.asarray(m, dtype=float), np.asarray(s, dtype=float)
        self.group, self.intercept = tuple(group), intercept
        self.sigma, self.tau = sigma, tau
        self.center = np.zeros(len(self.m)) if center is None else np.asarray(center)

    def equation(self, fixed_tau=None):
        """The package's record of it, the group Normal where tau is fixed."""
        p, s = len(self.m), self.s.copy()
        if fixed_tau is not None:
            s[list(self.group)] *= fixed_tau
        flat = tuple(np.flatnonzero(np.isinf(s)))
        normal = [j for j in range(p) if j not in flat]
        groups = []
        if fixed_tau is None:
            normal = [j for j in normal if j not in self.group]
            hierarchical = PriorSpec.of("Normal", mu=0, sigma=1)
            groups.append(Group("beta", hierarchical, self.group))
        prior = PriorSpec.of("Normal", mu=self.m[normal], sigma=s[normal])
        groups.append(Group("normal", prior, tuple(normal)))
        groups.append(Group("flat", PriorSpec.of("Flat"), flat))
        intercept = None
        if self.intercept is not None:
            mu, sd = self.intercept
            intercept = PriorSpec.of("Normal", mu=mu, sigma=sd)
            if np.isinf(sd):
                intercept = PriorSpec.of("Flat")
        names = tuple(f"x{j}" for j in range(p))
        design = TreatmentCoding(Schema(names, None, *[(None,) * p] * 3))
        sigma = {"sigma": PriorSpec.of("HalfNormal", sigma=1)}
        priors = EquationPriors(tuple(g for g in groups if g.terms), intercept, sigma)
        return Equation("y", tuple(range(p)), names, design, priors, self.center)

    def draw(self, X, y, n_draws=MANY, weights=None, seed=1):
        group = list(self.group)
        likely = float(self.tau.median())
        hierarchy = Hierarchy(self.group, self.m[group], self.s[group], self.tau.logpdf, likely)
        return draw(
            self.equation(),
            statistics(self, X, y, weights),
            hierarchy,
            self.sigma.logpdf,
            float(self.sigma.median()),
            n_draws,
            np.random.default_rng(seed),
        )


def statistics(model, X, y, weights=None):
    return sufficient_statistics(X, y, weights, intercept=model.intercept is not None)


def stacked(draws, model, X=None, weights=None):
    """Draws of all coefficients as columns, the intercept at zero last."""
    if model.intercept is None:
        return draws["beta"]
    mean = np.average(X, axis=0, weights=weights)
    return np.column_stack([draws["beta"], draws["intercept"] - draws["beta"] @ mean])


class Truth:
    """The posterior by quadrature over log sigma and log tau of the dense model.

    y ~ N(X theta, sigma^2 I), theta ~ N(m, diag(s^2)). The likelihood of the scales is that of y
    in n dimensions, N(X m, sigma^2 I + X S X'), for flat coefficients its restricted form
    (Harville 1974); given the scales, theta is Gaussian. Gauss-Legendre rules over the part of the
    box that holds mass.
    """

    def __init__(self, model, X, y, box, size=(100, 200)):
        self.y = y
        self.X = X
        m, s = model.m, model.s
        pooled = np.isin(np.arange(len(m)), model.group)
        if model.intercept is not None:
            # the columns less `center`, so that the last coefficient is the one with the prior
            self.X = np.column_stack([X - model.center, np.ones(len(y))])
            m, s = np.append(m, model.intercept[0]), np.append(s, model.intercept[1])
            pooled = np.append(pooled, False)
        self.model, self.m, self.s, self.pooled = model, m, s, pooled
        box = np.log(box)
        self._place(*(legendre(bounds, 40) for bounds in box))
        held = self.log_density > self.log_density.max() - 40
        for bounds, found in zip(box, (np.log(self.sigma), np.log(self.tau)), strict=True):
            step = 2 * np.diff(np.unique(found)).max()
            bounds[0] = max(bounds[0], found[held].min() - step)
            bounds[1] = min(bounds[1], found[held].max() + step)
        (t, t_weight), (v, v_weight) = (
            legendre(bounds, n) for bounds, n in zip(box, size, strict=True)
        )
        scale = self._place((t, t_weight), (v, v_weight))
        mass = np.exp(self.log_density - self.log_density.max())
        self.mass = mass * np.outer(t_weight, v_weight).ravel()
        self.mass /= self.mass.sum()
        self.precision = 1 / np.square(scale)
        information = self.X.T @ self.X / np.square(self.sigma)[:, None, None]
        information[:, range(len(m)), range(len(m))] += self.precision
        self.cov = np.linalg.inv(information)
        right = self.X.T @ y / np.square(self.sigma)[:, None] + self.precision * m
        self.mean = (self.cov @ right[:, :, None])[:, :, 0]

    def _place(self, t_rule, v_rule):
        """Evaluate the density of the two logs at nodes."""
        t, v = (part.ravel() for part in np.meshgrid(t_rule[0], v_rule[0], indexing="ij"))
        self.sigma, self.tau = np.exp(t), np.exp(v)
        scale = np.where(self.pooled, self.tau[:, None], 1.0) * self.s
        priors = self.model.sigma.logpdf(self.sigma) + self.model.tau.logpdf(self.tau) + t + v
        self.log_density = self._log_likelihood(scale) + priors
        return scale

    def _log_likelihood(self, scale):
        X, m, n, flat = self.X, self.m, len(self.y), np.isinf(self.s)
        variance = np.where(flat, 0.0, np.square(scale))
        cov = (X * variance[:, None]) @ X.T + np.square(self.sigma)[:, None, None] * np.eye(n)
        left = self.y - X @ np.where(flat, 0.0, m)
        inverse = np.linalg.inv(cov)
        value = -0.5 * (np.linalg.slogdet(cov)[1] + left @ inverse @ left)
        if flat.any():
            score = (left @ inverse) @ X[:, flat]
            information = X[:, flat].T @ inverse @ X[:, flat]
            solved = np.linalg.solve(information, score[:, :, None])[:, :, 0]
            value += 0.5 * (score * solved).sum(axis=1)
            value -= 0.5 * np.linalg.slogdet(information)[1]
        return value

    def expect(self, values):
        """The posterior mean of a function of the scales, (nodes, ...)."""
        return np.tensordot(self.mass, values, axes=1)


def legendre(bounds, n):
    """Nodes and weights over an interval: two panels, so that a mode at an end has nodes too."""
    x, weight = np.polynomial.legendre.leggauss(n // 2)
    low, high = bounds
    middle = low + 0.7 * (high - low)
    panels = [(low, middle), (middle, high)]
    nodes = [0.5 * (a + b) + 0.5 * (b - a) * x for a, b in panels]
    weights = [0.5 * (b - a) * weight for a, b in panels]
    return np.concatenate(nodes), np.concatenate(weights)


def assert_posterior(draws, model, X, y, truth):
    """Scales and coefficients have the truth's distribution, in standard errors."""
    for name in ("sigma", "tau"):
        found, nodes = np.log(draws[name]), np.log(getattr(truth, name))
        middle, width = found.mean(), found.std()
        functions = [lambda v: v, np.square]
        # distribution functions, smoothed, so that the quadrature has its accuracy
        at = np.linspace(-2.5, 2.5, 11)
        functions += [lambda v, a=a: ndtr((a - v) / 0.3) for a in at]
        for function in functions:
            assert_mean(
                function((found - middle) / width),
                truth.expect(function((nodes - middle) / width)),
            )
    theta = stacked(draws, model, X)
    if model.intercept is not None:  # as the truth has it
        theta[:, -1] += theta[:, :-1] @ model.center
    mean = truth.expect(truth.mean)
    assert_mean(theta, mean)
    off = truth.mean - mean
    cov = truth.expect(truth.cov + off[:, :, None] * off[:, None])
    size = np.sqrt(np.diag(cov))
    white = (theta - mean) / size
    products = white[:, :, None] * white[:, None]
    assert_mean(products.reshape(len(white), -1), (cov / size / size[:, None]).ravel())
    # the coefficients go with the scales as they should
    standard = np.log(draws["tau"]) - truth.expect(np.log(truth.tau))
    nodes = np.log(truth.tau) - truth.expect(np.log(truth.tau))
    assert_mean(white * standard[:, None], truth.expect(off / size * nodes[:, None]))
    # distribution functions of coefficients
    sd = np.sqrt(np.diagonal(truth.cov, axis1=1, axis2=2))
    for a in (-2.0, -0.7, 0.0, 0.7, 2.0):
        points = mean + a * size
        below = truth.expect(ndtr((points - truth.mean) / sd))
        share = np.mean(theta < points, axis=0)
        z = np.abs(share - below) / np.sqrt(below * (1 - below) / len(theta))
        assert np.all(z < N_STANDARD_ERRORS), z.max()


def rows(seed, n, p, scale=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X @ (scale * rng.normal(size=p)) + 0.5 + rng.normal(size=n)


HALF_NORMAL, HALF_CAUCHY = st.halfnorm(scale=2), st.halfcauchy(scale=1)
WIDE = ((1e-3, 30), (1e-9, 60))


def ridge(p, **changes):
    """All coefficients are one group; the intercept is Normal, at the predictors' zero."""
    settings = {"sigma": HALF_NORMAL, "tau": st.halfnorm(scale=1), "group": range(p)}
    return Model(**({"m": np.zeros(p), "s": np.ones(p)} | settings | changes))


def cases():
    """Model, rows, and the box of sigma and tau that holds all the mass."""
    yield "ridge", ridge(4), rows(0, 12, 4), WIDE
    yield "heavy tail of tau", ridge(4, tau=HALF_CAUCHY), rows(1, 12, 4), ((1e-3, 30), (1e-9, 1e4))
    yield "steep prior of tau", ridge(4, tau=st.weibull_min(10)), rows(24, 12, 4), WIDE
    yield "n < p", ridge(9), rows(2, 6, 9, 0.5), ((1e-5, 30), (1e-9, 60))
    yield "nothing to learn", ridge(3), rows(3, 15, 3, 0.0), WIDE
    yield "one in the group", ridge(1), rows(4, 8, 1, 0.3), WIDE
    yield (
        "four Normal, two flat",
        Model(
            m=[0.3, -0.5, 0, 0, 0, 0, 0, 1.0],
            s=[0.5, 2.0, 1, 1, 1, 1, np.inf, 1.0],
            group=[2, 3, 4, 5],
            sigma=st.expon(scale=1.5),
            tau=st.expon(scale=0.7),
            intercept=FLAT,
            center=np.full(8, 0.2),
        ),
        rows(5, 14, 8),
        WIDE,
    )
    yield (
        "four Normal, n < p",
        Model(
            m=[0.3, -0.5, 0.2, 0, 0, 0, 0, 0, 0],
            s=[0.5, 2.0, 1, 1, 1, 1, 1, 1, 1],
            group=range(3, 9),
            sigma=HALF_NORMAL,
            tau=st.halfnorm(scale=1),
        ),
        rows(6, 6, 9),
        ((1e-5, 30), (1e-9, 60)),
    )
    yield (
        "means and scales",
        ridge(4, m=[0.5, -1, 0, 2], s=[0.3, 1, 2, 0.7], intercept=None),
        rows(7, 9, 4),
        WIDE,
    )
    edges = {"sigma": st.uniform(0.4, 0.9), "tau": st.uniform(0.2, 0.5)}
    yield "edges", ridge(4, **edges), rows(8, 12, 4), ((0.4, 1.3), (0.2, 0.7))
    edges = {"sigma": st.lognorm(0.5), "tau": st.uniform(0, 0.8)}
    yield "an edge of tau", ridge(5, **edges), rows(9, 12, 5), ((1e-3, 30), (1e-9, 0.8))
    X, y = rows(10, 10, 3)
    far = X + np.array([3.0, -2.0, 30.0])
    yield "intercept away from the means", ridge(3, intercept=(-1.0, 0.5)), (far, y), WIDE
    units = np.array([1e-5, 1.0, 1e5])
    yield "units", ridge(3, s=1 / units), (X * units, y), WIDE
    doubled = np.column_stack([X, X[:, 0], np.full(10, 2.0)])
    yield "duplicate and constant columns", ridge(5), (doubled, y), WIDE
    yield "vague Normal", ridge(3, intercept=(50.0, 1e3)), (X, y), WIDE


CASES = {name: rest for name, *rest in cases()}


class TestQuadrature:
    """All that the draws are, at 200,000 of them, against the dense model."""

    @pytest.mark.parametrize("name", CASES)
    def test_posterior(self, name):
        model, (X, y), box = CASES[name]
        truth = Truth(model, X, y, box)
        assert_posterior(model.draw(X, y), model, X, y, truth)

    def test_truth(self):
        """The truth's density is SciPy's multivariate Normal of y, times the priors."""
        model, (X, y), box = CASES["means and scales"]
        truth = Truth(model, X, y, box)
        nodes = np.linspace(0, len(truth.tau) - 1, 40).astype(int)
        for k in nodes[truth.sigma[nodes] > 0.1]:
            sigma, tau = truth.sigma[k], truth.tau[k]
            cov = sigma**2 * np.eye(9) + (X * (tau * model.s) ** 2) @ X.T
            log_density = st.multivariate_normal(X @ model.m, cov).logpdf(y) + np.log(sigma * tau)
            log_density += model.sigma.logpdf(sigma) + model.tau.logpdf(tau)
            np.testing.assert_allclose(
                log_density, truth.log_density[k] - 4.5 * np.log(2 * np.pi), rtol=1e-10
            )

    def test_a_constant_column_leaves_tau_its_prior(self):
        X, y = np.full((10, 1), 3.0), rows(11, 10, 1)[1]
        draws = ridge(1, intercept=FLAT, s=[0.5], m=[1.0], center=[3.0]).draw(X, y, 50_000)
        assert st.kstest(draws["tau"], st.halfnorm.cdf).pvalue > 1e-4
        standard = (draws["beta"][:, 0] - 1.0) / (0.5 * draws["tau"])
        assert st.kstest(standard, st.norm.cdf).pvalue > 1e-4


NEEDLES = {
    "Uniform": lambda at: st.uniform(at * (1 - 1e-6), at * 2e-6),
    "InverseGamma": lambda at: st.invgamma(1e10, scale=at * 1e10),
    "LogNormal": lambda at: st.lognorm(1e-5, scale=at),
}


class TestLimits:
    """Where one scale is known, or both are."""

    @pytest.mark.parametrize("needle", NEEDLES)
    @pytest.mark.parametrize("name", ["ridge", "four Normal, two flat", "four Normal, n < p"])
    def test_known_tau(self, name, needle):
        """The group's priors are Normal with known numbers: `exact.draw`."""
        model, (X, y), _ = CASES[name]
        known = Model(
            model.m,
            model.s,
            model.group,
            model.sigma,
            NEEDLES[needle](0.6),
            model.intercept,
            model.center,
        )
        draws = known.draw(X, y)
        np.testing.assert_allclose(draws["tau"], 0.6, rtol=1e-4)
        fixed, _ = exact.draw(
            model.equation(fixed_tau=0.6),
            statistics(model, X, y),
            model.sigma.logpdf,
            float(model.sigma.median()),
            MANY,
            np.random.default_rng(2),
        )
        here, there = (stacked(d, model, X) for d in (draws, fixed))
        assert_same_mean(here, there)
        assert_same_mean(np.square(here - here.mean(axis=0)), np.square(there - here.mean(axis=0)))
        for function in (np.log, np.square):
            assert_same_mean(function(draws["sigma"]), function(fixed["sigma"]))
        assert st.ks_2samp(draws["sigma"], fixed["sigma"]).pvalue > 1e-4

    @pytest.mark.parametrize("needle", NEEDLES)
    def test_known_scales(self, needle):
        """Ridge regression with the penalty (sigma / tau)^2, and its covariance."""
        X, y = rows(12, 20, 3)
        known = {"sigma": NEEDLES[needle](0.7), "tau": NEEDLES[needle](0.02)}
        draws = ridge(3, intercept=None, **known).draw(X, y, 50_000)
        information = (X.T @ X + (0.7 / 0.02) ** 2 * np.eye(3)) / 0.7**2
        mean = np.linalg.solve(information, X.T @ y / 0.7**2)
        white = (draws["beta"] - mean) @ np.linalg.cholesky(information)
        assert_mean(white, 0.0)
        products = white[:, :, None] * white[:, None]
        assert_mean(products.reshape(len(white), -1), np.eye(3).ravel())

    def test_tau_far_away(self):
        """Where tau is large, the group's priors are as good as flat: `exact.draw`."""
        X, y = rows(22, 20, 3)
        far = ridge(3, tau=st.uniform(1e5, 1e5)).draw(X, y)
        flat = ridge(3, s=[np.inf] * 3)
        fixed, _ = exact.draw(
            flat.equation(fixed_tau=1.0),
            statistics(flat, X, y),
            HALF_NORMAL.logpdf,
            1.0,
            MANY,
            np.random.default_rng(2),
        )
        here, there = (stacked(d, flat, X) for d in (far, fixed))
        assert_same_mean(here, there)
        assert_same_mean(np.square(here - here.mean(axis=0)), np.square(there - here.mean(axis=0)))
        assert_same_mean(np.log(far["sigma"]), np.log(fixed["sigma"]))

    def test_known_sigma(self):
        """Only tau is left: one-dimensional integrals."""
        model, (X, y), _ = CASES["ridge"]
        known = ridge(4, sigma=NEEDLES["Uniform"](0.7))
        near = ((0.7 * (1 - 1e-6), 0.7 * (1 + 1e-6)), (1e-9, 60))
        draws = known.draw(X, y)
        np.testing.assert_allclose(draws["sigma"], 0.7, rtol=1e-5)
        truth = Truth(known, X, y, near, size=(4, 200))
        log_tau = np.log(draws["tau"])
        assert_mean(log_tau, truth.expect(np.log(truth.tau)))
        assert_mean(np.square(log_tau), truth.expect(np.square(np.log(truth.tau))))
        assert_mean(stacked(draws, model, X), truth.expect(truth.mean))

    def test_many_rows(self):
        """A narrow posterior of sigma: its mean and deviation by large-sample theory."""
        rng = np.random.default_rng(13)
        n = 100_000
        X = rng.normal(size=(n, 4))
        y = X @ [1.0, -1.0, 0.5, 0.0] + 3.0 * rng.normal(size=n)
        draws = ridge(4).draw(X, y, 20_000)
        full = np.column_stack([X, np.ones(n)])
        s = np.sqrt(np.linalg.lstsq(full, y)[1][0] / (n - 5))
        np.testing.assert_allclose(draws["sigma"].mean(), s, rtol=1e-4)
        np.testing.assert_allclose(draws["sigma"].std(), s / np.sqrt(2 * n), rtol=0.03)

    def test_perfect_fit(self):
        """Noise-free rows have the coefficients they were made with, and sigma of rounding."""
        X, _ = rows(14, 30, 3)
        draws = ridge(3).draw(X, X @ [1.0, 2.0, 3.0] + 4.0, 400)
        assert np.all((draws["sigma"] > 0) & (draws["sigma"] < 1e-13))
        theta = stacked(draws, ridge(3), X)
        np.testing.assert_allclose(theta, np.tile([1, 2, 3, 4], (400, 1)), rtol=1e-12)


FAR = np.full(4, 1e6)
DIGITS = {
    "columns far from zero": ([1, 1, 1, 1], 1.0, FAR, 2.0),
    "columns far from zero, vague priors": ([1e6, 1, 1, 1], 1.0, FAR, 1e6),
    "vague priors": ([1e8, 1, 1, 1], 1.0, 0.0, 1e8),
    "columns of all sizes": ([1, 1, 1, 1], [1e6, 1e-6, 1, 1e5], 0.0, 2.0),
}


@pytest.mark.parametrize("name", DIGITS)
def test_digits(name):
    """With known scales the coefficients are Gaussian: mean and covariance in rational numbers."""
    s, unit, offset, intercept_sd = DIGITS[name]
    X, y = rows(23, 12, 4, 0.5)
    X = X * unit + offset
    needles = {"sigma": NEEDLES["Uniform"](0.8), "tau": NEEDLES["Uniform"](0.6)}
    model = ridge(4, s=s, group=[1, 2, 3], intercept=(0.0, intercept_sd), **needles)
    draws = model.draw(X, y, 20_000)
    x, outcome = (np.vectorize(Fraction)(part) for part in (X, y))
    at_means = x.sum(axis=0) / Fraction(len(y))  # what the draws' intercept is at
    full = np.column_stack([x - at_means, np.full(len(y), Fraction(1))])
    priors = np.diag([Fraction(1)] * 5)
    priors[-1, :-1] = -at_means  # the intercept at zero
    sd = [float(v) for v in [s[0], *0.6 * np.array(s[1:], dtype=float), intercept_sd]]
    priors = priors / np.vectorize(Fraction)(sd)[:, None]
    variance = Fraction(0.8) ** 2
    cov = inverse(full.T @ full / variance + priors.T @ priors)
    mean = cov @ (full.T @ outcome) / variance
    cov, mean = cov.astype(float), mean.astype(float)
    size = np.sqrt(np.diag(cov))
    white = (np.column_stack([draws["beta"], draws["intercept"]]) - mean) / size
    assert_mean(white, 0.0)
    products = white[:, :, None] * white[:, None]
    assert_mean(products.reshape(len(white), -1), (cov / size / size[:, None]).ravel())


def inverse(matrix):
    """Gauss and Jordan's elimination, for a positive definite matrix of rational numbers."""
    n = len(matrix)
    rows = np.column_stack([matrix, np.diag([Fraction(1)] * n)])
    for i in range(n):
        rows[i] = rows[i] / rows[i, i]
        for k in range(n):
            if k != i:
                rows[k] = rows[k] - rows[k, i] * rows[i]
    return rows[:, n:]


class TestDraws:
    """The same data, however they are told, give the same draws."""

    @pytest.mark.parametrize(
        "name", ["ridge", "n < p", "four Normal, two flat", "means and scales"]
    )
    def test_order_of_rows(self, name):
        model, (X, y), _ = CASES[name]
        order = np.random.default_rng(0).permutation(len(y))
        self.assert_same(model.draw(X, y, 2000), model.draw(X[order], y[order], 2000))

    def test_order_of_rows_of_a_balanced_design(self):
        """Equal singular values, whose vectors are any."""
        X = np.array(np.meshgrid(*[[-1.0, 1.0]] * 5)).reshape(5, -1).T
        y = rows(15, 32, 1)[1]
        model = Model(np.zeros(5), np.ones(5), [2, 3, 4], HALF_NORMAL, st.halfnorm)
        order = np.random.default_rng(0).permutation(32)
        self.assert_same(model.draw(X, y, 2000), model.draw(X[order], y[order], 2000))

    @pytest.mark.parametrize("name", ["ridge", "four Normal, two flat", "means and scales"])
    def test_weights_are_copies(self, name):
        model, (X, y), _ = CASES[name]
        self.assert_same(*self.weighted_and_copied(model, X, y), rtol=1e-6)

    @pytest.mark.parametrize("name", ["n < p", "four Normal, n < p"])
    def test_weights_are_copies_in_a_perfect_fit(self, name):
        """Sigma is of the size of rounding, which is not the same in both."""
        model, (X, y), _ = CASES[name]
        both = self.weighted_and_copied(model, X, y)
        for draws in both:
            assert draws.pop("sigma").max() < 1e-12
        self.assert_same(*both, rtol=5e-3)

    @staticmethod
    def weighted_and_copied(model, X, y):
        weights = np.random.default_rng(0).integers(1, 4, size=len(y))
        weighted = model.draw(X, y, 2000, weights=weights.astype(float))
        copied = model.draw(np.repeat(X, weights, axis=0), np.repeat(y, weights), 2000)
        return weighted, copied

    def test_units(self):
        """Columns in other units, and their scales with them, give the same draws."""
        model, (X, y), _ = CASES["ridge"]
        units = np.array([1e-6, 1e-2, 1e3, 1e8])
        here = model.draw(X, y, 2000)
        there = ridge(4, s=1 / units).draw(X * units, y, 2000)
        there["beta"] *= units
        self.assert_same(here, there)

    def test_columns_far_from_zero(self):
        """A mean of 1e6 standard deviations, the intercept's prior at the means."""
        X, y = rows(16, 30, 4)
        there = X + 1e6
        a, b = (ridge(4, center=x.mean(axis=0)).draw(x, y, 2000) for x in (X, there))
        self.assert_same(a, b, rtol=1e-5)

    def test_independent(self):
        model, (X, y), _ = CASES["ridge"]
        draws = model.draw(X, y, 50_000)
        for values in (np.log(draws["tau"]), draws["sigma"], draws["beta"][:, 0]):
            z = (values - values.mean()) / values.std()
            assert_mean(z[:-1] * z[1:], 0.0)

    def test_same_seed_same_draws(self):
        model, (X, y), _ = CASES["ridge"]
        first, second, other = (model.draw(X, y, 50, seed=s) for s in (3, 3, 4))
        for name, values in first.items():
            np.testing.assert_array_equal(values, second[name])
            assert not np.isclose(values, other[name]).any()

    @staticmethod
    def assert_same(here, there, rtol=1e-8):
        assert here.keys() == there.keys()
        for name, values in here.items():
            np.testing.assert_allclose(values, there[name], rtol=rtol, atol=rtol, err_msg=name)


class Power:
    """The density of an improper prior, x**power."""

    def __init__(self, power):
        self.power = power

    def logpdf(self, x):
        return self.power * np.log(x)

    def median(self):
        return 1.0


IMPROPER = {
    "tau to 0": (ridge(3, tau=Power(-1)), (30, 3), "'x0', 'x1', 'x2'.* go to 0"),
    "flat tau, one coefficient": (ridge(1, tau=Power(0)), (30, 1), "'x0' is too flat"),
    "flat sigma, one row": (
        ridge(1, sigma=Power(0), tau=Power(0), intercept=FLAT),
        (2, 1),
        "prior of sigma is too flat",
    ),
    "sigma to 0, n < p": (ridge(8, sigma=Power(-1)), (5, 8), "sigma go to 0"),
    "sigma excluded": (ridge(3, sigma=st.uniform(1e40, 1e40)), (30, 3), "exclude every value"),
    "flat columns": (
        ridge(3, group=[0], s=[1, np.inf, np.inf], intercept=FLAT),
        (2, 3),
        "'x1', 'x2'.*Flat",
    ),
}


class TestImproper:
    """A posterior that does not exist is refused."""

    @pytest.mark.parametrize("name", IMPROPER)
    def test_refused(self, name):
        model, shape, message = IMPROPER[name]
        with pytest.raises(ValueError, match=message):
            model.draw(*rows(17, *shape), 10)

    def test_constant_outcome(self):
        X, _ = rows(17, 30, 3)
        with pytest.raises(ValueError, match=r"y is constant.*sigma go to 0"):
            ridge(3, intercept=(2.0, 1.0)).draw(X, np.full(30, 2.0), 10)

    def test_constant_outcome_with_a_prior_that_keeps_sigma_from_zero(self):
        X, _ = rows(18, 8, 2)
        y = np.full(8, 2.0)
        model = ridge(2, sigma=st.invgamma(3, scale=2))
        assert_posterior(model.draw(X, y), model, X, y, Truth(model, X, y, WIDE))

    def test_flat_tau_with_enough_coefficients(self):
        """Its tail falls like tau^-p, so that for p = 5 even moments of the logs are right."""
        X, y = rows(19, 20, 5)
        model = ridge(5, tau=Power(0))
        draws = model.draw(X, y)
        truth = Truth(model, X, y, ((1e-2, 30), (1e-9, 1e5)), size=(110, 250))
        for name in ("sigma", "tau"):
            nodes = np.log(getattr(truth, name))
            assert_mean(np.log(draws[name]), truth.expect(nodes))
            assert_mean(np.square(np.log(draws[name])), truth.expect(np.square(nodes)))


class Density:
    """A density of a scale, up to a constant, and its median."""

    def __init__(self, logpdf, median):
        self.logpdf, self.median = logpdf, lambda: median


@pytest.mark.slow
def test_calibration():
    """Data from the prior: the truth's rank among the draws is uniform (Talts et al. 2018)."""
    rng = np.random.default_rng(20)
    n_simulations, n_draws, n_bins = 300, 99, 10
    X = rng.normal(size=(15, 4)) + 0.5
    model = Model(
        m=[0.0, 0, 0, 0.3],
        s=[1.0, 0.5, 1, 0.8],
        group=[0, 1, 2],
        sigma=Density(lambda x: -0.5 * np.square(np.log(x) / 0.6) - np.log(x), 1.0),
        tau=Density(lambda x: -0.5 * np.square(x), 0.7),
        intercept=(0.0, 1.5),
    )
    ranks = []
    for k in range(n_simulations):
        sigma, tau = np.exp(0.6 * rng.normal()), np.abs(rng.normal())
        beta = model.m + model.s * np.array([tau, tau, tau, 1]) * rng.normal(size=4)
        intercept = 1.5 * rng.normal()
        y = intercept + X @ beta + sigma * rng.normal(size=15)
        draws = model.draw(X, y, n_draws, seed=k)
        truth = [sigma, tau, beta[0], beta[3], intercept]
        found = [draws["sigma"], draws["tau"], draws["beta"][:, 0], draws["beta"][:, 3]]
        found.append(draws["intercept"] - draws["beta"] @ X.mean(axis=0))
        ranks.append([np.sum(f < t) for f, t in zip(found, truth, strict=True)])
    for rank in np.array(ranks).T:
        counts = np.bincount(rank * n_bins // (n_draws + 1), minlength=n_bins)
        assert st.chisquare(counts).pvalue > 1e-3


@pytest.mark.slow
def test_nuts():
    """The same model in PyMC, by hand: means and mean deviations within 4.5 MCSE.

    Of scales by their logs, and no squares: a few draws of tau make these, and their error.
    """
    import arviz as az
    import nutpie
    import pymc as pm

    X, y = rows(21, 60, 8, 0.4)
    X = X * np.geomspace(0.1, 10, 8) + 1.0
    sd = X.std(axis=0)
    model = Model(
        m=[0.2, *np.zeros(7)],
        s=[1.0, *y.std() / sd[1:]],
        group=range(1, 8),
        sigma=st.halfnorm(scale=2),
        tau=st.halfcauchy(scale=1),
        intercept=(0.0, 2.0),
        center=X.mean(axis=0),
    )
    with pm.Model() as textbook:
        sigma = pm.HalfNormal("sigma", 2)
        tau = pm.HalfCauchy("tau", 1)
        treatment = pm.Normal("treatment", 0.2, 1.0)
        raw = pm.Normal("raw", 0, 1, shape=7)
        group = pm.Deterministic("group", raw * tau * y.std() / sd[1:])
        intercept = pm.Normal("intercept", 0, 2)
        centred = X - X.mean(axis=0)
        mu = intercept + treatment * centred[:, 0] + centred[:, 1:] @ group
        pm.Normal("y", mu, sigma, observed=y)
    compiled = nutpie.compile_pymc_model(textbook)
    trace = nutpie.sample(
        compiled, draws=4000, tune=1000, chains=2, seed=1, cores=1, progress_bar=False
    )
    posterior = trace["posterior"].dataset
    draws = model.draw(X, y)
    ours = {
        "sigma": np.log(draws["sigma"]),
        "tau": np.log(draws["tau"]),
        "treatment": draws["beta"][:, 0],
        "intercept": draws["intercept"],
    } | {f"group{j}": draws["beta"][:, j + 1] for j in range(7)}
    theirs = {name: np.log(posterior[name].values) for name in ("sigma", "tau")}
    theirs |= {name: posterior[name].values for name in ("treatment", "intercept")}
    theirs |= {f"group{j}": posterior["group"].values[..., j] for j in range(7)}
    for name, values in ours.items():
        middle = values.mean()
        for of in (np.positive, np.abs):
            chains, independent = of(theirs[name] - middle), of(values - middle)
            error = np.hypot(az.mcse(chains), independent.std() / np.sqrt(MANY))
            z = abs(chains.mean() - independent.mean()) / error
            assert z < N_STANDARD_ERRORS, (name, of, z)
