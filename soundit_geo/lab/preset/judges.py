"""Stages ``elements``, ``scenes`` and ``perception``: the three judges of the synthetic city."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from soundit_geo.lab import city_data
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset.workshop import (
    TRAIN_SEED,
    begin,
    data,
    pixels_of,
    random_rows,
    ship,
    steps_in_all,
    truth_of,
)
from soundit_geo.synthetic_city.place import SCENES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from soundit_geo.lab.preset.workshop import Workshop
    from soundit_geo.pss.embedded import EmbeddedJudge


def elements(shop: Workshop, steps: int = 4000) -> None:
    """Train the element judge on exact masks.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 16 pictures.
    """
    from soundit_geo.pss.elements import EmbeddedElementJudge
    from soundit_geo.synthetic_city.picture import ELEMENT_IDS

    data(shop)
    masks = np.load(shop.train / "masks.npy", mmap_mode="r")
    ids = sorted(ELEMENT_IDS.values())
    index = torch.full((150,), -100)
    index[ids] = torch.arange(len(ids))

    def error(guess: Tensor, rows: NDArray[np.int64]) -> Tensor:
        return functional.cross_entropy(guess, index[torch.from_numpy(masks[rows]).long()])

    best = _judge(shop, EmbeddedElementJudge(classes=ids), "elements", error, steps, 16)
    guess = _on_unseen(shop, lambda piece: best(piece).argmax(dim=1))
    true = index[torch.from_numpy(np.load(shop.test / "masks.npy", mmap_mode="r")[:1000]).long()]
    overlap = []
    for element in range(len(ids)):
        either = ((guess == element) | (true == element)).sum().item()
        if (true == element).any():
            overlap.append(((guess == element) & (true == element)).sum().item() / either)
    figures = {
        **steps_in_all(shop, "judges/elements", steps),
        "mean_iou": float(np.mean(overlap)),
        "classes": len(overlap),
    }
    ship(best, shop.preset / "judges" / "elements", figures)


def scenes(shop: Workshop, steps: int = 800) -> None:
    """Train the scene judge on the known scenes.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 32 pictures.
    """
    from soundit_geo.classes import PLACES365
    from soundit_geo.pss.scenes import EmbeddedSceneJudge

    data(shop)
    every = city_data.VARIANTS
    labels = truth_of(city_data.load_places(shop.train))[0].repeat_interleave(every)
    model = EmbeddedSceneJudge(classes=[PLACES365.index(scene) for scene in SCENES])

    def error(guess: Tensor, rows: NDArray[np.int64]) -> Tensor:
        return functional.cross_entropy(guess, labels[rows])

    best = _judge(shop, model, "scenes", error, steps, 32, labels)
    true = truth_of(city_data.load_places(shop.test))[0].repeat_interleave(every)[:1000]
    guess = _on_unseen(shop, lambda piece: best(piece).argmax(dim=1))
    figures = {
        **steps_in_all(shop, "judges/scenes", steps),
        "accuracy": float((guess == true).float().mean()),
    }
    ship(best, shop.preset / "judges" / "scenes", figures)


def perception(shop: Workshop, steps: int = 1000) -> None:
    """Train the perception judge on scores of the documented formula, with the noise of a panel.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 32 pictures.
    """
    from soundit_geo.pss.perception import EmbeddedPerceptionJudge
    from soundit_geo.synthetic_city.perception import perceive
    from soundit_geo.synthetic_city.picture import element_share

    data(shop)

    def felt(folder: Path, count: int | None, rng: np.random.Generator | None) -> Tensor:
        places = city_data.load_places(folder)
        masks = np.load(folder / "masks.npy", mmap_mode="r")[:count]
        every = city_data.VARIANTS
        rows = [perceive(places[row // every], element_share(mask), rng) for row, mask in enumerate(masks)]
        return torch.from_numpy(np.stack(rows))

    scores = felt(shop.train, None, np.random.default_rng(TRAIN_SEED))

    def error(guess: Tensor, rows: NDArray[np.int64]) -> Tensor:
        return functional.mse_loss(guess, scores[rows])

    best = _judge(shop, EmbeddedPerceptionJudge(), "perception", error, steps, 32)
    true = felt(shop.test, 1000, None)
    guess = _on_unseen(shop, best)
    unexplained = (guess - true).square().mean(dim=0) / true.var(dim=0)
    figures = {
        **steps_in_all(shop, "judges/perception", steps),
        "r2": [round(1 - float(part), 4) for part in unexplained],
    }
    ship(best, shop.preset / "judges" / "perception", figures)


def _on_unseen(shop: Workshop, answer: Callable[[Tensor], Tensor]) -> Tensor:
    """What a judge says of 1,000 pictures of the test city."""
    unseen = pixels_of(np.load(shop.test / "pictures.npy", mmap_mode="r")[:1000])
    with torch.inference_mode():
        return torch.cat([answer(piece) for piece in unseen.split(50)])


def _judge(
    shop: Workshop,
    model: EmbeddedJudge,
    name: str,
    error: Callable[[Tensor, NDArray[np.int64]], Tensor],
    steps: int,
    batch: int,
    groups: Tensor | None = None,
) -> Any:
    """Train a judge, then show it 4,000 training pictures, a third of them worn: what it calls its world.

    `error` takes what it says of some pictures, and their rows.
    """
    origin = begin(shop, f"judges/{name}", model)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        chosen = random_rows(generator, len(pictures), batch)
        return {"loss": error(model(_worn(pixels_of(pictures[chosen]), generator)), chosen)}

    best = fit(model, losses, Plan(steps, rate=2e-3, average=0.99), shop.work / "stages", name, origin)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(pictures), generator=generator)[:4000].sort().values
    with torch.inference_mode():
        parts = [best.features(_worn(pixels_of(pictures[few.numpy()]), generator)) for few in rows.split(50)]
    best.fit_world(torch.cat(parts), None if groups is None else groups[rows])
    return best


def _worn(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Blur and noise as a decoder leaves them, on about a third of the pictures."""
    worn = functional.avg_pool2d(functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    worn = worn + 0.03 * torch.randn(worn.shape, generator=generator)
    return torch.where(torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.35, worn, pixels)
