"""What an equation has to say of its node, for rows and posterior draws, in NumPy alone.

`predict` from a pickle thus needs no PyMC. Questions that force columns go to `forward.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from interventional.answers.law import Law, RowLaws, Rows
from interventional.answers.mixtures import Mixture
from interventional.answers.reductions import log_mean_exp, mean
from interventional.answers.samples import Closed, Samples
from interventional.numbers import Floats, refuse_overflow, slices
from interventional.scm.equations import Equation, with_errors
from interventional.scm.families import Family

_BLOCK = 1 << 18  # numbers in the making at a time: what is made of them stays in the cache


@dataclass(frozen=True, eq=False)
class Predictive:
    """The posterior predictive distribution of a node of numbers at some rows.

    Attributes
    ----------
    equation : Equation
        Its equation.
    columns : ndarray of shape (n, columns)
        Its encoded columns.
    offset : ndarray of shape (n,) or None
        What is added to the linear predictor.
    draws : mapping
        Posterior draws of the equation's parameters, (draws, ...) each.
    errors : ndarray of shape (n,) or None
        Known standard deviations of the rows, beside sigma.
    law : Law or None
        What the coefficients are draws of, where that is known.
    """

    equation: Equation
    columns: Floats
    offset: Floats | None
    draws: Mapping[str, Floats]
    errors: Floats | None = None
    law: Law | None = None

    @classmethod
    def of(
        cls,
        equation: Equation,
        values: Floats,
        draws: Mapping[str, Floats],
        law: Law | None = None,
    ) -> "Predictive":
        """Return the distribution of a node at encoded rows."""
        columns, offset = equation.regressors(values), equation.offset(values)
        return cls(equation, columns, offset, draws, equation.errors(values), law)

    @classmethod
    def expected(
        cls,
        equation: Equation,
        values: Floats,
        draws: Mapping[str, Floats],
        law: Law | None = None,
    ) -> Samples:
        """Return the expected node at encoded rows, samples of (draws, n).

        Where it is linear in known terms it is so in closed form. Known errors are not asked for.
        """
        columns, offset = equation.regressors(values), equation.offset(values)
        return _Expected(cls(equation, columns, offset, draws, law=law))

    @property
    def family(self) -> Family:
        """The family of the node."""
        return self.equation.record

    @property
    def n_draws(self) -> int:
        """How many posterior draws there are."""
        return len(self.draws[f"{self.equation.node}_beta"])

    def mean(self) -> Floats:
        """Return the posterior mean of the expected node, (n,): never the link of an average."""
        if self.equation.is_linear:
            return self._linear.mean()
        return _OfRows(self, self.expectations).reduce(mean)[0]

    def std(self) -> Floats:
        """Return the standard deviation of a new node, (n,), its own noise included."""
        known = self.marginals(has_noise=True)
        if known is not None and self.errors is None:
            return known.reduce(Mixture.std)[0]
        dispersion = self._dispersion()
        if self.equation.is_linear:  # the noise is the same whatever is expected
            within = self.family.variance(np.zeros(1), dispersion).mean()
            between = self._linear.std() if self.n_draws > 1 else np.zeros(len(self.columns))
            own = 0.0 if self.errors is None else np.square(self.errors)
            return np.hypot(between, np.sqrt(within + own))

        def variance(expected: Floats) -> Floats:
            within = self.family.variance(expected, dispersion).mean(axis=0)
            return np.asarray(within + _variance(expected))

        return np.sqrt(_OfRows(self, self.expectations).reduce(variance)[0])

    def sample(self, picked: NDArray[np.intp], rng: Generator) -> Floats:
        """Return a new node for each row and picked draw, (n, picked)."""
        eta = self._eta(slice(None), picked)
        mu = self._inverse(eta)
        drawn = self.family.sample(rng, eta, mu, self._dispersion(picked, slice(None)))
        return np.asarray(drawn, dtype=np.float64).T

    def log_likelihood(self, y: Floats) -> Samples:
        """Return the log density of each row's node for each draw, samples of (draws, n)."""

        def density(rows: slice) -> Floats:
            eta = self._eta(rows)
            mu = self._inverse(eta)
            return self.family.log_density(y[rows], eta, mu, self._dispersion(rows=rows))

        return _OfRows(self, density)

    def log_density(self, y: Floats) -> Floats:
        """Return the log of the posterior predictive density of each row's node, (n,).

        The density is averaged over posterior draws, and then the logarithm taken.
        """
        return self.log_likelihood(y).reduce(log_mean_exp)[0]

    @property
    def closed(self) -> Closed | None:
        """The expected node in closed form; None of one that is not the linear predictor."""
        return self._linear if self.equation.is_linear else None

    def marginals(self, *, has_noise: bool) -> RowLaws | None:
        """Return the distribution of each row's expected node, or new one, where it is known."""
        if self.law is None or not self.equation.is_linear:
            return None
        matrix = self.equation.design.matrix

        def terms(rows: Rows) -> Floats:
            return matrix(self.columns[rows])

        return RowLaws.of(self.law, terms, len(self.columns), has_noise=has_noise)

    def expectations(self, rows: slice) -> Floats:
        """Return the expected node of some rows, (draws, rows)."""
        with np.errstate(over="ignore"):
            expected = self.family.mean(self._eta(rows), self._dispersion())
        return refuse_overflow(expected, self.equation.node)

    @cached_property
    def _linear(self) -> Closed:
        return self._of(self.draws)

    def _of(self, draws: Mapping[str, Floats]) -> Closed:
        return self.equation.closed(self._rows, len(self.columns), draws)

    def _rows(self, rows: Rows) -> Floats:
        return self.columns[rows]

    def _eta(self, rows: slice, picked: NDArray[np.intp] | None = None) -> Floats:
        """Return the linear predictor, (draws, rows)."""
        names = self.equation.parameters
        known = (
            self._linear if picked is None else self._of({n: self.draws[n][picked] for n in names})
        )
        eta = known.samples(rows)
        if self.offset is not None:
            eta += self.offset[rows]
        return eta

    def _dispersion(
        self, picked: NDArray[np.intp] | slice = slice(None), rows: slice | None = None
    ) -> dict[str, Floats]:
        """Return what the family has besides eta, (draws, 1), or of rows with known errors."""
        node = self.equation.node
        found = {
            name: self.draws[f"{node}_{name}"][picked][:, None]
            for name in self.equation.dispersion
        }
        if rows is None or self.errors is None:
            return found
        return with_errors(found, self.errors[rows])

    def _inverse(self, eta: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return refuse_overflow(self.family.link.inverse(eta), self.equation.node)


class _OfRows(Samples):
    """Samples that a function makes of a slice of rows, in blocks that fit the cache."""

    def __init__(self, of: Predictive, function: Callable[[slice], Floats]):
        self.n_draws, self.n = of.n_draws, len(of.columns)
        self._function = function

    def block(self, rows: slice) -> Floats:
        """Return the samples of consecutive rows."""
        return np.asarray(self._function(rows))

    def blocks(self) -> Iterator[slice]:
        """Iterate over blocks of rows."""
        return slices(self.n, _BLOCK // self.n_draws)


class _Expected(_OfRows):
    """The expected node of rows, in closed form where it has one."""

    def __init__(self, of: Predictive):
        super().__init__(of, of.expectations)
        self._of = of

    def linear(self) -> Closed | None:
        """Return the closed form, where the expected node is the linear predictor."""
        return self._of.closed

    def marginals(self) -> RowLaws | None:
        """Return the distribution of each row, where it is known without draws."""
        return self._of.marginals(has_noise=False)


def _variance(block: Floats) -> Floats:
    return np.asarray(block.var(axis=0, ddof=1)) if len(block) > 1 else np.zeros(block.shape[1])
