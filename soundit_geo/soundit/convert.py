"""DiT's weights into SounDiT, from the original checkpoint or from diffusers' port of it.

A SounDiT made here predicts what DiT predicts for its null class, until training opens the gates of the new parts:

- the null class's vector is added to the timestep's embedding, where DiT adds it at every step;
- of the last map the rows of the learned variance are dropped, since SounDiT predicts none;
- all else has DiT's names and shapes already, and the new parts start as nothing.

Source: DiT (Peebles and Xie, ICCV 2023). Nothing is fetched, and no code from a file runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from soundit_geo.errors import InputError, WeightsError
from soundit_geo.soundit.dit_port import (
    is_port,
    port_arithmetic,
    port_layout,
    port_names,
    port_sizes,
    read_port,
    rename_port,
)
from soundit_geo.soundit.transformer import SIZES, SounDiTTransformer2DModel
from soundit_geo.strict import refuse_unknown_settings
from soundit_geo.weights import check_finite, check_layout, load_state_dict

if TYPE_CHECKING:
    from torch import Tensor

POSITION_TOLERANCE = 1e-4
"""How far a checkpoint's positions may lie from ours; in half precision as far as it rounds."""

_DIT_PARAMETER = re.compile(
    r"(x_embedder\.proj|t_embedder\.mlp\.[02]|final_layer\.(linear|adaLN_modulation\.1)"
    r"|blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc[12]|adaLN_modulation\.1))\.(weight|bias)"
)


@dataclass(frozen=True)
class _Sizes:
    """What the shapes of a DiT's weights say."""

    depth: int
    width: int
    channels: int
    patch: int
    outputs: int  # p² C, or p² 2 C with a learned variance
    labels: int  # classes, the null class last
    grid: int | None  # patches along an edge; None without positions


def is_dit_parameter(name: str) -> bool:
    """Whether a parameter of SounDiT comes from DiT, rather than being new.

    Parameters
    ----------
    name : str
        As in ``transformer.named_parameters()``.

    Returns
    -------
    bool
        True for embedders, self-attention, feed-forward, modulation and head.
    """
    return _DIT_PARAMETER.fullmatch(name) is not None


def from_dit(
    source: str | Path | Mapping[str, Tensor] | nn.Module, size: str | None = None, **config: Any
) -> SounDiTTransformer2DModel:
    """Lay DiT's weights into a fresh SounDiT.

    Parameters
    ----------
    source : str, path, mapping of str to torch.Tensor, or torch.nn.Module
        A checkpoint in DiT's own layout (PyTorch's format, averaged weights under ``"ema"`` before raw ones, or
        safetensors); a folder in diffusers' layout, a model's or a pipeline's; a state dict in either layout; or a
        model, such as ``diffusers.DiTTransformer2DModel``.
    size : str, optional
        The name in `SIZES` that it must have.
    **config
        Settings of `SounDiTTransformer2DModel`. Sizes are read off the weights, and one given here must agree.
        ``heads`` is needed where depth and width are none of `SIZES`, ``sample_size`` where a state dict has no
        positions. Weights in diffusers' layout get diffusers' ``norm_eps`` and ``frequency_shift``, as diffusers
        would run them; give 1e-6 and 0 where they come from DiT's own checkpoint.

    Returns
    -------
    SounDiTTransformer2DModel
        In float32, on the CPU.

    Raises
    ------
    InputError
        If the size or a setting is unknown, or one setting does not go with another.
    MissingFileError
        If the file or folder does not exist.
    WeightsError
        If the checkpoint is damaged, would run code, is no DiT, is of other sizes than given, or is not finite. The
        message names the first keys that disagree.
    """
    refuse_unknown_settings(SounDiTTransformer2DModel, config)
    if size is not None:
        if size not in SIZES:
            raise InputError(f"Size {size!r} is unknown; there are {', '.join(SIZES)}.")
        config = {**SIZES[size], "patch_size": 2, **config}
    weights, port_settings = _read(source)
    port = is_port(weights)
    sizes = _sizes(weights, port=port)
    layout = _layout(sizes)
    check_layout(weights, port_layout(layout, sizes.depth) if port else layout)
    check_finite(weights.items())
    settings = _settings(sizes, port_sizes(port_settings), config)
    if port:
        weights = rename_port(weights, layout)
        settings = {**port_arithmetic(port_settings), **settings}

    model = SounDiTTransformer2DModel(**settings)
    if "pos_embed" in weights:
        _check_positions(weights.pop("pos_embed"), model.pos_embed)
    null = weights.pop("y_embedder.embedding_table.weight")[-1].float()
    weights["t_embedder.mlp.2.bias"] = weights["t_embedder.mlp.2.bias"].float() + null
    for key in ("final_layer.linear.weight", "final_layer.linear.bias"):
        rows = weights[key].unflatten(0, (sizes.patch**2, -1))  # in a patch, C or 2 C channels run fastest
        weights[key] = rows[:, : sizes.channels].flatten(0, 1)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for key, value in weights.items():
            parameters[key].copy_(value)
    return model


