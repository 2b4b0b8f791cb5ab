"""Biases held against their definition, a hand-written model, and simulated confounders."""

import pickle

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from conftest import N_STANDARD_ERRORS, assert_mean
from pymc_extras.prior import Prior
from scipy import stats
from scipy.optimize import root
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from interventional import BayesianInterventionRegressor, intervene, numbers
from interventional.answers.outcomes import contents_of
from interventional.data.schema import Schema
from interventional.scm.compiling import python_mode
from interventional.scm.draft import draft
from interventional.scm.specification import specify
from interventional.trust.confounding import parse

BIAS = {"dose": Prior("Normal", mu=0.3, sigma=0.5)}


def rows(n, seed, gamma=1.0):
    """Return rows whose outcome and dose share a cause that nobody sees; the effect is 1."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(2, n))
    dose = x + u + rng.normal(size=n)
    y = dose + x + gamma * u + rng.normal(size=n)
    return pd.DataFrame({"dose": dose, "x": x, "old": rng.uniform(size=n) < 0.5}), y


@pytest.fixture(scope="module")
def fitted():
    X, y = rows(60, 0)
    plain = BayesianInterventionRegressor(random_state=0).fit(X, y)
    priors = {**BIAS, "old": Prior("StudentT", nu=4, mu=0, sigma=1)}
    return X, y, plain, BayesianInterventionRegressor(confounding=priors, random_state=0).fit(X, y)


def bias_of(model, column="dose"):
    return model.idata_["confounding"][column].values


def test_nothing_else_changes(fitted):
    X, _, plain, model = fitted
    for name, values in plain.idata_["posterior"].data_vars.items():
        np.testing.assert_array_equal(values, model.idata_["posterior"][name])
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    np.testing.assert_array_equal(plain.sample_y(X), model.sample_y(X))
    np.testing.assert_array_equal(
        plain.intervene(X, {"x": 1}).draws, model.intervene(X, {"x": 1}).draws
    )
    assert "confounding" not in plain.idata_


def test_draws_are_those_of_the_prior(fitted):
    *_, model = fitted
    drawn = bias_of(model)
    assert drawn.shape == (4, 1000)
    assert stats.kstest(drawn.ravel(), stats.norm(0.3, 0.5).cdf).pvalue > 1e-4
    assert stats.kstest(bias_of(model, "old").ravel(), stats.t(4).cdf).pvalue > 1e-4
    together = [drawn.ravel(), bias_of(model, "old").ravel()]
    posterior = model.idata_["posterior"]
    together += [posterior["y_beta"].values[..., k].ravel() for k in range(3)]
    together += [posterior["y_sigma"].values.ravel()]
    correlations = np.corrcoef(together)[:2]
    correlations[np.abs(correlations - 1) < 1e-12] = 0
    assert np.abs(correlations).max() < N_STANDARD_ERRORS / np.sqrt(drawn.size)


def test_draws_of_one_column_do_not_depend_on_others(fitted):
    X, y, _, model = fitted
    alone = BayesianInterventionRegressor(confounding=BIAS, random_state=0).fit(X, y)
    np.testing.assert_array_equal(bias_of(alone), bias_of(model))


@pytest.mark.parametrize(
    "prior",
    [
        Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=2)),
        Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=2), centered=False),
    ],
)
def test_a_prior_may_have_priors(prior):
    """A scale that is random too is drawn for each sample: the mixture has its own variance."""
    X, y = rows(30, 1)
    model = BayesianInterventionRegressor(confounding={"dose": prior}, random_state=0).fit(X, y)
    drawn = bias_of(model).ravel()
    assert len(np.unique(drawn)) == drawn.size
    assert_mean(drawn, 0.0)
    assert_mean(drawn**2, 4.0)
    assert_mean(drawn[1:] * drawn[:-1], 0.0)


@pytest.mark.parametrize("kind", ["mean", "predictive"])
@pytest.mark.parametrize(
    "do",
    [
        {"dose": 2.0},
        {"dose": lambda X: X["x"] + 1},
        {"dose": 2.0, "x": 1.0},
        {"dose": 2.0, "old": True},
        {"dose": stats.norm(1, 2)},
    ],
)
def test_answers_are_less_by_bias_times_distance(fitted, do, kind):
    X, _, plain, model = fitted
    shift = 0.0
    policy = {"dose": X["x"] + 1} if callable(do["dose"]) else do
    for column in set(do) & {"dose", "old"}:
        value = policy[column]
        if hasattr(value, "rvs"):  # what was drawn, by way of a model that returns it
            same = BayesianInterventionRegressor(random_state=0).fit(X, X["dose"] + X["x"])
            same.idata_["posterior"]["y_beta"].values[:] = [1.0, 0.0, 0.0]
            same.idata_["posterior"]["y_intercept"].values[:] = 0.0
            value = same.intervene(X, do).draws.values
        moved = np.asarray(value, dtype=float) - X[column].to_numpy(dtype=float)
        shift = shift + bias_of(model, column)[..., None] * moved
    before, after = (m.intervene(X, do, kind=kind).draws.values for m in (plain, model))
    np.testing.assert_allclose(after, before - shift, rtol=1e-9, atol=1e-9)


def test_a_row_as_it_was_is_as_it_was_seen(fitted):
    X, y, _, model = fitted
    observed = {"dose": X["dose"]}
    np.testing.assert_allclose(model.intervene(X, observed).mean(), model.predict(X))
    np.testing.assert_allclose(
        model.counterfactual(X, y, observed).draws.values, np.broadcast_to(y, (4, 1000, len(y)))
    )


def test_effects_and_counterfactuals_shift_alike(fitted):
    X, y, plain, model = fitted
    ask = {"do": {"dose": 3}, "baseline": {"dose": 1}}
    truth = plain.effect(X, **ask).draws.values - 2 * bias_of(model)[..., None]
    np.testing.assert_allclose(model.effect(X, **ask).draws, truth, rtol=1e-9, atol=1e-9)
    pairs = [model.counterfactual(X, y, ask[side]) for side in ("do", "baseline")]
    np.testing.assert_allclose((pairs[0] - pairs[1]).draws, truth, rtol=1e-9, atol=1e-9)


def test_variances_add_up(fitted):
    X, _, plain, model = fitted
    variance = [
        m.effect(X, {"dose": 3}, {"dose": 1}).average().std()[0] ** 2 for m in (plain, model)
    ]
    truth = variance[0] + 4 * 0.25
    assert abs(variance[1] - truth) < N_STANDARD_ERRORS * truth * np.sqrt(2 / 4000)


@pytest.mark.parametrize("do", [{"dose": 2.0}, {"dose": stats.norm(1, 2)}])
def test_answers_in_blocks_are_those_at_once(fitted, do, monkeypatch):
    X, _, _, model = fitted
    at_once = model.effect(X, do)
    monkeypatch.setattr(numbers, "AT_ONCE", 0)
    in_blocks = model.effect(X, do)
    closed = contents_of(in_blocks).samples.linear() is not None
    assert closed == (do["dose"] == 2.0)
    np.testing.assert_allclose(in_blocks.mean(), at_once.mean(), atol=1e-12)
    np.testing.assert_allclose(in_blocks.std(), at_once.std(), rtol=1e-9)
    np.testing.assert_allclose(
        in_blocks.average(by="old").interval(), at_once.average(by="old").interval(), atol=1e-12
    )


def test_equals_a_model_with_the_bias_written_down():
    """The regression on the dose has the slope effect + bias, both of them variables of PyMC."""
    X, y = rows(400, 2)
    flat = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}
    ours = BayesianInterventionRegressor(priors=flat, confounding=BIAS, random_state=3).fit(X, y)
    with pm.Model() as by_hand:
        effect, others = pm.Flat("effect"), pm.Flat("others", shape=3)
        bias, log_sigma = pm.Normal("bias", 0.3, 0.5), pm.Flat("log_sigma")
        mu = others[0] + (effect + bias) * X["dose"].to_numpy()
        mu += others[1] * X["x"].to_numpy() + others[2] * X["old"].to_numpy(dtype=float)
        pm.Normal("y", mu, pm.math.exp(log_sigma), observed=y)
    names = {"effect": 0, "others": slice(1, 4), "bias": 4, "log_sigma": 5}
    gradient = by_hand.compile_dlogp(mode=python_mode())
    assert [rv.name for rv in by_hand.value_vars] == list(names)

    def slope(x):
        return gradient({name: np.asarray(x[where]) for name, where in names.items()})

    mode = root(slope, [1, 0, 1, 0, 0.3, 0], tol=1e-12).x
    steps = 1e-4 * np.eye(6)  # sigma aside, the posterior is Gaussian
    covariance = np.linalg.inv([(slope(mode - s) - slope(mode + s)) / 2e-4 for s in steps])
    draws = ours.effect(X, {"dose": 1}, {"dose": 0}).average().draws.values.ravel()
    assert_mean(draws, mode[0])
    variance = abs(covariance[0, 0])
    assert abs(draws.var() - variance) < N_STANDARD_ERRORS * variance * np.sqrt(2 / len(draws))


def test_intervals_cover_where_naive_ones_do_not():
    """Confounding differs from world to world as the prior says: u has half of dose's rest."""
    rng = np.random.default_rng(4)
    worlds = 30
    covered = np.zeros((2, worlds))
    for k in range(worlds):
        bias = rng.normal(0.6, 0.3)
        X, y = rows(100, 100 + k, gamma=2 * bias)
        model = BayesianInterventionRegressor(
            confounding={"dose": Prior("Normal", mu=0.6, sigma=0.3)}, draws=200, random_state=k
        ).fit(X, y)
        slope = model.idata_["posterior"]["y_beta"].values[..., 0]
        effect = model.effect(X[:1], {"dose": 1}, {"dose": 0}).draws.values[..., 0]
        for j, draws in enumerate((effect, slope)):
            low, high = np.quantile(draws, [0.03, 0.97])
            covered[j, k] = low < 1 < high
    error = np.sqrt(0.94 * 0.06 / worlds)
    assert abs(covered[0].mean() - 0.94) < N_STANDARD_ERRORS * error
    assert covered[1].mean() < 0.5


