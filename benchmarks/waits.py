"""Tasks of this package that people wait for: asked of it, and of an earlier commit of it.

With a folder of data and a file as arguments it fits them and saves the model.
"""

import importlib
import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import Data, parents, read


def frame(data: Data, names: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(data.X, columns=list(names))


def levels_of(column: Any) -> Any:
    """Return numbers as levels."""
    import pandas as pd

    return pd.Categorical(column.astype(int).astype(str))


def regressor(**parameters: Any) -> Any:
    from interventional import BayesianInterventionRegressor

    return BayesianInterventionRegressor(random_state=1, **parameters)


def coefficients(model: Any) -> answers.Answer:
    return answers.from_draws(model.idata_["posterior"]["y_beta"].values)


def first(task: Callable[[Data], Any]) -> Callable[[Data], Any]:
    """Return a task in whose process PyMC has been imported."""

    def prepared(data: Data) -> Any:
        importlib.import_module("pymc")
        return task(data)

    return prepared


def shrunk(priors: str) -> Callable[[Data], Any]:
    return lambda data: (lambda: regressor(priors=priors).fit(data.X, data.y), coefficients)


def large(data: Data) -> Any:
    return lambda: regressor(family="bernoulli").fit(data.X, data.y), coefficients


def crossed(data: Data) -> Any:
    X = frame(data, ["x", "a", "b"])
    X["a"], X["b"] = levels_of(X["a"]), levels_of(X["b"])
    model = regressor(family="bernoulli", groups=["a", "b"])
    return lambda: model.fit(X, data.y), coefficients


def mediated(data: Data) -> Any:
    from sklearn.preprocessing import SplineTransformer

    X = frame(data, "acb")
    graph = "a -> b; a -> y; b -> y; c -> y"
    model = regressor(graph=graph, design={"y": SplineTransformer()}).fit(X, data.y)
    return lambda: _effect(model, X, "a", 0, 1), lambda found: answers.from_draws(found[0])


def levels(data: Data) -> Any:
    X = frame(data, ["x", "level"])
    X["level"] = levels_of(X["level"])
    model = regressor().fit(X, data.y)
    return (
        lambda: _effect(model, X, "level", "0", "1"),
        lambda found: answers.from_draws(found[0]),
    )


def nodes(data: Data) -> Any:
    """Ask for the effects of the first five nodes."""
    width = data.X.shape[1]
    names = [f"x{j}" for j in range(width)]
    edges = [f"{names[i]} -> {name}" for j, name in enumerate([*names, "y"]) for i in parents(j)]
    X = frame(data, names)
    model = regressor(graph="; ".join(edges)).fit(X, data.y)
    return (
        lambda: [_effect(model, X, name, 0, 1)[0] for name in names[:5]],
        lambda found: answers.from_draws(np.stack(found, axis=-1)),
    )


def _effect(model: Any, X: Any, column: str, low: Any, high: Any) -> Any:
    """Return an average effect's draws and its summary."""
    effect = model.effect(X, do={column: high}, baseline={column: low}).average()
    return effect.draws.values, effect.summary(0.95)


def saved(intervenes: bool) -> Callable[[Data], Any]:
    """Load a model and ask it of its rows; `predict` is given the rows with their column set."""

    def task(data: Data) -> Any:
        rows = data.asked.copy()
        rows[:, data.forced] = 0.0
        do = {f"x{data.forced}": 0.0}
        path = _saved(data)

        def run() -> Any:
            model = pickle.loads(path.read_bytes())
            if not intervenes:
                return model.predict(rows)
            outcomes = model.intervene(data.asked, do=do)
            return outcomes.mean(), outcomes.interval(0.9, "eti")

        # Draws, which an earlier commit answers from, have a mean that is off by so much.
        return run, lambda found: answers.point(found[0] if intervenes else found, 0.01)

    return task


def _saved(data: Data) -> Path:
    """Return a file of the fitted model; another process makes it, so that this one is new."""
    package = importlib.util.find_spec("interventional")
    assert package is not None
    name = sha256(str(package.origin).encode()).hexdigest()[:8]
    path = Path(data.source) / f"{name}.pickle"
    if not path.exists():
        command = [sys.executable, "-m", "benchmarks.waits", data.source, str(path)]
        subprocess.run(command, check=True)
    return path


def save(folder: str, path: str) -> None:
    data = read({"name": "linear", "data": folder, "asked": "", "options": {}})
    Path(path).write_bytes(pickle.dumps(regressor().fit(data.X, data.y)))


TASKS = {
    ("fit_horseshoe", "auto"): shrunk("horseshoe"),
    ("fit_r2d2", "auto"): shrunk("r2d2"),
    ("fit_large", "auto"): large,
    ("fit_crossed", "auto"): crossed,
    ("mediated", "effect"): mediated,
    ("levels", "effect"): levels,
    ("nodes", "effect"): nodes,
    ("saved", "intervene, with intervals"): saved(True),
    ("saved", "predict"): saved(False),
}

if __name__ == "__main__":
    save(*sys.argv[1:])
