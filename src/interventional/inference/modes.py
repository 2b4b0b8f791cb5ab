"""Where the posterior of the scales of a linear model is highest, and how wide it is there.

The gradient is Fisher's identity: that of the density of data and coefficients together, averaged
over the coefficients given theta. For a group with N the sum over levels of E[f f'] / sigma²,
coefficients sigma L f, it is tr((N - J I) L^-1 dL).
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import lapack

from interventional.errors import UndeterminedError, listed
from interventional.inference import correlations
from interventional.inference.components import Marginal, solve_upper
from interventional.inference.exact import REACH, refuse_ends
from interventional.inference.scales import Scale
from interventional.numbers import Floats

_STEP = 1e-4  # of differences
_LONGEST = 2.0  # step of the search
_FLATTEST = 0.1  # curvature that the covariance believes in
_NEAR = 0.2  # of REACH: there the likelihood is a power of a scale already, not yet rounding
_FALL = 0.1  # what a proper posterior's log density falls by, at least, over a fifth of REACH


def gradient(marginal: Marginal, theta: Floats) -> tuple[Floats, Floats]:
    """Return log densities and their gradients.

    Parameters
    ----------
    marginal : Marginal
        The posterior.
    theta : ndarray of shape (S, d)
        Where it is not zero.

    Returns
    -------
    value : ndarray of shape (S,)
        As `Marginal.log_density`.
    slope : ndarray of shape (S, d)
    """
    value = marginal.model.log_prior(theta)
    slope = _prior_slope(marginal, theta)
    for at in marginal.at_a_time(np.arange(len(theta))):
        more, steeper = likelihood(marginal, theta[at])
        value[at] += more
        slope[at] += steeper
    return value, slope


def mode(marginal: Marginal, names: Sequence[Sequence[str]]) -> tuple[Floats, Floats]:
    """Find the highest density of theta.

    Parameters
    ----------
    marginal : Marginal
        The posterior.
    names : sequence of sequence of str
        What the coefficients of each group are called, where its posterior has to be refused.

    Returns
    -------
    theta : ndarray of shape (d,)
        The mode.
    covariance : ndarray of shape (d, d)
        Inverse of the negative Hessian there; nowhere as wide as a density that is flat.

    Raises
    ------
    UndeterminedError
        If the posterior is improper.
    """
    low, high = _box(marginal)
    theta = np.clip(_start(marginal), low, high)
    value = float(marginal.log_density(theta[None])[0])
    if not np.isfinite(value):
        raise ValueError("the priors of the scales exclude every value that the data allow")
    for _ in range(200):
        slope, hessian = _curved(marginal, theta, low, high)
        step = _newton(slope, hessian, theta, low, high)
        for _ in range(30):
            moved = np.clip(theta + step, low, high)
            then = float(marginal.log_density(moved[None])[0])
            if then > value:
                break
            step = step / 2
        else:
            break
        gained, theta, value = then - value, moved, then
        if gained < 1e-9:
            break
        if (np.abs(_away(marginal, theta)) > REACH).any():
            break
    _refuse(marginal, theta, names)
    slope, hessian = _curved(marginal, theta, low, high)
    # Against an edge the density falls by its slope, and no curvature tells.
    at_edge = ((theta <= low) & (slope < 0)) | ((theta >= high) & (slope > 0))
    hessian[at_edge] = hessian[:, at_edge] = 0.0
    hessian[at_edge, at_edge] = -np.square(slope[at_edge])
    curvature, axes = np.linalg.eigh(-hessian)
    return theta, (axes / np.maximum(curvature, _FLATTEST)) @ axes.T


def likelihood(marginal: Marginal, theta: Floats) -> tuple[Floats, Floats]:
    """Return log densities of the data given theta, (S, d), and their gradients.

    Coefficients are integrated out, so that with flat priors it is the restricted likelihood.
    """
    given, model = marginal.given(theta), marginal.model
    upper = given.upper[:, :-1, :-1]
    sigma, pb = given.sigma, upper.shape[1]
    phi = solve_upper(upper, given.upper[:, :-1, -1])
    spread = np.zeros_like(upper)  # M^-1 = spread spread'
    for k in range(len(theta) if pb else 0):
        spread[k], _ = lapack.dtrtri(upper[k])
        spread[k] = np.triu(spread[k])
    f = phi / sigma[:, None] + marginal.shift  # that of groups and flat ones is not moved
    normal = model.normal
    whole = np.square(f[:, normal]).sum(axis=1) - normal.sum()
    whole += np.square(spread[:, normal]).sum(axis=(1, 2))
    moments = []
    if marginal.blocks is not None:
        border = marginal.scaled(given, phi[:, None])[:, 0]
        wide = np.swapaxes(marginal.scaled(given, np.swapaxes(spread, 1, 2)), 1, 2)
        moments.append(marginal.blocks.second_moments(given.roots[0], sigma, border, wide))
    for group in model.groups:
        assert group.columns is not None
        both = np.concatenate([f[:, :, None], spread], axis=2)[:, group.columns]
        flat = both.reshape(*both.shape[:2], -1)
        moments.append(flat @ np.swapaxes(flat, 1, 2))
    out = np.empty_like(theta)
    at = 0
    parts = zip(model.parts(theta), moments, strict=True)
    for (group, _, z), moment in parts:
        q = group.effects
        excess = moment - group.n_levels * np.eye(q)
        factor = correlations.cholesky(z, q)
        turned = excess @ np.linalg.inv(factor)
        by_sd = np.diagonal(factor @ turned, axis1=1, axis2=2)
        by_z = np.einsum("sij,scji->sc", turned, correlations.derivatives(z, factor))
        out[:, at : at + group.n_parameters] = np.concatenate([by_sd, by_z], axis=1)
        whole += np.trace(excess, axis1=1, axis2=2)
        at += group.n_parameters
    # At given ratios to sigma only the power of sigma and Q move.
    power = model.weight - model.flat.sum()
    out[:, -1] = np.square(given.upper[:, -1, -1] / sigma) - power - whole
    return marginal.log_likelihood(given), out


def _prior_slope(marginal: Marginal, theta: Floats) -> Floats:
    """Return the gradient of the log prior, (S, d): of scales by differences."""
    model, out = marginal.model, np.zeros_like(theta)
    for k, scale in model.coordinates:
        before = np.maximum(theta[:, k] - _STEP, scale.low)
        after = np.minimum(theta[:, k] + _STEP, scale.high)
        rise = scale.log_density(after) - scale.log_density(before)
        out[:, k] = rise / np.where(after > before, after - before, 1.0)
    at = 0
    for group, _, z in model.parts(theta):
        if group.effects > 1:
            slope = correlations.log_prior_slope(z, group.effects, model.correlation)
            out[:, at + group.effects : at + group.n_parameters] = slope
        at += group.n_parameters
    return out


def _curved(marginal: Marginal, theta: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the gradient, and a Hessian by differences of gradients inside of the box."""
    steps = 10 * _STEP * np.eye(len(theta))
    before, after = np.clip(theta - steps, low, high), np.clip(theta + steps, low, high)
    _, slopes = gradient(marginal, np.concatenate([theta[None], before, after]))
    d = len(theta)
    width = np.diagonal(after - before)
    hessian = (slopes[d + 1 :] - slopes[1 : d + 1]) / np.where(width > 0, width, 1.0)[:, None]
    return slopes[0], 0.5 * (hessian + hessian.T)


