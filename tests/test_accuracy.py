"""The program of accuracy: truths of its worlds, what it makes of answers, and its page."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import accuracy, accuracy_report
from benchmarks.accuracy_contestants import (
    CONTESTANTS,
    ENVIRONMENTS,
    Answer,
    asked,
    gaussian_process,
    judged,
    of_draws,
    process,
)
from benchmarks.accuracy_worlds import BY_NAME, WORLDS, Drawn

MANY = 20_000


def drawn(name, rows=MANY, seed=0):
    return BY_NAME[name].draw(np.random.default_rng(seed), rows)


def near(values, truth):
    """Whether the mean of values is within four standard errors of a truth."""
    return abs(np.mean(values) - truth) < 4 * np.std(values) / np.sqrt(len(values)) + 1e-9


def expected_positive(sd):
    return sd * stats.norm.pdf(0)  # E max(N(0, sd²), 0)


def expected_softplus():
    return integrate.quad(lambda z: np.log1p(np.exp(z)) * stats.norm.pdf(z), -12, 12)[0]


AVERAGES = {
    "straight": 1.0,
    "friedman": 3 + 4 / np.pi,
    "kang-schafer": 10.0,
    "nie-wager-a": 0.5,
    "nie-wager-b": expected_softplus(),
    "nie-wager-c": 1.0,
    "nie-wager-d": expected_positive(np.sqrt(3)) - expected_positive(np.sqrt(2)),
    "dose": (2 + np.sqrt(2 / np.pi)) * (np.exp(-0.5) - np.exp(-2)),
}


class TestWorlds:
    @pytest.mark.parametrize("name", AVERAGES)
    def test_average_effects_are_those_of_the_formulas(self, name):
        assert near(drawn(name).effect, AVERAGES[name])

    def test_outcomes_of_a_trial_differ_by_the_effects(self):
        """Setup B is randomised: without its effect the treated are like the others."""
        found = drawn("nie-wager-b")
        t = found.X["t"].to_numpy()
        rest = found.y - found.effect * t
        assert near(t, 0.5)
        error = rest.std() * np.sqrt(4 / len(t))
        assert abs(rest[t == 1].mean() - rest[t == 0].mean()) < 4 * error

    @pytest.mark.parametrize(
        ("name", "columns", "truth"),
        [
            ("straight", lambda X: X, [1, 0.5, 0, 0, -1, 1]),
            (
                "dose",
                lambda X: np.column_stack(
                    [
                        X["x0"],
                        np.sin(2 * X["x1"]),
                        X["x3"],
                        (2 + X["x2"] + np.abs(X["x0"])) * (1 - np.exp(-X["t"])),
                    ]
                ),
                [1, 1, 0.5, 1],
            ),
        ],
    )
    def test_outcomes_follow_their_equations(self, name, columns, truth):
        found = drawn(name)
        design = np.column_stack([np.ones(MANY), columns(found.X)])
        beta, rss, *_ = np.linalg.lstsq(design, found.y, rcond=None)
        covariance = rss / (MANY - design.shape[1]) * np.linalg.inv(design.T @ design)
        z = (beta[1:] - truth) / np.sqrt(np.diag(covariance))[1:]
        assert np.all(np.abs(z) < 4)

    def test_effects_of_levels_are_of_their_site_and_a_number(self):
        found = drawn("levels")
        left = found.effect - 0.5 * found.X["x2"]
        spread = left.groupby(found.X["site"]).agg(np.ptp)
        assert len(spread) == 6
        assert spread.max() < 1e-9
        assert left.std() > 0.3

    @pytest.mark.parametrize("name", [each for each in BY_NAME if not each.startswith("hill")])
    def test_data_sets_are_made_of_their_number(self, name):
        world = BY_NAME[name]
        once, again, other = (world.drawn(number) for number in (3, 3, 4))
        assert once.checksum == again.checksum != other.checksum
        assert len(once.X) == len(once.y) == len(once.effect) == world.rows
        assert once.binary == (world.name != "dose")

    def test_children_are_those_of_hill(self, tmp_path, monkeypatch):
        """On a table of the same make: who is left out, what is scaled, what averages are."""
        from benchmarks import accuracy_worlds

        folder = tmp_path / ".venvs/econml/lib/python3/site-packages/econml/data/ihdp"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        measures = ["bw", "b.head", "preterm", "birth.o", "nnhealth", "momage"]
        flags = ["sex", "twin", "b.marr", "mom.lths", "mom.hs", "mom.college", "cig", "first"]
        flags += ["booze", "drugs", "work.dur", "prenatal", *(f"site{k}" for k in range(1, 9))]
        races = ["momwhite", "momblack", "momhisp"]
        import pandas as pd

        table = pd.DataFrame(rng.integers(2, size=(300, 24)), columns=["treat", *flags, *races])
        table[measures] = rng.normal(5, 3, size=(300, 6))
        table[["treat", *measures, *flags, *races]].to_csv(folder / "sim.csv", index=False)
        monkeypatch.setattr(accuracy_worlds, "HERE", tmp_path)
        kept = ~((table["treat"] == 1) & (table["momwhite"] == 0))
        a, b = (drawn(name, int(kept.sum())) for name in ("hill-a", "hill-b"))
        assert a.X.shape == (kept.sum(), 26)
        assert a.X["t"].tolist() == table.loc[kept, "treat"].tolist()
        np.testing.assert_allclose(a.X.iloc[:, :6].mean(), 0, atol=1e-12)
        np.testing.assert_allclose(a.X.iloc[:, :6].std(ddof=0), 1)
        assert set(a.effect) == {4.0}
        assert np.ptp(b.effect) > 0
        assert b.effect[b.X["t"] == 1].mean() == pytest.approx(4)


class TestAnswers:
    def test_answers_are_judged_by_the_truth(self):
        truth = Drawn(drawn("straight", 4).X, np.zeros(4), np.array([0.0, 1.0, 2.0, 3.0]))
        rows = np.array([0.0, 1.0, 2.0, 5.0])
        answer = Answer(2.0, rows, (1.9, 2.1), np.column_stack([rows - 0.5, rows + 1.5]))
        assert judged(answer, truth) == {
            "error": 0.5,
            "pehe": 1.0,
            "average held": 0.0,
            "average width": pytest.approx(0.2),
            "rows held": 0.75,
            "rows width": 2.0,
        }

    def test_averages_are_taken_within_draws(self):
        """Two rows of opposite draws: each is uncertain, their average is not."""
        z = np.random.default_rng(0).normal(size=4000)
        answer = of_draws(np.column_stack([z, 2 - z]))
        np.testing.assert_allclose(answer.average_interval, 1)
        np.testing.assert_allclose(answer.rows_interval[0], [-1.96, 1.96], atol=0.15)

    def test_the_process_is_scikit_learns(self):
        """Contrasts of its joint prediction, the noise taken off."""
        found = drawn("nie-wager-b", 60)
        answer = process(found, 0)
        Z = found.X.to_numpy()
        centre, spread = Z.mean(axis=0), Z.std(axis=0)
        model = gaussian_process(Z.shape[1], 0).fit((Z - centre) / spread, found.y)
        both = np.vstack([found.X.assign(t=1.0), found.X.assign(t=0.0)])
        mean, covariance = model.predict((both - centre) / spread, return_cov=True)
        noise = model.kernel_.k2.noise_level * found.y.var()
        covariance -= noise * np.eye(len(covariance))
        contrast = np.hstack([np.eye(60), -np.eye(60)])
        sd = np.sqrt(np.diag(contrast @ covariance @ contrast.T))
        np.testing.assert_allclose(answer.rows, contrast @ mean, rtol=1e-6, atol=1e-8)
        width = np.diff(answer.rows_interval, axis=1).ravel()
        np.testing.assert_allclose(width, 2 * 1.959964 * sd, rtol=1e-4, atol=1e-4)
        average = np.full(60, 1 / 60) @ contrast
        error = np.sqrt(average @ covariance @ average)
        assert np.diff(answer.average_interval)[0] == pytest.approx(2 * 1.959964 * error, rel=1e-4)

    def test_the_line_is_right_on_a_straight_world(self):
        """Its one effect is least squares', its rows' interval the average's."""
        found = asked("straight", "line", -600)
        data = BY_NAME["straight"].drawn(400)
        design = np.column_stack([np.ones(500), data.X])
        beta, rss, *_ = np.linalg.lstsq(design, data.y, rcond=None)
        error = np.sqrt(rss[0] / 494 * np.linalg.inv(design.T @ design)[-1, -1])
        assert abs(found["error"] - (beta[-1] - 1)) < 0.1 * error
        assert found["average width"] == pytest.approx(2 * 1.96 * error, rel=0.05)
        assert found["rows width"] == pytest.approx(found["average width"])

    def test_environments_are_pinned(self):
        assert all("==" in each for every in ENVIRONMENTS.values() for each in every)
        assert {who.environment for who in CONTESTANTS.values()} == {None, *ENVIRONMENTS}


