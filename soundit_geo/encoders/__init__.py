"""Sound, scene prompts and pictures into one space.

=================  ==========================================================================
imagebind.py       `ImageBindModel`: one class, sizes ``huge`` (published layout) and ``mini``
layers.py          what the model is made of, under the published names
clip.py            `CLIPEncoder`: pictures by CLIP ViT-B/32, sounds by Wav2CLIP
wav2clip.py        `Wav2CLIP`: the sounds' half, in the published layout
loading.py         `load_encoder`: the one that a name stands for
checkpoint.py      the published weights: read per modality, from one file or several
preprocessing.py   what the model is fed: filter banks of clips, pixels of pictures
tokenizer.py       what the model is fed: CLIP's byte-pair tokens of scene prompts
=================  ==========================================================================

Importing this package imports no torch; its names do when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundit_geo.encoders.clip import CLIPEncoder
    from soundit_geo.encoders.imagebind import ImageBindModel, SoundscapeEmbeds
    from soundit_geo.encoders.loading import load_encoder
    from soundit_geo.encoders.preprocessing import (
        clip_spans,
        fbanks_of,
        fbanks_of_channels,
        fbanks_of_file,
        pixels_of,
    )
    from soundit_geo.encoders.tokenizer import tokenize
    from soundit_geo.encoders.wav2clip import Wav2CLIP

__all__ = [
    "CLIPEncoder",
    "ImageBindModel",
    "SoundscapeEmbeds",
    "Wav2CLIP",
    "clip_spans",
    "fbanks_of",
    "fbanks_of_channels",
    "fbanks_of_file",
    "load_encoder",
    "pixels_of",
    "tokenize",
]

_HOMES = {
    "CLIPEncoder": "clip",
    "ImageBindModel": "imagebind",
    "SoundscapeEmbeds": "imagebind",
    "Wav2CLIP": "wav2clip",
    "clip_spans": "preprocessing",
    "fbanks_of": "preprocessing",
    "fbanks_of_channels": "preprocessing",
    "fbanks_of_file": "preprocessing",
    "load_encoder": "loading",
    "pixels_of": "preprocessing",
    "tokenize": "tokenizer",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
