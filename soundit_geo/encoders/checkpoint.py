"""ImageBind's checkpoint: which of its tensors belong to which modality, in one file or in several.

The published file holds six modalities in one flat state dict: 1311 entries, 4.8 GB. Every name says its
modality, as ``modality_trunks.audio.blocks.0.norm_1.weight`` does, so a part can be read or stored by itself.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.weights import load_state_dict

if TYPE_CHECKING:
    from os import PathLike

    import torch

Modality = Literal["audio", "text", "vision"]
OTHERS = ("depth", "thermal", "imu")  # published, and of no use here

INDEX = "diffusion_pytorch_model.safetensors.index.json"  # where diffusers looks for weights in several files
LICENCE = "CC BY-NC-SA 4.0"
"""Of ImageBind's published weights: not for commercial use; what is made from them is shared alike."""

_OF_MODALITY = re.compile(r"modality_(?:preprocessors|trunks|heads|postprocessors)\.(\w+)\.")


class Part(NamedTuple):
    """One modality in a file of its own.

    Parameters
    ----------
    path : pathlib.Path
        The safetensors file.
    numbers : int
        How many numbers it holds.
    size : int
        Bytes on the disk.
    """

    path: Path
    numbers: int
    size: int


def modality_of(key: str) -> str | None:
    """Tell the modality of a name in the state dict.

    Parameters
    ----------
    key : str
        For example ``modality_heads.audio.2.weight``.

    Returns
    -------
    str or None
        ``audio``, ``text``, ``vision``, ``depth``, ``thermal`` or ``imu``; None if it is no name of ImageBind's.
    """
    found = _OF_MODALITY.match(key)
    return found[1] if found and found[1] in (*get_args(Modality), *OTHERS) else None


def check_modalities(modalities: Sequence[str]) -> None:
    """Refuse modalities that the model does not have.

    Parameters
    ----------
    modalities : sequence of str
        What the caller gave.

    Raises
    ------
    InputError
        If one is unknown or comes twice, if there is none, or if a bare string came.
    """
    known = get_args(Modality)
    fits = not isinstance(modalities, str) and set(modalities) <= set(known)
    if not fits or not modalities or len(set(modalities)) < len(modalities):
        raise InputError(
            f"modalities is {modalities!r}; expected one or more of {', '.join(known)}, as a list, each once."
        )


def select(
    state_dict: Mapping[str, torch.Tensor], modalities: Sequence[str] | None = None
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Take the modalities in use from a state dict.

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor
        With published names.
    modalities : sequence of str, optional
        Of ``audio``, ``text``, ``vision``; by default those that are there.

    Returns
    -------
    dict of str to torch.Tensor
        The entries of these modalities, and those whose names are none of ImageBind's: they are not dropped
        here, so that a check of the layout finds them.
    list of str
        The modalities taken.

    Raises
    ------
    WeightsError
        If a modality is not there, or none is.
    """
    there = {modality_of(key) for key in state_dict}
    held = [modality for modality in get_args(Modality) if modality in there]
    wanted = list(modalities or held)
    absent = [modality for modality in wanted if modality not in there]
    if absent or not wanted:
        raise WeightsError(
            f"The checkpoint holds no {' and no '.join(absent) or 'modality of ImageBind'}. Of those in use it "
            f"holds: {', '.join(held) or 'none'}. Ask for these, or give the file that has the others."
        )
    return {key: value for key, value in state_dict.items() if modality_of(key) in {*wanted, None}}, wanted


def read_checkpoint(
    source: str | PathLike[str] | Sequence[str | PathLike[str]], modalities: Sequence[str] | None = None
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Read modalities of ImageBind from one file, several, or a folder with one file each.

    Parameters
    ----------
    source : path or sequence of path
        A ``.safetensors`` file or a PyTorch checkpoint; several, which together hold what is wanted; or a folder
        with ``audio.safetensors`` and so on, see `write_parts`.
    modalities : sequence of str, optional
        Of ``audio``, ``text``, ``vision``; by default those that are there.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU, mapped from the files: what is not used stays on the disk, and writing to a tensor leaves the
        file as it was.
    list of str
        The modalities taken.

    Raises
    ------
    MissingFileError
        If a file does not exist.
    WeightsError
        If a file cannot be read safely, two files hold the same entry, or a modality is not there.
    """
    if modalities is not None:
        check_modalities(modalities)
    together: dict[str, torch.Tensor] = {}
    for path in _files(source, modalities):
        read = _read_mapped(path)
        twice = sorted(together.keys() & read.keys())
        if twice:
            raise WeightsError(
                f"{path} holds {len(twice)} entries that another file holds, {twice[0]} first. "
                "Give each part once."
            )
        together |= read
    return select(together, modalities)


def write_parts(state_dict: Mapping[str, torch.Tensor], folder: str | PathLike[str]) -> dict[str, Part]:
    """Write one safetensors file per modality, and the index by which diffusers finds them.

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor
        With published names and no others.
    folder : path
        Made where it is absent. Each file appears in one rename, the index last.

    Returns
    -------
    dict of str to Part
        Modality to what was written.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {}
    for modality in select(state_dict)[1]:
        tensors = {
            key: value.detach().contiguous()
            for key, value in state_dict.items()
            if modality_of(key) == modality
        }
        path = _part_path(folder, modality)
        draft = path.with_name(f".{path.name}")
        save_file(tensors, draft, metadata={"format": "pt", "licence of the published weights": LICENCE})
        draft.replace(path)
        parts[modality] = Part(path, sum(value.numel() for value in tensors.values()), path.stat().st_size)
    index = {
        "metadata": {"total_size": sum(value.nbytes for value in state_dict.values())},
        "weight_map": {key: parts[str(modality_of(key))].path.name for key in state_dict},
    }
    draft = folder / f".{INDEX}"
    draft.write_text(json.dumps(index, indent=2) + "\n")
    draft.replace(folder / INDEX)
    return parts


def _part_path(folder: Path, modality: str) -> Path:
    return folder / f"{modality}.safetensors"


def _files(
    source: str | PathLike[str] | Sequence[str | PathLike[str]], modalities: Sequence[str] | None
) -> list[Path]:
    """Files to read; of a folder only those of the modalities wanted."""
    if not isinstance(source, str) and isinstance(source, Sequence):
        return [Path(path) for path in source]
    path = Path(source)
    if not path.is_dir():
        return [path]
    parts = [_part_path(path, modality) for modality in modalities or get_args(Modality)]
    found = [part for part in parts if part.is_file()]
    if not found or (modalities and len(found) < len(parts)):
        absent = next(part for part in parts if not part.is_file())
        raise MissingFileError(
            f"The folder {path} has no {absent.name}. Expected a folder made by "
            "`soundit-geo weights split-imagebind`; if `save_pretrained` made it, use `from_pretrained`."
        )
    return found


def _read_mapped(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict without copying it from the disk, where its format allows that."""
    from torch.utils.serialization import config

    mapped = config.patch("load.mmap", zipfile.is_zipfile(path))  # type: ignore[attr-defined]
    with mapped:  # safetensors are mapped in any case
        return load_state_dict(path)
