"""Every family finds the truth again, and what maximum likelihood and models by hand find."""

import warnings
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import N_STANDARD_ERRORS, assert_mean, maximum_likelihood, slow
from pymc_extras.prior import Prior
from scipy import optimize
from scipy.special import digamma, expit, polygamma
from sklearn.exceptions import ConvergenceWarning
from statsmodels.othermod.betareg import BetaModel
from statsmodels.tools.numdiff import approx_fprime
from test_families import assert_uniform, distribution, ranks

from interventional import BayesianInterventionRegressor


@dataclass(frozen=True)
class Truth:
    """A model of two columns whose parameters are known."""

    intercept: float
    beta: tuple[float, float]
    dispersion: dict[str, float] = field(default_factory=dict)

    def rows(self, rng, n):
        """Two columns that are correlated, neither centred nor of one unit."""
        a = rng.normal(0.5, 1.0, size=n)
        return pd.DataFrame({"a": a, "b": 0.6 * a + rng.normal(0.0, 0.8, size=n)})

    def eta(self, X):
        return self.intercept + X[["a", "b"]].to_numpy() @ np.array(self.beta)

    def known(self, family, X):
        return distribution(family, self.eta(X), self.dispersion)


TRUTHS = {
    "gaussian": Truth(1.0, (0.8, -0.5), {"sigma": 0.7}),
    "student_t": Truth(1.0, (0.8, -0.5), {"nu": 5.0, "sigma": 0.7}),
    "lognormal": Truth(0.5, (0.4, -0.3), {"sigma": 0.6}),
    "gamma": Truth(0.5, (0.4, -0.3), {"alpha": 2.0}),
    "poisson": Truth(0.5, (0.4, -0.3)),
    "negative_binomial": Truth(1.0, (0.4, -0.3), {"alpha": 2.0}),
    "bernoulli": Truth(0.3, (0.8, -0.5)),
    "beta": Truth(0.3, (0.8, -0.5), {"phi": 8.0}),
}
ENGINE = {"gaussian": "exact", "lognormal": "exact"}
LOG = ["lognormal", "gamma", "poisson", "negative_binomial"]
every_family = pytest.mark.parametrize("family", TRUTHS)


def regressor(family, **settings):
    inference = ENGINE.get(family, "laplace")
    return BayesianInterventionRegressor(family=family, inference=inference, **settings)


def simulated(family, n, seed):
    rng = np.random.default_rng(seed)
    X = TRUTHS[family].rows(rng, n)
    return X, TRUTHS[family].known(family, X).rvs(size=n, random_state=rng)


def parameters(model, family):
    """Posterior draws of intercept, coefficients and other parameters, (draws,) each."""
    posterior = model.idata_["posterior"].dataset
    assert list(posterior["y_term"].values) == ["a", "b"]
    found = {"intercept": posterior["y_intercept"].values.ravel()}
    found |= dict(zip("ab", posterior["y_beta"].values.reshape(-1, 2).T, strict=True))
    others = TRUTHS[family].dispersion
    return found | {name: posterior[f"y_{name}"].values.ravel() for name in others}


# ---------------------------------------------------------------------------------------------
# 1. Simulated data: intervals hold the truth as often as they say
# ---------------------------------------------------------------------------------------------

N_DATA_SETS = 100


def one_truth(family, rng):
    """The truth behind a data set.

    200 rows tell too little of degrees of freedom for the prior not to matter: it draws them, or
    else those that it thinks few, such as 5, lie below the interval's middle in more than half of
    the data sets.
    """
    truth = TRUTHS[family]
    if family != "student_t":
        return truth
    return replace(truth, dispersion=truth.dispersion | {"nu": rng.gamma(2.0, 10.0)})


