"""Log likelihoods and priors in closed form against PyMC's, and their derivatives."""

import numpy as np
import pymc as pm
import pytest

from interventional.scm.families import FAMILIES
from interventional.scm.prior_densities import Location, location, of_log
from interventional.scm.priors import PriorSpec

ROWS = 37
CLOSED = [name for name, record in FAMILIES.items() if record.likelihood is not None]


def outcomes(name, rng):
    """Return outcomes that a family takes."""
    if name in ("bernoulli", "categorical"):
        return rng.integers(0, 2, ROWS).astype(float)
    if FAMILIES[name].discrete:
        return rng.poisson(3.0, ROWS).astype(float)
    if name == "beta":
        return rng.uniform(0.01, 0.99, ROWS)
    return rng.gamma(2.0, 1.0, ROWS) if name == "gamma" else rng.normal(size=ROWS)


def problem(name, seed=0):
    rng = np.random.default_rng(seed)
    eta = rng.normal(0, 1.5, (5, ROWS))
    logs = [rng.normal(0.5, 0.7, (5, 1)) for _ in FAMILIES[name].dispersion]
    return outcomes(name, rng), rng.uniform(0.5, 3, ROWS), eta, logs


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("ones", [True, False])
def test_totals_are_those_of_pymc_up_to_a_constant(name, ones):
    record, (y, w, eta, logs) = FAMILIES[name], problem(name)
    w = np.ones(ROWS) if ones else w
    found = record.likelihood.total(y, w, eta, logs)
    expected = []
    for k in range(len(eta)):
        others = {p: np.exp(t[k, 0]) for p, t in zip(record.dispersion, logs, strict=True)}
        parameters = record.parameters(eta[k], record.link.inverse(eta[k]), others)
        density = pm.logp(getattr(pm, record.distribution).dist(**parameters), y)
        expected.append(w @ density.eval())
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CLOSED)
def test_derivatives_are_those_of_the_total(name):
    record, (y, w, eta, logs) = FAMILIES[name], problem(name, 1)
    h, own = 1e-5, record.likelihood

    def total(eta, logs):
        return own.total(y, w, eta, logs)

    first, by_log = own.slope(y, w, eta, logs)
    curvature = own.curvature(y, eta, logs)
    for i in (0, 7, 20):
        step = np.zeros(ROWS)
        step[i] = h
        slope = (total(eta + step, logs) - total(eta - step, logs)) / (2 * h)
        np.testing.assert_allclose(w[i] * first[:, i], slope, rtol=1e-5, atol=1e-5)
        up, down = own.slope(y, w, eta + step, logs)[0], own.slope(y, w, eta - step, logs)[0]
        bent = (up - down)[:, i] / (2 * h)
        np.testing.assert_allclose(curvature[:, i], bent, rtol=1e-5, atol=1e-6)
    for k, found in enumerate(by_log):
        up = [t + h * (j == k) for j, t in enumerate(logs)]
        down = [t - h * (j == k) for j, t in enumerate(logs)]
        slope = (total(eta, up) - total(eta, down)) / (2 * h)
        np.testing.assert_allclose(found, slope, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CLOSED)
def test_far_out_there_is_a_number_or_nothing(name):
    record, (y, w, eta, logs) = FAMILIES[name], problem(name)
    eta = np.linspace(-2000, 2000, 5)[:, None] + eta
    with np.errstate(all="ignore"):
        found = record.likelihood.total(y, w, eta, logs)
    assert not (found == np.inf).any()
    assert np.isfinite(found[2])


POSITIVE = [
    ("HalfNormal", {}),
    ("HalfNormal", {"sigma": 0.7}),
    ("HalfStudentT", {"nu": 4, "sigma": 2.0}),
    ("HalfStudentT", {"nu": 3}),
    ("HalfCauchy", {"beta": 1.3}),
    ("LogNormal", {}),
    ("LogNormal", {"mu": 1.0, "sigma": 1.5}),
    ("LogNormal", {"mu": -0.5}),
    ("LogNormal", {"sigma": 0.4}),
    ("Gamma", {"alpha": 2.0, "beta": 0.1}),
    ("Gamma", {"mu": 2.0, "sigma": 0.5}),
    ("Exponential", {"lam": 0.3}),
    ("Exponential", {"scale": 4.0}),
    ("InverseGamma", {"alpha": 3.0, "beta": 2.0}),
    ("Weibull", {"alpha": 1.7, "beta": 0.8}),
]


@pytest.mark.parametrize(("distribution", "numbers"), POSITIVE)
def test_priors_of_logs_are_those_of_pymc(distribution, numbers):
    prior = of_log(PriorSpec.of(distribution, **numbers))
    t = np.linspace(-3, 2, 7)
    found, slope = prior(t)
    density = pm.logp(getattr(pm, distribution).dist(**numbers), np.exp(t)).eval()
    np.testing.assert_allclose(np.diff(found), np.diff(density + t), rtol=1e-9, atol=1e-9)
    h = 1e-6
    np.testing.assert_allclose(slope, (prior(t + h)[0] - prior(t - h)[0]) / (2 * h), atol=1e-6)


def test_a_prior_of_a_log_that_is_not_known_is_none():
    assert of_log(PriorSpec.of("Kumaraswamy", a=1.0, b=2.0)) is None
    assert of_log(PriorSpec.of("HalfNormal", sigma=[1.0, 2.0])) is None
    assert of_log(PriorSpec("HalfNormal", {"sigma": PriorSpec.of("HalfNormal")})) is None


LOCATIONS = [
    ("Normal", {}),
    ("Normal", {"mu": [1.0, -2.0, 0.0], "sigma": 0.5}),
    ("Normal", {"mu": 1.0, "tau": 4.0}),
    ("StudentT", {"nu": 3.0, "mu": 0.3, "sigma": [0.5, 1.0, 2.0]}),
    ("StudentT", {"nu": 3.0, "mu": 0.3, "lam": 2.0}),
    ("Cauchy", {"alpha": 0.5, "beta": 2.0}),
]


@pytest.mark.parametrize(("distribution", "numbers"), LOCATIONS)
def test_priors_of_coefficients_are_those_of_pymc(distribution, numbers):
    numbers = {name: np.asarray(value) for name, value in numbers.items()}
    prior = Location(*location(PriorSpec.of(distribution, **numbers), 3))
    x = np.random.default_rng(0).normal(size=(6, 3))
    found = prior.log_density(x)
    density = pm.logp(getattr(pm, distribution).dist(**numbers, shape=3), x).eval().sum(axis=1)
    np.testing.assert_allclose(np.diff(found), np.diff(density), rtol=1e-9, atol=1e-9)
    h = 1e-5
    for j in range(3):
        step = h * (np.arange(3) == j)
        slope = (prior.log_density(x + step) - prior.log_density(x - step)) / (2 * h)
        np.testing.assert_allclose(prior.slope(x)[:, j], slope, atol=1e-7)
        bent = (prior.slope(x + step) - prior.slope(x - step))[:, j] / (2 * h)
        np.testing.assert_allclose(prior.curvature(x)[:, j], bent, atol=1e-7)


def test_a_flat_prior_says_nothing():
    prior = Location(*location(PriorSpec.of("Flat"), 2))
    assert prior.log_density(np.array([[1.0, 5.0]])) == 0
    assert not prior.slope(np.array([[1.0, 5.0]])).any()
    assert location(PriorSpec.of("Laplace", mu=0.0, b=1.0), 2) is None
