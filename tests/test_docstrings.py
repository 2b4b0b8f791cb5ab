"""What is public is documented: in the API, with examples that stand alone, and ways onward."""

import ast
import builtins
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import interventional

API = Path(__file__).parents[1] / "docs" / "api" / "index.md"
LISTED = re.findall(r"^   ([\w.]+)$", API.read_text(encoding="utf-8"), re.MULTILINE)
OF_SKLEARN = ("set_", "get_")  # generated, or inherited


def found(path):
    """Return a public object by its name below the package."""
    module, _, name = f"interventional.{path}".rpartition(".")
    return getattr(importlib.import_module(module), name)


def public():
    """Yield each public object, and each method and property of a class, by name."""
    for path in LISTED:
        thing = found(path)
        yield path, thing
        if inspect.isclass(thing):
            for name, member in inspect.getmembers(thing):
                function = member.fget if isinstance(member, property) else member
                ours = (getattr(function, "__module__", None) or "").startswith("interventional")
                if ours and not name.startswith(("_", *OF_SKLEARN)):
                    yield f"{path}.{name}", member


PUBLIC = dict(public())


def names_missing(code):
    """Return the names that code reads and neither makes nor finds among Python's own."""
    tree = ast.parse(code)
    made = set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            made |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return read - made


def test_what_the_package_exports_is_in_the_api():
    assert set(interventional.__all__) <= set(LISTED)
    assert len(PUBLIC) > 60


@pytest.mark.parametrize("path", PUBLIC)
def test_docstring(path):
    text = inspect.getdoc(PUBLIC[path])
    examples = doctest.DocTestParser().get_examples(text)
    assert examples, "no example"
    assert not names_missing("".join(example.source for example in examples))
    assert "\nSee Also\n--------\n" in text


def test_names_that_are_missing_are_found():
    assert names_missing("import numpy as np\nx = np.ones(n)\nprint([i for i in x])") == {"n"}


def targets(text):
    """Return what the See Also section of a docstring names."""
    section = re.search(r"\nSee Also\n-+\n(.*?)(?=\n\w[\w ]*\n-+\n|\Z)", text, re.DOTALL)
    return re.findall(r"^([\w.]+) :", section[1], re.MULTILINE)


@pytest.mark.parametrize("path", PUBLIC)
def test_see_also_leads_somewhere(path):
    named = targets(inspect.getdoc(PUBLIC[path]))
    assert named
    owner = path.rpartition(".")[0]
    for target in named:
        below = target.removeprefix("interventional.")
        assert {f"{owner}.{below}", f"{path}.{below}", below} & {*PUBLIC}, target
