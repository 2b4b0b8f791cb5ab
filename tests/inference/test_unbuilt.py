"""Families without a compiled model: densities against PyMC's, draws against integrals."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior
from scipy import stats
from scipy.special import logsumexp

from interventional import BayesianInterventionRegressor
from interventional.inference import (
    correlations,
    engines,
    many_chains,
    pooled,
    unbuilt,
    variational,
    weighing,
)
from interventional.inference.density import LogPosterior, compile_density
from interventional.inference.laplace import Gaussian
from interventional.inference.of_levels import OfLevels
from interventional.inference.unknowns import Problem
from interventional.scm.families import FAMILIES
from interventional.scm.observed import observed_data, observed_model
from interventional.scm.prior_densities import of_log
from interventional.scm.priors import PriorSpec

CLOSED = [
    name
    for name, record in FAMILIES.items()
    if record.likelihood is not None and not record.of_levels
]


def outcome(family, X, rng, slopes=0.6):
    """Return outcomes of a family that hang on the first column."""
    eta = slopes * np.asarray(X)[:, 0]
    mean = FAMILIES[family].link.inverse(eta)
    return {
        "bernoulli": lambda: (rng.uniform(size=len(eta)) < mean).astype(int),
        "poisson": lambda: rng.poisson(mean),
        "negative_binomial": lambda: rng.poisson(mean * rng.gamma(2, 0.5, len(eta))),
        "gamma": lambda: mean * rng.gamma(3, 1 / 3, len(eta)),
        "beta": lambda: np.clip(rng.beta(8 * mean, 8 * (1 - mean)), 1e-9, 1 - 1e-9),
        "student_t": lambda: eta + rng.standard_t(4, len(eta)),
    }[family]()


def fitted(family, n=120, p=3, seed=0, **parameters):
    """Return a model, its rows and its outcome; NUTS is not there."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(2, 1, (n, p)), columns=[f"x{k}" for k in range(p)])
    y = outcome(family, X, rng)
    parameters = {"random_state": 0} | parameters
    return BayesianInterventionRegressor(family=family, **parameters).fit(X, y), X, y


def posed(family, monkeypatch, **parameters):
    """Return what the engine was asked: an equation and what it saw."""
    asked = []
    with monkeypatch.context() as patch:
        draw = unbuilt.draw
        patch.setattr(unbuilt, "draw", lambda *args: asked.append(args[:2]) or draw(*args))
        fitted(family, **parameters)
    return asked[-1]


PRIORS = {
    "default": {},
    "flat": {"priors": {"beta": Prior("Flat")}},
    "heavy": {"priors": {"beta": Prior("StudentT", nu=3, mu=0.5, sigma=2)}},
    "own": {
        "priors": {
            "x0": Prior("Normal", mu=0.3, sigma=0.2),
            "x1": Prior("Cauchy", alpha=0, beta=1),
            "intercept": Prior("StudentT", nu=4, mu=1, sigma=2),
        }
    },
    "at zero": {"center_predictors": False},
    "no intercept": {"fit_intercept": False},
}


@pytest.mark.parametrize("family", CLOSED)
@pytest.mark.parametrize("priors", PRIORS)
def test_densities_are_those_of_the_observed_model(family, priors, monkeypatch):
    equation, seen = posed(family, monkeypatch, n=30, **PRIORS[priors])
    target = Problem.of(equation, seen).target
    rng = np.random.default_rng(1)
    points = target.start + 0.3 * rng.normal(size=(5, len(target.start)))
    data = observed_data(equation, seen)
    model = observed_model(equation, seen)
    density = compile_density(model, data)
    theirs = LogPosterior(density, density.arrays(data))
    named = Problem.of(equation, seen).parameters(points)
    rows = []
    for k in range(len(points)):
        parts = []
        for variable in model.free_RVs:
            value = np.atleast_1d(named.get(variable.name, _grouped(equation, named, variable))[k])
            logs = variable.name.rsplit("_", 1)[-1] in equation.dispersion
            parts.append(np.log(value) if logs else value)
        rows.append(np.concatenate([np.ravel(part) for part in parts]))
    found, expected = target.heights(points), theirs.heights(np.array(rows))
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8, atol=1e-7)


def _grouped(equation, named, variable):
    """Return the coefficients of one prior among several."""
    for group in equation.priors.groups:
        if equation.group_name(group) == variable.name:
            return named[f"{equation.node}_beta"][:, list(group.terms)]
    return None


@pytest.mark.parametrize("family", CLOSED)
def test_gradients_are_differences(family, monkeypatch):
    equation, seen = posed(family, monkeypatch, n=40)
    _check_slopes(Problem.of(equation, seen).target)


