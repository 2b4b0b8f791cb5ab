"""Who estimates effects: each from a data set to an average, rows, and their 95% intervals.

The contestants of an environment are asked in a process of their own, which draws the data set
itself and sends back how far off it was: `python -m benchmarks.accuracy_contestants`.
"""

import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.accuracy_worlds import BY_NAME, FIRST, TREATMENT, Drawn, World

LEVEL = 0.95
ENVIRONMENTS = {"econml": ["econml==0.17.0"], "stochtree": ["stochtree==0.4.5"]}
MCMC = {"num_gfr": 10, "num_burnin": 0, "num_mcmc": 1_000}
TREES = 1_000
Array = np.ndarray


@dataclass(frozen=True)
class Answer:
    """Effects as a contestant sees them.

    Attributes
    ----------
    average : float
        Of these rows.
    rows : ndarray of shape (n,)
    average_interval : sequence of 2 floats, or None
    rows_interval : ndarray of shape (n, 2), or None
    """

    average: float
    rows: Array
    average_interval: Any = None
    rows_interval: Array | None = None


def of_draws(draws: Array) -> Answer:
    """Return means and equal-tailed intervals of draws, (draws, n); averaged inside each draw."""
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    averages = draws.mean(axis=1)
    return Answer(
        float(averages.mean()),
        draws.mean(axis=0),
        np.quantile(averages, ends),
        np.quantile(draws, ends, axis=0).T,
    )


def split(drawn: Drawn) -> tuple[Array, Array]:
    """Return copies of the covariates, levels one-hot, and of the treatment."""
    X = pd.get_dummies(drawn.X.drop(columns=TREATMENT), dtype=float)
    return np.array(X), np.array(drawn.X[TREATMENT], dtype=float)


# --- This package --------------------------------------------------------------------------------


def ours(seed: int, drawn: Drawn, **settings: Any) -> Answer:
    from interventional import BayesianInterventionRegressor

    model = BayesianInterventionRegressor(random_state=seed, **settings).fit(drawn.X, drawn.y)
    found = model.effect(drawn.X, do={TREATMENT: drawn.high}, baseline={TREATMENT: drawn.low})
    average = found.average()
    return Answer(
        float(average.mean()[0]), found.mean(), average.interval(LEVEL)[0], found.interval(LEVEL)
    )


def line(drawn: Drawn, seed: int) -> Answer:
    return ours(seed, drawn)


def smooth(drawn: Drawn, seed: int) -> Answer:
    return ours(seed, drawn, design="smooth", treatments=[TREATMENT])


# --- Peers ---------------------------------------------------------------------------------------


def bart(drawn: Drawn, seed: int) -> Answer:
    """Return what BART of y on covariates and treatment says (Hill 2011)."""
    from stochtree import BARTModel

    X, t = split(drawn)
    model = BARTModel()
    model.sample(
        X_train=np.column_stack([X, t]), y_train=drawn.y, general_params=general(seed), **MCMC
    )
    high, low = (np.column_stack([X, np.full(len(X), at)]) for at in (drawn.high, drawn.low))
    return of_draws(model.compute_contrast(low, high).T)


def bcf(drawn: Drawn, seed: int) -> Answer:
    """Return what Bayesian causal forests say (Hahn, Murray and Carvalho 2020)."""
    from stochtree import BCFModel

    X, t = split(drawn)
    model = BCFModel()
    model.sample(X_train=X, Z_train=t, y_train=drawn.y, general_params=general(seed), **MCMC)
    # linear in the treatment
    return of_draws((drawn.high - drawn.low) * np.asarray(model.tau_hat_train).T)


def general(seed: int) -> dict[str, Any]:
    return {"random_seed": seed, "num_threads": 1}


def forest(drawn: Drawn, seed: int) -> Answer:
    """Return what a causal forest on residuals says; its average is doubly robust."""
    from econml.dml import CausalForestDML

    X, t = split(drawn)
    model = CausalForestDML(
        discrete_treatment=drawn.binary, n_estimators=TREES, n_jobs=1, random_state=seed
    )
    model.fit(drawn.y, t, X=X)
    rows, average, interval = econml_effects(model, X, drawn)
    if drawn.binary:
        found = model.ate__inference()
        average = float(np.ravel(found.point_estimate)[0])
        interval = np.ravel(found.conf_int(alpha=1 - LEVEL))
    return Answer(average, rows[0], interval, rows[1])


