"""Priors: the documented defaults, who takes which, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from pymc_extras.prior import Prior
from sklearn.preprocessing import PolynomialFeatures

from interventional import BayesianInterventionRegressor
from interventional.data.design import make_design
from interventional.data.schema import Schema
from interventional.data.seen import sufficient_statistics
from interventional.scm.compiling import python_mode
from interventional.scm.defaults import LOCATIONS, resolve
from interventional.scm.priors import PriorSpec, normal_parameters


def rows(n=40):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": 5 + 20 * rng.normal(size=n),
            "c": pd.Categorical(rng.choice(["u", "v", "w"], size=n)),
        }
    )
    return X, 3 * X["a"].to_numpy() + 100 + rng.normal(size=n)


def resolved(priors=None, design=None, X=None, *, fit_intercept=True, center=True):
    """The priors of an equation, and the matrix that its coefficients multiply."""
    table, y = rows()
    X = table if X is None else X
    schema = Schema.of(X)
    values = schema.encode(X)
    made = make_design(schema, design, values)
    matrix = made.matrix(values)
    statistics = sufficient_statistics(matrix, y, intercept=fit_intercept)
    found = resolve(
        priors, made, values, statistics.moments, fit_intercept=fit_intercept, center=center
    )
    return found, matrix, y, made.terms


def by_term(found, terms):
    """Name of the group and prior of each term."""
    return {
        terms[k]: (group.name, group.prior.distribution)
        for group in found.groups
        for k in group.terms
    }


class TestDefaults:
    """Those of rstanarm: Normal(0, 2.5 sd(y)/sd(x)), intercept Normal(mean(y), 2.5 sd(y))."""

    def test_scales(self):
        found, matrix, y, _ = resolved()
        (group,) = found.groups
        assert group.prior.distribution == "Normal"
        np.testing.assert_allclose(group.prior.parameters["mu"], 0)
        scale = 2.5 * y.std() / matrix.std(axis=0)
        np.testing.assert_allclose(group.prior.parameters["sigma"], scale)
        assert found.intercept.distribution == "Normal"
        np.testing.assert_allclose(found.intercept.parameters["mu"], y.mean())
        np.testing.assert_allclose(found.intercept.parameters["sigma"], 2.5 * y.std())
        assert found.sigma.distribution == "HalfStudentT"
        assert found.sigma.parameters["nu"] == 4
        np.testing.assert_allclose(found.sigma.parameters["sigma"], y.std())

    def test_intercept_at_zero_is_as_wide_as_what_it_extrapolates(self):
        """Its variance at x = 0 is that at the means plus that of mean(x)' beta."""
        found, matrix, y, _ = resolved(center=False)
        scale = 2.5 * y.std() / matrix.std(axis=0)
        rng = np.random.default_rng(1)
        draws = rng.normal(0, 2.5 * y.std(), 400_000)
        draws -= (rng.normal(size=(400_000, len(scale))) * scale) @ matrix.mean(axis=0)
        np.testing.assert_allclose(found.intercept.parameters["sigma"], draws.std(), rtol=0.01)

    def test_no_intercept(self):
        """About zero, all is scaled by root mean squares."""
        found, matrix, y, _ = resolved(fit_intercept=False)
        assert found.intercept is None
        scale = 2.5 * np.sqrt(np.mean(y**2)) / np.sqrt(np.mean(matrix**2, axis=0))
        np.testing.assert_allclose(found.groups[0].prior.parameters["sigma"], scale)

    def test_prior_draws_of_a_model_that_has_seen_nothing(self):
        """Without y the outcome is standardised: Normal(0, 2.5 / sd(x))... for sd(x) = 1."""
        import pymc as pm

        model = BayesianInterventionRegressor().build_model(rows()[0][["a"]])
        draws = pm.draw(
            [model["y_beta"], model["y_sigma"]], draws=4000, random_seed=1, mode=python_mode()
        )
        assert st.kstest(draws[0].ravel(), st.norm(0, 2.5).cdf).pvalue > 1e-4
        assert st.kstest(draws[1], lambda s: 2 * st.t(4).cdf(s) - 1).pvalue > 1e-4


