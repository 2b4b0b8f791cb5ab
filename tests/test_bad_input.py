"""Bad input gets an error that names it, and leaves the estimator as it was."""

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import (
    PolynomialFeatures,
    SplineTransformer,
    TargetEncoder,
)

from interventional import BayesianInterventionRegressor

N = 20


def table():
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "price": rng.normal(size=N),
            "traffic": rng.normal(size=N),
            "dose": pd.Categorical(rng.choice(["none", "some", "much"], N)),
            "sex": rng.choice(["f", "m"], N),
        }
    )


def outcome():
    return np.random.default_rng(5).normal(size=N)


def regressor(**parameters):
    return BayesianInterventionRegressor(draws=20, chains=2, random_state=0, **parameters)


@pytest.fixture(scope="module")
def model():
    return regressor().fit(table(), outcome())


@pytest.fixture(scope="module")
def array_model():
    return regressor().fit(table()[["price", "traffic"]].to_numpy(), outcome())


def state(estimator):
    """What an estimator holds, by identity."""
    return {name: id(value) for name, value in vars(estimator).items()}


def with_value(column, value, row=3, dtype=object):
    values = table()[column].tolist()
    values[row] = value
    return table().assign(**{column: pd.Series(values, dtype=dtype)})


def with_number(column, value):
    return with_value(column, value, dtype=float)


def with_outcome(value):
    y = outcome()
    y[7] = value
    return y


def nothing(X):
    return None


PRICES = np.arange(N, dtype=float)
SHAPES = r"allowed are a scalar or \(20,\)"

# what is forced, error, what its message says
DO = {
    "unknown column": ({"prise": 0}, ValueError, "'prise'; did you mean 'price'"),
    "unknown column like none": (
        {"zzz": 0},
        ValueError,
        "'zzz'; Known: 'price', 'traffic', 'dose'",
    ),
    "one unknown of two": ({"price": 0, "trafic": 0}, ValueError, "'trafic'.*'traffic'"),
    "position in a frame": ({0: 0}, ValueError, "unknown column 0"),
    "the outcome": ({"y": 0}, ValueError, "'y' is the outcome"),
    "empty": ({}, ValueError, "do is empty"),
    "None": (None, TypeError, "do must be a mapping.*None"),
    "list of pairs": ([("price", 0)], TypeError, r"do must be a mapping.*\[\('price', 0\)\]"),
    "name alone": ("price", TypeError, "do must be a mapping.*'price'"),
    "None forced": ({"price": None}, TypeError, r"do\['price'\] is None"),
    "NaN": ({"price": np.nan}, ValueError, r"do\['price'\] holds nan"),
    "NaN in an array": (
        {"price": np.where(PRICES == 4, np.nan, PRICES)},
        ValueError,
        r"do\['price'\] holds nan",
    ),
    "NaN in a Series": (
        {"price": pd.Series(PRICES).replace(4, np.nan)},
        ValueError,
        r"do\['price'\] holds nan",
    ),
    "NA in a nullable Series": (
        {"price": pd.Series([pd.NA, *range(N - 1)], dtype="Int64")},
        ValueError,
        r"do\['price'\] holds nan",
    ),
    "infinity": ({"price": -np.inf}, ValueError, r"do\['price'\] holds -inf"),
    "infinite draws": (
        {"price": lambda X: stats.norm(np.inf, 1)},
        ValueError,
        r"do\['price'\] holds inf",
    ),
    "unknown level": (
        {"dose": "mutch"},
        ValueError,
        r"'dose' of do\['dose'\]: 'mutch'; did you mean 'much'\? Known: 'much', 'none', 'some'",
    ),
    "unknown level among known": ({"sex": ["f"] * 19 + ["x"]}, ValueError, "'x'.*'f', 'm'"),
    "number for a level": ({"sex": 1}, ValueError, "level in column 'sex'.* 1; Known: 'f', 'm'"),
    "missing level": ({"sex": ["f"] * 19 + [None]}, ValueError, r"do\['sex'\].*NaN.*row 19"),
    "NaN for a level": ({"dose": np.nan}, ValueError, r"do\['dose'\].*NaN"),
    "string for a number": ({"price": "high"}, TypeError, "'price'.*takes numbers, got 'high'"),
    "strings for numbers": ({"price": ["1"] * N}, TypeError, "'price'.*takes numbers, got .*'1'"),
    "complex": ({"price": 1 + 2j}, TypeError, "'price'.*takes numbers, got complex"),
    "date": (
        {"price": np.datetime64("2020-01-01")},
        TypeError,
        "'price'.*takes numbers.*datetime",
    ),
    "too short": ({"price": PRICES[:-1]}, ValueError, rf"do\['price'\].*\(19,\); {SHAPES}"),
    "too long": ({"price": [1.0] * 21}, ValueError, rf"do\['price'\].*\(21,\); {SHAPES}"),
    "of one": ({"price": [1.0]}, ValueError, rf"do\['price'\].*\(1,\); {SHAPES}"),
    "none at all": ({"price": []}, ValueError, rf"do\['price'\].*\(0,\); {SHAPES}"),
    "column vector": ({"price": PRICES[:, None]}, ValueError, rf"\(20, 1\); {SHAPES}"),
    "as many as draws": ({"price": np.zeros((40, N))}, ValueError, rf"\(40, 20\); {SHAPES}"),
    "ragged": ({"price": [[1.0, 2.0], [3.0]]}, ValueError, r"do\['price'\].*inhomogeneous"),
    "mapping": ({"price": {0: 1.0}}, TypeError, r"do\['price'\] is dict"),
    "set": ({"price": {1.0}}, TypeError, r"do\['price'\] is set"),
    "DataFrame": ({"price": table()[["price"]]}, TypeError, r"do\['price'\] is DataFrame"),
    "Series of other rows": (
        {"price": pd.Series(PRICES, index=range(1, N + 1))},
        ValueError,
        r"do\['price'\]: its index lacks rows of X: 0;",
    ),
    "Series too short": (
        {"price": pd.Series(PRICES[:-2])},
        ValueError,
        r"do\['price'\]: its index lacks rows of X: 18, 19;",
    ),
    "Series with repeated labels": (
        {"price": pd.Series(PRICES, index=[0, 0, *range(2, N)])},
        ValueError,
        r"do\['price'\].*repeats labels",
    ),
    "callable giving None": ({"price": nothing}, TypeError, r"do\['price'\].*returned None"),
    "callable giving a callable": (
        {"price": lambda X: nothing},
        TypeError,
        r"do\['price'\].*returned <function nothing",
    ),
    "callable giving a string": ({"price": lambda X: "high"}, TypeError, "'price'.*'high'"),
    "callable giving a level that is none": ({"dose": lambda X: "lots"}, ValueError, "'lots'"),
    "callable giving X": ({"price": lambda X: X}, TypeError, r"do\['price'\] is DataFrame"),
    "callable giving too little": (
        {"price": lambda X: X["price"].to_numpy()[1:]},
        ValueError,
        rf"do\['price'\].*\(19,\); {SHAPES}",
    ),
    "callable giving some rows": (
        {"price": lambda X: X["price"].iloc[1:]},
        ValueError,
        r"do\['price'\]: its index lacks rows of X: 0;",
    ),
    "distribution not frozen": ({"price": stats.norm}, TypeError, r"do\['price'\]: freeze"),
    "distribution of vectors": (
        {"price": stats.multivariate_normal([0.0, 0.0])},
        TypeError,
        "'price'.*takes numbers",
    ),
    "distribution of other length": (
        {"price": stats.norm(np.zeros(3), 1)},
        ValueError,
        r"do\['price'\]",
    ),
    "distribution over levels": ({"sex": stats.norm(0, 1)}, ValueError, "level in column 'sex'"),
}