def _read(
    source: str | Path | Mapping[str, Tensor] | nn.Module,
) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Weights, and the settings of diffusers' port where it has told some."""
    if isinstance(source, nn.Module):
        weights = dict(source.state_dict())
        positions = getattr(getattr(source, "pos_embed", None), "pos_embed", None)
        if isinstance(positions, torch.Tensor):
            weights["pos_embed.pos_embed"] = positions  # the port does not save its positions
        return weights, getattr(source, "config", {})
    if isinstance(source, Mapping):
        return dict(source), {}
    path = Path(source)
    return read_port(path) if path.is_dir() else (load_state_dict(path), {})


def _sizes(weights: Mapping[str, Tensor], *, port: bool) -> _Sizes:
    """Read the sizes off the shapes."""

    def shape(key: str, dimensions: int) -> tuple[int, ...]:
        name = port_names(key)[0] if port else key
        if name not in weights:
            first = ", ".join(list(weights)[:3]) or "none"
            raise WeightsError(f"The checkpoint is no DiT: {name} is missing. Its first keys: {first}.")
        found = tuple(weights[name].shape)
        if len(found) != dimensions or 0 in found:
            raise WeightsError(
                f"The checkpoint is no DiT: {name} is {found}, expected {dimensions} dimensions."
            )
        return found

    width, channels, patch, _ = shape("x_embedder.proj.weight", 4)
    rows, _ = shape("final_layer.linear.weight", 2)
    labels, _ = shape("y_embedder.embedding_table.weight", 2)
    numbers = [re.match(r"(?:transformer_)?blocks\.(\d{1,4})\.", key) for key in weights]  # no one has 10 000
    depth = 1 + max((int(number[1]) for number in numbers if number), default=-1)
    if depth == 0 or width % 4:
        raise WeightsError(
            f"The checkpoint is no DiT: {depth} blocks of width {width}. Expected some, of a width divisible by 4."
        )
    values = patch**2 * channels
    outputs = 2 * values if rows == 2 * values else values
    positions = weights.get("pos_embed.pos_embed" if port else "pos_embed")
    absent = None if port else 1  # DiT's own checkpoints always have positions
    grid = absent if positions is None else max(1, math.isqrt(positions.numel() // width))
    return _Sizes(depth, width, channels, patch, outputs, labels, grid)


def _layout(sizes: _Sizes) -> dict[str, Tensor]:
    """DiT's names and shapes at these sizes."""
    width = sizes.width
    layers: dict[str, tuple[int, ...]] = {
        "x_embedder.proj": (width, sizes.channels, sizes.patch, sizes.patch),
        "t_embedder.mlp.0": (width, 256),
        "t_embedder.mlp.2": (width, width),
    }
    for number in range(sizes.depth):
        layers |= {
            f"blocks.{number}.attn.qkv": (3 * width, width),
            f"blocks.{number}.attn.proj": (width, width),
            f"blocks.{number}.mlp.fc1": (4 * width, width),
            f"blocks.{number}.mlp.fc2": (width, 4 * width),
            f"blocks.{number}.adaLN_modulation.1": (6 * width, width),
        }
    layers |= {
        "final_layer.adaLN_modulation.1": (2 * width, width),
        "final_layer.linear": (sizes.outputs, width),
    }
    shapes: dict[str, tuple[int, ...]] = {"y_embedder.embedding_table.weight": (sizes.labels, width)}
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    if sizes.grid is not None:
        shapes["pos_embed"] = (1, sizes.grid**2, width)
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


def _settings(sizes: _Sizes, told: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the model: read off the shapes, told by the checkpoint's own settings, asked for by the caller."""
    settings: dict[str, Any] = {
        "depth": sizes.depth,
        "width": sizes.width,
        "in_channels": sizes.channels,
        "patch_size": sizes.patch,
    }
    if sizes.grid is not None:
        settings["sample_size"] = sizes.grid * sizes.patch
    for other, whose in ((told, "its config.json says"), (asked, "asked for")):
        wrong = [
            f"{key} is {settings[key]}, {whose} {other[key]}"
            for key in settings
            if key in other and other[key] != settings[key]
        ]
        if wrong:
            raise WeightsError(f"The checkpoint is a DiT of another size: {'; '.join(wrong)}.")
        settings |= other
    if "heads" not in settings:
        settings["heads"] = _heads(sizes)
    return settings


def _heads(sizes: _Sizes) -> int:
    """Heads leave no trace in the shapes: look the size up."""
    for size in SIZES.values():
        if (size["depth"], size["width"]) == (sizes.depth, sizes.width):
            return size["heads"]
    raise WeightsError(
        f"{sizes.depth} blocks of width {sizes.width} are none of the known sizes ({', '.join(SIZES)}). Is the "
        "checkpoint cut short? If not, say the number of heads."
    )


def _check_positions(came: Tensor, ours: Tensor) -> None:
    """Positions are fixed in both, so that a difference means another kind of DiT."""
    apart = float((came.float() - ours).abs().max())
    if apart > max(POSITION_TOLERANCE, torch.finfo(came.dtype).eps):
        raise WeightsError(
            f"The checkpoint's positions (pos_embed) are not the sines and cosines of DiT: they differ by {apart:.2g}. "
            "Is it another model's file?"
        )
