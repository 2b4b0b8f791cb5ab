"""Words for what went wrong, and the package's own exceptions."""

import difflib
from collections.abc import Iterable

_MAX_LISTED = 12


def listed(names: Iterable[object]) -> str:
    """Return the names, quoted, as a readable list of bounded length."""
    quoted = [repr(name) for name in names]
    if len(quoted) > _MAX_LISTED:
        rest = len(quoted) - _MAX_LISTED
        quoted = [*quoted[:_MAX_LISTED], f"and {rest} more"]
    return ", ".join(quoted)


def unknown(what: str, name: object, known: Iterable[object]) -> str:
    """Say that a name is unknown, what is known, and which known name is nearest.

    Examples
    --------
    >>> unknown("column", "prise", ["price", "traffic"])
    "unknown column 'prise'; did you mean 'price'? Known: 'price', 'traffic'"
    """
    known = list(known)
    by_text = {str(candidate): candidate for candidate in known}
    nearest = difflib.get_close_matches(str(name), list(by_text), n=1)
    hint = f" did you mean {by_text[nearest[0]]!r}?" if nearest else ""
    return f"unknown {what} {name!r};{hint} Known: {listed(known)}"


class NotIdentifiedError(ValueError):
    """The causal graph does not determine the effect that was asked for.

    The message names the path that confounds it and, where one would help, the columns whose
    measurement would close it.

    See Also
    --------
    CausalGraph.is_identified : Asks before anything is fitted.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> CausalGraph("x -> y; x <-> y").is_identified("x", "y").identified
    False
    """


class ExtrapolationWarning(UserWarning):
    """What is forced goes beyond what was seen when the model was fitted.

    The message names the columns, what they are forced to, the observed range, and the share of
    rows; `Outcomes.support` says it row by row.

    See Also
    --------
    Outcomes.support : The same row by row.

    Examples
    --------
    >>> import warnings
    >>> from interventional import ExtrapolationWarning
    >>> warnings.simplefilter("error", ExtrapolationWarning)  # refuse such answers
    >>> warnings.simplefilter("default", ExtrapolationWarning)
    """


class MisfitWarning(UserWarning):
    """What the model takes for granted, and an answer rests on, is not what the data say.

    Of two things, each with its remedy in the message:

    - *An equation bends.* It is linear in its terms, and squares of its columns, or products with
      what is forced, explain more of what it leaves than chance does. The message names the
      equation, the columns that bend the most, how much they explain, and ``design="smooth"``.
    - *Slopes differ.* Groups whose coefficients are learnt together are taken to have nothing to
      do with what is forced. The message names a forced column whose slopes within groups of rows
      and between them are not the same, the groups, both slopes, and ``within=True``.

    See Also
    --------
    BayesianInterventionRegressor : Its parameters `design`, `groups` and `within`.
    BayesianInterventionRegressor.refute : The first as a check.

    Notes
    -----
    Whether an equation bends is told by a wild bootstrap with a threshold of 0.001 over all
    equations that the question rests on: of those of every family, in 2,000 rows at most. Squares
    and products that the terms of a `design` span are not tried.

    Whether slopes differ is told by Mundlak's test (1978), with a threshold of 0.001, of Gaussian
    and lognormal equations that the exact engine draws, and of no others.

    Examples
    --------
    >>> import warnings
    >>> from interventional import MisfitWarning
    >>> warnings.simplefilter("error", MisfitWarning)  # refuse such answers
    >>> warnings.simplefilter("default", MisfitWarning)
    """


class NoMeanWarning(UserWarning):
    """A ratio whose denominator is below zero in some draws, and above in others.

    Such as a number needed to treat, ``1 / (treated - control)``, where nobody knows whether the
    treatment helps. A ratio like that may have no mean and no standard deviation, whatever
    numbers they come out as: a few draws near zero decide them, and other draws say another
    thing. Its quantiles and probabilities hold.

    See Also
    --------
    Outcomes.interval : Of the denominator: its ends, inverted, are those of the ratio.

    Notes
    -----
    The ratio jumps where its denominator is zero, from one infinity to the other. Where the
    interval of `x` goes from a < 0 to b > 0, that of 1 / x goes from 1 / b over infinity to 1 / a
    (Altman 1998): it is all numbers but those between 1 / a and 1 / b, which an interval of the
    ratio's own draws would hold.

    References
    ----------
    Altman, D. G. (1998). Confidence intervals for the number needed to treat. *BMJ* 317,
    1309-1312.

    Examples
    --------
    >>> import warnings
    >>> from interventional import NoMeanWarning
    >>> warnings.simplefilter("error", NoMeanWarning)  # refuse such ratios
    >>> warnings.simplefilter("default", NoMeanWarning)
    """


class UndeterminedError(ValueError):
    """The data are too few or too uniform for the model to have a posterior; more may help."""
