"""Which H3 hexagon each site lies in, at a few sizes; the page takes means over them of whatever is shown."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from soundit_geo.maps.packing import pack, pack_degrees

SIZES: Final = 3
"""How many sizes of hexagons the map offers."""

_METRES: Final = 111_320.0  # per degree of latitude


def hexagons_of(lon: np.ndarray, lat: np.ndarray) -> list[dict[str, Any]]:
    """Lay hexagons over sites, small ones first.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        (site,) degrees, EPSG:4326.

    Returns
    -------
    list of dict
        For each size: ``edge`` in metres; ``resolution`` in H3; ``cell``, the hexagon of each site (of each
        hexagon of the size before, but for the first size), as uint32; ``corners`` of each hexagon and their
        ``lon`` and ``lat``.
    """
    import h3

    middle = math.cos(math.radians(float(lat.mean())))
    span = _METRES * max(float(np.ptp(lat)), float(np.ptp(lon)) * middle, 1e-3)
    across = min(max(2 * math.sqrt(len(lon)), 12), 60)
    fits = (r for r in range(15, -1, -1) if 2 * h3.average_hexagon_edge_length(r, unit="m") * across >= span)
    finest = next(fits, 0)
    cells: list[str] = [h3.latlng_to_cell(*at, finest) for at in zip(lat.tolist(), lon.tolist(), strict=True)]
    levels = []
    for resolution in range(finest, max(finest - SIZES, -1), -1):
        if resolution < finest:
            cells = [h3.cell_to_parent(cell, resolution) for cell in cells]
        known = {cell: k for k, cell in enumerate(dict.fromkeys(cells))}
        place = [known[cell] for cell in cells]
        cells = list(known)
        bounds = [h3.cell_to_boundary(cell) for cell in cells]
        corners = max(map(len, bounds))
        ring = np.array([[*bound, *[bound[-1]] * (corners - len(bound))] for bound in bounds])
        lons = ring[..., 1] - 360 * np.round((ring[..., 1] - ring[:, :1, 1]) / 360)  # across 180°
        levels.append(
            {
                "edge": h3.average_hexagon_edge_length(resolution, unit="m"),
                "resolution": resolution,
                "cell": pack(np.array(place), "<u4"),
                "corners": corners,
                "lon": pack_degrees(lons),
                "lat": pack_degrees(ring[..., 0]),
            }
        )
    return levels
