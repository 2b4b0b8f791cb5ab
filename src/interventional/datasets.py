"""Data whose truth is known, to try things on."""

import numpy as np
import pandas as pd


def make_sales(
    n_samples: int = 200, random_state: int | np.random.Generator | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Generate days of a shop that asks more when it sells more.

    Each euro on the price costs three sales, but in high season both price and sales are high, so
    that dear days are good days. ``season ~ Normal(0, 1)``, ``price ~ Normal(10 + season, 1)`` and
    ``sales ~ Normal(50 + 8 season - 3 price, 1)``.

    Parameters
    ----------
    n_samples : int, default 200
        Number of days.
    random_state : int, Generator or None, default None
        Source of randomness, as `numpy.random.default_rng` takes it.

    Returns
    -------
    X : DataFrame of shape (n_samples, 2)
        ``season``, without unit, and ``price``, in euros.
    sales : Series of shape (n_samples,)
        Pieces sold.

    See Also
    --------
    interventional.BayesianInterventionRegressor.simulate : Data from a model of your own.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from interventional.datasets import make_sales
    >>> X, sales = make_sales(1000, random_state=0)
    >>> LinearRegression().fit(X, sales).coef_.round(1)
    array([ 7.9, -3. ])
    >>> LinearRegression().fit(X[["price"]], sales).coef_.round(1)  # the season left out
    array([0.8])
    """
    rng = np.random.default_rng(random_state)
    season = rng.normal(size=n_samples)
    price = 10 + season + rng.normal(size=n_samples)
    sales = 50 + 8 * season - 3 * price + rng.normal(size=n_samples)
    return pd.DataFrame({"season": season, "price": price}), pd.Series(sales, name="sales")
