"""Regressions of queries' own: which queries they answer, and that what they say is true."""

import random

import numpy as np
import pytest
from graphs_common import binary_model, linear_model, random_graph, true_response

from interventional.errors import NotIdentifiedError
from interventional.graph.adjustment import adjustment_set
from interventional.graph.causal_graph import CausalGraph
from interventional.graph.choice import regressions
from interventional.graph.identification import (
    affected,
    is_answered,
    is_licensed,
    own_columns,
    own_regression,
    refuse_reads,
)
from interventional.graph.separation import admg, separated

CHAIN = CausalGraph("z -> x -> a -> b -> y; z -> y; a <-> y")


def hidden_graph(choose, n, edges, hidden):
    """Return a random graph of n nodes with some of them unobserved, and its last node."""
    names = [f"v{i:02}" for i in range(n)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    drawn = choose.sample(pairs, min(edges, len(pairs)))
    stated = "; ".join([*names, *(f"{a} -> {b}" for a, b in drawn)])
    return CausalGraph(stated, unobserved=choose.sample(names[:-1], hidden)), names[-1]


# --- Verdicts ------------------------------------------------------------------------------------


def test_a_mediator_that_shares_a_cause_with_the_outcome_does_not_stop_a_randomised_column():
    verdict = CausalGraph("x -> a -> b -> y; a <-> y").is_identified("x", "y")
    assert verdict
    assert verdict.adjustment == {"y": ()}
    assert verdict.reason == "by a regression of 'y' on 'x' alone"
    assert (
        CHAIN.is_identified("x", "y").reason == "by a regression of 'y' on 'x', adjusting for 'z'"
    )


def test_what_the_equations_answer_they_do():
    assert own_regression(CHAIN, frozenset(["b"]), "y") is None
    assert affected(CHAIN, frozenset(["b"]), "y") == ("y",)
    with pytest.raises(NotIdentifiedError, match=r"equations do not tell .*a <-> y.* 'z', does"):
        affected(CHAIN, frozenset(["x"]), "y")


@pytest.mark.parametrize(("n", "edges", "hidden"), [(9, 18, 3), (12, 24, 4)])
def test_no_query_with_an_adjustment_set_is_refused(n, edges, hidden):
    choose = random.Random(n)
    own = refused = 0
    for _ in range(100):
        graph, outcome = hidden_graph(choose, n, edges, hidden)
        seen = [node for node in graph.nodes[:-1] if node not in graph.unobserved]
        projected = graph.observing(graph.nodes)
        for do in (choose.sample(seen, 1), choose.sample(seen, 1), choose.sample(seen, 2)):
            verdict, sufficient = (
                graph.is_identified(do, outcome),
                graph.adjustment_set(do, outcome),
            )
            assert verdict or sufficient is None, (graph, do)
            assert verdict.identified == is_answered(projected, frozenset(do), outcome)
            assert ("not identified" in verdict.reason) == (not verdict)
            if not verdict:
                refused += 1
                continue
            regression = own_regression(projected, frozenset(do), outcome)
            if regression is None:
                continue
            own += 1
            assert verdict.adjustment == {outcome: regression.adjustment}
            assert graph.adjustment_set(regression.parents, outcome) == regression.adjustment
            if len(do) == 1:
                assert {*regression.parents, *regression.adjustment} <= own_columns(
                    projected, outcome
                )
    assert own
    assert refused >= 20


def test_nothing_in_an_adjustment_set_is_needless_and_any_set_is_found():
    choose, found = random.Random(1), 0
    for _ in range(300):
        graph = random_graph(choose, choose.choice([4, 5, 6]))
        do, outcome = frozenset(choose.sample(graph.nodes[:-1], choose.choice([1, 2]))), "v3"
        if outcome in do or any(outcome in graph.ancestors(name) for name in do):
            continue
        g = admg(graph)
        changed = do.union(*(graph.descendants(name) for name in do))
        free = [name for name in graph.nodes if name not in changed and name != outcome]
        cut = [mask & ~g.mask(do) for mask in g.parents]

        def holds(names, cut=cut, g=g, do=do, outcome=outcome):
            return separated(cut, g.siblings, g.mask(do), g.mask([outcome]), g.mask(names))

        sets = [[name for i, name in enumerate(free) if k >> i & 1] for k in range(1 << len(free))]
        ours = adjustment_set(graph, do, outcome)
        assert (ours is not None) == any(map(holds, sets))
        if ours is not None:
            found += bool(ours)
            assert holds(ours)
            assert not any(holds(names) for names in sets if {*names} < {*ours})
    assert found >= 20


def test_what_is_read_is_adjusted_for_or_refused():
    graph = CausalGraph("z -> x -> a -> b -> y; z -> y; a <-> y; w -> y; v -> z; x -> d; a -> e")
    x = frozenset(["x"])

    def adjusted(*reads):
        return {*own_regression(graph, x, "y", frozenset(reads)).adjustment}

    assert adjusted() == adjusted("x") == adjusted("z") == adjusted("v") == adjusted("d") == {"z"}
    assert adjusted("w") == {"z", "w"}
    for late in "ae":  # what a was before says what y would be
        with pytest.raises(NotIdentifiedError, match=f"computed from '{late}', which changes"):
            own_regression(graph, x, "y", frozenset([late]))
    # w shares causes with x and with y, so that neither with nor without it anything is told.
    tied = CausalGraph("x -> a -> b -> y; a <-> y; w <-> x; w <-> y; w -> c")
    assert own_regression(tied, x, "y").adjustment == ()
    with pytest.raises(NotIdentifiedError, match=r"depend on nothing, .* from 'w': w <-> y"):
        own_regression(tied, x, "y", frozenset(["w"]))
    own = own_regression(graph, x, "y")
    refuse_reads(graph, own, frozenset(["x", "v", "z", "d"]))
    with pytest.raises(NotIdentifiedError, match=r"computed from 'w': the path w -> y is open"):
        refuse_reads(graph, own, frozenset(["w"]))
    with pytest.raises(NotIdentifiedError, match="computed from 'e', which changes with them"):
        refuse_reads(graph, own, frozenset(["e"]))


# --- Work ----------------------------------------------------------------------------------------


def test_large_graphs_take_a_limited_number_of_separations(monkeypatch):
    # benchmarks/identification.py says how long they take.
    import interventional.graph.separation as looked

    asked = []

    def counted(*what):
        asked.append(what)
        return separated(*what)

    monkeypatch.setattr(looked, "separated", counted)
    graph, outcome = hidden_graph(random.Random(0), 60, 160, 10)
    projected = graph.observing(graph.nodes)
    regressions.cache_clear()
    regressions(projected, outcome)
    assert len(asked) < 8000
    verdicts = set()
    for node in projected.nodes[:-1]:
        asked.clear()
        verdicts.add(bool(graph.is_identified(node, outcome)))
        assert len(asked) < 3000
    assert verdicts == {True, False}


# --- Truth ---------------------------------------------------------------------------------------


def unlicensed(choose, n, edges, hidden):
    """Yield queries that a regression of their own answers, in random graphs."""
    while True:
        graph, outcome = hidden_graph(choose, n, edges, hidden)
        projected = graph.observing(graph.nodes)
        do = frozenset(choose.sample(projected.nodes[:-1], choose.choice([1, 1, 2])))
        if is_answered(projected, do, outcome) and not is_licensed(projected, do, outcome):
            yield graph, projected, do, outcome


def test_exact_effects_in_linear_models():
    choose, rng = random.Random(0), np.random.default_rng(0)
    queries = unlicensed(choose, 9, 18, 3)
    adjusted = several = 0
    for _ in range(40):
        graph, projected, do, outcome = next(queries)
        own = own_regression(projected, do, outcome)
        B, cov = linear_model(graph, rng)
        place = {name: i for i, name in enumerate(graph.nodes)}
        columns = [place[name] for name in own.parents + own.adjustment]
        beta = np.linalg.solve(cov[np.ix_(columns, columns)], cov[columns, place[outcome]])
        slopes = dict.fromkeys(do, 0.0) | dict(zip(own.parents, beta, strict=False))
        truth = true_response(graph, B, sorted(do), outcome)
        assert [slopes[name] for name in sorted(do)] == pytest.approx(truth, abs=1e-8), graph
        adjusted += bool(own.adjustment)
        several += len(own.parents) > 1
    assert adjusted >= 5
    assert several >= 2


def test_exact_effects_in_binary_models():
    """On average, and among rows of one value of a column that the forced values are read off."""
    choose, rng = random.Random(0), np.random.default_rng(0)
    queries, read = unlicensed(choose, 8, 14, 3), 0
    for _ in range(12):
        graph, projected, do, outcome = next(queries)
        place = [graph.nodes.index(name) for name in projected.nodes]
        gone = tuple(i for i in range(len(graph.nodes)) if i not in place)
        nature = binary_model(graph, rng)
        forced = {name: choose.randint(0, 1) for name in sorted(do)}
        joint, truth = nature({}).sum(axis=gone), nature(forced).sum(axis=gone)
        truth = truth * np.indices(truth.shape)[-1]
        moved = {effect for name in do for effect in graph.descendants(name)}
        for reads in ([], *([name] for name in projected.nodes[:-1] if name not in moved)):
            try:
                own = own_regression(projected, do, outcome, frozenset(reads))
            except NotIdentifiedError:
                continue
            ours = joint * expectations(projected, joint, forced, own)
            kept = {projected.nodes.index(name) for name in reads}
            others = tuple(i for i in range(joint.ndim) if i not in kept)
            assert ours.sum(axis=others) == pytest.approx(truth.sum(axis=others), abs=1e-10)
            read += bool(reads) and not {*reads} & do
    assert read >= 5


def expectations(graph, joint, forced, own):
    """E[outcome] of each row from its own regression, from p(v) alone."""
    held = own.parents + own.adjustment
    kept = [graph.nodes.index(name) for name in held]
    others = tuple(i for i in range(joint.ndim) if i not in kept)
    y = joint.ndim - 1
    p, one = joint.sum(axis=others), (joint * np.indices(joint.shape)[y]).sum(axis=others)
    order = sorted(held, key=graph.nodes.index)
    means = np.empty(joint.shape)
    for index in np.ndindex(joint.shape):
        row = dict(zip(graph.nodes, index, strict=True))
        row |= {name: forced[name] for name in own.parents}
        at = tuple(row[name] for name in order)
        means[index] = one[at] / p[at]
    return means
