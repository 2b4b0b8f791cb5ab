"""How a column of levels went with the others in training: which rows had which of them.

Of a column that few values occur in, rows are counted; numbers are compared by their means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interventional.numbers import Floats
from interventional.trust.overlap import SAME, Columns, Covariates, Linear, Training
from interventional.trust.propensity import Propensity

_PART = 0.95  # of log ratios of numbers, which are not normal: farther out they often level off
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Rarity:
    """How much rarer rows with such covariates are at a level of a column than in general.

    Of covariates that are counted the shares of the levels are. Numbers enter by how they differ
    between levels where these are the same, and other covariates of levels each by itself.

    Attributes
    ----------
    shares : ndarray of shape (levels,)
        Shares of the levels.
    propensity : Propensity or None
        Their shares given what is counted.
    scores : Linear or None
        Log densities of the numbers at each level given what is counted, but for what all have in
        common; None where the levels do not differ by more than chance.
    cells : dict of int to ndarray of shape (levels of the covariate + 1, levels)
        For each other discrete covariate how much rarer it is at each level.
    """

    shares: Floats
    propensity: Propensity | None
    scores: Linear | None
    cells: Mapping[int, Floats]
    training: Training

    @classmethod
    def of(
        cls, j: int, training: Training, columns: Iterable[int], *, shrunk: bool = True
    ) -> "Rarity":
        """Return it for column j.

        Parameters
        ----------
        j : int
            The column.
        training : Training
            What the columns were.
        columns : iterable of int
            What its level may depend on.
        shrunk : bool, default True
            Whether to leave out of the differences between levels what chance would show.
        """
        columns = tuple(columns)
        spread, shares = training.indicators(j)
        counted = training.counted_with(j, columns)
        others = [i for i in columns if i not in counted]
        numbers = [i for i in others if training.schema.levels[i] is None]
        cells = {i: _cells(training, i, spread, shares) for i in others if training.is_discrete(i)}
        seen = np.flatnonzero(shares * training.n > 1e-6)
        given = Covariates(training, counted, numbers)
        scores = None
        if len(seen) > 1:
            scores = _differences(given, spread[:, seen], shares[seen], shrunk=shrunk)
        if scores is not None and len(seen) < len(shares):
            scores = _spread_out(scores, seen, len(shares))
        return cls(shares, training.propensity(j, counted), scores, cells, training)

    def overlap(self, codes: NDArray[np.intp], values: Floats, forced: Columns) -> Floats:
        """Return p(covariates | level) / p(covariates), at most one, for the level of each row."""
        found = np.ones(len(values))
        rows = np.arange(len(values))
        known = (codes >= 0) & (self.shares[codes] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.propensity is None:
                posterior = np.tile(self.shares, (len(values), 1))
            else:
                posterior = self.propensity(values, forced)
            if self.scores is not None:
                scores = self.scores(values, forced)
                posterior = posterior * np.exp(scores - scores.max(axis=1, keepdims=True))
                posterior /= posterior.sum(axis=1, keepdims=True)
            found = np.minimum(found, posterior[rows, codes] / self.shares[codes])
        for i, table in self.cells.items():
            held = self.training.codes(i, forced.get(i, values[:, i]))
            found = np.minimum(found, table[held, codes])  # -1 is the last entry
        return np.where(known, found, 1.0)


def _differences(
    given: Covariates, spread: Floats, shares: Floats, *, shrunk: bool
) -> Linear | None:
    """Return the scores of linear discriminants of numbers, where counted columns are equal.

    Numbers are taken for normal, with means that are sums of what counted columns and the level
    make of them, and a covariance that is the same for all (the location model of Olkin and Tate
    1961, without products). Coordinates of the numbers have no correlation with counted columns,
    and variance one. Least squares on what counted columns leave of the indicators of the levels
    gives the differences between levels.
    """
    n, k = given.training.n, len(shares)
    rank = given.rank - given.first
    dof = n - k - given.rank + 1
    if not rank or dof < 1:
        return None
    products = given.products(spread)
    of_first, of_numbers = products[: given.first], products[given.first :]
    left = spread.T @ spread - of_first.T @ of_first  # of the indicators
    values, vectors = np.linalg.eigh(left)
    kept = values > SAME * n
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    centring = np.eye(k) - shares  # no level is the first: differences from the mean of all
    means = centring @ inverse @ of_numbers.T * np.sqrt(n)
    explained = means.T @ left @ means
    within = (n * np.eye(rank) - explained) / (n - k - given.first)
    directions = _spanned(means)
    within = directions.T @ within @ directions
    centres = means @ directions
    size, axes = np.linalg.eigh(within)
    axes = axes / np.sqrt(np.maximum(size, SAME))
    centres, directions = centres @ axes, directions @ axes
    distance = np.square(centres).sum(axis=1)
    if shrunk:  # T² of Hotelling, of each level against all rows
        t2 = distance / np.maximum(np.diag(centring @ inverse @ centring.T), _TINY)
        f = t2 * dof / (rank * (n - k - given.first))
        centres = centres * given.beyond_chance(f, dof, rank)[:, None]
    if not centres.any():
        return None
    usual = of_first @ centres / np.sqrt(n)  # by which of the levels counted columns go with
    part = _PART if shrunk else 1.0
    scores = given.linear(part * np.vstack([usual @ centres.T, directions @ centres.T]))
    constant = scores.constant - part * 0.5 * np.square(centres).sum(axis=1)
    return Linear(constant, scores.weights, scores.tables)


def _spanned(means: Floats) -> Floats:
    """Return the directions in which means differ, (rank, directions)."""
    _, sizes, directions = np.linalg.svd(means, full_matrices=False)
    kept = sizes > SAME * max(float(sizes.max(initial=0.0)), _TINY)
    return directions[kept].T


def _spread_out(scores: Linear, seen: NDArray[np.intp], k: int) -> Linear:
    """Return scores for all levels, those without a row included, which are never the case."""

    def wide(part: Floats, fill: float = 0.0) -> Floats:
        full = np.full((*part.shape[:-1], k), fill)
        full[..., seen] = part
        return full

    tables = {j: wide(table) for j, table in scores.tables.items()}
    return Linear(wide(scores.constant, -1e300), wide(scores.weights), tables)


def _cells(training: Training, i: int, spread: Floats, shares: Floats) -> Floats:
    """Return how many rows had a level of i and one of another column, over chance.

    One row more in each, as far as chance has it: an empty cell says little where few rows were to
    be expected.
    """
    own, own_shares = training.indicators(i)
    expected = training.n * np.outer(own_shares, shares)
    observed = np.maximum(own.T @ spread + expected, 0.0)
    return np.vstack([(observed + 1) / (expected + 1), np.ones(len(shares))])
