"""Bad input gets an error that names it, and leaves the estimator as it was."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, TargetEncoder

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
    "sparse": (scipy.sparse.eye(N, format="csr"), outcome(), TypeError, "[Ss]parse"),
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
    "column missing": (table().drop(columns="traffic"), ValueError, "traffic"),
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
    """A column to force: the array's second, or the table's price."""
    return 1 if getattr(model, "n_features_in_", 4) == 2 else "price"


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
    "NaN": (np.full((N, 2), np.nan), ValueError, "NaN.*'x0', row 0"),
    "strings": ([["a", "b"]] * N, ValueError, "'a'"),
    "complex": (np.ones((N, 2)) * 1j, ValueError, "Complex"),
    "one row alone": (np.ones(2), ValueError, "2D array"),
    "sparse": (scipy.sparse.eye(N, 2, format="csr"), TypeError, "[Ss]parse"),
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
    message = "PolynomialFeatures.*inf.*'price.2'"
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
        square.intervene(X, {"price": 1e200})


def test_a_failed_question_does_not_spoil_the_next(model):
    """After errors the answers are as before."""
    expected = model.intervene(table(), {"price": 1, "sex": "m"}).mean()
    for do, error, _ in DO.values():
        with pytest.raises(error):
            model.intervene(table(), do)
    np.testing.assert_array_equal(
        model.intervene(table(), {"price": 1, "sex": "m"}).mean(), expected
    )
