"""What the embedded preset is worth: figures on places that training never saw, a contact sheet, the model card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from soundit_geo.classes import PLACES365
from soundit_geo.errors import InputError
from soundit_geo.lab import city_data
from soundit_geo.lab.card import card
from soundit_geo.lab.dose import dose_and_response
from soundit_geo.lab.drawing import Draughtsman
from soundit_geo.lab.reckoning import mean_and_interval
from soundit_geo.pss.judges import load_judges
from soundit_geo.pss.place_similarity import floor
from soundit_geo.pss.similarity import element_similarity, perception_distance, scene_overlap
from soundit_geo.synthetic_city.place import SCENES
from soundit_geo.synthetic_city.words import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from soundit_geo.pss.judges import Scores

STEPS = 20
PLACES = 1008  # 84 of each scene
DOSES = 12  # places of each scene whose levels are turned


def evaluate(
    preset: Path, test: Path, sheet: Path, places: int = PLACES, doses: int = DOSES
) -> dict[str, Any]:
    """Measure a preset on the test city and write its card.

    Parameters
    ----------
    preset : pathlib.Path
        Folder of the finished components; receives ``figures.json`` and ``README.md``.
    test : pathlib.Path
        Data folder of the test city, see `city_data`.
    sheet : pathlib.Path
        Receives the contact sheet: per scene two real pictures, then six drawn ones.
    places : int, optional
        Test places, a multiple of 12.
    doses : int, optional
        Places of each scene whose levels are turned, see `soundit_geo.lab.dose`.

    Returns
    -------
    dict
        The figures, as in ``figures.json``; each mean with the ends of its 95 % interval.

    Raises
    ------
    InputError
        If the number of places is no multiple of 12, or more than the folder holds.
    """
    states = city_data.load_places(test)[:places]
    fbanks = np.load(test / "fbanks.npy", mmap_mode="r")[:places]
    if places % len(SCENES) or min(len(states), len(fbanks)) < places:
        raise InputError(
            f"{places} places came; expected a multiple of {len(SCENES)} and at most {min(len(states), len(fbanks))}, "
            f"which {test} holds with their sounds."
        )
    rows = np.arange(places) * city_data.VARIANTS
    pictures = np.load(test / "pictures.npy", mmap_mode="r")
    real, second = list(pictures[rows]), list(pictures[rows + 1])
    hand, judges = Draughtsman(preset, STEPS), load_judges(preset)
    sounds = hand.hear(fbanks)
    said = [f"a {NAMES[place.scene][0]}" for place in states]
    shift = np.roll(np.arange(places), 5)  # the scenes come in turn: another one for every place

    truth = judges.score(real)
    both = hand.draw(sounds, said, "sound and prompt")
    alone = hand.draw(sounds, None, "sound alone")
    other = hand.draw(sounds, [said[row] for row in shift], "swapped prompt")
    again = hand.reconstruct(real)
    scores = {
        "sound_and_prompt": judges.score(both),
        "sound_alone": judges.score(alone),
        "reconstruction": judges.score(again),
        "ceiling_second_picture": judges.score(second),
    }
    prompted = np.array([PLACES365.index(place.scene) for place in states])[shift]
    swapped = judges.score(other).scene_class[:, 0] == prompted
    figures: dict[str, Any] = {
        "places": places,
        "steps": STEPS,
        "guidance": 4.0,
        **{name: _compare(truth, score) for name, score in scores.items()},
        "floor_other_place": {
            name: [round(value, 4)] for name, value in floor(truth, scores["sound_and_prompt"]).items()
        },
    }
    drawn, ceiling = (
        figures[name]["pss_element"][0] for name in ("sound_and_prompt", "ceiling_second_picture")
    )
    figures |= {
        "element_fraction_of_ceiling": round(drawn / ceiling, 4),
        "prompt_swap_scene_is_the_prompted": mean_and_interval(swapped),
        "outside_world_share": mean_and_interval(scores["sound_and_prompt"].outside),
        "outside_world_share_of_real_pictures": mean_and_interval(truth.outside),
        "reconstruction_psnr_db": mean_and_interval(_psnr(real, again)),
        "dose_and_response": dose_and_response(hand, judges, states, doses),
        "parts": {
            str(path.parent.relative_to(preset)): json.loads(path.read_text())
            for path in sorted(preset.rglob("*/figures.json"))
        },
    }
    sheet.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_sheet(real, both)).save(sheet, optimize=True)
    (preset / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    (preset / "README.md").write_text(card(figures))
    return figures


def _compare(truth: Scores, score: Scores) -> dict[str, list[float]]:
    return {
        "pss_element": mean_and_interval(element_similarity(truth.element_share, score.element_share)),
        "pss_scene_top1": mean_and_interval(scene_overlap(truth.scene_class, score.scene_class, 1)),
        "pss_scene_top5": mean_and_interval(scene_overlap(truth.scene_class, score.scene_class, 5)),
        "pss_perception": mean_and_interval(perception_distance(truth.perception, score.perception)),
    }


def _psnr(real: list[NDArray[np.uint8]], again: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    error = (np.stack(real).astype(np.float32) - np.stack(again).astype(np.float32)) / 255.0
    return np.asarray(-10.0 * np.log10(np.square(error).mean(axis=(1, 2, 3))), np.float64)


def _sheet(real: list[NDArray[np.uint8]], drawn: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    lines = []
    for scene in range(len(SCENES)):
        own = list(range(scene, len(real), len(SCENES)))
        gap = np.full((real[0].shape[0], 8, 3), 255, np.uint8)
        lines.append(np.concatenate([*(real[i] for i in own[:2]), gap, *(drawn[i] for i in own[:6])], axis=1))
    half = len(lines) // 2
    left, right = np.concatenate(lines[:half]), np.concatenate(lines[half:])
    return np.concatenate([left, np.full((len(left), 16, 3), 255, np.uint8), right], axis=1)
