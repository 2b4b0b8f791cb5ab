"""The claims that one run of the benchmark decides."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.answers import median

Record = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A number that was measured, and the bound that it has to keep, if one was set.

    Before is what it was at an earlier commit, or why that is not known.
    """

    number: int
    text: str
    measured: float | None
    bound: float | None
    at_least: bool
    unit: str = "times"
    before: float | str = ""

    @property
    def holds(self) -> bool | None:
        """Whether it holds; None where something was not measured."""
        if self.measured is None or self.bound is None:
            return None
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def judge(record: Record) -> list[Record]:
    """Return all claims with what was measured."""
    return [{**asdict(claim), "holds": claim.holds} for claim in claims(Times(record))]


class Times:
    """Medians by workload and contestant; None where there are none."""

    def __init__(self, record: Record):
        self.record = record
        timed = [*record["timed"], *record["fresh"], *record["memory"]]
        self._workloads = {w["key"]: w["results"] for w in timed}

    def __call__(self, key: str, contestant: str, peer: str | None = None) -> float | None:
        return self._find(self._workloads.get(key, []), contestant, peer)

    def before(self, key: str, contestant: str) -> float | str:
        """What the earlier commit took, or why that is not known."""
        for result in self._workloads.get(key, []):
            if (result["peer"], result["contestant"]) == ("before", contestant):
                known = median(result)
                return result.get("not_timed", "") if known is None else known
        return ""

    def first(self, peer: str) -> float | None:
        """The first call of a process."""
        found = [r for r in self.record["first"]["results"] if r["peer"] == peer]
        return median(found[0]) if found else None

    def weight(self, start: str, contestant: str, peer: str = "interventional") -> Record:
        """The memory of a contestant in the workload whose key starts so."""
        for workload in self.record["memory"]:
            if workload["key"].startswith(start):
                for result in workload["results"]:
                    if (result["peer"], result["contestant"]) == (peer, contestant) and (
                        "extra" in result
                    ):
                        return dict(result)
        return {}

    def imported(self, statement: str) -> float | None:
        """Seconds of an import statement."""
        return median({"seconds": self.record["imports"].get(statement)})

    @staticmethod
    def _find(results: list[Record], contestant: str, peer: str | None) -> float | None:
        for result in results:
            if result["contestant"] == contestant and peer in (None, result["peer"]):
                return median(result)
        return None


def ratio(a: float | None, b: float | None) -> float | None:
    """Return a / b, or None where either is missing."""
    return None if a is None or not b else a / b


def claims(times: Times) -> Iterator[Claim]:
    """Yield the claims, in the order of their numbers."""
    yield from small(times)
    yield from large(times)
    yield from nuts(times)
    yield from asking(times)
    yield Claim(
        5, "`import interventional` against `import sklearn, pandas`",
        ratio(times.imported("import interventional"), times.imported("import sklearn, pandas")),
        1.1, at_least=False,
    )  # fmt: skip
    yield Claim(
        5, "`from interventional import BayesianInterventionRegressor` against both of these",
        ratio(
            times.imported("from interventional import BayesianInterventionRegressor"),
            times.imported("import sklearn, pandas"),
        ),
        1.2, at_least=False,
    )  # fmt: skip
    streamed = times.weight("stream", "partial_fit in blocks")
    yield Claim(
        6, "`partial_fit` over 20 million rows x 10 columns made on the fly: memory of all",
        streamed["process"] / 1e9 if streamed else None, 1.0, at_least=False, unit="GB",
    )  # fmt: skip
    yield from shrinking(times)
    yield from families(times)
    yield from waits(times)


