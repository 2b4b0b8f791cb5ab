"""Models of several equations: what is fitted, under which priors, by which names."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from conftest import assert_mean, family_wise
from pymc_extras.prior import Prior
from scipy import stats
from scipy.special import expit, log_softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from interventional import BayesianInterventionRegressor, CausalGraph, intervene
from interventional.scm.compiling import python_mode

GRAPH = "c -> x -> m -> y; c -> m; c -> y; x -> y"


def estimator(**parameters):
    return BayesianInterventionRegressor(
        **{"draws": 100, "chains": 2, "random_state": 7} | parameters
    )


def rows(n=120, seed=1):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=n)
    x = 5 + 0.8 * c + rng.normal(size=n)
    m = 0.7 * x - c + 0.6 * rng.normal(size=n)
    y = 2 - 0.4 * x + 1.2 * m + c + 0.7 * rng.normal(size=n)
    return pd.DataFrame({"m": m, "c": c, "x": x}), y


@pytest.fixture(scope="module")
def fitted():
    X, y = rows()
    return estimator(graph=GRAPH).fit(X, y), X, y


@pytest.fixture
def arbitrary_levels(monkeypatch):
    """Have categorical equations take any parameters for draws: what follows is given these."""

    def sample(build, data, key, sampling, label):
        rng = np.random.default_rng(0)
        (node, _, _, n_blocks, *_), size, _ = key
        shape = (sampling.chains, sampling.draws)
        level = rng.normal(size=(*shape, n_blocks))
        return (
            {
                f"{node}_beta": rng.normal(size=(*shape, size)),
                f"{node}_intercept": level if n_blocks > 1 else level[..., 0],
            },
            {"diverging": np.zeros(shape, dtype=bool)},
            "none",
            [],
        )

    monkeypatch.setattr("interventional.inference.nuts.sample", sample)


# --- Draws --------------------------------------------------------------------------------------


def test_all_equations_stand_in_one_idata(fitted):
    """Names, dimensions and coordinates; terms in the order of the columns of X."""
    model, _, _ = fitted
    posterior = model.idata_["posterior"]
    terms = {"x": ["c"], "m": ["c", "x"], "y": ["m", "c", "x"]}
    parameters = {f"{node}_{name}" for node in terms for name in ("intercept", "beta", "sigma")}
    assert set(posterior.data_vars) == parameters
    for node, names in terms.items():
        assert posterior[f"{node}_beta"].dims == ("chain", "draw", f"{node}_term")
        assert list(posterior[f"{node}_term"].values) == names
        assert posterior[f"{node}_sigma"].dims == ("chain", "draw")
        assert posterior[f"{node}_beta"].shape == (2, 100, len(names))
    assert posterior.attrs["inference_by_node"] == ["x: exact", "m: exact", "y: exact"]
    np.testing.assert_allclose(model.coef_, posterior["y_beta"].mean(("chain", "draw")))


def test_each_equation_is_the_regression_on_its_parents(fitted):
    """The draws are those of a model of that column on its causes alone, in law.

    Compared by mean and deviation of each parameter, in Monte Carlo standard errors.
    """
    model, X, _ = fitted
    posterior = model.idata_["posterior"]
    for node, causes in (("x", ["c"]), ("m", ["c", "x"])):
        alone = estimator(draws=2000, outcome=node, random_state=0).fit(X[causes], X[node])
        theirs = alone.idata_["posterior"]
        for name in (f"{node}_intercept", f"{node}_beta", f"{node}_sigma"):
            a = posterior[name].values.reshape(200, -1)
            b = theirs[name].values.reshape(4000, -1)
            z = (a.mean(axis=0) - b.mean(axis=0)) / (b.std(axis=0) / np.sqrt(200))
            assert np.abs(z).max() < family_wise(20)
            assert np.abs(a.std(axis=0) / b.std(axis=0) - 1).max() < family_wise(20) / 20


def test_equations_are_drawn_independently(fitted):
    """The posterior factorises: parameters of different equations do not correlate."""
    posterior = fitted[0].idata_["posterior"]
    columns = [
        posterior[f"{node}_{name}"].values.reshape(200, -1)
        for node in "xmy"
        for name in ("intercept", "beta", "sigma")
    ]
    owner = np.repeat([0, 0, 0, 1, 1, 1, 2, 2, 2], [part.shape[1] for part in columns])
    correlation = np.corrcoef(np.column_stack(columns), rowvar=False)
    across = np.abs(correlation[owner[:, None] != owner])
    assert across.max() < family_wise(across.size) / np.sqrt(200)


def same_outcome_draws(a, b):
    for name in ("y_intercept", "y_beta", "y_sigma"):
        one, two = (model.idata_["posterior"][name].values for model in (a, b))
        np.testing.assert_array_equal(one, two)


def test_draws_of_y_do_not_depend_on_other_equations(fitted):
    """To the last bit: with mediators' equations, without, and with no graph at all."""
    model, X, y = fitted
    same_outcome_draws(model, estimator(graph="c -> y; x -> y; m -> y").fit(X, y))
    same_outcome_draws(model, estimator().fit(X, y))


