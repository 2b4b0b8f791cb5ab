"""CausalGraph: reading every form, adjustment sets, independences."""

import pickle
import random
from itertools import combinations

import hypothesis
import networkx as nx
import pytest
from graphs_common import random_graph
from hypothesis import strategies as st
from sklearn.base import clone

from interventional.graph.causal_graph import CausalGraph

MEDIATOR = CausalGraph([("b", "m"), ("m", "y"), ("b", "y")])

# --- Reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "graph",
    [
        [("b", "m"), ("m", "y"), ("b", "y")],
        [("b", "y"), ["m", "y"], ("b", "m"), ("b", "m")],
        ["b -> m -> y", ("b", "y")],
        {"m": "b", "y": ["m", "b"]},
        {"y": ("b", "m"), "m": ["b"], "b": []},
        "b -> m; m -> y; b -> y",
        "b -> m -> y, b -> y",
        "  b->m\ny <- m ; y<-b\n\n",
        "b ->\n m -> y  # a comment\n b -> y // another",
        "'b' -> \"m\"; m -> 'y'; b -> y;",
        "digraph { b -> m -> y; b -> y }",
        'strict digraph "g" {\n rankdir=LR; node [shape=box]\n b [label="x; y -> z"];\n'
        '"b" -> m [weight=2] \n m -> "y" /* no more\n of that */; b -> y;}\n',
        "dag { b [exposure]\n y [outcome]\n b -> m ; m -> y ; b -> y }",
        nx.DiGraph([("b", "m"), ("m", "y"), ("b", "y")]),
        nx.MultiDiGraph([("b", "m"), ("m", "y"), ("m", "y"), ("b", "y")]),
        MEDIATOR,
    ],
)
def test_every_form_reads_alike(graph):
    assert CausalGraph(graph) == MEDIATOR
    assert hash(CausalGraph(graph)) == hash(MEDIATOR)


def test_confounded_pairs():
    graph = CausalGraph("y <-> x; x <-> y; x -> y; a <-> b")
    assert graph.confounded == (("a", "b"), ("x", "y"))
    assert CausalGraph(
        "digraph { x -> y; x -> y [dir=both, style=dashed]; b -> a [dir=both] }"
    ) == (graph)
    assert CausalGraph(["x <-> y", ("x", "y"), "a <-> b"]) == graph
    assert CausalGraph(["lone; x <-> y", "x -> y; other"]).nodes == ("lone", "other", "x", "y")
    assert CausalGraph({"sales": "price"}) == CausalGraph("price -> sales")
    assert CausalGraph("x -> y") != CausalGraph("x <-> y")


def test_unobserved_nodes():
    graph = CausalGraph("u -> x -> y; u -> y", unobserved=["u"])
    assert graph.unobserved == {"u"}
    assert graph == CausalGraph("u -> x -> y; u -> y", unobserved="u")
    assert graph == CausalGraph("dag { u [latent]; u -> x -> y; u -> y }")
    assert graph == CausalGraph(graph)
    assert graph != CausalGraph("u -> x -> y; u -> y")


def test_repr_reads_back():
    rng = random.Random(0)
    graphs = [random_graph(rng, n) for n in (3, 4, 6) for _ in range(20)]
    graphs += [
        CausalGraph([("the price", "y"), ('say "hi"', "y"), ("a\\b", "it's"), ("->", "ünï-1")]),
        CausalGraph({"y": "x", "alone": ()}, unobserved="x"),
        CausalGraph(["'[' <-> ']'", ("a;b", "c,d"), ("line\nbreak", "#1"), ("a", "digraph")]),
    ]
    for graph in graphs:
        assert eval(repr(graph)) == graph
    assert repr(CausalGraph("b -> m; m -> y; b <-> y")) == "CausalGraph('b -> m; m -> y; b <-> y')"


