"""Which columns a policy reads, and what a graph makes of it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interventional import BayesianInterventionRegressor, NotIdentifiedError
from interventional.data.table import Table
from interventional.intervention import do as module


def columns_read(do, rows):
    """Return the names of the columns that are read."""
    table = Table.of(rows)
    return {table.names[j] for j in module.columns_read(do, table)}


X = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [4.0, 3, 3, 1], "c": list("uvuv")})


@pytest.mark.parametrize(
    ("do", "read"),
    [
        ({"a": 1.0}, set()),
        ({"a": X["b"]}, set()),
        ({"a": lambda X: 5.0}, set()),
        ({"a": lambda X: 5.0 + 0 * X["b"]}, set()),
        ({"a": lambda X: X["a"] + 1}, {"a"}),
        ({"a": lambda X: X["b"] * (X["c"] == "u")}, {"b", "c"}),
        ({"a": lambda X: X["b"], "b": lambda X: X["a"]}, {"a", "b"}),
        ({"a": lambda X: stats.norm(X["b"], 1)}, {"b"}),
        ({"a": stats.norm(0, 1)}, set()),
        ({"a": lambda X: 1.0 if X["a"].is_monotonic_increasing else [][0]}, {"a"}),
    ],
    ids=[
        "number",
        "series",
        "constant",
        "to no effect",
        "own",
        "two",
        "swap",
        "law",
        "drawn",
        "fails",
    ],
)
def test_columns_read(do, read):
    """Moving a column that is read changes the answer; so does one that then fails."""
    assert columns_read(do, X) == read


def test_columns_read_of_an_array():
    values = X[["a", "b"]].to_numpy()
    assert columns_read({0: lambda X: X[:, 1]}, values) == {"x1"}
    assert columns_read({0: lambda X: 5.0 + 0 * X[:, 1]}, values) == set()


@pytest.mark.parametrize("values", [X[["a", "b"]], X[["a", "b"]].to_numpy()])
def test_columns_read_of_few_rows(values):
    """Two rows tell whether a column is read; one row is its own reshuffle, and tells nothing."""

    def policy(rows):
        return np.asarray(rows)[:, 1]

    assert columns_read({0: policy}, values[:2]) == {Table.of(values).names[1]}
    assert columns_read({0: policy}, values[:1]) == set()


def test_columns_read_by_a_policy_that_fails():
    """One that fails on the rows as they are may have read any column."""
    assert columns_read({"a": lambda X: [][0]}, X) == {"a", "b", "c"}


def test_columns_read_by_a_policy_of_chance():
    """One that answers the same rows in two ways counts as reading what it may have read."""
    rng = np.random.default_rng(0)
    assert columns_read({"a": lambda X: rng.normal()}, X) == {"a", "b", "c"}


def test_columns_read_by_the_second_of_two_policies():
    do = {"a": lambda X: 1.0, "b": lambda X: X["c"] == "u"}
    assert columns_read(do, X) == {"c"}


def test_columns_read_of_a_table_with_repeated_labels():
    """Columns are moved by position."""
    rows = X[["a", "b"]].set_axis(["a", "a"], axis=1)
    assert module.columns_read({"a": lambda X: X.iloc[:, 1]}, Table.of(rows)) == [1]


@pytest.fixture(scope="module")
def confounded():
    """w and y share a hidden cause u; x causes y through m and directly."""
    rng = np.random.default_rng(0)
    u, x = rng.normal(size=(2, 4000))
    w = u + rng.normal(size=4000)
    m = x + rng.normal(size=4000)
    y = x + m + 2 * u + rng.normal(size=4000)
    rows = pd.DataFrame({"x": x, "m": m, "w": w})
    graph = "x -> m -> y; x -> y; w <-> y"
    model = BayesianInterventionRegressor(graph=graph, random_state=0, draws=250).fit(rows, y)
    return model, rows


def test_policy_that_reads_a_confounded_column_is_refused(confounded):
    """E[y | do(x = w)] depends on u through w: an average over rows that forgets w is off."""
    model, rows = confounded
    with pytest.raises(NotIdentifiedError, match=r"computed from 'w': .*w <-> y"):
        model.intervene(rows, {"x": lambda X: X["w"]})


def test_policy_that_reads_a_mediator_is_refused(confounded):
    model, rows = confounded
    with pytest.raises(NotIdentifiedError, match="computed from 'm', which changes with them"):
        model.intervene(rows, {"x": lambda X: X["m"]})


def test_policy_that_reads_its_own_column_is_answered(confounded):
    """One more x is worth 1 + 1, directly and through m."""
    model, rows = confounded
    effect = model.effect(rows, {"x": lambda X: X["x"] + 1}).average()
    assert abs(effect.mean()[0] - 2.0) < 4 * effect.std()[0]


def test_policy_that_reads_a_parent_of_the_outcome_is_answered():
    """With w in y's equation, E[y | do(x = w)] is that of the simulated model."""
    rng = np.random.default_rng(1)
    w = rng.normal(size=4000)
    x = w + rng.normal(size=4000)
    y = 2 * x + 3 * w + rng.normal(size=4000)
    rows = pd.DataFrame({"x": x, "w": w})
    model = BayesianInterventionRegressor(graph="w -> x -> y; w -> y", random_state=0)
    outcomes = model.fit(rows, y).intervene(rows, {"x": lambda X: X["w"]}).average()
    assert abs(outcomes.mean()[0] - 5 * w.mean()) < 4 * outcomes.std()[0]
