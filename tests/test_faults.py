"""Faults: interrupts, full caches, threads, long runs, and text that is code."""

import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from conftest import slow
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import SplineTransformer, StandardScaler

import interventional
from interventional import BayesianInterventionRegressor, CausalGraph, fitting
from interventional import estimator as estimator_module
from interventional.inference import engines, exact, laplace, nuts, scale_priors
from interventional.intervention import compiled, forward
from interventional.scm.compiling import StructureCache

N = 40
poor_approximation = pytest.mark.filterwarnings(
    "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
)
SOURCE = Path(interventional.__file__).parent


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b", "c"])
    X["city"] = rng.choice(["oslo", "rome"], N)
    return X, pd.Series(X["a"] - X["b"] + 0.3 * rng.normal(size=N), name="y")


def estimator(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 25, "chains": 2, "tune": 25, "random_state": 0, **parameters}
    )


def answers(model, X):
    """What a model says, to the last bit."""
    return [
        model.predict(X),
        model.intervene(X, {"a": 0.5}, kind="predictive").draws.values,
        model.effect(X, {"b": lambda X: X["b"] + 1}).draws.values,
    ]


def assert_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# --- Interrupts ---------------------------------------------------------------------------------


def interrupted(*args, **kwargs):
    raise KeyboardInterrupt


def whatever_was_drawn(build, numbers, key, sampling, label):
    """In the place of a sampler: as many draws as were asked for."""
    shape = (sampling.chains, sampling.draws)
    names = {"y_beta": (4,), "y_intercept": (), "y_sigma": ()}
    return {name: np.zeros((*shape, *more)) for name, more in names.items()}, {}, "none", []


