"""What is expected of an outcome as a sum over what mediators may be, one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.intervention.mediated import Marginal
from interventional.intervention.nodes import Points, points
from interventional.numbers import Floats
from interventional.scm.equations import Equation, StructuralModel, with_errors
from interventional.scm.families import FAMILIES, Family

_SPACING = {0: 1.0, 1: 0.5, 2: 0.8}  # of points, by how many mediators of numbers there are
_MOST = 1200  # points of a row, of all its mediators together
_FINEST = 16  # times as fine
_ENOUGH = 0.05  # of the posterior sd: what points of twice the distance may differ by

# From what is forced besides to a node's expectation, or the probability of a level.
Evaluate = Callable[[Mapping[str, Floats], str, int | None], Floats]


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
        Returns a node's expectation, or the probability of a level, (draws, n), given what
        mediators are put at.
    most : int
        How many points a row may take.
    """

    model: StructuralModel
    parameters: Mapping[str, Floats]
    values: Floats
    mediators: Sequence[str]
    known: Mapping[str, Marginal]
    evaluate: Evaluate
    most: int = _MOST

    def at(self, spacing: float) -> tuple[Floats, Floats, int] | None:
        """Return the expected outcome, that of points twice as far apart, and how many there are.

        None if there are too many.
        """
        return self._over(tuple(self.mediators), {}, spacing, 1)

    def _over(
        self, mediators: tuple[str, ...], put: Mapping[str, Floats], spacing: float, before: int
    ) -> tuple[Floats, Floats, int] | None:
        if not mediators:
            found = self.evaluate(put, self.model.outcome, None)
            return found, found, before
        node, rest = mediators[0], mediators[1:]
        placed = self._placed(node, put, spacing, before)
        if placed is None:
            return None
        values, weigh, are_all = placed
        totals: list[Any] = [0.0, 0.0]
        sums: list[Any] = [0.0, 0.0]
        count = before * len(values)
        for g, value in enumerate(values):
            inner = self._over(rest, {**put, node: value}, spacing, before * len(values))
            if inner is None:
                return None
            weight = weigh(g)
            for k in (0,) if g % 2 and not are_all else (0, 1):
                totals[k] = totals[k] + weight
                sums[k] = sums[k] + weight * inner[k]
            count = max(count, inner[2])
        fine, coarse = (total / weight for total, weight in zip(sums, totals, strict=True))
        return fine, coarse, count

    def _placed(
        self, node: str, put: Mapping[str, Floats], spacing: float, before: int
    ) -> tuple[Floats, Callable[[int], Floats], bool] | None:
        """Return where a mediator is put, (points, n), how each weighs, and if that is all."""
        equation, n = self.model.equation(node), len(self.values)
        if equation.codes:
            codes = np.array(equation.codes, dtype=float)
            return np.repeat(codes[:, None], n, axis=1), self._odds(equation, put), True
        family, eta, dispersion = self._distribution(equation, put)
        found = points(family, eta, dispersion, spacing, self.most // before)
        if found is None:
            return None
        return found.values, _Weights(family, eta, dispersion, found), found.are_all

    def _odds(self, equation: Equation, put: Mapping[str, Floats]) -> Callable[[int], Floats]:
        """Return what gives the probability of each level."""
        node = equation.node
        if equation.n_blocks > 1:
            return lambda code: self.evaluate(put, node, code)
        second = self.evaluate(put, node, None)
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
        mean = self.evaluate(put, node, None)
        family = equation.record
        eta = family.link.forward(mean)
        if family.mean_needs:  # the mean of a lognormal is not that of its log's exponential
            eta = eta - dispersion["sigma"] ** 2 / 2
        return family, eta, dispersion


class _Weights:
    """The density of a mediator at its points, times their widths."""

    def __init__(
        self, family: Family, eta: Floats, dispersion: Mapping[str, Floats], at: Points
    ):
        self.family, self.eta, self.dispersion, self.at = family, eta, dispersion, at
        self.mu = family.link.inverse(eta)

    def __call__(self, g: int) -> Floats:
        """Return those of the g-th point, (draws, n)."""
        found = self.family.log_density(self.at.values[g], self.eta, self.mu, self.dispersion)
        return np.exp(found + self.at.log_width[g])


def summed(
    sums: Callable[[NDArray[np.intp]], Sums], n: int, n_numbers: int
) -> Floats | None:
    """Return the expected outcome of n rows, points as close in each as it needs.

    Parameters
    ----------
    sums : callable
        Returns the sums over some of the rows.
    n : int
        How many rows there are.
    n_numbers : int
        How many of the mediators are numbers.

    Returns
    -------
    ndarray of shape (draws, n) or None
        None if even few points are too many.
    """
    spacing, rows = _SPACING.get(n_numbers), np.arange(n)
    if spacing is None:
        return None
    first = sums(rows).at(spacing)
    if first is None:
        return None
    out, coarse, count = first
    for finer in range(1, _FINEST.bit_length()):
        left = _left(out[:, rows], coarse)
        if not left.any() or count * 2**n_numbers > _MOST:
            break
        rows = rows[left]
        found = sums(rows).at(spacing / 2**finer)
        if found is None:
            break
        out[:, rows], coarse, count = found
    return out


def _left(fine: Floats, coarse: Floats) -> NDArray[np.bool_]:
    """Return of which rows points of twice the distance give something else."""
    off = np.sqrt(np.square(fine - coarse).mean(axis=0))
    size = np.abs(fine).max(axis=0)
    return np.asarray(off > _ENOUGH * fine.std(axis=0) + 1e-9 * size)
