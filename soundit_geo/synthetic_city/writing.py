"""The synthetic city as files: sites, sounds, photos, masks, base map, ready for a study."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from soundit_geo.synthetic_city.city import City, build_city
from soundit_geo.synthetic_city.picture import render_picture
from soundit_geo.synthetic_city.sound import render_sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundit_geo.synthetic_city.place import Place

RATE = 16_000


def write_city(
    folder: str | Path,
    sites: int = 36,
    seed: int = 7,
    *,
    masks: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> City:
    """Write a study-ready city.

    Parameters
    ----------
    folder : str or pathlib.Path
        Receives ``sites.geojson``, ``audio/*.ogg`` (10 s, 16 kHz), ``photos/*.png`` (256 × 256), the base map
        as ``districts.geojson``, ``coast.geojson``, ``river.geojson``, ``parks.geojson``, ``roads.geojson``.
    sites, seed : int, optional
        See `build_city`.
    masks : bool, optional
        Also ``masks/*.png``: 0-based ADE20K ids as grey values.
    workers : int, optional
        Processes; one per core by default.
    progress : bool, optional
        Show a bar.

    Returns
    -------
    City
        What was written; ``sites`` also has the columns ``audio`` and ``photo``, relative to the folder.
    """
    folder = Path(folder)
    for name in ("audio", "photos", *(("masks",) if masks else ())):
        (folder / name).mkdir(parents=True, exist_ok=True)
    city = build_city(sites, seed)
    write = partial(_write_site, folder=folder, masks=masks)
    if workers == 1 or sites < 12:
        list(tqdm(map(write, city.places.items()), total=sites, desc="sites", disable=not progress))
    else:
        with ProcessPoolExecutor(workers) as pool:
            written = pool.map(write, city.places.items(), chunksize=4)
            list(tqdm(written, total=sites, desc="sites", disable=not progress))
    city.sites["audio"] = [f"audio/{name}.ogg" for name in city.sites.index]
    city.sites["photo"] = [f"photos/{name}.png" for name in city.sites.index]
    _write_layer(folder / "sites.geojson", city.sites.reset_index().to_json(drop_id=True))
    for name, layer in city.base.items():
        _write_layer(folder / f"{name}.geojson", layer.to_json(drop_id=True))
    return city


def _write_layer(path: Path, text: str) -> None:
    path.write_text(text.replace('{"type": "Feature",', '\n{"type": "Feature",') + "\n", encoding="utf-8")


def _write_site(item: tuple[str, Place], folder: Path, *, masks: bool) -> None:
    from PIL import Image

    name, place = item
    write_ogg(folder / "audio" / f"{name}.ogg", render_sound(place))
    picture, mask = render_picture(place)
    Image.fromarray(picture).save(folder / "photos" / f"{name}.png", optimize=True)
    if masks:
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png", optimize=True)


def write_ogg(path: Path, waveform: np.ndarray | Sequence[float], rate: int = RATE) -> None:
    """Write Ogg Vorbis that is the same bytes every time.

    The encoder draws a random stream number; it is set to 1 afterwards.

    Parameters
    ----------
    path : pathlib.Path
        Target.
    waveform : numpy.ndarray
        (n,) in [-1, 1].
    rate : int, optional
        Samples per second.
    """
    import soundfile
    from mutagen.ogg import OggPage

    samples = np.round(np.asarray(waveform, dtype=np.float64) * 32767).astype(np.int16)
    soundfile.write(path, samples, rate, format="OGG", subtype="VORBIS")
    pages = []
    with path.open("rb") as file:
        while True:
            try:
                page = OggPage(file)
            except EOFError:
                break
            page.serial = 1
            pages.append(page.write())
    path.write_bytes(b"".join(pages))
