"""PSS over pairs of pictures: how similar a generated place is to the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.errors import InputError
from soundit_geo.pss.pictures import list_pictures
from soundit_geo.pss.similarity import METRICS, element_similarity, perception_distance, scene_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundit_geo.pss.judges import Judges, Scores
    from soundit_geo.pss.pictures import Picture

_SHUFFLES = 64  # derangements behind a floor; with up to 65 pairs they meet every wrong pair exactly once


@dataclass(frozen=True)
class PSSResult:
    """The Place Similarity Score of B pairs.

    Parameters
    ----------
    labels : tuple of str
        Names of the pairs.
    values : dict of str to numpy.ndarray
        Per metric of `soundit_geo.pss.similarity.METRICS` its (B,) values; NaN where it was not scored.
    floor : dict of str to float
        Per metric the mean over wrong pairs (each real picture with another pair's generated one): what a
        generator would get that did not listen.
    outside : numpy.ndarray
        (B,) bool, whether a picture of the pair lies outside a judge's world.
    judges : dict of str to str
        Level to name of the weights.
    perception_scale : str
        Scale and direction of the perception scores.
    """

    labels: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]
    floor: dict[str, float]
    outside: NDArray[np.bool_]
    judges: dict[str, str]
    perception_scale: str

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each metric over the pairs that were scored.

        Returns
        -------
        dict of str to float
            NaN where no pair was.
        """
        return {metric: _mean(values) for metric, values in self.values.items()}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON.

        Returns
        -------
        dict
            ``pairs`` (count), ``mean``, ``floor``, ``higher_is_better``, ``judges``, ``perception_scale``
            and ``per_pair``; None stands where a value is NaN.
        """
        per_pair = [
            {
                "label": label,
                **{metric: _or_none(values[row]) for metric, values in self.values.items()},
                "outside": bool(self.outside[row]),
            }
            for row, label in enumerate(self.labels)
        ]
        return {
            "pairs": len(self.labels),
            "mean": {metric: _or_none(value) for metric, value in self.mean.items()},
            "floor": {metric: _or_none(value) for metric, value in self.floor.items()},
            "higher_is_better": {metric: METRICS[metric].higher_is_better for metric in self.values},
            "judges": dict(self.judges),
            "perception_scale": self.perception_scale,
            "outside": int(self.outside.sum()),
            "per_pair": per_pair,
        }

    def __str__(self) -> str:
        lines = [f"PSS of {len(self.labels)} pairs" + " " * 10 + "mean   floor"]
        for metric, value in self.mean.items():
            arrow = "higher" if METRICS[metric].higher_is_better else "lower"
            lines.append(f"{METRICS[metric].name:<18} {arrow:<6}  {value:6.3f}  {self.floor[metric]:6.3f}")
        judges = ", ".join(f"{level} {name}" for level, name in self.judges.items())
        lines.append(f"judges: {judges}; perception scale: {self.perception_scale or 'none'}")
        return "\n".join(lines)


def pss(
    real: Sequence[Picture] | str | Path,
    generated: Sequence[Picture] | str | Path,
    judges: Judges | str | Path = "synthetic-city",
    labels: Sequence[str] | None = None,
    *,
    batch_size: int = 32,
    seed: int = 0,
) -> PSSResult:
    """Score generated pictures of places against the real ones.

    Parameters
    ----------
    real, generated : sequence of pictures, or path of a folder
        Two sequences of PIL pictures, uint8 arrays (H, W, 3) or paths, row to row; or two folders, whose
        pictures are paired by file stem.
    judges : Judges, str or pathlib.Path
        A set of judges, or what `load_judges` takes.
    labels : sequence of str, optional
        Names of the pairs, for sequences; file stems where the real pictures are paths, else 1, 2, …
    batch_size : int
        Pictures in memory at a time.
    seed : int
        Order of the wrong pairs behind the floor; of no effect on the scores, nor, with up to 65 pairs, on
        the floor.

    Returns
    -------
    PSSResult
        Values per pair, means and floor, with the judges' names.

    Raises
    ------
    InputError
        If the two sides do not pair: different lengths, stems without a partner, a folder beside a list.
    MissingFileError
        If a folder or picture does not exist.
    PictureError
        If a picture cannot be read.
    WeightsError
        If the judges are unknown.

    Warns
    -----
    OutsideWorldWarning
        Once, if pictures lie outside a judge's world.
    """
    from soundit_geo.pss.judges import Judges, load_judges

    names, real_pictures, generated_pictures = _pairs(real, generated, labels)
    if not isinstance(judges, Judges):
        judges = load_judges(judges)
    scores = judges.score([*real_pictures, *generated_pictures], batch_size=batch_size)
    count = len(names)
    first, second = _rows(scores, np.arange(count)), _rows(scores, np.arange(count, 2 * count))
    return PSSResult(
        labels=names,
        values=compare(first, second),
        floor=floor(first, second, seed=seed),
        outside=first.outside | second.outside,
        judges=judges.names,
        perception_scale=judges.perception_scale,
    )


def compare(real: Scores, generated: Scores) -> dict[str, NDArray[np.float64]]:
    """PSS on all levels from scores that were computed before.

    Parameters
    ----------
    real, generated : Scores
        Of B pictures each, row to row.

    Returns
    -------
    dict of str to numpy.ndarray
        Per metric of `soundit_geo.pss.similarity.METRICS` its (B,) values.

    Raises
    ------
    InputError
        If the two have different numbers of rows.
    """
    return {
        "pss_element": element_similarity(real.element_share, generated.element_share),
        "pss_scene_top1": scene_overlap(real.scene_class, generated.scene_class, 1),
        "pss_scene_top5": scene_overlap(real.scene_class, generated.scene_class, 5),
        "pss_perception": perception_distance(real.perception, generated.perception),
    }


def floor(real: Scores, generated: Scores, *, seed: int = 0) -> dict[str, float]:
    """Mean PSS of wrong pairs.

    Parameters
    ----------
    real, generated : Scores
        Of B pictures each, row to row.
    seed : int
        Chooses the derangements: cyclic shifts of one random order, of which up to 64 are averaged.

    Returns
    -------
    dict of str to float
        Per metric; NaN with fewer than two pairs.
    """
    count = len(real.outside)
    order = np.random.default_rng(seed).permutation(count)
    parts: dict[str, list[NDArray[np.float64]]] = {metric: [] for metric in METRICS}
    for shift in range(1, min(count, _SHUFFLES + 1)):
        wrong = compare(_rows(real, order), _rows(generated, np.roll(order, shift)))
        for metric, values in wrong.items():
            parts[metric].append(values)
    return {metric: _mean(np.concatenate(values)) if values else math.nan for metric, values in parts.items()}


def _pairs(
    real: Sequence[Picture] | str | Path,
    generated: Sequence[Picture] | str | Path,
    labels: Sequence[str] | None,
) -> tuple[tuple[str, ...], list[Picture], list[Picture]]:
    """Names and pictures of both sides, row to row."""
    if isinstance(real, (str, Path)) and isinstance(generated, (str, Path)):
        if labels is not None:
            raise InputError("Two folders are paired and named by file stem; give labels with lists only.")
        left, right = list_pictures(real), list_pictures(generated)
        alone = sorted(left.keys() ^ right.keys())
        if alone:
            raise InputError(
                f"{len(alone)} pictures have no partner of the same stem, the first: {', '.join(alone[:3])}. "
                f"{real} holds {len(left)} pictures, {generated} {len(right)}; give both the same stems."
            )
        return tuple(left), list(left.values()), [right[stem] for stem in left]
    if isinstance(real, (str, Path)) or isinstance(generated, (str, Path)):
        raise InputError("Give two folders, or two lists of pictures; one of each cannot be paired.")
    if len(real) != len(generated) or len(real) == 0:
        raise InputError(
            f"There are {len(real)} real and {len(generated)} generated pictures; "
            "give equally many, at least one."
        )
    if labels is None:
        labels = [
            Path(picture).stem if isinstance(picture, (str, Path)) else str(row)
            for row, picture in enumerate(real, start=1)
        ]
    if len(labels) != len(real):
        raise InputError(f"There are {len(labels)} labels for {len(real)} pairs; give one each.")
    return tuple(str(label) for label in labels), list(real), list(generated)


def _rows(scores: Scores, rows: NDArray[np.intp]) -> Scores:
    from soundit_geo.pss.judges import Scores

    return Scores(
        scores.element_share[rows],
        scores.scene_class[rows],
        scores.scene_probability[rows],
        scores.perception[rows],
        scores.outside[rows],
    )


def _mean(values: NDArray[np.float64]) -> float:
    scored = values[~np.isnan(values)]
    return float(scored.mean()) if scored.size else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
