"""What groups cost: `python -m benchmarks.groups`.

Stores whose intercepts and slopes of the price differ: the exact engine beside the mixed models of
statsmodels and Bambi, with the defaults of each. A contestant has a process of its own, of one
thread for linear algebra, which is asked in turns with those of the others, so that a busy moment
of the machine hits all alike. Of the rounds after the first the best is compared, in seconds and
in seconds of all processors, child processes included; the slow have one. The first of a process
also imports what is imported late.
"""

import argparse
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from benchmarks import environments

SAVED = environments.ROOT / "docs" / "how_it_works" / "groups.json"
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TRUTH = {"slope": -0.5, "slope sd": 0.6, "intercept sd": 1.0, "week sd": 0.5, "sigma": 1.0}
ROUNDS, SLOW = 3, 20.0  # whose first run takes more seconds than this has one round


@dataclass(frozen=True)
class Workload:
    """Rows of stores, and who answers them within which seconds of processors."""

    stores: int
    weeks: int
    contestants: tuple[str, ...]
    crossed: bool = False
    limit: float = 60.0

    @property
    def title(self) -> str:
        of_weeks = ", weeks crossed" if self.crossed else ""
        return f"{self.stores:,} stores x {self.weeks} weeks{of_weeks}"


WORKLOADS = (
    Workload(30, 52, ("interventional", "statsmodels", "bambi"), limit=240),
    Workload(30, 52, ("interventional", "statsmodels"), crossed=True),
    Workload(300, 52, ("interventional", "statsmodels")),
    Workload(2000, 500, ("interventional", "statsmodels")),
)


def rows(workload: Workload) -> Any:
    """Return a frame of store, week, price and y; prices are around 5."""
    import pandas as pd

    rng = np.random.default_rng(16)
    store, week = (a.ravel() for a in np.indices((workload.stores, workload.weeks)))
    level = TRUTH["intercept sd"] * rng.normal(size=workload.stores)
    slope = TRUTH["slope"] + TRUTH["slope sd"] * rng.normal(size=workload.stores)
    of_week = TRUTH["week sd"] * workload.crossed * rng.normal(size=workload.weeks)
    price = rng.normal(5, 1, size=store.size)
    y = level[store] + slope[store] * (price - 5) + of_week[week]
    y += TRUTH["sigma"] * rng.normal(size=store.size)
    return pd.DataFrame({"store": store, "week": week, "price": price, "y": y})


REMARKS = {
    "bambi": "another model: intercepts at a price of 0 and slopes are independent",
    "statsmodels": "restricted maximum likelihood: an estimate, no draws",
    "statsmodels, crossed": "another model: intercepts at a price of 0 and slopes are independent",
}


# --- Contestants: what is timed, and the answer that it gives ------------------------------------


def interventional(workload: Workload) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    from interventional import BayesianInterventionRegressor

    data = rows(workload)
    columns = ["store", "week", "price"] if workload.crossed else ["store", "price"]
    X, y = data[columns], data["y"].to_numpy()
    groups: dict[str, list[str]] = {"store": ["price"]}
    if workload.crossed:
        groups["week"] = []

    def read(model: Any) -> dict[str, float]:
        posterior = model.idata_["posterior"]
        sds = posterior["y_beta_store_sd"].values.reshape(-1, 2)
        slope = posterior["y_beta_normal"].values
        stats = model.idata_["sample_stats"]
        return {
            "slope": slope.mean(),
            "its sd": slope.std(),
            "intercept sd": sds[:, 0].mean(),
            "slope sd": sds[:, 1].mean(),
            "sigma": posterior["y_sigma"].values.mean(),
            "draws": slope.size,
            "effective size": stats["effective_size"].values.flat[0],
            "pareto k": stats["pareto_k"].values.flat[0],
        }

    return lambda: BayesianInterventionRegressor(groups=groups, random_state=0).fit(X, y), read


