"""Pictures: dose-response curves and scenarios, in the manner of scikit-learn's displays."""

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support

from interventional import drawing
from interventional.answers.outcomes import Outcomes, refuse_other_than_outcomes
from interventional.answers.reductions import CiKind, interval_defaults
from interventional.errors import unknown
from interventional.numbers import Floats
from interventional.pipeline.asking import answered, column_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind = Literal["average", "individual", "both"]


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
        ('price, forced', 'E[sales | do(price)]')
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if kind not in ("average", "individual", "both"):
            raise ValueError(unknown("kind", kind, ("average", "individual", "both")))
        prob, ci_kind = interval_defaults(prob, ci_kind)
        for name, size in (("grid_resolution", grid_resolution), ("subsample", subsample)):
            if not isinstance(size, Integral) or size < 1:
                raise ValueError(f"{name} must be a whole number, at least 1, got {size!r}")
        observed, levels = column_of(X, column)
        numeric = observed.dtype.kind in "iuf"
        if values is not None:
            positions = np.asarray(values)
            if positions.ndim != 1 or not len(positions):
                raise ValueError(f"values must be a list of values, got {values!r}")
        elif not len(levels):
            raise ValueError(f"column {column!r} of X holds no values; give some, values=[...]")
        elif numeric and len(levels) > grid_resolution:
            positions = np.linspace(levels.min(), levels.max(), grid_resolution)
        else:
            positions = levels
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
            observed=observed[~pd.isna(observed)],
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
        height = 0.5 * len(self.positions) + 1.2 if self.style == "forest" else 4.2
        self.ax_: Axes = drawing.axes(ax, height, f"{type(self).__name__}.plot")
        self.figure_: Figure = self.ax_.figure  # type: ignore[assignment]
        draw = {"curve": self._curve, "points": self._points, "forest": self._forest}
        drawing.finished(self.ax_, **draw[self.style](self.ax_))
        return self

    def _curve(self, ax: "Axes") -> dict[str, str]:
        """Draw a curve, and return what its axes are called."""
        x = self.positions.astype(np.float64)
        order = np.argsort(x)
        if self.individual is not None:
            drawing.single_rows(ax, x[order], self.individual[order])
        if self.kind != "individual":
            mean, intervals = self._average()
            drawing.band(ax, x[order], mean[order], intervals[order])
            drawing.heading(ax, self._what_is_drawn())
        if self.observed is not None:
            drawing.observed(ax, self.observed, x)
        return self._forced_against_outcome()

    def _points(self, ax: "Axes") -> dict[str, str]:
        """Draw levels side by side, and return what the axes are called."""
        x = np.arange(len(self.positions))
        if self.individual is not None:
            drawing.single_rows(ax, x, self.individual)
        if self.kind != "individual":
            drawing.points(ax, x, *self._average())
            drawing.heading(ax, self._what_is_drawn())
        ax.set_xticks(x, [str(_plain(position)) for position in self.positions])
        ax.set_xlim(-0.5, len(x) - 0.5)
        return self._forced_against_outcome()

    def _forest(self, ax: "Axes") -> dict[str, str]:
        """Draw scenarios one below the other, and return what the axes are called."""
        inner = self.average.interval(0.5, self.ci_kind)
        names = [str(position) for position in self.positions]
        drawing.forest(ax, names, *self._average(), inner)
        outer = drawing.percent(self.prob)
        return {"xlabel": f"{self.labels['outcome']}, 50% and {outer} intervals"}

    def _average(self) -> tuple[Floats, Floats]:
        """Return the mean at each position, (k,), and its interval, (k, 2)."""
        return self.average.mean(), self.average.interval(self.prob, self.ci_kind)

    def _what_is_drawn(self) -> str:
        text = f"average and its {drawing.percent(self.prob)} interval"
        if self.individual is not None:
            text += f"; {self.individual.shape[1]} single rows"
        return text

    def _forced_against_outcome(self) -> dict[str, str]:
        return {"xlabel": f"{self.labels['position']}, forced", "ylabel": self.labels["outcome"]}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
