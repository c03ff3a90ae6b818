"""From a list of recordings and photos to a training cache.

The list is a CSV file with the columns ``audio`` and ``image`` (paths, absolute or from the list's own
folder) and any number of columns whose name begins with ``scene``, each a prompt or empty.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from soundit_geo.errors import InputError, MissingFileError, PictureError, SounditError
from soundit_geo.soundit.training.cache import Cache, CacheDescription, CacheWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from soundit_geo.soundit.embedding import Encoder


@dataclass(frozen=True)
class Pair:
    """A recording, the photo of its place, and prompts that describe it.

    Parameters
    ----------
    audio, image : pathlib.Path
        Files.
    scenes : tuple of str
        Prompts, none of them empty; may be none.
    """

    audio: Path
    image: Path
    scenes: tuple[str, ...] = ()


def read_pairs(path: str | Path) -> list[Pair]:
    """Read a list of pairs.

    Parameters
    ----------
    path : path
        The CSV file, UTF-8.

    Returns
    -------
    list of Pair
        In the order of the lines. That the files exist is not checked here.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it is no CSV file in UTF-8, lacks a column or has no line.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"There is no list of pairs at {path}.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            lines, columns = list(table), list(table.fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file in UTF-8 ({error}).") from error
    absent = {"audio", "image"} - set(columns)
    if absent:
        raise InputError(
            f"{path} has the columns {', '.join(columns) or '(none)'}; {' and '.join(sorted(absent))} must be there."
        )
    if not lines:
        raise InputError(f"{path} lists no pairs.")
    prompts = [column for column in columns if column.startswith("scene")]
    home = path.parent.resolve()
    return [
        Pair(
            home / (line["audio"] or ""),
            home / (line["image"] or ""),
            tuple(text for column in prompts if (text := (line[column] or "").strip())),
        )
        for line in lines
    ]


def build_cache(
    pairs: Sequence[Pair],
    folder: str | Path,
    *,
    vae: Any,
    encoder: Encoder,
    soundscape_tokens: str = "clips",
    size: int = 256,
    dtype: str = "float16",
    posterior: bool = True,
    batch_size: int = 16,
    rows_per_shard: int | None = None,
    names: tuple[str, str] = ("", ""),
    progress: bool = True,
) -> Cache:
    """Send pairs through autoencoder and encoder, and keep what comes out. Goes on where it was stopped.

    Pairs that cannot be used are left out; ``skipped.csv`` in the folder and `Cache.skipped` list them.

    Parameters
    ----------
    pairs : sequence of Pair
        For example from `read_pairs`.
    folder : path
        The cache.
    vae : diffusers.ModelMixin
        An autoencoder of diffusers' manners.
    encoder : Encoder
        Sounds and prompts to embeddings.
    soundscape_tokens : {"clips", "pooled", "patches"}
        Kind of soundscape tokens.
    size : int
        Edge of the square that is cut from the middle of each photo, in pixels after scaling.
    dtype : {"float16", "bfloat16", "float32"}
        Of the rows.
    posterior : bool
        Whether to keep the variance of the latents. An autoencoder without one keeps none.
    batch_size : int
        Pairs at a time.
    rows_per_shard : int, optional
        Pairs per shard; chosen by size by default. What a stop can lose is one shard.
    names : tuple of str
        Names of autoencoder and encoder, for the record.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Cache
        Complete.

    Raises
    ------
    InputError
        If the folder holds another cache, or no pair could be used.
    """
    with torch.inference_mode():
        description = _describe(
            pairs, vae, encoder, soundscape_tokens, size, dtype, names, posterior=posterior
        )
        writer = CacheWriter(folder, description)
        if writer.complete:
            return Cache(folder)
        per_shard = rows_per_shard or description.rows_per_shard()
        done = sum(shard["rows"] + len(shard["skipped"]) for shard in writer.shards)
        with tqdm(total=len(pairs), initial=done, unit="pair", desc="cache", disable=not progress) as bar:
            for first in range(done, len(pairs), per_shard):
                part = pairs[first : first + per_shard]
                _write_shard(writer, part, first, vae, encoder, size, batch_size, bar)
    _list_skipped(Path(folder), pairs, writer)
    return writer.finish()


