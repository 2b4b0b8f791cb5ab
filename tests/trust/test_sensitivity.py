"""Held against published numbers, PySensemakr, least squares, and a confounder that is known."""

import copy
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr
from conftest import N_STANDARD_ERRORS, assert_mean
from matplotlib.image import imread
from pymc_extras.prior import Prior

from interventional import BayesianInterventionRegressor, Outcomes
from interventional.answers.e_value import e_value
from interventional.data.table import Table
from interventional.trust.omitted_variable import bias_factor, confounder_like, robustness_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its documentation has escapes that Python no longer likes
    import sensemakr

FLAT = {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")}
COVARIATES = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female", "village"]
# A confounder 1, 2 and 3 times as strong as female: tests/testthat/test-02-darfur.R of sensemakr
PUBLISHED = {
    "r2_treatment": [0.00916428667504862, 0.0183285733500972, 0.0274928600251459],
    "r2_outcome": [0.12464092303637, 0.249324064199975, 0.374050471038094],
    "mean": [0.0752202712144491, 0.0529151723844518, 0.0303960234641548],
}
HARMED = {"do": {"directlyharmed": 1}, "baseline": {"directlyharmed": 0}}


def plugged_in(model, beta, sigma):
    """Return the model with estimates for a posterior: two draws, both of them equal."""
    own, name = copy.copy(model), model.fitted_.model.outcome
    variables = {
        f"{name}_intercept": np.zeros((1, 2)),
        f"{name}_beta": np.broadcast_to(beta, (1, 2, len(beta))),
        f"{name}_sigma": np.full((1, 2), sigma),
    }
    posterior = replace(model.fitted_.posteriors[0], variables=variables)
    own.fitted_ = replace(model.fitted_, posteriors=(posterior,))
    return own


def matrix_of(model, X):
    """Return the design matrix of rows."""
    return model.fitted_.model.of_outcome.matrix(model.fitted_.encoded(Table.of(X)))


def least_squares(model, X, y):
    """Return coefficients without the intercept, and sigma with Bessel's correction."""
    matrix = np.column_stack(
        [
            np.ones(len(X)),
            model.fitted_.model.of_outcome.matrix(model.fitted_.encoded(Table.of(X))),
        ]
    )
    beta, rss, rank, _ = np.linalg.lstsq(matrix, y)
    return beta[1:], float(np.sqrt(rss[0] / (len(y) - rank)))


@pytest.fixture(scope="module")
def darfur():
    people = sensemakr.load_darfur()
    X, y = people[["directlyharmed", *COVARIATES]], people["peacefactor"]
    model = BayesianInterventionRegressor(priors=FLAT, random_state=0).fit(X, y)
    return X, y, model


@pytest.fixture(scope="module")
def small():
    """Rows with a bool, two levels, three levels, and a column that follows from others."""
    rng = np.random.default_rng(5)
    n = 300
    X = pd.DataFrame(
        {
            "dose": rng.normal(size=n),
            "sex": pd.Categorical(rng.choice(["f", "m"], n)),
            "area": pd.Categorical(rng.choice(["north", "south", "west"], n)),
            "old": rng.uniform(size=n) < 0.4,
            "age": rng.normal(50, 9, size=n),
        }
    )
    X["dose"] += 0.5 * (X["area"] == "west") + 0.04 * X["age"]
    y = X["dose"] - (X["area"] == "west") + 0.05 * X["age"] + (X["sex"] == "m") + X["old"]
    y += rng.normal(size=n)
    return X, y, BayesianInterventionRegressor(random_state=0).fit(X, y)


def test_darfur_as_published(darfur):
    """The table of sensemakr's own README, from Cinelli and Hazlett (2020), section 5."""
    X, y, model = darfur
    estimates = plugged_in(model, *least_squares(model, X, y))
    found = estimates.sensitivity(X, **HARMED, benchmarks="female", prob=0.95)
    assert round(found.effect.mean()[0], 8) == 0.09731582
    assert round(found.partial_r2.mean()[0], 5) == 0.02187
    assert round(found.robustness_value().mean()[0], 5) == 0.13878
    bounds = found.bounds()
    assert bounds.index.tolist() == [("female", 1), ("female", 2), ("female", 3)]
    assert bounds["r2_treatment"].round(4).tolist() == [0.0092, 0.0183, 0.0275]
    assert bounds["r2_outcome"].round(4).tolist() == [0.1246, 0.2493, 0.3741]
    assert bounds["mean"].round(4).tolist() == [0.0752, 0.0529, 0.0304]
    # and to the digits of its authors' own tests
    for column, digits in PUBLISHED.items():
        np.testing.assert_allclose(bounds[column], digits, rtol=1e-10)


def test_darfur_over_the_posterior(darfur):
    X, _, model = darfur
    found = model.sensitivity(X, **HARMED, benchmarks=["female"], prob=0.95)
    assert_mean(found.effect.draws.values.ravel(), 0.09731582)
    for multiple, truth in zip((1, 2, 3), PUBLISHED["mean"], strict=True):
        row = found.bounds().loc[("female", multiple)]
        adjusted = found.adjusted(row["r2_treatment"], row["r2_outcome"])
        assert_mean(adjusted.draws.values.ravel(), truth)
        assert adjusted.mean()[0] == row["mean"]
    values = found.robustness_value().draws.values.ravel()
    low, middle = np.quantile(values, [0.025, 0.5])
    # standard errors of quantiles of draws that are all but Gaussian
    error = values.std() * np.sqrt([0.025 * 0.975, 0.25]) / [0.0584, 0.3989] / np.sqrt(len(values))
    assert abs(low - 0.07626) < N_STANDARD_ERRORS * error[0]
    assert abs(middle - 0.13878) < N_STANDARD_ERRORS * error[1]
    table = found.summary()
    np.testing.assert_allclose(table.loc["robustness_value", "eti95_lb"], low)
    assert table.index.tolist() == ["effect", "partial_r2", "robustness_value"]


def test_darfur_under_default_priors(darfur, tmp_path):
    """As published, but for what default priors move; in words, a table and a picture."""
    X, y, _ = darfur
    model = BayesianInterventionRegressor(outcome="peacefactor", random_state=0).fit(X, y)
    found = model.sensitivity(X, **HARMED, benchmarks="female", prob=0.95)
    text = str(found)
    assert "Average effect of directlyharmed on peacefactor: 0.097" in text
    assert "One as strong as female could leave 0.075" in text
    bounds = found.bounds()
    for column, digits in PUBLISHED.items():
        np.testing.assert_allclose(bounds[column], digits, atol=0.0011)
    assert bounds["prob_beyond"].round(2).tolist() == [1.0, 0.99, 0.9]
    found.plot().figure.savefig(tmp_path / "sensitivity.png", dpi=150)
    pixels = imread(tmp_path / "sensitivity.png")[..., :3]
    assert min(pixels.shape[:2]) > 400
    assert (pixels.std(axis=(0, 1)) > 0.02).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning:sensemakr")
@pytest.mark.parametrize(("t", "dof"), [(4.18445, 783), (-2.1, 40), (0.3, 12), (25.0, 9000)])
def test_formulas_equal_pysensemakr(t, dof):
    from sensemakr import bias_functions, sensitivity_statistics

    f = abs(t) / np.sqrt(dof)
    for q in (0.5, 1.0, 1.5):
        theirs = sensitivity_statistics.robustness_value(t_statistic=t, dof=dof, q=q)
        np.testing.assert_allclose(robustness_of(q * f), np.asarray(theirs)[0], rtol=1e-12)
    for r2 in ((0.1, 0.2), (0.0, 0.5), (0.7, 1.0)):
        theirs = bias_functions.bias(se=0.3, dof=dof, r2dz_x=r2[0], r2yz_dx=r2[1])
        np.testing.assert_allclose(bias_factor(*r2) * 0.3 * np.sqrt(dof), theirs, rtol=1e-12)


@pytest.mark.parametrize("covariate", [(0.05, 0.1), (0.3, 0.02), (0.0, 0.2), (0.009081, 0.109)])
@pytest.mark.parametrize("multiple", [0.5, 1, 2.0])
def test_bounds_equal_pysensemakr(covariate, multiple):
    from sensemakr import sensitivity_bounds

    theirs = sensitivity_bounds.ovb_partial_r2_bound(
        r2dxj_x=covariate[0],
        r2yxj_dx=covariate[1],
        kd=multiple,
        ky=multiple,
        benchmark_covariates=["x"],
    )
    ours = confounder_like(*covariate, multiple)
    np.testing.assert_allclose(ours, theirs[["r2dz_x", "r2yz_dx"]].to_numpy()[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("benchmark", "terms"),
    [("age", ["age"]), ("area", ["area[south]", "area[west]"]), ("old", ["old"])],
)
def test_benchmarks_equal_f_statistics(small, benchmark, terms):
    """The partial R² of a group of terms is its F statistic's, in each of the two regressions."""
    X, y, model = small
    names = list(model.fitted_.model.of_outcome.design.terms)
    rows = pd.DataFrame(matrix_of(model, X), columns=names)
    rows.insert(0, "const", 1.0)
    bounds = model.sensitivity(X, do={"dose": 1}, benchmarks=benchmark, multiples=0.5).bounds()

    def partial_r2(target, columns):
        fit = sm.OLS(np.asarray(target), rows[columns]).fit()
        test = fit.f_test(np.eye(len(columns))[[columns.index(term) for term in terms]])
        return test.fvalue * len(terms) / (test.fvalue * len(terms) + fit.df_resid)

    of_treatment = partial_r2(rows["dose"], [name for name in rows if name != "dose"])
    of_outcome = partial_r2(y, list(rows))
    truth = confounder_like(of_treatment, of_outcome, 0.5)
    np.testing.assert_allclose(bounds[["r2_treatment", "r2_outcome"]].to_numpy()[0], truth)


def test_a_bound_is_at_most_one():
    assert confounder_like(0.0, 0.4, 2)[1] == 1.0


def test_groups_of_columns_have_one_strength(small):
    X, _, model = small
    found = model.sensitivity(X, do={"dose": 1}, benchmarks=["age", ["age", "area"]], multiples=1)
    bounds = found.bounds()
    assert bounds.index.tolist() == [("age", 1), ("age + area", 1)]
    assert bounds["r2_treatment"].is_monotonic_increasing
    both = model.sensitivity(X, do={"dose": 1}, benchmarks=[["area", "age"]], multiples=1)
    np.testing.assert_allclose(both.bounds().iloc[0], bounds.iloc[1], rtol=1e-9)


@pytest.mark.parametrize("slope", [0.8, -0.8])
def test_a_known_confounder_explains_the_bias(slope):
    """With what the confounder really explains, the truth comes back."""
    rng = np.random.default_rng(11)
    n, gamma = 4000, np.sign(slope)
    x, z = rng.normal(size=(2, n))
    dose = 0.5 * x + 0.7 * z + rng.normal(size=n)
    y = slope * dose + x + gamma * z + rng.normal(size=n)
    X = pd.DataFrame({"dose": dose, "x": x})
    model = BayesianInterventionRegressor(priors=FLAT, random_state=1).fit(X, y)
    found = model.sensitivity(X, do={"dose": 3}, baseline={"dose": 1})
    of_treatment = 0.49 / 1.49  # of the variance 0.7² + 1 that x leaves open of the dose
    left = 1 / 1.49  # of z, the dose known
    of_outcome = left / (left + 1)
    adjusted = found.adjusted(of_treatment, of_outcome)
    assert abs(adjusted.mean()[0] - 2 * slope) < N_STANDARD_ERRORS * adjusted.std()[0]
    naive = found.effect
    assert abs(naive.mean()[0] - 2 * slope) > 10 * naive.std()[0]
    # In the sample itself it is an identity: what least squares has with the confounder.
    ones = np.ones(n)
    full = np.column_stack([ones, dose, x, z])
    truth, rss_with = np.linalg.lstsq(full, y)[:2]
    rss_without = np.linalg.lstsq(full[:, :3], y)[1]
    of_dose = [np.linalg.lstsq(full[:, keep], dose)[1] for keep in ([0, 2, 3], [0, 2])]
    shares = [1 - float((a / b)[0]) for a, b in (of_dose, (rss_with, rss_without))]
    exact = plugged_in(model, *least_squares(model, X, y)).sensitivity(
        X, do={"dose": 3}, baseline={"dose": 1}
    )
    np.testing.assert_allclose(exact.adjusted(*shares).mean(), 2 * truth[1], rtol=1e-9)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.4])