class TestNarrowerNameGoesFirst:
    """A term's own prior before its column's, a column's before that of all coefficients."""

    def test_all(self):
        found, _, _, terms = resolved({"beta": Prior("Laplace", mu=0, b=1)})
        assert set(by_term(found, terms).values()) == {("beta", "Laplace")}

    def test_column_term_and_all(self):
        priors = {
            "beta": Prior("Laplace", mu=0, b=1),
            "c": Prior("Flat"),
            "c[w]": Prior("Normal", mu=7, sigma=2),
        }
        found, _, _, terms = resolved(priors)
        assert by_term(found, terms) == {
            "a": ("beta", "Laplace"),
            "b": ("beta", "Laplace"),
            "c[v]": ("flat", "Flat"),
            "c[w]": ("normal", "Normal"),
        }
        normal = next(group for group in found.groups if group.name == "normal")
        assert normal.prior.parameters["mu"] == 7
        assert normal.prior.parameters["sigma"] == 2

    def test_rest_has_defaults(self):
        found, matrix, y, terms = resolved({"c": Prior("Normal", mu=1, sigma=0.5)})
        (group,) = found.groups
        assert group.terms == tuple(range(len(terms)))
        scale = 2.5 * y.std() / matrix.std(axis=0)
        np.testing.assert_allclose(group.prior.parameters["mu"], [0, 0, 1, 1])
        np.testing.assert_allclose(group.prior.parameters["sigma"], [*scale[:2], 0.5, 0.5])

    def test_column_of_a_design_owns_the_terms_that_come_from_it_alone(self):
        X = rows()[0][["a", "b"]]
        design = PolynomialFeatures(2, include_bias=False)
        priors = {"a": Prior("Normal", mu=3, sigma=1), "a b": Prior("Normal", mu=4, sigma=1)}
        found, _, _, terms = resolved(priors, design, X)
        assert terms == ("a", "b", "a^2", "a b", "b^2")
        np.testing.assert_allclose(found.groups[0].prior.parameters["mu"], [3, 0, 3, 4, 0])

    def test_array_has_one_value_a_term(self):
        found, *_ = resolved({"c": Prior("Normal", mu=np.array([1.0, 2.0]), sigma=1)})
        np.testing.assert_allclose(found.groups[0].prior.parameters["mu"], [0, 0, 1, 2])

    def test_precision(self):
        """Normal(tau) has sd tau^(-1/2)."""
        found, *_ = resolved({"a": Prior("Normal", mu=0, tau=16)})
        assert found.groups[0].prior.parameters["sigma"][0] == 0.25


AUTO = {
    "defaults": (None, "exact"),
    "normal": ({"beta": Prior("Normal", mu=0, sigma=1)}, "exact"),
    "flat": ({"beta": Prior("Flat"), "intercept": Prior("Flat")}, "exact"),
    "flat sigma": ({"sigma": Prior("HalfFlat")}, "exact"),
    "half-Cauchy": ({"sigma": Prior("HalfCauchy", beta=1)}, "exact"),
    "inverse gamma": ({"sigma": Prior("InverseGamma", alpha=3, beta=1)}, "exact"),
    "exponential": ({"sigma": Prior("Exponential", lam=1)}, "exact"),
    "Laplace": ({"beta": Prior("Laplace", mu=0, b=1)}, "'beta'.*Laplace"),
    "one Laplace": ({"a": Prior("Laplace", mu=0, b=1)}, "'a'.*Laplace"),
    "Student-t intercept": ({"intercept": Prior("StudentT", nu=3)}, "intercept.*StudentT"),
    "hierarchical": (
        {"beta": Prior("Laplace", mu=0, b=Prior("HalfNormal", sigma=1))},
        "'beta'.*Laplace",
    ),
    "random sigma": (
        {"sigma": Prior("HalfNormal", sigma=Prior("HalfNormal", sigma=1))},
        "sigma.*HalfNormal",
    ),
}


@pytest.mark.parametrize("name", AUTO)
def test_auto_is_exact_wherever_that_applies(name, monkeypatch):
    """And NUTS else; asked for exact inference where there is none, the error names the prior."""
    from interventional.inference import nuts

    asked = []
    monkeypatch.setattr(nuts, "sample", lambda *args: asked.append("nuts") or 1 / 0)
    priors, expected = AUTO[name]
    X, y = rows()
    settings = {"priors": priors, "random_state": 0, "draws": 5}
    if expected == "exact":
        model = BayesianInterventionRegressor(**settings).fit(X, y)
        assert model.idata_["posterior"].attrs["inference"] == "exact"
        assert not asked
        return
    with pytest.raises(ZeroDivisionError):
        BayesianInterventionRegressor(**settings).fit(X, y)
    assert asked == ["nuts"]
    with pytest.raises(ValueError, match=f"inference='exact'.*{expected}"):
        BayesianInterventionRegressor(**settings, inference="exact").fit(X, y)


