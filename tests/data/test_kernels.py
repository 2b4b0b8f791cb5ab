import numpy as np
import pytest
from conftest import N_STANDARD_ERRORS
from sklearn.gaussian_process.kernels import Matern

from interventional.data.kernels import (
    ROOT,
    for_distances,
    frequencies,
    matern,
    matern_and_slope,
    waves,
)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(12, 3))


def test_the_kernel_is_scikit_learns(rows):
    lengths = np.array([0.5, 1.0, 4.0])
    expected = Matern(lengths, nu=2.5)(rows, rows[:5])
    np.testing.assert_allclose(matern(rows / lengths, rows[:5] / lengths), expected, atol=1e-12)


def in_place(rows, others):
    """Return the kernel and its slope."""
    k, slope, spare = np.empty((3, len(rows), len(others)), rows.dtype)
    left, right = for_distances(rows * ROOT)[0], for_distances(others * ROOT)[1]
    matern_and_slope(left.astype(rows.dtype), right.astype(rows.dtype), k, slope, spare)
    return k, slope


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_kernel_in_place(rows, dtype, error):
    k, _ = in_place(rows.astype(dtype), rows[:5].astype(dtype))
    np.testing.assert_allclose(k, matern(rows, rows[:5]), atol=error)


def test_the_slope_is_a_derivative(rows):
    _, slope = in_place(rows, rows)
    step, distance = 1e-6, np.square(rows[:, None, 1] - rows[None, :, 1])

    def longer(by):
        at = rows / np.exp([0, by, 0])
        return matern(at, at)

    derivative = (longer(step) - longer(-step)) / (2 * step)
    np.testing.assert_allclose(slope * distance * 5 / 3, derivative, atol=1e-8)


def test_waves_have_the_kernel_on_average(rows):
    made = [waves(rows, frequencies(3, 50, np.random.default_rng(seed))) for seed in range(400)]
    products = np.array([each @ each.T for each in made])
    error = products.std(axis=0) / np.sqrt(len(products)) + 1e-12
    z = (products.mean(axis=0) - matern(rows, rows)) / error
    assert np.abs(z).max() < N_STANDARD_ERRORS
