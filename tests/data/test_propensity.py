import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from interventional.data.schema import Schema
from interventional.data.smooth import SmoothDesign


def propensity(X, treated):
    schema = Schema.of(X)
    values = schema.encode(X)
    surface = SmoothDesign.of(schema, [treated], values, None).surface
    size = len(surface.columns)
    return surface, values, surface.inputs(values).features[:, size:]


def test_probabilities_are_a_logistic_regressions():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=400), "z": rng.normal(size=400)})
    X["t"] = (rng.random(400) < expit(X["x"] - X["z"] ** 2)).astype(float)
    _, _, found = propensity(X, "t")
    Z = X[["x", "z"]].to_numpy()
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    terms = np.hstack([Z, Z**2])
    model = LogisticRegression(C=0.3, max_iter=1000).fit(terms, X["t"])
    odds = np.clip(model.decision_function(terms), -np.log(49), np.log(49))
    chance = expit(odds)
    expected = (chance - chance.mean()) / chance.std()
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-3)  # it stops where it is near


def test_a_dose_has_an_expectation():
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000)
    X = pd.DataFrame({"x": x, "dose": 2 * x + x**2 + rng.normal(size=2000)})
    _, _, found = propensity(X, "dose")
    assert np.corrcoef(found[:, 0], 2 * x + x**2)[0, 1] > 0.99


def test_levels_have_one_each():
    rng = np.random.default_rng(2)
    x = rng.normal(size=500)
    arm = np.where(x + rng.logistic(size=500) > 0, "b", rng.choice(["a", "c"], 500))
    surface, _, found = propensity(pd.DataFrame({"x": x, "arm": arm}), "arm")
    assert found.shape == (500, 3)
    of = surface.propensities[0]
    np.testing.assert_allclose((found * of.scale + of.center).sum(axis=1), 1)
    assert surface.lengths[:2] == ("x", "arm|")  # which share a length


def test_there_is_none_where_nothing_else_is_known():
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"t": (rng.random(50) < 0.5).astype(float)})
    surface, _, found = propensity(X, "t")
    assert surface.propensities == ()
    assert found.shape[1] == 0
    assert surface.components == ()


def test_it_moves_with_what_is_forced():
    rng = np.random.default_rng(4)
    X = pd.DataFrame({"x": rng.normal(size=300)})
    X["t"] = (rng.random(300) < expit(2 * X["x"])).astype(float)
    surface, values, found = propensity(X, "t")
    forced = values.copy()
    forced[:, 0] = 1.0
    assert len(np.unique(surface.inputs(forced).features[:, len(surface.columns)])) == 1
    forced = values.copy()
    forced[:, 1] = 1.0  # the treatment itself says nothing of what was to be expected
    after = surface.inputs(forced).features[:, len(surface.columns) :]
    np.testing.assert_array_equal(after, found)
