"""Counts in proportion to an exposure, and rows that are equal and counted once."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import assert_mean, slow
from scipy import stats
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from interventional import BayesianInterventionRegressor, intervene
from interventional.data.schema import Schema
from interventional.inference.engines import infer
from interventional.inference.posterior import Sampling
from interventional.metrics import log_density
from interventional.scm.draft import draft
from interventional.scm.specification import specify

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
    ),
]


def estimator(**parameters):
    defaults = {"inference": "laplace", "draws": 200, "chains": 2, "random_state": 9}
    return BayesianInterventionRegressor(**defaults | {"family": "poisson"} | parameters)


def flat(draws):
    """Draws as an array of shape (draws, ...)."""
    values = np.asarray(draws)
    return values.reshape(-1, *values.shape[2:])


def of(model, name):
    return flat(model.idata_["posterior"][name])


def rows(n=200, seed=1):
    """Counts of events among so many people."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"x": rng.normal(size=n), "people": rng.uniform(1.0, 50.0, size=n)})
    y = rng.poisson(X["people"] * np.exp(-0.7 + 0.5 * X["x"]))
    return X, y.astype(float)


@pytest.fixture(scope="module")
def fitted():
    X, y = rows()
    return estimator(exposure="people").fit(X, y), X, y


def assert_same_draws(a, b, **tolerance):
    ours, theirs = (model.idata_["posterior"] for model in (a, b))
    assert set(ours.data_vars) == set(theirs.data_vars)
    for name in ours.data_vars:
        np.testing.assert_allclose(ours[name], theirs[name], **{"rtol": 0} | tolerance)


# --- What an exposure is ------------------------------------------------------------------------


def test_it_is_the_offset_of_the_generalised_linear_model(fitted):
    """Posterior means and deviations are the estimates and standard errors of statsmodels."""
    model, X, y = fitted
    fit = sm.GLM(
        y, sm.add_constant(X[["x"]]), family=sm.families.Poisson(), exposure=X["people"]
    ).fit()
    draws = {"const": of(model, "y_intercept"), "x": of(model, "y_beta")[:, 0]}
    for name, values in draws.items():
        # 400 draws: means to 1/20 of a deviation, deviations to 1/28
        assert abs(values.mean() - fit.params[name]) < 0.25 * fit.bse[name]
        assert abs(values.std() / fit.bse[name] - 1) < 0.16
    assert list(model.idata_["posterior"]["y_term"].values) == ["x"]
    ignored = estimator().fit(X[["x"]], y)
    assert abs(ignored.intercept_ - model.intercept_) > 10 * draws["const"].std()


def test_forms(fitted):
    """A column of an array by its position or name, a column of a DataFrame by its label."""
    model, X, y = fitted
    for table, key in (
        (X.to_numpy(), 1),
        (X.to_numpy(), np.int64(1)),
        (X.to_numpy(), "x1"),
        (X[["people", "x"]], "people"),
        (X.set_axis([7, 3], axis=1), 3),
    ):
        other = estimator(exposure=key).fit(table, y)
        np.testing.assert_allclose(of(other, "y_beta"), of(model, "y_beta"))
        np.testing.assert_allclose(other.predict(table), model.predict(X))
    assert_same_draws(clone(model).fit(X, y), model)


@pytest.mark.parametrize("family", ["poisson", slow("negative_binomial")])
def test_all_is_in_proportion(family):
    X, y = rows(80, seed=2)
    model = estimator(exposure="people", family=family).fit(X, y)
    more = X.assign(people=3 * X["people"])
    np.testing.assert_allclose(model.predict(more), 3 * model.predict(X))
    rate = np.exp(of(model, "y_intercept")[:, None] + of(model, "y_beta") * X["x"].to_numpy())
    expected = rate * X["people"].to_numpy()
    np.testing.assert_allclose(model.predict(X), expected.mean(axis=0))

    variance = expected
    if family == "negative_binomial":
        variance = expected + expected**2 / of(model, "y_alpha")[:, None]
    _, std = model.predict(X, return_std=True)
    truth = np.sqrt(variance.mean(axis=0) + expected.var(axis=0, ddof=1))
    np.testing.assert_allclose(std, truth)
    drawn = model.sample_y(X, 400)
    assert_mean(drawn - expected.mean(axis=0)[:, None], 0.0, axis=1)

    if family == "poisson":
        densities = stats.poisson.logpmf(y, expected)
    else:
        alpha = of(model, "y_alpha")[:, None]
        densities = stats.nbinom.logpmf(y, alpha, alpha / (alpha + expected))
    found = model.log_likelihood(X, y)["log_likelihood"]["y"]
    np.testing.assert_allclose(flat(found), densities, rtol=1e-8)
    np.testing.assert_allclose(
        model.log_density(X, y), np.log(np.exp(densities).mean(axis=0)), rtol=1e-8
    )


