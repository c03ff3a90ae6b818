"""The effect of a scenario over many sites, and by district: a mean with an interval that knows both levels.

A cube has two levels of chance: sites differ in what a scenario does to them, and draws of one site differ. A mean
over sites varies with both. The levels are resampled as follows.

*For the population of which these sites are a sample*, sites are drawn with replacement and each brings its draws
along whole. Drawing again among a site's draws, the plain two-stage bootstrap, would count their noise twice, for
the means of the sites scatter by it already (Davison and Hinkley, Bootstrap Methods, 1997, section 3.8). How the ends
are found says `soundit_geo.intervals`.

*At these sites*, only draws are chance. With two to four draws a resample of them says little, so that this one is
worked out: the variances of the sites' means add up, and Student's t has Satterthwaite's degrees of freedom.

``soundit-geo lab coverage`` measures how often each interval holds the truth; docs/scenarios.md has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from soundit_geo.cube import site_columns
from soundit_geo.errors import CRSError, InputError
from soundit_geo.intervals import FEWEST, interval_of_mean
from soundit_geo.scenarios.effects import COMPARED, Paired, changed, check_share, paired

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray


def effect(
    cube: xr.Dataset,
    a: str,
    b: str,
    *,
    by: str | pd.Series | None = None,
    of: Literal["population", "these sites"] = "population",
    unchanged: bool = False,
    variables: Sequence[str] = COMPARED,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Take the mean over sites of scenario `a` minus scenario `b`, overall or by district.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    a, b : str
        Names of two of its scenarios.
    by : str or pandas.Series, optional
        Which district each site is in: a variable of the cube along ``site``, or a series with sites as index, such
        as `districts_of` gives. Sites without one are left out. Without it, all sites together.
    of : {"population", "these sites"}
        What the interval is for. ``"population"``: the mean effect among all places like these, of which the sites
        are an independent sample; the interval tells how far another sample of sites, with draws of its own, would
        lead. ``"these sites"``: the mean effect at exactly these sites; it tells how far other draws would lead, and
        says nothing of other places. The estimate is the same.
    unchanged : bool
        Whether sites count, with an effect of 0, that look exactly alike in both scenarios, such as those outside a
        scenario's area. Without them the effect is that on the places which the scenario changes.
    variables : sequence of str, optional
        Which of `COMPARED`.
    confidence : float
        Of the intervals, between 0 and 1; each holds by itself.
    seed : int
        Of the resamples (4,999 for each district).

    Returns
    -------
    xarray.Dataset
        Along ``percept`` or ``element``, and ``district`` where `by` is given, in the units of the variable: for each
        ``NAME`` the mean over sites of their mean over draws, positive where `a` is higher; its standard error
        ``NAME_se``; the ends ``NAME_low`` and ``NAME_high`` of its interval; and ``NAME_sites``, how many sites have
        it. Text ``reason`` says why there is no interval; empty where there is one.

    Raises
    ------
    ScenarioError
        If the cube lacks one of them.
    InputError
        If a variable, `of` or `by` is unknown, or `confidence` is not between 0 and 1.

    Notes
    -----
    Every site counts the same, however many of its draws are done. Below `FEWEST` sites, or where all sites agree
    exactly, there is no interval. A site with one pair of draws is taken to be as noisy as the others are on average
    (needed ``of="these sites"`` only).

    Sites are taken as independent. Where neighbours share what a scenario does to them, the interval for the
    population is too narrow; see `soundit_geo.spatial` for how far neighbours are alike. No interval knows whether
    the model and its judges are right.
    """
    import xarray as xr

    check_share("confidence", confidence)
    if of not in ("population", "these sites"):
        raise InputError(f"of={of!r} is unknown; expected 'population' or 'these sites'.")
    counts = np.ones(cube.sizes["site"], bool) if unchanged else changed(cube, a, b)
    groups = dict(_groups(cube, by, counts))
    result: dict[str, xr.DataArray] = {}
    for name in variables:
        change = paired(cube, a, b, name)
        layers = [
            _summary(change, rows, of, confidence, np.random.default_rng([seed, *district.encode()]))
            for district, rows in groups.items()
        ]
        like = cube[name].isel(site=0, scenario=0, draw=0, drop=True).reset_coords(drop=True)
        units = cube[name].attrs.get("units", "1")
        words = f"mean over sites of {name}, {a} minus {b}"
        for suffix, long_name, unit in (
            ("", words, units),
            ("_se", f"standard error of the {words}", units),
            ("_low", f"lower end of the {confidence:.0%} interval of the {words}", units),
            ("_high", f"upper end of the {confidence:.0%} interval of the {words}", units),
            ("_sites", f"sites with {name} in both scenarios", "1"),
        ):
            values = np.stack([layer[suffix] for layer in layers]).reshape(len(layers), *like.shape)
            result[f"{name}{suffix}"] = xr.DataArray(
                values,
                dims=("district", *like.dims),
                coords=like.coords,
                attrs={"long_name": long_name, "units": unit},
            )
    reasons = [_reason(int(rows.sum())) for rows in groups.values()]
    result["reason"] = xr.DataArray(np.array(reasons, dtype=object), dims="district")
    attrs = {
        "difference": f"{a} minus {b}",
        "of": of,
        "unchanged": int(unchanged),
        "confidence": confidence,
        "bootstrap_seed": seed,
    }
    found = xr.Dataset(result, attrs={**cube.attrs, **attrs})
    if by is None:
        return found.isel(district=0)
    return found.assign_coords(district=("district", np.array([*groups], dtype=object)))


