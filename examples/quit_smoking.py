"""What if every smoker had quit, and what if none had?

1,566 American smokers were weighed in 1971 and again in 1982; 403 of them quit in between (NHEFS).
Those who quit are older, have smoked for longer, and more: their weights cannot simply be compared
with the others'. The model leaves those columns as they are and forces one, `qsmk`. Its terms are
those of Hernán and Robins, "Causal Inference: What If", chapter 13.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from causaldata import nhefs_complete
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures

from interventional import BayesianInterventionRegressor, Outcomes

LEVELS = ["sex", "race", "education", "exercise", "active"]
NUMBERS = ["age", "smokeintensity", "smokeyrs", "wt71"]
PUBLISHED, LOW, HIGH = 3.5, 2.6, 4.5  # kg, estimate and 95% interval, from the book


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return the columns, and the change in weight from 1971 to 1982 in kg."""
    people = nhefs_complete.load_pandas().data
    return people[["qsmk", *LEVELS, *NUMBERS]], people["wt82_71"]


def make_model() -> BayesianInterventionRegressor:
    """Return the regression of chapter 13. Its terms follow `qsmk` when `qsmk` is forced."""
    design = make_column_transformer(
        (OneHotEncoder(drop="first"), LEVELS),
        ("passthrough", ["age", "smokeyrs", "wt71"]),
        (FunctionTransformer(np.square, feature_names_out="one-to-one"), NUMBERS),
        # whether one quits, cigarettes a day, and the product of the two
        (PolynomialFeatures(interaction_only=True, include_bias=False), ["qsmk", NUMBERS[1]]),
    )
    return BayesianInterventionRegressor(design=design, random_state=0)


def main(output: Path = Path(__file__).parent / "output") -> None:
    X, y = load()
    model = make_model().fit(X, y)

    everybody = model.intervene(X, do={"qsmk": 1}).average()
    nobody = model.intervene(X, do={"qsmk": 0}).average()
    observed = model.intervene(X, do={"qsmk": X["qsmk"]}).average()
    effect = model.effect(X, do={"qsmk": 1}, baseline={"qsmk": 0}).average()

    print(f"Average weight change of {len(X):,} smokers from 1971 to 1982, in kg\n")
    print(f"{'':30}{'estimate':>9}{'95% interval':>16}{'chance it is > 0':>19}")
    print(row("everybody quits smoking", everybody))
    print(row("nobody quits", nobody))
    print(row(f"as observed: {X['qsmk'].sum():.0f} quit", observed))
    print(row("effect: everybody less nobody", effect))
    print(f"{'  as published':30}{PUBLISHED:>+9.2f}{f'{LOW:.2f} to {HIGH:.2f}':>16}")
    print("\nPublished: Hernán and Robins, Causal Inference: What If, chapter 13.")

    output.mkdir(parents=True, exist_ok=True)
    draw(everybody, nobody, observed, effect).savefig(output / "quit_smoking.png", dpi=150)
    print(f"Picture: {output / 'quit_smoking.png'}")


def row(label: str, outcomes: Outcomes) -> str:
    """Return one line of the table."""
    (mean,), ((low, high),) = outcomes.mean(), outcomes.interval(0.95)
    chance = outcomes.probability(above=0)[0]
    words = f"{chance:.1%}" if chance < 0.9995 else "over 99.9%"
    return f"{label:30}{mean:>+9.2f}{f'{low:.2f} to {high:.2f}':>16}{words:>19}"


def draw(everybody: Outcomes, nobody: Outcomes, observed: Outcomes, effect: Outcomes) -> Figure:
    """Draw the two worlds on the left, and the difference between them on the right."""
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12, wspace=0.06)
    left, right = figure.subplots(1, 2)
    kg = f"{effect.mean()[0]:.1f} kg"
    headline = f"If all smokers had quit, they would weigh {kg} more than if none had"
    figure.suptitle(headline, x=0.02, ha="left", size=15, weight="bold")

    left.set_title("Average weight change, 1971 to 1982", loc="left", pad=12)
    density(left, nobody, "nobody quits", "#B34700")
    density(left, everybody, "everybody quits", "#0072B2")
    bar(left, observed.mean()[0], *observed.interval(0.95)[0], "as observed")
    right.set_title("Effect of quitting on weight", loc="left", pad=12)
    density(right, effect, "this model", "#00795A")
    bar(right, PUBLISHED, LOW, HIGH, "published")
    for ax, top in [(left, 2.1), (right, 1.12)]:
        ax.set(xlim=(0, 7.5), ylim=(-0.22 * top, top), yticks=[])
        ax.set_xlabel("kg (shaded and bar: 95% interval)")
        ax.spines[["left", "right", "top"]].set_visible(False)
    return figure


def density(ax: Axes, outcomes: Outcomes, label: str, color: str) -> None:
    """Draw the posterior density, its central 95% shaded."""
    draws, mean = outcomes.draws.values.ravel(), outcomes.mean()[0]
    kde, (low, high) = gaussian_kde(draws, 0.3), outcomes.interval(0.95)[0]
    x = np.linspace(draws.min(), draws.max(), 400)
    ax.plot(x, kde(x), color=color, lw=2)
    ax.fill_between(x, kde(x), where=(x >= low) & (x <= high), color=color, alpha=0.25, lw=0)
    style = {"color": color, "ha": "center", "weight": "bold", "textcoords": "offset points"}
    ax.annotate(f"{label}\n{mean:+.1f} kg", (mean, kde(x).max()), (0, 6), **style)


def bar(ax: Axes, mean: float, low: float, high: float, label: str) -> None:
    """Draw an estimate and its interval below the densities."""
    style = {"color": "#333333", "transform": ax.get_xaxis_transform()}
    ax.plot([low, high], [0.09, 0.09], lw=2.5, solid_capstyle="butt", **style)
    ax.plot(mean, 0.09, "o", ms=7, **style)
    ax.text(high + 0.15, 0.09, f"{label} {mean:+.1f} kg", va="center", **style)


if __name__ == "__main__":
    main()
