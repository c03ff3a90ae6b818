"""The layer cube: every score of every landscape, by site, scenario and draw, in one `xarray.Dataset`.

Dimensions are ``site, scenario, draw, element, percept, rank``. Coordinates: names of sites and
scenarios, numbers of draws, names of the 150 ADE20K elements and the six perceptions, and at each site
``lon``, ``lat`` in degrees (EPSG:4326) with an xvec geometry index.

On disk a cube is a zarr folder. `save_cube` lays it down whole; `write_cells` fills cells of it in place,
the scores first and their `status` last, each chunk replaced in one rename: whatever moment a process dies
at, the cube opens, and a cell that says `DONE` holds its scores.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.classes import ADE20K, COMPARATIVES, PERCEPTIONS
from soundit_geo.errors import CRSError, CubeError, MissingFileError, ScenarioError, SitesError, StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    Paths = str | os.PathLike[str]

CRS: Final = "EPSG:4326"
"""Every cube's coordinate reference system: longitude and latitude in degrees on WGS 84."""

RANKS: Final = 5
"""How many scenes are kept, from the most probable down."""

PENDING: Final = 0
DONE: Final = 1
FAILED: Final = 2

# xarray lets no variable share its name with one of its dimensions: `perception` lies along `percept`.
DIMENSIONS: Final = ("site", "scenario", "draw", "element", "percept", "rank")

_CELL: Final = ("site", "scenario", "draw")
_TEXT: Final = np.dtype(object)
_PSS: Final = ("pss_element", "pss_scene_top1", "pss_scene_top5", "pss_perception")

