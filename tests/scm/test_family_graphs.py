"""Families in graphs: what is forced, imagined and simulated, against SciPy's distributions.

Posterior draws come from Laplace's approximation. How good that is does not matter here: every
truth is computed from these same draws.
"""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from conftest import assert_mean, family_wise, slow
from scipy import stats
from scipy.special import expit, logit

from interventional import BayesianInterventionRegressor
from interventional.data.schema import Schema
from interventional.data.seen import DistinctRows
from interventional.scm.compiling import python_mode
from interventional.scm.draft import draft
from interventional.scm.observed import observed_model
from interventional.scm.specification import specify

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:inference='laplace' is a poor approximation:sklearn.exceptions.ConvergenceWarning"
    ),
]

N_DRAWS, MANY = 200, 400
# Each family as SciPy has it, at a linear predictor.
LAWS = {
    "gaussian": lambda eta, sigma: stats.norm(eta, sigma),
    "student_t": lambda eta, sigma, nu: stats.t(nu, eta, sigma),
    "lognormal": lambda eta, sigma: stats.lognorm(sigma, scale=np.exp(eta)),
    "gamma": lambda eta, alpha: stats.gamma(alpha, scale=np.exp(eta) / alpha),
    "poisson": lambda eta: stats.poisson(np.exp(eta)),
    "negative_binomial": lambda eta, alpha: stats.nbinom(alpha, alpha / (alpha + np.exp(eta))),
    "bernoulli": lambda eta: stats.bernoulli(expit(eta)),
    "beta": lambda eta, phi: stats.beta(expit(eta) * phi, expit(-eta) * phi),
}
TRUE = {
    "gaussian": {"sigma": 0.5},
    "student_t": {"sigma": 0.5, "nu": 5.0},
    "lognormal": {"sigma": 0.5},
    "gamma": {"alpha": 3.0},
    "poisson": {},
    "negative_binomial": {"alpha": 3.0},
    "bernoulli": {},
    "beta": {"phi": 6.0},
}
DISCRETE = ("poisson", "negative_binomial", "bernoulli")
GRAPH = "x -> m -> y; x -> y"


def estimator(**parameters):
    defaults = {"inference": "laplace", "draws": 100, "chains": 2, "random_state": 8}
    return BayesianInterventionRegressor(**defaults | parameters)


def flat(draws):
    """Draws as an array of shape (draws, ...)."""
    values = np.asarray(draws)
    return values.reshape(-1, *values.shape[2:])


def drawn(model, name):
    """Draws of a parameter that is one number, (draws, 1, 1)."""
    return flat(model.idata_["posterior"][name])[:, None, None]


def coefficient(model, node, term):
    draws = model.idata_["posterior"][f"{node}_beta"].sel({f"{node}_term": term})
    return flat(draws)[:, None, None]


def linear(model, node, **columns):
    """Draws of a linear predictor at columns that broadcast to (draws, rows, samples)."""
    total = drawn(model, f"{node}_intercept")
    for name, values in columns.items():
        total = total + coefficient(model, node, name) * values
    return total


def law(model, node, family, **columns):
    """A node's distribution for each draw at some columns."""
    dispersion = {name: drawn(model, f"{node}_{name}") for name in TRUE[family]}
    return LAWS[family](linear(model, node, **columns), **dispersion)


def samples(distribution, rng, n_rows, many=MANY):
    return distribution.rvs(size=(N_DRAWS, n_rows, many), random_state=rng)


def outcomes(family, eta, rng):
    """Outcomes of the true model."""
    return LAWS[family](eta, **TRUE[family]).rvs(random_state=rng)


def assert_same_law(found, simulated, seed=0):
    """Each number found is as one more of its simulated ones, (..., many): its rank is uniform.

    Ties are broken at random.
    """
    rng = np.random.default_rng(seed)
    found, simulated = np.round(found, 9), np.round(simulated, 9)  # averages of counts are ties
    below = (simulated < found[..., None]).sum(axis=-1)
    equal = (simulated == found[..., None]).sum(axis=-1)
    ranks = rng.integers(below, below + equal, endpoint=True) + rng.uniform(size=below.shape)
    uniform = ranks / (simulated.shape[-1] + 1)
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-4


