"""Equally weighted draws of a posterior from a Gaussian that is near to it.

Proposals are of the Gaussian, a little wider, and of a Student t for the tails. What the posterior
is over what they are weighs them, and draws are taken in proportion. Whether that can be trusted
is told by the shape of the tail of the weights, and by how many draws they are worth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import gammaln

from interventional.inference.importance import effective_size, resampled, smoothed
from interventional.inference.laplace import Gaussian
from interventional.inference.many_chains import Density
from interventional.numbers import Floats

_NORMAL, _WIDER = 0.8, 1.05  # share and width of the Gaussian
_FREEDOM, _WIDEST = 5.0, 1.2  # of the Student t
_PROPOSALS, _FEWEST, _ROUNDS = 2, 8_000, 2  # a draw; in all; and once more where that is too few
K_HAT = 0.4  # above which weights are not trusted, unless
# Of priors with heavy tails, which proposals lack: where the data leave a tail, few draws see it.
K_HAT_HEAVY = 0.2
_EVEN = 0.8  # they are worth this share of their number: then they have no tail to speak of
_LEAST = 1_000.0  # draws that weights must be worth, and as many as there are draws;
_WORTH = 1.5  # times as many need no more
_PILOT = 64
_SAME = 0.998  # the share beyond which the Gaussian is taken for the posterior


@dataclass(frozen=True, eq=False)
class Weighed:
    """Equally weighted draws, (n_draws, d), and how good the weights were."""

    draws: Floats
    effective_size: float
    k_hat: float
    certified: bool


def draw(
    target: Density, near: Gaussian, n_draws: int, rows: int, rng: Generator, limit: float = K_HAT
) -> Weighed:
    """Draw from a target.

    Where a few hundred proposals of the Gaussian itself weigh the same but for some percent, draws
    are its own: their means and covariances are off by what is of second order in these percents.

    Parameters
    ----------
    target : Density
        The posterior.
    near : Gaussian
        What is near to it.
    n_draws : int
        Number of draws.
    rows : int
        How many rows the density looks at.
    rng : Generator
        Source of randomness.
    limit : float
        Of Pareto's k.
    """
    if rows * n_draws * _PROPOSALS > _LARGE:
        x, log_density = near.draw(_PILOT, rng)
        size = effective_size(target.heights(x) - log_density)
        if size > _SAME * _PILOT:
            return Weighed(near.draw(n_draws, rng)[0], n_draws * size / _PILOT, -np.inf, True)
    n = max(_PROPOSALS * n_draws, _FEWEST)
    x, raw = np.empty((0, len(near.mean))), np.empty(0)
    for _ in range(_ROUNDS):
        more, log_density = _proposed(near, n, rng)
        x, raw = np.concatenate([x, more]), np.append(raw, target.heights(more) - log_density)
        if not np.isfinite(raw).any():
            return Weighed(x[:0], 0.0, np.inf, False)
        log_weights, k_hat = smoothed(raw)
        size = effective_size(log_weights)
        certified = k_hat < limit or size > _EVEN * len(raw)
        if certified and size > max(_WORTH * n_draws, _LEAST):
            break
    certified &= size > max(float(n_draws), _LEAST)
    return Weighed(resampled(x, log_weights, n_draws, rng), size, k_hat, bool(certified))


_LARGE = 1e9  # rows times proposals, beyond which it is worth asking for less


def _proposed(near: Gaussian, n: int, rng: Generator) -> tuple[Floats, Floats]:
    """Return proposals, and their log density."""
    d = len(near.mean)
    z = rng.standard_normal((n, d))
    of_normal = round(_NORMAL * n)
    z[:of_normal] *= _WIDER
    stretch = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, n - of_normal))
    z[of_normal:] *= _WIDEST * stretch[:, None]
    squares = np.square(z).sum(axis=1)
    normal = -0.5 * squares / _WIDER**2 - d * (np.log(_WIDER) + 0.5 * np.log(2 * np.pi))
    level = gammaln((_FREEDOM + d) / 2) - gammaln(_FREEDOM / 2)
    level -= d * (0.5 * np.log(_FREEDOM * np.pi) + np.log(_WIDEST))
    student = level - (_FREEDOM + d) / 2 * np.log1p(squares / (_FREEDOM * _WIDEST**2))
    both = np.logaddexp(np.log(_NORMAL) + normal, np.log1p(-_NORMAL) + student)
    return near.mean + near.shift(z), both - near.log_volume
