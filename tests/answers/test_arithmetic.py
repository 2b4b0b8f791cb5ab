"""Arithmetic of outcomes, against NumPy's on their draws."""

import operator
import pickle
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import sparse, special

from interventional import BayesianInterventionRegressor, NoMeanWarning, Outcomes, numbers
from interventional.answers import samples
from interventional.answers.composed import Applied, Fixed, Picked, Repeated
from interventional.answers.contents import Contents
from interventional.answers.outcomes import contents_of, outcomes_of

N, CHAINS, DRAWS = 6, 2, 40
LABELS = [*"abcdef"]
MASK = np.array([True, False, True, True, False, True])


def made(values, index=None, words="y", rows=None):
    dims = ("chain", "draw", "obs")
    coords = {"obs": LABELS[: np.shape(values)[-1]] if index is None else index}
    array = xr.DataArray(values, dims=dims, coords=coords, attrs={"posterior": "p"})
    return Outcomes(array, words, rows)


@pytest.fixture
def values():
    """Positive draws of two answers of six rows."""
    return np.random.default_rng(0).uniform(1, 3, size=(2, CHAINS, DRAWS, N))


@pytest.fixture
def both(values):
    rows = pd.DataFrame({"site": list("nnssns"), "price": np.arange(6.0)}, index=LABELS)
    return [made(each, words=word, rows=rows) for each, word in zip(values, "yz", strict=True)]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def of_rows(values):
    return pd.Series(values, index=LABELS)


SERIES = pd.Series([2.0, 0.5, 3.0, 1.0, 1.5, 0.25], index=LABELS, name="cost")
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
OPERANDS = {
    "a number": 2,
    "a NumPy number": np.float32(2.5),
    "a bool": True,
    "an array without dimensions": np.array(3.0),
    "an array": SERIES.to_numpy(),
    "integers": np.arange(1, 7),
    "bools": MASK,
    "a list": SERIES.tolist(),
    "a Series": SERIES,
    "a shuffled Series": SERIES.sample(frac=1, random_state=1),
    "pandas' own integers": pd.Series([1, 2, 3, 4, 5, 6], index=LABELS, dtype="Int64"),
}


class TestOperators:
    """Each is NumPy's of the draws, whichever side outcomes are on."""

    @pytest.mark.parametrize("operand", OPERANDS)
    @pytest.mark.parametrize("sign", OPERATORS, ids=lambda sign: sign.__name__)
    def test_numbers(self, both, values, sign, operand):
        other = OPERANDS[operand]
        plain = other.reindex(LABELS) if isinstance(other, pd.Series) else other
        plain = np.asarray(plain, dtype=float)
        if sign is not operator.truediv or plain.all():
            expected = sign(values[0], plain)
            np.testing.assert_allclose(sign(both[0], other).draws, expected, rtol=1e-14)
        if sign is not operator.pow or plain.all():
            expected = sign(plain, values[0])
            np.testing.assert_allclose(sign(other, both[0]).draws, expected, rtol=1e-14)

    @pytest.mark.parametrize("sign", OPERATORS, ids=lambda sign: sign.__name__)
    def test_outcomes(self, both, values, sign):
        np.testing.assert_array_equal(sign(*both).draws, sign(*values))

    def test_one_side(self, both, values):
        np.testing.assert_array_equal((-both[0]).draws, -values[0])
        np.testing.assert_array_equal(abs(both[0] - 2).draws, np.abs(values[0] - 2))
        assert +both[0] is both[0]

    @pytest.mark.parametrize("sign", OPERATORS, ids=lambda sign: sign.__name__)
    def test_a_single_one_is_taken_with_each_row(self, both, values, sign):
        """An average, a sum, or a row: paired draw by draw."""
        total = values[1].sum(axis=-1, keepdims=True) / 7
        one = both[1].sum() / 7
        close(sign(both[0], one).draws, sign(values[0], total))
        close(sign(one, both[0]).draws, sign(total, values[0]))
        found = sign(both[0], one)
        assert list(found.draws["obs"].values) == LABELS
        assert list(found.average(by="site").draws["obs"].values) == ["n", "s"]

    def test_of_single_ones(self, both, values):
        """Rows, groups and averages are quantities: their difference says of what."""
        found = both[0][1] - both[0][0]
        np.testing.assert_array_equal(found.draws[..., 0], values[0][..., 1] - values[0][..., 0])
        assert found.estimand == "y [b] - y [a]"
        assert list(found.summary().index) == ["b - a"]
        same = both[0].average() - both[1].average()
        assert list(same.summary().index) == ["average"]
        groups = both[0].average(by=["site"])
        assert list((groups[1] / groups[0]).summary().index) == ["s / n"]

    def test_a_row_beside_an_average_is_that_row(self, both, values):
        """What is right of many rows is right of a table of one."""
        row = both[0][:1]
        found = (row.average() - row + both[1].sum() / 7) * SERIES.iloc[:1]
        expected = 2.0 * values[1].sum(axis=-1) / 7
        close(found.draws[..., 0], expected)
        assert list(found.summary().index) == ["a"]
        assert list(found.average(by="site").draws["obs"].values) == ["n"]

    def test_in_place_makes_others(self, both, values):
        total = first = both[0]
        total += both[1]
        total *= 2
        np.testing.assert_allclose(total.draws, 2 * (values[0] + values[1]))
        np.testing.assert_array_equal(first.draws, values[0])

    def test_sums_of_pythons(self, both, values):
        np.testing.assert_array_equal(sum(both).draws, values[0] + values[1])

    def test_what_pandas_does_with_them(self, both):
        """A Series before the sign is not taken for a table of means."""
        for found in (SERIES * both[0], SERIES + both[0], SERIES / both[0], SERIES - both[0]):
            assert isinstance(found, Outcomes)

    def test_identity_is_still_that(self, both):
        assert both[0] == both[0]
        assert both[0] != both[1]
        assert len({both[0], both[0]}) == 1

    def test_rows_keep_what_they_have(self, both):
        found = 2 * both[0] + SERIES
        assert list(found.summary().index) == LABELS
        grouped = found.sum(by="site")
        assert list(grouped.summary().index) == ["n", "s"]


