"""What is expected of an outcome as a sum over what mediators may be, one after the other.

All draws share a few points, wide apart. Some draws, spread evenly over all, are given many more,
and what these say differently on average is added to each: what is left is how much the error of
few points varies from draw to draw.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.intervention.mediated import Marginal
from interventional.intervention.nodes import Fineness, Points, kernel, points
from interventional.numbers import BLOCK, Floats, slices
from interventional.scm.equations import Equation, StructuralModel, with_errors
from interventional.scm.families import Family

# How points lie, by how many mediators of numbers there are: few, and many.
_FEW = {1: Fineness(1.0, 1e-4), 2: Fineness(1.3, 3e-4), 3: Fineness(1.5, 1e-3)}
_MANY = {1: Fineness(0.1, 1e-7), 2: Fineness(0.7, 1e-6), 3: Fineness(0.9, 1e-5)}
EXACTLY = Fineness(1.0, 0.0)  # levels are all summed over
_AT_ONCE = 8 * BLOCK  # expectations: a transformer takes as long for few rows
_SOME = 100  # draws that are given many points
_MOST = 1500  # points of a row, of all its mediators together
_ENOUGH = 0.05  # of the posterior sd: what errors may vary by from draw to draw
_TRIES = 4

# From what mediators are put at, in rows of some positions, to a node's expectation there, or the
# probability of a level: (draws, rows).
Evaluate = Callable[[Mapping[str, Floats], NDArray[np.intp], str, int | None], Floats]


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over what mediators may be, in some rows.

    Attributes
    ----------
    model : StructuralModel
        The equations.
    parameters : mapping
        Posterior draws.
    values : ndarray of shape (n, columns)
        Encoded rows.
    mediators : sequence of str
        Those that are summed over, in topological order.
    known : mapping
        Of those that are Gaussian, their distribution, where it does not hang on others.
    evaluate : callable
        What is expected of nodes.
    """

    model: StructuralModel
    parameters: Mapping[str, Floats]
    values: Floats
    mediators: Sequence[str]
    known: Mapping[str, Marginal]
    evaluate: Evaluate

    def at(self, how: Fineness, most: int = _MOST) -> tuple[Floats, Floats] | None:
        """Return the expected outcome, (draws, n), and that of points twice as far apart.

        None if there are more than `most` points.
        """
        return self._over(tuple(self.mediators), {}, how, most)

    def _over(
        self, mediators: tuple[str, ...], put: Mapping[str, Floats], how: Fineness, most: int
    ) -> tuple[Floats, Floats] | None:
        node, rest = mediators[0], mediators[1:]
        placed = self._placed(node, put, how, most)
        if placed is None:
            return None
        values, weigh, are_all = placed
        totals: list[Any] = [0.0, 0.0]
        sums: list[Any] = [0.0, 0.0]
        n_draws, n = len(next(iter(self.parameters.values()))), len(self.values)
        for some in slices(len(values), 1 if rest else _AT_ONCE // (n_draws * n)):
            if rest:
                inner = self._over(rest, {**put, node: values[some][0]}, how, most // len(values))
                if inner is None:
                    return None
                of_points: Any = [inner]
            else:  # points become rows
                size = some.stop - some.start
                at = {name: np.tile(value, size) for name, value in put.items()}
                at[node] = values[some].ravel()
                rows = np.tile(np.arange(n), size)
                found = self.evaluate(at, rows, self.model.outcome, None)
                of_points = [(found[:, k * n : (k + 1) * n],) * 2 for k in range(size)]
            for g, inner in zip(range(some.start, some.stop), of_points, strict=True):
                weight = weigh(g)
                for k in (0,) if g % 2 and not are_all else (0, 1):
                    totals[k] = totals[k] + weight
                    sums[k] = sums[k] + weight * inner[k]
        return sums[0] / totals[0], sums[1] / totals[1]

    def _placed(
        self, node: str, put: Mapping[str, Floats], how: Fineness, most: int
    ) -> tuple[Floats, Callable[[int], Floats], bool] | None:
        """Return where a mediator is put, (points, n), how each weighs, and if that is all."""
        equation, n = self.model.equation(node), len(self.values)
        if equation.codes:
            codes = np.array(equation.codes, dtype=float)
            return np.repeat(codes[:, None], n, axis=1), self._odds(equation, put), True
        family, eta, dispersion = self._distribution(equation, put)
        found = points(family, eta, dispersion, how, most)
        if found is None:
            return None
        return found.values, _weights(family, eta, dispersion, found), found.are_all

    def _expected(self, put: Mapping[str, Floats], node: str, level: int | None = None) -> Floats:
        return self.evaluate(put, np.arange(len(self.values)), node, level)

    def _odds(self, equation: Equation, put: Mapping[str, Floats]) -> Callable[[int], Floats]:
        """Return what gives the probability of each level."""
        if equation.n_blocks > 1:
            return lambda code: self._expected(put, equation.node, code)
        second = self._expected(put, equation.node)
        return lambda code: second if code else 1 - second

    def _distribution(
        self, equation: Equation, put: Mapping[str, Floats]
    ) -> tuple[Family, Floats, Mapping[str, Floats]]:
        """Return the family of a mediator, its linear predictor, and what it has besides."""
        node, known = equation.node, self.known.get(equation.node)
        if known is not None:
            return equation.record, known.mean, {"sigma": known.sd}
        dispersion: dict[str, Floats] = {
            name: self.parameters[f"{node}_{name}"][:, None] for name in equation.dispersion
        }
        errors = equation.errors(self.values)
        if errors is not None:
            dispersion = with_errors(dispersion, errors)
        family = equation.record
        eta = family.link.forward(self._expected(put, node))
        if family.mean_needs:  # the mean of a lognormal is not that of its log, exponentiated
            eta = eta - dispersion["sigma"] ** 2 / 2
        return family, eta, dispersion


def _weights(
    family: Family, eta: Floats, dispersion: Mapping[str, Floats], at: Points
) -> Callable[[int], Floats]:
    """Return what gives the density of a mediator at each point, times its width, (draws, n).

    It is up to a factor that is the same at all points.
    """
    log_density = kernel(family, eta, dispersion)

    def weigh(g: int) -> Floats:
        found = log_density(at.values[g])
        found += at.log_width[g]
        return np.exp(found, out=found)

    return weigh


def summed(
    sums: Callable[[NDArray[np.intp], slice], Sums], n: int, n_draws: int, n_numbers: int
) -> Floats | None:
    """Return the expected outcome of n rows, points as close in each as it needs.

    Parameters
    ----------
    sums : callable
        Returns the sums over some of the rows, and some of the draws.
    n : int
        How many rows there are.
    n_draws : int
        How many draws there are.
    n_numbers : int
        How many of the mediators are numbers.

    Returns
    -------
    ndarray of shape (draws, n) or None
        None if even few points are too many.
    """
    if n_numbers not in _FEW:
        return None
    some, every = slice(None, None, max(1, n_draws // _SOME)), slice(None)
    told = _refined(sums, n, some, _MANY[n_numbers])
    if told is None or some.step == 1:
        return told
    out, rows, how = np.empty((n_draws, n)), np.arange(n), _FEW[n_numbers]
    for tried in range(_TRIES):
        found = sums(rows, every).at(how)
        if found is None:
            return None if tried == 0 else out
        off = told[:, rows] - found[0][some]
        out[:, rows] = found[0] + off.mean(axis=0)
        left = off.std(axis=0) > _allowed(out[:, rows])
        rows, how = rows[left], how.finer()
        if not len(rows):
            break
    return out


def _refined(
    sums: Callable[[NDArray[np.intp], slice], Sums], n: int, some: slice, how: Fineness
) -> Floats | None:
    """Return the expected outcome in some draws, points as close as each row needs."""
    rows = np.arange(n)
    first = sums(rows, some).at(how, 4 * _MOST)
    if first is None:
        return None
    out, coarse = first
    for _ in range(_TRIES):
        off = np.abs((out[:, rows] - coarse).mean(axis=0))
        left = off > 2 * _allowed(out[:, rows])
        rows, how = rows[left], how.finer()
        found = sums(rows, some).at(how, 4 * _MOST) if len(rows) else None
        if found is None:
            break
        out[:, rows], coarse = found
    return out


def _allowed(found: Floats) -> Floats:
    """Return which errors are of no account in each row."""
    return np.asarray(_ENOUGH * found.std(axis=0) + 1e-9 * np.abs(found).max(axis=0))