@pytest.mark.parametrize("case", DO)
def test_do(model, case):
    """`intervene` and both sides of `effect` refuse alike."""
    do, error, message = DO[case]
    before = state(model)
    with pytest.raises(error, match=message):
        model.intervene(table(), do)
    with pytest.raises(error, match=message):
        model.effect(table(), do)
    if do:  # None stands for what was observed; an empty baseline has words of its own, below
        with pytest.raises(error, match=message):
            model.effect(table(), {"price": 0}, baseline=do)
    assert state(model) == before


def test_an_empty_baseline_is_named(model):
    """Which of the two sides was empty is said."""
    with pytest.raises(ValueError, match="baseline is empty"):
        model.effect(table(), {"price": 0}, baseline={})


@pytest.mark.parametrize("kind", ["median", None, "Mean", 1, ["mean"]])
def test_kind(model, kind):
    before = state(model)
    for ask in (model.intervene, model.effect):
        with pytest.raises(ValueError, match=r"unknown kind .*'mean', 'predictive'"):
            ask(table(), {"price": 0}, kind=kind)
    assert state(model) == before


# X, y, error, what its message says
FIT = {
    "NaN in X": (with_number("price", np.nan), outcome(), ValueError, "NaN.*'price', row 3"),
    "infinity in X": (
        with_number("traffic", -np.inf),
        outcome(),
        ValueError,
        "infinity.*'traffic', row 3",
    ),
    "NaN in numbers alone": (
        with_number("price", np.nan)[["price", "traffic"]],
        outcome(),
        ValueError,
        "NaN.*'price', row 3",
    ),
    "NaN in an array": (
        with_number("traffic", np.nan)[["price", "traffic"]].to_numpy(),
        outcome(),
        ValueError,
        "NaN.*'x1', row 3",
    ),
    "NA in a nullable column": (
        table().astype({"price": "Float64"}).assign(price=pd.array([pd.NA] * N, "Float64")),
        outcome(),
        ValueError,
        "NaN.*'price', row 0",
    ),
    "None among strings": (with_value("sex", None), outcome(), ValueError, "NaN.*'sex', row 3"),
    "NaN among strings": (
        with_value("sex", np.nan, dtype="str"),
        outcome(),
        ValueError,
        "NaN.*'sex', row 3",
    ),
    "NaN among categories": (
        with_value("dose", np.nan, dtype="category"),
        outcome(),
        ValueError,
        "NaN.*'dose', row 3",
    ),
    "strings among numbers": (with_value("price", "?"), outcome(), TypeError, "'price'"),
    "lists": (with_value("price", None).assign(price=[[1]] * N), outcome(), TypeError, "'price'"),
    "dates": (
        table().assign(day=pd.date_range("2020", periods=N)),
        outcome(),
        TypeError,
        "'day'.*datetime64",
    ),
    "durations": (
        table().assign(span=pd.timedelta_range("1D", periods=N)),
        outcome(),
        TypeError,
        "'span'.*timedelta64",
    ),
    "complex column": (table().assign(z=1j), outcome(), ValueError, "[Cc]omplex.*'z'"),
    "complex array": (np.ones((N, 2)) * 1j, outcome(), ValueError, "Complex"),
    "strings in an array": (np.array([["a", "b"]] * N), outcome(), ValueError, "'a'"),
    "one dimension": (np.arange(20.0), outcome(), ValueError, "2D array"),
    "three dimensions": (np.ones((N, 2, 2)), outcome(), ValueError, "dim 3"),
    "None": (None, outcome(), ValueError, "2D array"),
    "no rows": (table().iloc[:0], [], ValueError, r"0 sample\(s\)"),
    "no columns": (table()[[]], outcome(), ValueError, r"0 feature\(s\)"),
    "repeated column": (
        pd.concat([table(), table()[["traffic"]]], axis=1),
        outcome(),
        ValueError,
        "(?s)unique column names.*'traffic' 2 times",
    ),
    "repeated number": (
        table().set_axis([0, 1, 2, 1], axis=1),
        outcome(),
        ValueError,
        "(?s)unique column names.*'1' 2 times",
    ),
    "column named like the outcome": (
        table().rename(columns={"price": "y"}),
        outcome(),
        ValueError,
        "column 'y', the name of the outcome",
    ),
    "column named obs": (
        table().rename(columns={"price": "obs"}),
        outcome(),
        ValueError,
        "name of column 'obs'",
    ),
    "columns named like parameters": (
        table().rename(columns={"price": "y_mu", "traffic": "y_sigma"}),
        outcome(),
        ValueError,
        "name of column 'y_mu', 'y_sigma'",
    ),
    "NaN in y": (table(), with_outcome(np.nan), ValueError, "Input y contains NaN"),
    "infinity in y": (table(), with_outcome(np.inf), ValueError, "Input y contains infinity"),
    "NaN in a Series y": (
        table(),
        pd.Series(with_outcome(np.nan)),
        ValueError,
        "Input y contains NaN",
    ),
    "strings in y": (table(), ["a"] * N, ValueError, "'a'"),
    "complex y": (table(), outcome() * 1j, ValueError, "Complex"),
    "y of two columns": (table(), np.ones((N, 2)), ValueError, r"\(20, 2\)"),
    "y of other length": (table(), outcome()[1:], ValueError, r"inconsistent.*\[20, 19\]"),
    "y missing": (table(), None, ValueError, "requires y|y cannot be None"),
    "constant y": (table(), np.full(N, 3.0), ValueError, "y is constant"),
}


