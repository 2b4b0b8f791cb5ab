"""Whether draws and intervals are calibrated: `python -m benchmarks.calibration`.

Simulation-based calibration (Talts, Betancourt, Simpson, Vehtari and Gelman 2018,
arXiv:1804.06788): parameters from the prior, data from the parameters, draws from the posterior.
Over data sets the rank of the truth among L draws is then uniform on 0, ..., L. So it is for any
function of parameters, for what is expected under an intervention, and for new outcomes. An
interval between the draws of two ranks thus holds the truth as often as it should, or else the
draws are wrong.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import joblib
import numpy as np
from scipy import stats
from sklearn.exceptions import ConvergenceWarning

from benchmarks.calibration_scenarios import Array, Scenario, Simulated, scenarios

ROOT = Path(__file__).parent.parent
SAVED = ROOT / "docs" / "how_it_works" / "calibration.json"

L = 199  # draws: 200 ranks, of which each level below is a whole number
BINS = 40  # that ranks are saved in
LEVELS = (0.5, 0.8, 0.94, 0.99)
JOINT = 0.01  # the chance that a right program has anything to mark
_ROWS, _NEW = 3, 2  # whose expectations and new outcomes are looked at
_CHUNK = 100
_COMPILED = ("nuts", "laplace")  # whose scenarios stay in one process
GROUPS = {
    "parameters": "parameters",
    "expected": "E[y given do], rows",
    "average": "average effect",
    "new": "new outcomes",
}


# --- One data set -------------------------------------------------------------------------------


def quantities(
    scenario: Scenario, simulated: Simulated, model: Any, rng: np.random.Generator
) -> Iterator[tuple[str, str, float, Array]]:
    """Yield group, name, truth and posterior draws of everything that is looked at."""
    posterior = model.idata_["posterior"]
    for name, truth in simulated.parameters.items():
        values = posterior[name].values
        draws = values.reshape(-1, *values.shape[2:])
        for at in np.ndindex(np.shape(truth)):
            if np.isnan(np.asarray(truth)[at]):  # of what is no quantity
                continue
            label = f"{name}[{', '.join(map(str, at))}]" if at else name
            yield "parameters", label, float(np.asarray(truth)[at]), draws[(slice(None), *at)]

    X, column, high, low = simulated.X, scenario.column, scenario.high, scenario.low
    expected = simulated.expected(high)
    treated, rest = (model.intervene(X, {column: value}) for value in (high, low))
    rows = flat(treated)
    for i in range(min(_ROWS, len(X))):
        yield "expected", f"row {i}", float(expected[i]), rows[:, i]

    weights = simulated.weights
    difference = float(np.average(expected - simulated.expected(low), weights=weights))
    effect = (treated - rest).average(weights=weights)
    yield "average", "average effect", difference, flat(effect).ravel()

    new = simulated.new(rng, high)
    drawn = flat(model.intervene(X[:_NEW], {column: high}, kind="predictive"))
    for i in range(min(_NEW, len(X))):
        yield "new", f"row {i}", float(new[i]), drawn[:, i]


def flat(outcomes: Any) -> Array:
    values = np.asarray(outcomes.draws)
    return values.reshape(values.shape[0] * values.shape[1], -1)


def rank(truth: float, draws: Array, rng: np.random.Generator) -> int:
    """Return the rank of the truth among L draws, ties broken at random.

    Of more draws, which a Markov chain makes, L are taken at equal distances.
    """
    taken = draws[np.linspace(0, len(draws) - 1, L).round().astype(int)]
    return int(np.sum(taken < truth) + rng.integers(np.sum(taken == truth) + 1))


def estimator(scenario: Scenario, seed: int) -> Any:
    from interventional import BayesianInterventionRegressor

    sizes: dict[str, int] = {"draws": L, "chains": 1}
    if scenario.engine == "nuts":
        sizes = {"draws": scenario.draws, "tune": 500, "chains": 2}
    if scenario.engine == "auto":  # many chains have no fewer draws that can be trusted
        sizes = {"draws": 1000, "chains": 1}
    return BayesianInterventionRegressor(**(sizes | dict(scenario.settings)), random_state=seed)


def ranks(scenario: Scenario, seeds: Sequence[int]) -> tuple[dict[Any, Any], int]:
    """Return the ranks of every quantity over data sets, and how many fits warned."""
    found: dict[tuple[str, str], list[int]] = {}
    warned = 0
    for seed in seeds:
        rng = np.random.default_rng([crc32(scenario.title.encode()), seed])
        simulated = scenario.simulate(rng)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = estimator(scenario, int(rng.integers(2**31)))
            model.fit(simulated.X, simulated.y, sample_weight=simulated.weights)
            for group, name, truth, draws in quantities(scenario, simulated, model, rng):
                found.setdefault((group, name), []).append(rank(truth, draws, rng))
        warned += any(issubclass(each.category, ConvergenceWarning) for each in caught)
    return found, warned


# --- What ranks say -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranks:
    """The ranks of one quantity over all data sets of a scenario, counted.

    Attributes
    ----------
    counts : ndarray of shape (BINS,)
        How many fall in each of the bins, all equally likely.
    covered : tuple of int
        How many lie within each of the central intervals.
    """

    counts: Array
    covered: tuple[int, ...]

    @classmethod
    def of(cls, every: Sequence[int]) -> "Ranks":
        values = np.asarray(every)
        outside = [round((1 - level) * (L + 1) / 2) for level in LEVELS]
        covered = tuple(int(np.sum((values >= each) & (values <= L - each))) for each in outside)
        return cls(np.bincount(values * BINS // (L + 1), minlength=BINS), covered)

    @property
    def n(self) -> int:
        return int(np.sum(self.counts))

    def uniform(self) -> float:
        """Return the p-value of a chi-squared test that ranks are uniform, in 20 bins or fewer."""
        bins = next(b for b in (20, 10, 5, 4) if self.n / b >= 5 or b == 4)
        return float(stats.chisquare(self.counts.reshape(bins, -1).sum(axis=1)).pvalue)

    def ecdf(self) -> float:
        """Return the p-value of their empirical distribution function's farthest excursion."""
        return excursion(np.cumsum(self.counts)[:-1], self.n)

    def p_values(self) -> list[float]:
        """Return the p-values of all tests to three digits: of ranks, then of each level."""
        every = (self.uniform(), self.ecdf(), *self.coverage())
        return [float(f"{p:.3g}") for p in every]

    def coverage(self) -> list[float]:
        """Return the exact binomial p-value of each level's coverage."""
        return [
            float(stats.binomtest(count, self.n, level).pvalue)
            for count, level in zip(self.covered, LEVELS, strict=True)
        ]


