"""Pictures: dose-response curves and scenarios, in the manner of scikit-learn's displays."""

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support

from interventional.answers.outcomes import Outcomes, refuse_other_than_outcomes
from interventional.answers.reductions import CiKind, interval_defaults
from interventional.errors import unknown
from interventional.numbers import Floats
from interventional.pipeline import answered, column_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from interventional.trust.sensitivity import Sensitivity

Kind = Literal["average", "individual", "both"]
_MOST_ROWS = 1000  # that are drawn one by one: as many as a picture is wide
_COLOR, _MUTED, _SHADE, _LIMIT = "#1f5a92", "#8a8a8a", "#eeeeee", "#b3261e"


class InterventionDisplay:
    """A picture of what interventions would do.

    Made by `from_estimator`, a dose-response curve of one column, or by `from_outcomes`, scenarios
    side by side. `plot` draws it again on other axes.

    Parameters
    ----------
    positions : ndarray of shape (k,)
        Values that the column is forced to, or names of scenarios.
    average : Outcomes of k rows
        The average outcome at each position.
    individual : ndarray of shape (k, n) or None
        Posterior means of single rows at each position.
    observed : ndarray or None
        Values of the column as they were observed.
    labels : dict of str
        What the axes are called: ``"position"`` and ``"outcome"``.
    style : {"curve", "points", "forest"}
        Numbers make a curve, levels points with bars, scenarios a forest.
    kind : {"average", "individual", "both"}
        What is drawn.
    prob : float
        The probability that an interval holds.
    ci_kind : {"eti", "hdi"}
        The kind of interval.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of these.

    See Also
    --------
    Outcomes.plot : A picture of single outcomes.
    Outcomes.compare : Scenarios as a table.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from interventional import BayesianInterventionRegressor, InterventionDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"dose": rng.uniform(0, 4, 100), "age": rng.normal(50, 9, 100)})
    >>> y = 2 * X["dose"] + 0.1 * X["age"] + rng.normal(size=100)
    >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    >>> display = InterventionDisplay.from_estimator(model, X, "dose", values=[0, 2, 4])
    >>> display.average.mean().round()
    array([ 5.,  9., 13.])
    """

    def __init__(
        self,
        positions: NDArray[Any],
        average: Outcomes,
        *,
        individual: Floats | None = None,
        observed: NDArray[Any] | None = None,
        labels: Mapping[str, str],
        style: Literal["curve", "points", "forest"],
        kind: Kind = "average",
        prob: float,
        ci_kind: CiKind,
    ):
        self.positions = positions
        self.average = average
        self.individual = individual
        self.observed = observed
        self.labels = labels
        self.style = style
        self.kind = kind
        self.prob = prob
        self.ci_kind = ci_kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        column: Any,
        values: ArrayLike | None = None,
        *,
        kind: Kind = "average",
        grid_resolution: int = 50,
        subsample: int = 50,
        random_state: int | np.random.RandomState | None = 0,
        prob: float | None = None,
        ci_kind: CiKind | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the dose-response curve of a column: E[y | do(column = v)] over v.

        What lies beyond the observed values is shaded; there is no `ExtrapolationWarning` besides.

        Parameters
        ----------
        estimator : estimator
            What `interventional.intervene` takes.
        X : array-like or DataFrame of shape (n, columns)
            The rows whose outcomes are averaged.
        column : str or int
            The column to force.
        values : array-like, optional
            What to force it to; by default a grid over the observed range, or all levels.
        kind : {"average", "individual", "both"}, default "average"
            The average over rows with its credible band, single rows, or both.
        grid_resolution : int, default 50
            Points of the default grid.
        subsample : int, default 50
            How many single rows are drawn at most.
        random_state : int, RandomState or None, default 0
            Picks them.
        prob, ci_kind
            As in `Outcomes.interval`.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        InterventionDisplay

        See Also
        --------
        from_outcomes : Scenarios side by side.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor, InterventionDisplay
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> display = InterventionDisplay.from_estimator(model, X, "price", values=[8, 10, 12])
        >>> display.average.mean().round(0)
        array([26., 20., 14.])
        >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
        ('price, forced', 'E[y | do(price)]')
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if kind not in ("average", "individual", "both"):
            raise ValueError(unknown("kind", kind, ("average", "individual", "both")))
        prob, ci_kind = interval_defaults(prob, ci_kind)
        for name, size in (("grid_resolution", grid_resolution), ("subsample", subsample)):
            if not isinstance(size, Integral) or size < 1:
                raise ValueError(f"{name} must be a whole number, at least 1, got {size!r}")
        observed = column_of(X, column)
        numeric = observed.dtype.kind in "iuf"
        if values is not None:
            positions = np.asarray(values)
            if positions.ndim != 1 or not len(positions):
                raise ValueError(f"values must be a list of values, got {values!r}")
        elif numeric and len(np.unique(observed)) > grid_resolution:
            positions = np.linspace(observed.min(), observed.max(), grid_resolution)
        else:
            positions = np.unique(observed)
        rows = np.arange(len(observed))
        if len(rows) > subsample:
            rows = np.sort(check_random_state(random_state).choice(rows, subsample, replace=False))
        averages, individual = [], np.empty((len(positions), len(rows)))
        for k, value in enumerate(positions):
            outcomes = answered(estimator, X, {column: value})
            averages.append(outcomes.average())
            if kind != "average":
                individual[k] = outcomes.mean()[rows]
        outcome = averages[0].estimand.split("[")[1].split(" | ")[0]
        display = cls(
            positions,
            Outcomes.concat(dict(zip(map(_plain, positions), averages, strict=True))),
            individual=None if kind == "average" else individual,
            observed=observed,
            labels={"position": str(column), "outcome": f"E[{outcome} | do({column})]"},
            style="curve" if numeric and len(positions) > 2 else "points",
            kind=kind,
            prob=prob,
            ci_kind=ci_kind,
        )
        return display.plot(ax)

    @classmethod
    def from_outcomes(
        cls,
        scenarios: Mapping[str, Outcomes],
        *,
        prob: float | None = None,
        ci_kind: CiKind | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw scenarios as a forest: each one's average over rows, with its interval.

        Parameters
        ----------
        scenarios : mapping
            Names to `Outcomes`.
        prob, ci_kind
            As in `Outcomes.interval`.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        InterventionDisplay

        See Also
        --------
        from_estimator : A curve over the values of a column.
        Outcomes.compare : The same as a table.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor, InterventionDisplay
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> offers = {f"price {p}": model.intervene(X, do={"price": p}) for p in (9, 10, 11)}
        >>> display = InterventionDisplay.from_outcomes(offers)
        >>> display.positions.tolist()
        ['price 9', 'price 10', 'price 11']
        """
        check_matplotlib_support(f"{cls.__name__}.from_outcomes")
        prob, ci_kind = interval_defaults(prob, ci_kind)
        refuse_other_than_outcomes(scenarios, "scenarios")
        averages = {name: outcomes.average() for name, outcomes in scenarios.items()}
        display = cls(
            np.asarray(list(averages), dtype=object),
            Outcomes.concat(averages),
            labels={"position": "", "outcome": "average outcome"},
            style="forest",
            prob=prob,
            ci_kind=ci_kind,
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        InterventionDisplay
            Itself, with `ax_` and `figure_`.

        See Also
        --------
        from_estimator : Computes what a curve needs, and draws it.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor, InterventionDisplay
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> import matplotlib.pyplot as plt
        >>> display = InterventionDisplay.from_estimator(model, X, "price", values=[8, 10, 12])
        >>> figure, ax = plt.subplots()
        >>> display.plot(ax).ax_ is ax
        True
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        height = 0.5 * len(self.positions) + 1.2 if self.style == "forest" else 4.2
        self.ax_: Axes = _new_axes(height) if ax is None else ax
        self.figure_: Figure = self.ax_.figure  # type: ignore[assignment]
        draw = {"curve": self._curve, "points": self._points, "forest": self._forest}
        draw[self.style](self.ax_)
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self

    def _curve(self, ax: "Axes") -> None:
        x = self.positions.astype(np.float64)
        order = np.argsort(x)
        if self.individual is not None:
            ax.plot(x[order], self.individual[order], color=_MUTED, lw=0.6, alpha=0.5)
        if self.kind != "individual":
            low, high = self.average.interval(self.prob, self.ci_kind)[order].T
            ax.fill_between(x[order], low, high, color=_COLOR, alpha=0.25, lw=0)
            ax.plot(x[order], self.average.mean()[order], color=_COLOR, lw=2)
            self._say_what_is_drawn(ax)
        if self.observed is not None:
            self._mark_observed(ax, x)
        ax.set(xlabel=f"{self.labels['position']}, forced", ylabel=self.labels["outcome"])

    def _say_what_is_drawn(self, ax: "Axes") -> None:
        text = f"average and its {_percent(self.prob)} interval"
        if self.individual is not None:
            text += f"; {self.individual.shape[1]} single rows"
        ax.set_title(text, loc="left", fontsize="small", color=_COLOR)

    def _mark_observed(self, ax: "Axes", x: Floats) -> None:
        """Draw a rug of what was observed, and shade what lies beyond."""
        assert self.observed is not None
        low, high = float(self.observed.min()), float(self.observed.max())
        left, right = min(x.min(), low), max(x.max(), high)
        for start, stop in ((left, low), (high, right)):
            if stop > start:
                ax.axvspan(start, stop, color=_SHADE, zorder=0, lw=0)
        if left < low or high < right:
            text = "shaded: never observed"
            ax.annotate(
                text, (0.01, 0.98), xycoords="axes fraction", va="top", color=_MUTED, fontsize=8
            )
        ticks = (
            self.observed
            if len(self.observed) <= 500
            else np.quantile(self.observed, np.linspace(0, 1, 500))
        )
        heights = np.zeros(len(ticks))
        transform = ax.get_xaxis_transform()
        ax.plot(ticks, heights, "|", color=_MUTED, ms=8, alpha=0.4, transform=transform, zorder=1)
        margin = 0.02 * (right - left)
        ax.set_xlim(left - margin, right + margin)

    def _points(self, ax: "Axes") -> None:
        x = np.arange(len(self.positions))
        if self.individual is not None:
            ax.plot(x, self.individual, color=_MUTED, lw=0.6, alpha=0.5)
        if self.kind != "individual":
            mean = self.average.mean()
            low, high = self.average.interval(self.prob, self.ci_kind).T
            ax.vlines(x, low, high, color=_COLOR, lw=2.5)
            ax.plot(x, mean, "o", color=_COLOR, ms=7)
            self._say_what_is_drawn(ax)
        ax.set_xticks(x, [str(_plain(position)) for position in self.positions])
        ax.set_xlim(-0.5, len(x) - 0.5)
        ax.set(xlabel=f"{self.labels['position']}, forced", ylabel=self.labels["outcome"])

    def _forest(self, ax: "Axes") -> None:
        y = np.arange(len(self.positions))[::-1]
        low, high = self.average.interval(self.prob, self.ci_kind).T
        inner_low, inner_high = self.average.interval(0.5, self.ci_kind).T
        ax.hlines(y, low, high, color=_COLOR, lw=1.5)
        ax.hlines(y, inner_low, inner_high, color=_COLOR, lw=4)
        ax.plot(self.average.mean(), y, "o", color="white", mec=_COLOR, mew=2, ms=7)
        ax.set_yticks(y, [str(position) for position in self.positions])
        ax.set_ylim(-0.6, len(y) - 0.4)
        label = f"{self.labels['outcome']}, 50% and {_percent(self.prob)} intervals"
        ax.set(xlabel=label)
        ax.tick_params(axis="y", length=0)


def plot_outcomes(outcomes: Outcomes, ax: "Axes | None" = None) -> "Axes":
    """Draw outcomes: the density of one row's draws, or intervals of rows in order of their means.

    Of more than 1,000 rows, 1,000 are drawn, evenly spaced in that order.

    Parameters
    ----------
    outcomes : Outcomes
        What to draw.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.
    """
    check_matplotlib_support("Outcomes.plot")
    ax = _new_axes(3.6) if ax is None else ax
    prob, ci_kind = interval_defaults(None, None)
    mean = outcomes.mean()
    if len(outcomes) == 1:
        interval = outcomes.interval(prob, ci_kind)
        from arviz_stats.base import array_stats

        draws = outcomes.draws.values.ravel()
        if np.ptp(draws) > 0:  # else they have no density
            x, density, _ = array_stats.kde(draws)
            ax.fill_between(x, density, color=_COLOR, alpha=0.25, lw=0)
            ax.plot(x, density, color=_COLOR, lw=2)
        ax.hlines(0, *interval[0], color=_COLOR, lw=4)
        ax.plot(mean, 0, "o", color="white", mec=_COLOR, mew=2, ms=7, clip_on=False, zorder=3)
        ax.set_yticks([])
        ax.set_ylim(bottom=0)
        ax.spines["left"].set_visible(False)
        ax.set(xlabel=f"{outcomes.estimand}, mean and {_percent(prob)} interval")
    else:
        order = np.argsort(mean, kind="stable")
        rank = np.linspace(0, len(order) - 1, min(len(order), _MOST_ROWS)).astype(np.intp)
        rows, back = np.unique(order[rank], return_inverse=True)
        low, high = outcomes._at(rows).interval(prob, ci_kind)[back].T
        ax.fill_between(rank, low, high, color=_COLOR, alpha=0.25, lw=0)
        ax.plot(rank, mean[order[rank]], color=_COLOR, lw=1.5)
        ax.set(xlabel="rows, in order", ylabel=f"{outcomes.estimand}, {_percent(prob)} interval")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_sensitivity(sensitivity: "Sensitivity", ax: "Axes | None" = None) -> "Axes":
    """Draw what confounders leave of an average effect, over how strong they are.

    Parameters
    ----------
    sensitivity : Sensitivity
        What to draw.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.
    """
    check_matplotlib_support("Sensitivity.plot")
    from matplotlib.patheffects import withStroke

    from interventional.trust.omitted_variable import bias_factor

    ax = _new_axes(5.2) if ax is None else ax

    points = [strength for _, _, *strength in sensitivity._strengths]
    value = sensitivity.robustness_value()
    limit = float(value.mean()[0])
    right = min(0.99, max([1.6 * limit, 0.02, *(1.25 * x for x, _ in points)]))
    top = min(1.0, max([1.6 * limit, 0.02, *(1.15 * y for _, y in points)]))
    x, y = np.meshgrid(np.linspace(0, right, 200), np.linspace(0, top, 200))
    factor = bias_factor(x, y)
    mean = sensitivity._draws.mean()
    adjusted = mean - sensitivity._side * factor * sensitivity._unit.mean()
    lines = ax.contour(x, y, adjusted, levels=9, colors=_MUTED, linewidths=0.8, linestyles="-")
    ax.clabel(lines, fmt=lambda level: f"{level:.3g}", fontsize=7, colors=_MUTED)
    threshold = sensitivity.threshold
    reached = sensitivity._side * (adjusted - threshold)
    if reached.min() < 0 < reached.max():
        ax.contour(x, y, reached, levels=[0.0], colors=_LIMIT, linewidths=2)
    least = float(np.quantile(sensitivity._f(), (1 - sensitivity.prob) / 2))
    if 0 < least < factor.max():
        ax.contour(x, y, factor, levels=[least], colors=_LIMIT, linewidths=1.4, linestyles="--")
    marks = [("^", (0.0, 0.0), f"unadjusted: {mean:.3g}")]
    for name, multiple, of_treatment, of_outcome in sensitivity._strengths:
        left = sensitivity.adjusted(of_treatment, of_outcome).mean()[0]
        marks.append(("o", (of_treatment, of_outcome), f"{multiple:g}× {name}: {left:.3g}"))
    if limit > 0:
        marks.append(("s", (limit, limit), f"robustness value: {limit:.3g}"))
    halo = [withStroke(linewidth=3, foreground="white")]
    for marker, at, text in marks:
        color = _LIMIT if marker == "s" else _COLOR
        ax.plot(*at, marker, color=color, ms=6, clip_on=False, zorder=3)
        ax.annotate(
            text, at, (7, 5), textcoords="offset points", color=color, path_effects=halo, zorder=4
        )
    percent = _percent(sensitivity.prob)
    title = f"thick: the effect's mean is {threshold:g}; dashed: its {percent} interval reaches it"
    ax.set_title(title, loc="left", fontsize="small", color=_LIMIT)
    ax.set(
        xlim=(0, right),
        ylim=(0, top),
        xlabel=f"partial R² of a confounder with {sensitivity.treatment}",
        ylabel=f"partial R² of a confounder with {sensitivity.outcome}",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _new_axes(height: float) -> "Axes":
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, height), layout="constrained")[1]


def _percent(prob: float) -> str:
    return f"{round(100 * prob, 6):g}%"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
