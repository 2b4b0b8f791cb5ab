"""PyMC as a careful notebook has it: the reference workflow, one matrix product for the mean."""

import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import CHAINS, DRAWS, TUNE, Data, folds, kept, r2
from benchmarks.peers.interventional import rows_answer

TITLE = "PyMC by hand"
REQUIREMENTS = None
PACKAGES = ("pymc", "pytensor", "nutpie", "numba", "numpy")
LARGEST = {"fit": 2e5, "answer": 2e5, "intervene": 1e5, "average": 1e5, "rows": 1e5, "effect": 1e5}
REMARKS: dict[str, str] = {}


def build(X: Any, y: Any, priors: dict[str, Any], gallery: bool) -> Any:
    import pymc as pm

    with pm.Model() as model:
        beta = pm.Normal("beta", 0, priors["beta"], shape=X.shape[1])
        center = pm.Normal("center", priors["center"], priors["center_sd"])
        if gallery:
            sigma = pm.HalfNormal("sigma", priors["sigma"])
        else:
            sigma = pm.HalfStudentT("sigma", nu=4, sigma=priors["sigma"])
        pm.Normal("y", center + pm.Data("X", X) @ beta, sigma, observed=y)
    return model


def build_for(data: Data) -> Any:
    return build(data.design, data.y, data.priors, data.name == "gallery")


def sample(model: Any) -> Any:
    """`pm.sample`, which picks nutpie where it is installed."""
    import pymc as pm

    quiet()
    with model:
        return pm.sample(
            draws=DRAWS, tune=TUNE, chains=CHAINS, cores=min(CHAINS, os.cpu_count() or 1),
            random_seed=1, progressbar=False, compute_convergence_checks=False,
        )  # fmt: skip


def quiet() -> None:
    import logging

    logging.getLogger("pymc").setLevel(logging.ERROR)


def coefficients(trace: Any) -> answers.Answer:
    return answers.from_draws(trace["posterior"]["beta"].values)


def fit(data: Data) -> Any:
    return lambda: sample(build_for(data)), coefficients


def generalised(family: str, *, before: bool = False) -> Callable[[Data], Any]:
    """Fit zeros and ones, or counts, with Normal(0, 1) priors at the means of the columns."""

    def build_it(data: Data) -> Any:
        import pymc as pm

        with pm.Model() as model:
            beta = pm.Normal("beta", 0, 1, shape=data.X.shape[1])
            eta = pm.Normal("center", 0, 1) + pm.Data("X", data.X - data.X.mean(axis=0)) @ beta
            if family == "bernoulli":
                pm.Bernoulli("y", logit_p=eta, observed=data.y)
            else:
                pm.Poisson("y", pm.math.exp(eta), observed=data.y)
        return model

    if before:
        return lambda data: compiled_before(data, build_it)
    return lambda data: (lambda: sample(build_it(data)), coefficients)


def compiled_before(data: Data, build_it: Callable[[Data], Any] = build_for) -> Any:
    """Sample a model that nutpie has compiled beforehand: its sampling time alone."""
    import nutpie

    compiled = nutpie.compile_pymc_model(build_it(data))
    return (
        lambda: nutpie.sample(
            compiled, draws=DRAWS, tune=TUNE, chains=CHAINS, seed=1, progress_bar=False,
            cores=min(CHAINS, os.cpu_count() or 1),
        ),
        coefficients,
    )  # fmt: skip


def cross_validation(data: Data) -> Any:
    parts = folds(len(data.y), data.options["folds"])
    return lambda: scores(data, parts), answers.of_scores


def long_cross_validation(data: Data) -> Any:
    """All folds at first, for their scores; then four in a round, whose time is multiplied."""
    parts = folds(len(data.y), data.options["folds"])
    rounds = itertools.chain([parts], itertools.cycle(itertools.batched(parts, 4)))

    def run() -> dict[str, Any]:
        part = next(rounds)
        start = time.perf_counter()
        found = scores(data, part)
        passed = time.perf_counter() - start
        return {"seconds": passed * len(parts) / len(part), "scores": found}

    return run, lambda result: answers.of_scores(result["scores"])


def scores(data: Data, parts: Any) -> list[float]:
    found = []
    for train, test in parts:
        inner = Data(data.name, data.X[train], data.y[train], data.X[train])
        posterior = sample(build_for(inner))["posterior"]
        centred = data.X[test] - inner.X.mean(axis=0)
        beta = posterior["beta"].values.mean(axis=(0, 1))
        predicted = centred @ beta + float(posterior["center"].mean())
        found.append(r2(data.y[test], predicted))
    return found


