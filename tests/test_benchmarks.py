"""The benchmark's page, and what its peers declare. Nothing is timed here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import answers, claims, contest, data, report, run, workloads  # noqa: E402
from benchmarks.environments import PEERS, peer  # noqa: E402


def test_page_is_made_of_the_saved_results():
    record = json.loads(report.SAVED.read_text(encoding="utf-8"))
    assert report.PAGE.read_text(encoding="utf-8") == report.page(record)


def test_saved_verdicts_follow_from_the_saved_times():
    record = json.loads(report.SAVED.read_text(encoding="utf-8"))
    assert [(c["text"], c["holds"]) for c in claims.judge(record)] == [
        (c["text"], c["holds"]) for c in record["claims"]
    ]


@pytest.mark.parametrize("name", PEERS)
def test_peers_declare_their_contract(name):
    declared = peer(name)
    assert declared.TITLE
    assert declared.PACKAGES
    # Peers in environments of their own are pinned, and bring every package that counts.
    assert declared.REQUIREMENTS is None or all("==" in r for r in declared.REQUIREMENTS)
    tasks = {task for task, _ in declared.TASKS}
    assert tasks <= set(workloads.TITLES)
    assert set(declared.LARGEST) <= tasks | {"intervene"}
    assert set(declared.REMARKS) <= {contestant for _, contestant in declared.TASKS}
    assert all(callable(function) for function in declared.TASKS.values())


def test_every_peer_file_is_run():
    files = {path.stem for path in (ROOT / "benchmarks" / "peers").glob("*.py")}
    assert files - {"__init__"} == set(PEERS)


def test_equal_answers_agree_and_others_do_not():
    rng = np.random.default_rng(0)
    ours, theirs = (answers.from_draws(rng.standard_normal((4, 1000, 3))) for _ in range(2))
    assert answers.distance(theirs, ours, same=True) < 1
    off = answers.from_draws(0.2 + rng.standard_normal((4, 1000, 3)))
    assert answers.distance(off, ours, same=True) > 1
    # Another estimator may be two standard deviations away.
    assert answers.distance(off, ours, same=False) < 1


def test_what_was_not_measured_is_no_verdict():
    assert claims.Claim(1, "", None, 1.0, at_least=True).holds is None
    assert claims.Claim(1, "", 2.0, 1.0, at_least=True).holds is True
    assert claims.Claim(1, "", 2.0, 1.0, at_least=False).holds is False
    assert claims.Claim(1, "", 2.0, None, at_least=False).holds is None


def test_an_earlier_commit_is_asked_only_where_a_workload_says_so():
    asked = [w for w in run.everything() if "before" in dict(contest.contestants(w, ["before"]))]
    assert asked == [w for w in run.everything() if w.before]


def test_data_of_waits_are_what_they_are_called():
    for name, (n, p) in {"mediated": (40, 3), "crossed": (40, 3), "sparse": (9, 7)}.items():
        X, y = data.make(f"{name}-{n}-{p}")
        assert (X.shape, y.shape) == ((n, p), (n,))
    X, _ = data.make("levels-4000-2")
    assert np.array_equal(np.bincount(X[:, 1].astype(int)), np.full(2000, 2))
    X, y = data.make("nodes-2000-8")
    slopes = np.linalg.lstsq(X, y, rcond=None)[0]
    assert np.array_equal(np.flatnonzero(np.abs(slopes) > 0.5)[::-1], data.parents(8))


def test_the_page_of_groups_has_the_figures_that_were_measured():
    page = (ROOT / "docs" / "how_to" / "groups.md").read_text()
    saved = json.loads((ROOT / "docs" / "how_it_works" / "groups.json").read_text())
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    costs = [line.split("|")[2:4] for line in rows if " x " in line and "(" not in line]
    for (ours, theirs), workload in zip(costs[:4], saved["speed"]["workloads"], strict=True):
        for said, who in ((ours, "interventional"), (theirs, "statsmodels")):
            cpu = workload["contestants"][who]["best"]["cpu"]
            assert float(said) == float(f"{cpu:.2g}"), workload["title"]
    for name, world in saved["coverage"]["worlds"].items():
        (line,) = [line for line in rows if line.startswith(f"| {name} |")]
        shares = [cell.split()[0] for cell in line.split("|")[2:6]]
        kinds = ("population", "each group", "new group, exactly", "MixedLM, population")
        for share, kind in zip(shares, kinds, strict=True):
            assert float(share) == round(100 * world["found"][kind]["mean"], 1), (name, kind)
