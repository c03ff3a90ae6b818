"""A surface: what a site would show anywhere between the sites, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.cube import CRS
from soundit_geo.errors import CRSError, InputError
from soundit_geo.spatial.accuracy import blocked_folds, crossvalidate, random_folds
from soundit_geo.spatial.interpolation import METHODS
from soundit_geo.spatial.projection import project, projected_crs
from soundit_geo.spatial.values import places_of, site_values

if TYPE_CHECKING:
    import geopandas as gpd
    import pyproj
    import xarray as xr
    from shapely.geometry.base import BaseGeometry

LEAST: Final = 10
"""Places that a surface needs; a variogram is trustworthy from about 100 (Webster & Oliver 2007)."""

CELLS: Final = 200
"""Cells on the longer side at most, where the size of a cell is not given."""

LIMIT: Final = 4_000_000
"""Cells of a surface at most."""


def surface(
    source: xr.Dataset | gpd.GeoDataFrame,
    variable: str,
    *,
    scenario: str | None = None,
    against: str | None = None,
    method: str = "kriging",
    cell: float | None = None,
    reach: float | None = None,
    boundary: gpd.GeoDataFrame | gpd.GeoSeries | BaseGeometry | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Interpolate a number per site over a grid, with its standard deviation and its accuracy.

    Parameters
    ----------
    source : xarray.Dataset or geopandas.GeoDataFrame
        A cube, or a table of points with any CRS.
    variable, scenario, against : str
        What is mapped; see `site_values`.
    method : {"kriging", "gaussian process"}
        Ordinary kriging with a fitted variogram, of any number of places; or a Gaussian process whose parameters
        have the greatest likelihood, of up to 3,000 places.
    cell : float, optional
        Side of a cell in metres. By default half the median distance from a place to the next, but so large that the
        longer side has at most 200 cells.
    reach : float, optional
        Metres from the nearest place beyond which the surface is empty. By default twice the distance to the next
        place that nine places in ten fall short of.
    boundary : geopandas.GeoDataFrame, geopandas.GeoSeries or shapely geometry, optional
        Polygons outside of which the surface is empty; a bare geometry is in EPSG:4326.
    seed : int
        Fixes the parts of the cross-validation and the places that a variogram is fitted to.

    Returns
    -------
    xarray.Dataset
        Along ``y`` (falling: north is up) and ``x``, metres, centres of cells: ``value``, and ``standard_deviation``
        of a further site's value there, NaN where empty. Along ``lag`` (metres): the experimental ``semivariance``,
        its number of ``pairs``, and the model, ``fitted``. Along ``validation`` ("blocked", "random"): ``rmse``,
        ``r2`` and ``coverage`` of the 95 % interval over held-out places. ``spatial_ref`` holds the CRS, ``attrs``
        the variogram (``nugget`` and ``sill`` in squared units, ``range`` in metres), the counts of sites and places,
        why this CRS, and what the source says of itself.

    Raises
    ------
    SitesError
        If there are fewer than 10 places with a value, all values are equal, or the places are too far apart for one
        plane.
    InputError
        If the method is unknown, a size is not above 0, the grid would be too large, or no cell is left.
    CRSError
        If the boundary carries no CRS.
    """
    import xarray as xr

    if method not in METHODS:
        raise InputError(f"There is no method {method!r}. Known: {', '.join(METHODS)}.")
    for name, size in (("cell", cell), ("reach", reach)):
        if size is not None and not 0 < size < np.inf:
            raise InputError(f"{name} is {size}; expected metres above 0.")
    values = site_values(source, variable, scenario=scenario, against=against)
    places = places_of(values)
    places.require(LEAST, "A surface")
    crs, why = projected_crs(places.lon, places.lat)
    xy = project(places.lon, places.lat, crs)
    x, y, inside = _grid(xy, cell, reach, _on_plane(boundary, crs))

    fit, rng = METHODS[method], np.random.default_rng(seed)
    model = fit(xy, places.value, rng)
    value, deviation = np.full((2, len(y), len(x)), np.nan, dtype=np.float32)
    rows, columns = np.nonzero(inside)
    value[inside], deviation[inside] = model.predict(np.column_stack((x[columns], y[rows])))

    variogram = model.variogram
    blocks, side = blocked_folds(xy, variogram.range)
    checks = [
        crossvalidate(fit, xy, places.value, folds, rng) for folds in (blocks, random_folds(len(xy), rng))
    ]
    label, units = values.attrs["label"], values.attrs["units"]
    scenario = None if against else values.attrs.get("scenario")
    on_map, words = ("y", "x"), {"grid_mapping": "spatial_ref", "units": units}
    result = xr.Dataset(
        {
            "value": (on_map, value, {"long_name": label, **words}),
            "standard_deviation": (
                on_map,
                deviation,
                {"long_name": f"standard deviation of {label}", **words},
            ),
            "semivariance": ("lag", variogram.semivariance, {"long_name": "experimental semivariance"}),
            "pairs": ("lag", variogram.pairs, {"long_name": "pairs of places", "units": "1"}),
            "fitted": ("lag", variogram(variogram.lag), {"long_name": f"{variogram.model} variogram"}),
            "rmse": ("validation", [check.rmse for check in checks], {"units": units}),
            "r2": ("validation", [check.r2 for check in checks], {"units": "1"}),
            "coverage": (
                "validation",
                [check.coverage for check in checks],
                {"long_name": "share of held-out places within the 95 % interval", "units": "1"},
            ),
        },
        coords={
            "x": ("x", x, {"standard_name": "projection_x_coordinate", "units": "m"}),
            "y": ("y", y, {"standard_name": "projection_y_coordinate", "units": "m"}),
            "lag": ("lag", variogram.lag, {"long_name": "mean distance of the pairs", "units": "m"}),
            "validation": ["blocked", "random"],
            "spatial_ref": ((), np.int32(0), crs.to_cf()),
            **({"scenario": scenario} if scenario else {}),
        },
    )
    return result.assign_attrs(
        {
            **(source.attrs if isinstance(source, xr.Dataset) else {}),
            **values.attrs,
            "method": method,
            "variogram": variogram.model,
            "nugget": variogram.nugget,
            "sill": variogram.sill,
            "range": variogram.range,
            **places.counts,
            "cell": float(x[1] - x[0]),
            "block": side,
            "crs": crs.name,
            "crs_chosen_because": why,
            "validation_seed": seed,
        }
    )


