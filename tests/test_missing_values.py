"""NaN is refused, and nobody is told to fill in a confounder."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from interventional import BayesianInterventionRegressor, intervene

ROOT = Path(__file__).parents[1]
ADVICE = r"column '{}', row {}\. Drop such rows, if X and not y tells which values are missing"


def confounded(seed=4, n=800):
    """t and y share the cause c, of which 40% is missing by chance; t changes y by 2."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=n)
    t = 0.8 * c + rng.normal(size=n)
    y = 2 * t + 1.5 * c + rng.normal(size=n)
    return pd.DataFrame({"t": t, "c": np.where(rng.random(n) < 0.4, np.nan, c)}), y


def effect(model, rows):
    """The average effect of half a unit more."""
    more = intervene(model, rows, do={"t": lambda X: X["t"] + 0.5})
    same = intervene(model, rows, do={"t": lambda X: X["t"]})
    return (more - same).average()


@pytest.mark.parametrize("seed", [4, 5])
def test_what_the_message_says_is_right_and_what_it_warns_of_is_wrong(seed):
    X, y = confounded(seed)
    row = int(np.argmax(X["c"].isna()))
    with pytest.raises(ValueError, match=ADVICE.format("c", row)):
        BayesianInterventionRegressor().fit(X, y)
    kept = X.notna().all(axis=1).to_numpy()
    found = effect(BayesianInterventionRegressor(random_state=0).fit(X[kept], y[kept]), X[kept])
    assert abs(found.mean()[0] - 1.0) < 4.5 * found.std()[0]
    fill = SimpleImputer().set_output(transform="pandas")
    filled = make_pipeline(fill, BayesianInterventionRegressor(random_state=0)).fit(X, y)
    found = effect(filled, X)
    assert found.mean()[0] - 1.0 > 7 * found.std()[0]


@pytest.mark.parametrize("kind", ["frame", "array", "objects"])
def test_every_container_and_call(kind):
    X, y = confounded(n=40)
    whole = X.fillna(0.0)
    X.loc[:, "c"] = whole["c"]
    X.loc[7, "c"] = np.nan

    def held(X):
        return {"frame": X, "array": X.to_numpy(), "objects": X.to_numpy().astype(object)}[kind]

    name = "c" if kind == "frame" else "x1"
    model = BayesianInterventionRegressor(draws=20, random_state=0).fit(held(whole), y)
    for call in (
        lambda: model.fit(held(X), y),
        lambda: model.predict(held(X)),
        lambda: model.intervene(held(X), {"t" if kind == "frame" else 0: 1.0}),
    ):
        with pytest.raises(ValueError, match=ADVICE.format(name, 7)) as caught:
            call()
        assert "impute" not in str(caught.value)
    X.loc[7, "c"] = np.inf
    with pytest.raises(ValueError, match=r"contains infinity: .*row 7\. Drop such rows$"):
        model.predict(held(X))


@pytest.mark.parametrize(
    "path",
    [
        *sorted((ROOT / "src").rglob("*.py")),
        *sorted((ROOT / "docs").rglob("*.md")),
        ROOT / "README.md",
    ],
    ids=lambda path: path.name,
)
def test_nobody_advises_to_impute(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"\b(or|and|then|please|first) impute|impute (them|it|such|missing)", text
    )
