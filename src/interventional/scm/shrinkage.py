r"""Priors that learn from the data how much to shrink coefficients.

Each function adds one vector of coefficients, and what it hangs on, to the PyMC model in context.
All but `varying` have the same parameters:

name : str
    The name of the coefficients; those of all other variables begin with it.
x_scale : tensor of shape (terms,)
    Standard deviation of each term.
y_scale : tensor
    Standard deviation of the outcome; 1 where a link makes its units those of the log-odds.
noise : tensor
    Standard deviation of the outcome given the terms: the variable sigma of a Gaussian equation.
    Elsewhere a pseudo-sigma: one over the root of a row's expected information on its linear
    predictor, :math:`1/\sqrt{\mu(1-\mu)}` for a Bernoulli outcome of mean :math:`\mu` (Piironen
    and Vehtari 2017, section 3.5).
n : tensor
    Number of rows; 0 counts as 1.
dims : str
    The dimension of the terms, one of the model's coordinates.

A coefficient is Normal around 0 with a scale that is random itself. Sampled as a multiple of that
scale, it makes a curved ridge where the data say much of it; sampled as it is, a funnel where they
say little. Within one regularised model some coefficients are of the first kind and some of the
second, so the functions here sample what suits both. If the data's estimate of a coefficient has
the standard error e, then given the scale s the posterior is Normal with variance
:math:`e^2 k, k = s^2 / (s^2 + e^2)`. Thus

.. math:: \mathrm{raw} = \beta / (e \sqrt k) \sim N(0, 1 + s^2 / e^2)

has the posterior variance 1 whatever s is. The prior of :math:`\beta` is :math:`N(0, s^2)`
whatever e is; e, which is noise / (x_scale √n) if terms are uncorrelated, steers the sampler only.

References
----------
Aguilar and Bürkner (2023). Intuitive joint priors for Bayesian linear multilevel models: the
R2D2M2 prior. Electronic Journal of Statistics 17:1711.

Gelman (2006). Prior distributions for variance parameters in hierarchical models. Bayesian
Analysis 1:515.

Lewandowski, Kurowicka and Joe (2009). Generating random correlation matrices based on vines and
extended onion method. Journal of Multivariate Analysis 100:1989.

Papaspiliopoulos, Roberts and Sköld (2007). A general framework for the parametrization of
hierarchical models. Statistical Science 22:59.

Piironen and Vehtari (2017). Sparsity information and regularization in the horseshoe and other
shrinkage priors. Electronic Journal of Statistics 11:5018.

Zhang, Naughton, Bondell and Reich (2022). Bayesian regression using a prior on the model fit: the
R2-D2 shrinkage prior. Journal of the American Statistical Association 117:862.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

TARGET_ACCEPT = 0.9  # what NUTS should aim at under these priors

# Of the horseshoe: the share of the terms that is expected to have an effect, and the degrees of
# freedom and the scale (in standard deviations of the outcome) of the Student t of large effects.
EFFECTS_EXPECTED = 0.1
SLAB_DOF, SLAB_SCALE = 4.0, 2.0
# Of R2D2: the mean and the precision of the Beta distribution of R², and the concentration of the
# Dirichlet distribution of its parts.
R2_MEAN, R2_PRECISION, R2_CONCENTRATION = 0.5, 2.0, 0.5

# What else each prior adds: endings of names, and whether there is one value a term. A single term
# has no `_phi`.
AUXILIARY: Mapping[str, Mapping[str, bool]] = {
    "ridge": {"_tau": False, "_raw": True},
    "horseshoe": {"_tau": False, "_lambda": True, "_slab": False, "_raw": True},
    "r2d2": {"_r2": False, "_phi": True, "_raw": True},
}
KINDS = tuple(AUXILIARY)
VARYING = "varying"  # the prior of coefficients that differ between groups
CORRELATION = 2.0  # of the LKJ prior of these
SIZED = ("horseshoe", "r2d2")  # are written for a number of terms


def ridge(name: str, x_scale: Any, y_scale: Any, noise: Any, n: Any, dims: str) -> Any:
    r"""Add coefficients of standardised terms that share one learnt scale.

    .. math:: \beta_j \sim N(0, (\tau\, y_\mathrm{scale} / x_{\mathrm{scale},j})^2), \quad
        \tau \sim \mathrm{Cauchy}^+(0, 1).

    Given τ and sigma the posterior mean is that of ridge regression on standardised terms, with
    the penalty :math:`(\sigma / (\tau\, y_\mathrm{scale}))^2`. The half-Cauchy is Gelman's (2006)
    for a scale of which little is known: flat at 0, so that it may shrink all, with tails that
    hardly hold a large one back.

    See the module for the parameters.
    """
    import pymc as pm

    tau = pm.HalfCauchy(f"{name}_tau", 1.0)
    return _normal(name, tau * y_scale / x_scale, _standard_error(x_scale, noise, n), dims)


def varying(
    name: str,
    sd: Callable[[str], Any],
    size: int,
    n_groups: Any,
    error: Any,
    dims: str,
) -> Any:
    r"""Add coefficients that differ between groups: vectors from one Normal distribution.

    .. math::

        b_g \sim N(0, D \Omega D), \quad D = \operatorname{diag}(\mathrm{sd}), \quad
        \Omega \sim \mathrm{LKJ}(2).

    An intercept has the sd, by default, :math:`\mathrm{Student}\,t^+_4(0, y_\mathrm{scale})`,
    and a slope that divided by the standard deviation of its term. Groups may be few, and then the
    data say little of sd: its prior must be flat at 0, so that groups may be alike, and must have
    a tail that falls (Gelman 2006 names the half-t; Gelman et al., Bayesian Data Analysis, 3rd
    ed., section 5.7, shows what a flat one does to few groups). Groups cannot differ by much more
    than the outcome does; four degrees of freedom, as sigma has by default, leave room in
    log-odds, where 1 is no such bound. The prior of correlations is that of Lewandowski, Kurowicka
    and Joe (2009); with the exponent 2 it holds back from -1 and 1, and no more.

    Parameters
    ----------
    name : str
        The name of the coefficients, effect by effect.
    sd : callable
        Adds the standard deviations by a name, or returns their distribution for none.
    size : int
        How many coefficients a group has.
    n_groups : int
        How many groups there are.
    error : tensor
        The standard error of a group's intercept, were it estimated alone.
    dims : str
        The dimension of the coefficients.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if size == 1:
        scale = sd(f"{name}_sd")[0] * pt.ones(_size(dims))
        return _normal(name, scale, error, dims)
    root, _, _ = pm.LKJCholeskyCov(
        f"{name}_root_raw", CORRELATION, size, sd_dist=sd(""), store_in_trace=False
    )
    stds = pt.sqrt((root**2).sum(axis=1))
    effect, other = f"{dims.removesuffix('_term')}_effect", f"{dims.removesuffix('_term')}_effect_"
    pm.Deterministic(f"{name}_sd", stds, dims=effect)
    scaled = root / stds[:, None]
    pm.Deterministic(f"{name}_corr", scaled @ scaled.T, dims=(effect, other))
    raw = pm.Normal(f"{name}_raw", 0.0, 1.0, dims=dims)
    blocks = raw.reshape((-1, size, n_groups))
    return pm.Deterministic(name, pt.matmul(root, blocks).ravel(), dims=dims)