def statsmodels(workload: Workload) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    import statsmodels.formula.api as smf

    data = rows(workload)

    def fit() -> Any:
        if not workload.crossed:
            return smf.mixedlm("y ~ price", data, groups="store", re_formula="~price").fit()
        parts = {"store": "0 + C(store)", "slope": "0 + C(store):price", "week": "0 + C(week)"}
        one = np.ones(len(data))  # crossed groups are components within one group of all rows
        return smf.mixedlm("y ~ price", data, groups=one, vc_formula=parts).fit()

    def read(found: Any) -> dict[str, float]:
        slope = {"slope": found.fe_params["price"], "its sd": found.bse["price"]}
        rest = {"sigma": found.scale**0.5, "converged": bool(found.converged)}
        if workload.crossed:  # the intercept is at a price of 0, independent of the slope
            variances = dict(zip(found.model.exog_vc.names, found.vcomp, strict=True))
            return slope | {"slope sd": variances["slope"] ** 0.5} | rest
        return slope | {"slope sd": found.cov_re.loc["price", "price"] ** 0.5} | rest

    return fit, read


def bambi(workload: Workload) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    package = importlib.import_module("bambi")
    data = rows(workload)
    formula = "y ~ price + (1 + price | store)" + " + (1 | week)" * workload.crossed

    def fit() -> Any:
        for name in ("store", "week"):
            data[name] = data[name].astype("category")
        return package.Model(formula, data).fit(random_seed=1, progressbar=False)

    def read(trace: Any) -> dict[str, float]:
        posterior = trace["posterior"]
        slope = posterior["price"].values
        return {
            "slope": slope.mean(),
            "its sd": slope.std(),
            "slope sd": posterior["price|store_sigma"].values.mean(),
            "sigma": posterior["sigma"].values.mean(),
            "draws": slope.size,
            "chains": slope.shape[0],
            "divergences": int(trace["sample_stats"]["diverging"].values.sum()),
        }

    return fit, read


CONTESTANTS = {"interventional": interventional, "statsmodels": statsmodels, "bambi": bambi}
PACKAGES = (
    *("interventional", "statsmodels", "bambi", "pymc", "pytensor", "nutpie"),
    *("numpy", "scipy", "pandas"),
)


# --- A contestant's process ----------------------------------------------------------------------


def serve(name: str, number: int) -> None:
    """Answer each line of input with a line: what a run took, and what it found."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _too_long)
    run, read = CONTESTANTS[name](WORKLOADS[number])
    before = peak()
    _say(replies, {"versions": versions(), "peak before": before})
    for _ in sys.stdin:
        try:
            with redirect_stdout(sys.stderr):
                found, took = timed(run, WORKLOADS[number].limit)
            answer = {key: _plain(value) for key, value in read(found).items()}
            del found
            _say(replies, took | {"peak": peak(), "answer": answer})
        except TimeoutError:
            _say(replies, {"failed": f"over {WORKLOADS[number].limit:g} s of CPU", "peak": peak()})
        except Exception as problem:
            _say(replies, {"failed": f"{type(problem).__name__}: {problem}"[:200]})


def timed(run: Callable[[], Any], limit: float) -> tuple[Any, dict[str, float]]:
    """Return what is found within a limit, and what it took."""
    clock, cpu = time.perf_counter(), processors()
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        found = run()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return found, {"seconds": time.perf_counter() - clock, "cpu": processors() - cpu}


def _too_long(*_: Any) -> None:
    raise TimeoutError("it took too many seconds of processors")


def _say(replies: Any, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int) else float(f"{float(value):.6g}")


def peak() -> float:
    """Return the largest memory of this process so far, in GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 4)


def processors() -> float:
    """Return the seconds of all processors of this process and of its children that ended."""
    return sum(os.times()[:4])


def versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


