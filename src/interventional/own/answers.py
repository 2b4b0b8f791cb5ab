"""What the user's own model says to a query: draws, drawn from its graph under `pm.do`.

What is random and regenerated, or latent in rows, is averaged out of expected outcomes: where it
is one Gaussian, or one of few levels, by a sum over its values, and else over draws. What is
latent has its distribution given its causes, always.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import get_ident
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.answers.reductions import Std, log_mean_exp
from interventional.answers.samples import Chunked, Samples
from interventional.intervention.query import Query
from interventional.numbers import Floats, aligned, refuse_overflow, refuse_too_many, rows_of_chunk
from interventional.own.compiled import Compiled, How, NoMeanError, Plan, Request, What, compiled
from interventional.own.mechanisms import Mechanism, OwnModel

_INNER = 50  # draws of what is regenerated, that an expectation averages over
_FEW_NODES = 5, 11, 21  # of Gauss's rule
_FAR = 10.0  # standard deviations of a Gaussian that are looked at
_UNLIKELY = 1e-12  # weights beside which what is undefined counts as nothing
_CLOSE = 1e-6  # relative difference of expectations that is none
_FINEST = 1 / 32  # standard deviations between values that are looked at
_ELEMENTS = 1 << 22  # draws times rows that are computed at a time
_SAME = 1e-9  # relative difference of expectations that is rounding


@dataclass(frozen=True, eq=False)
class Answer(Chunked):
    """Samples of shape (draws, n).

    Attributes
    ----------
    model : OwnModel
        The model.
    query : Query
        The rows and what is forced.
    parameters : mapping
        Posterior draws of each parameter, (draws, ...).
    """

    model: OwnModel
    query: Query
    parameters: Mapping[str, Floats]

    n_draws: int = field(init=False)
    n: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_draws", len(next(iter(self.parameters.values()))))
        object.__setattr__(self, "n", len(self.query.values))

    def block(self, rows: slice) -> Floats:
        """Return the samples of consecutive rows; where rows hang together, from all of them."""
        if self.n <= rows_of_chunk(self.n_draws) or not self._rows_hang_together:
            return super().block(rows)
        return self._whole[:, rows]

    @cached_property
    def _whole(self) -> Floats:
        refuse_too_many(self.n_draws, self.n, "rows that hang together", "ask with fewer draws")
        return self.chunk(0, slice(0, self.n))

    @cached_property
    def _rows_hang_together(self) -> bool:
        """Whether some row's expectation is another one where other rows are not there."""
        one = {name: values[:1] for name, values in self.parameters.items()}
        alone = replace(self, parameters=one, query=replace(self.query, regenerated=()))
        query, nodes = alone.query, (*self.query.regenerated, self.model.outcome)
        model, size = self.model.skeleton.model, rows_of_chunk(self.n_draws)
        if self.model.skeleton.latent or query.has_draws or query.differs_by_draw:
            return True  # nobody knows
        last = slice((self.n - 1) // size * size, self.n)
        some = slice(0, size), last, slice(self.n // 2, self.n // 2 + 1)
        try:
            for node in nodes:
                if model[node].owner.op.ndim_supp or alone.made(node, "mean").streams:
                    return True
                every = alone.evaluate(query.at(0, slice(0, self.n)), node, "mean")
                for rows in some:
                    part = alone.evaluate(query.at(0, rows), node, "mean")
                    if not np.allclose(every[:, rows], part, rtol=_SAME):
                        return True
        except Exception:  # some models take no other rows
            return True
        return False

    def made(
        self,
        target: str,
        what: What,
        how: Mapping[str, How] | None = None,
        by_draw: tuple[str, ...] = (),
    ) -> Compiled:
        """Return the function of a node under `pm.do`."""
        plan = Plan(target, what, tuple(sorted((how or {}).items())), by_draw)
        structure = self.model.structure[1]
        return compiled(Request(structure, plan, get_ident(), self.model.skeleton))

    def evaluate(
        self,
        query: Query,
        target: str,
        what: What,
        how: Mapping[str, How] | None = None,
        *,
        stream: int = 0,
        residuals: Mapping[str, Floats] | None = None,
        value: NDArray[Any] | None = None,
    ) -> Floats:
        """Evaluate a node under `pm.do` in a chunk of rows, (draws, rows).

        `stream` is that of the noise, where any is drawn; `value` is where a density is wanted.
        """
        forced = {name: np.asarray(held) for name, held in query.forced.items()}
        by_draw = tuple(sorted([name for name, held in forced.items() if held.ndim == 2]))
        made = self.made(target, what, how, by_draw)
        names, values = self.model.schema.names, query.values
        columns = []
        for name in made.columns:
            array = forced[name] if name in forced else values[:, names.index(name)]
            dtype = self.model.skeleton.dtype(name)
            columns.append(np.nan_to_num(array).astype(dtype))  # NaN where it is not read
        n, of_value = len(values), [] if value is None else [value]
        kept = [(residuals or {})[name] for name in made.residuals]
        draws = [
            np.asarray(self.parameters[name], dtype=self.model.skeleton.dtype(name))
            for name in made.parameters
        ]
        found = np.empty((self.n_draws, n))
        sources = self._sources(made, query, stream)
        with np.errstate(all="ignore"):
            if made.whole:
                step = max(1, _ELEMENTS // (made.width * max(n, 1)))
                for start in range(0, self.n_draws, step):
                    some = slice(start, start + step)
                    at = [each[some] if each.ndim == 2 else each for each in columns]
                    of = [each[some] for each in (*kept,)]
                    own = [each[some] for each in draws]
                    size = len(range(*some.indices(self.n_draws)))
                    inputs: list[Any] = [*at, *of, *of_value, np.int64(n), np.int64(size), *own]
                    found[some] = made.function(*map(aligned, inputs), *next(sources))
            else:
                for s in range(self.n_draws):
                    at = [each[s] if each.ndim == 2 else each for each in columns]
                    own = [each[s] for each in (*kept,)]
                    inputs = [*at, *own, *of_value, np.int64(n), *(each[s] for each in draws)]
                    found[s] = made.function(*map(aligned, inputs), *next(sources))
        return found

    def _sources(
        self, made: Compiled, query: Query, stream: int
    ) -> Iterator[list[np.random.Generator]]:
        """Yield the sources of noise: each node's own, so that contrasts are paired."""
        k = 0
        while True:
            yield [
                np.random.default_rng([query.seed, stream, number, which, query.chunk, k])
                for number, which in made.streams
            ]
            k += 1

    def expected(self, query: Query, i: int, how: Mapping[str, How] | None = None) -> Floats:
        """Return the expected outcome of a chunk of rows, or where PyMC knows none, an outcome.

        What else is drawn, is drawn for the i-th time.
        """
        try:
            return self.evaluate(query, self.model.outcome, "mean", how, stream=1 + i)
        except NoMeanError:
            return self.evaluate(query, self.model.outcome, "draw", how, stream=1 + i)

    def draws_anew(self, how: Mapping[str, How] | None, by_draw: tuple[str, ...]) -> bool:
        """Whether an expected outcome has something random to be averaged out."""
        try:
            return bool(self.made(self.model.outcome, "mean", how, by_draw).streams)
        except NoMeanError:
            return True


class Expected(Answer):
    """The expected outcome for each posterior draw, what is regenerated averaged out."""

    def chunk(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows."""
        found = self._expected(self.query.at(k, rows))
        return refuse_overflow(found, self.model.outcome)

    def _expected(self, query: Query) -> Floats:
        how: dict[str, How] = dict.fromkeys(query.regenerated, "draw")
        forced = {name: np.asarray(held) for name, held in query.forced.items()}
        by_draw = tuple(sorted([name for name, held in forced.items() if held.ndim == 2]))
        if not self.draws_anew(how, by_draw):
            return self.expected(query, 0, how)
        over = self._over_one(query)
        if over is not None:
            return over
        total = np.zeros((self.n_draws, len(query.values)))
        for i in range(_INNER):
            total += self.expected(query, i, how)
        return total / _INNER

    def _over_one(self, query: Query) -> Floats | None:
        """Return the expected outcome as a sum over the values of all that is drawn, if it is one.

        That is a regenerated column, or something latent.
        """
        nodes = (*query.regenerated, *self.model.skeleton.latent)
        if len(nodes) != 1:
            return None
        (node,) = nodes
        kind = type(self.model.skeleton.model[node].owner.op).__name__
        length = self.model.skeleton.indexed.get(node, (None, None))[1]
        if kind not in ("NormalRV", "BernoulliRV", "CategoricalRV"):
            return None
        if (kind == "CategoricalRV" and length is None) or self.draws_anew(None, (node,)):
            return None

        def at(values: Floats) -> Floats:
            return self.expected(query.forcing({node: values}), 0)

        if kind == "NormalRV":
            mean = self.evaluate(query, node, "mean")
            spread = self.evaluate(query, node, "spread")
            return over_gaussian(lambda z: at(mean + spread * z))
        total = np.zeros((self.n_draws, len(query.values)))
        for k in range(2 if kind == "BernoulliRV" else length or 0):
            value = np.full(len(query.values), k, self.model.skeleton.dtype(node))
            share = np.exp(self.evaluate(query, node, "log_density", value=value))
            total += share * at(np.full_like(total, k))
        return total


def over_gaussian(function: Callable[[float], Floats]) -> Floats:
    """Return the expectation of a function of a standard normal number, elementwise.

    Gauss's rule of few nodes, if one of more agrees. Else the trapezoidal rule: where the function
    is smooth, halving its step squares the error. It is halved until that moves nothing, so that
    steep curves and kinks are seen as well.
    """
    before = None
    for size in _FEW_NODES:
        at, weights = np.polynomial.hermite_e.hermegauss(size)
        found, size_of = _weighted(function, at, weights / weights.sum())
        if before is not None and _agree(before, found, size_of):
            return found
        before = found
    step = 1.0
    total, size_of = _trapezoid(function, np.arange(-_FAR, _FAR + 0.5), step)
    while step > _FINEST:
        between, size_between = _trapezoid(function, np.arange(-_FAR + step / 2, _FAR, step), step)
        before, total = total, (total + between) / 2
        size_of, step = (size_of + size_between) / 2, step / 2
        if _agree(before, total, size_of):
            break
    return total


def _trapezoid(
    function: Callable[[float], Floats], at: Floats, step: float
) -> tuple[Floats, Floats]:
    return _weighted(function, at, step * np.exp(-0.5 * at**2) / np.sqrt(2 * np.pi))


def _weighted(
    function: Callable[[float], Floats], at: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Return a weighted sum of values, and of their sizes."""
    total, size = np.float64(0.0), np.float64(0.0)
    for z, weight in zip(at, weights, strict=True):
        value = function(z)
        if weight < _UNLIKELY:  # there a function need not be defined
            value = np.where(np.isnan(value), 0.0, value)
        total, size = total + weight * value, size + weight * np.abs(value)
    return np.asarray(total), np.asarray(size)


def _agree(before: Floats, found: Floats, size: Floats) -> bool:
    with np.errstate(invalid="ignore"):
        close = np.abs(found - before) <= _CLOSE * size
    return bool((close | ~np.isfinite(found)).all())


class Predictive(Answer):
    """New outcomes, noise included."""

    def chunk(self, k: int, rows: slice) -> Floats:
        """Draw the k-th chunk of rows."""
        query = self.query.at(k, rows)
        how: dict[str, How] = dict.fromkeys(query.regenerated, "draw")
        return self.evaluate(query, self.model.outcome, "draw", how)


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
        query, outcome = self.query.at(k, rows), self.model.outcome
        at_rest = Query(query.values, {})
        residuals = {
            node: self.observed[node][rows] - self.evaluate(at_rest, node, "mean")
            for node in (*query.regenerated, outcome)
        }
        how: dict[str, How] = dict.fromkeys(query.regenerated, "residual")
        mean = self.evaluate(query, outcome, "mean", how, residuals=residuals)
        return mean + residuals[outcome]


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
        put: dict[str, Floats] = {}
        how: dict[str, How] = {}
        for node in others.regenerated:
            put[node] = self.evaluate(others, node, "draw", how)
            how[node] = "draw"
        return self.expected(query.forcing(put), 0)


@dataclass(frozen=True, eq=False)
class OfRows:
    """The posterior predictive distribution of the outcome at some rows, as `Predictive` has it.

    Attributes
    ----------
    model : OwnModel
        The model.
    columns : ndarray of shape (n, columns)
        Encoded rows.
    draws : mapping
        Posterior draws of the parameters, (draws, ...) each.
    """

    model: OwnModel
    columns: Floats
    draws: Mapping[str, Floats]
    seed: int

    @property
    def equation(self) -> Mechanism:
        """How the outcome comes about."""
        return self.model.of_outcome  # type: ignore[return-value]

    @property
    def n_draws(self) -> int:
        """How many posterior draws there are."""
        return len(next(iter(self.draws.values())))

    @property
    def _query(self) -> Query:
        return Query(self.columns, {}, (), self.seed)

    def mean(self) -> Floats:
        """Return the posterior mean of the expected outcome, (n,)."""
        return Expected(self.model, self._query, self.draws).mean()

    def std(self) -> Floats:
        """Return the standard deviation of new outcomes, (n,): of draws, noise included."""
        return Predictive(self.model, self._query, self.draws).reduce(Std())[0]

    def sample(self, picked: NDArray[np.intp], rng: np.random.Generator) -> Floats:
        """Return a new outcome for each row and picked draw, (n, picked)."""
        own = {name: values[picked] for name, values in self.draws.items()}
        query = replace(self._query, seed=int(rng.integers(1 << 32)))
        return Predictive(self.model, query, own).held().T

    def log_likelihood(self, y: Floats) -> Samples:
        """Return the log density of each row's outcome for each draw, samples of (draws, n).

        Raises
        ------
        ValueError
            If rows have something latent: given it outcomes are more probable than without.
        """
        if self.model.skeleton.latent:
            raise ValueError(
                f"the rows' own {', '.join(map(repr, self.model.skeleton.latent))} would have to "
                "be summed out of the density of outcomes; log_likelihood has no way to do so"
            )
        return Densities(self.model, self._query, self.draws, outcomes=y)

    def log_density(self, y: Floats) -> Floats:
        """Return the log of the posterior predictive density of each row's outcome, (n,).

        What rows have latent is averaged over with the parameters: it is drawn anew in each draw.
        """
        found = Densities(self.model, self._query, self.draws, outcomes=y)
        return found.reduce(log_mean_exp)[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Densities(Answer):
    """The log densities of outcomes.

    Attributes
    ----------
    outcomes : ndarray of shape (n,)
        The outcomes.
    """

    outcomes: Floats

    def chunk(self, k: int, rows: slice) -> Floats:
        """Compute the k-th chunk of rows."""
        outcome = self.model.outcome
        value = self.outcomes[rows].astype(self.model.skeleton.dtype(outcome))
        return self.evaluate(self.query.at(k, rows), outcome, "log_density", value=value)
