"""From landscapes to scores: what the judges say of pictures, and of the photo of their site."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from soundit_geo.cube import DONE
from soundit_geo.errors import InputError, MissingFileError, OutsideWorldWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import xarray as xr
    from PIL import Image

    from soundit_geo.pss.judges import Judges, Scores
    from soundit_geo.study.drawing import Cell
    from soundit_geo.study.results import Progress


def score_cells(
    cube: xr.Dataset,
    alike: Sequence[Sequence[Cell]],
    pictures: Sequence[Image.Image],
    sites: gpd.GeoDataFrame,
    judges: Judges,
    tally: Progress,
) -> dict[str, str]:
    """Fill cells with what the judges say of their pictures, and mark them done.

    Parameters
    ----------
    cube : xarray.Dataset
        The cube; changed in place.
    alike : sequence of sequence of tuple
        The cells of each picture, all of one site.
    pictures : sequence of PIL.Image.Image
        One for each of `alike`.
    sites : geopandas.GeoDataFrame
        The study's sites; those with a ``photo`` get their similarity to it.
    judges : Judges
        What judges.
    tally : Progress
        Counts what was drawn and what is foreign; changed in place.

    Returns
    -------
    dict of str to str
        What is to be said of photos, by site.
    """
    if not alike:
        return {}
    photos: dict[str, Scores] = {}
    messages: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutsideWorldWarning)  # counted here, said once at the end
        scores = judges.score(pictures)
        for site in dict.fromkeys(same[0][0] for same in alike):
            photo, message = _judge_photo(sites["photo"].get(site) if "photo" in sites else None, judges)
            if photo is not None:
                photos[site] = photo
            if message:
                messages[site] = message
    for index, cell in ((index, cell) for index, same in enumerate(alike) for cell in same):
        cube["element_share"].loc[cell] = scores.element_share[index]
        cube["scene_class"].loc[cell] = scores.scene_class[index]
        cube["scene_probability"].loc[cell] = scores.scene_probability[index]
        cube["perception"].loc[cell] = scores.perception[index]
        if cell[0] in photos:
            for name, value in _similarity(photos[cell[0]], scores, index).items():
                cube[name].loc[cell] = value
        cube["status"].loc[cell] = DONE
    tally.drawn += len(alike)
    tally.foreign += int(scores.outside.sum())
    tally.photos += len(photos)
    tally.foreign_photos += sum(bool(photo.outside[0]) for photo in photos.values())
    return messages


def _judge_photo(path: object, judges: Judges) -> tuple[Scores | None, str]:
    """Scores of a photo, None where there is none or it cannot be read; and what is to be said of it."""
    if not isinstance(path, str) or not path:
        return None, ""
    try:
        score = judges.score([path])
    except (InputError, MissingFileError) as error:
        return None, f"No PSS: {error}"
    if score.outside[0]:
        return score, "The photo lies outside the judges' world: its PSS carries no evidence."
    return score, ""


def _similarity(photo: Scores, scores: Scores, index: int) -> dict[str, float]:
    """The three levels of PSS between a photo and one landscape."""
    from soundit_geo.pss.similarity import element_similarity, perception_distance, scene_overlap

    row = slice(index, index + 1)
    classes = photo.scene_class, scores.scene_class[row]
    return {
        "pss_element": float(element_similarity(photo.element_share, scores.element_share[row])[0]),
        "pss_scene_top1": float(scene_overlap(*classes, 1)[0]),
        "pss_scene_top5": float(scene_overlap(*classes, 5)[0]),
        "pss_perception": float(perception_distance(photo.perception, scores.perception[row])[0]),
    }
