"""How often `ExtrapolationWarning` is raised where it should not be, and where it should.

    python -m benchmarks.false_alarms [simulations] [seed] [table ...]

prints the tables of docs/how_to/support.md: randomised, confounded, levels, numbers, steps.
"""

import sys
import warnings
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from interventional import BayesianInterventionRegressor, ExtrapolationWarning

SIZES, WIDTHS = (100, 1000), (1, 5, 20)
SEED = 0  # of all simulations; the package was written with others than those that are reported
COVARIATES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy-tailed": lambda rng, size: rng.standard_t(3, size=size),
    "lognormal": lambda rng, size: rng.lognormal(size=size),
    "uniform": lambda rng, size: rng.uniform(size=size),
    "three values": lambda rng, size: rng.integers(0, 3, size=size).astype(float),
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
    "dose, lognormal": dose(lambda rng, n: rng.lognormal(size=n)),
    "dose, sd / 4 more": shifted,
}


def asked(rng, covariates, treatment, do, baseline=None):
    """Return whether a query warns, and which rows are supported."""
    X = pd.DataFrame(covariates)
    X = X.set_axis([f"x{k}" for k in range(X.shape[1])], axis=1).assign(t=treatment)
    y = rng.normal(size=len(X))
    model = BayesianInterventionRegressor(draws=2, chains=1, random_state=0).fit(X, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExtrapolationWarning)
        outcomes = model.effect(X, do, baseline)
    return bool(caught), outcomes.support["supported"].to_numpy()


def randomised(n_simulations):
    """Count warnings where the treatment depends on nothing."""
    print("| treatment | " + " | ".join(COVARIATES) + " |")
    print("| --- |" + " ---: |" * len(COVARIATES))
    for number, (name, trial) in enumerate(TRIALS.items()):
        counts = []
        for column, draw in enumerate(COVARIATES.values()):
            warned = 0
            for n, p, k in product(SIZES, WIDTHS, range(n_simulations)):
                rng = np.random.default_rng([SEED, number, column, n, p, k])
                covariates = draw(rng, (n, p))
                warned += asked(rng, covariates, *trial(rng, n))[0]
            counts.append(f"{warned} of {n_simulations * len(WIDTHS) * len(SIZES)}")
        print(f"| {name} | " + " | ".join(counts) + " |", flush=True)


