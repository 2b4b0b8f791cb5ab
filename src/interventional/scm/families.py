"""Families: how a node is distributed around what its equation has for it.

Each is a record in `FAMILIES`, which holds all that the package knows of it: the link, the
parameters besides the linear predictor and their default priors, the support, the distribution in
PyMC and the same in NumPy. Adding a family is adding a record.

The linear predictor is called ``eta``, what comes of it by the inverse of the link ``mu``, and the
other parameters by their names in a mapping.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit, gammaln, xlog1py, xlogy

from interventional.errors import unknown
from interventional.numbers import Floats
from interventional.scm import likelihoods
from interventional.scm.links import IDENTITY, LOG, LOGIT, Link, same

Dispersion = Mapping[str, Any]
# A prior as a distribution of PyMC and its numbers; that of sigma is for an outcome of unit scale.
Default = tuple[str, Mapping[str, float]]


STUDENT_T = "student_t"


@dataclass(frozen=True)
class Family:
    """One family of distributions.

    Attributes
    ----------
    name : str
        What it is called.
    link : Link
        From the expected outcome to the linear predictor.
    distribution : str
        The name of the distribution in PyMC.
    parameters : callable
        From (eta, mu, dispersion) to the parameters of that distribution; the same for arrays and
        tensors.
    dispersion : mapping
        Names of the other parameters, and their default priors.
    support : str
        What values it takes, in words.
    takes : callable
        Which of the values these are.
    variance : callable
        From (expected outcome, dispersion) to the variance of an outcome.
    log_density : callable
        From (y, eta, mu, dispersion) to the log density or probability of an outcome.
    sample : callable
        From (rng, eta, mu, dispersion) to outcomes.
    discrete : bool
        Whether outcomes are whole numbers.
    inner : callable or None
        What makes the outcome Gaussian, so that inference is that of the Gaussian family; None for
        families that are something else.
    noise : {"additive", "multiplicative", None}
        How the noise of an outcome can be taken off it and put on another expectation: None where
        the data do not tell what the noise was.
    likelihood : Likelihood or None
        The log likelihood in closed form, with its derivatives; None where inference is that of
        the Gaussian family.
    """

    name: str
    link: Link
    distribution: str
    parameters: Callable[[Any, Any, Dispersion], dict[str, Any]] = field(repr=False)
    dispersion: Mapping[str, Default] = field(repr=False)
    support: str
    takes: Callable[[Floats], NDArray[np.bool_]] = field(repr=False)
    variance: Callable[[Floats, Dispersion], Floats] = field(repr=False)
    log_density: Callable[[Floats, Floats, Floats, Dispersion], Floats] = field(repr=False)
    sample: Callable[[Generator, Floats, Floats, Dispersion], NDArray[Any]] = field(repr=False)
    discrete: bool = False
    inner: Callable[[Floats], Floats] | None = field(default=None, repr=False)
    noise: Literal["additive", "multiplicative"] | None = None
    likelihood: likelihoods.Likelihood | None = field(default=None, repr=False)
    of_levels: ClassVar[bool] = False  # whether a node is a column of levels or bools

    @property
    def mean_needs(self) -> tuple[str, ...]:
        """The parameters besides eta on which the expected outcome depends."""
        return ("sigma",) if self.name == "lognormal" else ()

    @property
    def is_gaussian(self) -> bool:
        """Whether outcomes are Gaussian as they are."""
        return self.inner is same

    @property
    def may_be_overdispersed(self) -> bool:
        """Whether it is of counts, and their variance has no parameter of its own."""
        return self.may_count_exposure and not self.dispersion

    @property
    def may_count_exposure(self) -> bool:
        """Whether an outcome is a count over some exposure, in proportion to it."""
        return self.discrete and self.link is LOG

    def mean(self, eta: Floats, dispersion: Dispersion) -> Floats:
        """Return the expected outcome."""
        return self.link.inverse(self._toward_mean(eta, dispersion))

    def mean_tensor(self, eta: Any, dispersion: Dispersion) -> Any:
        """Return the expected outcome as a tensor."""
        return self._inverse_tensor(self._toward_mean(eta, dispersion))

    def variable(self, name: str, eta: Any, dispersion: Dispersion, **dims: Any) -> Any:
        """Add a node of this family to the PyMC model in context."""
        import pymc as pm

        parameters = self.parameters(eta, self._inverse_tensor(eta), dispersion)
        return getattr(pm, self.distribution)(name, **parameters, **dims)

    def drawn(self, name: str, eta: Any, dispersion: Dispersion, dims: str) -> Any:
        """Add such a node that is there to be drawn, and not to be observed."""
        return self.variable(name, eta, dispersion, dims=dims)

    def log_density_tensor(self, y: Any, eta: Any, dispersion: Dispersion) -> Any:
        """Return the log density of outcomes as a tensor."""
        import pymc as pm

        parameters = self.parameters(eta, self._inverse_tensor(eta), dispersion)
        return pm.logp(getattr(pm, self.distribution).dist(**parameters), y)

    def check(self, values: Floats, where: str) -> None:
        """Refuse values that are not in the support.

        Parameters
        ----------
        values : ndarray of shape (n,)
            The outcome.
        where : str
            What it is called, for messages.
        """
        strays = ~self.takes(values)
        if strays.any():
            row = int(np.argmax(strays))
            distinct = len(np.unique(values))
            several = f", of {distinct} distinct values" if self is FAMILIES["bernoulli"] else ""
            raise ValueError(
                f"family={self.name!r} takes {self.support}; {where} holds {values[row]:g} in "
                f"row {row}{several}"
            )

    def typical(self, values: Floats, weights: Floats | None, exposure: Floats | None) -> float:
        """Return the linear predictor of a typical outcome, where the intercept's prior holds.

        Half an event more than there were, and half a failure, keep it finite.
        """
        n = float(len(values) if weights is None else weights.sum())
        total = float(values.sum() if weights is None else values @ weights)
        if exposure is not None:
            n = float(exposure.sum() if weights is None else exposure @ weights)
        if self.discrete:
            total += 0.5
            n += 1.0 if self.link is LOGIT else 0.0
        return float(self.link.forward(np.asarray(total / n)))

    def pseudo_sigma(self, eta: float) -> float:
        """Return what sigma is to a Gaussian outcome: what one row tells of its eta, inverted.

        The root of the outcome's variance over the slope of the inverse link (Piironen and Vehtari
        2017, section 3.5), other parameters at the medians of their default priors.
        """
        mu = self.link.inverse(np.asarray(eta))
        slope = mu * (1 - mu) if self.link is LOGIT else mu
        typical = {name: np.exp(prior["mu"]) for name, (_, prior) in self.dispersion.items()}
        return float(np.sqrt(self.variance(mu, typical)) / slope)

    def residual(self, observed: Any, mean: Any) -> Any:
        """Return the noise of an outcome: what it is beside what was expected."""
        return observed / mean if self.noise == "multiplicative" else observed - mean

    def with_residual(self, mean: Any, residual: Any) -> Any:
        """Return the outcome that has a noise beside an expectation; tensors too."""
        return mean * residual if self.noise == "multiplicative" else mean + residual

    def codes(self, levels: Sequence[Any]) -> range:
        """Return the few values that a node may take; nothing where they are not few."""
        return range(0)

    def _toward_mean(self, eta: Any, dispersion: Dispersion) -> Any:
        return eta + dispersion["sigma"] ** 2 / 2 if self.mean_needs else eta

    def _inverse_tensor(self, eta: Any) -> Any:
        import pytensor.tensor as pt

        return getattr(pt, self.link.tensor)(eta) if self.link.tensor else eta


@dataclass(frozen=True)
class Binary(Family):
    """The family of 0 and 1."""

    def log_density_tensor(self, y: Any, eta: Any, dispersion: Dispersion) -> Any:
        """Return the log probability of outcomes as a tensor."""
        import pytensor.tensor as pt

        return y * eta - pt.softplus(eta)

    def codes(self, levels: Sequence[Any]) -> range:
        """Return the two values that a node may take."""
        return range(2)


@dataclass(frozen=True)
class Levels(Binary):
    """The family of a column of levels or bools, by their codes 0, 1, ….

    Two levels are 0 and 1, with the log-odds of the second for eta, (n,). Of more levels eta are
    those of each but the first against the first, (n, levels - 1), and tensors only: what is for
    arrays serves outcomes, and no column of levels is one.
    """

    of_levels: ClassVar[bool] = True

    def mean_tensor(self, eta: Any, dispersion: Dispersion) -> Any:
        """Return the probability of the second of two levels, or those of all, (n, levels)."""
        import pytensor.tensor as pt

        if eta.ndim == 1:
            return super().mean_tensor(eta, dispersion)
        return pt.special.softmax(_against_first(eta), axis=1)

    def variable(self, name: str, eta: Any, dispersion: Dispersion, **dims: Any) -> Any:
        """Add a node of this family to the PyMC model in context."""
        import pymc as pm

        if eta.ndim == 1:
            return super().variable(name, eta, dispersion, **dims)
        return pm.Categorical(name, logit_p=_against_first(eta), **dims)

    def drawn(self, name: str, eta: Any, dispersion: Dispersion, dims: str) -> Any:
        """Add a node that is there to be drawn: the level whose score is the largest.

        PyTensor draws a Categorical in a Python loop.
        """
        import pymc as pm
        import pytensor.tensor as pt

        if eta.ndim == 1:
            return super().drawn(name, eta, dispersion, dims)
        log_p = pt.log(self.mean_tensor(eta, dispersion))
        scores = pm.Gumbel(f"{name}_score", log_p, 1.0, dims=(dims, f"{name}_level"))
        return pm.Deterministic(name, pt.argmax(scores, axis=1), dims=dims)

    def log_density_tensor(self, y: Any, eta: Any, dispersion: Dispersion) -> Any:
        """Return the log probability of codes as a tensor."""
        import pytensor.tensor as pt

        if eta.ndim == 1:
            return super().log_density_tensor(y, eta, dispersion)
        scores = _against_first(eta)
        own = pt.eq(y[:, None], np.arange(scores.type.shape[1]))
        return (own * pt.special.log_softmax(scores, axis=1)).sum(axis=1)

    def typical(self, values: Floats, weights: Floats | None, exposure: Floats | None) -> float:
        """Return the log-odds where the intercept's prior holds: even ones."""
        return 0.0

    def codes(self, levels: Sequence[Any]) -> range:
        """Return the values that a node may take."""
        return range(len(levels))


