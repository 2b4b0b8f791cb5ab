"""Laplace's approximation against closed forms, maximum likelihood, and NUTS."""

import re
import threading
from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor
import pytest
import statsmodels.api as sm
from conftest import family_wise

from interventional.inference import laplace, nuts
from interventional.inference.density import LogPosterior, compile_density
from interventional.inference.posterior import Sampling
from interventional.scm.compiling import python_mode

SAMPLING = Sampling(draws=1000, tune=1000, chains=4, seed=0, n_jobs=1, verbose=False)


class Written:
    """A model written by hand: counts how often it is built."""

    def __init__(self, write, **data):
        self.write = write
        self.data = data
        self.n_built = 0

    def build(self):
        self.n_built += 1
        shared = {name: pytensor.shared(value, name=name) for name, value in self.data.items()}
        with pm.Model() as model:
            observed = self.write(shared)
        return pm.observe(model, observed) if observed else model

    def sample(self, key=None, sampling=SAMPLING):
        key = self.write.__name__ if key is None else key
        return laplace.sample(laplace.compiled(self.build, self.data, key), sampling)

    def posterior(self):
        density = compile_density(self.build(), self.data)
        return LogPosterior(density, density.arrays(self.data))


def flat_logistic(data):
    intercept, beta = pm.Flat("intercept"), pm.Flat("beta", shape=3)
    pm.Bernoulli("y", logit_p=intercept + data["X"] @ beta)
    return {"y": data["y_seen"]}


def flat_poisson(data):
    intercept, beta = pm.Flat("intercept"), pm.Flat("beta", shape=3)
    pm.Poisson("y", pm.math.exp(intercept + data["X"] @ beta))
    return {"y": data["y_seen"]}


def logistic(data):
    intercept, beta = pm.Normal("intercept", 0, 2.5), pm.Normal("beta", 0, 2.5, shape=4)
    pm.Bernoulli("y", logit_p=intercept + data["X"] @ beta)
    return {"y": data["y_seen"]}


def poisson(data):
    intercept, beta = pm.Normal("intercept", 0, 2.5), pm.Normal("beta", 0, 2.5, shape=4)
    pm.Poisson("y", pm.math.exp(intercept + data["X"] @ beta))
    return {"y": data["y_seen"]}


def known_noise(data):
    beta = pm.Normal("beta", data["mean"], data["sd"], shape=3)
    pm.Deterministic("total", beta.sum())
    pm.Normal("y", data["X"] @ beta, 2.0)
    return {"y": data["y_seen"]}


def scale_only(data):
    pm.Normal("y", 0, pm.HalfFlat("sigma"), shape=12)
    return {"y": data["y_seen"]}


def regression(data):
    beta = pm.Normal("beta", 0, 5, shape=3)
    sigma = pm.HalfNormal("sigma", 5)
    pm.Deterministic("log_sigma", pm.math.log(sigma))
    pm.StudentT("y", nu=5, mu=data["X"] @ beta, sigma=sigma)
    return {"y": data["y_seen"]}


def funnel(data):
    width = pm.Normal("width", 0, 3)
    pm.Normal("x", 0, pm.math.exp(width / 2), shape=9)
    return {}