def _check_slopes(density, start=None):
    start = density.start if start is None else start
    rng = np.random.default_rng(2)
    points = start + 0.3 * rng.normal(size=(4, len(start)))
    slopes, h = density.slopes(points), 1e-5
    for j in range(points.shape[1]):
        step = h * (np.arange(points.shape[1]) == j)
        expected = (density.heights(points + step) - density.heights(points - step)) / (2 * h)
        np.testing.assert_allclose(slopes[:, j], expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("family", CLOSED)
def test_expectations_are_averages(family, monkeypatch):
    """What quadrature says of a Gaussian is what many draws of it say."""
    equation, seen = posed(family, monkeypatch, n=60)
    target = Problem.of(equation, seen).target
    near = variational.nearest(target)
    x, _ = near.draw(4000, np.random.default_rng(0))
    root = near.shift(np.eye(len(near.mean))).T
    height, slope, _ = target.expected(near.mean, root @ root.T)
    for values, found in ((target.heights(x)[:, None], [height]), (target.slopes(x), slope)):
        error = values.std(axis=0) / np.sqrt(len(x))
        np.testing.assert_array_less(np.abs(values.mean(axis=0) - found), 4.5 * error + 1e-9)
    assert (np.abs(root.T @ slope) < 0.2).all()  # in standard deviations: it is nearly the nearest


def integrated(family, X, y, prior_sd, **known):
    """Return mean, sd and quantiles of one coefficient by integrating over a grid."""
    grid = np.linspace(-3, 4, 4001)
    eta = grid[:, None] * np.asarray(X)[:, 0]
    record = FAMILIES[family]
    of_rows = record.log_density(np.asarray(y, dtype=float), eta, record.link.inverse(eta), known)
    log_density = of_rows.sum(axis=1) + stats.norm.logpdf(grid, 0, prior_sd)
    weights = np.exp(log_density - logsumexp(log_density))
    mean = weights @ grid
    below = np.cumsum(weights)
    quantiles = np.interp([0.05, 0.95], below - weights / 2, grid)
    return mean, np.sqrt(weights @ np.square(grid - mean)), quantiles


FIXED = {
    "gamma": {"alpha": 3.0},
    "negative_binomial": {"alpha": 2.0},
    "beta": {"phi": 8.0},
    "student_t": {"sigma": 1.0, "nu": 4.0},
}


@pytest.mark.parametrize("family", CLOSED)
@pytest.mark.parametrize("n", [8, 60])
def test_one_coefficient_is_that_of_an_integral(family, n):
    known = FIXED.get(family, {})
    priors = {"beta": Prior("Normal", mu=0, sigma=1)}
    priors |= {name: Prior("DiracDelta", c=value) for name, value in known.items()}
    model, X, y = fitted(family, n=n, p=1, priors=priors, fit_intercept=False)
    draws = model.idata_["posterior"]["y_beta"].values.ravel()
    mean, sd, quantiles = integrated(family, X, y, 1.0, **known)
    error = sd / np.sqrt(len(draws))
    assert abs(draws.mean() - mean) < 4 * error
    assert abs(draws.std() - sd) < 4 * error
    assert (np.abs(np.quantile(draws, [0.05, 0.95]) - quantiles) < 4 * 2.1 * error).all()
    assert model.idata_["posterior"].attrs["inference"] in ("importance", "hmc")


def test_zeros_and_ones_that_are_told_apart():
    """Nothing but the prior holds the coefficient back: its posterior is skewed."""
    X = pd.DataFrame({"x": np.r_[-2.0, -1.5, -1.0, 1.0, 1.5, 2.0]})
    y = (X["x"] > 0).astype(int)
    priors = {"beta": Prior("Normal", mu=0, sigma=10)}
    model = BayesianInterventionRegressor(
        family="bernoulli", priors=priors, fit_intercept=False, random_state=0, draws=2000
    ).fit(X, y)
    grid = np.linspace(-20, 80, 40_001)
    eta = grid[:, None] * X["x"].to_numpy()
    log_density = (y.to_numpy() * eta - np.logaddexp(0, eta)).sum(axis=1)
    log_density += stats.norm.logpdf(grid, 0, 10)
    below = np.cumsum(np.exp(log_density - logsumexp(log_density)))
    draws = model.idata_["posterior"]["y_beta"].values.ravel()
    for level in (0.1, 0.25, 0.5, 0.75):
        share = (draws < np.interp(level, below, grid)).mean()
        size = min(model.idata_["sample_stats"]["effective_size"].values[0, 0], len(draws))
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / size)


# --- Scales that are learnt ----------------------------------------------------------------------


def grouped_rows(n=240, seed=3):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"t": rng.integers(0, 2, n), "g": rng.choice(list("abcdefgh"), n)})
    own = dict(zip("abcdefgh", rng.normal(0, 1, 8), strict=True))
    eta = 0.5 * X["t"] + X["g"].map(own)
    return X, (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int)


