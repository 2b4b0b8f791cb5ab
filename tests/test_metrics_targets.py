"""Proper scores behind transformed targets, and weights that are routed to scores."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import N_STANDARD_ERRORS
from scipy import stats
from scipy.integrate import quad
from scoringrules import crps_lognormal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)

from interventional import BayesianInterventionRegressor
from interventional.metrics import log_density, neg_crps

RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.normal(size=120)})
Y = np.exp(0.5 * X["a"] + 0.3 * RNG.normal(size=120)).to_numpy()
EITHER = 3 * np.sinh(X["a"].to_numpy() + 0.5 * RNG.normal(size=120))  # of both signs


def make(**parameters):
    return BayesianInterventionRegressor(**{"random_state": 0} | parameters)


def of_log(regressor=None):
    return TransformedTargetRegressor(regressor or make(), func=np.log, inverse_func=np.exp)


# --- Densities ----------------------------------------------------------------------------------


def test_a_gaussian_of_logarithms_is_lognormal():
    lognormal, transformed = make(family="lognormal").fit(X, Y), of_log().fit(X, Y)
    truth = log_density(lognormal, X, Y)
    assert log_density(transformed, X, Y) == pytest.approx(truth, abs=1e-8)
    assert neg_crps(transformed, X, Y) == pytest.approx(neg_crps(lognormal, X, Y), rel=1e-9)
    w = RNG.integers(0, 3, 120)
    weighed = log_density(transformed, X, Y, sample_weight=w)
    assert weighed == pytest.approx(log_density(lognormal, X, Y, sample_weight=w), abs=1e-8)
    assert weighed != pytest.approx(truth, abs=1e-3)


def box_cox(lam):
    return lambda y: (lam - 1) * np.log(y)


def yeo_johnson(lam):
    return lambda y: np.where(
        y >= 0, (lam - 1) * np.log1p(np.abs(y)), (1 - lam) * np.log1p(np.abs(y))
    )


SMOOTH = {
    "log1p": (Y, FunctionTransformer(np.log1p, np.expm1), lambda t: lambda y: -np.log1p(y)),
    "sqrt": (Y, FunctionTransformer(np.sqrt, np.square), lambda t: lambda y: -np.log(4 * y) / 2),
    "minus": (Y, FunctionTransformer(np.negative, np.negative), lambda t: lambda y: 0 * y),
    "reciprocal": (
        Y,
        FunctionTransformer(np.reciprocal, np.reciprocal),
        lambda t: lambda y: -2 * np.log(y),
    ),
    "asinh": (
        EITHER,
        FunctionTransformer(np.arcsinh, np.sinh),
        lambda t: lambda y: -np.log1p(y**2) / 2,
    ),
    "scaler": (EITHER, StandardScaler(), lambda t: lambda y: -np.log(t.scale_) + 0 * y),
    "range": (EITHER - 1e6, MinMaxScaler(), lambda t: lambda y: np.log(t.scale_) + 0 * y),
    "box-cox": (
        Y,
        PowerTransformer("box-cox", standardize=False),
        lambda t: box_cox(t.lambdas_[0]),
    ),
    "yeo-johnson": (
        EITHER,
        PowerTransformer(standardize=False),
        lambda t: yeo_johnson(t.lambdas_[0]),
    ),
    "in a million": (
        1e6 * EITHER,
        FunctionTransformer(lambda y: np.arcsinh(y / 1e6), lambda z: 1e6 * np.sinh(z)),
        lambda t: lambda y: -np.log1p((y / 1e6) ** 2) / 2 - np.log(1e6),
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_density_has_the_slope_of_the_transform(name):
    y, transformer, slope_of = SMOOTH[name]
    model = TransformedTargetRegressor(make(), transformer=transformer).fit(X, y)
    slope = slope_of(model.transformer_)
    inner = model.transformer_.transform(y[:, None])[:, 0]
    truth = (model.regressor_.log_density(X, inner) + slope(y)).mean()
    assert log_density(model, X, y) == pytest.approx(truth, abs=1e-7)


def test_it_integrates_to_one():
    model = TransformedTargetRegressor(make(), func=np.arcsinh, inverse_func=np.sinh)
    model.fit(X, EITHER)
    row = X.iloc[[3]]
    total = quad(
        lambda y: np.exp(log_density(model, row, [y])), -200, 400, limit=500, points=[0.0, 2.0]
    )
    assert total[0] == pytest.approx(1.0, abs=1e-4)


def test_other_regressors_with_a_gaussian():
    model = of_log(BayesianRidge()).fit(X, Y)
    mean, std = model.regressor_.predict(X, return_std=True)
    truth = (stats.norm.logpdf(np.log(Y), mean, std) - np.log(Y)).mean()
    assert log_density(model, X, Y) == pytest.approx(truth, abs=1e-8)
    scores = crps_lognormal(Y, mean, std)
    # 4,000 draws a row: their error is that of a mean of |draw - y|, less than the mean outcome
    bound = N_STANDARD_ERRORS * Y.mean() / np.sqrt(4000 * len(Y))
    assert abs(-neg_crps(model, X, Y) - scores.mean()) < bound


def test_any_nesting():
    """Scores of a model in steps, searches and transforms are those of its parts by hand."""
    scaled = make_pipeline(StandardScaler(), make(family="gaussian"))
    search = GridSearchCV(scaled, {"bayesianinterventionregressor__draws": [500]}, cv=2)
    twice = TransformedTargetRegressor(
        of_log(search), func=lambda y: y / 2, inverse_func=lambda z: 2 * z
    )
    outer = make_pipeline(StandardScaler(), twice).fit(X, Y)
    inner = outer[-1].regressor_.regressor_.best_estimator_
    rows = outer[0].transform(X)
    z = np.log(Y / 2)
    truth = inner[-1].log_density(inner[0].transform(rows), z) - np.log(Y)
    assert log_density(outer, X, Y) == pytest.approx(truth.mean(), abs=1e-7)
    folds = KFold(3)
    found = cross_val_score(of_log(), X, Y, cv=folds, scoring=log_density, error_score="raise")
    plain = make(family="lognormal")
    truth = cross_val_score(plain, X, Y, cv=folds, scoring=log_density, error_score="raise")
    np.testing.assert_allclose(found, truth, atol=1e-7)
    grid = {"regressor__priors": [None, "ridge"]}
    search = GridSearchCV(of_log(), grid, cv=folds, scoring=neg_crps, error_score="raise")
    assert np.isfinite(search.fit(X, Y).cv_results_["mean_test_score"]).all()
    assert np.isfinite(log_density(search, X, Y))


REFUSED = {
    "rounds": (np.round, lambda z: z, "its inverse does not undo it"),
    "clips": (
        lambda y: np.minimum(y, 1.0),
        lambda z: z,
        r"at y = [\d.]+ in row \d+: its inverse does not undo it",
    ),
    "jumps": (
        lambda y: np.where(y > 1, y + 5, y),
        lambda z: np.where(z > 1, z - 5, z),
        r"at y = 1 in row 7: it has no slope there",
    ),
    "turns": (
        lambda y: np.where(y > 1, 1 / y, y + 4),
        lambda z: np.where(z < 1, 1 / z, z - 4),
        "turns",
    ),
    "of all rows": (
        lambda y: y - y.mean(),
        lambda z: z + ONE.mean(),
        "depends on the other rows",
    ),
}
ONE = Y.copy()
ONE[7] = 1.0


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_density(name):
    there, back, words = REFUSED[name]
    model = TransformedTargetRegressor(make(), func=there, inverse_func=back, check_inverse=False)
    model.fit(X, Y)
    model.transformer_.check_inverse = False
    with pytest.raises(ValueError, match=f"has no density to score .*{words}"):
        log_density(model, X, ONE)


def test_what_quantiles_cannot_score():
    """Beyond what it has seen a quantile transform is constant; between, it has a slope."""
    transformer = QuantileTransformer(n_quantiles=10, output_distribution="normal")
    model = TransformedTargetRegressor(make(), transformer=transformer).fit(X, Y)
    low, high = np.quantile(Y, [0.1, 0.9])
    inside = (low < Y) & (high > Y)
    assert np.isfinite(log_density(model, X[inside], Y[inside]))
    with pytest.raises(ValueError, match=r"QuantileTransformer.* at y = 99 in row 0.* constant"):
        log_density(model, X.iloc[:1], [99.0])
    assert np.isfinite(neg_crps(model, X.iloc[:1], [99.0]))


def test_a_transform_that_turns_around():
    there = TransformedTargetRegressor(make(), func=np.square, inverse_func=np.sqrt)
    there.fit(X, Y)
    with pytest.raises(ValueError, match="its inverse does not undo it"):
        log_density(there, X, EITHER)


# --- Weights under routing ----------------------------------------------------------------------

W = RNG.integers(0, 4, 120).astype(float)
GRID = {"priors": [None, "ridge"]}


def searched(scoring, **parameters):
    asks = make()
    if parameters.pop("on", False):
        asks = asks.set_fit_request(sample_weight=True)
    search = GridSearchCV(asks, GRID, cv=3, scoring=scoring, error_score="raise", **parameters)
    search.fit(X, Y, sample_weight=W)
    return {k: v for k, v in search.cv_results_.items() if k.startswith("mean_test")}


@pytest.mark.parametrize("score", [log_density, neg_crps])
def test_routing_changes_no_score(score):
    off = searched(score)["mean_test_score"]
    with sklearn.config_context(enable_metadata_routing=True):
        on = searched(score, on=True)["mean_test_score"]
        asked = score.set_score_request(sample_weight=True)
        again = searched(asked, on=True)["mean_test_score"]
        deaf = score.set_score_request(sample_weight=False)
        without = searched(deaf, on=True)["mean_test_score"]
        open_ = score.set_score_request(sample_weight=None)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            searched(open_, on=True)
    np.testing.assert_array_equal(on, off)
    np.testing.assert_array_equal(again, off)
    folds = KFold(3).split(X)
    by_hand = []
    for train, test in folds:
        model = make().fit(X.iloc[train], Y[train], sample_weight=W[train])
        by_hand.append([score(model, X.iloc[test], Y[test], w) for w in (W[test], None)])
    np.testing.assert_allclose([off[0], without[0]], np.mean(by_hand, axis=0))
    assert abs(off[0] - without[0]) > 1e-3


def test_another_name_and_cross_validation():
    with sklearn.config_context(enable_metadata_routing=True):
        asks = make().set_fit_request(sample_weight="learnt")
        score = log_density.set_score_request(sample_weight="judged")
        found = cross_validate(
            asks, X, Y, cv=3, scoring=score, params={"learnt": W, "judged": W}, error_score="raise"
        )
        same = cross_validate(
            make().set_fit_request(sample_weight=True),
            X,
            Y,
            cv=3,
            scoring=log_density,
            params={"sample_weight": W},
            error_score="raise",
        )
    np.testing.assert_array_equal(found["test_score"], same["test_score"])


def test_several_scores_at_once():
    both = {"density": log_density, "crps": neg_crps}
    off = searched(both, refit=False)
    alone = searched(log_density)["mean_test_score"]
    np.testing.assert_array_equal(off["mean_test_density"], alone)
    with sklearn.config_context(enable_metadata_routing=True):
        on = searched(both, refit=False, on=True)
    for name in off:
        np.testing.assert_array_equal(on[name], off[name])


def test_scorers_are_values():
    before = repr(log_density.get_metadata_routing())
    with sklearn.config_context(enable_metadata_routing=True):
        deaf = log_density.set_score_request(sample_weight=False)
    assert repr(log_density.get_metadata_routing()) == before
    assert repr(deaf) == "log_density.set_score_request(sample_weight=False)"
    assert deaf.__name__ == "log_density"
    model = make().fit(X, Y)
    for scorer in (log_density, deaf):
        for other in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
            assert other == scorer
            assert other(model, X, Y) == log_density(model, X, Y)
        search = clone(GridSearchCV(make(), GRID, scoring=scorer))
        assert search.scoring == scorer
