"""What an intervention would do, as a posterior: `Outcomes`."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.api.extensions import ExtensionDtype

from interventional import drawing
from interventional.answers import shown
from interventional.answers.contents import (
    Averages,
    Contents,
    Shape,
    contrast_in_words,
)
from interventional.answers.population import AVERAGED as NO_POPULATION
from interventional.answers.population import TRANSFORMED
from interventional.answers.reductions import (
    CiKind,
    Reduction,
    inside,
    interval_columns,
    interval_defaults,
    interval_of,
    quantiles,
)
from interventional.answers.samples import Held, Mapped, Sign, at_once
from interventional.answers.support import AVERAGED
from interventional.errors import unknown
from interventional.numbers import Floats

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


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
    <Outcomes: E[y | do(x1 = 0)], 100 rows, 4000 draws, means 0.108, 0.617, -0.546, …>
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
        import xarray as xr

        contents = self._contents
        chains, per_chain = contents.shape
        posterior = contents.posterior
        array = xr.DataArray(
            contents.samples.held().reshape(chains, per_chain, len(self)),
            dims=("chain", "draw", "obs"),
            coords={
                "chain": np.arange(chains),
                "draw": np.arange(per_chain),
                # with its dimension: a named index would else bring one of its own
                "obs": ("obs", contents.labels),
            },
            name="outcome",
            attrs={} if posterior is None else {"posterior": posterior},
        )
        if isinstance(contents.samples, Held):
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
        found = self._contents.samples.reduce(partial(quantiles, q=probabilities.ravel()))[0]
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
        """
        return self._contents.samples.reduce(interval_of(*interval_defaults(prob, kind)))[0]

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
        return self._contents.samples.reduce(partial(inside, above=above, below=below))[0]

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
        contents = self._contents
        averages = contents.averages(weights, by, population)
        return averaged(averages, contents.shape, contents.posterior, self.estimand, by)

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
        mean, sd, ends = self._contents.samples.summary(interval_of(prob, kind))
        columns = {"mean": mean, "sd": sd}
        columns |= dict(zip(interval_columns(prob, kind), ends.T, strict=True))
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
        return pd.DataFrame(columns, index=self._contents.index)

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
        contents = {name: each._contents for name, each in outcomes.items()}
        first = next(iter(contents.values()))
        for name, each in contents.items():
            if len(each.labels) != 1 or each.shape != first.shape:
                raise ValueError(
                    f"concat takes averages of the same draws; {name!r} has {len(each.labels)} "
                    f"rows and {each.shape} draws"
                )
        samples = np.column_stack([each.samples.held() for each in contents.values()])
        labels = pd.Index(list(outcomes), tupleize_cols=False)
        is_one = all(each.scale == first.scale for each in contents.values())
        scale = first.scale if is_one else "mixed"
        shape, posterior = first.shape, first.posterior
        joined = Contents(Held(samples), shape, labels, None, posterior, AVERAGED, scale)
        return outcomes_of(joined, "average outcome by scenario")

    @staticmethod
    def compare(
        scenarios: "Mapping[Any, Outcomes]",
        *,
        by: Hashable | ArrayLike | None = None,
        weights: ArrayLike | None = None,
        population: Hashable | list[Hashable] | None = None,
        better: Literal["higher", "lower"] = "higher",
        prob: float | None = None,
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
            As in `interval`.

        Returns
        -------
        DataFrame
            Average and interval; ``effect``, the average difference from the first scenario, and
            the ends of its interval, ``effect_lb`` and ``effect_ub``; ``prob_better``, the
            posterior probability that the average is better than the first one's. Those are NaN
            for the first scenario.

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
            effects = ["effect", "effect_lb", "effect_ub"]  # short: a table fits a terminal
            if not tables:
                table[[*effects, "prob_better"]] = np.nan
            else:
                effect = of(outcomes - first)
                table[effects] = effect.summary(prob, kind).drop(columns="sd").to_numpy()
                table["prob_better"] = effect.probability(**side)
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
        index = self._contents.labels
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
        intervals = self._contents.samples.at(drawn).reduce(interval_of(prob, kind))[0][back]
        drawing.band(ax, ranks, mean[order[ranks]], intervals, width=1.5)
        return drawing.finished(ax, xlabel="rows, in order", ylabel=f"{self.estimand}, {held}")

    def __sub__(self, other: "Outcomes") -> "Outcomes":
        """Return the difference, paired draw by draw."""
        return self._contrast(other, "-")

    def __truediv__(self, other: "Outcomes") -> "Outcomes":
        """Return the ratio, paired draw by draw."""
        return self._contrast(other, "/")

    def __array_ufunc__(self, ufunc: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuse what would be of the means, and no expectation."""
        name = getattr(ufunc, "__name__", "f")
        raise TypeError(
            f"{name} of Outcomes would be that of their means; take it of the draws, "
            f"{name}(outcomes.draws), and average those"
        )

    def _refuse_number(self, other: object) -> Any:
        """Refuse arithmetic with what has no draws."""
        raise TypeError(
            f"arithmetic of Outcomes with {type(other).__name__}: take the draws, as in "
            "1 - outcomes.draws, which are an xarray.DataArray"
        )

    __add__ = __radd__ = __mul__ = __rmul__ = __rsub__ = __rtruediv__ = __pow__ = _refuse_number

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the posterior means, shape (n,)."""
        if copy is False:
            raise ValueError(
                "the means of Outcomes are computed: they cannot be had without a copy"
            )
        return self.mean() if dtype is None else self.mean().astype(dtype)

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

    def _contrast(self, other: object, sign: Sign) -> "Outcomes":
        if not isinstance(other, Outcomes):
            raise TypeError(f"Outcomes combine with Outcomes, got {type(other).__name__}")
        words = contrast_in_words(self.estimand, other.estimand, sign)
        return outcomes_of(self._contents.contrast(other._contents, sign), words)


def outcomes_of(contents: Contents, estimand: str) -> Outcomes:
    """Return the outcomes that hold something; `estimand` says in words what it is."""
    if isinstance(contents.labels, pd.MultiIndex):  # xarray has no dimension with one of its own
        contents = replace(contents, labels=contents.labels.to_flat_index())
    outcomes = Outcomes.__new__(Outcomes)
    outcomes._contents, outcomes.estimand, outcomes._array = contents, estimand, None
    return outcomes


def averaged(
    averages: Averages, shape: Shape, posterior: str | None, estimand: str, by: object
) -> Outcomes:
    """Return averages of an estimand as outcomes, a row each; refuse groups without weights."""
    levels: tuple[Hashable, ...] = ()
    if isinstance(averages.labels, pd.DataFrame):
        levels = tuple(averages.labels.columns)
        labels = pd.MultiIndex.from_frame(averages.labels).to_flat_index()
    else:
        labels = pd.Index(np.asarray(averages.labels))
    has_weight = averages.totals > 0
    if not has_weight.any():
        raise ValueError("weights must be finite, not negative, and not all zero")
    if not has_weight.all():
        raise ValueError(f"the weights of group {labels[~has_weight].tolist()[0]!r} are all zero")
    # An average of ratios is no ratio of averages.
    scale = "mixed" if averages.n > 1 and averages.scale == "ratio" else averages.scale
    samples = Held(averages.values)
    contents = Contents(
        samples, shape, labels, None, posterior, AVERAGED, scale, levels, population=NO_POPULATION
    )
    of = "average" if by is None else "average by group"
    return outcomes_of(contents, f"{of} of {estimand}{averages.population}")


def contents_of(outcomes: Outcomes) -> Contents:
    """Return what outcomes hold."""
    return outcomes._contents


def mapped(outcomes: Outcomes, function: Reduction) -> Outcomes:
    """Return a function of the samples, (draws, n) to (draws, n), of the same rows."""
    contents = outcomes._contents
    samples, why = at_once(Mapped(contents.samples, function)), TRANSFORMED
    return outcomes_of(replace(contents, samples=samples, population=why), outcomes.estimand)


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
