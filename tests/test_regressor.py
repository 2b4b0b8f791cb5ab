"""`BayesianInterventionRegressor` as a regressor, a PyMC model and a simulator."""

import copy
import pickle

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import statsmodels.formula.api as smf
from conftest import N_STANDARD_ERRORS, assert_mean, family_wise
from pymc_extras.prior import Prior
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import PolynomialFeatures

from interventional import BayesianInterventionRegressor
from interventional.scm.compiling import python_mode

FLAT = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}


def regressor(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 100, "chains": 2, "random_state": 0} | parameters
    )


@pytest.fixture(scope="module")
def model(linear_data):
    return regressor().fit(*linear_data)


def draws_of(model, name):
    values = model.idata_["posterior"][name].values
    return values.reshape(-1, *values.shape[2:])


def same_posterior(a, b):
    for name in a.idata_["posterior"].data_vars:
        np.testing.assert_array_equal(draws_of(a, name), draws_of(b, name))


class TestPredict:
    """Predictions from the posterior's mean and covariance."""

    @pytest.mark.parametrize(
        "parameters",
        [{}, {"fit_intercept": False}, {"design": PolynomialFeatures(2)}, {"priors": FLAT}],
        ids=["default", "no intercept", "design", "flat"],
    )
    def test_is_the_design_times_the_mean(self, linear_data, parameters):
        X, y = linear_data
        model = regressor(**parameters).fit(X, y)
        design = parameters.get("design")
        matrix = X.to_numpy() if design is None else design.fit_transform(X)
        expected = matrix @ model.coef_ + model.intercept_
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)

    def test_equals_forcing_what_was_observed(self, model, linear_data):
        """Seeing and doing agree where nothing is changed."""
        X, _ = linear_data
        as_observed = model.intervene(X, {"a": X["a"], "c": X["c"]})
        np.testing.assert_allclose(model.predict(X), as_observed.mean(), rtol=1e-10)

    @pytest.mark.parametrize("fit_intercept", [True, False])
    def test_std_is_that_of_the_draws(self, linear_data, fit_intercept):
        """Brute force: variance of E[y | X] over the draws plus the mean of sigma²."""
        X, y = linear_data
        model = regressor(fit_intercept=fit_intercept).fit(X, y)
        mu = draws_of(model, "y_beta") @ X.to_numpy().T
        if fit_intercept:
            mu += draws_of(model, "y_intercept")[:, None]
        variance = mu.var(axis=0, ddof=1) + np.square(draws_of(model, "y_sigma")).mean()
        mean, std = model.predict(X, return_std=True)
        np.testing.assert_array_equal(mean, model.predict(X))
        # One is of the exact posterior, the other of its draws.
        chance = family_wise(len(X)) / np.sqrt(2 * len(mu))
        np.testing.assert_allclose(std, np.sqrt(variance), rtol=chance)
        np.testing.assert_allclose(std, np.sqrt(variance), rtol=0.02)

    def test_std_far_from_zero(self, linear_data):
        """Columns and outcome far from zero have the sd that they have near it."""
        X, y = linear_data
        _, near = regressor().fit(X, y).predict(X, return_std=True)
        _, far = regressor().fit(X + 1e6, y + 1e6).predict(X + 1e6, return_std=True)
        np.testing.assert_allclose(far, near, rtol=1e-6)

    def test_std_is_that_of_bayesian_ridge(self):
        """With many rows no prior matters."""
        rng = np.random.default_rng(3)
        X = rng.normal(size=(4000, 3))
        y = X @ [1.0, -2.0, 0.5] + 3.0 + rng.normal(size=4000)
        ours = regressor(draws=1000).fit(X, y).predict(X[:50], return_std=True)
        theirs = BayesianRidge().fit(X, y).predict(X[:50], return_std=True)
        # mean and sd have standard errors of sd(mu) / sqrt(S) and, through sigma, of
        # sigma / sqrt(2 n S) and less; 1e-3 is ten of them
        np.testing.assert_allclose(ours[0], theirs[0], atol=5e-3)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=2e-3)

    def test_score_is_r2(self, model, linear_data):
        X, y = linear_data
        assert model.score(X, y) == r2_score(y, model.predict(X))
        weights = np.linspace(0, 1, 100)
        weighted = r2_score(y, model.predict(X), sample_weight=weights)
        assert model.score(X, y, weights) == weighted

    def test_predictions_do_not_depend_on_what_is_predicted(self, model, linear_data):
        """A row has one prediction, alone or among others, in any order."""
        X, _ = linear_data
        whole, std = model.predict(X, return_std=True)
        for rows in ([5], [9, 5, 2], list(range(100))[::-1]):
            mean, each = model.predict(X.iloc[rows], return_std=True)
            np.testing.assert_allclose(mean, whole[rows], rtol=1e-12)
            np.testing.assert_allclose(each, std[rows], rtol=1e-12)


