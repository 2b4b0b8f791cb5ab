"""Importing the package, and predicting from a pickle, are quick: neither loads PyMC.

A new interpreter takes seconds to start, so one goes through all steps, and tells of each.
"""

import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from interventional import BayesianInterventionRegressor

HEAVY = ["pymc", "pymc_extras", "pytensor", "arviz", "arviz_stats", "numba", "nutpie"]
HEAVY += ["matplotlib", "dask", "xarray"]
STEPS = """
import json, pickle, sys
folder, heavy = sys.argv[1], json.loads(sys.argv[2])
told = {}

def tell(step):
    told[step] = [name for name in heavy if name in sys.modules]

import interventional
told["graphs"] = "interventional.graph.causal_graph" in sys.modules
interventional.BayesianInterventionRegressor()
tell("import")

import numpy as np
with open(folder + "/model.pkl", "rb") as file:
    model, X = pickle.load(file)
mean, std = model.predict(X, return_std=True)
np.savez(folder + "/answers.npz", mean=mean, std=std, y=model.sample_y(X, 3),
         score=model.score(X, X["a"]))
tell("predict")

assert set(interventional.__all__) <= set(dir(interventional))
for name in interventional.__all__:
    assert getattr(interventional, name).__name__ == name
from interventional import *
assert CausalGraph is interventional.graph.causal_graph.CausalGraph
try:
    interventional.Graph
except AttributeError as error:
    assert "has no attribute 'Graph'" in str(error)
else:
    raise AssertionError

import matplotlib
tell("matplotlib")
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=40), "sex": rng.choice(["f", "m"], 40)})
    y = X["a"] + (X["sex"] == "m") + rng.normal(size=40)
    return BayesianInterventionRegressor(draws=50, chains=2, random_state=0).fit(X, y), X


@pytest.fixture(scope="module")
def steps(fitted, tmp_path_factory):
    """What a new interpreter tells of each step, and what the pickle answered in it."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "model.pkl").write_bytes(pickle.dumps(fitted))
    program = [sys.executable, "-c", STEPS, str(folder), json.dumps(HEAVY)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), np.load(folder / "answers.npz")


def test_the_probe_sees_what_is_loaded(steps):
    """The two tests below could fail."""
    assert "matplotlib" in steps[0]["matplotlib"]


def test_import_loads_nothing_heavy(steps):
    assert steps[0]["import"] == []


def test_predict_from_a_pickle_loads_nothing_heavy(steps, fitted):
    """predict, its standard deviation and sample_y need NumPy only, and give the same numbers."""
    told, answers = steps
    assert told["predict"] == []
    model, X = fitted
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(answers["mean"], mean)
    np.testing.assert_array_equal(answers["std"], std)
    np.testing.assert_array_equal(answers["y"], model.sample_y(X, 3))
    assert answers["score"] == model.score(X, X["a"])


def test_graphs_are_imported_when_they_are_asked_for(steps):
    """And all public names are there: the interpreter would have failed."""
    assert not steps[0]["graphs"]
