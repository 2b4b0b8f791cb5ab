"""How strong unmeasured confounding would have to be to change what a model says."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interventional import drawing, markup
from interventional.answers import shown
from interventional.answers.outcomes import Outcomes, contents_of, outcomes_of
from interventional.answers.reductions import interval_defaults
from interventional.answers.samples import Chunked, Groups, Held
from interventional.data.accumulation import Accumulated
from interventional.data.design import TreatmentCoding
from interventional.errors import listed, unknown
from interventional.intervention.do import Forced
from interventional.intervention.query import Query
from interventional.numbers import Floats
from interventional.scm.equations import Equation, StructuralModel
from interventional.trust.omitted_variable import (
    Regressions,
    bias_factor,
    confounder_like,
    robustness_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE = 100  # characters
_NONE = 1e-11  # of a mean: a difference below this is rounding


class Sensitivity:
    """What unmeasured confounding could make of an average effect.

    What `BayesianInterventionRegressor.sensitivity` returns. A confounder is as strong as its two
    partial R²: the share it would explain of what the other columns leave open of the forced
    column, the treatment; and the share of what they and the treatment leave open of the outcome.
    The bias that it can have at most is computed for each posterior draw, and taken off in the one
    direction that moves the posterior mean towards the threshold. Nothing in the data tells how
    strong confounding is: that is for the reader to judge.

    Attributes
    ----------
    effect : Outcomes of one row
        The average effect, as if there were no such confounder.
    treatment, outcome : str
        The forced column, and the outcome.
    threshold : float
        The effect at which the conclusion would be another one, in units of the outcome.
    prob : float
        The probability that intervals hold; they are equal-tailed.

    See Also
    --------
    BayesianInterventionRegressor.sensitivity : Returns one.
    Outcomes.e_value : The like for ratios.

    Notes
    -----
    Partial R² are those of the sample, as in the paper, so that the spread of the treatment is
    known. The paper also shrinks the standard error of an adjusted estimate, to the one that a
    regression would have had in which the confounder stood. As it does not, the posterior here
    keeps its spread. Where the confounder has one strength with both treatment and outcome the two
    agree, so that robustness values do.

    References
    ----------
    Cinelli, C. and Hazlett, C. (2020). Making sense of sensitivity: extending omitted variable
    bias. *Journal of the Royal Statistical Society B* 82(1), 39-67.

    Examples
    --------
    >>> from interventional import BayesianInterventionRegressor
    >>> from interventional.datasets import make_sales
    >>> X, y = make_sales(random_state=0)
    >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    >>> found = model.sensitivity(
    ...     X, {"price": 10}, {"price": 11}, benchmarks="season", multiples=[0.1, 0.2]
    ... )
    >>> print(found)
    Average effect of price on sales: 2.94, 89% interval 2.83 to 3.05.
    An unmeasured confounder that explains 90.8% of what the other columns leave open, of price
    and of sales alike, moves it to 0; one that explains 89.4% moves the end of the interval there.
    One 0.1 times as strong as season could leave 2.66, 2.55 to 2.77.
    One 0.2 times as strong as season could leave 2.52, 2.41 to 2.64.
    """

    def __init__(
        self,
        effect: Outcomes,
        unit: Floats,
        treatment: str,
        outcome: str,
        strengths: Mapping[str, tuple[float, float]],
        multiples: Sequence[float],
        threshold: float,
        prob: float,
    ):
        self.effect = effect
        self.treatment = treatment
        self.outcome = outcome
        self.threshold = threshold
        self.prob = prob
        self._unit = unit  # the bias at a factor of one: |change of D| sigma / sd(D⊥X), (draws,)
        self._draws = contents_of(effect).samples.held()[:, 0]
        self._side = -1.0 if self._draws.mean() < threshold else 1.0
        self._strengths = [
            (name, multiple, *_possible(name, treatment, *strength, multiple))
            for name, strength in strengths.items()
            for multiple in multiples
        ]

    @property
    def partial_r2(self) -> Outcomes:
        """Partial R² of the treatment with the outcome, one row.

        It is also what a confounder that explains all of the outcome would have to explain of the
        treatment at least, to take the whole effect away.

        See Also
        --------
        robustness_value : Treatment and outcome alike.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, {"price": 10}, {"price": 11}, benchmarks="season", multiples=[0.1, 0.2]
        ... )
        >>> found.partial_r2.mean().round(2)
        array([0.9])
        """
        f2 = np.square(self._draws / self._unit)
        return self._one(f2 / (1 + f2), f"partial R² of {self.treatment} with {self.outcome}")

    def robustness_value(self, q: float = 1.0) -> Outcomes:
        """Return how strong confounding must be to move the effect to the threshold, one row.

        A robustness value is the partial R², with treatment and outcome alike, of the weakest
        confounder that can do so. Its posterior has a draw for each of the effect; 0 where the
        effect is beyond the threshold as it is. The quantile of p is the strength at which that of
        the adjusted effect reaches the threshold, so that the lower end of its equal-tailed
        interval is the strength at which the interval of the effect does.

        Parameters
        ----------
        q : float, default 1.0
            Which share of the way to the threshold the confounder takes.

        See Also
        --------
        summary : Beside effect and partial R².

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, {"price": 10}, {"price": 11}, benchmarks="season", multiples=[0.1, 0.2]
        ... )
        >>> found.robustness_value().mean().round(2)
        array([0.91])
        >>> found.robustness_value(q=0.5).mean().round(2)  # half of the effect gone
        array([0.75])
        """
        if not (isinstance(q, Real) and np.isfinite(q) and q > 0):
            raise ValueError(f"q must be a share of the effect above 0, got {q!r}")
        values = robustness_of(q * np.maximum(self._f(), 0.0))
        return self._one(values, f"robustness value of {self.effect.estimand}")

    def adjusted(self, r2_treatment: float, r2_outcome: float) -> Outcomes:
        """Return the average effect less the bias of a confounder, one row.

        Parameters
        ----------
        r2_treatment : float
            What it explains of the treatment that the other columns leave open, below 1.
        r2_outcome : float
            What it explains of the outcome that the treatment and the other columns leave open.

        See Also
        --------
        bounds : For confounders as strong as known columns.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, {"price": 10}, {"price": 11}, benchmarks="season", multiples=[0.1, 0.2]
        ... )
        >>> found.adjusted(0.5, 0.5).mean().round(1)
        array([2.2])
        """
        for name, value, allowed in (
            ("r2_treatment", r2_treatment, "at least 0 and below 1"),
            ("r2_outcome", r2_outcome, "between 0 and 1"),
        ):
            in_range = isinstance(value, Real) and 0 <= value <= 1
            if not in_range or (value == 1 and name == "r2_treatment"):
                raise ValueError(f"{name} must be a partial R², {allowed}, got {value!r}")
        bias = self._side * bias_factor(r2_treatment, r2_outcome) * self._unit
        words = f"{r2_treatment:.3g} and {r2_outcome:.3g}"
        return self._one(
            self._draws - bias, f"{self.effect.estimand}, less a confounder of partial R² {words}"
        )

    def bounds(self) -> pd.DataFrame:
        """Return what confounders as strong as benchmarks would leave of the effect.

        Returns
        -------
        DataFrame
            A row for each benchmark and multiple: ``r2_treatment`` and ``r2_outcome`` of a
            confounder so many times as strong (of the latter the most that it may be), mean, sd
            and equal-tailed interval of the effect less its bias, and ``prob_beyond``, the
            posterior probability that this is still on the side of the threshold where the effect
            is: that its sign is the same, for a threshold of 0.

        See Also
        --------
        adjusted : For a confounder of your choice.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, {"price": 10}, {"price": 11}, benchmarks="season", multiples=[0.1, 0.2]
        ... )
        >>> found.bounds()[["r2_treatment", "r2_outcome", "mean", "prob_beyond"]].round(2)
                            r2_treatment  r2_outcome  mean  prob_beyond
        benchmark multiple
        season    0.1               0.08         1.0  2.66          1.0
                  0.2               0.15         1.0  2.52          1.0
        """
        side = "above" if self._side > 0 else "below"
        rows = {}
        for name, multiple, *strength in self._strengths:
            adjusted = self.adjusted(*strength)
            rows[name, multiple] = {
                "r2_treatment": strength[0],
                "r2_outcome": strength[1],
                **adjusted.summary(self.prob, "eti").iloc[0],
                "prob_beyond": adjusted.probability(**{side: self.threshold})[0],
            }
        index = pd.MultiIndex.from_tuples(list(rows), names=["benchmark", "multiple"])
        return pd.DataFrame(list(rows.values()), index=index if rows else None)

    def summary(self) -> pd.DataFrame:
        """Return effect, partial R² and robustness value, in columns named as ArviZ names them.

        The lower end of the robustness value's interval is the strength of confounding at which
        the interval of the effect reaches the threshold.

        See Also
        --------
        bounds : What confounders of some strength would leave.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, {"price": 10}, {"price": 11}, benchmarks="season", multiples=[0.1, 0.2]
        ... )
        >>> found.summary().round(2)
                          mean    sd  eti89_lb  eti89_ub
        effect            2.94  0.07      2.83      3.05
        partial_r2        0.90  0.01      0.88      0.92
        robustness_value  0.91  0.01      0.89      0.92
        """
        parts = {
            "effect": self.effect,
            "partial_r2": self.partial_r2,
            "robustness_value": self.robustness_value(),
        }
        return Outcomes.concat(parts).summary(self.prob, "eti")

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the mean of the adjusted effect over both partial R², and the benchmarks.

        At the thick line it is the threshold; at the dashed one its interval reaches that.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.

        See Also
        --------
        bounds : The benchmarks as a table.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, {"price": 10}, {"price": 11}, benchmarks="season", multiples=[0.1, 0.2]
        ... )
        >>> ax = found.plot()
        >>> ax.get_xlabel()
        'partial R² of a confounder with price'
        """
        ax = drawing.axes(ax, 5.2, "Sensitivity.plot")
        limit = float(self.robustness_value().mean()[0])
        strengths = [strength for _, _, *strength in self._strengths]
        right = min(0.99, max([1.6 * limit, 0.02, *(1.25 * x for x, _ in strengths)]))
        top = min(1.0, max([1.6 * limit, 0.02, *(1.15 * y for _, y in strengths)]))
        x, y = np.meshgrid(np.linspace(0, right, 200), np.linspace(0, top, 200))
        factor = bias_factor(x, y)
        adjusted = self._draws.mean() - self._side * factor * self._unit.mean()
        least = float(np.quantile(self._f(), (1 - self.prob) / 2))
        drawing.contours(ax, x, y, adjusted)
        drawing.limit(ax, x, y, self._side * (adjusted - self.threshold), 0.0)
        drawing.limit(ax, x, y, factor, least, dashed=True)
        drawing.marks(ax, self._marks(limit))
        words = f"thick: the effect's mean is {self.threshold:g}; dashed: its "
        words += f"{drawing.percent(self.prob)} interval reaches it"
        drawing.heading(ax, words, drawing.LIMIT)
        return drawing.finished(
            ax,
            xlim=(0, right),
            ylim=(0, top),
            xlabel=f"partial R² of a confounder with {self.treatment}",
            ylabel=f"partial R² of a confounder with {self.outcome}",
        )

    def __str__(self) -> str:
        """Say in words what it takes to change the conclusion, in lines that fit a terminal."""
        return "\n".join(fill(line, _LINE) for line in self._said())

    def _said(self) -> list[str]:
        """Return what it takes to change the conclusion, sentence by sentence."""
        (low, high), mean = self.effect.interval(self.prob, "eti")[0], self.effect.mean()[0]
        value = self.robustness_value()
        least = value.quantile((1 - self.prob) / 2)[0]
        end = "the interval reaches there without any."
        if least > 0:
            end = f"one that explains {least:.1%} moves the end of the interval there."
        lines = [
            f"Average effect of {self.treatment} on {self.outcome}: {mean:.3g}, "
            f"{drawing.percent(self.prob)} interval {low:.3g} to {high:.3g}.",
            f"An unmeasured confounder that explains {value.mean()[0]:.1%} of what the other "
            f"columns leave open, of {self.treatment} and of {self.outcome} alike, moves it to "
            f"{self.threshold:g}; {end}",
        ]
        for name, multiple, *strength in self._strengths:
            adjusted = self.adjusted(*strength)
            (low, high), mean = adjusted.interval(self.prob, "eti")[0], adjusted.mean()[0]
            times = "" if multiple == 1 else f"{multiple:g} times "
            lines.append(
                f"One {times}as strong as {name} could leave {mean:.3g}, {low:.3g} to {high:.3g}."
            )
        return lines

    def __repr__(self) -> str:
        value = self.robustness_value().mean()[0]
        before = f"<Sensitivity: effect of {self.treatment} on {self.outcome}"
        after = (
            f" = {shown.estimate(self._draws, (self.prob, 'eti'))}, robustness value {value:.3g}>"
        )
        return shown.fitting(before, after)

    def _repr_html_(self) -> str:
        """Return the words, the posterior of the effect and the bounds, for notebooks."""
        lines = [markup.paragraph(line) for line in self._said()]
        picture = shown.picture(self._draws, self.effect.estimand, (self.prob, "eti"))
        parts = [*lines, picture]
        if self._strengths:
            found = self.bounds()
            header = [*map(str, found.index.names), *found.columns]
            rows = [
                ([str(name), f"{multiple:g}"], [f"{value:.3g}" for value in row])
                for (name, multiple), row in zip(found.index, found.to_numpy(), strict=True)
            ]
            parts.append(markup.table(header, rows))
        return markup.together(*parts)

    def _marks(self, limit: float) -> list[drawing.Mark]:
        """Return what stands on the picture: no confounding, benchmarks, the robustness value."""
        marks: list[drawing.Mark] = [("^", (0.0, 0.0), f"unadjusted: {self._draws.mean():.3g}")]
        for name, multiple, *strength in self._strengths:
            left = self.adjusted(*strength).mean()[0]
            marks.append(("o", (strength[0], strength[1]), f"{multiple:g}× {name}: {left:.3g}"))
        if limit > 0:
            marks.append(("s", (limit, limit), f"robustness value: {limit:.3g}"))
        return marks

    def _f(self) -> Floats:
        """Return how far each draw is from the threshold, in units of bias; below 0 beyond it."""
        return self._side * (self._draws - self.threshold) / self._unit

    def _one(self, draws: Floats, estimand: str) -> Outcomes:
        effect = contents_of(self.effect)
        return outcomes_of(replace(effect, samples=Held(draws[:, None])), estimand)