def test_what_y_causes_never_enters_its_equation(fitted):
    """Nor do columns that the graph leaves out; y's draws are the same to the last bit."""
    model, X, y = fitted
    rng = np.random.default_rng(3)
    more = X.assign(w=y + 0.01 * rng.normal(size=len(y)), z=y + 0.01 * rng.normal(size=len(y)))
    more["v"] = more["w"] + X["m"]
    with_effects = estimator(graph=GRAPH + "; y -> w; w -> v; m -> v").fit(more, y)
    same_outcome_draws(model, with_effects)
    assert set(with_effects.idata_["posterior"].data_vars) == set(
        model.idata_["posterior"].data_vars
    )
    np.testing.assert_array_equal(with_effects.predict(more), model.predict(X))
    for kind in ("mean", "predictive"):
        one = with_effects.intervene(more, {"x": 1.0}, kind=kind).mean()
        np.testing.assert_allclose(one, model.intervene(X, {"x": 1.0}, kind=kind).mean(), atol=0.5)
    exact = with_effects.intervene(more, {"x": 1.0}).draws
    np.testing.assert_allclose(exact, model.intervene(X, {"x": 1.0}).draws, rtol=1e-9)


def test_only_what_matters_for_y_has_an_equation():
    """k has causes, but is no cause of y; c is one, but has no causes."""
    X, y = rows()
    X["k"] = X["m"] + 1
    model = estimator(graph="c -> m -> y; m -> k; x -> k").fit(X, y)
    names = {name.split("_")[0] for name in model.idata_["posterior"].data_vars}
    assert names == {"m", "y"}


@pytest.mark.parametrize(
    "graph",
    [
        GRAPH,
        [("c", "x"), ("x", "m"), ("c", "m"), ("c", "y"), ("x", "y"), ("m", "y"), ("m", "y")],
        {"x": "c", "m": ["x", "c"], "y": ["c", "x", "m"]},
        CausalGraph(GRAPH),
        CausalGraph(GRAPH).to_networkx(),
    ],
)
def test_forms_of_a_graph(fitted, graph):
    """Text, edges, parents, CausalGraph and networkx: one model."""
    model, X, y = fitted
    same = estimator(graph=graph).fit(X, y)
    assert same.graph_ == model.graph_
    for name, values in model.idata_["posterior"].data_vars.items():
        np.testing.assert_array_equal(same.idata_["posterior"][name], values)


def test_weights_are_copies(fitted):
    """Of every equation: the same draws to rounding."""
    _, X, y = fitted
    weights = np.random.default_rng(0).integers(0, 4, size=len(y))
    weighted = estimator(graph=GRAPH).fit(X, y, sample_weight=weights)
    copied = estimator(graph=GRAPH).fit(X.loc[X.index.repeat(weights)], np.repeat(y, weights))
    for name, values in copied.idata_["posterior"].data_vars.items():
        found = weighted.idata_["posterior"][name]
        np.testing.assert_allclose(found, values, rtol=1e-8, atol=1e-9)


# --- The textbook model -------------------------------------------------------------------------


def normal_equation(point, node, matrix, response):
    """Log density of a Gaussian equation and its default priors, by SciPy."""
    beta, sigma = point[f"{node}_beta"], np.exp(point[f"{node}_sigma_log__"])
    spread = response.std()
    mean = point[f"{node}_intercept"] + matrix @ beta
    return (
        stats.norm.logpdf(response, mean, sigma).sum()
        + stats.norm.logpdf(beta, 0, 2.5 * spread / matrix.std(axis=0)).sum()
        + stats.norm.logpdf(
            point[f"{node}_intercept"] + matrix.mean(axis=0) @ beta, response.mean(), 2.5 * spread
        )
        + np.log(2)
        + stats.t.logpdf(sigma, 4, scale=spread)
    )


