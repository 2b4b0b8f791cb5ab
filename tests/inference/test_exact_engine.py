"""The exact engine without an estimator around it: `draw` and `refuse_improper`.

`test_exact.py` asks the estimator; what is asked here takes no PyMC, and milliseconds.
"""

import numpy as np
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS, assert_mean

from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.data.seen import sufficient_statistics
from interventional.errors import UndeterminedError
from interventional.inference.exact import draw as drawn_with_law
from interventional.inference.exact import edges, refuse_improper
from interventional.scm.equations import Equation
from interventional.scm.priors import EquationPriors, Group, PriorSpec

N_DRAWS = 4000


def draw(*args):
    """Return draws alone; tests of what they are draws of are in `answers/test_law.py`."""
    return drawn_with_law(*args)[0]


def normal(m, s):
    return PriorSpec.of("Normal", mu=m, sigma=s)


def equation(X, m, s, intercept=None, center=None):
    """An equation whose coefficients have Normal(m, s) priors, Flat ones where s is infinite."""
    m, s = np.asarray(m, dtype=float), np.asarray(s, dtype=float)
    known, flat = np.flatnonzero(np.isfinite(s)), np.flatnonzero(np.isinf(s))
    groups = []
    if len(flat):
        groups.append(Group("flat", PriorSpec.of("Flat"), tuple(flat.tolist())))
    if len(known):
        groups.append(Group("normal", normal(m[known], s[known]), tuple(known.tolist())))
    schema = Schema.of(X)
    return Equation(
        "y",
        tuple(range(X.shape[1])),
        schema.names,
        TreatmentCoding(schema),
        EquationPriors(tuple(groups), intercept, {}),
        np.zeros(X.shape[1]) if center is None else center,
    )


def truth(X, y, m, s, log_prior, grid):
    """The posterior on a grid of log sigma: y ~ N(X theta, sigma^2 I), theta ~ N(m, diag(s^2)).

    The likelihood of sigma is that of y in n dimensions, for flat coefficients (infinite s) its
    restricted form (Harville 1974); given sigma, theta is Gaussian by normal equations. Returned
    are the grid's weights, and mean and covariance of theta at each of its points.
    """
    flat = np.isinf(s)
    variance = np.where(flat, 0.0, np.square(s))
    precision = np.diag(np.where(flat, 0.0, 1 / np.square(s)))
    sigma2 = np.exp(2 * grid)[:, None, None]
    cov = sigma2 * np.eye(len(y)) + (X * variance) @ X.T
    left = y - X @ np.where(flat, 0.0, m)
    solved = np.linalg.solve(cov, left[None, :, None])[:, :, 0]
    log = -0.5 * np.linalg.slogdet(cov)[1] - 0.5 * solved @ left
    if flat.any():
        information = X[:, flat].T @ np.linalg.solve(cov, X[:, flat])
        score = solved @ X[:, flat]
        log += 0.5 * (score * np.linalg.solve(information, score[:, :, None])[:, :, 0]).sum(axis=1)
        log -= 0.5 * np.linalg.slogdet(information)[1]
    log += log_prior(np.exp(grid)) + grid
    weights = np.exp(log - log.max())
    cov = np.linalg.inv(X.T @ X / sigma2 + precision)
    at = X.T @ y / sigma2[:, 0] + precision @ np.where(flat, 0.0, m)
    return weights / weights.sum(), (cov @ at[:, :, None])[:, :, 0], cov


def assert_posterior(draws, X, y, m, s, log_prior, grid):
    """Sigma's distribution, and all first and second moments of theta, are the truth's."""
    weights, mean, cov = truth(X, y, np.asarray(m, float), np.asarray(s, float), log_prior, grid)
    t = np.log(draws["sigma"])
    cdf = np.cumsum(weights) - 0.5 * weights
    assert st.kstest(t, lambda at: np.interp(at, grid, cdf)).pvalue > 1e-5
    theta = draws["beta"]
    if "intercept" in draws:
        theta = np.column_stack([theta, draws["intercept"]])
    center = weights @ mean
    assert_mean(theta, center)
    apart = mean - center
    second = np.einsum("g,gij->ij", weights, cov + apart[:, :, None] * apart[:, None, :])
    for offset in (-1.5, 0.2, 1.5):  # shares, which heavy tails do not hide in
        points = center + offset * np.sqrt(np.diag(second))
        below = weights @ st.norm.cdf(
            (points - mean) / np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        )
        z = (np.mean(theta < points, axis=0) - below) / np.sqrt(below * (1 - below) / len(theta))
        assert np.all(np.abs(z) < N_STANDARD_ERRORS), z
    gap = theta - center
    assert_mean((gap[:, :, None] * gap[:, None, :]).reshape(len(gap), -1), second.ravel())
    assert_mean(
        gap * (t - weights @ grid)[:, None], weights @ ((grid - weights @ grid)[:, None] * apart)
    )


