"""A set of judges: one for elements, one for scenes, one for perception."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.errors import InputError, OutsideWorldWarning, WeightsError
from soundit_geo.pss.pictures import open_picture
from soundit_geo.weights import weights_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from soundit_geo.pss.elements import ElementJudge
    from soundit_geo.pss.perception import PerceptionJudge
    from soundit_geo.pss.pictures import Picture
    from soundit_geo.pss.scenes import SceneJudge

_ELEMENTS, _RANKS, _SCORES = 150, 5, 6


@dataclass(frozen=True)
class Scores:
    """What a set of judges says about B pictures; NaN (and class -1) where a level has no judge.

    Parameters
    ----------
    element_share : numpy.ndarray
        (B, 150) float32 area shares of ADE20K classes; rows sum to 1.
    scene_class : numpy.ndarray
        (B, 5) int16 Places365 ids from 0, the most likely first; -1 is none.
    scene_probability : numpy.ndarray
        (B, 5) float32.
    perception : numpy.ndarray
        (B, 6) float32 in the order of `soundit_geo.classes.PERCEPTIONS`, on the judge's scale.
    outside : numpy.ndarray
        (B,) bool, whether the picture lies outside the world of any of the judges.
    """

    element_share: NDArray[np.float32]
    scene_class: NDArray[np.int16]
    scene_probability: NDArray[np.float32]
    perception: NDArray[np.float32]
    outside: NDArray[np.bool_]


@dataclass(frozen=True)
class Judges:
    """One judge per level; a level without a judge is not scored.

    Parameters
    ----------
    elements : ElementJudge, optional
        Tells area shares.
    scenes : SceneJudge, optional
        Tells scenes.
    perception : PerceptionJudge, optional
        Tells the six scores.
    """

    elements: ElementJudge | None = None
    scenes: SceneJudge | None = None
    perception: PerceptionJudge | None = None

    @property
    def names(self) -> dict[str, str]:
        """Which weights judge which level; they travel with every number.

        Returns
        -------
        dict of str to str
            Level to name of the weights.
        """
        return {level: judge.name for level, judge in self._present().items()}

    @property
    def worlds(self) -> dict[str, str]:
        """What each judge was trained on.

        Returns
        -------
        dict of str to str
            Level to world.
        """
        return {level: judge.world for level, judge in self._present().items()}

    @property
    def perception_scale(self) -> str:
        """Scale and direction of the perception scores, in words.

        Returns
        -------
        str
            Empty without a perception judge.
        """
        if self.perception is None:
            return ""
        low, high = self.perception.scale
        return f"{low:g} to {high:g}, higher is more of the quality named"

    def score(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Scores:
        """Judge pictures on every level, opening each once.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image, numpy.ndarray or path
            Any size.
        batch_size : int
            Pictures in memory at a time; it does not change the result beyond rounding.

        Returns
        -------
        Scores
            One row per picture.

        Raises
        ------
        InputError
            If there is no picture or the batch size is below 1.
        PictureError
            If a picture cannot be read.

        Warns
        -----
        OutsideWorldWarning
            Once per call, if pictures lie outside the world of a judge.
        """
        if len(pictures) == 0 or batch_size < 1:
            raise InputError(
                f"{len(pictures)} pictures in batches of {batch_size}; give at least one of each."
            )
        total = len(pictures)
        scores = Scores(
            np.full((total, _ELEMENTS), np.nan, np.float32),
            np.full((total, _RANKS), -1, np.int16),
            np.full((total, _RANKS), np.nan, np.float32),
            np.full((total, _SCORES), np.nan, np.float32),
            np.zeros(total, np.bool_),
        )
        flagged: dict[str, int] = {}
        for start in range(0, total, batch_size):
            few = [open_picture(picture) for picture in pictures[start : start + batch_size]]
            rows = slice(start, start + len(few))
            for level, outside in self._score_few(few, scores, rows).items():
                scores.outside[rows] |= outside
                flagged[level] = flagged.get(level, 0) + int(outside.sum())
        levels = [level for level, count in flagged.items() if count]
        if levels:
            who = ", ".join(f"{level} ({self.names[level]}, world: {self.worlds[level]})" for level in levels)
            warnings.warn(
                f"{int(scores.outside.sum())} of {total} pictures lie outside the world of these judges: "
                f"{who}. Their scores carry no evidence. Use judges trained on such pictures.",
                OutsideWorldWarning,
                stacklevel=2,
            )
        return scores

    def _score_few(self, few: Sequence[Picture], scores: Scores, rows: slice) -> dict[str, NDArray[np.bool_]]:
        """Fill the rows of one batch; per level, which pictures its judge finds foreign."""
        outside: dict[str, NDArray[np.bool_]] = {}
        if self.elements is not None:
            elements = self.elements.judge(few, batch_size=len(few))
            scores.element_share[rows], outside["elements"] = elements.share, elements.outside
        if self.scenes is not None:
            scenes = self.scenes.judge(few, batch_size=len(few))
            scores.scene_class[rows], scores.scene_probability[rows] = scenes.classes, scenes.probability
            outside["scenes"] = scenes.outside
        if self.perception is not None:
            perception = self.perception.judge(few, batch_size=len(few))
            scores.perception[rows], outside["perception"] = perception.scores, perception.outside
        return outside

    def _present(self) -> dict[str, ElementJudge | SceneJudge | PerceptionJudge]:
        every = {"elements": self.elements, "scenes": self.scenes, "perception": self.perception}
        return {level: judge for level, judge in every.items() if judge is not None}


def load_judges(
    name_or_path: str | Path = "synthetic-city", device: str | torch.device | None = None
) -> Judges:
    """Load a set of judges.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        Name of a preset, or a folder with subfolders ``elements``, ``scenes`` and ``perception`` (itself or
        under ``judges``), each as ``save_pretrained`` writes them.
    device : str or torch.device, optional
        Where they compute; the CPU where it is not given.

    Returns
    -------
    Judges
        In evaluation mode.

    Raises
    ------
    WeightsError
        If the name is unknown (the message lists the known ones), or the folder has no judges or damaged
        ones.
    """
    from soundit_geo.pss.elements import EmbeddedElementJudge
    from soundit_geo.pss.perception import EmbeddedPerceptionJudge
    from soundit_geo.pss.scenes import EmbeddedSceneJudge

    folder = weights_folder(name_or_path)
    if (folder / "judges").is_dir():
        folder = folder / "judges"
    kinds = {
        "elements": EmbeddedElementJudge,
        "scenes": EmbeddedSceneJudge,
        "perception": EmbeddedPerceptionJudge,
    }
    absent = [level for level in kinds if not (folder / level / "config.json").is_file()]
    if absent:
        raise WeightsError(
            f"{str(name_or_path)!r} has no judge for {', '.join(absent)}: {folder} needs the subfolders "
            f"{', '.join(kinds)}, each with config.json and safetensors weights."
        )
    loaded = {}
    for level, kind in kinds.items():
        try:
            judge = kind.from_pretrained(folder / level, use_safetensors=True, local_files_only=True)
        except Exception as error:  # whatever a damaged file makes the libraries raise
            raise WeightsError(f"The judge in {folder / level} cannot be loaded ({error}).") from error
        loaded[level] = judge if device is None else judge.to(device)
    return Judges(loaded["elements"], loaded["scenes"], loaded["perception"])
