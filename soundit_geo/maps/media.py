"""Pictures and sounds as data URIs, small enough to travel inside a page."""

from __future__ import annotations

import base64
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.cube import DONE

if TYPE_CHECKING:
    import os

    import xarray as xr

SECONDS: Final = 10.0
"""How much of a recording is put into a page."""

_EDGE: Final = 320  # pixels, the longer side of a landscape; photos get twice that
_BLOCK: Final = 2**16  # frames; libsndfile's Vorbis encoder overflows its stack on very long writes

_log = logging.getLogger(__name__)


def media_of(cube: xr.Dataset, folder: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Gather the pictures, photos and sounds of a cube.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    folder : path, optional
        What relative paths are relative to; by default the working directory.

    Returns
    -------
    dict
        ``pictures`` by scenario, draw and site; ``photos`` and ``sounds`` by site: data URIs, or None where
        there is no file (or one that cannot be read, which is logged). ``notes`` by site: what to know of the
        sound.
    """
    home = Path(folder) if folder is not None else Path()
    ready = (cube["status"] == DONE).transpose("scenario", "draw", "site").to_numpy()
    paths = cube["picture"].transpose("scenario", "draw", "site").to_numpy()
    pictures = [
        [
            [picture_uri(home / path) if fine else None for path, fine in zip(*row, strict=True)]
            for row in zip(names, cells, strict=True)
        ]
        for names, cells in zip(paths, ready, strict=True)
    ]
    photos = [picture_uri(home / path, edge=2 * _EDGE) if path else None for path in cube["photo"].to_numpy()]
    sounds = [sound_uri(home / path) if path else (None, "") for path in cube["audio"].to_numpy()]
    return {
        "pictures": pictures,
        "photos": photos,
        "sounds": [uri for uri, _ in sounds],
        "notes": [note for _, note in sounds],
    }


def picture_uri(path: Path, *, edge: int = _EDGE) -> str | None:
    """Read a picture as a WebP data URI.

    Parameters
    ----------
    path : pathlib.Path
        Any picture that Pillow reads.
    edge : int
        The longer side is reduced to this many pixels where it is longer.

    Returns
    -------
    str or None
        None if there is no such file, or not a picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (edge, edge))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        upright.save(file, "WEBP", quality=84, method=4)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        _log.warning("The picture %s is left out of the map: %s", path, error)
        return None
    return _uri("image/webp", file.getvalue())


def sound_uri(path: Path, *, seconds: float = SECONDS) -> tuple[str | None, str]:
    """Read the beginning of a recording as a mono Ogg Vorbis data URI.

    Parameters
    ----------
    path : pathlib.Path
        Any recording that libsndfile reads.
    seconds : float
        How much of it, in seconds.

    Returns
    -------
    tuple
        The URI, or None where the recording cannot be read; and what to know of it, or ``""``.
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
        _log.warning("The recording %s is left out of the map: %s", path, error)
        return None, "This recording cannot be played."
    whole = frames / rate
    note = f"The first {seconds:g} s of {_clock(whole)}." if whole > seconds + 0.5 else ""
    return _uri("audio/ogg", ogg.getvalue()), note


def _clock(seconds: float) -> str:
    """Write a duration as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