@pytest.mark.parametrize("case", FIT)
@pytest.mark.parametrize("fitted", [False, True])
def test_fit(case, fitted):
    """An estimator that was not fitted is not then, and a fitted one keeps its posterior."""
    X, y, error, message = FIT[case]
    estimator = regressor()
    if fitted:
        estimator.fit(table(), outcome())
    before = state(estimator)
    with pytest.raises(error, match=message):
        estimator.fit(X, y)
    assert state(estimator) == before
    assert hasattr(estimator, "idata_") == fitted
    if y is not None and case != "y missing":
        with pytest.raises(error, match=message):
            estimator.build_model(X, y)
        assert state(estimator) == before


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(N), "[Nn]egative"),
        (np.where(PRICES == 2, -1.0, 1.0), "[Nn]egative"),
        (np.zeros(N), "zero"),
        (np.ones(N - 1), r"sample_weight.*\(19,\)"),
        (np.ones((N, 2)), "1D|sample_weight"),
        (np.where(PRICES == 2, np.nan, 1.0), "sample_weight.*NaN"),
        (np.where(PRICES == 2, np.inf, 1.0), "sample_weight.*infinity"),
    ],
)
def test_sample_weight(weights, message):
    estimator = regressor().fit(table(), outcome())
    before = state(estimator)
    with pytest.raises(ValueError, match=message):
        estimator.fit(table(), outcome(), weights)
    assert state(estimator) == before


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"inference": "mcmc"}, ValueError, "'inference'.*'exact'.*'mcmc'"),
        ({"outcome": ""}, TypeError, "outcome must be.*non-empty"),
        ({"outcome": 3}, (TypeError, ValueError), "'outcome'.*3"),
        ({"outcome": "price"}, ValueError, "column 'price', the name of the outcome"),
        ({"draws": 0}, ValueError, "'draws'.*0"),
        ({"chains": 1.5}, ValueError, "'chains'.*1.5"),
        ({"random_state": "x"}, ValueError, "'random_state'.*'x'"),
        ({"design": "spline"}, ValueError, "'design'.*'spline'"),
        ({"design": PolynomialFeatures}, TypeError, "instance .PolynomialFeatures"),
        ({"design": TargetEncoder()}, ValueError, "TargetEncoder.*needs y"),
        ({"priors": [1]}, ValueError, "'priors'"),
        ({"priors": {"beta": 1.0}}, TypeError, r"priors\['beta'\].*1.0"),
        ({"fit_intercept": "yes"}, ValueError, "'fit_intercept'.*'yes'"),
    ],
)
def test_parameters(parameters, error, message):
    estimator = regressor().fit(table(), outcome())
    estimator.set_params(**parameters)
    before = state(estimator)
    with pytest.raises(error, match=message):
        estimator.fit(table(), outcome())
    assert state(estimator) == before


ORDER = ["traffic", "price", "dose", "sex"]

# rows for a model fitted on `table()`, error, what its message says
ROWS = {
    "column missing": (table().drop(columns="price"), ValueError, "price"),
    "column too many": (table().assign(extra=1.0), ValueError, "extra"),
    "column renamed": (table().rename(columns={"price": "prise"}), ValueError, "prise"),
    "another order": (table()[ORDER], ValueError, "same order"),
    "repeated column": (
        pd.concat([table(), table()[["sex"]]], axis=1),
        ValueError,
        "sex|same order|more than one",
    ),
    "NaN": (with_number("price", np.nan), ValueError, "NaN.*'price', row 3"),
    "infinity": (with_number("price", np.inf), ValueError, "infinity.*'price', row 3"),
    "strings for numbers": (table().assign(price="low"), TypeError, "'price'.*numbers, got 'low'"),
    "date for numbers": (
        table().assign(price=pd.date_range("2020", periods=N)),
        TypeError,
        "'price'.*datetime64",
    ),
    "complex for numbers": (table().assign(price=1j), (TypeError, ValueError), "'price'.*complex"),
    "numbers for strings": (table().assign(sex=1.0), ValueError, "'sex' of X: 1.0.*'f', 'm'"),
    "unknown level": (
        with_value("dose", "lots", dtype="str"),
        ValueError,
        "'dose' of X: 'lots'.*Known: 'much', 'none', 'some'",
    ),
    "missing level": (with_value("sex", None), ValueError, "NaN.*'sex', row 3"),
    "no rows": (table().iloc[:0], ValueError, r"0 sample\(s\)"),
}


def column_of(model):
    """A column to force, whose own values are not read: the array's second, or the table's."""
    return 1 if getattr(model, "n_features_in_", 4) == 2 else "traffic"


ASK = {
    "predict": lambda model, X: model.predict(X),
    "predict with std": lambda model, X: model.predict(X, return_std=True),
    "sample_y": lambda model, X: model.sample_y(X),
    "score": lambda model, X: model.score(X, outcome()),
    "intervene": lambda model, X: model.intervene(X, {column_of(model): 0}),
    "effect": lambda model, X: model.effect(X, {column_of(model): 0}),
}


@pytest.mark.parametrize("case", ROWS)
@pytest.mark.parametrize("ask", ASK)
def test_rows(model, ask, case):
    """Every question refuses the same rows."""
    X, error, message = ROWS[case]
    before = state(model)
    with pytest.raises(error, match=message):
        ASK[ask](model, X)
    assert state(model) == before


@pytest.mark.parametrize("ask", ASK)
def test_before_fit(ask):
    """Every question before `fit` is a NotFittedError that names the class."""
    estimator = regressor()
    with pytest.raises(NotFittedError, match="BayesianInterventionRegressor"):
        ASK[ask](estimator, table())
    assert not hasattr(estimator, "idata_")


