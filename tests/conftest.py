"""What all tests share."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

collect_ignore_glob = ["make_*.py"]  # scripts that write data, run by hand
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # else scikit-learn skips one of its checks
matplotlib.use("Agg")

TESTS = Path(__file__).parent
OF_SUPPORT = ("test_support.py", "test_overlap.py", "test_docs.py", "test_examples.py")
OF_MISFIT = ("test_straightness.py", "test_between.py", "test_docs.py", "test_examples.py")


def pytest_collection_modifyitems(items):
    """Tests of other things force numbers that are easy to compute with, seen or not.

    Nor are their few rows always straight, nor told so: without an intercept, with each row
    weighed for hundreds, in one of a hundred simulations.
    """
    for item in items:
        if TESTS in item.path.parents and item.path.name not in OF_MISFIT:
            item.add_marker(pytest.mark.filterwarnings("ignore::interventional.MisfitWarning"))
        if TESTS in item.path.parents and item.path.name not in OF_SUPPORT:
            item.add_marker(
                pytest.mark.filterwarnings("ignore::interventional.ExtrapolationWarning")
            )


# Monte Carlo comparisons allow this many standard errors: with some thousand comparisons in a run,
# a right program fails at 4.5 less than once in a hundred runs.
N_STANDARD_ERRORS = 4.5


def slow(*values):
    """Return a case of a parametrised test that `make test` does without."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="session")
def linear_data():
    """Rows of a known linear model: y = 1.5 a + 0.7 b + 0.3 c + noise of sd 0.2."""
    rng = np.random.default_rng(20)
    X = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    y = X @ [1.5, 0.7, 0.3] + 0.2 * rng.normal(size=100)
    return X, y.rename("y")


def assert_same_mean(a, b, axis=0):
    """Two sets of independent draws have the same mean, in units of its standard error."""
    a, b = np.asarray(a), np.asarray(b)
    error = np.hypot(
        a.std(axis=axis) / np.sqrt(a.shape[axis]), b.std(axis=axis) / np.sqrt(b.shape[axis])
    )
    z = np.abs(a.mean(axis=axis) - b.mean(axis=axis)) / error
    assert np.all(z < N_STANDARD_ERRORS), z.max()


def assert_mean(draws, truth, axis=0):
    """Independent draws have a known mean, in units of its standard error."""
    draws = np.asarray(draws)
    error = draws.std(axis=axis, ddof=1) / np.sqrt(draws.shape[axis])
    z = np.abs(draws.mean(axis=axis) - truth) / error
    assert np.all(z < N_STANDARD_ERRORS), z.max()


def maximum_likelihood(score, hessian, start):
    """Return where a score is zero, to a millionth of a standard error, and standard errors there.

    By Newton's method from parameters nearby, such as those that made the data. An optimiser stops
    where it thinks fit, which hangs on the last digits of the machine's arithmetic.
    """
    estimate, errors, step = np.asarray(start, float), 1.0, np.inf
    for _ in range(30):
        covariance = np.linalg.inv(-np.asarray(hessian(estimate)))
        errors, step = np.sqrt(np.diag(covariance)), covariance @ score(estimate)
        estimate = estimate + step
    assert np.all(np.abs(step) < 1e-6 * errors), step / errors
    return estimate, errors


def family_wise(n_comparisons, alpha=1e-3):
    """Return how many standard errors n comparisons may differ at a joint level of alpha."""
    return float(norm.isf(alpha / 2 / n_comparisons))


def assert_predicts_without_pymc(model, X, folder):
    """A pickle of a model predicts the same in a process of its own, which needs no PyMC."""
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps((model, X, model.predict(X))))
    code = (
        "import pickle, sys, numpy as np\n"
        f"model, X, expected = pickle.loads(open({str(path)!r}, 'rb').read())\n"
        "np.testing.assert_allclose(model.predict(X), expected)\n"
        "assert not {'pymc', 'pytensor'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def mixed_surface(rng, n):
    """Numbers a, levels k, a treatment t: the columns, encoded rows, and their surface."""
    from interventional.data.schema import Schema
    from interventional.data.smooth import SmoothDesign

    X = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "k": rng.choice(["u", "v"], n),
            "t": (rng.random(n) < 0.5).astype(float),
        }
    )
    schema = Schema.of(X)
    values = schema.encode(X)
    return X, values, SmoothDesign.of(schema, ["t"], values, None).surface


def swollen(scale, priors):
    """Return what a PyMC graph's standard normal numbers are for scales of a surface."""
    known = priors.spread == 0
    return np.where(known, 0, np.log(scale / priors.scale) / np.where(known, 1, priors.spread))


def integrated(joint, total):
    """Return the log of the integral of a Gaussian density of some numbers, up to a constant.

    Of its log at few places: value, gradient and curvature at zero are all that it has.
    """
    zero, steps = joint(np.zeros(total)), np.eye(total)
    ahead = np.array([joint(step) for step in steps])
    behind = np.array([joint(-step) for step in steps])
    gradient = (ahead - behind) / 2
    hessian = np.diag(ahead + behind - 2 * zero)
    for i in range(total):
        for j in range(i):
            both = joint(steps[i] + steps[j])
            hessian[i, j] = hessian[j, i] = both - ahead[i] - ahead[j] + zero
    _, log_det = np.linalg.slogdet(-hessian)
    return zero - 0.5 * gradient @ np.linalg.solve(hessian, gradient) - 0.5 * log_det