def test_a_prior_at_the_true_bias_recovers_the_effect():
    X, y = rows(20_000, 6)
    for sigma in (1e-6, 0.2):
        prior = {"dose": Prior("Normal", mu=0.5, sigma=sigma)}
        model = BayesianInterventionRegressor(confounding=prior, random_state=0).fit(X, y)
        effect = model.effect(X[:5], {"dose": 1}, {"dose": 0}).average()
        assert abs(effect.mean()[0] - 1) < N_STANDARD_ERRORS * effect.std()[0]
    naive = BayesianInterventionRegressor(random_state=0).fit(X, y)
    assert naive.effect(X[:5], {"dose": 1}, {"dose": 0}).average().interval(0.999)[0, 0] > 1.4


def test_students_t_may_be_confounded():
    X, _ = rows(10, 0)
    schema = Schema.of(X)
    parsed = draft(schema, outcome="y", family="student_t")
    model, _ = specify(parsed, schema.encode(X))
    assert list(parse(BIAS, model)) == ["dose"]


def test_batches_pickles_clones_and_searches(fitted):
    X, y, _, model = fitted
    ask = {"do": {"dose": 3}, "baseline": {"dose": 1}}
    truth = model.effect(X, **ask).average().draws
    batches = clone(model).partial_fit(X[:30], y[:30]).partial_fit(X[30:], y[30:])
    np.testing.assert_allclose(batches.effect(X, **ask).average().draws, truth, rtol=1e-6)
    for again in (pickle.loads(pickle.dumps(model)), clone(model).fit(X, y)):
        np.testing.assert_array_equal(again.effect(X, **ask).average().draws, truth)
    search = GridSearchCV(model, {"draws": [50, 60]}, cv=2).fit(X, y)
    assert search.best_estimator_.confounding.keys() == model.confounding.keys()
    answer = intervene(search, X, {"dose": X["dose"]})
    np.testing.assert_allclose(answer.mean(), search.predict(X))


