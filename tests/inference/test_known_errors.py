"""Rows whose standard deviations are known, against weighted least squares and quadrature."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import assert_mean, assert_same_mean
from numpy.polynomial.legendre import leggauss
from pymc_extras.prior import Prior
from scipy import stats

from interventional import BayesianInterventionRegressor
from interventional.scm.compiling import python_mode

FLAT = {"beta": Prior("Flat"), "intercept": Prior("Flat")}
NO_SIGMA = {"sigma": Prior("DiracDelta", c=0.0)}
SCHOOLS = pd.DataFrame({"se": [15.0, 10, 16, 11, 9, 11, 10, 18]})
COACHED = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])


def flat(model, name):
    values = np.asarray(model.idata_["posterior"][name])
    return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])


def make(**parameters):
    return BayesianInterventionRegressor(**{"noise": "se", "random_state": 3} | parameters)


def rows(n=40, seed=5, tau=0.7, low=0.2, high=2.0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(2.0, 1.0, n), "b": rng.normal(size=n)})
    X["se"] = rng.uniform(low, high, n)
    y = 1 + 2 * X["a"] - X["b"] + np.hypot(tau, X["se"]) * rng.normal(size=n)
    return X, y.to_numpy()


def quadrature(A, y, se, prior_of_sigma, *, mean=None, precision=None, weights=None, top=60.0):
    """The posterior of sigma on Gauss-Legendre nodes, and of the coefficients given each.

    Returns nodes, their posterior probabilities, and mean and covariance of the coefficients.
    """
    p = A.shape[1]
    mean = np.zeros(p) if mean is None else mean
    precision = np.zeros((p, p)) if precision is None else precision
    weights = np.ones(len(y)) if weights is None else weights
    nodes, share = leggauss(400)
    # sigma = top * u^3: dense where it is small
    u = (nodes + 1) / 2
    sigma, share = top * u**3, share * 3 * top * u**2 / 2
    log_density, centers, covs = [], [], []
    for s in sigma:
        w = weights / (s**2 + se**2)
        inner = A.T @ (A * w[:, None]) + precision
        center = np.linalg.solve(inner, A.T @ (w * y) + precision @ mean)
        left = w @ (y - A @ center) ** 2 + (center - mean) @ precision @ (center - mean)
        log_density.append(
            prior_of_sigma(s)
            - 0.5 * (weights @ np.log(s**2 + se**2) + np.linalg.slogdet(inner)[1] + left)
        )
        centers.append(center)
        covs.append(np.linalg.inv(inner))
    mass = share * np.exp(np.array(log_density) - max(log_density))
    return sigma, mass / mass.sum(), np.array(centers), np.array(covs)


def assert_posterior(model, truth, names):
    """Means and variances of coefficients and sigma, in units of their standard errors."""
    sigma, mass, centers, covs = truth
    columns = {"sigma": (sigma, sigma**2)}
    for k, name in enumerate(names):
        columns[name] = (centers[:, k], covs[:, k, k] + centers[:, k] ** 2)
    drawn = {"sigma": flat(model, "y_sigma")}
    for k, name in enumerate(names):
        beta = flat(model, "y_beta")
        drawn[name] = flat(model, "y_intercept") if name == "intercept" else beta[:, k - 1]
    for name, (first, second) in columns.items():
        at = mass @ first
        assert_mean(drawn[name], at)
        assert_mean((drawn[name] - at) ** 2, mass @ second - at**2)
    below = np.array([0.1, 0.5, 0.9])
    cut = np.interp(below, np.cumsum(mass) - mass / 2, sigma)
    assert_mean((drawn["sigma"][:, None] < cut).astype(float), below)


# --- Closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "low", "high", "scale", "line", "expected"),
    [
        (300, 0.2, 3.0, 1.0, (1.0, 2.0), (2.035, 0.054)),
        (16, 5.0, 60.0, 70.0, (30.0, 2.2), (2.243, 0.121)),
    ],
)
def test_sigma_of_0_is_weighted_least_squares(n, low, high, scale, line, expected):
    """The numbers of `known_noise.py`: 1/s^2 as frequencies gave 0.61 +- 5.1 for the second."""
    rng = np.random.default_rng(0 if n == 300 else 1)
    x, s = scale * rng.normal(size=n), rng.uniform(low, high, n)
    y = line[0] + line[1] * x + s * rng.normal(size=n)
    A = np.column_stack([np.ones(n), x])
    cov = np.linalg.inv(A.T @ (A / s[:, None] ** 2))
    center = cov @ A.T @ (y / s**2)
    np.testing.assert_allclose([center[1], cov[1, 1] ** 0.5], expected, atol=6e-4)
    X = pd.DataFrame({"x": x, "se": s})
    model = make(priors=FLAT | NO_SIGMA).fit(X, y)
    theta = np.column_stack([flat(model, "y_intercept"), flat(model, "y_beta")])
    assert_mean(theta, center)
    assert_mean((theta - center) ** 2, np.diag(cov))
    assert_mean((theta[:, 0] - center[0]) * (theta[:, 1] - center[1]), cov[0, 1])
    assert (flat(model, "y_sigma") == 0).all()
    assert list(model.idata_["posterior"]["y_term"].values) == ["x"]
    # default priors hardly matter here
    model = make(priors=NO_SIGMA).fit(X, y)
    assert abs(model.coef_[0] - center[1]) < 0.1 * expected[1]


def test_priors_of_coefficients_enter():
    X, y = rows(12)
    se, A = X["se"].to_numpy(), np.column_stack([np.ones(12), X[["a", "b"]]])
    mean, sd = np.array([0.5, 1.0, -2.0]), np.array([0.7, 0.3, 0.2])
    priors = {
        "intercept": Prior("Normal", mu=0.5, sigma=0.7),
        "a": Prior("Normal", mu=1.0, sigma=0.3),
        "b": Prior("Normal", mu=-2.0, sigma=0.2),
        "sigma": Prior("HalfNormal", sigma=1.0),
    }
    truth = quadrature(
        A,
        y,
        se,
        stats.halfnorm(scale=1.0).logpdf,
        mean=mean,
        precision=np.diag(sd**-2.0),
        top=12.0,
    )
    model = make(priors=priors, center_predictors=False).fit(X, y)
    assert_posterior(model, truth, ["intercept", "a", "b"])


def test_eight_schools():
    """Rubin's (1981) schools, as in Gelman et al. (2013), section 5.5: mu and tau integrated."""
    priors = {"intercept": Prior("Flat"), "sigma": Prior("Uniform", lower=0.0, upper=200.0)}
    truth = quadrature(
        np.ones((8, 1)), COACHED, SCHOOLS["se"].to_numpy(), lambda s: 0.0 * s, top=200.0
    )
    model = make(priors=priors, draws=5000).fit(SCHOOLS, COACHED)
    assert_posterior(model, truth, ["intercept"])
    # mu about 8 +- 5, tau of median about 5 with much mass near 0: their figures 5.5 to 5.7
    mu, tau = flat(model, "y_intercept"), flat(model, "y_sigma")
    assert (round(mu.mean()), round(mu.std())) == (8, 5)
    assert 4.5 < np.median(tau) < 6


