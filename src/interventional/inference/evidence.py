r"""The density of the scales and lengths of a surface, given rows; coefficients integrated out.

With K the covariance of the surface, that of lines among it, and noise, and B the terms of the
straight line in units of their priors,

.. math:: y \sim N(0, K + B B'),

whose density and gradient need one Cholesky factor of K. That of the log lengths is taken without
a tensor of rows, rows and columns: with A the slope of the kernel times
:math:`(K^{-1} - K^{-1} y y' K^{-1}) / 2`, it is
:math:`2 \sum_i z_{ij}^2 (A 1)_i - 2 z_j' A z_j` for columns z divided by their length.

Rows that are the same but for y count as their mean, with noise of variance sigma² / weight, and
the squares about that mean, which tell of sigma alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from interventional.data.kernels import matern_and_slope
from interventional.data.surface import Inputs, Surface
from interventional.inference.exact import LogDensity
from interventional.numbers import Floats
from interventional.scm.surface_priors import LENGTH_SPREAD, SCALE_SPREAD, SurfacePriors

_LEAST, _MOST = -7.0, 4.0  # of log scales
_SHORTEST, _LONGEST = -3.0, 7.0  # of log lengths
_JITTER = 1e-6


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
    """

    inputs: Inputs
    line: Floats
    target: Floats
    weights: Floats
    within: Floats

    def take(self, rows: NDArray[np.intp]) -> "Rows":
        """Return some rows."""
        rest = self.line[rows], self.target[rows], self.weights[rows], self.within[rows]
        return Rows(self.inputs.take(rows), *rest)


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
        """Positions in theta of what there is."""
        surface = self.surface
        known = np.zeros(len(self.mean), dtype=bool)
        known[: len(self.on)] = self.on
        for c, part in surface.bending:
            if self.on[c]:
                known[len(self.on) + part.lengths] = True
        known[-1] = self.fixed is None
        return np.flatnonzero(known)

    @cached_property
    def mean(self) -> Floats:
        """Prior means of theta; of log sigma where to begin."""
        medians = self.priors.scale, self.priors.length, [self.fixed or 0.5]
        return np.log(np.concatenate(medians))

    @cached_property
    def spread(self) -> Floats:
        """Prior standard deviations of theta; of log sigma a unit."""
        sizes = len(self.on), len(self.surface.lengths), 1
        return np.repeat([SCALE_SPREAD, LENGTH_SPREAD, 1.0], sizes)

    def split(self, theta: Floats) -> tuple[Floats, Floats, float]:
        """Return scales, zero where there are none, lengths and sigma."""
        scale, length = np.split(theta[:-1], [len(self.on)])
        scale = np.where(self.on, np.exp(scale), 0.0)
        return scale, np.exp(length), float(np.exp(theta[-1]))

    @cached_property
    def _arrays(self) -> "_Arrays":
        n = len(self.rows.target)
        return _Arrays(n, sum(self.on), self.dtype)

    @cached_property
    def _held(self) -> tuple[Any, Any, Any, dict[int, Any]]:
        """Rows in the precision of the sums, and products of treatments."""
        inputs = self.rows.inputs.astype(self.dtype)
        products = {k: u @ u.T for k, u in enumerate(inputs.treatments)}
        line = self.rows.line.astype(self.dtype)
        return inputs, line, self.rows.target.astype(self.dtype), products

    def value(self, theta: Floats) -> float:
        """Return the value alone, in a third of the time."""
        return self(theta, value_only=True)[0]

    def __call__(self, theta: Floats, *, value_only: bool = False) -> tuple[float, Floats]:
        """Return value and gradient; an infinite value where there is none."""
        nothing = np.inf, np.zeros(len(theta))
        c_n, n = len(self.on), len(self.rows.target)
        if not (
            (theta[:c_n] > _LEAST).all()
            and (theta[:c_n] < _MOST).all()
            and (theta[c_n:-1] > _SHORTEST).all()
            and (theta[c_n:-1] < _LONGEST).all()
            and _LEAST < theta[-1] < _MOST
        ):
            return nothing
        scale, length, sigma = self.split(theta)
        inputs, line, y, products = self._held
        K, spare = self._arrays.total, self._arrays.spare
        K.fill(0.0)
        parts: dict[int, tuple[Any, Any, Any]] = {}
        for c, part in enumerate(self.surface.components):
            if not self.on[c]:
                continue
            size, z = self.dtype(scale[c] ** 2), inputs.features[:, part.features]
            k, slope = self._arrays.parts[len(parts)]
            if part.bends:
                z = z / length[part.lengths].astype(self.dtype)
                matern_and_slope(z, k, slope, spare)
            else:
                np.matmul(z, z.T, out=k)
            if part.treatment is not None:
                k *= products[part.treatment]
                slope *= products[part.treatment]
            k *= size
            K += k
            parts[c] = (k, slope, z)
        noise = sigma**2 / self.rows.weights
        K.flat[:: n + 1] += (noise + _JITTER).astype(self.dtype)
        more = self.rows.weights.sum() - n
        within = self.rows.within.sum() / sigma**2
        beside = more * theta[-1] + 0.5 * within
        gradient = np.zeros(len(theta))
        if value_only:
            value = self._value(K, line, y)
            return nothing if value is None else self._with_prior(theta, value + beside, gradient)
        found = self._solved(K, line, y)
        if found is None:
            return nothing
        value, W = found
        for c, (k, slope, z) in parts.items():
            part = self.surface.components[c]
            gradient[c] = 2 * np.vdot(W, k)
            if not part.bends:
                continue
            slope *= W
            slope *= self.dtype(scale[c] ** 2)
            of = np.square(z).T @ slope.sum(axis=1) - np.einsum("ij,ij->j", slope @ z, z)
            np.add.at(gradient, c_n + part.lengths, 2 * of)
        gradient[-1] = 2 * W.diagonal().astype(float) @ noise + more - within
        return self._with_prior(theta, value + beside, gradient)

    def _value(self, K: Any, line: Any, y: Any) -> float | None:
        """Return minus the log density of y."""
        root, failed = self._root(K)
        if failed:
            return None
        solve = lapack.strtrs if self.dtype is np.float32 else lapack.dtrtrs
        value = float(np.log(root.diagonal().astype(float)).sum())
        both, _ = solve(root, np.column_stack([y, line]), lower=1)
        z, B = both[:, 0].astype(float), both[:, 1:].astype(float)
        inner = B.T @ B
        inner.flat[:: len(inner) + 1] += 1.0
        own = np.linalg.cholesky(inner)
        value += float(np.log(own.diagonal()).sum())
        return value + 0.5 * float(z @ z - np.square(np.linalg.solve(own, B.T @ z)).sum())

    def _root(self, K: Any) -> tuple[Any, int]:
        """Return a lower triangular root in place of a matrix, and whether there is none."""
        factor = lapack.spotrf if self.dtype is np.float32 else lapack.dpotrf
        # K is symmetric: to LAPACK, which counts by columns, its upper triangle is the lower.
        root, failed = factor(K.T, lower=1, clean=0, overwrite_a=1)
        return root, int(failed)

    def _solved(self, K: Any, line: Any, y: Any) -> tuple[float, Any] | None:
        """Return minus the log density of y, and half the inverse less an outer product."""
        root, failed = self._root(K)
        if failed:
            return None
        inverse = lapack.spotri if self.dtype is np.float32 else lapack.dpotri
        value = float(np.log(root.diagonal().astype(float)).sum())
        inverted, failed = inverse(root, lower=1, overwrite_c=1)
        if failed:
            return None
        upper, W = inverted.T, self._arrays.spare
        upper *= self._arrays.half  # of it the upper triangle is the inverse
        np.add(upper, upper.T, out=W)
        if line.shape[1]:  # Woodbury
            G = W @ line
            inner = (line.T @ G).astype(float)
            inner.flat[:: len(inner) + 1] += 1.0
            try:
                own = np.linalg.cholesky(inner)
            except np.linalg.LinAlgError:
                return None
            value += float(np.log(own.diagonal()).sum())
            G = np.linalg.solve(own, G.T.astype(float)).astype(self.dtype)
            W -= np.matmul(G.T, G, out=upper)
        a = W @ y
        value += 0.5 * float(y.astype(float) @ a)
        W -= np.outer(a, a, out=upper)
        W *= self.dtype(0.5)
        return value, W

    def _with_prior(self, theta: Floats, value: float, gradient: Floats) -> tuple[float, Floats]:
        own = self.free[self.free < len(theta) - 1]
        off = (theta[own] - self.mean[own]) / self.spread[own]
        value += 0.5 * float(off @ off)
        gradient[own] += off / self.spread[own]
        if self.fixed is None:
            step = 1e-4
            around = theta[-1] + np.array([0.0, -step, step])
            prior = self.log_sigma(np.exp(around)) + around
            value -= float(prior[0])
            gradient[-1] -= float(prior[2] - prior[1]) / (2 * step)
        return value, gradient


class _Arrays:
    """Arrays of rows by rows, which are filled anew each time.

    Parameters
    ----------
    n : int
        Number of rows.
    size : int
        Number of components.
    dtype : dtype
        Their precision.
    """

    def __init__(self, n: int, size: int, dtype: Any):
        self.total = np.empty((n, n), dtype)
        self.spare = np.empty((n, n), dtype)
        self.parts = [(np.empty((n, n), dtype), np.zeros((n, n), dtype)) for _ in range(size)]
        self.half = np.triu(np.ones((n, n), dtype))
        self.half.flat[:: n + 1] = 0.5
