"""How often `MisfitWarning` says that a straight equation bends, and that one which bends does.

    python -m benchmarks.straightness [simulations] [seed] [table ...]

prints the tables: alarms and others, where equations are what the model has; power, where they are
not; cost.
"""

import sys
import time
import warnings
from itertools import product

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.datasets import load_diabetes

from interventional import BayesianInterventionRegressor, MisfitWarning

SEED = 0  # of all simulations; the package was written with others than those that are reported
NOISE = {  # of an outcome, given its columns
    "normal": lambda rng, x: rng.normal(size=len(x)),
    "t(3)": lambda rng, x: rng.standard_t(3, size=len(x)),
    "exponential": lambda rng, x: rng.exponential(size=len(x)) - 1,
    "more where x is high": lambda rng, x: np.exp(x[:, 0]) * rng.normal(size=len(x)),
    "more at both ends": lambda rng, x: (0.3 + x[:, 0] ** 2) * rng.normal(size=len(x)),
}
COLUMNS = {  # standard deviation of about 1
    "normal": lambda rng, size: rng.normal(size=size),
    "uniform": lambda rng, size: rng.uniform(-1.7, 1.7, size=size),
    "heavy-tailed": lambda rng, size: rng.standard_t(3, size=size) / np.sqrt(3),
    "lognormal": lambda rng, size: rng.lognormal(size=size) / 2,
    "counts": lambda rng, size: rng.poisson(1.0, size=size).astype(float),
}
SIZES, WIDTHS = (50, 200, 500, 2000), (2, 8, 25)


def frame(x, **columns):
    return pd.DataFrame(x).add_prefix("x").assign(**columns)


def warned(X, y, do, baseline=None, **parameters):
    """Whether a question warns that an equation bends."""
    parameters = {"draws": 4, "chains": 1, "random_state": 0, **parameters}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        model = BayesianInterventionRegressor(**parameters).fit(X, y)
        warnings.simplefilter("always", MisfitWarning)
        model.effect(X.head(5), do, baseline)
    return any("linear in its terms" in str(each.message) for each in caught)


# --- Straight worlds -----------------------------------------------------------------------------


def treated(rng, x):
    """Return 0 and 1, confounded."""
    return (rng.random(len(x)) < expit(x[:, 0] - x[:, 0].mean())).astype(float)


def dosed(rng, x):
    """Return a dose, confounded."""
    return 0.5 * x[:, 0] + rng.normal(size=len(x))


def line(rng, noise, columns, n, p):
    x = columns(rng, (n, p))
    t = treated(rng, x) if rng.random() < 0.5 else dosed(rng, x)
    return frame(x, t=t), x @ rng.normal(size=p) + t + noise(rng, x), {"t": 1.0}, {"t": 0.0}, {}


def with_levels(rng, n):
    x, z = rng.normal(size=(n, 2)), rng.integers(0, 5, n)
    t = rng.random(n) < expit(x[:, 0] + 0.5 * z - 1)
    X = frame(x, z=np.array(list("abcde"))[z], old=rng.random(n) < 0.3, t=t)
    return X, x @ [1, -1] + z + X["old"] + 2.0 * t + rng.normal(size=n), {"t": True}, None, {}


def with_groups(rng, n):
    size = rng.choice([3, 10, 50])
    unit = np.arange(n) // size
    own, slope = rng.standard_t(3, size=(2, unit.max() + 1))
    x = rng.normal(size=(n, 3)) + own[unit][:, None] * rng.choice([0.0, 0.5])
    t = dosed(rng, x)
    y = x @ [1, -1, 0.5] + (1 + 0.3 * slope[unit]) * t + 2 * own[unit] + rng.normal(size=n)
    X = frame(x, t=t, unit=[f"u{k}" for k in unit])
    return X, y, {"t": 1.0}, {"t": 0.0}, {"groups": {"unit": ["t"]}}


def logistic(rng, n):
    x = rng.normal(size=(n, 4))
    t = treated(rng, x)
    y = rng.random(n) < expit(x @ [1, -0.5, 0.5, 0] + t - rng.choice([0.5, 2.5]))
    how = {"family": "bernoulli", "inference": "laplace"}
    return frame(x, t=t), y.astype(float), {"t": 1.0}, {"t": 0.0}, how


def counts(rng, n):
    x = rng.normal(size=(n, 4))
    t = treated(rng, x)
    y = rng.poisson(np.exp(x @ [0.5, -0.3, 0.2, 0] + 0.5 * t + rng.choice([-1.0, 1.0])))
    how = {"family": "poisson", "inference": "laplace"}
    return frame(x, t=t), y.astype(float), {"t": 1.0}, {"t": 0.0}, how


def too_many_counts(rng, n):
    X, y, do, baseline, how = counts(rng, n)
    y = rng.poisson((y + 0.1) * rng.gamma(1.0, 1.0, n)).astype(float)
    return X, y, do, baseline, how | {"family": "negative_binomial"}


def times(rng, n):
    x = rng.normal(size=(n, 4))
    t = treated(rng, x)
    y = rng.gamma(2.0, np.exp(x @ [0.5, -0.3, 0.2, 0] + 0.5 * t) / 2.0)
    return frame(x, t=t), y, {"t": 1.0}, {"t": 0.0}, {"family": "gamma", "inference": "laplace"}