class TestFunctions:
    """Functions of NumPy keep the draws."""

    @pytest.mark.parametrize(
        "function",
        [
            *(np.log, np.exp, np.sqrt, np.square, np.reciprocal, np.floor, special.expit),
            lambda a: np.maximum(a, 2.0),
            lambda a: np.where(MASK, a, 0),
            lambda a: np.where(MASK, SERIES.to_numpy(), a),
            lambda a: np.clip(a, 1.5, 2.5),
            lambda a: np.clip(a, None, 2.5),
            lambda a: np.clip(a, 1.5, None),
            lambda a: np.float64(3) * a,
            lambda a: np.power(2, a),
        ],
    )
    def test_number_by_number(self, both, values, function):
        found = function(both[0])
        assert isinstance(found, Outcomes)
        np.testing.assert_allclose(found.draws, function(values[0]), rtol=1e-14)

    def test_series_are_aligned(self, both, values):
        shuffled = SERIES.sample(frac=1, random_state=0)
        for found in (np.minimum(shuffled, both[0]), np.minimum(both[0], shuffled)):
            np.testing.assert_array_equal(found.draws, np.minimum(values[0], SERIES.to_numpy()))
        chosen = np.where(of_rows(MASK).sample(frac=1, random_state=0), both[0], shuffled)
        expected = np.where(MASK, values[0], SERIES.to_numpy())
        np.testing.assert_array_equal(chosen.draws, expected)

    def test_of_two(self, both, values):
        np.testing.assert_array_equal(np.maximum(*both).draws, np.maximum(*values))
        np.testing.assert_array_equal(np.hypot(*both).draws, np.hypot(*values))
        chosen = np.where(MASK, *both)
        np.testing.assert_array_equal(chosen.draws, np.where(MASK, *values))

    def test_map(self, both, values):
        found = both[0].map(lambda draws: draws > 2)
        close(found.average().draws[..., 0], (values[0] > 2).mean(axis=-1))
        assert found.estimand == "f(y)"
        assert both[0].map(np.tanh).estimand == "tanh(y)"

    def test_other_functions_are_of_the_means(self, both):
        """What makes tables, and pictures, has one number a row."""
        means = both[0].mean()
        np.testing.assert_array_equal(np.column_stack([both[0], SERIES])[:, 0], means)
        np.testing.assert_array_equal(np.sort(both[0]), np.sort(means))
        np.testing.assert_array_equal(np.round(both[0], 1), means.round(1))
        assert np.shape(both[0]) == (N,)


