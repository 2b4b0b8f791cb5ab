"""How often `MisfitWarning` is raised where it should not be, and where it should.

    python -m benchmarks.misfit [simulations] [seed] [table ...]

prints the tables: alarms, where groups have nothing to do with any column, and all columns are
forced at once; power, where their levels go with one.
"""

import sys
import warnings
from itertools import product

import numpy as np
import pandas as pd

from interventional import BayesianInterventionRegressor, MisfitWarning

SEED = 0  # of all simulations; the package was written with others than those that are reported
EFFECTS = {  # of groups; standard deviation 1
    "normal": lambda rng, size: rng.normal(size=size),
    "t(3)": lambda rng, size: rng.standard_t(3, size=size) / np.sqrt(3),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "none": lambda rng, size: np.zeros(size),
}


def codes(rng, n_groups, size, balanced):
    """Return the group of each row: `size` rows a group, or 2 to some hundred around that."""
    sizes = np.full(n_groups, size)
    if not balanced:
        sizes = np.maximum(2, np.round(size * rng.lognormal(-0.5, 1, n_groups))).astype(int)
    return np.repeat(np.arange(n_groups), sizes)


def of_groups(rng, code, share):
    """Return a column of standard deviation 1, a share of whose variance is between groups."""
    n_groups = code.max() + 1
    between = rng.normal(size=n_groups)[code]
    return np.sqrt(share) * between + np.sqrt(1 - share) * rng.normal(size=len(code))


def frame(code, **columns):
    return pd.DataFrame({"unit": [f"u{k}" for k in code], **columns})


def plain(rng, code, draw):
    X = frame(code, x=of_groups(rng, code, rng.uniform(0.1, 0.9)))
    return X, X["x"] + 2 * draw(rng, code.max() + 1)[code], ["unit"]


def skewed(rng, code, draw):
    X = frame(code, x=np.exp(1.5 * of_groups(rng, code, rng.uniform(0.1, 0.9))))
    return X, X["x"] + 2 * draw(rng, code.max() + 1)[code], ["unit"]


def random_slopes(rng, code, draw):
    X = frame(code, x=of_groups(rng, code, rng.uniform(0.1, 0.9)), z=rng.normal(size=len(code)))
    effects = draw(rng, (2, code.max() + 1))
    return X, (1 + effects[0][code]) * X["x"] + X["z"] + effects[1][code], {"unit": ["x"]}


def five_columns(rng, code, draw):
    common = of_groups(rng, code, 0.5)
    shares = rng.uniform(0.1, 0.9, 5)
    X = frame(code, **{f"x{k}": of_groups(rng, code, s) + common for k, s in enumerate(shares)})
    X["of_unit"] = rng.normal(size=code.max() + 1)[code]
    return X, X["x0"] - X["x1"] + X["of_unit"] + draw(rng, code.max() + 1)[code], ["unit"]


def some_treated(rng, code, draw):
    propensity = rng.choice([0.0, 0.5, 1.0], code.max() + 1, p=[0.3, 0.4, 0.3])
    X = frame(code, x=rng.random(len(code)) < propensity[code], z=rng.normal(size=len(code)))
    return X, X["x"] + 2 * draw(rng, code.max() + 1)[code], ["unit"]


def levels(rng, code, draw):
    shares = rng.dirichlet(np.ones(4), code.max() + 1)[code].cumsum(axis=1)
    level = np.minimum((rng.random((len(code), 1)) > shares).sum(axis=1), 3)
    X = frame(code, x=np.array(list("abcd"))[level])
    return X, level + 2 * draw(rng, code.max() + 1)[code], ["unit"]


def two_kinds(rng, code, draw):
    week = rng.integers(0, 12, len(code))
    x = of_groups(rng, code, 0.4) + rng.normal(size=12)[week]
    X = frame(code, week=[f"w{k}" for k in week], x=x)
    y = X["x"] + draw(rng, code.max() + 1)[code] + draw(rng, 12)[week]
    return X, y, ["unit", "week"]


def nested(rng, code, draw):
    region = code % max(3, (code.max() + 1) // 5)
    x = of_groups(rng, code, 0.4) + rng.normal(size=region.max() + 1)[region]
    X = frame(code, region=[f"r{k}" for k in region], x=x)
    y = X["x"] + draw(rng, code.max() + 1)[code] + draw(rng, region.max() + 1)[region]
    return X, y, ["unit", "region"]


KINDS = {
    f.__name__: f
    for f in (
        plain,
        skewed,
        random_slopes,
        five_columns,
        some_treated,
        levels,
        two_kinds,
        nested,
    )
}
SHAPES = ((5, 20), (10, 8), (30, 3), (30, 50), (300, 3))


def fitted(X, y, groups):
    return BayesianInterventionRegressor(groups=groups, draws=4, chains=1, random_state=0).fit(
        X, y
    )


def warned(model, X, groups):
    """Whether it warns to force all columns at once."""
    columns = [column for column in X if column not in groups]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", MisfitWarning)
        model.effect(X.head(5), {c: X[c].tail(5).to_numpy() for c in columns})
    return bool(caught)


def alarms(n_simulations):
    """Count warnings where the groups have nothing to do with any column."""
    print("| data | " + " | ".join(EFFECTS) + " |")
    print("| --- |" + " ---: |" * len(EFFECTS))
    for number, (name, made) in enumerate(KINDS.items()):
        counts = []
        for column, draw in enumerate(EFFECTS.values()):
            found = total = 0
            for shape, balanced, k in product(SHAPES, (True, False), range(n_simulations)):
                rng = np.random.default_rng([SEED, number, column, *shape, balanced, k])
                X, mean, groups = made(rng, codes(rng, *shape, balanced), draw)
                found += warned(fitted(X, mean + rng.normal(size=len(X)), groups), X, groups)
                total += 1
            counts.append(f"{found} of {total}")
        print(f"| {name} | " + " | ".join(counts) + " |", flush=True)


def power(n_simulations):
    """Count warnings where half of the variance of a column is that of the groups' own levels."""
    strengths = (0.25, 0.5, 1.0)
    print("\n| groups | rows each | " + " | ".join(f"slope + {s}" for s in strengths) + " |")
    print("| ---: | ---: |" + " ---: |" * len(strengths))
    for shape in (*SHAPES, (300, 20)):
        counts = []
        for strength in strengths:
            found = 0
            for k in range(n_simulations):
                rng = np.random.default_rng([SEED, 100, *shape, int(100 * strength), k])
                code = codes(rng, *shape, balanced=True)
                level = rng.normal(size=shape[0])
                x = np.sqrt(0.5) * (level[code] + rng.normal(size=len(code)))
                own = strength * np.sqrt(0.5) * level + 0.5 * rng.normal(size=shape[0])
                X, groups = frame(code, x=x), ["unit"]
                y = x + own[code] + rng.normal(size=len(code))
                found += warned(fitted(X, y, groups), X, groups)
            counts.append(f"{found} of {n_simulations}")
        print(f"| {shape[0]} | {shape[1]} | " + " | ".join(counts) + " |", flush=True)


if __name__ == "__main__":
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    SEED = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    every = {f.__name__: f for f in (alarms, power)}
    for table in sys.argv[3:] or every:
        every[table](simulations)
