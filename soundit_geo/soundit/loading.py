"""Where a pipeline is loaded from: a preset, a folder or the hub; and what diffusers must know to load it.

No file of a model's folder is ever executed: diffusers takes our classes from the installed library.
"""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import diffusers
import torch
from diffusers.pipelines.pipeline_loading_utils import ALL_IMPORTABLE_CLASSES, LOADABLE_CLASSES
from safetensors import SafetensorError, safe_open

from soundit_geo.errors import MissingFileError, WeightsError
from soundit_geo.strict import StrictModelMixin
from soundit_geo.weights import is_hub_id, preset_path, presets, refuse_disagreement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from os import PathLike

COMPONENT_HOMES = (
    "soundit_geo.soundit.transformer",
    "soundit_geo.soundit.autoencoder",
    "soundit_geo.encoders.imagebind",
)
"""Modules from which diffusers may take components; it imports none that a file names and its table does not."""

_SHARD = r"(-\d{5}-of-\d{5})?\.safetensors"


def register(pipeline: type) -> None:
    """Make a pipeline and its components known to ``diffusers.DiffusionPipeline.from_pretrained``.

    Parameters
    ----------
    pipeline : type
        The pipeline's class.
    """
    methods = {name: ["save_pretrained", "from_pretrained"] for name in ("ModelMixin", "StrictModelMixin")}
    ALL_IMPORTABLE_CLASSES.update(methods)
    for home in COMPONENT_HOMES:
        LOADABLE_CLASSES[home] = methods
    setattr(diffusers, pipeline.__name__, pipeline)


def find_folder(name: str | PathLike[str]) -> Path | None:
    """Folder of a pipeline.

    Parameters
    ----------
    name : str or path
        Name of an embedded preset, a folder, or a hub id ``owner/name``.

    Returns
    -------
    pathlib.Path or None
        None for a hub id.

    Raises
    ------
    MissingFileError
        If it is none of these.
    """
    if str(name) in presets():
        return preset_path(str(name))
    if Path(name).is_dir():
        return Path(name)
    if is_hub_id(name):
        return None
    raise MissingFileError(
        f"Model {str(name)!r} is neither an embedded preset ({', '.join(presets())}), nor a folder, nor a hub id "
        "of the form owner/name."
    )


def check_folder(
    folder: Path, pipeline: type, index: Mapping[str, object], variant: str | None, passed: Collection[str]
) -> None:
    """Check what diffusers would pass over: another pipeline's folder, pickles, foreign or absent parameters.

    Our own components check themselves as they load (`soundit_geo.strict`); diffusers' are checked here, by the
    names and shapes that their files announce.

    Parameters
    ----------
    folder : pathlib.Path
        Of the pipeline.
    pipeline : type
        The pipeline's class.
    index : mapping
        What ``model_index.json`` says.
    variant : str or None
        Such as ``"fp16"``; a component without it is loaded from its plain files.
    passed : collection of str
        Components that the caller has loaded already.

    Raises
    ------
    WeightsError
        If the folder does not fit.
    """
    unknown = [key for key in index if key[0] != "_" and key not in inspect.signature(pipeline).parameters]
    if unknown:
        raise WeightsError(
            f"model_index.json in {folder} names {', '.join(unknown)}, which {pipeline.__name__} lacks."
        )
    if index.get("_class_name") != pipeline.__name__:
        raise WeightsError(f"{folder} holds a {index.get('_class_name')}; expected a {pipeline.__name__}.")
    components = {
        name: value
        for name, value in index.items()
        if isinstance(value, list | tuple) and name not in passed and value[0] is not None
    }
    some_variant = variant is None
    for name, (library, class_name) in components.items():
        model = getattr(import_module(library), class_name, None) if library in LOADABLE_CLASSES else None
        if model is None:
            raise WeightsError(
                f"{folder} takes its {name} from {library}.{class_name}, which is no class of diffusers or of this "
                "library, and is not imported on a file's word."
            )
        if not issubclass(model, torch.nn.Module):
            continue
        files = _weight_files(folder / name, variant)
        some_variant |= variant is not None and any(f".{variant}" in file.name for file in files)
        if not issubclass(model, StrictModelMixin):
            _check_layout(model, folder / name, files)
    if not some_variant:
        raise WeightsError(f"No component in {folder} has a variant {variant!r}. Load it without variant.")


def check_model(folder: Path) -> None:
    """Check a folder of one of diffusers' own models, which by itself would load it in part.

    Parameters
    ----------
    folder : pathlib.Path
        Made by ``save_pretrained``. One of a class that diffusers lacks is left to that class.

    Raises
    ------
    WeightsError
        If the folder has no safetensors, or parameters are missing, unknown or of another shape.
    """
    settings = folder / "config.json"
    try:
        name = json.loads(settings.read_text())["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{settings} is no configuration of a diffusers model ({error!r}).") from error
    model = getattr(diffusers, str(name), None)
    if isinstance(model, type) and issubclass(model, diffusers.ModelMixin):
        _check_layout(model, folder, _weight_files(folder, None))


def _weight_files(folder: Path, variant: str | None) -> list[Path]:
    """The safetensors files of a component: of the variant, else the plain ones, by diffusers' index or by name."""
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    names = [re.compile(rf"diffusion_pytorch_model{_SHARD}")]
    if variant is not None:
        names.insert(0, re.compile(rf"diffusion_pytorch_model\.{re.escape(variant)}{_SHARD}"))
    for name in names:
        files = sorted(file for file in folder.glob("*.safetensors") if name.fullmatch(file.name))
        if files:
            return files
    if index.is_file():
        return _indexed_files(index)
    pickled = [file.name for file in folder.glob("*") if file.suffix in {".bin", ".pt", ".pth", ".ckpt"}]
    raise WeightsError(
        f"{folder} has no weights as safetensors"
        + (
            f"; {pickled[0]} could hold code and is not read. Save it with safe_serialization=True."
            if pickled
            else "."
        )
    )


def _indexed_files(index: Path) -> list[Path]:
    """The files that an index names, which must lie beside it."""
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{index} is no index of weights ({error!r}). Fetch or export it again."
        ) from error
    files = [index.parent / Path(name).name for name in names]
    absent = [file.name for file in files if file.suffix != ".safetensors" or not file.is_file()]
    if absent or not files:
        raise WeightsError(
            f"{index} names {', '.join(absent) or 'no files'}, expected safetensors files beside it."
        )
    return files


def _check_layout(model: type, folder: Path, files: list[Path]) -> None:
    """Compare a model's parameters with those that its files announce."""
    with torch.device("meta"):
        known = inspect.signature(model).parameters
        settings = model.load_config(folder)  # type: ignore[attr-defined]
        network = model(**{key: value for key, value in settings.items() if key in known})
    expected = network.state_dict()
    came = dict(announced for file in files for announced in _announced(file))
    network._fix_state_dict_keys_on_load(came)  # noqa: SLF001 - old names, as Stable Diffusion's first VAE has them
    refuse_disagreement(
        missing=[key for key in expected if key not in came],
        unknown=[key for key in came if key not in expected],
        reshaped=[
            f"{key} is {came[key]}, expected {tuple(value.shape)}"
            for key, value in expected.items()
            if key in came and came[key] != tuple(value.shape)
        ],
        source=f"{model.__name__} in {folder}",
    )


def _announced(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes in a safetensors file, without its values."""
    try:
        with safe_open(file, framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118 - no mapping
                yield key, tuple(opened.get_slice(key).get_shape())
    except SafetensorError as error:
        raise WeightsError(
            f"{file} is no intact safetensors file ({error}). Fetch or export it again."
        ) from error