class TestSum:
    """`sum` adds up inside each draw."""

    def test_of_all(self, both, values):
        found = both[0].sum()
        np.testing.assert_allclose(found.draws[..., 0], values[0].sum(axis=-1), rtol=1e-13)
        assert list(found.summary().index) == ["sum"]
        assert found.estimand == "sum of y"

    def test_weights_and_groups(self, both, values):
        weights = SERIES.sample(frac=1, random_state=0)
        found = both[0].sum(weights, by="site")
        weighted = values[0] * SERIES.to_numpy()
        for k, rows in enumerate(([0, 1, 4], [2, 3, 5])):
            expected = weighted[..., rows].sum(axis=-1)
            np.testing.assert_allclose(found.draws[..., k], expected, rtol=1e-13)
        assert list(found.summary().index) == ["n", "s"]
        assert found.estimand == "sum by group of y"

    def test_no_weight_is_nothing(self, both):
        """An average of no rows is refused, and their sum is zero."""
        weights = [1, 1, 0, 0, 1, 0]
        found = both[0].sum(weights, by="site")
        assert (found.draws[..., 1] == 0).all()
        assert (both[0].sum(np.zeros(N)).draws == 0).all()
        with pytest.raises(ValueError, match="'s' are all zero"):
            both[0].average(weights, by="site")

    def test_is_no_ratio_of_outcomes(self, both):
        """A sum by an average is no ratio of risks."""
        with pytest.raises(ValueError, match="e_value is that of a ratio of outcomes"):
            (both[0].sum() / both[1].average()).e_value()
        assert (both[0].average() / both[1].average()).e_value().shape == (1, 5)
        with pytest.raises(ValueError, match="e_value is that of a ratio of outcomes"):
            ((2 * both[0]).average() / both[1].average()).e_value()


class TestRows:
    """Rows are picked by position, and by their labels through `loc`."""

    @pytest.mark.parametrize(
        "key",
        [
            *(0, -1, np.int64(2), slice(None, 2), slice(None, None, -1), slice(-2, None)),
            *([3, 1, 3], np.array([5]), MASK, MASK.tolist(), pd.Index([0, 2]), range(2)),
        ],
        ids=repr,
    )
    def test_by_position(self, both, values, key):
        found = both[0][key]
        expected = values[0][..., np.atleast_1d(np.arange(N)[key])]
        np.testing.assert_array_equal(found.draws, expected)
        assert list(found.draws["obs"].values) == np.atleast_1d(np.array(LABELS)[key]).tolist()

    def test_a_mask_is_aligned(self, both, values):
        found = both[0][of_rows(MASK).iloc[::-1]]
        np.testing.assert_array_equal(found.draws, values[0][..., MASK])

    @pytest.mark.parametrize(
        ("key", "at"),
        [("c", [2]), (["d", "a"], [3, 0]), (slice("b", "d"), [1, 2, 3]), (MASK, [0, 2, 3, 5])],
    )
    def test_by_label(self, both, values, key, at):
        np.testing.assert_array_equal(both[0].loc[key].draws, values[0][..., at])

    def test_integer_labels(self, values):
        """Brackets count rows, whatever their labels; `loc` reads labels."""
        outcomes = made(values[0], index=[5, 4, 3, 2, 1, 0])
        np.testing.assert_array_equal(outcomes[0].draws[..., 0], values[0][..., 0])
        np.testing.assert_array_equal(outcomes.loc[0].draws[..., 0], values[0][..., 5])

    def test_labels_that_repeat_or_are_tuples(self, both, values):
        repeated = made(values[0], index=[1, 1, 2, 2, 2, 3])
        np.testing.assert_array_equal(repeated.loc[2].draws, values[0][..., 2:5])
        groups = both[0].average(by=["site", "price"])
        np.testing.assert_array_equal(groups.loc[("n", 4.0)].draws[..., 0], values[0][..., 4])
        np.testing.assert_array_equal(groups.loc["s"].draws, values[0][..., [2, 3, 5]])
        named = Outcomes.concat({("u", 1): both[0][0], ("v", 2): both[0][1]})
        np.testing.assert_array_equal(named.loc[("v", 2)].draws[..., 0], values[0][..., 1])

    def test_rows_keep_their_columns(self, both, values):
        found = both[0][MASK].average(by="site")
        assert list(found.draws["obs"].values) == ["n", "s"]
        expected = values[0][..., [2, 3, 5]].mean(axis=-1)
        np.testing.assert_allclose(found.draws[..., 1], expected)

    def test_support_is_that_of_the_rows(self):
        X = np.linspace(0, 1, 30)[:, None]
        y = 3 * X[:, 0] + 0.1 * np.cos(9 * X[:, 0])
        model = BayesianInterventionRegressor(draws=20, chains=1, random_state=0).fit(X, y)
        forced = np.where(np.arange(30) % 3 == 0, 5.0, 0.5)
        outcomes = model.intervene(X, do={"x0": forced})
        at = [7, 3, 0]
        expected = outcomes.support.iloc[at]
        pd.testing.assert_frame_equal((2 * outcomes[at] + 1).support, expected)
        assert not expected["supported"].all()


