"""Linear algebra of a few coefficients for each of many levels, all levels and draws at once.

Loops run over the coefficients of a level; arrays over draws, columns and levels, in that order.
Everything is Givens rotations: squares are never added up to be taken apart again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interventional.numbers import Floats


@dataclass(frozen=True, eq=False)
class Levels:
    """The rows of each level of a group: its QR of [Z_j, border, y], cut after q rows.

    Attributes
    ----------
    own : ndarray of shape (J, q, q)
        Upper triangular factors R_j of Z_j. Rows are zero where a level has fewer than q.
    border : ndarray of shape (J, q, pb)
        What these rows hold of the other columns.
    target : ndarray of shape (J, q)
        What they hold of the outcome.
    """

    own: Floats
    border: Floats
    target: Floats


@dataclass(frozen=True, eq=False)
class Blocks:
    """The same, levels last.

    A level's coefficients are L f, f ~ N(0, sigma² I), with L lower triangular: the `root` of the
    methods, (S, q, q). With A = R L its rows have the covariance sigma² (I + A A').

    Attributes
    ----------
    own : ndarray of shape (q, q, J)
    rows : ndarray of shape (q, pb + 1, J)
        Those of the border, and of the outcome.
    """

    own: Floats
    rows: Floats

    @classmethod
    def of(cls, levels: Levels) -> "Blocks":
        """Turn the axes."""
        rows = np.concatenate([levels.border, levels.target[:, :, None]], axis=2)
        return cls(
            np.ascontiguousarray(levels.own.transpose(1, 2, 0)),
            np.ascontiguousarray(rows.transpose(1, 2, 0)),
        )

    def whitened(self, root: Floats) -> tuple[Floats, Floats]:
        """Divide the rows by the Cholesky factors of I + A A'.

        Returns
        -------
        rows : ndarray of shape (q, S, pb + 1, J)
        log_det : ndarray of shape (S,)
            Sums of the logs of the factors' diagonals.
        """
        a, q = self._scaled(root), len(self.own)
        upper = _fold([[a[i][k] for i in range(q)] for k in range(q)], q)
        out = np.empty((q, len(root), *self.rows.shape[1:]))
        log_det = np.zeros(len(root))
        for i in range(q):
            np.copyto(out[i], self.rows[i])
            for k in range(i):
                out[i] -= upper[k][i] * out[k]
            out[i] /= upper[i][i]
            log_det += np.log(upper[i][i]).sum(axis=(1, 2))
        return out, log_det

    def draw(self, root: Floats, border: Floats, noise: Floats) -> Floats:
        """Draw the coefficients given those of the border.

        Parameters
        ----------
        root : ndarray of shape (S, q, q)
        border : ndarray of shape (S, pb)
            Coefficients of the border.
        noise : ndarray of shape (S, q, J)
            N(0, sigma²).

        Returns
        -------
        ndarray of shape (S, q, J)
        """
        a, q = self._scaled(root), len(self.own)
        left = [(rows[-1] - border @ rows[:-1])[:, None] for rows in self.rows]
        upper = _fold([[*a[i], left[i]] for i in range(q)], q)
        f = _back(upper, [upper[i][q] + noise[:, i, None] for i in range(q)])
        return root @ np.concatenate(f, axis=1)

    def second_moments(
        self, root: Floats, sigma: Floats, border: Floats, spread: Floats
    ) -> Floats:
        """Return sums over levels of E[f f'] / sigma², (S, q, q).

        Parameters
        ----------
        root : ndarray of shape (S, q, q)
        sigma : ndarray of shape (S,)
        border : ndarray of shape (S, pb)
            Means of the coefficients of the border.
        spread : ndarray of shape (S, pb, pb)
            Roots W of their covariance, which is sigma² W W'.
        """
        a, q = self._scaled(root), len(self.own)
        upper = _fold([[*a[i], self.rows[i]] for i in range(q)], q)
        by_row = _back(upper, [upper[i][q] for i in range(q)])  # (S, pb + 1, J)
        one, zero = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
        inverse = [_back(upper, [one if i == e else zero for i in range(q)]) for e in range(q)]
        parts = []
        for i in range(q):
            by_border = np.swapaxes(by_row[i][:, :-1], 1, 2)
            mean = by_row[i][:, -1:] - np.swapaxes(by_border @ border[:, :, None], 1, 2)
            from_border = np.swapaxes(by_border @ spread, 1, 2)
            shape = mean.shape
            own = [np.broadcast_to(inverse[e][i], shape) for e in range(q)]
            parts.append(np.concatenate([mean / sigma[:, None, None], *own, from_border], axis=1))
        return np.array(
            [[np.einsum("scj,scj->s", one, other) for other in parts] for one in parts]
        ).transpose(2, 0, 1)

    def _scaled(self, root: Floats) -> list[list[Floats]]:
        """Return the elements of A = R L, each (S, 1, J)."""
        q = len(self.own)
        return [
            [
                np.asarray(
                    sum(root[:, k, j, None, None] * self.own[i, k] for k in range(max(i, j), q))
                )
                for j in range(q)
            ]
            for i in range(q)
        ]


def _fold(rows: Sequence[Sequence[Floats]], q: int) -> list[list[Floats]]:
    """Return the first q rows of the triangular factor of [[I, 0], [A, B]].

    A and B are given row by row, and element by element: arrays that broadcast. The factor is
    positive on its diagonal.
    """
    width = max(map(len, rows))
    one, zero = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    upper = [[one if i == j else zero for j in range(width)] for i in range(q)]
    for new in rows:
        row = list(new)
        for k in range(q):
            pivot = upper[k][k]
            length = np.sqrt(np.square(pivot) + np.square(row[k]))
            cosine, sine = pivot / length, row[k] / length
            upper[k][k] = length
            for j in range(k + 1, width):
                before = upper[k][j]
                upper[k][j] = cosine * before + sine * row[j]
                row[j] = cosine * row[j] - sine * before
    return upper


def _back(upper: Sequence[Sequence[Floats]], right: Sequence[Floats]) -> list[Floats]:
    """Solve upper triangular systems, element by element."""
    out = list(right)
    for i in range(len(right) - 1, -1, -1):
        for k in range(i + 1, len(right)):
            out[i] = out[i] - upper[i][k] * out[k]
        out[i] = out[i] / upper[i][i]
    return out
