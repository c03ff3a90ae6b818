"""Soundscape and scene prompt in, landscape out: SounDiT as a diffusers pipeline.

Read beside it: `embedding` (sounds and prompts to vectors), `nearest` (which scene a prompt
comes near to), `inputs` (what a call may be given), `guidance` (how
predictions are combined), `schedule` (which samplers fit), `loading` (where a pipeline comes from).

(No postponed annotations here: diffusers reads the component types from the signature.)
"""

import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, Unpack

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from soundit_geo.errors import FarPromptWarning, InputError, WeightsError
from soundit_geo.soundit import guidance, nearest
from soundit_geo.soundit.embedding import TOKEN_KINDS, Embedded, Prompts, Soundscapes, awake, embed
from soundit_geo.soundit.guidance import Branch
from soundit_geo.soundit.inputs import Generators, check_count, check_generator, check_latents, check_number
from soundit_geo.soundit.loading import check_folder, find_folder, register
from soundit_geo.soundit.schedule import check_scheduler, set_timesteps, step_options
from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
from soundit_geo.weights import presets

OUTPUT_TYPES = ("pil", "np", "pt", "latent")

_COMPONENTS = ("transformer", "vae", "scheduler", "encoder")
_HUB = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "token")


class SounDiTPipeline(DiffusionPipeline):
    """Draw street-level landscapes from soundscapes and scene prompts.

    Parameters
    ----------
    transformer : SounDiTTransformer2DModel
        The denoiser.
    vae : diffusers.ModelMixin
        Latents to pictures: ``AutoencoderKL``, ``AutoencoderTiny`` or `FoldingAutoencoder`.
    scheduler : diffusers.SchedulerMixin
        Any of diffusers' samplers of DDPM's noise schedule that fits the model's prediction type.
    encoder : diffusers.ModelMixin or None
        Sounds and prompts to embeddings; see `soundit_geo.soundit.embedding.Encoder`. Without one the pipeline draws
        from embeddings alone.
    soundscape_tokens : {"pooled", "clips", "patches"}
        Kind of soundscape tokens that the transformer was trained on.
    world : str, optional
        What the parts were trained on, where that is not the real world: ``"synthetic city"`` marks a stand-in.
    known_scenes : mapping of str to sequence of str, optional
        Scenes that the encoder was trained to tell apart, each with phrases that name it; for `nearest_scenes`.

    Raises
    ------
    InputError
        If the components do not fit one another, or a scene has no phrases.
    """

    model_cpu_offload_seq = "encoder->transformer->vae"
    _optional_components: ClassVar[list[str]] = ["encoder"]
    _callback_tensor_inputs = ("latents",)

    def __init__(
        self,
        transformer: SounDiTTransformer2DModel,
        vae: ModelMixin,
        scheduler: SchedulerMixin,
        encoder: ModelMixin,
        soundscape_tokens: str = "clips",
        world: str | None = None,
        known_scenes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        check_scheduler(scheduler)
        _check_fit(transformer, vae, encoder, soundscape_tokens)
        self.register_modules(transformer=transformer, vae=vae, scheduler=scheduler, encoder=encoder)
        if known_scenes is not None:
            known_scenes = nearest.check_scenes(known_scenes, "known_scenes")
        self.register_to_config(soundscape_tokens=soundscape_tokens, world=world, known_scenes=known_scenes)
        self._scene_directions: tuple[Any, dict[str, list[str]], nearest.KnownScenes] | None = None
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.downscale)
        self._guidance_scale = 1.0
        self._separate_scales: tuple[float, float] | None = None
        self._interrupt, self._num_timesteps = False, 0

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any) -> Self:
        """Load a pipeline by preset name, from a folder or from the hub.

        Weights are read from safetensors only, and no file of the folder is executed.

        Parameters
        ----------
        pretrained_model_name_or_path : str or path
            Name of an embedded preset (``"synthetic-city"``), a folder made by ``save_pretrained``, or a hub id
            ``owner/name``.
        **kwargs
            As in ``diffusers.DiffusionPipeline.from_pretrained``: ``torch_dtype``, ``variant``, ``device_map``,
            ``revision``, components such as ``scheduler=`` or ``encoder=None``.

        Returns
        -------
        SounDiTPipeline
            In evaluation mode.

        Raises
        ------
        MissingFileError
            If it is neither a preset, nor a folder, nor of the form of a hub id.
        WeightsError
            If the folder or the hub has no such pipeline, or its files are damaged or do not fit it.
        InputError
            If a component's configuration has unknown settings.
        """
        name = str(pretrained_model_name_or_path)
        variant = kwargs.get("variant")
        kwargs["use_safetensors"] = True
        folder = find_folder(name)
        try:
            if folder is None:
                hub = {key: kwargs[key] for key in _HUB if key in kwargs}
                given = {key: kwargs[key] for key in _COMPONENTS if key in kwargs}
                folder = Path(cls.download(name, variant=variant, use_safetensors=True, **hub, **given))
            check_folder(folder, cls, cls.load_config(folder), variant, kwargs.keys())
            pipeline = super().from_pretrained(folder, **kwargs)
        except OSError as error:
            known = f"no embedded preset ({', '.join(presets())})"
            if folder is None:
                raise WeightsError(
                    f"Model {name!r} is {known}, no folder, and the hub has none of that name or cannot be reached."
                ) from error
            raise WeightsError(f"Model {name!r} is no complete pipeline: {error}") from error
        pipeline.register_to_config(_name_or_path=name)
        return pipeline

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> Self:
        """A pipeline that shares the components of another, at no cost in memory.

        Parameters
        ----------
        pipeline : SounDiTPipeline
            The other.
        **kwargs
            Components in place of its own, such as ``scheduler=``; ``torch_dtype``.

        Returns
        -------
        SounDiTPipeline
            As in diffusers.
        """
        shared = pipeline.components if isinstance(pipeline, SounDiTPipeline) else {}
        return super().from_pipe(pipeline, **{**shared, **kwargs})

    @property
    def downscale(self) -> int:
        """Picture edge over latent edge, in pixels per latent cell."""
        if hasattr(self.vae, "downscale"):
            return int(self.vae.downscale)
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def guidance_scale(self) -> float:
        """Joint guidance of the present or last call; a callback may set ``_guidance_scale``, as in diffusers."""
        return self._guidance_scale

    @property
    def num_timesteps(self) -> int:
        """Timesteps of the present or last call."""
        return self._num_timesteps

    @property
    def interrupt(self) -> bool:
        """Whether a callback has set ``_interrupt``, which ends the call after that step."""
        return self._interrupt

    @torch.no_grad()
    def encode(
        self,
        soundscapes: Sequence[Any] | str | PathLike[str] | None = None,
        scenes: Sequence[str | None] | str | None = None,
    ) -> Prompts:
        """Embed soundscapes and scene prompts once, for any number of calls.

        ``pipeline(**pipeline.encode(soundscapes, scenes))`` draws what ``pipeline(soundscapes, scenes)`` draws.

        Parameters
        ----------
        soundscapes, scenes
            As in `__call__`.

        Returns
        -------
        dict
            ``soundscape_embeds``, ``scene_embeds``, ``soundscape_missing`` and ``scene_missing``, for `__call__`.

        Raises
        ------
        InputError
            If nothing was given, lengths disagree, or there is no encoder.
        AudioError
            If a recording cannot be used.
        """
        given = self._embed(soundscapes=soundscapes, scenes=scenes)
        return {
            "soundscape_embeds": given.soundscapes,
            "scene_embeds": given.scenes,
            "soundscape_missing": given.no_soundscape,
            "scene_missing": given.no_scene,
        }

    @torch.no_grad()
    def nearest_scenes(
        self, prompts: str | Sequence[str], scenes: Mapping[str, Sequence[str]] | None = None
    ) -> list[list[tuple[str, float]]]:
        """What the encoder takes prompts for: the known scenes by their similarity, best first.

        A prompt that is like none of them gives a warning; what is drawn from it may be anything. How similarity
        is measured, and what counts as far, says `soundit_geo.soundit.nearest`.

        Parameters
        ----------
        prompts : str or sequence of str
            B prompts in English; one string is one prompt.
        scenes : mapping of str to sequence of str, optional
            S scenes, each with phrases that name it, in place of the pipeline's own ``known_scenes``.

        Returns
        -------
        list of list of (str, float)
            For each of B prompts S pairs of a scene and its cosine similarity, between -1 and 1, best first.

        Raises
        ------
        InputError
            If there is no encoder, no scenes are known, or a prompt or a phrase is empty or no string.

        Warns
        -----
        FarPromptWarning
            Once a call, if prompts lie far from every scene; it names them with the nearest scene.
        """
        texts = nearest.check_prompts(prompts)
        if self.encoder is None:
            raise InputError(
                "nearest_scenes reads prompts, and this pipeline has no encoder. Load it with one: "
                "from_pretrained(..., encoder=...), or without encoder=None."
            )
        given = self.config.get("known_scenes") if scenes is None else scenes
        if given is None:
            raise InputError(
                "This pipeline has no known_scenes to compare prompts with. Give them: "
                "nearest_scenes(prompts, scenes={'park': ['park', 'public garden'], ...})."
            )
        known = self._known(nearest.check_scenes(given, "known_scenes" if scenes is None else "scenes"))
        vectors = nearest.directions(awake(self.encoder).encode_scenes, texts)  # (B, d_c)
        rows = nearest.ranked(known, vectors)
        said = nearest.far_in_words(texts, rows, nearest.far(known, vectors))
        if said is not None:
            warnings.warn(said, FarPromptWarning, stacklevel=3)  # past no_grad
        return rows

    @torch.no_grad()
    def __call__(
        self,
        soundscapes: Sequence[Any] | str | PathLike[str] | None = None,
        scenes: Sequence[str | None] | str | None = None,
        *,
        num_inference_steps: int = 20,
        timesteps: Sequence[int] | None = None,
        sigmas: Sequence[float] | None = None,
        guidance_scale: float = 4.0,
        soundscape_guidance_scale: float | None = None,
        scene_guidance_scale: float | None = None,
        scene_strength: float = 1.0,
        num_images_per_prompt: int = 1,
        generator: Generators = None,
        latents: Tensor | None = None,
        soundscape_embeds: Soundscapes | None = None,
        scene_embeds: Tensor | None = None,
        soundscape_missing: Tensor | Sequence[bool] | None = None,
        scene_missing: Tensor | Sequence[bool] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]
        | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ImagePipelineOutput | tuple[Any]:
        """Draw landscapes, one per soundscape and scene or several.

        Parameters
        ----------
        soundscapes : path or sequence of (path or array or None), optional
            Audio files, or mono waveforms (n,) at 16 kHz in [-1, 1]. None stands for no soundscape.
        scenes : str or sequence of (str or None), optional
            Scene prompts, one per soundscape; one string serves all. None stands for no prompt.
        num_inference_steps : int, optional
            Steps of the sampler, at most those of the training.
        timesteps, sigmas : sequence of numbers, optional
            In place of `num_inference_steps`, for samplers that take them: falling timesteps or noise levels.
        guidance_scale : float, optional
            Joint guidance on both prompts, ``ε_∅ + g (ε_sc − ε_∅)``; 1 is none.
        soundscape_guidance_scale, scene_guidance_scale : float, optional
            Both together choose separate guidance, ``ε_∅ + g_s (ε_s − ε_∅) + g_c (ε_sc − ε_s)``.
        scene_strength : float, optional
            μ, the strength of the scene in SLRCM.
        num_images_per_prompt : int, optional
            Pictures of each soundscape and scene; they follow one another.
        generator : torch.Generator or list of them, optional
            Source of the first noise, and of the sampler's where it adds some; a list holds one per picture.
        latents : torch.Tensor, optional
            (B, C, H, W) first noise, of unit variance, one per picture.
        soundscape_embeds : Soundscapes, optional
            In place of `soundscapes`: tokens (B, L, d_s) and summary (B, d_s), from `encode` or the encoder.
        scene_embeds : torch.Tensor, optional
            (B, d_c), in place of `scenes`.
        soundscape_missing, scene_missing : torch.Tensor or sequence of bool, optional
            (B,), true where an embedding stands for nothing; goes with the embeddings.
        output_type : {"pil", "np", "pt", "latent"}, optional
            Form of the pictures.
        return_dict : bool, optional
            Whether to wrap them in ``ImagePipelineOutput``.
        callback_on_step_end : callable, optional
            As in diffusers: called with the pipeline, the step, the timestep and the tensors asked for; may give
            ``latents`` back. Setting ``pipeline._interrupt`` ends the call after the step.
        callback_on_step_end_tensor_inputs : sequence of str, optional
            Names of the tensors for the callback; ``"latents"`` is the one there is.

        Returns
        -------
        ImagePipelineOutput or tuple
            ``images``: a list of B pictures, or an array (B, H, W, 3), or a tensor (B, 3, H, W), or the latents.

        Raises
        ------
        InputError
            If nothing was given, lengths, shapes or types disagree, a number is out of range, the sampler does not
            fit, or only one of the separate scales came.
        AudioError
            If a recording cannot be used.
        """
        self._set_guidance(guidance_scale, soundscape_guidance_scale, scene_guidance_scale)
        strength = check_number("scene_strength", scene_strength)
        asked = getattr(callback_on_step_end, "tensor_inputs", callback_on_step_end_tensor_inputs)
        unknown = sorted(set(asked) - set(self._callback_tensor_inputs))
        if unknown:
            raise InputError(f"The callback cannot have {', '.join(unknown)}; there is 'latents'.")
        if output_type not in OUTPUT_TYPES:
            raise InputError(f"output_type is {output_type!r}; expected one of {', '.join(OUTPUT_TYPES)}.")
        each = check_count("num_images_per_prompt", num_images_per_prompt)
        check_scheduler(self.scheduler)
        times = set_timesteps(
            self.scheduler, num_inference_steps, timesteps, sigmas, self._execution_device
        )  # (T,)

        given = self._embed(
            soundscapes=soundscapes,
            scenes=scenes,
            soundscape_embeds=soundscape_embeds,
            scene_embeds=scene_embeds,
            soundscape_missing=soundscape_missing,
            scene_missing=scene_missing,
        ).repeat(each)
        sources = check_generator(generator, len(given))
        latents = (
            self._first_noise(len(given), sources, latents) * self.scheduler.init_noise_sigma
        )  # (B, C, H, W)
        branches = self._branches()
        prepared = self._prepare(given, branches, strength)

        options = step_options(self.scheduler, sources)
        self._interrupt, self._num_timesteps = False, len(times)
        with self.progress_bar(total=len(times)) as bar:
            for index, time in enumerate(times):
                noisy = self.scheduler.scale_model_input(latents, time)  # (B, C, H, W)
                guess = self._guide(self._predict(noisy, time, prepared, len(branches)))
                latents = self.scheduler.step(guess, time, latents, return_dict=False, **options)[0]
                if callback_on_step_end is not None:
                    tensors = {"latents": latents} if asked else {}
                    latents = (callback_on_step_end(self, index, time, tensors) or {}).get("latents", latents)
                bar.update()
                if self.interrupt:
                    break

        images: Any = latents if output_type == "latent" else self._decode(latents, output_type)
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def enable_sequential_cpu_offload(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: what is folded before the first step needs whole blocks at once.

        Parameters
        ----------
        *args, **kwargs
            As in diffusers.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "SounDiT folds its conditions before the first step, which needs the transformer's weights together. Call "
            "enable_model_cpu_offload(), or encode first and load the pipeline with encoder=None."
        )

    enable_group_offload = enable_sequential_cpu_offload

    # ------------------------------------------------------------------------------------------ what is given
    def _embed(self, **given: Unpack[Prompts]) -> Embedded:
        """Embed what there is, and mark what is missing."""
        kind, widths = self.config.soundscape_tokens, self.transformer.config
        return embed(self.encoder, kind, widths, self._execution_device, **given)

    def _known(self, scenes: dict[str, list[str]]) -> nearest.KnownScenes:
        """Directions of scenes, kept until the encoder or the scenes are others."""
        kept = self._scene_directions
        if kept is not None and kept[0]() is self.encoder and kept[1] == scenes:
            return kept[2]
        known = nearest.known_scenes(awake(self.encoder).encode_scenes, scenes)
        self._scene_directions = (weakref.ref(self.encoder), scenes, known)
        return known

    def _first_noise(self, count: int, sources: Any, latents: Tensor | None) -> Tensor:
        """The given noise, checked, or new noise, (B, C, H, W), in float32: samplers compute in it."""
        config, device = self.transformer.config, self._execution_device
        shape = (count, config.in_channels, config.sample_size, config.sample_size)
        if latents is not None:
            return check_latents(latents, shape).to(device)
        noise: Tensor = randn_tensor(shape, generator=sources, device=device, dtype=torch.float32)
        return noise

    # --------------------------------------------------------------------------------------------- guidance
    def _set_guidance(self, scale: float, soundscape: float | None, scene: float | None) -> None:
        """Check and keep the scales of this call."""
        if (soundscape is None) != (scene is None):
            raise InputError(
                "Separate guidance needs both soundscape_guidance_scale and scene_guidance_scale."
            )
        self._guidance_scale = check_number("guidance_scale", scale)
        self._separate_scales = None
        if soundscape is not None and scene is not None:
            self._separate_scales = (
                check_number("soundscape_guidance_scale", soundscape),
                check_number("scene_guidance_scale", scene),
            )

    def _branches(self) -> tuple[Branch, ...]:
        """The predictions that a step needs."""
        if self._separate_scales is not None:
            return guidance.SEPARATE
        return guidance.UNGUIDED if self._guidance_scale == 1.0 else guidance.JOINT

    def _guide(self, predictions: Sequence[Tensor]) -> Tensor:
        """One guided prediction from those of the branches, (B, C, H, W)."""
        both, *others = predictions
        if self._separate_scales is not None:
            soundscape, neither = others
            return guidance.separate(both, soundscape, neither, *self._separate_scales)
        return guidance.joint(both, others[0], self._guidance_scale) if others else both

    # --------------------------------------------------------------------------------------------- denoising
    def _prepare(self, given: Embedded, branches: Sequence[Branch], strength: float) -> Any:
        """What the transformer can do before the first step, for all branches at once."""
        count, dtype = len(branches), self.transformer.dtype
        transformer = awake(self.transformer)
        return transformer.prepare(
            transformer.conditions(
                *(
                    value.to(dtype).repeat(count, *[1] * (value.ndim - 1))
                    for value in (*given.soundscapes, given.scenes)
                ),
                soundscape_missing=torch.cat(
                    [given.no_soundscape | (not branch.soundscape) for branch in branches]
                ),
                scene_missing=torch.cat([given.no_scene | (not branch.scene) for branch in branches]),
                scene_strength=strength,
            )
        )

    def _predict(self, noisy: Tensor, time: Tensor, prepared: Any, count: int) -> tuple[Tensor, ...]:
        """Predictions of all branches, in one pass, each (B, C, H, W)."""
        several = noisy.repeat(count, 1, 1, 1).to(self.transformer.dtype)
        guess = self.transformer(several, time, prepared=prepared).sample
        return guess.to(noisy.dtype).chunk(count)

    def _decode(self, latents: Tensor, output_type: str) -> Any:
        """Pictures from latents."""
        config = self.vae.config
        raw = latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
        pixels = self.vae.decode(raw.to(self.vae.dtype)).sample  # (B, 3, 8H, 8W)
        return self.image_processor.postprocess(pixels.float(), output_type=output_type)


