"""What is known of rows in closed form, against dense integration and root finding."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import family_wise
from pymc_extras.prior import Prior
from scipy import optimize, stats

from interventional import BayesianInterventionRegressor, Outcomes
from interventional.answers.mixtures import Mixture
from interventional.inference.nodes import nodes

SIGMA = 1.5  # of the prior of sigma
SPREAD, MEAN = np.array([2.0, 0.3, 1.0]), np.array([1.0, 0.5, -1.0])  # intercept, a, b
KINDS = ("mean", "predictive")


def data(n=9, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    return X, 2 + X["a"] * 3 - X["b"] + rng.normal(size=n)


def fitted(X, y, **options):
    priors = {
        "intercept": Prior("Normal", mu=MEAN[0], sigma=SPREAD[0]),
        "a": Prior("Normal", mu=MEAN[1], sigma=SPREAD[1]),
        "b": Prior("Normal", mu=MEAN[2], sigma=SPREAD[2]),
        "sigma": Prior("HalfNormal", sigma=SIGMA),
    }
    options = {"priors": priors, "center_predictors": False, "random_state": 0, **options}
    return BayesianInterventionRegressor(**options).fit(X, y)


class Truth:
    """Coefficients given sigma, and sigma's posterior, on a dense grid: textbook formulas."""

    def __init__(self, X, y):
        A = np.column_stack([np.ones(len(X)), X])
        self.sigma = np.exp(np.linspace(-4, 4, 6001))
        log_p, self.means, self.covariances = [], [], []
        prior = np.diag(SPREAD**2)
        for s in self.sigma:
            marginal = stats.multivariate_normal(A @ MEAN, A @ prior @ A.T + s**2 * np.eye(len(A)))
            log_p.append(marginal.logpdf(y) + stats.halfnorm(scale=SIGMA).logpdf(s) + np.log(s))
            covariance = np.linalg.inv(A.T @ A / s**2 + np.diag(SPREAD**-2))
            self.covariances.append(covariance)
            self.means.append(covariance @ (A.T @ y / s**2 + MEAN / SPREAD**2))
        p = np.exp(np.array(log_p) - max(log_p))
        self.p = p / p.sum()

    def of(self, row, noise=0.0):
        """Return weights, means and standard deviations of a row of terms, with noise."""
        variance = np.array([row @ c @ row for c in self.covariances])
        return self.p, np.array(self.means) @ row, np.sqrt(variance + noise**2 * self.sigma**2)


def quantile(parts, q):
    p, mean, sd = parts

    def over(x):
        return p @ stats.norm.cdf(x, mean, sd) - q

    return optimize.brentq(over, mean.min() - 9 * sd.max(), mean.max() + 9 * sd.max(), xtol=1e-12)


def shortest(parts, prob):
    def width(tail):
        return quantile(parts, tail + prob) - quantile(parts, tail)

    best = optimize.minimize_scalar(
        width, bounds=(1e-4, 1 - prob - 1e-4), method="bounded", options={"xatol": 1e-9}
    )
    return quantile(parts, best.x), quantile(parts, best.x + prob)


def assert_is(outcomes, k, parts):
    """A row of outcomes is distributed as it is in truth."""
    p, mean, sd = parts
    center = p @ mean
    spread = np.sqrt(p @ (sd**2 + (mean - center) ** 2))
    near = {"rtol": 0, "atol": 1e-5 * spread}
    np.testing.assert_allclose(outcomes.mean()[k], center, **near)
    np.testing.assert_allclose(outcomes.std()[k], spread, **near)
    wanted = [0.005, 0.3, 0.5, 0.975]
    found = outcomes.quantile(wanted)[k]
    np.testing.assert_allclose(found, [quantile(parts, q) for q in wanted], **near)
    (low, high), (least, most) = outcomes.interval(0.8, "hdi")[k], shortest(parts, 0.8)
    assert high - low == pytest.approx(most - least, rel=1e-5)
    held = p @ (stats.norm.cdf(high, mean, sd) - stats.norm.cdf(low, mean, sd))
    assert held == pytest.approx(0.8, abs=1e-5)
    below = p @ stats.norm.cdf(1.0, mean, sd)
    np.testing.assert_allclose(outcomes.probability(below=1.0)[k], below, atol=1e-5)
    np.testing.assert_allclose(outcomes.probability(above=1.0)[k], 1 - below, atol=1e-5)


