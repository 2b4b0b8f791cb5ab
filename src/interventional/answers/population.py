"""Samples of the population that the groups of some rows are a sample of."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interventional.answers.samples import Samples, at_once
from interventional.errors import listed, unknown

NOT_KNOWN = (
    "population: it is known of what a fitted model with groups answers to intervene and effect, "
    "before anything else is made of that; average(population=...) comes first"
)
AVERAGED = (
    "population: these are averages over rows already; say population= where the rows are averaged"
)

BENT = (
    "population: it is known of what is linear in outcomes, and this is not; average outcomes "
    "over the population first, and calculate with those averages"
)

TRANSFORMED = (
    "population: it is known of outcomes as the model has them, and these are transformed back; "
    "fit to the raw outcome, with a family= that suits it, such as 'lognormal'"
)


class Populations:
    """What samples are if the groups of the rows are a sample; a child says.

    Attributes
    ----------
    names : mapping
        What a user may call each kind of groups, and its name.
    """

    names: Mapping[Hashable, str]

    def over(self, names: frozenset[str]) -> Samples:
        """Return the samples over the population of some kinds of groups.

        Kinds that it does not know enter nowhere, so that it is the same with and without them.
        """
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Made(Populations):
    """Those of samples that are made of others: of contrasts, of multiples, of some rows.

    Attributes
    ----------
    make : callable
        From the samples of the parts to those of all.
    parts : tuple of Populations or Samples
        What they are made of; samples are the same over any population.
    """

    make: Callable[..., Samples]
    parts: tuple[Populations | Samples, ...]

    @property
    def names(self) -> Mapping[Hashable, str]:  # type: ignore[override]
        """What is known of any part."""
        known = [part.names for part in self.parts if isinstance(part, Populations)]
        return {name: of for names in known for name, of in names.items()}

    def over(self, names: frozenset[str]) -> Samples:
        """Return what is made of the parts' samples."""
        found = (p.over(names) if isinstance(p, Populations) else p for p in self.parts)
        return at_once(self.make(*found))


def made(
    make: Callable[..., Samples], parts: Sequence[Populations | Samples | str]
) -> Populations | str:
    """Return the populations of what is made of parts; a str says why one's are not known."""
    known = []
    for part in parts:
        if isinstance(part, str):
            return part
        known.append(part)
    return Made(make, tuple(known))


def over_population(known: Populations | str, population: Any) -> tuple[Samples, str]:
    """Return samples of the population of the groups that a user names, and which it is."""
    if isinstance(known, str):
        raise ValueError(known)
    names = _named(known, population)
    return known.over(frozenset(names)), f", of the population of {listed(names)}"


def _named(known: Populations, population: Any) -> list[str]:
    """Return the names of the kinds of groups that a user means, at least one."""
    given = population if isinstance(population, list) else [population]
    if not given:
        raise ValueError(
            "population is an empty list; name groups, or leave it out for these very groups. "
            f"Known: {listed(dict.fromkeys(known.names.values()))}"
        )
    for name in given:
        if not isinstance(name, Hashable) or name not in known.names:
            names = dict.fromkeys(known.names.values())
            raise ValueError(unknown("groups in population:", name, names))
    return list(dict.fromkeys(known.names[name] for name in given))
