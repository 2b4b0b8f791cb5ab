"""The data of the benchmark, from a seed. Written by the runner, read by every worker."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS, TUNE, CHAINS = 1000, 1000, 4
GALLERY = np.array([1.5, 0.7, 0.3])  # coefficients of a, b, c in PyMC's gallery example
GALLERY_SIGMA = 0.2

Rows = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Data:
    """Rows to fit, and rows to ask about.

    Attributes
    ----------
    name : str
        ``"gallery"``, ``"linear"`` or ``"diabetes"``.
    X, y : ndarray
        The rows.
    asked : ndarray
        The rows that questions are about; those of the fit by default.
    options : dict
        What the workload says beyond its data.
    source : str
        Where the rows came from.
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[np.float64]
    asked: NDArray[np.float64]
    options: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        width = self.X.shape[1]
        return list("abc") if self.name == "gallery" else [f"x{j}" for j in range(width)]

    @property
    def forced(self) -> int:
        """The column that is forced; b, as in the gallery example."""
        return 1

    @property
    def priors(self) -> dict[str, Any]:
        """The numbers of the priors that all Bayesian contestants share.

        The gallery's own; elsewhere those that rstanarm, Bambi and this package have by default,
        with the intercept at the means of the columns.
        """
        width = self.X.shape[1]
        if self.name == "gallery":
            return {"beta": np.ones(width), "center": 0.0, "center_sd": 1.0, "sigma": 1.0}
        sd = float(self.y.std())
        return {
            "beta": 2.5 * sd / self.X.std(axis=0),
            "center": float(self.y.mean()),
            "center_sd": 2.5 * sd,
            "sigma": sd,
        }

    @property
    def design(self) -> NDArray[np.float64]:
        """The columns, about their means where the prior of the intercept holds there."""
        return self.X if self.name == "gallery" else self.X - self.X.mean(axis=0)


def write(spec: str, folder: Path) -> Path:
    """Write a data set such as ``"linear-10000-20"``, if it is not there yet."""
    target = folder / spec
    if not target.exists():
        X, y = make(spec)
        target.mkdir()
        np.save(target / "X.npy", X)
        np.save(target / "y.npy", y)
    return target


def make(spec: str) -> Rows:
    """Make a data set; its seed is its shape, so that it does not depend on what else is made."""
    if spec == "diabetes":
        from sklearn.datasets import load_diabetes

        return load_diabetes(return_X_y=True, scaled=False)
    if spec == "polynomial":
        return _polynomial()
    name, *sizes = spec.split("-")
    n, p = int(sizes[0]), int(sizes[1])
    rng = np.random.default_rng([n, p])
    if name in MAKERS:
        return MAKERS[name](n, p, rng)
    X = rng.standard_normal((n, p))
    if name == "gallery":
        return X, X @ GALLERY + GALLERY_SIGMA * rng.standard_normal(n)
    if name in ("bernoulli", "poisson"):
        eta = X @ np.linspace(-0.5, 0.5, p)
        if name == "poisson":
            return X, rng.poisson(np.exp(eta)).astype(np.float64)
        return X, (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(np.float64)
    X += 0.5 * rng.standard_normal((n, 1))  # correlated columns
    return X, 1.0 + X @ np.linspace(-1, 1, p) + rng.standard_normal(n)


def _mediated(n: int, p: int, rng: np.random.Generator) -> Rows:
    """Return a, c and b, which a moves; the outcome bends with b."""
    a, c = rng.standard_normal((2, n))
    b = 0.8 * a + rng.standard_normal(n)
    y = np.sin(b) + 0.5 * a + c + 0.3 * rng.standard_normal(n)
    return np.column_stack([a, c, b]), y


def _levels(n: int, p: int, rng: np.random.Generator) -> Rows:
    """Return a number, and a column of 2,000 levels."""
    level = rng.permutation(np.arange(n) % 2000)
    x = rng.standard_normal(n)
    y = x + rng.standard_normal(2000)[level] + rng.standard_normal(n)
    return np.column_stack([x, level]), y


def _nodes(n: int, p: int, rng: np.random.Generator) -> Rows:
    """Return columns of which each follows from those that `parents` names."""
    X = rng.standard_normal((n, p))
    for j in range(p):
        X[:, j] += 0.4 * X[:, parents(j)].sum(axis=1)
    return X, X[:, parents(p)].sum(axis=1) + rng.standard_normal(n)


def parents(j: int) -> list[int]:
    """Return what a node of the large graph is caused by."""
    return [i for i in (j - 1, j - 2, j - 5) if i >= 0]


def _crossed(n: int, p: int, rng: np.random.Generator) -> Rows:
    """Return a number, and groups of two kinds, 25 and 15; zeros and ones."""
    x, a, b = rng.standard_normal(n), rng.integers(0, 25, n), rng.integers(0, 15, n)
    eta = 0.8 * x + rng.standard_normal(25)[a] + 0.6 * rng.standard_normal(15)[b]
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(np.float64)
    return np.column_stack([x, a, b]), y


def _sparse(n: int, p: int, rng: np.random.Generator) -> Rows:
    """Return many columns, five of which matter."""
    X = rng.standard_normal((n, p))
    return X, X[:, :5] @ [2, -1.5, 1, 0.5, -0.5] + rng.standard_normal(n)


MAKERS: dict[str, Callable[[int, int, np.random.Generator], Rows]] = {
    "mediated": _mediated,
    "levels": _levels,
    "nodes": _nodes,
    "crossed": _crossed,
    "sparse": _sparse,
}


def _polynomial() -> Rows:
    """Return the diabetes data with all products of two columns, standardised."""
    from sklearn.datasets import load_diabetes
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    X, y = load_diabetes(return_X_y=True)
    X = PolynomialFeatures(2, include_bias=False).fit_transform(X)
    return StandardScaler().fit_transform(X), y


@lru_cache(maxsize=2)
def _arrays(folder: str) -> Rows:
    return np.load(f"{folder}/X.npy"), np.load(f"{folder}/y.npy")


def forget() -> None:
    """Let go of the data that was read."""
    _arrays.cache_clear()


def read(message: dict[str, Any]) -> Data:
    """Read what `Workload.message` names."""
    X, y = _arrays(message["data"])
    asked = _arrays(message["asked"])[0] if message["asked"] else X
    return Data(message["name"], X, y, asked, message["options"], message["data"])


def kept(data: Data, fit: Callable[[Data], Any]) -> Any:
    """Return the fit to some rows, from before if the last question was about the same ones.

    Only for what is asked of a fit. What times the fit itself calls it.
    """
    key = (data.source, fit)
    if not data.source or key not in _fits:
        _fits.clear()
        _fits[key] = fit(data)
    return _fits[key]


_fits: dict[tuple[str, Callable[[Data], Any]], Any] = {}


def folds(n: int, k: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the rows to fit and to score of each fold, as scikit-learn's `KFold` has them."""
    tests = np.array_split(np.arange(n), k)
    return [(np.setdiff1d(np.arange(n), test), test) for test in tests]


def r2(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Return the coefficient of determination."""
    return float(1 - np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2))