class TestSampleY:
    """Draws from the posterior predictive distribution."""

    def test_shape(self, model, linear_data):
        X, _ = linear_data
        assert model.sample_y(X).shape == (100, 1)
        assert model.sample_y(X.head(7), 300).shape == (7, 300)

    def test_moments(self, linear_data):
        """Mean and sd are those of `predict`."""
        X, y = linear_data
        model = regressor(draws=2000).fit(X, y)
        samples = model.sample_y(X, 4000, random_state=1)
        mean, std = model.predict(X, return_std=True)
        z = (samples.mean(axis=1) - mean) / std * np.sqrt(4000)
        assert np.abs(z).max() < family_wise(100)
        relative = (samples.std(axis=1) / std - 1) * np.sqrt(2 * 4000)
        assert np.abs(relative).max() < family_wise(100)

    def test_noise_is_independent_over_rows_and_samples(self):
        """Of rows at the mean of X, samples correlate by Var(mu) / Var(y) only: by 1/n here."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(500, 1))
        model = regressor(draws=2000).fit(X, rng.normal(size=500))
        samples = model.sample_y(np.full((40, 1), X.mean()), 2000, random_state=2)
        pairs = np.corrcoef(samples)[np.triu_indices(40, 1)]
        assert np.abs(pairs - 1 / 501).max() * np.sqrt(2000) < family_wise(len(pairs))
        assert len(np.unique(samples)) == samples.size

    def test_more_samples_than_draws(self, model, linear_data):
        """Draws serve again, with noise of their own."""
        X, _ = linear_data
        samples = model.sample_y(X.head(2), 5000)
        assert len(np.unique(samples)) == samples.size

    def test_random_state(self, model, linear_data):
        X, _ = linear_data
        np.testing.assert_array_equal(model.sample_y(X, 2), model.sample_y(X, 2, random_state=0))
        assert not np.allclose(model.sample_y(X, 2), model.sample_y(X, 2, random_state=1))
        state = np.random.RandomState(0)
        first, second = (model.sample_y(X, 2, random_state=state) for _ in range(2))
        assert not np.allclose(first, second)


class TestBuildModel:
    """The textbook model, by name."""

    def test_variables(self, model, linear_data):
        """A variable for each column, and the equation's own, on named dimensions."""
        X, y = linear_data
        X = X.set_axis([f"row {k}" for k in range(100)])
        built = model.build_model(X, y)
        names = {"a", "b", "c", "y", "y_mu", "y_beta", "y_intercept", "y_sigma"}
        assert set(built.named_vars) == names
        dims = {name: ("obs",) for name in ("a", "b", "c", "y_mu", "y")} | {"y_beta": ("y_term",)}
        assert {name: tuple(d) for name, d in built.named_vars_to_dims.items() if d} == dims
        assert built.coords["obs"] == tuple(X.index)
        assert built.coords["y_term"] == ("a", "b", "c")
        assert [v.name for v in built.observed_RVs] == ["y"]
        np.testing.assert_array_equal(built.rvs_to_values[built["y"]].data, y)
        for name in X:
            np.testing.assert_array_equal(built[name].get_value(), X[name])

    def test_the_callers_outcome_is_not_aliased(self, model, linear_data):
        """Changing y later does not change what is observed."""
        X, y = linear_data
        values = y.to_numpy(copy=True)
        built = model.build_model(X, values)
        values[:] = 0.0
        np.testing.assert_array_equal(built.rvs_to_values[built["y"]].data, y)

    def test_default_priors_are_scaled_by_the_data(self, linear_data):
        """beta ~ N(0, 2.5 sd(y)/sd(x)), intercept at the means ~ N(mean(y), 2.5 sd(y))."""
        X, y = linear_data
        built = regressor().build_model(X, y)
        density = built.compile_fn(
            built.logp(vars=built.free_RVs, jacobian=False), mode=python_mode()
        )
        beta, intercept, sigma = np.array([0.5, -1.0, 2.0]), 0.3, 0.7
        sd = y.std(ddof=0)
        log_2 = np.log(np.float32(2))  # PyMC takes the log of its integer 2 in single precision
        by_hand = (
            stats.norm.logpdf(beta, 0, 2.5 * sd / X.std(ddof=0)).sum()
            + stats.norm.logpdf(intercept + X.mean() @ beta, y.mean(), 2.5 * sd)
            + float(log_2)
            + stats.t(4, scale=sd).logpdf(sigma)
        )
        point = {"y_beta": beta, "y_intercept": np.array(intercept)}
        point["y_sigma_log__"] = np.log(sigma)
        np.testing.assert_allclose(density(point), by_hand, rtol=1e-10)

    def test_without_y_nothing_is_observed(self, model, linear_data):
        """Generative, fitted or not; the fitted one has the fit's priors."""
        X, y = linear_data
        for each in (model, regressor()):
            built = each.build_model(X.head(4))
            assert built.observed_RVs == []
            assert {v.name for v in built.free_RVs} >= {"y", "y_beta", "y_intercept", "y_sigma"}
            assert built.coords["obs"] == (0, 1, 2, 3)
        point = {
            "y_beta": np.ones(3),
            "y_intercept": np.array(0.5),
            "y_sigma_log__": np.array(0.1),
        }
        densities = []
        for built in (model.build_model(X.head(4)), model.build_model(X, y)):
            parameters = [built[name] for name in ("y_beta", "y_intercept", "y_sigma")]
            density = built.compile_fn(
                built.logp(vars=parameters),
                inputs=[built.rvs_to_values[parameter] for parameter in parameters],
                mode=python_mode(),
            )
            densities.append(density(point))
        np.testing.assert_allclose(*densities, rtol=1e-12)

    def test_is_readable_as_a_graph(self, linear_data):
        """Every column and parameter is a node, and y hangs from y_mu."""
        X, y = linear_data
        graph = pm.model_to_graphviz(regressor().build_model(X, y))
        for name in ("a", "b", "c", "y_mu", "y_beta", "y_intercept", "y_sigma", "y"):
            assert f"\t\t{name} [" in graph.source or f"\t{name} [" in graph.source
        for edge in ("a -> y_mu", "y_beta -> y_mu", "y_mu -> y", "y_sigma -> y"):
            assert edge in graph.source

    def test_leaves_the_estimator_alone(self, linear_data):
        X, y = linear_data
        estimator = regressor()
        before = vars(estimator).copy()
        estimator.build_model(X, y)
        estimator.build_model(X)
        assert vars(estimator) == before

    def test_levels(self):
        """A column of levels is one variable, of codes."""
        X = pd.DataFrame({"sex": ["m", "f", "m"], "a": [1.0, 2.0, 3.0]})
        built = regressor().build_model(X)
        assert built.coords["y_term"] == ("sex[m]", "a")
        np.testing.assert_array_equal(built["sex"].get_value(), [1.0, 0.0, 1.0])