class TestSingle:
    """A single one is a number, and text."""

    def test_float(self, both):
        assert float(both[0].average()) == pytest.approx(both[0].mean().mean())
        with pytest.raises(TypeError, match="float is of a single one, and these are 6 rows"):
            float(both[0])

    def test_format(self, both):
        average = both[0].average()
        (low, high), mean = average.interval()[0], average.mean()[0]
        assert f"{average:.3f}" == f"{mean:.3f} ({low:.3f} to {high:.3f})"
        assert (
            f"{1e6 * average:,.0f}" == f"{1e6 * mean:,.0f} ({1e6 * low:,.0f} to {1e6 * high:,.0f})"
        )
        assert f"{average}" == str(average)
        with pytest.raises(TypeError, match=r"format '\.2f' is of a single one"):
            f"{both[0]:.2f}"

    def test_frame(self, both, values):
        """A row for each draw, a column for each row."""
        frame = both[0].to_frame()
        np.testing.assert_array_equal(frame, values[0].reshape(-1, N))
        assert list(frame.columns) == LABELS
        assert frame.index.names == ["chain", "draw"]
        np.testing.assert_array_equal(frame.loc[(1, 3)], values[0][1, 3])
        frame.iloc[0, 0] = 99.0
        np.testing.assert_array_equal(both[0].draws, values[0])

    @pytest.mark.parametrize("kind", ["eti", "hdi"])
    def test_several_intervals(self, both, kind):
        found = both[0].summary([0.5, 0.95], kind)
        assert list(found.columns) == ["mean", "sd"] + [
            f"{kind}{prob}_{end}" for prob in (50, 95) for end in ("lb", "ub")
        ]
        for prob in (0.5, 0.95):
            own = both[0].summary(prob, kind)
            pd.testing.assert_frame_equal(found[list(own.columns)], own)
        table = Outcomes.compare({"a": both[0], "b": both[1]}, prob=[0.5, 0.95], kind=kind)
        assert table.columns.tolist().count(f"effect_{kind}50_lb") == 1


class TestRatios:
    """A ratio to what may be zero has quantiles, and a warning."""

    def test_denominators_on_both_sides_of_zero(self):
        x = np.linspace(-1, 3, 100)
        one = made(x[None, :, None], ["x"])
        with pytest.warns(NoMeanWarning, match="the denominator, y, is below zero in some draws"):
            ratio = 1 / one
        np.testing.assert_allclose(ratio.draws[0, :, 0], 1 / x)
        q = [0.05, 0.3, 0.9]
        np.testing.assert_allclose(ratio.quantile(q)[0], np.quantile(1 / x, q))
        assert ratio.probability(above=0) == one.probability(above=0)

    def test_ends_of_the_denominators_interval_are_those_of_the_ratio(self):
        """From 1 / high over infinity to 1 / low: it holds as many draws of 1 / x as of x."""
        x = np.random.default_rng(0).normal(0.03, 0.02, size=4000)
        (low, high), one = np.quantile(x, [0.05, 0.95]), made(x[None, :, None], ["x"])
        with pytest.warns(NoMeanWarning):
            needed = (1 / one).draws.values.ravel()
        assert low < 0 < high
        inside = (needed >= 1 / high) | (needed <= 1 / low)
        assert inside.mean() == pytest.approx(0.9, abs=1e-3)
        np.testing.assert_allclose(1 / one.interval(0.9, "eti")[0], [1 / low, 1 / high])

    @pytest.mark.parametrize(
        "divide",
        [
            lambda o: 1 / o,
            lambda o: o**-1,
            np.reciprocal,
            lambda o: (o + 5) / o,
            lambda o: o.average() / o,
            lambda o: 2 / o.average(),
            lambda o: o / o.average(),
        ],
    )
    def test_each_way_to_divide(self, divide):
        values = np.array([[[-1.0, -2.0, -1.0], [2.0, 3.0, 5.0]]])
        with pytest.warns(NoMeanWarning) as given:
            divide(made(values))
        assert len(given) == 1
        assert given[0].filename == __file__  # it points at the user's line

    def test_what_does_not_cross(self, both):
        """Nor does a denominator that is of one sign in each row."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            1 / (both[0] * np.where(MASK, 1.0, -1.0))
            both[0] / -both[1].average()

    def test_later(self, monkeypatch):
        """Where nothing is computed at once it shows when it is."""
        values = np.random.default_rng(0).normal(size=(1, 50, N))
        monkeypatch.setattr(numbers, "AT_ONCE", 0)
        monkeypatch.setattr(numbers, "BLOCK", 50)
        ratio = 1 / made(values)
        with pytest.warns(NoMeanWarning) as given:
            ratio.quantile(0.5)
        assert len({str(each.message) for each in given}) == 1  # which is shown once


X_ROWS = pd.DataFrame({"price": np.arange(6.0)}, index=LABELS)


class TestWords:
    """What is calculated is said, in a line."""

    @pytest.mark.parametrize(
        ("calculate", "words"),
        [
            (lambda a, b: a + 1, "y + 1"),
            (lambda a, b: 1 - a, "1 - y"),
            (lambda a, b: 0.1 + 0.2 + 1e6 * a, "0.3 + 1000000 * y"),
            (lambda a, b: X_ROWS["price"] * (a - b) - SERIES, "price * (y - z) - cost"),
            (lambda a, b: 0.9 * X_ROWS["price"] * a, "values * y"),
            (lambda a, b: (X_ROWS["price"] > 2) * a, "values * y"),
            (lambda a, b: X_ROWS["price"].to_numpy() * a, "values * y"),
            (lambda a, b: (a / (1 + a)) / (b / (1 + b)), "(y / (1 + y)) / (z / (1 + z))"),
            (lambda a, b: (a - b) ** 2, "(y - z) ** 2"),
            (lambda a, b: a.average() ** 2, "(average of y) ** 2"),
            (lambda a, b: -(a - b), "-(y - z)"),
            (lambda a, b: -a - b, "(-y) - z"),
            (lambda a, b: abs(a - b), "abs(y - z)"),
            (lambda a, b: np.log(a - b + 9), "log((y - z) + 9)"),
            (lambda a, b: np.maximum(a, 0) * 2, "maximum(y, 0) * 2"),
            (lambda a, b: np.where(MASK, a, b), "where(values, y, z)"),
            (lambda a, b: (a * 2).average(by="price"), "average by group of y * 2"),
            (lambda a, b: a.map(lambda d: d), "f(y)"),
        ],
    )
    def test_arithmetic(self, values, calculate, words):
        a, b = (made(v, words=w, rows=X_ROWS) for v, w in zip(values, "yz", strict=True))
        assert calculate(a, b).estimand == words

    def test_many_terms_fit_a_line(self, values):
        total = 0
        for k in range(40):
            total = total + made(values[0], words=f"E[y | do(price = {k})]")
            assert len(total.estimand) < 100
        assert total.estimand == "(… + E[y | do(price = 38)]) + E[y | do(price = 39)]"


class Known(samples.Samples):
    """Samples in closed form, which are never computed."""

    def __init__(self, closed, n_draws):
        self.closed, self.n_draws, self.n = closed, n_draws, N

    def block(self, rows):
        raise AssertionError

    def linear(self):
        return self.closed


def linear(seed, terms, n_draws, is_sparse=False):
    """A linear answer, and its samples."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(N, terms))
    coefficients, intercept = rng.normal(size=(n_draws, terms)), rng.normal(size=n_draws)
    held = sparse.csr_array(matrix) if is_sparse else matrix
    closed = samples.Linear(lambda rows: held[rows], N, coefficients, intercept)
    return closed, coefficients @ matrix.T + intercept[:, None]


