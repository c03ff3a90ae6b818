"""Chunks of a WAV file (RIFF, RF64, BW64), read without its sound.

guano and metamoth parse the metadata, but each opens the container in its own way: guano through Python's
`wave`, which takes integer samples only, metamoth without a limit on sizes. Here the container is walked once.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_CHUNK = 1 << 20
"""Bytes; a larger chunk of metadata is not read."""

_MOST_CHUNKS = 4096
_UNKNOWN = 0xFFFFFFFF  # a size that stands elsewhere, or was never written
_WANTED = ("guan", "bext", "iXML")
_FORMS = (b"RIFF", b"RF64", b"BW64")


def read_chunks(path: Path) -> tuple[dict[str, bytes], list[str]]:
    """Read the chunks of a WAV file that hold metadata.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    chunks : dict of str to bytes
        ``guan``, ``bext``, ``iXML``, and ``INFO/XXXX`` for each entry of a ``LIST INFO``; empty where the file
        is no WAV. Of several alike the first counts.
    problems : list of str
        Where the structure is broken, and what was too large.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    chunks: dict[str, bytes] = {}
    problems: list[str] = []
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] in _FORMS and head[8:12] == b"WAVE":
            _walk(file, 12, size, "", chunks, problems)
    return chunks, problems


def _walk(
    file: BinaryIO, begin: int, end: int, prefix: str, chunks: dict[str, bytes], problems: list[str]
) -> None:
    """Go from chunk to chunk between two places in the file."""
    long_data = _UNKNOWN  # RF64: the length of `data` stands in `ds64`
    for _ in range(_MOST_CHUNKS):
        if begin + 8 > end:
            return
        file.seek(begin)
        identifier, size = struct.unpack("<4sI", file.read(8))
        if not identifier.isascii() or not identifier.decode().isprintable():
            problems.append(f"the WAV structure is broken at byte {begin}; metadata behind it is not seen")
            return
        name = identifier.decode("ascii")
        if name == "ds64" and size >= 16:
            long_data = struct.unpack("<8xQ", file.read(16))[0]
        if name == "data":
            size = long_data if size == _UNKNOWN else size
            problems.extend(_cut_sound(end - begin - 8, size))
        elif begin + 8 + size > end:
            problems.append(f"the chunk {name!r} breaks off")
            return
        elif name == "LIST" and not prefix and size >= 4:
            if file.read(4) == b"INFO":
                _walk(file, begin + 12, begin + 8 + size, "INFO/", chunks, problems)
        elif prefix or name in _WANTED:
            _take(file, prefix + name, size, chunks, problems)
        begin += 8 + size + size % 2
    problems.append(f"the WAV file has over {_MOST_CHUNKS} chunks; the rest is not read")


def _cut_sound(there: int, size: int) -> list[str]:
    cut = there < size != _UNKNOWN
    return [f"the sound breaks off: {there} of {size} bytes are there"] if cut else []


def _take(file: BinaryIO, name: str, size: int, chunks: dict[str, bytes], problems: list[str]) -> None:
    if size > LARGEST_CHUNK:
        problems.append(f"the chunk {name!r} holds {size} bytes, over {LARGEST_CHUNK}: not read")
    else:
        chunks.setdefault(name, file.read(size))
