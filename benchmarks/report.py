"""Writes docs/how_it_works/benchmarks.md from the results: `python -m benchmarks.report`.

The results of the last run become benchmarks.json beside it; the page is made of nothing else.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.answers import median
from benchmarks.workloads import SIZES, TITLES

ROOT = Path(__file__).parent.parent
LATEST = Path(__file__).parent / "results" / "latest.json"
SAVED = ROOT / "docs" / "how_it_works" / "benchmarks.json"
PAGE = ROOT / "docs" / "how_it_works" / "benchmarks.md"
PICTURE = ROOT / "docs" / "images" / "benchmarks_growth.png"

Record = dict[str, Any]
WIDTHS = (3, 20, 100)
ROWS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
GROWTH = ("exact", "NUTS", "pm.sample", "BayesianRidge", "numpy.linalg.lstsq")


def main() -> None:
    record = json.loads((LATEST if LATEST.exists() else SAVED).read_text(encoding="utf-8"))
    SAVED.write_text(json.dumps(compact(record), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(SAVED.read_text(encoding="utf-8"))), encoding="utf-8")
    draw(record, PICTURE)
    print(f"Wrote {PAGE.relative_to(ROOT)}")


def compact(record: Record) -> Record:
    """Round what is saved: no clock is exact to more than four digits."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.4g}")
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return [rounded(item) for item in value] if isinstance(value, list) else value

    return dict(rounded(record))


def page(record: Record) -> str:
    """Return the page of docs/ that tells a run's results."""
    return "\n\n".join(part.strip() for part in parts(record)) + "\n"


def parts(record: Record) -> Iterator[str]:
    yield "# Benchmarks"
    if record["quick"]:
        yield (
            "**These numbers come from a quick run, to try the machinery, and are no "
            "measurement.**"
        )
    yield INTRODUCTION
    yield "## Where and with what"
    yield machine(record)
    yield "## What is claimed"
    yield (
        "Each line is decided by the medians of this run. “Not measured” means that a contestant "
        "could not be timed; the tables below say why. “Before” is what the same took, in this "
        "run, at an earlier commit of this package, in seconds or against the same peer. Where no "
        "bound stands, none was set: the ratio is there to be seen."
    )
    yield claims_table(record["claims"], markdown=True)
    yield "## Growth of cost with rows and columns"
    yield growth(record)
    yield "![Seconds of a fit against the number of rows](../images/benchmarks_growth.png)"
    yield "## All workloads"
    yield REMARKS
    if record["left_out"]:
        yield f"Left out, as time was over: {', '.join(record['left_out'])}."
    for workload in record["timed"]:
        yield f"### {title(workload)}"
        yield results_table(workload, markdown=True)
    for workload in (record["cold"], record["first"], *record["fresh"]):
        yield f"### {title(workload)}"
        yield results_table(workload, markdown=True)
    yield "### Imports"
    yield _table(
        ["statement", "median"],
        [[f"`{k}`", duration(median({"seconds": v}))] for k, v in record["imports"].items()],
    )
    yield "### Peak memory"
    yield (
        "Each in a process of its own: what it took at its peak beyond what it held when it "
        "began, imports and data included there; and the peak of the whole process."
    )
    yield memory(record)
    yield "## What each peer answers"
    yield answered(record)
    yield "## Where a peer is faster, or better"
    yield honest(record)
    yield AGAIN


INTRODUCTION = """
What the package costs, beside what else would answer the same question. `make bench` runs all
contestants side by side in one run: each answers first, and its answer is compared with ours; then
all are timed in turns, so that a busy moment of the machine hits all alike. What counts is the
median. This page is made from the numbers of such a run
([`benchmarks.json`](benchmarks.json)), and a test holds it to them. It is about one machine: trust
the ratios more than the seconds, and neither more than a run of your own.
""".strip().replace("\n", " ")

REMARKS = """
“Times ours” is the median over that of this package (the first line of a table): 10 means that it
takes ten times as long, 0.5 half as long. “Cores” is how many it had while it was timed: below 1
where other programs took them from it, so that median times cores is about what it takes alone if
it uses one. All Bayesian contestants have the same model, the same
priors and 4 chains of 1,000 draws after 1,000 of warm-up. Where nothing is remarked, the answer
was ours to within Monte Carlo error (five standard errors, from means of batches). Who answers
another question is said to; its answer is held against its own uncertainty and the posterior's,
and the table says where it differs.
""".strip().replace("\n", " ")

