"""Identification: named cases, a complete algorithm's verdicts, and exact truths."""

import csv
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from graphs_common import binary_model, linear_model, random_graph, true_response

from interventional.errors import NotIdentifiedError
from interventional.graph.causal_graph import CausalGraph
from interventional.graph.choice import regressions
from interventional.graph.identification import (
    affected,
    is_answered,
    is_licensed,
    regenerated,
)
from interventional.graph.rule import forcing, is_determined
from interventional.graph.separation import admg

TABLE = Path(__file__).parents[1] / "fixtures" / "identification.csv"


def test_back_door_through_a_column_that_is_no_parent():
    graph = CausalGraph("x -> y; u -> y; u -> z; z -> x", unobserved="u")
    verdict = graph.is_identified("x", "y")
    assert verdict
    assert verdict.adjustment == {"y": ("z",)}
    assert verdict.reason == "the equation of 'y' adjusts for 'z'"


@pytest.mark.parametrize("chain", ["x -> m -> y", "x -> m1 -> m2 -> y"])
def test_front_door(chain):
    graph = CausalGraph(f"{chain}; x <-> y")
    assert graph.is_identified("x", "y").adjustment["y"] == ("x",)
    assert affected(graph, frozenset("x"), "y")[-1] == "y"


def test_m_bias_does_not_adjust_for_the_collider():
    graph = CausalGraph("x -> y; a -> x; a -> z; b -> z; b -> y", unobserved=["a", "b"])
    assert graph.is_identified("x", "y").adjustment == {"y": ()}


def test_bow_is_refused_and_says_what_would_help():
    graph = CausalGraph("x -> y; x <-> y")
    with pytest.raises(NotIdentifiedError, match="x <-> y: an unobserved common cause of x and y"):
        affected(graph, frozenset("x"), "y")
    named = CausalGraph("x -> y; u -> x; u -> y").observing(["x", "y"])
    with pytest.raises(NotIdentifiedError, match="Measuring 'u' would identify it"):
        affected(named, frozenset("x"), "y")


def test_measuring_either_link_of_an_open_path_helps():
    graph = CausalGraph("x -> y; u -> x; u -> w; w -> y", unobserved=["u", "w"])
    assert "Measuring 'u' or 'w' would identify it" in graph.is_identified("x", "y").reason


def test_an_instrument_alone_identifies_its_own_effect_only():
    graph = CausalGraph("i -> x -> y; x <-> y")
    assert not graph.is_identified("x", "y")
    assert graph.is_identified("i", "y")


def test_a_confounder_of_an_irrelevant_pair_changes_nothing():
    graph = CausalGraph("x -> y; z -> x; z -> y; a -> b; a <-> b; b <-> x")
    assert graph.is_identified("x", "y").adjustment == {"y": ()}


def test_verdicts_are_per_query():
    graph = CausalGraph("a -> y; b -> y; b <-> y")
    assert graph.is_identified("a", "y")
    assert not graph.is_identified("b", "y")
    assert not graph.is_identified(["a", "b"], "y")


def test_mediators_with_a_common_cause():
    graph = CausalGraph("x -> m -> y; x -> y; m <-> y")
    assert graph.is_identified("x", "y")
    assert not graph.is_identified("m", "y")
    pair = CausalGraph("x -> a -> y; x -> b -> y; a <-> b")
    assert pair.is_identified("x", "y")
    # The second of them is drawn given the first, so that they keep going together.
    assert regressions(pair, "y")[1].parents == ("x", "a")


def test_reasons_say_what_equations_take_in():
    pair = CausalGraph("x -> a -> y; x -> b -> y; a <-> b; x <-> y; w -> y")
    assert pair.is_identified("x", "y").reason == (
        "the equation of 'b' takes in 'a' as well; the equation of 'y' adjusts for 'x'"
    )
    # What stays as it was needs no reason: m, whose equation adjusts for z.
    graph = CausalGraph("u -> z -> x -> m -> y; u -> m; w -> y", unobserved="u")
    assert graph.is_identified("x", "y").reason == "the equation of 'm' adjusts for 'z'"
    assert graph.is_identified("w", "y").reason == "nothing confounds it"
    assert CausalGraph("z -> x -> y; z -> y").is_identified("x", "y").reason == (
        "what confounds it is among the causes that each column is regressed on"
    )


