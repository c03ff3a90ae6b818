"""A cube into the file that its name asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundit_geo.cube.geopackage import write_geopackage
from soundit_geo.cube.layout import check_text
from soundit_geo.cube.netcdf import save_netcdf
from soundit_geo.cube.schema import validate
from soundit_geo.cube.store import save_cube
from soundit_geo.cube.wide import check_scenarios, to_wide_geodataframe
from soundit_geo.drafts import draft_of
from soundit_geo.errors import InputError, StudyError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import geopandas as gpd
    import xarray as xr


def export_cube(
    cube: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    scenarios: str | Sequence[str] | None = None,
    elements: Sequence[str] = (),
) -> Path:
    """Write a cube as a file, whole or not at all.

    ==========================  ==========================================================================
    suffix                      what is written
    ==========================  ==========================================================================
    ``.nc``, ``.zarr``          the cube itself; `soundit_geo.cube.open_cube` reads it back identical
    ``.gpkg``                   `to_wide_geodataframe` as layer ``sites``, each field described
    ``.parquet``, ``.geojson``  the same as GeoParquet and as GeoJSON (RFC 7946)
    ``.csv``                    the same without geometry, with ``longitude`` and ``latitude``, in UTF-8
    ==========================  ==========================================================================

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    path : path
        The file; one that is there is replaced, except the cube's own.
    scenarios : str or sequence of str, optional
        Names of those that are wanted; all by default.
    elements : sequence of str
        ADE20K elements whose shares a table shall hold; the cube itself always holds all.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    InputError
        If the suffix is unknown, `elements` is given for the cube itself, or `path` is where the cube lies.
    CubeError
        If the cube is not valid, an element is unknown, or a text cannot be stored.
    ScenarioError
        If the cube lacks a scenario.
    StudyError
        If the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (*_CUBES, *_TABLES):
        raise InputError(f"{path} is of no known kind; expected one of {', '.join((*_CUBES, *_TABLES))}.")
    source = cube.encoding.get("source")
    if source and path.resolve() == Path(source).resolve():
        raise InputError(f"{path} is the cube that is exported. Choose another file.")
    validate(cube)
    names = check_scenarios(cube, scenarios)
    if kind in _CUBES:
        if elements:
            raise InputError(f"{kind} holds the cube with all elements; elements are for tables, as .gpkg.")
        return _CUBES[kind](cube if scenarios is None else cube.sel(scenario=names), path)
    check_text(cube)
    table = to_wide_geodataframe(cube, names, elements=elements).reset_index()
    with draft_of(path, StudyError) as draft:
        try:
            _TABLES[kind](table, draft)
        except (RuntimeError, ValueError) as error:  # of GDAL, Arrow and JSON
            raise StudyError(f"{path} cannot be written: {error}") from error
    return path


def _write_parquet(table: gpd.GeoDataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _write_geojson(table: gpd.GeoDataFrame, path: Path) -> None:
    text = table.to_json(drop_id=True, allow_nan=False, ensure_ascii=False, default=str)
    path.write_text(text, encoding="utf-8")


def _write_csv(table: gpd.GeoDataFrame, path: Path) -> None:
    plain = table.drop(columns="geometry")
    plain.insert(1, "longitude", table.geometry.x)
    plain.insert(2, "latitude", table.geometry.y)
    plain.to_csv(path, index=False, encoding="utf-8", lineterminator="\r\n")  # RFC 4180


_CUBES: Final[Mapping[str, Callable[[xr.Dataset, Path], Path]]] = {".nc": save_netcdf, ".zarr": save_cube}
_TABLES: Final[Mapping[str, Callable[[gpd.GeoDataFrame, Path], None]]] = {
    ".gpkg": write_geopackage,
    ".parquet": _write_parquet,
    ".geojson": _write_geojson,
    ".csv": _write_csv,
}
