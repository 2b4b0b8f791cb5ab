"""How frequent the levels of a column are where others hold certain values: by counting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, expit, xlogy

from interventional.data.cells import Cells
from interventional.numbers import Floats

_CHANCE = 1e-3  # of taking for dependence what is none
_MANY = 20  # rows that are to be expected of a level: from here on counts stand as they are
_RIDGE = 0.25  # precision of the coefficients' prior: weak, but there is a mode
_STEPS = 50  # of Newton's method, far more than it takes


@dataclass(frozen=True, eq=False)
class Propensity:
    """Shares of the levels of a column where counted covariates hold certain values.

    Attributes
    ----------
    columns : tuple of int
        The covariates.
    values : tuple of ndarray
        The values that each had, ascending.
    keys : tuple of ndarray
        For each covariate the combinations up to it that occur, ascending.
    shares : ndarray of shape (cells, levels)
        Shares of the levels in each combination of all.
    intercepts : ndarray of shape (levels,)
        Log odds of each level, in the model for combinations that never occurred.
    slopes : tuple of ndarray, (values, levels) each
        What each value of a covariate adds to them.
    """

    columns: tuple[int, ...]
    values: tuple[Floats, ...]
    keys: tuple[NDArray[np.intp], ...]
    shares: Floats
    intercepts: Floats
    slopes: tuple[Floats, ...]

    @classmethod
    def of(cls, counted: Cells, levels: Floats, columns: tuple[int, ...]) -> "Propensity":
        """Count.

        Parameters
        ----------
        counted : Cells
            Counts of the covariates' values.
        levels : ndarray of shape (cells, levels)
            Of the rows of each of its cells, how many had each level.
        columns : tuple of int
            The covariates, among those that are counted.
        """
        at = [counted.columns.index(j) for j in columns]
        values, codes = tuple(counted.values[k] for k in at), counted.codes[:, at]
        keys, which = _indexed(codes, values)
        n_cells = len(keys[-1]) if keys else 1
        table = np.zeros((n_cells, levels.shape[1]))
        np.add.at(table, which, levels)
        first = np.zeros(n_cells, dtype=np.intp)
        first[which] = np.arange(len(which))
        indicators = _indicators(codes[first], values)
        total = table.sum(axis=0)
        overall = total / total.sum()
        intercepts, slopes = _main_effects(indicators, table, overall)
        model = _normalised(expit(intercepts + indicators @ slopes))
        shares = _counted(table, model, overall)
        ends = np.cumsum([len(v) for v in values])[:-1]
        parts = tuple(np.split(slopes, ends)) if values else ()
        return cls(columns, values, keys, shares, intercepts, parts)

    def __call__(self, values: Floats, forced: Mapping[int, NDArray[Any]]) -> Floats:
        """Return the shares of the levels where covariates are as in some rows, (rows, levels)."""
        cell = np.zeros(len(values), dtype=np.intp)
        known = np.ones(len(values), dtype=bool)
        score = np.tile(self.intercepts, (len(values), 1))
        parts = zip(self.columns, self.values, self.keys, self.slopes, strict=True)
        for j, own, keys, slopes in parts:
            column = forced.get(j, values[:, j])
            right = np.clip(np.searchsorted(own, column), 1, len(own) - 1)
            code = right - (column - own[right - 1] <= own[right] - column)  # the nearest
            inside = (own[0] <= column) & (column <= own[-1])  # of a new level nothing is known
            score += np.where(inside[:, None], slopes[code], 0.0)
            known &= inside
            key = cell * len(own) + code
            cell = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            known &= keys[cell] == key
        return np.where(known[:, None], self.shares[cell], _normalised(expit(score)))


def _counted(table: Floats, model: Floats, overall: Floats) -> Floats:
    """Return the shares of levels in cells, (cells, levels): counted where that tells anything.

    As if of each level one row more had been expected in each cell, and come as modelled. Where
    few rows were to be expected and chance may have made the counts of a cell from the model, the
    model stands, but for levels that were there more often.
    """
    rows = table.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        counted = (table + model / overall) / (rows + 1 / overall)
    counted = _normalised(np.where(overall > 0, counted, 0.0))
    deviance = 2 * (xlogy(table, table) - xlogy(table, rows * model)).sum(axis=1)
    by_chance = deviance < chdtri(max((overall > 0).sum() - 1, 1), _CHANCE)
    little = by_chance[:, None] & (rows * overall < _MANY)
    return _normalised(np.where(little, np.maximum(model, counted), counted))


def _indexed(
    codes: NDArray[np.uint8], values: tuple[Floats, ...]
) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.intp]]:
    """Return the combinations of the first columns that occur, and of all which each row is."""
    keys, which = [], np.zeros(len(codes), dtype=np.intp)
    for k, own in enumerate(values):
        found, which = np.unique(which * len(own) + codes[:, k], return_inverse=True)
        keys.append(found)
    return tuple(keys), which.ravel()


def _indicators(codes: NDArray[np.uint8], values: tuple[Floats, ...]) -> Floats:
    """Return an indicator for each value of each column."""
    columns = [codes[:, [k]] == np.arange(len(own)) for k, own in enumerate(values)]
    return np.hstack([np.zeros((len(codes), 0)), *columns])


def _normalised(shares: Floats) -> Floats:
    return shares / shares.sum(axis=1, keepdims=True)


def _main_effects(indicators: Floats, table: Floats, overall: Floats) -> tuple[Floats, Floats]:
    """Return intercepts and slopes of logistic regressions of each level against the others.

    Slopes are shrunk by 1 - c / L, with L the likelihood ratio of the regression against none and
    c the value that chance would hardly exceed: where levels depend on nothing they vanish.
    """
    rows = table.sum(axis=1)
    n, p = rows.sum(), indicators.shape[1]
    # Indicators of a column add up to one.
    constraints = int(np.linalg.matrix_rank(indicators - indicators[:1])) if p else 0
    intercepts = np.full(len(overall), -np.inf)
    slopes = np.zeros((p, len(overall)))
    present = np.flatnonzero(overall > 0)
    for t in present:
        share = float(np.clip(overall[t], 1e-12, 1 - 1e-12))
        intercepts[t] = np.log(share / (1 - share))
        if len(present) == 1 or not constraints or n <= constraints + 1:
            continue
        if len(present) == 2 and t == present[1]:
            intercepts[t], slopes[:, t] = -intercepts[present[0]], -slopes[:, present[0]]
            continue
        found, ratio = _logistic(indicators, table[:, t], rows, intercepts[t])
        ratio *= (n - constraints - 1) / n
        least = chdtri(constraints, _CHANCE)
        if ratio > least:
            slopes[:, t] = (1 - least / ratio) * found[1:]
            intercepts[t] = _balanced(indicators @ slopes[:, t], rows, share)
    return intercepts, slopes


def _logistic(
    indicators: Floats, cases: Floats, rows: Floats, start: float
) -> tuple[Floats, float]:
    """Return the mode of a logistic regression, and twice its log likelihood over that of none."""
    design = np.column_stack([np.ones(len(rows)), indicators])
    penalty = np.r_[0.0, np.full(indicators.shape[1], _RIDGE)]
    beta = np.zeros(design.shape[1])
    beta[0] = start

    def objective(beta: Floats) -> tuple[float, float]:
        eta = design @ beta
        log_likelihood = float((cases * eta - rows * np.logaddexp(0, eta)).sum())
        return log_likelihood, log_likelihood - 0.5 * float(penalty @ beta**2)

    found = objective(beta)
    none = found[0]
    for _ in range(_STEPS):
        p = expit(design @ beta)
        gradient = design.T @ (cases - rows * p) - penalty * beta
        hessian = (design.T * (rows * p * (1 - p))) @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (fresh := objective(beta + size * step))[1] < found[1] and size > 1e-6:
            size /= 2
        gained, beta, found = fresh[1] - found[1], beta + size * step, fresh
        if gained < 1e-9:
            break
    return beta, 2 * (found[0] - none)


def _balanced(eta: Floats, rows: Floats, share: float) -> float:
    """Return the intercept that makes the mean of the probabilities a level's share."""
    from scipy.optimize import brentq

    def excess(intercept: float) -> float:
        return float(rows @ expit(intercept + eta)) / float(rows.sum()) - share

    reach = 40 + float(np.abs(eta).max())
    return float(brentq(excess, -reach, reach))
