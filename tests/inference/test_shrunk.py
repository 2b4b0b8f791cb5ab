"""The horseshoe and R2D2 without a compiled model: against PyMC's density, and brute force."""

import numpy as np
import pytest
from conftest import N_STANDARD_ERRORS
from pymc_extras.prior import Prior

from interventional import BayesianInterventionRegressor
from interventional.data.schema import Schema
from interventional.inference.shrunk import Problem, draw
from interventional.scm.draft import draft
from interventional.scm.observed import observed_model
from interventional.scm.shrinkage import (
    R2_CONCENTRATION,
    SLAB_DOF,
    SLAB_SCALE,
    expected_effects,
)
from interventional.scm.specification import specify

KINDS = "horseshoe", "r2d2"


def rows(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.linspace(0.5, 3, p) + 1
    return X, 2 + X @ np.where(np.arange(p) == 0, 2.0, 0.1) + rng.normal(size=n)


def equation(prior, X, y, **parameters):
    schema = Schema.of(X)
    parsed = draft(schema, outcome="y", priors=prior, **parameters)
    model, (seen,) = specify(parsed, schema.encode(X), y)
    return model.of_outcome, seen


@pytest.mark.parametrize("p", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_density_is_that_of_the_observed_model(kind, p):
    """Up to a constant."""
    X, y = rows(30, p + 1)
    prior = {"beta": kind, "x0": Prior("Normal", mu=0.5, sigma=2)}
    asked, seen = equation(prior, X, y)
    problem = Problem.of(asked, seen)
    points, _ = problem.density.near(problem.y_scale).draw(6, np.random.default_rng(1))
    values = problem.parameters(points)
    raw = problem.density.parts(points)[1]
    model = observed_model(asked, seen)
    truth = []
    logp = model.compile_logp()
    for k in range(len(points)):
        at = {}
        for variable in model.free_RVs:
            name = variable.name
            value = values["y_beta"][k, :1]  # y_beta_normal
            if not name.endswith("_normal"):
                value = raw[k] if name.endswith("_raw") else np.squeeze(values[name][k])
            transform = model.rvs_to_transforms[variable]
            if name.endswith(("_lambda", "_phi")):
                value = np.atleast_1d(value)
            if transform is not None:
                value = transform.forward(value, *variable.owner.inputs).eval()
            at[model.rvs_to_values[variable].name] = np.asarray(value)
        truth.append(logp(at))
    found = problem.density.heights(points)
    np.testing.assert_allclose(found - found[0], np.array(truth) - truth[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_are_those_of_heights(kind):
    density = (problem := Problem.of(*equation(kind, *rows(20, 3)))).density
    points, _ = density.near(problem.y_scale).draw(4, np.random.default_rng(0))
    step = 1e-5 * np.eye(points.shape[1])
    numeric = [(density.heights(points + s) - density.heights(points - s)) / 2e-5 for s in step]
    np.testing.assert_allclose(density.slopes(points), np.transpose(numeric), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_brute_force(kind):
    """Draws of the priors as they are written down, weighed by the likelihood."""
    X, y = rows(12, 2, seed=3)
    X, y = X - X.mean(axis=0), y - y.mean()
    n, x_scale, y_scale = len(y), X.std(axis=0), y.std()
    asked, seen = equation(
        {"beta": kind, "sigma": Prior("HalfNormal", sigma=2)}, X, y, fit_intercept=False
    )
    found = draw(asked, seen, 4096, np.random.default_rng(0))
    rng, size = np.random.default_rng(1), 2_000_000
    sigma = np.abs(rng.normal(scale=2, size=size))
    if kind == "horseshoe":
        effects = expected_effects(2)
        tau = np.abs(rng.standard_cauchy(size)) * effects / (2 - effects) * sigma / np.sqrt(n)
        local = tau[:, None] * np.abs(rng.standard_cauchy((size, 2)))
        slab = SLAB_DOF / 2 * SLAB_SCALE**2 / rng.gamma(SLAB_DOF / 2, size=size) * y_scale**2
        sd = local / np.sqrt(1 + local**2 / slab[:, None])
    else:
        share = rng.uniform(size=size)
        parts = rng.dirichlet([R2_CONCENTRATION] * 2, size)
        sd = sigma[:, None] * np.sqrt((share / (1 - share))[:, None] * parts)
    beta = rng.normal(size=(size, 2)) * sd / x_scale
    squares = np.square(y - beta @ X.T).sum(axis=1)
    log = -n * np.log(sigma) - 0.5 * squares / sigma**2
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    truth = np.column_stack([beta, np.log(sigma)])
    ours = np.column_stack([found.variables["y_beta"], np.log(found.variables["y_sigma"])])
    worth = 1 / np.square(weight).sum(), found.figures["effective_size"]
    for power in (1, 2):
        mean = weight @ truth**power
        sd = np.sqrt(weight @ np.square(truth**power - mean))
        z = np.abs((ours**power).mean(axis=0) - mean) / (sd * np.sqrt(sum(1 / w for w in worth)))
        assert np.all(z < N_STANDARD_ERRORS), z


def test_who_drew_is_said():
    X, y = rows(60, 5)
    model = BayesianInterventionRegressor(priors="horseshoe", random_state=0).fit(X, y)
    posterior = model.idata_["posterior"]
    assert posterior.attrs["inference"] == "hmc"
    assert {"y_beta", "y_beta_tau", "y_beta_lambda", "y_beta_slab"} < set(posterior.data_vars)
    assert posterior["y_beta_lambda"].dims == ("chain", "draw", "y_term")


@pytest.mark.parametrize(
    "priors",
    [
        {"beta": "horseshoe", "x0": "r2d2"},
        {"beta": "horseshoe", "x0": Prior("HalfNormal", sigma=1)},
        {"beta": "r2d2", "sigma": Prior("Uniform", lower=0.1, upper=5)},
    ],
)
def test_what_stands_beside_other_priors_is_left_to_nuts(priors):
    assert Problem.of(*equation(priors, *rows(20, 3))) is None
