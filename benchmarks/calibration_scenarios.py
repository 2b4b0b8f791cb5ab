"""What the calibration program simulates: priors, families and graphs, written out by hand.

Nothing here is taken from the package: a scenario draws parameters from a prior by NumPy, then
data from these parameters by NumPy, and knows what is expected of y under an intervention. The
settings of the estimator are the same model in the package's words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pymc_extras.prior import Prior
from scipy.special import expit
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

Array = np.ndarray
Rng = np.random.Generator


@dataclass(frozen=True)
class Simulated:
    """Data, and the truth behind them.

    Attributes
    ----------
    X, y, weights
        What the estimator is given.
    parameters : dict
        True parameters by the names of the posterior's variables: a number, or an array.
    expected : callable
        From the value that the forced column takes to E[y | do] of each row of X.
    new : callable
        From a generator and that value to a new outcome of each row of X.
    """

    X: pd.DataFrame
    y: Array
    parameters: Mapping[str, Any]
    expected: Callable[[Any], Array]
    new: Callable[[Rng, Any], Array]
    weights: Array | None = None


@dataclass(frozen=True)
class Scenario:
    """One line of the table.

    Attributes
    ----------
    name, about : str
        What it is called, and the heading it stands under.
    simulate : callable
        From a generator to one data set and its truth.
    settings : dict
        The estimator's.
    simulations : int
        How many data sets.
    column, low, high
        What is forced, and to which two values.
    approximate : str
        Why the engine is not calibrated exactly; empty if it ought to be.
    draws : int
        How many draws each of two chains of NUTS has; they are thinned afterwards.
    """

    name: str
    about: str
    simulate: Callable[[Rng], Simulated]
    settings: Mapping[str, Any]
    simulations: int
    column: str = "a"
    low: Any = -1.0
    high: Any = 1.0
    approximate: str = ""
    draws: int = 500

    @property
    def title(self) -> str:
        return f"{self.about}: {self.name}"

    @property
    def engine(self) -> str:
        return self.settings.get("inference", "exact")


# --- Priors: the same thing for NumPy and for the package ---------------------------------------


@dataclass(frozen=True)
class Known:
    """A prior: how NumPy draws it, and what the package is told."""

    draw: Callable[[Rng, Any], Array]
    told: Any


def normal(mu: float, sigma: float) -> Known:
    return Known(lambda r, size: r.normal(mu, sigma, size), Prior("Normal", mu=mu, sigma=sigma))


def gamma(alpha: float, beta: float) -> Known:
    return Known(
        lambda r, size: r.gamma(alpha, 1 / beta, size), Prior("Gamma", alpha=alpha, beta=beta)
    )


def half_normal(sigma: float) -> Known:
    return Known(
        lambda r, size: np.abs(r.normal(0, sigma, size)), Prior("HalfNormal", sigma=sigma)
    )


def half_t(nu: float, sigma: float) -> Known:
    return Known(
        lambda r, size: np.abs(sigma * r.standard_t(nu, size)),
        Prior("HalfStudentT", nu=nu, sigma=sigma),
    )


def inverse_gamma(alpha: float, beta: float) -> Known:
    return Known(
        lambda r, size: beta / r.gamma(alpha, 1.0, size),
        Prior("InverseGamma", alpha=alpha, beta=beta),
    )


def log_normal(mu: float, sigma: float) -> Known:
    return Known(
        lambda r, size: r.lognormal(mu, sigma, size), Prior("LogNormal", mu=mu, sigma=sigma)
    )


# --- Families -----------------------------------------------------------------------------------

MEAN: dict[str, Callable[[Array, Mapping[str, float]], Array]] = {
    "gaussian": lambda eta, d: eta,
    "student_t": lambda eta, d: eta,
    "lognormal": lambda eta, d: np.exp(eta + d["sigma"] ** 2 / 2),
    "gamma": lambda eta, d: np.exp(eta),
    "poisson": lambda eta, d: np.exp(eta),
    "negative_binomial": lambda eta, d: np.exp(eta),
    "bernoulli": lambda eta, d: expit(eta),
    "beta": lambda eta, d: expit(eta),
}
DRAW: dict[str, Callable[[Rng, Array, Mapping[str, float]], Array]] = {
    "gaussian": lambda r, eta, d: r.normal(eta, d["sigma"]),
    "student_t": lambda r, eta, d: eta + d["sigma"] * r.standard_t(d["nu"], eta.shape),
    "lognormal": lambda r, eta, d: r.lognormal(eta, d["sigma"]),
    "gamma": lambda r, eta, d: r.gamma(d["alpha"], np.exp(eta) / d["alpha"]),
    "poisson": lambda r, eta, d: r.poisson(np.exp(eta)).astype(float),
    "negative_binomial": lambda r, eta, d: r.negative_binomial(
        d["alpha"], d["alpha"] / (d["alpha"] + np.exp(eta))
    ).astype(float),
    "bernoulli": lambda r, eta, d: (r.uniform(size=eta.shape) < expit(eta)).astype(float),
    "beta": lambda r, eta, d: r.beta(expit(eta) * d["phi"], expit(-eta) * d["phi"]),
}


# --- One equation -------------------------------------------------------------------------------


def numbers(p: int, correlation: float = 0.4, mean: float = 0.0) -> Callable[[Rng, int], Any]:
    """Return what draws p columns that share a correlation."""
    names = [chr(ord("a") + j) for j in range(p)]

    def columns(r: Rng, n: int) -> pd.DataFrame:
        common = r.normal(size=(n, 1))
        own = r.normal(size=(n, p))
        values = mean + np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
        return pd.DataFrame(values, columns=names)

    return columns


def as_they_are(X: pd.DataFrame) -> Callable[[pd.DataFrame], Array]:
    return lambda rows: rows.to_numpy(dtype=float)


def by_transformer(make: Callable[[], Any]) -> Callable[[pd.DataFrame], Any]:
    """Return what fits a scikit-learn transformer to the columns, and applies it to rows."""

    def fitted(X: pd.DataFrame) -> Callable[[pd.DataFrame], Array]:
        return make().fit(X).transform

    return fitted


def treatment(X: pd.DataFrame) -> Callable[[pd.DataFrame], Array]:
    """A number a, and a column g of levels u, v, w, the first of which is the reference."""
    return lambda rows: np.column_stack(
        [rows["a"].to_numpy(float), rows["g"] == "v", rows["g"] == "w"]
    ).astype(float)


@dataclass(frozen=True)
class Regression:
    """One equation: y ~ family(intercept + (terms - their means) @ beta, dispersion).

    Attributes
    ----------
    beta, scale : Known
        The prior of the coefficients; with a scale they are that many times as large.
    merge : bool
        Whether equal rows become one row of more weight. Outcomes are rounded to a tenth then,
        which adds to a variance of about one less than a thousandth.
    """

    n: int
    columns: Callable[[Rng, int], pd.DataFrame]
    family: str = "gaussian"
    beta: Known = field(default_factory=lambda: normal(0, 1))
    intercept: Known | None = field(default_factory=lambda: normal(0, 2))
    dispersion: Mapping[str, Known] = field(default_factory=lambda: {"sigma": half_t(4, 1)})
    terms: Callable[[pd.DataFrame], Callable[[pd.DataFrame], Array]] = as_they_are
    centered: bool = True
    scale: Known | None = None
    merge: bool = False

    def __call__(self, r: Rng) -> Simulated:
        X = self.columns(r, self.n)
        matrix = self.terms(X)
        T = matrix(X)
        others = {name: float(known.draw(r, None)) for name, known in self.dispersion.items()}
        parameters: dict[str, Any] = {f"y_{name}": value for name, value in others.items()}
        beta = self.beta.draw(r, T.shape[1])
        if self.scale is not None:
            parameters["y_beta_sigma"] = tau = float(self.scale.draw(r, None))
            beta = tau * beta
        at_zero = 0.0
        if self.intercept is not None:
            at_zero = float(self.intercept.draw(r, None))
            if self.centered:
                at_zero -= float(T.mean(axis=0) @ beta)
            parameters["y_intercept"] = at_zero
        parameters["y_beta"] = beta
        y = DRAW[self.family](r, at_zero + T @ beta, others)
        weights = None
        if self.merge:
            X, y, weights = equal_rows_merged(X, np.round(y, 1))
        return seen(X, y, self.family, matrix, at_zero, beta, others, parameters, weights)

    @property
    def settings(self) -> dict[str, Any]:
        priors: dict[str, Any] = {name: known.told for name, known in self.dispersion.items()}
        priors["beta"] = self.beta.told
        if self.scale is not None:
            priors["beta"] = Prior("Normal", mu=0, sigma=self.scale.told)
        if self.intercept is not None:
            priors["intercept"] = self.intercept.told
        return {
            "family": self.family,
            "priors": priors,
            "fit_intercept": self.intercept is not None,
            "center_predictors": self.centered,
        }


def seen(
    X: pd.DataFrame,
    y: Array,
    family: str,
    matrix: Callable[[pd.DataFrame], Array],
    at_zero: float,
    beta: Array,
    others: Mapping[str, float],
    parameters: Mapping[str, Any],
    weights: Array | None = None,
) -> Simulated:
    """Return data of one equation, and what its truth says of column a forced."""

    def eta(value: Any) -> Array:
        return at_zero + matrix(X.assign(a=value)) @ beta

    return Simulated(
        X,
        y,
        parameters,
        lambda value: MEAN[family](eta(value), others),
        lambda r, value: DRAW[family](r, eta(value), others),
        weights,
    )


def equal_rows_merged(X: pd.DataFrame, y: Array) -> tuple[pd.DataFrame, Array, Array]:
    """Return distinct rows, their outcomes, and how often each was there."""
    grouped = X.assign(outcome=y).groupby([*X, "outcome"]).size()
    table = grouped.rename("times").reset_index()
    return table[list(X)], table["outcome"].to_numpy(), table["times"].to_numpy(float)


def two_valued(r: Rng, n: int) -> pd.DataFrame:
    return pd.DataFrame(r.integers(0, 2, size=(n, 2)).astype(float), columns=["a", "b"])


def with_levels(levels: str) -> Callable[[Rng, int], pd.DataFrame]:
    """Return what draws a number a and a column g whose levels are all there."""

    def columns(r: Rng, n: int) -> pd.DataFrame:
        g = np.concatenate([list(levels), r.choice(list(levels), n - len(levels))])
        return pd.DataFrame({"a": r.normal(size=n), "g": pd.Categorical(g)})

    return columns


@dataclass(frozen=True)
class Fixed:
    """One truth for all data sets; the priors are flat, and that of sigma is 1/sigma.

    Ranks are uniform all the same: for the group of shifts and scales this prior matches
    frequentist coverage exactly (Severini, Mukerjee and Ghosh 2002, Biometrika 89:952).
    """

    n: int

    def __call__(self, r: Rng) -> Simulated:
        X, beta = numbers(3)(r, self.n), np.array([1.0, -0.5, 0.0])
        parameters = {"y_intercept": 2.0, "y_beta": beta, "y_sigma": 0.7}
        y = r.normal(2.0 + X.to_numpy() @ beta, 0.7)
        matrix = as_they_are(X)
        return seen(X, y, "gaussian", matrix, 2.0, beta, {"sigma": 0.7}, parameters)

    settings: Mapping[str, Any] = field(
        default_factory=lambda: {
            "priors": {
                "beta": Prior("Flat"),
                "intercept": Prior("Flat"),
                "sigma": Prior("InverseGamma", alpha=1e-4, beta=1e-4),
            }
        }
    )


@dataclass(frozen=True)
class Standardised:
    """Data whose prior takes its scale from them.

    Such a prior is one prior only among data sets of one mean and standard deviation of y. Draws
    are calibrated given the data, so also among the data sets that are of mean 0 (where it
    matters) and standard deviation 1: these are kept, to within 2 and 5 percent of the latter.

    Attributes
    ----------
    beta : callable
        From (generator, candidates, standard deviations of the terms, sigma of each candidate) to
        true parameters by name, one row a candidate; the coefficients are ``"y_beta"``.
    priors : dict
        What the estimator is told of them.
    batch : int
        How many candidates are drawn at a time.
    by_mean : bool
        Whether the prior of the intercept takes its mean from the data too.
    """

    n: int
    columns: Callable[[Rng, int], pd.DataFrame]
    beta: Callable[[Rng, int, Array, Array], dict[str, Array]]
    priors: Any
    terms: Callable[[pd.DataFrame], Callable[[pd.DataFrame], Array]] = as_they_are
    by_mean: bool = False
    batch: int = 1000

    def __call__(self, r: Rng) -> Simulated:
        X = self.columns(r, self.n)
        matrix = self.terms(X)
        T = matrix(X)
        center = T.mean(axis=0)
        while True:
            sigma = half_t(4, 1).draw(r, self.batch)
            found = self.beta(r, self.batch, T.std(axis=0), sigma)
            middle = r.normal(0, 2.5, self.batch)
            y = middle[:, None] + found["y_beta"] @ (T - center).T
            y += sigma[:, None] * r.normal(size=y.shape)
            kept = np.abs(y.std(axis=1) - 1) < 0.02
            if self.by_mean:
                kept &= np.abs(y.mean(axis=1)) < 0.05
            if kept.any():
                break
        k = int(np.argmax(kept))
        parameters = {name: values[k] for name, values in found.items()}
        beta = parameters["y_beta"]
        at_zero = float(middle[k] - center @ beta)
        parameters |= {"y_sigma": sigma[k], "y_intercept": at_zero}
        others = {"sigma": float(sigma[k])}
        return seen(X, y[k], "gaussian", matrix, at_zero, beta, others, parameters)

    @property
    def settings(self) -> dict[str, Any]:
        if self.by_mean:
            return {}
        known = {"intercept": normal(0, 2.5).told, "sigma": half_t(4, 1).told}
        return {"priors": known | self.priors}


def default_beta(r: Rng, size: int, x_scale: Array, sigma: Array) -> dict[str, Array]:
    return {"y_beta": r.normal(0, 2.5, (size, len(x_scale))) / x_scale}


def ridge_beta(r: Rng, size: int, x_scale: Array, sigma: Array) -> dict[str, Array]:
    tau = np.abs(r.standard_cauchy(size))
    beta = tau[:, None] * r.normal(size=(size, len(x_scale))) / x_scale
    return {"y_beta": beta, "y_beta_tau": tau}


def horseshoe_beta(n: int) -> Callable[..., dict[str, Array]]:
    """Piironen and Vehtari (2017), equation 2.8: one effect expected, slab t(4) of scale 2."""

    def beta(r: Rng, size: int, x_scale: Array, sigma: Array) -> dict[str, Array]:
        p = len(x_scale)
        tau = np.abs(r.standard_cauchy(size)) * sigma / (p - 1) / np.sqrt(n)
        local = tau[:, None] * np.abs(r.standard_cauchy((size, p)))
        slab = inverse_gamma(2, 8).draw(r, size)
        scale = local / np.sqrt(1 + local**2 / slab[:, None])
        drawn = scale * r.normal(size=(size, p)) / x_scale
        return {"y_beta": drawn, "y_beta_tau": tau, "y_beta_slab": slab}

    return beta


def r2d2_beta(r: Rng, size: int, x_scale: Array, sigma: Array) -> dict[str, Array]:
    """Zhang et al. (2022): R² uniform, its parts Dirichlet(1/2)."""
    share, parts = r.uniform(size=size), r.dirichlet(np.full(len(x_scale), 0.5), size)
    scale = (sigma * np.sqrt(share / (1 - share)))[:, None] * np.sqrt(parts) / x_scale
    return {"y_beta": scale * r.normal(size=scale.shape), "y_beta_r2": share}


# --- Graphs -------------------------------------------------------------------------------------

BETA, LEVEL, NOISE = normal(0, 1), normal(0, 2), gamma(4, 4)
TOLD = {"beta": BETA.told, "intercept": LEVEL.told, "sigma": NOISE.told}


@dataclass(frozen=True)
class Graph:
    """Linear Gaussian equations over columns a, m, c: who enters m's and y's.

    Attributes
    ----------
    graph : str
        What the estimator is told.
    of_m : tuple of str
        The causes of m.
    of_y : tuple of str
        What y is regressed on.
    held : tuple of str
        Those among them that an intervention on a leaves at the row's own value: what stands for
        an unobserved cause.
    """

    n: int
    graph: str
    of_m: tuple[str, ...]
    of_y: tuple[str, ...]
    held: tuple[str, ...] = ()

    def __call__(self, r: Rng) -> Simulated:
        c = r.normal(size=self.n)
        X = pd.DataFrame({"a": 0.7 * c + r.normal(size=self.n), "c": c})
        parameters: dict[str, Any] = {}
        truth: dict[str, tuple[dict[str, float], float, float]] = {}
        for node, causes in (("m", self.of_m), ("y", self.of_y)):
            beta = BETA.draw(r, len(causes))
            sigma = float(NOISE.draw(r, None))
            middle = float(LEVEL.draw(r, None))
            at_zero = middle - float(X[list(causes)].mean() @ beta)
            values = at_zero + X[list(causes)].to_numpy() @ beta + sigma * r.normal(size=self.n)
            X = X.assign(**{node: values})
            truth[node] = (dict(zip(causes, beta, strict=True)), at_zero, sigma)
            parameters |= {f"{node}_intercept": at_zero, f"{node}_sigma": sigma}
        y = X.pop("y").to_numpy()
        X = X[["a", "m", "c"]] if "c" in self.graph else X[["a", "m"]]
        for node, (slopes, _, _) in truth.items():  # in the order of the columns
            parameters[f"{node}_beta"] = np.array([slopes[c] for c in X if c in slopes])

        def under(node: str, rows: pd.DataFrame, noise: Any) -> Array:
            slopes, at_zero, sigma = truth[node]
            of = X if node == "y" else rows
            factual = {c: of[c] if c in self.held else rows[c] for c in slopes}
            return (
                at_zero
                + sum(b * factual[c].to_numpy() for c, b in slopes.items())
                + (sigma * noise)
            )

        def forced(value: Any, noise: tuple[Any, Any]) -> Array:
            rows = X.assign(a=value)
            rows["m"] = under("m", rows, noise[0])
            return under("y", rows, noise[1])

        return Simulated(
            X,
            y,
            parameters,
            lambda value: forced(value, (0.0, 0.0)),
            lambda r, value: forced(value, (r.normal(size=self.n), r.normal(size=self.n))),
        )

    @property
    def settings(self) -> dict[str, Any]:
        return {"graph": self.graph, "priors": {"m": TOLD, "y": TOLD}}


@dataclass(frozen=True)
class Confounded:
    """c -> a -> y <- c: a has an equation too, which forcing it cuts."""

    n: int

    def __call__(self, r: Rng) -> Simulated:
        c = r.normal(size=self.n)
        slope, sigma = float(BETA.draw(r, None)), float(NOISE.draw(r, None))
        at_zero = float(LEVEL.draw(r, None)) - c.mean() * slope
        a = at_zero + slope * c + sigma * r.normal(size=self.n)
        X = pd.DataFrame({"a": a, "c": c})
        beta, noise = BETA.draw(r, 2), float(NOISE.draw(r, None))
        level = float(LEVEL.draw(r, None)) - float(X.to_numpy().mean(axis=0) @ beta)
        y = r.normal(level + X.to_numpy() @ beta, noise)
        parameters = {"y_intercept": level, "y_beta": beta, "y_sigma": noise}
        return seen(X, y, "gaussian", as_they_are(X), level, beta, {"sigma": noise}, parameters)

    @property
    def settings(self) -> dict[str, Any]:
        return {"graph": "c -> a -> y <- c", "priors": TOLD}


@dataclass(frozen=True)
class CategoricalMediator:
    """a -> m -> y <- a, where m is one of three levels."""

    n: int

    def __call__(self, r: Rng) -> Simulated:
        a = r.normal(size=self.n)
        of_m, middle = BETA.draw(r, 2), r.normal(0, 1, 2)
        levels = middle - a.mean() * of_m

        def chances(value: Any) -> Array:
            scores = np.exp(levels + np.outer(np.broadcast_to(value, self.n), of_m))
            every = np.column_stack([np.ones(self.n), scores])
            return every / every.sum(axis=1, keepdims=True)

        def drawn(r: Rng, value: Any) -> Array:
            return (r.uniform(size=(self.n, 1)) > chances(value).cumsum(axis=1)).sum(axis=1)

        m = drawn(r, a)
        X = pd.DataFrame({"a": a, "m": pd.Categorical.from_codes(m, ["u", "v", "w"])})
        T = np.column_stack([a, m == 1, m == 2])
        beta, sigma = BETA.draw(r, 3), float(NOISE.draw(r, None))
        at_zero = float(LEVEL.draw(r, None)) - float(T.mean(axis=0) @ beta)
        y = r.normal(at_zero + T @ beta, sigma)
        by_level = np.array([0.0, beta[1], beta[2]])

        def new(r: Rng, value: Any) -> Array:
            return r.normal(at_zero + beta[0] * value + by_level[drawn(r, value)], sigma)

        return Simulated(
            X,
            y,
            {
                "m_intercept": levels,
                "m_beta": of_m,
                "y_intercept": at_zero,
                "y_beta": beta,
                "y_sigma": sigma,
            },
            lambda value: at_zero + beta[0] * value + chances(value) @ by_level,
            new,
        )

    @property
    def settings(self) -> dict[str, Any]:
        of_m = {"beta": BETA.told, "intercept": Prior("Normal", mu=0, sigma=1)}
        return {
            "graph": "a -> m -> y; a -> y",
            "priors": {"m": of_m, "y": TOLD},
            "inference": "laplace",
        }


# --- All of them --------------------------------------------------------------------------------

NODES = (
    "logs of scales, lengths and sigma are Gaussian around their mode (Laplace), by 16 nodes; "
    "coefficients are exact given these"
)
LAPLACE = (
    "Laplace is a Gaussian at the mode: exact where the posterior is one, nearly so with many rows"
)

DISPERSION: dict[str, dict[str, Known]] = {
    "gaussian": {"sigma": half_normal(1)},
    "student_t": {"sigma": half_normal(1), "nu": gamma(4, 0.5)},
    "lognormal": {"sigma": half_normal(1)},
    "gamma": {"alpha": log_normal(1, 0.7)},
    "poisson": {},
    "negative_binomial": {"alpha": log_normal(1, 0.7)},
    "bernoulli": {},
    "beta": {"phi": log_normal(2, 0.7)},
}


def of_family(family: str, n: int, p: int = 2) -> Regression:
    return Regression(
        n,
        numbers(p),
        family,
        beta=normal(0, 0.5),
        intercept=normal(0.5, 0.5),
        dispersion=DISPERSION[family],
    )


def scenarios() -> list[Scenario]:
    """Return every scenario."""
    found: list[Scenario] = []

    def add(name: str, about: str, what: Any, simulations: int, **more: Any) -> None:
        engine = more.pop("inference", None)
        settings = dict(what.settings) | more.pop("settings", {})
        if engine is not None:
            settings["inference"] = engine
        found.append(Scenario(name, about, what, settings, simulations, **more))

    three = numbers(3)
    fixed = Regression(20, three)
    add("Normal, of fixed width", "Priors", fixed, 2000)
    add(
        "wide",
        "Priors",
        Regression(20, three, "gaussian", normal(0, 30), normal(0, 30), {"sigma": half_normal(3)}),
        1000,
    )
    add(
        "shifted, InverseGamma sigma",
        "Priors",
        Regression(
            20, three, "gaussian", normal(2, 0.5), normal(-3, 1), {"sigma": inverse_gamma(3, 2)}
        ),
        1000,
    )
    away = numbers(3, mean=4.0)
    add("intercept at zero", "Priors", Regression(20, away, centered=False), 1000)
    add("no intercept", "Priors", Regression(20, three, intercept=None), 1000)
    add(
        "default, scaled by the data",
        "Priors",
        Standardised(20, numbers(2), default_beta, None, by_mean=True, batch=20_000),
        1000,
    )
    add("flat, one truth", "Priors", Fixed(12), 2000)
    add("learnt scale", "Priors", Regression(20, numbers(5), scale=half_normal(1)), 1000)
    add("`ridge`", "Priors", Standardised(20, numbers(5), ridge_beta, {"beta": "ridge"}), 1000)
    for n, p, simulations in ((5, 2, 2000), (20, 5, 1000), (200, 5, 1000), (2000, 5, 500)):
        add(f"n = {n}, p = {p}", "Sizes", Regression(n, numbers(p)), simulations)
    add("n = 8, p = 15", "Sizes", Regression(8, numbers(15)), 1000)
    known = {"sigma": gamma(20, 20)}
    merged = Regression(200, two_valued, dispersion=known, merge=True)
    add("200 rows, equal ones merged", "Weights", merged, 1000, low=0.0)
    zeros = Regression(100, two_valued, "bernoulli", normal(0, 1), normal(0, 1), {}, merge=True)
    add(
        "100 zeros and ones, merged",
        "Weights",
        zeros,
        500,
        low=0.0,
        inference="laplace",
        approximate=LAPLACE,
    )
    spline = by_transformer(lambda: SplineTransformer(n_knots=4, include_bias=False))
    add(
        "spline",
        "Designs",
        Regression(40, numbers(1), terms=spline),
        1000,
        settings={"design": SplineTransformer(n_knots=4, include_bias=False)},
        low=-0.5,
        high=0.5,
    )
    products = by_transformer(lambda: PolynomialFeatures(2, include_bias=False))
    add(
        "squares and interactions",
        "Designs",
        Regression(40, numbers(2), terms=products),
        1000,
        settings={"design": PolynomialFeatures(2, include_bias=False)},
    )
    add("levels", "Designs", Regression(40, with_levels("uvw"), terms=treatment), 1000)
    add("mediator", "Graphs", Graph(30, "a -> m -> y; a -> y", ("a",), ("a", "m")), 1000)
    add(
        "front door",
        "Graphs",
        Graph(30, "a -> m -> y; a <-> y", ("a",), ("a", "m"), held=("a",)),
        1000,
    )
    add(
        "two causes of a mediator",
        "Graphs",
        Graph(30, "a -> m; c -> m; m -> y; c -> y", ("a", "c"), ("c", "m")),
        1000,
    )
    add("confounder adjusted for", "Graphs", Confounded(30), 1000)
    add("mediator of three levels", "Graphs", CategoricalMediator(200), 300, approximate=LAPLACE)
    for family in DISPERSION:
        by_laplace = family not in ("gaussian", "lognormal")
        add(
            f"{family}, n = 100",
            "Families",
            of_family(family, 100),
            400 if by_laplace else 1000,
            inference="laplace" if by_laplace else "exact",
            approximate=LAPLACE if by_laplace else "",
        )
    for family in ("student_t", "negative_binomial", "bernoulli"):
        add(f"{family}, n = 50", "NUTS", of_family(family, 50), 150, inference="nuts")
    add("gaussian, n = 20", "NUTS", fixed, 200, inference="nuts")
    add(
        "`r2d2`, n = 20, p = 5",
        "NUTS",
        Standardised(20, numbers(5), r2d2_beta, {"beta": "r2d2"}),
        150,
        inference="nuts",
        draws=1000,
    )
    add(
        "`horseshoe`, n = 20, p = 5",
        "NUTS",
        Standardised(20, numbers(5), horseshoe_beta(20), {"beta": "horseshoe"}),
        150,
        inference="nuts",
        draws=1000,
    )
    from benchmarks.calibration_uncompiled import uncompiled

    for name, what, simulations in uncompiled():
        add(name, "Without compiling", what, simulations, inference="auto")
    alike = Regression(50, numbers(3, correlation=0.8))
    add(
        "gaussian, n = 50, by Laplace",
        "Approximations",
        alike,
        400,
        inference="laplace",
        approximate=LAPLACE,
    )
    from benchmarks.calibration_groups import grouped

    for name, what in grouped():
        add(name, "Groups", what, 1000)
    from benchmarks.calibration_smooth import Bent

    of = {"column": "t", "low": 0.0, "approximate": NODES}
    add("`smooth`, n = 40", "Surfaces", Bent(40), 300, **of)
    return found
