"""Two ways from values at places to values anywhere: ordinary kriging and a Gaussian process.

Both predict what a further site would have, the scatter of single sites (nugget, noise) included: the standard
deviation is that of such a site, so that 95 of 100 held-out sites should lie within 1.96 of it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from soundit_geo.errors import SitesError
from soundit_geo.spatial.variogram import (
    MATERN,
    MATERN_REACH,
    Variogram,
    experimental_variogram,
    fit_variogram,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WHOLE: Final = 400
"""Places up to which kriging takes all of them at once; beyond, a window moves."""

WINDOW: Final = 32
"""Nearest places that each point of a window brings in."""

LEARNED: Final = 400
"""Places from which a Gaussian process learns its kernel, drawn at random where there are more."""

MOST: Final = 3000
"""Places that a Gaussian process takes; its cost grows with their cube."""


class Interpolator(Protocol):
    """What has learned from places and predicts anywhere."""

    @property
    def variogram(self) -> Variogram:
        """How values differ with distance.

        Returns
        -------
        Variogram
            What was learned, beside the experimental points.
        """

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict a site's value.

        Parameters
        ----------
        points : numpy.ndarray
            (m, 2) metres.

        Returns
        -------
        value, deviation : numpy.ndarray
            (m,) mean and standard deviation, in units of the values.
        """


Fit: TypeAlias = "Callable[[np.ndarray, np.ndarray, np.random.Generator], Interpolator]"
"""How one learns: from places, (n, 2) metres, their values, (n,), and a generator for what is drawn."""


@dataclass(frozen=True, eq=False)
class Kriging:
    """Ordinary kriging: the unbiased linear prediction of least variance under a variogram.

    Parameters
    ----------
    xy : numpy.ndarray
        (n, 2) metres.
    value : numpy.ndarray
        (n,) values.
    variogram : Variogram
        Its model is spherical or exponential.
    """

    xy: np.ndarray
    value: np.ndarray
    variogram: Variogram

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict a site's value.

        Up to `WHOLE` places all count at every point. Of more, neighbouring points share a window: the `WINDOW`
        nearest places of each. (PyKrige's own moving window builds the matrix of all places first, 80 GB for 100,000.)

        Parameters
        ----------
        points : numpy.ndarray
            (m, 2) metres.

        Returns
        -------
        value, deviation : numpy.ndarray
            (m,) mean and standard deviation.
        """
        from scipy.spatial import cKDTree

        value, variance = np.empty(len(points)), np.empty(len(points))
        if len(self.xy) <= WHOLE:
            some = max(1, 10**7 // len(self.xy))
            for start in range(0, len(points), some):
                rows = slice(start, start + some)
                value[rows], variance[rows] = self._solve(self.xy, self.value, points[rows])
        elif len(points):
            places = cKDTree(self.xy)
            for part in _leaves(cKDTree(points, leafsize=16)):
                near = np.unique(places.query(points[part], WINDOW)[1])
                value[part], variance[part] = self._solve(self.xy[near], self.value[near], points[part])
        return value, np.sqrt(np.maximum(variance, 0))

    def _solve(self, xy: np.ndarray, value: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solve one kriging system by PyKrige; mean and variance."""
        from pykrige.ok import OrdinaryKriging

        fitted, middle = self.variogram, xy.mean(axis=0)
        x, y = (xy - middle).T
        # Without exact values a point on a site is predicted as one beside it, the nugget taken for scatter.
        system = OrdinaryKriging(
            x, y, value, fitted.model, [fitted.sill, fitted.range, fitted.nugget], exact_values=False
        )
        to_x, to_y = (points - middle).T
        mean, variance = system.execute("points", to_x, to_y)
        return np.asarray(mean), np.asarray(variance)


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A Gaussian process with a Matérn kernel of smoothness 3/2 and noise, its parameters of greatest likelihood.

    Parameters
    ----------
    regressor : sklearn.gaussian_process.GaussianProcessRegressor
        Fitted on coordinates in units of `scale`.
    scale : float
        Metres.
    variogram : Variogram
        The kernel as a variogram, beside the experimental points, to which it was not fitted.
    """

    regressor: Any
    scale: float
    variogram: Variogram

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict a site's value.

        Parameters
        ----------
        points : numpy.ndarray
            (m, 2) metres.

        Returns
        -------
        value, deviation : numpy.ndarray
            (m,) mean and standard deviation.
        """
        value, deviation = np.empty(len(points)), np.empty(len(points))
        for start in range(0, len(points), 2000):
            part = slice(start, start + 2000)
            value[part], deviation[part] = self.regressor.predict(points[part] / self.scale, return_std=True)
        return value, deviation


def fit_kriging(xy: np.ndarray, value: np.ndarray, rng: np.random.Generator) -> Kriging:
    """Fit a variogram, and krige with it.

    Parameters
    ----------
    xy : numpy.ndarray
        (n, 2) metres.
    value : numpy.ndarray
        (n,) values that differ.
    rng : numpy.random.Generator
        Chooses places for the variogram where there are many.

    Returns
    -------
    Kriging
        Ready to predict.
    """
    return Kriging(xy, value, fit_variogram(xy, value, rng))


def fit_gaussian_process(xy: np.ndarray, value: np.ndarray, rng: np.random.Generator) -> GaussianProcess:
    """Learn a kernel by greatest likelihood, from `LEARNED` places at most, and condition on all.

    Parameters
    ----------
    xy : numpy.ndarray
        (n, 2) metres, at most `MOST`.
    value : numpy.ndarray
        (n,) values that differ.
    rng : numpy.random.Generator
        Chooses places where there are many.

    Returns
    -------
    GaussianProcess
        Ready to predict.

    Raises
    ------
    SitesError
        If there are too many places.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if len(xy) > MOST:
        raise SitesError(
            f"A Gaussian process takes up to {MOST:,} places; there are {len(xy):,}. Use method='kriging'."
        )
    scale = float(np.ptp(xy, axis=0).max())
    chosen = rng.choice(len(xy), min(LEARNED, len(xy)), replace=False)
    kernel = ConstantKernel(0.7, (1e-4, 1e2)) * Matern(0.2, (1e-3, 3.0), nu=1.5) + WhiteKernel(
        0.3, (1e-5, 1e1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # a parameter at its bound, such as no noise at all
        learner = GaussianProcessRegressor(kernel, normalize_y=True).fit(xy[chosen] / scale, value[chosen])
        kernel = learner.kernel_
        regressor = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(xy / scale, value)
    signal, noise = kernel.k1, kernel.k2.noise_level
    variance = float(np.var(value))
    variogram = Variogram(
        MATERN,
        float(noise * variance),
        float((signal.k1.constant_value + noise) * variance),
        float(MATERN_REACH / np.sqrt(3) * signal.k2.length_scale * scale),  # x of the kernel is √3 d / length
        *experimental_variogram(xy, value, rng),
    )
    return GaussianProcess(regressor, scale, variogram)


METHODS: Final[Mapping[str, Fit]] = MappingProxyType(
    {"kriging": fit_kriging, "gaussian process": fit_gaussian_process}
)
"""Ways to interpolate, by name."""


def _leaves(tree: Any) -> Iterator[np.ndarray]:
    """Go through the leaves of a k-d tree; each the indices of points that lie together."""
    waiting = [tree.tree]
    while waiting:
        node = waiting.pop()
        if node.split_dim == -1:
            yield node.indices
        else:
            waiting += [node.lesser, node.greater]