def analyse(
    model: StructuralModel,
    accumulated: Accumulated,
    draws: Mapping[str, Floats],
    sides: tuple[Query, Query],
    average: Callable[[Floats], Outcomes],
    *,
    benchmarks: Any,
    multiples: Any,
    threshold: float,
    prob: float | None,
    unit: float = 1.0,
    named: str | None = None,
    called: Sequence[str] | None = None,
) -> Sensitivity:
    """Return how sensitive the average effect of one column is to confounding.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    accumulated : Accumulated
        What the outcome's equation has seen of the rows.
    draws : mapping
        Posterior draws of its parameters.
    sides : pair of Query
        The intervention and what it is compared with.
    average : callable
        From draws of the average effect, (draws,), to its outcomes of one row.
    benchmarks, multiples, threshold, prob
        As the user gave them, benchmarks as columns of the model.
    unit : float, default 1.0
        What one unit of the equation's outcome is in units of the outcome that is asked about.
    named : str, optional
        What the user calls the column that is forced.
    called : sequence of str, optional
        What the user calls the benchmarks.

    Raises
    ------
    ValueError, TypeError
        If the effect is not one coefficient of a Gaussian equation, or an argument is wrong.
    """
    equation = model.of_outcome
    column = _forced_column(sides)
    term = _only_term(equation, column, sides)
    if not (isinstance(threshold, Real) and np.isfinite(threshold)):
        raise ValueError(f"threshold must be a finite number, got {threshold!r}")
    groups = _groups(benchmarks, model, column, called)
    design = equation.design
    assert isinstance(design, TreatmentCoding)
    seen = accumulated.statistics(design, equation.columns, None, equation.has_intercept)
    regressions = Regressions.of(seen, term)
    spread = regressions.spread(repr(column))
    change = _change(sides, column)
    return Sensitivity(
        average(unit * change * draws[f"{equation.node}_beta"][:, term]),
        np.abs(unit * change) * draws[f"{equation.node}_sigma"] / spread,
        column if named is None else named,
        equation.node,
        {name: regressions.strength(terms) for name, terms in groups.items()},
        _multiples(multiples),
        float(threshold),
        interval_defaults(prob, "eti")[0],
    )