def test_quantiles_of_robustness_are_those_of_the_adjusted_effect(small, threshold):
    """At a strength that is a quantile of the robustness value, the effect's is the threshold."""
    X, _, model = small
    found = model.sensitivity(X, do={"dose": 1}, baseline={"dose": 0}, threshold=threshold)
    values = np.sort(found.robustness_value().draws.values.ravel())
    for k in (100, 2000, 3900):
        strength = float(values[k])
        adjusted = np.sort(found.adjusted(strength, strength).draws.values.ravel())
        above = found.effect.mean()[0] > threshold
        np.testing.assert_allclose(adjusted[k if above else -1 - k], threshold, atol=1e-12)
    half = found.robustness_value(q=0.5).draws.values.ravel()
    assert (half <= found.robustness_value().draws.values.ravel()).all()


def test_prob_beyond_is_the_share_of_draws_on_the_side(small):
    X, _, model = small
    found = model.sensitivity(
        X, do={"dose": 0}, baseline={"dose": 1}, benchmarks="age", threshold=-0.8
    )
    for _, row in found.bounds().iterrows():
        draws = found.adjusted(row["r2_treatment"], row["r2_outcome"]).draws.values
        assert row["prob_beyond"] == (draws < -0.8).mean()


def test_units_and_size_of_the_change_do_not_matter(small):
    X, y, model = small
    one = model.sensitivity(X, do={"dose": 1}, baseline={"dose": 0}, benchmarks="age")
    three = model.sensitivity(X, do={"dose": lambda X: X["dose"] - 3}, benchmarks="age")
    np.testing.assert_allclose(three.effect.mean(), -3 * one.effect.mean())
    np.testing.assert_allclose(three.robustness_value().mean(), one.robustness_value().mean())
    np.testing.assert_allclose(three.bounds()["mean"], -3 * one.bounds()["mean"])
    scaled = BayesianInterventionRegressor(random_state=0).fit(
        X.assign(dose=1e6 + 1e3 * X["dose"], age=12 * X["age"]), 7 * y
    )
    other = scaled.sensitivity(
        X.assign(dose=1e6 + 1e3 * X["dose"]), do={"dose": 1e3}, baseline={"dose": 0}
    )
    np.testing.assert_allclose(
        other.robustness_value().draws, one.robustness_value().draws, rtol=1e-5
    )