@cache
def shares_below(family):
    """The share of posterior draws below the truth, (data sets,) for each quantity."""
    found = {}
    for seed in range(N_DATA_SETS):
        rng = np.random.default_rng(seed)
        truth = one_truth(family, rng)
        X = truth.rows(rng, 200)
        y = truth.known(family, X).rvs(size=200, random_state=rng)
        with warnings.catch_warnings():  # that some data sets' posteriors are not quite Gaussian
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = regressor(family, draws=400, chains=1, random_state=seed).fit(X, y)
        draws = parameters(model, family)
        true = {"intercept": truth.intercept, "a": truth.beta[0], "b": truth.beta[1]}
        true |= truth.dispersion
        outcomes, forced = model.intervene(X, {"a": 1.0}), X.assign(a=1.0)
        draws["E[y | do(a=1)]"] = flat(outcomes.average())[:, 0]
        true["E[y | do(a=1)]"] = float(np.mean(truth.known(family, forced).mean()))
        draws["E[y | x]"] = flat(outcomes)[:, 0]
        true["E[y | x]"] = float(truth.known(family, forced[:1]).mean()[0])
        for name, values in draws.items():
            found.setdefault(name, []).append(np.mean(values < true[name]))
    return {name: np.array(shares) for name, shares in found.items()}


@pytest.mark.slow
@every_family
def test_intervals_cover_at_their_rate(family):
    """Of 94% and of 50%, within four standard deviations of their binomial counts."""
    shares = shares_below(family)
    assert len(shares) == 5 + len(TRUTHS[family].dispersion)
    for name, below in shares.items():
        for rate in (0.94, 0.5):
            covered = np.mean(np.abs(below - 0.5) <= rate / 2)
            band = 4 * np.sqrt(rate * (1 - rate) / N_DATA_SETS)
            assert abs(covered - rate) < band, (name, rate, covered)


@pytest.mark.slow
@every_family
def test_posteriors_are_not_to_one_side_of_the_truth(family):
    """The share of draws below the truth is a half on average: uniform, so of variance 1/12."""
    for name, below in shares_below(family).items():
        z = (below.mean() - 0.5) * np.sqrt(12 * N_DATA_SETS)
        assert abs(z) < N_STANDARD_ERRORS, (name, z)


@every_family
def test_many_rows_give_the_truth(family):
    """At 5,000 rows all is within its posterior standard deviations, which are small."""
    X, y = simulated(family, 5000, seed=1000)
    model = regressor(family, draws=500, random_state=0).fit(X, y)
    truth = TRUTHS[family]
    true = {"intercept": truth.intercept, "a": truth.beta[0], "b": truth.beta[1]}
    for name, draws in parameters(model, family).items():
        value = (true | truth.dispersion)[name]
        assert abs(draws.mean() - value) < N_STANDARD_ERRORS * draws.std(), name
        assert draws.std() < (0.2 if name == "nu" else 0.05) * max(abs(value), 1.0), name


# ---------------------------------------------------------------------------------------------
# 2. Interventions are arithmetic on the posterior draws
# ---------------------------------------------------------------------------------------------


@cache
def fitted(family):
    X, y = simulated(family, 60, seed=7)
    model = regressor(family, draws=400, chains=2, random_state=1).fit(X, y)
    rows = TRUTHS[family].rows(np.random.default_rng(8), 40)
    return model, rows


def under_do(family, model, rows):
    """SciPy's distribution of each draw's outcome of each row, (draws, rows)."""
    draws = parameters(model, family)
    eta = draws["intercept"][:, None] + sum(
        draws[name][:, None] * rows[name].to_numpy() for name in ("a", "b")
    )
    others = {name: draws[name][:, None] for name in TRUTHS[family].dispersion}
    return distribution(family, eta, others)


def expected(family, model, rows):
    known = under_do(family, model, rows)
    return np.broadcast_to(known.mean(), (800, len(rows)))


def flat(outcomes):
    """Draws of outcomes, (draws, rows)."""
    draws = outcomes.draws
    return draws.values.reshape(-1, draws.shape[-1])


@every_family
def test_expected_outcomes_under_do(family):
    model, rows = fitted(family)
    wanted = expected(family, model, rows.assign(a=1.0))
    found = model.intervene(rows, {"a": 1.0})
    np.testing.assert_allclose(flat(found), wanted, rtol=1e-9)
    np.testing.assert_allclose(found.mean(), wanted.mean(axis=0), rtol=1e-9)
    average = found.average()
    np.testing.assert_allclose(flat(average)[:, 0], wanted.mean(axis=1), rtol=1e-9)
    weights = np.arange(40) + 1.0
    np.testing.assert_allclose(
        flat(found.average(weights=weights))[:, 0], wanted @ weights / weights.sum(), rtol=1e-9
    )
    both = model.intervene(rows, {"a": -1.0, "b": lambda X: X["a"]})
    np.testing.assert_allclose(
        flat(both), expected(family, model, rows.assign(a=-1.0, b=rows["a"])), rtol=1e-9
    )
    assert np.all(rows["a"] != 1.0)  # the caller's rows are as they were


