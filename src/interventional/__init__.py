"""Bayesian regression that answers "what if?": a scikit-learn regressor with a do-operator.

`BayesianInterventionRegressor` is a scikit-learn regressor whose model is a Bayesian structural
causal model in PyMC. `Outcomes` is what it answers when a column is forced, `intervene` asks whole
pipelines, `InterventionDisplay` draws the answers. `CausalGraph` says what causes what.
"""

from interventional.display import InterventionDisplay
from interventional.exceptions import NotIdentifiedError
from interventional.graph import CausalGraph
from interventional.outcomes import Outcomes
from interventional.pipeline import intervene
from interventional.regressor import BayesianInterventionRegressor

__version__ = "0.1.0"

__all__ = [
    "BayesianInterventionRegressor",
    "CausalGraph",
    "InterventionDisplay",
    "NotIdentifiedError",
    "Outcomes",
    "intervene",
]
