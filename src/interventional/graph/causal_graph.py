"""`CausalGraph`: who causes whom, and what follows from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from interventional import drawing, markup
from interventional.errors import NotIdentifiedError, listed, unknown
from interventional.graph import adjustment, picture
from interventional.graph.choice import regressions
from interventional.graph.identification import affected, in_words, own_regression
from interventional.graph.mixed_graph import (
    MixedGraph,
    arranged,
    as_stated,
    check_nodes,
    projection,
)
from interventional.graph.separation import minimal_separator
from interventional.graph.text import Statements, parse, quote

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


@dataclass(frozen=True)
class Verdict:
    """Whether an effect is identified; true if it is.

    Attributes
    ----------
    identified : bool
        The verdict.
    reason : str
        Why, in words.
    adjustment : dict of str to tuple of str
        For each node that is drawn anew under the intervention, the columns that its equation
        takes in besides its parents, at the row's factual values.

    See Also
    --------
    CausalGraph.is_identified : Returns one.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> verdict = CausalGraph("x -> m -> y; x <-> y").is_identified("x", "y")
    >>> bool(verdict), verdict.adjustment
    (True, {'m': (), 'y': ('x',)})
    """

    identified: bool
    reason: str
    adjustment: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.identified


@dataclass(frozen=True, init=False, repr=False)
class CausalGraph(MixedGraph):
    """A causal graph: directed edges, and ``<->`` for unobserved common causes.

    Parameters
    ----------
    graph : str, list of edges, mapping, networkx.DiGraph or CausalGraph
        Text such as ``"b -> m; m -> y; b <-> y"`` (statements end with ``;``, ``,`` or a line;
        chains ``a -> b -> c``, ``b <- a`` and groups ``a -> {b, c}`` are read; names with spaces
        need quotes) or a DOT ``digraph { ... }`` (where ``dir=both`` means ``<->``); edges
        ``[("b", "m"), ("m", "y")]``; or child → parents ``{"m": "b", "y": ["b", "m"]}``.
    unobserved : iterable of str
        Nodes without data. Nodes that the data lack need not be named here.

    Attributes
    ----------
    nodes : tuple of str
        In topological order; by name where that leaves a choice.
    edges : tuple of (str, str)
        Cause and effect.
    confounded : tuple of (str, str)
        The pairs joined by ``<->``.
    unobserved : frozenset of str
        The nodes declared unobserved.
    source : CausalGraph or None
        Of a projection: the graph that it came from, which names what is unobserved.

    Raises
    ------
    ValueError
        If the text cannot be read, or the graph is empty, has a cycle or a self loop.
    TypeError
        If the graph is none of the above, or a node is not a string.

    See Also
    --------
    interventional.BayesianInterventionRegressor : Takes one, in any of these forms.

    Notes
    -----
    Graphs are immutable and equal if they have the same nodes and edges.

    Examples
    --------
    >>> from interventional import CausalGraph
    >>> graph = CausalGraph("price -> traffic -> sales; price -> sales; season -> sales")
    >>> graph.nodes
    ('price', 'season', 'traffic', 'sales')
    >>> graph.parents("sales")
    ('price', 'season', 'traffic')
    >>> graph.independences()
    (('price', 'season', ()), ('season', 'traffic', ()))
    >>> CausalGraph("x -> m -> y; x <-> y").is_identified("x", "y").adjustment
    {'m': (), 'y': ('x',)}
    """

    def __init__(self, graph: Any, unobserved: Iterable[str] = ()):
        hidden = (unobserved,) if isinstance(unobserved, str) else unobserved
        source = graph.source if isinstance(graph, MixedGraph) else None
        vars(self).update(vars(arranged(_stated(graph), hidden, source)))

    def __repr__(self) -> str:
        joined = {node for pair in self.edges + self.confounded for node in pair}
        parts = [quote(node) for node in self.nodes if node not in joined]
        parts += [f"{quote(a)} -> {quote(b)}" for a, b in self.edges]
        parts += [f"{quote(a)} <-> {quote(b)}" for a, b in self.confounded]
        hidden = f", unobserved={sorted(self.unobserved)!r}" if self.unobserved else ""
        return f"CausalGraph({'; '.join(parts)!r}{hidden})"

    # --- What is observed -----------------------------------------------------------------------

    def observing(self, names: Iterable[str]) -> "CausalGraph":
        """Return the graph of the observed nodes among names, all others projected out.

        A directed path through unobserved nodes becomes an edge, an unobserved common cause a
        ``<->`` (the latent projection of Verma 1993). The effects of observed nodes on each other
        and their d-separations stay the same.

        See Also
        --------
        is_identified : What can be told from them.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> CausalGraph("z <- u -> y; z -> x -> w -> y").observing(["x", "y", "z"])
        CausalGraph('z -> x; x -> y; z <-> y')
        """
        if isinstance(names, str):
            names = (names,)
        return CausalGraph(projection(self, set(names) - self.unobserved))

    # --- What follows ---------------------------------------------------------------------------

    def adjustment_set(
        self, treatment: str | Iterable[str], outcome: str
    ) -> tuple[str, ...] | None:
        """Return a minimal set of observed columns that meets the back-door criterion.

        Parameters
        ----------
        treatment : str or iterable of str
            The forced columns.
        outcome : str
            The outcome.

        Returns
        -------
        tuple of str or None
            The set, in topological order; None if there is none.

        See Also
        --------
        is_identified : Also by the front door, and by mixtures of both.

        Notes
        -----
        The set holds no descendant of the treatment and d-separates it from the outcome once the
        edges out of the treatment are removed (Pearl 2009, definition 3.3.1). Where there is a
        choice it is one near the outcome. What has such a set is identified.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> CausalGraph("u -> z -> x -> y; u -> y", unobserved="u").adjustment_set("x", "y")
        ('z',)
        """
        forced = {treatment} if isinstance(treatment, str) else set(treatment)
        check_nodes(self, *forced, outcome)
        if outcome in forced:
            raise ValueError(f"{outcome!r} is the outcome; it cannot be forced")
        if self.unobserved.intersection((*forced, outcome)):
            return None
        graph = projection(self, set(self.nodes) - self.unobserved)
        return adjustment.adjustment_set(graph, frozenset(forced), outcome)

    def is_identified(self, do: str | Iterable[str], outcome: str) -> Verdict:
        """Say whether this package can tell the effect of forcing columns.

        Parameters
        ----------
        do : str or iterable of str
            The forced columns.
        outcome : str
            The outcome.

        Returns
        -------
        Verdict
            True if it is identified, with the reason in words.

        See Also
        --------
        adjustment_set : What to adjust for, where one set will do.
        NotIdentifiedError : Raised by questions that the graph does not license.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> CausalGraph("x -> y; z -> x; z -> y").is_identified("x", "y").reason
        'what confounds it is among the causes that each column is regressed on'
        >>> verdict = CausalGraph("x -> y; u -> x; u -> y", unobserved="u").is_identified("x", "y")
        >>> bool(verdict)
        False
        >>> print(verdict.reason)
        the effect of forcing 'x' on 'y' is not identified: x <-> y: an unobserved common cause
        of x and y. Measuring 'u' would identify it.
        """
        forced = frozenset({do} if isinstance(do, str) else do)
        check_nodes(self, *forced, outcome)
        for name in sorted({*forced, outcome} & self.unobserved):
            return Verdict(False, f"{name!r} is unobserved")
        graph = projection(self, set(self.nodes) - self.unobserved)
        try:
            own = own_regression(graph, forced, outcome)
        except NotIdentifiedError as error:
            return Verdict(False, str(error))
        if own is not None:
            words = f"by {in_words(own)}".rstrip(",")
            return Verdict(True, words, {outcome: own.adjustment})
        redrawn = affected(graph, forced, outcome)
        if not redrawn:
            return Verdict(True, f"{listed(sorted(forced))} has no effect on {outcome!r}")
        regs = [reg for reg in regressions(graph, outcome) if reg.node in redrawn]
        reasons = []
        for reg in regs:
            equation = f"the equation of {reg.node!r}"
            if reg.adjustment:
                reasons.append(f"{equation} adjusts for {listed(reg.adjustment)}")
            extra = [name for name in reg.parents if name not in graph.parents(reg.node)]
            if extra:
                reasons.append(f"{equation} takes in {listed(extra)} as well")
        if not reasons and self.adjustment_set(forced, outcome) == ():
            reasons = ["nothing confounds it"]
        plain = "what confounds it is among the causes that each column is regressed on"
        taken_in = {reg.node: reg.adjustment for reg in regs}
        return Verdict(True, "; ".join(reasons) or plain, taken_in)

    def independences(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Return the conditional independences that data can test.

        Returns
        -------
        tuple of (str, str, tuple of str)
            ``(a, b, given)`` for each pair of observed nodes that some set d-separates: a is
            independent of b given this set, from which no column can be left out.

        See Also
        --------
        check : Tests them.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> CausalGraph("a -> b -> c; c <-> d").independences()
        (('a', 'c', ('b',)), ('a', 'd', ()), ('b', 'd', ()))
        """
        observed = [node for node in self.nodes if node not in self.unobserved]
        found = []
        for a, b in combinations(observed, 2):
            given = minimal_separator(self, {a}, {b}, set(observed) - {a, b})
            if given is not None:
                found.append((a, b, given))
        return tuple(found)

    def check(self, data: "pd.DataFrame", *, alpha: float = 0.05) -> "pd.DataFrame":
        """Test in data the conditional independences that the graph implies.

        Parameters
        ----------
        data : frame of shape (n, columns)
            A column for each observed node, the outcome among them. Other columns are not used;
            nodes without a column are unobserved.
        alpha : float, default 0.05
            The chance that a right graph has any of its independences named as failing.

        Returns
        -------
        DataFrame
            A row for each of `independences`: ``a``, ``b``, ``given``; ``correlation``, the
            partial correlation given these, of columns of levels the largest canonical one;
            ``p_value``; ``p_adjusted``, for the number of tests (Holm 1979); ``holds``, whether
            that is at least alpha; ``verdict``, a sentence. What the data cannot test has NaN, NA
            and a verdict that says why. No row at all if the graph implies nothing.

        Raises
        ------
        TypeError, ValueError
            If data are no DataFrame, lack the nodes or hold missing values; if alpha is not
            between 0 and 1.

        See Also
        --------
        independences : What is tested.
        BayesianInterventionRegressor.refute : Checks of an effect.

        Notes
        -----
        Each column is regressed on `given`, linearly and with an indicator for each level; what is
        left is tested by Wilks' lambda, for single columns the F test of a partial correlation. A
        dependence that no straight line shows goes unseen, and one on `given` that is not linear
        may be taken for a missing arrow. A graph that passes is not proved: others imply the same.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> import numpy as np, pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> b = rng.normal(size=500)
        >>> m = b + rng.normal(size=500)
        >>> data = pd.DataFrame({"b": b, "m": m, "y": m + b + rng.normal(size=500)})
        >>> found = CausalGraph("b -> m -> y").check(data)
        >>> found[["a", "b", "given", "holds"]]
           a  b given  holds
        0  b  y  (m,)  False
        >>> print(found["verdict"][0])
        'b' and 'y' should be independent given 'm', but their partial correlation is 0.58
        (p = 1.4e-46): an arrow or a common cause is missing in the graph, or an arrow points
        the wrong way
        """
        from interventional.data.frames import as_pandas
        from interventional.graph import independence

        rows = as_pandas(data)
        if rows is None:
            raise TypeError(
                f"data must be a DataFrame with a column for each observed node, got "
                f"{type(data).__name__}"
            )
        known = list(rows.columns)
        _refuse_typos(self, [name for name in known if isinstance(name, str)])
        graph = self.observing(known)
        return independence.check(rows[list(graph.nodes)], graph.independences(), alpha)

    # --- Pictures -------------------------------------------------------------------------------

    def to_networkx(self) -> "nx.DiGraph":
        """Return a networkx.DiGraph, with an unobserved node for each ``<->``.

        The nodes have an attribute ``observed``.

        See Also
        --------
        plot : A picture without Graphviz.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> graph = CausalGraph("x -> y; x <-> y").to_networkx()
        >>> sorted(graph.edges)
        [('x', 'y'), ('x <-> y', 'x'), ('x <-> y', 'y')]
        """
        import networkx as nx

        graph = nx.DiGraph()
        for node in self.nodes:
            graph.add_node(node, observed=node not in self.unobserved)
        graph.add_edges_from(self.edges)
        for a, b in self.confounded:
            name = f"{quote(a)} <-> {quote(b)}"
            graph.add_node(name, observed=False)
            graph.add_edges_from([(name, a), (name, b)])
        return graph

    def to_graphviz(self) -> Any:
        """Return a graphviz.Source: ``<->`` dashed, unobserved nodes dashed.

        Needs the package graphviz; showing the picture needs Graphviz itself. `plot` needs
        neither.

        See Also
        --------
        plot : A picture without Graphviz.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> graph = CausalGraph("price -> traffic -> sales; season -> price; season -> sales")
        >>> print(graph.to_graphviz().source)
        digraph {
          "season";
          "price";
          "traffic";
          "sales";
          "season" -> "price";
          "season" -> "sales";
          "price" -> "traffic";
          "traffic" -> "sales";
        }
        """
        import graphviz

        return graphviz.Source(picture.dot(self))

    def _repr_html_(self) -> str:
        """Return the picture of `plot`, for notebooks."""
        found = picture.layout(self, markup.halves(self.nodes))
        paths = found.arrows, found.two_heads
        return markup.graph(found.boxes, self.unobserved, *paths, found.size, repr(self))

    def plot(self, ax: Any = None) -> Any:
        """Draw the graph with matplotlib, causes left of effects, ``<->`` dashed.

        No edge crosses a node that is not its end.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default new axes.

        Returns
        -------
        matplotlib Axes
            The axes.

        See Also
        --------
        to_graphviz : A picture by Graphviz.

        Examples
        --------
        >>> from interventional import CausalGraph
        >>> graph = CausalGraph("price -> traffic -> sales; season -> price; season -> sales")
        >>> ax = graph.plot()
        >>> sorted(text.get_text() for text in ax.texts if text.get_text())
        ['price', 'sales', 'season', 'traffic']
        """
        drawing.check_matplotlib_support("CausalGraph.plot")
        found = picture.layout(self, drawing.halves(self.nodes))
        return drawing.graph(
            ax, found.boxes, self.unobserved, found.arrows, found.two_heads, found.size
        )


