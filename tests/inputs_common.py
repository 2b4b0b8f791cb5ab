"""What the table of odd inputs is made of: records, and the models that are asked.

A case is one odd input at one place. It holds what is called with it, once for each method that
takes it there, and what must come out: the same as for its plain equivalent, or an error that
names the culprit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interventional import BayesianInterventionRegressor

N = 20
A = np.random.default_rng(4).normal(size=(N, 2))
Y = A @ [1.0, -2.0] + 0.1 * np.random.default_rng(5).normal(size=N)
POSITIONS = np.arange(N)
LETTERS = np.array(["a", "b"] * 10)


def frame(**columns):
    """Two columns of numbers, some replaced."""
    return pd.DataFrame(A, columns=["price", "traffic"]).assign(**columns)


def named(*names):
    """The same two columns under other names."""
    return pd.DataFrame(A, columns=pd.Index(list(names), tupleize_cols=False))


def regressor(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 20, "chains": 2, "random_state": 0, **parameters}
    )


def state(estimator):
    """What an estimator holds, by identity."""
    return {name: id(value) for name, value in vars(estimator).items()}


class Bench:
    """Models to ask, and estimators to fit: new ones, or such as hold a posterior already."""

    def __init__(self, fitted=False):
        self.fitted = fitted

    @cached_property
    def model(self):
        return regressor().fit(frame(), Y)

    @cached_property
    def array(self):
        return regressor().fit(A, Y)

    @cached_property
    def levels(self):
        return regressor().fit(frame(price=LETTERS), Y)

    @cached_property
    def bools(self):
        return regressor().fit(frame(price=[True, False] * 10), Y)

    @cached_property
    def pipe(self):
        return make_pipeline(StandardScaler(), regressor()).fit(frame(), Y)

    @cached_property
    def chain(self):
        return regressor(graph="price -> traffic -> y").fit(frame(), Y)

    @cached_property
    def outcomes(self):
        return self.model.intervene(frame(), {"price": 0})

    def models(self):
        """All that exist so far."""
        return [m for m in vars(self).values() if isinstance(m, BayesianInterventionRegressor)]

    def fit(self, X, y=Y, weights=None, method="fit", **parameters):
        """Fit, and leave the estimator as it was if that fails."""
        estimator = regressor()
        if self.fitted and method == "fit":
            estimator.fit(frame(), Y)
        estimator.set_params(**parameters)
        before = state(estimator)
        try:
            getattr(estimator, method)(X, y, *([] if weights is None else [weights]))
        except Exception:
            assert state(estimator) == before
            raise
        return estimator

    def answers(self, X, y=Y, weights=None, **parameters):
        """Fit, and ask three questions."""
        model = self.fit(X, y, weights, **parameters)
        column = 1
        if hasattr(X, "columns"):  # of a frame
            column = getattr(X, "column_names", list(X.columns))[1]
        forced = model.intervene(X, {column: 0.5})
        moved = model.effect(X, {column: 0.5}, kind="predictive")
        std = model.predict(X, return_std=True)
        return np.concatenate([*std, forced.mean(), forced.interval().ravel(), moved.std()])

    def batch(self, X, y=Y, weights=None, **parameters):
        return self.fit(X, y, weights, method="partial_fit", **parameters).predict(X)

    def build(self, X, y=Y, weights=None, **parameters):
        regressor(**parameters).build_model(X, y)


@dataclass(frozen=True)
class Case:
    """One odd input at one place.

    Attributes
    ----------
    where, what : str
        The place, and the input.
    calls : list of callable
        What is done with it, from a `Bench`: all must answer, or all must refuse.
    same : callable, optional
        The plain equivalent of the first call.
    error, message
        What is raised, and what its message says.
    warns : str
        What a warning says, where scikit-learn gives one.
    """

    where: str
    what: str
    calls: list[Callable[[Bench], Any]] = field(repr=False)
    same: Callable[[Bench], Any] | None = field(default=None, repr=False)
    error: Any = None
    message: str = ""
    warns: str = ""

    def __str__(self):
        return f"{self.where}: {self.what}"


def right(where: str, table: Mapping[str, Any], *asks: Callable[..., Any]) -> list[Case]:
    """Cases that are answered as their plain equivalents: (arguments, plain arguments)."""
    return [
        Case(
            where,
            what,
            [lambda b, ask=ask, given=given: ask(b, *given) for ask in asks],
            lambda b, plain=plain: asks[0](b, *plain),
        )
        for what, (given, plain) in table.items()
    ]


def wrong(where: str, table: Mapping[str, Any], *asks: Callable[..., Any]) -> list[Case]:
    """Cases that are refused: (arguments, error, what the message says)."""
    return [
        Case(
            where,
            what,
            [lambda b, ask=ask, given=given: ask(b, *given) for ask in asks],
            error=error,
            message=message,
        )
        for what, (given, error, message) in table.items()
    ]
