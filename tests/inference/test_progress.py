"""What verbose=True prints, on no terminal."""

import re
import time
from types import SimpleNamespace

import numpy as np
import pytest

from interventional import BayesianInterventionRegressor
from interventional.inference import nuts, progress

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = X[:, 0] + RNG.normal(size=40)
DONE = r"y: 80 draws, inference='{}': done in \d+\.\d s\n"


def fit(**parameters):
    defaults = {"draws": 20, "chains": 4, "tune": 20, "random_state": 0, "verbose": True}
    return BayesianInterventionRegressor(**defaults | parameters).fit(X, Y)


def waited(capfd, pattern):
    """What is printed until it holds a pattern."""
    printed = ""
    for _ in range(1200):
        printed += capfd.readouterr().out
        if re.search(pattern, printed):
            return printed
        time.sleep(0.05)
    raise AssertionError(printed)


def test_lines_while_it_lasts(capfd, monkeypatch):
    monkeypatch.setattr(progress, "_FIRST", 0.01)
    monkeypatch.setattr(progress, "_EVERY", 0.01)
    with progress.told(True, "y: work") as stage:
        waited(capfd, r"y: work: \d+ s\n(y: work: \d+ s\n)+")
        stage.tell("3 of 9")
        waited(capfd, r"y: work: \d+ s, 3 of 9\n")
    assert re.search(r"y: work: done in \d+\.\d s\n$", waited(capfd, "done"))
    time.sleep(0.05)
    assert capfd.readouterr().out == ""


def test_nothing_unless_asked(capfd, monkeypatch):
    monkeypatch.setattr(progress, "_FIRST", 0.0)
    with progress.told(False, "y: work") as stage:
        stage.tell("3 of 9")
    fit(verbose=False)
    fit(verbose=0, priors="ridge")
    assert capfd.readouterr() == ("", "")


def test_what_fails_is_not_done(capfd):
    with pytest.raises(ZeroDivisionError), progress.told(True, "y: work"):
        raise ZeroDivisionError
    assert "done" not in capfd.readouterr().out


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of few draws
@pytest.mark.parametrize(
    ("parameters", "engine"),
    [
        ({}, "exact"),
        ({"priors": "ridge"}, "exact"),
        ({"inference": "laplace"}, "laplace"),
        ({"noise": 1}, "exact"),
        pytest.param({"inference": "nuts", "n_jobs": 2}, "nuts", marks=pytest.mark.slow),
    ],
)
def test_every_engine(capfd, parameters, engine):
    if parameters.get("noise"):
        X[:, 1] = np.abs(X[:, 1])
    fit(**parameters)
    out, err = capfd.readouterr()
    assert re.search(DONE.format(engine) + "$", out)
    assert err == ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of few draws
def test_nuts_tells_how_far_it_is(monkeypatch, capfd):
    """Compiled it is quick, so that its own reports are looked at."""
    told = []
    monkeypatch.setattr(progress.Stage, "tell", lambda self, detail: told.append(detail))
    fit(inference="nuts", draws=3000, tune=1000, n_jobs=1)
    assert told[0] == "compiling"
    assert re.fullmatch(r"[\d,]+ of 16,000 iterations, \d+ diverged", told[-1])
    capfd.readouterr()


def test_how_far_chains_are():
    chains = [
        SimpleNamespace(finished_draws=700, total_draws=1000, divergences=0),
        SimpleNamespace(finished_draws=500, total_draws=1000, divergences=2),
    ]
    told = []
    nuts._tell(told.append, chains)
    assert told == ["1,200 of 2,000 iterations, 2 diverged"]
