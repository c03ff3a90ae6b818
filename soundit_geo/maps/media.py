"""Pictures and sounds, small enough to travel with a page, as data inside it or as files beside it."""

from __future__ import annotations

import base64
import io
import logging
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.cube import DONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import xarray as xr

    Keep = Callable[[str, bytes], str]
    Complain = Callable[[str], None]

SECONDS: Final = 10.0
"""How much of a recording is put into a page."""

TYPES: Final = {"webp": "image/webp", "ogg": "audio/ogg"}
"""The kinds of files, by their ending."""

_EDGE: Final = 320  # pixels, the longer side of a landscape; photos get twice that
_SAID: Final = 5  # files that cannot be read are named up to here, then counted
_BLOCK: Final = 2**16  # frames; libsndfile's Vorbis encoder overflows its stack on very long writes
_QUIET: Final = -80.0  # decibels below the loudest that a spectrogram still shows
_HEAT: Final = ("#07060f", "#2c1250", "#6b2069", "#ae335f", "#e65b3f", "#f9a13a", "#f8e9a0")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sound:
    """The beginning of a recording.

    Parameters
    ----------
    ogg : bytes
        Mono Ogg Vorbis.
    note : str
        What to know of it, or ``""``.
    waveform : numpy.ndarray
        (n,) float32, full scale ±1.
    rate : int
        Samples per second.
    """

    ogg: bytes
    note: str
    waveform: np.ndarray
    rate: int


def media_of(cube: xr.Dataset, home: Path, keep: Keep) -> Iterator[dict[str, Any]]:
    """Gather the pictures, photo and sound of one site after the other.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    home : pathlib.Path
        What relative paths are relative to.
    keep : callable
        Takes a file's name and content, and gives the address that the page calls it by.

    Yields
    ------
    dict
        ``pictures`` by scenario and draw, ``photo``, ``sound`` and ``spectrogram``: addresses, or None where
        there is no file (or one that cannot be read, which is logged); ``note``: what to know of the sound;
        ``seconds`` and ``hertz``: how far the spectrogram goes.
    """
    ready = (cube["status"] == DONE).to_numpy()
    paths, photos, sounds = (cube[name].to_numpy() for name in ("picture", "photo", "audio"))
    complaints: list[str] = []
    say = complaints.append
    for place, (photo, audio) in enumerate(zip(photos, sounds, strict=True)):
        pictures = [
            [
                _kept(keep, f"{place}-{scenario}-{draw}.webp", picture_webp(home / path, complain=say))
                if fine
                else None
                for draw, (path, fine) in enumerate(zip(row, oks, strict=True))
            ]
            for scenario, (row, oks) in enumerate(zip(paths[place], ready[place], strict=True))
        ]
        found: dict[str, Any] = {"pictures": pictures, "photo": None, "sound": None, "note": ""}
        if photo:
            shown = picture_webp(home / photo, edge=2 * _EDGE, complain=say)
            found["photo"] = _kept(keep, f"{place}-photo.webp", shown)
        if audio:
            sound = read_sound(home / audio, complain=say)
            if sound is None:
                found["note"] = "This recording cannot be played."
            else:
                picture, hertz = spectrogram(sound.waveform, sound.rate)
                found |= {
                    "sound": keep(f"{place}.ogg", sound.ogg),
                    "note": sound.note,
                    "spectrogram": keep(f"{place}-sound.webp", _webp(picture, 70)),
                    "seconds": len(sound.waveform) / sound.rate,
                    "hertz": hertz,
                }
        yield found
    for sentence in complaints[:_SAID]:
        _log.warning(sentence)
    if len(complaints) > _SAID:
        _log.warning("%d more files are left out of the map.", len(complaints) - _SAID)


def data_uri(name: str, content: bytes) -> str:
    """Write a file as a data URI.

    Parameters
    ----------
    name : str
        Its ending says the type, see `TYPES`.
    content : bytes
        What is in it.

    Returns
    -------
    str
        The address.
    """
    kind = TYPES[name.rpartition(".")[2]]
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def into(folder: Path) -> Keep:
    """Keep files in a folder, for a page that lies beside it.

    Parameters
    ----------
    folder : pathlib.Path
        Made if need be; files of the same names in it are replaced.

    Returns
    -------
    callable
        Takes a file's name and content, writes it and gives its address relative to the page.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name: str, content: bytes) -> str:
        (folder / name).write_bytes(content)
        return f"{urllib.parse.quote(folder.name, safe='')}/{name}"

    return keep


def picture_webp(path: Path, *, edge: int = _EDGE, complain: Complain = _log.warning) -> bytes | None:
    """Read a picture as WebP.

    Parameters
    ----------
    path : pathlib.Path
        Any picture that Pillow reads.
    edge : int
        The longer side is reduced to this many pixels where it is longer.
    complain : callable
        Takes a sentence about what cannot be read.

    Returns
    -------
    bytes or None
        None if there is no such file, or not a picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (edge, edge))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        return _webp(np.asarray(upright), 84)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        complain(f"The picture {path} is left out of the map: {error}")
        return None


def read_sound(path: Path, *, seconds: float = SECONDS, complain: Complain = _log.warning) -> Sound | None:
    """Read the beginning of a recording, mono.

    Parameters
    ----------
    path : pathlib.Path
        Any recording that libsndfile reads.
    seconds : float
        How much of it, in seconds.
    complain : callable
        Takes a sentence about what cannot be read.

    Returns
    -------
    Sound or None
        None where the recording cannot be read.
    """
    import soundfile as sf

    try:
        with sf.SoundFile(path) as file:
            rate, frames = file.samplerate, file.frames
            waveform = file.read(int(seconds * rate), dtype="float32", always_2d=True).mean(axis=1)
        waveform = np.clip(np.nan_to_num(waveform), -1.0, 1.0)
        ogg = io.BytesIO()
        with sf.SoundFile(ogg, "w", rate, 1, format="OGG", subtype="VORBIS") as out:
            for start in range(0, len(waveform), _BLOCK):
                out.write(waveform[start : start + _BLOCK])
    except (OSError, RuntimeError, ValueError) as error:
        complain(f"The recording {path} is left out of the map: {error}")
        return None
    whole = frames / rate
    note = f"The first {seconds:g} s of {_clock(whole)}." if whole > seconds + 0.5 else ""
    return Sound(ogg.getvalue(), note, waveform, rate)


def spectrogram(waveform: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """Draw a sound's power over time and frequency.

    Parameters
    ----------
    waveform : numpy.ndarray
        (n,) full scale ±1.
    rate : int
        Samples per second.

    Returns
    -------
    tuple
        A picture, uint8 of shape (H, W, 3), time to the right and frequency upwards, dark to light over 80
        decibels up to the loudest; and the frequency of its upper edge in hertz.
    """
    from scipy import signal

    waveform = np.pad(waveform, (0, max(0, 256 - len(waveform))))
    hop = -(-len(waveform) // 400)
    power = signal.spectrogram(waveform, rate, nperseg=256, noverlap=max(0, 256 - hop))[2]
    loud = 10 * np.log10(np.maximum(power, 1e-14))
    level = np.clip((loud - loud.max()) / -_QUIET + 1, 0, 1)[::-1]
    stops = np.array([[int(hexa[k : k + 2], 16) for k in (1, 3, 5)] for hexa in _HEAT])
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(level, at, stops[:, k]) for k in range(3)], axis=-1).astype("u1"), rate / 2


def _kept(keep: Keep, name: str, content: bytes | None) -> str | None:
    return None if content is None else keep(name, content)


def _webp(picture: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def _clock(seconds: float) -> str:
    """Write a duration as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"
