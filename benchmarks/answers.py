"""Answers, and whether two of them agree. Needs NumPy only: it runs in every environment."""

from collections.abc import Mapping
from typing import Any

import numpy as np

N_ERRORS = 5.0  # standard errors that two equal answers may differ by, over some hundred checks
_BATCHES = 40

Answer = dict[str, list[float]]


class UnavailableError(Exception):
    """Raised by a task that the installed version of a peer cannot do."""


def from_draws(draws: Any) -> Answer:
    """Return posterior means with Monte Carlo errors and standard deviations.

    Parameters
    ----------
    draws : array of shape (chain, draw) or (chain, draw, k)
        Draws of one chain may be correlated: the errors come from means of batches.
    """
    values = np.asarray(draws, dtype=np.float64)
    values = values.reshape(*values.shape[:2], -1)
    chains, length, width = values.shape
    batches = max(2, _BATCHES // chains)
    step = length // batches
    means = values[:, : batches * step].reshape(chains * batches, step, width).mean(axis=1)
    return {
        "mean": values.mean(axis=(0, 1)).tolist(),
        "error": (means.std(axis=0, ddof=1) / np.sqrt(len(means))).tolist(),
        "spread": values.reshape(-1, width).std(axis=0).tolist(),
    }


def point(mean: Any, error: Any) -> Answer:
    """Return an estimate and how exact its maker says that it is."""
    mean, error = np.atleast_1d(np.asarray(mean, float)), np.atleast_1d(np.asarray(error, float))
    error = np.broadcast_to(error, mean.shape)
    return {"mean": mean.tolist(), "error": error.tolist(), "spread": error.tolist()}


def distance(theirs: Answer, ours: Answer, *, same: bool) -> float:
    """Return the largest difference in units of what it may be; above 1 they disagree.

    The same question may differ by Monte Carlo error. Another estimator of the same quantity may
    differ by two of the standard deviations that it or the posterior gives: it has other priors
    or none, and may split or resample the rows at random.
    """
    gap = np.abs(np.subtract(theirs["mean"], ours["mean"]))
    if same:
        allowed = N_ERRORS * np.hypot(theirs["error"], ours["error"])
    else:
        allowed = 2 * np.hypot(theirs["spread"], ours["spread"])
    # Algebra that is done in another order differs by rounding.
    allowed = allowed + 1e-9 * np.maximum(1.0, np.abs(ours["mean"]))
    return float(np.max(gap / allowed)) if len(gap) else 0.0


def of_scores(scores: Any) -> Answer:
    """Return the R² of folds; posterior means from 4,000 draws move one by less than 0.001."""
    return point(scores, 1e-3)


def median(result: Mapping[str, Any]) -> float | None:
    """Return the median of a contestant's rounds, or None where there are none that count."""
    seconds = result.get("seconds")
    return float(np.median(seconds)) if seconds else None
