"""What the scales of coefficients are made of, under the horseshoe and R2D2; see `shrunk`."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logsumexp

from interventional.numbers import Floats
from interventional.scm.shrinkage import (
    R2_CONCENTRATION,
    R2_MEAN,
    R2_PRECISION,
    SLAB_DOF,
    SLAB_SCALE,
    expected_effects,
)


class Local(Protocol):
    """What the logs r of scales are made of: numbers z, (s, size)."""

    @property
    def size(self) -> int:
        """How many numbers there are."""

    def odds(self, z: Floats, t: Floats) -> Floats:
        """Return e^(2 r), (s, p), with log sigma t, (s,)."""

    def log_prior(self, z: Floats) -> Floats:
        """Return the log density of z, (s,), up to a constant."""

    def slopes(self, z: Floats, t: Floats, by_r: Floats) -> tuple[Floats, Floats]:
        """Return the slopes of log prior and of a function of r, (s, p) those by r, by z and t."""

    def start(self, r: Floats, t: float) -> tuple[Floats, Floats]:
        """Return some z whose r is about the given, and how much is not known of it."""

    def variables(self, z: Floats, t: Floats) -> dict[str, Floats]:
        """Return the model's variables by the endings of their names."""


@dataclass(frozen=True, eq=False)
class Horseshoe:
    """That of the horseshoe: logs of each λ, of τ in its own unit, and of c² / y_scale².

    Attributes
    ----------
    p : int
        How many terms there are.
    n, y_scale : float
        As in `shrinkage`.
    """

    p: int
    n: float
    y_scale: float

    @property
    def size(self) -> int:
        """As in `Local`."""
        return self.p + 2

    @property
    def log_unit(self) -> float:
        """Log of τ's prior scale in standard errors."""
        effects = expected_effects(self.p)
        return float(np.log(effects / (self.p - effects)))

    def odds(self, z: Floats, t: Floats) -> Floats:
        """As in `Local`."""
        free, over_slab = self._free(z, t)
        return free / (1 + over_slab)

    def _free(self, z: Floats, t: Floats) -> tuple[Floats, Floats]:
        """Return squares of scales in standard errors without the slab, and m of the module."""
        free = np.exp(2 * (z[:, : self.p] + z[:, self.p, None] + self.log_unit))
        beside = 2 * t - z[:, -1] - np.log(self.n) - 2 * np.log(self.y_scale)
        return free, free * np.exp(beside)[:, None]

    def log_prior(self, z: Floats) -> Floats:
        """As in `Local`."""
        cauchy, slab = z[:, :-1], z[:, -1]
        found = (cauchy - np.log1p(np.exp(2 * cauchy))).sum(axis=1)
        return found - SLAB_DOF / 2 * (slab + SLAB_SCALE**2 * np.exp(-slab))

    def slopes(self, z: Floats, t: Floats, by_r: Floats) -> tuple[Floats, Floats]:
        """As in `Local`."""
        inside = 1 / (1 + self._free(z, t)[1])
        bound = 1 - inside
        found = np.empty_like(z)
        found[:, : self.p] = by_r * inside
        found[:, self.p] = found[:, : self.p].sum(axis=1)
        held = (by_r * bound).sum(axis=1)
        found[:, -1] = 0.5 * held - SLAB_DOF / 2 * (1 - SLAB_SCALE**2 * np.exp(-z[:, -1]))
        found[:, :-1] += 2 / (1 + np.exp(2 * z[:, :-1])) - 1
        return found, -held

    def start(self, r: Floats, t: float) -> tuple[Floats, Floats]:
        """As in `Local`."""
        tau = float(np.clip(np.median(r) - self.log_unit, -3.0, 3.0))
        slab = 2 * np.log(SLAB_SCALE)
        z = np.concatenate([r - tau - self.log_unit, [tau, slab]])
        return z, np.concatenate([np.full(self.p, 1.2), [0.5, 0.7]])

    def variables(self, z: Floats, t: Floats) -> dict[str, Floats]:
        """As in `Local`."""
        tau = np.exp(z[:, self.p] + self.log_unit + t) / np.sqrt(self.n)
        return {"_tau": tau, "_lambda": np.exp(z[:, : self.p]), "_slab": np.exp(z[:, -1])}


@dataclass(frozen=True, eq=False)
class R2D2:
    r"""That of R2D2: the logs 2 r themselves, of :math:`n \phi_j R^2 / (1 - R^2)`.

    Shares and R² follow from them. As their sum has the log-odds of R², and logs of shares are
    linear in them but for it, the density is that of the log-odds times
    :math:`\prod_j \phi_j^a`.

    Attributes
    ----------
    p : int
        How many terms there are.
    n : float
        As in `shrinkage`.
    """

    p: int
    n: float

    @property
    def size(self) -> int:
        """As in `Local`."""
        return self.p

    def odds(self, z: Floats, t: Floats) -> Floats:
        """As in `Local`."""
        return np.exp(z)

    def _split(self, z: Floats) -> tuple[Floats, Floats]:
        """Return logs of shares, and log-odds of R²."""
        total = np.asarray(logsumexp(z, axis=1))
        return z - total[:, None], total - np.log(self.n)

    def log_prior(self, z: Floats) -> Floats:
        """As in `Local`."""
        log_share, odds = self._split(z)
        a, b = R2_MEAN * R2_PRECISION, (1 - R2_MEAN) * R2_PRECISION
        found = -a * np.logaddexp(0.0, -odds) - b * np.logaddexp(0.0, odds)
        return found + R2_CONCENTRATION * log_share.sum(axis=1)

    def slopes(self, z: Floats, t: Floats, by_r: Floats) -> tuple[Floats, Floats]:
        """As in `Local`."""
        log_share, odds = self._split(z)
        a, b = R2_MEAN * R2_PRECISION, (1 - R2_MEAN) * R2_PRECISION
        of_total = a * expit(-odds) - b * expit(odds) - R2_CONCENTRATION * self.p
        found = 0.5 * by_r + R2_CONCENTRATION + of_total[:, None] * np.exp(log_share)
        return found, np.zeros(len(z))

    def start(self, r: Floats, t: float) -> tuple[Floats, Floats]:
        """As in `Local`."""
        return 2 * r, np.full(self.p, 1.5)

    def variables(self, z: Floats, t: Floats) -> dict[str, Floats]:
        """As in `Local`."""
        log_share, odds = self._split(z)
        found = {"_r2": expit(odds)}
        return found | {"_phi": np.exp(log_share)} if self.p > 1 else found
