"""What one recording says of itself: GUANO, AudioMoth comment, BWF, iXML, INFO, ID3, Vorbis and MP4 tags.

Nothing here raises because of a file: what cannot be read is noted in `Known.problems`. Positions and times come
in the order in which they are trusted.
"""

from __future__ import annotations

import re
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import soundfile

from soundit_geo.field.evidence import Known, parse_time, shorten
from soundit_geo.field.names import read_name
from soundit_geo.field.riff import read_chunks

if TYPE_CHECKING:
    from pathlib import Path

    from soundit_geo.field.names import DateOrder

__all__ = ["read_audiomoth", "read_guano", "read_tags"]

_LENGTH_TOLERANCE = 1.0  # seconds between a length in the metadata and the one of the sound
_MOST_TAGS = 1000
_LONGEST_TEXT = 4096
_ISO6709 = re.compile(
    r"(?P<lat>[+-]\d{1,2}(?:\.\d+)?)(?P<lon>[+-]\d{1,3}(?:\.\d+)?)(?:[+-][\d.]+)?(?:CRS\S*)?/?"
)
_NUMBER = r"[+-]?\d{1,3}(?:\.\d+)?"
_PAIR = re.compile(rf"(?:geo:)?(?P<lat>{_NUMBER})\s*[,; ]\s*(?P<lon>{_NUMBER})")
_PLACE_TAGS = ("location", "geo_location", "geolocation", "gps", "gpslocation", "coordinates", "geo", "©xyz")
_COORDINATE_TAGS = (
    ("latitude", "longitude"),
    ("lat", "lon"),
    ("gpslatitude", "gpslongitude"),
    ("gps_latitude", "gps_longitude"),
    ("geo_lat", "geo_lon"),
)
_TIME_TAGS = ("tdrc", "icrd", "creation_time", "date", "©day")
_APOREE = re.compile(rf"(?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d) .*?(?P<lat>{_NUMBER})/(?P<lon>{_NUMBER})")
_AUDIOMOTH = re.compile(
    r"Recorded at (?P<time>\d\d:\d\d:\d\d(?:\.\d+)?) (?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{4})"
    r"(?: \(UTC(?:(?P<sign>[+-])(?P<hours>\d{1,2})(?::(?P<minutes>\d\d))?)?(?P<close>\)))?"
)


def read_tags(path: Path, order: DateOrder | None = None) -> Known:
    """Read what a recording says of its place and time, by its metadata and its name.

    Parameters
    ----------
    path : Path
        A recording.
    order : {"ymd", "dmy", "mdy"}, optional
        In which order dates stand in names where the numbers do not tell.

    Returns
    -------
    Known
        Positions, times, length and recorder; whatever could not be read is among its problems.
    """
    known = Known()
    for name, read in (("sound", _read_sound), ("WAV metadata", _read_wav), ("tags", _read_tagged)):
        try:
            read(path, known)
        except Exception as error:  # noqa: BLE001 - parsers raise anything on broken bytes
            known.problems.append(f"{name} cannot be read: {_reason(error)}")
    read_name(path.stem, known, order)
    return known


def read_guano(block: bytes, known: Known) -> None:
    """Note what GUANO metadata say (Reichert, GUANO 1.0: positions are WGS 84, the time is that of the start).

    Parameters
    ----------
    block : bytes
        Content of a ``guan`` chunk.
    known : Known
        Gets position, time and recorder.
    """
    import logging

    import guano

    guano.log.addHandler(logging.NullHandler())  # its logger stands outside the tree and prints to stderr
    try:
        fields = guano.GuanoFile.from_string(block)
    except ValueError as error:
        known.problems.append(f"GUANO is broken: {_reason(error)}")
        return
    place = fields.get("Loc Position")
    if isinstance(place, tuple) and len(place) == 2:
        known.add_position(*place, "GUANO")
    elif place is not None:
        known.problems.append(f"GUANO Loc Position is no latitude and longitude: {shorten(place)}")
    time = fields.get("Timestamp")
    if isinstance(time, str):
        known.add_time_text(time, "GUANO")
    elif time is not None:
        offset = time.utcoffset()
        known.add_time(time if offset is None else time.replace(tzinfo=timezone(offset)), "GUANO")
    length = fields.get("Length")
    if isinstance(length, float) and known.seconds is not None:
        if not abs(length - known.seconds) <= _LENGTH_TOLERANCE:
            known.problems.append(f"GUANO says {length:g} s, the sound lasts {known.seconds:.1f} s")
    elif length is not None and not isinstance(length, float):
        known.problems.append(f"GUANO Length is no number: {shorten(length)}")
    known.recorder = known.recorder or str(fields.get("Serial") or "").strip()[:64]


def read_audiomoth(comment: str, known: Known, source: str = "AudioMoth comment") -> None:
    """Note what the comment of an AudioMoth says.

    metamoth knows the comments of each firmware; where it knows one, the recorder comes from it. Time and offset
    are read here: metamoth 1.2.2 takes UTC-3:30 for UTC-2:30, and a comment without a zone for UTC.

    Parameters
    ----------
    comment : str
        The text, beginning with ``Recorded at``.
    known : Known
        Gets time and recorder.
    source : str
        Who says so.
    """
    from metamoth.parsing import MessageFormatError, parse_comment

    match = _AUDIOMOTH.match(comment)
    time = match and parse_time(f"{match['year']}-{match['month']}-{match['day']}T{match['time']}")
    if match is None or time is None:
        known.problems.append(f"{source} holds no time: {shorten(comment)}")
        return
    if match["close"] is None:
        known.problems.append(f"{source} names no time zone (firmware 1.0 keeps UTC)")
    else:
        offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
        if offset > timedelta(hours=14):
            known.problems.append(f"{source} has no such offset from UTC: {shorten(match[0])}")
            return
        time = time.replace(tzinfo=timezone(-offset if match["sign"] == "-" else offset))
    known.add_time(time, source)
    try:
        known.recorder = known.recorder or str(parse_comment(comment)["audiomoth_id"])
    except (MessageFormatError, ValueError):
        known.problems.append(f"{source} is of a firmware that metamoth does not know; only its time is read")


