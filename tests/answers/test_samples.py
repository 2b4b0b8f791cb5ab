"""Answers that are computed block by block, against the same answers held in memory."""

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import slow
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from interventional import BayesianInterventionRegressor, Outcomes, intervene, numbers
from interventional.answers import composed, samples
from interventional.answers.outcomes import contents_of
from interventional.answers.reductions import quantiles

CHAINS, DRAWS, N, CHUNK = 2, 30, 41, 7  # a chunk of rows has noise of its own
N_DRAWS = CHAINS * DRAWS


def table():
    rng = np.random.default_rng(3)
    x = rng.normal(size=N)
    return pd.DataFrame(
        {
            "x": x,
            "m": 0.8 * x + 0.5 * rng.normal(size=N),
            "c": rng.normal(size=N),
            "site": np.array(["north", "south", "west"])[rng.integers(3, size=N)],
        }
    )


def outcome():
    X = table()
    rng = np.random.default_rng(4)
    y = X["x"] + 2 * X["m"] - X["c"] + (X["site"] == "west") + 0.3 * rng.normal(size=N)
    return y.to_numpy().copy()


def estimator(**parameters):
    return BayesianInterventionRegressor(draws=DRAWS, chains=CHAINS, random_state=0, **parameters)


GRAPH = "x -> m -> y; x -> y; c -> m; c -> y; site -> y"


@pytest.fixture(scope="module")
def models():
    X, y = table(), outcome()
    log = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), estimator()), func=np.log1p, inverse_func=np.expm1
    )
    numbers = X[["x", "m", "c"]]
    square = PolynomialFeatures(2, include_bias=False)
    return {
        "flat": estimator().fit(X, y),
        "graph": estimator(graph=GRAPH).fit(X, y),
        "quadratic": estimator(graph="x -> m -> y; x -> y", design={"y": square}).fit(numbers, y),
        "log": log.fit(numbers, np.expm1(y / 4 + 3)),
        "steps": make_pipeline(square, estimator()).fit(numbers, y),
    }


def policy(X):
    return stats.norm(X["c"].to_numpy(), 0.5)


NUMBERS = ["x", "m", "c"]
QUESTIONS = {
    "expected": lambda m, X, y: m["flat"].intervene(X, {"x": 1.0, "site": "west"}),
    "predictive": lambda m, X, y: m["flat"].intervene(X, {"x": 1.0}, kind="predictive"),
    "effect": lambda m, X, y: m["flat"].effect(X, {"x": lambda X: X["x"] * X["c"]}),
    "new effect": lambda m, X, y: m["graph"].effect(X, {"x": 1.0}, kind="predictive"),
    "two worlds": lambda m, X, y: m["graph"].effect(X, {"x": 1.0}, {"m": lambda X: X["m"] + 1}),
    "ratio": lambda m, X, y: m["flat"].intervene(X, {"x": 90}) / m["flat"].intervene(X, {"x": 80}),
    "policy": lambda m, X, y: m["flat"].intervene(X, {"x": stats.gamma(2.0), "c": policy}),
    "mediator": lambda m, X, y: m["graph"].intervene(X, {"x": 1.0}),
    "mediator, policy": lambda m, X, y: m["graph"].intervene(X, {"x": stats.norm(1, 2)}),
    "mediator, predictive": lambda m, X, y: m["graph"].intervene(X, {"x": 1}, kind="predictive"),
    "mediator, drawn": lambda m, X, y: m["quadratic"].intervene(X[NUMBERS], {"x": 1.0}),
    "counterfactual": lambda m, X, y: m["graph"].counterfactual(X, y, {"x": 1.0}),
    "direct": lambda m, X, y: m["graph"].decompose(X, {"x": 1.0})["direct"],
    "indirect": lambda m, X, y: m["graph"].decompose(X, {"x": 1.0})["indirect"],
    "log": lambda m, X, y: intervene(m["log"], X[NUMBERS], {"x": 1.0}),
    "log, predictive": lambda m, X, y: intervene(
        m["log"], X[NUMBERS], {"x": stats.uniform(), "m": 0.0}, kind="predictive"
    ),
    "steps, policy": lambda m, X, y: intervene(m["steps"], X[NUMBERS], {"x": policy}),
}