def _newton(slope: Floats, hessian: Floats, theta: Floats, low: Floats, high: Floats) -> Floats:
    """Return a step uphill, of coordinates that an edge does not hold."""
    free = ~(((theta <= low) & (slope < 0)) | ((theta >= high) & (slope > 0)))
    curvature, axes = np.linalg.eigh(-hessian[np.ix_(free, free)])
    step = np.zeros_like(theta)
    step[free] = axes @ ((axes.T @ slope[free]) / np.maximum(np.abs(curvature), 0.05))
    return step / max(float(np.abs(step).max(initial=0.0)) / _LONGEST, 1.0)


def _box(marginal: Marginal) -> tuple[Floats, Floats]:
    """Return the edges of the priors, infinite for correlations."""
    low = np.full(marginal.model.n_parameters, -np.inf)
    high = -low
    for k, scale in marginal.model.coordinates:
        low[k], high[k] = scale.low, scale.high
    return low, high


def _start(marginal: Marginal) -> Floats:
    """Return where to search from: no correlation, and scales that are typical of the data."""
    theta = np.zeros(marginal.model.n_parameters)
    coordinates = marginal.model.coordinates
    for (k, scale), typical in zip(coordinates, marginal.log_typical, strict=True):
        share = 0.7 if k == len(theta) - 1 else 0.3
        theta[k] = _allowed(scale, typical + np.log(share))
    return theta


def _allowed(scale: Scale, t: float) -> float:
    """Return the log of a scale, or one that its prior allows."""
    inside = scale.low < t < scale.high and np.isfinite(scale.log_density(np.array([t]))[0])
    return t if inside else scale.likely


def _away(marginal: Marginal, theta: Floats) -> Floats:
    """Return how far logs of scales are from those of the data, in their order."""
    at = [k for k, _ in marginal.model.coordinates]
    return theta[at] - marginal.log_typical


def _refuse(marginal: Marginal, theta: Floats, names: Sequence[Sequence[str]]) -> None:
    """Refuse a posterior whose mass runs away: where the mode did, or along one of the scales.

    Far out the prior falls as it does there, and the likelihood by a power that shows earlier.
    """
    away = _away(marginal, theta)
    coordinates, typical = marginal.model.coordinates, marginal.log_typical
    reach = REACH * np.array([-1.0, -0.8, 0.8, 1.0])
    ends = np.repeat(theta[None], 4 * len(away), axis=0)
    falls = []
    for i, ((k, scale), size) in enumerate(zip(coordinates, typical, strict=True)):
        ends[4 * i : 4 * i + 4, k] = size + _NEAR * reach
        falls.append(scale.log_density(size + reach))
        falls[-1][(size + reach < scale.low) | (size + reach > scale.high)] = -np.inf
    values = np.concatenate(
        [
            marginal.log_likelihood(marginal.given(ends[at]))
            for at in marginal.at_a_time(np.arange(len(ends)))
        ]
    ).reshape(-1, 4)
    least, low, high, most = np.array(falls).T
    near = values.T / _NEAR
    with np.errstate(invalid="ignore"):
        below = (np.isfinite(least) & (least - low + near[0] - near[1] > -_FALL)) | (away < -REACH)
        above = (np.isfinite(most) & (most - high + near[3] - near[2] > -_FALL)) | (away > REACH)
    if marginal.model.rss > 0:  # however little is left of the outcome, sigma is not less
        below[-1] = away[-1] < -REACH
    refuse_ends(marginal.constant, below[-1], above[-1])
    at = 0
    for group, called in zip(marginal.model.all_groups, names, strict=True):
        some = slice(at, at + group.effects)
        at += group.effects
        why = None
        if above[some].any():
            why = "is too flat for what the data tell of them: its posterior is improper"
        if below[some].any():
            why = "lets it go to 0, so that the posterior is improper"
        if why is not None:
            raise UndeterminedError(
                f"the prior of the scale of the coefficients of {listed(called)} {why}; give a "
                "proper prior, such as Prior('HalfNormal', sigma=1)"
            )
