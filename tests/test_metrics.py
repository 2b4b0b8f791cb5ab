"""Proper scores: closed forms, integrals and refits; and their way through scikit-learn."""

import pickle
import subprocess
import sys

import arviz as az
import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS, family_wise
from pymc_extras.prior import Prior
from scipy import stats
from scipy.integrate import quad
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from interventional import BayesianInterventionRegressor
from interventional.metrics import log_density, neg_crps

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
    ),
]

FLAT = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}
SCORES = [log_density, neg_crps]


def estimator(**parameters):
    return BayesianInterventionRegressor(**{"random_state": 3} | parameters)


def laplace(family, **parameters):
    return estimator(family=family, inference="laplace", **parameters)


def flat(draws):
    """Draws as an array of shape (draws, ...)."""
    values = np.asarray(draws)
    return values.reshape(-1, *values.shape[2:])


def rows(n=60, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, 0.5 + X @ [1.0, -2.0] + rng.normal(size=n)


def predictive(X, y, new):
    """The predictive distribution under flat priors of coefficients and sigma: a Student t.

    With k coefficients, p(sigma) = 1 and the residual sum of squares S, sigma**2 given the data is
    S over a chi-square of n - k - 1 degrees of freedom (Gelman et al. 2013, section 14.2, where
    p(sigma) = 1 / sigma leaves one more).
    """
    matrix, rows = (np.column_stack([np.ones(len(v)), v]) for v in (X, new))
    estimate, rss, *_ = np.linalg.lstsq(matrix, y)
    dof = len(y) - matrix.shape[1] - 1
    leverage = np.einsum("ni,ij,nj->n", rows, np.linalg.inv(matrix.T @ matrix), rows)
    return stats.t(dof, rows @ estimate, np.sqrt(rss[0] / dof * (1 + leverage)))


def row(distribution, j):
    """The distribution of one row."""
    dof, loc, scale = distribution.args
    return stats.t(dof, loc[j], scale[j])


def crps_by_integration(cdf, y, low, high):
    """The integral of (F(x) - 1{y <= x})**2 from far below to far above."""
    below = quad(lambda x: cdf(x) ** 2, low, y, limit=200, epsabs=1e-10)[0]
    return below + quad(lambda x: (1 - cdf(x)) ** 2, y, high, limit=200, epsabs=1e-10)[0]


def by_row(score, model, X, y):
    """The score of each row: all weight is on it."""
    return np.array([score(model, X, y, weights) for weights in np.eye(len(y))])


@pytest.fixture(scope="module")
def fitted():
    X, y = rows()
    new, other = rows(25, seed=2)
    other[0] += 3.0  # a surprise
    return estimator(priors=FLAT).fit(X, y), X, y, new, other


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 2))
    y = rng.poisson(np.exp(0.8 + X @ [0.5, -0.3])).astype(float)
    return laplace("poisson").fit(X, y), X, y


# --- The log density ----------------------------------------------------------------------------


def test_log_density_is_that_of_the_student_t(fitted):
    """Within the Monte Carlo error of an average of densities over draws."""
    model, X, y, new, other = fitted
    truth = predictive(X, y, new).logpdf(other)
    found = model.log_density(new, other)
    densities = np.exp(flat(model.log_likelihood(new, other)["log_likelihood"]["y"]))
    np.testing.assert_allclose(found, np.log(densities.mean(axis=0)), rtol=1e-10)
    error = densities.std(axis=0) / densities.mean(axis=0) / np.sqrt(len(densities))
    assert np.abs((found - truth) / error).max() < family_wise(len(new))
    assert error.max() < 0.15
    # the average of log densities is another number, and too low
    too_low = np.log(densities).mean(axis=0)
    assert (found > too_low).all()
    assert np.median((truth - too_low) / error) > N_STANDARD_ERRORS
    assert log_density(model, new, other) == pytest.approx(found.mean())


