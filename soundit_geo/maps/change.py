"""How sure the figures of a map are: standard errors over draws, and which changes differ from 0.

The test is that of `soundit_geo.scenarios.difference` (a paired t test over draws, or McNemar's test of what is 0 or
1; false discoveries controlled over sites after Benjamini & Hochberg), for all variables of a map at once: those that
the cube holds and the urban indicators, which are sums of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from soundit_geo.maps.averages import over_draws
from soundit_geo.scenarios.effects import mcnemar

RATE: Final = 0.05
"""The share of false discoveries that is put up with, and one less the level of every interval."""


def standard_error(draws: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Take the standard error of the mean over draws.

    Parameters
    ----------
    draws : numpy.ndarray
        (..., draw) values.
    counted : numpy.ndarray
        (..., draw) bool, broadcast: which draws count.

    Returns
    -------
    numpy.ndarray
        (...) float64; NaN below two draws.
    """
    count = over_draws(counted)
    fine = np.where(counted, draws, 0.0).astype(float)
    centre = over_draws(fine) / np.maximum(count, 1)
    squares = over_draws(np.where(counted, fine - centre[..., None], 0.0) ** 2)
    return np.where(count > 1, np.sqrt(squares / np.maximum((count - 1) * count, 1)), np.nan)


def differs(
    change: np.ndarray,
    error: np.ndarray,
    count: np.ndarray,
    *,
    yes_or_no: bool = False,
    rate: float = RATE,
) -> np.ndarray:
    """Find the sites whose change differs from 0, false discoveries controlled over all of them.

    Parameters
    ----------
    change, error : numpy.ndarray
        (..., site) mean change and its standard error; NaN = none.
    count : numpy.ndarray
        (site,) pairs of draws.
    yes_or_no : bool
        Whether the variable is 0 or 1 in each draw.
    rate : float
        The share of false discoveries put up with.

    Returns
    -------
    numpy.ndarray
        (..., site) bool; False where there is no error, or nothing to judge from: where all draws changed by exactly
        the same, or, of what is 0 or 1, where none changed. Such sites are not among those over which discoveries
        are controlled.
    """
    from scipy import special

    p = np.ones(change.shape)
    if yes_or_no:
        exact = mcnemar(change, error**2, np.broadcast_to(count, change.shape))
        tested = np.isfinite(exact)
        p[tested] = exact[tested]
    else:
        tested = np.isfinite(change) & (np.nan_to_num(error) > 0)
        freedom = np.maximum(count - 1, 1).astype(float)
        t = np.divide(np.abs(change), error, out=np.zeros(change.shape), where=tested)
        # Only what passes alone can pass among many; the rest keeps p = 1, which leaves the result the same.
        near = tested & (t >= special.stdtrit(freedom, 1 - rate / 2))
        p[near] = 2 * special.stdtr(np.broadcast_to(freedom, change.shape)[near], -t[near])
    order = np.sort(p, axis=-1)
    tests = tested.sum(axis=-1, keepdims=True)
    passed = order <= rate * np.arange(1, len(count) + 1) / np.maximum(tests, 1)
    limit = np.where(passed, order, -1.0).max(axis=-1, keepdims=True)
    return tested & (p <= limit)


def half_widths(most: int) -> list[float]:
    """Give Student's quantiles by which standard errors become half widths of 95 % intervals.

    Parameters
    ----------
    most : int
        The largest number of draws.

    Returns
    -------
    list of float
        Entry n is for n draws, 0 below two of them.
    """
    from scipy import special

    freedom = np.arange(1, max(most, 1))
    return [0.0, 0.0, *(float(t) for t in special.stdtrit(freedom, 1 - RATE / 2))]
