r"""Gaussian approximations of the posterior: Laplace, ADVI, Pathfinder.

All three put a Gaussian on the unconstrained parameters x of the observed PyMC model (a positive
parameter is there by its logarithm) and map its draws back. They approximate the density of x, the
Jacobian of the transforms included; Laplace's mode, too, is that of this density.

The density is compiled once per model structure, by the Python linker, with the data as inputs.
Draws are independent. How far they can be trusted is told by the tail of the importance ratios
p(x)/q(x): its shape, Pareto k-hat, should be below min(1 - 1/log10(S), 0.7) for S draws (Vehtari,
Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed importance sampling", JMLR 25(72)).
"""

import threading
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from interventional.cache import StructureCache
from interventional.design import Floats
from interventional.exceptions import unknown
from interventional.priors import python_mode

if TYPE_CHECKING:
    import pymc as pm

    from interventional.inference import Sampling

Draws = dict[str, Floats]
Stats = dict[str, NDArray[Any]]
Build = Callable[[], "pm.Model"]

ENGINES = ("laplace", "advi", "pathfinder")

_densities = StructureCache(32)
_slopes = StructureCache(32)
_path_gaussians = StructureCache(32)

_ELEMENTS = 2**18  # draws times rows that are evaluated at once: what a processor's cache holds
_WEIGHED = 2**18  # draws times rows to spend on the k-hat of Laplace and ADVI
_FEWEST_WEIGHED = 250
_NEWTON_STEPS = 100
_FIXED_DRAWS = 64  # at least, that ADVI's ELBO is a mean over
_PATHS = 4
_ATTEMPTS = 10  # of a path to leave its start


def sample(
    engine: str, build: Build, data: Mapping[str, Any], key: Hashable, sampling: "Sampling"
) -> tuple[Draws, Stats, str]:
    """Draw from a Gaussian approximation of the posterior of an observed model.

    Parameters
    ----------
    engine : {"laplace", "advi", "pathfinder"}
        ``"laplace"`` takes mode and curvature: exact where the posterior is Gaussian. Elsewhere
        the mode is off the mean, for an intercept of counts by about parameters/(2 sum(y)).
        ``"advi"`` is mean-field: means are right where the posterior is Gaussian, but variances
        are those of a parameter given all others, too small if parameters are correlated.
        ``"pathfinder"`` picks Gaussians along four optimisation paths and resamples their draws by
        importance (Zhang, Carpenter, Gelman & Vehtari 2022, JMLR 23(306)).
    build : callable
        Returns the observed model.
    data : mapping
        The data of the model, by the names of its shared variables.
    key : hashable
        The structure of the model; equal keys share what is compiled.
    sampling : Sampling
        How many draws, from which seed. There is nothing to tune, and no process is started.

    Returns
    -------
    variables, sample_stats : dict
        Draws of every variable; and ``pareto_k``, the same number for every draw (NaN for fewer
        than 25 draws). Both by name, with leading shape (chains, draws).
    library : str
        Whose the engine is.

    Raises
    ------
    ValueError
        If the log density is not finite at its start, or not curved at its maximum.

    Warns
    -----
    ConvergenceWarning
        If k-hat is too high, or an optimiser stopped early.
    """
    if engine not in ENGINES:
        raise ValueError(unknown("inference", engine, ENGINES))
    density = _densities.get(key, lambda: compile_density(build(), data))
    posterior = LogPosterior(density, density.arrays(data))
    rng = np.random.default_rng(sampling.seed)
    size = sampling.chains * sampling.draws
    if engine == "laplace":
        x, ratios, troubles = _laplace(posterior, size, rng)
    elif engine == "advi":
        x, ratios, troubles = _advi(posterior, key, size, rng)
    else:
        x, ratios, troubles = _pathfinder(posterior, size, rng, sampling.verbose)
    k_hat, threshold = pareto_k(ratios)
    if k_hat > threshold:
        troubles = [*troubles, f"Pareto k-hat is {k_hat:.2f} (should be below {threshold:.2f})"]
    if troubles:
        warnings.warn(
            f"inference={engine!r} is a poor approximation of this posterior: "
            f"{'; '.join(troubles)}. Use inference='nuts'",
            ConvergenceWarning,
            stacklevel=2,
        )
    shape = (sampling.chains, sampling.draws)
    variables = {
        name: values.reshape(*shape, *values.shape[1:])
        for name, values in posterior.variables(x).items()
    }
    library = "pymc_extras" if engine == "pathfinder" else "interventional"
    return variables, {"pareto_k": np.full(shape, k_hat)}, library


