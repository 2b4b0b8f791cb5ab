"""What Gaussian mediators do to an outcome that is linear in the terms of a design.

Given a posterior draw, a mediator m is N(mu, s^2), or its log is, and what is expected of the
outcome is ``E[design(row, m)] @ beta``: an integral for each term, which the draw enters by mu and
s alone. Smoothed by the noise, it is an analytic function of both, whatever kinks and steps the
design has. Of each row it is therefore computed on a fine grid of m, for a few pairs of mu and s,
and interpolated between them by Chebyshev's polynomials for all draws at once: no transformer is
asked about a draw.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.data.smooth import SmoothDesign
from interventional.data.surface import alike
from interventional.numbers import Floats, dense, slices
from interventional.scm.equations import Equation

_REACH = 5.0  # standard deviations of noise: 6 in 10 million are beyond
_FINE = 0.1  # of a standard deviation, between points of the grid
_SMOOTH = 0.5  # the same where nothing is less smooth than a Matérn surface
_SIZES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24])  # of polynomials
_ERROR = 1e-5  # of interpolation, beside the size of what is interpolated
_NUMBERS = 1 << 21  # of terms that are held at a time
_STEEP = 8.0  # times the steps beside it: where a step is a jump
_HALVINGS = 14  # of a cell of the grid, to find a jump
_RANK = 1e-9  # of the largest singular value: what is left out
# Where effects are tried for whether they add up: standard deviations of two mediators or more.
_TRIES = ((1.0, 1.0), (-1.0, 1.0), (2.1, -0.7), (-0.4, -1.9))

Terms = Callable[[NDArray[np.intp], Floats], Floats]  # of rows, the mediator at some points


@dataclass(frozen=True, eq=False)
class Marginal:
    """The distribution of a mediator in some rows, given each draw and nothing of other noise.

    Attributes
    ----------
    mean : ndarray of shape (draws, n)
        Its mean, or that of its log.
    sd : ndarray of shape (draws, 1) or (draws, n)
        Its standard deviation, or that of its log.
    is_log : bool
        Whether it is lognormal.
    """

    mean: Floats
    sd: Floats
    is_log: bool = False

    def of(self, draws: slice, rows: NDArray[np.intp]) -> "Marginal":
        """Return that of some rows, in some draws."""
        sd = self.sd[draws] if self.sd.shape[1] == 1 else self.sd[draws][:, rows]
        return Marginal(self.mean[draws][:, rows], sd, self.is_log)

    def valued(self, u: Floats) -> Floats:
        """Return the values of the mediator at points of the scale on which it is Gaussian."""
        return np.exp(u) if self.is_log else u

    @cached_property
    def means(self) -> tuple[Floats, Floats]:
        """The least mean of each row, and the greatest, (n,)."""
        return self.mean.min(axis=0), self.mean.max(axis=0)

    @cached_property
    def sds(self) -> tuple[Floats, Floats]:
        """The least standard deviation of each row, and the greatest, (n,)."""
        n = self.mean.shape[1]
        low, high = self.sd.min(axis=0), self.sd.max(axis=0)
        return np.broadcast_to(low, n), np.broadcast_to(high, n)

    @cached_property
    def sizes(self) -> NDArray[np.intp]:
        """How many polynomials in mean and sd each row takes, (n, 2); 0 where these are too many.

        The k-th derivative in the mean of a function of size 1 that was smoothed by s is at most
        ``sqrt(k!) / s**k``, the k-th in the variance that of order 2k over ``2**k``. Times powers
        of half the range, over what Chebyshev's points divide by, they bound what is left out.
        """
        (low, high), (least, most) = self.means, self.sds
        factorials = np.cumprod(np.arange(1.0, _SIZES[-1] + 1))[_SIZES - 1]
        of_mean = ((high - low) / 2 / least)[:, None] ** _SIZES
        of_sd = ((most - least) / 2 / least)[:, None] ** _SIZES
        of_mean = of_mean / (2.0 ** (_SIZES - 1) * np.sqrt(factorials))
        enough = np.stack([of_mean, of_sd], axis=1) < _ERROR
        return np.where(enough.any(axis=2), _SIZES[enough.argmax(axis=2)], 0)


@dataclass(frozen=True, eq=False)
class Mediated:
    """The expected outcome of some rows, mediators integrated out.

    Attributes
    ----------
    equation : Equation
        That of the outcome, whose expectation is its linear predictor.
    parameters : mapping
        Posterior draws of its parameters.
    columns : ndarray of shape (n, columns)
        Its columns in the rows, those of mediators of any values.
    marginals : mapping
        The mediators' distributions, by their positions among the columns.
    """

    equation: Equation
    parameters: Mapping[str, Floats]
    columns: Floats
    marginals: Mapping[int, Marginal]

    @property
    def adds_up(self) -> bool:
        """Whether each term moves with one mediator at most, or is a sum of such."""
        if len(self.marginals) < 2:
            return True
        if isinstance(self.equation.design, SmoothDesign):
            return False
        terms = self.equation.design.matrix
        rest = np.asarray(dense(terms(self.at_rest), "the design"))
        for tried in _TRIES:
            together, alone = self.at_rest.copy(), rest * (1.0 - len(self.marginals))
            for i, (j, marginal) in enumerate(self.marginals.items()):
                moved = self.at_rest.copy()
                by = (tried[i % 2] + 0.3 * (i // 2)) * marginal.sds[1]
                moved[:, j] = marginal.valued(marginal.mean.mean(axis=0) + by)
                together[:, j] = moved[:, j]
                alone += dense(terms(moved), "the design")
            found = np.asarray(dense(terms(together), "the design"))
            if not np.allclose(found, alone, rtol=1e-9, atol=1e-9 * np.abs(found).max()):
                return False
        return True

    @cached_property
    def at_rest(self) -> Floats:
        """The columns with mediators where they are on average."""
        found = self.columns.copy()
        for j, marginal in self.marginals.items():
            found[:, j] = marginal.valued(marginal.mean.mean(axis=0))
        return found

    @cached_property
    def parts(self) -> list[tuple[Any, Callable[[Floats], Any], Floats]]:
        """Which draws share terms, what makes these of columns, and their coefficients."""
        name, design = self.equation.node, self.equation.design
        beta = self.parameters[f"{name}_beta"]
        if not isinstance(design, SmoothDesign):
            return [(slice(None), design.matrix, beta)]
        scale, length, weights = (self.parameters[each] for each in self.equation.of_surface)
        return [
            (
                own,
                partial(design.at, scale=scale[own[0]], length=length[own[0]]),
                np.hstack([beta[own], weights[own]]),
            )
            for own in alike(scale, length)
        ]

    def expected(self) -> Floats:
        """Return the expected outcome, (draws, n)."""
        name = self.equation.node
        out = np.zeros((len(self.columns), len(self.parameters[f"{name}_beta"])))
        if self.equation.has_intercept:
            out += self.parameters[f"{name}_intercept"]
        for j, marginal in self.marginals.items():
            for sizes in np.unique(marginal.sizes, axis=0):
                rows = np.flatnonzero((marginal.sizes == sizes).all(axis=1))
                self._add(out, j, rows, (int(sizes[0]), int(sizes[1])))
        if len(self.marginals) > 1:
            for draws, matrix, coefficients in self.parts:
                rest = dense(matrix(self.at_rest), "the design") @ coefficients.T
                out[:, draws] -= (len(self.marginals) - 1) * rest
        return np.ascontiguousarray(out.T)

    def _add(self, out: Floats, j: int, rows: NDArray[np.intp], sizes: tuple[int, int]) -> None:
        """Add what is expected of terms in some rows, other mediators at rest, in place."""
        is_smooth = isinstance(self.equation.design, SmoothDesign)
        grid = _Grid(
            self.marginals[j].of(slice(None), rows), sizes, _SMOOTH if is_smooth else _FINE
        )
        wide = sizes[0] * sizes[1]
        for draws, matrix, coefficients in self.parts:

            def terms(of: NDArray[np.intp], u: Floats) -> Floats:
                at = self.at_rest[rows[of]]
                at[:, j] = grid.marginal.valued(u)
                return np.asarray(dense(matrix(at), "the design"))  # noqa: B023

            transposed = np.ascontiguousarray(coefficients.T)
            size = _NUMBERS // (grid.points * max(wide, len(transposed)))
            for some in slices(len(rows), size):
                for i, own in zip(
                    range(some.start, some.stop),
                    grid.integrals(np.arange(some.start, some.stop), terms, jumps=not is_smooth),
                    strict=True,
                ):
                    out[rows[i], draws] += grid.of_draws(i, draws, own @ transposed)


class _Grid:
    """Where a mediator's values are placed in each row, and what is interpolated between.

    Parameters
    ----------
    marginal : Marginal
        Its distribution.
    sizes : tuple of int
        How many polynomials of the mean there are, and of the standard deviation.
    spacing : float
        Between points, in standard deviations.
    """

    def __init__(self, marginal: Marginal, sizes: tuple[int, int], spacing: float):
        self.marginal, self.sizes = marginal, sizes
        (low, high), (least, most) = marginal.means, marginal.sds
        self.spacing = spacing * least
        self.start = low - _REACH * most
        self.points = int(np.ceil(((high - low + 2 * _REACH * most) / self.spacing).max())) + 1
        nodes = [_chebyshev(k) for k in sizes]
        self.transform = np.kron(nodes[0][1], nodes[1][1])
        self.at = [
            (ends[1] + ends[0])[:, None] / 2 + (ends[1] - ends[0])[:, None] / 2 * x
            for ends, (x, _) in zip((marginal.means, marginal.sds), nodes, strict=True)
        ]
        width = marginal.sd.shape[1]
        own = marginal.sds[0][:width], marginal.sds[1][:width]
        self.by_mean = _polynomials(_scaled(marginal.mean, low, high).T, sizes[0])
        self.by_sd = _polynomials(_scaled(marginal.sd, *own).T, sizes[1])

    def integrals(self, rows: NDArray[np.intp], terms: Terms, *, jumps: bool) -> Floats:
        """Return the coefficients of the polynomials of each term's integral.

        Returns
        -------
        ndarray of shape (rows, polynomials of the mean times those of the sd, terms)
        """
        u = self.start[rows, None] + self.spacing[rows, None] * np.arange(self.points)
        made = terms(np.repeat(rows, self.points), u.ravel()).reshape(*u.shape, -1)
        density = self._density(rows, u)
        total = density.sum(axis=2, keepdims=True)
        if jumps:
            i, cell = _jumps(made)
            if len(i):
                at = self._found(rows[i], u[i, cell], made[i, cell], made[i, cell + 1], terms)
                middle = u[i, cell] + self.spacing[rows[i]] / 2
                # What is between the middle of the cell and the jump is of its other end.
                moved = self._density(rows[i], ((at + middle) / 2)[:, None])[:, :, 0]
                moved *= ((at - middle) / self.spacing[rows[i]])[:, None]
                density[i, :, cell] += moved
                density[i, :, cell + 1] -= moved
        density /= total
        return self.transform @ (density @ made)

    def of_draws(self, i: int, draws: Any, found: Floats) -> Floats:
        """Return what polynomials are in a row's draws, (draws,), given their coefficients."""
        by_sd = self.by_sd[:, 0 if self.by_sd.shape[1] == 1 else i, draws]
        found = found.reshape(*self.sizes, -1)
        return np.einsum("kd,kd->d", self.by_mean[:, i, draws], (found * by_sd).sum(axis=1))

    def _density(self, rows: NDArray[np.intp], u: Floats) -> Floats:
        """Return the mediator's density at each pair of mean and sd, up to a factor."""
        mean, sd = (each[rows] for each in self.at)
        z = (u[:, None, None, :] - mean[:, :, None, None]) / sd[:, None, :, None]
        np.square(z, out=z)
        z *= -0.5
        return np.exp(z, out=z).reshape(len(rows), -1, u.shape[1])

    def _found(
        self, rows: NDArray[np.intp], low: Floats, left: Floats, right: Floats, terms: Terms
    ) -> Floats:
        """Return where terms jump in cells of the grid, found by halving these."""
        pairs = np.arange(len(rows))
        most = np.abs(right - left).argmax(axis=1)
        left, right, width = left[pairs, most], right[pairs, most], self.spacing[rows]
        for _ in range(_HALVINGS):
            width = width / 2
            found = terms(rows, low + width)[pairs, most]
            low = np.where(np.abs(found - left) < np.abs(found - right), low + width, low)
        return low + width / 2


