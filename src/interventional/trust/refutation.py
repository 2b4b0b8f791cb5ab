"""Checks that a right model passes: what is known beforehand must come out of a refit."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from interventional.answers.outcomes import contents_of
from interventional.answers.support import Bend
from interventional.data.table import Table, Units
from interventional.errors import ExtrapolationWarning, MisfitWarning, listed
from interventional.intervention.do import encoded, forced_columns, parse_do
from interventional.numbers import Floats
from interventional.scm.draft import Draft
from interventional.scm.equations import StructuralModel
from interventional.scm.families import FAMILIES
from interventional.trust import straightness

_KEPT = 0.8  # share of the rows in a data subset
_ROUNDING = 1e-9  # of the size of an effect: two answers as near as this are the same
_TINY = 1e-100  # its square is above zero
_PLACEBO, _DUMMY = "placebo column", "dummy outcome"
_CAUSE, _SUBSET, _BLOCKS = "random common cause", "data subset", "consecutive rows"
_LINES = "straight lines"
_CLAIMS = {
    _PLACEBO: "with {forced} permuted the effect should be 0",
    _DUMMY: "with the outcome permuted the effect should be 0",
    _CAUSE: "with a column of noise among the causes the effect should be the same",
    _SUBSET: f"on a random {_KEPT:.0%} of the rows the effect should be the same",
    _BLOCKS: "with consecutive rows left out the effect should be the same",
}
_MEANING = {
    _PLACEBO: "the intervals are too narrow, or something other than the data makes the effect",
    _DUMMY: "the intervals are too narrow, or something other than the data makes the effect",
    _CAUSE: "there are too few rows for so many terms",
    _SUBSET: "the intervals are too narrow: rows differ by more than the model says",
    _BLOCKS: "the intervals are too narrow: rows next to each other are alike, or the effect "
    "changes along the rows; groups= of these rows, such as weeks or blocks, let them",
}


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked, of which rows.

    Attributes
    ----------
    estimator : BayesianInterventionRegressor
        Not fitted.
    draft : Draft
        What its parameters say of the columns.
    table : Table
        The rows.
    y : ndarray of shape (n,)
        Their outcomes.
    weights : ndarray of shape (n,) or None
        Their weights; whole numbers are no weights any more, but rows.
    do, baseline : mapping
        The intervention, and what it is compared with; None for the columns as they are.
    in_order : bool
        Whether rows stand as they were given, and not as copies of one that counts for several.
    """

    estimator: Any
    draft: Draft
    table: Table
    y: Floats
    weights: Floats | None
    do: Mapping[Any, Any]
    baseline: Mapping[Any, Any] | None
    in_order: bool

    @property
    def exposure(self) -> str | None:
        """The column of exposures."""
        return (
            None if self.draft.exposure is None else self.draft.schema.names[self.draft.exposure]
        )

    @property
    def of_outcomes(self) -> list[str]:
        """The columns that an outcome came about with: its exposure, or its known error."""
        found = (self.draft.exposure, self.draft.noise)
        return [self.draft.schema.names[j] for j in found if j is not None]

    def permuted(self, names: Sequence[str], order: NDArray[np.intp]) -> Table:
        """Return the rows with some columns in another order, jointly."""
        return self.table.reordered([self.draft.schema.names.index(n) for n in names], order)

    def answer(
        self,
        seed: int,
        table: Table | None = None,
        y: Floats | None = None,
        kept: NDArray[np.bool_] | None = None,
        **parameters: Any,
    ) -> "_Answer":
        """Return the average effect after a fit to other rows or outcomes, or some of the rows.

        Groups may be left out whole: it is the effect in their population.
        """
        parameters = {"random_state": seed, "outcome": self.draft.outcome, **parameters}
        if self.draft.groups:
            parameters["unseen_levels"] = "population"
        model = clone(self.estimator).set_params(**parameters)
        X, weights = (self.table if table is None else table).held, self.weights
        if kept is not None:  # by weights, so that levels which are left out stay known
            weights = np.where(kept, 1.0 if weights is None else weights, 0.0)
        model.fit(X, self.y if y is None else y, sample_weight=weights)
        with warnings.catch_warnings():  # of support the user's own question warns
            for category in (ExtrapolationWarning, MisfitWarning):
                warnings.simplefilter("ignore", category)
            effect = model.effect(X, self.do, self.baseline)
        over = {}
        known = contents_of(effect).population if self.draft.groups else ""
        if not isinstance(known, str):
            over["population"] = list(dict.fromkeys(known.names.values()))
        effect = effect.average(self.weights, **over)
        n_terms = len(model.coef_) + bool(model.fit_intercept)
        tests = tuple(model.fitted_.tests)
        return _Answer(float(effect.mean()[0]), float(effect.std()[0]), n_terms, tests)


