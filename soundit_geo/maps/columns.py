"""The cube as columns: what the page draws from, as plain JSON.

Numbers travel as base64 of little-endian arrays, so that the page shows exactly the cube's values, in a third
of the space that decimals take; a column is one variable of one scenario, a value per site.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.classes import ADE20K, INDICATORS, PERCEPTIONS, PLACES365
from soundit_geo.cube import DONE, FAILED, direction
from soundit_geo.errors import CubeError

if TYPE_CHECKING:
    import xarray as xr

ELEMENTS: Final = 10
"""How many single elements the map offers: those that cover most."""

_PSS: Final = {
    "pss_element": ("Elements", "0–1, higher is more alike"),
    "pss_scene_top1": ("Scene, first guess", "0–1, higher is more alike"),
    "pss_scene_top5": ("Scene, five guesses", "0–1, higher is more alike"),
    "pss_perception": ("Perception, distance", "points of the scale, lower is more alike"),
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
    scale : str
        Units and direction in words.
    values : numpy.ndarray
        (scenario, site) float32, means over draws; NaN = none.
    reach : tuple of float
        From where to where a bar of this variable goes.
    percent : bool
        Whether numbers are shown as per cent.
    """

    key: str
    label: str
    group: str
    scale: str
    values: np.ndarray
    reach: tuple[float, float]
    percent: bool = False

    def as_json(self) -> dict[str, Any]:
        """Write the variable for the page.

        Returns
        -------
        dict
            Its words, and one column for each scenario.
        """
        return {
            "key": self.key,
            "label": self.label,
            "group": self.group,
            "scale": self.scale,
            "percent": self.percent,
            "reach": list(self.reach),
            "values": [pack(column, "<f4") for column in self.values],
        }


def pack(numbers: np.ndarray, dtype: str) -> str:
    """Write an array as base64 text.

    Parameters
    ----------
    numbers : numpy.ndarray
        Any shape; C order.
    dtype : str
        A little-endian NumPy type, such as ``"<f4"``.

    Returns
    -------
    str
        The bytes.
    """
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=dtype).tobytes()).decode("ascii")


def columns_of(cube: xr.Dataset, variable: str) -> dict[str, Any]:
    """Write a cube as columns.

    Means are over the draws that are done in every scenario of the site that has any, so that the page's
    A − B is a difference paired over draws.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    variable : str
        The variable shown first: a perception, an urban indicator, an element or a PSS.

    Returns
    -------
    dict
        Ready for `json.dumps`.

    Raises
    ------
    CubeError
        If the cube has no such variable to show.
    """
    status = cube["status"].transpose("scenario", "site", "draw").to_numpy()
    ready = status == DONE
    variables = variables_of(cube, ready, variable)
    keys = [one.key for one in variables]
    if variable not in keys:
        raise CubeError(f"The map has no variable {variable!r}. It has: {', '.join(keys)}.")
    states = np.where(ready.any(axis=-1), DONE, np.where((status == FAILED).any(axis=-1), FAILED, 0))
    messages = cube["message"].to_numpy()
    scenes = cube["scene_class"].isel(rank=0).transpose("scenario", "draw", "site").to_numpy()
    chances = cube["scene_probability"].isel(rank=0).transpose("scenario", "draw", "site").to_numpy()
    return {
        "title": str(cube.attrs.get("title", "")) or "Soundscapes to landscapes",
        "provenance": provenance(cube),
        "sites": {
            "name": [str(name) for name in cube["site"].to_numpy()],
            "lon": pack(cube["lon"].to_numpy(), "<f8"),
            "lat": pack(cube["lat"].to_numpy(), "<f8"),
            "message": {str(place): str(text) for place, text in enumerate(messages) if text},
        },
        "scenarios": [str(name) for name in cube["scenario"].to_numpy()],
        "prompts": _coded(cube["prompt"].transpose("scenario", "site").to_numpy()),
        "draws": [int(draw) for draw in cube["draw"].to_numpy()],
        "state": [pack(column, "<u1") for column in states],
        "variable": keys.index(variable),
        "variables": [one.as_json() for one in variables],
        "scene": {
            "names": {str(k): PLACES365[k] for k in sorted({int(k) for k in np.unique(scenes)}) if k >= 0},
            "class": [[pack(column, "<i2") for column in draws] for draws in scenes],
            "probability": [[pack(column, "<f4") for column in draws] for draws in chances],
        },
    }


