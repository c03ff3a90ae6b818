"""A JupyterLab of its own: free port, no token, settings and data in a folder of the test."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import nbformat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


@contextmanager
def jupyter_lab(folder: Path, within: float = 90) -> Iterator[str]:
    """Serve the folder; yields the address."""
    own = folder / ".jupyter"
    (own / "settings").mkdir(parents=True)
    (own / "settings" / "overrides.json").write_text(json.dumps(SETTINGS))
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    places = {f"JUPYTER_{name}_DIR": str(own / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"),
        *(f"--LabApp.app_settings_dir={own / 'settings'}", "--ServerApp.terminals_enabled=False"),
    ]
    with (own / "log").open("wb") as log:
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, **places, "IPYTHONDIR": str(own / "ipython"), "OMP_NUM_THREADS": "1"},
        )
        try:
            address, end = f"http://127.0.0.1:{port}", time.monotonic() + within
            while not _answers(f"{address}/api"):
                said = (own / "log").read_text()
                assert server.poll() is None, said
                assert time.monotonic() < end, said
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()  # it ends its kernels
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310
        return answer.status == 200
    return False
