"""Summaries of posterior outcomes, against NumPy and ArviZ."""

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from interventional import BayesianInterventionRegressor, Outcomes

N, CHAINS, DRAWS = 12, 2, 150


def table(index=None):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "b": rng.normal(size=N),
            "dose": pd.Categorical(
                ["none", "some", "much"] * (N // 3), categories=["none", "some", "much"]
            ),
            "site": ["north", "south"] * (N // 2),
        },
        index=index,
    )


@pytest.fixture(scope="module")
def model():
    X = pd.concat([table()] * 4, ignore_index=True)
    y = X["a"] - X["b"] + 0.5 * np.random.default_rng(2).normal(size=len(X))
    return BayesianInterventionRegressor(draws=DRAWS, chains=CHAINS, random_state=0).fit(X, y)


def made(samples, index=None, covariates=None, posterior=None):
    """Outcomes that hold known samples of shape (chain, draw, row)."""
    array = xr.DataArray(
        np.asarray(samples, dtype=float),
        dims=("chain", "draw", "obs"),
        coords={"obs": np.arange(np.shape(samples)[-1]) if index is None else index},
        attrs={} if posterior is None else {"posterior": posterior},
    )
    return Outcomes(array, "y", covariates)


@pytest.fixture(scope="module")
def outcomes():
    """Draws of twelve rows, no two alike."""
    rng = np.random.default_rng(3)
    location, scale = rng.normal(size=N), rng.uniform(0.5, 1.5, size=N)
    return made(rng.normal(location, scale, size=(CHAINS, DRAWS, N)), covariates=table())


@pytest.fixture(scope="module")
def samples(outcomes):
    return outcomes.draws.values.reshape(-1, N)


class TestRows:
    """Summaries of each row are taken over all draws."""

    def test_draws(self, outcomes):
        assert outcomes.draws.dims == ("chain", "draw", "obs")
        assert outcomes.draws.shape == (CHAINS, DRAWS, N)

    def test_moments(self, outcomes, samples):
        """Mean, and standard deviation with Bessel's correction as ArviZ has it."""
        np.testing.assert_allclose(outcomes.mean(), np.mean(samples, axis=0), rtol=1e-12)
        np.testing.assert_allclose(outcomes.std(), np.std(samples, axis=0, ddof=1), rtol=1e-12)

    @pytest.mark.parametrize("q", [0, 0.3, 1, 0.5])
    def test_quantile(self, outcomes, samples, q):
        np.testing.assert_array_equal(outcomes.quantile(q), np.quantile(samples, q, axis=0))

    def test_quantiles(self, outcomes, samples):
        """Several quantiles are columns."""
        q = [0.9, 0.1, 0.5]
        expected = np.column_stack([np.quantile(samples, each, axis=0) for each in q])
        np.testing.assert_array_equal(outcomes.quantile(q), expected)

    @pytest.mark.parametrize("prob", [0.5, 0.89, 0.945, 0.99])
    def test_equal_tails(self, outcomes, samples, prob):
        """As many draws below as above, and ArviZ's numbers."""
        interval = outcomes.interval(prob, "eti")
        assert interval.shape == (N, 2)
        tails = [(1 - prob) / 2, (1 + prob) / 2]
        np.testing.assert_allclose(interval, np.quantile(samples, tails, axis=0).T, rtol=1e-12)
        ours = az.eti(outcomes.draws, prob=prob).values
        np.testing.assert_allclose(interval, ours, rtol=1e-12)

    @pytest.mark.parametrize("prob", [0.5, 0.89, 0.945, 0.99])
    def test_highest_density(self, outcomes, samples, prob):
        """ArviZ's numbers; and no interval of as many draws is shorter."""
        interval = outcomes.interval(prob, "hdi")
        expected = az.hdi(outcomes.draws, prob=prob).values
        np.testing.assert_allclose(interval, expected, rtol=1e-12)
        ordered = np.sort(samples, axis=0)
        held = int(np.floor(prob * len(ordered)))
        shortest = (ordered[held:] - ordered[:-held]).min(axis=0)
        np.testing.assert_allclose(np.ptp(interval, axis=1), shortest, rtol=1e-12)

    @pytest.mark.parametrize("kind", ["eti", "hdi"])
    @pytest.mark.parametrize("prob", [0.6, 0.945])
    def test_interval_defaults_are_arviz_settings(self, outcomes, kind, prob):
        with az.rc_context({"stats.ci_prob": prob, "stats.ci_kind": kind}):
            interval, summary = outcomes.interval(), outcomes.summary()
        np.testing.assert_array_equal(interval, outcomes.interval(prob, kind))
        assert list(summary.columns)[2].startswith(f"{kind}{int(100 * prob)}")
        assert not np.allclose(interval, outcomes.interval(0.8, kind))

    def test_probability(self, outcomes, samples):
        """The share of draws in an open range."""
        np.testing.assert_array_equal(outcomes.probability(above=0.2), (samples > 0.2).mean(0))
        np.testing.assert_array_equal(outcomes.probability(below=0.2), (samples < 0.2).mean(0))
        inside = ((samples > -0.5) & (samples < 0.5)).mean(0)
        np.testing.assert_array_equal(outcomes.probability(above=-0.5, below=0.5), inside)

    def test_probability_excludes_the_ends(self):
        """Neither above nor below counts a draw that equals the end."""
        outcomes = made([[[0.0], [1.0], [2.0], [1.0]]])
        assert outcomes.probability(above=1.0) == 0.25
        assert outcomes.probability(below=1.0) == 0.25

    def test_array(self, outcomes):
        """As an array, outcomes are their means."""
        np.testing.assert_array_equal(np.asarray(outcomes), outcomes.mean())
        assert np.asarray(outcomes, dtype=np.float32).dtype == np.float32
        np.testing.assert_allclose(outcomes.mean() + np.array(outcomes), 2 * outcomes.mean())
        frame = table().assign(scenario=outcomes)
        np.testing.assert_array_equal(frame["scenario"], outcomes.mean())
        with pytest.raises(ValueError, match="copy"):
            np.asarray(outcomes, copy=False)

    def test_length(self, outcomes):
        assert len(outcomes) == N
        assert len(outcomes.average()) == 1


