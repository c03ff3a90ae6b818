"""Train what ships in ``presets/synthetic-city``: autoencoder, encoder, judges, SounDiT-mini.

Each stage can be stopped and run again; it then goes on from its last checkpoint. A finished stage writes its
component into the preset folder as half-precision safetensors.

================  ==========================================================================
workshop.py       where it happens, and what the stages share
autoencoder.py    ``vae``, ``decoder``
encoder.py        ``encoder``
judges.py         ``elements``, ``scenes``, ``perception``
caches.py         ``latents``, ``embed``
lesson.py         what the generator is shown in a step
generator.py      ``soundit``
================  ==========================================================================
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch

from soundit_geo.errors import InputError
from soundit_geo.lab.preset.autoencoder import decoder, vae
from soundit_geo.lab.preset.caches import cached, embed, latents
from soundit_geo.lab.preset.encoder import encoder
from soundit_geo.lab.preset.generator import soundit
from soundit_geo.lab.preset.judges import elements, perception, scenes
from soundit_geo.lab.preset.workshop import TEST_SEED, TRAIN_SEED, Workshop, data, sounds
from soundit_geo.synthetic_city.words import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["STAGES", "TEST_SEED", "TRAIN_SEED", "Workshop", "cached", "train_preset"]


def assemble(shop: Workshop, places: int = 1008, doses: int = 12) -> None:
    """Join the components into a pipeline folder, measure it, and write its card and contact sheet.

    Parameters
    ----------
    shop : Workshop
        Where.
    places, doses : int, optional
        Unseen places that are drawn, and places of each scene whose levels are turned.
    """
    from diffusers import DPMSolverMultistepScheduler

    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.lab.evaluate import evaluate
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder
    from soundit_geo.soundit.pipeline import SounDiTPipeline
    from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
    from soundit_geo.weights import STAND_IN_WORLD

    pipeline = SounDiTPipeline(
        SounDiTTransformer2DModel.from_pretrained(shop.preset / "transformer"),
        FoldingAutoencoder.from_pretrained(shop.preset / "vae"),
        DPMSolverMultistepScheduler.from_pretrained(shop.preset / "scheduler"),
        ImageBindModel.from_pretrained(shop.preset / "encoder"),
        world=STAND_IN_WORLD,
        known_scenes=NAMES,
    )
    pipeline.save_config(shop.preset)
    figures = evaluate(shop.preset, shop.test, shop.work / "contact-sheet.png", places, doses)
    print(json.dumps(figures, indent=2))


STAGES: dict[str, Callable[[Workshop], None]] = {
    "data": data,
    "sounds": sounds,
    "vae": vae,
    "encoder": encoder,
    "elements": elements,
    "scenes": scenes,
    "perception": perception,
    "decoder": decoder,
    "latents": latents,
    "embed": embed,
    "soundit": soundit,
    "assemble": assemble,
}


def train_preset(
    name: str,
    work: Path,
    out: Path,
    stages: list[str] | None = None,
    start: Path | None = None,
    *,
    mixed: bool = False,
) -> None:
    """Train a preset, or some of its stages.

    Parameters
    ----------
    name : str
        ``synthetic-city``.
    work, out : pathlib.Path
        Data and checkpoints; the finished components.
    stages : list of str, optional
        Keys of `STAGES`; all in order by default.
    start : pathlib.Path, optional
        A finished preset whose weights the stages begin with.
    mixed : bool, optional
        See `Workshop`.

    Raises
    ------
    InputError
        If the name or a stage is unknown, or `start` is no preset.
    """
    if name != "synthetic-city":
        raise InputError(f"Preset {name!r} cannot be trained; there is synthetic-city.")
    unknown = [stage for stage in stages or [] if stage not in STAGES]
    if unknown:
        raise InputError(f"Stage {unknown[0]!r} is unknown; there are {', '.join(STAGES)}.")
    if start is not None and not (start / "model_index.json").is_file():
        raise InputError(f"{start} holds no preset to start from; expected a folder with model_index.json.")
    shop = Workshop(work, out, start=start, mixed=mixed)
    for stage in stages or list(STAGES):
        with torch.random.fork_rng():
            torch.manual_seed(
                TRAIN_SEED
            )  # of the first weights; every step draws from a generator of its own
            STAGES[stage](shop)
