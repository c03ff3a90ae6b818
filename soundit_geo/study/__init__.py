"""The trip: every site × scenario × draw from recording to scores, resumable, in one folder.

::

    OUT/
      study.json   what the study is: sites, scenarios, draws, seed, model, judges, settings
      cube.zarr    the layer cube, filled block by block
      pictures/    one PNG per cell
      map.html     written by `Study.map` or the command line

The folder is consistent at every moment: a picture appears in one rename, a block's scores are written before
its status. A block is a fixed run of sites, so that going on after a kill draws the same batches again.

===============  ====================================================
``study``        the study, as users call it
``description``  what it says of itself, in ``study.json`` and cube
``folder``       what lies on disk
``block``        the trip of a few sites
``drawing``      recordings into landscapes
``scoring``      landscapes into scores
``results``      how far a run is, a sketch, what a cube counts
===============  ====================================================
"""

from __future__ import annotations

from soundit_geo.study.drawing import first_noise
from soundit_geo.study.results import SKETCH, Progress, Sketch, cells_of
from soundit_geo.study.study import Study

__all__ = ["SKETCH", "Progress", "Sketch", "Study", "cells_of", "first_noise"]