@hypothesis.settings(deadline=None)
@hypothesis.given(st.lists(st.text(min_size=1), min_size=2, max_size=4, unique=True))
def test_any_name_can_be_written(names):
    graph = CausalGraph([(names[0], name) for name in names[1:]])
    assert eval(repr(graph)) == graph
    assert CausalGraph(graph.to_graphviz().source) == graph


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("d -> {m1, m2}", "d -> m1; d -> m2"),
        ("digraph { D -> {M1, M2} }", "D -> M1; D -> M2"),
        ("digraph { D -> {M1 M2}; {A B} -> C }", "D -> M1; D -> M2; A -> C; B -> C"),
        ("digraph { D -> {M1; M2\n 'M 3'} [color=red] }", "D -> M1; D -> M2; D -> 'M 3'"),
        ("{A, B} -> {C, D}", "A -> C; A -> D; B -> C; B -> D"),
        ("a -> {b, c} -> d, e <- {a f}", "a -> b; a -> c; b -> d; c -> d; a -> e; f -> e"),
        ("a <- {b,\n  c}\nd -> a", "b -> a; c -> a; d -> a"),
        ("{x y} <-> z", "x <-> z; y <-> z"),
        ("digraph { x -> {y z} [dir=both] }", "x <-> y; x <-> z"),
        ("digraph { {rank=same; A; B}; A -> B }", "A -> B"),
    ],
)
def test_groups_stand_for_each_of_their_nodes(text, edges):
    assert CausalGraph(text) == CausalGraph(edges)


