"""The estimator inside scikit-learn's own machinery."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from pymc_extras.prior import Prior
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.inspection import PartialDependenceDisplay, partial_dependence, permutation_importance
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)
from sklearn.utils import estimator_html_repr

from interventional import BayesianInterventionRegressor, InterventionDisplay

DATA = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def mixed():
    """Numbers, a bool and strings, with a known linear effect of each."""
    rng = np.random.default_rng(1)
    X = pd.DataFrame(
        {
            "age": rng.normal(50, 10, 200),
            "smoker": rng.integers(0, 2, 200).astype(bool),
            "city": rng.choice(["rome", "oslo", "bern"], 200),
        }
    )
    y = 0.1 * X["age"] + X["smoker"] + 2.0 * (X["city"] == "oslo") + rng.normal(size=200)
    return X, y


def estimator(**parameters):
    return BayesianInterventionRegressor(random_state=0, draws=250, **parameters)


@pytest.mark.parametrize("backend", ["serial", "threading", "loky"])
def test_cross_validation_is_the_same_everywhere(diabetes, backend):
    X, y = diabetes
    expected = cross_val_score(estimator(), X, y, cv=5)
    if backend == "serial":
        ridge = cross_val_score(Ridge(alpha=1e-3), X, y, cv=5)
        assert abs(expected.mean() - ridge.mean()) < 0.01
        return
    with joblib.parallel_backend(backend, n_jobs=2):
        np.testing.assert_array_equal(cross_val_score(estimator(), X, y, cv=5), expected)


def test_cross_validation_next_to_peers(diabetes):
    """Five folds of a linear problem: we are level with Ridge, ahead of what overfits it."""
    X, y = diabetes
    peers = {
        "ours": estimator(),
        "ridge": Ridge(alpha=1e-3),
        "bayesian ridge": BayesianRidge(),
        "gaussian process": GaussianProcessRegressor(alpha=1.0, normalize_y=True),
        "boosting": HistGradientBoostingRegressor(max_iter=20, random_state=0),
    }
    scores = {
        name: cross_validate(peer, X, y, cv=5, scoring="r2")["test_score"].mean()
        for name, peer in peers.items()
    }
    assert abs(scores["ours"] - scores["ridge"]) < 0.01
    assert scores["ours"] > scores["boosting"] - 0.02
    assert scores["ours"] > scores["gaussian process"] - 0.02


@pytest.mark.filterwarnings("ignore:.* linear in its terms")  # diabetes bends
def test_grid_search_over_priors_and_designs(diabetes):
    """A prior that forbids every effect loses; a design that adds nothing but noise loses."""
    X, y = diabetes
    tight = {"beta": Prior("Normal", mu=0, sigma=1e-6)}
    grid = {
        "priors": [None, tight],
        "design": [None, SplineTransformer(n_knots=25, degree=3)],
    }
    search = GridSearchCV(estimator(), grid, cv=3, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"priors": None, "design": None}
    outcomes = search.best_estimator_.intervene(X, do={"bmi": 0.0})
    assert len(outcomes) == len(X)


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_pipeline_with_column_transformer(mixed, output):
    """The pipeline predicts what the same design inside the estimator predicts."""
    X, y = mixed
    steps = ColumnTransformer(
        [("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(sparse_output=False), ["city"])],
        remainder="passthrough",
    ).set_output(transform=output)
    priors = {"beta": Prior("Normal", mu=0, sigma=10)}  # by default a design has one of its own
    pipeline = make_pipeline(steps, estimator(priors=priors)).fit(X, y)
    inside = estimator(design=steps, priors=priors).fit(X, y)
    np.testing.assert_allclose(pipeline.predict(X), inside.predict(X), rtol=1e-9)
    assert pipeline.score(X, y) > 0.4


def test_transformed_target_bagging_importance_and_learning_curve(diabetes):
    X, y = diabetes
    target = TransformedTargetRegressor(estimator(), func=np.log, inverse_func=np.exp).fit(X, y)
    assert target.score(X, y) > 0.35
    bag = BaggingRegressor(estimator(), n_estimators=3, random_state=0).fit(X, y)
    assert bag.score(X, y) > 0.45
    model = estimator().fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=3, random_state=0)
    assert X.columns[importance.importances_mean.argmax()] in ("s1", "s5", "bmi")
    _, _, scores = learning_curve(estimator(), X, y, train_sizes=[0.3, 1.0], cv=3)
    assert scores[1].mean() > scores[0].mean() - 0.05
    assert cross_val_predict(estimator(), X, y, cv=3).shape == y.shape


def test_partial_dependence_is_the_dose_response_curve(diabetes):
    """Without mediators partial dependence and do agree (Zhao and Hastie 2021)."""
    X, y = diabetes
    model = estimator(design=SplineTransformer(n_knots=4)).fit(X, y)
    there = partial_dependence(model, X, ["bmi"], grid_resolution=7, percentiles=(0, 1))
    values = there["grid_values"][0]
    here = InterventionDisplay.from_estimator(model, X, "bmi", values=values)
    np.testing.assert_allclose(here.average.mean(), there["average"][0], rtol=1e-9)
    assert PartialDependenceDisplay.from_estimator(model, X, ["bmi"]).figure_ is not None


def test_metadata_routing_of_sample_weight(mixed):
    """Weights reach the estimator when it asks for them, and only then."""
    X, y = mixed
    X = X[["age", "smoker"]]
    weights = np.where(X["smoker"], 1e-9, 1.0)
    alone = estimator().fit(X, y, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            estimator().set_fit_request(sample_weight=True),
        )
        asked.fit(X, y, sample_weight=weights)
        np.testing.assert_allclose(asked.predict(X), alone.predict(X), rtol=1e-6)
        refused = Pipeline([("m", estimator().set_fit_request(sample_weight=False))])
        with pytest.raises(TypeError, match="sample_weight"):
            refused.fit(X, y, sample_weight=weights)
    routed = make_pipeline(StandardScaler(), estimator())
    routed.fit(X, y, bayesianinterventionregressor__sample_weight=weights)
    np.testing.assert_allclose(routed.predict(X), alone.predict(X), rtol=1e-6)


def _copies(model, folder):
    yield "pickle", pickle.loads(pickle.dumps(model))
    yield "deepcopy", copy.deepcopy(model)
    joblib.dump(model, folder / "model.joblib")
    yield "joblib", joblib.load(folder / "model.joblib")
    blob = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=blob)
    assert all(name.startswith("interventional.") for name in types), types
    yield "skops", skops.io.loads(blob, trusted=types)


def test_persistence(mixed, tmp_path):
    """Every copy answers as the original does, to the last bit."""
    X, y = mixed
    model = estimator(priors={"beta": Prior("Normal", mu=0, sigma=3)}).fit(X, y)
    model.set_params(priors=None)  # of the user's Priors skops would list PyMC's types
    expected = model.intervene(X, do={"city": "oslo"}, kind="predictive").draws
    for how, again in _copies(model, tmp_path):
        np.testing.assert_array_equal(again.predict(X), model.predict(X), err_msg=how)
        drawn = again.intervene(X, do={"city": "oslo"}, kind="predictive").draws
        np.testing.assert_array_equal(drawn, expected, err_msg=how)
        assert again.idata_["posterior"].equals(model.idata_["posterior"]), how
    assert not hasattr(clone(model), "idata_")


def test_pickle_does_not_grow_with_the_rows():
    rng = np.random.default_rng(0)
    sizes = []
    for n in (2500, 5000):  # of which 2,000 are kept
        X = rng.normal(size=(n, 3))
        model = estimator(design=PolynomialFeatures(2)).fit(X, X.sum(axis=1) + rng.normal(size=n))
        sizes.append(len(pickle.dumps(model)))
    assert sizes[1] <= sizes[0] + 64


def test_questions_leave_nothing_in_a_pickle(mixed):
    """Else what `joblib.Memory` takes for the model's hash would hang on what it was asked."""
    X, y = mixed
    X = X.assign(apart=X["smoker"], m=X["age"] + np.random.default_rng(0).normal(size=len(X)))
    model = estimator(graph="age -> m -> y; age -> y; city -> y").fit(X, y)
    before = pickle.dumps(model), joblib.hash(model)
    model.predict(X, return_std=True)
    model.effect(X, do={"age": 60}).average().summary()
    model.intervene(X, do={"city": "oslo"}, kind="predictive")
    model.counterfactual(X, y, do={"age": 60})
    assert model.idata_["posterior"] is not None
    assert (pickle.dumps(model), joblib.hash(model)) == before


