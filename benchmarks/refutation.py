"""How often the checks of `refute` fail: where the model is right, and where it is wrong.

Run as ``python -m benchmarks.refutation --simulations 400``. It prints a Markdown table with a row
for each way to make data, and for each check the share of simulated data sets in which it failed
at the default alpha of 1%, with 20 refits a check. That is 101 fits a data set; so that there can
be many, the posteriors are had in closed form, under flat priors: by least squares, and for counts
by maximum likelihood and its normal approximation.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.random import Generator

from interventional import BayesianInterventionRegressor

Data = tuple[pd.DataFrame, np.ndarray]
PRIOR = 1.0, 0.05  # of a coefficient: mean and standard deviation


@dataclass(frozen=True)
class Average:
    """An average effect, of which mean and standard deviation are known."""

    value: float
    sd: float

    def average(self, weights: Any = None) -> Self:
        return self

    def mean(self) -> np.ndarray:
        return np.array([self.value])

    def std(self) -> np.ndarray:
        return np.array([self.sd])


def design(X: pd.DataFrame) -> np.ndarray:
    """Return an intercept and the columns."""
    A = np.ones((len(X), 1 + X.shape[1]))
    A[:, 1:] = X.to_numpy()
    return A


class ClosedForm(BayesianInterventionRegressor):
    """The regression of y on all columns under flat priors, one column forced."""

    insists = False  # whether there is a prior of the coefficient of b
    fitted_ = SimpleNamespace(tests=())  # of straightness: benchmarks/straightness.py

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        A, y = design(X), np.asarray(y, dtype=float)
        w = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        if self.family == "poisson":
            beta = np.r_[np.log(np.average(y, weights=w)), np.zeros(A.shape[1] - 1)]
            for _ in range(8):
                mu = np.exp(np.clip(A @ beta, -20, 20))
                self.covariance = np.linalg.inv(A.T @ (A * (w * mu)[:, None]))
                beta = beta + self.covariance @ (A.T @ (w * (y - mu)))
        else:
            precision = A.T @ (A * w[:, None])
            beta = np.linalg.solve(precision, A.T @ (w * y))
            free = w.sum() - A.shape[1]
            variance = np.sum(w * (y - A @ beta) ** 2) / max(free - 2, 1)
            self.covariance = variance * np.linalg.inv(precision)
            if self.insists:
                mean, sd = PRIOR
                j = 1 + list(X.columns).index("b")
                gain = self.covariance[j] / (self.covariance[j, j] + sd**2)
                beta = beta + gain * (mean - beta[j])
                self.covariance = self.covariance - np.outer(gain, self.covariance[j])
        self.beta, self.coef_ = beta, beta[1:]
        return self

    def _effect(self, X: Any, do: Any, baseline: Any = None, *, kind: str = "mean") -> Any:
        worlds = []
        for side in (do, baseline):
            A = design(X)
            (forced,) = side
            A[:, 1 + list(X.columns).index(forced)] = side[forced]
            worlds.append(A)
        if self.family == "poisson":
            means = [np.exp(np.clip(A @ self.beta, -20, 20)) for A in worlds]
            gradients = [mu @ A / len(A) for mu, A in zip(means, worlds, strict=True)]
            value = float(np.mean(means[0] - means[1]))
        else:
            gradients = [A.mean(axis=0) for A in worlds]
            value = float((gradients[0] - gradients[1]) @ self.beta)
        gradient = gradients[0] - gradients[1]
        return Average(value, float(np.sqrt(gradient @ self.covariance @ gradient)))

    effect = _effect


class Insisting(ClosedForm):
    """The same with a prior of the coefficient that the data cannot move."""

    insists = True


def columns(rng: Generator, n: int = 200) -> pd.DataFrame:
    """Return a forced column `b`, what confounds it, `z`, and a column that does not, `a`."""
    z = rng.normal(size=n)
    return pd.DataFrame({"a": rng.normal(size=n), "b": z + rng.normal(size=n), "z": z})


def outcome(X: pd.DataFrame, noise: np.ndarray) -> Data:
    return X, X["a"] + X["b"] + 2 * X["z"] + noise


def linear(rng: Generator, n: int = 200) -> Data:
    X = columns(rng, n)
    return outcome(X, rng.normal(size=len(X)))


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
    """Return 45 rows of 30 columns."""
    X = columns(rng, 45)
    more = pd.DataFrame(rng.normal(size=(45, 27))).add_prefix("c")
    return outcome(X.join(more), rng.normal(size=len(X)))


POISSON = ClosedForm(family="poisson")
CASES: dict[str, tuple[Callable[[Generator], Data], ClosedForm]] = {
    "**right:** linear, 200 rows": (linear, ClosedForm()),
    "**right:** linear, 50 rows": (lambda rng: linear(rng, 50), ClosedForm()),
    "**right:** 45 rows, 30 columns": (many_terms, ClosedForm()),
    "**right:** counts, Poisson": (counts, POISSON),
    "each row twice, one after the other": (twice, ClosedForm()),
    "40 groups of five, noise shared": (clustered, ClosedForm()),
    "rows in time, noise autocorrelated": (over_time, ClosedForm()),
    "noise that grows with \\|b\\|": (unequal, ClosedForm()),
    "counts more spread than Poisson": (lambda rng: counts(rng, 0.7), POISSON),
    "weights that are no frequencies": (linear, ClosedForm()),
    "a prior that insists on the effect": (linear, Insisting()),
    "each row twice, shuffled": (lambda rng: twice(rng, shuffled=True), ClosedForm()),
    "an unmeasured common cause": (unmeasured, ClosedForm()),
    "an effect of y among the columns": (leaking, ClosedForm()),
}


def failures(case: str, seed: int, alpha: float = 0.01) -> pd.Series:
    """Return which checks fail on one simulated data set."""
    make, model = CASES[case]
    rng = np.random.default_rng([list(CASES).index(case), seed])
    X, y = make(rng)
    weights = rng.choice([0.5, 7.5], len(X)) if "weights" in case else None
    found = model.refute(
        X, y, {"b": 1}, {"b": 0}, sample_weight=weights, random_state=seed, alpha=alpha
    )
    return ~found["passed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=400)
    options = parser.parse_args()
    header = ""
    for case in CASES:
        shares = pd.DataFrame([failures(case, k) for k in range(options.simulations)]).mean()
        if not header:
            header = f"| data | {' | '.join(shares.index)} |\n|---|{'---:|' * len(shares)}"
            print(header)
        print(f"| {case} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