def test_groups_of_unobserved_nodes():
    graph = CausalGraph("digraph { {u w} [latent]; u -> {x y}; w -> x }")
    assert graph.unobserved == {"u", "w"}


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("a -> b -> c -> a; c -> d", "cycle: a -> b -> c -> a"),
        ([("a", "b"), ("b", "a")], "cycle: a -> b -> a"),
        ("a -> a", "'a' cannot cause"),
        ("a <-> a", "'a' cannot cause"),
        ("", "no nodes"),
        ([], "no nodes"),
        (" ;\n", "no nodes"),
        ("a -> b; a -> -> c", "cannot read 'a -> -> c'"),
        ("a b -> c", "cannot read 'a b -> c'.*need quotes"),
        ("a -> ", "cannot read 'a ->'"),
        ("-> a", "cannot read '-> a'"),
        ("a -- b", "cannot read 'a -- b'"),
        ("a => b", "cannot read 'a = > b'"),
        ('a -> "b', "cannot read"),
        ("a -> {b c", "cannot read 'a -> { b c'.*groups such as"),
        ("a -> {b c}}", "cannot read"),
        ("a -> {}", "cannot read"),
        ("a -> {b -> c}", "cannot read"),
        ("a -> {b, {c, d}}", "cannot read"),
        ("a {b c} -> d", "cannot read"),
        ("a -> {rank=same; b}", "cannot read"),
        ("a -> b [weight=2]", "cannot read"),
        ("digraph { a -> subgraph s {b} }", "cannot read"),
        ("digraph { subgraph s { a -> b } }", "cannot read"),
        ("a, b -> y", "cannot tell what 'a , b -> y' means"),
        ("graph { a -- b }", "'graph' has no directions"),
        (("a", "b"), "'a' is not an edge"),
        ([("a", "b", "c")], "is not an edge"),
        ([3], "3 is not an edge"),
        ([("a", "")], "empty name"),
    ],
)
def test_what_cannot_be_read(graph, message):
    with pytest.raises(ValueError, match=message):
        CausalGraph(graph)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ([("a", 1)], r"nodes must be strings; got 1 \(int\)"),
        (nx.DiGraph([(0, 1)]), "nodes must be strings; got 0"),
        ({"y": 3}, "parents of 'y' must be names; got 3"),
        (nx.Graph([("a", "b")]), "undirected"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_graph(graph, message):
    with pytest.raises(TypeError, match=message):
        CausalGraph(graph)


def test_unobserved_must_be_in_the_graph():
    with pytest.raises(ValueError, match="unknown unobserved node 'prise'; did you mean 'price'"):
        CausalGraph("price -> y", unobserved=["prise"])


# --- A value -------------------------------------------------------------------------------------


def test_is_an_immutable_value():
    graph = CausalGraph("b -> m -> y; b <-> y")
    with pytest.raises(AttributeError):
        graph.nodes = ()
    assert pickle.loads(pickle.dumps(graph)) == graph
    assert clone(graph, safe=False) == graph
    projected = graph.observing(["b", "y"])
    assert pickle.loads(pickle.dumps(projected)) == projected


# --- What follows --------------------------------------------------------------------------------


def meets_back_door(graph, treatments, outcome, given):
    """The definition: no descendants, and d-separation without the edges out of the treatments."""
    if any(node in graph.descendants(name) for name in treatments for node in given):
        return False
    cut = graph.to_networkx()
    cut.remove_edges_from([edge for edge in graph.edges if edge[0] in treatments])
    return nx.is_d_separator(cut, set(treatments), {outcome}, set(given))


def test_adjustment_sets_meet_the_back_door_criterion():
    rng = random.Random(4)
    found = 0
    for _ in range(300):
        base = random_graph(rng, rng.choice([4, 5, 6]))
        hidden = rng.sample(base.nodes[:-1], rng.choice([0, 0, 1]))
        graph = CausalGraph(base, unobserved=hidden)
        observed = [node for node in graph.nodes[:-1] if node not in hidden]
        treatments = rng.sample(observed, rng.choice([1, 1, 2]))
        outcome = graph.nodes[-1]
        others = [node for node in observed if node not in treatments]
        sets = [c for size in range(len(others) + 1) for c in combinations(others, size)]
        chosen = graph.adjustment_set(treatments, outcome)
        if chosen is None:
            assert not any(meets_back_door(graph, treatments, outcome, given) for given in sets)
        else:
            found += 1
            assert meets_back_door(graph, treatments, outcome, chosen)
            for node in chosen:  # minimal
                fewer = set(chosen) - {node}
                assert not meets_back_door(graph, treatments, outcome, fewer)
    assert found > 50


def test_adjustment_sets_by_hand():
    m_bias = CausalGraph("x -> y; a -> x; a -> z; b -> z; b -> y", unobserved=["a", "b"])
    assert m_bias.adjustment_set("x", "y") == ()
    assert CausalGraph("x -> y; x <-> y").adjustment_set("x", "y") is None
    assert CausalGraph("y -> x").adjustment_set("x", "y") is None
    assert CausalGraph("x -> m -> y; z -> x; z -> y").adjustment_set(["x"], "y") == ("z",)
    shop = CausalGraph("season -> price -> sales; season -> sales")
    assert shop.adjustment_set("price", "sales") == ("season",)
    with pytest.raises(ValueError, match="'y' is the outcome"):
        MEDIATOR.adjustment_set(["b", "y"], "y")
    with pytest.raises(ValueError, match="unknown node 'q'"):
        MEDIATOR.adjustment_set(["q", "y"], "y")
    with pytest.raises(ValueError, match="unknown node 'z'"):
        MEDIATOR.adjustment_set("b", "z")


def test_independences_are_true_and_complete():
    rng = random.Random(5)
    for _ in range(60):
        graph = random_graph(rng, 5)
        canonical = graph.to_networkx()
        stated = {(a, b): given for a, b, given in graph.independences()}
        for a, b in combinations(graph.nodes, 2):
            others = [node for node in graph.nodes if node not in (a, b)]
            if (a, b) in stated:
                assert nx.is_d_separator(canonical, {a}, {b}, set(stated[a, b]))
            else:
                for size in range(len(others) + 1):
                    for given in combinations(others, size):
                        assert not nx.is_d_separator(canonical, {a}, {b}, set(given))


def test_independences_condition_on_observed_nodes_only():
    graph = CausalGraph("u -> a; u -> b; u -> c; c -> d", unobserved="u")
    assert graph.independences() == (("a", "d", ("c",)), ("b", "d", ("c",)))
