"""`design="smooth"` of outcomes of 0 and 1, and of counts."""

import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS, assert_predicts_without_pymc, swollen
from scipy.optimize import minimize
from scipy.special import expit

from interventional import BayesianInterventionRegressor
from interventional.data.seen_surface import SeenSurface
from interventional.data.table import read_table
from interventional.inference.latent import Latent
from interventional.inference.surfaces import Problem
from interventional.intervention.forward import Expected
from interventional.scm.compiling import python_mode

FAMILIES = ("bernoulli", "poisson")


def world(family, n=300, seed=0):
    """A common cause whose square matters, and an effect that differs; and its average."""
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(-2, 2, n), rng.normal(size=n)
    t = (rng.random(n) < expit(2 * (x**2 - 1.3))).astype(float)
    if family == "bernoulli":
        base, own = 1.5 * (x**2 - 1.3) + 0.3 * z, 0.8 + 0.6 * x
        y = (rng.random(n) < expit(base + own * t)).astype(float)
        effect = expit(base + own) - expit(base)
    else:
        base, own = 0.5 + 0.7 * (x**2 - 1.3) + 0.3 * z, 0.3 + 0.3 * x
        y = rng.poisson(np.exp(base + own * t)).astype(float)
        effect = np.exp(base + own) - np.exp(base)
    return pd.DataFrame({"x": x, "z": z, "t": t}), pd.Series(y, name="y"), effect


def smooth(family, **options):
    options = {"random_state": 0, "draws": 250, "treatments": ["t"]} | options
    return BayesianInterventionRegressor(design="smooth", family=family, **options)


@pytest.fixture(scope="module", params=FAMILIES)
def fitted(request):
    X, y, effect = world(request.param)
    return smooth(request.param).fit(X, y), X, y, effect


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_effects_beside_a_common_cause_that_bends(family):
    errors = []
    for seed in range(4):
        X, y, effect = world(family, seed=seed)
        line = BayesianInterventionRegressor(
            family=family, inference="laplace", random_state=0, draws=250
        )
        answers = [
            model.fit(X, y).effect(X, {"t": 1}, {"t": 0}).average()
            for model in (smooth(family), line)
        ]
        errors.append([abs(answer.mean()[0] - effect.mean()) for answer in answers])
        assert errors[-1][0] < N_STANDARD_ERRORS * answers[0].std()[0]
    ours, theirs = np.mean(errors, axis=0)
    assert ours < theirs / 3


def test_effects_that_differ(fitted):
    model, X, _, effect = fitted
    assert model.idata_["posterior"].attrs["inference"] == "laplace"
    found = model.effect(X, {"t": 1}, {"t": 0})
    low, high = found.average().interval(0.95)[0]
    assert low < effect.mean() < high
    # better told row by row than by their true average
    assert np.sqrt(np.mean(np.square(found.mean() - effect))) < 0.95 * effect.std()


def test_the_graph_answers_as_the_draws_do(fitted):
    """PyMC's graph under `pm.do`, and the same by hand."""
    model, X, _, _ = fitted
    rows = X.head(20)
    units = model.fitted_.units(read_table(rows, model, reset=False))
    query = model.fitted_.asked({"t": 1.0, "x": 0.3}, units)
    found = Expected(model.fitted_.model, query, model.fitted_.draws).block(slice(0, 20))
    forced = rows.assign(t=1.0, x=0.3)
    equation, draws = model.fitted_.model.of_outcome, model.fitted_.draws
    values = model.fitted_.model.schema.encode(forced)
    of = draws["y_scale"], draws["y_length"], draws["y_weights"]
    eta = draws["y_beta"] @ equation.matrix(values).T + draws["y_intercept"][:, None]
    eta += equation.surface.at(values, *of)
    by_hand = expit(eta) if equation.family == "bernoulli" else np.exp(eta)
    np.testing.assert_allclose(found, by_hand, rtol=1e-8)
    np.testing.assert_allclose(model.predict(forced), by_hand.mean(axis=0), rtol=1e-8)


def test_outcomes_are_drawn_and_scored(fitted):
    model, X, y, _ = fitted
    drawn = model.intervene(X.head(5), {"t": 1}, kind="predictive").draws.to_numpy()
    assert (drawn >= 0).all()
    assert (drawn == np.floor(drawn)).all()
    line = BayesianInterventionRegressor(
        family=model.family, inference="laplace", random_state=0
    ).fit(X, y)
    own, other = (np.mean(each.log_density(X, y)) for each in (model, line))
    assert own > other + 0.05


def test_a_pickle_predicts_without_pymc(tmp_path):
    X, y, _ = world("poisson", 60)
    model = smooth("poisson").fit(X, y)
    assert_predicts_without_pymc(model, X.head(5), tmp_path)


