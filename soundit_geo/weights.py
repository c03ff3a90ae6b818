"""Weights: where they lie, and how they are read without running anybody's code.

Presets that are packed with the library, safe reading of files that the user has, and what a checkpoint must
hold to be taken: the right names, the right shapes, finite numbers.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundit_geo.errors import MissingFileError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from torch import Tensor

NESTED = ("ema", "model", "state_dict")
"""Where training checkpoints keep the weights; what comes first is taken: averaged weights before raw ones."""

STAND_IN_WORLD = "synthetic city"
"""What weights say that they were trained on, if they are a stand-in: the procedural city."""

_CARD = "**stand-in**"  # what the card of such weights, README.md, calls them
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FEW = 3  # keys that an error names
_PREFIXES = ("module.", "_orig_mod.", "module.")  # distributed training and torch.compile, in either order


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


def is_hub_id(name: str | PathLike[str]) -> bool:
    """Whether a name is one of a model on the hub.

    Parameters
    ----------
    name : str or path
        Of something that is not on the disk.

    Returns
    -------
    bool
        True for ``owner/name``, unless there is a folder ``owner`` here: then it is the path of something that is
        absent from it, and no network should be asked for it.
    """
    owner = str(name).partition("/")[0]
    return _HUB_ID.fullmatch(str(name)) is not None and not Path(owner).is_dir()


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


def is_stand_in(name_or_path: str | Path) -> bool:
    """Tell whether a model is a stand-in, that is trained on the procedural city alone.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        Name of a preset, or a folder.

    Returns
    -------
    bool
        True for every preset, and for a folder that says so of itself, in the ``world`` of its ``model_index.json``
        or in its card (``README.md``); a folder of one part of a pipeline goes by the pipeline's. False where
        nothing is said: then it is for whoever trained the model to tell.
    """
    known = presets()
    if str(name_or_path) in known:
        return True
    folder = Path(name_or_path)
    whole = folder.resolve().parent
    folders = [folder, *([whole] if (whole / "model_index.json").is_file() else [])]
    return any(_CARD in _text(one / "README.md") or _world(one) == STAND_IN_WORLD for one in folders)


def evidence_of_model(name_or_path: str | Path) -> str:
    """Say whether a model is a stand-in, in the words that results carry.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        As `is_stand_in` takes it.

    Returns
    -------
    str
        ``"stand-in model: synthetic city"`` or ``"trained model"``.
    """
    return f"stand-in model: {STAND_IN_WORLD}" if is_stand_in(name_or_path) else "trained model"


def load_state_dict(path: str | Path, *, nested: Sequence[str] = NESTED) -> dict[str, Tensor]:
    """Read a checkpoint as named tensors, never running code from the file.

    Parameters
    ----------
    path : str or path
        ``.safetensors`` is read as such; everything else as a PyTorch checkpoint of plain tensors, beside which
        there may be numbers, strings and an ``argparse.Namespace`` of settings.
    nested : sequence of str, optional
        The first of these keys that holds a dictionary is taken for the state dict. Averaged weights go before
        raw ones: DiT's training checkpoints have both.

    Returns
    -------
    dict of str to torch.Tensor
        Parameter name to values, on the CPU. ``module.`` and ``_orig_mod.`` are dropped where all names begin
        with them.

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
    if isinstance(loaded, dict):
        loaded = next((loaded[key] for key in nested if isinstance(loaded.get(key), dict)), loaded)
    state_dict = _only_tensors(loaded, path)
    for prefix in _PREFIXES:
        if state_dict and all(key.startswith(prefix) for key in state_dict):
            state_dict = {key.removeprefix(prefix): value for key, value in state_dict.items()}
    return state_dict


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a checkpoint holds; its numbers stay on the disk where the format allows that.

    Parameters
    ----------
    path : str or path
        As `load_state_dict` takes it.

    Returns
    -------
    dict of str to tuple of int
        Parameter name to shape, with names as `load_state_dict` gives them.

    Raises
    ------
    MissingFileError, WeightsError
        As `load_state_dict` raises them.
    """
    from torch.utils.serialization import config

    with config.patch("load.mmap", zipfile.is_zipfile(path)):  # type: ignore[attr-defined]
        return {key: tuple(value.shape) for key, value in load_state_dict(path).items()}


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
    refuse_disagreement(
        missing=[key for key in expected if key not in state_dict],
        unknown=[key for key in state_dict if key not in expected],
        reshaped=[
            f"{key} is {tuple(state_dict[key].shape)}, expected {tuple(expected[key].shape)}"
            for key in expected
            if key in state_dict and tuple(state_dict[key].shape) != tuple(expected[key].shape)
        ],
    )


def refuse_disagreement(
    *, missing: Sequence[str], unknown: Sequence[str], reshaped: Sequence[str], source: str = "The checkpoint"
) -> None:
    """Raise if a checkpoint and a network disagree, naming the first keys of each kind.

    Parameters
    ----------
    missing, unknown : sequence of str
        Keys that only the network has, that only the checkpoint has.
    reshaped : sequence of str
        What to say about keys of another shape.
    source : str, optional
        What the message calls the checkpoint.

    Raises
    ------
    WeightsError
        If any of the three is not empty.
    """
    complaints = [
        f"{len(keys)} {what}: {', '.join(keys[:_FEW])}{' …' if len(keys) > _FEW else ''}"
        for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", reshaped))
        if keys
    ]
    if complaints:
        raise WeightsError(
            f"{source} does not fit the network: {'; '.join(complaints)}. Is it another model's file, or cut short?"
        )


def check_finite(named: Iterable[tuple[str, Tensor]]) -> None:
    """Check that weights are finite floating-point numbers.

    Parameters
    ----------
    named : iterable of (str, torch.Tensor)
        Such as ``state_dict.items()`` or ``network.named_parameters()``.

    Raises
    ------
    WeightsError
        If some are NaN, infinite, or no dense floating-point numbers; the message names the first.
    """
    import torch

    wrong = []
    for name, value in named:
        if value.layout != torch.strided or not value.is_floating_point():
            wrong.append(f"{name} ({value.dtype}, {value.layout})")
        elif value.numel() and not value.is_meta:
            wide = value.detach() if value.itemsize > 1 else value.detach().float()
            if not torch.stack(wide.aminmax()).isfinite().all():  # NaN comes through; no copy is made
                wrong.append(name)
    if wrong:
        raise WeightsError(
            f"{len(wrong)} weights are no finite floating-point numbers: {', '.join(wrong[:_FEW])}"
            f"{' …' if len(wrong) > _FEW else ''}. Did the training diverge, or is the file damaged?"
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _world(folder: Path) -> object:
    try:
        said = json.loads(_text(folder / "model_index.json") or "{}")
    except ValueError:
        return None
    return said.get("world") if isinstance(said, dict) else None


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
        with torch.serialization.safe_globals([argparse.Namespace]):  # DiT keeps its settings in one
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        what = f"asks for {asked[1]}, and so" if asked else "is damaged, or"
        raise WeightsError(
            f"{path} {what} holds more than tensors: reading it could run code, so it is refused. In a "
            "sandbox, load it with the program that wrote it, save `model.state_dict()` with "
            "safetensors.torch.save_file, and give that .safetensors file."
        ) from error
    except Exception as error:  # whatever a damaged file makes torch raise, assertions among it
        raise WeightsError(f"{path} is no intact PyTorch checkpoint ({error!r}). Fetch it again.") from error


def _only_tensors(loaded: Any, path: Path) -> dict[str, Tensor]:
    import torch

    if not isinstance(loaded, dict):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}; expected a dictionary of tensors.")
    wrong = [
        key for key, value in loaded.items() if not (isinstance(key, str) and isinstance(value, torch.Tensor))
    ]
    if wrong:
        raise WeightsError(
            f"{path} holds {type(loaded[wrong[0]]).__name__} under {wrong[0]!r}; expected named tensors only. Save "
            "the state dict by itself and give that file."
        )
    return dict(loaded)