def _forced_column(sides: tuple[Query, Query]) -> str:
    """Return the one column that is forced, on the one side and on the other."""
    names = dict.fromkeys(name for side in sides for name in side.forced)
    if len(names) != 1:
        raise ValueError(
            f"sensitivity is that of the effect of one column; do and baseline force "
            f"{listed(names)}"
        )
    return next(iter(names))


def _only_term(equation: Equation, column: str, sides: tuple[Query, Query]) -> int:
    """Return the position of the coefficient that the effect of a column is."""
    if not equation.record.is_gaussian:
        raise ValueError(
            f"sensitivity: the omitted variable bias is that of a Gaussian outcome; the family of "
            f"{equation.node!r} is {equation.family!r}. Ratios of averages have an E-value: "
            "(a.average() / b.average()).e_value()"
        )
    if equation.noise is not None:
        raise ValueError(
            "sensitivity: the formulas of the omitted variable bias are those of rows with one "
            "sigma, and noise= gives each row its own"
        )
    if equation.design.varying:
        raise ValueError(
            "sensitivity: the formulas of the omitted variable bias are those of least squares, "
            f"and the equation of {equation.node!r} has groups; a prior of the bias, "
            "confounding=..., goes with groups"
        )
    between = dict.fromkeys(name for side in sides for name in side.regenerated)
    if between:
        raise ValueError(
            f"sensitivity: the effect of {column!r} passes through {listed(between)}, so that it "
            f"is no coefficient of the equation of {equation.node!r}; fit a model without "
            f"{listed(between)}"
        )
    if not isinstance(equation.design, TreatmentCoding):
        raise ValueError(
            f"sensitivity: with a design of your own the effect of {column!r} need not be one "
            "coefficient; leave design out, and give terms that you need besides as columns of X"
        )
    if column not in equation.variables:
        raise ValueError(f"sensitivity: in the graph {column!r} is no cause of {equation.node!r}")
    terms = _terms(equation, equation.variables.index(column))
    if len(terms) != 1:
        raise ValueError(
            f"sensitivity: the effect of {column!r} is not one coefficient but {len(terms)}: "
            f"{listed(equation.design.terms[term] for term in terms)}; make it a column of two "
            "levels, or of numbers"
        )
    return terms[0]


