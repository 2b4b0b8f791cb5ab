"""`design="smooth"` of outcomes with outliers: Student's t."""

import numpy as np
import pandas as pd
import pytest
from conftest import assert_predicts_without_pymc
from scipy.stats import t as student
from test_smooth import bent, smooth


def with_outliers(n=200, seed=0):
    X, y, effect = bent(n, seed)
    rng = np.random.default_rng(seed + 1)
    wild = rng.random(n) < 0.05
    return X, y + np.where(wild, rng.choice([-15.0, 15.0], n), 0.0), effect


@pytest.fixture(scope="module")
def fitted():
    X, y, effect = with_outliers()
    return smooth(treatments=["t"], family="student_t", draws=100).fit(X, y), X, y, effect


def test_outliers_do_not_decide(fitted):
    model, X, y, effect = fitted
    gaussian = smooth(treatments=["t"], draws=100).fit(X, y)
    errors = []
    for each in (model, gaussian):
        found = each.effect(X, {"t": 1}, {"t": 0})
        low, high = found.average().interval(0.99)[0]
        assert low < effect.mean() < high
        errors.append(np.sqrt(np.mean((found.mean() - effect) ** 2)))
    assert errors[0] < 0.5 * errors[1]
    assert errors[0] < 0.5
    draws = model.fitted_.draws
    assert 0.2 < draws["y_sigma"].mean() < 0.7  # 0.4 of those that are none
    assert np.median(draws["y_nu"]) < 6
    assert model.idata_["posterior"].attrs["inference"] == "laplace"


def test_its_densities_are_students(fitted):
    """Of rows given each draw: those of the expected outcome, sigma and nu."""
    model, X, y, _ = fitted
    rows, draws = X.head(4), model.fitted_.draws
    expected = model.intervene(rows, {"t": rows["t"]}).draws.values.reshape(-1, 4)
    of = draws["y_nu"][:, None], expected, draws["y_sigma"][:, None]
    by_row = np.exp(student.logpdf(y.head(4).to_numpy(), *of)).mean(axis=0)
    found = model.log_density(rows, y.head(4))
    np.testing.assert_allclose(found, np.log(by_row), atol=1e-8)


def test_a_pickle_predicts_without_pymc(fitted, tmp_path):
    model, X, _, _ = fitted
    assert_predicts_without_pymc(model, X.head(5), tmp_path)


def test_rows_that_are_the_same_are_each_seen():
    """No mean stands for outcomes of Student's t; weights are how often rows occur."""
    rng = np.random.default_rng(1)
    X = pd.DataFrame({"x": np.tile(np.linspace(-2, 2, 12), 6)})
    y = pd.Series(np.sin(2 * X["x"]) + 0.2 * rng.standard_t(2, 72), name="y")
    model = smooth(family="student_t", draws=50).fit(X, y)
    assert model.fitted_.model.of_outcome.surface.are_all
    assert len(model.fitted_.model.of_outcome.surface.landmarks) == 12
    at = pd.DataFrame({"x": np.linspace(-2, 2, 12)})
    assert np.abs(model.predict(at) - np.sin(2 * at["x"])).max() < 0.4
    twice = smooth(family="student_t", draws=50).fit(pd.concat([X, X]), pd.concat([y, y]))
    weighed = smooth(family="student_t", draws=50).fit(X, y, sample_weight=np.full(72, 2.0))
    np.testing.assert_allclose(twice.predict(at), weighed.predict(at), atol=1e-8)


def test_beside_groups():
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(12), 15)
    x = rng.uniform(-2, 2, 180)
    own = rng.normal(size=12)
    y = np.sin(2 * x) + own[unit] + 0.2 * rng.standard_t(2, 180)
    X = pd.DataFrame({"unit": unit, "x": x})
    model = smooth(family="student_t", groups=["unit"], draws=100).fit(X, y)
    terms = model.idata_["posterior"]["y_beta"].mean(("chain", "draw")).values[1:]
    assert np.corrcoef(terms, own)[0, 1] > 0.95
    found = model.effect(X, {"x": 0.8}, {"x": -0.8}).average(population="unit")
    low, high = found.interval(0.999)[0]
    assert low < 2 * np.sin(1.6) < high


def test_sigma_and_nu_may_be_known():
    from pymc_extras.prior import Prior

    X, y, _ = with_outliers(60)
    known = {"nu": Prior("DiracDelta", c=3.0), "sigma": Prior("DiracDelta", c=0.5)}
    model = smooth(family="student_t", priors=known, draws=20).fit(X, y)
    assert np.allclose(model.fitted_.draws["y_nu"], 3.0)
    assert np.allclose(model.fitted_.draws["y_sigma"], 0.5)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("inference", ["exact", "nuts"])
def test_other_engines_are_refused(inference):
    X, y, _ = with_outliers(60)
    with pytest.raises(ValueError, match="the family of 'y' is 'student_t'"):
        smooth(family="student_t", inference=inference).fit(X, y)
