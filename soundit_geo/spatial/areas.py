"""Means by area: hexagons of H3, or any polygons."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from soundit_geo.cube import CRS
from soundit_geo.errors import CRSError, InputError, SitesError
from soundit_geo.spatial.values import Places, places_of, site_values

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from shapely.geometry.base import BaseGeometry

SPACINGS: Final = 2.0
"""Median distances from a place to the next that the edge of a hexagon spans at least."""

WIDE: Final = 1.0
"""Degrees of longitude beyond which the edges of a hexagon are drawn as great circles."""

COLUMNS: Final = ("mean", "low", "high", "places", "sites")
"""Columns that every table of areas has."""


def hexagons(
    source: xr.Dataset | gpd.GeoDataFrame,
    variable: str,
    *,
    scenario: str | None = None,
    against: str | None = None,
    resolution: int | None = None,
    minimum: int = 1,
) -> gpd.GeoDataFrame:
    """Average a number per site over the hexagons of H3.

    Parameters
    ----------
    source : xarray.Dataset or geopandas.GeoDataFrame
        A cube, or a table of points with any CRS.
    variable, scenario, against : str
        What is averaged; see `site_values`.
    resolution : int, optional
        H3's resolution, 0 (edges of 1,281 km) to 15 (0.6 m). By default the finest whose edges are at least twice as
        long as the median distance from a place to the next.
    minimum : int
        Places below which a hexagon keeps its counts, but has no mean.

    Returns
    -------
    geopandas.GeoDataFrame
        Index ``hexagon`` (H3's identifier), those that hold a place with a value; ``geometry`` in EPSG:4326, in
        parts where a hexagon lies across the antimeridian; ``mean`` over its places, ``low`` and ``high``, the 95 %
        interval of the mean (Student's t; NaN below two places), ``places`` and ``sites``, how many there are.
        ``attrs`` say variable, label, units, resolution and counts.

    Raises
    ------
    SitesError
        If no site has a value, or there is only one place and no `resolution`.
    InputError
        If `resolution` or `minimum` cannot be.
    """
    import geopandas as gpd
    import h3
    import pandas as pd

    _check_minimum(minimum)
    if resolution is not None and resolution not in range(16):
        raise InputError(f"resolution is {resolution}; H3 has 0 (coarse) to 15 (fine).")
    values = site_values(source, variable, scenario=scenario, against=against)
    places = places_of(values)
    places_needed(places)
    resolution = _resolution(places) if resolution is None else resolution
    cells = [
        h3.latlng_to_cell(lat, lon, resolution)
        for lat, lon in zip(places.lat.tolist(), places.lon.tolist(), strict=True)
    ]
    code, names = pd.factorize(np.array(cells, dtype=object), sort=True)
    table = _summary(places, np.arange(len(places)), code, len(names), minimum)
    shapes = [_outline(name) for name in names]
    frame = gpd.GeoDataFrame(table.set_index(pd.Index(names, name="hexagon")), geometry=shapes, crs=CRS)
    frame.attrs = {**values.attrs, **places.counts, "resolution": resolution, "minimum": minimum}
    return frame


def districts(
    source: xr.Dataset | gpd.GeoDataFrame,
    variable: str,
    polygons: gpd.GeoDataFrame | gpd.GeoSeries,
    *,
    scenario: str | None = None,
    against: str | None = None,
    minimum: int = 1,
) -> gpd.GeoDataFrame:
    """Average a number per site over polygons.

    Parameters
    ----------
    source : xarray.Dataset or geopandas.GeoDataFrame
        A cube, or a table of points with any CRS.
    variable : str
        What is averaged; see `site_values`.
    polygons : geopandas.GeoDataFrame or geopandas.GeoSeries
        Polygons in any CRS, whose edges are straight in it. A place on a border counts on both sides, one in two
        overlapping polygons in both.
    scenario, against : str, optional
        See `site_values`.
    minimum : int
        Places below which a polygon keeps its counts, but has no mean.

    Returns
    -------
    geopandas.GeoDataFrame
        A row per polygon, its index and columns, geometry in EPSG:4326, and the columns of `hexagons`; NaN and 0
        where no place lies within. ``attrs["outside"]`` counts the places in no polygon.

    Raises
    ------
    CRSError
        If the polygons carry no CRS.
    InputError
        If a geometry is not a valid polygon, a column has the name of one of ours, or `minimum` cannot be.
    SitesError
        If no site has a value.
    """
    import geopandas as gpd
    import shapely

    _check_minimum(minimum)
    areas = _checked(polygons)
    values = site_values(source, variable, scenario=scenario, against=against)
    places = places_of(values)
    places_needed(places)
    points = gpd.GeoSeries(gpd.points_from_xy(places.lon, places.lat, crs=CRS)).to_crs(areas.crs)
    tree = shapely.STRtree(points.to_numpy())
    polygon, place = tree.query(areas.geometry.to_numpy(), predicate="intersects")
    table = _summary(places, place, polygon, len(areas), minimum).set_index(areas.index)
    frame = areas.to_crs(CRS).join(table) if areas.index.is_unique else areas.to_crs(CRS)
    frame[list(COLUMNS)] = table.to_numpy()
    frame = frame.astype({"places": int, "sites": int})
    frame.attrs = {
        **values.attrs,
        **places.counts,
        "minimum": minimum,
        "outside": int(len(places) - len(np.unique(place))),
    }
    return frame


def places_needed(places: Places) -> None:
    """Refuse to average nothing.

    Parameters
    ----------
    places : Places
        What there is.

    Raises
    ------
    SitesError
        If no site has a value.
    """
    if not len(places):
        raise SitesError(
            f"None of the {len(places.place_of)} sites has a value; there is nothing to average."
        )


def _check_minimum(minimum: int) -> None:
    if minimum < 1:
        raise InputError(f"minimum is {minimum}; expected 1 place or more.")


def _checked(polygons: gpd.GeoDataFrame | gpd.GeoSeries) -> gpd.GeoDataFrame:
    """Take polygons as a table, or say what they lack."""
    import geopandas as gpd

    areas = polygons.to_frame("geometry") if isinstance(polygons, gpd.GeoSeries) else polygons.copy()
    if not isinstance(areas, gpd.GeoDataFrame) or areas.active_geometry_name is None:
        raise InputError(f"The areas are {type(polygons).__name__}; expected a GeoDataFrame of polygons.")
    if areas.crs is None:
        raise CRSError(f"{len(areas)} polygons carry no CRS. Use set_crs, such as '{CRS}'.")
    kinds = set(map(str, areas.geometry.geom_type))
    broken = int((~areas.geometry.is_valid).sum())
    if not kinds <= {"Polygon", "MultiPolygon"} or broken or not len(areas):
        raise InputError(
            f"The {len(areas)} areas are {sorted(kinds)}, {broken} of them invalid; expected valid polygons. "
            "make_valid() mends many."
        )
    taken = [name for name in COLUMNS if name in areas.columns]
    if taken:
        raise InputError(
            f"The polygons have columns {taken} already, which are to be made. Rename or drop them."
        )
    return areas


def _summary(places: Places, place: np.ndarray, area: np.ndarray, areas: int, minimum: int) -> pd.DataFrame:
    """Mean, interval and counts by area; `place` and `area` say which place lies in which area."""
    import pandas as pd
    from scipy.stats import t

    value = places.value[place]
    count = np.bincount(area, minlength=areas)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(area, value, minlength=areas) / count
        squares = np.bincount(area, (value - mean[area]) ** 2, minlength=areas)
        half = t.ppf(0.975, count - 1) * np.sqrt(squares / (count - 1) / count)
    mean = np.where(count >= minimum, mean, np.nan)
    half = np.where(count >= max(minimum, 2), half, np.nan)
    sites = np.bincount(area, places.sites[place], minlength=areas).astype(int)
    table = {"mean": mean, "low": mean - half, "high": mean + half, "places": count, "sites": sites}
    return pd.DataFrame(table, columns=list(COLUMNS))


def _resolution(places: Places) -> int:
    """Choose hexagons whose edge spans `SPACINGS` median distances to the next place."""
    import h3
    from scipy.spatial import cKDTree

    if len(places) < 2:
        raise SitesError("One place alone has no spacing to choose hexagons by. Give resolution=, such as 9.")
    spacing = float(np.median(cKDTree(places.xyz).query(places.xyz, 2)[0][:, 1]))
    edges = {level: h3.average_hexagon_edge_length(level, unit="m") for level in range(16)}
    fitting = [level for level, edge in edges.items() if edge >= SPACINGS * spacing]
    return max(fitting, default=0)


def _outline(cell: str) -> BaseGeometry:
    """Draw a cell in longitude and latitude; in parts across the antimeridian, up to the pole around one."""
    import h3
    import shapely

    lat, lon = np.array(h3.cell_to_boundary(cell)).T
    lat, lon = np.append(lat, lat[0]), np.unwrap(np.append(lon, lon[0]), period=360)
    if np.ptp(lon) > WIDE:
        lon, lat = _along_great_circles(lon, lat)
    turn = lon[-1] - lon[0]
    around_pole = abs(turn) > 180
    if around_pole:  # twice round the Earth, and up to the pole: that holds one whole strip from -180 to 180
        pole = np.copysign(90.0, lat.mean())
        lon, lat = np.concatenate((lon, lon[1:] + turn)), np.concatenate((lat, lat[1:]))
        lon, lat = np.append(lon, lon[[-1, 0]]), np.append(lat, [pole, pole])
    else:
        lon, lat = lon[:-1], lat[:-1]  # the last is the first but for rounding
    whole = shapely.Polygon(np.column_stack((lon, lat)))
    if not around_pole and np.abs(lon).max() <= 180:
        return whole
    parts: list[BaseGeometry] = []
    for middle in (-720, -360, 0, 360, 720):
        west, east = middle - 180, middle + 180
        if around_pole and not (lon.min() <= west and east <= lon.max()):
            continue
        strip = shapely.get_parts(shapely.intersection(whole, shapely.box(west, -90, east, 90)))
        moved = shapely.transform(strip, lambda xy, middle=middle: xy - [middle, 0])
        parts += [part for part in moved if part.area > 0]
        if around_pole:
            break
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _along_great_circles(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw edges as H3 means them, with 32 steps each: near a pole they are no straight lines in degrees."""
    east, north = np.radians(lon), np.radians(lat)
    corners = np.column_stack((np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)))
    steps = np.linspace(0, 1, 32, endpoint=False)[:, None]
    edges = [(1 - steps) * a + steps * b for a, b in pairwise(corners)]
    x, y, z = np.vstack((*edges, corners[-1:])).T
    along = np.unwrap(np.degrees(np.arctan2(y, x)), period=360)
    return along + lon[0] - along[0], np.degrees(np.arctan2(z, np.hypot(x, y)))
