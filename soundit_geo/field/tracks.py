"""Where the recordist was when: GPX tracks, and tables of positions by time, by file or by recorder.

Positions between two fixes are interpolated along the geodesic of WGS 84 (pyproj), in proportion to time; so no
projected CRS has to be chosen, and the antimeridian is no border. Nothing is extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import pyproj

from soundit_geo.errors import MissingFileError, SitesError
from soundit_geo.field.evidence import Position, parse_time, position_doubt, shorten, to_aware

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo
    from os import PathLike

    from numpy.typing import NDArray

Method = Literal["interpolate", "nearest"]

WGS84 = pyproj.Geod(ellps="WGS84")
"""The ellipsoid on which distances in metres and positions between fixes are computed."""

_LON_NAMES = ("lon", "longitude", "lng", "long", "x")
_LAT_NAMES = ("lat", "latitude", "y")
_KEYS = {
    "audio": ("audio", "file", "filename", "file_name", "path", "recording"),
    "recorder": ("recorder", "recorder_id", "serial", "device", "device_id"),
    "time": ("time", "timestamp", "datetime", "date_time", "utc"),
}


class NoFixError(LookupError):
    """A track does not say where it was at some time."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Fixes in the order of time.

    Parameters
    ----------
    name : str
        What reports call it.
    seconds : array
        Times of the fixes, shape (n,), in seconds since 1970-01-01 UTC, rising.
    lon, lat : array
        Degrees, WGS 84, shape (n,).
    notes : tuple of str
        What was left out of the file.
    """

    name: str
    seconds: NDArray[np.float64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def position_at(self, time: datetime, max_gap: float, method: Method) -> Position:
        """Find where the track was.

        Parameters
        ----------
        time : datetime
            Aware.
        max_gap : float
            Seconds that a fix may lie from `time`: the nearest one, or each of the two between which a position
            is interpolated.
        method : {"interpolate", "nearest"}
            Between two fixes; before the first and after the last fix, and where only one of two lies near
            enough, the nearest is taken and said to be.

        Returns
        -------
        Position
            Its `gap` is the distance in time to the farthest fix that was used, in seconds.

        Raises
        ------
        NoFixError
            No fix lies near enough.
        """
        when = time.timestamp()
        after = int(np.searchsorted(self.seconds, when))
        around = [k for k in (after - 1, after) if 0 <= k < len(self.seconds)]
        gaps = {k: abs(float(self.seconds[k]) - when) for k in around}
        nearest = min(around, key=gaps.__getitem__)
        if gaps[nearest] > max_gap:
            raise NoFixError(
                f"the nearest fix of {self.name} lies {gaps[nearest]:.0f} s away, over {max_gap:g} s "
                f"({self._span()})"
            )
        if method == "nearest" or gaps[nearest] == 0.0 or len(around) < 2 or max(gaps.values()) > max_gap:
            return Position(
                float(self.lon[nearest]), float(self.lat[nearest]), f"{self.name} (nearest)", gaps[nearest]
            )
        first, second = around
        azimuth, _, metres = WGS84.inv(self.lon[first], self.lat[first], self.lon[second], self.lat[second])
        share = gaps[first] / (gaps[first] + gaps[second])
        lon, lat, _ = WGS84.fwd(self.lon[first], self.lat[first], azimuth, share * metres)
        return Position(float(lon), float(lat), f"{self.name} (interpolated)", max(gaps.values()))

    def _span(self) -> str:
        first, last = (datetime.fromtimestamp(float(self.seconds[k]), UTC) for k in (0, -1))
        return f"the track runs from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Places:
    """Positions by the name of a file, or by the recorder.

    Parameters
    ----------
    name : str
        What reports call the table.
    key : {"audio", "recorder"}
        What its rows are found by.
    rows : dict
        Key to (longitude, latitude) in degrees, WGS 84.
    notes : tuple of str
        What was left out of the table.
    """

    name: str
    key: Literal["audio", "recorder"]
    rows: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_track(path: str | PathLike[str]) -> Track:
    """Read the track points of a GPX file.

    Parameters
    ----------
    path : path
        GPX 1.0 or 1.1. Times without an offset are UTC, as the format says.

    Returns
    -------
    Track
        All tracks and segments of the file together. Points without a time or a possible position are left out
        and counted in its notes; of several at one time the first counts.

    Raises
    ------
    MissingFileError
        There is no such file.
    SitesError
        It is no GPX, or no point carries a time.
    """
    import gpxpy

    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist. Give the path of a GPX file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SitesError(f"{path.name} cannot be read as GPX: {_reason(error)}.") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SitesError(f"{path.name} declares entities, which no GPX needs. Remove its DOCTYPE.")
    try:
        points = [point for point, *_ in gpxpy.parse(text).walk()]
    except Exception as error:
        raise SitesError(f"{path.name} cannot be read as GPX: {_reason(error)}.") from error
    timed = [
        (one.time if one.time.tzinfo else one.time.replace(tzinfo=UTC), one.longitude, one.latitude)
        for one in points
        if one.time is not None
    ]
    return _track(path.name, timed, "track point", {"without a time": len(points) - len(timed)})


def read_positions(path: str | PathLike[str], zone: tzinfo | None = None) -> Track | Places:
    """Read a table of positions: by time, by the name of the recording, or by the recorder.

    Parameters
    ----------
    path : path
        CSV (comma or semicolon) with columns of longitude and latitude in degrees, WGS 84, and one of ``audio``
        (file name or path within the folder), ``recorder`` (serial number) or ``time`` (ISO 8601), or one of
        their other usual names; the first of these three counts.
    zone : tzinfo, optional
        Where times without an offset were kept.

    Returns
    -------
    Track or Places
        Rows that cannot be used are left out and counted in its notes.

    Raises
    ------
    MissingFileError
        There is no such file.
    SitesError
        The table is unreadable, lacks a column, has no row that can be used, or names one recording or recorder
        at two places.
    """
    path = Path(path)
    table = _read_csv(path)
    lon, lat = (
        pd.to_numeric(_column(table, names, path), errors="coerce").to_numpy(np.float64)
        for names in (_LON_NAMES, _LAT_NAMES)
    )
    key = next((key for key, names in _KEYS.items() if _name(table, names) is not None), None)
    if key is None:
        raise SitesError(
            f"{path.name} has no column audio, recorder or time that says which recording a position belongs "
            f"to. It has: {', '.join(map(str, table.columns))}."
        )
    cells = [str(cell).strip() for cell in _column(table, _KEYS[key], path)]
    if key == "time":
        times = [parse_time(cell) for cell in cells]
        aware = [
            to_aware(time, zone) if time else shorten(cell) for time, cell in zip(times, cells, strict=True)
        ]
        if not any(isinstance(time, datetime) for time in aware):
            raise SitesError(
                f"{path.name}: no time can be used, such as {cells[0]!r} ({aware[0]}). Write them as "
                "2024-05-01T10:30:00+01:00, or state the time zone."
            )
        rows = zip(aware, lon, lat, strict=True)
        timed = [(time, x, y) for time, x, y in rows if isinstance(time, datetime)]
        return _track(path.name, timed, "row", {"without a usable time": len(cells) - len(timed)})
    return _places(path.name, key, cells, lon, lat)


def locate(
    tracks: Iterable[Track], time: datetime, max_gap: float, method: Method
) -> tuple[list[Position], str]:
    """Ask every track where it was.

    Parameters
    ----------
    tracks : iterable of Track
        In any order.
    time : datetime
        Aware.
    max_gap : float
        As for `Track.position_at`, in seconds.
    method : {"interpolate", "nearest"}
        As for `Track.position_at`.

    Returns
    -------
    positions : list of Position
        Of the tracks that know, the smallest gap first.
    reason : str
        Why there is none; empty where there is one.
    """
    found, reasons = [], []
    for track in tracks:
        try:
            found.append(track.position_at(time, max_gap, method))
        except NoFixError as error:
            reasons.append(str(error))
    found.sort(key=lambda position: position.gap)
    return found, "" if found else "; ".join(reasons)


def metres_between(one: Position, other: Position) -> float:
    """Measure how far two positions lie apart.

    Parameters
    ----------
    one, other : Position
        Two places.

    Returns
    -------
    float
        Metres along the geodesic of WGS 84.
    """
    return float(WGS84.inv(one.lon, one.lat, other.lon, other.lat)[2])


def _track(
    name: str, fixes: list[tuple[datetime, float, float]], kind: str, left_out: dict[str, int]
) -> Track:
    """Sort fixes, and leave out what cannot be one."""
    fine = [fix for fix in fixes if not position_doubt(fix[2], fix[1])]
    left_out = {**left_out, "without a possible position": len(fixes) - len(fine)}
    if not fine:
        counts = ", ".join(f"{count} {why}" for why, count in left_out.items() if count)
        raise SitesError(f"{name} has no {kind} with a time and a position ({counts or 'it is empty'}).")
    seconds, first = np.unique([time.timestamp() for time, _, _ in fine], return_index=True)
    left_out["at a time that stands there already"] = len(fine) - len(seconds)
    places = np.array([(lon, lat) for _, lon, lat in fine], dtype=np.float64)[first]
    notes = tuple(f"{count} {kind}s {why} are left out" for why, count in left_out.items() if count)
    return Track(name, seconds, places[:, 0], places[:, 1], notes)


def _places(
    name: str, key: str, cells: list[str], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> Places:
    rows: dict[str, tuple[float, float]] = {}
    notes = []
    for row, (cell, x, y) in enumerate(zip(cells, lon, lat, strict=True), start=1):
        doubt = position_doubt(y, x)
        if not cell or doubt:
            notes.append(f"row {row} ({shorten(cell)}) is left out: {doubt or f'no {key}'}")
        elif rows.setdefault(cell, (float(x), float(y))) != (x, y):
            raise SitesError(f"{name}, row {row}: {cell!r} stands at two places. Keep one of them.")
    if not rows:
        raise SitesError(
            f"{name} has no row with a position that can be used: {notes[0] if notes else 'empty'}."
        )
    return Places(name, "audio" if key == "audio" else "recorder", rows, tuple(notes))


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = ";" if ";" in header and "," not in header else ","
        return pd.read_csv(
            path, sep=separator, encoding="utf-8-sig", dtype=str, na_filter=False, index_col=False
        )
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist. Give the path of a CSV of positions.") from error
    except (OSError, ValueError) as error:  # pandas' ParserError and EmptyDataError are ValueErrors
        raise SitesError(f"{path.name} cannot be read as CSV: {_reason(error)}.") from error


def _name(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    spellings = {str(column).strip().lower(): str(column) for column in reversed(list(table.columns))}
    return next((spellings[name] for name in names if name in spellings), None)


def _column(table: pd.DataFrame, names: tuple[str, ...], path: Path) -> pd.Series:
    name = _name(table, names)
    if name is None:
        columns = ", ".join(map(str, table.columns))
        raise SitesError(f"{path.name} has no column {names[0]!r}. It has: {columns}.")
    return table[name]


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
