"""How far off effects are, and whether intervals hold them: `python -m benchmarks.accuracy`.

Worlds in which each row's effect is known (`accuracy_worlds`), and contestants that estimate it
(`accuracy_contestants`), each in an environment of its own. Data sets are asked in rounds over all
worlds, so that a run that is broken off is balanced. Every answer is a line of `ROWS` at once;
what is there is not asked again, so that contestants, worlds and data sets can be added.
"""

import argparse
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np

from benchmarks import environments
from benchmarks.accuracy_contestants import CONTESTANTS, ENVIRONMENTS
from benchmarks.accuracy_worlds import BY_NAME, WORLDS

SAVED = environments.ROOT / "docs" / "how_it_works" / "accuracy.json"
ROWS = environments.HERE / "results" / "accuracy.jsonl"
DATA_SETS = 50
QUICK = ("straight", "friedman", "nie-wager-d")
LIMIT = 1_800.0  # seconds for one data set, of a busy machine
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
Row = dict[str, Any]
Task = tuple[str, str, int]  # world, contestant, number


# --- Whom to ask what ----------------------------------------------------------------------------


def tasks(worlds: Sequence[str], contestants: Sequence[str], sets: int) -> list[Task]:
    """Return what is asked, in rounds over the worlds."""
    found = []
    for turn in range(sets):
        for world in worlds:
            share = BY_NAME[world].share
            numbers = range(part(turn, share), part(turn + 1, share))
            found += [
                (world, contestant, number)
                for number in numbers
                for contestant in contestants
                if CONTESTANTS[contestant].sees(BY_NAME[world], number)
            ]
    return found


def part(count: int, share: float) -> int:
    """Return how many data sets a world with a share has had after a count of rounds."""
    return -int(-count * share // 1)


class Peer:
    """A process that answers for the contestants of one environment."""

    def __init__(self, environment: str | None):
        python = sys.executable
        if environment is not None:
            python = environments.python_with(environment, ENVIRONMENTS[environment])
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.accuracy_contestants"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=environments.ROOT,
            env=environments.variables(own=environment is not None) | THREADS,
        )
        self._replies: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put("")

    def ask(self, task: Task) -> Row:
        """Return the reply, or why there is none."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            request = dict(zip(("world", "contestant", "number"), task, strict=True))
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        try:
            line = self._replies.get(timeout=LIMIT)
        except queue.Empty:
            self.end()
            return {"failed": f"more than {LIMIT:.0f} s"}
        if not line:
            self._process.wait()
            return {"failed": f"its process ended with {self._process.returncode}"}
        reply: Row = json.loads(line)
        return reply

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class Asker:
    """One process for each environment, started when first asked."""

    def __init__(self) -> None:
        self._peers: dict[str | None, Peer] = {}

    def ask(self, task: Task) -> Row:
        environment = CONTESTANTS[task[1]].environment
        if environment not in self._peers or not self._peers[environment].alive:
            self._peers[environment] = Peer(environment)
        return self._peers[environment].ask(task)

    def end(self) -> None:
        for peer in self._peers.values():
            peer.end()


def answered(chosen: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Yield the rows of tasks as they come, of several processes for each environment."""
    free: queue.Queue[Asker] = queue.Queue()
    askers = [Asker() for _ in range(jobs)]
    for asker in askers:
        free.put(asker)

    def one(task: Task) -> Row:
        asker = free.get()
        try:
            named = dict(zip(("world", "contestant", "number"), task, strict=True))
            return named | asker.ask(task)
        finally:
            free.put(asker)

    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(one, chosen)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for asker in askers:
            asker.end()


# --- What is kept --------------------------------------------------------------------------------


def kept() -> dict[Task, Row]:
    """Return all rows so far; of two for the same task the later."""
    if not ROWS.exists():
        return {}
    rows = (json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines())
    return {(row["world"], row["contestant"], row["number"]): row for row in rows}


def keep(row: Row) -> None:
    """Add a row, rounded."""
    short = {key: plain(value) for key, value in row.items()}
    with ROWS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(short) + "\n")


