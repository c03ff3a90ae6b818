"""From recordings to landscapes: the generator with a study's seed and settings."""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from soundit_geo.errors import AudioError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from PIL import Image
    from torch import Generator, Tensor

    from soundit_geo.soundit.pipeline import SounDiTPipeline

log = logging.getLogger(__name__)

Cell: TypeAlias = "tuple[str, str, int]"
"""Site, scenario and draw."""


@dataclass(frozen=True)
class Painter:
    """What draws, and how.

    Parameters
    ----------
    pipeline : SounDiTPipeline
        The generator.
    seed : int
        Of the study.
    steps : int
        Steps of the sampler.
    guidance : float
        Joint guidance scale.
    batch_size : int
        Landscapes drawn at a time.
    """

    pipeline: SounDiTPipeline
    seed: int
    steps: int
    guidance: float
    batch_size: int

    def listen(self, audio: pd.Series) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, str]]:
        """Encode recordings.

        Parameters
        ----------
        audio : pandas.Series
            Path of the recording by site.

        Returns
        -------
        heard : dict of str to tuple of torch.Tensor
            Tokens and summary of each usable recording, by site.
        messages : dict of str to str
            Why the others are not usable, by site.
        """
        heard: dict[str, tuple[Tensor, Tensor]] = {}
        messages: dict[str, str] = {}
        for site, path in zip(audio.index, map(str, audio), strict=True):
            try:
                if not Path(path).exists():
                    raise MissingFileError(f"{path} does not exist.")  # noqa: TRY301
                sound = self.pipeline.encoder.encode_soundscapes(
                    [path], self.pipeline.config.soundscape_tokens
                )
                heard[site] = (sound.tokens[0], sound.summary[0])
            except (AudioError, MissingFileError) as error:
                messages[site] = str(error)
                log.warning("Site %s fails: %s", site, error)
        return heard, messages

    def draw(
        self, cells: Sequence[Cell], heard: Mapping[str, tuple[Tensor, Tensor]], prompts: pd.DataFrame
    ) -> list[Image.Image]:
        """Draw one landscape per cell, batch by batch.

        Parameters
        ----------
        cells : sequence of tuple
            Site, scenario and draw.
        heard : mapping of str to tuple of torch.Tensor
            As `listen` gives it; it holds the site of every cell.
        prompts : pandas.DataFrame
            As `prompts_for` gives them: a row per site, a column per scenario.

        Returns
        -------
        list of PIL.Image.Image
            In the order of `cells`.
        """
        pictures: list[Image.Image] = []
        for start in range(0, len(cells), self.batch_size):
            pictures += self._batch(cells[start : start + self.batch_size], heard, prompts)
        return pictures

    def _batch(
        self, cells: Sequence[Cell], heard: Mapping[str, tuple[Tensor, Tensor]], prompts: pd.DataFrame
    ) -> list[Image.Image]:
        import torch

        from soundit_geo.encoders import SoundscapeEmbeds

        config = self.pipeline.transformer.config
        shape = (config.in_channels, config.sample_size, config.sample_size)
        noise = [first_noise(self.seed, site, draw, shape) for site, _, draw in cells]
        later = [
            _chance(self.seed, site, draw, "steps") for site, _, draw in cells
        ]  # of samplers that add noise
        embeds = SoundscapeEmbeds(
            tokens=torch.stack([heard[site][0] for site, _, _ in cells]),
            summary=torch.stack([heard[site][1] for site, _, _ in cells]),
        )
        drawn: Any = self.pipeline(
            soundscape_embeds=embeds,
            scenes=[str(prompts.loc[site, scenario]) or None for site, scenario, _ in cells],
            latents=torch.stack(noise),
            generator=later,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
        )
        return list(drawn.images)


def first_noise(seed: int, site: str, draw: int, shape: tuple[int, ...]) -> Tensor:
    """The first noise of a site's draw, the same in every scenario, batch and process.

    Parameters
    ----------
    seed : int
        Of the study.
    site : str
        Name of the site.
    draw : int
        Number of the draw.
    shape : tuple of int
        (C, H, W) of the latent.

    Returns
    -------
    torch.Tensor
        Normal with unit variance, drawn on the CPU from a hash of seed, site and draw.
    """
    import torch

    return torch.randn(shape, generator=_chance(seed, site, draw))


def _chance(seed: int, site: str, draw: int, *what: str) -> Generator:
    """Chance of a site's draw, the same in every scenario, from a hash."""
    import torch

    digest = hashlib.sha256("\x1f".join([str(seed), site, str(draw), *what]).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def png_of(picture: Image.Image) -> bytes:
    """Encode a picture.

    Parameters
    ----------
    picture : PIL.Image.Image
        The picture.

    Returns
    -------
    bytes
        A PNG file.
    """
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
