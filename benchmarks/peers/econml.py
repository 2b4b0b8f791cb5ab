"""EconML's LinearDML: double machine learning, with its defaults and with linear first stages."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import Data

TITLE = "EconML"
REQUIREMENTS = ["econml==0.17.0"]
PACKAGES = ("econml", "scikit-learn", "pandas", "numpy")
LARGEST = {"answer": 1e7}
_DML = "a point estimate of one effect with a standard error, cross-fitted"
REMARKS = {
    "LinearDML, linear stages": f"{_DML}; first stages LinearRegression",
    "LinearDML, defaults": f"{_DML}; first stages chosen among lassos and forests",
}


def answer(linear: bool) -> Callable[[Data], Any]:
    def task(data: Data) -> Any:
        others = [j for j in range(data.X.shape[1]) if j != data.forced]
        if not linear and len(data.y) > 5_000:
            raise answers.UnavailableError("its forests take minutes")

        def run() -> Any:
            from econml.dml import LinearDML
            from sklearn.linear_model import LinearRegression

            stages = {}
            if linear:
                stages = {"model_y": LinearRegression(), "model_t": LinearRegression()}
            model = LinearDML(random_state=0, **stages)
            model.fit(data.y, data.X[:, data.forced], X=None, W=data.X[:, others])
            found = model.ate_inference(T0=0, T1=1)
            return found.mean_point, found.stderr_mean, found.conf_int_mean(alpha=0.1)

        return run, lambda result: answers.point(np.ravel(result[0]), np.ravel(result[1]))

    return task


TASKS: dict[tuple[str, str], Callable[[Data], Any]] = {
    ("answer", "LinearDML, linear stages"): answer(linear=True),
    ("answer", "LinearDML, defaults"): answer(linear=False),
}