def level_equation(point, node, matrix, codes, n_levels):
    """Log density of a logistic or softmax equation and its default priors, by SciPy."""
    beta = point[f"{node}_beta"].reshape(n_levels - 1, -1)
    intercept = np.reshape(point[f"{node}_intercept"], n_levels - 1)
    eta = np.column_stack([np.zeros(len(matrix)), intercept + matrix @ beta.T])
    return (
        log_softmax(eta, axis=1)[np.arange(len(codes)), codes].sum()
        + stats.norm.logpdf(beta, 0, 1.5 / matrix.std(axis=0)).sum()
        + stats.norm.logpdf(intercept + beta @ matrix.mean(axis=0), 0, 2.5).sum()
    )


@pytest.mark.parametrize("kind", ["number", "bool", "levels"])
def test_textbook_model_by_hand(kind):
    """Its variables by name; its log density the sum of SciPy's, at random points."""
    X, y = rows(25, seed=4)
    codes = np.digitize(X["m"], np.quantile(X["m"], [0.3, 0.7]))
    if kind == "bool":
        codes = (codes > 0).astype(int)
        X["m"] = codes > 0
    elif kind == "levels":
        X["m"] = np.array(["bus", "car", "walk"])[codes]
    model = estimator(graph=GRAPH)
    built = model.build_model(X, y)
    assert {"m", "x", "y"} == {rv.name for rv in built.observed_RVs}
    assert {"c", "m_mu", "x_mu", "y_mu", "m_beta", "m_intercept"} <= set(built.named_vars)
    assert tuple(built.named_vars_to_dims["y_beta"]) == ("y_term",)
    assert ("m_sigma" in built.named_vars) == (kind == "number")
    assert not hasattr(model, "idata_")

    terms = {"number": ["m"], "bool": ["m"], "levels": ["m[car]", "m[walk]"]}[kind]
    assert list(built.coords["y_term"]) == [*terms, "c", "x"]
    mediator = [X["m"]] if kind != "levels" else [codes == 1, codes == 2]
    of_y = np.column_stack([*mediator, X["c"], X["x"]]).astype(float)
    of_m = X[["c", "x"]].to_numpy()
    density = built.compile_logp(jacobian=False, mode=python_mode())
    rng = np.random.default_rng(5)
    for _ in range(5):
        point = {
            name: rng.normal(size=np.shape(value)) for name, value in built.initial_point().items()
        }
        by_hand = normal_equation(point, "y", of_y, y)
        by_hand += normal_equation(point, "x", X[["c"]].to_numpy(), X["x"].to_numpy())
        if kind == "number":
            by_hand += normal_equation(point, "m", of_m, X["m"].to_numpy())
        else:
            by_hand += level_equation(point, "m", of_m, codes, codes.max() + 1)
        assert float(density(point)) == pytest.approx(by_hand, rel=1e-9)


def test_textbook_model_with_adjustment():
    """On x -> m -> y with x <-> y the equation of y takes x at its factual value."""
    X, y = rows()
    model = estimator(graph="x -> m -> y; x <-> y").fit(X, y)
    built = model.build_model(X.head(5))
    assert {rv.name for rv in built.free_RVs} >= {"m", "y"}
    np.testing.assert_array_equal(built["x_observed"].get_value(), X["x"].head(5))
    assert "c" not in {name for e in model.fitted_.model.equations for name in e.variables}
    assert list(model.idata_["posterior"]["y_term"].values) == ["m", "x"]


def test_simulate_draws_every_equation(fitted):
    """The laws that were asked for, and labels and dtypes as they came."""
    X, _ = rows(4000, seed=6)
    X.index = X.index + 10
    truth = {
        "x_intercept": 1.0,
        "x_beta": {"c": 2.0},
        "x_sigma": 0.5,
        "m_intercept": 0.0,
        "m_beta": {"c": 0.0, "x": 1.0},
        "m_sigma": 0.1,
        "y_intercept": -1.0,
        "y_beta": {"m": 1.0, "c": 0.0, "x": -1.0},
        "y_sigma": 0.2,
    }
    table = fitted[0].simulate(X, truth, random_state=0)
    assert list(table.columns) == ["m", "c", "x", "y"]
    pd.testing.assert_index_equal(table.index, X.index)
    np.testing.assert_array_equal(table["c"], X["c"])
    for noise, sd in (
        (table["x"] - 1 - 2 * X["c"], 0.5),
        (table["m"] - table["x"], 0.1),
        (table["y"] + 1 - table["m"] + table["x"], 0.2),
    ):
        assert stats.kstest(noise / sd, "norm").pvalue > 1e-4


