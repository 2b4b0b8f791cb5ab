r"""A surface that bends over columns: what it is made of, as numbers.

.. math:: f(x) + \lambda' e(x) + \sum_k u_k (\delta_k' x + g_k(x)) + h_k(t_k)

with Gaussian processes f, g and h; where t is a number, g is a function of t too. x are the
columns but the treatments t, the numbers among them standardised, levels as indicators, and for f
the expected treatments e given x besides (`propensity`): so what confounds is not taken for
effects (Hahn, Murray and Carvalho 2020). For what f shrinks away of that there is λ, which is not
shrunk: as if treatments were centred about what was to be expected of them (Robinson 1988). u is a
treatment about its middle: -1/2 and 1/2 where it has two values, indicators of its levels about
their average, and standard deviations about its mean where it is a number. Without treatments
there is f alone, over all columns.

As a linear model in a basis: of landmarks Z, with K the kernel of all that bends and L a root of
that among landmarks, the surface is

.. math:: K(x, Z) L^{-T} w + (\phi(x) - K(x, Z) K(Z, Z)^{-1} \phi(Z))\, a

with w and a standard normal. The first part is what landmarks tell of; the second, with random
waves φ that have the kernel, is what they leave open: nothing at the landmarks, and all of it far
from them (Wilson et al. 2021, pathwise conditioning). Both together are K(x, Z) v + φ(x) a. Where
all distinct rows are landmarks, one w stands for all that bends; where rows are more, each
Gaussian process has one of its own, as sums of them would tell too little of each.

References
----------
Robinson (1988). Root-N-consistent semiparametric regression. Econometrica 56:931.

Hahn, Murray and Carvalho (2020). Bayesian regression tree models for causal inference.
Bayesian Analysis 15:965.

Wilson, Borovitskiy, Terenin, Mostowsky and Deisenroth (2021). Pathwise conditioning of Gaussian
processes. Journal of Machine Learning Research 22:1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.data.kernels import frequencies, matern, waves
from interventional.data.lapack import factor, solve
from interventional.data.propensity import Propensity
from interventional.data.schema import Schema
from interventional.data.seen import one_thread
from interventional.data.treatments import Treatment, moments
from interventional.numbers import Floats, side_by_side

LANDMARKS = 500  # rows at most that a surface is told by where they are all
_SOME = 400  # rows that each process is told by where there are more
_WAVES = 64  # of each process
EXPECTED = "expected"  # what the line of expected treatments is called
_JITTER = 1e-8  # of the variance of the surface, so that landmarks may be next to each other


@dataclass(frozen=True, eq=False, repr=False)
class Inputs:
    """Rows as a surface takes them.

    Attributes
    ----------
    features : ndarray of shape (n, features)
        Columns and propensities, standardised.
    treatments : tuple of ndarray of shape (n, r)
        Each treatment about its middle.
    """

    features: Any
    treatments: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Any) -> "Inputs":
        """Return some rows."""
        return Inputs(self.features[rows], tuple(u[rows] for u in self.treatments))

    def astype(self, dtype: Any) -> "Inputs":
        """Return the same in another precision."""
        return Inputs(self.features.astype(dtype), tuple(u.astype(dtype) for u in self.treatments))


@dataclass(frozen=True, eq=False)
class Component:
    """One term of the sum that a surface is.

    Attributes
    ----------
    name : str
        What it is called.
    bends : bool
        Whether it is a Gaussian process; else it is linear in the features.
    treatment : int or None
        The treatment that it is multiplied by.
    features : ndarray of int, shape (d,)
        What it is a function of.
    lengths : ndarray of int, shape (d,)
        Which length each of these features has; nothing where it is linear.
    frequencies : ndarray of shape (d, waves)
        Those of its waves for lengths of 1.
    """

    name: str
    bends: bool
    treatment: int | None
    features: NDArray[np.intp]
    lengths: NDArray[np.intp]
    frequencies: Floats


@dataclass(frozen=True, eq=False, repr=False)
class Surface:
    """What bends in an equation.

    Attributes
    ----------
    columns : tuple of (int, float or None, float, float)
        Of each feature that is a column its position, the code of a level, and center and scale.
    propensities : tuple of Propensity
        Of each treatment; they are features too.
    treatments : tuple of Treatment
        The columns that are meant to be forced.
    components : tuple of Component
        The sum.
    lengths : tuple of str
        What each length is called.
    landmarks : Inputs
        The rows that it is told by.
    are_all : bool
        Whether these are all distinct rows.
    """

    columns: tuple[tuple[int, float | None, float, float], ...]
    propensities: tuple[Propensity, ...]
    treatments: tuple[Treatment, ...]
    components: tuple[Component, ...]
    lengths: tuple[str, ...]
    landmarks: Inputs
    are_all: bool

    @classmethod
    def of(
        cls,
        schema: Schema,
        treated: Sequence[int],
        values: Floats,
        weights: Floats,
        apart: Sequence[int] = (),
    ) -> "Surface":
        """Return the surface over some columns.

        Parameters
        ----------
        schema : Schema
            What the columns are.
        treated : sequence of int
            Positions of the treatments.
        values : ndarray of shape (n, columns)
            Distinct encoded rows, in order.
        weights : ndarray of shape (n,)
            How often each occurs.
        apart : sequence of int
            Positions of columns that it is not over.
        """
        treated = [j for j in treated if len(np.unique(values[:, j])) > 1]
        treatments = tuple(Treatment.of(schema, j, values, weights) for j in treated)
        columns = tuple(f for f in _features(schema, values, weights) if f[0] not in apart)
        are_all = len(values) <= LANDMARKS
        bare = cls(columns, (), treatments, (), (), Inputs(np.empty((0, 0)), ()), are_all)
        made = bare.inputs(values).features
        own = [k for k, (j, *_) in enumerate(columns) if j not in treated]
        found = (Propensity.of(made[:, own], own, t, values, weights) for t in treatments)
        propensities = tuple(each for each in found if each is not None)
        whole = replace(bare, propensities=propensities)
        rng = np.random.default_rng(0)
        components, lengths = _components(whole, schema, rng)
        some = rng.permutation(len(values))[: None if are_all else _SOME]
        landmarks = whole.inputs(values[np.sort(some)])
        return replace(whole, components=components, lengths=lengths, landmarks=landmarks)

    def inputs(self, values: Floats) -> Inputs:
        """Return encoded rows as the surface takes them."""
        made = np.empty((len(values), len(self.columns)))
        for k, (j, code, center, scale) in enumerate(self.columns):
            column = values[:, j]
            made[:, k] = (column if code is None else column == code) - center
            made[:, k] /= scale
        beside = [propensity.at(made) for propensity in self.propensities]
        us = tuple(treatment.about_middle(values) for treatment in self.treatments)
        return Inputs(np.hstack([made, *beside]) if beside else made, us)

    @property
    def bending(self) -> list[tuple[int, Component]]:
        """The components that bend, with their positions."""
        return [(c, part) for c, part in enumerate(self.components) if part.bends]

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """The components that have landmarks in common."""
        bending = [c for c, _ in self.bending]
        if self.are_all:
            return (tuple(bending),) if bending else ()
        return tuple((c,) for c in bending)

    @cached_property
    def width(self) -> tuple[int, int, int]:
        """How many weights there are: of lines, of landmarks, of waves."""
        lines = n_waves = 0
        for part in self.components:
            times = 1 if part.treatment is None else self._rank(part.treatment)
            if part.bends:
                n_waves += 2 * part.frequencies.shape[1] * times
            else:
                lines += len(part.features) * times
        return lines, len(self.landmarks) * len(self.blocks), n_waves

    def _rank(self, treatment: int) -> int:
        return int(self.landmarks.treatments[treatment].shape[1])

    def kernel(
        self, block: Sequence[int], left: Inputs, right: Inputs, scale: Floats, length: Floats
    ) -> Floats:
        """Return the covariance of some components between rows, (a, b)."""
        total = np.zeros((len(left), len(right)))
        for c in block:
            if not scale[c]:
                continue
            part = self.components[c]
            by = length[part.lengths]
            found = matern(
                left.features[:, part.features] / by, right.features[:, part.features] / by
            )
            found *= scale[c] ** 2
            if part.treatment is not None:
                found *= left.treatments[part.treatment] @ right.treatments[part.treatment].T
            total += found
        return total

    def variance(self, block: Sequence[int], rows: Inputs, scale: Floats) -> Floats:
        """Return the variance of some components, (n,)."""
        total = np.zeros(len(rows))
        for c in block:
            part = self.components[c]
            size = scale[c] ** 2
            if part.treatment is not None:
                size = size * np.square(rows.treatments[part.treatment]).sum(axis=1)
            total += size
        return total

    def roots(self, scale: Floats, length: Floats) -> list[Floats | None]:
        """Return a triangular root of each block's covariance among landmarks.

        None of one whose scales are zero.
        """
        found: list[Floats | None] = []
        for block in self.blocks:
            if not any(scale[c] for c in block):
                found.append(None)
                continue
            k = self.kernel(block, self.landmarks, self.landmarks, scale, length)
            k.flat[:: len(k) + 1] += _JITTER * float(k.diagonal().max())
            if not factor(k):
                raise np.linalg.LinAlgError("a covariance among landmarks has no root")
            found.append(np.tril(k))
        return found

    def lines(self, rows: Inputs, scale: Floats) -> Floats:
        """Return the terms of effects that are linear in features, (n, lines)."""
        parts = [
            scale[c] * times(rows, part.treatment, rows.features[:, part.features])
            for c, part in enumerate(self.components)
            if not part.bends
        ]
        return np.hstack(parts) if parts else np.empty((len(rows), 0))

    def waves(self, block: Sequence[int], rows: Inputs, scale: Floats, length: Floats) -> Floats:
        """Return random waves that have the covariance of some components, (n, waves)."""
        parts = []
        for c in block:
            part = self.components[c]
            by = rows.features[:, part.features] / length[part.lengths]
            parts.append(scale[c] * times(rows, part.treatment, waves(by, part.frequencies)))
        return np.hstack(parts) if parts else np.empty((len(rows), 0))

    def matrix(self, rows: Inputs, scale: Floats, length: Floats) -> Floats:
        """Return what `weights` are multiplied by at rows, (n, weights)."""
        of = scale, length
        near = [self.kernel(block, rows, self.landmarks, *of) for block in self.blocks]
        far = [self.waves(block, rows, *of) for block in self.blocks]
        return np.hstack([self.lines(rows, scale), *near, *far])

    def weights(
        self,
        noise: Floats,
        scale: Floats,
        length: Floats,
        roots: Sequence[Floats | None] | None = None,
    ) -> Floats:
        """Return what standard normal numbers say of the surface: c, v and a, (draws, weights).

        Parameters
        ----------
        noise : ndarray of shape (draws, weights)
            Coefficients of lines, w and a.
        scale, length : ndarray
            Scales of the components, and lengths.
        roots : sequence of ndarray or None, optional
            What `roots` returns.
        """
        lines, near, _ = self.width
        roots = self.roots(scale, length) if roots is None else roots
        found, size = noise.copy(), len(self.landmarks)
        wave = lines + near
        for k, (block, root) in enumerate(zip(self.blocks, roots, strict=True)):
            own = slice(lines + k * size, lines + (k + 1) * size)
            far = self.waves(block, self.landmarks, scale, length)
            a, wave = noise[:, wave : wave + far.shape[1]], wave + far.shape[1]
            if root is None:
                found[:, own] = 0.0
                continue
            left_open = a @ far.T
            solve(root, left_open)
            told = noise[:, own] - left_open
            solve(root, told, transposed=True)
            found[:, own] = told
        return found

    def at(self, values: Floats, scale: Floats, length: Floats, weights: Floats) -> Floats:
        """Return the surface at encoded rows, (draws, n); draws of equal scales go together.

        Parameters
        ----------
        values : ndarray of shape (n, columns), or (draws, n, columns)
            Encoded rows; others for each draw, where they differ.
        scale, length, weights : ndarray of shape (draws, ...)
            Draws of the scales, the lengths and the weights.
        """
        out, shared = np.empty((len(weights), values.shape[-2])), values.ndim == 2
        rows = self.inputs(values) if shared else None

        def given(draws: NDArray[np.intp]) -> None:
            of = scale[draws[0]], length[draws[0]]
            if rows is not None:
                out[draws] = weights[draws] @ self.matrix(rows, *of).T
                return
            for draw in draws:
                out[draw] = self.matrix(self.inputs(values[draw]), *of) @ weights[draw]

        with one_thread():
            side_by_side(given, alike(scale, length), out.shape[1] * len(self.landmarks))
        return out


def alike(scale: Floats, length: Floats) -> list[NDArray[np.intp]]:
    """Return the draws that have scales and lengths in common, set by set."""
    known: dict[bytes, list[int]] = {}
    for draw, row in enumerate(np.hstack([scale, length])):
        known.setdefault(row.tobytes(), []).append(draw)
    return [np.array(draws) for draws in known.values()]


def times(rows: Inputs, treatment: int | None, made: Any) -> Any:
    """Return terms multiplied by a treatment, if there is one; (n, terms times its columns)."""
    if treatment is None:
        return made
    u = rows.treatments[treatment]
    return (u[:, :, None] * made[:, None, :]).reshape(len(u), -1)


def _features(
    schema: Schema, values: Floats, weights: Floats
) -> Iterable[tuple[int, float | None, float, float]]:
    """Iterate over what columns are as features."""
    for j, levels in enumerate(schema.levels):
        codes = [None] if levels is None else [float(code) for code in np.unique(values[:, j])]
        for code in codes:
            if code is None:
                yield j, None, *moments(values[:, j], weights)
            else:
                yield j, code, float(np.average(values[:, j] == code, weights=weights)), 1.0


def _components(
    surface: Surface, schema: Schema, rng: np.random.Generator
) -> tuple[tuple[Component, ...], tuple[str, ...]]:
    """Return the sum that a surface is, and what its lengths are called."""
    treated = [treatment.j for treatment in surface.treatments]
    names = [schema.names[j] for j in treated]
    owner = [schema.names[j] for j, *_ in surface.columns]
    is_x = [j not in treated for j, *_ in surface.columns]
    by = [f"{schema.names[p.treatment]}|" for p in surface.propensities for _ in range(p.size)]
    xs = [k for k, own in enumerate(is_x) if own]
    expected = list(range(len(owner), len(owner) + len(by)))
    with_expected, owner = xs + expected, owner + by
    parts: list[Component] = []
    labels: list[str] = []

    def add(name: str, bends: bool, k: int | None, features: list[int]) -> None:
        if not features:
            return
        owners = [owner[feature] for feature in features]
        known = list(dict.fromkeys(owners))
        lengths = [len(labels) + known.index(each) for each in owners] if bends else []
        prefix = "" if k is None else f"{names[k]}:"
        if bends:
            labels.extend(f"{prefix}{each}" for each in known)
        waves_of = frequencies(len(features), _WAVES if bends else 0, rng)
        of = np.array(features, dtype=np.intp), np.array(lengths, dtype=np.intp), waves_of
        parts.append(Component(name, bends, k, *of))

    add("surface", True, None, with_expected)
    for k, treatment in enumerate(surface.treatments):
        others = [i for i, (j, *_) in enumerate(surface.columns) if j != treatment.j]
        own = [i for i, (j, *_) in enumerate(surface.columns) if j == treatment.j]
        add(names[k], True, None, own if treatment.is_dose else [])
        add(f"{names[k]}:line", False, k, others)
        add(f"{names[k]}:surface", True, k, others + own if treatment.is_dose else others)
    add(EXPECTED, False, None, expected)
    return tuple(parts), tuple(labels)
