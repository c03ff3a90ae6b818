"""What a map can show: variables of a cube, with their words, scales and draws."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.classes import ADE20K, PERCEPTIONS, PLACES365
from soundit_geo.cube import direction
from soundit_geo.maps.averages import mean_of
from soundit_geo.pss.indicators import INDICATORS

if TYPE_CHECKING:
    import xarray as xr

ELEMENTS: Final = 6
"""How many single elements the map offers: those that cover most."""

RANKS: Final = 3
"""How many scenes and elements the panel of a site names."""

SCENE: Final = "scene"
"""The variable whose values are classes, not numbers."""

_PSS: Final = {
    "pss_element": ("Elements", "0–1, higher is more alike"),
    "pss_scene_top1": ("Scene, first guess", "0–1, higher is more alike"),
    "pss_scene_top5": ("Scene, five guesses", "0–1, higher is more alike"),
    "pss_perception": ("Perception, distance", "points of the scale, lower is more alike"),
}


_MEASURED: Final = {
    "level_dbfs": ("Level, uncalibrated", "dB re full scale"),
    "laeq": ("LAeq", "dB re 20 µPa"),
    "la10": ("LA10", "dB re 20 µPa"),
    "la90": ("LA90", "dB re 20 µPa"),
    "centroid_hz": ("Spectral centroid", "Hz"),
    "aci": ("Acoustic complexity (ACI)", "index"),
    "ndsi": ("Soundscape index (NDSI)", "−1–1, higher is more biophony"),
    "h": ("Acoustic entropy (H)", "0–1"),
    "bi": ("Bioacoustic index (BI)", "dB/Hz"),
}


@dataclass(frozen=True)
class Variable:
    """One variable that the map can show.

    Parameters
    ----------
    key : str
        How Python and the page call it.
    label, group : str
        How people call it, and the heading under which it is listed.
    words : str
        Units and direction.
    draws : numpy.ndarray
        (site, scenario, draw) float32; NaN = none.
    reach : tuple of float
        From where to where a bar of this variable goes.
    percent : bool
        Whether numbers are shown as per cent.
    about : str
        What it means, where the label does not say it.
    uncertain : bool
        Whether the map also gives its standard error.
    """

    key: str
    label: str
    group: str
    words: str
    draws: np.ndarray
    reach: tuple[float, float]
    percent: bool = False
    about: str = ""
    uncertain: bool = True

    def as_json(self) -> dict[str, Any]:
        """Write what the page says of the variable.

        Returns
        -------
        dict
            Its words.
        """
        names = ("key", "label", "group", "words", "percent", "about")
        return {name: getattr(self, name) for name in names} | {"reach": list(self.reach)}


def variables_of(cube: xr.Dataset, ready: np.ndarray, wanted: str) -> list[Variable]:
    """Take the variables with numbers that a map of this cube offers.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    ready : numpy.ndarray
        (site, scenario, draw) bool: which cells are done.
    wanted : str
        An element of this name is offered even where it covers little.

    Returns
    -------
    list of Variable
        The six perceptions, the urban indicators, the elements that cover most, each PSS that is known, and what was
        measured in the recordings.
    """
    low, high = perception_range(cube)
    scores, shares = cube["perception"].to_numpy(), cube["element_share"].to_numpy()
    found = [
        Variable(
            name,
            name.capitalize(),
            "Perception",
            f"{low:g}–{high:g}, {direction(name)}",
            scores[..., k],
            (low, high),
        )
        for k, name in enumerate(PERCEPTIONS)
    ]
    words = "share of the picture, higher is more"
    for name, one in INDICATORS.items():
        label = name.replace("_", " ").capitalize()
        total = sum((shares[..., k] for k in one.ids[1:]), shares[..., one.ids[0]])
        found.append(
            Variable(
                name, label, "Urban indicators", words, total, (0, 1), percent=True, about=one.definition
            )
        )
    found += [
        Variable(
            f"element:{name}" if name in INDICATORS else name,
            name.capitalize(),
            "Single elements",
            words,
            shares[..., ADE20K.index(name)],
            (0, 1),
            percent=True,
            uncertain=False,
        )
        for name in _elements(shares, ready, wanted)
    ]
    for name, (label, said) in _PSS.items():
        column = cube[name].to_numpy()
        if (np.isfinite(column) & ready).any():
            reach = (0.0, high - low) if name == "pss_perception" else (0.0, 1.0)
            found.append(Variable(name, label, "Likeness to the photo (PSS)", said, column, reach))
    return found + _measured(cube, ready)


def _measured(cube: xr.Dataset, ready: np.ndarray) -> list[Variable]:
    """What was measured at each site, the same in every scenario and draw."""
    found = []
    for name, (label, said) in _MEASURED.items():
        if name in cube.data_vars and cube[name].dims == ("site",) and cube[name].notnull().any():
            values = cube[name].to_numpy().astype(np.float32)
            reach = (float(np.nanmin(values)), float(np.nanmax(values)))
            draws = np.broadcast_to(values[:, None, None], ready.shape)
            about = f"{cube[name].attrs.get('long_name', name)}; measured in the recording, not predicted"
            group = "Measured in the recording"
            found.append(Variable(name, label, group, said, draws, reach, about=about, uncertain=False))
    return found


def _elements(shares: np.ndarray, ready: np.ndarray, wanted: str) -> list[str]:
    """Name the single elements to offer: those that cover most and are no indicator, and the wanted one."""
    alone = {ADE20K[one.ids[0]] for one in INDICATORS.values() if len(one.ids) == 1}
    cells = shares.reshape(-1, shares.shape[-1]) if ready.all() else shares[ready]
    cover = np.ones(len(cells), dtype=shares.dtype) @ cells
    first = [ADE20K[k] for k in np.argsort(-cover, kind="stable") if cover[k] > 0 and ADE20K[k] not in alone]
    chosen = first[:ELEMENTS]
    name = wanted.removeprefix("element:")
    if name in ADE20K and name not in chosen and (name not in INDICATORS or name != wanted):
        chosen.append(name)
    return chosen


def scenes_of(cube: xr.Dataset, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank the scenes of each site and scenario by their mean probability over draws.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    counted : numpy.ndarray
        (site, scenario, draw) bool: which draws count.

    Returns
    -------
    tuple of numpy.ndarray
        (site, scenario, rank) Places365 class ids, -1 = none, and their mean probabilities; a scene that is
        not among the first of a draw counts 0 there.
    """
    sites, scenarios = counted.shape[:2]
    shape = (sites * scenarios, -1)
    mask = counted[..., None]
    classes = np.where(mask, cube["scene_class"].to_numpy(), -1).reshape(shape)
    chances = np.where(mask & (cube["scene_class"].to_numpy() >= 0), cube["scene_probability"].to_numpy(), 0)
    chances = np.nan_to_num(chances).reshape(shape)
    total = np.empty(chances.shape, dtype=np.float32)
    for k in range(classes.shape[1]):
        same = classes == classes[:, k : k + 1]
        total[:, k] = (chances * same).sum(axis=1)
        total[same[:, :k].any(axis=1), k] = -1  # the same scene, counted before
    total[classes < 0] = -1
    best = np.argsort(-total, axis=1, kind="stable")[:, :RANKS]
    ids, share = np.take_along_axis(classes, best, 1), np.take_along_axis(total, best, 1)
    count = np.maximum(counted.sum(axis=-1).reshape(-1, 1), 1)
    none = share < 0
    out = (sites, scenarios, best.shape[1])
    return np.where(none, -1, ids).reshape(out), np.where(none, 0, share / count).reshape(out)