class TestRun:
    def test_rounds_go_over_all_worlds(self):
        found = accuracy.tasks(["straight", "friedman-5000"], ["line", "process"], 10)
        first = [("straight", who, 0) for who in ("line", "process")]
        many = ("friedman-5000", "line", 0)  # too many rows for the process
        assert found[:3] == [*first, many]
        assert [task for task in found if task[0] == "friedman-5000"] == [
            ("friedman-5000", "line", 0),
            ("friedman-5000", "line", 1),
        ]
        assert len(found) == len(set(found)) == 22

    def test_later_runs_add_to_earlier_ones(self):
        def row(contestant, number, pehe):
            numbers = {"error": 0.1, "pehe": pehe, "seconds": 1.0, "cpu": 1.0}
            return {"world": "straight", "contestant": contestant, "number": number} | numbers

        first = [row("bart", k, float(k)) | {"versions": {}} for k in range(3)]
        record = accuracy.merged({"results": []}, first)
        record = accuracy.merged(record, [row("line", 0, 2.0) | {"versions": {}}])
        known = accuracy_report.entries(record, "straight")
        assert list(known) == ["line", "bart"]
        assert known["bart"]["pehe"] == 1.0
        assert known["bart"]["data sets"] == 3
        assert known["bart"]["rmse"] == pytest.approx(0.1)

    def test_failures_are_counted(self):
        row = {"world": "straight", "contestant": "bart", "number": 0, "failed": "no memory"}
        found = accuracy.summary([row])
        assert found == {"data sets": 0, "failed": {"count": 1, "first": "no memory"}}

    def test_contestants_who_saw_other_numbers_are_refused(self):
        row = {"world": "straight", "contestant": "line", "number": 0, "checksum": 1}
        accuracy.same_data([row, row | {"contestant": "bart"}])
        with pytest.raises(ValueError, match="bart drew another"):
            accuracy.same_data([row, row | {"contestant": "bart", "checksum": 2}])