def _check_fit(transformer: Any, vae: Any, encoder: Any, kind: str) -> None:
    """Check that widths agree, as far as the components tell them."""
    if kind not in TOKEN_KINDS:
        raise InputError(f"soundscape_tokens is {kind!r}; expected one of {', '.join(TOKEN_KINDS)}.")
    ours, latents = transformer.config, vae.config.get("latent_channels")
    pairs: list[tuple[str, int | None, str, int]] = [
        ("the VAE has latent_channels", latents, "in_channels", ours.in_channels)
    ]
    if hasattr(encoder, "token_width"):
        width = encoder.token_width(kind)
        pairs.append((f"the encoder's {kind!r} tokens have width", width, "token_dim", ours.token_dim))
    if hasattr(encoder, "joint_dim"):
        pairs.append(("the encoder has joint_dim", encoder.joint_dim, "summary_dim", ours.summary_dim))
        pairs.append(("the encoder has joint_dim", encoder.joint_dim, "scene_dim", ours.scene_dim))
    wrong = [
        f"{said} {have}, the transformer {name} {want}"
        for said, have, name, want in pairs
        if have not in (None, want)
    ]
    if wrong:
        raise InputError(f"The components do not fit one another: {'; '.join(wrong)}.")


register(SounDiTPipeline)