def _against_first(eta: Any) -> Any:
    """Return log-odds with those of the first level, which are 0."""
    import pytensor.tensor as pt

    return pt.concatenate([pt.zeros_like(eta[:, :1]), eta], axis=1)


def _whole(y: Floats) -> NDArray[np.bool_]:
    return np.asarray((y >= 0) & (y == np.floor(y)) & (y <= _LAST_WHOLE))


def _counts(rng: Generator, rate: Floats) -> Floats:
    """Return Poisson counts; beyond what NumPy draws the rate, beside which its noise is none."""
    drawn = rng.poisson(np.minimum(rate, _MANY))
    return np.where(rate < _MANY, drawn, np.floor(rate))


_SIGMA: Default = ("HalfStudentT", {"nu": 4, "sigma": 1.0})  # in standard deviations of y
_TINY = 1e-300
_NEARLY_ONE = float(np.nextafter(1.0, 0.0))
_MANY = 1e18
_LAST_WHOLE = 2.0**53  # of the floats that have neighbours one away
_LOG_2PI = float(np.log(2 * np.pi))

_BERNOULLI: Mapping[str, Any] = {
    "link": LOGIT,
    "distribution": "Bernoulli",
    "parameters": lambda eta, mu, d: {"p": mu},
    "dispersion": {},
    "variance": lambda mean, d: mean * (1 - mean),
    "log_density": lambda y, eta, mu, d: y * eta - np.logaddexp(0, eta),
    "sample": lambda rng, eta, mu, d: (rng.uniform(size=mu.shape) < mu).astype(np.float64),
    "discrete": True,
    "likelihood": likelihoods.OF_ZERO_ONE,
}
_RECORDS = (
    Family(
        name="gaussian",
        link=IDENTITY,
        distribution="Normal",
        parameters=lambda eta, mu, d: {"mu": mu, "sigma": d["sigma"]},
        dispersion={"sigma": _SIGMA},
        support="numbers",
        takes=lambda y: np.ones(y.shape, dtype=bool),
        variance=lambda mean, d: d["sigma"] ** 2 + np.zeros_like(mean),
        log_density=lambda y, eta, mu, d: (
            -0.5 * ((y - mu) / d["sigma"]) ** 2 - np.log(d["sigma"]) - 0.5 * _LOG_2PI
        ),
        sample=lambda rng, eta, mu, d: mu + d["sigma"] * rng.standard_normal(mu.shape),
        inner=same,
        noise="additive",
    ),
    Family(
        name=STUDENT_T,
        link=IDENTITY,
        distribution="StudentT",
        parameters=lambda eta, mu, d: {"nu": d["nu"], "mu": mu, "sigma": d["sigma"]},
        # Juarez and Steel (2010): all from nearly Cauchy to nearly Normal.
        dispersion={"sigma": _SIGMA, "nu": ("Gamma", {"alpha": 2, "beta": 0.1})},
        support="numbers",
        takes=lambda y: np.ones(y.shape, dtype=bool),
        variance=lambda mean, d: (
            d["sigma"] ** 2
            * np.where(d["nu"] > 2, d["nu"] / np.where(d["nu"] > 2, d["nu"] - 2, 1.0), np.inf)
            + np.zeros_like(mean)
        ),
        log_density=lambda y, eta, mu, d: (
            gammaln((d["nu"] + 1) / 2)
            - gammaln(d["nu"] / 2)
            - 0.5 * np.log(np.pi * d["nu"])
            - np.log(d["sigma"])
            - (d["nu"] + 1) / 2 * np.log1p(((y - mu) / d["sigma"]) ** 2 / d["nu"])
        ),
        sample=lambda rng, eta, mu, d: (
            mu + d["sigma"] * rng.standard_t(np.broadcast_to(d["nu"], mu.shape))
        ),
        noise="additive",
        likelihood=likelihoods.OF_HEAVY_TAILS,
    ),
    Family(
        name="lognormal",
        link=LOG,
        distribution="LogNormal",
        parameters=lambda eta, mu, d: {"mu": eta, "sigma": d["sigma"]},
        dispersion={"sigma": _SIGMA},
        support="positive numbers",
        takes=lambda y: y > 0,
        variance=lambda mean, d: mean**2 * np.expm1(d["sigma"] ** 2),
        log_density=lambda y, eta, mu, d: (
            -0.5 * ((np.log(y) - eta) / d["sigma"]) ** 2 - np.log(d["sigma"] * y) - 0.5 * _LOG_2PI
        ),
        sample=lambda rng, eta, mu, d: np.exp(eta + d["sigma"] * rng.standard_normal(eta.shape)),
        inner=np.log,
        noise="multiplicative",
    ),
    Family(
        name="gamma",
        link=LOG,
        distribution="Gamma",
        parameters=lambda eta, mu, d: {"alpha": d["alpha"], "beta": d["alpha"] / mu},
        # The coefficient of variation is 1 / sqrt(alpha): 95% of it between 0.14 and 2.6.
        dispersion={"alpha": ("LogNormal", {"mu": 1.0, "sigma": 1.5})},
        support="positive numbers",
        takes=lambda y: y > 0,
        variance=lambda mean, d: mean**2 / d["alpha"],
        log_density=lambda y, eta, mu, d: (
            xlogy(d["alpha"], d["alpha"] * y / mu)
            - d["alpha"] * y / mu
            - gammaln(d["alpha"])
            - np.log(y)
        ),
        sample=lambda rng, eta, mu, d: np.maximum(
            mu / d["alpha"] * rng.gamma(d["alpha"], size=mu.shape), _TINY
        ),
        likelihood=likelihoods.OF_POSITIVE,
    ),
    Family(
        name="poisson",
        link=LOG,
        distribution="Poisson",
        parameters=lambda eta, mu, d: {"mu": mu},
        dispersion={},
        support="counts: whole numbers from 0 on",
        takes=_whole,
        variance=lambda mean, d: mean,
        log_density=lambda y, eta, mu, d: xlogy(y, mu) - mu - gammaln(y + 1),
        sample=lambda rng, eta, mu, d: _counts(rng, mu),
        discrete=True,
        likelihood=likelihoods.OF_COUNTS,
    ),
    Family(
        name="negative_binomial",
        link=LOG,
        distribution="NegativeBinomial",
        parameters=lambda eta, mu, d: {"mu": mu, "alpha": d["alpha"]},
        # Beside the Poisson's, noise with a coefficient of variation of 1 / sqrt(alpha).
        dispersion={"alpha": ("LogNormal", {"mu": 1.0, "sigma": 1.5})},
        support="counts: whole numbers from 0 on",
        takes=_whole,
        variance=lambda mean, d: mean + mean**2 / d["alpha"],
        log_density=lambda y, eta, mu, d: (
            gammaln(y + d["alpha"])
            - gammaln(d["alpha"])
            - gammaln(y + 1)
            + xlogy(y, mu / (mu + d["alpha"]))
            - d["alpha"] * np.log1p(mu / d["alpha"])
        ),
        sample=lambda rng, eta, mu, d: _counts(
            rng, mu / d["alpha"] * rng.gamma(d["alpha"], size=mu.shape)
        ),
        discrete=True,
        likelihood=likelihoods.OF_SPREAD_COUNTS,
    ),
    Binary(name="bernoulli", support="0 and 1", takes=lambda y: (y == 0) | (y == 1), **_BERNOULLI),
    Family(
        name="beta",
        link=LOGIT,
        distribution="Beta",
        # Far out mu is 0 or 1 to the last digit; no parameter may be 0.
        parameters=lambda eta, mu, d: {
            "alpha": mu * d["phi"] + _TINY,
            "beta": (1 - mu) * d["phi"] + _TINY,
        },
        # mu (1 - mu) / variance - 1: 95% of it between 0.4 and 140.
        dispersion={"phi": ("LogNormal", {"mu": 2.0, "sigma": 1.5})},
        support="numbers between 0 and 1, neither of them included",
        takes=lambda y: (y > 0) & (y < 1),
        variance=lambda mean, d: mean * (1 - mean) / (1 + d["phi"]),
        log_density=lambda y, eta, mu, d: (
            gammaln(d["phi"])
            - gammaln(mu * d["phi"] + _TINY)
            - gammaln(expit(-eta) * d["phi"] + _TINY)
            + xlogy(mu * d["phi"] - 1, y)
            + xlog1py(expit(-eta) * d["phi"] - 1, -y)
        ),
        # What is nearer to 0 or 1 than a number can be is no outcome.
        sample=lambda rng, eta, mu, d: np.clip(
            rng.beta(mu * d["phi"] + _TINY, expit(-eta) * d["phi"] + _TINY), _TINY, _NEARLY_ONE
        ),
        likelihood=likelihoods.OF_SHARES,
    ),
    Levels(name="categorical", support="codes", takes=_whole, **_BERNOULLI),
)
FAMILIES: Mapping[str, Family] = {record.name: record for record in _RECORDS}
DEFAULT = "gaussian"  # the family of an outcome, and of a column of numbers
ZERO_ONE = "bernoulli"  # that of a column of numbers that holds nothing but 0 and 1
# What any family has besides the coefficients; all of it positive.
DISPERSIONS = tuple(dict.fromkeys(name for record in _RECORDS for name in record.dispersion))


