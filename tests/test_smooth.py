"""`design="smooth"`, as a user has it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import assert_predicts_without_pymc, integrated, mixed_surface, swollen
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interventional import BayesianInterventionRegressor, intervene
from interventional.data.seen_surface import SeenSurface
from interventional.data.table import read_table
from interventional.inference.evidence import Evidence
from interventional.inference.scale_priors import of_sigma
from interventional.inference.surfaces import Problem
from interventional.intervention.forward import Expected
from interventional.scm.compiling import python_mode
from interventional.scm.surface_op import SurfaceOp


def bent(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "x": rng.uniform(-2, 2, size=n),
            "z": rng.normal(size=n),
            "kind": rng.choice(["u", "v"], n),
        }
    )
    odds = 1.5 * X["x"]
    X["t"] = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    effect = 1 + X["x"] ** 2 / 2 + (X["kind"] == "v")
    y = 2 * np.sin(2 * X["x"]) + X["z"] + effect * X["t"] + 0.4 * rng.normal(size=n)
    return X, y.rename("y"), effect.to_numpy()


def smooth(**options):
    options = {"random_state": 0, "draws": 250} | options
    return BayesianInterventionRegressor(design="smooth", **options)


@pytest.fixture(scope="module")
def fitted():
    X, y, effect = bent()
    return smooth(treatments=["t"]).fit(X, y), X, y, effect


def test_effects_that_differ_and_bend(fitted):
    model, X, _, effect = fitted
    found = model.effect(X, {"t": 1}, {"t": 0})
    low, high = found.average().interval(0.95)[0]
    assert low < effect.mean() < high
    assert high - low < 0.8
    assert np.sqrt(np.mean((found.mean() - effect) ** 2)) < 0.35  # spread 0.78
    rows = found.interval(0.95)
    assert np.mean((rows[:, 0] <= effect) & (effect <= rows[:, 1])) > 0.85


def test_without_treatments_all_columns_are_alike():
    X, y, effect = bent()
    model = smooth().fit(X, y)
    low, high = model.effect(X, {"t": 1}, {"t": 0}).average().interval(0.95)[0]
    assert low < effect.mean() < high
    assert model.score(X, y) > 0.9


def test_the_closed_form_is_the_graphs(fitted):
    """Questions of PyMC's graph under `pm.do`, and the sums that stand for it."""
    model, X, _, _ = fitted
    rows = X.head(20)
    units = model.fitted_.units(read_table(rows, model, reset=False))
    query = model.fitted_.asked({"t": 1.0, "x": 0.3}, units)
    answer = Expected(model.fitted_.model, query, model.fitted_.draws)
    block, linear = answer.of_graph(0, slice(0, 20)), answer.linear()
    np.testing.assert_allclose(linear.samples(slice(0, 20)), block, atol=1e-8)
    np.testing.assert_allclose(linear.mean(), block.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(linear.std(), block.std(axis=0, ddof=1), atol=1e-8)


def test_predicting_is_expecting(fitted):
    model, X, _, _ = fitted
    as_they_are = model.intervene(X, {"t": X["t"]})
    np.testing.assert_allclose(model.predict(X), as_they_are.mean(), atol=1e-8)
    mean, sd = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, model.predict(X))
    sigma = model.fitted_.draws["y_sigma"]
    expected = np.sqrt(as_they_are.std() ** 2 + np.mean(sigma**2))
    np.testing.assert_allclose(sd, expected, rtol=1e-6)


def test_averages_over_many_rows_are_those_of_few(fitted):
    """Blocks of rows and groups of them: the closed form and samples that are held."""
    model, X, _, _ = fitted
    many = pd.concat([X] * 60, ignore_index=True)  # 18,000 x 1,000 are not held
    found = model.effect(many, {"t": 1}, {"t": 0})
    few = model.effect(X, {"t": 1}, {"t": 0})
    np.testing.assert_allclose(found.average().draws, few.average().draws, atol=1e-8)
    by = found.average(by="kind").mean()
    np.testing.assert_allclose(by, few.average(by="kind").mean(), atol=1e-8)
    np.testing.assert_allclose(found.mean()[:300], few.mean(), atol=1e-8)


