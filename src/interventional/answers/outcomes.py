"""What an intervention would do, as a posterior: `Outcomes`."""

from collections.abc import Hashable, Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.api.extensions import ExtensionDtype

from interventional import drawing
from interventional.answers.reductions import (
    CiKind,
    Inside,
    Quantiles,
    Reduction,
    interval_columns,
    interval_defaults,
    interval_of,
)
from interventional.answers.samples import Contrast, Held, Mapped, Samples, Shares, at_once
from interventional.answers.support import AVERAGED, MADE_BY_HAND, Support, joined
from interventional.data.reading import refuse_masked
from interventional.errors import unknown
from interventional.numbers import SMALLEST, Floats

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Scale = Literal["outcome", "ratio", "mixed"]


class Outcomes:
    """Posterior draws of the outcome of some rows, or of averages over rows.

    What `intervene` and `effect` return. Every summary is taken over the posterior draws; averages
    over rows are taken inside each draw first, so that their intervals are those of the average.

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
    <Outcomes: E[y | do(x1 = 0)], 100 rows, 4000 draws>
    >>> outcomes.mean().shape, outcomes.interval().shape
    ((100,), (100, 2))
    >>> outcomes.average().probability(above=1.0)
    array([0.])
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
        self._set(Held(values), (chains, per_chain), labels, estimand, covariates, posterior)
        self._array = draws

    _array: "xr.DataArray | None"
    _scale: Scale = "outcome"  # or a ratio of two such; all other contrasts are mixed
    _support: Support | str

    def _set(
        self,
        samples: Samples,
        shape: tuple[int, int],
        labels: pd.Index,
        estimand: str,
        covariates: pd.DataFrame | None,
        posterior: str | None,
        support: Support | str = MADE_BY_HAND,
    ) -> None:
        self._samples = samples
        self._shape = shape
        self._labels = labels
        self.estimand = estimand
        self._covariates = covariates
        self._posterior = posterior
        self._support = support
        self._array = None

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
        import xarray as xr

        chains, per_chain = self._shape
        array = xr.DataArray(
            self._samples.held().reshape(chains, per_chain, len(self)),
            dims=("chain", "draw", "obs"),
            coords={
                "chain": np.arange(chains),
                "draw": np.arange(per_chain),
                # with its dimension: a named index would else bring one of its own
                "obs": ("obs", self._labels),
            },
            name="outcome",
            attrs={} if self._posterior is None else {"posterior": self._posterior},
        )
        if isinstance(self._samples, Held):
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
            Whether forced values lie in the range, or among the levels, that were observed.
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
        if isinstance(self._support, str):
            raise ValueError(self._support)
        labels = self._labels if self._covariates is None else self._covariates.index
        return self._support.table(labels)

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
        return self._samples.mean()

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
        return self._samples.std()

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
        quantiles = self._samples.reduce(Quantiles(tuple(probabilities.ravel().tolist())))[0]
        return quantiles if probabilities.ndim else quantiles[:, 0]

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
        """
        return self._samples.reduce(interval_of(*interval_defaults(prob, kind)))[0]

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
        return self._samples.reduce(Inside(above, below))[0]

    def average(
        self, weights: ArrayLike | None = None, by: Hashable | ArrayLike | None = None
    ) -> "Outcomes":
        """Average over rows, inside each draw.

        Parameters
        ----------
        weights : array-like of shape (n,), optional
            Weights of the rows.
        by : column name or array-like of shape (n,), optional
            Groups to average within; a name stands for that column of X as it was observed.

        Returns
        -------
        Outcomes
            Of one row, or of a row a group.

        See Also
        --------
        compare : Averages of several scenarios.

        Examples
        --------
        >>> import numpy as np
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
        """
        codes, weight, labels = self._shares(weights, by)
        weight = weight / max(float(weight.max()), SMALLEST)  # sums of large ones overflow
        if not weight.sum() > 0:
            raise ValueError("weights must be finite, not negative, and not all zero")
        total = np.bincount(codes, weight, minlength=len(labels))
        if not np.all(total > 0):
            raise ValueError(
                f"the weights of group {labels[int(np.argmin(total))]!r} are all zero"
            )
        averaged = self._samples.average(Shares(codes, weight / total[codes], len(labels)))
        over = "average" if by is None else "average by group"
        words = f"{over} of {self.estimand}"
        # An average of ratios is no ratio of averages.
        scale: Scale = "mixed" if len(self) > 1 and self._scale == "ratio" else self._scale
        return self._like(Held(averaged), labels, words, support=AVERAGED, scale=scale)

    def summary(self, prob: float | None = None, kind: CiKind | None = None) -> pd.DataFrame:
        """Return mean, sd and interval of each row, in columns named as ArviZ names them.

        Parameters
        ----------
        prob, kind
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
        prob, kind = interval_defaults(prob, kind)
        mean, sd, ends = self._samples.summary(interval_of(prob, kind))
        columns = {"mean": mean, "sd": sd}
        columns |= dict(zip(interval_columns(prob, kind), ends.T, strict=True))
        return pd.DataFrame(columns, index=self._labels.rename(None))

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
        if self._scale != "ratio":
            raise ValueError(
                f"e_value is that of a ratio of outcomes, such as a.average() / b.average(); this "
                f"is {self.estimand}"
            )
        prob, _ = interval_defaults(prob, "eti")
        least, low, median, high = self.quantile([0, (1 - prob) / 2, 0.5, (1 + prob) / 2]).T
        if not np.all(least > 0):
            raise ValueError(
                "e_value is that of a positive ratio, as of risks or rates; this one goes down to "
                f"{least.min():.3g}"
            )
        nearest = np.where(low > 1, low, np.where(high < 1, high, 1.0))
        ends = interval_columns(prob, "eti")
        columns = {
            "ratio": median,
            **dict(zip(ends, (low, high), strict=True)),
            "e_value": e_value(median),
            "e_value_interval": e_value(nearest),
        }
        return pd.DataFrame(columns, index=self._labels.rename(None))

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
        first = next(iter(outcomes.values()))
        for name, each in outcomes.items():
            if len(each) != 1 or each._shape != first._shape:
                raise ValueError(
                    f"concat takes averages of the same draws; {name!r} has {len(each)} rows and "
                    f"{each._shape} draws"
                )
        samples = np.column_stack([each._samples.held() for each in outcomes.values()])
        labels = pd.Index(list(outcomes), tupleize_cols=False)
        words = "average outcome by scenario"
        is_one = all(each._scale == first._scale for each in outcomes.values())
        scale: Scale = first._scale if is_one else "mixed"
        return first._like(Held(samples), labels, words, support=AVERAGED, scale=scale)

    @staticmethod
    def compare(
        scenarios: "Mapping[Any, Outcomes]",
        *,
        by: Hashable | ArrayLike | None = None,
        weights: ArrayLike | None = None,
        better: Literal["higher", "lower"] = "higher",
        prob: float | None = None,
        kind: CiKind | None = None,
    ) -> pd.DataFrame:
        """Return scenarios side by side, a row each, the others held against the first.

        Parameters
        ----------
        scenarios : mapping
            Names to outcomes of the same rows and draws.
        by, weights
            As in `average`: a row for each scenario and group.
        better : {"higher", "lower"}, default "higher"
            Which outcomes are better ones.
        prob, kind
            As in `interval`.

        Returns
        -------
        DataFrame
            Average and interval; ``effect``, the average difference from the first scenario, and
            its interval; ``prob_better``, the posterior probability that the average is better
            than the first one's. Those three are NaN for the first scenario.

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
        tables = {}
        first: Outcomes | None = None
        for name, outcomes in scenarios.items():
            table = outcomes.average(weights, by).summary(prob, kind).drop(columns="sd")
            effect = None if first is None else (outcomes - first).average(weights, by)
            summary = table if effect is None else effect.summary(prob, kind)
            for column in table.columns:
                label = "effect" if column == "mean" else f"effect_{column}"
                table[label] = np.nan if effect is None else summary[column]
            table["prob_better"] = np.nan
            if effect is not None:
                side = {"above": 0.0} if better == "higher" else {"below": 0.0}
                table["prob_better"] = effect.probability(**side)
            first = outcomes if first is None else first
            tables[name] = table
        joined = pd.concat(tables)
        return joined.droplevel(1) if by is None else joined

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
        import xarray as xr

        dataset = self.draws.rename("outcome").to_dataset()
        index = self._labels
        if not index.is_unique:  # ArviZ picks rows by their labels
            labels = ("obs", index.astype(object))
            dataset = dataset.assign_coords(obs=np.arange(len(index)), label=labels)
        elif isinstance(index.dtype, ExtensionDtype):  # which ArviZ does not read
            dataset = dataset.assign_coords(obs=index.astype(object))
        dataset.attrs |= {"estimand": self.estimand, "sample_dims": ["chain", "draw"]}
        return xr.DataTree.from_dict({"/predictions": dataset})

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
        >>> ax.get_xlabel()
        'average of E[y | do(price = 10)] - E[y | do(price as observed)], mean and 89% interval'
        """
        ax = drawing.axes(ax, 3.6, "Outcomes.plot")
        prob, kind = interval_defaults(None, None)
        mean, held = self.mean(), f"{drawing.percent(prob)} interval"
        if len(self) == 1:
            draws = self._samples.held()[:, 0]
            drawing.density(ax, draws, mean[0], self.interval(prob, kind)[0])
            return drawing.finished(ax, xlabel=f"{self.estimand}, mean and {held}")
        order, ranks = np.argsort(mean, kind="stable"), drawing.ranks(len(mean))
        drawn, back = np.unique(order[ranks], return_inverse=True)
        intervals = self._samples.at(drawn).reduce(interval_of(prob, kind))[0][back]
        drawing.band(ax, ranks, mean[order[ranks]], intervals, width=1.5)
        return drawing.finished(ax, xlabel="rows, in order", ylabel=f"{self.estimand}, {held}")

    def __sub__(self, other: "Outcomes") -> "Outcomes":
        """Return the difference, paired draw by draw."""
        return self._contrast(other, "-")

    def __truediv__(self, other: "Outcomes") -> "Outcomes":
        """Return the ratio, paired draw by draw."""
        return self._contrast(other, "/")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the posterior means, shape (n,)."""
        if copy is False:
            raise ValueError(
                "the means of Outcomes are computed: they cannot be had without a copy"
            )
        return self.mean() if dtype is None else self.mean().astype(dtype)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._samples.n

    def __iter__(self) -> Iterator[float]:
        """Iterate over the posterior means; pandas then takes outcomes for a column."""
        return iter(self.mean())

    def __repr__(self) -> str:
        rows = "1 row" if len(self) == 1 else f"{len(self)} rows"
        return f"<Outcomes: {self.estimand}, {rows}, {self._samples.n_draws} draws>"

    def _mapped(self, function: Reduction) -> "Outcomes":
        """Return a function of the samples, (draws, n) to (draws, n), of the same rows."""
        mapped = at_once(Mapped(self._samples, function))
        return self._like(mapped, self._labels, self.estimand, self._covariates, self._support)

    def _contrast(self, other: object, sign: Literal["-", "/"]) -> "Outcomes":
        if not isinstance(other, Outcomes):
            raise TypeError(f"Outcomes combine with Outcomes, got {type(other).__name__}")
        if self._shape != other._shape:
            raise ValueError(
                f"the draws do not pair: (chain, draw) is {self._shape} here and "
                f"{other._shape} there; contrast outcomes of one fitted model"
            )
        if self._posterior != other._posterior:
            # Two fits with one seed have draws that move together: their difference would look
            # far more certain than it is.
            raise ValueError(
                "the draws do not pair: they are of two posteriors; contrast outcomes of one "
                "fitted model"
            )
        if not self._labels.equals(other._labels):
            raise ValueError(
                f"the rows are not the same: {len(self)} rows here, {len(other)} there, or "
                "other labels; contrast outcomes of the same rows"
            )
        samples = at_once(Contrast(self._samples, other._samples, sign))
        sides = [_bracketed(self.estimand), _bracketed(other.estimand)]
        words = f" {sign} ".join(sides)
        support = joined(self._support, other._support)
        is_ratio = sign == "/" and self._scale == other._scale == "outcome"
        scale: Scale = "ratio" if is_ratio else "mixed"
        return self._like(samples, self._labels, words, self._covariates, support, scale)

    def _like(
        self,
        samples: Samples,
        labels: pd.Index,
        estimand: str,
        covariates: pd.DataFrame | None = None,
        support: Support | str = MADE_BY_HAND,
        scale: Scale | None = None,
    ) -> "Outcomes":
        return from_samples(
            samples,
            self._shape,
            labels,
            estimand,
            covariates,
            self._posterior,
            support,
            scale=self._scale if scale is None else scale,
        )

    def _shares(
        self, weights: ArrayLike | None, by: Hashable | ArrayLike | None
    ) -> tuple[NDArray[np.intp], Floats, pd.Index]:
        """Return the group of each row, its weight, and the labels of the groups."""
        n = len(self)
        weight = np.ones(n) if weights is None else self._per_row(weights, "weights", np.float64)
        if not np.all(np.isfinite(weight)) or np.any(weight < 0):
            raise ValueError("weights must be finite, not negative, and not all zero")
        if by is None:
            return np.zeros(n, dtype=np.intp), weight, pd.Index(["average"])
        codes, found = pd.factorize(self._groups(by), sort=True)
        if (codes < 0).any():
            raise ValueError(f"by has a missing value in row {int(np.argmax(codes < 0))}")
        return codes, weight, pd.Index(np.asarray(found))

    def _per_row(self, values: ArrayLike, what: str, dtype: Any = None) -> NDArray[Any]:
        n = len(self)
        refuse_masked(values, what)
        if isinstance(values, pd.Series) and not values.index.equals(self._labels):
            if set(values.index) != set(self._labels) or not values.index.is_unique:
                raise ValueError(f"{what}: its index is not that of the rows")
            values = values.reindex(self._labels)
        if dtype is not None and np.iscomplexobj(values):
            raise TypeError(f"{what} must be numbers, got complex ones")
        try:
            array = np.asarray(values, dtype=dtype)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{what}: {error}") from error
        if array.shape != (n,):
            raise ValueError(f"{what} must have shape {(n,)}, got {array.shape}")
        return array

    def _groups(self, by: Any) -> NDArray[Any] | pd.Categorical:
        """Return the group of each row; categories keep their order."""
        columns: list[Hashable] = []
        if self._covariates is not None:
            columns = list(self._covariates.columns)
        if np.ndim(by) == 0 or (isinstance(by, tuple) and by in columns):
            if self._covariates is None or by not in columns:
                raise ValueError(unknown("column in by:", by, columns))
            by = self._covariates[by].set_axis(self._labels)
        groups = self._per_row(by, "by")
        dtype = getattr(by, "dtype", None)
        if isinstance(dtype, pd.CategoricalDtype):
            return pd.Categorical(groups, dtype=dtype)
        return groups


