r"""Gaussian linear models with any number of groups of coefficients whose scales are learnt.

Given the scales everything is Gaussian, so the coefficients integrate out (Lindley and Smith 1972;
Pinheiro and Bates 2000, *Mixed-Effects Models in S and S-PLUS*, chapter 2). A group has J vectors
of q coefficients, independent N(0, Sigma) each. With Sigma = sigma² L L', all coefficients are
D phi, phi ~ N(0, sigma² I) where they are not flat, and

.. math::

    M = E + D B'B D, \quad Q = \min_\phi |u - B D \phi|^2 + |E \phi|^2 + rss, \quad
    \log p = -n' \log\sigma - \tfrac{1}{2} \log|M| - Q / 2 \sigma^2,

E the identity without the flat coefficients and n' the observations beside these. One group may be
kept by level: each level's own q rows are divided by a root of I + A A', A = R L, the covariance
that its coefficients give them, so that no level costs more than a few numbers, and no Gram matrix
is ever subtracted from another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular

from interventional.errors import UndeterminedError
from interventional.inference import correlations
from interventional.inference.exact import REACH
from interventional.inference.levels import Blocks, Levels
from interventional.inference.scales import Scale
from interventional.numbers import Floats

_FAR = 2.5 * REACH  # a log ratio of scales beyond it is none
_SQUARES = 1e10  # of a column over sigma, above which Gram matrices lose too many digits
_LEFT = 1e-8  # the share of the outcome's squares below which they do
_BLOCK = 400_000  # numbers at a time


@dataclass(frozen=True, eq=False)
class Learnt:
    """A group of coefficients whose scales are learnt.

    Attributes
    ----------
    effects, n_levels : int
        Length q of each level's vector of coefficients, and how many levels J there are.
    scales : tuple of Scale
        Priors of the standard deviations, one an effect.
    columns : ndarray of shape (q, J) or None
        Positions of the columns in the border; None for the group that is kept by level.
    """

    effects: int
    n_levels: int
    scales: tuple[Scale, ...]
    columns: NDArray[np.intp] | None = None

    @property
    def n_parameters(self) -> int:
        """How many numbers describe its covariance."""
        return self.effects + correlations.n_correlations(self.effects)


@dataclass(frozen=True, eq=False)
class Components:
    """What a model with learnt scales sees of its data, all columns in units of their priors.

    Attributes
    ----------
    weight : float
        Number of observations.
    rows : ndarray of shape (k, pb)
        Rows of the border that remain beside the levels' own.
    target : ndarray of shape (k,)
        The same of the outcome, of which the prior means are subtracted already.
    rss : float
        Squares of the outcome outside of all rows.
    flat : ndarray of bool, shape (pb,)
        Which columns of the border have flat priors. Those that are neither flat nor of a group
        are Normal(0, 1).
    groups : tuple of Learnt
        Those in the border.
    sigma : Scale
        Prior of sigma.
    levels : Levels or None
        The rows of the group that is kept by level.
    of_levels : Learnt or None
        That group.
    correlation : float
        Eta of the LKJ prior of the correlations of the effects of a group.
    """

    weight: float
    rows: Floats
    target: Floats
    rss: float
    flat: NDArray[np.bool_]
    groups: tuple[Learnt, ...]
    sigma: Scale
    levels: Levels | None = None
    of_levels: Learnt | None = None
    correlation: float = 2.0

    @property
    def all_groups(self) -> tuple[Learnt, ...]:
        """The group that is kept by level, if there is one, then the others."""
        return self.groups if self.of_levels is None else (self.of_levels, *self.groups)

    @property
    def n_parameters(self) -> int:
        """How many numbers a theta has."""
        return sum(group.n_parameters for group in self.all_groups) + 1

    @property
    def normal(self) -> NDArray[np.bool_]:
        """Which columns of the border have a Normal prior with known numbers."""
        normal = ~self.flat
        for group in self.groups:
            normal[group.columns] = False
        return normal

    def parts(self, theta: Floats) -> Iterator[tuple[Learnt, Floats, Floats]]:
        """Iterate over groups, their log standard deviations, and what their correlations are.

        These are (S, q) and (S, q (q - 1) / 2), views of `theta`, (S, d).
        """
        at = 0
        for group in self.all_groups:
            middle, end = at + group.effects, at + group.n_parameters
            yield group, theta[:, at:middle], theta[:, middle:end]
            at = end

    @property
    def coordinates(self) -> list[tuple[int, Scale]]:
        """Where in a theta the log of each scale is, sigma's last, with the scale's prior."""
        found, at = [], 0
        for group in self.all_groups:
            found += [(at + i, scale) for i, scale in enumerate(group.scales)]
            at += group.n_parameters
        return [*found, (at, self.sigma)]

    def log_prior(self, theta: Floats) -> Floats:
        """Return the log density of the prior of theta, (S,), up to a constant."""
        total = np.zeros(len(theta))
        for k, scale in self.coordinates:
            t = theta[:, k]
            inside = (scale.low <= t) & (t <= scale.high)
            total += np.where(inside, scale.log_density(t), -np.inf)
        for group, _, z in self.parts(theta):
            if group.effects > 1:
                total += correlations.log_prior(z, group.effects, self.correlation)
        return total


@dataclass(frozen=True, eq=False)
class Given:
    """What a few thetas make of the data.

    Attributes
    ----------
    sigma : ndarray of shape (S,)
        Noise.
    roots : list of ndarray of shape (S, q, q)
        Cholesky factors L of each group's covariance, in units of sigma.
    upper : ndarray of shape (S, pb + 1, pb + 1)
        R with R'R = [[M, h], [h', .]], positive on the diagonal; Q is the square of its end.
    log_det : ndarray of shape (S,)
        Half the log determinant of the levels' own covariances.
    """

    sigma: Floats
    roots: list[Floats]
    upper: Floats
    log_det: Floats


@dataclass(frozen=True, eq=False)
class Marginal:
    r"""The posterior of theta, the coefficients integrated out; and of these given theta.

    A theta is, group by group, q logs of standard deviations and q (q - 1) / 2 inverse hyperbolic
    tangents of canonical partial correlations (`correlations.cholesky`); last the log of sigma.

    Columns with flat priors are made orthonormal, and swept out of all others and the outcome;
    then the outcome is read from what a fit of the Normal ones leaves, their prior mean moved.
    All this changes nothing but how many digits remain.

    Attributes
    ----------
    model : Components
        The model, its data so prepared.
    swept : ndarray of shape (n_flat, pb)
        What takes the prepared model's coefficients to the flat ones: they are
        solve(flat_root, phi_flat) + flat_shift - swept @ others.
    flat_root, flat_shift : ndarray
        See there.
    shift : ndarray of shape (pb,)
        Where the coefficients are read from; zero where they are not Normal.
    constant : bool
        Whether the flat columns leave nothing of the outcome.
    log_scale : float
        Log of the size of what they and the Normal ones leave of it; 0 if there is nothing.
    log_typical : ndarray
        Logs of scales, in the order of `Components.coordinates`: what gave a group all of that,
        and that itself for sigma.
    known : ndarray of shape (k, pb + 1)
        The model's rows of the border, and of the outcome.
    blocks : Blocks or None
        The levels' rows.
    """

    model: Components
    swept: Floats
    flat_root: Floats
    flat_shift: Floats
    shift: Floats
    constant: bool
    log_scale: float
    log_typical: Floats
    known: Floats
    blocks: Blocks | None

    @classmethod
    def of(cls, model: Components) -> "Marginal":
        """Prepare a model; refuse one whose flat coefficients its data do not determine."""
        rows, target = _stacked(model)
        raw = float(target @ target) + model.rss
        flat, normal = model.flat, model.normal
        basis, root = np.linalg.qr(rows[:, flat])
        size = np.linalg.norm(rows[:, flat], axis=0)
        pivots = np.abs(np.diag(root)) > 1e3 * np.finfo(np.float64).eps * max(rows.shape) * size
        if len(root) < flat.sum() or not pivots.all():
            raise UndeterminedError(
                "the data do not determine the coefficients whose priors are Flat: fewer rows "
                "than such coefficients, a constant column, or columns that repeat each other. "
                "Give Normal priors"
            )
        sign = np.sign(np.diag(root))
        basis, root = basis * sign, sign[:, None] * root
        swept = solve_triangular(root, basis.T @ rows) if len(root) else basis.T @ rows
        swept[:, flat] = 0.0
        flat_shift = solve_triangular(root, basis.T @ target) if len(root) else np.zeros(0)
        rows = rows - basis @ (basis.T @ rows)
        target, rss = target - basis @ (basis.T @ target), model.rss
        constant = float(target @ target) + rss <= 1e-28 * raw
        if constant:  # what is left of nothing is rounding
            target, rss = np.zeros_like(target), 0.0

        shift = np.zeros(len(flat))
        columns, variance = rows[:, normal], (target @ target + rss) / model.weight
        if normal.any() and variance > 0:
            ridge = np.sqrt(variance) * np.eye(columns.shape[1])
            stacked = np.concatenate([columns, ridge])
            outcome = np.concatenate([target, np.zeros(len(ridge))])
            shift[normal] = np.linalg.lstsq(stacked, outcome)[0]
            target = target - columns @ shift[normal]
        rows[:, flat] = basis
        variance = (target @ target + rss) / model.weight
        log_scale = 0.5 * float(np.log(variance)) if variance > 0 else 0.0
        prepared, blocks = _unstacked(model, rows, target, rss), None
        squares = [np.square(rows[:, group.columns]).sum(axis=(0, 2)) for group in model.groups]
        if prepared.levels is not None:
            squares.insert(0, np.square(prepared.levels.own).sum(axis=(0, 1)))
            blocks = Blocks.of(prepared.levels)
        sizes = np.concatenate([*squares, [model.weight]]) / model.weight
        typical = log_scale - 0.5 * np.log(np.where(sizes > 0, sizes, 1.0))
        known = np.concatenate([prepared.rows, prepared.target[:, None]], axis=1)
        numbers = (root, flat_shift, shift, constant, log_scale, typical)
        return cls(prepared, swept, *numbers, known, blocks)

    def log_density(self, theta: Floats) -> Floats:
        """Return the log density of the posterior of theta, up to a constant.

        Parameters
        ----------
        theta : ndarray of shape (S, d)

        Returns
        -------
        ndarray of shape (S,)
            -inf beyond an edge of a prior, and where a scale is out of all proportion.
        """
        out = self.model.log_prior(theta)
        possible = np.flatnonzero(np.isfinite(out) & self._moderate(theta))
        out[np.setdiff1d(np.arange(len(theta)), possible)] = -np.inf
        for at in self.at_a_time(possible):
            given = self.given(theta[at])
            out[at] += self.log_likelihood(given)
        return out

    def log_likelihood(self, given: Given) -> Floats:
        """Return the log density of the data, up to a constant, (S,)."""
        pivots = np.diagonal(given.upper, axis1=1, axis2=2)
        power = self.model.weight - self.model.flat.sum()
        total = -given.log_det - np.log(pivots[:, :-1]).sum(axis=1)
        return total - power * np.log(given.sigma) - 0.5 * np.square(pivots[:, -1] / given.sigma)

    def coefficients(self, theta: Floats, rng: Generator) -> tuple[Floats, Floats]:
        """Draw the coefficients given each theta.

        Every root is triangular in the coefficients with a positive diagonal, so the same data
        in another order, or as weights, give the same draws.

        Parameters
        ----------
        theta : ndarray of shape (S, d)
        rng : Generator

        Returns
        -------
        border : ndarray of shape (S, pb)
        levels : ndarray of shape (S, q, J)
            Empty where no group is kept by level.
        """
        model = self.model
        border = rng.standard_normal((len(theta), len(model.flat)))
        group = model.of_levels
        shape = (0, 0) if group is None else (group.effects, group.n_levels)
        by_level = rng.standard_normal((len(theta), *shape))
        for at in self.at_a_time(np.arange(len(theta))):
            given = self.given(theta[at])
            noise = given.sigma[:, None] * border[at]
            phi = solve_upper(given.upper[:, :-1, :-1], given.upper[:, :-1, -1] + noise)
            border[at] = phi = self.scaled(given, phi[:, None])[:, 0]
            if self.blocks is not None:
                noise = given.sigma[:, None, None] * by_level[at]
                by_level[at] = self.blocks.draw(given.roots[0], phi, noise)
        border += self.shift
        flat = model.flat
        if flat.any():
            others = self.flat_shift - border @ self.swept.T
            border[:, flat] = solve_triangular(self.flat_root, border[:, flat].T).T + others
        return border, by_level

    def at_a_time(self, at: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        """Iterate over positions, a few at a time."""
        pb, levels_numbers = len(self.model.flat), 0
        if self.model.of_levels is not None:
            q = self.model.of_levels.effects
            levels_numbers = self.model.of_levels.n_levels * q * (pb + 1 + 3 * q)
        step = max(_BLOCK // (3 * (pb + 1) ** 2 + levels_numbers), 1)
        for start in range(0, len(at), step):
            yield at[start : start + step]

    def given(self, theta: Floats) -> Given:
        """Return what thetas, (S, d), make of the data."""
        model = self.model
        sigma = np.exp(theta[:, -1])
        roots = []
        for group, log_sd, z in model.parts(theta):
            ratio = np.exp(np.maximum(log_sd - theta[:, -1:], -_FAR))
            roots.append(ratio[:, :, None] * correlations.cholesky(z, group.effects))
        whitened, log_det = None, np.zeros(len(theta))
        if self.blocks is not None:
            whitened, log_det = self.blocks.whitened(roots[0])
        given = Given(sigma, roots, np.empty(0), log_det)
        return replace(given, upper=self._upper(given, whitened))

    def scaled(self, given: Given, phi: Floats) -> Floats:
        """Return the coefficients D phi of rows of phi, (S, m, pb)."""
        return self._scaled(given, phi, transpose=False)

    def _scaled(self, given: Given, rows: Floats, *, transpose: bool) -> Floats:
        """Return rows, (S, m, pb), times D' or D, which has L in the blocks of a group."""
        out = rows.copy()
        out[:, :, self.model.normal] /= given.sigma[:, None, None]
        roots = given.roots[len(given.roots) - len(self.model.groups) :]
        for group, root in zip(self.model.groups, roots, strict=True):
            assert group.columns is not None
            block = rows[:, :, group.columns]
            factor = (np.swapaxes(root, 1, 2) if transpose else root)[:, None]
            out[:, :, group.columns] = factor * block if group.effects == 1 else factor @ block
        return out

    def _moderate(self, theta: Floats) -> NDArray[np.bool_]:
        """Whether scales are within reach of the data's own and of sigma."""
        sigma = theta[:, -1]
        held = np.abs(sigma - self.log_scale) < _FAR
        for (k, _), size in zip(self.model.coordinates, self.log_typical, strict=True):
            held &= theta[:, k] - sigma - (size - self.log_scale) < _FAR
        return held & np.isfinite(theta).all(axis=1)

    def _upper(self, given: Given, whitened: Floats | None) -> Floats:
        """Return `Given.upper`; `whitened` are the levels' rows, (q, S, pb + 1, J)."""
        upper, sound = self._by_gram(given, whitened)
        poor = np.flatnonzero(~sound)
        height = len(self.known) + upper.shape[1]
        height += 0 if whitened is None else whitened[:, 0, 0].size
        step = max(_BLOCK // (height * upper.shape[1]), 1)
        for start in range(0, len(poor), step):
            at = poor[start : start + step]
            part = replace(given, sigma=given.sigma[at], roots=[root[at] for root in given.roots])
            upper[at] = self._by_qr(part, None if whitened is None else whitened[:, at])
        return upper

    def _by_gram(self, given: Given, whitened: Floats | None) -> tuple[Floats, NDArray[np.bool_]]:
        """Return `Given.upper` by Cholesky's method, and where enough of its digits are right."""
        gram = np.repeat((self.known.T @ self.known)[None], len(given.sigma), axis=0)
        if whitened is not None:
            for rows in whitened:
                gram += rows @ np.swapaxes(rows, 1, 2)
        half = self._scaled(given, gram[:, :, :-1], transpose=True)
        moved = given.sigma[:, None] * self.shift
        squares = gram[:, -1, -1] + self.model.rss
        gram[:, :-1, :-1] = self._scaled(given, np.swapaxes(half[:, :-1], 1, 2), transpose=True)
        gram[:, :-1, -1] = gram[:, -1, :-1] = half[:, -1] - moved
        gram[:, -1, -1] = squares + np.square(moved).sum(axis=1)
        own = np.flatnonzero(~self.model.flat)
        sound = gram[:, own, own].max(axis=1, initial=0.0) < _SQUARES
        gram[:, own, own] += 1.0
        upper = np.empty_like(gram)
        try:
            upper[sound] = np.swapaxes(np.linalg.cholesky(gram[sound]), 1, 2)
        except np.linalg.LinAlgError:  # one of them; rarely does any
            return upper, np.zeros_like(sound)
        sound[sound] = np.square(upper[sound, -1, -1]) > _LEFT * squares[sound]
        return upper, sound

    def _by_qr(self, given: Given, whitened: Floats | None) -> Floats:
        """Return `Given.upper` from rows alone, which loses no digits to squares."""
        n, pb = len(given.sigma), len(self.model.flat)
        rows = np.repeat(self.known[None], n, axis=0)
        if whitened is not None:
            by_level = whitened.transpose(1, 0, 3, 2).reshape(n, -1, pb + 1)
            rows = np.concatenate([by_level, rows], axis=1)
        rows[:, :, :-1] = self._scaled(given, rows[:, :, :-1], transpose=True)
        prior = np.zeros((n, pb + 1, pb + 1))
        prior[:, np.arange(pb), np.arange(pb)] = ~self.model.flat
        prior[:, :-1, -1] = -given.sigma[:, None] * self.shift
        prior[:, -1, -1] = np.sqrt(self.model.rss)
        upper = np.linalg.qr(np.concatenate([rows, prior], axis=1), mode="r")
        sign = np.where(np.diagonal(upper, axis1=1, axis2=2) < 0, -1.0, 1.0)
        return upper * sign[:, :, None]


def solve_upper(upper: Floats, right: Floats) -> Floats:
    """Solve upper triangular systems, (S, p, p), each for a vector, (S, p)."""
    out = np.empty_like(right)
    if not right.shape[1]:
        return out
    for k in range(len(upper)):
        out[k], _ = lapack.dtrtrs(upper[k].T, right[k], lower=1, trans=1)
    return out


def _stacked(model: Components) -> tuple[Floats, Floats]:
    """Return all rows of the border and of the outcome, the levels' own first."""
    if model.levels is None:
        return model.rows, model.target
    n_levels, q, pb = model.levels.border.shape
    by_level = model.levels.border.reshape(n_levels * q, pb)
    target = np.concatenate([model.levels.target.ravel(), model.target])
    return np.concatenate([by_level, model.rows]), target


def _unstacked(model: Components, rows: Floats, target: Floats, rss: float) -> Components:
    """Return a model with other rows, stacked as by `_stacked`."""
    if model.levels is None:
        return replace(model, rows=rows, target=target, rss=rss)
    border = model.levels.border
    first = border.shape[0] * border.shape[1]
    own, by_level = rows[:first].reshape(border.shape), target[:first].reshape(border.shape[:2])
    return replace(
        model,
        rows=rows[first:],
        target=target[first:],
        rss=rss,
        levels=Levels(model.levels.own, own, by_level),
    )
