"""What was measured beside what was predicted: acoustic measures in a cube, and how both go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from soundit_geo.acoustics import MEASURES
from soundit_geo.cube import to_geodataframe, validate
from soundit_geo.errors import CubeError, InputError
from soundit_geo.scenarios import AS_RECORDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Correlation", "add_acoustics", "correlate"]

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
        sites that it lacks; and ``rate`` (Hz) where it has it.

    Raises
    ------
    CubeError
        The table has no such column, names a site twice, or has none of the cube's sites.
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
            pd.to_numeric(rows[name]).to_numpy(np.float64),
            {"units": known[name][0], "long_name": known[name][1]},
        )
        for name in names
    }
    return validate(cube.assign(variables))


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
