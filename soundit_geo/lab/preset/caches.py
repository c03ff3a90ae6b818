"""Stages ``latents`` and ``embed``: what the generator learns from, encoded once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from soundit_geo.lab import city_data
from soundit_geo.lab.preset.workshop import TRAIN_SEED, data, pixels_of, sounds
from soundit_geo.synthetic_city.words import caption

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from soundit_geo.lab.preset.workshop import Workshop

CAPTIONS = 8
"""Prompts embedded for each place before the generator is trained."""

SPOT = 16
"""Edge in pixels of what one token of the generator stands for."""


def latents(shop: Workshop) -> None:
    """Cache what the autoencoder makes of the training city's pictures, and which elements stand where.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder
    from soundit_geo.synthetic_city.picture import ELEMENT_IDS

    data(shop)
    target, key = shop.work / "latents.pt", _key(shop, "vae")
    if _is_of(target, key):
        return
    vae = FoldingAutoencoder.from_pretrained(shop.preset / "vae").float().eval()
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")[: shop.lessons * city_data.VARIANTS]
    masks = np.load(shop.train / "masks.npy", mmap_mode="r")
    ids = sorted(ELEMENT_IDS.values())
    index = np.zeros(150, np.int64)
    index[ids] = np.arange(len(ids))
    parts: list[Tensor] = []
    layout: list[Tensor] = []
    with torch.inference_mode():
        for start in tqdm(range(0, len(pictures), 64), desc="latents"):
            pixels = pixels_of(pictures[start : start + 64])
            both = torch.stack([pixels, pixels.flip(-1)], dim=1).flatten(0, 1)
            mean = (vae.encode(both).latent_dist.mean - vae.config.shift_factor) * vae.config.scaling_factor
            parts.append(mean.unflatten(0, (-1, 2)).half())
            layout.append(_layout(index[masks[start : start + len(pixels)]], len(ids)))
    _keep(target, key, latents=torch.cat(parts), layout=torch.cat(layout))


def embed(shop: Workshop) -> None:
    """Cache sound and prompt vectors of the training city.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.encoders.tokenizer import tokenize

    sounds(shop)
    target, key = shop.work / "embedded.pt", _key(shop, "encoder")
    if _is_of(target, key):
        return
    model = ImageBindModel.from_pretrained(shop.preset / "encoder").float().eval()
    fbanks = np.load(shop.train / "fbanks.npy", mmap_mode="r")[: shop.lessons]
    places = city_data.load_places(shop.train)[: len(fbanks)]
    rng = np.random.default_rng(TRAIN_SEED)
    tokens: list[Tensor] = []
    summary: list[Tensor] = []
    scenes: list[Tensor] = []
    with torch.inference_mode():
        for start in tqdm(range(0, len(places), 64), desc="sounds and words"):
            heard = model.encode_fbanks(torch.from_numpy(fbanks[start : start + 64].astype(np.float32)))
            tokens.append(heard.tokens)
            summary.append(heard.summary)
            said = [caption(place, rng) for place in places[start : start + 64] for _ in range(CAPTIONS)]
            scenes.append(model.encode_tokens(tokenize(said)).unflatten(0, (-1, CAPTIONS)))
    _keep(target, key, tokens=torch.cat(tokens), summary=torch.cat(summary), scenes=torch.cat(scenes))


def cached(shop: Workshop) -> dict[str, Tensor]:
    """Latents, layouts, sounds and prompts of the training city, made where they are missing.

    Parameters
    ----------
    shop : Workshop
        Where; P places are heard, each drawn in V variants.

    Returns
    -------
    dict of str to torch.Tensor
        ``latents`` (P × V, 2, C, h, w), as drawn and mirrored, of unit variance; ``layout`` (P × V, N, E) uint8,
        shares of the elements at each token's spot in 255ths; ``tokens`` (P, L, d); ``summary`` (P, d); ``scenes``
        (P, CAPTIONS, d).
    """
    latents(shop)
    embed(shop)
    files = (shop.work / "latents.pt", shop.work / "embedded.pt")
    seen, heard = (torch.load(file, weights_only=True, mmap=True) for file in files)
    return {**seen, **heard}


def patch_tokens(shop: Workshop) -> Tensor:
    """Tokens of the encoder's trunk, for generators that hear patches.

    Parameters
    ----------
    shop : Workshop
        Where; P places are heard.

    Returns
    -------
    torch.Tensor
        (P, S × N, W) half precision.
    """
    from soundit_geo.encoders import ImageBindModel

    target, key = shop.work / "patches.pt", _key(shop, "encoder")
    if not _is_of(target, key):
        model = ImageBindModel.from_pretrained(shop.preset / "encoder").float().eval()
        fbanks = np.load(shop.train / "fbanks.npy", mmap_mode="r")[: shop.lessons]
        parts: list[Tensor] = []
        with torch.inference_mode():
            for start in tqdm(range(0, len(fbanks), 64), desc="patch tokens"):
                clips = torch.from_numpy(fbanks[start : start + 64].astype(np.float32))
                parts.append(model.encode_fbanks(clips, tokens="patches").tokens.half())
        _keep(target, key, tokens=torch.cat(parts))
    tokens: Tensor = torch.load(target, weights_only=True, mmap=True)["tokens"]
    return tokens


def _key(shop: Workshop, part: str) -> str:
    """What a cache was made of: the parameters in use, the places, how many of them."""
    found = hashlib.sha256(f"{shop.lessons}".encode())
    made = shop.train / ("pictures.npy" if part == "vae" else "fbanks.npy")
    found.update(np.load(made, mmap_mode="r")[:64].tobytes())  # another way of drawing shows in the first few
    for path in (shop.train / "places.json", shop.preset / part / "config.json"):
        found.update(path.read_bytes())
    for file in sorted((shop.preset / part).glob("*.safetensors")):
        weights = load_file(file)
        for name in sorted(weights):
            if not name.startswith("decoder."):  # sharpening the way back leaves latents as they are
                found.update(name.encode())
                found.update(weights[name].numpy().tobytes())
    return found.hexdigest()


def _is_of(file: Path, key: str) -> bool:
    note = file.with_suffix(".key")
    return file.exists() and note.exists() and note.read_text() == key


def _keep(file: Path, key: str, **tensors: Tensor) -> None:
    torch.save(tensors, file.with_suffix(".part"))
    file.with_suffix(".key").unlink(missing_ok=True)
    file.with_suffix(".part").replace(file)
    file.with_suffix(".key").write_text(key)


def _layout(known: NDArray[np.int64], count: int) -> Tensor:
    """(B, H, W) elements to (B, N, E) uint8, their shares at each token's spot in 255ths."""
    batch, edge = len(known), known.shape[1] // SPOT
    spots = (
        known.reshape(batch, edge, SPOT, edge, SPOT).swapaxes(2, 3).reshape(batch * edge * edge, SPOT * SPOT)
    )
    places = spots + count * np.arange(len(spots))[:, None]
    shares = np.bincount(places.ravel(), minlength=count * len(spots)) / SPOT**2
    return torch.from_numpy(np.rint(255.0 * shares).astype(np.uint8).reshape(batch, edge * edge, count))
