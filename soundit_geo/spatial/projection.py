"""Which plane a place is drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from soundit_geo.cube import CRS
from soundit_geo.errors import SitesError

if TYPE_CHECKING:
    import pyproj
    from numpy.typing import ArrayLike

UTM_REACH: Final = 3.5
"""Degrees of longitude from a zone's central meridian within which UTM is taken: 0.15 % of scale at the equator."""

FARTHEST: Final = 45.0
"""Degrees from the middle up to which a plane is drawn: there distances are 8 % off, and worse beyond."""


def projected_crs(lon: ArrayLike, lat: ArrayLike) -> tuple[pyproj.CRS, str]:
    """Choose a projected CRS in metres for a place.

    UTM of the zone at hand where it holds, because every GIS knows it. Else, that is across the antimeridian, near a
    pole or over a wide area, the Lambert azimuthal equal-area projection around the middle of the points: areas are
    true, distances wrong by at most 1 / cos(c / 2) - 1 at the angle c from the middle.

    Parameters
    ----------
    lon, lat : array_like
        (n,) degrees, EPSG:4326.

    Returns
    -------
    pyproj.CRS
        The CRS; x and y in metres, east and north.
    str
        Why this one.

    Raises
    ------
    SitesError
        If the points lie more than 45° from their middle, so that no plane serves them all.
    """
    import geopandas as gpd
    import pyproj
    from pyproj.crs import GeographicCRS, ProjectedCRS
    from pyproj.crs.coordinate_operation import LambertAzimuthalEqualAreaConversion

    lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    east, north = np.radians(lon), np.radians(lat)
    vectors = np.column_stack((np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)))
    middle = vectors.mean(axis=0)
    length = np.linalg.norm(middle)
    reach = 180.0
    if length > 1e-6:
        reach = float(np.degrees(np.arccos(np.clip(vectors @ middle / length, -1, 1)).max()))
    if reach > FARTHEST:
        raise SitesError(
            f"The sites lie up to {reach:.0f}° from their middle. No plane keeps their distances; take the "
            f"parts within {FARTHEST:.0f}° (5,000 km) one by one."
        )
    lon0 = float(np.degrees(np.arctan2(middle[1], middle[0])))
    lat0 = float(np.degrees(np.arcsin(np.clip(middle[2] / length, -1, 1))))
    from_middle = (lon - lon0 + 180) % 360 - 180
    if lat.max() > 84 or lat.min() < -80:
        why = "UTM ends at 84° north and 80° south"
    elif (np.abs(lon0 + from_middle) > 180).any():
        why = "the sites lie on both sides of the antimeridian"
    else:
        utm = pyproj.CRS(gpd.GeoSeries(gpd.points_from_xy([lon0], [lat0]), crs=CRS).estimate_utm_crs())
        meridian = 6 * int(str(utm.utm_zone)[:-1]) - 183
        widest = float(np.abs((lon - meridian + 180) % 360 - 180).max())
        if widest <= UTM_REACH:
            return utm, f"all sites lie within {UTM_REACH}° of the zone's central meridian"
        why = f"the sites reach {widest:.1f}° from the central meridian of {utm.name}"
    around = f"{abs(lat0):.2f}°{'NS'[lat0 < 0]} {abs(lon0):.2f}°{'EW'[lon0 < 0]}"
    laea = ProjectedCRS(
        LambertAzimuthalEqualAreaConversion(round(lat0, 2), round(lon0, 2)),
        name=f"Lambert azimuthal equal-area around {around}",
        geodetic_crs=GeographicCRS(),
    )
    return pyproj.CRS(laea), why


def project(lon: ArrayLike, lat: ArrayLike, crs: pyproj.CRS) -> np.ndarray:
    """Bring points onto a plane.

    Parameters
    ----------
    lon, lat : array_like
        (n,) degrees, EPSG:4326.
    crs : pyproj.CRS
        A projected CRS.

    Returns
    -------
    numpy.ndarray
        (n, 2) x, y in units of the CRS.
    """
    import pyproj

    to_plane = pyproj.Transformer.from_crs(CRS, crs, always_xy=True)
    return np.column_stack(to_plane.transform(np.asarray(lon, float), np.asarray(lat, float)))
