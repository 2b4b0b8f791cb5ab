"""What becomes of `model=` where an estimator is pickled: models by value, callables by name."""

import functools
import inspect
import pickle
import sys
from collections.abc import Callable
from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any

from interventional.own.skeleton import copied, plain
from interventional.scm.compiling import building

if TYPE_CHECKING:
    import pymc as pm

_BY_VALUE = ("copy", "cloudpickle")  # modules that take any callable
_NEAR = 6  # frames


class Pickled:
    """A `pm.Model` that is unpickled as a copy of itself: as it is, none can be pickled."""

    def __init__(self, model: "pm.Model"):
        self.model = model

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes the model again."""
        with building:
            return copied, (plain(copied(self.model)),)


def picklable(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator with a `model` that can be pickled.

    Raises
    ------
    PicklingError
        If it is a callable that no module has by its name.
    """
    model = state.get("model")
    if model is None:
        return state
    if not callable(model):
        return {**state, "model": Pickled(model)}
    culprit = _local(model)
    if culprit is not None and not _is_taken_by_value():
        raise pickle.PicklingError(
            f"model={culprit.__qualname__} has no name that a module could be asked for, and "
            "pickle takes callables by name: define it at the top of a module that is imported, "
            "or use cloudpickle.dumps, which takes it by value"
        )
    return state


def _local(given: Any) -> FunctionType | None:
    """Return the function in a callable that cannot be imported; None where there is none."""
    while isinstance(given, functools.partial):
        given = given.func
    if not isinstance(given, FunctionType):
        return None
    try:
        found: Callable[..., Any] = attrgetter(given.__qualname__)(sys.modules[given.__module__])
    except (AttributeError, KeyError):
        return given
    return None if found is given else given


def _is_taken_by_value() -> bool:
    """Whether it is no pickler that asks, but one of those that take callables as they are."""
    frame = inspect.currentframe()
    for _ in range(_NEAR):
        if frame is None:
            break
        if str(frame.f_globals.get("__name__", "")).rpartition(".")[2] in _BY_VALUE:
            return True
        frame = frame.f_back
    return False