def test_effect_is_the_average_of_effect(small):
    from scipy.stats import norm

    X, _, model = small
    policies = [{"dose": 2.0}, {"dose": lambda X: X["age"]}, {"dose": norm(5, 1)}]
    for do in policies:
        ours = model.sensitivity(X, do).effect
        truth = model.effect(X, do).average()
        assert ours.estimand == truth.estimand
        np.testing.assert_allclose(ours.draws, truth.draws, rtol=1e-9, atol=1e-12)


def test_levels_and_bools_are_like_numbers(small):
    X, y, model = small
    as_number = X.assign(sex=(X["sex"] == "m").astype(float), old=X["old"].astype(float))
    other = BayesianInterventionRegressor(random_state=0).fit(as_number, y)
    for column, (high, low) in {"sex": ("m", "f"), "old": (True, False)}.items():
        ours = model.sensitivity(X, do={column: high}, baseline={column: low}, benchmarks="age")
        theirs = other.sensitivity(
            as_number, do={column: 1}, baseline={column: 0}, benchmarks="age"
        )
        pd.testing.assert_frame_equal(ours.bounds(), theirs.bounds())
        pd.testing.assert_frame_equal(ours.summary(), theirs.summary())


def test_weights_are_rows_and_batches_are_one(small):
    X, y, _ = small
    weights = np.arange(len(y)) % 3
    kinds = BayesianInterventionRegressor(random_state=0)
    ask = {"do": {"dose": 1}, "baseline": {"dose": 0}, "benchmarks": ["age", "area"]}
    weighted = copy.copy(kinds).fit(X, y, sample_weight=weights).sensitivity(X, **ask)
    repeated = X.loc[X.index.repeat(weights)]
    rows = copy.copy(kinds).fit(repeated, y.repeat(weights)).sensitivity(X, **ask)
    pd.testing.assert_frame_equal(weighted.bounds(), rows.bounds(), rtol=1e-6)
    first, second = slice(0, 100), slice(100, None)
    batches = copy.copy(kinds).partial_fit(X[first], y[first]).partial_fit(X[second], y[second])
    whole = copy.copy(kinds).fit(X, y)
    after = pickle.loads(pickle.dumps(batches)).sensitivity(X, **ask)
    pd.testing.assert_frame_equal(after.bounds(), whole.sensitivity(X, **ask).bounds(), rtol=1e-6)


