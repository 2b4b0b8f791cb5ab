"""The exact engine against closed forms, and against one-dimensional integrals by SciPy."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS, assert_mean
from pymc_extras.prior import Prior
from scipy.integrate import quad_vec

from interventional import BayesianInterventionRegressor

FLAT = {"beta": Prior("Flat"), "intercept": Prior("Flat")}


def fitted(X, y, priors=None, sample_weight=None, **parameters):
    settings = {"draws": 10_000, "inference": "exact", "random_state": 1} | parameters
    model = BayesianInterventionRegressor(priors=priors, **settings)
    return model.fit(X, y, sample_weight=sample_weight)


def parameters(model):
    """Draws of all parameters as columns: sigma, the coefficients, the intercept at zero."""
    posterior = model.idata_["posterior"].dataset
    names = [n for n in ("y_sigma", "y_beta", "y_intercept") if n in posterior]
    stacked = [posterior[name].values.reshape(model.chains * model.draws, -1) for name in names]
    return np.column_stack(stacked)


def rows(seed, n, p):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X @ rng.normal(size=p) + 0.5 + rng.normal(size=n)


def assert_same_distribution(draws, distribution, name):
    """Independent draws follow a distribution of SciPy: Kolmogorov-Smirnov, and quantiles."""
    assert st.kstest(draws, distribution.cdf).pvalue > 1e-4, name
    levels = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    assert_below(draws, distribution.ppf(levels), levels)


def assert_below(draws, points, probabilities):
    """The share of draws below some points is as likely as it should be, in standard errors."""
    share = np.mean(np.asarray(draws)[:, None] < points, axis=0)
    error = np.sqrt(probabilities * (1 - probabilities) / len(draws))
    z = np.abs(share - probabilities) / error
    assert np.all(z < N_STANDARD_ERRORS), z.max()


class Truth:
    """The posterior of a Gaussian linear model as integrals over log sigma, by SciPy.

    y ~ N(X theta, sigma^2 I), theta ~ N(m, diag(s^2)), or flat where s is infinite. The likelihood
    of sigma is that of y in n dimensions, N(X m, sigma^2 I + X S X'), for flat coefficients its
    restricted form (Harville 1974); given sigma, theta is Gaussian. Nothing is factored, and all
    is dense.
    """

    def __init__(self, X, y, m, s, sigma_prior, support=(1e-4, 1e4)):
        self.X, self.y, self.prior = X, y, sigma_prior
        self.m = np.asarray(m, dtype=float)
        self.flat = np.isinf(s)
        self.variance = np.where(self.flat, 0.0, np.square(s))
        self.precision = np.diag(np.where(self.flat, 0.0, 1 / np.square(s)))
        self.low, self.high = np.log(support)
        grid = np.linspace(self.low, self.high, 400)
        self.peak = max(self._log(t) for t in grid)
        self.mass = self.integral(lambda t: 1.0)

    def _log(self, t):
        sigma = np.exp(t)
        cov = sigma**2 * np.eye(len(self.y)) + (self.X * self.variance) @ self.X.T
        factor = np.linalg.cholesky(cov)
        left = np.linalg.solve(factor, self.y - self.X @ (self.m * ~self.flat))
        value = -np.log(np.diag(factor)).sum() - 0.5 * left @ left
        if self.flat.any():
            flat = np.linalg.solve(factor, self.X[:, self.flat])
            score = flat.T @ left
            information = flat.T @ flat
            value += 0.5 * score @ np.linalg.solve(information, score)
            value -= 0.5 * np.linalg.slogdet(information)[1]
        return value + self.prior.logpdf(sigma) + t

    def integral(self, function, low=None, high=None):
        low = self.low if low is None else low
        high = self.high if high is None else high
        return quad_vec(
            lambda t: np.exp(self._log(t) - self.peak) * np.asarray(function(t)),
            low,
            high,
            epsrel=1e-6,
            epsabs=1e-9,
        )[0]

    def given(self, t):
        """Mean and covariance of theta given log sigma."""
        cov = np.linalg.inv(self.X.T @ self.X / np.exp(2 * t) + self.precision)
        mean = cov @ (self.X.T @ self.y / np.exp(2 * t) + self.precision @ self.m)
        return mean, cov

    def sigma_cdf(self, sigma):
        return np.array([self.integral(lambda t: 1.0, high=np.log(s)) for s in sigma]) / self.mass

    def moments(self, A):
        """Mean and standard deviation of A theta."""

        def first_two(t):
            mean, cov = self.given(t)
            at = A @ mean
            return np.array([at, np.diag(A @ cov @ A.T) + at**2])

        mean, square = self.integral(first_two) / self.mass
        return mean, np.sqrt(square - mean**2)

    def cdf(self, A, points):
        """P(A theta < points), each of shape (k,)."""

        def below(t):
            mean, cov = self.given(t)
            return st.norm.cdf((points - A @ mean) / np.sqrt(np.diag(A @ cov @ A.T)))

        return self.integral(below) / self.mass


def assert_posterior(model, truth, at_zero):
    """Sigma's quantiles, and the coefficients' means, deviations and quantiles, are the truth's.

    `at_zero` is the matrix from theta to the coefficients and the intercept at zero.
    """
    draws = parameters(model)
    sigma = np.quantile(draws[:, 0], [0.05, 0.5, 0.95])  # any points would do
    assert_below(
        draws[:, 0], sigma_points := sigma * [0.99, 1.02, 1.01], truth.sigma_cdf(sigma_points)
    )
    mean, sd = truth.moments(at_zero)
    assert_mean(draws[:, 1:], mean)
    assert_mean(np.square(draws[:, 1:] - mean), sd**2)
    for offset in (-1.6, 0.3, 1.6):
        points = mean + offset * sd
        below = truth.cdf(at_zero, points)
        share = np.mean(draws[:, 1:] < points, axis=0)
        z = np.abs(share - below) / np.sqrt(below * (1 - below) / len(draws))
        assert np.all(z < N_STANDARD_ERRORS), z.max()


# What sigma's prior is in PyMC, and the same in SciPy.
SIGMA_PRIORS = {
    "HalfNormal": (Prior("HalfNormal", sigma=2), st.halfnorm(scale=2)),
    "Exponential": (Prior("Exponential", lam=0.7), st.expon(scale=1 / 0.7)),
    "InverseGamma": (Prior("InverseGamma", alpha=3, beta=2), st.invgamma(3, scale=2)),
    "HalfCauchy": (Prior("HalfCauchy", beta=1.5), st.halfcauchy(scale=1.5)),
    "Gamma": (Prior("Gamma", alpha=2, beta=3), st.gamma(2, scale=1 / 3)),
    "LogNormal": (Prior("LogNormal", mu=0.2, sigma=0.5), st.lognorm(0.5, scale=np.exp(0.2))),
    "Weibull": (Prior("Weibull", alpha=2, beta=1.2), st.weibull_min(2, scale=1.2)),
    "Uniform": (Prior("Uniform", lower=0.4, upper=1.3), st.uniform(0.4, 0.9)),
}


DATA = {
    "few rows": rows(0, 8, 2),
    "many rows": rows(1, 500, 3),
    "badly scaled": (rows(2, 40, 2)[0] * [1.0, 1e-3] + [1e6, 1e3], 1e5 * rows(2, 40, 2)[1]),
}


class TestFlatPriors:
    """Under flat priors, sigma included, the posterior is Student's t.

    p(sigma) = 1 makes p(u) ~ u^(-1/2) for u = sigma^2, so with k coefficients
    p(u | y) ~ u^(-(n - k + 1)/2) exp(-rss / 2u): rss / u is chi-squared with nu = n - k - 1
    degrees of freedom, and a' theta is t with nu of them, about least squares, with scale
    sqrt(rss / nu * a' (X'X)^-1 a).
    """

    @pytest.mark.parametrize("fit_intercept", [True, False])
    @pytest.mark.parametrize("name", DATA)
    def test_student_t(self, name, fit_intercept):
        X, y = DATA[name]
        flat = {"beta": Prior("Flat"), "sigma": Prior("HalfFlat")}
        if fit_intercept:
            flat["intercept"] = Prior("Flat")
        draws = parameters(fitted(X, y, flat, fit_intercept=fit_intercept))
        n, p = X.shape
        # centred first, for the truth's own digits
        center = X.mean(axis=0) if fit_intercept else np.zeros(p)
        full = np.column_stack([X - center, np.ones(n)]) if fit_intercept else X
        k = full.shape[1]
        nu = n - k - 1
        theta, rss, *_ = np.linalg.lstsq(full, y)
        inverse = np.linalg.inv(full.T @ full)
        scaled = st.chi2(nu)
        assert_same_distribution(rss[0] / np.square(draws[:, 0]), scaled, "sigma")
        A = np.eye(k)
        if fit_intercept:  # draws have the intercept at zero
            A[-1, :p] = -center
        A = np.vstack([A, np.linspace(1, 2, k) @ A])  # and one combination of all
        found = np.column_stack([draws[:, 1:], draws[:, 1:] @ np.linspace(1, 2, k)])
        for j, a in enumerate(A):
            scale = np.sqrt(rss[0] / nu * (a @ inverse @ a))
            assert_same_distribution(found[:, j], st.t(nu, a @ theta, scale), j)

    def test_statsmodels(self):
        """Means are OLS estimates, and deviations its standard errors, but for the t's width."""
        import statsmodels.api as sm

        X, y = DATA["many rows"]
        ols = sm.OLS(y, sm.add_constant(X)).fit()
        draws = parameters(fitted(X, y, FLAT | {"sigma": Prior("HalfFlat")}))
        assert_mean(draws[:, [3 + 1, 1, 2, 3]], ols.params)
        nu = len(y) - 4 - 1
        variance = ols.bse**2 * ols.df_resid / (nu - 2)
        assert_mean(np.square(draws[:, [4, 1, 2, 3]] - ols.params), variance)

    def test_any_prior_of_sigma(self):
        """Flat coefficients under a HalfNormal sigma, by integration of the restricted form."""
        X, y = rows(3, 9, 2)
        model = fitted(X, y, FLAT | {"sigma": SIGMA_PRIORS["HalfNormal"][0]})
        full = np.column_stack([X, np.ones(9)])
        truth = Truth(full, y, np.zeros(3), np.full(3, np.inf), SIGMA_PRIORS["HalfNormal"][1])
        assert_posterior(model, truth, np.eye(3))


