"""Properties that hold whatever the numbers, names and graphs are: hypothesis looks for others."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import assert_same_mean
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from interventional import BayesianInterventionRegressor, CausalGraph, Outcomes, numbers

settings.register_profile("fixed", derandomize=True, deadline=None, database=None, max_examples=25)
FIXED = settings.get_profile("fixed")
FEW = settings(FIXED, max_examples=8)
N, COLUMNS = 30, ["a", "b", "c"]
POSTERIOR = {"posterior": "p"}


def regressor(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 20, "chains": 2, "random_state": 0, **parameters}
    )


def rows(seed, n=N):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=COLUMNS)
    y = X @ rng.normal(size=3) + 0.5 * rng.normal(size=n)
    return X, y


@pytest.fixture(scope="module")
def fitted():
    X, y = rows(1)
    return regressor().fit(X, y), X


def close(found, expected, rtol=1e-9, atol=1e-9):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol, atol=atol)


# --- Outcomes -----------------------------------------------------------------------------------

sizes = st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(1, 6))
moderate = st.floats(-1e6, 1e6, allow_nan=False, width=32)
probabilities = st.floats(0.01, 0.99)
seeds = st.integers(0, 1 << 16)


@st.composite
def pairs(draw):
    """Two outcomes of the same rows and draws, and the arrays that they hold."""
    shape = draw(sizes)
    values = [draw(arrays(float, shape, elements=moderate)) for _ in range(2)]
    dims = ("chain", "draw", "obs")
    both = [Outcomes(xr.DataArray(v, dims=dims, attrs=POSTERIOR), "y") for v in values]
    return *both, *(v.reshape(-1, shape[-1]) for v in values)


@FIXED
@given(pairs())
def test_differences(both):
    a, b, left, right = both
    assert not (a - a).draws.values.any()
    close((a - b).draws.values.reshape(left.shape), left - right)
    close((a - b).mean() + b.mean(), a.mean(), atol=1e-6)
    close((a - b).mean(), -(b - a).mean())
    close((a - b).average().draws, a.average().draws - b.average().draws, atol=1e-6)
    close((a - b).std(), (left - right).std(axis=0, ddof=1), atol=1e-6)


@FIXED
@given(pairs(), seeds)
def test_averages(both, seed):
    a, _, values, _ = both
    rng = np.random.default_rng(seed)
    n = values.shape[1]
    weights, codes = rng.integers(1, 5, n), rng.integers(0, 3, n)
    weighted = a.average(weights).draws.values.ravel()
    close(weighted, values @ weights / weights.sum(), atol=1e-6)
    close(weighted, values.repeat(weights, axis=1).mean(axis=1), atol=1e-6)
    close(a.average(1000.0 * weights).draws.values.ravel(), weighted, atol=1e-6)
    grouped = a.average(weights, by=codes)
    for k, code in enumerate(np.unique(codes)):
        own = codes == code
        expected = values[:, own] @ weights[own] / weights[own].sum()
        close(grouped.draws.values[..., k].ravel(), expected, atol=1e-6)
    shares = np.bincount(codes, weights)[np.unique(codes)]
    close(grouped.average(shares).draws.values.ravel(), weighted, atol=1e-6)
    close(a.average(by=np.arange(n)).mean(), a.mean())


OPERATIONS = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "max": np.maximum,
}


@st.composite
def formulas(draw):
    """A formula of two outcomes, as a function, with numbers and numbers a row in it."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(list(OPERATIONS)),
                st.sampled_from(["number", "array", "Series", "other", "average", "sum"]),
                st.booleans(),
                st.floats(-3, 3, width=32),
            ),
            min_size=1,
            max_size=4,
        )
    )
    seed = draw(seeds)

    def formula(a, b, is_draws):
        """Return it of outcomes, or of their draws, (draws, rows)."""
        rng = np.random.default_rng(seed)
        for sign, kind, is_first, number in steps:
            n = b.shape[1] if is_draws else len(b)
            own = rng.uniform(-3, 3, size=n)
            other = {"number": number, "array": own, "Series": own, "other": b}.get(kind)
            if kind == "Series" and not is_draws:
                other = pd.Series(own).sample(frac=1, random_state=seed)
            if kind == "average":
                other = b.mean(axis=1, keepdims=True) if is_draws else b.average()
            if kind == "sum":
                other = b.sum(axis=1, keepdims=True) if is_draws else b.sum()
            pair = (other, a) if is_first else (a, other)
            a = OPERATIONS[sign](*pair)
        return a

    return formula


