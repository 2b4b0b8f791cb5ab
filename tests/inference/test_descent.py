import numpy as np
from scipy.optimize import rosen, rosen_der

from interventional.inference.descent import descend


def test_a_bowl_has_its_bottom():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    A, b = root @ root.T + np.eye(6), rng.normal(size=6)

    def bowl(x):
        return 0.5 * x @ A @ x - b @ x, A @ x - b

    x, value = descend(bowl, np.zeros(6), np.eye(6), 200, 1e-12)
    np.testing.assert_allclose(x, np.linalg.solve(A, b), atol=1e-4)
    np.testing.assert_allclose(value, bowl(x)[0])


def test_what_is_known_of_the_curvature_saves_steps():
    A = np.diag([1.0, 100.0, 1e4])
    calls = []

    def bowl(x):
        calls.append(1)
        return 0.5 * x @ A @ x, A @ x

    descend(bowl, np.ones(3), np.linalg.inv(A), 200, 1e-12)
    told = len(calls)
    descend(bowl, np.ones(3), np.eye(3), 200, 1e-12)
    assert told < len(calls) - told


def test_a_valley_is_followed():
    start = np.array([-1.0, 1.0])
    x, value = descend(lambda x: (rosen(x), rosen_der(x)), start, np.eye(2), 500, 1e-12)
    np.testing.assert_allclose(x, 1.0, atol=0.05)
    assert value < 1e-3


def test_where_there_is_no_value_no_step_goes():
    def walled(x):
        if x[0] > 1:
            return np.inf, np.zeros(1)
        return (x[0] - 0.9) ** 2, 2 * (x - 0.9)

    x, _ = descend(walled, np.array([-30.0]), np.eye(1), 200, 1e-12)
    np.testing.assert_allclose(x, 0.9, atol=0.05)


def test_nothing_to_move():
    x, value = descend(lambda x: (3.0, np.zeros(0)), np.zeros(0), np.eye(0), 10, 1e-6)
    assert len(x) == 0
    assert value == 3.0
