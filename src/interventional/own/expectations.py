"""Expectations of distributions: PyMC's own, and of those that it knows none of.

A truncated or a censored distribution with an inverse of its distribution function has an integral
over probabilities for an expectation. It is taken by the double exponential rule (Takahasi & Mori
1974), for which functions may be infinite at the ends.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEP, _END = 0.25, 3.0  # of the double exponential rule
_FEW = 20  # numbers that are cut off and summed
_ROUNDING = 1e-9  # of what is left of all: then it is where it begins
_LEAST, _MOST = 1e-300, 1 - 2.0**-53  # probabilities that have a quantile
_COUNTS = ("PoissonRV", "NegBinomialRV", "BinomialRV", "BetaBinomialRV")
NODES = "quadrature"


def rule() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes between 0 and 1, and their weights."""
    t = np.linspace(-_END, _END, 2 * round(_END / _STEP) + 1)
    tail = np.exp(np.pi * np.sinh(t))
    weights = np.pi * np.cosh(t) * tail / (1 + tail) ** 2
    return tail / (1 + tail), weights / weights.sum()


def expectation(variable: Any) -> Any:
    """Return the expectation of a random variable given its parameters, or what broadcasts to it.

    It does not hang on the variable, not even on its shape: nothing is drawn to compute it.

    Raises
    ------
    NotImplementedError, UndefinedMomentException
        If it is not known, or there is none.
    """
    import pytensor.tensor as pt
    from pymc.distributions.censored import CensoredRV
    from pymc.distributions.continuous import TruncatedNormalRV
    from pymc.distributions.mixture import _BaseMixtureRV
    from pymc.distributions.moments.means import mean
    from pymc.distributions.truncated import TruncatedRV
    from pytensor.tensor.random.basic import CategoricalRV

    node = variable.owner
    base: Any
    if isinstance(node.op, CategoricalRV):
        shares: Any = node.op.dist_params(node)[0]
        found = (shares * pt.arange(shares.shape[-1])).sum(axis=-1)
    elif isinstance(node.op, _BaseMixtureRV) and not node.op.ndim_supp:
        _, shares, *components = node.inputs
        means = [expectation(component) for component in components]
        each = means[0] if len(means) == 1 else pt.stack(pt.broadcast_arrays(*means), axis=-1)
        found = (shares * each).sum(axis=-1)
    elif isinstance(node.op, CensoredRV):
        found = _within(*node.inputs, kept=True)
    elif isinstance(node.op, TruncatedRV):
        *inputs, lower, upper = node.inputs
        base = node.op.base_rv_op.make_node(*inputs).default_output()
        found = _above(base, lower, upper)
        found = _within(base, lower, upper, kept=False) if found is None else found
    elif isinstance(node.op, TruncatedNormalRV):
        found = _truncated_normal(*node.op.dist_params(node))
    else:
        return mean(variable)
    return found


def _truncated_normal(mu: Any, sigma: Any, lower: Any, upper: Any) -> Any:
    """Return the expectation of a truncated normal variable, far out in its tails as well.

    It is mirrored so that the bound that is nearer to its center is the lower one.
    """
    import pytensor.tensor as pt

    low, high = (lower - mu) / sigma, (upper - mu) / sigma
    mirrored = low + high < 0
    near, far = pt.switch(mirrored, -high, low), pt.switch(mirrored, -low, high)
    beyond = pt.exp((near - far) * (near + far) / 2)  # densities at the bounds, one by the other
    mass = pt.erfcx(near / np.sqrt(2)) - beyond * pt.erfcx(far / np.sqrt(2))
    off = np.sqrt(2 / np.pi) * (1 - beyond) / mass
    off = pt.switch(pt.isinf(near), 0.0, off)
    return mu + sigma * pt.switch(mirrored, -off, off)


def _above(base: Any, lower: Any, upper: Any) -> Any:
    """Return the expectation of whole numbers that are not below a small one, None of others.

    They are from 0 on: that is what PyMC truncates to have none of the least.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.moments.means import mean
    from pytensor.graph.basic import Constant

    if base.dtype.startswith("float") or not _is(upper, np.inf) or not isinstance(lower, Constant):
        return None
    if type(base.owner.op).__name__ not in _COUNTS or lower.data.size != 1:
        return None
    if not 0 < float(lower.data.item()) <= _FEW:
        return None
    least = int(np.ceil(lower.data.item()))
    shares = [pt.exp(pm.logp(base, np.int64(k), warn_rvs=False)) for k in range(1, least)]
    none = pm.logp(base, np.int64(0), warn_rvs=False)  # its share is near one where few are left
    rest = -pt.expm1(none) - sum(shares)
    over = mean(base) - sum(k * share for k, share in enumerate(shares, start=1))
    return over / rest if least == 1 else pt.switch(rest > _ROUNDING, over / rest, float(least))


def _within(base: Any, lower: Any, upper: Any, *, kept: bool) -> Any:
    """Return the expectation between bounds; those beyond count as the bounds if they are kept."""
    import pymc as pm
    import pytensor.tensor as pt

    if not base.dtype.startswith("float"):
        raise NotImplementedError(f"Truncated whole numbers: {base.owner.op}")
    least, most, ends = pt.constant(0.0), pt.constant(1.0), 0.0
    if not _is(lower, -np.inf):
        least = pt.exp(pm.logcdf(base, lower, warn_rvs=False))
        ends = ends + lower * least
    if not _is(upper, np.inf):
        most = pt.exp(pm.logcdf(base, upper, warn_rvs=False))
        ends = ends + upper * (1 - most)
    inside = _integral(base, least, most)
    return ends + (most - least) * inside if kept else inside


def _integral(base: Any, least: Any, most: Any) -> Any:
    """Return the average quantile between two probabilities."""
    import pymc as pm
    import pytensor.tensor as pt

    nodes, weights = (pt.constant(each, name=NODES) for each in rule())
    nodes, weights = (each.dimshuffle(0, *["x"] * base.ndim) for each in (nodes, weights))
    shares = pt.clip(least + (most - least) * nodes, _LEAST, _MOST)
    return (weights * pm.icdf(base, shares, warn_rvs=False)).sum(axis=0)


def _is(bound: Any, value: float) -> bool:
    """Whether a bound is known to be a number."""
    from pytensor.graph.basic import Constant

    return isinstance(bound, Constant) and bool(np.all(bound.data == value))