def test_default_priors_are_of_the_rate(fitted):
    """In other units of exposure the intercept moves, by the log of the unit, and nothing else."""
    model, X, y = fitted
    thousands = estimator(exposure="people").fit(X.assign(people=X["people"] / 1000), y)
    np.testing.assert_allclose(of(thousands, "y_beta"), of(model, "y_beta"), rtol=1e-6)
    gap = of(thousands, "y_intercept") - of(model, "y_intercept")
    np.testing.assert_allclose(gap, np.log(1000), rtol=1e-6)


def test_rates_alone():
    """No column but the exposure: the posterior of a rate, which is nearly events over people."""
    X, y = rows(100, seed=3)
    model = estimator(exposure="people").fit(X[["people"]], y)
    rate = y.sum() / X["people"].sum()
    np.testing.assert_allclose(model.predict(X[["people"]]), rate * X["people"], rtol=0.02)
    rates = np.exp(of(model, "y_intercept"))
    np.testing.assert_allclose(model.predict(X[["people"]]), rates.mean() * X["people"])
    assert model.coef_.shape == (0,)
    forced = model.intervene(X[["people"]], {"people": 10.0})
    np.testing.assert_allclose(forced.mean(), 10 * rates.mean())


# --- Forcing ------------------------------------------------------------------------------------


def test_forcing_it(fitted):
    model, X, _ = fitted
    rate = np.exp(of(model, "y_intercept")[:, None] + of(model, "y_beta") * X["x"].to_numpy())
    ten = model.intervene(X, {"people": 10.0})
    np.testing.assert_allclose(flat(ten.draws), 10 * rate)
    doubled = model.intervene(X, {"people": lambda X: 2 * X["people"]})
    as_it_was = model.intervene(X, {"people": X["people"]})
    np.testing.assert_allclose((doubled / as_it_was).draws, 2.0)
    np.testing.assert_allclose(
        flat(model.effect(X, {"people": lambda X: X["people"] + 1}).draws), rate
    )
    at_zero = model.intervene(X, {"x": 0.0})
    truth = np.exp(of(model, "y_intercept"))[:, None] * X["people"].to_numpy()
    np.testing.assert_allclose(flat(at_zero.draws), truth)
    both = model.intervene(X, {"people": 10.0, "x": 0.0}, kind="predictive")
    z = (flat(both.draws) - 10 * truth / X["people"].to_numpy()).ravel()
    assert_mean(z, 0.0)
    assert_mean(z**2, (10 * np.exp(of(model, "y_intercept"))).mean())
    with pytest.raises(ValueError, match="exposure must be positive; it is 0 in row 0"):
        model.intervene(X, {"people": 0})


def test_drawn_exposures(fitted):
    """A policy that draws the exposure: the rate times its mean."""
    model, X, _ = fitted
    rate = np.exp(of(model, "y_intercept")[:, None] + of(model, "y_beta") * X["x"].to_numpy())
    drawn = flat(model.intervene(X, {"people": stats.uniform(5.0, 10.0)}).draws) / rate
    assert stats.kstest((drawn - 5).ravel() / 10, "uniform").pvalue > 1e-4


def test_in_a_graph(fitted):
    """The draws are the same to the last bit; the exposure is a cause that is no regressor."""
    model, X, y = fitted
    graph = estimator(exposure="people", graph="x -> y; people -> y").fit(X, y)
    assert_same_draws(graph, model)
    np.testing.assert_array_equal(graph.predict(X), model.predict(X))
    for do in ({"people": 3.0}, {"x": 1.0}):
        ours, theirs = (m.intervene(X, do) for m in (graph, model))
        np.testing.assert_allclose(ours.draws, theirs.draws)


