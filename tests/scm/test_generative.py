"""PyMC models: the compact one against the textbook one, and that one against SciPy."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from pymc_extras.prior import Prior
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from interventional import BayesianInterventionRegressor
from interventional.data.design import make_design
from interventional.data.schema import Schema
from interventional.data.seen import sufficient_statistics
from interventional.scm.compiling import python_mode
from interventional.scm.curve import Curves
from interventional.scm.defaults import resolve
from interventional.scm.equations import Equation
from interventional.scm.observed import observed_model

N_POINTS = 25


def rows(seed, n, p):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, p)) + rng.normal(size=p), columns=list("abcdefgh")[:p])
    return X, X.to_numpy() @ rng.normal(size=p) + 0.5 + rng.normal(size=n)


def compact(X, y, weights=None, *, priors=None, design=None, intercept=True, center=True):
    """The compact model of some rows, and the means at which its intercept stands."""
    schema = Schema.of(X)
    values = schema.encode(X)
    made = make_design(schema, design, values)
    matrix = made.matrix(values)
    statistics = sufficient_statistics(matrix, y, weights, intercept=intercept)
    curves = None
    if design is not None:
        curves = partial(Curves.of, made, values, matrix, weights, statistics)
    resolved = resolve(
        priors,
        made,
        values,
        statistics.moments,
        fit_intercept=intercept,
        center=center,
        curves=curves,
    )
    where = statistics.x_mean if center else np.zeros(len(made.terms))
    return observed_model(
        Equation(
            "y", tuple(range(len(made.schema.names))), made.schema.names, made, resolved, where
        ),
        statistics,
    ), statistics.x_mean


def log_density(model):
    return model.compile_logp(mode=python_mode())


def random_points(model, rng):
    """Values of every parameter of a model, on the scale on which PyMC samples."""
    shapes = {name: np.shape(value) for name, value in model.initial_point().items()}
    for _ in range(N_POINTS):
        yield {name: rng.normal(size=shape) for name, shape in shapes.items()}


def coefficients(model, name="y_beta"):
    """The function from a point, which has the coefficients or what makes them, to these."""
    values = model.replace_rvs_by_values([model[name]])
    compiled = model.compile_fn(
        values, inputs=model.value_vars, on_unused_input="ignore", mode=python_mode()
    )
    return lambda point: compiled(point)[0]


NORMAL = {"b": Prior("Normal", mu=1, sigma=0.5)}
CASES = {
    "ordinary": {},
    "prior of the intercept at zero": {"center": False},
    "no intercept": {"intercept": False},
    "mixed priors": {
        "priors": {
            "a": Prior("Laplace", mu=0.2, b=1.3),
            "b": Prior("Flat"),
            "sigma": Prior("Exponential", lam=2),
        }
    },
    "Student-t intercept": {
        "priors": {"intercept": Prior("StudentT", nu=4, mu=0.3, sigma=2), **NORMAL}
    },
    "Uniform intercept at zero, bounded sigma": {
        "priors": {
            "intercept": Prior("Uniform", lower=-50, upper=50),
            "sigma": Prior("Uniform", lower=0.1, upper=5),
        },
        "center": False,
    },
    "flat": {
        "priors": {
            "beta": Prior("Flat"),
            "intercept": Prior("Flat"),
            "sigma": Prior("HalfFlat"),
        }
    },
    "hierarchical": {
        "priors": {
            "beta": Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=1)),
            "sigma": Prior("HalfNormal", sigma=Prior("Gamma", alpha=2, beta=1)),
        }
    },
    "design": {"design": PolynomialFeatures(2, include_bias=False)},
    "design, prior of the intercept at zero": {
        "design": PolynomialFeatures(2, include_bias=False),
        "center": False,
    },
    "design, some terms with a prior of their own": {
        "design": PolynomialFeatures(2, include_bias=False),
        "priors": {"b": Prior("Normal", mu=1, sigma=0.5)},
    },
    "duplicate and constant columns": {"columns": {"d": 3.0, "e": "a"}},
    "levels": {"columns": {"d": ["u", "v", "w"] * 10}},
}


@pytest.mark.parametrize("n", [30, 3], ids=["n > p", "n < p"])
@pytest.mark.parametrize("case", CASES)
def test_compact_and_textbook_densities_differ_by_a_constant(case, n):
    """What NUTS samples is the model of the rows: at random points the difference stays the same.

    The compact model's intercept is the one at the means of the predictors.
    """
    settings = dict(CASES[case])
    X, y = rows(0, n, 3)
    for name, values in settings.pop("columns", {}).items():
        X[name] = (
            X[values] if values == "a" else values[:n] if isinstance(values, list) else values
        )
    textbook = BayesianInterventionRegressor(
        priors=settings.get("priors"),
        design=settings.get("design"),
        fit_intercept=settings.get("intercept", True),
        center_predictors=settings.get("center", True),
    ).build_model(X, y)
    small, x_mean = compact(X, y, **settings)
    assert_differ_by_a_constant(textbook, small, x_mean)


def test_compact_density_of_weights_is_the_textbook_density_of_copies():
    X, y = rows(1, 20, 3)
    weights = np.random.default_rng(0).integers(1, 5, size=20)
    copies = np.repeat(np.arange(20), weights)
    textbook = BayesianInterventionRegressor().build_model(X.iloc[copies], y[copies])
    small, x_mean = compact(X, y, weights.astype(float))
    assert_differ_by_a_constant(textbook, small, x_mean)


def assert_differ_by_a_constant(textbook, small, x_mean):
    ours, theirs, beta = log_density(small), log_density(textbook), coefficients(small)
    found, truth = [], []
    made_of = {v.name for v in small.value_vars} - {v.name for v in textbook.value_vars}
    # Independent numbers, which the compact model has instead of coefficients.
    assert all(name.endswith("_raw") for name in made_of)
    made = {name: coefficients(small, name.removesuffix("_raw")) for name in made_of}
    for point in random_points(small, np.random.default_rng(2)):
        shared = {name: value for name, value in point.items() if name not in made_of}
        shared |= {name.removesuffix("_raw"): of(point) for name, of in made.items()}
        truth.append(theirs(shared))
        if "y_intercept" in point:  # a bounded one is told from its bounds, which move with it
            point["y_intercept"] = point["y_intercept"] + x_mean @ beta(point)
        found.append(ours(point))
    found, truth = np.array(found), np.array(truth)
    assert np.ptp(truth) > 1  # the points are different ones
    np.testing.assert_allclose(found - found[0], truth - truth[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("center", [True, False])
def test_textbook_density_is_that_of_scipy(center):
    """Default priors and likelihood written out: the density itself, no constant left over."""
    X, y = rows(3, 12, 3)
    model = BayesianInterventionRegressor(center_predictors=center).build_model(X, y)
    density = log_density(model)
    means, sds, size = X.mean().to_numpy(), X.std(ddof=0).to_numpy(), y.std()
    scale = 2.5 * size / sds
    spread = 2.5 * size if center else np.hypot(2.5 * size, np.linalg.norm(scale * means))
    for point in random_points(model, np.random.default_rng(4)):
        beta, at_zero = point["y_beta"], point["y_intercept"]
        sigma = np.exp(point["y_sigma_log__"])
        at_center = at_zero + beta @ means if center else at_zero
        truth = (
            st.norm(0, scale).logpdf(beta).sum()
            + st.norm(y.mean(), spread).logpdf(at_center)
            + np.log(2)
            + st.t(4, scale=size).logpdf(sigma)
            + np.log(sigma)  # of d sigma / d log sigma
            + st.norm(at_zero + X.to_numpy() @ beta, sigma).logpdf(y).sum()
        )
        # PyMC's own Student-t density is right to 1e-9
        np.testing.assert_allclose(density(point), truth, rtol=1e-9)


class TestTextbookModel:
    """`build_model`: names, dimensions, and what they compute."""

    def test_names_and_dimensions(self):
        X, y = rows(5, 6, 3)
        X.index = list("uvwxyz")
        model = BayesianInterventionRegressor().build_model(X, y)
        assert {v.name for v in model.free_RVs} == {"y_intercept", "y_beta", "y_sigma"}
        assert [v.name for v in model.observed_RVs] == ["y"]
        assert {v.name for v in model.data_vars} >= {"a", "b", "c"}
        assert tuple(model.coords["obs"]) == tuple("uvwxyz")
        assert tuple(model.coords["y_term"]) == ("a", "b", "c")
        assert tuple(model.named_vars_to_dims["y_mu"]) == ("obs",)

    def test_without_outcome_it_is_generative(self):
        X, _ = rows(5, 6, 3)
        model = BayesianInterventionRegressor().build_model(X)
        assert not model.observed_RVs
        assert "y" in {v.name for v in model.free_RVs}

    def test_other_outcome(self):
        X, y = rows(5, 6, 3)
        model = BayesianInterventionRegressor(outcome="sales").build_model(X, y)
        assert [v.name for v in model.observed_RVs] == ["sales"]
        assert "sales_mu" in model.named_vars

    def test_caller_keeps_the_outcome(self):
        """The model has a copy: what happens to the array afterwards does not change it."""
        X, y = rows(6, 8, 2)
        model = BayesianInterventionRegressor().build_model(X, y)
        point = model.initial_point()
        before = log_density(model)(point)
        y[:] = 1e6
        assert log_density(model)(point) == before

    @pytest.mark.parametrize(
        ("design", "truth"),
        [
            (None, lambda X: X),
            (
                PolynomialFeatures(2, interaction_only=True, include_bias=False),
                lambda X: np.column_stack(
                    [X, X[:, 0] * X[:, 1], X[:, 0] * X[:, 2], X[:, 1] * X[:, 2]]
                ),
            ),
            (StandardScaler(), lambda X: (X - X.mean(axis=0)) / X.std(axis=0)),
        ],
        ids=["numbers", "interactions", "scaled"],
    )
    def test_mean_is_design_times_beta(self, design, truth):
        import pymc as pm

        X, _ = rows(7, 9, 3)
        model = BayesianInterventionRegressor(design=design).build_model(X)
        matrix = truth(X.to_numpy())
        beta = np.arange(1.0, matrix.shape[1] + 1)
        forced = pm.do(model, {"y_beta": beta, "y_intercept": 0.5})
        mean = pm.draw(forced["y_mu"], mode=python_mode())
        np.testing.assert_allclose(mean, matrix @ beta + 0.5, rtol=1e-12)

    def test_do_flows_through_the_design(self):
        """A forced raw column moves its square and its products."""
        import pymc as pm

        X, _ = rows(8, 9, 2)
        design = PolynomialFeatures(2, include_bias=False)
        model = BayesianInterventionRegressor(design=design).build_model(X)
        forced = pm.do(
            model, {"a": np.full(9, 2.0), "y_beta": [1.0, 2.0, 3.0, 4.0, 5.0], "y_intercept": 0.0}
        )
        b = X["b"].to_numpy()
        truth = 1.0 * 2 + 2.0 * b + 3.0 * 4 + 4.0 * 2 * b + 5.0 * b**2
        np.testing.assert_allclose(pm.draw(forced["y_mu"], mode=python_mode()), truth, rtol=1e-12)

    def test_levels_are_compared_with_the_first(self):
        import pymc as pm

        X = pd.DataFrame({"sex": pd.Categorical([0, 1, 1, 0, 2]), "b": [1.0, 2.0, 3.0, 4.0, 5.0]})
        model = BayesianInterventionRegressor().build_model(X)
        assert tuple(model.coords["y_term"]) == ("sex[1]", "sex[2]", "b")
        forced = pm.do(model, {"y_beta": [10.0, 100.0, 1.0], "y_intercept": 0.0})
        mean = pm.draw(forced["y_mu"], mode=python_mode())
        np.testing.assert_array_equal(mean, [1, 12, 13, 4, 105])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("y", "column 'y', the name of the outcome"),
        ("y_mu", "name of column 'y_mu'"),
        ("obs", "name of column 'obs'"),
        ("y_sigma", "name of column 'y_sigma'"),
    ],
)
def test_columns_named_like_parts_of_the_model_are_refused(column, message):
    X, y = rows(9, 6, 2)
    with pytest.raises(ValueError, match=message):
        BayesianInterventionRegressor().fit(X.rename(columns={"a": column}), y)


def test_outcome_without_a_name_is_refused():
    X, y = rows(9, 6, 2)
    with pytest.raises(TypeError, match="non-empty str, got ''"):
        BayesianInterventionRegressor(outcome="").fit(X, y)