class TestSummary:
    """`summary` has ArviZ's columns and ArviZ's numbers."""

    @pytest.mark.parametrize(
        ("prob", "kind"),
        [(None, None), (None, "hdi"), (0.945, None), (0.945, "hdi"), (0.5, "eti")],
    )
    def test_equals_arviz(self, outcomes, prob, kind):
        theirs = az.summary(
            outcomes.to_datatree(),
            group="predictions",
            kind="stats",
            ci_prob=prob,
            ci_kind=kind,
            round_to="none",
        )
        ours = outcomes.summary(prob, kind)
        assert list(ours.columns) == list(theirs.columns)
        np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(float), rtol=1e-12)

    @pytest.mark.parametrize(
        ("prob", "digits"), [(0.29, "29"), (0.945, "94"), (0.955, "95"), (0.57, "57")]
    )
    def test_columns_say_the_probability(self, outcomes, prob, digits):
        """100 * 0.29 is 28.999999999999996."""
        columns = list(outcomes.summary(prob, "eti").columns)
        assert columns == ["mean", "sd", f"eti{digits}_lb", f"eti{digits}_ub"]

    def test_index_has_no_name(self):
        labels = ("obs", pd.Index([2.0, 3.0], name="dose level"))
        assert made([[[1.0, 2.0], [1.0, 3.0]]], labels).summary().index.name is None

    def test_of_an_average(self, outcomes, samples):
        """The interval of an average is that of the draws' averages."""
        row = outcomes.average().summary(0.9, "eti").loc["average"]
        averages = samples.mean(axis=1)
        expected = [averages.mean(), averages.std(ddof=1), *np.quantile(averages, [0.05, 0.95])]
        np.testing.assert_allclose(row, expected, rtol=1e-12)


