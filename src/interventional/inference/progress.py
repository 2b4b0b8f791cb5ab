"""What `verbose` shows: lines on stdout, as scikit-learn prints them, of what takes long."""

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

_FIRST, _EVERY = 1.0, 5.0  # seconds until the first line, and from one to the next


class Stage:
    """What goes on, and how far it is.

    Attributes
    ----------
    what : str
        Who works at what.
    """

    def __init__(self, what: str):
        self.what = what
        self._began, self._detail = monotonic(), ""

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return monotonic() - self._began

    def tell(self, detail: str) -> None:
        """Take note of how far it is, for the next line."""
        self._detail = detail

    def __str__(self) -> str:
        detail = f", {self._detail}" if self._detail else ""
        return f"{self.what}: {self.seconds:.0f} s{detail}"


@contextmanager
def told(verbose: bool, what: str) -> Iterator[Stage]:
    """Print a line every few seconds while something goes on, and one when it is done.

    Parameters
    ----------
    verbose : bool
        Whether to print anything.
    what : str
        What goes on.
    """
    stage, over = Stage(what), Event()
    if not verbose:
        yield stage
        return

    def watch() -> None:
        pause = _FIRST
        while not over.wait(pause):
            _print(stage)
            pause = _EVERY

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield stage
    finally:
        over.set()
        watcher.join()
    _print(f"{what}: done in {stage.seconds:.1f} s")


def _print(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def shows_bars() -> bool:
    """Whether bars that move can be shown: on a terminal, or in a notebook."""
    return sys.stderr.isatty() or hasattr(builtins, "__IPYTHON__")
