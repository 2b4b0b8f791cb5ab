"""Proper scores of predictive distributions, as scorers for scikit-learn.

Error measures look at point predictions alone. A proper score looks at the whole predictive
distribution, and is best on average for the distribution that the outcomes come from: it pays to
be neither too sure nor too vague (Gneiting and Raftery 2007). Both functions go straight into
``cross_val_score(..., scoring=...)`` and `GridSearchCV`, as they are. With metadata routing they
ask for ``sample_weight``, as without it; ``log_density.set_score_request(sample_weight=False)`` is
a scorer that does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from interventional.data.reading import read_outcome, read_weights
from interventional.data.target import Target
from interventional.numbers import Floats
from interventional.regressor import BayesianInterventionRegressor

_BLOCK = 1 << 20  # numbers that are drawn at a time
_DRAWS = 4000  # of a Gaussian predictive distribution whose outcome is transformed


class Scorer(Protocol):
    """A scoring function that says which weights it asks for, as scikit-learn's scorers do."""

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the score of a fitted estimator."""

    def set_score_request(self, *, sample_weight: bool | str | None) -> "Scorer":
        """Return a scorer that asks for other weights, or for none; this one stays as it is."""

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what it asks for."""


@dataclass(frozen=True)
class _Asking:
    """A score and what it asks for: weights, weights by another name, or none."""

    score: Callable[..., float]
    sample_weight: bool | str | None = True

    @property
    def __name__(self) -> str:
        return self.score.__name__

    def __repr__(self) -> str:
        return f"{self.__name__}.set_score_request(sample_weight={self.sample_weight!r})"

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the score of a fitted estimator."""
        return self.score(estimator, X, y, sample_weight)

    def set_score_request(self, *, sample_weight: bool | str | None) -> "_Asking":
        """Return the same score, which asks for other weights; None leaves it open."""
        return _Asking(self.score, sample_weight)

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what it asks for."""
        asked = MetadataRequest(owner=self)
        asked.score.add_request(param="sample_weight", alias=self.sample_weight)
        return asked

    def _accept_sample_weight(self) -> bool:  # what scikit-learn asks where nothing is routed
        return self.sample_weight is not False


def _asking(score: Callable[..., float]) -> Scorer:
    """Let a scoring function ask for weights, as scikit-learn's scorers can."""
    asked = _Asking(score)
    for name in ("set_score_request", "get_metadata_routing", "_accept_sample_weight"):
        setattr(score, name, getattr(asked, name))
    return cast(Scorer, score)


@_asking
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
        a pipeline that ends in one, a `TransformedTargetRegressor` around one, or a search over
        such, in any nesting.
    X : array-like or DataFrame of shape (n, columns)
        The rows.
    y : array-like of shape (n,)
        Their outcomes.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a `TransformedTargetRegressor` transforms y in a way that has no density: a step, a
        constant, or what its inverse does not undo.

    See Also
    --------
    neg_crps : In units of y, and kinder to surprises.
    BayesianInterventionRegressor.log_density : Row by row.

    Notes
    -----
    Scores of counts and of continuous outcomes do not compare: one is the log of a probability,
    the other of a density, which depends on the units of y.

    Behind a `TransformedTargetRegressor` with the transform t it is the density of y, not that of
    t(y): ``log p(t(y)) + log |t'(y)|``, so that it compares with a model of y itself. The
    derivative is taken numerically (Ridders 1982), to about ten digits.

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
    model, rows, target = _unwrapped(estimator, X)
    outcomes, weights = _read(model, X, y, sample_weight)
    inner, log_slope = target.transformed(outcomes)
    if isinstance(model, BayesianInterventionRegressor):
        return _average(model.log_density(rows, inner) + log_slope, weights)
    from scipy.stats import norm

    mean, std = _gaussian(model, rows)
    return _average(norm.logpdf(inner, mean, std) + log_slope, weights)


@_asking
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
    Gaussian it is known in closed form. Both are `scoringrules`'. Behind a
    `TransformedTargetRegressor` the draws are brought back to the units of y.

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

    model, rows, target = _unwrapped(estimator, X)
    outcomes, weights = _read(model, X, y, sample_weight)
    if isinstance(model, BayesianInterventionRegressor):
        check_is_fitted(model)
        n_draws = model.fitted_.n_draws

        def draw(block: range) -> Floats:
            part = _safe_indexing(rows, list(block))
            return model.sample_y(part, n_draws, random_state=block.start)

    else:
        mean, std = _gaussian(model, rows)
        if not target.transformers:
            return -_average(crps_normal(outcomes, mean, std), weights)
        n_draws = _DRAWS

        def draw(block: range) -> Floats:
            noise = np.random.default_rng(block.start).standard_normal((len(block), n_draws))
            return np.asarray(mean[block, None] + std[block, None] * noise)

    step = max(1, _BLOCK // n_draws)
    scores = []
    for start in range(0, len(outcomes), step):
        block = range(start, min(start + step, len(outcomes)))
        drawn = target.back(draw(block))
        scores.append(crps_ensemble(outcomes[block], drawn, estimator="pwm", backend="numpy"))
    return -_average(np.concatenate(scores), weights)


def _unwrapped(
    estimator: Any, X: Any, transformers: Sequence[Any] = ()
) -> tuple[Any, Any, Target]:
    """Return the regressor at the end of all, and what it is given of X, and of y."""
    if hasattr(estimator, "best_estimator_"):
        return _unwrapped(estimator.best_estimator_, X, transformers)
    if isinstance(estimator, Pipeline):
        rows = estimator[:-1].transform(X) if len(estimator) > 1 else X
        return _unwrapped(estimator[-1], rows, transformers)
    if isinstance(estimator, TransformedTargetRegressor):
        check_is_fitted(estimator)
        return _unwrapped(estimator.regressor_, X, (*transformers, estimator.transformer_))
    return estimator, X, Target(tuple(transformers))


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
    return np.asarray(mean), np.asarray(std)


def _read(
    model: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Floats, Floats | None]:
    """Return outcomes and weights as floats, one a row of X."""
    target = read_outcome(y, X, model)
    check_consistent_length(X, target)
    return target, read_weights(sample_weight, X, len(target))


def _average(scores: Floats, weights: Floats | None) -> float:
    return float(np.average(scores, weights=weights))
