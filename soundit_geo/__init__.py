"""soundit-geo: hear a place, see it, map how it would feel, and compare designs.

Every public name is imported when it is first used: ``import soundit_geo`` itself loads neither torch nor
geopandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundit_geo.acoustics import acoustics
    from soundit_geo.audio import Recording, read_recording
    from soundit_geo.classes import ADE20K, PERCEPTIONS, PLACES365
    from soundit_geo.correlation import add_acoustics, correlate
    from soundit_geo.cube import open_cube, save_cube
    from soundit_geo.evaluation.scoring import fidelity
    from soundit_geo.explorer import Explorer, explore
    from soundit_geo.field import save_sites, sites_from_folder
    from soundit_geo.maps import site_map
    from soundit_geo.pss.judges import load_judges
    from soundit_geo.pss.place_similarity import pss
    from soundit_geo.recordings import read_sites
    from soundit_geo.scenarios import Scenario, difference, effect, read_scenarios
    from soundit_geo.scene_inference import infer_scenes
    from soundit_geo.soundit.pipeline import SounDiTPipeline
    from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
    from soundit_geo.spatial import districts, hexagons, hotspots, surface, write_raster
    from soundit_geo.study import Study
    from soundit_geo.synthetic_city.writing import write_city

__version__ = "0.1.0"

_HOMES = {
    "ADE20K": "classes",
    "Explorer": "explorer",
    "PERCEPTIONS": "classes",
    "PLACES365": "classes",
    "Recording": "audio",
    "Scenario": "scenarios",
    "SounDiTPipeline": "soundit.pipeline",
    "SounDiTTransformer2DModel": "soundit.transformer",
    "Study": "study",
    "acoustics": "acoustics",
    "add_acoustics": "correlation",
    "correlate": "correlation",
    "difference": "scenarios",
    "effect": "scenarios",
    "districts": "spatial",
    "explore": "explorer",
    "fidelity": "evaluation.scoring",
    "infer_scenes": "scene_inference",
    "hexagons": "spatial",
    "hotspots": "spatial",
    "load_judges": "pss.judges",
    "open_cube": "accessors",
    "pss": "pss.place_similarity",
    "read_recording": "audio",
    "read_scenarios": "scenarios",
    "read_sites": "accessors",
    "save_cube": "cube",
    "save_sites": "field",
    "site_map": "maps",
    "sites_from_folder": "field",
    "surface": "spatial",
    "write_city": "synthetic_city.writing",
    "write_raster": "spatial",
}

__all__ = [
    "ADE20K",
    "PERCEPTIONS",
    "PLACES365",
    "Explorer",
    "Recording",
    "Scenario",
    "SounDiTPipeline",
    "SounDiTTransformer2DModel",
    "Study",
    "__version__",
    "acoustics",
    "add_acoustics",
    "correlate",
    "difference",
    "districts",
    "effect",
    "explore",
    "fidelity",
    "hexagons",
    "hotspots",
    "infer_scenes",
    "load_judges",
    "open_cube",
    "pss",
    "read_recording",
    "read_scenarios",
    "read_sites",
    "save_cube",
    "save_sites",
    "site_map",
    "sites_from_folder",
    "surface",
    "write_city",
    "write_raster",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
