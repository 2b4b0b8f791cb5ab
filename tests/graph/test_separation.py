"""d-separation on bit masks, against networkx."""

import random

import networkx as nx
from graphs_common import random_graph

from interventional.graph.separation import admg, open_path, separated


def test_separation_agrees_with_networkx():
    rng = random.Random(3)
    for _ in range(300):
        graph = random_graph(rng, rng.choice([3, 5, 7]))
        nodes = list(graph.nodes)
        a, b, *others = rng.sample(nodes, len(nodes))
        given = set(others[: rng.randint(0, len(others))])
        g = admg(graph)
        ours = separated(g.parents, g.siblings, g.mask([a]), g.mask([b]), g.mask(given))
        assert ours == nx.is_d_separator(graph.to_networkx(), {a}, {b}, given)
        path = open_path(g.parents, g.siblings, g.mask([a]), g.names.index(b), g.mask(given))
        assert (path is None) == ours