ARRAYS = {
    "too narrow": (np.ones((N, 1)), ValueError, "X has 1 features.*expecting 2"),
    "too wide": (np.ones((N, 3)), ValueError, "X has 3 features.*expecting 2"),
    "NaN": (np.full((N, 2), np.nan), ValueError, "NaN.*'x[01]', row 0"),
    "strings": ([["a", "b"]] * N, ValueError, "'a'"),
    "complex": (np.ones((N, 2)) * 1j, ValueError, "Complex"),
    "one row alone": (np.ones(2), ValueError, "2D array"),
    "no rows": (np.ones((0, 2)), ValueError, r"0 sample\(s\)"),
    "None": (None, ValueError, "2D array"),
}


@pytest.mark.parametrize("case", ARRAYS)
@pytest.mark.parametrize("ask", ASK)
def test_arrays(array_model, ask, case):
    """What is no table of two numbers a row is refused by every question."""
    X, error, message = ARRAYS[case]
    before = state(array_model)
    with pytest.raises(error, match=message):
        ASK[ask](array_model, X)
    assert state(array_model) == before


def test_an_array_for_levels(model):
    """Levels need their names: an array will not do."""
    codes = np.ones((N, 4))
    with (
        pytest.warns(UserWarning, match="feature names"),
        pytest.raises(TypeError, match=r"X must be a DataFrame.*'dose', 'sex'"),
    ):
        model.predict(codes)


def test_what_a_design_cannot_take():
    """The transformer is named when it refuses, or returns what is not finite."""
    X = table()[["price", "traffic"]]
    spline = regressor(design=SplineTransformer(4, extrapolation="error")).fit(X, outcome())
    with pytest.raises(ValueError, match="beyond the limits"):
        spline.intervene(X, {"price": 1e3})
    square = regressor(design=PolynomialFeatures(2, include_bias=False)).fit(X, outcome())
    message = "PolynomialFeatures.*e\\+97.*'price.2'"
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
        square.intervene(X, {"price": 1e49})


def test_a_failed_question_does_not_spoil_the_next(model):
    """After errors the answers are as before."""
    expected = model.intervene(table(), {"price": 1, "sex": "m"}).mean()
    for do, error, _ in DO.values():
        with pytest.raises(error):
            model.intervene(table(), do)
    np.testing.assert_array_equal(
        model.intervene(table(), {"price": 1, "sex": "m"}).mean(), expected
    )


# --- Families -----------------------------------------------------------------------------------

COUNTS = "counts: whole numbers from 0 on"
INSIDE = "numbers between 0 and 1, neither of them included"

# family, what the outcome of row 7 is, what the message says
OUTCOMES = {
    "negative count": ("poisson", -1, f"'poisson' takes {COUNTS}; y holds -1 in row 7"),
    "fraction of a count": ("poisson", 1.5, f"'poisson' takes {COUNTS}; y holds 1.5 in row 7"),
    "negative count, overdispersed": (
        "negative_binomial",
        -2,
        f"'negative_binomial' takes {COUNTS}; y holds -2 in row 7",
    ),
    "fraction, overdispersed": (
        "negative_binomial",
        0.5,
        f"'negative_binomial' takes {COUNTS}; y holds 0.5 in row 7",
    ),
    "zero, gamma": ("gamma", 0, "'gamma' takes positive numbers; y holds 0 in row 7"),
    "negative, gamma": ("gamma", -3, "'gamma' takes positive numbers; y holds -3 in row 7"),
    "zero, lognormal": ("lognormal", 0, "'lognormal' takes positive numbers; y holds 0 in row 7"),
    "negative, lognormal": (
        "lognormal",
        -0.5,
        "'lognormal' takes positive numbers; y holds -0.5 in row 7",
    ),
    "zero, beta": ("beta", 0, f"'beta' takes {INSIDE}; y holds 0 in row 7"),
    "one, beta": ("beta", 1, f"'beta' takes {INSIDE}; y holds 1 in row 7"),
    "out of range, beta": ("beta", 1.5, f"'beta' takes {INSIDE}; y holds 1.5 in row 7"),
    "third class": (
        "bernoulli",
        2,
        "'bernoulli' takes 0 and 1; y holds 2 in row 7, of 3 distinct values",
    ),
}


def lawful(family):
    """Outcomes that a family takes."""
    rng = np.random.default_rng(6)
    if family in ("poisson", "negative_binomial"):
        return rng.poisson(3.0, N).astype(float)
    if family == "bernoulli":
        return np.arange(N) % 2 + 0.0
    return rng.uniform(0.1, 0.9, N)


@pytest.mark.parametrize("case", OUTCOMES)
@pytest.mark.parametrize("fitted", [False, True])
def test_outcomes_that_a_family_does_not_take(case, fitted):
    family, value, message = OUTCOMES[case]
    estimator = regressor()
    if fitted:
        estimator.fit(table(), outcome())
    estimator.set_params(family=family, inference="laplace")
    before = state(estimator)
    y = lawful(family)
    y[7] = value
    for ask in (estimator.fit, estimator.build_model):
        with pytest.raises(ValueError, match=message):
            ask(table(), y)
        assert state(estimator) == before


def test_classes_must_be_zero_and_one():
    """1 and 2 are two classes, but which of them is the event is not for us to guess."""
    estimator = regressor(family="bernoulli")
    before = state(estimator)
    with pytest.raises(ValueError, match=r"takes 0 and 1; y holds 2 in row 1, of 2 distinct"):
        estimator.fit(table(), lawful("bernoulli") + 1)
    assert state(estimator) == before


def test_mediators_that_a_family_does_not_take():
    """The message names the column."""
    estimator = regressor(graph="price -> traffic -> y", family={"traffic": "gamma"})
    before = state(estimator)
    with pytest.raises(ValueError, match=r"'gamma' takes positive.*column 'traffic' holds -"):
        estimator.fit(table(), outcome())
    assert state(estimator) == before


DOSE = "price -> dose -> y"
TRAFFIC = "price -> traffic -> y"

