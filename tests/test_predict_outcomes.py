"""Seeing has draws too: `predict_outcomes` is the posterior whose mean `predict` returns."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import assert_mean, family_wise
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from test_docs import ROOT, blocks

from interventional import BayesianInterventionRegressor, numbers, predict_outcomes

pytestmark = pytest.mark.filterwarnings("ignore:.* linear in its terms")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
    X["store"] = rng.choice(list("wxyz"), 200)
    eta = 0.5 * X["a"] + X["store"].map(dict(zip("wxyz", (0, 0.2, 0.4, 0.6), strict=True)))
    return X, eta, rng


def ours(**parameters):
    return BayesianInterventionRegressor(random_state=0, draws=250, **parameters)


def outcomes(rows, family):
    _, eta, _ = rows
    rng = np.random.default_rng(1)
    return {
        "gaussian": lambda: eta + 0.3 * rng.normal(size=200),
        "student_t": lambda: eta + 0.3 * rng.standard_t(4, size=200),
        "lognormal": lambda: np.exp(eta + 0.3 * rng.normal(size=200)),
        "gamma": lambda: rng.gamma(5.0, np.exp(eta) / 5.0),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
        "negative_binomial": lambda: rng.poisson(rng.gamma(3.0, np.exp(eta) / 3)).astype(float),
        "bernoulli": lambda: (rng.uniform(size=200) < 1 / (1 + np.exp(-eta))).astype(float),
        "beta": lambda: rng.beta(*(np.array([m := 1 / (1 + np.exp(-eta)), 1 - m]) * 8)),
    }[family]()


FAMILIES = (
    "gaussian",
    "student_t",
    "lognormal",
    "gamma",
    "poisson",
    "negative_binomial",
    "bernoulli",
    "beta",
)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(rows, family):
    """Mean is `predict`, both variances add up to return_std's; new outcomes are `sample_y`'s."""
    X, _, _ = rows
    conjugate = family in ("gaussian", "lognormal")
    how = {} if conjugate else {"inference": "laplace"}
    model = ours(family=family, **how).fit(X, outcomes(rows, family))
    seen = model.predict_outcomes(X)
    np.testing.assert_allclose(seen.mean(), model.predict(X), rtol=1e-10)
    new = model.predict_outcomes(X, kind="predictive")
    assert (seen.estimand, new.estimand) == ("E[y | X]", "y | X")
    mean, std = model.predict(X, return_std=True)
    draws = new.draws.values.reshape(1000, -1)
    # noise is independent from row to row: its average over rows is that of 200,000 draws
    assert_mean((draws - seen.draws.values.reshape(1000, -1)).mean(axis=1), 0.0)
    if family == "student_t":  # whose variance is infinite in some draws
        return
    square = np.square(draws - mean).mean(axis=1)
    assert_mean(square, (std**2 * (1 - 1 / 1000) + 0 * std).mean())


def test_moments_of_a_line_in_closed_form(rows):
    """E[y | X] has the variance x' Cov(beta) x, and a new outcome sigma^2 more."""
    X, _, _ = rows
    X = X[["a", "b"]]
    y = outcomes(rows, "gaussian")
    model = ours().fit(X, y)
    draws = model.idata_["posterior"]
    beta = np.column_stack(
        [draws["y_intercept"].values.ravel(), draws["y_beta"].values.reshape(-1, 2)]
    )
    design = np.column_stack([np.ones(200), X])
    variance = np.einsum("ij,jk,ik->i", design, np.cov(beta.T), design)
    # Those are of the exact posterior, these of its draws: an sd errs by its 2n-th part's root.
    chance = {"rtol": family_wise(200) / np.sqrt(2 * len(beta))}
    seen = model.predict_outcomes(X).std()
    np.testing.assert_allclose(seen, np.sqrt(variance), **chance)
    _, std = model.predict(X, return_std=True)
    sigma = draws["y_sigma"].values
    np.testing.assert_allclose(std**2 - seen**2, std[0] ** 2 - seen[0] ** 2, rtol=1e-9)
    np.testing.assert_allclose(std**2 - seen**2, np.square(sigma).mean(), rtol=0.02)