def flat_sigma(sigma):
    return np.zeros_like(sigma)


HALF_NORMAL = st.halfnorm(scale=2).logpdf
GRID = np.linspace(np.log(1e-2), np.log(20), 1200)
INF = np.inf


def rows(seed, n, p, at=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + at
    return X, X @ rng.normal(size=p) + 0.5 + rng.normal(size=n)


def repeated():
    X, y = rows(5, 9, 2)
    return np.column_stack([X, X[:, 0], np.full(9, 2.0)]), y


# Rows; means and deviations of the priors of the coefficients and, last, of the intercept.
CASES = {
    "more rows": (rows(0, 7, 3), [-0.5, 0.2, 1, 0.3], [0.3, 1, 2, 1.5]),
    "fewer rows": (rows(1, 4, 6), np.linspace(-0.5, 1, 7), np.linspace(0.3, 2, 7)),
    "as many rows": (rows(2, 4, 4), [0.1, 0.2, 0.3, 0.4, 0.5], [1, 2, 0.5, 0.7, 1]),
    "all flat": (rows(3, 8, 2, at=3.0), [0, 0, 0], [INF, INF, INF]),
    "flat beside normal": (rows(4, 6, 6, at=1.0), [0.5] * 6 + [0], [0.8, INF] + [0.8] * 4 + [INF]),
    "flat intercept": (rows(4, 6, 3, at=1.0), [0.5, 1, -1, 0], [0.8, 0.5, 2, INF]),
    "normal intercept": (rows(4, 7, 2, at=1.0), [0, 0, -1.0], [INF, INF, 0.5]),
    "repeated columns": (repeated(), [0, 0, 1, 0.3, 0], [1, 1, 0.5, 2, 1]),
}


@pytest.mark.parametrize("center", [False, True], ids=["at zero", "at means"])
@pytest.mark.parametrize("case", CASES)
def test_posterior(case, center):
    """The prior of the intercept holds at zero or at the means; draws are of that at the means."""
    (X, y), m, s = CASES[case]
    intercept = PriorSpec.of("Flat") if np.isinf(s[-1]) else normal(m[-1], s[-1])
    at = X.mean(axis=0) if center else np.zeros(X.shape[1])
    asked = equation(X, m[:-1], s[:-1], intercept, at)
    statistics = sufficient_statistics(X, y)
    refuse_improper(asked, statistics, HALF_NORMAL)
    draws = draw(asked, statistics, HALF_NORMAL, 1.3, N_DRAWS, np.random.default_rng(0))
    assert draws["beta"].shape == (N_DRAWS, X.shape[1])
    draws["intercept"] += draws["beta"] @ (at - X.mean(axis=0))
    assert_posterior(draws, np.column_stack([X - at, np.ones(len(y))]), y, m, s, HALF_NORMAL, GRID)


@pytest.mark.parametrize("s", [[1, 2, 0.5], [INF, 2, 0.5], [INF, INF, INF]])
def test_without_intercept(s):
    X, y = rows(6, 7, 3, at=1.0)
    m = [0.5, 0.1, -0.3]
    statistics = sufficient_statistics(X, y, intercept=False)
    asked = equation(X, m, s)
    draws = draw(asked, statistics, HALF_NORMAL, 1.3, N_DRAWS, np.random.default_rng(0))
    assert set(draws) == {"beta", "sigma"}
    assert_posterior(draws, X, y, m, s, HALF_NORMAL, GRID)


def test_intercept_alone():
    """No column: the mean of normal rows with a Normal prior."""
    y = np.array([0.3, 1.9, -0.2, 1.1])
    X = np.empty((4, 0))
    asked = equation(X, [], [], normal(0.5, 0.7))
    statistics = sufficient_statistics(X, y)
    draws = draw(asked, statistics, HALF_NORMAL, 1.3, N_DRAWS, np.random.default_rng(0))
    assert_posterior(draws, np.ones((4, 1)), y, [0.5], [0.7], HALF_NORMAL, GRID)


@pytest.mark.parametrize("s", [[0.8, 2, 1], [INF, 0.5, INF]])
def test_weights(s):
    """A weight of three is three rows."""
    X, y = rows(7, 5, 2, at=1.0)
    weights, m = np.array([1.0, 3, 2, 1, 2]), [0.5, -0.2, 0.1]
    intercept = PriorSpec.of("Flat") if np.isinf(s[-1]) else normal(m[-1], s[-1])
    asked = equation(X, m[:-1], s[:-1], intercept)
    statistics = sufficient_statistics(X, y, weights)
    draws = draw(asked, statistics, HALF_NORMAL, 1.3, N_DRAWS, np.random.default_rng(0))
    draws["intercept"] -= draws["beta"] @ statistics.x_mean
    X, y = (np.repeat(each, weights.astype(int), axis=0) for each in (X, y))
    assert_posterior(draws, np.column_stack([X, np.ones(9)]), y, m, s, HALF_NORMAL, GRID)


def test_units_of_flat_columns():
    """A column a million times as large has a coefficient a million times as small."""
    X, y = rows(8, 9, 2)
    units = np.array([1e6, 1e-6])
    statistics = (sufficient_statistics(X * scale, y) for scale in (1.0, units))
    here, there = (
        draw(
            equation(X, [0, 0], [INF, INF], PriorSpec.of("Flat")),
            each,
            HALF_NORMAL,
            1.3,
            50,
            np.random.default_rng(0),
        )
        for each in statistics
    )
    np.testing.assert_allclose(there["beta"] * units, here["beta"], rtol=1e-9)
    np.testing.assert_allclose(there["sigma"], here["sigma"], rtol=1e-9)


# --- Sigma ---------------------------------------------------------------------------------------


def sigmas(X, y, log_prior, likely, weights=None, n_draws=N_DRAWS):
    statistics = sufficient_statistics(X, y, weights)
    asked = equation(X, np.zeros(X.shape[1]), np.ones(X.shape[1]), normal(0, 1))
    return draw(asked, statistics, log_prior, likely, n_draws, np.random.default_rng(0))["sigma"]


@pytest.mark.parametrize(
    ("low", "high"), [(0.4, 1.3), (0.4, 100.0), (1e-9, 1.3), (0.7, 0.7 * (1 + 1e-9)), (5.0, 6.0)]
)
def test_prior_with_edges(low, high):
    """A uniform prior cuts the posterior off, exactly where it ends, however narrow it is."""
    X, y = rows(9, 8, 2)
    prior = st.uniform(low, high - low)
    found = sigmas(X, y, prior.logpdf, 0.5 * (low + high))
    assert low <= found.min() <= found.max() <= high
    grid = np.linspace(np.log(max(low, 1e-3)), np.log(min(high, 50.0)), 4000)
    full = np.column_stack([X, np.ones(8)])
    weights, _, _ = truth(full, y, np.zeros(3), np.ones(3), flat_sigma, grid)
    cdf = np.cumsum(weights) - 0.5 * weights
    assert st.kstest(np.log(found), lambda at: np.interp(at, grid, cdf)).pvalue > 1e-5


class Given:
    """A source of chosen probabilities, and of no noise."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def uniform(self, size):
        assert size == len(self.probabilities)
        return self.probabilities

    def standard_normal(self, size):
        return np.zeros(size)


@pytest.mark.parametrize(("low", "high"), [(0.0, INF), (0.4, 1.3), (0.9, 1.0), (1.2, INF)])
def test_quantiles_of_a_closed_form(low, high):
    """Flat coefficients, sigma uniform: rss / sigma^2 is chi-squared, cut off where sigma is.

    With p(sigma) = 1 it has n - k - 1 degrees of freedom.
    """
    X, y = rows(9, 8, 2)
    asked = equation(X, [0, 0], [INF, INF], PriorSpec.of("Flat"))
    probabilities = np.array([1e-4, 0.01, 0.2, 0.5, 0.7, 0.99, 0.9999])

    def log_prior(sigma):
        return np.where((low <= sigma) & (sigma <= high), 0.0, -INF)

    draws = draw(asked, sufficient_statistics(X, y), log_prior, 0.95, 7, Given(probabilities))
    theta, rss, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(8)]), y)
    chi2 = st.chi2(8 - 3 - 1)
    below, above = (chi2.sf(rss[0] / end**2) if end else 0.0 for end in (low, high))
    found = (chi2.sf(rss[0] / np.square(draws["sigma"])) - below) / (above - below)
    np.testing.assert_allclose(found, probabilities, atol=1e-5)
    np.testing.assert_allclose(draws["beta"], [theta[:2]] * 7)


@pytest.mark.parametrize(
    ("low", "high"), [(0.3, 0.7), (0.05, 0.95), (0.1, 0.9), (-1.0, 0.32), (0.78, 2.0), (-1.0, 2.0)]
)
def test_edges_of_a_support(low, high):
    """Found between the points of a grid; where the support is wider, the ends of the grid."""
    grid = np.linspace(0.0, 1.0, 11)

    def log_density(t):
        return np.where((low <= t) & (t <= high), 0.0, -np.inf)

    ends = edges(log_density, grid, log_density(grid))
    np.testing.assert_allclose(ends, (max(low, 0.0), min(high, 1.0)), rtol=1e-14)


@pytest.mark.parametrize("weight", [1e2, 1e6, 1e12])
def test_peak_of_any_width(weight):
    """With many rows sigma is known to sigma / sqrt(2 n), and Gaussian about least squares."""
    X, y = rows(10, 30, 2)
    found = sigmas(X, y, HALF_NORMAL, 1.3, np.full(30, weight))
    n = 30 * weight
    rss = np.linalg.lstsq(np.column_stack([X, np.ones(30)]), y)[1][0]
    z = (found / np.sqrt(rss / 30) - 1) * np.sqrt(2 * n)
    assert_mean(z, 0.0)
    assert_mean(np.square(z), 1.0)
    assert np.abs(z).max() < 6


@pytest.mark.parametrize("s", [[INF, INF, INF], [1.0, 2.0, 0.5], [INF, 1.0, 0.5]])
def test_scale_of_the_data_is_no_matter(s):
    """The grid starts from the data's own scale: 1e100 times y is 1e100 times sigma."""
    X, y = rows(11, 12, 2)

    def drawn(scale):
        s_scaled = scale * np.array(s)
        intercept = PriorSpec.of("Flat") if np.isinf(s[-1]) else normal(0, s_scaled[-1])
        asked = equation(X, [0, 0], s_scaled[:-1], intercept)
        statistics = sufficient_statistics(X, scale * y)
        rng = np.random.default_rng(0)
        return draw(asked, statistics, flat_sigma, scale, 50, rng)

    here = drawn(1.0)
    for scale in (1e-100, 1e100):
        there = drawn(scale)
        for name in ("sigma", "beta", "intercept"):
            np.testing.assert_allclose(there[name] / scale, here[name], rtol=1e-9)


# --- What has no posterior -----------------------------------------------------------------------


def verdicts(asked, statistics, log_prior):
    """What either function says of a posterior: the message, or None if it exists."""
    found = []
    for ask in (
        lambda: refuse_improper(asked, statistics, log_prior),
        lambda: draw(asked, statistics, log_prior, 1.0, 10, np.random.default_rng(0)),
    ):
        try:
            ask()
            found.append(None)
        except UndeterminedError as error:
            found.append(str(error))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("n_flat", "spare"),
    [(k, spare) for k in (0, 1, 2) for spare in (0, 1, 2, 3) if k + spare],
)
def test_flat_sigma_needs_two_rows_more_than_flat_coefficients(n_flat, spare):
    """As sigma grows p(sigma | y) ~ sigma^-(n - k), k of them flat: n - k = 1 has no integral."""
    X, y = rows(12, n_flat + spare, 2)
    s = np.where(np.arange(2) < n_flat, INF, 1.0)
    asked = equation(X, np.zeros(2), s)
    said = verdicts(asked, sufficient_statistics(X, y, intercept=False), flat_sigma)
    if spare < 2:
        assert said is not None
        assert "too flat for so few rows" in said
    else:
        assert said is None


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_constant_outcome_needs_a_prior_that_vanishes_at_zero(spare):
    """As sigma goes to 0, p(sigma | y) ~ sigma^-(n - r), r directions that coefficients reach."""
    X, _ = rows(13, 3 + spare, 2)
    statistics = sufficient_statistics(X, np.full(3 + spare, 2.0))
    asked = equation(X, [0, 0], [1, 1], normal(0, 1))
    said = verdicts(asked, statistics, HALF_NORMAL)
    if spare:
        assert said is not None
        assert said.startswith("y is constant, and its prior lets sigma go to 0")
    else:
        assert said is None
    assert verdicts(asked, statistics, st.invgamma(3 + spare, scale=1).logpdf) is None