@pytest.fixture(scope="module")
def small():
    X, y = data()
    return fitted(X, y), X, Truth(X, y)


class TestAgainstIntegration:
    """Nine rows, and a prior that the data contradict: what is expected depends on sigma."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_rows(self, small, kind):
        model, X, truth = small
        outcomes = model.intervene(X, do={"a": 1.0}, kind=kind)
        noise = float(kind == "predictive")
        for k in (0, 5):
            assert_is(outcomes, k, truth.of(np.array([1.0, 1.0, X["b"][k]]), noise))

    @pytest.mark.parametrize("kind", KINDS)
    def test_averages_and_what_is_linear_in_them(self, small, kind):
        model, X, truth = small
        outcomes, noise = model.intervene(X, do={"a": 1.0}, kind=kind), float(kind == "predictive")
        weights = np.arange(1.0, 10)
        share = weights / weights.sum()
        row = np.array([1.0, 1.0, share @ X["b"]])
        noise *= np.sqrt(np.sum(share**2))
        assert_is(outcomes.average(weights), 0, truth.of(row, noise))
        found = 3 * outcomes.average(weights) / 2 - 0.5
        p, mean, sd = truth.of(1.5 * row, 1.5 * noise)
        assert_is(found, 0, (p, mean - 0.5, sd))

    def test_effects(self, small):
        model, X, truth = small
        effect = model.effect(X, do={"a": 1.0, "b": 0.5}, baseline={"a": 0.0, "b": X["b"]})
        assert_is(effect, 3, truth.of(np.array([0.0, 1.0, 0.5 - X["b"][3]])))
        scaled = np.where(X["b"] > 0, effect, 0) * X["b"].to_numpy()
        at = int(np.argmax(X["b"]))
        factor = X["b"][at]
        assert_is(scaled, at, truth.of(factor * np.array([0.0, 1.0, 0.5 - factor])))

    def test_predictions(self, small):
        model, X, truth = small
        rows = np.column_stack([np.ones(9), X])
        for kind, noise in zip(KINDS, (0.0, 1.0), strict=True):
            assert_is(model.predict_outcomes(X, kind=kind), 2, truth.of(rows[2], noise))
        mean, sd = model.predict(X, return_std=True)
        p, center, spread = truth.of(rows[4], 1.0)
        assert mean[4] == pytest.approx(p @ center, rel=1e-8)
        assert sd[4] == pytest.approx(np.sqrt(p @ (spread**2 + (center - mean[4]) ** 2)), rel=1e-7)
        coefficients = truth.p @ np.array(truth.means)
        np.testing.assert_allclose(model.coef_, coefficients[1:], rtol=1e-7)
        assert model.intercept_ == pytest.approx(coefficients[0], rel=1e-7)


def test_flat_priors_are_students_t():
    """With the prior 1 / sigma there is a closed form; here it is a Gamma that comes close to."""
    X, y = data(n=12)
    priors = {
        "intercept": Prior("Flat"),
        "beta": Prior("Flat"),
        "sigma": Prior("Gamma", alpha=1e-6, beta=1e-6),
    }
    model = BayesianInterventionRegressor(priors=priors, random_state=0).fit(X, y)
    A = np.column_stack([np.ones(12), X])
    beta, rss, *_ = np.linalg.lstsq(A, y, rcond=None)
    inverse, row = np.linalg.inv(A.T @ A), np.array([1.0, 1.0, -1.0])
    scale = np.sqrt(rss[0] / 9)
    asked = pd.DataFrame({"a": [1.0], "b": [-1.0]})
    for kind, own in zip(KINDS, (0.0, 1.0), strict=True):
        truth = stats.t(9, row @ beta, scale * np.sqrt(row @ inverse @ row + own))
        found = model.predict_outcomes(asked, kind=kind)
        q = [0.01, 0.25, 0.5, 0.9, 0.999]
        np.testing.assert_allclose(found.quantile(q)[0], truth.ppf(q), rtol=1e-4)
        np.testing.assert_allclose(found.interval(0.9, "hdi"), [truth.interval(0.9)], rtol=1e-4)
        assert found.std()[0] == pytest.approx(truth.std(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_of_the_closed_form(kind):
    """Shares of draws below its quantiles, within four standard errors each."""
    X, y = data(n=40)
    model = BayesianInterventionRegressor(random_state=1).fit(X, y)
    outcomes = model.intervene(X.head(8), do={"a": 1.5}, kind=kind)
    q = np.array([0.025, 0.2, 0.5, 0.9])
    draws = outcomes.draws.to_numpy().reshape(-1, 8)
    share = (draws[:, :, None] < outcomes.quantile(q)).mean(axis=0)
    z = (share - q) / np.sqrt(q * (1 - q) / len(draws))
    assert np.abs(z).max() < family_wise(z.size)
    np.testing.assert_allclose(outcomes.std(), draws.std(axis=0), rtol=0.06)


class TestCoherence:
    """One number, whichever way it is asked for."""

    def test_one_row_and_all(self, small):
        model, X, _ = small
        outcomes = model.intervene(X, do={"a": 1.0})
        for one in (outcomes[3], outcomes.loc[[3]], outcomes[3].average(), outcomes[[3, 1]]):
            np.testing.assert_allclose(one.interval()[0], outcomes.interval()[3], rtol=1e-9)
            np.testing.assert_allclose(one.std()[0], outcomes.std()[3], rtol=1e-9)
        table = outcomes.summary(prob=0.5)
        np.testing.assert_allclose(table.iloc[:, 2:], outcomes.interval(0.5), rtol=1e-9)
        assert outcomes[3].summary().equals(pickle.loads(pickle.dumps(outcomes[3])).summary())

    def test_means_are_those_of_the_draws(self, small):
        model, X, _ = small
        outcomes = model.intervene(X, do={"a": 1.0})
        of_draws = outcomes.draws.mean(("chain", "draw"))
        np.testing.assert_allclose(outcomes.mean(), of_draws, rtol=1e-10)
        np.testing.assert_allclose(
            model.coef_, model.idata_["posterior"]["y_beta"].mean(("chain", "draw")), rtol=1e-10
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_few_rows_and_many(self, kind):
        X, y = data(n=30)
        model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        many = pd.concat([X] * 300, ignore_index=True)  # 9,000 x 4,000 are not held
        few = model.intervene(X, do={"b": 1.0}, kind=kind)
        all_of_them = model.intervene(many, do={"b": 1.0}, kind=kind)
        for ask in (Outcomes.std, Outcomes.interval, lambda o: o.probability(above=2.0)):
            np.testing.assert_allclose(ask(all_of_them)[:30], ask(few), rtol=1e-9, atol=1e-12)
        summary = all_of_them.summary(prob=[0.5, 0.9])
        np.testing.assert_allclose(summary[:30], few.summary(prob=[0.5, 0.9]), rtol=1e-7)
        by = np.arange(len(many)) % 3
        if kind == "mean":
            grouped = few.average(by=by[:30]).summary()
            np.testing.assert_allclose(all_of_them.average(by=by).summary(), grouped, rtol=1e-7)

    def test_comparisons_and_columns(self, small):
        model, X, _ = small
        averages = {a: model.intervene(X, do={"a": a}).average() for a in (0.0, 1.0)}
        joined = Outcomes.concat(averages)
        alone = np.vstack([each.interval() for each in averages.values()])
        np.testing.assert_allclose(joined.interval(), alone, rtol=1e-9)
        table = Outcomes.compare({a: model.intervene(X, do={"a": a}) for a in (0.0, 1.0)})
        effect = model.effect(X, do={"a": 1.0}, baseline={"a": 0.0}).average()
        np.testing.assert_allclose(
            table.loc[1.0, ["effect_lb", "effect_ub"]].to_numpy(float), effect.interval()[0]
        )

    def test_new_noise_does_not_cancel(self, small):
        """Of two rows, each with its own; what is paired is the same row's."""
        model, X, _ = small
        new = model.intervene(X, do={"a": 1.0}, kind="predictive")
        paired = new - model.intervene(X, do={"a": 0.0}, kind="predictive")
        slope = model.effect(X, do={"a": 1.0}, baseline={"a": 0.0})
        np.testing.assert_allclose(paired.draws, slope.draws, atol=1e-9)
        apart = (new[0] - new[1]).std()[0]
        noise = model.fitted_.draws["y_sigma"]
        assert apart == pytest.approx(np.sqrt(2 * np.mean(noise**2)), rel=0.2)
        assert apart > 1.5 * paired.std()[0]


