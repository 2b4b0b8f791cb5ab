"""Small runs of the calibration program, which must find what is right right and wrong wrong."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import slow
from pymc_extras.prior import Prior
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import calibration, calibration_report
from benchmarks.calibration import BINS, LEVELS, L, Ranks, excursion, ranks
from benchmarks.calibration_scenarios import scenarios

BY_TITLE = {each.title: each for each in scenarios()}
ALPHA = 1e-3  # that anything is found wrong with one scenario, if nothing is


def smallest(found):
    """The smallest p-value of all quantities and tests, corrected for their number."""
    counted = [Ranks.of(every) for every in found.values()]
    p_values = [p for each in counted for p in (each.uniform(), each.ecdf(), *each.coverage())]
    return min(p_values) * len(p_values)


@pytest.mark.parametrize(
    ("title", "n"),
    [
        slow("Priors: Normal, of fixed width", 100),
        ("Sizes: n = 8, p = 15", 60),
        slow("Graphs: front door", 60),
        slow("Families: bernoulli, n = 100", 60),
    ],
)
def test_truths_are_draws_like_the_others(title, n):
    """Parameters, expectations under do, average effects and new outcomes."""
    found, _ = ranks(BY_TITLE[title], range(n))
    assert {group for group, _ in found} == set(calibration.GROUPS)
    assert all(len(every) == n for every in found.values())
    assert smallest(found) > ALPHA


def test_an_estimator_that_is_told_another_prior_is_caught():
    """Coefficients of sd 1, which the estimator believes to be of sd 0.3."""
    scenario = BY_TITLE["Sizes: n = 5, p = 2"]
    priors = scenario.settings["priors"] | {"beta": Prior("Normal", mu=0, sigma=0.3)}
    wrong = replace(scenario, settings={**scenario.settings, "priors": priors})
    assert smallest(ranks(wrong, range(60))[0]) < ALPHA


class TestWrongDraws:
    """theta ~ N(0, 1), one y ~ N(theta, 1): the posterior is N(y/2, 1/2)."""

    N = 1000

    def smallest(self, inflated=1.0, shifted=0.0):
        rng = np.random.default_rng(0)
        truth = rng.normal(size=(self.N, 1))
        sd = np.sqrt(0.5)
        mean = (truth + rng.normal(size=(self.N, 1))) / 2 + shifted * sd
        draws = mean + inflated * sd * rng.normal(size=(self.N, L))
        return smallest({"theta": (draws < truth).sum(axis=1)})

    def test_right_draws_pass(self):
        assert self.smallest() > ALPHA

    @pytest.mark.parametrize("by", [0.85, 1.2])
    def test_wrong_widths_are_caught(self, by):
        assert self.smallest(inflated=by) < ALPHA

    @pytest.mark.parametrize("by", [-0.2, 0.2])
    def test_shifts_are_caught(self, by):
        assert self.smallest(shifted=by) < ALPHA


def test_intervals_hold_their_share_of_ranks():
    """Of all ranks exactly the level lies within each interval."""
    covered = Ranks.of(range(L + 1)).covered
    assert [count / (L + 1) for count in covered] == list(LEVELS)
    assert Ranks.of(range(L + 1)).counts.tolist() == [(L + 1) // BINS] * BINS


def counted(rng, n):
    return np.cumsum(np.bincount(rng.integers(0, BINS, n), minlength=BINS))[:-1]


def test_excursions_of_uniform_ranks_are_as_rare_as_they_say():
    rng = np.random.default_rng(0)
    p_values = [excursion(counted(rng, 100), 100) for _ in range(150)]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_excursions_are_those_beyond_the_band_of_arviz():
    """ArviZ simulates what is summed here: Säilynoja et al. have both ways."""
    from arviz_stats import ecdf_utils

    n, points = 100, np.arange(1, BINS) / BINS
    rng = np.random.default_rng(1)
    pointwise = ecdf_utils.simulate_confidence_bands(n, 1, points, 0.8, 2000, rng)
    low, high = ecdf_utils.get_pointwise_confidence_band(pointwise, n, points)
    agree = []
    for _ in range(100):
        below = counted(rng, n)
        beyond = bool(np.any((below / n < low) | (below / n > high)))
        agree.append((excursion(below, n) < 0.2) == beyond)
    assert np.mean(agree) > 0.9  # the simulated band is off by as much as 0.2 is


def test_bands_are_those_of_the_binomial_test():
    low, high = calibration.band(500, 0.94, 1e-4)
    for share, kept in (
        (low, True),
        (high, True),
        (low - 1 / 500, False),
        (high + 1 / 500, False),
    ):
        p = stats.binomtest(round(500 * share), 500, 0.94).pvalue
        assert (p > 1e-4) == kept


def test_page_is_made_of_the_saved_counts():
    record = json.loads(calibration.SAVED.read_text(encoding="utf-8"))
    assert calibration_report.PAGE.read_text(encoding="utf-8") == calibration_report.page(record)
    assert {(each["about"], each["name"]) for each in record["scenarios"]} == {
        (each.about, each.name) for each in scenarios()
    }


def test_saved_p_values_follow_from_the_saved_counts():
    record = json.loads(calibration.SAVED.read_text(encoding="utf-8"))
    every = [each for scenario in record["scenarios"] for each in scenario["quantities"]]
    for each in every[::40]:
        assert Ranks(np.array(each["counts"]), tuple(each["covered"])).p_values() == each["p"]
    for scenario in record["scenarios"]:
        assert {sum(e["counts"]) for e in scenario["quantities"]} == {scenario["simulations"]}


def test_what_is_off_is_marked_as_an_approximation():
    """All else in the saved run is inside of its band at the joint level."""
    record = json.loads(calibration.SAVED.read_text(encoding="utf-8"))
    off = [each for each, _, _ in calibration_report.marked(record)]
    assert all(each["approximate"] for each in off)
