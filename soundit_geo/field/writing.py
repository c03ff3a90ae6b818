"""Sites to a file that `read_sites` reads, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from soundit_geo.errors import InputError, SitesError
from soundit_geo.recordings import to_lonlat

if TYPE_CHECKING:
    from os import PathLike

    import geopandas as gpd

_PARQUETS = (".parquet", ".geoparquet", ".pq")


def save_sites(sites: gpd.GeoDataFrame, path: str | PathLike[str], *, overwrite: bool = False) -> Path | None:
    """Write sites to a file.

    Parameters
    ----------
    sites : GeoDataFrame
        As `sites_from_folder` gives: index ``site``, ``audio`` and perhaps ``photo`` as absolute paths.
    path : path
        GeoPackage, GeoJSON, Shapefile, FlatGeobuf or whatever else pyogrio writes, by its ending; GeoParquet; CSV.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path or None
        None where every recording and photo lies within the folder of the file: then paths are relative to it,
        and ``read_sites(path)`` finds them. Else the folder within which all of them lie: paths are absolute, and
        `read_sites` needs ``audio_root=`` with this folder.

    Raises
    ------
    InputError
        The file is there and `overwrite` is not set, or no driver writes this ending.
    SitesError
        There are no sites, or the file cannot be written.
    """
    import pyogrio

    path = Path(path)
    if not len(sites):
        raise SitesError("There are no sites to write: no recording has a position. See the report.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} is there already. Choose another name, or allow to overwrite it.")
    suffix = path.suffix.lower()
    try:
        driver = None if suffix in (*_PARQUETS, ".csv") else pyogrio.detect_write_driver(path.name)
    except ValueError as error:
        raise InputError(
            f"{path.name}: no driver writes this ending. Use .gpkg, .geojson, .parquet or .csv."
        ) from error
    home = path.parent.resolve()
    named = [name for name in ("audio", "photo") if name in sites.columns]
    used = [Path(cell) for name in named for cell in sites[name] if isinstance(cell, str)]
    within = all(one.is_relative_to(home) for one in used)
    table = sites.copy()
    if within:
        for name in named:
            table[name] = [_relative(cell, home) if isinstance(cell, str) else None for cell in sites[name]]
    table = table.reset_index()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise SitesError(f"{path} cannot be written: {error}. Choose a folder you may write to.") from error
    try:
        _write(table, draft / path.name, driver)
        for part in sorted(draft.iterdir(), key=lambda part: part.name == path.name):  # the main file last
            part.replace(path.parent / part.name)
    except (OSError, RuntimeError, ValueError) as error:  # pyogrio's errors are RuntimeErrors
        raise SitesError(f"{path} cannot be written: {' '.join(str(error).split())}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return None if within else _common(used)


def _write(table: gpd.GeoDataFrame, path: Path, driver: str | None) -> None:
    if path.suffix.lower() == ".csv":
        points = to_lonlat(table).geometry
        words = pd.DataFrame(table.drop(columns=["lon", "lat", table.geometry.name], errors="ignore"))
        words.insert(1, "lon", points.x)
        words.insert(2, "lat", points.y)
        words.to_csv(path, index=False)
    elif driver is None:
        table.to_parquet(path)
    else:
        table.to_file(path, driver=driver, engine="pyogrio")


def _relative(cell: str, home: Path) -> str:
    inside = Path(cell).relative_to(home).as_posix()
    return inside if inside == inside.strip() else f"./{inside}"  # readers strip outer blanks


def _common(used: list[Path]) -> Path:
    return Path(os.path.commonpath([str(one.parent) for one in used]))
