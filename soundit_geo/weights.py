"""Weights: where they lie, and how they are read without running anybody's code.

First version: the presets that are packed with the library, and safe reading of files that the user has.
"""

from __future__ import annotations

import pickle
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundit_geo.errors import MissingFileError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_FEW = 3  # keys that an error names


def presets() -> dict[str, Path]:
    """Weights that are packed with the library.

    Returns
    -------
    dict of str to pathlib.Path
        Preset name to its folder, sorted by name.
    """
    folder = Path(str(files("soundit_geo"))) / "presets"
    if not folder.is_dir():
        return {}
    return {
        path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] not in "._"
    }


def preset_path(name: str) -> Path:
    """Folder of a preset.

    Parameters
    ----------
    name : str
        For example ``"synthetic-city"``.

    Returns
    -------
    pathlib.Path
        An existing folder.

    Raises
    ------
    WeightsError
        If there is no preset of this name; the message lists those that there are.
    """
    known = presets()
    if name not in known:
        raise WeightsError(f"There are no weights named {name!r}. Known: {', '.join(known) or 'none'}.")
    return known[name]


def weights_folder(name_or_path: str | Path) -> Path:
    """Folder of weights, by preset name or as a path.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        Name of a preset, or an existing folder. A preset's name wins over a folder of that name in the
        working directory; write ``./name`` for the folder.

    Returns
    -------
    pathlib.Path
        An existing folder.

    Raises
    ------
    WeightsError
        If it is neither; the message lists the presets.
    """
    known = presets()
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if Path(name_or_path).is_dir():
        return Path(name_or_path)
    raise WeightsError(
        f"{str(name_or_path)!r} is neither a preset nor a folder. Presets: {', '.join(known) or 'none'}."
    )


def load_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a checkpoint file safely.

    Parameters
    ----------
    path : str or pathlib.Path
        A ``.safetensors`` file, or a PyTorch checkpoint, which is read with ``weights_only=True``: whatever
        would run code on loading is refused. A dictionary under the key ``state_dict`` is unwrapped.

    Returns
    -------
    dict of str to torch.Tensor
        Parameter name to values, on the CPU.

    Raises
    ------
    MissingFileError
        If the file does not exist.
    WeightsError
        If the file is damaged, holds something else than tensors, or would have to run code.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"There is no checkpoint at {path}. Check the path.")
    loaded = _load_safetensors(path) if path.suffix == ".safetensors" else _load_checkpoint(path)
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    return _only_tensors(loaded, path)


def check_layout(state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check that a checkpoint fits a network, key by key and shape by shape.

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor
        What was read.
    expected : mapping of str to torch.Tensor
        ``network.state_dict()``, or anything whose values have a ``shape``.

    Raises
    ------
    WeightsError
        If keys are missing, left over, or of another shape; the message names the first of each.
    """
    missing = [key for key in expected if key not in state_dict]
    extra = [key for key in state_dict if key not in expected]
    reshaped = [
        f"{key} is {tuple(state_dict[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in expected
        if key in state_dict and tuple(state_dict[key].shape) != tuple(expected[key].shape)
    ]
    complaints = [
        f"{len(keys)} {what}: {', '.join(keys[:_FEW])}{' …' if len(keys) > _FEW else ''}"
        for what, keys in (("missing", missing), ("unknown", extra), ("of another shape", reshaped))
        if keys
    ]
    if complaints:
        raise WeightsError(
            f"The checkpoint does not fit the network: {'; '.join(complaints)}. Is it another model's file?"
        )


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is no intact safetensors file ({error}). Fetch or export it again."
        ) from error


def _load_checkpoint(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors: reading it could run code, so it is refused. In a "
            "sandbox, load it with the program that wrote it, save `model.state_dict()` with "
            "safetensors.torch.save_file, and give that .safetensors file."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is no intact PyTorch checkpoint ({error}). Fetch it again.") from error


def _only_tensors(loaded: Any, path: Path) -> dict[str, Tensor]:
    import torch

    if not isinstance(loaded, dict):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}; expected a dictionary of tensors.")
    wrong = [key for key, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise WeightsError(
            f"{path} holds {type(loaded[wrong[0]]).__name__} under {wrong[0]!r}; expected tensors only. Save "
            "the state dict by itself and give that file."
        )
    return dict(loaded)