def asked(X, y, monkeypatch, **parameters):
    seen = []
    with monkeypatch.context() as patch:
        draw = unbuilt.draw
        patch.setattr(unbuilt, "draw", lambda *args: seen.append(args[:2]) or draw(*args))
        BayesianInterventionRegressor(
            family="bernoulli", random_state=0, draws=100, **parameters
        ).fit(X, y)
    return Problem.of(*seen[-1])


@pytest.mark.parametrize("groups", [["g"], {"g": ["t"]}])
def test_pooled_densities_are_normal_given_scales(groups, monkeypatch):
    X, y = grouped_rows()
    problem = asked(X, y, monkeypatch, groups=groups)
    density, near = pooled.near(problem.target, [pool for _, pool in problem.pools])
    points, _ = near.draw(5, np.random.default_rng(0))
    _check_slopes(density, near.mean)
    found, expected = density.heights(points), []
    pool = density.pools[0]
    (p, k), q = density.target.size, len(pool.scales)
    for point, b in zip(points, density.coefficients(points), strict=True):
        ((sd, correlation),) = density.covariances(point[None])
        covariance = sd[0][:, None] * correlation[0] * sd[0]
        own = b[pool.columns]
        total = density.target.log_likelihood(b[None], [])[0]
        total += density.target.prior.log_density(b)
        total += stats.multivariate_normal.logpdf(own.T, np.zeros(q), covariance).sum()
        total += sum(scale(np.log(s))[0] for scale, s in zip(pool.scales, sd[0], strict=True))
        z = point[p + k + q :][None]
        total += correlations.log_prior(z, q, 2.0)[0] if q > 1 else 0.0
        step = 1e-6 * np.eye(len(point))[:p]
        turned = (density.coefficients(point + step) - density.coefficients(point - step)) / 2e-6
        expected.append(total + np.linalg.slogdet(turned)[1])
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-6)


def test_learnt_scales_are_those_of_an_integral():
    """Counts of groups, one intercept each: given the scale, groups are one-dimensional."""
    rng = np.random.default_rng(0)
    n_groups, rows = 10, 6
    own = rng.normal(0, 0.7, n_groups)
    g = np.repeat(np.arange(n_groups), rows)
    X = pd.DataFrame({"g": [f"g{k}" for k in g]})
    y = rng.poisson(np.exp(0.5 + own[g]))
    priors = {"intercept": Prior("Normal", mu=0.5, sigma=1e-6), "g": Prior("HalfNormal", sigma=1)}
    model = BayesianInterventionRegressor(
        family="poisson", groups=["g"], priors=priors, random_state=0, draws=2000
    ).fit(X, y)
    log_sd, b = np.linspace(-6, 1.5, 301), np.linspace(-6, 6, 1201)
    totals = np.bincount(g, y)
    of_group = totals[:, None] * (0.5 + b) - rows * np.exp(0.5 + b)
    sd = np.exp(log_sd)
    inside = stats.norm.logpdf(b, 0, sd[:, None])[:, None, :] + of_group
    log_density = logsumexp(inside, axis=2).sum(axis=1)
    log_density += stats.halfnorm.logpdf(sd) + log_sd
    weights = np.exp(log_density - logsumexp(log_density))
    mean = weights @ sd
    spread = np.sqrt(weights @ np.square(sd - mean))
    draws = model.idata_["posterior"]["y_beta_sd"].values.ravel()
    size = model.idata_["sample_stats"]["effective_size"].values[0, 0]
    assert abs(draws.mean() - mean) < 4 * spread / np.sqrt(size)
    assert abs(draws.std() - spread) < 5 * spread / np.sqrt(size)
    assert model.idata_["posterior"].attrs["inference"] == "hmc"


# --- The parts -----------------------------------------------------------------------------------


class Known:
    """A Gaussian density."""

    def __init__(self, mean, sd):
        self.mean, self.sd = np.asarray(mean, dtype=float), np.asarray(sd, dtype=float)

    def heights(self, points):
        return -0.5 * np.square((points - self.mean) / self.sd).sum(axis=1)

    def slopes(self, points):
        return -(points - self.mean) / self.sd**2


def standard(d):
    return Gaussian(np.zeros(d), np.ones(d), np.eye(d))


def test_many_chains_find_a_gaussian_from_elsewhere():
    known = Known([1.0, -2.0, 0.5], [1.0, 0.3, 3.0])
    chains = many_chains.run(known, standard(3), 4000, np.random.default_rng(0))
    draws = chains.draws.reshape(-1, 3)
    error = known.sd / np.sqrt(min(chains.effective_size, len(draws)))
    assert (np.abs(draws.mean(axis=0) - known.mean) < 4 * error).all()
    assert (np.abs(draws.std(axis=0) - known.sd) < 4 * error).all()
    assert chains.moved(4000)


