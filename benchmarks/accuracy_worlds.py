"""Worlds in which the effect of a treatment on every row is known.

Only NumPy and pandas: the peers' processes draw the data sets too. Each has a seed of its own,
made of its world's name and its number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.random import Generator

HERE = Path(__file__).parent
FIRST = 1_000  # of the seeds; what is developed is looked at with others
TREATMENT = "t"

Array = np.ndarray
Parts = tuple[pd.DataFrame, Array, Array]


@dataclass(frozen=True)
class Drawn:
    """One data set.

    Attributes
    ----------
    X : DataFrame of shape (n, p + 1)
        The covariates and the treatment, "t".
    y : ndarray of shape (n,)
    effect : ndarray of shape (n,)
        What y gains in expectation, row by row, if t is `high` and not `low`.
    high, low : float
    """

    X: pd.DataFrame
    y: Array
    effect: Array
    high: float = 1.0
    low: float = 0.0

    @property
    def binary(self) -> bool:
        """Whether the treatment is given or not, and no dose."""
        return bool(self.X[TREATMENT].isin([0, 1]).all())

    @property
    def checksum(self) -> int:
        """Return what tells whether two processes drew the same numbers."""
        numbers = np.r_[self.y, self.effect, self.X[TREATMENT]]
        return crc32(np.round(numbers, 6).tobytes())


@dataclass(frozen=True)
class World:
    """A way to draw data sets.

    Attributes
    ----------
    name, title, about : str
    rows : int
    draw : callable
        Of a Generator and a number of rows.
    share : float
        Of the data sets that a run has; many rows take long.
    """

    name: str
    title: str
    about: str
    rows: int
    draw: Callable[[Generator, int], Drawn]
    share: float = 1.0

    def drawn(self, number: int) -> Drawn:
        """Return the data set of a number."""
        return self.draw(np.random.default_rng([crc32(self.name.encode()), number]), self.rows)


def expit(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


def treated(
    rng: Generator, x: Array, propensity: Array, base: Array, effect: Array, noise: float
) -> Drawn:
    """Return a data set of numeric columns and a treatment that is given with a propensity."""
    X = pd.DataFrame(x, columns=[f"x{j}" for j in range(x.shape[1])])
    t = (rng.random(len(x)) < propensity).astype(float)
    y = base + effect * t + noise * rng.normal(size=len(x))
    return Drawn(X.assign(**{TREATMENT: t}), y, effect)


# --- From the literature -------------------------------------------------------------------------


def friedman(rng: Generator, n: int) -> Drawn:
    """Return Friedman's surface (1991), confounded by itself; effects with a step and a bend."""
    x = rng.uniform(size=(n, 10))
    base = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    base = base + 10 * x[:, 3] + 5 * x[:, 4]
    effect = 2 + 4 * x[:, 0] * (x[:, 3] > 0.5) + 2 * np.sin(np.pi * x[:, 2])
    return treated(rng, x, expit((base - base.mean()) / base.std()), base, effect, 1.0)


def kang_schafer(rng: Generator, n: int) -> Drawn:
    """Return the columns of Kang and Schafer (2007), which hide what is linear."""
    z = rng.normal(size=(n, 4))
    x = np.column_stack(
        [
            np.exp(z[:, 0] / 2),
            z[:, 1] / (1 + np.exp(z[:, 0])) + 10,
            (z[:, 0] * z[:, 2] / 25 + 0.6) ** 3,
            (z[:, 1] + z[:, 3] + 20) ** 2,
        ]
    )
    base = 210 + 27.4 * z[:, 0] + 13.7 * z[:, 1:].sum(axis=1)
    propensity = expit(-z[:, 0] + 0.5 * z[:, 1] - 0.25 * z[:, 2] - 0.1 * z[:, 3])
    return treated(rng, x, propensity, base, 10 + 10 * z[:, 0], 10.0)


def nie_wager(setup: str) -> Callable[[Generator, int], Drawn]:
    """Return a setup of Nie and Wager (2021), section 6, with 6 columns and noise of sd 1."""

    def draw(rng: Generator, n: int) -> Drawn:
        x = rng.uniform(size=(n, 6)) if setup == "A" else rng.normal(size=(n, 6))
        propensity, centre, effect = SETUPS[setup](*x[:, :5].T)
        return treated(rng, x, propensity, centre - effect / 2, effect, 1.0)

    return draw


