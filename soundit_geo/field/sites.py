"""Sites from a folder of recordings, and a report of what each file said and what it did not.

::

    recordings ─► tags and names ─► times ─► tracks, tables ─► positions ─► photos ─► sites + report

A position comes from the file itself, else from a table that names it or its recorder, else from a track at its
time. A time comes from the metadata in the order GUANO, AudioMoth comment, BWF, INFO, ID3 or Vorbis tags, else from
the file's name; one with an offset goes before one without. The date of the file itself is not used: copying
changes it. Sources that disagree are reported.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from soundit_geo.errors import InputError, SitesError
from soundit_geo.field import files, photos, report, tags, tracks
from soundit_geo.field.evidence import Moment, Position, ascii_safe, parse_zone, to_aware
from soundit_geo.field.report import Found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo
    from os import PathLike

    import geopandas as gpd
    import pandas as pd

    from soundit_geo.field.names import DateOrder
    from soundit_geo.field.report import Note
    from soundit_geo.field.tracks import Method

__all__ = ["FieldSites", "Limits", "sites_from_folder"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far apart things may lie that are taken to belong together.

    Parameters
    ----------
    gap : float
        Seconds between a recording and a fix of a track.
    photo_gap : float
        Seconds between a recording and its photo.
    photo_distance : float
        Metres between a site and the place of its photo.
    disagreement : float
        Metres between two positions of one recording, from which on they contradict each other.
    times_disagreement : float
        Seconds between two times of one recording, from which on they contradict each other.

    Raises
    ------
    InputError
        If one is negative or not finite.
    """

    gap: float = 60.0
    photo_gap: float = 600.0
    photo_distance: float = 50.0
    disagreement: float = 100.0
    times_disagreement: float = 60.0

    def __post_init__(self) -> None:
        """Check the fields once."""
        for name in self.__slots__:
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise InputError(f"The limit {name} is {getattr(self, name)}; expected a number from 0.")


@dataclass(frozen=True, slots=True, eq=False)
class FieldSites:
    """Sites of a folder, and the report.

    Parameters
    ----------
    sites : GeoDataFrame
        Index ``site``; points in EPSG:4326; ``audio`` and ``photo`` (absolute paths), ``time`` (ISO 8601, start of
        the recording; without an offset where no zone is known), ``seconds`` (length), ``recorder``, ``position``
        (who says so) and ``gap_s`` (seconds between recording and fix).
    report : DataFrame
        A row per file: what was found, where, what is missing, and what cannot be used or contradicts
        (``problems``). A recording whose ``site`` is empty is none. ``kind`` is recording, photo, track, table
        or folder; all but recordings have a row only where something is to be said of them.
    folder : Path
        The folder.
    """

    sites: gpd.GeoDataFrame
    report: pd.DataFrame
    folder: Path


