"""Data from the priors of `design="smooth"`, scales and lengths included, for `calibration`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from benchmarks.calibration_scenarios import Array, Rng, Simulated, half_t
from interventional.data.schema import Schema
from interventional.data.smooth import SmoothDesign

# What docs/how_to/nonlinear.md says: written here again, not taken from the package.
ODDS = np.array([1.0, 1.0, 4.0])  # a line, effects alike, effects that differ
MEDIANS = np.array([0.7, 0.15, 0.3])  # of the scales of f, of the line of effects, of g
EXPECTED = 1.0  # that of the line of what treatment is expected, which is known
SPREAD, LENGTHS, IN_COMMON = 1.5, 1.0, 0.8
LINE, WITHIN, MEAN = 2.5, 0.02, 0.05


@dataclass(frozen=True)
class Bent:
    """Two columns, a treatment that hangs on one of them, a surface and effects that differ.

    Default priors take their scale from y: data sets are kept whose y has a mean of about 0 and a
    standard deviation of about 1, as in `Standardised`. Of the intercept those values are drawn
    that give such a mean.
    """

    n: int
    batch: int = 400

    def __call__(self, r: Rng) -> Simulated:
        X = pd.DataFrame(r.normal(size=(self.n, 2)), columns=["a", "b"])
        X["t"] = (r.uniform(size=self.n) < expit(X["a"])).astype(float)
        schema = Schema.of(X)
        surface = SmoothDesign.of(schema, ["t"], schema.encode(X), None).surface
        both = pd.concat([X.assign(t=0.0), X.assign(t=1.0)])
        rows = surface.inputs(schema.encode(both))
        x, u = rows.features, rows.treatments[0]
        terms, center = both.to_numpy(), X.to_numpy().mean(axis=0)
        seen = np.arange(self.n) + self.n * (X["t"] == 1).to_numpy()
        while True:
            size = self.batch
            form = r.choice(3, size, p=ODDS / ODDS.sum())
            on = np.column_stack([form > 0, form > 1, form > 1])
            scale = on * r.lognormal(np.log(MEDIANS), SPREAD, (size, 3))
            f, _, g, line = surface.components
            of_f = lengths(r, size, len(f.features))
            common = np.log(of_f[:, : len(g.features)] / median(len(f.features)))
            of_g = IN_COMMON * common + np.sqrt(1 - IN_COMMON**2) * r.normal(
                0, LENGTHS, common.shape
            )
            K = squared(scale[:, 0]) * matern(x[:, f.features], of_f)
            product = u @ u.T
            z = x[:, g.features]
            K += squared(scale[:, 1]) * product * (z @ z.T)
            K += squared(scale[:, 2]) * product * matern(z, np.exp(of_g) * median(z.shape[1]))
            z = EXPECTED * x[:, line.features]
            K += z @ z.T
            K[:, range(2 * self.n), range(2 * self.n)] += 1e-8
            bent = (np.linalg.cholesky(K) @ r.normal(size=(size, 2 * self.n, 1)))[..., 0]
            beta = r.normal(0, LINE, (size, 3)) / X.to_numpy().std(axis=0)
            sigma = half_t(4, 1).draw(r, size)
            mean = beta @ (terms - center).T + bent
            noise = sigma[:, None] * r.normal(size=(size, self.n))
            y = mean[:, seen] + noise
            middle = r.uniform(-MEAN, MEAN, size) - y.mean(axis=1)
            kept = r.uniform(size=size) < np.exp(-0.5 * np.square(middle / LINE))
            kept &= np.abs(y.std(axis=1) - 1) < WITHIN
            if kept.any():
                break
        k = int(np.argmax(kept))
        expected = (middle[k] + mean[k]).reshape(2, self.n)
        parameters = {"y_beta": beta[k], "y_sigma": sigma[k], "y_scale": scale[k]}
        return Simulated(
            X,
            middle[k] + y[k],
            parameters,
            lambda value: expected[int(value)],
            lambda rng, value: rng.normal(expected[int(value)], sigma[k]),
        )

    @property
    def settings(self) -> dict[str, Any]:
        return {"design": "smooth", "treatments": "t"}


def median(columns: int) -> float:
    return float(np.exp(1.0) * np.sqrt(columns))


def lengths(r: Rng, size: int, columns: int) -> Array:
    return r.lognormal(np.log(median(columns)), LENGTHS, (size, columns))


def squared(scale: Array) -> Array:
    return np.square(scale)[:, None, None]


def matern(rows: Array, length: Array) -> Array:
    """Return Matérn 5/2 kernels, (size, n, n), of rows with several lengths, (size, columns)."""
    z = rows / length[:, None, :]
    square = np.square(z).sum(axis=2)
    distance = square[:, :, None] + square[:, None, :] - 2 * z @ z.transpose(0, 2, 1)
    root = np.sqrt(5 * np.maximum(distance, 0))
    return (1 + root + root**2 / 3) * np.exp(-root)
