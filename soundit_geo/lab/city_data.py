"""Training data of the synthetic city on disk: pictures, masks, sounds, captions of many places.

Every array is a plain ``.npy`` file, read through a memory map, one row per picture or place:

=================  ==========================  =======================================================
``pictures.npy``   (P × V, 128, 128, 3) uint8  row ``place * V + variant``
``masks.npy``      (P × V, 128, 128) uint8     0-based ADE20K ids, rows as the pictures
``fbanks.npy``     (S, 3, 1, 128, 204) f2      log-mel of three 2-s clips of the first S places' sounds
``places.json``                                 the state of each place
=================  ==========================  =======================================================
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from soundit_geo.errors import InputError
from soundit_geo.synthetic_city.picture import render_picture
from soundit_geo.synthetic_city.place import SCENES, Place, draw_place

if TYPE_CHECKING:
    from pathlib import Path

VARIANTS = 2
SIZE = 128


def draw_places(count: int, seed: int) -> list[Place]:
    """Places for training or testing, the twelve scenes in turn.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        Another seed, other places: training and test never share one.

    Returns
    -------
    list of Place
        Reproducible by seed.
    """
    rng = np.random.default_rng(seed)
    return [draw_place(rng, SCENES[index % len(SCENES)]) for index in range(count)]


def load_places(folder: Path) -> list[Place]:
    """Places of a data folder.

    Parameters
    ----------
    folder : pathlib.Path
        Made by `make_pictures`.

    Returns
    -------
    list of Place
        In the order of the arrays' rows.
    """
    return [Place(**state) for state in json.loads((folder / "places.json").read_text())]


def _draw(place: Place) -> list[tuple[np.ndarray, np.ndarray]]:
    return [render_picture(place, SIZE, variant) for variant in range(VARIANTS)]


def _listen(place: Place) -> np.ndarray:
    import torch

    from soundit_geo.encoders.preprocessing import fbanks_of
    from soundit_geo.synthetic_city.sound import render_sound

    torch.set_num_threads(1)
    return np.asarray(fbanks_of(render_sound(place)), dtype=np.float16)


def _fill(path: Path, shape: tuple[int, ...], dtype: str) -> Any:
    return open_memmap(path.with_suffix(".part.npy"), mode="w+", dtype=dtype, shape=shape)


def _finish(path: Path) -> None:
    path.with_suffix(".part.npy").replace(path)


def make_pictures(folder: Path, count: int, seed: int) -> None:
    """Draw places, their pictures and masks; nothing happens where they exist.

    Parameters
    ----------
    folder : pathlib.Path
        Where the files go.
    count : int
        Number of places.
    seed : int
        Seed of the places.

    Raises
    ------
    InputError
        If the folder holds another city.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = draw_places(count, seed)
    if (folder / "masks.npy").exists():
        if load_places(folder) != places:
            raise InputError(
                f"{folder} holds another city than {count:,} places of seed {seed}. Remove it, or work in another "
                "folder."
            )
        return
    (folder / "places.json").write_text(json.dumps([place.as_dict() for place in places]))
    rows = count * VARIANTS
    pictures = _fill(folder / "pictures.npy", (rows, SIZE, SIZE, 3), "uint8")
    masks = _fill(folder / "masks.npy", (rows, SIZE, SIZE), "uint8")
    with ProcessPoolExecutor() as pool:
        drawn = pool.map(_draw, places, chunksize=32)
        for index, pairs in enumerate(tqdm(drawn, total=count, desc="pictures")):
            for variant, (picture, mask) in enumerate(pairs):
                pictures[index * VARIANTS + variant] = picture
                masks[index * VARIANTS + variant] = mask
    _finish(folder / "pictures.npy")
    _finish(folder / "masks.npy")


def make_sounds(folder: Path, count: int) -> None:
    """Make the soundscapes of the first places of the folder, as log-mel clips; nothing happens where they exist.

    Parameters
    ----------
    folder : pathlib.Path
        Made by `make_pictures`.
    count : int
        Number of places that get a sound.

    Raises
    ------
    InputError
        If the folder holds another number of sounds.
    """
    if (folder / "fbanks.npy").exists():
        there = len(np.load(folder / "fbanks.npy", mmap_mode="r"))
        if there != count:
            raise InputError(
                f"{folder} holds {there:,} sounds, not {count:,}. Remove fbanks.npy, or work in another folder."
            )
        return
    places = load_places(folder)[:count]
    fbanks = _fill(folder / "fbanks.npy", (len(places), 3, 1, 128, 204), "float16")
    with ProcessPoolExecutor() as pool:
        heard = pool.map(_listen, places, chunksize=8)
        for index, clips in enumerate(tqdm(heard, total=len(places), desc="sounds")):
            fbanks[index] = clips
    _finish(folder / "fbanks.npy")