def test_intervals_are_those_of_another_package(rows):
    """Means and sds beside scikit-learn's BayesianRidge, whose prior hardly counts here either."""
    X, _, _ = rows
    X = X[["a", "b"]]
    y = 0.5 * X["a"] + 0.3 * np.random.default_rng(3).normal(size=200)
    new = ours().fit(X, y).predict_outcomes(X, kind="predictive")
    mean, std = BayesianRidge().fit(X, y).predict(X, return_std=True)
    np.testing.assert_allclose(new.mean(), mean, atol=4 * 0.3 / np.sqrt(1000) + 0.01)
    np.testing.assert_allclose(new.std().mean(), std.mean(), rtol=0.02)


def test_doing_nothing_is_seeing_without_a_graph(rows):
    """Forcing a column to itself, noise included, is the same draw by draw; contrasts pair."""
    X, _, _ = rows
    itself = {"a": lambda X: X["a"]}
    for family in ("gaussian", "poisson", "lognormal"):
        model = ours(family=family, inference="laplace").fit(X, outcomes(rows, family))
        for kind in ("mean", "predictive"):
            seen = model.predict_outcomes(X, kind=kind)
            np.testing.assert_allclose(
                seen.draws, model.intervene(X, itself, kind=kind).draws, rtol=1e-10
            )
            more = {"a": lambda X: X["a"] + 1}
            effect = model.intervene(X, more, kind=kind) - seen
            expected = model.effect(X, more, kind=kind)
            np.testing.assert_allclose(effect.draws, expected.draws, rtol=1e-8, atol=1e-8)


class TestGraphs:
    """y is that of its own equation, whatever the graph identifies."""

    def test_not_identified(self, rows):
        X, _, _ = rows
        X = X[["a", "b"]]
        y = outcomes(rows, "gaussian")
        model = ours(graph="a -> y; b -> y; u -> a; u -> y").fit(X, y)
        seen = model.predict_outcomes(X)
        np.testing.assert_allclose(seen.mean(), model.predict(X), rtol=1e-10)
        plain = ours().fit(X, y).predict_outcomes(X)
        np.testing.assert_allclose(seen.draws, plain.draws, rtol=1e-9)

    def test_mediators_keep_their_values(self, rows):
        """Forcing x regenerates m; seeing x does not."""
        rng = np.random.default_rng(5)
        X = pd.DataFrame({"x": rng.normal(size=300)})
        X["m"] = X["x"] + rng.normal(size=300)
        y = X["x"] + 2 * X["m"] + 0.5 * rng.normal(size=300)
        model = ours(graph="x -> m -> y; x -> y").fit(X, y)
        by_hand = X["x"] + 2 * X["m"]
        seen = model.predict_outcomes(X)
        assert np.abs(seen.mean() - by_hand).max() < 0.2
        done = model.intervene(X, {"x": lambda X: X["x"]})
        assert np.corrcoef(done.mean(), X["x"])[0, 1] > 0.999999
        with pytest.raises(ValueError, match="missing"):
            model.predict_outcomes(X[["x"]])
        with pytest.raises(ValueError, match="missing"):
            model.predict(X[["x"]])

    def test_columns_that_nothing_reads_may_lack(self, rows):
        X, _, _ = rows
        X = X[["a", "b"]].assign(after=0.5)
        X["after"] = np.random.default_rng(0).normal(size=200)
        model = ours(graph="a -> y; b -> y; y -> after").fit(X, outcomes(rows, "gaussian"))
        few = model.predict_outcomes(X.drop(columns="after"))
        np.testing.assert_array_equal(few.draws, model.predict_outcomes(X).draws)
        np.testing.assert_allclose(few.mean(), model.predict(X), rtol=1e-10)