def in_parts(seed, n_draws):
    """An answer of two kinds of draws, and its samples."""
    draws = np.arange(0, n_draws, 3), np.setdiff1d(np.arange(n_draws), np.arange(0, n_draws, 3))
    out, parts = np.empty((n_draws, N)), []
    for k, own in enumerate(draws):
        part, values = linear([seed, k], 2 + k, len(own))
        parts.append(part)
        out[own] = values
    return samples.Parts(draws, tuple(parts)), out


CLOSED = {
    "linear": lambda seed: linear(seed, 3, CHAINS * DRAWS),
    "sparse": lambda seed: linear(seed, 3, CHAINS * DRAWS, is_sparse=True),
    "many sparse terms": lambda seed: linear(seed, 600, CHAINS * DRAWS, is_sparse=True),
    "in parts": lambda seed: in_parts(seed, CHAINS * DRAWS),
}
ROWS = SERIES.to_numpy() - 1  # of both signs, and a zero
ONE = np.random.default_rng(9).uniform(1, 2, size=(CHAINS, DRAWS, 1))
FORMULAS = {
    "a number": lambda a, b, one: 3 * a,
    "a multiple a row": lambda a, b, one: ROWS * a,
    "by a number": lambda a, b, one: a / 4,
    "by numbers a row": lambda a, b, one: a / (2 + ROWS),
    "plus a number": lambda a, b, one: 1 - a,
    "plus numbers a row": lambda a, b, one: a + ROWS,
    "money": lambda a, b, one: ROWS * (a - b) - 3,
    "sum": lambda a, b, one: a + b + a,
    "revenue": lambda a, b, one: ROWS * 1.1 * a - ROWS * b,
    "negative": lambda a, b, one: -(2 - a) * ROWS,
    "of a single one": lambda a, b, one: a - one,
    "times a single one": lambda a, b, one: one * a + b,
    "share": lambda a, b, one: ROWS - (a * ROWS) / one,
    "chosen": lambda a, b, one: np.where(MASK, a, b),
    "chosen or not": lambda a, b, one: np.where(MASK, 2 * a, 0),
}


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("kind", CLOSED)
@pytest.mark.parametrize("other", ["linear", "in parts"])
def test_closed_forms_are_the_draws(monkeypatch, kind, other, formula):
    """Mean, sd, averages and sums need no sample of any row, and equal those of the samples."""
    monkeypatch.setattr(numbers, "AT_ONCE", 0)
    (a, left), (b, right) = CLOSED[kind](1), CLOSED[other](2)
    answers = [
        outcomes_of(
            Contents(Known(each, CHAINS * DRAWS), (CHAINS, DRAWS), pd.Index(LABELS), None, "p"),
            "y",
        )
        for each in (a, b)
    ]
    found = FORMULAS[formula](*answers, made(ONE, ["one"]))
    expected = FORMULAS[formula](left, right, ONE.reshape(-1, 1))
    np.testing.assert_allclose(found.mean(), expected.mean(axis=0), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.std(), expected.std(axis=0, ddof=1), rtol=1e-9)
    total = found.sum().draws.values.ravel()
    np.testing.assert_allclose(total, expected.sum(axis=1), rtol=1e-9, atol=1e-11)
    weights, groups = np.arange(1.0, 7.0), np.array([0, 1, 0, 1, 1, 0])
    grouped = found.average(weights, by=groups).draws.values.reshape(-1, 2)
    for k in (0, 1):
        own = groups == k
        average = np.average(expected[:, own], axis=1, weights=weights[own])
        np.testing.assert_allclose(grouped[:, k], average, rtol=1e-9, atol=1e-11)
    picked = found[[4, 0]]
    np.testing.assert_allclose(picked.mean(), expected[:, [4, 0]].mean(axis=0), 1e-9, 1e-11)
    own = contents_of(picked).samples.linear().samples(slice(0, 2))
    np.testing.assert_allclose(own, expected[:, [4, 0]], rtol=1e-9, atol=1e-11)


