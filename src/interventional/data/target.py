"""What was done to the outcome before a model saw it, and what a density becomes by that."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from interventional.numbers import Floats, slices

_STEPS = 20  # differences that are tried for a derivative, each half as wide as the one before
_PRECISE = 1e-5  # relative error of a derivative that is too large for a smooth function
_CLOSE = 1e-6  # how far from an outcome the inverse of its transform may be, in spreads
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Target:
    """The transforms of an outcome on its way to a model.

    Attributes
    ----------
    transformers : tuple of transformer
        Fitted, in the order in which they are applied: those of `TransformedTargetRegressor`.
    """

    transformers: tuple[Any, ...] = ()

    def transformed(self, y: Floats) -> tuple[Floats, Floats]:
        """Return outcomes as the model sees them, and the log of the slope of all transforms.

        Raises
        ------
        ValueError
            If there is no such slope, as of a step or a constant.
        """
        log_slope = np.zeros(len(y))
        for transformer in self.transformers:
            y, added = _step(transformer, y)
            log_slope += added
        return y, log_slope

    def back(self, drawn: Floats) -> Floats:
        """Return outcomes of the model, (n, draws), in the units of the raw outcome."""
        found = drawn
        for transformer in reversed(self.transformers):
            found = _applied(transformer.inverse_transform, found)
            if np.isnan(found).any():
                raise ValueError(
                    f"the inverse transform of the target, {transformer!r}, returned NaN for "
                    "outcomes that the model draws, so that its draws cannot be scored"
                )
        return found


def _step(transformer: Any, y: Floats) -> tuple[Floats, Floats]:
    """Return outcomes after one transform, and the log of its slope there."""
    after = _applied(transformer.transform, y)
    with _named(transformer):
        back = _applied(transformer.inverse_transform, after)
    spread = float(np.std(y)) or float(np.abs(y).max(initial=0.0)) or 1.0
    _refuse(
        transformer,
        y,
        ~(np.abs(back - y) <= _CLOSE * np.maximum(np.abs(y), spread)),
        "its inverse does not undo it, as where it rounds, or is constant beyond what it has seen",
    )
    some = (len(y) + 1) // 2
    alone = _applied(transformer.transform, y[:some])
    strays = np.zeros(len(y), dtype=bool)
    strays[:some] = ~np.isclose(alone, after[:some], rtol=1e-9, atol=0.0)
    _refuse(transformer, y, strays, "what it makes of an outcome depends on the other rows")
    slope = np.empty_like(y)
    for rows in slices(len(y), _BLOCK // (2 * _STEPS)):
        slope[rows] = _slope(transformer, y[rows], spread)
    settled = slope[~np.isnan(slope)]
    turns = np.sign(slope) != np.sign(np.median(settled) if len(settled) else 1.0)
    _refuse(transformer, y, (slope == 0) | turns, "it has no slope there, or turns around")
    return after, np.log(np.abs(slope))


def _slope(transformer: Any, y: Floats, spread: float) -> Floats:
    """Return the derivative of a transform, NaN where differences do not settle.

    Central differences of halved widths are extrapolated to none (Ridders 1982), and the one is
    taken that agrees best with its neighbours. Outcomes of one sign keep their sign, so that
    logarithms are defined.
    """
    width = np.full(len(y), spread / 4)
    if (y > 0).all() or (y < 0).all():
        width = np.minimum(width, np.abs(y) / 4)
    h = width[:, None] * 0.5 ** np.arange(_STEPS)
    up, down = y[:, None] + h, y[:, None] - h
    with np.errstate(all="ignore"), _named(transformer):
        found = _applied(transformer.transform, np.concatenate([up, down, y[:, None]], axis=1))
        raw = (found[:, :_STEPS] - found[:, _STEPS:-1]) / (up - down)
        once = (4 * raw[:, 1:] - raw[:, :-1]) / 3
        twice = (16 * once[:, 1:] - once[:, :-1]) / 15
        rounding = np.finfo(np.float64).eps * np.abs(found[:, -1:]) / h[:, 2:]
        error = np.abs(twice - once[:, 1:]) + rounding
        error = np.where(np.isfinite(error) & np.isfinite(twice), error, np.inf)
    best = np.argmin(error, axis=1)[:, None]
    slope, error = (np.take_along_axis(each, best, axis=1)[:, 0] for each in (twice, error))
    return np.where(error <= _PRECISE * np.abs(slope), slope, np.nan)


def _applied(function: Any, values: Floats) -> Floats:
    """Return what a transformer makes of numbers, in their shape."""
    found = function(values.reshape(-1, 1))
    return np.asarray(found, dtype=np.float64).reshape(values.shape)


def _refuse(transformer: Any, y: Floats, strays: Any, why: str) -> None:
    """Refuse outcomes whose density is not that of the transformed ones times a slope."""
    if not strays.any():
        return
    row = int(np.argmax(strays))
    raise ValueError(
        f"the transform of the target, {transformer!r}, has no density to score at y = "
        f"{y[row]:g} in row {row}: {why}. Score errors of predictions, or by neg_crps; or say by "
        "family= what the raw outcome is, and transform nothing"
    )


@contextmanager
def _named(transformer: Any) -> Iterator[None]:
    """Say whose error it is that a transformer raises at outcomes near those that it took."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"the transform of the target, {transformer!r}, cannot be scored near the outcomes: "
            f"{error}"
        ) from error
