"""The five steps of PyMC's gallery example on the do-operator, against the exact posterior.

PyMC example gallery, "Interventional distributions and graph mutation with the do-operator":
y = 1.5 a + 0.7 b + 0.3 c + 0.0 with noise of sd 0.2, priors Normal(0, 1), HalfNormal(1) on sigma.
"""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from conftest import N_STANDARD_ERRORS, family_wise
from pymc_extras.prior import Prior
from scipy import stats

from interventional import BayesianInterventionRegressor, ExtrapolationWarning
from interventional.scm.compiling import python_mode

TRUTH = {"y_beta": {"a": 1.5, "b": 0.7, "c": 0.3}, "y_sigma": 0.2, "y_intercept": 0.0}
BETA = np.array([0.0, 1.5, 0.7, 0.3])
SCENARIOS = {
    "b = 0": ({"b": 0}, lambda X: X.assign(b=0.0)),
    "b = 5b": ({"b": lambda X: 5 * X["b"]}, lambda X: X.assign(b=5 * X["b"])),
    "as observed": ({"b": lambda X: X["b"]}, lambda X: X),
}


def gallery_model(**parameters):
    """The notebook's model: priors hold at x = 0."""
    priors = {
        "beta": Prior("Normal", mu=0, sigma=1),
        "intercept": Prior("Normal", mu=0, sigma=1),
        "sigma": Prior("HalfNormal", sigma=1),
    }
    return BayesianInterventionRegressor(
        priors=priors, center_predictors=False, random_state=1, **parameters
    )


def with_ones(X):
    return np.column_stack([np.ones(len(X)), X[["a", "b", "c"]]])


@pytest.fixture(scope="module")
def skeleton():
    """Step 1: the predictors."""
    return pd.DataFrame(np.random.default_rng(42).normal(size=(100, 3)), columns=list("abc"))