@FIXED
@given(pairs(), formulas(), st.integers(1, 40), st.sampled_from([0, 1 << 24]))
def test_arithmetic(both, formula, block, at_once):
    """It is that of the draws, whatever is computed at a time; a Series goes by its index."""
    a, b, left, right = both
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "BLOCK", block)
        patch.setattr(numbers, "CHUNK", 2 * block)
        patch.setattr(numbers, "AT_ONCE", at_once)
        found, expected = formula(a, b, False), formula(left, right, True)
        scale = max(1.0, np.abs(expected).max())
        close(found.mean(), expected.mean(axis=0), atol=1e-9 * scale)
        close(found.sum().draws.values.ravel(), expected.sum(axis=1), atol=1e-8 * scale)
        close(found.quantile(0.3), np.quantile(expected, 0.3, axis=0), atol=1e-9 * scale)
        close(found.draws.values.reshape(expected.shape), expected, atol=1e-9 * scale)
        some = np.arange(len(b))[::-2]
        close(found[some].to_frame(), expected[:, some], atol=1e-9 * scale)


@FIXED
@given(pairs(), st.floats(1e-3, 1e3), seeds)
def test_arithmetic_respects_units(both, factor, seed):
    """Cents are a hundred times euros, before and after; ratios have no unit."""
    a, b, left, _ = both
    cost = np.random.default_rng(seed).uniform(1, 2, size=left.shape[1])
    scale = factor * np.abs(left).max() + 1
    money = factor * (a - b) * cost
    close(money.mean(), factor * (a - b).mean() * cost, atol=1e-9 * scale)
    close(money.std(), ((a - b) * cost).std() * factor, atol=1e-9 * scale)
    close(money.sum().mean(), factor * ((a - b).mean() * cost).sum(), atol=1e-8 * scale)
    above = a.map(np.abs) + 1
    ratio = (factor * above) / (factor * above.average())
    close(ratio.draws, (above / above.average()).draws)
    close((above / factor * factor).draws, above.draws)
    close(a.average(cost).draws * cost.sum(), a.sum(cost).draws, atol=1e-6 * scale)


@FIXED
@given(st.sampled_from([-2.0, 0.5, 3.0]), seeds, st.integers(1, 60))
def test_closed_forms_are_the_draws(fitted, factor, seed, block):
    """Of a fitted model whose draws are never held, and of one whose draws are."""
    model, X = fitted
    cost = pd.Series(np.random.default_rng(seed).normal(size=N), index=X.index, name="cost")

    def money():
        a, b = (model.intervene(X, {"a": value}) for value in (0.0, lambda X: X["b"] + 1))
        answer = cost * (b - factor * a) / 2 - (factor + a) + np.where(X["c"] > 0, a, cost)
        mean, sd = answer.mean(), answer.std()
        total = answer.sum(by=X["c"] > 0).draws.values.ravel()
        share = (answer - answer.average()).std()
        return np.concatenate([mean, sd, total, share, answer[[3, 1]].std()])

    expected = money()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "AT_ONCE", 0)
        patch.setattr(numbers, "BLOCK", block)
        patch.setattr("interventional.answers.composed.Applied.block", None)  # is not needed
        close(money(), expected)


@FIXED
@given(pairs(), probabilities, probabilities, st.sampled_from(["eti", "hdi"]))
def test_quantiles_intervals_and_probabilities(both, p, q, kind):
    a, _, values, _ = both
    p, q = sorted((p, q))
    n_draws = len(values)
    close(a.quantile([p, q]), np.quantile(values, [p, q], axis=0).T)
    assert (a.quantile(p) <= a.quantile(q) + 1e-9).all()
    inner, outer = a.interval(p, kind), a.interval(q, kind)
    assert (inner[:, 0] <= inner[:, 1]).all()
    assert (np.diff(inner) <= np.diff(outer) + 1e-9).all()
    if kind == "eti":
        assert (outer[:, 0] <= inner[:, 0] + 1e-9).all()
        assert (inner[:, 1] <= outer[:, 1] + 1e-9).all()
    end = float(np.median(values))
    above, below = a.probability(above=end), a.probability(below=end)
    close(above + below + (values == end).mean(axis=0), 1.0)
    close(above * n_draws, (values > end).sum(axis=0))
    assert (a.probability(above=end) <= a.probability(above=end - 1.0)).all()
    inside = (values > end - 1) & (values < end + 1)
    close(a.probability(above=end - 1, below=end + 1), inside.mean(axis=0))
    summary = a.summary(q, kind)
    parts = [a.mean(), a.std(), *outer.T]
    for column, part in zip(summary.columns, parts, strict=True):
        close(summary[column], part)


