"""Averages over the population that the groups of the rows are a sample of.

Nonlinear truths are closed forms of lognormal means, and quadrature over N(0, sd²).
"""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import assert_mean
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from interventional import BayesianInterventionRegressor, Outcomes, numbers
from interventional.fitted import Fitted
from interventional.intervention.population import OfAnswer

STORES, EACH = 6, 10


def columns(rng, weeks=False):
    """Rows of six stores; prices, and weeks across stores."""
    X = pd.DataFrame({"store": np.repeat(list("ABCDEF"), EACH)})
    if weeks:
        X["week"] = np.tile([f"w{k}" for k in range(EACH)], STORES)
    return X.assign(price=rng.normal(2.0, 0.5, size=len(X)))


def estimator(**parameters):
    return BayesianInterventionRegressor(**{"draws": 500, "random_state": 1} | parameters)


def of_groups(rng, labels, sd):
    """A number for each label, drawn from a population, row by row."""
    _, codes = np.unique(labels, return_inverse=True)
    return rng.normal(scale=sd, size=codes.max() + 1)[codes]


@pytest.fixture(scope="module")
def linear():
    rng = np.random.default_rng(2)
    X = columns(rng)
    slope = -3 + of_groups(rng, X["store"], 1.0)
    y = 10 + of_groups(rng, X["store"], 2.0) + slope * X["price"] + 0.3 * rng.normal(size=len(X))
    return estimator(groups={"store": ["price"]}, unseen_levels="population").fit(X, y), X, y


def draws(outcomes):
    return outcomes.draws.values.reshape(-1, len(outcomes))


def shared(model, term, node="y"):
    """Draws of a coefficient that all groups share."""
    beta = model.idata_["posterior"][f"{node}_beta"].sel({f"{node}_term": term})
    return beta.values.reshape(-1)


def raised(X):
    """A policy: prices go up, by more where they are high."""
    return 1.1 * X["price"] + 0.5


# --- Linear equations: a group without anything of its own ---------------------------------------


def test_linear_equations_have_a_closed_form(linear):
    model, X, _ = linear
    effect = model.effect(X, do={"price": raised})
    found = effect.average(population="store")
    moved = (raised(X) - X["price"]).mean()
    np.testing.assert_allclose(draws(found)[:, 0], shared(model, "price") * moved)
    assert found.estimand == f"average of {effect.estimand}, of the population of 'store'"
    # what the mean of the population is not known by: sd / sqrt(6) and more
    assert found.std()[0] > 5 * effect.average().std()[0]


def test_without_it_the_average_is_of_these_very_groups(linear):
    model, X, _ = linear
    effect = model.effect(X, do={"price": raised})
    own = np.stack([shared(model, f"store[{s}]:price") for s in X["store"]], axis=1)
    moved = (raised(X) - X["price"]).to_numpy()
    expected = ((shared(model, "price")[:, None] + own) * moved).mean(axis=1)
    np.testing.assert_allclose(draws(effect.average())[:, 0], expected)


def test_levels_have_a_closed_form_too(linear):
    model, X, _ = linear
    found = model.intervene(X, do={"price": 1.5}).average(population="store")
    intercept = model.idata_["posterior"]["y_intercept"].values.reshape(-1)
    np.testing.assert_allclose(draws(found)[:, 0], intercept + 1.5 * shared(model, "price"))


def test_weights_and_groups_of_rows(linear):
    model, X, _ = linear
    effect = model.effect(X, do={"price": raised})
    moved, weights = raised(X) - X["price"], np.arange(len(X)) + 1.0
    weighted = effect.average(weights, population="store")
    np.testing.assert_allclose(
        draws(weighted)[:, 0], shared(model, "price") * np.average(moved, weights=weights)
    )
    by = effect.average(by="store", population="store")
    means = moved.groupby(X["store"]).mean()
    np.testing.assert_allclose(draws(by), np.outer(shared(model, "price"), means))
    assert by.summary().index.tolist() == list("ABCDEF")
    assert by.estimand.startswith("average by group of ")
    assert by.estimand.endswith(", of the population of 'store'")