# parameters, error, what the message says; all are seen before any outcome is
FAMILY = {
    "unknown": (
        {"family": "poison"},
        ValueError,
        "unknown family of 'y': 'poison'; did you mean 'poisson'.*'gaussian', .*'categorical'",
    ),
    "unknown like none": (
        {"family": "zzz"},
        ValueError,
        "unknown family of 'y': 'zzz'; Known: 'gaussian'",
    ),
    "unknown of a mediator": (
        {"family": {"traffic": "normal"}, "graph": TRAFFIC},
        ValueError,
        "unknown family of 'traffic': 'normal'",
    ),
    "binomial": (
        {"family": "binomial"},
        ValueError,
        "'binomial' of 'y': k of m trials .*sample_weight k.*sample_weight m - k.*'bernoulli'",
    ),
    "number": ({"family": 3}, ValueError, "'family'.*3"),
    "None": ({"family": None}, ValueError, "'family'.*None"),
    "number for a node": ({"family": {"y": 3}}, TypeError, "family of 'y' must be one of.*got 3"),
    "list for a node": ({"family": {"y": ["gamma"]}}, TypeError, r"got \['gamma'\]"),
    "unknown node": (
        {"family": {"trafic": "gamma"}, "graph": TRAFFIC},
        ValueError,
        "unknown node in family: 'trafic'; did you mean 'traffic'",
    ),
    "column without an equation": (
        {"family": {"price": "gamma"}, "graph": TRAFFIC},
        ValueError,
        "family: column 'price' has no equation.* 'traffic', 'y'",
    ),
    "column without a graph": (
        {"family": {"price": "gamma"}},
        ValueError,
        "family: column 'price' has no equation.* 'y'",
    ),
    "categorical outcome": (
        {"family": "categorical"},
        ValueError,
        "'categorical' is for columns of levels or bools; 'y' is the outcome",
    ),
    "categorical numbers": (
        {"family": {"traffic": "categorical"}, "graph": TRAFFIC},
        ValueError,
        "'categorical' is for .*; 'traffic' is a column of numbers",
    ),
    "numbers for levels": (
        {"family": {"dose": "gamma"}, "graph": DOSE},
        ValueError,
        "'gamma' is for numbers; 'dose' is a column of levels",
    ),
    "two classes for three levels": (
        {"family": {"dose": "bernoulli"}, "graph": DOSE},
        ValueError,
        "'bernoulli' is for numbers; 'dose' is a column of levels",
    ),
    "exposure unknown": (
        {"family": "poisson", "exposure": "prise"},
        ValueError,
        "exposure: unknown column 'prise'; did you mean 'price'",
    ),
    "exposure no name": (
        {"family": "poisson", "exposure": np.ones(N)},
        TypeError,
        "exposure must be the name of a column of X, got ndarray",
    ),
    "exposure of levels": (
        {"family": "poisson", "exposure": "dose"},
        ValueError,
        "exposure: column 'dose' holds levels",
    ),
    "exposure of a gaussian": (
        {"exposure": "price"},
        ValueError,
        "exposure='price' is for counts.*'poisson' or 'negative_binomial'.*'y' is 'gaussian'",
    ),
    "exposure of zeros and ones": (
        {"family": "bernoulli", "exposure": "price"},
        ValueError,
        "exposure='price' is for counts.*'y' is 'bernoulli'",
    ),
    "exposure that is no cause": (
        {"family": "poisson", "exposure": "price", "graph": TRAFFIC},
        ValueError,
        "graph does not have 'price' as a cause of 'y'.*add 'price -> y'",
    ),
    "exposure not in the graph": (
        {"family": "poisson", "exposure": "price", "graph": "traffic -> y"},
        ValueError,
        "graph does not have 'price' as a cause of 'y'",
    ),
    "exact": (
        {"family": "gamma", "inference": "exact"},
        ValueError,
        "inference='exact'.*the family of 'y' is 'gamma'",
    ),
    "levels to be kept": ({"unseen_levels": "drop"}, ValueError, "'unseen_levels'.*'drop'"),
    "sigma of counts": (
        {"family": "poisson", "priors": {"sigma": Prior("HalfNormal", sigma=1)}},
        ValueError,
        "a prior of sigma, which a poisson outcome has not",
    ),
    "nu of a gaussian": (
        {"priors": {"nu": Prior("Gamma", alpha=2, beta=0.1)}},
        ValueError,
        "a prior of nu, which a gaussian outcome has not",
    ),
    "negative dispersion": (
        {"family": "gamma", "priors": {"alpha": Prior("Normal", mu=0, sigma=1)}},
        ValueError,
        r"priors\['alpha'\]:.*allows negative values",
    ),
    "unknown short name": (
        {"priors": "rigde"},
        ValueError,
        r"unknown prior in priors\['beta'\]: 'rigde'; did you mean 'ridge'",
    ),
    "unknown short name of a column": (
        {"priors": {"price": "lasso"}},
        ValueError,
        r"unknown prior in priors\['price'\]: 'lasso'; Known: 'ridge', 'horseshoe'",
    ),
    "ridge for sigma": (
        {"priors": {"sigma": "ridge"}},
        ValueError,
        r"priors\['sigma'\]: 'ridge' is a prior of coefficients; give sigma a Prior",
    ),
    "ridge for the intercept": (
        {"priors": {"intercept": "ridge"}},
        ValueError,
        r"priors\['intercept'\]: 'ridge' is a prior of coefficients; give intercept a Prior",
    ),
    "levels by an unknown prior": (
        {"priors": {"dose": "pooling"}},
        ValueError,
        r"unknown prior in priors\['dose'\]: 'pooling'; Known: 'ridge', 'horseshoe', 'r2d2'",
    ),
}


@pytest.mark.parametrize("case", FAMILY)
@pytest.mark.parametrize("fitted", [False, True])
def test_family_exposure_and_priors(case, fitted):
    parameters, error, message = FAMILY[case]
    estimator = regressor()
    if fitted:
        estimator.fit(table(), outcome())
    estimator.set_params(**parameters)
    before = state(estimator)
    y = lawful(parameters["family"]) if isinstance(parameters.get("family"), str) else outcome()
    with pytest.raises(error, match=message):
        estimator.fit(table(), y)
    assert state(estimator) == before


ALL = "price -> traffic -> y; price -> y; dose -> y; sex -> y"
HALF = Prior("HalfNormal", sigma=1)
NO_PRIOR = "is no prior of the standard deviations between groups; give one distribution of pos"