class TestPage:
    record = json.loads(accuracy.SAVED.read_text(encoding="utf-8"))

    def test_page_is_made_of_the_saved_numbers(self):
        page = accuracy_report.PAGE.read_text(encoding="utf-8")
        assert page == accuracy_report.page(self.record)

    def test_medians_follow_from_the_saved_data_sets(self):
        for each in self.record["results"]:
            values = list(each["each pehe"].values())
            assert len(values) == each["data sets"]
            assert each["pehe"] == pytest.approx(np.median(values), rel=2e-3)
            assert each.get("average held", 0) <= each["data sets"]

    def test_every_world_is_told_of(self):
        assert accuracy_report.measured(self.record) == list(WORLDS)

    def test_ratios_are_over_the_data_sets_that_both_saw(self):
        one = {"each pehe": {"0": 2.0, "1": 100.0}}
        other = {"each pehe": {"0": 1.0, "5": 0.1}}
        assert accuracy_report.ratio(one, other) == 2.0
        assert accuracy_report.to_best({"one": one, "other": other}, "one") == (2.0, "other")
        assert accuracy_report.to_best({"one": one, "other": other}, "other") == (1.0, "other")

    def test_who_is_behind_is_told(self):
        def entry(who, pehe, held):
            own = {"world": "straight", "contestant": who, "data sets": 2, "pehe": pehe}
            kept = {"average held": held, "rows held": 0.9}
            return own | kept | {"each pehe": {"0": pehe, "1": pehe}}

        record = {"results": [entry("line", 3.0, 1), entry("bart", 2.0, 2)]}
        told = " ".join(accuracy_report.verdict(record, "line"))
        assert "in 0 of 1 worlds" in told
        assert "Straight (1.50 times BART's)" in told
        assert "at most BART's in 0 of 1" in told
        assert "1 of 2 data sets (50%)" in told
