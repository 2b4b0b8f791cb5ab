"""Time the package beside its peers, in one run: `python -m benchmarks.run`.

Every contestant answers first, and the answers are compared; then all are timed in turns, so that
a busy moment of the machine hits all alike, and the median of the rounds counts. Each peer runs in
a process of its own, in an environment of its own where its requirements are not ours.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import workloads
from benchmarks.claims import judge
from benchmarks.contest import CLAIMED, QUIET, SLOW, Result, compare, contestants, entry
from benchmarks.environments import HERE, PEERS, ROOT, NotInstalledError, machine, peer
from benchmarks.fresh import Fresh
from benchmarks.report import SAVED, claims_table, results_table
from benchmarks.workers import Worker, WorkerError, Workers
from benchmarks.workloads import Workload

RESULTS = HERE / "results" / "latest.json"
ROUNDS = 5
ONCE = 45.0  # seconds; whom an earlier commit let wait so long is not asked a second time
BUDGET = 40.0  # minutes; what no claim rests on is left out when they are over
TURN = 0.2  # seconds that a quick contestant is called for, in each turn

AGAIN = {
    "imports": "imports",
    "rest": "workloads that were left out at first",
    "waits": "what an earlier commit takes part in",
}


def main() -> None:
    options = parse()
    if options.only in AGAIN:
        measure_again(options)
        return
    start = time.monotonic()
    peers = asked(options)
    record: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "quick": options.quick,
        "rounds": options.rounds,
        "machine": machine(),
        "peers": installed(peers),
    }
    peers = [name for name in peers if "versions" in record["peers"][name]]
    wanted = chosen(options)
    record["timed"], record["left_out"] = [], []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as scratch:
        folder = Path(scratch)
        fresh = Fresh(peers, folder, options)
        record["imports"] = fresh.imports()
        with Workers() as workers:
            # What claims rest on comes first, so that it is there when time runs out.
            for workload in sorted(wanted, key=lambda w: not w.decides):
                if not workload.decides and time.monotonic() - start > 60 * options.minutes:
                    record["left_out"].append(workload.key)
                    continue
                record["timed"].append(
                    reported(timed(workload, workers, peers, folder, options.rounds))
                )
                write(record)
                if workload is [w for w in wanted if w.decides][-1]:
                    workers.end()
                    record["first"] = reported(fresh.first_calls(workloads.FIRST))
                    record["fresh"] = [
                        reported(fresh.first_calls(each)) for each in workloads.FRESH
                    ]
                    record["memory"] = fresh.memory(workloads.MEMORY)
                    record["cold"] = reported(fresh.cold())
    record["others"] = QUIET.told()
    record["minutes"] = round((time.monotonic() - start) / 60, 1)
    finish(record, wanted)
    print(f"\nAll rounds: {RESULTS.relative_to(ROOT)}. {record['minutes']} minutes.")


def finish(record: dict[str, Any], wanted: list[Workload]) -> None:
    """Judge the claims, print them, and keep all results."""
    places = [workload.key for workload in wanted]
    record["timed"].sort(key=lambda found: places.index(found["key"]))
    if record["left_out"]:
        print(f"\nLeft out, as time was over: {', '.join(record['left_out'])}")
    write(record)
    record["claims"] = judge(record)
    print("\n" + claims_table(record["claims"]))
    write(record)


def write(record: dict[str, Any]) -> None:
    """Keep what is there: a run that is broken off has something to show."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def measure_again(options: argparse.Namespace) -> None:
    """Put new times of imports, or of what was left out, into the last results, which say so."""
    last = RESULTS if RESULTS.exists() else SAVED
    record = json.loads(last.read_text(encoding="utf-8"))
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as scratch:
        folder = Path(scratch)
        if options.only == "imports":
            record["imports"] = Fresh([], folder, options).imports()
        elif options.only == "waits":
            waits(record, folder, options)
        else:
            peers = [name for name in PEERS if "versions" in record["peers"].get(name, {})]
            with Workers() as workers:
                for workload in chosen(options):
                    over = time.monotonic() - start > 60 * options.minutes
                    if workload.key in record["left_out"] and not over:
                        found = timed(workload, workers, peers, folder, options.rounds)
                        record["timed"].append(reported(found))
                        record["left_out"].remove(workload.key)
    what = f"{AGAIN[options.only]} ({datetime.now(UTC):%Y-%m-%d}, {options.rounds} rounds)"
    record["measured_again"] = sorted({*record.get("measured_again", []), what})
    record["others"] = QUIET.told()
    finish(record, chosen(options))


def waits(record: Result, folder: Path, options: argparse.Namespace) -> None:
    """Put new times of what an earlier commit takes part in into the last results."""
    peers = asked(options)
    record["peers"] |= installed(peers)

    def put(name: str, found: Result) -> None:
        others = [each for each in record.get(name, []) if each["key"] != found["key"]]
        record[name] = [*others, found]
        write(record)

    with Workers() as workers:
        for workload in everything():
            if workload.before and workload.task in (options.task or [workload.task]):
                found = timed(workload, workers, peers, folder, options.rounds)
                put("timed", reported(found))
    if options.task:
        return
    fresh = Fresh(peers, folder, options)
    for workload in workloads.FRESH:
        put("fresh", reported(fresh.first_calls(workload)))
    for found in fresh.memory([each for each in workloads.MEMORY if each.before]):
        put("memory", found)


