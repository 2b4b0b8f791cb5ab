"""The posterior predictive under an intervention, drawn from PyMC's graph.

`pm.do` acts on the generative model by name: on the columns that are forced, and on all that the
intervention does not reach, which keep the row's values. The nodes that it does reach are
regenerated. The graph that results is vectorised over the posterior and compiled for the plain
Python linker, once per structure; columns, forced values and parameters are its inputs.

An answer is `Samples`: each chunk of rows is drawn when it is asked for, from noise of its own.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from threading import get_ident

import numpy as np
from numpy.typing import NDArray

from interventional.answers.law import Law, RowLaws, Rows
from interventional.answers.samples import Chunked, Closed, Linear
from interventional.data.design import TreatmentCoding
from interventional.data.seen import one_thread
from interventional.intervention.compiled import Plan, Request, compiled, stream_of
from interventional.intervention.marginals import Marginals, under
from interventional.intervention.mediated import Marginal, Mediated
from interventional.intervention.query import Query
from interventional.intervention.summed import EXACTLY, Sums, summed
from interventional.numbers import Floats, aligned, beside
from interventional.scm.equations import Equation, Regeneration, StructuralModel
from interventional.scm.families import DEFAULT
from interventional.scm.predictive import refuse_overflow

_INNER = 50  # draws of mediators that an expectation averages over, where it has no closed form


@dataclass(frozen=True, eq=False)
class Answer(Chunked):
    """What a model says to a query: samples of shape (draws, n).

    Attributes
    ----------
    model : StructuralModel
        The equations.
    query : Query
        The rows and what is forced.
    parameters : mapping
        Posterior draws of each parameter, of shape (draws, ...).
    law : Law or None
        What the outcome's coefficients are draws of, where that is known.
    """

    model: StructuralModel
    query: Query
    parameters: Mapping[str, Floats]
    law: Law | None = field(default=None, kw_only=True)

    n_draws: int = field(init=False)
    n: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_draws", len(next(iter(self.parameters.values()))))
        object.__setattr__(self, "n", len(self.query.values))

    def evaluate(
        self,
        query: Query,
        target: str,
        how: Mapping[str, Regeneration] | None = None,
        *,
        noise: bool = False,
        stream: int = 0,
        residuals: Mapping[str, Floats] | None = None,
        level: int | None = None,
    ) -> Floats:
        """Evaluate a node, or a level's probability, under `pm.do`, in a chunk of rows.

        `stream` is that of the noise, where any is drawn.
        """
        forced = {name: np.asarray(value) for name, value in query.forced.items()}
        equation = self.model.equation(target)
        if not noise and not query.has_draws and self._hears_none(equation, how or {}):
            return self._at_columns(equation, query.values, forced)
        by_draw = tuple(sorted([name for name, value in forced.items() if value.ndim == 2]))
        regenerated = tuple(sorted(how.items())) if how else ()
        plan = Plan(target, noise, level, tuple(sorted(forced)), by_draw, regenerated)
        made = compiled(Request(self.model.structure, plan, get_ident(), self.model))
        names, values = self.model.schema.names, query.values
        inputs = []
        for name, whole in made.held:
            array = forced[name] if name in forced else values[:, names.index(name)]
            # NaN where a column is not read
            inputs.append(np.nan_to_num(array).astype(np.int64) if whole else array)
        inputs += [values[:, j] for j in made.factual]
        inputs += [(residuals or {})[node] for node in made.residual]
        draws = [self.parameters[name] for name in made.needed]
        # Each node has a source of noise of its own, whatever else is drawn: contrasts are paired.
        fresh = [self._source(query, number, stream) for number in made.streams]
        try:
            with np.errstate(over="ignore"):
                found = np.asarray(made.function(*map(aligned, (*inputs, *draws)), *fresh))
        except (TypeError, ValueError) as error:  # of a design; PyTensor adds hints of its own
            raise type(error)(str(error).partition("\n\nHINT: ")[0]) from None
        return refuse_overflow(found, target)

    def _source(self, query: Query, number: int, stream: int = 0) -> np.random.Generator:
        """Return the source of a node's noise in a chunk of rows, by the node's number."""
        return np.random.default_rng([query.seed, stream, number, query.chunk])

    @property
    def passes(self) -> bool:
        """Whether what is forced reaches the outcome through columns that are regenerated."""
        return any(node in self.model.of_outcome.variables for node in self.query.regenerated)

    def _hears_none(self, equation: Equation, nodes: Collection[str]) -> bool:
        """Whether an equation of one block of coefficients hears from none of some nodes."""
        names, exposure = self.model.schema.names, equation.exposure
        heard = {*equation.variables, *(() if exposure is None else (names[exposure],))}
        return equation.n_blocks == 1 and not heard.intersection(nodes)

    def _at_columns(
        self, equation: Equation, values: Floats, forced: Mapping[str, Floats]
    ) -> Floats:
        """Return what is expected of a node where its columns are known: nothing is compiled."""
        columns, n = under(equation, values, forced), len(values)
        eta = equation.closed(lambda rows: columns[rows], n, self.parameters).samples(slice(0, n))
        if equation.exposure is not None:
            name = self.model.schema.names[equation.exposure]
            eta = eta + np.log(forced.get(name, values[:, equation.exposure]))
        needed = equation.record.mean_needs
        dispersion = {each: self.parameters[f"{equation.node}_{each}"][:, None] for each in needed}
        with np.errstate(over="ignore"):
            expected = equation.record.mean(eta, dispersion)
        return refuse_overflow(expected, equation.node)


class Predictive(Answer):
    """New outcomes, noise included."""

    def marginals(self) -> RowLaws | None:
        """Return the distribution of each row, where nothing but the outcome is drawn anew."""
        return _marginals(self, has_noise=True)

    def chunk(self, k: int, rows: slice) -> Floats:
        """Draw the k-th chunk of rows."""
        of_y, query = self.model.of_outcome, self.query
        if not self.passes and of_y.noise is None and of_y.family == DEFAULT:
            closed = Expected(self.model, query, self.parameters).linear()
            if closed is not None:
                expected = refuse_overflow(closed.samples(rows), of_y.node)
                sigma = self.parameters[f"{of_y.node}_sigma"][:, None]
                noise = self._source(replace(query, chunk=k), stream_of(self.model, of_y.node))
                return noise.normal(expected, sigma)
        return self.of_graph(k, rows)

    def of_graph(self, k: int, rows: slice) -> Floats:
        """Draw the k-th chunk of rows from PyMC's graph: the same draws."""
        query = self.query.at(k, rows)
        how: dict[str, Regeneration] = dict.fromkeys(query.regenerated, "draw")
        return self.evaluate(query, self.model.outcome, how, noise=True)


