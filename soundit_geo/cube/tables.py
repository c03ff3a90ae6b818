"""A cube as tables: a row for each site, and a row for each scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundit_geo.classes import ADE20K, PERCEPTIONS
from soundit_geo.cube.schema import CRS, DONE, FAILED, PSS, check_scenario
from soundit_geo.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import pandas as pd
    import xarray as xr


def to_geodataframe(
    cube: xr.Dataset, scenario: str | None = None, *, elements: Sequence[str] = ()
) -> gpd.GeoDataFrame:
    """One wide table of a scenario: a row per site, means over the draws that are done.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    scenario : str, optional
        Its name; without one, all scenarios, a row per site and scenario.
    elements : sequence of str
        ADE20K elements whose shares are wanted too, as columns ``share_NAME``.

    Returns
    -------
    geopandas.GeoDataFrame
        Index ``site`` (and ``scenario``); columns geometry (EPSG:4326), prompt, draws (how many are done),
        the six perceptions, the PSS, ``scene`` (id of the first scene of the first draw, -1 = none), shares,
        message.

    Raises
    ------
    ScenarioError
        If the cube has no such scenario.
    CubeError
        If an element is unknown.
    """
    import geopandas as gpd
    import pandas as pd

    check_elements(elements)
    if scenario is None:
        names = list(cube["scenario"].to_numpy())
        tables = [to_geodataframe(cube, name, elements=elements) for name in names]
        whole = pd.concat(tables, keys=names, names=["scenario"]).swaplevel()
        return gpd.GeoDataFrame(whole, geometry="geometry", crs=CRS)
    layer = cube.sel(scenario=check_scenario(cube, scenario)).reset_coords(drop=True)
    valid = layer["status"] == DONE
    columns: dict[str, Any] = {"prompt": layer["prompt"].to_numpy(), "draws": valid.sum("draw").to_numpy()}
    means = layer[["perception", "element_share", *PSS]].where(valid).mean("draw")
    columns |= {name: means["perception"].sel(percept=name).to_numpy() for name in PERCEPTIONS}
    columns |= {name: means[name].to_numpy() for name in PSS}
    columns["scene"] = layer["scene_class"].isel(draw=0, rank=0).to_numpy()
    columns |= {f"share_{name}": means["element_share"].sel(element=name).to_numpy() for name in elements}
    columns["message"] = layer["message"].to_numpy()
    index = pd.Index(cube["site"].to_numpy(), name="site")
    points = gpd.points_from_xy(cube["lon"].to_numpy(), cube["lat"].to_numpy(), crs=CRS)
    return gpd.GeoDataFrame(columns, index=index, geometry=points)


def summary(cube: xr.Dataset) -> pd.DataFrame:
    """How each scenario fares over all sites.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.

    Returns
    -------
    pandas.DataFrame
        Index ``scenario``; columns sites (with at least one draw done), failed (sites of which every draw
        failed), the six perceptions (mean over sites of their mean over draws) and the PSS where there are
        photos.
    """
    import pandas as pd

    rows = {}
    for name in cube["scenario"].to_numpy():
        table = to_geodataframe(cube, name)
        fine = table["draws"] > 0
        scores = table.loc[fine, [*PERCEPTIONS, *PSS]].mean()
        failed = (cube["status"].sel(scenario=name) == FAILED).all("draw").sum()
        rows[name] = {"sites": int(fine.sum()), "failed": int(failed), **scores.to_dict()}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis("scenario").dropna(axis="columns", how="all")


def check_elements(elements: Sequence[str]) -> None:
    """Check that ADE20K knows some elements.

    Parameters
    ----------
    elements : sequence of str
        Names.

    Raises
    ------
    CubeError
        If it does not, or one is named twice.
    """
    unknown = [name for name in elements if name not in ADE20K]
    if unknown:
        raise CubeError(f"ADE20K knows no element {unknown}; see soundit_geo.classes.ADE20K.")
    if len(set(elements)) < len(elements):
        raise CubeError(f"The elements asked for are {list(elements)}; expected each once.")
