"""Pictures of graphs: text for Graphviz, and matplotlib."""

from typing import Any

from interventional.graph.mixed_graph import MixedGraph
from interventional.graph.text import quote

_EDGE = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 2}
_CONFOUNDED = {
    "arrowstyle": "<|-|>",
    "shrinkA": 2,
    "shrinkB": 2,
    "linestyle": "--",
    "connectionstyle": "arc3,rad=-0.35",
}


def dot(graph: MixedGraph) -> str:
    """Return the graph in Graphviz's language: ``<->`` dashed, unobserved nodes dashed.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> print(dot(CausalGraph("x <-> y")), end="")
    digraph {
      "x";
      "y";
      "x" -> "y" [dir=both, style=dashed, constraint=false];
    }
    """
    lines = [
        f"{quote(node, always=True)}{' [style=dashed]' if node in graph.unobserved else ''}"
        for node in graph.nodes
    ]
    for pairs, style in (
        (graph.edges, ""),
        (graph.confounded, " [dir=both, style=dashed, constraint=false]"),
    ):
        lines += [f"{quote(a, always=True)} -> {quote(b, always=True)}{style}" for a, b in pairs]
    return "digraph {\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def draw(graph: MixedGraph, ax: Any = None) -> Any:
    """Draw the graph with matplotlib on axes, or on new ones, and return these."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots()
    place = _places(graph)
    box = {node: _box(ax, node, place[node], node in graph.unobserved) for node in graph.nodes}
    for pairs, line in ((graph.edges, _EDGE), (graph.confounded, _CONFOUNDED)):
        for a, b in pairs:
            arrow = {"color": "black", "patchA": box[a], "patchB": box[b], **line}
            # After the boxes: where these end is known when they have been drawn.
            drawn = ax.annotate("", place[b], place[a], arrowprops=arrow, zorder=2)
            drawn.set_in_layout(False)
    ax.margins(0.25)
    ax.set_axis_off()
    ax.scatter(*zip(*place.values(), strict=True), alpha=0)
    return ax


def _places(graph: MixedGraph) -> dict[str, tuple[float, float]]:
    """Return where each node stands: right of all its causes, a layer in the middle."""
    layer: dict[str, int] = {}
    for node in graph.nodes:
        layer[node] = 1 + max((layer[p] for p in graph.parents(node)), default=-1)
    place = {}
    for depth in set(layer.values()):
        members = [node for node in graph.nodes if layer[node] == depth]
        for i, node in enumerate(members):
            # The stagger keeps edges over two layers off the nodes between.
            place[node] = (float(depth), (len(members) - 1) / 2 - i - 0.35 * (depth % 2))
    return place


def _box(ax: Any, node: str, place: tuple[float, float], unobserved: bool) -> Any:
    """Write a node's name in a box, and return the box."""
    look = {"boxstyle": "round", "fc": "white", "ec": "black", "ls": "--" if unobserved else "-"}
    text = ax.text(*place, node, ha="center", va="center", bbox=look, zorder=1)
    text.set_in_layout(False)
    return text.get_bbox_patch()
