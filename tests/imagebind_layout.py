"""The published ImageBind-Huge checkpoint as a table: every name and shape, of all six modalities."""

from __future__ import annotations

import torch

USED, OTHERS = ("audio", "text", "vision"), ("depth", "thermal", "imu")
ENTRIES, PARAMETERS = 1311, 1_200_781_057
PARAMETERS_OF = {
    "audio": 86_235_648,
    "text": 354_032_641,
    "vision": 632_829_440,
    "depth": 21_871_872,
    "thermal": 86_211_072,
    "imu": 19_600_384,
}
BUFFERS = {  # in the state dict, and no parameters
    "modality_preprocessors.text.mask",
    *(f"modality_postprocessors.{part}.1.log_logit_scale" for part in ("audio", *OTHERS)),
}


def trunk(part: str, width: int, blocks: int, *, bias_kv: bool) -> dict[str, tuple[int, ...]]:
    shapes = {
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "attn.out_proj.bias": (width,),
        "norm_1.weight": (width,),
        "norm_1.bias": (width,),
        "norm_2.weight": (width,),
        "norm_2.bias": (width,),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width),
        "mlp.fc2.bias": (width,),
    }
    if bias_kv:
        shapes |= {"attn.bias_k": (1, 1, width), "attn.bias_v": (1, 1, width)}
    return {
        f"modality_trunks.{part}.blocks.{n}.{key}": shape
        for n in range(blocks)
        for key, shape in shapes.items()
    }


def stem(part: str, name: str, width: int) -> dict[str, tuple[int, ...]]:
    """A stem with a LayerNorm; the convolution's weight differs from modality to modality."""
    enter = f"modality_preprocessors.{part}"
    return {
        f"{enter}.cls_token": (1, 1, width),
        f"{enter}.{name}.norm_layer.weight": (width,),
        f"{enter}.{name}.norm_layer.bias": (width,),
    }


def head(part: str, width: int, place: int = 2) -> dict[str, tuple[int, ...]]:
    return {
        f"modality_heads.{part}.0.weight": (width,),
        f"modality_heads.{part}.0.bias": (width,),
        f"modality_heads.{part}.{place}.weight": (1024, width),
    }


def scale(part: str) -> dict[str, tuple[int, ...]]:
    return {f"modality_postprocessors.{part}.1.log_logit_scale": ()}


PUBLISHED: dict[str, dict[str, tuple[int, ...]]] = {
    "audio": {
        **stem("audio", "rgbt_stem", 768),
        "modality_preprocessors.audio.rgbt_stem.proj.weight": (768, 1, 16, 16),
        "modality_preprocessors.audio.pos_embedding_helper.pos_embed": (1, 229, 768),
        **trunk("audio", 768, 12, bias_kv=True),
        **head("audio", 768),
        **scale("audio"),
    },
    "text": {
        "modality_preprocessors.text.token_embedding.weight": (49408, 1024),
        "modality_preprocessors.text.pos_embed": (1, 77, 1024),
        "modality_preprocessors.text.mask": (77, 77),
        **trunk("text", 1024, 24, bias_kv=False),
        "modality_heads.text.proj.0.weight": (1024,),
        "modality_heads.text.proj.0.bias": (1024,),
        "modality_heads.text.proj.1.weight": (1024, 1024),
        **scale("text"),
    },
    "vision": {
        "modality_preprocessors.vision.cls_token": (1, 1, 1280),
        "modality_preprocessors.vision.rgbt_stem.proj.1.weight": (1280, 3, 2, 14, 14),
        "modality_preprocessors.vision.pos_embedding_helper.pos_embed": (1, 257, 1280),
        "modality_trunks.vision.pre_transformer_layer.0.weight": (1280,),
        "modality_trunks.vision.pre_transformer_layer.0.bias": (1280,),
        **trunk("vision", 1280, 32, bias_kv=False),
        **head("vision", 1280),
    },
    "depth": {
        **stem("depth", "depth_stem", 384),
        "modality_preprocessors.depth.depth_stem.proj.weight": (384, 1, 16, 16),
        "modality_preprocessors.depth.pos_embedding_helper.pos_embed": (1, 197, 384),
        **trunk("depth", 384, 12, bias_kv=True),
        **head("depth", 384),
        **scale("depth"),
    },
    "thermal": {
        **stem("thermal", "rgbt_stem", 768),
        "modality_preprocessors.thermal.rgbt_stem.proj.weight": (768, 1, 16, 16),
        "modality_preprocessors.thermal.pos_embedding_helper.pos_embed": (1, 197, 768),
        **trunk("thermal", 768, 12, bias_kv=True),
        **head("thermal", 768),
        **scale("thermal"),
    },
    "imu": {
        **stem("imu", "imu_stem", 512),
        "modality_preprocessors.imu.imu_stem.proj.weight": (512, 48),
        "modality_preprocessors.imu.pos_embed": (1, 251, 512),
        **trunk("imu", 512, 6, bias_kv=True),
        **head("imu", 512, place=3),
        **scale("imu"),
    },
}


def published() -> dict[str, torch.Tensor]:
    """The published state dict without its values, on the meta device."""
    return {
        key: torch.empty(shape, device="meta")
        for shapes in PUBLISHED.values()
        for key, shape in shapes.items()
    }