def pareto_k(log_ratios: Floats) -> tuple[float, float]:
    """Return Pareto k-hat of importance ratios, and the threshold that it should not exceed.

    Parameters
    ----------
    log_ratios : ndarray of shape (draws,)
        Log of target over proposal density at draws from the proposal.
    """
    from arviz_stats.base import array_stats

    size = len(log_ratios)
    if size < 25:  # a tail of less than five
        return np.nan, np.nan
    threshold = min(1 - 1 / np.log10(size), 0.7)
    log_ratios = log_ratios[np.isfinite(log_ratios)]  # what is left out has no weight
    if len(log_ratios) < 25:
        return np.inf, threshold
    if np.ptp(log_ratios) < 1e-6:  # equal weights, up to rounding, have no tail
        return 0.0, threshold
    k_hat = float(array_stats.psislw(-log_ratios)[1])
    return (k_hat if np.isfinite(k_hat) else np.inf), threshold


# ---------------------------------------------------------------------------------------------
# The density
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Density:
    """The compiled log density of a model structure; every function takes the data last.

    Attributes
    ----------
    inputs : tuple
        PyTensor variables of the data.
    names : tuple of (str, bool)
        Variables of the model, and whether they depend on the parameters.
    splits : tuple of (str, int, shape)
        Parameter vectors are put together of these: name, position and shape of each part.
    start, slope, products, heights, outputs : callable
        Of nothing: where to start. Of x: log density and gradient. Of x and rows t: the products
        of the Hessian with them. Of many x: log densities; and values of the variables.
    compile_slopes : callable
        Compiles what gives log densities and gradients of many x.
    calling : Lock
        The inputs of a compiled function are its state.
    """

    inputs: tuple[Any, ...]
    names: tuple[tuple[str, bool], ...]
    splits: tuple[tuple[str, slice, tuple[int, ...]], ...]
    start: Callable[..., Any]
    slope: Callable[..., Any]
    products: Callable[..., Any]
    heights: Callable[..., Any]
    outputs: Callable[..., Any]
    compile_slopes: Callable[[], Callable[..., Any]]
    calling: threading.Lock

    def arrays(self, data: Mapping[str, Any]) -> list[NDArray[Any]]:
        """Return the data in the order and of the types of the inputs."""
        return [np.asarray(data[v.name], dtype=v.type.dtype) for v in self.inputs]


