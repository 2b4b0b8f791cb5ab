"""What is known beforehand comes out of refits, and what is wrong is found.

How often each check fails, over many simulated data sets, is measured by
`benchmarks/refutation.py`; docs/how_to/refutation.md shows it.
"""

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS
from pymc_extras.prior import Prior
from scipy.stats import norm, ttest_1samp
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import PolynomialFeatures

from interventional import BayesianInterventionRegressor, CausalGraph, NotIdentifiedError
from interventional.trust.refutation import _Answer, _mean_judged, _Question

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.refutation import ClosedForm, failures, linear

FAST = {"draws": 200, "chains": 1}
CHECKS = [
    "placebo column",
    "dummy outcome",
    "random common cause",
    "data subset",
    "consecutive rows",
    "straight lines",
]
UP = {"b": 1}, {"b": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    z = rng.normal(size=120)
    X = pd.DataFrame({"a": rng.normal(size=120), "b": z + rng.normal(size=120), "z": z})
    return X, X["a"] + X["b"] + 2 * z + rng.normal(size=120)


def make(**parameters):
    return BayesianInterventionRegressor(**FAST, **parameters)


def failed(model, X, y, do=UP[0], baseline=UP[1], n_repeats=2, alpha=1e-3, **options):
    """Return the checks that fail."""
    found = model.refute(X, y, do, baseline, n_repeats=n_repeats, alpha=alpha, **options)
    assert list(found.index) == CHECKS
    for passed, verdict in zip(found["passed"], found["verdict"], strict=True):
        start = "Not applicable" if pd.isna(passed) else "Passed" if passed else "Failed"
        assert verdict.startswith(start)
    return set(found.index[~found["passed"].fillna(True)])


def test_a_right_model_passes_and_its_numbers_are_right(data):
    X, y = data
    found = make().refute(X, y, *UP, n_repeats=4)
    assert found["passed"].all()
    effect = make(random_state=0).fit(X, y).effect(X, *UP).average()
    error = effect.std()[0] * np.sqrt(2 / FAST["draws"])
    assert found["expected"].iloc[:2].tolist() == [0, 0]
    assert abs(found["expected"].iloc[2:5] - effect.mean()[0]).max() < N_STANDARD_ERRORS * error
    # Least squares, and its standard errors: of an outcome without effect, and on 4 rows in 5.
    A = np.column_stack([np.ones(len(X)), X])
    noise = np.linalg.lstsq(A, y)[1][0] / (len(X) - 4)
    inverse = np.linalg.inv(A.T @ A)[2, 2]
    assert found["allowed"]["dummy outcome"] == pytest.approx(np.sqrt(y.var() * inverse), rel=0.15)
    assert found["allowed"]["data subset"] == pytest.approx(np.sqrt(noise * inverse / 4), rel=0.15)


def test_rows_that_are_alike_are_found_if_they_stand_together(data):
    X, y = data
    rows = np.repeat(np.arange(40), 5)
    assert failed(ClosedForm(), X.iloc[rows], y.iloc[rows], n_repeats=20) == {"consecutive rows"}


def test_a_prior_that_insists_is_found(data):
    priors = {"b": Prior("Normal", mu=1, sigma=0.05)}
    assert failed(make(priors=priors), *data) == {"placebo column", "dummy outcome"}


def test_with_a_graph(data):
    X, y = data
    rng = np.random.default_rng(3)
    X = X.assign(m=X["b"] + rng.normal(size=len(X)))
    graph = CausalGraph("z -> b; b -> m -> y; z -> y; u -> z; noise -> y")
    model = make(graph=graph)
    do = {"b": lambda rows: rows["b"] + 1}
    assert not failed(model, X, y + X["m"], do, None)


def test_what_is_not_identified_is_refused_before_any_fit(data, monkeypatch):
    monkeypatch.setattr(BayesianInterventionRegressor, "fit", lambda *_, **__: pytest.fail("fit"))
    model = make(graph="z -> y; a -> y; b -> y; b <-> y")
    with pytest.raises(NotIdentifiedError, match="b <-> y"):
        model.refute(*data, *UP)


def test_arrays_and_several_columns(data):
    X, y = data
    asked = {0: 1, "x1": np.linspace(0, 1, len(X))}
    assert not failed(make(), X.to_numpy(), y.to_numpy(), asked, None, n_repeats=2)


def test_names_of_the_noise_do_not_clash(data):
    X, y = data
    for names in (["noise", "b", "noise1"], [0, 1, 3], [("p", 1), ("b", 1), ("p", 2)]):
        renamed = X.set_axis(pd.Index(names), axis=1)
        model = ClosedForm()
        assert not failed(model, renamed, y, {names[1]: 1}, {names[1]: 0})
    array = X.to_numpy()
    model = make(graph="x0 -> y; x1 -> y; x2 -> y; x3 -> x0")
    found = model.refute(array, y, {"x1": 1}, n_repeats=2, alpha=1e-3)
    assert found["verdict"]["random common cause"].startswith("Not applicable: the graph has a no")


def test_levels_may_be_left_out(data):
    """A level in one row, which most subsets lack."""
    X, y = data
    site = np.where(np.arange(len(X)) == 7, "rare", np.where(X["a"] > 0, "north", "south"))
    X = X.assign(site=site)
    assert not failed(make(), X, y, {"site": "north"}, {"site": "south"})


def test_designs(data):
    X, y = data
    assert not failed(make(design=PolynomialFeatures(2, include_bias=False)), X, y, n_repeats=2)
    named = make_column_transformer(("passthrough", ["a", "b", "z"]))
    found = make(design=named).refute(X, y, *UP, n_repeats=2)
    assert found["passed"].drop("random common cause").all()
    row = found.loc["random common cause"]
    assert pd.isna(row["passed"])
    assert row["verdict"].startswith("Not applicable: the design takes in no column")


def test_whole_weights_are_rows(data):
    """What holds a value for each row goes with its row."""
    X, y = data
    X, y = X.iloc[:60], y.iloc[:60]
    weights = np.arange(60) % 3
    rows = np.repeat(np.arange(60), weights)
    forced = X["b"] + 1
    do = {"b": forced.sample(frac=1, random_state=0), "a": norm(X["a"].to_numpy(), 1e-9)}
    ours = make().refute(X, y, do, sample_weight=weights, n_repeats=2)
    same = {"b": forced.to_numpy()[rows], "a": norm(X["a"].to_numpy()[rows], 1e-9)}
    expanded = X.iloc[rows].reset_index(drop=True)
    theirs = make().refute(expanded, y.to_numpy()[rows], same, n_repeats=2)
    one_by_one = [name for name in CHECKS if name != "consecutive rows"]
    pd.testing.assert_frame_equal(ours.loc[one_by_one], theirs.loc[one_by_one])
    assert pd.notna(theirs["passed"]["consecutive rows"])


def two_rows_a_cell(rng):
    """Return a randomised trial: successes and failures of each arm and place, as weights."""
    cells = [(b, z, rng.binomial(100, 0.4 + 0.1 * b)) for b in (0, 1) for z in (0, 1)]
    rows = [(b, z, y, k if y else 100 - k) for b, z, k in cells for y in (1, 0)]
    return pd.DataFrame(rows, columns=["b", "z", "y", "w"]).astype(float)


def test_a_row_that_counts_for_many_has_no_place_among_them():
    """Its copies are alike, and stand for rows that came in an order nobody knows."""
    for k in range(5):
        trial = two_rows_a_cell(np.random.default_rng([8, k]))
        X, y, w = trial[["b", "z"]], trial["y"], trial["w"]
        found = ClosedForm().refute(X, y, *UP, sample_weight=w, n_repeats=10, alpha=1e-3)
        assert found["verdict"]["consecutive rows"].startswith("Not applicable: a row of weight 2")
        assert found["passed"].drop("consecutive rows").all()
        rows = trial.loc[trial.index.repeat(w.astype(int))].sample(frac=1, random_state=k)
        rows = rows.reset_index(drop=True)
        assert not failed(ClosedForm(), rows[["b", "z"]], rows["y"], n_repeats=10)


def test_weights_that_choose_rows_leave_them_in_order(data):
    """Rows that are alike are found among those of weight 1."""
    X, y = data
    rows = np.repeat(np.arange(40), 5)
    X, y = X.iloc[np.append(rows, 0)], y.iloc[np.append(rows, 0)]
    weights = np.append(np.ones(200), 0)
    found = failed(ClosedForm(), X, y, n_repeats=20, sample_weight=weights)
    assert found == {"consecutive rows"}


def test_exposures_stay_with_their_outcomes(data, monkeypatch):
    seen = []

    def answer(question, seed, table=None, y=None, **_):
        rows = question.table if table is None else table
        seen.append((rows.held, question.y if y is None else y))
        return _Answer(0.0, 1.0, 5)

    monkeypatch.setattr(_Question, "answer", answer)
    X, _ = data
    rng = np.random.default_rng(4)
    X = X.assign(days=rng.uniform(1, 30, len(X)))
    y = rng.poisson(X["days"]).astype(float)
    model = make(family="poisson", exposure="days")
    model.refute(X, y, *UP, n_repeats=2)
    for rows, outcomes in seen[3:5]:  # after the fit to all rows, and two of the placebo
        assert (outcomes != y).any()
        assert set(zip(rows["days"], outcomes, strict=True)) == set(zip(X["days"], y, strict=True))
        pd.testing.assert_frame_equal(rows[["a", "b", "z"]], X[["a", "b", "z"]])
    reasons = model.refute(X, y, {"days": 10}, n_repeats=2)["verdict"].iloc[:2]
    assert reasons.str.startswith("Not applicable: the outcome is in proportion").all()


def test_an_exact_outcome_passes_without_a_warning(data):
    X, _ = data
    found = make().refute(X, X["a"] + X["b"], {"b": 1}, {"b": 0}, n_repeats=4)
    assert found["passed"].all()
    assert found["expected"]["data subset"] == pytest.approx(1, abs=1e-6)
    assert ClosedForm().refute(X, X["a"] + X["b"], {"b": 1}, {"b": 1}, n_repeats=2)["passed"].all()


def test_refits_that_fail_are_told(data):
    """Each block of rows holds all that varies."""
    X, _ = data
    X = X.iloc[:12].reset_index(drop=True)
    y = np.r_[np.arange(6.0), np.zeros(6)]
    found = make().refute(X, y, *UP, n_repeats=2)
    assert found["verdict"]["consecutive rows"].startswith("Not applicable: ")
    assert pd.isna(found["passed"]["consecutive rows"])
    assert np.isnan(found["p_value"]["consecutive rows"])


def test_estimators_stay_as_they_are_and_answers_are_deterministic(data):
    X, y = data
    model = make(random_state=3).fit(X, y)
    before = joblib.hash(model), joblib.hash((X, y))
    first = model.refute(X, y, *UP, n_repeats=2)
    assert (joblib.hash(model), joblib.hash((X, y))) == before
    pd.testing.assert_frame_equal(make().refute(X, y, *UP, n_repeats=2), first)
    one, other = (ClosedForm().refute(X, y, *UP, n_repeats=2, random_state=k) for k in (0, 1))
    random = [name for name in CHECKS if name != "consecutive rows"]
    assert (one["p_value"] != other["p_value"])[random].all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n_repeats": 1}, ValueError, "n_repeats"),
        ({"n_repeats": 2.5}, ValueError, "n_repeats"),
        ({"alpha": 0}, ValueError, "alpha"),
        ({"do": {}}, ValueError, "do is empty"),
        ({"do": {"bb": 1}}, ValueError, "did you mean 'b'"),
        ({"do": {"b": [1, 2]}}, ValueError, "shape"),
        ({"baseline": {"c": 1}}, ValueError, "unknown column 'c'"),
        ({"sample_weight": np.zeros(120)}, ValueError, "non-zero"),
        ({"y": None}, ValueError, "requires y"),
        ({"y": np.zeros(3)}, ValueError, "inconsistent numbers"),
    ],
)
def test_bad_input(data, options, error, words):
    given = {"X": data[0], "y": data[1], "do": UP[0], **options}
    with pytest.raises(error, match=words):
        make().refute(**given)