def test_a_straight_world_is_answered_by_the_line():
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(400, 2)), columns=["x", "t"])
    X["t"] = (X["t"] + X["x"] > 0).astype(float)
    y = (rng.random(400) < expit(X["x"] + 0.7 * X["t"] - 0.3)).astype(float)
    line = BayesianInterventionRegressor(family="bernoulli", inference="laplace", random_state=0)
    ours, theirs = (
        model.fit(X, y).effect(X, {"t": 1}, {"t": 0}).average()
        for model in (smooth("bernoulli"), line)
    )
    assert abs(ours.mean()[0] - theirs.mean()[0]) < 0.6 * theirs.std()[0]
    assert ours.std()[0] < 1.4 * theirs.std()[0]


def test_threads_do_not_matter(monkeypatch):
    X, y, _ = world("bernoulli", 60)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr("joblib.cpu_count", lambda cores=cores: cores)
        found.append(smooth("bernoulli").fit(X, y).predict(X))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_orders_of_rows(family):
    X, y, _ = world(family, 60)
    times = np.random.default_rng(3).integers(1, 4, 60)
    own = np.random.default_rng(4).permutation(np.repeat(np.arange(60), times))
    one = smooth(family).fit(X, y, sample_weight=times)
    many = smooth(family).fit(X.iloc[own], y.iloc[own])
    np.testing.assert_allclose(one.predict(X), many.predict(X), rtol=1e-3)


def test_rates_over_exposures():
    rng = np.random.default_rng(5)
    X = pd.DataFrame({"x": rng.uniform(-2, 2, 300), "days": rng.uniform(1, 10, 300)})
    rate = np.exp(np.sin(2 * X["x"]))
    y = rng.poisson(rate * X["days"]).astype(float)
    model = smooth("poisson", treatments=None, exposure="days").fit(X, y)
    np.testing.assert_allclose(model.predict(X) / X["days"], rate, rtol=0.35)
    assert np.corrcoef(model.predict(X) / X["days"], rate)[0, 1] > 0.98
    longer = model.intervene(X.head(4), {"days": 2 * X["days"].head(4)}).mean()
    np.testing.assert_allclose(longer, 2 * model.predict(X.head(4)), rtol=1e-6)


def test_a_mediator_of_two_levels_bends():
    rng = np.random.default_rng(6)
    x = rng.uniform(-2, 2, 400)
    m = rng.random(400) < expit(2 * x**2 - 2)
    y = 2.0 * m + 0.3 * rng.normal(size=400)
    model = BayesianInterventionRegressor(
        graph="x -> m -> y", design={"m": "smooth"}, random_state=0, draws=100
    ).fit(pd.DataFrame({"x": x, "m": m}), y)
    assert "m_weights" in model.idata_["posterior"]
    found = model.effect(pd.DataFrame({"x": x[:3], "m": m[:3]}), {"x": 1.5}, {"x": 0.0}).mean()
    np.testing.assert_allclose(found, 2 * (expit(2.5) - expit(-2)), atol=0.3)


@pytest.mark.slow
def test_more_rows_than_landmarks():
    X, y, effect = world("bernoulli", 900, seed=2)
    model = smooth("bernoulli").fit(X, y)
    assert not model.fitted_.model.of_outcome.surface.are_all
    low, high = model.effect(X, {"t": 1}, {"t": 0}).average().interval(0.99)[0]
    assert low < effect.mean() < high
    assert high - low < 0.4


