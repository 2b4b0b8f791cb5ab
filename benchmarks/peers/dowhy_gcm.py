"""dowhy.gcm with linear mechanisms, and an interval by the bootstrap."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import Data

TITLE = "dowhy.gcm"
REQUIREMENTS = ["dowhy==0.14"]
PACKAGES = ("dowhy", "networkx", "scikit-learn", "pandas", "numpy")
LARGEST = {"answer": 4e4}
REMARKS = {
    "bootstrap": "100 bootstrap refits of least squares: its interval is no posterior's",
}
RESAMPLES = 100


def answer(data: Data) -> Any:
    def run() -> Any:
        import networkx as nx
        import pandas as pd
        from dowhy import gcm

        gcm.config.disable_progress_bars()
        table = pd.DataFrame(data.X, columns=data.names).assign(y=data.y)
        model = gcm.InvertibleStructuralCausalModel(
            nx.DiGraph([(name, "y") for name in data.names])
        )
        for name in data.names:
            model.set_causal_mechanism(name, gcm.EmpiricalDistribution())
        linear = gcm.AdditiveNoiseModel(gcm.ml.create_linear_regressor())
        model.set_causal_mechanism("y", linear)
        forced = data.names[data.forced]
        estimate = gcm.fit_and_compute(
            gcm.average_causal_effect,
            model,
            table,
            target_node="y",
            interventions_alternative={forced: lambda x: 1.0},
            interventions_reference={forced: lambda x: 0.0},
            num_samples_to_draw=len(table),
        )
        return gcm.confidence_intervals(
            estimate, confidence_level=0.9, num_bootstrap_resamples=RESAMPLES, n_jobs=1
        )

    def read(result: Any) -> answers.Answer:
        mean, interval = (np.asarray(part, dtype=float).ravel() for part in result)
        return answers.point(mean, (interval[1] - interval[0]) / (2 * 1.645))

    return run, read


TASKS: dict[tuple[str, str], Callable[[Data], Any]] = {("answer", "bootstrap"): answer}
