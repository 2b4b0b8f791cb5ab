"""README and docs: every Python block runs, and prints what the text block after it shows."""

import io
import json
import re
import tomllib
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path

import pytest

import interventional

ROOT = Path(__file__).parents[1]
# Tutorials are run where the site is built.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [
    page
    for part in ("ideas", "how_to", "how_it_works")
    for page in sorted((ROOT / "docs" / part).glob("*.md"))
]
TEXTS = [
    *PAGES,
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def blocks(text):
    """Yield each block of Python with its line, and the block of output after it, or None."""
    for block, after in pairwise([*FENCE.finditer(text), None]):
        if block[1] != "python":
            continue
        shows = after and after[1] == "text" and not text[block.end() : after.start()].strip()
        line = text[: block.start(2)].count("\n")
        yield line, block[2], after[2] if shows else None


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_code_blocks(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for line, code, expected in blocks(path.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with redirect_stdout(printed):  # the blank lines make a traceback name the page's line
            exec(compile("\n" * line + code, str(path), "exec"), namespace)
        shown = f"{name(path)}, line {line}"
        assert printed.getvalue() == (expected or ""), shown


def test_blocks_are_found():
    page = "a\n```python\nprint(1)\n```\n\n```text\n1\n```\nb\n```\nls\n```\n```python\nx = 1\n```"
    assert list(blocks(page)) == [(2, "print(1)\n", "1\n"), (13, "x = 1\n", None)]
    assert sum(1 for path in PAGES for _ in blocks(path.read_text(encoding="utf-8"))) > 10


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_within_the_repository(path):
    links = LINK.findall(path.read_text(encoding="utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert project["version"] == interventional.__version__
    assert f"\nversion: {interventional.__version__}\n" in citation


def test_speed_in_the_readme_is_that_of_the_benchmarks():
    saved = ROOT / "docs" / "how_it_works" / "benchmarks.json"
    claims = {claim["text"]: claim for claim in json.loads(saved.read_text())["claims"]}
    fit = "exact fit, n = 442, p = 10: "
    ask = "`intervene`, 100 rows x 4,000 draws, warm: "
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for claim, words in (
        (fit + "faster than warm `pm.sample`", "**{:.0f} times** as fast as `pm.sample`"),
        (ask + "faster than `pm.do` and posterior prediction, warm", "**{:.0f} times** as fast"),
        (fit + "against `BayesianRidge`", "is {:.1f} times as fast as the fit"),
    ):
        assert words.format(claims[claim]["measured"]) in readme
