"""Many short chains side by side: how they are laid out, and what their draws are worth."""

from dataclasses import dataclass

import numpy as np

from interventional.numbers import Floats

WORTH = 0.1  # of draws, that they must be worth
_LENGTH = 32  # of a chain
_FEWEST = 64  # chains, so that what draws are worth is measured alike however few are asked for


@dataclass(frozen=True)
class Layout:
    """How draws of a few chains of a user's are made of many short ones.

    Attributes
    ----------
    asked : tuple of (int, int)
        How many chains and draws of each are asked for.
    within : int
        How many short chains stand for one of them.
    length : int
        How many draws a short chain has.
    chains : int
        How many short chains there are.
    """

    asked: tuple[int, int]
    within: int
    length: int
    chains: int

    @classmethod
    def of(cls, chains: int, draws: int) -> "Layout":
        """Return the layout of so many chains and draws.

        Examples
        --------
        >>> Layout.of(4, 1000)
        Layout(asked=(4, 1000), within=31, length=33, chains=124)
        """
        within = max(round(draws / _LENGTH), 1)
        length = max(-(-draws // within), _LENGTH)
        return cls((chains, draws), within, length, max(chains * within, _FEWEST))

    def flat(self, draws: Floats) -> Floats:
        """Return what is asked for of draws (chains, length, ...), one after another.

        Those of a short chain follow each other, so that what chains of the user's seem to be
        worth is what they are.
        """
        chains, asked = self.asked
        kept = draws[: chains * self.within].reshape(chains, -1, *draws.shape[2:])
        return kept[:, :asked].reshape(-1, *draws.shape[2:])

    def judged(self, share: float) -> tuple[dict[str, Floats], list[str]]:
        """Return what is said of draws that are worth a share of their number, and what is wrong.

        A tenth is what NUTS's chains of 1,000 draws must be worth.
        """
        asked = self.asked[0] * self.asked[1]
        stats = {"effective_size": np.full(self.asked, min(share, 1.0) * asked)}
        if share >= WORTH:
            return stats, []
        return stats, [
            f"{asked:,} draws of short chains are worth {share * asked:.0f} independent ones "
            f"(should be {WORTH * asked:.0f})"
        ]


def effective_share(draws: Floats) -> float:
    """Return the least effective size of numbers, of bulk and tails, as a share of their draws.

    Of chains that are short, R-hat says nothing that this does not.

    Parameters
    ----------
    draws : ndarray of shape (chains, length, numbers)
        Draws of many chains.
    """
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    with np.errstate(all="ignore"):
        bulk = array_stats.ess(draws, method="bulk", **axes)
        tail = array_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes)
    least = np.concatenate([np.atleast_1d(bulk), np.atleast_1d(tail)])
    moves = np.nan_to_num(least, nan=0.0)
    return float(moves.min(initial=np.inf) / np.prod(draws.shape[:2]))
