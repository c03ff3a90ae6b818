"""Soundscape and scene prompt in, landscape out: SounDiT as a diffusers pipeline.

(No postponed annotations here: diffusers reads the component types from the signature.)
"""

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
from soundit_geo.weights import preset_path, presets

_COMPONENT_HOMES = ("soundit_geo.soundit.autoencoder", "soundit_geo.encoders.imagebind")
"""Diffusers takes a component's class only from a module that is already imported, never by a file's word."""

Generators = torch.Generator | Sequence[torch.Generator] | None


class Soundscapes(Protocol):
    """Embedded recordings: tokens (B, L, d_s) and summary (B, d_s)."""

    @property
    def tokens(self) -> Tensor:
        """(B, L, d_s)."""

    @property
    def summary(self) -> Tensor:
        """(B, d_s)."""


@runtime_checkable
class Encoder(Protocol):
    """What the pipeline asks of an encoder; ImageBind is one."""

    def encode_soundscapes(self, soundscapes: Sequence[Any], tokens: str) -> Soundscapes:
        """Embed recordings.

        Parameters
        ----------
        soundscapes : sequence of (path or array)
            Files, or mono waveforms (n,) at 16 kHz.
        tokens : {"pooled", "clips", "patches"}
            Kind of tokens.

        Returns
        -------
        Soundscapes
            Tokens (B, L, d_s) and summary (B, d_s).
        """

    def encode_scenes(self, prompts: Sequence[str]) -> Tensor:
        """Embed scene prompts.

        Parameters
        ----------
        prompts : sequence of str
            In English.

        Returns
        -------
        torch.Tensor
            (B, d_c).
        """


class _Batch(NamedTuple):
    """Embedded conditions of one call; true in a mask where something is missing."""

    tokens: Tensor  # (B, L, d_s)
    summary: Tensor  # (B, d_s)
    scene: Tensor  # (B, d_c)
    no_soundscape: Tensor  # (B,)
    no_scene: Tensor  # (B,)


