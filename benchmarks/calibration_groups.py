"""What the calibration program simulates of groups whose coefficients differ, by NumPy alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.calibration_scenarios import (
    Array,
    Known,
    Rng,
    Simulated,
    gamma,
    half_normal,
    half_t,
    normal,
    seen,
)

Labels = Callable[[Rng], dict[str, Array]]


def lkj(r: Rng, q: int, eta: float = 2.0) -> Array:
    """Draw the root of a correlation matrix (Lewandowski, Kurowicka and Joe 2009, section 2).

    Partial correlations given k others are 2 Beta(b, b) - 1 with b = eta + (q - 2 - k) / 2.
    """
    root = np.zeros((q, q))
    for i in range(q):
        rest = 1.0
        for k in range(i):
            b = eta + (q - 2 - k) / 2
            partial = 2 * r.beta(b, b) - 1
            root[i, k] = partial * np.sqrt(rest)
            rest *= 1 - partial**2
        root[i, i] = np.sqrt(rest)
    return root


def balanced(**levels: int) -> Labels:
    """Return what makes rows of every combination of columns' levels, one each."""

    def labels(r: Rng) -> dict[str, Array]:
        grids = np.meshgrid(*(np.arange(size) for size in levels.values()), indexing="ij")
        return dict(zip(levels, (grid.ravel() for grid in grids), strict=True))

    return labels


def repeated(sizes: Sequence[int], name: str = "g") -> Labels:
    """Return what makes a group of rows of each size."""
    return lambda r: {name: np.repeat(np.arange(len(sizes)), sizes)}


def nested(outer: int, inner: int, each: int) -> Labels:
    """Return what makes levels of h, each with levels of g of its own."""
    g = np.repeat(np.arange(outer * inner), each)
    return lambda r: {"g": g, "h": g // inner}


def scattered(n: int, **levels: int) -> Labels:
    """Return what makes rows of random levels, each of which occurs."""

    def labels(r: Rng) -> dict[str, Array]:
        return {name: r.permutation(np.arange(n) % size) for name, size in levels.items()}

    return labels


@dataclass(frozen=True)
class Grouped:
    """y ~ Normal(intercept + (x - means) @ beta + what is the groups' own, sigma).

    Attributes
    ----------
    labels : callable
        Draws the columns of levels.
    groups : mapping
        From each of them to the columns whose slopes differ.
    sd : Known
        The prior of every standard deviation between groups.
    columns : tuple of str
        The columns of numbers.
    """

    labels: Labels
    groups: Mapping[str, Sequence[str]]
    sd: Known = field(default_factory=lambda: half_t(4, 1))
    columns: tuple[str, ...] = ("a",)
    beta: Known = field(default_factory=lambda: normal(0, 1))
    intercept: Known = field(default_factory=lambda: normal(0, 2))
    sigma: Known = field(default_factory=lambda: half_t(4, 1))

    def __call__(self, r: Rng) -> Simulated:
        codes = self.labels(r)
        n = len(next(iter(codes.values())))
        x = r.normal(size=(n, len(self.columns))) + 1.0
        X = pd.DataFrame(x, columns=list(self.columns)).assign(**codes)
        means, sigma = x.mean(axis=0), float(self.sigma.draw(r, None))
        parameters: dict[str, Any] = {"y_sigma": sigma}
        beta = [self.beta.draw(r, len(self.columns))]
        for name, slopes in self.groups.items():
            q, levels = 1 + len(slopes), int(codes[name].max()) + 1
            sd, root = self.sd.draw(r, q), lkj(r, q)
            own = (sd[:, None] * root) @ r.normal(size=(q, levels))
            parameters[f"y_beta_{name}_sd"] = sd
            if q > 1:
                corr = root @ root.T
                np.fill_diagonal(corr, np.nan)  # is 1, whatever the draw
                parameters[f"y_beta_{name}_corr"] = corr
            beta.append(own.ravel())
        everything = np.concatenate(beta)
        at_zero = float(self.intercept.draw(r, None)) - float(means @ beta[0])
        parameters |= {"y_intercept": at_zero, "y_beta": everything}

        def matrix(rows: pd.DataFrame) -> Array:
            parts = [rows[list(self.columns)].to_numpy(float)]
            for name, slopes in self.groups.items():
                own = rows[name].to_numpy()[:, None] == np.arange(codes[name].max() + 1)
                parts.append(own.astype(float))
                for slope in slopes:
                    mean = means[self.columns.index(slope)]
                    parts.append(own * (rows[slope].to_numpy(float) - mean)[:, None])
            return np.hstack(parts)

        y = r.normal(at_zero + matrix(X) @ everything, sigma)
        others = {"sigma": sigma}
        return seen(X, y, "gaussian", matrix, at_zero, everything, others, parameters)

    @property
    def settings(self) -> dict[str, Any]:
        priors = {"beta": self.beta.told, "intercept": self.intercept.told}
        priors |= {"sigma": self.sigma.told, **dict.fromkeys(self.groups, self.sd.told)}
        return {"groups": {name: list(own) for name, own in self.groups.items()}, "priors": priors}


def grouped() -> list[tuple[str, Grouped]]:
    """Return every scenario of groups, and what it is called."""
    unbalanced = [1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 15]
    crossed = balanced(g=8, h=5)
    return [
        ("4 groups of 6 rows", Grouped(repeated([6] * 4), {"g": []})),
        ("40 groups of 1 to 8 rows", Grouped(repeated([1 + k % 8 for k in range(40)]), {"g": []})),
        ("groups that hardly differ", Grouped(repeated([4] * 8), {"g": []}, gamma(0.3, 1.0))),
        ("slopes, 12 groups of 1 to 15 rows", Grouped(repeated(unbalanced), {"g": ["a"]})),
        (
            "slopes that hardly differ",
            Grouped(repeated([6] * 8), {"g": ["a"]}, gamma(0.3, 1.0)),
        ),
        (
            "two slopes, 15 groups of 8 rows",
            Grouped(repeated([8] * 15), {"g": ["a", "b"]}, columns=("a", "b")),
        ),
        ("crossed, 8 x 5", Grouped(crossed, {"g": [], "h": []})),
        ("nested, 4 x 3 groups of 4 rows", Grouped(nested(4, 3, 4), {"g": [], "h": []})),
        ("crossed, one with slopes", Grouped(balanced(g=10, h=6), {"g": ["a"], "h": []})),
        (
            "crossed, both with slopes",
            Grouped(balanced(g=8, h=6), {"g": ["a"], "h": ["a"]}, half_normal(1)),
        ),
        (
            "8 kinds of groups, 5 of each",
            Grouped(scattered(80, **dict.fromkeys("cdefghij", 5)), dict.fromkeys("cdefghij", ())),
        ),
    ]
