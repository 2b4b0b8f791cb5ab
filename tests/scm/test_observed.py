"""What is compiled for one number of columns serves any other."""

from functools import partial

import numpy as np
import pymc as pm
import pytensor
import pytest
from pymc_extras.prior import Prior

from interventional import BayesianInterventionRegressor
from interventional.data.schema import Schema
from interventional.inference import laplace, scale_priors
from interventional.inference.density import LogPosterior, compile_density
from interventional.scm.compiling import StructureCache
from interventional.scm.draft import draft
from interventional.scm.observed import observed_data, observed_model
from interventional.scm.specification import specify

PRIORS = {
    "beta": Prior("Normal", mu=0.1, sigma=0.7),
    "intercept": Prior("StudentT", nu=4, mu=0.2, sigma=1.5),
}


def rows(family, p, n=40):
    rng = np.random.default_rng(p)
    X = 2 + rng.normal(size=(n, p))
    y = rng.poisson(2.0, size=n) if family == "poisson" else rng.gamma(2.0, size=n)
    return X, y.astype(float)


def seen(family, p, priors=PRIORS):
    """The equation of some rows, and what its likelihood sees."""
    X, y = rows(family, p)
    model = BayesianInterventionRegressor(family=family, priors=priors)
    schema = Schema.of(X)
    made, (data,) = specify(draft(schema, **model._parameters()), schema.encode(X), y)
    return made.of_outcome, data


def by_hand(family, p):
    """The posterior of some rows, of a model written for as many columns."""
    X, y = rows(family, p)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.1, 0.7, shape=p)
        mean = pm.StudentT("mean", nu=4, mu=0.2, sigma=1.5)
        mu = pm.math.exp(mean + (X - X.mean(axis=0)) @ beta)
        if family == "poisson":
            pm.Poisson("y", mu, observed=y)
        else:
            # Arrays, as PyMC takes logs of Python's numbers in single precision.
            alpha = pm.LogNormal("alpha", np.array(1.0), np.array(1.5))
            pm.Gamma("y", alpha, alpha / mu, observed=y)
    return model, LogPosterior(compile_density(model, {}), [])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["poisson", "gamma"])
def test_a_density_compiled_for_two_columns_is_right_for_five(family):
    two, five = seen(family, 2), seen(family, 5)
    density = compile_density(observed_model(*two), observed_data(*two))
    posterior = LogPosterior(density, density.arrays(observed_data(*five)))
    model, truth = by_hand(family, 5)
    np.testing.assert_allclose(posterior.start(), truth.start(), rtol=1e-10)
    rng = np.random.default_rng(0)
    points = posterior.start() + 0.3 * rng.normal(size=(3, len(posterior.start())))
    np.testing.assert_allclose(posterior.heights(points), truth.heights(points), rtol=1e-10)
    logp = model.compile_logp(mode="FAST_COMPILE")
    for x in points:
        value, gradient = posterior.slope(x)
        point = {"beta": x[:5], "mean": x[5]} | ({"alpha_log__": x[6]} if len(x) == 7 else {})
        assert value == pytest.approx(float(logp(point)), rel=1e-10)
        np.testing.assert_allclose(gradient, truth.slope(x)[1], rtol=1e-10)
        np.testing.assert_allclose(posterior.curvature(x), truth.curvature(x), rtol=1e-9)
    found = posterior.variables(points)
    np.testing.assert_array_equal(found["y_beta"], points[:, :5])
    np.testing.assert_array_equal(found["y_intercept"], points[:, 5])


@pytest.fixture
def kept(monkeypatch):
    """The caches of what engines compile, empty."""
    caches = {"laplace": StructureCache(8), "auto": StructureCache(8)}
    monkeypatch.setattr(laplace, "_densities", caches["laplace"])
    monkeypatch.setattr(scale_priors, "_compiled", caches["auto"])
    return {engine: cache._kept for engine, cache in caches.items()}


WALD = {"sigma": Prior("Wald", mu=1.0, lam=1.0)}  # which is not known in closed form
LAPLACE = {"beta": Prior("Laplace", mu=0, b=1)}  # nor is that


def fit(p, **parameters):
    X, y = rows(parameters.get("family", "gaussian"), p)
    BayesianInterventionRegressor(draws=20, chains=2, random_state=0, **parameters).fit(X, y)


@pytest.mark.filterwarnings("ignore:inference=:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("engine", "family", "priors"),
    [("laplace", "poisson", LAPLACE), ("auto", "gaussian", WALD), ("auto", "lognormal", WALD)],
)
def test_another_number_of_columns_compiles_nothing(kept, monkeypatch, engine, family, priors):
    again = partial(fit, inference=engine, family=family, priors=priors)
    again(2)
    assert len(kept[engine]) == 1

    def refuse(*_, **__):
        raise AssertionError("compiled again")

    monkeypatch.setattr(pytensor, "function", refuse)
    monkeypatch.setattr(pm, "compile", refuse)
    for p in (1, 5, 3):
        again(p)
    assert len(kept[engine]) == 1


def test_a_learnt_scale_serves_any_number_of_columns(kept):
    learnt = {"beta": Prior("Normal", mu=0, sigma=Prior("ChiSquared", nu=3))}
    for p in (2, 4):
        fit(p, priors={**learnt, **WALD})
    assert len(kept["auto"]) == 2  # that of sigma, and that of the learnt scale


@pytest.mark.parametrize("prior", ["horseshoe", "r2d2"])
def test_a_prior_of_so_many_terms_is_compiled_for_each(prior):
    """The horseshoe's scale and the Dirichlet of R2D2 are written for a number of terms."""
    equations = [seen("gaussian", p, {"beta": prior})[0] for p in (2, 3)]
    assert len({equation.priors.skeleton for equation in equations}) == 2
