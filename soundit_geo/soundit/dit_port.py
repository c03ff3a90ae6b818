"""diffusers' port of DiT: its names, settings and folders, told in DiT's own.

The port splits queries, keys and values, keeps one copy of the embedders in each block, and computes with another
epsilon and other frequencies than the code that DiT was trained with.

Source: ``DiTTransformer2DModel`` of diffusers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import torch

from soundit_geo.errors import MissingFileError, WeightsError
from soundit_geo.weights import load_state_dict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

_BLOCK = {
    "attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "attn.proj": ("attn1.to_out.0",),
    "mlp.fc1": ("ff.net.0.proj",),
    "mlp.fc2": ("ff.net.2",),
    "adaLN_modulation.1": ("norm1.linear",),
}
_REST = {
    "pos_embed": "pos_embed.pos_embed",
    "x_embedder.proj": "pos_embed.proj",
    "t_embedder.mlp.0": "transformer_blocks.0.norm1.emb.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "transformer_blocks.0.norm1.emb.timestep_embedder.linear_2",
    "y_embedder.embedding_table": "transformer_blocks.0.norm1.emb.class_embedder.embedding_table",
    "final_layer.adaLN_modulation.1": "proj_out_1",
    "final_layer.linear": "proj_out_2",
}
_SIZES = {
    "num_layers": "depth",
    "num_attention_heads": "heads",
    "in_channels": "in_channels",
    "patch_size": "patch_size",
    "sample_size": "sample_size",
}
_FIXED = {
    "norm_type": "ada_norm_zero",
    "activation_fn": "gelu-approximate",
    "attention_bias": True,
    "norm_elementwise_affine": False,
}  # with which the port is a DiT


def is_port(names: Iterable[str]) -> bool:
    """Whether these are the port's names, rather than DiT's own.

    Parameters
    ----------
    names : iterable of str
        Keys of a state dict.

    Returns
    -------
    bool
        True if some name is that of the port's blocks.
    """
    return any(name.startswith("transformer_blocks.") for name in names)


def port_names(key: str) -> list[str]:
    """The port's names for one of DiT's.

    Parameters
    ----------
    key : str
        Such as ``"blocks.3.attn.qkv.weight"``.

    Returns
    -------
    list of str
        Three for queries, keys and values, which DiT stacks; else one. Of the embedders the first block's copy.
    """
    if key in _REST:
        return [_REST[key]]
    module, _, kind = key.rpartition(".")
    if module in _REST:
        return [f"{_REST[module]}.{kind}"]
    _, number, part = module.split(".", 2)
    return [f"transformer_blocks.{number}.{name}.{kind}" for name in _BLOCK[part]]


def port_layout(layout: Mapping[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Names and shapes that the port has where DiT has others.

    Parameters
    ----------
    layout : mapping of str to torch.Tensor
        DiT's names and shapes.
    depth : int
        Number of blocks.

    Returns
    -------
    dict of str to torch.Tensor
        The port's, with the copies that its blocks keep.
    """
    ported: dict[str, Tensor] = {}
    for key, value in layout.items():
        names = port_names(key)
        ported |= dict(zip(names, value.chunk(len(names)), strict=True))
    embedders = {name: value for name, value in ported.items() if ".norm1.emb." in name}
    for number in range(1, depth):
        ported |= {name.replace("blocks.0.", f"blocks.{number}."): value for name, value in embedders.items()}
    return ported


def rename_port(weights: Mapping[str, Tensor], layout: Iterable[str]) -> dict[str, Tensor]:
    """The port's weights under DiT's names.

    Parameters
    ----------
    weights : mapping of str to torch.Tensor
        Complete, in the port's layout.
    layout : iterable of str
        DiT's names.

    Returns
    -------
    dict of str to torch.Tensor
        The same weights, the embedders once.

    Raises
    ------
    WeightsError
        If the blocks' copies of the embedders differ: then it is no DiT.
    """
    embedders = [name for name in weights if ".norm1.emb." in name]
    for name in embedders:
        value, first = weights[name], weights[re.sub(r"blocks\.\d+\.", "blocks.0.", name)]
        if not torch.allclose(value.float(), first.float(), rtol=1e-5, atol=1e-6):
            raise WeightsError(
                f"{name} differs from block 0's by up to {(value.float() - first.float()).abs().max():.2g}. A DiT has "
                "one embedding of timestep and class for all blocks; this model was trained apart from it."
            )
    return {key: torch.cat([weights[name] for name in port_names(key)]) for key in layout}


def port_sizes(settings: Mapping[str, Any]) -> dict[str, int]:
    """Sizes that the port's settings tell, as settings of SounDiT.

    Parameters
    ----------
    settings : mapping
        The port's ``config.json``; may be empty.

    Returns
    -------
    dict of str to int
        As far as they are told.

    Raises
    ------
    WeightsError
        If these are the settings of another network than DiT.
    """
    wrong = [
        f"{key} is {settings[key]!r}, expected {expected!r}"
        for key, expected in _FIXED.items()
        if settings.get(key, expected) != expected
    ]
    if wrong:
        raise WeightsError(f"The settings are not those of a DiT: {'; '.join(wrong)}.")
    told = {ours: settings[key] for key, ours in _SIZES.items() if key in settings}
    if {"attention_head_dim", "num_attention_heads"} <= {*settings}:
        told["width"] = settings["num_attention_heads"] * settings["attention_head_dim"]
    return told


def port_arithmetic(settings: Mapping[str, Any]) -> dict[str, float]:
    """Where the port computes otherwise than DiT's own code, as settings of SounDiT.

    Parameters
    ----------
    settings : mapping
        The port's ``config.json``; may be empty.

    Returns
    -------
    dict of str to float
        ``norm_eps``, which is 1e-6 in DiT's code, and ``frequency_shift``, which is 0 there.
    """
    return {"norm_eps": settings.get("norm_eps", 1e-5), "frequency_shift": 1.0}


def read_port(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a folder that diffusers wrote.

    Parameters
    ----------
    folder : pathlib.Path
        With ``config.json`` and the weights in one file or in several, safetensors before PyTorch's format; or a
        pipeline's folder, of which the subfolder ``transformer`` is read.

    Returns
    -------
    weights : dict of str to torch.Tensor
        In the port's layout.
    settings : dict
        The port's.

    Raises
    ------
    MissingFileError
        If settings or weights are missing.
    WeightsError
        If one of the files is damaged.
    """
    if (folder / "model_index.json").is_file():
        folder /= "transformer"
    config = folder / "config.json"
    if not config.is_file():
        raise MissingFileError(f"There is no {config}: {folder} is no model's folder in diffusers' layout.")
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{config} is no JSON ({error}). Fetch it again.") from error
    if not isinstance(settings, dict):
        raise WeightsError(f"{config} holds a {type(settings).__name__}; expected settings by name.")
    stem = "diffusion_pytorch_model"
    for pattern in (f"{stem}.safetensors", f"{stem}-*.safetensors", f"{stem}.bin"):
        if files := sorted(folder.glob(pattern)):
            return {key: value for file in files for key, value in load_state_dict(file).items()}, settings
    raise MissingFileError(f"{folder} has no {stem}.safetensors. Is the download complete?")
