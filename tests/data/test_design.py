"""Columns to numbers and back, and numbers to the design matrix."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectFromModel, SelectKBest, f_regression
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from interventional.data.design import TransformedDesign, TreatmentCoding, make_design
from interventional.data.schema import Schema

NUMBERS = {
    "float": [1.5, -2.0, 0.0],
    "float32": np.array([1.5, -2.0, 0.0], dtype="float32"),
    "int": [3, -1, 2],
    "uint8": np.array([3, 255, 0], dtype="uint8"),
    "bool": [True, False, True],
    "nullable int": pd.array([3, -1, 2], dtype="Int64"),
    "nullable float": pd.array([1.5, -2.0, 0.0], dtype="Float64"),
    "nullable bool": pd.array([True, False, True], dtype="boolean"),
    "Arrow int": pd.array([3, -1, 2], dtype="int64[pyarrow]"),
    "Arrow float": pd.array([1.5, -2.0, 0.0], dtype="double[pyarrow]"),
    "Arrow bool": pd.array([True, False, True], dtype="bool[pyarrow]"),
    "object numbers": np.array([1, 2.5, True], dtype=object),
}

LEVELS = {
    "category of strings": (pd.Categorical(["v", "u", "v"]), ["u", "v"]),
    "category in its own order": (
        pd.Categorical(["low", "high", "mid"], categories=["low", "mid", "high"], ordered=True),
        ["low", "mid", "high"],
    ),
    "category of numbers": (pd.Categorical([20, 10, 20]), [10, 20]),
    "unused category": (pd.Categorical(["v", "u", "v"], categories=["t", "u", "v"]), ["u", "v"]),
    "object": (np.array(["v", "u", "v"], dtype=object), ["u", "v"]),
    "string": (pd.array(["v", "u", "v"], dtype="str"), ["u", "v"]),
    "nullable string": (pd.array(["v", "u", "v"], dtype="string"), ["u", "v"]),
    "Arrow string": (pd.array(["v", "u", "v"], dtype="string[pyarrow]"), ["u", "v"]),
    "Arrow string type": (
        pd.Series(["v", "u", "v"]).astype(pd.ArrowDtype(pa.string())),
        ["u", "v"],
    ),
}


class TestNumbers:
    """Numbers and bools, whatever holds them, enter as they are."""

    @pytest.mark.parametrize("name", NUMBERS)
    def test_encode(self, name):
        X = pd.DataFrame({"a": NUMBERS[name], "b": [0.5, 1.0, 2.0]})
        schema = Schema.of(X)
        truth = [[float(a), b] for a, b in zip(NUMBERS[name], X["b"], strict=True)]
        assert schema.levels == (None, None)
        values = schema.encode(X)
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, truth)
        assert TreatmentCoding(schema).terms == ("a", "b")
        np.testing.assert_array_equal(TreatmentCoding(schema).matrix(values), truth)

    @pytest.mark.parametrize("name", NUMBERS)
    def test_beside_levels(self, name):
        """Encoded column by column, they are the same numbers."""
        X = pd.DataFrame({"a": NUMBERS[name], "b": ["u", "v", "u"]})
        schema = Schema.of(X)
        truth = [[float(a), b] for a, b in zip(NUMBERS[name], [0, 1, 0], strict=True)]
        np.testing.assert_array_equal(schema.encode(X), truth)

    def test_array(self):
        values = np.arange(6).reshape(3, 2)
        schema = Schema.of(values)
        assert schema.names == ("x0", "x1")
        assert schema.labels is None
        np.testing.assert_array_equal(schema.encode(values), values)
        np.testing.assert_array_equal(schema.decode(values.astype(float)), values)

    @pytest.mark.parametrize(
        ("values", "what"),
        [
            ([1.0, np.nan, 2.0], "NaN: column 'b', row 1"),
            ([1.0, 2.0, np.inf], "infinity: column 'b', row 2"),
            ([-np.inf, 2.0, 3.0], "infinity: column 'b', row 0"),
            (pd.array([1, 2, None], dtype="Int64"), "NaN: column 'b', row 2"),
            (pd.array([1.0, None, 2.0], dtype="double[pyarrow]"), "NaN: column 'b', row 1"),
            (np.array([1, 2.0, np.nan], dtype=object), "NaN: column 'b', row 2"),
        ],
    )
    def test_not_finite(self, values, what):
        good = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]})
        with pytest.raises(ValueError, match=f"Input X contains {what}"):
            Schema.of(good).encode(good.assign(b=values))

    def test_infinities_of_both_signs(self):
        """Their sum is no infinity, and they are found."""
        X = pd.DataFrame({"a": [np.inf, -np.inf]})
        with pytest.raises(ValueError, match="infinity: column 'a', row 0"):
            Schema.of(pd.DataFrame({"a": [1.0, 2.0]})).encode(X)

    def test_sizes(self):
        """Numbers whose squares are no numbers are refused; others are not, whatever their sum."""
        X = pd.DataFrame({"a": [9e49] * 200})
        np.testing.assert_array_equal(Schema.of(X).encode(X)[:, 0], X["a"])
        X.loc[7, "a"] = -1.5e308
        with pytest.raises(ValueError, match=r"-1.5e\+308 in column 'a', row 7.*1e\+50 in size"):
            Schema.of(X).encode(X)

    @pytest.mark.parametrize("values", [["u", "v", "w"], np.array([1, "v", 2.0], dtype=object)])
    def test_strings_for_a_column_of_numbers(self, values):
        schema = Schema.of(pd.DataFrame({"a": [1.0, 2.0, 3.0]}))
        culprit = values[0] if isinstance(values[0], str) else "v"
        with pytest.raises(TypeError, match=f"column 'a' of X takes numbers, got '{culprit}'"):
            schema.encode(pd.DataFrame({"a": values}))


class TestLevels:
    """Categories, objects and strings are levels; the first is what the others are against."""

    @pytest.mark.parametrize("name", LEVELS)
    def test_encode_and_decode(self, name):
        column, levels = LEVELS[name]
        X = pd.DataFrame({"a": column, "b": [1.0, 2.0, 3.0]})
        schema = Schema.of(X)
        assert list(schema.levels[0]) == levels
        values = schema.encode(X)
        codes = [levels.index(value) for value in column]
        np.testing.assert_array_equal(values[:, 0], codes)
        back = schema.decode(values)
        assert list(back["a"]) == list(column)
        np.testing.assert_array_equal(back["b"], X["b"])

    @pytest.mark.parametrize(
        "name",
        ["category of strings", "category of numbers", "object", "string", "nullable string"],
    )
    def test_decode_keeps_the_dtype(self, name):
        X = pd.DataFrame({"a": LEVELS[name][0]})
        schema = Schema.of(X)
        assert schema.decode(schema.encode(X))["a"].dtype == X["a"].dtype

    @pytest.mark.parametrize("name", LEVELS)
    def test_treatment_coding(self, name):
        """A column of zeros and ones for every level but the first, named after it."""
        column, levels = LEVELS[name]
        X = pd.DataFrame({"b": [1.0, 2.0, 3.0], "a": column})
        schema = Schema.of(X)
        design = TreatmentCoding(schema)
        assert design.terms == ("b", *(f"a[{level}]" for level in levels[1:]))
        dummies = [[float(value == level) for level in levels[1:]] for value in column]
        truth = np.column_stack([X["b"], dummies])
        np.testing.assert_array_equal(design.matrix(schema.encode(X)), truth)

    def test_name_of_a_number_as_level(self):
        X = pd.DataFrame({"sex": pd.Categorical([0, 1, 1])})
        assert TreatmentCoding(Schema.of(X)).terms == ("sex[1]",)

    def test_lone_level_makes_no_term(self):
        X = pd.DataFrame({"a": ["u", "u"]})
        design = TreatmentCoding(Schema.of(X))
        assert design.terms == ()
        assert design.matrix(Schema.of(X).encode(X)).shape == (2, 0)

    def test_other_dtype_at_prediction(self):
        """What counts are the levels, not what holds them, nor which of them occur."""
        schema = Schema.of(pd.DataFrame({"a": pd.Categorical(["u", "v", "w"])}))
        rows = pd.DataFrame({"a": np.array(["w", "u"], dtype=object)})
        np.testing.assert_array_equal(schema.encode(rows)[:, 0], [2, 0])

    @pytest.mark.parametrize("name", ["object", "string", "category of strings"])
    def test_unknown_level(self, name):
        schema = Schema.of(pd.DataFrame({"a": LEVELS[name][0]}))
        with pytest.raises(ValueError, match="level in column 'a' of X: 'x'; Known: 'u', 'v'"):
            schema.encode(pd.DataFrame({"a": ["u", "x"]}))

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
    def test_missing_level(self, missing):
        schema = Schema.of(pd.DataFrame({"a": ["u", "v"]}))
        rows = pd.DataFrame({"a": np.array(["u", missing], dtype=object)})
        with pytest.raises(ValueError, match="X contains NaN in column 'a', row 1"):
            schema.encode(rows)

    def test_array_for_levels(self):
        schema = Schema.of(pd.DataFrame({"a": ["u", "v"]}))
        with pytest.raises(TypeError, match=r"X must be a DataFrame.*levels in column 'a'"):
            schema.encode(np.array([[0.0], [1.0]]))


class TestSchema:
    @pytest.mark.parametrize(
        "column",
        [
            pd.to_datetime(["2020-01-01", "2020-01-02"]),
            pd.to_timedelta([1, 2], unit="D"),
            np.array([1, "u"], dtype=object),
            np.array([(1,), (2,)], dtype=[("f", "i4")]).tolist(),
        ],
        ids=["dates", "durations", "numbers and strings", "tuples"],
    )
    def test_columns_of_something_else(self, column):
        X = pd.DataFrame({"when": pd.Series(list(column))})
        with pytest.raises(TypeError, match=r"column 'when' of X (has dtype|holds)"):
            Schema.of(X)

    def test_complex_numbers(self):
        with pytest.raises(ValueError, match="Complex data not supported: column 'a'"):
            Schema.of(pd.DataFrame({"a": [1j, 2.0]}))

    def test_repeated_name(self):
        X = pd.DataFrame(np.zeros((2, 3)), columns=["a", "b", "a"])
        with pytest.raises(ValueError, match="more than one column named 'a'"):
            Schema.of(X)

    def test_labels_that_are_no_strings(self):
        """The model needs names; the user goes on calling the columns by their labels."""
        X = pd.DataFrame(np.zeros((2, 2)), columns=[2020, 2021])
        schema = Schema.of(X)
        assert schema.names == ("x0", "x1")
        assert schema.position(2021) == 1
        assert list(schema.decode(schema.encode(X)).columns) == [2020, 2021]

    def test_position(self):
        schema = Schema.of(pd.DataFrame(np.zeros((2, 2)), columns=["price", "traffic"]))
        assert schema.position("traffic") == 1
        with pytest.raises(ValueError, match="'prise'; did you mean 'price'"):
            schema.position("prise")
        with pytest.raises(ValueError, match="unknown column 1"):
            schema.position(1)

    def test_position_in_an_array(self):
        schema = Schema.of(np.zeros((2, 3)))
        assert schema.position(2) == schema.position(np.int64(2)) == schema.position("x2") == 2
        for stray in (3, -1, True, "x3", 1.0):
            with pytest.raises(ValueError, match="unknown column"):
                schema.position(stray)


class FunctionTransformerOfY(TransformerMixin, BaseEstimator):
    """Needs y to be fitted, and does not say so in its tags."""

    def fit(self, X, y=None):
        if y is None:
            raise RuntimeError("where is it?")
        return self

    def transform(self, X):
        return np.ones((len(X), 1))


class DropsRows(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X)[::2]


def spoiled(value):
    def spoil(X):
        made = np.array(X, dtype=float)
        made[0, 0] = value
        return made

    return FunctionTransformer(spoil)


class TestTransformedDesign:
    """Any scikit-learn transformer as a design: what it makes is the matrix."""

    @staticmethod
    def table(n=50):
        rng = np.random.default_rng(0)
        X = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
        return X.assign(c=rng.choice(["u", "v", "w"], size=n))

    def made(self, transformer, X):
        schema = Schema.of(X)
        values = schema.encode(X)
        return make_design(schema, transformer, values), values

    @pytest.mark.parametrize(
        "transformer",
        [
            PolynomialFeatures(3, include_bias=False),
            SplineTransformer(n_knots=4),
            make_pipeline(StandardScaler(), PolynomialFeatures(2)),
        ],
        ids=lambda t: type(t).__name__,
    )
    def test_matrix_is_what_the_transformer_makes(self, transformer):
        X = self.table()[["a", "b"]]
        design, values = self.made(transformer, X)
        truth = transformer.fit(X)
        np.testing.assert_array_equal(design.matrix(values), truth.transform(X))
        assert design.terms == tuple(truth.get_feature_names_out())
        few = X.iloc[:3] + 0.1  # as it was fitted, not fitted again
        np.testing.assert_array_equal(design.matrix(few.to_numpy()), truth.transform(few))

    def test_levels_reach_the_transformer_as_levels(self):
        X = self.table()
        encoder = ColumnTransformer(
            [("c", OneHotEncoder(sparse_output=True), ["c"])],
            remainder="passthrough",
            sparse_threshold=1.0,
        )
        design, values = self.made(encoder, X)
        dummies = np.column_stack([X["c"] == level for level in "uvw"])
        truth = np.column_stack([dummies, X[["a", "b"]]]).astype(float)
        np.testing.assert_array_equal(design.matrix(values), truth)
        assert design.terms == ("c__c_u", "c__c_v", "c__c_w", "remainder__a", "remainder__b")

    def test_the_users_transformer_is_not_fitted(self):
        transformer = StandardScaler()
        self.made(transformer, self.table()[["a", "b"]])
        assert not hasattr(transformer, "mean_")

    def test_transformer_without_names(self):
        design, _ = self.made(FunctionTransformer(np.exp), self.table()[["a", "b"]])
        assert design.terms == ("design0", "design1")

    @pytest.mark.parametrize(
        ("transformer", "error", "message"),
        [
            (DropsRows(), ValueError, r"shape \(25, 2\) from 50 rows"),
            (spoiled(np.nan), ValueError, r"returned nan in column .*, row 0"),
            (spoiled(np.inf), ValueError, r"returned inf in column .*, row 0"),
            (FunctionTransformer(lambda X: np.asarray(X)[:, 0]), ValueError, "two dimensions"),
            (FunctionTransformer(lambda X: np.asarray(X)[:, :0]), ValueError, "makes no columns"),
            (
                FunctionTransformer(lambda X: np.full(np.shape(X), "u")),
                TypeError,
                "must return numbers",
            ),
            (TargetEncoder(), ValueError, "needs y to be fitted"),
            (object(), TypeError, "must be a scikit-learn transformer"),
        ],
        ids=[
            "rows",
            "NaN",
            "infinity",
            "vector",
            "nothing",
            "strings",
            "needs y",
            "no transformer",
        ],
    )
    def test_refused(self, transformer, error, message):
        X = self.table()[["a", "b"]]
        with pytest.raises(error, match=message):
            self.made(transformer, X)[0].matrix(X.to_numpy())

    def test_width_that_changes(self):
        """As many columns as rows: one when it was fitted, three later."""
        widen = FunctionTransformer(lambda X: np.ones((len(X), len(X))))
        design, values = self.made(widen, self.table()[["a", "b"]])
        with pytest.raises(ValueError, match="made 3 columns, 1 when it was fitted"):
            design.matrix(values[:3])

    def test_sources(self):
        """Which columns each term moves with, read off the terms' formulas."""
        X = self.table()[["a", "b"]].assign(d=np.linspace(-1, 1, 50))
        design, values = self.made(PolynomialFeatures(2, include_bias=True), X)
        found = dict(zip(design.terms, design.sources(values), strict=True))
        assert found == {
            "1": set(),
            "a": {0},
            "b": {1},
            "d": {2},
            "a^2": {0},
            "a b": {0, 1},
            "a d": {0, 2},
            "b^2": {1},
            "b d": {1, 2},
            "d^2": {2},
        }

    def test_sources_of_a_rare_level(self):
        """One row among thousands has the level: its term is found all the same."""
        n = 5_000
        X = pd.DataFrame({"a": np.arange(n) / n, "c": ["u"] * n})
        X.loc[1_234, "c"] = "w"
        encoder = ColumnTransformer(
            [("c", OneHotEncoder(drop="first"), ["c"]), ("a", "passthrough", ["a"])]
        )
        design, values = self.made(encoder, X)
        assert design.sources(values) == [{1}, {0}]

    def test_sources_of_treatment_coding(self):
        X = self.table()
        schema = Schema.of(X)
        assert TreatmentCoding(schema).sources(schema.encode(X)) == [{0}, {1}, {2}, {2}]

    def test_make_design(self):
        """Without a transformer by dtype, with one as it says."""
        X = self.table()[["a", "b"]]
        schema = Schema.of(X)
        assert isinstance(make_design(schema, None, schema.encode(X)), TreatmentCoding)
        made = make_design(schema, StandardScaler(), schema.encode(X))
        assert isinstance(made, TransformedDesign)