REFUSED = {
    "unknown name": ({"beat": Prior("Flat")}, ValueError, "'beat'; did you mean 'beta'"),
    "unknown term": ({"c[x]": Prior("Flat")}, ValueError, r"'c\[x\]'; did you mean 'c\[w\]'"),
    "base level": ({"c[u]": Prior("Flat")}, ValueError, r"unknown name in priors: 'c\[u\]'"),
    "no Prior": ({"beta": 1.0}, TypeError, r"priors\['beta'\] must be a .*Prior or .*, got 1.0"),
    "no mapping": ([Prior("Flat")], (TypeError, ValueError), "'priors' parameter.*must be"),
    "negative sigma": ({"sigma": Prior("Normal", mu=1, sigma=1)}, ValueError, "negative values"),
    "negative support": (
        {"sigma": Prior("Uniform", lower=-1, upper=1)},
        ValueError,
        "negative values",
    ),
    "bad parameters": ({"sigma": Prior("HalfNormal", sigma=-1)}, ValueError, "no distribution"),
    "no location": (
        {"intercept": Prior("Gamma", alpha=1, beta=1)},
        ValueError,
        r"priors\['intercept'\].*Gamma.*no location.*'Normal', 'Flat'",
    ),
    "array for one number": (
        {"sigma": Prior("HalfNormal", sigma=np.ones(2))},
        ValueError,
        "array for a single number",
    ),
    "array for the intercept": (
        {"intercept": Prior("Normal", mu=np.zeros(3))},
        ValueError,
        "array for a single number",
    ),
    "wrong length": (
        {"beta": Prior("Normal", mu=np.zeros(3), sigma=1)},
        ValueError,
        r"'beta' has shape \(3,\), but 4 terms",
    ),
    "wrong length under NUTS": (
        {"c": Prior("Laplace", mu=np.zeros(3), b=1)},
        ValueError,
        r"'c_mu' has shape \(3,\), but 2 terms",
    ),
    "matrix": (
        {"beta": Prior("Normal", mu=np.zeros((4, 1)), sigma=1)},
        ValueError,
        r"shape \(4, 1\)",
    ),
    "sd of zero": ({"beta": Prior("Normal", mu=0, sigma=0)}, ValueError, "needs sigma > 0"),
    "not finite": ({"beta": Prior("Normal", mu=np.nan, sigma=1)}, ValueError, "must be finite"),
}


@pytest.mark.parametrize("before", ["never fitted", "fitted"])
@pytest.mark.parametrize("name", REFUSED)
def test_bad_priors_are_refused_and_the_estimator_stays(name, before):
    priors, error, message = REFUSED[name]
    X, y = rows()
    model = BayesianInterventionRegressor(random_state=0, draws=5)
    if before == "fitted":
        model.fit(X, y)
    model.set_params(priors=priors)
    was = vars(model).copy()
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert vars(model).keys() == was.keys()
    assert all(vars(model)[key] is was[key] for key in was)


def test_prior_for_an_intercept_that_is_not_there():
    X, y = rows()
    model = BayesianInterventionRegressor(
        priors={"intercept": Prior("Flat")}, fit_intercept=False, random_state=0
    )
    with pytest.raises(ValueError, match="intercept, but fit_intercept=False"):
        model.fit(X, y)


def test_column_with_a_reserved_name():
    """A column called beta is fine until somebody gives a prior to 'beta'."""
    X, y = rows()
    X = X.rename(columns={"a": "beta"})
    BayesianInterventionRegressor(random_state=0, draws=5).fit(X, y)
    model = BayesianInterventionRegressor(priors={"beta": Prior("Flat")})
    with pytest.raises(ValueError, match="'beta' is both a column and"):
        model.fit(X, y)


def test_column_of_a_design_without_terms_of_its_own():
    X, y = rows()
    X = X[["a", "b"]]
    design = PolynomialFeatures((2, 2), interaction_only=True, include_bias=False)
    model = BayesianInterventionRegressor(design=design, priors={"a": Prior("Flat")})
    with pytest.raises(ValueError, match=r"'a'.*no term of the design comes from it alone"):
        model.fit(X, y)


def test_unknown_inference():
    X, y = rows()
    model = BayesianInterventionRegressor(inference="nutz")
    was = vars(model).copy()
    with pytest.raises(ValueError, match=r"inference.*'nutz'"):
        model.fit(X, y)
    assert vars(model) == was


