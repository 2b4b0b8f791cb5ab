"""Writes docs/how_it_works/calibration.md: `python -m benchmarks.calibration_report`."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibration import (
    BINS,
    GROUPS,
    JOINT,
    LEVELS,
    ROOT,
    SAVED,
    L,
    band,
    tests,
)
from benchmarks.calibration_scenarios import scenarios

PAGE = ROOT / "docs" / "how_it_works" / "calibration.md"
ECDF = ROOT / "docs" / "images" / "calibration.png"
COVERAGE = ROOT / "docs" / "images" / "calibration_coverage.png"
Record = dict[str, Any]
COLOURS = dict(zip(GROUPS, ("C0", "C1", "C2", "C3"), strict=True))


def main() -> None:
    record = json.loads(SAVED.read_text(encoding="utf-8"))
    PAGE.write_text(page(record), encoding="utf-8")
    draw_ecdf(record, ECDF)
    draw_coverage(record, COVERAGE)
    print(f"Wrote {PAGE.relative_to(ROOT)}")


def page(record: Record) -> str:
    """Return the page of docs/ that tells a run's results."""
    return "\n\n".join(part.strip() for part in parts(record)) + "\n"


def parts(record: Record) -> Iterator[str]:
    yield "# Calibration"
    yield INTRODUCTION
    yield "## The result"
    yield result(record)
    yield "![Empirical distributions of ranks, less the diagonal](../images/calibration.png)"
    yield (
        "Ranks: their empirical distribution function less that of uniform ones, a line for each "
        "quantity. Grey is where a line stays as a whole in 99 of 100 runs of a right program. A "
        "posterior that is too narrow makes an S with its belly up on the left; one that is to "
        "one side of the truth an arch."
    )
    yield "![Coverage of intervals](../images/calibration_coverage.png)"
    yield (
        "Coverage of central intervals, a dot for each quantity. The bars are where all dots of "
        f"the picture stay in {100 * (1 - JOINT):.0f} of 100 runs of a right program."
    )
    yield "## What is simulated"
    yield SIMULATED
    yield "## The table"
    yield READING
    yield bands(record)
    for about in dict.fromkeys(each["about"] for each in record["scenarios"]):
        yield f"### {about}"
        chosen = [each for each in record["scenarios"] if each["about"] == about]
        yield table({"scenarios": chosen}, limit(record))
        for reason in dict.fromkeys(each["approximate"] for each in chosen):
            if reason:
                yield f"† {reason}."
    yield "## Run it again"
    yield again(record)


INTRODUCTION = f"""
Can the draws and intervals of this package be believed? Simulation-based calibration (Talts,
Betancourt, Simpson, Vehtari and Gelman 2018) asks this of the whole program at once. Parameters
are drawn from their prior, data from these parameters, and the estimator is fitted to the data. If
its draws are those of the posterior, the truth is one more draw like the others: among {L} of them
its rank is uniform on 0, …, {L}, and a 94% interval holds it in 94% of the data sets. This is
exact, for any number of rows, and for whatever is computed from the parameters, so it is asked of
four kinds of numbers: the parameters; E[y | do] of single rows; the average effect, averaged
within each draw; and new outcomes under do. What draws the data is written in NumPy from the
definitions of the models
([`calibration_scenarios.py`](../../benchmarks/calibration_scenarios.py)) and shares no line with
the package. This page is made from the counts of a run
([`calibration.json`](calibration.json)), and a test holds it to them.
""".strip().replace("\n", " ")

SIMULATED = """
Columns are Normal and share a correlation; new ones are drawn for each data set, as are new
parameters. Column `a` is forced from one value to another. Three kinds of model need a word:

- **Priors that take their scale from the data** (the defaults, `ridge`,
  `horseshoe`) are one prior only among data sets of one standard deviation of y. Draws that are
  calibrated given the data are so among any data sets that are picked by what is in them. So
  parameters and data are drawn until y has the standard deviation 1 to within 2% (and, where the
  intercept's prior follows it, the mean 0 to within 5%).
- **Flat priors** have nothing to draw from. One truth is behind all data sets; with a prior of
  sigma of 1/sigma the intervals are those of least squares, and their frequentist coverage is
  exact (Severini, Mukerjee and Ghosh 2002).
- **Weights** are frequencies. Columns of zeros and ones, and outcomes of a tenth's precision,
  leave equal rows, which are merged into one of more weight.

NUTS draws 2 chains of 500 (shrinking priors: 1,000) after 500 of warm-up; of these 199 are taken
at equal distances. The exact engine and Laplace draw 199 independently. `auto`, what compiles
nothing ([weighed draws](weighed_draws.md), many short chains, moves within bounds), draws 1,000,
of which 199 are taken at equal distances. ADVI and Pathfinder stood here once and were dropped:
ADVI's 94% intervals of parameters covered 69 to 96%, and exact inference, Laplace and NUTS leave
the two no work.
""".strip()

