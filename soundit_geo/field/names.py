"""Dates, offsets and places in the names of recordings.

=========================== ============================================ =======================
recorder                    form                                         example
=========================== ============================================ =======================
AudioMoth                   date_time, perhaps with T at its end         ``20240501_103000T.WAV``
AudioMoth, firmware 1.0     UNIX time in hexadecimal, UTC                ``5CC97448.WAV``
Song Meter                  prefix, date and time                        ``SM4A_20240501_103000.wav``
Frontier Labs BAR           date, time, offset, place                    ``20240501T103000+1000_[-27.3+152.8].flac``
Zoom, Sony, Samsung         two-digit year: needs `order`                ``240501_103000.wav``
phones                      date and time with signs between             ``Recording 2024-05-01 10.30.00.mp3``
=========================== ============================================ =======================

Three numbers that can be read as several dates are refused, unless the user says in which order they stand.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal

from soundit_geo.field.evidence import EARLIEST_YEAR

if TYPE_CHECKING:
    from soundit_geo.field.evidence import Known

DateOrder = Literal["ymd", "dmy", "mdy"]

SOURCE: Final = "file name"

_TIME = r"(?P<hour>\d\d)(?P<sign>[-_.:h]?)(?P<minute>\d\d)(?:(?P=sign)(?P<second>\d\d)|(?P<half>(?=\D|$)))"
_OFFSET = r"(?P<offset>Z|[+-]\d\d:?\d\d)?"
_BETWEEN = r"(?P<between>[T_\-$., ]|\s+at\s+|,\s+)?"
_STAMP = re.compile(
    r"(?<!\d)(?P<date>\d{8}|\d{6}|\d{4}([-_.])\d\d\2\d\d|\d\d([-_.])\d\d\3\d{4})"
    rf"{_BETWEEN}{_TIME}(?!\d){_OFFSET}"
)
_DAY = re.compile(r"(?<!\d)(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)")
_HEXADECIMAL = re.compile(r"[0-9A-F]{8}")
_FIRST_AUDIOMOTH = datetime(2015, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"\[(?P<lat>[+-]\d{1,2}\.\d+)(?P<lon>[+-]\d{1,3}\.\d+)\]")


def read_name(stem: str, known: Known, order: DateOrder | None = None) -> None:
    """Note what a file's name says of its time and place.

    Parameters
    ----------
    stem : str
        The name without its ending.
    known : Known
        Gets the time and the position, or why they cannot be used.
    order : {"ymd", "dmy", "mdy"}, optional
        In which order year, month and day stand, where the numbers alone do not tell.
    """
    place = _PLACE.search(stem)
    if place:
        known.add_position(float(place["lat"]), float(place["lon"]), SOURCE)
    found = [_read_stamp(match, order) for match in _STAMP.finditer(stem)]
    times = {one for one in found if isinstance(one, datetime)}
    doubts = [one for one in found if isinstance(one, str) and one]
    if len(times) == 1 and not doubts:
        known.add_time(times.pop(), SOURCE)
    elif times:
        known.problems.append(f"the file name holds {len(found)} times; none is used")
    elif doubts:
        known.problems.append(doubts[0])
    elif _HEXADECIMAL.fullmatch(stem) and _unix(stem) > _FIRST_AUDIOMOTH:
        known.add_time(_unix(stem), f"{SOURCE} (UNIX time, UTC)")
    elif _DAY.search(stem):
        known.hints.append(f"{SOURCE} gives a date, no time of day")


def _read_stamp(match: re.Match[str], order: DateOrder | None) -> datetime | str:
    """Read a date with a time; say why not where it has several readings; empty where it has none."""
    parts = match["date"], match["hour"], match["minute"], match["second"] or "00"
    digits = re.sub(r"\D", "", parts[0])
    readings = {name: day for name in ("ymd", "dmy", "mdy") if (day := _date(digits, name)) is not None}
    if order in readings:
        readings = {order: readings[order]}
    elif order and readings.keys() - {"ymd"}:
        return f"the date {match['date']} in the file name does not stand in the order {order}"
    clock = tuple(int(part) for part in parts[1:])
    if not readings or clock[0] > 23 or clock[1] > 59 or clock[2] > 59:
        return ""
    if len(set(readings.values())) > 1:
        said = ", ".join(f"{day:%Y-%m-%d} ({name})" for name, day in readings.items())
        return f"the date {match['date']} in the file name may be {said}: state the order"
    time = next(iter(readings.values())).replace(hour=clock[0], minute=clock[1], second=clock[2])
    return time.replace(tzinfo=_offset(match["offset"]) if match["between"] == "T" else None)


def _date(digits: str, order: str) -> datetime | None:
    """Read eight or six digits in an order, a two-digit year as of this century."""
    wide = len(digits) - 4
    cuts = {"ymd": (0, wide, wide + 2), "dmy": (4, 2, 0), "mdy": (4, 0, 2)}[order]
    year, month, day = (digits[cuts[0] : cuts[0] + wide], *(digits[cut : cut + 2] for cut in cuts[1:]))
    try:
        found = datetime(int(year) + (2000 if wide == 2 else 0), int(month), int(day))  # noqa: DTZ001
    except ValueError:
        return None
    latest = datetime.now(UTC).year + 1
    return found if EARLIEST_YEAR <= found.year <= latest or found.year in (1970, 1980) else None


def _offset(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    size = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    if size > timedelta(hours=14):
        return None
    return timezone(-size if text[0] == "-" else size)


def _unix(stem: str) -> datetime:
    return datetime.fromtimestamp(int(stem, 16), UTC)
