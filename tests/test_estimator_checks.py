"""scikit-learn's own checks, all of them, for several engines and families."""

import numpy as np
import pytest
from pymc_extras.prior import Prior
from sklearn.utils.estimator_checks import parametrize_with_checks

from interventional import BayesianInterventionRegressor

NUTS = BayesianInterventionRegressor(inference="nuts", draws=50, tune=100, chains=2)
LAPLACE = {"inference": "laplace", "draws": 50, "chains": 2}
# Some checks fit more columns than rows, which leaves no noise to be seen: where the prior does
# not speak against none, Laplace finds no curvature that it could compute with.
NOISY = {"alpha": Prior("LogNormal", mu=1, sigma=0.3)}
# The checks fit noise, single rows and constants, of which no Gaussian is a good approximation.
poor_approximation = pytest.mark.filterwarnings(
    "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
)


class LawfulOutcomes(BayesianInterventionRegressor):
    """The regressor, with outcomes made lawful: counts, or zeros and ones.

    scikit-learn's checks make y of real numbers, which these families refuse by design. What is no
    vector of finite numbers is left as it is, to be refused; and nothing else is changed.
    """

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, self._lawful(y), sample_weight)

    def score(self, X, y, sample_weight=None):
        return super().score(X, self._lawful(y), sample_weight)

    def _lawful(self, y):
        try:
            numbers = np.asarray(y)
            numbers = numbers if numbers.dtype.kind == "c" else numbers.astype(np.float64)
        except (TypeError, ValueError):
            return y
        if numbers.dtype.kind == "c" or not numbers.size or not np.isfinite(numbers).all():
            return y
        if self.family == "poisson":
            return np.round(np.abs(numbers))
        if self.family == "bernoulli":  # the middle does not move if rows are repeated
            return (numbers > (numbers.min() + numbers.max()) / 2).astype(float)
        return y


@parametrize_with_checks([BayesianInterventionRegressor()])
def test_exact(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([BayesianInterventionRegressor(design="smooth", draws=50)])
def test_smooth(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:NUTS has not converged:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([NUTS])
def test_nuts(estimator, check):
    check(estimator)


@pytest.mark.slow
@poor_approximation
@parametrize_with_checks([BayesianInterventionRegressor(family="gamma", priors=NOISY, **LAPLACE)])
def test_gamma(estimator, check):
    check(estimator)


@poor_approximation
@parametrize_with_checks(
    [
        LawfulOutcomes(family="poisson", **LAPLACE),
        LawfulOutcomes(family="bernoulli", **LAPLACE),
    ]
)
def test_families(estimator, check):
    check(estimator)


# Of equal rows with equal outcomes the exact posterior has sigma at the last digit, where weights
# and copies, which round in other ways, agree in the learnt scale to five digits only.
RIDGE = {"beta": "ridge", "sigma": Prior("Uniform", lower=0.01, upper=100)}


@parametrize_with_checks([BayesianInterventionRegressor(priors=RIDGE, draws=100, chains=2)])
def test_learnt_scale(estimator, check):
    check(estimator)
