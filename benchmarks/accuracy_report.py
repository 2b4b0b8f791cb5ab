"""Writes docs/how_it_works/accuracy.md: `python -m benchmarks.accuracy_report`."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.accuracy import DATA_SETS, SAVED
from benchmarks.accuracy_contestants import CONTESTANTS
from benchmarks.accuracy_regression import DATA, FEW, MODELS
from benchmarks.accuracy_worlds import BY_NAME, WORLDS
from benchmarks.environments import ROOT

PAGE = ROOT / "docs" / "how_it_works" / "accuracy.md"
CLOSE = 1.1  # times the best, up to which one is as good
OURS = ("smooth", "line")
Record = dict[str, Any]
Entry = dict[str, Any]
Cell = Callable[[Entry], str]


def main() -> None:
    record = json.loads(SAVED.read_text(encoding="utf-8"))
    PAGE.write_text(page(record), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(ROOT)}")


def page(record: Record) -> str:
    """Return the page of docs/ that tells what has been measured so far."""
    return "\n\n".join(part.strip() for part in parts(record)) + "\n"


def parts(record: Record) -> Iterator[str]:
    yield "# Accuracy"
    yield INTRODUCTION
    yield "## Who wins where"
    yield from winners(record)
    yield "### How far off rows are, in units of the best"
    yield (
        "Median root PEHE over that of the world's best contestant, on the data sets that both "
        f"saw; the best's own is 1. **Bold** is up to {CLOSE} times the best."
    )
    yield ratio_table(record)
    yield "## The numbers"
    yield tables(record)
    yield "## Which worlds"
    yield "\n".join(f"- **{world.title}**: {world.about}." for world in measured(record))
    yield "## Which contestants"
    yield CONTESTANTS_TOLD
    yield "\n".join(
        f"- **{CONTESTANTS[name].title}**: {CONTESTANTS[name].about}. {versions(record, name)}."
        for name in contestants(record)
    )
    if "regression" in record:
        yield "## Seeing only"
        yield SEEING
        yield regression(record)
    yield "## Run it again"
    yield again(record)


INTRODUCTION = """
How far off are effects, and do intervals hold them? In each world below the effect on every row is
known, as rows are drawn from a program. The contestants see covariates, a treatment and an outcome
and say what the treatment did to each row, and to these rows on average. *Root PEHE* is the root
of the mean square of what they miss rows by (precision in estimating heterogeneous effects); its
median over data sets is shown. The *average* is that of a data set's own rows, not of a
population. The page is made from the numbers of a run ([`accuracy.json`](accuracy.json)), and a
test holds it to them; it tells where others win.
""".strip().replace("\n", " ")

CONTESTANTS_TOLD = """
Each has its defaults but for what is said here, and text columns as columns of zeros and ones
where it cannot read them. Settings are what the documentation of each advises, set once, before
any of these data sets was drawn.
""".strip().replace("\n", " ")

SEEING = f"""
No effects here: R² of prediction on real data, mean of the same 5 folds of shuffled rows, standard
deviation over folds in brackets. The Gaussian process takes its hyperparameters from {FEW:,} rows
where there are more. Levels are one-hot for scikit-learn's. **Bold** is the best, and what is
within 0.01 of it.
""".strip().replace("\n", " ")


# --- Reading the record --------------------------------------------------------------------------


def entries(record: Record, world: str) -> dict[str, Entry]:
    """Return what is known of the contestants in a world."""
    return {
        each["contestant"]: each
        for each in record["results"]
        if each["world"] == world and each["data sets"]
    }


def measured(record: Record) -> list[Any]:
    known = {each["world"] for each in record["results"]}
    return [world for world in WORLDS if world.name in known]


def contestants(record: Record) -> list[str]:
    known = {each["contestant"] for each in record["results"] if each["data sets"]}
    return [name for name in CONTESTANTS if name in known]


def ratio(one: Entry, other: Entry) -> float:
    """Return the median root PEHE of one over that of another, on the data sets that both saw."""
    both = one["each pehe"].keys() & other["each pehe"].keys()
    if not both:
        return 0.0
    medians = [np.median([each["each pehe"][key] for key in both]) for each in (one, other)]
    return float(medians[0] / medians[1])


def to_best(known: dict[str, Entry], who: str) -> tuple[float, str]:
    """Return the largest ratio of a contestant to any, which is at least 1, and to whom."""
    return max((ratio(known[who], other), name) for name, other in known.items())


def ratios(record: Record, who: str) -> dict[str, tuple[float, str]]:
    """Return a contestant's root PEHE over the best's, and who that is, by world."""
    return {
        world.name: to_best(known, who)
        for world in measured(record)
        if who in (known := entries(record, world.name))
    }


def versions(record: Record, who: str) -> str:
    found: dict[str, str] = {}
    for each in record["results"]:
        if each["contestant"] == who:
            found |= each.get("versions", {})
    return ", ".join(f"{name} {number}" for name, number in found.items())


# --- Who wins ------------------------------------------------------------------------------------


def winners(record: Record) -> Iterator[str]:
    for who in OURS:
        if who in contestants(record):
            yield f"**{CONTESTANTS[who].title}**. " + " ".join(verdict(record, who))


def verdict(record: Record, who: str) -> Iterator[str]:
    """Yield sentences on one contestant: rows, against BART and the line, intervals."""
    own = ratios(record, who)
    behind = {name: each for name, each in own.items() if each[0] > CLOSE}
    yield (
        f"Its root PEHE is at most {CLOSE} times the best contestant's in "
        f"{len(own) - len(behind)} of {len(own)} worlds."
    )
    if behind:
        told = [
            f"{BY_NAME[name].title} ({times:.2f} times {CONTESTANTS[winner].title}'s)"
            for name, (times, winner) in sorted(behind.items(), key=lambda pair: -pair[1][0])
        ]
        yield f"Others win in: {', '.join(told)}."
    yield from against(record, who)
    yield from intervals(record, who)


def against(record: Record, who: str) -> Iterator[str]:
    """Yield how it does against BART, and on the straight world against the line."""
    found = [
        ratio(known[who], known["bart"])
        for world in measured(record)
        if {who, "bart"} <= set(known := entries(record, world.name))
    ]
    if found:
        yield f"It is at most BART's in {sum(each <= 1 for each in found)} of {len(found)}."
    straight = entries(record, "straight")
    if who != "line" and {who, "line"} <= set(straight):
        times = ratio(straight[who], straight["line"])
        yield f"On the straight world it is {times:.2f} times the line's."


def intervals(record: Record, who: str) -> Iterator[str]:
    """Yield how often its 95% intervals hold averages and rows."""
    own = {
        world.name: known[who]
        for world in measured(record)
        if "average held" in (known := entries(record, world.name)).get(who, {})
    }
    if not own:
        return
    held = sum(each["average held"] for each in own.values())
    of = sum(each["data sets"] for each in own.values())
    least, worst = min(
        (each["average held"] / each["data sets"], name) for name, each in own.items()
    )
    yield (
        f"Its 95% intervals hold the average effect in {held} of {of} data sets "
        f"({percent(held / of)}), least often in {BY_NAME[worst].title} "
        f"({percent(least)});"
    )
    shares = [(each["rows held"], name) for name, each in own.items()]
    (low, lowest), (high, highest) = min(shares), max(shares)
    yield (
        f"they hold {percent(low)} ({BY_NAME[lowest].title}) to {percent(high)} "
        f"({BY_NAME[highest].title}) of rows' effects."
    )


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


# --- Tables --------------------------------------------------------------------------------------


def ratio_table(record: Record) -> str:
    def cell(entry: Entry) -> str:
        times, _ = to_best(entries(record, entry["world"]), entry["contestant"])
        return f"**{times:.2f}**" if times <= CLOSE else f"{times:.2f}"

    return by_world(record, cell)


def tables(record: Record) -> str:
    """Return a table of worlds and contestants for each thing that is measured."""
    found = []
    for title, about, cell in MEASURES:
        found += [f"### {title}", about, by_world(record, cell)]
    return "\n\n".join(found)


def root_pehe(entry: Entry) -> str:
    low, high = entry["pehe quartiles"]
    return f"{entry['pehe']:.3g} ({low:.3g} to {high:.3g})"


def average_error(entry: Entry) -> str:
    return f"{entry['rmse']:.3g} ({entry['bias']:+.2g})"


def average_held(entry: Entry) -> str:
    if "average held" not in entry:
        return "none"
    share = entry["average held"] / entry["data sets"]
    outside = stats.binomtest(entry["average held"], entry["data sets"], 0.95).pvalue < 0.01
    text = f"{100 * share:.0f}"
    return f"{'**' + text + '**' if outside else text} ({entry['average width']:.3g})"


def rows_held(entry: Entry) -> str:
    if "rows held" not in entry:
        return "none"
    return f"{100 * entry['rows held']:.0f} ({entry['rows width']:.3g})"


def seconds(entry: Entry) -> str:
    return f"{entry['cpu']:.2g}"


def count(entry: Entry) -> str:
    failed = f" ({entry['failed']['count']} failed)" if "failed" in entry else ""
    return f"{entry['data sets']}{failed}"


MEASURES: tuple[tuple[str, str, Cell], ...] = (
    (
        "Rows: root PEHE",
        "Median over data sets, and quartiles. Where one has fewer data sets than another (the "
        "last table), they are the first of these, and medians differ by that too.",
        root_pehe,
    ),
    (
        "The average effect: error",
        "Root mean square over data sets; in brackets the mean error, which is bias.",
        average_error,
    ),
    (
        "The average effect: 95% intervals",
        "Percent of data sets whose interval holds it, and the mean width. **Bold**: other than "
        "95% by a binomial test at 1%.",
        average_held,
    ),
    (
        "Rows: 95% intervals",
        "Percent of rows whose interval holds their effect, and the mean width. An interval of a "
        "row is that of its expected effect.",
        rows_held,
    ),
    (
        "Seconds",
        "Of one processor, median: to fit and to answer for the average and all rows.",
        seconds,
    ),
    ("Data sets", "How many each has seen.", count),
)


def by_world(record: Record, cell: Cell) -> str:
    names = contestants(record)
    rows = []
    for world in measured(record):
        known = entries(record, world.name)
        rows.append([world.title, *(cell(known[n]) if n in known else "–" for n in names)])
    return table(["world", *(CONTESTANTS[name].title for name in names)], rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])


def regression(record: Record) -> str:
    every = record["regression"].values()
    names = [name for name in MODELS if any(name in each["scores"] for each in every)]
    rows, behind = [], []
    for key, (_, about) in DATA.items():
        if key not in record["regression"]:
            continue
        entry = record["regression"][key]
        means = {name: float(np.mean(each["r2"])) for name, each in entry["scores"].items()}
        most = max(means.values())
        cells = []
        for name in names:
            if name not in means:
                cells.append("–")
                continue
            text = f"{means[name]:.3f}"
            text = f"**{text}**" if means[name] >= most - 0.01 else text
            cells.append(f"{text} ({np.std(entry['scores'][name]['r2'], ddof=1):.3f})")
        rows.append([f"{about}, {entry['rows']:,} x {entry['columns']}", *cells])
        who = next(name for name in OURS if name in means)
        if means[who] < most - 0.01:
            winner = max(means, key=lambda name: means[name])
            behind.append(f"{key} ({MODELS[winner][1]}, by {most - means[who]:.3f})")
    numbers = ", ".join(f"{k} {v}" for k, v in record["regression versions"].items())
    found = table(["data", *(MODELS[name][1] for name in names)], rows)
    who = next(name for name in OURS if name in names)
    told = "Others are ahead of `{}` on: {}." if behind else "None is ahead of `{}` by more.{}"
    return f"{found}\n\n{told.format(who, ', '.join(behind))} {numbers}."


# --- How it was run ------------------------------------------------------------------------------


def again(record: Record) -> str:
    machine = record["machine"]
    hours = sum(each.get("all seconds", 0) for each in record["results"]) / 3600
    answers = sum(each["data sets"] for each in record["results"])
    most = max(each["data sets"] for each in record["results"])
    sentences = [
        f"This run: last added to on {record['date']}; {answers:,} answers in {hours:.1f} hours "
        f"on {machine['processor']}, {machine['cores']} cores, {machine['memory']}.",
        "One process of one thread ran at a time, beside other work, so seconds are those of the "
        "processor.",
    ]
    if most < DATA_SETS:
        sentences.append(
            f"A full run has {DATA_SETS} data sets, fewer of worlds of many rows; this one has up "
            f"to {most} so far."
        )
    sentences.append(
        "Each data set has a seed of its own, kept apart from those that methods are developed "
        "on; more data sets add to those that are here."
    )
    return COMMANDS + "\n" + " ".join(sentences)


COMMANDS = """
```
.venv/bin/python -m benchmarks.accuracy                       # everything, and this page
.venv/bin/python -m benchmarks.accuracy --quick               # 2 data sets, 3 worlds, unsaved
.venv/bin/python -m benchmarks.accuracy --contestants smooth  # only this one; the others stay
.venv/bin/python -m benchmarks.accuracy_regression            # R²
```
"""


if __name__ == "__main__":
    main()
