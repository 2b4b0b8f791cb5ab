"""What rows tell of the coefficients of a surface, given its scales and lengths.

It is a linear model in a basis of lines and landmarks. What these leave open of the surface at a
row counts as noise of its own (FITC; Quiñonero Candela and Rasmussen 2005, Journal of Machine
Learning Research 6:1939); it is nothing where each row is a landmark.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interventional.data.lapack import factor, solve
from interventional.data.surface import Surface
from interventional.inference.by_group import ByGroup, Given
from interventional.inference.evidence import Rows
from interventional.inference.latent import Local, Said, mode
from interventional.numbers import AT_ONCE, Floats, blocks


@dataclass(frozen=True, eq=False)
class Own:
    """What groups of rows have to themselves: coefficients that are standard normal.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Which group each row belongs to.
    factors : ndarray of shape (n, effects)
        What its coefficients are multiplied by.
    n_groups : int
        How many groups there are.
    """

    codes: NDArray[np.intp]
    factors: Floats
    n_groups: int


@dataclass(frozen=True, eq=False)
class Told:
    """What rows tell of the coefficients given scales and lengths.

    Attributes
    ----------
    mean : ndarray of shape (size,)
        Their mean: of the line, of lines of effects, of landmarks; in units of their priors.
    root : ndarray of shape (size, size)
        A root of their precision, on and below the diagonal.
    groups : Given or None
        What groups of rows have to themselves, given these.
    """

    mean: Floats
    root: Floats
    groups: Given | None = None

    @property
    def size(self) -> int:
        """How many there are, those of groups included."""
        return len(self.mean) + (0 if self.groups is None else self.groups.own.size)

    @classmethod
    def of(
        cls,
        surface: Surface,
        rows: Rows,
        scale: Floats,
        length: Floats,
        sigma: float,
        roots: Sequence[Floats | None],
        groups: Own | None = None,
    ) -> "Told":
        """Return what Gaussian outcomes tell, given the roots of landmarks' covariances."""
        size = _size(surface, rows)

        def parts() -> Iterator[tuple[slice, Floats, Floats, Floats]]:
            for block in blocks(len(rows.target), size):
                part = rows.take(np.arange(block.start, block.stop))
                of = block, sigma**2 / part.weights, scale, length, roots
                yield block, *_basis(surface, part, *of), part.target

        return cls._of(size, parts(), groups)

    @classmethod
    def at_mode(
        cls,
        surface: Surface,
        likelihood: Said,
        scale: Floats,
        length: Floats,
        roots: Sequence[Floats | None],
        groups: Own | None = None,
    ) -> "Told":
        """Return what other outcomes tell, by Laplace's method.

        The mode is that of all of the linear predictor, what landmarks leave open included.
        """
        rows = likelihood.rows
        n, size = len(rows.target), _size(surface, rows)

        def made() -> Iterator[tuple[slice, Floats, Floats]]:
            for block in blocks(n, size):
                part = rows.take(np.arange(block.start, block.stop))
                of = block, np.zeros(len(part.target)), scale, length, roots
                yield block, *_basis(surface, part, *of)

        held = list(made()) if n * size <= AT_ONCE else None

        def step(local: Local) -> tuple[Floats, Floats, Told]:
            told = cls._of(
                size,
                (
                    (block, A.copy(), local.noise[block] + left, local.response[block])
                    for block, A, left in held or made()
                ),
                groups,
            )
            eta = np.zeros(n)
            if told.groups is not None and groups is not None:
                zeros = np.zeros((1, *told.groups.own.shape))
                own = told.groups.drawn(told.mean[None], zeros)[0]
                eta = (groups.factors * own[groups.codes]).sum(axis=1)
            slope = np.empty(n)
            for block, A, left in held or made():
                off = local.response[block] - eta[block] - A @ told.mean
                slope[block] = off / (local.noise[block] + left)
            return slope, local.response - local.noise * slope, told

        found = mode(likelihood, likelihood.start, step)
        assert found is not None
        return step(likelihood.expected(found.eta))[2]

    @classmethod
    def _of(
        cls,
        size: int,
        parts: Iterable[tuple[slice, Floats, Floats, Floats]],
        groups: Own | None,
    ) -> "Told":
        """Return what rows tell, given a basis, which is overwritten, noise and target of each."""
        precision, by, given = np.eye(size), np.zeros(size), None
        sums = None if groups is None else ByGroup(groups.n_groups, groups.factors.shape[1], size)
        for block, A, noise, target in parts:
            sd = np.sqrt(noise)
            A /= sd[:, None]
            precision += A.T @ A
            by += A.T @ (target / sd)
            if sums is not None and groups is not None:
                own = groups.factors[block] / sd[:, None]
                sums.add(groups.codes[block], own, A, target / sd)
        if sums is not None:
            given = sums.taken_out(precision, by)
        factor(precision)
        mean = by[None]
        solve(precision, mean)
        solve(precision, mean, transposed=True)
        return cls(mean[0], precision, given)

    def drawn(self, noise: Floats) -> tuple[Floats, Floats]:
        """Return draws made of standard normal numbers, (draws, size).

        First those that all rows share; then what groups have to themselves, (draws, groups,
        effects), or nothing.
        """
        shared = len(self.mean)
        found = noise[:, :shared].copy()
        solve(self.root, found, transposed=True)
        found += self.mean
        if self.groups is None:
            return found, noise[:, :0]
        own = noise[:, shared:].reshape(len(noise), *self.groups.own.shape)
        return found, self.groups.drawn(found, own)


def _size(surface: Surface, rows: Rows) -> int:
    """Return how many coefficients of lines and landmarks there are."""
    lines, near, _ = surface.width
    return rows.line.shape[1] + lines + near


def _basis(
    surface: Surface,
    rows: Rows,
    block: slice,
    noise: Floats,
    scale: Floats,
    length: Floats,
    roots: Sequence[Floats | None],
) -> tuple[Floats, Floats]:
    """Return what coefficients are multiplied by at a block of rows, and noise with the rest."""
    q, each = rows.line.shape[1], len(surface.landmarks)
    lines, _, _ = surface.width
    A = np.zeros((len(noise), _size(surface, rows)))
    A[:, :q] = rows.line
    A[:, q : q + lines] = surface.lines(rows.inputs, scale)
    for k, (of, root) in enumerate(zip(surface.blocks, roots, strict=True)):
        own = slice(q + lines + k * each, q + lines + (k + 1) * each)
        if root is None:
            continue
        if surface.are_all:
            A[:, own] = root[block if rows.places is None else rows.places]
            continue
        between = surface.kernel(of, rows.inputs, surface.landmarks, scale, length)
        solve(root, between)
        A[:, own] = between
        left = surface.variance(of, rows.inputs, scale) - np.square(between).sum(axis=1)
        noise = noise + np.maximum(left, 0.0)
    return A, noise