def ask(models, question):
    return QUESTIONS[question](models, table(), outcome())


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    monkeypatch.setattr(numbers, "CHUNK", CHUNK * N_DRAWS)
    monkeypatch.setattr(
        "interventional.intervention.forward._INNER", 3
    )  # draws of mediators: quicker


@pytest.fixture
def lazy(monkeypatch):
    """Nothing is computed at once."""
    monkeypatch.setattr(numbers, "AT_ONCE", 0)


def summaries(outcomes):
    weights = np.linspace(0.0, 3.0, N)
    groups = np.arange(N) * 5 % 11
    return {
        "mean": outcomes.mean(),
        "std": outcomes.std(),
        "quantile": outcomes.quantile([0.1, 0.5, 0.99]),
        "median": outcomes.quantile(0.5),
        "eti": outcomes.interval(0.9, "eti"),
        "hdi": outcomes.interval(0.9, "hdi"),
        "probability": outcomes.probability(above=0.1, below=1.2),
        "average": outcomes.average().draws.values,
        "weighted": outcomes.average(weights).draws.values,
        "by name": outcomes.average(by="c").draws.values,
        "by group": outcomes.average(weights, by=groups).draws.values,
        "summary": outcomes.summary().to_numpy(),
        "draws": outcomes.draws.values,
    }


@pytest.mark.parametrize("rows_a_block", [slow(3), 7, 16, 1000])
@pytest.mark.parametrize("question", QUESTIONS)
def test_same_numbers_whatever_the_block(models, monkeypatch, question, rows_a_block):
    """Every summary of an answer that is never held equals that of the one in memory."""
    held = ask(models, question)
    assert isinstance(contents_of(held).samples, samples.Held)
    expected = summaries(held)
    monkeypatch.setattr(numbers, "AT_ONCE", 0)
    monkeypatch.setattr(numbers, "BLOCK", rows_a_block * N_DRAWS)
    computed = ask(models, question)
    assert not isinstance(contents_of(computed).samples, samples.Held)
    assert computed.estimand == held.estimand
    for name, found in summaries(computed).items():
        scale = np.abs(expected["draws"]).max()
        np.testing.assert_allclose(
            found, expected[name], rtol=1e-9, atol=1e-12 * scale, err_msg=name
        )


@pytest.mark.parametrize("question", ["expected", "effect", "two worlds", "mediator"])
def test_closed_forms_are_taken(models, lazy, monkeypatch, question):
    """What is linear needs no draw of any row, and no quantile of it where nothing is drawn."""
    computed = ask(models, question)

    def refuse(*_, **__):
        raise AssertionError

    monkeypatch.setattr("interventional.intervention.forward.Answer.evaluate", refuse)
    monkeypatch.setattr("interventional.answers.samples.Linear.samples", refuse)
    computed.mean(), computed.std(), computed.average(by="site").summary()
    if question in ("expected", "effect"):
        computed.interval(), computed.quantile(0.1), computed.probability(above=0)
        return
    with pytest.raises(AssertionError):
        computed.interval()


