"""How well a surface predicts sites that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from soundit_geo.spatial.interpolation import Fit

FOLDS: Final = 5
"""Parts of a cross-validation: each is predicted from the other four."""

SCORED: Final = 2000
"""Places that are predicted in a cross-validation; of more, as many are drawn at random. All others still leave with
their fold."""


@dataclass(frozen=True)
class Accuracy:
    """Predictions beside held-out values.

    Parameters
    ----------
    rmse : float
        Root of the mean squared error, in units of the values.
    r2 : float
        1 - squared errors / squared deviations from the mean; 0 is no better than the mean, and it may be negative.
    coverage : float
        Share of values within the 95 % interval; 0.95 is right.
    """

    rmse: float
    r2: float
    coverage: float


def random_folds(n: int, rng: np.random.Generator) -> np.ndarray:
    """Part places at random.

    Parameters
    ----------
    n : int
        How many places.
    rng : numpy.random.Generator
        Parts them.

    Returns
    -------
    numpy.ndarray
        (n,) fold of each, from 0, `FOLDS` of them.
    """
    return rng.permutation(n) % FOLDS


def blocked_folds(xy: np.ndarray, side: float) -> tuple[np.ndarray, float]:
    """Part places by square blocks, so that those left out have no near neighbours among the others.

    Random parts leave each held-out place amid its neighbours and flatter the surface; blocks show how it does away
    from the sites (Roberts et al. 2017, doi.org/10.1111/ecog.02881).

    Parameters
    ----------
    xy : numpy.ndarray
        (n, 2) metres, at least `FOLDS` different places.
    side : float
        Side of a block in metres, as wide as values are alike, that is the variogram's range; halved until there are
        two blocks for each fold.

    Returns
    -------
    fold : numpy.ndarray
        (n,) fold of each place, from 0; about as many places in each.
    side : float
        The side that it came to.
    """
    from sklearn.model_selection import GroupKFold

    corner = xy.min(axis=0)
    wanted = min(2 * FOLDS, len(xy))
    while True:
        cells = np.floor((xy - corner) / side).astype(np.int64)
        blocks, block = np.unique(cells, axis=0, return_inverse=True)
        if len(blocks) >= wanted:
            break
        side /= 2
    fold = np.empty(len(xy), dtype=int)
    for number, (_, held) in enumerate(GroupKFold(FOLDS).split(xy, groups=block.ravel())):
        fold[held] = number
    return fold, side


def crossvalidate(
    fit: Fit, xy: np.ndarray, value: np.ndarray, fold: np.ndarray, rng: np.random.Generator
) -> Accuracy:
    """Predict each part from the others; the variogram, too, is fitted without it.

    Parameters
    ----------
    fit : Fit
        How the interpolator learns.
    xy : numpy.ndarray
        (n, 2) metres.
    value : numpy.ndarray
        (n,) values.
    fold : numpy.ndarray
        (n,) part of each place, from 0.
    rng : numpy.random.Generator
        For `fit`, and chooses the places that are predicted where there are more than `SCORED`.

    Returns
    -------
    Accuracy
        Of all parts together.
    """
    scored = np.zeros(len(xy), dtype=bool)
    scored[rng.choice(len(xy), min(SCORED, len(xy)), replace=False)] = True
    predicted, deviation = np.full(len(xy), np.nan), np.full(len(xy), np.nan)
    for part in range(int(fold.max()) + 1):
        known, asked = fold != part, scored & (fold == part)
        if not asked.any():
            continue
        if np.ptp(value[known]) == 0:  # nothing to learn from: what is held out is all that differs
            predicted[asked], deviation[asked] = value[known][0], 0.0
        else:
            predicted[asked], deviation[asked] = fit(xy[known], value[known], rng).predict(xy[asked])
    error = (predicted - value)[scored]
    spread = float(np.sum((value[scored] - value[scored].mean()) ** 2))
    within = np.abs(error) <= 1.96 * deviation[scored]
    return Accuracy(
        rmse=float(np.sqrt(np.mean(error**2))),
        r2=float(1 - np.sum(error**2) / spread) if spread > 0 else np.nan,
        coverage=float(within.mean()),
    )
