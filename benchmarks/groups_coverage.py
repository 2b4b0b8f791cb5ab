"""How often intervals of groups hold the truth: `python -m benchmarks.groups_coverage`.

Worlds with one population each, of which every data set draws its groups anew: intercepts and
slopes that differ, under the default priors, which know nothing of these worlds. What is asked of
95% intervals: the population's slope; the average slope of these very groups; each group's slope,
averaged over groups; and a new group's. Beside them MixedLM's Wald interval of the population's
slope, by restricted maximum likelihood. An average over data sets has their standard error.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy import stats

from benchmarks import environments
from benchmarks.groups import save, saved, versions

FIRST = 20_000  # of the seeds
DRAWS = 500  # a chain, of four
LEVEL = 0.95
INTERCEPT, SLOPE = (250.0, 25.0), (10.0, 6.0)  # mean and standard deviation over groups
WEEK_SD, SIGMA = 15.0, 25.0

Labels = Callable[[Generator], tuple[dict[str, np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Table:
    """One data set, and the slope of each group."""

    X: pd.DataFrame
    y: np.ndarray
    slopes: np.ndarray


def balanced(rng: Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return 18 groups of 10 days each, as in lme4's study of sleep."""
    return {"group": np.repeat(np.arange(18), 10)}, np.tile(np.arange(10.0), 18)