def prices(rng, n):
    X, y, do, baseline, _ = line(rng, NOISE["normal"], COLUMNS["normal"], n, 4)
    return X, np.exp(0.5 * y), do, baseline, {"family": "lognormal"}


def mediated(rng, n):
    a, b = rng.normal(size=(2, n))
    m = a + b + rng.standard_t(3, size=n)
    k = m - a + rng.exponential(size=n)
    X = pd.DataFrame({"a": a, "b": b, "m": m, "k": k})
    graph = "a -> m; b -> m; m -> k; a -> k; k -> y; m -> y; b -> y"
    return X, k + m - b + rng.normal(size=n), {"a": 1.0}, {"a": 0.0}, {"graph": graph}


def of_levels(rng, n):
    a, b = rng.random((2, n)) < 0.5
    t = rng.random(n) < expit(2.0 * a + 2.0 * b - 2)
    step = (rng.random(n) < expit(1.0 * t)).astype(int) + (rng.random(n) < 0.5)
    c = np.array(list("pqr"))[step]
    X = pd.DataFrame({"a": a, "b": b, "t": t, "c": c})
    graph = "a -> t; b -> t; t -> c; c -> y; t -> y"
    y = 1.0 * t + (c == "q") + rng.normal(size=n)
    return X, y, {"a": True}, {"a": False}, {"graph": graph, "inference": "laplace"}


STRAIGHT = {
    f.__name__.replace("_", " "): f
    for f in (
        with_levels,
        with_groups,
        logistic,
        counts,
        too_many_counts,
        times,
        prices,
        mediated,
        of_levels,
    )
}


def alarms(n_simulations):
    """Count warnings where equations are straight."""
    print("| columns | " + " | ".join(f"noise: {name}" for name in NOISE) + " |")
    print("| --- |" + " ---: |" * len(NOISE))
    for number, (name, columns) in enumerate(COLUMNS.items()):
        counts = []
        for column, noise in enumerate(NOISE.values()):
            found = total = 0
            for n, p, k in product(SIZES, WIDTHS, range(n_simulations)):
                rng = np.random.default_rng([SEED, number, column, n, p, k])
                X, y, do, baseline, how = line(rng, noise, columns, n, p)
                found += warned(X, y, do, baseline, **how)
                total += 1
            counts.append(f"{found} of {total}")
        print(f"| {name} | " + " | ".join(counts) + " |", flush=True)


def others(n_simulations):
    """Count warnings where equations of other kinds are straight."""
    print("\n| data | " + " | ".join(f"{n} rows" for n in SIZES) + " |")
    print("| --- |" + " ---: |" * len(SIZES))
    for number, (name, made) in enumerate(STRAIGHT.items()):
        counts = []
        for n in SIZES:
            found = 0
            for k in range(n_simulations):
                rng = np.random.default_rng([SEED, 100 + number, n, k])
                X, y, do, baseline, how = made(rng, n)
                found += warned(X, y, do, baseline, **how)
            counts.append(f"{found} of {n_simulations}")
        print(f"| {name} | " + " | ".join(counts) + " |", flush=True)


# --- Worlds that bend ----------------------------------------------------------------------------


def effect(rng, x, propensity, base, effects, noise):
    t = (rng.random(len(x)) < propensity).astype(float)
    return frame(x, t=t), base + effects * t + noise * rng.normal(size=len(x))


def friedman(rng, n):
    x = rng.uniform(size=(n, 10))
    base = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    base += 10 * x[:, 3] + 5 * x[:, 4]
    effects = 2 + 4 * x[:, 0] * (x[:, 3] > 0.5) + 2 * np.sin(np.pi * x[:, 2])
    return effect(rng, x, expit((base - base.mean()) / base.std()), base, effects, 1.0)


def kang_schafer(rng, n):
    z = rng.normal(size=(n, 4))
    x = np.column_stack(
        [
            np.exp(z[:, 0] / 2),
            z[:, 1] / (1 + np.exp(z[:, 0])) + 10,
            (z[:, 0] * z[:, 2] / 25 + 0.6) ** 3,
            (z[:, 1] + z[:, 3] + 20) ** 2,
        ]
    )
    base = 210 + 27.4 * z[:, 0] + 13.7 * (z[:, 1] + z[:, 2] + z[:, 3])
    propensity = expit(-z[:, 0] + 0.5 * z[:, 1] - 0.25 * z[:, 2] - 0.1 * z[:, 3])
    return effect(rng, x, propensity, base, 10 + 10 * z[:, 0], 10.0)


def nie_wager_d(rng, n):
    x = rng.normal(size=(n, 5))
    up, down = np.maximum(x[:, :3].sum(axis=1), 0), np.maximum(x[:, 3:].sum(axis=1), 0)
    return effect(rng, x, expit(-x[:, 0]) * 0.9 + 0.05, (up + down) / 2, up - down, 1.0)


