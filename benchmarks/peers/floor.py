"""NumPy and scikit-learn's linear models: the floor that arithmetic alone costs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import CHAINS, DRAWS, Data

TITLE = "floor"
REQUIREMENTS = None
PACKAGES = ("numpy", "scikit-learn", "statsmodels")
# More needs the memory of several copies.
LARGEST = {"fit": 1e8, "intervene": 1e6}
_POINT = "a point estimate without priors"
REMARKS = {
    "LinearRegression": f"least squares: {_POINT} or uncertainty",
    "BayesianRidge": "empirical Bayes: one prior scale for all coefficients, taken from the data",
    "numpy.linalg.lstsq": f"least squares: {_POINT} or uncertainty",
    "statsmodels GLM": f"maximum likelihood: {_POINT}",
    "NumPy product": "draws of the coefficients about least squares; the product and sums only",
    "OLS by hand": "least squares: a point estimate with standard errors",
    "NumPy, rows made only": "no fit at all: what it takes to make the rows",
}
_BLOCK = 1000


def lstsq(data: Data) -> Any:
    ones = np.column_stack([data.X, np.ones(len(data.y))])
    return (
        lambda: np.linalg.lstsq(ones, data.y, rcond=None)[0],
        lambda found: answers.point(found[:-1], _ols_errors(data)),
    )


def scikit_learn(name: str) -> Callable[[Data], Any]:
    def task(data: Data) -> Any:
        return (
            lambda: estimator(name).fit(data.X, data.y),
            lambda model: answers.point(model.coef_, _ols_errors(data)),
        )

    return task


def likelihood(family: str) -> Callable[[Data], Any]:
    """Fit a generalised linear model by maximum likelihood."""

    def task(data: Data) -> Any:
        import statsmodels.api as sm

        ones = sm.add_constant(data.X)
        kind = {"bernoulli": sm.families.Binomial, "poisson": sm.families.Poisson}[family]
        return (
            lambda: sm.GLM(data.y, ones, family=kind()).fit(),
            lambda found: answers.point(found.params[1:], found.bse[1:]),
        )

    return task


def cross_validation(name: str) -> Callable[[Data], Any]:
    def task(data: Data) -> Any:
        from sklearn.model_selection import KFold, cross_val_score

        cv = KFold(data.options["folds"])
        return (
            lambda: cross_val_score(estimator(name), data.X, data.y, cv=cv, scoring="r2"),
            _scores,
        )

    return task


def grid_search(name: str) -> Callable[[Data], Any]:
    def task(data: Data) -> Any:
        return (
            lambda: search(estimator(name)).fit(data.X, data.y),
            lambda found: _scores(found.cv_results_["mean_test_score"]),
        )

    return task


def search(model: Any) -> Any:
    """Return a search over 10 settings in 5 folds."""
    from sklearn.feature_selection import SelectKBest, f_regression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(SelectKBest(f_regression), model)
    grid = {"selectkbest__k": range(1, 11)}
    return GridSearchCV(pipeline, grid, cv=5, scoring="r2", refit=False)


def estimator(name: str) -> Any:
    from sklearn import linear_model

    return getattr(linear_model, name)()


def product(data: Data) -> Any:
    """Average rows x draws by the plain product, a block of rows at a time."""
    ones = np.column_stack([data.X, np.ones(len(data.y))])
    beta, covariance = _ols(ones, data.y)
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal(beta, covariance, size=CHAINS * DRAWS)
    asked = data.asked.copy()
    asked[:, data.forced] = 0.0
    coefficients, intercepts = np.ascontiguousarray(draws[:, :-1].T), draws[:, -1]

    def run() -> Any:
        total = np.zeros(len(draws))
        for start in range(0, len(asked), _BLOCK):
            total += (asked[start : start + _BLOCK] @ coefficients).sum(axis=0)
        averages = total / len(asked) + intercepts
        return averages, averages.mean(), np.quantile(averages, [0.05, 0.95])

    return run, lambda result: answers.from_draws(result[0].reshape(CHAINS, DRAWS))


def ols_answer(data: Data) -> Any:
    """The effect of one column is its coefficient; normal theory gives the interval."""

    def run() -> Any:
        from scipy import stats

        beta, covariance = _ols(np.column_stack([data.X, np.ones(len(data.y))]), data.y)
        error = np.sqrt(covariance[data.forced, data.forced])
        return beta[data.forced], error, stats.norm.interval(0.9, beta[data.forced], error)

    return run, lambda result: answers.point(result[0], result[1])


def rows_made(data: Data) -> Any:
    from benchmarks.peers.interventional import blocks

    p = data.options["columns"]

    def run() -> None:
        for _ in blocks(data.options["rows"], p):
            pass

    return run, lambda _: answers.point(np.arange(1.0, p + 1), 1.0)


def _ols(X: Any, y: Any) -> tuple[Any, Any]:
    beta, *_ = np.linalg.lstsq(X, y, rcond=None)
    variance = np.square(y - X @ beta).sum() / max(len(y) - X.shape[1], 1)
    return beta, variance * np.linalg.pinv(X.T @ X)


def _ols_errors(data: Data) -> Any:
    X = data.X - data.X.mean(axis=0)
    y = data.y - data.y.mean()
    _, covariance = _ols(X, y)
    return np.sqrt(np.diagonal(covariance))


def _scores(scores: Any) -> answers.Answer:
    """Other priors move the R² of a fold by a per cent or so."""
    return answers.point(scores, 0.02)


def ridge(data: Data) -> Any:
    """The best single penalty for known."""
    return (
        lambda: estimator("BayesianRidge").fit(data.X, data.y),
        lambda model: answers.point(model.coef_, np.sqrt(np.diagonal(model.sigma_))),
    )


TASKS: dict[tuple[str, str], Callable[[Data], Any]] = {
    **{("fit", name): scikit_learn(name) for name in ("LinearRegression", "BayesianRidge")},
    ("fit", "numpy.linalg.lstsq"): lstsq,
    ("ridge", "BayesianRidge"): ridge,
    **{
        (f"fit_{family}", "statsmodels GLM"): likelihood(family)
        for family in ("bernoulli", "poisson")
    },
    **{
        ("cross_validation", name): cross_validation(name)
        for name in ("LinearRegression", "BayesianRidge")
    },
    **{("grid_search", name): grid_search(name) for name in ("LinearRegression", "BayesianRidge")},
    ("average", "NumPy product"): product,
    ("answer", "OLS by hand"): ols_answer,
    ("stream", "NumPy, rows made only"): rows_made,
}