def _stated(graph: Any) -> Statements:
    """Read any form of graph."""
    match graph:
        case MixedGraph():
            return as_stated(graph)
        case str():
            return parse(graph)
        case Mapping():
            out = Statements(nodes=list(graph))
            for child, parents in graph.items():
                causes = (parents,) if isinstance(parents, str) else parents
                if not isinstance(causes, Iterable):
                    raise TypeError(f"the parents of {child!r} must be names; got {causes!r}")
                out.edges += [(cause, child) for cause in causes]
            return out
    if hasattr(graph, "is_directed"):
        if not graph.is_directed():
            raise TypeError("the networkx graph is undirected; a DiGraph is needed")
        return Statements(list(graph.nodes), [(a, b) for a, b in graph.edges()])
    if not isinstance(graph, Iterable):
        raise TypeError(
            "graph must be text, edges, a mapping child -> parents, a networkx.DiGraph or a"
            f" CausalGraph; got {type(graph).__name__}"
        )
    out = Statements()
    for edge in graph:
        stated = Statements()
        if isinstance(edge, str):
            stated = parse(edge)
        elif isinstance(edge, tuple | list) and len(edge) == 2:
            stated.edges.append((edge[0], edge[1]))
        if not stated.edges + stated.confounded:
            raise ValueError(f"{edge!r} is not an edge; allowed are ('a', 'b') and 'a -> b'")
        out.nodes += stated.nodes
        out.edges += stated.edges
        out.confounded += stated.confounded
    return out


