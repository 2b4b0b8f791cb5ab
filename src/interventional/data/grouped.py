"""Designs whose coefficients differ between groups of rows: intercepts and slopes by level."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.data.design import PlainDesign, make_design
from interventional.data.groups import Grouping
from interventional.data.schema import Schema
from interventional.errors import UndeterminedError, unknown
from interventional.numbers import Floats

_SPARSE = 100  # terms of levels from which on a matrix is a sparse one
_SHARE = 1e-9  # of the squares of a term that is rounding


@dataclass(frozen=True, eq=False)
class Varying:
    """Coefficients that differ between groups: an intercept, and slopes of terms.

    The intercept is that at the slopes' centers, so that moving a column changes nothing.

    Attributes
    ----------
    name : str
        What the groups are called.
    columns : tuple of int
        Positions of their columns.
    levels : tuple of tuple of str
        What the levels of each column are called.
    keys : ndarray of shape (J,)
        The combinations of levels that occur, each as one number, in order.
    slopes : tuple of int
        Positions of the terms that slopes are of.
    effects : tuple of str
        ``"intercept"``, and what these terms are called.
    centers : ndarray of shape (len(slopes),)
        Where the terms are 0.
    """

    name: str
    columns: tuple[int, ...]
    levels: tuple[tuple[str, ...], ...]
    keys: NDArray[np.intp]
    slopes: tuple[int, ...]
    effects: tuple[str, ...]
    centers: Floats

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many levels each column has."""
        return tuple(len(levels) for levels in self.levels)

    @property
    def is_complete(self) -> bool:
        """Whether all combinations of levels occur."""
        return len(self.keys) == int(np.prod(self.sizes))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What the groups are called."""
        return self._called(self.keys)

    def _called(self, keys: NDArray[np.intp]) -> tuple[str, ...]:
        """Return what combinations of levels are called."""
        codes = np.unravel_index(keys, self.sizes)
        names = [[called[k] for k in c] for called, c in zip(self.levels, codes, strict=True)]
        return tuple(":".join(parts) for parts in zip(*names, strict=True))

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """What the coefficients are called, effect by effect: ``store[A]``, ``store[A]:price``."""
        ends = ["", *(f":{effect}" for effect in self.effects[1:])]
        return tuple(f"{self.name}[{label}]{end}" for end in ends for label in self.labels)

    @property
    def shape(self) -> tuple[int, int]:
        """How many effects there are, and groups."""
        return len(self.effects), len(self.keys)

    def codes(self, values: Floats) -> NDArray[np.intp]:
        """Return which group each of some encoded rows belongs to, (n,).

        Raises
        ------
        ValueError
            If one belongs to none: a combination of levels that did not occur.
        """
        keys = self.keyed(values)
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        strays = self.keys[found] != keys
        if strays.any():
            row = int(np.argmax(strays))
            (stray,) = self._called(keys[[row]])
            raise ValueError(
                f"row {row} is of the group {stray!r} of {self.name!r}, that no row of fit was "
                "of; unseen_levels='population' draws it from the population of groups"
            )
        return found

    def keyed(self, values: Floats) -> NDArray[np.intp]:
        """Return the combination of levels of each row as one number."""
        return np.ravel_multi_index(
            tuple(values[:, j].astype(np.intp) for j in self.columns), self.sizes
        ).astype(np.intp)

    def factors(self, population: Floats) -> Floats:
        """Return what the coefficients of a row's group are multiplied by, (n, effects)."""
        slopes = population[:, list(self.slopes)] - self.centers
        return np.column_stack([np.ones(len(population)), slopes])


@dataclass(frozen=True, eq=False)
class Means:
    """The means of a term in each group: a term that has one value a group.

    Attributes
    ----------
    term : int
        Position of the term.
    group : int
        Position of the groups.
    values : ndarray of shape (J,)
        The mean in each group, less the mean of all rows; 0 for groups that no row was of.
    """

    term: int
    group: int
    values: Floats