# parameters, error, what its message says
GROUPS = {
    "unknown column": (
        {"groups": ["does"]},
        ValueError,
        "groups: unknown column 'does'; did you mean 'dose'.* Known: 'price', 'traffic', 'dose'",
    ),
    "unknown column of a combination": (
        {"groups": {("dose", "sx"): []}},
        ValueError,
        "groups: unknown column 'sx'; did you mean 'sex'",
    ),
    "None in the list": ({"groups": [None]}, ValueError, "groups: unknown column None"),
    "a string": (
        {"groups": "dose"},
        TypeError,
        r"groups must be a list of columns, or a mapping.*got 'dose'; write groups=\['dose'\]",
    ),
    "a tuple": (
        {"groups": ("dose", "sex")},
        TypeError,
        r"groups must be a list.*got \('dose', 'sex'\); write groups=\[\('dose', 'sex'\)\]",
    ),
    "a set": ({"groups": {"dose"}}, TypeError, r"groups must be a list.*got \{'dose'\}"),
    "a list in the list": (
        {"groups": [["dose", "sex"]]},
        ValueError,
        r"groups: unknown column \['dose', 'sex'\].*combinations of columns are a tuple",
    ),
    "a mapping in the list": (
        {"groups": [{"dose": ["price"]}]},
        ValueError,
        r"groups: unknown column \{'dose': \['price'\]\}.*slopes the values of a mapping",
    ),
    "no column": ({"groups": {(): []}}, ValueError, r"groups: \(\) names no column; give one"),
    "a column twice": (
        {"groups": ["dose", "dose"]},
        ValueError,
        "groups: 'dose' and 'dose' are the same groups, which may be named once",
    ),
    "a combination twice": (
        {"groups": {("dose", "sex"): [], ("sex", "dose"): ["price"]}},
        ValueError,
        "groups: 'dose:sex' and 'sex:dose' are the same groups",
    ),
    "a column twice in a combination": (
        {"groups": {("dose", "dose"): []}},
        ValueError,
        r"groups\[\('dose', 'dose'\)\] has a column more than once",
    ),
    "slopes a string": (
        {"groups": {"dose": "price"}},
        TypeError,
        r"groups\['dose'\] must be a list of the columns whose slopes differ.*got 'price'; an em",
    ),
    "slopes None": (
        {"groups": {"dose": None}},
        TypeError,
        r"groups\['dose'\] must be a list.*got None; an empty one for intercepts alone",
    ),
    "unknown slope": (
        {"groups": {"dose": ["prise"]}},
        ValueError,
        r"groups\['dose'\]: unknown column or term 'prise'; did you mean 'price'\? Known: 'price'",
    ),
    "slope no name": (
        {"groups": {"dose": [["price"]]}},
        ValueError,
        r"groups\['dose'\]: unknown column \['price'\]; did you mean 'price'",
    ),
    "slope of the outcome": (
        {"groups": {"dose": ["y"]}},
        ValueError,
        r"groups\['dose'\]: unknown column or term 'y'; Known: 'price', 'traffic', 'sex'",
    ),
    "slope of the group": (
        {"groups": {"dose": ["dose"]}},
        ValueError,
        r"groups\['dose'\]: 'dose' is the group itself; slopes are of other columns",
    ),
    "slope of a part of the group": (
        {"groups": {("dose", "sex"): ["price", "sex"]}},
        ValueError,
        r"groups\[\('dose', 'sex'\)\]: 'sex' is the group itself",
    ),
    "slope of another group": (
        {"groups": {"dose": ["sex"], "sex": []}},
        ValueError,
        r"groups\['dose'\]: 'sex' is a column of groups too.*groups\[\('dose', 'sex'\)\]",
    ),
    "not in the graph": (
        {"groups": ["sex"], "graph": TRAFFIC},
        ValueError,
        "groups: column 'sex' does not enter the equation of 'y'; let it be a cause of it",
    ),
    "in another equation": (
        {"groups": {"traffic": {"dose": []}}, "graph": ALL},
        ValueError,
        "groups: column 'dose' does not enter the equation of 'traffic'; let it be a cause",
    ),
    "slope of another equation": (
        {"groups": {"sex": ["price"]}, "graph": "price -> traffic -> y; sex -> y"},
        ValueError,
        r"groups\['sex'\]: unknown column or term 'price'; Known: 'traffic'",
    ),
    "unknown equation": (
        {"groups": {"trafic": {"dose": []}}, "graph": ALL},
        ValueError,
        "unknown equation in groups: 'trafic'; did you mean 'traffic'. Known: 'traffic', 'y'",
    ),
    "an equation without a mapping": (
        {"groups": {"y": ["dose"]}},
        ValueError,
        r"groups: unknown column 'y'.*of an equation it is a mapping, groups=\{'y': \{column: ",
    ),
    "the outcome's twice": (
        {"groups": {"y": {"dose": []}, "sex": []}},
        ValueError,
        "groups: 'sex' and 'y' both are for the outcome's equation",
    ),
    "a label of rows": (
        {"groups": ["price"]},
        ValueError,
        "groups: no two rows are of one group of 'price'.*is it a label of rows",
    ),
    "prior below 0": (
        {"groups": ["dose"], "priors": {"dose": Prior("Normal", mu=0, sigma=1)}},
        ValueError,
        r"priors\['dose'\]: Prior\('Normal', mu=0.0, sigma=1.0\) allows negative values",
    ),
    "prior of a combination below 0": (
        {"groups": [("dose", "sex")], "priors": {"dose:sex": Prior("Normal", mu=0, sigma=1)}},
        ValueError,
        r"priors\['dose:sex'\]: Prior\('Normal', mu=0.0, sigma=1.0\) allows negative values",
    ),
    "prior that is none": (
        {"groups": ["dose"], "priors": {"dose": Prior("HalfNormal", sigma=-1)}},
        ValueError,
        r"priors\['dose'\]: Prior\('HalfNormal', sigma=-1.0\) is no distribution: sigma > 0",
    ),
    "prior too long": (
        {"groups": {"dose": ["price"]}, "priors": {"dose": Prior("HalfNormal", sigma=[1, 2, 3])}},
        ValueError,
        r"priors\['dose'\]: sigma has shape \(3,\), allowed are a number or \(2,\), one each for "
        "'intercept', 'price'",
    ),
    "prior too long for intercepts": (
        {"groups": ["dose"], "priors": {"dose": Prior("HalfNormal", sigma=[1.0, 2.0])}},
        ValueError,
        r"priors\['dose'\]: sigma has shape \(2,\), allowed are a number or \(1,\)",
    ),
    "prior that learns": (
        {"groups": ["dose"], "priors": {"dose": Prior("HalfNormal", sigma=HALF)}},
        ValueError,
        rf"priors\['dose'\]: Prior.*sigma=Prior.* {NO_PRIOR}",
    ),
    "prior of the levels": (
        {"groups": ["dose"], "priors": {"dose": Prior("Normal", mu=0, sigma=HALF)}},
        ValueError,
        rf"priors\['dose'\]: Prior.*sigma=Prior.* {NO_PRIOR}",
    ),
    "prior that is a number": (
        {"groups": ["dose"], "priors": {"dose": Prior("DiracDelta", c=1.0)}},
        ValueError,
        rf"priors\['dose'\]: Prior\(\"DiracDelta\", c=1.0\) {NO_PRIOR}",
    ),
    "prior of coefficients": (
        {"groups": ["dose"], "priors": {"dose": "ridge"}},
        ValueError,
        rf"priors\['dose'\]: 'ridge' {NO_PRIOR}",
    ),
    "prior of one group": (
        {"groups": ["dose"], "priors": {"dose[some]": HALF}},
        ValueError,
        r"unknown name in priors: 'dose\[some\]'.* Known: 'beta', 'intercept', 'sigma', 'price'",
    ),
    "within no bool": (
        {"groups": ["dose"], "within": "yes"},
        ValueError,
        "'within' parameter.*must be.*bool.*Got 'yes'",
    ),
}


