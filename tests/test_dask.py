"""Dask: the posterior and the answers of rows in partitions are those of the rows in memory."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from conftest import assert_same_mean
from sklearn.preprocessing import SplineTransformer

from interventional import (
    BayesianInterventionRegressor,
    NoMeanWarning,
    NotIdentifiedError,
    intervene,
    numbers,
)

dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")
da = pytest.importorskip("dask.array")

N, PARTITIONS = 600, 7


@pytest.fixture(scope="module", autouse=True)
def in_this_thread():
    """Most tests need no workers."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "city": rng.choice(["york", "bath", "hull"], N),
            "size": pd.Categorical(rng.choice(["S", "M"], N), ["S", "M", "L"]),
        },
        index=np.arange(N) * 2,
    )
    y = (2 * X["a"] + (X["city"] == "bath") + rng.normal(size=N)).rename("y")
    return X, y


@pytest.fixture(scope="module")
def in_dask(rows):
    X, y = rows
    return dd.from_pandas(X, npartitions=PARTITIONS), dd.from_pandas(y, npartitions=PARTITIONS)


def new(**parameters):
    return BayesianInterventionRegressor(draws=100, chains=2, random_state=0, **parameters)


@pytest.fixture(scope="module")
def models(rows, in_dask):
    return new().fit(*in_dask), new().fit(*rows)


def assert_same_draws(one, other):
    for name, draws in other.idata_["posterior"].data_vars.items():
        np.testing.assert_allclose(one.idata_["posterior"][name], draws, rtol=1e-8, atol=1e-10)


def test_same_posterior_as_in_memory(models, in_dask, rows):
    there, here = models
    assert_same_draws(there, here)
    np.testing.assert_array_equal(there.feature_names_in_, here.feature_names_in_)
    assert there.n_features_in_ == 3
    predicted = there.predict(in_dask[0])
    assert isinstance(predicted, dd.Series)
    pd.testing.assert_series_equal(
        predicted.compute(), pd.Series(here.predict(rows[0]), rows[0].index)
    )


def test_weights_and_a_graph(rows, in_dask):
    X, y = rows
    weights = pd.Series(np.random.default_rng(1).integers(1, 4, N), X.index)
    graph = "city -> a; a -> y; city -> y"
    there = new(graph=graph).fit(*in_dask, dd.from_pandas(weights, npartitions=PARTITIONS))
    assert_same_draws(there, new(graph=graph).fit(X, y, weights))


def test_arrays_cut_through_their_columns():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 3))
    y = X.sum(axis=1) + rng.normal(size=200)
    cut, cut_y = da.from_array(X, chunks=(60, 2)), da.from_array(y, chunks=60)
    there, here = new().fit(cut, cut_y), new().fit(X, y)
    assert_same_draws(there, here)
    np.testing.assert_allclose(there.predict(cut).compute(), here.predict(X))
    found = there.intervene(cut, {"x1": 0.0})
    expected = here.intervene(X, {"x1": 0.0})
    np.testing.assert_allclose(found.mean().compute(), expected.mean())
    np.testing.assert_allclose(found.average().mean(), expected.average().mean())


def test_batches_of_partitions_add_up(rows, in_dask):
    X, y = rows
    half = slice(0, 300)
    model = new().partial_fit(X[half], y[half])
    rest = (dd.from_pandas(part[300:], npartitions=3) for part in (X, y))
    assert_same_draws(model.partial_fit(*rest), new().fit(X, y))


def test_empty_partitions_are_no_matter(models, in_dask, rows):
    there, here = models
    (X, y), (cut, cut_y) = rows, in_dask
    late = X.index > 700
    kept = new().fit(*(part.map_partitions(lambda p: p[p.index > 700]) for part in (cut, cut_y)))
    assert_same_draws(kept, new().fit(X[late], y[late]))
    first = dd.from_pandas(X, npartitions=PARTITIONS)
    first = first.map_partitions(lambda part: part[part.index < 100])
    assert len(there.intervene(first, {"a": 1.0}).summary().compute()) == 50
    average = there.intervene(first, {"a": 1.0}).average()
    expected = here.intervene(X[X.index < 100], {"a": 1.0}).average()
    np.testing.assert_allclose(average.draws, expected.draws)


