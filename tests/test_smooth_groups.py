"""`design="smooth"` and `groups=`, as a user has them."""

import numpy as np
import pandas as pd
import pytest
from conftest import assert_predicts_without_pymc, integrated, swollen

from interventional import BayesianInterventionRegressor
from interventional.data.seen_surface import SeenSurface
from interventional.data.table import read_table
from interventional.inference.evidence import Evidence
from interventional.inference.scale_priors import of_sigma
from interventional.inference.surfaces import Problem
from interventional.intervention.forward import Expected
from interventional.scm.compiling import python_mode


def stores(n_stores=20, each=12, seed=0, slope=0.5, level=1.0):
    """Sales that bend with x, stores with levels and effects of their own: also these effects."""
    rng = np.random.default_rng(seed)
    store = rng.permutation(np.repeat(np.arange(n_stores), each))
    n = len(store)
    x = rng.uniform(-2, 2, n)
    t = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(float)
    effect = 1 + x**2 / 2 + slope * rng.normal(size=n_stores)[store]
    own = level * rng.normal(size=n_stores)[store]
    y = np.sin(2 * x) + own + effect * t + 0.4 * rng.normal(size=n)
    names = np.array([f"s{k}" for k in range(n_stores)])
    return pd.DataFrame({"store": names[store], "x": x, "t": t}), pd.Series(y, name="y"), effect


def smooth(**options):
    options = {"treatments": ["t"], "random_state": 0, "draws": 100} | options
    return BayesianInterventionRegressor(design="smooth", **options)


@pytest.fixture(scope="module")
def fitted():
    X, y, effect = stores(seed=1)  # of 0 even who knows the curves is off by two errors
    groups = {"store": ["t"]}
    return smooth(groups=groups, unseen_levels="population").fit(X, y), X, y, effect


def test_effects_that_bend_and_differ_between_stores(fitted):
    model, X, _, effect = fitted
    found = model.effect(X, {"t": 1}, {"t": 0})
    low, high = found.average().interval(0.99)[0]
    assert low < effect.mean() < high
    assert np.sqrt(np.mean((found.mean() - effect) ** 2)) < 0.35  # spread 0.8
    posterior = model.idata_["posterior"]
    assert list(posterior["y_beta_store_sd"].y_store_effect.values) == ["intercept", "t"]
    sd = posterior["y_beta_store_sd"].mean(("chain", "draw")).values
    assert 0.6 < sd[0] < 1.5
    assert 0.2 < sd[1] < 1.0
    corr = posterior["y_beta_store_corr"].values
    np.testing.assert_allclose(corr[..., 0, 0], 1.0)
    assert (np.abs(corr) <= 1 + 1e-12).all()


@pytest.mark.slow
def test_intervals_hold_effects():
    """Of 95%: of rows, of the average and of the population, in twelve data sets."""
    held, of_rows = [], []
    for seed in range(100, 112):
        X, y, effect = stores(seed=seed)
        found = smooth(groups={"store": ["t"]}, draws=250).fit(X, y).effect(X, {"t": 1}, {"t": 0})
        averages = found.average(), found.average(population="store")
        truths = effect.mean(), np.mean(1 + X["x"] ** 2 / 2)
        for average, truth in zip(averages, truths, strict=True):
            low, high = average.interval(0.95)[0]
            held.append(low < truth < high)
        rows = found.interval(0.95)
        of_rows.append(np.mean((rows[:, 0] < effect) & (effect < rows[:, 1])))
    assert np.sum(held) >= 19  # of 24; fewer in one of a thousand runs
    assert np.mean(of_rows) > 0.88


def test_the_closed_form_is_the_graphs(fitted):
    model, X, _, _ = fitted
    rows = X.head(20)
    units = model.fitted_.units(read_table(rows, model, reset=False))
    query = model.fitted_.asked({"t": 1.0, "x": 0.3}, units)
    answer = Expected(model.fitted_.model, query, model.fitted_.draws)
    block, linear = answer.of_graph(0, slice(0, 20)), answer.linear()
    np.testing.assert_allclose(linear.samples(slice(0, 20)), block, atol=1e-8)


def test_their_population_and_a_new_store(fitted):
    """A new store's effect has the same mean as the population's, and the spread of stores more.

    That of the population is that of coefficients of stores which are nothing.
    """
    model, X, _, _ = fitted
    effect = model.effect(X, {"t": 1}, {"t": 0})
    of_population = effect.average(population="store")
    new = model.effect(X.assign(store="new"), {"t": 1}, {"t": 0}).average()
    sd = model.fitted_.learnt["y_beta_store_sd"][:, 1]
    expected = np.sqrt(of_population.std()[0] ** 2 + np.mean(sd**2))
    assert abs(new.std()[0] / expected - 1) < 4.5 / np.sqrt(2 * 400) + 0.1
    assert abs(new.mean()[0] - of_population.mean()[0]) < 4.5 * expected / np.sqrt(400)
    assert of_population.std()[0] > 1.5 * effect.average().std()[0]
    draws, design = dict(model.fitted_.draws), model.fitted_.model.of_outcome.design
    draws["y_beta"] = draws["y_beta"].copy()
    draws["y_beta"][:, design.span(0)] = 0.0
    units = model.fitted_.units(read_table(X, model, reset=False))
    sides = [
        Expected(model.fitted_.model, model.fitted_.asked({"t": t}, units), draws).linear()
        for t in (1.0, 0.0)
    ]
    by_hand = sides[0].samples(slice(0, len(X))) - sides[1].samples(slice(0, len(X)))
    np.testing.assert_allclose(of_population.draws.values.ravel(), by_hand.mean(axis=1), atol=1e-8)


