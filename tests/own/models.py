"""Models of users' own, each with rows of a known truth, draws to ask with, and its mean.

A callable makes a skeleton: importable, so that what is fitted pickles. A `Case` has beside
it what makes rows; draws of the parameters around the truth, which are put into a fitted
model by hand; and, written in NumPy, the expected outcome given these.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
from scipy.special import expit, gamma, gammainc

from interventional import BayesianInterventionRegressor
from interventional.inference.posterior import Posterior


def michaelis(frame):
    """Velocity of an enzyme; its ceiling by state, the states as they are in the rows."""
    states = sorted(frame["state"].unique())
    with pm.Model(coords={"obs": [0], "states": states}) as model:
        conc = pm.Data("conc", np.ones(1), dims="obs")
        state = pm.Data("state", np.zeros(1, dtype=int), dims="obs")
        ceiling = pm.HalfNormal("ceiling", 300, dims="states")
        half = pm.HalfNormal("half", 0.3)
        mu = pm.Deterministic("y_mu", ceiling[state] * conc / (half + conc), dims="obs")
        pm.Normal("y", mu, pm.HalfNormal("sigma", 20), dims="obs")
    return model


def _saturated(carried, steep):
    return pm.math.tanh(steep * carried)


def shifted_adstock():
    """Marketing whose effect carries over to the seven rows after, and saturates."""
    with pm.Model(coords={"obs": [0]}) as model:
        spend = pm.Data("spend", np.zeros(1), dims="obs")
        keep = pm.Beta("keep", 2, 2)
        n = spend.shape[0]
        carried = sum(keep**lag * pt.concatenate([pt.zeros(lag), spend])[:n] for lag in range(8))
        lift = pm.HalfNormal("lift", 3) * _saturated(carried, pm.HalfNormal("steep", 1))
        pm.Normal("y", pm.Normal("base", 0, 2) + lift, pm.HalfNormal("sigma", 1), dims="obs")
    return model


def scanned_adstock():
    """Marketing whose effect carries over to all rows after, and saturates."""
    with pm.Model(coords={"obs": [0]}) as model:
        spend = pm.Data("spend", np.zeros(1), dims="obs")
        keep = pm.Beta("keep", 2, 2)
        carried = pytensor.scan(
            lambda now, before, keep: now + keep * before,
            sequences=[spend],
            outputs_info=[pt.zeros(())],
            non_sequences=[keep],
            return_updates=False,
        )
        lift = pm.HalfNormal("lift", 3) * _saturated(carried, pm.HalfNormal("steep", 1))
        pm.Normal("y", pm.Normal("base", 0, 2) + lift, pm.HalfNormal("sigma", 1), dims="obs")
    return model


def slopes():
    """Lines by store, whose intercepts and slopes vary together; of what stores, X says."""
    with pm.Model(coords={"obs": [0], "stores": ["?"], "of": ["level", "slope"]}) as model:
        price = pm.Data("price", np.zeros(1), dims="obs")
        store = pm.Data("store", np.zeros(1, dtype=int), dims="obs")
        factor, _, _ = pm.LKJCholeskyCov(
            "factor", n=2, eta=2, sd_dist=pm.HalfNormal.dist(1, shape=2)
        )
        z = pm.Normal("z", dims=("stores", "of"))
        center = pm.Normal("center", 0, 2, dims="of")
        lines = pm.Deterministic("lines", center + pt.dot(z, factor.T), dims=("stores", "of"))
        mu = lines[store, 0] + lines[store, 1] * price
        pm.Normal("y", mu, pm.HalfNormal("sigma"), dims="obs")
    return model


def hurdle():
    """Whether anything is bought, and how much of it, both of a price."""
    with pm.Model(coords={"obs": [0]}) as model:
        price = pm.Data("price", np.zeros(1), dims="obs")
        psi = pm.math.sigmoid(pm.Normal("a0") + pm.Normal("a1") * price)
        mu = pm.math.exp(pm.Normal("b0") + pm.Normal("b1") * price)
        pm.HurdlePoisson("y", psi=psi, mu=mu, dims="obs")
    return model


def zero_inflated():
    """Counts, with more zeros than there should be."""
    with pm.Model(coords={"obs": [0]}) as model:
        price = pm.Data("price", np.zeros(1), dims="obs")
        psi = pm.math.sigmoid(pm.Normal("a0") + pm.Normal("a1") * price)
        mu = pm.math.exp(pm.Normal("b0") + pm.Normal("b1") * price)
        pm.ZeroInflatedPoisson("y", psi=psi, mu=mu, dims="obs")
    return model


def grades():
    """Grades 0 to 3 of a dose."""
    with pm.Model(coords={"obs": [0]}) as model:
        dose = pm.Data("dose", np.zeros(1), dims="obs")
        ordered = pm.distributions.transforms.ordered
        cuts = pm.Normal("cuts", np.array([-1.0, 0, 1]), 2, shape=3, transform=ordered)
        slope = pm.Normal("slope", 0, 2)
        pm.OrderedLogistic("y", eta=slope * dose, cutpoints=cuts, dims="obs", compute_p=False)
    return model


def censored():
    """Times until something breaks, of which no more is seen than a limit."""
    with pm.Model(coords={"obs": [0]}) as model:
        load = pm.Data("load", np.zeros(1), dims="obs")
        limit = pm.Data("limit", np.ones(1), dims="obs")
        scale = pm.math.exp(pm.Normal("b0") + pm.Normal("b1") * load)
        times = pm.Weibull.dist(alpha=pm.HalfNormal("shape", 2), beta=scale)
        pm.Censored("y", times, lower=None, upper=limit, dims="obs")
    return model


def widening():
    """A line whose noise grows with x."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        mu = pm.Normal("b0", 0, 2) + pm.Normal("b1", 0, 2) * x
        pm.Normal("y", mu, pm.math.exp(pm.Normal("g0") + pm.Normal("g1") * x), dims="obs")
    return model