def variables_of(cube: xr.Dataset, ready: np.ndarray, wanted: str) -> list[Variable]:
    """Take the variables that a map of this cube offers.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    ready : numpy.ndarray
        (scenario, site, draw) bool: which cells are done.
    wanted : str
        An element of this name is offered even where it covers little.

    Returns
    -------
    list of Variable
        The six perceptions, the urban indicators, the elements that cover most, and each PSS that is known.
    """
    common = common_draws(ready)
    scores = _mean(cube["perception"], common)
    shares = _mean(cube["element_share"], common)
    low, high = perception_range(cube)
    scale = f"{low:g}–{high:g}"
    found = [
        Variable(
            name, name.capitalize(), "Perception", f"{scale}, {direction(name)}", scores[..., k], (low, high)
        )
        for k, name in enumerate(PERCEPTIONS)
    ]
    words = "share of the picture, higher is more"
    for name, members in INDICATORS.items():
        total = shares[..., [ADE20K.index(member) for member in members]].sum(axis=-1)
        found.append(
            Variable(name, name.capitalize(), "Urban indicators", words, total, (0, 1), percent=True)
        )
    alone = {members[0] for members in INDICATORS.values() if len(members) == 1}
    cover = np.nan_to_num(shares).sum(axis=(0, 1))
    first = [ADE20K[k] for k in np.argsort(-cover, kind="stable") if cover[k] > 0 and ADE20K[k] not in alone]
    chosen = first[:ELEMENTS]
    if wanted in ADE20K and wanted not in chosen and wanted not in INDICATORS:
        chosen.append(wanted)
    for name in chosen:
        key = f"element:{name}" if name in INDICATORS else name
        column = shares[..., ADE20K.index(name)]
        found.append(Variable(key, name.capitalize(), "Single elements", words, column, (0, 1), percent=True))
    for name, (label, words) in _PSS.items():
        column = _mean(cube[name], common)
        if np.isfinite(column).any():
            reach = (0.0, high - low) if name == "pss_perception" else (0.0, 1.0)
            found.append(Variable(name, label, "Likeness to the photo (PSS)", words, column, reach))
    return found


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


def provenance(cube: xr.Dataset) -> dict[str, Any]:
    """Say where the figures come from.

    Parameters
    ----------
    cube : xarray.Dataset
        Its attributes are read.

    Returns
    -------
    dict
        ``stand_in`` (whether the model is one), ``evidence`` and ``facts``, short texts in order.
    """
    attrs = cube.attrs
    evidence = str(attrs.get("evidence", "")).strip()
    stand_in = evidence.lower().startswith("stand-in")
    if stand_in:
        evidence = re.sub(r"^stand-in(?!\s+model)", "stand-in model", evidence, flags=re.IGNORECASE)
    model, judges = str(attrs.get("model", "")), _judges(attrs.get("judges"))
    if model and model == judges:
        facts = [f"model and judges {model}"]
    else:
        facts = [f"{role} {name}" for role, name in (("model", model), ("judges", judges)) if name]
    facts += [f"seed {attrs['seed']}"] if attrs.get("seed") is not None else []
    sites, draws = cube.sizes["site"], cube.sizes["draw"]
    facts.append(f"{sites} site{'s' * (sites != 1)} × {draws} draw{'s' * (draws != 1)}")
    facts += [str(attrs["created_by"])] if attrs.get("created_by") else []
    return {"stand_in": stand_in, "evidence": evidence, "facts": facts}


def _judges(text: object) -> str:
    """Read the judges' names, each once, from the cube's JSON."""
    if not text:
        return ""
    try:
        names = json.loads(str(text))
    except ValueError:
        return str(text)
    if isinstance(names, dict):
        names = list(names.values())
    return ", ".join(dict.fromkeys(map(str, names))) if isinstance(names, list) else str(names)


def common_draws(ready: np.ndarray) -> np.ndarray:
    """Find the draws to average: done in every scenario of the site that has any, else the scenario's own.

    Parameters
    ----------
    ready : numpy.ndarray
        (scenario, site, draw) bool: which cells are done.

    Returns
    -------
    numpy.ndarray
        (scenario, site, draw) bool.
    """
    has = ready.any(axis=-1, keepdims=True)
    common = (ready | ~has).all(axis=0, keepdims=True) & ready
    return np.where(common.any(axis=-1, keepdims=True), common, ready)


def _mean(values: xr.DataArray, common: np.ndarray) -> np.ndarray:
    """Average over draws; (scenario, site, ...) float32, NaN where no draw counts."""
    array = values.transpose("scenario", "site", "draw", ...).to_numpy()
    mask = common.reshape(common.shape + (1,) * (array.ndim - common.ndim))
    total = np.where(mask, array, 0.0).sum(axis=2, dtype=float)
    count = mask.sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _coded(texts: np.ndarray) -> dict[str, Any]:
    """Write (scenario, site) texts as a list of different ones and, per scenario, their places in it."""
    known: dict[str, int] = {}
    codes = [[known.setdefault(str(text), len(known)) for text in row] for row in texts]
    return {"texts": list(known), "codes": [row[0] if len(set(row)) == 1 else row for row in codes]}
