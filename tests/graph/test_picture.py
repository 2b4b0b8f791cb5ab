"""Pictures of graphs: networkx, Graphviz, matplotlib."""

import random
from itertools import combinations

import matplotlib
import numpy as np

from interventional.graph.causal_graph import CausalGraph

matplotlib.use("Agg")


def test_to_networkx():
    graph = CausalGraph("u -> x -> y; x <-> y", unobserved="u").to_networkx()
    assert set(graph.edges) == {("u", "x"), ("x", "y"), ("x <-> y", "x"), ("x <-> y", "y")}
    hidden = {node for node, observed in graph.nodes(data="observed") if not observed}
    assert hidden == {"u", "x <-> y"}
    assert {observed for _, observed in graph.nodes(data="observed")} == {True, False}


def test_graphviz_source_reads_back():
    graph = CausalGraph("b -> m -> y; b <-> y; 'the price' -> y; 'a:b' -> 'c \"d\"'; lone")
    assert CausalGraph(graph.to_graphviz().source) == graph
    assert "dashed" in graph.to_graphviz().source


def test_graphviz_quotes_its_own_keywords():
    """DOT reads a bare node, edge or strict as something else than a name."""
    source = CausalGraph("node -> edge; strict <-> node").to_graphviz().source
    assert '"node" -> "edge";' in source
    assert '"node" -> "strict" [dir=both' in source


def drawn(ax):
    """Return what stands on a picture: names and boxes by name, paths by the line's style."""
    from matplotlib.patches import FancyArrowPatch

    names = {text.get_text(): text for text in ax.texts}
    boxes = [patch for patch in ax.patches if not isinstance(patch, FancyArrowPatch)]
    by_name = {}
    for name, text in names.items():
        (box,) = (box for box in boxes if box.get_bbox().contains(*text.get_position()))
        by_name[name] = box
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(boxes) == len(names)
    return names, by_name, arrows


def trace(arrow, steps=40):
    """Return points along an arrow, (points, 2), in the units of its picture."""
    path = arrow._path_original  # without heads, which other arrows share
    corners, t = path.vertices, np.linspace(0, 1, steps)[:, None]
    parts = []
    for k in range(0, len(corners) - 1, 3):
        a, b, c, d = corners[k : k + 4]
        parts.append(
            (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        )
    return np.concatenate(parts)


def within(points, box, by=0.0):
    """Return which points lie in a box that is made larger all around."""
    low, high = box.get_bbox().min - by, box.get_bbox().max + by
    return ((points >= low) & (points <= high)).all(axis=1)


def test_plot():
    import matplotlib.pyplot as plt

    graph = CausalGraph("u -> x -> m -> y; x -> y; x <-> y; z -> y", unobserved="u")
    ax = graph.plot()
    names, boxes, arrows = drawn(ax)
    assert set(names) == set(graph.nodes)
    at = {name: text.get_position() for name, text in names.items()}
    assert all(at[a][0] < at[b][0] for a, b in graph.edges)
    assert at["z"][0] == at["m"][0]  # what has no cause stands near to its effects
    assert {name for name, box in boxes.items() if box.get_linestyle() == "--"} == {"u"}
    assert all(text.get_ha() == "center" for text in names.values())
    for k, (a, b) in enumerate(graph.edges + graph.confounded):
        arrow = arrows[k]
        start, *_, end = trace(arrow)
        assert within(start[None], boxes[a], 0.01).all()
        assert within(end[None], boxes[b], 0.01).all()
        heads = type(arrow.get_arrowstyle()).__name__
        assert heads == ("CurveFilledB" if k < len(graph.edges) else "CurveFilledAB")
    assert [arrow.get_linestyle() for arrow in arrows].count("--") == 1
    _, mine = plt.subplots()
    assert graph.plot(mine) is mine
    mine.figure.canvas.draw()
    plt.close("all")


def test_an_edge_beside_a_chain_bows_around_what_is_between():
    ax = CausalGraph("a -> b -> c; a -> c").plot()
    names, boxes, (first, beside, last) = drawn(ax)
    heights = {text.get_position()[1] for text in names.values()}
    assert len(heights) == 1  # the chain is on one line
    for straight in (first, last):
        assert np.ptp(trace(straight)[:, 1]) < 1e-9
    around = trace(beside)
    above_or_below = np.abs(around[:, 1] - heights.pop())
    in_the_middle = np.abs(around[:, 0] - names["b"].get_position()[0]).argmin()
    assert above_or_below[in_the_middle] > boxes["b"].get_height()
    assert max(above_or_below[0], above_or_below[-1]) < 1e-9


def test_no_edge_crosses_the_box_of_another_node():
    import matplotlib.pyplot as plt

    choose = random.Random(0)
    for n, edges, pairs in [(3, 3, 1), (5, 7, 2), (8, 14, 4), (12, 20, 5), (20, 45, 6)] * 3:
        names = [f"{'a long name '[: choose.choice([0, 5, 12])]}{i}" for i in range(n)]
        every = list(combinations(names, 2))
        stated = [f"'{a}' -> '{b}'" for a, b in choose.sample(every, edges)]
        stated += [f"'{a}' <-> '{b}'" for a, b in choose.sample(every, pairs)]
        graph = CausalGraph(stated)
        _, mine = plt.subplots(figsize=choose.choice([(4, 3), (9, 2), (3, 7)]))
        for ax in (graph.plot(), graph.plot(mine)):
            texts, boxes, arrows = drawn(ax)
            ends = graph.edges + graph.confounded
            for arrow, pair in zip(arrows, ends, strict=True):
                path = trace(arrow)
                for name, box in boxes.items():
                    if name in pair:
                        assert not within(path, box, -0.01).any(), (graph, pair, name)
                    else:
                        assert not within(path, box, 2.0).any(), (graph, pair, name)
            for one, two in combinations(boxes.values(), 2):
                assert not one.get_bbox().padded(2).overlaps(two.get_bbox())
            ax.figure.canvas.draw()
            for name, text in texts.items():  # names stay within their boxes
                extent = text.get_window_extent().transformed(ax.transData.inverted())
                box = boxes[name].get_bbox()
                assert box.x0 <= extent.x0
                assert extent.x1 <= box.x1
            (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
            everything = np.concatenate([trace(arrow) for arrow in arrows])
            assert ((everything >= [left, low]) & (everything <= [right, high])).all()
        plt.close("all")
