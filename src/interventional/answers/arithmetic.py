"""Operators and NumPy's functions of what has draws: `Arithmetic`."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

_MEANS = "np.asarray(outcomes) has the posterior means, and outcomes.map(f) is f of the draws"
_OVER_ROWS = "outcomes.average() and outcomes.sum() are over rows, inside each draw"
_IN_ORDER = (
    "outcomes.probability(above=...) is how likely that is, outcomes.mean() > ... which rows are "
    "expected to be, and outcomes.map(lambda draws: draws > ...) is 0 or 1 in each draw"
)
_REDUCE = (
    *("sum", "prod", "mean", "average", "median", "std", "var", "min", "max", "ptp", "quantile"),
    *("percentile", "cumsum", "cumprod", "dot", "matmul", "argmin", "argmax", "nanmean", "nansum"),
    *("nanstd", "nanvar", "nanmin", "nanmax", "nanmedian", "inner", "vdot", "tensordot", "einsum"),
    *("norm", "trapezoid", "cov", "corrcoef", "select", "interp"),
)


class Arithmetic:
    """What has draws, and is calculated with draw by draw; a child says how."""

    __pandas_priority__ = 5000  # above a DataFrame's: Series * outcomes is asked of outcomes

    def _apply(self, function: Callable[..., Any], *operands: Any) -> Self:
        """Return a function of operands, one of which is this, draw by draw."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Self:
        """Return the sum, paired draw by draw."""
        return self._apply(np.add, self, other)

    def __radd__(self, other: Any) -> Self:
        """Return the sum, in each draw."""
        return self._apply(np.add, other, self)

    def __sub__(self, other: Any) -> Self:
        """Return the difference, paired draw by draw."""
        return self._apply(np.subtract, self, other)

    def __rsub__(self, other: Any) -> Self:
        """Return the difference, in each draw."""
        return self._apply(np.subtract, other, self)

    def __mul__(self, other: Any) -> Self:
        """Return the product, paired draw by draw."""
        return self._apply(np.multiply, self, other)

    def __rmul__(self, other: Any) -> Self:
        """Return the product, in each draw."""
        return self._apply(np.multiply, other, self)

    def __truediv__(self, other: Any) -> Self:
        """Return the ratio, paired draw by draw."""
        return self._apply(np.true_divide, self, other)

    def __rtruediv__(self, other: Any) -> Self:
        """Return the ratio, in each draw."""
        return self._apply(np.true_divide, other, self)

    def __pow__(self, other: Any) -> Self:
        """Return the power, paired draw by draw."""
        return self._apply(np.power, self, other)

    def __rpow__(self, other: Any) -> Self:
        """Return the power, in each draw."""
        return self._apply(np.power, other, self)

    def __neg__(self) -> Self:
        """Return the negative, in each draw."""
        return self._apply(np.negative, self)

    def __pos__(self) -> Self:
        """Return the same."""
        return self

    def __abs__(self) -> Self:
        """Return the size, in each draw."""
        return self._apply(np.absolute, self)

    def _refuse_order(self, other: object) -> Any:
        """Refuse to say which is more: that has a probability."""
        raise TypeError(f"{type(self).__name__} have no order, but draws: {_IN_ORDER}")

    __lt__ = __le__ = __gt__ = __ge__ = _refuse_order

    def _refuse_product(self, other: object) -> Any:
        """Refuse a sum over rows that `sum` says better."""
        raise TypeError("outcomes @ values is (outcomes * values).sum()")

    __matmul__ = __rmatmul__ = _refuse_product

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **options: Any) -> Any:
        """Take a function of NumPy, number by number, of the draws; refuse what is none."""
        name = ufunc.__name__
        if method != "__call__" or ufunc.signature is not None:
            said = name if method == "__call__" else f"{name}.{method}"
            raise TypeError(f"np.{said} goes over rows; {_OVER_ROWS}")
        if options:
            raise TypeError(f"np.{name} of outcomes takes no {next(iter(options))}=")
        if ufunc.nout > 1:
            raise TypeError(f"np.{name} has {ufunc.nout} results; {_MEANS}")
        if f"{'d' * ufunc.nin}->?" in ufunc.types:
            raise TypeError(f"np.{name} of outcomes would be yes or no: {_IN_ORDER}")
        if ufunc is np.reciprocal:
            return self._apply(np.true_divide, 1.0, *operands)
        return self._apply(ufunc, *operands)

    def __array_function__(
        self, function: Any, types: Any, arguments: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        """Take a function of NumPy of the draws if it goes number by number, else of the means.

        Sums, means and other functions of many numbers are refused: whether rows or draws are
        meant is not said.
        """
        name = function.__name__
        if name in _REDUCE:
            raise TypeError(
                f"np.{name} does not say whether it goes over rows or over draws; {_OVER_ROWS}, "
                "and outcomes.mean(), std() and quantile() over the draws of each row"
            )
        if name == "where" and len(arguments) == 3:
            return self._apply(np.where, *arguments)
        if name == "clip":
            return _clipped(*arguments, **options)
        named = {key: _means(each) for key, each in options.items()}
        return function(*_means(list(arguments)), **named)


def _clipped(
    of: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> Any:
    """Return what NumPy's clip does to draws; it has two names for each end."""
    low, high = min if a_min is None else a_min, max if a_max is None else a_max
    of = of if low is None else np.maximum(of, low)
    return of if high is None else np.minimum(of, high)


def _means(argument: Any) -> Any:
    """Return an argument with means instead of outcomes, in lists too."""
    if isinstance(argument, Arithmetic):
        return np.asarray(argument)
    if isinstance(argument, list | tuple):
        return type(argument)(_means(each) for each in argument)
    return argument