@pytest.mark.parametrize("kind", ["bool", "string", "category"])
def test_simulate_draws_levels(kind):
    X, _ = rows(3000, seed=7)
    X.index = X.index[::-1] + 5
    up = X["m"] > X["m"].median()
    X["m"] = (
        up
        if kind == "bool"
        else pd.Series(
            np.where(up, "high", "low"),
            X.index,
            dtype=("category" if kind == "category" else None),
        )
    )
    truth = {"m_intercept": 0.5, "m_beta": {"c": 1.0, "x": 0.0}, "x_sigma": 1.0, "y_sigma": 1.0}
    table = estimator(graph=GRAPH).simulate(X, truth, random_state=0)
    assert table["m"].dtype == X["m"].dtype
    second = table["m"] if kind == "bool" else table["m"] == "low"
    p = expit(0.5 + X["c"])
    assert table["m"].notna().all()
    z = (second.astype(float) - p) / np.sqrt(p * (1 - p))
    for row_by_row in (z, z * X["c"]):
        assert_mean(row_by_row, 0.0)


# --- Designs and priors by node -----------------------------------------------------------------


def test_design_by_node(fitted):
    """What is no mapping is for y; each node's is fitted to its own regressors."""
    _, X, y = fitted
    quadratic = PolynomialFeatures(2, include_bias=False)
    only_y = estimator(graph=GRAPH, design=quadratic).fit(X, y)
    assert list(only_y.idata_["posterior"]["m_term"].values) == ["c", "x"]
    assert len(only_y.idata_["posterior"]["y_term"]) == 9
    both = estimator(graph=GRAPH, design={"y": quadratic, "m": quadratic, "x": None}).fit(X, y)
    terms = list(both.idata_["posterior"]["m_term"].values)
    assert terms == ["c", "x", "c^2", "c x", "x^2"]
    assert list(both.idata_["posterior"]["x_term"].values) == ["c"]
    same_outcome_draws(only_y, both)
    assert not hasattr(quadratic, "n_features_in_")
    only_m = estimator(graph=GRAPH, design={"m": SplineTransformer(4)}).fit(X, y)
    assert list(only_m.idata_["posterior"]["y_term"].values) == ["m", "c", "x"]
    same_outcome_draws(only_m, estimator(graph=GRAPH).fit(X, y))