class Expected(Answer):
    """The expected outcome for each posterior draw, the noise of mediators averaged out.

    In closed form where each mediator enters linear Gaussian equations only; integrated
    numerically where there are few others, far within the posterior's sd; else the average over
    independent draws of the mediators, the same whenever the seed is.
    """

    def chunk(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows; what has a closed form needs no graph."""
        closed = self.linear()
        if closed is not None:
            return refuse_overflow(closed.samples(rows), self.model.outcome)
        return self.of_graph(k, rows)

    def of_graph(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows from PyMC's graph."""
        query = self.query.at(k, rows)
        if not self._drawn:
            return self.given(query, 0)
        found = self._integrated(query)
        return averaged(lambda i: self.given(query, i)) if found is None else found

    def given(self, query: Query, i: int) -> Floats:
        """Return the expected outcome of a chunk of rows given the i-th draws of mediators.

        Where mediators have few levels, it is the sum over these.
        """
        if self._drawn and self._have_few_levels:
            found = self._sums(query, self._drawn, {}).at(EXACTLY)
            assert found is not None
            return found[0]
        return self.evaluate(query, self.model.outcome, self.how, stream=1 + i)

    @property
    def how(self) -> dict[str, Regeneration]:
        """How mediators come by their values: by their expectation, or by draws."""
        return _linear_or_drawn(self.model, self.query.regenerated)

    @property
    def _drawn(self) -> list[str]:
        return [node for node in self.query.regenerated if self.how[node] == "draw"]

    @property
    def _have_few_levels(self) -> bool:
        """Whether the mediators that would be drawn are of levels, and these are few."""
        levels = [len(self.model.equation(node).codes) for node in self._drawn]
        return all(levels) and bool(np.prod(levels) <= _INNER)

    def _integrated(self, query: Query) -> Floats | None:
        """Return the expected outcome, mediators integrated out; None where that is too much."""
        if self._have_few_levels:
            return self.given(query, 0)
        try:  # a design may not take what lies far out, and yet all that is drawn
            with np.errstate(all="ignore"), one_thread():  # the blocks are small
                known = None if query.has_draws else self._known(query)
                found = None if known is None else self._through_terms(query, known)
                return self._over_points(query, known) if found is None else found
        except ValueError:
            return None

    def _known(self, query: Query) -> Marginals:
        forced = {name: np.asarray(value) for name, value in query.forced.items()}
        return Marginals(self.model, query.values, forced, query.regenerated, self.parameters)

    def _through_terms(self, query: Query, known: Marginals) -> Floats | None:
        """Return the expected outcome where it is linear in terms of Gaussian mediators."""
        of_y = self.model.of_outcome
        if not of_y.is_linear:
            return None
        marginals = {j: known.of(node) for j, node in self._heard(of_y, query.regenerated)}
        found = {j: each for j, each in marginals.items() if each is not None}
        if len(found) < len(marginals) or not all(each.sizes.all() for each in found.values()):
            return None
        columns = under(of_y, query.values, known.forced)
        mediated = Mediated(of_y, self.parameters, columns, found)
        return mediated.expected() if mediated.adds_up else None

    def _over_points(self, query: Query, known: Marginals | None) -> Floats | None:
        """Return the expected outcome as a sum over what mediators may be."""
        mediators = self._drawn
        alone = {} if known is None else self._independent(known)
        if alone:
            mediators = [node for node in mediators if node in alone]
        n_numbers = sum(not self.model.equation(node).codes for node in mediators)

        def sums(rows: NDArray[np.intp], draws: slice) -> Sums:
            at = {node: marginal.of(draws, rows) for node, marginal in alone.items()}
            thinned = {name: values[draws] for name, values in self.parameters.items()}
            answer = replace(self, parameters=thinned)
            return answer._sums(query.of_rows(rows, draws), mediators, at)

        found = summed(sums, len(query.values), self.n_draws, n_numbers)
        return found if found is not None and np.isfinite(found).all() else None

    def _independent(self, known: Marginals) -> dict[str, Marginal]:
        """Return the distributions of what is heard on the way; nothing if these hang together."""
        ends = [self.model.of_outcome]
        ends += [self.model.equation(node) for node, what in self.how.items() if what == "mean"]
        heard = {node for equation in ends for _, node in self._heard(equation, self._drawn)}
        found = {node: known.of(node) for node in heard}
        noises = [source for node in heard if found[node] for source in known.noises(node)]
        if None in found.values() or len(set(noises)) < len(noises):
            return {}
        return {node: each for node, each in found.items() if each is not None}

    @staticmethod
    def _heard(equation: Equation, nodes: Collection[str]) -> list[tuple[int, str]]:
        return [(j, name) for j, name in enumerate(equation.variables) if name in nodes]

    def _sums(self, query: Query, mediators: list[str], known: Mapping[str, Marginal]) -> Sums:
        rest = {node: what for node, what in self.how.items() if what == "mean"}

        def evaluate(
            put: Mapping[str, Floats], rows: NDArray[np.intp], node: str, level: int | None
        ) -> Floats:
            at = query.of_rows(rows)
            return self.evaluate(at.forcing(put), node, rest, level=level)

        return Sums(self.model, self.parameters, query.values, mediators, known, evaluate)

    def linear(self) -> Closed | None:
        """Return the closed form, where what is regenerated enters by its mean, linearly."""
        model, query = self.model, self.query
        if model.of_outcome.surface is not None:
            return self._bent()
        nodes = (*query.regenerated, model.outcome)
        reached = [equation for equation in model.equations if equation.node in nodes]
        # What bends in a mediator's equation is no term of its line.
        linear = all(each.is_linear and each.surface is None for each in reached)
        if query.differs_by_draw or self._drawn or not linear:
            return None
        if not all(_is_one_term(equation, query.regenerated) for equation in reached):
            return None  # its coefficient is another in each row
        return _linear(reached, query, self.parameters)

    def marginals(self) -> RowLaws | None:
        """Return the distribution of each row, where it depends on one equation alone."""
        return _marginals(self, has_noise=False)

    def _bent(self) -> Closed | None:
        """Return the closed form of an outcome that bends, where nothing is regenerated."""
        of_y, query = self.model.of_outcome, self.query
        if query.differs_by_draw or self.passes or not of_y.is_linear:
            return None
        return of_y.closed(_Columns(of_y, query), len(query.values), self.parameters)


@dataclass(frozen=True, eq=False, kw_only=True)
class Retrospective(Answer):
    """The outcome that each row would have had, its residuals kept.

    Attributes
    ----------
    observed : mapping
        What each regenerated node and the outcome were observed at, (n,).
    """

    observed: Mapping[str, Floats]

    def chunk(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows."""
        if not self.passes:
            asked, at_rest = self.query, Query(self.query.values, {})
            sides = [Expected(self.model, q, self.parameters).linear() for q in (at_rest, asked)]
            if sides[0] is not None and sides[1] is not None:
                expected, mean = (side.samples(rows) for side in sides if side is not None)
                outcome = self.model.outcome
                record, observed = self.model.of_outcome.record, self.observed[outcome][rows]
                kept = record.residual(observed, expected)
                return refuse_overflow(np.asarray(record.with_residual(mean, kept)), outcome)
        return self.of_graph(k, rows)

    def of_graph(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows from PyMC's graph."""
        model, query = self.model, self.query.at(k, rows)
        at_rest, residuals = Query(query.values, {}), {}
        for node in (*query.regenerated, model.outcome):
            expected = self.evaluate(at_rest, node)
            record = model.equation(node).record
            residuals[node] = record.residual(self.observed[node][rows], expected)
        how: dict[str, Regeneration] = dict.fromkeys(query.regenerated, "residual")
        mean = self.evaluate(query, model.outcome, how, residuals=residuals)
        outcome = model.of_outcome.record.with_residual(mean, residuals[model.outcome])
        return np.asarray(outcome)


@dataclass(frozen=True, eq=False, kw_only=True)
class Through(Answer):
    """The expected outcome with mediators as another intervention on the rows would draw them.

    Attributes
    ----------
    mediators : Query
        That intervention.
    """

    mediators: Query

    def chunk(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows, mediators with the noise that `Predictive` gives."""
        query, others = self.query.at(k, rows), self.mediators.at(k, rows)
        forced = dict(query.forced)
        how: dict[str, Regeneration] = {}
        for node in others.regenerated:
            how[node] = "draw"
            forced[node] = self.evaluate(others, node, how, noise=True)
        query = replace(query, forced=forced, regenerated=())
        return self.evaluate(query, self.model.outcome)


def averaged(given: Callable[[int], Floats]) -> Floats:
    """Return the average of what comes of each of some draws, which have a number each."""
    total: Floats | float = 0.0
    for i in range(_INNER):
        total = total + given(i)
    return np.asarray(total / _INNER)


def _linear(
    equations: list[Equation],
    query: Query,
    parameters: Mapping[str, Floats],
) -> Linear:
    """Return the expected outcome as linear in the terms of all equations on the way to it.

    A regenerated column counts as its own equation's terms, with their coefficients times those
    that it has further on: the sum over paths, for each posterior draw (Wright 1934).
    """
    regenerated = query.regenerated
    passed: dict[str, Floats | float] = {equations[-1].node: 1.0}  # on to the outcome
    intercept: Floats | float = 0.0
    coefficients, parts = [], []
    for equation in reversed(equations):
        if equation.node not in passed:
            continue
        factor = passed[equation.node]
        if equation.has_intercept:
            intercept = intercept + factor * parameters[f"{equation.node}_intercept"]
        beta = np.reshape(factor, (-1, 1)) * parameters[f"{equation.node}_beta"]
        own = np.ones(beta.shape[1], dtype=bool)
        for position, variable in enumerate(equation.variables):
            if variable in regenerated:
                term = equation.design.linear_term(position)
                assert term is not None
                own[term] = False
                passed[variable] = passed.get(variable, 0.0) + beta[:, term]
        coefficients.append(beta[:, own])
        parts.append(_Terms(equation, own, query))

    def matrix(rows: Rows) -> Floats:
        return beside([part(rows) for part in parts])

    joined = np.hstack(coefficients)
    return Linear(
        matrix, len(query.values), joined, np.broadcast_to(np.asarray(intercept), len(joined))
    )


def _marginals(answer: Answer, *, has_noise: bool) -> RowLaws | None:
    """Return what is known of each row without draws: of a line that no regenerated column enters.

    Known errors of rows are no part of what is known.
    """
    equation, query, law = answer.model.of_outcome, answer.query, answer.law
    if law is None or query.differs_by_draw or not equation.is_linear:
        return None
    if answer.passes or (has_noise and equation.noise is not None):
        return None
    terms = _Terms(equation, np.ones(len(equation.design.terms), dtype=bool), query)
    return RowLaws.of(law, terms, len(query.values), has_noise=has_noise)


@dataclass(frozen=True, eq=False)
class _Terms:
    """The terms of an equation under an intervention, but those of regenerated columns."""

    equation: Equation
    own: NDArray[np.bool_]
    query: Query

    def __call__(self, rows: Rows) -> Floats:
        """Return the terms of some rows, (rows, terms)."""
        design, columns = self.equation.design, _Columns(self.equation, self.query)(rows)
        if isinstance(design, TreatmentCoding):
            matrix = design.compact(columns)
        else:
            matrix = design.matrix(columns)
        return matrix if self.own.all() else matrix[:, self.own]


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns of an equation under an intervention."""

    equation: Equation
    query: Query

    def __call__(self, rows: Rows) -> Floats:
        """Return those of some rows, (rows, columns)."""
        columns = self.query.values[rows][:, self.equation.columns]
        for position, variable in enumerate(self.equation.variables):
            forced = self.query.forced.get(variable)
            if forced is not None:
                assert not isinstance(forced, Chunked)
                columns[:, position] = forced[rows]
        return columns


def _linear_or_drawn(
    model: StructuralModel, regenerated: tuple[str, ...]
) -> dict[str, Regeneration]:
    """Say for which mediators their expectation may stand: those that enter linearly."""
    how: dict[str, Regeneration] = {}
    consumers = [model.of_outcome]
    for node in reversed(regenerated):
        users = [equation for equation in consumers if node in equation.variables]
        linear = all(
            _is_linear_in(equation, node) and how.get(equation.node, "mean") == "mean"
            for equation in users
        )
        own = model.equation(node)
        how[node] = "mean" if linear and own.n_blocks == 1 else "draw"
        consumers.append(own)
    return how


def _is_linear_in(equation: Equation, node: str) -> bool:
    return equation.is_linear and equation.design.is_linear_in(equation.variables.index(node))


def _is_one_term(equation: Equation, regenerated: tuple[str, ...]) -> bool:
    """Whether what is regenerated enters an equation as one term each."""
    pairs = enumerate(equation.variables)
    return all(
        equation.design.linear_term(position) is not None
        for position, variable in pairs
        if variable in regenerated
    )