# Where a fit is interrupted, and under which engine.
STAGES = {
    "before any number": (estimator_module, "draft", "exact"),
    "the statistics": (estimator_module.Accumulated, "of", "exact"),
    "the model": (fitting, "specify", "exact"),
    "the density of sigma": (engines, "of_sigma", "exact"),
    "the draws": (exact, "draw", "exact"),
    "the result": (fitting, "Fitted", "exact"),
    "the mode": (laplace, "sample", "laplace"),
    "the sampler": (nuts, "sample", "nuts"),
    "after the sampler": (fitting, "Fitted", "nuts"),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_interrupt_leaves_the_estimator_as_it_was(data, stage, method, monkeypatch):
    """And the next fit is as if nothing had happened."""
    X, y = data
    where, name, inference = STAGES[stage]
    model = estimator().fit(X, y)
    new = estimator(inference=inference)
    expected, before = answers(model, X), set(vars(new))
    model.set_params(inference=inference)
    with monkeypatch.context() as patch:
        if inference == "nuts":
            patch.setattr(nuts, "sample", whatever_was_drawn)
        patch.setattr(where, name, interrupted)
        for each in (model, new):
            with pytest.raises(KeyboardInterrupt):
                getattr(each, method)(X, 2 * y)
    assert set(vars(new)) == before
    assert not hasattr(new, "idata_")
    model.set_params(inference="auto")
    new.set_params(inference="auto")
    assert_same(answers(model, X), expected)
    assert_same(answers(new.fit(X, y), X), expected)
    assert_same(answers(model.fit(X, y), X), expected)


def test_an_interrupt_during_a_question(data, monkeypatch):
    """No half of an answer is kept."""
    X, y = data
    model = estimator(graph="a -> b -> y; a -> y").fit(X[["a", "b"]], y)
    expected = answers(model, X[["a", "b"]])
    before = {name: id(value) for name, value in vars(model).items()}
    with monkeypatch.context() as patch:
        patch.setattr(forward.Answer, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.intervene(X[["a", "b"]], {"a": 0.0}, kind="predictive")
    assert {name: id(value) for name, value in vars(model).items()} == before
    assert_same(answers(model, X[["a", "b"]]), expected)


LONG_FIT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
import numpy as np
from interventional import BayesianInterventionRegressor as Regressor
rng = np.random.default_rng(0)
X = rng.normal(size=(50, 2))
y = X @ [1.0, -2.0] + rng.normal(size=50)
model = Regressor(random_state=0, draws=50, chains=2).fit(X, y)
before = model.predict(X)
model.set_params(inference="nuts", draws=50_000_000, chains=1, family="student_t")
print("fitting", flush=True)
try:
    model.fit(X, y)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    np.testing.assert_array_equal(model.predict(X), before)
    model.set_params(inference="auto", draws=50, chains=2, family="gaussian").fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    print("as before", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_control_c_in_a_long_fit():
    """A real SIGINT while NUTS runs, or while it is being compiled."""
    program = [sys.executable, "-W", "ignore", "-c", LONG_FIT]
    run = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    with ThreadPoolExecutor() as pool, run:
        try:
            assert run.stdout.readline() == "fitting\n"
            time.sleep(1)
            said = pool.submit(run.stdout.readline)
            while not said.done():  # a compiler's callback may swallow one
                run.send_signal(signal.SIGINT)
                wait([said], timeout=10)
            assert said.result() == "as before\n"
            assert run.wait() == 0
        finally:
            run.kill()


# --- Caches and threads -------------------------------------------------------------------------


def test_a_cache_that_overflows_while_threads_use_it():
    """Each gets what belongs to its key, and no more is kept than there is room for."""
    cache = StructureCache(3)

    def ask(k):
        key = k * 7 % 11
        return cache.get(key, lambda: ("built for", key)) == ("built for", key)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(4000)))
    assert len(cache._kept) == 3


PARALLEL = {
    "exact": {},
    "laplace": {"inference": "laplace", "family": "student_t"},
    "design": {"design": SplineTransformer(n_knots=4)},
}


@poor_approximation
@pytest.mark.parametrize("kind", ["exact", slow("laplace"), slow("design")])
def test_eight_at_once_are_as_one_after_another(data, kind):
    """Fits of eight data sets, and questions of one model, to the last bit."""
    X, y = data
    X = X[["a", "b", "c"]]
    sets = [(X + k, y * (k + 1)) for k in range(8)]

    def alone(pair):
        return answers(estimator(**PARALLEL[kind]).fit(*pair), pair[0])

    serial = [alone(pair) for pair in sets]
    shared = estimator(**PARALLEL[kind]).fit(X, y)
    asked = [shared.intervene(X, {"a": float(k)}).draws.values for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        fits = pool.map(alone, sets)
        questions = pool.map(lambda k: shared.intervene(X, {"a": float(k)}).draws.values, range(8))
        for found, expected in zip(fits, serial, strict=True):
            assert_same(found, expected)
        assert_same(questions, asked)


# --- Long runs ----------------------------------------------------------------------------------


def resident():
    """Memory that this process holds, in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


@pytest.mark.slow
@poor_approximation
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as on Linux")
def test_500_fits_hold_memory_flat(data):
    X, y = data
    X, counts = X[["a", "b", "c"]], np.random.default_rng(0).poisson(3, N)

    def once(k):
        model = estimator().fit(X + k, y)
        model.intervene(X, {"a": 0.5}).summary()
        if k % 10 == 0:
            estimator(family="poisson", inference="laplace").fit(X, counts).effect(X, {"a": 0.5})

    for k in range(100):
        once(k)
    before = resident()
    for k in range(400):
        once(k)
    assert resident() - before < 20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as on Linux")
def test_structures_without_number_hold_no_more_than_the_caches(data):
    """What is compiled for one structure goes when others come."""
    X, y = data
    caches = [scale_priors._compiled]

    def another(k):
        renamed = X[["a", "b"]].rename(columns={"a": f"column{k}"})
        estimator().fit(renamed, y).intervene(renamed, {f"column{k}": 0.0})

    for k in range(60):
        another(k)
    assert all(len(cache._kept) <= cache._size for cache in caches)
    assert compiled.compiled.cache_info().currsize <= 64
    small = StructureCache(5)
    for k in range(60):
        small.get(k, lambda k=k: np.zeros(1 << 17) + k)  # a megabyte each
    before = resident()
    for k in range(60, 300):
        small.get(k, lambda k=k: np.zeros(1 << 17) + k)
    assert len(small._kept) == 5
    assert resident() - before < 20


# --- Text is text -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"graph": "a -> b -> y; a -> y; c -> y; u -> b; u -> y"},
        {"graph": {"y": ["a", "city"], "city": ["a"]}, "inference": "laplace"},
        {"family": "lognormal"},
        {"family": "student_t", "inference": "laplace"},
        {"groups": {"city": ["a"]}, "unseen_levels": "population"},
        {"design": {"y": StandardScaler()}, "graph": "a -> y; c -> y"},
        {"priors": "ridge"},
    ],
    ids=["graph", "categorical", "lognormal", "student", "unseen", "design", "ridge"],
)
@poor_approximation
def test_skops_needs_no_trust_beyond_ours(data, parameters):
    """Not even after questions were asked, and the answers are the same."""
    X, y = data
    y = np.exp(y) if parameters.get("family") == "lognormal" else y
    model = estimator(**parameters).fit(X, y)
    asked = X.assign(city="bern") if "unseen_levels" in parameters else X
    expected = model.intervene(asked, {"a": 0.5}).draws.values
    blob = skops.io.dumps(model)
    ours = [name for name in skops.io.get_untrusted_types(data=blob)]
    assert all(name.startswith("interventional.") for name in ours), ours
    again = skops.io.loads(blob, trusted=ours)
    np.testing.assert_array_equal(again.intervene(asked, {"a": 0.5}).draws.values, expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_a_name_that_pymc_takes_for_a_path(data):
    """A column may have it, and answers are the same; a node of a graph may not."""
    X, y = data
    X = X[["a", "b"]]
    slashed = X.rename(columns={"a": "km/h"})
    plain, model = estimator().fit(X, y), estimator().fit(slashed, y)
    expected = plain.intervene(X, {"a": 0.0}).draws
    np.testing.assert_array_equal(model.intervene(slashed, {"km/h": 0.0}).draws, expected)
    for parameters in ({"outcome": "y/x"}, {"graph": [("b", "km/h"), ("km/h", "y")]}):
        with pytest.raises(ValueError, match=r"'(y/x|km/h)': no name in the model may hold a '/'"):
            estimator(**parameters).fit(slashed, y)


def test_no_text_is_evaluated_anywhere():
    """The package calls nothing that turns text into code, or bytes into objects."""
    import ast

    functions = {"eval", "exec", "compile", "__import__"}
    methods = {"loads", "load", "literal_eval", "read_pickle"}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                assert node.id not in functions, f"{path.name}, line {node.lineno}: {node.id}"
            if isinstance(node, ast.Attribute):
                assert node.attr not in methods, f"{path.name}, line {node.lineno}: {node.attr}"


class Ran(BaseException):
    """Code that was given as text has been run."""


def tripwire():
    raise Ran


CODE = [
    "__import__('interventional')._tripwire()",
    "{0.__class__.__mro__}",
    "a'); __import__('interventional')._tripwire(); ('",
    "${jndi:ldap:x}",
    "cos\nsystem\n(S'true'\ntR.",
    "!!python.object.apply:os.system ['true']",
]


@poor_approximation
@pytest.mark.parametrize("code", CODE)
def test_code_for_names_is_a_name(data, code, monkeypatch):
    """As a column, a level, an outcome, a node; as a family or a graph it is refused."""
    monkeypatch.setattr(interventional, "_tripwire", tripwire, raising=False)
    X, y = data
    first = X[["a", "city"]].astype({"city": "category"})
    X = first.rename(columns={"a": code})
    X["city"] = X["city"].cat.rename_categories({"oslo": code})
    plain = estimator().fit(first, y)
    model = estimator(graph=[(code, "city"), (code, "out"), ("city", "out")], outcome="out")
    model.set_params(inference="laplace").fit(X, y)
    assert np.isfinite(model.intervene(X, {code: 0.0}).mean()).all()
    again = estimator().fit(X, y)
    np.testing.assert_allclose(
        again.intervene(X, {"city": "rome"}).mean(),
        plain.intervene(first, {"city": "rome"}).mean(),
    )
    assert len(again.predict(X)) == N
    named = estimator(outcome=code + "!").fit(X, y)
    assert code in named.intervene(X, {"city": "rome"}).estimand
    for parameters in (
        {"family": code},
        {"inference": code},
        {"priors": code},
        {"exposure": code},
    ):
        with pytest.raises((TypeError, ValueError)):
            estimator(**parameters).fit(X, y)
    for ask in (CausalGraph, lambda graph: estimator(graph=graph).fit(X, y)):
        with contextlib.suppress(TypeError, ValueError):
            ask(code)


@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(st.lists(st.sampled_from([*CODE, "a", "->", "<->", ";", "digraph {", "}", '"', "'", "\\"])))
def test_code_within_graphs(parts):
    interventional._tripwire = tripwire
    try:
        with contextlib.suppress(TypeError, ValueError):
            graph = CausalGraph(" ".join(parts))
            assert CausalGraph(graph) == graph
    finally:
        del interventional._tripwire
