"""What answers look like: in a terminal, and in a notebook, on light ground and on dark."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_base import rc_context, rcParams

from interventional import BayesianInterventionRegressor, CausalGraph, Outcomes, numbers
from interventional.answers import shown
from interventional.answers.reductions import DEFAULT_INTERVAL

SVG = "{http://www.w3.org/2000/svg}"


def outcomes(values, estimand="y", **labels):
    values = np.atleast_3d(np.asarray(values, dtype=float))
    return Outcomes(xr.DataArray(values, dims=("chain", "draw", "obs"), **labels), estimand)


def normal(n, mean=0.0, sd=1.0):
    """Draws whose quantiles are those of a normal, in an order that says nothing."""
    from scipy.stats import norm

    ideal = mean + sd * norm.ppf((np.arange(4000) + 0.5) / 4000)
    return np.repeat(ideal.reshape(4, 1000, 1), n, axis=2)


def tree(html):
    """Parse, so that what is not well-formed fails."""
    return ElementTree.fromstring(html)


class TestLines:
    @pytest.mark.parametrize(
        ("mean", "sd", "said"),
        [
            (20.1, 0.1, "20.10 (89%: 19.94 to 20.26)"),  # 1.598 sd to either side
            (0.0, 1.0, "0.0 (89%: -1.6 to 1.6)"),
            (123456.0, 2000.0, "123500 (89%: 120300 to 126700)"),
            (1e-3, 1e-5, "0.001000 (89%: 0.000984 to 0.001016)"),
            (-3e10, 1e9, "-3.00e+10 (89%: -3.16e+10 to -2.84e+10)"),
            (5.0, 0.0, "5 (89%: 5 to 5)"),
        ],
    )
    def test_one_row(self, mean, sd, said):
        one = outcomes(normal(1, mean, sd), "E[y | do(x = 1)]")
        expected = f"<Outcomes: E[y | do(x = 1)] = {said}, 4000 draws>"
        assert re.sub(r"\s+", " ", repr(one)) == expected

    def test_the_interval_is_arviz_own(self):
        defaults = rcParams["stats.ci_prob"], rcParams["stats.ci_kind"]
        assert defaults == DEFAULT_INTERVAL  # which nobody has changed here
        one = outcomes(normal(1))
        with rc_context({"stats.ci_prob": 0.5}):
            assert "(50%: -0.7 to 0.7)" in repr(one)

    def test_several_rows_and_labels_that_break_lines(self):
        many = outcomes(np.concatenate([normal(1, m) for m in range(5)], axis=2), "a\nb")
        assert repr(many).endswith("5 rows, 4000 draws, means 0.0, 1.0, 2.0, …>")

    def test_no_line_is_longer_than_a_hundred(self):
        for length in (10, 50, 60, 70, 85, 95, 120, 500):
            for n in (1, 2, 7):
                said = repr(outcomes(normal(n), "x" * length))
                assert max(map(len, said.splitlines())) <= 100
                assert ("…" in said.replace(", …", "")) == (length > 89)
                assert "4000 draws" in said

    def test_single_draws_and_missing_ends(self):
        assert "= 3 (89%: 3 to 3), 1 draws" in repr(outcomes([[[3.0]]]))
        assert shown.numbers([np.inf, 1.0], np.inf) == ["inf", "1"]
        assert shown.numbers([np.nan], np.nan) == ["nan"]
        assert shown.numbers([-0.001], 1.0) == ["0.0"]

    def test_what_is_not_held_is_not_computed(self, monkeypatch):
        X = pd.DataFrame({"x": np.linspace(0, 1, 50)})
        model = BayesianInterventionRegressor(random_state=0, draws=50)
        model.fit(X, X["x"] + np.cos(np.arange(50)))
        monkeypatch.setattr(numbers, "AT_ONCE", 1000)
        many = model.predict_outcomes(X, kind="predictive")
        monkeypatch.setattr(type(many._contents.samples), "block", None)
        monkeypatch.setattr(type(many._contents.samples), "chunk", None)
        assert repr(many) == "<Outcomes: y | X, 50 rows, 200 draws>"
        assert "computed when they are asked for" in many._repr_html_()

    def test_looking_imports_nothing(self):
        """ArviZ takes seconds, and a line is no reason to import it."""
        code = (
            "import sys, numpy as np, pandas as pd\n"
            "from interventional import BayesianInterventionRegressor as Model\n"
            "from interventional.answers.contents import Contents\n"
            "from interventional.answers.outcomes import outcomes_of\n"
            "from interventional.answers.samples import Held\n"
            "held = Held(np.arange(100.0)[:, None])\n"
            "o = outcomes_of(Contents(held, (4, 25), pd.Index(['a'])), 'y')\n"
            "print(o, o._repr_html_()[:5])\n"
            "assert not {'arviz_base', 'xarray', 'pymc'} & set(sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("<Outcomes: y = 50 (89%: 5 to 94), 100 draws> <div>")


class TestPictures:
    def test_of_one_row(self):
        """The bar spans the interval, the point is the mean, the curve the normal density."""
        one = outcomes(normal(1, 7.0, 2.0), "E[y | do(x < 1 & z)]")
        html = tree(one._repr_html_())
        assert html[0].find("b").text == "E[y | do(x < 1 & z)]"
        svg = html.find(f"{SVG}svg")
        bar, point = svg.find(f"{SVG}line"), svg.find(f"{SVG}circle")
        left, right = float(bar.get("x1")), float(bar.get("x2"))
        assert float(point.get("cx")) == pytest.approx((left + right) / 2, abs=0.2)
        assert [text.text for text in svg.findall(f"{SVG}text")] == ["3.8", "10.2"]
        path = svg.find(f"{SVG}path").get("d")
        x, y = np.array(re.findall(r"L([\d.]+),([\d.]+)", path), dtype=float).T
        base = float(bar.get("y1"))
        sd = (right - left) / (2 * 1.598)  # in points of the picture
        height = (base - y) / (base - y).max()
        expected = np.exp(-0.5 * np.square((x - (left + right) / 2) / sd))
        assert np.abs(height - expected)[1:-1].max() < 0.04

    def test_colours_are_those_of_the_text_around(self):
        """Nothing is of a colour of its own, so that all is legible on dark ground as well."""
        graph = CausalGraph("x -> y; x <-> y")
        for each in (outcomes(normal(1)), outcomes(normal(3)), graph):
            for element in tree(each._repr_html_()).iter():
                for what in ("fill", "stroke"):
                    assert element.get(what, "none") in ("none", "currentColor")
                assert "color" not in element.get("style", "")

    def test_of_a_constant_and_of_long_tails(self):
        assert "<svg" not in outcomes(np.full((4, 25, 1), 3.0))._repr_html_()
        ratio = normal(1) / normal(1)[:, ::-1]
        draws = np.concatenate([ratio[:, :998], [[[1e12]] * 2] * 4], axis=1)
        svg = tree(outcomes(draws)._repr_html_()).find(f"{SVG}svg")
        for element in svg.iter():
            for name in ("x1", "x2", "cx", "x"):
                assert 0 <= float(element.get(name, 0)) <= 320

    @pytest.mark.parametrize("n", [2, 10, 11, 200])
    def test_of_rows(self, n):
        labels = {"coords": {"obs": [f"<row {k}>" for k in range(n)]}}
        rows = outcomes(np.concatenate([normal(1, k) for k in range(n)], axis=2), **labels)
        html = tree(rows._repr_html_())
        header = [cell.text for cell in html.findall("table/thead/tr/th")]
        assert header == [None, "mean", "sd", "eti89_lb", "eti89_ub"]
        found = html.findall("table/tbody/tr")
        assert len(found) == (n if n <= 10 else 6)
        assert [cell.text for cell in found[1]] == ["<row 1>", "1.0", "1.00", "-0.6", "2.6"]
        assert found[-1][0].text == ("…" if n > 10 else f"<row {n - 1}>")
        assert html[-1].text == f"{n} rows, 4000 draws"

    def test_of_groups_by_several_columns(self):
        X = pd.DataFrame({"x": np.arange(8.0), "k": list("aabb") * 2, "&": list("uvuv") * 2})
        model = BayesianInterventionRegressor(random_state=0, draws=50)
        model.fit(X, X["x"] + np.cos(np.arange(8)))
        groups = model.predict_outcomes(X).average(by=["k", "&"])
        html = tree(groups._repr_html_())
        assert [cell.text for cell in html.findall("table/thead/tr/th")][:2] == ["k", "&"]
        cells = [[cell.text for cell in row][:2] for row in html.findall("table/tbody/tr")]
        assert cells == [["a", "u"], ["a", "v"], ["b", "u"], ["b", "v"]]


class TestGraphs:
    def test_every_node_and_edge_is_drawn(self):
        graph = CausalGraph(
            'price -> "a & <b>" -> sales; price <-> sales; u -> sales', unobserved=["u"]
        )
        svg = tree(graph._repr_html_())
        assert sorted(text.text for text in svg.findall(f"{SVG}text")) == sorted(graph.nodes)
        boxes = svg.findall(f"{SVG}rect")
        assert sum("stroke-dasharray" in box.attrib for box in boxes) == 1
        paths = [each for each in svg.findall(f"{SVG}path") if each.get("fill") == "none"]
        assert len(paths) == len(graph.edges) + len(graph.confounded)
        assert sum("stroke-dasharray" in path.attrib for path in paths) == 1

    def test_arrows_end_at_their_boxes(self):
        """From the right side of the cause to the left side of the effect, y turned round."""
        svg = tree(CausalGraph("cause -> effect")._repr_html_())
        left, right = (
            {name: float(box.get(name)) for name in ("x", "y", "width", "height")}
            for box in svg.findall(f"{SVG}rect")
        )
        line, head = svg.findall(f"{SVG}path")
        points = np.array(re.findall(r"([\d.]+),([\d.]+)", line.get("d")), dtype=float)
        middle = left["y"] + left["height"] / 2
        np.testing.assert_allclose(points[0], [left["x"] + left["width"], middle], atol=0.11)
        np.testing.assert_allclose(points[-1], [right["x"], middle], atol=0.11)
        tip = np.array(re.findall(r"([\d.]+),([\d.]+)", head.get("d")), dtype=float)
        np.testing.assert_allclose(tip[0], points[-1], atol=0.11)
        assert (tip[1:, 0] < tip[0, 0]).all()

    @pytest.mark.parametrize("name", ["i", "W" * 12, "a rather long name of a node", "価格の変化"])
    def test_names_fit_their_boxes(self, name):
        """As wide as matplotlib's own font, which is a wide one, draws them."""
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextPath

        svg = tree(CausalGraph([(name, "y")])._repr_html_())
        box = max(float(each.get("width")) for each in svg.findall(f"{SVG}rect"))
        if name.isascii():
            drawn = TextPath((0, 0), name, prop=FontProperties(size=10)).get_extents().width
            assert drawn < box
        else:
            assert box >= 10 * len(name)
