"""HTML and SVG for notebooks: draws arrays, knows no model.

All lines and letters are in the colour of the text around them, so that pictures are legible on
light and on dark ground. What users named is escaped.
"""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

import numpy as np

from interventional.numbers import Floats

_WIDTH, _HEIGHT, _FOOT, _SIDE = 320.0, 96.0, 22.0, 8.0  # of a density: the foot holds its labels
_BINS = 120  # of a density
_TAILS = (0.002, 0.998)  # what lies beyond is not drawn: a ratio may have no end
_FONT, _ZOOM = 10.0, 1.3  # of names in graphs
_HEAD = 6.0  # how long the head of an arrow is
_SVG = 'xmlns="http://www.w3.org/2000/svg" role="img" style="max-width:100%;height:auto"'

Point = tuple[float, float]


def paragraph(text: str, *, strong: bool = False) -> str:
    """Return text as a paragraph.

    Examples
    --------
    >>> paragraph("P[y < 1]")
    '<div>P[y &lt; 1]</div>'
    """
    held = escape(text)
    return f"<div><b>{held}</b></div>" if strong else f"<div>{held}</div>"


def table(header: Sequence[str], rows: Iterable[tuple[Sequence[str], Sequence[str]]]) -> str:
    """Return a table of rows, each its labels and its cells; the header stands above both."""
    above = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>"
        + "".join(f"<th>{escape(label)}</th>" for label in labels)
        + "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for labels, cells in rows
    )
    return f"<table><thead><tr>{above}</tr></thead><tbody>{body}</tbody></table>"


def together(*parts: str) -> str:
    """Return parts one below the other."""
    return f"<div>{''.join(parts)}</div>"


def density(
    draws: Floats, mean: float, interval: Sequence[float], labels: Sequence[str], title: str
) -> str:
    """Return a picture of the density of draws, with their mean and interval below.

    Parameters
    ----------
    draws : ndarray of shape (draws,)
        The draws; what is not finite is left out.
    mean : float
        Where the point stands.
    interval : pair of float
        The ends of the bar.
    labels : pair of str
        What stands below the ends.
    title : str
        What is drawn, for those who cannot see it.
    """
    found = _smoothed(draws[np.isfinite(draws)])
    if found is None:
        return ""
    x, heights = found
    low, high = min(x[0], interval[0]), max(x[-1], interval[1])
    if not low < high < np.inf:
        return ""
    across = (_WIDTH - 2 * _SIDE) / (high - low)
    ground = _HEIGHT - _FOOT

    def at(value: float) -> float:
        return _SIDE + across * (min(max(value, low), high) - low)

    points = zip(map(at, x), ground - heights * (ground - _SIDE), strict=True)
    line = " L".join(f"{px:.1f},{py:.1f}" for px, py in points)
    ends = [at(end) for end in interval]
    said = "".join(
        f'<text x="{min(max(end, 4 * _SIDE), _WIDTH - 4 * _SIDE):.1f}" y="{_HEIGHT - 5:g}" '
        f'text-anchor="middle">{escape(label)}</text>'
        for end, label in zip(ends, labels, strict=True)
    )
    return (
        f'<svg {_SVG} width="{_WIDTH:g}" height="{_HEIGHT:g}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}"'
        f' fill="currentColor" font-family="sans-serif" font-size="11"><title>{escape(title)}'
        f'</title><path d="M{at(x[0]):.1f},{ground:g} L{line} L{at(x[-1]):.1f},{ground:g} Z" '
        f'fill-opacity="0.2" stroke="currentColor" stroke-width="1.2"/>'
        f'<line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{ground:g}" y2="{ground:g}" '
        f'stroke="currentColor" stroke-width="4"/>'
        f'<circle cx="{at(mean):.1f}" cy="{ground:g}" r="4.5"/>{said}</svg>'
    )