def crs_of(surface: xr.Dataset) -> pyproj.CRS:
    """Read the CRS of a surface.

    Parameters
    ----------
    surface : xarray.Dataset
        From `surface`.

    Returns
    -------
    pyproj.CRS
        A projected CRS in metres.
    """
    import pyproj

    return pyproj.CRS.from_wkt(surface["spatial_ref"].attrs["crs_wkt"])


def _on_plane(boundary: Any, crs: pyproj.CRS) -> BaseGeometry | None:
    """Bring a boundary into the surface's CRS, as one geometry."""
    import geopandas as gpd

    if boundary is None:
        return None
    shapes = (
        boundary.geometry
        if isinstance(boundary, (gpd.GeoDataFrame, gpd.GeoSeries))
        else gpd.GeoSeries([boundary], crs=CRS)
    )
    if shapes.crs is None:
        raise CRSError(f"The boundary's {len(shapes)} geometries carry no CRS. Use set_crs, such as '{CRS}'.")
    area = shapes.make_valid().to_crs(crs).union_all()
    if area.is_empty or area.area == 0 or not np.isfinite(area.bounds).all():
        raise InputError(
            "The boundary holds no area in the plane of the sites; expected polygons around them."
        )
    return area


def _grid(
    xy: np.ndarray, cell: float | None, reach: float | None, boundary: BaseGeometry | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay a grid over the places: x rising, y falling, and (y, x) whether a cell is within reach and boundary."""
    import shapely
    from scipy.spatial import cKDTree

    tree = cKDTree(xy)
    to_next = tree.query(xy, 2)[0][:, 1]
    reach = float(2 * np.quantile(to_next, 0.9)) if reach is None else reach
    low, high = xy.min(axis=0) - reach, xy.max(axis=0) + reach
    if boundary is not None:
        left, bottom, right, top = boundary.bounds
        low, high = np.maximum(low, (left, bottom)), np.minimum(high, (right, top))
    extent = high - low
    if (extent <= 0).any():
        raise InputError("No site lies within reach of the boundary; nothing is left of the surface.")
    if cell is None:
        cell = float(max(np.median(to_next) / 2, extent.max() / CELLS))
    columns, rows = np.maximum(np.ceil(extent / cell), 2)
    if columns * rows > LIMIT:
        raise InputError(
            f"Cells of {cell:g} m over {extent[0]:,.0f} m by {extent[1]:,.0f} m are {columns * rows:,.0f} cells; "
            f"at most {LIMIT:,} are computed. Take larger cells or a smaller reach."
        )
    x = low[0] + (np.arange(int(columns)) + 0.5) * cell
    y = low[1] + (np.arange(int(rows))[::-1] + 0.5) * cell
    grid_x, grid_y = np.meshgrid(x, y)
    inside = (
        tree.query(np.column_stack((grid_x.ravel(), grid_y.ravel())), distance_upper_bound=reach)[0] < np.inf
    )
    inside = inside.reshape(grid_x.shape)
    if boundary is not None:
        shapely.prepare(boundary)
        inside &= shapely.contains_xy(boundary, grid_x, grid_y)
    if not inside.any():
        raise InputError(
            f"No cell's centre lies within {reach:g} m of a place and inside the boundary. "
            "Take smaller cells or a larger reach."
        )
    return x, y, inside