def test_rows_of_a_group_that_nobody_has_seen(linear):
    model, X, _ = linear
    new = X.assign(store="new")
    one, other = (model.effect(rows, do={"price": raised}) for rows in (X, new))
    assert not np.allclose(draws(one.average()), draws(other.average()))
    np.testing.assert_allclose(
        draws(other.average(population="store")), draws(one.average(population="store"))
    )


def test_scenarios(linear):
    model, X, _ = linear
    scenarios = {p: model.intervene(X, do={"price": p}) for p in (1.0, 2.0)}
    table = Outcomes.compare(scenarios, population="store", prob=0.9)
    for price, each in scenarios.items():
        average = each.average(population="store")
        np.testing.assert_allclose(table.loc[price, "mean"], average.mean()[0])
    effect = (scenarios[2.0] - scenarios[1.0]).average(population="store")
    ends = table.loc[2.0, ["effect_lb", "effect_ub"]].astype(float)
    np.testing.assert_allclose(ends, effect.interval(0.9)[0])
    by = Outcomes.compare(scenarios, population="store", by="store")
    assert by.loc[1.0, "mean"].nunique() == 1


def test_what_is_linear_in_outcomes_has_a_population_too(linear):
    """Money, rows and differences of both: the shared slope times what prices move by."""
    model, X, _ = linear
    effect, moved = model.effect(X, do={"price": raised}), raised(X) - X["price"]
    slope = shared(model, "price")[:, None]
    worth = X["price"].rename("worth")
    money = worth * effect - 3
    expected = (slope * (worth * moved).to_numpy()).mean(axis=1) - 3
    found = money.average(population="store")
    np.testing.assert_allclose(draws(found)[:, 0], expected)
    total = money.sum(population="store")
    np.testing.assert_allclose(draws(total)[:, 0], len(X) * expected)
    assert total.estimand == f"sum of {money.estimand}, of the population of 'store'"
    halves = (effect / 2)[: len(X) // 2] + effect[5] - (-effect)[: len(X) // 2]
    first = moved.to_numpy()[: len(X) // 2]
    expected = slope[:, 0] * (1.5 * first.mean() + moved.to_numpy()[5])
    np.testing.assert_allclose(draws(halves.average(population="store"))[:, 0], expected)
    chosen = np.where(X["price"] > 2, effect, 0).average(population="store")
    expected = slope[:, 0] * (moved * (X["price"] > 2)).mean()
    np.testing.assert_allclose(draws(chosen)[:, 0], expected)
    for bent in (np.exp(effect), effect**2, effect * effect, 1 / (9 + abs(effect))):
        refused(lambda bent=bent: bent.average(population="store"), "linear in outcomes")


def test_what_becomes_of_x_afterwards_changes_nothing(linear):
    model, X, _ = linear
    rows, up = X.copy(), raised(X).to_numpy(copy=True)
    effect = model.effect(rows, do={"price": up})
    before = draws(effect.average(population="store"))
    rows["price"], up[:] = 7.0, 7.0
    np.testing.assert_array_equal(draws(effect.average(population="store")), before)


def test_nothing_is_computed_before_it_is_asked_for(linear, monkeypatch):
    model, X, _ = linear
    asked, over = [], OfAnswer.over
    monkeypatch.setattr(OfAnswer, "over", lambda *args: asked.append(args) or over(*args))
    effect = model.effect(X, do={"price": raised})
    pickle.loads(pickle.dumps(effect - effect)).average()
    assert not asked
    effect.average(population="store")
    assert len(asked) == 2  # both sides


def test_several_columns_make_a_group():
    rng = np.random.default_rng(3)
    X = columns(rng, weeks=True).assign(half=np.tile(["a", "b"], STORES * EACH // 2))
    y = of_groups(rng, X["store"] + X["half"], 1.0) - X["price"] + 0.1 * rng.normal(size=len(X))
    model = estimator(groups=[("store", "half"), "week"]).fit(X, y)
    effect = model.intervene(X, do={"price": 1.0})
    for population in (("store", "half"), "store:half", [("store", "half")]):
        found = effect.average(population=population)
        assert found.estimand.endswith(", of the population of 'store:half'")
    both = effect.average(population=["week", ("store", "half")])
    assert both.estimand.endswith(", of the population of 'week', 'store:half'")
    intercept = model.idata_["posterior"]["y_intercept"].values.reshape(-1)
    np.testing.assert_allclose(draws(both)[:, 0], intercept + shared(model, "price"))
    weeks = np.stack([shared(model, f"week[w{k}]") for k in range(EACH)], axis=1)
    np.testing.assert_allclose(  # weeks are these very ones
        draws(found)[:, 0], intercept + shared(model, "price") + weeks.mean(axis=1)
    )


def test_a_label_may_be_a_tuple():
    rng = np.random.default_rng(4)
    group, x = ("a", "store"), ("a", "price")
    plain = columns(rng)
    X = plain.set_axis(pd.MultiIndex.from_tuples([group, x]), axis=1)
    y = of_groups(rng, plain["store"], 1.0) + plain["price"].to_numpy()
    y = y + 0.1 * rng.normal(size=len(X))
    model = estimator(groups={group: [x]}).fit(X, y)
    effect = model.effect(X, do={x: 1.0}, baseline={x: 0.0})
    slope = model.fitted_.draws["y_beta"][:, 0]
    np.testing.assert_allclose(draws(effect.average(population=group))[:, 0], slope)


def test_confounding_with_a_prior_is_taken_off():
    from pymc_extras.prior import Prior

    rng = np.random.default_rng(5)
    X = columns(rng)
    y = of_groups(rng, X["store"], 1.0) - X["price"] + 0.1 * rng.normal(size=len(X))
    prior = {"price": Prior("Normal", mu=-0.5, sigma=0.1)}
    model = estimator(groups={"store": ["price"]}, confounding=prior).fit(X, y)
    found = model.effect(X, do={"price": 3.0}, baseline={"price": 1.0}).average(population="store")
    bias = model.idata_["confounding"]["price"].values.reshape(-1)
    np.testing.assert_allclose(draws(found)[:, 0], 2 * (shared(model, "price") - bias))


# --- Several equations ---------------------------------------------------------------------------

GRAPH = "price -> visits; store -> visits; price -> y; visits -> y; store -> y"
BOTH = {"visits": {"store": ["price"]}, "y": {"store": ["visits"]}}


def mediated(rng):
    X = columns(rng)
    own = of_groups(rng, X["store"], 0.5)
    X["visits"] = 1 + (own - 1) * X["price"] + 0.3 * rng.normal(size=len(X))
    y = 2 + (1 + of_groups(rng, X["store"], 0.4)) * X["visits"] - 0.5 * X["price"]
    return X, y + 0.3 * rng.normal(size=len(X))


@pytest.fixture(scope="module")
def through():
    X, y = mediated(np.random.default_rng(6))
    return estimator(graph=GRAPH, groups=BOTH).fit(X, y), X


def test_products_of_what_two_equations_have_of_a_group(through):
    model, X = through
    effect = model.effect(X, do={"price": 3.0}, baseline={"price": 1.0})
    found = draws(effect.average(population="store"))[:, 0]
    first, second = shared(model, "price", "visits"), shared(model, "visits")
    expected = 2 * (shared(model, "price") + first * second)
    np.testing.assert_allclose(found, expected)
    # the same from stores: slopes of each equation drawn, independent of those of the other
    rng, posterior = np.random.default_rng(7), model.idata_["posterior"]
    one, other = (posterior[f"{node}_beta_store_sd"].values[..., 1] for node in ("visits", "y"))
    by_store = [rng.normal(size=(2000, 50)) * sd.reshape(-1, 1) for sd in (one, other)]
    slopes = (first[:, None] + by_store[0]) * (second[:, None] + by_store[1])
    assert_mean(2 * (slopes.mean(axis=1) - first * second), 0.0)


def test_an_equation_that_is_not_on_the_way_does_not_count(through):
    model, X = through
    direct = model.effect(
        X, do={"price": 3.0, "visits": 1.0}, baseline={"price": 1.0, "visits": 1}
    )
    np.testing.assert_allclose(
        draws(direct.average(population="store"))[:, 0], 2 * shared(model, "price")
    )
    mixed = model.intervene(X, do={"price": 3.0}) - model.intervene(X, do={"visits": 1.0})
    assert np.isfinite(mixed.average(population="store").mean()).all()


def test_a_regression_of_the_querys_own():
    """Visits share a cause with the outcome: the price's effect is told without them."""
    rng = np.random.default_rng(8)
    X, y = mediated(rng)
    X["sales"] = X["visits"] + rng.normal(size=len(X))
    graph = "store -> price -> visits -> sales -> y; visits <-> y; store -> y"
    model = estimator(graph=graph, groups={"y": {"store": []}}).fit(X, y)
    query = model.fitted_.asked({"price": 3.0}, model._units(X)[1])
    assert query.own is not None
    found = model.intervene(X, do={"price": 3.0}).average(population="store")
    own, _ = model.fitted_.serving(query)
    assert own.model.of_outcome.design.population == ("price",)
    expected = own.draws["y_intercept"] + 3.0 * own.draws["y_beta"][:, 0]
    np.testing.assert_allclose(draws(found)[:, 0], expected)


# --- Expected outcomes that are not linear: against closed forms and quadrature ------------------


def at_a_point(model, families=None, **given):
    """The model with every draw the same, some numbers given, and families of nodes replaced."""
    fitted, posteriors, equations = model.fitted_, [], []
    for equation, posterior in zip(fitted.model.equations, fitted.posteriors, strict=True):
        held = {
            name: np.broadcast_to(given.get(name, values.mean(axis=(0, 1))), values.shape).copy()
            for name, values in posterior.variables.items()
        }
        posteriors.append(replace(posterior, variables=held))
        family = (families or {}).get(equation.node, equation.family)
        equations.append(replace(equation, family=family))
    changed = replace(fitted.model, equations=tuple(equations))
    model.fitted_ = Fitted(changed, tuple(posteriors), 3, fitted.seen)
    return model


def number(model, name, term=None, node="y"):
    """A number of a posterior that is one point."""
    if term is None:
        return float(model.fitted_.draws[name][0])
    terms = model.fitted_.model.equation(node).design.terms
    return float(model.fitted_.draws[f"{node}_beta"][0, terms.index(term)])


def over_normal(function, mean, sd):
    """The mean of a function of a Normal number, by quadrature."""
    return quad(lambda z: function(mean + sd * z) * norm.pdf(z), -10, 10, epsabs=1e-12)[0]


SD, CORR = np.array([0.5, 0.4]), np.array([[1.0, -0.6], [-0.6, 1.0]])
COVARIANCE = np.outer(SD, SD) * CORR


def slopes(family, seed=9):
    rng = np.random.default_rng(seed)
    X = columns(rng)
    y = 0.3 + of_groups(rng, X["store"], 0.5) + 0.4 * X["price"] + 0.3 * rng.normal(size=len(X))
    model = estimator(groups={"store": ["price"]}, unseen_levels="population").fit(X, y)
    return at_a_point(model, {"y": family}, y_beta_store_sd=SD, y_beta_store_corr=CORR), X


def of_slopes(model, X, price):
    """Mean and standard deviation of the linear predictor of a store of the population."""
    moved = np.array([1.0, price - X["price"].mean()])  # intercepts are those at the mean
    mean = number(model, "y_intercept") + price * number(model, None, "price")
    return mean, np.sqrt(moved @ COVARIANCE @ moved)


@pytest.mark.parametrize(("family", "inverse"), [("bernoulli", expit), ("poisson", np.exp)])
def test_another_link(family, inverse):
    model, X = slopes(family)
    high, low = (model.intervene(X, do={"price": p}) for p in (3.5, 1.0))
    truth = [over_normal(inverse, *of_slopes(model, X, p)) for p in (3.5, 1.0)]
    found = [draws(each.average(population="store"))[:, 0] for each in (high, low)]
    for each, expected in zip(found, truth, strict=True):
        assert_mean(each, expected)
        # the expectation at a store without anything of its own is another
        mean = inverse(of_slopes(model, X, 3.5 if expected == truth[0] else 1.0)[0])
        assert abs(each.mean() - mean) > 20 * each.std() / np.sqrt(len(each))
    effect = draws((high - low).average(population="store"))[:, 0]
    np.testing.assert_allclose(effect, found[0] - found[1])  # paired
    new = model.intervene(X.assign(store="new"), do={"price": 3.5})
    assert_mean(draws(new.average(population="store"))[:, 0], truth[0])


def test_posterior_draws_of_the_spread_are_paired_with_it():
    """Each draw has an expectation of its own, by the population that it says there is."""
    model, X = slopes("poisson")
    fitted = model.fitted_
    (posterior,) = fitted.posteriors
    sd = np.geomspace(0.1, 0.6, 2000).reshape(4, 500, 1) * np.array([1.0, 0.5])
    variables = {**posterior.variables, "y_beta_store_sd": sd}
    changed = replace(posterior, variables=variables)
    model.fitted_ = Fitted(fitted.model, (changed,), 3, fitted.seen)
    found = draws(model.intervene(X, do={"price": 2.0}).average(population="store"))[:, 0]
    moved = np.array([1.0, 2.0 - X["price"].mean()]) * sd.reshape(-1, 2)
    mean = number(model, "y_intercept") + 2.0 * number(model, None, "price")
    ratio = found / np.exp(mean + np.einsum("si,ij,sj->s", moved, CORR, moved) / 2)
    for part in ratio.reshape(4, 500):
        assert_mean(part, 1.0)


def test_many_rows_in_chunks(monkeypatch):
    model, X = slopes("poisson")
    monkeypatch.setattr(numbers, "CHUNK", 2000 * 7)
    monkeypatch.setattr(numbers, "AT_ONCE", 2000 * 10)
    outcomes = model.intervene(X, do={"price": 3.0})
    mean, sd = of_slopes(model, X, 3.0)
    found = outcomes.average(population="store")
    assert_mean(draws(found)[:, 0], np.exp(mean + sd**2 / 2))
    again = pickle.loads(pickle.dumps(outcomes)).average(population="store")
    np.testing.assert_array_equal(draws(again), draws(found))


def test_ratios_are_paired():
    rng = np.random.default_rng(10)
    X = columns(rng)
    y = 0.3 + of_groups(rng, X["store"], 0.5) + 0.4 * X["price"] + 0.3 * rng.normal(size=len(X))
    model = at_a_point(
        estimator(groups=["store"]).fit(X, y), {"y": "poisson"}, y_beta_store_sd=0.7
    )
    high, low = (model.intervene(X, do={"price": p}) for p in (3.0, 1.0))
    ratio = np.exp(2 * number(model, None, "price"))  # whatever the store
    averages = [each.average(population="store") for each in (high, low)]
    np.testing.assert_allclose(draws(averages[0] / averages[1]), ratio)
    rows = high / low
    np.testing.assert_allclose(draws(rows.average(population="store")), ratio)
    assert averages[0].std()[0] > 0  # which is not for want of noise
    assert np.isfinite((averages[0] / averages[1]).e_value().to_numpy()).all()


def test_two_kinds_of_groups():
    rng = np.random.default_rng(11)
    X = columns(rng, weeks=True)
    y = of_groups(rng, X["store"], 0.5) + of_groups(rng, X["week"], 0.3) + 0.4 * X["price"]
    fitted = estimator(groups=["store", "week"]).fit(X, y + 0.3 * rng.normal(size=len(X)))
    given = {"y_beta_store_sd": 0.6, "y_beta_week_sd": 0.4}
    model = at_a_point(fitted, {"y": "poisson"}, **given)
    outcomes = model.intervene(X, do={"price": 1.0})
    mean = number(model, "y_intercept") + number(model, None, "price")
    both = draws(outcomes.average(population=["store", "week"]))[:, 0]
    assert_mean(both, np.exp(mean + (0.6**2 + 0.4**2) / 2))
    weeks = [number(model, None, f"week[w{k}]") for k in range(EACH)]
    alone = draws(outcomes.average(population="store"))[:, 0]
    assert_mean(alone, np.exp(mean + 0.6**2 / 2) * np.exp(weeks).mean())
    by_week = draws(outcomes.average(by="week", population="store"))
    assert_mean(by_week, np.exp(mean + 0.6**2 / 2 + np.array(weeks)))


def of_mediator(families, groups, sd_visits, sd_y):
    X, y = mediated(np.random.default_rng(12))
    fitted = estimator(graph=GRAPH, groups=groups).fit(X, y)
    given = {"visits_beta_store_sd": sd_visits, "y_beta_store_sd": sd_y, "visits_sigma": 0.5}
    given |= {"y_intercept": -0.5, "visits_intercept": 0.4, "visits_beta": 0.3, "y_beta": 0.6}
    given = {name: v for name, v in given.items() if not name.endswith("_beta")}
    return at_a_point(fitted, families, **given), X


INTERCEPTS = {"visits": {"store": []}, "y": {"store": []}}


def parts(model, price):
    """Linear predictor of the mediator, and of the outcome without it; the mediator's slope."""
    of_visits = number(model, "visits_intercept") + price * number(model, None, "price", "visits")
    rest = number(model, "y_intercept") + price * number(model, None, "price")
    return of_visits, rest, number(model, None, "visits")


def test_a_mediator_by_its_expectation_under_another_link():
    model, X = of_mediator({"visits": "poisson"}, INTERCEPTS, 0.6, 0.8)
    found = model.intervene(X, do={"price": 1.0}).average(population="store")
    of_visits, rest, slope = parts(model, 1.0)
    assert_mean(draws(found)[:, 0], rest + slope * np.exp(of_visits + 0.6**2 / 2))


def test_a_mediator_that_is_drawn():
    """Its noise, and what stores have of their own in both equations, add up inside the link."""
    model, X = of_mediator({"y": "bernoulli"}, INTERCEPTS, 0.6, 0.8)
    found = model.intervene(X, do={"price": 1.0}).average(population="store")
    of_visits, rest, slope = parts(model, 1.0)
    sd = np.sqrt(slope**2 * (0.5**2 + 0.6**2) + 0.8**2)
    assert_mean(draws(found)[:, 0], over_normal(expit, rest + slope * of_visits, sd))


def test_a_mediator_of_levels():
    model, X = of_mediator({"visits": "bernoulli", "y": "bernoulli"}, INTERCEPTS, 0.6, 0.8)
    found = model.intervene(X, do={"price": 1.0}).average(population="store")
    of_visits, rest, slope = parts(model, 1.0)
    p = over_normal(expit, of_visits, 0.6)
    without, with_it = (over_normal(expit, rest + slope * level, 0.8) for level in (0, 1))
    assert_mean(draws(found)[:, 0], (1 - p) * without + p * with_it)


# --- What is refused -----------------------------------------------------------------------------


def refused(ask, match):
    with pytest.raises(ValueError, match=match):
        ask()


def test_names(linear):
    model, X, _ = linear
    effect = model.effect(X, do={"price": raised})
    refused(lambda: effect.average(population="storee"), "unknown groups.*did you mean 'store'")
    refused(lambda: effect.average(population="price"), "Known: 'store'")
    refused(lambda: effect.average(population=["store", {}]), r"groups in population: \{\}")
    refused(lambda: effect.average(population=[]), "empty list.*Known: 'store'")


def test_what_is_no_expected_outcome_under_an_intervention(linear):
    model, X, y = linear
    new = model.intervene(X, do={"price": 1.0}, kind="predictive")
    refused(lambda: new.average(population="store"), "kind='mean'")
    same = model.counterfactual(X, y, do={"price": 1.0})
    refused(lambda: same.average(population="store"), "counterfactual.*intervene or effect")
    mean = model.intervene(X, do={"price": 1.0})
    refused(lambda: (mean - same).average(population="store"), "counterfactual")
    refused(lambda: (new - mean).average(population="store"), "kind='mean'")
    averaged = mean.average()
    refused(lambda: averaged.average(population="store"), "averages over rows already")
    by_hand = Outcomes(mean.draws, "by hand")
    refused(lambda: by_hand.average(population="store"), "fitted model with groups")


def test_parts_of_an_effect(through):
    model, X = through
    split = model.decompose(X, do={"price": 1.0})["total"]
    refused(lambda: split.average(population="store"), "decompose.*ask effect")


def test_a_group_that_is_forced(linear):
    model, X, _ = linear
    moved = model.intervene(X, do={"store": "A"})
    refused(lambda: moved.average(population="store"), "population='store'.*changes 'store'")
    assert np.isfinite(moved.average().mean()).all()


def test_models_without_groups_on_the_way():
    X, y = mediated(np.random.default_rng(13))
    plain = estimator().fit(X[["price"]], y)
    outcomes = plain.intervene(X[["price"]], do={"price": 1.0})
    refused(lambda: outcomes.average(population="store"), "no groups; say by groups=")
    upstream = estimator(graph=GRAPH, groups={"visits": {"store": []}}).fit(X, y)
    outcomes = upstream.intervene(X, do={"visits": 1.0})
    refused(
        lambda: outcomes.average(population="store"),
        "equation of 'y' has no groups; that of 'visits' has 'store'",
    )
    through = upstream.intervene(X, do={"price": 1.0}).average(population="store")
    assert np.isfinite(through.mean()).all()


def test_behind_a_transformed_target():
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    from interventional import intervene

    X, y = mediated(np.random.default_rng(14))
    model = TransformedTargetRegressor(estimator(groups=["store"]), transformer=StandardScaler())
    outcomes = intervene(model.fit(X, y), X, do={"price": 1.0})
    refused(lambda: outcomes.average(population="store"), "transformed back")


# --- Elsewhere -----------------------------------------------------------------------------------


def test_rows_in_partitions(linear):
    dd = pytest.importorskip("dask.dataframe")
    model, X, _ = linear
    effect = model.effect(dd.from_pandas(X, npartitions=3), do={"price": raised})
    found = effect.average(population="store")
    here = model.effect(X, do={"price": raised}).average(population="store")
    np.testing.assert_allclose(draws(found), draws(here))
    assert found.estimand.endswith(", of the population of 'store'")
    assert not found.estimand.endswith("'store', of the population of 'store'")
    refused(lambda: effect.average(population="storee"), "did you mean 'store'")


@pytest.mark.slow
def test_the_interval_holds_the_populations_slope():
    """Of 18 people on 10 days each, in 95 of 100 data sets; so does that of these very people."""
    who, days = np.repeat(np.arange(18), 10), np.tile(np.arange(10.0), 18)
    X = pd.DataFrame({"subject": [f"s{k:02}" for k in who], "days": days})
    rows, held = X[X["days"] < 9], []
    for seed in range(10_000, 10_300):
        rng = np.random.default_rng(seed)
        b0, b1 = 250 + 25 * rng.normal(size=18), 10 + 6 * rng.normal(size=18)
        y = b0[who] + b1[who] * days + 25 * rng.normal(size=180)
        model = estimator(groups={"subject": ["days"]}, random_state=seed).fit(X, y)
        effect = model.effect(rows, do={"days": lambda X: X["days"] + 1})
        low, high = effect.average(population="subject").interval(0.95)[0]
        own_low, own_high = effect.average().interval(0.95)[0]
        held.append((low < 10 < high, own_low < b1.mean() < own_high, own_low < 10 < own_high))
    population, own, mistaken = np.mean(held, axis=0)
    error = np.sqrt(0.95 * 0.05 / len(held))
    assert abs(population - 0.95) < 3 * error
    assert abs(own - 0.95) < 3 * error
    assert mistaken < 0.8  # these very people's is not the population's
