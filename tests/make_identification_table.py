"""Writes tests/fixtures/identification.csv: what the ID algorithm says of small causal graphs.

The ID algorithm (Shpitser & Pearl 2006) is complete: an effect that it does not identify no method
can. The verdicts are those of y0 0.2.11 with networkx 3.6.1 on Python 3.12, which this package
does not need otherwise. To write the table anew:

    python -m venv y0-env && y0-env/bin/pip install y0==0.2.11
    y0-env/bin/python tests/make_identification_table.py

Rows: every graph of three and four nodes with directed and <-> edges, every query of one or two
treatments that each have a directed path to the outcome around the others, all up to renaming of
nodes; and 1,500 random queries on five nodes.
"""

import csv
import random
from itertools import combinations, permutations
from pathlib import Path

from y0.algorithm.identify import identify_outcomes
from y0.dsl import Variable
from y0.graph import NxMixedGraph

TABLE = Path(__file__).parent / "fixtures" / "identification.csv"
Pair = tuple[int, int]
Query = tuple[int, tuple[Pair, ...], tuple[Pair, ...], tuple[int, ...], int]


def subsets(pairs: list[Pair]):
    for mask in range(1 << len(pairs)):
        yield tuple(pair for i, pair in enumerate(pairs) if mask >> i & 1)


def matters(directed, treatments, outcome) -> bool:
    """Whether every treatment has a directed path to the outcome around the other treatments."""
    causes = {outcome}
    for node in range(outcome - 1, -1, -1):
        if any(a == node and b in causes and b not in treatments for a, b in directed):
            causes.add(node)
    return causes.issuperset(treatments)


def canonical(n, directed, bidirected, treatments, outcome) -> Query:
    """Return the first, in lexical order, of all renamings of a query."""
    return min(
        (
            n,
            tuple(sorted((new[a], new[b]) for a, b in directed)),
            tuple(sorted((min(new[a], new[b]), max(new[a], new[b])) for a, b in bidirected)),
            tuple(sorted(new[node] for node in treatments)),
            new[outcome],
        )
        for new in permutations(range(n))
    )


def all_queries(n) -> set[Query]:
    pairs = list(combinations(range(n), 2))
    found = set()
    for directed in subsets(pairs):
        queries = [
            (treatments, outcome)
            for outcome in range(n)
            for size in (1, 2)
            for treatments in combinations(range(outcome), size)
            if matters(directed, treatments, outcome)
        ]
        for bidirected in subsets(pairs) if queries else ():
            found |= {canonical(n, directed, bidirected, *query) for query in queries}
    return found


def some_queries(n, count, rng) -> set[Query]:
    pairs = list(combinations(range(n), 2))
    found: set[Query] = set()
    while len(found) < count:
        directed = tuple(pair for pair in pairs if rng.random() < 0.5)
        bidirected = tuple(pair for pair in pairs if rng.random() < 0.25)
        treatments = tuple(sorted(rng.sample(range(n - 1), rng.choice([1, 1, 2]))))
        if matters(directed, treatments, n - 1):
            found.add((n, directed, bidirected, treatments, n - 1))
    return found


def identified(query: Query) -> bool:
    n, directed, bidirected, treatments, outcome = query
    node = [Variable(name) for name in "ABCDE"[:n]]
    graph = NxMixedGraph.from_edges(
        nodes=node,
        directed=[(node[a], node[b]) for a, b in directed],
        undirected=[(node[a], node[b]) for a, b in bidirected],
    )
    estimand = identify_outcomes(
        graph, treatments={node[i] for i in treatments}, outcomes={node[outcome]}
    )
    return estimand is not None


def main() -> None:
    queries = [*sorted(all_queries(3)), *sorted(all_queries(4))]
    queries += sorted(some_queries(5, 1500, random.Random(0)))
    name = "abcde"
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["directed", "bidirected", "treatment", "outcome", "identified"])
        for query in queries:
            _, directed, bidirected, treatments, outcome = query
            writer.writerow(
                [
                    " ".join(f"{name[a]}>{name[b]}" for a, b in directed),
                    " ".join(f"{name[a]}~{name[b]}" for a, b in bidirected),
                    " ".join(name[i] for i in treatments),
                    name[outcome],
                    int(identified(query)),
                ]
            )


if __name__ == "__main__":
    main()