@pytest.fixture(scope="module")
def data(skeleton):
    """Step 2: the model with its parameters forced is a simulator."""
    return gallery_model().simulate(skeleton, TRUTH, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    """Steps 3 and 4: observe and sample."""
    return gallery_model(draws=2000).fit(data[["a", "b", "c"]], data["y"])


class Grid:
    """The exact posterior under the notebook's priors, by quadrature over sigma.

    Given sigma, theta ~ N(0, I) and y | theta ~ N(A theta, sigma² I) are jointly Gaussian.
    """

    def __init__(self, X, y, points=2000):
        A = with_ones(X)
        sigmas = np.linspace(0.1, 0.4, points)
        values, vectors = np.linalg.eigh(A @ A.T)  # y | sigma ~ N(0, A A' + sigma² I)
        rotated = vectors.T @ np.asarray(y)
        variances = values + np.square(sigmas)[:, None]
        log_density = -0.5 * (np.log(variances) + rotated**2 / variances).sum(axis=1)
        log_density += stats.halfnorm.logpdf(sigmas)
        self.weights = np.exp(log_density - log_density.max())
        self.weights /= self.weights.sum()
        self.sigmas = sigmas
        precision = A.T @ A / np.square(sigmas)[:, None, None] + np.eye(4)
        self.covariances = np.linalg.inv(precision)
        moment = (A.T @ np.asarray(y)) / np.square(sigmas)[:, None]
        self.means = np.einsum("kij,kj->ki", self.covariances, moment)

    def of_rows(self, A):
        """Mean and standard deviation of A @ theta."""
        means = self.means @ A.T
        variances = np.einsum("ij,kjl,il->ki", A, self.covariances, A)
        mean = self.weights @ means
        return mean, np.sqrt(self.weights @ (variances + np.square(means - mean)))

    def cdf(self, a, at):
        """Distribution function of a @ theta at some points."""
        sds = np.sqrt(np.einsum("j,kjl,l->k", a, self.covariances, a))
        return self.weights @ stats.norm.cdf(at, (self.means @ a)[:, None], sds[:, None])


@pytest.fixture(scope="module")
def grid(data):
    return Grid(data[["a", "b", "c"]], data["y"])


def test_step_1_the_skeleton_is_the_textbook_model(skeleton):
    """The log density is the notebook's, written out by hand."""
    model = gallery_model().build_model(skeleton)
    assert [v.name for v in model.free_RVs] == ["y_beta", "y_intercept", "y_sigma", "y"]
    y = np.linspace(-1, 1, 100)
    mu = 0.3 + skeleton.to_numpy() @ BETA[1:]
    by_hand = (
        stats.norm.logpdf([*BETA[1:], 0.3]).sum()
        + stats.halfnorm.logpdf(0.5)
        + stats.norm.logpdf(y, mu, 0.5).sum()
    )
    observed = pm.observe(model, {"y": y})
    density = observed.compile_fn(observed.logp(jacobian=False), mode=python_mode())
    point = {"y_beta": BETA[1:], "y_intercept": np.array(0.3), "y_sigma_log__": np.log(0.5)}
    np.testing.assert_allclose(density(point), by_hand, rtol=1e-10)


def test_step_2_simulated_data_follow_the_forced_parameters(skeleton, data):
    """The noise is N(0, 0.2²), the predictors are those given."""
    pd.testing.assert_frame_equal(data[["a", "b", "c"]], skeleton)
    noise = data["y"] - skeleton @ BETA[1:]
    assert stats.kstest(noise / 0.2, "norm").pvalue > 1e-4


def test_steps_3_and_4_every_parameter_is_recovered(model, grid):
    """Each true value is within 4.5 posterior sds; mean and sd are the exact posterior's."""
    posterior = model.idata_["posterior"]
    draws = np.column_stack(
        [posterior["y_intercept"].values.ravel(), posterior["y_beta"].values.reshape(-1, 3)]
    )
    z = (draws.mean(axis=0) - BETA) / draws.std(axis=0)
    assert np.abs(z).max() < N_STANDARD_ERRORS
    mean, sd = grid.of_rows(np.eye(4))
    error = sd / np.sqrt(len(draws))
    assert np.abs((draws.mean(axis=0) - mean) / error).max() < N_STANDARD_ERRORS
    relative = (draws.std(axis=0) / sd - 1) * np.sqrt(2 * len(draws))
    assert np.abs(relative).max() < N_STANDARD_ERRORS
    sigma = posterior["y_sigma"].values.ravel()
    cdf = np.cumsum(grid.weights)
    assert stats.kstest(sigma, lambda at: np.interp(at, grid.sigmas, cdf)).pvalue > 1e-4


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_step_5_outcome_under_do_is_the_exact_posterior(model, grid, skeleton, scenario):
    """Per row: mean, sd and law of E[y | do(...)]; and the mean over rows."""
    do, replace = SCENARIOS[scenario]
    outcomes = model.intervene(skeleton, do)
    A = with_ones(replace(skeleton))
    mean, sd = grid.of_rows(A)
    n_draws = outcomes.draws.size // 100
    assert np.abs((outcomes.mean() - mean) / sd).max() * np.sqrt(n_draws) < family_wise(100)
    assert np.abs(outcomes.std() / sd - 1).max() * np.sqrt(2 * n_draws) < family_wise(100)
    for row in (0, 57):
        draws = outcomes.draws.values[..., row].ravel()
        assert stats.kstest(draws, lambda at, a=A[row]: grid.cdf(a, at)).pvalue > 1e-4
    average = outcomes.average()
    mean, sd = grid.of_rows(A.mean(axis=0, keepdims=True))
    assert abs(average.mean() - mean) / sd * np.sqrt(n_draws) < N_STANDARD_ERRORS


def test_step_5_a_new_outcome_adds_the_noise(model, grid, skeleton):
    """Var[y | do(b = 0)] = Var[y_mu] + E[sigma²]."""
    outcomes = model.intervene(skeleton, {"b": 0}, kind="predictive")
    mean, sd = grid.of_rows(with_ones(skeleton.assign(b=0.0)))
    total = np.sqrt(sd**2 + grid.weights @ grid.sigmas**2)
    n_draws = outcomes.draws.size // 100
    assert np.abs((outcomes.mean() - mean) / total).max() * np.sqrt(n_draws) < family_wise(100)
    assert np.abs(outcomes.std() / total - 1).max() * np.sqrt(2 * n_draws) < family_wise(100)


def test_step_5_scenarios_go_back_into_the_frame(model, data):
    """One column a scenario, and the effect beside it: 4 beta_b b for b five times as much."""
    X = data[["a", "b", "c"]]
    table = data.assign(
        none=model.intervene(X, {"b": 0}), five=model.intervene(X, SCENARIOS["b = 5b"][0])
    )
    np.testing.assert_allclose(table["five"] - table["none"], 5 * model.coef_[1] * X["b"])
    lift = model.effect(X, SCENARIOS["b = 5b"][0])
    np.testing.assert_allclose(lift.mean(), 4 * model.coef_[1] * X["b"], rtol=1e-9, atol=1e-12)


def test_step_5_five_times_b_is_beyond_the_data(model, skeleton):
    """The warning names the column; the rows that are not supported lie outside of its range."""
    with pytest.warns(ExtrapolationWarning, match="'b' is forced to values"):
        five = model.intervene(skeleton, SCENARIOS["b = 5b"][0])
    inside = (5 * skeleton["b"]).between(skeleton["b"].min(), skeleton["b"].max())
    support = five.support
    beyond = 0.05 * np.ptp(skeleton["b"])  # what is hardly outside counts as inside
    low, high = skeleton["b"].min() - beyond, skeleton["b"].max() + beyond
    assert support["in_range"][inside].all()
    assert not support["in_range"][~(5 * skeleton["b"]).between(low, high)].any()
    assert 0.4 < 1 - support["supported"].mean() < 0.8
    assert model.intervene(skeleton, {"b": 0}).support["supported"].all()


class TestFlatPriors:
    """Under Flat priors, those of sigma included, the posterior is Student-t by least squares."""

    @pytest.fixture(scope="class", name="flat")
    @staticmethod
    def fit_flat(data):
        flat = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}
        model = BayesianInterventionRegressor(priors=flat, draws=2000, random_state=2)
        return model.fit(data[["a", "b", "c"]], data["y"])

    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_outcome_under_do(self, flat, data, skeleton, scenario):
        """E[y | do] of a row a is t with n - 5 degrees of freedom around a @ least squares.

        A flat prior of sigma costs one more degree of freedom than the usual 1/sigma.
        """
        A, y = with_ones(skeleton), data["y"].to_numpy()
        estimate, rss, *_ = np.linalg.lstsq(A, y)
        dof = len(y) - 4 - 1
        do, replace = SCENARIOS[scenario]
        B = with_ones(replace(skeleton))
        scale = np.sqrt(rss[0] / dof * np.einsum("ij,jk,ik->i", B, np.linalg.inv(A.T @ A), B))
        outcomes = flat.intervene(skeleton, do)
        draws = outcomes.draws.values.reshape(-1, 100)
        sd = scale * np.sqrt(dof / (dof - 2))
        z = (draws.mean(axis=0) - B @ estimate) / sd * np.sqrt(len(draws))
        assert np.abs(z).max() < family_wise(100)
        for row in (3, 88):
            standardised = (draws[:, row] - B[row] @ estimate) / scale[row]
            assert stats.kstest(standardised, stats.t(dof).cdf).pvalue > 1e-4