class TestAverage:
    """Averages over rows are taken inside each draw."""

    def test_is_the_mean_of_each_draw(self, outcomes):
        average = outcomes.average()
        expected = outcomes.draws.values.mean(axis=2, keepdims=True)
        np.testing.assert_allclose(average.draws.values, expected, rtol=1e-12)
        np.testing.assert_allclose(average.mean(), outcomes.mean().mean(), rtol=1e-12)

    def test_interval_is_not_the_average_interval(self):
        """Rows that move against each other have an average without spread."""
        up = np.linspace(-1, 1, 100)
        outcomes = made(np.stack([up, -up], axis=-1)[None])
        np.testing.assert_allclose(outcomes.average().std(), 0.0, atol=1e-15)
        assert outcomes.std().min() > 0.5

    def test_weights(self, outcomes):
        weights = np.arange(N, dtype=float)
        expected = np.average(outcomes.draws.values, axis=2, weights=weights)
        average = outcomes.average(weights=weights)
        np.testing.assert_allclose(average.draws.values[..., 0], expected, rtol=1e-12)
        for scale in (7, 1 / weights.sum(), 1e-9):
            scaled = outcomes.average(weights=(scale * weights).astype(object))
            np.testing.assert_allclose(scaled.mean(), average.mean(), rtol=1e-12)

    def test_weights_in_another_order(self, model):
        """A Series of weights is aligned on the rows' labels."""
        X = table(index=list("abcdefghijkl"))
        outcomes = model.intervene(X, {"b": 0})
        weights = pd.Series(np.arange(N, dtype=float), index=X.index)
        expected = np.average(outcomes.mean(), weights=weights)
        shuffled = outcomes.average(weights=weights.sample(frac=1, random_state=0))
        np.testing.assert_allclose(shuffled.mean(), expected, rtol=1e-12)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(
        ("by", "labels"),
        [
            ("site", ["north", "south"]),
            ("dose", ["none", "some", "much"]),
            (table()["dose"], ["none", "some", "much"]),
            (table()["dose"].iloc[::-1], ["none", "some", "much"]),
            (table()["dose"].to_numpy(), ["much", "none", "some"]),
            (pd.Categorical(table()["dose"]), ["none", "some", "much"]),
            (table()["a"] > 0, [False, True]),
            ([5, 3, 5, 3, 5, 3, 5, 3, 5, 3, 5, 3], [3, 5]),
        ],
        ids=["name", "categories", "Series", "shuffled", "array", "Categorical", "bools", "list"],
    )
    def test_by(self, outcomes, by, labels, weighted):
        """A row a group, categories in their order, each the group's mean in each draw."""
        weights = np.linspace(1, 3, N) if weighted else None
        average = outcomes.average(weights, by=by)
        assert list(average.draws["obs"].values) == labels
        assert list(average.summary().index) == labels
        if isinstance(by, pd.Series):
            by = by.sort_index()
        groups = np.asarray(table()[by] if isinstance(by, str) else by)
        for k, label in enumerate(labels):
            rows = groups == label
            expected = np.average(
                outcomes.draws.values[..., rows],
                axis=2,
                weights=None if weights is None else weights[rows],
            )
            np.testing.assert_allclose(average.draws.values[..., k], expected, rtol=1e-12)

    def test_by_reads_the_rows_as_they_were_observed(self, model):
        """Neither forcing the column nor changing the table later moves rows between groups."""
        X = table()
        outcomes = model.intervene(X, {"site": "north", "b": 0})
        expected = outcomes.average(by=X["site"].copy()).mean()
        X["site"] = "south"
        average = outcomes.average(by="site")
        assert list(average.draws["obs"].values) == ["north", "south"]
        np.testing.assert_array_equal(average.mean(), expected)

    def test_by_reads_an_array_as_it_was_observed(self):
        """As above for an array: groups go by the columns' names."""
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.integers(2, size=20), rng.normal(size=20)]).astype(float)
        model = BayesianInterventionRegressor(draws=20, chains=1, random_state=0)
        outcomes = model.fit(X, rng.normal(size=20)).intervene(X, {1: 0})
        sizes = [int((X[:, 0] == k).sum()) for k in (0, 1)]
        X[:] = 0.0
        average = outcomes.average(by="x0")
        assert list(average.draws["obs"].values) == [0.0, 1.0]
        overall = np.average(average.mean(), weights=sizes)
        np.testing.assert_allclose(overall, outcomes.average().mean()[0], rtol=1e-12)

    def test_by_keeps_through_a_difference(self, model):
        """A contrast can be averaged by the same columns."""
        X = table()
        lift = model.effect(X, {"b": 1})
        average = lift.average(by="dose")
        rows = (X["dose"] == "some").to_numpy()
        expected = lift.draws.values[..., rows].mean(axis=2)
        np.testing.assert_allclose(average.draws.sel(obs="some").values, expected, rtol=1e-12)

    def test_by_labels_that_are_tuples(self):
        """A column may be labelled by a tuple."""
        X = pd.DataFrame({"k": [0.0, 1.0, 1.0]})
        X.columns = pd.Index([("u", 1)], tupleize_cols=False)
        outcomes = made([[[1.0, 2.0, 4.0]]], covariates=X)
        np.testing.assert_allclose(outcomes.average(by=("u", 1)).mean(), [1.0, 3.0])


