"""Mixed graphs as values: their order, relations, projections, and graphs made of them."""

import pickle
import random
from itertools import combinations

import networkx as nx
import pytest
from graphs_common import random_graph

from interventional.graph.causal_graph import CausalGraph
from interventional.graph.mixed_graph import arranged, as_stated, measuring, projection, with_cause
from interventional.graph.text import Statements, parse

# --- A value -------------------------------------------------------------------------------------


def test_statements_in_any_order_are_one_graph():
    rng = random.Random(0)
    for _ in range(20):
        graph = random_graph(rng, 5)
        stated = as_stated(graph)
        for statements in (stated.nodes, stated.edges, stated.confounded):
            rng.shuffle(statements)
            statements += statements
        stated.confounded = [pair[:: rng.choice([1, -1])] for pair in stated.confounded]
        again = arranged(stated)
        assert as_stated(again) == as_stated(graph)
        assert again == arranged(as_stated(graph))
        assert hash(again) == hash(arranged(as_stated(graph)))


def test_pickles_and_cannot_be_changed():
    graph = arranged(parse("u -> x; u -> y; x <-> m"), ["u"])
    projected = projection(graph, ["x", "y", "m"])
    assert projected.source is graph
    for value in (graph, projected):
        assert pickle.loads(pickle.dumps(value)) == value
    assert pickle.loads(pickle.dumps(projected)).source == graph
    with pytest.raises(AttributeError):
        graph.nodes = ()


# --- Relations -----------------------------------------------------------------------------------


def test_relations():
    graph = CausalGraph("a -> b -> d; a -> c -> d -> e; z -> e")
    assert graph.nodes == ("a", "b", "c", "d", "z", "e")
    assert graph.parents("d") == ("b", "c")
    assert graph.children("a") == ("b", "c")
    assert graph.ancestors("d") == {"a", "b", "c"}
    assert graph.descendants("b") == {"d", "e"}
    shop = CausalGraph("z -> a -> y; z -> y; y <-> z; b <-> y; a <-> b")
    assert shop.edges == (("z", "a"), ("z", "y"), ("a", "y"))  # as causes come, not by name
    assert shop.nodes == ("b", "z", "a", "y")
    assert shop.confounded == (("b", "a"), ("b", "y"), ("z", "y"))
    assert shop.parents("y") == ("z", "a")
    assert shop.children("z") == ("a", "y")
    for relation in (graph.parents, graph.children, graph.ancestors, graph.descendants):
        with pytest.raises(ValueError, match="unknown node 'q'"):
            relation("q")


def test_relations_agree_with_networkx():
    rng = random.Random(1)
    for _ in range(30):
        graph = random_graph(rng, 6)
        directed = nx.DiGraph(graph.edges)
        directed.add_nodes_from(graph.nodes)
        place = {node: i for i, node in enumerate(graph.nodes)}
        assert all(place[a] < place[b] for a, b in graph.edges)
        for node in graph.nodes:
            assert graph.ancestors(node) == nx.ancestors(directed, node)
            assert graph.descendants(node) == nx.descendants(directed, node)


# --- Projection ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph", "observed", "projection"),
    [
        ("u -> x; u -> y; x -> y", "xy", "x -> y; x <-> y"),
        ("x -> u -> v -> y", "xy", "x -> y"),
        ("x <-> u; u -> y", "xy", "x <-> y"),
        ("u <-> v; u -> x; v -> w; w -> y", "xy", "x <-> y"),
        ("x -> u; u -> y; u -> z", "xyz", "x -> y; x -> z; y <-> z"),
        ("x -> u <- y", "xy", "x; y"),
        ("u -> x -> y", "xy", "x -> y"),
        ("x -> y", "xyq", "x -> y"),
    ],
)
def test_projection(graph, observed, projection):
    assert CausalGraph(graph).observing(list(observed)) == CausalGraph(projection)


def test_declared_unobserved_nodes_stay_unobserved():
    graph = CausalGraph("u -> x -> y; u -> y", unobserved="u")
    assert graph.observing(["u", "x", "y"]) == CausalGraph("x -> y; x <-> y")
    assert CausalGraph("price -> y").observing("price") == CausalGraph("price")
    with pytest.raises(ValueError, match="none of the graph's nodes is observed"):
        graph.observing(["a", "u"])


