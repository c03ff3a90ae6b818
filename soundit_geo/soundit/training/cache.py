"""Training pairs on disk, already through autoencoder and encoder: latents and embeddings in shards.

A cache is a folder of ``shard-00000.safetensors``, … and one ``index.json``. A row is one pair:

=================  ============  ==========================================================
``latent_mean``    (C, H, W)     mean of the autoencoder's posterior, not scaled
``latent_logvar``  (C, H, W)     log of its variance; absent where only means were kept
``tokens``         (L, d_s)      soundscape tokens, as the encoder gave them
``summary``        (d_s,)        soundscape summary
``scenes``         (K, d_c)      embedded prompts; the first ``scene_count`` of them are there
``scene_count``    ()            0 where the pair has no prompt
=================  ============  ==========================================================

Rows are read through the operating system's memory map, one at a time, so that the size of a cache does not
matter. A shard appears whole or not at all, and the index names only shards that are there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from soundit_geo.errors import InputError, MissingFileError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

FORMAT, VERSION = "soundit-geo training cache", 1
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
SHARD_BYTES = 128 * 2**20
_OPEN_SHARDS = 256  # a shard's header is read again when it has not been used for so many others


@dataclass(frozen=True)
class CacheDescription:
    """What the rows of a cache are, and what made them.

    Parameters
    ----------
    latent : tuple of int
        C, H, W.
    tokens : tuple of int
        L, d_s of the tokens.
    summary_dim : int
        d_s of the summary.
    scenes : int
        K, the most prompts that a pair has; at least 1.
    scene_dim : int
        d_c.
    scaling_factor, shift_factor : float
        Of the autoencoder: the model is trained on ``(z - shift_factor) * scaling_factor``.
    soundscape_tokens : str
        ``pooled``, ``clips`` or ``patches``.
    vae, encoder : str
        Names of what made the rows, for the record.
    posterior : bool
        Whether variances are kept, so that every visit can draw other latents.
    dtype : str
        Key of `DTYPES`.
    source : str
        Hash of the list of pairs: a cache that was begun from one list does not go on from another.

    Raises
    ------
    InputError
        If the dtype is unknown or K is 0.
    """

    latent: tuple[int, int, int]
    tokens: tuple[int, int]
    summary_dim: int
    scenes: int
    scene_dim: int
    scaling_factor: float
    shift_factor: float
    soundscape_tokens: str
    vae: str = ""
    encoder: str = ""
    posterior: bool = True
    dtype: str = "float16"
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "latent", tuple(self.latent))  # JSON knows no tuples
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if self.dtype not in DTYPES:
            raise InputError(f"dtype is {self.dtype!r}; expected one of {', '.join(DTYPES)}.")
        if self.scenes < 1:
            raise InputError("scenes is 0; expected at least 1 (a pair without a prompt has scene_count 0).")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor in one row.

        Returns
        -------
        dict of str to tuple of int
            In the order of the table above.
        """
        return {
            "latent_mean": self.latent,
            **({"latent_logvar": self.latent} if self.posterior else {}),
            "tokens": self.tokens,
            "summary": (self.summary_dim,),
            "scenes": (self.scenes, self.scene_dim),
            "scene_count": (),
        }

    def dtypes(self) -> dict[str, torch.dtype]:
        """Type of each tensor.

        Returns
        -------
        dict of str to torch.dtype
            The cache's dtype, and uint8 for the count.
        """
        return {name: torch.uint8 if name == "scene_count" else DTYPES[self.dtype] for name in self.shapes()}

    def bytes_per_row(self) -> int:
        """Size of one row.

        Returns
        -------
        int
            Bytes.
        """
        dtypes = self.dtypes()
        return sum(prod(shape) * dtypes[name].itemsize for name, shape in self.shapes().items())

    def rows_per_shard(self) -> int:
        """Rows of a shard of about `SHARD_BYTES`.

        Returns
        -------
        int
            At least 1.
        """
        return max(1, SHARD_BYTES // self.bytes_per_row())


class CacheWriter:
    """Write a cache shard by shard, or go on with one that was begun.

    Parameters
    ----------
    folder : path
        The cache; made where it is absent.
    description : CacheDescription
        What the rows are.

    Raises
    ------
    InputError
        If the folder holds a cache of another description.
    """

    def __init__(self, folder: str | Path, description: CacheDescription) -> None:
        self.folder = Path(folder)
        self.description = description
        self.folder.mkdir(parents=True, exist_ok=True)
        self.shards: list[dict[str, Any]] = []
        self.complete = False
        if (self.folder / "index.json").exists():
            index = _read_index(self.folder)
            begun = index["description"]
            other = [key for key, value in asdict(begun).items() if value != asdict(description)[key]]
            if other:
                said = ", ".join(f"{key} {getattr(begun, key)!r}" for key in other)
                raise InputError(
                    f"{self.folder} holds another cache, with {said}. Name another folder, or remove this one."
                )
            self.shards, self.complete = index["shards"], index["complete"]
        else:
            self._write_index()

    def write(self, rows: Mapping[str, Tensor], *, skipped: Sequence[tuple[int, str]] = ()) -> None:
        """Append one shard.

        Parameters
        ----------
        rows : mapping of str to torch.Tensor
            (n, *shape) for each name of `CacheDescription.shapes`; n may be 0.
        skipped : sequence of (int, str), optional
            Pairs of this shard that could not be used: their number in the list, and why.

        Raises
        ------
        InputError
            If a tensor is absent, left over or of another shape, or the cache is already complete.
        """
        if self.complete:
            raise InputError(f"The cache {self.folder} is complete; write another one.")
        count = len(rows["latent_mean"]) if "latent_mean" in rows else 0
        expected = {name: (count, *shape) for name, shape in self.description.shapes().items()}
        came = {name: tuple(value.shape) for name, value in rows.items()}
        if came != expected:
            raise InputError(f"The rows have shapes {came}; this cache expects {expected}.")
        dtypes = self.description.dtypes()
        data = save({name: value.to(dtypes[name]).contiguous() for name, value in rows.items()})
        name = f"shard-{len(self.shards):05d}.safetensors"
        _replace(self.folder / name, data)
        self.shards.append(
            {
                "file": name,
                "rows": count,
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "skipped": [list(one) for one in skipped],
            }
        )
        self._write_index()

    def finish(self) -> Cache:
        """Declare the cache complete.

        Returns
        -------
        Cache
            Ready to be read.

        Raises
        ------
        InputError
            If it has no rows.
        """
        if not any(shard["rows"] for shard in self.shards):
            raise InputError(f"The cache {self.folder} would be empty: no pair could be used.")
        self.complete = True
        self._write_index()
        return Cache(self.folder)

    def _write_index(self) -> None:
        index = {
            "format": FORMAT,
            "version": VERSION,
            "complete": self.complete,
            "rows": sum(shard["rows"] for shard in self.shards),
            "description": asdict(self.description),
            "shards": self.shards,
        }
        _replace(self.folder / "index.json", json.dumps(index, indent=1).encode())


class Cache:
    """A complete cache, read row by row.

    ``len(cache)`` is the number of rows, ``cache[i]`` one row as a dictionary of float32 tensors (the count is
    uint8). No shard is ever read whole.

    Parameters
    ----------
    folder : path
        Made by `CacheWriter`.

    Raises
    ------
    MissingFileError
        If there is no cache.
    InputError
        If it is unfinished or empty.
    WeightsError
        If the index is not one of this format, or a shard is absent or of another size than the index says.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        index = _read_index(self.folder)
        if not index["complete"]:
            raise InputError(
                f"The cache {self.folder} is unfinished, with {index['rows']} rows. Run the command that makes it "
                "again."
            )
        self.description: CacheDescription = index["description"]
        self.shards: list[dict[str, Any]] = index["shards"]
        self.shard_rows: list[int] = [shard["rows"] for shard in self.shards]
        self.skipped: list[tuple[int, str]] = [
            (number, why) for shard in self.shards for number, why in shard["skipped"]
        ]
        ends = torch.tensor(self.shard_rows).cumsum(0)
        self._ends, self._starts = ends, ends - torch.tensor(self.shard_rows)
        if not self:
            raise InputError(f"The cache {self.folder} is empty. Make it again, from pairs that can be read.")
        for shard in self.shards:
            path = self.folder / shard["file"]
            size = path.stat().st_size if path.is_file() else None
            if size != shard["bytes"]:
                found = "is absent" if size is None else f"has {size} bytes"
                raise WeightsError(
                    f"{path} {found}; the index says {shard['bytes']} bytes. Copy it again, or make the cache again."
                )
        self._slices = lru_cache(_OPEN_SHARDS)(self._open)

    def __len__(self) -> int:
        return sum(self.shard_rows)

    def __reduce__(self) -> tuple[type[Cache], tuple[Path]]:
        """Travel to another process as the folder's name: a memory map cannot."""
        return Cache, (self.folder,)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        if not 0 <= row < len(self):
            raise IndexError(f"Row {row} of a cache with {len(self)} rows.")
        shard = int(torch.searchsorted(self._ends, row, right=True))
        place = row - int(self._starts[shard])
        values = {name: slices[place] for name, slices in self._slices(shard).items()}
        return {name: value if name == "scene_count" else value.float() for name, value in values.items()}

    @property
    def fingerprint(self) -> str:
        """Hash of all shards' hashes: two caches of one fingerprint hold the same rows.

        Returns
        -------
        str
            SHA-256 in hexadecimal digits.
        """
        return hashlib.sha256("".join(shard["sha256"] for shard in self.shards).encode()).hexdigest()

    def verify(self) -> None:
        """Read every shard and compare it with its hash.

        Raises
        ------
        WeightsError
            If a shard is not what was written.
        """
        for shard in self.shards:
            with (self.folder / shard["file"]).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                    raise WeightsError(
                        f"{self.folder / shard['file']} is damaged: its hash is another. Copy it again."
                    )

    def _open(self, shard: int) -> dict[str, Any]:
        """Slices of a shard's tensors; nothing but the header is read."""
        path = self.folder / self.shards[shard]["file"]
        try:
            file = safe_open(path, framework="pt")
            slices = {name: file.get_slice(name) for name in self.description.shapes()}
        except SafetensorError as error:
            raise WeightsError(f"{path} is no intact shard ({error}). Copy it again.") from error
        rows = self.shard_rows[shard]
        for name, shape in self.description.shapes().items():
            if slices[name].get_shape() != [rows, *shape]:
                raise WeightsError(
                    f"{path}: {name} has shape {slices[name].get_shape()}, the index says {[rows, *shape]}."
                )
        return slices


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    if not path.is_file():
        raise MissingFileError(
            f"There is no training cache at {folder}: {path} does not exist. Make one with `soundit-geo train cache`."
        )
    try:
        index = json.loads(path.read_text())
        if (index["format"], index["version"]) != (FORMAT, VERSION):
            raise WeightsError(
                f"{path} says {index['format']!r}, version {index['version']!r}; expected {FORMAT!r}, version "
                f"{VERSION}. Make the cache again."
            )
        outside = [shard["file"] for shard in index["shards"] if Path(shard["file"]).name != shard["file"]]
        if outside:
            raise WeightsError(f"{path} names {outside[0]}, which lies outside the cache. Make it again.")
        for shard in index["shards"]:
            _ = shard["rows"], shard["bytes"], shard["sha256"], shard["skipped"]
        return {**index, "description": CacheDescription(**index["description"])}
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is no index of a training cache ({error}). Make it again.") from error


def _replace(path: Path, data: bytes) -> None:
    """Write a file in one rename."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
