"""Sites: soundscape recordings at coordinates, read from what people have and checked at the door.

::

    GeoJSON, GeoPackage, GeoParquet, Shapefile, CSV ─┐
                                                     ├─► read_sites ─► sites ─► to_lonlat
    GeoDataFrame, table with lon and lat ────────────┘

*Sites* are a GeoDataFrame, one row per recording: index ``site`` (unique strings), ``geometry`` (points with
a CRS), ``audio`` (absolute paths), and where the source has them ``scene``, ``photo`` and ``time``. Any other
column passes through untouched. Several sites on one coordinate are normal: soundwalks record a place again
and again.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from soundit_geo.errors import CRSError, InputError, MissingFileError, SitesError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

__all__ = ["read_sites", "to_lonlat"]

logger = logging.getLogger(__name__)

_LON_NAMES = ("lon", "longitude", "lng", "long", "x")
_LAT_NAMES = ("lat", "latitude", "y")
_TABLES = {".csv": ",", ".tsv": "\t"}
_PARQUETS = (".parquet", ".geoparquet", ".pq")


def read_sites(
    source: str | PathLike[str] | gpd.GeoDataFrame | pd.DataFrame,
    *,
    audio_root: str | PathLike[str] | None = None,
    site: str | None = None,
    audio: str = "audio",
    lon: str = "lon",
    lat: str = "lat",
    crs: object = None,
    absent: Literal["raise", "keep"] = "raise",
) -> gpd.GeoDataFrame:
    """Read soundscape recordings at coordinates, and check them.

    Parameters
    ----------
    source : path, GeoDataFrame or DataFrame
        A GeoJSON, GeoPackage, GeoParquet, Shapefile or any other point file that GDAL opens; a CSV (comma or
        semicolon) or TSV with a column of longitudes and one of latitudes; or such a table in memory.
    audio_root : path, optional
        Folder within which every recording and photo lies, and from which relative paths start. By default
        the folder of the file; for a table in memory the one with which it was read before, else the working
        folder.
    site : str, optional
        Column of site identifiers. By default the column ``site``, else a named index, else the stems of the
        audio files where these are unique, else ``site-001``, ``site-002``, and so on.
    audio : str
        Column of paths of recordings.
    lon, lat : str
        Columns of longitude and latitude (x and y of `crs`) in a table. The defaults also find ``longitude``,
        ``latitude``, ``lng``, ``long``, ``x`` and ``y``, in capitals or not.
    crs : anything that pyproj reads, optional
        Coordinate reference system of data that carry none. Tables are taken as EPSG:4326, degrees.
    absent : {"raise", "keep"}
        What to do where a recording or photo does not exist: raise, or keep the row. A kept row has the path
        of the absent recording, and None in place of an absent photo (which is logged).

    Returns
    -------
    GeoDataFrame
        Index ``site`` (unique str); ``geometry``, points (x = longitude or easting, y = latitude or northing)
        in the CRS of the source; ``audio``, absolute str; ``scene`` (str or None) and ``photo`` (absolute str
        or None) where the source has them; all other columns as they came.

    Raises
    ------
    MissingFileError
        The file, `audio_root`, a recording or a photo does not exist.
    CRSError
        There is no CRS, or it disagrees with the coordinates: latitude beyond ±90°, swapped axes, metres as
        degrees.
    SitesError
        The file is unreadable or empty; a geometry is missing or no point; identifiers are missing or
        repeated; the audio column is missing or has an empty cell; a path leads out of `audio_root`.
    """
    if absent not in ("raise", "keep"):
        raise InputError(f"absent={absent!r} is unknown. Use 'raise' or 'keep'.")
    if isinstance(source, pd.DataFrame):  # a GeoDataFrame is one, too
        frame, label = source.copy(), f"the {type(source).__name__}"
        folder = Path(source.attrs.get("audio_root", "."))
    else:
        path = Path(source)
        folder, label = path.parent, path.name
        frame = _read(path, texts={site or "site", audio, "scene", "photo"})
    if not len(frame):
        raise SitesError(f"{label} holds no sites. One row per recording was expected.")
    if audio not in frame.columns:
        columns = ", ".join(str(column) for column in frame.columns)
        raise SitesError(
            f"{label} has no column {audio!r} with the paths of the recordings. It has: {columns}. "
            "Name the right one with audio=."
        )
    if not isinstance(frame, gpd.GeoDataFrame):
        frame = _located(frame, lon, lat, "EPSG:4326" if crs is None else crs, label)

    sites = _identified(frame, site, audio, label)
    sites = _with_crs(_with_points(sites, label), crs, label)
    _check_coordinates(sites)

    root = _root(folder if audio_root is None else audio_root)
    _refuse_to_replace(sites, "audio", audio, label)
    sites["audio"] = _audio_paths(sites[audio], root, absent)
    if "photo" in sites.columns:
        sites["photo"] = _photo_paths(sites["photo"], root, absent)
    if "scene" in sites.columns:
        sites["scene"] = pd.Series([_text(cell) for cell in sites["scene"]], sites.index, dtype=object)
    sites.attrs["audio_root"] = str(root)
    return sites


def to_lonlat(sites: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Bring sites to longitude and latitude on WGS 84.

    Parameters
    ----------
    sites : GeoDataFrame
        Geometries in any CRS.

    Returns
    -------
    GeoDataFrame
        The same rows in EPSG:4326: x = longitude, y = latitude, degrees.

    Raises
    ------
    CRSError
        The sites carry no CRS, or some cannot be expressed in EPSG:4326.
    """
    if sites.crs is None:
        raise CRSError(
            f"{len(sites)} sites carry no CRS. "
            "If they are longitude/latitude, call sites.set_crs('EPSG:4326')."
        )
    try:
        lonlat = sites.to_crs("EPSG:4326")
    except pyproj.exceptions.ProjError as error:
        raise CRSError(
            f"{_crs_name(sites.crs)} cannot be brought to EPSG:4326 ({_line(error)}). "
            "Use a CRS tied to the Earth."
        ) from error
    lost = ~np.isfinite(lonlat.geometry.bounds.to_numpy()).all(axis=1)
    if lost.any():
        raise CRSError(
            f"Site {_few(sites.index[lost])} lies where {_crs_name(sites.crs)} cannot be brought to EPSG:4326"
            ". Check the coordinates and the CRS."
        )
    return lonlat


