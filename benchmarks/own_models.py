"""Models of users' own beside the notebook's way: `python -m benchmarks.own_models`.

Each round refits at a known structure, of which the sampler's own time is told, and asks: by the
package, and by `pm.do` and `pm.sample_posterior_predictive`, in turns. Then processes are started
that fit for the first time, what compilers keep on disk being there: by the package, and by
`pm.sample` with the same sampler. Medians of what is seen are printed, and kept in
`results/own_models.json`.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import nutpie
import pandas as pd
import pymc as pm

from benchmarks.environments import HERE, machine
from interventional import BayesianInterventionRegressor

SAVED = HERE / "results" / "own_models.json"
ROUNDS, STARTS = 7, 3
SAMPLING = "nutpie's sampling"
DRAWS = {"draws": 1000, "tune": 1000, "chains": 4}


def saturating() -> pm.Model:
    """Return a curve that levels off, and regions."""
    with pm.Model(coords={"obs": [0], "regions": ["north", "south", "west"]}) as model:
        spend = pm.Data("spend", np.zeros(1), dims="obs")
        region = pm.Data("region", np.zeros(1, dtype=int), dims="obs")
        level = pm.Normal("level", 50, 20, dims="regions")
        most = pm.HalfNormal("most", 50)
        half = pm.LogNormal("half", 3, 1)
        noise = pm.HalfNormal("noise", 10)
        mu = pm.Deterministic("y_mu", level[region] + most * spend / (half + spend), dims="obs")
        pm.Normal("y", mu, noise, dims="obs")
    return model


def mediated() -> pm.Model:
    """Return counts that a column drives through another, which levels off."""
    with pm.Model(coords={"obs": [0]}) as model:
        spend = pm.Data("spend", np.zeros(1), dims="obs")
        reach, half = pm.HalfNormal("reach", 5), pm.LogNormal("half", 3, 1)
        slope, level = pm.Normal("slope", 0, 1), pm.Normal("level", 0, 2)
        noise = pm.HalfNormal("noise", 1)
        visits = pm.Normal("visits", reach * spend / (half + spend), noise, dims="obs")
        mu = pm.Deterministic("y_mu", pm.math.exp(level + slope * visits), dims="obs")
        pm.Poisson("y", mu, dims="obs")
    return model


MODELS: dict[str, Callable[[], pm.Model]] = {"saturating": saturating, "mediated": mediated}


def rows(name: str, n: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return data of a model."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"spend": rng.gamma(2, 12, n)})
    curve = X["spend"] / (X["spend"] + 25)
    if name == "saturating":
        X["region"] = rng.choice(["north", "south", "west"], n)
        base = X["region"].map({"north": 40, "south": 55, "west": 48})
        return X, (base + 60 * curve + 4 * rng.normal(size=n)).rename("y")
    X["visits"] = 3 * curve + 0.5 * rng.normal(size=n)
    return X, pd.Series(rng.poisson(np.exp(0.5 + 0.6 * X["visits"])), name="y")


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds, and what a function returned."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


class ByHand:
    """What a notebook does."""

    def __init__(self, name: str):
        self.name = name

    def data(self, X: pd.DataFrame) -> dict[str, Any]:
        """Return columns as the model has them."""
        found: dict[str, Any] = {"spend": X["spend"].to_numpy()}
        if self.name == "saturating":
            codes = {"north": 0, "south": 1, "west": 2}
            found["region"] = X["region"].map(codes).to_numpy()
        return found

    def with_rows(self, X: pd.DataFrame) -> pm.Model:
        """Return the skeleton of rows."""
        model = MODELS[self.name]()
        model.set_dim("obs", len(X), coord_values=np.arange(len(X)))
        for column, values in self.data(X).items():
            model[column].set_value(values.astype(model[column].dtype))
        return model

    def observed(self, X: pd.DataFrame, y: pd.Series) -> pm.Model:
        """Return the observed model of rows."""
        seen = {"y": y.to_numpy()}
        if self.name == "mediated":
            seen["visits"] = X["visits"].to_numpy()
        return pm.observe(self.with_rows(X), seen)

    def intervene(self, X: pd.DataFrame, trace: Any, seed: int) -> Any:
        """Return the expected outcome under do(spend = 40), drawn as in the notebook."""
        with pm.do(self.with_rows(X), {"spend": np.full(len(X), 40.0)}):
            return pm.sample_posterior_predictive(
                trace, var_names=["y_mu"], predictions=True, random_seed=seed, progressbar=False
            )


def warm(name: str) -> dict[str, float]:
    """Return medians of seconds at a known structure."""
    X, y = rows(name, 300, 0)
    own = BayesianInterventionRegressor(model=MODELS[name], random_state=0, n_jobs=1, **DRAWS)
    own.fit(X, y)
    hand = ByHand(name)
    asked = X.head(100)
    trace = own.idata_
    np.asarray(own.intervene(asked, do={"spend": 40.0}).draws)
    hand.intervene(asked, trace, 0)
    found: dict[str, list[float]] = {}

    inside, sampling = list[float](), nutpie.sample

    def note(what: str, seconds: float) -> None:
        found.setdefault(what, []).append(seconds)

    def spy(*of: Any, **options: Any) -> Any:
        seconds, trace = timed(lambda: sampling(*of, **options))
        inside.append(seconds)
        return trace

    for k in range(1, ROUNDS + 1):
        own.set_params(random_state=k)
        with mock.patch("nutpie.sample", spy):
            note("refit", timed(lambda: own.fit(X, y))[0])
        note(SAMPLING, inside.pop())
        note("intervene", timed(lambda: own.intervene(asked, do={"spend": 40.0}).draws)[0])
        note("by hand", timed(lambda k=k: hand.intervene(asked, trace, k))[0])
    return {what: statistics.median(seconds) for what, seconds in found.items()}


_FIRST = """
import time
import pymc as pm, nutpie, interventional
from benchmarks import own_models as o
X, y = o.rows({name!r}, 300, 0)
start = time.perf_counter()
if {ours}:
    from interventional import BayesianInterventionRegressor
    BayesianInterventionRegressor(
        model=o.MODELS[{name!r}], random_state=0, n_jobs=1, **o.DRAWS
    ).fit(X, y)
else:
    hand = o.ByHand({name!r})
    with hand.observed(X, y):
        pm.sample(nuts_sampler="nutpie", cores=1, progressbar=False, random_seed=0, **o.DRAWS)
print(time.perf_counter() - start)
"""


def first(name: str) -> dict[str, float]:
    """Return medians of seconds of the first fit of a process, imports done."""
    found: dict[str, list[float]] = {"interventional": [], "PyMC": []}
    for turn in range(1 + STARTS):
        for who, seconds in found.items():
            code = _FIRST.format(name=name, ours=who == "interventional")
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            if turn:  # before, nothing was on disk
                seconds.append(float(done.stdout.split()[-1]))
    return {who: statistics.median(seconds) for who, seconds in found.items()}


def main() -> None:
    """Print the table, and keep it."""
    record: dict[str, Any] = {"machine": machine(), "models": {}}
    for name in MODELS:
        seen, start = warm(name), first(name)
        record["models"][name] = {"warm": seen, "first": start}
        print(name, {key: round(value, 3) for key, value in (seen | start).items()})
        print(f"  refit / nutpie's sampling  {seen['refit'] / seen[SAMPLING]:.2f}")
        print(f"  by hand / intervene        {seen['by hand'] / seen['intervene']:.1f}")
        print(f"  first fit: ours / PyMC's   {start['interventional'] / start['PyMC']:.2f}")
    SAVED.parent.mkdir(exist_ok=True)
    SAVED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
