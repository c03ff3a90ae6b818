"""What a study gives: how far a run is, a sketch, how many sites of a cube are done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.cube import DONE, FAILED

if TYPE_CHECKING:
    import xarray as xr
    from PIL import Image

SKETCH = "sketch"
"""The scenario of a sketch."""


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
