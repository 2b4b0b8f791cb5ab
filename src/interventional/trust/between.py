r"""Whether slopes are the same within groups of rows as between them.

Coefficients of groups that are learnt together are taken to have nothing to do with regressors.
Where the groups' levels go with a column, its slope between groups is another one than within, and
what is learnt is a mixture of both, confounded by whatever the groups differ in. Mundlak (1978),
*Econometrica* 46(1), finds it: with the groups' means as regressors more,

.. math:: y = \dots + x' \beta + \bar x_{g}' \delta + b_g + \epsilon,

delta is the slope between less that within. It is estimated by generalised least squares, and
Wald's statistic over the number of means is held against an F distribution whose second degrees of
freedom count groups. Scales are estimated by restricted maximum likelihood with the means in the
equation, as what delta would explain is no variation by chance; but not where those that were
learnt without them, which make the statistic less, settle it already.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import chdtrc, fdtrc

from interventional.answers.support import Gap
from interventional.data.by_level import Cut
from interventional.data.seen import Seen
from interventional.data.seen_by_level import SeenByLevel
from interventional.errors import UndeterminedError
from interventional.inference.components import Marginal
from interventional.inference.correlations import partial
from interventional.inference.levels import Levels
from interventional.inference.modes import likelihood
from interventional.inference.posterior import Posterior
from interventional.inference.varying import Problem
from interventional.numbers import Floats
from interventional.scm.equations import Equation, StructuralModel

_SHARE = 1e-9  # of a term's squares that is rounding
_CLEAR = 0.05  # a column with a greater p-value at the posterior's scales is not looked at again
_ALIKE = 1e-4  # of a mean's size: what others leave of it that is less is nothing
P_VALUE = 1e-3  # a smaller one is told
MATTERS = 0.5  # posterior standard deviations: a bias with which 95% intervals hold 92% of truths
_LEAST = 8.0  # log of the ratio to what is typical below which a scale is none


def compared(
    model: StructuralModel,
    seen: Sequence[Seen | None],
    posteriors: Sequence[Posterior],
    values: Floats | None,
) -> list[Posterior]:
    """Return posteriors with what the slopes of all columns are within and between groups.

    Nothing is said of equations that saw no sums by level: those of other engines, and of other
    families than Gaussian and lognormal ones; nor where groups' means are regressors.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    seen : sequence of SeenByLevel or others
        What each saw.
    posteriors : sequence of Posterior
        The draws of each equation's parameters.
    values : ndarray of shape (n, columns) or None
        Encoded rows.
    """
    found = []
    for equation, own, posterior in zip(model.equations, seen, posteriors, strict=True):
        if isinstance(own, SeenByLevel) and not own.design.means and values is not None:
            gaps = tuple(_of_equation(equation, own, posterior, values[:, equation.columns]))
            found.append(replace(posterior, gaps=gaps))
        else:
            found.append(posterior)
    return found


def told(
    model: StructuralModel,
    posteriors: Sequence[Posterior],
    forced: Collection[str],
    regenerated: Collection[str],
) -> tuple[Gap, ...]:
    """Return the slopes that differ by more than chance, and where that moves what was learnt.

    They are those of columns that an intervention moves.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    posteriors : sequence of Posterior
        What was learnt of each.
    forced, regenerated : collection of str
        The columns that are forced, and those that follow.
    """
    if not any(posterior.gaps for posterior in posteriors):
        return ()
    nodes, columns = (*regenerated, model.outcome), (*forced, *regenerated)
    every = (gap for posterior in posteriors for gap in posterior.gaps)
    differ = (g for g in every if g.p_value < P_VALUE and g.shift > MATTERS)
    return tuple(g for g in differ if g.node in nodes and g.column in columns)


def _of_equation(
    equation: Equation, seen: SeenByLevel, posterior: Posterior, rows: Floats
) -> Iterator[Gap]:
    """Compare the slopes of an equation's columns, one kind of groups after the other."""
    design = seen.design
    sources = design.sources(rows)[: len(design.population)]
    columns = sorted({j for found in sources for j in found})
    kinds = [_Kind.of(seen, k) for k in range(len(design.varying))]
    tested = [
        (kind, j, terms)
        for kind in kinds
        for j in columns
        if (terms := [t for t, found in enumerate(sources) if j in found and kind.both[t]])
    ]
    if not tested:
        return
    known = _Known.of(equation, seen, posterior)
    for kind, j, terms in tested:
        found = known.compared(kind, terms)
        if found is not None:
            named = equation.node, equation.variables[j], design.varying[kind.k].name
            most, within, between, p = found
            draws = posterior.variables[f"{equation.node}_beta"][..., terms]
            learnt = draws.mean(axis=(0, 1))
            yield Gap(
                *named,
                design.population[terms[most]],
                float(within[most]),
                float(between[most]),
                float(learnt[most]),
                _distance(learnt - within, draws.reshape(-1, len(terms)) - learnt),
                p,
            )