def counts(write, n=1000, p=3, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    if write is not regression:
        X[:, 1] = 0.7 * X[:, 0] + 0.7 * X[:, 1]
    eta = 0.3 + X @ (np.array([0.6, -0.4, 0.2] + [0.1] * (p - 3)))
    if write is regression:
        y = eta + rng.normal(size=n)
    elif "poisson" in write.__name__:
        y = rng.poisson(np.exp(eta))
    else:
        y = rng.binomial(1, 1 / (1 + np.exp(-eta)))
    return Written(write, X=X * spread, y_seen=y)


def straight(n=50, seed=0, units=(1.0, 1.0, 1.0)):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    X[:, 1] = X[:, 0] + 0.3 * X[:, 1]
    y = X @ [1.0, -0.5, 2.0] + 2.0 * rng.normal(size=n)
    units = np.asarray(units)
    mean, sd = np.array([0.5, 0.0, -1.0]) / units, np.array([3.0, 1.0, 2.0]) / units
    return Written(known_noise, X=X * units, y_seen=y, mean=mean, sd=sd)


def conjugate(data):
    """Mean and precision of the coefficients under Normal priors and a known sd of 2."""
    precision = data["X"].T @ data["X"] / 4 + np.diag(data["sd"] ** -2.0)
    shift = data["X"].T @ data["y_seen"] / 4 + data["mean"] / data["sd"] ** 2
    return np.linalg.solve(precision, shift), precision


def assert_gaussian(draws, mean, precision):
    """Draws (n, p) have this mean and precision."""
    n, p = draws.shape
    z = (draws - mean) @ np.linalg.cholesky(precision)
    limit = family_wise(p + p * (p + 1) // 2)
    assert np.abs(z.mean(axis=0)).max() < limit / np.sqrt(n)
    error = np.sqrt((1 + np.eye(p)) / n)  # of the covariances of standard normal draws
    assert (np.abs(z.T @ z / n - np.eye(p)) / error).max() < limit


def flat(variables, *names):
    """Draws (n, p) of some variables."""
    parts = [variables[name] for name in names]
    return np.concatenate([v.reshape(v.shape[0] * v.shape[1], -1) for v in parts], axis=1)


@pytest.mark.parametrize("units", [(1, 1, 1), (1e-6, 1.0, 1e7)])
def test_laplace_is_exact_where_the_posterior_is_gaussian(units):
    written = straight(units=units)
    variables, stats, library, troubles = written.sample()
    assert not troubles
    assert library == "interventional"
    assert {name: v.shape for name, v in variables.items()} == {
        "beta": (4, 1000, 3),
        "total": (4, 1000),
    }
    np.testing.assert_allclose(variables["total"], variables["beta"].sum(axis=-1))
    assert_gaussian(flat(variables, "beta"), *conjugate(written.data))
    assert stats["pareto_k"].shape == (4, 1000)
    assert np.all(stats["pareto_k"] < 0.5)


@pytest.mark.parametrize("spread", [1.0, np.array([1e-5, 1.0, 1e6])])
@pytest.mark.parametrize("write", [flat_logistic, flat_poisson])
def test_laplace_under_flat_priors_is_maximum_likelihood(write, spread):
    """The mode is the estimate, the covariance the inverse Fisher information of statsmodels."""
    written = counts(write, n=400, spread=spread)
    family = sm.families.Poisson() if write is flat_poisson else sm.families.Binomial()
    units = np.append(1.0, np.ones(3) * spread)
    X = sm.add_constant(written.data["X"]) / units
    found = sm.GLM(written.data["y_seen"], X, family=family).fit(tol=1e-12)
    draws = flat(written.sample()[0], "intercept", "beta") * units
    assert_gaussian(draws, found.params, np.linalg.inv(found.cov_params()))


def test_laplace_works_on_the_logarithm_of_a_positive_parameter():
    """y ~ N(0, sigma), flat in sigma > 0: t = log sigma has density exp(-(n-1)t - SS exp(-2t)/2).

    Its mode is log(SS/(n-1))/2 and its curvature there 2(n-1); without the Jacobian it were n.
    """
    n = 12
    y = np.random.default_rng(0).normal(size=n)
    sigma = flat(Written(scale_only, y_seen=y).sample()[0], "sigma")
    assert np.all(sigma > 0)
    mode = np.log(y @ y / (n - 1)) / 2
    assert_gaussian(np.log(sigma), mode, np.array([[2.0 * (n - 1)]]))


@pytest.mark.parametrize("write", [logistic, poisson, regression])
def test_derivatives_are_those_of_finite_differences(write):
    written = counts(write, n=200, p=3 if write is regression else 4)
    posterior = written.posterior()
    rng = np.random.default_rng(1)
    x = posterior.start() + 0.3 * rng.normal(size=posterior.start().shape)
    height, slope = posterior.slope(x)
    assert posterior.heights(x[None])[0] == pytest.approx(height, rel=1e-12)
    h = 1e-5
    ahead = [posterior.slope(x + h * e) for e in np.eye(len(x))]
    behind = [posterior.slope(x - h * e) for e in np.eye(len(x))]
    pairs = list(zip(ahead, behind, strict=True))
    by_height = np.array([(a[0] - b[0]) / (2 * h) for a, b in pairs])
    by_slope = np.array([(a[1] - b[1]) / (2 * h) for a, b in pairs])
    np.testing.assert_allclose(slope, by_height, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(posterior.curvature(x), -by_slope, rtol=1e-5, atol=1e-4)


def test_the_density_is_that_of_pymc():
    written = counts(regression, n=60)
    posterior = written.posterior()
    model = written.build()
    point = {"beta": np.array([0.2, -0.1, 0.4]), "sigma_log__": np.array(0.3)}
    by_name = {"beta": point["beta"], "sigma": point["sigma_log__"]}
    names = [name for name, _ in posterior.density.names if name in by_name]
    x = np.concatenate([by_name[name].ravel() for name in names])
    assert posterior.slope(x)[0] == pytest.approx(
        float(model.compile_logp(mode=python_mode())(point)), rel=1e-12
    )
    np.testing.assert_allclose(posterior.variables(x[None])["sigma"], np.exp(0.3))


def test_the_density_holds_far_out():
    """log(1 - sigmoid(800)) is -800, not minus infinity."""
    X = np.array([[800.0], [-800.0]])

    def write(data):
        beta = pm.Normal("beta", 0, 1)
        pm.Bernoulli("y", logit_p=data["X"][:, 0] * beta)
        return {"y": data["y_seen"]}

    posterior = Written(write, X=X, y_seen=np.array([0, 1])).posterior()
    expected = -1600 - 0.5 - 0.5 * np.log(2 * np.pi)
    assert posterior.slope(np.ones(1))[0] == pytest.approx(expected, rel=1e-12)
    assert posterior.heights(np.ones((1, 1)))[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("write", [logistic, poisson])
def test_many_rows_give_the_posterior_of_nuts(write, by_nuts):
    """A posterior of p coefficients is skewed: Laplace's mode is off its mean by O(p / n).

    For the intercept of counts that is about p / (2 sum(y)), here 0.05 standard deviations.
    """
    written, reference = by_nuts[write]
    variables, *_ = written.sample()
    assert set(variables) == set(reference)
    found, wanted = (flat(v, "intercept", "beta") for v in (variables, reference))
    assert np.all(np.abs(found.mean(axis=0) - wanted.mean(axis=0)) < 0.1 * wanted.std(axis=0))
    np.testing.assert_allclose(found.std(axis=0), wanted.std(axis=0), rtol=0.07)


@pytest.fixture(scope="module")
def by_nuts():
    found = {}
    for write in (logistic, poisson):
        written = counts(write, p=4)
        reference = nuts.sample(written.build, written.data, write.__name__, SAMPLING)[0]
        found[write] = written, reference
    return found


def test_one_seed_one_posterior():
    written = counts(regression, n=100)
    first, second = written.sample()[0], written.sample()[0]
    other = written.sample(sampling=replace(SAMPLING, seed=1))[0]
    assert set(first) == {"beta", "sigma", "log_sigma"}
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
        assert not np.array_equal(values, other[name])
    assert written.n_built <= 1


def test_new_data_are_not_compiled_again():
    old, new = counts(regression, n=100), counts(regression, n=130, seed=1)
    old.sample("new data")
    reused = new.sample("new data")
    assert new.n_built == 0
    fresh = new.sample("fresh")
    assert new.n_built > 0
    for name, values in fresh[0].items():
        np.testing.assert_array_equal(values, reused[0][name])


def test_threads_give_the_serial_numbers():
    jobs = [counts(regression, n=100, seed=seed) for seed in range(2)]
    serial = [job.sample()[0] for job in jobs]
    found = [None, None]

    def run(i):
        found[i] = jobs[i].sample()[0]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(serial, found, strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name])


def test_nothing_is_printed(capfd, caplog):
    counts(regression, n=100).sample()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_funnel_is_warned_of():
    _, stats, _, (trouble,) = Written(funnel).sample()
    assert re.search(r"k-hat is .* below 0\.[67]", trouble)
    assert np.all(stats["pareto_k"] > 0.7)


def test_parameters_without_information_are_refused():
    X = np.ones((20, 3))
    y = np.arange(20) % 2
    with pytest.raises(ValueError, match=r"not determined.*'nuts'"):
        Written(flat_logistic, X=X, y_seen=y).sample()


def test_a_density_without_a_maximum_is_warned_of():
    """All y are 1: the likelihood rises for ever."""

    def write(data):
        pm.Bernoulli("y", logit_p=pm.Flat("intercept") + data["zero"])
        return {"y": data["y_seen"]}

    written = Written(write, zero=np.zeros(5), y_seen=np.ones(5, dtype=int))
    *_, troubles = written.sample(key="no maximum")
    assert "the maximum of the density was not found" in troubles


def test_a_discrete_parameter_is_refused():
    def write(data):
        pm.Poisson("k", 3.0)
        return {}

    with pytest.raises(ValueError, match="'k' is discrete"):
        Written(write).sample()


@pytest.mark.parametrize("shape", [0.3, 0.5, 1.0])
def test_k_hat_is_the_shape_of_pareto_ratios(shape):
    """If log ratios are k times a standard exponential, the ratios are Pareto with shape k.

    The standard error of the shape is (1 + k)/sqrt(tail) (Vehtari et al. 2024); the prior draws it
    by 10/(tail + 10) towards 0.5.
    """
    size = 40_000
    found, threshold = laplace.pareto_k(shape * np.random.default_rng(0).exponential(size=size))
    tail = 3 * np.sqrt(size)
    expected = (tail * shape + 10 * 0.5) / (tail + 10)
    assert abs(found - expected) < 4 * (1 + shape) / np.sqrt(tail)
    assert threshold == 0.7


def test_k_hat_of_few_draws():
    rng = np.random.default_rng(0)
    assert laplace.pareto_k(rng.normal(size=100))[1] == pytest.approx(0.5)
    assert np.isnan(laplace.pareto_k(rng.normal(size=20))).all()
    assert laplace.pareto_k(np.zeros(100))[0] == 0
    assert laplace.pareto_k(np.full(100, -np.inf))[0] == np.inf
