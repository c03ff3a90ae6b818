"""What a file can be known by: positions and times, each with its source, and what is doubtful about it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from soundit_geo.errors import InputError

NULL_ISLAND_DEGREES = 1e-3
"""A position this near to (0, 0), in degrees, is what receivers write before they have a fix."""

RESET_YEARS = (1970, 1980, 2000)
"""Years at whose beginning clocks start when they have lost the time."""

EARLIEST_YEAR = 1990
"""A time before this year is no time of a recording made as a file."""

_ISO = re.compile(r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d")
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Position:
    """A place on the Earth, and who says so.

    Parameters
    ----------
    lon, lat : float
        Longitude and latitude in degrees, WGS 84.
    source : str
        The tag, table or track that says so.
    gap : float
        Seconds between the recording and the fix that the position was taken from; 0 where the file itself
        holds the position.
    """

    lon: float
    lat: float
    source: str
    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, and who says so.

    Parameters
    ----------
    time : datetime
        Aware where the source states its offset from UTC, naive where it does not.
    source : str
        The tag or name that says so.
    """

    time: datetime
    source: str


@dataclass(slots=True)
class Known:
    """What is known of one file, collected source by source; the first of several is the most trusted.

    Parameters
    ----------
    positions : list of Position
        Positions that the file holds.
    moments : list of Moment
        Times at which it may have begun.
    seconds : float, optional
        Length of the sound; None where it cannot be decoded.
    recorder : str
        Serial number of the recorder, empty where unknown.
    problems : list of str
        What was found but cannot be used, or contradicts.
    hints : list of str
        What would have told the time, had it been whole: dates without a time of day.
    """

    positions: list[Position] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    seconds: float | None = None
    recorder: str = ""
    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def add_position(self, lat: float, lon: float, source: str) -> None:
        """Note a position, unless it cannot be one.

        Parameters
        ----------
        lat, lon : float
            Latitude and longitude in degrees, WGS 84.
        source : str
            Who says so.
        """
        doubt = position_doubt(lat, lon)
        if doubt:
            self.problems.append(f"{source} says latitude {lat:.6g}, longitude {lon:.6g}: {doubt}; not used")
        else:
            self.positions.append(Position(float(lon), float(lat), source))

    def add_time(self, time: datetime, source: str) -> None:
        """Note a time, unless it tells of a clock that was not set.

        Parameters
        ----------
        time : datetime
            Aware or naive.
        source : str
            Who says so.
        """
        doubt = time_doubt(time)
        if doubt:
            self.problems.append(f"{source} says {time.isoformat()}: {doubt}; not used")
        else:
            self.moments.append(Moment(time, source))

    def add_time_text(self, text: str, source: str) -> None:
        """Note a time written as ISO 8601.

        Parameters
        ----------
        text : str
            Date and time; a date alone is noted as such, other text is no time.
        source : str
            Who says so.
        """
        time = parse_time(text)
        if time is not None:
            self.add_time(time, source)
        elif _DATE.fullmatch(text.strip()):
            self.hints.append(f"{source} gives {text.strip()}, no time of day")
        else:
            self.problems.append(f"{source} is no ISO 8601 time: {shorten(text)}")


def position_doubt(lat: float, lon: float) -> str:
    """Say why a latitude and a longitude are no position.

    Parameters
    ----------
    lat, lon : float
        Degrees, WGS 84.

    Returns
    -------
    str
        Empty where they can be one.
    """
    if not (math.isfinite(lat) and math.isfinite(lon)):
        return "not two numbers"
    if abs(lat) > 90 or abs(lon) > 180:
        return "outside ±90 and ±180 degrees"
    if abs(lat) < NULL_ISLAND_DEGREES and abs(lon) < NULL_ISLAND_DEGREES:
        return "a receiver without a fix writes 0, 0"
    return ""


def time_doubt(time: datetime) -> str:
    """Say why a time is not when a recording was made.

    Parameters
    ----------
    time : datetime
        Aware or naive.

    Returns
    -------
    str
        Empty where it can be one.
    """
    if time.year in RESET_YEARS or time.year < EARLIEST_YEAR:
        return "the clock was not set"
    now = datetime.now(UTC) if time.tzinfo else datetime.now(UTC).replace(tzinfo=None)
    return "in the future" if time > now + timedelta(days=1) else ""


def parse_time(text: str) -> datetime | None:
    """Read a date with a time of day.

    Parameters
    ----------
    text : str
        ISO 8601, with or without an offset; a blank may stand for ``T``, and colons in the date as EXIF writes
        it.

    Returns
    -------
    datetime or None
        Aware where the text states an offset; None where it is no such text.
    """
    text = re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", text.strip())
    if not _ISO.match(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def parse_zone(name: str | tzinfo | None) -> tzinfo | None:
    """Find a time zone by its name.

    Parameters
    ----------
    name : str or tzinfo, optional
        Of the IANA database, such as ``Europe/London`` or ``UTC``, or a fixed offset such as ``+01:00``.

    Returns
    -------
    tzinfo or None
        None for None.

    Raises
    ------
    InputError
        There is no such zone.
    """
    if name is None or isinstance(name, tzinfo):
        return name
    if re.fullmatch(r"[+-]\d\d:\d\d", name):
        try:
            return datetime.fromisoformat(f"2000-01-01T00:00{name}").tzinfo
        except ValueError:
            pass
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"timezone={name!r} is unknown. Give a name such as Europe/London or UTC, or an offset: +01:00."
        ) from error


def to_aware(time: datetime, zone: tzinfo | None) -> datetime | str:
    """Give a time its offset from UTC.

    Parameters
    ----------
    time : datetime
        Aware times stay as they are.
    zone : tzinfo, optional
        Where naive times were kept.

    Returns
    -------
    datetime or str
        Aware; or why it cannot be: no zone, or an hour that the change of daylight saving skips or repeats.
    """
    if time.tzinfo is not None:
        return time
    if zone is None:
        return "no time zone is stated"
    early, late = (time.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = early.utcoffset(), late.utcoffset()
    if before == after or before is None or after is None:
        return early
    return f"{zone} has this hour {'twice' if before > after else 'not at all'}, as its clocks change"


def shorten(text: object, most: int = 60) -> str:
    """Quote a text from a file, its control characters escaped.

    Parameters
    ----------
    text : object
        Of any length.
    most : int
        How many characters are kept.

    Returns
    -------
    str
        On one line, in quotes.
    """
    whole = str(text)
    return ascii_safe(repr(whole if len(whole) <= most else whole[:most] + "…"))


def ascii_safe(text: str) -> str:
    """Escape what a terminal would obey, and what UTF-8 cannot write.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Printable; letters of every script stay.
    """
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in whole)
