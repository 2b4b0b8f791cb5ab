r"""Families whose linear predictor is that of their canonical link: what Laplace's method takes.

The log density of an outcome y is :math:`y \eta - b(\eta)` and what does not depend on eta. The
mean is b', the variance b'', and both are known where b is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from interventional.numbers import Floats
from interventional.scm.families import Family
from interventional.scm.links import LOG, LOGIT


@dataclass(frozen=True)
class Canonical:
    """One such family.

    Attributes
    ----------
    cumulant : callable
        From eta to b and its first three derivatives.
    start : callable
        From mean outcomes and how often each was seen to an eta that is next to them, and finite.
    """

    cumulant: Callable[[Floats], tuple[Floats, Floats, Floats, Floats]] = field(repr=False)
    start: Callable[[Floats, Floats], Floats] = field(repr=False)


def _of_bernoulli(eta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    p, rest = expit(eta), expit(-eta)
    return np.logaddexp(0.0, eta), p, p * rest, p * rest * (rest - p)


def _of_poisson(eta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    with np.errstate(over="ignore"):
        mean = np.exp(eta)
    return mean, mean, mean, mean


_BERNOULLI = Canonical(_of_bernoulli, lambda y, m: np.log(m * y + 0.5) - np.log(m - m * y + 0.5))
_POISSON = Canonical(_of_poisson, lambda y, m: np.log(m * y + 0.5) - np.log(m))
_BY_LINK: Mapping[str, Canonical] = {LOGIT.name: _BERNOULLI, LOG.name: _POISSON}


def canonical(family: Family) -> Canonical | None:
    """Return what is known of a family; None where it is not such a one.

    A whole number with nothing but eta to it is 0 or 1 with log-odds, or a count with a log rate.
    """
    alone = family.discrete and not family.dispersion
    return _BY_LINK.get(family.link.name) if alone else None