# name -> (dimensions, dtype, value of a pending cell, attributes), in the order in which cells are written.
_VARIABLES: Final[Mapping[str, tuple[tuple[str, ...], np.dtype[Any], Any, Mapping[str, str]]]] = (
    MappingProxyType(
        {
            "element_share": (
                (*_CELL, "element"),
                np.dtype("f4"),
                np.nan,
                {"long_name": "share of the picture that the element covers", "units": "1"},
            ),
            "scene_class": (
                (*_CELL, "rank"),
                np.dtype("i2"),
                -1,
                {"long_name": "Places365 class id, most probable first; -1 = none"},
            ),
            "scene_probability": (
                (*_CELL, "rank"),
                np.dtype("f4"),
                np.nan,
                {"long_name": "probability of the scene", "units": "1"},
            ),
            "perception": (
                (*_CELL, "percept"),
                np.dtype("f4"),
                np.nan,
                {"long_name": "perception score; a higher score means more of what it names", "units": "1"},
            ),
            "pss_element": (
                _CELL,
                np.dtype("f4"),
                np.nan,
                {"long_name": "PSS of elements against the photo; higher is more alike", "units": "1"},
            ),
            "pss_scene_top1": (
                _CELL,
                np.dtype("f4"),
                np.nan,
                {"long_name": "PSS of the first scene against the photo; higher is more alike", "units": "1"},
            ),
            "pss_scene_top5": (
                _CELL,
                np.dtype("f4"),
                np.nan,
                {
                    "long_name": "PSS of the first five scenes against the photo; higher is more alike",
                    "units": "1",
                },
            ),
            "pss_perception": (
                _CELL,
                np.dtype("f4"),
                np.nan,
                {
                    "long_name": "distance of the perception scores from the photo's; lower is more alike",
                    "units": "1",
                },
            ),
            "picture": (_CELL, _TEXT, "", {"long_name": "picture, relative to the study folder"}),
            "prompt": (("site", "scenario"), _TEXT, "", {"long_name": "scene prompt; empty = sound alone"}),
            "audio": (("site",), _TEXT, "", {"long_name": "soundscape recording"}),
            "photo": (("site",), _TEXT, "", {"long_name": "real picture of the place; empty = none"}),
            "message": (
                ("site",),
                _TEXT,
                "",
                {"long_name": "why the site failed, or what else to know of it; empty = nothing"},
            ),
            "status": (
                _CELL,
                np.dtype("i1"),
                PENDING,
                {
                    "long_name": "state of the cell",
                    "flag_values": f"{PENDING}, {DONE}, {FAILED}",
                    "flag_meanings": "pending done failed",
                },
            ),
        }
    )
)


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
    folder: Paths | None = None,
) -> xr.Dataset:
    """Make a cube of pending cells.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        As `read_sites` gives: unique names as index, points with any CRS, column ``audio``, optionally
        ``photo``.
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
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {
        name: (dims, np.full([sizes[dim] for dim in dims], empty, dtype=dtype), dict(words))
        for name, (dims, dtype, empty, words) in _VARIABLES.items()
    }
    variables["prompt"][1][:] = texts
    for column in ("audio", "photo"):
        if column in sites:
            variables[column][1][:] = [_relative(path, folder) for path in sites[column]]
    for (i, j, k), _ in np.ndenumerate(variables["picture"][1]):
        variables["picture"][1][i, j, k] = picture_path(names[i], codes[j], k)

    cube = xr.Dataset(variables, attrs={"Conventions": "CF-1.11", **(attrs or {})})
    cube = cube.assign_coords(
        site=("site", np.array(names, dtype=object), {"long_name": "site", "cf_role": "timeseries_id"}),
        scenario=("scenario", np.array(codes, dtype=object), {"long_name": "scenario"}),
        draw=("draw", np.arange(draws), {"long_name": "draw"}),
        element=("element", np.array(ADE20K, dtype=object), {"long_name": "ADE20K element"}),
        percept=("percept", np.array(PERCEPTIONS, dtype=object), {"long_name": "what is perceived"}),
        lon=("site", lon, {"standard_name": "longitude", "units": "degrees_east"}),
        lat=("site", lat, {"standard_name": "latitude", "units": "degrees_north"}),
        geometry=("site", shapely.points(lon, lat)),
    )
    return _with_geometry_index(cube)


def save_cube(cube: xr.Dataset, path: Paths, *, sites_per_chunk: int | None = None) -> Path:
    """Lay a cube down as a zarr folder, whole or not at all.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    path : path
        The folder to write; one that is there is replaced.
    sites_per_chunk : int, optional
        Sites in one chunk: the block that `write_cells` will be given. By default a chunk holds about 1 MB.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    CubeError
        If the cube is not valid.
    StudyError
        If the folder cannot be written.
    """
    cube = validate(cube)
    path = Path(path)
    per_site = int(np.prod([cube.sizes[dim] for dim in ("scenario", "draw", "element")])) * 4
    block = sites_per_chunk or max(1, 2**20 // max(per_site, 1))
    flat = _without_geometry_index(cube)
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in flat.variables.items():
        encoding[str(name)] = {"chunks": tuple(max(1, size) for size in variable.shape)}
        if name in _VARIABLES:
            sizes = (
                min(block, n) if dim == "site" else n
                for dim, n in zip(variable.dims, variable.shape, strict=True)
            )
            encoding[str(name)]["chunks"] = tuple(max(1, size) for size in sizes)
        if variable.dtype.kind == "f":
            encoding[str(name)]["_FillValue"] = np.float32("nan") if variable.dtype.itemsize == 4 else np.nan
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flat.to_zarr(draft, mode="w", zarr_format=3, consolidated=False, encoding=encoding)
        if path.exists():
            old = draft.with_suffix(".old")
            path.replace(old)
            draft.replace(path)
            shutil.rmtree(old)
        else:
            draft.replace(path)
    except OSError as error:
        raise StudyError(
            f"The cube cannot be written to {path}: {error}. Choose a folder you may write to."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def open_cube(path: Paths) -> xr.Dataset:
    """Read a cube into memory, with its geometry index.

    Parameters
    ----------
    path : path
        A folder that `save_cube` wrote, or a study folder that holds ``cube.zarr``.

    Returns
    -------
    xarray.Dataset
        Equal to what was saved, cells that `write_cells` filled since included; ``encoding["source"]`` says
        where it lies.

    Raises
    ------
    MissingFileError
        If nothing is there.
    CubeError
        If what is there is not a cube.
    """
    import xarray as xr

    path = Path(path)
    if (path / "cube.zarr").is_dir():
        path = path / "cube.zarr"
    if not path.exists():
        raise MissingFileError(f"There is no cube at {path}. `soundit-geo run` or save_cube writes one.")
    try:
        with xr.open_zarr(path, consolidated=False, chunks=None) as stored:
            status = stored["status"].load()  # first: scores may be newer than their status, never older
            flat = stored.load().assign(status=status)
    except (KeyError, ValueError, OSError) as error:
        raise CubeError(
            f"{path} is not a cube ({error}). Expected a zarr folder written by save_cube."
        ) from error
    flat.encoding = {"source": str(path)}
    for name, variable in flat.variables.items():
        variable.encoding.clear()
        if variable.dtype.kind in "TUO":
            flat[name] = (variable.dims, np.asarray(variable.values, dtype=object), variable.attrs)
    return validate(_restore_geometry_index(flat))


def write_cells(path: Paths, block: xr.Dataset) -> None:
    """Write some cells of a cube on disk: the scores first, `status` last.

    Every chunk is replaced in one rename, so that a kill leaves each chunk as it was or as it shall be. One
    process writes at a time, or several on different chunks (`sites_per_chunk` of `save_cube`).

    Parameters
    ----------
    path : path
        A folder that `save_cube` wrote.
    block : xarray.Dataset
        Any of the cube's variables for some of its sites, scenarios and draws (all scenarios and draws where
        it has no such coordinate), found by name.

    Raises
    ------
    MissingFileError
        If there is no cube at `path`.
    CubeError
        If the block names a site, scenario, draw or variable that the cube has not, or has another shape.
    """
    import zarr

    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"There is no cube at {path}. Lay one down with save_cube first.")
    strangers = sorted(set(map(str, block.data_vars)) - set(_VARIABLES))
    if strangers:
        raise CubeError(f"The block holds {strangers}; a cube's variables are {', '.join(_VARIABLES)}.")
    store = zarr.open_group(path, mode="r+", use_consolidated=False)
    places = {dim: _places(store, block, dim) for dim in _CELL if dim in block.coords}
    for name, (dims, dtype, _, _) in _VARIABLES.items():
        if name not in block:
            continue
        values = block[name].transpose(*dims).to_numpy().astype(dtype)
        array: Any = store[name]
        index = tuple(places.get(dim, np.arange(size)) for dim, size in zip(dims, array.shape, strict=True))
        expected = tuple(map(len, index))
        if values.shape != expected:
            raise CubeError(f"The block's {name} is of shape {values.shape}; these cells take {expected}.")
        array.set_orthogonal_selection(index, values)


def validate(cube: xr.Dataset) -> xr.Dataset:
    """Check that a dataset is a cube.

    Parameters
    ----------
    cube : xarray.Dataset
        What should be one.

    Returns
    -------
    xarray.Dataset
        The same dataset.

    Raises
    ------
    CubeError
        At the first dimension, variable, name or value that a cube cannot have.
    """
    _check_layout(cube)
    _check_coordinates(cube)
    status = cube["status"].to_numpy()
    if not np.isin(status, (PENDING, DONE, FAILED)).all():
        raise CubeError(f"status holds {np.unique(status).tolist()}; expected {PENDING}, {DONE} or {FAILED}.")
    empty = (status == DONE) & ~np.isfinite(cube["perception"].to_numpy()).all(axis=-1)
    if empty.any():
        raise CubeError(
            f"{int(empty.sum())} cells say they are done but hold no perception. Draw them again."
        )
    return cube


def done(cube: xr.Dataset) -> xr.DataArray:
    """Which cells hold scores.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.

    Returns
    -------
    xarray.DataArray
        Boolean, (site, scenario, draw).
    """
    return cube["status"] == DONE


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

    unknown = [name for name in elements if name not in ADE20K]
    if unknown:
        raise CubeError(f"ADE20K knows no element {unknown}; see soundit_geo.classes.ADE20K.")
    if scenario is None:
        names = list(cube["scenario"].to_numpy())
        tables = [to_geodataframe(cube, name, elements=elements) for name in names]
        whole = pd.concat(tables, keys=names, names=["scenario"]).swaplevel()
        return gpd.GeoDataFrame(whole, geometry="geometry", crs=CRS)
    layer = cube.sel(scenario=check_scenario(cube, scenario)).reset_coords(drop=True)
    valid = layer["status"] == DONE
    columns: dict[str, Any] = {"prompt": layer["prompt"].to_numpy(), "draws": valid.sum("draw").to_numpy()}
    means = layer[["perception", "element_share", *_PSS]].where(valid).mean("draw")
    columns |= {name: means["perception"].sel(percept=name).to_numpy() for name in PERCEPTIONS}
    columns |= {name: means[name].to_numpy() for name in _PSS}
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
        scores = table.loc[fine, [*PERCEPTIONS, *_PSS]].mean()
        failed = (cube["status"].sel(scenario=name) == FAILED).all("draw").sum()
        rows[name] = {"sites": int(fine.sum()), "failed": int(failed), **scores.to_dict()}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis("scenario").dropna(axis="columns", how="all")


def check_scenario(cube: xr.Dataset, name: str) -> str:
    """Check that a cube has a scenario.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    name : str
        A scenario's name.

    Returns
    -------
    str
        The name.

    Raises
    ------
    ScenarioError
        If the cube has none of that name.
    """
    names = [str(known) for known in cube["scenario"].to_numpy()]
    if name not in names:
        raise ScenarioError(f"The cube has no scenario {name!r}. It has: {', '.join(map(repr, names))}.")
    return name


def direction(perception: str) -> str:
    """Say what a higher score means.

    Parameters
    ----------
    perception : str
        One of the six.

    Returns
    -------
    str
        For example ``"higher is safer"``.
    """
    return f"higher is {COMPARATIVES[perception]}"


def _check_layout(cube: xr.Dataset) -> None:
    """Check dimensions, variables and types."""
    missing = [dim for dim in DIMENSIONS if dim not in cube.dims]
    if missing:
        raise CubeError(f"The cube lacks the dimensions {missing}; it has {list(map(str, cube.dims))}.")
    missing = [name for name in (*_VARIABLES, "lon", "lat", "geometry") if name not in cube.variables]
    if missing:
        raise CubeError(f"The cube lacks {missing}. new_cube makes one with every variable.")
    for name, (dims, dtype, _, _) in _VARIABLES.items():
        found = cube[name]
        if tuple(found.dims) != dims:
            raise CubeError(f"{name} lies along {found.dims}; expected {dims}. Use transpose{dims}.")
        if found.dtype != dtype:
            kind = "text" if dtype == _TEXT else dtype
            raise CubeError(f"{name} is of type {found.dtype}; expected {kind}. Use astype.")


def _check_coordinates(cube: xr.Dataset) -> None:
    """Check names and places."""
    for dim, names in (("element", ADE20K), ("percept", PERCEPTIONS)):
        if dim not in cube.coords or tuple(cube[dim].to_numpy()) != names:
            raise CubeError(
                f"The {dim} coordinate is not the {len(names)} names of classes.py in their order."
            )
    for dim in _CELL:
        names = tuple(cube[dim].to_numpy()) if dim in cube.coords else ()
        if len(set(names)) != cube.sizes[dim] or cube.sizes[dim] == 0:
            raise CubeError(
                f"The cube has {cube.sizes[dim]} {dim}s named {names[:5]}; expected unique names."
            )
    if "geometry" not in cube.xindexes or getattr(cube.xindexes["geometry"], "crs", None) != CRS:
        raise CubeError(
            f"The geometry coordinate carries no xvec index in {CRS}; expected one. See new_cube."
        )
    for name, limit in (("lon", 180.0), ("lat", 90.0)):
        degrees = cube[name].to_numpy()
        if not (np.abs(degrees) <= limit).all():
            raise CubeError(
                f"{name} lies between {degrees.min()} and {degrees.max()}; expected ±{limit} degrees."
            )


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


def _relative(path: object, folder: Paths | None) -> str:
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


def _places(store: Any, block: xr.Dataset, dim: str) -> np.ndarray:
    """Positions, in the store, of the names that a block carries along a dimension."""
    known = {name: place for place, name in enumerate(np.asarray(store[dim][:]).tolist())}
    names = np.atleast_1d(block[dim].to_numpy()).tolist()
    strangers = [name for name in names if name not in known]
    if strangers or dim not in block.dims:
        raise CubeError(
            f"The cube has no {dim} {strangers[:5]}; give the block the cube's own {dim} coordinate."
        )
    return np.array([known[name] for name in names])


def _with_geometry_index(cube: xr.Dataset) -> xr.Dataset:
    import xvec

    return cube.set_xindex("geometry", xvec.GeometryIndex, crs=CRS)


def _without_geometry_index(cube: xr.Dataset) -> xr.Dataset:
    """Flatten to plain arrays: the points are lon and lat, the CRS a CF grid mapping."""
    import pyproj

    words = {**pyproj.CRS(CRS).to_cf(), "long_name": CRS}
    return cube.drop_vars("geometry").assign_coords(spatial_ref=((), np.int32(0), words))


def _restore_geometry_index(flat: xr.Dataset) -> xr.Dataset:
    import shapely

    points = shapely.points(flat["lon"].to_numpy(), flat["lat"].to_numpy())
    flat = flat.drop_vars("spatial_ref", errors="ignore")
    return _with_geometry_index(flat.assign_coords(geometry=("site", points)))
