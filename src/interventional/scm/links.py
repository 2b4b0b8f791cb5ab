"""Links: what turns an expectation into a linear predictor."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, log1p

from interventional.numbers import Floats


@dataclass(frozen=True)
class Link:
    """What turns an expectation into a linear predictor.

    Attributes
    ----------
    name : str
        What it is called.
    forward, inverse : callable
        The function and its inverse, for arrays.
    tensor : str
        The name of the inverse in PyTensor; empty for the identity.
    unit : float
        The standard deviation that the default prior gives to the effect of one standard deviation
        of a term, on the scale of the link: in those of the outcome for the identity; for the log
        a factor of e, for the logit odds of 4.5, beyond which nearly every probability is 0 or 1.
    """

    name: str
    forward: Callable[[Floats], Floats] = field(repr=False)
    inverse: Callable[[Floats], Floats] = field(repr=False)
    tensor: str
    unit: float


def same(values: Any) -> Any:
    """Return what is given."""
    return values


def _logit(p: Floats) -> Floats:
    return np.log(p) - log1p(-p)


IDENTITY = Link("identity", same, same, "", 2.5)
LOG = Link("log", np.log, np.exp, "exp", 1.0)
LOGIT = Link("logit", _logit, expit, "sigmoid", 1.5)