@pytest.mark.slow
def test_an_exposure_with_causes():
    """x brings people, and people bring events: E[y | do(x)] = E[people | x] rate(x), exactly."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=200)
    people = rng.gamma(4.0, np.exp(1.0 + 0.5 * x) / 4.0)
    X = pd.DataFrame({"people": people, "x": x})
    y = rng.poisson(people * np.exp(-0.5 + 0.3 * x))
    families = {"people": "gamma", "y": "poisson"}
    model = estimator(graph="x -> people -> y; x -> y", family=families, exposure="people")
    model.fit(X, y)
    forced = np.linspace(-1, 1, 200)

    def link(node):
        return np.exp(of(model, f"{node}_intercept")[:, None] + of(model, f"{node}_beta") * forced)

    truth = link("people") * link("y")
    np.testing.assert_allclose(flat(model.intervene(X, {"x": forced}).draws), truth, rtol=1e-9)
    new = flat(model.intervene(X, {"x": forced}, kind="predictive").draws)
    # the counts' own variance, and that of the people
    variance = truth + truth**2 / of(model, "people_alpha")[:, None]
    assert_mean((new - truth).ravel(), 0.0)
    assert_mean((((new - truth) ** 2) / variance).ravel(), 1.0)
    held = model.intervene(X, {"x": forced, "people": 2.0})
    np.testing.assert_allclose(flat(held.draws), 2.0 * link("y"), rtol=1e-9)
    parts = model.decompose(X.head(50), {"x": 1.0}, {"x": 0.0})
    summed = parts["direct"].draws + parts["indirect"].draws
    np.testing.assert_allclose(parts["total"].draws, summed, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_an_exposure_that_also_acts_through_a_mediator():
    """people -> m -> y beside the proportion: the factor of each, by hand."""
    rng = np.random.default_rng(5)
    people = rng.uniform(1.0, 5.0, size=200)
    m = 0.4 * people + rng.normal(size=200)
    X = pd.DataFrame({"people": people, "m": m})
    y = rng.poisson(people * np.exp(-0.5 + 0.3 * m))
    model = estimator(
        graph="people -> m -> y; people -> y", family={"y": "poisson"}, exposure="people"
    ).fit(X, y)
    ratio = model.intervene(X, {"people": 4.0}) / model.intervene(X, {"people": 2.0})
    truth = 2 * np.exp(of(model, "y_beta")[:, 0] * of(model, "m_beta")[:, 0] * 2.0)
    # as near as the points come that the mediator is integrated over
    np.testing.assert_allclose(flat(ratio.draws), truth[:, None] * np.ones(200), rtol=1e-5)


# --- In scikit-learn ----------------------------------------------------------------------------


def test_cross_validation(fitted):
    """Each fold takes its own rows' exposures: the scores of a loop by hand."""
    _, X, y = fitted
    folds = KFold(3, shuffle=True, random_state=0)
    by_hand = []
    for train, test in folds.split(X):
        model = estimator(exposure="people").fit(X.iloc[train], y[train])
        by_hand.append(model.log_density(X.iloc[test], y[test]).mean())
    scores = cross_val_score(
        estimator(exposure="people"), X, y, cv=folds, scoring=log_density, error_score="raise"
    )
    np.testing.assert_allclose(scores, by_hand)
    without = cross_val_score(
        estimator(), X, y, cv=folds, scoring=log_density, error_score="raise"
    )
    assert (scores > without + 0.1).all()


def test_pipelines(fitted):
    """The exposure passes through the steps, by its name or by its position."""
    model, X, y = fitted
    raw = X.assign(city=np.where(np.arange(len(X)) % 3, "bath", "york"))

    def steps():
        return make_column_transformer(
            (StandardScaler(), ["x"]),
            (OneHotEncoder(sparse_output=False, drop="first"), ["city"]),
            remainder="passthrough",
            verbose_feature_names_out=False,
        )

    named = make_pipeline(steps().set_output(transform="pandas"), estimator(exposure="people"))
    placed = make_pipeline(steps(), estimator(exposure=2))
    scores = [
        cross_val_score(pipeline, raw, y, cv=3, scoring=log_density, error_score="raise")
        for pipeline in (named, placed)
    ]
    np.testing.assert_allclose(*scores)
    named.fit(raw, y)
    more = raw.assign(people=2 * raw["people"])
    np.testing.assert_allclose(named.predict(more), 2 * named.predict(raw))
    doubled = intervene(named, raw, {"people": lambda X: 2 * X["people"]})
    as_it_was = intervene(named, raw, {"people": lambda X: X["people"]})
    np.testing.assert_allclose((doubled / as_it_was).draws, 2.0)
    with pytest.raises(ValueError, match="exposure must be positive"):
        intervene(named, raw, {"people": -1.0})
    # one city more than the model without: x's effect is the same to a few per cent
    slope = named[-1].coef_[0] / X["x"].std(ddof=0)
    assert slope == pytest.approx(model.coef_[0], abs=3 * of(model, "y_beta").std())


