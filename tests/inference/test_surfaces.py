import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS
from scipy.special import expit
from sklearn.gaussian_process.kernels import Matern

from interventional import BayesianInterventionRegressor
from interventional.data.schema import Schema
from interventional.data.seen_surface import SeenSurface
from interventional.data.smooth import SmoothDesign
from interventional.inference.evidence import Evidence
from interventional.inference.scale_priors import of_sigma
from interventional.inference.surfaces import Form, Problem, learnt
from interventional.scm.defaults import resolve
from interventional.scm.equations import Equation
from interventional.scm.surface_priors import LENGTH_SPREAD, SCALE_SPREAD


def world(n, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"x": rng.uniform(-2, 2, size=n), "z": rng.normal(size=n)})
    X["t"] = (rng.random(n) < 0.5).astype(float)
    y = np.sin(2 * X["x"]) + X["z"] + X["t"] * (1 + X["x"]) + noise * rng.normal(size=n)
    return X, y.to_numpy()


def parts(X, y, weights=None):
    schema = Schema.of(X)
    values = schema.encode(X)
    design = SmoothDesign.of(schema, ["t"], values, weights)
    seen = SeenSurface.of(design, values, y, weights)
    priors = resolve(None, design, values, seen.moments, fit_intercept=True, center=True)
    columns = tuple(range(len(schema.names)))
    equation = Equation("y", columns, schema.names, design, priors, seen.x_mean)
    return equation, seen, Problem.of(equation, seen, of_sigma(equation)[0])


def whole_form(problem, theta_seed=1):
    on = (True,) * len(problem.surface.components)
    evidence = Evidence(
        problem.surface, problem.rows, problem.priors, on, problem.log_sigma, None, np.float64
    )
    rng = np.random.default_rng(theta_seed)
    theta = evidence.mean + 0.3 * rng.normal(size=len(evidence.mean))
    return Form(evidence, theta, np.zeros((len(theta), 0)), 0.0), theta


def test_coefficients_given_a_node_are_gaussian_process_regression():
    """Mean and covariance of the surface and the line by the textbook's formula."""
    X, y = world(60)
    equation, seen, problem = parts(X, y)
    form, theta = whole_form(problem)
    n_draws = 20_000
    drawn = problem.given(theta, n_draws, form, np.random.default_rng(2))
    surface, design = problem.surface, equation.design
    scale, length, sigma = form.evidence.split(theta)
    unit = problem.unit

    rows = surface.inputs(seen.rows)
    bending = [c for c, _ in surface.bending]

    def covariance(a, b, line_a, line_b):
        total = surface.kernel(bending, a, b, scale, length)
        return total + surface.lines(a, scale) @ surface.lines(b, scale).T + line_a @ line_b.T

    def line(values):
        terms = np.column_stack([np.ones(len(values)), design.matrix(values) - equation.center])
        return terms * problem.of_line / unit, terms @ problem.mean

    at = seen.rows[:7].copy()
    at[:, 0] += 0.37  # new rows
    at[3:, 2] = 1 - at[3:, 2]
    inputs, (here, prior) = surface.inputs(at), line(at)
    there, prior_there = line(seen.rows)
    K = covariance(rows, rows, there, there) + sigma**2 * np.eye(60)
    between = covariance(inputs, rows, here, there)
    gain = np.linalg.solve(K, between.T).T
    mean = prior + unit * gain @ ((seen.target - prior_there) / unit)
    cov = unit**2 * (covariance(inputs, inputs, here, here) - gain @ between.T)

    terms = np.column_stack([np.ones(7), design.matrix(at) - equation.center])
    of = (np.broadcast_to(v, (n_draws, len(v))) for v in (drawn.scale, drawn.length))
    draws = drawn.line @ terms.T + surface.at(at, *of, drawn.weights)
    error = np.sqrt(np.diag(cov) / n_draws)
    assert (np.abs(draws.mean(axis=0) - mean) / error).max() < N_STANDARD_ERRORS
    # waves stand for the prior where rows say little: some percent of what they leave open
    np.testing.assert_allclose(draws.std(axis=0), np.sqrt(np.diag(cov)), rtol=0.1)


