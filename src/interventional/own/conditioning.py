"""From a skeleton and rows to draws: `pm.observe`, and whoever samples."""

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interventional.errors import listed
from interventional.inference import diagnostics, laplace, nuts
from interventional.inference.posterior import Posterior, Sampling
from interventional.inference.progress import told
from interventional.numbers import Floats
from interventional.own.lifting import lifted
from interventional.own.skeleton import Skeleton, copied, without, without_starts
from interventional.own.structure import structure
from interventional.scm.compiling import building

if TYPE_CHECKING:
    import pymc as pm

INFERENCES = ("auto", "nuts", "laplace", "advi", "pathfinder")
_STEPS, _LEARNING_RATE = 20_000, 0.01  # of ADVI


@dataclass(frozen=True, eq=False)
class Rows:
    """What a model is conditioned on.

    Attributes
    ----------
    columns : mapping
        The values of each column that the model has, (n,), as whole numbers where it has those.
    target : ndarray of shape (n,)
        The outcomes.
    """

    columns: Mapping[str, NDArray[Any]]
    target: NDArray[Any]

    @classmethod
    def of(
        cls, skeleton: Skeleton, names: tuple[str, ...], values: Floats, target: Floats
    ) -> "Rows":
        """Return encoded rows as the model takes them."""
        columns = typed_columns(skeleton, names, values, skeleton.columns)
        return cls(columns, typed(skeleton, skeleton.outcome, target))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.target)


def typed(skeleton: Skeleton, name: str, values: Floats) -> NDArray[Any]:
    """Return values of a variable as its type has them, not shared with anybody."""
    dtype = skeleton.dtype(name)
    if dtype.kind in "iub":
        most = 1 if dtype.kind == "b" else np.iinfo(dtype).max
        strays = ~(np.isfinite(values) & (np.floor(values) == values) & (np.abs(values) <= most))
        if strays.any():
            row = int(np.argmax(strays))
            raise ValueError(
                f"the model has {name!r} as {dtype}, of whole numbers of at most {most}; it holds "
                f"{values[row]:g} in row {row}"
            )
    return np.array(values, dtype=dtype)


def typed_columns(
    skeleton: Skeleton, names: tuple[str, ...], values: Floats, wanted: Iterable[str]
) -> dict[str, NDArray[Any]]:
    """Return some columns of encoded rows, whose columns have names, as the model takes them."""
    return {name: typed(skeleton, name, values[:, names.index(name)]) for name in wanted}


def _observed_name(name: str) -> str:
    return f"{name}__observed"


def with_rows(skeleton: Skeleton, columns: Mapping[str, NDArray[Any]], n: int) -> "pm.Model":
    """Return a copy of the model that has rows: their number, and the data among their columns."""
    model = copied(skeleton.model)
    resize(model, skeleton.rows, n)
    for name in skeleton.fixed:
        set_column(model, name, columns[name])
    return model


def resize(model: "pm.Model", rows: str, n: int, labels: Any = None) -> None:
    """Set how many rows a model has, where that is no matter of its data."""
    from pytensor.compile.sharedvalue import SharedVariable

    labels = np.arange(n) if labels is None else labels
    if isinstance(model.dim_lengths[rows], SharedVariable):
        model.set_dim(rows, n, coord_values=labels)


def set_column(model: "pm.Model", name: str, values: NDArray[Any]) -> None:
    """Set the data of a column: `set_data` would ask for the labels of the rows again."""
    model[name].set_value(np.asarray(values))


def observed_model(skeleton: Skeleton, rows: Rows) -> "pm.Model":
    """Return the observed model of rows; what it observes can be swapped, of any length."""
    import pymc as pm
    import pytensor

    # Not pm.Data, which would turn whole numbers into others, and not what the user holds.
    held = {
        name: pytensor.shared(values, name=_observed_name(name), shape=(None,))
        for name, values in _random(skeleton, rows).items()
    }
    model = with_rows(skeleton, rows.columns, len(rows))
    with without_starts(model) as starts:
        observed = pm.observe(model, held)
    for name, start in starts.items():
        if name not in held:
            observed.rvs_to_initial_values[observed[name]] = start
    return observed


