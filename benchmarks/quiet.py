"""Whether other programs have the processor: timing waits until they have not."""

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 1.0  # seconds that a turn waits for the others
LOOK = 0.3  # seconds over which it is seen whether they are at work
FREE = 0.15  # of one core, which they may have

_TICK = os.sysconf("SC_CLK_TCK")


def busy() -> float:
    """Return the seconds of processors that all programs have had so far; 0 where none tells."""
    with contextlib.suppress(OSError):
        user, nice, system, _, _, irq, soft, steal, *_ = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        )
        return (user + nice + system + irq + soft + steal) / _TICK
    return 0.0


def had(pid: int) -> float:
    """Return the seconds that a process and its ended children have had so far."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / _TICK
    return 0.0


class Quiet:
    """Waits for a quiet moment before each turn, and keeps what others had during it."""

    def __init__(self) -> None:
        self._others: list[float] = []

    def wait(self) -> None:
        """Return when others are at rest, or patience is over."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            before = busy()
            time.sleep(LOOK)
            if busy() - before <= FREE * LOOK:
                return

    @contextlib.contextmanager
    def turn(self, pid: int) -> Iterator[None]:
        """Wait; then note how many cores others have while the process has its turn."""
        self.wait()
        start, before, own = time.monotonic(), busy(), had(pid)
        yield
        seconds = max(time.monotonic() - start, 1 / _TICK)
        others = busy() - before - (had(pid) - own)
        self._others.append(max(others, 0.0) / seconds)

    def told(self) -> dict[str, float]:
        """Return how many cores others had: in the middle of all turns, and in a tenth of them."""
        others = sorted(self._others) or [0.0]
        return {
            "median": statistics.median(others),
            "tenth": others[int(0.9 * (len(others) - 1))],
        }
