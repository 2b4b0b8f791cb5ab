"""What `Outcomes` look like: a line in a terminal, a picture or a table in a notebook.

Looking costs next to nothing: numbers are shown of draws that are held, and of the first few rows.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from interventional import markup
from interventional.answers.composed import Picked
from interventional.answers.contents import Contents
from interventional.answers.reductions import (
    CiKind,
    interval_at_hand,
    interval_columns,
    interval_of,
)
from interventional.answers.samples import Held, Samples
from interventional.drawing import percent
from interventional.numbers import Floats

_LINE = 100  # characters that a line takes at most
_MEANS = 3  # rows whose means a line holds
_ROWS = 5  # rows that a table holds, unless it holds all
_ALL = 10  # rows of which a table holds all
_HUGE, _TINY = 1e9, 1e-5  # numbers beyond are written with an exponent


def line(estimand: str, contents: Contents) -> str:
    """Return outcomes in a line: what they are of, and the numbers that are at hand.

    Of long words the rest stands on a second line, or goes without numbers.
    """
    n_draws, n = contents.samples.n_draws, contents.samples.n
    size = f", {n} row{'s' if n != 1 else ''}, {n_draws} draws>"
    if not isinstance(contents.samples, Held):
        return fitting(f"<Outcomes: {estimand}", size)
    if n == 1:
        said = _estimate(contents.samples)
        return fitting(f"<Outcomes: {estimand}", f" = {said}, {n_draws} draws>")
    means = f"{size[:-1]}, means {_means(contents)}>"
    fits = len(f"<Outcomes: {estimand}{means}") <= _LINE
    return fitting(f"<Outcomes: {estimand}", means if fits else size)


def fitting(before: str, after: str) -> str:
    """Return both in a line, or, if they are too long for one, in two; the first is shortened.

    Examples
    --------
    >>> fitting("<Outcomes: E[y | X]", ", 2 rows>")
    '<Outcomes: E[y | X], 2 rows>'
    """
    if len(before) + len(after) <= _LINE:
        return before + after
    if len(before) > _LINE:
        half = (_LINE - 1) // 2
        before = f"{before[:half]}…{before[len(before) - half :]}"
    return f"{before}\n {after.removeprefix(' ')}"


def estimate(draws: Floats, interval: tuple[float, CiKind] | None = None) -> str:
    """Return mean and interval of draws, (draws,), in words.

    Examples
    --------
    >>> estimate(np.linspace(0.0, 1.0, 101))
    '0.50 (89%: 0.05 to 0.95)'
    """
    return _estimate(Held(draws[:, None]), interval)


def _estimate(samples: Samples, interval: tuple[float, CiKind] | None = None) -> str:
    prob, kind = interval or interval_at_hand()
    low, high = samples.asked(interval_of(prob, kind))[0]
    mean, below, above = numbers([samples.mean()[0], low, high], high - low)
    return f"{mean} ({percent(prob)}: {below} to {above})"


def numbers(values: Sequence[float], width: float) -> list[str]:
    """Return numbers as text, all to the place where a width has two digits.

    Examples
    --------
    >>> numbers([20.1234, 19.98, 20.28], 0.3)
    ['20.12', '19.98', '20.28']
    >>> numbers([123456.0, 120000.0], 3456.0)
    ['123500', '120000']
    """
    size = float(np.abs(values).max(initial=0.0))
    if not (np.isfinite(size) and 0 < width < np.inf):
        return [f"{value:.4g}" for value in values]
    place = 1 - int(np.floor(np.log10(width)))  # of the last digit, behind the point
    if size >= _HUGE or width < _TINY:
        digits = int(np.clip(np.floor(np.log10(size)) + place, 0, 15))
        return [f"{value:.{digits}e}" for value in values]
    rounded = (round(float(value), place) + 0.0 for value in values)  # no minus before a zero
    return [f"{value:.{max(place, 0)}f}" for value in rounded]


def _means(contents: Contents) -> str:
    """Return the means of the first rows."""
    assert isinstance(contents.samples, Held)
    first = _first(contents, _MEANS)
    ends = first.asked(interval_of(*interval_at_hand()))
    said = [
        numbers([mean], width)[0]
        for mean, width in zip(first.mean(), np.ptp(ends, axis=1), strict=True)
    ]
    more = ", …" if contents.samples.n > _MEANS else ""
    return f"{', '.join(said)}{more}"


def html(estimand: str, contents: Contents) -> str:
    """Return outcomes as HTML: a picture of the posterior of one row, a table of several."""
    n_draws, n = contents.samples.n_draws, contents.samples.n
    heading = markup.paragraph(estimand, strong=True)
    size = f"{n_draws} draws" if n == 1 else f"{n} rows, {n_draws} draws"
    if not isinstance(contents.samples, Held):
        later = f"{size}, computed when they are asked for: average(), summary(), …"
        return markup.together(heading, markup.paragraph(later))
    if n > 1:
        return markup.together(heading, _table(contents), markup.paragraph(size))
    said = markup.paragraph(f"{_estimate(contents.samples)}, {size}")
    return markup.together(heading, said, _picture(contents.samples, estimand))


def picture(draws: Floats, title: str, interval: tuple[float, CiKind] | None = None) -> str:
    """Return a picture of the posterior of one number, given its draws, (draws,)."""
    return _picture(Held(draws[:, None]), title, interval)


def _picture(samples: Held, title: str, interval: tuple[float, CiKind] | None = None) -> str:
    ends = samples.asked(interval_of(*(interval or interval_at_hand())))[0]
    labels = numbers(list(ends), float(np.ptp(ends)))
    return markup.density(samples.values[:, 0], float(samples.mean()[0]), ends, labels, title)


def _first(contents: Contents, n: int) -> Samples:
    """Return the first rows."""
    return Picked(np.arange(min(n, contents.samples.n)), contents.samples)


def _table(contents: Contents) -> str:
    """Return the first rows, or all of few, with mean, sd and interval."""
    assert isinstance(contents.samples, Held)
    n = contents.samples.n
    shown = n if n <= _ALL else _ROWS
    first = _first(contents, shown)
    prob, kind = interval_at_hand()
    ends = first.asked(interval_of(prob, kind))
    spread = first.std() if first.n_draws > 1 else np.full(shown, np.nan)
    rows: list[tuple[list[str], list[str]]] = []
    for label, mean, sd, (low, high) in zip(
        contents.labels[:shown], first.mean(), spread, ends, strict=True
    ):
        cells = numbers([mean, low, high], high - low)
        cells.insert(1, numbers([sd], sd)[0])
        rows.append((_labels(label, contents), cells))
    levels = [str(level) for level in contents.levels] or [""]
    if shown < n:
        rows.append((["…"] * len(levels), ["…"] * 4))
    return markup.table([*levels, "mean", "sd", *interval_columns(prob, kind)], rows)


def _labels(label: Hashable, contents: Contents) -> list[str]:
    if contents.levels and isinstance(label, tuple):
        return [str(each) for each in label]
    return [str(label)]