def setup_a(x1: Array, x2: Array, x3: Array, x4: Array, x5: Array) -> tuple[Array, Array, Array]:
    wave = np.sin(np.pi * x1 * x2)
    return np.clip(wave, 0.1, 0.9), wave + 2 * (x3 - 0.5) ** 2 + x4 + x5 / 2, (x1 + x2) / 2


def setup_b(x1: Array, x2: Array, x3: Array, x4: Array, x5: Array) -> tuple[Array, Array, Array]:
    centre = np.maximum(np.maximum(x1 + x2, x3), 0) + np.maximum(x4 + x5, 0)
    return np.full_like(x1, 0.5), centre, x1 + np.log1p(np.exp(x2))


def setup_c(x1: Array, x2: Array, x3: Array, x4: Array, x5: Array) -> tuple[Array, Array, Array]:
    return expit(-x2 - x3), 2 * np.log1p(np.exp(x1 + x2 + x3)), np.ones_like(x1)


def setup_d(x1: Array, x2: Array, x3: Array, x4: Array, x5: Array) -> tuple[Array, Array, Array]:
    up, down = np.maximum(x1 + x2 + x3, 0), np.maximum(x4 + x5, 0)
    return 1 / (1 + np.exp(-x1) + np.exp(-x2)), (up + down) / 2, up - down


SETUPS = {"A": setup_a, "B": setup_b, "C": setup_c, "D": setup_d}


def infants() -> tuple[pd.DataFrame, Array]:
    """Return the 747 children of Hill (2011), 25 columns, and who was treated.

    The Infant Health and Development Program, without the treated children of nonwhite mothers.
    EconML's package has the file.
    """
    (path,) = (HERE / ".venvs" / "econml").glob("lib/*/site-packages/econml/data/ihdp/sim.csv")
    known = pd.read_csv(path)
    known = known[(known["treat"] == 0) | (known["momwhite"] == 1)].reset_index(drop=True)
    t = known["treat"].to_numpy(dtype=float)
    others = ["treat", "site8", "momwhite", "momblack", "momhisp"]
    X = (
        known.drop(columns=others)
        .astype(float)
        .rename(columns=lambda name: name.replace(".", "_"))
    )
    return X, t


def hill(surface: str) -> Callable[[Generator, int], Drawn]:
    """Return a response surface of Hill (2011), section 4.1, on the children's columns.

    Measures are standardised, as there; a column of ones stands before them.
    """

    def draw(rng: Generator, n: int) -> Drawn:
        X, t = infants()
        measures = list(X.columns[:6])
        X[measures] = (X[measures] - X[measures].mean()) / X[measures].std(ddof=0)
        X["first"] += 1
        ones = np.column_stack([np.ones(n), X])
        if surface == "A":
            beta = rng.choice(5, size=26, p=[0.5, 0.2, 0.15, 0.1, 0.05])
            base, effect = ones @ beta, np.full(n, 4.0)
        else:
            beta = rng.choice([0, 0.1, 0.2, 0.3, 0.4], size=26, p=[0.6, 0.1, 0.1, 0.1, 0.1])
            offset = np.r_[0, np.full(25, 0.5)]
            base = np.exp((ones + offset) @ beta)
            effect = ones @ beta - base
            effect += 4 - effect[t == 1].mean()  # the average effect on the treated is 4
        y = base + effect * t + rng.normal(size=n)
        return Drawn(X.assign(**{TREATMENT: t}), y, effect)

    return draw


# --- Of our own ----------------------------------------------------------------------------------


def straight(rng: Generator, n: int) -> Drawn:
    """Return a straight world, one effect for all."""
    x = rng.normal(size=(n, 5))
    return treated(rng, x, expit(x[:, 0]), x @ [1.0, 0.5, 0, 0, -1.0], np.full(n, 1.0), 1.0)


