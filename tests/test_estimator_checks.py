"""scikit-learn's own checks, all of them, for both engines."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from interventional import BayesianInterventionRegressor

NUTS = BayesianInterventionRegressor(inference="nuts", draws=50, tune=100, chains=2)


@parametrize_with_checks([BayesianInterventionRegressor()])
def test_exact(estimator, check):
    check(estimator)


@pytest.mark.nuts
@pytest.mark.xdist_group("nuts-checks")
@pytest.mark.filterwarnings("ignore:NUTS has not converged:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([NUTS])
def test_nuts(estimator, check):
    check(estimator)
