"""Contents made of others: functions of them, and some of their rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interventional.answers import law, population
from interventional.answers.composed import (
    Checked,
    Fixed,
    Function,
    Picked,
    applied,
    check_divisor,
)
from interventional.answers.contents import Contents, Term, refuse_unpaired
from interventional.answers.rows import numbers_in_words, numbers_of
from interventional.answers.samples import Held, Samples, at_once
from interventional.answers.support import AVERAGED, Support, joined
from interventional.answers.words import in_words

EXACT = (np.add, np.subtract, np.negative)  # of what is finite, as good as always


def combined(function: Function, operands: Sequence[Any]) -> Term:
    """Return a function of contents and numbers, draw by draw and row by row.

    Parameters
    ----------
    function : callable
        From blocks of samples, (n_draws, rows), to one of the same shape; a ufunc, `np.where`, or
        what a user gives.
    operands : sequence of Term, number or array-like of shape (n,)
        What it is of; one of them at least is a term. Contents of a single row, such as averages,
        are taken with each row of the others.

    Raises
    ------
    ValueError
        If contents are of other draws or other rows, an array has another length, or a Series
        another index; if the function is not finite, or changes the shape.
    """
    terms = [each.contents for each in operands if isinstance(each, Term)]
    of_rows = _of_all_rows(terms)
    n_draws, n = terms[0].samples.n_draws, len(of_rows.labels)
    parts: list[Samples] = []
    words = []
    for each in operands:
        if isinstance(each, Term):
            parts.append(each.contents.samples)
            words.append(each.words)
        else:
            numbers = numbers_of(each, of_rows)
            parts.append(Fixed(numbers, n_draws, n))
            words.append(numbers_in_words(each, numbers, of_rows))
    said = in_words(function, words)
    function = _safe(function, parts, words, said)
    known: population.Populations | str = population.BENT
    if _is_linear(function, parts):
        known = population.made(
            partial(applied, function),
            [
                each.contents.population if isinstance(each, Term) else part
                for each, part in zip(operands, parts, strict=True)
            ],
        )
    support = terms[0].support
    for each in terms[1:]:
        support = joined(support, each.support)
    is_ratio = _plain(function) is np.true_divide and len(terms) == 2
    is_ratio = is_ratio and all(each.scale == "outcome" for each in terms)
    found = replace(
        of_rows,
        samples=at_once(applied(function, *parts)),
        support=support,
        follow=frozenset().union(*(each.follow for each in terms)),
        scale="ratio" if is_ratio else "mixed",
        population=known,
    )
    alike = [each for each in terms if each.is_averaged == of_rows.is_averaged]
    if n == 1 and not all(each.labels.equals(of_rows.labels) for each in alike):
        own = [
            str(each.contents.labels[0]) if isinstance(each, Term) else word
            for each, word in zip(operands, words, strict=True)
        ]
        labels = pd.Index([in_words(_plain(function), own)], tupleize_cols=False)
        found = replace(found, labels=labels, levels=(), covariates=None)
    return Term(found, said)


def some_rows(contents: Contents, positions: NDArray[np.intp]) -> Contents:
    """Return the contents of some rows, by their positions, in any order; at least of one."""
    if not len(positions):
        raise ValueError(
            f"none of {len(contents.labels)} rows is picked; outcomes are of one row at least. A "
            "sum over rows that may be none is (outcomes * picked).sum()"
        )
    pick = partial(Picked, positions)
    rows, support = contents.covariates, contents.support
    return replace(
        contents,
        samples=at_once(pick(contents.samples)),
        labels=contents.labels[positions],
        covariates=None if rows is None else rows.iloc[positions],
        support=support.picked(positions) if isinstance(support, Support) else support,
        population=population.made(pick, [contents.population]),
    )


def one_below_the_other(named: Mapping[Any, Contents]) -> Contents:
    """Return contents of one row each, of the same draws, as contents of as many rows, by name."""
    first = next(iter(named.values()))
    for name, each in named.items():
        if len(each.labels) != 1 or each.shape != first.shape:
            raise ValueError(
                f"concat takes averages of the same draws; {name!r} has {len(each.labels)} "
                f"rows and {each.shape} draws"
            )
        # what stands together is calculated with draw by draw
        refuse_unpaired((first.shape, first.posterior), (each.shape, each.posterior))
    return Contents(
        Held(
            np.column_stack([each.samples.held() for each in named.values()]),
            law.one_below_the_other([each.samples.marginals() for each in named.values()]),
        ),
        first.shape,
        pd.Index(list(named), tupleize_cols=False),
        posterior=first.posterior,
        support=AVERAGED,
        is_averaged=True,
        scale=first.scale if len({each.scale for each in named.values()}) == 1 else "mixed",
    )


def _of_all_rows(terms: Sequence[Contents]) -> Contents:
    """Return the contents whose rows those of a function are; refuse what does not pair."""
    first = terms[0]
    of_table = [each for each in terms if not each.is_averaged]
    of_rows = next((each for each in terms if len(each.labels) > 1), [*of_table, first][0])
    for each in terms:
        refuse_unpaired((first.shape, first.posterior), (each.shape, each.posterior))
        if len(each.labels) > 1 and not each.labels.equals(of_rows.labels):
            raise ValueError(_other_rows(of_rows.labels, each.labels))
    return of_rows


def _other_rows(here: pd.Index, there: pd.Index) -> str:
    said = f"the rows are not the same: {len(here)} rows here, {len(there)} there"
    if len(here) == len(there):
        pairs = enumerate(zip(here, there, strict=True))
        at = next((k for k, (one, other) in pairs if one != other), 0)
        said = f"{said}, and row {at} is {here.tolist()[at]!r} here, {there.tolist()[at]!r} there"
    return f"{said}; combine outcomes of the same rows, or averages"


def _safe(
    function: Function, parts: Sequence[Samples], words: Sequence[str], said: str
) -> Function:
    """Return a function that says where it is not finite, and that it divides by what may be zero.

    A divisor that is no larger than its samples are is looked at now.
    """
    if function in EXACT:
        return function
    at: int | None = None
    if function is np.true_divide:
        at = 1
    elif function is np.power and isinstance(parts[1], Fixed) and (parts[1].values < 0).any():
        at = 0
    if at is None:
        return Checked(function, said)
    divisor = parts[at]
    if isinstance(divisor, Fixed):
        if not divisor.values.all():
            row = f" in row {int(np.argmin(divisor.values != 0))}" if divisor.values.ndim else ""
            raise ValueError(f"division by zero{row}: {said}")
    elif divisor.n == 1:
        check_divisor(divisor.held(), words[at])
    else:
        return Checked(function, said, at, words[at])
    return Checked(function, said)


def _plain(function: Function) -> Callable[..., Any]:
    return function.function if isinstance(function, Checked) else function


def _is_linear(function: Function, parts: Sequence[Samples]) -> bool:
    """Whether the function of expectations is the expectation of the function."""
    plain, fixed = _plain(function), [isinstance(part, Fixed) for part in parts]
    if plain is np.multiply:
        return any(fixed)
    if plain is np.true_divide:
        return not fixed[0]
    return plain in EXACT or (plain is np.where and fixed[0])