@dataclass(frozen=True, eq=False)
class _Kind:
    """The groups of one kind, and the means of the population's terms in them.

    Attributes
    ----------
    k : int
        Which kind.
    size : ndarray of shape (J,)
        The weight of each group.
    means : ndarray of shape (J, terms)
        Less those of all rows.
    both : ndarray of bool, shape (terms,)
        Which terms differ within groups and between them.
    outer : ndarray of bool, shape (terms,)
        Which differ between them alone.
    at : ndarray of int or None
        Where the groups' intercepts are in the border; None for groups that are kept by level.
    """

    k: int
    size: Floats
    means: Floats
    both: Floats
    outer: Floats
    at: NDArray[np.intp] | None

    @classmethod
    def of(cls, seen: SeenByLevel, k: int) -> "_Kind":
        """Return the groups of one kind."""
        design, factors, width = seen.design, seen.factors, len(seen.design.population)
        total = seen.total
        ones, x = total.r[:, 0], total.r[:, 1 : 1 + width]
        if k == seen.main:
            at = None
            size = np.square(factors.r[:, 0, 0])
            means = np.nan_to_num(factors.means()[:, :width] - factors.shift[:width])
        else:
            start, n_groups = design.span(k).start, design.varying[k].shape[1]
            at = seen.border.index(start) + np.arange(n_groups)
            z = total.r[:, 1 + at] + np.outer(ones, factors.shift[at])
            size = z.T @ ones
            means = z.T @ x / size[:, None]
        means = means - size @ means / size.sum()
        squares = np.square(x[1:]).sum(axis=0)
        between = size @ np.square(means)
        varies, inside = between > _SHARE * squares, squares - between > _SHARE * squares
        return cls(k, size, means, varies & inside, varies & ~inside, at)

    def directions(self, terms: list[int], *, intercept: bool) -> tuple[Floats, Floats]:
        """Return the means of terms beside what has one value a group already.

        Returns
        -------
        values : ndarray of shape (J, r)
            Columns that span what the latter leaves of them.
        back : ndarray of shape (terms, r)
            What takes coefficients of these to those of the means.
        """
        root = np.sqrt(self.size)[:, None]
        beside = np.column_stack([np.ones((len(self.size), int(intercept))), self.outer_means])
        basis = np.linalg.qr(_unit(beside * root)[0])[0]
        means, norm = _unit(self.means[:, terms] * root)
        left = means - basis @ (basis.T @ means)
        u, s, vt = np.linalg.svd(left - basis @ (basis.T @ left), full_matrices=False)
        u, s, vt = u[:, s > _ALIKE], s[s > _ALIKE], vt[s > _ALIKE]
        return u / root, vt.T / s / norm[:, None]

    @property
    def outer_means(self) -> Floats:
        """The means of terms that differ between groups alone, (J, terms)."""
        return self.means[:, self.outer]


