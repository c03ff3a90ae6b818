"""What a denoiser is shown in one step of training, in the preset's generator and in the ablations alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from soundit_geo.lab import city_data
from soundit_geo.lab.preset.caches import CAPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

SCHEDULE: dict[str, Any] = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}
"""DDPM's noise, in diffusers' words."""


@dataclass(frozen=True)
class Lesson:
    """B noisy latents with what they are to be told from.

    Parameters
    ----------
    rows, mirrored : torch.Tensor
        (B,) which pictures of the cache, and whether mirrored.
    noisy, velocity : torch.Tensor
        (B, C, h, w) what the model sees, and what it should say.
    time : torch.Tensor
        (B,) timesteps.
    tokens, summary, scene : torch.Tensor
        (B, L, d_s), (B, d_s) and (B, d_c) conditions.
    soundscape_missing, scene_missing : torch.Tensor
        (B,) bool.
    """

    rows: Tensor
    mirrored: Tensor
    noisy: Tensor
    velocity: Tensor
    time: Tensor
    tokens: Tensor
    summary: Tensor
    scene: Tensor
    soundscape_missing: Tensor
    scene_missing: Tensor

    def answered_by(self, model: nn.Module) -> Tensor:
        """Ask a model for the velocity.

        Parameters
        ----------
        model : SounDiTTransformer2DModel
            Takes all this.

        Returns
        -------
        torch.Tensor
            (B, C, h, w).
        """
        answer: Tensor = model(
            self.noisy,
            self.time,
            self.tokens,
            self.summary,
            self.scene,
            soundscape_missing=self.soundscape_missing,
            scene_missing=self.scene_missing,
        ).sample
        return answer


def lesson(
    cached: Mapping[str, Tensor], batch: int, generator: torch.Generator, *, blind: bool = False
) -> Lesson:
    """Draw a lesson.

    Timesteps are drawn logit-normally, more from the middle of the schedule, where scenes and objects take shape
    (Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", ICML 2024). 8 % of the
    samples come without any condition, 32 % with the sound alone, 5 % with the prompt alone.

    Parameters
    ----------
    cached : mapping of str to torch.Tensor
        See `soundit_geo.lab.preset.caches.cached`.
    batch : int
        B.
    generator : torch.Generator
        Draws all of it.
    blind : bool, optional
        Never show a scene.

    Returns
    -------
    Lesson
        The same for the same state of the generator, whatever the kind of tokens.
    """
    latents = cached["latents"]
    rows = torch.randint(len(latents), (batch,), generator=generator)
    place = rows // city_data.VARIANTS
    mirrored = torch.randint(2, (batch,), generator=generator)
    said = torch.randint(CAPTIONS, (batch,), generator=generator)
    clean = latents[rows, mirrored].float()
    noise = torch.randn(clean.shape, generator=generator)
    middling = torch.sigmoid(torch.randn(batch, generator=generator) - 0.2)
    time = (1000.0 * middling).long().clamp(max=999)
    kept = _kept()[time][:, None, None, None]
    chance = torch.rand(batch, generator=generator)
    return Lesson(
        rows=rows,
        mirrored=mirrored,
        noisy=kept.sqrt() * clean + (1 - kept).sqrt() * noise,
        velocity=kept.sqrt() * noise - (1 - kept).sqrt() * clean,
        time=time,
        tokens=cached["tokens"][place].float(),
        summary=cached["summary"][place],
        scene=cached["scenes"][place, said],
        soundscape_missing=(chance < 0.08) | (chance > 0.95),
        scene_missing=torch.ones(batch, dtype=torch.bool) if blind else chance < 0.4,
    )


@cache
def _kept() -> Tensor:
    """(1000,) shares of the variance that are picture."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(**SCHEDULE).alphas_cumprod
