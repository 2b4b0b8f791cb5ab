"""What is calculated with outcomes, in words."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_LINE = 99  # characters
_BRACKETED = re.compile(r"\([^()\[\]]*\)|\[[^()\[\]]*\]")
_OF_ROWS = re.compile(r"(average|sum)( by group)? of ")  # of all that follows
_SIGNS: dict[Callable[..., Any], str] = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.true_divide: "/",
    np.power: "**",
}


def in_words(function: Callable[..., Any], operands: Sequence[str]) -> str:
    """Return what a function of things is, given what these are, in a line if that is possible.

    Examples
    --------
    >>> in_words(np.subtract, ["price * E[y]", "E[x] - E[z]"])
    'price * E[y] - (E[x] - E[z])'
    >>> in_words(np.log, ["E[x] - E[z]"])
    'log(E[x] - E[z])'
    """
    words = _said(function, operands)
    if len(words) <= _LINE:
        return words
    short = ["…" if _operators(each) else each for each in operands]
    return _said(function, short)


def bracketed(words: str) -> str:
    """Return words in brackets if they are a formula, so that what is said of them is of all.

    Examples
    --------
    >>> bracketed("price * E[y] - 3") + "[0]"
    '(price * E[y] - 3)[0]'
    """
    return f"({words})" if _operators(words) else words


def number_in_words(number: Any) -> str:
    """Return a number as one writes it."""
    return f"{float(number):.12g}"


def name_of_function(function: Callable[..., Any]) -> str:
    """Return what a function is called; `f` where it has no name."""
    name = getattr(function, "__name__", "f")
    return "abs" if name == "absolute" else name if name.isidentifier() else "f"


def _said(function: Callable[..., Any], operands: Sequence[str]) -> str:
    sign = _SIGNS.get(function)
    if sign is not None:
        return f" {sign} ".join(_side(each, sign) for each in operands)
    if function is np.negative:
        return f"-{_side(operands[0], '**')}"
    return f"{name_of_function(function)}({', '.join(operands)})"


def _side(words: str, sign: str) -> str:
    """Return one side of an operator: in brackets if it has an operator of its own."""
    if _OF_ROWS.match(words):
        return f"({words})"
    own = _operators(words) | ({" "} if sign == "**" and " " in _bare(words) else set())
    if not own or (sign in "+-" and own == {"*"}) or words == "…":
        return words
    return f"({words})"


def _operators(words: str) -> set[str]:
    """Return the operators that stand outside of brackets; a sign before words is one."""
    bare = _bare(words)
    found = set(re.findall(r"(?<= )(?:\+|-|\*\*|\*|/)(?= )", bare))
    return found | ({"-"} if bare.startswith("-") else set()) | ({","} if ", " in bare else set())


def _bare(words: str) -> str:
    """Return words without what stands in brackets."""
    bare, inner = "", words
    while bare != inner:
        bare, inner = inner, _BRACKETED.sub("", inner)
    return bare