@dataclass(frozen=True, eq=False)
class _Known:
    """An equation as it is, and scales near their posterior.

    Attributes
    ----------
    problem : Problem
        The equation in units of its priors.
    cut : Cut
        What was seen by level, in the user's units.
    theta : ndarray of shape (d,)
        Posterior means of the logs of scales, and what its correlations are.
    """

    problem: Problem
    cut: Cut
    theta: Floats

    @classmethod
    def of(cls, equation: Equation, seen: SeenByLevel, posterior: Posterior) -> "_Known":
        """Return what is known of an equation."""
        problem = Problem.of(equation, seen)
        assert problem.cut is not None
        theta: list[Floats] = []
        for group, unit in problem.groups:
            if not group.prior.n_groups:
                theta.append(_log_mean(posterior, equation.scale_name(group)))
                continue
            name = equation.group_name(group)
            theta.append(_log_mean(posterior, f"{name}_sd") - np.log(unit))
            if len(unit) > 1:
                corr = posterior.variables[f"{name}_corr"].mean(axis=(0, 1))
                theta.append(partial(np.linalg.cholesky(corr)))
        theta.append(_log_mean(posterior, f"{equation.node}_sigma"))
        return cls(problem, problem.cut, np.concatenate(theta))

    def compared(self, kind: _Kind, terms: list[int]) -> tuple[int, Floats, Floats, float] | None:
        """Return which term's slopes differ most, those of all within, between, and the p-value.

        None where the data do not tell the slopes apart.
        """
        equation, ones = self.problem.equation, int(self.problem.equation.has_intercept)
        values, back = kind.directions(terms, intercept=equation.has_intercept)
        r = values.shape[1]
        df = len(kind.size) - ones - int(kind.outer.sum()) - r
        if not r or df < 1:
            return None
        at = ones + np.asarray(terms)
        try:
            marginal = self._with(kind, values, at)
        except UndeterminedError:
            return None
        mean, root = _least_squares(marginal, self.theta, r + len(terms))
        statistic = _wald(mean[-r:], root[:, -r:])
        if chdtrc(r, statistic) < _CLEAR and fdtrc(r, df, statistic / r) > P_VALUE:
            mean, root = _least_squares(marginal, _restricted(marginal, self.theta), len(mean))
            statistic = _wald(mean[-r:], root[:, -r:])
        p_value = float(fdtrc(r, df, statistic / r))
        within = mean[:-r] + self.problem.m[at]
        gap, spread = back @ mean[-r:], np.linalg.norm(root[:, -r:] @ back.T, axis=0)
        most = int(np.argmax(np.abs(gap) / spread))
        return most, within, within + gap, p_value

    def _with(self, kind: _Kind, values: Floats, at: NDArray[np.intp]) -> Marginal:
        """Return the model with columns more, whose coefficients are flat.

        They are the terms once more, so that no prior pulls their slopes within groups, and then
        columns that have one value a group.
        """
        model, cut = self.problem.components, self.cut
        assert model.levels is not None
        if kind.at is None:  # a multiple of the column of ones in each level
            means = cut.own[:, :, :1] * values[:, None]
            rest = np.zeros((len(cut.rows), values.shape[1]))
        else:
            of_groups = kind.at + int(self.problem.equation.has_intercept)
            means, rest = cut.border[:, :, of_groups] @ values, cut.rows[:, of_groups] @ values
        border = np.concatenate([model.levels.border, cut.border[:, :, at], means], axis=2)
        flat = np.concatenate([model.flat, np.ones(border.shape[2] - len(model.flat), dtype=bool)])
        return Marginal.of(
            replace(
                model,
                rows=np.concatenate([model.rows, cut.rows[:, at], rest], axis=1),
                flat=flat,
                levels=Levels(model.levels.own, border, model.levels.target),
            )
        )


def _distance(gap: Floats, centred: Floats) -> float:
    """Return how far off some contrast of coefficients is in its standard deviations, at most.

    `centred` are draws of them less their mean, (draws, coefficients).
    """
    factor = np.linalg.qr(centred, mode="r") / np.sqrt(len(centred))
    return float(np.linalg.norm(np.linalg.lstsq(factor.T, gap, rcond=None)[0]))


def _unit(columns: Floats) -> tuple[Floats, Floats]:
    """Return columns of length 1, and their lengths."""
    size = np.linalg.norm(columns, axis=0)
    return columns / size, size


def _log_mean(posterior: Posterior, name: str) -> Floats:
    """Return the posterior mean of the logs of scales."""
    return np.atleast_1d(np.log(posterior.variables[name]).mean(axis=(0, 1)))


def _least_squares(marginal: Marginal, theta: Floats, last: int) -> tuple[Floats, Floats]:
    """Return the last coefficients given scales, (last,), and a root of their covariance.

    The covariance is root' root.
    """
    given, flat = marginal.given(theta[None]), marginal.model.flat
    upper = given.upper[0, :-1, :-1]
    inverse = solve_triangular(upper, np.eye(len(upper)))
    phi = np.concatenate([(inverse @ given.upper[0, :-1, -1])[None], given.sigma * inverse.T])
    found = marginal.scaled(given, phi[None])[0]
    found[0] += marginal.shift
    own = solve_triangular(marginal.flat_root, found[:, flat].T).T - found @ marginal.swept.T
    own[0] += marginal.flat_shift
    return own[0, -last:], own[1:, -last:]


def _wald(mean: Floats, root: Floats) -> float:
    """Return Wald's statistic."""
    upper = np.linalg.qr(root, mode="r")
    return float(np.square(solve_triangular(upper, mean, trans=1)).sum())


def _restricted(marginal: Marginal, theta: Floats) -> Floats:
    """Return scales of the highest restricted likelihood, searched for from others."""
    low, high = np.full(len(theta), -3.0), np.full(len(theta), 3.0)
    at = [k for k, _ in marginal.model.coordinates]
    low[at] = np.minimum(marginal.log_typical - _LEAST, theta[at])
    high[at] = np.maximum(marginal.log_typical + 2.0, theta[at])

    def down(at: Floats) -> tuple[float, Floats]:
        value, slope = likelihood(marginal, at[None])
        return -float(value[0]), -slope[0]

    bounds = list(zip(low, high, strict=True))
    start = np.clip(theta, low, high)
    options = {"ftol": 1e-3 / max(abs(down(start)[0]), 1.0)}  # of a log likelihood
    return np.asarray(minimize(down, start, jac=True, bounds=bounds, options=options).x)