@dataclass(frozen=True)
class LogPosterior:
    """The log density of the unconstrained parameters given data, up to a constant."""

    density: Density
    arrays: list[NDArray[Any]]

    def start(self) -> Floats:
        """Return PyMC's initial point."""
        return np.concatenate([part.ravel() for part in self._call(self.density.start)])

    def slope(self, x: Floats) -> tuple[float, Floats]:
        """Return value and gradient at x."""
        value, gradient = self._call(self.density.slope, x)
        return float(value), gradient

    def curvature(self, x: Floats) -> Floats:
        """Return the negative Hessian at x."""
        rows = self._blocks(np.eye(len(x)))
        hessian = np.concatenate([self._call(self.density.products, x, t)[0] for t in rows])
        return -(hessian + hessian.T) / 2

    def heights(self, points: Floats) -> Floats:
        """Return the values at many points."""
        return np.concatenate(
            [self._call(self.density.heights, x)[0] for x in self._blocks(points)]
        )

    def slopes(self, compiled: Callable[..., Any], points: Floats) -> tuple[Floats, Floats]:
        """Return values and gradients at many points, by what the density compiled for it."""
        parts = [self._call(compiled, x) for x in self._blocks(points)]
        values, gradients = (np.concatenate(part) for part in zip(*parts, strict=True))
        return values, gradients

    def variables(self, points: Floats) -> Draws:
        """Return the model's variables at many points, constrained as they are in the model."""
        values = self._call(self.density.outputs, points)
        return {
            name: value if varies else np.repeat(value[None], len(points), axis=0)
            for (name, varies), value in zip(self.density.names, values, strict=True)
        }

    @property
    def rows(self) -> int:
        """The length of the longest data."""
        return max([1, *(len(array) for array in self.arrays if array.ndim)])

    def _blocks(self, points: Floats) -> list[Floats]:
        block = max(1, _ELEMENTS // self.rows)
        return [points[i : i + block] for i in range(0, len(points), block)]

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self.density.calling, np.errstate(all="ignore"):
            return function(*arguments, *self.arrays)


def compile_density(model: "pm.Model", data: Mapping[str, Any]) -> Density:
    """Compile the log density of a model over its parameters in one vector."""
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.initial_point import make_initial_point_expression
    from pymc.pytensorf import join_nonshared_inputs, rewrite_pregrad
    from pytensor.graph.replace import graph_replace, vectorize_graph
    from pytensor.graph.rewriting.utils import rewrite_graph
    from pytensor.graph.traversal import ancestors

    for rv in model.free_RVs:
        if not rv.type.dtype.startswith("float"):
            raise ValueError(f"{rv.name!r} is discrete, and has no Gaussian approximation")
    names = [variable.name for variable in (*model.free_RVs, *model.deterministics)]
    start = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms=model.rvs_to_transforms,
        initval_strategies=model.rvs_to_initial_values,
        return_transformed=True,
    )
    outputs = model.replace_rvs_by_values([*model.free_RVs, *model.deterministics])
    graph = [model.logp(), *outputs, *start]
    inputs: dict[str, Any] = {}
    replace = {v: inputs.setdefault(v.name, v.type(v.name)) for v in _data_of(graph, data)}
    if replace:
        graph = graph_replace(graph, replace)
    # Else log(1 - sigmoid(800)) is -inf. To make graphs canonical hides some of what makes them
    # stable (-s becomes -1 * s), so that comes second.
    log_density = rewrite_pregrad(rewrite_graph(graph[0], include=("stabilize",)))
    outputs, start = graph[1 : 1 + len(names)], graph[1 + len(names) :]

    def compiled(arguments: list[Any], results: Any) -> Any:
        return pm.compile(
            [*arguments, *inputs.values()], results, mode=_mode(), on_unused_input="ignore"
        )

    start_function = compiled([], start)
    arrays = [np.asarray(data[name], dtype=v.type.dtype) for name, v in inputs.items()]
    values = [model.rvs_to_values[rv] for rv in model.free_RVs]
    point = {v.name: x for v, x in zip(values, start_function(*arrays), strict=True)}
    joined, x = join_nonshared_inputs(point, [log_density, *outputs], values)
    gradient: Any = pt.grad(joined[0], x)
    tangent, tangents, points = pt.vector("t"), pt.matrix("tangents"), pt.matrix("points")
    product: Any = pt.grad(pt.dot(gradient, tangent), x)
    products = vectorize_graph(product, {tangent: tangents})
    heights, gradients, *many = vectorize_graph([joined[0], gradient, *joined[1:]], {x: points})
    ends = np.cumsum([0, *(value.size for value in point.values())])
    return Density(
        tuple(inputs.values()),
        tuple((name, x in set(ancestors([o]))) for name, o in zip(names, joined[1:], strict=True)),
        tuple(
            (rv.name, slice(int(a), int(b)), value.shape)
            for rv, a, b, value in zip(
                model.free_RVs, ends[:-1], ends[1:], point.values(), strict=True
            )
        ),
        start_function,
        compiled([x], [joined[0], gradient]),
        compiled([x, tangents], [products]),
        compiled([points], [heights]),
        compiled([points], many),
        lambda: compiled([points], [heights, gradients]),
        threading.Lock(),
    )


def _data_of(graph: list[Any], data: Mapping[str, Any]) -> list[Any]:
    """Return the shared variables of a graph that hold data."""
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.traversal import graph_inputs

    inputs = dict.fromkeys(graph_inputs(graph))
    return [v for v in inputs if isinstance(v, SharedVariable) and v.name in data]


@cache
def _mode() -> Any:
    """Return the Python mode, with a softplus that does not go element by element."""
    from pytensor.graph.rewriting.basic import in2out, node_rewriter
    from pytensor.scalar.math import softplus
    from pytensor.tensor.elemwise import Elemwise

    vectorised = Elemwise(softplus, nfunc_spec=("scipy.special.softplus", 1, 1))

    @node_rewriter([Elemwise])
    def use_scipy(fgraph: Any, node: Any) -> Any:
        if node.op.scalar_op == softplus and node.op.nfunc_spec is None:
            return [vectorised(*node.inputs)]
        return None

    return python_mode().register((in2out(use_scipy), 100.0))