class GroupedDesign:
    """A design of all rows, and coefficients that differ between groups beside it.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    base : PlainDesign
        The design of the columns that are no groups'.
    varying : sequence of Varying
        What differs between groups.
    means : sequence of Means
        Group means that are terms too.
    """

    def __init__(
        self,
        schema: Schema,
        base: PlainDesign,
        varying: Sequence[Varying],
        means: Sequence[Means] = (),
    ):
        self.schema = schema
        self.base = base
        self.varying = tuple(varying)
        self.means = tuple(means)
        own = {j for part in self.varying for j in part.columns}
        self.others = tuple(j for j in range(len(schema.names)) if j not in own)
        named = [f"{base.terms[m.term]}|{self.varying[m.group].name}" for m in self.means]
        self.population = (*base.terms, *named)
        self.terms = sum((part.terms for part in self.varying), self.population)

    @classmethod
    def of(
        cls,
        schema: Schema,
        transformer: Any,
        groupings: Sequence[Grouping],
        values: Floats,
        weights: Floats | None,
        pooled: tuple[int, ...] = (),
        *,
        within: bool = False,
        alone: bool = False,
    ) -> "GroupedDesign":
        """Return the design of rows.

        Parameters
        ----------
        schema : Schema
            What the columns are.
        transformer : transformer or None
            The user's design of the columns that are no groups'.
        groupings : sequence of Grouping
            What differs between which groups.
        values : ndarray of shape (n, columns)
            Encoded rows.
        weights : ndarray of shape (n,) or None
            Their frequencies.
        pooled : tuple of int
            Other columns with a term for every level, as in `TreatmentCoding`.
        within : bool, default False
            Whether the means of terms in each group are terms too.
        alone : bool, default False
            Whether groups may be of one row each: what they differ by is told from the noise where
            something is known of that.
        """
        own = {name for grouping in groupings for name in grouping.columns}
        others = [j for j, name in enumerate(schema.names) if name not in own]
        rows = values[:, others]
        full = tuple(others.index(j) for j in pooled if j in others)
        base = make_design(schema.subset(others), transformer, rows, full)
        matrix = base.matrix(rows)
        counts = np.ones(len(matrix)) if weights is None else weights
        center = counts @ matrix / counts.sum()  # of no terms, where all columns are of groups
        varying = [_varying(schema, base, g, values, rows, center, alone) for g in groupings]
        means: list[Means] = []
        for k, part in enumerate(varying if within else ()):
            means += _means(matrix - center, part.codes(values), len(part.keys), weights, k)
        return cls(schema, base, varying, means)

    @property
    def structure(self) -> Hashable:
        """What two designs share if one compiled model serves both: nothing."""
        return self

    def matrix(self, values: Floats) -> Any:
        """Return the design matrix of encoded rows; a sparse one where groups are many."""
        population = self.of_population(values)
        parts = [self.of_groups(k, values, population) for k in range(len(self.varying))]
        if len(self.terms) - len(self.population) <= _SPARSE:
            return np.hstack([population, *(part.toarray() for part in parts)])
        from scipy import sparse

        return sparse.hstack([sparse.csr_array(population), *parts], format="csr")

    def of_population(self, values: Floats) -> Floats:
        """Return the terms whose coefficients are the same in all groups, (n, terms)."""
        base = self.base.matrix(values[:, self.others])
        if not self.means:
            return base
        codes = [part.codes(values) for part in self.varying]
        return np.column_stack([base, *(m.values[codes[m.group]] for m in self.means)])

    def of_groups(self, k: int, values: Floats, population: Floats) -> Any:
        """Return the terms of one kind of groups, sparse, (n, effects * groups)."""
        from scipy import sparse

        part = self.varying[k]
        n, (n_effects, n_groups) = len(values), part.shape
        columns = part.codes(values)[:, None] + n_groups * np.arange(n_effects)
        at = np.arange(0, n * n_effects + 1, n_effects)
        held = part.factors(population).ravel(), columns.ravel(), at
        return sparse.csr_array(held, shape=(n, n_effects * n_groups))

    def span(self, k: int) -> slice:
        """Return where the terms of one kind of groups stand."""
        start = len(self.population) + sum(len(part.terms) for part in self.varying[:k])
        return slice(start, start + len(self.varying[k].terms))

    def sources(self, values: Floats | None) -> list[set[int]]:
        """Return for each term the columns that it comes from."""
        rows = None if values is None else values[:, self.others]
        base = [{self.others[j] for j in found} for found in self.base.sources(rows)]
        found = [*base, *({*self.varying[m.group].columns} for m in self.means)]
        for part in self.varying:
            own = set(part.columns)
            for slope in (None, *part.slopes):
                found += [own if slope is None else own | base[slope]] * len(part.keys)
        return found

    def ignores(self, j: int, values: Floats | None = None) -> bool:
        """Whether no term moves with a column."""
        return j in self.others and self.base.ignores(self.others.index(j), values)

    def is_linear_in(self, j: int) -> bool:
        """Whether the terms are linear in a column, given the others."""
        return j in self.others and self.base.is_linear_in(self.others.index(j))

    def linear_term(self, j: int) -> int | None:
        """Return the one term that a column of numbers is, where no other moves with it."""
        term = self.base.linear_term(self.others.index(j)) if j in self.others else None
        return None if any(term in part.slopes for part in self.varying) else term

    def grown(self, schema: Schema, fresh: Sequence[NDArray[np.intp]]) -> "GroupedDesign":
        """Return the design with groups more.

        Parameters
        ----------
        schema : Schema
            What the columns are; it may have levels more, after those that there were.
        fresh : sequence of ndarray
            For each kind of groups the combinations of levels that are new, one number each.
        """
        varying, means = [], list(self.means)
        for k, (part, more) in enumerate(zip(self.varying, fresh, strict=True)):
            wider = replace(part, levels=levels_of(schema, part.columns))
            old = np.ravel_multi_index(np.unravel_index(part.keys, part.sizes), wider.sizes)
            keys = np.concatenate([old, more]).astype(np.intp)
            order = np.argsort(keys)
            varying.append(replace(wider, keys=keys[order]))
            for i, m in enumerate(means):
                if m.group == k:  # of a group that nobody has seen the mean is that of all rows
                    padded = np.concatenate([m.values, np.zeros(len(more))])
                    means[i] = replace(m, values=padded[order])
        return GroupedDesign(schema, self.base, varying, means)