TRUTH = {"y_intercept": 2.0, "y_beta": {"a": 1.0, "b": -1.0, "c": 0.5}, "y_sigma": 0.3}


class TestSimulate:
    """Data from the model with parameters forced."""

    def test_forced_parameters(self, linear_data):
        """y - 2 - X beta is N(0, 0.3²)."""
        X = pd.concat([linear_data[0]] * 10, ignore_index=True)
        table = regressor().simulate(X, TRUTH, random_state=0)
        assert list(table.columns) == ["a", "b", "c", "y"]
        pd.testing.assert_frame_equal(table[["a", "b", "c"]], X)
        z = (table["y"] - 2.0 - X @ [1.0, -1.0, 0.5]) / 0.3
        assert stats.kstest(z, "norm").pvalue > 1e-4

    @pytest.mark.parametrize(
        "beta",
        [
            {"c": 0.5, "b": -1.0, "a": 1.0},
            [1.0, -1.0, 0.5],
            (1, -1, 0.5),
            np.array([1.0, -1.0, 0.5]),
            pd.Series({"b": -1.0, "a": 1.0, "c": 0.5}),
        ],
        ids=["mapping", "list", "tuple", "array", "Series"],
    )
    def test_ways_to_write_coefficients(self, linear_data, beta):
        """A mapping or Series goes by name, an array by position."""
        X, _ = linear_data
        truth = {**TRUTH, "y_beta": beta, "y_sigma": 1e-9}
        table = regressor().simulate(X, truth, random_state=0)
        np.testing.assert_allclose(table["y"], 2.0 + X @ [1.0, -1.0, 0.5], atol=1e-6)

    def test_unforced_parameters_come_from_their_priors(self):
        """On the identity matrix y is beta itself: Normal(1, 3) under a prior of the user's."""
        X = np.eye(400)
        priors = {"beta": Prior("Normal", mu=1, sigma=3)}
        truth = {"y_intercept": 0.0, "y_sigma": 1e-9}
        y = regressor(priors=priors).simulate(X, truth, random_state=0)["y"]
        assert stats.kstest(y, stats.norm(1, 3).cdf).pvalue > 1e-4

    def test_unforced_scale_and_intercept_over_seeds(self):
        """Var(y) over seeds is Var(intercept) + E[sigma²] = 4 + 1 with beta forced to 0."""
        priors = {
            "intercept": Prior("Normal", mu=5, sigma=2),
            "sigma": Prior("HalfNormal", sigma=1),
        }
        model = regressor(priors=priors)
        X = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
        tables = [model.simulate(X, {"y_beta": [0.0]}, random_state=k)["y"] for k in range(60)]
        y = np.array(tables)
        assert_mean(y.mean(axis=1), 5.0)
        assert_mean(np.square(y[:, 0] - 5.0), 5.0)
        # rows share the intercept, not the noise
        assert_mean((y[:, 0] - 5.0) * (y[:, 1] - 5.0), 4.0)

    def test_nothing_forced(self, linear_data):
        """The prior predictive; a fitted model's priors are those of the fit."""
        X, y = linear_data
        drawn = regressor().fit(X, y * 1e6).simulate(X, {}, random_state=0)["y"]
        assert drawn.std() > 1e4
        assert regressor().simulate(X, {}, random_state=0)["y"].std() < 1e3

    def test_random_state(self, linear_data):
        X, _ = linear_data
        model = regressor()
        first, again, other = (
            model.simulate(X, TRUTH, random_state=seed)["y"] for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.allclose(first, other)

    def test_arrays_and_levels(self):
        """An array's columns are x0, x1, …; levels keep their names as terms."""
        table = regressor().simulate([[1.0, 2.0]], {"y_sigma": 1e-9, "y_intercept": 0})
        assert list(table.columns) == ["x0", "x1", "y"]
        X = pd.DataFrame({"sex": ["f", "m", "f"]}, index=list("uvw"))
        truth = {"y_intercept": 1.0, "y_beta": {"sex[m]": 2.0}, "y_sigma": 1e-9}
        table = regressor().simulate(X, truth, random_state=0)
        np.testing.assert_allclose(table["y"], [1.0, 3.0, 1.0], atol=1e-6)
        assert list(table.index) == list("uvw")

    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"y_betta": [1, 1, 1]}, ValueError, "'y_betta'.*did you mean 'y_beta'"),
            ({"a": 1.0}, ValueError, "unknown parameter 'a'.*'y_sigma'"),
            ({"y": 1.0}, ValueError, "unknown parameter 'y'"),
            ({"y_beta": [1.0]}, ValueError, r"'y_beta'.*\(3,\)"),
            ({"y_beta": 1.0}, ValueError, r"'y_beta'.*\(3,\)"),
            ({"y_beta": {"a": 1, "b": 1}}, ValueError, "'y_beta'.*lacks.*'c'"),
            ({"y_beta": {"a": 1, "b": 1, "d": 1}}, ValueError, "'d'.*Known: 'a', 'b', 'c'"),
            ({"y_beta": [1.0, np.nan, 0.0]}, ValueError, "'y_beta'.*finite"),
            ({"y_sigma": [1.0, 2.0]}, ValueError, "'y_sigma'"),
            ({"y_sigma": np.inf}, ValueError, "'y_sigma'.*finite"),
            ({"y_sigma": -1.0}, ValueError, "y_sigma"),
            ([("y_sigma", 1.0)], TypeError, "parameters must be a mapping"),
            (None, TypeError, "parameters must be a mapping"),
        ],
    )
    def test_bad_parameters(self, linear_data, parameters, error, message):
        estimator = regressor()
        before = vars(estimator).copy()
        with pytest.raises(error, match=message):
            estimator.simulate(linear_data[0], parameters)
        assert vars(estimator) == before


