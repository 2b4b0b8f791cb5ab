"""A model, its simulated data, its posterior, and two what-if scenarios, in five steps.

The steps are those of the PyMC example gallery's notebook "Interventional what-if analysis using
the PyMC do-operator": there each is written in PyMC, here each is one call.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pymc_extras.prior import Prior
from scipy.stats import gaussian_kde

from interventional import BayesianInterventionRegressor, Outcomes

TRUTH = {"y_intercept": 0.0, "y_beta": {"a": 1.5, "b": 0.7, "c": 0.3}, "y_sigma": 0.2}
GREEK = {"a": "β of a", "b": "β of b", "c": "β of c"}


def main(output: Path = Path(__file__).parent / "output") -> None:
    # 1. The model: y ~ Normal(intercept + X @ beta, sigma), with priors on its own scale.
    model = BayesianInterventionRegressor(
        priors={
            "beta": Prior("Normal", mu=0, sigma=1),
            "intercept": Prior("Normal", mu=0, sigma=1),
            "sigma": Prior("HalfNormal", sigma=1),
        },
        center_predictors=False,  # the intercept's prior is at a = b = c = 0
        random_state=0,
    )
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 3)), columns=["a", "b", "c"])
    skeleton = model.build_model(X)  # a pm.Model: pm.model_to_graphviz(skeleton) draws it
    print(f"1. The model's variables: {', '.join(skeleton.named_vars)}")

    # 2. Force the parameters to known values, and draw data.
    data = model.simulate(X, TRUTH, random_state=0)
    print(f"2. Simulated {len(data)} rows of {', '.join(data)}")

    # 3 and 4. Condition on the data, and see whether the parameters come back.
    model.fit(data[["a", "b", "c"]], data["y"])
    posterior = model.idata_["posterior"].dataset
    draws = {"intercept": posterior["y_intercept"]}
    draws |= {GREEK[name]: posterior["y_beta"].sel(y_term=name) for name in X}
    draws |= {"sigma": posterior["y_sigma"]}
    truth = [TRUTH["y_intercept"], *TRUTH["y_beta"].values(), TRUTH["y_sigma"]]
    print("3. and 4. Posterior beside the truth\n")
    print(f"{'':12}{'truth':>8}{'mean':>8}{'sd':>8}{'94% interval':>18}")
    for (name, values), true in zip(draws.items(), truth, strict=True):
        low, high = np.quantile(values, [0.03, 0.97])
        numbers = f"{true:8.2f}{values.mean():8.3f}{values.std():8.3f}"
        print(f"{name:12}{numbers}{f'{low:.3f} to {high:.3f}':>18}")

    # 5. What if every b were 0? And what if every b were five times what it was? That is beyond
    # all b that were seen, and an ExtrapolationWarning says so.
    table = data.assign(
        as_observed=model.intervene(X, do={"b": X["b"]}).mean(),
        b_is_zero=model.intervene(X, do={"b": 0}).mean(),
        b_is_5b=model.intervene(X, do={"b": lambda X: 5 * X["b"]}).mean(),
    )
    print("\n5. Expected y in each scenario\n")
    print(table.head().round(2).to_string())

    zero = model.effect(X, do={"b": 0})
    five = model.effect(X, do={"b": lambda X: 5 * X["b"]})
    path = output / "reference_workflow.png"
    output.mkdir(parents=True, exist_ok=True)
    draw(draws, truth, X["b"], [zero, five]).savefig(path, dpi=150)
    print(f"\nPicture: {path}")


def draw(
    draws: dict[str, xr.DataArray], truth: list[float], b: pd.Series, effects: list[Outcomes]
) -> Figure:
    """Draw the parameters' posteriors on the left, what the scenarios change on the right."""
    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.06)
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.15])

    left.suptitle("Parameters: posterior, and true value as a line", x=0.03, ha="left")
    for ax, (name, values), true in zip(left.subplots(5, 1), draws.items(), truth, strict=True):
        x = np.linspace(true - 0.1, true + 0.1, 400)
        ax.fill_between(x, gaussian_kde(values.values.ravel(), 0.3)(x), color="#0072B2", alpha=0.3)
        ax.axvline(true, color="#222222", lw=1.5)
        ax.text(0, 0.55, name, transform=ax.transAxes)
        ax.set(xlim=x[[0, -1]], ylim=(0, None), yticks=[], xticks=[true - 0.1, true, true + 0.1])
        ax.spines[["left", "right", "top"]].set_visible(False)

    right.suptitle("What a scenario changes in y, row by row", x=0.03, ha="left")
    ax = right.subplots()
    scenario(ax, b, effects[0], -0.7, "b becomes 0", "#00795A")
    scenario(ax, b, effects[1], 2.8, "b becomes 5 b", "#B34700")
    ax.set_xlabel("b as observed (bars: 94% interval, lines: truth)")
    ax.set_ylabel("change in expected y")
    ax.spines[["right", "top"]].set_visible(False)
    return figure


def scenario(
    ax: Axes, b: pd.Series, effect: Outcomes, slope: float, label: str, color: str
) -> None:
    """Draw the effect of one scenario on each row against its true value."""
    low, high = effect.interval(0.94).T
    ends = np.array([b.min(), b.max()])
    ax.plot(ends, slope * ends, color="#222222", lw=0.8)
    ax.vlines(b, low, high, color=color, lw=1.5, alpha=0.5)
    ax.plot(b, effect.mean(), "o", color=color, ms=4, mew=0)
    at = (b.max(), slope * b.max())
    ax.annotate(label, at, (10, -4), color=color, textcoords="offset points", weight="bold")


if __name__ == "__main__":
    main()
