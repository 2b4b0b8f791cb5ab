"""A few nodes that stand for a density in one dimension: Gauss's quadrature of it.

Integrals of polynomials of degree 2 k - 1 are those of the density on k nodes, which are the
eigenvalues of the matrix of its orthogonal polynomials' recurrence (Golub and Welsch 1969,
Mathematics of Computation 23: 221-230). The recurrence is Stieltjes's, on the grid's points.
"""

import numpy as np
from scipy.linalg import eigh_tridiagonal

from interventional.numbers import Floats

_MOST = 40
_NEGLIGIBLE = 1e-14  # what a node stands for


def nodes(points: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Return nodes and their weights, which add up to one: the more, the wider the density.

    Parameters
    ----------
    points : ndarray of shape (n,)
        A grid.
    mass : ndarray of shape (n,)
        What part of the density each point stands for, up to a constant.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-8, 8, 801)
    >>> at, weight = nodes(x, np.exp(-(x**2) / 2))
    >>> bool(abs(weight @ at**4 - 3) < 1e-9)
    True
    """
    mass = mass / mass.sum()
    mean = float(mass @ points)
    spread = float(np.sqrt(mass @ np.square(points - mean)))
    count = min(_MOST, int(np.ceil(4 + 32 * spread)), int(np.count_nonzero(mass)))
    if spread <= 0 or count < 2:
        return np.array([mean]), np.ones(1)
    x = (points - mean) / spread
    diagonal, beside = np.empty(count), np.empty(count)
    before, now, size = np.zeros_like(x), np.ones_like(x), 1.0
    for k in range(count):
        weighted = mass * now
        diagonal[k] = weighted @ (x * now)
        following = (x - diagonal[k]) * now - (np.sqrt(size) if k else 0.0) * before
        size = float(mass @ np.square(following))
        beside[k] = np.sqrt(size)
        if not size > 0:
            count = k + 1
            break
        before, now = now, following / beside[k]
    at, vectors = eigh_tridiagonal(diagonal[:count], beside[: count - 1])
    weights = np.square(vectors[0])
    kept = weights > _NEGLIGIBLE
    return mean + spread * at[kept], weights[kept] / weights[kept].sum()
