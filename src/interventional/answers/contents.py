"""What `Outcomes` hold: samples, which rows and draws they are of, and on which scale."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interventional.answers.samples import (
    Contrast,
    Groups,
    Held,
    Samples,
    Sign,
    at_once,
)
from interventional.answers.support import MADE_BY_HAND, Support, joined
from interventional.data.frames import as_array
from interventional.data.reading import refuse_masked
from interventional.errors import unknown
from interventional.numbers import Floats

Shape = tuple[int, int]
Scale = Literal["outcome", "ratio", "mixed"]


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
    """

    values: Floats
    labels: Any
    totals: Floats
    unit: float
    scale: Scale
    n: int

    def __add__(self, other: "Averages") -> "Averages":
        """Return the averages of both one's rows and the other's: those of the averages."""
        both, unit = (self, other), max(self.unit, other.unit)
        weights = np.concatenate([each.totals * (each.unit / unit) for each in both])
        groups = Groups.of(weights, pd.concat([pd.Series(each.labels) for each in both]).values)
        values = Held(np.hstack([each.values for each in both])).average(groups)
        unit, n = groups.unit * unit, self.n + other.n
        return Averages(values, groups.labels, groups.totals, unit, self.scale, n)


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
        The labels of the rows.
    covariates : DataFrame, optional
        The rows' columns as they were observed.
    posterior : str, optional
        A fingerprint: contents with the same one are paired draw by draw.
    support : Support or str
        How well the data support each row; a str says why that is not known.
    scale : {"outcome", "ratio", "mixed"}
        Whether they are outcomes, ratios of two of them, or any other contrast.
    """

    samples: Samples
    shape: Shape
    labels: pd.Index
    covariates: pd.DataFrame | None = None
    posterior: str | None = None
    support: Support | str = MADE_BY_HAND
    scale: Scale = "outcome"

    def contrast(self, other: "Contents", sign: Sign) -> "Contents":
        """Return the difference or the ratio, paired draw by draw."""
        refuse_unpaired((self.shape, self.posterior), (other.shape, other.posterior))
        if not self.labels.equals(other.labels):
            raise ValueError(
                f"the rows are not the same: {len(self.labels)} rows here, {len(other.labels)} "
                "there, or other labels; contrast outcomes of the same rows"
            )
        is_ratio = sign == "/" and self.scale == other.scale == "outcome"
        return replace(
            self,
            samples=at_once(Contrast(self.samples, other.samples, sign)),
            support=joined(self.support, other.support),
            scale="ratio" if is_ratio else "mixed",
        )

    def averages(
        self, weights: ArrayLike | None = None, by: Hashable | ArrayLike | None = None
    ) -> Averages:
        """Return averages over the rows, with weights and by groups as the user gives them."""
        n = len(self.labels)
        weight = np.ones(n) if weights is None else self._by_row(weights, "weights", np.float64)
        if not np.all(np.isfinite(weight)) or np.any(weight < 0):
            raise ValueError("weights must be finite, not negative, and not all zero")
        groups = Groups.of(weight, None if by is None else self._group_of_rows(by))
        values = self.samples.average(groups)
        return Averages(values, groups.labels, groups.totals, groups.unit, self.scale, n)

    def _by_row(self, values: ArrayLike, what: str, dtype: Any = None) -> NDArray[Any]:
        """Return what the user gives for each row, in the order of the rows."""
        n = len(self.labels)
        refuse_masked(values, what)
        values = as_array(values)
        if isinstance(values, pd.Series) and not values.index.equals(self.labels):
            if set(values.index) != set(self.labels) or not values.index.is_unique:
                raise ValueError(f"{what}: its index is not that of the rows")
            values = values.reindex(self.labels)
        if dtype is not None and np.iscomplexobj(values):
            raise TypeError(f"{what} must be numbers, got complex ones")
        try:
            array = np.asarray(values, dtype=dtype)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{what}: {error}") from error
        if array.shape != (n,):
            raise ValueError(f"{what} must have shape {(n,)}, got {array.shape}")
        return array

    def _group_of_rows(self, by: Any) -> NDArray[Any] | pd.Categorical:
        """Return the group of each row; categories keep their order."""
        by = as_array(by)
        columns: list[Hashable] = []
        if self.covariates is not None:
            columns = list(self.covariates.columns)
        if np.ndim(by) == 0 or (isinstance(by, tuple) and by in columns):
            if self.covariates is None or by not in columns:
                raise ValueError(unknown("column in by:", by, columns))
            by = self.covariates[by].set_axis(self.labels)
        groups = self._by_row(by, "by")
        dtype = getattr(by, "dtype", None)
        if isinstance(dtype, pd.CategoricalDtype):
            return pd.Categorical(groups, dtype=dtype)
        return groups


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


def contrast_in_words(left: str, right: str, sign: Sign) -> str:
    """Return what a difference or a ratio is of, contrasts in brackets."""
    return f" {sign} ".join(
        f"({side})" if " - " in side or " / " in side else side for side in (left, right)
    )
