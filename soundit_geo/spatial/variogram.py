"""How values differ with distance: the experimental variogram and a model fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

PAIRED: Final = 1500
"""Places of which all pairs are taken; of more, as many are drawn at random."""


FITTED: Final = ("spherical", "exponential")
"""Models that are fitted to experimental points. No Gaussian model: without a nugget it makes kriging unstable."""

MATERN: Final = "matern 3/2"
"""The kernel of the Gaussian process: Matérn of smoothness 3/2."""

MATERN_REACH: Final = 4.7438645
"""x at which (1 + x) exp(-x) = 0.05: there a Matérn kernel of smoothness 3/2 has 95 % of its sill."""


@dataclass(frozen=True, eq=False)
class Variogram:
    """A model of how values differ with distance, and the points that it was fitted to.

    Parameters
    ----------
    model : str
        One of `FITTED`, or `MATERN`.
    nugget, sill : float
        Semivariance at distance 0 and far away, in squared units of the values. The nugget is what two sites at one
        spot would still differ by.
    range : float
        Metres at which the model is at the sill (spherical), or has 95 % of the way from the nugget to it.
    lag, semivariance, pairs : numpy.ndarray
        (lags,) the experimental variogram: mean distance in metres, half the mean squared difference, number of
        pairs.
    """

    model: str
    nugget: float
    sill: float
    range: float
    lag: np.ndarray
    semivariance: np.ndarray
    pairs: np.ndarray

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Half the mean squared difference of two sites.

        Parameters
        ----------
        distance : numpy.ndarray
            Metres, any shape.

        Returns
        -------
        numpy.ndarray
            Semivariance, the same shape; the nugget at distance 0.
        """
        parameters = [self.sill - self.nugget, self.range, self.nugget]
        return _semivariance(self.model, parameters, np.asarray(distance, dtype=float))


def experimental_variogram(
    xy: np.ndarray, value: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half the mean squared difference of pairs, by distance.

    Parameters
    ----------
    xy : numpy.ndarray
        (n, 2) metres.
    value : numpy.ndarray
        (n,) values.
    rng : numpy.random.Generator
        Chooses `PAIRED` places where there are more.

    Returns
    -------
    lag, semivariance, pairs : numpy.ndarray
        (lags,) mean distance, semivariance and number of pairs in bins of equal width up to half the largest
        distance (Journel & Huijbregts 1978: beyond, few places make all the pairs); empty bins are left out.
    """
    from scipy.spatial.distance import pdist

    if len(xy) > PAIRED:
        chosen = rng.choice(len(xy), PAIRED, replace=False)
        xy, value = xy[chosen], value[chosen]
    distance, half = pdist(xy), 0.5 * pdist(value[:, None], "sqeuclidean")
    farthest = distance.max() / 2
    bins = int(np.clip(len(distance) // 50, 6, 24))
    at = np.minimum(
        (distance / farthest * bins).astype(int), bins
    )  # what is farther than half falls into the last
    pairs = np.bincount(at, minlength=bins + 1)[:bins]
    full = pairs > 0
    lag = np.bincount(at, distance, minlength=bins + 1)[:bins][full] / pairs[full]
    semivariance = np.bincount(at, half, minlength=bins + 1)[:bins][full] / pairs[full]
    return lag, semivariance, pairs[full]


def fit_variogram(xy: np.ndarray, value: np.ndarray, rng: np.random.Generator) -> Variogram:
    """Fit a variogram model by weighted least squares.

    Minimise Σ N(h) / h² (γ̂(h) - γ(h))² over the lags h, N(h) pairs each, as gstat does (Pebesma 2004,
    doi.org/10.1016/j.cageo.2004.03.012): short distances decide the nugget, and most of a prediction.

    Parameters
    ----------
    xy : numpy.ndarray
        (n, 2) metres.
    value : numpy.ndarray
        (n,) values that differ.
    rng : numpy.random.Generator
        As for `experimental_variogram`.

    Returns
    -------
    Variogram
        The better of the models `FITTED`, and the points that it was fitted to.
    """
    from scipy.optimize import least_squares

    lag, semivariance, pairs = experimental_variogram(xy, value, rng)
    variance, longest = float(np.var(value)), float(lag.max())
    weight, target = np.sqrt(pairs) / lag, semivariance / variance
    weight /= weight.max()
    lower, upper = [1e-6, 1e-3 * longest, 0.0], [10.0, 2 * longest, 10.0]
    best: tuple[float, str, np.ndarray] | None = None
    for name in FITTED:

        def misfit(parameters: Any, name: str = name) -> np.ndarray:
            return weight * (target - _semivariance(name, parameters, lag))

        for reach in (0.2, 0.6, 1.2):
            start = [0.7, reach * longest, 0.3]
            found = least_squares(misfit, start, bounds=(lower, upper), x_scale=[1, longest, 1])
            if best is None or found.cost < best[0]:
                best = (float(found.cost), name, found.x)
    _, name, (partial, reach, nugget) = best  # type: ignore[misc]
    return Variogram(
        name,
        float(nugget * variance),
        float((partial + nugget) * variance),
        float(reach),
        lag,
        semivariance,
        pairs,
    )


def _semivariance(model: str, parameters: Any, distance: np.ndarray) -> np.ndarray:
    """Evaluate a model at (partial sill, range, nugget), as PyKrige writes them."""
    from pykrige import variogram_models

    if model == "spherical":
        return variogram_models.spherical_variogram_model(parameters, distance)
    if model == "exponential":
        return variogram_models.exponential_variogram_model(parameters, distance)
    partial, reach, nugget = parameters
    scaled = MATERN_REACH * distance / reach
    return partial * (1 - (1 + scaled) * np.exp(-scaled)) + nugget