@pytest.mark.parametrize("case", GROUPS)
@pytest.mark.parametrize("fitted", [False, True])
def test_groups(case, fitted):
    parameters, error, message = GROUPS[case]
    estimator = regressor()
    if fitted:
        estimator.fit(table(), outcome())
    estimator.set_params(**parameters)
    before = state(estimator)
    with pytest.raises(error, match=message):
        estimator.fit(table(), outcome())
    assert state(estimator) == before


def test_groups_by_batches():
    """Rows of a group are kept together: neither `partial_fit` nor Dask's partitions take them."""
    da = pytest.importorskip("dask.array")
    dd = pytest.importorskip("dask.dataframe")
    message = "the equation of 'y' has groups.*batches do not add up; call fit with all rows"
    estimator = regressor(groups=["dose"])
    before = state(estimator)
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(table(), outcome())
    assert state(estimator) == before
    X = dd.from_pandas(table().astype({"dose": str}), npartitions=2)
    for ask in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=message):
            ask(X, dd.from_pandas(pd.Series(outcome()), npartitions=2))
    numbers = np.column_stack([table()["price"], np.arange(N) % 3])
    estimator.set_params(groups=[1])
    before = state(estimator)
    with pytest.raises(ValueError, match=message):
        estimator.fit(da.from_array(numbers, chunks=(10, 2)), da.from_array(outcome(), chunks=10))
    assert state(estimator) == before


def test_groups_that_batches_do_not_have():
    """A model that was fitted by batches refuses groups, and goes on once they are taken back."""
    estimator = regressor().partial_fit(table(), outcome()).set_params(groups=["dose"])
    before = state(estimator)
    with pytest.raises(ValueError, match="the equation of 'y' has groups"):
        estimator.partial_fit(table(), outcome())
    assert state(estimator) == before
    estimator.set_params(groups=None).partial_fit(table(), outcome())


def labelled_rows():
    """Rows whose groups are numbers."""
    return table().assign(store=np.arange(N) % 5 + 100.0)


@pytest.mark.parametrize("value", [np.nan, None])
def test_labels_that_are_missing(value):
    """In a column of numbers that are labels as in one of strings."""
    rows = {"store": labelled_rows(), "sex": table()}
    for column, X in rows.items():
        bad = X.assign(**{column: [value if k == 3 else v for k, v in enumerate(X[column])]})
        estimator = regressor(groups=[column])
        before = state(estimator)
        with pytest.raises(ValueError, match=f"X contains NaN in column '{column}', row 3"):
            estimator.fit(bad, outcome())
        assert state(estimator) == before
        estimator.fit(X, outcome())
        before = state(estimator)
        for ask in ASK.values():
            with pytest.raises(ValueError, match=f"X contains NaN in column '{column}', row 3"):
                ask(estimator, bad)
        assert state(estimator) == before


@pytest.mark.parametrize("given", ["store", 2])
def test_labels_that_are_unknown(given):
    """A number that is no label of a group is refused by its column, as any unknown level."""
    X = labelled_rows()[["price", "traffic", "store"]]
    bad = X.assign(store=X["store"].replace(103.0, 113.0))
    if given == 2:
        X, bad = X.to_numpy(), bad.to_numpy()
    name = "store" if given == "store" else "x2"
    estimator = regressor(groups=[given]).fit(X, outcome())
    before = state(estimator)
    message = f"unknown level in column '{name}' of X: 113.*Known: 100"
    for ask in ASK.values():
        with pytest.raises(ValueError, match=message):
            ask(estimator, bad)
    with pytest.raises(ValueError, match=rf"unknown level in column '{name}' of do.*: 113"):
        estimator.intervene(X, {given: 113})
    assert state(estimator) == before