def sites_from_folder(
    folder: str | PathLike[str],
    *,
    track: Sequence[str | PathLike[str]] = (),
    positions: Sequence[str | PathLike[str]] = (),
    photo_folder: str | PathLike[str] | None = None,
    timezone: str | tzinfo | None = None,
    date_order: DateOrder | None = None,
    method: Method = "interpolate",
    at: Literal["middle", "start"] = "middle",
    limits: Limits | None = None,
) -> FieldSites:
    """Make sites of the recordings in a folder, from what they know of themselves.

    Parameters
    ----------
    folder : path
        Searched with its subfolders.
    track : sequence of path
        GPX files of where the recordist was.
    positions : sequence of path
        CSV files of positions by file, by recorder or by time, see `soundit_geo.field.tracks.read_positions`.
    photo_folder : path, optional
        Where photos of the places lie; it may be the same folder.
    timezone : str or tzinfo, optional
        Where clocks without an offset were kept, for example ``"Europe/London"``. Nothing is assumed: without
        it, a time that states no offset finds no place on a track.
    date_order : {"ymd", "dmy", "mdy"}, optional
        In which order dates stand in file names where the numbers do not tell.
    method : {"interpolate", "nearest"}
        How a track answers between two fixes.
    at : {"middle", "start"}
        The moment of a recording whose place counts. The middle keeps the largest distance of a walking
        recordist smallest.
    limits : Limits, optional
        Of gaps and distances.

    Returns
    -------
    FieldSites
        A recording is a site where it can be decoded and has a position. No file stops the others.

    Raises
    ------
    MissingFileError
        The folder, a track or a table does not exist.
    SitesError
        The folder holds no recording; a track or table cannot be used.
    InputError
        An option is unknown, or a package of the extra ``field`` is not installed.
    """
    limits = limits or Limits()
    _check_installed()
    if method not in ("interpolate", "nearest") or at not in ("middle", "start"):
        raise InputError(f"method={method!r}, at={at!r}: expected interpolate or nearest, middle or start.")
    if date_order not in (None, "ymd", "dmy", "mdy"):
        raise InputError(f"date_order={date_order!r} is unknown. Use 'ymd', 'dmy' or 'mdy'.")
    zone, folder = parse_zone(timezone), Path(folder)
    walked = [tracks.read_track(path) for path in track]
    tables = [tracks.read_positions(path, zone) for path in positions]
    walked += [table for table in tables if isinstance(table, tracks.Track)]
    places = [table for table in tables if isinstance(table, tracks.Places)]
    recordings, refused = files.find_files(folder, files.AUDIO_SUFFIXES + files.UNDECODED_SUFFIXES)
    if not recordings and not refused:
        raise SitesError(
            f"{folder} holds no recordings. Endings that count: {' '.join(files.AUDIO_SUFFIXES)}."
        )

    found = [Found(path, tags.read_tags(path, date_order)) for path in recordings]
    names = Counter(one.path.name for one in found)
    for one in found:
        _settle_time(one, zone, limits)
        _settle_position(one, folder, names, places, walked, limits, method, at)
        _settle_sound(one)
    _note_copies(found, folder)
    _name_sites(found, folder)
    shots, of_photos = _read_photos(photo_folder, zone)
    for one in found:
        if one.site and one.position is not None:
            one.match = photos.find_photo(
                shots,
                one.time if one.time is not None and one.time.tzinfo is not None else None,
                one.known.seconds or 0.0,
                one.position,
                max_seconds=limits.photo_gap,
                max_metres=limits.photo_distance,
            )
    noted = [(one.name, "track", "", one.notes) for one in walked]
    noted += [(one.name, "table", "", one.notes) for one in places]
    noted += [
        (name, "recording" if Path(name).suffix else "folder", why, ()) for name, why in refused.items()
    ]
    return FieldSites(
        report.as_sites(found, with_photos=photo_folder is not None),
        report.as_report(found, folder, noted + of_photos),
        folder,
    )


# ------------------------------------------------------------------------------------------------------- time


def _settle_time(one: Found, zone: tzinfo | None, limits: Limits) -> None:
    """Choose among the times that a file gives, and say where they differ."""
    moments = one.known.moments
    settled: list[Moment] = []
    for moment in moments:
        time = to_aware(moment.time, zone)
        if isinstance(time, datetime):
            settled.append(replace(moment, time=time))
        elif zone is not None:
            one.known.problems.append(f"{moment.source} says {moment.time.isoformat()}: {time}; not used")
    stated = [k for k in settled if any(k.source == m.source and m.time.tzinfo is not None for m in moments)]
    chosen = next(iter(stated or settled or ([] if zone else moments)), None)
    if chosen is None:
        one.missing.append("; ".join(["time: none is known", *one.known.hints]))
        return
    if chosen.time.tzinfo is None:
        one.missing.append(f"time zone: {chosen.source} states none")
    one.time, one.time_from = chosen.time, chosen.source
    for other in moments:
        apart = _apart(chosen.time, other.time, zone)
        if apart > limits.times_disagreement:
            one.known.problems.append(
                f"{other.source} says {other.time.isoformat()}, {chosen.source} {chosen.time.isoformat()}: "
                f"{apart:.0f} s apart; the latter is used"
            )


def _apart(time: datetime, other: datetime, zone: tzinfo | None) -> float:
    """Seconds between two times; a clock without an offset agrees where it shows the same hour."""
    shown = abs((time.replace(tzinfo=None) - other.replace(tzinfo=None)).total_seconds())
    aware = to_aware(other, zone)
    if time.tzinfo is None or not isinstance(aware, datetime):
        return shown
    truly = abs((time - aware).total_seconds())
    return truly if other.tzinfo is not None else min(truly, shown)


# --------------------------------------------------------------------------------------------------- position


