"""The embedded preset: small enough to ship, safe to load, and able to do what its card says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

import soundit_geo as sg
from soundit_geo.classes import PLACES365
from soundit_geo.synthetic_city.picture import render_picture
from soundit_geo.synthetic_city.place import SCENES, draw_place
from soundit_geo.synthetic_city.sound import render_sound
from soundit_geo.synthetic_city.words import NAMES
from soundit_geo.weights import preset_path

pytestmark = pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")


@pytest.fixture(scope="module")
def pipeline():
    pipe = sg.SounDiTPipeline.from_pretrained("synthetic-city")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def places():
    rng = np.random.default_rng(77)  # neither the training's nor the test city's seed
    return [draw_place(rng, scene) for scene in SCENES]


@pytest.fixture(scope="module")
def sounds(places):
    return [render_sound(place) for place in places]


def drawn_scenes(images):
    scores = sg.load_judges("synthetic-city").score(images)
    return [PLACES365[index] for index in scores.scene_class[:, 0]]


def test_it_is_small_and_holds_no_pickle():
    files = [path for path in Path(preset_path("synthetic-city")).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 40 * 2**20
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md"}


def test_its_card_says_that_it_is_a_stand_in_and_what_was_measured():
    folder = Path(preset_path("synthetic-city"))
    card, figures = (folder / "README.md").read_text(), json.loads((folder / "figures.json").read_text())
    assert "stand-in" in card
    assert f"{figures['sound_and_prompt']['pss_scene_top1'][0]:.3f}" in card


def test_plain_diffusers_opens_it(pipeline):
    plain = DiffusionPipeline.from_pretrained(preset_path("synthetic-city"))
    assert type(plain) is type(pipeline)
    ours, theirs = pipeline.transformer.state_dict(), plain.transformer.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.mark.parametrize("kind", [DDIMScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler])
def test_samplers_without_noise_of_their_own_draw_the_same_picture(pipeline, kind):
    """They solve one equation; what another first noise draws is five times as far away and more."""
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    other = sg.SounDiTPipeline.from_pipe(pipeline, scheduler=kind.from_config(pipeline.scheduler.config))
    other.set_progress_bar_config(disable=True)
    common = {"scenes": "a park", "num_inference_steps": 24, "output_type": "pt"}
    one, two = (pipe(latents=latents[:1], **common).images for pipe in (pipeline, other))
    far = pipeline(latents=latents[1:], **common).images
    assert (one - two).abs().mean() < 0.2 * (one - far).abs().mean()


def test_the_encoder_hears_scenes_far_above_chance(pipeline, places, sounds):
    heard = torch.nn.functional.normalize(pipeline.encoder.encode_soundscapes(sounds).summary, dim=-1)
    names = [pipeline.encoder.encode_scenes(list(NAMES[scene])).mean(0) for scene in SCENES]
    read = torch.nn.functional.normalize(torch.stack(names), dim=-1)
    top3 = (heard @ read.T).topk(3).indices
    assert sum(index in row for index, row in enumerate(top3.tolist())) >= 8  # chance: 3 of 12


def test_the_prompt_decides_what_is_drawn(pipeline, sounds):
    """One sound, twelve prompts; then twelve sounds, one prompt."""
    prompts = [f"a {NAMES[scene][0]}" for scene in SCENES]
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)).repeat(12, 1, 1, 1)
    images = pipeline([sounds[0]] * 12, prompts, latents=latents, num_inference_steps=16).images
    assert sum(a == b for a, b in zip(drawn_scenes(images), SCENES, strict=True)) >= 8  # chance: 1


def test_the_sound_alone_says_something(pipeline, sounds):
    images = pipeline(sounds, generator=torch.Generator().manual_seed(0), num_inference_steps=16).images
    assert sum(a == b for a, b in zip(drawn_scenes(images), SCENES, strict=True)) >= 5  # chance: 1


def test_the_judges_tell_a_place_by_its_picture(places):
    pictures = [render_picture(place, 256)[0] for place in places]
    assert sum(a == b for a, b in zip(drawn_scenes(pictures), SCENES, strict=True)) >= 11