@pytest.mark.parametrize("graph", [None, "x -> m -> y; x -> y; c -> m; c -> y"])
def test_closed_forms_of_badly_scaled_data(monkeypatch, graph):
    """Columns far from zero for their spread, and of wide ranges: the draws' own digits."""
    X = table()[NUMBERS] * [1e-6, 1e5, 1.0] + [1.0, 1e9, -1e6]
    model = estimator(graph=graph).fit(X, outcome() * 1e4)
    far = X.copy()
    far.loc[0] = 0.0  # far away from the others

    def answers():
        of_rows = model.intervene(far, {"x": 1.0 + 1e-6})
        effect = model.effect(far, {"x": lambda X: X["x"] + 1e-6})
        return [(o.mean(), o.std(), o.average().draws.values) for o in (of_rows, effect)]

    held = answers()
    monkeypatch.setattr(numbers, "AT_ONCE", 0)
    for computed, expected in zip(answers(), held, strict=True):
        for ours, theirs in zip(computed, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_closed_form_of_paths_is_wright(models, lazy):
    """E[y | do(x = 1)] through m has the coefficient b_yx + b_ym b_mx in each draw."""
    model = models["graph"]
    posterior = model.idata_["posterior"].dataset
    up = model.effect(table(), {"x": 1.0}, {"x": 0.0})
    y, m = (posterior[f"{node}_beta"] for node in "ym")
    total = y.sel(y_term="x") + y.sel(y_term="m") * m.sel(m_term="x")
    np.testing.assert_allclose(up.average().draws[..., 0], total, rtol=1e-9)
    np.testing.assert_allclose(up.std(), float(total.std(ddof=1)), rtol=1e-9)


@pytest.mark.parametrize("n_draws", [1, 2, 3, 10, 399])
def test_quantiles_are_numpys_to_the_last_bit(n_draws):
    rng = np.random.default_rng(n_draws)
    values = rng.normal(size=(n_draws, 150)) * 10.0 ** rng.integers(-6, 9, size=150)
    q = (0.0, 0.055, 1 / 3, 0.5, 2 / 3, 0.945, 1.0)
    expected = np.quantile(values, q, axis=0).T
    np.testing.assert_array_equal(quantiles(values, q), expected)
    values[0, :3] = np.nan
    assert np.isnan(quantiles(values, q)[:3]).all()


class TestMemory:
    """Draws times rows are never held."""

    @pytest.mark.slow
    def test_peak(self, monkeypatch):
        """50 draws of 100,000 rows are 40 MB; their summaries take a part of that."""
        rng = np.random.default_rng(0)
        X, n = rng.normal(size=(100_000, 2)), 100_000
        model = BayesianInterventionRegressor(draws=25, chains=2, random_state=0)
        model.fit(X[:1000], X[:1000] @ [1.0, 2.0] + rng.normal(size=1000))
        monkeypatch.setattr(numbers, "AT_ONCE", 1 << 16)
        monkeypatch.setattr(numbers, "CHUNK", 1 << 16)
        monkeypatch.setattr(numbers, "BLOCK", 1 << 16)
        model.intervene(X[:10], {0: 1.0}, kind="predictive").mean()  # compiles
        for kind in ("mean", "predictive"):
            tracemalloc.start()
            outcomes = model.intervene(X, {0: stats.norm(X[:, 1], 1.0)}, kind=kind)
            outcomes.summary(0.9, "eti")
            outcomes.average(by=np.arange(n) // 200).mean()  # 500 groups
            (outcomes - model.intervene(X, {0: 1.0}, kind=kind)).average().interval()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 20e6, peak

    def test_draws_of_a_contrast_are_held_once(self, monkeypatch):
        """4,000 draws of 1,000 rows are 32 MB; neither side of their difference is held whole."""
        rng = np.random.default_rng(0)
        left, right = (samples.Held(rng.normal(size=(4000, 1000))) for _ in range(2))
        monkeypatch.setattr(numbers, "BLOCK", 1 << 16)
        sides = [composed.Applied(np.negative, each) for each in (left, right)]
        tracemalloc.start()
        difference = composed.Applied(np.subtract, *sides).held()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 36e6, peak
        np.testing.assert_array_equal(difference, right.values - left.values)

    def test_pickle_holds_no_chunk(self, models, lazy):
        """What steps made of the last chunk is not kept."""
        outcomes = ask(models, "steps, policy")
        before = len(pickle.dumps(outcomes))
        outcomes.mean()
        assert len(pickle.dumps(outcomes)) == before

    def test_draws_of_too_many_are_refused(self, models, lazy, monkeypatch):
        """The message says how large they would be, and what works instead."""
        outcomes = ask(models, "predictive")
        monkeypatch.setattr(numbers, "MOST", N_DRAWS * N - 1)
        size = rf"{N_DRAWS} draws of {N} rows are 0.0 GB; mean, std.*average and summary work"
        for want in (lambda: outcomes.draws, outcomes.to_datatree):
            with pytest.raises(ValueError, match=size):
                want()
        assert len(outcomes) == N
        assert np.asarray(outcomes).shape == (N,)
        assert len(list(outcomes)) == N
        with pytest.raises(ValueError, match=f"{N} groups are"):
            outcomes.average(by=np.arange(N))
        monkeypatch.setattr(numbers, "MOST", N_DRAWS * N)
        assert outcomes.draws.shape == (CHAINS, DRAWS, N)

    def test_size_is_named(self):
        with pytest.raises(ValueError, match=r"4,000 draws of 1,000,000 rows are 32.0 GB"):
            samples.refuse_too_many(4000, 10**6, "rows", "")


class TestIsWhatItWas:
    """An answer that is computed later is of the rows and the posterior of the call."""

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_through_pickle(self, models, lazy, question):
        computed = ask(models, question)
        again = pickle.loads(pickle.dumps(computed))
        np.testing.assert_array_equal(again.draws.values, computed.draws.values)
        average = again.average(by="c").mean()
        np.testing.assert_array_equal(average, computed.average(by="c").mean())

    @pytest.mark.parametrize("kind", ["mean", "predictive"])
    @pytest.mark.parametrize("as_array", [False, True])
    def test_after_x_has_changed(self, lazy, kind, as_array):
        """Neither X, nor y, nor what was forced is read again."""
        values = table()[NUMBERS].to_numpy().copy()
        X = values if as_array else pd.DataFrame(values, columns=NUMBERS, copy=False)
        y, forced, centre = outcome(), np.linspace(0, 1, N), np.linspace(1, 2, N)
        model = estimator().fit(X, y)
        x, c = (0, 2) if as_array else ("x", "c")
        pipeline = make_pipeline(FunctionTransformer(), estimator()).fit(X, y)
        do = {x: forced, c: stats.norm(centre, 1.0)}
        outcomes = [
            model.intervene(X, do, kind=kind),
            model.effect(X, {x: forced}, kind=kind),
            model.counterfactual(X, y, {x: forced}),
            intervene(pipeline, X, do, kind=kind),
            intervene(pipeline, X, {x: forced}, kind=kind),
        ]
        before = [each.draws.values for each in outcomes]
        for array in (values, y, forced, centre):
            array[:] = 99.0
        if not as_array:
            X.iloc[:, :] = 99.0
        for each, expected in zip(outcomes, before, strict=True):
            np.testing.assert_array_equal(each.draws.values, expected)
            known, (chains, draws) = expected.mean(axis=(0, 1)), expected.shape[:2]
            # The mean of new outcomes is in closed form, but for the noise of the draws.
            chance = expected.std(axis=(0, 1)) / np.sqrt(chains * draws)
            room = 4.5 * chance if kind == "predictive" else 1e-9 * np.abs(known) + 1e-12
            assert (np.abs(each.mean() - known) <= room).all()

    @pytest.mark.parametrize("do", [{"x": 1.0}, {"x": policy}], ids=["number", "policy"])
    def test_after_another_fit(self, lazy, do):
        X, y = table()[NUMBERS], outcome()
        model = make_pipeline(StandardScaler(), estimator()).fit(X, y)
        outcomes = intervene(model, X, do)
        before = outcomes.draws.values
        model.fit(7 * X + 3, -y)
        np.testing.assert_array_equal(outcomes.draws.values, before)

    @pytest.mark.parametrize("question", ["policy", "mediator, drawn", "steps, policy"])
    def test_in_threads(self, models, lazy, question):
        computed = ask(models, question)
        serial = computed.mean()
        with ThreadPoolExecutor(4) as pool:
            for mean in pool.map(lambda _: computed.mean(), range(8)):
                np.testing.assert_array_equal(mean, serial)

    def test_a_policy_is_called_once(self, models, lazy):
        calls = []

        def counted(X):
            calls.append(len(X))
            return stats.norm(X["c"].to_numpy(), 1.0)

        outcomes = models["flat"].intervene(table(), {"x": counted})
        outcomes.summary(), outcomes.average(by="site").interval(), outcomes.draws
        assert calls == [N]


class TestErrors:
    """What is wrong shows at the call, or where it is computed."""

    def test_zero_denominators(self, models, lazy):
        """Zero in some row of some block is found when it is computed."""
        difference = models["flat"].effect(table(), {"x": lambda X: X["x"] + (X.index < 30)})
        ratio = difference / difference
        for want in (ratio.mean, ratio.average, ratio.summary, lambda: ratio.draws):
            with pytest.raises(ValueError, match="denominator is zero"):
                want()

    def test_distributions_are_tried_at_the_call(self, models, lazy):
        with pytest.raises(ValueError, match=r"do\['x'\]: Domain"):
            models["flat"].intervene(table(), {"x": stats.norm(0.0, -1.0)})
        with pytest.raises(ValueError, match="only be forced to finite values"):
            models["flat"].intervene(table(), {"x": stats.norm(np.inf, 1.0)})
        with pytest.raises(ValueError, match="'site'"):
            models["flat"].intervene(table(), {"site": stats.norm(0, 1)})

    def test_columns_that_follow_in_later_rows_only(self, monkeypatch):
        """A step that derives a column in no row of the first chunk: not taken for observed."""

        def add_premium(X):
            return X.assign(premium=(X["price"] > 100).astype(float))

        rng = np.random.default_rng(0)
        X = pd.DataFrame({"price": rng.uniform(0, 200, size=N)})
        y = X["price"] / 10 + 10 * (X["price"] > 100) + 0.1 * rng.normal(size=N)
        model = make_pipeline(
            FunctionTransformer(add_premium), estimator(graph="price -> y; premium -> y")
        ).fit(X, y)
        cheap = X / 2  # a premium in no row
        law = stats.norm(np.where(np.arange(N) < 2 * CHUNK, 50.0, 150.0), 1.0)
        held = intervene(model, cheap, {"price": law}).mean()
        np.testing.assert_allclose(held[[0, -1]], [5.0, 25.0], atol=0.5)
        monkeypatch.setattr(numbers, "AT_ONCE", 0)
        with pytest.raises(ValueError, match=r"rows \d+ to \d+: .* derive 'premium' from"):
            intervene(model, cheap, {"price": law})
        few = cheap.iloc[: 2 * CHUNK]
        np.testing.assert_allclose(
            intervene(model, few, {"price": stats.norm(50, 1)}).mean(), 5, atol=0.5
        )

    def test_parameters_of_a_chunks_length(self, models, lazy):
        """As many parameters as a chunk has rows are not one a row."""
        law = stats.norm(np.zeros(CHUNK), 1.0)
        with pytest.raises(ValueError, match=rf"parameter 0 .*\({CHUNK},\).*\({N},\)"):
            models["flat"].intervene(table(), {"x": law})


def test_scenarios_of_many_rows(models, monkeypatch):
    """`compare` and `concat` give the same table, held or not."""

    def scenarios():
        return {x: models["flat"].intervene(table(), {"x": x}) for x in (0.0, 1.0)}

    expected = Outcomes.compare(scenarios(), by="site")
    monkeypatch.setattr(numbers, "AT_ONCE", 0)
    pd.testing.assert_frame_equal(Outcomes.compare(scenarios(), by="site"), expected, rtol=1e-9)
    averages = {name: each.average() for name, each in scenarios().items()}
    assert len(Outcomes.concat(averages)) == 2


@pytest.mark.parametrize("kind", ["mean", "predictive"])
def test_picture_of_many_rows(models, lazy, monkeypatch, kind):
    """Some rows stand for all, in order, each with its own mean and interval."""
    monkeypatch.setattr("interventional.drawing.MOST_ROWS", 5)
    outcomes = models["flat"].intervene(table(), {"x": 1.0}, kind=kind)
    ax = outcomes.plot()
    (line,) = ax.lines
    order = np.argsort(outcomes.mean())
    assert line.get_xdata().tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(line.get_ydata(), outcomes.mean()[order[::10]])
    low, high = outcomes.interval()[order[::10]].T
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(low.min())
    assert band.max() == pytest.approx(high.max())
    plt.close("all")
