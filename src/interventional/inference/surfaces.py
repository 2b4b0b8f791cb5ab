"""Draws of an equation that bends: scales and lengths by nodes, coefficients given them exactly.

Which components there are is not known either: none, so that all is a straight line; a surface
and effects that are the same for all rows; effects that differ. Each of these *forms* has weight
in proportion to its odds and its evidence by Laplace's method; given it, log scales, log lengths
and log sigma are Gaussian around their mode, and nodes of equal weight are spread over that by a
Sobol sequence. A posterior draw is one from the exact posterior given one node.

Weights of nodes by their density would do worse: in twenty dimensions and more a few of them would
have it all.

Where outcomes are no Gaussian, Laplace's method takes the place of exactness, in the evidence of
scales and lengths (`latent`) as in what is drawn given them: coefficients are Gaussian around
their mode, with the curvature there. Nothing corrects for that. It is nearly exact where many rows
tell of each place of a surface; where few rows of 0 and 1 do, probabilities come out a little too
near to one half (Kuss and Rasmussen 2005).

References
----------
Kuss and Rasmussen (2005). Assessing approximate inference for binary Gaussian process
classification. Journal of Machine Learning Research 6:1679.

MacKay (1999). Comparison of approximate methods for handling hyperparameters. Neural Computation
11:1035.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from interventional.data.seen import one_thread
from interventional.data.seen_surface import SeenSurface
from interventional.data.surface import Surface
from interventional.inference.descent import descend
from interventional.inference.evidence import Evidence, Rows
from interventional.inference.exact import LogDensity
from interventional.inference.heavy import OfHeavy
from interventional.inference.landmarks import Own, Told
from interventional.inference.latent import Latent, NearMode
from interventional.inference.scale_priors import density_of, of_effects, units_of
from interventional.inference.spreads import Spread, some_rows
from interventional.numbers import Floats, side_by_side
from interventional.scm.canonical import Canonical
from interventional.scm.equations import Equation
from interventional.scm.priors import normal_parameters
from interventional.scm.surface_priors import SurfacePriors

LEARNT_FROM, LEARNT_FROM_MANY = 800, 1500  # rows at most that scales and lengths are learnt from
NODES, FEWER = 16, 8  # of scales and lengths, over all forms; where each takes seconds
MANY, VERY_MANY = 2000, 20_000  # rows beyond which they are learnt from more; nodes are fewer
_FEWEST = 4  # nodes of a form
_UNLIKELY = 0.005  # forms that are left out
_STEPS, _ENOUGH = 60, 0.02
_SHORTER = 1.0  # of log lengths
_INVERSE = 0.3  # of the curvature, before anything is known of it; 1 is the priors'
_DIFFERENCE = 0.1  # of log scales, for the curvature
_FAR = 30.0  # log density less than that of the best form, at their modes: hopeless
_FLATTEST = 0.5  # curvature in units of the priors', where these alone have 1
_NOISE = 1e-3  # variance below which rounding to single precision matters


@dataclass(frozen=True, eq=False)
class Form:
    """Scales and lengths if certain components are all that there is.

    Attributes
    ----------
    evidence : Evidence
        Their density.
    mode : ndarray of shape (d,)
        Where it is largest.
    root : ndarray of shape (d, free)
        A root of their covariance.
    log_weight : float
        The log of its evidence times its odds.
    """

    evidence: Evidence
    mode: Floats
    root: Floats
    log_weight: float

    @classmethod
    def of(cls, evidence: Evidence, mode: Floats, value: float, hessian: Floats) -> "Form":
        """Return a form, given minus the log density at its mode, and the curvature there."""
        free, prior = evidence.free, evidence.free_root
        curvature, axes = np.linalg.eigh(prior.T @ (hessian + hessian.T) @ prior / 2)
        curvature = np.maximum(curvature, _FLATTEST)
        root = np.zeros((len(mode), len(free)))
        root[free] = prior @ axes / np.sqrt(curvature)
        odds = np.log(evidence.priors.odds[evidence.on])
        return cls(evidence, mode, root, odds - value - 0.5 * float(np.log(curvature).sum()))

    def nodes(self, n: int, seed: int) -> Floats:
        """Return values of theta, (n, d), spread over their posterior."""
        from scipy.special import ndtri
        from scipy.stats import qmc

        d = self.root.shape[1]
        if d == 0:
            return self.mode[None]
        size = int(np.ceil(np.log2(n)))
        z = ndtri(qmc.Sobol(d, rng=np.random.default_rng(seed)).random_base2(size)[:n])
        return self.evidence.within(self.mode + z @ self.root.T)


def learnt(evidences: Sequence[Evidence]) -> list[Form]:
    """Return what is learnt of scales and lengths, of each form that may have any weight.

    Forms come in such an order that each holds those before it: it begins where they end, as a
    wide one has other modes, far from all that a narrow one knows. There are several modes still;
    lengths that are new to a form begin twice, the second time short.
    """
    at_modes: list[tuple[Evidence, Floats, float]] = []
    start, known = evidences[0].mean, np.zeros(0, dtype=np.intp)
    for evidence in evidences:
        new = np.setdiff1d(evidence.free, known)
        lengths = len(evidence.on), len(evidence.on) + len(evidence.surface.lengths)
        new = new[(new >= lengths[0]) & (new < lengths[1])]
        short = start.copy()
        short[new] -= _SHORTER
        at_modes.append(_best(evidence, [start, short] if len(new) else [start]))
        start, known = at_modes[-1][1], evidence.free
    least = min(value for _, _, value in at_modes)
    near = [found for found in at_modes if found[2] < least + _FAR]
    at = [evidence(theta)[1] for evidence, theta, _ in near]
    own = threading.local()

    def slope(job: tuple[int, int]) -> Floats:
        """Return a row of the curvature; each thread has arrays of its own."""
        which, k = job
        evidence, theta, _ = near[which]
        copy = own.__dict__.setdefault(str(which), replace(evidence))
        # towards the prior: the other way there may be no density
        step = _DIFFERENCE if theta[k] < evidence.mean[k] else -_DIFFERENCE
        there = theta.copy()
        there[k] += step
        return np.asarray((copy(there)[1] - at[which])[evidence.free] / step)

    jobs = [(which, k) for which, found in enumerate(near) for k in found[0].free]
    rows = iter(side_by_side(slope, jobs))
    forms = []
    for evidence, theta, value in near:
        free = len(evidence.free)
        hessian = np.array([next(rows) for _ in range(free)]).reshape(free, free)
        forms.append(Form.of(evidence, theta, value, hessian))
    return forms


def _best(evidence: Evidence, starts: list[Floats]) -> tuple[Evidence, Floats, float]:
    """Return the best of the modes that are reached from some values of theta."""
    found = side_by_side(lambda start: _at_mode(replace(evidence), start), starts)
    return min(found, key=lambda each: each[2])


def _at_mode(evidence: Evidence, start: Floats) -> tuple[Evidence, Floats, float]:
    """Return the mode of theta, and minus the log density there; precisely where it matters."""
    at, value = _descended(evidence, start)
    if evidence.least_noise(at) < _NOISE and evidence.dtype is np.float32:
        evidence = replace(evidence, dtype=np.float64)
        at, value = _descended(evidence, at)
    return evidence, at, value


def _descended(evidence: Evidence, start: Floats) -> tuple[Floats, float]:
    free, root = evidence.free, evidence.free_root
    inverse = np.full(len(evidence.mean), _INVERSE)
    inverse[-1] = 0.5 / float(evidence.rows.weights.sum())  # that of log sigma

    def whole(x: Floats) -> Floats:
        theta = start.copy()
        theta[free] += root @ x
        return theta

    def of(x: Floats) -> tuple[float, Floats]:
        value, gradient = evidence(whole(x))
        return value, root.T @ gradient[free]

    x, value = descend(of, np.zeros(len(free)), np.diag(inverse[free]), _STEPS, _ENOUGH)
    return whole(x), value


@dataclass(frozen=True, eq=False)
class Problem:
    """An equation that bends, and its rows, in standard units.

    Attributes
    ----------
    surface : Surface
        What bends.
    rows : Rows
        The distinct rows.
    priors : SurfacePriors
        Of scales and lengths, in standard units.
    unit : float
        Standard deviation of the outcome.
    of_line : ndarray of shape (terms,)
        Prior standard deviations of the coefficients of the line, in raw units, that of the
        intercept first where there is one.
    mean : ndarray of shape (terms,)
        Their prior means.
    has_intercept : bool
        Whether there is one.
    shift : ndarray of shape (terms of the design,)
        From the center of the prior of the intercept to the means of the terms.
    log_sigma : callable
        The log density of the prior of sigma, in standard units.
    fixed : float or None
        What sigma is fixed at; 1 where there is none.
    family : Canonical or None
        What outcomes are that are no Gaussian.
    of_nu : tuple of (callable, float or None), or None
        Of Student's t the log density of the prior of nu, and what nu is fixed at.
    units : tuple of ndarray of shape (q,)
        Of what groups differ by, one a kind of groups.
    """

    surface: Surface
    rows: Rows
    priors: SurfacePriors
    unit: float
    of_line: Floats
    mean: Floats
    has_intercept: bool
    shift: Floats
    log_sigma: LogDensity
    fixed: float | None
    family: Canonical | None = None
    of_nu: tuple[LogDensity, float | None] | None = None
    units: tuple[Floats, ...] = ()

    @classmethod
    def of(
        cls, equation: Equation, seen: SeenSurface, log_sigma: LogDensity = np.zeros_like
    ) -> "Problem":
        """Return the problem of an equation.

        `log_sigma` is the log density of sigma's prior in the units of the outcome; it is for
        Gaussian equations.
        """
        design, priors = seen.design, equation.priors
        population = slice(len(design.population))
        terms = design.of_population(seen.rows) - equation.center[population]
        unit = seen.moments.y_scale
        mean, sd = np.zeros(terms.shape[1]), np.zeros(terms.shape[1])
        for group in priors.groups:
            if group.prior.n_groups:
                continue
            own = list(group.terms)
            mean[own], sd[own] = normal_parameters(group.prior, len(own), group.name)
        if priors.intercept is not None:
            first = normal_parameters(priors.intercept, 1, "intercept")
            mean, sd = np.concatenate([first[0], mean]), np.concatenate([first[1], sd])
            terms = np.column_stack([np.ones(len(terms)), terms])
        inputs, line, family = design.surface.inputs(seen.rows), terms * sd / unit, equation.latent
        fixed = None if priors.fixed_sigma is None else priors.fixed_sigma / unit
        beside = _spreads(equation, seen), design.places(seen.rows)
        if family is None:
            target, within = (seen.target - terms @ mean) / unit, seen.within / unit**2
            rows = Rows(inputs, line, target, seen.weights, within, 0.0, *beside)
        else:
            of_y = seen.target, seen.weights, seen.within
            rows = Rows(inputs, line, *of_y, terms @ mean, *beside)
            fixed = 1.0
        return cls(
            design.surface,
            rows,
            SurfacePriors.of(design.surface, 1.0),
            unit,
            sd,
            mean,
            priors.intercept is not None,
            (seen.x_mean - equation.center)[population],
            lambda sigma: log_sigma(sigma * unit),
            fixed,
            family,
            _of_nu(equation),
            tuple(units_of(group) for group in priors.varying),
        )

    def learnt(self) -> list[Form]:
        """Return what is learnt of scales and lengths, form by form; from some of many rows."""
        n, rows = len(self.rows.target), self.rows
        most = LEARNT_FROM if n <= MANY else LEARNT_FROM_MANY
        if n > most:
            rows = rows.take(some_rows(rows.groups, n, most))
        of = self.surface, rows, self.priors
        beside = self.log_sigma, self.fixed

        def evidence(on: tuple[bool, ...]) -> Evidence:
            if self.of_nu is not None:
                log_nu, fixed_nu = self.of_nu
                return OfHeavy(*of, on, *beside, log_nu=log_nu, fixed_nu=fixed_nu)
            if self.family is not None:
                return Latent(*of, on, *beside, family=self.family)
            return Evidence(*of, on, *beside)

        return learnt([evidence(on) for on in self.priors.odds])

    def given(self, theta: Floats, n_draws: int, form: Form, rng: Generator) -> "Drawn":
        """Return draws of coefficients given scales, lengths and sigma."""
        scale, length, sigma = form.evidence.split(theta)
        roots = self.surface.roots(scale, length)
        numbers = [theta[at] for at, _ in form.evidence.spreads]
        rows, main = self._with_groups(numbers)
        of = scale, length
        nu = np.nan
        if isinstance(form.evidence, NearMode):
            likelihood = replace(form.evidence, rows=rows).likelihood(theta)
            told = Told.at_mode(self.surface, likelihood, *of, roots, main)
            nu = form.evidence.nu(theta) if isinstance(form.evidence, OfHeavy) else nu
        else:
            told = Told.of(self.surface, rows, *of, sigma, roots, main)
        own, of_main = told.drawn(rng.standard_normal((n_draws, told.size)))
        q, end = self.rows.line.shape[1], rows.line.shape[1]
        _, _, far = self.surface.width
        waves = rng.standard_normal((n_draws, far))
        in_units = [None if root is None else root * self.unit for root in roots]
        of = scale * self.unit, length
        weights = self.surface.weights(np.hstack([own[:, end:], waves]), *of, in_units)
        line = [self.mean + own[:, :q] * self.of_line]
        line += self._of_groups(numbers, own[:, q:end], of_main)
        spread = np.concatenate([np.empty(0), *numbers])
        return Drawn(np.hstack(line), weights, *of, sigma * self.unit, nu, spread)

    @cached_property
    def _main(self) -> int:
        """Which kind of groups has the most coefficients."""
        sizes = [spread.effects * spread.n_groups for spread in self.rows.groups]
        return int(np.argmax(sizes)) if sizes else -1

    def _with_groups(self, numbers: list[Floats]) -> tuple[Rows, Own | None]:
        """Return the rows, terms of groups beside those of the line, and the main groups' own."""
        line, main = [self.rows.line], None
        for k, (spread, own) in enumerate(zip(self.rows.groups, numbers, strict=True)):
            root = spread.root(own)
            if k == self._main:
                main = Own(spread.codes, spread.factors @ root, spread.n_groups)
            else:
                line.append(spread.terms(root))
        return replace(self.rows, line=np.hstack(line)), main

    def _of_groups(
        self, numbers: list[Floats], noise: Floats, of_main: Floats
    ) -> Iterator[Floats]:
        """Iterate over coefficients of groups in raw units, (draws, effects groups)."""
        kinds = zip(self.rows.groups, numbers, self.units, strict=True)
        for k, (spread, own, units) in enumerate(kinds):
            if k == self._main:
                held = np.swapaxes(of_main, 1, 2)
            else:
                held, noise = np.split(noise, [spread.effects * spread.n_groups], axis=1)
            found = spread.coefficients(spread.root(own), held) * units[:, None]
            yield found.reshape(len(found), -1)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Draws given one node.

    Attributes
    ----------
    line : ndarray of shape (draws, terms)
        Intercept and coefficients, those of groups last.
    weights : ndarray of shape (draws, weights)
        Those of the surface.
    scale, length, sigma, nu, spread
        The node.
    """

    line: Floats
    weights: Floats
    scale: Floats
    length: Floats
    sigma: float
    nu: float
    spread: Floats


def draw(
    equation: Equation,
    seen: SeenSurface,
    n_draws: int,
    rng: Generator,
    log_sigma: LogDensity = np.zeros_like,
) -> dict[str, Floats]:
    """Draw from the posterior of an equation that bends.

    Parameters
    ----------
    equation : Equation
        The equation.
    seen : SeenSurface
        Its rows.
    n_draws : int
        How many draws.
    rng : Generator
        Source of randomness.
    log_sigma : callable, optional
        The log density of the prior of sigma, where there is one.

    Returns
    -------
    dict
        ``"intercept"`` (at the means of the terms), ``"beta"``, ``"scale"``, ``"length"`` and
        ``"weights"``, each of shape (draws, ...); and ``"sigma"``, where there is one, and of
        groups what `Spread.named` returns, such as ``"beta_store_sd"``.
    """
    with one_thread():
        problem = Problem.of(equation, seen, log_sigma)
        found = problem.learnt()
        log_weight = np.array([form.log_weight for form in found])
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        weight[weight < _UNLIKELY] = 0.0
        weight /= weight.sum()
        n_nodes = NODES if len(seen.rows) <= VERY_MANY else FEWER
        jobs = list(_nodes(found, weight, n_nodes, n_draws, rng))
        parts = side_by_side(lambda job: problem.given(job[1], job[2], job[0], job[3]), jobs)
    order = rng.permutation(n_draws)

    def joined(name: str) -> Floats:
        rows = []
        for part in parts:
            value = np.asarray(getattr(part, name))
            size = len(part.line)
            shared = name in ("scale", "length", "sigma", "nu", "spread")
            rows.append(np.broadcast_to(value, (size, *value.shape)) if shared else value)
        return np.concatenate(rows)[order]

    line, names = joined("line"), ("scale", "length", "weights")
    draws = {name: joined(name) for name in (*equation.dispersion, *names)}
    draws["beta"] = line[:, 1:] if problem.has_intercept else line
    if problem.has_intercept:
        shared = draws["beta"][:, : len(problem.shift)]
        draws["intercept"] = line[:, 0] + shared @ problem.shift
    spread, at = joined("spread"), 0
    for kind, each, units in zip(equation.kinds, problem.rows.groups, problem.units, strict=True):
        for ending, own in each.named(spread[:, at : at + each.size]).items():
            of = own * units if ending == "sd" else own
            draws[f"{kind}_{ending}".removeprefix(f"{equation.node}_")] = of
        at += each.size
    return draws


def _of_nu(equation: Equation) -> tuple[LogDensity, float | None] | None:
    """Return the prior of nu, where outcomes have Student's t, and what it is fixed at."""
    if not equation.is_heavy:
        return None
    prior = equation.priors.dispersion["nu"]
    return density_of(prior)[0], prior.fixed


