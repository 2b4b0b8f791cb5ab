"""Samples made of others: functions of them, some rows of them, and numbers beside them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from interventional.answers.law import RowLaws, Rows
from interventional.answers.samples import Closed, Linear, Samples, added
from interventional.errors import NoMeanWarning
from interventional.numbers import Floats

Function = Callable[..., Any]
_PACKAGE = str(Path(__file__).parents[1])


class _Form(Protocol):
    """What is known of samples, and of their multiples."""

    def scaled(self, by: Floats) -> Any:
        """Return that of the product with a number, shape (), or with one a draw."""

    def weighted(self, by: Floats) -> Any:
        """Return that of the product with a number a row."""


class Fixed(Samples):
    """Numbers that are the same in each draw: one for all rows, shape (), or one a row, (n,)."""

    def __init__(self, values: Floats, n_draws: int, n: int):
        self.values, self.n_draws, self.n = values, n_draws, n

    def block(self, rows: slice) -> Floats:
        """Return the numbers of consecutive rows, in each draw."""
        values = self.values[rows] if self.values.ndim else self.values
        return np.broadcast_to(values, (self.n_draws, rows.stop - rows.start))

    def linear(self) -> Closed:
        """Return them as a term, or as an intercept, that no draw changes."""
        if not self.values.ndim:
            return _in_all_rows(np.full(self.n_draws, self.values), self.n)
        ones, zeros = np.ones((self.n_draws, 1)), np.zeros(self.n_draws)
        return Linear(lambda rows: self.values[rows][:, None], self.n, ones, zeros)

    def marginals(self) -> RowLaws:
        """Return them as what they are."""
        return RowLaws.known(self.values, self.n)


class Repeated(Samples):
    """A quantity of one row beside each of n rows.

    Parameters
    ----------
    draws : ndarray of shape (n_draws,)
        Its samples.
    n : int
        How many rows there are.
    known : RowLaws, optional
        What is known of it without them.
    """

    def __init__(self, draws: Floats, n: int, known: RowLaws | None = None):
        self.draws, self.n_draws, self.n = draws, len(draws), n
        self._known = known

    def block(self, rows: slice) -> Floats:
        """Return the quantity beside each of some rows."""
        return np.broadcast_to(self.draws[:, None], (self.n_draws, rows.stop - rows.start))

    def linear(self) -> Closed:
        """Return it as an intercept."""
        return _in_all_rows(self.draws, self.n)

    def marginals(self) -> RowLaws | None:
        """Return what is known of it, beside each row."""
        return None if self._known is None else self._known.repeated(self.n)


class Picked(Samples):
    """Some rows, by their positions, in any order."""

    def __init__(self, positions: NDArray[np.intp], inner: Samples):
        self.positions, self.inner = positions, inner
        self.n_draws, self.n = inner.n_draws, len(positions)

    def block(self, rows: slice) -> Floats:
        """Return the samples of rows that are consecutive here."""
        at, back = np.unique(self.positions[rows], return_inverse=True)
        return self.inner.at(at).held()[:, back]

    def linear(self) -> Closed | None:
        """Return the closed form of these rows, if there is one of all."""
        linear = self.inner.linear()
        return None if linear is None else linear.picked(self.positions)

    def marginals(self) -> RowLaws | None:
        """Return what is known of these rows."""
        known = self.inner.marginals()
        return None if known is None else known.picked(self.positions)


class Applied(Samples):
    """A function of samples, draw by draw and row by row.

    Sums, differences and multiples of closed forms are closed forms.

    Parameters
    ----------
    function : callable
        From a block of each operand, (n_draws, rows), to one of the same shape.
    *operands : Samples
        Of the same shape, paired draw by draw.
    """

    def __init__(self, function: Function, *operands: Samples):
        self.function, self.operands = function, operands
        self.n_draws, self.n = operands[0].n_draws, operands[0].n

    def block(self, rows: slice) -> Floats:
        """Return the function of consecutive rows."""
        blocks = (each.block(rows) for each in self.operands)
        return np.asarray(self.function(*blocks))

    def linear(self) -> Closed | None:
        """Return the closed form of what is linear in closed forms."""
        return self._made(methodcaller("linear"), added)

    def marginals(self) -> RowLaws | None:
        """Return what is known of what is linear in what is known of each row."""
        return self._made(methodcaller("marginals"), RowLaws.plus)

    def _made[F: _Form](
        self, form: Callable[[Samples], F | None], plus: Callable[[F, F, float], F | None]
    ) -> F | None:
        """Return a form of this, made of those of the operands; None if it has none.

        `form` is what an operand has of its own, and `plus` adds or, with a sign of -1, subtracts.
        """
        function, operands = getattr(self.function, "function", self.function), self.operands

        def total(left: F | None, right: F | None, sign: float) -> F | None:
            return None if left is None or right is None else plus(left, right, sign)

        if function is np.negative:
            inner = form(operands[0])
            return None if inner is None else inner.scaled(np.asarray(-1.0))
        if function is np.add or function is np.subtract:
            left, right = operands
            sign = 1.0 if function is np.add else -1.0
            return total(form(left), form(right), sign)
        if function is np.multiply:
            left, right = operands
            return _product(form, left, right) or _product(form, right, left)
        if function is np.true_divide:
            return _product(form, operands[0], operands[1], power=-1)
        if function is np.where and isinstance(operands[0], Fixed):
            chosen, others = (
                Fixed(values.astype(float), self.n_draws, self.n)
                for values in (operands[0].values != 0, operands[0].values == 0)
            )
            first = _product(form, operands[1], chosen)
            return total(first, _product(form, operands[2], others), 1.0)
        return None


@dataclass(frozen=True)
class Checked:
    """A function whose values must be finite, and of their operands' shape.

    Attributes
    ----------
    function : callable
        Of blocks of samples.
    words : str
        What it is, to be told if it is wrong.
    divisor : int, optional
        Which of its operands it divides by.
    divisor_in_words : str
        What that one is.
    """

    function: Function
    words: str
    divisor: int | None = None
    divisor_in_words: str = ""

    def __call__(self, *blocks: Floats) -> Floats:
        """Return the function of blocks; none of them can be changed by it."""
        if self.divisor is not None:
            check_divisor(blocks[self.divisor], self.divisor_in_words)
        shown = [block.view() for block in blocks]
        for block in shown:
            block.flags.writeable = False
        with np.errstate(all="ignore"):
            found = np.asarray(self.function(*shown))
        if found.dtype.kind not in "biuf":
            raise TypeError(
                f"{self.words}: a function of draws must return numbers, not {found.dtype}"
            )
        found = found.astype(np.float64, copy=False)
        if found.shape != blocks[0].shape:
            raise ValueError(
                f"{self.words}: a function of draws must keep their shape, (draws, rows); it made "
                f"{found.shape} of {blocks[0].shape}. Sums over rows are average() and sum(), "
                "those over draws mean() and quantile()"
            )
        right = np.isfinite(found)
        if not right.all():
            wrong = ~right
            at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            of = ", ".join(f"{block[at]:.6g}" for block in blocks)
            share = f"{100 * wrong.mean():.3g}%"
            raise ValueError(
                f"{self.words} is {found[at]} in {share} of the draws, such as of {of}"
            )
        return found


def check_divisor(divisor: Floats, words: str) -> None:
    """Refuse to divide by what is zero; warn of what may be, (n_draws, rows)."""
    if divisor.min() > 0:  # as most are, in one pass
        return
    low, high = divisor.min(axis=0), divisor.max(axis=0)
    if ((low <= 0) & (high >= 0)).any():
        if not divisor.all():
            raise ValueError(
                f"the denominator is zero in some draws; it is {words}. Take a difference instead"
            )
        warnings.warn(
            f"the denominator, {words}, is below zero in some draws and above in others: a ratio "
            "to it may have no mean and no sd, whatever numbers they come out as, and lies on "
            "both sides of infinity. Its quantiles and probabilities hold; invert the ends of the "
            "denominator's interval rather than read that of the ratio",
            NoMeanWarning,
            skip_file_prefixes=(_PACKAGE,),
        )


def applied(function: Function, *operands: Samples) -> Samples:
    """Return a function of samples; a quantity of one row is taken with each row of others."""
    n = max(each.n for each in operands)
    return Applied(function, *(_beside(each, n) for each in operands))


def _beside(samples: Samples, n: int) -> Samples:
    if samples.n == n:
        return samples
    return Repeated(samples.held()[:, 0], n, samples.marginals())


def _in_all_rows(draws: Floats, n: int) -> Linear:
    """Return what is the same in all rows: an intercept without terms."""

    def matrix(rows: Rows) -> Floats:
        size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        return np.empty((size, 0))

    return Linear(matrix, n, np.empty((len(draws), 0)), draws)


def _product[F: _Form](
    form: Callable[[Samples], F | None], samples: Samples, by: Samples, power: int = 1
) -> F | None:
    """Return a form of samples times a power of what draws, or rows, do not change."""
    inner = form(samples)
    if inner is None or not isinstance(by, Fixed | Repeated):
        return None
    if isinstance(by, Repeated):
        return inner.scaled(by.draws**power)
    values = by.values**power
    return inner.weighted(values) if values.ndim else inner.scaled(values)
