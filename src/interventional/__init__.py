"""Bayesian regression that answers "what if?": a scikit-learn regressor with a do-operator.

`BayesianInterventionRegressor` is a scikit-learn regressor whose model is a Bayesian structural
causal model in PyMC. `Outcomes` is what it answers when a column is forced, `intervene` asks whole
pipelines, `InterventionDisplay` draws the answers. `CausalGraph` says what causes what.
"""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interventional.answers.outcomes import Outcomes
    from interventional.display import InterventionDisplay
    from interventional.errors import (
        ExtrapolationWarning,
        MisfitWarning,
        NoMeanWarning,
        NotIdentifiedError,
    )
    from interventional.graph.causal_graph import CausalGraph
    from interventional.pipeline import intervene
    from interventional.regressor import BayesianInterventionRegressor

__version__ = "0.1.0"

__all__ = [
    "BayesianInterventionRegressor",
    "CausalGraph",
    "ExtrapolationWarning",
    "InterventionDisplay",
    "MisfitWarning",
    "NoMeanWarning",
    "NotIdentifiedError",
    "Outcomes",
    "intervene",
]

# What these say of their own imports, which are ours, is nobody's business who logs at INFO.
for _library in ("pytensor", "arviz"):
    if logging.getLogger(_library).level == logging.NOTSET:
        logging.getLogger(_library).setLevel(logging.WARNING)

# What is imported when it is first asked for: many programs need no graph, and no picture.
_ELSEWHERE = {
    "BayesianInterventionRegressor": "regressor",
    "CausalGraph": "graph.causal_graph",
    "ExtrapolationWarning": "errors",
    "InterventionDisplay": "display",
    "MisfitWarning": "errors",
    "NoMeanWarning": "errors",
    "NotIdentifiedError": "errors",
    "Outcomes": "answers.outcomes",
    "intervene": "pipeline",
}


def __getattr__(name: str) -> Any:
    """Import a public name that is not there yet."""
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ELSEWHERE})