def excursion(below: Array, n: int) -> float:
    """Return the p-value of a uniform sample's ECDF: how often it strays as far at some point.

    How far it strays is told by its least likely point, pointwise (Säilynoja, Bürkner and Vehtari
    2022, Statistics and Computing 32:32, equation 8). The chance that an ECDF stays nearer than
    that everywhere is summed over its paths, from point to point, as there in section 2.2.

    Parameters
    ----------
    below : ndarray of shape (points,)
        How many of n lie below equally distant points that cut (0, 1).
    """
    points = np.arange(1, len(below) + 1) / (len(below) + 1)
    tails = np.minimum(stats.binom.cdf(below, n, points), stats.binom.sf(below - 1, n, points))
    least = float(tails.min())
    # the fewest and the most that are likelier than that on their side
    low = stats.binom.ppf(least * (1 + 1e-9), n, points).astype(int)
    low += stats.binom.cdf(low, n, points) <= least * (1 + 1e-9)
    high = stats.binom.isf(least * (1 + 1e-9), n, points).astype(int) + 1
    high -= stats.binom.sf(high - 1, n, points) <= least * (1 + 1e-9)
    states, mass, before = np.array([0]), np.array([1.0]), 0.0
    for k, point in enumerate(points):
        reached = np.arange(low[k], high[k] + 1)
        if len(reached) == 0:
            return 1.0
        steps = reached[None, :] - states[:, None]
        chance = (point - before) / (1 - before)
        mass = mass @ stats.binom.pmf(steps, (n - states)[:, None], chance)
        states, before = reached, point
    return float(np.clip(1 - mass.sum(), 0.0, 1.0))


def tests(record: Mapping[str, Any]) -> int:
    """Return how many tests the scenarios that ought to be calibrated make together."""
    return sum(
        (2 + len(LEVELS)) * len(each["quantities"])
        for each in record["scenarios"]
        if not each["approximate"]
    )