READING = f"""
Each line is about all quantities of one kind; a range is over them. Every quantity is tested at
each level by the exact binomial test, and its ranks by a chi-squared test over 20 bins (fewer for
few data sets) and by the farthest excursion of their empirical distribution function
(Säilynoja, Bürkner and Vehtari 2022), whose p-value is exact. “Ranks” is the smaller of their
p-values, the smallest of the line. What is **bold** is outside of its Monte Carlo band at a joint
level of {100 * JOINT:g}% (Bonferroni, over all tests of the run that a calibrated program should
pass). † marks approximations, which are not expected to. “Warned” counts the fits that warned of
themselves by a `ConvergenceWarning`.
""".strip().replace("\n", " ")


def limit(record: Record) -> float:
    """Return the p-value below which a test is marked."""
    return JOINT / max(tests(record), 1)


def of_group(scenario: Record, group: str) -> list[Record]:
    return [each for each in scenario["quantities"] if each["group"] == group]


def smallest(scenario: Record) -> tuple[float, str]:
    """Return the smallest p-value of a scenario, and which quantity's it is."""
    return min((min(each["p"]), each["name"]) for each in scenario["quantities"])


def marked(record: Record) -> list[tuple[Record, float, str]]:
    """Return the scenarios that something is outside of its band in."""
    found = [(each, *smallest(each)) for each in record["scenarios"]]
    return [each for each in found if each[1] < limit(record)]


def result(record: Record) -> str:
    exact = [each for each in record["scenarios"] if not each["approximate"]]
    counted = sum(len(each["quantities"]) for each in exact)
    simulated = sum(each["simulations"] for each in record["scenarios"])
    p, which, name = min((*smallest(each), each["name"]) for each in exact)
    lines = [
        f"{simulated:,} data sets in {len(record['scenarios'])} scenarios, one fit each. "
        f"{len(exact)} scenarios have engines that should be calibrated exactly; their "
        f"{counted} quantities make {tests(record):,} tests."
    ]
    wrong = [each for each in marked(record) if not each[0]["approximate"]]
    if wrong:
        names = ", ".join(f"{each['name']} ({what}, p = {p:.1g})" for each, p, what in wrong)
        lines.append(f"Outside of their bands at a joint level of {100 * JOINT:g}%: {names}.")
    else:
        lines.append(
            f"All are inside of their bands at a joint level of {100 * JOINT:g}%: a p-value below "
            f"{limit(record):.2g} would be outside, and the smallest is {p:.2g} ({name}, {which})."
        )
    poor = [each["name"] for each, _, _ in marked(record) if each["approximate"]]
    others = [
        each["name"]
        for each in record["scenarios"]
        if each["approximate"] and each["name"] not in poor
    ]
    lines.append(f"Approximations that are off by more than that: {'; '.join(poor) or 'none'}.")
    if others:
        lines.append(f"Approximations that are not: {'; '.join(others)}.")
    return " ".join(lines)


def bands(record: Record) -> str:
    """Return how far coverage may be off, by the number of data sets."""
    rows = []
    for n in sorted({each["simulations"] for each in record["scenarios"]}):
        ends = [band(n, level, limit(record)) for level in LEVELS]
        rows.append([f"{n:,}", *(f"{100 * a:.1f} to {100 * b:.1f}" for a, b in ends)])
    return "The bands of coverage, in percent:\n\n" + _table(
        ["data sets", *(f"{100 * level:g}%" for level in LEVELS)], rows
    )


def table(record: Record, alpha: float | None = None) -> str:
    """Return coverage and ranks, a line for each kind of quantity of each scenario."""
    alpha = limit(record) if alpha is None else alpha
    rows = []
    for scenario in record["scenarios"]:
        name = scenario["name"] + (" †" if scenario["approximate"] else "")
        n = f"{scenario['simulations']:,}"
        warned = str(scenario["warned"] or "")
        for group, words in GROUPS.items():
            found = of_group(scenario, group)
            cells = []
            for k in range(len(LEVELS)):
                shares = [100 * each["covered"][k] / scenario["simulations"] for each in found]
                cells.append(
                    _marked(_range(shares), min(each["p"][2 + k] for each in found) < alpha)
                )
            p = min(min(each["p"][:2]) for each in found)
            cells.append(_marked(f"{p:.2g}" if p >= 1e-10 else "< 1e-10", p < alpha))
            rows.append([name, n, warned, f"{words} ({len(found)})", *cells])
            name = n = warned = ""
    head = ["", "data sets", "warned", "quantities", *(f"{100 * x:g}%" for x in LEVELS), "ranks"]
    return _table(head, rows)


def _range(shares: list[float]) -> str:
    low, high = f"{min(shares):.1f}", f"{max(shares):.1f}"
    return low if low == high else f"{low}–{high}"


