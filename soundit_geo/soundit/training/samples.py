"""Sample pictures of a model in training, and the pipeline that a trained one becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from diffusers.utils import make_image_grid

from soundit_geo.errors import InputError
from soundit_geo.soundit.pipeline import SounDiTPipeline

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from soundit_geo.soundit.training.cache import Cache
    from soundit_geo.soundit.training.config import TrainingConfig


class _Sounds(NamedTuple):
    tokens: Tensor  # (B, L, d_s)
    summary: Tensor  # (B, d_s)


def lent_pipeline(
    config: TrainingConfig, cache: Cache, transformer: Any, noising: Any, *, whole: bool
) -> SounDiTPipeline:
    """The config's pipeline around another transformer, with a sampler for what that one predicts.

    Parameters
    ----------
    config : TrainingConfig
        Names the pipeline.
    cache : Cache
        What the transformer is trained on.
    transformer : SounDiTTransformer2DModel
        The model.
    noising : diffusers.DDPMScheduler
        The noise that it is trained on.
    whole : bool
        Whether to load the encoder; sample pictures need none.

    Returns
    -------
    SounDiTPipeline
        With the cache's kind of soundscape tokens.

    Raises
    ------
    InputError
        If the pipeline's autoencoder scales its latents otherwise than the cache's.
    """
    about = cache.description
    without = {} if whole else {"encoder": None}
    pipeline = SounDiTPipeline.from_pretrained(
        str(config.pipeline), transformer=transformer, soundscape_tokens=about.soundscape_tokens, **without
    )
    vae = pipeline.vae.config
    scales = (float(vae.scaling_factor), float(getattr(vae, "shift_factor", None) or 0.0))
    if scales != (about.scaling_factor, about.shift_factor):
        raise InputError(
            f"The autoencoder of {config.pipeline!r} scales latents by {scales[0]} after a shift of {scales[1]}, that "
            f"of the cache by {about.scaling_factor} after {about.shift_factor}: they are not the same. Name the "
            "pipeline that the cache was made with."
        )
    kept = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type")
    pipeline.scheduler = type(pipeline.scheduler).from_config(
        pipeline.scheduler.config, **{key: noising.config[key] for key in kept}
    )
    return pipeline


class SampleSheet:
    """Landscapes of the same rows of the cache, from the same noise, each time the model is looked at.

    Rows are drawn from their sound and their first prompt, where they have one.

    Parameters
    ----------
    config : TrainingConfig
        How many, how many steps, which guidance.
    cache : Cache
        The rows; those shown are spread evenly over it.
    pipeline : SounDiTPipeline
        From `lent_pipeline`, around the model in training.
    """

    def __init__(self, config: TrainingConfig, cache: Cache, pipeline: SounDiTPipeline) -> None:
        self.config = config
        self.pipeline = pipeline
        pipeline.set_progress_bar_config(disable=True)
        rows = [cache[int(row)] for row in np.linspace(0, len(cache) - 1, config.samples)]
        self._sounds = _Sounds(*(torch.stack([row[key] for row in rows]) for key in ("tokens", "summary")))
        self._scenes = torch.stack([row["scenes"][0] for row in rows])
        self._no_scene = [not row["scene_count"] for row in rows]

    def draw(self) -> Image:
        """Draw with the model's present weights.

        Returns
        -------
        PIL.Image.Image
            All pictures side by side.
        """
        transformer = self.pipeline.transformer
        transformer.eval()
        (drawn,) = self.pipeline(
            soundscape_embeds=self._sounds,
            scene_embeds=self._scenes,
            scene_missing=self._no_scene,
            num_inference_steps=self.config.sample_steps,
            guidance_scale=self.config.sample_guidance,
            generator=[
                torch.Generator().manual_seed(self.config.seed + place)
                for place in range(self.config.samples)
            ],
            return_dict=False,
        )
        transformer.train()
        return make_image_grid(drawn, rows=1, cols=len(drawn))
