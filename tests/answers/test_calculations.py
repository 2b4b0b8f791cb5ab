"""Jobs of `docs/how_to/calculate.md`, each number against a computation without the package.

Posteriors of straight lines are drawn from their closed form under flat priors (Gelman et al.,
Bayesian Data Analysis, section 14.2), those of risks from Beta distributions.
"""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "calculate.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
N_DRAWS = 40_000


def ran(*numbers):
    """Return what blocks of the page leave behind."""
    names = {"__name__": "__main__"}
    for number in numbers:
        with redirect_stdout(io.StringIO()):
            exec(BLOCKS[number], names)
    return names


def lines(terms, y, seed=0):
    """Return draws of the coefficients of a regression, (draws, terms), under flat priors."""
    terms, y = np.column_stack(terms), np.asarray(y)
    rng, freedom = np.random.default_rng(seed), len(y) - terms.shape[1]
    inverse = np.linalg.inv(terms.T @ terms)
    best = inverse @ terms.T @ y
    squares = np.square(y - terms @ best).sum()
    sigma = np.sqrt(squares / rng.chisquare(freedom, size=N_DRAWS))
    noise = rng.normal(size=(N_DRAWS, len(best))) @ np.linalg.cholesky(inverse).T
    return best + sigma[:, None] * noise


def assert_same_posterior(outcomes, draws, close=0.12):
    """Mean, sd and quantiles are those of independent draws, in their standard deviation.

    With 4,000 draws, that of a quantile of 2.5% is known to 0.04 of it.
    """
    draws = np.asarray(draws, dtype=float).reshape(N_DRAWS, -1)
    scale = draws.std(axis=0)
    assert np.abs((outcomes.mean() - draws.mean(axis=0)) / scale).max() < close
    np.testing.assert_allclose(outcomes.std(), scale, rtol=0.1)
    q = [0.025, 0.5, 0.975]
    away = (outcomes.quantile(q) - np.quantile(draws, q, axis=0).T) / scale[:, None]
    assert np.abs(away).max() < 2 * close


def test_each_script_is_short():
    assert len(BLOCKS) == 7
    assert all(block.count("\n") <= 25 for block in BLOCKS)


def test_total_revenue():
    names = ran(0)
    X, y = names["X"], names["sales"]
    price, season, one = X["price"].to_numpy(), X["season"].to_numpy(), np.ones(len(X))
    beta = lines([one, season, price], y)

    def revenue(asked):
        return beta @ np.stack([asked.sum(), (asked * season).sum(), (asked * asked).sum()])

    assert_same_posterior(names["gain"], revenue(1.05 * price) - revenue(price))


def test_money_by_row_and_in_all():
    names = ran(1)
    X, margin = names["X"], names["margin"].to_numpy()
    coupon, loyalty, one = X["coupon"], X["loyalty"].to_numpy(), np.ones(len(X))
    beta = lines([one, loyalty, coupon, loyalty * coupon], names["items"])
    effect = beta[:, [2]] + beta[:, [3]] * loyalty
    money = margin * effect - 2
    assert_same_posterior(names["money"][:50], money[:, :50], close=0.15)
    assert_same_posterior(names["money"].average(), money.mean(axis=1))
    assert_same_posterior(names["money"].sum(), money.sum(axis=1))


def risks(names, rows=slice(None)):
    """Return draws of the risk of the treated and of controls."""
    rng, died, treated = np.random.default_rng(1), names["died"][rows], names["X"]["treated"][rows]
    counts = [(died[treated == t].sum(), (treated == t).sum()) for t in (1, 0)]
    return (rng.beta(k + 0.5, n - k + 0.5, size=N_DRAWS) for k, n in counts)


@pytest.fixture(scope="module")
def patients():
    return ran(2, 3)


def test_measures_of_risk(patients):
    treated, control = risks(patients)
    measures = {
        "risk, treated": treated,
        "risk, control": control,
        "risk difference": treated - control,
        "risk ratio": treated / control,
        "odds ratio": treated * (1 - control) / (control * (1 - treated)),
        "number needed to treat": 1 / (control - treated),
    }
    assert list(measures) == list(patients["measures"])
    for name, draws in measures.items():
        assert_same_posterior(patients["measures"][name], draws)


def test_number_needed_to_treat_that_may_be_infinite(patients):
    """Its chance to be positive, its quantiles, and the ends of its interval."""
    treated, control = risks(patients, patients["few"])
    saved = control - treated
    ends = np.quantile(saved, [0.025, 0.975])
    assert ends[0] < 0 < ends[1]
    np.testing.assert_allclose([patients["low"], patients["high"]], ends, atol=0.15 * saved.std())
    needed = patients["needed"]
    assert needed.probability(above=0)[0] == pytest.approx((saved > 0).mean(), abs=0.02)
    expected = np.quantile(1 / saved, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(needed.quantile([0.25, 0.5, 0.75])[0], expected, rtol=0.1)


def test_share_through_a_mediator():
    names = ran(4)
    X, one = names["X"], np.ones(len(names["X"]))
    to_skill = lines([one, X["training"]], X["skill"], seed=1)[:, 1]
    to_wage = lines([one, X["training"], X["skill"]], names["wage"], seed=2)
    indirect = to_skill * to_wage[:, 2]
    assert_same_posterior(names["share"], indirect / (indirect + to_wage[:, 1]))


def test_effects_of_two_groups():
    """A regression in each group alone, of a residual spread that both share."""
    names = ran(5)
    X, one = names["X"], np.ones(len(names["X"]))
    beta = lines([one, X["old"], X["drug"], X["old"] * X["drug"]], names["pressure"])
    by_age = np.column_stack([beta[:, 2] + beta[:, 3], beta[:, 2]])
    assert_same_posterior(names["by_age"], by_age)
    assert_same_posterior(names["more"], beta[:, 3])


def test_whom_to_treat():
    names = ran(6)
    X, one = names["X"], np.ones(len(names["X"]))
    need, treated = X["need"].to_numpy(), X["treated"]
    beta = lines([one, need, treated, need * treated], names["health"])
    effect = beta[:, [2]] + beta[:, [3]] * need
    some = effect.mean(axis=0) > 3
    assert (some != names["policies"]["above 3"]).mean() < 0.01  # rows whose effect is nearly 3
    gains = {name: names["gains"].loc[name] for name in ("all", "above 3")}
    assert_same_posterior(gains["all"], (effect - 3).sum(axis=1))
    chosen = names["policies"]["above 3"]
    assert_same_posterior(gains["above 3"], (effect - 3)[:, chosen].sum(axis=1))
    assert (names["gains"].loc["none"].draws == 0).all()
    better = gains["above 3"] - gains["all"]
    assert_same_posterior(better, -(effect - 3)[:, ~chosen].sum(axis=1))