class TestGroups:
    def test_seen_and_unseen(self, rows):
        """An unseen store is drawn from the population: as wide as their spread is."""
        X, _, _ = rows
        X = X[["a", "store"]]
        y = outcomes(rows, "gaussian")
        model = ours(groups={"store": ["a"]}, unseen_levels="population").fit(X, y)
        fresh = pd.DataFrame({"a": [0.0, 0.0], "store": ["x", "new"]})
        seen = model.predict_outcomes(fresh)
        np.testing.assert_allclose(seen.mean(), model.predict(fresh), rtol=1e-10)
        known, new = seen.std()
        between = (
            np.sqrt(np.square(model.idata_["posterior"]["y_store_sd"].values[..., 0]).mean())
            if ("y_store_sd" in model.idata_["posterior"])
            else 0.0
        )
        assert new > 3 * known
        assert new > 0.5 * between

    def test_the_population_of_groups(self, rows):
        """What is groups' own is nothing on average: the population's own line, by hand."""
        X, _, _ = rows
        X = X[["a", "store"]]
        model = ours(groups=["store"]).fit(X, outcomes(rows, "gaussian"))
        seen = model.predict_outcomes(X).average(population="store")
        draws = model.idata_["posterior"]
        slope = draws["y_beta"].sel(y_term="a").values.ravel()
        by_hand = draws["y_intercept"].values.ravel() + slope * X["a"].mean()
        np.testing.assert_allclose(seen.draws.values.ravel(), by_hand, rtol=1e-9)
        new = model.predict_outcomes(X, kind="predictive")
        with pytest.raises(ValueError, match="known of expected outcomes"):
            new.average(population="store")

    def test_unseen_levels_are_refused_by_default(self, rows):
        X, _, _ = rows
        model = ours().fit(X, outcomes(rows, "gaussian"))
        with pytest.raises(ValueError, match="q"):
            model.predict_outcomes(X.assign(store="q"))


def test_smooth_and_splines(rows):
    X, _, _ = rows
    y = np.sin(2 * X["a"]) + 0.1 * np.random.default_rng(2).normal(size=200)
    for design in ("smooth", SplineTransformer()):
        model = ours(design=design).fit(X[["a", "b"]], y)
        seen = model.predict_outcomes(X[["a", "b"]])
        np.testing.assert_allclose(seen.mean(), model.predict(X[["a", "b"]]), rtol=1e-8)
        _, std = model.predict(X[["a", "b"]], return_std=True)
        noise = np.square(model.idata_["posterior"]["y_sigma"].values).mean()
        own = std**2 - np.square(seen.std())  # one number, that of the draws or the posterior's
        np.testing.assert_allclose(own, own[0], rtol=1e-6)
        np.testing.assert_allclose(own, noise, rtol=0.02)


@pytest.mark.filterwarnings("ignore:inference='laplace'")
def test_known_errors_and_exposures(rows):
    X, _, _ = rows
    X = X[["a"]].assign(se=0.5)
    y = outcomes(rows, "gaussian")
    model = ours(noise="se").fit(X, y)
    one = X.head(1)
    lacking = one.assign(se=np.nan)
    expected = model.predict_outcomes(lacking)  # which the expectation does not need
    np.testing.assert_allclose(expected.mean(), model.predict(one), rtol=1e-10)
    with pytest.raises(ValueError, match="known standard deviations"):
        model.predict_outcomes(lacking, kind="predictive")
    wide = model.predict_outcomes(one.assign(se=9.0), kind="predictive")
    assert wide.std()[0] == pytest.approx(9.0, rel=0.1)

    counts = outcomes(rows, "poisson")
    days = X[["a"]].assign(days=2.0)
    model = ours(family="poisson", exposure="days", inference="laplace").fit(days, counts)
    once, twice = (model.predict_outcomes(days.assign(days=d)).mean() for d in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-9)
    with pytest.raises(ValueError, match="positive"):
        model.predict_outcomes(days.assign(days=0.0))


def test_a_prior_of_confounding_is_of_doing(rows):
    from pymc_extras.prior import Prior

    X, _, _ = rows
    X = X[["a", "b"]]
    y = outcomes(rows, "gaussian")
    bias = {"a": Prior("Normal", mu=0.2, sigma=0.1)}
    biased, plain = ours(confounding=bias).fit(X, y), ours().fit(X, y)
    np.testing.assert_array_equal(
        biased.predict_outcomes(X).draws, plain.predict_outcomes(X).draws
    )


