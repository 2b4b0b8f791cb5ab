"""What `do` may be, against the values that it stands for."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interventional import BayesianInterventionRegressor, numbers
from interventional.data.schema import Schema
from interventional.data.table import Table
from interventional.intervention.do import describe, encoded, forced_values, parse_do

N = 30
INDEX = [f"row {k}" for k in range(N)]


def fitted(X, seed=0):
    y = np.random.default_rng(seed).normal(size=len(X)) + np.arange(len(X)) % 3
    return BayesianInterventionRegressor(draws=20, chains=2, random_state=0).fit(X, y)


@pytest.fixture(scope="module", name="X")
def table():
    rng = np.random.default_rng(11)
    return pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "b": rng.normal(5.0, 2.0, size=N),
            "on": rng.random(N) < 0.5,
            "sex": rng.choice(["f", "m"], N),
            "dose": pd.Categorical(
                rng.choice(["none", "some", "much"], N), categories=["none", "some", "much"]
            ),
        },
        index=INDEX,
    )


@pytest.fixture(scope="module")
def model(X):
    return fitted(X)


def assert_same_draws(outcomes, expected):
    np.testing.assert_allclose(outcomes.draws.values, expected.draws.values, rtol=1e-12)


def by_substitution(model, replaced):
    """E[y | X] of rows that really have the forced values, in the order of X."""
    return model.predict(replaced)


def pattern(n):
    return np.linspace(-2.0, 7.0, n)


def half_of_b(X):
    return X["b"] / 2


SHUFFLED = np.random.default_rng(0).permutation(N)
LEVELS = np.array(["none", "some", "much"])[np.arange(N) % 3]

# name: what a user writes, and the columns that result
WAYS = {
    "int": ({"b": 3}, {"b": 3.0}),
    "float": ({"b": -0.5}, {"b": -0.5}),
    "NumPy scalar": ({"b": np.float32(0.5)}, {"b": 0.5}),
    "0-d array": ({"b": np.array(2)}, {"b": 2.0}),
    "bool for a bool": ({"on": True}, {"on": True}),
    "0 for a bool": ({"on": 0}, {"on": False}),
    "NumPy bool": ({"on": np.False_}, {"on": False}),
    "bools": ({"on": np.arange(N) % 2 == 0}, {"on": np.arange(N) % 2 == 0}),
    "level of strings": ({"sex": "m"}, {"sex": "m"}),
    "level of a category": ({"dose": "much"}, {"dose": "much"}),
    "list": ({"b": list(range(N))}, {"b": np.arange(N)}),
    "tuple": ({"b": tuple(range(N))}, {"b": np.arange(N)}),
    "range": ({"b": range(N)}, {"b": np.arange(N)}),
    "array": ({"b": pattern(N)}, {"b": pattern(N)}),
    "array of objects": ({"b": pattern(N).astype(object)}, {"b": pattern(N)}),
    "array of levels": ({"dose": LEVELS}, {"dose": LEVELS}),
    "list of levels": ({"dose": LEVELS.tolist()}, {"dose": LEVELS}),
    "Categorical": ({"dose": pd.Categorical(LEVELS)}, {"dose": LEVELS}),
    "Series in order": ({"b": pd.Series(pattern(N), INDEX)}, {"b": pattern(N)}),
    "Series shuffled": ({"b": pd.Series(pattern(N), INDEX).iloc[SHUFFLED]}, {"b": pattern(N)}),
    "Series with more rows": (
        {"b": pd.concat([pd.Series([9.0], ["other"]), pd.Series(pattern(N), INDEX)])},
        {"b": pattern(N)},
    ),
    "Series of nullable numbers": (
        {"b": pd.Series(np.arange(N), INDEX, dtype="Int64").iloc[SHUFFLED]},
        {"b": np.arange(N)},
    ),
    "Series of levels": (
        {"dose": pd.Series(LEVELS, INDEX, dtype="category").iloc[SHUFFLED]},
        {"dose": LEVELS},
    ),
    "Index": ({"b": pd.Index(pattern(N))}, {"b": pattern(N)}),
    "callable giving a scalar": ({"b": lambda X: X["a"].max()}, {"b": lambda X: X["a"].max()}),
    "callable giving a level": ({"sex": lambda X: "f"}, {"sex": "f"}),
    "callable giving a list": ({"b": lambda X: [1.0] * len(X)}, {"b": 1.0}),
    "callable giving an array": (
        {"b": lambda X: 5 * X["b"].to_numpy()},
        {"b": lambda X: 5 * X["b"]},
    ),
    "callable giving a Series": ({"b": lambda X: 5 * X["b"]}, {"b": lambda X: 5 * X["b"]}),
    "callable giving another order": (
        {"b": lambda X: X["a"].sort_values()},
        {"b": lambda X: X["a"]},
    ),
    "callable of a level": (
        {"b": lambda X: np.where(X["sex"] == "m", 1.0, X["b"])},
        {"b": lambda X: X["b"].where(X["sex"] != "m", 1.0)},
    ),
    "callable giving levels": (
        {"dose": lambda X: X["dose"].where(X["dose"] != "none", "some")},
        {"dose": lambda X: X["dose"].where(X["dose"] != "none", "some")},
    ),
    "named function": ({"b": half_of_b}, {"b": half_of_b}),
    "many at once": (
        {"a": 0, "b": lambda X: X["b"].clip(upper=4), "on": False, "dose": "some"},
        {"a": 0.0, "b": lambda X: X["b"].clip(upper=4), "on": False, "dose": "some"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_force(model, X, way):
    """Forcing is E[y | X] at the rows in which the columns have the values (a linear model)."""
    do, columns = WAYS[way]
    expected = by_substitution(model, X.assign(**columns))
    np.testing.assert_allclose(model.intervene(X, do).mean(), expected, rtol=1e-10)


def test_every_column_matters(model, X):
    """The comparisons above can fail: each column has a coefficient of its own."""
    assert np.abs(model.coef_).min() > 1e-3


class TestAtOnce:
    """All entries read X as it was before the intervention."""

    def test_swap(self, model, X):
        """Two callables swap two columns."""
        do = {"a": lambda X: X["b"], "b": lambda X: X["a"]}
        swapped = X.assign(a=X["b"], b=X["a"])
        expected = by_substitution(model, swapped)
        np.testing.assert_allclose(model.intervene(X, do).mean(), expected, rtol=1e-10)
        backwards = dict(reversed(do.items()))
        assert_same_draws(model.intervene(X, backwards), model.intervene(X, do))

    def test_a_callable_does_not_see_another_entry(self, model, X):
        """`b` doubles what `a` was, not what it is forced to."""
        do = {"a": 100.0, "b": lambda X: 2 * X["a"]}
        expected = by_substitution(model, X.assign(a=100.0, b=2 * X["a"]))
        np.testing.assert_allclose(model.intervene(X, do).mean(), expected, rtol=1e-10)

    def test_baseline_reads_x_as_it_was_too(self, model, X):
        """Neither side of an effect sees the other."""
        lift = model.effect(
            X, do={"a": 9.0, "b": lambda X: X["a"]}, baseline={"b": lambda X: X["b"] + X["a"]}
        )
        treated = by_substitution(model, X.assign(a=9.0, b=X["a"]))
        control = by_substitution(model, X.assign(b=X["b"] + X["a"]))
        np.testing.assert_allclose(lift.mean(), treated - control, rtol=1e-9)


class TestCallable:
    """A callable gets X, in the manner of `DataFrame.assign`."""

    def test_it_gets_the_users_table(self, model, X):
        """Same labels, same dtypes, same values, levels as levels; once a query."""
        seen = []

        def policy(table):
            seen.append(table)
            return table["b"]

        model.intervene(X, {"b": policy})
        (table,) = seen
        pd.testing.assert_frame_equal(table, X)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda T: T.insert(0, "z", 1.0),
            lambda T: T.pop("a"),
            lambda T: T.__setitem__("a", 0.0),
            lambda T: T.loc.__setitem__((slice(None), "a"), 0.0),
            lambda T: T.iloc.__setitem__((0, 0), 99.0),
            lambda T: T.update(pd.DataFrame({"a": 0.0}, index=INDEX)),
            lambda T: setattr(T, "index", range(N)),
            lambda T: setattr(T.index, "name", "other"),
            lambda T: setattr(T, "columns", list("vwxyz")),
        ],
    )
    def test_it_cannot_damage_x(self, model, X, damage):
        """X is as before, for the user and for the other entries."""
        table, before = X.copy(), X.copy(deep=True)

        def policy(rows):
            damage(rows)
            return 1.0

        outcomes = model.intervene(table, {"b": policy, "a": lambda X: 3 * X["a"]})
        pd.testing.assert_frame_equal(table, before)
        assert table.index.name is None
        expected = by_substitution(model, before.assign(b=1.0, a=3 * before["a"]))
        np.testing.assert_allclose(outcomes.mean(), expected, rtol=1e-10)

    def test_it_cannot_damage_an_array(self):
        """An array is handed out read-only."""
        values = np.random.default_rng(0).normal(size=(20, 2))
        before = values.copy()
        model = fitted(values)

        def policy(rows):
            rows[:, 0] = 0.0
            return 1.0

        with pytest.raises(ValueError, match="read-only"):
            model.intervene(values, {1: policy})
        np.testing.assert_array_equal(values, before)
        assert values.flags.writeable

    def test_it_may_return_a_distribution(self, model, X):
        """A policy whose law depends on the row: N(2 a, 0.5) for each row."""
        draws = model.intervene(X, {"b": lambda X: stats.norm(2 * X["a"].to_numpy(), 0.5)}).draws
        at_mean = model.intervene(X, {"b": lambda X: 2 * X["a"]}).draws
        names = list(model.idata_["posterior"]["y_term"].values)
        beta = model.idata_["posterior"]["y_beta"].values[..., [names.index("b")]]
        z = ((draws.values - at_mean.values) / (0.5 * beta)).ravel()
        assert stats.kstest(z, "norm").pvalue > 1e-4

    def test_its_error_is_the_users(self, model, X):
        """What goes wrong inside a callable is raised as it is."""
        with pytest.raises(KeyError, match="prise"):
            model.intervene(X, {"b": lambda X: X["prise"]})


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(1).normal(size=(20, 3))


@pytest.fixture(scope="module")
def array_model(values):
    return fitted(values)


class TestArrays:
    """Columns of an array go by position or by the names x0, x1, …."""

    @pytest.mark.parametrize("key", [1, "x1", np.int64(1)])
    def test_names(self, array_model, values, key):
        """Each name forces the same column."""
        replaced = values.copy()
        replaced[:, 1] = 0.5
        outcomes = array_model.intervene(values, {key: 0.5})
        np.testing.assert_allclose(outcomes.mean(), array_model.predict(replaced), rtol=1e-10)

    def test_callable(self, array_model, values):
        """A callable gets an array."""
        replaced = values.copy()
        replaced[:, 2] = 2 * values[:, 0]
        outcomes = array_model.intervene(values, {2: lambda X: 2 * X[:, 0]})
        np.testing.assert_allclose(outcomes.mean(), array_model.predict(replaced), rtol=1e-10)

    def test_list_of_lists(self, array_model, values):
        """X may be a list of lists."""
        do = {"x0": 1, "x2": lambda X: X[:, 1]}
        assert_same_draws(
            array_model.intervene(values.tolist(), do), array_model.intervene(values, do)
        )

    def test_series_goes_by_position(self, array_model, values):
        """An array has no labels to align on: a Series counts as its values."""
        series = pd.Series(pattern(20), index=np.arange(20)[::-1])
        assert_same_draws(
            array_model.intervene(values, {0: series}),
            array_model.intervene(values, {0: pattern(20)}),
        )

    @pytest.mark.parametrize("key", [3, -1, True, "x3", "1", 1.5, None])
    def test_unknown(self, array_model, values, key):
        """What is neither a position nor a name is refused, and the names are listed."""
        with pytest.raises(ValueError, match=r"unknown column .*Known: 'x0', 'x1', 'x2'"):
            array_model.intervene(values, {key: 0})

    def test_twice(self, array_model, values):
        """One column under two names is an error: the two may contradict."""
        with pytest.raises(ValueError, match="forces column 'x1' twice"):
            array_model.intervene(values, {1: 0, "x1": 1})


class TestLabels:
    """A DataFrame's columns go by their labels, whatever these are."""

    @pytest.mark.parametrize(
        "labels",
        [
            [10, 20, 30],
            [2, 1, 0],
            [0.5, 1.5, 2.5],
            ["a b", "b[1]", "c:d"],
            [("u", 1), ("u", 2), ("v", 1)],
            list(pd.date_range("2020", periods=3)),
        ],
        ids=["integers", "integers that look like positions", "floats", "odd", "tuples", "dates"],
    )
    def test_labels(self, labels):
        """Forcing by label equals replacing the labelled column."""
        X = pd.DataFrame(np.random.default_rng(2).normal(size=(20, 3)))
        X.columns = pd.Index(labels, tupleize_cols=False)
        model = fitted(X)
        replaced = X.copy()
        replaced[labels[0]] = 2.0 * X[labels[2]]
        outcomes = model.intervene(X, {labels[0]: lambda X: 2 * X[labels[2]]})
        np.testing.assert_allclose(outcomes.mean(), model.predict(replaced), rtol=1e-10)

    def test_integer_labels_in_another_order(self):
        """Columns go by label: rows whose columns stand in another order are refused."""
        X = pd.DataFrame(np.random.default_rng(2).normal(size=(20, 3)))
        model = fitted(X)
        with pytest.raises(ValueError, match="order"):
            model.intervene(X[[2, 1, 0]], {0: 1.0})

    def test_levels_of_many_kinds(self):
        """Integers, intervals and dates serve as levels."""
        rng = np.random.default_rng(3)
        X = pd.DataFrame(
            {
                "code": pd.Categorical(rng.integers(1, 4, 40)),
                "bin": pd.cut(rng.normal(size=40), [-9.0, 0.0, 9.0]),
                "day": pd.Categorical(pd.to_datetime(["2020-01-01", "2020-01-02"] * 20)),
            }
        )
        model = fitted(X)
        day, bin_ = pd.Timestamp("2020-01-02"), pd.Interval(0.0, 9.0)
        replaced = X.copy()
        for name, level in (("code", 2), ("bin", bin_), ("day", day)):
            replaced[name] = pd.Categorical([level] * 40, categories=X[name].cat.categories)
        outcomes = model.intervene(X, {"code": 2, "bin": bin_, "day": day})
        np.testing.assert_allclose(outcomes.mean(), model.predict(replaced), rtol=1e-10)


