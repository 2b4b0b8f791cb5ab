"""What a question reads of the rows: the rest may be missing, or not be there."""

import warnings

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from interventional import BayesianInterventionRegressor

N = 300
GRAPH = "size -> price; size -> sales; price -> visitors -> sales"


def shops(seed=0):
    """Shops whose sales are 5 (30 - 2 price) + size, but for noise; and a column of no use."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"size": rng.normal(size=N)})
    X["price"] = 10 + X["size"] + rng.normal(size=N)
    X["visitors"] = 30 - 2 * X["price"] + rng.normal(size=N)
    X["note"] = rng.normal(size=N)
    return X, 5 * X["visitors"] + X["size"] + rng.normal(size=N)


def fitted(X, y, **parameters):
    parameters = {"graph": GRAPH, "outcome": "sales", "random_state": 0} | parameters
    return BayesianInterventionRegressor(**parameters).fit(X, y)


@pytest.fixture(scope="module")
def rows():
    return shops()


@pytest.fixture(scope="module")
def model(rows):
    return fitted(*rows)


LACKING = {
    "mediator NaN": lambda X: X.assign(visitors=np.nan),
    "mediator absent": lambda X: X.drop(columns="visitors"),
    "mediator of another kind": lambda X: X.assign(visitors="many"),
    "forced NaN": lambda X: X.assign(price=np.nan),
    "forced absent": lambda X: X.drop(columns="price"),
    "forced in some rows": lambda X: X.assign(price=X["price"].where(X["size"] > 0)),
    "outside NaN": lambda X: X.assign(note=np.nan),
    "outside absent": lambda X: X.drop(columns="note"),
    "outside infinite": lambda X: X.assign(note=np.inf),
    "outside dates": lambda X: X.assign(note=pd.Timestamp("2024-01-01")),
    "all of them": lambda X: X[["size"]],
}


@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
class TestWhatIsIgnored:
    def test_intervene(self, rows, model, lacking):
        X = rows[0].head(40)
        found = model.intervene(lacking(X), {"price": 9.0})
        assert np.array_equal(found.mean(), model.intervene(X, {"price": 9.0}).mean())
        truth = 5 * (30 - 2 * 9.0) + X["size"]
        assert (abs(found.mean() - truth) < 5 * found.std()).all()

    def test_effect_against_a_baseline(self, rows, model, lacking):
        X = rows[0].head(40)
        effect = model.effect(lacking(X), {"price": 9.0}, {"price": 10.0}, kind="predictive")
        average = effect.average()
        assert abs(average.mean() - 10) < 5 * average.std()

    def test_support(self, rows, model, lacking):
        X = rows[0].head(40)
        columns = ["supported", "in_range", "distance", "overlap"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given, other = (model.intervene(t, {"price": 30.0}) for t in (X, lacking(X)))
            zero = model.intervene(lacking(X), {"price": 0.0})
        assert given.support[columns].equals(other.support[columns])
        assert not zero.support["in_range"].any()  # what is missing was not observed at 0

    def test_dask(self, rows, model, lacking):
        X = rows[0].head(40)
        found = model.intervene(dd.from_pandas(lacking(X), npartitions=2), {"price": 9.0})
        whole = model.intervene(dd.from_pandas(X, npartitions=2), {"price": 9.0})
        assert np.array_equal(found.mean().compute(), whole.mean().compute())


class TestWhatIsRead:
    def test_a_regressor(self, rows, model):
        X = rows[0].head(3)
        with pytest.raises(ValueError, match=r"NaN: column 'size', row 1"):
            model.intervene(X.assign(size=[0.0, np.nan, 0.0]), {"price": 9.0})

    def test_an_absent_regressor_in_the_words_of_scikit_learn(self, rows, model):
        X = rows[0].drop(columns=["size", "note"]).head(3)
        for ask in (model.predict, lambda X: model.intervene(X, {"price": 9.0})):
            with pytest.raises(ValueError, match=r"(?s)fit time, yet now missing:.*- size"):
                ask(X)

    def test_columns_in_another_order_and_others_besides(self, rows, model):
        X = rows[0].head(3)
        with pytest.raises(ValueError, match="must be in the same order"):
            model.intervene(X[["price", "size"]], {"price": 9.0})
        with pytest.raises(ValueError, match=r"(?s)unseen at fit time:.*- town"):
            model.intervene(X[["size"]].assign(town="a"), {"price": 9.0})

    def test_a_mediator_that_is_not_reached(self, rows, model):
        X = rows[0].head(3)
        held = {"price": 9.0, "visitors": lambda X: X["visitors"]}
        with pytest.raises(ValueError, match=r"do\['visitors'\] holds nan in row 1"):
            model.intervene(X.assign(visitors=[1.0, np.nan, 2.0]), held)

    def test_effect_from_what_was_observed(self, rows, model):
        X = rows[0].head(3)
        more = {"price": 9.0}
        with pytest.raises(ValueError, match="NaN: column 'price', row 0"):
            model.effect(X.assign(price=np.nan), more)
        with pytest.raises(ValueError, match=r"(?s)yet now missing:.*- price"):
            model.effect(X.drop(columns="price"), more)
        assert model.effect(X.assign(visitors=np.nan), more).mean().shape == (3,)

    def test_counterfactual_reads_the_mediator(self, rows, model):
        X, y = rows[0].head(3), rows[1].head(3)
        with pytest.raises(ValueError, match="NaN: column 'visitors', row 0"):
            model.counterfactual(X.assign(visitors=np.nan), y, {"price": 9.0})
        with pytest.raises(ValueError, match=r"(?s)yet now missing:.*- visitors"):
            model.counterfactual(X.drop(columns="visitors"), y, {"price": 9.0})
        with pytest.raises(ValueError, match="NaN: column 'price', row 0"):
            model.counterfactual(X.assign(price=np.nan), y, {"price": 9.0})
        found = model.counterfactual(X.drop(columns="note"), y, {"price": 9.0}).mean()
        assert np.array_equal(found, model.counterfactual(X, y, {"price": 9.0}).mean())

    def test_a_function_of_an_ignored_column(self, rows, model):
        X = rows[0].head(3).assign(note=[1.0, np.nan, 2.0])
        with pytest.raises(ValueError, match=r"do\['price'\] holds nan in row 1"):
            model.intervene(X, {"price": lambda X: X["note"]})
        with pytest.raises(KeyError):  # what X lacks, a function does not see
            model.intervene(X.drop(columns="note"), {"price": lambda X: X["note"]})

    def test_predict_reads_the_regressors_of_the_outcome(self, rows, model):
        X, y = rows
        some = X[["size", "visitors"]]
        assert np.array_equal(model.predict(some), model.predict(X))
        assert model.score(X.assign(price=np.nan, note="x"), y) == model.score(X, y)
        assert np.array_equal(model.sample_y(some), model.sample_y(X))
        with pytest.raises(ValueError, match="NaN: column 'visitors', row 0"):
            model.predict(X.assign(visitors=np.nan))

    def test_without_a_graph_predict_reads_all(self, rows):
        X, y = rows
        plain = BayesianInterventionRegressor(random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="NaN: column 'note', row 0"):
            plain.predict(X.assign(note=np.nan))
        with pytest.raises(ValueError, match=r"(?s)yet now missing:.*- note"):
            plain.predict(X.drop(columns="note"))
        kept = plain.intervene(X.drop(columns="note"), {"note": 0.0}).mean()
        assert np.array_equal(kept, plain.intervene(X, {"note": 0.0}).mean())

    def test_decompose(self, rows, model):
        X = rows[0].head(40)
        do = {"price": 9.0}, {"price": 10.0}
        found, whole = (model.decompose(t, *do) for t in (X[["size"]], X))
        for part in whole:
            assert np.array_equal(found[part].mean(), whole[part].mean())


def test_an_array_keeps_its_width(rows):
    X, y = rows
    A = X[["size", "price", "visitors"]].to_numpy()
    graph = "x0 -> x1; x0 -> y; x1 -> x2 -> y"
    model = fitted(A, y, graph=graph, outcome="y")
    holes = A.copy()
    holes[:, 1:] = np.nan
    found = model.intervene(holes, {1: 9.0}).mean()
    assert np.array_equal(found, model.intervene(A, {1: 9.0}).mean())
    with pytest.raises(ValueError, match="X has 2 features"):
        model.intervene(A[:, :2], {1: 9.0})


@pytest.mark.parametrize("missing", [np.nan, None, "absent", "unheard of"])
def test_mediators_of_levels_and_counts(missing):
    rng = np.random.default_rng(1)
    arm = rng.integers(0, 2, N)
    visits = rng.poisson(np.exp(0.5 + 0.5 * arm))
    mood = np.where(rng.random(N) < 0.3 + 0.4 * arm, "good", "bad")
    X = pd.DataFrame({"arm": np.where(arm, "b", "a"), "visits": visits, "mood": mood})
    y = visits + 2.0 * (mood == "good") + rng.normal(size=N)
    graph = "arm -> visits -> y; arm -> mood -> y"
    model = BayesianInterventionRegressor(
        graph=graph, family={"visits": "poisson"}, inference="laplace", random_state=0
    ).fit(X, y)
    lacking = X[[]].assign(arm=missing, visits=np.nan, mood=missing)
    if missing == "absent":
        lacking = X[["mood"]].assign(mood=np.nan)
    whole = model.intervene(X, {"arm": "b"}).average()
    assert np.array_equal(model.intervene(lacking, {"arm": "b"}).average().mean(), whole.mean())
    truth = np.exp(1.0) + 2 * 0.7
    assert abs(whole.mean() - truth) < 5 * whole.std()
    with pytest.raises(ValueError, match=r"row 0|yet now missing|unknown level"):
        model.intervene(lacking, {"visits": 2})


OUTSIDE = {
    "NaN": np.nan,
    "dates": pd.Timestamp("2024-01-01"),
    "None": None,
    "infinity": np.inf,
    "objects": pd.Series([{}, []] * (N // 2)),
    "complex": 1j,
    "mixed": pd.Series(["a", 1] * (N // 2)),
}


class TestFit:
    @pytest.mark.parametrize("note", OUTSIDE.values(), ids=OUTSIDE)
    def test_columns_outside_the_graph(self, rows, model, note):
        X, y = rows
        found = fitted(X.assign(note=note), y)
        assert np.array_equal(found.coef_, model.coef_)
        assert found.n_features_in_ == 4
        assert list(found.feature_names_in_) == list(X.columns)
        asked = found.intervene(X.assign(note=note), {"price": 9.0})
        assert np.array_equal(asked.mean(), model.intervene(X, {"price": 9.0}).mean())

    def test_in_batches_and_with_dask(self, rows, model):
        X, y = rows[0].assign(note=np.nan), rows[1]
        batches = BayesianInterventionRegressor(graph=GRAPH, outcome="sales", random_state=0)
        for part in (slice(0, 100), slice(100, N)):
            batches.partial_fit(X[part], y[part])
        parts = [dd.from_pandas(each, npartitions=2) for each in (X, y)]
        for found in (batches, fitted(*parts)):
            assert found.coef_ == pytest.approx(model.coef_, rel=1e-9)

    @pytest.mark.parametrize("column", ["size", "price", "visitors"])
    def test_columns_that_enter_an_equation(self, rows, column):
        X, y = rows
        with pytest.raises(ValueError, match=f"NaN: column '{column}', row 0"):
            fitted(X.assign(**{column: np.nan}), y)
        with pytest.raises(TypeError, match=f"column '{column}' of X has dtype datetime64"):
            fitted(X.assign(**{column: pd.Timestamp("2024-01-01")}), y)

    def test_a_node_that_enters_no_equation(self, rows):
        X, y = rows
        graph = "size -> price; size -> sales; price -> visitors -> sales; sales -> note"
        found = fitted(X.assign(note=np.nan), y, graph=graph)
        assert np.array_equal(found.coef_, fitted(X, y, graph=graph).coef_)

    def test_without_a_graph_all_are_read(self, rows):
        X, y = rows
        with pytest.raises(ValueError, match="NaN: column 'note', row 0"):
            BayesianInterventionRegressor().fit(X.assign(note=np.nan), y)


def test_an_exposure_that_is_forced():
    rng = np.random.default_rng(2)
    X = pd.DataFrame({"days": rng.integers(1, 9, N).astype(float), "a": rng.normal(size=N)})
    y = rng.poisson(X["days"] * np.exp(0.3 * X["a"]))
    model = BayesianInterventionRegressor(
        family="poisson", exposure="days", inference="laplace", random_state=0
    ).fit(X, y)
    whole = model.intervene(X, {"days": 1.0}).mean()
    for days in (np.nan, -1.0):
        assert np.array_equal(model.intervene(X.assign(days=days), {"days": 1.0}).mean(), whole)
        with pytest.raises(ValueError, match=r"NaN: column 'days'|must be positive"):
            model.intervene(X.assign(days=days), {"a": 1.0})


def test_a_bias_with_a_prior_reads_how_far_a_column_is_moved(rows):
    from pymc_extras.prior import Prior

    X, y = rows
    X = X[["size", "price"]]
    model = BayesianInterventionRegressor(
        confounding={"price": Prior("Normal", mu=0, sigma=1)}, random_state=0
    ).fit(X, y)
    with pytest.raises(ValueError, match="NaN: column 'price', row 0"):
        model.intervene(X.assign(price=np.nan), {"price": 9.0})