class TestFitted:
    """What `fit` leaves behind."""

    def test_idata_goes_into_arviz(self, model):
        """Rows by term name; means and sds are those of the draws."""
        summary = az.summary(model.idata_, kind="stats", round_to="none")
        rows = ["y_intercept", "y_sigma", "y_beta[a]", "y_beta[b]", "y_beta[c]"]
        assert sorted(summary.index) == sorted(rows)
        np.testing.assert_allclose(summary.loc[rows[2:], "mean"].astype(float), model.coef_)
        sd = draws_of(model, "y_beta").std(axis=0, ddof=1)
        np.testing.assert_allclose(summary.loc[rows[2:], "sd"].astype(float), sd)
        diagnostics = az.summary(model.idata_, kind="diagnostics", round_to="none")
        assert diagnostics.astype(float)["r_hat"].max() < 1.1

    def test_attributes(self, model, linear_data):
        assert model.coef_.shape == (3,)
        assert isinstance(model.intercept_, float)
        assert model.n_features_in_ == 3
        assert list(model.feature_names_in_) == ["a", "b", "c"]
        posterior = model.idata_["posterior"]
        assert posterior.sizes["chain"] == 2
        assert posterior.sizes["draw"] == 100
        assert posterior.attrs["inference"] == "exact"
        np.testing.assert_allclose(model.coef_, draws_of(model, "y_beta").mean(axis=0))
        np.testing.assert_allclose(model.intercept_, draws_of(model, "y_intercept").mean())
        bare = regressor(fit_intercept=False).fit(*linear_data)
        assert bare.intercept_ == 0.0
        assert "y_intercept" not in bare.idata_["posterior"]

    def test_another_outcome(self, linear_data):
        """outcome="sales" names everything after it, and changes no number."""
        X, y = linear_data
        sales, plain = regressor(outcome="sales").fit(X, y), regressor().fit(X, y)
        names = {"sales_beta", "sales_intercept", "sales_sigma"}
        assert set(sales.idata_["posterior"].data_vars) == names
        assert list(sales.idata_["posterior"]["sales_term"].values) == ["a", "b", "c"]
        built = sales.build_model(X, y)
        assert set(built.named_vars) == names | {"a", "b", "c", "sales_mu", "sales"}
        lift = sales.effect(X, {"b": 0})
        assert lift.estimand == "E[sales | do(b = 0)] - E[sales | do(b as observed)]"
        np.testing.assert_array_equal(lift.mean(), plain.effect(X, {"b": 0}).mean())
        truth = {"sales_beta": [1, 1, 1], "sales_intercept": 0, "sales_sigma": 1e-9}
        table = regressor(outcome="sales").simulate(X, truth, random_state=0)
        np.testing.assert_allclose(table["sales"], X.sum(axis=1), atol=1e-6)

    def test_a_column_may_be_called_y_if_the_outcome_is_not(self, linear_data):
        X, y = linear_data
        X = X.rename(columns={"b": "y"})
        model = regressor(outcome="sales").fit(X, y)
        replaced = X.assign(y=0.0)
        np.testing.assert_allclose(
            model.intervene(X, {"y": 0}).mean(), model.predict(replaced), rtol=1e-10
        )

    def test_random_state(self, linear_data):
        """An int gives the same fit again, None another, a RandomState moves on."""
        same_posterior(regressor().fit(*linear_data), regressor().fit(*linear_data))
        none = [regressor(random_state=None).fit(*linear_data).coef_ for _ in range(2)]
        assert not np.array_equal(*none)
        state = np.random.RandomState(0)
        moving = [regressor(random_state=state).fit(*linear_data) for _ in range(2)]
        assert not np.array_equal(moving[0].coef_, moving[1].coef_)
        same_posterior(
            moving[0], regressor(random_state=np.random.RandomState(0)).fit(*linear_data)
        )

    def test_an_unseeded_fit_answers_deterministically(self, linear_data):
        X, y = linear_data
        model = regressor(random_state=None).fit(X, y)
        np.testing.assert_array_equal(
            model.intervene(X, {"b": stats.norm()}, kind="predictive").draws.values,
            model.intervene(X, {"b": stats.norm()}, kind="predictive").draws.values,
        )

    def test_refit_forgets(self, linear_data):
        """A second fit, on other columns, is like a first."""
        X, y = linear_data
        model = regressor().fit(pd.DataFrame({"sex": ["f", "m"] * 50, "z": np.cos(y)}), y)
        model.fit(X, y)
        fresh = regressor().fit(X, y)
        same_posterior(model, fresh)
        assert set(vars(model)) == set(vars(fresh))
        np.testing.assert_array_equal(
            model.intervene(X, {"b": 0}).mean(), fresh.intervene(X, {"b": 0}).mean()
        )

    def test_data_are_not_changed_or_kept(self, linear_data):
        """Fitting changes no data; changing data later changes no answer."""
        X, y = (each.to_numpy(copy=True) for each in linear_data)
        before = X.copy(), y.copy()
        model = regressor().fit(X, y)
        np.testing.assert_array_equal(X, before[0])
        np.testing.assert_array_equal(y, before[1])
        answer = model.intervene(X, {0: 1}, kind="predictive").mean()
        X[:], y[:] = 0.0, 0.0
        again = model.intervene(before[0], {0: 1}, kind="predictive").mean()
        np.testing.assert_array_equal(answer, again)

    @pytest.mark.parametrize(
        "round_trip",
        [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy, copy.copy],
        ids=["pickle", "deepcopy", "copy"],
    )
    @pytest.mark.parametrize("design", [None, PolynomialFeatures(2, include_bias=False)])
    def test_round_trip(self, linear_data, round_trip, design):
        """Everything a model answers survives."""
        X, y = linear_data
        model = regressor(design=design).fit(X, y)
        back = round_trip(model)
        same_posterior(model, back)
        do = {"b": lambda X: X["b"] + 1}
        for ask in (
            lambda m: m.predict(X, return_std=True)[1],
            lambda m: m.sample_y(X, 3),
            lambda m: m.effect(X, do, kind="predictive").draws.values,
            lambda m: m.intervene(X, {"a": stats.norm()}).draws.values,
        ):
            np.testing.assert_array_equal(ask(back), ask(model))
        assert back.idata_["posterior"].attrs == model.idata_["posterior"].attrs
        assert list(back.idata_["posterior"]["y_beta"].dims) == ["chain", "draw", "y_term"]
        back.build_model(X, y)

    def test_clone(self, model, linear_data):
        """A clone is not fitted, and fits to the same."""
        copied = clone(model)
        assert not hasattr(copied, "idata_")
        same_posterior(copied.fit(*linear_data), model)

    def test_clone_keeps_priors_and_design(self, linear_data):
        X, y = linear_data
        model = regressor(priors=FLAT, design=PolynomialFeatures(2, include_bias=False))
        same_posterior(clone(model).fit(X, y), model.fit(X, y))


