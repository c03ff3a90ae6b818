"""A set of judges: one for elements, one for scenes, one for perception."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.classes import PERCEPTIONS
from soundit_geo.errors import (
    InputError,
    MissingFileError,
    OutsideWorldWarning,
    SounditWarning,
    WeightsError,
)
from soundit_geo.pss.pictures import open_picture
from soundit_geo.weights import STAND_IN_WORLD, presets, weights_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import EllipsisType

    import torch
    from numpy.typing import NDArray

    from soundit_geo.pss.elements import ElementJudge
    from soundit_geo.pss.perception import PerceptionJudge
    from soundit_geo.pss.pictures import Picture
    from soundit_geo.pss.scenes import SceneJudge

LEVELS: tuple[str, ...] = ("elements", "scenes", "perception")
"""What is judged, each level by a judge of its own."""

PLACE_PULSE = "placepulse-resnet50"
"""Six published networks that are one judge; the registry keeps each under this name, a hyphen and its perception."""

PUBLISHED: Mapping[str, str] = MappingProxyType(
    {
        "deeplabv3-r50-ade20k": "elements",
        **{f"segformer-b{size}-ade20k": "elements" for size in range(4)},
        "upernet-convnext-tiny-ade20k": "elements",
        "resnet50-places365": "scenes",
        "wideresnet18-places365": "scenes",
        PLACE_PULSE: "perception",
    }
)
"""Published judges by the name of their weights, and the level of each."""

SETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "open": MappingProxyType(
            {
                "elements": "upernet-convnext-tiny-ade20k",  # MIT; SegFormer's licence forbids commercial use
                "scenes": "wideresnet18-places365",
                "perception": PLACE_PULSE,
            }
        ),
        "paper": MappingProxyType({"elements": "deeplabv3-r50-ade20k", "scenes": "resnet50-places365"}),
    }
)
"""Sets of published judges. The paper's perception judge, DenseNet121, was not published: its users train it."""

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
    def evidence(self) -> str:
        """Whether the judges are a stand-in, in words.

        Returns
        -------
        str
            As `evidence_of` says.
        """
        return evidence_of(self.worlds)

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
        unit = getattr(self.perception, "unit", "")
        return f"{low:g} to {high:g}{f' ({unit})' if unit else ''}, higher is more of the quality named"

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


def evidence_of(worlds: Mapping[str, str]) -> str:
    """Say whether judges are a stand-in, that is trained on the procedural city alone.

    Parameters
    ----------
    worlds : mapping of str to str
        Level to what its judge was trained on, as `Judges.worlds` tells it.

    Returns
    -------
    str
        ``"trained judges"``, or ``"stand-in judges: synthetic city"``, followed by the levels where these are not all.
    """
    levels = [level for level, world in worlds.items() if world == STAND_IN_WORLD]
    if not levels:
        return "trained judges"
    which = "" if len(levels) == len(worlds) else f" ({', '.join(levels)})"
    return f"stand-in judges: {STAND_IN_WORLD}{which}"


