"""Draws of other families against long NUTS: `python -m benchmarks.families [seed]`.

Data sets of all families, easy ones and such that make posteriors skewed: rare events, zeros and
ones that columns nearly tell apart, columns that are nearly the same. Means, standard deviations
and the 5% and 95% quantiles of all parameters are compared in standard errors, those of NUTS by
its effective sample sizes included. What is there is not run again: `results/families.jsonl`.
"""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from pymc_extras.prior import Prior
from scipy.special import expit

from benchmarks.environments import HERE
from interventional import BayesianInterventionRegressor

SEED = 2027  # of all data sets; the engine was written with others
SAVED = HERE / "results" / "families.jsonl"
ENGINES = {"importance": "weighed", "hmc": "many chains", "nuts": "NUTS"}
FAMILIES = ("bernoulli", "poisson", "negative_binomial", "gamma", "beta", "student_t")
KINDS = ("easy", "rare", "apart", "collinear")
ROWS = (60, 250, 1000)
COLUMNS = 8
PRIORS = {
    "default": None,
    "heavy": {"beta": Prior("StudentT", nu=3, mu=0, sigma=1)},
}
_AROUND = 0.015  # of a quantile's level, to see the density there
LONG = {"draws": 5000, "tune": 1500, "chains": 4}


def rows(kind, n, rng):
    """Return the columns."""
    X = rng.normal(size=(n, COLUMNS))
    if kind == "collinear":
        X = rng.normal(size=(n, 1)) + 0.15 * X
    elif kind == "rare":
        X[:, 0] = rng.uniform(size=n) < max(0.03, 3 / n)
    return pd.DataFrame(X, columns=[f"x{k}" for k in range(COLUMNS)])


def outcome(family, kind, X, rng):
    """Return the outcome."""
    slopes = rng.normal(size=COLUMNS)
    slopes *= {"easy": 0.7, "rare": 0.5, "apart": 3.0, "collinear": 0.3}[kind]
    slopes /= np.linalg.norm(slopes)
    if kind == "apart" and family in ("poisson", "negative_binomial", "gamma"):
        slopes /= 3
    eta = X.to_numpy() @ slopes * (3.0 if kind == "apart" else 1.0)
    eta += {"rare": -2.5, "easy": 0.3}.get(kind, 0.0)
    if family == "bernoulli":
        y = (rng.uniform(size=len(X)) < expit(eta)).astype(int)
        y[:2] = 0, 1
        return y
    if family == "poisson":
        return rng.poisson(np.exp(eta))
    if family == "negative_binomial":
        return rng.poisson(np.exp(eta) * rng.gamma(1.5, 1 / 1.5, len(X)))
    if family == "gamma":
        shape = 0.5 if kind == "rare" else 3.0
        return np.maximum(np.exp(eta) * rng.gamma(shape, 1 / shape, len(X)), 1e-12)
    if family == "beta":
        return np.clip(rng.beta(6 * expit(eta), 6 * expit(-eta)), 1e-6, 1 - 1e-6)
    return eta + rng.standard_t(2.0 if kind == "rare" else 5.0, len(X))


def figures(model):
    """Return means, sds and quantiles of all parameters, their errors, seconds, and the engine."""
    from arviz_stats.base import array_stats

    posterior = model.idata_["posterior"]
    names = [n for n in posterior.data_vars if not n.endswith(("_interval__", "_log__"))]
    draws = np.concatenate(
        [posterior[n].values.reshape(*posterior[n].shape[:2], -1) for n in names], axis=2
    )
    of_nuts = posterior.attrs["inference"] == "nuts"
    flat = draws.reshape(-1, draws.shape[2])
    mean, sd = flat.mean(axis=0), flat.std(axis=0)
    axes = {"chain_axis": 0, "draw_axis": 1}
    found, errors = {"mean": mean, "sd": sd}, {}
    n = len(flat)
    kurtosis = (((flat - mean) / sd) ** 4).mean(axis=0)
    sizes = {name: np.full(len(mean), float(n)) for name in ("mean", "sd", "q5", "q95")}
    if of_nuts:
        sizes["mean"] = array_stats.ess(draws, method="mean", **axes)
        sizes["sd"] = array_stats.ess(np.square(draws - mean), method="mean", **axes)
        for name, p in (("q5", 0.05), ("q95", 0.95)):
            sizes[name] = array_stats.ess(draws, method="quantile", prob=p, **axes)
    errors["mean"] = sd / np.sqrt(sizes["mean"])
    errors["sd"] = sd * np.sqrt((kurtosis - 1) / 4 / sizes["sd"])
    for name, p in (("q5", 0.05), ("q95", 0.95)):
        found[name] = np.quantile(flat, p, axis=0)
        low, high = np.quantile(flat, [p - _AROUND, p + _AROUND], axis=0)
        inverse_density = (high - low) / (2 * _AROUND)
        errors[name] = inverse_density * np.sqrt(p * (1 - p) / sizes[name])
    return found, errors


