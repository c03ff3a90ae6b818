"""What the embedded preset is worth: figures on places that training never saw, a contact sheet, the model card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from soundit_geo.lab import city_data
from soundit_geo.pss.judges import load_judges
from soundit_geo.pss.place_similarity import floor
from soundit_geo.pss.similarity import element_similarity, perception_distance, scene_overlap
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.synthetic_city.place import SCENES
from soundit_geo.synthetic_city.words import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from soundit_geo.pss.judges import Scores

STEPS = 20
BATCH = 24


def evaluate(preset: Path, test: Path, sheet: Path, per_scene: int = 10) -> dict[str, Any]:
    """Measure a preset on the test city and write its card.

    Parameters
    ----------
    preset : pathlib.Path
        Folder of the finished components; receives ``figures.json`` and ``README.md``.
    test : pathlib.Path
        Data folder of the test city, see `city_data`.
    sheet : pathlib.Path
        Receives the contact sheet: per scene two real pictures, then six drawn ones.
    per_scene : int, optional
        Test places per scene.

    Returns
    -------
    dict
        The figures, as in ``figures.json``.
    """
    count = per_scene * len(SCENES)
    places = city_data.load_places(test)[:count]
    rows = np.arange(count) * city_data.VARIANTS
    pictures = np.load(test / "pictures.npy", mmap_mode="r")
    real, second = pictures[rows], pictures[rows + 1]
    pipe = SounDiTPipeline.from_pretrained(preset)
    pipe.set_progress_bar_config(disable=True)
    judges = load_judges(preset)
    fbanks = torch.from_numpy(np.load(test / "fbanks.npy", mmap_mode="r")[:count].astype(np.float32))
    with torch.inference_mode():
        parts = [pipe.encoder.encode_fbanks(part) for part in fbanks.split(32)]
    tokens = torch.cat([part.tokens for part in parts])
    summary = torch.cat([part.summary for part in parts])
    said = [f"a {NAMES[place.scene][0]}" for place in places]
    shift = np.roll(np.arange(count), 5)  # the scenes come in turn: another one for every place
    swapped = [said[row] for row in shift]

    def draw(prompts: list[str] | None, name: str) -> list[np.ndarray]:
        images: list[np.ndarray] = []
        for start in tqdm(range(0, count, BATCH), desc=name):
            part = slice(start, min(start + BATCH, count))
            noise = torch.randn(
                part.stop - start, *_latent(pipe), generator=torch.Generator().manual_seed(start)
            )
            embeds = type(parts[0])(tokens=tokens[part], summary=summary[part])
            drawn: Any = pipe(
                soundscape_embeds=embeds,
                scenes=None if prompts is None else prompts[part],
                latents=noise,
                num_inference_steps=STEPS,
            )
            images += [np.asarray(image) for image in drawn.images]
        return images

    truth = judges.score(list(real))
    both, alone, other = (
        draw(said, "sound and prompt"),
        draw(None, "sound alone"),
        draw(swapped, "swapped prompt"),
    )
    scores = {
        "sound_and_prompt": judges.score(both),
        "sound_alone": judges.score(alone),
        "ceiling_second_picture": judges.score(list(second)),
    }
    wanted = truth.scene_class[shift, 0]
    figures: dict[str, Any] = {
        "places": count,
        "steps": STEPS,
        "guidance": 4.0,
        **{name: _compare(truth, score) for name, score in scores.items()},
        "floor_other_place": {name: round(value, 4) for name, value in floor(truth, truth).items()},
        "prompt_swap_scene_is_the_prompted": float((judges.score(other).scene_class[:, 0] == wanted).mean()),
        "outside_world_share": float(scores["sound_and_prompt"].outside.mean()),
        "parts": {
            str(path.parent.relative_to(preset)): json.loads(path.read_text())
            for path in sorted(preset.rglob("*/figures.json"))
        },
    }
    sheet.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_sheet(list(real), both)).save(sheet, optimize=True)
    (preset / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    (preset / "README.md").write_text(_card(figures))
    return figures


def _latent(pipe: SounDiTPipeline) -> tuple[int, int, int]:
    config = pipe.transformer.config
    return config.in_channels, config.sample_size, config.sample_size


def _compare(truth: Scores, score: Scores) -> dict[str, float]:
    values = {
        "pss_element": element_similarity(truth.element_share, score.element_share),
        "pss_scene_top1": scene_overlap(truth.scene_class, score.scene_class, 1),
        "pss_scene_top5": scene_overlap(truth.scene_class, score.scene_class, 5),
        "pss_perception": perception_distance(truth.perception, score.perception),
    }
    return {name: round(float(np.mean(value)), 4) for name, value in values.items()}


def _sheet(real: list[np.ndarray], drawn: list[np.ndarray]) -> np.ndarray:
    lines = []
    for scene in range(len(SCENES)):
        own = list(range(scene, len(real), len(SCENES)))
        gap = np.full((real[0].shape[0], 8, 3), 255, np.uint8)
        lines.append(np.concatenate([*(real[i] for i in own[:2]), gap, *(drawn[i] for i in own[:6])], axis=1))
    half = len(lines) // 2
    left, right = np.concatenate(lines[:half]), np.concatenate(lines[half:])
    return np.concatenate([left, np.full((len(left), 16, 3), 255, np.uint8), right], axis=1)


def _card(figures: dict[str, Any]) -> str:
    names = ("sound_and_prompt", "sound_alone", "ceiling_second_picture", "floor_other_place")
    keys = ("pss_scene_top1", "pss_scene_top5", "pss_element", "pss_perception")
    table = "\n".join(
        f"| {name.replace('_', ' ')} | " + " | ".join(f"{figures[name][key]:.3f}" for key in keys) + " |"
        for name in names
    )
    parts = "\n".join(
        f"| `{name}` | " + ", ".join(f"{key} {_short(value)}" for key, value in part.items()) + " |"
        for name, part in figures["parts"].items()
    )
    return f"""# Preset `synthetic-city`

A **stand-in**: everything here was trained on the procedural city of `soundit_geo.synthetic_city`, on synthetic
pictures and synthetic sound. It shows how the method works; what it says about a real place is no evidence.

Pictures are 128 × 128. Trained on two processor cores, without a GPU; training seed 1, test seed 2, so that no test
place was seen in training. Licence: BSD-3-Clause.

On {figures["places"]} unseen places, {figures["steps"]} sampler steps, guidance {figures["guidance"]:g}; judged by
the embedded judges (perception distance on their scale of 0 to 10, lower is better; all else higher is better):

| | PSS scene @1 | scene @5 | element | perception |
|---|---|---|---|---|
{table}

*Ceiling*: another picture of the same place. *Floor*: the picture of any other place. With twelve scenes, the top five
nearly always meet: scene @5 separates nothing here. With another scene's prompt, the
judge sees the prompted scene in {figures["prompt_swap_scene_is_the_prompted"]:.0%} of the drawings.
{figures["outside_world_share"]:.1%} of the drawings look foreign to the judges.

| part | figures on unseen places |
|---|---|
{parts}

The denoiser saw its samples of 9,600 distinct pictures of 4,800 places and their mirror images. The decoder was
sharpened with features of the element judge, which favours element scores by that judge. In the captions of this
training "quiet" or "deserted" could also stand for a busy road without people; that has been mended since.

Made and measured by (stage by stage, each can be stopped and gone on with):

```sh
soundit-geo train preset synthetic-city --out soundit_geo/presets/synthetic-city
```
"""


def _short(value: object) -> str:
    if isinstance(value, list):
        return " / ".join(_short(one) for one in value)
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
