"""What calibration simulates for the engines that compile nothing."""

from collections.abc import Iterator
from typing import Any

from benchmarks.calibration_scenarios import (
    DISPERSION,
    Regression,
    Standardised,
    half_normal,
    horseshoe_beta,
    normal,
    numbers,
    of_family,
    r2d2_beta,
)


def uncompiled() -> Iterator[tuple[str, Any, int]]:
    """Yield what weighed draws, many short chains and moves within bounds are drawn for."""
    for family in DISPERSION:
        if family not in ("gaussian", "lognormal"):
            yield f"{family}, n = 50", of_family(family, 50), 300
    many = Regression(
        100, numbers(5), "bernoulli", intercept=normal(0, 1), dispersion={}, scale=half_normal(1)
    )
    yield "bernoulli, learnt scale, n = 100", many, 300
    bounded = Regression(20, numbers(3), beta=half_normal(1))
    yield "gaussian, bounded, n = 20", bounded, 300
    five = numbers(5)
    yield "`r2d2`, n = 20, p = 5", Standardised(20, five, r2d2_beta, {"beta": "r2d2"}), 200
    horseshoe = Standardised(20, five, horseshoe_beta(20), {"beta": "horseshoe"})
    yield "`horseshoe`, n = 20, p = 5", horseshoe, 200
