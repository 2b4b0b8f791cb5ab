"""E-values: how strong unmeasured confounding must be to explain a ratio of risks away."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from interventional.answers.reductions import interval_columns
from interventional.numbers import Floats


def e_value(ratio: ArrayLike) -> Floats:
    """Return the E-value of a risk ratio (VanderWeele and Ding 2017).

    Examples
    --------
    >>> e_value([10.73, 1 / 10.73, 1.0]).round(1)  # smoking and lung cancer
    array([20.9, 20.9,  1. ])
    """
    risk = np.asarray(ratio, dtype=np.float64)
    risk = np.where(risk < 1, 1 / risk, risk)
    return risk + np.sqrt(risk * (risk - 1))


def e_values(quantiles: Floats, prob: float) -> pd.DataFrame:
    """Return those of ratios and of their intervals, a row each.

    Parameters
    ----------
    quantiles : ndarray of shape (n, 4)
        The least draw of each ratio, the ends of its interval with the median between them.
    prob : float
        The probability that the interval holds.
    """
    least, low, median, high = quantiles.T
    if not np.all(least > 0):
        raise ValueError(
            "e_value is that of a positive ratio, as of risks or rates; this one goes down to "
            f"{least.min():.3g}"
        )
    nearest = np.where(low > 1, low, np.where(high < 1, high, 1.0))
    ends = interval_columns(prob, "eti")
    columns = {
        "ratio": median,
        **dict(zip(ends, (low, high), strict=True)),
        "e_value": e_value(median),
        "e_value_interval": e_value(nearest),
    }
    return pd.DataFrame(columns)
