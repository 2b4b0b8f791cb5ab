"""The user's own model, fitted: what is asked of any fitted model, answered by its graph."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.answers.population import Populations
from interventional.answers.samples import Chunked, Samples
from interventional.answers.support import Bend, Support
from interventional.data.table import Table, Units
from interventional.errors import listed
from interventional.fitted import Fitted
from interventional.inference.posterior import Posterior, origin
from interventional.intervention.do import Forced
from interventional.intervention.query import Query
from interventional.intervention.words import Do, Kind
from interventional.numbers import Floats
from interventional.own import answers
from interventional.own.compiled import origin_of_mean
from interventional.own.mechanisms import OwnModel, refuse_parameters
from interventional.own.skeleton import Skeleton
from interventional.scm.compiling import building
from interventional.trust import extrapolation

if TYPE_CHECKING:
    import xarray as xr

POPULATION = (
    "population: what the groups of a model of its own are a sample of, nobody but the model "
    "knows; give rows of a new group, or make what is a group's own latent"
)


@dataclass(frozen=True, eq=False)
class OwnFitted(Fitted):
    """A model of the user's own, and what was learnt of it."""

    model: OwnModel

    @cached_property
    def shape(self) -> tuple[int, int]:
        """How many chains there are, and draws of each."""
        first = next(iter(self.posteriors[-1].variables.values()))
        chains, draws = first.shape[:2]
        return chains, draws

    @cached_property
    def draws(self) -> dict[str, Floats]:
        """The draws of all parameters, (draws, ...) each, by name."""
        return {name: self.learnt[name] for name in self.model.skeleton.parameters}

    @property
    def tests(self) -> list[Bend]:
        """Nothing: the terms of a model of its own are not known, so that none is missing."""
        return []

    @cached_property
    def idata(self) -> "xr.DataTree":
        """All draws as ArviZ takes them."""
        skeleton = self.model.skeleton
        tree = to_datatree(skeleton, self.posteriors[-1])
        with building:
            origin = origin_of_mean(skeleton.model, skeleton.outcome)
        tree["posterior"].attrs["expected_outcome"] = origin
        return tree

    @cached_property
    def coefficients(self) -> tuple[Floats, float]:
        """Nothing: there is no telling which parameters would be coefficients."""
        raise AttributeError("a model of its own has no coef_")

    def knowing(self, table: Table, *dos: Do | None) -> Fitted:
        """Refuse to draw unseen levels: how, the model does not say."""
        raise ValueError(
            "unseen_levels='population' is for groups=; a model of its own does not say what a "
            "new level is drawn from"
        )

    def units(self, table: Table, seed: int | None = None) -> Units:
        """Return rows to ask something of."""
        found = super().units(table, seed)
        self.refuse_positions(found.values, "X")
        return found

    def encoded(self, table: Table, read: Collection[int] | None = None) -> Floats:
        """Return rows like those of fit as numbers, (n, columns)."""
        values = super().encoded(table, read)
        self.refuse_positions(values, "X")
        return values

    def refuse_positions(self, values: Floats, where: str) -> None:
        """Refuse codes that are positions of nothing: compiled code would read what is there."""
        names = self.model.schema.names
        for name in self.model.skeleton.indexed:
            if name in names:
                self._refuse_position(name, values[:, names.index(name)], where)
        self.model.refuse_computed(dict(zip(names, values.T, strict=True)), where)

    def _refuse_position(self, name: str, codes: Floats, where: str) -> None:
        dim, length = self.model.skeleton.indexed[name]
        codes = codes[~np.isnan(codes)]
        strays = (codes < 0) | (codes != np.floor(codes))
        if length is not None:
            strays |= codes >= length
        if strays.any():
            of = f"dimension {dim!r}" if dim is not None else "what it indexes"
            raise ValueError(
                f"{where} holds {np.ravel(codes)[int(np.argmax(strays))]:g} in column {name!r}, "
                f"a position in {of}: whole numbers from 0 to "
                f"{'its end' if length is None else length - 1}"
            )

    def _meant(self, do: Do, units: Units) -> tuple[dict[str, Forced], frozenset[str]]:
        schema = self.model.schema
        refuse_parameters(do, self.model.skeleton, schema.labels or schema.names)
        forced, reads = super()._meant(do, units)
        for name, held in forced.items():
            codes = held.first_chunk() if isinstance(held, Chunked) else held
            self._refuse_forced(name, np.asarray(codes))
        if self.model.computed:
            self._refuse_computed(forced, units)
        return forced, reads

    def _refuse_computed(self, forced: Mapping[str, Forced], units: Units) -> None:
        """Refuse to force what the model makes positions of nothing of."""
        drawn = {n: held.first_chunk() for n, held in forced.items() if isinstance(held, Chunked)}
        n_draws, rows = next((each.shape for each in drawn.values()), (1, len(units.values)))
        columns = {
            name: np.tile(units.values[:rows, j], n_draws)
            for j, name in enumerate(self.model.schema.names)
        }
        for name, held in forced.items():
            one = drawn[name] if isinstance(held, Chunked) else np.tile(held[:rows], (n_draws, 1))
            columns[name] = np.ravel(one)
        self.model.refuse_computed(columns, "do")

    def _refuse_forced(self, name: str, values: Floats) -> None:
        """Refuse values that the variable of a column cannot take."""
        skeleton = self.model.skeleton
        if name not in skeleton.columns:
            raise ValueError(
                f"do: forcing column {name!r} changes nothing: the model does not have it, but "
                f"{listed(skeleton.columns)}"
            )
        if name in skeleton.indexed:
            self._refuse_position(name, values, f"do[{name!r}]")
        elif skeleton.dtype(name).kind in "iub" and (values != np.floor(values)).any():
            stray = np.ravel(values)[int(np.argmax(np.ravel(values != np.floor(values))))]
            raise ValueError(
                f"do[{name!r}] holds {stray:g}; the model has {name!r} as "
                f"{skeleton.dtype(name)}, of whole numbers"
            )

    def predictive(self, values: Floats) -> Any:
        """Return the predictive distribution of the outcome at encoded rows."""
        self.model.refuse_conditioned((), ())
        return answers.OfRows(self.model, values, self.draws, self.seed)

    def mean(self, values: Floats) -> Floats:
        """Return the posterior mean of the expected outcome at encoded rows, (n,)."""
        found: Floats = self.predictive(values).mean()
        return found

    @property
    def law(self) -> None:
        """Nothing: no closed form is known."""
        return None

    def supported(self, query: Query, *, apart: Collection[str] = ()) -> Support:
        """Return how well the training rows support a query."""
        found = extrapolation.judge(self.model, self.training, query, apart=apart)
        return replace(found, misfits=())

    def answer(self, query: Query, kind: Kind) -> Any:
        """Return the draws that answer a query."""
        of_kind = answers.Predictive if kind == "predictive" else answers.Expected
        return of_kind(self.model, query, self.draws)

    def seen_as(self, query: Query, kind: Kind) -> tuple[Samples, Any]:
        """Return what outcomes of rows as they are, nothing forced; twice."""
        self.model.refuse_conditioned((), ())
        answer = self.answer(query, kind)
        return answer, answer

    def retrospective(self, query: Query, observed: Mapping[str, Floats]) -> Any:
        """Return what outcomes had been, the rows' own noise kept."""
        if self.model.skeleton.latent:
            raise ValueError(
                f"counterfactual: the rows' own {listed(self.model.skeleton.latent)} is not known "
                "of these; use intervene"
            )
        return answers.Retrospective(self.model, query, self.draws, observed=observed)

    def through(self, query: Query, mediators: Query) -> Any:
        """Return expected outcomes with mediators as under another intervention."""
        return answers.Through(self.model, query, self.draws, mediators=mediators)

    def unbiased(self, samples: Any) -> Samples:
        """Return samples as they are: no bias has a prior."""
        found: Samples = samples
        return found

    def populations(self, answer: Any) -> Populations | str:
        """Say that no population is known."""
        return POPULATION


