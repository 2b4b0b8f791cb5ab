"""What `do` may be: parsed once, here, into what each column is forced to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interventional.answers.samples import Chunked
from interventional.data.reading import refuse_masked
from interventional.data.schema import Schema
from interventional.errors import listed
from interventional.numbers import LARGEST, Floats, are_moderate, is_large

Table = pd.DataFrame | NDArray[Any]
Forced = Floats | Chunked
_STREAM = 1 << 20  # of random numbers: none that regenerated columns and outcomes take


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
    """

    distribution: Any
    parameters: Mapping[int | str, NDArray[Any]]
    n_draws: int
    n: int
    key: tuple[int, ...]
    where: str

    def chunk(self, k: int, rows: slice) -> NDArray[Any]:
        """Return the draws for the k-th chunk of rows, not yet encoded."""
        here = {
            name: value[..., rows] if value.ndim and value.shape[-1] == self.n else value
            for name, value in self.parameters.items()
        }
        args = [here[name] for name in here if isinstance(name, int)]
        named = {name: value for name, value in here.items() if isinstance(name, str)}
        size = (self.n_draws, rows.stop - rows.start)
        rng = np.random.default_rng([self.key[0], _STREAM, self.key[1], k])
        try:
            with np.errstate(over="ignore"):  # infinity is refused later on
                drawn = self.distribution.rvs(*args, **named, size=size, random_state=rng)
            return np.asarray(drawn)
        except ValueError as error:  # parameters that the family does not allow
            raise ValueError(f"{self.where}: {error}") from error

    def thinned(self, n_draws: int) -> "Drawn":
        """Return fewer draws from the same distribution."""
        own = {
            name: value[:n_draws] if value.ndim == 2 and len(value) == self.n_draws else value
            for name, value in self.parameters.items()
        }
        return replace(self, parameters=own, n_draws=n_draws)


@dataclass(frozen=True, eq=False)
class Encoded(Chunked):
    """Draws of a distribution as the model takes them: numbers, or codes of levels."""

    drawn: Drawn
    schema: Schema
    j: int

    @property
    def n_draws(self) -> int:  # type: ignore[override]
        """How many draws there are."""
        return self.drawn.n_draws

    @property
    def n(self) -> int:  # type: ignore[override]
        """How many rows there are."""
        return self.drawn.n

    def chunk(self, k: int, rows: slice) -> Floats:
        """Return the encoded draws for the k-th chunk of rows."""
        return _encoded(self.drawn.chunk(k, rows), self.schema, self.j, self.drawn.where)

    def thinned(self, n_draws: int) -> "Encoded":
        """Return fewer draws from the same distribution."""
        return replace(self, drawn=self.drawn.thinned(n_draws))


def parse_do(
    do: Mapping[Any, Any],
    X: Table,
    schema: Schema,
    values: Floats,
    outcome: str,
    n_draws: int,
    seed: int,
) -> dict[str, Forced]:
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
    seed : int
        Source of such draws.

    Returns
    -------
    dict
        Arrays of shape (n,), not shared with the user; for a distribution its draws.
    """
    names = forced_names(do, schema, outcome)
    return {
        name: _forced(what, X, schema, schema.names.index(name), len(values), n_draws, seed)
        for name, what in zip(names, do.values(), strict=True)
    }


def forced_names(do: Mapping[Any, Any], schema: Schema, outcome: str) -> list[str]:
    """Return the names of the columns that `do` forces, in its order.

    Parameters
    ----------
    do : mapping
        As in `parse_do`.
    schema : Schema
        What the columns are.
    outcome : str
        Name of the outcome, which cannot be forced.
    """
    if not isinstance(do, Mapping):
        raise TypeError(
            f"do must be a mapping from columns to what they are forced to, got {do!r}"
        )
    if not do:
        raise ValueError("do is empty; to predict without forcing anything, use predict(X)")
    names: list[str] = []
    for key in do:
        if key == outcome and outcome not in schema.names:
            raise ValueError(f"do: {outcome!r} is the outcome; force its causes instead")
        try:
            name = schema.names[schema.position(key)]
        except ValueError as error:
            raise ValueError(f"do: {error}") from None
        if name in names:
            raise ValueError(f"do forces column {name!r} twice")
        names.append(name)
    return names


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
        try:
            values = [
                forced_values(policy, rows, "do", len(rows), 1, (0, 0)) for policy in policies
            ]
            return [
                each.held() if isinstance(each, Drawn) else np.asarray(each) for each in values
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
    what: Any, X: Table, schema: Schema, j: int, n: int, n_draws: int, seed: int
) -> Forced:
    """Return what column j is forced to, encoded."""
    where = f"do[{schema.names[j]!r}]"
    what = forced_values(what, X, where, n, n_draws, (seed, j))
    if isinstance(what, Drawn):
        encoded = Encoded(what, schema, j)
        if is_large(n_draws, n):  # few are drawn at once, and fail at once
            encoded.first_chunk()
        return encoded
    # A copy: answers that are computed later do not follow what becomes of the user's array.
    return np.array(np.broadcast_to(_encoded(what, schema, j, where), n))


def _encoded(values: ArrayLike, schema: Schema, j: int, where: str) -> Floats:
    column = schema.encode_column(j, values, where)
    if not are_moderate(column):
        bad = column[~(np.abs(column) <= LARGEST)].ravel()[0]
        raise ValueError(
            f"{where} holds {bad}; a column can only be forced to finite values, of at most "
            f"{LARGEST:g} in size"
        )
    return column


def forced_values(
    what: Any, X: Table, where: str, n: int, n_draws: int, key: tuple[int, int]
) -> "ArrayLike | Drawn":
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
    key : tuple of int
        Source of draws from a distribution: a seed, and the position of the column.

    Returns
    -------
    scalar, array-like of shape (n,), or Drawn
    """
    if callable(what):
        what = _called(what, X, where)
    if _is_distribution(what):
        return _drawn(what, X, where, n, n_draws, key)
    if isinstance(what, pd.Series):
        what = aligned(what, X, where)
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


def _drawn(what: Any, X: Table, where: str, n: int, n_draws: int, key: tuple[int, int]) -> Drawn:
    """Return the draws of a frozen distribution, whose parameters are one a row or one for all."""
    parameters = {
        name: np.array(aligned(value, X, where) if isinstance(value, pd.Series) else value)
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
    try:
        result = function(rows)
    except Exception as error:
        error.add_note(f"This is what the callable of {where} raised, called with X.")
        raise
    if result is None or callable(result):
        raise TypeError(
            f"{where}: the callable returned {result!r}; it must return a column: a scalar, an "
            "array or a Series"
        )
    return result


def aligned(series: pd.Series, X: Table, where: str) -> pd.Series:
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