def hilbert():
    """A Gaussian process by its Hilbert space's basis."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        cov = pm.HalfNormal("eta") ** 2 * pm.gp.cov.ExpQuad(1, ls=pm.InverseGamma("ell", 5, 5))
        process = pm.gp.HSGP(m=[12], L=[4.0], cov_func=cov)
        process._X_center = np.zeros(1)
        phi, psd = process.prior_linearized(x[:, None])
        f = pt.dot(phi, pm.Normal("weights", 0, 1, shape=12) * pt.sqrt(psd) ** 2)
        pm.Normal("y", f, pm.HalfNormal("sigma"), dims="obs")
    return model


def echoing():
    """A line beside an AR(1) term that the rows have."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        start = pm.Normal.dist(0, 0.5)
        rho, sd = pm.Beta("rho", 4, 2), pm.HalfNormal("sd", 0.5)
        drift = pm.AR("drift", rho[None], sigma=sd, init_dist=start, dims="obs")
        mu = pm.Normal("base", 0, 2) + pm.Normal("slope", 0, 2) * x + drift
        pm.Normal("y", mu, pm.HalfNormal("sigma", 0.5), dims="obs")
    return model


def following():
    """An AR(1) outcome given the row before, which is a column."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        before = pm.Data("before", np.zeros(1), dims="obs")
        mu = pm.Normal("base", 0, 2) + pm.Normal("slope", 0, 2) * x + pm.Beta("rho", 2, 2) * before
        pm.Normal("y", mu, pm.HalfNormal("sigma", 0.5), dims="obs")
    return model


def funnel():
    """Traffic saturates in spend, and makes counts."""
    with pm.Model(coords={"obs": [0]}) as model:
        spend = pm.Data("spend", np.ones(1), dims="obs")
        top, half = pm.HalfNormal("top", 5), pm.HalfNormal("half", 2)
        mu = top * spend / (half + spend)
        traffic = pm.Normal("traffic", mu, pm.HalfNormal("spread", 1), dims="obs")
        pm.Poisson(
            "y", pm.math.exp(pm.Normal("k0") + pm.Normal("k1", 0, 0.5) * traffic), dims="obs"
        )
    return model


def steep_funnel():
    """Traffic whose spread grows with spend, and saturates in what it makes."""
    with pm.Model(coords={"obs": [0]}) as model:
        spend = pm.Data("spend", np.ones(1), dims="obs")
        rate, wide = pm.Normal("rate", 1, 1), pm.HalfNormal("wide", 1)
        traffic = pm.Normal("traffic", rate * spend, wide * spend, dims="obs")
        steep = pm.HalfNormal("steep", 5)
        mu = pm.HalfNormal("top", 5) * pm.math.sigmoid(steep * (traffic - 1))
        pm.Normal("y", mu, pm.HalfNormal("sigma", 1), dims="obs")
    return model


def mixed():
    """Two kinds of rows, of which nobody knows which is which; parameters by shape, no dims."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        shares, levels = (
            pm.Dirichlet("shares", np.ones(2)),
            pm.Normal("levels", [-2, 2], 1, shape=2),
        )
        mu = levels[None, :] + pm.Normal("slope") * x[:, None]
        pm.NormalMixture("y", w=shares, mu=mu, sigma=pm.HalfNormal("sigmas", shape=2), dims="obs")
    return model