class TestDrawsServe:
    """What has no such form is had from draws."""

    def draws(self, outcomes):
        values = outcomes.draws.to_numpy().reshape(-1, len(outcomes))
        return np.quantile(values, [0.055, 0.945], axis=0).T

    def test_what_bends(self, small):
        model, X, _ = small
        outcomes = model.intervene(X, do={"a": 1.0})
        for bent in (np.exp(outcomes), outcomes / (outcomes.average() + 20), abs(outcomes)):
            np.testing.assert_allclose(bent.interval(), self.draws(bent), rtol=1e-9)

    def test_mediators(self):
        X, y = data(n=60)
        X["m"] = X["a"] + np.random.default_rng(3).normal(size=60)
        model = BayesianInterventionRegressor(graph="a -> m -> y; b -> y", random_state=0)
        through = model.fit(X, y).intervene(X, do={"a": 1.0})
        np.testing.assert_allclose(through.interval(), self.draws(through), rtol=1e-9)

    def test_one_draw_is_one_draw(self):
        X, y = data(n=30)
        model = BayesianInterventionRegressor(draws=1, chains=1, random_state=0).fit(X, y)
        outcomes = model.intervene(X, do={"a": 1.0})
        np.testing.assert_array_equal(outcomes.mean(), outcomes.draws.to_numpy()[0, 0])
        others = BayesianInterventionRegressor(draws=1, chains=1, random_state=1).fit(X, y)
        assert not np.allclose(model.coef_, others.coef_)


