"""Log densities of the priors of scales, up to a constant, and a value that each allows.

Those that are known in closed form are had so; of the others PyMC is asked.
"""

import threading
from functools import partial
from typing import Any

import numpy as np

from interventional.inference.exact import LogDensity
from interventional.inference.scales import Scale
from interventional.numbers import Floats
from interventional.scm.compiling import StructureCache, python_mode
from interventional.scm.equations import Equation
from interventional.scm.prior_densities import OfLog, of_log
from interventional.scm.priors import Group, PriorSpec

_FARTHEST = -300.0, 300.0  # logs of scales
_POINTS, _ROUNDS = 201, 3
_compiled = StructureCache(64)
_calling = threading.Lock()  # the inputs of a compiled function are its state


def density_of(prior: PriorSpec) -> tuple[LogDensity, float]:
    """Return the log density of one distribution with known numbers, and a likely value.

    Of a number that is fixed nobody asks the density.
    """
    if prior.fixed is not None:
        return np.zeros_like, prior.fixed
    known = of_log(prior)
    if known is not None:
        return partial(_of_scale, known), _likely(known)
    names = sorted(prior.parameters)

    def compile_prior() -> Any:
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt
        from pymc.distributions.distribution import support_point

        scale, numbers = pt.vector("scale"), pt.vector("numbers")
        parameters = {name: numbers[k] for k, name in enumerate(names)}
        variable = getattr(pm, prior.distribution).dist(**parameters)
        outputs = [pm.logp(variable, scale), support_point(variable)]
        return pytensor.function(
            [scale, numbers], outputs, mode=python_mode(), on_unused_input="ignore"
        )

    function = _compiled.get((prior.distribution, tuple(names)), compile_prior)
    numbers = np.array([float(np.asarray(prior.parameters[name])) for name in names])

    def evaluate(scale: Floats) -> Any:
        with _calling:
            return function(scale, numbers)

    return (lambda scale: evaluate(scale)[0]), float(evaluate(np.ones(1))[1])


def _of_scale(known: OfLog, scale: Floats) -> Floats:
    """Return the log density of scales, given that of their logs."""
    with np.errstate(all="ignore"):  # far out in the tails, where it is nothing
        t = np.log(scale)
        values = known(t)[0] - t
    return np.where(np.isnan(values), -np.inf, values)


def _likely(known: OfLog) -> float:
    """Return the scale whose log is densest: where the slope of the density turns."""
    low, high = _FARTHEST
    with np.errstate(all="ignore"):
        for _ in range(_ROUNDS):
            t = np.linspace(low, high, _POINTS)
            rising = known(t)[1] > 0
            k = int(np.argmin(rising)) if not rising.all() else _POINTS - 1
            low, high = t[max(k - 1, 0)], t[k]
    return float(np.exp(0.5 * (low + high)))


def of_sigma(equation: Equation) -> tuple[LogDensity, float]:
    """Return the log density of the prior of an equation's sigma, and a likely value."""
    assert equation.priors.sigma is not None
    return density_of(equation.priors.sigma)


def of_group(group: Group) -> tuple[LogDensity, float]:
    """Return the same of the one scale that the prior of some coefficients learns."""
    sigma = group.prior.parameters.get("sigma")
    if isinstance(sigma, PriorSpec):
        return density_of(sigma)
    return density_of(PriorSpec.of("HalfCauchy", beta=1.0))  # ridge


def units_of(group: Group) -> Floats:
    """Return what scales of what differs between groups are measured in."""
    return np.asarray(group.prior.parameters["unit"], dtype=np.float64)


def of_effects(group: Group, unit: Floats) -> tuple[Scale, ...]:
    """Return the priors of the scales of what differs between groups, in some units."""
    found = []
    for prior, size in zip(group.prior.of_effects, unit, strict=True):
        log_density, likely = density_of(prior)

        def in_units(
            scale: Floats, log_density: LogDensity = log_density, size: float = size
        ) -> Floats:
            return log_density(scale * size)

        found.append(Scale.of(in_units, likely / size))
    return tuple(found)
