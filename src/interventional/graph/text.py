"""Causal graphs written as text: ``"b -> m; m -> y; b <-> y"`` and DOT."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

_TOKEN = re.compile(
    r"""
      (?P<space>[^\S\n]+)
    | (?P<comment>//[^\n]*|\#[^\n]*|/\*.*?\*/)
    | (?P<end>[;\n])
    | (?P<comma>,)
    | (?P<arrow><->|->|<-)
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<options>\[(?:"(?:[^"\\]|\\.)*"|[^\]"])*\])
    | (?P<name>(?:(?!<->|->|<-|//|/\*)[^\s;,"'{}\[\]<>=\#])+)
    | (?P<junk>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOT = re.compile(r"\s*(?:strict\s+)?(digraph|graph|dag)\b[^{]*\{(.*)\}\s*;?\s*", re.DOTALL)
_DOT_DEFAULTS = {"graph", "node", "edge"}


@dataclass
class Statements:
    """What a text says: nodes in order of appearance, edges, confounded pairs, latent nodes."""

    nodes: list[str] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)
    confounded: list[tuple[str, str]] = field(default_factory=list)
    unobserved: list[str] = field(default_factory=list)


def parse(text: str) -> Statements:
    """Parse a graph written as text.

    Examples
    --------
    >>> parse("a -> b -> c; 'the price' <-> c").confounded
    [('the price', 'c')]
    """
    dot = _DOT.fullmatch(text)
    if dot and dot[1] == "graph":
        raise ValueError("a DOT 'graph' has no directions; write 'digraph { a -> b }'")
    out = Statements()
    for statement in _statements(dot[2] if dot else text):
        _read(statement, out, is_dot=dot is not None)
    return out


def quote(name: str, *, always: bool = False) -> str:
    """Return a name as it must be written in text; in quotes if need be, or always."""
    token = _TOKEN.fullmatch(name)
    if token and token.lastgroup == "name" and not always:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


Token = tuple[str, str]  # its kind and its text


def _statements(text: str) -> Iterable[list[Token]]:
    statement: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind == "end":
            # An arrow at the end of a line goes on on the next.
            if match[0] == "\n" and statement and statement[-1][0] == "arrow":
                continue
            yield statement
            statement = []
        elif kind not in {"space", "comment"}:
            statement.append((kind, match[0]))
    yield statement


def _read(statement: list[Token], out: Statements, *, is_dot: bool) -> None:
    written = " ".join(text for _, text in statement)
    if is_dot and _is_setting(statement):
        return
    options = ""
    if is_dot:
        options = " ".join(text for kind, text in statement if kind == "options")
        statement = [token for token in statement if token[0] != "options"]
    parts = groupby(statement, key=lambda token: token[0] == "comma")
    chains = [list(chain) for is_comma, chain in parts if not is_comma]
    with_arrow = [any(kind == "arrow" for kind, _ in chain) for chain in chains]
    if any(with_arrow) and not all(with_arrow):
        raise ValueError(
            f"cannot tell what {written!r} means; write an edge for each, as in 'a -> y; b -> y'"
        )
    for chain in chains:
        in_turn = all(
            kind == "arrow" if i % 2 else kind in {"name", "quoted"}
            for i, (kind, _) in enumerate(chain)
        )
        if not in_turn or chain[-1][0] == "arrow":
            raise ValueError(
                f"cannot read {written!r}: allowed are 'a -> b', 'b <- a' and 'a <-> b' (an"
                f" unobserved common cause), separated by ';' or a new line; names with spaces"
                f" or signs need quotes"
            )
        names = [_unquoted(token) for token in chain[::2]]
        arrows = [text for _, text in chain[1::2]]
        out.nodes += names
        if re.search(r"\b(latent|unobserved)\b", options) and not arrows:
            out.unobserved += names
        both = re.search(r"\bdir\s*=\s*\"?both\b", options)
        for a, arrow, b in zip(names, arrows, names[1:], strict=False):
            if both or arrow == "<->":
                out.confounded.append((a, b))
            else:
                out.edges.append((a, b) if arrow == "->" else (b, a))


def _is_setting(statement: list[Token]) -> bool:
    """Whether a DOT statement sets attributes only: ``rankdir=LR``, ``node [shape=box]``."""
    texts = [text for _, text in statement]
    default = (
        len(texts) == 2 and texts[0].lower() in _DOT_DEFAULTS and statement[1][0] == "options"
    )
    return default or (len(texts) == 3 and texts[1] == "=")


def _unquoted(token: Token) -> str:
    kind, text = token
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if kind == "quoted" else text