class TestLevels:
    """Categorical columns enter by treatment coding."""

    @pytest.mark.parametrize("dtype", ["category", "str", "object"])
    def test_equal_ordinary_least_squares(self, dtype):
        """Under Flat priors the posterior means are those of statsmodels' y ~ C(sex) + ….

        In units of Monte Carlo standard errors; the sds have n - p - 1 degrees of freedom for
        statsmodels' n - p, sigma having a flat prior too.
        """
        rng = np.random.default_rng(6)
        n = 120
        X = pd.DataFrame(
            {
                "age": rng.normal(40, 10, n),
                "sex": rng.choice(["female", "male"], n),
                "site": rng.choice(["c", "a", "b"], n),
                "old": rng.random(n) < 0.5,
            }
        )
        y = 0.1 * X["age"] + (X["sex"] == "male") - 2.0 * (X["site"] == "b") + rng.normal(size=n)
        theirs = smf.ols(
            "y ~ age + C(sex) + C(site) + old", X.assign(y=y, old=X["old"].astype(float))
        ).fit()
        X = X.astype({"sex": dtype, "site": dtype})
        model = regressor(priors=FLAT, draws=2000).fit(X, y)
        terms = {
            "age": "age",
            "sex[male]": "C(sex)[T.male]",
            "site[b]": "C(site)[T.b]",
            "site[c]": "C(site)[T.c]",
            "old": "old",
        }
        assert list(model.idata_["posterior"]["y_term"].values) == list(terms)
        expected = theirs.params[list(terms.values())].to_numpy()
        dof = theirs.df_resid - 1
        widening = np.sqrt(theirs.df_resid / dof * dof / (dof - 2))
        sd = theirs.bse[list(terms.values())].to_numpy() * widening
        draws = draws_of(model, "y_beta")
        z = (draws.mean(axis=0) - expected) / sd * np.sqrt(len(draws))
        assert np.abs(z).max() < 4
        assert np.abs(draws.std(axis=0) / sd - 1).max() * np.sqrt(2 * len(draws)) < 4.5
        intercept = draws_of(model, "y_intercept")
        error = theirs.bse["Intercept"] * widening / np.sqrt(len(draws))
        assert abs(intercept.mean() - theirs.params["Intercept"]) / error < 4

    def test_order_of_categories(self):
        """The base is the first category in their own order; one that does not occur is none."""
        X = pd.DataFrame(
            {"dose": pd.Categorical(["lo", "hi", "mid"] * 10, ["no", "lo", "mid", "hi"])}
        )
        model = regressor().fit(X, np.arange(30.0))
        assert list(model.idata_["posterior"]["y_term"].values) == ["dose[mid]", "dose[hi]"]

    def test_rows_in_any_representation(self):
        """A model fitted on categories predicts for strings, and for a single row."""
        levels = ["lo", "hi", "mid"] * 10
        X = pd.DataFrame({"dose": pd.Categorical(levels, ["lo", "mid", "hi"])})
        y = X["dose"].map({"lo": 0.0, "mid": 1.0, "hi": 4.0}).astype(float)
        model = regressor().fit(X, y + 0.1 * np.cos(np.arange(30)))
        whole = model.predict(X)
        np.testing.assert_array_equal(model.predict(pd.DataFrame({"dose": levels})), whole)
        np.testing.assert_allclose(model.predict(pd.DataFrame({"dose": ["hi"]})), whole[1])