def test_columns_that_follow_from_others_count_once(small):
    X, y, model = small
    ask = {"do": {"dose": 1}, "baseline": {"dose": 0}, "benchmarks": "area", "multiples": 1}
    wider = X.assign(months=12 * X["age"], one=1.0)
    other = BayesianInterventionRegressor(random_state=0).fit(wider, y)
    ours, theirs = other.sensitivity(wider, **ask), model.sensitivity(X, **ask)
    columns = ["r2_treatment", "r2_outcome"]
    np.testing.assert_allclose(ours.bounds()[columns], theirs.bounds()[columns], rtol=1e-9)
    sizes = [found._unit.mean() / found.effect.std()[0] for found in (ours, theirs)]
    np.testing.assert_allclose(*sizes, rtol=0.05)
    with pytest.raises(ValueError, match="the other columns determine 'months'"):
        other.sensitivity(wider, do={"months": 1})
    with pytest.raises(ValueError, match="the other columns determine 'one'"):
        other.sensitivity(wider, do={"one": 0})


def test_a_graph_says_what_the_covariates_are():
    rng = np.random.default_rng(3)
    n = 400
    u, x = rng.normal(size=(2, n))
    dose = x + rng.normal(size=n)
    y = dose + x + rng.normal(size=n)
    X = pd.DataFrame({"dose": dose, "x": x, "other": u})
    graph = "x -> dose; x -> y; dose -> y; u -> x; u -> y"
    model = BayesianInterventionRegressor(graph=graph, random_state=0).fit(X, y)
    plain = BayesianInterventionRegressor(random_state=0).fit(X[["dose", "x"]], y)
    ask = {"do": {"dose": 1}, "baseline": {"dose": 0}, "benchmarks": "x", "multiples": 0.5}
    ours, theirs = model.sensitivity(X, **ask), plain.sensitivity(X[["dose", "x"]], **ask)
    pd.testing.assert_frame_equal(ours.bounds(), theirs.bounds(), rtol=1e-9)
    with pytest.raises(ValueError, match=r"unknown regressor of y: 'other'.*'dose', 'x'"):
        model.sensitivity(X, **{**ask, "benchmarks": "other"})