# ---------------------------------------------------------------------------------------------------- reading


def _read(path: Path, texts: set[str]) -> pd.DataFrame:
    """Read a file as a table or a GeoDataFrame; the columns `texts` of a CSV are never taken as numbers."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist. Give the path of a file of sites.")
    if path.is_dir():
        raise SitesError(f"{path} is a folder. Give the path of a file of sites.")
    suffix = path.suffix.lower()
    try:
        if suffix in _TABLES:
            return _read_table(path, _TABLES[suffix], texts)
        if suffix in _PARQUETS:
            return gpd.read_parquet(path)
        layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        frame = gpd.read_file(path, layer=layers[0] if layers else None)
    except (RuntimeError, ValueError, OSError, pd.errors.ParserWarning) as error:
        raise SitesError(
            f"{path.name} could not be read ({_line(error)}). "
            "Expected: GeoJSON, GeoPackage, GeoParquet, Shapefile or CSV with lon and lat."
        ) from error
    if len(layers) > 1:
        raise SitesError(
            f"{path.name} holds several layers: {', '.join(layers)}. "
            "Read one with geopandas.read_file(path, layer=...) and give the GeoDataFrame."
        )
    if not isinstance(frame, gpd.GeoDataFrame):
        raise SitesError(f"{path.name} has no geometries. Give points, or a CSV with lon and lat.")
    return frame


def _read_table(path: Path, separator: str, texts: set[str]) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    if separator == "," and ";" in header and "," not in header:
        separator = ";"
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header
        frame = pd.read_csv(
            path, sep=separator, encoding="utf-8-sig", index_col=False, float_precision="round_trip"
        )
    words = pd.read_csv(
        path, sep=separator, encoding="utf-8-sig", index_col=False, dtype=str, na_filter=False
    )
    for name in texts.intersection(frame.columns):
        frame[name] = words[name]  # '007' stays '007', and 'NA' is no gap
    return frame


def _located(table: pd.DataFrame, lon: str, lat: str, crs: object, label: str) -> gpd.GeoDataFrame:
    """Points from two columns of numbers."""
    x_name = _find_column(table, lon, _LON_NAMES, label)
    y_name = _find_column(table, lat, _LAT_NAMES, label)
    x, y = (pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in (x_name, y_name))
    bad = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))
    if len(bad):
        row = table.iloc[bad[0]]
        raise SitesError(
            f"{label}, row {bad[0] + 1}: {x_name} {_quoted(row[x_name])} and {y_name} {_quoted(row[y_name])} "
            f"are not two numbers ({len(bad)} such rows of {len(table)}). "
            "Use a decimal point; leave no cell empty."
        )
    return gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(x, y), crs=_parse_crs(crs))


def _find_column(table: pd.DataFrame, wanted: str, names: tuple[str, ...], label: str) -> str:
    if wanted in table.columns:
        return wanted
    if wanted == names[0]:  # the default: look for its other spellings
        spellings = {str(column).strip().lower(): column for column in reversed(list(table.columns))}
        for name in names:
            if name in spellings:
                return str(spellings[name])
    columns = ", ".join(str(column) for column in table.columns)
    raise SitesError(
        f"{label} has no column {wanted!r}. It has: {columns}. Name the right ones with lon= and lat=."
    )


# --------------------------------------------------------------------------------------------------- identity


def _identified(frame: gpd.GeoDataFrame, site: str | None, audio: str, label: str) -> gpd.GeoDataFrame:
    """Set the index `site`: unique strings."""
    if site is not None and site not in frame.columns and site != frame.index.name:
        columns = ", ".join(str(column) for column in frame.columns)
        raise SitesError(f"{label} has no column {site!r} of site identifiers. It has: {columns}.")
    named = frame.index.name
    if site is not None and site in frame.columns:
        source, cells = f"column {site!r}", frame[site]
    elif site is None and "site" in frame.columns:
        source, cells = "column 'site'", frame["site"]
    elif named is not None:
        source, cells = f"index {named!r}", frame.index.to_series()
    else:
        source, cells = "", None

    if cells is None:
        ids = _invented_ids(frame[audio])
    else:
        texts = [_text(cell) for cell in cells]
        gaps = [row + 1 for row, text in enumerate(texts) if text is None]
        if gaps:
            raise SitesError(
                f"{label}, row {gaps[0]}: no site identifier in {source} ({len(gaps)} such rows)."
            )
        ids = [text for text in texts if text is not None]
    index = pd.Index(ids, dtype=object, name="site")
    twice = index[index.duplicated()].unique()
    if len(twice):
        raise SitesError(
            f"{label}: site {_few(twice)} stands more than once in {source}. "
            "Make identifiers unique, or name another column with site=."
        )
    if site not in (None, "site"):
        _refuse_to_replace(frame, "site", str(site), label)
    if named is not None and named != "site" and named not in frame.columns:
        frame = frame.reset_index()  # a named index stays on as a column
    return frame.drop(columns="site", errors="ignore").set_axis(index, axis="index")


def _invented_ids(audio: pd.Series) -> list[str]:
    texts = [_text(cell) for cell in audio]
    stems = [PurePath(text.replace("\\", "/")).stem for text in texts if text is not None]
    if all(stems) and len(set(stems)) == len(texts):
        return stems
    width = max(3, len(str(len(texts))))
    return [f"site-{number:0{width}d}" for number in range(1, len(texts) + 1)]


def _refuse_to_replace(frame: pd.DataFrame, target: str, chosen: str, label: str) -> None:
    if chosen != target and target in frame.columns:
        raise SitesError(
            f"{label}: {chosen!r} is to become {target!r}, but a column {target!r} stands there already. "
            "Rename or drop it."
        )


# --------------------------------------------------------------------------------------------------- geometry


def _with_points(sites: gpd.GeoDataFrame, label: str) -> gpd.GeoDataFrame:
    """Make the active geometry a column `geometry` of finite points; a MultiPoint of one point is a point."""
    try:
        shapes = np.asarray(sites.geometry.array, dtype=object)
    except AttributeError as error:
        raise SitesError(
            f"{label} has no active geometry. Call set_geometry('the column of points')."
        ) from error
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if missing.any():
        raise SitesError(
            f"{label}: site {_few(sites.index[missing])} has no geometry. "
            "Give every site a point, or drop the row."
        )
    single = (shapely.get_type_id(shapes) == shapely.GeometryType.MULTIPOINT) & (
        shapely.get_num_geometries(shapes) == 1
    )
    points = np.where(single, shapely.get_geometry(shapes, 0), shapes)
    other = shapely.get_type_id(points) != shapely.GeometryType.POINT
    if other.any():
        kinds = ", ".join(sorted({shape.geom_type for shape in points[other]}))
        raise SitesError(
            f"{label}: site {_few(sites.index[other])} is no point but {kinds}. "
            "A recording stands at a point: take sites.representative_point(), for example."
        )
    infinite = ~(np.isfinite(shapely.get_x(points)) & np.isfinite(shapely.get_y(points)))
    if infinite.any():
        raise SitesError(
            f"{label}: site {_few(sites.index[infinite])} has coordinates that are not finite numbers."
        )
    geometry = gpd.GeoSeries(points, index=sites.index, crs=sites.crs)
    if sites.geometry.name != "geometry":
        _refuse_to_replace(sites, "geometry", sites.geometry.name, label)
        sites = sites.rename_geometry("geometry")
    return sites.set_geometry(geometry)


def _with_crs(sites: gpd.GeoDataFrame, crs: object, label: str) -> gpd.GeoDataFrame:
    if crs is None:
        if sites.crs is None:
            raise CRSError(
                f"{label}: {len(sites)} sites carry no CRS. "
                "If they are longitude/latitude, pass crs='EPSG:4326' or call sites.set_crs('EPSG:4326')."
            )
        return sites
    given = _parse_crs(crs)
    if sites.crs is not None and sites.crs != given:
        raise CRSError(
            f"{label} is in {_crs_name(sites.crs)}, but crs= says {_crs_name(given)}. "
            "Leave crs= out, or bring the sites there with sites.to_crs()."
        )
    return sites.set_crs(given)


def _check_coordinates(sites: gpd.GeoDataFrame) -> None:
    """Refuse numbers that their CRS cannot mean."""
    x, y = sites.geometry.x.to_numpy(), sites.geometry.y.to_numpy()
    name = _crs_name(sites.crs)
    if not sites.crs.is_geographic:
        to_lonlat(sites)
        if (np.abs(x) <= 180).all() and (np.abs(y) <= 90).all() and sites.crs.is_projected:
            logger.warning("All coordinates would fit degrees, but the CRS is %s: is that meant?", name)
        return
    far_x, far_y = np.abs(x) > 180, np.abs(y) > 90
    if not (far_x | far_y).any():
        return
    bad = far_x | far_y
    row = int(np.flatnonzero(bad)[0])
    numbers = f"({x[row]:.10g}, {y[row]:.10g})"
    where = f"Site {_few(sites.index[bad])}: {numbers} is not (longitude, latitude) in {name}"
    if (np.maximum(np.abs(x), np.abs(y))[bad] > 360).any():
        raise CRSError(
            f"{where}: the numbers look projected (metres or feet). "
            "Set the CRS that they are in, e.g. crs='EPSG:32630'."
        )
    if (far_y[bad] & (np.abs(x[bad]) <= 90) & (np.abs(y[bad]) <= 180)).all():
        raise CRSError(
            f"{where}: latitude lies outside [-90, 90]. "
            "Longitude and latitude look swapped: give longitude first."
        )
    if far_y.any():
        raise CRSError(f"{where}: latitude lies outside [-90, 90]. Check the coordinates.")
    raise CRSError(
        f"{where}: longitude lies outside [-180, 180]. Where it counts to 360, subtract 360 above 180."
    )


def _parse_crs(crs: object) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise CRSError(
            f"crs={crs!r} is not a coordinate reference system. Give one such as 'EPSG:4326'."
        ) from error


def _crs_name(crs: pyproj.CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


# ------------------------------------------------------------------------------------------------------ paths


def _root(folder: str | PathLike[str]) -> Path:
    root = Path(folder).resolve()
    if not root.is_dir():
        raise MissingFileError(
            f"audio_root {root} is not a folder. Give the folder that holds the recordings."
        )
    return root


def _audio_paths(cells: pd.Series, root: Path, absent: str) -> pd.Series:
    texts = [_text(cell) for cell in cells]
    empty = [site for site, text in zip(cells.index, texts, strict=True) if text is None]
    if empty:
        raise SitesError(f"Site {_few(empty)} has an empty audio cell. Name a recording, or drop the row.")
    found = [
        _inside(root, text, site, "audio") for site, text in zip(cells.index, texts, strict=True) if text
    ]
    lost = [str(text) for text, (_, exists) in zip(texts, found, strict=True) if not exists]
    if lost and absent == "raise":
        raise _absent("recordings", lost, len(texts), root)
    return pd.Series([str(path) for path, _ in found], cells.index, dtype=object)


def _photo_paths(cells: pd.Series, root: Path, absent: str) -> pd.Series:
    paths: list[str | None] = []
    lost = []
    for site, cell in cells.items():
        text = _text(cell)
        path, exists = (None, True) if text is None else _inside(root, text, site, "photo")
        if not exists:
            lost.append(str(text))
        paths.append(str(path) if path is not None and exists else None)
    if lost and absent == "raise":
        raise _absent("photos", lost, len(paths), root)
    if lost:
        logger.warning("%d photos are absent and left out: %s (looked in %s)", len(lost), _few(lost), root)
    return pd.Series(paths, cells.index, dtype=object)


def _inside(root: Path, text: str, site: object, kind: str) -> tuple[Path, bool]:
    """Resolve a path, links and all, that must lie within `root`; and say whether a file is there."""
    try:
        path = (root / text).resolve()
        if path.is_relative_to(root):
            return path, path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long, a circle of links, a NUL
        raise SitesError(
            f"Site {str(site)!r}: {kind} {text!r} is no usable path ({_line(error)})."
        ) from error
    raise SitesError(
        f"Site {str(site)!r}: {kind} {text!r} lies outside {root}. "
        "Keep files within that folder, or pass audio_root= with the one that holds them all."
    )


def _absent(what: str, lost: list[str], count: int, root: Path) -> MissingFileError:
    return MissingFileError(
        f"{len(lost)} of {count} {what} are absent: {_few(lost)} (looked in {root}). "
        "Pass audio_root= with the folder that holds them, or absent='keep' to go on without."
    )


# ------------------------------------------------------------------------------------------------------ words


def _text(cell: Any) -> str | None:
    """Say a cell as text, None for a gap; whole numbers that a gap elsewhere made floats are whole again."""
    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return None
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        cell = int(cell)
    return str(cell).strip() or None


def _quoted(cell: object) -> str:
    return repr(_text(cell) or "")


def _few(names: Iterable[object], most: int = 3) -> str:
    """Name a few, count the rest."""
    texts = [repr(str(name)) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _line(error: BaseException) -> str:
    """Say an error in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
