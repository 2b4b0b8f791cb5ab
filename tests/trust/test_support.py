import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from causaldata import cps_mixtape, nhefs_complete, nsw_mixtape
from scipy import stats
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

from interventional import (
    BayesianInterventionRegressor,
    ExtrapolationWarning,
    InterventionDisplay,
    NoMeanWarning,
    Outcomes,
    intervene,
)


def make(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 10, "chains": 1, "random_state": 0, **parameters}
    )


@pytest.fixture(scope="module")
def trial():
    """Rows in which treatment and dose depend on nothing."""
    rng = np.random.default_rng(0)
    n = 400
    X = pd.DataFrame(
        {
            "age": rng.normal(50, 10, n),
            "sex": rng.choice(["f", "m"], n),
            "dose": rng.uniform(2, 8, n),
            "treated": rng.random(n) < 0.3,
        },
        index=[f"p{k}" for k in rng.permutation(n)],
    )
    y = X["age"] / 10 + X["dose"] + X["treated"] + rng.normal(size=n)
    return X, y


@pytest.fixture(scope="module")
def model(trial):
    return make().fit(*trial)


@pytest.fixture(scope="module")
def lalonde():
    """The treated of a trial, and people from a survey: poor overlap (LaLonde 1986)."""
    trial, survey = (d.load_pandas().data for d in (nsw_mixtape, cps_mixtape))
    rows = pd.concat([trial[trial["treat"] == 1], survey], ignore_index=True)
    X = rows.drop(columns=["data_id", "re78"]).astype(np.float64)
    return X, make().fit(X, rows["re78"])


@pytest.fixture(scope="module")
def rows(lalonde):
    """A fifteenth of the survey."""
    X = pd.concat([lalonde[0].iloc[:185], lalonde[0].iloc[185::15]])
    return X, np.random.default_rng(7).normal(size=len(X))


def top(X, n=400):
    """Return up to where doses count as seen: evenly drawn ones may reach a little farther."""
    dose = X["dose"]
    reach = min(2 * (dose.max() - dose.mean()), dose.max() - dose.min())
    return dose.max() + max(3 / n, 0.01) * reach


def verdict(outcomes):
    return outcomes.support["supported"].to_numpy()


