"""The cache of compiled structures."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from interventional.scm.compiling import StructureCache


def test_builds_once_and_forgets_the_least_recently_used():
    cache, built = StructureCache(2), []

    def get(key):
        return cache.get(key, lambda: built.append(key) or key.upper())

    assert [get("a"), get("b"), get("a"), get("c"), get("a"), get("b")] == list("ABACAB")
    assert built == ["a", "b", "c", "b"]


def test_a_failure_keeps_nothing():
    cache = StructureCache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert cache.get("a", lambda: 1) == 1


def test_threads_build_once():
    cache = StructureCache(16)
    barrier = threading.Barrier(4)

    def build():
        time.sleep(0.01)
        return threading.get_ident()

    def ask(_):
        barrier.wait()
        return cache.get("a", build)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert len(set(found)) == 1