AGAIN = """
## Run it again

```
make bench                                               # everything; about 40 minutes
.venv/bin/python -m benchmarks.run --only claims         # what the claims rest on; about 25
.venv/bin/python -m benchmarks.run --only waits          # what an earlier commit takes part in
.venv/bin/python -m benchmarks.run --peer bambi          # one peer, and ours
.venv/bin/python -m benchmarks.run --quick               # a few minutes, to see that all works
.venv/bin/python -m benchmarks.report                    # this page, from the last run
```

A peer whose requirements are not ours gets an environment of its own in `benchmarks/.venvs`, made
when it is first needed. Close other programs first: the runner waits a second at most for a quiet
moment before each turn, and notes what others had of the processors. Each peer is one small file
in `benchmarks/peers`: a new one is a file like the others, and its name in
`benchmarks/environments.py`.
""".strip()


def machine(record: Record) -> str:
    where, peers = record["machine"], record["peers"]
    lines = [
        f"{where['processor']}, {where['cores']} cores, {where['memory']} of memory, "
        f"{where['system']}, Python {where['python']}; {record['date']}, "
        f"{record['rounds']} rounds, {record['minutes']} minutes. "
        f"Load when it began: {where['load'][0]}."
    ]
    if record.get("measured_again"):
        lines.append(f"Measured by themselves, afterwards: {', '.join(record['measured_again'])}.")
    lines.append(
        f"Other programs had {record['others']['median']:.2f} cores while a turn was timed"
        f"{' then' if record.get('measured_again') else ''}, by the median of all turns, and "
        f"{record['others']['tenth']:.2f} or more in a tenth of them."
    )
    blas = next((p["blas"] for p in peers.values() if p.get("blas")), [])
    if blas:
        lines.append(f"BLAS: {'; '.join(blas)}.")
    table = [
        [p["title"], ", ".join(f"{k} {v}" for k, v in p["versions"].items())]
        if "versions" in p
        else [p["title"], f"not installed: {p['reason']}"]
        for p in peers.values()
    ]
    return "\n\n".join([" ".join(lines), _table(["peer", "versions"], table)])


def claims_table(claims: list[Record], *, markdown: bool = False) -> str:
    """Return what was claimed, what was measured, and whether it holds."""
    rows = []
    for claim in claims:
        at, unit = "at least" if claim["at_least"] else "at most", claim["unit"]
        times = {"times": "x", "": ""}.get(unit, f" {unit}")
        measured, before, bound = claim["measured"], claim["before"], claim["bound"]
        rows.append(
            [
                str(claim["number"]),
                claim["text"],
                "not measured" if measured is None else f"{number(measured)}{times}",
                before if isinstance(before, str) else f"{number(before)}{times}",
                "" if bound is None else f"{at} {bound:g}{times}",
                {True: "yes", False: "**no**" if markdown else "NO", None: ""}[claim["holds"]],
            ]
        )
    header = ["", "claim", "measured", "before", "bound", "holds"]
    return _table(header, rows, markdown=markdown)


def results_table(workload: Record, *, markdown: bool = False) -> str:
    """Return one workload's times, beside ours."""
    results = workload["results"]
    ours = next((median(r) for r in results if r["peer"] == "interventional"), None)
    rows = []
    for result in results:
        seconds = result.get("seconds")
        if not seconds or "not_timed" in result:
            rows.append([result["title"], "", "", "", "", result.get("not_timed", "not timed")])
            continue
        middle = median(result)
        remark = result["remark"]
        if remark and not result.get("agrees", True):
            remark += "; its answer differs here"
        cores = median({"seconds": result.get("cores")})
        if len(seconds) == 1:
            remark = "; ".join(filter(None, [remark, "one round"]))
        rows.append(
            [
                result["title"],
                duration(middle),
                f"{duration(min(seconds))} to {duration(max(seconds))}",
                number(middle / ours) if ours and middle is not None else "",
                "" if cores is None else f"{cores:.1f}",
                remark,
            ]
        )
    table = _table(
        ["", "median", "range", "times ours", "cores", "remark"], rows, markdown=markdown
    )
    return table if markdown else f"{title(workload)}\n{table}"


def title(workload: Record) -> str:
    """Return a heading: what is asked, and of how much data."""
    words = workload.get("title") or TITLES[workload["task"]]
    sizes = [size(workload["fit"])]
    if workload["asked"]:
        sizes.append(f"asked about {size(workload['asked'])}")
    return f"{words} ({'; '.join(sizes)})"


