"""Dose and response: whether more of a source in the sound draws more of it in the picture, the prompt fixed.

A place keeps its seed, its prompt and its first noise; one of its levels is turned through the typical range of its
scene, which changes its sound. The response is the share of the picture that the element judge gives to the classes of
that level. Scenes whose typical range is narrower than `WIDTH` are left out: they have little to turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from soundit_geo.encoders.preprocessing import fbanks_of
from soundit_geo.lab.city_data import SIZE
from soundit_geo.lab.reckoning import mean_and_interval
from soundit_geo.synthetic_city.picture import ELEMENT_IDS, render_picture
from soundit_geo.synthetic_city.place import SCENES, Place, level_range
from soundit_geo.synthetic_city.sound import render_sound
from soundit_geo.synthetic_city.words import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundit_geo.lab.drawing import Draughtsman
    from soundit_geo.pss.judges import Judges


RESPONSES: dict[str, tuple[str, ...]] = {
    "traffic": ("car", "bus", "truck"),
    "greenery": ("tree", "grass", "plant", "field"),
    "water": ("sea", "river", "water", "fountain"),
}
"""The levels that are turned, and the classes whose share answers."""

WIDTH = 0.4
TURNS = 5


def dose_and_response(
    hand: Draughtsman, judges: Judges, places: Sequence[Place], each: int
) -> dict[str, dict[str, Any]]:
    """Turn levels of places and see what is drawn.

    Parameters
    ----------
    hand : Draughtsman
        Draws.
    judges : Judges
        Its element judge measures the drawings.
    places : sequence of Place
        Unseen places; the first `each` of a scene are turned.
    each : int
        Places of each scene.

    Returns
    -------
    dict
        For each level: ``same_place``, the mean over places of Spearman's correlation of level and share over
        `TURNS` turns of one place (0 where the share never changes), with its interval; ``any_place``, the mean over
        scenes of the correlation over all turns of all places; ``rendered``, `same_place` of the city's own pictures,
        which is what a perfect ear and hand could reach; and ``by_scene``, `same_place` in each scene.
    """
    found: dict[str, dict[str, Any]] = {}
    for level, classes in RESPONSES.items():
        drawn: dict[str, NDArray[np.float64]] = {}
        truly: dict[str, NDArray[np.float64]] = {}
        for scene in SCENES:
            low, high = level_range(scene, level)
            if high - low < WIDTH - 1e-9:
                continue
            doses = [round(float(dose), 4) for dose in np.linspace(low, high, TURNS)]
            own = [place for place in places if place.scene == scene][:each]
            turned = [Place(**place.as_dict() | {level: dose}) for place in own for dose in doses]  # type: ignore[arg-type]
            sounds = hand.hear(np.stack([fbanks_of(render_sound(place)) for place in turned]))
            noises = [row for row in range(len(own)) for _ in doses]
            images = hand.draw(sounds, [f"a {NAMES[scene][0]}"] * len(turned), f"{level}: {scene}", noises)
            ids = [ELEMENT_IDS[name] for name in classes]
            shape = (len(own), TURNS)
            drawn[scene] = judges.score(images).element_share[:, ids].sum(axis=1).reshape(shape)
            real = [render_picture(place, SIZE)[0] for place in turned]
            truly[scene] = judges.score(real).element_share[:, ids].sum(axis=1).reshape(shape)
        each_place = {scene: same_place(share) for scene, share in drawn.items()}
        found[level] = {
            "same_place": mean_and_interval(np.concatenate(list(each_place.values()))),
            "any_place": round(float(np.mean([any_place(share) for share in drawn.values()])), 4),
            "rendered": mean_and_interval(np.concatenate([same_place(share) for share in truly.values()])),
            "by_scene": {scene: round(float(values.mean()), 3) for scene, values in each_place.items()},
        }
    return found


def same_place(share: NDArray[np.floating]) -> NDArray[np.float64]:
    """Correlate dose and response of each place.

    Parameters
    ----------
    share : numpy.ndarray
        (P, T) shares at T rising doses.

    Returns
    -------
    numpy.ndarray
        (P,) Spearman's correlation; 0 where the share never changes.
    """
    doses = np.arange(share.shape[1])
    return np.array([0.0 if np.ptp(row) == 0 else float(spearmanr(doses, row)[0]) for row in share])


def any_place(share: NDArray[np.floating]) -> float:
    """Correlate dose and response over all places at once.

    Parameters
    ----------
    share : numpy.ndarray
        (P, T) shares at T rising doses.

    Returns
    -------
    float
        Spearman's correlation over the P × T pairs; 0 where the share never changes.
    """
    doses = np.tile(np.arange(share.shape[1]), len(share))
    return 0.0 if np.ptp(share) == 0 else float(spearmanr(doses, share.ravel())[0])
