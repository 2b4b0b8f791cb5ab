"""NUTS on the observed model: compiled once per structure, fed new data from then on."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interventional.inference.diagnostics import Label, by_position, of_chains
from interventional.inference.posterior import Sampling
from interventional.inference.progress import shows_bars
from interventional.numbers import Floats
from interventional.scm.compiling import StructureCache

if TYPE_CHECKING:
    import pymc as pm

Draws = dict[str, Floats]
Stats = dict[str, NDArray[Any]]

_compiled = StructureCache(32)
_SAMPLE_STATS = ("diverging", "energy", "depth", "tree_depth", "n_steps", "step_size")


def sample(
    build: "Callable[[], pm.Model]",
    data: Mapping[str, Any],
    key: Hashable,
    sampling: Sampling,
    label: Label = by_position,
    wanted: Sequence[str] | None = None,
    judged: Sequence[str] | None = None,
) -> tuple[Draws, Stats, str, list[str]]:
    """Sample an observed model, through nutpie, or PyMC's own sampler where nutpie is absent.

    Parameters
    ----------
    build : callable
        Returns the observed model.
    data : mapping
        The data of the model, by the names of its shared variables.
    key : hashable
        The structure of the model; equal keys share one compiled model.
    sampling : Sampling
        How to sample.
    label : callable
        What an element of a variable is called, where it is the worst.
    wanted : sequence of str, optional
        The variables that are kept, by default all: those of each row may be many.
    judged : sequence of str, optional
        Those by which chains are judged, by default all of these.

    Returns
    -------
    variables, sample_stats : dict
        Draws of every variable, and the sampler's statistics, both by name, with leading shape
        (chains, draws).
    library : str
        Who sampled.
    troubles : list of str
        What is wrong with the chains.
    """
    library = "pymc" if find_spec("nutpie") is None else "nutpie"
    if library == "nutpie":
        variables, stats = _sample_nutpie(build, data, key, sampling, wanted)
    else:
        variables, stats = _sample_pymc(build(), sampling, wanted)
    # Correlations of one with itself do not move; what makes them is among the variables.
    names = [name for name in variables if not name.endswith("_corr")]
    moving = {name: variables[name] for name in (names if judged is None else judged)}
    return variables, stats, library, of_chains(moving, stats, label)


def _sample_nutpie(
    build: "Callable[[], pm.Model]",
    data: Mapping[str, Any],
    key: Hashable,
    sampling: Sampling,
    wanted: Sequence[str] | None,
) -> tuple[Draws, Stats]:
    import nutpie

    # Seconds: Numba types and compiles what nutpie wraps around PyTensor's function, with all of
    # Numba's own error messages. PyTensor keeps its functions on disk; nutpie's cannot be kept.
    sampling.tell("compiling")
    names = None if wanted is None else list(wanted)
    compiled = _compiled.get(key, lambda: nutpie.compile_pymc_model(build(), var_names=names))
    used = {variable.name for variable in compiled.shared_var_keys}
    compiled = compiled.with_data(**{name: data[name] for name in used})
    tune = max(sampling.tune, 1)  # nutpie panics without any
    bars = sampling.verbose and shows_bars()
    lines = {"progress_callback": partial(_tell, sampling.tell), "progress_rate": 500}
    trace = nutpie.sample(
        compiled,
        draws=sampling.draws,
        tune=tune,
        chains=sampling.chains,
        cores=min(sampling.n_jobs, sampling.chains),
        seed=sampling.seed,
        target_accept=sampling.target_accept,
        adaptation="low_rank",  # predictors are correlated: 4 steps a draw where "diag" needs 65
        save_warmup=False,
        progress_bar=bars,
        **(lines if sampling.verbose and not bars else {}),
        return_raw_trace=True,  # to make a tree of it takes a fifth of the time
    )
    draws, stats = trace.get_arrow_trace()
    hidden = compiled.reparameterized_names or ()  # the unbounded values that it sampled
    shapes = {name: shape for name, shape in compiled.shapes.items() if name not in hidden}
    return _stack(draws, tune, shapes), _stack(stats, tune, dict.fromkeys(_SAMPLE_STATS, ()))


def _tell(tell: Callable[[str], None], chains: list[Any]) -> None:
    """Tell how far the chains are."""
    drawn, wanted = (sum(getattr(c, f"{k}_draws") for c in chains) for k in ("finished", "total"))
    tell(f"{drawn:,} of {wanted:,} iterations, {sum(c.divergences for c in chains)} diverged")


def _stack(
    chains: list[Any], tune: int, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Return columns of Arrow batches, one batch a chain, as arrays (chains, draws, ...)."""
    import pyarrow

    batches = [pyarrow.record_batch(chain).slice(tune) for chain in chains]
    stacked = {}
    for name, shape in shapes.items():
        if name not in batches[0].schema.names:
            continue
        columns = [batch.column(name) for batch in batches]
        flat = [column.flatten() if shape else column for column in columns]
        values = np.stack([values.to_numpy(zero_copy_only=False) for values in flat])
        stacked[name] = values.reshape(len(batches), -1, *shape)
    return stacked


def _sample_pymc(
    model: "pm.Model", sampling: Sampling, wanted: Sequence[str] | None
) -> tuple[Draws, Stats]:
    import pymc as pm

    with model:
        trace = pm.sample(
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            cores=min(sampling.n_jobs, sampling.chains),
            random_seed=sampling.seed,
            target_accept=sampling.target_accept,
            quiet=not sampling.verbose,
            compute_convergence_checks=False,
            nuts_sampler="pymc",
            var_names=None if wanted is None else list(wanted),
        )
    stats = trace["sample_stats"].dataset
    return (
        {str(name): values.values for name, values in trace["posterior"].data_vars.items()},
        {name: stats[name].values for name in _SAMPLE_STATS if name in stats},
    )
