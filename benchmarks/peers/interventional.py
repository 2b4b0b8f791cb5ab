"""This package. Its answers are those that all others are held against."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import answers, waits
from benchmarks.data import CHAINS, DRAWS, TUNE, Data
from benchmarks.waits import coefficients

TITLE = "interventional"
REQUIREMENTS = None
PACKAGES = ("interventional", "numpy", "scipy", "scikit-learn", "pandas", "pymc", "nutpie")
LARGEST: dict[str, float] = {}
REMARKS = {"Laplace": "a Gaussian at the mode of the posterior"}
STREAM_BLOCK = 100_000


def new(data: Data, inference: str = "exact", **parameters: Any) -> Any:
    """Return the estimator; the gallery example has priors of its own, which hold at zero."""
    from interventional import BayesianInterventionRegressor

    if data.name == "gallery":
        from pymc_extras.prior import Prior

        parameters["center_predictors"] = False
        parameters["priors"] = {
            "beta": Prior("Normal", mu=0, sigma=1),
            "intercept": Prior("Normal", mu=0, sigma=1),
            "sigma": Prior("HalfNormal", sigma=1),
        }
    return BayesianInterventionRegressor(
        inference=inference, draws=DRAWS, tune=TUNE, chains=CHAINS, random_state=1, n_jobs=-1,
        **parameters,
    )  # fmt: skip


def fit(inference: str) -> Callable[[Data], Any]:
    return lambda data: (lambda: new(data, inference).fit(data.X, data.y), coefficients)


def ridge(data: Data) -> Any:
    return lambda: new(data, priors="ridge").fit(data.X, data.y), coefficients


def generalised(family: str, inference: str) -> Callable[[Data], Any]:
    """Fit with the priors that the contestant by hand has."""

    def task(data: Data) -> Any:
        from pymc_extras.prior import Prior

        unit = Prior("Normal", mu=0, sigma=1)
        model = new(data, inference, family=family, priors={"beta": unit, "intercept": unit})
        return lambda: model.fit(data.X, data.y), coefficients

    return task


def blockwise(data: Data) -> Any:
    """Fit rows that come in blocks."""
    _needs_partial_fit()

    def run() -> Any:
        model = new(data)
        for start in range(0, len(data.y), STREAM_BLOCK):
            rows = slice(start, start + STREAM_BLOCK)
            model.partial_fit(data.X[rows], data.y[rows])
        return model

    return run, coefficients


def cross_validation(inference: str) -> Callable[[Data], Any]:
    def task(data: Data) -> Any:
        from sklearn.model_selection import KFold, cross_val_score

        cv = KFold(data.options["folds"])
        return (
            lambda: cross_val_score(new(data, inference), data.X, data.y, cv=cv, scoring="r2"),
            answers.of_scores,
        )

    return task


def grid_search(data: Data) -> Any:
    from benchmarks.peers.floor import search

    return (lambda: search(new(data)).fit(data.X, data.y), lambda found: _best(found))


def _best(search: Any) -> answers.Answer:
    return answers.of_scores(search.cv_results_["mean_test_score"])


def nuts_part(data: Data) -> Any:
    """Of a fit under NUTS, time the call of nutpie alone."""
    import nutpie

    from benchmarks.worker import time

    original = nutpie.sample

    def run() -> Any:
        taken = []

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = original(*args, **kwargs)
            taken.append(time.perf_counter() - start)
            return result

        nutpie.sample = timed
        try:
            model = new(data, "nuts").fit(data.X, data.y)
        finally:
            nutpie.sample = original
        if not taken:
            raise answers.UnavailableError("nutpie is not called by nutpie.sample")
        return {"seconds": sum(taken), "model": model}

    return run, lambda result: coefficients(result["model"])


def _fitted(data: Data) -> Any:
    return new(data).fit(data.X, data.y)


def _do(data: Data, value: float) -> dict[Any, float]:
    return {f"x{data.forced}": value}


def intervene(data: Data) -> Any:
    model = _fitted(data)

    def run() -> Any:
        return model.intervene(data.asked, do=_do(data, 0.0)).draws.values

    return run, lambda draws: answers.from_draws(draws.mean(axis=-1))


def average(data: Data) -> Any:
    """The population's outcome, and its interval from the same draws."""
    model = _fitted(data)

    def run() -> Any:
        outcome = model.intervene(data.asked, do=_do(data, 0.0)).average()
        return outcome, outcome.mean(), outcome.interval(0.9, "eti")

    return run, lambda result: answers.from_draws(result[0].draws.values)


