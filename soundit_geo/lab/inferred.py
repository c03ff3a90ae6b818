"""What a prompt that is inferred from the sound is worth: PSS with given, inferred and no prompt, side by side."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.errors import OutsideWorldWarning
from soundit_geo.intervals import interval_of_mean
from soundit_geo.scenarios import AS_RECORDED, effect
from soundit_geo.scene_inference import infer_scenes
from soundit_geo.study import Study
from soundit_geo.synthetic_city.place import SCENES
from soundit_geo.synthetic_city.words import NAMES
from soundit_geo.synthetic_city.writing import write_city

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

MEASURES = ("pss_element", "pss_scene_top1", "pss_perception")
"""Scene @5 is left out: with twelve scenes, the top five nearly always meet."""

_SCENARIOS = {"given": AS_RECORDED, "inferred": "inferred", "none": "sound alone"}


def measure_inferred(
    folder: Path, sites: int, *, draws: int = 2, seed: int = 7, steps: int = 20, progress: bool = False
) -> dict[str, Any]:
    """Study a synthetic city under three kinds of prompt, and compare its landscapes with its photos.

    Parameters
    ----------
    folder : pathlib.Path
        Receives the city and the study.
    sites, draws, seed, steps : int
        As `write_city` and `Study` take them.
    progress : bool
        Show bars.

    Returns
    -------
    dict
        ``scene_is_right`` (share of sites whose inferred scene is the true one) and its mean ``probability``; for each
        kind of prompt and PSS the mean over sites with its 95 % interval; the differences, paired by site; and the
        circumstances.
    """
    city = write_city(folder / "city", sites, seed, progress=progress)
    said = {scene: _with_article(NAMES[scene][0]) for scene in SCENES}
    references = {said[scene]: [_with_article(name) for name in NAMES[scene]] for scene in SCENES}
    heard = infer_scenes(folder / "city" / "sites.geojson", references, progress=progress)
    truth = [said[city.places[site].scene] for site in heard.index]
    study = Study(
        heard,
        out=folder / "study",
        scenarios={AS_RECORDED: None, "inferred": "@inferred", "sound alone": None},
        draws=draws,
        seed=seed,
        steps=steps,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutsideWorldWarning)
        cube = study.run(progress=progress)
    return {
        "sites": sites,
        "draws": draws,
        "seed": seed,
        "steps": steps,
        "model": study.model,
        "evidence": cube.attrs["evidence"],
        "scene_is_right": round(float((heard["inferred"] == truth).mean()), 4),
        "probability": round(float(heard["inferred_probability"].mean()), 4),
        "pss": {kind: _means(cube, scenario) for kind, scenario in _SCENARIOS.items()},
        "difference": {
            f"{one} minus {other}": _differences(cube, _SCENARIOS[one], _SCENARIOS[other])
            for one, other in (("inferred", "none"), ("given", "inferred"), ("given", "none"))
        },
    }


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _means(cube: xr.Dataset, scenario: str) -> dict[str, dict[str, float | None]]:
    """Mean over sites of each PSS, with its interval for the population of sites."""
    layer = cube.sel(scenario=scenario)
    values = np.stack([layer[name].mean("draw").to_numpy() for name in MEASURES], axis=1).astype(float)
    low, high = interval_of_mean(values, 0.95, np.random.default_rng(0))
    return {
        name: {"mean": _rounded(mean), "low": _rounded(a), "high": _rounded(b)}
        for name, mean, a, b in zip(MEASURES, values.mean(axis=0), low, high, strict=True)
    }


def _differences(cube: xr.Dataset, one: str, other: str) -> dict[str, dict[str, float | None]]:
    found = effect(cube, one, other, variables=MEASURES, unchanged=True)
    ends = {"mean": "", "low": "_low", "high": "_high"}
    return {
        name: {end: _rounded(found[f"{name}{suffix}"]) for end, suffix in ends.items()} for name in MEASURES
    }


def _rounded(value: Any) -> float | None:
    """Four digits; None where there is no number, as JSON has it."""
    return round(float(value), 4) if np.isfinite(value) else None
