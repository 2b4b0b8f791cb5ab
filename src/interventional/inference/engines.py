"""From a structural model and what it saw of the data to draws: who draws each equation."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interventional.answers.law import Law
from interventional.data.seen import DistinctRows, Seen, SufficientStatistics
from interventional.data.seen_by_level import SeenByLevel
from interventional.data.seen_surface import SeenSurface
from interventional.errors import unknown
from interventional.inference import (
    bounded,
    diagnostics,
    exact,
    hierarchical,
    known_errors,
    laplace,
    nuts,
    shrunk,
    surfaces,
    unbuilt,
    varying,
)
from interventional.inference.posterior import Posterior, Sampling, label
from interventional.inference.progress import told
from interventional.inference.scale_priors import of_group, of_sigma
from interventional.inference.short_chains import Layout
from interventional.numbers import Floats
from interventional.scm.equations import Equation, StructuralModel
from interventional.scm.observed import OBSERVED, observed_data, observed_model
from interventional.scm.shrinkage import TARGET_ACCEPT

if TYPE_CHECKING:
    import pymc as pm


class Drawn(NamedTuple):
    """What an engine makes: as in `Posterior`."""

    variables: dict[str, Floats]
    stats: dict[str, NDArray[Any]]
    library: str
    troubles: list[str]
    law: Law | None = None


INFERENCES = ("auto", "exact", "nuts", "laplace")


def infer_all(
    model: StructuralModel,
    seen: Sequence[Seen | None],
    inference: str,
    sampling: Sampling,
) -> list[Posterior]:
    """Draw from the posterior of every equation; all nodes are observed, so it factorises.

    The outcome's draws are the same whichever equations stand beside it. Where more chains may
    run side by side than an equation has, so do equations that take NUTS.

    Warns
    -----
    ConvergenceWarning
        Once, of all equations whose draws cannot be trusted.
    """
    last = len(model.equations) - 1

    def draw(k: int) -> Posterior:
        seed = sampling.seed
        if k < last:
            seed = int(np.random.SeedSequence([seed, k]).generate_state(1)[0] >> 1)
        return infer(model.equations[k], seen[k], inference, replace(sampling, seed=seed))

    by_nuts = [equation.engine(inference) for equation in model.equations].count("nuts")
    side_by_side = min(sampling.n_jobs // sampling.chains, by_nuts)
    if side_by_side < 2:
        posteriors = [draw(k) for k in range(last + 1)]
    else:
        with ThreadPoolExecutor(side_by_side) as pool:
            posteriors = list(pool.map(draw, range(last + 1)))
    pairs = list(zip(model.equations, posteriors, strict=True))
    troubles = {equation.node: posterior.troubles for equation, posterior in pairs}
    engine = next((posterior.engine for _, posterior in pairs if posterior.troubles), "")
    diagnostics.warn(engine, troubles, several=last > 0)
    return posteriors


def infer(
    equation: Equation,
    seen: Seen | None,
    inference: str,
    sampling: Sampling,
) -> Posterior:
    """Draw from the posterior of an equation's parameters.

    The observed model is built once per structure, where NUTS or Laplace take it; the exact engine
    knows its density in closed form.
    """
    if inference not in INFERENCES:
        raise ValueError(unknown("inference", inference, INFERENCES))
    assert seen is not None
    engine, name = equation.engine(inference), equation.node
    n_draws = sampling.chains * sampling.draws
    with told(sampling.verbose, f"{name}: {n_draws:,} draws, inference={engine!r}") as stage:
        sampling = replace(sampling, tell=stage.tell)
        drawn = None
        if inference == "auto" and engine == "nuts":
            engine, drawn = _without_compiling(equation, seen, sampling)
        drawn = drawn or ENGINES[engine](equation, seen, sampling)
    # What the sampler moves in stead of coefficients is nobody's parameter.
    variables = {k: value for k, value in drawn.variables.items() if not k.endswith("_raw")}
    if equation.has_intercept:  # from the means of the predictors to zero
        beta = variables[f"{name}_beta"]
        if equation.n_blocks > 1:
            beta = beta.reshape(*beta.shape[:2], equation.n_blocks, -1)
        variables[f"{name}_intercept"] = variables[f"{name}_intercept"] - beta @ seen.x_mean
    made = drawn.library, variables, drawn.stats, drawn.troubles
    return Posterior(engine, *made, law=drawn.law)


def _exact(equation: Equation, seen: Seen, sampling: Sampling) -> Drawn:
    """Draw independently from the exact posterior."""
    n_draws = sampling.chains * sampling.draws
    rng = np.random.default_rng(sampling.seed)
    priors, scales = equation.priors, dict[str, Floats]()
    stats, troubles, law = dict[str, Floats](), list[str](), None
    if isinstance(seen, SeenSurface):
        draws = surfaces.draw(equation, seen, n_draws, rng, of_sigma(equation)[0])
    elif isinstance(seen, SeenByLevel) or len(priors.learnt) > 1:
        assert isinstance(seen, SeenByLevel | SufficientStatistics)
        draws, scales, found = varying.draw(equation, seen, n_draws, rng)
        figures = {"effective_size": found.effective_size, "pareto_k": found.k_hat}
        shape = sampling.chains, sampling.draws
        stats = {name: np.full(shape, figure) for name, figure in figures.items()}
        troubles = [] if found.trouble is None else [found.trouble]
    elif isinstance(seen, DistinctRows):
        draws = known_errors.draw(equation, seen, *of_sigma(equation), n_draws, rng)
    elif priors.bounding:
        assert isinstance(seen, SufficientStatistics)
        fixed = priors.fixed_sigma is not None
        exact.refuse_improper(equation, seen, None if fixed else of_sigma(equation)[0])
        layout = Layout.of(sampling.chains, sampling.draws)
        draws, share = bounded.draw(equation, seen, *of_sigma(equation), layout, rng)
        stats, troubles = layout.judged(share)
    elif priors.learning is None:
        assert isinstance(seen, SufficientStatistics)
        draws, law = exact.draw(equation, seen, *of_sigma(equation), n_draws, rng)
    else:
        assert isinstance(seen, SufficientStatistics)
        learning = priors.learning
        mu, unit = learning.prior.location_and_unit(len(learning.terms))
        hierarchy = hierarchical.Hierarchy(learning.terms, mu, unit, *of_group(learning))
        draws = hierarchical.draw(equation, seen, hierarchy, *of_sigma(equation), n_draws, rng)
        scales[equation.scale_name(learning)] = draws.pop("tau")
    variables = _by_chain(equation, draws, scales, sampling)
    return Drawn(variables, stats, "interventional", troubles, law)


def _without_compiling(
    equation: Equation, seen: Seen, sampling: Sampling
) -> tuple[str, Drawn | None]:
    """Return an engine that needs no compiled model, with its draws; else NUTS, without any."""
    rng, n_draws = np.random.default_rng(sampling.seed), sampling.chains * sampling.draws
    found = None
    if isinstance(seen, DistinctRows):
        found = unbuilt.draw(equation, seen, n_draws, rng)
    elif isinstance(seen, SufficientStatistics) and equation.priors.shrinks:
        found = shrunk.draw(equation, seen, n_draws, rng)
    if found is None:
        return "nuts", None
    shape = sampling.chains, sampling.draws
    variables = {name: v.reshape(*shape, *v.shape[1:]) for name, v in found.variables.items()}
    stats = {name: np.full(shape, figure) for name, figure in found.figures.items()}
    made = _with_groups(equation, variables)
    return found.engine, Drawn(made, stats, "interventional", [])


def _with_groups(equation: Equation, variables: dict[str, Floats]) -> dict[str, Floats]:
    """Return draws with those of each group of coefficients, where there are several."""
    if len(equation.priors.groups) > 1:  # the model has a variable for each group
        beta = variables[f"{equation.node}_beta"]
        for group in equation.priors.groups:
            variables[equation.group_name(group)] = beta[..., list(group.terms)]
    return variables


def _by_chain(
    equation: Equation,
    draws: Mapping[str, Floats],
    scales: Mapping[str, Floats],
    sampling: Sampling,
) -> dict[str, Floats]:
    """Return independent draws of parameters, and those of scales, under their names."""
    name = equation.node
    named = {f"{name}_{parameter}": values for parameter, values in draws.items()} | {**scales}
    variables = {
        key: values.reshape(sampling.chains, sampling.draws, *values.shape[1:])
        for key, values in named.items()
    }
    return _with_groups(equation, variables)


def _nuts(equation: Equation, seen: Seen, sampling: Sampling) -> Drawn:
    """Draw by NUTS from the observed PyMC model."""
    build, numbers, key = _observed(equation, seen)
    if equation.priors.shrinks:
        sampling = replace(sampling, target_accept=TARGET_ACCEPT)
    # nutpie compiles for a number of parameters, and of what a Gaussian equation observes.
    key = (key, len(equation.coefficients), len(numbers.get(OBSERVED, ())))
    return Drawn(*nuts.sample(build, numbers, key, sampling, partial(label, equation)))


def _laplace(equation: Equation, seen: Seen, sampling: Sampling) -> Drawn:
    """Draw from Laplace's approximation of the posterior.

    It is compiled from the observed PyMC model where it has no closed form here.
    """
    if isinstance(seen, SeenSurface):
        rng, n_draws = np.random.default_rng(sampling.seed), sampling.chains * sampling.draws
        of = (of_sigma(equation)[0],) if equation.is_heavy else ()
        draws = surfaces.draw(equation, seen, n_draws, rng, *of)
        return Drawn(_by_chain(equation, draws, {}, sampling), {}, "interventional", [])
    closed = unbuilt.posterior(equation, seen) if isinstance(seen, DistinctRows) else None
    if closed is None:
        sampling.tell("compiling")
    posterior = closed or laplace.compiled(*_observed(equation, seen))
    variables, stats, library, troubles = laplace.sample(posterior, sampling)
    return Drawn(_with_groups(equation, variables), stats, library, troubles)


ENGINES: Mapping[str, Callable[[Equation, Seen, Sampling], Drawn]] = {
    "exact": _exact,
    "nuts": _nuts,
    "laplace": _laplace,
}


def _key(equation: Equation, seen: Seen) -> Hashable:
    """Return what two observed models share if one compiled graph serves both."""
    # A lognormal equation is Gaussian in logarithms.
    family = None if equation.record.inner is not None else equation.family
    return equation.node, equation.priors.skeleton, family, equation.n_blocks, seen.structure


def _observed(
    equation: Equation, seen: Seen
) -> tuple[Callable[[], "pm.Model"], dict[str, Any], Hashable]:
    """Return what builds the observed model, its data, and `_key`.

    A Gaussian equation whose posterior does not exist is refused.
    """
    if isinstance(seen, SufficientStatistics):
        sigma, log_prior = equation.priors.sigma, None
        if sigma is not None and sigma.is_plain and sigma.fixed is None:
            log_prior, _ = of_sigma(equation)
        exact.refuse_improper(equation, seen, log_prior)
    elif isinstance(seen, DistinctRows) and seen.errors is not None:
        known_errors.refuse_undetermined(equation, seen)
    build = partial(observed_model, equation, seen)
    return build, observed_data(equation, seen), _key(equation, seen)
