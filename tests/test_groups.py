"""Coefficients that differ between groups of rows, end to end."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler

from interventional import BayesianInterventionRegressor, MisfitWarning, intervene

RAISED = {"price": lambda X: X["price"] + 1}


def stores(seed=0, n_stores=12, weeks=20):
    """Prices whose effect differs by store: of sd 0.6 around -0.5."""
    rng = np.random.default_rng(seed)
    store, week = (a.ravel() for a in np.indices((n_stores, weeks)))
    level, slope = rng.normal(0, 1, n_stores), rng.normal(-0.5, 0.6, n_stores)
    price = rng.normal(5, 1, store.size)
    y = level[store] + slope[store] * (price - 5) + rng.normal(size=store.size)
    X = pd.DataFrame({"store": store, "week": week, "price": price})
    X["region"] = np.array(["north", "south"])[store % 2]
    return X, y, slope


def fitted(X, y, groups, **settings):
    return BayesianInterventionRegressor(groups=groups, **{"random_state": 0, **settings}).fit(
        X, y
    )


def average(model, X, do=None, **settings):
    return model.effect(X, do=RAISED if do is None else do, **settings).average().draws.values


@pytest.fixture(scope="module")
def data():
    X, y, slope = stores()
    return X[["store", "price"]], y, slope


@pytest.fixture(scope="module")
def model(data):
    X, y, _ = data
    return fitted(X, y, {"store": ["price"]}, unseen_levels="population")


class TestAnswers:
    def test_each_store_has_an_effect_of_its_own(self, model, data):
        X, _, slope = data
        found = model.effect(X, do=RAISED).average(by="store").summary(0.95)
        inside = (found["eti95_lb"] < slope) & (slope < found["eti95_ub"])
        assert inside.sum() >= 10  # of 12, each with probability 0.95
        assert np.corrcoef(found["mean"], slope)[0, 1] > 0.9

    def test_with_intercepts_alone_all_stores_have_one_effect(self, data):
        X, y, _ = data
        found = fitted(X, y, ["store"]).effect(X, do=RAISED).average(by="store").mean()
        np.testing.assert_allclose(found, found[0])

    def test_a_new_store_has_the_spread_of_the_population(self, model):
        new = pd.DataFrame({"store": [99], "price": [5.0]})
        draws = model.effect(new, do={"price": 6.0}).draws.values.ravel()
        posterior = model.idata_["posterior"]
        sd = posterior["y_beta_store_sd"].sel(y_store_effect="price").values.ravel()
        beta = posterior["y_beta_normal"].values.ravel()
        variance = beta.var() + np.mean(sd**2)
        error = np.sqrt(np.var((draws - draws.mean()) ** 2) / len(draws))
        assert abs(draws.var() - variance) < 4 * error

    def test_intercept_and_slope_of_a_new_store_go_together(self, model):
        new = pd.DataFrame({"store": [99, 99], "price": [5.0, 5.0]})
        at = model.intervene(new, do={"price": np.array([4.0, 5.0])}).draws.values.reshape(-1, 2)
        store = model.fitted_.model.of_outcome.design.varying[0]
        center, corr = store.centers[0], model.idata_["posterior"]["y_beta_store_corr"].values
        slope = at[:, 1] - at[:, 0]
        level = at[:, 1] - slope * (5.0 - center)
        assert np.sign(np.corrcoef(level, slope)[0, 1]) == np.sign(corr[..., 0, 1].mean())

    def test_unknown_stores_are_refused_by_default(self, data):
        X, y, _ = data
        model = fitted(X, y, ["store"])
        with pytest.raises(ValueError, match="unknown level in column 'store' of X: 99"):
            model.predict(pd.DataFrame({"store": [99], "price": [5.0]}))

    def test_a_store_may_be_forced(self, model, data):
        X, _, _ = data
        forced = model.intervene(X, do={"store": 3}).mean()
        np.testing.assert_allclose(forced, model.predict(X.assign(store=3)))

    def test_known_numbers_are_stores_of_any_dtype(self, model, data):
        X, _, _ = data
        floats = X.assign(store=X["store"].astype(float))
        np.testing.assert_array_equal(model.predict(floats), model.predict(X))


class TestInvariance:
    def test_units_and_origins(self, model, data):
        X, y, _ = data
        moved = X.assign(price=X["price"] * 100 + 1e5)
        other = fitted(moved, y, {"store": ["price"]})
        found = average(other, moved, {"price": lambda X: X["price"] + 100})
        np.testing.assert_allclose(found, average(model, X), rtol=1e-5)

    def test_order_of_rows_and_weights(self, model, data):
        X, y, _ = data
        order = np.random.default_rng(1).permutation(len(X))
        shuffled = fitted(X.iloc[order], y[order], {"store": ["price"]})
        np.testing.assert_allclose(average(shuffled, X), average(model, X), rtol=1e-6)
        twice = fitted(pd.concat([X, X]), np.concatenate([y, y]), {"store": ["price"]})
        weighed = BayesianInterventionRegressor(groups={"store": ["price"]}, random_state=0)
        weighed.fit(X, y, sample_weight=np.full(len(X), 2.0))
        np.testing.assert_allclose(average(weighed, X), average(twice, X), rtol=1e-6)

    def test_what_stores_are_called(self, model, data):
        X, y, _ = data
        text = X.assign(store=X["store"].map("store {:02}".format))
        found = fitted(text, y, {"store": ["price"]})
        np.testing.assert_allclose(average(found, text), average(model, X), rtol=1e-9)

    def test_arrays_by_position(self, model, data):
        X, y, _ = data
        rows = X.to_numpy(dtype=float)
        found = fitted(rows, y, {0: [1]})
        up = {1: lambda X: X[:, 1] + 1}
        np.testing.assert_allclose(average(found, rows, up), average(model, X), rtol=1e-9)

    def test_pickles(self, model, data):
        X, _, _ = data
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        new = X.assign(store=99)
        np.testing.assert_array_equal(again.predict(new), model.predict(new))


class TestShapes:
    """What groups may be; each is held against the same terms made by hand and a learnt scale."""

    def test_combinations_of_columns_are_groups(self, data):
        X, y, _ = stores(n_stores=6)
        joint = X.assign(both=X["region"] + X["week"].astype(str))
        by_hand = fitted(joint[["both", "price"]], y, ["both"])
        found = fitted(X[["region", "week", "price"]], y, [("region", "week")])
        for name, same in (("y_beta_region:week_sd", "y_beta_both_sd"), ("y_sigma", "y_sigma")):
            ours, theirs = found.idata_["posterior"][name], by_hand.idata_["posterior"][same]
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)

    def test_a_new_combination_of_known_levels(self):
        X, y, _ = stores(n_stores=6)
        y = y + 5 * np.sin(X["week"] + 10 * (X["region"] == "north"))
        kept = ~((X["region"] == "north") & (X["week"] == 3))
        groups, columns = [("region", "week")], ["region", "week", "price"]
        settings = {"unseen_levels": "population"}
        model = fitted(X.loc[kept, columns], y[kept], groups, **settings)
        std = model.predict(X[columns], return_std=True)[1]
        assert std[~kept].min() > std[kept].max()
        strict = fitted(X.loc[kept, columns], y[kept], groups)
        with pytest.raises(ValueError, match="the group 'north:3' of 'region:week'"):
            strict.predict(X[columns])

    def test_crossed_and_nested(self):
        X, y, _ = stores()
        model = fitted(X, y, {"store": ["price"], "week": [], "region": []})
        posterior = model.idata_["posterior"]
        sizes = {k: posterior[f"y_beta_{k}_sd"].shape[-1] for k in ("store", "week", "region")}
        assert sizes == {"store": 2, "week": 1, "region": 1}
        assert {"pareto_k", "effective_size"} <= set(model.idata_["sample_stats"].data_vars)

    def test_levels_and_bools_have_slopes(self):
        X, y, _ = stores()
        X = X.assign(promoted=np.arange(len(X)) % 3 == 0)
        y = y + 2 * X["promoted"] * (X["store"] - 5.5)
        model = fitted(X[["store", "promoted", "price"]], y, {"store": ["promoted"]})
        found = model.effect(
            X[["store", "promoted", "price"]], do={"promoted": True}, baseline={"promoted": False}
        ).average(by="store")
        np.testing.assert_allclose(found.mean(), 2 * (np.arange(12) - 5.5), atol=1.8)

    def test_terms_of_a_design(self):
        X, y, _ = stores()
        rows = X[["store", "price"]]
        design = PolynomialFeatures(2, include_bias=False)
        linear = fitted(rows, y, {"store": ["price"]}, design=design)
        groups = linear.fitted_.model.of_outcome.design.varying
        assert groups[0].effects == ("intercept", "price", "price^2")
        one = fitted(rows, y, {"store": ["price^2"]}, design=design)
        assert one.fitted_.model.of_outcome.design.varying[0].effects == ("intercept", "price^2")

    def test_a_design_does_not_see_the_groups(self):
        X, y, _ = stores()
        spline = make_column_transformer((SplineTransformer(4), ["price"]))
        model = fitted(X[["store", "price"]], y, ["store"], design=spline)
        assert np.isfinite(average(model, X[["store", "price"]])).all()

    def test_no_other_column(self):
        X, y, _ = stores()
        model = fitted(X[["store"]], y, ["store"])
        means = pd.Series(y).groupby(X["store"]).mean()
        found = model.predict(pd.DataFrame({"store": means.index}))
        shrunk = (found - y.mean()) / (means - y.mean())
        assert ((shrunk > 0) & (shrunk < 1)).all()

    def test_equations_by_node(self):
        X, y, _ = stores()
        rng = np.random.default_rng(2)
        X = X.assign(ad=rng.integers(0, 2, len(X)).astype(float))
        X["price"] += X["ad"] * (1 + 0.3 * rng.normal(size=12)[X["store"]])
        y = y + X["price"]
        model = fitted(
            X,
            y,
            {"y": {"store": ["price"]}, "price": {"store": ["ad"]}},
            graph="store -> price; store -> y; price -> y; ad -> price",
        )
        assert {"price_beta_store_sd", "y_beta_store_sd"} <= set(
            model.idata_["posterior"].data_vars
        )
        found = model.effect(X, do={"ad": 1.0}, baseline={"ad": 0.0})
        by_draws = found.average().summary(0.95)
        assert by_draws["eti95_lb"].iloc[0] < 0.5 < by_draws["eti95_ub"].iloc[0] + 0.3


class TestElsewhere:
    def test_cross_validation_by_group(self, data):
        X, y, _ = data
        model = BayesianInterventionRegressor(
            groups={"store": ["price"]}, unseen_levels="population", random_state=0, draws=250
        )
        scores = cross_val_score(model, X, y, groups=X["store"], cv=GroupKFold(3))
        assert np.isfinite(scores).all()

    def test_pipelines(self, model, data):
        X, y, _ = data
        scaled = make_column_transformer(
            (StandardScaler(), ["price"]),
            remainder="passthrough",
            verbose_feature_names_out=False,
        ).set_output(transform="pandas")
        pipeline = make_pipeline(
            scaled, BayesianInterventionRegressor(groups={"store": ["price"]}, random_state=0)
        ).fit(X, y)
        found = intervene(pipeline, X, {"price": 6.0}).average().draws.values
        expected = model.intervene(X, {"price": 6.0}).average().draws.values
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)

    def test_counterfactuals_keep_the_rows_noise(self, model, data):
        X, y, _ = data
        same = model.counterfactual(X, y, do={"price": X["price"].to_numpy()}).mean()
        np.testing.assert_allclose(same, y)

    def test_batches_are_refused(self, data):
        X, y, _ = data
        with pytest.raises(ValueError, match="has groups, whose rows are kept together"):
            BayesianInterventionRegressor(groups=["store"]).partial_fit(X, y)

    def test_sensitivity_says_why_not(self, model, data):
        with pytest.raises(ValueError, match="has groups; a prior of the bias"):
            model.sensitivity(data[0], do=RAISED)

    @pytest.mark.slow
    def test_refutation(self, model, data):
        X, y, _ = data
        assert model.refute(X, y, do=RAISED, n_repeats=3)["passed"].dropna().all()

    def test_simulate_and_build(self, model, data):
        X, y, _ = data
        names = {variable.name for variable in model.build_model(X, y).free_RVs}
        assert {"y_beta_normal", "y_beta_store_raw", "y_intercept", "y_sigma"} <= names
        assert model.simulate(X, {"y_sigma": 1.0}, random_state=0).shape == (len(X), 3)


class TestMeasuredOnce:
    """A mediator with one value a subject is fitted to subjects."""

    def rows(self, seed=0):
        rng = np.random.default_rng(seed)
        arm, each = np.arange(30) % 2, 10
        med = 0.8 * arm + rng.normal(size=30)
        i = np.repeat(np.arange(30), each)
        y = 0.5 * arm[i] + med[i] + 0.5 * rng.normal(size=30)[i] + rng.normal(size=len(i))
        return pd.DataFrame({"subj": i, "arm": arm[i], "med": med[i]}), y

    def test_equals_a_fit_to_one_row_a_subject(self):
        X, y = self.rows()
        graph = "arm -> med -> y; arm -> y"
        model = fitted(X, y, ["subj"], graph=graph + "; subj -> y")
        once = X.groupby("subj").first()
        alone = BayesianInterventionRegressor(graph=graph, random_state=0).fit(
            once, pd.Series(y).groupby(X["subj"]).mean()
        )
        for name in ("med_beta", "med_intercept", "med_sigma"):
            np.testing.assert_allclose(
                model.idata_["posterior"][name], alone.idata_["posterior"][name], rtol=1e-9
            )

    def test_one_that_differs_within_subjects_counts_rows(self):
        X, y = self.rows()
        X.loc[0, "med"] += 0.1
        model = fitted(X, y, ["subj"], graph="arm -> med -> y; arm -> y; subj -> y")
        sd = float(model.idata_["posterior"]["med_beta"].std())
        assert sd < 2.5 * np.sqrt(1 / len(X)) * 1.5  # that of 300 rows, not of 30 subjects

    def test_causes_that_differ_within_subjects_are_told(self):
        X, y = self.rows()
        X["hour"] = np.tile(np.arange(10.0), 30)
        with pytest.warns(MisfitWarning, match="same in all rows of each 'subj', and"):
            fitted(X, y, ["subj"], graph="arm -> med -> y; arm -> y; subj -> y; hour -> med")

    def test_groups_of_its_own_are_refused(self):
        X, y = self.rows()
        with pytest.raises(ValueError, match="'med' is the same in all rows of each 'subj'"):
            fitted(
                X,
                y,
                {"y": {"subj": []}, "med": {"subj": []}},
                graph="arm -> med -> y; arm -> y; subj -> y; subj -> med",
            )