def assert_predictive(model, rows, do, simulated):
    """New outcomes, and their averages over rows, are distributed as simulated ones are."""
    new = model.intervene(rows, do, kind="predictive")
    assert_same_law(flat(new.draws), simulated)
    assert_same_law(flat(new.average().draws)[:, 0], simulated.mean(axis=1), seed=1)


def assert_expected(model, rows, do, mean):
    """Expected outcomes, and their averages, are on average the truth of shape (draws, rows).

    The noise of mediators that is left, of which each draw and row has its own, gives the errors.
    """
    ours = model.intervene(rows, do)
    off = flat(ours.draws) - mean
    assert off.std() > 0
    assert_mean(off.ravel(), 0.0)
    assert_mean(flat(ours.average().draws)[:, 0] - mean.mean(axis=1), 0.0)
    # an error of a fiftieth of what the rows differ by would be seen
    assert off.std() / np.sqrt(off.size) < np.ptp(mean.mean(axis=0)) / 50


# --- Forcing ------------------------------------------------------------------------------------

AT = np.linspace(-1.0, 1.5, 5)
DO = {"x": AT}


def with_mediator(family, outcome, seed, n=150):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    m = outcomes(family, 0.3 + 0.6 * x, rng).astype(float)
    return pd.DataFrame({"x": x, "m": m}), outcomes(outcome, 0.2 + 0.4 * x + 0.5 * m, rng)