def horseshoe(name: str, x_scale: Any, y_scale: Any, noise: Any, n: Any, dims: str) -> Any:
    r"""Add coefficients most of which are near 0 and a few of which are not.

    The regularised horseshoe of Piironen and Vehtari (2017, equations 2.8 and 3.12) on
    standardised terms,

    .. math::

        \beta_j x_{\mathrm{scale},j} \sim N\left(0,
            \frac{c^2 \tau^2 \lambda_j^2}{c^2 + \tau^2 \lambda_j^2}\right), \quad
        \lambda_j \sim \mathrm{Cauchy}^+(0, 1), \quad \tau \sim \mathrm{Cauchy}^+(0, \tau_0),

        \tau_0 = \frac{p_0}{p - p_0} \frac{\mathrm{noise}}{\sqrt n}, \quad
        c^2 / y_\mathrm{scale}^2 \sim \mathrm{InverseGamma}(\nu/2, \nu s^2/2),

    with ν = `SLAB_DOF`, s = `SLAB_SCALE` and `expected_effects` p0 of the p terms. An effect that
    is not shrunk thus has a Student t prior with ν degrees of freedom and scale s. The variable
    ``{name}_tau`` is τ, and ``{name}_slab`` is c² in units of y_scale².

    See the module for the parameters.
    """
    import pymc as pm
    import pytensor.tensor as pt

    size = _size(dims)
    effects = expected_effects(size)
    tau_0 = effects / (size - effects) * _standard_error(1.0, noise, n)
    tau = pm.HalfCauchy(f"{name}_tau", tau_0)
    local = tau * pm.HalfCauchy(f"{name}_lambda", 1.0, dims=dims)
    slab = pm.InverseGamma(f"{name}_slab", SLAB_DOF / 2, SLAB_DOF * SLAB_SCALE**2 / 2)
    scale = local / pt.sqrt(1 + local**2 / (slab * y_scale**2))
    return _normal(name, scale / x_scale, _standard_error(x_scale, noise, n), dims)


