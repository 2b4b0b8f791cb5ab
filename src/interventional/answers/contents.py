"""What `Outcomes` hold: samples, which rows and draws they are of, and on which scale."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interventional.answers.arithmetic import Arithmetic
from interventional.answers.law import RowLaws, one_below_the_other
from interventional.answers.population import (
    NOT_KNOWN,
    Populations,
    over_population,
)
from interventional.answers.samples import Groups, Held, Samples, averages
from interventional.answers.support import MADE_BY_HAND, Support
from interventional.data.frames import as_array, as_pandas
from interventional.data.reading import refuse_masked
from interventional.errors import listed, unknown
from interventional.numbers import Floats

Shape = tuple[int, int]
Scale = Literal["outcome", "ratio", "mixed"]
_SHOWN = 3  # labels of many


@dataclass(frozen=True, eq=False)
class Averages:
    """The averages of some rows by group, to which those of other rows can be added.

    Attributes
    ----------
    values : ndarray of shape (n_draws, groups)
        The average of each group in each draw; anything where it has no weight.
    labels, totals, unit
        As in `Groups`.
    scale : {"outcome", "ratio", "mixed"}
        What has been averaged.
    n : int
        How many rows there are.
    population : str
        Of the population of which groups they are, in words: nothing if of these very groups.
    known : RowLaws, optional
        What is known of each without draws.
    """

    values: Floats
    labels: Any
    totals: Floats
    unit: float
    scale: Scale
    n: int
    population: str = ""
    known: RowLaws | None = None

    @property
    def named(self) -> tuple[pd.Index, tuple[Hashable, ...]]:
        """The groups as labels of rows; and the columns whose values those hold, if several."""
        if not isinstance(self.labels, pd.DataFrame):
            return pd.Index(np.asarray(self.labels)), ()
        flat = pd.MultiIndex.from_frame(self.labels).to_flat_index()
        return flat, tuple(self.labels.columns)

    def __add__(self, other: "Averages") -> "Averages":
        """Return the averages of both one's rows and the other's: those of the averages."""
        both, unit = (self, other), max(self.unit, other.unit)
        weights = np.concatenate([each.totals * (each.unit / unit) for each in both])
        groups = Groups.of(weights, _labels_of_both(self.labels, other.labels))
        values = Held(np.hstack([each.values for each in both])).average(groups)
        known = one_below_the_other([each.known for each in both])
        return replace(
            self,
            values=values,
            labels=groups.labels,
            totals=groups.totals,
            unit=groups.unit * unit,
            n=self.n + other.n,
            known=None if known is None else averages(known, groups),
        )


@dataclass(frozen=True, eq=False)
class Contents:
    """Samples, and which rows and draws they are of.

    Attributes
    ----------
    samples : Samples
        Samples of shape (chains * draws, n).
    shape : tuple of int
        Chains, and draws of each.
    labels : Index of length n
        The labels of the rows; tuples, of groups by several columns.
    covariates : DataFrame, optional
        The rows' columns as they were observed.
    posterior : str, optional
        A fingerprint: contents with the same one are paired draw by draw.
    support : Support or str
        How well the data support each row; a str says why that is not known.
    scale : {"outcome", "ratio", "mixed"}
        Whether they are outcomes, ratios of two of them, or any other contrast.
    is_averaged : bool
        Whether they are of averages or sums over rows, and of no row of a table.
    levels : tuple, optional
        What the columns are called whose values such tuples hold.
    follow : frozenset
        Columns that the intervention changes, or the outcome: no groups that can be averaged over.
    population : Populations or str
        What the samples are of the population of the rows' groups, which nothing is computed of
        before it is asked for; a str says why that is not known.
    """

    samples: Samples
    shape: Shape
    labels: pd.Index
    covariates: pd.DataFrame | None = None
    posterior: str | None = None
    support: Support | str = MADE_BY_HAND
    scale: Scale = "outcome"
    is_averaged: bool = False
    levels: tuple[Hashable, ...] = ()
    follow: frozenset[Hashable] = frozenset()
    population: Populations | str = NOT_KNOWN

    @property
    def index(self) -> pd.Index:
        """The labels of the rows as those of a table."""
        if self.levels:
            return pd.MultiIndex.from_tuples(self.labels, names=self.levels)
        return self.labels.rename(None)

    def averages(
        self,
        weights: ArrayLike | None = None,
        by: Hashable | ArrayLike | None = None,
        population: Hashable | list[Hashable] | None = None,
    ) -> Averages:
        """Return averages over the rows, with weights and by groups as the user gives them.

        Those over a population are such of samples of it.
        """
        n = len(self.labels)
        weight = np.ones(n) if weights is None else self.by_row(weights, "weights", np.float64)
        if not np.all(np.isfinite(weight)) or np.any(weight < 0):
            raise ValueError("weights must be finite and not negative")
        frame = as_pandas(by)
        if frame is not None and frame is not by and len(frame) == n:  # another package's
            by = frame.set_axis(self.labels)
        if isinstance(by, list) and (len(by) != n or self._are_columns(by)):
            by = self.columns(by)
        if isinstance(by, pd.DataFrame):
            groups = Groups.of(weight, self._groups_by_several(by))
        else:
            groups = Groups.of(weight, None if by is None else self._group_of_rows(by))
        samples, words = self.samples, ""
        if population is not None:
            samples, words = over_population(self.population, population)
        values, totals, marginals = samples.average(groups), groups.totals, samples.marginals()
        known = None if marginals is None else averages(marginals, groups)
        of = values, groups.labels, totals, groups.unit, self.scale, n, words
        return Averages(*of, known)

    def by_row(self, values: ArrayLike, what: str, dtype: Any = None) -> NDArray[Any]:
        """Return what the user gives for each row, in the order of the rows."""
        n = len(self.labels)
        if isinstance(values, Arithmetic):
            raise TypeError(
                f"{what} must be the same in all draws, got {type(values).__name__}: the sum over "
                "rows of a, weighted by what has draws, is (a * b).sum()"
            )
        refuse_masked(values, what)
        values = as_array(values)
        if isinstance(values, pd.Series) and not values.index.equals(self.labels):
            if set(values.index) != set(self.labels) or not values.index.is_unique:
                raise ValueError(
                    f"{what}: its index is not that of the rows: {_first(values.index)}, "
                    f"{len(values)} in all, and {_first(self.labels)}, {n} in all"
                )
            values = values.reindex(self.labels)
        if dtype is not None and np.iscomplexobj(values):
            raise TypeError(f"{what} must be numbers, got complex ones")
        try:
            array = np.asarray(values, dtype=dtype)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{what}: {error}") from error
        if array.dtype.kind == "U" and isinstance(values, list):  # "nan" is no missing value
            array = np.asarray(values, dtype=object)
        if array.shape != (n,):
            raise ValueError(f"{what} must have shape {(n,)}, got {array.shape}")
        return array

    def columns(self, names: list[Any]) -> pd.DataFrame:
        """Return columns of the rows as they were observed."""
        known = [] if self.covariates is None else list(self.covariates.columns)
        strays = [name for name in names if not (isinstance(name, Hashable) and name in known)]
        n = len(self.labels)
        if len(strays) == len(names):  # of which none is a name
            raise ValueError(
                f"by must have shape {(n,)}, got {np.shape(names)}; or name columns: "
                f"{listed(known)}"
            )
        if strays or self.covariates is None:
            raise ValueError(unknown("column in by:", strays[0], known))
        return self.covariates[names].set_axis(self.labels)

    def _are_columns(self, by: list[Any]) -> bool:
        """Whether a list names columns, rather than the group of each row."""
        known = () if self.covariates is None else self.covariates.columns
        return bool(by) and all(isinstance(name, Hashable) and name in known for name in by)

    def _groups_by_several(self, by: pd.DataFrame) -> pd.DataFrame | NDArray[Any] | pd.Categorical:
        """Return the groups of each row by several columns, in the order of the rows."""
        found = [self._group_of_rows(by.iloc[:, j]) for j in range(by.shape[1])]
        if len(found) < 2:
            if not found:
                raise ValueError("by is a DataFrame without columns")
            return found[0]
        frame = pd.DataFrame(dict(enumerate(found)))
        return frame.set_axis(by.columns.to_flat_index(), axis=1)

    def _group_of_rows(self, by: Any) -> NDArray[Any] | pd.Categorical:
        """Return the group of each row; categories keep their order."""
        by = as_array(by)
        columns: list[Hashable] = []
        if self.covariates is not None:
            columns = list(self.covariates.columns)
        if np.ndim(by) == 0 or (isinstance(by, tuple) and by in columns):
            if self.covariates is None:
                raise ValueError(
                    f"by={by!r}: these have no columns to group by, as averages and sums have "
                    "none; give the group of each row"
                )
            if by not in columns:
                raise ValueError(unknown("column in by:", by, columns))
            by = self.covariates[by].set_axis(self.labels)
        groups = self.by_row(by, "by")
        if isinstance(by, pd.Series) and by.name in self.follow:
            observed = None if self.covariates is None else self.covariates.get(by.name)
            if observed is not None and np.array_equal(groups, observed.to_numpy()):
                _refuse_follower(by.name)
        dtype = getattr(by, "dtype", None)
        if isinstance(dtype, pd.CategoricalDtype):
            return pd.Categorical(groups, dtype=dtype)
        return groups


class Term(NamedTuple):
    """Contents, and what they are of in words."""

    contents: Contents
    words: str


class Drawn(Protocol):
    """What has draws: of which shape, and of which posterior."""

    @property
    def shape(self) -> Shape:
        """Chains, and draws of each."""

    @property
    def posterior(self) -> str | None:
        """A fingerprint: what has the same one is paired draw by draw."""


def _first(labels: pd.Index) -> str:
    """Return the first labels, quoted."""
    more = ["..."] if len(labels) > _SHOWN else []
    return f"({', '.join([*map(repr, labels[:_SHOWN].tolist()), *more])})"


def _refuse_follower(column: Hashable) -> None:
    """Refuse groups by what rows had of a column that follows what is forced."""
    raise ValueError(
        f"by={column!r}: this column follows what is forced, or the outcome. What a row had of it "
        "tells of the row's own noise, which this answer draws anew, so that its average is not "
        "that of the rows which had it. Group by what the intervention leaves alone; what would "
        "have become of the rows that had a value of it, ask counterfactual"
    )


def _labels_of_both(first: Any, second: Any) -> Any:
    """Return the groups of some rows and of others; categories stay such if they are the same."""
    if isinstance(first, pd.DataFrame):
        return pd.concat([first, second], ignore_index=True)
    return pd.concat([pd.Series(first), pd.Series(second)]).values


def refuse_unpaired(here: tuple[Shape, str | None], there: tuple[Shape, str | None]) -> None:
    """Refuse draws, given by their shape and posterior, that do not pair."""
    (shape, posterior), (other_shape, other_posterior) = here, there
    if shape != other_shape:
        raise ValueError(
            f"the draws do not pair: (chain, draw) is {shape} here and {other_shape} there; "
            "contrast outcomes of one fitted model"
        )
    if posterior != other_posterior:
        # Two fits with one seed have draws that move together: their difference would look
        # far more certain than it is.
        raise ValueError(
            "the draws do not pair: they are of two posteriors; contrast outcomes of one "
            "fitted model, and with a graph those of forcing the same columns"
        )