# Where SciPy has the density of each distribution that an intercept may have.
SHIFTED = {
    "Normal": ({"mu": 0.3, "sigma": 2.0}, st.norm(0.3, 2.0)),
    "StudentT": ({"nu": 4.0, "mu": 0.3, "sigma": 2.0}, st.t(4, 0.3, 2.0)),
    "Laplace": ({"mu": 0.3, "b": 2.0}, st.laplace(0.3, 2.0)),
    "Logistic": ({"mu": 0.3, "s": 2.0}, st.logistic(0.3, 2.0)),
    "Cauchy": ({"alpha": 0.3, "beta": 2.0}, st.cauchy(0.3, 2.0)),
    "Gumbel": ({"mu": 0.3, "beta": 2.0}, st.gumbel_r(0.3, 2.0)),
    "SkewNormal": ({"mu": 0.3, "sigma": 2.0, "alpha": 1.5}, st.skewnorm(1.5, 0.3, 2.0)),
    "Uniform": ({"lower": -3.0, "upper": 5.0}, st.uniform(-3, 8)),
}


def test_every_location_is_tried():
    assert SHIFTED.keys() | {"Flat"} == LOCATIONS.keys()


@pytest.mark.parametrize("name", SHIFTED)
def test_moved_prior_is_the_prior_moved(name):
    """The density of x + 7 under the prior moved by 7 is SciPy's density of x."""
    import pymc as pm

    parameters, truth = SHIFTED[name]
    spec = PriorSpec.of(name, **parameters)
    leaves = spec.leaves()
    points = np.linspace(-2.5, 4.5, 9)
    with pm.Model():
        moved = spec.create("x", lambda path: leaves[path], by=7.0)
    found = pm.logp(moved, points + 7).eval(mode=python_mode())
    np.testing.assert_allclose(found, truth.logpdf(points), rtol=1e-6)


def test_moved_prior_with_its_location_left_out():
    """Prior('StudentT', nu=3) stands at 0, and moves from there."""
    import pymc as pm

    spec = PriorSpec.parse(Prior("StudentT", nu=3), "here")
    with pm.Model():
        moved = spec.create("x", lambda path: spec.leaves()[path], by=2.0)
    found = pm.logp(moved, 2.5).eval(mode=python_mode())
    np.testing.assert_allclose(found, st.t(3).logpdf(0.5), rtol=1e-8)


def test_spec_keeps_all_of_a_prior():
    """Read, pickled, and made a Prior again: the same distribution, and the same numbers."""
    prior = Prior(
        "Normal", mu=0.5, sigma=Prior("Gamma", alpha=2, beta=Prior("HalfNormal", sigma=3))
    )
    spec = pickle.loads(pickle.dumps(PriorSpec.parse(prior, "here")))
    leaves = spec.leaves()
    assert sorted(leaves.values()) == [0.5, 2, 3]
    assert spec.prior(lambda path: float(leaves[path])) == prior
    assert not spec.is_plain


def test_skeleton_tells_structure_from_numbers():
    """One compiled model serves other numbers, not another distribution, and not an array."""
    normal = PriorSpec.of("Normal", mu=0, sigma=1)
    assert normal.skeleton == PriorSpec.of("Normal", mu=3, sigma=9).skeleton
    assert normal.skeleton != PriorSpec.of("Normal", mu=[0, 1], sigma=1).skeleton
    assert normal.skeleton != PriorSpec.of("Laplace", mu=0, b=1).skeleton
    nested = PriorSpec.parse(Prior("Normal", sigma=Prior("HalfNormal", sigma=1)), "here")
    flat = PriorSpec.parse(Prior("Normal", sigma=1), "here")
    assert nested.skeleton != flat.skeleton


def test_normal_parameters_have_one_value_a_term():
    mean, sd = normal_parameters(PriorSpec.of("Normal", mu=[1, 2], tau=4), 2, "beta")
    np.testing.assert_array_equal(mean, [1, 2])
    np.testing.assert_array_equal(sd, [0.5, 0.5])
    mean, sd = normal_parameters(PriorSpec.of("Normal"), 2, "beta")  # PyMC's own defaults
    np.testing.assert_array_equal(mean, [0, 0])
    np.testing.assert_array_equal(sd, [1, 1])


@pytest.mark.parametrize("name", ["normal", "flat", "curve", "ridge"])
def test_columns_that_are_called_as_groups_of_priors_are(name):
    """Each answer is that of the column under another name."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    y = X["a"] - X["b"] + rng.normal(size=40)
    learns = Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=0.1))
    coefs = []
    for column in ("a", name):
        priors = {column: learns, "b": Prior("Flat")}
        model = BayesianInterventionRegressor(priors=priors, random_state=0)
        coefs.append(model.fit(X.rename(columns={"a": column}), y).coef_)
    np.testing.assert_array_equal(*coefs)
