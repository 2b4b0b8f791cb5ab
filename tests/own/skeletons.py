"""Skeletons of models for the tests, as users write them: at the top of a module, to pickle."""

import numpy as np
import pymc as pm


def gallery():
    """The gallery's: columns and outcome random, one placeholder row."""
    with pm.Model(coords={"obs": [0]}) as model:
        a, b, c = (pm.Normal(name, 0, 1, dims="obs") for name in "abc")
        beta_y0 = pm.Normal("beta_y0", 0, 1)
        beta_ay = pm.Normal("beta_ay", 0, 1)
        beta_by = pm.Normal("beta_by", 0, 1)
        beta_cy = pm.Normal("beta_cy", 0, 1)
        sigma_y = pm.HalfNormal("sigma_y", 1)
        mu = beta_y0 + beta_ay * a + beta_by * b + beta_cy * c
        pm.Normal("y", pm.Deterministic("y_mu", mu, dims="obs"), sigma_y, dims="obs")
    return model


def line(slope_sd=5.0):
    """A line in a column of data."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        slope = pm.Normal("slope", 0, slope_sd)
        level = pm.Normal("level", 0, 5)
        sigma = pm.HalfNormal("sigma", 1)
        pm.Normal("y", level + slope * x, sigma, dims="obs")
    return model


def linear(frame):
    """A line in all columns of whatever rows, in their units."""
    scale = np.asarray(frame, dtype=float).std(axis=0) + 1e-9
    with pm.Model(coords={"obs": [0], "term": [str(name) for name in frame]}) as model:
        columns = [pm.Data(str(name), np.zeros(1), dims="obs") for name in frame]
        slopes = pm.Normal("slopes", 0, 5 / scale, dims="term")
        level = pm.Normal("level", 0, 10)
        sigma = pm.InverseGamma("sigma", 3, 2)
        mu = level + sum(slopes[j] * column for j, column in enumerate(columns))
        pm.Normal("y", mu, sigma, dims="obs")
    return model


def of_stores():
    """Levels of stores as positions in a dimension, which takes its labels from the rows."""
    with pm.Model(coords={"obs": [0], "stores": ["?"]}) as model:
        price = pm.Data("price", np.zeros(1), dims="obs")
        store = pm.Data("store", np.zeros(1, dtype=int), dims="obs")
        level = pm.Normal("level", 0, 3, dims="stores")
        slope = pm.Normal("slope", 0, 2)
        sigma = pm.HalfNormal("sigma", 1)
        pm.Normal("y", level[store] + slope * price, sigma, dims="obs")
    return model


def chain():
    """x -> m -> y and x -> y, all linear; z is caused by y."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="obs")
        xm, xy, my, yz = (pm.Normal(name, 0, 2) for name in ("xm", "xy", "my", "yz"))
        of_m, of_y = pm.HalfNormal("of_m", 1), pm.HalfNormal("of_y", 1)
        m = pm.Normal("m", xm * x, of_m, dims="obs")
        y = pm.Normal("y", xy * x + my * m, of_y, dims="obs")
        pm.Normal("z", yz * y, 1, dims="obs")
    return model


def confounded():
    """A common cause of x and y that no column holds, and a cause of y of each row alone."""
    with pm.Model(coords={"obs": [0]}) as model:
        u = pm.Normal("u", 0, 1, dims="obs")
        own = pm.Normal("own", 0, 1, dims="obs")
        slope = pm.Normal("slope", 0, 1)
        x = pm.Normal("x", u, 0.5, dims="obs")
        pm.Normal("y", slope * x + u + own, 0.5, dims="obs")
    return model


def individual():
    """An effect of each row's own on a count."""
    with pm.Model(coords={"obs": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="obs")
        slope = pm.Normal("slope", 0, 1)
        own = pm.Normal("own", 0, 0.7, dims="obs")
        pm.Poisson("y", pm.math.exp(1 + slope * x + own), dims="obs")
    return model
