"""What a cube is: its dimensions, variables, types and names, and the check that a dataset is one."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.classes import ADE20K, COMPARATIVES, PERCEPTIONS, PLACES365
from soundit_geo.errors import CubeError, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

CRS: Final = "EPSG:4326"
"""Every cube's coordinate reference system: longitude and latitude in degrees on WGS 84."""

RANKS: Final = 5
"""How many scenes are kept, from the most probable down."""

PENDING: Final = 0
DONE: Final = 1
FAILED: Final = 2

# xarray lets no variable share its name with one of its dimensions: `perception` lies along `percept`.
DIMENSIONS: Final = ("site", "scenario", "draw", "element", "percept", "rank")

CELL: Final = ("site", "scenario", "draw")
TEXT: Final = np.dtype(object)
PSS: Final = ("pss_element", "pss_scene_top1", "pss_scene_top5", "pss_perception")

# name -> (dimensions, dtype, value of a pending cell, attributes), in the order in which cells are written.
VARIABLES: Final[Mapping[str, tuple[tuple[str, ...], np.dtype[Any], Any, Mapping[str, Any]]]] = (
    MappingProxyType(
        {
            "element_share": (
                (*CELL, "element"),
                np.dtype("f4"),
                np.nan,
                {"long_name": "share of the picture that the element covers", "units": "1"},
            ),
            "scene_class": (
                (*CELL, "rank"),
                np.dtype("i2"),
                -1,
                {
                    "long_name": "Places365 class id, most probable first; -1 = none",
                    "flag_values": np.arange(-1, len(PLACES365), dtype="i2"),
                    "flag_meanings": " ".join(["none", *(name.replace("/", ".") for name in PLACES365)]),
                },
            ),
            "scene_probability": (
                (*CELL, "rank"),
                np.dtype("f4"),
                np.nan,
                {"long_name": "probability of the scene", "units": "1"},
            ),
            "perception": (
                (*CELL, "percept"),
                np.dtype("f4"),
                np.nan,
                {"long_name": "perception score; a higher score means more of what it names", "units": "1"},
            ),
            "pss_element": (
                CELL,
                np.dtype("f4"),
                np.nan,
                {"long_name": "PSS of elements against the photo; higher is more alike", "units": "1"},
            ),
            "pss_scene_top1": (
                CELL,
                np.dtype("f4"),
                np.nan,
                {"long_name": "PSS of the first scene against the photo; higher is more alike", "units": "1"},
            ),
            "pss_scene_top5": (
                CELL,
                np.dtype("f4"),
                np.nan,
                {
                    "long_name": "PSS of the first five scenes against the photo; higher is more alike",
                    "units": "1",
                },
            ),
            "pss_perception": (
                CELL,
                np.dtype("f4"),
                np.nan,
                {
                    "long_name": "distance of the perception scores from the photo's; lower is more alike",
                    "units": "1",
                },
            ),
            "picture": (CELL, TEXT, "", {"long_name": "picture, relative to the study folder"}),
            "prompt": (("site", "scenario"), TEXT, "", {"long_name": "scene prompt; empty = sound alone"}),
            "audio": (("site",), TEXT, "", {"long_name": "soundscape recording"}),
            "photo": (("site",), TEXT, "", {"long_name": "real picture of the place; empty = none"}),
            "message": (
                ("site",),
                TEXT,
                "",
                {"long_name": "why the site failed, or what else to know of it; empty = nothing"},
            ),
            "status": (
                CELL,
                np.dtype("i1"),
                PENDING,
                {
                    "long_name": "state of the cell",
                    "flag_values": np.array([PENDING, DONE, FAILED], dtype="i1"),
                    "flag_meanings": "pending done failed",
                },
            ),
        }
    )
)

COORDINATES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "site": {"long_name": "site", "cf_role": "timeseries_id"},
        "scenario": {"long_name": "scenario"},
        "draw": {"long_name": "draw"},
        "element": {"long_name": "ADE20K element"},
        "percept": {"long_name": "what is perceived"},
        "lon": {"long_name": "longitude", "standard_name": "longitude", "units": "degrees_east"},
        "lat": {"long_name": "latitude", "standard_name": "latitude", "units": "degrees_north"},
    }
)

_WORDS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {**COORDINATES, **{name: words for name, (_, _, _, words) in VARIABLES.items()}}
)


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
    _check_units(cube)
    status = cube["status"].to_numpy()
    if not np.isin(status, (PENDING, DONE, FAILED)).all():
        raise CubeError(f"status holds {np.unique(status).tolist()}; expected {PENDING}, {DONE} or {FAILED}.")
    empty = (status == DONE) & ~np.isfinite(cube["perception"].to_numpy()).all(axis=-1)
    if empty.any():
        raise CubeError(
            f"{int(empty.sum())} cells say they are done but hold no perception. Draw them again."
        )
    return cube


def describe(cube: xr.Dataset) -> xr.Dataset:
    """Give each variable those attributes of the schema that it lacks.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube, of which computing may have dropped attributes.

    Returns
    -------
    xarray.Dataset
        The same values; attributes that were there stay as they are.
    """
    described = cube.copy()
    for name, words in _WORDS.items():
        described[name].attrs = {**words, **described[name].attrs}
    return described


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
    missing = [name for name in (*VARIABLES, "lon", "lat", "geometry") if name not in cube.variables]
    if missing:
        raise CubeError(f"The cube lacks {missing}. new_cube makes one with every variable.")
    for name, (dims, dtype, _, _) in VARIABLES.items():
        found = cube[name]
        if tuple(found.dims) != dims:
            raise CubeError(f"{name} lies along {found.dims}; expected {dims}. Use transpose{dims}.")
        if found.dtype != dtype:
            kind = "text" if dtype == TEXT else dtype
            raise CubeError(f"{name} is of type {found.dtype}; expected {kind}. Use astype.")


def _check_units(cube: xr.Dataset) -> None:
    """Refuse units that contradict the schema; none is fine, since computing drops them."""
    for name, words in _WORDS.items():
        expected = words.get("units")
        units = cube[name].attrs.get("units", expected)
        if units != expected:
            raise CubeError(
                f"{name} is in {units!r}; expected {expected!r}. Convert it, or drop the attribute."
            )


def _check_coordinates(cube: xr.Dataset) -> None:
    """Check names and places."""
    for dim, names in (("element", ADE20K), ("percept", PERCEPTIONS)):
        if dim not in cube.coords or tuple(cube[dim].to_numpy()) != names:
            raise CubeError(
                f"The {dim} coordinate is not the {len(names)} names of classes.py in their order."
            )
    for dim in CELL:
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
