"""Frames of polars and pyarrow: the answers are those to the same rows in pandas, bit for bit."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from interventional import (
    BayesianInterventionRegressor,
    CausalGraph,
    InterventionDisplay,
    intervene,
)
from interventional.data.table import Table
from interventional.datasets import make_sales
from interventional.intervention.do import columns_read

N = 120


def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"price": rng.normal(10, 2, N), "traffic": rng.normal(size=N)})
    X["town"] = rng.choice(["u", "v"], N)
    X["visits"] = rng.integers(0, 9, N)
    X["open"] = rng.random(N) < 0.5
    y = X["price"] - X["traffic"] + (X["town"] == "v") + X["visits"] + rng.normal(size=N)
    return X, y.to_numpy()


def arrow(X):
    return pa.Table.from_pandas(X, preserve_index=False)


X, Y = rows()
FRAMES = {"pandas": X, "polars": pl.from_pandas(X), "pyarrow": arrow(X)}
FOREIGN = {name: FRAMES[name] for name in ("polars", "pyarrow")}
ASKED = {"price": 11.0, "town": "v"}, {"price": 10.0, "town": "u"}
foreign = pytest.mark.parametrize("frame", FOREIGN.values(), ids=FOREIGN)
both = pytest.mark.parametrize("kind", FOREIGN)


def regressor(**parameters):
    return BayesianInterventionRegressor(draws=100, random_state=0, **parameters)


@pytest.fixture(scope="module")
def model():
    return regressor().fit(X, Y)


def same(found, expected):
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("asked", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("fitted", FRAMES.values(), ids=FRAMES)
def test_answers_do_not_depend_on_the_kind_of_frame(fitted, asked, model):
    found = regressor().fit(fitted, Y)
    assert list(found.feature_names_in_) == list(X.columns)
    same(found.predict(asked), model.predict(X))
    same(found.effect(asked, *ASKED).mean(), model.effect(X, *ASKED).mean())
    answer = found.intervene(asked, {"visits": 3}, kind="predictive")
    same(answer.summary(), model.intervene(X, {"visits": 3}, kind="predictive").summary())
    same(answer.average(by="town").mean(), model.intervene(X, {"visits": 3}, kind="predictive")
         .average(by=X["town"]).mean())  # fmt: skip


def test_rows_keep_their_order_and_are_numbered(model):
    backwards = model.intervene(pl.from_pandas(X).reverse(), {"visits": 3})
    same(backwards.mean(), model.intervene(X, {"visits": 3}).mean()[::-1])
    assert backwards.summary().index.tolist() == list(range(N))


COLUMNS = {
    "polars Series": pl.Series,
    "pyarrow array": pa.array,
    "pyarrow array in pieces": lambda v: pa.chunked_array([v[:50], v[50:]]),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("frame", [X, FOREIGN["polars"]], ids=["pandas", "polars"])
def test_columns_of_other_packages_go_by_position(frame, column, model):
    weights = np.arange(1.0, N + 1)
    prices, towns = np.linspace(8, 12, N), X["town"].tolist()
    expected = regressor().fit(X, Y, weights)
    found = regressor().fit(frame, column(Y), column(weights))
    same(found.coef_, expected.coef_)
    assert found.score(frame, column(Y), column(weights)) == expected.score(X, Y, weights)
    same(found.log_density(frame, column(Y)), expected.log_density(X, Y))
    forced = {"price": column(prices), "town": column(towns)}
    plain = model.intervene(X, {"price": prices, "town": towns})
    answer = model.intervene(frame.set_index(np.arange(N) + 7) if frame is X else frame, forced)
    same(answer.mean(), plain.mean())
    same(
        answer.average(weights=column(weights), by=column(towns)).mean(),
        plain.average(weights=weights, by=towns).mean(),
    )
    drawn = {"price": stats.norm(column(prices), 1.0)}
    same(
        model.intervene(frame, drawn).mean(),
        model.intervene(X, {"price": stats.norm(prices, 1.0)}).mean(),
    )


@pytest.mark.parametrize(
    ("frame", "policy"),
    [
        (X, lambda X: X["price"] * 0.9),
        (FOREIGN["polars"], lambda X: X["price"] * 0.9),
        (FOREIGN["polars"], lambda X: X.select(pl.col("price") * 0.9).to_series()),
        (FOREIGN["pyarrow"], lambda X: pc.multiply(X["price"], 0.9)),
    ],
)
def test_a_callable_gets_the_frame_of_the_user(frame, policy, model):
    kinds = []

    def noted(X):
        kinds.append(type(X))
        return policy(X)

    found = model.intervene(frame, {"price": noted})
    same(found.mean(), model.intervene(X, {"price": X["price"] * 0.9}).mean())
    assert set(kinds) == {type(frame)}


def test_a_callable_cannot_change_the_rows(model):
    frame = pl.from_pandas(X)

    def careless(X):
        X[0, "traffic"] = 99.0
        X.insert_column(0, pl.Series("new", np.zeros(N)))
        return X["price"] + 1

    model.intervene(frame, {"price": careless})
    assert frame.equals(FOREIGN["polars"])


def test_answers_do_not_follow_what_becomes_of_the_frame(model):
    frame = pl.from_pandas(X)
    answer = model.intervene(frame, {"price": lambda X: X["price"] * 0.9})
    frame[0, "traffic"] = 99.0
    same(answer.mean(), model.intervene(X, {"price": X["price"] * 0.9}).mean())
    assert answer.average(by="town").mean().shape == (2,)


@both
def test_policies_that_a_graph_traces(kind):
    """Which columns a callable reads is found by moving columns of the user's own frame."""
    graph, frame = "price -> traffic -> y; price -> y", FRAMES[kind]
    found = regressor(graph=graph).fit(frame, Y)
    expected = regressor(graph=graph).fit(X, Y)
    dearer = {"polars": lambda X: X["price"] + 1, "pyarrow": lambda X: pc.add(X["price"], 1)}
    same(
        found.intervene(frame, {"price": dearer[kind]}).mean(),
        expected.intervene(X, {"price": X["price"] + 1}).mean(),
    )
    parts = found.decompose(frame, {"price": 11}, {"price": 10})
    plain = expected.decompose(X, {"price": 11}, {"price": 10})
    same(parts["indirect"].mean(), plain["indirect"].mean())


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        ("pandas", lambda X: X["price"] + X["traffic"]),
        ("polars", lambda X: X["price"] + X["traffic"]),
        ("pyarrow", lambda X: pc.add(X["price"], X["traffic"])),
    ],
)
def test_which_column_a_policy_reads(kind, policy):
    table = Table.of(FRAMES[kind])
    assert columns_read({"price": policy}, table) == [0, 1]
    assert columns_read({"price": lambda X: X["town"]}, table) == [2]


