"""What is said of draws that cannot be trusted: constructed chains, and fits that fail."""

import re
import warnings

import arviz as az
import numpy as np
import pytest
from scipy import signal
from sklearn.exceptions import ConvergenceWarning

from interventional import BayesianInterventionRegressor
from interventional.inference import diagnostics
from interventional.inference.diagnostics import of_chains

CHAINS, DRAWS = 4, 1000


def well(seed=0, size=3):
    """Independent draws, whose energies are as independent."""
    rng = np.random.default_rng(seed)
    draws = {"y_sigma": rng.normal(size=(CHAINS, DRAWS))}
    draws["y_beta"] = rng.normal(size=(CHAINS, DRAWS, size))
    stats = {"diverging": np.zeros((CHAINS, DRAWS), dtype=bool)}
    return draws, stats | {"energy": rng.normal(size=(CHAINS, DRAWS))}


def autoregressive(rng, correlation, shape=(CHAINS, DRAWS)):
    """Chains of variance 1 whose neighbours have a known correlation."""
    noise = np.sqrt(1 - correlation**2) * rng.normal(size=shape)
    return signal.lfilter([1.0], [1.0, -correlation], noise, axis=1)


def test_nothing_is_said_of_independent_draws():
    """Of 40 sets of draws, 160 parameters."""
    assert [of_chains(*well(seed)) for seed in range(40)] == [[]] * 40


def test_a_chain_that_is_elsewhere():
    draws, stats = well()
    draws["y_beta"][2, :, 1] += 0.5
    said = of_chains(draws, stats)[0]
    expected = float(az.rhat(draws["y_beta"][..., 1]))
    assert said == f"R-hat up to {expected:.3f} for y_beta[1] (should be below 1.01)"


def test_a_chain_of_another_width():
    """Its mean is that of the others: only the folded draws differ (Vehtari et al. 2021)."""
    draws, stats = well()
    draws["y_sigma"][0] *= 3
    said = of_chains(draws, stats)[0]
    assert re.match(r"R-hat up to 1\.\d+ for y_sigma \(", said)


def test_chains_that_creep():
    """An autoregression of correlation r is worth (1 - r)/(1 + r) of as many draws."""
    rng = np.random.default_rng(1)
    draws, stats = well()
    draws["y_beta"][..., 2] = autoregressive(rng, 0.95)
    said = of_chains(draws, stats)
    bulk = next(text for text in said if text.startswith("bulk"))
    found = re.match(
        r"bulk effective sample size down to (\d+) for y_beta\[2\] \(should be 400\)", bulk
    )
    true = CHAINS * DRAWS * 0.05 / 1.95
    assert true / 2 < float(found[1]) < 2 * true


def test_tails_that_were_hardly_visited():
    """In one excursion a chain, to both sides: the middle is well known, the tails are not."""
    draws, stats = well()
    draws["y_sigma"][:, 450:550] *= 10
    (tail,) = of_chains(draws, stats)
    expected = float(az.ess(draws["y_sigma"], method="tail", prob=(0.05, 0.95)))
    assert tail == (
        f"tail effective sample size down to {expected:.0f} for y_sigma (should be 400)"
    )


def test_divergences_are_counted():
    draws, stats = well()
    stats["diverging"][1, 3] = stats["diverging"][2, 9] = True
    assert of_chains(draws, stats) == ["2 divergent transitions"]


def test_energy_that_creeps():
    """Of an autoregression E-BFMI is 2 (1 - r): the variance of a step over that of the energy."""
    draws, stats = well()
    assert not of_chains(draws, stats)  # independent energies: 2
    stats["energy"] = autoregressive(np.random.default_rng(2), np.array(0.9), (CHAINS, 20_000))
    draws = {"y_sigma": np.random.default_rng(3).normal(size=(CHAINS, 20_000))}
    stats["diverging"] = np.zeros((CHAINS, 20_000), dtype=bool)
    (said,) = of_chains(draws, stats)
    found = re.match(
        r"E-BFMI down to (0\.\d+) \(should be above 0\.3; it is not in 4 of 4 chains\)", said
    )
    assert abs(float(found[1]) - 0.2) < 0.05


def test_chains_that_do_not_move():
    draws, stats = well()
    draws["y_sigma"][:] = 1.0
    stats["energy"][0] = 7.0
    said = " ".join(of_chains(draws, stats))
    assert "E-BFMI down to nan" in said
    assert "y_sigma" in said


def test_labels_name_the_worst_parameter():
    draws, stats = well()
    draws["y_beta"][0, :, 1] += 1
    said = of_chains(draws, stats, lambda name, position: f"<{name} {position}>")
    assert "for <y_beta (1,)> (" in said[0]


def test_three_draws_tell_nothing():
    draws, stats = well()
    draws, stats = ({name: v[:, :3] for name, v in group.items()} for group in (draws, stats))
    assert of_chains(draws, stats) == []


def test_a_poor_approximation_says_how_poor():
    """Laplace on six rows, whose posterior is far from Gaussian."""
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    model = BayesianInterventionRegressor(inference="laplace", random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    (said,) = [str(each.message) for each in caught if each.category is ConvergenceWarning]
    k_hat = float(model.idata_["sample_stats"]["pareto_k"].max())
    assert said == (
        "inference='laplace' is a poor approximation of this posterior: Pareto k-hat is "
        f"{k_hat:.2f} (should be below 0.70). Use inference='nuts'"
    )


def test_equations_that_are_well_are_not_named():
    said = []
    for several in (True, False):
        with pytest.warns(ConvergenceWarning) as caught:
            diagnostics.warn("nuts", {"m": [], "y": ["2 divergent transitions"]}, several=several)
        said.append(str(caught[0].message))
    assert said == [
        "NUTS has not converged: equation of 'y': 2 divergent transitions. Raise tune and draws; "
        "if divergences or a low E-BFMI remain, give more informative priors",
        "NUTS has not converged: 2 divergent transitions. Raise tune and draws; "
        "if divergences or a low E-BFMI remain, give more informative priors",
    ]
    diagnostics.warn("nuts", {"m": [], "y": []}, several=True)  # nothing