def test_without_an_intercept():
    X, y = rows(15, seed=8)
    truth = quadrature(
        X[["a", "b"]].to_numpy(),
        y,
        X["se"].to_numpy(),
        stats.halfnorm(scale=2.0).logpdf,
        top=25.0,
    )
    priors = {"beta": Prior("Flat"), "sigma": Prior("HalfNormal", sigma=2.0)}
    model = make(priors=priors, fit_intercept=False).fit(X, y)
    drawn = flat(model, "y_beta")
    assert_mean(drawn, truth[1] @ truth[2])
    assert_mean(flat(model, "y_sigma"), truth[1] @ truth[0])


def test_errors_of_very_different_sizes():
    """A million to one: precise rows that do not determine all coefficients, and vague ones."""
    X, y = rows(30, seed=2)
    X["se"] = np.geomspace(1e-4, 1e2, 30)[np.random.default_rng(0).permutation(30)]
    y = 1 + 2 * X["a"] - X["b"] + np.hypot(0.01, X["se"]) * stats.norm.rvs(size=30, random_state=1)
    priors = FLAT | {"sigma": Prior("HalfNormal", sigma=1.0)}
    A = np.column_stack([np.ones(30), X[["a", "b"]]])
    truth = quadrature(
        A, y.to_numpy(), X["se"].to_numpy(), stats.halfnorm(scale=1.0).logpdf, top=1.0
    )
    assert_posterior(make(priors=priors).fit(X, y), truth, ["intercept", "a", "b"])


