"""What `do` may be: parsed once, here, into one array of forced values a column."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from interventional.design import Floats, Schema
from interventional.exceptions import listed

Table = pd.DataFrame | NDArray[Any]


def parse_do(
    do: Mapping[Any, Any],
    X: Table,
    schema: Schema,
    values: Floats,
    outcome: str,
    n_draws: int,
    rng: Generator,
) -> dict[str, Floats]:
    """Return the forced values by column name.

    All entries read X as it was before the intervention.

    Parameters
    ----------
    do : mapping
        Column to a number or level, an array or Series of n, a callable of X that returns one of
        these, or a frozen `scipy.stats` distribution.
    X : DataFrame or ndarray
        The rows, as the user has them.
    schema : Schema
        What the columns are.
    values : ndarray of shape (n, columns)
        The encoded rows.
    outcome : str
        Name of the outcome, which cannot be forced.
    n_draws : int
        How many posterior draws there are; a distribution is drawn from for each and every row.
    rng : Generator
        Source of such draws.

    Returns
    -------
    dict
        Arrays of shape (n,), or (n_draws, n) for a distribution.
    """
    if not isinstance(do, Mapping):
        raise TypeError(
            f"do must be a mapping from columns to what they are forced to, got {do!r}"
        )
    if not do:
        raise ValueError("do is empty; to predict without forcing anything, use predict(X)")
    forced: dict[str, Floats] = {}
    for key, what in do.items():
        if key == outcome and outcome not in schema.names:
            raise ValueError(f"do: {outcome!r} is the outcome; force its causes instead")
        try:
            j = schema.position(key)
        except ValueError as error:
            raise ValueError(f"do: {error}") from None
        name = schema.names[j]
        if name in forced:
            raise ValueError(f"do forces column {name!r} twice")
        forced[name] = _forced(what, X, schema, j, len(values), n_draws, rng)
    return forced


def columns_read(do: Mapping[Any, Any], X: Table, names: Sequence[str]) -> frozenset[str]:
    """Return the columns that the policies in `do` compute forced values from.

    Each column in turn is moved; what then comes out otherwise has been read. A policy that fails
    on moved rows, or answers the same rows in two ways, counts as reading what it may have read.

    Parameters
    ----------
    do : mapping
        As in `parse_do`, and known to be valid.
    X : DataFrame or ndarray
        The rows.
    names : sequence of str
        The names of its columns.
    """
    policies = [what for what in do.values() if callable(what)]
    if not policies or len(X) < 2:
        return frozenset()

    def answers(rows: Table) -> list[NDArray[Any]] | None:
        rng = np.random.default_rng(0)
        try:
            return [
                np.asarray(forced_values(policy, rows, "do", len(rows), 1, rng))
                for policy in policies
            ]
        except Exception:
            return None

    before = answers(X)
    read = set()
    for j, name in enumerate(names):
        if isinstance(X, pd.DataFrame):
            frame = X.copy(deep=False)
            frame.isetitem(j, np.roll(X.iloc[:, j].array, 1))
            after = answers(frame)
        else:
            array = X.copy()
            array[:, j] = np.roll(X[:, j], 1)
            after = answers(array)
        if before is None or after is None or not all(map(np.array_equal, before, after)):
            read.add(name)
    return frozenset(read)


def describe(do: Mapping[Any, Any]) -> str:
    """Return an intervention in words, as in ``b = 0, price = f(X)``."""
    return ", ".join(f"{key} = {_in_words(what)}" for key, what in do.items())


def _in_words(what: Any) -> str:
    if _is_distribution(what):
        return f"a draw from {what.dist.name}"
    if callable(what):
        name = getattr(what, "__name__", "f")
        return f"{name if name.isidentifier() else 'f'}(X)"
    return repr(what) if isinstance(what, str) else f"{what}" if np.ndim(what) == 0 else "values"


def _forced(
    what: Any, X: Table, schema: Schema, j: int, n: int, n_draws: int, rng: Generator
) -> Floats:
    """Return what column j is forced to, encoded, of shape (n,) or (n_draws, n)."""
    where = f"do[{schema.names[j]!r}]"
    what = forced_values(what, X, where, n, n_draws, rng)
    column = schema.encode_column(j, what, where)
    if not np.isfinite(column).all():
        bad = column[~np.isfinite(column)].ravel()[0]
        raise ValueError(f"{where} holds {bad}; a column can only be forced to finite values")
    shape = column.shape if column.ndim == 2 else (n,)
    return np.ascontiguousarray(np.broadcast_to(column, shape))


def forced_values(
    what: Any, X: Table, where: str, n: int, n_draws: int, rng: Generator
) -> ArrayLike:
    """Return what a column is forced to as the user means it, not yet encoded.

    Parameters
    ----------
    what : object
        An entry of `do`.
    X : DataFrame or ndarray
        The rows.
    where : str
        Where the entry stood, for messages.
    n, n_draws : int
        Number of rows and of posterior draws.
    rng : Generator
        Source of draws from a distribution.

    Returns
    -------
    scalar or array-like of shape (n,) or (n_draws, n)
    """
    shape: tuple[int, ...] = (n,)
    if callable(what):
        what = _called(what, X, where)
    if _is_distribution(what):
        shape = (n_draws, n)
        try:
            what = what.rvs(size=shape, random_state=rng)
        except ValueError as error:  # parameters that are not one a row
            raise ValueError(f"{where}: {error}") from error
    elif isinstance(what, pd.Series):
        what = _aligned(what, X, where)
    if what is None or isinstance(what, Mapping | set | pd.DataFrame):
        raise TypeError(
            f"{where} is {type(what).__name__}; allowed are a number or level, an array or "
            "Series, a callable of X, or a frozen scipy distribution"
        )
    try:
        found = np.shape(what)
    except ValueError as error:  # a ragged list
        raise ValueError(f"{where}: {error}; allowed are a scalar or shape {shape}") from None
    if found and found != shape:
        raise ValueError(f"{where} has shape {found}; allowed are a scalar or {shape}")
    return what


def _is_distribution(what: Any) -> bool:
    """Whether something is a frozen `scipy.stats` distribution."""
    return hasattr(what, "rvs") and hasattr(what, "dist")


def _called(function: Callable[[Table], Any], X: Table, where: str) -> Any:
    """Call a policy with X, in the manner of `DataFrame.assign`, and check what it returns."""
    if hasattr(function, "rvs"):
        raise TypeError(
            f"{where}: freeze the distribution, as in scipy.stats.norm(loc=0, scale=1)"
        )
    if isinstance(X, pd.DataFrame):
        rows: Table = X.copy(deep=False)
    else:
        rows = X.view()
        rows.flags.writeable = False
    result = function(rows)
    if result is None or callable(result):
        raise TypeError(
            f"{where}: the callable returned {result!r}; it must return a column: a scalar, an "
            "array or a Series"
        )
    return result


def _aligned(series: pd.Series, X: Table, where: str) -> pd.Series:
    """Return a Series in the order of X's rows."""
    if not isinstance(X, pd.DataFrame):
        return series
    if series.index.equals(X.index):
        return series
    if not (series.index.is_unique and X.index.is_unique):
        raise ValueError(f"{where}: its index is not that of X, and repeats labels; cannot align")
    missing = X.index.difference(series.index)
    if len(missing):
        raise ValueError(
            f"{where}: its index lacks rows of X: {listed(missing)}; give a Series indexed like "
            "X, or an array"
        )
    return series.reindex(X.index)
