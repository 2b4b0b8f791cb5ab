"""Frames that are not pandas': polars, pyarrow and others that narwhals knows, as pandas and back.

None of these packages is imported here: narwhals looks for those that the user has loaded.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

# What pandas holds as NumPy does.
_PLAIN = (nw.Float16, nw.Float32, nw.Float64, nw.Boolean, nw.Date, nw.Datetime, nw.Duration)
_TEXT = (nw.String, nw.Enum, nw.Categorical)


def as_pandas(X: Any) -> pd.DataFrame | None:
    """Return a frame as a DataFrame of the same columns and rows; None of what is no frame.

    Raises
    ------
    TypeError
        If the frame holds a query rather than rows.
    ValueError
        If it repeats the name of a column.
    """
    if isinstance(X, pd.DataFrame):
        return X
    if not nw.dependencies.is_into_dataframe(X):
        if type(X).__name__ in ("LazyFrame", "DuckDBPyRelation"):
            raise TypeError(f"X is a {type(X).__name__}, which holds no rows yet: collect it")
        if type(X).__name__ == "RecordBatch":
            raise TypeError("X is a RecordBatch; give pyarrow.Table.from_batches([X])")
        return None
    try:
        frame = _wrapped(X)
        columns = {series.name: _series(series) for series in frame.iter_columns()}
    except nw.exceptions.DuplicateError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"X has more than one column of a name: {said}") from error
    found = pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))
    found.columns = pd.Index(list(columns), dtype="str")
    return found


def is_foreign_column(values: Any) -> bool:
    """Whether something is a column of a package other than pandas: a Series of polars, say."""
    if isinstance(values, pd.Series | np.ndarray):
        return False
    return nw.dependencies.is_into_series(values) or _is_arrow_array(values)


def name_of(values: Any) -> str | None:
    """Return the name of a Series, of pandas, polars or Dask; None where it has none."""
    if not isinstance(values, pd.Series) and (
        hasattr(values, "chunks") or not hasattr(values, "dtype")
    ):
        return None  # the name of a Dask array is that of a task
    name = getattr(values, "name", None)
    return name if isinstance(name, str) and name else None


def as_array(values: Any) -> Any:
    """Return a column of a package other than pandas as an array; all else as it is.

    Its rows go by position, and categories keep their order.
    """
    if not is_foreign_column(values):
        return values
    if _is_arrow_array(values):
        column = values.to_pandas()
    else:
        column = _series(nw.from_native(values, series_only=True))
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    return column.array if is_categorical else column.to_numpy()


def taken(X: Any, rows: "slice | NDArray[np.intp]") -> Any:
    """Return some rows of a frame as one of its kind."""
    return _wrapped(X)[rows].to_native()


def replaced(X: Any, columns: Mapping[str, pd.Series]) -> Any:
    """Return a frame with other columns of these names, or with more, as one of its kind."""
    frame = _wrapped(X)
    new = [_like(frame, name, values) for name, values in columns.items()]
    return frame.with_columns(*new).to_native()


def copied(X: Any) -> Any:
    """Return a frame of the same kind that does not change when the user's does."""
    return _wrapped(X).select(nw.all()).to_native()


def _wrapped(X: Any) -> "nw.DataFrame[Any]":
    return nw.from_native(X, eager_only=True)


def _like(frame: "nw.DataFrame[Any]", name: str, values: pd.Series) -> "nw.Series[Any]":
    """Return a column for a frame: numbers as they are, bools and levels as the frame has them."""
    held, dtype = values.to_numpy(), frame.schema.get(name)
    new = partial(nw.new_series, name, backend=frame.implementation)
    if isinstance(dtype, nw.Boolean) and np.isin(held, (0, 1)).all():
        return new(held.astype(bool))
    if held.dtype.kind != "O":
        return new(held)
    if isinstance(dtype, nw.Enum) and not set(held) <= set(dtype.categories):
        return new(held.tolist())
    return new(held.tolist(), dtype if isinstance(dtype, _TEXT) else None)


def _series(series: Any) -> pd.Series:
    """Return a column as a pandas Series that holds what it holds."""
    if series.implementation.is_pyarrow():
        return series.to_native().to_pandas()  # narwhals makes text of dictionaries
    if not series.implementation.is_polars():
        return series.to_pandas()
    dtype = series.dtype
    if isinstance(dtype, nw.Enum):
        return pd.Series(pd.Categorical(series.to_list(), list(dtype.categories), ordered=True))
    if isinstance(dtype, nw.Categorical):  # polars orders them as text
        return pd.Series(pd.Categorical(series.to_list()))
    if isinstance(dtype, nw.String):
        return pd.Series(series.to_list(), dtype="str")
    if isinstance(dtype, _PLAIN) or (dtype.is_integer() and not _is_wide(dtype)):
        values = series.to_numpy()
        return pd.Series(values, dtype="boolean" if values.dtype.kind == "O" else None)
    return pd.Series(series.to_list(), dtype=object)


def _is_wide(dtype: Any) -> bool:
    return isinstance(dtype, nw.Int128 | nw.UInt128)


def _is_arrow_array(values: Any) -> bool:
    """Whether something is an array of pyarrow's that is in one piece."""
    return any(
        kind.__name__ == "Array" and kind.__module__.startswith("pyarrow")
        for kind in type(values).__mro__
    )