def test_many_rows_go_by_blocks_and_in_closed_form(rows, monkeypatch):
    """What is too many to be held says the same; a line needs no draws for its means."""
    X, _, _ = rows
    for family in ("gaussian", "lognormal"):
        model = ours(family=family).fit(X, outcomes(rows, family))
        held = {kind: model.predict_outcomes(X, kind=kind) for kind in ("mean", "predictive")}
        with monkeypatch.context() as patch:
            patch.setattr(numbers, "AT_ONCE", 20_000)
            for kind, few in held.items():
                many = model.predict_outcomes(X, kind=kind)
                if kind == "mean":
                    np.testing.assert_allclose(many.interval(), few.interval(), rtol=1e-10)
                    np.testing.assert_array_equal(many.mean(), model.predict(X))
                np.testing.assert_allclose(many.average().mean(), few.average().mean(), rtol=0.05)


def test_rows_stay_what_they_were(rows):
    X, _, _ = rows
    mine = X.copy()
    model = ours().fit(X, outcomes(rows, "gaussian"))
    seen = model.predict_outcomes(mine)
    mine["a"] = 1e6
    np.testing.assert_allclose(
        seen.average(by="store").mean(), model.predict_outcomes(X).average(by="store").mean()
    )
    with pytest.raises(ValueError, match="nothing is forced"):
        _ = seen.support


def test_dask_rows(rows):
    dd = pytest.importorskip("dask.dataframe")
    X, _, _ = rows
    model = ours().fit(X, outcomes(rows, "gaussian"))
    parts = model.predict_outcomes(dd.from_pandas(X, npartitions=3))
    memory = model.predict_outcomes(X)
    np.testing.assert_allclose(parts.mean().compute(), memory.mean(), rtol=1e-10)
    np.testing.assert_allclose(parts.average().draws, memory.average().draws, rtol=1e-9)
    assert parts.estimand == memory.estimand
    new = model.predict_outcomes(dd.from_pandas(X, npartitions=3), kind="predictive")
    assert_mean((new.average().draws - memory.average().draws).values.ravel(), 0.0)
    forced = model.intervene(dd.from_pandas(X, npartitions=3), {"a": 0.0})
    expected = model.intervene(X, {"a": 0.0}) - memory
    np.testing.assert_allclose(
        (forced - parts).average().draws, expected.average().draws, atol=1e-9
    )
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        model.predict_outcomes(dd.from_pandas(X, npartitions=3), kind="means")