def shaken():
    """Outcomes about a line and an effect that each row has of its own."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        own = pm.Normal("own", 0, pm.HalfNormal("spread", 1), dims="obs")
        pm.Poisson("y", pm.math.exp(pm.Normal("b0") + pm.Normal("b1") * x + own), dims="obs")
    return model


def bound():
    """A line whose slope a potential makes positive."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        line = pm.Normal("line", 0, 2, shape=2)
        pm.Potential("rising", -10 * pt.maximum(-line[1], 0) ** 2)
        pm.Normal("y", line[0] + line[1] * x, pm.HalfNormal("sigma"), dims="obs")
    return model


def grown():
    """Logistic growth from each row's start, twenty steps of Euler's."""
    with pm.Model(coords={"obs": [0]}) as model:
        start = pm.Data("start", np.ones(1), dims="obs")
        path = pytensor.scan(
            lambda p, rate, cap: p + 0.1 * rate * p * (1 - p / cap),
            outputs_info=[start],
            non_sequences=[pm.HalfNormal("rate"), pm.HalfNormal("cap", 5)],
            n_steps=20,
            return_updates=False,
        )
        pm.Normal("y", path[-1], pm.HalfNormal("sigma", 0.5), dims="obs")
    return model


def clicked():
    """A click, 0 or 1, on the way to counts."""
    with pm.Model(coords={"obs": [0]}) as model:
        ad = pm.Data("ad", np.zeros(1), dims="obs")
        share = pm.math.sigmoid(pm.Normal("c0") + pm.Normal("c1") * ad)
        click = pm.Bernoulli("click", share, dims="obs")
        mu = pm.math.exp(pm.Normal("b0") + pm.Normal("b1") * click + pm.Normal("b2") * ad)
        pm.Poisson("y", mu, dims="obs")
    return model


def tiered():
    """Which of three plans, of an offer; and what each is worth."""
    with pm.Model(coords={"obs": [0], "tiers": ["basic", "plus", "top"]}) as model:
        offer = pm.Data("offer", np.zeros(1), dims="obs")
        tilt = pm.Normal("tilt", 0, 1, dims="tiers")
        shares = pm.math.softmax(tilt[None, :] * offer[:, None], axis=1)
        tier = pm.Categorical("tier", shares, dims="obs")
        worth = pm.Normal("worth", 0, 3, dims="tiers")
        pm.Normal("y", worth[tier], pm.HalfNormal("sigma"), dims="obs")
    return model