@cache
def band(n: int, level: float, alpha: float) -> tuple[float, float]:
    """Return the shares covered that an exact binomial test at level alpha does not reject."""
    chance = stats.binom.pmf(np.arange(n + 1), n, level)
    order = np.argsort(chance)
    at_most = np.cumsum(chance[order])  # the chance of counts that are no likelier
    p_values = np.empty(n + 1)
    p_values[order] = at_most[
        np.searchsorted(chance[order], chance[order] * (1 + 1e-7), side="right") - 1
    ]
    kept = np.flatnonzero(p_values > alpha)
    return float(kept[0] / n), float(kept[-1] / n)


# --- The program --------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the data sets, not saved")
    parser.add_argument("--share", type=float, default=1.0, help="of the data sets")
    parser.add_argument("--only", default="", help="what has this in its name or engine")
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="processes")
    arguments = parser.parse_args()
    share = 0.1 if arguments.quick else arguments.share
    record = run(share, arguments.only, arguments.jobs)
    from benchmarks import calibration_report

    print(calibration_report.table(record))
    if arguments.quick:
        return
    if arguments.only:  # what is saved of the others stays
        record = with_the_others(record)
    SAVED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    calibration_report.main()


def with_the_others(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a run of some scenarios found, and what is saved of the others, in order."""
    known = json.loads(SAVED.read_text(encoding="utf-8")) if SAVED.exists() else {"scenarios": []}
    by_title = {
        (each["about"], each["name"]): each for each in (*known["scenarios"], *record["scenarios"])
    }
    order = [(each.about, each.name) for each in scenarios()]
    return record | {"scenarios": [by_title[key] for key in order if key in by_title]}


def run(share: float, only: str, jobs: int) -> dict[str, Any]:
    """Return what all scenarios found, in the form that is saved."""
    every = scenarios()
    chosen = [
        k for k, each in enumerate(every) if only.lower() in f"{each.title} {each.engine}".lower()
    ]
    tasks = []
    for k in chosen:
        n = max(round(share * every[k].simulations), 20)
        size = n if every[k].engine in _COMPILED else _CHUNK
        tasks += [(k, range(i, min(i + size, n))) for i in range(0, n, size)]
    # what takes long goes first, so that no process waits for it at the end
    order = ("nuts", "auto", "laplace", "exact")
    tasks.sort(key=lambda task: order.index(every[task[0]].engine))
    parts = joblib.Parallel(n_jobs=jobs, batch_size=1, verbose=5)(
        joblib.delayed(_ranks_of)(*task) for task in tasks
    )
    found: dict[int, _Found] = {k: _Found() for k in chosen}
    for (k, _), part in zip(tasks, parts, strict=True):
        found[k].add(*part)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
        "scenarios": [found[k].saved(every[k]) for k in chosen],
    }


@dataclass
class _Found:
    """What the tasks of one scenario found, together."""

    ranks: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    warned: int = 0
    seconds: float = 0.0

    def add(self, ranks: dict[tuple[str, str], list[int]], warned: int, seconds: float) -> None:
        for key, values in ranks.items():
            self.ranks.setdefault(key, []).extend(values)
        self.warned += warned
        self.seconds += seconds

    def saved(self, scenario: Scenario) -> dict[str, Any]:
        counted = {key: Ranks.of(values) for key, values in self.ranks.items()}
        return {
            "name": scenario.name,
            "about": scenario.about,
            "engine": scenario.engine,
            "approximate": scenario.approximate,
            "simulations": next(iter(counted.values())).n,
            "warned": self.warned,
            "seconds": round(self.seconds),
            "quantities": [
                {
                    "group": group,
                    "name": name,
                    "counts": each.counts.tolist(),
                    "covered": list(each.covered),
                    "p": each.p_values(),
                }
                for (group, name), each in counted.items()
            ],
        }


def _ranks_of(number: int, seeds: range) -> tuple[dict[Any, Any], int, float]:
    began = time.process_time()
    return (*ranks(scenarios()[number], seeds), time.process_time() - began)


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("numpy", "pymc", "nutpie", "pymc-extras", "arviz")}


if __name__ == "__main__":
    main()