def test_equal_errors_are_a_part_of_sigma():
    """With one c for all rows it is the ordinary regression whose sigma^2 is sigma^2 + c^2."""
    X, y = rows(60, low=0.5, high=0.5000001)
    known = make(priors=FLAT | {"sigma": Prior("Uniform", lower=0.0, upper=50.0)}).fit(X, y)
    total = np.hypot(flat(known, "y_sigma"), 0.5)
    plain = BayesianInterventionRegressor(
        priors=FLAT | {"sigma": Prior("Uniform", lower=0.5, upper=50.0)}, random_state=1
    )
    plain.fit(X[["a", "b"]], y)
    # sigma uniform or the total uniform: weigh by d total / d sigma
    weights = flat(plain, "y_sigma") / np.sqrt(flat(plain, "y_sigma") ** 2 - 0.25 + 1e-12)
    expected = np.average(flat(plain, "y_sigma"), weights=weights)
    assert abs(total.mean() - expected) < 5 * total.std() / np.sqrt(1000)
    assert_same_mean(flat(known, "y_beta"), flat(plain, "y_beta"))


def test_weights_are_repeated_rows():
    X, y = rows(20)
    w = np.random.default_rng(0).integers(0, 4, 20)
    repeated = X.loc[X.index.repeat(w)], np.repeat(y, w)
    weighted, long = make().fit(X, y, sample_weight=w), make().fit(*repeated)
    for name in ("y_beta", "y_intercept", "y_sigma"):
        np.testing.assert_allclose(flat(weighted, name), flat(long, name), rtol=1e-9)
    shuffled = X.sample(frac=1, random_state=0)
    again = make().fit(shuffled, y[shuffled.index], sample_weight=w[shuffled.index])
    np.testing.assert_allclose(flat(again, "y_sigma"), flat(weighted, "y_sigma"), rtol=1e-9)
    # three times each row is no row of a third of the variance: sigma is learnt from three
    A = np.column_stack([np.ones(20), X[["a", "b"]]])
    priors = FLAT | {"sigma": Prior("HalfNormal", sigma=1.0)}
    truth = quadrature(
        A, y, X["se"].to_numpy(), stats.halfnorm().logpdf, weights=w.astype(float), top=10.0
    )
    model = make(priors=priors).fit(X, y, sample_weight=w)
    assert_posterior(model, truth, ["intercept", "a", "b"])


def test_exact_rows_beside_others():
    """An error of 0 is a row with sigma alone."""
    X, y = rows(25)
    X.loc[:11, "se"] = 0.0
    truth = quadrature(
        np.column_stack([np.ones(25), X[["a", "b"]]]),
        y,
        X["se"].to_numpy(),
        stats.halfnorm().logpdf,
        top=10.0,
    )
    priors = FLAT | {"sigma": Prior("HalfNormal", sigma=1.0)}
    assert_posterior(make(priors=priors).fit(X, y), truth, ["intercept", "a", "b"])


# --- Against PyMC -------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [Prior("HalfNormal", sigma=1.0), Prior("DiracDelta", c=0.0)])
def test_the_textbook_model_is_that_of_the_engine(sigma):
    X, y = rows(9)
    built = make(priors={"sigma": sigma}).build_model(X, y)
    logp = built.compile_logp(mode=python_mode(), jacobian=False)
    se, spread = X["se"].to_numpy(), y.std()
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(4):
        beta, intercept, s = rng.normal(size=2), rng.normal(), abs(rng.normal())
        point = {"y_beta": beta, "y_intercept": intercept}
        if sigma.distribution == "DiracDelta":
            s = 0.0
        else:
            point["y_sigma_log__"] = np.log(s)
        mu = intercept + X[["a", "b"]].to_numpy() @ beta
        truth = stats.norm.logpdf(y, mu, np.hypot(s, se)).sum()
        truth += stats.norm.logpdf(beta, 0, 2.5 * spread / X[["a", "b"]].std(ddof=0)).sum()
        at_means = intercept + X[["a", "b"]].mean().to_numpy() @ beta
        truth += stats.norm.logpdf(at_means, y.mean(), 2.5 * spread)
        truth += stats.halfnorm.logpdf(s) if s else 0.0
        gaps.append(float(logp(point)) - truth)
    np.testing.assert_allclose(gaps, 0.0, atol=1e-8)