def test_coefficients_do_not_depend_on_the_seed():
    X, y = data(n=30)
    first, second = (BayesianInterventionRegressor(random_state=s).fit(X, y) for s in (0, 1))
    np.testing.assert_allclose(first.coef_, second.coef_, rtol=1e-10)
    ends = [model.intervene(X, do={"a": 1.0}).interval() for model in (first, second)]
    np.testing.assert_allclose(*ends, rtol=1e-9)


def test_what_does_not_differ_is_certain():
    X, y = data(n=30)
    model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    nothing = model.effect(X, do={"a": X["a"]})
    np.testing.assert_array_equal(nothing.interval(), np.zeros((30, 2)))
    np.testing.assert_array_equal(nothing.interval(0.5, "hdi"), np.zeros((30, 2)))
    np.testing.assert_array_equal(nothing.probability(above=0), np.zeros(30))
    np.testing.assert_array_equal(nothing.probability(above=-1, below=1), np.ones(30))


def test_redundant_columns():
    """A direction of which the data say nothing has its prior."""
    X, y = data(n=20)
    X["c"] = X["a"]
    priors = {
        "intercept": Prior("Normal", mu=0, sigma=10),
        "beta": Prior("Normal", mu=0, sigma=2),
        "sigma": Prior("DiracDelta", c=1.0),
    }
    model = BayesianInterventionRegressor(priors=priors, random_state=0).fit(X, y)
    effect = model.effect(X.head(1), do={"a": 1.0, "c": 0.0}, baseline={"a": 0.0, "c": 1.0})
    assert effect.std()[0] == pytest.approx(2 * np.sqrt(2))
    np.testing.assert_allclose(
        effect.interval(0.9)[0], stats.norm(scale=2 * np.sqrt(2)).interval(0.9), atol=1e-9
    )


