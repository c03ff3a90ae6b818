"""Stage ``encoder``: sound, words and pictures of a place into one space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from soundit_geo.lab import city_data
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset.workshop import (
    TEST_SEED,
    begin,
    random_rows,
    ship,
    sounds,
    steps_in_all,
    truth_of,
)
from soundit_geo.soundit.nearest import known_scenes
from soundit_geo.synthetic_city.place import LEVELS, SCENES
from soundit_geo.synthetic_city.words import NAMES, UNSEEN, caption

if TYPE_CHECKING:
    from torch import Tensor

    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.lab.preset.workshop import Workshop


def encoder(shop: Workshop, steps: int = 2000) -> None:
    """Train ImageBind-mini: sound, words and pictures of one place together, those of other places apart.

    Symmetric InfoNCE over the three pairs, with half of the target's weight spread over places of the same scene;
    two helper heads on the sound vector (scene, levels), thrown away afterwards, make it learn sooner.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 64 places, of which 32 also bring a picture.
    """
    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.encoders.preprocessing import pixels_of
    from soundit_geo.encoders.tokenizer import tokenize

    sounds(shop)
    fbanks = np.load(shop.train / "fbanks.npy", mmap_mode="r")
    places = city_data.load_places(shop.train)[: len(fbanks)]
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    labels, levels = truth_of(places)
    model = ImageBindModel.mini()
    origin = begin(shop, "encoder", model)
    size = model.config.vision_size
    heads = torch.nn.Linear(model.joint_dim, len(SCENES) + len(LEVELS))
    whole = torch.nn.ModuleDict({"model": model, "heads": heads})

    def agreement(first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        logits = 20.0 * functional.normalize(first, dim=-1) @ functional.normalize(second, dim=-1).T
        return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = random_rows(generator, len(places), 64)
        clip = torch.randint(3, (64,), generator=generator).numpy()
        sound = model.encode_fbanks(torch.from_numpy(fbanks[rows, clip].astype(np.float32))[:, None]).summary
        words = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        text = model.encode_tokens(tokenize([caption(places[row], words) for row in rows]))
        seen = torch.stack([pixels_of(pictures[row * city_data.VARIANTS], size) for row in rows[:32]])
        vision = model.encode_pixels(seen)
        label = labels[rows]
        same = (label[:, None] == label[None]).float()
        target = 0.5 * torch.eye(64) + 0.5 * same / same.sum(dim=1, keepdim=True)
        part = target[:32, :32] / target[:32, :32].sum(dim=1, keepdim=True)
        contrast = agreement(sound, text, target) + agreement(text[:32], vision, part)
        contrast = contrast + agreement(sound[:32], vision, part)
        guess = heads(sound / 20.0 * model.joint_dim**0.5)
        scene = functional.cross_entropy(guess[:, : len(SCENES)], label)
        level = functional.mse_loss(guess[:, len(SCENES) :], levels[rows])
        return {
            "loss": contrast + scene + 4.0 * level,
            "contrast": contrast.detach(),
            "scene": scene.detach(),
            "level": level.detach(),
        }

    trained = fit(
        whole,
        losses,
        Plan(steps, rate=1e-3, decay=0.02, average=0.99),
        shop.work / "stages",
        "encoder",
        origin,
    )
    best = trained["model"]
    ship(
        best, shop.preset / "encoder", {**steps_in_all(shop, "encoder", steps), **_understanding(best, shop)}
    )


def _understanding(best: ImageBindModel, shop: Workshop) -> dict[str, float]:
    """How often the encoder tells the scene of unseen places and unseen phrasings."""
    from soundit_geo.encoders.tokenizer import tokenize

    clips = torch.from_numpy(np.load(shop.test / "fbanks.npy").astype(np.float32))
    test = city_data.load_places(shop.test)[: len(clips)]
    truth, _ = truth_of(test)
    with torch.inference_mode():
        names = known_scenes(best.encode_scenes, NAMES).directions
        heard = torch.cat([best.encode_fbanks(piece).summary for piece in clips.split(64)])
        rank = (functional.normalize(heard, dim=-1) @ names.T).argsort(dim=1, descending=True)
        found = rank == truth[:, None]
        rng = np.random.default_rng(TEST_SEED)
        said = best.encode_tokens(tokenize([caption(place, rng) for place in test]))
        read = (functional.normalize(said, dim=-1) @ names.T).argmax(dim=1) == truth
        free = [(prompt, SCENES.index(scene)) for scene, prompts in UNSEEN.items() for prompt in prompts]
        asked = functional.normalize(best.encode_scenes([prompt for prompt, _ in free]), dim=-1) @ names.T
        understood = asked.argmax(dim=1) == torch.tensor([scene for _, scene in free])
    return {
        "scene_from_sound_top1": float(found[:, 0].float().mean()),
        "scene_from_sound_top3": float(found[:, :3].any(dim=1).float().mean()),
        "scene_from_caption_top1": float(read.float().mean()),
        "scene_from_unseen_phrasing_top1": float(understood.float().mean()),
        "unseen_phrasings": len(free),
        "test_places": len(test),
    }
