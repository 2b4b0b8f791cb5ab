"""Samples of the population that the groups of some rows are a sample of."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from interventional.answers.samples import Contrast, Samples, Sign, at_once
from interventional.errors import listed, unknown

NOT_KNOWN = (
    "population: it is known of what a fitted model with groups answers to intervene and effect, "
    "before anything else is made of that; average(population=...) comes first"
)
AVERAGED = (
    "population: these are averages over rows already; say population= where the rows are averaged"
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
class OfContrast(Populations):
    """Those of the difference or the ratio of samples, paired draw by draw."""

    left: Populations
    right: Populations
    sign: Sign

    @property
    def names(self) -> Mapping[Hashable, str]:  # type: ignore[override]
        """What is known on either side."""
        return {**self.left.names, **self.right.names}

    def over(self, names: frozenset[str]) -> Samples:
        """Return the contrast of both sides' samples."""
        return at_once(Contrast(self.left.over(names), self.right.over(names), self.sign))


def contrasted(left: Populations | str, right: Populations | str, sign: Sign) -> Populations | str:
    """Return the populations of a contrast; a str says why they are not known."""
    if isinstance(left, str) or isinstance(right, str):
        return left if isinstance(left, str) else right
    return OfContrast(left, right, sign)


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
