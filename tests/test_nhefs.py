"""Quitting smoking, weight and blood pressure (NHEFS), against least squares.

Those of 1,566 smokers whose blood pressure was taken. `docs/tutorials/mediators.md` tells it.
"""

import numpy as np
import pytest
import statsmodels.formula.api as smf
from causaldata import nhefs_complete
from conftest import assert_mean
from pymc_extras.prior import Prior

from interventional import BayesianInterventionRegressor, NotIdentifiedError

# Weight bends with age; the least squares that lines are held against here have lines, too.
pytestmark = pytest.mark.filterwarnings("ignore:.* linear in its terms")
LEVELS = ["sex", "race", "education", "exercise", "active", "hbp"]
COMMON = [*LEVELS, "age", "smokeintensity", "smokeyrs", "wt71", "ht"]
GRAPH = [
    ("qsmk", "wt82_71"),
    ("wt82_71", "sbp"),
    ("qsmk", "sbp"),
    *((cause, effect) for cause in COMMON for effect in ("qsmk", "wt82_71", "sbp")),
]
DIET = [("diet", "wt82_71"), ("diet", "sbp")]  # which nobody recorded
QUIT, STAY = {"qsmk": 1}, {"qsmk": 0}


def estimator(graph, **parameters):
    return BayesianInterventionRegressor(graph=graph, outcome="sbp", random_state=0, **parameters)


@pytest.fixture(scope="module")
def smokers():
    people = nhefs_complete.load_pandas().data.dropna(subset=["sbp"])
    X = people[["qsmk", *COMMON, "wt82_71"]].astype(dict.fromkeys(LEVELS, "category"))
    return X, people["sbp"]


@pytest.fixture(scope="module")
def model(smokers):
    return estimator(GRAPH).fit(*smokers)


def averages(model, X):
    """Return draws of the average direct, indirect and total effect."""
    parts = model.decompose(X, do=QUIT, baseline=STAY)
    return {name: part.average().draws.values.ravel() for name, part in parts.items()}


@pytest.mark.slow
def test_parts_add_up_to_the_difference_of_scenarios(model, smokers):
    """Without a product of quitting and weight, holding weight leaves the direct part."""
    X, _ = smokers
    parts = averages(model, X)
    np.testing.assert_allclose(parts["direct"] + parts["indirect"], parts["total"])
    everybody, nobody = (model.intervene(X, do=do).average() for do in (QUIT, STAY))
    total = (everybody - nobody).draws.values.ravel()
    np.testing.assert_allclose(parts["total"], total, atol=1e-8)
    low, high = np.quantile(total, [0.025, 0.975])
    assert low < total.mean() < high
    held = {"wt82_71": 0}
    direct = model.effect(X, do=QUIT | held, baseline=STAY | held).average()
    np.testing.assert_allclose(parts["direct"], direct.draws.values.ravel(), atol=1e-8)


@pytest.mark.slow
def test_hidden_cause_of_mediator_and_outcome(model, smokers):
    """The total stays as it was; what goes through the mediator is refused."""
    X, y = smokers
    hidden = estimator([*GRAPH, *DIET]).fit(X, y)
    total = hidden.effect(X, do=QUIT, baseline=STAY).average()
    np.testing.assert_allclose(total.mean(), averages(model, X)["total"].mean(), atol=1e-8)
    with pytest.raises(NotIdentifiedError, match="Measuring 'diet' would identify it"):
        hidden.decompose(X, do=QUIT, baseline=STAY)


def test_parts_equal_least_squares(smokers):
    """Total, direct and indirect effects of linear equations are coefficients and a product."""
    X, y = smokers
    assert X.shape == (1537, 13)
    flat = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}
    model = estimator(GRAPH, priors={"wt82_71": flat, "sbp": flat}).fit(X, y)
    rows = X.assign(sbp=y)
    common = " + ".join(COMMON)  # categories are coded by patsy
    of_weight = smf.ols(f"wt82_71 ~ qsmk + {common}", rows).fit().params["qsmk"]
    both = smf.ols(f"sbp ~ qsmk + wt82_71 + {common}", rows).fit().params
    total = smf.ols(f"sbp ~ qsmk + {common}", rows).fit().params["qsmk"]
    truth = {"total": total, "direct": both["qsmk"], "indirect": of_weight * both["wt82_71"]}
    parts = averages(model, X)
    for name, value in truth.items():
        assert_mean(parts[name], value)
    effect = model.effect(X, do=QUIT, baseline=STAY).average()
    assert_mean(effect.draws.values.ravel(), total)