def test_log_likelihood_is_of_each_draw(fitted):
    """SciPy's normal density; labels and groups as ArviZ takes them."""
    model, *_, new, other = fitted
    tree = model.log_likelihood(pd.DataFrame(new, index=range(5, 30)).to_numpy(), other)
    posterior = tree["posterior"]
    mean = flat(posterior["y_intercept"])[:, None] + flat(posterior["y_beta"]) @ new.T
    truth = stats.norm.logpdf(other, mean, flat(posterior["y_sigma"])[:, None])
    np.testing.assert_allclose(flat(tree["log_likelihood"]["y"]), truth, rtol=1e-9)
    assert tree["log_likelihood"]["y"].dims == ("chain", "draw", "obs")
    np.testing.assert_array_equal(tree["observed_data"]["y"], other)
    assert "log_likelihood" not in model.idata_.children
    frame = pd.DataFrame(new, columns=["a", "b"], index=range(5, 30))
    named = estimator(draws=10).fit(frame, other).log_likelihood(frame, other)
    np.testing.assert_array_equal(named["log_likelihood"]["obs"], frame.index)


def test_a_surprise_has_a_density(fitted):
    """Far out where each draw's density underflows, its log does not."""
    model, *_, new, other = fitted
    far = model.log_density(new, other + 1e4)
    assert np.isfinite(far).all()
    assert (far < -1e4).all()


def test_log_density_of_counts(counts):
    """The log of the average probability over draws; probabilities add up to one."""
    model, X, y = counts
    posterior = model.idata_["posterior"]
    rate = np.exp(flat(posterior["y_intercept"])[:, None] + flat(posterior["y_beta"]) @ X.T)
    truth = np.log(stats.poisson.pmf(y, rate).mean(axis=0))
    np.testing.assert_allclose(model.log_density(X, y), truth, rtol=1e-8)
    every = [model.log_density(X[:5], np.full(5, float(k))) for k in range(80)]
    np.testing.assert_allclose(np.exp(every).sum(axis=0), 1.0, rtol=1e-10)


GAUSSIAN = [BayesianRidge(), GaussianProcessRegressor(RBF(2.0) + WhiteKernel(1.0))]


@pytest.mark.parametrize("other", GAUSSIAN, ids=lambda model: type(model).__name__)
def test_regressors_with_a_standard_deviation(other):
    """SciPy's normal log density; and the integral that the CRPS is."""
    X, y = rows()
    new, target = rows(8, seed=2)
    model = clone(other).fit(X, y)
    mean, std = model.predict(new, return_std=True)
    truth = stats.norm.logpdf(target, mean, std)
    assert log_density(model, new, target) == pytest.approx(truth.mean())
    integrals = [
        crps_by_integration(stats.norm(m, s).cdf, t, m - 12 * s, m + 12 * s)
        for m, s, t in zip(mean, std, target, strict=True)
    ]
    assert neg_crps(model, new, target) == pytest.approx(-np.mean(integrals), rel=1e-6)
    scaled = make_pipeline(StandardScaler(), clone(other)).fit(X, y)
    mean, std = scaled.predict(new, return_std=True)
    truth = stats.norm.logpdf(target, mean, std).mean()
    assert log_density(scaled, new, target) == pytest.approx(truth)


# --- The CRPS -----------------------------------------------------------------------------------


def crps_error(drawn, y):
    """Standard errors of a CRPS that is estimated from draws, (n, draws): from its projection.

    The estimate is mean|x - y| - mean|x - x'| / 2, a U-statistic (Hoeffding 1948).
    """
    n_draws = drawn.shape[1]
    others = np.sort(drawn, axis=1)
    sums = np.cumsum(others, axis=1)
    total, k = sums[:, -1:], np.arange(1, n_draws + 1)
    distance = (others * (2 * k - n_draws) - 2 * sums + total) / n_draws  # E|x - x'| given x
    return (np.abs(others - y[:, None]) - distance).std(axis=1) / np.sqrt(n_draws)


def test_crps_is_the_integral(fitted):
    """Of the Student t's distribution function, row by row."""
    model, X, y, new, other = fitted
    distribution = predictive(X, y, new)
    truth = []
    for j in range(len(new)):
        one = row(distribution, j)
        truth.append(crps_by_integration(one.cdf, other[j], one.ppf(1e-12), one.ppf(1 - 1e-12)))
    found = -by_row(neg_crps, model, new, other)
    error = crps_error(model.sample_y(new, 4000), other)
    assert np.abs((found - truth) / error).max() < family_wise(len(new))
    assert (error / truth).max() < 0.06


