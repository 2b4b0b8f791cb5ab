"""From encoded columns to the matrix that an equation is linear in."""

import warnings
from collections.abc import Hashable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from interventional.data.schema import Schema
from interventional.errors import listed
from interventional.numbers import LARGEST, Floats, are_moderate, dense

_MANY = 500  # terms from which on a matrix of levels is better a sparse one


class _Alike:
    """A design whose coefficients are the same in all rows."""

    terms: tuple[str, ...]

    @property
    def population(self) -> tuple[str, ...]:
        """The terms whose coefficients are the same in all groups of rows: all."""
        return self.terms

    @property
    def varying(self) -> tuple[Any, ...]:
        """What differs between groups of rows: nothing."""
        return ()


class TreatmentCoding(_Alike):
    """Numbers as they are; levels against the first of them, in terms like ``sex[1]``.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    pooled : tuple of int
        The columns with a term for every level, the first included: their prior says that levels
        are alike, and none of them is what others are held against.
    """

    def __init__(self, schema: Schema, pooled: tuple[int, ...] = ()):
        self.schema = schema
        self.pooled = pooled
        picks: list[tuple[int, int | None]] = []
        terms: list[str] = []
        for j, (name, levels) in enumerate(zip(schema.names, schema.levels, strict=True)):
            if levels is None:
                picks.append((j, None))
                terms.append(name)
                continue
            first = int(j not in pooled)
            for code, level in enumerate(levels[first:], start=first):
                picks.append((j, code))
                terms.append(f"{name}[{level}]")
        self.picks = tuple(picks)
        self.terms = tuple(terms)

    @property
    def structure(self) -> Hashable:
        """What two designs share if one compiled model serves both: here names and coding."""
        return (self.schema.names, self.picks)

    def matrix(self, values: Floats) -> Floats:
        """Return the design matrix of encoded rows; the very same array if all are numbers."""
        if not self.schema.with_levels:
            return values
        made = np.zeros((len(values), len(self.picks)))
        for rows, term, numbers in self._entries(values):
            made[rows, term] = numbers
        return made

    def compact(self, values: Floats) -> Any:
        """Return the design matrix of encoded rows; a sparse one where levels are many."""
        if len(self.picks) < _MANY or not self.schema.with_levels:
            return self.matrix(values)
        from scipy import sparse

        n, shape = len(values), (len(values), len(self.picks))
        parts = [
            (np.broadcast_to(x, len(rows)), np.broadcast_to(term, len(rows)), rows)
            for rows, term, x in (
                (np.arange(n)[r] if isinstance(r, slice) else r, term, x)
                for r, term, x in self._entries(values)
            )
        ]
        numbers, terms, rows = (np.concatenate(each) for each in zip(*parts, strict=True))
        return sparse.coo_array((numbers, (rows, terms)), shape=shape).tocsr()

    def _entries(self, values: Floats) -> Iterator[tuple[Any, Any, Any]]:
        """Iterate over columns: in which rows which term is which number, but zeros."""
        start = 0
        for j, of_column in groupby(self.picks, key=itemgetter(0)):
            picked = [code for _, code in of_column]
            codes = [code for code in picked if code is not None]
            if not codes:
                yield slice(None), start, values[:, j]
            else:  # one term of each row is 1, however many levels there are
                rows = np.flatnonzero((values[:, j] >= codes[0]) & (values[:, j] <= codes[-1]))
                term = values[rows, j].astype(np.intp)
                whole = term == values[rows, j]
                yield rows[whole], start + term[whole] - codes[0], 1.0
            start += len(picked)

    def sources(self, values: Floats | None) -> list[set[int]]:
        """Return for each term the one column that it comes from."""
        return [{j} for j, _ in self.picks]

    def ignores(self, j: int, values: Floats | None = None) -> bool:
        """Whether no term moves with a column: each is a term, or several."""
        return False

    def is_linear_in(self, j: int) -> bool:
        """Whether the terms are linear in a column, given the others: in numbers."""
        return self.schema.levels[j] is None

    def linear_term(self, j: int) -> int | None:
        """Return the one term that a column of numbers is."""
        return self.picks.index((j, None)) if self.is_linear_in(j) else None