class SounDiTPipeline(DiffusionPipeline):
    """Draw street-level landscapes from soundscapes and scene prompts.

    Parameters
    ----------
    transformer : SounDiTTransformer2DModel
        The denoiser.
    vae : diffusers.ModelMixin
        Latents to pictures: ``AutoencoderKL``, ``AutoencoderTiny`` or `FoldingAutoencoder`.
    scheduler : diffusers.SchedulerMixin
        Any of diffusers' samplers that fits the model's prediction type.
    encoder : diffusers.ModelMixin
        Sounds and prompts to embeddings; see `Encoder`.
    soundscape_tokens : {"pooled", "clips", "patches"}
        Kind of soundscape tokens that the transformer was trained on.
    """

    model_cpu_offload_seq = "encoder->transformer->vae"
    _callback_tensor_inputs = ("latents",)

    def __init__(
        self,
        transformer: SounDiTTransformer2DModel,
        vae: ModelMixin,
        scheduler: SchedulerMixin,
        encoder: ModelMixin,
        soundscape_tokens: str = "clips",
    ) -> None:
        super().__init__()
        self.register_modules(transformer=transformer, vae=vae, scheduler=scheduler, encoder=encoder)
        self.register_to_config(soundscape_tokens=soundscape_tokens)
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.downscale)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any) -> Self:
        """Load a pipeline by preset name, from a folder or from the hub.

        Parameters
        ----------
        pretrained_model_name_or_path : str or path
            Name of an embedded preset (``"synthetic-city"``), a folder made by ``save_pretrained``, or a hub id
            ``owner/name``.
        **kwargs
            As in ``diffusers.DiffusionPipeline.from_pretrained``.

        Returns
        -------
        SounDiTPipeline
            In evaluation mode.

        Raises
        ------
        MissingFileError
            If it is neither a preset, nor a folder, nor of the form of a hub id.
        WeightsError
            If the folder or the hub has no such pipeline.
        """
        name = str(pretrained_model_name_or_path)
        if name in presets():
            name = str(preset_path(name))
        elif not Path(name).is_dir() and name.count("/") != 1:
            raise MissingFileError(
                f"Model {name!r} is neither an embedded preset ({', '.join(presets())}), nor a folder, nor a hub id "
                "of the form owner/name."
            )
        for home in _COMPONENT_HOMES:
            import_module(home)
        try:
            return super().from_pretrained(name, **kwargs)
        except OSError as error:
            raise WeightsError(
                f"Model {name!r} cannot be loaded: it is no embedded preset ({', '.join(presets())}), no folder with a "
                "complete pipeline, and the hub has none of that name or cannot be reached."
            ) from error

    @property
    def downscale(self) -> int:
        """Picture edge over latent edge, in pixels per latent cell."""
        if hasattr(self.vae, "downscale"):
            return int(self.vae.downscale)
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @torch.no_grad()
    def __call__(
        self,
        soundscapes: Sequence[Any] | str | PathLike[str] | None = None,
        scenes: Sequence[str | None] | str | None = None,
        *,
        num_inference_steps: int = 20,
        guidance_scale: float = 4.0,
        soundscape_guidance_scale: float | None = None,
        scene_guidance_scale: float | None = None,
        scene_strength: float = 1.0,
        generator: Generators = None,
        latents: Tensor | None = None,
        soundscape_embeds: Soundscapes | None = None,
        scene_embeds: Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]
        | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ImagePipelineOutput | tuple[Any]:
        """Draw one landscape per soundscape and scene.

        Parameters
        ----------
        soundscapes : sequence of (path or array or None), optional
            Audio files, or mono waveforms (n,) at 16 kHz in [-1, 1]. None stands for no soundscape.
        scenes : str or sequence of (str or None), optional
            Scene prompts, one per soundscape; one string serves all. None stands for no prompt.
        num_inference_steps : int, optional
            Steps of the sampler.
        guidance_scale : float, optional
            Joint guidance on both prompts, ``ε_∅ + g (ε_sc − ε_∅)``; 1 is none.
        soundscape_guidance_scale, scene_guidance_scale : float, optional
            Both together choose separate guidance, ``ε_∅ + g_s (ε_s − ε_∅) + g_c (ε_sc − ε_s)``.
        scene_strength : float, optional
            μ, the strength of the scene in SLRCM.
        generator : torch.Generator or list of them, optional
            Source of the first noise; a list holds one per picture.
        latents : torch.Tensor, optional
            (B, C, H, W) first noise, of unit variance.
        soundscape_embeds : SoundscapeEmbeds, optional
            In place of `soundscapes`: tokens (B, L, d_s) and summary (B, d_s).
        scene_embeds : torch.Tensor, optional
            (B, d_c), in place of `scenes`.
        output_type : {"pil", "np", "pt", "latent"}, optional
            Form of the pictures.
        return_dict : bool, optional
            Whether to wrap them in ``ImagePipelineOutput``.
        callback_on_step_end : callable, optional
            As in diffusers: called with the pipeline, the step, the timestep and the tensors asked for.
        callback_on_step_end_tensor_inputs : sequence of str, optional
            Names of the tensors for the callback; ``"latents"`` is the one there is.

        Returns
        -------
        ImagePipelineOutput or tuple
            ``images``: a list of B pictures, or an array (B, H, W, 3), or a tensor (B, 3, H, W), or the latents.

        Raises
        ------
        InputError
            If nothing was given, lengths or shapes disagree, or only one of the separate scales came.
        AudioError
            If a recording cannot be used.
        """
        separate = (soundscape_guidance_scale, scene_guidance_scale)
        if (separate[0] is None) != (separate[1] is None):
            raise InputError(
                "Separate guidance needs both soundscape_guidance_scale and scene_guidance_scale."
            )
        if output_type not in ("pil", "np", "pt", "latent"):
            raise InputError(f"output_type is {output_type!r}; expected 'pil', 'np', 'pt' or 'latent'.")
        unknown = set(callback_on_step_end_tensor_inputs) - set(self._callback_tensor_inputs)
        if unknown:
            raise InputError(f"The callback cannot have {', '.join(sorted(unknown))}; there is 'latents'.")
        batch = self._embed(soundscapes, scenes, soundscape_embeds, scene_embeds)
        latents = self._first_noise(len(batch.scene), generator, latents)  # (B, C, H, W)

        device = self._execution_device
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        latents = latents * self.scheduler.init_noise_sigma
        extra = {}
        if "generator" in inspect.signature(self.scheduler.step).parameters:
            extra["generator"] = list(generator) if isinstance(generator, Sequence) else generator
        with self.progress_bar(total=num_inference_steps) as bar:
            for index, time in enumerate(self.scheduler.timesteps):
                noisy = self.scheduler.scale_model_input(latents, time)
                guess = self._guided(noisy, time, batch, guidance_scale, separate, scene_strength)
                latents = self.scheduler.step(guess, time, latents, return_dict=False, **extra)[0]
                if callback_on_step_end is not None:
                    given = {"latents": latents} if callback_on_step_end_tensor_inputs else {}
                    latents = callback_on_step_end(self, index, time, given).get("latents", latents)
                bar.update()

        images: Any = latents
        if output_type != "latent":
            shift = getattr(self.vae.config, "shift_factor", None) or 0.0
            raw = latents / self.vae.config.scaling_factor + shift
            pixels = self.vae.decode(raw.to(self.vae.dtype)).sample  # (B, 3, 8H, 8W)
            images = self.image_processor.postprocess(pixels.float(), output_type=output_type)
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def _guided(
        self,
        noisy: Tensor,
        time: Tensor,
        batch: _Batch,
        scale: float,
        separate: tuple[float | None, float | None],
        scene_strength: float,
    ) -> Tensor:
        """One guided prediction; all branches go through the transformer together."""
        full, none = (batch.no_soundscape, batch.no_scene), torch.ones_like(batch.no_scene)
        soundscape_scale, scene_scale = separate
        if soundscape_scale is not None and scene_scale is not None:
            parts = self._predict(noisy, time, batch, [full, (full[0], none), (none, none)], scene_strength)
            return parts[2] + soundscape_scale * (parts[1] - parts[2]) + scene_scale * (parts[0] - parts[1])
        if scale == 1.0:
            return self._predict(noisy, time, batch, [full], scene_strength)[0]
        parts = self._predict(noisy, time, batch, [full, (none, none)], scene_strength)
        return parts[1] + scale * (parts[0] - parts[1])

    def _predict(
        self,
        noisy: Tensor,
        time: Tensor,
        batch: _Batch,
        branches: list[tuple[Tensor, Tensor]],
        scene_strength: float,
    ) -> tuple[Tensor, ...]:
        """Predictions of several branches that differ in what is missing, each (B, C, H, W)."""
        count = len(branches)
        dtype = self.transformer.dtype
        guess = self.transformer(
            noisy.repeat(count, 1, 1, 1).to(dtype),
            time,
            batch.tokens.repeat(count, 1, 1).to(dtype),
            batch.summary.repeat(count, 1).to(dtype),
            batch.scene.repeat(count, 1).to(dtype),
            soundscape_missing=torch.cat([branch[0] for branch in branches]),
            scene_missing=torch.cat([branch[1] for branch in branches]),
            scene_strength=scene_strength,
        ).sample
        return guess.to(noisy.dtype).chunk(count)

    def _embed(
        self,
        soundscapes: Sequence[Any] | str | PathLike[str] | None,
        scenes: Sequence[str | None] | str | None,
        soundscape_embeds: Soundscapes | None,
        scene_embeds: Tensor | None,
    ) -> _Batch:
        """Embed what there is, once per distinct prompt, and mark what is missing."""
        for name, raw, ready in (
            ("soundscapes", soundscapes, soundscape_embeds),
            ("scenes", scenes, scene_embeds),
        ):
            if raw is not None and ready is not None:
                raise InputError(f"Both {name} and their embeddings came; give one of them.")
        if isinstance(soundscapes, str | PathLike):
            soundscapes = [soundscapes]
        if getattr(soundscapes, "ndim", None) == 1:
            raise InputError("One waveform came where a list of soundscapes was expected: give [waveform].")
        count = _common_length(
            soundscapes=soundscapes,
            soundscape_embeds=None if soundscape_embeds is None else soundscape_embeds.summary,
            scenes=scenes,
            scene_embeds=scene_embeds,
        )
        if isinstance(scenes, str):
            scenes = [scenes] * count
        tokens, summary, no_soundscape = self._hear(soundscapes, soundscape_embeds, count)
        scene, no_scene = self._read(scenes, scene_embeds, count)
        config = self.transformer.config
        for name, value, shape in (
            ("soundscape tokens", tokens, (count, *tokens.shape[1:-1], config.token_dim)),
            ("soundscape summary", summary, (count, config.summary_dim)),
            ("scene embeddings", scene, (count, config.scene_dim)),
        ):
            if tuple(value.shape) != shape:
                raise InputError(f"{name} have shape {tuple(value.shape)}; this model expects {shape}.")
        return _Batch(tokens, summary, scene, no_soundscape, no_scene)

    def _hear(
        self, soundscapes: Sequence[Any] | None, ready: Soundscapes | None, count: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Soundscape tokens, summary, and where there is none."""
        config, device = self.transformer.config, self._execution_device
        missing = torch.zeros(count, dtype=torch.bool, device=device)
        if ready is not None:
            return ready.tokens.to(device), ready.summary.to(device), missing
        missing[:] = torch.tensor([value is None for value in soundscapes or [None] * count])
        given = [value for value in soundscapes or () if value is not None]
        if not given:
            empty = torch.zeros(count, 1, config.token_dim, device=device)
            return empty, torch.zeros(count, config.summary_dim, device=device), missing
        heard = self.encoder.encode_soundscapes(given, self.config.soundscape_tokens)
        tokens = torch.zeros(count, *heard.tokens.shape[1:], device=device)
        summary = torch.zeros(count, heard.summary.shape[-1], device=device)
        tokens[~missing], summary[~missing] = heard.tokens.to(tokens), heard.summary.to(summary)
        return tokens, summary, missing

    def _read(
        self, scenes: Sequence[str | None] | None, ready: Tensor | None, count: int
    ) -> tuple[Tensor, Tensor]:
        """Scene embeddings, each distinct prompt read once, and where there is none."""
        device = self._execution_device
        missing = torch.zeros(count, dtype=torch.bool, device=device)
        if ready is not None:
            return ready.to(device), missing
        missing[:] = torch.tensor([value is None for value in scenes or [None] * count])
        distinct = list(dict.fromkeys(value for value in scenes or () if value is not None))
        scene = torch.zeros(count, self.transformer.config.scene_dim, device=device)
        if distinct:
            known = self.encoder.encode_scenes(distinct).to(scene)
            scene[~missing] = known[[distinct.index(value) for value in scenes or () if value is not None]]
        return scene, missing

    def _first_noise(self, count: int, generator: Generators, latents: Tensor | None) -> Tensor:
        """The given noise, checked, or new noise, (B, C, H, W)."""
        config = self.transformer.config
        shape = (count, config.in_channels, config.sample_size, config.sample_size)
        if latents is not None:
            if tuple(latents.shape) != shape:
                raise InputError(f"latents have shape {tuple(latents.shape)}; expected {shape}.")
            return latents.to(self._execution_device)
        if isinstance(generator, Sequence) and len(generator) != count:
            raise InputError(f"{len(generator)} generators came for {count} pictures; give one each, or one.")
        sources = list(generator) if isinstance(generator, Sequence) else generator
        noise: Tensor = randn_tensor(shape, generator=sources, device=self._execution_device)
        return noise


def _common_length(**inputs: Sequence[Any] | Tensor | str | None) -> int:
    """The length that all given inputs share; a single string goes with any."""
    counts = {
        name: len(value) for name, value in inputs.items() if value is not None and not isinstance(value, str)
    }
    if not counts and any(isinstance(value, str) for value in inputs.values()):
        return 1
    if not counts or 0 in counts.values():
        raise InputError("Nothing to draw from: give soundscapes, scenes or both, at least one of each.")
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{number} {name}" for name, number in counts.items())
        raise InputError(f"Lengths disagree: {said}. Give one scene (or None) per soundscape.")
    return next(iter(counts.values()))