DO = {"a": lambda X: X["a"].clip(lower=0), "city": "bath"}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("by", [None, "size", "city"])
def test_averages_are_those_in_memory(models, in_dask, rows, by, weighted):
    there, here = models
    weights = rows[0]["a"].abs() if weighted else None
    in_parts = in_dask[0]["a"].abs() if weighted else None
    found = there.intervene(in_dask[0], DO).average(in_parts, by)
    expected = here.intervene(rows[0], DO).average(weights, by)
    assert found.estimand == expected.estimand
    pd.testing.assert_frame_equal(found.summary(), expected.summary())
    np.testing.assert_allclose(found.draws, expected.draws)


def test_rows_come_back_as_dask(models, in_dask, rows):
    there, here = models
    found, expected = there.intervene(in_dask[0], DO), here.intervene(rows[0], DO)
    summary = found.summary(prob=0.9, kind="hdi")
    assert isinstance(summary, dd.DataFrame)
    pd.testing.assert_frame_equal(summary.compute(), expected.summary(prob=0.9, kind="hdi"))
    np.testing.assert_allclose(found.interval().compute(), expected.interval())
    np.testing.assert_allclose(found.std().compute(), expected.std())
    np.testing.assert_allclose(found.quantile(0.3).compute(), expected.quantile(0.3))
    np.testing.assert_allclose(found.probability(above=1).compute(), expected.probability(above=1))


def test_effects_and_contrasts_pair_draw_by_draw(models, in_dask, rows):
    there, here = models
    found = there.effect(in_dask[0], DO).average()
    expected = here.effect(rows[0], DO).average()
    np.testing.assert_allclose(found.draws, expected.draws)
    assert found.estimand == expected.estimand
    one, two = ({"a": value} for value in (1.0, 2.0))
    against = there.effect(in_dask[0], two, baseline=one, kind="predictive")
    sides = [there.intervene(in_dask[0], do, kind="predictive") for do in (two, one)]
    np.testing.assert_allclose(against.std().compute(), (sides[0] - sides[1]).std().compute())
    assert against.std().compute().max() < 0.2  # the noise of both sides is the same
    with pytest.warns(NoMeanWarning):
        ratio = (sides[0] / sides[0]).mean().compute()
    np.testing.assert_array_equal(ratio, 1.0)