class Worker:
    """A process that runs one contestant at one workload."""

    def __init__(self, name: str, number: int):
        self.limit = 4 * WORKLOADS[number].limit  # of the clock, in case that it sleeps
        bambis = name == "bambi"
        python = environments.python_of("bambi") if bambis else sys.executable
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.groups", "--serve", name, str(number)],
            env=environments.variables(own=bambis) | THREADS,
            cwd=environments.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.about = self._reply(300)

    def run(self) -> dict[str, Any]:
        if "failed" in self.about:
            return self.about
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self._reply(self.limit)

    def _reply(self, limit: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], limit)
        if not ready:
            self.end()
            return {"failed": f"not done within {limit:g} s"}
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": "its process ended"}

    def end(self) -> None:
        """End the process and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


# --- All of them ---------------------------------------------------------------------------------


def measured(number: int, left_out: set[str]) -> dict[str, Any]:
    """Return what the contestants of a workload took, asked in turns."""
    workload = WORKLOADS[number]
    names = [name for name in workload.contestants if name not in left_out]
    workers = {name: _started(name, number) for name in names}
    found: dict[str, dict[str, Any]] = {}
    for name, worker in workers.items():
        first = worker.run() if isinstance(worker, Worker) else worker
        found[name] = {"first": first, "rounds": []}
        remark = REMARKS.get(f"{name}, crossed" if workload.crossed else name)
        found[name] |= {"remark": remark} if remark else {}
        if isinstance(worker, Worker):
            found[name]["versions"] = worker.about.get("versions")
            found[name]["peak before"] = worker.about.get("peak before")
    for turn in range(ROUNDS):
        for name, worker in workers.items():
            first, taken = found[name]["first"], found[name]["rounds"]
            slow = turn and first.get("seconds", 0) > SLOW
            if isinstance(worker, Worker) and "failed" not in first and not slow:
                taken.append(worker.run())
    for worker in workers.values():
        if isinstance(worker, Worker):
            worker.end()
    for entry in found.values():
        done = [each for each in entry["rounds"] if "failed" not in each]
        if done:
            entry["best"] = {key: min(each[key] for each in done) for key in ("seconds", "cpu")}
    ours = found["interventional"].get("best")
    for entry in found.values():
        if ours and "best" in entry:
            entry["times ours"] = {key: entry["best"][key] / ours[key] for key in ours}
    size = workload.stores * workload.weeks
    return {"title": workload.title, "rows": size, "limit": workload.limit, "contestants": found}


def _started(name: str, number: int) -> "Worker | dict[str, Any]":
    try:
        return Worker(name, number)
    except environments.NotInstalledError as problem:
        return {"failed": f"not installed: {problem}"}


def saved(section: str) -> dict[str, Any]:
    """Return one section of the results."""
    found: dict[str, Any] = json.loads(SAVED.read_text()) if SAVED.exists() else {}
    return found.get(section, {})


def save(section: str, found: dict[str, Any]) -> None:
    """Write one section of the results, beside the others."""
    everything = {name: saved(name) for name in ("coverage", "speed")}
    everything[section] = {"date": datetime.now(UTC).date().isoformat()} | found
    SAVED.write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n")


def table(workloads: list[dict[str, Any]]) -> str:
    """Return the results as a table of Markdown."""
    lines = [
        "| workload | contestant | first | best | CPU, best | times ours "
        "| CPU, times ours | peak memory |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workload in workloads:
        for name, entry in workload["contestants"].items():
            first, best = entry["first"], entry.get("best")
            cells = [workload["title"], name]
            if "failed" in first:
                cells += [first["failed"], *["–"] * 5]
            else:
                cells.append(f"{first['seconds']:.3g} s")
                cells += [f"{best[key]:.3g} s" if best else "–" for key in ("seconds", "cpu")]
                ratio = entry.get("times ours")
                cells += [f"{ratio[key]:.3g}" if ratio else "–" for key in ("seconds", "cpu")]
                cells.append(f"{first['peak']:.3g} GiB")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs=2, metavar=("NAME", "NUMBER"), help=argparse.SUPPRESS)
    parser.add_argument("--without", nargs="*", default=[], choices=list(CONTESTANTS)[1:])
    parser.add_argument("--only", nargs="*", type=int, help="numbers of workloads; saves nothing")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve[0], int(arguments.serve[1]))
        return
    load = environments.machine()
    found = []
    for number in range(len(WORKLOADS)) if arguments.only is None else arguments.only:
        found.append(measured(number, set(arguments.without)))
        print(table(found[-1:]), flush=True)
        if arguments.only is None:
            save("speed", {"machine": load, "truth": TRUTH, "rounds": ROUNDS, "workloads": found})
    print("\n" + table(found))


if __name__ == "__main__":
    main()
