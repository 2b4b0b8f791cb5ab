"""pathmc, with the priors of all others, sampled by nutpie.

It asks about the rows that it was fitted to.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import CHAINS, DRAWS, TUNE, Data, kept
from benchmarks.peers.pymc_by_hand import quiet

TITLE = "pathmc"
REQUIREMENTS = ["pathmc==0.4.0", "nutpie==0.16.11"]
PACKAGES = ("pathmc", "pymc", "pytensor", "nutpie", "numpy")
LARGEST = {"fit": 2e5, "answer": 1e5, "average": 1e3, "effect": 1e3}
REMARKS: dict[str, str] = {}


def fit_model(data: Data) -> Any:
    import pandas as pd
    import pathmc
    from pymc_extras.prior import Prior

    quiet()
    p = data.priors
    # Its intercept is a coefficient, and holds at zero: columns come about their means.
    location = np.array([p["center"], *np.zeros(len(data.names))])
    scale = np.array([p["center_sd"], *p["beta"]])
    sigma = (
        Prior("HalfNormal", sigma=1)
        if data.name == "gallery"
        else Prior("HalfStudentT", nu=4, sigma=p["sigma"])
    )
    model = pathmc.model(
        "y ~ " + " + ".join(data.names),
        data=pd.DataFrame(data.design, columns=data.names).assign(y=data.y),
        priors={"beta_y": Prior("Normal", mu=location, sigma=scale), "sigma_y": sigma},
    )
    model.trace = model.fit(
        draws=DRAWS, tune=TUNE, chains=CHAINS, cores=min(CHAINS, os.cpu_count() or 1),
        random_seed=1, progressbar=False, compute_convergence_checks=False,
        compute_log_likelihood=False, var_names=["beta_y", "sigma_y"],
    )  # fmt: skip
    return model


def coefficients(model: Any) -> answers.Answer:
    beta = model.trace["posterior"]["beta_y"]
    names = [str(name) for name in beta["y_predictors"].values]
    return answers.from_draws(beta.values[..., [n != "Intercept" for n in names]])


def fit(data: Data) -> Any:
    return lambda: fit_model(data), coefficients


def _by_chain(draws: Any) -> answers.Answer:
    return answers.from_draws(np.asarray(draws).reshape(CHAINS, DRAWS, -1).mean(axis=-1))


def ask(data: Data, model: Any) -> Any:
    """Its own call for an average effect; `hdi` is its interval."""
    effect = model.ate("y", data.names[data.forced], values=(0.0, 1.0))
    return effect, effect.mean(), effect.hdi()


def effect(data: Data) -> Any:
    model = kept(data, fit_model)
    return lambda: ask(data, model), lambda result: _by_chain(result[0].draws("y"))


def average(data: Data) -> Any:
    model = kept(data, fit_model)

    def run() -> Any:
        outcome = model.do({data.names[data.forced]: 0.0})
        return outcome, outcome.mean("y"), outcome.hdi("y")

    return run, lambda result: _by_chain(result[0].draws("y"))


def answer(data: Data) -> Any:
    return lambda: ask(data, fit_model(data)), lambda result: _by_chain(result[0].draws("y"))


TASKS: dict[tuple[str, str], Callable[[Data], Any]] = {
    ("fit", "nutpie"): fit,
    ("average", "do"): average,
    ("effect", "ate"): effect,
    ("answer", "fit, ate"): answer,
}
