"""Which engines there are."""

import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from interventional import BayesianInterventionRegressor
from interventional.data.schema import Schema
from interventional.inference.engines import infer
from interventional.inference.posterior import Sampling
from interventional.scm.draft import draft
from interventional.scm.specification import specify

X = np.random.default_rng(0).normal(size=(20, 2))
Y = X @ [1.0, -1.0] + X[:, 0] ** 2


def test_an_unknown_engine_is_refused():
    schema = Schema.of(X)
    model, (seen,) = specify(draft(schema, outcome="y"), schema.encode(X), Y)
    sampling = Sampling(draws=10, tune=10, chains=1, seed=0, n_jobs=1, verbose=False)
    with pytest.raises(ValueError, match="'laplas'; did you mean 'laplace'"):
        infer(model.of_outcome, seen, "laplas", sampling)


@pytest.mark.parametrize("engine", ["advi", "pathfinder"])
def test_engines_of_other_models_are_unknown_to_our_equations(engine):
    """Their intervals were too narrow; models of users' own may take them."""
    with pytest.raises(ValueError, match=f"unknown inference '{engine}'.*'laplace'"):
        BayesianInterventionRegressor(inference=engine).fit(X, Y)


def test_engines_that_nobody_has_are_unknown_options():
    with pytest.raises(InvalidParameterError, match=r"'inference'.*'laplace'.*Got 'gibbs'"):
        BayesianInterventionRegressor(inference="gibbs").fit(X, Y)