def r2d2(name: str, x_scale: Any, y_scale: Any, noise: Any, n: Any, dims: str) -> Any:
    r"""Add coefficients whose prior is one of the explained share of the variance, R².

    The prior of Zhang et al. (2022) as in Aguilar and Bürkner (2023, section 2.2),

    .. math::

        \beta_j x_{\mathrm{scale},j} \sim
            N\left(0, \mathrm{noise}^2 \frac{R^2}{1 - R^2} \phi_j\right), \quad
        R^2 \sim \mathrm{Beta}, \quad \phi \sim \mathrm{Dirichlet}(a, \ldots, a).

    R² is uniform (`R2_MEAN`, `R2_PRECISION`): no fit is favoured. The concentration a is
    `R2_CONCENTRATION` = 1/2, the largest with which the density of a coefficient has a pole at 0
    (Zhang et al.), so that one term may take most of what is explained and others nothing; it is
    also the default of the R package brms.

    The R2D2M2CP of pymc-extras is the same prior; its coordinates diverge where the data say much.

    See the module for the parameters; y_scale does not bear on this prior.
    """
    import pymc as pm
    import pytensor.tensor as pt

    size = _size(dims)
    alpha, beta = R2_MEAN * R2_PRECISION, (1 - R2_MEAN) * R2_PRECISION
    share = pm.Beta(f"{name}_r2", alpha, beta)
    parts: Any = 1.0  # a variable that is constant would look like a chain that is stuck
    if size > 1:
        parts = pm.Dirichlet(f"{name}_phi", np.full(size, R2_CONCENTRATION), dims=dims)
    scale = noise * pt.sqrt(share / (1 - share) * parts) / x_scale
    return _normal(name, scale, _standard_error(x_scale, noise, n), dims)


def expected_effects(size: int) -> float:
    """Return how many of p terms the horseshoe expects to have an effect.

    A tenth of them, but one at least; half of them where that is fewer than one.
    """
    return max(EFFECTS_EXPECTED * size, min(1.0, size / 2))


def _normal(name: str, scale: Any, error: Any, dims: str) -> Any:
    """Add a Normal(0, scale) vector of which the data's estimates have standard errors `error`."""
    import pymc as pm
    import pytensor.tensor as pt

    width = pt.sqrt(1 + (scale / error) ** 2)
    raw = pm.Normal(f"{name}_raw", 0.0, width, dims=dims)
    return pm.Deterministic(name, raw * scale / width, dims=dims)


def _standard_error(x_scale: Any, noise: Any, n: Any) -> Any:
    """Return the standard error of a coefficient whose term is uncorrelated with the others."""
    import pytensor.tensor as pt

    rows = pt.maximum(pt.cast(n, "float64"), 1.0)  # else an integer makes this single precision
    return noise / (x_scale * pt.sqrt(rows))


def _size(dims: str) -> int:
    import pymc as pm

    return len(pm.modelcontext(None).coords[dims])