def shrinking(times: Times) -> Iterator[Claim]:
    yield Claim(
        7, "`priors=\"ridge\"`, n = 442, p = 65: exact fit against `BayesianRidge`",
        ratio(times("ridge polynomial", "exact"), times("ridge polynomial", "BayesianRidge")),
        30, at_least=False,
    )  # fmt: skip
    for family in ("bernoulli", "poisson"):
        key = f"fit_{family} {family}-1000-10"
        yield Claim(
            8, f"`family=\"{family}\"`, n = 1,000, p = 10: Laplace faster than NUTS at a "
            "structure already seen",
            ratio(times(key, "NUTS"), times(key, "Laplace")), 5, at_least=True,
        )  # fmt: skip


RIVALS = (  # contestants and their peers
    ("`pm.sample`, warm, building the model included", "pm.sample", "pymc_by_hand"),
    ("nutpie on a model compiled beforehand", "nutpie, compiled before", "pymc_by_hand"),
    ("Bambi", "nutpie", "bambi"),
    ("NumPyro", "NUTS", "numpyro"),
    ("statsmodels' GLM", "statsmodels GLM", "floor"),
)


def families(times: Times) -> Iterator[Claim]:
    for family in ("bernoulli", "poisson"):
        words = f'`family="{family}"`, n = 1,000, p = 10'
        first, again = (f"{word}_{family} {family}-1000-10" for word in ("first", "fit"))
        for key, when, bound in (
            (first, "first fit of a process, PyMC imported", 1.0),
            (again, "a later fit", 0.2),
        ):
            yield seconds(times, 9, f"{words}: {when}", key, "auto", bound)
        for rival, contestant, peer in RIVALS:
            yield Claim(
                9, f"{words}: a later fit faster than {rival}",
                ratio(times(again, contestant, peer), times(again, "auto")), None, at_least=True,
            )  # fmt: skip


def seconds(
    times: Times, number: int, words: str, key: str, contestant: str, bound: float | None
) -> Claim:
    """Return a claim about a wait."""
    return Claim(
        number, words, times(key, contestant), bound, at_least=False, unit="s",
        before=times.before(key, contestant),
    )  # fmt: skip


WAITS = (
    ("mediated mediated-300-3", "effect",
     "effect through a mediator, the outcome a spline of it, 300 rows", 1.0),
    ("rows gallery-1000000-3", "exact", "1e6 rows: mean and interval of each", 5.0),
    ("fit_large bernoulli-1000000-20", "auto", "zeros and ones, n = 1e6, p = 20: fit", 15.0),
    ("fit_horseshoe sparse-500-120", "auto", '`priors="horseshoe"`, n = 500, p = 120: fit', 20.0),
    ("fit_r2d2 sparse-500-120", "auto", '`priors="r2d2"`, n = 500, p = 120: fit', 20.0),
    ("fit_crossed crossed-1000-3", "auto",
     "zeros and ones in groups of two kinds, 25 x 15, n = 1,000: fit", None),
    ("levels levels-20000-2", "effect", "effect of one level of 2,000, 20,000 rows", None),
    ("nodes nodes-1000-58", "effect", "effects of 5 nodes in a graph of 59, 1,000 rows", None),
)  # fmt: skip


def waits(times: Times) -> Iterator[Claim]:
    for key, contestant, words, bound in WAITS:
        yield seconds(times, 10, words, key, contestant, bound)
    key, intervene = "saved linear-100-3", "intervene, with intervals"
    ours, before = (
        ratio(times(key, intervene, peer), times(key, "predict", peer))
        for peer in ("interventional", "before")
    )
    yield Claim(
        10, "a saved model loaded in a new process: first `intervene` against first `predict`",
        ours, 1.1, at_least=False, before=before or "",
    )  # fmt: skip


def small(times: Times) -> Iterator[Claim]:
    pairs = (("fit diabetes", "exact fit, n = 442, p = 10"),
             ("cross_validation diabetes 5", "5-fold cross-validation on diabetes"))  # fmt: skip
    for key, words in pairs:
        ours = times(key, "exact")
        yield Claim(
            1, f"{words}: faster than warm `pm.sample`", ratio(times(key, "pm.sample"), ours),
            100, at_least=True,
        )  # fmt: skip
        yield Claim(
            1, f"{words}: against `BayesianRidge`", ratio(ours, times(key, "BayesianRidge")),
            4, at_least=False,
            before=ratio(times(key, "exact", "before"), times(key, "BayesianRidge")) or "",
        )  # fmt: skip


