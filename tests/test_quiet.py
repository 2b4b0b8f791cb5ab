"""With the root logger at INFO, as web services have it, no library that we use says anything."""

import os
import subprocess
import sys

import pytest

BEGIN = """
import logging, sys, warnings
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="LINE %(name)s %(message)s")
warnings.simplefilter("ignore")
import matplotlib
matplotlib.use("Agg")
import numpy as np, pandas as pd
from interventional import BayesianInterventionRegressor, CausalGraph, InterventionDisplay
rng = np.random.default_rng(0)
X = pd.DataFrame({"t": rng.normal(size=60), "k": rng.choice(list("abc"), 60)})
X["m"] = X["t"] + rng.normal(size=60)
y = X["m"] + rng.normal(size=60)
def fitted(**given):
    model = BayesianInterventionRegressor(draws=50, tune=50, chains=2, random_state=0, **given)
    return model.fit(X if "graph" in given else X[["t", "m"]], y)
"""
QUESTIONS = """
model = fitted(graph="t -> m -> y; k -> m; k -> y")
answer = model.intervene(X, {"t": 1.0})
print(answer.average().summary())
InterventionDisplay.from_estimator(model, X, "t")
model.graph_.plot()
fitted(priors="ridge")
"""
OTHERS = """
import arviz
model.intervene(X, {"k": "a"}, kind="predictive").mean()
model.counterfactual(X, y, {"t": 0.0}).mean()
model.sample_y(X)
model.build_model(X, y)
model.simulate(X, {}, random_state=0)
model.prior_predictive_check(X, y)
arviz.loo(model.log_likelihood(X, y))
arviz.plot_ppc_dist(model.posterior_predictive_check(X, y))
arviz.summary(model.idata_)
fitted(inference="laplace")
fitted(inference="nuts", n_jobs=2)
"""


@pytest.mark.parametrize(
    "calls", [QUESTIONS, pytest.param(QUESTIONS + OTHERS, marks=pytest.mark.slow)]
)
def test_no_library_logs(calls):
    code = BEGIN + calls + "\nprint('the end')\nlogging.getLogger('ours').info('heard')\n"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stdout.splitlines() if line.startswith("LINE")]
    assert lines == ["LINE ours heard"]
    assert ran.stderr == ""


def test_a_level_that_is_asked_for_is_kept():
    code = (
        "import logging; logging.getLogger('arviz').setLevel(10); import interventional;"
        "print(logging.getLogger('arviz').level, logging.getLogger('pytensor').level)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["10", "30"]
