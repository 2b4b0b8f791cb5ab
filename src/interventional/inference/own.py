"""Regressions of queries' own: fitted when a query comes that the equations do not answer.

Such a query is answered by the outcome regressed on what is forced and on what adjusts for that.
Where the outcome's equation sees sums of the rows, those of all columns are at hand; of other
outcomes the rows of the columns that some query needs are kept.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from interventional.data.accumulation import Accumulated
from interventional.data.seen import merge_equal_rows
from interventional.errors import listed
from interventional.graph.choice import Regression
from interventional.graph.identification import own_columns
from interventional.inference.engines import infer_all
from interventional.inference.posterior import Posterior, Sampling
from interventional.numbers import OF_QUERIES, Floats
from interventional.scm.draft import Draft
from interventional.scm.equations import StructuralModel
from interventional.scm.roles import confounds
from interventional.scm.specification import specify

Drawn = tuple[StructuralModel, list[Posterior]]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of some columns, with the outcome and how often each occurs.

    Attributes
    ----------
    columns : tuple of int
        Which columns.
    values : ndarray of shape (k, columns)
        The rows.
    target, weights : ndarray of shape (k,)
        Outcomes and frequencies.
    """

    columns: tuple[int, ...]
    values: Floats
    target: Floats
    weights: Floats

    def among(self, width: int) -> Floats:
        """Return the rows of all columns, (k, width): NaN in those that were not kept."""
        values = np.full((len(self.values), width), np.nan)
        values[:, self.columns] = self.values
        return values


@dataclass(frozen=True, eq=False)
class OwnRegressions:
    """What it takes to regress the outcome on other columns than its equation does.

    Attributes
    ----------
    parsed : Draft
        What the outcome is.
    sampling : Sampling
        How to draw.
    rows : Rows or None
        What is kept of the rows of fit, where sums over them are not enough.
    """

    parsed: Draft
    sampling: Sampling
    rows: Rows | None = None
    _known: dict[Regression, Drawn] = field(default_factory=dict, init=False, repr=False)
    _drawing: Any = field(default_factory=threading.Lock, init=False, repr=False)

    @classmethod
    def of(
        cls,
        parsed: Draft,
        sampling: Sampling,
        values: Floats | None,
        target: Floats | None,
        weights: Floats | None,
    ) -> "OwnRegressions | None":
        """Return them of a model that is fitted to rows; None if no query needs any.

        Parameters
        ----------
        parsed : Draft
            What the model is.
        sampling : Sampling
            How to draw.
        values, target, weights
            Encoded rows, outcomes and weights; None of rows that came in batches.
        """
        graph, outcome = parsed.graph, parsed.outcome
        if graph is None or not graph.confounded:
            return None
        slim = replace(
            parsed,
            regressions=(),
            designs={outcome: parsed.designs[outcome]} if outcome in parsed.designs else {},
            priors=_learning(parsed.priors.get(outcome)),
            families={outcome: parsed.families[outcome]},
        )
        if parsed.adds_up(outcome):
            return cls(slim, sampling)
        needed = own_columns(graph, outcome)
        if not needed or values is None or target is None:
            return None
        at = {parsed.schema.names.index(name) for name in needed}
        beside = {j for j in (parsed.exposure, parsed.noise) if j is not None}
        columns = tuple(sorted(at | beside))
        counts = np.ones(len(target)) if weights is None else weights
        held = values[:, columns], target, counts
        if not slim.designs:  # what a transformer learns of rows is not of the distinct ones
            held = merge_equal_rows(*held)
        return cls(slim, sampling, Rows(columns, *held))

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: what was drawn is drawn again, the same."""
        return {"parsed": self.parsed, "sampling": self.sampling, "rows": self.rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state that `__getstate__` gave."""
        vars(self).update(state, _known={}, _drawing=threading.Lock())

    def drawn(self, regression: Regression, seen: Accumulated) -> Drawn:
        """Return the model of one regression, and draws of its parameters.

        They are the same whichever query comes first.

        Parameters
        ----------
        regression : Regression
            What the outcome is regressed on.
        seen : Accumulated
            What the rows of fit were.

        Raises
        ------
        ValueError
            If fit kept nothing of a column, or the outcome's design is not for these columns.
        """
        with self._drawing:
            found = self._known.get(regression)
            if found is None:
                found = self._known[regression] = self._draw(regression, seen)
        return found

    def _draw(self, regression: Regression, seen: Accumulated) -> Drawn:
        schema, outcome = self.parsed.schema, self.parsed.outcome
        held = (*regression.parents, *regression.adjustment)
        noise = self.parsed.noise
        if noise is not None and schema.names[noise] in regression.adjustment:
            raise confounds(schema.names[noise], outcome)
        beside = self.parsed.exposure, noise  # are no regressors
        columns = tuple(
            j for j, name in enumerate(schema.names) if name in held and j not in beside
        )
        self._refuse_gone(regression, columns, seen)
        names = tuple(schema.names[j] for j in columns)
        priors = {key: v for key, v in self.parsed.priors.items() if key in ("beta", *names)}
        parsed = replace(
            self.parsed,
            regressions=[(outcome, columns, names)],
            priors={outcome: priors} if priors else {},
        )
        rows = self.rows
        if rows is None:
            model, of_rows = specify(parsed, None, accumulated=seen)
        else:
            values = rows.among(len(schema.names))
            model, of_rows = self._specified(parsed, regression, values, rows)
        key = [self.sampling.seed, OF_QUERIES, *columns, len(regression.parents)]
        seed = int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
        posteriors = infer_all(model, of_rows, parsed.inference, replace(self.sampling, seed=seed))
        return replace(model, own=regression), posteriors

    def _refuse_gone(
        self, regression: Regression, columns: tuple[int, ...], seen: Accumulated
    ) -> None:
        """Refuse a regression on columns of which nothing was kept."""
        kept = seen.columns if self.rows is None else self.rows.columns
        gone = [self.parsed.schema.names[j] for j in columns if j not in kept]
        if gone:
            raise ValueError(
                f"the effect of forcing {listed(regression.parents)} needs a regression of its "
                f"own, on {listed(gone)} among others, of which fit kept nothing; force fewer "
                "columns at once, to values that are computed from fewer"
            )

    def _specified(
        self, parsed: Draft, regression: Regression, values: Floats, rows: Rows
    ) -> tuple[StructuralModel, list[Any]]:
        """Return the model of rows; refuse a design that is not for these columns."""
        design = parsed.designs.get(parsed.outcome)
        if design is None:
            return specify(parsed, values, rows.target, rows.weights)
        what = f"on {listed((*regression.parents, *regression.adjustment))} alone"
        try:
            model, seen = specify(parsed, values, rows.target, rows.weights)
        except Exception as error:
            error.add_note(
                f"This is what the design of {parsed.outcome!r} raised where a query needs a "
                f"regression of its own, {what}. Give a design that names no columns, or none."
            )
            raise
        equation = model.of_outcome
        used = set().union(*equation.design.sources(values[:, equation.columns]))
        dropped = [equation.variables[k] for k in range(len(equation.columns)) if k not in used]
        if dropped:
            raise ValueError(
                f"the design of {parsed.outcome!r} drops {listed(dropped)}, which the query needs "
                f"in a regression of its own, {what}; give a design that names no columns, or none"
            )
        return model, seen


def _learning(given: Any) -> Mapping[str, Any]:
    """Return the priors that learn their scale, the only ones that are not of one equation."""
    if not isinstance(given, Mapping):
        return {}
    return {key: prior for key, prior in given.items() if isinstance(prior, str)}
