"""Draw with a preset for the laboratory: log-mel clips in, pictures out, the same noise for the same row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from soundit_geo.encoders import SoundscapeEmbeds
from soundit_geo.soundit.pipeline import SounDiTPipeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BATCH = 24


class Draughtsman:
    """A pipeline with its sampler's settings.

    Parameters
    ----------
    pipe : SounDiTPipeline, str or pathlib.Path
        A pipeline, or name or folder of one.
    steps : int
        Of the sampler; guidance is the pipeline's default.
    progress : bool, optional
        Show a bar for each round of drawings.
    """

    def __init__(self, pipe: SounDiTPipeline | str | Path, steps: int, *, progress: bool = True) -> None:
        self.pipe = pipe if isinstance(pipe, SounDiTPipeline) else SounDiTPipeline.from_pretrained(pipe)
        self.pipe.set_progress_bar_config(disable=True)
        self.steps, self.progress = steps, progress

    def hear(self, fbanks: NDArray[np.floating]) -> SoundscapeEmbeds:
        """Embed log-mel clips.

        Parameters
        ----------
        fbanks : numpy.ndarray
            (B, 3, 1, mel, frames) as `soundit_geo.encoders.preprocessing.fbanks_of` makes them.

        Returns
        -------
        SoundscapeEmbeds
            Tokens (B, L, d) and summary (B, d).
        """
        encoder: Any = self.pipe.encoder
        clips = torch.from_numpy(np.asarray(fbanks, np.float32))
        with torch.inference_mode():
            kind = self.pipe.config.soundscape_tokens
            parts = [encoder.encode_fbanks(part, tokens=kind) for part in clips.split(32)]
        return SoundscapeEmbeds(
            tokens=torch.cat([part.tokens for part in parts]),
            summary=torch.cat([part.summary for part in parts]),
        )

    def draw(
        self,
        sounds: SoundscapeEmbeds,
        prompts: Sequence[str] | None,
        title: str,
        noises: Sequence[int] | None = None,
        guidance: Mapping[str, float] | None = None,
    ) -> list[NDArray[np.uint8]]:
        """Draw a landscape for every row.

        Parameters
        ----------
        sounds : SoundscapeEmbeds
            Of B rows.
        prompts : sequence of str or None
            B scene prompts; None draws from the sound alone.
        title : str
            Of the progress bar.
        noises : sequence of int, optional
            Seed of the first noise of each row; its number by default.
        guidance : mapping, optional
            ``guidance_scale``, or ``soundscape_guidance_scale`` and ``scene_guidance_scale``.

        Returns
        -------
        list of numpy.ndarray
            B pictures (H, W, 3) uint8.
        """
        config = self.pipe.transformer.config
        shape = (config.in_channels, config.sample_size, config.sample_size)
        count = len(sounds.summary)
        seeds = range(count) if noises is None else noises
        images: list[NDArray[np.uint8]] = []
        for start in tqdm(range(0, count, BATCH), desc=title, disable=not self.progress):
            part = slice(start, min(start + BATCH, count))
            first = [
                torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds[part]
            ]
            pipe: Any = self.pipe
            drawn = pipe(
                soundscape_embeds=SoundscapeEmbeds(tokens=sounds.tokens[part], summary=sounds.summary[part]),
                scenes=None if prompts is None else prompts[part],
                latents=torch.stack(first),
                num_inference_steps=self.steps,
                **(guidance or {}),
            )
            images += [np.asarray(image) for image in drawn.images]
        return images

    def reconstruct(self, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """Send pictures through the autoencoder and back.

        Parameters
        ----------
        pictures : sequence of numpy.ndarray
            (H, W, 3) uint8.

        Returns
        -------
        list of numpy.ndarray
            The same shapes.
        """
        vae: Any = self.pipe.vae
        again: list[NDArray[np.uint8]] = []
        for start in range(0, len(pictures), BATCH):
            pixels = (
                torch.from_numpy(np.stack(pictures[start : start + BATCH])).permute(0, 3, 1, 2) / 127.5 - 1.0
            )
            with torch.inference_mode():
                back = vae.decode(vae.encode(pixels).latent_dist.mean).sample
            levels = (127.5 * (back.clamp(-1, 1) + 1.0)).round().to(torch.uint8)
            again += list(levels.permute(0, 2, 3, 1).numpy())
        return again
