"""The trip: every site × scenario × draw from recording to scores, resumable, in one folder.

::

    OUT/
      study.json   what the study is: sites, scenarios, draws, seed, model, judges, settings
      cube.zarr    the layer cube, filled block by block
      pictures/    one PNG per cell
      map.html     written by `Study.map` or the command line

The folder is consistent at every moment: a picture appears in one rename, a block's scores are written before
its status. A block is a fixed run of sites, so that going on after a kill draws the same batches again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo import (
    __version__,
    accessors,  # noqa: F401 - registers cube.soundit
)
from soundit_geo.classes import PERCEPTIONS
from soundit_geo.cube import DONE, FAILED, new_cube, open_cube, save_cube, write_cells
from soundit_geo.errors import (
    AudioError,
    InputError,
    MissingFileError,
    OutsideWorldWarning,
    SitesError,
    StudyError,
)
from soundit_geo.recordings import read_sites, to_lonlat
from soundit_geo.scenarios import AS_RECORDED, as_scenarios, prompts_for
from soundit_geo.weights import presets

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from PIL import Image
    from torch import Tensor

    from soundit_geo.maps import SiteMap
    from soundit_geo.pss.judges import Judges, Scores
    from soundit_geo.scenarios import Scenarios
    from soundit_geo.soundit.pipeline import SounDiTPipeline

log = logging.getLogger(__name__)

_END = 65_536  # bytes of each end of a file that are hashed


class Study:
    """Landscapes and layers for recordings at coordinates, under one or more scenarios.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame or path
        As `read_sites` gives or takes them.
    out : path
        The study folder. One that holds the same study is gone on with.
    scenarios : mapping of str to (str or None), or sequence of Scenario
        Name to scene prompt, None for the sound alone; in the scenario ``as recorded`` a site's own ``scene``
        is its prompt.
    model : str or path
        Preset name, pipeline folder or hub id.
    judges : str or path, optional
        Judge set; the embedded one by default.
    draws : int
        Landscapes per site and scenario.
    seed : int
        With site and draw it fixes the first noise, the same in every scenario.
    batch_size : int
        Landscapes drawn at a time; changes nothing but speed and rounding.
    steps : int
        Steps of the sampler.
    guidance : float
        Joint guidance scale.
    device : str, optional
        Where to compute; CUDA if there is any, else the CPU.

    Raises
    ------
    InputError
        If a number is out of range.
    ScenarioError, SitesError, CRSError, MissingFileError
        As `read_sites` and `as_scenarios` do.
    """

    def __init__(
        self,
        sites: gpd.GeoDataFrame | str | os.PathLike[str],
        *,
        out: str | os.PathLike[str],
        scenarios: Scenarios | None = None,
        model: str | os.PathLike[str] = "synthetic-city",
        judges: str | os.PathLike[str] | None = None,
        draws: int = 4,
        seed: int = 0,
        batch_size: int = 8,
        steps: int = 20,
        guidance: float = 4.0,
        device: str | None = None,
    ) -> None:
        for name, value in (("draws", draws), ("batch_size", batch_size), ("steps", steps)):
            if value < 1:
                raise InputError(f"{name} is {value}; expected at least 1.")
        if not math.isfinite(guidance):
            raise InputError(f"guidance is {guidance}; expected a finite number, such as 4.0.")
        self.sites = read_sites(sites, absent="keep")
        if self.sites.empty:
            raise SitesError("There are no sites. Expected at least one recording at coordinates.")
        self.scenarios = as_scenarios({AS_RECORDED: None} if scenarios is None else scenarios)
        self.model, self.judges = str(model), str(judges or "synthetic-city")
        self.draws, self.seed, self.batch_size = draws, seed, batch_size
        self.steps, self.guidance, self.device = steps, guidance, device
        self.out = Path(out)

    @property
    def cube_path(self) -> Path:
        """Where the cube lies."""
        return self.out / "cube.zarr"

    def describe(self) -> dict[str, Any]:
        """What makes this study this study; two runs with the same description give the same results.

        Returns
        -------
        dict
            Plain values, as ``study.json`` holds them.
        """
        prompts = prompts_for(self.sites, self.scenarios)
        return {
            "model": self.model,
            "judges": self.judges,
            "seed": self.seed,
            "draws": self.draws,
            "steps": self.steps,
            "guidance": self.guidance,
            "scenarios": [scenario.name for scenario in self.scenarios],
            "sites": [
                {
                    "site": site,
                    "lonlat": [round(point.x, 9), round(point.y, 9)],
                    "audio": _print_of(row["audio"]),
                    "photo": _print_of(row.get("photo")),
                    "prompts": list(prompts.loc[site]),
                }
                for (site, row), point in zip(
                    self.sites.iterrows(), to_lonlat(self.sites).geometry, strict=True
                )
            ],
        }

    def run(self, *, progress: bool = True) -> xr.Dataset:
        """Draw and score whatever is not done yet.

        Parameters
        ----------
        progress : bool, optional
            Show a bar.

        Returns
        -------
        xarray.Dataset
            The cube; cells of sites whose recording cannot be used are marked failed, with a message.

        Raises
        ------
        StudyError
            If the folder holds another study or cannot be written.
        WeightsError, MissingFileError
            If model or judges are not there.

        Warns
        -----
        OutsideWorldWarning
            Once, if pictures lie outside the world of the judges.
        """
        from tqdm import tqdm

        prompts = prompts_for(self.sites, self.scenarios)
        pipeline, judges = self._load()  # before the folder: an unknown model leaves no trace
        self._claim_folder()
        self._lay_down(prompts, judges)
        cube = open_cube(self.cube_path)
        cells = len(self.scenarios) * self.draws
        wide = max(1, math.ceil(self.batch_size / cells))
        names = list(self.sites.index)
        blocks = [names[start : start + wide] for start in range(0, len(names), wide)]
        finished = (cube["status"] == DONE).all(dim=("scenario", "draw")).to_series()
        pending = [block for block in blocks if not finished[block].all()]
        tally = _Tally()
        done = cells * (len(names) - sum(map(len, pending)))
        with tqdm(total=cells * len(names), initial=done, desc="landscapes", disable=not progress) as bar:
            for block in pending:
                cells_of_block = cube.sel(site=block).copy(deep=True)
                self._run_block(cells_of_block, prompts, pipeline, judges, tally)
                bar.update(cells * len(block))
        if tally.foreign or tally.foreign_photos:
            warnings.warn(
                f"{tally.foreign} of {tally.drawn} landscapes and {tally.foreign_photos} of {tally.photos} photos lie "
                f"outside the world of the judges ({', '.join(sorted(set(judges.names.values())))}); their scores "
                "carry no evidence.",
                OutsideWorldWarning,
                stacklevel=2,
            )
        return open_cube(self.cube_path)

    def map(self, base: Mapping[str, gpd.GeoDataFrame] | None = None, **options: Any) -> SiteMap:
        """The study's cube as an interactive map.

        Parameters
        ----------
        base : mapping of str to geopandas.GeoDataFrame, optional
            Layers beneath the sites.
        **options
            As `soundit_geo.maps.site_map` takes them.

        Returns
        -------
        soundit_geo.maps.SiteMap
            Call ``save`` for one HTML file that works offline.
        """
        from soundit_geo.maps import site_map

        return site_map(open_cube(self.cube_path), base=base, folder=self.out, **options)

    # ---------------------------------------------------------------- the folder
    def _claim_folder(self) -> None:
        """Write ``study.json``, or check that the one there is ours."""
        note = self.out / "study.json"
        mine = self.describe()
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if note.exists():
                theirs = json.loads(note.read_text(encoding="utf-8"))
                other = [key for key in mine if theirs.get(key) != mine[key]]
                if other:
                    said = ", ".join(
                        f"{key} ({_brief(theirs.get(key))}, now {_brief(mine[key])})" for key in other
                    )
                    raise StudyError(
                        f"{self.out} holds another study, which differs in {said}. "
                        "Choose another folder, or repeat that study's settings to go on with it."
                    )
            else:
                text = json.dumps({**mine, "created_by": f"soundit-geo {__version__}"}, indent=1)
                _write_whole(note, text.encode())
        except OSError as error:
            raise StudyError(
                f"{self.out} cannot be written: {error}. Choose a folder you may write to."
            ) from error
        except json.JSONDecodeError as error:
            raise StudyError(
                f"{note} is not a study's description: {error}. Choose another folder."
            ) from error

    def _lay_down(self, prompts: pd.DataFrame, judges: Judges) -> None:
        """Write the empty cube, if there is none."""
        if self.cube_path.exists():
            return
        worlds = set(judges.worlds.values())
        stand_in = self.model in presets() or "synthetic city" in worlds
        attrs = {
            "title": "Predicted perception of generated landscapes",
            "model": self.model,
            "judges": json.dumps(judges.names),
            "seed": self.seed,
            "draws": self.draws,
            "guidance": self.guidance,
            "steps": self.steps,
            "created_by": f"soundit-geo {__version__}",
            "evidence": "stand-in: synthetic city" if stand_in else "trained model",
            "perception_scale": judges.perception_scale,
        }
        codes = [scenario.name for scenario in self.scenarios]
        cube = new_cube(self.sites, codes, self.draws, prompts, attrs, folder=self.out)
        cells = len(codes) * self.draws
        save_cube(cube, self.cube_path, sites_per_chunk=max(1, math.ceil(self.batch_size / cells)))

    def _load(self) -> tuple[SounDiTPipeline, Judges]:
        """Model and judges on their device, in evaluation mode."""
        import torch
        from diffusers.utils import logging as diffusers_logging

        from soundit_geo.pss.judges import load_judges
        from soundit_geo.soundit.pipeline import SounDiTPipeline

        diffusers_logging.disable_progress_bar()  # the study has one of its own
        diffusers_logging.set_verbosity_error()
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        judges = load_judges(self.judges, device)
        scored = getattr(judges.perception, "qualities", PERCEPTIONS) if judges.perception else ()
        absent = [name for name in PERCEPTIONS if name not in scored]
        if absent:  # before anything is drawn: a cube's cell is done when its perception is known
            raise InputError(
                f"The judges {str(self.judges)!r} do not score {', '.join(absent)}; a study needs all six perceptions."
            )
        pipeline = SounDiTPipeline.from_pretrained(self.model).to(device)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline, judges

    # ------------------------------------------------------------------- a block
    def _run_block(
        self,
        cube: xr.Dataset,
        prompts: pd.DataFrame,
        pipeline: SounDiTPipeline,
        judges: Judges,
        tally: _Tally,
    ) -> None:
        """Draw, score and write the sites of a block."""
        block = [str(site) for site in cube["site"].to_numpy()]
        heard, messages = self._listen(block, pipeline)
        cells = [
            (site, scenario.name, draw)
            for site in block
            if site in heard
            for scenario in self.scenarios
            for draw in range(self.draws)
        ]
        pictures: list[Image.Image] = []
        for start in range(0, len(cells), self.batch_size):
            pictures += self._draw(cells[start : start + self.batch_size], heard, prompts, pipeline)
        for cell, picture in zip(cells, pictures, strict=True):
            path = self.out / str(cube["picture"].loc[cell].item())
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, _png(picture))
        self._score(cube, cells, pictures, judges, messages, tally)
        for site in block:
            cube["message"].loc[site] = messages.get(site, "")
            if site not in heard:
                cube["status"].loc[site] = FAILED
        write_cells(self.cube_path, cube.drop_vars(["picture", "prompt", "audio", "photo"]))

    def _listen(
        self, block: Sequence[str], pipeline: SounDiTPipeline
    ) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, str]]:
        """Tokens and summary of each usable recording, and why the others are not."""
        heard: dict[str, tuple[Tensor, Tensor]] = {}
        messages: dict[str, str] = {}
        for site in block:
            try:
                path = str(self.sites.loc[site, "audio"])
                if not Path(path).exists():
                    raise MissingFileError(f"{path} does not exist.")  # noqa: TRY301
                sound = pipeline.encoder.encode_soundscapes([path], pipeline.config.soundscape_tokens)
                heard[site] = (sound.tokens[0], sound.summary[0])
            except (AudioError, MissingFileError) as error:
                messages[site] = str(error)
                log.warning("Site %s fails: %s", site, error)
        return heard, messages

    def _draw(
        self,
        cells: Sequence[tuple[str, str, int]],
        heard: Mapping[str, tuple[Tensor, Tensor]],
        prompts: pd.DataFrame,
        pipeline: SounDiTPipeline,
    ) -> list[Image.Image]:
        """One landscape per cell."""
        import torch

        from soundit_geo.encoders import SoundscapeEmbeds

        config = pipeline.transformer.config
        shape = (config.in_channels, config.sample_size, config.sample_size)
        noise = [first_noise(self.seed, site, draw, shape) for site, _, draw in cells]
        embeds = SoundscapeEmbeds(
            tokens=torch.stack([heard[site][0] for site, _, _ in cells]),
            summary=torch.stack([heard[site][1] for site, _, _ in cells]),
        )
        drawn: Any = pipeline(
            soundscape_embeds=embeds,
            scenes=[str(prompts.loc[site, scenario]) or None for site, scenario, _ in cells],
            latents=torch.stack(noise),
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
        )
        return list(drawn.images)

    def _score(
        self,
        cube: xr.Dataset,
        cells: Sequence[tuple[str, str, int]],
        pictures: Sequence[Image.Image],
        judges: Judges,
        messages: dict[str, str],
        tally: _Tally,
    ) -> None:
        """Fill the block's cells with what the judges say."""
        if not cells:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideWorldWarning)  # counted here, said once at the end
            scores = judges.score(pictures)
            real = {
                site: self._judge_photo(site, judges, messages)
                for site in dict.fromkeys(cell[0] for cell in cells)
            }
        for index, cell in enumerate(cells):
            cube["element_share"].loc[cell] = scores.element_share[index]
            cube["scene_class"].loc[cell] = scores.scene_class[index]
            cube["scene_probability"].loc[cell] = scores.scene_probability[index]
            cube["perception"].loc[cell] = scores.perception[index]
            photo = real[cell[0]]
            if photo is not None:
                for name, value in _similarity(photo, scores, index).items():
                    cube[name].loc[cell] = value
            cube["status"].loc[cell] = DONE
        tally.drawn += len(cells)
        tally.foreign += int(scores.outside.sum())
        photos = [photo for photo in real.values() if photo is not None]
        tally.photos += len(photos)
        tally.foreign_photos += sum(bool(photo.outside[0]) for photo in photos)

    def _judge_photo(self, site: str, judges: Judges, messages: dict[str, str]) -> Scores | None:
        """Scores of a site's photo; None where there is none or it cannot be read."""
        path = self.sites["photo"].get(site) if "photo" in self.sites else None
        if not isinstance(path, str) or not path:
            return None
        try:
            score = judges.score([path])
        except (InputError, MissingFileError) as error:
            messages[site] = f"No PSS: {error}"
            return None
        if score.outside[0]:
            messages[site] = "The photo lies outside the judges' world: its PSS carries no evidence."
        return score


