"""Surfaces beneath the sites: a variable between them, as a grid in degrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.cube import CRS
from soundit_geo.errors import CRSError, InputError
from soundit_geo.maps.packing import pack_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    import xarray as xr

    Surface: TypeAlias = xr.DataArray | xr.Dataset

_AXES = {"lon": ("lon", "longitude", "x"), "lat": ("lat", "latitude", "y")}


def surfaces_of(
    surfaces: Mapping[str, Surface | Sequence[Surface]], variables: Sequence[str], scenarios: Sequence[str]
) -> dict[str, Any]:
    """Write surfaces for the page.

    Parameters
    ----------
    surfaces : mapping
        Name of a variable to its surface, as `soundit_geo.spatial.surface` makes it, or to one for each of
        several scenarios on the same grid. Also any array of values in the variable's units along lat and lon
        in degrees (or y and x in the CRS of a coordinate ``spatial_ref``), evenly spaced, with a dimension or
        coordinate ``scenario``; without it the first scenario is meant. NaN is left empty.
    variables, scenarios : sequence of str
        What the map shows.

    Returns
    -------
    dict
        By variable: ``west``, ``east``, ``south``, ``north`` (outer edges, degrees), ``rows`` from north to
        south, ``columns``, ``scenarios`` (their places), and packed values.

    Raises
    ------
    InputError
        If a name is no variable or scenario of the map, or an array is no evenly spaced grid.
    CRSError
        If a grid along y and x carries no CRS.
    """
    written = {}
    for name, surface in surfaces.items():
        if name not in variables:
            raise InputError(
                f"There is a surface of {name!r}; the map's variables are {', '.join(variables)}."
            )
        grid = _upright(name, surface)
        labels = [str(one) for one in np.atleast_1d(grid["scenario"].to_numpy())]
        unknown = [one for one in labels if one not in scenarios]
        if unknown and labels != [""]:
            raise InputError(f"The surface of {name!r} is of {unknown}; the map's scenarios are {scenarios}.")
        lon, lat = grid["lon"].to_numpy(), grid["lat"].to_numpy()
        edge = [abs(float(axis[-1] - axis[0])) / (len(axis) - 1) / 2 for axis in (lon, lat)]
        written[name] = {
            "west": float(lon.min()) - edge[0],
            "east": float(lon.max()) + edge[0],
            "south": float(lat.min()) - edge[1],
            "north": float(lat.max()) + edge[1],
            "rows": len(lat),
            "columns": len(lon),
            "scenarios": [0] if labels == [""] else [scenarios.index(one) for one in labels],
            **pack_values(grid.to_numpy().reshape(len(labels), -1).astype(float)),
        }
    return written


def _upright(name: str, surface: Surface | Sequence[Surface]) -> xr.DataArray:
    """Turn a surface into (scenario, lat, lon) in degrees, from north to south and west to east."""
    import xarray as xr

    if isinstance(surface, (list, tuple)) and surface:
        grids = [_upright(name, one) for one in surface]
        if any(grid.shape[1:] != grids[0].shape[1:] for grid in grids):
            raise InputError(f"The surfaces of {name!r} lie on different grids; give them the same cells.")
        return xr.concat(grids, dim="scenario", join="override")
    if isinstance(surface, xr.Dataset) and "value" in surface:
        surface = surface["value"]
    if not isinstance(surface, xr.DataArray):
        raise InputError(
            f"The surface of {name!r} is a {type(surface).__name__}; expected what spatial.surface gives, or a "
            "DataArray."
        )
    if "scenario" not in surface.dims:
        label = str(surface["scenario"].item()) if "scenario" in surface.coords else ""
        surface = surface.drop_vars("scenario", errors="ignore").expand_dims(scenario=[label])
    axes = {
        axis: next((dim for dim in surface.dims if str(dim).lower() in names), None)
        for axis, names in _AXES.items()
    }
    if None in axes.values() or len(surface.dims) != 3:
        raise InputError(
            f"The surface of {name!r} lies along {surface.dims}; expected lat and lon, or y and x."
        )
    grid = surface.transpose("scenario", axes["lat"], axes["lon"])
    if axes["lat"] == "y":
        grid = _reprojected(name, grid)
    else:
        grid = grid.rename({dim: axis for axis, dim in axes.items() if dim != axis})
    for axis in ("lat", "lon"):
        steps = np.diff(grid[axis].to_numpy())
        if not steps.size or not np.allclose(steps, steps[0], rtol=1e-3) or steps[0] == 0:
            raise InputError(f"The {axis} of the surface of {name!r} is not evenly spaced, or a single line.")
    return grid.sortby("lat", ascending=False).sortby("lon")


def _reprojected(name: str, grid: xr.DataArray) -> xr.DataArray:
    """Resample a grid along y and x onto degrees, each value from the nearest."""
    import rasterio.transform
    import rasterio.warp
    import xarray as xr

    words = grid.coords["spatial_ref"].attrs if "spatial_ref" in grid.coords else grid.attrs
    crs = words.get("crs_wkt") or words.get("spatial_ref") or words.get("crs")
    if not crs:
        raise CRSError(f"The surface of {name!r} lies along y and x but carries no CRS; give it lat and lon.")
    x, y = grid["x"].to_numpy(), grid["y"].to_numpy()
    right, down = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
    here = rasterio.transform.Affine(right, 0, x[0] - right / 2, 0, down, y[0] - down / 2)
    ends = (min(x[0], x[-1]), min(y[0], y[-1]), max(x[0], x[-1]), max(y[0], y[-1]))
    there, width, height = rasterio.warp.calculate_default_transform(crs, CRS, len(x), len(y), *ends)
    out = np.full((grid.sizes["scenario"], height, width), np.nan)
    rasterio.warp.reproject(
        grid.to_numpy().astype(float),
        out,
        src_transform=here,
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=there,
        dst_crs=CRS,
        dst_nodata=np.nan,
    )
    lon = there.c + there.a * (np.arange(width) + 0.5)
    lat = there.f + there.e * (np.arange(height) + 0.5)
    coords = {"scenario": grid["scenario"].to_numpy(), "lat": lat, "lon": lon}
    return xr.DataArray(out, dims=("scenario", "lat", "lon"), coords=coords)
