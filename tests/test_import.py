"""Importing the package, and predicting from a pickle, are quick: neither loads PyMC."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd

from interventional import BayesianInterventionRegressor

HEAVY = ("pymc", "pymc_extras", "pytensor", "arviz", "arviz_stats", "numba", "nutpie")
HEAVY += ("matplotlib", "dask", "xarray")


def run(code, *arguments):
    """Run code in a fresh interpreter, and return which heavy modules it had loaded."""
    code += f"\nimport sys; print('loaded', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


def test_the_probe_sees_what_is_loaded():
    """The two tests below could fail."""
    assert run("import matplotlib") == ["matplotlib"]


def test_import_loads_nothing_heavy():
    assert run("import interventional; interventional.BayesianInterventionRegressor()") == []


def test_predict_from_a_pickle_loads_nothing_heavy(tmp_path):
    """predict, its standard deviation and sample_y need NumPy only, and give the same numbers."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=40), "sex": rng.choice(["f", "m"], 40)})
    y = X["a"] + (X["sex"] == "m") + rng.normal(size=40)
    model = BayesianInterventionRegressor(draws=50, chains=2, random_state=0).fit(X, y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, X)))
    code = """
import pickle, sys
import numpy as np
with open(sys.argv[1] + "/model.pkl", "rb") as file:
    model, X = pickle.load(file)
mean, std = model.predict(X, return_std=True)
np.savez(sys.argv[1] + "/answers.npz", mean=mean, std=std, y=model.sample_y(X, 3),
         score=model.score(X, X["a"]))
"""
    assert run(code, str(tmp_path)) == []
    answers = np.load(tmp_path / "answers.npz")
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(answers["mean"], mean)
    np.testing.assert_array_equal(answers["std"], std)
    np.testing.assert_array_equal(answers["y"], model.sample_y(X, 3))
    assert answers["score"] == model.score(X, X["a"])


def test_public_names_are_there_whenever_they_are_imported():
    code = """
import interventional, sys
assert "interventional.graph.causal_graph" not in sys.modules
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
"""
    run(code)