def test_combinations_that_are_unknown():
    """Each of its levels is known, and the groups of the two columns lack it."""
    X = table().assign(sex=np.where(np.arange(N) % 2, "f", "m"), dose=np.arange(N) // 2 % 3)
    X["dose"] = X["dose"].map({0: "none", 1: "some", 2: "much"})
    seen = ~((X["sex"] == "f") & (X["dose"] == "much"))
    estimator = regressor(groups={("sex", "dose"): []}).fit(X[seen], outcome()[seen])
    before = state(estimator)
    bad = X[seen].assign(dose=["much" if k == 3 else v for k, v in enumerate(X["dose"][seen])])
    bad["sex"] = ["f" if k == 3 else v for k, v in enumerate(X["sex"][seen])]
    for ask in ("predict", "predict with std", "sample_y", "intervene", "effect"):
        with pytest.raises(
            ValueError, match=r"row 3 is of the group 'f:much' of 'sex:dose', that no"
        ):
            ASK[ask](estimator, bad)
    assert state(estimator) == before


@pytest.mark.parametrize("family", ["poisson", "gamma", "bernoulli", "student_t"])
def test_batches_do_not_add_up(family):
    """There is no `partial_fit` to call, and the reason is told; nor do Dask's partitions."""
    da = pytest.importorskip("dask.array")
    estimator = regressor(family=family)
    before = state(estimator)
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'") as raised:
        estimator.partial_fit(table(), lawful(family))
    assert f"the family of 'y' is '{family}'" in str(raised.value.__cause__)
    X = da.from_array(table()[["price", "traffic"]].to_numpy(), chunks=(10, 2))
    y = da.from_array(lawful(family), chunks=10)
    with pytest.raises(ValueError, match=f"the family of 'y' is '{family}'.*do not add up"):
        estimator.fit(X, y)
    assert state(estimator) == before


@pytest.mark.parametrize("family", ["lognormal", {"y": "lognormal"}, {"traffic": "gaussian"}, {}])
def test_batches_that_add_up(family):
    assert hasattr(regressor(family=family), "partial_fit")


def test_batches_of_a_graph():
    """A mediator's family counts too, and a lognormal one is seen by others as it is."""
    for name in ("gamma", "lognormal"):
        assert not hasattr(regressor(family={"traffic": name}), "partial_fit")
    estimator = regressor(family="poisonn")  # what it is that is wrong is told by the method
    with pytest.raises(ValueError, match="'poisonn'; did you mean 'poisson'"):
        estimator.partial_fit(table(), outcome())


poor_approximation = pytest.mark.filterwarnings(
    "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture(scope="module")
def counts():
    """A model of counts in proportion to an exposure, and its rows."""
    X = table()[["price"]].assign(people=np.arange(1.0, N + 1))
    model = regressor(family="poisson", exposure="people", inference="laplace")
    return model.fit(X, lawful("poisson")), X


@poor_approximation
@pytest.mark.parametrize("value", [0.0, -2.0])
def test_exposures_are_positive(counts, value):
    model, X = counts
    before = state(model)
    message = f"exposure must be positive; it is {value:g} in row"
    for ask in (model.intervene, model.effect):
        for forced in (value, np.where(np.arange(N) == 4, value, 1.0)):
            with pytest.raises(ValueError, match=message):
                ask(X, {"people": forced})
        with pytest.raises(ValueError, match="exposure must be positive; it is -"):
            ask(X, {"people": stats.norm(value, 1)})
    bad = X.assign(people=np.where(X["people"] == 5, value, X["people"]))
    for ask in (model.predict, model.sample_y):
        with pytest.raises(ValueError, match=f"{message} 4"):
            ask(bad)
    for ask in (model.fit, model.log_density, model.log_likelihood, model.build_model):
        with pytest.raises(ValueError, match=f"{message} 4"):
            ask(bad, lawful("poisson"))
    assert state(model) == before


@poor_approximation
@pytest.mark.parametrize("value", [-1.0, 2.5])
def test_densities_are_of_the_support(counts, value):
    model, X = counts
    before = state(model)
    y = lawful("poisson")
    y[7] = value
    for ask in (model.log_density, model.log_likelihood):
        with pytest.raises(ValueError, match=f"{COUNTS}; y holds {value:g} in row 7"):
            ask(X, y)
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[20, 19\]"):
            ask(X, y[1:])
    with pytest.raises(ValueError, match=r"'y'.*not additive"):
        model.counterfactual(X, lawful("poisson"), {"price": 0.0})
    assert state(model) == before


@poor_approximation
def test_counts_are_not_forced_to_fractions():
    """A mediator that is a count, forced or held: never rounded behind the user's back."""
    X = table()[["price"]].assign(visits=lawful("poisson"), traffic=table()["traffic"])
    graph = "price -> visits -> y; traffic -> y"
    model = regressor(graph=graph, family={"visits": "poisson"}, inference="laplace")
    model.fit(X, outcome())
    before = state(model)
    for forced in (2.5, -1, np.where(np.arange(N) == 4, 0.5, 1.0), stats.norm(3, 1)):
        for ask in (model.intervene, model.effect):
            with pytest.raises(ValueError, match=rf"{COUNTS}; do\['visits'\] holds"):
                ask(X, {"visits": forced})
    half = X.assign(visits=X["visits"] + 0.5)
    with pytest.raises(ValueError, match=f"{COUNTS}; column 'visits' holds"):
        model.intervene(half, {"traffic": 0.0})
    assert state(model) == before
    whole = model.intervene(X, {"visits": stats.poisson(3)}).mean()
    assert np.isfinite(whole).all()
    # what is regenerated is not asked for
    np.testing.assert_array_equal(
        model.intervene(half, {"price": 0.0}).mean(), model.intervene(X, {"price": 0.0}).mean()
    )


def test_rows_of_a_counterfactual_are_of_the_support():
    """A residual is a factor of a lognormal node, which must be positive."""
    X = table()[["price"]].assign(traffic=lawful("gamma"))
    model = regressor(graph=TRAFFIC, family={"traffic": "lognormal"}).fit(X, outcome())
    before = state(model)
    bad = X.assign(traffic=X["traffic"] - 0.5)
    with pytest.raises(ValueError, match=r"'lognormal' takes positive.*'traffic' holds -"):
        model.counterfactual(bad, outcome(), {"price": 0.0})
    assert state(model) == before


@pytest.mark.parametrize("unseen", ["error", "population"])
@pytest.mark.parametrize("groups", [None, ["dose"]])
def test_levels_never_seen(unseen, groups):
    """Refused by every question, unless there is a population to draw them from."""
    estimator = regressor(unseen_levels=unseen, groups=groups).fit(table(), outcome())
    before = state(estimator)
    X = with_value("dose", "lots", dtype="str")
    if unseen == "population" and groups is not None:
        assert np.isfinite(estimator.predict(X)).all()
        X = with_value("sex", "x", dtype="str")  # the other column is no group
    message = "unknown level.*in column '(dose|sex)'"
    if unseen == "population":
        message += r".*no groups of the equation of 'y'.*give groups=\['(dose|sex)'\]"
    for ask in ASK.values():
        with pytest.raises(ValueError, match=message):
            ask(estimator, X)
    with pytest.raises(ValueError, match=message):
        estimator.intervene(X.assign(price=0.0), {"traffic": 1.0})
    assert state(estimator) == before
