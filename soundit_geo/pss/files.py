"""Files of scores that are there whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundit_geo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Write a draft that takes the file's place in one rename when the block ends well.

    Parameters
    ----------
    path : pathlib.Path
        The file that shall be; its folder is made, and an older file stays until the new one is whole.

    Yields
    ------
    pathlib.Path
        Where to write, in the same folder.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error}. Choose a place that you may write to."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