def test_crps_of_counts_is_the_sum(counts):
    """Over whole numbers, of the average of Poisson distribution functions."""
    model, X, y = counts
    X, y = X[:20], y[:20]
    posterior = model.idata_["posterior"]
    rate = np.exp(flat(posterior["y_intercept"])[:, None] + flat(posterior["y_beta"]) @ X.T)
    upto = np.arange(80)
    cdf = stats.poisson.cdf(upto[:, None, None], rate).mean(axis=1)
    truth = ((cdf - (y <= upto[:, None])) ** 2).sum(axis=0)
    found = -by_row(neg_crps, model, X, y)
    error = crps_error(model.sample_y(X, 4000), y)
    assert np.abs((found - truth) / error).max() < family_wise(len(X))


def test_crps_does_not_depend_on_the_blocks(fitted, monkeypatch):
    """More rows than are drawn at a time: the same score, to its Monte Carlo error."""
    model, *_, new, other = fitted
    whole = -by_row(neg_crps, model, new, other)
    monkeypatch.setattr("interventional.metrics._BLOCK", 7 * 4000)
    parts = -by_row(neg_crps, model, new, other)
    error = np.sqrt(2) * crps_error(model.sample_y(new, 4000), other)
    assert (parts != whole).any()
    assert np.abs((parts - whole) / error).max() < family_wise(len(new))


def test_scores_are_deterministic(fitted):
    model, *_, new, other = fitted
    for score in SCORES:
        assert score(model, new, other) == score(model, new, other)


# --- Propriety ----------------------------------------------------------------------------------


class Believes:
    """A regressor that is sure of a Gaussian distribution."""

    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def predict(self, X, return_std=False):
        assert return_std
        return np.full(len(X), self.mean), np.full(len(X), self.std)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("mean", "std"), [(0.4, 1.0), (0.0, 0.6), (0.0, 1.6), (-0.3, 1.2)])
def test_the_truth_scores_best(score, mean, std):
    """On average over outcomes, against what is off, too sure or too vague."""
    rng = np.random.default_rng(5)
    differences = []
    for _ in range(400):
        y = rng.normal(size=10)
        X = np.zeros((10, 1))
        differences.append(score(Believes(0.0, 1.0), X, y) - score(Believes(mean, std), X, y))
    z = np.mean(differences) / (np.std(differences) / np.sqrt(400))
    assert z > N_STANDARD_ERRORS


@pytest.mark.parametrize("score", SCORES)
def test_the_right_family_scores_best(score):
    """Overdispersed counts: the Poisson model has the same means, and is too sure of them."""
    rng = np.random.default_rng(6)
    X = rng.normal(size=(900, 2))
    rate = np.exp(1.0 + X @ [0.4, -0.3])
    y = rng.poisson(rate * rng.gamma(1.5, 1 / 1.5, size=900)).astype(float)
    right, wrong = (
        laplace(family, draws=100).fit(X[:300], y[:300])
        for family in ("negative_binomial", "poisson")
    )
    new, target = X[300:], y[300:]
    np.testing.assert_allclose(right.predict(new), wrong.predict(new), rtol=0.2)
    by_block = [
        score(right, new[part], target[part]) - score(wrong, new[part], target[part])
        for part in np.split(np.arange(600), 60)
    ]
    assert np.mean(by_block) / (np.std(by_block) / np.sqrt(60)) > 3


# --- In scikit-learn ----------------------------------------------------------------------------