def _describe(
    pairs: Sequence[Pair],
    vae: Any,
    encoder: Encoder,
    soundscape_tokens: str,
    size: int,
    dtype: str,
    names: tuple[str, str],
    *,
    posterior: bool,
) -> CacheDescription:
    """Learn the shapes from one grey picture, one second of noise and one word."""
    mean, logvar = _latents(vae, torch.zeros(1, 3, size, size))
    hiss = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    heard = encoder.encode_soundscapes([hiss], soundscape_tokens)
    listing = "\n".join(f"{pair.audio}\t{pair.image}\t{pair.scenes}" for pair in pairs)
    _, channels, height, width = mean.shape
    _, length, token_dim = heard.tokens.shape
    return CacheDescription(
        latent=(channels, height, width),
        tokens=(length, token_dim),
        summary_dim=heard.summary.shape[-1],
        scenes=max([1, *(len(pair.scenes) for pair in pairs)]),
        scene_dim=encoder.encode_scenes(["street"]).shape[-1],
        scaling_factor=float(vae.config.scaling_factor),
        shift_factor=float(getattr(vae.config, "shift_factor", None) or 0.0),
        soundscape_tokens=soundscape_tokens,
        vae=names[0],
        encoder=names[1],
        posterior=posterior and logvar is not None,
        dtype=dtype,
        source=hashlib.sha256(listing.encode()).hexdigest(),
    )


def _write_shard(
    writer: CacheWriter,
    pairs: Sequence[Pair],
    first: int,
    vae: Any,
    encoder: Encoder,
    size: int,
    batch_size: int,
    bar: tqdm[Any],
) -> None:
    """Embed the pairs of one shard, and write those that could be used."""
    about = writer.description
    rows: dict[str, list[Tensor]] = {name: [torch.zeros(0, *shape)] for name, shape in about.shapes().items()}
    skipped: list[tuple[int, str]] = []
    for start in range(0, len(pairs), batch_size):
        batch = pairs[start : start + batch_size]
        pictures = [_picture(pair.image, size) for pair in batch]
        sounds = _hear(encoder, [pair.audio for pair in batch], about.soundscape_tokens)
        usable: list[tuple[Pair, Tensor, Any]] = []
        for number, (pair, picture, sound) in enumerate(zip(batch, pictures, sounds, strict=True)):
            troubles = [str(value) for value in (picture, sound) if isinstance(value, SounditError)]
            if troubles:
                skipped.append((first + start + number, " ".join(troubles)))
            else:
                usable.append((pair, torch.as_tensor(picture), sound))
        bar.update(len(batch))
        if not usable:
            continue
        mean, logvar = _latents(vae, torch.stack([picture for _, picture, _ in usable]))
        scenes, counts = _read(encoder, [pair.scenes for pair, _, _ in usable], about)
        values = {
            "latent_mean": mean,
            "latent_logvar": logvar,
            "tokens": torch.stack([sound[0] for _, _, sound in usable]),
            "summary": torch.stack([sound[1] for _, _, sound in usable]),
            "scenes": scenes,
            "scene_count": counts,
        }
        for name, parts in rows.items():
            value = values[name]
            if value is not None:
                parts.append(value.cpu().float())
    writer.write({name: torch.cat(parts) for name, parts in rows.items()}, skipped=skipped)


def _latents(vae: Any, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
    """Mean and log-variance of the latents (B, C, H, W); no variance where the autoencoder has none."""
    encoded = vae.encode(pixels.to(vae.device, vae.dtype))
    if hasattr(encoded, "latent_dist"):
        return encoded.latent_dist.mean, encoded.latent_dist.logvar
    return encoded.latents, None


def _hear(encoder: Encoder, files: list[Path], soundscape_tokens: str) -> list[Any]:
    """Tokens and summary of each recording, or the error it gave."""
    try:
        heard = encoder.encode_soundscapes(files, soundscape_tokens)
    except SounditError as error:
        if len(files) == 1:
            return [error]
        return [_hear(encoder, [file], soundscape_tokens)[0] for file in files]
    return list(zip(heard.tokens, heard.summary, strict=True))


def _read(encoder: Encoder, prompts: list[tuple[str, ...]], about: CacheDescription) -> tuple[Tensor, Tensor]:
    """Embedded prompts (B, K, d_c), each distinct one read once, and how many each pair has (B,)."""
    distinct = list(dict.fromkeys(text for texts in prompts for text in texts))
    scenes = torch.zeros(len(prompts), about.scenes, about.scene_dim)
    if distinct:
        known = dict(zip(distinct, encoder.encode_scenes(distinct).cpu().float(), strict=True))
        for row, texts in enumerate(prompts):
            for place, text in enumerate(texts):
                scenes[row, place] = known[text]
    return scenes, torch.tensor([len(texts) for texts in prompts])


def _picture(path: Path, size: int) -> Tensor | SounditError:
    """The middle square of a photo, (3, size, size) in [-1, 1], or the error it gave."""
    if not path.is_file():
        return MissingFileError(f"There is no picture at {path}.")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            square = ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return PictureError(f"{path} is no readable picture ({error}).")
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 127.5 - 1.0


def _list_skipped(folder: Path, pairs: Sequence[Pair], writer: CacheWriter) -> None:
    with (folder / "skipped.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["pair", "audio", "image", "why"])
        for shard in writer.shards:
            for number, why in shard["skipped"]:
                table.writerow([number, pairs[number].audio, pairs[number].image, why])
