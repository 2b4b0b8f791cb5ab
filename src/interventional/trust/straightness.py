"""Whether the equations that a question rests on are straight where the data are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interventional.answers.support import Bend
from interventional.data.accumulation import Accumulated
from interventional.data.design import TransformedDesign, TreatmentCoding
from interventional.data.grouped import GroupedDesign
from interventional.data.kept import MOST, Kept
from interventional.data.repeated import first_rows, group_codes, same_in_groups
from interventional.inference.posterior import Posterior
from interventional.numbers import Floats, dense
from interventional.scm.equations import Equation, StructuralModel
from interventional.scm.families import Family
from interventional.scm.links import LOG, LOGIT
from interventional.trust.bending import Linearised, alternatives, basis_of, bending

P_VALUE = 1e-3  # over the equations that a question rests on: a smaller one is told
_CLEAR = 2.5  # studentised: what bends by more is named
_NAMED = 3  # at most so many
_MOST_TERMS = 600  # that an equation is tested with: their decomposition takes its time
_STEPS = 6  # of Fisher scoring
_FARTHEST = 2.0  # a linear predictor goes in one of them
_NEAR = 1e-3  # of each other: linear predictors that are the same
_EXTREME = 30.0  # in size: a linear predictor that is more is this
_CERTAIN = 1e-9  # a probability that is no more is this
_DETERMINED = 0.2  # mean squares of standardised residuals, of noise that is hardly there


@dataclass(frozen=True, eq=False)
class Straightness:
    """What is known of the equations of a model: nothing until a question rests on one.

    Attributes
    ----------
    model : StructuralModel
        The equations.
    posteriors : sequence of Posterior
        What was learnt of each.
    seen : Accumulated
        What the rows of fit were.
    """

    model: StructuralModel
    posteriors: Sequence[Posterior]
    seen: Accumulated
    _found: dict[tuple[str, frozenset[str], float], Bend | None] = field(
        default_factory=dict, init=False, repr=False
    )

    def told(self, forced: Collection[str], regenerated: Collection[str]) -> tuple[Bend, ...]:
        """Return the equations that bend, of those between forced columns and the outcome.

        Parameters
        ----------
        forced, regenerated : collection of str
            The columns that are forced to something new, and those that follow.
        """
        nodes = {*regenerated, self.model.outcome}
        asked = []
        for equation, posterior in zip(self.model.equations, self.posteriors, strict=True):
            moved = {*forced, *regenerated}.intersection(equation.variables)
            if equation.node in nodes and moved:
                asked.append((equation, posterior, frozenset(moved)))
        threshold = P_VALUE / max(len(asked), 1)
        every = (self._of(*each, threshold) for each in asked)
        return tuple(b for b in every if b is not None and b.p_value <= threshold)

    @property
    def tests(self) -> list[Bend]:
        """What was found of the equations that questions rested on so far, bent or not."""
        each = {key[:2]: bend for key, bend in self._found.items()}
        return [bend for bend in each.values() if bend is not None]

    def _of(
        self, equation: Equation, posterior: Posterior, moved: frozenset[str], threshold: float
    ) -> Bend | None:
        """Return how an equation bends, as found before if it was."""
        key = equation.node, moved, threshold
        if key not in self._found:
            self._found[key] = self._tested(equation, posterior, moved, threshold)
        return self._found[key]

    def _tested(
        self, equation: Equation, posterior: Posterior, moved: frozenset[str], threshold: float
    ) -> Bend | None:
        """Return how an equation bends; None where it does not, or nobody can tell."""
        rows = self._rows
        if rows is None or not _is_tested(equation):
            return None
        values, response = self._of_equation(equation, rows)
        if values is None or (rows.are_weighted and equation.priors.fixed_sigma is not None):
            return None  # of weights that are precisions no row counts for several
        means = {name: v.mean(axis=(0, 1)) for name, v in posterior.variables.items()}
        fit = _linearised(equation, values, response, means)
        if fit is None:
            return None
        own = values[:, equation.columns]
        schema = self.model.schema.subset(equation.columns)
        at = [k for k, name in enumerate(equation.variables) if name in moved]
        columns, names = alternatives(schema, own, at, _groups(equation))
        found = bending(fit, columns, threshold)
        if found is None:
            return None
        parts = _named(found.scores, names)
        remedy = _remedy(equation, self.model)
        return Bend(equation.node, parts, found.share, found.p_value, remedy)

    def _of_equation(self, equation: Equation, rows: "_Rows") -> tuple[Floats | None, Floats]:
        """Return the rows that an equation counts, of all columns, and its node in them."""
        names, values = self.model.schema.names, rows.values
        response = rows.target
        if equation.node != self.model.outcome:
            response = values[:, names.index(equation.node)]
            if equation.record.inner is not None:
                response = equation.record.inner(response)
            once = self._measured_once(equation, values)
            if once is not None:
                values, response = values[once], response[once]
        read = sorted(equation.read)
        if np.isnan(values[:, read]).any() or np.isnan(response).any():
            return None, response
        return values, response

    def _measured_once(self, equation: Equation, values: Floats) -> NDArray[np.intp] | None:
        """Return a row of each group, if an equation is of what is the same in all its rows."""
        j = self.model.schema.names.index(equation.node)
        own = values[:, [j, *equation.columns]]
        for keys in {keys for e in self.model.equations for keys in _keys(e)}:
            codes = group_codes(values[:, list(keys)])
            first = first_rows(codes)
            if same_in_groups(values[:, j], codes) and (own == own[first][codes]).all():
                return first
        return None

    @cached_property
    def _rows(self) -> "_Rows | None":
        """The rows that are kept, as the model codes them."""
        kept, schema = self.seen.kept, self.model.schema
        if kept is None or schema.names != self.seen.schema.names:
            return None
        kept = kept.coded(self.seen.schema, schema)
        return _Rows.of(kept, len(schema.names))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows that count once each, of all columns, and their outcomes."""

    values: Floats
    target: Floats
    are_weighted: bool

    @classmethod
    def of(cls, kept: Kept, width: int) -> "_Rows":
        """Return what is kept, a row of weight 3 three times; no more than are kept at most."""
        values, target, weights = kept.among(width), kept.target, kept.weights
        if (weights == 1).all():
            return cls(values, target, are_weighted=False)
        order = np.argsort(kept.numbers, kind="stable")
        upto = np.cumsum(weights[order])
        n = int(min(round(upto[-1]), MOST))
        # the middles of n equal parts: of whole weights each row as often as it counts
        at = np.searchsorted(upto, (np.arange(n) + 0.5) * upto[-1] / max(n, 1))
        picked = order[at]
        return cls(values[picked], target[picked], are_weighted=True)


