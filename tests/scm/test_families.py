"""Each family against PyMC, SciPy and arithmetic; and what its default priors say before data."""

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from conftest import N_STANDARD_ERRORS, assert_mean, family_wise
from scipy import stats
from scipy.special import expit, logsumexp, softmax

from interventional import BayesianInterventionRegressor
from interventional.data.schema import Schema
from interventional.scm import predictive
from interventional.scm.compiling import python_mode
from interventional.scm.draft import draft
from interventional.scm.families import FAMILIES, check_name
from interventional.scm.predictive import Predictive
from interventional.scm.specification import specify

# Where the sampled variance is to have a variance, nu must be above 4.
DISPERSION = {
    "gaussian": {"sigma": 0.7},
    "student_t": {"nu": 9.0, "sigma": 1.3},
    "lognormal": {"sigma": 0.4},
    "gamma": {"alpha": 1.7},
    "poisson": {},
    "negative_binomial": {"alpha": 2.3},
    "bernoulli": {},
    "beta": {"phi": 4.0},
}
# Columns of levels, of which an outcome is none, have tests of their own.
NUMBERS = [record for record in FAMILIES.values() if not record.of_levels]
every_family = pytest.mark.parametrize("record", NUMBERS, ids=lambda record: record.name)


def of_families(*names):
    return pytest.mark.parametrize("record", [FAMILIES[name] for name in names], ids=names)


def distribution(family, eta, d):
    """SciPy's distribution of an outcome, in SciPy's own parameters."""
    match family:
        case "gaussian":
            return stats.norm(eta, d["sigma"])
        case "student_t":
            return stats.t(d["nu"], eta, d["sigma"])
        case "lognormal":
            return stats.lognorm(d["sigma"], scale=np.exp(eta))
        case "gamma":
            return stats.gamma(d["alpha"], scale=np.exp(eta) / d["alpha"])
        case "poisson":
            return stats.poisson(np.exp(eta))
        case "negative_binomial":
            return stats.nbinom(d["alpha"], d["alpha"] / (d["alpha"] + np.exp(eta)))
        case "bernoulli":
            return stats.bernoulli(expit(eta))
        case "beta":
            return stats.beta(expit(eta) * d["phi"], expit(-eta) * d["phi"])


def log_density(known, y):
    """Log density or probability by SciPy."""
    return known.logpmf(y) if is_discrete(known) else known.logpdf(y)


def is_discrete(known):
    return isinstance(known.dist, stats.rv_discrete)


def ranks(known, y, rng):
    """Where outcomes stand in their distributions: uniform if these are right.

    Of counts any point of the step at y, at random (Smith 1985).
    """
    if not is_discrete(known):
        return known.cdf(y)
    below = known.cdf(y - 1)
    return below + rng.uniform(size=np.shape(y)) * known.pmf(y)


def assert_uniform(u):
    """All is uniform on (0, 1), by Kolmogorov and Smirnov."""
    assert stats.kstest(np.ravel(u), "uniform").pvalue > 1e-4


def varied(record, rng, n, spread=0.2):
    """Other parameters that differ by draw, (n, 1) each."""
    return {
        name: value * np.exp(spread * rng.standard_normal((n, 1)))
        for name, value in DISPERSION[record.name].items()
    }


# ---------------------------------------------------------------------------------------------
# The distributions
# ---------------------------------------------------------------------------------------------


def test_these_are_all_families():
    assert {*DISPERSION, "categorical"} == set(FAMILIES)
    for name, record in FAMILIES.items():
        assert record.name == name
        assert set(record.dispersion) == set(DISPERSION.get(name, {}))


