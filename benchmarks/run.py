"""Time the package beside its peers, in one run, and print ratios.

Every competitor answers first, and the answers are compared; then all of them are timed in turns,
so that a busy moment of the machine hits all alike, and the median of the rounds counts.
"""

import json
import logging
import os
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
from sklearn.datasets import load_diabetes
from sklearn.linear_model import BayesianRidge, LinearRegression

from interventional import BayesianInterventionRegressor

ROUNDS = 5  # of slow competitors; fast ones are called several times a round
CHAINS, DRAWS = 4, 1000
RESULTS = Path(__file__).parent / "results" / "latest.json"
PACKAGES = ["interventional", "pymc", "nutpie", "numpy", "scipy", "scikit-learn", "pandas"]


def main() -> None:
    logging.getLogger("pymc").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of third parties
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

    check_fits(X, y)
    fit = interleaved(
        {
            "interventional, exact": lambda: new().fit(X, y),
            "interventional, NUTS (warm)": lambda: new(inference="nuts").fit(X, y),
            "LinearRegression": lambda: LinearRegression().fit(X, y),
            "BayesianRidge": lambda: BayesianRidge().fit(X, y),
            "PyMC by hand, nutpie, with compilation": lambda: sample(by_hand(X, y)),
            "PyMC by hand, nutpie, sampling alone": Sampler(by_hand(X, y)),
        }
    )
    few, scenario = X.head(100), 0.0
    model = new().fit(X, y)
    hand = HandMadeDo(few, model, scenario)
    check_answers(model, hand, few, scenario)
    intervene = interleaved(
        {
            "interventional, intervene": lambda: model.intervene(few, do={"bmi": scenario}),
            "PyMC by hand: pm.do, sample_posterior_predictive": hand,
        }
    )
    tasks = {
        f"fit, {X.shape[0]} rows, {X.shape[1]} columns, {CHAINS * DRAWS} draws": fit,
        f"intervene, {len(few)} rows, {CHAINS * DRAWS} draws": intervene,
    }
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }
    print_tables(tasks, machine)
    RESULTS.parent.mkdir(exist_ok=True)
    record = {"machine": machine, "seconds": tasks}
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\nTimes of every round: {RESULTS}")


def new(**parameters: Any) -> BayesianInterventionRegressor:
    return BayesianInterventionRegressor(
        draws=DRAWS, chains=CHAINS, random_state=0, n_jobs=-1, **parameters
    )


def by_hand(X: pd.DataFrame, y: pd.Series) -> pm.Model:
    """Return the model that a careful notebook would have: centred, one matrix product."""
    scale = 2.5 * y.std(ddof=0)
    with pm.Model(coords={"term": list(X), "obs": X.index}) as model:
        centred = pm.Data("X", (X - X.mean()).to_numpy(), dims=("obs", "term"))
        beta = pm.Normal("beta", 0, (scale / X.std(ddof=0)).to_numpy(), dims="term")
        center = pm.Normal("center", y.mean(), scale)
        sigma = pm.HalfStudentT("sigma", nu=4, sigma=y.std(ddof=0))
        mu = center + centred @ beta
        pm.Normal("y", mu, sigma, observed=y.to_numpy(), dims="obs")
    return model


def sample(model: pm.Model) -> Any:
    with model:
        return pm.sample(
            draws=DRAWS,
            chains=CHAINS,
            nuts_sampler="nutpie",
            var_names=["beta", "center", "sigma"],
            random_seed=0,
            progressbar=False,
            compute_convergence_checks=False,
        )


class Sampler:
    """NUTS of a model that nutpie has compiled beforehand."""

    def __init__(self, model: pm.Model):
        import nutpie

        self.compiled = nutpie.compile_pymc_model(model)

    def __call__(self) -> Any:
        import nutpie

        return nutpie.sample(self.compiled, draws=DRAWS, chains=CHAINS, seed=0, progress_bar=False)


class HandMadeDo:
    """`pm.do` and posterior prediction, as one would write them, from the same posterior."""

    def __init__(self, rows: pd.DataFrame, model: BayesianInterventionRegressor, value: float):
        self.rows, self.value = rows, value
        self.model, self.posterior = model.build_model(rows), model.idata_

    def __call__(self) -> Any:
        forced = pm.do(self.model, {"bmi": np.full(len(self.rows), self.value)})
        with forced:
            return pm.sample_posterior_predictive(
                self.posterior, var_names=["y_mu"], predictions=True, progressbar=False
            )


def check_fits(X: pd.DataFrame, y: pd.Series) -> None:
    """Refuse to time what does not agree: posterior means within five standard errors."""
    trace = sample(by_hand(X, y))["posterior"]
    theirs = trace["beta"].values.reshape(-1, X.shape[1])
    error = theirs.std(axis=0) / np.sqrt(CHAINS * DRAWS / 10)  # draws of a chain are correlated
    for inference in ("exact", "nuts"):
        gap = np.abs(new(inference=inference).fit(X, y).coef_ - theirs.mean(axis=0))
        assert (gap < 5 * error).all(), (inference, gap / error)
    least_squares = LinearRegression().fit(X, y).coef_
    assert (np.abs(new().fit(X, y).coef_ - least_squares) < theirs.std(axis=0)).all()


def check_answers(
    model: BayesianInterventionRegressor, hand: HandMadeDo, rows: pd.DataFrame, value: float
) -> None:
    """The same posterior draws must give the same answer to rounding."""
    ours = model.intervene(rows, do={"bmi": value}).draws.values
    np.testing.assert_allclose(hand()["predictions"]["y_mu"].values, ours, rtol=1e-8)


def interleaved(competitors: Mapping[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Return seconds of each competitor's rounds, taken in turns after one call to warm up."""
    repeats = {}
    for name, call in competitors.items():
        call()
        repeats[name] = max(1, min(100, int(0.2 / seconds(call))))
    times: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(ROUNDS):
        for name, call in competitors.items():
            several = [seconds(call) for _ in range(repeats[name])]
            times[name].append(median(several))
    return times


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def print_tables(tasks: Mapping[str, Mapping[str, list[float]]], machine: dict[str, Any]) -> None:
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}")
    print(", ".join(f"{package} {number}" for package, number in machine["versions"].items()))
    for task, times in tasks.items():
        ours = median(next(iter(times.values())))
        print(f"\n{task}\n{'':50}{'median':>12}{'range':>20}{'times ours':>12}")
        for name, rounds in times.items():
            spread = f"{1e3 * min(rounds):.1f} to {1e3 * max(rounds):.1f}"
            milliseconds = f"{1e3 * median(rounds):.1f} ms"
            print(f"{name:50}{milliseconds:>12}{spread:>20}{median(rounds) / ours:>12.2f}")


if __name__ == "__main__":
    main()
