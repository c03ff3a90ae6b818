"""How much memory a piece of work takes, measured in a process that does nothing else."""

from __future__ import annotations

import multiprocessing
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def peak_of(work: Callable[..., object], *arguments: Any) -> int:
    """Do something in a fresh process, and tell how much memory that process held at most.

    Parameters
    ----------
    work : callable
        A function of a module.
    *arguments
        What it is called with.

    Returns
    -------
    int
        Largest resident set of the process, in bytes, the interpreter and all imports included.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., object], arguments: tuple[Any, ...]) -> int:
    work(*arguments)
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage also counts the process that this one was started from
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource  # of Unix alone

    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