class TestEffect:
    """The difference that forcing makes."""

    @pytest.mark.parametrize("kind", ["mean", "predictive"])
    def test_is_the_difference_of_two_interventions(self, model, X, kind):
        """effect(do, baseline) equals intervene(do) - intervene(baseline), draw by draw."""
        do, baseline = {"b": 1.0, "sex": "m"}, {"a": lambda X: -X["a"]}
        lift = model.effect(X, do, baseline, kind=kind)
        difference = model.intervene(X, do, kind=kind) - model.intervene(X, baseline, kind=kind)
        np.testing.assert_array_equal(lift.draws.values, difference.draws.values)

    @pytest.mark.parametrize("kind", ["mean", "predictive"])
    def test_default_baseline_is_the_observed_values(self, model, X, kind):
        """No baseline means the same columns forced to what they were."""
        do = {"b": lambda X: 5 * X["b"], "dose": "none"}
        lift = model.effect(X, do, kind=kind)
        explicit = model.effect(X, do, {"b": X["b"], "dose": X["dose"]}, kind=kind)
        np.testing.assert_array_equal(lift.draws.values, explicit.draws.values)
        change = model.predict(X.assign(**{"b": 5 * X["b"], "dose": "none"})) - model.predict(X)
        np.testing.assert_allclose(lift.mean(), change, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("kind", ["mean", "predictive"])
    def test_of_a_shift_is_its_coefficient_in_each_draw(self, model, X, kind):
        """Both sides have the same draw and the same noise: beta_b times 3, and nothing else."""
        lift = model.effect(X, {"b": lambda X: X["b"] + 3}, kind=kind).draws.values
        names = list(model.idata_["posterior"]["y_term"].values)
        beta = model.idata_["posterior"]["y_beta"].values[..., [names.index("b")]]
        np.testing.assert_allclose(lift, np.broadcast_to(3 * beta, lift.shape), rtol=1e-9)

    def test_of_nothing_is_zero(self, model, X):
        """Forced to what they were observed at, columns make no difference in any draw."""
        lift = model.effect(X, {"b": X["b"], "sex": X["sex"]}, kind="predictive")
        np.testing.assert_allclose(lift.draws.values, 0.0, atol=1e-12)

    def test_of_a_policy_against_itself_is_zero(self, model, X):
        """The same distribution on both sides is the same draws."""
        policy = {"b": stats.norm(0, 1)}
        lift = model.effect(X, policy, policy)
        np.testing.assert_allclose(lift.draws.values, 0.0, atol=1e-12)


def forced_of(do, X):
    """Return what five draws of a model of these columns are forced to."""
    table, schema = Table.of(X), Schema.of(X)
    return encoded(parse_do(do, table, schema, 5, 0, "y"), schema, len(X), 5)


class TestDrawn:
    """A distribution is drawn from for each row and posterior draw, some rows at a time."""

    ROWS = slice(3, 7)

    @staticmethod
    def drawn(distribution, key=(0, 0)):
        return forced_values(
            distribution, Table.of(pd.DataFrame(index=range(9))), "do['b']", 5, key
        )

    @pytest.mark.parametrize(
        "distribution",
        [
            lambda loc: stats.norm(loc, 1e-9),
            lambda loc: stats.norm(loc=loc, scale=1e-9),
            lambda loc: stats.norm(loc, scale=np.full((1, 1), 1e-9)),
            lambda loc: stats.norm(loc, np.full(9, 1e-9)),
        ],
        ids=["by position", "by name", "mixed", "one a row"],
    )
    @pytest.mark.parametrize("shape", [(), (9,), (1, 9), (5, 1), (5, 9)])
    def test_parameters_go_with_rows_and_draws(self, distribution, shape):
        loc = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
        expected = np.broadcast_to(loc, (5, 9))[:, self.ROWS]
        found = self.drawn(distribution(loc)).chunk(1, self.ROWS)
        np.testing.assert_allclose(found, expected, atol=1e-7)

    def test_each_source_has_random_numbers_of_its_own(self):
        """Seed, column, chunk: where one differs, so does every draw; where none does, none."""
        law = stats.norm(0, 1)
        draws = [
            self.drawn(law, key).chunk(k, self.ROWS)
            for key in ((0, 0), (1, 0), (0, 1))
            for k in (0, 1)
        ]
        together = np.array(draws).ravel()
        assert len(np.unique(together)) == len(together)
        np.testing.assert_array_equal(self.drawn(law, (0, 1)).chunk(1, self.ROWS), draws[-1])

    @pytest.mark.parametrize("shape", [(3,), (9, 1), (5, 9, 1), (2, 5, 9)])
    def test_parameters_of_other_shapes(self, shape):
        message = r"do\['b'\]: parameter 'scale' of the distribution has shape .* or \(9,\)"
        with pytest.raises(ValueError, match=message):
            self.drawn(stats.norm(0, scale=np.ones(shape)))

    def test_parameters_that_the_family_does_not_allow(self):
        with pytest.raises(ValueError, match=r"^do\['b'\]: "):
            self.drawn(stats.poisson(-1.0)).chunk(0, self.ROWS)

    def test_later_changes_of_parameters_do_not_count(self):
        loc = np.zeros(9)
        law = self.drawn(stats.norm(loc, 1e-9))
        loc[:] = 100.0
        np.testing.assert_allclose(law.chunk(0, self.ROWS), 0.0, atol=1e-7)

    def test_what_is_drawn_later_is_tried_at_once(self, monkeypatch):
        """Of many draws a few are made at once, so that what is wrong is not found hours later."""
        X = pd.DataFrame({"a": np.zeros(9), "b": np.zeros(9)})
        do = {"b": stats.norm(np.inf, 1)}
        monkeypatch.setattr(numbers, "AT_ONCE", 44)
        with pytest.raises(ValueError, match=r"do\['b'\] holds inf"):
            forced_of(do, X)
        forced = forced_of({"b": stats.norm(0, 1)}, X)["b"]
        assert (forced.n_draws, forced.n) == (5, 9)
        assert forced.held().shape == (5, 9)
        other = forced_of({"a": stats.norm(0, 1)}, X)["a"]
        assert not np.isin(forced.held(), other.held()).any()


def test_series_with_the_index_of_x_goes_by_it_even_if_labels_repeat():
    X = pd.DataFrame({"a": np.zeros(3)}, index=[1, 1, 2])
    values = pd.Series([3.0, 4.0, 5.0], index=X.index)
    forced = forced_of({"a": values}, X)["a"]
    np.testing.assert_array_equal(forced, [3.0, 4.0, 5.0])
    other = values.set_axis([1, 2, 2])
    with pytest.raises(ValueError, match=r"do\['a'\].*repeats labels"):
        forced_of({"a": other}, X)


def test_forced_values_are_not_shared():
    X = pd.DataFrame({"a": np.zeros(4)})
    mine = np.arange(4.0)
    forced = forced_of({"a": mine}, X)["a"]
    mine[:] = 9.0
    np.testing.assert_array_equal(forced, np.arange(4.0))
    forced = forced_of({"a": 2.0}, X)["a"]
    forced[0] = 1.0  # they can be written to, where one number is broadcast too
    np.testing.assert_array_equal(forced, [1.0, 2.0, 2.0, 2.0])


class Shift:
    def __call__(self, X):
        return X["b"] + 1


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (np.float64(0.5), "0.5"),
        (np.array(2), "2"),
        (True, "True"),
        ("much", "'much'"),
        ([1.0, 2.0], "values"),
        (np.arange(3), "values"),
        (pd.Series([1.0]), "values"),
        (half_of_b, "half_of_b(X)"),
        (lambda X: X["b"], "f(X)"),
        (partial(half_of_b), "f(X)"),
        (Shift(), "f(X)"),
        (stats.norm(0, 1), "a draw from norm"),
        (stats.poisson(2), "a draw from poisson"),
    ],
)
def test_words(what, words):
    assert describe({"b": what}) == f"b = {words}"
    assert describe({"a": 1, ("u", 2): what}) == f"a = 1, ('u', 2) = {words}"