@pytest.mark.parametrize("score", SCORES)
def test_weights(score, fitted, counts):
    """An average of rows, weighted; whole weights of a closed form are copies."""
    X, y = rows(30, seed=7)
    weights = np.random.default_rng(8).integers(0, 4, size=30)
    for model in (fitted[0], counts[0], BayesianRidge().fit(X, y)):
        target = np.round(np.abs(y)) if model is counts[0] else y
        each = by_row(score, model, X, target)
        assert score(model, X, target) == pytest.approx(each.mean())
        found = score(model, X, target, sample_weight=weights)
        assert found == pytest.approx(np.average(each, weights=weights))
        if score is log_density or isinstance(model, BayesianRidge):
            copies = np.repeat(np.arange(30), weights)
            assert found == pytest.approx(score(model, X[copies], target[copies]))


MODELS = {
    "ours": lambda: estimator(draws=100),
    "counts": lambda: laplace("poisson", draws=50),
    "BayesianRidge": BayesianRidge,
    "pipeline": lambda: make_pipeline(StandardScaler(), estimator(draws=100)),
    "nested": lambda: make_pipeline(
        PolynomialFeatures(2, include_bias=False), make_pipeline(StandardScaler(), BayesianRidge())
    ),
    "last step": lambda: make_pipeline(estimator(draws=100)),
}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", MODELS)
def test_cross_validation(score, name):
    """The scores of a loop by hand; a DataFrame goes through, too."""
    X, y = rows(45, seed=9)
    X = pd.DataFrame(X, columns=["a", "b"])
    y = np.round(np.abs(y)) if name == "counts" else y
    folds = KFold(3)
    found = cross_val_score(MODELS[name](), X, y, cv=folds, scoring=score, error_score="raise")
    by_hand = []
    for train, test in folds.split(X):
        model = MODELS[name]().fit(X.iloc[train], y[train])
        by_hand.append(score(model, X.iloc[test], y[test]))
    np.testing.assert_allclose(found, by_hand)


