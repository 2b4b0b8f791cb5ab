r"""The density of the scales and lengths of a surface, given rows; coefficients integrated out.

With K the covariance of what bends, and noise, and B the terms of lines in units of their priors,

.. math:: y \sim N(0, K + B B'),

whose density and gradient need one Cholesky factor of K. That of the log lengths is taken without
a tensor of rows, rows and columns: with A the slope of the kernel times
:math:`((K + B B')^{-1} - (K + B B')^{-1} y y' (K + B B')^{-1}) / 2`, it is
:math:`\sum_{ik} A_{ik} (z_{ij} - z_{kj})^2` for columns z divided by their length, a square that
is multiplied out. All matrices of rows by rows are symmetric: only what is on and below the
diagonal is made, in strips of rows that stay in a processor's cache.

Rows that are the same but for y count as their mean, with noise of variance sigma² / weight, and
the squares about that mean, which tell of sigma alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from interventional.data.kernels import IN_CACHE, ROOT, for_distances, matern_and_slope
from interventional.data.lapack import factor, invert
from interventional.data.surface import Component, Inputs, Surface, times
from interventional.inference.exact import LogDensity
from interventional.inference.spreads import Spread
from interventional.numbers import Floats
from interventional.scm.surface_priors import SurfacePriors

_LEAST, _MOST = -7.0, 4.0  # of log scales
_SHORTEST, _LONGEST = -3.0, 7.0  # of log lengths
_INSIDE = 1e-6
_JITTER = 1e-6
_GRID = 4096  # values of log sigma that its prior is known at
_FEWEST = 16  # rows of a strip


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in standard units.

    Attributes
    ----------
    inputs : Inputs
        As the surface takes them.
    line : ndarray of shape (n, terms)
        The terms of the straight line, intercept included, in units of their priors.
    target : ndarray of shape (n,)
        The outcome less its prior mean.
    weights, within : ndarray of shape (n,)
        How often each row occurs, and the squares of its outcomes about their mean.
    offset : ndarray of shape (n,) or float
        What is added to the linear predictor, of outcomes that are no Gaussian.
    groups : tuple of Spread
        What groups of rows differ by, one a kind of groups.
    places : ndarray of int, shape (n,), or None
        Which landmark each row is, where all of them are some; None where they are these in order.
    """

    inputs: Inputs
    line: Floats
    target: Floats
    weights: Floats
    within: Floats
    offset: Floats | float = 0.0
    groups: tuple[Spread, ...] = ()
    places: NDArray[np.intp] | None = None

    def take(self, rows: NDArray[np.intp]) -> "Rows":
        """Return some rows."""
        rest = self.line[rows], self.target[rows], self.weights[rows], self.within[rows]
        offset = self.offset[rows] if isinstance(self.offset, np.ndarray) else self.offset
        groups = tuple(spread.take(rows) for spread in self.groups)
        places = None if self.places is None else self.places[rows]
        return Rows(self.inputs.take(rows), *rest, offset, groups, places)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Minus the log density of log scales, log lengths and log sigma, up to a constant.

    Attributes
    ----------
    surface : Surface
        What bends.
    rows : Rows
        The data.
    priors : SurfacePriors
        Medians of scales and lengths, for an outcome of standard deviation 1.
    on : tuple of bool
        Which components there are; the others are zero.
    log_sigma : callable
        The log density of sigma's prior, in standard units.
    fixed : float or None
        What sigma is fixed at.
    dtype : dtype
        How precise to be: half as many bits take half of the time.
    """

    surface: Surface
    rows: Rows
    priors: SurfacePriors
    on: tuple[bool, ...]
    log_sigma: LogDensity
    fixed: float | None
    dtype: Any = np.float32

    @cached_property
    def free(self) -> NDArray[np.intp]:
        """Positions in theta of what there is and is not known."""
        surface = self.surface
        known = np.zeros(len(self.mean), dtype=bool)
        known[: len(self.on)] = np.array(self.on, dtype=bool) & (self.priors.spread > 0)
        for c, part in surface.bending:
            if self.on[c]:
                known[len(self.on) + part.lengths] = True
        for own, _ in self.spreads:
            known[own] = True
        known[-1] = self.fixed is None
        return np.flatnonzero(known)

    @cached_property
    def mean(self) -> Floats:
        """Prior means of theta; of log sigma where to begin."""
        medians = np.log(np.concatenate([self.priors.scale, self.priors.length]))
        parts = [medians, *(spread.start for spread in self.rows.groups)]
        return np.append(np.concatenate(parts), np.log(self.fixed or 0.5))

    @cached_property
    def root(self) -> Floats:
        """A lower triangular root of the prior covariance of theta; units where it has none."""
        n, end, root = len(self.on), self._n_processes, np.eye(len(self.mean))
        root[:n, :n] = np.diag(self.priors.spread)
        root[n:end, n:end] = self.priors.root
        return root

    @property
    def _n_processes(self) -> int:
        """How many scales and lengths there are, which stand first in theta."""
        return len(self.on) + len(self.surface.lengths)

    @cached_property
    def spreads(self) -> list[tuple[slice, Spread]]:
        """What groups differ by, each with where in theta its numbers are."""
        ends = self._n_processes + np.cumsum([0, *(each.size for each in self.rows.groups)])
        pairs = zip(ends[:-1], ends[1:], self.rows.groups, strict=True)
        return [(slice(int(a), int(b)), each) for a, b, each in pairs]

    @cached_property
    def free_root(self) -> Floats:
        """The same of what there is: a column has a length in effects if it has one in all."""
        return np.asarray(self.root[np.ix_(self.free, self.free)])

    @cached_property
    def _to_standard(self) -> tuple[NDArray[np.intp], Floats]:
        """Positions of the scales and lengths that there are, and the inverse of their root."""
        n = int((self.free < self._n_processes).sum())
        return self.free[:n], np.linalg.inv(self.free_root[:n, :n])

    def split(self, theta: Floats) -> tuple[Floats, Floats, float]:
        """Return scales, zero where there are none, lengths and sigma."""
        scale, length = np.split(theta[: self._n_processes], [len(self.on)])
        scale = np.where(self.on, np.exp(scale), 0.0)
        return scale, np.exp(length), float(np.exp(theta[-1]))

    @cached_property
    def _bounds(self) -> tuple[Floats, Floats]:
        """Between which values of theta there is a density."""
        sizes = len(self.on), len(self.surface.lengths)
        pairs = [spread.bounds for spread in self.rows.groups]
        least = [np.repeat([_LEAST, _SHORTEST], sizes), *(low for low, _ in pairs)]
        most = [np.repeat([_MOST, _LONGEST], sizes), *(high for _, high in pairs)]
        return np.append(np.concatenate(least), _LEAST), np.append(np.concatenate(most), _MOST)

    def within(self, theta: Floats) -> Floats:
        """Return theta, (..., d), moved to where there is a density."""
        least, most = self._bounds
        return np.clip(theta, least + _INSIDE, most - _INSIDE)

    def least_noise(self, theta: Floats) -> float:
        """Return how small the noise of a row is, were it seen once."""
        return self.split(theta)[2] ** 2

    @cached_property
    def _arrays(self) -> "_Arrays":
        return _Arrays(len(self.rows.target), len(self._held.bending), self.dtype)

    @cached_property
    def _held(self) -> "_Held":
        """Rows in the precision of the sums."""
        return _Held.of(self.surface, self.rows, self.on, self.dtype)

    @cached_property
    def _of_sigma(self) -> Any:
        """The log density of log sigma as a spline, as PyMC's own takes a millisecond."""
        from scipy.interpolate import CubicSpline

        at = np.linspace(_LEAST, _MOST, _GRID)
        density = np.asarray(self.log_sigma(np.exp(at)) + at)
        known = np.isfinite(density)
        return CubicSpline(at[known], density[known], extrapolate=False)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return value and gradient; an infinite value where there is none."""
        gradient, n = np.zeros(len(theta)), len(self.rows.target)
        nothing = np.inf, gradient
        if not self._is_within(theta):
            return nothing
        scale, _, sigma = self.split(theta)
        noise = sigma**2 / self.rows.weights
        divided = self._covariance(theta, noise)
        more, within = self.rows.weights.sum() - n, self.rows.within.sum() / sigma**2
        beside = more * theta[-1] + 0.5 * within
        B = self._held.terms(scale)
        root = self._arrays.total
        if not factor(root):
            return nothing
        # in double precision, as thousands of them are added
        half = float(np.log(root.diagonal().astype(float)).sum())
        found = self._solved(B, self._held.target) if invert(root) else None
        if found is None:
            return nothing
        value, a, G = found
        value += 0.5 * float(self._held.target.astype(float) @ a)
        outer = np.vstack([G, a])
        own = self._slopes(outer, outer, theta, divided, gradient)
        gradient[-1] = 2 * own @ noise + more - within
        return self._with_prior(theta, half + value + beside, gradient)

    def _is_within(self, theta: Floats) -> bool:
        """Whether no scale or length is so far out that there is no density."""
        least, most = self._bounds
        return bool(((theta > least) & (theta < most)).all())

    def _covariance(self, theta: Floats, noise: Floats) -> list[Any]:
        """Make the covariance of what bends, of groups and noise, on and below the diagonal.

        Returns what bending components are functions of, divided by lengths.
        """
        held, arrays = self._held, self._arrays
        scale, length, _ = self.split(theta)
        groups = [(spread, spread.root(theta[own])) for own, spread in self.spreads]
        K = arrays.total
        divided = [
            held.features[:, part.features] * (ROOT / length[part.lengths]).astype(self.dtype)
            for _, part in held.bending
        ]
        pairs = [for_distances(z) for z in divided]
        for s, (a, b) in enumerate(arrays.strips):
            strip, spare = K[a:b, :b], arrays.spare(a, b)
            if not pairs:
                strip.fill(0.0)
            for i, (c, part) in enumerate(held.bending):
                (left, right), (k, slope) = pairs[i], arrays.parts[i][s]
                matern_and_slope(left[a:b], right[:b], k, slope, spare)
                k *= self.dtype(scale[c] ** 2)
                if part.treatment is not None:
                    u = held.treatments[part.treatment]
                    k *= np.matmul(u[a:b], u[:b].T, out=spare)
                if i:
                    strip += k
                else:
                    strip[:] = k
            for spread, of_groups in groups:
                spread.add(of_groups, strip, a, b)
        K.flat[:: len(K) + 1] += (noise + _JITTER).astype(self.dtype)
        return divided

    def _solved(self, B: Any, y: Any) -> tuple[float, Any, Any] | None:
        """Return what lines add to half a log determinant, given the inverse of the covariance.

        And the inverse with lines times y, (n,); and G, (terms, n), where G'G is what lines take
        off that inverse.
        """
        multiply = blas.ssymm if self.dtype is np.float32 else blas.dsymm
        both = multiply(1.0, self._arrays.total.T, np.column_stack([y, B]), lower=0)
        a, G = both[:, 0], both[:, 1:]
        if not B.shape[1]:
            return 0.0, a, G.T
        inner = (B.T @ G).astype(float)  # Woodbury
        inner.flat[:: len(inner) + 1] += 1.0
        try:
            own = np.linalg.cholesky(inner)
        except np.linalg.LinAlgError:
            return None
        G = np.linalg.solve(own, G.T.astype(float)).astype(self.dtype)
        return float(np.log(own.diagonal()).sum()), a - G.T @ (G @ y), G

    def _slopes(
        self, left: Any, right: Any, theta: Floats, divided: list[Any], gradient: Floats
    ) -> Floats:
        """Fill in the slopes in all but sigma; return those in variances of the noise.

        Half the slope in the covariance is the inverse that is in its place less left' right.
        """
        held, arrays, c_n = self._held, self._arrays, len(self.on)
        scale, moments = self.split(theta)[0], [np.zeros(())] * len(self.spreads)
        own = np.zeros(len(self.rows.target))
        squares = [np.square(z) for z in divided]
        for s, (a, b) in enumerate(arrays.strips):
            W = np.matmul(left[:, a:b].T, right[:, :b], out=arrays.spare(a, b))
            np.subtract(arrays.total[a:b, :b], W, out=W)
            W[:, a:] *= arrays.below[: b - a, : b - a]
            own[a:b] = W[:, a:].diagonal()
            moments = [
                moment + spread.moment(W, a, b)
                for moment, (_, spread) in zip(moments, self.spreads, strict=True)
            ]
            for c, terms in held.lines:
                # each pair of rows once, and half of those with themselves
                gradient[c] += 2 * scale[c] ** 2 * float(np.vdot(terms[a:b], W @ terms[:b]))
            for i, (c, part) in enumerate(held.bending):
                k, slope = arrays.parts[i][s]
                gradient[c] += 2 * float(np.vdot(W, k))
                slope *= W
                z, square, of = divided[i], squares[i], 0.0
                for v in held.multiples(part):
                    one, other = v[a:b], v[:b]
                    of = of + (one * (slope @ other)).T @ square[a:b]
                    of = of + (other * (slope.T @ one)).T @ square[:b]
                    of = of - 2 * ((one * z[a:b]) * (slope @ (other * z[:b]))).sum(axis=0)
                np.add.at(gradient, c_n + part.lengths, scale[c] ** 2 / 3 * np.ravel(of))
        for moment, (at, spread) in zip(moments, self.spreads, strict=True):
            gradient[at] = spread.slope(theta[at], moment)
        return own

    def _with_prior(self, theta: Floats, value: float, gradient: Floats) -> tuple[float, Floats]:
        own, standard = self._to_standard
        off = standard @ (theta[own] - self.mean[own])
        value += 0.5 * float(off @ off)
        gradient[own] += standard.T @ off
        for at, spread in self.spreads:
            density, slopes = spread.log_prior(theta[at])
            if np.isnan(density):
                return np.inf, np.zeros(len(theta))
            value -= density
            gradient[at] -= slopes
        if self.fixed is None:
            prior = self._of_sigma(theta[-1])
            if np.isnan(prior):
                return np.inf, np.zeros(len(theta))
            value -= float(prior)
            gradient[-1] -= float(self._of_sigma(theta[-1], 1))
        return value, gradient


@dataclass(frozen=True, eq=False)
class _Held:
    """Rows in the precision of the sums.

    Attributes
    ----------
    features : ndarray of shape (n, features)
    treatments : tuple of ndarray of shape (n, r)
    line : ndarray of shape (n, terms)
    target : ndarray of shape (n,)
    lines : list of (int, ndarray of shape (n, terms))
        The components that there are and that are lines, by their position.
    bending : list of (int, Component)
        The components that there are and that bend.
    """

    features: Any
    treatments: tuple[Any, ...]
    line: Any
    target: Any
    lines: list[tuple[int, Any]]
    bending: list[tuple[int, Component]]

    @classmethod
    def of(cls, surface: Surface, rows: Rows, on: tuple[bool, ...], dtype: Any) -> "_Held":
        """Return rows as the components that are on see them."""
        inputs = rows.inputs.astype(dtype)
        parts = [(c, part) for c, part in enumerate(surface.components) if on[c]]
        lines = [
            (c, times(inputs, part.treatment, inputs.features[:, part.features]))
            for c, part in parts
            if not part.bends
        ]
        bending = [(c, part) for c, part in parts if part.bends]
        line, target = rows.line.astype(dtype), rows.target.astype(dtype)
        return cls(inputs.features, inputs.treatments, line, target, lines, bending)

    def terms(self, scale: Floats) -> Any:
        """Return the terms of all lines, (n, terms), in units of their priors."""
        scaled = [terms * terms.dtype.type(scale[c]) for c, terms in self.lines]
        return np.hstack([self.line, *scaled])

    def multiples(self, part: Component) -> list[Any]:
        """Return columns, (n, 1), of which products of a component's treatment are the sum."""
        if part.treatment is None:
            return [np.ones((len(self.target), 1), self.line.dtype)]
        return list(self.treatments[part.treatment].T[:, :, None])


class _Arrays:
    """Arrays of rows by rows, which are filled anew each time.

    Parameters
    ----------
    n : int
        Number of rows.
    size : int
        Number of components that bend.
    dtype : dtype
        Their precision.
    """

    def __init__(self, n: int, size: int, dtype: Any):
        rows = min(n, max(_FEWEST, IN_CACHE // n))
        self.strips = [(a, min(a + rows, n)) for a in range(0, n, rows)]
        self.total = np.zeros((n, n), dtype)
        self.parts = [
            [(np.empty((b - a, b), dtype), np.empty((b - a, b), dtype)) for a, b in self.strips]
            for _ in range(size)
        ]
        self.below = np.tril(np.ones((rows, rows), dtype))
        self.below.flat[:: rows + 1] = 0.5
        self._spare = np.empty(rows * n, dtype)

    def spare(self, a: int, b: int) -> Any:
        """Return an array of the shape of a strip."""
        return self._spare[: (b - a) * b].reshape(b - a, b)
