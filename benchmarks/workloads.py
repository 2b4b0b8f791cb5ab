"""What is timed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import data


@dataclass(frozen=True)
class Workload:
    """A task on data of a size.

    Attributes
    ----------
    task : str
        What is asked; the key of the peers' ``TASKS``.
    fit : str
        The rows to fit, a name for `benchmarks.data.make`.
    asked : str
        The rows that the question is about, if they are others.
    decides : bool
        Whether a claim rests on it: then slow contestants too have all rounds.
    only : tuple of str
        The peers that are asked; all that can by default.
    before : bool
        Whether an earlier commit of this package is, too.
    """

    task: str
    fit: str
    asked: str = ""
    decides: bool = False
    only: tuple[str, ...] = ()
    before: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name under which the results stand."""
        extra = "-".join(str(value) for value in self.options.values())
        return " ".join(part for part in (self.task, self.asked or self.fit, extra) if part)

    @property
    def cells(self) -> int:
        """How many numbers are read: rows x columns of the larger table."""
        return max(cells(self.fit), cells(self.asked))

    def message(self, folder: Path) -> dict[str, Any]:
        """Return what a worker needs to know, with the data written."""
        return {
            "name": self.fit.split("-")[0],
            "data": str(data.write(self.fit, folder)),
            "asked": str(data.write(self.asked, folder)) if self.asked else "",
            "options": self.options,
        }


def cells(spec: str) -> int:
    """Return rows x columns of a data set."""
    if not spec:
        return 0
    if spec in SIZES:
        return SIZES[spec][0] * SIZES[spec][1]
    _, n, p = spec.split("-")
    return int(n) * int(p)


SIZES = {"diabetes": (442, 10), "polynomial": (442, 65)}
GALLERY = "gallery-100-3"
OURS = ("interventional", "floor")
CORE = (*OURS, "pymc_by_hand")
FAMILIES = ("bernoulli", "poisson")

FIT = [
    Workload("fit", "diabetes", decides=True, before=True),
    *(Workload("fit", f"linear-100-{p}", only=CORE) for p in (3, 20, 100)),
    Workload("fit", "linear-10000-3", only=CORE),
    Workload("fit", "linear-10000-20", decides=True),
    Workload("fit", "linear-10000-100", only=CORE),
    Workload("fit", "linear-1000-20", only=OURS),
    Workload("fit", "linear-100000-20", decides=True, only=OURS),
    Workload("fit", "linear-1000000-3", only=OURS),
    Workload("fit", "linear-1000000-20", decides=True),
    Workload("fit", "linear-1000000-100", only=OURS),
    Workload("fit", "linear-10000000-20", decides=True, only=OURS),
]
SHRINK = [
    Workload("ridge", "polynomial", decides=True, only=OURS),
    Workload("fit_horseshoe", "sparse-500-120", decides=True, before=True),
    Workload("fit_r2d2", "sparse-500-120", decides=True, before=True),
]
GLM = [
    *(
        Workload(f"fit_{family}", f"{family}-1000-10", decides=True, before=True)
        for family in FAMILIES
    ),
    Workload("fit_large", "bernoulli-1000000-20", decides=True, before=True),
    Workload("fit_crossed", "crossed-1000-3", decides=True, before=True),
]
SEARCH = [
    Workload("cross_validation", "diabetes", decides=True, options={"folds": 5}, before=True),
    Workload("grid_search", "diabetes"),
]
NUTS = [
    Workload("nuts_refit", "diabetes", decides=True),
    Workload("nuts_cross_validation", "diabetes", decides=True, options={"folds": 20}),
]
ASK = [
    Workload("intervene", GALLERY, decides=True),
    Workload("intervene", GALLERY, "gallery-10000-3", only=CORE),
    *(Workload("average", GALLERY, f"gallery-{n}-3") for n in (100, 10_000)),
    Workload("average", GALLERY, "gallery-1000000-3", decides=True),
    Workload("average", "linear-10000-20", "linear-1000000-20", decides=True, only=OURS),
    *(Workload("rows", GALLERY, f"gallery-{n}-3") for n in (100, 10_000, 1_000_000)),
    *(Workload("effect", GALLERY, f"gallery-{n}-3") for n in (100, 10_000, 1_000_000)),
]
HARD = [
    Workload("mediated", "mediated-300-3", decides=True, before=True),
    Workload("levels", "levels-20000-2", decides=True, before=True),
    Workload("nodes", "nodes-1000-58", decides=True, before=True),
]
ANSWER = [Workload("answer", f"gallery-{n}-3") for n in (100, 10_000, 1_000_000)]

# In fresh processes.
COLD = Workload("answer", GALLERY)
FIRST = Workload("intervene", GALLERY, only=("interventional", "pymc_by_hand"))
FRESH = [
    *(Workload(f"first_{family}", f"{family}-1000-10", before=True) for family in FAMILIES),
    Workload("saved", "linear-100-3", before=True),
]
MEMORY = [
    Workload("fit", "linear-1000000-20"),
    Workload("rows", GALLERY, "gallery-1000000-3", before=True),
    Workload("stream", GALLERY, options={"rows": 20_000_000, "columns": 10}),
]

TITLES = {
    "fit": "Fit: from data to the posterior",
    "ridge": "Fit with one scale of all coefficients learnt from the data",
    "fit_bernoulli": "Fit of zeros and ones",
    "fit_poisson": "Fit of counts",
    "fit_large": "Fit of a million zeros and ones",
    "fit_crossed": "Fit of zeros and ones in groups of two kinds, 25 x 15",
    "fit_horseshoe": 'Fit with `priors="horseshoe"`',
    "fit_r2d2": 'Fit with `priors="r2d2"`',
    "cross_validation": "Cross-validation, 5 folds",
    "grid_search": "Grid search, 50 fits: SelectKBest, k = 1 to 10, in 5 folds",
    "nuts_refit": "NUTS again, at a structure already seen",
    "nuts_cross_validation": "Cross-validation under NUTS, 20 folds; `pm.sample` is timed on "
    "four of them a round, times five",
    "intervene": "Intervene: all draws of all rows under do(b = 0)",
    "first intervene": "The first intervene of a process, the model fitted, compilers' caches on "
    "disk empty",
    "average": "Average outcome under do, with its interval",
    "rows": "Mean and interval of each row under do",
    "effect": "Average effect of b = 1 against b = 0, with its interval",
    "mediated": "Effect through a mediator, the outcome a curve of it",
    "levels": "Effect of one level of 2,000 against another",
    "nodes": "Effects of 5 nodes in a graph of 59",
    "first_bernoulli": "The first fit of a process, PyMC imported: zeros and ones",
    "first_poisson": "The first fit of a process, PyMC imported: counts",
    "saved": "The first answer of a process: a saved model loaded, and asked about 100 rows",
    "answer": "From data to an average effect with its interval: fit and ask",
    "stream": "Rows made on the fly, fitted block by block",
}
