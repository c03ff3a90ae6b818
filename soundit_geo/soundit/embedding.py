"""Soundscapes and scene prompts to embeddings, with a mark where one is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict, Unpack, runtime_checkable

import torch
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor

from soundit_geo.errors import InputError
from soundit_geo.soundit.inputs import (
    as_scenes,
    as_soundscapes,
    check_embedding,
    check_missing,
    common_length,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

TOKEN_KINDS = ("pooled", "clips", "patches")
"""Kinds of soundscape tokens; see `soundit_geo.encoders.SoundscapeEmbeds`."""


@apply_forward_hook
def awake(module: Any) -> Any:
    """A module, moved onto the accelerator where the pipeline offloads models: for calls other than ``forward``.

    Parameters
    ----------
    module : torch.nn.Module
        A component.

    Returns
    -------
    torch.nn.Module
        The same.
    """
    return module


@runtime_checkable
class Soundscapes(Protocol):
    """Embedded recordings: tokens (B, L, d_s) and summary (B, d_s)."""

    @property
    def tokens(self) -> Tensor:
        """(B, L, d_s)."""

    @property
    def summary(self) -> Tensor:
        """(B, d_s)."""


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


class EmbeddedSoundscapes(NamedTuple):
    """Embedded recordings, zero where there is none.

    Parameters
    ----------
    tokens : torch.Tensor
        (B, L, d_s).
    summary : torch.Tensor
        (B, d_s).
    """

    tokens: Tensor
    summary: Tensor


@dataclass(frozen=True)
class Embedded:
    """The embedded conditions of one call.

    Parameters
    ----------
    soundscapes : EmbeddedSoundscapes
        Tokens (B, L, d_s) and summary (B, d_s).
    scenes : torch.Tensor
        (B, d_c).
    no_soundscape, no_scene : torch.Tensor
        (B,) bool, true where there is none.
    """

    soundscapes: EmbeddedSoundscapes
    scenes: Tensor
    no_soundscape: Tensor
    no_scene: Tensor

    def __len__(self) -> int:
        """How many."""
        return len(self.scenes)

    def repeat(self, times: int) -> Embedded:
        """Each condition several times, one after the other.

        Parameters
        ----------
        times : int
            How often.

        Returns
        -------
        Embedded
            Of B · times conditions.
        """
        tokens, summary, scenes, *masks = (
            value.repeat_interleave(times, dim=0)
            for value in (*self.soundscapes, self.scenes, self.no_soundscape, self.no_scene)
        )
        return Embedded(EmbeddedSoundscapes(tokens, summary), scenes, *masks)


class Prompts(TypedDict, total=False):
    """What a call is conditioned on, raw or embedded; see `SounDiTPipeline.__call__`."""

    soundscapes: Sequence[Any] | str | PathLike[str] | None
    scenes: Sequence[str | None] | str | None
    soundscape_embeds: Soundscapes | None
    scene_embeds: Tensor | None
    soundscape_missing: Tensor | Sequence[bool] | None
    scene_missing: Tensor | Sequence[bool] | None


def embed(
    encoder: Any, kind: str, widths: Mapping[str, Any], device: torch.device, **given: Unpack[Prompts]
) -> Embedded:
    """Embed what is raw, check what came embedded, and mark what is missing.

    Parameters
    ----------
    encoder : Encoder or None
        Needed where something is raw.
    kind : {"pooled", "clips", "patches"}
        Kind of soundscape tokens.
    widths : mapping
        ``token_dim``, ``summary_dim`` and ``scene_dim``, as in the transformer's configuration.
    device : torch.device
        Where the embeddings are needed.
    **given
        As in `SounDiTPipeline.__call__`.

    Returns
    -------
    Embedded
        In float32.

    Raises
    ------
    InputError
        If nothing was given, too much was, or lengths, shapes or types disagree.
    AudioError
        If a recording cannot be used.
    """
    _refuse_doubles(given)
    ready, vectors = given.get("soundscape_embeds"), given.get("scene_embeds")
    sounds = as_soundscapes(given.get("soundscapes"))
    known = sounds if ready is None else ready.summary
    scenes = as_scenes(given.get("scenes"), None if known is None else len(known))
    count = common_length(
        soundscapes=sounds,
        soundscape_embeds=None if ready is None else ready.summary,
        scenes=scenes,
        scene_embeds=vectors,
    )
    no_sound = check_missing("soundscape_missing", given.get("soundscape_missing"), count)
    no_scene = check_missing("scene_missing", given.get("scene_missing"), count)
    if ready is None:
        ready, no_sound = _hear(encoder, kind, sounds or [None] * count, widths)
    if vectors is None:
        vectors, no_scene = _read(encoder, scenes or [None] * count, widths)
    tokens = check_embedding("soundscape tokens", ready.tokens, (count, "L", widths["token_dim"]))
    summary = check_embedding("soundscape summary", ready.summary, (count, widths["summary_dim"]))
    vectors = check_embedding("scene embeddings", vectors, (count, widths["scene_dim"]))
    tokens, summary, vectors = (value.to(device, torch.float32) for value in (tokens, summary, vectors))
    return Embedded(EmbeddedSoundscapes(tokens, summary), vectors, no_sound.to(device), no_scene.to(device))


def _refuse_doubles(given: Prompts) -> None:
    """Refuse what came twice, and what is no embedding."""
    values: dict[str, Any] = dict(given)
    for name in ("soundscape", "scene"):
        raw, ready, mask = (values.get(f"{name}{end}") for end in ("s", "_embeds", "_missing"))
        if raw is not None and ready is not None:
            raise InputError(f"Both {name}s and their embeddings came; give one of them.")
        if mask is not None and ready is None:
            raise InputError(f"{name}_missing goes with {name}_embeds; in {name}s, None stands for nothing.")
    sounds, scenes = values.get("soundscape_embeds"), values.get("scene_embeds")
    if sounds is not None and not isinstance(sounds, Soundscapes):
        raise InputError(
            f"soundscape_embeds is a {type(sounds).__name__}; expected tokens (B, L, d_s) and summary (B, d_s), as "
            "pipeline.encode(soundscapes)['soundscape_embeds'] or encoder.encode_soundscapes give them."
        )
    for name, value in (
        ("soundscape tokens", getattr(sounds, "tokens", None)),
        ("soundscape summary", getattr(sounds, "summary", None)),
        ("scene embeddings", scenes),
    ):
        if value is not None and not (isinstance(value, Tensor) and value.ndim):
            raise InputError(
                f"{name} are a {type(value).__name__}; expected a tensor with a row per picture."
            )


def _hear(
    encoder: Any, kind: str, soundscapes: Sequence[Any], widths: Mapping[str, Any]
) -> tuple[EmbeddedSoundscapes, Tensor]:
    """Soundscape tokens and summary, and where there is none."""
    missing = torch.tensor([value is None for value in soundscapes])
    present = [value for value in soundscapes if value is not None]
    if not present:
        tokens = torch.zeros(len(soundscapes), 1, widths["token_dim"])
        return EmbeddedSoundscapes(tokens, torch.zeros(len(soundscapes), widths["summary_dim"])), missing
    heard = _awakened(encoder).encode_soundscapes(present, kind)
    return EmbeddedSoundscapes(_spread(heard.tokens, missing), _spread(heard.summary, missing)), missing


def _read(encoder: Any, scenes: Sequence[str | None], widths: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Scene embeddings, each distinct prompt read once, and where there is none."""
    missing = torch.tensor([value is None for value in scenes])
    present = [value for value in scenes if value is not None]
    if not present:
        return torch.zeros(len(scenes), widths["scene_dim"]), missing
    distinct = list(dict.fromkeys(present))
    known = _awakened(encoder).encode_scenes(distinct)
    return _spread(known[[distinct.index(value) for value in present]], missing), missing


def _awakened(encoder: Any) -> Any:
    if encoder is None:
        raise InputError("This pipeline has no encoder: give soundscape_embeds and scene_embeds.")
    return awake(encoder)


def _spread(values: Tensor, missing: Tensor) -> Tensor:
    """Rows of `values` where nothing is missing, zeros elsewhere."""
    spread = values.new_zeros(len(missing), *values.shape[1:])
    spread[~missing.to(values.device)] = values
    return spread