def dml(drawn: Drawn, seed: int) -> Answer:
    """Return what double machine learning of an effect linear in the covariates says."""
    from econml.dml import LinearDML

    X, t = split(drawn)
    model = LinearDML(discrete_treatment=drawn.binary, random_state=seed)
    model.fit(drawn.y, t, X=X)
    rows, average, interval = econml_effects(model, X, drawn)
    return Answer(average, rows[0], interval, rows[1])


def econml_effects(model: Any, X: Array, drawn: Drawn) -> tuple[tuple[Array, Array], float, Array]:
    asked = {"T0": drawn.low, "T1": drawn.high}
    found = model.effect_inference(X, **asked)
    rows = np.column_stack([np.ravel(end) for end in found.conf_int(alpha=1 - LEVEL)])
    summary = found.population_summary(alpha=1 - LEVEL)
    interval = np.ravel(summary.conf_int_mean())
    return (np.ravel(found.point_estimate), rows), float(np.ravel(summary.mean_point)[0]), interval


def boosting(drawn: Drawn, seed: int) -> Answer:
    """Return the difference of two boosted forests, one for each treatment."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    X, t = split(drawn)
    high, low = (
        HistGradientBoostingRegressor(random_state=seed)
        .fit(X[t == at], drawn.y[t == at])
        .predict(X)
        for at in (drawn.high, drawn.low)
    )
    return Answer(float(np.mean(high - low)), high - low)


def process(drawn: Drawn, seed: int) -> Answer:
    """Return a Gaussian process's posterior of contrasts, hyperparameters at their best."""
    from scipy import stats

    X, t = split(drawn)
    scale = np.column_stack([X, t])
    centre, spread = scale.mean(axis=0), scale.std(axis=0)
    spread[spread == 0] = 1.0

    def standard(amounts: Array) -> Array:
        return (np.column_stack([X, amounts]) - centre) / spread

    model = gaussian_process(scale.shape[1], seed).fit(standard(t), drawn.y)
    kernel = model.kernel_.k1  # without the noise
    high, low = (standard(np.full(len(X), at)) for at in (drawn.high, drawn.low))
    across = kernel(high, model.X_train_) - kernel(low, model.X_train_)
    unit = float(model._y_train_std)
    rows = unit * (across @ model.alpha_)
    half = np.linalg.solve(model.L_, across.T)
    covariance = kernel(high) + kernel(low) - kernel(high, low) - kernel(low, high)
    covariance = unit**2 * (covariance - half.T @ half)
    wide = stats.norm.ppf((1 + LEVEL) / 2)
    sd = np.sqrt(np.maximum(np.diag(covariance), 0))
    error = np.sqrt(max(covariance.mean(), 0))
    average = float(rows.mean())
    return Answer(
        average,
        rows,
        average + wide * np.array([-error, error]),
        np.column_stack([rows - wide * sd, rows + wide * sd]),
    )


