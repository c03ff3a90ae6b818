"""Recordings, tracks and photos with metadata, made from bytes or by other people's writers, never by our readers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

RATE = 8_000


def riff(name: bytes, content: bytes) -> bytes:
    """One chunk, padded to an even length."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def info(**entries: str) -> bytes:
    """A LIST chunk of type INFO, entries by their four letters."""
    parts = b"".join(riff(name.encode(), text.encode() + b"\0") for name, text in entries.items())
    return riff(b"LIST", b"INFO" + parts)


def bext(date: str, time: str) -> bytes:
    """The beginning of a Broadcast Wave chunk, after EBU Tech 3285."""
    return riff(b"bext", b"\0" * 320 + date.encode() + time.encode() + b"\0" * 264)


def wav(path: Path, *chunks: bytes, seconds: float = 1.0, seed: int = 0, before: bool = True) -> Path:
    """A mono WAV of quiet noise, metadata before or behind the sound."""
    samples = np.random.default_rng(seed).integers(-3000, 3000, int(seconds * RATE)).astype("<i2").tobytes()
    form = riff(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    more = b"".join(chunks)
    body = form + (more if before else b"") + riff(b"data", samples) + (b"" if before else more)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    return path


def guano(text: str) -> bytes:
    """A GUANO chunk of literal lines."""
    return riff(b"guan", f"GUANO|Version: 1.0\n{text}\n".encode())


def moth(zone: str = "(UTC)", time: str = "10:30:00 01/05/2024") -> str:
    """The comment of an AudioMoth with firmware 1.4.4."""
    return (
        f"Recorded at {time} {zone} by AudioMoth 24E144085F256F3A at medium gain setting while battery state "
        "was 4.2V and temperature was 20.1C."
    )


def gpx(path: Path, points: list[tuple[str | None, float, float]], head: str = "") -> Path:
    """A GPX 1.1 file of (time, longitude, latitude)."""
    body = "".join(
        f'<trkpt lat="{lat}" lon="{lon}">{"" if time is None else f"<time>{time}</time>"}</trkpt>'
        for time, lon, lat in points
    )
    path.write_text(
        f'<?xml version="1.0"?>{head}<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{body}</trkseg></trk></gpx>"
    )
    return path


def photo(path: Path, time: str | None = None, offset: str | None = None, gps: dict | None = None) -> Path:
    """A JPEG whose EXIF Pillow writes."""
    exif = Image.Exif()
    if time:
        exif.get_ifd(0x8769)[0x9003] = time
    if offset:
        exif.get_ifd(0x8769)[0x9011] = offset
    if gps:
        exif.get_ifd(0x8825).update(gps)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "grey").save(path, exif=exif)
    return path


def degrees(lat: float, lon: float) -> dict:
    """GPS tags 1 to 4 of EXIF: degrees, minutes and seconds with their hemispheres."""

    def split(value: float) -> tuple[float, float, float]:
        whole, rest = divmod(abs(value) * 3600, 3600)
        return whole, *divmod(rest, 60)

    return {1: "S" if lat < 0 else "N", 2: split(lat), 3: "W" if lon < 0 else "E", 4: split(lon)}


def mp4(path: Path, day: str) -> Path:
    """The smallest MP4 that carries a tag ©day: no track."""

    def atom(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + name + content

    data = atom(b"data", struct.pack(">II", 1, 0) + day.encode())
    handler = atom(b"hdlr", b"\0" * 8 + b"mdirappl" + b"\0" * 9)
    meta = atom(b"meta", b"\0" * 4 + handler + atom(b"ilst", atom(b"\xa9day", data)))
    mvhd = atom(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, 0) + b"\0" * 80)
    path.write_bytes(atom(b"ftyp", b"M4A \0\0\0\0") + atom(b"moov", mvhd + atom(b"udta", meta)))
    return path