def size(spec: str) -> str:
    """Return the words for a data set's size."""
    if spec in SIZES:
        return "{}, n = {:,}, p = {}".format(spec, *SIZES[spec])
    _, n, p = spec.split("-")
    return f"n = {int(n):,}, p = {p}"


def fits(record: Record, contestant: str) -> dict[tuple[int, int], float]:
    """Return a contestant's median seconds of a fit by rows and columns."""
    found = {}
    for workload in record["timed"]:
        if workload["task"] == "fit" and workload["fit"].startswith("linear"):
            _, n, p = workload["fit"].split("-")
            for result in workload["results"]:
                seconds = median(result)
                if result["contestant"] == contestant and seconds is not None:
                    found.setdefault((int(n), int(p)), seconds)
    return found


def growth(record: Record) -> str:
    rows = []
    for contestant in (*GROWTH, "partial_fit in blocks"):
        found = fits(record, contestant)
        for p in WIDTHS:
            if any((n, p) in found for n in ROWS):
                cells = [duration(found[n, p]) if (n, p) in found else "" for n in ROWS]
                rows.append([contestant, str(p), *cells])
    table = _table(["fit", "p", *(f"n = {n:,}" for n in ROWS)], rows)
    return (
        "`exact`, `NUTS` and `partial_fit in blocks` are this package's. Its NUTS sees the rows "
        "through sufficient statistics, so that only reading them grows with n.\n\n" + table
    )


def memory(record: Record) -> str:
    rows = []
    for workload in record["memory"]:
        for r in workload["results"]:
            heading = TITLES[workload["task"]]
            if "extra" not in r:
                rows.append([heading, r["title"], "", "", "", r.get("not_timed", "")])
                continue
            sizes = [f"{r[k] / 1e6:,.0f} MB" for k in ("data", "extra", "process")]
            rows.append([heading, r["title"], *sizes, duration(r["seconds"])])
    return _table(["task", "", "data", "extra", "whole process", "seconds"], rows)


def answered(record: Record) -> str:
    remarks: dict[str, str] = {}
    for workload in record["timed"]:
        for result in workload["results"]:
            remarks.setdefault(result["title"], result["remark"] or "the same question")
    rows = [[who, what] for who, what in remarks.items() if who]
    return _table(["contestant", "what it answers"], rows)


def honest(record: Record) -> str:
    lines = [
        "Bambi has formulas, other families and hierarchies; pathmc has latent variables and "
        "panels; dowhy.gcm tests a graph and learns mechanisms that are not linear; EconML "
        "estimates how effects vary under few assumptions about the rest; NumPyro and PyMC write "
        "any model. Here all of them do the one thing that this package does."
    ]
    faster = []
    for workload in record["timed"]:
        results = workload["results"]
        ours = next((median(r) for r in results if r["peer"] == "interventional"), None)
        for result in results:
            seconds = median(result)
            if result["peer"] == "interventional" or not ours or seconds is None:
                continue
            if seconds < 0.95 * ours:
                faster.append([result["title"], title(workload), number(ours / seconds)])
    if faster:
        lines.append("Faster in this run:")
        lines.append(_table(["who", "at what", "times as fast"], faster))
    else:
        lines.append("No peer was faster at any workload of this run.")
    return "\n\n".join(lines)


def duration(seconds: float | None) -> str:
    """Return seconds in words with a unit that suits."""
    if seconds is None:
        return ""
    if seconds < 1e-3:
        return f"{1e6 * seconds:.0f} µs"
    return f"{1e3 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def number(value: float) -> str:
    """Return a ratio to three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(header: list[str], rows: list[list[str]], *, markdown: bool = True) -> str:
    if markdown:
        lines = [header, ["---"] * len(header), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(row[j]) for row in [header, *rows]) for j in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    )


def draw(record: Record, target: Path) -> None:
    """Draw seconds of a fit against rows."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for contestant in GROWTH:
        found = fits(record, contestant)
        points = sorted((n, seconds) for (n, p), seconds in found.items() if p == 20)
        if points:
            ours = contestant in ("exact", "NUTS")
            label = f"interventional: {contestant}" if ours else contestant
            axes.loglog(*zip(*points, strict=True), marker="o", lw=2 if ours else 1, label=label)
    axes.set(xlabel="rows (p = 20)", ylabel="seconds of a fit")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(frameon=False)
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main()
