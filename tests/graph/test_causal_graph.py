"""CausalGraph: reading every form, projections, adjustment sets, independences, pictures."""

import pickle
import random
from itertools import combinations

import hypothesis
import matplotlib
import networkx as nx
import pytest
from hypothesis import strategies as st
from sklearn.base import clone
from test_identification import random_graph

from interventional.graph.causal_graph import CausalGraph

matplotlib.use("Agg")

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
        ("a -> {b c}", "cannot read"),
        ("a -> b [weight=2]", "cannot read"),
        ("digraph { subgraph s { a -> b } }", "cannot read"),
        ("digraph { a -> {b; c} }", "cannot read"),
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


def test_relations():
    graph = CausalGraph("a -> b -> d; a -> c -> d -> e; z -> e")
    assert graph.nodes == graph.topological_order() == ("a", "b", "c", "d", "z", "e")
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


# --- Pictures ------------------------------------------------------------------------------------


def test_to_networkx():
    graph = CausalGraph("u -> x -> y; x <-> y", unobserved="u").to_networkx()
    assert set(graph.edges) == {("u", "x"), ("x", "y"), ("x <-> y", "x"), ("x <-> y", "y")}
    hidden = {node for node, observed in graph.nodes(data="observed") if not observed}
    assert hidden == {"u", "x <-> y"}
    assert {observed for _, observed in graph.nodes(data="observed")} == {True, False}


def test_graphviz_source_reads_back():
    graph = CausalGraph("b -> m -> y; b <-> y; 'the price' -> y; 'a:b' -> 'c \"d\"'; lone")
    assert CausalGraph(graph.to_graphviz().source) == graph
    assert "dashed" in graph.to_graphviz().source


def test_graphviz_quotes_its_own_keywords():
    """DOT reads a bare node, edge or strict as something else than a name."""
    source = CausalGraph("node -> edge; strict <-> node").to_graphviz().source
    assert '"node" -> "edge";' in source
    assert '"node" -> "strict" [dir=both' in source


def test_plot():
    import matplotlib.pyplot as plt

    graph = CausalGraph("u -> x -> m -> y; x -> y; x <-> y; z -> y", unobserved="u")
    ax = graph.plot()
    labels = {text.get_text(): text.get_position() for text in ax.texts if text.get_text()}
    assert set(labels) == set(graph.nodes)
    assert all(labels[a][0] < labels[b][0] for a, b in graph.edges)
    # The longest way to a node is its layer; a layer stands in the middle, odd ones a bit lower.
    heights = {"u": 0.5, "z": -0.5, "x": -0.35, "m": 0.0, "y": -0.35}
    layers = {"u": 0, "z": 0, "x": 1, "m": 2, "y": 3}
    assert labels == {node: (layers[node], heights[node]) for node in graph.nodes}
    boxes = {text.get_text(): text.get_bbox_patch() for text in ax.texts if text.get_text()}
    assert {name for name, box in boxes.items() if box.get_linestyle() == "--"} == {"u"}
    names = [text for text in ax.texts if text.get_text()]
    assert all((text.get_ha(), text.get_va()) == ("center", "center") for text in names)
    arrows = [text for text in ax.texts if not text.get_text()]
    for arrow, (a, b) in zip(arrows, graph.edges + graph.confounded, strict=True):
        assert (arrow.xyann, arrow.xy) == (labels[a], labels[b])
        assert (arrow.arrow_patch.patchA, arrow.arrow_patch.patchB) == (boxes[a], boxes[b])
        assert arrow.get_zorder() > max(text.get_zorder() for text in names)
    assert [points.get_alpha() for points in ax.collections] == [0]  # they hold the room alone
    assert len(arrows) == len(graph.edges) + len(graph.confounded)
    assert sum(arrow.arrow_patch.get_linestyle() == "--" for arrow in arrows) == 1
    _, mine = plt.subplots()
    assert graph.plot(mine) is mine
    mine.figure.canvas.draw()
    plt.close("all")
