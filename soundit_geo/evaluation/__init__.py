"""Generated pictures against real ones and against their sounds: FID, KID, AIS, IIS.

Here judges and encoders meet, which know nothing of each other.

==========  ==========================================================================
scoring.py  `fidelity`: pictures and recordings in, a `FidelityResult` out
looks.py    the networks over files: read ahead, in batches, what is broken listed
result.py   `FidelityResult`: values, intervals, floors, and what to keep in mind
spaces.py   `Space`, `Embeddings`: where sounds and pictures are compared
==========  ==========================================================================

The measures themselves are pure functions in `soundit_geo.pss.fidelity`. Names are fetched when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundit_geo.evaluation.result import FidelityResult
    from soundit_geo.evaluation.scoring import fidelity
    from soundit_geo.evaluation.spaces import Embeddings, Space, load_space

__all__ = ["Embeddings", "FidelityResult", "Space", "fidelity", "load_space"]

_HOMES = {
    "Embeddings": "spaces",
    "FidelityResult": "result",
    "Space": "spaces",
    "fidelity": "scoring",
    "load_space": "spaces",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
