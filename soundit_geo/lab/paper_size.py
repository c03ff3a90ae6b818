"""The paper's model at full size, end to end, with random weights: what it needs in time and memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler

from soundit_geo.encoders import ImageBindModel
from soundit_geo.errors import InputError
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.soundit.transformer import SounDiTTransformer2DModel

SECONDS = 10.0
"""Length of the paper's recordings."""


def stable_diffusion_vae() -> AutoencoderKL:
    """Stable Diffusion's autoencoder, with random weights.

    Returns
    -------
    diffusers.AutoencoderKL
        About 84 million parameters; latents of 4 channels at an eighth of the picture's size.
    """
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=256,
        scaling_factor=0.18215,
    )


def paper_size(steps: int = 1, seed: int = 0) -> dict[str, Any]:
    """Draw one guided landscape of 256 × 256 pixels with the paper's model, in float32 on the CPU.

    SounDiT-XL/2, ImageBind-Huge's sound and text, and Stable Diffusion's autoencoder, all with random weights,
    hear ten seconds of noise and read a prompt.

    Parameters
    ----------
    steps : int, optional
        Steps of the sampler, each guided, that is with two predictions.
    seed : int, optional
        Of weights, sound and first noise.

    Returns
    -------
    dict
        ``parameters`` by component; ``seconds`` to build, to embed and to draw; ``peak_memory_bytes``, the most that
        this process has had resident so far; what was drawn.

    Raises
    ------
    InputError
        If the picture is not finite.
    """
    torch.manual_seed(seed)
    started = time.perf_counter()
    transformer = SounDiTTransformer2DModel.of_size("XL/2")
    _open(transformer)
    pipeline = SounDiTPipeline(
        transformer.eval(),
        stable_diffusion_vae().eval(),
        DDIMScheduler(),
        ImageBindModel.huge(modalities=("audio", "text")).eval(),
    )
    pipeline.set_progress_bar_config(disable=True)
    built = time.perf_counter()
    sound = np.random.default_rng(seed).normal(0.0, 0.1, int(SECONDS * 16000)).astype(np.float32)
    given = pipeline.encode([sound], ["a pedestrian plaza with trees"])
    embedded = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    (pictures,) = pipeline(
        **given, num_inference_steps=steps, generator=generator, output_type="np", return_dict=False
    )
    picture = pictures[0]  # (256, 256, 3)
    drawn = time.perf_counter()
    if not np.isfinite(picture).all():
        raise InputError("The picture has pixels that are not finite.")
    parts = {name: getattr(pipeline, name) for name in ("transformer", "encoder", "vae")}
    return {
        "parameters": {
            name: sum(value.numel() for value in part.parameters()) for name, part in parts.items()
        },
        "seconds": {
            "build": round(built - started, 1),
            "embed": round(embedded - built, 1),
            "draw": round(drawn - embedded, 1),
        },
        "peak_memory_bytes": peak_memory(),
        "steps": steps,
        "guidance_scale": pipeline.guidance_scale,
        "picture": list(picture.shape),
        "dtype": "float32",
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "weights": "random",
    }


def peak_memory() -> int:
    """The most memory that this process has had resident so far.

    Returns
    -------
    int
        Bytes.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # Linux counts in KiB


def _open(transformer: SounDiTTransformer2DModel) -> None:
    """Give random values to what starts at zero, so that soundscape and scene take part."""
    for parameter in transformer.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
