"""Causal graphs written as text: ``"b -> m; m -> y; b <-> y"`` and DOT."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby, product

_TOKEN = re.compile(
    r"""
      (?P<space>[^\S\n]+)
    | (?P<comment>//[^\n]*|\#[^\n]*|/\*.*?\*/)
    | (?P<end>[;\n])
    | (?P<comma>,)
    | (?P<arrow><->|->|<-)
    | (?P<brace>[{}])
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
    >>> parse("{a, b} -> c").edges
    [('a', 'c'), ('b', 'c')]
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
    depth = 0  # of braces, inside which nothing but a brace ends anything
    for match in _TOKEN.finditer(text):
        kind, written = str(match.lastgroup), match[0]
        if kind == "brace":
            depth += 1 if written == "{" else -1
        if kind == "end" and depth <= 0:
            # An arrow at the end of a line goes on on the next.
            if written == "\n" and statement and statement[-1][0] == "arrow":
                continue
            yield statement
            statement = []
        elif kind == "end" or (kind == "comma" and depth > 0):
            statement.append(("between", written))
        elif kind not in {"space", "comment"}:
            statement.append((kind, written))
    yield statement


def _read(statement: list[Token], out: Statements, *, is_dot: bool) -> None:
    written = " ".join(" ".join(text.split()) for _, text in statement)
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
            f"cannot tell what {written!r} means; write an edge for each, as in 'a -> y; b -> y',"
            " or a group, as in '{a, b} -> y'"
        )
    for chain in chains:
        ends = _ends(chain, is_dot=is_dot)
        if ends is None:
            raise ValueError(
                f"cannot read {written!r}: allowed are 'a -> b', 'b <- a' and 'a <-> b' (an"
                f" unobserved common cause), separated by ';' or a new line, with groups such as"
                f" '{{a, b}} -> c'; names with spaces or signs need quotes"
            )
        arrows = [text for kind, text in chain if kind == "arrow"]
        out.nodes += [name for names in ends for name in names]
        if re.search(r"\b(latent|unobserved)\b", options) and not arrows:
            out.unobserved += [name for names in ends for name in names]
        both = re.search(r"\bdir\s*=\s*\"?both\b", options)
        for left, arrow, right in zip(ends, arrows, ends[1:], strict=False):
            pairs = list(product(left, right))
            if both or arrow == "<->":
                out.confounded += pairs
            else:
                out.edges += pairs if arrow == "->" else [(b, a) for a, b in pairs]


def _ends(chain: list[Token], *, is_dot: bool) -> list[list[str]] | None:
    """Return the names at each end of a chain's arrows, several in a group; None if it is none."""
    parts = groupby(chain, key=lambda token: token[0] == "arrow")
    runs = [(is_arrow, list(run)) for is_arrow, run in parts]
    arrows = [run for is_arrow, run in runs if is_arrow]
    ends = [_names(run, is_dot=is_dot) for is_arrow, run in runs if not is_arrow]
    if len(ends) != len(arrows) + 1 or any(len(run) > 1 for run in arrows):
        return None
    found = [names for names in ends if names]
    return found if len(found) == len(ends) else None


def _names(run: list[Token], *, is_dot: bool) -> list[str]:
    """Return a name, or those of a group in braces; nothing if it is neither."""
    if (run[0][1], run[-1][1]) == ("{", "}"):
        run = [token for token in run[1:-1] if token[0] != "between"]
        while is_dot and len(run) > 2 and run[1][1] == "=":  # of the group: rank=same
            run = run[3:]
    elif len(run) > 1:
        return []
    named = all(kind in {"name", "quoted"} for kind, _ in run)
    return [_unquoted(token) for token in run] if named else []


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
