"""Adaptive importance sampling: against targets whose moments and quantiles are known."""

import numpy as np
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS

from interventional.inference.importance import Sampled, effective_size, sample, smoothed


def rotation(d):
    return np.linalg.qr(np.random.default_rng(d).normal(size=(d, d)))[0]


def assert_marginals(sampled, distributions, transform=lambda x: x):
    """Shares below known quantiles are what they should be, to standard errors."""
    x = transform(sampled.draws)
    n = 1 / (1 / sampled.effective_size + 1 / len(x))  # weights, then draws by them
    for column, distribution in zip(x.T, distributions, strict=True):
        for p in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98):
            share = (column <= distribution.ppf(p)).mean()
            assert abs(share - p) < N_STANDARD_ERRORS * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("d", [1, 2, 5, 10, 14])
def test_a_correlated_normal(d):
    """From a mode and a covariance that are off."""
    axes = rotation(d) * np.geomspace(0.1, 3, d)
    covariance = axes @ axes.T
    target = st.multivariate_normal(np.arange(d), covariance)
    start = np.arange(d) + 0.3 * np.sqrt(np.diag(covariance))
    rng = np.random.default_rng(0)
    log_density = lambda x: target.logpdf(x).reshape(len(x))  # noqa: E731
    sampled = sample(log_density, start, 2 * covariance, 4000, rng)
    assert sampled.trouble is None
    assert sampled.draws.shape == (4000, d)
    assert sampled.effective_size > 2000
    sds = np.sqrt(np.diag(covariance))
    assert_marginals(sampled, [st.norm(k, sds[k]) for k in range(d)])


# Densities of logs, which are skewed: what is exponential, and scales with a long left tail.
SKEWED = {
    "exponential": st.expon(),
    "half t": st.foldcauchy(0),
    "half normal": st.halfnorm(),
    "nearly zero": st.gamma(0.3),
}


@pytest.mark.parametrize("d", [1, 2, 5, 10])
@pytest.mark.parametrize("name", SKEWED)
def test_logs_of_scales(name, d):
    each = SKEWED[name]

    def log_density(x):
        return (each.logpdf(np.exp(x)) + x).sum(axis=1)

    sampled = sample(log_density, np.zeros(d), np.eye(d), 4000, np.random.default_rng(1))
    assert sampled.trouble is None
    assert_marginals(sampled, [each] * d, np.exp)


def test_a_bent_ridge():
    """x is normal, and y normal about its square."""

    def log_density(x):
        return st.norm.logpdf(x[:, 0]) + st.norm.logpdf(x[:, 1], 0.5 * np.square(x[:, 0]), 0.5)

    sampled = sample(log_density, np.zeros(2), np.eye(2), 4000, np.random.default_rng(2))
    assert sampled.trouble is None
    left = sampled.draws[:, 1] - 0.5 * np.square(sampled.draws[:, 0])
    bent = np.stack([sampled.draws[:, 0], left], axis=1)
    whole = Sampled(bent, sampled.effective_size, sampled.k_hat, sampled.largest_weight)
    assert_marginals(whole, [st.norm(), st.norm(0, 0.5)])


def test_an_edge():
    """No draw is where there is no density, and what is not a number is none."""

    def log_density(x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(1 - x[:, 0]) + np.where(x[:, 0] > 0, 0.0, -np.inf)

    start = np.array([0.01])
    sampled = sample(log_density, start, np.eye(1), 4000, np.random.default_rng(3))
    assert_marginals(sampled, [st.beta(1, 2)])
    assert (sampled.draws > 0).all()
    assert (sampled.draws < 1).all()


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("distance", [3.0, 5.0, 8.0])
def test_two_modes_are_both_found_or_trouble(distance, d):
    """The search began at one of them; half of the mass is about the other."""

    def log_density(x):
        parts = [st.norm.logpdf(x, at).sum(axis=1) for at in (0, distance / np.sqrt(d))]
        return np.logaddexp(*parts)

    sampled = sample(log_density, np.zeros(d), np.eye(d), 4000, np.random.default_rng(d))
    n = 1 / (1 / sampled.effective_size + 1 / 4000)
    share = (sampled.draws.sum(axis=1) > distance * np.sqrt(d) / 2).mean()
    right = abs(share - 0.5) < N_STANDARD_ERRORS * 0.5 / np.sqrt(n)
    assert right or sampled.trouble is not None


def test_a_funnel_is_trouble():
    """Neal's: the scale of nine coordinates runs over orders of magnitude."""

    def log_density(x):
        nine = st.norm.logpdf(x[:, 1:], 0, np.exp(x[:, :1] / 2)).sum(axis=1)
        return st.norm.logpdf(x[:, 0], 0, 3) + nine

    found = sample(log_density, np.zeros(10), np.eye(10), 1000, np.random.default_rng(0))
    assert found.k_hat > 0.7
    assert found.trouble is not None
    assert found.trouble.startswith("Pareto k of the importance weights ")
    assert f"effective sample size {found.effective_size:.0f} (should be 400)" in found.trouble


def test_trouble_is_a_large_k_and_what_it_does():
    """A k of 1.4 at an effective size of 3,300 has cried wolf."""
    draws = np.zeros((1, 1))
    assert Sampled(draws, 3300.0, 1.4, 0.001).trouble is None
    assert Sampled(draws, 300.0, 0.6, 0.05).trouble is None
    assert "0.90" in Sampled(draws, 3300.0, 0.9, 0.02).trouble
    assert "399" in Sampled(draws, 399.0, 0.9, 0.005).trouble


def test_the_same_seed_gives_the_same_draws():
    def log_density(x):
        return st.norm.logpdf(x[:, 0], 2, 3)

    one, same, other = (
        sample(log_density, np.zeros(1), np.eye(1), 500, np.random.default_rng(seed)).draws
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_order_in_draws():
    """Chains that they are cut into have the same mean."""

    def log_density(x):
        return st.norm.logpdf(x[:, 0])

    draws = sample(log_density, np.zeros(1), np.eye(1), 4000, np.random.default_rng(5)).draws
    assert abs(np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]) < N_STANDARD_ERRORS / np.sqrt(4000)


def test_no_density_at_all_is_refused():
    with pytest.raises(ValueError, match="zero at every point"):
        sample(lambda x: np.full(len(x), -np.inf), np.zeros(1), np.eye(1), 10, rng=rng_of(0))


def rng_of(seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.5, 0.9])
def test_weights_are_smoothed_as_by_arviz(k):
    from arviz_stats.base import array_stats

    weights = st.genpareto(k).rvs(5000, random_state=1) + 0.1
    ours, k_hat = smoothed(np.log(weights))
    theirs, their_k = array_stats.psislw(-np.log(weights))
    assert k_hat == pytest.approx(float(their_k), abs=0.02)
    ours = np.exp(ours) / np.exp(ours).sum()
    theirs = np.exp(theirs) / np.exp(theirs).sum()
    np.testing.assert_allclose(ours, theirs, rtol=0.05, atol=1e-6)


def test_weights_that_are_zero_or_all_the_same():
    log_weights = np.append(np.full(50, -np.inf), np.zeros(950))
    found, k_hat = smoothed(log_weights)
    assert k_hat < 0.7
    np.testing.assert_array_equal(found, log_weights)
    assert effective_size(log_weights) == pytest.approx(950)
    few = np.append(np.full(990, -np.inf), np.zeros(10))
    assert smoothed(few)[1] == np.inf


def test_effective_size_is_kishs():
    weights = np.array([1.0, 2.0, 3.0])
    assert effective_size(np.log(weights)) == pytest.approx(36 / 14)
