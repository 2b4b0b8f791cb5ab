"""Rows that are kept: the same ones, however they came."""

import numpy as np
import pandas as pd
import pytest

from interventional.data.kept import MOST, Kept
from interventional.data.schema import Schema

N = 3 * MOST


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=N), "b": rng.integers(0, 3, N)})
    X["c"] = rng.choice(list("pqr"), N)
    return X, rng.normal(size=N)


def kept(X, y, weights=None, schema=None, groups=()):
    schema = Schema.of(X) if schema is None else schema
    columns = tuple(range(X.shape[1]))
    return Kept.of(schema, columns, schema.encode(X), np.asarray(y), weights, groups)


def content(rows, names=("values", "target", "weights")):
    """Return rows as sorted tuples."""
    return sorted(map(tuple, np.column_stack([getattr(rows, name) for name in names])))


def test_all_rows_where_they_are_few(table):
    X, y = table[0][:MOST], table[1][:MOST]
    found = kept(X, y)
    np.testing.assert_array_equal(found.values, Schema.of(X).encode(X))
    np.testing.assert_array_equal(found.target, y)


def test_the_same_rows_in_any_order(table):
    X, y = table
    found = kept(X, y)
    assert len(found) == MOST
    order = np.random.default_rng(1).permutation(N)
    assert content(kept(X.iloc[order], y[order])) == content(found)
    columns = ["c", "a", "b"]
    assert sorted(kept(X[columns], y).target) == sorted(found.target)


def test_a_random_part_of_the_rows(table):
    X, y = table
    found = kept(X, y)
    # A mean of a third of the rows, drawn without replacement.
    error = np.sqrt((1 / MOST - 1 / N) * np.var(y))
    assert abs(found.target.mean() - y.mean()) < 4 * error
    share = (X["b"] == 1).mean()
    error = np.sqrt((1 / MOST - 1 / N) * share * (1 - share))
    assert abs((found.values[:, 1] == 1).mean() - share) < 4 * error


@pytest.mark.parametrize("parts", [2, 7])
def test_batches_keep_what_all_rows_at_once_do(table, parts):
    X, y = table
    total, schema = None, None
    for rows in np.array_split(np.argsort(X["c"].to_numpy(), kind="stable"), parts):
        batch = X.iloc[rows]  # which lacks levels that others have
        own = Schema.of(batch)
        part = kept(batch, y[rows])
        if total is None:
            total, schema = part, own
        else:
            both = schema.merge(own)
            total, schema = total.merged(part, schema, own, both), both
    assert content(total) == content(kept(X, y))


def test_weights_are_how_often_a_row_is_kept(table):
    X, y = table
    weights = np.where(np.arange(N) % 2, 3.0, 1.0)
    found = kept(X, y, weights)
    heavy = (found.weights == 3).mean()
    # Of rows without replacement: less than 3/4, and far more than half.
    assert 0.6 < heavy < 0.75


def test_groups_are_kept_with_several_rows():
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(1000), 20)
    X = pd.DataFrame({"x": rng.normal(size=len(unit)), "unit": [f"u{k}" for k in unit]})
    found = kept(X, rng.normal(size=len(unit)), groups=[1])
    sizes = np.unique(found.values[:, 1], return_counts=True)[1]
    assert len(found) == MOST
    assert np.median(sizes) >= 8