class TestNormalPriors:
    """Normal priors of the coefficients, against integrals over sigma of the dense model."""

    @pytest.mark.parametrize("shape", [(7, 3), (4, 8)], ids=["n > p", "n < p"])
    @pytest.mark.parametrize("name", SIGMA_PRIORS)
    def test_priors_of_sigma(self, name, shape):
        n, p = shape
        X, y = rows(4, n, p)
        ours, theirs = SIGMA_PRIORS[name]
        m, s = np.linspace(-0.5, 1, p), np.linspace(0.3, 2, p)
        priors = {
            "beta": Prior("Normal", mu=m, sigma=s),
            "intercept": Prior("Normal", mu=0.2, sigma=1.5),
            "sigma": ours,
        }
        model = fitted(X, y, priors)
        center = X.mean(axis=0)
        full = np.column_stack([X - center, np.ones(n)])
        truth = Truth(full, y, [*m, 0.2], [*s, 1.5], theirs)
        A = np.eye(p + 1)
        A[-1, :p] = -center
        assert_posterior(model, truth, A)

    def test_intercept_at_zero(self):
        """With center_predictors=False the prior of the intercept holds at x = 0."""
        X, y = rows(5, 6, 2)
        X += [3.0, -2.0]
        priors = {
            "beta": Prior("Normal", mu=0, sigma=1),
            "intercept": Prior("Normal", mu=-1, sigma=0.5),
            "sigma": Prior("HalfNormal", sigma=2),
        }
        model = fitted(X, y, priors, center_predictors=False)
        full = np.column_stack([X, np.ones(6)])
        truth = Truth(full, y, [0, 0, -1], [1, 1, 0.5], st.halfnorm(scale=2))
        assert_posterior(model, truth, np.eye(3))
        centred = fitted(X, y, priors)  # another model, so that the test above can tell them apart
        assert abs(centred.intercept_ - model.intercept_) > 0.3

    @pytest.mark.parametrize("center_predictors", [True, False])
    def test_without_intercept(self, center_predictors):
        X, y = rows(6, 7, 3)
        priors = {
            "beta": Prior("Normal", mu=0.5, sigma=1),
            "sigma": Prior("Exponential", lam=0.7),
        }
        model = fitted(X, y, priors, fit_intercept=False, center_predictors=center_predictors)
        truth = Truth(X, y, np.full(3, 0.5), np.ones(3), st.expon(scale=1 / 0.7))
        assert_posterior(model, truth, np.eye(3))
        assert model.intercept_ == 0.0

    @pytest.mark.parametrize("center_predictors", [True, False])
    def test_flat_beside_normal(self, center_predictors):
        """A flat intercept and a flat column among Normal ones, fewer rows than columns."""
        X, y = rows(7, 6, 7)
        X = X + 1.0
        priors = {
            "intercept": Prior("Flat"),
            "x2": Prior("Flat"),
            "beta": Prior("Normal", mu=0, sigma=0.8),
            "sigma": Prior("HalfNormal", sigma=2),
        }
        model = fitted(X, y, priors, center_predictors=center_predictors)
        s = np.full(8, 0.8)
        s[[2, 7]] = np.inf
        full = np.column_stack([X, np.ones(6)])
        truth = Truth(full, y, np.zeros(8), s, st.halfnorm(scale=2))
        assert_posterior(model, truth, np.eye(8))

    def test_duplicate_and_constant_columns(self):
        """The prior settles what the data leave open."""
        X, y = rows(8, 9, 2)
        X = np.column_stack([X, X[:, 0], np.full(9, 2.0)])
        priors = {
            "beta": Prior("Normal", mu=[0, 0, 1, 0.3], sigma=[1, 1, 0.5, 2]),
            "intercept": Prior("Normal", mu=0, sigma=1),
            "sigma": Prior("HalfNormal", sigma=2),
        }
        model = fitted(X, y, priors)
        center = X.mean(axis=0)
        full = np.column_stack([X - center, np.ones(9)])
        s = [1, 1, 0.5, 2, 1]
        truth = Truth(full, y, [0, 0, 1, 0.3, 0], s, st.halfnorm(scale=2))
        A = np.eye(5)
        A[-1, :4] = -center
        assert_posterior(model, truth, A)
        # a constant column says nothing: its coefficient keeps its prior
        assert_same_distribution(parameters(model)[:, 4], st.norm(0.3, 2), "constant column")

    def test_default_priors(self):
        """The documented defaults, written out: 2.5 sd(y)/sd(x), and HalfStudentT(4, sd(y))."""
        X, y = rows(9, 8, 3)
        X, y = X * [1.0, 20.0, 0.1] + [0.0, 5.0, 1.0], 7 * y + 30
        model = fitted(X, y)
        center, scale = X.mean(axis=0), y.std()
        full = np.column_stack([X - center, np.ones(8)])
        s = [*2.5 * scale / X.std(axis=0), 2.5 * scale]

        class HalfT:
            def logpdf(self, sigma):
                return st.t(4, scale=scale).logpdf(sigma)

        truth = Truth(full, y, [0, 0, 0, y.mean()], s, HalfT())
        A = np.eye(4)
        A[-1, :3] = -center
        assert_posterior(model, truth, A)

    @pytest.mark.parametrize("shape", [(20, 3), (4, 8)], ids=["n > p", "n < p"])
    @pytest.mark.parametrize(
        "sigma",
        [
            Prior("Uniform", lower=0.7 * (1 - 1e-6), upper=0.7 * (1 + 1e-6)),
            Prior("InverseGamma", alpha=1e10, beta=0.7e10),
            Prior("LogNormal", mu=np.log(0.7), sigma=1e-5),
        ],
        ids=lambda prior: prior.distribution,
    )
    def test_known_sigma_is_ridge(self, shape, sigma):
        """With sigma known the posterior is Gaussian: ridge regression, and its covariance."""
        n, p = shape
        X, y = rows(10, n, p)
        priors = {
            "beta": Prior("Normal", mu=0.2, sigma=0.6),
            "intercept": Prior("Normal", mu=0, sigma=3),
            "sigma": sigma,
        }
        draws = parameters(fitted(X, y, priors, center_predictors=False))
        full = np.column_stack([X, np.ones(n)])
        m, precision = np.array([*[0.2] * p, 0.0]), np.array([*[0.6**-2] * p, 3.0**-2])
        information = full.T @ full / 0.7**2 + np.diag(precision)
        mean = np.linalg.solve(information, full.T @ y / 0.7**2 + precision * m)
        white = (draws[:, 1:] - mean) @ np.linalg.cholesky(information)
        np.testing.assert_allclose(draws[:, 0], 0.7, rtol=1e-4)
        assert_mean(white, 0.0)
        products = white[:, :, None] * white[:, None, :]
        assert_mean(products.reshape(len(white), -1), np.eye(p + 1).ravel())

    def test_precision_instead_of_deviation(self):
        """Prior('Normal', tau=4) is Normal(0, 1/2), the same draws."""
        X, y = rows(11, 12, 2)
        a = fitted(X, y, {"beta": Prior("Normal", mu=1, tau=4)}, draws=50)
        b = fitted(X, y, {"beta": Prior("Normal", mu=1, sigma=0.5)}, draws=50)
        np.testing.assert_allclose(parameters(a), parameters(b), rtol=1e-12)

    def test_many_rows(self):
        """Sigma's posterior is narrow: its mean and deviation by large-sample theory."""
        rng = np.random.default_rng(12)
        n = 200_000
        X = rng.normal(size=(n, 2))
        y = X @ [1.0, -1.0] + 3.0 * rng.normal(size=n)
        sigma = parameters(fitted(X, y))[:, 0]
        s = np.sqrt(np.linalg.lstsq(np.column_stack([X, np.ones(n)]), y)[1][0] / (n - 3))
        np.testing.assert_allclose(sigma.mean(), s, rtol=1e-4)
        np.testing.assert_allclose(sigma.std(), s / np.sqrt(2 * n), rtol=0.03)