def _random(skeleton: Skeleton, rows: Rows) -> dict[str, NDArray[Any]]:
    found = {name: rows.columns[name] for name in skeleton.random}
    return found | {skeleton.outcome: rows.target}


def _data(skeleton: Skeleton, rows: Rows) -> dict[str, Any]:
    """Return all data of an observed model, by the names of its shared variables."""
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.traversal import graph_inputs

    model = skeleton.model
    data: dict[str, Any] = {
        str(variable.name): variable.get_value()
        for variable in graph_inputs([*model.basic_RVs, *model.deterministics, *model.potentials])
        if isinstance(variable, SharedVariable) and hasattr(variable.type, "ndim")
    }
    data |= {name: rows.columns[name] for name in skeleton.fixed}
    data |= {_observed_name(name): held for name, held in _random(skeleton, rows).items()}
    return {**data, skeleton.rows: np.asarray(len(rows))}


def conditioned(skeleton: Skeleton, rows: Rows, inference: str, sampling: Sampling) -> Posterior:
    """Draw from the posterior of a model's parameters.

    Warns
    -----
    ConvergenceWarning
        If the draws cannot be trusted.
    """
    engine = "nuts" if inference == "auto" else inference
    if skeleton.idle:
        with building:
            model = without(skeleton.model, skeleton.idle)
        skeleton = replace(skeleton, model=model, idle=())
    if not skeleton.parameters:
        raise ValueError("model: nothing is left to learn: it has no random variable but columns")
    discrete = [name for name in _free(skeleton) if skeleton.dtype(name).kind in "iub"]
    if discrete:
        raise ValueError(
            f"model: {listed(discrete)} is discrete and observed by nobody, which {engine} does "
            "not draw; sum it out, as pm.Mixture does, or make it a column"
        )
    trees = [n for n in _free(skeleton) if type(skeleton.model[n].owner.op).__name__ == "BART"]
    if trees:
        raise ValueError(
            f"model: {listed(trees)} is BART, which none of {listed(INFERENCES[1:])} draws"
        )
    n_draws = sampling.chains * sampling.draws
    said = f"{skeleton.outcome}: {n_draws:,} draws, inference={engine!r}"
    with told(sampling.verbose, said) as stage:
        try:
            drawn = ENGINES[engine](skeleton, rows, replace(sampling, tell=stage.tell))
        except ValueError as error:
            if len(rows) > 1:
                raise
            raise ValueError(f"n_samples = 1 is too few for this model: {error}") from error
    variables, stats, library, troubles = drawn
    kept = (*skeleton.parameters, *skeleton.derived)
    variables = {name: variables[name] for name in kept if name in variables}
    diagnostics.warn(engine, {skeleton.outcome: troubles}, several=False)
    return Posterior(engine, library, variables, stats, troubles)


def _free(skeleton: Skeleton) -> tuple[str, ...]:
    return (*skeleton.parameters, *skeleton.latent)


Drawn = tuple[dict[str, Floats], dict[str, NDArray[Any]], str, list[str]]


def _compilable(
    skeleton: Skeleton, rows: Rows
) -> tuple["Callable[[], pm.Model]", dict[str, Any], Hashable, tuple[str, ...]]:
    """Return what builds the observed model, its data, its structure, and what is computed."""
    with building:
        model, numbers = lifted(skeleton.model)
        skeleton = replace(skeleton, model=model)
        own = structure(model, skeleton.rows, frozenset((*skeleton.fixed, *numbers)))
    # What is latent in rows fixes how many there are.
    key = own, skeleton.random, skeleton.outcome, len(rows) if skeleton.latent else None
    wanted = (*skeleton.parameters, *skeleton.derived)
    data = {**_data(skeleton, rows), **numbers}
    return partial(observed_model, skeleton, rows), data, key, wanted


