"""Whether intervals of models of users' own hold the truth as often as they say."""

import numpy as np
import pytest
from own.models import CASES
from scipy import stats

from interventional import BayesianInterventionRegressor

DATA_SETS = 100
PROB = 0.9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["michaelis", "hurdle"])
def test_intervals_of_averages_hold_the_truth_as_often_as_they_say(name):
    """The truth is one for all data sets, and priors are wide beside what these say."""
    case, held = CASES[name], 0
    truth = {key: np.asarray(value, dtype=float)[None] for key, value in case.truth.items()}
    model = BayesianInterventionRegressor(model=case.make, draws=500, tune=500, chains=2)
    for seed in range(DATA_SETS):
        X, y = case.data(120, seed=1000 + seed)
        found = model.set_params(random_state=seed).fit(X, y).intervene(X, case.do).average()
        wanted = case.expected(X.assign(**case.do), truth)[0].mean()
        low, high = found.interval(PROB).ravel()
        held += low <= wanted <= high
    fewest, most = stats.binom.ppf([5e-4, 1 - 5e-4], DATA_SETS, PROB)
    assert fewest <= held <= most, held