@dataclass
class _Tally:
    """How much was drawn, and how much of it the judges find foreign."""

    drawn: int = 0
    foreign: int = 0
    photos: int = 0
    foreign_photos: int = 0


def first_noise(seed: int, site: str, draw: int, shape: tuple[int, ...]) -> Tensor:
    """The first noise of a site's draw, the same in every scenario, batch and process.

    Parameters
    ----------
    seed : int
        Of the study.
    site : str
        Name of the site.
    draw : int
        Number of the draw.
    shape : tuple of int
        (C, H, W) of the latent.

    Returns
    -------
    torch.Tensor
        Normal with unit variance, drawn on the CPU from a hash of seed, site and draw.
    """
    import torch

    digest = hashlib.sha256(f"{seed}\x1f{site}\x1f{draw}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return torch.randn(shape, generator=generator)


def _similarity(photo: Scores, scores: Scores, index: int) -> dict[str, float]:
    """The three levels of PSS between a photo and one landscape."""
    from soundit_geo.pss.similarity import element_similarity, perception_distance, scene_overlap

    row = slice(index, index + 1)
    classes = photo.scene_class, scores.scene_class[row]
    return {
        "pss_element": float(element_similarity(photo.element_share, scores.element_share[row])[0]),
        "pss_scene_top1": float(scene_overlap(*classes, 1)[0]),
        "pss_scene_top5": float(scene_overlap(*classes, 5)[0]),
        "pss_perception": float(perception_distance(photo.perception, scores.perception[row])[0]),
    }


def _print_of(path: object) -> list[object]:
    """What tells one file from another at little cost: its path, size, and a hash of its two ends."""
    if not isinstance(path, str) or not path:
        return []
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as file:
            ends = file.read(_END)
            file.seek(max(0, size - _END))
            ends += file.read(_END)
    except OSError:
        return [path]
    return [path, size, hashlib.sha256(ends).hexdigest()[:16]]


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def _png(picture: Image.Image) -> bytes:
    import io

    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)


def cells_of(cube: xr.Dataset) -> dict[str, int]:
    """How many sites are done, failed and pending.

    Parameters
    ----------
    cube : xarray.Dataset
        A study's cube.

    Returns
    -------
    dict of str to int
        Keys ``done``, ``failed`` and ``pending``.
    """
    status = np.asarray(cube["status"].transpose("site", "scenario", "draw").values).reshape(
        cube.sizes["site"], -1
    )
    failed = (status == FAILED).any(axis=1)
    done = (status == DONE).all(axis=1)
    return {"done": int(done.sum()), "failed": int(failed.sum()), "pending": int((~failed & ~done).sum())}
