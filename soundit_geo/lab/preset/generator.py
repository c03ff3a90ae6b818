"""Stage ``soundit``: SounDiT-mini on the cached city."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from soundit_geo.lab import city_data
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset.caches import CAPTIONS, cached
from soundit_geo.lab.preset.workshop import begin, ship, steps_in_all

if TYPE_CHECKING:
    from torch import Tensor

    from soundit_geo.lab.preset.workshop import Workshop


def soundit(shop: Workshop, steps: int = 12_000, rate: float = 1e-3) -> None:
    """Train SounDiT-mini on the cached city: velocity prediction over DDPM's linear schedule.

    Timesteps are drawn logit-normally, more from the middle of the schedule, where scenes and objects take shape
    (Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", ICML 2024). 8 % of the
    samples learn without any condition, 32 % from the sound alone, 5 % from the prompt alone. From the tokens half way
    through the blocks a linear helper, thrown away afterwards, names the elements at each token's spot: knowing what
    stands where early on is what saves samples (after Yu et al., "Representation Alignment for Generation", ICLR 2025,
    with exact masks in place of another network's features).

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 32 pictures.
    rate : float, optional
        Highest learning rate.
    """
    from diffusers import DPMSolverMultistepScheduler

    from soundit_geo.soundit.transformer import SounDiTTransformer2DModel

    cache = cached(shop)
    drawn, layout = cache["latents"], cache["layout"]
    tokens, summary, scenes = cache["tokens"], cache["summary"], cache["scenes"]
    dim = summary.shape[-1]
    model = SounDiTTransformer2DModel.of_size(
        "mini",
        in_channels=drawn.shape[2],
        token_dim=dim,
        summary_dim=dim,
        scene_dim=dim,
        content_rank=32,
        experts=4,
        experts_per_sample=2,
        expert_rank=32,
        position_step=2.0,  # as the preset that is shipped
    )
    origin = begin(shop, "transformer", model)
    helper = torch.nn.Linear(model.config.width, layout.shape[-1])
    whole = torch.nn.ModuleDict({"model": model, "helper": helper})
    halfway: list[Tensor] = []
    model.blocks[model.config.depth // 2 - 1].register_forward_hook(lambda *call: halfway.append(call[2]))
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="linear", beta_start=1e-4, beta_end=0.02, prediction_type="v_prediction"
    )
    batch, edge = 32, round(layout.shape[1] ** 0.5)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = torch.randint(len(drawn), (batch,), generator=generator)
        place = rows // city_data.VARIANTS
        mirrored = torch.randint(2, (batch,), generator=generator)
        said = torch.randint(CAPTIONS, (batch,), generator=generator)
        clean = drawn[rows, mirrored].float()
        noise = torch.randn(clean.shape, generator=generator)
        middling = torch.sigmoid(torch.randn(batch, generator=generator) - 0.2)
        time = (1000.0 * middling).long().clamp(max=999)
        kept = scheduler.alphas_cumprod[time][:, None, None, None]
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        velocity = kept.sqrt() * noise - (1 - kept).sqrt() * clean
        chance = torch.rand(batch, generator=generator)
        guess = model(
            noisy,
            time,
            tokens[place],
            summary[place],
            scenes[place, said],
            soundscape_missing=(chance < 0.08) | (chance > 0.95),
            scene_missing=chance < 0.4,
        ).sample
        here = layout[rows].float() / 255.0  # (B, N, E)
        seen = torch.where(
            mirrored[:, None, None] == 1, here.unflatten(1, (edge, edge)).flip(2).flatten(1, 2), here
        )
        named = functional.log_softmax(whole["helper"](halfway.pop()), dim=-1)
        naming = -(seen * named).sum(dim=-1).mean()
        velocities = functional.mse_loss(guess, velocity)
        return {"loss": velocities + 0.1 * naming, "velocity": velocities.detach(), "naming": naming.detach()}

    plan = Plan(steps, rate=rate, warmup=300, decay=0.0, average=0.998)
    trained = fit(whole, losses, plan, shop.work / "stages", "soundit", origin)["model"]
    seen = {
        **steps_in_all(shop, "transformer", steps),
        **steps_in_all(shop, "transformer", steps * batch, "pictures_seen"),
    }
    ship(trained, shop.preset / "transformer", seen)
    scheduler.save_pretrained(shop.preset / "scheduler")