def test_a_store_that_nobody_saw_is_an_error_by_default(fitted):
    model, X, _, _ = fitted
    strict = smooth(groups=["store"]).fit(X, model.predict(X))
    with pytest.raises(ValueError, match="unknown level in column 'store'"):
        strict.predict(X.assign(store="new"))


def test_a_pickle_predicts_without_pymc(fitted, tmp_path):
    model, X, _, _ = fitted
    assert_predicts_without_pymc(model, X.head(5), tmp_path)


def test_rows_in_another_order_are_the_same_rows():
    X, y, _ = stores(8, 10)
    order = np.random.default_rng(6).permutation(len(X))
    one = smooth(groups=["store"]).fit(X, y)
    other = smooth(groups=["store"]).fit(X.iloc[order], y.iloc[order])
    np.testing.assert_allclose(one.predict(X), other.predict(X), atol=1e-6)


def test_few_places_of_many_stores():
    """Landmarks are distinct places, whatever the stores: 12 of 240 rows."""
    rng = np.random.default_rng(1)
    store, week = np.repeat(np.arange(20), 12), np.tile(np.arange(12), 20)
    y = np.sin(week) + rng.normal(size=20)[store] + 0.1 * rng.normal(size=240)
    X = pd.DataFrame({"store": store, "week": week})
    model = smooth(groups=["store"], treatments=None).fit(X, y)
    surface = model.fitted_.model.of_outcome.surface
    assert surface.are_all
    assert len(surface.landmarks) == 12
    assert model.score(X, y) > 0.98
    found = model.effect(X, {"week": 2}, {"week": 5}).average().interval(0.999)[0]
    assert found[0] < np.sin(2) - np.sin(5) < found[1]
    assert found[1] - found[0] < 0.4


def test_crossed_groups():
    rng = np.random.default_rng(2)
    X, y, effect = stores(15, 16)
    X["week"] = rng.integers(12, size=len(X))
    y = y + 2.0 * rng.normal(size=12)[X["week"]]
    model = smooth(groups={"store": ["t"], "week": []}).fit(X, y)
    low, high = model.effect(X, {"t": 1}, {"t": 0}).average().interval(0.99)[0]
    assert low < effect.mean() < high
    posterior = model.idata_["posterior"]
    assert 1.0 < posterior["y_beta_week_sd"].mean() < 3.5
    both = model.effect(X, {"t": 1}, {"t": 0}).average(population=["store", "week"])
    assert np.isfinite(both.mean()).all()


def test_more_rows_than_landmarks():
    X, y, effect = stores(60, 15, seed=3)
    model = smooth(groups={"store": ["t"]}).fit(X, y)
    assert not model.fitted_.model.of_outcome.surface.are_all
    found = model.effect(X, {"t": 1}, {"t": 0})
    low, high = found.average().interval(0.99)[0]
    assert low < effect.mean() < high
    assert np.sqrt(np.mean((found.mean() - effect) ** 2)) < 0.3


def test_within_groups_that_confound():
    """Units with a high level have more of a dose: with their means as terms all is well."""
    rng = np.random.default_rng(4)
    level = 2 * rng.normal(size=80)
    unit = np.repeat(np.arange(80), 5)
    dose = 0.8 * level[unit] + rng.normal(size=400)
    y = np.sin(dose) + 1.5 * level[unit] + 0.5 * rng.normal(size=400)
    X = pd.DataFrame({"unit": unit, "dose": dose})
    more = {"dose": X["dose"] + 0.5}
    truth = np.mean(np.sin(dose + 0.5) - np.sin(dose))
    model = smooth(groups=["unit"], within=True, treatments="dose").fit(X, y)
    low, high = model.effect(X, more).average().interval(0.99)[0]
    assert low < truth < high
    assert high - low < 0.5
    assert "dose|unit" in model.idata_["posterior"]["y_beta"].y_term.values


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_of_other_families(family):
    rng = np.random.default_rng(5)
    unit = np.repeat(np.arange(20), 20)
    x = rng.uniform(-2, 2, 400)
    eta = np.cos(2 * x) + 0.8 * rng.normal(size=20)[unit]
    X = pd.DataFrame({"unit": unit, "x": x})
    if family == "poisson":
        y, mean = rng.poisson(np.exp(eta)), np.exp
    else:
        y, mean = (rng.random(400) < 1 / (1 + np.exp(-eta))) * 1.0, lambda z: 1 / (1 + np.exp(-z))
    model = smooth(groups=["unit"], family=family, treatments=None).fit(X, y)
    assert 0.4 < model.idata_["posterior"]["y_beta_unit_sd"].mean() < 1.5
    of_units = eta - np.cos(2 * x)
    truth = mean(np.cos(1.0) + of_units).mean() - mean(np.cos(3.0) + of_units).mean()
    found = model.effect(X, {"x": 0.5}, {"x": 1.5})
    low, high = found.average().interval(0.99)[0]
    assert low < truth < high
    over = found.average(population="unit")
    assert 0.5 < over.mean()[0] / found.average().mean()[0] < 2.0


