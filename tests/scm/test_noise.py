"""A column of known standard deviations: what it is in questions, graphs, pipelines and scores."""

import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import assert_mean
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interventional import BayesianInterventionRegressor, intervene
from interventional.metrics import log_density

NO_SIGMA = {"sigma": Prior("DiracDelta", c=0.0)}


def make(**parameters):
    return BayesianInterventionRegressor(**{"noise": "se", "random_state": 3} | parameters)


def flat(model, name):
    values = np.asarray(model.idata_["posterior"][name])
    return values.reshape(-1, *values.shape[2:])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    X = pd.DataFrame({"x": rng.normal(size=50), "se": rng.uniform(0.2, 2.0, 50)})
    return X, 1 + 2 * X["x"] + np.hypot(0.5, X["se"]) * rng.normal(size=50)


@pytest.fixture(scope="module")
def fitted(data):
    return make().fit(*data)


@pytest.fixture(scope="module")
def sd(fitted, data):
    """The standard deviation of each row's outcome, (draws, n)."""
    return np.hypot(flat(fitted, "y_sigma")[:, None], data[0]["se"].to_numpy())


@pytest.fixture(scope="module")
def mean(fitted, data):
    return flat(fitted, "y_intercept")[:, None] + flat(fitted, "y_beta") * data[0]["x"].to_numpy()


# --- What it is ---------------------------------------------------------------------------------


def test_it_is_no_regressor(fitted, data):
    X, y = data
    assert list(fitted.idata_["posterior"]["y_term"].values) == ["x"]
    np.testing.assert_allclose(fitted.predict(X.assign(se=9.0)), fitted.predict(X))
    for table, key in ((X.to_numpy(), 1), (X.to_numpy(), "x1"), (X[["se", "x"]], "se")):
        again = make(noise=key).fit(table, y)
        np.testing.assert_allclose(flat(again, "y_sigma"), flat(fitted, "y_sigma"), rtol=1e-9)
        np.testing.assert_allclose(again.predict(table), fitted.predict(X))


