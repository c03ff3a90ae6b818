"""Intervals of a mean over places by the bootstrap, with the tails that few places need.

Places are drawn with replacement. The ends are percentiles taken further out than their name says,
``Φ(√(S/(S - 1)) t)`` in place of ``Φ(z)`` with t the quantile of Student's distribution with S - 1 degrees of freedom:
with few places, plain percentiles are too narrow (Hesterberg, "What Teachers Should Know About the Bootstrap", The
American Statistician 69, 2015). Several values of one place are drawn together (Davison and Hinkley, Bootstrap Methods,
1997, section 3.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FEWEST: Final = 6
"""Places below which no interval is given."""

RESAMPLES: Final = 4999

_BLOCK: Final = 2**22  # numbers in memory at once


def interval_of_mean(
    values: NDArray[np.float64],
    confidence: float,
    rng: np.random.Generator,
    *,
    counts: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of a mean over places by the bootstrap, with the tails that few places need.

    Parameters
    ----------
    values : numpy.ndarray
        (S, V) a value per place; no NaN.
    confidence : float
        Between 0 and 1.
    rng : numpy.random.Generator
        Draws the places.
    counts : numpy.ndarray, optional
        (S,) how often a place counts in the mean, such as the number of values that its own is the mean of; all the
        same where it is not given.

    Returns
    -------
    tuple of numpy.ndarray
        (V,) lower and upper ends; NaN below `FEWEST` places, and where all values are the same.
    """
    from scipy.stats import norm
    from scipy.stats import t as student

    count = len(values)
    if count < FEWEST:
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    tail = norm.cdf(np.sqrt(count / (count - 1)) * student.ppf((1 - confidence) / 2, count - 1))
    means = []
    for drawn in resamples(count, rng):  # (r, S)
        if counts is None:
            means.append(drawn @ values)
        else:
            means.append((drawn @ (values * counts[:, None])) / (drawn @ counts)[:, None])
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    vague = np.ptp(values, axis=0) == 0
    return np.where(vague, np.nan, low), np.where(vague, np.nan, high)


def resamples(count: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Draw places with replacement, as weights.

    Parameters
    ----------
    count : int
        S places.
    rng : numpy.random.Generator
        Draws them.

    Yields
    ------
    numpy.ndarray
        (r, S) weights that sum to 1 in each row; the rows of all parts are `RESAMPLES`.
    """
    step = max(1, _BLOCK // count)
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        place = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        yield np.bincount(place.ravel(), minlength=rows * count).reshape(rows, count) / count