@pytest.mark.filterwarnings("ignore:inference=:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("inference", ["laplace", pytest.param("nuts", marks=pytest.mark.slow)])
def test_other_engines_agree(inference):
    X, y = rows(60)
    w = np.ones(60)
    w[:10] = 2
    exact = make().fit(X, y, sample_weight=w)
    other = make(inference=inference).fit(X, y, sample_weight=w)
    sd = flat(exact, "y_beta").std(axis=0)
    assert (np.abs(other.coef_ - exact.coef_) < 0.3 * sd).all()
    np.testing.assert_allclose(flat(other, "y_beta").std(axis=0), sd, rtol=0.15)


@pytest.mark.slow
def test_a_learnt_scale_beside_known_errors_takes_nuts():
    X, y = rows(60)
    model = make(priors="ridge", n_jobs=1).fit(X, y)
    assert model.idata_["posterior"].attrs["inference"] == "nuts"
    assert np.abs(model.coef_ - [2.0, -1.0]).max() < 1.0
    with pytest.raises(ValueError, match="'ridge' learns a scale, beside known errors of rows"):
        make(priors="ridge", inference="exact").fit(X, y)


# --- A sigma that is fixed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("c", "n", "inference"), [(0.3, 25, "auto"), (12.0, 3, "auto"), (1.0, 3, "laplace")]
)
def test_a_fixed_sigma_without_known_errors(c, n, inference):
    """However few the rows are, nothing is to be learnt of it."""
    X, y = rows(n)
    X = X[["a", "b"]]
    A = np.column_stack([np.ones(n), X])
    cov = c**2 * np.linalg.inv(A.T @ A)
    center = np.linalg.lstsq(A, y, rcond=None)[0]
    priors = FLAT | {"sigma": Prior("DiracDelta", c=c)}
    model = BayesianInterventionRegressor(priors=priors, inference=inference, random_state=0)
    model.fit(X, y)
    theta = np.column_stack([flat(model, "y_intercept"), flat(model, "y_beta")])
    assert_mean(theta, center)
    assert_mean((theta - center) ** 2, np.diag(cov))
    assert (flat(model, "y_sigma") == c).all()


@pytest.mark.parametrize("c", [0.0, -1.0])
def test_sigma_fixed_at_what_it_cannot_be(c):
    X, y = rows(25)
    model = BayesianInterventionRegressor(priors={"sigma": Prior("DiracDelta", c=c)})
    words = r"name by noise= the column" if c == 0 else "allows negative values"
    with pytest.raises(ValueError, match=words):
        model.fit(X, y)


def test_what_flat_priors_leave_undetermined():
    X, y = rows(10)
    X["c"] = X["a"]
    for inference in ("exact", "laplace"):
        with pytest.raises(ValueError, match="do not determine the coefficients"):
            make(priors=FLAT | NO_SIGMA, inference=inference).fit(X, y)


@pytest.mark.filterwarnings("ignore:sample_weight are frequencies")
def test_errors_known_up_to_a_factor_are_weights_of_mean_1():
    """As the page on weights says: weighted least squares, with its degrees of freedom."""
    X, y = rows(25)
    w = 1 / X["se"] ** 2
    model = BayesianInterventionRegressor(
        priors=FLAT | {"sigma": Prior("HalfFlat")}, random_state=0, draws=5000
    ).fit(X[["a", "b"]], y, sample_weight=w / w.mean())
    ols = sm.WLS(y, sm.add_constant(X[["a", "b"]]), weights=w / w.mean()).fit()
    nu = 25 - 3 - 1  # a flat prior of sigma is one degree of freedom fewer
    t = (flat(model, "y_beta")[:, 0] - ols.params["a"]) / ols.bse["a"] * np.sqrt(nu / 22)
    assert stats.kstest(t, stats.t(nu).cdf).pvalue > 1e-4
    other = (flat(model, "y_sigma") ** -2) * ols.ssr
    assert stats.kstest(other, stats.chi2(nu).cdf).pvalue > 1e-4
