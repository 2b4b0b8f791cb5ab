"""Write the pickle that later versions must still load; run once a version, never again."""

import pickle
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from interventional import BayesianInterventionRegressor

rng = np.random.default_rng(0)
X = pd.DataFrame({"age": rng.normal(50, 10, 30), "city": rng.choice(["bern", "oslo"], 30)})
y = 0.1 * X["age"] + 2.0 * (X["city"] == "oslo") + rng.normal(size=30)
model = BayesianInterventionRegressor(random_state=0, draws=50, chains=2).fit(X, y)
mean, std = model.predict(X, return_std=True)
saved = {
    "model": model,
    "X": X,
    "mean": mean,
    "std": std,
    "oslo": model.intervene(X, do={"city": "oslo"}).mean(),
}
path = Path(__file__).parent / "fixtures" / f"model-{version('interventional')}.pkl"
path.parent.mkdir(exist_ok=True)
path.write_bytes(pickle.dumps(saved, protocol=5))
