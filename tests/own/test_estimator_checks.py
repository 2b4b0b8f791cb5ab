"""scikit-learn's own checks, all of them, of an estimator whose model is the user's."""

import pytest
from skeletons import linear
from sklearn.utils.estimator_checks import parametrize_with_checks

from interventional import BayesianInterventionRegressor

OWN = BayesianInterventionRegressor(model=linear, inference="laplace", draws=50, chains=2)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
)
@parametrize_with_checks([OWN])
def test_own(estimator, check):
    check(estimator)
