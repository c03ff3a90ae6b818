"""Means over draws."""

from __future__ import annotations

import numpy as np


def over_draws(values: np.ndarray) -> np.ndarray:
    """Add up along the last axis, which is short: draw by draw, several times faster than NumPy's own sum.

    Parameters
    ----------
    values : numpy.ndarray
        (..., draw) numbers or truths.

    Returns
    -------
    numpy.ndarray
        (...) float64, or int64 of truths.
    """
    total = np.zeros(values.shape[:-1], dtype=int if values.dtype == bool else float)
    for k in range(values.shape[-1]):
        total += values[..., k]
    return total


def mean_of(draws: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Average over draws.

    Parameters
    ----------
    draws : numpy.ndarray
        (..., draw) values.
    counted : numpy.ndarray
        (..., draw) bool: which draws count.

    Returns
    -------
    numpy.ndarray
        (...) float64; NaN where no draw counts.
    """
    count = over_draws(counted)
    total = over_draws(np.where(counted, draws, 0.0))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def common_draws(ready: np.ndarray) -> np.ndarray:
    """Find the draws to average: done in every scenario of the site that has any, else the scenario's own.

    Parameters
    ----------
    ready : numpy.ndarray
        (site, scenario, draw) bool: which cells are done.

    Returns
    -------
    numpy.ndarray
        (site, scenario, draw) bool.
    """
    has = ready.any(axis=-1, keepdims=True)
    common = (ready | ~has).all(axis=1, keepdims=True) & ready
    return np.where(common.any(axis=-1, keepdims=True), common, ready)
