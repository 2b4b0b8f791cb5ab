"""Slopes within and between groups, held against mixed models and simulated groups."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from interventional import BayesianInterventionRegressor, MisfitWarning, intervene
from interventional.inference import correlations

ONE_MORE = {"t": lambda X: X["t"] + 1}


def panel(seed=0, n_groups=100, n_rows=3, strength=1.5):
    """Return units with levels, which go with t and with y; the effect of t is 1."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_groups), n_rows)
    level = rng.normal(0, 2, n_groups)[unit]
    t, z = 0.8 * level + rng.normal(size=len(unit)), rng.normal(size=len(unit))
    y = t + z + strength * level + rng.normal(size=len(unit))
    if strength == 0:
        y += rng.normal(0, 2, n_groups)[unit]
    return pd.DataFrame({"unit": [f"u{k}" for k in unit], "t": t, "z": z}), y


def fit(X, y, groups=("unit",), **given):
    given = {"draws": 100, "chains": 2, "random_state": 0, **given}
    groups = groups if isinstance(groups, dict) else list(groups)
    return BayesianInterventionRegressor(groups=groups, **given).fit(X, y)


def gaps(model):
    return {(gap.column, gap.groups): gap for gap in model.fitted_.posteriors[-1].gaps}


@pytest.fixture(scope="module")
def confounded():
    X, y = panel()
    return X, y, fit(X, y)


class TestAgainstMixedLM:
    def compared(self, X, y, column, groups, formula="t + z"):
        rows = X.assign(y=y, mean=X.groupby("unit")[column].transform("mean"))
        by_hand = smf.mixedlm(f"y ~ {formula} + mean", rows, groups="unit").fit()
        gap = gaps(fit(X, y, groups))[column, "unit"]
        z = stats.norm.isf(gap.p_value / 2)  # of an F of many groups nearly the same
        assert gap.within == pytest.approx(by_hand.params[column], abs=0.02)
        difference = by_hand.params["mean"]
        assert gap.between - gap.within == pytest.approx(difference, abs=0.1 * by_hand.bse["mean"])
        assert z == pytest.approx(abs(by_hand.tvalues["mean"]), rel=0.05)

    def test_intercepts(self):
        self.compared(*panel(3, 200, strength=0.15), "t", ["unit"])

    def test_a_column_of_no_importance(self):
        X, y = panel(5, 200, strength=0)
        self.compared(X, y + 0.3 * X.groupby("unit")["z"].transform("mean"), "z", ["unit"])


class TestQuestions:
    def test_the_message(self, confounded):
        X, _, model = confounded
        gap = gaps(model)["t", "unit"]
        with pytest.warns(MisfitWarning) as caught:
            model.effect(X, ONE_MORE)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        message = str(caught[0].message)
        for said in ("'t'", "'unit'", f"{gap.within:.3g} within", f"{gap.between:.3g} between"):
            assert said in message
        assert "within=True" in message
        assert f"{model.coef_[0]:.3g} is what was learnt" in message

    def test_whoever_asks(self, confounded):
        X, y, model = confounded
        for ask in (
            lambda: model.intervene(X, {"t": 0.0}),
            lambda: model.effect(X, {"t": 1.0}, {"t": 0.0}),
            lambda: model.counterfactual(X, y, {"t": 0.0}),
            lambda: model.decompose(X, {"t": 1.0}, {"t": 0.0}),
            lambda: intervene(model, X, {"t": 0.0}),
            lambda: pickle.loads(pickle.dumps(model)).intervene(X, {"t": 0.0}),
        ):
            with pytest.warns(MisfitWarning, match="'t' is .* within groups of 'unit'") as caught:
                ask()
            assert len(caught) == 1

    def test_dask_rows(self, confounded):
        dd = pytest.importorskip("dask.dataframe")
        X, _, model = confounded
        rows = dd.from_pandas(X, npartitions=2)
        with pytest.warns(MisfitWarning, match="within=True") as caught:
            model.effect(rows, {"t": 1.0}, {"t": 0.0})
        assert len(caught) == 1
        model.intervene(rows, {"z": 0.0})

    def test_a_pipeline(self):
        X, y = panel()
        keep = _Same().set_output(transform="pandas")
        steps = make_pipeline(keep, BayesianInterventionRegressor(groups=["unit"], draws=50))
        with pytest.warns(MisfitWarning, match="'t' is"):
            intervene(steps.fit(X, y), X, {"t": 0.0})

    def test_what_is_not_forced_is_not_told(self, confounded):
        X, _, model = confounded
        model.intervene(X, {"z": 0.0})
        model.intervene(X, {"t": lambda X: X["t"]})
        model.predict(X)

    def test_refutation_is_silent(self, confounded):
        X, y, model = confounded
        model.refute(X, y, {"t": 1.0}, {"t": 0.0}, n_repeats=2)

    def test_mediators(self):
        X, y = panel()
        rng = np.random.default_rng(1)
        X["s"] = rng.normal(size=len(X))
        X["t"] += X["s"]
        model = fit(X, y + X["s"], graph="s -> t -> y; unit -> t; unit -> y; z -> y")
        with pytest.warns(MisfitWarning, match="'t' is"):
            model.effect(X, {"s": 1.0}, {"s": 0.0})
        model.effect(X, {"z": 1.0}, {"z": 0.0})

    def test_another_engine_says_nothing(self):
        X, y = panel(n_groups=20)
        with warnings.catch_warnings():  # of a poor approximation
            warnings.simplefilter("ignore")
            model = fit(X, y, inference="laplace")
        model.effect(X, ONE_MORE)
        assert gaps(model) == {}

    def test_lognormal(self):
        X, y = panel()
        model = fit(X, np.exp(0.3 * y), family="lognormal")
        with pytest.warns(MisfitWarning, match="'t' is 0.3"):
            model.effect(X, ONE_MORE)


