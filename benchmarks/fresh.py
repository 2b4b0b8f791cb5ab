"""What is measured in new processes."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import workloads
from benchmarks.contest import CLAIMED, QUIET, SLOW, compare, contestants, entry
from benchmarks.environments import ROOT, peer, variables
from benchmarks.workers import Worker, WorkerError
from benchmarks.workloads import Workload


class Fresh:
    """Measures imports, first answers and memory, each in a process of its own."""

    def __init__(self, peers: list[str], folder: Path, options: argparse.Namespace):
        self.peers, self.folder, self.options = peers, folder, options

    def imports(self) -> dict[str, list[float]]:
        """Return seconds of import statements, in turns."""
        statements = (
            "import interventional",
            "from interventional import BayesianInterventionRegressor",
            "import sklearn, pandas",
            "import pymc",
        )
        times: dict[str, list[float]] = {statement: [] for statement in statements}
        for turn in range(1 + (2 if self.options.quick else 11)):
            for statement in statements[: 4 if turn < 4 else 3]:
                code = (
                    "import time; start = time.perf_counter()\n"
                    f"{statement}\nprint(time.perf_counter() - start)"
                )
                done = subprocess.run(
                    [sys.executable, "-c", code],
                    capture_output=True, text=True, check=True, cwd=ROOT,
                    env=variables(own=False),
                )  # fmt: skip
                if turn:  # before the first, files are not in the system's memory
                    times[statement].append(float(done.stdout))
        for statement, seconds in times.items():
            print(f"{statement}: {statistics.median(seconds):.3f} s", flush=True)
        return times

    def cold(self) -> dict[str, Any]:
        """Time from starting Python to the first answer, compilers' caches on disk filled."""
        found = self._started(workloads.COLD, from_start=True)
        return found | {"title": "Cold start: from `python` to the first answer, in new processes"}

    def first_calls(self, workload: Workload) -> dict[str, Any]:
        """Time a task's first run in a process, imports done, nothing compiled yet.

        PyTensor keeps what it compiled on disk; a model that this machine has never seen finds
        nothing there, and so does a process with an empty folder for it.
        """
        title = workloads.TITLES.get("first " + workload.task, workloads.TITLES[workload.task])
        return self._started(workload, from_start=False) | {"title": title}

    def _started(self, workload: Workload, *, from_start: bool) -> dict[str, Any]:
        message = workload.message(self.folder)
        results = [entry(*who) for who in contestants(workload, self.peers)]
        for turn in range(1 + self.options.rounds):  # the first fills caches, and is not counted
            for result in results:
                if "not_timed" in result:
                    continue
                if turn > 1 and result["peer"] not in CLAIMED and max(result["seconds"]) > SLOW:
                    continue
                extra = {}
                if not from_start:
                    empty = tempfile.mkdtemp(dir=self.folder)
                    extra["PYTENSOR_FLAGS"] = f"base_compiledir={empty}"
                QUIET.wait()
                start = time.perf_counter()
                try:
                    with Worker(result["peer"], **extra) as worker:
                        reply = worker.ask(
                            "prepare", task=workload.task, contestant=result["contestant"],
                            message=message,
                        )  # fmt: skip
                        passed = time.perf_counter() - start
                except WorkerError as problem:
                    result["not_timed"] = str(problem)
                    result.pop("seconds", None)
                    continue
                if turn == 0:
                    result["answer"] = reply["answer"]
                    result["seconds"], result["cores"] = [], []
                else:
                    result["cores"].append(reply["cores"])
                    result["seconds"].append(passed if from_start else reply["first"])
        compare(results)
        return {
            "task": workload.task, "key": workload.key, "results": results,
            "fit": workload.fit, "asked": workload.asked, "options": workload.options,
        }  # fmt: skip

    def memory(self, weighed: list[Workload]) -> list[dict[str, Any]]:
        """Measure peak memory."""
        found = []
        for workload in weighed:
            if self.options.quick:
                workload = smaller(workload)
            message = workload.message(self.folder)
            results = []
            for name, contestant in contestants(workload, self.peers):
                if workload.cells > peer(name).LARGEST.get(workload.task, float("inf")):
                    continue
                result = entry(name, contestant)
                results.append(result)
                QUIET.wait()
                try:
                    with Worker(name) as worker:
                        result |= worker.ask(
                            "weigh", limit=180, task=workload.task, contestant=contestant,
                            message=message,
                        )  # fmt: skip
                    print(
                        f"memory, {workload.key}, {result['title']}: "
                        f"{result['extra'] / 1e6:.0f} MB beside {result['data'] / 1e6:.0f} MB of "
                        f"data, {result['seconds']:.2f} s",
                        flush=True,
                    )
                except WorkerError as problem:
                    result["not_timed"] = str(problem)
                    print(f"memory, {workload.key}, {result['title']}: {problem}", flush=True)
            compare(results)
            found.append({"task": workload.task, "key": workload.key, "results": results})
        return found


def smaller(workload: Workload) -> Workload:
    """Return a memory workload that is over quickly."""
    sizes = {"linear-1000000-20": "linear-10000-20", "gallery-1000000-3": "gallery-10000-3"}
    options = {**workload.options, "rows": 200_000} if workload.options else {}
    return Workload(
        workload.task, sizes.get(workload.fit, workload.fit),
        sizes.get(workload.asked, workload.asked), options=options,
    )  # fmt: skip
