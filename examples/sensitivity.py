"""Did those who were harmed in Darfur come to want peace, or is it something nobody measured?

Of 1,276 refugees in Chad some had been injured or maimed in attacks on their villages; they were
asked about their attitudes towards peace (Hazlett 2020, *Journal of Conflict Resolution* 64(5)).
Within a village the bombs fell on anybody, it is argued, but women were attacked more: so that
village and sex must be held. The analysis here is that of Cinelli and Hazlett (2020, *JRSS B*
82(1), section 5): if something else made people both more likely to be harmed and more peaceful,
how strong would it have to be for there to be no effect? The data come with PySensemakr.
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from sensemakr import load_darfur

from interventional import BayesianInterventionRegressor

COVARIATES = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female", "village"]


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return exposure to violence with the covariates, and the index of peaceful attitudes."""
    people = load_darfur()
    return people[["directlyharmed", *COVARIATES]], people["peacefactor"]


def main(output: Path = Path(__file__).parent / "output") -> None:
    X, y = load()
    model = BayesianInterventionRegressor(outcome="peacefactor", random_state=0).fit(X, y)
    found = model.sensitivity(
        X,
        do={"directlyharmed": 1},
        baseline={"directlyharmed": 0},
        benchmarks="female",
        prob=0.95,
    )
    print(found)
    print(f"\n{found.bounds().round(3).to_string()}")

    output.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    found.plot(figure.subplots())
    figure.savefig(output / "sensitivity.png", dpi=150)
    print(f"\nPicture: {output / 'sensitivity.png'}")


if __name__ == "__main__":
    main()