def test_priors_by_node(fitted):
    """A prior that is nearly a point puts the draws there, in its own equation alone."""
    model, X, y = fitted
    point = Prior("Normal", mu=3.0, sigma=1e-6)
    for priors, node, term in (
        ({"m": {"x": point}}, "m", "x"),
        ({"x": {"beta": point}}, "x", "c"),
        ({"y": {"m": point}}, "y", "m"),
        ({"c": point}, "y", "c"),
        ({"c": point, "m": {"sigma": Prior("HalfNormal", sigma=9)}}, "y", "c"),
        ({"y": {"c": point}, "m": {"c": point}}, "m", "c"),
    ):
        posterior = estimator(graph=GRAPH, priors=priors).fit(X, y).idata_["posterior"]
        draws = posterior[f"{node}_beta"].sel({f"{node}_term": term})
        np.testing.assert_allclose(draws, 3.0, atol=1e-4)
        untouched = set("xmy") - set(priors) - ({"y"} if "c" in priors else set())
        for other in untouched:
            for name in ("intercept", "beta", "sigma"):
                expected = model.idata_["posterior"][f"{other}_{name}"]
                np.testing.assert_array_equal(posterior[f"{other}_{name}"], expected)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"design": {"mm": PolynomialFeatures()}}, ValueError, "'mm'.*did you mean 'm'"),
        ({"design": {"c": PolynomialFeatures()}}, ValueError, "design.*'c'"),
        ({"priors": {"mm": {"beta": Prior("Flat")}}}, ValueError, "'mm'.*did you mean 'm'"),
        ({"priors": {"c": {"beta": Prior("Flat")}}}, ValueError, "priors.*'c'"),
        ({"priors": {"m": {"zz": Prior("Flat")}}}, ValueError, "'zz'"),
        ({"priors": {"m": {"m": Prior("Flat")}}}, ValueError, "'m'"),
        ({"priors": {"y": {}, "beta": Prior("Flat")}}, ValueError, "'beta'.*'y'"),
        ({"priors": {"m": {"beta": 3}}}, TypeError, "Prior"),
        ({"graph": "c -> xs -> y; m -> y"}, ValueError, None),
        ({"graph": "trafic -> y"}, ValueError, "'trafic'.*did you mean 'traffic'"),
        ({"graph": "c -> m -> x"}, ValueError, "lacks the outcome.*'y'"),
        ({"graph": "y -> m; c -> x"}, ValueError, "nothing in the graph causes 'y'"),
        ({"graph": "u -> y; u -> m"}, ValueError, "nothing in the graph causes 'y'"),
        ({"graph": "c -> m -> c; m -> y"}, ValueError, "c -> m -> c|m -> c -> m"),
        ({"graph": "m -> m; m -> y"}, ValueError, "'m'"),
        ({"graph": 3}, TypeError, "graph"),
    ],
)
def test_bad_parameters(parameters, error, message):
    """The message names what is wrong, and what may have been meant; nothing is fitted."""
    X, y = rows(40)
    X["traffic"] = X["c"]
    model = estimator(**{"graph": GRAPH} | parameters)
    if message is None:  # a name that is near no column is an unobserved node
        assert "xs" not in model.fit(X, y).graph_.nodes
        return
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert not hasattr(model, "idata_")


OWN_NAMES = ("mu", "beta", "intercept", "sigma", "term", "residual")


@pytest.mark.parametrize(
    "name",
    [
        *(f"{node}_{own}" for node in ("x", "m", "y") for own in OWN_NAMES),
        *("g_level", "g_block", "g_score", "c_observed", "obs", "chain", "draw"),
    ],
)
def test_reserved_names(name):
    """Columns that the model needs the name of are refused at fit, and named.

    c_observed is one where c is adjusted for: it is no parent of y.
    """
    X, y = rows(40)
    X["g"] = np.array(["bus", "car", "walk"])[np.arange(40) % 3]
    X[name] = np.arange(40.0)
    graph = f"u -> c -> x -> m -> y; u -> y; m -> g -> y; {name} -> y"
    with pytest.raises(ValueError, match=f"'{name}'.*rename"):
        estimator(graph=graph).fit(X, y)


def test_names_that_the_model_does_not_need(arbitrary_levels):
    """They are columns as any other."""
    X, y = rows(40)
    harmless = X.assign(
        g=np.array(["bus", "car", "walk"])[np.arange(40) % 3],
        other=np.arange(40.0),
        c_mu=1.0,
        g_observed=1.0,
        m_level=X["x"],
        m_score=2.0,
    )
    model = estimator(graph=f"{GRAPH}; m -> g -> y; m_level -> y; c_mu -> y").fit(harmless, y)
    assert np.isfinite(model.intervene(harmless, {"x": 1.0}).draws).all()
    assert model.build_model(harmless, y)["m_level"] is not None


def test_graph_is_dropped_by_a_fit_without(fitted):
    _, X, y = fitted
    model = estimator(graph=GRAPH).fit(X, y)
    assert model.graph_ == CausalGraph(GRAPH)
    model.set_params(graph=None).fit(X, y)
    assert getattr(model, "graph_", None) is None
    np.testing.assert_array_equal(
        model.intervene(X, {"x": 1.0}).draws, estimator().fit(X, y).intervene(X, {"x": 1.0}).draws
    )


def test_arrays_have_nodes_by_position(fitted):
    """x0, x1, … are the names of an array's columns in a graph."""
    model, X, y = fitted
    same = estimator(graph="x1 -> x2 -> x0 -> y; x1 -> x0; x1 -> y; x2 -> y").fit(X.to_numpy(), y)
    for do, named in (({"x2": 1.0}, {"x": 1.0}), ({2: 1.0, 0: 0.5}, {"x": 1.0, "m": 0.5})):
        ours = same.intervene(X.to_numpy(), do).draws
        expected = model.intervene(X, named).draws
        assert np.corrcoef(ours.mean(("chain", "draw")), expected.mean(("chain", "draw")))[
            0, 1
        ] > (0.999)
    labelled = X.set_axis([10, 20, 30], axis=1)
    numbered = estimator(graph="x1 -> x2 -> x0 -> y; x1 -> x0; x1 -> y; x2 -> y")
    numbered.fit(labelled, y)
    np.testing.assert_array_equal(
        numbered.intervene(labelled, {30: 1.0}).draws.values,
        same.intervene(X.to_numpy(), {2: 1.0}).draws.values,
    )
    table = numbered.simulate(labelled.head(3), {"y_sigma": 1.0}, random_state=0)
    assert list(table.columns) == [10, 20, 30, "y"]