@every_family
def test_log_density_is_that_of_pymc_and_scipy(record):
    rng = np.random.default_rng(0)
    d = varied(record, rng, 40)
    eta = rng.uniform(-2, 2, size=(40, 5))
    known = distribution(record.name, eta, d)
    y = known.rvs(size=eta.shape, random_state=rng)
    found = record.log_density(y, eta, record.link.inverse(eta), d)
    np.testing.assert_allclose(found, log_density(known, y), rtol=1e-9, atol=1e-11)
    by_pymc = record.log_density_tensor(y, pt.as_tensor(eta), d).eval(mode=python_mode())
    np.testing.assert_allclose(by_pymc, found, rtol=1e-9, atol=1e-11)


@every_family
def test_node_of_a_pymc_model(record):
    """Its log density in a model, and its draws."""
    rng = np.random.default_rng(1)
    d, eta = DISPERSION[record.name], rng.uniform(-1, 1, size=4000)
    known = distribution(record.name, eta, d)
    tensors = {name: pt.as_tensor(value, dtype="float64") for name, value in d.items()}
    with pm.Model(coords={"obs": range(len(eta))}) as model:
        node = record.variable("y", pt.as_tensor(eta), tensors, dims="obs")
    assert model.named_vars_to_dims["y"] == ("obs",)
    y = pm.draw(node, random_seed=2, mode=python_mode())
    assert record.discrete == (node.dtype == "int64")
    assert_uniform(ranks(known, y, rng))
    found = pm.logp(node, y).eval(mode=python_mode())
    np.testing.assert_allclose(found, log_density(known, y), rtol=1e-9, atol=1e-11)


@every_family
def test_mean_and_variance_are_those_of_scipy(record):
    rng = np.random.default_rng(2)
    d = varied(record, rng, 30)
    eta = rng.uniform(-3, 3, size=(30, 4))
    known = distribution(record.name, eta, d)
    mean = record.mean(eta, d)
    np.testing.assert_allclose(mean, np.broadcast_to(known.mean(), eta.shape), rtol=1e-9)
    np.testing.assert_allclose(
        record.variance(mean, d), np.broadcast_to(known.var(), eta.shape), rtol=1e-9
    )
    tensor = record.mean_tensor(pt.as_tensor(eta), d).eval(mode=python_mode())
    np.testing.assert_allclose(tensor, mean, rtol=1e-12)


class TestColumnsOfLevels:
    """Softmax of what each level but the first has against it; of two levels the logistic."""

    record = FAMILIES["categorical"]

    def eta(self, levels, n=4000):
        eta = np.random.default_rng(5).uniform(-2, 2, size=(n, levels - 1))
        return (eta[:, 0] if levels == 2 else eta), softmax(np.c_[np.zeros(n), eta], axis=1)

    @pytest.mark.parametrize("levels", [2, 3, 5])
    def test_probabilities_and_log_density(self, levels):
        eta, p = self.eta(levels)
        tensor = pt.as_tensor(eta)
        mean = self.record.mean_tensor(tensor, {}).eval(mode=python_mode())
        np.testing.assert_allclose(mean, p[:, 1] if levels == 2 else p, rtol=1e-12)
        y = np.random.default_rng(6).integers(levels, size=len(p))
        expected = np.log(p[np.arange(len(p)), y])
        found = self.record.log_density_tensor(y, tensor, {}).eval(mode=python_mode())
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        with pm.Model(coords={"obs": range(len(p))}):
            node = self.record.variable("m", tensor, {}, dims="obs")
        by_pymc = pm.logp(node, y).eval(mode=python_mode())
        np.testing.assert_allclose(by_pymc, expected, rtol=1e-9)

    @pytest.mark.parametrize("add", ["variable", "drawn"])
    @pytest.mark.parametrize("levels", [2, 3, 5])
    def test_draws_have_the_probabilities(self, levels, add):
        eta, p = self.eta(levels)
        with pm.Model(coords={"obs": range(len(p)), "m_level": range(levels)}) as model:
            node = getattr(self.record, add)("m", pt.as_tensor(eta), {}, dims="obs")
        assert model.named_vars_to_dims["m"] == ("obs",)
        y = pm.draw(node, random_seed=7, mode=python_mode())
        for level in range(levels):
            assert_mean((y == level) - p[:, level], 0.0)

    def test_what_default_priors_are_scaled_by(self):
        """Even odds, and what one row tells of them: 2 is one over the root of 1/4."""
        assert self.record.typical(np.array([0.0, 2.0, 2.0]), None, None) == 0.0
        assert self.record.pseudo_sigma(0.0) == 2.0
        assert self.record.link.unit == 1.5

    def test_what_it_takes_and_has_not(self):
        assert self.record.takes(np.arange(5.0)).all()
        assert not self.record.takes(np.array([0.5, -1.0])).any()
        assert self.record.discrete
        assert self.record.noise is self.record.inner is None
        assert self.record.codes("pqr") == range(3)
        assert FAMILIES["bernoulli"].codes(()) == range(2)
        assert FAMILIES["poisson"].codes(()) == range(0)