@dataclass(frozen=True)
class _Answer:
    """What a fit answers.

    Attributes
    ----------
    mean, sd : float
        Posterior mean and standard deviation of an average effect.
    n_terms : int
        How many terms the outcome's equation has.
    tests : tuple of Bend
        How the equations bend that the answer rests on.
    """

    mean: float
    sd: float
    n_terms: int
    tests: tuple[Bend, ...] = ()


@dataclass(frozen=True, eq=False)
class _Refits:
    """What refits came to.

    Attributes
    ----------
    answers : list of _Answer
        One a refit.
    share : float
        How much of a posterior variance the difference from what is expected has, if the model is
        right.
    free : int
        Of how many independent differences.
    """

    answers: list[_Answer]
    share: float
    free: int

    @property
    def means(self) -> Floats:
        """The estimates."""
        return np.array([answer.mean for answer in self.answers])

    @property
    def sds(self) -> Floats:
        """Their posterior standard deviations."""
        return np.array([answer.sd for answer in self.answers])

    def rounding(self, expected: float) -> float:
        """Return how far two answers may differ that are the same."""
        return _ROUNDING * max(abs(expected), float(np.abs(self.means).max()), _TINY)


class _NotApplicableError(Exception):
    """A check that says nothing here, and why."""


def refute(
    estimator: Any,
    parsed: Draft,
    units: Units,
    y: Floats,
    weights: Floats | None,
    do: Mapping[Any, Any],
    baseline: Mapping[Any, Any] | None,
    *,
    n_repeats: int,
    alpha: float,
    random_state: Any,
) -> pd.DataFrame:
    """Do what `BayesianInterventionRegressor.refute` says.

    Parameters
    ----------
    estimator : estimator
        What is refitted, as clones.
    parsed : Draft
        What its parameters say of the columns.
    units : Units
        The rows.
    y, weights : ndarray of shape (n,)
        Their outcomes, and weights; None for rows of weight one.
    do, baseline, n_repeats, alpha, random_state
        As there.
    """
    if isinstance(n_repeats, bool) or not isinstance(n_repeats, Integral) or n_repeats < 2:
        raise ValueError(f"n_repeats must be a whole number of at least 2, got {n_repeats!r}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha!r}")
    names = _forced(parsed, units, do, baseline)
    question = _asked(estimator, parsed, units.table, y, weights, do, baseline)
    rng = np.random.default_rng(check_random_state(random_state).randint(1 << 32, size=4))
    reference = question.answer(_seed(rng))
    checks: dict[str, Callable[[], _Refits]] = {
        _PLACEBO: lambda: _placebo(question, names, n_repeats, rng),
        _DUMMY: lambda: _dummy(question, names, n_repeats, rng),
        _CAUSE: lambda: _common_cause(question, reference, n_repeats, rng),
        _SUBSET: lambda: _subset(question, reference, n_repeats, rng),
        _BLOCKS: lambda: _blocks(question, reference, n_repeats, rng),
    }
    rows = {
        name: _judged(name, check, question, reference, listed(do), alpha)
        for name, check in checks.items()
    }
    rows[_LINES] = straightness.check(reference.tests, alpha)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("check")
    return table.astype({"passed": "boolean"})


# --- What is asked ------------------------------------------------------------------------------


def _forced(
    parsed: Draft, units: Units, do: Mapping[Any, Any], baseline: Mapping[Any, Any] | None
) -> list[str]:
    """Return the names of the forced columns; refuse what has no answer."""
    schema, outcome = parsed.schema, parsed.outcome
    names: list[str] = []
    for side in (do, baseline):
        if side is not None:
            forced = [schema.names[j] for j in forced_columns(side, schema, outcome)]
            names += [name for name in forced if name not in names]
            StructuralModel(outcome, schema, (), parsed.graph).answered(frozenset(forced))
            meant = parse_do(side, units.table, schema, 1, 0, outcome)
            encoded(meant, schema, len(units.values), 1)
    return names


def _asked(
    estimator: Any,
    parsed: Draft,
    table: Table,
    y: Floats,
    weights: Floats | None,
    do: Mapping[Any, Any],
    baseline: Mapping[Any, Any] | None,
) -> _Question:
    """Return what is asked, whole weights as so many rows."""
    rows, in_order = np.arange(len(y)), True
    if weights is not None and (weights == np.round(weights)).all():
        in_order = bool((weights <= 1).all())
        rows, weights = np.repeat(rows, weights.astype(np.intp)), None  # frequencies
    elif weights is not None:
        rows = np.flatnonzero(weights)
        weights = weights[rows]
    if not len(rows):
        raise ValueError("sample_weight is 0 for every row")
    if not np.array_equal(rows, np.arange(len(y))):
        do = _at(do, table, rows)
        baseline = None if baseline is None else _at(baseline, table, rows)
        table, y = table.take(rows).renumbered(), y[rows]
    return _Question(estimator, parsed, table, y, weights, do, baseline, in_order)


