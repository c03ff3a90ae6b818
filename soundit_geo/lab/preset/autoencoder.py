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


def vae(shop: Workshop, steps: int = 6000, rate: float = 1e-3) -> None:
    """Train the autoencoder on crops: absolute error of pixels and of their gradients, and a light KL term.

    Two terms are there for the generator, which learns latents the sooner the smoother they are. Half of the latents
    are disturbed before they are decoded (Yang et al., "Latent Denoising Makes Good Visual Tokenizers", 2025). And a
    latent made smaller has to decode to the picture made smaller (Kouzelis et al., "EQ-VAE: Equivariance Regularized
    Latent Space for Improved Generative Image Modeling", ICML 2025).

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 16 crops of 64 × 64.
    rate : float, optional
        Highest learning rate.
    """
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder

    data(shop)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    model = FoldingAutoencoder()
    origin = begin(shop, "vae", model)
    crop, batch = 64, 16

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = random_rows(generator, len(pictures), batch)
        corners = 4 * torch.randint((city_data.SIZE - crop) // 4 + 1, (batch, 2), generator=generator).numpy()
        pieces = [
            pictures[row, top : top + crop, left : left + crop]
            for row, (top, left) in zip(rows, corners, strict=True)
        ]
        real = pixels_of(np.stack(pieces))
        posterior = model.encode(real).latent_dist
        latent = posterior.sample(generator)
        drawn = model.decode(latent + _disturbance(latent, generator)).sample
        scale = 0.5 + 0.25 * int(torch.randint(2, (), generator=generator))
        smaller = model.decode(_smaller(latent, scale)).sample
        pixel, edges = _errors(drawn, real)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        loss = pixel + edges + 0.5 * sum(_errors(smaller, _smaller(real, scale))) + 3e-4 * kl
        return {"loss": loss, "pixel": pixel.detach(), "kl": kl.detach()}

    plan = Plan(steps, rate=rate, decay=0.0, average=0.995, mixed=shop.mixed)
    trained = fit(model, losses, plan, shop.work / "stages", "vae", origin)
    with torch.inference_mode():
        latents = trained.encode(pixels_of(pictures[:512])).latent_dist.mean
    trained.register_to_config(scaling_factor=float(1 / latents.std()), shift_factor=float(latents.mean()))
    ship(trained, shop.preset / "vae", {**_reconstruction(trained, shop), **steps_in_all(shop, "vae", steps)})


def decoder(shop: Workshop, steps: int = 1500) -> None:
    """Sharpen the autoencoder's decoder while its encoder, and with it every cached latent, stays as it is.

    To the errors of pixels and edges comes a perceptual one: the distance of the feature maps of the element
    judge's trunk at a quarter of the picture's size and below. Half of the latents are disturbed a little, for those
    that the generator makes are not quite right either.

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
        latent = mean + DEVIATION * torch.randn(mean.shape, generator=generator)
        drawn = model.decode(latent + 0.4 * _disturbance(latent, generator)).sample
        pixel, edges = _errors(drawn, real)
        pairs = zip(eye.trunk(drawn), seen, strict=True)
        look = sum(functional.l1_loss(ours, theirs) / theirs.abs().mean() for ours, theirs in pairs)
        return {
            "loss": pixel + edges + 0.1 * look,
            "pixel": pixel.detach(),
            "edges": edges.detach(),
            "look": torch.as_tensor(look).detach(),
        }

    plan = Plan(steps, rate=6e-4, decay=0.0, average=0.995, mixed=shop.mixed)
    trained = fit(model, losses, plan, shop.work / "stages", "decoder")
    told = json.loads((shop.preset / "vae" / "figures.json").read_text())  # of the way there
    figures = {**told, **_reconstruction(trained, shop), **steps_in_all(shop, "vae", steps, "decoder_steps")}
    ship(trained, shop.preset / "vae", figures)


def _disturbance(latent: Tensor, generator: torch.Generator) -> Tensor:
    """Noise for every second latent, of up to their own spread."""
    shape = (len(latent), 1, 1, 1)
    strength = torch.rand(shape, generator=generator) * torch.randint(2, shape, generator=generator)
    return latent.std() * strength * torch.randn(latent.shape, generator=generator)


def _smaller(images: Tensor, scale: float) -> Tensor:
    """(B, C, H, W) to (B, C, scale × H, scale × W)."""
    return functional.interpolate(images.float(), scale_factor=scale, mode="bilinear", antialias=True)


def _errors(drawn: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Mean absolute errors of pixels and of their differences to the pixels below and beside them."""
    drawn = drawn.float()  # errors of mixed precision are too small for it
    edges = functional.l1_loss(drawn.diff(dim=2), real.diff(dim=2))
    return functional.l1_loss(drawn, real), edges + functional.l1_loss(drawn.diff(dim=3), real.diff(dim=3))


def _reconstruction(vae: FoldingAutoencoder, shop: Workshop) -> dict[str, float]:
    """Mean PSNR of unseen pictures after the round trip."""
    test = pixels_of(np.load(shop.test / "pictures.npy", mmap_mode="r")[:512])
    with torch.inference_mode():
        again = [vae.decode(vae.encode(part).latent_dist.mean).sample.clamp(-1, 1) for part in test.split(32)]
    error = ((torch.cat(again) - test) / 2).square().mean(dim=(1, 2, 3))
    return {"psnr_db": float((-10 * error.log10()).mean())}
