"""Dask: each partition gives its statistics, which are added up in a tree."""

from typing import TYPE_CHECKING, Any

from interventional.accumulation import Accumulated
from interventional.exceptions import listed

if TYPE_CHECKING:
    from interventional.regressor import BayesianInterventionRegressor


def is_distributed(X: Any) -> bool:
    """Whether X is a Dask collection; Dask is not imported to find out."""
    return type(X).__module__.partition(".")[0] == "dask"


def is_distributed_frame(X: Any) -> bool:
    """Whether X is a Dask DataFrame or Series."""
    return is_distributed(X) and hasattr(X, "_meta") and hasattr(X, "npartitions")


def accumulate(
    estimator: "BayesianInterventionRegressor", X: Any, y: Any, sample_weight: Any = None
) -> Accumulated:
    """Return what Gaussian equations see of the rows of Dask collections.

    Parameters
    ----------
    estimator : BayesianInterventionRegressor
        Says what the model is.
    X : Dask DataFrame or Array of shape (n, columns)
        The columns.
    y, sample_weight : Dask Series or Array of shape (n,)
        Outcome and weights, in partitions like those of X.

    Raises
    ------
    ValueError, TypeError
        If something is wrong with a partition: the message begins with its number.
    """
    import dask
    from sklearn.base import clone

    labels = list(X.columns) if hasattr(X, "columns") else None
    spec = dask.delayed(clone(estimator), traverse=False)
    reduce, add = dask.delayed(_reduced, pure=False), dask.delayed(_sum, pure=False)
    batches = [
        reduce(spec, k, labels, *part) for k, part in enumerate(partitions(X, y, sample_weight))
    ]
    while len(batches) > 1:
        batches = [add(batches[k : k + 8]) for k in range(0, len(batches), 8)]
    (total,) = dask.compute(batches[0])
    if total is None:
        raise ValueError("X has no rows in any of its partitions")
    return total


def partitions(X: Any, *others: Any) -> list[tuple[Any, ...]]:
    """Return the partitions of X and what belongs to their rows, as delayed objects."""
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, rows and columns, got {X.ndim}")
    if not is_distributed_frame(X):
        X = X.rechunk({1: -1})
    delayed = [list(X.to_delayed().ravel() if hasattr(X, "chunks") else X.to_delayed())]
    for other, name in zip(others, ("y", "sample_weight"), strict=False):
        if other is None:
            delayed.append([None] * len(delayed[0]))
            continue
        if not is_distributed(other):
            raise TypeError(
                f"X is a Dask collection, so that {name} must be one too, in partitions like "
                f"those of X; got {type(other).__name__}"
            )
        parts = other.to_delayed()
        parts = list(parts.ravel() if hasattr(parts, "ravel") else parts)
        if len(parts) != len(delayed[0]):
            raise ValueError(
                f"X has {len(delayed[0])} partitions, {name} {len(parts)}; they must be the same"
            )
        delayed.append(parts)
    return list(zip(*delayed, strict=True))


def _reduced(
    estimator: "BayesianInterventionRegressor",
    k: int,
    labels: list[Any] | None,
    X: Any,
    y: Any,
    sample_weight: Any,
) -> Accumulated | None:
    """Return what is seen of a partition; nothing of an empty one."""
    if labels is not None and list(X.columns) != labels:
        strays = [label for label in X.columns if label not in labels]
        missing = [label for label in labels if label not in X.columns]
        what = f"lacks {listed(missing)}" if missing else f"has {listed(strays)} besides"
        if not missing and not strays:
            what = "has them in another order"
        raise ValueError(f"partition {k}: its columns are not those of X: it {what}")
    if len(X) == 0:
        return None
    try:
        return estimator._batch(X, y, sample_weight)
    except (TypeError, ValueError) as error:
        raise type(error)(f"partition {k}: {error}") from error


def _sum(batches: list[Accumulated | None]) -> Accumulated | None:
    total: Accumulated | None = None
    for batch in batches:
        total = batch if total is None else total if batch is None else total + batch
    return total