@foreign
def test_all_other_questions(frame, model):
    y = pl.Series(Y)
    same(model.counterfactual(frame, y, {"visits": 2}).mean(),
         model.counterfactual(X, Y, {"visits": 2}).mean())  # fmt: skip
    ask = {"price": 1}, {"price": 0}
    same(model.sensitivity(frame, *ask).robustness_value().mean(),
         model.sensitivity(X, *ask).robustness_value().mean())  # fmt: skip
    same(model.sample_y(frame), model.sample_y(X))
    parameters = {"y_sigma": 1.0}
    found = model.simulate(frame, parameters, random_state=0)
    pd.testing.assert_frame_equal(found, model.simulate(X, parameters, random_state=0))
    checked = model.posterior_predictive_check(frame, y)["observed_data"]
    same(checked["y"], Y)
    built = model.build_model(frame, y)
    assert [v.name for v in built.observed_RVs] == ["y"]
    halves = regressor().partial_fit(frame[:50], y[:50]).partial_fit(X[50:], Y[50:])
    np.testing.assert_allclose(halves.coef_, model.coef_)


def test_refutation_of_a_policy_on_a_polars_frame(model):
    policy = {"price": lambda X: X["price"] * 1.1}
    found = model.refute(FOREIGN["polars"], pl.Series(Y), policy, n_repeats=2)
    pd.testing.assert_frame_equal(found, model.refute(X, Y, policy, n_repeats=2))


@pytest.mark.parametrize("output", ["default", "polars"])
def test_pipelines(output):
    def encode():
        one_hot = OneHotEncoder(sparse_output=False)
        return make_column_transformer((one_hot, ["town"]), remainder="passthrough")

    frame = FOREIGN["polars"]
    plain = make_pipeline(encode(), regressor()).fit(X, Y)
    found = make_pipeline(encode().set_output(transform=output), regressor())
    found.fit(frame, pl.Series(Y))
    for do in (
        {"town": "v", "price": 10.5},
        {"visits": 2, "open": True},
        {"price": stats.norm(10, 1)},
    ):
        same(intervene(found, frame, do).mean(), intervene(plain, X, do).mean())