def _nuts(skeleton: Skeleton, rows: Rows, sampling: Sampling) -> Drawn:
    build, data, key, wanted = _compilable(skeleton, rows)
    names = partial(label, skeleton)
    judged = skeleton.parameters
    return nuts.sample(build, data, key, sampling, names, wanted=wanted, judged=judged)


def _laplace(skeleton: Skeleton, rows: Rows, sampling: Sampling) -> Drawn:
    return laplace.sample(laplace.compiled(*_compilable(skeleton, rows)), sampling)


def _advi(skeleton: Skeleton, rows: Rows, sampling: Sampling) -> Drawn:
    """Draw from a Gaussian of independent parameters, whose ratios tell how good it is."""
    import pymc as pm

    with building:
        model = observed_model(skeleton, rows)
        with model, quiet():
            approximation = pm.fit(
                _STEPS,
                method="advi",
                random_seed=sampling.seed,
                progressbar=False,
                obj_optimizer=pm.adam(learning_rate=_LEARNING_RATE),
            )
    group = approximation.groups[0]
    means, sds = (
        group.params_dict["mu"].get_value(),
        np.log1p(np.exp(group.params_dict["rho"].get_value())),
    )
    posterior = laplace.compiled(*_compilable(skeleton, rows))
    where = {name: part for name, (_, part, *_) in group.ordering.items()}
    order = np.concatenate(
        [np.arange(where[v.name].start, where[v.name].stop) for v in _values(model)]
    )
    shape = sampling.chains, sampling.draws
    z = np.random.default_rng(sampling.seed).standard_normal((shape[0] * shape[1], len(order)))
    x = means[order] + sds[order] * z
    log_q = (-0.5 * z**2 - np.log(sds[order])).sum(axis=1)
    k_hat, threshold = laplace.pareto_k(posterior.heights(x) - log_q)
    troubles = []
    if k_hat > threshold:
        troubles = [f"Pareto k-hat is {k_hat:.2f} (should be below {threshold:.2f})"]
    variables = {
        name: values.reshape(*shape, *values.shape[1:])
        for name, values in posterior.variables(x).items()
    }
    return variables, {"pareto_k": np.full(shape, k_hat)}, "pymc", troubles


@contextmanager
def quiet() -> Iterator[None]:
    """Keep PyMC from logging what it has finished."""
    logger = logging.getLogger("pymc")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _values(model: "pm.Model") -> list[Any]:
    return [model.rvs_to_values[rv] for rv in model.free_RVs]


def _pathfinder(skeleton: Skeleton, rows: Rows, sampling: Sampling) -> Drawn:
    """Draw along the way of an optimiser (Zhang, Carpenter, Gelman and Vehtari 2022)."""
    import pymc_extras

    n_draws = sampling.chains * sampling.draws
    with building, quiet():
        tree = pymc_extras.fit(
            "pathfinder",
            model=observed_model(skeleton, rows),
            num_draws=n_draws,
            random_seed=sampling.seed,
            progressbar=False,
            parallel=False,
        )
    found = tree["posterior"].dataset
    wanted = (*skeleton.parameters, *skeleton.derived)
    variables = {}
    for name in wanted:
        values = found[name].values
        values = values.reshape(-1, *values.shape[2:])
        variables[name] = values.reshape(sampling.chains, sampling.draws, *values.shape[1:])
    return variables, {}, "pymc_extras", []


ENGINES: Mapping[str, Callable[[Skeleton, Rows, Sampling], Drawn]] = {
    "nuts": _nuts,
    "laplace": _laplace,
    "advi": _advi,
    "pathfinder": _pathfinder,
}


def label(skeleton: Skeleton, variable: str, position: tuple[int, ...]) -> str:
    """Return what an element of a variable is called, by the labels of its dimensions."""
    dims = skeleton.model.named_vars_to_dims.get(variable) or ()
    labels = [skeleton.labels(dim) for dim in dims]
    if len(dims) != len(position) or None in labels:
        return diagnostics.by_position(variable, position)
    names = [repr(own[at]) for own, at in zip(labels, position, strict=True) if own is not None]
    return f"{variable}[{', '.join(names)}]" if names else variable