def asked(options: argparse.Namespace) -> list[str]:
    """Return the peers that take part."""
    return [
        name for name in PEERS if not options.peer or name in {"interventional", *options.peer}
    ]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this one, and ours")
    parser.add_argument(
        "--only", choices=["claims", *AGAIN],
        help="only what the claims rest on; or imports again, or what was left out for time, or "
        "what an earlier commit takes part in, put into the last results",
    )  # fmt: skip
    parser.add_argument(
        "--task", action="append", help="of what is measured again for waits, only this"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rounds, few rows: to see that all works"
    )
    parser.add_argument(
        "--minutes", type=float, default=BUDGET,
        help="after these, leave out what no claim rests on; %(default)g by default",
    )  # fmt: skip
    parser.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        help="how often each is timed; %(default)d by default",
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options


def chosen(options: argparse.Namespace) -> list[Workload]:
    """Return the workloads to time."""
    found = everything()
    if options.only == "claims":
        found = [w for w in found if w.decides]
    if options.quick:
        found = [w for w in found if w.cells <= 200_000]
    return found


def everything() -> list[Workload]:
    """Return all that is timed in processes that stay."""
    parts = (
        workloads.FIT, workloads.SHRINK, workloads.GLM, workloads.SEARCH, workloads.NUTS,
        workloads.ASK, workloads.HARD, workloads.ANSWER,
    )  # fmt: skip
    return list(itertools.chain(*parts))


def installed(peers: list[str]) -> dict[str, Result]:
    """Return each peer's versions, or why it is not there."""
    found = {}
    for name in peers:
        title = peer(name).TITLE
        try:
            with Worker(name) as worker:
                found[name] = {"title": title, **worker.ask("versions")}
            versions = ", ".join(f"{k} {v}" for k, v in found[name]["versions"].items())
            print(f"{title}: {versions}", flush=True)
        except (WorkerError, NotInstalledError) as problem:
            found[name] = {"title": title, "reason": str(problem)}
            print(f"{title}: not installed: {problem}", flush=True)
    return found


def timed(
    workload: Workload, workers: Workers, peers: list[str], folder: Path, rounds: int
) -> dict[str, Any]:
    """Let all contestants answer, and then time them in turns."""
    message = workload.message(folder)
    results = []
    for name, contestant in contestants(workload, peers):
        result = entry(name, contestant)
        results.append(result)
        if workload.cells > peer(name).LARGEST.get(workload.task, float("inf")):
            result["not_timed"] = "not asked: so many rows take it minutes or too much memory"
            continue
        try:
            result |= workers[name].ask(
                "prepare", task=workload.task, contestant=contestant, message=message
            )
        except WorkerError as problem:
            result["not_timed"] = str(problem)
    compare(results)
    for result in results:
        if "not_timed" not in result:
            waited = result["peer"] == "before" and result["first"] > ONCE
            result["seconds"] = [result["first"]] if waited else []
            result["cores"] = [result["cores"]] if waited else []
    ready = [result for result in results if "seconds" in result]
    for _ in range(rounds):
        for result in ready:
            if "not_timed" in result:
                continue
            if result["seconds"] and result["seconds"][0] > SLOW and not rests(workload, result):
                continue
            try:
                result["seconds"].append(take_turn(workers, result))
                result["cores"].append(result.pop("had"))
            except WorkerError as problem:
                result["not_timed"] = str(problem)
                del result["seconds"]
    workers.drop()
    return {"task": workload.task, "key": workload.key, "results": results} | {
        "fit": workload.fit, "asked": workload.asked, "options": workload.options,
    }  # fmt: skip


def rests(workload: Workload, result: Result) -> bool:
    """Whether a claim rests on what this contestant takes."""
    return workload.decides and result["peer"] in CLAIMED


def take_turn(workers: Workers, result: Result) -> float:
    """Return the median of as many calls as fit into a turn, at least one."""
    if "repeats" not in result:
        # The first call compiled or read something; the second tells how long a call is.
        second = _run(workers, result, 1)[0] if result["first"] < 1 else result["first"]
        result["repeats"] = max(1, min(100, int(TURN / max(second, 1e-6))))
    return statistics.median(_run(workers, result, result["repeats"]))


def _run(workers: Workers, result: Result, repeats: int) -> list[float]:
    worker = workers[result["peer"]]
    with QUIET.turn(worker.pid):
        reply = worker.ask("run", contestant=result["contestant"], repeats=repeats)
    result["had"] = reply["cores"]
    return list(reply["seconds"])


def reported(workload: dict[str, Any]) -> dict[str, Any]:
    print("\n" + results_table(workload), flush=True)
    return workload


if __name__ == "__main__":
    main()
