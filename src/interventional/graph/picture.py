"""Pictures of graphs: text for Graphviz, and where nodes and edges lie.

Nodes stand in layers, each right of all its causes. An edge over several layers has a place of its
own in each of them, between nodes (Sugiyama, Tagawa and Toda 1981); it crosses a layer there, as
a level line, and moves up or down between layers, where no node stands. So no edge crosses a node
that is not its end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from interventional.graph.mixed_graph import MixedGraph
from interventional.graph.text import quote

# In points, of a font of 10.
_GAP, _MARGIN = 30.0, 6.0  # between layers, and around all
_HALF, _ROOM, _LANE = 10.0, 40.0, 16.0  # half a box's height; what nodes and passing edges take
_PORT, _BOW = 4.0, 14.0  # how far from the middle of boxes <-> ends, and bows up
_STUB = 8.0  # where edges leave and reach boxes they are level
_SWEEPS = 4

Point = tuple[float, float]
Place = tuple[str, ...]  # a node; or where an edge passes: its ends and kind, and the layer


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


@dataclass(frozen=True)
class Layout:
    """Where nodes and edges lie, in points of a font of 10; y points up.

    Attributes
    ----------
    boxes : dict of str to tuple of float
        Of each node its middle, x and y, and half its width and height.
    arrows, two_heads : list of list of tuple
        Of each edge, and of each ``<->``, a path: where it starts, then three points of a cubic
        Bézier curve for each part of it.
    size : tuple of float
        Width and height of the picture, whose lower left corner is (0, 0).
    """

    boxes: dict[str, tuple[float, float, float, float]]
    arrows: list[list[Point]]
    two_heads: list[list[Point]]
    size: tuple[float, float]


def layout(graph: MixedGraph, halves: Mapping[str, float]) -> Layout:
    """Return where nodes and edges lie, given half the width that each node's box takes.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> found = layout(CausalGraph("x -> m -> y; x -> y"), {"x": 9.0, "m": 9.0, "y": 9.0})
    >>> {name: box[:2] for name, box in found.boxes.items()}
    {'x': (15.0, 34.0), 'm': (79.0, 34.0), 'y': (143.0, 34.0)}
    >>> min(y for _, y in found.arrows[1])  # x -> y, below m
    6.0
    """
    depth = _layers(graph)
    kinds = {"->": graph.edges, "<->": graph.confounded}
    chains = {
        (a, b, kind): _chain(depth, a, b, kind) for kind, pairs in kinds.items() for a, b in pairs
    }
    layers = _ordered(graph, depth, chains.values())
    height = {place: y for layer in layers for place, y in _stacked(layer)}
    wide = [_STUB + max(halves[p[0]] for p in layer if len(p) == 1) for layer in layers]
    across, x = [], _MARGIN - _STUB
    for half in wide:
        across.append(x + half)
        x += 2 * half + _GAP
    low = min(y - (_HALF if len(place) == 1 else 0.0) for place, y in height.items()) - _MARGIN
    boxes = {
        node: (across[depth[node]], height[node,] - low, halves[node], _HALF)
        for node in graph.nodes
    }
    paths: dict[str, list[list[Point]]] = {"->": [], "<->": []}
    for (a, b, kind), chain in chains.items():
        first, last = sorted((a, b), key=depth.__getitem__)
        if depth[a] == depth[b]:
            layers_of = [depth[a], depth[a]]
        else:
            layers_of = list(range(depth[first], depth[last] + 1))
        stops = [
            (across[k], wide[k], height[place] - low)
            for k, place in zip(layers_of, chain, strict=True)
        ]
        path = _path(stops, boxes[first][2], boxes[last][2], two_heads=kind == "<->")
        paths[kind].append(path if first == a else path[::-1])
    points = [point for kind in paths.values() for path in kind for point in path]
    right = max([x - _GAP - _STUB, *(px for px, _ in points)])
    top = max([*(y + _HALF for _, y, _, _ in boxes.values()), *(py for _, py in points)])
    return Layout(boxes, paths["->"], paths["<->"], (right + _MARGIN, top + _MARGIN))


def _layers(graph: MixedGraph) -> dict[str, int]:
    """Return each node's layer: right of all its causes, and what has none left of its effects."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        depth[node] = 1 + max((depth[cause] for cause in graph.parents(node)), default=-1)
    for node in graph.nodes:
        effects = [depth[effect] for effect in graph.children(node)]
        if effects and not graph.parents(node):
            depth[node] = min(effects) - 1
    return depth


def _chain(depth: Mapping[str, int], a: str, b: str, kind: str) -> list[Place]:
    """Return the places that an edge joins, its ends included, from left to right."""
    if depth[a] > depth[b]:
        return _chain(depth, b, a, kind)
    between = range(depth[a] + 1, depth[b])
    return [(a,), *((a, b, kind, str(k)) for k in between), (b,)]


def _ordered(
    graph: MixedGraph, depth: Mapping[str, int], chains: Iterable[list[Place]]
) -> list[list[Place]]:
    """Return the places of each layer, from the top, near to those that they are joined to."""
    layers: list[list[Place]] = [[] for _ in range(1 + max(depth.values()))]
    for node in graph.nodes:
        layers[depth[node]].append((node,))
    joined: dict[Place, list[Place]] = {}
    for chain in chains:
        for place in chain[1:-1]:
            layers[int(place[-1])].append(place)
        for left, right in pairwise(chain):
            joined.setdefault(left, []).append(right)
            joined.setdefault(right, []).append(left)
    for sweep in range(2 * _SWEEPS):
        height = {place: y for layer in layers for place, y in _stacked(layer)}
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = {}
            for place in layer:
                near = [height[other] for other in joined.get(place, ())]
                wanted[place] = sum(near) / len(near) if near else height[place]
            layer.sort(key=lambda place: -wanted[place])
            height.update(_stacked(layer))
    return layers


def _stacked(layer: list[Place]) -> list[tuple[Place, float]]:
    """Return the heights of a layer's places, whose nodes stand in the middle."""
    found, y = [], 0.0
    for place in layer:
        room = _ROOM if len(place) == 1 else _LANE
        found.append((place, y - room / 2))
        y -= room
    middle = [height for place, height in found if len(place) == 1] or [y / 2]
    return [(place, height - (middle[0] + middle[-1]) / 2) for place, height in found]


def _path(
    stops: list[tuple[float, float, float]], first: float, last: float, *, two_heads: bool
) -> list[Point]:
    """Return a path through the layers: level across each of them, curved in between.

    `stops` holds the middle and half the width of each layer, and the height there; `first` and
    `last` are half the widths of the boxes at the ends.
    """
    (x, wide, y), rest = stops[0], stops[1:]
    port = _PORT if two_heads else 0.0
    bow = _BOW if two_heads and len(rest) == 1 else 0.0
    here = (x + first, y + port)
    path = [here]

    def level(to: float) -> None:
        start, height = path[-1]
        path.extend([(start + (to - start) / 3, height), (to - (to - start) / 3, height)])
        path.append((to, height))

    level(x + wide)
    if rest[0][0] == x:  # two nodes of one layer
        y = rest[0][2] + port
        out = x + wide + 0.6 * _GAP
        path.extend([(out, path[-1][1]), (out, y), (x + wide, y)])
        level(x + last)
        return path
    for k, (x, wide, y) in enumerate(rest):
        start, height = path[-1]
        ends = k == len(rest) - 1
        to, middle = x - wide, (start + x - wide) / 2
        y += port if ends else 0.0
        path.extend([(middle, height + bow), (middle, y + bow), (to, y)])
        level(x - last if ends else x + wide)
    return path