# --- What is forced -----------------------------------------------------------------------------


@FEW
@given(st.floats(-100, 100), st.permutations(COLUMNS), seeds)
def test_forms_and_order_of_do(fitted, value, order, seed):
    """A number, an array, a Series, a callable and a point mass force the same."""
    model, X = fitted
    others = np.random.default_rng(seed).normal(size=N)
    first, second, _ = order
    forms = [
        value,
        np.float64(value),
        np.full(N, value),
        [value] * N,
        pd.Series(value, index=X.index),
        lambda X: value,
        lambda X: X[first] * 0 + value,
        stats.norm(value, 0.0),
        stats.uniform(np.full(N, value), 0.0),
    ]
    expected = model.intervene(X, {first: value, second: others}).draws
    shuffled = pd.Series(others, index=X.index).sample(frac=1, random_state=seed)
    for form in forms:
        for do in ({first: form, second: shuffled}, {second: others, first: form}):
            close(model.intervene(X, do).draws, expected)
    observed = model.intervene(X, {first: X[first]})
    effect = model.intervene(X, {first: value}) - observed
    close(model.effect(X, {first: value}).draws, effect.draws)
    # all entries read X as it was
    swap = {first: lambda X: X[second], second: lambda X: X[first]}
    swapped = X.assign(**{first: X[second], second: X[first]})
    close(model.intervene(X, swap).mean(), model.predict(swapped))


# --- Graphs -------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=6)


@st.composite
def graphs(draw):
    """Names in a causal order, edges along it, and confounded pairs."""
    nodes = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    every = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
    edges = draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    pairs = draw(st.lists(st.sampled_from(every), unique=True, max_size=3))
    return edges, pairs


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@FIXED
@given(graphs(), st.randoms(use_true_random=False))
def test_graphs_there_and_back(graph, random):
    """Text, edges and networkx say the same; no order of statements matters."""
    edges, pairs = graph
    statements = [f"{quoted(a)} -> {quoted(b)}" for a, b in edges]
    statements += [f"{quoted(a)} <-> {quoted(b)}" for a, b in pairs]
    parsed = CausalGraph("; ".join(statements))
    assert set(parsed.edges) == set(edges)
    assert {frozenset(pair) for pair in parsed.confounded} == set(map(frozenset, pairs))
    turned = [f"{quoted(b)} <- {quoted(a)}" for a, b in edges]
    turned += [f"{quoted(b)} <-> {quoted(a)}" for a, b in pairs]
    random.shuffle(turned)
    assert CausalGraph("\n".join(turned)) == parsed
    assert CausalGraph(parsed) == parsed
    assert eval(repr(parsed), {"CausalGraph": CausalGraph}) == parsed
    place = {node: k for k, node in enumerate(parsed.nodes)}
    assert all(place[a] < place[b] for a, b in edges)
    directed = CausalGraph(edges)
    assert CausalGraph(nx.DiGraph(edges)) == directed
    assert CausalGraph({b: [a for a, c in edges if c == b] for _, b in edges}) == directed
    assert CausalGraph(directed.to_networkx()) == directed
    for node in directed.nodes:
        assert directed.ancestors(node) == nx.ancestors(nx.DiGraph(edges), node)
        assert directed.descendants(node) == nx.descendants(nx.DiGraph(edges), node)


PIECES = [*"ab;,{}[]=é#", "->", "<->", "<-", "--", '"', "'", "\\", "//", "/*", "*/"]
PIECES += ["digraph", "graph", "dir=both"]
pieces = st.sampled_from([*PIECES, "\n"])


@settings(FIXED, max_examples=150)
@given(st.one_of(st.text(max_size=20), st.lists(pieces, max_size=12).map(" ".join)))
def test_any_text_is_a_graph_or_an_error(text):
    try:
        graph = CausalGraph(text)
    except (TypeError, ValueError):
        return
    assert graph.nodes
    assert CausalGraph(graph) == graph


# --- Blocks, batches, orders, units, weights ----------------------------------------------------


@pytest.mark.parametrize("kind", ["mean", "predictive"])
@FEW
@given(block=st.integers(1, 400), at_once=st.sampled_from([1, 100, 1 << 24]))
def test_blocks(fitted, kind, block, at_once):
    """What is computed at a time, or held, does not show."""
    model, X = fitted
    do = {"a": lambda X: X["b"], "b": 1.0}

    def ask():
        o = model.intervene(X, do, kind=kind)
        e = model.effect(X, do, kind=kind)
        groups = X["c"] > 0
        parts = [o.mean(), o.std(), o.interval(0.8, "eti").ravel(), o.probability(above=0.0)]
        parts += [e.mean(), e.average().draws, e.average(by=groups).std(), o.draws]
        return np.concatenate([np.ravel(part) for part in parts])

    expected = ask()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "BLOCK", block)
        patch.setattr(numbers, "AT_ONCE", at_once)
        close(ask(), expected)


