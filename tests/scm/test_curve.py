"""The default prior of a design: of the curve, whatever its terms and wherever its columns lie."""

import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS, slow
from pymc_extras.prior import Prior
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

from interventional import BayesianInterventionRegressor
from interventional.data.design import make_design
from interventional.data.schema import Schema
from interventional.data.seen import distinct_rows, sufficient_statistics
from interventional.scm.curve import Curves
from interventional.scm.draft import draft
from interventional.scm.specification import specify


class Shuffled(TransformerMixin, BaseEstimator):
    """Powers and products in an order in which none of them needs to follow what it is made of."""

    def __init__(self, degree=2, seed=0):
        self.degree = degree
        self.seed = seed

    def fit(self, X, y=None):
        self.powers_ = PolynomialFeatures(self.degree, include_bias=False).fit(X)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        made = np.asarray(self.powers_.transform(X))
        return made[:, np.random.default_rng(self.seed).permutation(made.shape[1])]


SPLINES = SplineTransformer(n_knots=5, include_bias=False)
DESIGNS = {
    "powers and products": PolynomialFeatures(2, include_bias=False),
    "products": PolynomialFeatures(interaction_only=True, include_bias=False),
    "cubes, in random order": Shuffled(3),
    "a constant among them": PolynomialFeatures(2),
    "splines": SPLINES,
    "splines times treatment": make_pipeline(
        make_column_transformer((SPLINES, ["year"]), remainder="passthrough"),
        PolynomialFeatures(interaction_only=True, include_bias=False),
    ),
}
FAMILIES = {
    "gaussian": {},
    "lognormal": {},
    "bernoulli": {"inference": "laplace"},
    "poisson": {"inference": "laplace"},
    "gamma": {"inference": "laplace"},
    "student_t": {"inference": "laplace"},
}


def rows(n, seed=0):
    rng = np.random.default_rng([seed, n])
    return pd.DataFrame(
        {
            "t": rng.integers(0, 2, n).astype(float),
            "year": rng.normal(size=n),
            "dose": rng.uniform(size=n),
        }
    )


def outcomes(X, family, seed=0):
    rng = np.random.default_rng([seed, len(X), 1])
    f = 0.3 * X["t"] * X["year"] + 0.3 * X["dose"] + 0.2 * X["year"] ** 2
    noise = rng.normal(size=len(X))
    return {
        "gaussian": f + noise,
        "lognormal": np.exp(f + 0.3 * noise),
        "bernoulli": (f + noise > 0.3).astype(float),
        "poisson": rng.poisson(np.exp(f)).astype(float),
        "gamma": np.exp(f + 0.3 * noise),
        "student_t": f + noise,
    }[family]


def answers(design, family, n, *, origin=0.0, unit=1.0, **settings):
    """Effects of treatment, and outcomes at another year, where the years count from elsewhere."""
    X = rows(n)
    y = outcomes(X, family)
    X["year"] = origin + unit * X["year"]
    X["dose"] = 3 * X["dose"] - 0.1 * origin if origin else X["dose"]
    settings = {"draws": 100, "random_state": 0, **FAMILIES[family], **settings}
    with warnings.catch_warnings():  # of Laplace's approximation, which is not the matter here
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = BayesianInterventionRegressor(design=design, family=family, **settings).fit(X, y)
        asked = X.head(4).assign(year=origin + unit * np.array([-1.0, 0.0, 0.5, 1.0]))
        effect = model.effect(asked, do={"t": 1.0}, baseline={"t": 0.0})
        moved = model.intervene(asked, do={"year": asked["year"] + 0.3 * unit})
    return np.concatenate([effect.draws.values.ravel(), moved.draws.values.ravel()])


@pytest.mark.parametrize(
    ("family", "n"),
    [
        ("gaussian", 5),
        ("gaussian", 60),
        ("lognormal", 12),
        *[slow(family, 100) for family in FAMILIES],
    ],
)
@pytest.mark.parametrize("design", DESIGNS)
def test_moving_and_scaling_columns_changes_no_draw(design, family, n):
    here = answers(DESIGNS[design], family, n)
    there = answers(DESIGNS[design], family, n, origin=50.0, unit=7.3)
    np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-6 * here.std())


def test_moving_columns_changes_no_draw_of_counts():
    for origin, unit in ((2000.0, 7.0), (-30.0, 0.1)):
        here = answers(DESIGNS["products"], "poisson", 80)
        there = answers(DESIGNS["products"], "poisson", 80, origin=origin, unit=unit)
        np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-6 * here.std())