def test_parts_of_other_draws_have_no_closed_form():
    a, left = in_parts(1, 30)
    b = samples.Parts(a.draws[::-1], a.parts[::-1])
    assert Applied(np.add, Known(a, 30), Known(b, 30)).linear() is None
    assert Applied(np.add, Known(a, 30), samples.Held(left)).linear() is None
    assert Applied(np.multiply, Known(a, 30), Known(a, 30)).linear() is None


BENT = {
    "product": lambda a, b: a * b,
    "ratio": lambda a, b: a / b,
    "odds": lambda a, b: a / (1 + b),
    "share": lambda a, b: a / a.sum(),
    "deviation": lambda a, b: a - b.average(),
    "log": lambda a, b: np.log(a),
    "map": lambda a, b: a.map(np.tanh),
    "chosen": lambda a, b: np.where(MASK, a, np.maximum(b, 2)),
    "rows": lambda a, b: (a * SERIES)[[5, 5, 0]],
    "every other row": lambda a, b: (a**2)[::2],
    "backwards": lambda a, b: (a * b)[::-1] - b.sum(),
}


@pytest.mark.parametrize("rows_a_block", [1, 2, 5, 100])
@pytest.mark.parametrize("formula", BENT)
def test_same_numbers_whatever_the_block(both, monkeypatch, formula, rows_a_block):
    def summaries(found):
        parts = [found.mean(), found.std(), found.quantile([0.1, 0.9]), found.draws]
        parts += [found.sum().draws, found.average(by="site").draws, found.probability(above=1)]
        return [np.asarray(part) for part in (*parts, found.summary([0.5, 0.9], "hdi"))]

    held = BENT[formula](*both)
    assert isinstance(contents_of(held).samples, samples.Held)
    expected = summaries(held)
    monkeypatch.setattr(numbers, "AT_ONCE", 0)
    monkeypatch.setattr(numbers, "BLOCK", rows_a_block * CHAINS * DRAWS)
    monkeypatch.setattr(numbers, "CHUNK", 3 * CHAINS * DRAWS)
    later = BENT[formula](*both)
    assert not isinstance(contents_of(later).samples, samples.Held)
    for computed in (later, pickle.loads(pickle.dumps(later))):
        for found, known in zip(summaries(computed), expected, strict=True):
            np.testing.assert_allclose(found, known, rtol=1e-12)


def test_rows_of_many_touch_only_their_blocks(monkeypatch):
    """The last of a million rows is not had through all the others."""
    monkeypatch.setattr(numbers, "BLOCK", 10)
    monkeypatch.setattr(numbers, "CHUNK", 10)
    asked = []

    class Many(samples.Samples):
        n_draws, n = 2, 1_000_000

        def block(self, rows):
            asked.append(rows)
            return np.tile(np.arange(rows.start, rows.stop, dtype=float), (2, 1))

    rows = Picked(np.array([999_999, 999_990, 999_999]), Many())
    np.testing.assert_array_equal(rows.mean(), [999_999, 999_990, 999_999])
    assert len(asked) <= 3