def districts_of(cube: xr.Dataset, polygons: gpd.GeoDataFrame, column: str) -> pd.Series:
    """Tell which polygon each site lies in.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    polygons : geopandas.GeoDataFrame
        Districts, in any CRS.
    column : str
        Column of their names; polygons of one name are one district.

    Returns
    -------
    pandas.Series
        Index ``site``; the name as text, None outside all of them. A site in several, or on a border, goes to the
        first of them.

    Raises
    ------
    InputError
        If there is no such column.
    CRSError
        If the polygons carry no CRS.
    """
    import geopandas as gpd
    import pandas as pd

    if column not in polygons:
        named = ", ".join(str(name) for name in polygons.columns if name != polygons.geometry.name)
        raise InputError(f"The districts have no column {column!r}; they have: {named}.")
    if polygons.crs is None:
        raise CRSError(f"{len(polygons)} districts carry no CRS. Use set_crs(...) with the right one.")
    points = gpd.GeoSeries(
        gpd.points_from_xy(cube["lon"].to_numpy(), cube["lat"].to_numpy()), crs="EPSG:4326"
    ).to_crs(polygons.crs)
    site, polygon = polygons.sindex.query(points, predicate="intersects")
    first = pd.Series(polygon, index=site).groupby(level=0).min()
    names = polygons[column].iloc[first]
    found = np.full(len(points), None, dtype=object)
    found[first.index] = [None if pd.isna(name) else str(name) for name in names]
    index = pd.Index(cube["site"].to_numpy(), name="site")
    return pd.Series(found, index=index, name=column, dtype=object)


def _summary(
    change: Paired, rows: NDArray[np.bool_], of: str, confidence: float, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Mean, standard error, interval and number of sites, of V numbers each."""
    known = np.isfinite(change.mean) & rows[:, None]
    width = known.shape[1]
    found = {suffix: np.full(width, np.nan) for suffix in ("", "_se", "_low", "_high")}
    found["_sites"] = known.sum(axis=0)
    patterns, which = np.unique(
        known, axis=1, return_inverse=True
    )  # numbers known at the same sites go together
    for number in range(patterns.shape[1]):
        columns = np.flatnonzero(which.ravel() == number)
        cells = np.ix_(patterns[:, number], columns)
        mean = change.mean[cells]
        if not len(mean):
            continue
        found[""][columns] = mean.mean(axis=0)
        if of == "population":
            se = (
                mean.std(axis=0, ddof=1) / np.sqrt(len(mean))
                if len(mean) > 1
                else np.full(len(columns), np.nan)
            )
            low, high = interval_of_mean(mean, confidence, rng)
        else:
            se, low, high = _at_these_sites(mean, change.variance[cells], change.count[cells], confidence)
        found["_se"][columns], found["_low"][columns], found["_high"][columns] = se, low, high
    return found


def _at_these_sites(
    mean: NDArray[np.float64], variance: NDArray[np.float64], count: NDArray[np.intp], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Standard error and interval of a mean over fixed sites: draws alone are chance."""
    from scipy.stats import t as student

    several = count > 1
    noise = np.where(several, variance * count, 0.0).sum(axis=0) / np.maximum(
        several.sum(axis=0), 1
    )  # of one draw
    filled = np.where(several, variance, noise / np.maximum(count, 1))  # (S, V)
    total = filled.sum(axis=0)
    se = np.where(several.any(axis=0), np.sqrt(total) / len(mean), np.nan)
    spread = np.where(several, variance**2 / np.maximum(count - 1, 1), 0.0).sum(axis=0)
    judged = (total > 0) & (len(mean) >= FEWEST)
    freedom = np.where(judged, np.where(several, variance, 0.0).sum(axis=0), np.nan) ** 2 / np.where(
        judged, spread, 1.0
    )
    half = student.ppf((1 + confidence) / 2, freedom) * se
    centre = mean.mean(axis=0)
    return se, centre - half, centre + half


def _groups(
    cube: xr.Dataset, by: str | pd.Series | None, counts: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each district's name and (S,) which sites count in it."""
    import pandas as pd

    if by is None:
        yield "", counts
        return
    if isinstance(by, str):
        if by not in cube or cube[by].dims != ("site",):
            raise InputError(
                f"The cube has no variable {by!r} along its sites alone. Columns of its sites: "
                f"{', '.join(site_columns(cube)) or 'none'}. Name one of them, or give a series of names."
            )
        by = cube[by].to_series()
    elif not isinstance(by, pd.Series) or not by.index.is_unique:
        raise InputError(
            "by must name a variable of the cube, or be a series with each site once in its index."
        )
    names = by.reindex(cube["site"].to_numpy())
    texts = names.where(names.notna(), "").astype(str).to_numpy()
    districts = [name for name in dict.fromkeys(texts) if name]
    if not districts:
        raise InputError("No site of the cube has a district. Are the series' index the sites' names?")
    for name in sorted(districts):
        yield name, counts & (texts == name)


def _reason(sites: int) -> str:
    if sites >= FEWEST:
        return ""
    what = "no site differs" if sites == 0 else f"{sites} site{'s' * (sites > 1)} differ{'s' * (sites == 1)}"
    return f"{what}; an interval needs {FEWEST}"