def test_measuring_one_common_cause_leaves_the_others():
    one = CausalGraph("x -> m -> y; x <-> m; x <-> y").is_identified("x", "y").reason
    assert one.endswith("Measuring the common cause of 'x' and 'm' would identify it.")
    two = CausalGraph("x -> y; x -> m -> y; x <-> y; x <-> m").is_identified("x", "y").reason
    assert "Measuring" not in two


def test_refusal_names_a_column_to_leave_out():
    text = "d -> a; a -> b; a -> c; b -> c; d <-> b; d <-> c"
    reason = CausalGraph(text).is_identified("d", "c").reason
    assert "There are formulas for it" in reason
    assert "Without 'b' it is identified" in reason


def test_no_effect_needs_no_regression():
    graph = CausalGraph("y -> x; x <-> y")
    assert affected(graph, frozenset("x"), "y") == ()
    verdict = graph.is_identified("x", "y")
    assert verdict.identified is True
    assert verdict.reason == "'x' has no effect on 'y'"


def test_a_forced_mediator_is_not_redrawn():
    graph = CausalGraph("x -> a -> b -> y; x -> y")
    assert affected(graph, frozenset(["x"]), "y") == ("a", "b", "y")
    assert affected(graph, frozenset(["x", "b"]), "y") == ("y",)
    assert affected(graph, frozenset(["x", "a"]), "y") == ("b", "y")


def test_columns_that_the_outcome_causes_stay_out_of_its_equation():
    graph = CausalGraph("x -> y -> z; x <-> z; w <-> z; w -> x; y <-> w")
    *_, equation = regressions(graph, "y")
    assert "z" not in equation.parents + equation.adjustment


def test_forced_values_read_off_a_confounded_column_are_refused():
    graph = CausalGraph("x -> y; w <-> y")
    assert affected(graph, frozenset("x"), "y") == ("y",)
    with pytest.raises(NotIdentifiedError, match="w <-> y"):
        affected(graph, frozenset("x"), "y", reads=frozenset("w"))
    chain = CausalGraph("x -> m -> y")
    with pytest.raises(NotIdentifiedError, match="computed from 'm'"):
        affected(chain, frozenset("x"), "y", reads=frozenset("m"))


def test_forcing_a_column_upstream_of_another_one_may_still_mislead():
    # c acts on y through d only, but the equation of y holds c, and c <-> y.
    graph = CausalGraph("a -> b; a -> c; a -> y; b -> c; c -> d; d -> y; a <-> d; c <-> y")
    assert "c" in regressions(graph, "y")[-1].parents
    assert graph.is_identified("d", "y")
    assert not is_licensed(graph, frozenset(["c", "d"]), "y")
    # A regression of the query's own takes c at the value that it had.
    assert graph.is_identified(["c", "d"], "y").adjustment == {"y": ("a", "c")}


def test_bad_queries():
    graph = CausalGraph("price -> y; u -> y", unobserved="u")
    with pytest.raises(ValueError, match="did you mean 'price'"):
        graph.is_identified("prise", "y")
    with pytest.raises(ValueError, match="'y' is the outcome"):
        graph.is_identified("y", "y")
    with pytest.raises(ValueError, match="unknown outcome 'z'"):
        regressions(CausalGraph("a -> y"), "z")
    with pytest.raises(ValueError, match="project out 'u' first"):
        regressions(graph, "y")
    verdict = graph.is_identified("u", "y")
    assert verdict.identified is False
    assert verdict.reason == "'u' is unobserved"
    with pytest.raises(ValueError, match="unknown node 'z'"):
        graph.is_identified("price", "z")
    with pytest.raises(ValueError, match="unknown node 'prise'"):  # whatever the outcome
        graph.is_identified("prise", "u")


# --- Asking again --------------------------------------------------------------------------------


def files_passed(ask):
    """Return the names of the files of whose functions a call passes some."""
    passed = set()

    def note(frame, event, _):
        if event == "call":
            passed.add(Path(frame.f_code.co_filename).name)

    sys.setprofile(note)
    try:
        ask()
    finally:
        sys.setprofile(None)
    return passed