def test_chains_that_are_still_on_the_way_are_told():
    far = Known([5000.0, 0.0], [1.0, 1.0])
    chains = many_chains.run(far, standard(2), 4000, np.random.default_rng(0), warm=3)
    stuck = Known([0.0, 0.0], [1.0, 1e4])  # whose length nobody has learnt
    slow = many_chains.run(stuck, standard(2), 4000, np.random.default_rng(0), warm=3)
    assert not slow.moved(4000)
    assert chains.moved(4000) == (abs(chains.draws[..., 0].mean() - 5000) < 0.1)


@pytest.mark.parametrize("width", [0.3, 3.0])
def test_weights_of_a_proposal_that_does_not_fit_are_not_trusted(width, monkeypatch):
    equation, seen = posed("poisson", monkeypatch, p=8)
    target = Problem.of(equation, seen).target
    near = variational.nearest(target)
    rng = np.random.default_rng(0)
    assert weighing.draw(target, near, 4000, 120, rng).certified
    poor = replace(near, scale=width * near.scale)
    assert not weighing.draw(target, poor, 4000, 120, rng).certified


def test_of_very_many_rows_the_gaussian_is_the_posterior():
    """Against statsmodels, whose estimates these rows leave no room beside."""
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    X = rng.normal(size=(150_000, 3))
    y = (rng.uniform(size=len(X)) < 1 / (1 + np.exp(0.5 - X @ [0.3, -0.2, 0.0]))).astype(int)
    model = BayesianInterventionRegressor(family="bernoulli", random_state=0).fit(X, y)
    theirs = sm.GLM(y, sm.add_constant(X), family=sm.families.Binomial()).fit()
    draws = model.idata_["posterior"]["y_beta"].values.reshape(-1, 3)
    error = theirs.bse[1:] / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - theirs.params[1:]) < 4.5 * error).all()
    assert (np.abs(draws.std(axis=0) / theirs.bse[1:] - 1) < 4 / np.sqrt(2 * len(draws))).all()
    assert np.isneginf(model.idata_["sample_stats"]["pareto_k"].values).all()


def test_what_has_no_closed_form_is_left_to_nuts(monkeypatch):
    asked = []

    def nuts(equation, seen, sampling):
        asked.append(equation.node)
        shape = sampling.chains, sampling.draws
        found = {"y_beta": np.zeros((*shape, 3)), "y_intercept": np.zeros(shape)}
        return engines.Drawn(found, {}, "nutpie", [])

    monkeypatch.setattr(engines, "ENGINES", {**engines.ENGINES, "nuts": nuts})
    model, *_ = fitted("poisson", priors={"beta": Prior("Laplace", mu=0, b=1)})
    assert asked == ["y"]
    assert model.idata_["posterior"].attrs["inference"] == "nuts"
    fitted("poisson", inference="nuts")
    assert asked == ["y", "y"]


def test_draws_hang_on_nothing_but_the_seed():
    found = [fitted("bernoulli", random_state=k)[0].coef_ for k in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert all((one != other).any() for one, other in pairwise(found[1:]))


def test_a_scale_whose_prior_is_not_known_has_no_closed_form():
    assert of_log(PriorSpec.of("HalfFlat")) is None


# --- Levels --------------------------------------------------------------------------------------


def test_levels_are_those_of_the_observed_model(monkeypatch):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(3, 1, 90), "m": rng.choice(list("pqr"), 90)})
    y = X["a"] + (X["m"] == "q") + rng.normal(size=90)
    asked = []
    with monkeypatch.context() as patch:
        draw = unbuilt.draw
        patch.setattr(unbuilt, "draw", lambda *args: asked.append(args[:2]) or draw(*args))
        model = BayesianInterventionRegressor(
            graph="a -> m; a -> y; m -> y", random_state=0, draws=250
        ).fit(X, y)
    assert model.idata_["posterior"].attrs["inference_by_node"] == ["m: importance", "y: exact"]
    equation, seen = asked[0]
    density = OfLevels.of(equation, seen)
    near = density.near()
    points, _ = near.draw(5, np.random.default_rng(0))
    _check_slopes(density, near.mean)
    h = 1e-5 * np.eye(len(near.mean))
    bent = np.array([density.slopes(np.stack([near.mean - e, near.mean + e])) for e in h])
    bent = (bent[:, 0] - bent[:, 1]) / 2e-5
    np.testing.assert_allclose(density.curvature(near.mean), bent, rtol=1e-4, atol=1e-4)
    data = observed_data(equation, seen)
    built = observed_model(equation, seen)
    compiled = compile_density(built, data)
    theirs = LogPosterior(compiled, compiled.arrays(data))
    named = density.parameters(points)
    x = np.hstack([named[v.name].reshape(len(points), -1) for v in built.free_RVs])
    found, expected = density.heights(points), theirs.heights(x)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8, atol=1e-7)
