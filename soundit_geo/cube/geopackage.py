"""The wide table as a GeoPackage whose fields describe themselves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import geopandas as gpd

LAYER: Final = "sites"

# Tables of the GeoPackage schema extension: OGC 12-128r19, annex F.9.
_DATA_COLUMNS: Final = """
CREATE TABLE IF NOT EXISTS gpkg_data_columns (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  name TEXT,
  title TEXT,
  description TEXT,
  mime_type TEXT,
  constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name)
)
"""
_CONSTRAINTS: Final = """
CREATE TABLE IF NOT EXISTS gpkg_data_column_constraints (
  constraint_name TEXT NOT NULL,
  constraint_type TEXT NOT NULL,
  value TEXT,
  min NUMERIC,
  min_is_inclusive BOOLEAN,
  max NUMERIC,
  max_is_inclusive BOOLEAN,
  description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value)
)
"""
_SCHEMA: Final = "http://www.geopackage.org/spec121/#extension_schema"


def write_geopackage(table: gpd.GeoDataFrame, path: Path) -> None:
    """Write a GeoPackage of one layer ``sites``, with a description of each field.

    Parameters
    ----------
    table : geopandas.GeoDataFrame
        As `soundit_geo.cube.to_wide_geodataframe` gives, ``site`` among its columns.
    path : pathlib.Path
        A file that is not there yet.
    """
    import pyogrio

    about = {name: str(value) for name, value in table.attrs["cube"].items()}
    title = about.get("title", "Sites")
    pyogrio.write_dataframe(
        table,
        path,
        layer=LAYER,
        driver="GPKG",
        geometry_type="Point",
        layer_metadata=about,  # not the data set's: GDAL would lay an .aux.xml beside the file when reading
        layer_options={"IDENTIFIER": title, "DESCRIPTION": about.get("evidence", "")},
    )
    _describe_fields(path, table.attrs["fields"])


def _describe_fields(path: Path, fields: Mapping[str, str]) -> None:
    """Fill in the table from which QGIS and GDAL take what a field means."""
    rows = [(LAYER, field, told) for field, told in fields.items()]
    tables = ("gpkg_data_columns", "gpkg_data_column_constraints")
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(_DATA_COLUMNS)
        base.execute(_CONSTRAINTS)
        base.executemany(
            "INSERT INTO gpkg_data_columns (table_name, column_name, description) VALUES (?, ?, ?)", rows
        )
        base.executemany(
            "INSERT INTO gpkg_extensions (table_name, extension_name, definition, scope) VALUES (?, ?, ?, ?)",
            [(name, "gpkg_schema", _SCHEMA, "read-write") for name in tables],
        )