class TestContrast:
    """Differences and ratios pair the draws."""

    def test_difference_and_ratio(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(5, 1, size=(2, 50, 3)), rng.normal(5, 0.5, size=(2, 50, 3))
        np.testing.assert_array_equal((made(a) - made(b)).draws.values, a - b)
        np.testing.assert_array_equal((made(a) / made(b)).draws.values, a / b)

    def test_of_averages(self, model):
        """The ratio of averages is not the average of ratios."""
        X = table()
        low, high = model.intervene(X, {"b": 30}), model.intervene(X, {"b": 60})
        ratio = (high.average() / low.average()).draws.values
        expected = high.draws.values.mean(axis=2) / low.draws.values.mean(axis=2)
        np.testing.assert_allclose(ratio[..., 0], expected, rtol=1e-12)

    def test_of_groups(self, model):
        """Averages by group pair group by group."""
        X = table()
        low, high = (model.intervene(X, {"b": b}).average(by="dose") for b in (0, 1))
        lift = model.effect(X, {"b": 1}, {"b": 0}).average(by="dose")
        np.testing.assert_allclose((high - low).draws.values, lift.draws.values, rtol=1e-9)


class TestCompare:
    """Scenarios side by side, against averages of their draws by NumPy."""

    @pytest.fixture
    def draws(self):
        rng = np.random.default_rng(4)
        return {name: rng.normal(k, 2.0, size=(2, 50, N)) for k, name in enumerate("abc")}

    @pytest.mark.parametrize("better", ["higher", "lower"])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("kind", ["eti", "hdi"])
    def test_rows(self, draws, better, weighted, kind):
        weights = np.linspace(0, 2, N) if weighted else None
        found = Outcomes.compare(
            {name: made(each) for name, each in draws.items()},
            weights=weights,
            better=better,
            prob=0.8,
            kind=kind,
        )
        ends = [f"{kind}80_lb", f"{kind}80_ub"]
        effects = ["effect", "effect_lb", "effect_ub", "prob_better"]
        assert list(found.columns) == ["mean", *ends, *effects]
        assert list(found.index) == ["a", "b", "c"]
        averages = {k: np.average(each, axis=2, weights=weights) for k, each in draws.items()}
        interval = {"eti": az.eti, "hdi": az.hdi}[kind]
        for name, average in averages.items():
            row = found.loc[name]
            assert row["mean"] == pytest.approx(average.mean())
            np.testing.assert_allclose(row[ends], interval(average.ravel(), prob=0.8))
            effect = (average - averages["a"]).ravel()
            if name == "a":
                assert row[effects].isna().all()
                continue
            np.testing.assert_allclose(row["effect"], effect.mean())
            np.testing.assert_allclose(row[effects[1:3]], interval(effect, prob=0.8))
            wins = effect > 0 if better == "higher" else effect < 0
            assert row["prob_better"] == wins.mean()

    def test_higher_is_better_unless_it_is_said(self, draws):
        scenarios = {name: made(each) for name, each in draws.items()}
        pd.testing.assert_frame_equal(
            Outcomes.compare(scenarios), Outcomes.compare(scenarios, better="higher")
        )

    def test_groups(self, draws):
        """A row for each scenario and group."""
        scenarios = {name: made(each, covariates=table()) for name, each in draws.items()}
        found = Outcomes.compare(scenarios, by="dose")
        assert list(found.index) == [(s, d) for s in "abc" for d in ("none", "some", "much")]
        rows = (table()["dose"] == "some").to_numpy()
        here, first = (draws[name][..., rows].mean(axis=2) for name in "ba")
        assert found.loc[("b", "some"), "mean"] == pytest.approx(here.mean())
        assert found.loc[("b", "some"), "effect"] == pytest.approx((here - first).mean())
        assert found.loc[("b", "some"), "prob_better"] == (here > first).mean()
        assert found.loc["a"]["effect"].isna().all()

    @pytest.mark.parametrize("scenarios", [{}, [], None, "ab"])
    def test_of_nothing(self, scenarios):
        with pytest.raises(TypeError, match="must map names to Outcomes, got"):
            Outcomes.compare(scenarios)

    def test_unknown_side(self, outcomes):
        with pytest.raises(ValueError, match="value of better: 'high'; did you mean 'higher'"):
            Outcomes.compare({"a": outcomes}, better="high")


class TestConcat:
    """Averages become rows, by name."""

    def test_rows(self):
        a, b = np.random.default_rng(5).normal(size=(2, 3, 7, 1))
        both = Outcomes.concat({"a": made(a), ("b", 2): made(b)})
        assert list(both.draws["obs"].values) == ["a", ("b", 2)]
        np.testing.assert_array_equal(both.draws.values, np.concatenate([a, b], axis=2))
        assert both.estimand == "average outcome by scenario"

    def test_names_that_are_tuples(self):
        """They stay names: no MultiIndex."""
        averages = {("a", 1): made(np.zeros((1, 2, 1))), ("b", 2): made(np.ones((1, 2, 1)))}
        both = Outcomes.concat(averages)
        assert list(both.draws["obs"].values) == [("a", 1), ("b", 2)]
        assert not isinstance(both.summary().index, pd.MultiIndex)

    @pytest.mark.parametrize("shape", [(3, 7, 2), (7, 3, 1), (3, 8, 1)])
    def test_what_does_not_go_together(self, shape):
        with pytest.raises(
            ValueError, match=rf"'b' has {shape[2]} rows and \({shape[0]}, {shape[1]}\)"
        ):
            Outcomes.concat({"a": made(np.zeros((3, 7, 1))), "b": made(np.zeros(shape))})


class TestDraws:
    """The draws as a DataArray, and outcomes made of one."""

    def test_are_put_together_once(self, outcomes):
        lift = outcomes - outcomes
        assert lift.draws is lift.draws
        assert lift.draws.name == "outcome"
        assert lift.draws["chain"].values.tolist() == list(range(CHAINS))
        assert lift.draws["draw"].values.tolist() == list(range(DRAWS))
        assert lift.draws.attrs == {}

    def test_are_the_array_that_outcomes_were_made_of(self):
        array = made([[[1, 2], [3, 5]]]).draws.astype(int)
        outcomes = Outcomes(array, "y")
        assert outcomes.draws is array
        assert outcomes.average().draws.dtype == np.float64
        np.testing.assert_array_equal(outcomes.mean(), [2.0, 3.5])
        assert repr(outcomes) == "<Outcomes: y, 2 rows, 2 draws, means 2.0, 3.5>"
        assert list(outcomes) == [2.0, 3.5]

    def test_rows_keep_their_labels(self):
        outcomes = made([[[1.0, 2.0], [2.0, 4.0]]], ["u", "v"])
        for each in (outcomes, outcomes - outcomes, outcomes / outcomes):
            assert list(each.summary().index) == ["u", "v"]

    def test_rows_without_labels_are_counted(self):
        array = xr.DataArray(np.zeros((1, 4, 3)), dims=("chain", "draw", "obs"))
        assert list(Outcomes(array, "y").summary().index) == [0, 1, 2]

    def test_keep_whose_they_are(self):
        """What is made of draws pairs with what has the same posterior, and with no other."""
        a, b = np.random.default_rng(6).normal(size=(2, 2, 5, 3))
        first, second = made(a, posterior="p"), made(b, posterior="p")
        lift = first - second
        assert lift.draws.attrs == {"posterior": "p"}
        again = Outcomes(lift.draws, "again")
        np.testing.assert_array_equal((again - lift).draws.values, 0.0)
        for other in (made(a, posterior="q"), made(a)):
            with pytest.raises(ValueError, match="two posteriors"):
                lift.average() - other.average()

    def test_covariates_are_copied(self):
        rows = pd.DataFrame({"site": ["n", "s"]})
        outcomes = made([[[1.0, 2.0]]], covariates=rows)
        rows["site"] = "n"
        assert list(outcomes.average(by="site").mean()) == [1.0, 2.0]


class TestWords:
    """The repr names the estimand."""

    @pytest.mark.parametrize(
        ("do", "kind", "words"),
        [
            ({"b": 0}, "mean", "E[y | do(b = 0)]"),
            ({"b": 0.5}, "predictive", "y | do(b = 0.5)"),
            ({"b": 0, "dose": "much"}, "mean", "E[y | do(b = 0, dose = 'much')]"),
            ({"b": lambda X: X["b"]}, "mean", "E[y | do(b = f(X))]"),
            ({"b": np.abs(np.arange(N))}, "mean", "E[y | do(b = values)]"),
            ({"b": stats.norm(0, 1)}, "mean", "E[y | do(b = a draw from norm)]"),
        ],
    )
    def test_of_an_intervention(self, model, do, kind, words):
        outcomes = model.intervene(table(), do, kind=kind)
        assert outcomes.estimand == words
        said = repr(outcomes)
        assert said.startswith(f"<Outcomes: {words}, {N} rows, {CHAINS * DRAWS} draws, means ")

    def test_of_contrasts_and_averages(self, model):
        X = table()
        lift = model.effect(X, {"b": 1})
        assert lift.estimand == "E[y | do(b = 1)] - E[y | do(b as observed)]"
        assert lift.average().estimand == f"average of {lift.estimand}"
        assert " 300 draws>" in repr(lift.average())
        assert lift.average(by="site").estimand == f"average by group of {lift.estimand}"
        low = model.intervene(X, {"b": 30})
        assert (low / low).estimand == "E[y | do(b = 30)] / E[y | do(b = 30)]"
        assert (low - low / low).estimand == (
            "E[y | do(b = 30)] - (E[y | do(b = 30)] / E[y | do(b = 30)])"
        )
        assert (lift / low).estimand == f"({lift.estimand}) / E[y | do(b = 30)]"


INDEXES = {
    "strings": pd.Index([f"row {k}" for k in range(N)]),
    "dates": pd.date_range("2024-01-31", periods=N, freq="ME"),
    "dates with a zone": pd.date_range("2024-01-31", periods=N, tz="Europe/Rome"),
    "periods": pd.period_range("2024-01", periods=N, freq="M"),
    "categories": pd.CategoricalIndex([f"row {k}" for k in range(N)]),
    "intervals": pd.interval_range(0, N),
    "descending": pd.RangeIndex(N, 0, -1),
    "named": pd.Index(np.arange(N) * 2.5, name="dose level"),
    "levels": pd.MultiIndex.from_product([["u", "v", "w"], range(N // 3)], names=["i", "j"]),
    "repeated": pd.Index([1, 1, 2] * (N // 3)),
}


@pytest.mark.parametrize("index", INDEXES)
class TestLabels:
    """Rows keep the labels of X."""

    def test_are_carried(self, model, index):
        X = table(INDEXES[index])
        outcomes = model.intervene(X, {"b": 0})
        assert list(outcomes.draws.indexes["obs"]) == list(X.index)
        assert list(outcomes.summary().index) == list(X.index)
        assert list((outcomes - outcomes).summary().index) == list(X.index)
        plain = model.intervene(table(), {"b": 0})
        np.testing.assert_array_equal(outcomes.draws.values, plain.draws.values)

    def test_align_what_is_given(self, model, index):
        """Series with the labels of X serve in `do`, as weights and as groups."""
        X = table(INDEXES[index])
        half = pd.Series(np.linspace(0, 1, N), index=X.index)
        outcomes = model.intervene(X, {"b": half})
        by_value = model.intervene(X, {"b": half.to_numpy()})
        np.testing.assert_array_equal(outcomes.draws.values, by_value.draws.values)
        expected = np.average(outcomes.mean(), weights=half)
        np.testing.assert_allclose(outcomes.average(weights=half).mean(), expected, rtol=1e-12)
        groups = outcomes.average(by=X["site"]).mean()
        np.testing.assert_array_equal(groups, outcomes.average(by="site").mean())

    def test_go_into_arviz(self, model, index):
        """ArviZ summarises each row, in order."""
        outcomes = model.intervene(table(INDEXES[index]), {"b": 0})
        theirs = az.summary(
            outcomes.to_datatree(), group="predictions", kind="stats", round_to="none"
        )
        found, ours = theirs.to_numpy(float), outcomes.summary().to_numpy()
        draws = outcomes.draws.values.reshape(-1, len(ours))
        np.testing.assert_allclose(found[:, 0], ours[:, 0], rtol=1e-9)
        np.testing.assert_allclose(found[:, 1], draws.std(axis=0, ddof=1), rtol=1e-12)
        error = 4 * 2.1 * ours[:, 1:2] / np.sqrt(len(draws))  # of a quantile at 5.5 or 94.5%
        assert (np.abs(found[:, 1:] - ours[:, 1:]) < error).all()  # ours are in closed form


class TestDataTree:
    """What ArviZ is given."""

    def test_draws(self, outcomes):
        predictions = outcomes.to_datatree()["predictions"]
        xr.testing.assert_equal(predictions["outcome"].drop_attrs(), outcomes.draws)
        assert predictions.attrs["estimand"] == outcomes.estimand
        assert predictions.attrs["sample_dims"] == ["chain", "draw"]

    @pytest.mark.parametrize("labels", [["u", "u", "v"], pd.CategoricalIndex(["u", "v", "w"])])
    def test_labels_that_arviz_does_not_read(self, labels):
        values = np.arange(12.0).reshape(2, 2, 3)
        index = pd.Index(labels)
        found = made(values, index, posterior="p").to_datatree()["predictions"]
        np.testing.assert_array_equal(found["outcome"].values, values)
        assert found["obs"].values.tolist() == (list(index) if index.is_unique else [0, 1, 2])
        assert found["obs" if index.is_unique else "label"].values.tolist() == list(index)
        assert found["obs" if index.is_unique else "label"].dims == ("obs",)

    def test_rows_with_one_label(self, model):
        """Where labels repeat the rows are counted, and the labels stand beside."""
        index = INDEXES["repeated"]
        predictions = model.intervene(table(index), {"b": 0}).to_datatree()["predictions"]
        assert predictions["obs"].values.tolist() == list(range(N))
        assert predictions["label"].values.tolist() == list(index)


class TestBadInput:
    """Errors name what was wrong."""

    @pytest.mark.parametrize(
        ("ask", "error", "message"),
        [
            (lambda o: o.quantile(1.5), ValueError, "q .*between 0 and 1, got 1.5"),
            (lambda o: o.quantile([0.5, -0.1]), ValueError, "-0.1"),
            (lambda o: o.quantile(np.nan), ValueError, "nan"),
            (lambda o: o.quantile([[0.5]]), ValueError, "q must"),
            (lambda o: o.interval(1.0), ValueError, "prob .*got 1.0"),
            (lambda o: o.interval(0), ValueError, "prob .*got 0"),
            (lambda o: o.interval(94), ValueError, "prob .*got 94"),
            (lambda o: o.interval(np.nan), ValueError, "prob .*nan"),
            (lambda o: o.summary(prob=-0.5), ValueError, "prob .*-0.5"),
            (lambda o: o.interval(kind="hpd"), ValueError, "'hpd'.*'eti', 'hdi'"),
            (lambda o: o.probability(), ValueError, "above=.*below="),
            (lambda o: o.average(weights=[1.0]), ValueError, r"weights .*\(12,\).*\(1,\)"),
            (lambda o: o.average(weights=np.ones((N, 1))), ValueError, r"weights .*\(12, 1\)"),
            (lambda o: o.average(weights=np.zeros(N)), ValueError, "weights .*not all zero"),
            (lambda o: o.average(weights=[-0.5] + [1.0] * (N - 1)), ValueError, "not negative"),
            (lambda o: o.average(weights=-np.ones(N)), ValueError, "weights .*negative"),
            (lambda o: o.average(weights=np.full(N, np.nan)), ValueError, "weights .*finite"),
            (lambda o: o.average(weights=np.full(N, np.inf)), ValueError, "weights .*finite"),
            (
                lambda o: o.average(weights=pd.Series(1.0, index=range(1, N + 1))),
                ValueError,
                "weights: its index",
            ),
            (
                lambda o: o.average(weights=pd.Series(1.0, index=[*range(N), 0])),
                ValueError,
                "weights: its index",
            ),
            (lambda o: o.average(by=("site", 1)), ValueError, r"by must have shape \(12,\)"),
            (
                lambda o: made(o.draws).average(by="site"),
                ValueError,
                "have no columns to group by",
            ),
            (lambda o: o.average(by=[1, None] * (N // 2)), ValueError, "by .*missing.*row 1"),
            (lambda o: o.average(by="sites"), ValueError, "'sites'.*did you mean 'site'"),
            (lambda o: o.average(by=3), ValueError, "unknown column in by: 3"),
            (
                lambda o: o.average(by=["site", "doze"]),
                ValueError,
                "by: 'doze'; did you mean 'dose'",
            ),
            (lambda o: o.average(by=["x", "y"]), ValueError, r"by must have shape \(12,\)"),
            (lambda o: o.average(by=[None] + [1] * (N - 1)), ValueError, "by .*missing.*row 0"),
            (
                lambda o: o.average(weights=(table()["site"] == "north").astype(float), by="site"),
                ValueError,
                "'south' are all zero",
            ),
            (lambda o: o.average().average(by="site"), ValueError, "have no columns to group by"),
            (lambda o: o / None, TypeError, "NoneType"),
            (lambda o: o - o.draws, TypeError, "DataArray"),
            (lambda o: o / (o - o), ValueError, "denominator is zero"),
        ],
    )
    def test_refused(self, outcomes, ask, error, message):
        with pytest.raises(error, match=message):
            ask(outcomes)

    def test_other_rows(self, model):
        """Rows pair by label: other labels, or the same in another order, do not pair."""
        X = table()
        outcomes = model.intervene(X, {"b": 0})
        for other in (X.iloc[:6], X.iloc[::-1], X.set_axis(range(1, N + 1))):
            with pytest.raises(ValueError, match="the rows are not the same"):
                outcomes - model.intervene(other, {"b": 0})

    def test_other_draws(self, model):
        """Fewer draws do not pair."""
        X = table()
        other = BayesianInterventionRegressor(draws=10, chains=CHAINS, random_state=0)
        other.fit(X, X["a"] + X["b"] ** 2)
        with pytest.raises(ValueError, match=r"draws do not pair.*\(2, 150\).*\(2, 10\)"):
            model.intervene(X, {"b": 0}) - other.intervene(X, {"b": 0})

    def test_draws_of_another_posterior(self, model):
        """As many draws of another posterior do not pair either: they only look as if.

        Two fits with one seed have comonotone draws; a difference of them would have an interval
        that is far too narrow.
        """
        X = table()
        other = BayesianInterventionRegressor(draws=DRAWS, chains=CHAINS, random_state=0)
        other.fit(X, X["a"] + X["b"] ** 2)
        with pytest.raises(ValueError, match="draws do not pair"):
            model.intervene(X, {"b": 0}) - other.intervene(X, {"b": 0})