@pytest.mark.parametrize("fixed", [True, False])
def test_moving_columns_changes_no_draw_beside_known_errors(fixed):
    X = rows(40).assign(se=np.linspace(0.5, 2, 40))
    y = outcomes(X, "gaussian")
    design = make_column_transformer(
        (PolynomialFeatures(2, include_bias=False), ["t", "year", "dose"])
    )
    found = []
    for origin in (0.0, 100.0):
        moved = X.assign(year=X["year"] + origin)
        model = BayesianInterventionRegressor(
            design=design,
            noise="se",
            priors={"sigma": Prior("DiracDelta", c=0.0)} if fixed else None,
            random_state=0,
        ).fit(moved, y)
        found.append(model.effect(moved, do={"t": 1.0}, baseline={"t": 0.0}).draws.values)
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-6 * y.std())
    made = PolynomialFeatures(2).fit_transform(X.drop(columns="se"))
    made = np.delete(made, 4, axis=1) / X[["se"]].to_numpy()  # t and its square are one
    if fixed:  # then it is weighted least squares, but for a prior of one row's weight
        cov = np.linalg.inv(made.T @ made)
        at = [
            PolynomialFeatures(2).fit_transform(X.drop(columns="se").assign(t=t)) for t in (0, 1)
        ]
        contrast = np.delete(at[1] - at[0], 4, axis=1)
        truth = contrast @ cov @ made.T @ (y / X["se"])
        error = np.sqrt(np.einsum("ij,jk,ik->i", contrast, cov, contrast))
        mean, sd = found[0].mean(axis=(0, 1)), found[0].std(axis=(0, 1))
        assert np.abs((mean - truth) / error).max() < 0.3
        np.testing.assert_allclose(sd, error, rtol=0.12)


def test_effects_that_differ_by_year_are_those_of_least_squares():
    """-6 in 2000 and 6 in 2024 in the world; the years are far from zero."""
    rng = np.random.default_rng(0)
    n = 2000
    X = pd.DataFrame({"treated": rng.integers(0, 2, n), "year": rng.integers(2000, 2025, n)})
    X = X.astype(float)
    y = 0.5 * X["treated"] * (X["year"] - 2012) + rng.normal(size=n)
    since = X["year"] - 2012
    columns = np.column_stack([np.ones(n), X["treated"], since, X["treated"] * since])
    beta, rss, *_ = np.linalg.lstsq(columns, y)
    contrast = np.array([[0, 1, 0, -12.0], [0, 1, 0, 12.0]])
    truth = contrast @ beta
    cov = contrast @ np.linalg.inv(columns.T @ columns) @ contrast.T * rss / (n - 4)
    error = np.sqrt(np.diag(cov))

    for design in (
        PolynomialFeatures(interaction_only=True, include_bias=False),
        make_pipeline(
            StandardScaler(with_std=False),
            PolynomialFeatures(interaction_only=True, include_bias=False),
        ),
    ):
        model = BayesianInterventionRegressor(design=design, random_state=0).fit(X, y)
        asked = pd.DataFrame({"treated": 0.0, "year": [2000.0, 2024.0]})
        effect = model.effect(asked, do={"treated": 1}, baseline={"treated": 0})
        bound = N_STANDARD_ERRORS * error / np.sqrt(4000)
        assert (np.abs(effect.mean() - truth) < bound + 1e-3 * np.abs(truth)).all()
        np.testing.assert_allclose(effect.std(), error, rtol=0.1)


def test_a_square_far_from_zero_is_not_lost():
    rng = np.random.default_rng(1)
    year = rng.integers(2000, 2025, 500).astype(float)
    X, y = pd.DataFrame({"year": year}), (year - 2012) ** 2 / 10 + rng.normal(size=500)
    square = PolynomialFeatures(2, include_bias=False)
    model = BayesianInterventionRegressor(design=square, random_state=0).fit(X, y)
    fitted = np.polynomial.Polynomial.fit(year, y, 2)(year)
    np.testing.assert_allclose(model.predict(X), fitted, atol=0.05)


def curves_of(design, X, weights=None):
    schema = Schema.of(X)
    values = schema.encode(X)
    made = make_design(schema, design, values)
    matrix = made.matrix(values)
    seen = sufficient_statistics(matrix, np.arange(len(X), dtype=float), weights)
    return Curves.of(made, values, matrix, weights, seen), matrix, seen.x_mean


def test_uncorrelated_terms_have_priors_of_their_own():
    """The closed form: variance 1 / var(term), but for the tenth of the weight that is not rows'.

    Two columns on a grid: all terms are uncorrelated, and places are in the grid's range.
    """
    grid = np.linspace(-1, 1, 41)
    X = pd.DataFrame({"a": np.repeat(grid, 41), "b": np.tile(grid, 41)})
    curves, matrix, _ = curves_of(PolynomialFeatures(1, include_bias=False), X)
    cov = curves.root([0, 1]) @ curves.root([0, 1]).T
    np.testing.assert_allclose(cov, np.diag(1 / matrix.var(axis=0)), rtol=0.12, atol=1e-9)
    alone = curves.root([1])
    np.testing.assert_allclose(alone**2, 1 / matrix[:, 1].var(), rtol=0.12)