def test_weights_are_frequencies(linear_data):
    """A row of weight 3 is three rows; one of weight 0 is none: the same draws."""
    X, y = linear_data
    weights = np.arange(100) % 4
    repeated = np.repeat(np.arange(100), weights)
    weighted = regressor().fit(X, y, weights)
    copies = regressor().fit(X.iloc[repeated], y.iloc[repeated])
    np.testing.assert_allclose(weighted.coef_, copies.coef_, rtol=1e-8)
    np.testing.assert_allclose(weighted.intercept_, copies.intercept_, rtol=1e-8, atol=1e-10)


def test_flat_priors_are_least_squares(linear_data):
    """Posterior means within Monte Carlo error of LinearRegression."""
    X, y = linear_data
    model = regressor(priors=FLAT, draws=2000).fit(X, y)
    ols = LinearRegression().fit(X, y)
    draws = draws_of(model, "y_beta")
    assert_mean(draws, ols.coef_)
    z = (draws_of(model, "y_intercept").mean() - ols.intercept_) / (
        draws_of(model, "y_intercept").std() / np.sqrt(len(draws))
    )
    assert abs(z) < N_STANDARD_ERRORS


def test_answers_do_not_depend_on_units(linear_data):
    """y times 1e5 plus 1e6 and X in other units give the same effect in those units."""
    X, y = linear_data
    plain = regressor().fit(X, y).effect(X, {"b": 0}).draws.values
    scaled = regressor().fit(X * [1e-3, 40.0, 1.0] + [0, 7.0, 0], y * 1e5 + 1e6)
    other = scaled.effect(X * [1e-3, 40.0, 1.0] + [0, 7.0, 0], {"b": 7.0}).draws.values
    np.testing.assert_allclose(other / 1e5, plain, rtol=1e-6, atol=1e-9)
