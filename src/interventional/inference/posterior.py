"""Draws of the parameters of equations, and what they are called."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from interventional.answers.law import Law
from interventional.answers.support import Gap
from interventional.inference import diagnostics
from interventional.numbers import Floats
from interventional.scm.equations import Equation, StructuralModel
from interventional.scm.shrinkage import AUXILIARY

if TYPE_CHECKING:
    import xarray as xr


def _untold(detail: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Sampling:
    """How to draw: sizes, seed, what to show, and how often NUTS should accept a step.

    How far a draw is, an engine may `tell`.
    """

    draws: int
    tune: int
    chains: int
    seed: int
    n_jobs: int
    verbose: bool
    target_accept: float = 0.8
    tell: Callable[[str], None] = field(default=_untold, repr=False, compare=False)

    @classmethod
    def of(
        cls, draws: Any, tune: Any, chains: Any, random_state: Any, n_jobs: Any, *, verbose: bool
    ) -> "Sampling":
        """Return what the estimator's parameters say, its `random_state` asked for a seed."""
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        jobs = joblib.effective_n_jobs(n_jobs)
        return cls(int(draws), int(tune), int(chains), int(seed), jobs, verbose)  # bools are ints


@dataclass(frozen=True)
class Posterior:
    """Draws of one equation's parameters.

    Attributes
    ----------
    engine, library : str
        Who drew: the engine, and the library whose it is.
    variables : dict
        Draws by name, each of shape (chains, draws, ...).
    sample_stats : dict
        What the sampler reports, each of shape (chains, draws); empty for independent draws.
    troubles : sequence of str
        What is wrong with the draws; empty if all is well.
    gaps : sequence of Gap
        What the slopes of columns are within groups of rows, and between them; empty where there
        are no groups, or nobody has looked.
    law : Law or None
        What the coefficients are draws of, where that is known in closed form.
    """

    engine: str
    library: str
    variables: Mapping[str, Floats]
    sample_stats: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    troubles: Sequence[str] = ()
    gaps: Sequence[Gap] = ()
    law: Law | None = None


def to_datatree(model: StructuralModel, posteriors: Sequence[Posterior]) -> "xr.DataTree":
    """Return all draws as ArviZ takes them, with named dimensions and coordinates."""
    import xarray as xr

    sample = ("chain", "draw")
    chains, draws = posteriors[-1].variables[f"{model.outcome}_beta"].shape[:2]
    coords: dict[str, Any] = {"chain": np.arange(chains), "draw": np.arange(draws)}
    variables: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    pairs = list(zip(model.equations, posteriors, strict=True))
    for equation, posterior in pairs:
        dims, own = _dims(equation)
        coords |= own
        for name, values in posterior.variables.items():
            variables[name] = ((*sample, *dims.get(name, ())), values)
        prefix = "" if equation is model.of_outcome else f"{equation.node}_"
        stats |= {prefix + name: (sample, v) for name, v in posterior.sample_stats.items()}
    attributes = origin(posteriors[-1])
    if model.graph is not None:
        attributes["inference_by_node"] = [f"{e.node}: {p.engine}" for e, p in pairs]
    groups = {"/posterior": xr.Dataset(variables, coords, attributes)}
    if stats:
        own = {name: coords[name] for name in sample}
        groups["/sample_stats"] = xr.Dataset(stats, own, attributes)
    return xr.DataTree.from_dict(groups)


def origin(posterior: Posterior) -> dict[str, Any]:
    """Return what a group of draws says of where they are from."""
    return {
        "inference_library": posterior.library,
        "creation_library": "interventional",
        "creation_library_version": _version(),
        "inference": posterior.engine,
        "sample_dims": ["chain", "draw"],
    }


@cache
def _version() -> str:
    from importlib.metadata import version

    return version("interventional")


def label(equation: Equation, variable: str, position: tuple[int, ...]) -> str:
    """Return what an element of a variable is called: ``y_beta['price']``."""
    dims, coords = _dims(equation)
    own = dims.get(variable, ())
    if len(own) != len(position):
        return diagnostics.by_position(variable, position)
    labels = [repr(str(coords[dim][at])) for dim, at in zip(own, position, strict=True)]
    return f"{variable}[{', '.join(labels)}]" if labels else variable


def _dims(equation: Equation) -> tuple[dict[str, tuple[str, ...]], dict[str, NDArray[Any]]]:
    """Return dimensions of the variables of an equation, and coordinates of these."""
    name = equation.node
    dims: dict[str, tuple[str, ...]] = {f"{name}_beta": (f"{name}_term",)}
    if equation.n_blocks > 1:
        dims[f"{name}_intercept"] = (f"{name}_block",)
    if equation.surface is not None:
        of = zip(equation.of_surface, ("component", "range", "weight"), strict=True)
        dims |= {variable: (f"{name}_{dim}",) for variable, dim in of}
    for group in equation.priors.groups:
        variable, own = equation.group_name(group), (equation.dim(group),)
        dims[variable] = own
        dims[f"{variable}_offset"] = own  # of a user's prior that is not centred
        if group.prior.n_groups:
            effect = equation.effect_dim(group)
            dims[f"{variable}_sd"], dims[f"{variable}_corr"] = (effect,), (effect, f"{effect}_")
            dims[f"{variable}_raw"] = own
        for ending, per_term in AUXILIARY.get(group.prior.distribution, {}).items():
            if per_term:
                dims[f"{variable}{ending}"] = own
    return dims, {dim: np.asarray(labels, dtype=str) for dim, labels in equation.coords.items()}