def test_the_prior_of_the_curve_is_the_unit_information_prior():
    """Over the rows its variances are the leverages, times n, but for the weight of places."""
    X = rows(2000)
    curves, matrix, mean = curves_of(PolynomialFeatures(2, include_bias=False), X)
    terms = np.flatnonzero(np.linalg.norm(matrix - matrix.mean(axis=0), axis=0) > 0)
    root = curves.root(range(matrix.shape[1]))
    ours = np.square((matrix - mean) @ root).sum(axis=1)
    basis = np.linalg.svd((matrix - mean)[:, terms], full_matrices=False)[0][:, :8]
    leverage = len(X) * np.square(basis).sum(axis=1)  # t and its square are one
    assert (ours < leverage / 0.9 * (1 + 1e-9)).all()
    assert np.median(ours / leverage) > 0.7


@pytest.mark.parametrize("n", [6, 200])
def test_roots_belong_to_curves_and_not_to_terms(n):
    """Any linear map of the terms maps the draws of coefficients by its inverse."""
    X = rows(n)
    names = [*DESIGNS["powers and products"].fit(X).get_feature_names_out()]

    class Mapped(Shuffled):
        def transform(self, X):
            made = self.powers_.transform(X)
            mix = np.random.default_rng(5).normal(size=(len(names), len(names)))
            return np.asarray(made) @ mix + 3.0

    own, matrix, mean = curves_of(PolynomialFeatures(2, include_bias=False), X)
    other, mapped, mapped_mean = curves_of(Mapped(), X)
    every = range(len(names))
    np.testing.assert_allclose(
        (mapped - mapped_mean) @ other.root(every), (matrix - mean) @ own.root(every), atol=1e-6
    )


def test_frequencies_are_copies():
    X = rows(40)
    weights = np.random.default_rng(0).integers(1, 4, 40).astype(float)
    copies = X.loc[X.index.repeat(weights.astype(int))].sample(frac=1, random_state=0)
    design = PolynomialFeatures(2, include_bias=False)
    weighted, repeated = curves_of(design, X, weights)[0], curves_of(design, copies)[0]
    np.testing.assert_allclose(weighted.root(range(9)), repeated.root(range(9)), atol=1e-8)


@pytest.mark.parametrize("settings", [{"family": "bernoulli"}, {"inference": "nuts"}])
def test_nuts_gets_the_same_numbers_to_the_last_bit(settings):
    """It is chaotic in the last bit; rows in another order, or as copies, are the same data."""
    X = rows(40)
    y = outcomes(X, settings.get("family", "gaussian"))
    counts = np.random.default_rng(0).integers(1, 4, 40).astype(float)
    again = np.random.default_rng(1).permutation(np.repeat(np.arange(40), counts.astype(int)))
    roots = []
    for k, weights in ((np.arange(40), counts), (again, None)):
        table = X.iloc[k].reset_index(drop=True)
        schema = Schema.of(table)
        parsed = draft(schema, design=PolynomialFeatures(2, include_bias=False), **settings)
        model, _ = specify(parsed, schema.encode(table), y.to_numpy()[k], weights)
        roots.append(model.of_outcome.priors.groups[0].prior.parameters["root"])
    np.testing.assert_array_equal(*roots)


