"""Pictures: draws arrays, knows no model."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._optional_dependencies import check_matplotlib_support

from interventional.numbers import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOR, MUTED, SHADE, LIMIT = "#1f5a92", "#8a8a8a", "#eeeeee", "#b3261e"
MOST_ROWS = 1000  # that are drawn one by one: as many as a picture is wide
_TICKS = 500  # of a rug, at most
_ARROW: dict[str, Any] = {"arrowstyle": "-|>"}
_TWO_HEADS: dict[str, Any] = {"arrowstyle": "<|-|>", "linestyle": "--"}
_FONT = 10.0  # of names in graphs, in points
_ZOOM = 1.4  # how much larger they may be
_LARGEST = 20.0  # inches that a picture of a graph is wide or high

Mark = tuple[str, tuple[float, float], str]  # a marker, where it stands, and a text beside it


def axes(ax: "Axes | None", height: float, caller: str) -> "Axes":
    """Return where to draw: what the user gave to the caller, or a new figure of some height."""
    check_matplotlib_support(caller)
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, height), layout="constrained")[1]


def finished(ax: "Axes", **labels: Any) -> "Axes":
    """Return axes with their labels, and without a frame."""
    ax.set(**{key: verbatim(each) for key, each in labels.items()})
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def verbatim(text: Any) -> Any:
    """Return text as matplotlib takes it for such, and for no formula between dollars."""
    return text.replace("$", r"\$") if isinstance(text, str) else text


def percent(prob: float) -> str:
    """Return a probability in percent."""
    return f"{round(100 * prob, 6):g}%"


def heading(ax: "Axes", text: str, color: str = COLOR) -> None:
    """Say above the picture what is drawn."""
    ax.set_title(verbatim(text), loc="left", fontsize="small", color=color)


def density(ax: "Axes", draws: Floats, mean: float, interval: Floats) -> None:
    """Draw the density of draws, (draws,), with their mean and interval below."""
    from arviz_stats.base import array_stats

    if np.ptp(draws) > 0:  # else they have no density
        x, y, _ = array_stats.kde(draws)
        ax.fill_between(x, y, color=COLOR, alpha=0.25, lw=0)
        ax.plot(x, y, color=COLOR, lw=2)
    ax.hlines(0, *interval, color=COLOR, lw=4)
    ax.plot(mean, 0, "o", color="white", mec=COLOR, mew=2, ms=7, clip_on=False, zorder=3)
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.spines["left"].set_visible(False)


def ranks(n: int) -> NDArray[np.intp]:
    """Return which of n rows in order are drawn: all, or as many as can be, evenly spaced."""
    return np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(np.intp)


def band(ax: "Axes", x: NDArray[Any], mean: Floats, intervals: Floats, width: float = 2) -> None:
    """Draw means, (k,), as a line, and intervals, (k, 2), as a band."""
    ax.fill_between(x, *intervals.T, color=COLOR, alpha=0.25, lw=0)
    ax.plot(x, mean, color=COLOR, lw=width)


def points(ax: "Axes", x: NDArray[Any], mean: Floats, intervals: Floats) -> None:
    """Draw means, (k,), as points, and intervals, (k, 2), as bars."""
    ax.vlines(x, *intervals.T, color=COLOR, lw=2.5)
    ax.plot(x, mean, "o", color=COLOR, ms=7)


def single_rows(ax: "Axes", x: NDArray[Any], values: Floats) -> None:
    """Draw a thin line for each of several rows, (k, rows)."""
    ax.plot(x, values, color=MUTED, lw=0.6, alpha=0.5)


def forest(
    ax: "Axes", names: Sequence[str], mean: Floats, intervals: Floats, inner: Floats
) -> None:
    """Draw means, (k,), intervals and inner intervals, (k, 2), one below the other."""
    y = np.arange(len(names))[::-1]
    ax.hlines(y, *intervals.T, color=COLOR, lw=1.5)
    ax.hlines(y, *inner.T, color=COLOR, lw=4)
    ax.plot(mean, y, "o", color="white", mec=COLOR, mew=2, ms=7)
    ax.set_yticks(y, [verbatim(name) for name in names])
    ax.set_ylim(-0.6, len(y) - 0.4)
    ax.tick_params(axis="y", length=0)


def observed(ax: "Axes", values: Floats, x: Floats) -> None:
    """Draw a rug of what was observed below a curve over x, and shade what lies beyond."""
    low, high = float(values.min()), float(values.max())
    left, right = min(x.min(), low), max(x.max(), high)
    for start, stop in ((left, low), (high, right)):
        if stop > start:
            ax.axvspan(start, stop, color=SHADE, zorder=0, lw=0)
    if left < low or high < right:
        text, at = "shaded: never observed", (0.01, 0.98)
        ax.annotate(text, at, xycoords="axes fraction", va="top", color=MUTED, fontsize=8)
    few = len(values) <= _TICKS
    ticks = values if few else np.quantile(values, np.linspace(0, 1, _TICKS))
    heights, transform = np.zeros(len(ticks)), ax.get_xaxis_transform()
    ax.plot(ticks, heights, "|", color=MUTED, ms=8, alpha=0.4, transform=transform, zorder=1)
    margin = 0.02 * (right - left)
    ax.set_xlim(left - margin, right + margin)


def contours(ax: "Axes", x: Floats, y: Floats, heights: Floats) -> None:
    """Draw lines of equal height over a grid, with their heights."""
    lines = ax.contour(x, y, heights, levels=9, colors=MUTED, linewidths=0.8, linestyles="-")
    ax.clabel(lines, fmt=lambda level: f"{level:.3g}", fontsize=7, colors=MUTED)


def limit(
    ax: "Axes", x: Floats, y: Floats, heights: Floats, level: float, *, dashed: bool = False
) -> None:
    """Draw the one line at which heights over a grid reach a level, if they do."""
    if heights.min() < level < heights.max():
        width, style = (1.4, "--") if dashed else (2, "-")
        ax.contour(x, y, heights, [level], colors=LIMIT, linewidths=width, linestyles=style)


def marks(ax: "Axes", marked: Iterable[Mark]) -> None:
    """Draw marks; squares are in the colour of limits."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white")]
    for marker, at, text in marked:
        color = LIMIT if marker == "s" else COLOR
        ax.plot(*at, marker, color=color, ms=6, clip_on=False, zorder=3)
        ax.annotate(
            text, at, (7, 5), textcoords="offset points", color=color, path_effects=halo, zorder=4
        )