def unbalanced(rng: Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return 30 groups of 2 to 40 rows."""
    group = np.repeat(np.arange(30), np.linspace(2, 40, 30).round().astype(int))
    return {"group": group}, rng.uniform(0, 9, size=group.size)


def crossed(rng: Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return 12 groups in each of 8 weeks, a row each."""
    group, week = (a.ravel() for a in np.indices((12, 8)))
    return {"group": group, "week": week}, rng.uniform(0, 9, size=group.size)


WORLDS: dict[str, Labels] = {
    "18 groups x 10 rows": balanced,
    "30 groups of 2 to 40 rows": unbalanced,
    "12 groups crossed with 8 weeks": crossed,
}


def drawn(world: Labels, rng: Generator) -> Table:
    """Return a data set."""
    labels, x = world(rng)
    group = labels["group"]
    intercepts = rng.normal(*INTERCEPT, size=group.max() + 1)
    slopes = rng.normal(*SLOPE, size=group.max() + 1)
    y = intercepts[group] + slopes[group] * x + rng.normal(0, SIGMA, size=x.size)
    if "week" in labels:
        week = labels["week"]
        y += rng.normal(0, WEEK_SD, size=week.max() + 1)[week]
    return Table(pd.DataFrame(labels).assign(x=x), y, slopes)


# --- One data set --------------------------------------------------------------------------------


def ours(table: Table, rng: Generator) -> dict[str, float]:
    """Return whether our intervals hold the truth, and how wide they are."""
    from interventional import BayesianInterventionRegressor

    groups: dict[str, list[str]] = {"group": ["x"]}
    if "week" in table.X:
        groups["week"] = []
    model = BayesianInterventionRegressor(
        groups=groups, unseen_levels="population", draws=DRAWS, random_state=0
    ).fit(table.X, table.y)
    up = model.effect(table.X, do={"x": 5.0}, baseline={"x": 4.0})
    population = up.average(population=list(groups)).interval(LEVEL)[0]
    these = up.average().interval(LEVEL)[0]
    each = up.average(by="group").interval(LEVEL)
    held = (each[:, 0] < table.slopes) & (table.slopes < each[:, 1])
    sizes = np.bincount(table.X["group"])
    small = sizes <= np.quantile(sizes, 1 / 3)
    nobody = table.X.iloc[:1].assign(group=-1)
    new = model.effect(nobody, do={"x": 5.0}, baseline={"x": 4.0}).interval(LEVEL)[0]
    return {
        "population": inside(SLOPE[0], population),
        "these groups": inside(float(np.average(table.slopes, weights=sizes)), these),
        "each group": float(held.mean()),
        "each of the smallest third": float(held[small].mean()),
        "new group": inside(rng.normal(*SLOPE), new),
        "new group, exactly": float(np.diff(stats.norm.cdf(new, *SLOPE))[0]),
        "width, population": float(np.ptp(population)),
        "width, each group": float(np.ptp(each, axis=1).mean()),
        "width, new group": float(np.ptp(new)),
        "pareto k": float(model.idata_["sample_stats"]["pareto_k"].values.flat[0]),
        "effective size": float(model.idata_["sample_stats"]["effective_size"].values.flat[0]),
    }


def mixed(table: Table) -> dict[str, float]:
    """Return whether MixedLM's interval of the population's slope holds it, and its width."""
    import statsmodels.formula.api as smf

    data = table.X.assign(y=table.y)
    if "week" in data:  # components within one group of all rows, independent as in the world
        parts = {"g": "0 + C(group)", "slope": "0 + C(group):x", "w": "0 + C(week)"}
        model = smf.mixedlm("y ~ x", data, groups=np.ones(len(data)), vc_formula=parts)
    else:
        model = smf.mixedlm("y ~ x", data, groups="group", re_formula="~x")
    try:
        found = model.fit()
    except (np.linalg.LinAlgError, ValueError):
        return {"MixedLM, population": np.nan, "MixedLM converged": 0.0}
    half = float(stats.norm.ppf(0.5 + LEVEL / 2) * found.bse["x"])
    known = np.isfinite(half)
    return {
        "MixedLM, population": float(abs(found.fe_params["x"] - SLOPE[0]) < half)
        if known
        else np.nan,
        "width, MixedLM, population": 2 * half,
        "MixedLM converged": float(found.converged),
    }


def inside(truth: float, interval: np.ndarray) -> float:
    return float(interval[0] < truth < interval[1])


# --- All of them ---------------------------------------------------------------------------------


def counted(world: Labels, sets: int) -> dict[str, Any]:
    """Return means over data sets and their standard errors, of what could be had."""
    found, warned = [], 0
    start, cpu = time.perf_counter(), time.process_time()
    for seed in range(FIRST, FIRST + sets):
        rng = np.random.default_rng(seed)
        table = drawn(world, rng)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answers = ours(table, rng)
        warned += bool(caught)
        with warnings.catch_warnings(record=True):  # statsmodels undoes a filter that ignores
            found.append(answers | mixed(table))
    frame = pd.DataFrame(found)
    summary: dict[str, Any] = {}
    for name in frame:
        values = frame[name].dropna()
        error = values.std() / np.sqrt(len(values)) if len(values) > 1 else np.nan
        summary[str(name)] = {"mean": plain(values.mean()), "se": plain(error), "of": len(values)}
    summary["pareto k"]["largest"] = plain(frame["pareto k"].max())
    summary["effective size"]["smallest"] = plain(frame["effective size"].min())
    return {
        "data sets": sets,
        "warned": warned,
        "seconds": plain(time.perf_counter() - start),
        "cpu": plain(time.process_time() - cpu),
        "found": summary,
    }


def plain(value: float) -> float:
    return float(f"{value:.6g}")


COLUMNS = (
    *("population", "MixedLM, population", "these groups", "each group"),
    *("each of the smallest third", "new group", "new group, exactly"),
)


def report(worlds: dict[str, Any]) -> str:
    """Return shares and their standard errors as a table of Markdown."""
    lines = ["| world | " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for name, world in worlds.items():
        cells = []
        for column in COLUMNS:
            each = world["found"][column]
            missing = world["data sets"] - each["of"]
            lost = f" (none in {missing})" if missing else ""
            cells.append(f"{100 * each['mean']:.1f} ± {100 * each['se']:.1f}{lost}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200, help="data sets; 200 are saved")
    parser.add_argument("--only", nargs="*", type=int, help="numbers of worlds")
    arguments = parser.parse_args()
    truth = {"intercept": INTERCEPT, "slope": SLOPE, "week sd": WEEK_SD, "sigma": SIGMA}
    about = {"level": LEVEL, "draws": 4 * DRAWS, "seeds from": FIRST, "truth": truth}
    about |= {"machine": environments.machine(), "versions": versions()}
    worlds = {}
    for number, (name, world) in enumerate(WORLDS.items()):
        if arguments.only is None or number in arguments.only:
            worlds[name] = counted(world, arguments.sets)
            print(report({name: worlds[name]}), f"{worlds[name]['seconds']} s", flush=True)
            if arguments.sets == parser.get_default("sets"):
                kept = saved("coverage").get("worlds", {}) if arguments.only else {}
                save("coverage", about | {"worlds": kept | worlds})
    print("\n" + report(worlds))


if __name__ == "__main__":
    main()
