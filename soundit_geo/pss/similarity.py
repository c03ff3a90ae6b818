"""Place Similarity Score (PSS): three pure functions over what the judges say.

Source: "SounDiT: Geo-Contextual Soundscape-to-Landscape Generation" (arXiv 2505.12734). Row i of the first
array is the real picture of a place, row i of the second the generated one. Every function is symmetric in
the two, and gives NaN for a pair in which something was not scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Metric:
    """What is to be known beside a number.

    Parameters
    ----------
    name : str
        For people.
    higher_is_better : bool
        Direction.
    unit : str
        Unit of the value.
    low, high : float
        Range; the end of the perception distance is that of the judge's scale.
    """

    name: str
    higher_is_better: bool
    unit: str
    low: float
    high: float


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "pss_element": Metric("PSS element", higher_is_better=True, unit="cosine", low=0.0, high=1.0),
        "pss_scene_top1": Metric(
            "PSS scene, top 1", higher_is_better=True, unit="share of pairs", low=0.0, high=1.0
        ),
        "pss_scene_top5": Metric(
            "PSS scene, top 5", higher_is_better=True, unit="share of pairs", low=0.0, high=1.0
        ),
        "pss_perception": Metric(
            "PSS perception",
            higher_is_better=False,
            unit="points of the judge's scale",
            low=0.0,
            high=float("inf"),
        ),
    }
)
"""Direction, unit and range of each level, by its name in results and cubes."""


def element_similarity(real: ArrayLike, generated: ArrayLike) -> NDArray[np.float64]:
    """Cosine of the normalised area shares of elements.

    ``cos = r · g / (|r| |g|)`` with r, g the shares of ADE20K's 150 classes.

    Parameters
    ----------
    real, generated : array_like
        (B, 150) area shares or pixel counts, not negative; rows are normalised here, so their sums do not
        matter.

    Returns
    -------
    numpy.ndarray
        (B,) cosine from 0 (nothing in common) to 1; NaN where a row holds NaN or is all zero.

    Raises
    ------
    InputError
        If the shapes differ or are not two-dimensional, or a share is negative or infinite.
    """
    r, g = _pair(real, generated, "element shares (B, 150)")
    for name, array in (("real", r), ("generated", g)):
        if bool((array < 0).any()) or bool(np.isinf(array).any()):
            raise InputError(f"{name} holds a negative or infinite share; area shares lie between 0 and 1.")
    with np.errstate(invalid="ignore", divide="ignore"):
        r = r / r.max(
            axis=1, keepdims=True, initial=0.0
        )  # first, so that neither sum nor square can overflow
        g = g / g.max(axis=1, keepdims=True, initial=0.0)
        cosine = (r * g).sum(1) / np.sqrt((r * r).sum(1) * (g * g).sum(1))
    return np.minimum(cosine, 1.0)


def scene_overlap(real: ArrayLike, generated: ArrayLike, k: int) -> NDArray[np.float64]:
    """Whether the k most likely scenes of a pair have one in common.

    Parameters
    ----------
    real, generated : array_like
        (B, ranks) Places365 ids, the most likely first; -1 (or NaN) stands for none. The two may have
        different numbers of ranks.
    k : int
        Ranks to look at, 1 or 5 in the paper; not more than either array has.

    Returns
    -------
    numpy.ndarray
        (B,) 1.0 or 0.0; NaN where a picture has no scene at all within its first k. Their mean is the
        share of pairs that agree.

    Raises
    ------
    InputError
        If the shapes do not fit or k is out of range.
    """
    r = np.asarray(real, dtype=np.float64)
    g = np.asarray(generated, dtype=np.float64)
    if r.ndim != 2 or g.ndim != 2 or len(r) != len(g):
        raise InputError(
            f"real is {r.shape} and generated {g.shape}; expected scene ids (B, ranks) of equal B."
        )
    ranks = min(r.shape[1], g.shape[1])
    if not 1 <= k <= ranks:
        raise InputError(f"k is {k}, but the scenes have {ranks} ranks; choose k from 1 to {ranks}.")
    r, g = (
        np.where(ids >= 0, ids, np.nan)[:, :k] for ids in (r, g)
    )  # NaN equals nothing, so no scene never agrees
    overlap = (r[:, :, None] == g[:, None, :]).any(axis=(1, 2)).astype(np.float64)
    known = ~(np.isnan(r).all(1) | np.isnan(g).all(1))
    return np.where(known, overlap, np.nan)


def perception_distance(real: ArrayLike, generated: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute difference of the six perception scores.

    Reading: the paper says "L1 distance", which could be the sum over the six or their mean. The mean is
    taken, so that the distance is in points of the judge's scale and does not depend on how many scores
    there are; six times it is the sum.

    Parameters
    ----------
    real, generated : array_like
        (B, 6) scores of one judge, in the order of `soundit_geo.classes.PERCEPTIONS`.

    Returns
    -------
    numpy.ndarray
        (B,) from 0 (the same) upwards, in points of the judge's scale; NaN where a score is NaN. Comparable
        within one judge only.

    Raises
    ------
    InputError
        If the shapes differ or are not two-dimensional, or there is no score.
    """
    r, g = _pair(real, generated, "perception scores (B, 6)")
    return np.abs(r - g).mean(1)


def _pair(
    real: ArrayLike, generated: ArrayLike, what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r = np.asarray(real, dtype=np.float64)
    g = np.asarray(generated, dtype=np.float64)
    if r.shape != g.shape or r.ndim != 2 or r.shape[1] == 0:
        raise InputError(f"real is {r.shape} and generated {g.shape}; expected two equal shapes of {what}.")
    return r, g