def _is_tested(equation: Equation) -> bool:
    """Whether an equation is a sum of terms that someone wrote down."""
    design = equation.design
    base = design.base if isinstance(design, GroupedDesign) else design
    return isinstance(base, TreatmentCoding | TransformedDesign)


def _keys(equation: Equation) -> list[tuple[int, ...]]:
    """Return the positions of the columns of each kind of groups, among the model's."""
    return [tuple(equation.columns[k] for k in part.columns) for part in equation.design.varying]


def _groups(equation: Equation) -> list[int]:
    """Return the positions of the columns of groups, among the equation's."""
    return [k for part in equation.design.varying for k in part.columns]


def _linearised(
    equation: Equation, values: Floats, response: Floats, means: Mapping[str, Floats]
) -> Linearised | None:
    """Return an equation near its fit; None if it has too many terms.

    Parameters
    ----------
    equation : Equation
        The equation.
    values : ndarray of shape (n, columns)
        Encoded rows.
    response : ndarray of shape (n,)
        The node, as inference sees it.
    means : mapping
        Posterior means of its parameters.
    """
    matrix = equation.matrix(values)
    used = np.flatnonzero(np.asarray(abs(matrix).sum(axis=0)).ravel())  # groups may be elsewhere
    if len(used) > _MOST_TERMS:
        return None
    part = dense(matrix[:, used], "")
    terms = np.column_stack([np.ones(len(part)), part]) if equation.has_intercept else part
    record = equation.record
    if not record.link.tensor or record.inner is not None:
        return Linearised(response[:, None], terms)
    beta = means[f"{equation.node}_beta"].reshape(equation.n_blocks, -1)
    eta = matrix @ beta.T + means.get(f"{equation.node}_intercept", 0.0)
    if (offset := equation.offset(values)) is not None:
        eta = eta + offset[:, None]
    own = {name: means[f"{equation.node}_{name}"] for name in equation.dispersion}
    for _ in range(_STEPS):  # Fisher scoring, from the posterior mean, which a prior may hold back
        found = _near(record, eta, response, own, terms)
        if found is None:
            return None
        basis = basis_of(found.spread(terms))
        step = basis @ (basis.T @ found.residual.ravel())
        step = step.reshape(found.residual.shape)[:, :, None]
        assert found.root is not None
        step = np.linalg.solve(found.root.transpose(0, 2, 1), step)[:, :, 0]
        eta = eta + np.clip(step, -_FARTHEST, _FARTHEST)
        if np.abs(step).max() < _NEAR:
            break
    return _near(record, eta, response, own, terms)