@pytest.mark.slow
def test_intervals_cover_the_truth_at_their_rate():
    """94% intervals of E[y | do] cover it in 94% of 200 data sets, within 4 standard errors.

    Per scenario: for one row, for an average over rows, and for the effect.
    """
    rng = np.random.default_rng(2026)
    new = pd.DataFrame(rng.normal(size=(5, 3)), columns=list("abc"))
    n_sets, n = 200, 30
    hits = []
    for _ in range(n_sets):
        X = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
        y = with_ones(X) @ BETA + 0.2 * rng.normal(size=n)
        model = BayesianInterventionRegressor(
            draws=1000, chains=1, random_state=int(rng.integers(2**31))
        ).fit(X, y)
        found = []
        at_rest = None
        for do, replace in reversed(SCENARIOS.values()):
            outcomes = model.intervene(new, do)
            truth = with_ones(replace(new)) @ BETA
            at_rest = (outcomes, truth) if at_rest is None else at_rest
            pairs = [(outcomes, truth), (outcomes.average(), truth.mean(keepdims=True))]
            if outcomes is not at_rest[0]:
                pairs.append((outcomes - at_rest[0], truth - at_rest[1]))
            for asked, true in pairs:
                low, high = asked.interval(0.94, "eti")[0]
                found.append(low < true[0] < high)
        hits.append(found)
    rates = np.mean(hits, axis=0)
    standard_error = np.sqrt(0.94 * 0.06 / n_sets)
    assert len(rates) == 8
    assert np.abs(rates - 0.94).max() < 4 * standard_error, rates
