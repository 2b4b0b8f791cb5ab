r"""Matérn kernels of several columns, and random waves that have them.

A Gaussian process with the kernel

.. math:: k(r) = (1 + \sqrt 3 r) e^{-\sqrt 3 r}, \quad
    r^2 = \sum_j (x_j - x'_j)^2 / \ell_j^2

is once differentiable: it bends, and follows kinks and steps better than smoother ones do. What is
given here is divided by the lengths already.

References
----------
Rahimi and Recht (2007). Random features for large-scale kernel machines. Advances in Neural
Information Processing Systems 20.

Rasmussen and Williams (2006). Gaussian Processes for Machine Learning. MIT Press. Section 4.2.
"""

from typing import Any

import numpy as np

from interventional.numbers import Floats

_ROOT = np.sqrt(3.0)
_DOF = 3.0  # of the Student t that the frequencies of the kernel have


def matern(left: Any, right: Any) -> Any:
    """Return the kernel between rows, (a, d) and (b, d), as (a, b), in their precision."""
    r = _distances(left, right)
    k = np.exp(-r)
    r += 1
    k *= r
    return k


def matern_and_slope(rows: Any) -> tuple[Any, Any]:
    r"""Return the kernel between rows, and its slope in log lengths.

    The derivative of k with respect to :math:`\log \ell_j` is the slope times
    :math:`(x_j - x'_j)^2 / \ell_j^2`.
    """
    r = _distances(rows, rows)
    slope = np.exp(-r)
    r += 1
    r *= slope
    slope *= 3
    return r, slope


def _distances(left: Any, right: Any) -> Any:
    """Return √3 times the distances."""
    square = left @ (-2 * right.T)
    square += np.square(left).sum(axis=1)[:, None]
    square += np.square(right).sum(axis=1)
    np.maximum(square, 0, out=square)
    np.sqrt(square, out=square)
    square *= square.dtype.type(_ROOT)
    return square


def frequencies(size: int, n: int, rng: np.random.Generator) -> Floats:
    """Return frequencies of waves in `size` columns for lengths of 1, (size, n)."""
    normal = rng.standard_normal((size, n))
    return np.asarray(normal / np.sqrt(rng.chisquare(_DOF, n) / _DOF))


def waves(rows: Floats, frequency: Floats) -> Floats:
    """Return 2 n waves, whose products over rows are on average the kernel, (rows, 2 n)."""
    phase = rows @ frequency
    return np.hstack([np.cos(phase), np.sin(phase)]) / np.sqrt(frequency.shape[1])