def test_bad_parameters_are_refused_as_in_fit(data):
    with pytest.raises(ValueError, match="'draws' parameter"):
        BayesianInterventionRegressor(draws=0).refute(*data, *UP)


def share_failing(case, n_simulations, alpha=0.01):
    """Return how often each check fails on data that `benchmarks.refutation` makes."""
    found = [failures(case, 10_000 + k, alpha=alpha) for k in range(n_simulations)]
    return pd.DataFrame(found).mean()


def test_the_closed_form_is_the_estimator():
    """What the tests below, and the table in the docs, have in place of posteriors in PyMC."""
    X, y = linear(np.random.default_rng(7))
    flat = {"priors": {"beta": Prior("Flat"), "intercept": Prior("Flat")}, "draws": 4000}
    model = BayesianInterventionRegressor(**flat, random_state=0).fit(X, y)
    ours = model.effect(X, *UP).average()
    theirs = ClosedForm().fit(X, y).effect(X, *UP)
    assert abs(ours.mean()[0] - theirs.value) < N_STANDARD_ERRORS * theirs.sd / np.sqrt(16_000)
    assert ours.std()[0] == pytest.approx(theirs.sd, rel=0.05)


def test_false_alarms_are_as_rare_as_they_say():
    shares = share_failing("**right:** linear, 50 rows", 10, alpha=0.2).dropna()
    error = np.sqrt(0.2 * 0.8 / 10)
    assert (shares < 0.2 + N_STANDARD_ERRORS * error).all(), shares
    assert shares.sum() > 0


@pytest.mark.filterwarnings("ignore:sample_weight are frequencies")
@pytest.mark.parametrize(
    ("case", "check"),
    [
        ("noise that grows with \\|b\\|", "data subset"),
        ("counts more spread than Poisson", "data subset"),
        ("weights that are no frequencies", "placebo column"),
    ],
)
def test_what_is_wrong_is_found(case, check):
    assert share_failing(case, 3, alpha=0.05)[check] > 0.5


@pytest.mark.parametrize(
    "case", ["an unmeasured common cause", "an effect of y among the columns"]
)
def test_what_no_check_finds(case):
    """As the docs say: none of them compares with an experiment."""
    assert not share_failing(case, 2, alpha=1e-3).any()


def test_counts_are_judged_by_their_mean():
    """Against the t test of SciPy."""
    off = np.random.default_rng(6).normal(0.5, 1, size=12)
    mean, error, p_value = _mean_judged(off, 0.0)
    truth = ttest_1samp(off, 0)
    assert p_value == pytest.approx(truth.pvalue)
    assert mean / error == pytest.approx(abs(truth.statistic))
