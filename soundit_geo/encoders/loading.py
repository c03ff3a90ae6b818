"""The encoder that a name stands for: a preset's, a pipeline's, a saved one, or ImageBind's published weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundit_geo import registry
from soundit_geo.encoders.imagebind import ImageBindModel
from soundit_geo.errors import MissingFileError, WeightsError
from soundit_geo.weights import is_hub_id, presets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from soundit_geo.encoders.checkpoint import Modality

IMAGEBIND: Final = "imagebind-huge"
"""Name of the published encoder in the registry."""

_CHECKPOINTS: Final = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")


def load_encoder(
    name_or_path: str | Path, modalities: Sequence[Modality], device: str | torch.device | None = None
) -> ImageBindModel:
    """Load an encoder by its name or from the disk.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        Preset name, pipeline folder or hub id, of which the encoder alone is loaded; a folder of an encoder;
        ``"imagebind-huge"``, the published weights in the cache; or a checkpoint in their layout.
    modalities : sequence of str
        What it must hold, of ``audio``, ``text``, ``vision``; of a checkpoint, or a folder with a file for each, no
        other is read.
    device : str or torch.device, optional
        Where it shall compute; the CPU by default.

    Returns
    -------
    ImageBindModel
        In evaluation mode.

    Raises
    ------
    MissingFileError
        If there is no such model, or published weights are not in the cache; the message has the command that
        brings them.
    WeightsError
        If it is damaged, or lacks a modality.
    """
    name = str(name_or_path)
    path = registry.cached(IMAGEBIND) if name == IMAGEBIND else presets().get(name, Path(name))
    if (path / "encoder").is_dir():
        path /= "encoder"
    parts = (path / f"{modality}.safetensors" for modality in modalities)
    if path.is_file() or path.suffix in _CHECKPOINTS or any(part.is_file() for part in parts):
        encoder = ImageBindModel.from_checkpoint(path, modalities)
    elif path.is_dir():
        encoder = ImageBindModel.from_pretrained(path)
    elif is_hub_id(name):
        encoder = ImageBindModel.from_pretrained(name, subfolder="encoder")
    else:
        raise MissingFileError(
            f"There is no model {name!r}. Known: {', '.join([*presets(), IMAGEBIND])}; or give a pipeline's folder "
            "or hub id, an encoder's folder, or an ImageBind checkpoint."
        )
    held = encoder.config.modalities
    if not set(modalities) <= set(held):
        raise WeightsError(
            f"The encoder {name!r} holds {', '.join(held)} alone. Give one that holds {', '.join(modalities)}."
        )
    return encoder.to(device or "cpu").eval()