@pytest.mark.parametrize("family", FAMILIES)
def test_its_density_is_the_models(family):
    """Laplace's method with PyMC's own numbers: its linear predictor, likelihood and priors.

    The linear predictor is linear in the coefficients, given scales and lengths; so its
    covariance is known by steps of each.
    """
    X, y, _ = world(family, 14)
    X = X[["x", "t"]]
    model = smooth(family, draws=10, chains=1).fit(X, y)
    built = model.build_model(X, y)
    equation, values = model.fitted_.model.of_outcome, model.fitted_.model.schema.encode(X)
    on_link = equation.priors.intercept.parameters["mu"], 1.0, 1.0
    seen = SeenSurface.of(equation.design, values, y.to_numpy(), None, on_link=on_link)
    problem = Problem.of(equation, seen)
    on = (True,) * len(problem.surface.components)
    of = problem.surface, problem.rows, problem.priors, on, np.zeros_like, 1.0, np.float64
    evidence = Latent(*of, family=equation.latent)
    mu = built["y_mu"]
    of_mu = built.compile_fn(
        built.replace_rvs_by_values([mu]),
        inputs=built.value_vars,
        mode=python_mode(),
        on_unused_input="ignore",
    )
    of_y = built.compile_logp(vars=[built["y"]], mode=python_mode())
    names = ["y_beta", "y_intercept", "y_noise"]
    of_coefficients = built.compile_logp(vars=[built[n] for n in names], mode=python_mode())
    of_theta = built.compile_logp(vars=[built["y_swell"], built["y_stretch"]], mode=python_mode())
    point = built.initial_point()
    sizes = {name: np.size(point[name]) for name in names}
    total = sum(sizes.values())

    def of_pymc(theta):
        scale, length, _ = evidence.split(theta)
        given = {name: np.zeros_like(value) for name, value in point.items()}
        given["y_form"] = np.array(list(problem.priors.odds).index(on))
        given["y_swell"] = swollen(scale, problem.priors)
        stretched = np.log(length / problem.priors.length)
        given["y_stretch"] = np.linalg.solve(problem.priors.root, stretched)

        def with_coefficients(flat):
            own, start = dict(given), 0
            for name, size in sizes.items():
                own[name] = flat[start : start + size].reshape(np.shape(point[name]))
                start += size
            # its prior is about where the predictors are at their means
            own["y_intercept"] = own["y_intercept"] - equation.center @ own["y_beta"]
            return own

        def eta(flat):
            mean = of_mu(with_coefficients(flat))[0]
            return np.log(mean / (1 - mean)) if family == "bernoulli" else np.log(mean)

        steps = np.eye(total)
        zero = eta(np.zeros(total))
        A = np.array([eta(0.1 * step) - zero for step in steps]).T / 0.1
        # the prior is Gaussian: its curvature, and its mean
        prior = np.array(
            [
                [float(of_coefficients(with_coefficients(sign * step))) for step in steps]
                for sign in (1, -1)
            ]
        )
        base = float(of_coefficients(with_coefficients(np.zeros(total))))
        precision = -(prior.sum(axis=0) - 2 * base)
        center = (prior[0] - prior[1]) / 2 / precision
        root = A / np.sqrt(precision)
        offset = zero + A @ center

        def log_p(v):
            return float(of_y(with_coefficients(center + v / np.sqrt(precision))))

        def f(v):
            at = offset + root @ v
            mean = expit(at) if family == "bernoulli" else np.exp(at)
            return 0.5 * v @ v - log_p(v), v - root.T @ (y.to_numpy() - mean)

        found = minimize(f, np.zeros(total), jac=True, method="BFGS", options={"gtol": 1e-6})
        at = offset + root @ found.x
        w = expit(at) * expit(-at) if family == "bernoulli" else np.exp(at)
        _, log_det = np.linalg.slogdet(np.eye(total) + root.T @ (w[:, None] * root))
        prior_of_theta = float(of_theta(with_coefficients(np.zeros(total))))
        return prior_of_theta - found.fun - 0.5 * log_det

    rng = np.random.default_rng(9)
    thetas = []
    for _ in range(3):
        theta = evidence.mean.copy()
        theta[evidence.free] += 0.4 * rng.normal(size=len(evidence.free))
        theta[-1] = 0.0
        thetas.append(theta)
    found = np.array([-evidence(theta)[0] for theta in thetas])
    expected = np.array([of_pymc(theta) for theta in thetas])
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "negative_binomial"}, "the family of 'y' is 'negative_binomial'"),
        ({"inference": "exact"}, "inference='exact', and the family of 'y' is 'poisson'"),
        ({"inference": "nuts"}, "inference='nuts', and the family of 'y' is 'poisson'"),
        ({"family": "gaussian", "inference": "laplace"}, "inference='laplace', and the family"),
        ({"priors": "ridge"}, "ridge"),
        ({"groups": ["z"]}, "groups"),
        ({"family": "bernoulli"}, "takes 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    X, y, _ = world("poisson", 60)
    model = smooth("poisson").set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "fitted_")


def test_priors_that_are_not_normal_are_refused():
    from pymc_extras.prior import Prior

    X, y, _ = world("poisson", 60)
    for priors in ({"intercept": Prior("Flat")}, {"beta": Prior("Laplace", mu=0, b=1)}):
        for family in ("poisson", "gaussian"):
            with pytest.raises(ValueError, match="Normal"):
                smooth(family, priors=priors).fit(X, y)


def test_columns_of_three_levels_are_refused():
    rng = np.random.default_rng(7)
    X = pd.DataFrame({"x": rng.normal(size=60), "m": rng.choice(["a", "b", "c"], 60)})
    model = BayesianInterventionRegressor(graph="x -> m -> y", design={"m": "smooth"})
    with pytest.raises(ValueError, match="'m' is a column of 3 levels"):
        model.fit(X, rng.normal(size=60))
