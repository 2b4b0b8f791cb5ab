"""Bambi, with the priors of all others, sampled by nutpie."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import CHAINS, DRAWS, TUNE, Data, kept
from benchmarks.peers.interventional import rows_answer
from benchmarks.peers.pymc_by_hand import averaged, by_row, quiet, read_averaged

TITLE = "Bambi"
REQUIREMENTS = ["bambi==0.21.0", "nutpie==0.16.11"]
PACKAGES = ("bambi", "pymc", "pytensor", "nutpie", "numpy")
LARGEST = {"fit": 2e5, "answer": 2e5, "intervene": 1e5, "average": 1e5, "rows": 1e5, "effect": 1e5}
REMARKS: dict[str, str] = {}


def fit_model(data: Data) -> tuple[Any, Any]:
    import bambi

    quiet()
    gallery, priors = data.name == "gallery", data.priors
    chosen = {
        name: bambi.Prior("Normal", mu=0, sigma=float(scale))
        for name, scale in zip(data.names, priors["beta"], strict=True)
    }
    chosen["Intercept"] = bambi.Prior("Normal", mu=priors["center"], sigma=priors["center_sd"])
    chosen["sigma"] = (
        bambi.Prior("HalfNormal", sigma=1)
        if gallery
        else bambi.Prior("HalfStudentT", nu=4, sigma=priors["sigma"])
    )
    formula = "y ~ " + " + ".join(data.names)
    model = bambi.Model(
        formula, frame(data, data.X).assign(y=data.y), priors=chosen, center_predictors=not gallery
    )
    return model, sample(model)


def sample(model: Any) -> Any:
    return model.fit(
        draws=DRAWS, tune=TUNE, chains=CHAINS, cores=min(CHAINS, os.cpu_count() or 1),
        random_seed=1, inference_method="nutpie", progressbar=False,
    )  # fmt: skip


def generalised(family: str) -> Callable[[Data], Any]:
    """Fit with Normal(0, 1) priors at the means of the columns."""

    def task(data: Data) -> Any:
        import bambi

        quiet()

        def run() -> tuple[Any, Any]:
            unit = bambi.Prior("Normal", mu=0, sigma=1)
            priors = dict.fromkeys([*data.names, "Intercept"], unit)
            rows = frame(data, data.X).assign(y=data.y)
            formula = "y ~ " + " + ".join(data.names)
            model = bambi.Model(formula, rows, family=family, priors=priors)
            return model, sample(model)

        return run, coefficients(data)

    return task


def coefficients(data: Data) -> Callable[[Any], answers.Answer]:
    def read(result: Any) -> answers.Answer:
        posterior = result[1]["posterior"]
        return answers.from_draws(np.stack([posterior[n].values for n in data.names], axis=-1))

    return read


def frame(data: Data, X: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(X, columns=data.names)


def fit(data: Data) -> Any:
    return lambda: fit_model(data), coefficients(data)


def do(data: Data, model: Any, trace: Any, value: float) -> Any:
    """Predict the rows with the column set: without a graph that is what forcing it means."""
    rows = frame(data, data.asked)
    rows[data.names[data.forced]] = value
    answer = model.predict(trace, data=rows, inplace=False, kind="response_params")
    return answer["posterior" if "mu" in answer["posterior"] else "predictions"]["mu"].values


def intervene(data: Data) -> Any:
    model, trace = kept(data, fit_model)
    return (
        lambda: do(data, model, trace, 0.0),
        lambda draws: answers.from_draws(draws.mean(axis=-1)),
    )


def average(data: Data) -> Any:
    model, trace = kept(data, fit_model)
    return lambda: averaged(do(data, model, trace, 0.0)), read_averaged


def rows(data: Data) -> Any:
    model, trace = kept(data, fit_model)
    return lambda: by_row(do(data, model, trace, 0.0)), rows_answer


def contrast(data: Data, model: Any, trace: Any) -> Any:
    return averaged(do(data, model, trace, 1.0) - do(data, model, trace, 0.0))


def effect(data: Data) -> Any:
    model, trace = kept(data, fit_model)
    return lambda: contrast(data, model, trace), read_averaged


def answer(data: Data) -> Any:
    return lambda: contrast(data, *fit_model(data)), read_averaged


TASKS: dict[tuple[str, str], Callable[[Data], Any]] = {
    ("fit", "nutpie"): fit,
    **{(f"fit_{family}", "nutpie"): generalised(family) for family in ("bernoulli", "poisson")},
    ("intervene", "predict"): intervene,
    ("average", "predict"): average,
    ("rows", "predict"): rows,
    ("effect", "predict"): effect,
    ("answer", "fit, predict"): answer,
}