def test_dask_rows(fitted):
    import dask
    import dask.dataframe as dd

    X, _, _, model = fitted
    ask = {"do": {"dose": 3}, "baseline": {"dose": 1}}
    with dask.config.set(scheduler="synchronous"):
        parts = model.effect(dd.from_pandas(X, npartitions=2), **ask).average()
    np.testing.assert_allclose(parts.draws, model.effect(X, **ask).average().draws, rtol=1e-9)
    with pytest.raises(ValueError, match="sensitivity takes rows in memory"):
        model.sensitivity(dd.from_pandas(X, npartitions=2), **ask)


def test_two_priors_are_two_posteriors(fitted):
    X, y, plain, model = fitted
    other = BayesianInterventionRegressor(
        confounding={"dose": Prior("Normal", mu=0, sigma=1)}, random_state=0
    ).fit(X, y)
    for one in (plain, other):
        with pytest.raises(ValueError, match="two posteriors"):
            model.intervene(X, {"dose": 1}) - one.intervene(X, {"dose": 1})


GRAPH = "x -> dose; x -> y; dose -> m; m -> y; dose -> y; x -> m"


def mediated(confounding):
    X, y = rows(80, 7)
    X["m"] = X["dose"] + np.random.default_rng(1).normal(size=80)
    model = BayesianInterventionRegressor(graph=GRAPH, confounding=confounding, random_state=0)
    return X, model.fit(X, y + X["m"])


