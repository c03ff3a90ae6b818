"""Photos with what their EXIF says of time and place, and which of them shows the place of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from soundit_geo.field.evidence import Known, Moment, Position, parse_time, shorten, to_aware
from soundit_geo.field.tracks import metres_between

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo
    from pathlib import Path

PHOTO_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
"""Pictures that Pillow opens, and whose EXIF it reads."""

_EXIF, _GPS = 0x8769, 0x8825  # tags of the two directories (EXIF 2.32)
_ORIGINAL, _OFFSET = 0x9003, 0x9011


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with its time and place.

    Parameters
    ----------
    path : Path
        Where it lies.
    time : datetime, optional
        When it was taken, aware.
    position : Position, optional
        Where it was taken from.
    problems : tuple of str
        What of its EXIF cannot be used.
    """

    path: Path
    time: datetime | None
    position: Position | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A photo that belongs to a recording.

    Parameters
    ----------
    photo : Photo
        The photo.
    seconds : float, optional
        Between the photo and the recording, 0 while it ran; None where either has no time.
    metres : float, optional
        Between the photo's place and the site; None where the photo holds none.
    """

    photo: Photo
    seconds: float | None
    metres: float | None


def read_photo(path: Path, zone: tzinfo | None = None) -> Photo:
    """Read the EXIF of a photo. Nothing here raises because of the file.

    Parameters
    ----------
    path : Path
        A picture.
    zone : tzinfo, optional
        Where a camera's clock without an offset was kept.

    Returns
    -------
    Photo
        The time is ``DateTimeOriginal`` with its offset, else the receiver's time (UTC), else
        ``DateTimeOriginal`` in `zone`.
    """
    from PIL import Image

    known = Known()
    time = None
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            taken, gps = dict(exif.get_ifd(_EXIF)), dict(exif.get_ifd(_GPS))
        _read_place(gps, known)
        time = _read_time(taken, gps, known, zone)
    except Exception as error:  # noqa: BLE001 - Pillow raises anything on broken bytes
        known.problems.append(
            f"EXIF cannot be read: {' '.join(str(error).split())[:200] or type(error).__name__}"
        )
    return Photo(path, time, known.positions[0] if known.positions else None, tuple(known.problems))


def find_photo(
    photos: Iterable[Photo],
    start: datetime | None,
    seconds: float,
    position: Position,
    *,
    max_seconds: float,
    max_metres: float,
) -> Match | None:
    """Find the photo of a recording.

    A photo belongs to a recording where neither its time nor its place lies beyond the limits, and at least one
    of them is known. The best is the one of which more is known; then the nearest in time, then in space.

    Parameters
    ----------
    photos : iterable of Photo
        Those there are.
    start : datetime, optional
        When the recording began, aware; None where that is unknown.
    seconds : float
        Its length.
    position : Position
        Where it was made.
    max_seconds : float
        Between the recording and the photo.
    max_metres : float
        Between the site and the place of the photo.

    Returns
    -------
    Match or None
        None where no photo belongs to it.
    """
    matches = []
    for photo in photos:
        gap = None if start is None or photo.time is None else _gap(photo.time, start, seconds)
        if gap is not None and gap > max_seconds:
            continue
        metres = None if photo.position is None else metres_between(photo.position, position)
        if (metres is not None and metres > max_metres) or (gap is None and metres is None):
            continue
        matches.append(Match(photo, gap, metres))
    return min(matches, key=_order, default=None)


def _order(match: Match) -> tuple[int, float, float, str]:
    unknown = (match.seconds is None) + (match.metres is None)
    return unknown, match.seconds or 0.0, match.metres or 0.0, str(match.photo.path)


def _gap(time: datetime, start: datetime, seconds: float) -> float:
    """Seconds between a time and a recording, 0 within it."""
    since = (time - start).total_seconds()
    return max(0.0, -since, since - seconds)


def _read_place(gps: dict[int, Any], known: Known) -> None:
    """Degrees, minutes and seconds with their hemispheres, tags 1 to 4."""
    if 2 not in gps and 4 not in gps:
        return
    hemispheres = [str(gps.get(tag, "")).strip("\0 ").upper() for tag in (1, 3)]
    if hemispheres[0] not in ("N", "S") or hemispheres[1] not in ("E", "W"):
        known.problems.append(f"EXIF GPS names no hemisphere: {shorten(hemispheres)}")
        return
    lat, lon = (
        sum(float(part) / 60.0**power for power, part in enumerate(gps.get(tag, ()))) for tag in (2, 4)
    )
    signed = (-lat if hemispheres[0] == "S" else lat), (-lon if hemispheres[1] == "W" else lon)
    known.add_position(*signed, "EXIF GPS")


def _read_time(
    taken: dict[int, Any], gps: dict[int, Any], known: Known, zone: tzinfo | None
) -> datetime | None:
    text, offset = (str(taken.get(tag, "")).strip("\0 ") for tag in (_ORIGINAL, _OFFSET))
    camera = parse_time(text + offset) or parse_time(text)
    if camera is not None:
        known.add_time(camera, "EXIF DateTimeOriginal")
    receiver = _receiver_time(gps)
    if receiver is not None:
        known.add_time(receiver, "EXIF GPS time")
    known.moments.sort(key=lambda moment: moment.time.tzinfo is None)
    return _first(known.moments, known, zone)


def _first(moments: list[Moment], known: Known, zone: tzinfo | None) -> datetime | None:
    if not moments:
        return None
    time = to_aware(moments[0].time, zone)
    if isinstance(time, datetime):
        return time
    known.problems.append(f"{moments[0].source} {moments[0].time.isoformat()}: {time}")
    return None


def _receiver_time(gps: dict[int, Any]) -> datetime | None:
    """``GPSDateStamp`` and ``GPSTimeStamp``, tags 29 and 7, which are UTC."""
    day = parse_time(f"{str(gps.get(29, '')).strip(chr(0) + ' ')}T00:00:00")
    if day is None or len(gps.get(7, ())) != 3:
        return None
    hours, minutes, seconds = (float(part) for part in gps[7])
    return day.replace(tzinfo=UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
