"""What summaries make of samples: from (draws, rows) to a number or two for each row.

Each knows what it is of draws and, in closed form, of a mixture of Gaussians.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from scipy.special import logsumexp

from interventional.answers.mixtures import Mixture
from interventional.errors import unknown
from interventional.numbers import Floats, slices

Reduction = Callable[[Floats], Floats]


class Summary(Protocol):
    """What is asked of each row."""

    def __call__(self, block: Floats) -> Floats:
        """Return it of draws, (n_draws, rows)."""

    def of_law(self, mixture: Mixture) -> Floats:
        """Return it in closed form."""


CiKind = Literal["eti", "hdi"]
DEFAULT_INTERVAL: tuple[float, CiKind] = (0.89, "eti")  # ArviZ's own
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


@dataclass(frozen=True)
class Std:
    """The standard deviation of each row, (rows,)."""

    def __call__(self, block: Floats) -> Floats:
        """Return that of draws, with Bessel's correction."""
        return std(block)

    def of_law(self, mixture: Mixture) -> Floats:
        """Return it in closed form."""
        return mixture.spread


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of each row, (rows, len(q))."""

    q: Sequence[float]

    def __call__(self, block: Floats) -> Floats:
        """Return those of draws."""
        return quantiles(block, self.q)

    def of_law(self, mixture: Mixture) -> Floats:
        """Return them in closed form."""
        return mixture.quantiles(self.q)


@dataclass(frozen=True)
class Inside:
    """The probability of an open range in each row, (rows,)."""

    above: float | None
    below: float | None

    def __call__(self, block: Floats) -> Floats:
        """Return the share of draws."""
        return inside(block, self.above, self.below)

    def of_law(self, mixture: Mixture) -> Floats:
        """Return it in closed form."""
        return mixture.inside(self.above, self.below)


@dataclass(frozen=True)
class Shortest:
    """The interval of highest density of each row, (rows, 2)."""

    prob: float

    def __call__(self, block: Floats) -> Floats:
        """Return the shortest that holds so many draws."""
        return highest_density(block, self.prob)

    def of_law(self, mixture: Mixture) -> Floats:
        """Return it in closed form."""
        return mixture.highest_density(self.prob)


@dataclass(frozen=True)
class Beside:
    """Several, side by side."""

    parts: Sequence[Summary]

    def __call__(self, block: Floats) -> Floats:
        """Return those of draws."""
        return np.hstack([part(block) for part in self.parts])

    def of_law(self, mixture: Mixture) -> Floats:
        """Return them in closed form."""
        return np.hstack([part.of_law(mixture) for part in self.parts])


def interval_of(prob: float, kind: CiKind) -> Summary:
    """Return the interval of each row, (rows, 2), as a function of its samples."""
    if kind == "eti":
        return Quantiles(((1 - prob) / 2, (1 + prob) / 2))
    return Shortest(prob)


def interval_defaults(prob: float | None, kind: CiKind | None) -> tuple[float, CiKind]:
    """Return probability and kind of an interval, ArviZ's where None."""
    if prob is None or kind is None:
        at_hand = interval_at_hand()
        prob = at_hand[0] if prob is None else prob
        kind = at_hand[1] if kind is None else kind
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


def intervals_of(probs: Sequence[float], kind: CiKind) -> Summary:
    """Return several intervals of each row, (rows, 2 * len(probs)), as a function of samples."""
    return Beside([interval_of(prob, kind) for prob in probs])


def columns_of_intervals(probs: Sequence[float], kind: CiKind) -> list[str]:
    """Return what ArviZ calls the ends of several intervals."""
    return [column for prob in probs for column in interval_columns(prob, kind)]


def interval_at_hand() -> tuple[float, CiKind]:
    """Return probability and kind of intervals where nobody asked for one: ArviZ's.

    It is not imported for that, which takes a second: who has changed its defaults has imported
    it, or has a file that it reads.
    """
    if "arviz_base" not in sys.modules and not any(map(Path.is_file, _arviz_files())):
        return DEFAULT_INTERVAL
    from arviz_base import rcParams

    return rcParams["stats.ci_prob"], rcParams["stats.ci_kind"]


def _arviz_files() -> Iterator[Path]:
    """Iterate over where `arviz_base.rcparams.get_arviz_rcfile` looks for defaults."""
    home, environment = Path("~").expanduser(), os.environ
    yield Path("arvizrc")
    if environment.get("ARVIZ_DATA"):
        yield Path(environment["ARVIZ_DATA"]) / "arvizrc"
    yield Path(environment.get("XDG_CONFIG_HOME", home / ".config")) / "arviz" / "arvizrc"
    yield home / ".arviz" / "arvizrc"


def interval_columns(prob: float, kind: CiKind) -> tuple[str, str]:
    """Return what ArviZ calls the ends of an interval."""
    stem = f"{kind}{int(round(100 * prob, 6))}"
    return f"{stem}_lb", f"{stem}_ub"


def log_mean_exp(block: Floats) -> Floats:
    """Return the log of the mean of exponentials, (rows,) of (draws, rows)."""
    return np.asarray(logsumexp(block, axis=0) - np.log(len(block)))