def test_the_same_question_is_thought_through_once():
    thought = {"identification.py", "rule.py", "separation.py", "mixed_graph.py"}
    text = "season -> price -> visits -> sales; price <-> sales; season -> visits"

    def ask():
        # Equal graphs, not the same ones: such as two estimators hold.
        return regenerated(graphs.pop(), "sales", frozenset(["price"]), frozenset(["season"]))

    graphs = [CausalGraph(text) for _ in range(3)]
    assert thought <= files_passed(ask)
    assert not thought & files_passed(ask)
    assert ask() == ("visits",)


def test_refusals_of_equal_graphs_are_their_own():
    plain = CausalGraph("x -> y; x <-> y")
    named = CausalGraph("x -> y; u -> x; u -> y").observing(["x", "y"])
    assert plain == named
    for graph, missing in [(plain, "the common cause of 'x' and 'y'"), (named, "'u'")] * 2:
        with pytest.raises(NotIdentifiedError, match=f"Measuring {missing} would identify it"):
            regenerated(graph, "y", frozenset("x"))


def test_columns_that_cannot_be_forced():
    graph = CausalGraph("x -> y -> z")
    with pytest.raises(ValueError, match=r"column 'w' is not in the graph.*holds 'x', 'y', 'z'"):
        regenerated(graph, "y", frozenset(["w", "x"]))
    with pytest.raises(ValueError, match="the graph has 'y' as a cause of 'z'"):
        regenerated(graph, "y", frozenset(["x", "z"]))
    # What is read, but not in the graph, is as good as a constant.
    assert regenerated(graph, "y", frozenset("x"), frozenset(["w"])) == ()


# --- Against a complete algorithm ----------------------------------------------------------------


def queries():
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            nodes = sorted(set("abcde").intersection("".join(row.values())))
            edges = [edge.replace(">", " -> ") for edge in row["directed"].split()]
            pairs = [pair.replace("~", " <-> ") for pair in row["bidirected"].split()]
            graph = CausalGraph("; ".join([*nodes, *edges, *pairs]))
            yield graph, frozenset(row["treatment"].split()), row["outcome"], row["identified"]


def test_verdicts_of_a_complete_algorithm():
    by_equations, answered, identifiable = Counter(), Counter(), Counter()
    for graph, do, outcome, identified in queries():
        ours = is_answered(graph, do, outcome)
        assert identified == "1" or not ours, (graph, do, outcome)
        g = admg(graph)
        query = forcing(g, g.mask(do), g.names.index(outcome))
        assert is_determined(g, query) == (identified == "1"), (graph, do, outcome)
        kind = len(graph.nodes), len(do)
        by_equations[kind] += is_licensed(graph, do, outcome)
        answered[kind] += ours
        identifiable[kind] += identified == "1"
    # By nodes and forced columns. docs/how_it_works/identification.md tells which the others are.
    assert identifiable == {(2, 1): 3, (3, 1): 59, (3, 2): 9, (4, 1): 2250, (4, 2): 462} | {
        (5, 1): 627,
        (5, 2): 145,
    }
    assert by_equations == {(2, 1): 3, (3, 1): 59, (3, 2): 9, (4, 1): 2227, (4, 2): 430} | {
        (5, 1): 604,
        (5, 2): 122,
    }
    assert answered == {(2, 1): 3, (3, 1): 59, (3, 2): 9, (4, 1): 2245, (4, 2): 432} | {
        (5, 1): 621,
        (5, 2): 128,
    }


# --- Against the truth in linear models ----------------------------------------------------------