def _settle_position(
    one: Found,
    folder: Path,
    names: Mapping[str, int],
    places: Sequence[tracks.Places],
    walked: Sequence[tracks.Track],
    limits: Limits,
    method: Method,
    at: str,
) -> None:
    """Choose among the positions of a recording, and say where they contradict each other."""
    candidates = list(one.known.positions)
    candidates += _from_tables(one, folder, names, places)
    reason = "the file holds no position"
    if walked and one.time is not None and one.time.tzinfo is not None:
        when = one.time + timedelta(seconds=(one.known.seconds or 0.0) / 2 if at == "middle" else 0.0)
        on_tracks, why = tracks.locate(walked, when, limits.gap, method)
        reason = f"{reason}; {why}" if why else reason
        if len(on_tracks) > 1:
            far = tracks.metres_between(on_tracks[0], on_tracks[-1])
            if far > limits.disagreement and not candidates:
                sources = " and ".join(position.source for position in on_tracks)
                one.missing.append(f"position: {sources} are {far:.0f} m apart at its time")
                return
        candidates += on_tracks
    elif walked:
        reason += f"; no track without a time{' zone' if one.time else ''}"
    if not candidates:
        one.missing.append(f"position: {reason}")
        return
    one.position = candidates[0]
    for other in candidates[1:]:
        far = tracks.metres_between(one.position, other)
        if far > limits.disagreement:
            one.known.problems.append(
                f"{other.source} lies {far:.0f} m from {one.position.source}; the latter is used"
            )


def _from_tables(
    one: Found, folder: Path, names: Mapping[str, int], places: Sequence[tracks.Places]
) -> list[Position]:
    found = []
    for table in places:
        inside = one.path.relative_to(folder).as_posix()
        keys = [inside, one.path.name] if table.key == "audio" else [one.known.recorder]
        key = next((key for key in keys if key and key in table.rows), None)
        if key is None:
            continue
        if key == one.path.name != inside and names[key] > 1:
            one.known.problems.append(
                f"{table.name} names {key!r}, and {names[key]} files are named so; it is not used"
            )
            continue
        found.append(Position(*table.rows[key], f"{table.name} by {table.key}"))
    return found


# ------------------------------------------------------------------------------------------------ files, names


def _settle_sound(one: Found) -> None:
    if one.path.suffix.lower() in files.UNDECODED_SUFFIXES:
        one.known.problems = [text for text in one.known.problems if not text.startswith("sound cannot")]
        one.missing.append(f"sound: {one.path.suffix} is not decoded; convert it to wav or flac")
        one.known.seconds = None
    elif one.known.seconds is None:
        one.missing.append("sound: it cannot be decoded")


def _note_copies(found: Sequence[Found], folder: Path) -> None:
    copies = files.same_bytes([one.path for one in found])
    for one in found:
        if one.path in copies:
            original = copies[one.path].relative_to(folder).as_posix()
            one.known.problems.append(f"the same bytes as {ascii_safe(original)}")


def _name_sites(found: Sequence[Found], folder: Path) -> None:
    """Name sites by their file's stem where that is unique, else by the path within the folder."""
    sites = [one for one in found if one.position is not None and one.known.seconds is not None]
    stems = Counter(one.path.stem for one in sites)
    paths = Counter(one.path.relative_to(folder).with_suffix("").as_posix() for one in sites)
    for one in sites:
        inside = one.path.relative_to(folder)
        plain = inside.with_suffix("").as_posix()
        alone = stems[one.path.stem] == 1
        one.site = one.path.stem if alone else plain if paths[plain] == 1 else inside.as_posix()
    twice = {name for name, count in Counter(one.site for one in sites).items() if count > 1}
    for one in sites:
        if one.site in twice:  # the stem of one is the path of another
            one.site = one.path.relative_to(folder).as_posix()


def _read_photos(
    folder: str | PathLike[str] | None, zone: tzinfo | None
) -> tuple[list[photos.Photo], list[Note]]:
    if folder is None:
        return [], []
    paths, refused = files.find_files(Path(folder), photos.PHOTO_SUFFIXES)
    shots = [photos.read_photo(path, zone) for path in paths]
    noted: list[Note] = [(name, "photo", why, ()) for name, why in refused.items()]
    for shot in shots:
        lacks = "no time and no place in its EXIF" if shot.time is None and shot.position is None else ""
        noted.append((ascii_safe(shot.path.relative_to(folder).as_posix()), "photo", lacks, shot.problems))
    return shots, noted


def _check_installed() -> None:
    absent = [name for name in ("guano", "metamoth", "gpxpy") if find_spec(name) is None]
    if absent:
        raise InputError(
            f"Field recordings need {', '.join(absent)}. Install them: pip install 'soundit-geo[field]'"
        )
