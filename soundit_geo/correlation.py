"""What was measured beside what was predicted: acoustic measures in a cube, and how both go together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from soundit_geo.acoustics import MEASURES, acoustics
from soundit_geo.cube import (
    CRS,
    open_cube,
    save_cube,
    save_netcdf,
    site_columns,
    sites_per_chunk,
    to_geodataframe,
    validate,
)
from soundit_geo.cube.fields import field_names
from soundit_geo.errors import CubeError, InputError
from soundit_geo.scenarios import AS_RECORDED

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import geopandas as gpd
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Correlation", "add_acoustics", "correlate", "with_acoustics"]

_FEWEST = 4  # sites, below which an interval means nothing
_AT_ONCE = 4_000_000  # numbers that are resampled at a time


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """How measures and predictions go together over sites.

    Parameters
    ----------
    table : DataFrame
        Index ``measured``, ``predicted``; columns ``n`` (sites with both), ``pearson`` and ``spearman``, each with
        ``_low`` and ``_high``: percentiles of a bootstrap over sites. NaN where it is undefined: fewer than 3
        sites (4 for an interval), or all values equal.
    scatter : DataFrame
        Index ``site``; the values themselves, a column for each name.
    scenario : str
        Of which the predictions are.
    confidence : float
        Of the intervals, for each alone: with many pairs some exclude 0 by chance.
    """

    table: pd.DataFrame
    scatter: pd.DataFrame
    scenario: str
    confidence: float


def add_acoustics(cube: xr.Dataset, measured: pd.DataFrame) -> xr.Dataset:
    """Put acoustic measures into a cube, beside what was predicted.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    measured : DataFrame
        As `soundit_geo.acoustics.acoustics` gives, index ``site``. Rows of other sites are ignored.

    Returns
    -------
    xarray.Dataset
        A new cube with each of `soundit_geo.acoustics.MEASURES` that the table has, float64 along ``site``, NaN for
        sites that it lacks, with units and long names; and ``rate`` (Hz) where it has it. A column of the sites that
        has the name of a measure is called ``site_NAME`` from then on.

    Raises
    ------
    CubeError
        The table has no such column or one that is not of numbers, names a site twice, or has none of the cube's
        sites.
    """
    validate(cube)
    known = {**MEASURES, "rate": ("Hz", "samples per second of the recording")}
    names = [name for name in known if name in measured.columns]
    if not names:
        columns = ", ".join(map(str, measured.columns))
        raise CubeError(f"The table holds none of {', '.join(MEASURES)}. It has: {columns}.")
    index = measured.index.astype(str)
    if index.has_duplicates:
        raise CubeError(
            f"The table names site {index[index.duplicated()][0]!r} twice. Keep one row for each."
        )
    sites = [str(site) for site in cube["site"].to_numpy()]
    if not set(sites) & set(index):
        raise CubeError(
            f"The table has none of the cube's {len(sites)} sites, such as {sites[0]!r}; it has {list(index[:3])}."
        )
    rows = measured.set_axis(index, axis="index").reindex(sites)
    variables = {
        name: (
            "site",
            _numbers(rows[name]),
            {"units": known[name][0], "long_name": known[name][1], "source": "measured in the recording"},
        )
        for name in names
    }
    own = [name for name in names if name in cube.coords]  # the sites' own columns give way
    taken = [str(name) for name in cube.variables]
    other = dict(zip(own, field_names([f"site_{name}" for name in own], taken=taken), strict=True))
    return validate(cube.rename(other).assign(variables))


def _numbers(cells: pd.Series) -> NDArray[np.float64]:
    try:
        return np.asarray(pd.to_numeric(cells).to_numpy(np.float64))
    except (TypeError, ValueError) as error:
        raise CubeError(f"The table's column {cells.name!r} is not of numbers: {error}.") from error


def with_acoustics(
    path: str | os.PathLike[str],
    measured: pd.DataFrame | None = None,
    *,
    calibration: float | str | Mapping[str, float] | pd.Series | None = None,
    out: str | os.PathLike[str] | None = None,
    workers: int = 1,
    progress: bool = False,
) -> xr.Dataset:
    """Put acoustic measures into a cube on the disk; without a table of them, measure its recordings.

    Parameters
    ----------
    path : path
        A study folder, a cube.zarr, or a cube as netCDF.
    measured : DataFrame, optional
        As `add_acoustics` takes it.
    calibration : float, str, mapping or Series, optional
        As `soundit_geo.acoustics.acoustics` takes it; a column is one of the sites, which the cube keeps.
    out : path, optional
        A ``.nc`` file or ``.zarr`` folder for the new cube; by default it takes the place of the old one, in one
        rename. Let no study run in that folder meanwhile.
    workers : int
        Recordings measured at a time.
    progress : bool
        Show a bar.

    Returns
    -------
    xarray.Dataset
        The new cube.

    Raises
    ------
    InputError
        If a table and a calibration are given, `out` is of another kind, or scikit-maad is not installed.
    MissingFileError, CubeError, SitesError
        As `soundit_geo.cube.open_cube`, `add_acoustics` and `soundit_geo.acoustics.acoustics` do.
    StudyError
        If the cube cannot be written.
    """
    if measured is not None and calibration is not None:
        raise InputError("A table of measures is calibrated already, or not. Give a table or a calibration.")
    if out is not None and Path(out).suffix not in (".nc", ".zarr"):
        raise InputError(f"{out} is of no known kind; a cube is written as .nc or .zarr.")
    cube = open_cube(path)
    if measured is None:
        sites = _sites_of(cube)
        measured = acoustics(sites, calibration, workers=workers, progress=progress)
        cube = open_cube(path)  # measuring takes its time
    whole = add_acoustics(cube, measured)
    place = Path(cube.encoding["source"])
    target = place if out is None else Path(out)
    if target.suffix == ".nc":
        save_netcdf(whole, target)
    else:
        save_cube(whole, target, sites_per_chunk=sites_per_chunk(place) if place.is_dir() else None)
    return whole


def _sites_of(cube: xr.Dataset) -> gpd.GeoDataFrame:
    """The sites of a cube on the disk, with whole paths of their recordings."""
    import geopandas as gpd

    folder = Path(cube.encoding["source"]).parent
    columns: dict[str, Any] = {name: cube[name].to_numpy() for name in site_columns(cube)}
    columns["audio"] = [str((folder / one).absolute()) for one in cube["audio"].to_numpy()]
    points = gpd.points_from_xy(cube["lon"].to_numpy(), cube["lat"].to_numpy())
    sites = gpd.GeoDataFrame(
        columns, index=pd.Index(cube["site"].to_numpy(), name="site"), geometry=points, crs=CRS
    )
    sites.attrs["audio_root"] = folder.absolute().anchor
    return sites


def correlate(
    cube: xr.Dataset,
    measured: str | Sequence[str],
    predicted: str | Sequence[str],
    *,
    scenario: str = AS_RECORDED,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Correlation:
    """Correlate measures of the sites with predictions of their landscapes.

    Pearson's r says how near both lie to a line, Spearman's rank correlation how near to one order. Intervals are
    percentiles of a bootstrap that draws sites with replacement. It takes sites as independent: near or coincident
    ones are not, and make it too narrow.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube, measures added with `add_acoustics`.
    measured : str or sequence of str
        Variables of numbers along ``site``.
    predicted : str or sequence of str
        Perceptions, PSS, or ``share_`` with the name of an element: columns of `soundit_geo.cube.to_geodataframe`,
        means over the draws that are done.
    scenario : str
        Whose predictions.
    confidence : float
        Of the intervals, between 0 and 1.
    resamples : int
        Of the bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Correlation
        A row for each pair, over the sites that have both values, and the values.

    Raises
    ------
    CubeError
        The cube lacks a variable along ``site``, or the table a column.
    ScenarioError
        The cube has no such scenario.
    InputError
        `confidence` or `resamples` makes no interval.
    """
    if not 0.0 < confidence < 1.0 or resamples < 1:
        raise InputError(f"confidence={confidence}, resamples={resamples}: expected 0 to 1, and 1 or more.")
    measures = [measured] if isinstance(measured, str) else list(measured)
    predictions = [predicted] if isinstance(predicted, str) else list(predicted)
    for name in measures:
        if name not in cube.data_vars or cube[name].dims != ("site",) or cube[name].dtype.kind not in "fiu":
            raise CubeError(
                f"The cube has no numbers {name!r} along site. add_acoustics puts measures there."
            )
    elements = [name.removeprefix("share_") for name in predictions if name.startswith("share_")]
    table = to_geodataframe(cube, scenario, elements=elements).select_dtypes("number")
    absent = [name for name in predictions if name not in table.columns]
    if absent:
        raise CubeError(f"No prediction is called {absent[0]!r}. There are: {', '.join(table.columns)}.")
    scatter = pd.DataFrame({name: cube[name].to_numpy() for name in measures}, index=table.index)
    scatter = scatter.join(table[predictions], validate="one_to_one")
    rows = {
        (x, y): _correlate(
            scatter[x].to_numpy(float), scatter[y].to_numpy(float), confidence, resamples, seed
        )
        for x in measures
        for y in predictions
    }
    found = pd.DataFrame.from_dict(rows, orient="index")
    found.index = pd.MultiIndex.from_tuples(rows, names=["measured", "predicted"])
    return Correlation(found, scatter, scenario, confidence)


def _correlate(
    x: NDArray[np.float64], y: NDArray[np.float64], confidence: float, resamples: int, seed: int
) -> dict[str, float]:
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    row: dict[str, float] = {"n": len(x)}
    tails = ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0)
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[NDArray[np.float64]]] = {"pearson": [], "spearman": []}
    if len(x) >= _FEWEST:
        for begin in range(0, resamples, per := max(1, _AT_ONCE // len(x))):
            pick = rng.integers(len(x), size=(min(per, resamples - begin), len(x)))
            drawn["pearson"].append(_pearson(x[pick], y[pick]))
            drawn["spearman"].append(_pearson(_ranks(x[pick]), _ranks(y[pick])))
    row["pearson"], row["spearman"] = np.nan, np.nan
    if len(x) > 2:
        row["pearson"] = float(_pearson(x[None], y[None])[0])
        row["spearman"] = float(_pearson(_ranks(x[None]), _ranks(y[None]))[0])
    for name, parts in drawn.items():
        values = np.concatenate(parts) if parts and np.isfinite(row[name]) else np.array([np.nan])
        values = values[np.isfinite(values)] if np.isfinite(values).any() else values
        row[f"{name}_low"], row[f"{name}_high"] = (float(v) for v in np.quantile(values, tails))
    order = ("n", "pearson", "pearson_low", "pearson_high", "spearman", "spearman_low", "spearman_high")
    return {name: row[name] for name in order}


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of each row, NaN where a row is constant."""
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(x).sum(axis=1) * np.square(y).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip((x * y).sum(axis=1) / size, -1.0, 1.0))


def _ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(x, axis=1))