def quietly(call, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return call(*arguments, **keywords)


class TestRealData:
    """Warnings are errors here: where none is expected, there is none."""

    def test_silent_on_a_randomised_trial(self):
        people = nsw_mixtape.load_pandas().data
        X = people.drop(columns=["data_id", "re78"])
        model = make().fit(X, people["re78"])
        effect = model.effect(X, {"treat": 1}, {"treat": 0})
        assert verdict(effect).all()
        assert (effect.support["overlap"] > 0.5).all()

    def test_warns_of_poor_overlap(self, lalonde):
        X, model = lalonde
        with pytest.warns(ExtrapolationWarning, match="'treat' is forced to 1, which hardly any"):
            effect = model.effect(X, {"treat": 1}, {"treat": 0})
        supported = X[effect.support["supported"]]
        # A logistic regression with splines for comparison: propensities over the share treated.
        covariates, treated = X.drop(columns="treat"), X["treat"] == 1
        numbers = ["age", "re74", "re75"]
        terms = make_column_transformer(
            (SplineTransformer(6, knots="quantile"), numbers),
            (OneHotEncoder(), ["educ"]),
            remainder="passthrough",
        )
        logit = make_pipeline(terms, LogisticRegression(C=10, max_iter=3000))
        ratio = logit.fit(covariates, treated).predict_proba(covariates)[:, 1] / treated.mean()
        said = effect.support["supported"]
        assert said[~treated & (ratio < 0.1)].mean() < 0.3
        assert said[~treated & (ratio < 0.01)].mean() < 0.2
        assert said[~treated & (ratio > 0.1)].mean() > 0.85
        model.effect(supported, {"treat": 1}, {"treat": 0})

    def test_who_is_too_unlike_the_treated_was_hardly_ever_treated(self, lalonde):
        """Counted: among all people who look so, the treated included."""
        X, model = lalonde
        strangers = X.assign(treat=0.0)  # so that each is asked, as if not treated
        said = quietly(model.intervene, strangers, {"treat": 1}).support["supported"]
        beyond = X["treat"][~said]
        assert len(beyond) > 0.5 * len(X)
        assert beyond.mean() < 0.05 * X["treat"].mean()

    @pytest.mark.filterwarnings("ignore:.* linear in its terms")  # weight bends with age
    def test_silent_where_covariates_overlap(self):
        people = nhefs_complete.load_pandas().data
        X = people[["qsmk", "sex", "race", "age", "education", "smokeintensity", "wt71"]]
        X = X.astype({"education": "category"})
        model = make().fit(X, people["wt82_71"])
        assert verdict(model.effect(X, {"qsmk": 1}, {"qsmk": 0})).all()
        assert verdict(model.intervene(X, {"smokeintensity": 20})).all()

    def test_levels_and_bools_are_judged_like_zeros_and_ones(self, lalonde):
        X, model = lalonde
        rows = X.iloc[:1000]
        expected = quietly(model.intervene, rows, {"treat": 1}).support
        rng = np.random.default_rng(0)
        y = rng.normal(size=len(X))
        for other in (X.astype({"treat": bool}), X.assign(treat=X["treat"].map({0: "a", 1: "b"}))):
            forced = "b" if other["treat"].dtype != bool else True
            found = quietly(make().fit(other, y).intervene, other.iloc[:1000], {"treat": forced})
            pd.testing.assert_frame_equal(found.support, expected, rtol=1e-6)


class TestRange:
    def test_message(self, trial, model):
        X, _ = trial
        low, high = X["dose"].min(), X["dose"].max()
        with pytest.warns(ExtrapolationWarning) as caught:
            outcomes = model.intervene(X, {"dose": 20})
        message = str(caught[0].message)
        assert message.startswith("E[y | do(dose = 20)]: 100% of the rows are forced beyond")
        assert f"'dose' is forced to 20, and was observed from {low:g} to {high:g}" in message
        assert "X[answer.support['supported']]" in message
        assert caught[0].filename == __file__
        assert not outcomes.support["in_range"].any()

    def test_rows_outside_are_those_outside(self, trial, model):
        X, _ = trial
        moved = X["dose"] + 2.0
        outside = moved > top(X)
        with pytest.warns(ExtrapolationWarning, match=f"{outside.mean():.0%} of the rows"):
            outcomes = model.intervene(X, {"dose": lambda X: X["dose"] + 2.0})
        pd.testing.assert_series_equal(~outcomes.support["in_range"], outside, check_names=False)

    def test_a_few_rows_a_little_outside_are_told_but_not_warned_of(self, trial, model):
        X, _ = trial
        outcomes = model.intervene(X, {"dose": lambda X: X["dose"] + 0.1})
        outside = (X["dose"] + 0.1 > top(X)).sum()
        assert 0 < outside < 0.05 * len(X)
        assert (~verdict(outcomes)).sum() == outside

    def test_one_row_far_outside_is_warned_of(self, trial, model):
        X, _ = trial
        doses = X["dose"].to_numpy().copy()
        doses[7] = 500.0
        with pytest.warns(ExtrapolationWarning, match=r"0\.2% of the rows"):
            outcomes = model.intervene(X, {"dose": doses})
        assert np.flatnonzero(~verdict(outcomes)).tolist() == [7]

    def test_the_ends_of_the_range_are_in_it(self, trial, model):
        X, _ = trial
        for end in (X["dose"].min(), X["dose"].max()):
            assert verdict(model.intervene(X, {"dose": end})).all()

    def test_a_column_that_was_constant(self, trial):
        X, y = trial
        X = X.assign(price=3.0, open=False)
        model = make().fit(X, y)
        assert verdict(model.intervene(X, {"price": 3.0, "open": False})).all()
        for do in ({"price": 4.0}, {"open": True}):
            with pytest.warns(ExtrapolationWarning, match="was observed from"):
                assert not verdict(model.intervene(X, do)).any()


class TestHardlyOutside:
    """A step of a millionth, or an end that chance alone kept from being seen."""

    COLUMNS = {  # noqa: RUF012
        "rating": lambda rng, n: rng.integers(1, 6, n).astype(float),
        "year": lambda rng, n: rng.integers(2015, 2025, n).astype(float),
        "0 or 1": lambda rng, n: rng.permutation(np.arange(n) % 3 == 0).astype(float),
        "dose": lambda rng, n: rng.uniform(0, 10, n),
    }

    @pytest.mark.parametrize("n", [5, 20, 500])
    @pytest.mark.parametrize("name", COLUMNS)
    def test_a_millionth_is_not_and_a_tenth_is(self, name, n):
        rng = np.random.default_rng(n)
        v = self.COLUMNS[name](rng, n)
        X = pd.DataFrame({"v": v, "z": rng.normal(size=n)})
        model = make().fit(X, np.arange(n) % 7 + rng.normal(size=n))
        for step in (1e-6, -1e-6):
            # warnings are errors
            assert verdict(model.effect(X, {"v": lambda X, step=step: X["v"] + step})).all()
        for end, tenth in ((v.max(), 0.1), (v.min(), -0.1)):
            with pytest.warns(ExtrapolationWarning, match="'v' is forced to"):
                assert not verdict(model.intervene(X, {"v": end + tenth * np.ptp(v)})).any()

    def test_none_where_hardly_any_was_seen(self):
        rng = np.random.default_rng(0)
        dose = rng.uniform(0.03, 10, 500)
        X = pd.DataFrame({"dose": np.append(dose, 0.03)})
        model = make().fit(X, rng.normal(size=501))
        assert verdict(model.intervene(X, {"dose": 0.0})).all()
        with pytest.warns(ExtrapolationWarning):
            model.intervene(X, {"dose": -0.3})

    def test_a_long_tail_on_one_side_allows_nothing_on_the_other(self):
        rng = np.random.default_rng(1)
        income = 1 + rng.lognormal(0, 1.5, 2000)
        X = pd.DataFrame({"income": income})
        model = make().fit(X, rng.normal(size=2000))
        below = income.min() - 0.01 * np.ptp(income)  # a hundredth of the range
        with pytest.warns(ExtrapolationWarning):
            model.intervene(X, {"income": below})

    def test_what_never_varied_has_no_slope(self):
        rng = np.random.default_rng(2)
        X = pd.DataFrame({"price": 3.0, "z": rng.normal(size=50)})
        model = make().fit(X, rng.normal(size=50))
        with pytest.warns(ExtrapolationWarning):
            model.effect(X, {"price": 3.00001})


class TestJointly:
    def test_inside_the_range_but_not_with_such_covariates(self):
        rng = np.random.default_rng(1)
        a = rng.normal(size=500)
        X = pd.DataFrame({"a": a, "b": a + 0.1 * rng.normal(size=500)})
        model = make().fit(X, a + rng.normal(size=500))
        with pytest.warns(ExtrapolationWarning, match="far from what was observed in rows with"):
            support = model.intervene(X, {"b": 1.0}).support
        assert support["in_range"].all()
        # residuals have sd 0.1, and 500 of them reach sqrt(2 log 500) = 3.5 of these
        np.testing.assert_array_equal(support["supported"], support["distance"] <= 1)
        off = np.abs(1.0 - a)
        assert off[support["supported"]].max() < 0.5
        assert off[~support["supported"]].min() > 0.25

    def test_two_forced_columns_are_held_against_each_other(self):
        rng = np.random.default_rng(2)
        a, b, c = rng.uniform(-1, 1, (3, 500))
        X = pd.DataFrame({"a": a, "b": a + 0.05 * b, "c": c})
        model = make().fit(X, a + rng.normal(size=500))
        assert verdict(model.intervene(X, {"a": 0.5, "b": 0.5})).all()
        with pytest.warns(ExtrapolationWarning, match="'a' is forced to 0.5 and 'b' is forced to"):
            assert not verdict(model.intervene(X, {"a": 0.5, "b": -0.5})).any()

    def test_levels_that_never_met(self):
        rng = np.random.default_rng(3)
        sex = rng.choice(["f", "m"], 300)
        arm = np.where(sex == "m", "none", rng.choice(["none", "drug"], 300))
        X = pd.DataFrame({"sex": sex, "arm": arm, "age": rng.normal(size=300)})
        model = make().fit(X, rng.normal(size=300))
        with pytest.warns(ExtrapolationWarning, match="'arm' is forced to 'drug', which hardly"):
            outcomes = model.intervene(X, {"arm": "drug"})
        np.testing.assert_array_equal(verdict(outcomes), sex == "f")
        # Both columns forced: the combination is what was never seen.
        with pytest.warns(ExtrapolationWarning):
            assert not verdict(model.intervene(X, {"arm": "drug", "sex": "m"})).any()
        assert verdict(model.intervene(X, {"arm": "drug", "sex": "f"})).all()

    def test_mediators_move_along(self):
        """What x moves is no covariate of x: m follows it. As a mere column it would be one."""
        rng = np.random.default_rng(4)
        x = rng.normal(size=500)
        X = pd.DataFrame({"x": x, "m": x + 0.1 * rng.normal(size=500)})
        y = X["m"] + rng.normal(size=500)
        model = make(graph="x -> m -> y; x -> y").fit(X, y)
        assert verdict(model.intervene(X, {"x": 1.0})).all()
        with pytest.warns(ExtrapolationWarning):
            make().fit(X, y).intervene(X, {"x": 1.0})
        with pytest.warns(ExtrapolationWarning):  # m is forced too, against x
            model.intervene(X, {"x": 1.0, "m": -1.0})

    def test_confounders_are_covariates(self):
        rng = np.random.default_rng(5)
        z = rng.normal(size=500)
        X = pd.DataFrame({"z": z, "x": 2 * z + 0.1 * rng.normal(size=500)})
        X["m"] = X["x"] + rng.normal(size=500)
        y = X["m"] + z + rng.normal(size=500)
        model = make(graph="z -> x -> m -> y; z -> y; x -> y").fit(X, y)
        with pytest.warns(ExtrapolationWarning, match="'x' is forced to 1"):
            support = model.intervene(X, {"x": 1.0}, kind="predictive").support
        assert support["supported"].mean() < 0.3

    def test_between_two_values_is_a_number(self, lalonde):
        X, model = lalonde
        assert (quietly(model.intervene, X, {"treat": 0.5}).support["overlap"] == 1).all()


class TestWhatIsForced:
    def test_as_observed_is_supported(self, lalonde):
        X, model = lalonde
        outcomes = model.intervene(X, {"re74": lambda X: X["re74"], "treat": X["treat"]})
        assert verdict(outcomes).all()
        raised = quietly(model.intervene, X, {"treat": 1})
        assert verdict(raised)[X["treat"] == 1].all()

    def test_the_observed_baseline_is_not_checked(self, trial, model):
        strangers = trial[0].assign(dose=100.0)
        assert verdict(model.effect(strangers, {"dose": 5.0})).all()

    def test_distributions(self, trial, model):
        X, _ = trial
        low, high = X["dose"].min(), X["dose"].max()
        assert verdict(model.intervene(X, {"dose": stats.uniform(low, high - low)})).all()
        with pytest.warns(ExtrapolationWarning, match="'dose' is forced to values from"):
            outcomes = model.intervene(X, {"dose": stats.norm(high + 3, 1.0)})
        assert not outcomes.support["in_range"].any()
        by_row = stats.norm(np.where(np.arange(len(X)) < 100, 50.0, 5.0), 0.1)
        with pytest.warns(ExtrapolationWarning, match="25% of the rows"):
            outcomes = model.intervene(X, {"dose": by_row})
        np.testing.assert_array_equal(verdict(outcomes), np.arange(len(X)) >= 100)

    def test_of_a_distribution_one_draw_in_twenty_may_be_outside(self, trial):
        X, y = trial
        model = make(draws=400).fit(X, y)
        high = X["dose"].max()
        scale = (high - 5) / stats.norm.isf(np.where(np.arange(len(X)) < 200, 1e-3, 0.3))
        with pytest.warns(ExtrapolationWarning):
            outcomes = model.intervene(X, {"dose": stats.norm(5, scale)})
        np.testing.assert_array_equal(outcomes.support["in_range"][:200], True)
        assert outcomes.support["in_range"][200:].mean() < 0.01

    def test_levels_by_row(self, trial, model):
        sexes = np.where(np.arange(400) % 2, "f", "m")
        assert verdict(model.intervene(trial[0], {"sex": sexes})).all()

    def test_a_level_that_the_population_gives(self, trial):
        X, y = trial
        X = X.assign(city=np.resize(list("abcdefgh"), len(X)))
        model = make(groups=["city"], unseen_levels="population").fit(X, y)
        assert verdict(model.intervene(X, {"city": "z", "dose": 5.0})).all()
        assert verdict(model.intervene(X.assign(city="z"), {"dose": 5.0})).all()


class TestWarning:
    def test_an_effect_warns_once_of_both_sides(self, trial, model):
        with pytest.warns(ExtrapolationWarning) as caught:
            effect = model.effect(trial[0], {"dose": 20}, {"dose": -5})
        (warning,) = caught
        assert "'dose' is forced to 20" in str(warning.message)
        assert "'dose' is forced to -5" in str(warning.message)
        assert warning.filename == __file__
        assert not verdict(effect).any()

    @pytest.mark.parametrize("method", ["counterfactual", "decompose", "pipeline"])
    def test_every_question_warns_once(self, trial, method):
        X, y = trial
        graph = "dose -> age -> y; dose -> y" if method == "decompose" else None
        model = make(graph=graph).fit(X, y)
        ask = {
            "counterfactual": lambda: model.counterfactual(X, y, {"dose": 20}),
            "decompose": lambda: model.decompose(X, {"dose": 20})["direct"],
            "pipeline": lambda: intervene(model, X, {"dose": 20}),
        }
        with pytest.warns(ExtrapolationWarning, match="'dose' is forced to 20") as caught:
            outcomes = ask[method]()
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert not verdict(outcomes).any()

    def test_bools_and_levels_are_named_as_the_user_does(self, lalonde):
        X, _ = lalonde
        X = X.astype({"treat": bool})
        model = make().fit(X, X["re75"].to_numpy() + X["age"])
        with pytest.warns(ExtrapolationWarning, match="'treat' is forced to True"):
            model.intervene(X, {"treat": True})

    def test_a_refused_call_does_not_warn(self, trial, model):
        with pytest.raises(ValueError, match="kind"):
            model.intervene(trial[0], {"dose": 99}, kind="median")


class TestTable:
    def test_it_filters(self, trial, model):
        X, _ = trial
        outcomes = quietly(model.intervene, X, {"dose": lambda X: X["dose"] + 3})
        kept = X[outcomes.support["supported"]]
        assert 0 < len(kept) < len(X)
        assert verdict(model.intervene(kept, {"dose": lambda X: X["dose"] + 3})).all()

    @pytest.mark.parametrize(
        "index",
        [
            pd.MultiIndex.from_product([range(20), list("abcdefghijklmnopqrst")]),
            pd.Index(np.arange(400) % 7),
            pd.date_range("2020", periods=400),
        ],
        ids=["MultiIndex", "repeated", "dates"],
    )
    def test_it_is_labelled_like_the_rows(self, trial, model, index):
        X = trial[0].set_axis(index)
        support = quietly(model.intervene, X, {"dose": lambda X: X["dose"] + 3}).support
        assert support.index.equals(index)
        assert len(X[support["supported"]]) == support["supported"].sum()

    def test_of_arrays(self):
        values = np.random.default_rng(6).normal(size=(50, 2))
        outcomes = quietly(make().fit(values, values.sum(axis=1)).intervene, values, {"x1": 9})
        assert len(values[outcomes.support["supported"]]) == 0

    def test_a_contrast_is_supported_where_both_sides_are(self, lalonde):
        X, model = lalonde
        X = X.iloc[::20]
        sides = [quietly(model.intervene, X, {"treat": t}) for t in (1, 0)]
        with pytest.warns(NoMeanWarning):  # a straight line of incomes, some of them near zero
            ratio = sides[0] / sides[1]
        for contrast in (sides[0] - sides[1], ratio):
            supports = [side.support for side in sides]
            expected = supports[0]["supported"] & supports[1]["supported"]
            pd.testing.assert_series_equal(contrast.support["supported"], expected)
            worst = np.minimum(*(each["overlap"] for each in supports))
            pd.testing.assert_series_equal(contrast.support["overlap"], worst)

    def test_averages_have_none(self, trial, model):
        outcomes = model.intervene(trial[0], {"dose": 5})
        for averaged in (outcomes.average(), (outcomes - outcomes).average(by="sex")):
            with pytest.raises(ValueError, match="averages over rows; ask before"):
                _ = averaged.support

    def test_outcomes_made_by_hand_have_none(self, trial, model):
        made = Outcomes(model.intervene(trial[0], {"dose": 5}).draws, "by hand")
        with pytest.raises(ValueError, match="made by hand"):
            _ = made.support

    def test_pickles_keep_it(self, trial, model):
        again = pickle.loads(pickle.dumps(model))
        with pytest.warns(ExtrapolationWarning):
            found = again.intervene(trial[0], {"dose": 50})
        kept = pickle.loads(pickle.dumps(found)).support
        pd.testing.assert_frame_equal(
            kept, quietly(model.intervene, trial[0], {"dose": 50}).support
        )


class TestAskedAgain:
    """What forced columns are compared with is found out once for a fitted model."""

    DOS = ({"dose": 5}, {"treated": True}, {"dose": 5, "treated": True}, {"sex": "f", "age": 40})

    def test_nothing_is_compared_again(self, trial, monkeypatch):
        X, _ = trial
        model = make().fit(*trial)
        before = [quietly(model.intervene, X, do).support for do in self.DOS]
        size = len(pickle.dumps(model))

        def refuse(*_):
            raise AssertionError

        monkeypatch.setattr("interventional.trust.extrapolation._compared", refuse)
        for do, expected in zip(self.DOS, before, strict=True):
            found = quietly(model.intervene, X, do).support
            pd.testing.assert_frame_equal(found, expected)
        pd.testing.assert_frame_equal(model.intervene(X[:9], {"dose": 5}).support, before[0][:9])
        assert len(pickle.dumps(model)) == size
        with pytest.raises(AssertionError):
            model.intervene(X, {"age": 40})

    def test_another_fit_is_another_comparison(self, trial):
        X, y = trial
        model = make().fit(X, y)
        model.intervene(X, {"dose": 5})
        shifted = X.assign(dose=X["dose"] + 50)
        with pytest.warns(ExtrapolationWarning, match="'dose' is forced to 5, and was observed"):
            model.fit(shifted, y).intervene(shifted, {"dose": 5})

    def test_in_threads(self, trial):
        X, _ = trial
        expected = [quietly(make().fit(*trial).intervene, X, do).support for do in self.DOS]
        model = make().fit(*trial)
        with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
            warnings.simplefilter("ignore", ExtrapolationWarning)
            found = list(pool.map(lambda do: model.intervene(X, do).support, self.DOS * 3))
        for support, own in zip(found, expected * 3, strict=True):
            pd.testing.assert_frame_equal(support, own)


class TestInvariance:
    DO = {"treat": 1, "age": lambda X: X["age"] + 10}  # noqa: RUF012

    def judged(self, model, X, do=None):
        return quietly(model.intervene, X, do or self.DO).support

    def test_batches(self, rows):
        X, y = rows
        whole, batched = make().fit(X, y), make()
        for part in np.array_split(np.random.default_rng(8).permutation(len(X)), 5):
            batched.partial_fit(X.iloc[part], y[part])
        pd.testing.assert_frame_equal(
            self.judged(batched, X), self.judged(whole, X), rtol=1e-7, atol=1e-9
        )

    def test_weights_are_repeated_rows(self, rows):
        X, y = rows
        times = np.arange(len(X)) % 3
        weighted = make().fit(X, y, sample_weight=times)
        repeated = make().fit(X.loc[X.index.repeat(times)], np.repeat(y, times))
        pd.testing.assert_frame_equal(
            self.judged(weighted, X), self.judged(repeated, X), rtol=1e-7, atol=1e-9
        )

    def test_units(self, rows):
        X, y = rows
        before = self.judged(make().fit(X, y), X)
        other = X.assign(age=1e6 + 12 * X["age"], re75=X["re75"] / 1e9, treat=5 - 2 * X["treat"])
        do = {"treat": 3, "age": lambda X: X["age"] + 120}
        after = self.judged(make().fit(other, y), other, do)
        pd.testing.assert_frame_equal(after, before, rtol=1e-5, atol=1e-7)

    def test_order_of_rows_and_of_other_columns(self, rows):
        X, y = rows
        before = self.judged(make().fit(X, y), X)
        order = np.random.default_rng(9).permutation(len(X))
        columns = ["treat", "re75", "marr", "nodegree", "hisp", "age", "black", "educ", "re74"]
        model = make().fit(X.iloc[order][columns], y[order])
        after = self.judged(model, X[columns])
        pd.testing.assert_frame_equal(after, before, rtol=1e-7, atol=1e-9)

    def test_blocks_of_rows(self, lalonde):
        X, model = lalonde
        large = pd.concat([X, X], ignore_index=True)
        both = quietly(model.intervene, large, {"treat": 1}).support
        once = quietly(model.intervene, X, {"treat": 1}).support
        for part in (both.iloc[: len(X)], both.iloc[len(X) :]):
            pd.testing.assert_frame_equal(part.reset_index(drop=True), once)

    def test_distributions_are_deterministic(self, rows):
        X, y = rows
        model, do = make().fit(X, y), {"age": stats.norm(40, 15)}
        pd.testing.assert_frame_equal(self.judged(model, X, do), self.judged(model, X, do))


class TestLevels:
    """Counted: a table of covariates and levels says how often they met."""

    def test_nothing_is_said_of_what_was_seen_often(self):
        """A tenth of the half of the rows that is not b was treated: 250 rows."""
        rng = np.random.default_rng(1)
        b = rng.random(5000) < 0.5
        a = rng.random(5000) < np.where(b, 0.9, 0.1)
        X = pd.DataFrame({"b": b, "a": a})
        model = make().fit(X, rng.normal(size=5000))
        support = model.effect(X, {"a": True}, {"a": False}).support
        assert support["supported"].all()
        counts = pd.crosstab(b, a).to_numpy()
        ratio = counts / counts.sum(axis=0) / counts.sum(axis=1, keepdims=True) * len(X)
        rare = np.minimum(ratio[:, 0], ratio[:, 1])[b.astype(int)]
        own = np.where(a, ratio[b.astype(int), 0], ratio[b.astype(int), 1])
        np.testing.assert_allclose(support["overlap"], np.minimum(own, 1), atol=0.01)
        assert rare.min() > 0.15

    def test_batches_and_weights_count_the_same(self):
        rng = np.random.default_rng(2)
        n = 600
        X = pd.DataFrame({"k": rng.choice(list("abc"), n), "g": rng.integers(0, 3, n)})
        X["t"] = (rng.random(n) < 0.5) & ~((X["k"] == "a") & (X["g"] == 2))
        y, times = rng.normal(size=n), rng.integers(1, 4, n)
        weighted = make().fit(X, y, sample_weight=times)
        rows = X.loc[X.index.repeat(times)], np.repeat(y, times)
        batched = make()
        for start in range(0, len(rows[1]), 400):
            part = slice(start, start + 400)
            batched.partial_fit(rows[0].iloc[part], rows[1][part])
        for model in (weighted, batched):
            with pytest.warns(ExtrapolationWarning, match="'t' is forced to True, which hardly"):
                support = model.intervene(X, {"t": True}).support
            never = (X["k"] == "a") & (X["g"] == 2)
            pd.testing.assert_series_equal(~support["supported"], never, check_names=False)


class TestOtherModels:
    @pytest.mark.parametrize("parameters", [{}, {"design": SplineTransformer()}], ids=str)
    def test_other_families_and_designs(self, parameters):
        rng = np.random.default_rng(10)
        a = rng.normal(size=300)
        X = pd.DataFrame({"a": a, "b": a + 0.1 * rng.normal(size=300)})
        rows = X
        if parameters:  # of the raw columns, whatever the design makes of them
            model = make(**parameters).fit(X, rng.normal(size=300))
        else:
            rows = X.assign(days=rng.integers(5, 60, 300))
            y = rng.poisson(rows["days"] * np.exp(0.3 * a))
            model = make(family="poisson", exposure="days", inference="laplace").fit(rows, y)
            # An exposure is a unit: the outcome is in proportion to it, seen or not.
            assert verdict(model.intervene(rows, {"days": 365})).all()
        plain = make().fit(X, X.sum(axis=1))
        for do in ({"b": 1.0}, {"b": 0.2, "a": 0.2}, {"b": lambda X: X["a"]}):
            found = quietly(model.intervene, rows, do).support
            expected = quietly(plain.intervene, X, do).support
            pd.testing.assert_frame_equal(found, expected, rtol=1e-9)

    def test_a_column_of_many_levels_behind_a_design(self, trial):
        X, y = trial
        X = X[["age", "dose"]].assign(place=[f"l{k // 2}" for k in range(len(X))])
        design = make_column_transformer(("passthrough", ["age", "dose"]))
        model = make(design=design).fit(X, y)
        assert verdict(model.intervene(X, {"dose": 5.0})).all()
        assert model.fitted_.seen.factor.r.shape[1] < 10

    def test_more_columns_than_rows(self):
        rng = np.random.default_rng(11)
        values = rng.normal(size=(20, 40))
        model = make().fit(values, rng.normal(size=20))
        support = model.intervene(values, {"x0": float(np.median(values[:, 0]))}).support
        assert support["supported"].all()
        assert np.isfinite(support["distance"]).all()

    def test_copies_of_a_column(self):
        """Where b is a, forcing b apart from a is beyond all that was seen."""
        a = np.random.default_rng(12).normal(size=100)
        X = pd.DataFrame({"a": a, "b": a, "c": a[::-1]})
        model = make().fit(X, a + a[::-1])
        with pytest.warns(ExtrapolationWarning):
            support = model.intervene(X, {"b": 0.5}).support
        assert not support["supported"].any()
        assert np.isfinite(support["distance"]).all()
        assert verdict(model.intervene(X, {"a": 0.5, "b": 0.5})).all()


class TestPipelines:
    def test_derived_columns(self):
        rng = np.random.default_rng(14)
        X = pd.DataFrame({"price": rng.uniform(1, 9, 300), "age": rng.normal(size=300)})
        steps = StandardScaler(), PolynomialFeatures(3, include_bias=False)
        model = make_pipeline(*steps, make(draws=100)).fit(X, X["price"] ** 2)
        for price in X["price"].quantile([0, 0.1, 0.5, 0.9, 1]):
            assert verdict(intervene(model, X, {"price": price})).all()
        with pytest.warns(ExtrapolationWarning, match=r"do\(price = 12\)\]: 100% of") as caught:
            outcomes = intervene(model, X, {"price": 12})
        assert caught[0].filename == __file__
        said = str(caught[0].message)  # in the units of the raw column, not of its powers
        assert "'price' is forced to 12; what the steps make of that was not seen" in said
        assert "'x0'" not in said
        assert not verdict(outcomes).any()
        with pytest.warns(ExtrapolationWarning):
            drawn = intervene(model, X, {"price": stats.norm(12, 0.1)})
        assert not verdict(drawn).any()
        assert verdict(intervene(model, X, {"price": stats.uniform(2, 6)})).all()

    def test_a_transformed_target_keeps_it(self, trial):
        X, y = trial
        model = TransformedTargetRegressor(make(), func=np.log, inverse_func=np.exp).fit(X, y)
        outcomes = quietly(intervene, model, X, {"dose": lambda X: X["dose"] + 3})
        np.testing.assert_array_equal(verdict(outcomes), X["dose"] + 3 <= top(X))

    def test_a_picture_says_it_itself(self, trial, model):
        InterventionDisplay.from_estimator(model, trial[0], "dose", values=[-5, 5, 50])


class TestDask:
    def test_one_warning_at_the_call_and_support_by_partition(self, trial, model):
        dd = pytest.importorskip("dask.dataframe")
        X, _ = trial
        rows = dd.from_pandas(X.reset_index(drop=True), npartitions=3)
        with pytest.warns(ExtrapolationWarning, match="'dose' is forced to 50") as caught:
            outcomes = model.effect(rows, {"dose": 50})
        assert caught[0].filename == __file__
        outcomes.average()  # and no more of them
        assert not outcomes.support["supported"].compute().any()
        moved = model.intervene(rows, {"dose": lambda X: X["dose"] + 3})
        expected = quietly(model.intervene, X, {"dose": lambda X: X["dose"] + 3}).support
        pd.testing.assert_frame_equal(
            moved.support.compute(), expected.reset_index(drop=True), check_index_type=False
        )


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_silent_on_simulated_trials(share):
    for k in range(8):
        rng = np.random.default_rng([15, k])
        x = rng.standard_t(3, (200, 3))
        treated = rng.permutation(np.arange(200) < share * 200)
        X = pd.DataFrame(x, columns=list("abc")).assign(t=treated, dose=rng.exponential(size=200))
        model = make(draws=2).fit(X, rng.normal(size=200))
        model.effect(X, {"t": True}, {"t": False})
        model.intervene(X, {"dose": float(np.quantile(X["dose"], 0.99)), "t": True})


def test_warns_where_treatment_follows_a_covariate():
    rng = np.random.default_rng(16)
    a = rng.normal(size=1000)
    propensity = 1 / (1 + np.exp(-3 * a))
    X = pd.DataFrame({"a": a, "t": rng.random(1000) < propensity})
    model = make().fit(X, a + X["t"])
    with pytest.warns(ExtrapolationWarning):
        support = model.intervene(X, {"t": True}).support
    untreated = ~X["t"]
    # rows whose propensity is a tenth of the average one, and those far from that
    assert not support["supported"][untreated & (propensity < 0.01)].any()
    assert support["supported"][propensity > 0.15].all()
