"""Random graphs that several tests are held to, and models of them whose truth is known."""

from itertools import combinations

import numpy as np

from interventional import CausalGraph


def random_graph(rng, n):
    """Return a graph of n nodes, dense in edges, with a ``<->`` between every fourth pair."""
    names = [f"v{i}" for i in range(n)]
    pairs = list(combinations(names, 2))
    edges = [f"{a} -> {b}" for a, b in pairs if rng.random() < 0.55]
    edges += [f"{a} <-> {b}" for a, b in pairs if rng.random() < 0.25]
    return CausalGraph("; ".join(names + edges))


def linear_model(graph, rng):
    """Return coefficients B (row: effect) and the covariance of V = B V + e."""
    place = {name: i for i, name in enumerate(graph.nodes)}
    n = len(place)
    B, noise = np.zeros((n, n)), np.diag(rng.uniform(0.5, 1.5, n))
    for cause, effect in graph.edges:
        B[place[effect], place[cause]] = rng.normal()
    for pair in graph.confounded:
        loading = np.zeros(n)
        loading[[place[name] for name in pair]] = rng.normal(size=2)
        noise += np.outer(loading, loading)
    total = np.linalg.inv(np.eye(n) - B)
    return B, total @ noise @ total.T


def true_response(graph, B, do, outcome):
    """E[outcome] is linear in what the columns are forced to: the slopes, by path tracing."""
    place = {name: i for i, name in enumerate(graph.nodes)}
    cut = B.copy()
    cut[[place[name] for name in do]] = 0
    total = np.linalg.inv(np.eye(len(B)) - cut)
    return np.array([total[place[outcome], place[name]] for name in do])


def binary_model(graph, rng):
    """Return a function from forced values to the table of what the nodes would be by nature.

    With nothing forced this is p(v). Forced nodes pass their forced values on, but keep in the
    table the value that they would have had (a single-world intervention graph). A fair coin
    stands for each ``<->``; every node has a random table.
    """
    n, coins = len(graph.nodes), graph.confounded
    place = {name: i for i, name in enumerate(graph.nodes)}
    tables = []
    for name in graph.nodes:
        axes = [place[p] for p in graph.parents(name)]
        axes += [n + k for k, pair in enumerate(coins) if name in pair]
        tables.append((axes, rng.uniform(0.1, 0.9, size=(2,) * len(axes))))

    def nature(forced):
        grid = np.indices((2,) * (n + len(coins)))
        passed = [
            np.full_like(grid[i], forced[graph.nodes[i]])
            if i < n and graph.nodes[i] in forced
            else grid[i]
            for i in range(len(grid))
        ]
        p = np.full(grid.shape[1:], 0.5 ** len(coins))
        for i, (axes, table) in enumerate(tables):
            one = table[tuple(passed[axis] for axis in axes)]
            p = p * np.where(grid[i] == 1, one, 1 - one)
        return p.sum(axis=tuple(range(n, n + len(coins))))

    return nature