def _spreads(equation: Equation, seen: SeenSurface) -> tuple[Spread, ...]:
    """Return what groups of rows differ by, in standard units."""
    if not equation.priors.varying:
        return ()
    population, found = seen.design.of_population(seen.rows), []
    for group, part in zip(equation.priors.varying, seen.design.varying, strict=True):
        unit = units_of(group)
        factors = part.factors(population) * (unit / seen.moments.y_scale)
        scales = of_effects(group, unit)
        found.append(Spread(part.codes(seen.rows), factors, len(part.keys), scales))
    return tuple(found)


def _nodes(
    found: list[Form], weight: Floats, n_nodes: int, n_draws: int, rng: Generator
) -> Iterator[tuple[Form, Floats, int, Generator]]:
    """Iterate over nodes: form, theta, how many draws, and their source of randomness."""
    of_forms = _shared(weight, n_draws)
    for form, share, n in zip(found, weight, of_forms, strict=True):
        if not n:
            continue
        size = min(max(_FEWEST, round(n_nodes * share)), n)
        nodes = form.nodes(size, int(rng.integers(1 << 31)))
        for theta, own in zip(nodes, _shared(np.full(len(nodes), 1 / len(nodes)), n), strict=True):
            yield form, theta, own, np.random.default_rng(rng.integers(1 << 63))


def _shared(weight: Floats, n: int) -> NDArray[np.intp]:
    """Return how many of n each gets in proportion to its weight, none of them off by one."""
    reached = np.round(np.cumsum(np.concatenate([[0.0], weight])) * n).astype(np.intp)
    return np.asarray(reached[1:] - reached[:-1])
