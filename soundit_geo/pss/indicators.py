"""Urban indicators: what planners read off the shares of the elements.

Each is the share of the picture that a group of ADE20K's classes covers, from 0 to 1, as street-view studies count
pixels. They are of one picture with a limited view, no measures of the place all round: the sky view is no sky view
factor, which is defined over the whole upper hemisphere.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.classes import ADE20K
from soundit_geo.classes import INDICATORS as GROUPS
from soundit_geo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Indicator:
    """One indicator and what it means.

    Parameters
    ----------
    classes : tuple of str
        Names in ADE20K whose shares are summed.
    definition : str
        In words.
    source : str
        Where the definition, or the custom, comes from.

    Raises
    ------
    InputError
        If a class is unknown or named twice.
    """

    classes: tuple[str, ...]
    definition: str
    source: str

    def __post_init__(self) -> None:
        """Check the names."""
        unknown = [name for name in self.classes if name not in ADE20K]
        if unknown or not self.classes or len(set(self.classes)) < len(self.classes):
            raise InputError(f"{self.classes} are not distinct classes of ADE20K; unknown: {unknown}.")

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the classes.

        Returns
        -------
        tuple of int
            From 0, in the order of `classes`.
        """
        return tuple(ADE20K.index(name) for name in self.classes)


_PIXELS = (
    "Zhang et al. 2018, doi.org/10.1016/j.landurbplan.2018.08.020: shares of ADE20K's classes in street views"
)

INDICATORS: Mapping[str, Indicator] = MappingProxyType(
    {
        "green": Indicator(
            GROUPS["greenery"],
            "plants of every kind: the green view index",
            "Yang et al. 2009, doi.org/10.1016/j.landurbplan.2008.12.004",
        ),
        "blue": Indicator(GROUPS["water"], "open water: the blue view index", _PIXELS),
        "sky_view": Indicator(GROUPS["sky"], "sky: how open the view is", _PIXELS),
        "building": Indicator(GROUPS["buildings"], "buildings: the building view index", _PIXELS),
        "enclosure": Indicator(
            GROUPS["enclosure"],
            "what stands upright and bounds the space: buildings, walls, fences, columns, trees",
            "Ewing & Handy 2009, doi.org/10.1080/13574800802451155: how far buildings, walls, trees and other upright "
            "things visually define a street. Reading: measured as their share of the picture, in the manner of "
            "Tang & Long 2019, doi.org/10.1016/j.landurbplan.2018.09.015",
        ),
        "road": Indicator(GROUPS["carriageway"], "carriageways, without pavements and paths", _PIXELS),
        "vehicle": Indicator(GROUPS["vehicles"], "road vehicles, bicycles among them, no boats", _PIXELS),
        "people": Indicator(GROUPS["people"], "persons in view", _PIXELS),
    }
)
"""The indicators by name. Their groups of classes are those by which maps colour sites."""


def urban_indicators(share: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Compute all indicators.

    Parameters
    ----------
    share : array_like
        (..., 150) area shares of ADE20K's classes, such as `Elements.share`.

    Returns
    -------
    dict of str to numpy.ndarray
        Name to values (...), each from 0 to 1; NaN where the shares are NaN.

    Raises
    ------
    InputError
        If the last axis has not 150 entries, or a share is negative or above 1.
    """
    return {name: indicator(name, share) for name in INDICATORS}


def indicator(name: str, share: ArrayLike) -> NDArray[np.float64]:
    """Compute one indicator.

    Parameters
    ----------
    name : str
        A key of `INDICATORS`.
    share : array_like
        (..., 150) area shares of ADE20K's classes.

    Returns
    -------
    numpy.ndarray
        (...) from 0 to 1; NaN where the shares are NaN.

    Raises
    ------
    InputError
        If the name is unknown, the last axis has not 150 entries, or a share is negative or above 1.
    """
    if name not in INDICATORS:
        raise InputError(f"There is no indicator {name!r}. Known: {', '.join(INDICATORS)}.")
    shares = np.asarray(share, dtype=np.float64)
    if shares.ndim == 0 or shares.shape[-1] != len(ADE20K):
        raise InputError(f"The shares are {shares.shape}; expected (..., {len(ADE20K)}).")
    if bool((shares < 0).any()) or bool((shares > 1 + 1e-5).any()):
        raise InputError("Area shares lie between 0 and 1; divide counts of pixels by the picture's pixels.")
    total = shares[..., list(INDICATORS[name].ids)].sum(-1)
    return np.minimum(total, 1.0)