def test_pipelines_of_arrow_tables():
    """Its own transformers, which pick columns by name, scikit-learn asks for pandas or polars."""
    numbers = X[["price", "traffic"]]
    plain = make_pipeline(StandardScaler(), regressor()).fit(numbers, Y)
    found = make_pipeline(StandardScaler(), regressor()).fit(arrow(numbers), pa.array(Y))
    do = {"price": lambda X: pc.multiply(X["price"], 0.9)}
    expected = intervene(plain, numbers, {"price": lambda X: X["price"] * 0.9})
    np.testing.assert_allclose(intervene(found, arrow(numbers), do).mean(), expected.mean())


def test_steps_that_know_one_kind_of_frame():
    def derived(X):
        return X.select(high=pl.col("price") ** 2, v=pl.col("town") == "v")

    frame = FOREIGN["polars"]
    pipe = make_pipeline(FunctionTransformer(derived), regressor()).fit(frame, Y)
    plain = pd.DataFrame({"high": X["price"] ** 2, "v": X["town"] == "v"})
    expected = regressor().fit(plain, Y)
    same(
        intervene(pipe, frame, {"price": lambda X: X["price"] * 0.9}).mean(),
        expected.intervene(plain, {"high": (X["price"] * 0.9) ** 2}).mean(),
    )
    drawn = intervene(pipe, frame, {"price": stats.norm(10, 1e-9), "town": "u"})
    np.testing.assert_allclose(
        drawn.mean(), expected.intervene(plain, {"high": 100.0, "v": False}).mean(), rtol=1e-6
    )


@foreign
def test_pictures_and_tests_of_graphs(frame, model):
    drawn = [InterventionDisplay.from_estimator(model, rows, "price") for rows in (frame, X)]
    same(*[display.average.mean() for display in drawn])
    graph = CausalGraph("price -> traffic -> visits")
    pd.testing.assert_frame_equal(graph.check(frame), graph.check(X))


@foreign
def test_cross_validation(frame):
    same(cross_val_score(regressor(), frame, pl.Series(Y)), cross_val_score(regressor(), X, Y))


SIZES = ["small", "large", "middling"]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["large", "small", "large", "middling"] * 30, dtype=pl.Enum(SIZES)),
        pa.DictionaryArray.from_arrays([1, 0, 1, 2] * 30, SIZES),
        pa.chunked_array(
            [
                pa.DictionaryArray.from_arrays([1, 0, 1, 2] * 15, SIZES),
                pa.DictionaryArray.from_arrays([1, 0, 1, 2] * 15, SIZES),
            ]
        ),
    ],
)
def test_levels_keep_their_order(column):
    categories = pd.Categorical(["large", "small", "large", "middling"] * 30, SIZES)
    plain = regressor().fit(pd.DataFrame({"size": categories, "b": X["price"]}), Y)
    columns = {"size": column, "b": X["price"].to_numpy()}
    frame = pl.DataFrame(columns) if isinstance(column, pl.Series) else pa.table(columns)
    found = regressor().fit(frame, Y)
    terms = found.idata_["posterior"]["y_term"].values.tolist()
    assert terms == ["size[large]", "size[middling]", "b"]  # held against the first, "small"
    same(found.coef_, plain.coef_)
    groups = found.intervene(frame, {"b": 0}).average(by=column).summary().index
    assert groups.tolist() == SIZES


def test_categoricals_of_polars_are_ordered_as_text_whatever_was_seen_before():
    towns = X["town"].tolist()
    pl.Series(["v", "zebra", "u"], dtype=pl.Categorical)  # polars numbers levels as they come
    frame = FOREIGN["polars"].with_columns(pl.Series("town", towns, dtype=pl.Categorical))
    plain = regressor().fit(X.assign(town=pd.Categorical(towns)), Y)
    same(regressor().fit(frame, Y).coef_, plain.coef_)


VALUES = {
    "small integers": (pl.Series([1, 2, 3] * 40, dtype=pl.UInt8), [1.0, 2.0, 3.0] * 40),
    "wide integers": (pl.Series([1, 2, 3] * 40, dtype=pl.Int128), [1.0, 2.0, 3.0] * 40),
    "half floats": (pl.Series([1.5, 2.0, 3.0] * 40, dtype=pl.Float16), [1.5, 2.0, 3.0] * 40),
    "Decimal": (pl.Series([Decimal("1.25"), Decimal(2), Decimal(3)] * 40), [1.25, 2.0, 3.0] * 40),
    "arrow decimals": (pa.array([Decimal("1.25"), Decimal(2)] * 60), [1.25, 2.0] * 60),
    "arrow strings": (pa.array(["p", "q"] * 60, pa.large_string()), ["p", "q"] * 60),
    "arrow bools": (pa.array([True, False, False] * 40), [True, False, False] * 40),
}


