"""Tables with geometries that commands are given: districts, boundaries, base layers, points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundit_geo.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd


def read_table(path: Path) -> gpd.GeoDataFrame:
    """Read a table with geometries.

    Parameters
    ----------
    path : pathlib.Path
        GeoParquet, or whatever GDAL reads.

    Returns
    -------
    geopandas.GeoDataFrame
        As it stands there.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it cannot be read, or has no geometries.
    """
    import geopandas as gpd

    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    try:
        table = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    except Exception as error:
        raise InputError(f"{path} cannot be read as a table with geometries: {error}") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise InputError(f"{path} has no geometries.")
    return table
