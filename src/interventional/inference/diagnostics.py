"""Whether chains can be trusted: what is wrong with them, in numbers, and one warning a fit.

Thresholds are those of Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis
16(2), section 4: R-hat below 1.01, and effective sample sizes of the bulk and of the tails of 100
a chain. That of the energy, 0.3, is Stan's for the fraction of Betancourt (2016), "Diagnosing
suboptimal cotangent disintegrations in Hamiltonian Monte Carlo", arXiv:1604.00695.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import base as _base
from sklearn.exceptions import ConvergenceWarning

from interventional.numbers import Floats

R_HAT = 1.01
ESS_A_CHAIN = 100
E_BFMI = 0.3
_TAILS = (0.05, 0.95)
_NOT_THE_USERS = str(Path(__file__).parents[1]), str(Path(_base.__file__).parent)
_FEWEST_DRAWS = 4  # that R-hat and effective sample sizes are defined for

# From the name of a variable and an element's position in it to what the element is called.
Label = Callable[[str, tuple[int, ...]], str]


def by_position(variable: str, position: tuple[int, ...]) -> str:
    """Return what an element of a variable is called where its dimensions have no labels."""
    return f"{variable}[{', '.join(map(str, position))}]" if position else variable


def of_chains(
    variables: Mapping[str, Floats], stats: Mapping[str, NDArray[Any]], label: Label = by_position
) -> list[str]:
    """Return what is wrong with the chains of a NUTS sampler; nothing if all is well.

    Parameters
    ----------
    variables : mapping
        Draws by name, each of shape (chains, draws, ...).
    stats : mapping
        What the sampler reports, each of shape (chains, draws): ``"diverging"``, ``"energy"``.
    label : callable
        What the worst parameter is called.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> slopes = rng.normal(size=(4, 1000, 2))
    >>> stats = {"diverging": np.zeros((4, 1000), bool), "energy": rng.normal(size=(4, 1000))}
    >>> of_chains({"y_beta": slopes}, stats)
    []
    >>> slopes[3, :, 1] += 1  # a chain that is elsewhere
    >>> of_chains({"y_beta": slopes}, stats)[0]
    'R-hat up to 1.099 for y_beta[1] (should be below 1.01)'
    """
    from arviz_stats.base import array_stats

    chains, draws = stats["diverging"].shape
    if draws < _FEWEST_DRAWS:
        return []
    names = [
        (name, position)
        for name, values in variables.items()
        for position in np.ndindex(values.shape[2:])
    ]
    flat = [values.reshape(chains, draws, -1) for values in variables.values()]
    every = np.concatenate(flat, axis=2)
    axes = {"chain_axis": 0, "draw_axis": 1}
    troubles = []

    def worst(values: Floats, find: Callable[[Floats], Any]) -> tuple[float, str]:
        at = int(find(values))  # the first NaN, if there is one
        return float(values[at]), label(*names[at])

    with np.errstate(all="ignore"):  # chains that do not move have no variance to divide by
        if chains > 1:
            r_hat, where = worst(array_stats.rhat(every, **axes), np.argmax)
            if not r_hat <= R_HAT:
                troubles.append(f"R-hat up to {r_hat:.3f} for {where} (should be below {R_HAT})")
        for method, prob in (("bulk", None), ("tail", _TAILS)):
            ess, where = worst(array_stats.ess(every, method=method, prob=prob, **axes), np.argmin)
            if not ess >= ESS_A_CHAIN * chains:
                troubles.append(
                    f"{method} effective sample size down to {ess:.0f} for {where} (should be "
                    f"{ESS_A_CHAIN * chains})"
                )
        if divergent := int(stats["diverging"].sum()):
            troubles.append(f"{divergent} divergent transitions")
        if "energy" in stats:
            fractions = array_stats.bfmi(stats["energy"], **axes)
            low = ~(fractions >= E_BFMI)
            if low.any():
                troubles.append(
                    f"E-BFMI down to {fractions.min():.2f} (should be above {E_BFMI}; it is not "
                    f"in {low.sum()} of {chains} chains)"
                )
    return troubles


def warn(engine: str, troubles: Mapping[str, Sequence[str]], *, several: bool) -> None:
    """Warn once of all that is wrong with a fit, with numbers and what would help.

    Parameters
    ----------
    engine : str
        Who drew.
    troubles : mapping
        What is wrong, by the node whose equation it is wrong with.
    several : bool
        Whether the model has other equations, so that the message has to say which it is.

    Warns
    -----
    ConvergenceWarning
        If there are any troubles.
    """
    parts = [
        f"equation of {node!r}: {', '.join(found)}" if several else "; ".join(found)
        for node, found in troubles.items()
        if found
    ]
    if not parts:
        return
    every = "; ".join(parts)
    what = f"inference={engine!r} is a poor approximation of this posterior"
    remedy = "Use inference='nuts'"
    if engine == "exact" and "short chains" in every:
        what, remedy = (
            "chains move slowly",
            "Give more informative priors, or use inference='nuts'",
        )
    elif engine == "exact":
        what = "the learned scales are drawn poorly"
        remedy = "Give their priors less room, or use inference='nuts'"
    if engine == "nuts":
        what, remedy = "NUTS has not converged", "Raise tune and draws"
        if "divergent" in every or "E-BFMI" in every:
            remedy += "; if divergences or a low E-BFMI remain, give more informative priors"
    warnings.warn(
        f"{what}: {every}. {remedy}", ConvergenceWarning, skip_file_prefixes=_NOT_THE_USERS
    )
