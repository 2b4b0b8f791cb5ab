"""How long it takes to say whether an effect is identified, and by what, in large graphs.

    python -m benchmarks.identification [graphs] [nodes] [edges] [unobserved]

prints seconds of CPU of random graphs, each query asked afresh: of any column, and of roots.
docs/how_it_works/identification.md tells the worst.
"""

import random
import sys
import time

from interventional import CausalGraph
from interventional.graph import adjustment, choice, identification, separation


def random_graph(seed: int, nodes: int, edges: int, hidden: int) -> CausalGraph:
    """Return a graph whose causes come before their effects, with some nodes unobserved."""
    choose = random.Random(seed)
    names = [f"v{i:02}" for i in range(nodes)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    drawn = [f"{a} -> {b}" for a, b in choose.sample(pairs, edges)]
    return CausalGraph([*drawn], unobserved=choose.sample(names[:-1], hidden))


def seconds(graph: CausalGraph, node: str, outcome: str) -> tuple[float, str]:
    """Return how long one query takes of which nothing is known yet, and its verdict."""
    for cached in (
        choice.regressions,
        identification.affected,
        identification.own_regression,
        adjustment.adjustment_set,
        separation.admg,
    ):
        cached.cache_clear()
    start = time.process_time()
    verdict = graph.is_identified(node, outcome)
    taken = time.process_time() - start
    own = verdict.reason.startswith("by a regression")
    return taken, "own regression" if own else "equations" if verdict else "refused"


def main(graphs: int = 20, nodes: int = 60, edges: int = 160, hidden: int = 10) -> None:
    """Print the mean and the longest time by verdict, and that of roots."""
    found: dict[str, list[float]] = {}
    for seed in range(graphs):
        graph = random_graph(seed, nodes, edges, hidden)
        outcome = max(graph.nodes)
        for node in graph.nodes:
            if node == outcome or node in graph.unobserved:
                continue
            taken, verdict = seconds(graph, node, outcome)
            found.setdefault(verdict, []).append(taken)
            if not graph.parents(node):
                found.setdefault("any, of a root", []).append(taken)
    print(f"{graphs} graphs of {nodes} nodes, {edges} edges, {hidden} unobserved")
    for verdict, each in sorted(found.items()):
        mean = sum(each) / len(each)
        print(f"{verdict:16} {len(each):5} queries, mean {mean:.3f} s, longest {max(each):.3f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
