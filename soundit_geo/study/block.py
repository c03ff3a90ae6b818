"""The trip of a few sites: listen, draw, keep the pictures, score, write the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.cube import DONE, FAILED, write_cells
from soundit_geo.cube.schema import CELL, VARIABLES
from soundit_geo.study.drawing import png_of
from soundit_geo.study.scoring import score_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from soundit_geo.pss.judges import Judges
    from soundit_geo.study.drawing import Cell, Painter
    from soundit_geo.study.folder import StudyFolder
    from soundit_geo.study.results import Progress


@dataclass(frozen=True)
class Trip:
    """What a run does with every block of sites.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        The study's sites.
    prompts : pandas.DataFrame
        As `prompts_for` gives them: a row per site, a column per scenario.
    draws : int
        Landscapes per site and scenario.
    painter : Painter
        What draws.
    judges : Judges
        What judges.
    folder : StudyFolder
        Where pictures and scores are written.
    """

    sites: gpd.GeoDataFrame
    prompts: pd.DataFrame
    draws: int
    painter: Painter
    judges: Judges
    folder: StudyFolder

    def run(self, cube: xr.Dataset, tally: Progress) -> None:
        """Draw, score and write what is not done at the sites of a block.

        Parameters
        ----------
        cube : xarray.Dataset
            The block's part of the cube, in memory; changed in place.
        tally : Progress
            Counts what was drawn and what is foreign; changed in place.
        """
        block = [str(site) for site in cube["site"].to_numpy()]
        heard, messages = self.painter.listen(self.sites.loc[block, "audio"])
        alike = []
        for same in self._twins([site for site in block if site in heard]):
            made = [cell for cell in same if cube["status"].loc[cell] == DONE]
            waiting = [cell for cell in same if cell not in made]
            if made and waiting and self.folder.picture(made[0]).exists():
                self.folder.keep(waiting, self.folder.picture(made[0]).read_bytes())
                _copy_scores(cube, made[0], waiting)
            elif waiting:
                alike.append(waiting)
        pictures = self.painter.draw([same[0] for same in alike], heard, self.prompts)
        for same, picture in zip(alike, pictures, strict=True):
            self.folder.keep(same, png_of(picture))
        messages |= score_cells(cube, alike, pictures, self.sites, self.judges, tally)
        for site in {*messages, *(same[0][0] for same in alike)}:
            cube["message"].loc[site] = messages.get(site, "")
            if site not in heard:
                cube["status"].loc[site] = np.where(cube["status"].loc[site] == DONE, DONE, FAILED)
        write_cells(self.folder.cube, cube.drop_vars(["picture", "prompt", "audio", "photo"]))

    def _twins(self, block: Sequence[str]) -> list[list[Cell]]:
        """The cells of these sites, those of one site, prompt and draw together: they share a landscape."""
        twins: dict[Cell, list[Cell]] = {}
        for site in block:
            for scenario in self.prompts.columns:
                for draw in range(self.draws):
                    same = site, str(self.prompts.loc[site, scenario]), draw
                    twins.setdefault(same, []).append((site, scenario, draw))
        return list(twins.values())


def _copy_scores(cube: xr.Dataset, made: Cell, waiting: Sequence[Cell]) -> None:
    """Give cells the scores of their twin: their scenario came later."""
    for name, (dims, _, _, _) in VARIABLES.items():
        if dims[:3] == CELL and name != "picture":
            for cell in waiting:
                cube[name].loc[cell] = cube[name].loc[made]