def halves(names: Iterable[str]) -> dict[str, float]:
    """Return half the width of a box around each name, in points.

    Small letters on screen are wider than their outlines.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(size=_FONT)
    widths = {name: TextPath((0, 0), name, prop=font).get_extents().width for name in names}
    return {name: max(9.0, 0.6 * float(width) + 6.0) for name, width in widths.items()}


def graph(
    ax: "Axes | None",
    boxes: Mapping[str, tuple[float, float, float, float]],
    dashed: Collection[str],
    arrows: Iterable[Sequence[tuple[float, float]]],
    two_heads: Iterable[Sequence[tuple[float, float]]],
    size: tuple[float, float],
) -> "Axes":
    """Draw names in boxes, some dashed, and arrows with one head or with two.

    Boxes are given by their middle and half their size, arrows as cubic Bézier curves, in points.
    Where the axes are smaller than the picture, so are the names.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path

    if ax is None:
        shown = min(1.0, 72 * _LARGEST / max(size))
        _, ax = plt.subplots(figsize=[max(1.2, shown * side / 72) for side in size])
        ax.set_position((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    window = ax.get_window_extent()
    room = [72 * side / ax.figure.dpi for side in (window.width, window.height)]
    zoom = min(_ZOOM, *(there / side for there, side in zip(room, size, strict=True)))
    limits = [
        (side / 2 - there / zoom / 2, side / 2 + there / zoom / 2)
        for there, side in zip(room, size, strict=True)
    ]
    ax.set(xlim=limits[0], ylim=limits[1], aspect="equal")
    for name, (x, y, half, high) in boxes.items():
        look: dict[str, Any] = {"ls": "--" if name in dashed else "-"}
        corner = (x - half, y - high)
        style = "round,pad=0,rounding_size=4"
        look |= {"boxstyle": style, "fc": "white", "ec": "black", "zorder": 1}
        ax.add_patch(FancyBboxPatch(corner, 2 * half, 2 * high, **look))
        ax.text(
            x,
            y,
            verbatim(name),
            ha="center",
            va="center_baseline",
            fontsize=zoom * _FONT,
            zorder=2,
        )
    for curves, line in ((arrows, _ARROW), (two_heads, _TWO_HEADS)):
        for curve in curves:
            codes = [Path.MOVETO] + [Path.CURVE4] * (len(curve) - 1)
            look = {"color": "black", "zorder": 1.5, "mutation_scale": 10 * zoom, **line}
            ax.add_patch(FancyArrowPatch(path=Path(curve, codes), **look))
    return ax
