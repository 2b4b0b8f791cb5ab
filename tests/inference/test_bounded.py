"""Priors that bound: against SciPy's distributions, quadrature, and draws that are thrown away."""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS
from pymc_extras.prior import Prior

from interventional import BayesianInterventionRegressor
from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.data.seen import sufficient_statistics
from interventional.inference.bounded import draw
from interventional.inference.short_chains import Layout, effective_share
from interventional.scm.bounds import Bounds
from interventional.scm.equations import Equation
from interventional.scm.priors import EquationPriors, Group, PriorSpec

PRIORS = {
    "HalfNormal": {"sigma": 0.7},
    "HalfNormal, tau": {"tau": 2.0},
    "TruncatedNormal": {"mu": 0.2, "sigma": 0.6, "lower": -0.3},
    "TruncatedNormal, both": {"mu": 0.2, "sigma": 0.6, "lower": -0.3, "upper": 0.5},
    "TruncatedNormal, upper": {"mu": 0.2, "tau": 3.0, "upper": 0.1},
    "Exponential": {"lam": 2.0},
    "Exponential, scale": {"scale": 0.4},
    "Gamma": {"alpha": 3.0, "beta": 8.0},
    "Gamma, mean": {"mu": 0.5, "sigma": 0.3},
    "Uniform": {"lower": -0.1, "upper": 0.6},
    "Uniform, standard": {},
}


def named(case):
    return case.split(",")[0]


@pytest.mark.parametrize("case", PRIORS)
def test_densities_are_those_of_pymc(case):
    x = np.linspace(-0.5, 0.9, 15)
    found = Bounds.of(named(case), PRIORS[case], len(x)).log_density(x)
    truth = pm.logp(getattr(pm, named(case)).dist(**PRIORS[case]), x).eval()
    inside = np.isfinite(truth)
    np.testing.assert_array_equal(np.isfinite(found), inside)
    apart = found[inside] - truth[inside]
    np.testing.assert_allclose(apart, apart[0], atol=1e-6)  # PyMC has a tau in single precision


def equation(X, priors, sigma=None):
    """An equation without an intercept; each column has a prior, sigma may be fixed."""
    schema = Schema.of(X)
    groups = tuple(
        Group("normal" if p.is_normal else f"g{k}", p, (k,)) for k, p in enumerate(priors)
    )
    dispersion = {} if sigma is None else {"sigma": PriorSpec.of("DiracDelta", c=sigma)}
    every = EquationPriors(groups, None, dispersion)
    coding = TreatmentCoding(schema)
    return Equation(
        "y", tuple(range(X.shape[1])), schema.names, coding, every, np.zeros(X.shape[1])
    )


