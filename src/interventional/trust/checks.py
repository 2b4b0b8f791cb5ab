"""What the model says that outcomes look like, beside those that were seen: predictive checks.

A check of the posterior asks whether the fitted model could have made the data (Gelman et al.
2013, *Bayesian Data Analysis*, section 6.3); one of the prior asks whether the priors allow for
them and for little that is absurd (Gabry, Simpson, Vehtari, Betancourt and Gelman 2019,
"Visualization in Bayesian workflow", section 3). With a graph both are about the outcome's
equation: y given the columns as they were observed.
"""

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from interventional.data.table import Table
from interventional.inference.posterior import Posterior, to_datatree
from interventional.numbers import Floats
from interventional.scm.compiling import python_mode
from interventional.scm.equations import Equation, StructuralModel
from interventional.scm.generative import generative_model
from interventional.scm.predictive import Predictive

if TYPE_CHECKING:
    import xarray as xr


def posterior_predictive(
    found: Predictive, target: Floats, labels: Floats, n_samples: int, rng: Generator
) -> "xr.DataTree":
    """Return new outcomes from the posterior, and those that were observed.

    Parameters
    ----------
    found : Predictive
        The distribution of the outcome at the rows.
    target, labels : ndarray of shape (n,)
        What was observed, and what the rows are called.
    n_samples : int
        How many new data sets; each takes its parameters from one posterior draw.
    rng : Generator
        Source of randomness.
    """
    import xarray as xr

    replicated = found.sample(picked(found.n_draws, n_samples, rng), rng)
    return xr.DataTree.from_dict(
        {
            "/posterior_predictive": new_data(found.equation.node, replicated, labels),
            "/observed_data": observed(found.equation.node, target, labels),
        }
    )


def prior_predictive(
    model: StructuralModel,
    values: Floats,
    target: Floats,
    labels: Floats,
    n_samples: int,
    rng: Generator,
) -> "xr.DataTree":
    """Return parameters from the prior, outcomes given these, and those that were observed.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    values : ndarray of shape (n, columns)
        Encoded rows.
    target, labels, n_samples, rng
        As in `posterior_predictive`.
    """
    import xarray as xr

    equation = model.of_outcome
    alone = StructuralModel(model.outcome, model.schema, (equation,))
    drawn = _from_prior(alone, values, n_samples, rng)
    replicated = Predictive.of(equation, values, drawn).sample(np.arange(n_samples), rng)
    chains = {name: values[None] for name, values in drawn.items()}
    tree = to_datatree(alone, [Posterior("prior", "pymc", chains)])
    return xr.DataTree.from_dict(
        {
            "/prior": tree["posterior"].to_dataset(),
            "/prior_predictive": new_data(equation.node, replicated, labels),
            "/observed_data": observed(equation.node, target, labels),
        }
    )


def log_likelihood(
    idata: "xr.DataTree", outcome: str, densities: Floats, target: Floats, labels: Any
) -> "xr.DataTree":
    """Return posterior draws with the log densities of outcomes for each, and these outcomes.

    Parameters
    ----------
    idata : DataTree
        The posterior draws.
    outcome : str
        The name of the outcome.
    densities : ndarray of shape (chains, draws, n)
        The log densities.
    target, labels : ndarray of shape (n,)
        What was observed, and what the rows are called.
    """
    import xarray as xr

    seen, sample = observed(outcome, target, labels), ("chain", "draw")
    coords = {name: np.arange(size) for name, size in zip(sample, densities.shape, strict=False)}
    both = {
        "/log_likelihood": xr.Dataset(
            {outcome: ((*sample, "obs"), densities)}, {**coords, **seen.coords}
        ),
        "/observed_data": seen,
    }
    groups = {f"/{name}": group.to_dataset() for name, group in idata.children.items()}
    return xr.DataTree.from_dict({**groups, **both})


def _from_prior(
    model: StructuralModel, values: Floats, n_samples: int, rng: Generator
) -> dict[str, Floats]:
    """Draw the parameters of a model of one equation from their priors, (n_samples, ...) each."""
    import pymc as pm

    _refuse_improper(model.of_outcome)
    built = generative_model(model, values[:1])  # of parameters; rows do not bear on them
    own = [
        variable
        for variable in (*built.free_RVs, *built.deterministics)
        if variable.name not in (model.outcome, f"{model.outcome}_mu")
        and not variable.name.endswith("_raw")
    ]
    seed = int(rng.integers(1 << 31))
    drawn = pm.draw(own, n_samples, random_seed=seed, mode=python_mode())
    if n_samples == 1:  # then PyMC has no axis for it
        drawn = [each[None] for each in drawn]
    return {
        variable.name: np.asarray(each, dtype=np.float64)
        for variable, each in zip(own, drawn, strict=True)
    }


def picked(n_draws: int, n_samples: int, rng: Generator) -> Any:
    """Return which posterior draws to take: none twice, unless more are wanted than there are."""
    return rng.choice(n_draws, n_samples, replace=n_samples > n_draws)


def positive_size(n_samples: object) -> int:
    """Return how many samples are wanted, a whole number above zero."""
    if not isinstance(n_samples, Integral) or isinstance(n_samples, bool):
        raise TypeError(f"n_samples must be a whole number, got {n_samples!r}")
    if n_samples < 1:
        raise ValueError(f"n_samples must be at least 1, got {n_samples}")
    return int(n_samples)


def refuse_size(n_samples: object) -> None:
    """Refuse what is no number of samples of a row, of which there may be none."""
    if not isinstance(n_samples, Integral) or n_samples < 0:
        raise ValueError(f"n_samples must be a whole number, not negative, got {n_samples!r}")


def labels_of(X: Any, n: int) -> Any:
    """Return what the rows are called: by the index if it tells them apart, else by number."""
    index = Table.of(X).index
    return np.asarray(index if index.is_unique else range(n))


def observed(outcome: str, target: Floats, labels: Any) -> "xr.Dataset":
    """Return the outcomes of rows as ArviZ has observed data."""
    import xarray as xr

    return xr.Dataset({outcome: ("obs", target)}, {"obs": ("obs", labels)})


def new_data(outcome: str, replicated: Floats, labels: Any) -> "xr.Dataset":
    """Return new outcomes, (n, draws), as a group of draws."""
    import xarray as xr

    coords: Mapping[str, Any] = {
        "chain": [0],
        "draw": np.arange(replicated.shape[1]),
        "obs": ("obs", labels),
    }
    return xr.Dataset({outcome: (("chain", "draw", "obs"), replicated.T[None])}, coords)


def _refuse_improper(equation: Equation) -> None:
    """Refuse priors from which nothing can be drawn."""
    priors = equation.priors
    by_name = {group.name: group.prior for group in priors.groups}
    by_name |= {} if priors.intercept is None else {"intercept": priors.intercept}
    for name, prior in (by_name | dict(priors.dispersion)).items():
        if prior.is_improper:
            raise ValueError(
                f"the prior of {name!r} is {prior}, which is no distribution that outcomes could "
                "be drawn from; give it a proper prior"
            )