def test_of_another_node():
    rng = np.random.default_rng(6)
    unit = np.repeat(np.arange(15), 20)
    x = rng.normal(size=300)
    m = x**2 + rng.normal(size=15)[unit] + 0.3 * rng.normal(size=300)
    y = 2 * m + 0.3 * rng.normal(size=300)
    X = pd.DataFrame({"unit": unit, "x": x, "m": m})
    model = BayesianInterventionRegressor(
        graph="unit -> m; x -> m -> y",
        design={"m": "smooth"},
        groups={"m": {"unit": []}},
        random_state=0,
        draws=50,
    ).fit(X, y)
    found = model.effect(X, {"x": 1.0}, {"x": 0.0}).average()
    np.testing.assert_allclose(found.mean(), 2.0, atol=0.4)
    assert "m_beta_unit_sd" in model.idata_["posterior"]


def test_nothing_but_groups():
    rng = np.random.default_rng(7)
    unit = np.repeat(np.arange(10), 10)
    y = rng.normal(size=10)[unit] + 0.3 * rng.normal(size=100)
    model = smooth(groups=["unit"], treatments=None).fit(pd.DataFrame({"unit": unit}), y)
    means = pd.Series(y).groupby(unit).mean()[unit]
    np.testing.assert_allclose(model.predict(pd.DataFrame({"unit": unit})), means, atol=0.15)


def test_its_density_is_the_models():
    """PyMC's joint density, coefficients integrated out, is what is fitted, up to a constant.

    It is a quadratic in them, given scales, lengths and sigma: its gradient and curvature are
    differences over unit steps, exactly.
    """
    X, y, _ = stores(2, 4)
    model = smooth(groups={"store": ["t"]}, draws=10, chains=1).fit(X, y)
    built, equation = model.build_model(X, y), model.fitted_.model.of_outcome
    values = model.fitted_.model.schema.encode(X)
    seen = SeenSurface.of(equation.design, values, y.to_numpy(), None)
    problem = Problem.of(equation, seen, of_sigma(equation)[0])
    on, lines = (True,) * len(problem.surface.components), equation.surface.width[0]
    of = problem.surface, problem.rows, problem.priors, on, problem.log_sigma, None, np.float64
    evidence = Evidence(*of)
    ((own, _),) = evidence.spreads
    log_density, point = (
        built.compile_logp(jacobian=True, mode=python_mode()),
        built.initial_point(),
    )
    # waves are nothing where each row is a landmark: they have their prior, apart
    sizes = {"y_beta_normal": 2, "y_intercept": 1, "y_beta_store_raw": 4, "y_noise": lines + 8}
    total = sum(sizes.values())

    def of_pymc(theta):
        scale, length, sigma = evidence.split(theta)
        at = {name: np.zeros_like(value) for name, value in point.items()}
        at["y_form"] = np.array(list(problem.priors.odds).index(on))
        at["y_swell"] = swollen(scale, problem.priors)
        stretched = np.log(length / problem.priors.length)
        at["y_stretch"] = np.linalg.solve(problem.priors.root, stretched)
        at["y_sigma_log__"] = np.array(np.log(sigma * problem.unit))
        at["y_beta_store_sd_log__"] = theta[own][:2] + np.log(problem.units[0])
        at["y_beta_store_partial_raw_logodds__"] = 2 * theta[own][2:]  # of (1 + tanh z) / 2

        def joint(flat):
            held, start = dict(at), 0
            for name, size in sizes.items():
                values = np.zeros(np.size(point[name]))
                values[:size] = flat[start : start + size]
                held[name] = values.reshape(np.shape(point[name]))
                start += size
            return float(log_density(held))

        return integrated(joint, total)

    rng = np.random.default_rng(9)
    thetas = np.tile(evidence.mean, (2, 1))
    thetas[:, evidence.free] += 0.4 * rng.normal(size=(2, len(evidence.free)))
    found = np.array([-evidence(theta)[0] for theta in thetas])
    expected = np.array([of_pymc(theta) for theta in thetas])
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["stor"]}, "did you mean 'store'"),
        ({"groups": ["store"], "treatments": ["store"]}, "column of groups"),
        ({"groups": {"store": ["u"]}}, "groups"),
        ({"groups": ["store"], "priors": "ridge"}, "ridge"),
        ({"groups": ["store"], "inference": "nuts"}, "inference='nuts'"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    X, y, _ = stores(6, 10)
    with pytest.raises(ValueError, match=message):
        smooth().set_params(**options).fit(X, y)
