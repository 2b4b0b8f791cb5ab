"""How often the checks of `refute` fail: where the model is right, and where it is wrong.

Run as ``python -m benchmarks.refutation --simulations 100``. It prints a Markdown table with a row
for each way to make data, and for each check the share of simulated data sets in which it failed
at the default alpha of 1%, each with 20 refits a check.
"""

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.random import Generator
from pymc_extras.prior import Prior
from sklearn.preprocessing import PolynomialFeatures

from interventional import BayesianInterventionRegressor

Data = tuple[pd.DataFrame, np.ndarray]
FAST = {"draws": 250, "chains": 1}


def columns(rng: Generator, n: int = 200) -> pd.DataFrame:
    """Return a forced column `b`, what confounds it, `z`, and a column that does not, `a`."""
    z = rng.normal(size=n)
    return pd.DataFrame({"a": rng.normal(size=n), "b": z + rng.normal(size=n), "z": z})


def outcome(X: pd.DataFrame, noise: np.ndarray) -> Data:
    return X, X["a"] + X["b"] + 2 * X["z"] + noise


def linear(rng: Generator) -> Data:
    X = columns(rng)
    return outcome(X, rng.normal(size=len(X)))


def mediated(rng: Generator) -> Data:
    X = columns(rng)
    X["m"] = X["b"] + rng.normal(size=len(X))
    return X, X["m"] + X["b"] + X["z"] + rng.normal(size=len(X))


def counts(rng: Generator, overdispersion: float = 0.0) -> Data:
    X = columns(rng)
    noise = overdispersion * rng.normal(size=len(X))
    return X, rng.poisson(np.exp(1 + 0.4 * X["b"] + 0.3 * X["z"] + noise)).astype(float)


def twice(rng: Generator, shuffled: bool = False) -> Data:
    X = columns(rng, 100)
    X, y = outcome(X, rng.normal(size=len(X)))
    rows = np.repeat(np.arange(len(X)), 2)
    if shuffled:
        rows = rng.permutation(rows)
    return X.iloc[rows].reset_index(drop=True), y.to_numpy()[rows]


def clustered(rng: Generator) -> Data:
    """Return 40 groups of five rows, which share the forced column and a part of the noise."""
    X, group = columns(rng), np.repeat(np.arange(40), 5)
    X["b"] = X["b"].to_numpy()[::5][group]
    return outcome(X, rng.normal(size=len(X)) + 0.7 * rng.normal(size=40)[group])


def over_time(rng: Generator) -> Data:
    """Return rows in time, a first-order autoregression of 0.6 in noise and forced column."""
    X = columns(rng)
    noise, b = rng.normal(size=(2, len(X)))
    for t in range(1, len(X)):
        noise[t] += 0.6 * noise[t - 1]
        b[t] += 0.6 * b[t - 1]
    X["b"] = b
    return outcome(X, noise)


def unequal(rng: Generator) -> Data:
    X = columns(rng)
    return outcome(X, np.abs(X["b"]) * rng.normal(size=len(X)))


def unmeasured(rng: Generator) -> Data:
    X, y = linear(rng)
    return X.drop(columns="z"), y


def leaking(rng: Generator) -> Data:
    X, y = linear(rng)
    return X.assign(after=y + rng.normal(size=len(X))), y


def many_terms(rng: Generator) -> Data:
    X = columns(rng, 45)
    X["c"] = rng.normal(size=len(X))
    return outcome(X, rng.normal(size=len(X)))


POISSON = {"family": "poisson", "inference": "laplace"}
CASES: dict[str, tuple[Callable[[Generator], Data], dict[str, Any]]] = {
    "right: linear": (linear, {}),
    "right: a mediator, by graph": (
        mediated,
        {"graph": "z -> b; b -> m -> y; b -> y; z -> y; a -> y"},
    ),
    "right: counts, Poisson": (counts, POISSON),
    "right: 34 terms, 45 rows": (many_terms, {"design": PolynomialFeatures(3, include_bias=False)}),
    "each row twice, in a row": (twice, {}),
    "40 groups of five": (clustered, {}),
    "rows in time": (over_time, {}),
    "unequal variances": (unequal, {}),
    "overdispersed counts, Poisson": (lambda rng: counts(rng, 0.7), POISSON),
    "a prior that insists": (linear, {"priors": {"b": Prior("Normal", mu=1, sigma=0.05)}}),
    "an unmeasured common cause": (unmeasured, {}),
    "an effect of y among the columns": (leaking, {}),
    "each row twice, shuffled": (lambda rng: twice(rng, shuffled=True), {}),
}


def failures(case: str, seed: int) -> pd.Series:
    """Return which checks fail on one simulated data set."""
    make, parameters = CASES[case]
    X, y = make(np.random.default_rng([sorted(CASES).index(case), seed]))
    model = BayesianInterventionRegressor(**FAST, **parameters)
    with warnings.catch_warnings():  # what Laplace is off by is not the question here
        warnings.simplefilter("ignore")
        found = model.refute(X, y, do={"b": 1}, baseline={"b": 0}, random_state=seed)
    return ~found["passed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    options = parser.parse_args()
    print(f"Share of {options.simulations} simulated data sets in which a check fails:\n")
    header = ""
    for case in options.cases:
        found = joblib.Parallel(options.jobs)(
            joblib.delayed(failures)(case, seed) for seed in range(options.simulations)
        )
        shares = pd.DataFrame(found).mean()
        if not header:
            header = f"| data | {' | '.join(shares.index)} |\n|---|{'---:|' * len(shares)}"
            print(header)
        print(f"| {case} | {' | '.join(f'{share:.0%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