@pytest.mark.parametrize("sigma", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("nu", [0.5, 1.0, 2.0])
def test_student_t_of_few_degrees_of_freedom_has_no_variance(nu, sigma):
    d = {"nu": np.array([[nu], [3.0]]), "sigma": np.array([[sigma], [sigma]])}
    variance = FAMILIES["student_t"].variance(np.zeros((2, 3)), d)
    np.testing.assert_array_equal(variance[0], np.inf)
    np.testing.assert_allclose(variance[1], 3 * sigma**2)


@every_family
def test_samples_have_the_moments_of_the_family(record):
    n = 50_000
    d = DISPERSION[record.name]
    eta = np.tile([-1.5, 0.2, 1.0], (n, 1))
    y = record.sample(np.random.default_rng(3), eta, record.link.inverse(eta), d)
    known = distribution(record.name, eta[0], d)
    assert y.shape == eta.shape
    assert record.takes(y).all()
    limit = family_wise(6 * len(NUMBERS))
    mean, std = known.mean(), known.std()
    assert np.all(np.abs(y.mean(axis=0) - mean) < limit * std / np.sqrt(n))
    squares = (y - mean) ** 2
    error = squares.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(squares.mean(axis=0) - std**2) < limit * error)


@every_family
def test_samples_follow_parameters_that_differ_by_draw(record):
    rng = np.random.default_rng(4)
    d = varied(record, rng, 2000, spread=1.0)
    eta = rng.uniform(-2, 2, size=(2000, 3))
    y = record.sample(rng, eta, record.link.inverse(eta), d)
    u = ranks(distribution(record.name, eta, d), y, rng)
    assert_uniform(u)
    # the noise of rows and draws is independent
    assert abs(np.corrcoef(u[:, 0], u[:, 1])[0, 1]) < N_STANDARD_ERRORS / np.sqrt(2000)
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < N_STANDARD_ERRORS / np.sqrt(2000)


@every_family
def test_samples_depend_on_the_generator_alone(record):
    eta = np.linspace(-1, 1, 60).reshape(20, 3)

    def sample(seed):
        rng = np.random.default_rng(seed)
        return record.sample(rng, eta, record.link.inverse(eta), DISPERSION[record.name])

    np.testing.assert_array_equal(sample(5), sample(5))
    assert (sample(5) != sample(6)).any()


# ---------------------------------------------------------------------------------------------
# Links, and linear predictors far out
# ---------------------------------------------------------------------------------------------


@every_family
def test_the_link_and_its_inverse_undo_each_other(record):
    link = record.link
    mean = {
        "identity": np.array([-1e6, 0.0, 3.0]),
        "log": np.geomspace(1e-300, 1e300, 41),
        "logit": np.array([1e-300, 1e-9, 0.2, 0.5, 0.8, 1 - 1e-9]),
    }[link.name]
    np.testing.assert_allclose(link.inverse(link.forward(mean)), mean, rtol=1e-12)
    eta = np.linspace(-600, 10, 62)
    np.testing.assert_allclose(link.forward(link.inverse(eta)), eta, rtol=1e-9, atol=1e-9)
    assert np.all(np.diff(link.inverse(eta)) > 0)