def nie_wager_a(rng, n):
    x = rng.uniform(size=(n, 5))
    base = np.sin(np.pi * x[:, 0] * x[:, 1]) + 2 * (x[:, 2] - 0.5) ** 2 + x[:, 3] + 0.5 * x[:, 4]
    propensity = np.clip(np.sin(np.pi * x[:, 0] * x[:, 1]), 0.1, 0.9)
    return effect(rng, x, propensity, base, x[:, :2].mean(axis=1), 1.0)


def half_square(rng, n):
    """Return a column whose square explains a tenth of what is noise otherwise."""
    x = rng.normal(size=(n, 3))
    return effect(rng, x, expit(x[:, 0]), x[:, 0] + 0.24 * x[:, 1] ** 2, 1.0, 1.0)


def logistic_product(rng, n):
    x = rng.normal(size=(n, 4))
    t = treated(rng, x)
    y = rng.random(n) < expit(x @ [1, -0.5, 0.5, 0] + t - 0.5 - 1.5 * t * x[:, 1])
    return frame(x, t=t), y.astype(float)


def counts_square(rng, n):
    x = rng.normal(size=(n, 4))
    t = treated(rng, x)
    y = rng.poisson(np.exp(0.5 * x[:, 0] + 0.5 * t + 0.3 * x[:, 1] ** 2 - 0.5))
    return frame(x, t=t), y.astype(float)


def noisy_and(rng, n):
    a, b = rng.random((2, n)) < 0.5
    t = rng.random(n) < np.where(a & b, 0.7, 0.3)
    return pd.DataFrame({"a": a, "b": b, "t": t}), 1.0 * t + rng.normal(size=n)


_TREATED = {"t": 1.0}, {"t": 0.0}
BENT = {
    "Friedman": (friedman, *_TREATED, {}),
    "Kang and Schafer": (kang_schafer, *_TREATED, {}),
    "Nie and Wager D": (nie_wager_d, *_TREATED, {}),
    "Nie and Wager A": (nie_wager_a, *_TREATED, {}),
    "a weak square": (half_square, *_TREATED, {}),
    "logistic, a product": (
        logistic_product,
        *_TREATED,
        {"family": "bernoulli", "inference": "laplace"},
    ),
    "counts, a square": (counts_square, *_TREATED, {"family": "poisson", "inference": "laplace"}),
    "a and b cause t, noisily": (
        noisy_and,
        {"a": True},
        {"a": False},
        {"graph": "a -> t; b -> t; t -> y", "inference": "laplace"},
    ),
}


def power(n_simulations):
    """Count warnings where an equation bends."""
    print("\n| data | " + " | ".join(f"{n} rows" for n in SIZES[1:]) + " |")
    print("| --- |" + " ---: |" * len(SIZES[1:]))
    for number, (name, (made, do, baseline, how)) in enumerate(BENT.items()):
        counts = []
        for n in SIZES[1:]:
            found = 0
            for k in range(n_simulations):
                rng = np.random.default_rng([SEED, 200 + number, n, k])
                found += warned(*made(rng, n), do, baseline, **how)
            counts.append(f"{found} of {n_simulations}")
        print(f"| {name} | " + " | ".join(counts) + " |", flush=True)


# --- Cost ----------------------------------------------------------------------------------------


def cost(n_simulations):
    """Time fit, question, and the test that a first question makes, in CPU milliseconds."""
    print("\n| rows | columns | fit | of which keeping rows | question | of which the test |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for n, p in ((442, 10), (2000, 10), (100_000, 10), (442, 50)):
        found = []
        for k in range(n_simulations):
            rng = np.random.default_rng([SEED, n, p, k])
            x = rng.normal(size=(n, p))
            found.append(_timed(frame(x), x @ rng.normal(size=p) + rng.normal(size=n)))
        took = " | ".join(f"{ms:.1f}" for ms in np.median(found, axis=0))
        print(f"| {n} | {p} | {took} |", flush=True)
    X, y = load_diabetes(return_X_y=True)  # which bends, so that it takes all draws of signs
    found = [_timed(frame(X), y) for _ in range(n_simulations)]
    took = " | ".join(f"{ms:.1f}" for ms in np.median(found, axis=0))
    print(f"| diabetes, 442 | 10 | {took} |", flush=True)


def _timed(X, y):
    from interventional.fitting import kept

    def took(f):
        start = time.process_time()
        f()
        return 1e3 * (time.process_time() - start)

    model = BayesianInterventionRegressor(random_state=0)
    fit = took(lambda: model.fit(X, y))
    schema = model.fitted_.model.schema
    values = X.to_numpy()
    parsed = model._draft(schema, values)
    keeping = took(lambda: kept(parsed, values, np.asarray(y), None))
    warnings.simplefilter("ignore")
    question = took(lambda: model.effect(X, {"x0": 1.0}, {"x0": 0.0}).average().interval(0.95))
    vars(model.fitted_).pop("straightness")
    return fit, keeping, question, took(lambda: model.fitted_.straightness.told({"x0"}, ()))


if __name__ == "__main__":
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    SEED = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    every = {f.__name__: f for f in (alarms, others, power, cost)}
    for table in sys.argv[3:] or every:
        every[table](simulations)
