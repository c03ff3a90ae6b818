"""What a study says of itself: in ``study.json``, which tells it from another, and in its cube."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundit_geo import __version__
from soundit_geo.errors import ScenarioError
from soundit_geo.recordings import to_lonlat
from soundit_geo.scenarios import prompts_for
from soundit_geo.weights import STAND_IN_WORLD, is_stand_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import geopandas as gpd

    from soundit_geo.pss.judges import Judges
    from soundit_geo.scenarios import Scenario

CREATED_BY = f"soundit-geo {__version__}"

_END = 65_536  # bytes of each end of a file that are hashed


def describe(
    sites: gpd.GeoDataFrame, scenarios: Sequence[Scenario], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Write down what makes a study this study.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        As `read_sites` gives them.
    scenarios : sequence of Scenario
        In the study's order.
    settings : mapping of str to Any
        Model, judges and numbers of the study.

    Returns
    -------
    dict
        Plain values, as ``study.json`` holds them: the settings, the scenarios' names, and each site with its place
        in degrees, its files and prompts.

    Raises
    ------
    ScenarioError, SitesError, CRSError
        As `prompts_for` does.
    """
    prompts = prompts_for(sites, scenarios)
    return {
        **settings,
        "scenarios": [scenario.name for scenario in scenarios],
        "sites": [
            {
                "site": site,
                "lonlat": [round(point.x, 9), round(point.y, 9)],
                "audio": _print_of(row["audio"]),
                "photo": _print_of(row.get("photo")),
                "prompts": list(prompts.loc[site]),
            }
            for (site, row), point in zip(sites.iterrows(), to_lonlat(sites).geometry, strict=True)
        ],
    }


def cube_attrs(settings: Mapping[str, Any], judges: Judges) -> dict[str, Any]:
    """Tell what a cube of a study says of itself.

    Parameters
    ----------
    settings : mapping of str to Any
        As `describe` takes them.
    judges : Judges
        What judges.

    Returns
    -------
    dict
        Attributes of the cube.
    """
    return {
        "title": "Predicted perception of generated landscapes",
        "model": settings["model"],
        "judges": json.dumps(judges.names),
        "seed": settings["seed"],
        "draws": settings["draws"],
        "guidance": settings["guidance"],
        "steps": settings["steps"],
        "created": datetime.now(UTC).date().isoformat(),
        "created_by": CREATED_BY,
        "evidence": _evidence(settings["model"], judges),
        "perception_scale": judges.perception_scale,
    }


def storable(scenario: Scenario) -> Scenario:
    """Refuse text that no file can hold.

    Parameters
    ----------
    scenario : Scenario
        Any scenario.

    Returns
    -------
    Scenario
        The same.

    Raises
    ------
    ScenarioError
        If its name or prompt holds NUL or half a surrogate pair.
    """
    for text in (scenario.name, scenario.prompt or ""):
        if "\0" in text or text != text.encode(errors="replace").decode():
            raise ScenarioError(
                f"{text!r} holds NUL or half a surrogate pair, which files cannot hold. Leave it out."
            )
    return scenario


def _evidence(model: str, judges: Judges) -> str:
    """Say what is a stand-in: the model by its own files, the judges by theirs."""
    judged = [world == STAND_IN_WORLD for world in judges.worlds.values()]
    if is_stand_in(model):
        if all(judged):
            return f"stand-in: {STAND_IN_WORLD}"
        return f"stand-in model: {STAND_IN_WORLD}; {judges.evidence}"
    return f"{judges.evidence}; trained model" if any(judged) else "trained model"


def _print_of(path: object) -> list[object]:
    """What tells one file from another at little cost: its path, size, and a hash of its two ends."""
    if not isinstance(path, str) or not path:
        return []
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as file:
            ends = file.read(_END)
            file.seek(max(0, size - _END))
            ends += file.read(_END)
    except OSError:
        return [path]
    return [path, size, hashlib.sha256(ends).hexdigest()[:16]]
