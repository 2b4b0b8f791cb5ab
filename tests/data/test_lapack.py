from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from interventional.data.lapack import factor, invert, solve


def matrix(n, dtype, seed=0):
    A = np.random.default_rng(seed).normal(size=(n, n))
    return (A @ A.T / n + np.eye(n)).astype(dtype)


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-4)])
class TestTriangles:
    def test_a_root_is_numpys(self, dtype, error):
        K = matrix(30, dtype)
        root = K.copy()
        assert factor(root)
        np.testing.assert_allclose(np.tril(root), np.linalg.cholesky(K), atol=error)

    def test_what_is_above_the_diagonal_does_not_count(self, dtype, error):
        K = matrix(30, dtype)
        root = np.tril(K) + np.triu(np.full_like(K, 7), 1)
        assert factor(root)
        assert invert(root)
        np.testing.assert_allclose(np.tril(root), np.tril(np.linalg.inv(K)), atol=error)
        assert (root[np.triu_indices(30, 1)] == 7).all()

    @pytest.mark.parametrize("transposed", [False, True])
    def test_solutions(self, dtype, error, transposed):
        root = np.linalg.cholesky(matrix(30, dtype))
        b = np.random.default_rng(1).normal(size=(4, 30)).astype(dtype)
        x = b.copy()
        solve(root, x, transposed=transposed)
        np.testing.assert_allclose(x @ (root if transposed else root.T), b, atol=error)


def test_a_matrix_that_has_no_root_is_said_to_have_none():
    assert not factor(-np.eye(3))
    assert not invert(np.zeros((3, 3)))


def test_a_view_is_refused():
    with pytest.raises(ValueError, match="in memory"):
        factor(np.eye(6)[::2, ::2])
    with pytest.raises(ValueError, match="in memory"):
        solve(np.eye(3), np.ones((3, 2)).T)


def test_other_numbers_are_refused():
    with pytest.raises(TypeError, match="int64"):
        factor(np.eye(3, dtype=np.int64))


def test_side_by_side():
    """Threads do not get in each other's way."""
    K = [matrix(200, np.float32, seed) for seed in range(8)]
    roots = [each.copy() for each in K]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(factor, roots))
    for root, each in zip(roots, K, strict=True):
        np.testing.assert_allclose(np.tril(root), np.linalg.cholesky(each), atol=1e-4)
