"""Proper scores of predictive distributions, as scorers for scikit-learn.

Error measures look at point predictions alone. A proper score looks at the whole predictive
distribution, and is best on average for the distribution that the outcomes come from: it pays to
be neither too sure nor too vague (Gneiting and Raftery 2007). Both functions go straight into
``cross_val_score(..., scoring=...)`` and `GridSearchCV`, as they are.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from interventional.data.reading import read_outcome, read_weights
from interventional.numbers import Floats
from interventional.regressor import BayesianInterventionRegressor

_BLOCK = 1 << 20  # numbers that are drawn at a time


def log_density(
    estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean log of the predictive density of outcomes; the higher the better.

    Parameters
    ----------
    estimator : estimator
        A fitted `BayesianInterventionRegressor`, whose density is averaged over its posterior
        draws; or any regressor that has ``predict(X, return_std=True)``, such as `BayesianRidge`
        and `GaussianProcessRegressor`, whose predictive distribution then counts as Gaussian. Also
        a pipeline that ends in one, or a search over such.
    X : array-like or DataFrame of shape (n, columns)
        The rows.
    y : array-like of shape (n,)
        Their outcomes.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    float

    See Also
    --------
    neg_crps : In units of y, and kinder to surprises.
    BayesianInterventionRegressor.log_density : Row by row.

    Notes
    -----
    Scores of counts and of continuous outcomes do not compare: one is the log of a probability,
    the other of a density, which depends on the units of y.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import BayesianRidge
    >>> from sklearn.model_selection import cross_val_score
    >>> from interventional import BayesianInterventionRegressor
    >>> from interventional.metrics import log_density
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ours = BayesianInterventionRegressor(priors="ridge", random_state=0)
    >>> cross_val_score(ours, X, y, scoring=log_density).mean().round(1)
    np.float64(-5.4)
    >>> cross_val_score(BayesianRidge(), X, y, scoring=log_density).mean().round(1)
    np.float64(-5.4)
    """
    model, rows = _unwrapped(estimator, X)
    target, weights = _read(model, X, y, sample_weight)
    if isinstance(model, BayesianInterventionRegressor):
        return _average(model.log_density(rows, target), weights)
    from scipy.stats import norm

    mean, std = _gaussian(model, rows)
    return _average(norm.logpdf(target, mean, std), weights)


def neg_crps(
    estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean continuous ranked probability score, negated: the higher the better.

    It is in the units of y, and for a predictive distribution without spread the absolute error.
    Unlike `log_density` it does not punish a single surprise without bound.

    Parameters
    ----------
    estimator, X, y, sample_weight
        As in `log_density`.

    Returns
    -------
    float

    See Also
    --------
    log_density : The log of the predictive density.

    Notes
    -----
    For a `BayesianInterventionRegressor` it is estimated from one predictive draw for each
    posterior draw, by probability weighted moments, always from the same random numbers; under a
    Gaussian it is known in closed form. Both are `scoringrules`'.

    Examples
    --------
    >>> import numpy as np
    >>> from interventional import BayesianInterventionRegressor
    >>> from interventional.metrics import neg_crps
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1))
    >>> y = X[:, 0] + rng.normal(size=500)
    >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    >>> float(
    ...     round(-neg_crps(model, X, y) * np.sqrt(np.pi), 1)
    ... )  # of a standard Normal: 1 / sqrt(pi)
    0.9
    """
    from scoringrules import crps_ensemble, crps_normal

    model, rows = _unwrapped(estimator, X)
    target, weights = _read(model, X, y, sample_weight)
    if not isinstance(model, BayesianInterventionRegressor):
        mean, std = _gaussian(model, rows)
        return -_average(crps_normal(target, mean, std), weights)
    check_is_fitted(model)
    n_draws = model.fitted_.n_draws
    step = max(1, _BLOCK // n_draws)
    scores = []
    for start in range(0, len(target), step):
        block = range(start, min(start + step, len(target)))
        drawn = model.sample_y(_safe_indexing(rows, list(block)), n_draws, random_state=start)
        scores.append(crps_ensemble(target[block], drawn, estimator="pwm", backend="numpy"))
    return -_average(np.concatenate(scores), weights)


def _unwrapped(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the regressor at the end of pipelines and searches, and what it is given of X."""
    if hasattr(estimator, "best_estimator_"):
        return _unwrapped(estimator.best_estimator_, X)
    if isinstance(estimator, Pipeline):
        return _unwrapped(estimator[-1], estimator[:-1].transform(X) if len(estimator) > 1 else X)
    return estimator, X


def _gaussian(model: Any, X: Any) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of a Gaussian predictive distribution."""
    try:
        mean, std = model.predict(X, return_std=True)
    except (TypeError, AttributeError) as error:
        if isinstance(error, AttributeError) and hasattr(model, "predict"):
            raise
        raise TypeError(
            f"{type(model).__name__} has no predictive distribution: proper scores take a "
            "BayesianInterventionRegressor, or a regressor with predict(X, return_std=True)"
        ) from error
    return mean, std


def _read(
    model: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Floats, Floats | None]:
    """Return outcomes and weights as floats, one a row of X."""
    target = read_outcome(y, X, model)
    check_consistent_length(X, target)
    return target, read_weights(sample_weight, X, len(target))


def _average(scores: Floats, weights: Floats | None) -> float:
    return float(np.average(scores, weights=weights))
