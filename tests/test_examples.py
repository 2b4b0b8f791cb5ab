import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import statsmodels.formula.api as smf
from conftest import N_STANDARD_ERRORS, assert_mean
from matplotlib.image import imread
from pymc_extras.prior import Prior

EXAMPLES = Path(__file__).parents[1] / "examples"
README = EXAMPLES.parent / "README.md"
FORMULA = (
    "wt82_71 ~ qsmk * smokeintensity + C(sex) + C(race) + C(education) + C(exercise) + C(active)"
    " + age + I(age**2) + I(smokeintensity**2) + smokeyrs + I(smokeyrs**2) + wt71 + I(wt71**2)"
)


def example(name):
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def assert_picture(path):
    """There is a picture, and something on it."""
    pixels = imread(path)[..., :3]
    assert min(pixels.shape[:2]) > 400
    assert (pixels.std(axis=(0, 1)) > 0.02).all()


@pytest.fixture(scope="module")
def quit_smoking():
    return example("quit_smoking")


@pytest.fixture(scope="module")
def smokers(quit_smoking):
    return quit_smoking.load()


def quitting(model, X):
    return model.effect(X, do={"qsmk": 1}, baseline={"qsmk": 0})


def test_quit_smoking_prints_and_draws(quit_smoking, tmp_path, capsys):
    quit_smoking.main(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    labels = [
        "everybody quits smoking",
        "nobody quits",
        "as observed: 403 quit",
        "effect: everybody less nobody",
        "  as published",
    ]
    table = [line for line in lines if line.startswith(tuple(labels))]
    assert [line[:30].rstrip() for line in table] == labels
    assert "\n".join(table) in README.read_text(encoding="utf-8")
    everybody, nobody, observed, effect, published = (float(line[30:39]) for line in table)
    assert abs(effect - published) < 0.1
    assert published == 3.5
    assert abs(everybody - nobody - effect) < 0.011
    assert nobody < observed < everybody
    assert str(tmp_path / "quit_smoking.png") in lines[-1]
    assert_picture(tmp_path / "quit_smoking.png")


def test_quit_smoking_is_near_the_published_effect(quit_smoking, smokers):
    X, y = smokers
    assert X.shape == (1566, 10)
    effect = quitting(quit_smoking.make_model().fit(X, y), X).average()
    assert abs(effect.mean()[0] - 3.5) < 0.1
    assert np.abs(effect.interval(0.95)[0] - [2.6, 4.5]).max() < 0.2
    assert 1 - 1e-9 < effect.probability(above=0)[0] <= 1.0  # in closed form: no count of draws


def test_quit_smoking_equals_the_g_formula_of_least_squares(quit_smoking, smokers):
    X, y = smokers
    priors = {
        "beta": Prior("Flat"),
        "intercept": Prior("Flat"),
        "sigma": Prior("HalfFlat"),
    }
    model = quit_smoking.make_model().set_params(priors=priors).fit(X, y)
    ols = smf.ols(FORMULA, X.assign(wt82_71=y)).fit()
    for value in (0, 1):
        ours = model.intervene(X, do={"qsmk": value})
        theirs = ols.predict(X.assign(qsmk=value))
        assert_mean(ours.average().draws.values.ravel(), theirs.mean())
        error = ours.std() / np.sqrt(ours.draws[..., 0].size)
        assert (np.abs(ours.mean() - theirs) < N_STANDARD_ERRORS * error).all()


def test_quit_smoking_does_not_depend_on_units(quit_smoking, smokers):
    X, y = smokers
    effect = quitting(quit_smoking.make_model().fit(X, y), X)
    pounds = 2.20462262
    other = X.assign(age=12 * X["age"], wt71=pounds * X["wt71"])
    in_pounds = quitting(quit_smoking.make_model().fit(other, pounds * y), other)
    np.testing.assert_allclose(in_pounds.draws / pounds, effect.draws, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        in_pounds.average().mean() / pounds, effect.average().mean(), rtol=1e-6
    )


def test_quit_smoking_product_follows_the_forced_column(quit_smoking, smokers):
    X, y = smokers
    model = quit_smoking.make_model().fit(X, y)
    per_row = quitting(model, X).mean()
    slope, base = np.polyfit(X["smokeintensity"], per_row, 1)
    np.testing.assert_allclose(base + slope * X["smokeintensity"], per_row, atol=1e-10)
    assert abs(slope) > 0.01
    by_name = dict(
        zip(model.idata_["posterior"][f"{y.name}_term"].values, model.coef_, strict=True)
    )
    product = [name for name in by_name if name.endswith("qsmk smokeintensity")]
    assert len(product) == 1
    np.testing.assert_allclose(slope, by_name[product[0]], rtol=1e-8)