FORMULAS = {
    "a number": lambda a, b, c: 3 - 2 * a,
    "numbers a row": lambda a, b, c: (a - b) * c - 1.5,
    "other outcomes": lambda a, b, c: a * b + a,
    "a single one": lambda a, b, c: a - b.average(),
    "functions": lambda a, b, c: np.exp(np.maximum(a, 0) / 10) ** -2,
    "any function": lambda a, b, c: (a + c).map(np.tanh),
    "chosen": lambda a, b, c: np.where(c, a, 0),
    "negative": lambda a, b, c: -abs(a),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_arithmetic_is_that_in_memory(models, in_dask, rows, monkeypatch, formula):
    there, here = models
    calculate = FORMULAS[formula]

    def asked(model, X):
        a, b = model.intervene(X, DO), model.intervene(X, {"a": 1.0})
        return calculate(a, b, X["a"] + 3)

    expected = asked(here, rows[0])
    for at_once in (numbers.AT_ONCE, 0):
        monkeypatch.setattr(numbers, "AT_ONCE", at_once)
        found = asked(there, in_dask[0])
        np.testing.assert_allclose(found.average().draws, expected.average().draws, rtol=1e-9)
        weights = rows[0]["a"].abs(), in_dask[0]["a"].abs()
        sums = expected.sum(weights[0], by="size"), found.sum(weights[1], by="size")
        np.testing.assert_allclose(sums[1].draws, sums[0].draws, rtol=1e-9)
        assert sums[1].summary().index.tolist() == sums[0].summary().index.tolist()
        table = found.summary([0.5, 0.9]).compute()
        pd.testing.assert_frame_equal(table, expected.summary([0.5, 0.9]), rtol=1e-9)
    assert found.estimand.replace("values", "c") == expected.estimand.replace("values", "c")


def test_arithmetic_with_what_is_not_in_partitions(models, in_dask, rows):
    there, here = models
    a = there.intervene(in_dask[0], DO)
    for other in (rows[0]["a"], np.ones(N), [1.0] * N, None, "a"):
        with pytest.raises(TypeError, match="outcomes of Dask rows combine with such, with num"):
            a * other
    with pytest.raises(TypeError, match="got Outcomes of 600 rows"):
        a - here.intervene(rows[0], DO)
    with pytest.raises(ValueError, match="two posteriors"):
        a - new(priors="ridge").fit(*rows).intervene(rows[0], DO).average()
    with pytest.raises(TypeError, match=r"goes after the sign, as in outcomes \* series"):
        in_dask[0]["a"] * a
    with pytest.raises(ValueError, match="7 partitions, what is given for them 2"):
        a * in_dask[0]["a"].repartition(npartitions=2)
    shifted = in_dask[0]["a"].map_partitions(lambda part: part.set_axis(part.index + 1))
    with pytest.raises(ValueError, match="its index is not that of the rows"):
        (a * shifted).average()
    with pytest.raises(ValueError, match="division by zero"):
        (a / 0).average()


@pytest.mark.parametrize("by", [None, "size"])
@pytest.mark.parametrize("method", ["intervene", "effect"])
def test_averages_of_partitions_that_are_never_held(
    models, in_dask, rows, monkeypatch, method, by
):
    """In closed form, intercept included, where a partition's draws are too many."""
    there, here = models
    expected = getattr(here, method)(rows[0], DO).average(by=by)
    monkeypatch.setattr("interventional.numbers.AT_ONCE", 0)
    found = getattr(there, method)(in_dask[0], DO).average(by=by)
    np.testing.assert_allclose(found.draws, expected.draws, rtol=1e-9)


@pytest.mark.parametrize(
    ("by", "weighted"),
    [(None, False), (None, True), ("third", False), ("third", True), ("a", False)],
)
def test_groups_and_weights_that_partitions_lack(models, rows, by, weighted):
    """Partitions without any weight, and groups that partitions have no row of."""
    there, here = models
    X = rows[0]
    more = X.assign(
        third=np.repeat(["late", "early", "never"], N // 3),
        weight=(np.arange(N) % 200 >= 150) * 1e-7,
    )
    parts = dd.from_pandas(more, npartitions=24)
    found, expected = (
        model.intervene(table[list(X)], DO).average(
            table["weight"] if weighted else None, None if by is None else table[by]
        )
        for model, table in ((there, parts), (here, more))
    )
    np.testing.assert_array_equal(found.draws["obs"], expected.draws["obs"])
    np.testing.assert_allclose(found.draws, expected.draws, rtol=1e-12)


def test_weights_of_zero_are_refused_as_in_memory(models, in_dask, rows):
    there, here = models
    (X, _), frame = rows, in_dask[0]
    for weights, by, message in (
        (lambda X: X["a"] * 0, None, "not all zero"),
        (
            lambda X: (X["city"] != "hull").astype(float),
            "city",
            "weights of group 'hull' are all zero",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            here.intervene(X, DO).average(weights(X), by)
        with pytest.raises(ValueError, match=message):
            there.intervene(frame, DO).average(weights(frame), by)


def test_e_values_are_of_what_they_are_of_in_memory():
    """A ratio of averages has one; a difference over an average, or averaged ratios, have none."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"t": rng.integers(0, 2, 400), "c": rng.normal(size=400)})
    y = (rng.random(400) < 1 / (1 + np.exp(0.5 - X["t"] - X["c"]))).astype(int)
    model = new(family="bernoulli", inference="laplace").fit(X, y)
    sides = {
        rows: [model.intervene(rows_of, {"t": t}) for t in (1, 0)]
        for rows, rows_of in (("memory", X), ("dask", dd.from_pandas(X, npartitions=2)))
    }
    ratios = [high.average() / low.average() for high, low in sides.values()]
    pd.testing.assert_frame_equal(ratios[0].e_value(), ratios[1].e_value())
    contrasts = [
        (lambda high, low: (high - low).average() / low.average(), r"\(average of .* - .*\) /"),
        (lambda high, low: (high / low).average(), "average of .* / "),
        (lambda high, low: ((high - low) / low).average(), r"average of \(.* - .*\) / "),
    ]
    for contrast, words in contrasts:
        found = [contrast(*pair) for pair in sides.values()]
        assert found[0].estimand == found[1].estimand
        for each in found:
            with pytest.raises(ValueError, match=f"that of a ratio of outcomes.*this is {words}"):
                each.e_value()
            with pytest.raises(ValueError, match="averages over rows; ask before you average"):
                _ = each.support


def test_each_partition_has_noise_of_its_own(models, in_dask, rows):
    """Else the noise of partitions would not average out: against the rows in memory."""
    there, here = models
    policy = {"a": scipy.stats.norm(0, 1)}
    found = there.intervene(in_dask[0], policy, kind="predictive").average().draws.values.ravel()
    expected = here.intervene(rows[0], policy, kind="predictive").average().draws.values.ravel()
    assert_same_mean(found, expected)
    np.testing.assert_allclose(found.std(), expected.std(), rtol=0.25)


def test_values_by_row_come_from_dask(models, in_dask, rows):
    there, here = models
    found = there.intervene(in_dask[0], {"a": in_dask[1]}).average()
    expected = here.intervene(rows[0], {"a": rows[1]}).average()
    np.testing.assert_allclose(found.draws, expected.draws)


def broken(rows, change):
    """Partitions of which the fourth is changed behind Dask's back."""
    X, _ = rows
    parts = np.array_split(np.arange(N), PARTITIONS)
    frames = [X.iloc[part] for part in parts]
    frames[3] = change(frames[3].copy())
    delayed = [dask.delayed(frame) for frame in frames]
    y = dd.from_delayed([dask.delayed(rows[1].iloc[part]) for part in parts], meta=rows[1])
    return dd.from_delayed(delayed, meta=X, verify_meta=False), y


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.assign(a=np.nan), "partition 3: Input X contains NaN: column 'a', row 0"),
        (lambda X: X.rename(columns={"a": "b"}), "partition 3: .* it lacks 'a'"),
        (lambda X: X.assign(b=1.0), "partition 3: .* it has 'b' besides"),
        (lambda X: X[["city", "a", "size"]], "partition 3: .* another order"),
        (lambda X: X[1:], "partition 3: Found input variables with inconsistent"),
        (
            lambda X: X.assign(a="few"),
            "column 'a' holds values of dtype str; before it was number",
        ),
    ],
)
def test_a_bad_partition_is_named(rows, change, message):
    model = new().fit(*rows)
    coefficients = model.coef_
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(*broken(rows, change))
    assert model.coef_ is coefficients


def test_what_cannot_be_answered_is_refused_at_the_call(models, in_dask, rows):
    there, _ = models
    X, y = in_dask
    with pytest.raises(ValueError, match="unknown column 'aa'; did you mean 'a'"):
        there.intervene(X, {"aa": 1.0})
    with pytest.raises(ValueError, match="unknown kind 'means'"):
        there.effect(X, {"a": 1.0}, kind="means")
    with pytest.raises(TypeError, match=r"do\['a'\]: X is a Dask collection"):
        there.intervene(X, {"a": np.zeros(N)})
    with pytest.raises(TypeError, match="y must be one too"):
        new().fit(X, rows[1])
    with pytest.raises(ValueError, match="X has 7 partitions, y 2"):
        new().fit(X, dd.from_pandas(rows[1], npartitions=2))
    with pytest.raises(TypeError, match="must be a Dask collection too; got ndarray"):
        there.intervene(X, {"a": 1.0}).average(np.ones(N))
    with pytest.raises(ValueError, match="the design of 'y' is fitted to all rows at once"):
        new(design=SplineTransformer()).fit(X[["a"]], y)
    hidden = new(graph="a -> y; a <-> y").fit(X, y)
    with pytest.raises(NotIdentifiedError):
        hidden.intervene(X, {"a": 1.0})


PATIENT = {"connect": "1h", "tcp": "1h"}  # a busy machine is no fault


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set(
            {"distributed.worker.daemon": False, "distributed.comm.timeouts": PATIENT}
        ),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as local,
        distributed.Client(local) as client,
        dask.config.set(scheduler=client),
    ):
        yield local