# --- In scikit-learn's company ------------------------------------------------------------------


@pytest.mark.parametrize("levels", [False, True])
def test_persistence(arbitrary_levels, levels):
    """Every copy answers every question as the original does, to the last bit."""
    X, y = rows()
    if levels:
        X["m"] = np.array(["bus", "car", "walk"])[np.digitize(X["m"], [3.0, 4.0])]
    model = estimator(graph=GRAPH).fit(X, y)
    blob = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=blob)
    own = [name for name in types if name.startswith("interventional.")]
    assert set(types) - set(own) <= {"builtins.frozenset"}  # of a graph's unobserved nodes
    copies = (
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        skops.io.loads(blob, trusted=types),
    )
    for again in copies:
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        assert again.graph_ == model.graph_
        for kind in ("mean", "predictive"):
            one, two = (m.intervene(X, {"x": 1.0}, kind=kind).draws for m in (model, again))
            np.testing.assert_array_equal(one, two)
        one, two = (m.decompose(X, {"x": 1.0})["indirect"].draws for m in (model, again))
        np.testing.assert_array_equal(one, two)
        assert again.idata_["posterior"].equals(model.idata_["posterior"])
    fresh = clone(model)
    assert fresh.graph == GRAPH
    assert not hasattr(fresh, "idata_")
    np.testing.assert_array_equal(fresh.fit(X, y).predict(X), model.predict(X))


def test_clone_copies_designs_and_graphs():
    parameters = {
        "graph": CausalGraph(GRAPH),
        "design": {"m": PolynomialFeatures(2)},
        "priors": {"m": {"sigma": Prior("HalfNormal", sigma=2)}},
    }
    X, y = rows()
    model = estimator(**parameters)
    again = clone(model)
    assert again.graph == model.graph
    for name, values in model.fit(X, y).idata_["posterior"].data_vars.items():
        np.testing.assert_array_equal(again.fit(X, y).idata_["posterior"][name], values)


def test_cross_validation(fitted):
    """Scores are those of the regression of y on its causes, fold by fold, to rounding."""
    _, X, y = fitted
    folds = KFold(4)
    scores = cross_val_score(estimator(graph=GRAPH), X, y, cv=folds)
    plain = cross_val_score(estimator(), X, y, cv=folds)
    np.testing.assert_allclose(scores, plain, rtol=1e-8)
    assert scores.min() > 0.5


def test_graphs_can_be_searched(fitted):
    """The graph is a parameter as any other; intervene finds the winner, and its mediators."""
    _, X, y = fitted
    search = GridSearchCV(estimator(), {"graph": ["c -> y", GRAPH]}, cv=3).fit(X, y)
    assert search.best_params_ == {"graph": GRAPH}
    np.testing.assert_array_equal(
        intervene(search, X, {"x": 1.0}).draws,
        estimator(graph=GRAPH).fit(X, y).intervene(X, {"x": 1.0}).draws,
    )


def test_a_fit_that_fails_leaves_the_model_as_it_was(fitted):
    _, X, y = fitted
    model = estimator(graph=GRAPH).fit(X, y)
    before = model.predict(X)
    model.set_params(graph="m -> x -> m; x -> y")
    with pytest.raises(ValueError, match="->"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.graph_ == CausalGraph(GRAPH)


def test_same_seed_same_answer(fitted):
    model, X, y = fitted
    again = estimator(graph=GRAPH).fit(X, y)
    other = estimator(graph=GRAPH, random_state=8).fit(X, y)
    for kind in ("mean", "predictive"):
        one, two, three = (
            m.intervene(X, {"x": 1.0}, kind=kind).draws.values for m in (model, again, other)
        )
        np.testing.assert_array_equal(one, two)
        assert (one != three).all()