class TestDraws:
    """Draws are independent, and no matter how the same data are told."""

    def test_independent(self):
        """No autocorrelation within a chain, no likeness between chains."""
        X, y = rows(13, 20, 3)
        model = fitted(X, y)
        chains = model.idata_["posterior"]["y_sigma"].values
        z = (chains - chains.mean()) / chains.std()
        assert_mean(z[:, :-1] * z[:, 1:], 0.0, axis=1)
        assert_mean(z[0] * z[1], 0.0)

    def test_same_seed_same_draws(self):
        X, y = rows(14, 20, 3)
        first, second = (parameters(fitted(X, y, draws=20)) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        other = parameters(fitted(X, y, draws=20, random_state=2))
        assert not np.isclose(first, other).any()

    @pytest.mark.parametrize("shape", [(25, 3), (5, 8)], ids=["n > p", "n < p"])
    @pytest.mark.parametrize("priors", [None, {"x1": Prior("Flat")}], ids=["default", "flat"])
    def test_order_of_rows(self, shape, priors):
        X, y = rows(15, *shape)
        order = np.random.default_rng(0).permutation(len(y))
        here = parameters(fitted(X, y, priors, draws=500))
        there = parameters(fitted(X[order], y[order], priors, draws=500))
        np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("fit_intercept", [True, False])
    @pytest.mark.parametrize("priors", [None, {"x1": Prior("Flat")}], ids=["default", "flat"])
    def test_weight_three_is_three_copies(self, priors, fit_intercept):
        X, y = rows(16, 25, 3)
        weights = np.random.default_rng(0).integers(1, 4, size=25)
        a = fitted(X, y, priors, weights, draws=500, fit_intercept=fit_intercept)
        X, y = np.repeat(X, weights, axis=0), np.repeat(y, weights)
        b = fitted(X, y, priors, draws=500, fit_intercept=fit_intercept)
        np.testing.assert_allclose(parameters(a), parameters(b), rtol=1e-7, atol=1e-7)

    def test_weight_zero_is_no_row(self):
        X, y = rows(17, 25, 3)
        weights = np.ones(25)
        weights[[0, 7, 24]] = 0
        with_zeros = parameters(fitted(X, y, sample_weight=weights, draws=500))
        kept = weights > 0
        without = parameters(fitted(X[kept], y[kept], draws=500))
        np.testing.assert_allclose(with_zeros, without, rtol=1e-9, atol=1e-9)

    @pytest.mark.filterwarnings("ignore:sample_weight are frequencies")  # fractions add up too
    def test_weights_count_as_rows_in_the_closed_form(self):
        """Flat priors: rss / sigma^2 is chi-squared with sum(weights) - k - 1 of them."""
        import statsmodels.api as sm

        X, y = rows(18, 12, 2)
        weights = np.random.default_rng(1).uniform(0.5, 2.0, size=12)
        model = fitted(X, y, FLAT | {"sigma": Prior("HalfFlat")}, weights)
        wls = sm.WLS(y, sm.add_constant(X), weights=weights).fit()
        nu = weights.sum() - 3 - 1
        chi2 = wls.ssr / np.square(parameters(model)[:, 0])
        assert_same_distribution(chi2, st.chi2(nu), "sigma")
        assert_mean(parameters(model)[:, [3, 1, 2]], wls.params)


@pytest.fixture(params=[(30, 3), (5, 8)], ids=["n > p", "n < p"])
def data(request):
    X, y = rows(19, *request.param)
    return X, y, parameters(fitted(X, y, draws=500))


class TestUnits:
    """With default priors the same answer in other units, draw by draw."""

    def test_outcome_times(self, data):
        X, y, here = data
        there = parameters(fitted(X, 1e5 * y, draws=500))
        np.testing.assert_allclose(there / 1e5, here, rtol=1e-9, atol=1e-9)

    def test_outcome_plus(self, data):
        X, y, here = data
        there = parameters(fitted(X, y + 1e6, draws=500))
        there[:, -1] -= 1e6
        np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-6)

    def test_columns_times(self, data):
        X, y, here = data
        units = np.geomspace(1e-6, 1e6, X.shape[1])
        there = parameters(fitted(X * units, y, draws=500))
        there[:, 1:-1] *= units
        np.testing.assert_allclose(there, here, rtol=1e-8, atol=1e-8)

    def test_columns_plus(self, data):
        """A mean of 1e6 standard deviations."""
        X, y, here = data
        there = parameters(fitted(X + 1e6, y, draws=500))
        there[:, -1] += 1e6 * there[:, 1:-1].sum(axis=1)
        np.testing.assert_allclose(there[:, :-1], here[:, :-1], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(there[:, -1], here[:, -1], atol=1e-3)  # digits of 1e6 * beta


def constant(X, y):
    return X, np.full(len(y), 2.0)


IMPROPER = {
    "flat, n < p": (lambda X, y: (X[:3], y[:3]), {"beta": Prior("Flat")}, "Flat"),
    "flat, duplicates": (
        lambda X, y: (np.column_stack([X, X[:, 0]]), y),
        {"beta": Prior("Flat")},
        "'x0', 'x1', 'x2', 'x3'.*Flat",
    ),
    "flat, constant column": (
        lambda X, y: (np.column_stack([X, np.ones(len(y))]), y),
        {"x3": Prior("Flat")},
        "'x3'.*Flat",
    ),
    "flat beside a flat intercept, constant column": (
        lambda X, y: (np.column_stack([X, np.ones(len(y))]), y),
        {"x3": Prior("Flat"), "intercept": Prior("Flat")},
        "'intercept', 'x3'.*Flat",
    ),
    "constant y, sigma to 0": (
        constant,
        {
            "beta": Prior("Normal", mu=0, sigma=1),
            "intercept": Prior("Normal", mu=0, sigma=1),
            "sigma": Prior("HalfNormal", sigma=1),
        },
        "y is constant.*sigma go to 0",
    ),
    "constant y, defaults": (constant, None, "y is constant"),
    "flat sigma, few rows": (
        lambda X, y: (X[:5], y[:5]),
        FLAT | {"sigma": Prior("HalfFlat")},
        "too flat for so few rows",
    ),
    "sigma excluded": (
        lambda X, y: (X, y),
        {"sigma": Prior("Uniform", lower=1e40, upper=2e40)},
        "prior of sigma excludes",
    ),
}


class TestImproper:
    """A posterior that does not exist is refused, and the estimator stays as it was."""

    @pytest.mark.parametrize("before", ["never fitted", "fitted"])
    @pytest.mark.parametrize("name", IMPROPER)
    def test_refused(self, name, before):
        spoil, priors, message = IMPROPER[name]
        X, y = rows(20, 30, 3)
        model = BayesianInterventionRegressor(random_state=0, draws=10)
        if before == "fitted":
            model.fit(X, y)
        model.set_params(priors=priors)
        was = vars(model).copy()
        with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
            model.fit(*spoil(X, y))
        assert vars(model).keys() == was.keys()
        assert all(vars(model)[key] is was[key] for key in was)

    def test_flat_sigma_with_just_enough_rows(self):
        """n = k + 1 leaves nu = 0 and is refused above; one row more is proper, with nu = 1."""
        X, y = rows(20, 6, 3)
        model = fitted(X, y, FLAT | {"sigma": Prior("HalfFlat")})
        rss = np.linalg.lstsq(np.column_stack([X, np.ones(6)]), y)[1][0]
        assert_same_distribution(rss / np.square(parameters(model)[:, 0]), st.chi2(1), "sigma")

    def test_constant_outcome_with_a_prior_that_keeps_sigma_from_zero(self):
        """y = 2 throughout has a posterior under an InverseGamma sigma: by integration."""
        X, _ = rows(21, 8, 2)
        y = np.full(8, 2.0)
        priors = {
            "beta": Prior("Normal", mu=0, sigma=1),
            "intercept": Prior("Normal", mu=0, sigma=1),
            "sigma": Prior("InverseGamma", alpha=3, beta=2),
        }
        model = fitted(X, y, priors, center_predictors=False)
        full = np.column_stack([X, np.ones(8)])
        truth = Truth(full, y, np.zeros(3), np.ones(3), st.invgamma(3, scale=2))
        assert_posterior(model, truth, np.eye(3))

    def test_perfect_fit(self):
        """Noise-free rows have the coefficients they were made with, and sigma of rounding."""
        X, _ = rows(22, 30, 3)
        draws = parameters(fitted(X, X @ [1.0, 2.0, 3.0] + 4.0, draws=100))
        np.testing.assert_allclose(draws[:, 1:], [[1, 2, 3, 4]] * 400, rtol=1e-12)
        assert np.all((draws[:, 0] > 0) & (draws[:, 0] < 1e-13))

    def test_perfect_fit_of_weighted_rows(self):
        """Fewer rows than columns, each counted three times: copies and weights say the same."""
        X, y = rows(26, 4, 6)
        weighted = parameters(fitted(X, y, sample_weight=np.full(4, 3.0), draws=100))
        copied = parameters(fitted(np.repeat(X, 3, axis=0), np.repeat(y, 3), draws=100))
        assert weighted[:, 0].max() < 1e-12
        assert copied[:, 0].max() < 1e-12
        np.testing.assert_allclose(weighted[:, 1:], copied[:, 1:], rtol=1e-10, atol=1e-12)


class TestTree:
    """What stands in `idata_`."""

    def test_names_dims_and_engine(self):
        X, y = rows(23, 20, 3)
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        model = BayesianInterventionRegressor(random_state=0, draws=11, chains=3).fit(frame, y)
        posterior = model.idata_["posterior"]
        assert posterior.attrs["inference"] == "exact"
        assert dict(posterior.sizes) == {"chain": 3, "draw": 11, "y_term": 3}
        assert posterior["y_term"].values.tolist() == ["a", "b", "c"]
        assert set(posterior.data_vars) == {"y_beta", "y_intercept", "y_sigma"}

    def test_groups_are_parts_of_beta(self):
        """Where the model has a variable for each kind of prior, so has the tree."""
        X, y = rows(24, 20, 3)
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        posterior = fitted(frame, y, {"b": Prior("Flat")}, draws=5).idata_["posterior"]
        np.testing.assert_array_equal(
            posterior["y_beta_flat"].sel(y_flat_term="b"), posterior["y_beta"].sel(y_term="b")
        )
        np.testing.assert_array_equal(
            posterior["y_beta_normal"].values, posterior["y_beta"].sel(y_term=["a", "c"]).values
        )

    def test_arviz_takes_it(self):
        import arviz as az

        X, y = rows(25, 20, 2)
        summary = az.summary(fitted(X, y, draws=500).idata_)
        assert set(summary.index) == {"y_beta[x0]", "y_beta[x1]", "y_intercept", "y_sigma"}