@FEW
@given(chunk=st.integers(1, 200))
def test_chunks_of_expectations(fitted, chunk):
    """Chunks decide what noise is drawn, and expectations have none."""
    model, X = fitted
    expected = model.effect(X, {"a": 1.0}).draws
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "CHUNK", chunk)
        patch.setattr(numbers, "AT_ONCE", 1)
        close(model.effect(X, {"a": 1.0}).draws, expected)


@FEW
@given(seeds, st.lists(st.integers(1, N - 1), unique=True, max_size=4))
def test_batches(seed, cuts):
    X, y = rows(seed)
    whole, parts = regressor().fit(X, y), regressor()
    ends = [0, *sorted(cuts), N]
    for start, stop in pairwise(ends):
        parts.partial_fit(X[start:stop], y[start:stop])
    close(parts.predict(X), whole.predict(X), rtol=1e-7, atol=1e-7)
    close(parts.intervene(X, {"a": 1}).draws, whole.intervene(X, {"a": 1}).draws, 1e-6, 1e-6)


@FEW
@given(seeds)
def test_order_of_rows(seed):
    X, y = rows(seed)
    order = np.random.default_rng(seed).permutation(N)
    model, other = regressor().fit(X, y), regressor().fit(X.iloc[order], y.iloc[order])
    expected = model.effect(X, {"a": 1.0})
    close(other.effect(X, {"a": 1.0}).draws, expected.draws, 1e-7, 1e-7)
    answer = model.effect(X.iloc[order], {"a": 1.0})
    close(answer.mean(), expected.mean()[order])
    close(answer.average().draws, expected.average().draws)
    assert list(answer.summary().index) == list(X.index[order])


@FEW
@given(seeds, st.permutations(COLUMNS))
def test_order_of_columns(seed, order):
    """The draws are others; what they are drawn from is the same."""
    X, y = rows(seed)
    model = regressor(draws=400).fit(X, y)
    other = regressor(draws=400, random_state=1).fit(X[order], y)
    do = {"a": 1.0, "c": 0.0}
    ours, theirs = (m.effect(X[c], do).average() for m, c in ((model, COLUMNS), (other, order)))
    assert_same_mean(ours.draws.values.ravel(), theirs.draws.values.ravel())


factors = st.floats(1e-6, 1e6)
shifts = st.floats(-100, 100)


@FEW
@given(seeds, factors, shifts, factors, shifts)
def test_units(seed, x_factor, x_shift, y_factor, y_shift):
    """Default priors follow the scale of the data: other units, the same answers in them."""
    X, y = rows(seed)
    here = regressor().fit(X, y)
    there = X.assign(a=x_factor * (X["a"] + x_shift))
    model = regressor().fit(there, y_factor * (y + y_shift))
    effect = here.effect(X, {"a": lambda X: X["a"] + 1, "b": 0.0})
    other = model.effect(there, {"a": lambda X: X["a"] + x_factor, "b": 0.0})
    scale = np.abs(effect.draws).max().item()
    close(other.draws / y_factor, effect.draws, rtol=1e-5, atol=1e-5 * scale)
    predicted = model.predict(there) / y_factor - y_shift
    close(predicted, here.predict(X), rtol=1e-5, atol=1e-5 * (1 + abs(y_shift)))
    assert model.score(there, y_factor * (y + y_shift)) == pytest.approx(
        here.score(X, y), abs=1e-6
    )


@FEW
@given(seeds)
def test_weights_are_repeated_rows(seed):
    X, y = rows(seed)
    weights = np.random.default_rng(seed).integers(0, 4, N)
    assume(weights.sum() > 5)
    weighted = regressor().fit(X, y, weights)
    repeated = regressor().fit(X.loc[X.index.repeat(weights)], y.repeat(weights))
    do = {"a": 1.0, "b": lambda X: X["c"]}
    ours, theirs = weighted.effect(X, do), repeated.effect(X, do)
    close(ours.draws, theirs.draws, 1e-6, 1e-6)
    many = repeated.effect(X.loc[X.index.repeat(weights)], do).average()
    close(ours.average(weights).draws, many.draws, 1e-6, 1e-6)