def test_copies_and_pickles(fitted, data):
    X, _ = data
    assert clone(fitted).get_params()["noise"] == "se"
    again = pickle.loads(pickle.dumps(fitted))
    for one, other in zip(
        again.predict(X, return_std=True), fitted.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_new_outcomes_have_the_errors_of_their_rows(fitted, data, sd, mean):
    X, y = data
    _, std = fitted.predict(X, return_std=True)
    truth = np.sqrt((sd**2).mean(axis=0) + mean.var(axis=0, ddof=1))
    np.testing.assert_allclose(std, truth, rtol=1e-10)
    drawn = fitted.sample_y(X, 2000)
    assert_mean(drawn - mean.mean(axis=0)[:, None], 0.0, axis=1)
    assert_mean((drawn - mean.mean(axis=0)[:, None]) ** 2, truth**2, axis=1)
    density = stats.norm.logpdf(y.to_numpy(), mean, sd)
    found = np.asarray(fitted.log_likelihood(X, y)["log_likelihood"]["y"])
    np.testing.assert_allclose(found.reshape(density.shape), density, rtol=1e-9)
    np.testing.assert_allclose(fitted.log_density(X, y), np.log(np.exp(density).mean(axis=0)))
    # without error: where the true values of such rows lie, as meta-analysis predicts them
    _, true = fitted.predict(X.assign(se=0.0), return_std=True)
    sigma = flat(fitted, "y_sigma")
    np.testing.assert_allclose(true**2, (sigma**2).mean() + mean.var(axis=0, ddof=1))


def test_forcing(fitted, data, sd, mean):
    X, _ = data
    beta, alpha = flat(fitted, "y_beta"), flat(fitted, "y_intercept")
    forced = fitted.intervene(X, {"x": 1.0})
    np.testing.assert_allclose(
        np.asarray(forced.draws).reshape(-1, 50), np.tile(alpha[:, None] + beta, 50)
    )
    new = fitted.intervene(X, {"x": 1.0}, kind="predictive")
    z = (np.asarray(new.draws).reshape(-1, 50) - (alpha[:, None] + beta)) / sd
    assert stats.kstest(z[:, ::7].ravel(), "norm").pvalue > 1e-4
    precise = fitted.intervene(X, {"se": 0.0}, kind="predictive")
    z = (np.asarray(precise.draws).reshape(-1, 50) - mean) / flat(fitted, "y_sigma")[:, None]
    assert_mean(z.ravel() ** 2, 1.0)
    np.testing.assert_allclose(fitted.intervene(X, {"se": 3.0}).mean(), fitted.predict(X))
    for do in ({"se": -1.0}, {"se": stats.norm(0.0, 1.0)}):
        with pytest.raises(ValueError, match=r"noise.*must not be negative; it is -"):
            fitted.intervene(X, do)
    y = fitted.predict(X) + 1.0
    kept = fitted.counterfactual(X, y, {"x": lambda X: X["x"] + 1})
    truth = y + beta
    np.testing.assert_allclose(np.asarray(kept.draws).reshape(-1, 50), truth)


def test_in_a_graph(fitted, data):
    """The graph need not have it, and what has no cause may be a cause of anything."""
    X, y = data
    for graph in ("x -> y", "x -> y; se -> y", "se -> x -> y"):
        model = make(graph=graph).fit(X, y)
        np.testing.assert_allclose(flat(model, "y_sigma"), flat(fitted, "y_sigma"))
        ours, theirs = (m.intervene(X, {"x": 1.0}, kind="predictive") for m in (model, fitted))
        np.testing.assert_allclose(ours.draws, theirs.draws)
    with pytest.raises(ValueError, match="the graph has 'x' as causes of 'se'"):
        make(graph="x -> se -> y; x -> y").fit(X, y)


def test_mediators_have_no_share_in_it():
    rng = np.random.default_rng(4)
    X = pd.DataFrame({"t": rng.normal(size=80)})
    X["m"] = 0.5 * X["t"] + 0.3 * rng.normal(size=80)
    X["se"] = rng.uniform(0.1, 1.0, 80)
    y = X["m"] + np.hypot(0.2, X["se"]) * rng.normal(size=80)
    model = make(graph="t -> m -> y").fit(X, y)
    plain = BayesianInterventionRegressor(graph="t -> m -> y", random_state=3).fit(X, y)
    np.testing.assert_array_equal(flat(model, "m_sigma"), flat(plain, "m_sigma"))
    answer = model.intervene(X, {"t": 1.0}, kind="predictive")
    expected = np.hypot(flat(model, "y_beta")[:, 0] * flat(model, "m_sigma"), 0.0)[:, None]
    sd = np.hypot(expected, np.hypot(flat(model, "y_sigma")[:, None], X["se"].to_numpy()))
    centre = np.asarray(model.intervene(X, {"t": 1.0}).draws)
    z = (np.asarray(answer.draws) - centre).reshape(-1, 80) / sd
    assert_mean((z**2).mean(axis=0), 1.0)


# --- In scikit-learn ----------------------------------------------------------------------------


def test_scores_take_the_errors_of_the_rows_that_they_score(data):
    X, y = data
    folds = KFold(3, shuffle=True, random_state=0)
    by_hand = []
    for train, test in folds.split(X):
        model = make().fit(X.iloc[train], y.iloc[train])
        by_hand.append(model.log_density(X.iloc[test], y.iloc[test]).mean())
    found = cross_val_score(make(), X, y, cv=folds, scoring=log_density, error_score="raise")
    np.testing.assert_allclose(found, by_hand)


def test_pipelines(fitted, data):
    X, y = data
    scaled = StandardScaler().set_output(transform="pandas")
    from sklearn.compose import make_column_transformer

    steps = make_column_transformer(
        (scaled, ["x"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    piped = make_pipeline(steps, make()).fit(X, y)
    np.testing.assert_allclose(
        intervene(piped, X, {"x": 1.0}).mean(), fitted.intervene(X, {"x": 1.0}).mean(), atol=1e-2
    )
    raw = TransformedTargetRegressor(make(), func=np.log, inverse_func=np.exp)
    raw.fit(X, np.exp(y / 4))
    assert intervene(raw, X, {"x": 1.0}, kind="predictive").mean().shape == (50,)
    with pytest.raises(ValueError, match="depends on the known standard deviation of each row"):
        intervene(raw, X, {"x": 1.0})


def test_refutation_keeps_errors_with_their_outcomes(fitted, data, monkeypatch):
    X, y = data
    pairs = set(zip(X["se"], y, strict=True))
    apart = []
    fit = BayesianInterventionRegressor.fit

    def watched(self, X, y, sample_weight=None):
        kept = slice(None) if sample_weight is None else np.flatnonzero(sample_weight)
        apart.append(not set(zip(X["se"].iloc[kept], np.asarray(y)[kept], strict=True)) <= pairs)
        return fit(self, X, y, sample_weight)

    monkeypatch.setattr(BayesianInterventionRegressor, "fit", watched)
    table = fitted.refute(X, y, {"x": 1.0}, {"x": 0.0}, n_repeats=3, random_state=0)
    assert len(apart) > 9
    assert not any(apart)
    assert table.loc["dummy outcome", "passed"]


# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "change", "words"),
    [
        ({"noise": "sd"}, {}, "noise: unknown column 'sd'"),
        (
            {"noise": "kind"},
            {},
            "noise: column 'kind' holds levels or bools; it must hold numbers",
        ),
        ({"family": "student_t"}, {}, "noise='se' is for Gaussian outcomes.* is 'student_t'"),
        ({"family": "poisson"}, {}, "noise='se' is for Gaussian outcomes"),
        ({}, {"se": -0.5}, "must not be negative; it is -0.5 in row 3"),
        ({}, {"se": np.nan}, "NaN"),
        ({"priors": NO_SIGMA}, {"se": 0.0}, "must be positive, as sigma is fixed at 0.* row 3"),
    ],
)
def test_what_is_refused(data, parameters, change, words):
    X, y = data
    X = X.assign(kind=np.where(np.arange(50) % 2, "a", "b"))
    for name, value in change.items():
        X.loc[3, name] = value
    with pytest.raises(ValueError, match=words):
        make(**parameters).fit(X, y.abs().round())


def test_no_name(data):
    with pytest.raises(TypeError, match="noise must be the name of a column of X, got Series"):
        make(noise=data[0]["se"]).fit(*data)


def test_rows_asked_about(fitted, data):
    X, _ = data
    with pytest.raises(ValueError, match="must not be negative; it is -1 in row 0"):
        fitted.predict(X.assign(se=-1.0), return_std=True)
    mean = fitted.predict(X.drop(columns="se"))  # what is expected does not hang on it
    np.testing.assert_array_equal(mean, fitted.predict(X))
    with pytest.raises(ValueError, match=r"sensitivity.*noise= gives each row its own"):
        fitted.sensitivity(X, {"x": 1.0}, {"x": 0.0})


def test_batches(data):
    X, y = data
    assert not hasattr(make(), "partial_fit")
    assert hasattr(make(noise=None), "partial_fit")
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(X, npartitions=2)
    with pytest.raises(ValueError, match="noise='se' makes the likelihood of 'y' no sum"):
        make().fit(frame, dd.from_pandas(y.rename("y"), npartitions=2))


def test_dask_rows_are_asked_about(fitted, data):
    dd = pytest.importorskip("dask.dataframe")
    X, _ = data
    found = fitted.predict(dd.from_pandas(X, npartitions=3)).compute()
    np.testing.assert_allclose(found, fitted.predict(X))


def test_errors_that_confound_are_refused():
    """As noise alone they would leave the confounding in: 2.3 where 1 is true."""
    rng = np.random.default_rng(0)
    se = rng.uniform(0.5, 2, 200)
    X = pd.DataFrame({"se": se, "x": se + rng.normal(size=200)})
    model = make(graph="se -> x -> y; se -> y")
    with pytest.raises(ValueError, match=r"'se' as a cause of 'y' and of others"):
        model.fit(X, X["x"] + se * rng.normal(size=200))


def test_rows_that_lack_their_errors(fitted, data):
    X, _ = data
    for rows in (X.drop(columns="se"), X.assign(se=np.nan)):
        with pytest.raises(ValueError, match=r"known standard deviations.*is missing in row 0"):
            fitted.predict(rows, return_std=True)
        with pytest.raises(ValueError, match=r"known standard deviations.*is missing in row 0"):
            fitted.intervene(rows, {"x": 1.0}, kind="predictive")
