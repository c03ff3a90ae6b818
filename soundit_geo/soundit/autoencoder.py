"""A small variational autoencoder: pictures to latents and back, cheap enough for two processor cores.

It has the manners of diffusers' ``AutoencoderKL`` (``encode(...).latent_dist``, ``decode(...).sample``,
``config.scaling_factor``, ``enable_slicing()``), so that the pipeline takes either. The first layer folds 4 × 4
pixels into channels, so that no convolution ever runs at full resolution.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import (
    AutoencoderMixin,
    DecoderOutput,
    DiagonalGaussianDistribution,
)
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn
from torch.nn import functional

from soundit_geo.strict import StrictModelMixin

if TYPE_CHECKING:
    from torch import Tensor

FOLD = 4
"""Pixels folded into channels along each axis before the first convolution."""

DEVIATION = 0.1
"""Standard deviation of every latent's posterior: fixed rather than predicted, which cannot run away."""


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; the second starts at zero, so that the block starts as nothing.

    Parameters
    ----------
    channels : int
        Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Parameters
        ----------
        x : torch.Tensor
            (B, channels, H, W).

        Returns
        -------
        torch.Tensor
            (B, channels, H, W).
        """
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class FoldingAutoencoder(StrictModelMixin, AutoencoderMixin):
    """Variational autoencoder with latents at an eighth of the picture's size.

    ``enable_slicing()`` makes it take a batch picture by picture, which needs less memory. It has no tiling: no
    convolution runs at full resolution.

    Parameters
    ----------
    latent_channels : int
        Channels of the latent.
    fine_channels, coarse_channels : int
        Width at a quarter and at an eighth of the picture's size.
    encoder_blocks, decoder_blocks : int
        Residual blocks at each of the two resolutions.
    sample_size : int
        Edge of the pictures it was trained on, in pixels.
    scaling_factor, shift_factor : float
        Latents are used as ``(z - shift_factor) * scaling_factor``, which has unit variance.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 4,
        fine_channels: int = 64,
        coarse_channels: int = 128,
        encoder_blocks: int = 2,
        decoder_blocks: int = 3,
        sample_size: int = 128,  # noqa: ARG002 - kept in the config
        scaling_factor: float = 1.0,  # noqa: ARG002 - kept in the config
        shift_factor: float = 0.0,  # noqa: ARG002 - kept in the config
    ) -> None:
        super().__init__()
        self.use_slicing = False  # see enable_slicing
        pixels, fine, coarse = 3 * FOLD**2, fine_channels, coarse_channels
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(FOLD),
            nn.Conv2d(pixels, fine, 3, padding=1),
            *[ResidualBlock(fine) for _ in range(encoder_blocks)],
            nn.Conv2d(fine, coarse, 4, stride=2, padding=1),
            *[ResidualBlock(coarse) for _ in range(encoder_blocks)],
            nn.SiLU(),
            nn.Conv2d(coarse, latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, coarse, 3, padding=1),
            *[ResidualBlock(coarse) for _ in range(decoder_blocks)],
            nn.Conv2d(coarse, 4 * fine, 1),
            nn.PixelShuffle(2),
            *[ResidualBlock(fine) for _ in range(decoder_blocks)],
            nn.SiLU(),
            nn.Conv2d(fine, pixels, 3, padding=1),
            nn.PixelShuffle(FOLD),
        )

    @property
    def downscale(self) -> int:
        """Picture edge over latent edge."""
        return 2 * FOLD

    @apply_forward_hook
    def encode(self, x: Tensor) -> AutoencoderKLOutput:
        """Distribution of the latents of some pictures.

        Parameters
        ----------
        x : torch.Tensor
            (B, 3, H, W) in [-1, 1]; H and W multiples of 8.

        Returns
        -------
        diffusers.models.modeling_outputs.AutoencoderKLOutput
            ``latent_dist`` over (B, latent_channels, H / 8, W / 8), not scaled.
        """
        mean = self._sliced(self.encoder, x)
        moments = torch.cat([mean, torch.full_like(mean, 2.0 * math.log(DEVIATION))], dim=1)
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments))

    @apply_forward_hook
    def decode(self, z: Tensor) -> DecoderOutput:
        """Pictures from latents.

        Parameters
        ----------
        z : torch.Tensor
            (B, latent_channels, h, w), not scaled.

        Returns
        -------
        diffusers.models.autoencoders.vae.DecoderOutput
            ``sample`` (B, 3, 8 h, 8 w), about [-1, 1].
        """
        return DecoderOutput(sample=self._sliced(self.decoder, z))

    def _sliced(self, network: nn.Module, batch: Tensor) -> Tensor:
        """Run all of a batch at once or, where memory shall be saved, one by one."""
        return torch.cat([network(part) for part in batch.split(1 if self.use_slicing else len(batch))])

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, DiagonalGaussianDistribution]:
        """Encode, sample, decode: what training needs.

        Parameters
        ----------
        x : torch.Tensor
            (B, 3, H, W) in [-1, 1].
        generator : torch.Generator, optional
            Source of the latents' noise.

        Returns
        -------
        reconstruction : torch.Tensor
            (B, 3, H, W).
        posterior : diffusers.models.autoencoders.vae.DiagonalGaussianDistribution
            Distribution that the latents were drawn from.
        """
        posterior = self.encode(x).latent_dist
        return self.decode(posterior.sample(generator)).sample, posterior