class TransformedDesign(_Alike):
    """A fitted scikit-learn transformer as a design.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    transformer : transformer
        Any scikit-learn transformer; it is cloned.
    values : ndarray of shape (n, columns)
        The encoded rows to fit it to.
    """

    def __init__(self, schema: Schema, transformer: Any, values: Floats):
        from sklearn.base import clone

        if not (hasattr(transformer, "fit") and hasattr(transformer, "transform")):
            raise TypeError(
                f"design must be a scikit-learn transformer with fit and transform, "
                f"got {transformer!r}"
            )
        for part in _parts(transformer):
            if _needs_y(part):
                raise _supervised(transformer, part)
        self.schema = schema
        self.transformer = clone(transformer)
        try:
            self.transformer.fit(schema.decode(values))
        except Exception as error:
            _explain(error, schema, transformer, values)
            error.add_note(f"This is what design={transformer!r} raised when it was fitted.")
            raise
        self._values = tuple(_several(column) for column in values.T)
        self._ignored = dict[int, bool]()
        self.terms: tuple[str, ...] = ()
        width = self.matrix(values[:1]).shape[1]
        if width == 0:
            raise ValueError(f"design={transformer!r} makes no columns of these {values.shape[1]}")
        self.terms = self._names(width)

    @property
    def structure(self) -> Hashable:
        """What two designs share: nothing, as a fitted transformer is like no other."""
        return self

    def matrix(self, values: Floats) -> Floats:
        """Return what the transformer makes of encoded rows, checked."""
        made = self.transformer.transform(self.schema.decode(values))
        made = dense(made, f"what design={self.transformer!r} makes")
        try:
            matrix = np.asarray(made, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"design={self.transformer!r} must return numbers: {error}{self._text_in(made)}"
            ) from error
        if matrix.ndim != 2 or len(matrix) != len(values):
            raise ValueError(
                f"design={self.transformer!r} made an array of shape {matrix.shape} from "
                f"{len(values)} rows; a design keeps the rows and returns two dimensions"
            )
        if self.terms and matrix.shape[1] != len(self.terms):
            raise ValueError(
                f"design={self.transformer!r} made {matrix.shape[1]} columns, "
                f"{len(self.terms)} when it was fitted"
            )
        if not are_moderate(matrix):
            row, term = (int(k) for k in np.argwhere(~(np.abs(matrix) <= LARGEST))[0])
            name = self.terms[term] if self.terms else term
            raise ValueError(
                f"design={self.transformer!r} returned {matrix[row, term]} in column {name!r}, "
                f"row {row}; it must return numbers of at most {LARGEST:g} in size"
            )
        return matrix

    def sources(self, values: Floats | None) -> list[set[int]]:
        """Return for each term the columns that it moves with, found by moving each in turn."""
        assert values is not None
        rows = _some_of(values)
        before = self.matrix(rows)
        found: list[set[int]] = [set() for _ in self.terms]
        for j in range(values.shape[1]):
            for column in (np.roll(rows[:, j], 1), np.sort(rows[:, j])[::-1]):
                moved = rows.copy()
                moved[:, j] = column
                for term in np.flatnonzero((self.matrix(moved) != before).any(axis=0)):
                    found[term].add(j)
        return found

    def _text_in(self, made: Any) -> str:
        """Return in words which columns of what the transformer made hold text."""
        if np.ndim(made) != 2:
            return ""
        names = self._names(np.shape(made)[1])
        columns = zip(names, pd.DataFrame(made).items(), strict=True)
        held = [name for name, (_, c) in columns if pd.api.types.infer_dtype(c) == "string"]
        return f"; it leaves text in column {listed(held)}, which it must encode" if held else ""

    def ignores(self, j: int, values: Floats | None = None) -> bool:
        """Whether no term moves with a column among some values that fit saw, or these.

        Of a column that was constant nobody knows.
        """
        if values is not None:
            return self._same_at(j, np.append(_several(values), self._values[j][0]))
        if j not in self._ignored:
            tried = self._values[j]
            self._ignored[j] = len(tried) > 1 and self._same_at(j, tried)
        return self._ignored[j]

    def _same_at(self, j: int, tried: Floats) -> bool:
        """Whether the terms are the same whichever value a column has.

        The other columns have all kinds of combinations of values that fit saw.
        """
        rng = np.random.default_rng(0)
        rows = np.column_stack([rng.choice(values, 100) for values in self._values])
        first = None
        for value in tried:
            rows[:, j] = value
            try:
                matrix = self.matrix(rows)
            except Exception:  # of a transformer that does not take each combination
                return False
            first = matrix if first is None else first
            if not np.array_equal(matrix, first):
                return False
        return True

    def is_linear_in(self, j: int) -> bool:
        """Whether the terms are known to be linear in a column."""
        return False

    def linear_term(self, j: int) -> int | None:
        """Return the one term that a column is; nobody knows."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: what was found of columns is found again."""
        return {**vars(self), "_ignored": {}}

    def _names(self, width: int) -> tuple[str, ...]:
        try:
            names = [str(name) for name in self.transformer.get_feature_names_out()]
        except (AttributeError, ValueError, TypeError):
            names = []
        if len(names) != width or len(set(names)) != width:
            names = [f"design{k}" for k in range(width)]
        return tuple(names)


