"""A cube with one scenario more, whose cells are pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.cube.layout import check_text, with_geometry_index
from soundit_geo.cube.making import picture_path
from soundit_geo.cube.schema import VARIABLES, describe, validate
from soundit_geo.errors import CubeError, ScenarioError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def with_scenario(cube: xr.Dataset, name: str, prompts: pd.Series) -> xr.Dataset:
    """Add a scenario to a cube.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    name : str
        Of the new scenario.
    prompts : pandas.Series
        The scene prompt of each site, by its name; empty = the sound alone.

    Returns
    -------
    xarray.Dataset
        A new cube: what `cube` holds, layers and columns of its sites among it, and the new scenario last, every
        cell of it pending as `new_cube` makes them.

    Raises
    ------
    ScenarioError
        If the cube has a scenario of that name.
    CubeError
        If a site has no prompt, a text cannot be stored, or a variable beyond the schema lies along ``scenario``.
    """
    import xarray as xr

    sites = [str(site) for site in cube["site"].to_numpy()]
    if name in cube["scenario"].to_numpy():
        raise ScenarioError(f"The cube has a scenario {name!r}. Choose another name.")
    missing = [site for site in sites if site not in prompts.index]
    if missing:
        raise CubeError(f"prompts lack {missing[:5]}; give one for each site.")
    grown: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, object]]] = {}
    for key, (dims, dtype, empty, _) in VARIABLES.items():
        values = cube[key].to_numpy()
        if "scenario" in dims:
            shape = list(values.shape)
            shape[dims.index("scenario")] = 1
            values = np.concatenate(
                [values, np.full(shape, empty, dtype=dtype)], axis=dims.index("scenario"), dtype=dtype
            )
        grown[key] = (dims, values, dict(cube[key].attrs))
    grown["prompt"][1][:, -1] = prompts.loc[sites].fillna("").astype(str).to_numpy(dtype=object)
    for i, site in enumerate(sites):
        for k, draw in enumerate(cube["draw"].to_numpy()):
            grown["picture"][1][i, -1, k] = picture_path(site, name, int(draw))
    names = np.array([*cube["scenario"].to_numpy(), name], dtype=object)
    beyond = {key: one.variable for key, one in cube.data_vars.items() if key not in VARIABLES}
    kept = {key: one.variable for key, one in cube.coords.items() if key not in ("scenario", "geometry")}
    for key, one in (beyond | kept).items():
        if "scenario" in one.dims:
            raise CubeError(f"{key} lies along scenario and is no part of the schema. Drop it first.")
    larger = xr.Dataset({**grown, **beyond}, attrs=dict(cube.attrs)).assign_coords(
        kept | {"scenario": names, "geometry": ("site", cube["geometry"].to_numpy())}
    )
    larger = validate(describe(with_geometry_index(larger)))
    check_text(larger)
    return larger
