"""Cross-validated R² on real data: `python -m benchmarks.accuracy_regression`.

Seeing only, no effects: 5 folds, the same for all. Every data set comes with a package that the
tests need anyway.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.accuracy import rounded, save, saved
from benchmarks.accuracy_contestants import gaussian_process

FOLDS = 5
MOST = 4_000  # rows
FEW = 1_000  # rows that the process learns its hyperparameters from
Table = tuple[pd.DataFrame, np.ndarray]
RATIOS = ("LOWINC", "PERASIAN", "PERBLACK", "PERHISP", "PERMINTE", "AVYRSEXP")
SCHOOLS = (*RATIOS, "AVSALK", "PERSPENK", "PTRATIO", "PCTAF", "PCTCHRT", "PCTYRRND")


def diabetes() -> Table:
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True, as_frame=True, scaled=False)


def schools() -> Table:
    """Return the share of pupils above the median in mathematics, by district of California."""
    from statsmodels.datasets import star98

    data = star98.load_pandas().data
    return data[list(SCHOOLS)], (data["NABOVE"] / (data["NABOVE"] + data["NBELOW"])).to_numpy()


def countries() -> Table:
    """Return life expectancy; who the country is stays unknown."""
    from causaldata import gapminder

    data = gapminder.load_pandas().data
    logs = {"log_pop": np.log(data["pop"]), "log_gdp": np.log(data["gdpPercap"])}
    X = data[["continent", "year"]].astype({"continent": object}).assign(**logs)
    return X, data["lifeExp"].to_numpy()


def earnings() -> Table:
    """Return earnings of 1978, by those of two years before and who earned them."""
    from causaldata import cps_mixtape

    data = cps_mixtape.load_pandas().data.sample(MOST, random_state=0).reset_index(drop=True)
    names = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    return data[names].astype(float), data["re78"].to_numpy()


DATA: dict[str, tuple[Callable[[], Table], str]] = {
    "diabetes": (diabetes, "disease progression (scikit-learn)"),
    "schools": (schools, "pupils above the median, by district of California (statsmodels)"),
    "countries": (
        countries,
        "life expectancy by continent, year, log of people, of GDP (causaldata)",
    ),
    "earnings": (earnings, "earnings in 1978, by those in 1974 and 1975 (causaldata)"),
}


# --- Who predicts --------------------------------------------------------------------------------


def ours(**settings: Any) -> Callable[[], Any]:
    def made() -> Any:
        from interventional import BayesianInterventionRegressor

        return BayesianInterventionRegressor(random_state=0, **settings)

    return made


def encoded(numbers_to: Any, model: Any) -> Any:
    """Return a pipeline of levels one-hot, numbers transformed, and a model."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    texts = make_column_selector(dtype_include=object)
    numbers = make_column_selector(dtype_include=np.number)
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(sparse_output=False), texts), (numbers_to, numbers)
        ),
        model,
    )


def ridge() -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    return encoded(StandardScaler(), RidgeCV(np.logspace(-3, 3, 25)))


def boosting() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return encoded("passthrough", HistGradientBoostingRegressor(random_state=0))


def process() -> Any:
    from sklearn.preprocessing import StandardScaler

    return encoded(StandardScaler(), subset_process())


def subset_process() -> Any:
    """Return a Gaussian process that learns its hyperparameters from some of many rows."""
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.gaussian_process import GaussianProcessRegressor

    class Process(RegressorMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Any:
            chosen = np.random.default_rng(0).permutation(len(y))[:FEW]
            found = gaussian_process(X.shape[1], 0).fit(X[chosen], y[chosen])
            self.model_ = GaussianProcessRegressor(
                found.kernel_, optimizer=None, normalize_y=True
            ).fit(X, y)
            return self

        def predict(self, X: Any) -> Any:
            return self.model_.predict(X)

    return Process()


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "line": (ours(), "line"),
    "smooth": (ours(design="smooth"), "smooth"),
    "ridge": (ridge, "RidgeCV"),
    "boosting": (boosting, "boosting"),
    "process": (process, "Gaussian process"),
}


# --- The program ---------------------------------------------------------------------------------


def scored(make: Callable[[], Any], table: Table) -> dict[str, Any]:
    """Return R² in each fold, and the seconds of all folds together."""
    from sklearn.model_selection import KFold, cross_val_score

    X, y = table
    start, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folds = KFold(FOLDS, shuffle=True, random_state=0)
        scores = cross_val_score(make(), X, np.asarray(y), cv=folds, error_score="raise")
    passed = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    return {"r2": rounded(scores.tolist())} | {
        key: rounded(value) for key, value in passed.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--contestants", nargs="*", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    for name in arguments.only:
        table = DATA[name][0]()
        for contestant in arguments.contestants:
            found = scored(MODELS[contestant][0], table)
            print(
                f"{name:10} {contestant:10} R² {np.mean(found['r2']):.4f}",
                found["cpu"],
                flush=True,
            )
            record = saved()
            known = record.setdefault("regression", {})
            entry = known.setdefault(name, {"scores": {}})
            entry |= {"rows": table[0].shape[0], "columns": table[0].shape[1]}
            entry["scores"][contestant] = found
            record["regression versions"] = {
                each: version(each) for each in ("interventional", "scikit-learn", "numpy")
            }
            save(record)


if __name__ == "__main__":
    main()