def rows(data: Data) -> Any:
    model = _fitted(data)

    def run() -> Any:
        outcomes = model.intervene(data.asked, do=_do(data, 0.0))
        return outcomes.mean(), outcomes.interval(0.9, "eti")

    return run, rows_answer


def rows_answer(result: Any) -> answers.Answer:
    """Compare a hundred rows: means, to the Monte Carlo error that the intervals tell."""
    mean, interval = (np.asarray(part)[:100] for part in result)
    spread = (interval[:, 1] - interval[:, 0]) / (2 * 1.645)
    effective = CHAINS * DRAWS / 4  # of correlated draws
    return {
        "mean": mean.tolist(),
        "error": (spread / np.sqrt(effective)).tolist(),
        "spread": spread.tolist(),
    }


def _ask_effect(model: Any, data: Data) -> Any:
    effect = model.effect(data.asked, do=_do(data, 1.0), baseline=_do(data, 0.0)).average()
    return effect, effect.mean(), effect.interval(0.9, "eti")


def effect(data: Data) -> Any:
    model = _fitted(data)
    return (
        lambda: _ask_effect(model, data),
        lambda result: answers.from_draws(result[0].draws.values),
    )


def answer(data: Data) -> Any:
    return (
        lambda: _ask_effect(_fitted(data), data),
        lambda result: answers.from_draws(result[0].draws.values),
    )


def stream(data: Data) -> Any:
    """Fit more rows than are ever in memory, made block by block."""
    _needs_partial_fit()
    n, p = data.options["rows"], data.options["columns"]
    made = Data("linear", data.X, data.y, data.asked)

    def run() -> Any:
        model = new(made)
        for X, y in blocks(n, p):
            model.partial_fit(X, y)
        return model

    return run, coefficients


def blocks(n: int, p: int) -> Any:
    """Yield blocks of rows whose coefficients are 1 to p."""
    rng = np.random.default_rng(0)
    beta = np.arange(1.0, p + 1)
    for start in range(0, n, STREAM_BLOCK):
        X = rng.standard_normal((min(STREAM_BLOCK, n - start), p))
        yield X, X @ beta + rng.standard_normal(len(X))


def _needs_partial_fit() -> None:
    from interventional import BayesianInterventionRegressor

    if not hasattr(BayesianInterventionRegressor, "partial_fit"):
        raise answers.UnavailableError("this version has no partial_fit")


TASKS = {
    ("fit", "exact"): fit("exact"),
    ("fit", "NUTS"): fit("nuts"),
    ("fit", "partial_fit in blocks"): blockwise,
    ("ridge", "exact"): ridge,
    **{
        (f"fit_{family}", words): generalised(family, engine)
        for family in ("bernoulli", "poisson")
        for words, engine in (("auto", "auto"), ("Laplace", "laplace"), ("NUTS", "nuts"))
    },
    **{
        (f"first_{family}", "auto"): waits.first(generalised(family, "auto"))
        for family in ("bernoulli", "poisson")
    },
    **waits.TASKS,
    ("cross_validation", "exact"): cross_validation("exact"),
    ("cross_validation", "NUTS"): cross_validation("nuts"),
    ("grid_search", "exact"): grid_search,
    ("nuts_refit", "NUTS"): fit("nuts"),
    ("nuts_refit", "of which nutpie.sample"): nuts_part,
    ("nuts_cross_validation", "NUTS"): cross_validation("nuts"),
    ("intervene", "exact"): intervene,
    ("average", "exact"): average,
    ("rows", "exact"): rows,
    ("effect", "exact"): effect,
    ("answer", "exact"): answer,
    ("stream", "partial_fit in blocks"): stream,
}
