"""What judges get right in the synthetic city, where everything is known."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.classes import PERCEPTIONS, PLACES365
from soundit_geo.errors import OutsideWorldWarning
from soundit_geo.lab.city_data import SIZE, draw_places
from soundit_geo.pss.judges import Judges, load_judges
from soundit_geo.synthetic_city.perception import perceive
from soundit_geo.synthetic_city.picture import element_share, render_picture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def measure_judges(
    judges: Judges | str | Path = "synthetic-city", places: int = 240, *, seed: int = 3
) -> dict[str, Any]:
    """Show judges one picture of each of many places, and hold what they say against what is known.

    Parameters
    ----------
    judges : Judges, str or pathlib.Path
        A set of judges, or what `load_judges` takes; that of elements gives masks.
    places : int
        How many, the twelve scenes in turn.
    seed : int
        Of the places. The embedded judges were trained on those of seed 1.

    Returns
    -------
    dict
        Per level that has a judge: ``elements`` has ``mean_iou`` (over the classes that appear) and
        ``pixel_accuracy``, ``scenes`` has ``accuracy`` (of the first), ``perception`` has ``r2`` and ``pair_accuracy``
        (share of pairs of places whose order is right) per quality; ``outside``, the share of pictures that a judge
        finds foreign; and the circumstances.
    """
    if not isinstance(judges, Judges):
        judges = load_judges(judges)
    known = draw_places(places, seed)
    drawn = [render_picture(place, SIZE) for place in known]
    pictures = [picture for picture, _ in drawn]
    masks = np.stack([mask for _, mask in drawn])
    felt = np.stack(
        [perceive(place, element_share(mask)) for place, (_, mask) in zip(known, drawn, strict=True)]
    )
    found: dict[str, Any] = {
        "places": places,
        "seed": seed,
        "judges": judges.names,
        "evidence": judges.evidence,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutsideWorldWarning)  # counted here
        scores = judges.score(pictures)
        if judges.elements is not None:
            judge: Any = judges.elements
            seen = judge.judge(pictures, mask=True).mask  # of the pictures' own size, which is SIZE
            found["elements"] = _overlap(np.stack(list(seen)), masks)
    if judges.scenes is not None:
        scene = np.array([PLACES365.index(place.scene) for place in known])
        found["scenes"] = {"accuracy": round(float((scores.scene_class[:, 0] == scene).mean()), 4)}
    if judges.perception is not None:
        found["perception"] = _agreement(scores.perception, felt)
    return {**found, "outside": round(float(scores.outside.mean()), 4)}


def _overlap(seen: NDArray[np.integer], true: NDArray[np.integer]) -> dict[str, float]:
    """Mean intersection over union of the classes that appear, and share of pixels that are right."""
    ious = [
        ((seen == element) & (true == element)).sum() / ((seen == element) | (true == element)).sum()
        for element in np.unique(true)
    ]
    return {
        "mean_iou": round(float(np.mean(ious)), 4),
        "pixel_accuracy": round(float((seen == true).mean()), 4),
        "classes": len(ious),
    }


def _agreement(said: NDArray[np.floating], true: NDArray[np.floating]) -> dict[str, dict[str, float]]:
    """Per quality the share of variance that is explained, and of pairs that are in the right order."""
    said, true = said.astype(float), true.astype(float)
    unexplained = ((said - true) ** 2).mean(0) / true.var(0)
    one, other = np.triu_indices(len(true), 1)
    ordered = (np.sign(said[one] - said[other]) == np.sign(true[one] - true[other])).mean(0)
    return {
        "r2": dict(zip(PERCEPTIONS, np.round(1 - unexplained, 4).tolist(), strict=True)),
        "pair_accuracy": dict(zip(PERCEPTIONS, np.round(ordered, 4).tolist(), strict=True)),
    }
