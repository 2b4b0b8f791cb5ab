"""scikit-learn's own checks, all of them, of an estimator whose model is the user's."""

import pytest
import skeletons
from sklearn.utils.estimator_checks import parametrize_with_checks

from interventional import BayesianInterventionRegressor


class Linear:
    """A callable whose name is the same in each process: tests are called by it."""

    def __call__(self, frame):
        return skeletons.linear(frame)

    def __repr__(self):
        return "linear"


OWN = BayesianInterventionRegressor(model=Linear(), inference="laplace", draws=50, chains=2)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
)
@parametrize_with_checks([OWN])
def test_own(estimator, check):
    check(estimator)
