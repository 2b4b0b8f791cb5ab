r"""The default prior of what a transformer makes: one of the fitted curve, not of each term.

Terms that a transformer makes of the same columns hang together: far from zero a column and its
square are nearly one. Priors of each on its own then say that no curve can bend, and say another
thing when the column is moved. So the prior here is a Gaussian over curves: with the terms h of a
row, about their means, and s = 2.5 sd(y),

.. math::

    \beta \sim N(0, s^2 Q^{-1}), \quad Q = (1 - \lambda) C + \lambda R, \quad
    C = \overline{h h'} \text{ over the rows}, \quad R = \overline{h h'} \text{ elsewhere},

with λ = 0.1. C alone says as much along each direction of the curves as one row does: it is the
unit information prior of Kass and Wasserman (1995), a g-prior (Zellner 1986) with sd(y) in the
place of sigma. For uncorrelated terms these are, but for λ, independent priors
with standard deviations s / sd(term): the same that columns as they are have. Rows that do not
determine all terms, or hardly, leave directions in which C is next to nothing; R bounds the curves
there. It is over places that rows might stand at: each column moved over its range with the others
at their middle, and each pair of columns over a grid.

Linear maps of the terms change β and Q, and neither the prior of the curve nor its posterior. The
same must be true of draws, so that the coefficients are made of noise by a root of :math:`Q^{-1}`
which belongs to the curves and not to the terms: with functionals t of a curve that hang on the
raw columns alone (its mean, weighted by quickly varying waves), the polar factor of t in a basis
that is orthonormal under Q.

References
----------
Kass and Wasserman (1995). A reference Bayesian test for nested hypotheses and its relationship to
the Schwarz criterion. Journal of the American Statistical Association 90:928.

Zellner (1986). On assessing prior distributions and Bayesian regression analysis with g-prior
distributions. In: Bayesian Inference and Decision Techniques, 233.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from interventional.data.design import PlainDesign
from interventional.data.schema import Schema
from interventional.data.seen import Seen
from interventional.numbers import BLOCK, Floats, slices

CURVE = "curve"  # what stands for the name of a distribution in a prior
_ELSEWHERE = 0.1  # the weight of places where no row need stand
_ALONG, _LEAST = 4096, 3  # places along all columns; along one at least
_PAIRS, _LEVELS = 4096, 12  # places over all pairs; levels of a column there
_WAVES = 20.0  # per standard deviation: neighbouring rows have nothing to do with each other
_RANK = 1e-12  # of the largest direction, less than which is rounding


@dataclass(frozen=True)
class Curves:
    """The curves that the terms of an equation make.

    Attributes
    ----------
    gram : ndarray of shape (k, terms)
        A root of Q: its squares are those of the module.
    functionals : ndarray of shape (terms, terms)
        Functionals of each term's curve.
    """

    gram: Floats
    functionals: Floats

    @classmethod
    def of(
        cls, design: PlainDesign, rows: Floats, matrix: Floats, weights: Floats | None, seen: Seen
    ) -> "Curves":
        """Return those of a design.

        Parameters
        ----------
        design : PlainDesign
            The design.
        rows : ndarray of shape (n, columns)
            Encoded rows of its columns.
        matrix : ndarray of shape (n, terms)
            What it makes of them.
        weights : ndarray of shape (n,) or None
            Frequencies of the rows.
        seen : Seen
            What the likelihood sees of them.
        """
        p = matrix.shape[1]
        of_row = (1 - _ELSEWHERE) / float(len(rows) if weights is None else weights.sum())
        places, made = _elsewhere(design, rows, weights)
        made, of_place = made - seen.x_mean, _ELSEWHERE / len(made)
        gram = np.concatenate([np.sqrt(of_row) * seen.factor, np.sqrt(of_place) * made])

        mean = np.average(rows, axis=0, weights=weights)
        scale = np.sqrt(np.average(np.square(rows - mean), axis=0, weights=weights))
        scale = np.where(scale > 0, scale, 1.0)
        rng = np.random.default_rng(0)
        frequency = _WAVES * rng.standard_normal((rows.shape[1], p))
        phase = rng.uniform(size=p)

        def waves(at: Floats) -> Floats:
            cycles = (at - mean) @ (frequency / scale[:, None]) + phase
            return np.asarray(np.abs(cycles - np.rint(cycles)) - 0.25)

        functionals = of_place * waves(places).T @ made
        for block in slices(len(rows), max(BLOCK // max(p, 1), 1)):
            share = of_row * waves(rows[block])
            if weights is not None:
                share *= weights[block, None]
            functionals += share.T @ (matrix[block] - seen.x_mean)
        return cls(gram, functionals)

    def root(self, terms: Sequence[int]) -> Floats:
        """Return D, (terms, terms), such that D D' is the inverse of Q for some of the terms.

        Of a direction that is nothing at any row or place, such as the sum of all levels of a
        column, it has the standard deviations that terms on their own have.
        """
        gram, functionals = self.gram[:, terms], self.functionals[:, terms]
        size = np.linalg.norm(gram, axis=0)
        size = np.where(size > 0, size, 1.0)
        missing = max(len(terms) - len(gram), 0)
        scaled = np.concatenate([gram / size, np.zeros((missing, len(terms)))])
        _, d, vt = np.linalg.svd(scaled, full_matrices=False)
        known = d > _RANK * d.max(initial=0.0)
        basis = (vt[known] / d[known, None] / size).T  # orthonormal under Q
        polar = _polar(basis.T @ functionals[: len(terms)].T)
        null = vt[~known]  # any basis will do: what is made of it is the same
        beside = _polar(null - (null @ polar.T) @ polar)
        return np.asarray(basis @ polar + (null / size).T @ beside)


def _polar(rows: Floats) -> Floats:
    """Return the matrix with orthonormal rows that is nearest."""
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(left @ right)


def _elsewhere(design: PlainDesign, rows: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """Return places where rows may stand, encoded, and what a design makes of them.

    A transformer may refuse numbers that it was not fitted to; then they are observed ones.
    """
    between = _places(design.schema, rows, weights, len(design.terms), observed=False)
    with warnings.catch_warnings():  # of levels that a transformer does not know
        warnings.simplefilter("ignore")
        try:
            return between, design.matrix(between)
        except Exception:  # of any transformer
            places = _places(design.schema, rows, weights, len(design.terms), observed=True)
        try:
            return places, design.matrix(places)
        except Exception:  # of one that does not take such combinations: rows are what there is
            return rows[:1], design.matrix(rows[:1])


def _places(
    schema: Schema, rows: Floats, weights: Floats | None, n_terms: int, *, observed: bool
) -> Floats:
    """Return encoded rows: along each column, and over a grid of each pair of columns."""
    d = rows.shape[1]
    size = max(min(max(9, 2 * n_terms + 1), _ALONG // d), _LEAST)
    along, few, middles = [], [], []
    for j in range(d):
        distinct = np.unique(rows[:, j])
        if schema.categories(j):
            which = np.searchsorted(distinct, rows[:, j])
            counts = np.bincount(which, weights)
            along.append(_some(distinct, size))
            few.append(_some(distinct, _LEVELS))
            middles.append(distinct[counts == counts.max()])  # several where they are as common
            continue
        low, high, middle = distinct[0], distinct[-1], np.median(distinct)
        if observed:
            along.append(_some(distinct, size))
            middle = distinct[(len(distinct) - 1) // 2]
        else:
            share = np.linspace(0, 1, size // 2 + 1)
            along.append(
                np.concatenate([low + share * (high - low), np.quantile(distinct, share)])
            )
        few.append(np.array([low, middle, high]))
        middles.append(np.array([middle]))
    if np.prod([len(each) for each in middles]) > _LEVELS:
        middles = [each[:1] for each in middles]
    moved: list[tuple[tuple[int, ...], Floats]]
    moved = [((j,), values[:, None]) for j, values in enumerate(along)]
    pairs = [*permutations(range(d), 2)]
    first = along if _size(pairs, along, few) <= _PAIRS else few
    if _size(pairs, first, few) <= _PAIRS:
        moved += [((j, k), np.array([*product(first[j], few[k])])) for j, k in pairs]
    found = []
    for base in product(*middles):
        for at, to in moved:
            place = np.tile(np.array(base), (len(to), 1))
            place[:, list(at)] = to
            found.append(place)
    return np.concatenate(found)


def _size(pairs: list[tuple[int, int]], first: list[Floats], second: list[Floats]) -> int:
    """Return how many places the grids of all pairs have."""
    return sum(len(first[j]) * len(second[k]) for j, k in pairs)


def _some(distinct: Floats, size: int) -> Floats:
    """Return so many of sorted values, evenly by their ranks."""
    ranks = np.linspace(0, len(distinct) - 1, min(size, len(distinct)))
    return distinct[np.round(ranks).astype(np.intp)]
