"""The way from raw rows to the regressor, and back from its outcome to the raw one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from interventional.answers.reductions import Reduction
from interventional.data.table import Table, read_rows
from interventional.fitted import Fitted
from interventional.intervention.steps import through
from interventional.intervention.words import Kind
from interventional.numbers import Floats
from interventional.regressor import BayesianInterventionRegressor

_NODES = 20  # of the Gauss-Hermite rule behind an inverse transform: exp(2 z) to the last digit
_PLACES = 33  # at which a transform of the target is held against a straight line


@dataclass(frozen=True)
class Path:
    """The way from raw rows to the regressor, and back from its outcome to the raw one.

    Attributes
    ----------
    steps : tuple of transformer
        What is done to rows, outermost first.
    regressor : BayesianInterventionRegressor
        Who takes them.
    fitted : Fitted
        What it has learnt.
    inverses : tuple of transformer
        What is done to the target, outermost first.
    """

    steps: tuple[Any, ...]
    regressor: BayesianInterventionRegressor
    fitted: Fitted
    inverses: tuple[Any, ...]

    @classmethod
    def through(cls, estimator: Any) -> "Path":
        """Return the way through an estimator to the regressor in which it ends.

        Raises
        ------
        TypeError
            If it ends in another.
        """
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import Pipeline

        steps: list[Any] = []
        inverses: list[Any] = []
        inner = estimator
        while not isinstance(inner, BayesianInterventionRegressor):
            if isinstance(inner, Pipeline):
                check_is_fitted(inner)
                steps.append(inner[:-1])
                inner = inner.steps[-1][1]
            elif isinstance(inner, TransformedTargetRegressor):
                check_is_fitted(inner)
                inverses.append(inner.transformer_)
                inner = inner.regressor_
            elif hasattr(inner, "best_estimator_"):
                inner = inner.best_estimator_
            elif hasattr(inner, "cv") and hasattr(inner, "refit"):
                check_is_fitted(inner)
                raise TypeError(f"{inner!r} has no best_estimator_; search with refit=True")
            else:
                raise TypeError(
                    f"{estimator!r} ends in {inner!r}, which knows no interventions; allowed are "
                    "Pipeline, TransformedTargetRegressor and searches that end in a "
                    "BayesianInterventionRegressor"
                )
        check_is_fitted(inner)
        kept = tuple(step for step in steps if len(step))
        return cls(kept, inner, inner.fitted_, tuple(inverses))

    def completed(self, table: Table, *dos: Mapping[Any, Any] | None) -> Table:
        """Return raw rows with the columns they lack and nothing reads: forced, or following."""
        model = self.fitted.model
        if not self.steps:
            return table.completed(model.schema.labels)
        full = table.completed(getattr(self.steps[0], "feature_names_in_", None))
        follow = {key for do in dos if isinstance(do, Mapping) for key in do}
        if model.graph is not None:
            follow = follow.union(
                *map(model.graph.descendants, follow.intersection(model.graph.nodes))
            )
        return full if {full.names[j] for j in full.absent} <= follow else table

    def knowing(self, rows: Table, *dos: Mapping[Any, Any] | None) -> "Path":
        """Return the same with a model that knows all levels of these rows and of those forced."""
        if self.regressor.unseen_levels == "error":
            return self
        return replace(self, fitted=self.fitted.knowing(rows, *dos))

    def made_of(self, table: Table) -> Any:
        """Return what the steps make of raw rows."""
        rows = through(self.steps, table.held) if self.steps else table.frame
        return table.held if rows is None else rows

    def encoded(self, table: Table, read: Collection[int] = ()) -> Floats:
        """Return what the model sees of raw rows, all of it numbers in columns that are read."""
        return self.fitted.encoded(read_rows(through(self.steps, table.held)), read)

    def target(self, y: Floats) -> Floats:
        """Return raw outcomes, (n,), as the model has them."""
        column = y.reshape(-1, 1)
        for transformer in self.inverses:
            column = np.asarray(transformer.transform(column), dtype=np.float64).reshape(-1, 1)
        if not np.isfinite(column).all():
            at = int(np.argmin(np.isfinite(column)))
            raise ValueError(
                f"the transform of the target, {self.inverses[0]!r}, returned NaN or infinity for "
                f"y = {y[at]:g} in row {at}"
            )
        return column.ravel()

    def raw(self, kind: Kind, serving: Fitted) -> Reduction | None:
        """Return what makes raw outcomes, or their expectations, of the model's.

        None where the model has the raw outcome. `serving` is the model that answers.

        Raises
        ------
        ValueError
            If the expectation of the raw outcome is not known.
        """
        if not self.inverses:
            return None
        back = ToRaw(self.inverses)
        if kind == "predictive":
            return back
        equation = serving.model.of_outcome
        if not equation.record.is_gaussian:
            raise ValueError(
                f"family={equation.family!r} behind a transformed target: the expectation of the "
                "raw outcome is known for a Gaussian one; ask for kind='predictive', or say by "
                "family= what the raw outcome is, and transform nothing"
            )
        if equation.noise is not None:
            raise ValueError(
                "noise= behind a transformed target: the expectation of the raw outcome depends "
                "on the known standard deviation of each row; ask for kind='predictive'"
            )
        return RawExpectation(back, serving.draws[f"{serving.model.outcome}_sigma"])

    def unit(self, low: float, high: float) -> float:
        """Return how many raw units one unit of the model's outcome is, between two outcomes.

        Raises
        ------
        ValueError
            If the transform of the target is more than a shift and a factor.
        """
        if not self.inverses:
            return 1.0
        places = np.linspace(low, high, _PLACES)
        slopes = np.diff(ToRaw(self.inverses)(places)) / np.diff(places)
        if np.ptp(slopes) > 1e-6 * np.abs(slopes).max():
            raise ValueError(
                f"sensitivity behind a transformed target: {self.inverses[0]!r} is more than a "
                "shift and a factor, so that the effect on the raw outcome is not one "
                "coefficient; ask the estimator inside, regressor_, in units of the transformed "
                "outcome"
            )
        return float(slopes.mean())


@dataclass(frozen=True, eq=False)
class ToRaw:
    """The inverses of what was done to the target, outermost first."""

    inverses: tuple[Any, ...]

    def __call__(self, outcome: Floats) -> Floats:
        """Return outcomes in raw units, in their own shape."""
        column = outcome.reshape(-1, 1)
        for transformer in reversed(self.inverses):
            column = np.asarray(transformer.inverse_transform(column), dtype=np.float64)
            column = column.reshape(-1, 1)
        if not np.isfinite(column).all():
            raise ValueError(
                f"the inverse transform of the target, {self.inverses[0]!r}, returned NaN or "
                "infinity for outcomes that the model holds possible"
            )
        return column.reshape(outcome.shape)


@dataclass(frozen=True, eq=False)
class RawExpectation:
    """E[back(mean + sigma * noise)] for each draw and row, by Gauss-Hermite quadrature."""

    back: ToRaw
    sigma: Floats

    def __call__(self, mean: Floats) -> Floats:
        """Return the expectation of the raw outcome, given that of the model's."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        total = np.zeros_like(mean)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            total += weight * self.back(mean + node * self.sigma[:, None])
        return total