def test_a_total_effect_through_a_mediator_shifts():
    X, plain = mediated(None)
    _, model = mediated(BIAS)
    ask = {"do": {"dose": 3}, "baseline": {"dose": 1}}
    truth = plain.effect(X, **ask).draws.values - 2 * bias_of(model)[..., None]
    np.testing.assert_allclose(model.effect(X, **ask).draws, truth, rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="forcing 'm' too leaves a part only"):
        model.intervene(X, {"dose": 1, "m": 0})
    with pytest.raises(ValueError, match=r"^decompose: .* bias of 'dose'.*parts are biased"):
        model.decompose(X, **ask)
    with pytest.raises(ValueError, match=r"^sensitivity: .* bias of 'dose'.*already"):
        model.sensitivity(X, **ask)


def test_what_acts_through_a_biased_column_is_refused():
    X, model = mediated({"m": Prior("Normal")})
    with pytest.raises(ValueError, match="'dose' acts through 'm', whose effect has a prior"):
        model.intervene(X, {"dose": 1})
    assert model.intervene(X, {"m": 1}).mean().shape == (80,)


def test_wrong_priors_are_refused():
    X, y = rows(40, 8)
    X["area"] = np.where(X["x"] > 0, "north", "south")

    def refuse(words, confounding, error=ValueError, **parameters):
        model = BayesianInterventionRegressor(
            confounding=confounding, random_state=0, **parameters
        )
        with pytest.raises(error, match=words):
            model.fit(X, y)
        assert not hasattr(model, "n_features_in_")

    normal = Prior("Normal", mu=0, sigma=1)
    refuse("confounding: unknown column 'dos'; did you mean 'dose'", {"dos": normal})
    refuse("column 'area' holds levels", {"area": normal})
    refuse(r"confounding\['dose'\] must be a pymc_extras", {"dose": "ridge"}, TypeError)
    refuse(r"confounding\['dose'\] must be a pymc_extras", {"dose": 1.0}, TypeError)
    refuse("must be proper; Prior\\('Flat'\\) is not", {"dose": Prior("Flat")})
    refuse("is no distribution: scale < 0", {"dose": Prior("Normal", mu=0, sigma=-1)})
    refuse("has an array", {"dose": Prior("Normal", mu=np.zeros(2), sigma=1)})
    refuse("'confounding' parameter", [normal])
    refuse("'x' is no cause of 'y'", {"x": normal}, graph="dose -> y; y -> x")
    refuse("'old' is no cause of 'y'", {"old": normal}, graph="dose -> y")
    y = np.exp(y / 9)
    refuse("is 'lognormal'.*E-value", {"dose": normal}, family="lognormal")
