"""Odd inputs of a fitted model's methods, of what they return, of graphs and parameters."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from inputs_common import LETTERS, POSITIONS, A, Case, N, Y, frame, regressor, right, wrong
from inputs_training import MISORDERED, NO_OUTCOMES, NO_WEIGHTS, ONES, arrow, locked, without
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, TargetEncoder

from interventional import CausalGraph, InterventionDisplay, Outcomes, intervene
from interventional.metrics import log_density, neg_crps


def forced(bench, value):
    return bench.model.intervene(frame(), {"price": value}).mean()


def pushed(bench, value):
    return bench.model.effect(frame(), {"price": value}, baseline={"price": 0}).mean()


def against(bench, value):
    return bench.model.effect(frame(), {"price": 0}, baseline={"price": value}).mean()


def imagined(bench, value):
    return bench.model.counterfactual(frame(), Y, {"price": value}).mean()


def split(bench, value):
    return bench.model.decompose(frame(), {"price": value})["total"].mean()


def raw(bench, value):
    return intervene(bench.pipe, frame(), {"price": value}).mean()


def level(bench, value):
    return bench.levels.intervene(frame(price=LETTERS), {"price": value}).mean()


def flag(bench, value):
    return bench.bools.intervene(frame(price=[True, False] * 10), {"price": value}).mean()


NUMBERS = A[:, 1].round(2)
SHUFFLED = pd.Series(NUMBERS)[::-1]
# what a column of numbers is forced to, and plainly
FORCED = {
    "a whole number": (3, 3.0),
    "a bool": (True, 1.0),
    "float16": (np.float16(1.5), 1.5),
    "longdouble": (np.longdouble(1.5), 1.5),
    "an array without dimensions": (np.array(1.5), 1.5),
    "Decimal": (Decimal("1.5"), 1.5),
    "Fraction": (Fraction(3, 2), 1.5),
    "1e-300": (1e-300, 0.0),
    "list": (NUMBERS.tolist(), NUMBERS),
    "tuple": (tuple(NUMBERS), NUMBERS),
    "range": (range(N), POSITIONS.astype(float)),
    "objects": (NUMBERS.astype(object), NUMBERS),
    "read-only": (locked(NUMBERS), NUMBERS),
    "reversed strides": (NUMBERS[::-1].copy()[::-1], NUMBERS),
    "Index": (pd.Index(NUMBERS), NUMBERS),
    "Series with the rows in another order": (SHUFFLED, NUMBERS),
    "Series with more rows": (pd.Series([*NUMBERS, 7.0]), NUMBERS),
    "nullable Series": (pd.Series(NUMBERS, dtype="Float64"), NUMBERS),
    "nullable array": (pd.array(NUMBERS, dtype="Float64"), NUMBERS),
    "Arrow Series": (pd.Series(NUMBERS, dtype="double[pyarrow]"), NUMBERS),
    "Arrow array": (pa.array(NUMBERS), NUMBERS),
    "sparse Series": (pd.Series(pd.arrays.SparseArray(NUMBERS)), NUMBERS),
    "masked array, nothing masked": (np.ma.masked_array(NUMBERS, mask=False), NUMBERS),
    "callable returning a list": (lambda X: X["traffic"].tolist(), A[:, 1]),
    "callable returning a Series in another order": (lambda X: X["traffic"][::-1], A[:, 1]),
    "callable that changes its X": (lambda X: (X.pop("price"), 2.0)[1], 2.0),
    "degenerate distribution": (stats.norm(2.0, 0.0), 2.0),
    "distribution of misordered rows": (stats.norm(SHUFFLED, 0.0), NUMBERS),
}
# what is forced, error, what the message says
NOT_FORCED = {
    "NA": (pd.NA, ValueError, r"do\['price'\] holds (nan|NaN)"),
    "NaT": (pd.NaT, ValueError, r"do\['price'\] holds (nan|NaN)"),
    "None among objects": (without(NUMBERS), ValueError, r"do\['price'\] holds (nan|NaN)"),
    "masked array": (np.ma.masked_array(NUMBERS, mask=POSITIONS == 3), ValueError, r"do\['price'\] is a masked array"),
    "the masked constant": (np.ma.masked, ValueError, r"do\['price'\] is a masked array"),
    "missing Arrow": (pd.Series(without(NUMBERS), dtype="double[pyarrow]"), ValueError, r"do\['price'\] holds (nan|NaN)"),
    "1e300": (1e300, ValueError, r"e\+(299|300)"),
    "generator": ((v for v in NUMBERS), TypeError, r"do\['price'\] is generator"),
    "sparse": (sp.csr_array(ONES[None]), ValueError, r"do\['price'\] has shape \(1, 20\)"),
    "a row": (ONES[None], ValueError, r"do\['price'\] has shape \(1, 20\)"),
    "list of lists": ([[1.0]] * N, ValueError, r"do\['price'\] has shape \(20, 1\)"),
    "empty string": ("", TypeError, "numbers, got .*''"),
    "text of digits": ("1.0", TypeError, "numbers, got .*'1.0'"),
    "bytes": (b"1", TypeError, "numbers, got .*b'1'"),
    "ellipsis": (..., TypeError, "numbers, got Ellipsis"),
    "a date object": (date(2020, 1, 1), TypeError, "numbers, got datetime.date"),
    "a Timestamp": (pd.Timestamp("2020"), TypeError, "numbers, got Timestamp"),
    "a Timedelta": (pd.Timedelta(1), TypeError, "numbers, got Timedelta"),
    "dates": (pd.date_range("2020", periods=N), TypeError, "numbers, got .*datetime64"),
    "durations": (pd.timedelta_range("1D", periods=N), TypeError, "numbers, got .*timedelta64"),
    "complex numbers": (ONES * 1j, TypeError, "numbers, got .*complex128"),
    "a frozenset": (frozenset([1]), TypeError, "numbers, got frozenset"),
    "a Prior": (Prior("Normal", mu=0, sigma=1), TypeError, "numbers, got Prior"),
    "a random generator": (np.random.default_rng(0), TypeError, "numbers, got Generator"),
    "a new-style distribution": (stats.Normal(mu=0, sigma=1), TypeError, "numbers, got Normal"),
    "a distribution by its class": (stats.norm, TypeError, r"do\['price'\]: freeze"),
    "a histogram": (stats.rv_histogram(np.histogram(A)), TypeError, r"do\['price'\]: freeze"),
    "a distribution of vectors": (stats.dirichlet([1, 1]), TypeError, "numbers, got .*dirichlet"),
    "a distribution with NaN": (stats.norm(np.nan, 1), ValueError, r"do\['price'\] holds (nan|NaN)"),
    "a distribution with a negative scale": (stats.norm(0, -1), ValueError, r"do\['price'\]: .*scale"),
    "a distribution of infinite draws": (stats.pareto(1e-3), ValueError, r"do\['price'\] holds (inf|NaN)|\d+e\+"),
    "a distribution of other rows": (stats.norm(np.zeros(3), 1), ValueError, r"do\['price'\]: parameter 0.*\(3,\)"),
    "callable returning a table": (lambda X: X.to_numpy(), ValueError, r"do\['price'\] has shape \(20, 2\)"),
    "callable returning a generator": (lambda X: (v for v in NUMBERS), TypeError, r"do\['price'\] is generator"),
    "callable returning NaN": (lambda X: X["price"] * np.nan, ValueError, r"do\['price'\] holds (nan|NaN)"),
}  # fmt: skip
LEVEL_REFUSED = {
    "a Decimal": (Decimal(1), ValueError, r"unknown level .*Decimal\('1'\); Known: 'a', 'b'"),
    "an unhashable Prior": (Prior("Normal"), TypeError, "'price' of .* takes levels, got Prior"),
    "bytes": (b"a", ValueError, "unknown level .*b'a'"),
    "an empty string": ("", ValueError, "unknown level .*''"),
    "None among levels": (without(LETTERS), ValueError, r"do\['price'\] contains NaN.*row 3"),
    "capital letters": ("A", ValueError, "unknown level .*'A'"),
}
FLAG_REFUSED = {
    "a number that is neither 0 nor 1": (3, ValueError, "takes bools, got 3"),
    "text": ("True", TypeError, "got 'True'"),
    "fractions": (stats.norm(0, 1), ValueError, "takes bools"),
}


class PolicyError(Exception):
    pass


def failing(X):
    raise PolicyError("of its own")


def asked(bench, do):
    return bench.model.intervene(frame(), do).mean()


KEYS = {
    "a list of names": (["price"], TypeError, "do must .*'price'"),
    "a Series": (pd.Series({"price": 0.0}), TypeError, "do must"),
    "a DataFrame": (frame()[:2], TypeError, "do must"),
    "a number": (3, TypeError, "do must .*3"),
    "a tuple key": ({("price",): 0}, ValueError, r"unknown column \('price',\); did you mean"),
    "None as a key": ({None: 0}, ValueError, "unknown column None"),
    "NaN as a key": ({np.nan: 0}, ValueError, "unknown column nan"),
    "a position": ({0: 0}, ValueError, "unknown column 0"),
    "a bool key": ({True: 0}, ValueError, "unknown column True"),
    "bytes as a key": ({b"price": 0}, ValueError, "unknown column b'price'; did you mean 'price'"),
    "the expected outcome": ({"y_mu": 0}, ValueError, "unknown column 'y_mu'"),
    "a parameter": ({"y_beta": 0}, ValueError, "unknown column 'y_beta'"),
}
ALL_DO = [
    asked,
    lambda b, do: b.model.effect(frame(), do),
    lambda b, do: b.model.effect(frame(), {"price": 0}, do),
    lambda b, do: b.model.counterfactual(frame(), Y, do),
    lambda b, do: b.model.decompose(frame(), do),
    lambda b, do: intervene(b.pipe, frame(), do),
]
POSITIONAL = {
    "-1": ({-1: 0}, ValueError, "unknown column -1"),
    "one too many": ({2: 0}, ValueError, "unknown column 2"),
    "True": ({True: 0}, ValueError, "unknown column True"),
    "0.0": ({0.0: 0}, ValueError, "unknown column 0.0"),
    "the same column twice": ({0: 0, "x0": 1}, ValueError, "forces column 'x0' twice"),
}

# rows of a fitted model, error, what the message says
ROWS = {
    "1e300": (A * 1e300, ValueError, "X holds .* in column 'x[01]', row 0"),
    "masked": (np.ma.masked_array(A, mask=A > 1), ValueError, "X is a masked array"),
    "dates": (np.full((N, 2), np.datetime64("2020-01-01")), TypeError, "X takes numbers"),
    "too narrow": (A[:, :1], ValueError, "X has 1 features.*expecting 2"),
    "a set": ({1}, TypeError, "'set'"),
    "whole numbers beyond float64": (np.full((N, 2), 10**400, dtype=object), ValueError, "X: int too large"),
    "no rows": (A[:0], ValueError, r"0 sample\(s\)"),
    "None among objects": (np.where(A > 1.5, None, A), ValueError, "NaN: column 'x(0', row 1|1', row 5)"),
}  # fmt: skip
ASKS = [
    lambda b, X: b.array.predict(X),
    lambda b, X: b.array.predict(X, return_std=True),
    lambda b, X: b.array.sample_y(X),
    lambda b, X: b.array.score(X, Y),
    lambda b, X: b.array.intervene(X, {0: 0}),
    lambda b, X: b.array.effect(X, {0: 0}),
    lambda b, X: b.array.counterfactual(X, Y, {0: 0}),
    lambda b, X: b.array.decompose(X, {0: 0}),
    lambda b, X: b.array.log_density(X, Y),
    lambda b, X: b.array.log_likelihood(X, Y),
    lambda b, X: b.array.build_model(X),
    lambda b, X: b.array.simulate(X, {}),
]
# rows whose price is forced, and whose traffic follows
IGNORED = {
    "forced NaN": frame(price=np.nan),
    "forced absent": frame()[["traffic"]],
    "following NaN": frame(traffic=np.nan),
    "following absent": frame()[["price"]],
    "both None": frame(price=None, traffic=None),
}
UNREAD = [
    lambda b, X: b.chain.intervene(X, {"price": 0.5}).mean(),
    lambda b, X: b.chain.effect(X, {"price": 0.5}, {"price": 0}).mean(),
    lambda b, X: b.chain.decompose(X, {"price": 0.5}, {"price": 0})["total"].mean(),
]
READ = [lambda b, X: b.chain.counterfactual(X, Y, {"price": 0.5})]
JUDGES = [
    lambda b, y: b.model.counterfactual(frame(), y, {"price": 0}),
    lambda b, y: b.model.log_density(frame(), y),
    lambda b, y: b.model.log_likelihood(frame(), y),
    lambda b, y: b.model.score(frame(), y),
    lambda b, y: log_density(b.model, frame(), y),
    lambda b, y: neg_crps(b.model, frame(), y),
    lambda b, y: log_density(BayesianRidge().fit(frame(), Y), frame(), y),
    lambda b, y: neg_crps(BayesianRidge().fit(frame(), Y), frame(), y),
]
WEIGHERS = [
    lambda b, w: b.model.score(frame(), Y, w),
    lambda b, w: log_density(b.model, frame(), Y, w),
    lambda b, w: neg_crps(b.model, frame(), Y, w),
]


def average(bench, weights, by=None):
    return bench.outcomes.average(weights, by).mean()


def compared(bench, weights, by=None):
    return Outcomes.compare({"a": bench.outcomes}, weights=weights, by=by)["mean"]


BY_SIGN = np.where(A[:, 0] > 0, "up", "down")
WEIGHTS = {
    "bools": ((A[:, 0] > 0,), ((A[:, 0] > 0).astype(float),)),
    "large": ((1e308 * ONES,), (None,)),
    "tiny": ((1e-300 * ONES,), (None,)),
    "nullable": ((pd.Series(POSITIONS, dtype="Int64"),), (POSITIONS,)),
    "uint8, whose sum would overflow": ((np.full(N, 200, "uint8"),), (None,)),
    "Series with the rows in another order": ((pd.Series(POSITIONS)[::-1],), (POSITIONS,)),
    "numbers as text": (([str(k) for k in POSITIONS],), (POSITIONS,)),
}
GROUPS = {
    "categories that do not occur": ((None, pd.Categorical(BY_SIGN, ["x", "down", "up"])), (None, BY_SIGN)),
    "Series with the rows in another order": ((None, pd.Series(BY_SIGN)[::-1]), (None, BY_SIGN)),
    "Arrow": ((None, pd.Series(BY_SIGN, dtype="string[pyarrow]")), (None, BY_SIGN)),
    "bools": ((None, A[:, 0] > 0), (None, BY_SIGN)),
    "dates": ((None, np.where(A[:, 0] > 0, np.datetime64("2021"), np.datetime64("2020"))), (None, BY_SIGN)),
    "a DataFrame": ((None, pd.DataFrame({"a": BY_SIGN, "b": LETTERS})), (None, np.char.add(BY_SIGN, LETTERS))),
    "a DataFrame of one column": ((None, pd.DataFrame({"a": BY_SIGN})), (None, BY_SIGN)),
    "names of columns": ((None, ["price", "traffic"]), (None, A[:, 0])),
}  # fmt: skip
BOTH = frame(price=BY_SIGN, traffic=LETTERS)
NO_GROUPS = {
    "a name that is no column": ((None, ["price", "trafic"]), ValueError, "unknown column in by: 'trafic'; did you mean 'traffic'"),
    "a DataFrame of other rows": ((None, BOTH[1:]), ValueError, "by: its index is not that of the rows"),
    "a DataFrame without columns": ((None, BOTH[[]]), ValueError, "by is a DataFrame without columns"),
    "an unknown column": ((None, "pryce"), ValueError, "unknown column in by: 'pryce'; did you mean 'price'"),
    "a number": ((None, 3), ValueError, "unknown column in by: 3"),
    "a dict": ((None, {"a": 1}), ValueError, "unknown column in by: {'a': 1}"),
    "a callable": ((None, failing), ValueError, "unknown column in by: <function failing"),
    "None among groups": ((None, without(BY_SIGN)), ValueError, "by has a missing value in row 3"),
    "too short": ((None, BY_SIGN[1:]), ValueError, r"by must have shape \(20,\), got \(19,\)"),
    "two columns": ((None, A), ValueError, r"by must have shape \(20,\), got \(20, 2\)"),
    "masked": ((None, np.ma.masked_array(POSITIONS, mask=POSITIONS == 3)), ValueError, "by is a masked array"),
    "other rows": ((None, pd.Series(BY_SIGN, index=POSITIONS + 5)), ValueError, "by: its index is not that of the rows"),
    "weights, masked": ((np.ma.masked_array(ONES, mask=POSITIONS == 3),), ValueError, "weights is a masked array"),
    "weights, text": (("price",), ValueError, "weights: .*'price'"),
    "weights, a dict": (({},), TypeError, "weights: .*'dict'"),
    "weights, complex": ((ONES * 1j,), TypeError, "weights must be numbers, got complex"),
    "weights, a number": ((2.0,), ValueError, r"weights must have shape \(20,\), got \(\)"),
    "weights, NaN": ((np.nan * ONES,), ValueError, "weights must be finite"),
    "weights, zero in a group": (((A[:, 0] > 0) * 1.0, BY_SIGN), ValueError, "weights of group 'down' are all zero"),
}  # fmt: skip
ENDS = {
    "NaN": (np.nan, ValueError, "above must be a number, got nan"),
    "text": ("0", ValueError, "above must be a number, got '0'"),
    "complex": (1j, ValueError, "above must be a number, got 1j"),
    "an array": (np.zeros(N), ValueError, "above must be a number, got array"),
}
LEVELS_OF = {
    "0": (0, ValueError, "prob must lie between 0 and 1, got 0"),
    "per cent": (94, ValueError, "prob must lie between 0 and 1, got 94"),
    "NaN": (np.nan, ValueError, "prob must lie between 0 and 1, got nan"),
    "text": ("0.9", ValueError, "prob must lie between 0 and 1, got '0.9'"),
    "an array": (
        np.array([0.5, 9.0]),
        ValueError,
        "prob must lie between 0 and 1, got (array|np.float64.9)",
    ),
    "complex": (1j, ValueError, "prob must lie between 0 and 1, got 1j"),
}
QUANTILES = {
    "None": (None, ValueError, "q must hold probabilities.*None"),
    "text": ("a", ValueError, "q must hold probabilities.*'a'"),
    "NaN among them": ([0.5, np.nan], ValueError, "q must hold probabilities"),
    "per cent": (95, ValueError, "q must hold probabilities.*95"),
    "complex": (1j, ValueError, "q must hold probabilities.*1j"),
    "two dimensions": ([[0.5]], ValueError, "q must hold probabilities"),
}
SCENARIOS = {
    "none": ({}, TypeError, "must map names to Outcomes, got {}"),
    "None": (None, TypeError, "must map names to Outcomes, got None"),
    "a list": ([1], TypeError, r"must map names to Outcomes, got \[1\]"),
    "a number": ({"a": 1}, TypeError, r"\['a'\] must be Outcomes, got 1"),
}


def made(bench, change):
    return Outcomes(change(bench.outcomes.draws), "x").mean()


DRAWS = {
    "an array": (lambda d: d.values, TypeError, "draws must be a DataArray.*ndarray"),
    "None": (lambda d: None, TypeError, "draws must be a DataArray.*NoneType"),
    "transposed": (lambda d: d.T, TypeError, "chain, draw and obs, got .'obs'"),
    "one chain": (lambda d: d[0], TypeError, "chain, draw and obs, got .'draw'"),
    "NaN": (lambda d: d * np.nan, ValueError, "draws must be finite"),
    "none": (lambda d: d[:, :, :0], ValueError, r"draws must be finite, .*\(2, 20, 0\)"),
}
ARITHMETIC = {
    "None": (lambda o: o / None, TypeError, "Outcomes combine with .*, got NoneType"),
    "NaN": (lambda o: o * np.nan, ValueError, "finite numbers, got nan"),
    "a number too few": (lambda o: o * Y[1:], ValueError, r"shape \(20,\), got \(19,\)"),
    "an index of others": (
        lambda o: o * pd.Series(Y, index=np.arange(20) + 7, name="cost"),
        ValueError,
        "cost: its index is not that of the rows",
    ),
    "dates": (
        lambda o: o + np.full(20, np.datetime64("2020")),
        TypeError,
        "numbers, got datetime",
    ),
    "text": (lambda o: o * np.full(20, "1"), TypeError, "an array of <U1"),
    "an order": (lambda o: o > 0, TypeError, r"have no order.*probability\(above=...\)"),
    "a sum over what": (lambda o: np.sum(o), TypeError, "over rows or over draws"),
    "a row too far": (lambda o: o[20], IndexError, "row 20 of 20 rows"),
    "no row": (lambda o: o[np.zeros(20, bool)], ValueError, "none of 20 rows is picked"),
    "a label among positions": (lambda o: o["a"], TypeError, r"outcomes\.loc"),
    "no such label": (lambda o: o.loc["a"], KeyError, "no row has the label 'a'"),
    "a function of other shape": (lambda o: o.map(np.sum), ValueError, "must keep their shape"),
    "other rows": (
        lambda o: o - Outcomes(o.draws[..., :3], "three rows"),
        ValueError,
        "rows are not the same",
    ),
    "a ratio to zero": (lambda o: o / (o - o), ValueError, "denominator is zero"),
    "another fit": (
        lambda o: o - regressor().fit(frame(), 2 * Y).intervene(frame(), {"price": 0}),
        ValueError,
        "two posteriors",
    ),
}

OFTEN = {
    "0 points": ({"grid_resolution": 0}, ValueError, "grid_resolution must be .* got 0"),
    "-1 points": ({"grid_resolution": -1}, ValueError, "grid_resolution must be .* got -1"),
    "1.5 points": ({"grid_resolution": 1.5}, ValueError, "grid_resolution must be .* got 1.5"),
    "no single rows": ({"subsample": 0}, ValueError, "subsample must be .* got 0"),
    "text for rows": ({"subsample": "a"}, ValueError, "subsample must be .* got 'a'"),
    "no values": ({"values": []}, ValueError, r"values must be a list of values, got \[\]"),
    "NaN among values": ({"values": [np.nan]}, ValueError, r"do\['price'\] holds NaN"),
    "text among values": ({"values": ["a"]}, TypeError, r"do\['price'\].*'a'"),
    "dates for values": ({"values": pd.date_range("2020", periods=2)}, TypeError, r"do\['price'\].*datetime64"),
    "an unknown kind": ({"kind": "x"}, ValueError, "unknown kind 'x'; Known"),
    "a wrong level": ({"prob": 94}, ValueError, "prob must lie between 0 and 1, got 94"),
    "an unknown column": ({"column": "pryce"}, ValueError, "'pryce'; did you mean 'price'"),
    "a list of columns": ({"column": ["price"]}, ValueError, r"unknown column \['price'\]"),
}  # fmt: skip


def pictured(bench, options):
    options = {"column": "price", "grid_resolution": 2, "subsample": 3, **options}
    return InterventionDisplay.from_estimator(bench.model, frame(), **options)


def answered(bench, graph):
    return bench.fit(frame(), graph=graph).intervene(frame(), {"price": 0}).mean()


EDGES = [("price", "y"), ("traffic", "y")]
GRAPHS = {
    "a DiGraph": ((nx.DiGraph(EDGES),), ("price -> y; traffic -> y",)),
    "a MultiDiGraph with an edge twice": ((nx.MultiDiGraph([*EDGES, EDGES[0]]),), (EDGES,)),
    "a set of edges": ((set(EDGES),), (EDGES,)),
    "a dict": (({"y": ["price", "traffic"]},), (EDGES,)),
    "edges as text": ((["price -> y", "traffic -> y"],), (EDGES,)),
    "lists for edges": (([list(edge) for edge in EDGES],), (EDGES,)),
    "an edge twice": (("price -> y; price -> y; traffic -> y",), (EDGES,)),
    "much space": (("\n\n  price ->\n y ;;;  traffic->y  ",), (EDGES,)),
    "DOT": (("digraph g { rankdir=LR; price -> y; traffic -> y [color=red] }",), (EDGES,)),
}
NO_GRAPHS = {
    "a number": (3, TypeError, "graph must be text.* got int"),
    "a class": (int, TypeError, "graph must be text.* got type"),
    "empty text": ("", ValueError, "no nodes"),
    "an empty list": ([], ValueError, "no nodes"),
    "a cycle": ("price -> y; y -> price", ValueError, "cycle: price -> y -> price"),
    "a self loop": ("price -> price -> y", ValueError, "'price' cannot cause"),
    "without the outcome": ("price -> traffic", ValueError, "lacks the outcome: unknown node 'y'"),
    "nothing but the outcome": ("y", ValueError, "nothing in the graph causes 'y'"),
    "the outcome as a cause": ("y -> price", ValueError, "nothing in the graph causes 'y'"),
    "a typo": ("pryce -> y", ValueError, "'pryce' is no column.*did you mean 'price'"),
    "two arrows": ("price -> -> y", ValueError, "cannot read 'price -> -> y'"),
    "an arrow alone": ("->", ValueError, "cannot read '->'"),
    "an open brace": ("digraph { price -> y", ValueError, "cannot read"),
    "an open quote": ("'price -> y", ValueError, "cannot read"),
    "an undirected DOT graph": ("graph { price -- y }", ValueError, "DOT 'graph' has no directions"),
    "an undirected Graph": (nx.Graph(EDGES), TypeError, "undirected"),
    "numbers for nodes": ([(0, "y")], TypeError, r"nodes must be strings; got 0"),
    "edges of three": ([("price", "y", 1)], ValueError, r"\('price', 'y', 1\) is not an edge"),
    "bytes": (b"price -> y", ValueError, "is not an edge"),
    "an adjacency matrix": (np.zeros((3, 3)), ValueError, "is not an edge"),
    "a DataFrame": (pd.DataFrame({"a": ["price"]}), ValueError, "is not an edge"),
    "None for parents": ({"y": None}, TypeError, "parents of 'y' must be names; got None"),
    "code": ("__import__('os').abort()", ValueError, "cannot read"),
}  # fmt: skip


def relation(bench, ask):
    return ask(CausalGraph("a -> b -> c"))


RELATIONS = {
    "a typo": (lambda g: g.parents("d"), ValueError, "unknown node 'd'"),
    "None": (lambda g: g.children(None), ValueError, "unknown node None"),
    "a list": (lambda g: g.descendants(["a"]), ValueError, r"unknown node \['a'\]"),
    "an outcome that is forced": (lambda g: g.adjustment_set("c", "c"), ValueError, "'c' is the outcome"),
    "an unobserved stranger": (lambda g: CausalGraph(g, unobserved=["z"]), ValueError, "unknown unobserved node 'z'"),
    "no observed nodes": (lambda g: g.observing([]), ValueError, "none of the graph's nodes"),
}  # fmt: skip

ALMOST = {"draws": 20, "chains": 2}
PARAMETERS = {
    "outcome=3": ({"outcome": 3}, ValueError, "'outcome'.*3"),
    "outcome=''": ({"outcome": ""}, TypeError, "outcome must be .*non-empty"),
    "family=None": ({"family": None}, ValueError, "'family'.*None"),
    "family='normal'": ({"family": "normal"}, ValueError, "unknown family of 'y': 'normal'"),
    "family of a stranger": ({"family": {"z": "gamma"}}, ValueError, "unknown node in family: 'z'"),
    "exposure of a gaussian": ({"exposure": "price"}, ValueError, "exposure='price' is for counts"),
    "exposure=[1]": ({"exposure": [1]}, TypeError, "exposure must be the name of a column"),
    "design='spline'": ({"design": "spline"}, ValueError, "'design'.*'spline'"),
    "design, a class": ({"design": PolynomialFeatures}, TypeError, "instance .PolynomialFeatures"),
    "design that needs y": ({"design": TargetEncoder()}, ValueError, "TargetEncoder.*needs y"),
    "design of a stranger": ({"design": {"z": PolynomialFeatures()}}, ValueError, "unknown node in design: 'z'"),
    "design of NaN": ({"design": FunctionTransformer(lambda X: X * np.nan)}, ValueError, "FunctionTransformer.*returned nan in column"),
    "design of one dimension": ({"design": FunctionTransformer(lambda X: ONES[: len(X)])}, ValueError, r"shape \(1,\)"),
    "design of nothing": ({"design": FunctionTransformer(lambda X: X.iloc[:, :0])}, ValueError, "makes no columns"),
    "design of 1e200": ({"design": FunctionTransformer(lambda X: X * 1e200)}, ValueError, r"FunctionTransformer.*at most 1e\+50"),
    "priors, a list": ({"priors": [1]}, ValueError, "'priors'"),
    "priors, a number": ({"priors": {"beta": 1.0}}, TypeError, r"priors\['beta'\].*1.0"),
    "priors, a tuple": ({"priors": {"beta": ("Normal", 0, 1)}}, TypeError, r"priors\['beta'\].*'Normal'"),
    "priors, a frozen distribution": ({"priors": {"beta": stats.norm()}}, TypeError, r"priors\['beta'\].*frozen"),
    "priors, a key that is no name": ({"priors": {3: Prior("Normal")}}, ValueError, "unknown name in priors: 3"),
    "priors of a stranger": ({"priors": {"z": {"beta": Prior("Normal")}}}, ValueError, "unknown equation in priors: 'z'"),
    "priors, NaN": ({"priors": {"beta": Prior("Normal", mu=np.nan, sigma=1)}}, ValueError, "mu must be finite"),
    "priors, 1e300": ({"priors": {"beta": Prior("Normal", mu=0, sigma=1e300)}}, ValueError, r"sigma must be 0, or lie .*1e\+300"),
    "priors, 1e-300": ({"priors": {"beta": Prior("Normal", mu=0, sigma=1e-300)}}, ValueError, "sigma must be 0, or lie .*1e-300"),
    "priors, negative sigma": ({"priors": {"beta": Prior("Normal", mu=0, sigma=-1)}}, ValueError, "'beta' needs sigma > 0"),
    "priors, sigma of 0": ({"priors": {"beta": Prior("Normal", mu=0, sigma=0)}}, ValueError, "'beta' needs sigma > 0"),
    "priors, wrong length": ({"priors": {"beta": Prior("Normal", mu=[0, 0, 0], sigma=1)}}, (TypeError, ValueError), "beta"),
    "fit_intercept='yes'": ({"fit_intercept": "yes"}, ValueError, "'fit_intercept'.*'yes'"),
    "center_predictors=None": ({"center_predictors": None}, ValueError, "'center_predictors'.*None"),
    "inference='mcmc'": ({"inference": "mcmc"}, ValueError, "'inference'.*'mcmc'"),
    "unseen_levels=None": ({"unseen_levels": None}, ValueError, "'unseen_levels'.*None"),
    "draws=0": ({"draws": 0}, ValueError, "'draws'.*0"),
    "draws=nan": ({"draws": np.nan}, ValueError, "'draws'.*nan"),
    "tune=-1": ({"tune": -1}, ValueError, "'tune'.*-1"),
    "chains=1.5": ({"chains": 1.5}, ValueError, "'chains'.*1.5"),
    "random_state=-1": ({"random_state": -1}, ValueError, "'random_state'.*-1"),
    "random_state, a Generator": ({"random_state": np.random.default_rng(0)}, ValueError, "'random_state'.*Generator"),
    "n_jobs=0": ({"n_jobs": 0}, ValueError, "n_jobs == 0"),
    "n_jobs=1.5": ({"n_jobs": 1.5}, ValueError, "'n_jobs'.*1.5"),
    "verbose='x'": ({"verbose": "x"}, ValueError, "'verbose'.*'x'"),
}  # fmt: skip
SAME_PARAMETERS = {
    "draws, a NumPy integer": ({"draws": np.int64(20)}, {}),
    "chains=True": ({"chains": True}, {"chains": 1}),
    "tune=True": ({"tune": True}, {}),
    "fit_intercept, a NumPy bool": ({"fit_intercept": np.bool_(True)}, {}),
    "graph=None and family={}": ({"family": {}}, {}),
    "design={}": ({"design": {}}, {}),
    "priors={}": ({"priors": {}}, {}),
    "n_jobs=-1": ({"n_jobs": -1}, {}),
    "random_state, a RandomState": ({"random_state": np.random.RandomState(0)}, {"random_state": np.random.RandomState(0)}),
}  # fmt: skip


def parametrised(bench, parameters):
    return bench.answers(frame(), **parameters)


SIMULATED = {
    "None": (None, TypeError, "parameters must be a mapping.*None"),
    "a typo": ({"y_beta0": 1}, ValueError, "unknown parameter 'y_beta0'; did you mean 'y_beta'"),
    "the outcome": ({"y": 1}, ValueError, "unknown parameter 'y'"),
    "a column": ({"price": 0}, ValueError, "unknown parameter 'price'"),
    "NaN": ({"y_sigma": np.nan}, ValueError, r"parameters\['y_sigma'\] must be finite"),
    "negative": ({"y_sigma": -1}, ValueError, r"parameters\['y_sigma'\] must not be negative"),
    "too short": ({"y_beta": [1]}, ValueError, r"parameters\['y_beta'\].*\(2,\)"),
    "a typo in a term": ({"y_beta": {"pryce": 1, "traffic": 1}}, ValueError, "term in 'y_beta': 'pryce'"),
    "a term missing": ({"y_beta": {"price": 1}}, ValueError, "lacks terms 'traffic'"),
}  # fmt: skip
ESTIMATORS = {
    "None": (None, TypeError, "None"),
    "another regressor": (Ridge().fit(frame(), Y), TypeError, "Ridge"),
    "text": ("model", TypeError, "'model'|str"),
}


def ends_in(bench, estimator):
    return intervene(estimator, frame(), {"price": 0})


def given(table, *first):
    return {what: ((*first, value), *rest) for what, (value, *rest) in table.items()}


def values_of(table):
    return {what: ((value,), (plain,)) for what, (value, plain) in table.items()}


def sampled(bench, size):
    return bench.model.sample_y(frame(), size)


CASES: list[Case] = [
    *right("do: value", values_of(FORCED), forced, pushed, against, imagined, split, raw),
    *wrong("do: value", given(NOT_FORCED), forced, pushed, against, imagined, split, raw),
    Case("do: value", "a callable that fails", [lambda b: forced(b, failing)], error=PolicyError, message="of its own"),
    *wrong("do: level", given(LEVEL_REFUSED), level),
    *wrong("do: bool", given(FLAG_REFUSED), flag),
    *right("do: level", values_of({"a NumPy string": (np.str_("a"), "a"), "objects": (LETTERS.astype(object), LETTERS), "Categorical": (pd.Categorical(LETTERS), LETTERS), "Arrow": (arrow(LETTERS, pa.string()), LETTERS)}), level),
    *right("do: bool", values_of({"1.0": (1.0, True), "a NumPy bool": (np.bool_(True), True), "nullable": (pd.array([True, False] * 10, dtype="boolean"), [True, False] * 10)}), flag),
    *wrong("do: column", given(KEYS), *ALL_DO),
    *wrong("do: column of an array", given(POSITIONAL), lambda b, do: b.array.intervene(A, do)),
    *right("do: column", values_of({"a NumPy string": ({np.str_("price"): 1}, {"price": 1}), "a read-only mapping": (MappingProxyType({"price": 1}), {"price": 1})}), *ALL_DO[:2]),
    *right("do: column of an array", values_of({"int8": ({np.int8(1): 0}, {1: 0}), "x1": ({"x1": 0}, {1: 0})}), lambda b, do: b.array.intervene(A, do)),
    *wrong("rows", given(ROWS), *ASKS),
    *right("rows: what is ignored", {what: ((X,), (frame(),)) for what, X in IGNORED.items()}, *UNREAD),
    *wrong("rows: what is read", {what: ((X,), ValueError, "(?s)NaN: column '(price|traffic)', row 0|missing:.*- (price|traffic)") for what, X in IGNORED.items()}, *READ),
    *right("rows", {"lists": ((A.tolist(),), (A,)), "float32": ((A.astype("float32"),), (A.astype("float32").astype(float),)), "one row": ((A[:1].tolist(),), (A[:1],))}, lambda b, X: b.array.intervene(X, {0: 0})),
    *wrong("y of rows", {k: ((y,), *v) for k, (y, *v) in NO_OUTCOMES.items() if k not in {"empty"}}, *JUDGES),
    *wrong("y of rows", {"labels in another order": ((MISORDERED,), ValueError, "y has the index of X in another order")}, *JUDGES),
    *wrong("weights of scores", {k: ((w,), *v) for k, (w, *v) in NO_WEIGHTS.items()}, *WEIGHERS),
    *right("Outcomes: weights", WEIGHTS, average),
    *right("Outcomes: groups", GROUPS, average),
    *wrong("Outcomes: groups and weights", NO_GROUPS, average, compared),
    *wrong("Outcomes: probability", given(ENDS), lambda b, v: b.outcomes.probability(above=v)),
    *wrong("Outcomes: prob", given(LEVELS_OF), lambda b, v: b.outcomes.interval(v), lambda b, v: b.outcomes.summary(v), lambda b, v: Outcomes.compare({"a": b.outcomes}, prob=v)),
    *wrong("Outcomes: quantile", given(QUANTILES), lambda b, v: b.outcomes.quantile(v)),
    *right("Outcomes: quantile", values_of({"Decimal": (Decimal("0.5"), 0.5), "Series": (pd.Series([0.5]), [0.5]), "none": ([], np.array([]))}), lambda b, v: b.outcomes.quantile(v)),
    *wrong("Outcomes: scenarios", given(SCENARIOS), lambda b, v: Outcomes.concat(v), lambda b, v: Outcomes.compare(v), lambda b, v: InterventionDisplay.from_outcomes(v)),
    *wrong("Outcomes: draws", given(DRAWS), made),
    *wrong("Outcomes: draws", {"covariates of other rows": ((3,), ValueError, "covariates have 3 rows, draws have 20")}, lambda b, n: Outcomes(b.outcomes.draws, "x", frame()[:n])),
    *wrong("Outcomes: arithmetic", given(ARITHMETIC), lambda b, f: f(b.outcomes)),
    *wrong("display", given(OFTEN), pictured),
    *right("graph", GRAPHS, answered),
    *wrong("graph", given(NO_GRAPHS), answered),
    *wrong("CausalGraph: nodes", given(RELATIONS), relation),
    *wrong("parameter", given(PARAMETERS), parametrised),
    *right("parameter", values_of(SAME_PARAMETERS), parametrised),
    *wrong("simulate", given(SIMULATED), lambda b, v: b.model.simulate(frame(), v)),
    *wrong("estimator", given(ESTIMATORS), ends_in, lambda b, e: log_density(e, frame(), Y), lambda b, e: neg_crps(e, frame(), Y)),
    *wrong("sample_y", given({"-1": (-1, ValueError, "n_samples.*-1"), "1.5": (1.5, ValueError, "n_samples.*1.5"), "text": ("a", ValueError, "n_samples.*'a'"), "NaN": (np.nan, ValueError, "n_samples.*nan")}), sampled),
    *[
        Case("one draw", what, [lambda b, ask=ask: ask(regressor(draws=1, chains=1).fit(frame(), Y).intervene(frame(), {"price": 0}))], error=ValueError, message="one draw has no standard deviation")
        for what, ask in {"std": Outcomes.std, "summary": Outcomes.summary}.items()
    ],
]  # fmt: skip