@pytest.mark.slow
def test_processes_of_a_cluster_give_the_same(cluster, rows, in_dask):
    there, here = new().fit(*in_dask), new().fit(*rows)
    assert_same_draws(there, here)
    found = there.intervene(in_dask[0], DO)
    pd.testing.assert_frame_equal(
        found.average().summary(), here.intervene(rows[0], DO).average().summary()
    )
    assert len(found.summary().compute()) == N


@pytest.mark.slow
def test_a_worker_killed_during_the_fit_changes_nothing(cluster, rows, tmp_path):
    X, y = rows
    parts = np.array_split(np.arange(N), 12)
    begun = tmp_path / "begun"

    def slowly(part):
        begun.touch()
        time.sleep(0.3)
        return X.iloc[part]

    def kill():
        while not begun.exists():
            time.sleep(0.05)
        os.kill(victim, signal.SIGKILL)

    frames = dd.from_delayed([dask.delayed(slowly)(part) for part in parts], meta=X)
    outcomes = dd.from_delayed([dask.delayed(y.iloc[part]) for part in parts], meta=y)
    victim = cluster.workers[0].pid
    killer = threading.Thread(target=kill)
    killer.start()
    model = new().fit(frames, outcomes)
    killer.join()
    # Its nanny notices a moment later, and may fail to start another: the fit needs none.
    for _ in range(6000):
        if all(nanny.pid != victim for nanny in cluster.workers.values()):
            break
        time.sleep(0.1)
    assert all(nanny.pid != victim for nanny in cluster.workers.values())
    assert_same_draws(model, new().fit(X, y))


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(11)
    X = pd.DataFrame(rng.normal(size=(90, 2)), columns=["a", "b"])
    y = X["a"] - X["b"] + rng.normal(size=90)
    model = BayesianInterventionRegressor(random_state=0, draws=50).fit(X, y)
    return X, dd.from_pandas(X, npartitions=3), model


