"""The cube as columns: what the page draws from, as plain JSON.

A column is one variable of one scenario, a value per site, packed as `soundit_geo.maps.packing` says.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.classes import ADE20K
from soundit_geo.cube import DONE, FAILED
from soundit_geo.errors import CubeError
from soundit_geo.maps.averages import common_draws, mean_of, over_draws
from soundit_geo.maps.change import RATE, differs, half_widths, standard_error
from soundit_geo.maps.packing import pack, pack_degrees, pack_errors, pack_flags, pack_values
from soundit_geo.maps.provenance import provenance
from soundit_geo.maps.variables import (
    SCENE,
    elements_of,
    scene_name,
    scenes_of,
    variables_of,
)
from soundit_geo.scenarios.effects import YES_OR_NO

if TYPE_CHECKING:
    import xarray as xr

ALL_PAIRS: Final = 4
"""Up to so many scenarios, every pair of them is tested; of more, the pairs with scenario A or B."""


def columns_of(cube: xr.Dataset, variable: str, pair: tuple[int, int]) -> dict[str, Any]:
    """Write a cube as columns.

    Means are over the draws that are done in every scenario of the site that has any, so that the page's
    A − B is a difference paired over draws.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    variable : str
        The variable shown first: a perception, an urban indicator, an element, a PSS, or the scene.
    pair : tuple of int
        Places of the scenarios A and B.

    Returns
    -------
    dict
        Ready for `json.dumps`.

    Raises
    ------
    CubeError
        If the cube has no such variable to show.
    """
    status = cube["status"].to_numpy()
    ready = status == DONE
    variables = variables_of(cube, ready, variable)
    keys = [*(one.key for one in variables), SCENE]
    if variable not in keys:
        raise CubeError(f"The map has no variable {variable!r}. It has: {', '.join(keys)}.")
    counted = common_draws(ready)
    states = np.where(ready.any(axis=-1), DONE, np.where((status == FAILED).any(axis=-1), FAILED, 0))
    scenes, chances = scenes_of(cube, counted)
    elements, shares = elements_of(cube["element_share"].to_numpy(), counted)
    names = [str(name) for name in cube["scenario"].to_numpy()]
    return {
        "title": str(cube.attrs.get("title", "")) or "Soundscapes to landscapes",
        "provenance": provenance(cube),
        "seed": str(cube.attrs.get("seed", "")),
        "sites": {
            "name": [str(name) for name in cube["site"].to_numpy()],
            "lon": pack_degrees(cube["lon"].to_numpy()),
            "lat": pack_degrees(cube["lat"].to_numpy()),
            "message": {str(k): str(text) for k, text in enumerate(cube["message"].to_numpy()) if text},
        },
        "scenarios": names,
        "a": pair[0],
        "b": pair[1],
        "prompts": _coded(cube["prompt"].to_numpy().T),
        "draws": [int(draw) for draw in cube["draw"].to_numpy()],
        "state": [pack(column, "u1") for column in states.T],
        "counted": [pack(np.minimum(column, 255), "u1") for column in over_draws(counted).T],
        "half_widths": half_widths(min(cube.sizes["draw"], 255)),
        "rate": RATE,
        "variable": variable,
        "variables": _variables(variables, counted, _pairs(len(names), pair)),
        "scenes": {
            "names": {str(k): scene_name(k) for k in np.unique(scenes).tolist() if k >= 0},
            "id": [[pack(rank, "<i2") for rank in one.T] for one in scenes.swapaxes(0, 1)],
            "share": [[pack(np.rint(rank * 255), "u1") for rank in one.T] for one in chances.swapaxes(0, 1)],
        },
        "elements": {
            "names": {str(k): ADE20K[k] for k in np.unique(elements).tolist() if k >= 0},
            "id": [[pack(rank % 256, "u1") for rank in one.T] for one in elements.swapaxes(0, 1)],
            "share": [[pack(np.rint(rank * 255), "u1") for rank in one.T] for one in shares.swapaxes(0, 1)],
        },
    }


def _variables(
    variables: list[Any], counted: np.ndarray, pairs: list[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Write each variable: its words, values, errors, and what is known of the changes between scenarios."""
    written = []
    some = counted.shape[-1] > 1
    both = {(i, j): counted[:, i] & counted[:, j] for i, j in pairs}
    for one in variables:
        entry = one.as_json() | pack_values(mean_of(one.draws, counted).T)
        if some and one.uncertain:
            entry["errors"] = pack_errors(standard_error(one.draws, counted).T)
            entry["changes"] = {}
            for (i, j), mask in both.items():
                draws = one.draws[:, i] - one.draws[:, j]
                error = standard_error(draws, mask)
                sure = differs(mean_of(draws, mask), error, over_draws(mask), yes_or_no=one.key in YES_OR_NO)
                entry["changes"][f"{i}-{j}"] = {"sure": pack_flags(sure), **pack_errors(error[None])}
        written.append(entry)
    return written


def _pairs(scenarios: int, pair: tuple[int, int]) -> list[tuple[int, int]]:
    """Choose the pairs of scenarios whose change is tested."""
    every = combinations(range(scenarios), 2)
    return [one for one in every if scenarios <= ALL_PAIRS or set(one) & set(pair)]


def _coded(texts: np.ndarray) -> dict[str, Any]:
    """Write (scenario, site) texts as a list of different ones and, per scenario, their places in it."""
    known: dict[str, int] = {}
    codes = [[known.setdefault(str(text), len(known)) for text in row] for row in texts]
    return {"texts": list(known), "codes": [row[0] if len(set(row)) == 1 else row for row in codes]}
