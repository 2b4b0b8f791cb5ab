"""What is asked, in words."""

from collections.abc import Mapping
from typing import Any, Literal

from interventional.errors import unknown
from interventional.intervention.do import describe

Do = Mapping[Any, Any]
Kind = Literal["mean", "predictive"]


def estimand(outcome: str, words: str, kind: Kind) -> str:
    """Return what an intervention, put into words, asks, as in ``E[y | do(b = 0)]``."""
    return _of_kind(f"{outcome} | do({words})", kind)


def given(outcome: str, kind: Kind) -> str:
    """Return what is asked of rows as they are: ``E[y | X]``."""
    return _of_kind(f"{outcome} | X", kind)


def _of_kind(asked: str, kind: Kind) -> str:
    if kind not in ("mean", "predictive"):
        raise ValueError(unknown("kind", kind, ("mean", "predictive")))
    return asked if kind == "predictive" else f"E[{asked}]"


def difference(outcome: str, do: Do, baseline: Do | None, kind: Kind) -> str:
    """Return what an effect is."""
    sides = describe(do), at_rest_in_words(do, baseline)
    return " - ".join(estimand(outcome, side, kind) for side in sides)


def at_rest_in_words(do: Do, baseline: Do | None) -> str:
    """Return what an intervention is compared with."""
    return f"{', '.join(map(str, do))} as observed" if baseline is None else describe(baseline)
