"""Whether data bear out the conditional independences that a causal graph implies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.errors import listed
from interventional.numbers import Floats

Independence = tuple[str, str, tuple[str, ...]]  # a is independent of b, given these

_DETERMINED = 1e-8  # of a column's spread; what is left below it is rounding


def check(data: pd.DataFrame, claims: Sequence[Independence], alpha: float) -> pd.DataFrame:
    """Test what `CausalGraph.check` says, in data of which every column is a node."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha!r}")
    schema = Schema.of(data)
    values = schema.encode(data)
    terms = {
        name: TreatmentCoding(schema.subset([j])).matrix(values[:, [j]])
        for j, name in enumerate(schema.names)
    }
    nothing = np.empty((len(data), 0))
    tests = [
        association(terms[a], terms[b], np.hstack([nothing, *(terms[name] for name in given)]))
        for a, b, given in claims
    ]
    table = pd.DataFrame(claims, columns=["a", "b", "given"])
    table["correlation"] = np.array([estimate for estimate, _, _ in tests])
    table["p_value"] = np.array([p for _, p, _ in tests])
    adjusted = _holm(table["p_value"].to_numpy())
    table["p_adjusted"] = adjusted
    table["holds"] = pd.array(
        [None if np.isnan(p) else bool(p >= alpha) for p in adjusted], dtype="boolean"
    )
    table["verdict"] = [
        _verdict(*claim, estimate, adjusted[i], why, alpha)
        for i, (claim, (estimate, _, why)) in enumerate(zip(claims, tests, strict=True))
    ]
    return table


def association(a: Floats, b: Floats, given: Floats) -> tuple[float, float, str]:
    """Return how far two blocks of columns go together, given a third.

    Parameters
    ----------
    a, b, given : ndarray of shape (n, p), (n, q) and (n, g)
        Columns; `given` may have none. An intercept is always given.

    Returns
    -------
    correlation : float
        The largest canonical correlation of what `given` leaves of the blocks; of two columns the
        partial correlation, with its sign.
    p_value : float
        Of Wilks' lambda, the product of 1 - r² over the canonical correlations r, by the F
        distribution of Rao (1951). Exact for linear Gaussian blocks if one of them has at most
        two columns; for a single column it is the F test of nested regressions.
    why : str
        Why there is no test, numbers then being NaN; else empty.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[1.0], [2.0], [2.0], [4.0]])
    >>> correlation, p_value, _ = association(a, b, np.empty((4, 0)))
    >>> round(correlation, 3), round(p_value, 3)
    (0.923, 0.077)
    """
    basis = _basis(_scaled(given))
    scaled = _scaled(a), _scaled(b)
    rest_of_a, rest_of_b = (block - basis @ (basis.T @ block) for block in scaled)
    left, right = _basis(rest_of_a), _basis(rest_of_b)
    p, q = left.shape[1], right.shape[1]
    if not p or not q:
        return np.nan, np.nan, "one of them is constant, or determined by the others"
    free = len(a) - 1 - basis.shape[1]
    if free < p + q:
        least = len(a) - free + p + q
        return np.nan, np.nan, f"{len(a)} rows are too few; it takes at least {least}"
    r = np.clip(np.linalg.svd(left.T @ right, compute_uv=False), 0, 1)
    estimate = float(r[0])
    if a.shape[1] == b.shape[1] == 1:
        estimate *= float(np.sign(rest_of_a[:, 0] @ rest_of_b[:, 0]))
    return estimate, _p_value(float(np.prod(1 - r**2)), p, q, free), ""


def _p_value(wilks: float, p: int, q: int, free: int) -> float:
    """Return the p-value of Wilks' lambda of p and q columns, of `free` degrees of freedom."""
    from scipy.stats import f

    if wilks <= np.finfo(float).eps:
        return 0.0
    curved = p**2 + q**2 - 5
    t = np.sqrt((p**2 * q**2 - 4) / curved) if curved > 0 else 1.0
    below = (free - (p + q + 1) / 2) * t - p * q / 2 + 1
    root = wilks ** (1 / t)
    return float(f.sf((1 - root) / root * below / (p * q), p * q, below))


def _scaled(block: Floats) -> Floats:
    """Return columns centred, of length one; those that are constant as zeros."""
    centred = block - block.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    moves = lengths > _DETERMINED * np.abs(block).max(axis=0, initial=0.0)
    return np.where(moves, centred, 0.0) / np.where(moves, lengths, 1.0)


def _basis(block: Floats) -> Floats:
    """Return an orthonormal basis of what columns of length one at most span."""
    from scipy.linalg import qr

    if not block.shape[1]:
        return block
    q, r, _ = qr(block, mode="economic", pivoting=True)
    return q[:, : int((np.abs(np.diag(r)) > _DETERMINED).sum())]


def _holm(p_values: Floats) -> Floats:
    """Return p-values adjusted for their number (Holm 1979); NaN stays out."""
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: int(np.isfinite(p_values).sum())]
    left = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * left), 1.0)
    return adjusted


def _verdict(
    a: str, b: str, given: tuple[str, ...], estimate: float, p: float, why: str, alpha: float
) -> str:
    claim = f"{a!r} and {b!r} should be independent"
    claim += f" given {listed(given)}" if given else ""
    if why:
        return f"{claim}; this cannot be tested: {why}"
    found = f"their {'partial ' if given else ''}correlation is {estimate:.2g} (p = {p:.2g})"
    if p >= alpha:
        return f"{claim}, and nothing speaks against it: {found}"
    return (
        f"{claim}, but {found}: an arrow or a common cause is missing in the graph, or an arrow "
        "points the wrong way"
    )