def test_terms_that_repeat_each_other_get_the_same_root_from_rows_in_any_order():
    """Both columns with a term for each level: two directions in which no curve moves."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.choice(list("pqr"), 60), "b": rng.choice(list("uv"), 60)})
    design = make_column_transformer((OneHotEncoder(sparse_output=False), ["a", "b"]))
    here, _, _ = curves_of(design, X)
    there, _, _ = curves_of(design, X.sample(frac=1, random_state=1))
    np.testing.assert_allclose(here.root(range(5)), there.root(range(5)), atol=1e-8)
    gram = np.linalg.lstsq(here.gram, np.eye(len(here.gram)))[0]
    root = here.gram @ here.root(range(5))  # what it makes of curves is orthonormal
    np.testing.assert_allclose(root @ root.T, here.gram @ gram, atol=1e-8)


def test_the_factor_of_distinct_rows_has_their_covariance():
    X = rows(30).to_numpy()
    weights = np.arange(1.0, 31.0)
    seen = distinct_rows(X, np.arange(30.0), weights)
    centred = X - np.average(X, axis=0, weights=weights)
    truth = (weights[:, None] * centred).T @ centred
    np.testing.assert_allclose(seen.factor.T @ seen.factor, truth, rtol=1e-9)


def test_a_cell_that_nobody_was_in_stays_wide():
    """Treatment was never seen in town b: the data say nothing of it there, nor may the prior."""
    rng = np.random.default_rng(2)
    X = pd.DataFrame({"t": rng.integers(0, 2, 400), "town": rng.choice(["a", "b"], 400)})
    X.loc[X["town"] == "b", "t"] = 0
    y = X["t"] + rng.normal(size=400)
    design = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(drop="first", sparse_output=False), ["town"]), remainder="passthrough"
        ),
        PolynomialFeatures(interaction_only=True, include_bias=False),
    )
    model = BayesianInterventionRegressor(design=design, random_state=0).fit(X, y)
    with warnings.catch_warnings():  # it is beyond what was seen, and says so
        warnings.simplefilter("ignore", UserWarning)
        effect = model.effect(X, do={"t": 1}, baseline={"t": 0})
    spread = pd.Series(effect.std()).groupby(X["town"].to_numpy()).mean()
    assert spread["a"] < 0.2
    assert 2.5 * y.std() < spread["b"] < 25 * y.std()


def test_a_transformer_that_refuses_numbers_it_was_not_fitted_to():
    """Then places are made of numbers that were seen."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"t": rng.normal(size=300), "year": rng.integers(2000, 2004, 300)})
    y = X["t"] + (X["year"] == 2003) + rng.normal(size=300)
    design = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["year"]), remainder="passthrough"
    )
    model = BayesianInterventionRegressor(design=design, random_state=0).fit(X, y)
    later = model.effect(X, do={"year": 2003}, baseline={"year": 2000}).average()
    means = y.groupby(X["year"]).mean() - X.groupby("year")["t"].mean() * later_slope(X, y)
    assert abs(later.mean()[0] - (means[2003] - means[2000])) < 0.05


def later_slope(X, y):
    levels = pd.get_dummies(X["year"]).to_numpy(dtype=float)
    return np.linalg.lstsq(np.column_stack([X["t"], levels]), y)[0][0]


class Whitened(Shuffled):
    """Powers and products times a matrix."""

    def __init__(self, root, degree=2, seed=0):
        super().__init__(degree, seed)
        self.root = root

    def transform(self, X):
        return np.asarray(self.powers_.transform(X)) @ self.root


@pytest.mark.parametrize(
    "priors", [{}, {"dose": Prior("Normal", mu=0, sigma=Prior("Exponential"))}]
)
def test_it_is_independent_normals_of_a_design_that_is_whitened_by_hand(priors):
    """Then the engine for coefficients that are independent has to give the same draws."""
    X = rows(30)
    y = outcomes(X, "gaussian")
    plain = PolynomialFeatures(2, include_bias=False)
    curves, _, _ = curves_of(plain, X)
    names = [*plain.fit(X).get_feature_names_out()]
    by_default = [
        k for k, name in enumerate(names) if not priors or name not in ("dose", "dose^2")
    ]
    root = np.eye(9)
    root[np.ix_(by_default, by_default)] = curves.root(by_default)
    ours = BayesianInterventionRegressor(design=plain, priors=priors, random_state=0).fit(X, y)
    given = {f"design{k}": Prior("Normal", mu=0, sigma=2.5 * y.std(ddof=0)) for k in by_default}
    theirs = BayesianInterventionRegressor(
        design=Whitened(root), priors=given | priors, random_state=0
    ).fit(X, y)
    asked = X.head(5)
    np.testing.assert_allclose(
        ours.intervene(asked, do={"year": 0.5}).draws.values,
        theirs.intervene(asked, do={"year": 0.5}).draws.values,
        rtol=1e-6,
        atol=1e-6 * y.std(),
    )


def test_terms_with_priors_of_their_own_leave_the_rest_its_curve():
    X = rows(300)
    y = outcomes(X, "gaussian")
    pinned = {"dose": Prior("Normal", mu=4.0, sigma=1e-4)}
    design = PolynomialFeatures(interaction_only=True, include_bias=False)
    model = BayesianInterventionRegressor(design=design, priors=pinned, random_state=0).fit(X, y)
    found = pd.Series(model.coef_, model.idata_["posterior"]["y_term"].values)
    assert abs(found["dose"] - 4) < 1e-3
    made = design.fit_transform(X)
    rest = np.delete(made, 2, axis=1)
    columns = np.column_stack([np.ones(300), rest])
    truth = np.linalg.lstsq(columns, y - 4 * X["dose"])[0][1:]
    np.testing.assert_allclose(np.delete(model.coef_, 2), truth, atol=0.05)
