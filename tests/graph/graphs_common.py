"""Random graphs that several tests are held to."""

from itertools import combinations

from interventional import CausalGraph


def random_graph(rng, n):
    """Return a graph of n nodes, dense in edges, with a ``<->`` between every fourth pair."""
    names = [f"v{i}" for i in range(n)]
    pairs = list(combinations(names, 2))
    edges = [f"{a} -> {b}" for a, b in pairs if rng.random() < 0.55]
    edges += [f"{a} <-> {b}" for a, b in pairs if rng.random() < 0.25]
    return CausalGraph("; ".join(names + edges))