def _near(
    record: Family, eta: Floats, response: Floats, own: Mapping[str, Floats], terms: Floats
) -> Linearised | None:
    """Return an equation of another family near some linear predictors, (n, blocks)."""
    if record.of_levels and eta.shape[1] > 1:
        return _of_levels(eta, response, terms)
    mean = record.link.inverse(np.clip(eta[:, 0], -_EXTREME, _EXTREME))
    if record.link is LOGIT:
        mean = np.clip(mean, _CERTAIN, 1 - _CERTAIN)
    slope = mean * (1 - mean) if record.link is LOGIT else mean
    deviation = np.sqrt(record.variance(mean, own))
    if record.link not in (LOG, LOGIT) or not (deviation > 0).all():
        return None
    root = (slope / deviation)[:, None, None]
    return Linearised(((response - mean) / deviation)[:, None], terms, root, _DETERMINED)


def _of_levels(eta: Floats, response: Floats, terms: Floats) -> Linearised:
    """Return the equation of a column of three levels or more.

    The covariance of the indicators of levels is diag(p) - p p'.
    """
    full = np.column_stack([np.zeros(len(eta)), np.clip(eta, -_EXTREME, _EXTREME)])
    p = np.exp(full - full.max(axis=1, keepdims=True))
    p = np.maximum(p / p.sum(axis=1, keepdims=True), _CERTAIN)[:, 1:]
    covariance = p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])
    covariance += _CERTAIN * np.eye(p.shape[1])
    root = np.linalg.cholesky(covariance)
    noise = (response[:, None] == np.arange(1, p.shape[1] + 1)) - p
    residual = np.linalg.solve(root, noise[:, :, None])[:, :, 0]
    return Linearised(residual, terms, root, _DETERMINED)


def _remedy(equation: Equation, model: StructuralModel) -> str:
    """Return what mends an equation that bends."""
    if equation.record.inner is None and equation.latent is None:
        return (
            f"Give {equation.node!r} a design that bends, such as splines and their products with "
            "what is forced, as docs/how_to/nonlinear.md shows."
        )
    smooth = '"smooth"' if equation.node == model.outcome else f'{{"{equation.node}": "smooth"}}'
    return f"Fit with design={smooth}."


def _named(scores: Floats, names: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the alternatives that stand out, the clearest first."""
    largest: dict[tuple[str, ...], float] = {}
    for name, score in zip(names, scores, strict=True):
        largest[name] = max(largest.get(name, 0.0), float(score))
    order = sorted(largest, key=lambda name: -largest[name])
    clear = [name for name in order if largest[name] > _CLEAR]
    return tuple((clear or order)[:_NAMED])


def check(tests: Sequence[Bend], alpha: float) -> dict[str, Any]:
    """Return the row of `refute` that says whether equations bend: no refit, but a test of each.

    Parameters
    ----------
    tests : sequence of Bend
        What was found of the equations that an answer rests on.
    alpha : float
        How often the check may fail though all are straight.
    """
    row: dict[str, Any] = {"expected": 0.0, "spread": np.nan, "allowed": np.nan}
    if not tests:
        why = "no equation is linear in its terms, or the rows are too few to tell"
        nothing = {"estimate": np.nan, "p_value": np.nan, "passed": None}
        return row | nothing | {"verdict": f"Not applicable: {why}"}
    worst = min(tests, key=lambda bend: bend.p_value)
    p_value = min(worst.p_value * len(tests), 1.0)
    verdict = (
        f"Passed: squares and products of columns should explain nothing; in the equation of "
        f"{worst.node!r} they explain {worst.share:.0%} of what it leaves (p = {p_value:.2g})"
    )
    if p_value < alpha:
        verdict = f"Failed: {worst}. So effects and intervals may be wrong. {worst.remedy}"
    found = {"estimate": worst.share, "p_value": p_value, "passed": p_value >= alpha}
    return row | found | {"verdict": verdict}