SUPERVISED = {
    "alone": TargetEncoder(),
    "in a ColumnTransformer": make_column_transformer((TargetEncoder(), ["c"])),
    "as its remainder": ColumnTransformer(
        [("a", "passthrough", ["a"])], remainder=TargetEncoder()
    ),
    "in a pipeline": make_pipeline(OneHotEncoder(), SelectKBest(f_regression, k=1)),
    "in a union": make_union(OneHotEncoder(), TargetEncoder()),
    "deep inside": make_pipeline(
        make_union(make_column_transformer((make_pipeline(TargetEncoder()), ["c"]))), "passthrough"
    ),
    "of classes": make_pipeline(OneHotEncoder(), LinearDiscriminantAnalysis()),
    "by the estimator inside": make_pipeline(OneHotEncoder(), SelectFromModel(Ridge())),
    "that says nothing of it": FunctionTransformerOfY(),
}


class TestWhatADesignCannotDo:
    X = pd.DataFrame({"a": np.linspace(0, 1, 40), "c": list("pqrs") * 10})

    def made(self, transformer, X=None):
        X = self.X if X is None else X
        schema = Schema.of(X)
        return TransformedDesign(schema, transformer, schema.encode(X))

    @pytest.mark.parametrize("transformer", SUPERVISED.values(), ids=SUPERVISED)
    def test_needs_y(self, transformer):
        with pytest.raises(ValueError, match=r"(?s)^design=.* needs y to be fitted; a design may"):
            self.made(transformer, self.X[["c"]] if "remainder" not in repr(transformer) else None)

    def test_the_part_that_needs_y_is_named(self):
        with pytest.raises(
            ValueError, match=r"(?s)design=Pipeline.*holds TargetEncoder\(\), which"
        ):
            self.made(make_pipeline(TargetEncoder(), StandardScaler()))

    def test_an_estimator_inside_that_gets_its_own_y(self):
        """An imputer regresses columns on each other: it needs no outcome."""
        rows = self.X[["a"]].assign(b=self.X["a"] ** 2)
        imputer = IterativeImputer(BayesianRidge())
        assert self.made(make_pipeline(imputer, StandardScaler()), rows).terms == ("a", "b")

    @pytest.mark.parametrize(
        "transformer",
        [
            PolynomialFeatures(interaction_only=True, include_bias=False),
            make_pipeline(StandardScaler(), SplineTransformer()),
            make_column_transformer((StandardScaler(), ["a", "c"])),
        ],
    )
    def test_text_that_is_not_encoded(self, transformer):
        with pytest.raises(
            TypeError,
            match=r"(?s)^design=.* takes numbers, and column 'c' holds levels: .*'p'.*OneHot",
        ):
            self.made(transformer)

    def test_the_column_that_is_not_encoded_of_several(self):
        rows = self.X.assign(d=self.X["c"], e=self.X["c"])
        scaled = make_column_transformer((OneHotEncoder(), ["c"]), (StandardScaler(), ["d", "e"]))
        with pytest.raises(TypeError, match=r"(?s)column 'd', 'e' holds levels"):
            self.made(scaled, rows)

    def test_text_that_is_passed_on(self):
        passed = make_column_transformer((StandardScaler(), ["a"]), remainder="passthrough")
        with pytest.raises(
            TypeError, match=r"(?s)return numbers.*leaves text in column 'remainder__c'"
        ):
            self.made(passed)

    def test_other_failures_say_whose_they_are(self):
        with pytest.raises(ValueError, match="n_components=7") as raised:
            self.made(PCA(7), self.X[["a"]])
        assert "design=PCA(n_components=7) raised" in raised.value.__notes__[0]