def _read_sound(path: Path, known: Known) -> None:
    """Note the length, which also shows that the file can be decoded."""
    about = soundfile.info(path)
    if not about.frames > 0 or not about.samplerate > 0:
        known.problems.append("the file holds no sound (0 s)")
        return
    known.seconds = about.frames / about.samplerate


def _read_wav(path: Path, known: Known) -> None:
    chunks, problems = read_chunks(path)
    known.problems.extend(problems)
    info = {name.removeprefix("INFO/"): _text(block) for name, block in chunks.items() if name[:5] == "INFO/"}
    comment = info.pop("ICMT", "")
    if "guan" in chunks:
        read_guano(chunks["guan"], known)
    if comment.startswith("Recorded at"):
        read_audiomoth(comment, known)
    if "bext" in chunks:
        _read_bext(chunks["bext"], known)
    if "iXML" in chunks:
        _read_ixml(chunks["iXML"], known)
    _read_texts({name.lower(): text for name, text in info.items()}, "INFO", known)


def _read_bext(block: bytes, known: Known) -> None:
    """Origination date and time of a Broadcast Wave file (EBU Tech 3285); they carry no offset."""
    date, time = _text(block[320:330]), _text(block[330:338])
    if not date.strip("0-:_. "):
        return
    written = f"{re.sub(r'[-_:. ]', '-', date)}T{re.sub(r'[-_:. ]', ':', time)}"
    known.add_time_text(written, "BWF bext")


def _read_ixml(block: bytes, known: Known) -> None:
    """Place in an iXML chunk: ``LOCATION_GPS``, latitude then longitude in degrees."""
    text = _text(block)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        known.problems.append("iXML declares entities; not read")
        return
    try:
        root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # noqa: S314 - no entities
    except ET.ParseError as error:
        known.problems.append(f"iXML is broken: {_reason(error)}")
        return
    place = root.findtext(".//LOCATION/LOCATION_GPS")
    if place and place.strip():
        _read_place(place, "iXML LOCATION_GPS", known)


def _read_tagged(path: Path, known: Known) -> None:
    """Tags that mutagen knows: ID3, Vorbis comments, MP4."""
    import mutagen

    file = mutagen.File(path)
    if file is None or not file.tags:
        return
    kind = {"ID3": "ID3", "_WaveID3": "ID3", "MP4Tags": "MP4"}.get(type(file.tags).__name__, "Vorbis")
    _read_texts(_flat(file.tags), kind, known)


def _flat(tags: Any) -> dict[str, str]:
    """Tags as lower-case name to text: ID3's user texts and MP4's free forms by their own name."""
    texts: dict[str, str] = {}
    for key, value in list(tags.items())[:_MOST_TAGS]:
        name = str(key).lower().removeprefix("txxx:").rpartition(":com.apple.itunes:")[2]
        name = "comment" if name.startswith(("comm:", "©cmt", "description")) else name
        content = getattr(value, "text", value)
        first = content[0] if isinstance(content, (list, tuple)) and content else content
        text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
        texts.setdefault(name, text[:_LONGEST_TEXT])
    return texts


def _read_texts(texts: dict[str, str], kind: str, known: Known) -> None:
    """Tags of any kind, by their lower-case names."""
    comment = texts.get("comment", "")
    if comment.startswith("Recorded at") and "AudioMoth" in comment:
        read_audiomoth(comment, known, f"AudioMoth comment in {kind}")
    aporee = _APOREE.fullmatch(comment)
    if aporee:  # radio aporee writes: time, address, latitude/longitude
        known.add_position(float(aporee["lat"]), float(aporee["lon"]), f"{kind} comment (radio aporee)")
        known.add_time_text(aporee["time"], f"{kind} comment (radio aporee)")
    for lat, lon in _COORDINATE_TAGS:
        if lat in texts and lon in texts:
            _read_coordinates(texts[lat], texts[lon], f"{kind} {lat}, {lon}", known)
    for name in _PLACE_TAGS:
        if any(sign.isdigit() for sign in texts.get(name, "")):
            _read_place(texts[name], f"{kind} {name}", known)
    for name in _TIME_TAGS:
        if texts.get(name, "").strip():
            known.add_time_text(texts[name], f"{kind} {name}")


def _read_coordinates(lat: str, lon: str, source: str, known: Known) -> None:
    try:
        numbers = float(lat), float(lon)
    except ValueError:
        known.problems.append(f"{source} are not two numbers in degrees: {shorten(lat)}, {shorten(lon)}")
    else:
        known.add_position(*numbers, source)


def _read_place(text: str, source: str, known: Known) -> None:
    """A place as ISO 6709, a geo URI (RFC 5870), or latitude and longitude in degrees."""
    match = _ISO6709.fullmatch(text.strip()) or _PAIR.fullmatch(text.strip())
    if match:
        known.add_position(float(match["lat"]), float(match["lon"]), f"{source} (latitude, longitude)")
    else:
        known.problems.append(f"{source} is no latitude and longitude in degrees: {shorten(text)}")


def _text(block: bytes) -> str:
    whole = block.split(b"\0", 1)[0] if block[:1] != b"\0" else b""
    try:
        return whole.decode("utf-8").strip()
    except UnicodeDecodeError:
        return whole.decode("latin-1").strip()


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
