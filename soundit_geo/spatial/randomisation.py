"""How often chance alone puts such values together: p values of neighbourhood sums by shuffling.

esda gives each site its own 999 permutations. After control of the false-discovery rate over n sites a single find
needs p of about α / n, that is n / α permutations for each of n sites. Here the shuffles serve all sites: one
shuffle of n values, cut into groups of k, is n / k random neighbourhoods at once, and a site's own value is kept
out of its own null by leaving out the groups that hold it. The law is that of conditional randomisation (Anselin
1995); its cost is that of about n k / α numbers.
"""

from __future__ import annotations

from typing import Final

import numpy as np

WORK: Final = 2**31
"""Numbers that are shuffled and summed at most; beyond, p values are coarser."""


def neighbourhood_p(
    value: np.ndarray,
    observed: np.ndarray,
    size: np.ndarray,
    *,
    conditional: bool,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided p value of each neighbourhood's sum, were values dealt out at random.

    Parameters
    ----------
    value : numpy.ndarray
        (n,) values.
    observed : numpy.ndarray
        (n,) sum of the values in the neighbourhood of each site.
    size : numpy.ndarray
        (n,) how many values that are, 1 to n.
    conditional : bool
        Whether a site's own value stays where it is, as in local Moran's I, so that it is in no random neighbourhood
        of this site; else all values are dealt out, as the neighbourhoods of Getis and Ord's Gi* hold the site.
    permutations : int
        Random neighbourhoods for each site, about; fewer where that were more work than `WORK`, more for small ones.
    rng : numpy.random.Generator
        Shuffles.

    Returns
    -------
    p : numpy.ndarray
        (n,) twice the smaller of both sides, each (r + 1) / (m + 1) with r of m random sums as far out.
    drawn : numpy.ndarray
        (n,) m, how many random neighbourhoods each site came to.
    """
    n = len(value)
    deviation = value - value.mean()
    target = observed - size * value.mean()
    slack = 1e-9 * np.abs(deviation).max() * size  # sums in another order differ in their last digits
    kinds = np.unique(size)
    largest = int(kinds.max())
    per_shuffle = n // largest * (1 - largest / n if conditional else 1)  # so many are without the site
    shuffles = max(1, min(int(np.ceil(permutations / per_shuffle)), WORK // (n * len(kinds))))
    above, below, drawn = np.zeros(n), np.zeros(n), np.zeros(n)
    at_once = max(1, 2**20 // n)
    for start in range(0, shuffles, at_once):
        count = min(at_once, shuffles - start)
        order = rng.permuted(np.broadcast_to(np.arange(n), (count, n)), axis=1)
        for k in kinds:
            these = np.flatnonzero(size == k)
            members = order[:, : n // k * k]  # (shuffles, groups × k)
            sums = deviation[members].reshape(count, -1, k).sum(axis=2)  # (shuffles, groups)
            ranked = np.sort(sums, axis=None)
            above[these] += ranked.size - np.searchsorted(ranked, target[these] - slack[these], side="left")
            below[these] += np.searchsorted(ranked, target[these] + slack[these], side="right")
            drawn[these] += ranked.size
            if conditional:
                own = np.repeat(sums, k, axis=1)
                mine = size[members] == k
                site, own = members[mine], own[mine]
                above -= np.bincount(site[own >= (target - slack)[site]], minlength=n)
                below -= np.bincount(site[own <= (target + slack)[site]], minlength=n)
                drawn -= np.bincount(site, minlength=n)
    one_side = (np.minimum(above, below) + 1) / (drawn + 1)
    return np.minimum(1.0, 2 * one_side), drawn