def test_prior_that_does_not_vanish_at_zero():
    """Fewer rows than columns leave no residual: with p(sigma) = 1 / sigma, sigma may be 0."""
    X, y = rows(14, 3, 5)
    asked = equation(X, np.zeros(5), np.ones(5), normal(0, 1))
    with pytest.raises(UndeterminedError, match=r"^the prior lets sigma go to 0.*InverseGamma"):
        draw(
            asked,
            sufficient_statistics(X, y),
            lambda sigma: -np.log(sigma),
            1.0,
            10,
            np.random.default_rng(0),
        )


def test_prior_of_sigma_may_be_unknown():
    """Where sigma's prior is not known in closed form, the coefficients are looked at alone."""
    X, y = rows(15, 3, 3)
    statistics = sufficient_statistics(X, y)
    refuse_improper(equation(X, np.zeros(3), np.ones(3), normal(0, 1)), statistics, None)
    with pytest.raises(UndeterminedError, match="'x0', 'x1', 'x2'"):
        refuse_improper(equation(X, np.zeros(3), np.full(3, INF)), statistics, None)


def test_prior_of_sigma_that_excludes_the_data():
    X, y = rows(16, 9, 2)
    with pytest.raises(ValueError, match="excludes every value that the data allow"):
        sigmas(X, y, st.uniform(1e40, 1e40).logpdf, 1.5e40)


