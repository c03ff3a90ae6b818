"""Which scene a recording sounds like: prompts for sites that have none, heard from the sound itself.

Sound and words lie in one space (`soundit_geo.encoders`), so that any list of scenes can be compared with a recording
without training for it (zero-shot), as ImageBind's authors do.

Source: Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", CVPR 2023 (arXiv 2305.05665).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.errors import AudioError, InputError, MissingFileError
from soundit_geo.recordings import read_sites

if TYPE_CHECKING:
    import os

    import geopandas as gpd
    import pandas as pd
    from torch import Tensor

    Scenes = Sequence[str] | Mapping[str, Sequence[str]]

log = logging.getLogger(__name__)

LOGIT_SCALE: Final = 20.0
"""What cosines are multiplied by before the softmax: ImageBind's scale of sound, fixed in its training."""


def infer_scenes(
    sites: gpd.GeoDataFrame | str | os.PathLike[str],
    scenes: Scenes,
    model: Any = "synthetic-city",
    *,
    device: str | None = None,
    progress: bool = False,
) -> gpd.GeoDataFrame:
    """Give each site the scene that its recording sounds most like.

    The columns make a scenario: ``Study(infer_scenes(sites, scenes), scenarios={"inferred": "@inferred"})``.

    Parameters
    ----------
    sites, scenes, model, device, progress
        As `scene_probabilities` takes them. The names of the scenes become prompts: choose names that the generator
        understands, such as "a pedestrian plaza".

    Returns
    -------
    geopandas.GeoDataFrame
        The sites with the columns ``inferred``, the name of the most probable scene (None where the recording cannot
        be used), and ``inferred_probability``, 0 to 1 **among the scenes that were listed**: a place of none of them
        gets one all the same.

    Raises
    ------
    InputError, SitesError, MissingFileError, WeightsError
        As `scene_probabilities` does.
    """
    sites = read_sites(sites, absent="keep")
    table = scene_probabilities(sites, scenes, model, device=device, progress=progress)
    heard = table.notna().all(axis=1)
    best = table[heard].idxmax(axis=1).reindex(table.index).astype(object)
    return sites.assign(inferred=best.where(heard, None), inferred_probability=table.max(axis=1))


def scene_probabilities(
    sites: gpd.GeoDataFrame | str | os.PathLike[str],
    scenes: Scenes,
    model: Any = "synthetic-city",
    *,
    device: str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Tell how probable each scene of a list is, by the sound of each site.

    ``p = softmax_k(20 cos(s, t_k))``, s the recording's embedding and t_k the scene's.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame or path
        As `read_sites` gives or takes them.
    scenes : sequence of str, or mapping of str to sequence of str
        Names of scenes, which are compared by their own words; or each name with prompts that stand for it, compared
        by the mean of their directions.
    model : str, path or encoder
        Preset name, pipeline folder or hub id, of which the encoder alone is loaded; a folder of an encoder;
        ``"imagebind-huge"``, the published weights in the cache; a checkpoint in their layout (``.pth`` or
        ``.safetensors``), of which sound and text are read; or an encoder with ``encode_soundscapes`` and
        ``encode_scenes``.
    device : str, optional
        Where to compute; CUDA if there is any, else the CPU. An encoder stays where it is.
    progress : bool
        Show a bar.

    Returns
    -------
    pandas.DataFrame
        Index ``site``, a column for each scene, rows that sum to 1; NaN where a recording cannot be used, which is
        logged.

    Raises
    ------
    InputError
        If there are fewer than two scenes, or one has no words.
    SitesError, CRSError
        As `read_sites` does.
    MissingFileError
        If there is no such model, or published weights are not in the cache; the message has the command that
        brings them.
    WeightsError
        If it is damaged, or no model of sound and text.
    """
    import pandas as pd
    import torch
    from torch.nn.functional import normalize
    from tqdm import tqdm

    from soundit_geo.encoders import load_encoder

    references = _references(scenes)
    sites = read_sites(sites, absent="keep")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    encoder = model if hasattr(model, "encode_scenes") else load_encoder(model, ["audio", "text"], device)
    with torch.inference_mode():
        words = torch.stack([_direction(encoder, prompts) for prompts in references.values()])  # (scenes, d)
        rows = []
        for site, path in tqdm(sites["audio"].items(), total=len(sites), desc="scenes", disable=not progress):
            try:
                if not Path(path).exists():
                    raise MissingFileError(f"{path} does not exist.")  # noqa: TRY301
                sound = encoder.encode_soundscapes([path], "pooled").summary.float()  # (1, d)
                cosines = normalize(sound, dim=-1) @ words.T  # (1, scenes)
                rows.append((LOGIT_SCALE * cosines).softmax(dim=-1)[0].cpu().numpy())
            except (AudioError, MissingFileError) as error:
                log.warning("Site %s has no inferred scene: %s", site, error)
                rows.append(np.full(len(references), np.nan, np.float32))
    return pd.DataFrame(rows, index=sites.index, columns=[*references])


def read_scenes(path: str | os.PathLike[str]) -> Scenes:
    """Read names of scenes from a file.

    Parameters
    ----------
    path : path
        ``.yaml`` or ``.yml``: a list of names, or a mapping of each name to prompts that stand for it. Any other file
        is text with a name in each line; empty lines and lines that begin with ``#`` are passed over.

    Returns
    -------
    list of str, or dict of str to (str or list of str)
        As `scene_probabilities` takes them, which checks them.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it cannot be read, or is neither a list nor a mapping.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"There is no file {path}. Expected names of scenes, one a line, or YAML.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in (".yaml", ".yml"):
            found = yaml.safe_load(text)
        else:
            lines = [line.strip() for line in text.splitlines()]
            found = [line for line in lines if line and not line.startswith("#")]
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(found, list | dict):
        raise InputError(f"{path} holds {type(found).__name__}; expected a list of scenes or a mapping.")
    return found


def _references(scenes: Scenes) -> dict[str, list[str]]:
    """Each scene's name and the prompts that stand for it."""
    if isinstance(scenes, str) or not isinstance(scenes, Sequence | Mapping):
        raise InputError(f"scenes is {scenes!r}; expected a list of names, such as ['a park', 'a street'].")
    if isinstance(scenes, Mapping):
        found = {
            name: [prompts] if isinstance(prompts, str) else list(prompts) for name, prompts in scenes.items()
        }
    else:
        found = {name: [name] for name in scenes}
    if len(found) < 2:
        raise InputError(f"There is {len(found)} scene to choose from; expected two or more different ones.")
    for name, prompts in found.items():
        if not prompts or not all(isinstance(text, str) and text.strip() for text in [name, *prompts]):
            raise InputError(f"The scene {name!r} has the prompts {prompts!r}; expected text.")
    return found


def _direction(encoder: Any, prompts: list[str]) -> Tensor:
    """(d,) mean direction of prompts, of length 1."""
    from torch.nn.functional import normalize

    vectors: Tensor = encoder.encode_scenes(prompts).float()
    return normalize(normalize(vectors, dim=-1).mean(dim=0), dim=0)