@every_family
def test_predict_is_the_average_of_expected_outcomes(family):
    model, rows = fitted(family)
    wanted = expected(family, model, rows)
    np.testing.assert_allclose(model.predict(rows), wanted.mean(axis=0), rtol=1e-9)


@every_family
def test_new_outcomes_under_do(family):
    """Each is drawn from the distribution that its posterior draw and its row have under do."""
    model, rows = fitted(family)
    known = under_do(family, model, rows.assign(a=1.0))
    found = model.intervene(rows, {"a": 1.0}, kind="predictive")
    y = flat(found)
    assert_uniform(ranks(known, y, np.random.default_rng(9)))
    average = flat(found.average())[:, 0]
    np.testing.assert_allclose(average, y.mean(axis=1), rtol=1e-12)
    # the average's noise in each draw, in its own standard deviations
    spread = np.sqrt(np.broadcast_to(known.var(), y.shape).sum(axis=1)) / len(rows)
    z = (average - expected(family, model, rows.assign(a=1.0)).mean(axis=1)) / spread
    assert_mean(z, 0.0)
    assert_mean(z**2, 1.0)


@every_family
@pytest.mark.parametrize("kind", ["mean", "predictive"])
def test_effects_under_do(family, kind):
    model, rows = fitted(family)
    wanted = expected(family, model, rows.assign(a=rows["a"] + 1))
    wanted = wanted - expected(family, model, rows)
    effect = model.effect(rows, {"a": lambda X: X["a"] + 1}, kind=kind)
    if kind == "mean":
        np.testing.assert_allclose(flat(effect), wanted, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(
            flat(effect.average())[:, 0], wanted.mean(axis=1), rtol=1e-7, atol=1e-10
        )
    elif family in ("gaussian", "student_t"):  # the noise of both sides cancels
        np.testing.assert_allclose(flat(effect), wanted, rtol=1e-7, atol=1e-10)
    else:
        assert_mean(flat(effect.average())[:, 0] - wanted.mean(axis=1), 0.0)


@every_family
def test_an_effect_that_changes_nothing_is_nothing(family):
    """Both sides have the same noise."""
    model, rows = fitted(family)
    effect = model.effect(rows, {"a": lambda X: X["a"]}, kind="predictive")
    assert not flat(effect).any()


@pytest.mark.parametrize("family", LOG)
def test_under_a_log_link_effects_are_ratios(family):
    """Of expected outcomes, whatever the rows: e to the coefficient."""
    model, rows = fitted(family)
    rate = np.exp(parameters(model, family)["a"])
    one, none = (model.intervene(rows, {"a": value}) for value in (1.0, 0.0))
    np.testing.assert_allclose(flat(one / none), np.tile(rate[:, None], 40), rtol=1e-9)
    of_averages = one.average() / none.average()
    np.testing.assert_allclose(flat(of_averages)[:, 0], rate, rtol=1e-9)


# ---------------------------------------------------------------------------------------------
# 3. Flat priors: what maximum likelihood finds
# ---------------------------------------------------------------------------------------------

N_DRAWS = 40_000
WIDE = {
    "flat": {"beta": Prior("Flat"), "intercept": Prior("Flat")},
    "normal": {name: Prior("Normal", mu=0, sigma=1e4) for name in ("beta", "intercept")},
}
# All but flat in the logarithm, in which Laplace's mode is. These are the distributions that
# default priors have, so that no model is compiled anew for their sake.
LOG_FLAT = {
    "sigma": Prior("HalfStudentT", nu=1e-6, sigma=1e-6),
    "nu": Prior("Gamma", alpha=1e-6, beta=1e-6),
    "alpha": Prior("LogNormal", mu=0, sigma=3),
    "phi": Prior("LogNormal", mu=0, sigma=3),
}


def flat_posterior(family, X, y, sample_weight=None, wide="normal", **settings):
    """Parameters' draws under priors that say nothing; those that are positive by their logs."""
    others = {name: LOG_FLAT[name] for name in TRUTHS[family].dispersion}
    model = regressor(
        family, priors=WIDE[wide] | others, draws=N_DRAWS, chains=1, random_state=3, **settings
    ).fit(X, y, sample_weight)
    found = parameters(model, family)
    return {n: np.log(v) if n in others else v for n, v in found.items()}


def assert_is_likelihood(found, estimates, errors):
    """Means are the estimates within 4 Monte Carlo errors and a gap of 1/n; sds within 3%."""
    assert len(found) == len(estimates)
    for (name, draws), estimate, error in zip(found.items(), estimates, errors, strict=True):
        gap = (draws.mean() - estimate) / error
        assert abs(gap) < 4 / np.sqrt(N_DRAWS) + 0.01, (name, gap)
        assert draws.std() == pytest.approx(error, rel=0.03), name


def design(X):
    return sm.add_constant(X.to_numpy())


def start(family):
    """The parameters that made the data; those that are positive by their logs."""
    truth = TRUTHS[family]
    return [truth.intercept, *truth.beta, *np.log(list(truth.dispersion.values()))]


def of_known_scale(model, start):
    """Coefficients and standard errors by the score of a generalised linear model."""
    return maximum_likelihood(
        lambda beta: model.score(beta, scale=1.0),
        lambda beta: model.hessian(beta, scale=1.0, observed=True),
        start,
    )


def poisson_by_statsmodels(y, X, **settings):
    model = sm.GLM(y, design(X), sm.families.Poisson(), **settings)
    return of_known_scale(model, start("poisson"))


def bernoulli_by_statsmodels(y, X, **settings):
    model = sm.GLM(y, design(X), sm.families.Binomial(), **settings)
    return of_known_scale(model, start("bernoulli"))


def gamma_by_statsmodels(y, X, **settings):
    """Coefficients and curvature by statsmodels; alpha, which it has by moments, by likelihood.

    The maximum of n (log(alpha) - digamma(alpha)) = half the deviance (McCullagh and Nelder 1989,
    section 8.3.6), whose curvature in log(alpha) is n alpha (alpha polygamma(1, alpha) - 1); the
    coefficients' is separate from it.
    """
    family = sm.families.Gamma(sm.families.links.Log())
    model = sm.GLM(y, design(X), family, **settings)
    beta, errors = of_known_scale(model, start("gamma")[:3])
    n = float(np.sum(model.freq_weights))
    deviance = family.deviance(y, model.predict(beta), freq_weights=model.freq_weights)
    alpha = optimize.brentq(
        lambda a: n * (np.log(a) - digamma(a)) - deviance / 2, 1e-3, 1e3, xtol=1e-12
    )
    error = 1 / np.sqrt(n * alpha * (alpha * polygamma(1, alpha) - 1))
    return [*beta, np.log(alpha)], [*errors / np.sqrt(alpha), error]


def by_score(score, family):
    """The maximum of a likelihood by its derivatives alone, whose differences are curvature."""
    return maximum_likelihood(
        score, lambda theta: approx_fprime(theta, score, centered=True), start(family)
    )


def negative_binomial_by_score(y, X, exposure=1.0):
    """Of lgamma(y + a) - lgamma(a) + a log(a / (a + mu)) + y log(mu / (a + mu)), mu = exp(eta)."""
    matrix = design(X)

    def score(theta):
        a = np.exp(theta[3])
        mu = exposure * np.exp(matrix @ theta[:3])
        of_a = digamma(y + a) - digamma(a) + np.log(a / (a + mu)) + (mu - y) / (a + mu)
        return np.array([*matrix.T @ ((y - mu) * a / (a + mu)), a * np.sum(of_a)])

    return by_score(score, "negative_binomial")


def beta_by_statsmodels(y, X):
    """The precision is by its log there too."""
    model = BetaModel(y, design(X))
    return maximum_likelihood(model.score, model.hessian, start("beta"))


def lognormal_by_statsmodels(y, X, weights=None):
    """Least squares on log(y).

    Under a prior flat in log(sigma), with k degrees of freedom, the posterior of the coefficients
    is Student's with k, and k s² / sigma² is chi-squared with k (Gelman et al. 2013, 14.2): its
    log has mean digamma(k/2) + log(2) and variance polygamma(1, k/2).
    """
    return gaussian_by_statsmodels(np.log(y), X, weights)


def gaussian_by_statsmodels(y, X, weights=None):
    weights = np.ones(len(y)) if weights is None else weights
    found = sm.WLS(y, design(X), weights=weights).fit()
    k = weights.sum() - 3
    rss = found.ssr
    errors = found.bse * np.sqrt(found.df_resid / k) * np.sqrt(k / (k - 2))
    log_sigma = (np.log(rss) - digamma(k / 2) - np.log(2)) / 2
    return [*found.params, log_sigma], [*errors, np.sqrt(polygamma(1, k / 2)) / 2]


def student_t_by_score(y, X):
    """Of lgamma((nu + 1) / 2) - lgamma(nu / 2) - log(nu pi) / 2 - log(sigma)
    - (nu + 1) / 2 log(1 + z² / nu), z = (y - eta) / sigma.
    """
    matrix = design(X)

    def score(theta):
        nu, sigma = np.exp(theta[3:])
        z = (y - matrix @ theta[:3]) / sigma
        pull = (nu + 1) * z / (nu + z**2)
        of_nu = digamma((nu + 1) / 2) - digamma(nu / 2) - 1 / nu - np.log1p(z**2 / nu)
        of_nu = nu / 2 * np.sum(of_nu + pull * z / nu)
        return np.array([*matrix.T @ pull / sigma, of_nu, np.sum(pull * z - 1)])

    return by_score(score, "student_t")


LIKELIHOOD = {
    "gaussian": gaussian_by_statsmodels,
    "student_t": student_t_by_score,
    "lognormal": lognormal_by_statsmodels,
    "gamma": gamma_by_statsmodels,
    "poisson": poisson_by_statsmodels,
    "negative_binomial": negative_binomial_by_score,
    "bernoulli": bernoulli_by_statsmodels,
    "beta": beta_by_statsmodels,
}


@pytest.mark.parametrize(
    ("family", "wide"), [*((name, "normal") for name in TRUTHS), ("poisson", "flat")]
)
def test_wide_priors_give_maximum_likelihood(family, wide):
    X, y = simulated(family, 2000, seed=11)
    found = flat_posterior(family, X, y, wide=wide)
    assert_is_likelihood(found, *LIKELIHOOD[family](y, X))


@pytest.mark.parametrize("family", ["gaussian", "lognormal", slow("gamma")])
def test_weights_are_frequencies(family):
    """As statsmodels' freq_weights."""
    X, y = simulated(family, 1000, seed=12)
    weights = np.random.default_rng(13).integers(1, 5, size=1000).astype(float)
    found = flat_posterior(family, X, y, sample_weight=weights)
    how = {"freq_weights" if family == "gamma" else "weights": weights}
    assert_is_likelihood(found, *LIKELIHOOD[family](y, X, **how))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Pareto k-hat")  # of a hundredth of the draws, on nu
@pytest.mark.parametrize("family", ["student_t", "beta"])
def test_weights_are_rows_repeated(family):
    """As many rows, where no weights are."""
    X, y = simulated(family, 1000, seed=12)
    weights = np.random.default_rng(13).integers(1, 5, size=1000)
    found = flat_posterior(family, X, y, sample_weight=weights)
    many = X.loc[X.index.repeat(weights)]
    assert_is_likelihood(found, *LIKELIHOOD[family](np.repeat(y, weights), many))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_exposure_is_that_of_maximum_likelihood(family):
    """With rows that count several times, too."""
    rng = np.random.default_rng(14)
    truth = TRUTHS[family]
    X = truth.rows(rng, 1000).assign(t=rng.uniform(0.2, 5.0, size=1000))
    known = distribution(family, truth.eta(X) + np.log(X["t"]), truth.dispersion)
    y = known.rvs(size=1000, random_state=rng)
    weights = rng.integers(1, 5, size=1000)
    found = flat_posterior(family, X, y, sample_weight=weights, exposure="t")
    many = X.loc[X.index.repeat(weights)]
    estimates = LIKELIHOOD[family](np.repeat(y, weights), many[["a", "b"]], exposure=many["t"])
    assert_is_likelihood(found, *estimates)


def test_k_of_m_trials_are_two_weighted_rows():
    rng = np.random.default_rng(15)
    truth = TRUTHS["bernoulli"]
    X = truth.rows(rng, 400)
    m = rng.integers(1, 12, size=400)
    k = rng.binomial(m, expit(truth.eta(X)))
    rows, y = pd.concat([X, X]), np.repeat([1.0, 0.0], 400)
    found = flat_posterior("bernoulli", rows, y, sample_weight=np.concatenate([k, m - k]))
    by_counts = sm.GLM(np.column_stack([k, m - k]), design(X), sm.families.Binomial())
    assert_is_likelihood(found, *of_known_scale(by_counts, start("bernoulli")))


# ---------------------------------------------------------------------------------------------
# 4. NUTS: the same model written out in PyMC
# ---------------------------------------------------------------------------------------------


def negative_binomial_by_hand(X, y):
    import pymc as pm

    intercept = pm.Normal("intercept", np.log((y.sum() + 0.5) / len(y)), 2.5)
    beta = pm.Normal("beta", 0.0, 1 / X.std(axis=0), shape=2)
    alpha = pm.LogNormal("alpha", 1.0, 1.5)
    mu = pm.math.exp(intercept + (X - X.mean(axis=0)) @ beta)
    pm.NegativeBinomial("y", mu=mu, alpha=alpha, observed=y)


def student_t_by_hand(X, y):
    import pymc as pm

    intercept = pm.Normal("intercept", y.mean(), 2.5 * y.std())
    beta = pm.Normal("beta", 0.0, 2.5 * y.std() / X.std(axis=0), shape=2)
    sigma = pm.HalfStudentT("sigma", nu=4, sigma=y.std())
    nu = pm.Gamma("nu", alpha=2, beta=0.1)
    mu = intercept + (X - X.mean(axis=0)) @ beta
    pm.StudentT("y", nu=nu, mu=mu, sigma=sigma, observed=y)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["auto", "nuts"])