def gaussian_process(columns: int, seed: int) -> Any:
    """Return a Gaussian process with a length scale for each column, and noise."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel() * RBF(np.ones(columns), (1e-2, 1e3)) + WhiteKernel()
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)


# --- All of them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contestant:
    """A way to estimate effects.

    Attributes
    ----------
    title, about : str
    environment : str or None
        Whose packages it needs; None is this package's.
    packages : tuple of str
        Whose versions count.
    answer : callable
        Of a data set and a seed.
    most_rows : int
    few_rows : int
        More rows take so long that it sees one data set in five.
    doses : bool
        Whether it can answer for a treatment that is no 0 or 1.
    """

    title: str
    about: str
    environment: str | None
    packages: tuple[str, ...]
    answer: Callable[[Drawn, int], Answer]
    most_rows: int = 10_000
    few_rows: int = 10_000
    doses: bool = True

    def sees(self, world: World, number: int) -> bool:
        """Return whether it is asked about a data set of a world."""
        if world.rows > self.most_rows or (world.name == "dose" and not self.doses):
            return False
        return world.rows <= self.few_rows or number % 5 == 0


CONTESTANTS = {
    "line": Contestant(
        "line", "`BayesianInterventionRegressor()`", None, ("interventional", "numpy"), line
    ),
    "smooth": Contestant(
        "smooth",
        '`BayesianInterventionRegressor(design="smooth", treatments=["t"])`',
        None,
        ("interventional", "numpy"),
        smooth,
    ),
    "bart": Contestant(
        "BART",
        "stochtree's `BARTModel` of y on covariates and treatment: 10 warm starts by "
        "grow-from-root, then 1,000 draws; all else default (200 trees)",
        "stochtree",
        ("stochtree", "numpy"),
        bart,
    ),
    "bcf": Contestant(
        "BCF",
        "stochtree's `BCFModel`: the same draws, the propensity estimated by its own BART and "
        "a column of the prognostic forest; all else default; a dose enters linearly",
        "stochtree",
        ("stochtree", "numpy"),
        bcf,
    ),
    "forest": Contestant(
        "causal forest",
        "EconML's `CausalForestDML` of 1,000 trees, first stages chosen by it among linear models "
        "and forests; its average is doubly robust (for a dose: the mean of rows); a dose enters "
        "linearly",
        "econml",
        ("econml", "scikit-learn", "numpy"),
        forest,
    ),
    "dml": Contestant(
        "linear DML",
        "EconML's `LinearDML`, effects linear in all covariates, first stages chosen by it among "
        "linear models and forests; a dose enters linearly",
        "econml",
        ("econml", "scikit-learn", "numpy"),
        dml,
    ),
    "boosting": Contestant(
        "boosting",
        "two of scikit-learn's `HistGradientBoostingRegressor()`, one for each treatment (a "
        "T-learner): no intervals, and no answer for a dose",
        None,
        ("scikit-learn", "numpy"),
        boosting,
        doses=False,
    ),
    "process": Contestant(
        "Gaussian process",
        "scikit-learn's `GaussianProcessRegressor` of y on covariates and treatment, all "
        "standardised: RBF with a length scale a column, and white noise, at their best; up to "
        "1,000 rows, and above 600 one data set in five",
        None,
        ("scikit-learn", "numpy"),
        process,
        most_rows=1_000,
        few_rows=600,
    ),
}


def judged(answer: Answer, drawn: Drawn) -> dict[str, float]:
    """Return how far off an answer is, whether its intervals hold the truth, how wide they are."""
    found = {
        "error": answer.average - float(drawn.effect.mean()),
        "pehe": float(np.sqrt(np.mean((answer.rows - drawn.effect) ** 2))),
    }
    if answer.average_interval is not None:
        low, high = answer.average_interval
        found["average held"] = float(low <= drawn.effect.mean() <= high)
        found["average width"] = float(high - low)
    if answer.rows_interval is not None:
        low, high = answer.rows_interval.T
        found["rows held"] = float(np.mean((low <= drawn.effect) & (drawn.effect <= high)))
        found["rows width"] = float(np.mean(high - low))
    return found


def asked(world: str, contestant: str, number: int) -> dict[str, Any]:
    """Return what a contestant makes of a data set."""
    drawn = BY_NAME[world].drawn(FIRST + number)
    start, cpu = time.perf_counter(), time.process_time()
    answer = CONTESTANTS[contestant].answer(drawn, FIRST + number)
    passed = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    return {"checksum": drawn.checksum, **judged(answer, drawn), **passed}


def versions(contestant: str) -> dict[str, str]:
    return {name: version(name) for name in CONTESTANTS[contestant].packages}


def serve() -> None:
    """Answer requests, lines of JSON, until there are no more."""
    from benchmarks.worker import limit_memory

    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print
    limit_memory()
    for request in sys.stdin:
        which = json.loads(request)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reply = asked(**which) | {"versions": versions(which["contestant"])}
        except Exception as problem:
            traceback.print_exc()
            words = str(problem).strip().splitlines() or [""]
            reply = {"failed": f"{type(problem).__name__}: {words[0][:160]}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    serve()
