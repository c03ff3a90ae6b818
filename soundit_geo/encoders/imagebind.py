"""ImageBind: sound, scene prompts and pictures in one space, in two sizes.

``huge`` has the published layout, names and arithmetic, so that the published weights load; ``mini`` is the
same class with small numbers. Read top to bottom: the model, its checks, its sizes; its layers are in `layers`.

Source: Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", CVPR 2023 (arXiv 2305.05665).
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin  # noqa: F401 - diffusers looks for it in a model's module
from torch import nn

from soundit_geo.encoders.checkpoint import Modality, Part, check_modalities, read_checkpoint, write_parts
from soundit_geo.encoders.layers import (
    Normalise,
    PatchPreprocessor,
    Repeat,
    Scale,
    Stem,
    TextHead,
    TextPreprocessor,
    Trunk,
)
from soundit_geo.encoders.preprocessing import (
    Channel,
    check_channel,
    fbanks_of,
    fbanks_of_file,
    pixels_of,
    sequence_of,
)
from soundit_geo.encoders.tokenizer import tokenize
from soundit_geo.errors import InputError, WeightsError
from soundit_geo.strict import StrictModelMixin, refuse_unknown_settings
from soundit_geo.weights import check_finite, check_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TokenKind = Literal["pooled", "clips", "patches"]

_MASK = "modality_preprocessors.text.mask"  # holds -inf, and says no more than "causal"
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


class SoundscapeEmbeds(NamedTuple):
    """What a generator reads of B soundscapes.

    Parameters
    ----------
    tokens : torch.Tensor of shape (B, L, width)
        ``pooled``: L = 1, the summary. ``clips``: L = 3, one joint vector per 2 s clip, after scaling.
        ``patches``: L = 3·N, the trunk's tokens of all clips after the head's LayerNorm (N = 229 for huge:
        the class token, then 12 × 19 patches).
    summary : torch.Tensor of shape (B, joint_dim)
        ImageBind's joint embedding: the mean of the clips' joint vectors *after* scaling, so that its norm
        is at most 20 and falls as the clips differ. Nothing normalises it again here.
    """

    tokens: torch.Tensor
    summary: torch.Tensor


# ---------------------------------------------------------------------------------------------------- model


class ImageBindModel(StrictModelMixin):
    """Sound, scene prompts and pictures into one space.

    Every modality goes ``preprocessor → trunk → head → postprocessor``; the parts carry the published
    names, so a published state dict loads key by key. The postprocessor divides by the length and multiplies
    by a scale: 20 for sound (fixed), learned for text (1/0.07 at the start, clipped at 100), 1 for pictures.

    Parameters
    ----------
    modalities : sequence of str
        Which of ``audio``, ``text``, ``vision`` this model holds. Asking for another is an error.
    joint_dim : int
        Dimension of the joint space.
    audio_mel_bins, audio_frames : int
        Size of a clip's filter bank: mel bands, frames of 10 ms.
    audio_kernel, audio_stride : int
        Side and step of the square patches cut from it; they overlap where the step is smaller.
    audio_width, audio_blocks, audio_heads : int
        Audio trunk.
    audio_scale : float
        Length of a clip's joint vector.
    audio_scale_learnable : bool
        Whether training may change it. Published: no.
    audio_channel : {"mean", "first"}
        What is heard of a file with several channels: their mean, or the first alone, as ImageBind's reference
        code does. Weights are the same.
    text_vocabulary, text_length : int
        Known tokens, and longest prompt in tokens.
    text_width, text_blocks, text_heads : int
        Text trunk.
    text_scale : float
        Length of a prompt's joint vector before training.
    text_zero_embedding : bool
        Whether word embeddings start at 0, so that words which training never shows stay neutral.
    vision_size, vision_patch, vision_frames : int
        Side of a picture and of a patch in pixels; frames for which a still picture is shown.
    vision_width, vision_blocks, vision_heads : int
        Vision trunk.

    Raises
    ------
    InputError
        If a modality or channel is unknown, or a width cannot be shared out among its heads.

    Notes
    -----
    The defaults are those of the published model, but for `audio_channel`. Its stochastic depth in training is
    not built in.

    Embeddings have the model's dtype, whatever the dtype of what it is fed. Of mini, their cosine with those in
    float32 is above 0.99 in bfloat16, above 0.9999 in float16. The scales stay in float32, also where a model is
    loaded in half precision: in bfloat16 20 would else become 20.09.
    """

    _no_split_modules = ["Block"]  # noqa: RUF012 - diffusers reads it
    _keep_in_fp32_modules = ["log_logit_scale"]  # noqa: RUF012 - diffusers reads it
    config: Any
    modality_heads: Any  # torch's typing knows no layer by its place

    @register_to_config
    def __init__(
        self,
        modalities: Sequence[str] = ("audio", "text", "vision"),
        joint_dim: int = 1024,
        audio_mel_bins: int = 128,
        audio_frames: int = 204,
        audio_kernel: int = 16,
        audio_stride: int = 10,
        audio_width: int = 768,
        audio_blocks: int = 12,
        audio_heads: int = 12,
        audio_scale: float = 20.0,
        audio_scale_learnable: bool = False,
        audio_channel: Channel = "mean",
        text_vocabulary: int = 49408,
        text_length: int = 77,
        text_width: int = 1024,
        text_blocks: int = 24,
        text_heads: int = 16,
        text_scale: float = 1 / 0.07,
        text_zero_embedding: bool = False,
        vision_size: int = 224,
        vision_patch: int = 14,
        vision_frames: int = 2,
        vision_width: int = 1280,
        vision_blocks: int = 32,
        vision_heads: int = 16,
    ) -> None:
        super().__init__()
        check_modalities(modalities)
        check_channel(audio_channel)
        _check_heads(
            audio=(audio_width, audio_heads),
            text=(text_width, text_heads),
            vision=(vision_width, vision_heads),
        )
        preprocessors: dict[str, nn.Module] = {}
        trunks: dict[str, nn.Module] = {}
        heads: dict[str, nn.Module] = {}
        postprocessors: dict[str, nn.Module] = {}
        if "vision" in modalities:
            patch = (vision_frames, vision_patch, vision_patch)
            frames = nn.Conv3d(3, vision_width, patch, stride=patch, bias=False)
            stem = Stem(nn.Sequential(Repeat(vision_frames), frames), None)
            preprocessors["vision"] = PatchPreprocessor(
                stem, (vision_size // vision_patch) ** 2, vision_width
            )
            trunks["vision"] = Trunk(vision_width, vision_blocks, vision_heads, norm_first=True)
            heads["vision"] = _head(vision_width, joint_dim)
            postprocessors["vision"] = Normalise()
        if "text" in modalities:
            preprocessors["text"] = TextPreprocessor(
                text_vocabulary, text_length, text_width, zero=text_zero_embedding
            )
            trunks["text"] = Trunk(text_width, text_blocks, text_heads, causal=True)
            heads["text"] = TextHead(text_width, joint_dim)
            postprocessors["text"] = nn.Sequential(Normalise(), Scale(text_scale, learnable=True))
        if "audio" in modalities:
            bands = nn.Conv2d(1, audio_width, audio_kernel, stride=audio_stride, bias=False)
            high, wide = (
                (side - audio_kernel) // audio_stride + 1 for side in (audio_mel_bins, audio_frames)
            )
            stem = Stem(bands, nn.LayerNorm(audio_width))
            preprocessors["audio"] = PatchPreprocessor(stem, high * wide, audio_width)
            trunks["audio"] = Trunk(audio_width, audio_blocks, audio_heads, bias_kv=True)
            heads["audio"] = _head(audio_width, joint_dim)
            postprocessors["audio"] = nn.Sequential(
                Normalise(), Scale(audio_scale, learnable=audio_scale_learnable)
            )
        self.modality_preprocessors = nn.ModuleDict(preprocessors)
        self.modality_trunks = nn.ModuleDict(trunks)
        self.modality_heads = nn.ModuleDict(heads)
        self.modality_postprocessors = nn.ModuleDict(postprocessors)

    @classmethod
    def huge(cls, **changes: Any) -> Self:
        """Build the published layout, with random weights.

        Parameters
        ----------
        **changes
            Config keys to change, for example ``modalities=("audio", "text")``.

        Returns
        -------
        ImageBindModel
            About 1.1 billion parameters with all three modalities.

        Raises
        ------
        InputError
            If a config key is unknown.
        """
        return cls._built(HUGE | changes)

    @classmethod
    def mini(cls, **changes: Any) -> Self:
        """Build the small layout of the embedded preset, with random weights.

        Parameters
        ----------
        **changes
            Config keys to change.

        Returns
        -------
        ImageBindModel
            About 7 million parameters, most of them rows of words.

        Raises
        ------
        InputError
            If a config key is unknown.
        """
        return cls._built(MINI | changes)

    @classmethod
    def _built(cls, settings: dict[str, Any]) -> Self:
        """Build with random weights, or refuse settings that there are not."""
        refuse_unknown_settings(cls, settings)
        return cls(**settings)

    # ---------------------------------------------------------------------------------- from and to files

    @classmethod
    def from_checkpoint(
        cls,
        source: str | PathLike[str] | Sequence[str | PathLike[str]],
        modalities: Sequence[Modality] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        **changes: Any,
    ) -> Self:
        """Load the published weights, all of them or some modalities.

        Parameters
        ----------
        source : path or sequence of path
            ``imagebind_huge.pth`` or the same as ``.safetensors``; several safetensors files that hold a modality
            each; or a folder that `save_parts` made.
        modalities : sequence of str, optional
            Of ``audio``, ``text``, ``vision``; by default those that are there. Others stay on the disk. What the
            published file holds for depth, thermal and motion sensors is passed over.
        dtype : torch.dtype
            Of the parameters, and so of the embeddings; the scales stay in float32.
        **changes
            Config keys to change, for weights of another size. A folder brings its own.

        Returns
        -------
        ImageBindModel
            In evaluation mode, on the CPU. Parameters whose dtype is the file's are mapped from it: do not write
            over the file in place while the model is in use.

        Raises
        ------
        MissingFileError
            If a file does not exist.
        WeightsError
            If a file is damaged or would have to run code, if a modality is not in it, or if entries are missing,
            unknown, of another shape or not finite; the message names the first of them.
        InputError
            If a modality, config key or dtype is unknown.
        """
        if dtype not in _DTYPES:
            raise InputError(f"dtype is {dtype}; expected one of {', '.join(map(str, _DTYPES))}.")
        entries, held = read_checkpoint(source, modalities)
        settings = HUGE | _folder_settings(source) | changes | {"modalities": held}
        with torch.device("meta"):
            model = cls._built(settings)
        check_layout(entries, model.state_dict())
        check_finite((key, value) for key, value in entries.items() if key != _MASK)
        for key, value in entries.items():
            entries[key] = value.to(torch.float32 if key.endswith("log_logit_scale") else dtype)
        if dtype == torch.float16:  # its largest number is 65504
            check_finite((key, value) for key, value in entries.items() if key != _MASK)
        model.load_state_dict(entries, assign=True)
        return model.eval()

    def save_parts(self, folder: str | PathLike[str]) -> dict[str, Part]:
        """Write each modality to a safetensors file of its own.

        Parameters
        ----------
        folder : path
            Made where it is absent; ``audio.safetensors`` and so on, an index, and ``config.json`` are written
            to it. `from_checkpoint` reads a part of such a folder, `from_pretrained` the whole.

        Returns
        -------
        dict of str to Part
            Modality to its file.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.save_config(folder)
        return write_parts(self.state_dict(), folder)

    @property
    def joint_dim(self) -> int:
        """Dimension of the joint space.

        Returns
        -------
        int
            1024 for huge, 128 for mini.
        """
        return int(self.config.joint_dim)

    def token_width(self, tokens: TokenKind = "clips") -> int:
        """Channels of the soundscape tokens of one kind.

        Parameters
        ----------
        tokens : {"pooled", "clips", "patches"}
            Kind of tokens, see `SoundscapeEmbeds`.

        Returns
        -------
        int
            `joint_dim`, or the audio trunk's width for ``patches``.

        Raises
        ------
        InputError
            If the kind is unknown.
        """
        _check_kind(tokens)
        return int(self.config.audio_width) if tokens == "patches" else self.joint_dim

    # ------------------------------------------------------------------------ from what a user has

    @torch.no_grad()
    def encode_soundscapes(
        self, soundscapes: Sequence[Any], tokens: TokenKind = "clips", *, batch_size: int = 16
    ) -> SoundscapeEmbeds:
        """Embed recordings.

        Parameters
        ----------
        soundscapes : sequence of path or array of shape (n,)
            Audio files, or mono sound at 16 kHz in -1 to 1, at least 0.25 s each; lengths may differ. What is
            heard of a file with several channels is the model's `audio_channel`.
        tokens : {"pooled", "clips", "patches"}
            Kind of tokens, see `SoundscapeEmbeds`.
        batch_size : int
            Recordings in memory at once; changes nothing but rounding.

        Returns
        -------
        SoundscapeEmbeds
            Tokens and summary of the B recordings, in their order. No gradient: train on `encode_fbanks`.

        Raises
        ------
        AudioError
            If a recording cannot be used.
        InputError
            If the model holds no audio, or `soundscapes` is no sequence of recordings.
        """
        self._require("audio")
        _check_kind(tokens)
        if getattr(soundscapes, "ndim", None) == 1:
            raise InputError("One waveform came where soundscapes were expected: give a list of them.")
        sounds = sequence_of(soundscapes, "soundscapes")
        size = {"mel_bins": self.config.audio_mel_bins, "frames": self.config.audio_frames}
        channel = self.config.audio_channel
        parts = []
        for start in range(0, len(sounds), batch_size):
            banks = [_fbanks(sound, channel, **size) for sound in sounds[start : start + batch_size]]
            parts.append(self.encode_fbanks(torch.stack(banks), tokens))
        return SoundscapeEmbeds(*(torch.cat(part) for part in zip(*parts, strict=True)))

    @torch.no_grad()
    def encode_scenes(self, prompts: Sequence[str], *, batch_size: int = 64) -> torch.Tensor:
        """Embed scene prompts.

        Parameters
        ----------
        prompts : sequence of str
            For example ``["a pedestrian plaza with trees"]``. Words beyond the longest prompt are cut off.
        batch_size : int
            Prompts in memory at once; changes nothing but rounding.

        Returns
        -------
        torch.Tensor of shape (B, joint_dim)
            Joint vectors times the learned text scale. No gradient: train on `encode_tokens`.

        Raises
        ------
        InputError
            If the model holds no text, or `prompts` is no sequence of strings.
        """
        self._require("text")
        ids = tokenize(prompts, self.config.text_length)
        return torch.cat([self.encode_tokens(part) for part in ids.split(batch_size)])

    @torch.no_grad()
    def encode_pictures(self, pictures: Sequence[Any], *, batch_size: int = 32) -> torch.Tensor:
        """Embed pictures.

        Parameters
        ----------
        pictures : sequence of PIL.Image.Image or array of shape (H, W, 3)
            Pictures of any size, or sRGB pixels as uint8.
        batch_size : int
            Pictures in memory at once; changes nothing but rounding.

        Returns
        -------
        torch.Tensor of shape (B, joint_dim)
            Joint vectors of length 1. No gradient: train on `encode_pixels`.

        Raises
        ------
        PictureError
            If a picture cannot be used.
        InputError
            If the model holds no vision, or `pictures` is no sequence of pictures.
        """
        self._require("vision")
        if getattr(pictures, "ndim", None) in {2, 3}:
            raise InputError("One picture came where pictures were expected: give a list of them.")
        images = sequence_of(pictures, "pictures")
        parts = []
        for start in range(0, len(images), batch_size):
            pixels = [
                pixels_of(image, self.config.vision_size) for image in images[start : start + batch_size]
            ]
            parts.append(self.encode_pixels(torch.stack(pixels)))
        return torch.cat(parts)

    # ------------------------------------------------------------------- from what the model is fed

    def encode_fbanks(self, fbanks: torch.Tensor, tokens: TokenKind = "clips") -> SoundscapeEmbeds:
        """Embed filter banks of clips; gradients flow.

        Parameters
        ----------
        fbanks : torch.Tensor of shape (B, S, 1, mel_bins, frames)
            Normalised filter banks of S clips of each recording, see `fbanks_of`.
        tokens : {"pooled", "clips", "patches"}
            Kind of tokens, see `SoundscapeEmbeds`.

        Returns
        -------
        SoundscapeEmbeds
            Tokens and summary.

        Raises
        ------
        InputError
            If the model holds no audio, the kind is unknown, or the shape is another.
        """
        self._require("audio")
        _check_kind(tokens)
        shape = ("B", "S", 1, self.config.audio_mel_bins, self.config.audio_frames)
        _check_shape("fbanks", fbanks, shape)
        batch, clips = fbanks.shape[:2]
        x = fbanks.flatten(0, 1).to(self.device, self.dtype)  # (B·S, 1, mel, frames)
        x = self.modality_preprocessors["audio"](x)  # (B·S, N, W)
        x = self.modality_trunks["audio"](x)  # (B·S, N, W)
        if tokens == "patches":
            x = self.modality_heads["audio"][0](x)  # (B·S, N, W)
            first = x[:, 0]  # (B·S, W)
        else:
            first = self.modality_heads["audio"][0](x[:, 0])  # (B·S, W)
        joint = self.modality_heads["audio"][2](first)  # (B·S, d)
        joint = self.modality_postprocessors["audio"](joint).unflatten(0, (batch, clips))  # (B, S, d)
        summary = joint.mean(dim=1)  # (B, d), after scaling
        kinds: dict[str, Callable[[], torch.Tensor]] = {
            "pooled": lambda: summary[:, None],  # (B, 1, d)
            "clips": lambda: joint,  # (B, S, d)
            "patches": lambda: x.unflatten(0, (batch, clips)).flatten(1, 2),  # (B, S·N, W)
        }
        return SoundscapeEmbeds(tokens=kinds[tokens](), summary=summary)

    def encode_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed token ids of prompts; gradients flow.

        Parameters
        ----------
        ids : torch.Tensor of shape (B, n)
            Token ids, see `tokenize`; n at most the longest prompt.

        Returns
        -------
        torch.Tensor of shape (B, joint_dim)
            Joint vectors times the learned text scale.

        Raises
        ------
        InputError
            If the model holds no text, or the ids have another shape or type.

        Notes
        -----
        A prompt is read off at its end mark, the largest id, and no token sees those after it. So all that
        lies beyond the last end mark of the batch is cut off first, which changes nothing but the time.
        """
        self._require("text")
        if ids.ndim != 2 or ids.shape[1] > self.config.text_length or ids.is_floating_point():
            raise InputError(
                f"ids has shape {tuple(ids.shape)} and dtype {str(ids.dtype).removeprefix('torch.')}; "
                f"expected integers of shape (B, n) with n at most {self.config.text_length}."
            )
        ids = ids.to(self.device)
        ends = ids.argmax(dim=-1)  # (B,)
        x = self.modality_preprocessors["text"](ids[:, : int(ends.max()) + 1])  # (B, n, W)
        x = self.modality_trunks["text"](x)  # (B, n, W)
        x = x[torch.arange(len(x), device=x.device), ends]  # (B, W)
        joint: torch.Tensor = self.modality_postprocessors["text"](self.modality_heads["text"].proj(x))
        return joint

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed normalised pixels; gradients flow.

        Parameters
        ----------
        pixels : torch.Tensor of shape (B, 3, size, size)
            Normalised pixels, see `pixels_of`.

        Returns
        -------
        torch.Tensor of shape (B, joint_dim)
            Joint vectors of length 1.

        Raises
        ------
        InputError
            If the model holds no vision, or the shape is another.
        """
        self._require("vision")
        _check_shape("pixels", pixels, ("B", 3, self.config.vision_size, self.config.vision_size))
        x = self.modality_preprocessors["vision"](pixels.to(self.device, self.dtype))  # (B, N, W)
        x = self.modality_trunks["vision"](x)  # (B, N, W)
        x = self.modality_heads["vision"](x[:, 0])  # (B, d)
        joint: torch.Tensor = self.modality_postprocessors["vision"](x)
        return joint

    def forward(
        self,
        fbanks: torch.Tensor | None = None,
        ids: torch.Tensor | None = None,
        pixels: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Embed what is given, as training needs it.

        Parameters
        ----------
        fbanks, ids, pixels : torch.Tensor, optional
            See `encode_fbanks`, `encode_tokens`, `encode_pixels`.

        Returns
        -------
        dict of str to torch.Tensor of shape (B, joint_dim)
            ``audio`` (the summary), ``text``, ``vision``, of those given.
        """
        joint = {}
        if fbanks is not None:
            joint["audio"] = self.encode_fbanks(fbanks, "pooled").summary
        if ids is not None:
            joint["text"] = self.encode_tokens(ids)
        if pixels is not None:
            joint["vision"] = self.encode_pixels(pixels)
        return joint

    def _require(self, modality: Modality) -> None:
        """Refuse a modality that this model does not hold."""
        if modality not in self.modality_trunks:
            raise InputError(
                f"This ImageBind model holds {', '.join(self.config.modalities)}, not {modality}. "
                f"Load one whose `modalities` include {modality!r}."
            )


def _head(width: int, joint_dim: int) -> nn.Sequential:
    """LayerNorm, (the first token,) linear map: published names 0 and 2."""
    return nn.Sequential(
        nn.LayerNorm(width, eps=1e-6), nn.Identity(), nn.Linear(width, joint_dim, bias=False)
    )


# --------------------------------------------------------------------------------------------------- checks


def _check_heads(**trunks: tuple[int, int]) -> None:
    for name, (width, heads) in trunks.items():
        if width % heads:
            raise InputError(f"{name}_width {width} cannot be shared out among {heads} {name}_heads.")


def _check_kind(tokens: str) -> None:
    if tokens not in get_args(TokenKind):
        raise InputError(f"Token kind {tokens!r} is none of {', '.join(get_args(TokenKind))}.")


def _check_shape(name: str, given: torch.Tensor, expected: tuple[int | str, ...]) -> None:
    fits = given.ndim == len(expected) and all(
        isinstance(want, str) or have == want for have, want in zip(given.shape, expected, strict=True)
    )
    if not fits:
        raise InputError(
            f"{name} has shape {tuple(given.shape)}; expected ({', '.join(map(str, expected))})."
        )


def _fbanks(sound: Any, channel: Channel, **size: int) -> torch.Tensor:
    """Filter banks of a path, or of a waveform."""
    if isinstance(sound, str) or hasattr(sound, "__fspath__"):
        return fbanks_of_file(sound, channel=channel, **size)
    return fbanks_of(sound, **size)


def _folder_settings(source: Any) -> dict[str, Any]:
    """Config keys that a folder of weights brings; none where the source is a file."""
    if not isinstance(source, (str, PathLike)) or not (Path(source) / "config.json").is_file():
        return {}
    try:
        saved = json.loads((Path(source) / "config.json").read_text(encoding="utf-8"))
        return {key: value for key, value in saved.items() if not key.startswith("_")}
    except (ValueError, AttributeError) as error:
        raise WeightsError(
            f"{source}/config.json is no settings in JSON ({error}). Make the folder anew."
        ) from error


# ---------------------------------------------------------------------------------------------------- sizes

HUGE: dict[str, Any] = {}
"""The published layout: the defaults of `ImageBindModel`."""

MINI: dict[str, Any] = {
    "joint_dim": 128,
    "audio_stride": 16,
    "audio_width": 128,
    "audio_blocks": 4,
    "audio_heads": 4,
    "text_width": 96,
    "text_blocks": 3,
    "text_heads": 4,
    "text_zero_embedding": True,
    "vision_size": 128,
    "vision_patch": 16,
    "vision_width": 128,
    "vision_blocks": 4,
    "vision_heads": 4,
}
"""The embedded preset's layout: cheap enough to train on two cores."""