FAR = np.array([-40.0, 40.0])
VALUES = {
    "numbers": [-1e3, 0.0, 2.5],
    "positive numbers": [1e-6, 1.0, 1e3],
    "counts: whole numbers from 0 on": [0.0, 1.0, 400.0],
    "0 and 1": [0.0, 1.0],
    "numbers between 0 and 1, neither of them included": [1e-12, 0.5, 1 - 1e-12],
}


@every_family
def test_log_density_is_finite_far_out(record):
    """And still that of SciPy, where SciPy can say."""
    d = DISPERSION[record.name]
    y = np.array(VALUES[record.support])[:, None]
    mu = record.link.inverse(FAR)
    found = record.log_density(y, FAR, mu, d)
    assert np.isfinite(found).all()
    with np.errstate(all="ignore"):
        known = log_density(distribution(record.name, FAR, d), y)
    known = np.where(np.isfinite(known), known, found)
    np.testing.assert_allclose(found, known, rtol=1e-8, atol=1e-15)


def test_log_probability_of_a_surprise_is_the_linear_predictor():
    """log(1 - expit(eta)) is about -eta, however near the probability is to one."""
    record, eta = FAMILIES["bernoulli"], np.array([40.0, 800.0])
    found = record.log_density(np.zeros(2), eta, record.link.inverse(eta), {})
    np.testing.assert_allclose(found, -eta, rtol=1e-12)


@every_family
@pytest.mark.parametrize("factor", [0.001, 0.01, 1.0, 100.0])
def test_samples_far_out_are_in_the_support(record, factor):
    """Also where nearly all of a distribution is nearer to its bounds than numbers can tell."""
    d = {name: factor * value for name, value in DISPERSION[record.name].items()}
    if "nu" in d:  # nearer to 0 outcomes overflow
        d["nu"] = max(d["nu"], 0.5)
    eta = np.tile([*FAR, -6.0, 6.0], (2000, 1))
    y = record.sample(np.random.default_rng(7), eta, record.link.inverse(eta), d)
    assert np.isfinite(y).all()
    taken = record.takes(y)
    if record.discrete:  # of larger counts, which have no neighbours, no data are taken
        taken |= (y > 2.0**53) & (y == np.floor(y))
    assert taken.all()


@of_families("poisson", "negative_binomial")
def test_counts_beyond_all_integers(record):
    """Where noise is nothing beside the rate, and NumPy draws no counts."""
    d = {name: 1e12 for name in DISPERSION[record.name]}
    eta = np.full(100, 60.0)
    y = record.sample(np.random.default_rng(8), eta, record.link.inverse(eta), d)
    np.testing.assert_allclose(y, np.exp(60.0), rtol=1e-5)


# ---------------------------------------------------------------------------------------------
# What priors are centred and scaled by
# ---------------------------------------------------------------------------------------------


COUNTS, POSITIVE = np.array([0.0, 3.0, 1.0, 7.0]), np.array([0.2, 3.0, 1.0, 8.0])
OUTCOMES = {
    "student_t": POSITIVE - 2.0,
    "gamma": POSITIVE,
    "poisson": COUNTS,
    "negative_binomial": COUNTS,
    "bernoulli": np.array([0.0, 1.0, 1.0, 1.0]),
    "beta": np.array([0.1, 0.5, 0.7, 0.2]),
}
CENTRES = {
    "student_t": 12.2 / 4 - 2.0,
    "gamma": np.log(12.2 / 4),
    "poisson": np.log(11.5 / 4),
    "negative_binomial": np.log(11.5 / 4),
    "bernoulli": np.log(3.5 / 1.5),
    "beta": np.log(1.5 / 2.5),
}
with_centre = of_families(*CENTRES)