@pytest.mark.parametrize(("column", "plain"), VALUES.values(), ids=VALUES)
def test_values_are_those_of_pandas(column, plain):
    columns = {"price": X["price"].to_numpy(), "new": column}
    frame = pl.DataFrame(columns) if isinstance(column, pl.Series) else pa.table(columns)
    expected = regressor().fit(X[["price"]].assign(new=plain), Y)
    found = regressor().fit(frame, Y)
    same(found.coef_, expected.coef_)
    some = {"new": plain[0]}
    same(found.intervene(frame, some).mean(), expected.intervene(frame, some).mean())


def with_missing(column, frame):
    values = [None if k == 3 else v for k, v in enumerate(X[column].tolist())]
    if isinstance(frame, pl.DataFrame):
        return frame.with_columns(pl.Series(column, values))
    return frame.set_column(frame.column_names.index(column), column, pa.array(values))


@pytest.mark.parametrize("column", list(X.columns))
@foreign
def test_nulls_are_named(column, frame, model):
    odd = with_missing(column, frame)
    for ask in (lambda: regressor().fit(odd, Y), lambda: model.predict(odd)):
        with pytest.raises(ValueError, match=f"NaN.*'{column}', row 3"):
            ask()


@pytest.mark.parametrize("column", [pl.Series([None, *Y[1:]]), pa.array([None, *Y[1:]])])
def test_nulls_in_y_are_named(column):
    with pytest.raises(ValueError, match="y contains NaN"):
        regressor().fit(X, column)


DAYS = pl.select(pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=N - 1)))
DATED = pl.DataFrame({"day": DAYS.to_series(), "b": Y})
TWICE = arrow(X).rename_columns(["a", "a", "b", "c", "d"])
REFUSED = {
    "a lazy frame": (FOREIGN["polars"].lazy(), TypeError, "LazyFrame.*collect"),
    "a batch": (arrow(X).to_batches()[0], TypeError, "Table.from_batches"),
    "a name twice": (TWICE, ValueError, "more than one.*'a'"),
    "dates": (DATED, TypeError, "'day'.*datetime64"),
    "arrow dates": (DATED.to_arrow(), TypeError, "'day'.*date"),
    "lists": (pl.DataFrame({"a": [[1, 2]] * N, "b": Y}), TypeError, r"'a' of X holds \[1, 2\]"),
    "structs": (pl.DataFrame({"a": [{"k": 1}] * N, "b": Y}), TypeError, "'a' of X holds {'k': 1}"),
    "no rows": (FOREIGN["polars"][:0], ValueError, "0 sample"),
    "no columns": (FOREIGN["polars"].select([]), ValueError, "0 "),
}  # fmt: skip


@pytest.mark.parametrize(("odd", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_table_of_numbers_and_levels_is_refused(odd, error, message):
    with pytest.raises(error, match=message):
        regressor().fit(odd, Y)


@foreign
def test_other_columns_are_refused_by_name(frame, model):
    renamed = frame.rename({"price": "prise"}) if isinstance(frame, pl.DataFrame) else (
        frame.rename_columns(["prise", *X.columns[1:]])
    )  # fmt: skip
    with pytest.raises(ValueError, match="prise"):
        model.predict(renamed)
    with pytest.raises(ValueError, match="unknown column 'prise'; did you mean 'price'"):
        model.intervene(frame, {"prise": 1})


def test_expressions_are_no_columns(model):
    for what in (pl.col("price"), lambda X: pl.col("price") * 0.9):
        with pytest.raises(TypeError, match=r"do\['price'\].*Expr"):
            model.intervene(FOREIGN["polars"], {"price": what})


def test_the_dataset_of_the_docs():
    sales, y = make_sales(random_state=0)
    ask = {"price": 10}, {"price": 11}
    plain = BayesianInterventionRegressor(random_state=0).fit(sales, y).effect(sales, *ask)
    frame = pl.from_pandas(sales)
    found = BayesianInterventionRegressor(random_state=0).fit(frame, pl.from_pandas(y))
    same(found.effect(frame, *ask).average().mean(), plain.average().mean())
