r"""A test of whether an equation that is linear in its terms is what the data say.

What an equation may lack are squares of columns and products of columns with those that an
intervention moves. Of each, :math:`b_j`, that part is taken which the equation's own terms leave;
with residuals :math:`e` the statistic is

.. math:: S = \sum_j \frac{(b_j' e)^2}{\sum_i b_{ij}^2 e_i^2},

the sum of the squares of studentised scores. Its distribution is that of the same with residuals
whose signs are drawn anew (a wild bootstrap: Wu 1986; Davidson and Flachaire 2008), each divided
by one less its leverage, and made orthogonal to the terms again. So noise may be of any shape, and
more in some rows than in others.

Other families than Gaussian ones are linearised near the maximum of their likelihood: residuals
over their standard deviations, and terms times the slope of the link over the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from interventional.data.schema import Schema
from interventional.numbers import Floats

_DRAWS = 199, 800, *[1000] * 20  # of signs, a batch after the other until the answer is clear
_UNCLEAR = 0.02  # a share of draws that is greater settles it
_FEW = 2.0  # draws that may have as much where the p-value is the threshold
_TINY = 1e-30  # a variance that is less is none
_SEED = 20_170  # of signs: always the same
_CLIP = 2.0  # standard deviations beyond which a column is not told from there
_RANK = 1e-9  # of a term's size: what others leave of it that is less is rounding
_DIGITS = 1e-12  # of an outcome's size: what is left of it that is less is rounding
_LEFT = 0.1  # of an alternative's size: less that the terms leave of it are these terms' own
_ROWS = 30.0  # as of how many rows an alternative must be, at least
_SHARE = 0.25  # of the rows: more alternatives than that are not tried
_FREE = 20  # more rows than terms, and as many rows as terms again
_ALIKE = 9  # digits of a residual that count when rows are put in order


@dataclass(frozen=True, eq=False)
class Linearised:
    """An equation near its fit, as least squares with noise of variance 1 or unknown.

    Attributes
    ----------
    residual : ndarray of shape (n, blocks)
        What the node is beside what was expected.
    terms : ndarray of shape (n, k)
        The equation's terms, the intercept among them.
    root : ndarray of shape (n, blocks, blocks) or None
        What takes a change of the linear predictor to one of the residual: a lower triangular
        root of what a row tells of it, applied from the right. None for the identity.
    """

    residual: Floats
    terms: Floats
    root: Floats | None = None
    least: float = 0.0

    def spread(self, columns: Floats) -> Floats:
        """Return what a coefficient of each column does to residuals, (n * blocks, ...)."""
        if self.root is None:
            return columns
        made = np.einsum("nkr,np->nrkp", self.root, columns)
        return made.reshape(made.shape[0] * made.shape[1], -1)


@dataclass(frozen=True)
class Bending:
    """What a test found.

    Attributes
    ----------
    p_value : float
        The share of draws that have as much.
    share : float
        How much of the variance of residuals the alternatives explain, adjusted for their number.
    scores : ndarray of shape (alternatives,)
        The studentised scores of all alternatives in size; 0 for those that were not tried.
    """

    p_value: float
    share: float
    scores: Floats


def alternatives(
    schema: Schema, values: Floats, moved: Sequence[int], apart: Sequence[int] = ()
) -> tuple[Floats, list[tuple[str, ...]]]:
    """Return squares of columns, and products with those that are moved.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    values : ndarray of shape (n, columns)
        Encoded rows.
    moved : sequence of int
        The columns that an intervention moves.
    apart : sequence of int, optional
        Columns that are left out.

    Returns
    -------
    columns : ndarray of shape (n, alternatives)
    names : list of tuple of str
        Of each the column that is squared, or both that are multiplied.
    """
    coded: dict[int, Floats] = {}
    for j, levels in enumerate(schema.levels):
        if j in apart:
            continue
        if levels is None:
            center, scale = values[:, j].mean(), values[:, j].std()
            if scale > _RANK * abs(center):
                z = (values[:, j] - center) / scale
                coded[j] = np.clip(z, -_CLIP, _CLIP)[:, None]
        else:
            own = values[:, [j]] == np.arange(1, len(levels))
            coded[j] = own - own.mean(axis=0)
    found: list[Floats] = []
    names: list[tuple[str, ...]] = []
    for j, own in coded.items():
        if schema.levels[j] is None:
            found.append(np.square(own))
            names.append((schema.names[j],))
    for k in (k for k in moved if k in coded):
        for j, own in coded.items():
            if j == k or (j in moved and j < k):
                continue
            products = coded[k][:, :, None] * own[:, None]
            found.append(products.reshape(len(values), -1))
            names += [(schema.names[k], schema.names[j])] * found[-1].shape[1]
    return np.hstack(found) if found else np.empty((len(values), 0)), names


def bending(fit: Linearised, columns: Floats, threshold: float) -> Bending | None:
    """Test whether an equation lacks what some columns tell.

    Parameters
    ----------
    fit : Linearised
        The equation.
    columns : ndarray of shape (n, alternatives)
        What it may lack.
    threshold : float
        A p-value that is much greater need not be known well.

    Returns
    -------
    Bending or None
        None where the rows are too few to tell, or the terms span all that is tried.
    """
    n, blocks = fit.residual.shape
    basis = basis_of(fit.spread(fit.terms))
    if n * blocks < basis.shape[1] + max(_FREE, basis.shape[1]):
        return None
    columns = columns - columns.mean(axis=0)
    scale = np.sqrt(np.square(columns).mean(axis=0))
    columns = columns / np.where(scale > 0, scale, 1.0)
    spread = fit.spread(columns)
    left = spread - basis @ (basis.T @ spread)
    tried = np.flatnonzero(_is_told(spread, left))[: int(_SHARE * n * blocks)]
    if not len(tried):
        return None
    left = left[:, tried]
    left /= np.sqrt(np.square(left).sum(axis=0))
    residual = fit.residual.ravel()
    size = float(residual @ residual)
    residual = residual - basis @ (basis.T @ residual)
    rss = float(residual @ residual)
    if not rss > max(fit.least * (n * blocks - basis.shape[1]), _DIGITS**2 * size):
        return None
    scores = _scores(left, residual[:, None] / np.sqrt(rss))[:, 0]
    statistic = float(np.square(scores).sum())
    outside = np.maximum(1.0 - np.square(basis).sum(axis=1), _RANK)
    order = _order(residual / np.sqrt(rss), np.square(left).sum(axis=1), blocks)
    # Of draws that are counted single precision is enough, at half the time.
    rows = left[order].astype(np.float32), basis[order].astype(np.float32)
    noise = (residual / outside / np.sqrt(rss))[order].astype(np.float32)
    exceed = total = 0
    for signs in _signs(n):
        drawn = _drawn(*rows, noise, signs if blocks == 1 else np.repeat(signs, blocks, axis=0))
        exceed += int((drawn >= statistic).sum())
        total += len(drawn)
        enough = (1 + total) * threshold
        if exceed > max(_UNCLEAR, threshold) * total or 1 + exceed <= enough or enough >= _FEW:
            break
    found = np.zeros(spread.shape[1])
    found[tried] = np.abs(scores)
    by_column = found.reshape(-1, columns.shape[1]).max(axis=0)
    return Bending((1 + exceed) / (1 + total), _share(left, residual, basis.shape[1]), by_column)


def basis_of(terms: Floats) -> Floats:
    """Return orthonormal columns that span terms, (n, rank)."""
    size = np.sqrt(np.square(terms).sum(axis=0))
    q, r, _ = qr(terms[:, size > 0] / size[size > 0], mode="economic", pivoting=True)
    found = np.abs(np.diagonal(r))
    return np.asarray(q[:, : int((found > _RANK * found.max(initial=1.0)).sum())])


def _is_told(spread: Floats, left: Floats) -> NDArray[np.bool_]:
    """Return which columns the terms leave enough of, in enough rows."""
    squares = np.square(left)
    total = squares.sum(axis=0)
    rows = np.square(total) / np.maximum(np.square(squares).sum(axis=0), 1e-300)
    return np.asarray((total > _LEFT**2 * np.square(spread).sum(axis=0)) & (rows > _ROWS))


def _scores(columns: Floats, residuals: Floats) -> Floats:
    """Return studentised scores, (alternatives, draws)."""
    variance = np.square(columns).T @ np.square(residuals)
    return (columns.T @ residuals) / np.sqrt(np.maximum(variance, _TINY))


def _drawn(left: Any, basis: Any, noise: Any, signs: Any) -> Any:
    """Return the statistic of residuals whose signs are drawn, (draws,)."""
    drawn = signs * noise[:, None]
    drawn -= basis @ (basis.T @ drawn)
    return np.square(_scores(left, drawn)).sum(axis=0)


def _order(residual: Floats, weight: Floats, blocks: int) -> NDArray[np.intp]:
    """Return rows in order of their residuals, whatever order and units they came in."""
    first = np.round(np.abs(residual.reshape(-1, blocks)[:, 0]), _ALIKE)
    order = np.lexsort((weight.reshape(-1, blocks).sum(axis=1), first))
    return (order[:, None] * blocks + np.arange(blocks)).ravel()


def _signs(n: int) -> Iterator[NDArray[np.float32]]:
    """Iterate over random signs, (n, draws)."""
    rng = np.random.default_rng(_SEED)
    for draws in _DRAWS:
        bits = np.unpackbits(rng.integers(0, 256, (n, -(-draws // 8)), dtype=np.uint8), axis=1)
        yield np.float32(2) * bits[:, :draws] - np.float32(1)


def _share(left: Floats, residual: Floats, rank: int) -> float:
    """Return the adjusted share of the variance of residuals that columns explain."""
    basis = basis_of(left)
    free = len(residual) - rank
    rest = 1.0 - np.square(basis.T @ residual).sum() / (residual @ residual)
    return float(max(1.0 - rest * free / max(free - basis.shape[1], 1), 0.0))
