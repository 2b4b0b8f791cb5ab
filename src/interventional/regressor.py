"""`BayesianInterventionRegressor`: causal questions to a fitted model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from interventional import dask, questions
from interventional.answers.outcomes import Outcomes
from interventional.data.frames import name_of
from interventional.data.reading import restored
from interventional.data.table import Units, is_distributed
from interventional.estimator import Estimator
from interventional.fitted import Do, Fitted, Kind

if TYPE_CHECKING:
    from interventional.trust.sensitivity import Sensitivity


class BayesianInterventionRegressor(Estimator):
    """Bayesian regression that also answers what happens to y if a column is forced.

    A generalised linear model in the terms of a design, by default ``y ~ Normal(intercept +
    design(X) @ beta, sigma)``, written in PyMC. `fit` conditions it on data by `pm.observe`;
    `predict` is E[y | X]; `intervene` forces columns by `pm.do` and draws from the posterior
    predictive. Without a graph all other columns stay as they are: the effect is causal if the
    columns hold every common cause of the forced column and y, and nothing that the forced column
    causes. With a graph each column on the way from the forced column to y has an equation of its
    own and is regenerated; where these equations do not tell an effect, but some columns adjust
    for it, y is regressed on the forced column and on these. What the graph does not identify is
    refused.

    Parameters
    ----------
    graph : CausalGraph, str, edges, mapping or DiGraph, optional
        The causal graph over columns and outcome, in any form that `CausalGraph` takes. Nodes that
        are no columns are unobserved. Columns that are not in it enter nothing.
    outcome : str, optional
        Name of the outcome in the model. By default that of y, where y is a Series with a name
        that no column of X has, and which the graph, if any, has; else ``"y"``.
    model : pm.Model or callable, optional
        A PyMC model of your own in the place of the package's equations: what they are is then
        said there, and `graph`, `family`, `design`, `priors`, `groups` and the like are refused.
        Nothing is observed in it. Its outcome has one dimension, that of the rows, with a
        placeholder for their number; variables on that dimension which are named like columns of
        X are these, be they `pm.Data` or random, whole numbers for levels that index; what is
        random on it and no column is latent in each row. A callable returns such a model; if it
        has a positional parameter without a default, it gets the rows of `fit` as a DataFrame,
        to read levels or scales off. Callables at the top of a module pickle.
    family : str or dict of str to str, default "gaussian"
        How the outcome is distributed, or how each column is that has an equation, by name:
        ``"gaussian"``, ``"student_t"`` (outliers), ``"lognormal"``, ``"gamma"`` (both positive),
        ``"poisson"``, ``"negative_binomial"`` (both counts), ``"bernoulli"`` (0 and 1) or
        ``"beta"`` (shares between 0 and 1). Columns of bools and levels are ``"categorical"``, and
        columns of numbers that hold nothing but 0 and 1 are ``"bernoulli"`` by default.
    exposure : column, optional
        The column that a count is in proportion to: days, visits, inhabitants. It enters as its
        logarithm, with the coefficient 1.
    noise : column, optional
        The column of known standard deviations of the outcomes, each row's own beside `sigma`:
        ``y ~ Normal(mu, sqrt(sigma**2 + noise**2))``, as in meta-analysis and calibration. With
        ``priors={"sigma": Prior("DiracDelta", c=0.0)}`` they are all the noise there is. For
        Gaussian outcomes. New outcomes have the noise of their rows; a graph need not name it.
    design : transformer, "smooth" or dict of str to these, optional
        A scikit-learn transformer from the columns to the design matrix, such as
        `SplineTransformer` or `PolynomialFeatures`, that needs no y to be fitted; with a graph
        from the regressors of y's equation, or by node. By default numbers enter as they are, and
        categories, strings and objects by treatment coding.
        ``"smooth"`` adds Gaussian processes to that line: a surface over all columns, each with a
        relevance that is learnt, and effects of `treatments` that differ from row to row and
        bend; where rows are straight, it is the line. What `groups` have stands beside. For
        Gaussian, lognormal and Student t equations, for those of 0 and 1 or of two levels, and for
        Poisson counts.
    treatments : column or list of columns, optional
        The columns that are meant to be forced: numbers, 0 and 1, or levels. ``design="smooth"``
        learns their effects apart from what else moves the outcome, and allows for the treatment
        that was to be expected of each row; other designs do not ask.
    priors : str or dict of str to Prior or str, optional
        `pymc_extras.prior.Prior` of ``"beta"`` (every coefficient), of the terms of one column by
        its name, of one term by its name, of ``"intercept"``, and of ``"sigma"``, ``"nu"``,
        ``"alpha"`` or ``"phi"`` where the family has one; the narrower name goes first. By default
        weakly informative and scaled by the data: coefficients Normal(0, 2.5 sd(y) / sd(x)),
        intercept Normal(mean(y), 2.5 sd(y)), sigma HalfStudentT(4, sd(y)); on the scale of a log
        or logit, coefficients Normal(0, 1 / sd(x)) or Normal(0, 1.5 / sd(x)), intercept
        Normal(that of the mean, 2.5). With a `design` the prior is one of the fitted curve, so
        that the origins and units of raw columns do not matter. Of coefficients also ``"ridge"``,
        ``"horseshoe"`` or ``"r2d2"``, which learn how much to shrink; a single name is for
        ``"beta"``. The name of `groups` is for the standard deviations between them. With a graph,
        a dict under the name of a column is for that column's own equation.
    groups : list of columns, or dict of column to list of columns, optional
        Columns whose levels, or numbers, are groups of rows: stores, people, weeks. Each group has
        an intercept of its own, and slopes of the columns, or terms of a `design`, that are listed
        for it, ``groups={"store": ["price"]}``; they are learnt together, as draws from a Normal
        population with standard deviations and, where there are slopes, correlations of its own. A
        tuple of columns makes their combinations the groups. Several kinds of groups may be
        crossed or nested. The prior of a standard deviation is HalfStudentT(4, sd(y)), for slopes
        divided by the sd of the term; of correlations LKJ(2). With a graph, a dict under the name
        of a node is for that node's equation. No `design` sees the columns of groups.
    within : bool, default False
        Whether the means of all columns in each group are regressors too, so that slopes are those
        within groups, whatever the groups differ in besides.
    confounding : dict of str to Prior, optional
        A prior of the bias that unmeasured common causes put on the effect of a column of numbers
        or bools on y, all of its effect, per unit of the column and in units of y. The data say
        nothing of it: its posterior is its prior. ``y | do(column = v)`` of a row is less by the
        bias times ``v`` minus what the row has; what is seen, as in `predict`, is as it was. For
        Gaussian and Student's t outcomes.
    unseen_levels : {"error", "population"}, default "error"
        What to make of a level that no row of `fit` had: an error, or, in a column of `groups`, a
        draw from their population, intercept and slopes alike.
    fit_intercept : bool, default True
        Whether the model has an intercept.
    center_predictors : bool, default True
        Whether the prior of the intercept holds where the predictors are at their means; else it
        holds at zero.
    inference : {"auto", "exact", "nuts", "laplace", "advi", "pathfinder"}, default "auto"
        ``"exact"``: independent draws from the exact posterior, for Gaussian and lognormal
        equations under Normal and Flat priors of the coefficients, with any number of groups and
        of other priors that learn their scale: where there are several, scales are drawn by
        importance sampling, which warns where it fails. ``"nuts"``: NUTS. ``"laplace"``: a
        Gaussian approximation, which warns where it is a poor one. ``"auto"``: exact wherever it
        applies; for other families weighed draws of the posterior, or those of many short chains,
        where they can be trusted; else NUTS. ``idata_`` says which it was. ``design="smooth"`` is
        exact given scales and lengths, or, for Student t, 0 and 1 and counts, ``"laplace"``,
        which does not warn there; ``"auto"`` is either. A `model` of your own takes ``"nuts"``,
        which is its ``"auto"``, ``"laplace"``, ``"advi"`` or ``"pathfinder"``.
    draws, tune, chains : int, default 1000, 1000, 4
        Draws a chain, warm-up iterations a chain (NUTS), and chains.
    random_state : int, RandomState or None, default None
        Source of randomness of `fit`; what a fitted model answers is then deterministic.
    n_jobs : int, optional
        How many chains NUTS runs side by side.
    verbose : bool, default False
        Whether to print on stdout, as scikit-learn does, how far each equation is: a line every
        few seconds, and one when it is done; on a terminal and in a notebook NUTS draws a bar.

    Attributes
    ----------
    idata_ : DataTree
        Posterior draws, as ArviZ takes them; with `confounding`, a group of that name has those of
        the biases.
    coef_ : ndarray of shape (n_terms,)
        Posterior means of the coefficients, a term of the design each, on the scale of the link;
        not there with a `model`.
    intercept_ : float
        Posterior mean of the intercept at zero; 0.0 without an intercept; not with a `model`.
    graph_ : CausalGraph or None
        The graph over columns and outcome, unobserved nodes projected out.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, where X has names.

    See Also
    --------
    interventional.intervene : The same for a whole pipeline.
    interventional.Outcomes : What `intervene` returns.

    Notes
    -----
    The default priors are those of rstanarm and Bambi. The exact posterior is that of Gelman et
    al. (2013), *Bayesian Data Analysis*, section 14.8, with the posterior of sigma inverted
    numerically.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from interventional import BayesianInterventionRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    >>> y = 1.5 * X["a"] + 0.7 * X["b"] + 0.3 * X["c"] + 0.2 * rng.normal(size=100)
    >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
    >>> model.coef_.round(1)
    array([1.5, 0.7, 0.3])
    >>> effect = model.effect(X, do={"b": 1}, baseline={"b": 0}).average()
    >>> effect.mean().round(1), effect.probability(above=0)
    (array([0.7]), array([1.]))
    """

    def predict_outcomes(self, X: Any, *, kind: Kind = "mean") -> Outcomes:
        """Answer what y is, or will be, for rows as they are: `predict` with its posterior.

        Nothing is forced, so that a graph need not identify anything: y is that of its own
        equation, given the rows' columns, as in `predict`, which returns the means of these.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        kind : {"mean", "predictive"}, default "mean"
            E[y | X], whose spread is what is not known of the parameters, or a new outcome, noise
            included.

        Returns
        -------
        Outcomes
            Paired, draw by draw, with what `intervene` answers for the same rows, and of new
            outcomes with their noise; the difference of the two is that of doing and leaving
            alone. Of Dask rows a `DaskOutcomes`.

        See Also
        --------
        predict : Its mean, and the standard deviation of new outcomes.
        sample_y : New outcomes as an array.
        intervene : The same if a column is forced.
        interventional.predict_outcomes : The same for a whole pipeline.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> model.predict_outcomes(X.head(2)).interval(0.9).round(1)
        array([[22.5, 22.7],
               [21. , 21.3]])
        >>> model.predict_outcomes(X.head(2), kind="predictive").interval(0.9).round(0)
        array([[21., 24.],
               [19., 23.]])
        """
        if is_distributed(X):
            self._check_fitted()
            return dask.predict_outcomes(  # type: ignore[return-value]
                self.fitted_, X, kind, self.unseen_levels == "population"
            )
        return questions.predict(*self._units(X), kind)

    def intervene(self, X: Any, do: Mapping[Any, Any], *, kind: Kind = "mean") -> Outcomes:
        """Answer what y will be for such rows if some columns are forced.

        Columns in `do` take the forced value, and `pm.do` cuts what causes them. Columns that the
        graph has between them and y are regenerated from their equations, for each posterior draw:
        what X holds for these is not used. All other columns keep the row's value; without a graph
        those are all. The posterior predictive is drawn from the PyMC graph that results.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do : mapping
            A column to what it is forced to: a number, a level, an array or Series of n values (a
            Series is aligned on X's index), a callable ``f(X) -> column``, which gets X as it was
            given, of polars or pyarrow too, or a frozen `scipy.stats` distribution, drawn for each
            row and posterior draw. All entries act at once and read X as it was before.
        kind : {"mean", "predictive"}, default "mean"
            The expected outcome, or a new outcome, noise included. In an expected outcome the
            noise of regenerated columns is averaged out: in closed form where they enter linear
            equations of numbers only; numerically, far within the posterior's sd, where up to
            three others of numbers are left, beside some levels; else over 50 draws of theirs for
            each posterior draw.

        Returns
        -------
        Outcomes

        Raises
        ------
        NotIdentifiedError
            If the graph does not license an answer; it names the open path.
        ValueError, TypeError
            If `do` names an unknown column or the outcome, is empty, or forces a value that its
            column cannot take.

        Warns
        -----
        ExtrapolationWarning
            If 5% of the rows or more are forced beyond what was seen when the model was fitted:
            out of a column's range, or to what rows with such covariates did not have; or any row
            farther out of the range than the range is wide. `Outcomes.support` says it row by row.
        MisfitWarning
            If an equation between what is forced and y bends where its terms do not: squares of
            its columns, or products with what is forced or follows, explain more of what it leaves
            than chance does. Or if a column that is forced, or follows, has another slope within
            `groups` than between them, and `within` is False: the answer is confounded by what the
            groups differ in.

        See Also
        --------
        effect : The difference from what was observed, or from another intervention.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> outcomes = model.intervene(X, do={"price": 10})
        >>> outcomes
        <Outcomes: E[sales | do(price = 10)], 200 rows, 4000 draws, means 21.02, 18.95, 25.14, …>
        >>> outcomes.average().summary(prob=0.95).round(1)
                 mean   sd  eti95_lb  eti95_ub
        average  20.1  0.1      20.0      20.3
        >>> dearer = model.intervene(X, do={"price": lambda X: 1.05 * X["price"]})
        >>> dearer.average().mean().round(1)
        array([18.9])
        """
        if is_distributed(X):
            return self._asked_of_dask("intervene", X, do, None, kind)
        fitted, units = self._units(X, do)
        return questions.warned(questions.intervene(fitted, units, do, kind))

    def effect(
        self,
        X: Any,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None = None,
        *,
        kind: Kind = "mean",
    ) -> Outcomes:
        """Answer what difference forcing some columns makes, row by row.

        Both sides use the same posterior draw and the same noise.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do : mapping
            As in `intervene`.
        baseline : mapping, optional
            What to compare with, as `do`; by default the same columns, forced to the values at
            which they were observed.
        kind : {"mean", "predictive"}, default "mean"
            As in `intervene`.

        Returns
        -------
        Outcomes
            Draws of the outcome under `do` minus those under `baseline`.

        Warns
        -----
        ExtrapolationWarning
            As in `intervene`, if either side is forced beyond what was seen.
        MisfitWarning
            As in `intervene`.

        See Also
        --------
        intervene : Each side by itself.
        decompose : The parts of it that go through mediators, and not.
        sensitivity : How strong unmeasured confounding must be to change it.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> effect = model.effect(X, do={"price": lambda X: X["price"] - 1})
        >>> effect.average().summary(prob=0.95).round(1)
                 mean   sd  eti95_lb  eti95_ub
        average   2.9  0.1       2.8       3.1
        >>> effect.average().probability(above=2)
        array([1.])
        >>> model.effect(X, do={"price": 10}, baseline={"price": 11}).average().mean().round(1)
        array([2.9])
        """
        if is_distributed(X):
            return self._asked_of_dask("effect", X, do, baseline, kind)
        fitted, units = self._units(X, do, baseline)
        return questions.warned(questions.effect(fitted, units, do, baseline, kind))

    def sensitivity(
        self,
        X: Any,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None = None,
        *,
        benchmarks: Any = None,
        multiples: ArrayLike = (1, 2, 3),
        threshold: float = 0.0,
        prob: float | None = None,
    ) -> "Sensitivity":
        """Answer how strong unmeasured confounding must be to change an average effect.

        For an effect that is one coefficient of a Gaussian outcome's equation: the bias of leaving
        out a confounder, in terms of what it would explain of the forced column and of the outcome
        (Cinelli and Hazlett 2020), for each posterior draw. What it needs of the rows of `fit` is
        kept; X, as in `effect`, says over which rows the effect is averaged.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do, baseline : mapping
            As in `effect`, of one column.
        benchmarks : column or list, optional
            Covariates to compare a confounder with: columns, or lists of columns as one group
            each. A column of levels is a group by itself.
        multiples : float or list of float, default (1, 2, 3)
            How many times as strong as a benchmark.
        threshold : float, default 0.0
            The effect at which the conclusion would be another one.
        prob : float, optional
            The probability that intervals, which are equal-tailed, hold; by default ArviZ's
            ``rcParams["stats.ci_prob"]``.

        Returns
        -------
        Sensitivity
            Its `summary` and `bounds` are tables, `plot` is a picture, and it prints as words.

        Raises
        ------
        ValueError, TypeError
            If the effect is not one coefficient: several columns are forced, mediators are on the
            way, or there is a `design`; if the outcome is not Gaussian; or if a benchmark is no
            regressor of its equation, or too strong for its multiples.

        See Also
        --------
        Outcomes.e_value : The like for ratios of binary outcomes.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> age = rng.normal(size=500)
        >>> dose = 0.3 * age + rng.normal(size=500)
        >>> y = 0.5 * dose + 0.3 * age + rng.normal(size=500)
        >>> X = pd.DataFrame({"dose": dose, "age": age})
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> found = model.sensitivity(
        ...     X, do={"dose": 1}, baseline={"dose": 0}, benchmarks="age", multiples=[1, 2]
        ... )
        >>> found.robustness_value().mean().round(1)
        array([0.4])
        >>> found.bounds()["mean"].round(1).tolist()
        [0.3, 0.2]
        """
        self._refuse_own("sensitivity")
        if is_distributed(X):
            self._check_fitted()
            raise ValueError(
                "sensitivity takes rows in memory; X is a Dask collection. If do and baseline are "
                "the same for all rows, any of them do, such as X.head()"
            )
        facing, units = self._units(X, do, baseline)
        return questions.sensitivity(
            self.fitted_,
            facing,
            units,
            do,
            baseline,
            benchmarks=benchmarks,
            multiples=multiples,
            threshold=threshold,
            prob=prob,
        )

    def counterfactual(self, X: Any, y: ArrayLike, do: Mapping[Any, Any]) -> Outcomes:
        """Answer what y would have been for these very rows, had some columns been forced.

        Abduction: each equation that the intervention reaches leaves a residual for each row and
        posterior draw, given the row's own X and y. Action and prediction: the columns are forced,
        and what follows is computed again with these residuals in place of new noise (Pearl 2009,
        *Causality*, theorem 7.1.7).

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        y : array-like of shape (n,)
            What happened to them.
        do : mapping
            As in `intervene`.

        Returns
        -------
        Outcomes

        Raises
        ------
        NotIdentifiedError
            If the graph does not license an answer, or a node that the intervention reaches shares
            an unobserved cause with another.
        ValueError
            If a node that the intervention reaches is categorical: its noise is not additive, and
            the data cannot tell what it was.

        See Also
        --------
        intervene : The outcome of such rows, whatever their own noise was.

        Examples
        --------
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> first, sold = X.head(1), y.head(1)
        >>> sold.round(1).tolist()
        [22.3]
        >>> model.counterfactual(first, sold, do={"price": 10}).mean().round(1)
        array([20.7])
        >>> model.intervene(first, do={"price": 10}).mean().round(1)  # another such day
        array([21.])
        """
        _refuse_dask("counterfactual", X)
        fitted, units = self._units(X, do)
        target = self._read_outcome(units.values, X, y)
        return questions.warned(questions.counterfactual(fitted, units, target, do))

    def decompose(
        self, X: Any, do: Mapping[Any, Any], baseline: Mapping[Any, Any] | None = None
    ) -> dict[str, Outcomes]:
        """Split an effect into what goes through mediators and what does not.

        The natural direct effect changes the forced columns while mediators are as under the
        baseline; the natural indirect effect changes mediators alone, with the forced columns as
        under `do` (Pearl 2001). They add up to the total, draw by draw: both sides use the same
        posterior draw and the same noise of mediators.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows.
        do, baseline : mapping
            As in `effect`.

        Returns
        -------
        dict of Outcomes
            ``"direct"``, ``"indirect"`` and ``"total"``. Each draw holds one draw of the
            mediators: averages over rows are those of the effect, intervals of single rows hold
            the mediators' noise.

        Raises
        ------
        NotIdentifiedError
            If the graph does not license an answer, or mediators and y share unobserved causes.

        See Also
        --------
        effect : The total.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame({"price": rng.normal(10, 1, size=500)})
        >>> X["traffic"] = 30 - 2 * X["price"] + rng.normal(size=500)
        >>> sales = 5 * X["traffic"] - X["price"] + rng.normal(size=500)
        >>> model = BayesianInterventionRegressor(
        ...     graph="price -> traffic -> sales; price -> sales", outcome="sales", random_state=0
        ... ).fit(X, sales)
        >>> parts = model.decompose(X, do={"price": lambda X: X["price"] + 1})
        >>> {name: part.average().mean().round(0).item() for name, part in parts.items()}
        {'direct': -1.0, 'indirect': -10.0, 'total': -11.0}
        """
        _refuse_dask("decompose", X)
        fitted, units = self._units(X, do, baseline)
        parts = questions.decompose(fitted, units, do, baseline)
        total = parts["total"]
        questions.warn(total, total.estimand.removeprefix("total "))
        return parts

    def refute(
        self,
        X: Any,
        y: ArrayLike,
        do: Mapping[Any, Any],
        baseline: Mapping[Any, Any] | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        n_repeats: int = 20,
        alpha: float = 0.01,
        random_state: int | np.random.RandomState | None = 0,
    ) -> pd.DataFrame:
        """Check what is known beforehand of an average effect, by refits.

        None of the checks can prove an effect, and none sees a confounder that X lacks: each is a
        way to find that something is wrong. Clones with the same parameters are fitted; the
        estimator stays as it is, and need not be fitted.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, columns)
            The rows, as in `fit`. Rows of one person, place or time next to each other.
        y : array-like of shape (n,)
            Their outcomes.
        do, baseline : mapping
            As in `effect`.
        sample_weight : array-like of shape (n,), optional
            As in `fit`. A row of weight 3 becomes three rows.
        n_repeats : int, default 20
            Refits a check; five checks refit, and there is one fit to all rows.
        alpha : float, default 0.01
            How often a check may fail though the model is right.
        random_state : int, RandomState or None, default 0
            Source of randomness; the one of the estimator is not used.

        Returns
        -------
        DataFrame
            A row a check. ``expected``: the average effect there should be, in units of y;
            ``estimate``: the mean of the refits; ``spread``: how far they are off, as a root mean
            square; ``allowed``: how far a right model is; ``p_value``: how often a right model is
            off so far or farther; ``passed``: whether that is at least alpha; ``verdict``: a
            sentence. A check that says nothing here has NaN, NA and the reason. The checks:

            placebo column
                The forced columns permuted, jointly: no effect.
            dummy outcome
                The outcomes permuted, with their exposures: no effect.
            random common cause
                Noise as one more column, and in the graph as one more cause of y: the same effect.
            data subset
                A random 80% of the rows: the same effect.
            consecutive rows
                One of `n_repeats` runs of consecutive rows left out in turn: the same effect. It
                does not apply where a row has a weight above 1: its copies have no order.
            straight lines
                No refit: squares of columns, and products with what is forced, explain nothing of
                what the equations leave. ``estimate`` is the share that they do explain.

        Raises
        ------
        NotIdentifiedError
            If the graph does not license the effect; before any fit.
        ValueError, TypeError
            If something is wrong with the data or a parameter.

        See Also
        --------
        CausalGraph.check : Whether the data bear out the graph.

        Notes
        -----
        The squares of what refits are off, divided by the variances that their posteriors grant,
        are held against a chi-square distribution. On rows left out these variances are the
        posterior's times the share left out (Hausman 1978). Where an equation is Poisson, the
        first two checks hold the mean of the refits against their own spread instead: counts
        without the column that drives them are overdispersed even if the model is right. Means
        and averages over rows are taken inside each draw.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from interventional import BayesianInterventionRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
        >>> y = X["a"] + 2 * X["b"] + rng.normal(size=200)
        >>> model = BayesianInterventionRegressor()
        >>> found = model.refute(X, y, do={"b": 1}, baseline={"b": 0}, n_repeats=5)
        >>> found[["expected", "estimate", "passed"]].round(1)
                             expected  estimate  passed
        check
        placebo column            0.0      -0.1    True
        dummy outcome             0.0      -0.0    True
        random common cause       2.1       2.1    True
        data subset               2.1       2.1    True
        consecutive rows          2.1       2.1    True
        straight lines            0.0       0.0    True
        """
        from interventional.trust import refutation

        _refuse_dask("refute", X)
        self._refuse_own("refute")
        with restored(self):
            self._validate_params()
            table, schema, values, target, weights = self._read_rows(X, y, sample_weight)
            parsed = self._draft(schema, values, name_of(y))
        return refutation.refute(
            self,
            parsed,
            Units(table, values, 0),
            target,
            weights,
            do,
            baseline,
            n_repeats=n_repeats,
            alpha=alpha,
            random_state=random_state,
        )

    def forget_rows(self) -> Self:
        """Forget the rows that `fit` has kept, so that no file of the model holds any.

        Up to 2,000 of them are kept, to test whether equations bend where a question rests on
        them; without them none of these warns that it does. All else stays as it is. Where a graph
        has queries that take regressions of their own, what these are fitted to stays, too.

        Returns
        -------
        self

        See Also
        --------
        MisfitWarning : What is then no longer said.

        Examples
        --------
        >>> import pickle
        >>> from interventional import BayesianInterventionRegressor
        >>> from interventional.datasets import make_sales
        >>> X, y = make_sales(random_state=0)
        >>> model = BayesianInterventionRegressor(random_state=0).fit(X, y)
        >>> before = len(pickle.dumps(model))
        >>> len(pickle.dumps(model.forget_rows())) < before
        True
        """
        self._check_fitted()
        self._accumulated = replace(self._accumulated, kept=None)
        self.fitted_ = replace(self.fitted_, seen=self._accumulated)
        return self

    def _refuse_own(self, method: str) -> None:
        """Refuse what needs to know the terms of the outcome's equation."""
        if self.model is not None:
            raise ValueError(
                f"{method} is about the package's own equations, and model= is yours: give it "
                "another cause, a latent one or a column of noise, and compare"
            )

    def _units(self, X: Any, *dos: Do | None) -> tuple[Fitted, Units]:
        """Return the model that knows all levels in X and of those forced, and the rows."""
        fitted, table = self._facing(X, *dos)
        return fitted, fitted.units(table)

    def _asked_of_dask(
        self,
        question: Literal["intervene", "effect"],
        X: Any,
        do: Do,
        baseline: Do | None,
        kind: Kind,
    ) -> Any:
        """Return what each partition answers; refuse and warn at the call."""
        if "fitted_" not in vars(self):
            self._check_fitted()
        return dask.ask(
            self.fitted_, question, X, do, baseline, kind, self.unseen_levels == "population"
        )


def _refuse_dask(method: str, X: Any) -> None:
    if is_distributed(X):
        raise TypeError(f"{method} takes rows in memory; X is a Dask collection")
