"""How the package is built: what `make lint`'s contract of imports does not say."""

import ast
from pathlib import Path

import pytest

import interventional
from interventional.scm.families import FAMILIES

ROOT = Path(interventional.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def name(path):
    return path.relative_to(ROOT).as_posix()


def lines_of_code(path):
    """Count the lines that are neither blank nor of a docstring."""
    text = path.read_text(encoding="utf-8")
    documented = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(
            node
        ):
            documented.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(line.strip()) and number not in documented for number, line in lines)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_file_is_one_thing(path):
    assert lines_of_code(path) <= 350


# Of other packages, where these offer no public way.
ALLOWED = {"dask.py": ["X._meta"]}
HEAVY = (
    "arviz",
    "dask",
    "matplotlib",
    "networkx",
    "nutpie",
    "pymc",
    "pymc_extras",
    "pytensor",
    "xarray",
)


def own_names(tree):
    """Return every private name that a module defines: functions, methods, attributes, fields."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return names


def private(text):
    return text.startswith("_") and not text.startswith("__")


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_private_names_are_those_of_the_module(path):
    """No private name is imported from another module, or asked of another module's object."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own, taken = own_names(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("interventional"):
            taken += [alias.name for alias in node.names if private(alias.name)]
        elif isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in own:
            by = node.value.id if isinstance(node.value, ast.Name) else ""
            if by not in ("self", "cls"):  # whose own it may be by inheritance
                taken.append(ast.unparse(node))
    assert taken == ALLOWED.get(name(path), [])


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_what_takes_seconds_to_import_is_imported_where_it_is_needed(path):
    """Not with a module, the operators of PyTensor's graph and types aside."""
    if name(path) in ("scm/design_op.py", "scm/surface_op.py"):
        return
    imported = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported.append(node.module or "")
    assert not [each for each in imported if each.split(".")[0] in HEAVY]


def docstrings(tree):
    """Return the nodes of all docstrings of a module."""
    owners = (ast.FunctionDef, ast.ClassDef, ast.Module)
    documented = [n for n in ast.walk(tree) if isinstance(n, owners) and ast.get_docstring(n)]
    return {node.body[0].value for node in documented}


def defaults_of_the_estimator(tree):
    """Return the defaults of its parameters, which scikit-learn shows as they are written."""
    made = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return {default for function in made for default in function.args.kw_defaults}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_families_are_named_in_one_place(path):
    """The coefficients are called beta too, so that one is not looked for."""
    if name(path) == "scm/families.py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = docstrings(tree)
    if name(path) == "estimator.py":
        allowed |= defaults_of_the_estimator(tree)
    constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in allowed]
    named = {constant.value for constant in constants if isinstance(constant.value, str)}
    assert not named & (set(FAMILIES) - {"beta"})