@with_centre
def test_typical_is_the_link_of_the_average(record):
    found = record.typical(OUTCOMES[record.name], None, None)
    assert found == pytest.approx(CENTRES[record.name], rel=1e-12)


@with_centre
def test_typical_of_weights_is_that_of_rows_repeated(record):
    y, weights = OUTCOMES[record.name], np.array([1, 4, 2, 3])
    exposure = np.array([0.5, 2.0, 1.0, 3.0]) if record.may_count_exposure else None
    long = None if exposure is None else np.repeat(exposure, weights)
    assert record.typical(y, weights.astype(float), exposure) == pytest.approx(
        record.typical(np.repeat(y, weights), None, long), rel=1e-12
    )


@of_families("poisson", "negative_binomial")
def test_typical_count_is_a_rate(record):
    """Of half an event more than there were, over the whole exposure."""
    y, exposure = OUTCOMES[record.name], np.array([0.5, 2.0, 1.0, 3.0])
    assert record.typical(y, None, exposure) == pytest.approx(np.log(11.5 / 6.5), rel=1e-12)


def test_who_may_count_exposure():
    assert [n for n, record in FAMILIES.items() if record.may_count_exposure] == [
        "poisson",
        "negative_binomial",
    ]


@of_families("poisson", "negative_binomial", "bernoulli")
def test_typical_is_finite_where_nothing_happened(record):
    nothing, all_of_them = (record.typical(np.full(50, v), None, None) for v in (0.0, 1.0))
    assert np.isfinite([nothing, all_of_them]).all()
    assert record.link.inverse(np.array(nothing)) == pytest.approx(0.01, rel=0.02)
    if record.name == "bernoulli":
        assert all_of_them == pytest.approx(-nothing)


def information(record, eta, d):
    """Fisher's information of one outcome on eta: the mean square of the score, by differences."""
    known = distribution(record.name, eta, d)
    if is_discrete(known):
        y = np.arange(known.ppf(1 - 1e-12) + 1)
        weight = known.pmf(y)
    else:
        y = known.ppf((np.arange(10_000) + 0.5) / 10_000)
        weight = np.full(len(y), 1e-4)
    h = 1e-4

    def at(moved):
        return record.log_density(y, np.array(moved), record.link.inverse(np.array(moved)), d)

    score = (at(eta + h) - at(eta - h)) / (2 * h)
    return float(score**2 @ weight)


@of_families("gamma", "poisson", "negative_binomial", "bernoulli", "beta")
@pytest.mark.parametrize("eta", [-2.0, 0.0, 1.0])
def test_pseudo_sigma_is_what_one_row_tells(record, eta):
    """The inverse root of Fisher's information, for families that are linear-exponential.

    A beta outcome tells more than its mean does: by Cramér and Rao it is an upper bound there.
    """
    d = {name: np.exp(numbers["mu"]) for name, (_, numbers) in record.dispersion.items()}
    bound = information(record, eta, d) ** -0.5
    found = record.pseudo_sigma(eta)
    if record.name != "beta":
        assert found == pytest.approx(bound, rel=2e-3)
    else:
        assert bound < found < (1.01 if eta == 0 else 1.5) * bound


# ---------------------------------------------------------------------------------------------
# Names and supports
# ---------------------------------------------------------------------------------------------

STRAYS = {
    "lognormal": ([1.0, 0.0], "positive numbers; y holds 0 in row 1"),
    "gamma": ([1.0, 2.0, -3.5], "positive numbers; y holds -3.5 in row 2"),
    "poisson": ([2.0, 1.5], r"whole numbers from 0 on; y holds 1.5 in row 1"),
    "negative_binomial": ([-1.0, 1.0], r"whole numbers from 0 on; y holds -1 in row 0"),
    "bernoulli": ([0.0, 1.0, 2.0], "0 and 1; y holds 2 in row 2, of 3 distinct values"),
    "beta": ([0.5, 1.0], "neither of them included; y holds 1 in row 1"),
}