def _varying(
    schema: Schema,
    base: PlainDesign,
    grouping: Grouping,
    values: Floats,
    rows: Floats,
    center: Floats,
    alone: bool,
) -> Varying:
    """Return what differs between some groups, as the rows have it."""
    columns = tuple(schema.names.index(name) for name in grouping.columns)
    levels = levels_of(schema, columns)
    empty = Varying(grouping.name, columns, levels, np.zeros(0, dtype=np.intp), (), (), center)
    keys, counts = np.unique(empty.keyed(values), return_counts=True)
    if counts.max() == 1 and not alone:
        raise UndeterminedError(
            f"groups: no two rows are of one group of {grouping.name!r}, so that nothing can be "
            "learnt of groups; is it a label of rows, or a number that is no label? Where sigma "
            "is known, say so: by its prior, or by noise="
        )
    others = {*schema.names} - {*base.schema.names}
    for name in grouping.slopes:
        if name in others and name not in base.terms:
            raise ValueError(
                f"groups[{grouping.name!r}]: {name!r} is a column of groups too, which have no "
                f"slope; groups[{(*grouping.columns, name)!r}] lets combinations differ"
            )
    found = (t for name in grouping.slopes for t in _of(name, grouping, base, rows))
    slopes = tuple(dict.fromkeys(found))
    effects = ("intercept", *(base.terms[term] for term in slopes))
    return replace(empty, keys=keys, slopes=slopes, effects=effects, centers=center[list(slopes)])


def levels_of(schema: Schema, columns: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    """Return what the levels of some columns are called."""
    return tuple(tuple(str(level) for level in schema.categories(j)) for j in columns)


def _of(name: str, grouping: Grouping, base: PlainDesign, rows: Floats) -> list[int]:
    """Return the terms that a user means: those of a column alone, or one by its name."""
    if name in base.schema.names:
        alone = {base.schema.names.index(name)}
        found = [k for k, source in enumerate(base.sources(rows)) if source == alone]
        if found:
            return found
    if name in base.terms:
        return [base.terms.index(name)]
    if name in base.schema.names:
        raise UndeterminedError(
            f"groups[{grouping.name!r}]: no term of the design comes from {name!r} alone; name "
            "the terms whose slopes differ"
        )
    known = dict.fromkeys((*base.schema.names, *base.terms))
    raise ValueError(f"groups[{grouping.name!r}]: {unknown('column or term', name, known)}")


def _means(
    centred: Floats, codes: NDArray[np.intp], n_groups: int, weights: Floats | None, group: int
) -> list[Means]:
    """Return the means of all terms that differ both within and between groups."""
    counts = np.ones(len(codes)) if weights is None else weights
    size = np.bincount(codes, counts, n_groups)
    found = []
    for term, column in enumerate(centred.T):
        mean = np.bincount(codes, counts * column, n_groups) / size
        total = float(counts @ np.square(column))
        between = float(size @ np.square(mean))
        within = float(counts @ np.square(column - mean[codes]))
        if min(between, within) > _SHARE * total > 0:
            found.append(Means(term, group, mean))
    return found
