"""A few routines of LAPACK that let other threads run meanwhile.

SciPy's own wrappers hold the lock of the interpreter, so that threads which factor matrices wait
for each other. What SciPy exports to Cython are the addresses of the routines; called by these,
they need no lock. Matrices are symmetric or triangular, in rows as NumPy has them, of single or
double precision, and are overwritten; only what is on and below the diagonal counts.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np

_UPPER = b"U"  # to LAPACK, which counts by columns, what is below the diagonal


@cache
def _routine(name: str, size: int) -> Any:
    """Return a routine that takes so many pointers."""
    from scipy.linalg import cython_lapack

    api, export = ctypes.pythonapi, cython_lapack.__pyx_capi__[name]
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    address_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api)
    )
    address = address_of(export, name_of(export))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * size)(address)


def _call(name: str, *values: Any) -> int:
    """Call a routine whose last argument says whether it failed; return that."""
    failed = ctypes.c_int(0)
    pointers = [_pointer(value) for value in values]
    _routine(name, len(values) + 1)(*(each[0] for each in pointers), ctypes.addressof(failed))
    return failed.value


def _pointer(value: Any) -> tuple[Any, Any]:
    """Return the address of a value, and what keeps it alive."""
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise ValueError("rows of a matrix must follow each other in memory")
        return value.ctypes.data, value
    held = ctypes.c_char(value) if isinstance(value, bytes) else ctypes.c_int(value)
    return ctypes.addressof(held), held


def _letter(array: Any) -> str:
    """Return what LAPACK calls a precision."""
    letters = {np.dtype(np.float32): "s", np.dtype(np.float64): "d"}
    if array.dtype not in letters:
        raise TypeError(f"LAPACK takes single and double precision, got {array.dtype}")
    return letters[array.dtype]


def factor(matrix: Any) -> bool:
    """Put a root L of a positive definite matrix LL' in its place; say whether there is one."""
    n = len(matrix)
    return not _call(_letter(matrix) + "potrf", _UPPER, n, matrix, n)


def invert(root: Any) -> bool:
    """Put the inverse of LL' in place of L; say whether there is one."""
    n = len(root)
    return not _call(_letter(root) + "potri", _UPPER, n, root, n)


def solve(root: Any, columns: Any, *, transposed: bool = False) -> None:
    """Put the solution of L x = b, or of L' x = b, in place of rows b', (k, n)."""
    n = len(root)
    which = b"N" if transposed else b"T"
    _call(_letter(root) + "trtrs", _UPPER, which, b"N", n, len(columns), root, n, columns, n)