def _smoothed(draws: Floats) -> tuple[Floats, Floats] | None:
    """Return places and heights up to 1 of a density, without the far tails; None of a constant.

    A Gaussian kernel over bins, as wide as Silverman (1986, equation 3.31) has it.
    """
    if len(draws) < 2:
        return None
    low, first, third, high = np.quantile(draws, [_TAILS[0], 0.25, 0.75, _TAILS[1]])
    inside = draws[(draws >= low) & (draws <= high)]
    spread = min(filter(None, (float(inside.std()), float(third - first) / 1.34)), default=0.0)
    if not spread > 1e-12 * max(abs(low), abs(high)):
        return None
    width = 0.9 * spread * len(inside) ** -0.2
    edges = np.linspace(low - 3 * width, high + 3 * width, _BINS + 1)
    counts, _ = np.histogram(inside, edges)
    x = (edges[:-1] + edges[1:]) / 2
    kernel = np.exp(-0.5 * np.square((x[:, None] - x) / width))
    heights = kernel @ counts
    return x, heights / heights.max()


def halves(names: Iterable[str]) -> dict[str, float]:
    """Return half the width of a box around each name, in points: letters are about so wide."""
    return {name: max(9.0, 0.5 * sum(map(_wide, name)) + 6.0) for name in names}


def _wide(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return _FONT
    if letter in "iljtfr.,:;'|!()[] ":
        return 0.36 * _FONT
    return (1.0 if letter in "mwMW@%" else 0.72 if letter.isupper() else 0.6) * _FONT


def graph(
    boxes: Mapping[str, tuple[float, float, float, float]],
    dashed: Collection[str],
    arrows: Iterable[Sequence[Point]],
    two_heads: Iterable[Sequence[Point]],
    size: Point,
    title: str,
) -> str:
    """Return names in boxes, some dashed, and arrows with one head or with two.

    As `drawing.graph` has them: boxes are given by their middle and half their size, arrows as
    cubic Bézier curves, in points; y points up.
    """
    width, height = size
    drawn = []
    for name, (x, y, half, high) in boxes.items():
        dash = ' stroke-dasharray="4 3"' if name in dashed else ""
        drawn.append(
            f'<rect x="{x - half:.1f}" y="{height - y - high:.1f}" width="{2 * half:.1f}" '
            f'height="{2 * high:.1f}" rx="4" fill="none" stroke="currentColor"{dash}/>'
            f'<text x="{x:.1f}" y="{height - y + 0.35 * _FONT:.1f}" text-anchor="middle">'
            f"{escape(name)}</text>"
        )
    for curves, both in ((arrows, False), (two_heads, True)):
        for curve in curves:
            turned = [(x, height - y) for x, y in curve]
            drawn.append(_arrow(turned, both=both))
    return (
        f'<svg {_SVG} width="{_ZOOM * width:.0f}" height="{_ZOOM * height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" fill="currentColor" font-family="sans-serif" '
        f'font-size="{_FONT:g}"><title>{escape(title)}</title>{"".join(drawn)}</svg>'
    )


def _arrow(curve: Sequence[Point], *, both: bool) -> str:
    """Return a curve with a head at its end, or, dashed, with one at each end."""
    (x, y), rest = curve[0], curve[1:]
    path = f"M{x:.1f},{y:.1f}"
    for k in range(0, len(rest), 3):
        path += " C" + " ".join(f"{px:.1f},{py:.1f}" for px, py in rest[k : k + 3])
    heads = _head(curve[-2], curve[-1]) + (_head(curve[1], curve[0]) if both else "")
    dash = ' stroke-dasharray="4 3"' if both else ""
    return f'<path d="{path}" fill="none" stroke="currentColor"{dash}/><path d="{heads}"/>'


def _head(before: Point, tip: Point) -> str:
    """Return a triangle that points from one place to the other."""
    way = np.subtract(tip, before)
    along = way / max(float(np.hypot(*way)), 1e-9)
    foot, side = np.subtract(tip, _HEAD * along), 0.45 * _HEAD * np.array([-along[1], along[0]])
    corners = " L".join(f"{x:.1f},{y:.1f}" for x, y in (tip, foot + side, foot - side))
    return f"M{corners} Z"
