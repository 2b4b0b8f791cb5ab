"""What rows tell of the coefficients of a surface, given its scales and lengths.

It is a linear model in a basis of lines and landmarks. What these leave open of the surface at a
row counts as noise of its own (FITC; Quiñonero Candela and Rasmussen 2005, Journal of Machine
Learning Research 6:1939); it is nothing where each row is a landmark.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interventional.data.lapack import factor, solve
from interventional.data.surface import Surface
from interventional.inference.evidence import Rows
from interventional.inference.latent import Likelihood, Local, mode
from interventional.numbers import AT_ONCE, Floats, blocks


@dataclass(frozen=True, eq=False)
class Told:
    """What rows tell of the coefficients given scales and lengths.

    Attributes
    ----------
    mean : ndarray of shape (size,)
        Their mean: of the line, of lines of effects, of landmarks; in units of their priors.
    root : ndarray of shape (size, size)
        A root of their precision, on and below the diagonal.
    """

    mean: Floats
    root: Floats

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.mean)

    @classmethod
    def of(
        cls,
        surface: Surface,
        rows: Rows,
        scale: Floats,
        length: Floats,
        sigma: float,
        roots: Sequence[Floats | None],
    ) -> "Told":
        """Return what Gaussian outcomes tell, given the roots of landmarks' covariances."""
        size = _size(surface, rows)

        def parts() -> Iterator[tuple[Floats, Floats, Floats]]:
            for block in blocks(len(rows.target), size):
                part = rows.take(np.arange(block.start, block.stop))
                of = block, sigma**2 / part.weights, scale, length, roots
                yield *_basis(surface, part, *of), part.target

        return cls._of(size, parts())

    @classmethod
    def at_mode(
        cls,
        surface: Surface,
        likelihood: Likelihood,
        scale: Floats,
        length: Floats,
        roots: Sequence[Floats | None],
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
                    (A.copy(), local.noise[block] + left, local.response[block])
                    for block, A, left in held or made()
                ),
            )
            slope = np.empty(n)
            for block, A, left in held or made():
                slope[block] = (local.response[block] - A @ told.mean) / (
                    local.noise[block] + left
                )
            return slope, local.response - local.noise * slope, told

        found = mode(likelihood, likelihood.start, step)
        assert found is not None
        return cls(found.step.mean, found.step.root)

    @classmethod
    def _of(cls, size: int, parts: Iterable[tuple[Floats, Floats, Floats]]) -> "Told":
        """Return what rows tell, given a basis, which is overwritten, noise and target of each."""
        precision, by = np.eye(size), np.zeros(size)
        for A, noise, target in parts:
            A /= np.sqrt(noise)[:, None]
            precision += A.T @ A
            by += A.T @ (target / np.sqrt(noise))
        factor(precision)
        mean = by[None]
        solve(precision, mean)
        solve(precision, mean, transposed=True)
        return cls(mean[0], precision)

    def drawn(self, noise: Floats) -> Floats:
        """Return draws made of standard normal numbers, (draws, size)."""
        found = noise.copy()
        solve(self.root, found, transposed=True)
        found += self.mean
        return found


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