def test_what_is_no_one_coefficient_is_refused(small):
    X, y, model = small

    def refuse(words, fitted=model, error=ValueError, do=None, **ask):
        with pytest.raises(error, match=words):
            fitted.sensitivity(X, do or {"dose": 1}, **ask)

    refuse("effect of one column; do and baseline force 'dose', 'age'", do={"dose": 1, "age": 2})
    refuse("effect of one column", baseline={"age": 2})
    refuse("not one coefficient but 2: .*west", do={"area": "west"})
    refuse("unknown column 'ag'; did you mean 'age'", benchmarks="ag")
    refuse("'dose' is what is forced", benchmarks=["dose"])
    refuse("must be a column or a list", TypeError and model, error=TypeError, benchmarks={1: 2})
    refuse("empty group", benchmarks=[[]])
    refuse("multiples must be numbers above 0, got 0", multiples=0)
    refuse("multiples must be numbers above 0", multiples=[])
    refuse("multiples must be numbers above 0", multiples=["two"])
    refuse("multiples must be numbers above 0", multiples=[np.inf])
    refuse("threshold must be a finite number, got nan", threshold=np.nan)
    refuse("prob must lie between 0 and 1", prob=95)
    refuse(
        "'area' explains .* 400 times as strong; give multiples below",
        benchmarks="area",
        multiples=400,
    )
    refuse("average effect is zero", baseline={"dose": 1})
    refuse("baseline is empty", baseline={})

    levels = X[["dose", "old"]]
    positive = BayesianInterventionRegressor(family="lognormal", random_state=0)
    positive.fit(levels, np.exp(y / 9))
    with pytest.raises(ValueError, match="Gaussian outcome; the family of 'y' is 'lognormal'"):
        positive.sensitivity(levels, {"dose": 1})
    from sklearn.preprocessing import PolynomialFeatures

    numbers = X[["dose", "age"]]
    products = BayesianInterventionRegressor(
        design=PolynomialFeatures(2, include_bias=False), random_state=0
    ).fit(numbers, y)
    with pytest.raises(ValueError, match="effect of 'dose' need not be one coefficient"):
        products.sensitivity(numbers, {"dose": 1})
    mediated = BayesianInterventionRegressor(
        graph="age -> dose; dose -> y; age -> y", random_state=0
    ).fit(numbers, y)
    with pytest.raises(ValueError, match="effect of 'age' passes through 'dose'"):
        mediated.sensitivity(numbers, {"age": 50})
    few = BayesianInterventionRegressor(random_state=0).fit(X[:5], y[:5])
    with pytest.raises(ValueError, match=r"'dose' in the data of fit|more rows than terms"):
        few.sensitivity(X[:5], {"dose": 1})


