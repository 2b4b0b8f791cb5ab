r"""Matérn kernels of several columns, and random waves that have them.

A Gaussian process with the kernel

.. math:: k(r) = (1 + \sqrt 5 r + 5 r^2 / 3) e^{-\sqrt 5 r}, \quad
    r^2 = \sum_j (x_j - x'_j)^2 / \ell_j^2

is twice differentiable: it bends, and follows kinks and steps better than smoother ones do. What
is given here is divided by the lengths already.

References
----------
Rahimi and Recht (2007). Random features for large-scale kernel machines. Advances in Neural
Information Processing Systems 20.

Rasmussen and Williams (2006). Gaussian Processes for Machine Learning. MIT Press. Section 4.2.
"""

from typing import Any

import numpy as np

from interventional.numbers import Floats

ROOT = float(np.sqrt(5.0))
IN_CACHE = 1 << 16  # numbers of an array that is gone over many times
_DOF = 5.0  # of the Student t that the frequencies of the kernel have


def matern(left: Any, right: Any) -> Any:
    """Return the kernel between rows, (a, d) and (b, d), as (a, b)."""
    root = left.dtype.type(ROOT)
    own, other = for_distances(root * left)[0], for_distances(root * right)[1].T
    k = np.empty((len(left), len(right)), left.dtype)
    rows = max(1, IN_CACHE // max(1, len(right)))
    for start in range(0, len(left), rows):
        r = k[start : start + rows]
        np.matmul(own[start : start + rows], other, out=r)
        _distances(r)
        shrunk = np.negative(r)
        np.exp(shrunk, out=shrunk)
        by = r * r.dtype.type(1 / 3)
        by += 1
        r *= by
        r += 1
        r *= shrunk
    return k


def for_distances(rows: Any) -> tuple[Any, Any]:
    """Return two arrays, (n, d + 2), the products of whose rows are the squares of distances."""
    square, ones = np.square(rows).sum(axis=1), np.ones(len(rows), rows.dtype)
    return np.column_stack([rows, square, ones]), np.column_stack([-2 * rows, ones, square])


def matern_and_slope(left: Any, right: Any, k: Any, slope: Any, spare: Any) -> None:
    r"""Put the kernel between rows, and its slope in log lengths, into arrays that there are.

    The derivative of k with respect to :math:`\log \ell_j` is the slope times a third of
    :math:`5 (x_j - x'_j)^2 / \ell_j^2`.

    Parameters
    ----------
    left, right : ndarray of shape (a, d + 2), (b, d + 2)
        What `for_distances` returns of rows times the root of 5.
    k, slope, spare : ndarray of shape (a, b)
        Where to put it; to make arrays anew takes longer than to fill them.
    """
    np.matmul(left, right.T, out=k)
    _distances(k)
    np.negative(k, out=slope)
    np.exp(slope, out=slope)
    np.add(k, 1, out=spare)
    k *= k
    k *= k.dtype.type(1 / 3)
    k += spare
    k *= slope
    slope *= spare


def _distances(squares: Any) -> None:
    """Make distances of their squares, which rounding may have made less than zero, in place."""
    np.maximum(squares, 0, out=squares)
    np.sqrt(squares, out=squares)


def frequencies(size: int, n: int, rng: np.random.Generator) -> Floats:
    """Return frequencies of waves in `size` columns for lengths of 1, (size, n)."""
    normal = rng.standard_normal((size, n))
    return np.asarray(normal / np.sqrt(rng.chisquare(_DOF, n) / _DOF))


def waves(rows: Floats, frequency: Floats) -> Floats:
    """Return 2 n waves, whose products over rows are on average the kernel, (rows, 2 n)."""
    phase = rows @ frequency
    return np.hstack([np.cos(phase), np.sin(phase)]) / np.sqrt(frequency.shape[1])