def _jumps(made: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return in which rows, and from which points on, terms jump, (rows, points, terms)."""
    steps = np.abs(np.diff(made, axis=1))
    beside = np.zeros_like(steps)
    beside[:, 1:] = steps[:, :-1]
    np.maximum(beside[:, :-1], steps[:, 1:], out=beside[:, :-1])
    size = np.abs(made).max(axis=(0, 1), initial=0.0)
    i, cell = np.nonzero((steps > _STEEP * beside + 1e-9 * size).any(axis=2))
    return i, cell


def _scaled(values: Floats, low: Floats, high: Floats) -> Floats:
    """Return values as between -1 and 1; 0 of a range that is none."""
    half = (high - low) / 2
    return np.asarray((values - low - half) / np.where(half > 0, half, 1.0))


def _polynomials(x: Floats, k: int) -> Floats:
    """Return Chebyshev's polynomials at points from -1 to 1, (k, ...)."""
    found = np.ones((k, *x.shape))
    for m in range(1, k):
        found[m] = x if m == 1 else 2 * x * found[m - 1] - found[m - 2]
    return found


def _chebyshev(k: int) -> tuple[Floats, Floats]:
    """Return the points that are interpolated between, and what makes coefficients of values."""
    x = np.cos((2 * np.arange(k) + 1) * np.pi / (2 * k))
    transform = _polynomials(x, k) * (2.0 / k)
    transform[0] /= 2
    return x, transform
