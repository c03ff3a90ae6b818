"""The layer cube: every score of every landscape, by site, scenario and draw, in one `xarray.Dataset`.

Dimensions are ``site, scenario, draw, element, percept, rank``. Coordinates: names of sites and
scenarios, numbers of draws, names of the 150 ADE20K elements and the six perceptions, and at each site
``lon``, ``lat`` in degrees (EPSG:4326) with an xvec geometry index.

::

    schema     what a cube is, and the check that a dataset is one
    columns    columns of the sites as its coordinates
    making     a new cube, every cell pending
    growing    a cube with one scenario more
    store      the cube as a zarr folder: laid down whole, filled cell by cell, read back
    netcdf     the cube as a netCDF file
    layout     how both lie in files: plain arrays after the CF conventions
    tables     a row per site and scenario, a row per scenario
    wide       a row per site, with `fields` that any program takes
    export     a cube into the file that its name asks for (`geopackage` for QGIS)
"""

from soundit_geo.cube.columns import site_columns
from soundit_geo.cube.export import export_cube
from soundit_geo.cube.growing import with_scenario
from soundit_geo.cube.making import new_cube, picture_path
from soundit_geo.cube.netcdf import save_netcdf
from soundit_geo.cube.schema import (
    CRS,
    DIMENSIONS,
    DONE,
    FAILED,
    PENDING,
    RANKS,
    check_scenario,
    direction,
    done,
    validate,
)
from soundit_geo.cube.store import open_cube, save_cube, sites_per_chunk, write_cells
from soundit_geo.cube.tables import summary, to_geodataframe
from soundit_geo.cube.wide import to_wide_geodataframe

__all__ = [
    "CRS",
    "DIMENSIONS",
    "DONE",
    "FAILED",
    "PENDING",
    "RANKS",
    "check_scenario",
    "direction",
    "done",
    "export_cube",
    "new_cube",
    "open_cube",
    "picture_path",
    "save_cube",
    "save_netcdf",
    "site_columns",
    "sites_per_chunk",
    "summary",
    "to_geodataframe",
    "to_wide_geodataframe",
    "validate",
    "with_scenario",
    "write_cells",
]