# ---------------------------------------------------------------------------------------------
# Laplace
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian x, and coordinates in which it is standard normal.

    Attributes
    ----------
    mean, scale : ndarray of shape (parameters,)
        Mean of x, and what gives its precision a unit diagonal.
    factor : ndarray of shape (parameters, parameters)
        Lower Cholesky factor of the precision of ``x / scale``.
    """

    mean: Floats
    scale: Floats
    factor: Floats

    def shift(self, z: Floats) -> Floats:
        """Return ``x - mean`` for z (..., parameters) in the coordinates."""
        return (
            self.scale
            * solve_triangular(self.factor, z.T, lower=True, trans="T", check_finite=False).T
        )

    def pull(self, gradient: Floats) -> Floats:
        """Return a gradient by z, given that by x."""
        return solve_triangular(self.factor, self.scale * gradient, lower=True, check_finite=False)

    def draw(self, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return draws, and their log density."""
        z = rng.standard_normal((size, len(self.mean)))
        log_volume = np.log(self.scale).sum() - np.log(np.diag(self.factor)).sum()
        return self.mean + self.shift(z), _log_normal(z) - log_volume


def _log_normal(z: Floats) -> Floats:
    return -0.5 * (z**2).sum(axis=1) - z.shape[1] / 2 * np.log(2 * np.pi)


def _laplace(
    posterior: LogPosterior, size: int, rng: np.random.Generator
) -> tuple[Floats, Floats, list[str]]:
    """Return draws of x, log importance ratios of some of them, and what went wrong."""
    approximation, troubles = _at_the_mode(posterior)
    x, log_q = approximation.draw(size, rng)
    return x, _log_ratios(posterior, x, log_q), troubles