@pytest.mark.parametrize("apart", [0.0, 1e-14, 2e-13])
def test_flat_columns_that_repeat_each_other(apart):
    """To rounding, in any units; and what is told apart by 1e-6 of itself is told apart."""
    X, y = rows(17, 40, 2)
    noise = np.random.default_rng(0).normal(size=40)
    s, intercept = np.full(3, INF), PriorSpec.of("Flat")
    for units in (1.0, np.array([1e-8, 1.0, 1e8])):
        almost = np.column_stack([X, X[:, 0] + apart * noise]) * units
        said = verdicts(
            equation(almost, np.zeros(3), s, intercept),
            sufficient_statistics(almost, y),
            HALF_NORMAL,
        )
        assert said is not None
        assert "the coefficients of 'intercept', 'x0', 'x1', 'x2', whose priors are Flat" in said
        close = np.column_stack([X, X[:, 0] + 1e-6 * noise]) * units
        asked = equation(close, np.zeros(3), s, intercept)
        assert verdicts(asked, sufficient_statistics(close, y), HALF_NORMAL) is None


@pytest.mark.parametrize("intercept", [PriorSpec.of("Flat"), normal(0, 1)])
def test_flat_column_that_is_constant(intercept):
    """What is centred away is no column: nothing determines its coefficient."""
    X, y = rows(18, 9, 2)
    X[:, 1] = 2.0
    asked = equation(X, [0, 0], [1.0, INF], intercept, X.mean(axis=0))
    said = verdicts(asked, sufficient_statistics(X, y), HALF_NORMAL)
    assert said is not None
    assert "'x1', whose priors are Flat" in said
