"""Draws as others hold them: xarray, ArviZ, pandas."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype

from interventional.answers.contents import Contents

if TYPE_CHECKING:
    import xarray as xr


def as_data_array(contents: Contents) -> "xr.DataArray":
    """Return the draws by chain, draw and row."""
    import xarray as xr

    chains, per_chain = contents.shape
    posterior = contents.posterior
    return xr.DataArray(
        contents.samples.held().reshape(chains, per_chain, len(contents.labels)),
        dims=("chain", "draw", "obs"),
        coords={
            "chain": np.arange(chains),
            "draw": np.arange(per_chain),
            # with its dimension: a named index would else bring one of its own
            "obs": ("obs", contents.labels),
        },
        name="outcome",
        attrs={} if posterior is None else {"posterior": posterior},
    )


def as_datatree(draws: "xr.DataArray", labels: pd.Index, estimand: str) -> "xr.DataTree":
    """Return draws as ArviZ takes them, in group ``predictions``."""
    import xarray as xr

    dataset = draws.rename("outcome").to_dataset()
    if not labels.is_unique:  # ArviZ picks rows by their labels
        beside = ("obs", labels.astype(object))
        dataset = dataset.assign_coords(obs=np.arange(len(labels)), label=beside)
    elif isinstance(labels.dtype, ExtensionDtype):  # which ArviZ does not read
        dataset = dataset.assign_coords(obs=labels.astype(object))
    dataset.attrs |= {"estimand": estimand, "sample_dims": ["chain", "draw"]}
    return xr.DataTree.from_dict({"/predictions": dataset})


def as_frame(contents: Contents) -> pd.DataFrame:
    """Return the draws as a DataFrame: a row for each chain and draw, a column for each row."""
    counts = [list(range(size)) for size in contents.shape]
    index = pd.MultiIndex.from_product(counts, names=["chain", "draw"])
    return pd.DataFrame(contents.samples.held().copy(), index, contents.index)
