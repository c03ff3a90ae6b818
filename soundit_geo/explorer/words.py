"""What the panel shows, as plain data: text stays text, pictures are data URIs."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.classes import PERCEPTIONS
from soundit_geo.cube import direction
from soundit_geo.explorer.landscape import changes
from soundit_geo.maps.averages import mean_of
from soundit_geo.maps.provenance import provenance
from soundit_geo.maps.variables import perception_range

if TYPE_CHECKING:
    import xarray as xr

    from soundit_geo.explorer.landscape import Landscape


def side_by_side(old: Landscape, new: Landscape | None) -> dict[str, Any]:
    """Write two landscapes of a site and the change from one to the other.

    Parameters
    ----------
    old : Landscape
        In a scenario of the study.
    new : Landscape, optional
        Under the prompt that is tried.

    Returns
    -------
    dict
        Ready for `json.dumps`.
    """
    said = provenance(old.cube)
    low, high = old.scale
    told = changes(new, old) if new is not None else [None] * len(PERCEPTIONS)
    return {
        "site": old.site,
        "old": _landscape(old),
        "new": None if new is None else _landscape(new),
        "scores": [
            {
                "name": name,
                "label": name.capitalize(),
                "direction": direction(name),
                "old": old.scores[name],
                "new": None if new is None else new.scores[name],
                "change": None if change is None else change.mean,
                "words": "" if change is None else change.words,
            }
            for name, change in zip(PERCEPTIONS, told, strict=True)
        ],
        "scale": [low, high],
        "unit": f"points of {low:g}–{high:g}; ± is the standard error over {len(old.pictures)} draws"
        if len(old.pictures) > 1
        else f"points of {low:g}–{high:g}; one draw",
        "evidence": said["evidence"] if said["stand_in"] else "",
        "facts": [fact for fact in said["facts"] if " site" not in fact],
    }


def dots(cube: xr.Dataset | None, scenario: str) -> dict[str, Any]:
    """Write the mean scores of all sites in a scenario.

    Parameters
    ----------
    cube : xarray.Dataset, optional
        The study's.
    scenario : str
        A name; one that the cube lacks has no scores.

    Returns
    -------
    dict
        ``values`` (perception, site), None where nothing is done, and ``scale``; ready for `json.dumps`.
    """
    if cube is None or scenario not in cube["scenario"].to_numpy():
        return {"scenario": scenario, "values": [], "scale": [0, 1]}
    chosen = cube.sel(scenario=scenario)
    scores = chosen["perception"].transpose("percept", "site", "draw").to_numpy()
    means = mean_of(scores, np.isfinite(scores))
    values = [[None if np.isnan(one) else round(one, 3) for one in row] for row in means.tolist()]
    return {"scenario": scenario, "values": values, "scale": list(perception_range(cube))}


def _landscape(one: Landscape) -> dict[str, Any]:
    scene, chance = one.scene
    return {
        "prompt": one.prompt,
        "pictures": [f"data:image/png;base64,{b64encode(png).decode()}" for png in one.pictures],
        "elements": [f"{name} {share:.0%}" for name, share in one.elements],
        "scene": f"{scene} ({chance:.0%})" if scene else "",
        "foreign": f"{one.foreign} of {len(one.pictures)} pictures lie outside the judges' world"
        if one.foreign
        else "",
    }
