"""Does quitting smoking raise blood pressure, and does it do so through the weight that is gained?

American smokers were examined in 1971 and again in 1982 (NHEFS); about a quarter of them quit in
between. Those who quit gained weight, and weight raises blood pressure. The graph says so:

    common causes -> qsmk, wt82_71, sbp        qsmk -> wt82_71 -> sbp        qsmk -> sbp

What it assumes, in words: among people alike in sex, race, education, exercise, activity, age,
smoking, weight, height and known high blood pressure in 1971, (1) nothing else makes people both
quit and gain weight, or quit and have higher pressure, (2) nothing else makes people both gain
weight and have higher pressure, and (3) pressure in 1982 is no cause of quitting or of weight.
Those who died before 1982 were not measured. The equations are straight lines, without
interactions, so that holding weight where it was leaves just the part that is not through weight.
The data cannot show that any of this holds. The last lines of the output say what is left if (2)
is given up.
"""

from pathlib import Path
from textwrap import fill

import pandas as pd
from causaldata import nhefs_complete
from matplotlib.figure import Figure

from interventional import (
    BayesianInterventionRegressor,
    InterventionDisplay,
    NotIdentifiedError,
    Outcomes,
)

LEVELS = ["sex", "race", "education", "exercise", "active", "hbp"]
NUMBERS = ["age", "smokeintensity", "smokeyrs", "wt71", "ht"]
COMMON = [*LEVELS, *NUMBERS]  # all of 1971
GRAPH = [
    ("qsmk", "wt82_71"),
    ("wt82_71", "sbp"),
    ("qsmk", "sbp"),
    *((cause, effect) for cause in COMMON for effect in ("qsmk", "wt82_71", "sbp")),
]
DIET = [("diet", "wt82_71"), ("diet", "sbp")]  # what people eat, which nobody recorded


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return quitting, the common causes and weight change, and systolic pressure in 1982."""
    people = nhefs_complete.load_pandas().data.dropna(subset=["sbp"])
    X = people[["qsmk", *COMMON, "wt82_71"]]
    return X.astype(dict.fromkeys(LEVELS, "category")), people["sbp"]


def make_model(graph: list[tuple[str, str]] = GRAPH) -> BayesianInterventionRegressor:
    """Return the model: a linear equation each for weight change and for blood pressure."""
    return BayesianInterventionRegressor(graph=graph, outcome="sbp", random_state=0)


def main(output: Path = Path(__file__).parent / "output") -> None:
    X, y = load()
    model = make_model().fit(X, y)
    quit_, stay = {"qsmk": 1}, {"qsmk": 0}

    scenarios = {
        "nobody quits": model.intervene(X, do=stay),
        "everybody quits": model.intervene(X, do=quit_),
        "nobody quits, weight as in 1971": model.intervene(X, do={**stay, "wt82_71": 0}),
        "everybody quits, weight as in 1971": model.intervene(X, do={**quit_, "wt82_71": 0}),
    }
    parts = model.decompose(X, do=quit_, baseline=stay)
    held = list(scenarios.values())
    effects = {
        "quitting, in total": parts["total"],
        "  not through weight": parts["direct"],
        "  through weight": parts["indirect"],
        "quitting, weight as in 1971": held[3] - held[2],
    }

    print(f"Average systolic blood pressure in 1982 of {len(X):,} smokers of 1971, in mm Hg\n")
    print(f"{'':36}{'estimate':>9}{'95% interval':>18}{'chance it is > 0':>18}")
    for label, outcomes in scenarios.items():
        print(row(label, outcomes))
    print("\nEffects")
    for label, outcomes in effects.items():
        print(row(label, outcomes, chance=True))

    hidden = make_model([*GRAPH, *DIET]).fit(X, y)
    print("\nIf diet, which is not in the data, changes both weight and blood pressure")
    print(row("quitting, in total", hidden.effect(X, do=quit_, baseline=stay), chance=True))
    try:
        hidden.decompose(X, do=quit_, baseline=stay)
    except NotIdentifiedError as error:
        print("through weight or not: refused, because")
        print(fill(str(error), width=79, initial_indent="  ", subsequent_indent="  "))

    output.mkdir(parents=True, exist_ok=True)
    draw(effects).savefig(output / "mediator.png", dpi=150)
    print(f"\nPicture: {output / 'mediator.png'}")


def row(label: str, outcomes: Outcomes, chance: bool = False) -> str:
    """Return one line of a table: the average over people."""
    average = outcomes.average()
    (mean,), ((low, high),) = average.mean(), average.interval(0.95)
    line = f"{label:36}{mean:>9.2f}{f'{low:.2f} to {high:.2f}':>18}"
    if chance:
        above = average.probability(above=0)[0]
        line += f"{f'{above:.1%}' if above < 0.9995 else 'over 99.9%':>18}"
    return line


def draw(effects: dict[str, Outcomes]) -> Figure:
    """Draw the effects as a forest."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12)
    ax = figure.subplots()
    InterventionDisplay.from_outcomes(effects, prob=0.95, ax=ax)
    ax.axvline(0, color="#999999", lw=1, zorder=0)
    ax.set_title("What quitting smoking does to systolic blood pressure", loc="left", pad=12)
    ax.set_xlabel("mm Hg, average over people, 50% and 95% intervals")
    return figure


if __name__ == "__main__":
    main()