def _at(do: Mapping[Any, Any], table: Table, rows: NDArray[np.intp]) -> dict[Any, Any]:
    """Return an intervention on some of the rows, or on rows that are repeated."""

    def at(value: Any) -> Any:
        return np.asarray(value)[rows] if np.shape(value) == (len(table),) else value

    taken = {}
    for key, what in do.items():
        if hasattr(what, "rvs"):  # a frozen distribution
            named = {name: at(value) for name, value in what.kwds.items()}
            taken[key] = what.dist(*map(at, what.args), **named)
        else:
            series = isinstance(what, pd.Series)
            what = table.aligned(what, f"do[{key!r}]") if series else what
            taken[key] = what if callable(what) else at(what)
    return taken


# --- The checks ---------------------------------------------------------------------------------


def _placebo(
    question: _Question, names: list[str], n_repeats: int, rng: np.random.Generator
) -> _Refits:
    """Refit with the forced columns permuted."""
    if question.exposure in names:
        raise _NotApplicableError("the outcome is in proportion to what is forced, by definition")
    answers = [
        question.answer(_seed(rng), question.permuted(names, rng.permutation(len(question.y))))
        for _ in range(n_repeats)
    ]
    return _Refits(answers, 1.0, n_repeats)


def _dummy(
    question: _Question, names: list[str], n_repeats: int, rng: np.random.Generator
) -> _Refits:
    """Refit with the outcomes permuted, and with them what they came about with."""
    if question.exposure in names:
        raise _NotApplicableError("the outcome is in proportion to what is forced, by definition")
    answers = []
    for _ in range(n_repeats):
        order = rng.permutation(len(question.y))
        table = question.permuted(question.of_outcomes, order)
        answers.append(question.answer(_seed(rng), table, question.y[order]))
    return _Refits(answers, 1.0, n_repeats)


def _common_cause(
    question: _Question, reference: _Answer, n_repeats: int, rng: np.random.Generator
) -> _Refits:
    """Refit with a column of noise among the causes of the outcome.

    An arrow from it to the forced column would enter no equation: forcing the column cuts it.
    """
    estimator, n = question.estimator, len(question.y)
    label, name = _new_column(question)
    parameters: dict[str, Any] = {}
    if estimator.graph is not None:
        from interventional.graph.causal_graph import CausalGraph
        from interventional.graph.mixed_graph import with_cause

        graph = CausalGraph(estimator.graph)
        if name in graph.nodes:
            raise _NotApplicableError(f"the graph has a node {name!r}, the column's name")
        parameters["graph"] = CausalGraph(with_cause(graph, name, question.draft.outcome))
    answers = []
    for _ in range(n_repeats):
        table = question.table.with_new_column(label, rng.normal(size=n))
        answers.append(question.answer(_seed(rng), table, **parameters))
        if answers[-1].n_terms == reference.n_terms:
            raise _NotApplicableError("the design takes in no column that it does not name")
    return _Refits(answers, 1.0, n_repeats)


def _subset(
    question: _Question, reference: _Answer, n_repeats: int, rng: np.random.Generator
) -> _Refits:
    """Refit to random subsets of the rows."""
    n = len(question.y)
    n_kept = round(_KEPT * n)
    if n_kept in (0, n):
        raise _NotApplicableError(f"{n} rows are too few")
    answers = [
        question.answer(_seed(rng), kept=rng.permutation(n) < n_kept) for _ in range(n_repeats)
    ]
    return _Refits(answers, _share(n - n_kept, question, reference), n_repeats)


def _blocks(
    question: _Question, reference: _Answer, n_repeats: int, rng: np.random.Generator
) -> _Refits:
    """Refit without each of some blocks of consecutive rows in turn."""
    if not question.in_order:  # copies of a row are alike, and would stand together
        raise _NotApplicableError(
            "a row of weight 2 or more stands for several, whose order is not known; give a row "
            "each, in the order they came"
        )
    n = len(question.y)
    n_blocks = min(n_repeats, n)
    if n_blocks < 2:
        raise _NotApplicableError(f"{n} rows are too few")
    block = np.arange(n) * n_blocks // n
    answers = [question.answer(_seed(rng), kept=block != k) for k in range(n_blocks)]
    # The differences add up to 0, so that one of them is not free.
    share = _share(n / n_blocks, question, reference) * n_blocks / (n_blocks - 1)
    return _Refits(answers, share, n_blocks - 1)


