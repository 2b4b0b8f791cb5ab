"""What `do` may be: parsed once, here, into what each column is forced to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interventional.answers.samples import Chunked
from interventional.data.frames import as_array
from interventional.data.schema import Schema
from interventional.data.table import Table, position_of, refuse_masked
from interventional.numbers import LARGEST, OF_FORCED, Floats, are_moderate, is_large

Forced = Floats | Chunked  # what a column of the model is forced to


@dataclass(frozen=True, eq=False)
class Drawn(Chunked):
    """A frozen distribution, drawn from for each row and posterior draw.

    Attributes
    ----------
    distribution : rv_generic
        The family of `scipy.stats`.
    parameters : dict
        Its parameters by name or position, arrays that broadcast to (n_draws, n).
    n_draws, n : int
        Number of posterior draws and of rows.
    key : tuple of int
        Which random numbers: equal keys give equal draws.
    where : str
        Where the distribution stood, for messages.
    schema : Schema, optional
        What the columns of the model are, where these are draws as it takes them: numbers, or
        codes of levels. Without it they are as the user means them.
    """

    distribution: Any
    parameters: Mapping[int | str, NDArray[Any]]
    n_draws: int
    n: int
    key: tuple[int, int]
    where: str
    schema: Schema | None = None

    def chunk(self, k: int, rows: slice) -> NDArray[Any]:
        """Return the draws for the k-th chunk of rows."""
        here = {
            name: value[..., rows] if value.ndim and value.shape[-1] == self.n else value
            for name, value in self.parameters.items()
        }
        args = [here[name] for name in here if isinstance(name, int)]
        named = {name: value for name, value in here.items() if isinstance(name, str)}
        size = (self.n_draws, rows.stop - rows.start)
        rng = np.random.default_rng([self.key[0], OF_FORCED, self.key[1], k])
        try:
            with np.errstate(over="ignore"):  # infinity is refused later on
                drawn = self.distribution.rvs(*args, **named, size=size, random_state=rng)
        except ValueError as error:  # parameters that the family does not allow
            raise ValueError(f"{self.where}: {error}") from error
        if self.schema is None:
            return np.asarray(drawn)
        return _codes(drawn, self.schema, self.key[1], self.where)

    def thinned(self, n_draws: int) -> "Drawn":
        """Return fewer draws from the same distribution."""
        own = {
            name: value[:n_draws] if value.ndim == 2 and len(value) == self.n_draws else value
            for name, value in self.parameters.items()
        }
        return replace(self, parameters=own, n_draws=n_draws)


def parse_do(
    do: Mapping[Any, Any],
    table: Table,
    columns: Schema | Table,
    n_draws: int,
    seed: int,
    outcome: str | None = None,
) -> dict[int, Any]:
    """Return what each column is forced to as the user means it, by position.

    All entries read the rows as they were before the intervention.

    Parameters
    ----------
    do : mapping
        Column to a number or level, an array or Series of n, a callable of X that returns one of
        these, or a frozen `scipy.stats` distribution.
    table : Table
        The rows.
    columns : Schema or Table
        Whose columns are forced.
    n_draws : int
        How many posterior draws there are; a distribution is drawn from for each and every row.
    seed : int
        Source of such draws.
    outcome : str, optional
        Name of the outcome, which cannot be forced.

    Returns
    -------
    dict
        A scalar, an array-like of n, or a `Drawn`.
    """
    return {
        j: forced_values(what, table, f"do[{columns.names[j]!r}]", n_draws, (seed, j))
        for j, what in forced_columns(do, columns, outcome).items()
    }


def encoded(meant: Mapping[int, Any], schema: Schema, n: int, n_draws: int) -> dict[str, Forced]:
    """Return what columns of the model are forced to, by name, not shared with the user.

    Parameters
    ----------
    meant : mapping
        What `parse_do` returns.
    schema : Schema
        What the columns are.
    n, n_draws : int
        Number of rows and of posterior draws.
    """
    forced: dict[str, Forced] = {}
    for j, what in meant.items():
        name = schema.names[j]
        if isinstance(what, Drawn):
            forced[name] = drawn = replace(what, schema=schema)
            if is_large(n_draws, n):  # few are drawn at once, and fail at once
                drawn.first_chunk()
        else:
            # A copy: what is computed later does not follow what becomes of the user's array.
            forced[name] = np.array(np.broadcast_to(_codes(what, schema, j, f"do[{name!r}]"), n))
    return forced


def forced_columns(
    do: Mapping[Any, Any], columns: Schema | Table, outcome: str | None = None
) -> dict[int, Any]:
    """Return the entries of `do` by the position of the column that each forces, in its order.

    Parameters
    ----------
    do, columns, outcome
        As in `parse_do`.
    """
    if not isinstance(do, Mapping):
        raise TypeError(
            f"do must be a mapping from columns to what they are forced to, got {do!r}"
        )
    if not do:
        raise ValueError(
            "do is empty; to predict without forcing anything, use predict(X), or for draws and "
            "intervals predict_outcomes(X)"
        )
    found: dict[int, Any] = {}
    for key, what in do.items():
        if outcome is not None and key == outcome and outcome not in columns.names:
            raise ValueError(f"do: {outcome!r} is the outcome; force its causes instead")
        try:
            j = position_of(key, columns.labels, columns.names)
        except ValueError as error:
            raise ValueError(f"do: {error}") from None
        if j in found:
            raise ValueError(f"do forces column {columns.names[j]!r} twice")
        found[j] = what
    return found


def refuse_empty_baseline(baseline: Mapping[Any, Any] | None) -> None:
    """Refuse a baseline that forces nothing."""
    if isinstance(baseline, Mapping) and not baseline:
        raise ValueError(
            "baseline is empty; leave it out to compare with the same columns as observed"
        )


def columns_read(do: Mapping[Any, Any], table: Table) -> list[int]:
    """Return the positions of the columns that the policies in `do` compute forced values from.

    Each column in turn is moved; what then comes out otherwise has been read. A policy that fails
    on moved rows, or answers the same rows in two ways, counts as reading what it may have read.

    Parameters
    ----------
    do : mapping
        As in `parse_do`, and known to be valid.
    table : Table
        The rows.
    """
    policies = [what for what in do.values() if callable(what)]
    if not policies or len(table) < 2:
        return []

    def answers(rows: Table) -> list[NDArray[Any]] | None:
        try:
            values = [forced_values(policy, rows, "do", 1, (0, 0)) for policy in policies]
            return [
                each.held() if isinstance(each, Drawn) else np.asarray(each) for each in values
            ]
        except Exception:
            return None

    before, moved = answers(table), np.roll(np.arange(len(table)), 1)
    read = []
    for j in range(len(table.names)):
        after = answers(table.reordered([j], moved))
        if before is None or after is None or not all(map(np.array_equal, before, after)):
            read.append(j)
    return read


def describe(do: Mapping[Any, Any]) -> str:
    """Return an intervention in words, as in ``b = 0, price = f(X)``."""
    return ", ".join(f"{key} = {_in_words(what)}" for key, what in do.items())


def _in_words(what: Any) -> str:
    if is_distribution(what):
        return f"a draw from {what.dist.name}"
    if callable(what):
        name = getattr(what, "__name__", "f")
        return f"{name if name.isidentifier() else 'f'}(X)"
    return repr(what) if isinstance(what, str) else f"{what}" if np.ndim(what) == 0 else "values"


def _codes(values: ArrayLike, schema: Schema, j: int, where: str) -> Floats:
    column = schema.encode_column(j, values, where)
    if not are_moderate(column):
        strays = ~(np.abs(column) <= LARGEST)
        at = f" in row {int(np.argmax(strays))}" if column.ndim == 1 else ""
        raise ValueError(
            f"{where} holds {column[strays].ravel()[0]}{at}; a column can only be forced to "
            f"finite values, of at most {LARGEST:g} in size"
        )
    return column


def forced_values(what: Any, table: Table, where: str, n_draws: int, key: tuple[int, int]) -> Any:
    """Return what a column is forced to as the user means it: a scalar, n values, or `Drawn`.

    `key` is the source of draws from a distribution: a seed, and the position of the column.
    """
    n = len(table)
    if callable(what):
        what = _called(what, table, where)
    if is_distribution(what):
        return _drawn(what, table, where, n_draws, key)
    what = table.aligned(what, where) if isinstance(what, pd.Series) else as_array(what)
    refuse_masked(what, where)
    if isinstance(what, Iterator):
        raise TypeError(f"{where} is {type(what).__name__}, which is used up; give a list of it")
    if what is None or isinstance(what, Mapping | set | pd.DataFrame):
        raise TypeError(
            f"{where} is {type(what).__name__}; allowed are a number or level, an array or "
            "Series, a callable of X, or a frozen scipy distribution"
        )
    try:
        found = np.shape(what)
    except ValueError as error:  # a ragged list
        raise ValueError(f"{where}: {error}; allowed are a scalar or shape {(n,)}") from None
    if found not in ((), (n,)):
        raise ValueError(f"{where} has shape {found}; allowed are a scalar or {(n,)}")
    return what


def _drawn(what: Any, table: Table, where: str, n_draws: int, key: tuple[int, int]) -> Drawn:
    """Return the draws of a frozen distribution, whose parameters are one a row or one for all."""
    n = len(table)
    parameters = {
        name: np.array(
            table.aligned(value, where) if isinstance(value, pd.Series) else as_array(value)
        )
        for name, value in (*enumerate(what.args), *what.kwds.items())
    }
    for name, value in parameters.items():
        try:
            fits = np.broadcast_shapes(value.shape, (n_draws, n)) == (n_draws, n)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"{where}: parameter {name!r} of the distribution has shape {value.shape}; "
                f"allowed are a scalar or {(n,)}"
            )
    return Drawn(what.dist, parameters, n_draws, n, key, where)


def is_distribution(what: Any) -> bool:
    """Whether something is a frozen `scipy.stats` distribution."""
    return hasattr(what, "rvs") and hasattr(what, "dist")


def _called(function: Callable[[Any], Any], table: Table, where: str) -> Any:
    """Call a policy with X, in the manner of `DataFrame.assign`, and check what it returns."""
    if hasattr(function, "rvs"):
        raise TypeError(
            f"{where}: freeze the distribution, as in scipy.stats.norm(loc=0, scale=1)"
        )
    try:
        result = function(table.shown())
    except Exception as error:
        error.add_note(f"This is what the callable of {where} raised, called with X.")
        raise
    if result is None or callable(result):
        raise TypeError(
            f"{where}: the callable returned {result!r}; it must return a column: a scalar, an "
            "array or a Series"
        )
    return result