def our_response(graph, cov, do, outcome):
    """The same slopes by the package's formula, from the covariance of the observed columns.

    Each redrawn node has slopes on the forced values; what is factual has none.
    """
    place = {name: i for i, name in enumerate(graph.nodes)}
    regs = {reg.node: reg for reg in regressions(graph, outcome)}
    redrawn = affected(graph, frozenset(do), outcome)
    slopes = {name: np.eye(len(do))[i] for i, name in enumerate(do)}
    for node in redrawn:
        reg = regs[node]
        columns = [place[name] for name in reg.parents + reg.adjustment]
        beta = np.linalg.solve(cov[np.ix_(columns, columns)], cov[columns, place[node]])
        parents = zip(reg.parents, beta, strict=False)  # the adjustment columns stay factual
        slopes[node] = sum(
            (b * slopes[name] for name, b in parents if name in slopes), np.zeros(len(do))
        )
    return slopes[outcome] if redrawn else np.zeros(len(do))


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_exact_effects_in_linear_models(n):
    choose, rng = random.Random(n), np.random.default_rng(n)
    checked = adjusted = 0
    while checked < 400:
        graph = random_graph(choose, n)
        outcome = graph.nodes[-1]
        do = sorted(choose.sample(graph.nodes[:-1], choose.choice([1, 1, 2])))
        if not is_licensed(graph, frozenset(do), outcome):
            continue
        B, cov = linear_model(graph, rng)
        truth = true_response(graph, B, do, outcome)
        assert our_response(graph, cov, do, outcome) == pytest.approx(truth, abs=1e-8), graph
        checked += bool(truth.any())
        adjusted += any(graph.is_identified(do, outcome).adjustment.values())
    assert adjusted >= 5


# --- Against probability tables ------------------------------------------------------------------


def expectations(graph, joint, forced, outcome):
    """E[outcome] of each row under the intervention by the package's formula, from p(v) alone."""
    n = len(graph.nodes)
    place = {name: i for i, name in enumerate(graph.nodes)}
    regs = {reg.node: reg for reg in regressions(graph, outcome)}
    redrawn = affected(graph, frozenset(forced), outcome)

    def chance(node, values):
        """P(node = 1 | regressors = values)."""
        given = {place[name]: values[name] for name in regs[node].parents + regs[node].adjustment}
        kept = joint[tuple(given.get(i, slice(None)) for i in range(n))]
        axis = sum(i not in given for i in range(place[node]))
        return kept.take(1, axis=axis).sum() / kept.sum()

    def expected(row, world, todo):
        if not todo:
            return world[outcome]
        node, *rest = todo
        values = {name: world[name] for name in regs[node].parents}
        values |= {name: row[name] for name in regs[node].adjustment}
        p = chance(node, values)
        yes, no = (expected(row, world | {node: value}, rest) for value in (1, 0))
        return p * yes + (1 - p) * no

    means = np.empty(joint.shape)
    for index in np.ndindex(joint.shape):
        row = dict(zip(graph.nodes, map(int, index), strict=True))
        means[index] = expected(row, row | forced, redrawn)
    return means


def test_exact_effects_in_binary_models():
    # Nothing linear here: what holds must hold for any distribution. Beyond the average it must
    # hold among rows of one value of the forced column, or of a column that a policy reads.
    choose, rng = random.Random(0), np.random.default_rng(0)
    kinds = Counter()
    while kinds["further columns"] < 100 or kinds["read"] < 100:
        graph = random_graph(choose, choose.choice([3, 4, 4, 5]))
        outcome = graph.nodes[-1]
        do = sorted(choose.sample(graph.nodes[:-1], choose.choice([1, 1, 2])))
        regs = regressions(graph, outcome)
        if not is_licensed(graph, frozenset(do), outcome):
            continue
        redrawn = affected(graph, frozenset(do), outcome)
        further = any(
            {*reg.parents, *reg.adjustment} - set(graph.parents(reg.node))
            for reg in regs
            if reg.node in redrawn
        )
        if not redrawn or (not further and kinds["parents only"] >= 30):
            continue
        kinds["further columns" if further else "parents only"] += 1
        nature = binary_model(graph, rng)
        forced = {name: choose.randint(0, 1) for name in do}
        joint, truth = nature({}), nature(forced)
        ours = joint * expectations(graph, joint, forced, outcome)
        y = graph.nodes.index(outcome)
        truth = truth * np.indices(truth.shape)[y]
        assert ours.sum() == pytest.approx(truth.sum(), abs=1e-10), (graph, do)
        for i, name in enumerate(graph.nodes[:-1]):
            if any(name in graph.descendants(cause) for cause in do):
                continue
            try:
                affected(graph, frozenset(do), outcome, reads=frozenset([name]))
            except NotIdentifiedError:
                assert name not in do or len(do) > 1
                continue
            kinds["read"] += 1
            others = tuple(j for j in range(ours.ndim) if j != i)
            assert ours.sum(axis=others) == pytest.approx(truth.sum(axis=others), abs=1e-10)
