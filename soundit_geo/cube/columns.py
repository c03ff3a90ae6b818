"""Columns of sites as coordinates of a cube: districts, times, whatever the sites bring along."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from soundit_geo.cube.fields import field_names
from soundit_geo.cube.layout import is_storable
from soundit_geo.cube.schema import COORDINATES, DIMENSIONS, TEXT, VARIABLES

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

logger = logging.getLogger(__name__)

RESERVED: Final = frozenset(
    {
        *VARIABLES,
        *COORDINATES,
        *DIMENSIONS,
        "geometry",
        "x",
        "y",
        "spatial_ref",
        "geometry_container",
        "scene",
    }
)
"""Names that mean something else in a cube, its files or its tables."""

_TAKEN_UP: Final = ("audio", "photo")  # variables of the cube


def columns_of_sites(sites: gpd.GeoDataFrame) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    """Turn the plain columns of sites into coordinates.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        As `read_sites` gives.

    Returns
    -------
    dict of str to tuple
        Name to ``("site", values, attributes)``, in the order of the columns: numbers and truths as they are, a gap
        among them NaN; times as datetime64[ns], UTC where they state an offset, a gap NaT; text, a gap empty. A name
        keeps its letters and digits, all else becomes ``_``; one that means something in a cube gets ``site_`` before
        it; ``long_name`` is the column's own name. A column of other things, such as lists or a second geometry, or
        of text that files cannot hold, is left out, and that is logged.
    """
    taken = {name.casefold() for name in RESERVED}
    names, found = [], []
    for place, column in enumerate(sites.columns):
        text = str(column)
        if text in _TAKEN_UP or column == sites.active_geometry_name:
            continue
        told = {"long_name": text.strip() or "column without a name", "source": "column of the sites"}
        values = _values(sites.iloc[:, place], told) if is_storable(text) else None
        if values is None:
            logger.warning("Column %r of the sites is left out of the cube: it holds no plain values.", text)
            continue
        clashes = field_names([text])[0].casefold() in taken
        names.append(f"site_{text}" if clashes else text)
        found.append((values, told))
    unique = field_names(names, taken=RESERVED, keep_case=True)
    return {name: ("site", values, told) for name, (values, told) in zip(unique, found, strict=True)}


def site_columns(cube: xr.Dataset) -> list[str]:
    """Name the coordinates of a cube that are columns of its sites.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.

    Returns
    -------
    list of str
        What lies along ``site`` alone, besides the names and places of the sites; in alphabetical order, for files
        keep none.
    """
    along = (str(name) for name in cube.coords if cube[name].dims == ("site",))
    return sorted(name for name in along if name not in RESERVED)


def _values(cells: pd.Series, told: dict[str, str]) -> np.ndarray | None:
    """Numbers, truths, times or text of a column; None where it holds other things."""
    import pandas as pd

    kinds = pd.api.types
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if kinds.is_datetime64_any_dtype(cells.dtype):
        return _times(cells, told)
    if kinds.is_numeric_dtype(cells.dtype) and not kinds.is_complex_dtype(cells.dtype):
        return _numbers(cells)
    known = [cell for cell in cells if not (kinds.is_scalar(cell) and pd.isna(cell))]
    if all(isinstance(cell, str) for cell in known):
        return _texts(cells)
    if all(isinstance(cell, bool | int | float | np.number | np.bool_) for cell in known):
        return cells.map(float, na_action="ignore").to_numpy(dtype=np.float64, na_value=np.nan)
    if all(isinstance(cell, date) for cell in known):
        return _texts(cells.map(lambda cell: cell.isoformat(), na_action="ignore"))
    return None


def _numbers(cells: pd.Series) -> np.ndarray:
    """Truths and whole numbers as such where there is no gap and they fit, else floats."""
    if not cells.isna().any():
        if cells.dtype.kind == "b":
            return cells.to_numpy(dtype=bool)
        if cells.dtype.kind in "iu" and (not len(cells) or cells.max() <= np.iinfo(np.int64).max):
            return cells.to_numpy(dtype=np.int64)
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def _times(cells: pd.Series, told: dict[str, str]) -> np.ndarray | None:
    """Times in nanoseconds; as ISO 8601 where they lie too far off for that."""
    import pandas as pd

    if cells.dt.tz is not None:
        cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
        told["long_name"] += " (UTC)"
    try:
        return cells.astype("datetime64[ns]").to_numpy()
    except pd.errors.OutOfBoundsDatetime:
        return _texts(cells.map(lambda cell: cell.isoformat(), na_action="ignore"))


def _texts(cells: pd.Series) -> np.ndarray | None:
    texts = np.array([cell if isinstance(cell, str) else "" for cell in cells], dtype=TEXT)
    return texts if all(map(is_storable, texts)) else None