@pytest.mark.parametrize("score", SCORES)
def test_grid_search(score):
    """The right degree wins; the search itself, fitted, is scored as its best model is."""
    rng = np.random.default_rng(10)
    X = rng.uniform(-2, 2, size=(120, 1))
    y = X[:, 0] ** 2 + 0.5 * rng.normal(size=120)
    pipeline = make_pipeline(PolynomialFeatures(include_bias=False), estimator(draws=100))
    grid = {"polynomialfeatures__degree": [1, 2]}
    search = GridSearchCV(pipeline, grid, scoring=score, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_ == {"polynomialfeatures__degree": 2}
    assert search.score(X, y) == score(search.best_estimator_, X, y)
    assert score(search, X, y) == score(search.best_estimator_, X, y)
    outer = cross_val_score(search, X, y, scoring=score, cv=2, error_score="raise")
    assert np.isfinite(outer).all()


def test_families_are_compared_by_their_densities():
    """A search over families takes the one that the outcomes come from."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(150, 1))
    y = rng.lognormal(0.5 * X[:, 0], 0.8)
    grid = {"family": ["gaussian", "lognormal"]}
    search = GridSearchCV(
        estimator(draws=100), grid, scoring=log_density, cv=3, error_score="raise"
    )
    assert search.fit(X, y).best_params_ == {"family": "lognormal"}


def test_several_scores_at_once():
    X, y = rows(45, seed=9)
    scoring = {"density": log_density, "crps": neg_crps, "r2": "r2"}
    found = cross_validate(estimator(draws=100), X, y, cv=3, scoring=scoring, error_score="raise")
    for name in scoring:
        assert found[f"test_{name}"].shape == (3,)
        assert np.isfinite(found[f"test_{name}"]).all()
    alone = cross_val_score(estimator(draws=100), X, y, cv=3, scoring=log_density)
    np.testing.assert_array_equal(found["test_density"], alone)


@pytest.mark.parametrize("score", SCORES)
def test_what_has_no_predictive_distribution(score, fitted, counts):
    X, y = rows()
    for model in (LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())):
        with pytest.raises(TypeError, match="LinearRegression has no predictive distribution"):
            score(model.fit(X, y), X, y)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 59\]"):
        score(fitted[0], X, y[1:])
    with pytest.raises(ValueError, match=r"\(60, 2\)"):
        score(fitted[0], X, np.column_stack([y, y]))
    if score is log_density:
        with pytest.raises(ValueError, match=r"'poisson' takes counts.*y holds 0.5 in row 3"):
            score(counts[0], X, np.where(np.arange(60) == 3, 0.5, 1.0))


# --- Leave-one-out ------------------------------------------------------------------------------


def test_leave_one_out_is_that_of_refits():
    """PSIS-LOO of one fit, and 40 refits, within the Monte Carlo errors of both.

    Given the priors, which are the same for all refits; those by default would not be.
    """
    X, y = rows(40, seed=12)
    priors = {
        "beta": Prior("Normal", mu=0, sigma=2),
        "intercept": Prior("Normal", mu=0, sigma=2),
        "sigma": Prior("HalfNormal", sigma=2),
    }
    found = []
    for seed in range(8):
        model = estimator(priors=priors, center_predictors=False, random_state=seed).fit(X, y)
        loo = az.loo(model.log_likelihood(X, y), pointwise=True)
        assert float(loo.pareto_k.max()) < 0.7
        found.append(loo.elpd)
    refits, variance = [], 0.0
    for k in range(40):
        rest = np.arange(40) != k
        model = estimator(priors=priors, center_predictors=False, random_state=100 + k)
        model.fit(X[rest], y[rest])
        left_out = model.log_likelihood(X[[k]], y[[k]])["log_likelihood"]["y"]
        density = np.exp(flat(left_out)[:, 0])
        refits.append(model.log_density(X[[k]], y[[k]])[0])
        assert refits[-1] == pytest.approx(np.log(density.mean()))
        variance += density.var() / density.mean() ** 2 / len(density)
    error = np.sqrt(np.var(found, ddof=1) / len(found) + variance)
    assert abs(np.mean(found) - np.sum(refits)) < N_STANDARD_ERRORS * error
    # what is fitted to the row itself scores higher, by more than the errors
    inside = model.log_density(X, y).sum()
    assert inside - np.sum(refits) > 10 * error
    assert error < 0.2


def test_leave_one_out_of_counts(counts):
    """Refits without each row, against the importance of its likelihood."""
    rng = np.random.default_rng(13)
    X = rng.normal(size=(80, 2))
    y = rng.poisson(np.exp(0.8 + X @ [0.5, -0.3])).astype(float)
    priors = {"beta": Prior("Normal", mu=0, sigma=2), "intercept": Prior("Normal", mu=0, sigma=2)}
    model = estimator(family="poisson", priors=priors, center_predictors=False)
    loo = az.loo(clone(model).fit(X, y).log_likelihood(X, y), pointwise=True)
    assert float(loo.pareto_k.max()) < 0.7
    refits = []
    for k in range(80):
        rest = np.arange(80) != k
        refits.append(clone(model).fit(X[rest], y[rest]).log_density(X[[k]], y[[k]])[0])
    np.testing.assert_allclose(loo.elpd_i, refits, atol=0.12)
    assert loo.elpd == pytest.approx(np.sum(refits), abs=0.3)
    inside = clone(model).fit(X, y).log_density(X, y).sum()
    assert inside - np.sum(refits) > 1.0


# --- From a pickle ------------------------------------------------------------------------------


def test_from_a_pickle(fitted, counts):
    for model, X, y in (fitted[:3], counts):
        again = pickle.loads(pickle.dumps(model))
        for score in SCORES:
            assert score(again, X, y) == score(model, X, y)
        found = [az.loo(m.log_likelihood(X, y)).elpd for m in (model, again)]
        assert found[0] == found[1]


def test_scores_need_no_pymc(tmp_path, counts):
    """A fresh interpreter takes a pickle's log density, the same one, and loads none of it."""
    model, X, y = counts
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, X, y)))
    code = """
import pickle, sys
from interventional.metrics import log_density
with open(sys.argv[1], "rb") as file:
    model, X, y = pickle.load(file)
print(repr(log_density(model, X, y)))
print(*[m for m in ("pymc", "pytensor", "arviz", "numba", "nutpie") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.pkl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    number, loaded = done.stdout.split("\n")[:2]
    assert float(number) == log_density(model, X, y)
    assert loaded == ""