def test_a_baseline_in_partitions(shop):
    X, rows, model = shop
    ours = model.effect(rows, {"a": rows["b"]}, {"a": rows["a"] / 2}).average().draws
    theirs = model.effect(X, {"a": X["b"]}, {"a": X["a"] / 2}).average().draws
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("values", [np.arange(30.0), list(range(30)), pd.Series(range(90))])
def test_values_of_a_baseline_in_memory_are_refused(shop, values):
    """Thirty would fit each of the partitions, and be wrong in two of them."""
    _, rows, model = shop
    with pytest.raises(TypeError, match=r"baseline\['a'\]: X is a Dask collection"):
        model.effect(rows, {"a": 1}, {"a": values})


@pytest.mark.parametrize("side", ["do", "baseline"])
def test_distributions_with_a_parameter_a_row_are_refused(shop, side):
    _, rows, model = shop
    sides = {"do": {"a": 1}, "baseline": {"a": 0}} | {
        side: {"a": scipy.stats.norm(np.arange(30), 1)}
    }
    with pytest.raises(TypeError, match=rf"{side}\['a'\]: X is a Dask collection"):
        model.effect(rows, **sides)


def test_a_baseline_of_nothing(shop):
    _, rows, model = shop
    with pytest.raises(ValueError, match="baseline is empty; leave it out"):
        model.effect(rows, {"a": 1}, {})
    with pytest.raises(TypeError, match=r"do must be a mapping.*None"):
        model.effect(rows, None)


def test_what_takes_rows_in_memory_says_so(shop):
    X, rows, model = shop
    for ask in (
        lambda: model.counterfactual(rows, X["a"], {"a": 1}),
        lambda: model.decompose(rows, {"a": 1}),
        lambda: intervene(model, rows, {"a": 1}),
    ):
        with pytest.raises(TypeError, match="rows in memory; X is a Dask collection"):
            ask()
