"""The folder of a study on disk: ``study.json``, the cube, the pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from soundit_geo.cube import new_cube, open_cube, picture_path, save_cube, with_scenario
from soundit_geo.errors import StudyError
from soundit_geo.scenarios import Scenario
from soundit_geo.study.description import CREATED_BY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from soundit_geo.study.drawing import Cell


class StudyFolder:
    """What lies on disk; every file is there whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = path / "study.json"
        self.cube = path / "cube.zarr"

    def picture(self, cell: Cell) -> Path:
        """Tell where a picture lies.

        Parameters
        ----------
        cell : tuple
            Site, scenario and draw.

        Returns
        -------
        pathlib.Path
            It need not exist.
        """
        return self.path / picture_path(*cell)

    def keep(self, cells: Sequence[Cell], png: bytes) -> None:
        """Write the picture of some cells.

        Parameters
        ----------
        cells : sequence of tuple
            Site, scenario and draw.
        png : bytes
            A PNG file.
        """
        for cell in cells:
            path = self.picture(cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, png)

    def claim(
        self, scenarios: tuple[Scenario, ...], describe: Callable[[Sequence[Scenario]], Mapping[str, Any]]
    ) -> tuple[Scenario, ...]:
        """Write ``study.json``, or check that the one there is of the same study.

        Parameters
        ----------
        scenarios : tuple of Scenario
            The study's.
        describe : callable
            Gives the study with some scenarios, as ``study.json`` holds it.

        Returns
        -------
        tuple of Scenario
            The study's, and those that were added to the folder.

        Raises
        ------
        StudyError
            If the folder holds another study or cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.note.exists():
                self._write_note(describe(scenarios))
                return scenarios
            theirs = self._read_note()
        except OSError as error:
            raise self._unwritable(error) from error
        except json.JSONDecodeError as error:
            raise StudyError(
                f"{self.note} is not a study's description: {error}. Choose another folder."
            ) from error
        names = {scenario.name for scenario in scenarios}
        added = [Scenario(**one) for one in theirs.get("added", []) if one["name"] not in names]
        mine = describe([*scenarios, *added])
        other = [key for key in mine if theirs.get(key) != mine[key]]
        if other:
            said = ", ".join(f"{key} ({_brief(theirs.get(key))}, now {_brief(mine[key])})" for key in other)
            raise StudyError(
                f"{self.path} holds another study, which differs in {said}. "
                "Choose another folder, or repeat that study's settings to go on with it."
            )
        return (*scenarios, *added)

    def add(self, scenario: Scenario, described: Mapping[str, Any]) -> None:
        """Write into ``study.json`` that a scenario was added.

        Parameters
        ----------
        scenario : Scenario
            The new one.
        described : mapping of str to Any
            The study with it.

        Raises
        ------
        StudyError
            If the folder cannot be written.
        """
        added = self._read_note().get("added", [])
        new = {"name": scenario.name, "prompt": scenario.prompt}
        self._write_note({**described, "added": [*added, new]})

    def lay_down(
        self,
        sites: gpd.GeoDataFrame,
        prompts: pd.DataFrame,
        draws: int,
        attrs: Mapping[str, Any],
        *,
        sites_per_block: int,
    ) -> xr.Dataset:
        """Lay down the cube, or what it lacks of the scenarios.

        Parameters
        ----------
        sites : geopandas.GeoDataFrame
            The study's sites.
        prompts : pandas.DataFrame
            As `prompts_for` gives them: a row per site, a column per scenario.
        draws : int
            Landscapes per site and scenario.
        attrs : mapping of str to Any
            What a new cube says of itself.
        sites_per_block : int
            How many sites are written at a time.

        Returns
        -------
        xarray.Dataset
            The cube as it is on disk.
        """
        for left in self.path.glob(f".*-{self.cube.name}.old"):  # a kill came between two renames
            if not self.cube.exists():
                left.replace(self.cube)
        names = list(prompts.columns)
        if not self.cube.exists():
            cube = new_cube(sites, names, draws, prompts, attrs, folder=self.path)
            save_cube(cube, self.cube, sites_per_chunk=sites_per_block)
        cube = open_cube(self.cube)
        absent = [name for name in names if name not in cube["scenario"].to_numpy()]
        for name in absent:
            cube = with_scenario(cube, name, prompts[name])
        if absent:
            save_cube(cube, self.cube, sites_per_chunk=sites_per_block)
        return cube

    def _read_note(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.note.read_text(encoding="utf-8"))
        return read

    def _write_note(self, described: Mapping[str, Any]) -> None:
        text = json.dumps({**described, "created_by": CREATED_BY}, indent=1)
        try:
            _write_whole(self.note, text.encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StudyError:
        return StudyError(f"{self.path} cannot be written: {error}. Choose a folder you may write to.")


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
