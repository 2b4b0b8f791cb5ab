"""How often `ExtrapolationWarning` is raised where it should not be, and where it should.

    python -m benchmarks.false_alarms [simulations]

prints the tables of docs/how_to/support.md.
"""

import sys
import warnings
from itertools import product

import numpy as np
import pandas as pd

from interventional import BayesianInterventionRegressor, ExtrapolationWarning

SIZES, WIDTHS = (100, 1000), (1, 5, 20)
COVARIATES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy-tailed": lambda rng, size: rng.standard_t(3, size=size),
}


def binary(share):
    def made(rng, n):
        treated = rng.permutation(np.arange(n) < share * n)
        return treated, {"t": True}, {"t": False}

    return made


def three_levels(rng, n):
    levels = rng.permutation(np.resize(["a", "b", "c"], n))
    return levels, {"t": "c"}, {"t": "a"}


def dose(draw):
    def made(rng, n):
        doses = draw(rng, n)
        low, high = np.quantile(doses, [0.05, 0.95])
        return doses, {"t": high}, {"t": low}

    return made


def shifted(rng, n):
    doses = rng.normal(size=n)
    return doses, {"t": doses + 0.25}, None


TRIALS = {
    "half treated": binary(0.5),
    "10% treated": binary(0.1),
    "5% treated": binary(0.05),
    "three levels": three_levels,
    "dose, normal": dose(lambda rng, n: rng.normal(size=n)),
    "dose, exponential": dose(lambda rng, n: rng.exponential(size=n)),
    "dose, sd / 4 more": shifted,
}


def asked(rng, covariates, treatment, do, baseline):
    """Return whether a query warns, and which rows are supported."""
    X = pd.DataFrame(covariates).add_prefix("x").assign(t=treatment)
    y = covariates[:, 0] + rng.normal(size=len(X))
    model = BayesianInterventionRegressor(draws=2, chains=1, random_state=0).fit(X, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExtrapolationWarning)
        outcomes = model.effect(X, do, baseline)
    return bool(caught), outcomes.support["supported"].to_numpy()


def randomised(n_simulations):
    """Count warnings where the treatment depends on nothing."""
    print("| treatment | " + " | ".join(f"{k}, n = {n}" for k, n in cells()) + " |")
    print("| --- |" + " ---: |" * len(cells()))
    for number, (name, trial) in enumerate(TRIALS.items()):
        counts = []
        for column, (kind, n) in enumerate(cells()):
            warned = 0
            for p, k in product(WIDTHS, range(n_simulations)):
                rng = np.random.default_rng([number, column, p, k])
                covariates = COVARIATES[kind](rng, (n, p))
                warned += asked(rng, covariates, *trial(rng, n))[0]
            counts.append(f"{warned} of {n_simulations * len(WIDTHS)}")
        print(f"| {name} | " + " | ".join(counts) + " |", flush=True)


def cells():
    return list(product(COVARIATES, SIZES))


def confounded(n_simulations):
    """Compare what is said of rows with the propensities that they had."""
    print("\n| slope | n | calls that warn | rows beyond | found | other rows taken for it |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for slope, n in product((0, 0.5, 1, 2, 4), SIZES):
        warned, beyond, found, wrong, rows = 0, 0, 0, 0, 0
        for k in range(n_simulations):
            rng = np.random.default_rng([100 + int(2 * slope), n, k])
            covariates = rng.normal(size=(n, 5))
            propensity = 1 / (1 + np.exp(-slope * covariates[:, 0]))
            treated = rng.random(n) < propensity
            said, supported = asked(rng, covariates, treated, {"t": True}, None)
            truth = (propensity < 0.1 * 0.5) & ~treated
            warned += said
            rows += n
            beyond += truth.sum()
            found += (truth & ~supported).sum()
            wrong += (~truth & ~supported).sum()
        share = f"{found / beyond:.0%}" if beyond else "–"
        print(
            f"| {slope} | {n} | {warned / n_simulations:.1%} | {beyond / rows:.1%} | "
            f"{share} | {wrong / (rows - beyond):.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    randomised(simulations)
    confounded(simulations)