def test_weights_are_rows():
    """Weights of rows, and rows as often: the same posterior, to the last digits but few."""
    X, y = world(50)
    times = np.random.default_rng(3).integers(1, 4, 50)
    repeated = np.repeat(np.arange(50), times)
    one = BayesianInterventionRegressor(design="smooth", treatments="t", random_state=0)
    many = BayesianInterventionRegressor(design="smooth", treatments="t", random_state=0)
    one.fit(X, y, sample_weight=times)
    many.fit(X.iloc[repeated], y[repeated])
    np.testing.assert_allclose(one.predict(X), many.predict(X), atol=1e-3)


def test_nodes_have_the_moments_of_the_posterior_of_theta():
    """Laplace's: their mean is the mode, their covariance the inverse of the curvature."""
    X, y = world(80)
    _, _, problem = parts(X, y)
    form = problem.learnt()[-1]
    nodes = form.nodes(512, 0)
    assert nodes.shape == (512, len(form.mode))
    own = form.evidence.free
    sd = np.sqrt(np.square(form.root[own]).sum(axis=1))
    off = (nodes[:, own].mean(axis=0) - form.mode[own]) / sd
    assert np.abs(off).max() < 0.05
    np.testing.assert_allclose(nodes[:, own].std(axis=0), sd, rtol=0.1)


def test_nodes_stay_where_there_is_a_density():
    X, y = world(60)
    _, _, problem = parts(X, y)
    form = problem.learnt()[-1]
    far = form.evidence.within(form.mode + 100 * np.array([[-1.0], [1.0]]))
    assert np.isfinite([form.evidence(theta)[0] for theta in far]).all()
    np.testing.assert_array_equal(form.evidence.within(form.mode), form.mode)


def test_forms_that_are_hopeless_are_left_out():
    X, y = world(120)
    _, _, problem = parts(X, y)
    found = problem.learnt()
    assert [form.evidence.on for form in found][-1] == (True, True, True, True)
    assert len(found) < 3  # no line bends so much
    weight = [form.log_weight for form in found]
    assert np.argmax(weight) == len(found) - 1


def test_a_mode_is_one():
    """The gradient is next to nothing there, and no neighbour is better."""
    X, y = world(80)
    _, _, problem = parts(X, y)
    form = problem.learnt()[-1]
    value = form.evidence(form.mode)[0]
    rng = np.random.default_rng(5)
    for _ in range(20):
        there = form.mode.copy()
        there[form.evidence.free] += 0.3 * rng.normal(size=len(form.evidence.free))
        assert form.evidence(there)[0] > value - 0.1


def test_threads_do_not_matter(monkeypatch):
    X, y = world(60)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr("joblib.cpu_count", lambda cores=cores: cores)
        model = BayesianInterventionRegressor(design="smooth", treatments="t", random_state=0)
        found.append(model.fit(X, y).predict(X))
    np.testing.assert_array_equal(*found)


def test_noise_that_is_next_to_nothing_is_seen():
    X, y = world(100, noise=1e-3)
    model = BayesianInterventionRegressor(design="smooth", treatments="t", random_state=0)
    model.fit(X, y)
    assert model.score(X, y) > 0.9999