class Reference:
    """The generative model of the reference workflow: every column a variable of its own."""

    def __init__(self, data: Data, rows: Any):
        import pymc as pm

        self.data, self.rows = data, rows
        with pm.Model(coords={"obs": np.arange(len(rows))}) as self.model:
            columns = [pm.Normal(name, 0, 1, dims="obs") for name in data.names]
            betas = [pm.Normal(f"beta_{name}", 0, 1) for name in data.names]
            center = pm.Normal("center", 0, 1)
            sigma = pm.HalfNormal("sigma", 1)
            mu = center
            for beta, column in zip(betas, columns, strict=True):
                mu = mu + beta * column
            mu = pm.Deterministic("y_mu", mu, dims="obs")
            pm.Normal("y", mu, sigma, dims="obs")

    def posterior(self) -> Any:
        """Observe and sample."""
        import pymc as pm

        observed = {name: self.data.X[:, j] for j, name in enumerate(self.data.names)}
        model = pm.observe(self.model, {**observed, "y": self.data.y})
        quiet()
        with model:
            return pm.sample(
                draws=DRAWS, tune=TUNE, chains=CHAINS, cores=min(CHAINS, os.cpu_count() or 1),
                var_names=[*(f"beta_{name}" for name in self.data.names), "center", "sigma"],
                random_seed=1, progressbar=False, compute_convergence_checks=False,
            )  # fmt: skip

    def do(self, trace: Any, value: float) -> Any:
        """Return y_mu of all draws and rows if the forced column is set to a value."""
        import pymc as pm

        forced = {name: self.rows[:, j] for j, name in enumerate(self.data.names)}
        forced[self.data.names[self.data.forced]] = np.full(len(self.rows), value)
        with pm.do(self.model, forced):
            answer = pm.sample_posterior_predictive(
                trace, var_names=["y_mu"], predictions=True, progressbar=False, random_seed=1
            )
        return answer["predictions"]["y_mu"].values


def _fitted(data: Data) -> tuple[Reference, Any]:
    return Reference(data, data.asked), kept(data, reference_posterior)


def reference_posterior(data: Data) -> Any:
    return Reference(data, data.X).posterior()


def intervene(data: Data) -> Any:
    reference, trace = _fitted(data)
    return (
        lambda: reference.do(trace, 0.0),
        lambda draws: answers.from_draws(draws.mean(axis=-1)),
    )


def average(data: Data) -> Any:
    reference, trace = _fitted(data)
    return lambda: averaged(reference.do(trace, 0.0)), read_averaged


def averaged(draws: Any) -> Any:
    """Average over rows inside each draw; return draws, mean and interval."""
    over_rows = draws.mean(axis=-1)
    return over_rows, over_rows.mean(), np.quantile(over_rows, [0.05, 0.95])


def read_averaged(result: Any) -> answers.Answer:
    return answers.from_draws(result[0])


def rows(data: Data) -> Any:
    reference, trace = _fitted(data)
    return lambda: by_row(reference.do(trace, 0.0)), rows_answer


def by_row(draws: Any) -> Any:
    flat = draws.reshape(-1, draws.shape[-1])
    return flat.mean(axis=0), np.quantile(flat, [0.05, 0.95], axis=0).T


def effect(data: Data) -> Any:
    reference, trace = _fitted(data)
    return (
        lambda: averaged(reference.do(trace, 1.0) - reference.do(trace, 0.0)),
        read_averaged,
    )


def answer(data: Data) -> Any:
    """The reference workflow from its first line to the answer."""

    def run() -> Any:
        reference = Reference(data, data.X)
        trace = reference.posterior()
        return averaged(reference.do(trace, 1.0) - reference.do(trace, 0.0))

    return run, read_averaged


TASKS: dict[tuple[str, str], Callable[[Data], Any]] = {
    ("fit", "pm.sample"): fit,
    ("fit", "nutpie, compiled before"): compiled_before,
    **{
        (f"fit_{family}", words): generalised(family, before=before)
        for family in ("bernoulli", "poisson")
        for words, before in (("pm.sample", False), ("nutpie, compiled before", True))
    },
    ("cross_validation", "pm.sample"): cross_validation,
    ("nuts_refit", "nutpie, compiled before"): compiled_before,
    ("nuts_cross_validation", "pm.sample"): long_cross_validation,
    ("intervene", "pm.do"): intervene,
    ("average", "pm.do"): average,
    ("rows", "pm.do"): rows,
    ("effect", "pm.do"): effect,
    ("answer", "reference workflow"): answer,
}
