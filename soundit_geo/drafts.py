"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import shutil
import uuid
from contextlib import contextmanager
from errno import EISDIR
from typing import TYPE_CHECKING

from soundit_geo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundit_geo.errors import SounditError


@contextmanager
def draft_of(path: Path, error: type[SounditError] = InputError) -> Iterator[Path]:
    """Write a draft that takes its place in one rename when the block ends well.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder that shall be; one of the same sort that is there is replaced. Its folder is made.
    error : type of SounditError, optional
        Raised where it cannot be written.

    Yields
    ------
    pathlib.Path
        Where to write, in the same folder and with the same suffix.

    Raises
    ------
    SounditError
        Of that type, if it cannot be written.
    """
    draft = path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")
    old = draft.with_name(f"{draft.name}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        if path.is_dir() and not draft.is_dir():
            raise IsADirectoryError(EISDIR, "a folder is there")
        if path.is_dir():  # one that is not empty gives way to no rename
            path.replace(old)
        draft.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as cause:
        if old.exists():
            old.replace(path)
        raise error(f"{path} cannot be written: {cause}. Choose a place that you may write to.") from cause
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        elif draft.exists():
            draft.unlink()
