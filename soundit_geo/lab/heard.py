"""What the embedded model makes of recordings that are real: the scenes that it hears, and what it draws."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional
from tqdm import tqdm

from soundit_geo.classes import PLACES365
from soundit_geo.errors import InputError, OutsideWorldWarning
from soundit_geo.pss.judges import load_judges
from soundit_geo.soundit.nearest import known_scenes, ranked
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.synthetic_city.words import NAMES
from soundit_geo.weights import evidence_of_model

if TYPE_CHECKING:
    from collections.abc import Sequence

SOUNDS = frozenset({".wav", ".flac", ".ogg", ".mp3"})
NEAREST = 3
_TEXT = 20  # pixels of a line of words on the sheet


def recordings_in(places: Sequence[Path]) -> list[Path]:
    """Recordings among files and in folders.

    Parameters
    ----------
    places : sequence of pathlib.Path
        Files, and folders that are looked through one level deep.

    Returns
    -------
    list of pathlib.Path
        The files, and of each folder its recordings by name.

    Raises
    ------
    InputError
        If a place does not exist, or there is no recording at all.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(path for path in place.iterdir() if path.suffix.lower() in SOUNDS)
        elif place.is_file():
            found.append(place)
        else:
            raise InputError(f"{place} is neither a file nor a folder; give recordings, or folders of them.")
    if not found:
        raise InputError(
            f"There is no recording in {', '.join(map(str, places))}; expected files that end in "
            f"{', '.join(sorted(SOUNDS))}."
        )
    return found


def listen(
    recordings: Sequence[Path],
    model: str | Path = "synthetic-city",
    *,
    draws: int = 3,
    steps: int = 20,
    seed: int = 7,
    sheet: Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Hear recordings, name the nearest scenes, and draw from the sound alone.

    Parameters
    ----------
    recordings : sequence of pathlib.Path
        Audio files.
    model : str or pathlib.Path, optional
        A preset with judges of its own.
    draws : int, optional
        Landscapes of each recording.
    steps : int, optional
        Of the sampler; guidance is the pipeline's default.
    seed : int, optional
        Of the first noises, the same for every recording.
    sheet : pathlib.Path, optional
        Receives a contact sheet: names, nearest scenes, landscapes.
    progress : bool, optional
        Show a bar.

    Returns
    -------
    dict
        ``recordings``: for each file by its path the ``nearest`` scenes with their cosines, and per landscape the scene
        that the judge sees (``drawn``) and whether it finds the landscape foreign (``outside``); and the
        circumstances.

    Raises
    ------
    InputError
        If the model has no encoder, or the sheet is no picture file.
    AudioError
        If a recording cannot be used.
    """
    if sheet is not None and sheet.suffix.lower() not in Image.registered_extensions():
        raise InputError(f"{sheet} names no kind of picture that can be written; end it in .png.")
    pipe = SounDiTPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    encoder: Any = pipe.encoder
    if encoder is None:
        raise InputError(f"Model {str(model)!r} has no encoder and hears nothing; give one that has.")
    judges = load_judges(model)
    with torch.inference_mode():
        known = known_scenes(encoder.encode_scenes, pipe.config.get("known_scenes") or NAMES)
    config = pipe.transformer.config
    shape = (draws, config.in_channels, config.sample_size, config.sample_size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    heard: dict[str, Any] = {}
    images: list[list[Image.Image]] = []
    for path in tqdm(recordings, desc="recordings", disable=not progress):
        given = pipe.encode(soundscapes=[str(path)])
        sound: Any = given["soundscape_embeds"]
        nearest = ranked(known, functional.normalize(sound.summary.float(), dim=-1))[0][:NEAREST]
        drawn: Any = pipe(**given, num_images_per_prompt=draws, latents=noise, num_inference_steps=steps)
        images.append(drawn.images)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideWorldWarning)  # told in the result
            scores = judges.score([np.asarray(image) for image in drawn.images])
        heard[str(path)] = {
            "nearest": [[scene, round(cosine, 3)] for scene, cosine in nearest],
            "drawn": [PLACES365[scene] for scene in scores.scene_class[:, 0]],
            "outside": [bool(flag) for flag in scores.outside],
        }
    if sheet is not None:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        _sheet(heard, images).save(sheet, optimize=True)
    return {
        "model": str(model),
        "evidence": evidence_of_model(model),
        "judges": judges.names,
        "judges_evidence": judges.evidence,
        "draws": draws,
        "steps": steps,
        "seed": seed,
        "recordings": heard,
    }


def _sheet(heard: dict[str, Any], images: list[list[Image.Image]]) -> Image.Image:
    """One column per recording: its name, the scenes that were heard, then the landscapes."""
    edge = images[0][0].width
    columns = min(5, len(images))
    lines = -(-len(images) // columns)
    words, high = 4 * _TEXT, edge * len(images[0])
    font = ImageFont.load_default(12)
    labels = [
        [Path(name).stem, *(f"{scene} {cosine:.2f}" for scene, cosine in found["nearest"])]
        for name, found in heard.items()
    ]
    wide = 8 + max(edge, *(int(font.getlength(text)) for said in labels for text in said))
    paper = Image.new("RGB", (columns * wide, lines * (words + high + 12)), "white")
    pen = ImageDraw.Draw(paper)
    for number, (said, drawn) in enumerate(zip(labels, images, strict=True)):
        left, top = number % columns * wide, number // columns * (words + high + 12)
        for line, text in enumerate(said):
            pen.text((left, top + line * _TEXT), text, fill="black", font=font)
        for row, image in enumerate(drawn):
            paper.paste(image, (left, top + words + row * edge))
    return paper