class _Same(SplineTransformer):
    """A step that changes nothing."""

    def fit(self, X, y=None):
        self.feature_names_in_, self.n_features_in_ = np.asarray(X.columns), X.shape[1]
        return self

    def transform(self, X):
        return X

    def get_feature_names_out(self, input_features=None):
        return self.feature_names_in_


class TestWithin:
    def test_it_is_silent_and_right(self):
        X, y = panel(2, 300)
        model = fit(X, y, within=True)
        effect = model.effect(X, ONE_MORE).average()
        assert abs(effect.mean()[0] - 1) < 4 * effect.std()[0]
        assert gaps(model) == {}

    def test_it_is_means_made_by_hand(self):
        X, y = panel(4)
        weights = np.random.default_rng(0).integers(1, 4, len(X))
        means = {}
        for name in ("t", "z"):
            total = (X[name] * weights).groupby(X["unit"]).sum()
            size = pd.Series(weights).groupby(X["unit"]).sum()
            means[f"mean_{name}"] = X["unit"].map(total / size)
        options = {"draws": 1000, "chains": 4}
        built = BayesianInterventionRegressor(
            groups=["unit"], within=True, random_state=0, **options
        ).fit(X, y, sample_weight=weights)
        made = BayesianInterventionRegressor(groups=["unit"], random_state=1, **options).fit(
            X.assign(**means), y, sample_weight=weights
        )
        spread = made.idata_["posterior"]["y_beta"].values[..., :4].std(axis=(0, 1))
        error = 4 * spread * np.sqrt(2 / 4000)
        assert (np.abs(built.coef_[:4] - made.coef_[:4]) < error).all()


class TestWhereAllIsWell:
    @pytest.mark.parametrize("n_groups", [5, 30, 100])
    def test_groups_that_go_with_nothing(self, n_groups):
        X, y = panel(6, n_groups, 10, strength=0)
        model = fit(X, y)
        model.effect(X, {"t": lambda X: X["t"] + 0.1, "z": lambda X: X["z"] + 0.1})
        assert {column for column, _ in gaps(model)} == {"t", "z"}

    def test_randomised_within_groups(self):
        X, y = panel(7)
        treated = np.random.default_rng(7).random(len(X)) < 0.5
        X = X.assign(t=treated)
        model = fit(X, y + treated)
        model.effect(X, {"t": True}, {"t": False})
        assert ("t", "unit") in gaps(model)

    def test_columns_of_one_value_a_group(self):
        X, y = panel(8)
        own = X.groupby("unit")["t"].transform("mean")
        balanced = np.tile([0.0, 1.0, 2.0], 100)
        model = fit(X.assign(own=own, balanced=balanced), y)
        # Nor is there a mean of t beside that which is a column already.
        assert set(gaps(model)) == {("z", "unit")}

    def test_a_prior_that_is_far_off(self):
        from pymc_extras.prior import Prior

        X, y = panel(9, 50, 10, strength=0)
        model = fit(X, y, priors={"t": Prior("Normal", mu=-3, sigma=0.01)})
        gap = gaps(model)["t", "unit"]
        assert gap.within == pytest.approx(1, abs=0.3)
        assert gap.p_value > 0.001

    def test_too_few_groups(self):
        X, y = panel(10, 2, 50)
        assert gaps(fit(X, y)) == {}