@every_family
def test_values_outside_the_support_are_named(record):
    allowed = np.array(VALUES[record.support])
    record.check(allowed, "y")
    assert record.takes(allowed).all()
    if record.support == "numbers":
        assert record.name not in STRAYS
        return
    strays, message = STRAYS[record.name]
    with pytest.raises(ValueError, match=rf"family='{record.name}' takes .*{message}"):
        record.check(np.array(strays), "y")


def test_names_of_families():
    for name in FAMILIES:
        check_name(name, "y")
    with pytest.raises(ValueError, match="did you mean 'poisson'"):
        check_name("poison", "y")
    with pytest.raises(ValueError, match=r"'binomial' of 'm'.*sample_weight m - k"):
        check_name("binomial", "m")
    with pytest.raises(TypeError, match=r"family of 'y' must be one of gaussian, .*categorical"):
        check_name(3, "y")


# ---------------------------------------------------------------------------------------------
# Default priors before data: three standardised predictors
# ---------------------------------------------------------------------------------------------


def prior_predictive(family, *names, n_draws=400, y=None, unit=1.0):
    """Draws of nodes of the textbook model, (n_draws, ...), from its priors."""
    X = np.random.default_rng(9).standard_normal((50, 3))
    X = unit * (X - X.mean(axis=0)) / X.std(axis=0)
    model = BayesianInterventionRegressor(family=family).build_model(pd.DataFrame(X), y)
    found = pm.draw([model[name] for name in names], n_draws, random_seed=10, mode=python_mode())
    return dict(zip(names, found, strict=True))


def test_prior_probabilities_are_not_all_or_nothing():
    p = prior_predictive("bernoulli", "y_mu")["y_mu"]
    assert 0.1 < np.mean((p < 0.01) | (p > 0.99)) < 0.25
    assert 0.3 < np.mean((p > 0.1) & (p < 0.9)) < 0.6
    assert abs(np.median(p) - 0.5) < 0.15


def test_prior_proportions_are_not_all_or_nothing():
    found = prior_predictive("beta", "y_mu", "y_phi")
    p = found["y_mu"]
    assert 0.1 < np.mean((p < 0.01) | (p > 0.99)) < 0.25
    low, middle, high = np.quantile(found["y_phi"], [0.025, 0.5, 0.975])
    assert 0.2 < low < 0.8  # U-shaped
    assert 5 < middle < 10
    assert 70 < high < 300  # within 4% of the expected proportion, at one half


@pytest.mark.parametrize("family", ["gamma", "poisson", "negative_binomial"])
def test_prior_expectations_are_within_a_few_orders_of_magnitude(family):
    """The median near the centre, and 95% within a factor of 400 to each side.

    The log of the expected outcome is Normal with a standard deviation of (2.5² + 3)½ = 3.04.
    """
    mu = prior_predictive(family, "y_mu")["y_mu"]
    low, middle, high = np.quantile(mu, [0.025, 0.5, 0.975])
    assert 1 / 2 < middle < 2
    assert 1 / 1000 < low < 1 / 150
    assert 150 < high < 1000


@pytest.mark.parametrize("family", ["gamma", "negative_binomial"])
def test_prior_noise_of_positive_outcomes(family):
    """The coefficient of variation, Poisson noise aside, is from a tenth to three."""
    alpha = prior_predictive(family, "y_alpha", n_draws=2000)["y_alpha"]
    low, middle, high = np.quantile(alpha**-0.5, [0.025, 0.5, 0.975])
    assert 0.1 < low < 0.2
    assert 0.5 < middle < 0.7
    assert 2 < high < 3.5


def test_prior_of_degrees_of_freedom():
    """From nearly Cauchy to nearly Normal, mostly with a variance."""
    nu = prior_predictive("student_t", "y_nu", n_draws=2000)["y_nu"]
    assert 0.95 < np.mean(nu > 2) < 0.995
    assert 0.3 < np.mean(nu > 20) < 0.5
    assert_mean(nu, 20.0)