def test_a_straight_world_is_answered_by_the_line():
    """Intervals are at most a tenth wider on average, and the answer is next to the line's."""
    ratios, far = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = pd.DataFrame(rng.normal(size=(300, 4)), columns=[*"abct"])
        X["t"] = (X["t"] + X["a"] > 0).astype(float)
        y = X @ [1.0, -0.5, 0.0, 0.7] + rng.normal(size=300)
        answers = [
            model.fit(X, y).effect(X, {"t": 1}, {"t": 0}).average()
            for model in (smooth(treatments="t"), BayesianInterventionRegressor(random_state=0))
        ]
        widths = [np.diff(answer.interval(0.95))[0, 0] for answer in answers]
        ratios.append(widths[0] / widths[1])
        far.append((answers[0].mean()[0] - answers[1].mean()[0]) / answers[1].std()[0])
    assert np.mean(ratios) < 1.1
    assert np.abs(far).max() < 0.6


def test_far_from_the_rows_nothing_is_known(fitted):
    model, X, _, _ = fitted
    near = model.intervene(X.head(1), {"x": 0.0, "z": 0.0}).std()[0]
    far = model.intervene(X.head(1), {"x": 50.0, "z": 0.0}).std()[0]
    assert far > 5 * near


def test_a_dose_bends():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    dose = np.exp(0.5 * x + 0.5 * rng.normal(size=400))
    y = 3 * dose / (1 + dose) + x + 0.2 * rng.normal(size=400)
    X = pd.DataFrame({"x": x, "dose": dose})
    model = smooth(treatments=["dose"]).fit(X, y)
    found = model.effect(X, {"dose": 2.0}, {"dose": 0.5}).average()
    low, high = found.interval(0.99)[0]
    assert low < 1.0 < high
    assert high - low < 0.5


def test_levels_as_treatments():
    rng = np.random.default_rng(2)
    X = pd.DataFrame({"x": rng.normal(size=400), "arm": rng.choice(["a", "b", "c"], 400)})
    effect = {"a": 0.0, "b": 1.0, "c": 0.5}
    y = X["arm"].map(effect) * (1 + X["x"]) + np.sin(3 * X["x"]) + 0.3 * rng.normal(size=400)
    model = smooth(treatments=["arm"]).fit(X, y)
    for arm, size in effect.items():
        if arm == "a":
            continue
        found = model.effect(X, {"arm": arm}, {"arm": "a"})
        low, high = found.average().interval(0.99)[0]
        assert low < size * (1 + X["x"].mean()) < high
        assert np.corrcoef(found.mean(), 1 + X["x"])[0, 1] > 0.95


def test_several_treatments_interact():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(
        {"x": rng.normal(size=400), "s": rng.random(400) < 0.5, "t": rng.random(400) < 0.5}
    )
    y = X["x"] ** 2 + 1.0 * X["s"] + 2.0 * X["s"] * X["t"] + 0.3 * rng.normal(size=400)
    model = smooth(treatments=["s", "t"]).fit(X, y)
    for other, size in ((False, 1.0), (True, 3.0)):
        found = model.effect(X, {"s": True, "t": other}, {"s": False, "t": other}).average()
        low, high = found.interval(0.999)[0]
        assert low < size < high
        assert high - low < 0.6


