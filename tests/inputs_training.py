"""Odd inputs of `fit`, `partial_fit` and `build_model`: columns, their names, outcomes, weights."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from inputs_common import LETTERS, POSITIONS, A, Bench, Case, N, Y, frame, named, right, wrong

LEVELS = pd.Series(LETTERS)
INTEGERS = np.round(A * 10).astype("int64")
HALVES = A.astype("float16")


def arrow(values, kind):
    return pd.array(values, dtype=pd.ArrowDtype(kind))


def polars(**columns):
    """The plain frame in polars, some columns replaced."""
    return pl.from_pandas(frame()).with_columns(**columns)


def table(**columns):
    """The plain frame in pyarrow, some columns replaced."""
    plain = pa.Table.from_pandas(frame(), preserve_index=False)
    for name, values in columns.items():
        plain = plain.set_column(plain.column_names.index(name), name, values)
    return plain


def locked(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def without(array, row=3):
    """The same list, one of whose values is missing."""
    return [None if k == row else v for k, v in enumerate(np.asarray(array).tolist())]


# X, the plain X
CONTAINERS = {
    "float32": ((A.astype("float32"),), (A.astype("float32").astype(float),)),
    "float16": ((HALVES,), (HALVES.astype(float),)),
    "float16 columns": ((frame().astype("float16"),), (pd.DataFrame(HALVES.astype(float), columns=["price", "traffic"]),)),
    "longdouble": ((A.astype(np.longdouble),), (A,)),
    "longdouble columns": ((frame().astype(np.longdouble),), (frame(),)),
    "big-endian": ((A.astype(">f8"),), (A,)),
    "big-endian integers": ((INTEGERS.astype(">i4"),), (INTEGERS.astype(float),)),
    "big-endian columns": ((frame(price=A[:, 0].astype(">f8")),), (frame(),)),
    "int8": ((INTEGERS.astype("int8"),), (INTEGERS.astype(float),)),
    "uint8": ((np.abs(INTEGERS).astype("uint8"),), (np.abs(INTEGERS).astype(float),)),
    "uint64 columns": ((frame(price=np.abs(INTEGERS[:, 0]).astype("uint64")),), (frame(price=np.abs(INTEGERS[:, 0]).astype(float)),)),
    "bool array": ((A > 0,), ((A > 0).astype(float),)),
    "objects": ((A.astype(object),), (A,)),
    "object columns": ((frame().astype(object),), (frame(),)),
    "Decimal objects": ((frame().map(Decimal),), (frame(),)),
    "Fraction objects": ((frame().map(Fraction),), (frame(),)),
    "huge whole numbers as objects": ((frame(price=[int(v) << 70 for v in INTEGERS[:, 0]]),), (frame(price=INTEGERS[:, 0] * 2.0**70),)),
    "Fortran order": ((np.asfortranarray(A),), (A,)),
    "transposed": ((A.T.copy().T,), (A,)),
    "every other row of more": ((np.repeat(A, 2, axis=0)[::2],), (A,)),
    "reversed strides": ((A[::-1].copy()[::-1],), (A,)),
    "read-only": ((locked(A),), (A,)),
    "read-only columns": ((pd.DataFrame(locked(A), columns=["price", "traffic"]),), (frame(),)),
    "lists": ((A.tolist(),), (A,)),
    "tuples": ((tuple(map(tuple, A)),), (A,)),
    "list of arrays": ((list(A),), (A,)),
    "masked array, nothing masked": ((np.ma.masked_array(A, mask=False),), (A,)),
    "nullable Float64": ((frame().astype("Float64"),), (frame(),)),
    "nullable Int64": ((frame(price=pd.array(INTEGERS[:, 0], dtype="Int64")),), (frame(price=INTEGERS[:, 0]),)),
    "nullable boolean": ((frame(price=pd.array(A[:, 0] > 0, dtype="boolean")),), (frame(price=A[:, 0] > 0),)),
    "nullable string": ((frame(price=LEVELS.astype("string")),), (frame(price=LETTERS),)),
    "Arrow double": ((frame().astype("double[pyarrow]"),), (frame(),)),
    "Arrow half": ((frame(price=arrow(HALVES[:, 0], pa.float16())),), (frame(price=HALVES[:, 0].astype(float)),)),
    "Arrow integers": ((frame(price=arrow(INTEGERS[:, 0], pa.int32())),), (frame(price=INTEGERS[:, 0]),)),
    "Arrow bools": ((frame(price=arrow(A[:, 0] > 0, pa.bool_())),), (frame(price=A[:, 0] > 0),)),
    "Arrow strings": ((frame(price=arrow(LETTERS, pa.string())),), (frame(price=LETTERS),)),
    "Arrow large strings": ((frame(price=arrow(LETTERS, pa.large_string())),), (frame(price=LETTERS),)),
    "Arrow decimals": ((frame(price=arrow([Decimal(int(v)) for v in INTEGERS[:, 0]], pa.decimal128(9, 2))),), (frame(price=INTEGERS[:, 0]),)),
    "sparse columns": ((frame().astype(pd.SparseDtype("float", 0.0)),), (frame(),)),
    "one sparse column": ((frame(price=pd.arrays.SparseArray(INTEGERS[:, 0])),), (frame(price=INTEGERS[:, 0]),)),
    "bools as objects": ((frame(price=(A[:, 0] > 0).astype(object)),), (frame(price=(A[:, 0] > 0).astype(float)),)),
    "strings as objects": ((frame(price=LEVELS.astype(object)),), (frame(price=LETTERS),)),
    "empty strings": ((frame(price=LEVELS.replace("a", "")),), (frame(price=LEVELS.replace("a", "A")),)),
    "strings of digits are levels": ((frame(price=LEVELS.map({"a": "1", "b": "2"})),), (frame(price=LETTERS),)),
    "categories that do not occur": ((frame(price=pd.Categorical(LETTERS, ["c", "a", "b"])),), (frame(price=pd.Categorical(LETTERS)),)),
    "ordered categories": ((frame(price=pd.Categorical(LETTERS, ordered=True)),), (frame(price=pd.Categorical(LETTERS)),)),
    "categories that are numbers": ((frame(price=pd.Categorical([1, 2] * 10)),), (frame(price=pd.Categorical(LETTERS)),)),
    "categories that are bools": ((frame(price=pd.Categorical([False, True] * 10)),), (frame(price=pd.Categorical(LETTERS)),)),
    "categories that are dates": ((frame(price=pd.Categorical(pd.to_datetime(["2020", "2021"] * 10))),), (frame(price=pd.Categorical(LETTERS)),)),
    "categories that are intervals": ((frame(price=pd.cut(POSITIONS % 2, [-1, 0, 1])),), (frame(price=pd.Categorical(LETTERS)),)),
    "categories that are tuples": ((frame(price=pd.Categorical(pd.Index([("a", 1), ("b", 2)] * 10, tupleize_cols=False))),), (frame(price=pd.Categorical(LETTERS)),)),
    "sparse matrix": ((sp.csr_matrix(INTEGERS),), (INTEGERS.astype(float),)),
    "sparse array": ((sp.coo_array(INTEGERS),), (INTEGERS.astype(float),)),
    "sparse bools": ((sp.csc_array(A > 0),), ((A > 0).astype(float),)),
    "sparse by diagonals": ((sp.dia_array(INTEGERS),), (INTEGERS.astype(float),)),
    "tiny numbers": ((A * [1e-45, 1],), (A * [2.0**-20, 1],)),
    "large numbers": ((A * [1e45, 1],), (A * [2.0**20, 1],)),
}  # fmt: skip

SIZES = ["b", "a"]
IN_ORDER = frame(price=pd.Categorical(LETTERS, SIZES))
# frames of other packages, the plain X
FRAMES = {
    "polars": ((polars(),), (frame(),)),
    "polars float32": ((polars().cast(pl.Float32),), (frame().astype("float32"),)),
    "polars integers": ((polars(price=pl.Series(INTEGERS[:, 0], dtype=pl.Int16)),), (frame(price=INTEGERS[:, 0]),)),
    "polars wide integers": ((polars(price=pl.Series(INTEGERS[:, 0], dtype=pl.Int128)),), (frame(price=INTEGERS[:, 0]),)),
    "polars Decimal": ((polars(price=pl.Series([Decimal(int(v)) for v in INTEGERS[:, 0]])),), (frame(price=INTEGERS[:, 0]),)),
    "polars bools": ((polars(price=pl.Series(A[:, 0] > 0)),), (frame(price=A[:, 0] > 0),)),
    "polars strings": ((polars(price=pl.Series(LETTERS)),), (frame(price=LETTERS),)),
    "polars Categorical": ((polars(price=pl.Series(LETTERS, dtype=pl.Categorical)),), (frame(price=pd.Categorical(LETTERS)),)),
    "polars Enum": ((polars(price=pl.Series(LETTERS, dtype=pl.Enum(SIZES))),), (IN_ORDER,)),
    "polars in pieces": ((pl.concat([polars()[:7], polars()[7:]], rechunk=False),), (frame(),)),
    "pyarrow": ((table(),), (frame(),)),
    "pyarrow integers": ((table(price=pa.array(INTEGERS[:, 0], pa.int16())),), (frame(price=INTEGERS[:, 0]),)),
    "pyarrow bools": ((table(price=pa.array(A[:, 0] > 0)),), (frame(price=A[:, 0] > 0),)),
    "pyarrow strings": ((table(price=pa.array(LETTERS)),), (frame(price=LETTERS),)),
    "pyarrow dictionary": ((table(price=pa.DictionaryArray.from_arrays(pa.array([1, 0] * 10), SIZES)),), (IN_ORDER,)),
    "pyarrow in pieces": ((pa.concat_tables([table()[:7], table()[7:]]),), (frame(),)),
}  # fmt: skip
NO_FRAMES = {
    "a lazy frame": (polars().lazy(), TypeError, "LazyFrame.*collect"),
    "a record batch": (table().to_batches()[0], TypeError, r"RecordBatch.*Table.from_batches"),
    "a name twice": (table().rename_columns(["a", "a"]), ValueError, "more than one column.*'a'"),
    "a polars Series": (pl.Series(Y), ValueError, "2D array"),
    "an Arrow array": (pa.array(Y), ValueError, "2D array"),
    "polars without rows": (polars()[:0], ValueError, r"0 sample\(s\)"),
    "pyarrow without columns": (table().select([]), ValueError, r"0 (sample|feature)\(s\)"),
    "polars null": (polars(price=pl.Series(without(Y))), ValueError, "NaN.*'price', row 3"),
    "polars NaN": (polars(price=pl.Series(np.where(POSITIONS == 3, np.nan, Y))), ValueError, "NaN.*'price', row 3"),
    "polars null string": (polars(price=pl.Series(without(LETTERS))), ValueError, "NaN.*'price', row 3"),
    "polars null bool": (polars(price=pl.Series(without(Y > 0))), ValueError, "NaN.*'price', row 3"),
    "polars nulls alone": (polars(price=pl.lit(None)), ValueError, "NaN.*'price', row 0"),
    "pyarrow null": (table(price=pa.array(without(Y))), ValueError, "NaN.*'price', row 3"),
    "pyarrow null string": (table(price=pa.array(without(LETTERS))), ValueError, "NaN.*'price', row 3"),
    "pyarrow null bool": (table(price=pa.array(without(Y > 0))), ValueError, "NaN.*'price', row 3"),
    "polars dates": (polars(price=pl.lit(date(2020, 1, 1))), TypeError, "'price'.*datetime64"),
    "polars durations": (polars(price=pl.duration(days=1)), TypeError, "'price'.*timedelta64"),
    "polars lists": (polars(price=pl.Series([[1.0]] * N)), TypeError, r"'price' of X holds \[1.0\]"),
    "polars structs": (polars(price=pl.struct("traffic")), TypeError, "'price' of X holds {'traffic'"),
    "polars bytes": (polars(price=pl.lit(b"a")), TypeError, "'price' of X holds b'a'"),
    "pyarrow dates": (table(price=pa.array([date(2020, 1, 1)] * N)), TypeError, "'price' of X holds datetime.date"),
    "pyarrow times": (table(price=pa.array([pd.Timestamp("2020")] * N)), TypeError, "'price'.*datetime64"),
}  # fmt: skip

# X, error, what the message says
NO_TABLES = {
    "None": (None, ValueError, "2D array"),
    "a number": (3.0, ValueError, "2D array"),
    "text": ("abc", ValueError, "'abc'"),
    "a dict": ({"a": A[:, 0]}, TypeError, "'dict'"),
    "a set": ({1, 2}, TypeError, "'set'"),
    "a generator": ((row for row in A), TypeError, "'generator'"),
    "a Series": (frame()["price"], ValueError, "pandas.Series"),
    "one dimension": (A[:, 0], ValueError, "2D array"),
    "three dimensions": (A[None], ValueError, "dim 3"),
    "ragged lists": ([[1.0, 2.0]] * 19 + [[1.0]], ValueError, "inhomogeneous"),
    "a structured array": (np.zeros(N, [("a", float), ("b", float)]), TypeError, r"\('a', '<f8'\)"),
    "a recarray": (frame().to_records(), TypeError, "'price', '<f8'"),
    "sparse, too large to be dense": (sp.csr_array((N, 10**9)), ValueError, r"X is sparse, of shape \(20, 1000000000\).*160.0 GB"),
    "sparse, of complex numbers": (sp.csr_array((N, 2), dtype="complex128"), ValueError, "Complex"),
    "sparse NaN": (sp.csr_array(np.where(POSITIONS[:, None] == 4, np.nan, A)), ValueError, "NaN: column 'x0', row 4"),
    "complex": (A * 1j, ValueError, "Complex"),
    "array of strings": (np.array([["a", "b"]] * N), ValueError, "'a'"),
    "array of dates": (np.full((N, 2), np.datetime64("2020-01-01")), TypeError, "X takes numbers, got datetime64"),
    "list of durations": ([[np.timedelta64(1, "D")] * 2] * N, TypeError, "X takes numbers, got timedelta64"),
    "no rows": (A[:0], ValueError, r"0 sample\(s\)"),
    "no columns": (A[:, :0], ValueError, r"0 feature\(s\)"),
    "no columns of a frame": (frame()[[]], ValueError, r"0 feature\(s\)"),
    "masked": (np.ma.masked_array(A, mask=A > 1), ValueError, "X is a masked array"),
    "NaN": (np.where(POSITIONS[:, None] == 4, np.nan, A), ValueError, "NaN: column 'x0', row 4"),
    "infinity": (np.where(POSITIONS[:, None] == 4, np.inf, A), ValueError, "infinity: column 'x0', row 4"),
    "infinities of both signs": (A * [np.inf, 1], ValueError, "infinity: column 'x0', row 0"),
    "None among objects": (np.where(A > 1.5, None, A), ValueError, "NaN: column 'x0', row 1"),
    "1e300": (A * 1e300, ValueError, r"X holds -6.5\d*e\+299 in column 'x0', row 0.*other units"),
    "longdoubles beyond float64": (A.astype(np.longdouble) * np.longdouble(10) ** 400, ValueError, "infinity: column 'x0', row 0"),
    "whole numbers beyond float64": (np.full((N, 2), 10**400, dtype=object), ValueError, "X: int too large"),
    "1e-300": (A * 1e-300, ValueError, "'x0' spread by no more than .*e-300.*other units"),
    "denormal numbers": (A * [1e-310, 1], ValueError, "'x0' spread by no more than .*e-310"),
}  # fmt: skip

# the column price, error, what the message says
COLUMNS = {
    "all NaN": (np.nan, ValueError, "NaN.*'price', row 0"),
    "all None": (None, ValueError, "NaN.*'price', row 0"),
    "missing strings": (without(LETTERS), ValueError, "NaN.*'price', row 3"),
    "missing nullable strings": (pd.array(without(LETTERS), dtype="string"), ValueError, "NaN.*'price', row 3"),
    "missing Arrow strings": (arrow(without(LETTERS), pa.string()), ValueError, "NaN.*'price', row 3"),
    "missing categories": (pd.Categorical(without(LETTERS)), ValueError, "NaN.*'price', row 3"),
    "nothing but missing categories": (pd.Categorical([None] * N), ValueError, "NaN.*'price', row 0"),
    "missing nullable numbers": (pd.array(without(A[:, 0]), dtype="Float64"), ValueError, "NaN.*'price', row 3"),
    "missing nullable bools": (pd.array(without(A[:, 0] > 0), dtype="boolean"), ValueError, "NaN.*'price', row 3"),
    "missing Arrow numbers": (arrow(without(A[:, 0]), pa.float64()), ValueError, "NaN.*'price', row 3"),
    "missing Arrow bools": (arrow(without(A[:, 0] > 0), pa.bool_()), ValueError, "NaN.*'price', row 3"),
    "missing sparse numbers": (pd.arrays.SparseArray([1.0] * 10 + [np.nan] * 10), ValueError, "NaN.*'price', row 10"),
    "None among objects": (pd.Series(without(A[:, 0]), dtype=object), ValueError, "NaN: column 'price', row 3"),
    "NA among objects": (pd.Series([1.0, pd.NA] * 10, dtype=object), ValueError, "NaN: column 'price', row 1"),
    "None among bools": (pd.Series([True, None] * 10, dtype=object), ValueError, "NaN: column 'price', row 1"),
    "infinity": (np.where(POSITIONS == 3, -np.inf, 1), ValueError, "infinity: column 'price', row 3"),
    "1e300": (A[:, 0] * 1e300, ValueError, "X holds .* in column 'price', row 0"),
    "longdoubles beyond float64": (np.full(N, np.longdouble(10) ** 400), ValueError, "infinity: column 'price', row 0"),
    "whole numbers beyond float64": ([10**400] * N, ValueError, "column 'price' of X: int too large"),
    "dates": (pd.date_range("2020", periods=N), TypeError, "'price'.*datetime64"),
    "dates with a time zone": (pd.date_range("2020", periods=N, tz="UTC"), TypeError, "'price'.*datetime64.*UTC"),
    "Arrow dates": (arrow([pd.Timestamp("2020")] * N, pa.timestamp("ns")), TypeError, "'price'.*timestamp"),
    "date objects": ([date(2020, 1, 1)] * N, TypeError, r"'price' of X holds datetime.date\(2020"),
    "periods": (pd.period_range("2020", periods=N), TypeError, "'price'.*period"),
    "durations": (pd.timedelta_range("1D", periods=N), TypeError, "'price'.*timedelta64"),
    "Arrow durations": (arrow([pd.Timedelta(1)] * N, pa.duration("ns")), TypeError, "'price'.*duration"),
    "intervals": (pd.interval_range(0, N), TypeError, "'price'.*interval"),
    "complex": (A[:, 0] * 1j, ValueError, "Complex.*'price'"),
    "bytes": ([b"a", b"b"] * 10, TypeError, "'price' of X holds b'a'"),
    "strings beside numbers": (pd.Series(["a", 1] * 10, dtype=object), TypeError, "'price' of X holds 1 beside 'a'"),
    "numbers beside strings": (pd.Series([1, "a"] * 10, dtype=object), TypeError, "'price' of X holds 'a'"),
    "lists": ([[1]] * N, TypeError, r"'price' of X holds \[1\]"),
    "dicts": ([{"a": 1}] * N, TypeError, "'price' of X holds {'a': 1}"),
    "arrays": (pd.Series([np.array(1.0)] * N, dtype=object), TypeError, r"'price' of X holds array\(1"),
    "NaT": (pd.Series([pd.NaT, date(2020, 1, 1)] * 10, dtype=object), TypeError, "'price' of X holds datetime.date"),
    "Arrow dictionary": (arrow(LETTERS.tolist(), pa.dictionary(pa.int8(), pa.string())), TypeError, "'price'.*dictionary"),
    "Arrow nulls": (arrow([None] * N, pa.null()), TypeError, "'price'.*null"),
    "Arrow lists": (arrow([[1]] * N, pa.list_(pa.int64())), TypeError, "'price'.*list"),
}  # fmt: skip

# names that mean something to the model, to PyMC, to formulas or to strings: all are but names
NAMES = [
    "beta", "intercept", "sigma", "mu", "x1", "data", "term", "normal", "posterior", "y_data", "Y",
    "index", "", "with space", "line\nbreak", "ünïcode 日本 🙂", "a[b]", "x__y", "a <-> b; c",
    '"back\\slash"', "{x} %s $x^2$", "0", "None", "__import__('os').abort()", "lambda", "n" * 300,
]  # fmt: skip
TAKEN = ["chain", "draw", "obs", "y_mu", "y_beta", "y_sigma", "y_intercept", "y_term"]
LABELS = {
    "whole numbers": (0, 1),
    "negative numbers": (-2, -1),
    "fractions": (0.5, 1.5),
    "tuples": (("a", 1), ("a", 2)),
    "dates": (pd.Timestamp("2020"), pd.Timestamp("2021")),
    "bools": (True, False),
    "bytes": (b"a", b"b"),
    "frozen sets": (frozenset("a"), frozenset("b")),
}


def whatever_its_name(bench: Bench, X, graph=None, by=None):
    """Ask all that has to do with names."""
    model = bench.fit(X, graph=graph)
    first, second = X.columns
    outcomes = model.intervene(X, {second: 0.5})
    assert len(model.build_model(X, Y).named_vars) > 5
    model.log_likelihood(X, Y)
    outcomes.to_datatree()
    outcomes.summary()
    model.simulate(X, {}, 0)
    last = model.counterfactual(X, Y, {second: lambda X: X[first]})
    groups = outcomes.average(by=second if by is None else by)
    return np.concatenate([model.predict(X), outcomes.mean(), last.mean(), groups.mean()])


@cache
def plainly(bench):
    return whatever_its_name(bench, frame())


@cache
def by_group(bench):
    return whatever_its_name(bench, frame(), by=np.round(A[:, 0]))


INDEXES = {
    "repeated": [0] * N,
    "in another order": POSITIONS[::-1],
    "strings": list("abcdefghijklmnopqrst"),
    "dates": pd.date_range("2020", periods=N),
    "dates with a time zone": pd.date_range("2020", periods=N, tz="UTC"),
    "durations": pd.timedelta_range("1D", periods=N),
    "periods": pd.period_range("2020", periods=N),
    "intervals": pd.interval_range(0, N),
    "categories": pd.CategoricalIndex(list("abcdefghijklmnopqrst")),
    "nullable": pd.Index(POSITIONS, dtype="Int64"),
    "Arrow": pd.Index(POSITIONS, dtype="int64[pyarrow]"),
    "with NaN": [np.nan, *range(1, N)],
    "with None": [None, *range(1, N)],
    "of mixed types": ["a", *range(1, N)],
    "tuples": pd.Index([(k, k) for k in range(N)], tupleize_cols=False),
    "a MultiIndex": pd.MultiIndex.from_product([[1, 2], range(10)], names=["g", "i"]),
    "a MultiIndex without names": pd.MultiIndex.from_product([["a", "b"], range(10)]),
    "named obs": pd.RangeIndex(N, name="obs"),
    "named draw": pd.RangeIndex(N, name="draw"),
    "named like a column": pd.RangeIndex(N, name="price"),
}

# y, the plain y
OUTCOMES = {
    "list": (Y.tolist(), Y),
    "tuple": (tuple(Y), Y),
    "Series with the labels of other rows": (pd.Series(Y, index=range(100, 100 + N)), Y),
    "Index": (pd.Index(Y), Y),
    "read-only": (locked(Y), Y),
    "not contiguous": (np.column_stack([Y, Y])[:, 0], Y),
    "reversed strides": (Y[::-1].copy()[::-1], Y),
    "big-endian": (Y.astype(">f8"), Y),
    "float16": (Y.astype("float16"), Y.astype("float16").astype(float)),
    "longdouble": (Y.astype(np.longdouble), Y),
    "uint8, whose differences would overflow": ((Y * 10 + 100).astype("uint8"), np.trunc(Y * 10 + 100)),
    "int8": ((Y * 20).astype("int8"), np.trunc(Y * 20)),
    "bools": (Y > 0, (Y > 0).astype(float)),
    "objects": (Y.astype(object), Y),
    "Decimal objects": ([Decimal(v) for v in Y], Y),
    "numbers as text": ([repr(float(v)) for v in Y], Y),
    "nullable": (pd.Series(Y, dtype="Float64"), Y),
    "Arrow": (pd.Series(Y, dtype="double[pyarrow]"), Y),
    "categories that are numbers": (pd.Categorical([1, 2] * 10), np.array([1.0, 2.0] * 10)),
    "masked array, nothing masked": (np.ma.masked_array(Y, mask=False), Y),
    "polars Series": (pl.Series(Y), Y),
    "polars Decimals": (pl.Series([Decimal(round(v)) for v in Y]), np.round(Y)),
    "polars bools": (pl.Series(Y > 0), (Y > 0).astype(float)),
    "Arrow array": (pa.array(Y), Y),
    "Arrow array in pieces": (pa.chunked_array([Y[:5], Y[5:]]), Y),
}  # fmt: skip

# y, error, what the message says
NO_OUTCOMES = {
    "a number": (1.0, ValueError, r"1d array, got an array of shape \(\)"),
    "text": ("y", ValueError, "1d array"),
    "a dict": ({0: 1.0}, ValueError, "1d array"),
    "empty": ([], ValueError, r"0 sample\(s\)|inconsistent"),
    "too short": (Y[1:], ValueError, r"inconsistent.*(\[20, 19\]|\[19, 20\])"),
    "a row": (Y[None], ValueError, r"\(1, 20\)"),
    "two columns": (np.ones((N, 2)), ValueError, r"\(20, 2\)"),
    "three dimensions": (Y[:, None, None], ValueError, "dim 3"),
    "sparse": (sp.csr_array(Y[:, None]), TypeError, "[Ss]parse"),
    "strings": (["a"] * N, ValueError, "y holds labels: 'a', the first in row 0.*no family takes classes"),
    "labels": (pd.Series(LETTERS), ValueError, "y holds labels: 'a', 'b', .*0 and 1, or bools, such as y == 'b'"),
    "categories of text": (pd.Categorical(["gas", "oil", "wind", "oil"] * 5), ValueError, "y holds labels: 'gas', 'oil', 'wind'.*no family takes classes"),
    "labels of polars": (pl.Series(LETTERS, dtype=pl.Enum(["a", "b"])), ValueError, "y holds labels: 'a', 'b'"),
    "labels of Arrow": (pa.array(LETTERS).dictionary_encode(), ValueError, "y holds labels: 'a', 'b'"),
    "one word among numbers": (["n/a" if k == 3 else v for k, v in enumerate(Y)], ValueError, "y holds labels: 'n/a', the first in row 3"),
    "nulls of polars": (pl.Series(without(Y)), ValueError, "y contains NaN"),
    "nulls of Arrow": (pa.array(without(Y)), ValueError, "y contains NaN"),
    "complex": (Y * 1j, ValueError, "Complex"),
    "dates": (pd.date_range("2020", periods=N), TypeError, "y takes numbers, got datetime64"),
    "categories that are dates": (pd.Categorical(pd.date_range("2020", periods=N)), TypeError, "y takes numbers, got datetime64"),
    "durations": (pd.timedelta_range("1D", periods=N), TypeError, "y takes numbers, got timedelta64"),
    "date objects": ([date(2020, 1, 1)] * N, TypeError, "datetime.date"),
    "NaN": (np.where(POSITIONS == 3, np.nan, Y), ValueError, "y contains NaN"),
    "None": (without(Y), ValueError, "y contains NaN in row 3"),
    "NA": ([pd.NA] * N, ValueError, "y contains NaN in row 0"),
    "NaT": ([pd.NaT] * N, (TypeError, ValueError), "y (contains NaN|takes numbers)"),
    "missing nullable": (pd.Series(without(Y), dtype="Float64"), ValueError, "y contains NaN"),
    "missing Arrow": (pd.Series(without(Y), dtype="double[pyarrow]"), ValueError, "y contains NaN"),
    "infinity": (np.where(POSITIONS == 3, np.inf, Y), ValueError, "y contains infinity"),
    "infinities of both signs": (Y * np.inf, ValueError, "y contains infinity"),
    "masked": (np.ma.masked_array(Y, mask=POSITIONS == 3), ValueError, "y is a masked array"),
    "1e300": (Y * 1e300, ValueError, r"y holds nothing but numbers up to .*e\+300.*other units"),
    "1e-300": (Y * 1e-300, ValueError, "y holds nothing but numbers up to .*e-300.*other units"),
    "longdoubles beyond float64": (np.full(N, np.longdouble(10) ** 400), ValueError, "y contains infinity"),
    "whole numbers beyond float64": ([10**400] * N, ValueError, "y: int too large"),
}  # fmt: skip

ONES = np.ones(N)
# weights, the plain weights
WEIGHTS = {
    "a number": (2.0, 2 * ONES),
    "list": ([2] * N, 2 * ONES),
    "bools": (POSITIONS > 3, (POSITIONS > 3).astype(float)),
    "uint8, whose sum would overflow": (np.full(N, 200, "uint8"), 200 * ONES),
    "float16, whose sum would overflow": (np.full(N, 6e4, "float16"), 60_000.0 * ONES),
    "objects": ((2 * ONES).astype(object), 2 * ONES),
    "nullable": (pd.Series([2] * N, dtype="Int64"), 2 * ONES),
    "Arrow": (pd.Series(2 * ONES, dtype="double[pyarrow]"), 2 * ONES),
    "Series with the labels of other rows": (pd.Series(ONES, index=range(5, 25)), ONES),
    "polars Series": (pl.Series([2] * N), 2 * ONES),
    "Arrow array": (pa.array([2] * N), 2 * ONES),
    "one of 1e-300": (np.where(POSITIONS == 3, 1e-300, 1.0), np.where(POSITIONS == 3, 1e-100, 1.0)),
}  # fmt: skip
# weights, error, what the message says
NO_WEIGHTS = {
    "negative": (-ONES, ValueError, "[Nn]egative.*sample_weight"),
    "zeros": (0 * ONES, ValueError, "[Ww]eights.*non-zero"),
    "NaN": (np.nan * ONES, ValueError, "sample_weight contains NaN"),
    "missing nullable": (pd.Series(without(ONES), dtype="Float64"), ValueError, "sample_weight contains NaN"),
    "None": (without(ONES), ValueError, "sample_weight"),
    "infinity": (np.inf * ONES, ValueError, "sample_weight contains infinity"),
    "too short": (ONES[1:], ValueError, r"sample_weight.*\(19,\)"),
    "two dimensions": (ONES[:, None], ValueError, "[Ww]eights must be 1D"),
    "empty": ([], ValueError, r"0 sample\(s\)|sample_weight"),
    "strings": (["a"] * N, ValueError, "'a'"),
    "the name of a column": ("price", ValueError, "'price'"),
    "a dict": ({}, TypeError, "'dict'"),
    "complex": (ONES * 1j, ValueError, "Complex"),
    "sparse": (sp.csr_array(ONES[None]), TypeError, "[Ss]parse.*sample_weight"),
    "dates": (pd.date_range("2020", periods=N), TypeError, "sample_weight takes numbers, got datetime64"),
    "masked": (np.ma.masked_array(ONES, mask=POSITIONS == 3), ValueError, "sample_weight is a masked array"),
    "1e300": (1e300 * ONES, ValueError, r"sum of sample_weight is 2e\+301"),
    "of infinite sum": (1e308 * ONES, ValueError, "sum of sample_weight is inf"),
    "1e-300": (1e-300 * ONES, ValueError, "sum of sample_weight is 2e-299"),
}  # fmt: skip

ROUND = [Bench.answers, Bench.batch, Bench.build]
MISORDERED = pd.Series(Y, index=POSITIONS[::-1])


def on_outcomes(table):
    return {what: ((frame(), y), *rest) for what, (y, *rest) in table.items()}


def plain_outcomes(ask, table):
    return {what: ((frame(), y), (frame(), plain)) for what, (y, plain) in table.items()}


def with_price(bench, price, ask=Bench.answers):
    return ask(bench, frame(price=price))


def batch_price(bench, price):
    return with_price(bench, price, Bench.batch)


def two_kinds(bench, X, asked, do):
    """Fit one kind of frame and ask of another."""
    model = bench.fit(X)
    return np.concatenate([model.predict(asked), model.effect(asked, do).interval().ravel()])


HALF, FORCED = {"traffic": np.full(N, 0.5)}, {"traffic": Y}
PLAIN = (frame(), frame(), HALF)
MIXED = {
    "polars, then pandas": ((polars(), frame(), HALF), PLAIN),
    "pandas, then polars": ((frame(), polars(), HALF), PLAIN),
    "pyarrow, then polars": ((table(), polars(), HALF), PLAIN),
    "polars, then pyarrow": ((polars(), table(), HALF), PLAIN),
    "pandas, forced to a polars Series": ((frame(), frame(), {"traffic": pl.Series(Y)}), (frame(), frame(), FORCED)),
    "polars, forced to a pandas Series": ((polars(), polars(), {"traffic": pd.Series(Y)}), (frame(), frame(), FORCED)),
    "pyarrow, forced to a polars Series": ((table(), table(), {"traffic": pl.Series(Y)}), (frame(), frame(), FORCED)),
    "polars, forced to an Arrow array": ((polars(), polars(), {"traffic": pa.array(Y)}), (frame(), frame(), FORCED)),
    "polars, forced by a callable": ((polars(), polars(), {"traffic": lambda X: X["price"] * 0.5}), (frame(), frame(), {"traffic": A[:, 0] * 0.5})),
    "strings of pandas, then of polars": ((frame(price=LETTERS), polars(price=pl.Series(LETTERS)), HALF), (frame(price=LETTERS), frame(price=LETTERS), HALF)),
    "an Enum, then strings of pandas": ((polars(price=pl.Series(LETTERS, dtype=pl.Enum(SIZES))), frame(price=LETTERS), HALF), (IN_ORDER, IN_ORDER, HALF)),
}  # fmt: skip


# of a column that the graph does not name
OUTSIDE = {
    "NaN": np.nan,
    "None": None,
    "infinity": np.inf,
    "dates": pd.date_range("2024", periods=N),
    "text beside numbers": ["a", 1] * (N // 2),
    "complex": 1j,
}


def beside(bench, X):
    model = bench.fit(X, graph="price -> traffic -> y")
    return model.intervene(X, {"price": 0.5}).mean()


CASES: list[Case] = [
    *right("X: column outside the graph", {what: ((frame().assign(note=note),), (frame(),)) for what, note in OUTSIDE.items()}, beside),
    *right("X: container", CONTAINERS, Bench.answers),
    *wrong("X: container", {k: ((X,), *v) for k, (X, *v) in NO_TABLES.items()}, *ROUND),
    *right("X: frame of another package", FRAMES, Bench.answers),
    *wrong("X: frame of another package", {k: ((X,), *v) for k, (X, *v) in NO_FRAMES.items()}, *ROUND),
    *right("X and rows: two kinds of frames", MIXED, two_kinds),
    *wrong("X: column", {k: ((c,), *v) for k, (c, *v) in COLUMNS.items()}, with_price, batch_price),
    *[
        Case("X: name", ascii(pair)[:60], [lambda b, n=pair: whatever_its_name(b, named(*n))], plainly)
        for pair in zip(NAMES[::2], NAMES[1::2], strict=True)
    ],
    *[
        Case("X: label", what, [lambda b, n=labels: whatever_its_name(b, named(*n))], plainly)
        for what, labels in LABELS.items()
    ],
    *wrong(
        "X: name",
        {
            **{n: ((named(n, "b"),), ValueError, f"name of column '{n}'.*rename") for n in TAKEN},
            "y": ((named("y", "b"),), ValueError, "column 'y', the name of the outcome"),
            "strings and numbers": ((named("a", 1),), TypeError, "string names.*'int', 'str'"),
            "strings and None": ((named("a", None),), TypeError, "string names"),
            "twice": ((named("a", "a"),), ValueError, "(?s)unique.*'a' 2 times"),
            "NaN": ((named(None, 1),), ValueError, "a column named NaN: nan, 1.0"),
            "True beside 1": ((named(1, True),), ValueError, "(?s)unique.*2 times"),
        },
        *ROUND,
    ),
    Case(
        "X: label",
        "MultiIndex",
        [
            lambda b: whatever_its_name(
                b, frame().set_axis(pd.MultiIndex.from_tuples([("a", "x"), ("a", "z")]), axis=1)
            )
        ],
        plainly,
    ),
    *[
        Case(
            "X: index",
            what,
            [lambda b, i=index: whatever_its_name(b, frame().set_axis(i), by=np.round(A[:, 0]))],
            by_group,
        )
        for what, index in INDEXES.items()
    ],
    *right("y", plain_outcomes(None, OUTCOMES), Bench.answers, Bench.batch),
    *wrong("y", on_outcomes(NO_OUTCOMES), *ROUND),
    *wrong(
        "y",
        {
            "None at all": ((frame(), None), ValueError, "requires y"),
            "constant": ((frame(), ONES), ValueError, "y is constant"),
            "one row": ((frame()[:1], Y[:1]), ValueError, "y is constant.*n_samples=1"),
        },
        Bench.answers,
    ),
    *wrong("y", {"labels of X in another order": ((frame(), MISORDERED), ValueError, "y has the index of X in another order")}, *ROUND),
    *[
        Case("y", what, [lambda b, y=y: b.answers(frame(), y)], lambda b: b.answers(frame(), Y), warns="column-vector y")
        for what, y in {"column vector": Y[:, None], "DataFrame of one column": pd.DataFrame({"y": Y})}.items()
    ],
    *right("sample_weight", {k: ((frame(), Y, w), (frame(), Y, p)) for k, (w, p) in WEIGHTS.items()}, Bench.answers, Bench.batch),
    *wrong("sample_weight", {k: ((frame(), Y, w), *v) for k, (w, *v) in NO_WEIGHTS.items()}, Bench.answers, Bench.batch),
    *wrong("sample_weight", {"labels of X in another order": ((frame(), Y, MISORDERED.abs()), ValueError, "sample_weight has the index of X in another order")}, Bench.answers, Bench.batch),
]  # fmt: skip
