"""Conditional independences that a graph implies, tested in data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from conftest import N_STANDARD_ERRORS
from scipy.stats import kstest
from statsmodels.multivariate.manova import MANOVA
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests

from interventional import CausalGraph
from interventional.graph.independence import association


@pytest.fixture(scope="module")
def mixed():
    """Numbers, bools and levels, some of them related."""
    rng = np.random.default_rng(1)
    n = 120
    z = rng.normal(size=n)
    site = pd.Categorical(rng.choice(["n", "s", "w"], n))
    return pd.DataFrame(
        {
            "z": z,
            "site": site,
            "x": 1e6 + z + (site == "s") + rng.normal(size=n),
            "w": 0.3 * z + rng.normal(size=n),
            "flag": rng.normal(size=n) + 0.5 * z > 0,
            "kind": np.where(site == "w", "k1", rng.choice(["k1", "k2", "k3", "k4"], n)),
        }
    )


def only_row(graph, data):
    """Return the test of the one pair that is not joined."""
    found = CausalGraph(graph).check(data)
    assert len(found) == 1
    return found.iloc[0]


def test_two_columns_of_numbers_are_a_partial_correlation(mixed):
    """Against nested regressions, and residuals, of statsmodels."""
    row = only_row("z -> x; z -> w; site -> x; site -> w; z -> site", mixed)
    assert {row["a"], row["b"]} == {"w", "x"}
    assert set(row["given"]) == {"site", "z"}
    fits = [smf.ols(f"x ~ {terms}", mixed).fit() for terms in ("z + site", "z + site + w")]
    assert row["p_value"] == pytest.approx(anova_lm(*fits)["Pr(>F)"].iloc[1], rel=1e-6)
    rest = [smf.ols(f"{name} ~ z + site", mixed).fit().resid for name in ("x", "w")]
    assert row["correlation"] == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-9)


def test_the_sign_is_that_of_the_correlation(mixed):
    turned = mixed.assign(x=-mixed["x"])
    graph = "z -> x; z -> w"
    there, back = only_row(graph, mixed), only_row(graph, turned)
    assert there["correlation"] == pytest.approx(-back["correlation"])
    assert there["p_value"] == pytest.approx(back["p_value"])


def test_levels_and_a_number_are_the_f_test_of_nested_regressions(mixed):
    row = only_row("z -> w; z -> site", mixed)
    fits = [smf.ols(f"w ~ {terms}", mixed).fit() for terms in ("z", "z + site")]
    assert row["p_value"] == pytest.approx(anova_lm(*fits)["Pr(>F)"].iloc[1], rel=1e-9)
    assert row["correlation"] ** 2 == pytest.approx(1 - fits[1].ssr / fits[0].ssr)


def test_bools_are_numbers(mixed):
    as_bool = only_row("z -> w; z -> flag", mixed)
    as_number = only_row("z -> w; z -> flag", mixed.astype({"flag": float}))
    assert as_bool["p_value"] == as_number["p_value"]


@pytest.mark.parametrize("second", ["site", "kind"])
def test_two_columns_of_levels_are_wilks_lambda(mixed, second):
    """Against the multivariate analysis of variance of statsmodels: 2 x 3 and 4 x 3 indicators."""
    data = mixed.assign(band=pd.cut(mixed["w"], 5, labels=list("abcde")))
    row = only_row(f"z -> {second}; z -> band", data)
    parts = pd.get_dummies(data["band"], drop_first=True, dtype=float)
    parts.columns = [f"d{k}" for k in range(parts.shape[1])]
    formula = f"{' + '.join(parts)} ~ z + C({second})"
    tests = MANOVA.from_formula(formula, parts.join(data)).mv_test().results
    truth = tests[f"C({second})"]["stat"].loc["Wilks' lambda", "Pr > F"]
    assert row["p_value"] == pytest.approx(truth, rel=1e-9)


def test_p_values_are_uniform_where_the_graph_is_right():
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(400):
        z = rng.normal(size=(25, 2))
        a, b = z[:, :1] + rng.normal(size=(25, 2)), z[:, 1:] + rng.normal(size=(25, 2))
        p_values.append(association(a, b, z)[1])
    assert kstest(p_values, "uniform").pvalue > 1e-3


def test_false_alarms_are_rarer_than_alpha_whatever_the_number_of_tests():
    rng = np.random.default_rng(3)
    graph = CausalGraph("z -> a; z -> b; z -> c; z -> d -> e")
    assert len(graph.independences()) == 10
    alarms = []
    for _ in range(50):
        z = rng.normal(size=40)
        data = pd.DataFrame({name: z + rng.normal(size=40) for name in "abcd"}).assign(z=z)
        data["e"] = data["d"] + rng.normal(size=40)
        alarms.append(not graph.check(data, alpha=0.2)["holds"].all())
    error = np.sqrt(0.2 * 0.8 / len(alarms))
    assert 0 < np.mean(alarms) < 0.2 + N_STANDARD_ERRORS * error


def test_a_wrong_graph_is_found_and_what_fails_is_named():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"season": rng.normal(size=300)})
    data["price"] = data["season"] + rng.normal(size=300)
    data["sales"] = data["season"] - 0.5 * data["price"] + rng.normal(size=300)
    right = CausalGraph("season -> price -> sales; season -> sales; noise -> sales")
    assert right.check(data.assign(noise=rng.normal(size=300)))["holds"].all()
    row = only_row("season -> price; season -> sales", data)
    assert not row["holds"]
    start = "'price' and 'sales' should be independent given 'season', but their partial"
    assert row["verdict"].startswith(start)
    assert "missing" in row["verdict"]


@pytest.mark.slow
def test_p_values_are_adjusted_for_their_number():
    rng = np.random.default_rng(5)
    data = pd.DataFrame(rng.normal(size=(40, 5)), columns=list("abcde"))
    found = CausalGraph("a; b; c; d; e").check(data)
    truth = multipletests(found["p_value"], method="holm")[1]
    np.testing.assert_allclose(found["p_adjusted"], truth)
    assert (found["holds"] == (truth >= 0.05)).all()


def test_nodes_without_data_are_unobserved():
    """A hidden cause leaves the pair of its effects without a test, and the others theirs."""
    rng = np.random.default_rng(6)
    data = pd.DataFrame(rng.normal(size=(50, 3)), columns=list("abc"))
    graph = CausalGraph("hidden -> a; hidden -> b; c -> b")
    found = graph.check(data)
    assert found[["a", "b"]].to_numpy().tolist() == [["a", "c"]]
    assert CausalGraph("a <-> b; a <-> c; b -> c").check(data).empty


def test_what_cannot_be_tested_says_why():
    rng = np.random.default_rng(7)
    few = pd.DataFrame(rng.normal(size=(4, 4)), columns=list("abcd"))
    row = only_row("c -> a; d -> a; c -> b; d -> b; c -> d", few)
    assert pd.isna(row["holds"])
    assert np.isnan(row["p_value"])
    assert row["verdict"].endswith("4 rows are too few; it takes at least 5")
    enough = pd.DataFrame(rng.normal(size=(5, 4)), columns=list("abcd"))
    assert 0 < only_row("c -> a; d -> a; c -> b; d -> b; c -> d", enough)["p_value"] < 1
    data = pd.DataFrame({"z": rng.normal(size=30), "w": rng.normal(size=30)})
    for x in (2 * data["z"] + 1, 3.0):
        row = only_row("z -> x; z -> w", data.assign(x=x))
        assert pd.isna(row["holds"])
        assert "constant, or determined" in row["verdict"]
    row = only_row("z -> x; z -> w", data.assign(x=data["w"]))
    assert row["p_value"] < 1e-100
    assert row["correlation"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("data", "alpha", "error", "words"),
    [
        (np.zeros((3, 2)), 0.05, TypeError, "must be a DataFrame"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, np.nan]}), 0.05, ValueError, "contains NaN"),
        (pd.DataFrame({"a": [1.0], "b": [1.0]}), 1.0, ValueError, "alpha"),
        (pd.DataFrame({"q": [1.0]}), 0.05, ValueError, "none of the graph's nodes"),
        (pd.DataFrame({"price": [1.0], "b": [1.0]}), 0.05, ValueError, "did you mean 'price'"),
    ],
)
def test_bad_input(data, alpha, error, words):
    graph = "a -> b" if "price" not in getattr(data, "columns", ()) else "prise -> b"
    with pytest.raises(error, match=words):
        CausalGraph(graph).check(data, alpha=alpha)
