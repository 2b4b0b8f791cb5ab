"""What an answer takes for granted, and the data speak against."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from interventional.answers.samples import Chunked
from interventional.answers.support import Bend, Gap, Support
from interventional.errors import MisfitWarning
from interventional.intervention.do import Forced
from interventional.intervention.query import Query
from interventional.scm.equations import StructuralModel
from interventional.trust import between
from interventional.trust.straightness import Straightness

_PACKAGE = str(Path(__file__).parents[1])
_OF_GROUPS = (
    "That is a mixture of the two, confounded by what the groups differ in. Fit with within=True: "
    "the groups' means then are regressors too, and the answer is the one within groups"
)


def beside(support: Support, known: Straightness, query: Query) -> Support:
    """Return the support of a query with what speaks against the equations that it rests on."""
    moved = {n for n, held in query.forced.items() if _is_moved(known.model, query, n, held)}
    return replace(support, misfits=told(known, moved, query.regenerated))


def told(
    known: Straightness, forced: set[str], regenerated: Sequence[str] | set[str]
) -> tuple[Gap | Bend, ...]:
    """Return what speaks against the equations that an intervention rests on.

    Parameters
    ----------
    known : Straightness
        The model, and what was learnt of it.
    forced, regenerated : collection of str
        The columns that are forced to something new, and those that follow.
    """
    gaps = between.told(known.model, known.posteriors, forced, regenerated)
    return gaps + known.told(forced, regenerated)


def warn(support: Support | str | Sequence[Gap | Bend], estimand: str) -> None:
    """Warn, at the user's line, of what speaks against an answer: once of each kind.

    Parameters
    ----------
    support : Support, or sequence of Gap or Bend
        How well the data support an answer, or what speaks against it; a str if nobody knows.
    estimand : str
        What is answered, in words.
    """
    misfits = support.misfits if isinstance(support, Support) else support
    if isinstance(misfits, str):
        return
    gaps = [found for found in misfits if isinstance(found, Gap)]
    bends = [found for found in misfits if isinstance(found, Bend)]
    said = [f"{'; '.join(map(str, gaps))}. {_OF_GROUPS}"] if gaps else []
    if bends:
        mended = " ".join(dict.fromkeys(bend.remedy for bend in bends))
        said.append(f"{'; '.join(map(str, bends))}. Effects and intervals may be wrong. {mended}")
    for each in said:
        warnings.warn(f"{estimand}: {each}", MisfitWarning, skip_file_prefixes=(_PACKAGE,))


def _is_moved(model: StructuralModel, query: Query, name: str, held: Forced) -> bool:
    """Whether a column is forced to what it is not already."""
    at = model.schema.names.index(name)
    return isinstance(held, Chunked) or not np.array_equal(held, query.values[:, at])