def from_samples(
    samples: Samples,
    shape: tuple[int, int],
    labels: pd.Index,
    estimand: str,
    covariates: pd.DataFrame | None = None,
    posterior: str | None = None,
    support: Support | str = MADE_BY_HAND,
    *,
    scale: Scale = "outcome",
) -> Outcomes:
    """Return the outcomes that hold samples.

    Parameters
    ----------
    samples : Samples
        Samples of (chains * draws, n).
    shape : tuple of int
        Chains, and draws of each.
    labels : Index of length n
        The labels of the rows.
    estimand : str
        What the samples are samples of.
    covariates : DataFrame, optional
        The rows' columns as they were observed, which nobody else changes.
    posterior : str, optional
        A fingerprint: outcomes with the same one are paired draw by draw.
    support : Support or str
        How well the data support each row; a str says why that is not known.
    scale : {"outcome", "ratio", "mixed"}
        Whether they are outcomes, ratios of two of them, or something else.
    """
    if isinstance(labels, pd.MultiIndex):
        labels = labels.to_flat_index()  # xarray has no dimension with a MultiIndex of its own
    outcomes = Outcomes.__new__(Outcomes)
    outcomes._set(samples, shape, labels, estimand, covariates, posterior, support)
    outcomes._scale = scale
    return outcomes


def e_value(ratio: ArrayLike) -> Floats:
    """Return the E-value of a risk ratio (VanderWeele and Ding 2017).

    Examples
    --------
    >>> e_value([10.73, 1 / 10.73, 1.0]).round(1)  # smoking and lung cancer
    array([20.9, 20.9,  1. ])
    """
    risk = np.asarray(ratio, dtype=np.float64)
    risk = np.where(risk < 1, 1 / risk, risk)
    return risk + np.sqrt(risk * (risk - 1))


def refuse_other_than_outcomes(named: object, what: str) -> None:
    """Refuse what is no mapping from names to outcomes, at least one of them."""
    if not isinstance(named, Mapping) or not named:
        raise TypeError(f"{what} must map names to Outcomes, got {named!r}")
    for name, each in named.items():
        if not isinstance(each, Outcomes):
            raise TypeError(f"{what}[{name!r}] must be Outcomes, got {each!r}")


def _bracketed(estimand: str) -> str:
    return f"({estimand})" if " - " in estimand or " / " in estimand else estimand
