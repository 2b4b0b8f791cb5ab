"""What a query forces, held against what was seen when the model was fitted.

`judge` says of each row whether the data support it. It compares each forced column with its
range, and with the other columns: whether rows with such covariates had such values.
"""

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, erfc

from interventional.answers.samples import Chunked
from interventional.answers.support import Support
from interventional.data.schema import Schema
from interventional.errors import ExtrapolationWarning
from interventional.intervention.query import Query
from interventional.numbers import Floats, slices
from interventional.scm.equations import Equation, StructuralModel
from interventional.trust.overlap import Covariates, Training, Usual
from interventional.trust.rarity import Rarity

_RARE = 0.1  # overlap: rows are ten times rarer at that level than in general
_SHARE = 0.05  # of the rows: from here on there is a warning
_DRAWS = 50  # of a distribution, that are looked at for a row
_MOST = 1 << 22  # of them in all
_ROUNDING = 1e-9  # of a range
_OUTSIDE = 0.05  # share of a row's draws that may be unsupported
_KEPT = 64  # comparisons
_ROWS, _ROWS_OF_DRAWS = 1 << 14, 1 << 11  # rows that are looked at at a time
_PACKAGE = str(Path(__file__).parents[1])


def warn(support: Support | str, estimand: str) -> None:
    """Warn, at the user's line, if the data do not support an answer.

    Parameters
    ----------
    support : Support or str
        How well they support it; a str if nobody knows.
    estimand : str
        What is answered, in words.
    """
    if isinstance(support, str):
        return
    share = float(np.mean(~support.supported))
    if share < _SHARE and not support.is_far:
        return
    _warn(
        f"{estimand}: {_percent(share)} of the rows are forced beyond what fit has seen: "
        f"{'; '.join(support.reasons)}. There the answer rests on the form of the model, not on "
        "data. Its .support says which rows those are: keep X[answer.support['supported']], or "
        "force values nearer to those observed"
    )


def warn_of_numbers(training: Training, forced: Iterable[tuple[str, Any]], estimand: str) -> None:
    """Warn of forced numbers outside the observed range, where no row has been looked at.

    Parameters
    ----------
    training : Training
        What the training rows were.
    forced : iterable of (str, object)
        Columns, and what they are forced to; what is no single number is passed over.
    estimand : str
        What is asked, in words.
    """
    reasons = []
    for name, what in forced:
        j = training.schema.names.index(name)
        if j in training.ranges and isinstance(what, int | float | np.number | np.bool_):
            value = float(what)
            if _outside(training, j, np.array([value])).any():
                reasons.append(_of_range(training, j, value, value, 1.0))
    if reasons:
        _warn(
            f"{estimand}: rows are forced beyond what fit has seen: {'; '.join(reasons)}. "
            "There the answer rests on the form of the model, not on data; force values nearer to "
            "those observed"
        )


def judge(
    model: StructuralModel,
    training: Training,
    query: Query,
    *,
    apart: Collection[str] = (),
) -> Support:
    """Return how well the data support a query, row by row.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    training : Training
        What the training rows were.
    query : Query
        The rows and what is forced.
    apart : collection of str, optional
        The columns that are judged, each by itself; by default all that are forced, together.
    """
    forced = _moved(training, query, apart)
    n = len(query.values)
    if not forced:
        return Support.of_observed(n)
    follow = {*query.regenerated, *(query.forced if apart else ())}  # no covariates: they move too
    nodes = (*query.regenerated, model.outcome)
    reached = [equation for equation in model.equations if equation.node in nodes]
    joints = _joints(training, reached, set(forced), follow, jointly=not apart)
    drawn = [j for j, held in forced.items() if isinstance(held, Chunked)]
    size = _ROWS_OF_DRAWS if drawn else _ROWS
    what = training, joints, forced, query.values
    if n <= size:
        found = _judged(*what, slice(0, n))
    else:
        found = _together([_judged(*what, rows) for rows in slices(n, size)])
    supported = found.in_range & (found.distance <= 1) & (found.overlap >= _RARE)
    reasons = () if supported.all() else _reasons(training, found, joints)
    return Support(supported, found.in_range, found.distance, found.overlap, found.is_far, reasons)


