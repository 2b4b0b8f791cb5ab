"""Slice sampling of one number in each of many chains at once."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from interventional.numbers import Floats

_STEPS = 100  # outwards, on either side
_SHRINKS = 200  # inwards: a bracket is then narrower than numbers are apart

# From numbers, and the chains that they are of, to log densities.
LogDensities = Callable[[Floats, NDArray[np.intp]], Floats]


def step(log_density: LogDensities, x: Floats, width: float, rng: Generator) -> Floats:
    """Return the next number of each chain, whose distribution stays that of the density.

    By stepping out and shrinkage (Neal 2003, "Slice sampling", Annals of Statistics 31:705,
    figures 3 and 5).

    Parameters
    ----------
    log_density : callable
        Returns the log densities at numbers of some chains, up to a constant a chain.
    x : ndarray of shape (chains,)
        Where the chains are; the density must not be 0 there.
    width : float
        How far a step outwards goes.
    rng : Generator
        Source of randomness.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.zeros(4000)
    >>> for _ in range(20):
    ...     x = step(lambda t, which: -0.5 * t**2, x, 2.0, rng)
    >>> bool(abs(x.mean()) < 0.07), bool(abs(x.std() - 1) < 0.05)
    (True, True)
    """
    every = np.arange(len(x))
    level = log_density(x, every) - rng.exponential(size=len(x))
    low = x - width * rng.uniform(size=len(x))
    high = low + width
    # So many steps on both sides together, shared out at random, keep the chain reversible.
    left = rng.integers(_STEPS + 1, size=len(x))
    for edge, sign, room in ((low, -1.0, left), (high, 1.0, _STEPS - left)):
        active = every[room > 0]
        for taken in range(1, _STEPS + 1):
            active = active[log_density(edge[active], active) > level[active]]
            if not len(active):
                break
            edge[active] += sign * width
            active = active[room[active] > taken]
    found, active = x.copy(), every
    for _ in range(_SHRINKS):
        tried = rng.uniform(low[active], high[active])
        inside = log_density(tried, active) > level[active]
        found[active[inside]] = tried[inside]
        active, tried = active[~inside], tried[~inside]
        if not len(active):
            break
        below = tried < x[active]
        low[active[below]] = tried[below]
        high[active[~below]] = tried[~below]
    return found
