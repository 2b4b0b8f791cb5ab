import numpy as np
import pandas as pd
import pytest

from interventional.data.accumulation import Accumulated
from interventional.data.cells import Cells
from interventional.data.schema import Schema


def accumulated(X, weights=None):
    schema = Schema.of(X)
    values = schema.encode(X)
    return Accumulated.of(schema, tuple(range(X.shape[1])), values, values[:, 0], weights)


def as_counts(found):
    """Return the counts as a Series, by the labels of levels and the values of numbers."""
    cells, schema = found.cells, found.schema
    names = [schema.names[j] for j in cells.columns]
    columns = [
        schema.decode_column(j, values[cells.codes[:, k]]).astype(object).to_numpy()
        for k, (j, values) in enumerate(zip(cells.columns, cells.values, strict=True))
    ]
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)))
    return frame.assign(weight=cells.weights).set_index(names)["weight"].sort_index()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    n = 2000
    return pd.DataFrame(
        {
            "age": rng.normal(size=n),
            "rating": rng.integers(1, 6, n),
            "open": rng.random(n) < 0.3,
            "kind": rng.choice(list("pqr"), n),
            "year": rng.integers(0, 40, n),
            "city": [f"c{k}" for k in rng.integers(0, 31, n)],
        }
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_those_of_pandas(rows, weighted):
    """Of columns with at most 30 values; ages, years and cities have more."""
    weights = np.random.default_rng(1).uniform(0.5, 2, len(rows)) if weighted else None
    found = as_counts(accumulated(rows, weights))
    expected = rows.assign(weight=1.0 if weights is None else weights)
    expected = expected.groupby(["kind", "open", "rating"])["weight"].sum()
    assert set(found.index.names) == {"kind", "open", "rating"}
    found = found.reorder_levels(["kind", "open", "rating"]).sort_index()
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-12)


def test_batches_do_not_matter(rows):
    """Some lack levels, and a number has few values in each, but not in all."""
    whole = as_counts(accumulated(rows))
    for by in ("kind", "year"):
        batches = [accumulated(part) for _, part in rows.groupby(by)]
        for order in (batches, batches[::-1]):
            total = order[0]
            for batch in order[1:]:
                total = total + batch
            pd.testing.assert_series_equal(as_counts(total), whole)


def test_where_combinations_are_many_fewer_columns_take_part():
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.integers(0, 20, (6000, 4))).add_prefix("x").astype("category")
    whole = accumulated(X)
    assert len(whole.cells.columns) == 2  # 20**3 are too many
    assert whole.cells.weights.sum() == len(X)
    columns = X[["x3", "x1", "x0", "x2"]]  # in any order, the same ones
    assert as_counts(accumulated(columns)).equals(as_counts(whole))
    total = accumulated(X[:10])
    for start in range(10, 6000, 1700):
        total = total + accumulated(X[start : start + 1700])
    pd.testing.assert_series_equal(as_counts(total), as_counts(whole))


def test_of_no_column_there_is_one_combination(rows):
    found = accumulated(rows[["age"]]).cells
    assert found.columns == ()
    assert found.weights.tolist() == [len(rows)]


def test_what_was_saved_without_them_is_added_without_them(rows):
    old = accumulated(rows)
    old = Accumulated(old.schema, old.columns, old.factor)
    assert (old + accumulated(rows)).cells is None
    assert isinstance((accumulated(rows) + accumulated(rows)).cells, Cells)