def test_two_modes():
    """The shortest interval is looked for where Newton's steps may lead astray."""
    mixture = Mixture(
        np.array([0.7, 0.3]), np.zeros(1), np.array([[-2.0], [5.0]]), np.array([[1.0], [0.5]])
    )
    parts = np.array([0.7, 0.3]), np.array([-2.0, 5.0]), np.array([1.0, 0.5])
    ends = [(quantile(parts, t), quantile(parts, t + 0.6)) for t in np.linspace(0.001, 0.39, 400)]
    best = min(high - low for low, high in ends)
    low, high = mixture.highest_density(0.6)[0]
    assert high - low == pytest.approx(best, rel=1e-3)
    np.testing.assert_allclose(
        mixture.quantiles([1e-9, 0.7, 1 - 1e-9])[0],
        [quantile(parts, q) for q in (1e-9, 0.7, 1 - 1e-9)],
        atol=1e-6,
    )


def test_nodes_have_the_moments():
    t = np.linspace(-12, 12, 1025)
    at, weights = nodes(t, stats.norm.pdf(t, 0.5, 0.7))
    for power in range(8):
        truth = stats.norm(0.5, 0.7).moment(power) if power else 1.0
        assert weights @ at**power == pytest.approx(truth, rel=1e-9)


def test_a_saved_line_answers_without_pymc(tmp_path):
    """What has a closed form costs the first answer of a process no import."""
    X, y = data(n=50)
    X["m"] = X["a"] + np.random.default_rng(3).normal(size=50)
    graph = BayesianInterventionRegressor(graph="a -> m -> y; b -> y", random_state=0)
    models = BayesianInterventionRegressor(random_state=0).fit(X, y), graph.fit(X, y)
    (tmp_path / "saved.pkl").write_bytes(pickle.dumps((models, X, y)))
    code = (
        "import pickle, sys, pathlib\n"
        "models, X, y = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "for model in models:\n"
        "    found = model.intervene(X, do={'a': 1.0})\n"
        "    print(repr(found), found.interval(), found.summary(), found.average())\n"
        "    print(model.effect(X, do={'a': lambda X: X['a'] + 1}).average().interval())\n"
        "    print(model.counterfactual(X, y, do={'m': 1.0}).average())\n"
        "    print(model.intervene(X, do={'m': 0.0}, kind='predictive').probability(above=0))\n"
        "print(models[0].intervene(X, do={'a': 1.0}).interval(0.5, 'hdi'))\n"
        "assert not {'pymc', 'pytensor', 'arviz_base', 'xarray'} & set(sys.modules)\n"
        "print(models[0].intervene(X, do={'a': 1.0}).mean()[0])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "saved.pkl")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = models[0].intervene(X, do={"a": 1.0}).mean()[0]
    assert float(done.stdout.split()[-1]) == pytest.approx(here, rel=1e-12)


def test_a_file_of_arvizs_says_which_interval(tmp_path):
    """Nothing is imported for the default, but for who has set it."""
    (tmp_path / "arvizrc").write_text("stats.ci_prob : 0.5\n")
    code = (
        "from interventional.answers.reductions import interval_at_hand\n"
        "print(interval_at_hand())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert run.stdout.strip() == "(0.5, 'eti')"
