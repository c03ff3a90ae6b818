"""Stage ``soundit``: SounDiT-mini on the cached city."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset.caches import cached
from soundit_geo.lab.preset.lesson import SCHEDULE, lesson
from soundit_geo.lab.preset.workshop import begin, ship, steps_in_all

if TYPE_CHECKING:
    from torch import Tensor

    from soundit_geo.lab.preset.workshop import Workshop


def soundit(shop: Workshop, steps: int = 12_000, rate: float = 1e-3) -> None:
    """Train SounDiT-mini on the cached city: velocity prediction over DDPM's linear schedule.

    What it sees is said at `soundit_geo.lab.preset.lesson.lesson`. From the tokens half way through the blocks a linear
    helper, thrown away afterwards, names the elements at each token's spot: knowing what stands where early on is what
    saves samples (after Yu et al., "Representation Alignment for Generation", ICLR 2025, with exact masks in place of
    another network's features).

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
    layout, dim = cache["layout"], cache["summary"].shape[-1]
    model = SounDiTTransformer2DModel.of_size(
        "mini",
        in_channels=cache["latents"].shape[2],
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
    batch, edge = 32, round(layout.shape[1] ** 0.5)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        shown = lesson(cache, batch, generator)
        velocities = functional.mse_loss(shown.answered_by(model).float(), shown.velocity)
        here = layout[shown.rows].float() / 255.0  # (B, N, E)
        seen = torch.where(
            shown.mirrored[:, None, None] == 1,
            here.unflatten(1, (edge, edge)).flip(2).flatten(1, 2),
            here,
        )
        named = functional.log_softmax(helper(halfway.pop()).float(), dim=-1)
        naming = -(seen * named).sum(dim=-1).mean()
        return {"loss": velocities + 0.1 * naming, "velocity": velocities.detach(), "naming": naming.detach()}

    plan = Plan(steps, rate=rate, warmup=300, decay=0.0, average=0.998, mixed=shop.mixed)
    trained = fit(whole, losses, plan, shop.work / "stages", "soundit", origin)["model"]
    seen = {
        **steps_in_all(shop, "transformer", steps),
        **steps_in_all(shop, "transformer", steps * batch, "pictures_seen"),
    }
    ship(trained, shop.preset / "transformer", seen)
    DPMSolverMultistepScheduler(**SCHEDULE, prediction_type="v_prediction").save_pretrained(
        shop.preset / "scheduler"
    )