def _marked(text: str, outside: bool) -> str:
    return f"**{text}**" if outside else text


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def again(record: Record) -> str:
    seconds = sum(each["seconds"] for each in record["scenarios"])
    packages = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    made = sum(each["simulations"] for each in record["scenarios"])
    full = sum(each.simulations for each in scenarios())
    part = "" if made >= full else f", {made:,} of the {full:,} data sets of a full one"
    return f"""
```
.venv/bin/python -m benchmarks.calibration                  # everything, and this page
.venv/bin/python -m benchmarks.calibration --share 0.4      # some of the data sets
.venv/bin/python -m benchmarks.calibration --quick          # a tenth, and no page
.venv/bin/python -m benchmarks.calibration --only nuts      # what has this in its name or engine
```

This run: {record["date"]}, {seconds / 60:.0f} minutes of one core{part}, {packages}. Every data
set has a seed of its own, so that more of them add to those that are here. The tests make a small
run of their own each time, and some with draws that are wrong on purpose, which must be
caught: [`test_calibration.py`](../../tests/test_calibration.py).
"""


# --- Pictures -----------------------------------------------------------------------------------


@cache
def envelope(n: int) -> tuple[Any, Any, Any]:
    """Return points, and the simultaneous 99% band of n uniform ranks' ECDF there (ArviZ)."""
    from arviz_stats import ecdf_utils

    points = np.arange(1, BINS) / BINS
    rng = np.random.default_rng(0)
    pointwise = ecdf_utils.simulate_confidence_bands(n, 1, points, 0.99, 4000, rng)
    return points, *ecdf_utils.get_pointwise_confidence_band(pointwise, n, points)


def draw_ecdf(record: Record, target: Path) -> None:
    """Draw the ECDF of all ranks less the diagonal, a panel for each scenario."""
    plt = _pyplot()
    every = record["scenarios"]
    width = 6
    height = -(-len(every) // width)
    figure, axes = plt.subplots(
        height, width, figsize=(15, 1.9 * height + 0.5), sharex=True, layout="constrained"
    )
    for axis in axes.flat[len(every) :]:
        axis.axis("off")
    for axis, scenario in zip(axes.flat, every, strict=False):
        points, low, high = envelope(scenario["simulations"])
        axis.fill_between(points, low - points, high - points, color="0.88", lw=0)
        for each in scenario["quantities"]:
            ecdf = np.cumsum(each["counts"])[:-1] / scenario["simulations"]
            axis.plot(points, ecdf - points, color=COLOURS[each["group"]], lw=0.9, alpha=0.8)
        reach = 1.25 * max(np.abs(axis.get_ylim()))
        axis.set(ylim=(-reach, reach), xticks=[0, 0.5, 1])
        axis.tick_params(labelsize=7)
        title = f"{scenario['about']}: {scenario['name'].replace('`', '')}"
        title = title.removeprefix("Approximations: ")
        title += " †" if scenario["approximate"] else ""
        axis.set_title(title, fontsize=7, color="C5" if scenario["approximate"] else "black")
    handles = [
        plt.Line2D([], [], color=colour, label=GROUPS[group]) for group, colour in COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(target, dpi=75)
    plt.close(figure)


def draw_coverage(record: Record, target: Path) -> None:
    """Draw coverage at each level, a column for each scenario."""
    plt = _pyplot()
    every = record["scenarios"]
    figure, axes = plt.subplots(
        len(LEVELS), 1, figsize=(15, 11), sharex=True, layout="constrained"
    )
    offsets = dict(zip(GROUPS, (-0.24, -0.08, 0.08, 0.24), strict=True))
    for k, (axis, level) in enumerate(zip(axes, LEVELS, strict=True)):
        for i, scenario in enumerate(every):
            low, high = band(scenario["simulations"], level, limit(record))
            axis.bar(i, 100 * (high - low), 0.8, 100 * low, color="0.88")
            for each in scenario["quantities"]:
                group = each["group"]
                share = 100 * each["covered"][k] / scenario["simulations"]
                axis.plot(i + offsets[group], share, ".", ms=4, color=COLOURS[group])
        axis.axhline(100 * level, color="black", lw=0.7)
        axis.set_ylabel(f"{100 * level:g}% interval holds\nthe truth in ... %", fontsize=9)
        axis.set_xlim(-0.6, len(every) - 0.4)
    names = [
        f"{each['about']}: {each['name'].replace('`', '')}" + (" †" if each["approximate"] else "")
        for each in every
    ]
    axes[-1].set_xticks(range(len(every)), names, rotation=60, ha="right", fontsize=8)
    handles = [
        plt.Line2D([], [], color=colour, marker=".", ls="", label=GROUPS[group])
        for group, colour in COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(target, dpi=90)
    plt.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


if __name__ == "__main__":
    main()