def load_judges(
    name_or_path: str | Path | None = None,
    device: str | torch.device | None = None,
    *,
    elements: ElementJudge | str | Path | EllipsisType | None = ...,
    scenes: SceneJudge | str | Path | EllipsisType | None = ...,
    perception: PerceptionJudge | str | Path | EllipsisType | None = ...,
    precision: str = "float32",
    compiled: bool = False,
) -> Judges:
    """Load a set of judges, whole or level by level.

    Parameters
    ----------
    name_or_path : str or pathlib.Path, optional
        A set by name: that of a preset, ``"open"`` or ``"paper"`` (`SETS`); or a folder with subfolders
        ``elements``, ``scenes`` and ``perception`` (itself or under ``judges``); or a mix in one string, such as
        ``"open,perception=runs/votes"`` or ``"elements=segformer-b0-ade20k,scenes=wideresnet18-places365"``.
    device : str or torch.device, optional
        Where they compute; the CPU where it is not given.
    elements, scenes, perception : judge, str, pathlib.Path or None, optional
        One level in place of the set's: a judge, a name (`PUBLISHED`, or a preset), or the path of weights. None
        leaves the level out, and it is not scored. Where it is not given, the set's judge is taken; without a set,
        none.
    precision : {"float32", "bfloat16", "float16"}, optional
        In which published networks compute; below float32 their names say so. The embedded judges are small, and stay
        in float32.
    compiled : bool, optional
        Whether `torch.compile` translates published networks.

    Returns
    -------
    Judges
        In evaluation mode.

    Raises
    ------
    InputError
        If nothing is asked for, or the mix is malformed, or there is no such precision.
    MissingFileError
        If published weights are not in the cache; the message has the command that brings them all.
    WeightsError
        If a name is unknown (the message lists the known ones), or a folder has no judges or damaged ones.

    Warns
    -----
    SounditWarning
        If the set has no published judge for a level: the paper's perception judge is trained by its users.
    """
    given: dict[str, Any] = {
        level: choice
        for level, choice in zip(LEVELS, (elements, scenes, perception), strict=True)
        if choice is not ...
    }
    if isinstance(name_or_path, str) and "=" in name_or_path and not Path(name_or_path).exists():
        name_or_path, written = _mix(name_or_path)
        given = {**written, **given}
    if name_or_path is None and not given:
        raise InputError(f"Name a set of judges, such as {', '.join(_sets())}, or a judge for a level.")
    chosen = {**(_of_set(name_or_path, given) if name_or_path is not None else {}), **given}
    if all(chosen.get(level) is None for level in LEVELS):
        raise InputError(f"No level has a judge; name one for {', '.join(LEVELS)}.")
    check_device(device)
    _refuse_absent(chosen)
    loaded: dict[str, Any] = {}
    for level in LEVELS:
        choice = chosen.get(level)
        if isinstance(choice, (str, Path)):
            choice = _open(level, choice, device)
        elif choice is not None and device is not None and hasattr(choice, "to"):
            choice = choice.to(device)
        if choice is not None and hasattr(choice, "hasten"):
            choice.hasten(precision=precision, compiled=compiled)
        loaded[level] = choice
    return Judges(**loaded)