@pytest.mark.parametrize("write", [negative_binomial_by_hand, student_t_by_hand])
def test_draws_are_those_of_the_model_written_by_hand(write, engine):
    """The default priors written out, too."""
    import nutpie
    import pymc as pm
    from arviz_stats.base import array_stats

    family = write.__name__.removesuffix("_by_hand")
    X, y = simulated(family, 200, seed=16)
    model = BayesianInterventionRegressor(family=family, inference=engine, random_state=0)
    posterior = model.fit(X, y).idata_["posterior"].dataset
    assert posterior.attrs["inference"] == ("importance" if engine == "auto" else "nuts")
    with pm.Model() as by_hand:
        write(X.to_numpy(), y)
    trace = nutpie.sample(
        nutpie.compile_pymc_model(by_hand), chains=4, seed=1, progress_bar=False
    )["posterior"].dataset
    theirs = {name: trace[name].values for name in TRUTHS[family].dispersion}
    theirs |= {name: trace["beta"].values[..., j] for j, name in enumerate(X)}
    theirs["intercept"] = trace["intercept"].values - trace["beta"].values @ X.to_numpy().mean(0)
    ours = {name: posterior[f"y_{name}"].values for name in TRUTHS[family].dispersion}
    ours |= {name: posterior["y_beta"].sel(y_term=name).values for name in X}
    ours["intercept"] = posterior["y_intercept"].values
    for name, chains in theirs.items():
        errors = [float(array_stats.mcse(c, method="mean")) for c in (ours[name], chains)]
        gap = ours[name].mean() - chains.mean()
        assert abs(gap) < 4 * np.hypot(*errors), (name, gap / np.hypot(*errors))
        assert max(errors) < 0.1 * chains.std(), name  # else anything would pass