def chained():
    """Two mediators one after the other, the second a count, and a way around both."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        first = pm.Normal("first", pm.Normal("a", 0, 1) * x, pm.HalfNormal("s1", 1), dims="obs")
        rate = pm.math.exp(pm.Normal("b0", 0, 1) + pm.Normal("b", 0, 0.5) * first)
        second = pm.Poisson("second", rate, dims="obs")
        mu = pm.Normal("c", 0, 1) * second + pm.Normal("d", 0, 1) * x
        pm.Normal("y", mu, pm.HalfNormal("s2", 1), dims="obs")
    return model


Draws = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A model, what makes its rows, and what it should say.

    Attributes
    ----------
    make : callable
        Returns the skeleton.
    truth : mapping
        The parameters that make rows.
    rows : callable
        From n and a generator to columns that nothing causes.
    drawn : callable
        From columns, parameters of one draw and a generator to all other columns and the outcome.
    do : mapping
        What is forced.
    mean : callable
        From columns, forced, and parameters (draws, 1) each to expected outcomes (draws, n).
    wiggle : mapping
        How far draws are from the truth, for parameters to which 10 per cent are nothing.
    """

    make: Callable[..., pm.Model]
    truth: dict[str, Any]
    rows: Callable[[int, np.random.Generator], dict[str, Any]]
    drawn: Callable[..., dict[str, Any]]
    do: dict[str, Any]
    mean: Callable[..., np.ndarray]
    closed: bool = True
    put: Callable[[Draws], Draws] = field(default=lambda draws: draws)

    def data(self, n: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
        """Return rows of the truth."""
        rng = np.random.default_rng(seed)
        X = self.rows(n, rng)
        theta = {name: np.asarray(value, dtype=float) for name, value in self.truth.items()}
        frame = pd.DataFrame({**X, **self.drawn({**X}, theta, rng)})
        return frame.drop(columns="y"), frame["y"]

    def draws(self, size: int, seed: int = 1) -> Draws:
        """Return draws around the truth, each number its own; what is positive stays so."""
        rng = np.random.default_rng(seed)
        found = {}
        for name, value in self.truth.items():
            value = np.asarray(value, dtype=float)
            found[name] = value * np.exp(0.1 * rng.normal(size=(size, *value.shape)))
        return self.put(found)

    def expected(self, X, draws: Draws) -> np.ndarray:
        """Return what each draw expects of rows that are forced, (draws, n)."""
        X = {name: X[name].to_numpy() for name in X}
        size = len(next(iter(draws.values())))
        n = len(next(iter(X.values())))
        return np.broadcast_to(self.mean(X, beside_rows(draws)), (size, n))

    def predicted(self, X, draws: Draws, seed: int = 2) -> np.ndarray:
        """Return a new outcome of rows that are forced for each draw, (draws, n), by NumPy."""
        rng = np.random.default_rng(seed)
        X = {name: X[name].to_numpy() for name in self.rows(2, rng)}
        size = len(next(iter(draws.values())))
        each = [{name: held[s] for name, held in draws.items()} for s in range(size)]
        return np.array([self.drawn(X, theta, rng)["y"] for theta in each])

    def asked(self, n: int = 40, size: int = 500, seed: int = 0, **parameters):
        """Return an estimator whose posterior is these draws, and its rows."""
        X, y = self.data(n, seed)
        return given(self.make, X, y, self.draws(size), **parameters), X, y


def given(make, X, y, draws, **parameters):
    """Return an estimator whose posterior is some draws."""
    held = Posterior("by hand", "numpy", {name: each[None] for name, each in draws.items()})
    with mock.patch("interventional.own.fitting.conditioned", return_value=held):
        estimator = BayesianInterventionRegressor(model=make, random_state=0, **parameters)
        return estimator.fit(X, y)


def _carry(spend, keep, lags=None):
    """Return what is carried over, (draws, n)."""
    spend, keep = np.broadcast_arrays(np.asarray(spend, dtype=float), keep)
    found = np.zeros(np.broadcast_shapes(spend.shape, keep.shape))
    n = found.shape[-1]
    for lag in range(n if lags is None else min(lags, n)):
        found[..., lag:] += keep[..., lag:] ** lag * spend[..., : n - lag]
    return found


def beside_rows(draws: Draws) -> Draws:
    """Return parameters that stand beside rows, (draws, 1) or (draws, k)."""
    return {name: each if each.ndim > 1 else each[:, None] for name, each in draws.items()}


def _adstock(lags):
    def mean(X, t):
        return t["base"] + t["lift"] * np.tanh(t["steep"] * _carry(X["spend"], t["keep"], lags))

    return mean


def _by_code(X, name, table, labels):
    """Return each row's own of a table (draws, levels)."""
    codes = np.searchsorted(labels, np.asarray(X[name]))
    return table[..., codes]


def _normal(mean):
    def drawn(X, t, rng):
        mu = np.ravel(mean(X, {k: v[None] if v.ndim else v for k, v in t.items()}))
        return {"y": mu + t["sigma"] * rng.normal(size=len(mu))}

    return drawn


def _michaelis(X, t):
    ceiling = _by_code(X, "state", t["ceiling"], ["treated", "untreated"])
    return ceiling * X["conc"] / (t["half"] + X["conc"])


STORES = ["east", "north", "south", "west"]
_Z = np.array([[1.0, -0.5], [0.3, 1.0], [-1.0, 0.6], [0.4, -1.2]])


def _slopes(X, t):
    (a, b, c), z = np.moveaxis(np.atleast_2d(t["factor"]), -1, 0), t["z"]
    z = z if z.ndim == 3 else z[None]
    center = np.atleast_2d(t["center"])
    level = center[:, :1] + a[:, None] * z[..., 0]
    slope = center[:, 1:] + b[:, None] * z[..., 0] + c[:, None] * z[..., 1]
    of = {"labels": STORES, "name": "store"}
    return _by_code(X, table=level, **of) + _by_code(X, table=slope, **of) * X["price"]


def _buying(X, t):
    return expit(t["a0"] + t["a1"] * X["price"]), np.exp(t["b0"] + t["b1"] * X["price"])


def _hurdle(X, t):
    psi, mu = _buying(X, t)
    return psi * mu / -np.expm1(-mu)


def _draw_hurdle(X, t, rng):
    psi, mu = _buying(X, t)
    counts = rng.poisson(mu)
    while (counts == 0).any():
        counts = np.where(counts == 0, rng.poisson(mu), counts)
    return {"y": counts * (rng.random(len(mu)) < psi)}


def _inflated(X, t):
    psi, mu = _buying(X, t)
    return psi * mu


def _draw_inflated(X, t, rng):
    psi, mu = _buying(X, t)
    return {"y": rng.poisson(mu) * (rng.random(len(mu)) < psi)}


def _grades(X, t):
    dose = np.asarray(X["dose"])
    over = [expit(t["slope"] * dose - t["cuts"][:, [k]]) for k in range(3)]
    return sum(over)


def _draw_grades(X, t, rng):
    latent = t["slope"] * X["dose"] + rng.logistic(size=len(X["dose"]))
    return {"y": np.digitize(latent, t["cuts"])}


def _censored(X, t):
    scale, limit = np.exp(t["b0"] + t["b1"] * X["load"]), np.asarray(X["limit"])
    at, k = (limit / scale) ** t["shape"], t["shape"]
    return scale * gamma(1 + 1 / k) * gammainc(1 + 1 / k, at) + limit * np.exp(-at)


def _draw_censored(X, t, rng):
    scale = np.exp(t["b0"] + t["b1"] * X["load"])
    return {"y": np.minimum(scale * rng.weibull(t["shape"], size=len(scale)), X["limit"])}


def _widening(X, t):
    return t["b0"] + t["b1"] * X["x"]


def _draw_widening(X, t, rng):
    x = X["x"]
    return {"y": _widening(X, t) + np.exp(t["g0"] + t["g1"] * x) * rng.normal(size=len(x))}


def _hilbert(X, t):
    x, half = np.asarray(X["x"]), 4.0
    frequency = np.pi * np.arange(1, 13) / (2 * half)
    phi = np.sin(frequency * (x[:, None] + half)) / np.sqrt(half)
    ell, eta = t["ell"], t["eta"]
    density = eta**2 * np.sqrt(2 * np.pi) * ell * np.exp(-0.5 * (ell * frequency) ** 2)
    return (np.sqrt(density) * t["weights"]) @ phi.T


def _echoing(X, t):
    n = len(X["x"])
    return t["base"] + t["slope"] * X["x"] + np.zeros(n)


def _draw_echoing(X, t, rng):
    n = len(X["x"])
    drift = 0.5 * rng.normal(size=n)
    for k in range(1, n):
        drift[k] = t["rho"] * drift[k - 1] + t["sd"] * rng.normal()
    return {"y": _echoing(X, t) + drift + t["sigma"] * rng.normal(size=n)}


def _following(X, t):
    return t["base"] + t["slope"] * X["x"] + t["rho"] * X["before"]


def _draw_following(X, t, rng):
    return _normal(_following)(X, t, rng)


def _traffic(X, t):
    return t["top"] * X["spend"] / (t["half"] + X["spend"])


def _funnel(X, t):
    """Given spend alone: of a lognormal rate."""
    return np.exp(t["k0"] + t["k1"] * _traffic(X, t) + (t["k1"] * t["spread"]) ** 2 / 2)


def _draw_funnel(X, t, rng):
    traffic = _traffic(X, t) + t["spread"] * rng.normal(size=len(X["spend"]))
    return {"traffic": traffic, "y": rng.poisson(np.exp(t["k0"] + t["k1"] * traffic))}


def _steep_funnel(X, t):
    at, weights = np.polynomial.hermite_e.hermegauss(200)
    spend = np.asarray(X["spend"], dtype=float)
    total = 0.0
    for z, weight in zip(at, weights / weights.sum(), strict=True):
        traffic = t["rate"] * spend + t["wide"] * spend * z
        total = total + weight * t["top"] * expit(t["steep"] * (traffic - 1))
    return total


def _draw_steep_funnel(X, t, rng):
    spend, n = X["spend"], len(X["spend"])
    traffic = t["rate"] * spend + t["wide"] * spend * rng.normal(size=n)
    y = t["top"] * expit(t["steep"] * (traffic - 1)) + t["sigma"] * rng.normal(size=n)
    return {"traffic": traffic, "y": y}


def _mixed(X, t):
    shares, levels = np.atleast_2d(t["shares"]), np.atleast_2d(t["levels"])
    return (shares * levels).sum(axis=-1, keepdims=True) + t["slope"] * np.asarray(X["x"])


def _draw_mixed(X, t, rng):
    n = len(X["x"])
    kind = (rng.random(n) > t["shares"][0]).astype(int)
    noise = t["sigmas"][kind] * rng.normal(size=n)
    return {"y": t["levels"][kind] + t["slope"] * X["x"] + noise}


def _shaken(X, t):
    return np.exp(t["b0"] + t["b1"] * X["x"] + t["spread"] ** 2 / 2)


def _draw_shaken(X, t, rng):
    own = t["spread"] * rng.normal(size=len(X["x"]))
    return {"y": rng.poisson(np.exp(t["b0"] + t["b1"] * X["x"] + own))}


def _bound(X, t):
    line = np.atleast_2d(t["line"])
    return line[:, :1] + line[:, 1:] * np.asarray(X["x"])


def _grown(X, t):
    p = np.asarray(X["start"], dtype=float)
    for _ in range(20):
        p = p + 0.1 * t["rate"] * p * (1 - p / t["cap"])
    return p


def _clicked(X, t):
    share = expit(t["c0"] + t["c1"] * X["ad"])
    return np.exp(t["b0"] + t["b2"] * X["ad"]) * (1 - share + share * np.exp(t["b1"]))


def _draw_clicked(X, t, rng):
    share = expit(t["c0"] + t["c1"] * X["ad"])
    click = (rng.random(len(share)) < share).astype(int)
    return {
        "click": click,
        "y": rng.poisson(np.exp(t["b0"] + t["b1"] * click + t["b2"] * X["ad"])),
    }


def _tiers(X, t):
    tilt = np.atleast_2d(t["tilt"])[:, None, :] * np.asarray(X["offer"], dtype=float)[:, None]
    shares = np.exp(tilt)
    return shares / shares.sum(axis=-1, keepdims=True)


TIERS = np.array(["basic", "plus", "top"])


def _tiered(X, t):
    return (_tiers(X, t) * np.atleast_2d(t["worth"])[:, None, :]).sum(axis=-1)


def _draw_tiered(X, t, rng):
    shares = _tiers(X, t)[0]
    tier = (rng.random((len(shares), 1)) > shares.cumsum(axis=1)).sum(axis=1)
    y = t["worth"][tier] + t["sigma"] * rng.normal(size=len(tier))
    return {"tier": TIERS[tier], "y": y}


def _chained(X, t):
    x = np.asarray(X["x"], dtype=float)
    rate = np.exp(t["b0"] + t["b"] * t["a"] * x + (t["b"] * t["s1"]) ** 2 / 2)
    return t["c"] * rate + t["d"] * x


def _draw_chained(X, t, rng):
    x = X["x"]
    first = t["a"] * x + t["s1"] * rng.normal(size=len(x))
    second = rng.poisson(np.exp(t["b0"] + t["b"] * first))
    y = t["c"] * second + t["d"] * x + t["s2"] * rng.normal(size=len(x))
    return {"first": first, "second": second, "y": y}


def _shares(draws: Draws) -> Draws:
    return {**draws, "shares": draws["shares"] / draws["shares"].sum(axis=1, keepdims=True)}


def _below_one(name):
    def put(draws: Draws) -> Draws:
        return {**draws, name: np.minimum(draws[name], 0.99)}

    return put


def _uniform(*names, low=-1.5, high=1.5):
    return lambda n, rng: {name: rng.uniform(low, high, n) for name in names}


def _spend(n, rng):
    return {"spend": rng.gamma(2, 0.5, n)}


def _doses(n, rng):
    states = np.array(["treated", "untreated"])
    return {
        "conc": rng.choice([0.02, 0.06, 0.11, 0.22, 0.56, 1.1], n),
        "state": states[np.arange(n) % 2],
    }


def _stores(n, rng):
    return {"price": rng.normal(size=n), "store": np.array(STORES)[np.arange(n) % 4]}


CASES = {
    "michaelis": Case(
        michaelis,
        {"ceiling": [212.0, 160.0], "half": 0.06, "sigma": 8.0},
        _doses,
        _normal(_michaelis),
        {"conc": 0.3},
        _michaelis,
    ),
    "shifted_adstock": Case(
        shifted_adstock,
        {"keep": 0.5, "steep": 0.5, "base": 1.0, "lift": 2.0, "sigma": 0.2},
        _spend,
        _normal(_adstock(8)),
        {"spend": 1.5},
        _adstock(8),
    ),
    "scanned_adstock": Case(
        scanned_adstock,
        {"keep": 0.5, "steep": 0.5, "base": 1.0, "lift": 2.0, "sigma": 0.2},
        _spend,
        _normal(_adstock(None)),
        {"spend": 1.5},
        _adstock(None),
    ),
    "slopes": Case(
        slopes,
        {"factor": [1.0, 0.4, 0.6], "z": _Z, "center": [1.0, -0.8], "sigma": 0.5},
        _stores,
        _normal(_slopes),
        {"price": 0.7},
        _slopes,
    ),
    "hurdle": Case(
        hurdle,
        {"a0": 0.5, "a1": 1.0, "b0": 0.6, "b1": 0.4},
        _uniform("price"),
        _draw_hurdle,
        {"price": 0.8},
        _hurdle,
    ),
    "zero_inflated": Case(
        zero_inflated,
        {"a0": 0.5, "a1": 1.0, "b0": 0.6, "b1": 0.4},
        _uniform("price"),
        _draw_inflated,
        {"price": 0.8},
        _inflated,
    ),
    "grades": Case(
        grades,
        {"cuts": [-1.0, 0.2, 1.0], "slope": 1.2},
        _uniform("dose"),
        _draw_grades,
        {"dose": 0.8},
        _grades,
    ),
    "censored": Case(
        censored,
        {"b0": 0.3, "b1": -0.5, "shape": 1.5},
        lambda n, rng: {"load": rng.uniform(-1, 1, n), "limit": rng.uniform(1, 3, n)},
        _draw_censored,
        {"load": 0.5},
        _censored,
    ),
    "widening": Case(
        widening,
        {"b0": 1.0, "b1": 2.0, "g0": -0.5, "g1": 0.6},
        _uniform("x"),
        _draw_widening,
        {"x": 0.5},
        _widening,
    ),
    "hilbert": Case(
        hilbert,
        {"eta": 1.0, "ell": 0.8, "weights": np.linspace(-1, 1, 12), "sigma": 0.3},
        _uniform("x", low=-2, high=2),
        _normal(_hilbert),
        {"x": 0.5},
        _hilbert,
    ),
    "echoing": Case(
        echoing,
        {"rho": 0.7, "sd": 0.3, "base": 1.0, "slope": 0.8, "sigma": 0.2},
        _uniform("x"),
        _draw_echoing,
        {"x": 0.5},
        _echoing,
        closed=False,
    ),
    "following": Case(
        following,
        {"rho": 0.5, "base": 1.0, "slope": 0.8, "sigma": 0.2},
        _uniform("x", "before"),
        _draw_following,
        {"x": 0.5},
        _following,
    ),
    "funnel": Case(
        funnel,
        {"top": 4.0, "half": 1.0, "spread": 0.5, "k0": 0.2, "k1": 0.4},
        _spend,
        _draw_funnel,
        {"spend": 2.0},
        _funnel,
    ),
    "steep_funnel": Case(
        steep_funnel,
        {"rate": 1.0, "wide": 0.5, "steep": 4.0, "top": 3.0, "sigma": 0.3},
        _spend,
        _draw_steep_funnel,
        {"spend": 1.5},
        _steep_funnel,
    ),
    "mixed": Case(
        mixed,
        {"shares": [0.3, 0.7], "levels": [-2.0, 2.0], "slope": 1.0, "sigmas": [0.5, 0.4]},
        _uniform("x"),
        _draw_mixed,
        {"x": 0.5},
        _mixed,
        put=_shares,
    ),
    "shaken": Case(
        shaken,
        {"spread": 0.5, "b0": 0.6, "b1": 0.8},
        _uniform("x"),
        _draw_shaken,
        {"x": 0.5},
        _shaken,
    ),
    "bound": Case(
        bound,
        {"line": [1.0, 0.5], "sigma": 0.4},
        _uniform("x"),
        _normal(_bound),
        {"x": 0.5},
        _bound,
    ),
    "grown": Case(
        grown,
        {"rate": 1.0, "cap": 4.0, "sigma": 0.1},
        _uniform("start", low=0.1, high=2),
        _normal(_grown),
        {"start": 0.5},
        _grown,
    ),
    "clicked": Case(
        clicked,
        {"c0": -0.5, "c1": 1.0, "b0": 0.5, "b1": 0.7, "b2": 0.2},
        _uniform("ad"),
        _draw_clicked,
        {"ad": 0.8},
        _clicked,
    ),
    "tiered": Case(
        tiered,
        {"tilt": [-1.0, 0.2, 1.0], "worth": [1.0, 2.0, 4.0], "sigma": 0.5},
        _uniform("offer"),
        _draw_tiered,
        {"offer": 0.8},
        _tiered,
    ),
    "chained": Case(
        chained,
        {"a": 0.8, "s1": 0.5, "b0": 0.4, "b": 0.4, "c": 0.6, "d": -0.3, "s2": 0.3},
        _uniform("x"),
        _draw_chained,
        {"x": 0.8},
        _chained,
        closed=False,
    ),
}