def levels(rng: Generator, n: int) -> Drawn:
    """Return a world of text columns, in 6 sites of which effects differ."""
    x = rng.normal(size=(n, 3))
    site, kind = rng.integers(6, size=n), rng.integers(3, size=n)
    effects = rng.normal(2, 1, size=6)
    base = np.array([0, 1, -1, 0.5, 2, -2])[site] + np.array([0, 1, 2])[kind] * x[:, 0]
    base = base + np.sin(2 * x[:, 1])
    propensity = expit(np.array([1, -1, 0, 0.5, -0.5, 0])[site] + x[:, 0] - x[:, 1])
    drawn = treated(rng, x, propensity, base, effects[site] + 0.5 * x[:, 2], 1.0)
    names = {
        "site": np.array(["Ayr", "Bute", "Crail", "Dornoch", "Elgin", "Forres"], dtype=object)[
            site
        ],
        "kind": np.array(["plain", "mixed", "rich"], dtype=object)[kind],
    }
    return Drawn(pd.DataFrame(names).join(drawn.X), drawn.y, drawn.effect)


def dose(rng: Generator, n: int) -> Drawn:
    """Return a world of a dose whose effect saturates: from a half to two."""
    x = rng.normal(size=(n, 5))
    t = np.exp(0.4 * x[:, 0] + 0.2 * (x[:, 1] ** 2 - 1) + 0.5 * rng.normal(size=n))
    gain = 2 + x[:, 2] + np.abs(x[:, 0])
    high, low = 2.0, 0.5

    def response(amount: Array | float) -> Array:
        return gain * (1 - np.exp(-amount))

    y = x[:, 0] + np.sin(2 * x[:, 1]) + 0.5 * x[:, 3] + response(t) + 0.5 * rng.normal(size=n)
    X = pd.DataFrame(x, columns=[f"x{j}" for j in range(5)]).assign(**{TREATMENT: t})
    return Drawn(X, y, response(high) - response(low), high, low)


BENT = (
    "Friedman's surface (1991) of 10 uniform columns, five of them noise; who is treated goes "
    "with the surface; effects have a step and a bend"
)
INFANTS = "on the 747 children and 25 columns of Hill (2011): {}"
SETUP = "setup {} of Nie and Wager (2021), 6 columns, noise of sd 1: {}"
TROUBLE = "a treatment hard to tell from the surface, effects easy"

WORLDS = (
    World("straight", "Straight", "a line with one effect, confounded by a column", 500, straight),
    World(
        "kang-schafer",
        "Kang and Schafer",
        "the columns of Kang and Schafer (2007), which hide what is linear; effects differ",
        500,
        kang_schafer,
    ),
    World("friedman", "Friedman", BENT, 500, friedman),
    World("nie-wager-a", "Nie and Wager A", SETUP.format("A", TROUBLE), 500, nie_wager("A")),
    World(
        "nie-wager-b",
        "Nie and Wager B",
        SETUP.format("B", "a randomised trial, kinks"),
        500,
        nie_wager("B"),
    ),
    World(
        "nie-wager-c",
        "Nie and Wager C",
        SETUP.format("C", "one effect, an easy propensity, a bent surface"),
        500,
        nie_wager("C"),
    ),
    World(
        "nie-wager-d",
        "Nie and Wager D",
        SETUP.format("D", "treated and untreated have nothing in common; kinks"),
        500,
        nie_wager("D"),
    ),
    World(
        "levels",
        "Levels and groups",
        "two text columns, three numbers; effects differ between the 6 sites, and by a number",
        500,
        levels,
    ),
    World(
        "dose",
        "A dose",
        "a positive dose whose effect saturates and differs; asked: from a half to two",
        500,
        dose,
    ),
    World("hill-a", "Hill A", INFANTS.format("surface A, a line with one effect"), 747, hill("A")),
    World(
        "hill-b",
        "Hill B",
        INFANTS.format("surface B, an exponential without and a line with treatment"),
        747,
        hill("B"),
    ),
    World(
        "friedman-1000", "Friedman, 1,000 rows", "the same, more rows", 1000, friedman, share=0.5
    ),
    World(
        "nie-wager-a-1000",
        "Nie and Wager A, 1,000 rows",
        "the same, more rows",
        1000,
        nie_wager("A"),
        share=0.5,
    ),
    World(
        "nie-wager-d-1000",
        "Nie and Wager D, 1,000 rows",
        "the same, more rows",
        1000,
        nie_wager("D"),
        share=0.5,
    ),
    World(
        "friedman-5000", "Friedman, 5,000 rows", "the same, many rows", 5000, friedman, share=0.2
    ),
)
BY_NAME = {world.name: world for world in WORLDS}