def check_device(device: str | torch.device | None) -> None:
    """Refuse a device that is not there.

    Parameters
    ----------
    device : str or torch.device, optional
        Such as ``"cuda"``.

    Raises
    ------
    InputError
        If PyTorch does not know it, or this machine has none.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # no such name, or no such card
        raise InputError(f"Device {str(device)!r} is not there: {str(error).splitlines()[0]}") from error


def _sets() -> list[str]:
    return [*presets(), *SETS]


def _mix(text: str) -> tuple[str | None, dict[str, str | None]]:
    """A set, where one is named, and levels, of ``"open,perception=runs/votes"``."""
    name: str | None = None
    levels: dict[str, str | None] = {}
    for part in text.split(","):
        level, equals, choice = (piece.strip() for piece in part.partition("="))
        if not equals and level and name is None and not levels:
            name = level
        elif equals and level in LEVELS and choice and level not in levels:
            levels[level] = None if choice.lower() == "none" else choice
        else:
            raise InputError(
                f"{part.strip()!r} in {text!r} is no judge. Write a set first, then LEVEL=NAME with commas between; "
                f"the levels are {', '.join(LEVELS)}."
            )
    return name, levels


def _of_set(name_or_path: str | Path, given: Mapping[str, Any]) -> dict[str, str | Path]:
    """Name or folder of every level of a set that is not given otherwise."""
    name = str(name_or_path)
    if name in SETS and name not in presets():
        absent = [level for level in LEVELS if level not in SETS[name] and level not in given]
        if absent:
            warnings.warn(
                f"The set {name!r} has no published judge for {', '.join(absent)}, which is not scored. Train one, "
                f"for example with `soundit-geo train perception`, and name it: {name},{absent[0]}=FOLDER.",
                SounditWarning,
                stacklevel=3,
            )
        return {level: choice for level, choice in SETS[name].items() if level not in given}
    if name not in presets() and not Path(name).is_dir():
        raise WeightsError(
            f"{name!r} is neither a set of judges nor a folder. Sets: {', '.join(_sets())}. Judges of one level are "
            f"named by it: elements=NAME, with {', '.join(PUBLISHED)}."
        )
    folder = _with_judges(weights_folder(name_or_path))
    wanted = [level for level in LEVELS if level not in given]
    absent = [level for level in wanted if not (folder / level).is_dir()]
    if absent:
        raise WeightsError(
            f"{name!r} has no judge for {', '.join(absent)}: {folder} needs the subfolders "
            f"{', '.join(wanted)}, each with config.json and safetensors weights."
        )
    return {level: folder / level for level in wanted}


def _with_judges(folder: Path) -> Path:
    return folder / "judges" if (folder / "judges").is_dir() else folder


def _open(level: str, choice: str | Path, device: str | torch.device | None) -> Any:
    """One judge, by the name of published weights, the name of a preset, or a path."""
    name = str(choice)
    if name in PUBLISHED:
        if PUBLISHED[name] != level:
            raise WeightsError(f"{name!r} judges {PUBLISHED[name]}, not {level}.")
        return _open_published(level, name, device)
    if name in presets():
        return _open_path(level, _with_judges(presets()[name]) / level, None, device)
    if not Path(choice).exists():
        of_level = [known for known, judges in PUBLISHED.items() if judges == level]
        raise WeightsError(
            f"{name!r} is neither a judge for {level} nor a path. Known: {', '.join([*presets(), *of_level])}."
        )
    return _open_path(level, Path(choice), None, device)


def _weights_of(name: str) -> list[str]:
    """What the registry keeps for a published judge."""
    return [f"{PLACE_PULSE}-{quality}" for quality in PERCEPTIONS] if name == PLACE_PULSE else [name]


def _refuse_absent(chosen: Mapping[str, Any]) -> None:
    """Raise once for all published weights that are not in the cache, with one command that brings them."""
    named = [
        choice
        for level, choice in chosen.items()
        if isinstance(choice, str) and PUBLISHED.get(choice) == level
    ]
    if not named:
        return
    from soundit_geo.registry import cached

    absent = []
    for weights in [weights for name in named for weights in _weights_of(name)]:
        try:
            cached(weights)
        except MissingFileError:
            absent.append(weights)
    if absent:
        raise MissingFileError(
            f"The judges need weights that are not in the cache. Fetch them, after a look at their licences "
            f"(soundit-geo weights list): soundit-geo weights pull {' '.join(absent)}"
        )


def _open_published(level: str, name: str, device: str | torch.device | None) -> Any:
    """A judge whose weights the registry keeps."""
    from soundit_geo.registry import cached

    if name == PLACE_PULSE:
        from soundit_geo.pss.place_pulse import PlacePulseJudge

        files = dict(zip(PERCEPTIONS, map(cached, _weights_of(name)), strict=True))
        return PlacePulseJudge.from_checkpoint(files, name=name, device=device)
    return _open_path(level, Path(cached(name)), name, device)


def _open_path(level: str, path: Path, name: str | None, device: str | torch.device | None) -> Any:
    """A judge from the disk: an embedded one where its configuration says so, else a published one."""
    from soundit_geo.pss.elements import EmbeddedElementJudge
    from soundit_geo.pss.perception import EmbeddedPerceptionJudge
    from soundit_geo.pss.place_pulse import load_perception
    from soundit_geo.pss.places import PlacesJudge
    from soundit_geo.pss.scenes import EmbeddedSceneJudge
    from soundit_geo.pss.segmenters import SegmentationJudge

    embedded = {
        "elements": EmbeddedElementJudge,
        "scenes": EmbeddedSceneJudge,
        "perception": EmbeddedPerceptionJudge,
    }
    published: dict[str, Callable[..., Any]] = {
        "elements": SegmentationJudge.from_checkpoint,
        "scenes": PlacesJudge.from_checkpoint,
        "perception": load_perception,
    }
    if _class_of(path) != embedded[level].__name__:
        try:
            return published[level](path, name=name, device=device)
        except WeightsError as error:
            raise WeightsError(f"The judge for {level} in {path} cannot be loaded: {error}") from error
    try:
        judge = embedded[level].from_pretrained(path, use_safetensors=True, local_files_only=True)
    except Exception as error:  # whatever a damaged file makes the libraries raise
        raise WeightsError(f"The judge in {path} cannot be loaded ({error}).") from error
    return judge if device is None else judge.to(device)


def _class_of(path: Path) -> str | None:
    """Class that diffusers noted in a folder's configuration."""
    try:
        said = json.loads((path / "config.json").read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError):
        return None
    return said if isinstance(said, str) else None