def _terms(equation: Equation, position: int) -> list[int]:
    """Return the terms of the regressor at a position."""
    assert isinstance(equation.design, TreatmentCoding)
    return [k for k, (j, _) in enumerate(equation.design.picks) if j == position]


def _groups(
    benchmarks: Any, model: StructuralModel, treatment: str, called: Sequence[str] | None
) -> dict[str, list[int]]:
    """Return the terms of each benchmark: a column, or a list of columns as one group."""
    schema, equation = model.schema, model.of_outcome
    known = list(schema.names if schema.labels is None else schema.labels)
    if benchmarks is None:
        return {}
    if isinstance(benchmarks, Hashable) and (isinstance(benchmarks, str) or benchmarks in known):
        benchmarks = [benchmarks]
    if not isinstance(benchmarks, list | tuple):
        raise TypeError(no_benchmarks(benchmarks))
    regressors = [schema.names[j] for j in equation.columns]
    groups: dict[str, list[int]] = {}
    for k, entry in enumerate(benchmarks):
        terms: list[int] = []
        group = entry if isinstance(entry, list) else [entry]
        if not group:
            raise ValueError("benchmarks holds an empty group")
        for label in group:
            try:
                name = schema.names[schema.position(label)]
            except ValueError as error:
                raise ValueError(f"benchmarks: {error}") from None
            if name == treatment:
                raise ValueError(f"benchmarks: {name!r} is what is forced, and no covariate")
            if name not in regressors:
                raise ValueError(
                    f"benchmarks: {unknown(f'regressor of {equation.node}:', name, regressors)}"
                )
            terms += _terms(equation, regressors.index(name))
        groups[" + ".join(map(str, group)) if called is None else called[k]] = terms
    return groups


