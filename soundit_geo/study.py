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
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo import (
    __version__,
    accessors,  # noqa: F401 - registers cube.soundit
)
from soundit_geo.classes import PERCEPTIONS
from soundit_geo.cube import (
    DONE,
    FAILED,
    new_cube,
    open_cube,
    picture_path,
    save_cube,
    with_scenario,
    write_cells,
)
from soundit_geo.cube.schema import CELL, VARIABLES
from soundit_geo.errors import (
    AudioError,
    InputError,
    MissingFileError,
    OutsideWorldWarning,
    ScenarioError,
    SitesError,
    StudyError,
)
from soundit_geo.recordings import read_sites, to_lonlat
from soundit_geo.scenarios import AS_RECORDED, Scenario, as_scenarios, prompts_for
from soundit_geo.weights import presets

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator, Mapping, Sequence

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

SKETCH = "sketch"
"""The scenario of a sketch."""

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
        Name to scene prompt, ``"@COLUMN"`` for the words of that column, None for the sound alone; in the scenario
        ``as recorded`` a site's own ``scene`` is its prompt. `read_scenarios` reads them from a file. Where two
        scenarios give a site the same prompt, its landscapes are drawn once, and are the same in both.
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
        self._running = threading.Lock()

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
        return self._described(self.scenarios)

    def _described(self, scenarios: Sequence[Scenario]) -> dict[str, Any]:
        """The study with these scenarios, as ``study.json`` holds it."""
        prompts = prompts_for(self.sites, scenarios)
        return {
            "model": self.model,
            "judges": self.judges,
            "seed": self.seed,
            "draws": self.draws,
            "steps": self.steps,
            "guidance": self.guidance,
            "scenarios": [scenario.name for scenario in scenarios],
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

        models = self.load()  # before the folder: an unknown model leaves no trace
        with tqdm(desc="landscapes", disable=not progress) as bar:
            for at in self.advance(models):
                bar.total, bar.n = at.total, at.done
                bar.refresh()
        if at.foreign or at.foreign_photos:
            warnings.warn(
                f"{at.told()} ({', '.join(sorted(set(models[1].names.values())))}); their scores carry no evidence.",
                OutsideWorldWarning,
                stacklevel=2,
            )
        return open_cube(self.cube_path)

    def advance(self, models: tuple[SounDiTPipeline, Judges] | None = None) -> Generator[Progress]:
        """Draw and score whatever is not done yet, a block of sites at a time.

        Leave the loop to stop: what was drawn is kept, and the next run goes on from there.

        Parameters
        ----------
        models : tuple of SounDiTPipeline and Judges, optional
            As `load` gives them.

        Yields
        ------
        Progress
            First before anything is drawn, then after each block; always the same object.

        Raises
        ------
        StudyError
            If the folder holds another study or cannot be written, or this study is running already.
        WeightsError, MissingFileError
            If model or judges are not there.
        """
        with self._alone():
            pipeline, judges = models or self.load()
            self._claim_folder()
            prompts = prompts_for(self.sites, self.scenarios)
            cube = self._lay_down(prompts, judges)
            names = list(self.sites.index)
            wide = self._sites_per_block()
            waiting = (cube["status"] != DONE).sum(dim=("scenario", "draw")).to_series()
            at = Progress(done=int((cube["status"] == DONE).sum()), total=cube["status"].size)
            yield at
            for start in range(0, len(names), wide):
                block = [site for site in names[start : start + wide] if waiting[site]]
                if block:
                    self._run_block(cube.sel(site=block).copy(deep=True), prompts, pipeline, judges, at)
                    at.done += int(waiting[block].sum())
                    yield at

    def add_scenario(self, name: str, prompt: str | None) -> Scenario:
        """Add a scenario to the study and its folder; the next run draws it.

        The folder remembers it: the same study without it, opened later, takes it up again when it runs.

        Parameters
        ----------
        name : str
            What maps and tables call it.
        prompt : str or None
            As in `Scenario`.

        Returns
        -------
        Scenario
            The new one, which is the last.

        Raises
        ------
        ScenarioError
            If the study has one of that name, it is malformed, or files cannot hold its text.
        StudyError
            If the folder holds another study or cannot be written, or this study is running.
        """
        scenario = _storable(Scenario(name, prompt))
        with self._alone():
            self._claim_folder()
            grown = as_scenarios([*self.scenarios, scenario])
            note = self.out / "study.json"
            added = json.loads(note.read_text(encoding="utf-8")).get("added", [])
            self._write_note(self._described(grown), [*added, {"name": name, "prompt": prompt}])
            self.scenarios = grown
        return scenario

    def sketch(
        self, site: str, prompt: str | None, models: tuple[SounDiTPipeline, Judges] | None = None
    ) -> Sketch:
        """Draw and score one site under any prompt, in memory only.

        Model, judges, settings and first noise are the study's: against a landscape of the same site and draw, only
        the prompt differs.

        Parameters
        ----------
        site : str
            Name of the site.
        prompt : str or None
            As in `Scenario`.
        models : tuple of SounDiTPipeline and Judges, optional
            As `load` gives them.

        Returns
        -------
        Sketch
            With as many draws as the study has.

        Raises
        ------
        SitesError
            If there is no such site.
        ScenarioError
            If the prompt is malformed.
        AudioError
            If the recording cannot be used.
        WeightsError, MissingFileError
            If model or judges are not there.
        """
        if site not in self.sites.index:
            raise SitesError(f"There is no site {site!r}. The study has {len(self.sites)} others.")
        sites = self.sites.loc[[site]]
        prompts = prompts_for(sites, [_storable(Scenario(SKETCH, prompt))])
        pipeline, judges = models or self.load()
        heard, messages = self._listen([site], pipeline)
        if site not in heard:
            raise AudioError(messages[site])
        cube = new_cube(sites, [SKETCH], self.draws, prompts, self._attrs(judges), folder=self.out)
        cells = [(site, SKETCH, draw) for draw in range(self.draws)]
        pictures = self._draw_all(cells, heard, prompts, pipeline)
        tally = Progress()
        self._score(cube, [[cell] for cell in cells], pictures, judges, messages, tally)
        cube["message"].loc[site] = messages.get(site, "")
        return Sketch(cube, pictures, tally.foreign)

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
    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse two that would write at a time."""
        if not self._running.acquire(blocking=False):
            raise StudyError(f"The study in {self.out} is running already. Wait for it, or stop that run.")
        try:
            yield
        finally:
            self._running.release()

    def _claim_folder(self) -> None:
        """Write ``study.json``, or check that the one there is ours."""
        note = self.out / "study.json"
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if note.exists():
                theirs = json.loads(note.read_text(encoding="utf-8"))
                names = {scenario.name for scenario in self.scenarios}
                added = [Scenario(**one) for one in theirs.get("added", []) if one["name"] not in names]
                mine = self._described([*self.scenarios, *added])
                other = [key for key in mine if theirs.get(key) != mine[key]]
                if other:
                    said = ", ".join(
                        f"{key} ({_brief(theirs.get(key))}, now {_brief(mine[key])})" for key in other
                    )
                    raise StudyError(
                        f"{self.out} holds another study, which differs in {said}. "
                        "Choose another folder, or repeat that study's settings to go on with it."
                    )
                self.scenarios = (*self.scenarios, *added)
            else:
                self._write_note(self.describe())
        except OSError as error:
            raise StudyError(
                f"{self.out} cannot be written: {error}. Choose a folder you may write to."
            ) from error
        except json.JSONDecodeError as error:
            raise StudyError(
                f"{note} is not a study's description: {error}. Choose another folder."
            ) from error

    def _write_note(self, described: Mapping[str, Any], added: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write ``study.json``; `added` are the scenarios that came later."""
        more = {"added": added} if added else {}
        text = json.dumps({**described, **more, "created_by": f"soundit-geo {__version__}"}, indent=1)
        try:
            _write_whole(self.out / "study.json", text.encode())
        except OSError as error:
            raise StudyError(
                f"{self.out} cannot be written: {error}. Choose a folder you may write to."
            ) from error

    def _sites_per_block(self) -> int:
        return max(1, math.ceil(self.batch_size / (len(self.scenarios) * self.draws)))

    def _lay_down(self, prompts: pd.DataFrame, judges: Judges) -> xr.Dataset:
        """The cube, with every scenario; what it lacks is laid down."""
        for left in self.out.glob(f".*-{self.cube_path.name}.old"):  # a kill came between two renames
            if not self.cube_path.exists():
                left.replace(self.cube_path)
        names = [scenario.name for scenario in self.scenarios]
        if not self.cube_path.exists():
            cube = new_cube(self.sites, names, self.draws, prompts, self._attrs(judges), folder=self.out)
            save_cube(cube, self.cube_path, sites_per_chunk=self._sites_per_block())
        cube = open_cube(self.cube_path)
        absent = [name for name in names if name not in cube["scenario"].to_numpy()]
        for name in absent:
            cube = with_scenario(cube, name, prompts[name])
        if absent:
            save_cube(cube, self.cube_path, sites_per_chunk=self._sites_per_block())
        return cube

    def _attrs(self, judges: Judges) -> dict[str, Any]:
        """What a cube of this study says of itself."""
        worlds = set(judges.worlds.values())
        stand_in = self.model in presets() or "synthetic city" in worlds
        return {
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

    def load(self) -> tuple[SounDiTPipeline, Judges]:
        """Load what draws and what judges.

        Returns
        -------
        tuple of SounDiTPipeline and Judges
            On their device, in evaluation mode; `advance` and `sketch` take them.

        Raises
        ------
        InputError
            If the judges do not score all six perceptions, or the device is not there.
        WeightsError, MissingFileError
            If model or judges are not there.
        """
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
        tally: Progress,
    ) -> None:
        """Draw, score and write what is not done at the sites of a block."""
        block = [str(site) for site in cube["site"].to_numpy()]
        heard, messages = self._listen(block, pipeline)
        cells = [
            (site, scenario.name, draw)
            for site in block
            if site in heard
            for scenario in self.scenarios
            for draw in range(self.draws)
        ]
        twins: dict[tuple[str, str, int], list[tuple[str, str, int]]] = {}  # of one prompt: one landscape
        for site, scenario, draw in cells:
            twins.setdefault((site, str(prompts.loc[site, scenario]), draw), []).append(
                (site, scenario, draw)
            )
        alike = []
        for same in twins.values():
            made = [cell for cell in same if cube["status"].loc[cell] == DONE]
            waiting = [cell for cell in same if cell not in made]
            if made and waiting and (self.out / picture_path(*made[0])).exists():
                self._copy(cube, made[0], waiting)
            elif waiting:
                alike.append(waiting)
        pictures = self._draw_all([same[0] for same in alike], heard, prompts, pipeline)
        for same, picture in zip(alike, pictures, strict=True):
            self._keep(same, _png(picture))
        self._score(cube, alike, pictures, judges, messages, tally)
        for site in {*messages, *(same[0][0] for same in alike)}:
            cube["message"].loc[site] = messages.get(site, "")
            if site not in heard:
                cube["status"].loc[site] = np.where(cube["status"].loc[site] == DONE, DONE, FAILED)
        write_cells(self.cube_path, cube.drop_vars(["picture", "prompt", "audio", "photo"]))

    def _keep(self, cells: Sequence[tuple[str, str, int]], png: bytes) -> None:
        """Write the picture of some cells."""
        for cell in cells:
            path = self.out / picture_path(*cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, png)

    def _copy(
        self, cube: xr.Dataset, made: tuple[str, str, int], waiting: Sequence[tuple[str, str, int]]
    ) -> None:
        """Give cells of one prompt what one of them has: the scenario came later than its twin."""
        self._keep(waiting, (self.out / picture_path(*made)).read_bytes())
        for name, (dims, _, _, _) in VARIABLES.items():
            if dims[:3] == CELL and name != "picture":
                for cell in waiting:
                    cube[name].loc[cell] = cube[name].loc[made]

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

    def _draw_all(
        self,
        cells: Sequence[tuple[str, str, int]],
        heard: Mapping[str, tuple[Tensor, Tensor]],
        prompts: pd.DataFrame,
        pipeline: SounDiTPipeline,
    ) -> list[Image.Image]:
        """One landscape per cell, batch by batch."""
        pictures: list[Image.Image] = []
        for start in range(0, len(cells), self.batch_size):
            pictures += self._draw(cells[start : start + self.batch_size], heard, prompts, pipeline)
        return pictures

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
        alike: Sequence[Sequence[tuple[str, str, int]]],
        pictures: Sequence[Image.Image],
        judges: Judges,
        messages: dict[str, str],
        tally: Progress,
    ) -> None:
        """Fill the block's cells with what the judges say of their pictures; `alike` are the cells of each."""
        if not alike:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideWorldWarning)  # counted here, said once at the end
            scores = judges.score(pictures)
            real = {
                site: self._judge_photo(site, judges, messages)
                for site in dict.fromkeys(same[0][0] for same in alike)
            }
        for index, cell in ((index, cell) for index, same in enumerate(alike) for cell in same):
            cube["element_share"].loc[cell] = scores.element_share[index]
            cube["scene_class"].loc[cell] = scores.scene_class[index]
            cube["scene_probability"].loc[cell] = scores.scene_probability[index]
            cube["perception"].loc[cell] = scores.perception[index]
            photo = real[cell[0]]
            if photo is not None:
                for name, value in _similarity(photo, scores, index).items():
                    cube[name].loc[cell] = value
            cube["status"].loc[cell] = DONE
        tally.drawn += len(alike)
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
class Progress:
    """How far a run is, and how much of it the judges find foreign.

    Parameters
    ----------
    done, total : int
        Cells of the cube: those that are done or were tried, and all.
    drawn, foreign : int
        Landscapes drawn by this run, and how many of them lie outside the world of the judges.
    photos, foreign_photos : int
        Photos judged by this run, and how many of them lie outside.
    """

    done: int = 0
    total: int = 0
    drawn: int = 0
    foreign: int = 0
    photos: int = 0
    foreign_photos: int = 0

    def told(self) -> str:
        """Say how much lies outside.

        Returns
        -------
        str
            One clause.
        """
        return (
            f"{self.foreign} of {self.drawn} landscapes and {self.foreign_photos} of {self.photos} photos lie "
            "outside the world of the judges"
        )


@dataclass(frozen=True)
class Sketch:
    """One site under a prompt that need not be among the study's scenarios.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube of one site and one scenario, ``"sketch"``; its pictures are not on disk.
    pictures : list of PIL.Image.Image
        One per draw.
    foreign : int
        How many of them lie outside the world of the judges.
    """

    cube: xr.Dataset
    pictures: list[Image.Image]
    foreign: int


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


def _storable(scenario: Scenario) -> Scenario:
    """Refuse text that no file can hold."""
    for text in (scenario.name, scenario.prompt or ""):
        if "\0" in text or text != text.encode(errors="replace").decode():
            raise ScenarioError(
                f"{text!r} holds NUL or half a surrogate pair, which files cannot hold. Leave it out."
            )
    return scenario


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