def test_mediators_flow_through_it():
    """x -> m -> y with a bend: the expectation over the mediator's noise, drawn."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=300)
    m = x + 0.5 * rng.normal(size=300)
    y = m**2 + 0.2 * rng.normal(size=300)
    X = pd.DataFrame({"x": x, "m": m})
    model = smooth(graph="x -> m -> y", draws=20).fit(X, y)
    found = model.effect(X.head(3), {"x": 1.0}, {"x": 0.0})
    # E[(x + e)^2] = x^2 + var(e)
    np.testing.assert_allclose(found.mean(), 1.0, atol=0.25)


def test_by_node():
    rng = np.random.default_rng(5)
    x = rng.uniform(-2, 2, size=300)
    m = x**2 + 0.3 * rng.normal(size=300)
    y = 2 * m + 0.3 * rng.normal(size=300)
    X = pd.DataFrame({"x": x, "m": m})
    model = BayesianInterventionRegressor(
        graph="x -> m -> y", design={"m": "smooth"}, random_state=0, draws=100
    ).fit(X, y)
    assert "m_weights" in model.idata_["posterior"]
    assert "y_weights" not in model.idata_["posterior"]
    found = model.effect(X.head(5), {"x": 1.5}, {"x": 0.0}).mean()
    np.testing.assert_allclose(found, 4.5, atol=0.4)


def test_rows_in_another_order_are_the_same_rows():
    X, y, _ = bent(120)
    order = np.random.default_rng(6).permutation(120)
    one = smooth(treatments="t").fit(X, y)
    other = smooth(treatments="t").fit(X.iloc[order], y.iloc[order])
    np.testing.assert_allclose(one.predict(X), other.predict(X), atol=1e-6)


def test_units_do_not_matter():
    X, y, _ = bent(120)
    moved = X.assign(x=32 + 1.8 * X["x"], z=1000 * X["z"], t=3 * X["t"] - 1)
    one = smooth(treatments="t").fit(X, y)
    other = smooth(treatments="t").fit(moved, 1e3 * y + 5)
    expected = 1e3 * one.predict(X) + 5
    np.testing.assert_allclose(other.predict(moved), expected, rtol=0, atol=1e3 * 2e-2)


def test_more_rows_than_landmarks():
    X, y, effect = bent(1500, seed=7)
    model = smooth(treatments=["t"]).fit(X, y)
    surface = model.fitted_.model.of_outcome.surface
    assert not surface.are_all
    assert len(surface.landmarks) < 1500
    found = model.effect(X, {"t": 1}, {"t": 0})
    low, high = found.average().interval(0.99)[0]
    assert low < effect.mean() < high
    assert np.sqrt(np.mean((found.mean() - effect) ** 2)) < 0.2
    bigger = smooth(treatments=["t"]).fit(*bent(3000, seed=7)[:2])
    sizes = [len(pickle.dumps(each)) for each in (model, bigger)]
    assert sizes[1] < 1.1 * sizes[0]  # not with the rows


def test_a_pickle_predicts_without_pymc(fitted, tmp_path):
    model, X, _, _ = fitted
    assert_predicts_without_pymc(model, X.head(5), tmp_path)


def test_in_pipelines_and_searches():
    X, y, _ = bent(150)
    numbers = X.drop(columns="kind")
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), smooth(treatments="t"))
    scores = cross_val_score(model, numbers, y, cv=3)
    assert scores.mean() > cross_val_score(LinearRegression(), numbers, y, cv=3).mean() + 0.1
    found = intervene(model.fit(numbers, y), numbers, {"t": 1}).average()
    assert np.isfinite(found.mean()).all()
    search = GridSearchCV(smooth(draws=50), {"design": [None, "smooth"]}, cv=3).fit(numbers, y)
    assert search.best_params_ == {"design": "smooth"}


def test_lognormal_outcomes():
    rng = np.random.default_rng(8)
    X = pd.DataFrame({"x": rng.uniform(-2, 2, size=300)})
    mu = np.sin(2 * X["x"])
    y = np.exp(mu + 0.3 * rng.normal(size=300))
    model = smooth(family="lognormal").fit(X, y)
    expected = np.exp(mu + 0.3**2 / 2)
    assert np.corrcoef(model.predict(X), expected)[0, 1] > 0.98
    found = model.intervene(X.head(3), {"x": 0.5}).mean()
    np.testing.assert_allclose(found, np.exp(np.sin(1.0) + 0.045), rtol=0.15)


def test_what_would_have_been(fitted):
    """Residuals are kept: a row whose treatment stays has the outcome that it had."""
    model, X, y, _ = fitted
    same = model.counterfactual(X.head(5), y.head(5), {"t": X["t"].head(5)})
    np.testing.assert_allclose(same.mean(), y.head(5), atol=1e-8)


def test_an_equation_of_nothing_that_could_bend():
    """A node whose one parent is 0 or 1: a line is all that there is."""
    rng = np.random.default_rng(15)
    X = pd.DataFrame({"x": rng.normal(size=60)})
    X["t"] = (rng.random(60) < 0.5).astype(float)
    X["m"] = 2 * X["t"] + rng.normal(size=60)
    graph = "x -> t; x -> y; t -> m; m -> y"
    by_node = {"design": {"m": "smooth"}, "treatments": "t", "random_state": 0}
    model = BayesianInterventionRegressor(graph=graph, **by_node).fit(X, X["m"] + X["x"])
    line = BayesianInterventionRegressor(graph=graph, random_state=0).fit(X, X["m"] + X["x"])
    found, expected = (each.effect(X, {"t": 1}, {"t": 0}).average() for each in (model, line))
    assert abs(found.mean()[0] - expected.mean()[0]) < 0.2 * expected.std()[0]
    np.testing.assert_allclose(found.std(), expected.std(), rtol=0.1)


def test_its_density_is_the_models():
    """PyMC's joint density with the coefficients integrated out is what is fitted.

    It is a quadratic in them, given scales, lengths and sigma: its gradient and curvature are
    differences over unit steps, exactly. What is fitted is that up to a constant.
    """
    X, y, _ = bent(14)
    X = X[["x", "t"]]
    model = smooth(treatments="t", draws=10, chains=1).fit(X, y)
    built = model.build_model(X, y)
    equation = model.fitted_.model.of_outcome
    seen = SeenSurface.of(
        equation.design, model.fitted_.model.schema.encode(X), y.to_numpy(), None
    )
    problem = Problem.of(equation, seen, of_sigma(equation)[0])
    on, lines = (True,) * len(problem.surface.components), equation.surface.width[0]
    of = problem.surface, problem.rows, problem.priors, on, problem.log_sigma, None, np.float64
    evidence = Evidence(*of)
    log_density = built.compile_logp(jacobian=True, mode=python_mode())
    point = built.initial_point()
    # waves are nothing where each row is a landmark: they have their prior, apart
    sizes = {"y_beta": 2, "y_intercept": 1, "y_noise": lines + 14}
    total = sum(sizes.values())

    def of_pymc(theta):
        scale, length, sigma = evidence.split(theta)
        at = {name: np.zeros_like(value) for name, value in point.items()}
        at["y_form"] = np.array(list(problem.priors.odds).index(on))
        at["y_swell"] = swollen(scale, problem.priors)
        stretched = np.log(length / problem.priors.length)
        at["y_stretch"] = np.linalg.solve(problem.priors.root, stretched)
        at["y_sigma_log__"] = np.array(np.log(sigma * problem.unit))

        def joint(flat):
            own, start = dict(at), 0
            for name, size in sizes.items():
                values = np.zeros(np.size(point[name]))
                values[:size] = flat[start : start + size]
                own[name] = values.reshape(np.shape(point[name]))
                start += size
            return float(log_density(own))

        return integrated(joint, total)

    rng = np.random.default_rng(9)
    thetas = np.tile(evidence.mean, (3, 1))
    thetas[:, evidence.free] += 0.4 * rng.normal(size=(3, len(evidence.free)))
    found = np.array([-evidence(theta)[0] for theta in thetas])
    expected = np.array([of_pymc(theta) for theta in thetas])
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"design": "smoth"}, "design"),
        ({"treatments": ["tt"]}, "did you mean 't'"),
        ({"treatments": ["y"]}, "outcome"),
        ({"inference": "nuts"}, "inference='nuts'"),
        ({"family": "gamma"}, "gamma"),
        ({"priors": "ridge"}, "ridge"),
        ({"noise": "z"}, "known errors"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    X, y, _ = bent(60)
    X["z"] = X["z"].abs() + 0.1
    model = smooth().set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coef_")


def test_batches_are_refused():
    assert not hasattr(smooth(), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as refused:
        _ = smooth().partial_fit
    assert "all rows in memory" in str(refused.value.__cause__ or refused.value)


def test_names_that_it_needs():
    X, y, _ = bent(60)
    with pytest.raises(ValueError, match="rename the column"):
        smooth().fit(X.rename(columns={"z": "y_scale"}), y)


def test_its_shape_is_known_whatever_has_draws():
    """The graph asks for it where scales, lengths and weights all have draws."""
    import pytensor.tensor as pt

    _, values, surface = mixed_surface(np.random.default_rng(3), 30)
    n, draws, size = (pt.as_tensor(number) for number in (30, 7, 4))
    shapes = [(n,)] * values.shape[1] + [(draws, size)] * 3
    ((found, rows),) = SurfaceOp(surface).infer_shape(None, shapes)
    assert (found.eval(mode=python_mode()), rows.eval(mode=python_mode())) == (7, 30)
