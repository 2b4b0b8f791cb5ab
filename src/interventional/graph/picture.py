"""Pictures of graphs: text for Graphviz, and where each node stands."""

from interventional.graph.mixed_graph import MixedGraph
from interventional.graph.text import quote


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


def places(graph: MixedGraph) -> dict[str, tuple[float, float]]:
    """Return where each node stands: right of all its causes, a layer in the middle.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> places(CausalGraph("x -> y"))
    {'x': (0.0, 0.0), 'y': (1.0, -0.35)}
    """
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