def test_operands_are_of_the_shape_of_blocks():
    fixed, one = Fixed(np.arange(4.0), 3, 4), Repeated(np.arange(3.0), 4)
    np.testing.assert_array_equal(fixed.held(), np.tile(np.arange(4.0), (3, 1)))
    np.testing.assert_array_equal(one.held(), np.tile(np.arange(3.0)[:, None], 4))
    for each in (fixed, one, Fixed(np.asarray(2.0), 3, 4)):
        np.testing.assert_array_equal(each.linear().samples(slice(0, 4)), each.held())


class TestBadInput:
    """Errors name both sides."""

    @pytest.mark.parametrize(
        ("ask", "error", "message"),
        [
            (lambda o: o + None, TypeError, "combine with Outcomes, numbers, .* got NoneType"),
            (lambda o: o + "1", TypeError, "got str"),
            (lambda o: o + 1j, TypeError, "got complex"),
            (lambda o: o * np.nan, ValueError, "finite numbers, got nan"),
            (lambda o: o * np.array([1, 2, np.inf, 4, 5, 6]), ValueError, "got inf in row 2"),
            (lambda o: o * [1, 2], ValueError, r"must have shape \(6,\), got \(2,\)"),
            (lambda o: o * np.ones((2, 6)), ValueError, r"shape \(6,\), got \(2, 6\)"),
            (lambda o: o * ["1"] * 6, ValueError, r"\(6,\), got \(1,\)"),
            (lambda o: o * np.array(["1"] * 6), TypeError, "an array of <U1"),
            (lambda o: o * np.full(6, 1j), TypeError, "complex128"),
            (lambda o: o * np.full(6, np.datetime64("2020")), TypeError, "numbers, got datetime"),
            (lambda o: o - o.draws, TypeError, "got DataArray"),
            (lambda o: o * X_ROWS, ValueError, r"\(6, 1\)"),
            (lambda o: X_ROWS * o, ValueError, r"\(6, 1\)"),
            (
                lambda o: SERIES.rename(str.upper) * o,
                ValueError,
                r"cost: its index is not that of the rows: \('A', 'B', 'C', \.\.\.\), 6 in all, "
                r"and \('a', 'b', 'c', \.\.\.\), 6 in all",
            ),
            (lambda o: o * SERIES.iloc[:2], ValueError, r"\('a', 'b'\), 2 in all"),
            (lambda o: o.average() * SERIES, ValueError, r"\('average'\), 1 in all"),
            (lambda o: o - o[:2], ValueError, "rows are not the same: 6 rows here, 2 there"),
            (lambda o: o - o[::-1], ValueError, "row 0 is 'a' here, 'f' there"),
            (lambda o: o / 0, ValueError, "division by zero: y / 0"),
            (lambda o: o / MASK, ValueError, "division by zero in row 1"),
            (lambda o: o**-1 + 1 / (o - o), ValueError, "zero in some draws; it is y - y"),
            (lambda o: o / (o - o).average(), ValueError, "denominator is zero in some draws"),
            (lambda o: np.log(-o), ValueError, r"log\(-y\) is nan in 100% of the draws"),
            (lambda o: (o - 2) ** 0.5, ValueError, r"\(y - 2\) \*\* 0.5 is nan in [0-9.]+% of"),
            (lambda o: np.exp(1e6 * o), ValueError, "is inf in 100% of the draws"),
            (lambda o: o.map(np.sum), ValueError, r"sum\(y\).* keep their shape.*\(80, 6\)"),
            (lambda o: o.map(lambda d: d[:, :2]), ValueError, r"it made \(80, 2\) of \(80, 6\)"),
            (lambda o: o.map(lambda d: d.sort()), ValueError, "read-only"),
            (lambda o: o.map("log"), TypeError, "map takes a function .* got 'log'"),
            (lambda o: o > 3, TypeError, "have no order"),
            (lambda o: o <= 3, TypeError, r"probability\(above=...\)"),
            (lambda o: np.greater(o, 3), TypeError, "np.greater of outcomes would be yes or no"),
            (lambda o: np.isfinite(o), TypeError, "yes or no"),
            (lambda o: np.add.reduce(o), TypeError, "np.add.reduce goes over rows; .*sum"),
            (lambda o: np.ones(6) @ o, TypeError, "np.matmul goes over rows"),
            (lambda o: o @ np.ones(6), TypeError, r"is \(outcomes \* values\).sum\(\)"),
            (lambda o: np.sum(o), TypeError, "over rows or over draws"),
            (lambda o: np.mean(o), TypeError, "over rows or over draws"),
            (lambda o: np.quantile(o, 0.5), TypeError, "over rows or over draws"),
            (lambda o: np.add(o, 1, out=np.ones(6)), TypeError, "takes no out="),
            (lambda o: np.modf(o), TypeError, "np.modf has 2 results"),
            (lambda o: o["a"], TypeError, r"by position.*got 'a'.*outcomes\.loc"),
            (lambda o: o[True], TypeError, "got True"),
            (lambda o: o[["a", "b"]], TypeError, "picked by position"),
            (lambda o: o[[0.5]], TypeError, "picked by position"),
            (lambda o: o[6], IndexError, "row 6 of 6 rows"),
            (lambda o: o[[0, -7]], IndexError, "row -7 of 6 rows"),
            (lambda o: o[MASK[:2]], ValueError, r"mask of rows must have shape \(6,\)"),
            (lambda o: o[np.zeros(6, bool)], ValueError, "none of 6 rows is picked"),
            (lambda o: o[[]], ValueError, "none of 6 rows"),
            (lambda o: o.loc["z"], KeyError, "no row has the label 'z'; there are 'a', 'b'"),
            (lambda o: o.loc[["a", "z"]], KeyError, "'z'"),
            (lambda o: o.sum(-SERIES), ValueError, "not negative"),
            (lambda o: o.summary([]), ValueError, "prob is an empty list"),
            (lambda o: o.summary([0.5, 2]), ValueError, "prob must lie between 0 and 1, got 2"),
            (lambda o: o.summary([0.5, 0.501]), ValueError, "would have one name"),
        ],
    )
    def test_refused(self, both, ask, error, message):
        with pytest.raises(error, match=message):
            ask(both[0])

    def test_other_draws(self, values):
        array = made(values[0]).draws.assign_attrs(posterior="q")
        other = Outcomes(array, "y")
        for calculate in (operator.add, operator.mul, np.maximum, lambda a, b: a * b.average()):
            with pytest.raises(ValueError, match="two posteriors"):
                calculate(made(values[0]), other)
        fewer = made(values[0][:, :-1])
        with pytest.raises(ValueError, match=r"\(2, 40\) here and \(2, 39\) there"):
            made(values[0]) + fewer


