"""Fidelity: FID and KID, and the similarities of sound to picture (AIS) and picture to picture (IIS).

Pure functions over features and embeddings that were computed before, by whichever network; name that
network beside the number. `soundit_geo.evaluation` computes both and calls these.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.stats import rankdata

from soundit_geo.errors import InputError
from soundit_geo.pss.similarity import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

Form: TypeAlias = Literal["win_rate", "cosine"]
"""The two public variants of AIS and IIS."""

MEASURES: Mapping[str, Metric] = MappingProxyType(
    {
        "fid": Metric("FID", higher_is_better=False, unit="squared distance", low=0.0, high=float("inf")),
        "kid": Metric(
            "KID, unbiased",
            higher_is_better=False,
            unit="squared distance",
            low=-float("inf"),
            high=float("inf"),
        ),
        "ais_win_rate": Metric("AIS, win rate", higher_is_better=True, unit="share", low=0.0, high=1.0),
        "ais_cosine": Metric("AIS, cosine", higher_is_better=True, unit="cosine", low=-1.0, high=1.0),
        "iis_win_rate": Metric("IIS, win rate", higher_is_better=True, unit="share", low=0.0, high=1.0),
        "iis_cosine": Metric("IIS, cosine", higher_is_better=True, unit="cosine", low=-1.0, high=1.0),
    }
)
"""Direction, unit and range of each measure, by its name in results."""

_TIE = 1e-9  # cosines closer than this are equal: the rounding of a product of two long vectors
_ROWS = 1024  # rows of the similarity matrix in memory at a time


def frechet_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Fréchet distance between two sets of features, as in FID (Heusel et al. 2017).

    ``d² = |μ_a - μ_b|² + tr(Σ_a) + tr(Σ_b) - 2 tr((Σ_a Σ_b)^½)``. With centred, scaled features A, B
    (``Σ_a = AᵀA``) the last trace is the sum of the singular values of ``A Bᵀ``, so no matrix root is taken
    and singular covariances do no harm.

    Small samples: the estimate is biased upwards, the more so the fewer the pictures and the wider the
    features; with fewer pictures than features the covariance is not even of full rank. Compare only
    equal sample sizes, and give the size with the number.

    Parameters
    ----------
    features_a, features_b : array_like
        (N, F) and (M, F) features of two sets of pictures, N and M at least 2.

    Returns
    -------
    float
        The squared distance that is reported as FID, 0 for equal means and covariances; no unit. NaN where
        a feature is NaN.

    Raises
    ------
    InputError
        If the widths differ or a set has fewer than two rows.
    """
    a, b = _feature_pair(features_a, features_b)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    shift = a.mean(0) - b.mean(0)
    root_a, root_b = (_covariance_root(features) for features in (a, b))
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = shift @ shift + (root_a**2).sum() + (root_b**2).sum() - 2.0 * cross
    return max(0.0, float(distance))