# --- Equal rows ---------------------------------------------------------------------------------


def few_distinct(family, n=2000, exposure=False):
    """Two columns of few values, and counts or zeros and ones."""
    rng = np.random.default_rng(6)
    X = pd.DataFrame({"a": rng.integers(0, 3, size=n), "b": rng.integers(0, 2, size=n)})
    X = X.astype(float)
    eta = -0.5 + 0.4 * X["a"] - 0.3 * X["b"]
    if exposure:
        X["people"] = rng.integers(1, 3, size=n).astype(float)
        eta += np.log(X["people"])
    draw = rng.poisson if family == "poisson" else lambda odds: rng.binomial(1, odds / (1 + odds))
    return X, draw(np.exp(eta)).astype(float)


def seen_by(model, X, y, weights=None):
    """The equation of the outcome, and what inference sees of rows."""
    schema = Schema.of(X)
    parsed = draft(schema, **model._parameters())
    made, (seen,) = specify(parsed, schema.encode(X), y, weights)
    return made.of_outcome, seen


EQUAL = [("bernoulli", None), ("poisson", None), ("poisson", "people")]


@pytest.mark.parametrize(("family", "exposure"), EQUAL)
def test_distinct_rows_are_as_few_as_they_should_be(family, exposure):
    X, y = few_distinct(family, exposure=exposure is not None)
    _, seen = seen_by(estimator(family=family, exposure=exposure), X, y)
    counted = pd.DataFrame(X).assign(y=y).value_counts()
    assert len(seen.target) == len(counted) < 100
    assert seen.moments.n == len(y)
    columns = [seen.matrix]
    if exposure:
        assert seen.matrix.shape[1] == 2  # the exposure is no term
        columns.append(np.exp(seen.offset))
    found = np.column_stack([*columns, seen.target]).round(9)
    truth = {key: float(count) for key, count in counted.items()}
    assert {tuple(row): w for row, w in zip(found, seen.weights, strict=True)} == truth


@pytest.mark.parametrize(("family", "exposure"), EQUAL)
def test_distinct_rows_give_the_posterior_of_all(family, exposure):
    """The same draws, to rounding, as from the model of all rows, each with a weight of one."""
    X, y = few_distinct(family, exposure=exposure is not None)
    model = estimator(family=family, exposure=exposure)
    equation, seen = seen_by(model, X, y)
    expanded = replace(
        seen,
        matrix=X[["a", "b"]].to_numpy(),
        target=y,
        weights=np.ones(len(y)),
        offset=None if exposure is None else np.log(X["people"].to_numpy()),
    )
    assert not expanded.are_weighted
    sampling = Sampling(draws=50, tune=0, chains=1, seed=3, n_jobs=1, verbose=False)
    few, all_rows = (infer(equation, data, "laplace", sampling) for data in (seen, expanded))
    for name, values in all_rows.variables.items():
        np.testing.assert_allclose(few.variables[name], values, rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("ignore:sample_weight are frequencies")  # fractions add up too
@pytest.mark.parametrize(("family", "exposure"), [*EQUAL, ("gamma", None)])
def test_weights_are_copies(family, exposure):
    """Whole weights, zeros among them, and fractions that add up to the same."""
    X, y = few_distinct("poisson", n=40, exposure=exposure is not None)
    if family == "gamma":
        y = y + np.random.default_rng(7).uniform(0.5, 1.0, size=40)
    elif family == "bernoulli":
        y = np.minimum(y, 1.0)
    weights = np.random.default_rng(8).integers(0, 4, size=40)
    model = estimator(family=family, exposure=exposure)
    weighted = clone(model).fit(X, y, sample_weight=weights)
    copies = np.repeat(np.arange(40), weights)
    copied = clone(model).fit(X.iloc[copies], y[copies])
    assert_same_draws(weighted, copied, rtol=1e-6, atol=1e-8)
    halves = pd.concat([X, X])
    twice = clone(model).fit(halves, np.tile(y, 2), sample_weight=np.tile(weights / 2, 2))
    assert_same_draws(twice, copied, rtol=1e-6, atol=1e-8)
    shuffled = np.random.default_rng(9).permutation(copies)
    assert_same_draws(
        clone(model).fit(X.iloc[shuffled], y[shuffled]), copied, rtol=1e-6, atol=1e-8
    )
    others = clone(model).fit(X, y, sample_weight=weights[::-1])
    assert np.abs(others.coef_ - copied.coef_).max() > 1e-3