class TestFoundByTrying:
    """What a newcomer stumbled over."""

    def test_two_posteriors_do_not_stand_together(self, both):
        other = Outcomes(both[1].draws.assign_attrs(posterior="q"), "z")
        means = {"old": both[0].average(), "new": other.average()}
        with pytest.raises(ValueError, match="they are of two posteriors"):
            Outcomes.concat(means)

    @pytest.mark.parametrize("ends", [{"a_min": 1.2, "a_max": 2}, {"min": 1.2, "max": 2}])
    def test_ends_of_clip_by_name(self, both, values, ends):
        found = np.clip(both[0], **ends)
        close(found.draws.values, np.clip(values[0], 1.2, 2))

    @pytest.mark.parametrize("name", ["inner", "vdot", "cov", "corrcoef"])
    def test_functions_of_rows_are_refused(self, both, name):
        with pytest.raises(TypeError, match=f"np.{name} does not say"):
            getattr(np, name)(both[0], both[1])

    def test_weights_have_no_draws(self, both):
        with pytest.raises(TypeError, match="weights must be the same in all draws"):
            both[0].sum(weights=both[1])

    def test_a_missing_group_in_a_list(self, both):
        with pytest.raises(ValueError, match="missing value in row 0"):
            both[0].average(by=[np.nan, "b", "b", "b", "b", "b"])

    def test_averages_have_no_columns(self, both):
        with pytest.raises(ValueError, match="these have no columns to group by"):
            both[0].average(by="site").average(by="site")

    @pytest.mark.parametrize(
        "function", [lambda draws: draws * 1j, lambda draws: draws.astype(str)]
    )
    def test_functions_that_return_no_numbers(self, both, function):
        with pytest.raises(TypeError, match="must return numbers"):
            both[0].map(function)

    def test_what_is_summed_is_in_brackets(self, both):
        y = both[0]
        assert (y - 1).sum().estimand == "sum of y - 1"
        assert (y.sum() - 1).estimand == "(sum of y) - 1"
        assert (y - 1)[0].estimand.startswith("(y - 1) [")

    def test_shares_are_percentages(self, both):
        with pytest.raises(ValueError, match=r"in 100% of the draws"):
            np.log(-both[0])

    def test_a_number_too_large(self, both):
        with pytest.raises(ValueError, match="numbers up to"):
            both[0] * 10**400

    def test_dollars_are_no_formula(self, both):
        rows = made(both[0].draws.values, words="E[US$_x] - E[$_]")
        axes = rows.average().plot()
        axes.figure.canvas.draw()
        assert r"\$" in axes.get_xlabel()
        plt.close(axes.figure)