def draws_of(X, y, priors, sigma=None, log_prior=None, size=4000):
    seen = sufficient_statistics(X, y, intercept=False)
    layout, rng = Layout.of(4, size // 4), np.random.default_rng(0)
    return draw(equation(X, priors, sigma), seen, log_prior, 1.0, layout, rng)


def assert_close(found, truth, share, what=""):
    """Means of dependent draws: their standard error is that of what they are worth."""
    error = found.std(axis=0) / np.sqrt(min(share, 1.0) * len(found))
    z = np.abs(found.mean(axis=0) - truth) / error
    assert np.all(z < N_STANDARD_ERRORS), (what, z)


ROWS = np.array([[1.0], [2.0], [-1.0]])


@pytest.mark.parametrize("at", [-1.0, 0.3, 2.0])  # away from the bounds and beyond them
@pytest.mark.parametrize("case", PRIORS)
def test_one_coefficient_given_sigma(case, at):
    """The posterior on a grid; beyond what the data say, in the tails of the likelihood, too."""
    y = ROWS[:, 0] * at
    drawn, share = draws_of(ROWS, y, [PriorSpec.of(named(case), **PRIORS[case])], sigma=0.8)
    grid = np.linspace(-4, 6, 2_000_001)
    log = Bounds.of(named(case), PRIORS[case], len(grid)).log_density(grid)
    log += st.norm.logpdf(at, grid, 0.8 / np.sqrt(6))
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    found = drawn["beta"][:, 0]
    assert share > 0.3
    for power in (1, 2):
        assert_close(found**power, grid**power @ weight, share)
    cdf = np.cumsum(weight)
    for level in (0.05, 0.5, 0.95):
        point = grid[np.searchsorted(cdf, level)]
        assert_close((found <= point).astype(float), level, share)


def test_truncated_normal_of_scipy():
    """A HalfNormal prior and a known sigma: the truncated Gaussian of conjugate updating."""
    y = np.array([0.1, -0.9, 0.3])
    precision = 6 / 0.64 + 1 / 0.49
    mean, sd = (ROWS[:, 0] @ y / 0.64) / precision, precision**-0.5
    drawn, share = draws_of(ROWS, y, [PriorSpec.of("HalfNormal", sigma=0.7)], sigma=0.8)
    truth = st.truncnorm(-mean / sd, np.inf, mean, sd)
    assert_close(drawn["beta"][:, 0], truth.mean(), share)
    assert drawn["beta"].min() >= 0


def correlated(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    X[:, 1] += 0.8 * X[:, 0]
    return X, X @ [0.3, 0.05, -0.4] + rng.normal(size=n)


MIXED = [
    PriorSpec.of("TruncatedNormal", mu=0, sigma=1.0, lower=0.1),
    PriorSpec.of("Uniform", lower=-0.2, upper=0.5),
    PriorSpec.of("Normal", mu=[0.0], sigma=[1.0]),
]


@pytest.mark.parametrize(
    ("n", "priors"),
    [
        (20, MIXED),
        (2, MIXED),  # fewer rows than coefficients: the bounds alone hold some direction
        (2, [PriorSpec.of("Exponential", lam=1.5)] * 3),
        (4, [PriorSpec.of("Gamma", alpha=2.0, beta=3.0), *MIXED[1:]]),
    ],
)
def test_brute_force(n, priors):
    """Draws of the priors, weighed by the likelihood."""
    X, y = correlated(n)
    scale = st.halfnorm(scale=1.5)
    drawn, share = draws_of(X, y, priors, log_prior=scale.logpdf)
    assert share > 0.3
    rng, size = np.random.default_rng(1), 1_000_000
    columns = []
    for prior in priors:
        p = {name: float(np.squeeze(v)) for name, v in prior.parameters.items()}
        match prior.distribution:
            case "Normal":
                columns.append(rng.normal(size=size))
            case "TruncatedNormal":
                columns.append(st.truncnorm(0.1, np.inf).rvs(size, random_state=rng))
            case "Uniform":
                columns.append(rng.uniform(p["lower"], p["upper"], size))
            case "Exponential":
                columns.append(rng.exponential(1 / p["lam"], size))
            case "Gamma":
                columns.append(rng.gamma(p["alpha"], 1 / p["beta"], size))
    theta, sigma = np.column_stack(columns), scale.rvs(size, random_state=rng)
    squares = np.square(y - theta @ X.T).sum(axis=1)
    log = -n * np.log(sigma) - 0.5 * squares / sigma**2
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    worth = 1 / np.square(weight).sum()
    truth = np.column_stack([theta, np.log(sigma)])
    found = np.column_stack([drawn["beta"], np.log(drawn["sigma"])])
    for power in (1, 2):
        mean = weight @ truth**power
        sd = np.sqrt(weight @ np.square(truth**power - mean))
        error = sd * np.sqrt(1 / worth + 1 / (min(share, 1.0) * len(found)))
        z = np.abs((found**power).mean(axis=0) - mean) / error
        assert np.all(z < N_STANDARD_ERRORS), z


def sales(seed=0, n=80):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {"tv": rng.gamma(2, 1, n), "radio": rng.gamma(2, 1, n), "t": np.arange(n) / n}
    )
    return X, 5 + 1.5 * X["tv"] + 0.05 * X["radio"] + 3 * X["t"] + 1.5 * rng.normal(size=n)


def fitted(priors, X, y, **parameters):
    return BayesianInterventionRegressor(priors=priors, random_state=0, **parameters).fit(X, y)


POSITIVE = {name: Prior("HalfNormal", sigma=2) for name in ("tv", "radio")}


def test_positive_coefficients_are_those_draws_that_are_positive():
    """Rejection from the exact posterior without bounds; and nothing is warned of."""
    X, y = sales()
    free = fitted({k: Prior("Normal", mu=0, sigma=2) for k in POSITIVE}, X, y, draws=20_000)
    kept = free.idata_["posterior"]["y_beta"].values.reshape(-1, 3)
    kept = kept[(kept[:, :2] > 0).all(axis=1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fitted(POSITIVE, X, y)
    posterior = model.idata_["posterior"]
    assert posterior.attrs["inference"] == "exact"
    size = float(model.idata_["sample_stats"]["effective_size"][0, 0])
    assert size > 2000
    found = posterior["y_beta"].values.reshape(-1, 3)
    assert found[:, :2].min() > 0
    for power in (1, 2):
        a, b = found**power, kept**power
        error = np.sqrt(a.var(axis=0) / size + b.var(axis=0) / len(b))
        assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < N_STANDARD_ERRORS * error)
    np.testing.assert_array_equal(
        posterior["y_beta_tv"].values[..., 0], posterior["y_beta"][..., 0]
    )


def test_batches_and_orders_of_rows_come_to_the_same():
    X, y = sales(1)
    whole = fitted(POSITIVE, X, y, draws=250)
    parts = BayesianInterventionRegressor(priors=POSITIVE, random_state=0, draws=250)
    for rows in np.array_split(np.arange(len(X)), 3):
        parts.partial_fit(X.iloc[rows], y.iloc[rows])
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-6)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(
        fitted(POSITIVE, X.iloc[order], y.iloc[order], draws=250).coef_, whole.coef_, rtol=1e-6
    )


def test_what_bounds_stands_beside_nothing_that_learns():
    X, y = sales()
    priors = {"beta": "ridge", "tv": Prior("HalfNormal", sigma=1)}
    with pytest.raises(ValueError, match="the prior of 'tv' bounds, that of 'ridge' learns"):
        fitted(priors, X, y, inference="exact")


def test_a_pole_is_left_to_nuts():
    X, y = sales()
    priors = {"tv": Prior("Gamma", alpha=0.5, beta=1)}
    with pytest.raises(ValueError, match=r"the prior of 'tv' is Prior\('Gamma'"):
        fitted(priors, X, y, inference="exact")


@pytest.mark.parametrize(
    ("prior", "says"),
    [
        (Prior("HalfNormal", sigma=-1), "sigma=-1.0, which must be positive"),
        (Prior("Uniform", lower=1, upper=0), r"lower=\[1.0\] and upper=\[0.0\]; lower must be"),
    ],
)
def test_numbers_that_are_no_distribution(prior, says):
    X, y = sales()
    with pytest.raises(ValueError, match=says):
        fitted({"tv": prior}, X, y)


def test_few_draws_are_as_good_as_many():
    """What draws are worth is measured, however few are asked for."""
    X, y = sales()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fitted(POSITIVE, X, y, draws=5, chains=1)
    assert model.idata_["posterior"]["y_beta"].shape == (1, 5, 3)
    assert float(model.idata_["sample_stats"]["effective_size"][0, 0]) > 2


def test_the_share_of_dependent_draws():
    """Of an autoregression of coefficient a draws are worth (1 - a) / (1 + a)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 64))
    for k in range(1, 64):
        x[:, k] = 0.5 * x[:, k - 1] + np.sqrt(0.75) * x[:, k]
    assert effective_share(x[:, :, None]) == pytest.approx(1 / 3, rel=0.25)


@pytest.mark.slow
def test_gamma_as_nuts_has_it():
    X, y = sales()
    priors = {name: Prior("Gamma", alpha=3, beta=2) for name in ("tv", "radio")}
    ours = fitted(priors, X, y).idata_["posterior"]["y_beta"].values.reshape(-1, 3)
    nuts = fitted(priors, X, y, inference="nuts", draws=4000)
    theirs = nuts.idata_["posterior"]["y_beta"].values.reshape(-1, 3)
    error = np.sqrt(ours.var(axis=0) / 2000 + theirs.var(axis=0) / 4000)
    assert np.all(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < N_STANDARD_ERRORS * error)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.08)