def compare(family, kind, n, prior, seed):
    """Return how far draws are from those of NUTS, in standard errors."""
    key = [seed, FAMILIES.index(family), KINDS.index(kind), n, list(PRIORS).index(prior)]
    rng = np.random.default_rng(key)
    X = rows(kind, n, rng)
    y = outcome(family, kind, X, rng)
    given = {"family": family, "priors": PRIORS[prior], "random_state": 0}
    start = time.perf_counter()
    quick = BayesianInterventionRegressor(**given).fit(X, y)
    seconds = time.perf_counter() - start
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        slow = BayesianInterventionRegressor(inference="nuts", **given, **LONG).fit(X, y)
    (found, own), (expected, theirs) = figures(quick), figures(slow)
    off = {
        name: float(
            np.max(np.abs(found[name] - expected[name]) / np.hypot(own[name], theirs[name]))
        )
        for name in found
    }
    stats = quick.idata_["sample_stats"]  # many chains and NUTS have no weights
    return {
        "family": family,
        "kind": kind,
        "rows": n,
        "prior": prior,
        "engine": quick.idata_["posterior"].attrs["inference"],
        "seconds": seconds,
        "parameters": len(found["mean"]),
        "off": off,
        "effective size": float(stats["effective_size"].values[0, 0])
        if "effective_size" in stats
        else None,
        "NUTS warned": [str(w.message)[:200] for w in caught],
    }


def table(rows):
    """Return how far draws of each engine and family were, at most, in Markdown."""
    names = ["mean", "sd", "q5", "q95"]
    lines = ["| | data sets | weighed | many chains | NUTS | mean | sd | 5% | 95% | seconds |"]
    lines.append("| " + " | ".join(["---"] * 10) + " |")
    groups = [("all", rows)]
    groups += [(words, [r for r in rows if r["engine"] == e]) for e, words in ENGINES.items()]
    groups += [(f, [r for r in rows if r["family"] == f]) for f in FAMILIES]
    groups += [(k, [r for r in rows if r["kind"] == k]) for k in KINDS]
    groups += [(f"{n} rows", [r for r in rows if r["rows"] == n]) for n in ROWS]
    for words, found in groups:
        if found:
            counts = [sum(r["engine"] == e for r in found) for e in ENGINES]
            worst = [f"{max(r['off'][name] for r in found):.1f}" for name in names]
            seconds = f"{np.median([r['seconds'] for r in found]):.2g}"
            cells = [words, len(found), *counts, *worst, seconds]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(seed=SEED):
    done = set()
    if SAVED.exists():
        for line in SAVED.read_text().splitlines():
            row = json.loads(line)
            done.add((row["family"], row["kind"], row["rows"], row["prior"], row["seed"]))
    for k, (n, kind) in enumerate((n, kind) for n in ROWS for kind in KINDS):
        for j, family in enumerate(FAMILIES):
            prior = list(PRIORS)[(k + j) % 2]
            if (family, kind, n, prior, seed) in done:
                continue
            row = {"seed": seed, **compare(family, kind, n, prior, seed)}
            SAVED.parent.mkdir(exist_ok=True)
            with SAVED.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(family, kind, n, prior, row["engine"], f"{row['seconds']:.2f} s", row["off"])
    found = [json.loads(line) for line in SAVED.read_text().splitlines()]
    print(table([row for row in found if row["seed"] == seed]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