def test_the_case_prediction_with_an_interval_for_rows_as_they_are():
    """`no_interval_for_seeing.py`: behind a pipeline, a transformed target and a graph."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
    y = np.exp(0.5 * X["a"] + 0.3 * rng.normal(size=200))
    new = X.head(2)
    plain = BayesianInterventionRegressor(family="lognormal", random_state=0).fit(X, y)
    target = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), BayesianInterventionRegressor(random_state=0)),
        func=np.log,
        inverse_func=np.exp,
    ).fit(X, y)
    graph = BayesianInterventionRegressor(
        graph="a -> y; b -> y; u -> a; u -> y", random_state=0
    ).fit(X, y)
    with pytest.raises(ValueError, match="predict_outcomes"):
        plain.intervene(new, do={})
    np.testing.assert_allclose(graph.predict_outcomes(new).mean(), graph.predict(new), rtol=1e-10)
    inner = plain.idata_["posterior"]
    eta = (
        inner["y_intercept"].values
        + np.tensordot(inner["y_beta"].values, new.to_numpy(), axes=(2, 1)).transpose(2, 0, 1)
    ).reshape(2, -1)
    sigma = inner["y_sigma"].values.ravel()
    for kind, allowed in (("mean", 1e-9), ("predictive", 0.12)):
        by_hand = np.exp(eta + sigma**2 / 2)
        ends = np.quantile(by_hand, [0.05, 0.95], axis=1).T
        if kind == "predictive":  # a mixture of lognormals, inverted numerically
            ends = [[_root(eta[i], sigma, p) for p in (0.05, 0.95)] for i in range(2)]
        for found in (
            plain.predict_outcomes(new, kind=kind),
            predict_outcomes(plain, new, kind=kind),
        ):
            np.testing.assert_allclose(found.interval(0.9, "eti"), ends, rtol=allowed)
        # other default priors, of a logarithm that is scaled
        behind = predict_outcomes(target, new, kind=kind).interval(0.9, "eti")
        np.testing.assert_allclose(behind, ends, rtol=max(0.03, allowed))


def _root(eta, sigma, p):
    from scipy.optimize import brentq

    return np.exp(brentq(lambda z: stats.norm.cdf((z - eta) / sigma).mean() - p, -9, 9))


def test_the_page_against_least_squares():
    """Every number of `prediction_intervals.md` beside least squares of the logarithm."""
    page = (ROOT / "docs" / "how_to" / "prediction_intervals.md").read_text(encoding="utf-8")
    names = {}
    for _, code, _ in blocks(page):
        exec(code, names)
    known, paid, new, asked = (names[name] for name in ("known", "paid", "new", "asked"))
    ols = sm.OLS(np.log(paid), sm.add_constant(known)).fit()
    there = ols.get_prediction(sm.add_constant(new))
    each, expected = names["each"], names["expected"]

    ends = np.exp(there.conf_int(obs=True, alpha=0.1))
    error = 2.1 * 0.25 / np.sqrt(4000)  # of a 5% quantile of 4,000 draws, relative
    found = names["intervals"]["predict_outcomes"]
    assert np.abs(np.log(found / ends)).max() < 5 * error  # 8,000 of them
    assert abs(np.log(found / ends).mean()) < 1e-3
    above = stats.norm.sf((np.log(1000) - there.predicted_mean) / np.sqrt(ols.scale))
    assert np.abs(each.probability(above=1000) - above).max() < 5 * 0.5 / np.sqrt(4000)

    mean = np.exp(there.predicted_mean + ols.scale / 2)
    np.testing.assert_allclose(expected.mean(), mean, rtol=2e-3)
    np.testing.assert_allclose(
        names["of_log"].predict(new), np.exp(there.predicted_mean), rtol=2e-3
    )
    # var of mean + s^2 / 2, by the delta method: Var(s^2) = 2 s^4 / (n - 3)
    sd = np.sqrt(there.se_mean**2 + ols.scale**2 / 2 / (len(known) - 3))
    np.testing.assert_allclose(expected.std() / expected.mean(), sd, rtol=0.06)
    ends = mean[:, None] * np.exp(1.645 * sd[:, None] * [-1, 1])
    np.testing.assert_allclose(expected.interval(0.9, "eti"), ends, rtol=4e-3)
    assert abs(expected.average().mean()[0] / mean.mean() - 1) < 1e-3

    raw = sm.OLS(paid, sm.add_constant(known)).fit().get_prediction(sm.add_constant(new))
    np.testing.assert_allclose(names["mean"], raw.predicted_mean, rtol=2e-3)
    np.testing.assert_allclose(names["std"], raw.se_obs, rtol=4e-3)
    inside = (found[:, 0] < asked) & (asked < found[:, 1])
    for rows in (inside, inside[names["small"]], inside[names["large"]]):
        assert abs(rows.mean() - 0.9) < 4 * 0.3 / np.sqrt(len(rows))


def test_a_saved_line_answers_without_pymc(rows, tmp_path):
    X, _, _ = rows
    model = ours().fit(X, outcomes(rows, "gaussian"))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, X)))
    code = (
        "import pickle, sys, pathlib\n"
        "model, X = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "seen = model.predict_outcomes(X)\n"
        "print(repr(seen.quantile([0.05, 0.95])[0].tolist()))\n"
        "assert not {'pymc', 'pytensor'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.pkl")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = model.predict_outcomes(X).quantile([0.05, 0.95])[0]
    np.testing.assert_allclose(eval(done.stdout), here, rtol=1e-12)