def adds_up(name: str, *, is_outcome: bool) -> bool:
    """Whether what the likelihood of a node sees of its rows is a sum over rows.

    A column stands in other equations as it is, so that no transform of it is summed as well.
    """
    record = FAMILIES[name]
    return record.inner is not None and (is_outcome or record.is_gaussian)


def no_batches(node: str, name: str) -> str:
    """Say why an equation does not take its rows in batches."""
    what = f"the family of {node!r} is {name!r}, whose likelihood is no sum over rows"
    if FAMILIES[name].of_levels:
        what = f"{node!r} is a column of levels that has an equation"
    return f"{what}, so that batches do not add up; call fit with all rows in memory"


def check_name(name: object, node: str) -> None:
    """Refuse what is no family."""
    if not isinstance(name, str):
        raise TypeError(
            f"the family of {node!r} must be one of {', '.join(FAMILIES)}, got {name!r}"
        )
    if name == "binomial":
        raise ValueError(
            f"unknown family 'binomial' of {node!r}: k of m trials are a row with outcome 1 and "
            "sample_weight k, and one with outcome 0 and sample_weight m - k, under 'bernoulli'"
        )
    if name not in FAMILIES:
        raise ValueError(unknown(f"family of {node!r}:", name, FAMILIES))


def of_node(given: str | None, node: str, levels: Sequence[Any], *, is_outcome: bool) -> str:
    """Return the name of a node's family: the user's, else that of what its column holds.

    Parameters
    ----------
    given : str or None
        What the user says.
    node : str
        The name of the node.
    levels : sequence
        Its levels; nothing for one of numbers.
    is_outcome : bool
        Whether it is the outcome.
    """
    if given is None:
        return "categorical" if levels else DEFAULT
    if FAMILIES[given].of_levels and not levels:
        what = "the outcome" if is_outcome else "a column of numbers"
        raise ValueError(f"family {given!r} is for columns of levels or bools; {node!r} is {what}")
    if given == "bernoulli" and len(levels) == 2:
        return "categorical"  # the same model, which knows the levels
    if levels and not FAMILIES[given].of_levels:
        raise ValueError(
            f"family {given!r} is for numbers; {node!r} is a column of levels, whose family is "
            "'categorical'"
        )
    return given
