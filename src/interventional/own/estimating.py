"""What an estimator does whose `model` is the user's own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.random import Generator
from sklearn.utils import check_consistent_length

from interventional.data.frames import name_of
from interventional.data.reading import read_outcome, restored
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
    if sample_weight is not None:
        raise ValueError(
            "sample_weight: what a row counts as, a model of your own would have to say; repeat "
            "the rows instead"
        )
    model, values, target = _read(estimator, X, y)
    known = name_of(y), estimator.inference, sampling
    fitted = fitting.fitted_to(model, values, target, *known)
    estimator.fitted_ = fitted
    estimator._accumulated, estimator._undetermined = fitted.seen, ""
    estimator.graph_ = model.graph
    for name in {"coef_", "intercept_"} & set(vars(estimator)):
        delattr(estimator, name)
    return estimator


def _read(estimator: Any, X: Any, y: Any) -> tuple[OwnModel, Floats, Floats]:
    """Return the model, encoded rows and their outcomes."""
    target = read_outcome(y, X, estimator)
    model, values = _model(estimator, X, name_of(y))
    check_consistent_length(values, target)
    return model, values, target


def _model(estimator: Any, X: Any, named: str | None) -> tuple[OwnModel, Floats]:
    """Return the model, and encoded rows."""
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
    table = read_table(X, estimator, reset=True)
    return fitting.own_model(estimator.model, table, estimator.outcome, named)


def _known(estimator: Any, X: Any) -> tuple[OwnModel, Floats]:
    """Return the model of the last fit, or before any that of these rows; and rows encoded."""
    if not hasattr(estimator, "fitted_"):
        return _model(estimator, X, None)
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
    """Return rows with what the model draws, parameters forced."""
    with restored(estimator):
        model, values = _known(estimator, X)
    drawn = fitting.simulated(model, values, parameters, seed)
    return with_drawn(Table.of(X), drawn)


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
