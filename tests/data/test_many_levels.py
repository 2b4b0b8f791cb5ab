"""The terms of columns of many levels."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from interventional import BayesianInterventionRegressor


@pytest.mark.parametrize("levels", [40, 700])
def test_terms_of_levels_are_comparisons(levels):
    """One by one, of rows in any order, with a level that stands for none of them."""
    rng = np.random.default_rng(0)
    codes = np.concatenate([np.arange(levels), rng.integers(levels, size=300)])
    X = pd.DataFrame({"a": rng.normal(size=len(codes)), "s": [f"s{k:03d}" for k in codes]})
    X["b"] = rng.normal(size=len(codes))
    y = X["a"] - X["b"] + codes / levels + rng.normal(size=len(codes))
    model = BayesianInterventionRegressor(draws=20, random_state=0).fit(X, y)
    design = model.fitted_.model.of_outcome.design
    values = np.column_stack([X["a"], codes, X["b"]]).astype(float)
    values[3, 1] = np.nan
    truth = [
        values[:, j] if code is None else (values[:, j] == code).astype(float)
        for j, code in design.picks
    ]
    np.testing.assert_array_equal(design.matrix(values), np.column_stack(truth))
    compact = design.compact(values)
    assert sparse.issparse(compact) == (levels > 500)
    found = compact.toarray() if sparse.issparse(compact) else compact
    np.testing.assert_array_equal(found, np.column_stack(truth))
    # The answers are sums of coefficients.
    beta = model.idata_["posterior"]["y_beta"]
    effect = model.effect(X, do={"s": "s005"}, baseline={"s": "s002"})
    held = beta.sel(y_term="s[s005]").values - beta.sel(y_term="s[s002]").values
    np.testing.assert_allclose(effect.average().draws.values.ravel(), held.ravel(), atol=1e-9)
    # In closed form: that of the draws but for their chance, of Student's t where rows are few.
    chance = 4 * held.std() / np.sqrt(held.size)
    assert (np.abs(effect.std() - held.std(ddof=1)) < chance).all()
    np.testing.assert_allclose(effect.draws.values[..., 7], held, atol=1e-9)
