"""Pictures of graphs: networkx, Graphviz, matplotlib."""

import matplotlib

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


def test_plot():
    import matplotlib.pyplot as plt

    graph = CausalGraph("u -> x -> m -> y; x -> y; x <-> y; z -> y", unobserved="u")
    ax = graph.plot()
    labels = {text.get_text(): text.get_position() for text in ax.texts if text.get_text()}
    assert set(labels) == set(graph.nodes)
    assert all(labels[a][0] < labels[b][0] for a, b in graph.edges)
    # The longest way to a node is its layer; a layer stands in the middle, odd ones a bit lower.
    heights = {"u": 0.5, "z": -0.5, "x": -0.35, "m": 0.0, "y": -0.35}
    layers = {"u": 0, "z": 0, "x": 1, "m": 2, "y": 3}
    assert labels == {node: (layers[node], heights[node]) for node in graph.nodes}
    boxes = {text.get_text(): text.get_bbox_patch() for text in ax.texts if text.get_text()}
    assert {name for name, box in boxes.items() if box.get_linestyle() == "--"} == {"u"}
    names = [text for text in ax.texts if text.get_text()]
    assert all((text.get_ha(), text.get_va()) == ("center", "center") for text in names)
    arrows = [text for text in ax.texts if not text.get_text()]
    for arrow, (a, b) in zip(arrows, graph.edges + graph.confounded, strict=True):
        assert (arrow.xyann, arrow.xy) == (labels[a], labels[b])
        assert (arrow.arrow_patch.patchA, arrow.arrow_patch.patchB) == (boxes[a], boxes[b])
        assert arrow.get_zorder() > max(text.get_zorder() for text in names)
    assert [points.get_alpha() for points in ax.collections] == [0]  # they hold the room alone
    assert len(arrows) == len(graph.edges) + len(graph.confounded)
    assert sum(arrow.arrow_patch.get_linestyle() == "--" for arrow in arrows) == 1
    _, mine = plt.subplots()
    assert graph.plot(mine) is mine
    mine.figure.canvas.draw()
    plt.close("all")
