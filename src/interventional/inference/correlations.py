r"""Correlations of a level's coefficients under an LKJ prior, in numbers without bounds.

A correlation matrix is C C', with C lower triangular. Row i of C is a point on a sphere, by the
canonical partial correlations u_ij, j < i (Lewandowski, Kurowicka and Joe 2009, Journal of
Multivariate Analysis 100(9)):

.. math::

    C_{ij} = u_{ij} \prod_{m < j} \sqrt{1 - u_{im}^2}, \quad
    C_{ii} = \prod_{m < i} \sqrt{1 - u_{im}^2}.

Under LKJ(eta) they are independent; that of column j, counted from 0, in a q x q matrix has a
density in proportion to (1 - u²)^(eta - 1 + (q - 2 - j) / 2). As functions of z = atanh(u), which
has no bounds, the exponent is greater by one.
"""

import numpy as np

from interventional.numbers import Floats


def n_correlations(q: int) -> int:
    """Return how many correlations there are among q effects."""
    return q * (q - 1) // 2


def cholesky(z: Floats, q: int) -> Floats:
    """Return the Cholesky factors of correlation matrices.

    Parameters
    ----------
    z : ndarray of shape (S, q (q - 1) / 2)
        Inverse hyperbolic tangents of the canonical partial correlations, row by row.
    q : int
        Number of effects.

    Returns
    -------
    ndarray of shape (S, q, q)

    Examples
    --------
    >>> import numpy as np
    >>> factor = cholesky(np.arctanh([[0.6]]), 2)[0]
    >>> (factor @ factor.T).round(2).tolist()
    [[1.0, 0.6], [0.6, 1.0]]
    """
    factor = np.zeros((len(z), q, q))
    at = 0
    for i in range(q):
        left = np.zeros(len(z))  # logs, since 1 - tanh² rounds to 0 where this does not
        for j in range(i):
            factor[:, i, j] = np.tanh(z[:, at]) * np.exp(left)
            left = left + 0.5 * _log_rest(z[:, at])
            at += 1
        factor[:, i, i] = np.exp(left)
    return factor


def derivatives(z: Floats, factor: Floats) -> Floats:
    """Return the derivatives of Cholesky factors by each z, (S, q (q - 1) / 2, q, q)."""
    q = factor.shape[1]
    by = np.zeros((len(z), n_correlations(q), q, q))
    at = 0
    for i in range(q):
        left = np.zeros(len(z))
        for j in range(i):
            rest = _log_rest(z[:, at])
            by[:, at, i, j] = np.exp(left + rest)
            by[:, at, i, j + 1 :] = -np.tanh(z[:, at, None]) * factor[:, i, j + 1 :]
            left = left + 0.5 * rest
            at += 1
    return by


def log_prior(z: Floats, q: int, eta: float) -> Floats:
    """Return the log density of LKJ(eta) as one of z, up to a constant, (S,)."""
    return _log_rest(z) @ _powers(q, eta)


def log_prior_slope(z: Floats, q: int, eta: float) -> Floats:
    """Return the derivatives of `log_prior`, (S, q (q - 1) / 2)."""
    return -2 * np.tanh(z) * _powers(q, eta)


def _powers(q: int, eta: float) -> Floats:
    """Return the power of 1 - u² in the density of each z."""
    columns = [j for i in range(q) for j in range(i)]
    return eta + (q - 2 - np.asarray(columns, dtype=np.float64)) / 2


def _log_rest(z: Floats) -> Floats:
    """Return log(1 - tanh(z)²), which does not round to -inf."""
    return 2 * np.log(2) - 2 * np.logaddexp(z, -z)