def _share(n_left_out: float, question: _Question, reference: _Answer) -> float:
    """Return the variance of an estimate about that on all rows, per posterior variance.

    With k terms, posterior variances go as 1 / (m - k) over m rows; an estimate on a part of the
    rows varies about the one on all of them with the difference of the two (Hausman 1978).
    """
    return n_left_out / _n_free(question, reference)


def _n_free(question: _Question, answer: _Answer) -> int:
    """Return how many more rows than terms there are, at least 1."""
    return max(len(question.y) - answer.n_terms, 1)


def _new_column(question: _Question) -> tuple[Any, str]:
    """Return a label that no column has, and the name that the model gives it."""
    labels, n_columns = question.table.labels, len(question.table.names)
    if labels is None:
        return n_columns, f"x{n_columns}"
    if not all(isinstance(label, str) for label in labels):
        label = next(k for k in count(n_columns) if k not in labels)
        return label, f"x{n_columns}"
    taken = {*labels, question.draft.outcome}
    if question.estimator.graph is not None:
        from interventional.graph.causal_graph import CausalGraph

        taken |= set(CausalGraph(question.estimator.graph).nodes)
    name = next(name for k in count() if (name := f"noise{k or ''}") not in taken)
    return name, name


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(np.iinfo(np.int32).max))


# --- The verdict --------------------------------------------------------------------------------


def _judged(
    name: str,
    check: Callable[[], _Refits],
    question: _Question,
    reference: _Answer,
    forced: str,
    alpha: float,
) -> dict[str, Any]:
    """Return the row of a check."""
    expected = 0.0 if name in (_PLACEBO, _DUMMY) else reference.mean
    row: dict[str, Any] = {"expected": expected}
    claim = _CLAIMS[name].format(forced=forced)
    try:
        with warnings.catch_warnings():  # what there is to warn of, the fit to all rows has said
            warnings.simplefilter("ignore", UserWarning)
            refits = check()
    except (_NotApplicableError, ValueError) as error:
        nothing = dict.fromkeys(("estimate", "spread", "allowed", "p_value"), np.nan)
        return row | nothing | {"passed": None, "verdict": f"Not applicable: {error}"}
    absent = name in (_PLACEBO, _DUMMY)
    records = [FAMILIES[family] for family in question.draft.families.values()]
    if absent and any(record.may_be_overdispersed for record in records):
        found = _mean_judged(refits.means - expected, refits.rounding(expected))
    else:
        n_draws = question.estimator.draws * question.estimator.chains
        monte_carlo = (refits.sds**2 + (0.0 if absent else reference.sd) ** 2) / n_draws
        variances = refits.share * refits.sds**2 + monte_carlo + refits.rounding(expected) ** 2
        n_free = _n_free(question, reference)
        found = _spread_judged(refits.means - expected, variances, refits.free, n_free)
    spread, allowed, p_value = found
    passed = bool(p_value >= alpha)
    verdict = (
        f"{'Passed' if passed else 'Failed'}: {claim}; over {len(refits.answers)} refits it is "
        f"off by {spread:.2g}, where {allowed:.2g} is to be expected (p = {p_value:.2g})"
    )
    return row | {
        "estimate": float(refits.means.mean()),
        "spread": spread,
        "allowed": allowed,
        "p_value": p_value,
        "passed": passed,
        "verdict": verdict if passed else f"{verdict}. So {_MEANING[name]}",
    }


def _spread_judged(
    off: Floats, variances: Floats, free: int, n_free: int
) -> tuple[float, float, float]:
    """Return how far estimates are off, how far they may be, and the chance of so much or more.

    The squares of what they are off, over the variances that the posteriors grant, add up to a
    chi-square variable if these are right, and to more if they are too small. The ratio of the
    two variances is known no better than n rows tell: among normal columns and noise its own
    variance is 4 / n, which takes degrees of freedom (Satterthwaite 1946).
    """
    from scipy.stats import chi2

    known = 2 / (2 / free + 4 / n_free)
    p_value = float(chi2.sf((off**2 / variances).sum() * known / free, known))
    return float(np.sqrt(np.mean(off**2))), float(np.sqrt(variances.mean())), p_value


def _mean_judged(off: Floats, rounding: float) -> tuple[float, float, float]:
    """Return the same of the mean of the estimates, by how much they differ themselves.

    For Poisson equations: counts without what drives them vary by more than their posterior grants
    even if the model of all columns is right.
    """
    from scipy.stats import t

    mean, free = float(off.mean()), len(off) - 1
    error = float(off.std(ddof=1)) / np.sqrt(len(off)) + rounding
    return abs(mean), error, float(2 * t.sf(abs(mean) / error, free))
