"""What a treatment is expected to be given the other columns, as numbers a row."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from interventional.data.treatments import Treatment
from interventional.numbers import Floats

_PENALTY = 0.3  # C of the logistic regression: a weak ridge on standardised columns and squares
_CLIP = np.log(0.98 / 0.02)  # log odds beyond which rows have next to nobody to be compared with
_LEAST = 1e-3  # spread of an expectation, less than which it tells nothing of rows


@dataclass(frozen=True, eq=False)
class Propensity:
    """An expected treatment: how probable its levels are, or its mean.

    Log odds, or the mean, are linear in features and their squares.

    Attributes
    ----------
    treatment : int
        Position of the treatment.
    features : tuple of int
        What it is regressed on.
    coef : ndarray of shape (2 features, size)
        Of features and squares.
    intercept, center, scale : ndarray of shape (size,)
        Of the regression; and what makes its values standard.
    clip : float
        What log odds are kept within; infinite for a mean.
    """

    treatment: int
    features: tuple[int, ...]
    coef: Floats
    intercept: Floats
    center: Floats
    scale: Floats
    clip: float

    @property
    def size(self) -> int:
        """How many numbers a row has."""
        return len(self.intercept)

    @classmethod
    def of(
        cls,
        rows: Floats,
        features: list[int],
        treatment: Treatment,
        values: Floats,
        weights: Floats,
    ) -> "Propensity | None":
        """Return that of some rows; None where there is nothing to regress on, or nothing found.

        Parameters
        ----------
        rows : ndarray of shape (n, features)
            Standardised columns but the treatments.
        features : list of int
            Which features these are.
        treatment : Treatment
            What is expected.
        values : ndarray of shape (n, columns)
            Encoded rows.
        weights : ndarray of shape (n,)
            How often each occurs.
        """
        from sklearn.linear_model import LogisticRegression, Ridge

        if not features:
            return None
        terms, column = _terms(rows), values[:, treatment.j]
        if treatment.is_dose:
            found: Any = Ridge(1 / _PENALTY).fit(terms, treatment.about_middle(values), weights)
            clip = np.inf
        else:
            codes = np.searchsorted(np.unique(column), column)
            found = LogisticRegression(C=_PENALTY, max_iter=1000).fit(terms, codes, weights)
            clip = float(_CLIP)
        coef, intercept = np.atleast_2d(found.coef_).T, np.atleast_1d(found.intercept_)
        zero, one = np.zeros_like(intercept), np.ones_like(intercept)
        raw = cls(treatment.j, tuple(features), coef, intercept, zero, one, clip)
        at = raw._of(terms)
        center = np.average(at, axis=0, weights=weights)
        scale = np.sqrt(np.average(np.square(at - center), axis=0, weights=weights))
        if (scale < _LEAST).all():
            return None
        return replace(raw, center=center, scale=np.maximum(scale, _LEAST))

    def at(self, made: Floats) -> Floats:
        """Return the expectation of rows, standardised, (n, size)."""
        return self._of(_terms(made[:, self.features]))

    def _of(self, terms: Floats) -> Floats:
        found = np.clip(terms @ self.coef + self.intercept, -self.clip, self.clip)
        if np.isfinite(self.clip):
            found = expit(found) if self.size == 1 else softmax(found, axis=1)
        return np.asarray((found - self.center) / self.scale)


def _terms(rows: Floats) -> Floats:
    return np.hstack([rows, np.square(rows)])
