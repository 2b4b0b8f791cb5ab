r"""Omitted variable bias in terms of partial R².

The bias that leaving out Z puts at most on the coefficient theta of a column D, for each posterior
draw of theta and sigma (Cinelli and Hazlett 2020, "Making sense of sensitivity", *JRSS B* 82(1):
39-67):

.. math::

    |\text{bias}| = \sqrt{R^2_{Y \sim Z | D, X}\,
    \frac{R^2_{D \sim Z | X}}{1 - R^2_{D \sim Z | X}}}\; \frac{\sigma}{\text{sd}(D^{\perp X})}

with X the other terms of the outcome's equation and Z what nobody measured. The spread of D that X
leaves open is a fact of the sample; with estimates of least squares for theta and sigma, whose
standard error is ``sigma / (sd(D⊥X) sqrt(df))``, the formula is that of the paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interventional.data.seen import SufficientStatistics
from interventional.numbers import Floats

_NONE = 1e-11  # of a column's size: what is left of it below this is rounding


def bias_factor(r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Floats:
    """Return the bias of a coefficient in units of sigma / sd(D⊥X).

    Parameters
    ----------
    r2_treatment, r2_outcome : array-like
        Partial R² of the confounder with the treatment given the covariates, and with the outcome
        given both.
    """
    of_treatment = np.asarray(r2_treatment, dtype=np.float64)
    return np.sqrt(np.asarray(r2_outcome) * of_treatment / (1 - of_treatment))


def robustness_of(f: ArrayLike) -> Floats:
    """Return the robustness value of a partial Cohen's f.

    A confounder with this partial R² with both treatment and outcome has a bias of f, in units of
    sigma / sd(D⊥X).

    Examples
    --------
    >>> float(robustness_of(4.18445 / 783**0.5).round(5))  # exposure to violence in Darfur
    0.13878
    """
    size = np.asarray(f, dtype=np.float64)
    return 2 * size / (size + np.sqrt(size**2 + 4))


def confounder_like(
    r2_treatment: float, r2_outcome: float, multiple: float
) -> tuple[float, float]:
    """Return partial R² of a confounder so many times as strong as a covariate (section 4.4).

    Parameters
    ----------
    r2_treatment, r2_outcome : float
        Those of the covariate: with the treatment given the other covariates, and with the outcome
        given these and the treatment.
    multiple : float
        How many times as much the confounder explains of both.

    Returns
    -------
    tuple of float
        With the treatment, 1 or more if there is no such confounder; and the most that it may have
        with the outcome.
    """
    odds = r2_treatment / (1 - r2_treatment)
    with_treatment = multiple * odds
    if with_treatment >= 1:
        return with_treatment, 1.0
    # R² of the confounder with the covariate, given the treatment, which both of them cause
    shared = multiple * r2_treatment * odds / (1 - multiple * r2_treatment)
    eta = (np.sqrt(multiple) + np.sqrt(shared)) / np.sqrt(1 - shared)
    return with_treatment, min(1.0, float(eta**2 * r2_outcome / (1 - r2_outcome)))


@dataclass(frozen=True, eq=False)
class Regressions:
    """The regressions of the treatment on the covariates, and of the outcome on both.

    Attributes
    ----------
    columns : ndarray of shape (k, terms)
        Columns with the inner products of the terms, as least squares sees them.
    outcome : ndarray of shape (k,)
        The outcome in the same basis.
    treatment : int
        The term that is forced.
    total : float
        The sum of the weights less one for the intercept.
    """

    columns: Floats
    outcome: Floats
    treatment: int
    total: float

    @classmethod
    def of(cls, statistics: SufficientStatistics, treatment: int) -> "Regressions":
        """Return those of an equation's sufficient statistics."""
        columns = np.vstack([statistics.r, np.zeros((1, statistics.r.shape[1]))])
        outcome = np.append(statistics.z, np.sqrt(statistics.rss))
        return cls(columns, outcome, treatment, statistics.weight - statistics.has_intercept)

    def left(self, without: Sequence[int] = ()) -> tuple[float, float, int]:
        """Return what least squares leaves open.

        Parameters
        ----------
        without : sequence of int
            Terms that are not among the covariates.

        Returns
        -------
        tuple
            Sum of squares of the treatment given the covariates, of the outcome given these and
            the treatment, and how many covariates there are that do not follow from each other.
        """
        covariates = np.delete(self.columns, [self.treatment, *without], axis=1)
        both = np.column_stack([self.columns[:, self.treatment], self.outcome])
        both, rank = _residuals(covariates, both)
        treatment = float(both[:, 0] @ both[:, 0])
        slope = both[:, 0] @ both[:, 1] / treatment if treatment > 0 else 0.0
        outcome = both[:, 1] - slope * both[:, 0]
        return treatment, float(outcome @ outcome), rank

    def spread(self, where: str) -> float:
        """Return the standard deviation of the treatment that the covariates leave open."""
        left, _, rank = self.left()
        size = float(np.square(self.columns[:, self.treatment]).sum())
        if not left > _NONE**2 * size:
            raise ValueError(
                f"sensitivity: the other columns determine {where} in the data of fit, so that "
                "these say nothing of its effect"
            )
        dof = self.total - rank - 1
        if not dof > 0:
            raise ValueError(
                f"sensitivity: {rank + 1} terms for a sum of weights of {self.total + 1:g} leave "
                "no residuals to compare a confounder with; it needs more rows than terms"
            )
        return float(np.sqrt(left / dof))

    def strength(self, terms: Sequence[int]) -> tuple[float, float]:
        """Return partial R² of covariates, as a group, with treatment and with outcome."""
        pairs = zip(self.left()[:2], self.left(terms)[:2], strict=True)
        of_treatment, of_outcome = (1 - full / less if less > 0 else 0.0 for full, less in pairs)
        return max(of_treatment, 0.0), max(of_outcome, 0.0)


def _residuals(columns: Floats, targets: Floats) -> tuple[Floats, int]:
    """Return what columns leave of targets, and the rank of the columns."""
    from scipy.linalg import lstsq

    if not columns.shape[1]:
        return targets, 0
    size = np.sqrt(np.square(columns).sum(axis=0))
    columns = columns / np.where(size > 0, size, 1.0)
    found, _, rank, _ = lstsq(columns, targets, cond=_NONE, lapack_driver="gelsy")
    return targets - columns @ found, int(rank)
