"""Pictures: what is drawn is what the outcomes say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from interventional import BayesianInterventionRegressor, InterventionDisplay, Outcomes, intervene


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(5)
    X = pd.DataFrame(
        {"dose": rng.uniform(0, 4, 120), "age": rng.normal(50, 9, 120), "sex": ["f", "m"] * 60}
    )
    y = 2 * X["dose"] + 0.1 * X["age"] + (X["sex"] == "m") + rng.normal(size=120)
    return BayesianInterventionRegressor(random_state=0, draws=250).fit(X, y), X, y


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_curve_is_the_average_under_do(fitted):
    model, X, _ = fitted
    display = InterventionDisplay.from_estimator(model, X, "dose", kind="both", prob=0.9)
    assert len(display.positions) == 50
    for k in (0, 20, 49):
        outcomes = model.intervene(X, {"dose": display.positions[k]})
        np.testing.assert_allclose(display.average.mean()[k], outcomes.average().mean()[0])
    line = next(line for line in display.ax_.lines if line.get_linewidth() == 2)
    np.testing.assert_allclose(line.get_ydata(), display.average.mean())
    band = display.ax_.collections[0].get_paths()[0].vertices
    low, high = display.average.interval(0.9).T
    assert band[:, 1].min() == pytest.approx(low.min())
    assert band[:, 1].max() == pytest.approx(high.max())
    assert display.individual.shape == (50, 50)
    assert display.ax_.get_xlabel() == "dose, forced"
    assert display.ax_.get_ylabel() == "E[y | do(dose)]"
    assert display.ax_.get_title(loc="left") == "average and its 90% interval; 50 single rows"
    assert display.figure_ is display.ax_.figure


def test_single_rows_are_predictions_of_forced_rows(fitted):
    model, X, _ = fitted
    display = InterventionDisplay.from_estimator(
        model, X[:10], "dose", values=[0.0, 1.0, 2.0], kind="individual"
    )
    np.testing.assert_allclose(
        display.individual[1], model.predict(X[:10].assign(dose=1.0)), rtol=1e-10
    )
    assert display.ax_.get_title(loc="left") == ""


def test_beyond_what_was_observed_is_shaded(fitted):
    model, X, _ = fitted
    inside = InterventionDisplay.from_estimator(model, X, "dose", values=[1.0, 2.0, 3.0])
    beyond = InterventionDisplay.from_estimator(model, X, "dose", values=[-1.0, 2.0, 9.0])
    assert len(inside.ax_.patches) == 0
    spans = [patch.get_x() for patch in beyond.ax_.patches]
    assert spans == pytest.approx([-1.0, X["dose"].max()])


def test_levels_are_points_with_bars(fitted):
    model, X, _ = fitted
    display = InterventionDisplay.from_estimator(model, X, "sex")
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["f", "m"]
    means = [model.intervene(X, {"sex": level}).average().mean()[0] for level in "fm"]
    np.testing.assert_allclose(display.ax_.lines[0].get_ydata(), means)


def test_through_a_pipeline(fitted):
    _, X, y = fitted
    numbers = X[["dose", "age"]]
    pipeline = make_pipeline(StandardScaler(), BayesianInterventionRegressor(random_state=0))
    pipeline.fit(numbers, y)
    display = InterventionDisplay.from_estimator(pipeline, numbers, "dose", values=[0, 2, 4])
    slope = pipeline[-1].coef_[0] / pipeline[0].scale_[0]
    np.testing.assert_allclose(np.diff(display.average.mean()), 2 * slope)


def test_forest_of_scenarios(fitted):
    model, X, _ = fitted
    scenarios = {f"dose {d}": model.intervene(X, {"dose": d}) for d in (0, 1, 2)}
    display = InterventionDisplay.from_outcomes(scenarios, prob=0.8)
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == list(scenarios)
    np.testing.assert_allclose(
        display.ax_.lines[0].get_xdata(), Outcomes.compare(scenarios)["mean"]
    )


def test_plot_again_on_other_axes(fitted):
    model, X, _ = fitted
    display = InterventionDisplay.from_estimator(model, X, "dose", values=[0.0, 1.0, 2.0])
    figure, ax = plt.subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure


def test_plot_of_outcomes(fitted):
    """One row: a density that integrates to one; many: their means in order."""
    model, X, _ = fitted
    outcomes = model.intervene(X, {"dose": 1.0})
    ax = outcomes.average().plot()
    x, density = ax.lines[0].get_data()
    assert np.trapezoid(density, x) == pytest.approx(1.0, abs=0.02)
    ax = outcomes.plot(plt.subplots()[1])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.sort(outcomes.mean()))


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"column": "does"}, ValueError, "did you mean 'dose'"),
            ({"column": "dose", "kind": "averge"}, ValueError, "did you mean 'average'"),
            ({"column": "dose", "values": 3.0}, ValueError, "list of values"),
            ({"column": "dose", "prob": 94}, ValueError, "between 0 and 1"),
            ({"column": "sex", "values": ["f", "x"]}, ValueError, "'x'"),
        ],
    )
    def test_from_estimator(self, fitted, arguments, error, message):
        model, X, _ = fitted
        with pytest.raises(error, match=message):
            InterventionDisplay.from_estimator(model, X, **arguments)

    def test_from_outcomes(self):
        with pytest.raises(TypeError, match="map names to Outcomes"):
            InterventionDisplay.from_outcomes({})


class TestCompare:
    """One row a scenario, by hand from averages and paired differences."""

    def test_by_hand(self, fitted):
        model, X, _ = fitted
        scenarios = {name: model.intervene(X, {"dose": d}) for name, d in (("no", 0), ("yes", 2))}
        table = Outcomes.compare(scenarios, prob=0.9)
        difference = (scenarios["yes"] - scenarios["no"]).average()
        row = table.loc["yes"]
        assert row["mean"] == pytest.approx(scenarios["yes"].average().mean()[0])
        assert row["effect"] == pytest.approx(difference.mean()[0])
        assert tuple(row[["effect_lb", "effect_ub"]]) == pytest.approx(
            tuple(difference.interval(0.9)[0])
        )
        assert row["prob_better"] == difference.probability(above=0)[0]
        assert 1 - 1e-12 < row["prob_better"] <= 1.0  # in closed form: 1, but for a far tail
        assert table.loc["no", ["effect", "prob_better"]].isna().all()
        worse = Outcomes.compare(scenarios, better="lower").loc["yes", "prob_better"]
        assert worse == pytest.approx(1 - row["prob_better"], abs=1e-15)
        assert 0.0 <= worse < 1e-12

    def test_by_group_and_weights(self, fitted):
        model, X, _ = fitted
        scenarios = {name: model.intervene(X, {"dose": d}) for name, d in (("no", 0), ("yes", 2))}
        table = Outcomes.compare(scenarios, by="sex")
        assert list(table.index) == [("no", "f"), ("no", "m"), ("yes", "f"), ("yes", "m")]
        women = (X["sex"] == "f").astype(float)
        weighted = Outcomes.compare(scenarios, weights=women)
        assert table.loc[("yes", "f"), "mean"] == pytest.approx(weighted.loc["yes", "mean"])

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (({},), TypeError, "map names to Outcomes"),
            ((["a"],), TypeError, "map names to Outcomes"),
        ],
    )
    def test_errors(self, arguments, error, message):
        with pytest.raises(error, match=message):
            Outcomes.compare(*arguments)

    def test_unknown_direction(self, fitted):
        model, X, _ = fitted
        outcomes = {"a": model.intervene(X, {"dose": 0.0})}
        with pytest.raises(ValueError, match="did you mean 'higher'"):
            Outcomes.compare(outcomes, better="high")


@pytest.mark.parametrize("ordered", [True, False])
def test_levels_stand_in_the_order_of_the_category(ordered):
    rng = np.random.default_rng(0)
    arms, present = ["none", "low", "mid", "unused", "high"], np.array([0, 1, 2, 4])
    codes = rng.choice(present, 200)
    dose = pd.Categorical.from_codes(codes, arms, ordered=ordered)
    X = pd.DataFrame({"dose": dose, "age": rng.normal(size=200)})
    y = codes + X["age"] + rng.normal(size=200)
    one_hot = OneHotEncoder(drop="first", sparse_output=False)
    design = make_column_transformer((one_hot, ["dose"]), remainder="passthrough")
    plain = BayesianInterventionRegressor(random_state=0)
    for model in (plain, clone(plain).set_params(design=design), make_pipeline(design, plain)):
        model.fit(X, y)
        display = InterventionDisplay.from_estimator(model, X, "dose")
        assert display.positions.tolist() == ["none", "low", "mid", "high"]
        assert [each.get_text() for each in display.ax_.get_xticklabels()] == [
            "none",
            "low",
            "mid",
            "high",
        ]
        groups = intervene(model, X, {"dose": "low"}).average(by="dose").summary().index
        assert groups.tolist() == ["none", "low", "mid", "high"]


def test_missing_values_of_the_column_are_no_position(fitted):
    model, X, _ = fitted
    holes = X.assign(sex=X["sex"].where(X.index > 5))
    display = InterventionDisplay.from_estimator(model, holes, "sex")
    assert display.positions.tolist() == ["f", "m"]
    holes = X.assign(dose=X["dose"].where(X.index > 5))
    display = InterventionDisplay.from_estimator(model, holes, "dose")
    assert display.positions[[0, -1]].tolist() == [X["dose"][6:].min(), X["dose"][6:].max()]
    with pytest.raises(ValueError, match="column 'dose' of X holds no values"):
        InterventionDisplay.from_estimator(model, X.assign(dose=np.nan), "dose")