@pytest.fixture(scope="module")
def crossed():
    """Return t that goes with the weeks' levels, and z that goes with the units'."""
    rng = np.random.default_rng(0)
    unit, week = np.divmod(np.arange(60 * 20), 20)
    of_unit, of_week = rng.normal(size=60)[unit], rng.normal(size=20)[week]
    t, z = of_week + rng.normal(size=1200), of_unit + rng.normal(size=1200)
    y = t + z + 2 * of_week + 2 * of_unit + rng.normal(size=1200)
    X = pd.DataFrame({"unit": unit, "week": week, "t": t, "z": z}).astype({"week": str})
    return X, y


class TestKindsOfGroups:
    def test_each_of_them(self, crossed):
        model = fit(*crossed, ["unit", "week"])
        found = {key for key, gap in gaps(model).items() if gap.p_value < 1e-3}
        assert found == {("t", "week"), ("z", "unit")}

    def test_whichever_is_kept_by_level(self, crossed):
        """Means by weeks come from the border; by weeks alone they come from sums by level."""
        X, y = crossed
        rest = y - np.asarray(pd.Series(y).groupby(X["unit"]).transform("mean"))
        found = [
            gaps(fit(X, rest, groups))["t", "week"] for groups in (["week"], ["unit", "week"])
        ]
        assert found[0].between == pytest.approx(found[1].between, rel=0.05)


class TestTerms:
    def test_levels(self):
        X, y = panel(11)
        level = np.array(list("abc"))[pd.qcut(X["t"], 3, labels=False)]
        model = fit(X.assign(t=level), y)
        with pytest.warns(MisfitWarning, match=r"'t' \(term 't\[[bc]\]'\)"):
            model.effect(X.assign(t=level), {"t": "c"}, {"t": "a"})

    def test_a_design(self):
        X, y = panel(12)
        model = fit(X, y, design=SplineTransformer(4, include_bias=False))
        with pytest.warns(MisfitWarning, match=r"'t' \(term 't_sp_\d'\)"):
            model.effect(X, {"t": 1.0}, {"t": 0.0})
        assert gaps(model)["z", "unit"].p_value > 1e-3


def test_partial_is_the_inverse_of_cholesky():
    z = np.random.default_rng(0).normal(size=(1, 6))
    factor = correlations.cholesky(z, 4)[0]
    np.testing.assert_allclose(correlations.partial(factor), z[0])


@pytest.mark.slow
def test_false_alarms():
    """At a level of 0.05, of p-values of 150 fits with few groups, unbalanced and skewed."""
    found, told = [], 0
    for seed in range(150):
        rng = np.random.default_rng([seed, 1])
        code = np.repeat(np.arange(12), rng.integers(2, 12, 12))
        x = np.exp(rng.normal(size=12)[code] + rng.normal(size=len(code)))
        y = x + rng.standard_t(3, size=12)[code] + rng.normal(size=len(code))
        X = pd.DataFrame({"unit": code.astype(str), "x": x})
        model = fit(X, y, draws=20)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MisfitWarning)
            model.effect(X, {"x": float(np.median(x))}, {"x": float(x.min())})
        told += len(caught)
        found.append(gaps(model)["x", "unit"].p_value)
    # Conservative, if anything: binomial, four standard errors above 0.05.
    assert told <= 3  # at a level of 0.001 more than that are one in 100,000
    assert np.mean(np.array(found) < 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / len(found))