def confounded(n_simulations):
    """Compare what is said of rows with the propensities that they had."""
    print("\n| slope | n | calls that warn | rows beyond | found | other rows taken for it |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for slope, n in product((0, 0.5, 1, 2, 4), SIZES):
        warned, beyond, found, wrong, rows = 0, 0, 0, 0, 0
        for k in range(n_simulations):
            rng = np.random.default_rng([SEED, 100 + int(2 * slope), n, k])
            covariates = rng.normal(size=(n, 5))
            propensity = 1 / (1 + np.exp(-slope * covariates[:, 0]))
            treated = rng.random(n) < propensity
            said, supported = asked(rng, covariates, treated, {"t": True})
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


# --- Levels: what is counted is the truth --------------------------------------------------------


def level_columns(rng, n, p):
    """Return columns of two to four levels, as strings, bools or numbers, and their cells."""
    codes = [rng.choice(k, n, p=rng.dirichlet(np.full(k, 4.0))) for k in rng.integers(2, 5, p)]
    cell = np.unique(np.ravel_multi_index(codes, [5] * p), return_inverse=True)[1]
    dressed = {}
    for k, code in enumerate(codes):
        kinds = [np.array(list("abcd"))[code], code.astype(float)]
        if code.max() < 2:
            kinds.append(code.astype(bool))
        dressed[f"x{k}"] = kinds[rng.integers(len(kinds))]
    return pd.DataFrame(dressed), cell


def tables(rng, cell, arms):
    """Return arms: propensities at random in each cell, whatever is in the next."""
    n_cells = cell.max() + 1
    if arms == 2:
        return (rng.random(len(cell)) < rng.uniform(0.03, 0.97, n_cells)[cell]).astype(int)
    shares = rng.dirichlet(np.ones(arms), n_cells)[cell]
    return (rng.random((len(cell), 1)) > shares.cumsum(axis=1)).sum(axis=1)


def hardly(rng, cell, ratio):
    """Return who is treated where some cells, of a tenth of the rows or more, hardly ever are."""
    order = rng.permutation(cell.max() + 1)
    size = np.bincount(cell) / len(cell)
    bad = np.isin(cell, order[: 1 + np.searchsorted(np.cumsum(size[order]), 0.1)])
    if bad.mean() > 0.5:
        return None
    propensity = rng.uniform(0.3, 0.7, cell.max() + 1)[cell]
    average = propensity[~bad].mean() * (~bad).mean()
    return (rng.random(len(cell)) < np.where(bad, ratio * average, propensity)).astype(int)


def levels(n_simulations):
    """Count warnings where no cell is rare, and where some are."""
    print("\n| columns | n | two arms | four arms | ratio 0.02 | ratio 0 |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for p, n in product((1, 2, 3, 4), (200, 1000, 5000)):
        counts = []
        for case, what in enumerate((2, 4, 0.02, 0.0)):
            warned = total = 0
            for k in range(n_simulations):
                rng = np.random.default_rng([SEED, 200 + case, p, n, k])
                X, cell = level_columns(rng, n, p)
                arms = hardly(rng, cell, what) if case > 1 else tables(rng, cell, what)
                arm = 1 if what != 4 else int(rng.integers(4))
                if arms is None or not 1 < (arms == arm).sum() < n:
                    continue
                at_arm = np.bincount(cell[arms == arm], minlength=cell.max() + 1)
                ratio = at_arm / at_arm.sum() / (np.bincount(cell) / n)
                if case < 2 and ratio.min() < 0.1:
                    continue
                named = np.array(list("pqrs"))
                treatment = named[arms] if what == 4 else arms == 1
                total += 1
                warned += asked(rng, X, treatment, {"t": named[arm] if what == 4 else True})[0]
            counts.append(f"{warned} of {total}")
        print(f"| {p} | {n} | " + " | ".join(counts) + " |", flush=True)


# --- Numbers, and levels beside them: the truth is the propensity --------------------------------

QUANTILES: dict[str, Callable] = {
    "normal": stats.norm.ppf,
    "heavy-tailed": stats.t(3).ppf,
    "lognormal": stats.lognorm(1).ppf,
    "uniform": lambda u: u,
    "beta(½, ½)": stats.beta(0.5, 0.5).ppf,
}


def number_columns(rng, name, n, p, beside):
    """Return correlated numbers, levels beside them if asked for, what drives the treatment."""
    loadings = 0.5 * rng.normal(size=(p, p)) + np.eye(p)
    z = rng.normal(size=(n, p)) @ loadings / np.linalg.norm(loadings, axis=0)
    x = QUANTILES[name](stats.norm.cdf(z))
    driver = z if rng.random() < 0.5 else (x - x.mean(axis=0)) / x.std(axis=0)
    drive = driver[:, 0] if p == 1 else 0.7 * (driver[:, 0] + driver[:, 1])
    X = pd.DataFrame(x)
    if beside:
        group = rng.integers(0, 3, n)
        X = X.assign(group=np.array(list("abc"))[group], old=rng.random(n) < 0.4 + 0.1 * group)
        drive = drive + rng.normal(0, 0.7, 3)[group]
    return X, drive


def flat_ends(rng, drive):
    low = rng.uniform(0.04, 0.4)
    high = rng.uniform(max(low, 0.3), 0.96)
    slope = rng.choice([-1, 1]) * rng.uniform(0.3, 6)
    return low + (high - low) / (1 + np.exp(-slope * drive))


def logistic(rng, drive):
    return 1 / (1 + np.exp(rng.choice([-3, 3]) * drive))


def cut_off(share):
    def propensity(rng, drive):
        drive = rng.choice([-1, 1]) * drive
        return np.where(drive < np.quantile(drive, share), 0.0, 0.5)

    return propensity


PROPENSITIES = {
    "none is rare": flat_ends,
    "logistic, slope 3": logistic,
    "none of the lower half": cut_off(0.5),
    "none of the lower fifth": cut_off(0.2),
}


def numbers(n_simulations):
    """Count warnings where no row is rare, and where some are."""
    print("\n| numbers | levels beside | " + " | ".join(PROPENSITIES) + " |")
    print("| --- | --- |" + " ---: |" * len(PROPENSITIES))
    for (number, name), beside in product(enumerate(QUANTILES), (False, True)):
        counts = []
        for case, propensity in enumerate(PROPENSITIES.values()):
            warned = total = 0
            for n, p, k in product((200, 1000, 5000), (1, 3), range(n_simulations)):
                rng = np.random.default_rng([SEED, 300 + case, number, beside, n, p, k])
                X, drive = number_columns(rng, name, n, p, beside)
                chance = propensity(rng, drive)
                treated = rng.random(n) < chance
                rare = chance.min() < 0.1 * chance.mean()
                if (case == 0 and rare) or not 1 < treated.sum() < n:
                    continue
                total += 1
                warned += asked(rng, X, treated, {"t": True})[0]
            counts.append(f"{warned} of {total}")
        print(f"| {name} | {'yes' if beside else 'no'} | {' | '.join(counts)} |", flush=True)


# --- Steps, and ends of ranges -------------------------------------------------------------------

FORCED = {
    "ratings 1 to 5": lambda rng, n: rng.integers(1, 6, n).astype(float),
    "0 or 1": lambda rng, n: rng.permutation(np.arange(n) % 3 == 0).astype(float),
    "uniform": lambda rng, n: rng.uniform(0, 10, n),
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
}


def steps(n_simulations):
    """Count warnings of values hardly outside a range, and a tenth of it outside."""
    print("\n| column | n | a millionth more | uniform: its true end | a tenth beyond |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for (number, (name, draw)), n in product(enumerate(FORCED.items()), (5, 20, 200, 500, 5000)):
        step = end = tenth = 0
        for k in range(n_simulations):
            rng = np.random.default_rng([SEED, 400 + number, n, k])
            v, z = draw(rng, n), rng.normal(size=(n, 1))
            width = np.ptp(v)
            step += asked(rng, z, v, {"t": v + 1e-6 * width})[0]
            end += name == "uniform" and asked(rng, z, v, {"t": 0.0})[0]
            tenth += asked(rng, z, v, {"t": v.max() + 0.1 * width})[0]
        end = f"{end} of {n_simulations}" if name == "uniform" else "–"
        print(
            f"| {name} | {n} | {step} of {n_simulations} | {end} | {tenth} of {n_simulations} |",
            flush=True,
        )


if __name__ == "__main__":
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    SEED = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    every = {f.__name__: f for f in (randomised, confounded, levels, numbers, steps)}
    for table in sys.argv[3:] or every:
        every[table](simulations)
