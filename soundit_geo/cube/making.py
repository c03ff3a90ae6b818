"""A new cube from sites and scenarios, every cell pending."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.classes import ADE20K, PERCEPTIONS
from soundit_geo.cube.columns import columns_of_sites
from soundit_geo.cube.layout import with_geometry_index
from soundit_geo.cube.schema import CRS, RANKS, VARIABLES, describe
from soundit_geo.errors import CRSError, CubeError, ScenarioError, SitesError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import geopandas as gpd
    import pandas as pd
    import xarray as xr


def picture_path(site: str, scenario: str, draw: int) -> str:
    """Where a landscape lies in its study folder.

    Parameters
    ----------
    site, scenario : str
        Any names; what a file system would not take is replaced, and a short hash keeps such names apart.
    draw : int
        The draw, from 0.

    Returns
    -------
    str
        ``pictures/SITE/SCENARIO_DRAW.png`` with forward slashes.
    """
    return f"pictures/{_slug(site)}/{_slug(scenario)}_{draw:02d}.png"


def new_cube(
    sites: gpd.GeoDataFrame,
    scenarios: Sequence[str],
    draws: int,
    prompts: pd.DataFrame | None = None,
    attrs: Mapping[str, Any] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """Make a cube of pending cells.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        As `read_sites` gives: unique names as index, points with any CRS, column ``audio``, optionally
        ``photo``. Other plain columns become coordinates, see `soundit_geo.cube.columns.columns_of_sites`.
    scenarios : sequence of str
        Names, in order, unique.
    draws : int
        How many landscapes are drawn for each site and scenario, from 1.
    prompts : pandas.DataFrame, optional
        Scene prompts, sites as rows and scenarios as columns; empty = the sound alone, everywhere by default.
    attrs : mapping, optional
        What the cube says of itself: title, model, judges, seed, evidence, ...; text and numbers only.
    folder : path, optional
        The study folder: recordings and photos within it are noted relative to it, others by absolute path.

    Returns
    -------
    xarray.Dataset
        All scores NaN, all `status` pending, pictures named by `picture_path`.

    Raises
    ------
    CRSError
        If the sites carry no CRS.
    SitesError
        If names are not unique or a geometry is not a point.
    ScenarioError
        If there is no scenario, or two of one name.
    CubeError
        If `draws` is below 1, or `prompts` lacks a site or scenario.
    """
    import shapely
    import xarray as xr

    names, codes = _names_of(sites), list(scenarios)
    if not codes or len(set(codes)) < len(codes):
        raise ScenarioError(
            f"The scenarios are {codes}; a cube needs at least one, each with a name of its own."
        )
    if draws < 1:
        raise CubeError(f"draws is {draws}; a cube needs at least 1.")
    texts = np.full((len(names), len(codes)), "", dtype=object)
    if prompts is not None:
        missing = [*(set(names) - set(prompts.index)), *(set(codes) - set(prompts.columns))]
        if missing:
            raise CubeError(
                f"prompts lack a row or column for {missing[:5]}; give one for each site and scenario."
            )
        texts[:] = prompts.loc[names, codes].fillna("").astype(str).to_numpy(dtype=object)

    degrees = sites.geometry.to_crs(CRS)
    lon, lat = degrees.x.to_numpy(dtype=float), degrees.y.to_numpy(dtype=float)
    sizes = {"site": len(names), "scenario": len(codes), "draw": draws}
    sizes |= {"element": len(ADE20K), "percept": len(PERCEPTIONS), "rank": RANKS}
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        name: (dims, np.full([sizes[dim] for dim in dims], empty, dtype=dtype))
        for name, (dims, dtype, empty, _) in VARIABLES.items()
    }
    variables["prompt"][1][:] = texts
    for column in ("audio", "photo"):
        if column in sites:
            variables[column][1][:] = [_relative(path, folder) for path in sites[column]]
    for (i, j, k), _ in np.ndenumerate(variables["picture"][1]):
        variables["picture"][1][i, j, k] = picture_path(names[i], codes[j], k)

    cube = xr.Dataset(variables, attrs={"Conventions": "CF-1.11", **(attrs or {})})
    cube = cube.assign_coords(
        site=np.array(names, dtype=object),
        scenario=np.array(codes, dtype=object),
        draw=np.arange(draws),
        element=np.array(ADE20K, dtype=object),
        percept=np.array(PERCEPTIONS, dtype=object),
        lon=("site", lon),
        lat=("site", lat),
        geometry=("site", shapely.points(lon, lat)),
    ).assign_coords(columns_of_sites(sites))
    return describe(with_geometry_index(cube))


def _names_of(sites: gpd.GeoDataFrame) -> list[str]:
    """Check what a cube needs of sites, and give their names."""
    if sites.crs is None:
        raise CRSError(
            f"{len(sites)} sites carry no CRS. If they are longitude/latitude, use sites.set_crs('{CRS}')."
        )
    names = [str(name) for name in sites.index]
    if not names or len(set(names)) < len(names):
        raise SitesError(
            f"{len(names)} sites have {len(set(names))} different names; expected one name for each."
        )
    kinds = set(sites.geometry.geom_type)
    if kinds != {"Point"} or sites.geometry.is_empty.any():
        raise SitesError(f"The sites' geometries are {sorted(map(str, kinds))}; expected a point for each.")
    return names


def _relative(path: object, folder: str | os.PathLike[str] | None) -> str:
    """Note a path as the cube does: relative to the study folder where it lies within."""
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        return ""
    whole = Path(path).absolute()
    if folder is not None:
        home = Path(folder).absolute()
        if whole.is_relative_to(home):
            return whole.relative_to(home).as_posix()
    return str(whole)


def _slug(name: str) -> str:
    """Turn a name into one that every file system takes; a hash keeps changed names apart."""
    if re.fullmatch(r"[A-Za-z0-9_ -]{1,48}", name) and not name.startswith((" ", "-")) and name[-1] != " ":
        return name.replace(" ", "+")
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:48]
    return (
        f"{plain or 'x'}-{hashlib.blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
    )