def elements_of(shares: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank the elements of each site and scenario by their mean share over draws.

    Parameters
    ----------
    shares : numpy.ndarray
        (site, scenario, draw, element).
    counted : numpy.ndarray
        (site, scenario, draw) bool: which draws count.

    Returns
    -------
    tuple of numpy.ndarray
        (site, scenario, rank) ADE20K ids, -1 = none, and mean shares; elements below one per cent are left out.
    """
    flat = shares.reshape(-1, shares.shape[-1])
    some = np.flatnonzero(np.fmax.reduce(flat, axis=0) >= 0.01)
    if not some.size:
        nothing = np.zeros((*counted.shape[:2], 1))
        return nothing.astype(int) - 1, nothing
    mean = np.stack([mean_of(shares[..., k], counted) for k in some], axis=-1)
    best = np.argsort(-np.nan_to_num(mean), axis=-1, kind="stable")[..., : RANKS + 1]
    share = np.nan_to_num(np.take_along_axis(mean, best, -1))
    return np.where(share >= 0.01, some[best], -1), share


def scene_name(place: int) -> str:
    """Write a scene's name as people would.

    Parameters
    ----------
    place : int
        Its id in Places365.

    Returns
    -------
    str
        For example ``"market, outdoor"``.
    """
    return PLACES365[place].replace("/", ", ").replace("_", " ")


def perception_range(cube: xr.Dataset) -> tuple[float, float]:
    """Tell the ends of the perception scale.

    Parameters
    ----------
    cube : xarray.Dataset
        Its attribute ``perception_scale`` names two numbers, such as ``"0–10"``; else the scores' own range.

    Returns
    -------
    tuple of float
        Lowest and highest score that the judge can give.
    """
    number = r"([-−]?\d+(?:\.\d+)?)"
    match = re.search(
        rf"{number}\s*(?:–|—|-|\.\.|…|to|and)\s*{number}", str(cube.attrs.get("perception_scale", ""))
    )
    if match:
        low, high = (float(text.replace("−", "-")) for text in match.groups())
        if low < high:
            return low, high
    scores = cube["perception"].to_numpy()
    scores = scores[np.isfinite(scores)]
    if not scores.size:
        return 0.0, 1.0
    low, high = float(np.floor(scores.min())), float(np.ceil(scores.max()))
    return min(low, 0.0), high if high > low else low + 1.0
