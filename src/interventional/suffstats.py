"""What a Gaussian likelihood sees of its rows: a triangular factor and five numbers."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from interventional.design import Floats
from interventional.priors import Moments

_BLOCK = 1 << 16  # numbers a block of rows holds: it stays in the cache


@dataclass(frozen=True)
class SufficientStatistics:
    """Sufficient statistics of a weighted linear Gaussian model.

    Attributes
    ----------
    n : int
        Number of rows.
    weight : float
        Sum of the weights.
    x_mean : ndarray of shape (p,)
        Means of the columns; zeros for a model without an intercept.
    y_mean : float
        Mean of the outcome; zero for a model without an intercept.
    r : ndarray of shape (k, p)
        Triangular factor of the centred, weighted design, k <= min(n, p).
    z : ndarray of shape (k,)
        The centred outcome in the basis that belongs to `r`.
    rss : float
        Residual sum of squares of least squares.
    has_intercept : bool
        Whether the columns and the outcome were centred.
    constant : bool
        Whether the centred outcome is zero throughout.
    """

    n: int
    weight: float
    x_mean: Floats
    y_mean: float
    r: Floats
    z: Floats
    rss: float
    has_intercept: bool
    constant: bool

    @property
    def dof(self) -> float:
        """The sum of the weights less what the mean and z have used."""
        return self.weight - len(self.z) - self.has_intercept

    @property
    def has_residual(self) -> bool:
        """Whether least squares leaves something over that tells of sigma."""
        return self.dof > 0 and self.rss > 0

    @property
    def moments(self) -> Moments:
        """What default priors are scaled by; a constant column counts with its size."""
        scale = np.sqrt(np.square(self.r).sum(axis=0) / self.weight)
        size = np.where(self.x_mean != 0, np.abs(self.x_mean), 1.0)
        scale = np.where(scale > 1e-13 * size, scale, size)
        variance = (np.square(self.z).sum() + self.rss) / self.weight
        y_scale = 0.0 if self.constant else float(np.sqrt(variance))
        return Moments(self.n, self.x_mean, scale, self.y_mean, y_scale)


def sufficient_statistics(
    matrix: Floats, y: Floats, weights: Floats | None = None, *, intercept: bool = True
) -> SufficientStatistics:
    """Reduce rows to sufficient statistics, in blocks, by Householder QR.

    A column of ones takes part in the QR of ``[1, X, y]``: what stands in its row of the factor
    are the means, what stands below is centred. Gram matrices would lose half of the digits.

    Parameters
    ----------
    matrix : ndarray of shape (n, p)
        Design matrix.
    y : ndarray of shape (n,)
        Outcome.
    weights : ndarray of shape (n,), optional
        Frequencies of the rows.
    intercept : bool, default True
        Whether the model has an intercept.
    """
    n, p = matrix.shape
    ones = int(intercept)
    width = ones + p + 1
    x_shift, y_shift = np.zeros(p), 0.0
    if intercept:  # a first guess of the means keeps the digits of the columns' spread
        first = slice(0, max(1, _BLOCK // width))
        x_shift, y_shift = matrix[first].mean(axis=0), float(y[first].mean())
    step = max(4 * width, _BLOCK // width)
    factor = np.empty((0, width))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        block = np.empty((len(factor) + rows.stop - rows.start, width), order="F")
        block[: len(factor)] = factor
        fresh = block[len(factor) :]
        fresh[:, :ones] = 1.0
        np.subtract(matrix[rows], x_shift, out=fresh[:, ones:-1])
        np.subtract(y[rows], y_shift, out=fresh[:, -1])
        if weights is not None:
            fresh *= np.sqrt(weights[rows, None])
        factor = scipy.linalg.qr(block, mode="r", overwrite_a=True, check_finite=False)[0][:width]
    factor *= np.where(np.diagonal(factor) < 0, -1.0, 1.0)[:, None]

    x_mean, y_mean = x_shift, y_shift
    if intercept:
        means = factor[0] / factor[0, 0]
        x_mean, y_mean = x_shift + means[1:-1], y_shift + float(means[-1])
    body = factor[ones:, ones:]
    constant = bool(np.all(y == (y[0] if intercept else 0.0)))
    if constant:  # rounding must not look like noise
        y_mean, body[:, p] = (float(y[0]) if intercept else 0.0), 0.0
    weight = float(n if weights is None else weights.sum())
    z, rss = body[:p, p].copy(), float(np.square(body[p:, p]).sum())
    if not constant and weight > ones + len(z):
        # A perfect fit is one to rounding: what is left cannot be less than y's own last digits.
        size = y_mean**2 * weight + float(z @ z) + rss
        rss = max(rss, size * np.finfo(np.float64).eps ** 2)
    return SufficientStatistics(
        n=n,
        weight=weight,
        x_mean=x_mean,
        y_mean=y_mean,
        r=body[:p, :p].copy(),
        z=z,
        rss=rss,
        has_intercept=intercept,
        constant=constant,
    )
