r"""Coefficients that each group of rows has to itself, beside those that all rows share.

Given those that are shared, b, what one group has is independent of the others'. With X_g the
group's rows of what is its own and A_g those of the rest, both over the standard deviation of the
noise, the precision of the vector of coefficients c_g is

.. math:: D_g = I + X_g' X_g, \quad c_g \mid b \sim
    N(D_g^{-1} (X_g' y_g - X_g' A_g b), D_g^{-1}),

and that of b loses :math:`\sum_g A_g' X_g D_g^{-1} X_g' A_g`. So groups cost what their rows do,
however many there are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interventional.numbers import MOST, Floats


class ByGroup:
    """Sums over the rows of each group.

    Parameters
    ----------
    n_groups, effects, size : int
        How many groups there are, coefficients of each, and coefficients that all share.
    """

    def __init__(self, n_groups: int, effects: int, size: int):
        if n_groups * effects * size > MOST:
            gigabytes = 8e-9 * n_groups * effects * size
            raise ValueError(
                f"groups: {n_groups:,} groups of {effects} coefficients each beside {size:,} of a "
                f"surface are {gigabytes:,.0f} GB; take fewer rows, or let fewer things differ"
            )
        self.precision = np.tile(np.eye(effects), (n_groups, 1, 1))
        self.by = np.zeros((n_groups, effects))
        self.cross = np.zeros((n_groups, effects, size))

    def add(self, codes: NDArray[np.intp], own: Floats, rest: Floats, target: Floats) -> None:
        """Add rows, all over the standard deviation of their noise.

        Parameters
        ----------
        codes : ndarray of int, shape (n,)
            Which group each belongs to.
        own : ndarray of shape (n, effects)
            What its own coefficients are multiplied by.
        rest : ndarray of shape (n, size)
            What those are that all share.
        target : ndarray of shape (n,)
            The outcome.
        """
        from scipy import sparse

        groups, at = np.unique(codes, return_inverse=True)
        shape, rows = (len(groups), len(codes)), np.arange(len(codes))
        for k, column in enumerate(own.T):
            sums = sparse.csr_array((column, (at, rows)), shape=shape)
            self.precision[groups, k] += sums @ own
            self.by[groups, k] += sums @ target
            self.cross[groups, k] += sums @ rest

    def taken_out(self, precision: Floats, by: Floats) -> "Given":
        """Take what groups have to themselves out of the sums of the rest, in place."""
        root = np.linalg.cholesky(self.precision)
        cross = np.linalg.solve(root, self.cross)
        own = np.linalg.solve(root, self.by[:, :, None])
        flat = cross.reshape(-1, cross.shape[2])
        precision -= flat.T @ flat
        by -= flat.T @ own.ravel()
        return Given(root, own[:, :, 0], cross)


@dataclass(frozen=True, eq=False)
class Given:
    """What groups have to themselves, given what all rows share.

    Attributes
    ----------
    root : ndarray of shape (groups, effects, effects)
        Lower triangular roots L of their precisions.
    own : ndarray of shape (groups, effects)
        The product of the inverse of L and the sums of the outcome.
    cross : ndarray of shape (groups, effects, size)
        That of the inverse of L and the sums of the rest.
    """

    root: Floats
    own: Floats
    cross: Floats

    def drawn(self, shared: Floats, noise: Floats) -> Floats:
        """Return coefficients, (draws, groups, effects), given those that are shared.

        Parameters
        ----------
        shared : ndarray of shape (draws, size)
            These.
        noise : ndarray of shape (draws, groups, effects)
            Standard normal numbers; zeros for the mean.
        """
        n_groups, q, size = self.cross.shape
        moved = (shared @ self.cross.reshape(-1, size).T).reshape(-1, n_groups, q)
        left = np.moveaxis(self.own - moved + noise, 0, -1)
        return np.moveaxis(np.linalg.solve(np.swapaxes(self.root, 1, 2), left), -1, 0)
