"""Talks to the peers' processes: the runner's end of `benchmarks.worker`."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from typing import Any, Self

from benchmarks.environments import ROOT, peer, python_of, source_of, variables

LIMIT = 120.0  # seconds that one call may take


class WorkerError(Exception):
    """Raised where a worker cannot do what it is asked, with the reason."""


class Worker:
    """A process of a peer. Leaving the context ends it."""

    def __init__(self, name: str, **extra: str):
        self.name = name
        own = peer(name).REQUIREMENTS is not None
        self._process = subprocess.Popen(
            [python_of(name), "-m", "benchmarks.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCHMARKS_VERBOSE") else subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=variables(own) | source_of(name) | extra,
            start_new_session=True,  # so that it can be ended with its own children
        )
        # A thread reads, so that waiting for a reply can end in time.
        self._replies: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put("")

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ask(self, action: str, *, limit: float = LIMIT, **request: Any) -> dict[str, Any]:
        """Return the reply to a request."""
        if self._process.poll() is not None:
            raise WorkerError("its process has ended")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"action": action, **request}) + "\n")
        self._process.stdin.flush()
        try:
            line = self._replies.get(timeout=limit)
        except queue.Empty:
            self.end()
            raise WorkerError(f"more than {limit:.0f} s") from None
        if not line:
            self._process.wait()
            code = self._process.returncode
            raise WorkerError("out of memory" if code == -signal.SIGKILL else f"ended with {code}")
        reply = json.loads(line)
        if "failed" in reply:
            raise WorkerError(reply["failed"])
        return reply

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process and its children."""
        if self.alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Workers:
    """One process a peer, started when it is first asked, and again if it has ended."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def __getitem__(self, name: str) -> Worker:
        if name not in self._workers or not self._workers[name].alive:
            self._workers[name] = Worker(name)
        return self._workers[name]

    def drop(self) -> None:
        """Let all peers forget what they have prepared."""
        for worker in self._workers.values():
            if worker.alive:
                with contextlib.suppress(WorkerError):
                    worker.ask("drop")

    def end(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