def _parts(transformer: Any) -> Iterator[Any]:
    """Iterate over what a transformer is composed of, however nested, and itself."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline

    held: list[Any] = []
    if isinstance(transformer, Pipeline):
        held = [part for _, part in transformer.steps]
    elif isinstance(transformer, FeatureUnion):
        held = [part for _, part in transformer.transformer_list]
    elif isinstance(transformer, ColumnTransformer):
        held = [*(part for _, part, _ in transformer.transformers), transformer.remainder]
    for part in held:
        yield from _parts(part)
    yield transformer


def _needs_y(part: Any) -> bool:
    """Whether a transformer says that it needs y; one that is made of others knows not."""
    from sklearn.utils import get_tags

    return hasattr(part, "fit") and get_tags(part).target_tags.required


def _supervised(design: Any, part: Any = None) -> ValueError:
    held = "" if part is None or part is design else f"holds {part!r}, which "
    return ValueError(
        f"design={design!r} {held}needs y to be fitted; a design may depend on X alone"
    )


def _explain(error: Exception, schema: Schema, transformer: Any, values: Floats) -> None:
    """Raise what a transformer's own error is about, where trying tells: y, or text.

    It is fitted again with what it may have lacked: outcomes, of which any will do; and with
    levels as numbers, of one column at a time.
    """

    def works(rows: Any, *y: Any) -> bool:
        from sklearn.base import clone

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                clone(transformer).fit(rows, *y)
        except Exception:
            return False
        return True

    rows = schema.decode(values)
    if works(rows, np.arange(len(values)) % 2):
        raise _supervised(transformer) from error
    if not isinstance(rows, pd.DataFrame) or not schema.with_levels:
        return
    coded = pd.DataFrame(values, columns=rows.columns)
    if not works(coded):
        return
    text = []
    for j, levels in enumerate(schema.levels):
        one = coded.copy(deep=False)
        one.isetitem(j, rows.iloc[:, j].array)
        if levels is not None and not works(one):
            text.append(schema.names[j])
    raise TypeError(
        f"design={transformer!r} takes numbers, and column {listed(text)} holds levels: {error}. "
        "Encode it in the design, as make_column_transformer((OneHotEncoder(drop='first'), "
        f"{text!r}), ...) does"
    ) from error


def _some_of(values: Floats) -> Floats:
    """Return up to 200 of the rows, and those in which a column is smallest or largest."""
    spread = np.linspace(0, len(values) - 1, min(len(values), 200)).astype(np.intp)
    extremes = [values.argmin(axis=0), values.argmax(axis=0)]  # a rare level counts too
    return values[np.unique(np.concatenate([spread, *extremes]))]


def _several(values: Floats) -> Floats:
    """Return up to ten of the values that there are, the smallest and the largest among them."""
    found = np.unique(values)
    return found[np.unique(np.linspace(0, len(found) - 1, 10).astype(np.intp))]


# What makes columns of encoded ones, the same in all rows.
PlainDesign = TreatmentCoding | TransformedDesign


def make_design(
    schema: Schema,
    transformer: Any,
    values: Floats | None,
    pooled: tuple[int, ...] = (),
) -> PlainDesign:
    """Return the design of a model: by dtype, or a clone of `transformer` fitted to the rows."""
    if transformer is None:
        return TreatmentCoding(schema, pooled)
    assert values is not None
    return TransformedDesign(schema, transformer, values)