def test_pickle_of_the_first_version_still_loads():
    """A model pickled by version 0.1.0 predicts as it did, in a process without PyMC."""
    program = (
        "import pickle, sys, numpy as np\n"
        f"with open({str(DATA / 'model-0.1.0.pkl')!r}, 'rb') as file:\n"
        "    saved = pickle.load(file)\n"
        "mean, std = saved['model'].predict(saved['X'], return_std=True)\n"
        "np.testing.assert_allclose(mean, saved['mean'], rtol=1e-12)\n"
        "np.testing.assert_allclose(std, saved['std'], rtol=1e-9)\n"
        "assert 'pymc' not in sys.modules and 'pytensor' not in sys.modules\n"
        "outcomes = saved['model'].intervene(saved['X'], do={'city': 'oslo'})\n"
        "np.testing.assert_allclose(outcomes.mean(), saved['oslo'], rtol=1e-9)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_html_repr_and_tags(mixed):
    X, y = mixed
    assert "BayesianInterventionRegressor" in estimator_html_repr(estimator().fit(X, y))
    tags = estimator().__sklearn_tags__()
    assert tags.estimator_type == "regressor"
    assert tags.target_tags.required
    assert not tags.input_tags.allow_nan


def test_random_state_follows_the_glossary(diabetes):
    """An int repeats itself; a RandomState moves on; None differs from run to run."""
    X, y = diabetes

    def coefficients(random_state):
        model = BayesianInterventionRegressor(random_state=random_state, draws=50)
        return model.fit(X, y).coef_

    np.testing.assert_array_equal(coefficients(3), coefficients(3))
    generator = np.random.RandomState(3)
    first = coefficients(generator)
    np.testing.assert_array_equal(first, coefficients(np.random.RandomState(3)))
    assert not np.array_equal(first, coefficients(generator))
    assert not np.array_equal(coefficients(None), coefficients(None))


@pytest.mark.filterwarnings("ignore:.* linear in its terms")  # diabetes bends
def test_silence(diabetes, capfd):
    X, y = diabetes
    model = estimator().fit(X, y)
    model.intervene(X, do={"bmi": 0.0}, kind="predictive").average().summary()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
