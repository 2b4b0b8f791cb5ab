"""Draws of an equation that is no Gaussian's, without a compiled model: by weights, or by chains.

Weighed draws where their weights can be trusted; else, and where scales are learnt, those of many
short chains, where these move well enough; else nothing, so that somebody else has to draw.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from interventional.data.seen import DistinctRows, one_thread
from interventional.inference import many_chains, pooled, variational, weighing
from interventional.inference.laplace import Gaussian
from interventional.inference.of_levels import OfLevels
from interventional.inference.unknowns import Problem
from interventional.numbers import Floats
from interventional.scm.equations import Equation

# Rows times coefficients, beyond which NUTS on a compiled model is sooner done than many chains.
_LARGEST = 400_000
_WARM_WITH_SCALES = 80
_DIFFERENCE = 1e-4  # of a log, to take differences of gradients


@dataclass(frozen=True, eq=False)
class Found:
    """Draws by name, each (n_draws, ...), who made them, and how good they are."""

    engine: str
    variables: dict[str, Floats]
    figures: dict[str, float]


def draw(equation: Equation, seen: DistinctRows, n_draws: int, rng: Generator) -> Found | None:
    """Draw from the posterior of an equation; None where that cannot be trusted, or takes long.

    Parameters
    ----------
    equation : Equation
        The equation.
    seen : DistinctRows
        What the likelihood sees.
    n_draws : int
        Number of draws.
    rng : Generator
        Source of randomness.
    """
    with one_thread():  # the blocks are small
        if equation.n_blocks > 1:
            levels = OfLevels.of(equation, seen)
            return None if levels is None else _near(levels, levels.near(), n_draws, rng)
        problem = Problem.of(equation, seen)
        return None if problem is None else _draw(problem, n_draws, rng)


def _draw(problem: Problem, n_draws: int, rng: Generator) -> Found | None:
    target, pools = problem.target, [pool for _, pool in problem.pools]
    if pools:
        small = target.matrix.size <= _LARGEST
        begun = pooled.near(target, pools) if small else None
        if begun is None:
            return None
        density, near = begun
        chains = many_chains.run(density, near, n_draws, rng, warm=_WARM_WITH_SCALES)
        points = _of_chains(chains, n_draws)
        if points is None:
            return None
        return Found("hmc", problem.parameters(points, density), chains.figures)
    return _near(problem, variational.nearest(target), n_draws, rng)


def _near(
    known: Problem | OfLevels, gaussian: Gaussian | None, n_draws: int, rng: Generator
) -> Found | None:
    """Draw from what is near a Gaussian."""
    if gaussian is None:
        return None
    density = known.target if isinstance(known, Problem) else known
    limit = weighing.K_HAT if density.prior.is_normal else weighing.K_HAT_HEAVY
    weighed = weighing.draw(density, gaussian, n_draws, len(density.matrix), rng, limit)
    if weighed.certified:
        figures = {"effective_size": weighed.effective_size, "pareto_k": weighed.k_hat}
        return Found("importance", known.parameters(weighed.draws), figures)
    if len(density.matrix) * len(gaussian.mean) > _LARGEST:
        return None
    chains = many_chains.run(density, gaussian, n_draws, rng)
    points = _of_chains(chains, n_draws)
    return None if points is None else Found("hmc", known.parameters(points), chains.figures)


def _of_chains(chains: many_chains.Chains, n_draws: int) -> Floats | None:
    """Return the draws of chains, (n_draws, d); None where they did not move well enough."""
    if not chains.moved(n_draws):
        return None
    return chains.draws.reshape(-1, chains.draws.shape[2])[:n_draws]


def posterior(equation: Equation, seen: DistinctRows) -> "Closed | None":
    """Return the posterior of an equation whose scales are known; None of any other."""
    problem = None if equation.n_blocks > 1 else Problem.of(equation, seen)
    return None if problem is None or problem.pools else Closed(problem)


@dataclass(frozen=True, eq=False)
class Closed:
    """The posterior of an equation as Laplace's method takes it (`laplace.Posterior`)."""

    problem: Problem

    @property
    def rows(self) -> int:
        """How many rows it looks at."""
        return len(self.problem.target.matrix)

    def start(self) -> Floats:
        """Return where to begin."""
        return self.problem.target.start

    def slope(self, x: Floats) -> tuple[float, Floats]:
        """Return value and gradient at x."""
        target = self.problem.target
        return float(target.heights(x[None])[0]), target.slopes(x[None])[0]

    def curvature(self, x: Floats) -> Floats:
        """Return the negative Hessian at x."""
        target = self.problem.target
        p, k = target.size
        found = np.zeros((p + k, p + k))
        found[:p, :p] = target.curvature(x)
        step = np.zeros((k, p + k))
        step[:, p:] = _DIFFERENCE * np.eye(k)
        if k:
            by_log = (target.slopes(x - step) - target.slopes(x + step)) / (2 * _DIFFERENCE)
            found[p:, :p], found[:p, p:] = by_log[:, :p], by_log[:, :p].T
            found[p:, p:] = (by_log[:, p:] + by_log[:, p:].T) / 2
        return found

    def heights(self, points: Floats) -> Floats:
        """Return the values at many points."""
        return self.problem.target.heights(points)

    def variables(self, points: Floats) -> dict[str, Floats]:
        """Return the parameters at many points, by name."""
        return self.problem.parameters(points)
