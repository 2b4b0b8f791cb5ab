"""What counts as a number, how many are held at a time, and where random ones come from."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST = 1e50  # in size: squares of such numbers, and products of three, are still numbers
SMALLEST = 1 / LARGEST
_SQUARES = 1e150  # beyond which squares are no numbers


def are_moderate(values: Floats) -> bool:
    """Whether all numbers are finite, and none is so large that its square would not be."""
    with np.errstate(all="ignore"):
        rows = np.atleast_2d(values)
        squares = np.einsum("ij,ij->", rows, rows)  # one pass without a temporary
        return bool(squares < LARGEST**2 or (np.abs(values) <= LARGEST).all())


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as compiled code takes it: what came over a wire may start anywhere."""
    return np.require(array, requirements="A")


def is_number(value: object) -> bool:
    """Whether an object counts as a number."""
    return isinstance(value, Real | Decimal | np.bool_)


def all_numbers(array: NDArray[Any]) -> bool:
    """Whether an array holds numbers alone, be it as objects."""
    return array.dtype.kind in "biuf" or (
        array.dtype.kind == "O" and all(is_number(value) for value in array.ravel())
    )


def refuse_times(values: Any, what: str) -> None:
    """Refuse dates and durations, which NumPy would count in nanoseconds."""
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "kind", "") in ("m", "M"):
        raise TypeError(f"{what} takes numbers, got {dtype}; say in what units they count")


@contextmanager
def converting(what: str) -> Iterator[None]:
    """Make an error of a number that is too large for a float, and no warning."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(f"{what}: {error}") from error


BLOCK = 1 << 20  # numbers of a block that are in the making at a time: 8 MB
CHUNK = 1 << 20  # numbers that are drawn from one source of noise: which decides what is drawn
AT_ONCE = 1 << 24  # numbers that are computed when they are asked for, and held
_WORTH_A_THREAD = 1 << 14
MOST = 1 << 30  # numbers that are held at all: 8 GB

# Streams of random numbers: the second number of a key, whose first is the seed. Of regenerated
# columns and outcomes it is 0, 1, …; a key of the seed alone is that of posterior draws. Biases
# have keys of three numbers, levels of four, so that these two may share one.
OF_FORCED = 1 << 20
OF_LEVELS = OF_BIASES = 1 << 21
OF_QUERIES = 1 << 22
OF_GROUPS = 1 << 23


def side_by_side(
    function: Callable[[Any], Any], jobs: Sequence[Any], size: int = MOST
) -> list[Any]:
    """Return what a function makes of each job, in threads where there are cores and much to do.

    `size` is how many numbers a job goes over.
    """
    import joblib

    cores = min(joblib.cpu_count(), len(jobs)) if size > _WORTH_A_THREAD else 1
    if cores < 2:
        return [function(job) for job in jobs]
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(function, jobs))


def is_large(n_draws: int, n: int) -> bool:
    """Whether so many samples are too many to be computed at once."""
    return n_draws * n > AT_ONCE


def refuse_too_many(n_draws: int, n: int, what: str, instead: str) -> None:
    """Refuse to hold more samples than memory is likely to take."""
    if n_draws * n > MOST:
        size = 8e-9 * n_draws * n
        raise ValueError(f"{n_draws:,} draws of {n:,} {what} are {size:,.1f} GB; {instead}")


def dense(values: Any, what: str) -> Any:
    """Return what is sparse as an array, if memory is likely to take that; all else as it is."""
    if not hasattr(values, "toarray"):
        return values
    if np.prod(values.shape, dtype=float) > MOST:
        size = 8e-9 * np.prod(values.shape, dtype=float)
        raise ValueError(
            f"{what} is sparse, of shape {values.shape}: the model takes every number of it, "
            f"zeros too, which are {size:,.1f} GB; give it fewer rows or columns"
        )
    return values.toarray()


def beside(parts: Sequence[Any]) -> Any:
    """Return matrices beside each other, a sparse one if any of them is."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.hstack(parts)
    from scipy import sparse

    return sparse.hstack([sparse.csr_array(part) for part in parts], format="csr")


def slices(n: int, size: int) -> Iterator[slice]:
    """Iterate over n rows in blocks of some size, at least of one row."""
    size = max(1, size)
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def blocks(n: int, width: int) -> Iterator[slice]:
    """Iterate over n rows in blocks that fit in memory, each row of so many numbers."""
    return slices(n, BLOCK // width)


def rows_of_chunk(n_draws: int) -> int:
    """Return how many rows have one source of noise."""
    return max(1, CHUNK // n_draws)


def refuse_overflow(expected: Floats, node: str) -> Floats:
    """Return what is expected of a node; refuse what is too large for its square to be a number.

    The inverse of a logarithm gets there a few hundred standard deviations beyond the data.
    """
    with np.errstate(all="ignore"):
        rows = np.atleast_2d(expected)
        if np.isfinite(np.einsum("ij,ij->", rows, rows)):
            return expected
    strays = ~(np.abs(rows) < _SQUARES)
    if not strays.any():
        return expected
    raise ValueError(
        f"{node!r} comes out as {rows[strays].flat[0]:g}: what its causes are given or forced to "
        "is too far from what the model was fitted to"
    )