def test_projection_keeps_all_d_separations():
    rng = random.Random(2)
    for _ in range(60):
        graph = random_graph(rng, rng.choice([4, 5, 6]))
        kept = rng.sample(graph.nodes, rng.randint(2, len(graph.nodes)))
        projection = graph.observing(kept)
        assert set(projection.nodes) == set(kept)
        before, after = graph.to_networkx(), projection.to_networkx()
        for a, b in combinations(kept, 2):
            others = [node for node in kept if node not in (a, b)]
            for size in range(len(others) + 1):
                for given in map(set, combinations(others, size)):
                    assert nx.is_d_separator(before, {a}, {b}, given) == nx.is_d_separator(
                        after, {a}, {b}, given
                    )


def test_projecting_in_two_steps_is_projecting_in_one():
    rng = random.Random(3)
    for _ in range(100):
        graph = random_graph(rng, 6)
        first = rng.sample(graph.nodes, 4)
        second = rng.sample(first, 2)
        assert graph.observing(first).observing(second) == graph.observing(second)


def reaches(graph, a, b, hidden):
    """Whether a is b, or a directed path from a to b has all nodes between in a set."""
    between = {*hidden, a, b}
    inner = nx.DiGraph([(p, q) for p, q in graph.edges if {p, q} <= between])
    inner.add_nodes_from((a, b))
    inner.remove_edges_from([(p, q) for p, q in inner.edges if p == b or q == a])
    return nx.has_path(inner, a, b)


def test_projection_by_its_definition():
    """An edge for each directed path through hidden nodes; a pair where two start as one."""
    rng = random.Random(4)
    for _ in range(100):
        graph = random_graph(rng, 6)
        kept = [node for node in graph.nodes if rng.random() < 0.6] or [graph.nodes[0]]
        hidden = set(graph.nodes) - {*kept}
        starts = [(node, node) for node in hidden]
        starts += [*graph.confounded, *(pair[::-1] for pair in graph.confounded)]
        tips = {
            pair
            for pair in combinations(kept, 2)
            for p, q in starts
            if {p, q} <= hidden | {*pair}
            and reaches(graph, p, pair[0], hidden)
            and reaches(graph, q, pair[1], hidden)
            and (p in hidden or p == pair[0])
            and (q in hidden or q == pair[1])
        }
        projected = projection(graph, kept)
        assert set(projected.edges) == {
            (a, b) for a, b in combinations(kept, 2) if reaches(graph, a, b, hidden)
        }
        assert set(map(frozenset, projected.confounded)) == set(map(frozenset, tips))


def test_a_projection_knows_where_it_came_from():
    graph = CausalGraph("u -> x -> w -> y; u -> y")
    once = graph.observing(["x", "w", "y"])
    assert once.source is graph
    assert once.observing(["x", "y"]).source is graph
    assert CausalGraph(once).source is graph
    assert graph.source is None


# --- Graphs from graphs --------------------------------------------------------------------------


def test_a_further_cause():
    graph = CausalGraph("x -> y; x <-> y; u -> x", unobserved="u")
    more = with_cause(graph, "noise", "y")
    assert CausalGraph(more) == CausalGraph("x -> y; x <-> y; u -> x; noise -> y", unobserved="u")
    with pytest.raises(ValueError, match="cycle: x -> y -> x"):
        with_cause(graph, "y", "x")


def test_measuring_a_common_cause_keeps_all_d_separations():
    """What was hidden may be given now; without it, all is as before."""
    rng = random.Random(5)
    checked = 0
    while checked < 30:
        graph = random_graph(rng, 4)
        if not graph.confounded:
            continue
        checked += 1
        a, b = rng.choice(graph.confounded)
        measured = measuring(graph, a, b)
        assert len(measured.nodes) == len(graph.nodes) + 1
        assert len(measured.confounded) == len(graph.confounded) - 1
        assert CausalGraph(measured).observing(graph.nodes) == graph


# --- What is no graph ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "error", "message"),
    [
        (Statements(), ValueError, "no nodes"),
        (Statements(["a", ""]), ValueError, "empty name"),
        (Statements(["a", 3]), TypeError, r"nodes must be strings; got 3 \(int\)"),
        (Statements(["a"], unobserved=["b"]), ValueError, "unknown unobserved node 'b'"),
        (Statements(edges=[("a", "a")]), ValueError, "'a' cannot cause or confound itself"),
        (Statements(confounded=[("a", "a")]), ValueError, "'a' cannot cause or confound itself"),
        (Statements(edges=[("b", "a"), ("a", "b")]), ValueError, "cycle: a -> b -> a"),
    ],
)
def test_what_cannot_be_arranged(stated, error, message):
    with pytest.raises(error, match=message):
        arranged(stated)
