"""The mode of a density whose gradient is known, and perhaps not to the last digit.

SciPy's line searches stop where a step leads to no number, or where rounding hides the slope;
this one halves the step, and is content with what is nearly no worse.
"""

from collections.abc import Callable

import numpy as np

from interventional.numbers import Floats

ValueAndGradient = Callable[[Floats], tuple[float, Floats]]

_LONGEST = 1.5  # step in any coordinate
_SHRINK = 0.35
_TRIALS = 12
_ARMIJO = 1e-4
_ROUNDING = 1e-3  # in value, that is no difference
_CURVED = 1e-6


def descend(
    f: ValueAndGradient, x: Floats, inverse: Floats, most: int, enough: float
) -> tuple[Floats, float]:
    """Return where a function is smallest, and its value there.

    By BFGS with backtracking (Nocedal and Wright 2006, section 6.1).

    Parameters
    ----------
    f : callable
        Returns value and gradient; an infinite value where there is none.
    x : ndarray of shape (d,)
        Where to begin; coordinates should have sizes alike.
    inverse : ndarray of shape (d, d)
        What is known beforehand of the inverse of the curvature.
    most : int
        Steps at most.
    enough : float
        What two steps in a row gain less than where it ends.
    """
    value, gradient = f(x)
    small = 0
    for _ in range(most if len(x) else 0):
        direction = -inverse @ gradient
        if not direction @ gradient < 0:
            inverse = _steepest(gradient)
            direction = -inverse @ gradient
        direction *= min(1.0, _LONGEST / max(np.abs(direction).max(), 1e-300))
        slope, length = direction @ gradient, 1.0
        for _ in range(_TRIALS):
            there, found = f(x + length * direction)
            if there <= value + _ARMIJO * length * slope + _ROUNDING:
                break
            length *= _SHRINK
        else:
            break
        moved, bent = length * direction, found - gradient
        curvature = moved @ bent
        if curvature > _CURVED:
            turn = np.eye(len(x)) - np.outer(moved, bent) / curvature
            inverse = turn @ inverse @ turn.T + np.outer(moved, moved) / curvature
        gain = value - there
        x, value, gradient = x + moved, there, found
        small = small + 1 if gain < enough else 0
        if small == 2:
            break
    return x, value


def _steepest(gradient: Floats) -> Floats:
    size = np.linalg.norm(gradient)
    return np.asarray(np.eye(len(gradient)) * min(1.0, 1.0 / max(size, 1e-300)))