@pytest.mark.parametrize("family", ["gaussian", "student_t", "lognormal"])
def test_prior_of_an_outcome_of_unit_scale(family):
    """Linear predictor and noise are those of an outcome whose scale is one."""
    found = prior_predictive(family, "y_intercept", "y_beta", "y_sigma", "y", n_draws=600)
    assert_mean(found["y_intercept"], 0.0)
    assert_mean(found["y_intercept"] ** 2, 2.5**2)
    assert_mean(found["y_beta"] ** 2, 2.5**2)
    assert 0.6 < np.median(found["y_sigma"]) < 0.9
    y = np.log(found["y"]) if family == "lognormal" else found["y"]
    assert np.abs(np.median(y)) < 0.5
    assert 3 < np.quantile(y, 0.75) - np.quantile(y, 0.25) < 9


@pytest.mark.parametrize("family", ["gamma", "poisson", "negative_binomial"])
def test_priors_are_centred_by_data_and_know_units(family):
    """Outcomes in the thousands, predictors in units of 50: a factor of e for each deviation."""
    y = np.round(np.random.default_rng(11).gamma(4, 500.0, size=50)) + 1
    found = prior_predictive(family, "y_intercept", "y_beta", n_draws=600, y=y, unit=50.0)
    assert_mean(found["y_intercept"], np.log(y.mean()))
    assert_mean((found["y_intercept"] - np.log(y.mean())) ** 2, 2.5**2)
    assert_mean((50 * found["y_beta"]) ** 2, 1.0)


def test_prior_of_a_rare_event_is_centred_on_its_frequency():
    y = np.zeros(50)
    y[:2] = 1.0
    found = prior_predictive("bernoulli", "y_intercept", "y_beta", n_draws=600, y=y)
    assert_mean(found["y_intercept"], np.log(2.5 / 48.5))
    assert_mean(found["y_beta"] ** 2, 1.5**2)


# ---------------------------------------------------------------------------------------------
# The posterior predictive distribution of draws made by hand
# ---------------------------------------------------------------------------------------------


class Drawn:
    """Rows of two columns and posterior draws that nothing was fitted for."""

    def __init__(self, record, n_draws=300, with_exposure=False):
        rng = np.random.default_rng(12)
        self.record = record
        X = pd.DataFrame(rng.uniform(-1, 1, size=(7, 2)), columns=["a", "b"])
        if with_exposure:
            X["t"] = rng.uniform(0.5, 4.0, size=7)
        schema = Schema.of(X)
        exposure = "t" if with_exposure else None
        parsed = draft(schema, outcome="y", family=record.name, exposure=exposure)
        values = schema.encode(X)
        equation = specify(parsed, values)[0].of_outcome
        intercept = rng.normal(0.3, 0.3, size=n_draws)
        beta = rng.normal([0.8, -0.5], 0.2, size=(n_draws, 2))
        self.dispersion = varied(record, rng, n_draws)
        draws = {"y_intercept": intercept, "y_beta": beta}
        draws |= {f"y_{name}": value[:, 0] for name, value in self.dispersion.items()}
        self.found = Predictive.of(equation, values, draws)
        self.eta = intercept[:, None] + beta @ X[["a", "b"]].to_numpy().T
        if with_exposure:
            self.eta += np.log(X["t"].to_numpy())
        self.known = distribution(record.name, self.eta, self.dispersion)


@every_family
def test_predicted_mean_is_the_average_over_draws(record):
    drawn = Drawn(record)
    mean = drawn.found.mean()
    expected = np.broadcast_to(drawn.known.mean(), drawn.eta.shape).mean(axis=0)
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    of_average = record.link.inverse(drawn.eta.mean(axis=0))
    if record.link.tensor:
        assert np.all(np.abs(mean - of_average) > 1e-4)