def kernel_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Kernel distance between two sets of features, as in KID (Bińkowski et al. 2018, arXiv 1801.01401).

    The squared maximum mean discrepancy under ``k(x, y) = (x · y / F + 1)³``, estimated without bias: pairs of a
    picture with itself are left out. So its expectation does not depend on the number of pictures, as that of
    `frechet_distance` does; beside a small sample's FID it is the number to trust.

    Parameters
    ----------
    features_a, features_b : array_like
        (N, F) and (M, F) features of two sets of pictures, N and M at least 2.

    Returns
    -------
    float
        About 0 for sets from one distribution, and then as often below as above; no unit. NaN where a feature is
        NaN.

    Raises
    ------
    InputError
        If the widths differ or a set has fewer than two rows.
    """
    a, b = _feature_pair(features_a, features_b)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    own = sum((_kernel_sum(x, x) - _kernel_own(x)) / (len(x) * (len(x) - 1)) for x in (a, b))
    return float(own - 2.0 * _kernel_sum(a, b) / (len(a) * len(b)))


def audio_image_similarity(
    sounds: ArrayLike, pictures: ArrayLike, *, form: Form = "win_rate"
) -> NDArray[np.float64]:
    """How well generated pictures fit their sounds (AIS).

    Parameters
    ----------
    sounds : array_like
        (B, d) embeddings of the recordings.
    pictures : array_like
        (B, d) embeddings, in the same space, of the pictures that were generated from them.
    form : {"win_rate", "cosine"}
        Share of the other pictures to which the sound is less similar than to its own, ties counted half
        (chance 0.5; the paper's 0.52 to 0.54 fit this one), or the plain cosine (-1 to 1).

    Returns
    -------
    numpy.ndarray
        (B,) one value per sound, whose mean is AIS; higher is better. NaN where an embedding holds NaN or
        is zero.

    Raises
    ------
    InputError
        If the shapes differ, the form is unknown, or a win rate is asked of a single pair.
    """
    return _similarity(sounds, pictures, form)


def image_image_similarity(
    real: ArrayLike, generated: ArrayLike, *, form: Form = "win_rate"
) -> NDArray[np.float64]:
    """How well generated pictures fit the real ones (IIS).

    Parameters
    ----------
    real : array_like
        (B, d) embeddings of the real pictures.
    generated : array_like
        (B, d) embeddings, in the same space, of the generated pictures.
    form : {"win_rate", "cosine"}
        Share of the other generated pictures that are less similar to the real one than its own, ties
        counted half (chance 0.5), or the plain cosine (-1 to 1).

    Returns
    -------
    numpy.ndarray
        (B,) one value per pair, whose mean is IIS; higher is better. NaN where an embedding holds NaN or
        is zero.

    Raises
    ------
    InputError
        If the shapes differ, the form is unknown, or a win rate is asked of a single pair.
    """
    return _similarity(real, generated, form)


def similarity_floor(
    queries: ArrayLike, items: ArrayLike, *, form: Form = "win_rate", groups: Sequence[str] = ()
) -> float:
    """AIS or IIS of wrong pairs: what a generator that ignored its input would get.

    Parameters
    ----------
    queries : array_like
        (B, d) embeddings of the recordings, or of the real pictures; rows with NaN are left out.
    items : array_like
        (B, d) embeddings of the generated pictures.
    form : {"win_rate", "cosine"}
        As for `audio_image_similarity`.
    groups : sequence of str, optional
        The place of each row: rows of one place are no wrong pair.

    Returns
    -------
    float
        Mean over every wrong pair, each once; NaN where there is none. Without ties and groups that of the win rate is
        ``(B / 2 - mean win rate) / (B - 1)``: near 0.5 with many pairs, lower with few.

    Raises
    ------
    InputError
        If the shapes differ or the form is unknown.
    """
    q, x = _unit_rows(queries, items, form)
    place = np.unique(np.array(groups), return_inverse=True)[1] if groups else np.arange(len(q))
    known = ~np.isnan(q + x).any(axis=1)
    cosine = q[known] @ x[known].T
    wrong = place[known][:, None] != place[known]
    if not wrong.any():
        return float("nan")
    if form == "cosine":
        return float(cosine[wrong].mean())
    rank = rankdata(np.round(cosine, 9), axis=1)  # 1 is the least similar; ties share their mean
    return float(((rank - 1.0) / (len(cosine) - 1))[wrong].mean())


def _feature_pair(
    features_a: ArrayLike, features_b: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a = np.asarray(features_a, dtype=np.float64)
    b = np.asarray(features_b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] == 0:
        raise InputError(f"features are {a.shape} and {b.shape}; expected (N, F) and (M, F) of one network.")
    if min(len(a), len(b)) < 2:
        raise InputError(
            f"{len(a)} and {len(b)} pictures do not make a distribution; give at least two on each side."
        )
    return a, b


def _kernel_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Sum of (x · y / F + 1)³ over all pairs."""
    width = a.shape[1]
    return float(sum(((a[at : at + _ROWS] @ b.T / width + 1.0) ** 3).sum() for at in range(0, len(a), _ROWS)))


def _kernel_own(a: NDArray[np.float64]) -> float:
    """The same sum over pairs of a row with itself."""
    return float((((a * a).sum(axis=1) / a.shape[1] + 1.0) ** 3).sum())


def _covariance_root(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """R with RᵀR the sample covariance, of min(N, F) rows."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return centred if len(centred) <= centred.shape[1] else np.linalg.qr(centred).R


def _unit_rows(
    queries: ArrayLike, items: ArrayLike, form: Form
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    q = np.asarray(queries, dtype=np.float64)
    x = np.asarray(items, dtype=np.float64)
    if q.shape != x.shape or q.ndim != 2 or 0 in q.shape:
        raise InputError(
            f"embeddings are {q.shape} and {x.shape}; expected two equal shapes (B, d), row to row."
        )
    if form not in ("win_rate", "cosine"):
        raise InputError(f"form {form!r} is unknown; choose 'win_rate' or 'cosine'.")
    with np.errstate(invalid="ignore", divide="ignore"):
        q = q / np.linalg.norm(q, axis=1, keepdims=True)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return q, x


def _similarity(queries: ArrayLike, items: ArrayLike, form: Form) -> NDArray[np.float64]:
    q, x = _unit_rows(queries, items, form)
    own = (q * x).sum(1)
    if form == "cosine":
        return own
    if len(q) < 2:
        raise InputError("One pair has no others to win against; give at least two, or use form='cosine'.")
    rate = np.empty(len(q))
    for start in range(0, len(q), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(q)))
        gap = own[rows, None] - q[rows] @ x.T  # (rows, B)
        gap[np.arange(len(rows)), rows] = np.nan  # a pair does not meet itself
        won = np.where(np.abs(gap) <= _TIE, 0.5, (gap > 0).astype(np.float64))
        met = ~np.isnan(gap)
        with np.errstate(invalid="ignore"):
            rate[rows] = np.where(met, won, 0.0).sum(1) / met.sum(1)
    return rate