@pytest.mark.parametrize(
    "strength", [(-0.1, 0.1), (1.0, 0.1), (0.1, 1.1), (np.nan, 0.1), ("a", 0.1)]
)
def test_impossible_strengths_are_refused(small, strength):
    X, _, model = small
    found = model.sensitivity(X, {"dose": 1})
    with pytest.raises(ValueError, match="must be a partial R²"):
        found.adjusted(*strength)
    for q in (0, -1, np.nan, "half"):
        with pytest.raises(ValueError, match="q must be a share"):
            found.robustness_value(q)


def test_words_and_picture(small):
    X, _, model = small
    ask = {"do": {"dose": 1}, "baseline": {"dose": 0}, "prob": 0.95}
    found = model.sensitivity(X, **ask, benchmarks=["age", "area"], multiples=[1, 1.5])
    text = str(found)
    mean = found.effect.mean()[0]
    assert text.startswith(f"Average effect of dose on y: {mean:.3g}, 95% interval")
    assert f"explains {found.robustness_value().mean()[0]:.1%} of what" in text
    assert "One as strong as age could leave" in text
    assert text.count("One 1.5 times as strong as") == 2
    assert repr(found).startswith("<Sensitivity: average of E[y | do(dose = 1)]")
    ax = found.plot()
    texts = [each.get_text() for each in ax.texts]
    adjusted = found.bounds()["mean"]["area", 1.5]
    assert f"1.5× area: {adjusted:.3g}" in texts
    assert f"unadjusted: {mean:.3g}" in texts
    assert "dose" in ax.get_xlabel()
    assert "95%" in ax.get_title(loc="left")
    # on the thick line the mean of the adjusted effect is the threshold
    thick = next(c for c in ax.collections if np.ravel(c.get_linewidths())[0] == 2)
    on_line = thick.get_paths()[0].vertices[::20]
    means = [found.adjusted(*map(float, strength)).mean()[0] for strength in on_line]
    np.testing.assert_allclose(means, 0, atol=0.01)
    without = model.sensitivity(X, **ask, threshold=mean + 0.01)
    assert "without any" in str(without)
    assert without.bounds().empty
    assert without.plot(ax) is ax