@every_family
def test_predicted_std_is_the_law_of_total_variance(record):
    drawn = Drawn(record)
    between = np.broadcast_to(drawn.known.mean(), drawn.eta.shape).var(axis=0, ddof=1)
    within = np.broadcast_to(drawn.known.var(), drawn.eta.shape).mean(axis=0)
    np.testing.assert_allclose(drawn.found.std(), np.sqrt(between + within), rtol=1e-10)


@every_family
def test_predicted_mean_and_std_are_those_of_new_outcomes(record):
    """Of a hundred outcomes for each draw, by SciPy, and by the distribution's own samples."""
    drawn = Drawn(record)
    n_draws = drawn.found.n_draws
    rng = np.random.default_rng(13)
    picked = np.tile(np.arange(n_draws), 100)
    y = drawn.known.rvs(size=(100, *drawn.eta.shape), random_state=rng).reshape(-1, 7)
    mean = drawn.found.mean()
    # each draw comes equally often: the variance among a hundred copies of them
    between = np.broadcast_to(drawn.known.mean(), drawn.eta.shape).var(axis=0, ddof=1)
    variance = drawn.found.std() ** 2 - between / n_draws
    for outcomes in (y, drawn.found.sample(picked, rng).T):
        assert outcomes.shape == (len(picked), 7)
        assert_mean(outcomes, mean)
        assert_mean((outcomes - mean) ** 2, variance)


@every_family
def test_predictive_samples_take_their_parameters_from_the_picked_draws(record):
    drawn = Drawn(record, n_draws=50)
    picked = np.tile([3, 41, 17], 400)
    rng = np.random.default_rng(14)
    y = drawn.found.sample(picked, rng).T
    d = {name: value[picked] for name, value in drawn.dispersion.items()}
    assert_uniform(ranks(distribution(record.name, drawn.eta[picked], d), y, rng))


@every_family
def test_predictive_density_is_averaged_over_draws(record):
    drawn = Drawn(record)
    y = drawn.known.rvs(size=drawn.eta.shape, random_state=np.random.default_rng(15))[0]
    of_draws = log_density(drawn.known, y)
    np.testing.assert_allclose(drawn.found.log_likelihood(y).held(), of_draws, rtol=1e-9)
    expected = logsumexp(of_draws, axis=0) - np.log(len(of_draws))
    np.testing.assert_allclose(drawn.found.log_density(y), expected, rtol=1e-9)


@of_families("poisson", "negative_binomial")
def test_predictions_are_in_proportion_to_exposure(record):
    drawn = Drawn(record, with_exposure=True)
    expected = np.broadcast_to(drawn.known.mean(), drawn.eta.shape).mean(axis=0)
    np.testing.assert_allclose(drawn.found.mean(), expected, rtol=1e-12)
    y = np.arange(7.0)
    np.testing.assert_allclose(
        drawn.found.log_likelihood(y).held(), log_density(drawn.known, y), rtol=1e-9
    )


@every_family
def test_blocks_change_no_numbers(record, monkeypatch):
    drawn = Drawn(record)
    y = drawn.known.rvs(size=drawn.eta.shape, random_state=np.random.default_rng(16))[0]

    def numbers():
        return drawn.found.mean(), drawn.found.std(), drawn.found.log_density(y)

    at_once = numbers()
    for block in (1, 2 * drawn.found.n_draws):
        monkeypatch.setattr(predictive, "_BLOCK", block)
        for one, other in zip(at_once, numbers(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_single_draw_has_the_noise_of_its_family_alone():
    drawn = Drawn(FAMILIES["poisson"], n_draws=1)
    np.testing.assert_allclose(drawn.found.std(), np.exp(drawn.eta[0] / 2), rtol=1e-12)


def test_predicted_std_is_infinite_if_a_draw_has_no_variance():
    drawn = Drawn(FAMILIES["student_t"], n_draws=10)
    drawn.found.draws["y_nu"][4] = 1.5
    assert np.isposinf(drawn.found.std()).all()