@pytest.mark.parametrize(
    "family",
    [
        "poisson",
        "bernoulli",
        *map(slow, ("student_t", "lognormal", "gamma", "negative_binomial", "beta")),
    ],
)
def test_mediator_of_a_family(family):
    """It enters a Gaussian equation by its mean, SciPy's; its noise is in new outcomes."""
    X, y = with_mediator(family, "gaussian", seed=1)
    model = estimator(graph=GRAPH, family={"m": family}).fit(X, y)
    of_m = law(model, "m", family, x=AT[:, None])
    ours = model.intervene(X.head(5), DO)
    truth = linear(model, "y", x=AT[:, None], m=of_m.mean())[..., 0]
    np.testing.assert_allclose(flat(ours.draws), truth, rtol=1e-9, atol=1e-9)
    average = flat(ours.average().draws)[:, 0]
    np.testing.assert_allclose(average, truth.mean(axis=1), rtol=1e-9, atol=1e-9)

    rng = np.random.default_rng(2)
    of_y = law(model, "y", "gaussian", x=AT[:, None], m=samples(of_m, rng, 5))
    assert_predictive(model, X.head(5), DO, samples(of_y, rng, 5))
    forced = flat(model.intervene(X.head(5), {"x": AT, "m": 1.0}).draws)
    at_one = linear(model, "y", x=AT[:, None], m=1.0)[..., 0]
    np.testing.assert_allclose(forced, at_one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", ["poisson", slow("gamma"), "lognormal", "bernoulli"])
def test_outcome_of_a_family_through_a_gaussian_mediator(family):
    """In closed form: for the log link E[y] = exp(mean + variance / 2), by quadrature else.

    The variance of the linear predictor is that of the mediator times its coefficient's square;
    that of a lognormal outcome's own logarithm comes to it.
    """
    X, y = with_mediator("gaussian", family, seed=3)
    model = estimator(graph=GRAPH, family={"y": family}).fit(X, y)
    mu, s = linear(model, "m", x=AT[:, None]), drawn(model, "m_sigma")
    b = coefficient(model, "y", "m")
    eta = linear(model, "y", x=AT[:, None], m=mu)
    if family == "bernoulli":
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        truth = expit(eta + b * s * nodes) @ weights / weights.sum()
    else:
        own = drawn(model, "y_sigma") ** 2 if family == "lognormal" else 0.0
        truth = np.exp(eta + ((b * s) ** 2 + own) / 2)[..., 0]
    ours = flat(model.intervene(X.head(5), DO).draws)
    assert (np.abs(ours - truth).max(axis=0) < 0.1 * truth.std(axis=0)).all()
    assert_expected(model, X.head(5), DO, truth)

    rng = np.random.default_rng(4)
    m = samples(LAWS["gaussian"](mu, s), rng, 5)
    simulated = samples(law(model, "y", family, x=AT[:, None], m=m), rng, 5)
    assert_predictive(model, X.head(5), DO, simulated)


@pytest.mark.slow
def test_mediators_in_a_row():
    """x -> m (counts) -> k (positive) -> y (0 or 1), by simulation."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=300)
    m = outcomes("poisson", 0.3 + 0.6 * x, rng).astype(float)
    k = outcomes("gamma", -0.2 + 0.3 * m, rng)
    y = outcomes("bernoulli", -1.0 + 0.7 * k - 0.5 * x, rng)
    X = pd.DataFrame({"k": k, "x": x, "m": m})
    families = {"m": "poisson", "k": "gamma", "y": "bernoulli"}
    model = estimator(graph="x -> m -> k -> y; x -> y", family=families).fit(X, y)
    m = samples(law(model, "m", "poisson", x=AT[:, None]), rng, 5)
    k = samples(law(model, "k", "gamma", m=m), rng, 5)
    of_y = law(model, "y", "bernoulli", k=k, x=AT[:, None])
    assert_expected(model, X.head(5), DO, of_y.mean().mean(axis=-1))
    assert_predictive(model, X.head(5), DO, samples(of_y, rng, 5))
    # forced halfway, what is upstream no longer matters
    held = model.intervene(X.head(5), {"x": AT, "k": 1.0})
    truth = law(model, "y", "bernoulli", k=1.0, x=AT[:, None]).mean()[..., 0]
    np.testing.assert_allclose(flat(held.draws), truth, rtol=1e-9)


@pytest.mark.parametrize("kind", ["zeros and ones", "bools", "levels"])
def test_levels_before_counts(kind):
    """The expected count is a sum over levels, exactly."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=200)
    m = rng.binomial(1, expit(0.3 + x))
    if kind == "levels":
        m = m + rng.binomial(1, 0.5, size=200)
    y = rng.poisson(np.exp(0.2 + 0.3 * x + 0.6 * m))
    names = np.array(["bus", "car", "walk"])
    columns = {"zeros and ones": m.astype(float), "bools": m == 1, "levels": names[m]}
    X = pd.DataFrame({"x": x, "m": columns[kind]})
    family = {"y": "poisson"} | ({"m": "bernoulli"} if kind == "zeros and ones" else {})
    model = estimator(graph=GRAPH, family=family).fit(X, y)

    eta = linear(model, "y", x=AT[:, None])
    if kind == "levels":
        at = [eta, *(eta + coefficient(model, "y", f"m[{level}]") for level in ("car", "walk"))]
        scores = [np.zeros_like(eta)]
        intercepts = flat(model.idata_["posterior"]["m_intercept"])
        for j, level in enumerate(("car", "walk")):
            slope = coefficient(model, "m", f"{level}: x")
            scores.append(intercepts[:, j, None, None] + slope * AT[:, None])
        weights = np.exp(scores) / np.exp(scores).sum(axis=0)
    else:
        at = [eta, eta + coefficient(model, "y", "m")]
        p = expit(linear(model, "m", x=AT[:, None]))
        weights = np.stack([1 - p, p])
    means = np.exp(np.stack(at))
    ours = model.intervene(X.head(5), DO)
    truth = (weights * means).sum(axis=0)[..., 0]
    np.testing.assert_allclose(flat(ours.draws), truth, rtol=1e-9)
    chosen = rng.uniform(size=(N_DRAWS, 5, MANY)) > np.cumsum(weights, axis=0)[:, ..., :]
    rates = np.take_along_axis(
        np.broadcast_to(means, (len(means), N_DRAWS, 5, MANY)), chosen.sum(axis=0)[None], axis=0
    )[0]
    assert_predictive(model, X.head(5), DO, rng.poisson(rates))


def test_the_answer_of_pymc_itself():
    """`pm.do` and `pm.sample_posterior_predictive` on the textbook model, with the same draws."""
    X, y = with_mediator("gamma", "poisson", seed=7, n=60)
    model = estimator(graph=GRAPH, family={"m": "gamma", "y": "poisson"}).fit(X, y)
    forced = np.linspace(-1.0, 1.0, 60)
    theirs = pm.sample_posterior_predictive(
        model.idata_,
        model=pm.do(model.build_model(X), {"x": forced}),
        var_names=["m", "y"],
        predictions=True,
        random_seed=3,
        progressbar=False,
        compile_kwargs={"mode": python_mode()},
    )["predictions"]
    ours = model.intervene(X, {"x": forced}, kind="predictive")
    theirs_y = flat(theirs["y"]).astype(float)
    for power in (1, 2):
        assert_mean((flat(ours.draws) ** power - theirs_y**power).ravel(), 0.0)
    expected = model.intervene(X, {"x": forced})
    assert_mean((flat(expected.draws) - theirs_y).ravel(), 0.0)
    gap = flat(ours.average().draws)[:, 0] - theirs_y.mean(axis=1)
    assert_mean(gap, 0.0)
    rates = np.exp(linear(model, "y", x=forced[:, None], m=flat(theirs["m"])[..., None]))[..., 0]
    assert_mean((flat(expected.draws) - rates).ravel(), 0.0)


# --- Imagining ----------------------------------------------------------------------------------


def imagined(model, X, y, families, x):
    """Abduction, action and prediction by hand, (draws, rows): x forced, noise kept."""
    before = X["x"].to_numpy()[:, None]
    m, y = X["m"].to_numpy()[:, None], np.asarray(y)[:, None]

    def moved(value, family, was, is_now):
        return value * np.exp(is_now - was) if family == "lognormal" else value + is_now - was

    then = moved(m, families["m"], linear(model, "m", x=before), linear(model, "m", x=x))
    return moved(
        y,
        families["y"],
        linear(model, "y", x=before, m=m),
        linear(model, "y", x=x, m=then),
    )[..., 0]


KEEPS_NOISE = [
    ("lognormal", "lognormal"),
    slow("student_t", "student_t"),
    slow("lognormal", "student_t"),
    slow("student_t", "lognormal"),
    ("gaussian", "lognormal"),
]


@pytest.mark.parametrize(("of_m", "of_y"), KEEPS_NOISE)
def test_counterfactuals(of_m, of_y):
    """The noise of a lognormal node is a factor, that of a Student t is added."""
    X, y = with_mediator(of_m, of_y, seed=8, n=80)
    families = {"m": of_m, "y": of_y}
    engine = "laplace" if "student_t" in (of_m, of_y) else "auto"
    model = estimator(graph=GRAPH, family=families, inference=engine).fit(X, y)
    ours = model.counterfactual(X, y, {"x": 1.2})
    truth = imagined(model, X, y, families, 1.2)
    np.testing.assert_allclose(flat(ours.draws), truth, rtol=1e-8, atol=1e-8)
    assert np.abs(truth - y).max() > 0.1
    for columns in (["x"], ["m"], ["x", "m"]):
        nothing = {name: X[name] for name in columns}
        same = flat(model.counterfactual(X, y, nothing).draws)
        np.testing.assert_allclose(same, np.tile(y, (N_DRAWS, 1)), rtol=1e-10, atol=1e-10)
    # rows that the model has not seen have residuals too
    new, other = with_mediator(of_m, of_y, seed=9, n=7)
    truth = imagined(model, new, other, families, -0.4)
    found = flat(model.counterfactual(new, other, {"x": -0.4}).draws)
    np.testing.assert_allclose(found, truth, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "family", ["poisson", slow("negative_binomial"), slow("gamma"), "bernoulli", slow("beta")]
)
def test_noise_that_the_data_do_not_tell(family):
    """Refused, by the node's name, where the intervention reaches it; else answered."""
    X, y = with_mediator(family, "gaussian", seed=1)
    model = estimator(graph=GRAPH, family={"m": family}).fit(X, y)
    with pytest.raises(ValueError, match=r"'m', whose noise is not\s+additive"):
        model.counterfactual(X, y, {"x": 0.0})
    of_m = coefficient(model, "y", "m")[..., 0]
    moved = flat(model.counterfactual(X, y, {"m": 1.0}).draws)
    np.testing.assert_allclose(moved, y + of_m * (1.0 - X["m"].to_numpy()), rtol=1e-8, atol=1e-8)
    outcome = estimator(family=family, outcome="m").fit(X[["x"]], X["m"])
    with pytest.raises(ValueError, match=r"'m', whose noise is not\s+additive"):
        outcome.counterfactual(X[["x"]], X["m"], {"x": 0.0})


# --- Contrasts ----------------------------------------------------------------------------------


def test_decomposition():
    """The parts add up; on average each is what simulated mediators have."""
    X, y = with_mediator("gamma", "poisson", seed=7, n=60)
    model = estimator(graph=GRAPH, family={"m": "gamma", "y": "poisson"}).fit(X, y)
    rows = X.head(40)
    parts = model.decompose(rows, {"x": 1.0}, {"x": 0.0})
    summed = parts["direct"].draws + parts["indirect"].draws
    np.testing.assert_allclose(parts["total"].draws, summed, rtol=1e-12, atol=1e-12)
    rng = np.random.default_rng(10)

    def rate(x, mediator_at):
        m = samples(law(model, "m", "gamma", x=mediator_at), rng, 1)
        return np.exp(linear(model, "y", x=x, m=m)).mean(axis=-1)

    neither, direct, both = rate(0.0, 0.0), rate(1.0, 0.0), rate(1.0, 1.0)
    truth = {"direct": direct - neither, "indirect": both - direct, "total": both - neither}
    for name, mean in truth.items():
        # one number each draw: all rows have the same true effect
        assert_mean(flat(parts[name].average().draws)[:, 0] - mean[:, 0], 0.0)
    effect = model.effect(rows, {"x": 1.0}, {"x": 0.0})
    assert_mean((flat(parts["total"].draws) - flat(effect.draws)).ravel(), 0.0)


@pytest.mark.parametrize("family", ["poisson", "gamma", "lognormal", "negative_binomial"])
def test_ratios_under_the_log_link(family):
    """exp(coefficient times the change), whatever else the rows hold; the outcome is alone."""
    X, y = with_mediator("gaussian", family, seed=11)
    model = estimator(family=family).fit(X, y)
    ratio = model.intervene(X, {"x": 1.0}) / model.intervene(X, {"x": -1.0})
    truth = np.exp(2 * coefficient(model, "y", "x"))[..., 0] * np.ones(len(X))
    np.testing.assert_allclose(flat(ratio.draws), truth, rtol=1e-9)
    sides = [model.intervene(X, {"x": value}).average() for value in (1.0, -1.0)]
    np.testing.assert_allclose(flat((sides[0] / sides[1]).draws)[:, 0], truth[:, 0], rtol=1e-9)


def test_ratios_through_a_mediator():
    """The noise of a Gaussian mediator is the same factor on both sides."""
    X, y = with_mediator("gaussian", "poisson", seed=3)
    model = estimator(graph=GRAPH, family={"y": "poisson"}).fit(X, y)
    ratio = model.intervene(X.head(9), {"x": 1.0}) / model.intervene(X.head(9), {"x": 0.0})
    change = coefficient(model, "y", "x") + coefficient(model, "y", "m") * coefficient(
        model, "m", "x"
    )
    truth = np.exp(change)[..., 0] * np.ones(9)
    np.testing.assert_allclose(flat(ratio.draws), truth, rtol=1e-5)


# --- The models ---------------------------------------------------------------------------------


def repeated_rows(family, exposure=False):
    """Twelve rows, some of them several times."""
    rng = np.random.default_rng(12)
    X = pd.DataFrame({"a": 1 + rng.normal(size=12), "b": 3 * rng.normal(size=12)})
    if exposure:
        X["people"] = rng.uniform(1.0, 20.0, size=12)
    y = outcomes(family, 0.3 + 0.4 * X["a"].to_numpy(), rng).astype(float)
    y[0] = 1.0 - y[1] if family == "bernoulli" else y[0]
    copies = np.repeat(np.arange(12), rng.integers(1, 4, size=12))
    return X.iloc[copies].reset_index(drop=True), y[copies]


def default_priors(family, point, X, y, exposures):
    """Log density of the documented default priors, by SciPy."""
    n, spread, units = len(y), 1.0, 1.0
    if family == "lognormal":
        center, spread = np.log(y).mean(), np.log(y).std()
    elif family in ("gaussian", "student_t"):
        center, spread = y.mean(), y.std()
    elif family == "bernoulli":
        center = logit((y.sum() + 0.5) / (n + 1))
    elif family == "beta":
        center = logit(y.mean())
    else:
        center = np.log((y.sum() + 0.5 * (family != "gamma")) / exposures.sum())
    if family in ("gaussian", "student_t", "lognormal"):
        units = 2.5 * spread
    elif family in ("bernoulli", "beta"):
        units = 1.5
    at_means = point["y_intercept"] + X.mean(axis=0) @ point["y_beta"]
    total = stats.norm.logpdf(point["y_beta"], 0, units / X.std(axis=0)).sum()
    total += stats.norm.logpdf(at_means, center, 2.5 * spread)
    priors = {
        "sigma": lambda value: np.log(2) + stats.t.logpdf(value, 4, scale=spread),
        "nu": stats.gamma(2, scale=1 / 0.1).logpdf,
        "alpha": stats.lognorm(1.5, scale=np.exp(1.0)).logpdf,
        "phi": stats.lognorm(1.5, scale=np.exp(2.0)).logpdf,
    }
    for name in TRUE[family]:
        total += priors[name](np.exp(point[f"y_{name}_log__"]))
    return total


@pytest.mark.parametrize(
    ("family", "exposure"),
    [
        *((family, False) for family in ("gaussian", "lognormal", "bernoulli")),
        ("poisson", True),
        *(slow(family, False) for family in ("student_t", "gamma", "poisson", "beta")),
        *(slow("negative_binomial", either) for either in (True, False)),
    ],
)
def test_densities(family, exposure):
    """The textbook model's is SciPy's; what is fitted differs from it by a constant."""
    X, y = repeated_rows(family, exposure)
    model = estimator(family=family, exposure="people" if exposure else None)
    textbook = model.build_model(X, y)
    schema = Schema.of(X)
    made, (seen,) = specify(draft(schema, **model._parameters()), schema.encode(X), y)
    assert isinstance(seen, DistinctRows) == (family not in ("gaussian", "lognormal"))
    if isinstance(seen, DistinctRows):
        assert len(seen.target) == 12
        assert seen.are_weighted
    small = observed_model(made.of_outcome, seen)
    assert {v.name for v in textbook.value_vars} == {v.name for v in small.value_vars}
    by_textbook = textbook.compile_logp(jacobian=False, mode=python_mode())
    by_small = small.compile_logp(jacobian=False, mode=python_mode())
    terms = X[["a", "b"]].to_numpy()
    exposures = X["people"].to_numpy() if exposure else np.ones(len(y))
    rng = np.random.default_rng(13)
    gaps, heights = [], []
    for _ in range(6):
        point = {
            name: 0.5 * rng.normal(size=np.shape(value))
            for name, value in textbook.initial_point().items()
        }
        eta = point["y_intercept"] + terms @ point["y_beta"] + np.log(exposures)
        dispersion = {name: np.exp(point[f"y_{name}_log__"]) for name in TRUE[family]}
        of_y = LAWS[family](eta, **dispersion)
        likelihood = of_y.logpmf(y) if family in DISCRETE else of_y.logpdf(y)
        truth = likelihood.sum() + default_priors(family, point, terms, y, exposures)
        heights.append(truth)
        assert float(by_textbook(point)) == pytest.approx(truth, rel=1e-8, abs=1e-8)
        moved = point | {"y_intercept": point["y_intercept"] + seen.x_mean @ point["y_beta"]}
        gaps.append(float(by_small(moved)) - truth)
    assert np.ptp(heights) > 1  # the points are different ones
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-8, atol=1e-7)