def to_datatree(skeleton: Skeleton, posterior: Posterior) -> "xr.DataTree":
    """Return draws with the dimensions and labels of the model."""
    import xarray as xr

    model = skeleton.model
    chains, draws = next(iter(posterior.variables.values())).shape[:2]
    coords: dict[str, Any] = {"chain": np.arange(chains), "draw": np.arange(draws)}
    variables: dict[str, Any] = {}
    for name, values in posterior.variables.items():
        dims = model.named_vars_to_dims.get(name) or ()
        if len(dims) != values.ndim - 2:
            dims = tuple(f"{name}_dim_{k}" for k in range(values.ndim - 2))
        for dim, size in zip(dims, values.shape[2:], strict=True):
            labels = skeleton.labels(dim) if dim in model.coords else None
            coords[dim] = np.arange(size) if labels is None else list(labels)
        variables[name] = (("chain", "draw", *dims), values)
    attributes = origin(posterior)
    groups = {"/posterior": xr.Dataset(variables, coords, attributes)}
    if posterior.sample_stats:
        own = {name: coords[name] for name in ("chain", "draw")}
        stats = {name: (("chain", "draw"), held) for name, held in posterior.sample_stats.items()}
        groups["/sample_stats"] = xr.Dataset(stats, own, attributes)
    return xr.DataTree.from_dict(groups)