def over_columns(graph: Any, names: Iterable[str], outcome: str) -> CausalGraph | None:
    """Return the graph over columns and outcome, unobserved nodes projected out.

    Parameters
    ----------
    graph : CausalGraph, any form of one, or None
        As the user gave it.
    names : iterable of str
        The columns of X.
    outcome : str
        The outcome.

    Returns
    -------
    CausalGraph or None
        None where there is no graph.

    Raises
    ------
    ValueError
        If the outcome is not in the graph, or nothing in it that has a column causes it; if a
        node is nearly a column's name, or holds a '/'.

    Examples
    --------
    >>> over_columns("u -> x -> y; u -> y", ["x", "z"], "y")
    CausalGraph('x -> y; x <-> y')
    """
    if graph is None:
        return None
    parsed = graph if isinstance(graph, CausalGraph) else CausalGraph(graph)
    if outcome not in parsed.nodes:
        raise ValueError(
            f"the graph lacks the outcome: {unknown('node', outcome, parsed.nodes)}; say by "
            "outcome=... which of them y is, or name the Series y so"
        )
    for node in parsed.nodes:
        if "/" in node:
            raise ValueError(f"the graph's node {node!r}: no name in the model may hold a '/'")
    known = [*names, outcome]
    _refuse_typos(parsed, known)
    projected = parsed.observing([name for name in parsed.nodes if name in known])
    if not projected.parents(outcome):
        raise ValueError(f"nothing in the graph causes {outcome!r} that X has a column for")
    return projected


def _refuse_typos(graph: CausalGraph, known: list[str]) -> None:
    """Refuse a node that is no column, but so nearly one that the other must have been meant."""
    import difflib

    missing = [name for name in known if name not in graph.nodes]
    for node in graph.nodes:
        if node in known or node in graph.unobserved:
            continue
        near = difflib.get_close_matches(node, missing, n=1, cutoff=0.75)
        if near:
            raise ValueError(
                f"the graph's node {node!r} is no column of X; did you mean {near[0]!r}? If it is "
                f"unobserved, say so: CausalGraph(..., unobserved=[{node!r}])"
            )
