"""What an intervention would do, as a posterior: `Outcomes`."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interventional import drawing
from interventional.answers import shown
from interventional.answers.arithmetic import Arithmetic
from interventional.answers.averages import averaged, summed
from interventional.answers.combining import combined, one_below_the_other, some_rows
from interventional.answers.composed import Applied, Function
from interventional.answers.contents import Contents, Term
from interventional.answers.e_value import e_values
from interventional.answers.export import as_data_array, as_datatree, as_frame
from interventional.answers.population import TRANSFORMED
from interventional.answers.reductions import (
    CiKind,
    Inside,
    Quantiles,
    Reduction,
    columns_of_intervals,
    interval_defaults,
    interval_of,
    intervals_of,
    several_defaults,
)
from interventional.answers.rows import positions_of, positions_of_labels
from interventional.answers.samples import Held, at_once
from interventional.answers.words import bracketed
from interventional.errors import unknown
from interventional.numbers import Floats

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


class Outcomes(Arithmetic):
    """Posterior draws of the outcome of some rows, or of averages over rows.

    What `intervene` and `effect` return. Every summary is that of the posterior; averages over
    rows are taken inside each draw first, so that their intervals are those of the average.

    They are calculated with like numbers, draw by draw: ``+ - * / **``, ``abs`` and NumPy's
    functions, with numbers, with an array or a Series of a number a row (a Series goes by its
    index) and with other outcomes of the same fitted model and rows. Outcomes of a single row,
    such as averages, are taken with each row of others. ``outcomes[0]``, ``outcomes[:3]`` and
    ``outcomes[mask]`` are some rows by position; `loc` has them by label. ``float(average)`` is
    its posterior mean, and ``f"{average:.2f}"`` its mean and interval.

    What is linear in the coefficients of an equation that was drawn from its exact posterior, with
    no scales that are learnt, has its mean, sd, intervals, quantiles and probabilities in closed
    form, with no Monte Carlo error: rows, averages and sums, their differences and multiples, and
    new outcomes. All else has them of its draws.

    Many draws of many rows are not held: up to 16 million numbers are computed at once, more block
    by block whenever something is asked of them. Nothing but `draws` needs them all in memory.

    Parameters
    ----------
    draws : DataArray of shape (chain, draw, obs)
        The draws; ``obs`` carries the labels of the rows.
    estimand : str
        What the draws are draws of, in words.
    covariates : DataFrame, optional
        The rows' columns as they were observed, to average by.

    Attributes
    ----------
    estimand : str
        What the draws are draws of.

    See Also
    --------
    BayesianInterventionRegressor.intervene : Outcomes if a column is forced.
    BayesianInterventionRegressor.effect : The difference that forcing it makes.

    Examples
    --------
    >>> import numpy as np
    >>> from interventional import BayesianInterventionRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> y = X @ [1.0, -2.0] + 0.1 * rng.normal(size=100)
    >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    >>> outcomes = model.intervene(X, do={"x1": 0})
    >>> outcomes
    <Outcomes: E[y | do(x1 = 0)], 100 rows, 4000 draws, means 0.108, 0.617, -0.546, …>
    >>> outcomes.mean().shape, outcomes.interval().shape
    ((100,), (100, 2))
    >>> outcomes.average().probability(above=1.0)
    array([0.])
    >>> money = 10 * outcomes - 3
    >>> money
    <Outcomes: 10 * E[y | do(x1 = 0)] - 3, 100 rows, 4000 draws, means -1.92, 3.17, -8.46, …>
    >>> f"{money.average():.1f}"
    '-3.9 (-4.0 to -3.7)'
    """

    def __init__(
        self, draws: "xr.DataArray", estimand: str, covariates: pd.DataFrame | None = None
    ):
        if not hasattr(draws, "dims") or tuple(draws.dims) != ("chain", "draw", "obs"):
            dims = getattr(draws, "dims", type(draws).__name__)
            raise TypeError(f"draws must be a DataArray of chain, draw and obs, got {dims}")
        chains, per_chain, n = draws.shape
        if not draws.size or not np.isfinite(draws.values).all():
            raise ValueError(
                f"draws must be finite, at least one of a row; their shape: {draws.shape}"
            )
        if covariates is not None and len(covariates) != n:
            raise ValueError(f"covariates have {len(covariates)} rows, draws have {n}")
        labels = draws.indexes.get("obs", pd.RangeIndex(n))
        # A copy: what the user does to X afterwards is not what the rows were.
        covariates = None if covariates is None else covariates.copy()
        values = np.asarray(draws.values, dtype=np.float64).reshape(-1, n)
        posterior = draws.attrs.get("posterior")
        self._contents = Contents(Held(values), (chains, per_chain), labels, covariates, posterior)
        self.estimand = estimand
        self._array: xr.DataArray | None = draws

    @property
    def draws(self) -> "xr.DataArray":
        """The draws: a DataArray of shape (chain, draw, obs).

        Raises
        ------
        ValueError
            If they are more than 2**30 numbers, which take 8 GB. Summaries work without them.

        See Also
        --------
        to_datatree : The same for ArviZ.

        Notes
        -----
        Where they were too many to be computed at once, they are computed here, each time.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X.head(2), do={"price": 10})
        >>> outcomes.draws.dims, outcomes.draws.shape
        (('chain', 'draw', 'obs'), (4, 1000, 2))
        """
        if self._array is not None:
            return self._array
        array = as_data_array(self._contents)
        if isinstance(self._contents.samples, Held):
            self._array = array
        return array

    @property
    def support(self) -> pd.DataFrame:
        """How well the data support what each row was forced to, a row each, labelled like X.

        A contrast is supported where both sides are. Columns:

        ``supported``
            Whether all of the following is as it should be: ``X[outcomes.support["supported"]]``
            are the rows whose answers rest on data like them.
        ``in_range``
            Whether forced values lie in the range, or among the levels, that were observed; values
            hardly outside count as inside.
        ``distance``
            How far forced numbers are from what is usual in rows with such covariates. Above 1
            they are farther than training rows would be expected to get. 0 where there is nothing
            to compare.
        ``overlap``
            How frequent rows with such covariates are at the forced level of a column of levels,
            bools or two numbers, compared with all rows; at most 1. Below 0.1 they are ten times
            rarer there. 1 where there is nothing to compare.

        Of a distribution that is forced, 95% of the draws are at least as good.

        Raises
        ------
        ValueError
            If it is not known: of averages, which have no rows, and of outcomes made by hand.

        See Also
        --------
        ExtrapolationWarning : Given where it is not so for 5% of the rows or more.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> X = np.linspace(0, 1, 20)[:, None]
        >>> y = 3 * X[:, 0] + 0.1 * np.cos(9 * X[:, 0])
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> halved = model.intervene(X, do={"x0": lambda X: X[:, 0] / 2})
        >>> halved.support["supported"].all()
        np.True_
        """
        contents = self._contents
        if isinstance(contents.support, str):
            raise ValueError(contents.support)
        rows = contents.labels if contents.covariates is None else contents.covariates.index
        return contents.support.table(rows)

    def mean(self) -> Floats:
        """Return the posterior mean of each row, shape (n,).

        See Also
        --------
        average : Over rows, inside each draw.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X.head(2), do={"price": 10})
        >>> outcomes.mean().round(1)
        array([21., 19.])
        """
        return self._contents.samples.mean()

    def std(self) -> Floats:
        """Return the posterior standard deviation of each row, shape (n,).

        See Also
        --------
        interval : Where the outcome lies with a given probability.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X.head(2), do={"price": 10})
        >>> outcomes.std().round(1)
        array([0.1, 0.1])
        """
        return self._contents.samples.std()

    def quantile(self, q: ArrayLike) -> Floats:
        """Return posterior quantiles of each row.

        Parameters
        ----------
        q : float or array-like of float
            Probabilities between 0 and 1.

        Returns
        -------
        ndarray of shape (n,) or (n, len(q))

        See Also
        --------
        interval : Two quantiles around a probability.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X.head(2), do={"price": 10})
        >>> outcomes.quantile(0.5).round(1)
        array([21., 19.])
        >>> outcomes.quantile([0.1, 0.9]).shape
        (2, 2)
        """
        try:
            probabilities = np.asarray(q, dtype=np.float64)
        except (TypeError, ValueError):
            probabilities = np.asarray(np.nan)
        if probabilities.ndim > 1 or not np.all((probabilities >= 0) & (probabilities <= 1)):
            raise ValueError(f"q must hold probabilities between 0 and 1, got {q!r}")
        found = self._contents.samples.asked(Quantiles(probabilities.ravel().tolist()))
        return found if probabilities.ndim else found[:, 0]

    def interval(self, prob: float | None = None, kind: CiKind | None = None) -> Floats:
        """Return a posterior credible interval of each row.

        Parameters
        ----------
        prob : float, optional
            The probability that it holds; by default ArviZ's ``rcParams["stats.ci_prob"]``.
        kind : {"eti", "hdi"}, optional
            Equal-tailed or of highest density; by default ArviZ's ``rcParams["stats.ci_kind"]``.

        Returns
        -------
        ndarray of shape (n, 2)

        See Also
        --------
        average : Its interval is that of the average.
        summary : Beside mean and standard deviation.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X.head(2), do={"price": 10})
        >>> outcomes.interval(0.95).round(1)
        array([[20.9, 21.2],
               [18.8, 19.1]])
        >>> outcomes.interval(0.95, kind="hdi").round(1)
        array([[20.9, 21.2],
               [18.8, 19.1]])

        Of a ratio whose denominator may be zero, such as ``1 / x``, invert the ends of ``x``'s
        interval: `NoMeanWarning` says why.
        """
        return self._contents.samples.asked(interval_of(*interval_defaults(prob, kind)))

    def probability(self, above: float | None = None, below: float | None = None) -> Floats:
        """Return the posterior probability that each row's outcome lies in a range.

        Parameters
        ----------
        above, below : float, optional
            The open ends of the range; at least one of them.

        Returns
        -------
        ndarray of shape (n,)

        See Also
        --------
        quantile : The other way round.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> gain = model.effect(X, do={"price": lambda X: X["price"] - 1}).average()
        >>> gain.probability(above=0), gain.probability(above=2.9, below=3.1).round(1)
        (array([1.]), array([0.7]))
        """
        if above is None and below is None:
            raise ValueError("probability needs above=..., below=... or both")
        for name, end in (("above", above), ("below", below)):
            if end is not None and (not isinstance(end, Real) or np.isnan(end)):
                raise ValueError(f"{name} must be a number, got {end!r}")
        return self._contents.samples.asked(Inside(above, below))

    def average(
        self,
        weights: ArrayLike | None = None,
        by: Hashable | ArrayLike | None = None,
        *,
        population: Hashable | list[Hashable] | None = None,
    ) -> "Outcomes":
        """Average over rows, inside each draw.

        Parameters
        ----------
        weights : array-like of shape (n,), optional
            Weights of the rows.
        by : column name, list of column names, array-like of shape (n,) or DataFrame, optional
            Groups to average within; a name stands for that column of X as it was observed. By
            several columns, there is a group for each combination that occurs.
        population : column name, tuple of column names, or list of these, optional
            Groups, as in the model's ``groups=``, that are a sample of more such. Without it the
            average is that of these very groups, each with an intercept and slopes of its own.
            With it the average is that of the population which they are a sample of: it counts
            how much groups differ, and the interval is as wide as one of a mixed model.

        Returns
        -------
        Outcomes
            Of one row, or of a row a group.

        Raises
        ------
        ValueError
            If `by` names a column that the graph has follow what is forced, or the outcome: which
            rows had which value of it says something of their noise, which the answer draws anew.
            An array of the same values cannot be told, nor can rows that were picked by them.
            Outcomes of `counterfactual` may be grouped by any column.
            If `population` names no groups of an equation between what is forced and the outcome,
            or these are no expected outcomes of `intervene` and `effect`.

        See Also
        --------
        compare : Averages of several scenarios.

        Notes
        -----
        Over a population, what is a group's own is integrated over N(0, Sigma) inside each draw,
        in the equations of the outcome and of what is regenerated; all else, means of groups
        included, is as the rows have it. It is 0 where the expected outcome is linear in it; else
        the average is over 50 draws of it for each posterior draw, the same on both sides of a
        contrast.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X, do={"price": 10})
        >>> outcomes.average().summary(prob=0.95).round(1)
                 mean   sd  eti95_lb  eti95_ub
        average  20.1  0.1      20.0      20.3
        >>> busy = np.where(X["season"] > 0, "high", "low")
        >>> outcomes.average(by=busy).summary(prob=0.95).round(1)
              mean   sd  eti95_lb  eti95_ub
        high  26.3  0.1      26.1      26.5
        low   13.8  0.1      13.5      14.0

        Six stores whose sales respond to the price, each in its own way: the average over these
        is known well, and that over all stores like them is not.

        >>> rng = np.random.default_rng(0)
        >>> store, price = np.repeat(list("ABCDEF"), 20), rng.uniform(8, 12, size=120)
        >>> slope = dict(zip("ABCDEF", rng.normal(-3, 1, size=6)))
        >>> sales = np.array([slope[s] for s in store]) * price + rng.normal(size=120)
        >>> X = pd.DataFrame({"store": store, "price": price})
        >>> groups = {"store": ["price"]}
        >>> model = BayesianInterventionRegressor(groups=groups, random_state=0).fit(X, sales)
        >>> effect = model.effect(X, do={"price": 10}, baseline={"price": 9})
        >>> effect.average().interval(0.95).round(1)
        array([[-2.8, -2.5]])
        >>> effect.average(population="store").interval(0.95).round(1)
        array([[-3.5, -1.9]])
        """
        averages = self._contents.averages(weights, by, population)
        return outcomes_of(*averaged(averages, self._contents, self.estimand, by is not None))

    def sum(
        self,
        weights: ArrayLike | None = None,
        by: Hashable | ArrayLike | None = None,
        *,
        population: Hashable | list[Hashable] | None = None,
    ) -> "Outcomes":
        """Add up over rows, inside each draw.

        Parameters
        ----------
        weights : array-like of shape (n,), optional
            How often each row counts, not negative; by default once.
        by, population
            As in `average`.

        Returns
        -------
        Outcomes
            Of one row, or of a row a group. A group whose weights are all zero adds up to 0.

        See Also
        --------
        average : The same by the sum of the weights.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> revenue = 10 * model.intervene(X, do={"price": 10})
        >>> revenue.sum().summary(prob=0.95).round(-1)
                mean     sd  eti95_lb  eti95_ub
        sum  40260.0  140.0   39980.0   40540.0
        """
        averages = self._contents.averages(weights, by, population)
        return outcomes_of(*summed(averages, self._contents, self.estimand, by is not None))

    def map(self, function: Callable[[Floats], ArrayLike]) -> "Outcomes":
        """Return a function of each number: of each row in each draw.

        NumPy's own need no `map`: ``np.log(outcomes)`` keeps the draws.

        Parameters
        ----------
        function : callable
            From an array of numbers, (draws, rows), to an array of the same shape, number by
            number. It is called with blocks of rows, so that it must not mix them.

        Raises
        ------
        ValueError
            If the function changes the shape, or something is not finite.

        See Also
        --------
        average : Over rows, inside each draw.

        Notes
        -----
        What many draws of many rows are mapped by is called when something is asked of them: to
        be pickled they need a function that can be.

        Examples
        --------
        The share of the days that sell more than 20, and how sure that is:

        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> sales = model.intervene(X, do={"price": 10})
        >>> many = sales.map(lambda draws: draws > 20)
        >>> many.average().summary(prob=0.95).round(2)
                 mean   sd  eti95_lb  eti95_ub
        average  0.51  0.0      0.51      0.53
        """
        if not callable(function):
            raise TypeError(f"map takes a function of an array of draws, got {function!r}")
        return self._apply(function, self)

    def summary(
        self, prob: float | Sequence[float] | None = None, kind: CiKind | None = None
    ) -> pd.DataFrame:
        """Return mean, sd and interval of each row, in columns named as ArviZ names them.

        Parameters
        ----------
        prob : float or sequence of float, optional
            The probability that the interval holds, or several for as many intervals; by default
            ArviZ's ``rcParams["stats.ci_prob"]``.
        kind
            As in `interval`.

        See Also
        --------
        compare : Summaries of several scenarios.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X.head(2), do={"price": 10})
        >>> outcomes.summary(prob=0.95).round(1)
           mean   sd  eti95_lb  eti95_ub
        0  21.0  0.1      20.9      21.2
        1  19.0  0.1      18.8      19.1
        """
        probs, kind = several_defaults(prob, kind)
        mean, sd, ends = self._contents.samples.summary(intervals_of(probs, kind))
        columns = {"mean": mean, "sd": sd}
        columns |= dict(zip(columns_of_intervals(probs, kind), ends.T, strict=True))
        return pd.DataFrame(columns, index=self._contents.index)

    def e_value(self, prob: float | None = None) -> pd.DataFrame:
        """Return how strong unmeasured confounding must be to explain a ratio away.

        The E-value of a risk ratio is what both risk ratios of a confounder must be at least, with
        what is forced and with the outcome, given the columns of the model, for the ratio to be 1
        without it: ``RR + sqrt(RR (RR - 1))``, with 1 / RR for an RR below 1 (VanderWeele and Ding
        2017).

        Parameters
        ----------
        prob : float, optional
            The probability that the interval holds; by default ArviZ's
            ``rcParams["stats.ci_prob"]``.

        Returns
        -------
        DataFrame
            For each row the posterior median of the ratio and its equal-tailed interval, the
            E-value of the median, and that of the end of the interval that is nearer to 1; which
            is 1 where the interval holds 1. Median and quantiles mean the same whichever way round
            the ratio is taken.

        Raises
        ------
        ValueError
            If the rows are not ratios of outcomes, such as ``a.average() / b.average()``, or these
            are not positive.

        See Also
        --------
        BayesianInterventionRegressor.sensitivity : The like for differences.

        References
        ----------
        VanderWeele, T. J. and Ding, P. (2017). Sensitivity analysis in observational research:
        introducing the E-value. *Annals of Internal Medicine* 167(4), 268-274.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> exposed = np.repeat([0.0, 1.0], 5000)
        >>> y = (rng.uniform(size=10000) < np.where(exposed, 0.3, 0.1)).astype(float)
        >>> X = exposed[:, None]
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> treated, control = (model.intervene(X, do={"x0": v}).average() for v in (1, 0))
        >>> (treated / control).e_value()["e_value"].round(0).tolist()
        [5.0]
        """
        if self._contents.scale != "ratio":
            raise ValueError(
                f"e_value is that of a ratio of outcomes, such as a.average() / b.average(); this "
                f"is {self.estimand}"
            )
        prob, _ = interval_defaults(prob, "eti")
        table = e_values(self.quantile([0, (1 - prob) / 2, 0.5, (1 + prob) / 2]), prob)
        return table.set_axis(self._contents.index)

    @staticmethod
    def concat(outcomes: "Mapping[Any, Outcomes]") -> "Outcomes":
        """Return outcomes of one row each, by name, as outcomes of as many rows.

        Parameters
        ----------
        outcomes : mapping
            Names to outcomes of a single row and of the same draws, such as averages.

        See Also
        --------
        compare : A table of scenarios.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor, Outcomes
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> averages = {p: model.intervene(X, do={"price": p}).average() for p in (9, 10, 11)}
        >>> Outcomes.concat(averages).mean().round(0)
        array([23., 20., 17.])
        """
        refuse_other_than_outcomes(outcomes, "outcomes")
        joined = one_below_the_other({name: each._contents for name, each in outcomes.items()})
        return outcomes_of(joined, "average outcome by scenario")

    @staticmethod
    def compare(
        scenarios: "Mapping[Any, Outcomes]",
        *,
        by: Hashable | ArrayLike | None = None,
        weights: ArrayLike | None = None,
        population: Hashable | list[Hashable] | None = None,
        better: Literal["higher", "lower"] = "higher",
        prob: float | Sequence[float] | None = None,
        kind: CiKind | None = None,
    ) -> pd.DataFrame:
        """Return scenarios side by side, a row each, the others held against the first.

        Parameters
        ----------
        scenarios : mapping
            Names to outcomes of the same rows and draws.
        by, weights, population
            As in `average`: a row for each scenario and group.
        better : {"higher", "lower"}, default "higher"
            Which outcomes are better ones.
        prob, kind
            As in `summary`.

        Returns
        -------
        DataFrame
            Average and interval; ``effect``, the average difference from the first scenario, and
            the ends of its interval, ``effect_lb`` and ``effect_ub``, or those of several by
            their names, such as ``effect_eti50_lb``; ``prob_better``, the posterior probability
            that the average is better than the first one's. Those are NaN for the first scenario.

        See Also
        --------
        interventional.InterventionDisplay.from_outcomes : A picture of it.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor, Outcomes
        >>> X = np.linspace(0, 1, 20)[:, None]
        >>> y = 3 * X[:, 0] + 0.1 * np.cos(9 * X[:, 0])
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> scenarios = {x: model.intervene(X, do={"x0": x}) for x in (0.0, 0.5)}
        >>> Outcomes.compare(scenarios)[["mean", "effect", "prob_better"]].round(1)
             mean  effect  prob_better
        0.0   0.0     NaN          NaN
        0.5   1.5     1.5          1.0
        """
        refuse_other_than_outcomes(scenarios, "scenarios")
        if better not in ("higher", "lower"):
            raise ValueError(unknown("value of better:", better, ("higher", "lower")))
        side = {"above": 0.0} if better == "higher" else {"below": 0.0}
        first = next(iter(scenarios.values()))
        tables: dict[Any, pd.DataFrame] = {}
        of = partial(Outcomes.average, weights=weights, by=by, population=population)
        for name, outcomes in scenarios.items():
            table = of(outcomes).summary(prob, kind).drop(columns="sd")
            ends = list(table.columns[1:])
            if len(ends) == 2:  # short: a table fits a terminal
                ends = ["lb", "ub"]
            effects = ["effect", *(f"effect_{end}" for end in ends)]
            if not tables:
                table[[*effects, "prob_better"]] = np.nan
            else:
                effect = of(outcomes - first)
                table[effects] = effect.summary(prob, kind).drop(columns="sd").to_numpy()
                table["prob_better"] = effect.probability(**side)
            tables[name] = table
        joined = pd.concat(tables)
        return joined.droplevel(1) if by is None else joined

    @property
    def loc(self) -> "Labelled":
        """Rows by their labels, as pandas has them: ``outcomes.loc["north"]``.

        A label, a list of labels, a slice from one to another, or a mask. Rows by position are
        ``outcomes[0]``, ``outcomes[:10]`` and ``outcomes[mask]``, whatever their labels.

        See Also
        --------
        average : By group: the groups are labels.

        Examples
        --------
        >>> import numpy as np
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> season = np.where(X["season"] > 0, "high", "low")
        >>> sales = model.intervene(X, do={"price": 10}).average(by=season)
        >>> (sales.loc["high"] - sales.loc["low"]).mean().round(1)
        array([12.5])
        """
        return Labelled(self)

    def to_frame(self) -> pd.DataFrame:
        """Return the draws as a DataFrame: a row for each chain and draw, a column for each row.

        A table of mean, sd and intervals is `summary`.

        See Also
        --------
        draws : The same as a DataArray.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> frame = model.intervene(X.head(2), do={"price": 10}).to_frame()
        >>> frame.shape, frame.index.names
        ((4000, 2), FrozenList(['chain', 'draw']))
        """
        return as_frame(self._contents)

    def to_datatree(self) -> "xr.DataTree":
        """Return the draws as ArviZ takes them, in group ``predictions``.

        Where labels of rows repeat, ``obs`` counts the rows and ``label`` holds the labels.

        See Also
        --------
        draws : The same as a DataArray.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X.head(2), do={"price": 10})
        >>> tree = outcomes.to_datatree()  # arviz.plot_forest(tree, group="predictions") draws it
        >>> tree["predictions"]["outcome"].sizes
        Frozen({'chain': 4, 'draw': 1000, 'obs': 2})
        """
        return as_datatree(self.draws, self._contents.labels, self.estimand)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the posterior: its density for one row, intervals in order for many.

        Of more than 1,000 rows, 1,000 are drawn, evenly spaced in the order of their means.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.

        See Also
        --------
        interventional.InterventionDisplay : Curves over values, and scenarios.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> ax = model.effect(X, do={"price": 10}).average().plot()
        >>> ax.get_xlabel().partition(" - ")[0]
        'average of E[sales | do(price = 10)]'
        """
        ax = drawing.axes(ax, 3.6, "Outcomes.plot")
        prob, kind = interval_defaults(None, None)
        mean, held = self.mean(), f"{drawing.percent(prob)} interval"
        if len(self) == 1:
            draws = self._contents.samples.held()[:, 0]
            drawing.density(ax, draws, mean[0], self.interval(prob, kind)[0])
            return drawing.finished(ax, xlabel=f"{self.estimand}, mean and {held}")
        order, ranks = np.argsort(mean, kind="stable"), drawing.ranks(len(mean))
        drawn, back = np.unique(order[ranks], return_inverse=True)
        picked = some_rows(self._contents, drawn).samples
        intervals = picked.asked(interval_of(prob, kind))[back]
        drawing.band(ax, ranks, mean[order[ranks]], intervals, width=1.5)
        return drawing.finished(ax, xlabel="rows, in order", ylabel=f"{self.estimand}, {held}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the posterior means, shape (n,)."""
        if copy is False:
            raise ValueError(
                "the means of Outcomes are computed: they cannot be had without a copy"
            )
        return self.mean() if dtype is None else self.mean().astype(dtype)

    def __getitem__(self, key: Any) -> "Outcomes":
        """Return some rows, by position: one, a slice, a list, or a mask of bools."""
        positions = positions_of(key, self._contents)
        found, words = some_rows(self._contents, positions), self.estimand
        if len(found.labels) == 1 < len(self):
            words = f"{bracketed(words)} [{found.labels[0]}]"
        return outcomes_of(found, words)

    def __float__(self) -> float:
        """Return the posterior mean of a single one."""
        return float(self._single("float")[0])

    def __format__(self, spec: str) -> str:
        """Return mean and interval of a single one, as in ``f"{outcomes:.2f}"``."""
        if not spec:
            return str(self)
        mean, (low, high) = self._single(f"format {spec!r}")[0], self.interval()[0]
        return f"{mean:{spec}} ({low:{spec}} to {high:{spec}})"

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._contents.samples.n

    def __iter__(self) -> Iterator[float]:
        """Iterate over the posterior means; pandas then takes outcomes for a column."""
        return iter(self.mean())

    def __repr__(self) -> str:
        return shown.line(self.estimand, self._contents)

    def _repr_html_(self) -> str:
        return shown.html(self.estimand, self._contents)

    def _single(self, what: str) -> Floats:
        """Return the posterior mean of a single one; refuse several."""
        if len(self) != 1:
            raise TypeError(
                f"{what} is of a single one, and these are {len(self)} rows: pick one, as in "
                "outcomes[0], or ask for the average() or the sum()"
            )
        return self.mean()

    def _apply(self, function: Function, *operands: Any) -> "Outcomes":
        return calculated(function, operands)


def outcomes_of(contents: Contents, estimand: str) -> Outcomes:
    """Return the outcomes that hold something; `estimand` says in words what it is."""
    if isinstance(contents.labels, pd.MultiIndex):  # xarray has no dimension with one of its own
        contents = replace(contents, labels=contents.labels.to_flat_index())
    outcomes = Outcomes.__new__(Outcomes)
    outcomes._contents, outcomes.estimand, outcomes._array = contents, estimand, None
    return outcomes


class Labelled:
    """Rows of outcomes by their labels."""

    def __init__(self, outcomes: Outcomes):
        self.outcomes = outcomes

    def __getitem__(self, key: Any) -> Outcomes:
        """Return the rows of a label, of several, of a slice from one to another, or of a mask."""
        return self.outcomes[positions_of_labels(key, contents_of(self.outcomes))]


def calculated(function: Function, operands: Sequence[Any]) -> Outcomes:
    """Return a function of outcomes, and of numbers beside them, draw by draw."""
    terms = [
        Term(each._contents, each.estimand) if isinstance(each, Outcomes) else each
        for each in operands
    ]
    return outcomes_of(*combined(function, terms))


def contents_of(outcomes: Outcomes) -> Contents:
    """Return what outcomes hold."""
    return outcomes._contents


def mapped(outcomes: Outcomes, function: Reduction) -> Outcomes:
    """Return a function of the samples, (draws, n) to (draws, n), of the same rows."""
    contents = outcomes._contents
    samples, why = at_once(Applied(function, contents.samples)), TRANSFORMED
    return outcomes_of(replace(contents, samples=samples, population=why), outcomes.estimand)


def refuse_other_than_outcomes(named: object, what: str) -> None:
    """Refuse what is no mapping from names to outcomes, at least one of them."""
    if not isinstance(named, Mapping) or not named:
        raise TypeError(f"{what} must map names to Outcomes, got {named!r}")
    for name, each in named.items():
        if not isinstance(each, Outcomes):
            raise TypeError(f"{what}[{name!r}] must be Outcomes, got {each!r}")
