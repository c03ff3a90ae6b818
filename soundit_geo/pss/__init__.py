"""The judge: pictures in, scores out.

``similarity``, ``fidelity``, ``indicators`` and ``votes`` are functions over arrays and import no torch;
``elements``, ``scenes`` and ``perception`` say what a judge is and hold the embedded one each; ``segmenters`` (with
``deeplab``), ``places`` and ``place_pulse`` hold the judges around published networks; ``judges`` the set of three,
``place_similarity`` the score over pairs. Names are fetched when they are first used. The package itself can be called:
``soundit_geo.pss(real, generated)`` is `place_similarity.pss`, for Python binds a package's name in its
parent as soon as any of its modules is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundit_geo.pss.elements import ElementJudge, Elements, EmbeddedElementJudge
    from soundit_geo.pss.fidelity import (
        audio_image_similarity,
        frechet_distance,
        image_image_similarity,
        kernel_distance,
    )
    from soundit_geo.pss.indicators import INDICATORS, urban_indicators
    from soundit_geo.pss.judges import Judges, Scores, load_judges
    from soundit_geo.pss.perception import EmbeddedPerceptionJudge, Perception, PerceptionJudge
    from soundit_geo.pss.place_pulse import PlacePulseJudge, SkillJudge
    from soundit_geo.pss.place_similarity import PSSResult, compare, floor, pss
    from soundit_geo.pss.places import PlacesJudge
    from soundit_geo.pss.scenes import EmbeddedSceneJudge, SceneJudge, Scenes
    from soundit_geo.pss.segmenters import SegmentationJudge
    from soundit_geo.pss.similarity import (
        METRICS,
        Metric,
        element_similarity,
        perception_distance,
        scene_overlap,
    )
    from soundit_geo.pss.votes import Votes, read_votes

__all__ = [
    "INDICATORS",
    "METRICS",
    "ElementJudge",
    "Elements",
    "EmbeddedElementJudge",
    "EmbeddedPerceptionJudge",
    "EmbeddedSceneJudge",
    "Judges",
    "Metric",
    "PSSResult",
    "Perception",
    "PerceptionJudge",
    "PlacePulseJudge",
    "PlacesJudge",
    "SceneJudge",
    "Scenes",
    "Scores",
    "SegmentationJudge",
    "SkillJudge",
    "Votes",
    "audio_image_similarity",
    "compare",
    "element_similarity",
    "floor",
    "frechet_distance",
    "image_image_similarity",
    "kernel_distance",
    "load_judges",
    "perception_distance",
    "pss",
    "read_votes",
    "scene_overlap",
    "urban_indicators",
]

_HOME = {
    "elements": ("ElementJudge", "Elements", "EmbeddedElementJudge"),
    "fidelity": ("audio_image_similarity", "frechet_distance", "image_image_similarity", "kernel_distance"),
    "indicators": ("INDICATORS", "urban_indicators"),
    "judges": ("Judges", "Scores", "load_judges"),
    "perception": ("EmbeddedPerceptionJudge", "Perception", "PerceptionJudge"),
    "place_pulse": ("PlacePulseJudge", "SkillJudge"),
    "place_similarity": ("PSSResult", "compare", "floor", "pss"),
    "places": ("PlacesJudge",),
    "scenes": ("EmbeddedSceneJudge", "SceneJudge", "Scenes"),
    "segmenters": ("SegmentationJudge",),
    "similarity": ("METRICS", "Metric", "element_similarity", "perception_distance", "scene_overlap"),
    "votes": ("Votes", "read_votes"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> PSSResult:
        """Score pairs; see `place_similarity.pss`."""
        from soundit_geo.pss.place_similarity import pss as score_pairs

        return score_pairs(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
