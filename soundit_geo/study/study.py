"""The study, as users call it."""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundit_geo import accessors  # noqa: F401 - registers cube.soundit
from soundit_geo.classes import PERCEPTIONS
from soundit_geo.cube import DONE, new_cube, open_cube
from soundit_geo.errors import AudioError, InputError, OutsideWorldWarning, SitesError, StudyError
from soundit_geo.recordings import read_sites
from soundit_geo.scenarios import AS_RECORDED, Scenario, as_scenarios, prompts_for
from soundit_geo.study.block import Trip
from soundit_geo.study.description import cube_attrs, describe, storable
from soundit_geo.study.drawing import Painter
from soundit_geo.study.folder import StudyFolder
from soundit_geo.study.results import SKETCH, Progress, Sketch
from soundit_geo.study.scoring import score_cells

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import geopandas as gpd
    import xarray as xr

    from soundit_geo.maps import SiteMap
    from soundit_geo.pss.judges import Judges
    from soundit_geo.scenarios import Scenarios
    from soundit_geo.soundit.pipeline import SounDiTPipeline


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
        return self._folder.cube

    def describe(self) -> dict[str, Any]:
        """What makes this study this study; two runs with the same description give the same results.

        Returns
        -------
        dict
            Plain values, as ``study.json`` holds them.
        """
        return self._described(self.scenarios)

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
            self.scenarios = self._folder.claim(self.scenarios, self._described)
            prompts = prompts_for(self.sites, self.scenarios)
            wide = max(1, math.ceil(self.batch_size / (len(self.scenarios) * self.draws)))
            attrs = cube_attrs(self._settings, judges)
            cube = self._folder.lay_down(self.sites, prompts, self.draws, attrs, sites_per_block=wide)
            trip = Trip(self.sites, prompts, self.draws, self._painter(pipeline), judges, self._folder)
            names = list(self.sites.index)
            waiting = (cube["status"] != DONE).sum(dim=("scenario", "draw")).to_series()
            at = Progress(done=int((cube["status"] == DONE).sum()), total=cube["status"].size)
            yield at
            for start in range(0, len(names), wide):
                block = [site for site in names[start : start + wide] if waiting[site]]
                if block:
                    trip.run(cube.sel(site=block).copy(deep=True), at)
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
        scenario = storable(Scenario(name, prompt))
        with self._alone():
            self.scenarios = self._folder.claim(self.scenarios, self._described)
            grown = as_scenarios([*self.scenarios, scenario])
            self._folder.add(scenario, self._described(grown))
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
        prompts = prompts_for(sites, [storable(Scenario(SKETCH, prompt))])
        pipeline, judges = models or self.load()
        painter = self._painter(pipeline)
        heard, messages = painter.listen(sites["audio"])
        if site not in heard:
            raise AudioError(messages[site])
        attrs = cube_attrs(self._settings, judges)
        cube = new_cube(sites, [SKETCH], self.draws, prompts, attrs, folder=self.out)
        cells = [(site, SKETCH, draw) for draw in range(self.draws)]
        pictures = painter.draw(cells, heard, prompts)
        tally = Progress()
        messages |= score_cells(cube, [[cell] for cell in cells], pictures, sites, judges, tally)
        cube["message"].loc[site] = messages.get(site, "")
        return Sketch(cube, pictures, tally.foreign)

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

    @property
    def _folder(self) -> StudyFolder:
        return StudyFolder(self.out)

    @property
    def _settings(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "judges": self.judges,
            "seed": self.seed,
            "draws": self.draws,
            "steps": self.steps,
            "guidance": self.guidance,
        }

    def _described(self, scenarios: Sequence[Scenario]) -> dict[str, Any]:
        return describe(self.sites, scenarios, self._settings)

    def _painter(self, pipeline: SounDiTPipeline) -> Painter:
        return Painter(pipeline, self.seed, self.steps, self.guidance, self.batch_size)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse two that would write at a time."""
        if not self._running.acquire(blocking=False):
            raise StudyError(f"The study in {self.out} is running already. Wait for it, or stop that run.")
        try:
            yield
        finally:
            self._running.release()
