"""What summaries make of samples: from (draws, rows) to a number or two for each row."""

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Literal

import numpy as np

from interventional.errors import unknown
from interventional.numbers import Floats, slices

Reduction = Callable[[Floats], Floats]
CiKind = Literal["eti", "hdi"]
_TILE = 64  # rows that are transposed at a time, to stay within the processor's cache


def mean(block: Floats) -> Floats:
    """Return the mean of each row of a block, (n_draws, rows)."""
    return np.asarray(block.mean(axis=0))


def std(block: Floats) -> Floats:
    """Return the standard deviation of each row of a block, with Bessel's correction."""
    return np.asarray(block.std(axis=0, ddof=1))


def quantiles(block: Floats, q: Sequence[float] | Floats) -> Floats:
    """Return quantiles of each row of a block, (rows, len(q)), as `np.quantile` has them.

    A row's draws are sorted where they lie side by side: about twice as fast.
    """
    n_draws, n = block.shape
    exact = np.asarray(q) * (n_draws - 1)
    below = np.floor(exact).astype(np.intp)
    above = np.minimum(below + 1, n_draws - 1)
    part = exact - below
    out = np.empty((n, len(q)))
    for rows in slices(n, _TILE):
        ordered = block[:, rows].T.copy()
        ordered.sort(axis=1)
        low, high = ordered[:, below], ordered[:, above]
        step = high - low  # from the nearer end, as NumPy does: equal to the last bit
        out[rows] = np.where(part < 0.5, low + step * part, high - step * (1 - part))
        out[rows][np.isnan(ordered[:, -1])] = np.nan
    return out


def highest_density(block: Floats, prob: float) -> Floats:
    """Return the shortest interval of each row of a block, (rows, 2), as ArviZ has it."""
    from arviz_stats.base import array_stats

    return np.asarray(array_stats.hdi(block, prob, axis=0))


def inside(block: Floats, above: float | None, below: float | None) -> Floats:
    """Return the share of each row's draws in an open range."""
    within = np.ones(block.shape, dtype=bool)
    if above is not None:
        within &= block > above
    if below is not None:
        within &= block < below
    return np.asarray(within.mean(axis=0))


def interval_of(prob: float, kind: CiKind) -> Reduction:
    """Return the interval of each row, (rows, 2), as a function of its samples."""
    if kind == "eti":
        return partial(quantiles, q=((1 - prob) / 2, (1 + prob) / 2))
    return partial(highest_density, prob=prob)


def interval_defaults(prob: float | None, kind: CiKind | None) -> tuple[float, CiKind]:
    """Return probability and kind of an interval, ArviZ's where None."""
    if prob is None or kind is None:
        from arviz_base import rcParams

        prob = rcParams["stats.ci_prob"] if prob is None else prob
        kind = rcParams["stats.ci_kind"] if kind is None else kind
    if not isinstance(prob, Real) or not 0 < float(prob) < 1:
        raise ValueError(f"prob must lie between 0 and 1, got {prob!r}")
    if kind not in ("eti", "hdi"):
        raise ValueError(unknown("kind of interval", kind, ("eti", "hdi")))
    return float(prob), kind


def several_defaults(
    prob: float | Sequence[float] | None, kind: CiKind | None
) -> tuple[list[float], CiKind]:
    """Return the probabilities of one or more intervals, and their kind, ArviZ's where None."""
    if prob is None or not np.ndim(prob):
        one, kind = interval_defaults(prob, kind)  # type: ignore[arg-type]
        return [one], kind
    probs = list(prob)  # type: ignore[arg-type]
    found = [interval_defaults(each, kind) for each in probs]
    if not found:
        raise ValueError("prob is an empty list; give a probability between 0 and 1, or several")
    probs, kind = [each for each, _ in found], found[0][1]
    columns = [interval_columns(each, kind)[0] for each in probs]
    if len(set(columns)) < len(columns):
        raise ValueError(f"prob: two of {probs} would have one name, of whole per cent")
    return probs, kind


def intervals_of(probs: Sequence[float], kind: CiKind) -> Reduction:
    """Return several intervals of each row, (rows, 2 * len(probs)), as a function of samples."""
    return partial(_beside, reductions=[interval_of(prob, kind) for prob in probs])


def _beside(block: Floats, reductions: Sequence[Reduction]) -> Floats:
    return np.hstack([reduction(block) for reduction in reductions])


def columns_of_intervals(probs: Sequence[float], kind: CiKind) -> list[str]:
    """Return what ArviZ calls the ends of several intervals."""
    return [column for prob in probs for column in interval_columns(prob, kind)]


def interval_columns(prob: float, kind: CiKind) -> tuple[str, str]:
    """Return what ArviZ calls the ends of an interval."""
    stem = f"{kind}{int(round(100 * prob, 6))}"
    return f"{stem}_lb", f"{stem}_ub"