def _moved(
    training: Training, query: Query, apart: Collection[str]
) -> dict[int, Floats | Chunked]:
    """Return what columns are forced to, those that are not as observed, with fewer draws."""
    n = len(query.values)
    forced: dict[int, Floats | Chunked] = {}
    for name, held in query.forced.items():
        j = training.schema.names.index(name)
        if j not in training.at or (apart and name not in apart):
            continue
        if isinstance(held, Chunked):
            forced[j] = held.thinned(min(held.n_draws, max(1, min(_DRAWS, _MOST // n))))
        elif not np.array_equal(held, query.values[:, j]):
            forced[j] = held
    return dict(sorted(forced.items()))


@dataclass(frozen=True, eq=False)
class _Joint:
    """What forced columns are compared with, in one equation.

    Attributes
    ----------
    columns : tuple of int
        The forced columns among the equation's regressors.
    rare : dict of int to Rarity
        For discrete columns.
    usual : dict of int to tuple (Usual, float, float)
        For columns of numbers, and how many standard deviations up and down are in reach.
    scale : float
        What turns the joint distance of the numbers into one that has its limit at one.
    jointly : bool
        Whether distances add up; else the largest counts.
    """

    columns: tuple[int, ...]
    rare: Mapping[int, Rarity]
    usual: Mapping[int, tuple[Usual, float, float]]
    scale: float
    jointly: bool

    def distance(self, values: Floats, forced: Mapping[int, Floats]) -> Floats:
        """Return how far the forced numbers are from what is usual in such rows."""
        each = []
        for j, (usual, up, down) in self.usual.items():
            z = usual.residual(forced[j], values, forced)
            far = np.maximum(z / up, z / -down)
            if j in self.rare:  # one of two values: how far it is says nothing
                far[self.rare[j].training.codes(j, forced[j]) >= 0] = 0.0
            each.append(far)
        if len(each) > 1 and self.jointly:
            return np.linalg.norm(each, axis=0) * self.scale
        return np.asarray(np.max(each, axis=0))

    def overlap(self, values: Floats, forced: Mapping[int, Floats]) -> Floats:
        """Return how frequent such rows are at the forced levels, compared with all rows."""
        found = np.ones(len(values))
        for j, rarity in self.rare.items():
            codes = rarity.training.codes(j, forced[j])
            found = np.minimum(found, rarity.overlap(codes, values, forced))
        return found


def _joints(
    training: Training,
    equations: list[Equation],
    forced: set[int],
    follow: set[str],
    *,
    jointly: bool,
) -> list[_Joint]:
    """Return what forced columns are compared with, for each different set of columns.

    Forced columns come one after the other, those of levels first: each is compared with the
    covariates and with those before it. p(a, b | x) = p(a | x) p(b | a, x).
    """
    if not training.n > 3:
        return []
    names = training.schema.names
    found: dict[Any, _Joint] = {}
    for equation in equations:
        columns = dict(zip(equation.columns, equation.variables, strict=True))
        moved = sorted([j for j, name in columns.items() if j in forced and name == names[j]])
        others = [j for j in columns if j not in moved and columns[j] not in follow]
        key = tuple(moved), tuple([j for j in others if j in training.few]), jointly
        if moved and key not in found:
            found[key] = training.comparisons.get(key) or _compared(training, *key)
    if len(training.comparisons) > _KEPT:  # whoever asks of so many sets asks of each once
        training.comparisons.clear()
    training.comparisons.update(found)
    return list(found.values())


def _compared(
    training: Training, moved: tuple[int, ...], others: tuple[int, ...], jointly: bool
) -> _Joint:
    """Return what forced columns are compared with."""
    few = training.schema.of_few_levels(moved)
    discrete = [j for j in few if training.is_discrete(j)]
    numbers = [j for j in few if training.schema.levels[j] is None]
    normal = max(3.0, float(np.sqrt(2 * np.log(training.n))))
    rare, usual = {}, {}
    given = Covariates(training, others)
    before = others
    for j in [*discrete, *(j for j in numbers if j not in discrete)]:
        if j in discrete:
            rare[j] = Rarity.of(j, training, before)
        found = Usual.of(j, given) if j in numbers else None
        if found is not None:
            usual[j] = (found, *_reach(training, j, normal))
        if jointly and len(few) > 1:
            before = (*before, j)
            given = Covariates(training, before)
    k = sum(j not in discrete for j in usual)
    # As improbable for k numbers as `normal` standard deviations are for one.
    scale = normal / np.sqrt(chdtri(k, erfc(normal / np.sqrt(2)))) if jointly and k > 1 else 1.0
    return _Joint(moved, rare, usual, float(scale), jointly)


def _reach(training: Training, j: int, normal: float) -> tuple[float, float]:
    """Return how many standard deviations above and below what is usual count as seen.

    As many as normal residuals reach, or as the column itself does around its mean: then values in
    its range are in reach where it does not depend on the covariates.
    """
    k, sd, (low, high) = training.at[j].start, np.sqrt(training.variance(j)), training.ranges[j]
    above, (below, over) = training.above[k], training.slack(j)
    if not sd > 0:
        return normal, normal
    wider = 1 + _ROUNDING
    up, down = wider * (high - low - above + over) / sd, wider * (above + below) / sd
    return max(normal, up), max(normal, down)


@dataclass(frozen=True, eq=False)
class _Block:
    """What is found in some rows."""

    outside: Mapping[int, NDArray[np.bool_]]
    in_range: NDArray[np.bool_]
    distance: Floats
    overlap: Floats
    extremes: Mapping[int, tuple[float, float]]
    is_far: bool


def _judged(
    training: Training,
    joints: list[_Joint],
    forced: Mapping[int, Floats | Chunked],
    values: Floats,
    rows: slice,
) -> _Block:
    """Return what is found in a block of rows."""
    block = values[rows]
    drawn = {
        j: held.block(rows) if isinstance(held, Chunked) else held[rows][None]
        for j, held in forced.items()
    }
    n_draws = max(map(len, drawn.values()))
    unmoved = np.ones((n_draws, len(block)), dtype=bool)
    outside, extremes, is_far = {}, {}, False
    for j, each in drawn.items():
        unmoved &= each == block[:, j]
        extremes[j] = float(each.min()), float(each.max())
        excess = _outside(training, j, each)
        is_far |= bool((excess > 1).any())
        outside[j] = np.broadcast_to(excess > 0, unmoved.shape)
    block = np.nan_to_num(block)  # of columns that are forced or ignored
    distance, overlap = np.zeros(unmoved.shape), np.ones(unmoved.shape)
    for d in range(n_draws):
        moved = {j: each[d % len(each)] for j, each in drawn.items()}
        for one in joints:
            if one.usual:
                np.maximum(distance[d], one.distance(block, moved), out=distance[d])
            if one.rare:
                np.minimum(overlap[d], one.overlap(block, moved), out=overlap[d])
    distance[unmoved], overlap[unmoved] = 0.0, 1.0
    if n_draws > 1:
        is_far = False  # tails of a distribution have no end
        distance = np.quantile(distance, 1 - _OUTSIDE, axis=0)[None]
        overlap = np.quantile(overlap, _OUTSIDE, axis=0)[None]
    outside = {j: (each & ~unmoved).mean(axis=0) > _OUTSIDE for j, each in outside.items()}
    in_range = ~np.any(list(outside.values()), axis=0)
    return _Block(outside, in_range, distance[0], overlap[0], extremes, is_far)


def _together(blocks: list[_Block]) -> _Block:
    """Return what is found in all rows."""

    def joined(what: str) -> Any:
        return np.concatenate([getattr(block, what) for block in blocks])

    columns = list(blocks[0].outside)
    return _Block(
        {j: np.concatenate([block.outside[j] for block in blocks]) for j in columns},
        joined("in_range"),
        joined("distance"),
        joined("overlap"),
        {
            j: (min(b.extremes[j][0] for b in blocks), max(b.extremes[j][1] for b in blocks))
            for j in columns
        },
        any(block.is_far for block in blocks),
    )


def _outside(training: Training, j: int, values: Floats) -> Floats:
    """Return how far values lie outside the observed range, in widths of it; levels by 1/2.

    What is hardly outside is inside.
    """
    if training.schema.levels[j] is not None:
        shares = training.mean[training.at[j]]
        never = np.append(shares * training.n < 1e-6, False)  # what the model extends to: allowed
        return 0.5 * never[np.minimum(values, len(shares)).astype(np.intp)]
    (low, high), (down, up) = training.ranges[j], training.slack(j)
    width = high - low if high > low else max(abs(high), np.finfo(np.float64).tiny)
    below, over = low - values, values - high
    outside = (below > down + _ROUNDING * width) | (over > up + _ROUNDING * width)
    return np.where(outside, np.maximum(below, over) / width, 0.0)


def _reasons(training: Training, found: _Block, joints: list[_Joint]) -> tuple[str, ...]:
    """Say what is not supported, and in how many rows."""
    said = [
        _of_range(training, j, *found.extremes[j], float(rows.mean()))
        for j, rows in found.outside.items()
        if rows.any()
    ]
    inside = found.in_range  # where a value is outside its range, that says enough
    far, rare = inside & (found.distance > 1), inside & (found.overlap < _RARE)
    if far.any():
        columns = sorted({j for one in joints for j in one.usual})
        said.append(
            f"{_forced(training, columns, found.extremes)}, far from what was observed in rows "
            f"with such covariates ({_percent(far.mean())} of the rows)"
        )
    if rare.any():
        columns = sorted({j for one in joints for j in one.rare})
        said.append(
            f"{_forced(training, columns, found.extremes)}, which hardly any rows with such "
            f"covariates had ({_percent(rare.mean())} of the rows)"
        )
    return tuple(said)


def _of_range(training: Training, j: int, least: float, most: float, share: float) -> str:
    what = _forced(training, [j], {j: (least, most)})
    if training.schema.levels[j] is not None:
        return f"{what}, of which some level never occurred ({_percent(share)} of the rows)"
    low, high = training.ranges[j]
    return (
        f"{what}, and was observed from {low:g} to {high:g} "
        f"({_percent(share)} of the rows are outside)"
    )


def _forced(
    training: Training, columns: list[int], extremes: Mapping[int, tuple[float, float]]
) -> str:
    """Return which columns are forced to what, as in ``'b' is forced to 5``."""
    said = []
    for j in columns:
        least, most = (_value(training.schema, j, value) for value in extremes[j])
        to = spread(least, most)
        if training.schema.levels[j] is not None and least != most:
            to = "levels of its own in each row"
        said.append(f"{training.schema.names[j]!r} is forced to {to}")
    return " and ".join(said)


def spread(least: str, most: str) -> str:
    """Return what values lie between, as words."""
    return least if least == most else f"values from {least} to {most}"


def _value(schema: Schema, j: int, value: float) -> str:
    """Return a forced value as the user writes it."""
    levels = schema.levels[j]
    if levels is not None:
        return repr(levels[int(value)]) if value < len(levels) else "a level not seen in fit"
    return str(bool(value)) if schema.dtypes[j] == "bool" else f"{value:g}"


def _percent(share: float) -> str:
    """Return a share in percent, never 0 or 100 but where it is."""
    if 0 < share < 0.001:
        return "less than 0.1%"
    percent = 100 * share
    return f"{percent:.1f}%" if percent < 1 or 99 < percent < 100 else f"{percent:.0f}%"


def _warn(message: str) -> None:
    warnings.warn(message, ExtrapolationWarning, skip_file_prefixes=(_PACKAGE,))