def plain(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def same_data(rows: Sequence[Row]) -> None:
    """Refuse rows of contestants that saw other numbers."""
    sums: dict[tuple[str, int], int] = {}
    for row in rows:
        key = (row["world"], row["number"])
        if sums.setdefault(key, row["checksum"]) != row["checksum"]:
            raise ValueError(f"{row['contestant']} drew another data set of {key} than others")


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the rows of one contestant in one world say.

    Medians of root PEHE, seconds and CPU; root mean square of the average's error; shares held and
    mean widths of intervals, which some do not have.
    """
    good = [row for row in rows if "failed" not in row]
    found: dict[str, Any] = {"data sets": len(good)}
    failures = [row["failed"] for row in rows if "failed" in row]
    if failures:
        found["failed"] = {"count": len(failures), "first": failures[0]}
    if not good:
        return found
    columns = {key: np.array([row.get(key, np.nan) for row in good]) for key in NUMBERS}
    found["rmse"] = np.sqrt(np.mean(columns["error"] ** 2))
    found["bias"] = np.mean(columns["error"])
    found["pehe"] = np.median(columns["pehe"])
    found["pehe quartiles"] = np.quantile(columns["pehe"], [0.25, 0.75]).tolist()
    found["each pehe"] = {str(row["number"]): rounded(row["pehe"]) for row in good}
    for key in ("seconds", "cpu"):
        found[key] = np.median(columns[key])
    found["all seconds"] = columns["seconds"].sum()
    if "average held" in good[0]:
        found["average held"] = int(columns["average held"].sum())
        found["average width"] = np.mean(columns["average width"])
    if "rows held" in good[0]:
        held = columns["rows held"]
        found["rows held"] = np.mean(held)
        found["rows held error"] = held.std(ddof=1) / np.sqrt(len(held)) if len(held) > 1 else None
        found["rows width"] = np.mean(columns["rows width"])
    found["versions"] = good[-1]["versions"]
    return {key: rounded(value) for key, value in found.items()}


NUMBERS = (
    *("error", "pehe", "average held", "average width", "rows held", "rows width"),
    *("seconds", "cpu"),
)


def rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def saved() -> dict[str, Any]:
    """Return what the page is made of."""
    found: dict[str, Any] = {"results": []}
    return json.loads(SAVED.read_text(encoding="utf-8")) if SAVED.exists() else found


def merged(record: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return a record in which pairs of world and contestant that have rows are summed up anew."""
    by_pair: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_pair.setdefault((row["world"], row["contestant"]), []).append(row)
    entries = {(each["world"], each["contestant"]): each for each in record["results"]}
    for (world, contestant), own in by_pair.items():
        own = sorted(own, key=lambda row: row["number"])
        named = {"world": world, "contestant": contestant}
        entries[world, contestant] = named | summary(own)
    order = [(world.name, contestant) for world in WORLDS for contestant in CONTESTANTS]
    return record | {"results": [entries[pair] for pair in order if pair in entries]}


def save(record: dict[str, Any]) -> None:
    """Write the record, and the page that is made of it."""
    from benchmarks import accuracy_report

    SAVED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    accuracy_report.main()


# --- The program ---------------------------------------------------------------------------------


def main() -> None:
    arguments = parsed()
    from benchmarks import accuracy_report

    worlds = arguments.only or (QUICK if arguments.quick else tuple(BY_NAME))
    sets = 2 if arguments.quick else arguments.datasets
    known = {} if arguments.anew or arguments.quick else kept()
    done = {task for task, row in known.items() if "failed" not in row}
    chosen = [task for task in tasks(worlds, arguments.contestants, sets) if task not in done]
    environments.python_with("econml", ENVIRONMENTS["econml"])  # has the columns of two worlds
    ROWS.parent.mkdir(exist_ok=True)
    found = []
    for row in answered([] if arguments.summarise else chosen, arguments.jobs):
        print(told(row), flush=True)
        found.append(row)
        if not arguments.quick:
            keep(row)
    if arguments.quick:
        print(accuracy_report.tables(merged({"results": []}, found)))
        return
    every = list(kept().values())
    same_data([row for row in every if "checksum" in row])
    today = {"date": datetime.now(UTC).date().isoformat(), "machine": environments.machine()}
    save(merged(saved() | today, every))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="2 data sets of a few worlds, unsaved"
    )
    parser.add_argument(
        "--only", nargs="*", choices=BY_NAME, metavar="WORLD", help=", ".join(BY_NAME)
    )
    parser.add_argument(
        "--contestants", nargs="*", choices=CONTESTANTS, default=list(CONTESTANTS),
        metavar="NAME", help=", ".join(CONTESTANTS),
    )  # fmt: skip
    parser.add_argument("--datasets", type=int, default=DATA_SETS)
    parser.add_argument("--jobs", type=int, default=1, help="processes for each environment")
    parser.add_argument(
        "--anew", action="store_true", help="ask again what is in the rows already"
    )
    parser.add_argument("--summarise", action="store_true", help="ask nothing; sum the rows up")
    return parser.parse_args()


def told(row: Row) -> str:
    start = f"{row['world']:18} {row['contestant']:10} {row['number']:3}"
    if "failed" in row:
        return f"{start} {row['failed']}"
    return f"{start} root PEHE {row['pehe']:.3g}, error {row['error']:+.3g}, {row['cpu']:.1f} s"


if __name__ == "__main__":
    main()