@pytest.mark.slow
def test_nuts_on_the_textbook_model_agrees():
    """A Gaussian process of one column by PyMC itself, scale, length and sigma by NUTS."""
    import pymc as pm

    rng = np.random.default_rng(6)
    x = np.sort(rng.uniform(-2, 2, size=60))
    y = np.sin(2 * x) + 0.3 * rng.normal(size=60)
    X = pd.DataFrame({"x": x})
    model = BayesianInterventionRegressor(design="smooth", random_state=0).fit(X, y)
    priors = model.fitted_.model.of_outcome.priors.surface
    z = ((x - x.mean()) / x.std())[:, None]
    line = 2.5 * y.std() * np.hstack([np.ones_like(z), z])
    with pm.Model():
        scale = pm.LogNormal("scale", np.log(priors.scale[0]), SCALE_SPREAD)
        length = pm.LogNormal("length", np.log(priors.length[0]), LENGTH_SPREAD)
        sigma = pm.HalfStudentT("sigma", nu=4, sigma=y.std())
        K = scale**2 * pm.gp.cov.Matern52(1, ls=length)(z) + line @ line.T
        pm.MvNormal("y", mu=np.full(60, y.mean()), cov=K + sigma**2 * np.eye(60), observed=y)
        trace = pm.sample(1000, chains=2, random_seed=1, progressbar=False, cores=1)
    drawn = model.fitted_.draws
    assert (drawn["y_scale"][:, 0] > 0).mean() > 0.99  # a line it is not
    theirs = {name: trace.posterior[name].to_numpy().ravel() for name in ("sigma", "length")}
    for name, own in (("sigma", drawn["y_sigma"]), ("length", drawn["y_length"][:, 0])):
        found, expected = np.log(own), np.log(theirs[name])
        assert abs(found.mean() - expected.mean()) < 0.35 * expected.std()
        assert 0.6 < found.std() / expected.std() < 1.4
    means, variances = [], []
    for draw in range(0, 2000, 10):
        of = (trace.posterior[name].to_numpy().ravel()[draw] for name in ("scale", "length"))
        size, long = of
        k = size**2 * Matern(long, nu=2.5)(z) + line @ line.T
        gain = np.linalg.solve(k + theirs["sigma"][draw] ** 2 * np.eye(60), k).T
        means.append(y.mean() + gain @ (y - y.mean()))
        variances.append(np.diag(k - gain @ k))
    mean, sd = np.mean(means, axis=0), np.sqrt(np.mean(variances, axis=0) + np.var(means, axis=0))
    ours = model.intervene(X, {"x": x}).draws.to_numpy().reshape(-1, 60)
    assert np.abs((ours.mean(axis=0) - mean) / sd).max() < 0.25
    ratio = ours.std(axis=0) / sd
    assert ratio.min() > 0.85
    assert ratio.max() < 1.15


def test_draws_of_two_seeds_are_of_one_posterior():
    X, y = world(80)
    found = []
    for seed in (0, 1):
        model = BayesianInterventionRegressor(design="smooth", treatments="t", random_state=seed)
        found.append(model.fit(X, y).fitted_.draws["y_sigma"])
    # nodes are few, and so are what they average
    assert abs(found[0].mean() - found[1].mean()) < found[0].std()


def test_learning_takes_forms_in_order():
    X, y = world(60)
    _, _, problem = parts(X, y)
    beside = {"log_sigma": problem.log_sigma, "fixed": None}
    evidences = [
        Evidence(problem.surface, problem.rows, problem.priors, on, **beside)
        for on in problem.priors.odds
    ]
    assert [form.evidence.on for form in learnt(evidences)][-1] == evidences[-1].on


def test_what_confounds_and_is_expected_of_the_treatment_is_not_shrunk():
    """Even beside a straight line: as if the treatment were centred about its expectation."""
    rng = np.random.default_rng(8)
    X = pd.DataFrame({"x": rng.normal(size=400)})
    X["t"] = (rng.random(400) < expit(3 * X["x"] ** 2 - 2)).astype(float)
    schema = Schema.of(X)
    surface = SmoothDesign.of(schema, ["t"], schema.encode(X), None).surface
    expected = surface.inputs(schema.encode(X)).features[:, -1]
    y = X["t"] + 2 * expected + rng.normal(size=400)
    _, _, problem = parts(X, y.to_numpy())
    theta = np.log(np.r_[problem.priors.scale, problem.priors.length, y.std()])
    form = Form(
        Evidence(
            problem.surface,
            problem.rows,
            problem.priors,
            next(iter(problem.priors.odds)),  # all that bends is off
            problem.log_sigma,
            None,
        ),
        theta,
        np.zeros((len(theta), 0)),
        0.0,
    )
    theta[-1] = np.log(1 / y.std())
    effect = problem.given(theta, 4000, form, np.random.default_rng(9)).line[:, 2]
    matrix = np.column_stack([np.ones(400), X, expected])
    told = np.linalg.inv(matrix.T @ matrix)
    by_least_squares = (told @ matrix.T @ y)[2]
    without = np.linalg.lstsq(matrix[:, :3], y, rcond=None)[0][2]
    error = N_STANDARD_ERRORS * np.sqrt(told[2, 2] / 4000) + 0.02  # priors are wide, not flat
    assert abs(effect.mean() - by_least_squares) < error
    assert without - by_least_squares > 10 * error
