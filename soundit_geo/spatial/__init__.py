"""Space: a number per site as surface, areas and clusters.

::

    cube or table ─► values ─┬─► surface (variogram, interpolation, accuracy) ─► raster
                             ├─► areas: hexagons, districts
                             └─► clusters (randomisation)

Sites that stand on the same centimetre are one place: their values are averaged, and every result
counts sites and places. Distances are metres.
"""

from soundit_geo.spatial.areas import districts, hexagons
from soundit_geo.spatial.clusters import hotspots
from soundit_geo.spatial.projection import projected_crs
from soundit_geo.spatial.raster import write_raster
from soundit_geo.spatial.surfaces import surface
from soundit_geo.spatial.values import site_values

__all__ = ["districts", "hexagons", "hotspots", "projected_crs", "site_values", "surface", "write_raster"]
