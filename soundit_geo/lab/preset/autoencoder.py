"""Stages ``vae`` and ``decoder``: pictures to latents and back, then a sharper way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from soundit_geo.lab import city_data
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset.workshop import begin, data, pixels_of, random_rows, ship, steps_in_all

if TYPE_CHECKING:
    from torch import Tensor

    from soundit_geo.lab.preset.workshop import Workshop
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder


def vae(shop: Workshop, steps: int = 1800) -> None:
    """Train the autoencoder on crops: absolute error of pixels and of their gradients, and a light KL term.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 16 crops of 64 × 64.
    """
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder

    data(shop)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    model = FoldingAutoencoder()
    origin = begin(shop, "vae", model)
    crop = 64

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = random_rows(generator, len(pictures), 16)
        corners = 4 * torch.randint((city_data.SIZE - crop) // 4 + 1, (16, 2), generator=generator).numpy()
        pieces = [
            pictures[row, top : top + crop, left : left + crop]
            for row, (top, left) in zip(rows, corners, strict=True)
        ]
        real = pixels_of(np.stack(pieces))
        drawn, posterior = model(real, generator)
        pixel = functional.l1_loss(drawn, real)
        edges = functional.l1_loss(drawn.diff(dim=2), real.diff(dim=2))
        edges = edges + functional.l1_loss(drawn.diff(dim=3), real.diff(dim=3))
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        return {"loss": pixel + edges + 3e-4 * kl, "pixel": pixel.detach(), "kl": kl.detach()}

    trained = fit(
        model, losses, Plan(steps, rate=1e-3, decay=0.0, average=0.995), shop.work / "stages", "vae", origin
    )
    with torch.inference_mode():
        latents = trained.encode(pixels_of(pictures[:512])).latent_dist.mean
    trained.register_to_config(scaling_factor=float(1 / latents.std()), shift_factor=float(latents.mean()))
    ship(trained, shop.preset / "vae", {**_reconstruction(trained, shop), **steps_in_all(shop, "vae", steps)})


def decoder(shop: Workshop, steps: int = 1500) -> None:
    """Sharpen the autoencoder's decoder while its encoder, and with it every cached latent, stays as it is.

    To the errors of pixels and edges comes a perceptual one: the distance of the feature maps of the element
    judge's trunk at a quarter of the picture's size and below.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 8 whole pictures.
    """
    from soundit_geo.pss.elements import EmbeddedElementJudge
    from soundit_geo.soundit.autoencoder import DEVIATION, FoldingAutoencoder

    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    model = FoldingAutoencoder.from_pretrained(shop.preset / "vae").float()
    eye = EmbeddedElementJudge.from_pretrained(shop.preset / "judges" / "elements").float().eval()
    for frozen in (model.encoder, eye):
        frozen.requires_grad_(requires_grad=False)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        real = pixels_of(pictures[random_rows(generator, len(pictures), 8)])
        with torch.no_grad():
            mean = model.encode(real).latent_dist.mean
            seen = eye.trunk(real)
        drawn = model.decode(mean + DEVIATION * torch.randn(mean.shape, generator=generator)).sample
        pixel = functional.l1_loss(drawn, real)
        edges = functional.l1_loss(drawn.diff(dim=2), real.diff(dim=2))
        edges = edges + functional.l1_loss(drawn.diff(dim=3), real.diff(dim=3))
        pairs = zip(eye.trunk(drawn), seen, strict=True)
        look = sum(functional.l1_loss(ours, theirs) / theirs.abs().mean() for ours, theirs in pairs)
        return {
            "loss": pixel + edges + 0.1 * look,
            "pixel": pixel.detach(),
            "edges": edges.detach(),
            "look": torch.as_tensor(look).detach(),
        }

    trained = fit(
        model, losses, Plan(steps, rate=6e-4, decay=0.0, average=0.995), shop.work / "stages", "decoder"
    )
    told = json.loads((shop.preset / "vae" / "figures.json").read_text())  # of the way there
    figures = {**told, **_reconstruction(trained, shop), **steps_in_all(shop, "vae", steps, "decoder_steps")}
    ship(trained, shop.preset / "vae", figures)


def _reconstruction(vae: FoldingAutoencoder, shop: Workshop) -> dict[str, float]:
    """Mean PSNR of unseen pictures after the round trip."""
    test = pixels_of(np.load(shop.test / "pictures.npy", mmap_mode="r")[:512])
    with torch.inference_mode():
        again = [vae.decode(vae.encode(part).latent_dist.mean).sample.clamp(-1, 1) for part in test.split(32)]
    error = ((torch.cat(again) - test) / 2).square().mean(dim=(1, 2, 3))
    return {"psnr_db": float((-10 * error.log10()).mean())}
