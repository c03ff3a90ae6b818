"""The recordings and photos in a folder."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundit_geo.errors import MissingFileError
from soundit_geo.field.evidence import ascii_safe

if TYPE_CHECKING:
    from collections.abc import Sequence

AUDIO_SUFFIXES: Final = (
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff",
    ".aifc", ".au", ".snd", ".caf",
)  # fmt: skip
"""Endings of files that `soundit_geo.audio` decodes."""

UNDECODED_SUFFIXES: Final = (
    ".m4a", ".m4b", ".mp4", ".aac", ".3gp", ".amr", ".wma", ".wv", ".ape", ".mka", ".webm",
)  # fmt: skip
"""Endings of recordings that it does not decode: they are reported."""

_BLOCK = 1 << 20


def find_files(folder: Path, suffixes: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """Find the files of some endings in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        Links to folders in it are not followed; hidden files and folders are passed over.
    suffixes : sequence of str
        Lower-case endings with their dot; capitals in names do not matter.

    Returns
    -------
    files : list of Path
        Sorted; each is a readable file within the folder, and its name is valid UTF-8.
    refused : dict of str to str
        Path within the folder to why a file or subfolder was passed over.

    Raises
    ------
    MissingFileError
        There is no such folder.
    """
    if not folder.is_dir():
        raise MissingFileError(f"{folder} is not a folder. Give the folder that holds the recordings.")
    root = folder.resolve()
    refused: dict[str, str] = {}

    def lost(error: OSError) -> None:
        refused[_within(folder, Path(error.filename or folder))] = f"cannot be opened: {error.strerror}"

    files = []
    for place, folders, names in os.walk(folder, onerror=lost):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if os.path.islink(os.path.join(place, name)):  # noqa: PTH114, PTH118 - a folder may hold very many
                refused[_within(folder, Path(place, name))] = "a link to a folder is not followed"
        for name in names:
            if name.startswith(".") or os.path.splitext(name)[1].lower() not in suffixes:  # noqa: PTH122
                continue
            path = Path(place, name)
            why = _refusal(path, root)
            if why:
                refused[_within(folder, path)] = why
            else:
                files.append(path)
    return sorted(files), refused


def same_bytes(files: Sequence[Path]) -> dict[Path, Path]:
    """Find files that are copies of others.

    Parameters
    ----------
    files : sequence of Path
        Readable files.

    Returns
    -------
    dict of Path to Path
        Each copy, with the first file of the same content.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in files:
        by_size[path.stat().st_size].append(path)
    copies = {}
    for alike in by_size.values():
        first: dict[bytes, Path] = {}
        for path in alike if len(alike) > 1 else ():
            original = first.setdefault(_digest(path), path)
            if original != path:
                copies[path] = original
    return copies


def _refusal(path: Path, root: Path) -> str:
    """Say why a file is no recording of this folder."""
    try:
        path.name.encode("utf-8")
        real = path.resolve(strict=True)
        if not real.is_relative_to(root):
            return "a link that leads out of the folder"
        if not real.is_file():
            return "no file"
        with real.open("rb"):
            return ""
    except UnicodeEncodeError:
        return "its name is not valid UTF-8: rename it"
    except (OSError, RuntimeError) as error:  # absent, a circle of links, no permission
        return f"cannot be opened: {getattr(error, 'strerror', None) or error}"


def _within(folder: Path, path: Path) -> str:
    return ascii_safe(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path))


def _digest(path: Path) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()
