"""A peer's process: it prepares tasks, and runs them when it is told to.

Requests and replies are lines of JSON. What libraries print goes to the standard error. With the
name of a peer as argument it serves until its input ends.
"""

import gc
import importlib
import json
import os
import re
import sys
import time
import traceback
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.answers import UnavailableError


def main(name: str) -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    limit_memory()
    warnings.simplefilter("ignore")
    peer = importlib.import_module(f"benchmarks.peers.{name}")
    prepared: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = ACTIONS[request.pop("action")](peer, prepared, **request)
        except UnavailableError as problem:
            reply = {"failed": str(problem)}
        except MemoryError:
            reply = {"failed": "out of memory"}
        except Exception as problem:
            traceback.print_exc()
            words = str(problem).strip().splitlines() or [""]
            reply = {"failed": f"{type(problem).__name__}: {words[0][:160]}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def prepare(
    peer: Any, prepared: dict[str, Any], task: str, contestant: str, message: dict[str, Any]
) -> dict[str, Any]:
    """Set a task up and run it a first time; return its answer."""
    run, read = peer.TASKS[task, contestant](data.read(message))
    used, start = processors(), time.perf_counter()
    result = run()
    first = time.perf_counter() - start
    cores = (processors() - used) / first
    answer = read(result)
    del result
    prepared[contestant] = run
    return {"answer": answer, "first": first, "cores": cores}


def run(peer: Any, prepared: dict[str, Any], contestant: str, repeats: int = 1) -> dict[str, Any]:
    """Run a prepared task; return the seconds of each time, and how many cores it had."""
    used, start = processors(), time.perf_counter()
    seconds = [_seconds(prepared[contestant]) for _ in range(repeats)]
    return {"seconds": seconds, "cores": (processors() - used) / (time.perf_counter() - start)}


def processors() -> float:
    """Return the seconds of processors that this process and its ended children have had."""
    return sum(os.times()[:4])


def drop(peer: Any, prepared: dict[str, Any]) -> dict[str, Any]:
    """Forget what was prepared, and its data."""
    prepared.clear()
    data.forget()
    gc.collect()
    return {}


def weigh(
    peer: Any, prepared: dict[str, Any], task: str, contestant: str, message: dict[str, Any]
) -> dict[str, Any]:
    """Run a task once, and return how much memory it took beyond its data.

    The task runs on a few rows first, so that the memory of imported code is not counted.
    """
    given = data.read(message)
    few = data.Data(
        given.name, given.X[:200].copy(), given.y[:200].copy(), given.asked[:200].copy(),
        {**given.options, "rows": 200},
    )  # fmt: skip
    peer.TASKS[task, contestant](few)[0]()
    timed, read = peer.TASKS[task, contestant](given)
    gc.collect()
    before = reset_peak()
    start = time.perf_counter()
    result = timed()
    seconds = time.perf_counter() - start
    peak = _status("VmHWM")
    size = given.X.nbytes + given.y.nbytes
    if given.asked is not given.X:
        size += given.asked.nbytes
    return {
        "answer": read(result),
        "seconds": seconds,
        "data": size,
        "extra": peak - before,
        "process": peak,
    }


def versions(peer: Any, prepared: dict[str, Any]) -> dict[str, Any]:
    """Return the versions of the packages that count, and which kernels the BLAS runs."""
    found = {}
    for package in peer.PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            return {"failed": f"{package} is not installed"}
    return {"versions": found, "python": sys.version.split()[0], "blas": _blas()}


ACTIONS = {"prepare": prepare, "run": run, "drop": drop, "weigh": weigh, "versions": versions}


def _seconds(timed: Any) -> float:
    gc.collect()
    start = time.perf_counter()
    result = timed()
    passed = time.perf_counter() - start
    # A task may time a part of itself.
    return result["seconds"] if isinstance(result, dict) and "seconds" in result else passed


def _blas() -> list[str]:
    import numpy as np

    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    np.ones((64, 64)) @ np.ones((64, 64))
    return sorted(
        {
            f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')}, "
            f"{lib['num_threads']} threads"
            for lib in threadpool_info()
            if lib["user_api"] == "blas"
        }
    )


def limit_memory() -> None:
    """Let a task that takes more than most of the memory fail, before the machine does."""
    try:
        import resource

        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        resource.setrlimit(resource.RLIMIT_DATA, (int(0.6 * total), -1))
    except (ImportError, ValueError, OSError):
        pass


def reset_peak() -> int:
    """Start to measure peak memory anew; return what is in use."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1])


if __name__ == "__main__":
    main(sys.argv[1])
