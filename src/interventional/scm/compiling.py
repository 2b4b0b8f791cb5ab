"""A bounded cache for what is built once per model structure."""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

_NO_BLAS = "PyTensor could not link to a BLAS installation"
building = threading.RLock()  # PyTensor's rewriting is not known to be safe under threads


class StructureCache:
    """Keep the most recently used results of slow constructions, safely under threads.

    Parameters
    ----------
    size : int
        How many results are kept.
    """

    def __init__(self, size: int):
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """Return what is kept under a key, building it first where it is not kept yet.

        Constructions happen one at a time; one that fails keeps nothing.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with building:
            with self._lock:
                found = self._kept.get(key)
            if found is None:  # else another thread has been faster
                with warnings.catch_warnings():  # nothing that is compiled here takes BLAS from C
                    warnings.filterwarnings("ignore", _NO_BLAS, UserWarning)
                    found = build()
                with self._lock:
                    self._kept[key] = found
                    while len(self._kept) > self._size:
                        self._kept.popitem(last=False)
        return found


def python_mode() -> Any:
    """Return the PyTensor mode that compiles in milliseconds: no C, no Numba."""
    from pytensor.compile.mode import Mode

    return Mode(linker="py", optimizer="fast_compile")