def test_e_values_as_published():
    """VanderWeele and Ding (2017): smoking and lung cancer; breastfeeding and infant deaths."""
    for ratio, low, high, published in (
        (10.73, 8.02, 14.36, (20.9, 15.5)),
        (3.9, 1.8, 8.7, (7.3, 3.0)),
    ):
        # draws whose quantiles at 2.5, 50 and 97.5% are the published ones
        draws = np.interp(
            np.linspace(0, 1, 4001),
            [0, 0.025, 0.5, 0.975, 1],
            [0.9 * low, low, ratio, high, 1.1 * high],
        )
        for turned in (False, True):
            pair = [draws, np.ones_like(draws)]
            top, bottom = (
                Outcomes(xr.DataArray(d[None, :, None], dims=("chain", "draw", "obs")), "risk")
                for d in (pair[::-1] if turned else pair)
            )
            found = (top / bottom).e_value(prob=0.95).iloc[0]
            assert (round(found["e_value"], 1), round(found["e_value_interval"], 1)) == published
            np.testing.assert_allclose(found["ratio"], 1 / ratio if turned else ratio)


def test_e_value_of_an_interval_that_holds_one_is_one():
    rng = np.random.default_rng(0)
    ratio = Outcomes(
        xr.DataArray(np.exp(rng.normal(0.1, 1, size=(1, 1000, 1))), dims=("chain", "draw", "obs")),
        "risk",
    )
    ones = Outcomes(xr.DataArray(np.ones((1, 1000, 1)), dims=("chain", "draw", "obs")), "risk")
    found = (ratio / ones).e_value()
    assert found["e_value_interval"].tolist() == [1.0]
    assert found["e_value"][0] == e_value(np.median(ratio.draws))
    assert list(found) == ["ratio", "eti89_lb", "eti89_ub", "e_value", "e_value_interval"]


def test_e_values_are_of_ratios_of_outcomes(small):
    X, _, model = small
    high, low = (model.intervene(X, {"dose": dose}) for dose in (5, 1))
    ratio = high.average() / low.average()
    by = high.average(by="sex") / low.average(by="sex")
    assert by.e_value().shape == (2, 5)
    together = Outcomes.concat({"a": ratio, "b": ratio}).e_value()
    assert together.index.tolist() == ["a", "b"]
    assert len(set(together["e_value"])) == 1
    assert ratio.average().e_value()["e_value"].tolist() == ratio.e_value()["e_value"].tolist()
    for wrong in (
        high.average(),
        high.average() - low.average(),
        (high / low).average(),
        ratio / ratio,
        (high - low).average() / low.average(),
        Outcomes.concat({"a": ratio, "b": low.average()}),
        model.sensitivity(X, {"dose": 1}).effect,
    ):
        with pytest.raises(ValueError, match="e_value is that of a ratio of outcomes"):
            wrong.e_value()
    below = model.intervene(X, {"dose": -50}).average()
    with pytest.raises(ValueError, match="positive ratio, as of risks or rates; this one goes"):
        (below / high.average()).e_value()


def test_levels_that_fit_never_saw_bear_on_nothing():
    """The effect is one coefficient of the model of fit, whatever rows it is averaged over."""
    rng = np.random.default_rng(9)
    X = pd.DataFrame({"site": rng.choice(list("abcd"), 200), "dose": rng.normal(size=200)})
    y = 2 * X["dose"] + rng.normal(size=200)
    model = BayesianInterventionRegressor(
        priors={"site": Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=1))},
        unseen_levels="population",
        random_state=0,
    ).fit(X, y)
    do, baseline = {"dose": 1}, {"dose": 0}
    elsewhere = model.sensitivity(X.head(5).assign(site="z"), do, baseline).summary()
    pd.testing.assert_frame_equal(elsewhere, model.sensitivity(X, do, baseline).summary())


def test_groups_have_no_formula():
    rng = np.random.default_rng(9)
    X = pd.DataFrame({"site": rng.choice(list("abcd"), 200), "dose": rng.normal(size=200)})
    model = BayesianInterventionRegressor(groups=["site"], random_state=0)
    model.fit(X, X["dose"] + rng.normal(size=200))
    with pytest.raises(ValueError, match=r"sensitivity: .*'y' has groups.*confounding="):
        model.sensitivity(X, {"dose": 1}, {"dose": 0})