def large(times: Times) -> Iterator[Claim]:
    key = "fit linear-1000000-20"
    yield Claim(
        2, "n = 1e6, p = 20: fit against `numpy.linalg.lstsq`",
        ratio(times(key, "exact"), times(key, "numpy.linalg.lstsq")), 1.5, at_least=False,
    )  # fmt: skip
    weight = times.weight("fit", "exact")
    yield Claim(
        2, "n = 1e6, p = 20: peak memory against the data's",
        (weight["data"] + weight["extra"]) / weight["data"] if weight else None,
        1.3, at_least=False,
    )  # fmt: skip
    for contestant, words in (("exact", "fit"), ("partial_fit in blocks", "`partial_fit`")):
        yield Claim(
            2, f"{words}, p = 20: slope of log time on log rows from n = 1e4 to 1e7; 1 is linear",
            slope(lambda n, who=contestant: times(f"fit linear-{n}-20", who)),
            1.05, at_least=False, unit="",
        )  # fmt: skip


def slope(seconds: Callable[[int], float | None]) -> float | None:
    """Return the slope of the line through log seconds over log rows, by least squares."""
    powers = (4, 5, 6, 7)
    medians = [seconds(10**power) for power in powers]
    known = [median for median in medians if median]
    if len(known) < len(powers):
        return None
    return float(np.polyfit(powers, np.log10(known), 1)[0])


def nuts(times: Times) -> Iterator[Claim]:
    key = "nuts_refit diabetes"
    ours = times(key, "NUTS")
    yield Claim(
        3, "NUTS at a structure already seen: fit against `nutpie.sample` inside it",
        ratio(ours, times(key, "of which nutpie.sample")), 1.3, at_least=False,
    )  # fmt: skip
    yield Claim(
        3, "NUTS at a structure already seen: fit against nutpie on the model by hand, "
        "compiled before",
        ratio(ours, times(key, "nutpie, compiled before")), 1.3, at_least=False,
    )  # fmt: skip
    key = "nuts_cross_validation diabetes 20"
    yield Claim(
        3, "20 fits of cross-validation under NUTS: faster than `pm.sample`",
        ratio(times(key, "pm.sample"), times(key, "NUTS")), 10, at_least=True,
    )  # fmt: skip


def asking(times: Times) -> Iterator[Claim]:
    ours = times("intervene gallery-100-3", "exact")
    yield Claim(
        4, "`intervene`, 100 rows x 4,000 draws, warm: faster than `pm.do` and posterior "
        "prediction, warm",
        ratio(times("intervene gallery-100-3", "pm.do"), ours), 4, at_least=True,
    )  # fmt: skip
    yield Claim(
        4, "`intervene`, 100 rows x 4,000 draws, warm: faster than `pm.do` and posterior "
        "prediction, cold: the first of a process, nothing compiled yet",
        ratio(times.first("pymc_by_hand"), ours), 50, at_least=True,
    )  # fmt: skip
    for key, p in (("gallery-1000000-3", 3), ("linear-1000000-20", 20)):
        key = f"average {key}"
        yield Claim(
            4, f"1e6 rows, p = {p}: average with interval against NumPy's product in blocks",
            ratio(times(key, "exact"), times(key, "NumPy product")), 2, at_least=False,
        )  # fmt: skip
    ours, before = (
        weight["extra"] / 1e9 if weight else None
        for weight in (times.weight("rows", "exact", p) for p in ("interventional", "before"))
    )
    yield Claim(
        4, "1e6 rows: mean and interval of each row, extra memory",
        ours, 0.3, at_least=False, unit="GB", before=before or "",
    )  # fmt: skip
