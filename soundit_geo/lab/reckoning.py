"""Means of the laboratory's figures, each with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.intervals import interval_of_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def mean_and_interval(values: ArrayLike) -> list[float]:
    """Mean over places and the ends of its 95 % interval by the bootstrap.

    Parameters
    ----------
    values : array_like
        (S,) one value per place.

    Returns
    -------
    list of float
        Mean, lower end, upper end, to four places; the mean alone where an interval cannot be given.
    """
    column = np.asarray(values, np.float64)[:, None]
    low, high = interval_of_mean(column, 0.95, np.random.default_rng(0))
    ends = [float(low[0]), float(high[0])] if np.isfinite(low[0]) else []
    return [round(value, 4) for value in (float(column.mean()), *ends)]
