"""What an estimator does whose `model` is the user's own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.random import Generator
from sklearn.utils import check_consistent_length

from interventional.data.frames import name_of
from interventional.data.reading import read_outcome, read_weights, restored
from interventional.data.table import Table, is_distributed, read_table
from interventional.errors import unknown
from interventional.inference.posterior import Posterior, Sampling
from interventional.intervention.simulation import with_drawn
from interventional.numbers import Floats
from interventional.own import fitting
from interventional.own.conditioning import INFERENCES
from interventional.own.fitted import to_datatree
from interventional.own.mechanisms import OwnModel
from interventional.own.pickling import picklable
from interventional.trust import checks

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

Inference = Literal["auto", "exact", "nuts", "laplace", "advi", "pathfinder"]

__all__ = [
    "INFERENCES",
    "Inference",
    "build_model",
    "fit",
    "picklable",
    "prior_predictive",
    "simulate",
]

_ROUNDING = 1e-6  # of a weight that is a whole number
# Parameters of an estimator that a model of its own leaves something to say.
_LEFT = frozenset(
    (
        "model",
        "outcome",
        "inference",
        "draws",
        "tune",
        "chains",
        "random_state",
        "n_jobs",
        "verbose",
    )
)


def fit(estimator: Any, X: Any, y: Any, sample_weight: Any, sampling: Sampling) -> Any:
    """Condition the model on rows and return the estimator; if it fails, that is half done."""
    if is_distributed(X):
        raise TypeError("model= takes rows in memory; X is a Dask collection")
    model, values, target = _read(estimator, X, y, sample_weight)
    known = name_of(y), estimator.inference, sampling
    fitted = fitting.fitted_to(model, values, target, *known)
    estimator.fitted_ = fitted
    estimator._accumulated, estimator._undetermined = fitted.seen, ""
    estimator.graph_ = model.graph
    for name in {"coef_", "intercept_"} & set(vars(estimator)):
        delattr(estimator, name)
    return estimator


def _read(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None
) -> tuple[OwnModel, Floats, Floats]:
    """Return the model, encoded rows and their outcomes, those of weight 3 three times."""
    target = read_outcome(y, X, estimator)
    _refuse_others(estimator)
    table = read_table(X, estimator, reset=True)
    check_consistent_length(table, target)
    weights = read_weights(sample_weight, X, len(target))
    if weights is not None:
        times = np.round(weights).astype(np.intp)
        if (np.abs(weights - times) > _ROUNDING).any():
            row = int(np.argmax(np.abs(weights - times) > _ROUNDING))
            raise ValueError(
                f"sample_weight is {weights[row]:g} in row {row}; a model of your own sees a row "
                "of weight 3 three times: give whole numbers, or make weights part of the model"
            )
        rows = np.repeat(np.arange(len(target)), times)
        table, target = table.take(rows), target[rows]
    return *_model(estimator, table, name_of(y)), target


def _refuse_others(estimator: Any) -> None:
    """Refuse parameters that speak of something else than a model of the user's own."""
    parameters = estimator.get_params(deep=False)
    usual = type(estimator)().get_params(deep=False)
    for name, found in parameters.items():
        same = found is usual[name] or (isinstance(found, str | bool) and found == usual[name])
        if name not in (*_LEFT, "verbose") and not same:
            raise ValueError(
                f"{name}={found!r} says what the package's own equations are, and model= says all "
                "of that itself; drop one of the two"
            )
    if estimator.inference not in INFERENCES:
        raise ValueError(f"model=: {unknown('inference', estimator.inference, INFERENCES)}")


def _model(estimator: Any, table: Table, named: str | None) -> tuple[OwnModel, Floats]:
    """Return the model, and encoded rows."""
    return fitting.own_model(estimator.model, table, estimator.outcome, named)


def _known(estimator: Any, X: Any) -> tuple[OwnModel, Floats]:
    """Return the model of the last fit, or before any that of these rows; and rows encoded."""
    if not hasattr(estimator, "fitted_"):
        _refuse_others(estimator)
        return _model(estimator, read_table(X, estimator, reset=True), None)
    fitted = estimator.fitted_
    table = read_table(X, estimator, reset=False, labels=fitted.model.schema.labels)
    return fitted.model, fitted.encoded(table, fitted.model.read_by_any)


def build_model(estimator: Any, X: Any, y: Any) -> "pm.Model":
    """Return the PyMC model of rows, observed where there are outcomes."""
    target = None
    with restored(estimator):
        if y is None:
            model, values = _known(estimator, X)
        else:
            model, values, target = _read(estimator, X, y)
    return fitting.built(model, values, target, list(Table.of(X).index))


def simulate(estimator: Any, X: Any, parameters: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """Return rows with what the model draws, parameters forced.

    Before any fit all that is random in rows is drawn that these lack: they may lack all.
    """
    table = Table.of(X)
    if hasattr(estimator, "fitted_"):
        model, values = _known(estimator, X)
    else:
        _refuse_others(estimator)
        model, values = _model(estimator, table, None)
    own = model.skeleton
    anew = () if hasattr(estimator, "fitted_") else (*own.latent, *own.idle)
    return with_drawn(table, fitting.simulated(model, values, parameters, seed, anew))


def prior_predictive(estimator: Any, X: Any, y: Any, size: int, rng: Generator) -> "xr.DataTree":
    """Return parameters from the prior, outcomes given these, and those that were observed."""
    import xarray as xr

    with restored(estimator):
        model, values, target = _read(estimator, X, y)
    drawn = fitting.from_prior(model, values, size, int(rng.integers(np.iinfo(np.int32).max)))
    outcome, labels = model.outcome, checks.labels_of(X, len(target))
    own = {name: values[None] for name, values in drawn.items() if name != outcome}
    tree = to_datatree(model.skeleton, Posterior("prior", "pymc", own))
    return xr.DataTree.from_dict(
        {
            "/prior": tree["posterior"].to_dataset(),
            "/prior_predictive": checks.new_data(outcome, drawn[outcome].T, labels),
            "/observed_data": checks.observed(outcome, target, labels),
        }
    )
