"""A fitted model as a value: all that a question needs, and nothing of scikit-learn."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd

from interventional.answers.contents import Contents
from interventional.answers.law import Law
from interventional.answers.outcomes import Outcomes, outcomes_of
from interventional.answers.population import Populations
from interventional.answers.samples import Chunked, Samples, at_once
from interventional.answers.support import Bend, Support
from interventional.data.accumulation import Accumulated
from interventional.data.schema import Wrong, refuse
from interventional.data.table import Table, Units
from interventional.errors import listed
from interventional.graph.choice import Regression
from interventional.inference.own import OwnRegressions
from interventional.inference.posterior import Posterior, to_datatree
from interventional.intervention import forward
from interventional.intervention.do import (
    Forced,
    columns_read,
    encoded,
    parse_do,
    refuse_empty_baseline,
)
from interventional.intervention.population import populations
from interventional.intervention.query import Query
from interventional.intervention.reach import (
    columns_of,
    following,
    refuse_ignored,
    refuse_values,
)
from interventional.intervention.route import narrowed, refuse_apart
from interventional.intervention.words import Do, Kind, estimand
from interventional.numbers import Floats, is_large
from interventional.scm.equations import StructuralModel
from interventional.scm.predictive import Predictive
from interventional.scm.roles import positive
from interventional.scm.unseen import combining, extended, more_levels, unseen_levels
from interventional.trust import confounding, extrapolation, misfit
from interventional.trust.overlap import Training
from interventional.trust.straightness import Straightness

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Fitted:
    """A structural model and what was learnt of it.

    Attributes
    ----------
    model : StructuralModel
        The equations.
    posteriors : tuple of Posterior
        The draws of each equation's parameters.
    seed : int
        Source of noise.
    seen : Accumulated
        What the rows of fit were.
    biases : mapping
        Draws of the biases that have a prior, (chains, draws) each, by column.
    own : OwnRegressions or None
        What answers queries that the equations do not; None where there are no such queries.
    """

    model: StructuralModel
    posteriors: tuple[Posterior, ...]
    seed: int
    seen: Accumulated
    biases: Mapping[str, Floats] = field(default_factory=dict)
    own: OwnRegressions | None = None

    @cached_property
    def fingerprint(self) -> str:
        """What is equal of two where their draws are."""
        draws = (self.draws, self.biases_by_draw) if self.biases else self.draws
        return str(joblib.hash(draws))

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields to pickle; what is computed of them is computed again."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    # --- What was learnt ------------------------------------------------------------------------

    @cached_property
    def shape(self) -> tuple[int, int]:
        """How many chains there are, and draws of each."""
        first = self.model.of_outcome.parameters[0]
        chains, draws = self.posteriors[-1].variables[first].shape[:2]
        return chains, draws

    @cached_property
    def n_draws(self) -> int:
        """How many draws there are."""
        return int(np.prod(self.shape))

    @cached_property
    def training(self) -> Training:
        """What the columns of the rows of fit were, to hold questions against."""
        return Training.of(self.seen)

    @cached_property
    def straightness(self) -> Straightness:
        """Whether equations bend: tested when a question rests on them."""
        return Straightness(self.model, self.posteriors, self.seen)

    @property
    def tests(self) -> list[Bend]:
        """What was found of the equations and regressions that questions rested on so far."""
        regressed = (each.tests for each in self._by_regression.values())
        return sum(regressed, self.straightness.tests)

    @cached_property
    def draws(self) -> dict[str, Floats]:
        """The draws of all equations' parameters, (draws, ...) each, by name."""
        names = (name for equation in self.model.equations for name in equation.parameters)
        return {name: self.learnt[name] for name in names}

    @cached_property
    def learnt(self) -> dict[str, Floats]:
        """The draws of all that was learnt, scales of coefficients among it, likewise."""
        return {
            name: _joined(values)
            for posterior in self.posteriors
            for name, values in posterior.variables.items()
        }

    @cached_property
    def biases_by_draw(self) -> dict[str, Floats]:
        """The draws of the biases that have a prior, (draws,) each, by column."""
        return {name: values.ravel() for name, values in self.biases.items()}

    @cached_property
    def idata(self) -> "xr.DataTree":
        """All draws as ArviZ takes them."""
        tree = to_datatree(self.model, self.posteriors)
        if self.biases:
            tree["confounding"] = confounding.group(self.biases)
        return tree

    # --- Reading --------------------------------------------------------------------------------

    def encoded(self, table: Table, read: Collection[int] | None = None) -> Floats:
        """Return rows like those of fit as numbers, (n, columns).

        What is no number is NaN in columns that are not read; by default those are read that the
        outcome's equation has.
        """
        equation = self.model.of_outcome
        read = equation.read if read is None else read
        _, values, wrong = self._read(table)
        refuse(wrong, read)
        if equation.exposure in read:
            positive(values[:, equation.exposure])
        return values

    def _read(self, table: Table) -> tuple[Table, Floats, Wrong]:
        """Return rows with all columns of fit, their values, and what is wrong with these."""
        schema = self.model.schema
        table = table.completed(schema.labels)
        schema.refuse_other_columns(table)
        return table, *schema.encoded(table)

    def knowing(self, table: Table, *dos: Do | None) -> "Fitted":
        """Return the model that knows levels of these rows, or forced, which no row of fit had."""
        table = table.completed(self.model.schema.labels)
        frame = pd.DataFrame(table.array) if table.frame is None else table.frame
        self.model.schema.refuse_other_columns(table)
        given = [do for do in dos if do is not None]
        found = unseen_levels(self.model, frame, given)
        frames = combining(self.model, frame, given)
        return extended_by(self, found, frames) if found or frames else self

    def units(self, table: Table, seed: int | None = None) -> Units:
        """Return rows to ask something of, which stay as they are now."""
        table, values, wrong = self._read(table)
        if is_large(self.n_draws, len(values)):  # what is computed later is of X as it is now
            values = np.array(values, order="C")
        if table.frame is None:
            table = Table(None, values)
        return Units(table, values, self.seed if seed is None else seed, wrong)

    def predictive(self, values: Floats) -> Predictive:
        """Return the predictive distribution of the outcome at encoded rows."""
        return Predictive.of(self.model.of_outcome, values, self.draws, self.law)

    def mean(self, values: Floats) -> Floats:
        """Return the posterior mean of the expected outcome at encoded rows, (n,)."""
        equation = self.model.of_outcome
        if not equation.is_linear or equation.surface is not None:
            return self.predictive(values).mean()
        coefficients, intercept = self.coefficients
        return equation.matrix(values) @ coefficients + intercept

    @property
    def law(self) -> Law | None:
        """What the outcome's coefficients are draws of, where that is known."""
        return self.posteriors[-1].law

    @cached_property
    def coefficients(self) -> tuple[Floats, float]:
        """Posterior means of the outcome's coefficients and intercept."""
        outcome, intercept = self.model.outcome, 0.0
        if self.model.of_outcome.has_intercept:
            intercept = float(self.draws[f"{outcome}_intercept"].mean())
        return self.draws[f"{outcome}_beta"].mean(axis=0), intercept

    # --- Parts of questions ---------------------------------------------------------------------

    def asked(self, do: Do, units: Units) -> Query:
        """Return what the user asks, parsed."""
        query = self.query(units, *self._meant(do, units))
        refuse_ignored(self.model, query)
        return query

    def _meant(self, do: Do, units: Units) -> tuple[dict[str, Forced], frozenset[str]]:
        """Return what columns are forced to, and the columns that this is computed from."""
        schema, n = self.model.schema, len(units.values)
        meant = parse_do(do, units.table, schema, self.n_draws, units.seed, self.model.outcome)
        reads: frozenset[str] = frozenset()
        if self.model.graph is not None:
            reads = frozenset(schema.names[j] for j in columns_read(do, units.table))
        return encoded(meant, schema, n, self.n_draws), reads

    def sides(self, do: Do, baseline: Do | None, units: Units) -> tuple[Query, Query]:
        """Return what is asked, and what it is compared with.

        Both are answered by the same equations, or both by one regression.
        """
        forced, reads = self._meant(do, units)
        if baseline is None:
            at = {name: self.model.schema.names.index(name) for name in forced}
            refuse(units.wrong, at.values())
            rest: dict[str, Forced] = {name: units.values[:, j] for name, j in at.items()}
            read = frozenset(forced)
        else:
            refuse_empty_baseline(baseline)
            rest, read = self._meant(baseline, units)
        if set(forced) == set(rest):
            reads = read = reads | read
        treated, rested = self.query(units, forced, reads), self.query(units, rest, read)
        refuse_apart(treated, rested)
        refuse_ignored(self.model, treated)
        if baseline is not None:
            refuse_ignored(self.model, rested)
        return treated, rested

    def query(
        self, units: Units, forced: Mapping[str, Forced], reads: frozenset[str] = frozenset()
    ) -> Query:
        """Return an intervention and what it reaches; refuse what the graph does not license.

        `reads` names the columns from whose factual values the forced values are computed.
        """
        model = self.model
        reached, own = self.answered(frozenset(forced), reads)
        refuse(units.wrong, columns_of(model, forced, reached, own, self.biases))
        asked = Query(units.values, forced, reached, units.seed, own=own)
        refuse_values(model, asked)
        return asked if model.own is None else narrowed(asked, model.own, self.biases)

    def answered(
        self, forced: frozenset[str], reads: frozenset[str] = frozenset()
    ) -> tuple[tuple[str, ...], Regression | None]:
        """Return what forcing columns reaches, or else the regression that answers instead."""
        if self.own is None and self.model.own is None:
            return self.model.reached(forced, reads), None
        return self.model.answered(forced, reads)

    def serving(self, query: Query) -> "tuple[Fitted, Query]":
        """Return who answers a query, and the query as it is put to that one."""
        if query.own is None:
            return self, query
        return self.regressed(query.own), narrowed(query, query.own, self.biases)

    def regressed(self, regression: Regression) -> "Fitted":
        """Return the model of a query's own regression, which is fitted when it is first asked."""
        found = self._by_regression.get(regression)
        if found is None:
            assert self.own is not None
            model, posteriors = self.own.drawn(regression, self.seen)
            found = Fitted(model, tuple(posteriors), self.seed, self.seen, self.biases)
            if more := more_levels(self.model.schema, model.schema):
                found = extended_by(found, more)
            self._by_regression[regression] = found
        return found

    @cached_property
    def _by_regression(self) -> "dict[Regression, Fitted]":
        return {}

    def refuse_biased(self, method: str, query: Query, why: str) -> None:
        """Refuse effects whose bias has a prior."""
        biased = [name for name in (*query.forced, *query.regenerated) if name in self.biases]
        if biased:
            raise ValueError(
                f"{method}: confounding has a prior of the bias of {listed(biased)}, {why}; fit "
                "without it"
            )

    def supported(self, query: Query, *, apart: Collection[str] = ()) -> Support:
        """Return how well the training rows support a query."""
        asked, query = self.serving(query)
        found = extrapolation.judge(asked.model, asked.training, query, apart=apart)
        return misfit.beside(found, asked.straightness, query)

    def outcomes(
        self,
        table: Table,
        query: Query,
        kind: Kind,
        words: str,
        supported: Support | str | None = None,
        follow: Collection[Hashable] | None = None,
    ) -> Outcomes:
        """Return the answer to a query, whose intervention is put into words."""
        follow = following(self.model, query) if follow is None else follow
        if query.own is not None:
            own, query = self.serving(query)
            return own.outcomes(table, query, kind, words, supported, follow)
        of_y = self.model.of_outcome
        errors = of_y.noise if kind == "predictive" else None
        if errors is not None and self.model.schema.names[errors] not in query.forced:
            of_y.errors(query.values)
        asked = estimand(self.model.outcome, words, kind)
        answer = self.answer(query, kind)
        known = self.supported(query) if supported is None else supported
        population = self.populations(answer)
        return self.as_outcomes(table, self.unbiased(answer), asked, known, follow, population)

    # --- Answers --------------------------------------------------------------------------------

    def answer(self, query: Query, kind: Kind) -> Chunked:
        """Return the draws that answer a query, biases left as they are."""
        of_kind = forward.Predictive if kind == "predictive" else forward.Expected
        return of_kind(self.model, query, self.draws, law=self.law)

    def seen_as(self, query: Query, kind: Kind) -> tuple[Samples, Chunked]:
        """Return what outcomes of rows as they are, nothing forced; twice.

        Once in closed form where there is one, and once as `answer` has it.
        """
        answer = self.answer(query, kind)
        if kind == "predictive":
            return answer, answer
        equation = self.model.of_outcome
        return Predictive.expected(equation, query.values, self.draws, self.law), answer

    def retrospective(self, query: Query, observed: Mapping[str, Floats]) -> Chunked:
        """Return what outcomes had been, the rows' own noise kept."""
        return forward.Retrospective(self.model, query, self.draws, observed=observed)

    def through(self, query: Query, mediators: Query) -> Samples:
        """Return expected outcomes with mediators as under another intervention."""
        return forward.Through(self.model, query, self.draws, mediators=mediators)

    def unbiased(self, samples: Any) -> Samples:
        """Return samples of an answer less the biases that have a prior."""
        return confounding.unbiased(samples, biases=self.biases_by_draw)

    def populations(self, answer: Any) -> Populations | str:
        """Return what an answer is for the population that groups of rows are a sample of."""
        return populations(answer, self.learnt, self.unbiased)

    def as_outcomes(
        self,
        table: Table,
        samples: Samples,
        estimand: str,
        supported: Support | str,
        follow: Collection[Hashable],
        population: Populations | str,
    ) -> Outcomes:
        """Return samples of some rows as outcomes; `follow` are no groups to average over."""
        # A copy: what the user does to X afterwards is not what the rows were.
        rows = table.as_frame()
        of = at_once(samples), self.shape, rows.index, rows, self.fingerprint, supported
        contents = Contents(*of, follow=frozenset(follow), population=population)
        return outcomes_of(contents, estimand)


def extended_by(
    fitted: Fitted, found: Mapping[int, list[Any]], frames: Sequence[pd.DataFrame] = ()
) -> Fitted:
    """Return a fitted model that knows more levels, drawn from the population of the others."""
    model, draws = extended(fitted.model, fitted.learnt, found, fitted.seed, frames)
    posteriors = []
    for equation, posterior in zip(model.equations, fitted.posteriors, strict=True):
        name = f"{equation.node}_beta"
        beta = draws[name].reshape(*fitted.shape, -1)
        variables = {**posterior.variables, name: beta}
        posteriors.append(replace(posterior, variables=variables, law=None))
    wider = replace(fitted, model=model, posteriors=tuple(posteriors))
    vars(wider)["fingerprint"] = fitted.fingerprint  # draws of one posterior: they pair
    return wider


def _joined(values: Floats) -> Floats:
    """Return draws of all chains in one, (draws, ...)."""
    # not -1, which a model without terms would leave undetermined
    return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])
