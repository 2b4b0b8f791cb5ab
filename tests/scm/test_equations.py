"""Equations and models as values: what is computed once is in no pickle."""

import pickle

import numpy as np
import pandas as pd
import pytest

from interventional.data.schema import Schema
from interventional.scm.draft import draft
from interventional.scm.specification import specify

rng = np.random.default_rng(0)
X = pd.DataFrame({"a": rng.normal(size=30), "m": rng.choice(list("pqr"), 30)})


@pytest.fixture
def model():
    schema = Schema.of(X)
    parsed = draft(schema, outcome="y", graph="a -> m -> y; a -> y")
    return specify(parsed, schema.encode(X), rng.normal(size=30))[0]


def asked(model):
    """What questions ask of every equation."""
    return [
        (equation.parameters, equation.structure, equation.is_linear, equation.n_blocks)
        for equation in (model.equation("m"), model.equation("y"))
    ]


def test_what_is_computed_once_is_not_pickled(model):
    fresh = pickle.dumps(model)
    before = asked(model)
    assert model.of_outcome is model.equation("y")
    assert model.equation("m").structure is model.equation("m").structure
    assert pickle.dumps(model) == fresh
    assert asked(pickle.loads(fresh)) == before