def no_benchmarks(given: Any) -> str:
    """Return what is wrong with benchmarks that are no columns."""
    return (
        "benchmarks must be a column or a list of columns, any of which may be a list of columns, "
        f"for a group; got {given!r}"
    )


def _multiples(given: Any) -> list[float]:
    values = np.atleast_1d(np.asarray(given))
    are_numbers = values.ndim == 1 and values.dtype.kind in "iuf" and len(values) > 0
    if not are_numbers or not np.all((values > 0) & np.isfinite(values)):
        raise ValueError(f"multiples must be numbers above 0, got {given!r}")
    return list(values.tolist())


def _possible(
    name: str, treatment: str, r2_treatment: float, r2_outcome: float, multiple: float
) -> tuple[float, float]:
    """Return the strength of a confounder like a covariate; refuse what cannot be."""
    most = (1 - r2_treatment) / r2_treatment if r2_treatment > 0 else np.inf
    if r2_outcome >= 1 or r2_treatment >= 1 or multiple >= most:
        raise ValueError(
            f"benchmarks: {name!r} explains {r2_treatment:.1%} of {treatment!r} and "
            f"{r2_outcome:.1%} of the outcome, so that nothing can be {multiple:g} times as "
            f"strong; give multiples below {most:.3g}, or another benchmark"
        )
    return confounder_like(r2_treatment, r2_outcome, multiple)


def _change(sides: tuple[Query, Query], column: str) -> Floats:
    """Return by how much the column changes on average, (1,) or (draws,)."""
    treated, rested = (_mean(side.forced[column]) for side in sides)
    change = treated - rested
    if not np.all(np.abs(change) > _NONE * np.maximum(np.abs(treated), np.abs(rested))):
        raise ValueError(
            f"sensitivity: do leaves {column!r} at the mean that it is compared with, so that the "
            "average effect is zero whatever confounds it"
        )
    return np.asarray(change)


def _mean(forced: Forced) -> Floats:
    """Return the mean over rows, (1,) or (draws,)."""
    if not isinstance(forced, Chunked):
        return forced.mean(keepdims=True)
    return forced.average(Groups.of(np.ones(forced.n)))[:, 0]