def _log_ratios(posterior: LogPosterior, x: Floats, log_q: Floats) -> Floats:
    """Return log p/q at the first draws, as many as are quickly weighed."""
    weighed = max(_WEIGHED // posterior.rows, _FEWEST_WEIGHED)
    return posterior.heights(x[:weighed]) - log_q[:weighed]


def _at_the_mode(posterior: LogPosterior) -> tuple[Gaussian, list[str]]:
    """Return the Gaussian with the posterior's mode and curvature there, and what went wrong.

    Newton's method with halved steps. Where the density is not curved downwards, curvatures are
    taken by their absolute value (Nocedal & Wright 2006, "Numerical Optimization", section 3.4).
    The distance left is measured in standard deviations of the posterior, which does not depend
    on the units of the predictors.
    """
    x = posterior.start()
    value, gradient = posterior.slope(x)
    if not np.isfinite(value):
        raise ValueError(
            "the log density of the posterior is not finite where PyMC starts; give priors "
            "whose location is possible"
        )
    troubles = ["the maximum of the density was not found"]
    gain = np.inf
    for _ in range(_NEWTON_STEPS):
        curvature = posterior.curvature(x)
        scale, factor = _unit_diagonal(curvature)
        if factor is None:
            step = _uphill(curvature, scale, gradient)
        else:
            step = scale * cho_solve((factor, True), scale * gradient)
        before, gain = gain, float(step @ gradient)  # the squared distance, for a Gaussian
        if gain < 1e-10 and factor is not None:
            if gain < 0.1 * before:  # else it creeps to where there is no curvature
                troubles = []
            break
        moved = _climb(posterior, x, value, step, gain)
        if moved is None:
            break
        x, value, gradient = moved
    if factor is None:
        raise ValueError(
            "inference='laplace' needs a posterior that is curved downwards in all directions at "
            "its mode, and this one is not: some parameters are not determined, or the density "
            "has no maximum. Give informative priors, or use inference='nuts'"
        )
    return Gaussian(x, scale, factor), troubles


def _at_the_start(posterior: LogPosterior) -> Gaussian:
    """Return a Gaussian where PyMC starts, with the curvature there as far as it is one."""
    start = posterior.start()
    scale, factor = _unit_diagonal(posterior.curvature(start))
    return Gaussian(start, scale, np.eye(len(start)) if factor is None else factor)


def _unit_diagonal(curvature: Floats) -> tuple[Floats, Floats | None]:
    """Return the scale that gives a curvature a unit diagonal, and its Cholesky factor then.

    There is none if the curvature has directions of none, up to rounding.
    """
    diagonal = np.abs(np.diag(curvature))
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    try:
        factor = np.linalg.cholesky(scale[:, None] * curvature * scale)
    except np.linalg.LinAlgError:
        return scale, None
    return scale, (factor if np.diag(factor).min() > 1e-6 else None)


def _uphill(curvature: Floats, scale: Floats, gradient: Floats) -> Floats:
    """Return Newton's step with absolute curvatures."""
    scaled = scale[:, None] * curvature * scale
    if not np.isfinite(scaled).all():
        return scale * gradient
    values, vectors = np.linalg.eigh(scaled)
    size = np.abs(values)
    size = np.maximum(size, 1e-6 * size.max() + np.finfo(float).tiny)
    return scale * (vectors @ ((vectors.T @ (scale * gradient)) / size))


def _climb(
    posterior: LogPosterior, x: Floats, value: float, step: Floats, gain: float
) -> tuple[Floats, float, Floats] | None:
    """Return point, value and gradient a sufficient part of the step on; None if there is none."""
    rounding = 1e-13 * abs(value)
    for halvings in range(50):
        part = 0.5**halvings
        reached, gradient = posterior.slope(x + part * step)
        enough = value + 1e-4 * part * gain - rounding
        if np.isfinite([reached, *gradient]).all() and reached >= enough:
            return x + part * step, reached, gradient
    return None


# ---------------------------------------------------------------------------------------------
# ADVI
# ---------------------------------------------------------------------------------------------


def _advi(
    posterior: LogPosterior, key: Hashable, size: int, rng: np.random.Generator
) -> tuple[Floats, Floats, list[str]]:
    """Return draws of x, log importance ratios of some of them, and what went wrong.

    The ELBO of a mean-field Gaussian (Kucukelbir, Tran, Ranganath, Gelman & Blei 2017, JMLR
    18(14)) as a mean over fixed draws, which a quasi-Newton method can climb (Giordano, Ingram &
    Broderick 2024, JMLR 25(18)), as `pymc_extras.fit_dadvi` has it. First and second moments of
    the fixed draws are those of the standard normal distribution, so that nothing of their noise
    is left where the posterior is Gaussian. Laplace's mode and curvature are start and units.
    """
    p = len(posterior.start())
    try:
        center, _ = _at_the_mode(posterior)
    except ValueError:
        center = _at_the_start(posterior)
    slopes = _slopes.get(key, posterior.density.compile_slopes)
    half = max(p, _FIXED_DRAWS // 2)
    z = np.sqrt(half) * np.linalg.qr(rng.standard_normal((half, p)))[0]
    z = np.concatenate([z, -z])
    level = posterior.slope(center.mean)[0]

    def negative_elbo(parameters: Floats) -> tuple[float, Floats]:
        v, log_scale = parameters[:p], parameters[p:]
        noise = np.exp(log_scale) * z
        values, gradients = posterior.slopes(
            slopes, center.mean + center.shift(v) + center.scale * noise
        )
        elbo = values.mean() - level + log_scale.sum()
        if not (np.isfinite(elbo) and np.isfinite(gradients).all()):
            return np.inf, np.zeros(2 * p)
        by_loc = center.pull(gradients.mean(axis=0))
        by_log_scale = (gradients * center.scale * noise).mean(axis=0) + 1
        return -elbo, -np.concatenate([by_loc, by_log_scale])

    with np.errstate(all="ignore"):
        found = minimize(
            negative_elbo,
            np.zeros(2 * p),
            jac=True,
            method="L-BFGS-B",
            options={"ftol": 1e-8, "gtol": 1e-4, "maxiter": 500, "maxfun": 1000},
        )
    v, log_scale = found.x[:p], found.x[p:]
    standard = rng.standard_normal((size, p))
    x = center.mean + center.shift(v) + center.scale * np.exp(log_scale) * standard
    log_q = _log_normal(standard) - np.log(center.scale).sum() - log_scale.sum()
    troubles = [] if found.success else ["the maximum of the ELBO was not found"]
    return x, _log_ratios(posterior, x, log_q), troubles


def _progress(size: int, what: str, verbose: bool) -> Iterable[int]:
    """Count, with a bar that shows it if verbose."""
    if not verbose:
        return range(size)
    from rich.progress import track

    return track(range(size), description=what)


# ---------------------------------------------------------------------------------------------
# Pathfinder
# ---------------------------------------------------------------------------------------------


def _pathfinder(
    posterior: LogPosterior, size: int, rng: np.random.Generator, verbose: bool
) -> tuple[Floats, Floats, list[str]]:
    """Return resampled draws of x, log importance ratios before, and what went wrong.

    These are the parts of `pymc_extras.fit_pathfinder`, which would compile them at each call.
    Their coordinates are those in which the curvature where PyMC starts is one, so that jitter and
    L-BFGS suit all predictors.
    """
    from pymc_extras.inference.pathfinder.importance_sampling import importance_sampling

    begin = _at_the_start(posterior)
    seeds = rng.spawn(_PATHS)
    each = -(-2 * size // _PATHS)
    paths = [
        _path(posterior, begin, each, seeds[i]) for i in _progress(_PATHS, "Pathfinder", verbose)
    ]
    found = [path for path in paths if path is not None]
    if not found:
        raise ValueError(
            "inference='pathfinder': no path led from the start to a maximum of the density; give "
            "informative priors, or use inference='nuts'"
        )
    z, log_p, log_q = (np.stack(parts) for parts in zip(*found, strict=True))
    chosen = importance_sampling(
        z, log_p, log_q, size, "psir", random_seed=int(rng.integers(2**31))
    ).samples
    troubles = []
    if len(found) < _PATHS:
        troubles.append(f"{_PATHS - len(found)} of {_PATHS} paths led nowhere")
    return begin.mean + begin.shift(rng.permutation(chosen)), (log_p - log_q).ravel(), troubles


def _path(
    posterior: LogPosterior, begin: Gaussian, size: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats] | None:
    """Return draws from the best Gaussian along a path, their log p and log q; None if none."""
    from pymc_extras.inference.pathfinder.lbfgs import (
        LBFGS,
        LBFGSConfig,
        LBFGSStatus,
        LBFGSStreamingCallback,
    )

    p = len(begin.mean)
    config = LBFGSConfig(ftol=1e-9).set_default_maxcor(p)
    gaussian, calling = _path_gaussians.get(
        (p, config.maxcor), lambda: _compile_path_gaussian(p, config.maxcor)
    )

    def objective(z: Floats) -> tuple[float, Floats]:
        value, gradient = posterior.slope(begin.mean + begin.shift(z))
        return -value, -begin.pull(gradient)

    def draw(*state: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        with calling, np.errstate(all="ignore"):
            z, log_q, _, variance = gaussian(*state)
        return z, log_q, posterior.heights(begin.mean + begin.shift(z)), variance

    for _ in range(_ATTEMPTS):
        first = rng.uniform(-2.0, 2.0, p)
        callback = LBFGSStreamingCallback(
            objective, first, draw, 10, rng, config.maxcor, config.epsilon
        )
        optimiser = LBFGS(
            objective,
            config.maxcor,
            config.maxiter,
            config.ftol,
            config.gtol,
            config.maxls,
            config.epsilon,
        )
        steps, status = optimiser.minimize_streaming(callback, first)
        if status != LBFGSStatus.LBFGS_FAILED and steps >= 2 and callback.any_valid:
            best = callback.best_state
            noise = rng.standard_normal((size, p))
            z, log_q, log_p, _ = draw(
                *(best[name] for name in ("x", "g", "alpha", "s_win", "z_win")), noise
            )
            return z, log_p, log_q
    return None


def _compile_path_gaussian(size: int, memory: int) -> tuple[Callable[..., Any], threading.Lock]:
    """Compile pymc_extras' Gaussian of an L-BFGS state; its model here is only a size."""
    import pymc as pm
    from pymc_extras.inference.pathfinder.bfgs_sample import make_pathfinder_sample_fn

    with pm.Model(model=None) as model:
        pm.Flat("x", shape=size)
    function = make_pathfinder_sample_fn(
        model, size, memory, jacobian=True, compile_kwargs={"mode": _mode()}, vectorize=True
    )
    return function, threading.Lock()
