"""Trying scene prompts at the sites of a study, without any widget."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from soundit_geo.cube import DONE, PENDING, check_scenario, open_cube
from soundit_geo.errors import ScenarioError, SitesError
from soundit_geo.explorer.landscape import Landscape
from soundit_geo.scenarios import Scenario, prompts_for
from soundit_geo.study.drawing import png_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    import xarray as xr

    from soundit_geo.pss.judges import Judges
    from soundit_geo.soundit.pipeline import SounDiTPipeline
    from soundit_geo.study import Progress, Study


class Explorer:
    """Try prompts at the sites of a study, keep those that are worth it as scenarios, and run them.

    One thread may run while others draw: they take turns, block by block.

    Parameters
    ----------
    study : Study
        The study; it need not have run.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._tried: dict[tuple[str, str], Landscape] = {}
        self._read: tuple[int, xr.Dataset] | None = None
        self._door, self._model = threading.Lock(), threading.Lock()
        self._cancelled = threading.Event()

    @property
    def sites(self) -> list[str]:
        """Names of the sites.

        Returns
        -------
        list of str
            In the study's order.
        """
        return [str(site) for site in self.study.sites.index]

    @property
    def scenarios(self) -> list[str]:
        """Names of the scenarios.

        Returns
        -------
        list of str
            In the study's order, added ones last.
        """
        return [scenario.name for scenario in self.study.scenarios]

    @property
    def cube(self) -> xr.Dataset | None:
        """The study's cube as it is on disk.

        Returns
        -------
        xarray.Dataset or None
            None before the first run.
        """
        folder = self.study.cube_path / "status"
        if not folder.is_dir():
            return None
        with self._turn():  # no block is being written
            written = max(path.stat().st_mtime_ns for path in (folder, *folder.rglob("*")))
            if self._read is None or self._read[0] != written:
                self._read = written, open_cube(self.study.cube_path)
            return self._read[1]

    @property
    def pending(self) -> int:
        """How many landscapes a run would draw.

        Returns
        -------
        int
            Cells that were not tried yet, those of new scenarios included.
        """
        cells = len(self.sites) * len(self.scenarios) * self.study.draws
        cube = self.cube
        return cells if cube is None else cells - int((cube["status"] != PENDING).sum())

    def prompt_of(self, site: str, scenario: str) -> str:
        """Tell the prompt of a site in a scenario.

        Parameters
        ----------
        site, scenario : str
            Names.

        Returns
        -------
        str
            Empty = the sound alone.

        Raises
        ------
        SitesError, ScenarioError
            If the study has no such site or scenario.
        """
        self._check_site(site)
        if scenario not in self.scenarios:
            raise ScenarioError(
                f"The study has no scenario {scenario!r}. It has: {', '.join(map(repr, self.scenarios))}."
            )
        return str(self._prompts.loc[site, scenario])

    def landscape(self, site: str, scenario: str) -> Landscape:
        """Show a site in a scenario of the study.

        Parameters
        ----------
        site, scenario : str
            Names.

        Returns
        -------
        Landscape
            As the study holds it; drawn now, and kept in memory only, where it does not.

        Raises
        ------
        SitesError, ScenarioError
            If the study has no such site or scenario.
        AudioError
            If the recording cannot be used.
        WeightsError, MissingFileError
            If model or judges are not there.
        """
        prompt = self.prompt_of(site, scenario)
        cube = self.cube
        if cube is not None and scenario in cube["scenario"].to_numpy():
            cell = cube.sel(site=[site], scenario=[check_scenario(cube, scenario)])
            paths = [self.study.out / name for name in cell["picture"].to_numpy().ravel()]
            if (cell["status"] == DONE).all() and all(path.is_file() for path in paths):
                return Landscape(site, prompt, tuple(path.read_bytes() for path in paths), cell)
        return self._sketched(site, prompt)

    def tried(self, site: str, prompt: str) -> Landscape | None:
        """Tell what was drawn before.

        Parameters
        ----------
        site, prompt : str
            As in `draw`.

        Returns
        -------
        Landscape or None
            None where it was not drawn by this explorer.

        Raises
        ------
        SitesError, ScenarioError
            As `draw` does.
        """
        return self._tried.get((site, self._written(site, prompt)))

    def draw(self, site: str, prompt: str) -> Landscape:
        """Draw and judge a site under a prompt, with the study's model, judges, settings and noise.

        Parameters
        ----------
        site : str
            Name of the site.
        prompt : str
            Scene prompt, stripped of outer spaces; empty = the sound alone, ``"@COLUMN"`` = the site's own words in
            that column.

        Returns
        -------
        Landscape
            With as many draws as the study; a prompt that was tried before is not drawn again.

        Raises
        ------
        SitesError, ScenarioError
            If there is no such site, or the prompt cannot be used.
        AudioError
            If the recording cannot be used.
        WeightsError, MissingFileError
            If model or judges are not there.
        """
        return self._sketched(site, self._written(site, prompt))

    def add(self, name: str, prompt: str) -> Scenario:
        """Add a prompt to the study as a scenario; `run` draws it for all sites.

        Parameters
        ----------
        name : str
            Of the scenario; outer spaces are left out.
        prompt : str
            As in `draw`.

        Returns
        -------
        Scenario
            The new one.

        Raises
        ------
        ScenarioError
            If the study has one of that name, or name or prompt cannot be used.
        StudyError
            If the folder holds another study or cannot be written, or the study is running.
        """
        scenario = self.study.add_scenario(name.strip(), prompt.strip())
        self.__dict__.pop("_prompts", None)
        return scenario

    def run(self, report: Callable[[Progress], None] | None = None) -> bool:
        """Draw and score all scenarios at all sites, as far as they are not done.

        Parameters
        ----------
        report : callable, optional
            Called before the first block and after each with how far it is.

        Returns
        -------
        bool
            Whether it came to its end; false after `cancel`, and the next run goes on.

        Raises
        ------
        StudyError
            If the folder holds another study or cannot be written, or the study is running already.
        WeightsError, MissingFileError
            If model or judges are not there.
        """
        self._cancelled.clear()
        with self._turn():
            blocks = self.study.advance(self._models)
        try:
            while True:
                with self._turn():
                    at = next(blocks, None)
                if at is None:
                    return True
                if report is not None:
                    report(at)
                if self._cancelled.is_set():
                    return at.done == at.total
        finally:
            blocks.close()
            self.__dict__.pop("_prompts", None)  # the folder may have brought scenarios

    def cancel(self) -> None:
        """End a run after the block of sites that it is drawing; what was drawn is kept."""
        self._cancelled.set()

    # ------------------------------------------------------------------- parts
    @cached_property
    def _models(self) -> tuple[SounDiTPipeline, Judges]:
        return self.study.load()

    @cached_property
    def _prompts(self) -> pd.DataFrame:
        return prompts_for(self.study.sites, self.study.scenarios)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The model for one at a time, in order: who waits holds the door."""
        with self._door:
            self._model.acquire()
        try:
            yield
        finally:
            self._model.release()

    def _sketched(self, site: str, prompt: str) -> Landscape:
        """A landscape under a prompt that is written out."""
        with self._turn():
            if (site, prompt) not in self._tried:
                sketch = self.study.sketch(site, prompt, self._models)
                pictures = tuple(png_of(picture) for picture in sketch.pictures)
                self._tried[site, prompt] = Landscape(site, prompt, pictures, sketch.cube, sketch.foreign)
            return self._tried[site, prompt]

    def _written(self, site: str, prompt: str) -> str:
        """The words that a prompt gives a site."""
        self._check_site(site)
        return str(prompts_for(self.study.sites.loc[[site]], [Scenario("tried", prompt.strip())]).iloc[0, 0])

    def _check_site(self, site: str) -> None:
        if site not in self.study.sites.index:
            raise SitesError(f"There is no site {site!r}. The study has {len(self.sites)} others.")