def assert_simulated(values, distribution, discrete, seed=0):
    """Values come from independent distributions: they fall uniformly in their probability."""
    uniform = distribution.cdf(values)
    if discrete:
        share = np.random.default_rng(seed).uniform(size=len(values))
        uniform = uniform - share * distribution.pmf(values)
    half = len(values) // 2
    for part in (uniform, uniform[:half], uniform[half:]):
        assert stats.kstest(part, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("family", LAWS)
def test_simulate(family):
    """Outcomes of forced parameters have SciPy's distribution, at low and at high x."""
    X = pd.DataFrame({"x": np.linspace(-1.5, 1.5, 3000)}, index=np.arange(3000) + 10)
    truth = {"y_intercept": 0.3, "y_beta": {"x": 0.6}}
    truth |= {f"y_{name}": value for name, value in TRUE[family].items()}
    table = estimator(family=family).simulate(X, truth, random_state=1)
    pd.testing.assert_index_equal(table.index, X.index)
    eta = 0.3 + 0.6 * X["x"].to_numpy()
    distribution = LAWS[family](eta, **TRUE[family])
    assert_simulated(table["y"].to_numpy(), distribution, family in DISCRETE)
    again = estimator(family=family).simulate(X, truth, random_state=1)
    pd.testing.assert_frame_equal(again, table)
    assert (estimator(family=family).simulate(X, truth, random_state=2)["y"] != table["y"]).any()


def test_simulate_mediators_and_exposures():
    rng = np.random.default_rng(14)
    n = 3000
    X = pd.DataFrame({"x": rng.normal(size=n), "m": 1.0, "people": rng.uniform(1.0, 9.0, n)})
    model = estimator(
        graph=GRAPH + "; people -> y",
        family={"m": "negative_binomial", "y": "poisson"},
        exposure="people",
    )
    truth = {"m_intercept": 0.5, "m_beta": {"x": 0.4}, "m_alpha": 3.0}
    truth |= {"y_intercept": -0.5, "y_beta": {"x": 0.2, "m": 0.3}}
    table = model.simulate(X, truth, random_state=2)
    x, m = table["x"].to_numpy(), table["m"].to_numpy()
    assert_simulated(m, LAWS["negative_binomial"](0.5 + 0.4 * x, 3.0), discrete=True)
    rates = X["people"].to_numpy() * np.exp(-0.5 + 0.2 * x + 0.3 * m)
    assert_simulated(table["y"].to_numpy(), stats.poisson(rates), discrete=True)


@pytest.mark.slow
def test_simulated_data_are_recovered():
    """Fits of simulated data: intervals of all parameters hold the truth."""
    truth = {"y_intercept": 0.3, "y_beta": np.array([0.6, -0.4])}
    X = np.random.default_rng(15).normal(size=(2000, 2))
    z = []
    for family in ("poisson", "negative_binomial", "gamma", "bernoulli", "beta", "student_t"):
        forced = truth | {f"y_{name}": value for name, value in TRUE[family].items()}
        model = estimator(family=family)
        y = model.simulate(X, forced, random_state=3)["y"]
        posterior = model.fit(X, y).idata_["posterior"]
        for name, value in forced.items():
            draws = flat(posterior[name])
            if name[2:] in TRUE[family]:  # what is positive is skewed
                draws, value = np.log(draws), np.log(value)
            z.extend(np.ravel((draws.mean(axis=0) - value) / draws.std(axis=0)))
    assert np.abs(z).max() < family_wise(len(z))
    low, high = stats.chi2.interval(1 - 1e-4, len(z))
    assert low < np.sum(np.square(z)) < high
